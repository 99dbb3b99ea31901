/* Principals and permissions: who a login is in a database, what it may do, and the statements that change it.
 * An administrator (sysadmin) is dbo everywhere and is never refused. */
#include "ecosystem/sandbox/sql/exec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/logins.h"

bool security_is_admin(const struct session *s) {
	sqlite3_stmt *stmt = stmts_take(s->stmts, "SELECT admin FROM m_login WHERE name = ?1");
	bool admin = false;
	if (stmt) {
		sqlite3_bind_text(stmt, 1, s->login, -1, SQLITE_STATIC);
		admin = sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0);
	}
	stmts_put(s->stmts, stmt);
	return admin;
}

/* name and id may be NULL. master and tempdb let everybody in as guest. */
int security_user(struct session *s, int database, char *name, size_t size, int *id) {
	int rc = -1, user = 0;
	if (security_is_admin(s)) {
		user = 1;
		if (name)
			snprintf(name, size, "dbo");
		rc = 0;
	} else {
		sqlite3_stmt *stmt =
			stmts_take(s->stmts, "SELECT p.id, p.name FROM m_principal p JOIN m_login l ON l.id = p.login "
					     "WHERE p.db = ?1 AND l.name = ?2");
		if (stmt) {
			sqlite3_bind_int(stmt, 1, database);
			sqlite3_bind_text(stmt, 2, s->login, -1, SQLITE_STATIC);
			if (sqlite3_step(stmt) == SQLITE_ROW) {
				user = sqlite3_column_int(stmt, 0);
				if (name)
					snprintf(name, size, "%s", (const char *)sqlite3_column_text(stmt, 1));
				rc = 0;
			}
		}
		stmts_put(s->stmts, stmt);
		if (rc < 0 && (database <= 2 || database == 4)) {
			user = 2;
			if (name)
				snprintf(name, size, "guest");
			rc = 0;
		}
	}
	if (id)
		*id = user;
	return rc;
}

void security_default_schema(struct session *s, int database, char *out, size_t size) {
	int user;
	snprintf(out, size, "dbo");
	if (security_user(s, database, NULL, 0, &user) < 0 || user <= 2)
		return;
	sqlite3_stmt *stmt =
		stmts_take(s->stmts, "SELECT schema FROM m_principal WHERE db = ?1 AND id = ?2 AND schema IS NOT NULL");
	if (stmt) {
		sqlite3_bind_int(stmt, 1, database);
		sqlite3_bind_int(stmt, 2, user);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
	}
	stmts_put(s->stmts, stmt);
}

#define MEMBERSHIP                                                                                                               \
	"WITH RECURSIVE r(id) AS (SELECT ?2 UNION SELECT 0 UNION SELECT m.role FROM m_member m JOIN r ON r.id = m.member WHERE " \
	"m.db = ?1) "

bool security_is_member(struct session *s, int database, const char *role) {
	int user;
	if (security_user(s, database, NULL, 0, &user) < 0)
		return false;
	if (user == 1)
		return true;
	return exec_int(s, 0,
		       MEMBERSHIP "SELECT count(*) FROM r JOIN m_principal p ON p.db = ?1 AND p.id = r.id WHERE p.name = ?3",
		       "iis", (int64_t)database, (int64_t)user, role) > 0;
}

static bool is_read(const char *permission) { return strcmp(permission, "SELECT") == 0; }

static bool is_write(const char *permission) {
	return strcmp(permission, "INSERT") == 0 || strcmp(permission, "UPDATE") == 0 || strcmp(permission, "DELETE") == 0;
}

static bool by_role(struct session *s, int database, const char *permission) {
	if (security_is_member(s, database, "db_owner"))
		return true;
	if (is_read(permission))
		return security_is_member(s, database, "db_datareader");
	if (is_write(permission))
		return security_is_member(s, database, "db_datawriter");
	if (strncmp(permission, "CREATE ", 7) == 0 || strcmp(permission, "ALTER") == 0)
		return security_is_member(s, database, "db_ddladmin");
	return strcmp(permission, "CONNECT") == 0;
}

static bool denied_by_role(struct session *s, int database, const char *permission) {
	return (is_read(permission) && security_is_member(s, database, "db_denydatareader")) ||
	       (is_write(permission) && security_is_member(s, database, "db_denydatawriter"));
}

static int64_t rows_with(
	struct session *s, int database, int user, int64_t object, int64_t schema, const char *permission, const char *state) {
	return exec_int(s, 0,
		MEMBERSHIP
		"SELECT count(*) FROM m_permission p JOIN r ON r.id = p.grantee WHERE p.db = ?1 AND p.state = ?6 AND "
		"(p.permission = ?5 OR p.permission = 'CONTROL' OR (p.permission = 'ALL' AND ?5 <> 'CONTROL')) AND "
		"((p.class = 'OBJECT' AND p.major = ?3) OR (p.class = 'SCHEMA' AND p.major = ?4) OR p.class = 'DATABASE')",
		"iiiiss", (int64_t)database, (int64_t)user, object, schema, permission, state);
}

bool security_has(struct session *s, int database, int64_t object, int64_t schema, const char *permission) {
	int user;
	if (security_user(s, database, NULL, 0, &user) < 0)
		return false;
	if (user == 1)
		return true;
	if (denied_by_role(s, database, permission) || rows_with(s, database, user, object, schema, permission, "D") > 0)
		return false;
	return by_role(s, database, permission) || rows_with(s, database, user, object, schema, permission, "G") > 0;
}

int security_check(struct session *s, const struct object *object, char kind, struct sqlerror *error) {
	const char *permission = kind == 'S'   ? "SELECT"
				 : kind == 'I' ? "INSERT"
				 : kind == 'U' ? "UPDATE"
				 : kind == 'D' ? "DELETE"
					       : "EXECUTE";
	if (object->kind == O_SYSTEM || object->temporary || security_is_admin(s))
		return 0;
	int64_t schema = exec_int(s, 0, "SELECT schema FROM m_object WHERE id = ?1", "i", object->id);
	if (security_has(s, object->database->id, object->id, schema, permission))
		return 0;
	return sqlerror_set(error, 229, 1, "The %s permission was denied on the object '%s', database '%s', schema '%s'.",
		permission, object->name, object->database->name, object->schema);
}

/* --- statements --- */

struct work {
	struct session *s;
	const struct stmt *stmt;
	struct sqlerror error;
	int64_t database;
};

static int fail(struct work *w, int number, const char *fmt, const char *what) {
	char text[400];
	snprintf(text, sizeof text, "%s%s%s", fmt, what,
		number == 15151 ? "', because it does not exist or you do not have permission." : "'.");
	return sqlerror_set(&w->error, number, w->stmt->line, "%s", text);
}

static int64_t principal(struct work *w, const char *name) {
	return exec_int(w->s, -1, "SELECT id FROM m_principal WHERE db = ?1 AND name = ?2", "is", w->database, name);
}

static int create_login(struct work *w) {
	const struct stmt *t = w->stmt;
	const char *database = t->name2.count ? t->name2.part[0] : NULL;
	int64_t id = exec_int(w->s, 0, "SELECT id FROM m_login WHERE name = ?1", "s", t->text);
	if (!t->flag2 && id)
		return sqlerror_set(&w->error, 15025, t->line, "The server principal '%.128s' already exists.", t->text);
	if (t->flag2 && !id)
		return fail(w, 15151, "Cannot alter the login '", t->text);
	if (database && !catalog_database(w->s->catalog, database))
		return sqlerror_set(&w->error, 15010, t->line,
			"The database '%.128s' does not exist. Supply a valid database name.", database);
	if (t->column_count)
		return exec_sql(w->s, &w->error, "UPDATE m_login SET disabled = ?2 WHERE name = ?1", "si", t->text,
			(int64_t)(strcmp(t->columns[0], "DISABLE") == 0));
	if (!t->text2)
		return exec_sql(w->s, &w->error, "UPDATE m_login SET default_db = ?2 WHERE name = ?1", "ss", t->text, database);
	if (logins_set(w->s->db, t->text, t->text2, database, false, w->s->login_time) == SQLITE_OK)
		return 0;
	exec_sqlite_error(w->s, t->line, &w->error);
	return -1;
}

static int create_user(struct work *w) {
	const struct stmt *t = w->stmt;
	const char *login = t->text2 ? t->text2 : t->text, *schema = t->name2.count ? t->name2.part[0] : NULL;
	int64_t id = principal(w, t->text);
	int64_t login_id = t->flag ? 0 : exec_int(w->s, -1, "SELECT id FROM m_login WHERE name = ?1", "s", login);
	if (t->flag2) {
		if (id < 0)
			return fail(w, 15151, "Cannot alter the user '", t->text);
		if (schema && exec_sql(w->s, &w->error, "UPDATE m_principal SET schema = ?3 WHERE db = ?1 AND id = ?2", "iis",
				      w->database, id, schema) < 0)
			return -1;
		return !t->text2 ? 0
				 : exec_sql(w->s, &w->error, "UPDATE m_principal SET login = ?3 WHERE db = ?1 AND id = ?2", "iii",
					   w->database, id, login_id);
	}
	if (id >= 0)
		return sqlerror_set(&w->error, 15023, t->line,
			"User, group, or role '%.128s' already exists in the current database.", t->text);
	if (login_id < 0)
		return sqlerror_set(
			&w->error, 15007, t->line, "'%.128s' is not a valid login or you do not have permission.", login);
	if (login_id > 0 &&
		exec_int(w->s, 0, "SELECT count(*) FROM m_principal WHERE db = ?1 AND login = ?2", "ii", w->database, login_id))
		return sqlerror_set(&w->error, 15063, t->line, "The login already has an account under a different user name.");
	return exec_sql(w->s, &w->error,
		"INSERT INTO m_principal(db, id, name, type, login, schema) SELECT ?1, coalesce(max(id), 0) + 1, ?2, 'S', "
		"?3, ?4 FROM (SELECT max(id, 4) AS id FROM m_principal WHERE db = ?1 AND id < 16384)",
		"isis", w->database, t->text, login_id, schema ? schema : "dbo");
}

static int create_role(struct work *w) {
	if (principal(w, w->stmt->text) >= 0)
		return sqlerror_set(&w->error, 15023, w->stmt->line,
			"User, group, or role '%.128s' already exists in the current database.", w->stmt->text);
	return exec_sql(w->s, &w->error,
		"INSERT INTO m_principal(db, id, name, type, login) SELECT ?1, max(id) + 1, ?2, 'R', 0 FROM "
		"(SELECT max(id, 4) AS id FROM m_principal WHERE db = ?1 AND id < 16384)",
		"is", w->database, w->stmt->text);
}

static int role_member(struct work *w) {
	const struct stmt *t = w->stmt;
	if (t->flag2) { /* server role */
		if (strcasecmp(t->text, "sysadmin") != 0)
			return fail(w, 15151, "Cannot alter the server role '", t->text);
		if (exec_int(w->s, 0, "SELECT count(*) FROM m_login WHERE name = ?1", "s", t->text2) == 0)
			return fail(w, 15151, "Cannot add the principal '", t->text2);
		return exec_sql(
			w->s, &w->error, "UPDATE m_login SET admin = ?2 WHERE name = ?1", "si", t->text2, (int64_t)!t->flag);
	}
	int64_t role = exec_int(
		w->s, -1, "SELECT id FROM m_principal WHERE db = ?1 AND name = ?2 AND type = 'R'", "is", w->database, t->text);
	int64_t member = principal(w, t->text2);
	if (role < 0)
		return fail(w, 15151, "Cannot alter the role '", t->text);
	if (member < 0)
		return fail(w, 15151, t->flag ? "Cannot drop the principal '" : "Cannot add the principal '", t->text2);
	return exec_sql(w->s, &w->error,
		t->flag ? "DELETE FROM m_member WHERE db = ?1 AND role = ?2 AND member = ?3"
			: "INSERT OR IGNORE INTO m_member VALUES(?1, ?2, ?3)",
		"iii", w->database, role, member);
}

/* --- GRANT --- */

static int securable(struct work *w, const char **class, int64_t *major) {
	const struct stmt *t = w->stmt;
	*class = "DATABASE";
	*major = 0;
	if (!t->text2)
		return 0;
	if (strcmp(t->text2, "DATABASE") == 0) {
		const struct database *d = catalog_database(w->s->catalog, t->name.part[0]);
		if (!d)
			return fail(w, 15151, "Cannot find the database '", t->name.part[0]);
		w->database = d->id;
		return 0;
	}
	*class = t->text2;
	if (strcmp(t->text2, "SCHEMA") == 0) {
		*major = exec_int(w->s, -1, "SELECT id FROM m_schema WHERE db = ?1 AND name = ?2", "is", w->database,
			t->name.part[t->name.count - 1]);
		return *major >= 0 ? 0 : fail(w, 15151, "Cannot find the schema '", t->name.part[t->name.count - 1]);
	}
	if (strcmp(t->text2, "OBJECT") != 0)
		return sqlerror_set(&w->error, 102, t->line, "Incorrect syntax near '%.60s'.", t->text2);
	struct sqlerror ignored = { 0 };
	const struct object *o = catalog_object(w->s->catalog, &t->name, &ignored);
	if (!o)
		o = catalog_module(w->s->catalog, &t->name, O_PROCEDURE);
	if (!o || o->temporary)
		return fail(w, 15151, "Cannot find the object '", t->name.part[t->name.count - 1]);
	*major = o->id;
	if (o->database)
		w->database = o->database->id;
	return 0;
}

static bool is_permission(const char *name) {
	static const char *const names[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "EXEC", "REFERENCES", "ALTER",
		"CONTROL", "VIEW DEFINITION", "CONNECT", "CREATE TABLE", "CREATE VIEW", "CREATE PROCEDURE", "CREATE SCHEMA",
		"VIEW DATABASE STATE", "VIEW SERVER STATE", "ALTER ANY SCHEMA", "ALTER ANY USER", "ALL", "TAKE OWNERSHIP",
		"SHOWPLAN", "VIEW ANY DEFINITION", "VIEW ANY DATABASE", "CONNECT SQL", "ALTER ANY CONNECTION", NULL };
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int grant_one(struct work *w, const char *class, int64_t major, const char *permission, const char *grantee) {
	const char *verb = w->stmt->text;
	int64_t id = principal(w, grantee);
	bool server = strcmp(permission, "VIEW SERVER STATE") == 0 || strncmp(permission, "VIEW ANY", 8) == 0 ||
		      strcmp(permission, "CONNECT SQL") == 0 || strcmp(permission, "ALTER ANY CONNECTION") == 0;
	if (!is_permission(permission))
		return sqlerror_set(&w->error, 102, w->stmt->line, "Incorrect syntax near '%.60s'.", permission);
	if (server)
		id = exec_int(w->s, -1, "SELECT id FROM m_login WHERE name = ?1", "s", grantee);
	if (id < 0)
		return fail(w, 15151, "Cannot find the user '", grantee);
	if (strcmp(permission, "EXEC") == 0)
		permission = "EXECUTE";
	int64_t database = server ? 0 : w->database;
	if (strcmp(verb, "REVOKE") == 0)
		return exec_sql(w->s, &w->error,
			"DELETE FROM m_permission WHERE db = ?1 AND class = ?2 AND major = ?3 AND grantee = ?4 AND "
			"permission = ?5",
			"isiis", database, class, major, id, permission);
	return exec_sql(w->s, &w->error,
		"INSERT OR REPLACE INTO m_permission(db, class, major, grantee, permission, state) VALUES(?1, ?2, ?3, ?4, "
		"?5, ?6)",
		"isiiss", database, class, major, id, permission, strcmp(verb, "DENY") == 0 ? "D" : "G");
}

static int grant(struct work *w) {
	const char *class;
	int64_t major;
	if (securable(w, &class, &major) < 0)
		return -1;
	for (int p = 0; p < w->stmt->column_count; p++)
		for (int g = 0; g < w->stmt->name_count; g++)
			if (grant_one(w, class, major, w->stmt->columns[p], w->stmt->names[g].part[0]) < 0)
				return -1;
	return 0;
}

static int permitted(struct work *w) {
	bool server = w->stmt->kind == S_CREATE_LOGIN || (w->stmt->kind == S_ROLE_MEMBER && w->stmt->flag2);
	if (security_is_admin(w->s) || (!server && security_is_member(w->s, (int)w->database, "db_owner")))
		return 0;
	return sqlerror_set(&w->error, 15247, w->stmt->line, "User does not have permission to perform this action.");
}

enum flow security_execute(struct session *s, struct stmt *stmt) {
	struct work w = { .s = s, .stmt = stmt, .database = catalog_current(s->catalog)->id };
	struct lock_request request = { .resource = "writer", .mode = LOCK_X, .life = LOCK_TRANSACTION };
	if (permitted(&w) < 0)
		return exec_fail(s, &w.error);
	enum flow flow = tran_lock(s, &request, 1, stmt->line);
	if (flow != FLOW_NEXT)
		return flow;
	if (tran_begin_write(s, true, stmt->line, &w.error) < 0)
		return exec_fail(s, &w.error);
	int rc = stmt->kind == S_CREATE_LOGIN  ? create_login(&w)
		 : stmt->kind == S_CREATE_USER ? create_user(&w)
		 : stmt->kind == S_CREATE_ROLE ? create_role(&w)
		 : stmt->kind == S_ROLE_MEMBER ? role_member(&w)
					       : grant(&w);
	if (rc == 0 && catalog_changed(s->catalog) != SQLITE_OK)
		rc = -1;
	if (tran_end_write(s, rc < 0, stmt->line, &w.error) < 0)
		return exec_fail(s, &w.error);
	return exec_done(s, -1, 0, false);
}
