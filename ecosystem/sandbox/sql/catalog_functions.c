/* SQLite functions that look into the catalogue: OBJECT_ID, DB_NAME, COL_LENGTH, users and roles.
 * The ...PROPERTY functions are in property_functions.c. */
#include "ecosystem/sandbox/sql/session_functions.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CALL(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)
#define SESSION                                                                                                                  \
	struct session *s = sqlite3_user_data(c);                                                                                \
	(void)n;                                                                                                                 \
	(void)v;                                                                                                                 \
	(void)s

/* --- names --- */

static int one_part(const char **p, char *out) {
	char close = **p == '[' ? ']' : **p == '"' ? '"' : '\0';
	size_t n = 0;
	if (close)
		(*p)++;
	while (**p && n < 128) {
		if (close && **p == close) {
			if ((*p)[1] != close)
				break;
			(*p)++;
		} else if (!close && **p == '.') {
			break;
		}
		out[n++] = *(*p)++;
	}
	out[n] = '\0';
	if (close && *(*p)++ != close)
		return -1;
	while (!close && n && out[n - 1] == ' ')
		out[--n] = '\0';
	return **p == '.' || **p == '\0' ? 0 : -1;
}

int parse_object_name(const char *text, char parts[4][129], struct name *out) {
	*out = (struct name){ .line = 1 };
	while (*text == ' ')
		text++;
	for (;;) {
		if (out->count == 4 || one_part(&text, parts[out->count]) < 0)
			return -1;
		out->part[out->count] = parts[out->count];
		out->count++;
		if (*text == '\0')
			break;
		text++;
	}
	return out->part[out->count - 1][0] ? 0 : -1;
}

struct object *object_by_id(struct session *s, int64_t id) {
	struct object *o;
	for (int i = 0; id < 0 && (o = catalog_each_temporary(s->catalog, i)); i++)
		if (o->id == id)
			return o;
	return id > 0 ? catalog_by_id(s->catalog, id) : NULL;
}

static int64_t stored_object(struct session *s, int database, const char *schema, const char *name, char *type, size_t size) {
	sqlite3_stmt *stmt =
		stmts_take(s->stmts, "SELECT o.id, o.type FROM m_object o JOIN m_schema s ON s.id = o.schema WHERE o.db = ?1 AND "
				     "s.name = ?2 AND o.name = ?3");
	int64_t id = 0;
	if (stmt) {
		sqlite3_bind_int(stmt, 1, database);
		sqlite3_bind_text(stmt, 2, schema, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, name, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW) {
			id = sqlite3_column_int64(stmt, 0);
			snprintf(type, size, "%s", (const char *)sqlite3_column_text(stmt, 1));
		}
	}
	stmts_put(s->stmts, stmt);
	return id;
}

int64_t find_object(struct session *s, const char *text, char *type, size_t size, int *database) {
	char parts[4][129];
	struct name name;
	struct sqlerror ignored = { 0 };
	if (parse_object_name(text, parts, &name) < 0)
		return 0;
	const char *last = name.part[name.count - 1];
	const struct object *o = last[0] == '#' ? catalog_temporary(s->catalog, last) : NULL;
	if (o) {
		snprintf(type, size, "U");
		return o->id;
	}
	const char *db = name.count >= 3 ? name.part[name.count - 3] : "",
		   *schema = name.count >= 2 ? name.part[name.count - 2] : "";
	const struct database *d = db[0] ? catalog_database(s->catalog, db) : catalog_current(s->catalog);
	if (!d || d->state != DATABASE_ONLINE || security_user(s, d->id, NULL, 0, NULL) < 0)
		return 0;
	if (database)
		*database = d->id;
	const char *home = schema[0] ? schema : db[0] ? "dbo" : catalog_schema(s->catalog);
	int64_t id = stored_object(s, d->id, home, last, type, size);
	if (!id && !schema[0])
		id = stored_object(s, d->id, "dbo", last, type, size);
	if (!id && (strcasecmp(home, "sys") == 0 || strcasecmp(home, "INFORMATION_SCHEMA") == 0)) {
		o = catalog_object(s->catalog, &name, &ignored);
		snprintf(type, size, "V");
		id = o ? o->id : 0;
	}
	return id;
}

static bool same_kind(const char *stored, const char *wanted) {
	if (strcmp(stored, "T") == 0)
		stored = "TR";
	return strcasecmp(stored, wanted) == 0;
}

CALL(object_id) {
	SESSION;
	const char *text = argument_text(n, v, 0), *wanted = argument_text(n, v, 1);
	char type[8] = "", kind[8] = "";
	int64_t id = text ? find_object(s, text, type, sizeof type, NULL) : 0;
	if (wanted) {
		snprintf(kind, sizeof kind, "%s", wanted);
		while (kind[0] && kind[strlen(kind) - 1] == ' ')
			kind[strlen(kind) - 1] = '\0';
	}
	if (id && (!wanted || same_kind(type, kind)))
		sqlite3_result_int64(c, id);
}

static void text_of(sqlite3_context *c, struct session *s, const char *sql, int64_t id, int64_t other) {
	sqlite3_stmt *stmt = stmts_take(s->stmts, sql);
	if (stmt) {
		sqlite3_bind_int64(stmt, 1, id);
		sqlite3_bind_int64(stmt, 2, other);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			sqlite3_result_value(c, sqlite3_column_value(stmt, 0));
	}
	stmts_put(s->stmts, stmt);
}

CALL(object_name) {
	SESSION;
	const struct object *o = n ? object_by_id(s, sqlite3_value_int64(v[0])) : NULL;
	if (o)
		result_text(c, o->name);
	else
		text_of(c, s, "SELECT name FROM m_object WHERE id = ?1", sqlite3_value_int64(v[0]), 0);
}

CALL(object_schema_name) {
	SESSION;
	text_of(c, s, "SELECT s.name FROM m_object o JOIN m_schema s ON s.id = o.schema WHERE o.id = ?1",
		sqlite3_value_int64(v[0]), 0);
}

CALL(object_definition) {
	SESSION;
	text_of(c, s, "SELECT text FROM m_object WHERE id = ?1", sqlite3_value_int64(v[0]), 0);
}

CALL(db_name) {
	SESSION;
	const struct database *d = n && sqlite3_value_type(v[0]) != SQLITE_NULL
					   ? catalog_database_by_id(s->catalog, sqlite3_value_int(v[0]))
				   : n ? NULL
				       : catalog_current(s->catalog);
	result_text(c, d ? d->name : NULL);
}

CALL(db_id) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	const struct database *d = n ? (name ? catalog_database(s->catalog, name) : NULL) : catalog_current(s->catalog);
	if (d)
		sqlite3_result_int(c, d->id);
}

CALL(schema_name) {
	SESSION;
	if (!n)
		result_text(c, catalog_schema(s->catalog));
	else
		text_of(c, s, "SELECT name FROM m_schema WHERE number = ?1 AND db = ?2", sqlite3_value_int64(v[0]),
			catalog_current(s->catalog)->id);
}

CALL(schema_id) {
	SESSION;
	const char *name = n ? argument_text(n, v, 0) : catalog_schema(s->catalog);
	int64_t id = name ? exec_int(s, 0, "SELECT number FROM m_schema WHERE name = ?1 AND db = ?2", "si", name,
				    (int64_t)catalog_current(s->catalog)->id)
			  : 0;
	if (id)
		sqlite3_result_int64(c, id);
}

/* --- columns --- */

int type_bytes(const struct type_spec *t) {
	switch (t->type) {
	case SQL_BIT:
	case SQL_TINYINT:
		return 1;
	case SQL_SMALLINT:
		return 2;
	case SQL_INT:
	case SQL_REAL:
	case SQL_SMALLDATETIME:
		return 4;
	case SQL_BIGINT:
	case SQL_FLOAT:
	case SQL_MONEY:
	case SQL_DATETIME:
	case SQL_ROWVERSION:
		return 8;
	case SQL_DECIMAL:
		return t->precision <= 9 ? 5 : t->precision <= 19 ? 9 : t->precision <= 28 ? 13 : 17;
	case SQL_CHAR:
	case SQL_VARCHAR:
	case SQL_BINARY:
	case SQL_VARBINARY:
		return t->length;
	case SQL_NCHAR:
	case SQL_NVARCHAR:
		return t->length == SQL_MAX_LENGTH ? -1 : t->length * 2;
	case SQL_DATE:
		return 3;
	case SQL_TIME:
		return t->scale <= 2 ? 3 : t->scale <= 4 ? 4 : 5;
	case SQL_DATETIME2:
		return t->scale <= 2 ? 6 : t->scale <= 4 ? 7 : 8;
	case SQL_DATETIMEOFFSET:
		return t->scale <= 2 ? 8 : t->scale <= 4 ? 9 : 10;
	case SQL_UNIQUEIDENTIFIER:
		return 16;
	}
	return 0;
}

CALL(col_length) {
	SESSION;
	const char *table = argument_text(n, v, 0), *column = argument_text(n, v, 1);
	char type[8];
	int64_t id = table && column ? find_object(s, table, type, sizeof type, NULL) : 0;
	const struct object *o = id ? object_by_id(s, id) : NULL;
	int i = o ? catalog_column(o, column) : -1;
	if (i >= 0)
		sqlite3_result_int(c, type_bytes(&o->columns[i].type));
}

CALL(col_name) {
	SESSION;
	const struct object *o = object_by_id(s, sqlite3_value_int64(v[0]));
	for (int i = 0; o && i < o->column_count; i++)
		if (o->columns[i].id == sqlite3_value_int(v[1]))
			result_text(c, o->columns[i].name);
}

/* --- identity --- */

static const struct object *identity_table(struct session *s, const char *name) {
	char type[8];
	int64_t id = name ? find_object(s, name, type, sizeof type, NULL) : 0;
	const struct object *o = id ? object_by_id(s, id) : NULL;
	return o && o->identity >= 0 ? o : NULL;
}

static void put_number(sqlite3_context *c, int64_t value) {
	char text[30];
	snprintf(text, sizeof text, "%lld", (long long)value);
	result_text(c, text);
}

CALL(ident_current) {
	SESSION;
	const struct object *o = identity_table(s, argument_text(n, v, 0));
	bool used;
	if (!o)
		return;
	int64_t last = counter_current(s, o->id, &used);
	put_number(c, used ? last : o->columns[o->identity].seed);
}

CALL(ident_seed) {
	SESSION;
	const struct object *o = identity_table(s, argument_text(n, v, 0));
	if (o)
		put_number(c, o->columns[o->identity].seed);
}

CALL(ident_incr) {
	SESSION;
	const struct object *o = identity_table(s, argument_text(n, v, 0));
	if (o)
		put_number(c, o->columns[o->identity].step);
}

/* --- users --- */

CALL(suser_name) {
	SESSION;
	if (n && sqlite3_value_type(v[0]) != SQLITE_NULL)
		text_of(c, s, "SELECT name FROM m_login WHERE id = ?1", sqlite3_value_int64(v[0]), 0);
	else
		result_text(c, s->login);
}

CALL(suser_id) {
	SESSION;
	const char *name = n ? argument_text(n, v, 0) : s->login;
	int64_t id = name ? exec_int(s, 0, "SELECT id FROM m_login WHERE name = ?1", "s", name) : 0;
	if (id)
		sqlite3_result_int64(c, id);
}

CALL(user_name) {
	SESSION;
	char name[129];
	if (n && sqlite3_value_type(v[0]) != SQLITE_NULL)
		text_of(c, s, "SELECT name FROM m_principal WHERE id = ?1 AND db = ?2", sqlite3_value_int64(v[0]),
			catalog_current(s->catalog)->id);
	else if (security_user(s, catalog_current(s->catalog)->id, name, sizeof name, NULL) == 0)
		result_text(c, name);
}

CALL(user_id) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	int id = -1;
	if (!n)
		id = security_user(s, catalog_current(s->catalog)->id, NULL, 0, &id) == 0 ? id : -1;
	else if (name)
		id = (int)exec_int(s, -1, "SELECT id FROM m_principal WHERE name = ?1 AND db = ?2", "si", name,
			(int64_t)catalog_current(s->catalog)->id);
	if (id >= 0)
		sqlite3_result_int(c, id);
}

CALL(is_srvrolemember) {
	SESSION;
	const char *role = argument_text(n, v, 0), *login = argument_text(n, v, 1);
	static const char *const roles[] = { "serveradmin", "securityadmin", "processadmin", "setupadmin", "bulkadmin",
		"diskadmin", "dbcreator" };
	bool admin = exec_int(s, 0, "SELECT admin FROM m_login WHERE name = ?1", "s", login ? login : s->login) != 0;
	if (!role)
		return;
	if (strcasecmp(role, "public") == 0)
		sqlite3_result_int(c, 1);
	else if (strcasecmp(role, "sysadmin") == 0)
		sqlite3_result_int(c, admin);
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (strcasecmp(role, roles[i]) == 0)
			sqlite3_result_int(c, admin);
}

CALL(is_member) {
	SESSION;
	const char *role = argument_text(n, v, 0);
	int database = catalog_current(s->catalog)->id;
	if (role && exec_int(s, 0, "SELECT count(*) FROM m_principal WHERE db = ?1 AND name = ?2 AND type = 'R'", "is",
			    (int64_t)database, role))
		sqlite3_result_int(c, security_is_member(s, database, role));
}

CALL(has_dbaccess) {
	SESSION;
	const char *name = argument_text(n, v, 0);
	const struct database *d = name ? catalog_database(s->catalog, name) : NULL;
	if (d)
		sqlite3_result_int(c, d->state == DATABASE_ONLINE && security_user(s, d->id, NULL, 0, NULL) == 0);
}

/* Database, object, schema: metadata is shown of what one has some permission on. */
CALL(visible) {
	SESSION;
	static const char *const permissions[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "VIEW DEFINITION" };
	bool shown = security_is_admin(s);
	for (size_t i = 0; i < sizeof permissions / sizeof permissions[0] && !shown && n == 3; i++)
		shown = security_has(s, sqlite3_value_int(v[0]), sqlite3_value_int64(v[1]), sqlite3_value_int64(v[2]), permissions[i]);
	sqlite3_result_int(c, shown);
}

CALL(has_perms_by_name) {
	SESSION;
	const char *securable = argument_text(n, v, 0), *class = argument_text(n, v, 1), *permission = argument_text(n, v, 2);
	char upper[60] = "", type[8];
	if (!permission)
		return;
	snprintf(upper, sizeof upper, "%s", permission);
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	int database = catalog_current(s->catalog)->id;
	int64_t object = 0, schema = 0;
	if (class && strcasecmp(class, "OBJECT") == 0) {
		object = securable ? find_object(s, securable, type, sizeof type, &database) : 0;
		if (!object)
			return;
		schema = exec_int(s, 0, "SELECT schema FROM m_object WHERE id = ?1", "i", object);
	} else if (class && strcasecmp(class, "SCHEMA") == 0) {
		schema = exec_int(s, 0, "SELECT id FROM m_schema WHERE db = ?1 AND name = ?2", "is", (int64_t)database,
			securable ? securable : "");
		if (!schema)
			return;
	} else if (class && strcasecmp(class, "DATABASE") == 0) {
		const struct database *d = securable ? catalog_database(s->catalog, securable) : catalog_current(s->catalog);
		if (!d)
			return;
		database = d->id;
	} else {
		sqlite3_result_int(c, security_is_admin(s));
		return;
	}
	if (strcmp(upper, "ANY") == 0)
		snprintf(upper, sizeof upper, "SELECT");
	sqlite3_result_int(c, security_has(s, database, object, schema, upper));
}

const struct session_function catalog_functions[] = {
	{ { "OBJECT_ID", "s_object_id", "s?s", INT_TYPE }, object_id },
	{ { "OBJECT_NAME", "s_object_name", "i?i", NAME_TYPE }, object_name },
	{ { "OBJECT_SCHEMA_NAME", "s_object_schema_name", "i?i", NAME_TYPE }, object_schema_name },
	{ { "OBJECT_DEFINITION", "s_object_definition", "i",
		  { .type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH, .nullable = true } },
		object_definition },
	{ { "DB_NAME", "s_db_name", "?i", NAME_TYPE }, db_name },
	{ { "DB_ID", "s_db_id", "?s", SMALLINT_TYPE }, db_id },
	{ { "SCHEMA_NAME", "s_schema_name", "?i", NAME_TYPE }, schema_name },
	{ { "SCHEMA_ID", "s_schema_id", "?s", INT_TYPE }, schema_id },
	{ { "COL_LENGTH", "s_col_length", "ss", SMALLINT_TYPE }, col_length },
	{ { "COL_NAME", "s_col_name", "ii", NAME_TYPE }, col_name },
	{ { "IDENT_CURRENT", "s_ident_current", "s", NUMERIC_TYPE }, ident_current },
	{ { "IDENT_SEED", "s_ident_seed", "s", NUMERIC_TYPE }, ident_seed },
	{ { "IDENT_INCR", "s_ident_incr", "s", NUMERIC_TYPE }, ident_incr },
	{ { "SUSER_SNAME", "s_suser_sname", "?i", NAME_TYPE }, suser_name },
	{ { "SUSER_NAME", "s_suser_name", "?i", NAME_TYPE }, suser_name },
	{ { "SUSER_ID", "s_suser_id", "?s", INT_TYPE }, suser_id },
	{ { "USER_NAME", "s_user_name", "?i", NAME_TYPE }, user_name },
	{ { "CURRENT_USER", "s_current_user", "", NAME_TYPE }, user_name },
	{ { "SESSION_USER", "s_session_user", "", NAME_TYPE }, user_name },
	{ { "USER", "s_user", "", NAME_TYPE }, user_name },
	{ { "USER_ID", "s_user_id", "?s", INT_TYPE }, user_id },
	{ { "DATABASE_PRINCIPAL_ID", "s_database_principal_id", "?s", INT_TYPE }, user_id },
	{ { "IS_SRVROLEMEMBER", "s_is_srvrolemember", "s?s", INT_TYPE }, is_srvrolemember },
	{ { "IS_MEMBER", "s_is_member", "s", INT_TYPE }, is_member },
	{ { "IS_ROLEMEMBER", "s_is_rolemember", "s", INT_TYPE }, is_member },
	{ { "HAS_DBACCESS", "s_has_dbaccess", "s", INT_TYPE }, has_dbaccess },
	{ { "HAS_PERMS_BY_NAME", "s_has_perms_by_name", "sss?ss", INT_TYPE }, has_perms_by_name },
	{ { NULL, "s_visible", "iii", INT_TYPE }, visible },
	{ { NULL, NULL, NULL, INT_TYPE }, NULL },
};
