/* DROP of everything but databases. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <string.h>
#include <strings.h>

static const char *last_part(const struct name *n) { return n->part[n->count - 1]; }

static int missing(struct ddl *d, const char *what, const char *name) {
	return sqlerror_set(&d->error, 3701, d->stmt->line,
		"Cannot drop the %s '%.128s', because it does not exist or you do not have permission.", what, name);
}

static int forget_rows(struct ddl *d, int64_t id) {
	return exec_runf(d->s, d->stmt->line, &d->error,
		"DELETE FROM m_column WHERE object = %lld; DELETE FROM m_index WHERE object = %lld;"
		"DELETE FROM m_index_column WHERE object = %lld; DELETE FROM m_fkey WHERE object = %lld; DELETE FROM m_counter "
		"WHERE object = %lld;"
		"DELETE FROM m_permission WHERE class = 'OBJECT' AND major = %lld; DELETE FROM m_object WHERE id = %lld OR "
		"parent = %lld",
		(long long)id, (long long)id, (long long)id, (long long)id, (long long)id, (long long)id, (long long)id,
		(long long)id);
}

int ddl_drop_object(struct ddl *d, struct object *o) {
	struct session *s = d->s;
	if (o->temporary) {
		if (exec_runf(s, d->stmt->line, &d->error, "DROP TABLE IF EXISTS %s", o->sql) < 0)
			return -1;
		catalog_remove_temporary(s->catalog, o);
		return 0;
	}
	if (o->kind != O_TABLE)
		return forget_rows(d, o->id);
	if (exec_int(s, 0, "SELECT count(*) FROM m_fkey WHERE ref = ?1 AND object <> ?1", "i", o->id))
		return sqlerror_set(&d->error, 3726, d->stmt->line,
			"Could not drop object '%s' because it is referenced by a FOREIGN KEY constraint.", o->name);
	stmts_clear(s->stmts);
	if (exec_runf(s, d->stmt->line, &d->error, "DROP TABLE %s", o->sql) < 0)
		return -1;
	counter_reset(s, o->id, false, 0);
	s->touched_count = 0;
	return forget_rows(d, o->id);
}

static bool may_drop(struct ddl *d, const struct object *o) {
	return o->temporary || security_has(d->s, o->database->id, o->id, ddl_schema_of(d, o), "ALTER");
}

static int drop_relation(struct ddl *d, const struct name *n, enum object_kind kind, const char *what) {
	struct sqlerror ignored = { 0 };
	struct object *o = kind == O_PROCEDURE || kind == O_TRIGGER ? catalog_module(d->s->catalog, n, kind)
								    : catalog_object(d->s->catalog, n, &ignored);
	if (o && o->kind != kind && (o->kind == O_TABLE || o->kind == O_VIEW))
		return sqlerror_set(&d->error, 3705, d->stmt->line,
			"Cannot use DROP %s with '%s' because '%s' is a %s. Use DROP %s.", kind == O_TABLE ? "TABLE" : "VIEW",
			o->name, o->name, o->kind == O_TABLE ? "table" : "view", o->kind == O_TABLE ? "TABLE" : "VIEW");
	if (!o || o->kind == O_SYSTEM)
		return d->stmt->flag ? 0 : missing(d, what, last_part(n));
	return may_drop(d, o) ? ddl_drop_object(d, o) : missing(d, what, last_part(n));
}

static int drop_index(struct ddl *d, const struct name *n) {
	struct sqlerror ignored = { 0 };
	struct object *o = catalog_object(d->s->catalog, &d->stmt->name2, &ignored);
	const char *name = last_part(n);
	for (int i = 0; o && o->kind == O_TABLE && i < o->index_count; i++) {
		const struct index *x = &o->indexes[i];
		if (strcasecmp(x->name, name) != 0)
			continue;
		if (x->constraint)
			return sqlerror_set(&d->error, 3723, d->stmt->line,
				"An explicit DROP INDEX is not allowed on index '%s.%s'. It is being used for %s KEY "
				"constraint enforcement.",
				o->name, x->name, x->primary ? "PRIMARY" : "UNIQUE");
		if (!may_drop(d, o))
			break;
		if (ddl_drop_index(d, o, x) < 0)
			return -1;
		return exec_sql(d->s, &d->error, "DELETE FROM m_index_column WHERE object = ?1 AND idx = ?2", "ii", o->id,
			       (int64_t)x->id) < 0 ||
				       exec_sql(d->s, &d->error, "DELETE FROM m_index WHERE object = ?1 AND id = ?2", "ii", o->id,
					       (int64_t)x->id) < 0
			       ? -1
			       : 0;
	}
	return d->stmt->flag ? 0 : missing(d, "index", name);
}

static int drop_schema(struct ddl *d, const struct name *n) {
	int64_t db = catalog_current(d->s->catalog)->id;
	int64_t id =
		exec_int(d->s, 0, "SELECT id FROM m_schema WHERE db = ?1 AND name = ?2 AND number > 4", "is", db, last_part(n));
	if (!id)
		return d->stmt->flag ? 0
				     : sqlerror_set(&d->error, 15151, d->stmt->line,
					       "Cannot drop the schema '%.128s', because it does not exist or you do "
					       "not have permission.",
					       last_part(n));
	if (exec_int(d->s, 0, "SELECT count(*) FROM m_object WHERE schema = ?1", "i", id))
		return sqlerror_set(&d->error, 3729, d->stmt->line,
			"Cannot drop schema '%.128s' because it is being referenced by an object.", last_part(n));
	return exec_sql(d->s, &d->error, "DELETE FROM m_schema WHERE id = ?1", "i", id);
}

static int drop_principal(struct ddl *d, const struct name *n, const char *what, const char *type) {
	int64_t db = catalog_current(d->s->catalog)->id;
	int64_t id = exec_int(d->s, -1,
		"SELECT id FROM m_principal WHERE db = ?1 AND name = ?2 AND type = ?3 AND id > 2 AND id < 16384", "iss", db,
		last_part(n), type);
	if (id < 0)
		return d->stmt->flag ? 0
				     : sqlerror_set(&d->error, 15151, d->stmt->line,
					       "Cannot drop the %s '%.128s', because it does not exist or you do not "
					       "have permission.",
					       what, last_part(n));
	if (exec_sql(d->s, &d->error, "DELETE FROM m_member WHERE db = ?1 AND (role = ?2 OR member = ?2)", "ii", db, id) < 0 ||
		exec_sql(d->s, &d->error, "DELETE FROM m_permission WHERE db = ?1 AND grantee = ?2", "ii", db, id) < 0)
		return -1;
	return exec_sql(d->s, &d->error, "DELETE FROM m_principal WHERE db = ?1 AND id = ?2", "ii", db, id);
}

static int drop_login(struct ddl *d, const struct name *n) {
	int64_t id = security_is_admin(d->s) ? exec_int(d->s, 0, "SELECT id FROM m_login WHERE name = ?1", "s", last_part(n)) : 0;
	if (!id || strcasecmp(last_part(n), d->s->login) == 0)
		return d->stmt->flag ? 0
				     : sqlerror_set(&d->error, 15151, d->stmt->line,
					       "Cannot drop the login '%.128s', because it does not exist or you do "
					       "not have permission.",
					       last_part(n));
	if (exec_sql(d->s, &d->error, "UPDATE m_principal SET login = 0 WHERE login = ?1", "i", id) < 0)
		return -1;
	return exec_sql(d->s, &d->error, "DELETE FROM m_login WHERE id = ?1", "i", id);
}

static int drop_one(struct ddl *d, const struct name *n) {
	const char *kind = d->stmt->text;
	if (strcmp(kind, "TABLE") == 0)
		return drop_relation(d, n, O_TABLE, "table");
	if (strcmp(kind, "VIEW") == 0)
		return drop_relation(d, n, O_VIEW, "view");
	if (strcmp(kind, "PROCEDURE") == 0)
		return drop_relation(d, n, O_PROCEDURE, "procedure");
	if (strcmp(kind, "TRIGGER") == 0)
		return drop_relation(d, n, O_TRIGGER, "trigger");
	if (strcmp(kind, "INDEX") == 0)
		return drop_index(d, n);
	if (strcmp(kind, "SCHEMA") == 0)
		return drop_schema(d, n);
	if (strcmp(kind, "LOGIN") == 0)
		return drop_login(d, n);
	return drop_principal(d, n, strcmp(kind, "USER") == 0 ? "user" : "role", strcmp(kind, "USER") == 0 ? "S" : "R");
}

int ddl_drop(struct ddl *d) {
	for (int i = 0; i < d->stmt->name_count; i++)
		if (drop_one(d, &d->stmt->names[i]) < 0)
			return -1;
	return 0;
}
