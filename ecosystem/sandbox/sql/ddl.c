/* Runs one DDL statement as a unit: writer's lock, transaction, new catalogue version. Schemas, views, procedures, triggers and
 * TRUNCATE are here; tables, indexes, ALTER, DROP and databases have their own files. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *last_part(const struct name *n) { return n->part[n->count - 1]; }

static int permitted(struct ddl *d, int database, int64_t schema, const char *permission) {
	if (security_has(d->s, database, 0, schema, permission))
		return 0;
	return sqlerror_set(&d->error, 262, d->stmt->line, "%s permission denied in database '%s'.", permission,
		catalog_database_by_id(d->s->catalog, database)->name);
}

static int create_schema(struct ddl *d) {
	const struct database *db = catalog_current(d->s->catalog);
	if (permitted(d, db->id, 0, "CREATE SCHEMA") < 0)
		return -1;
	if (exec_int(d->s, 0, "SELECT count(*) FROM m_schema WHERE db = ?1 AND name = ?2", "is", (int64_t)db->id, d->stmt->text))
		return sqlerror_set(&d->error, 2714, d->stmt->line, "There is already an object named '%.128s' in the database.",
			d->stmt->text);
	return exec_sql(d->s, &d->error,
		"INSERT INTO m_schema(db, name, number) SELECT ?1, ?2, max(number) + 1 FROM m_schema WHERE db = ?1", "is",
		(int64_t)db->id, d->stmt->text);
}

/* --- views, procedures, triggers --- */

static int store_view_columns(struct ddl *d, int64_t id) {
	struct sql_column *columns;
	const char **collations;
	int count;
	struct object *o = ddl_reload(d, id);
	struct tr_host host = exec_host(d->s);
	if (!o)
		return -1;
	if (translate_describe(d->arena, &host, o, o->view, &columns, &collations, &count, &d->error) < 0)
		return -1;
	if (o->view_column_count && o->view_column_count != count)
		return sqlerror_set(&d->error, o->view_column_count < count ? 8158 : 8159, d->stmt->line,
			"'%s' has %s columns than were specified in the "
			"column list.",
			o->name, o->view_column_count < count ? "more" : "fewer");
	for (int i = 0; i < count; i++) {
		const char *name = o->view_column_count ? o->view_columns[i] : columns[i].name;
		if (!name[0])
			return sqlerror_set(&d->error, 4511, d->stmt->line,
				"Create View or Function failed because no column name was specified for column %d.", i + 1);
		struct column_def def = { .name = name,
			.nullable = columns[i].nullable,
			.type = { .type = columns[i].type,
				.length = columns[i].length,
				.precision = columns[i].precision,
				.scale = columns[i].scale },
			.collation = collations ? collations[i] : NULL };
		for (int k = 0; k < i; k++)
			if (strcasecmp(o->view_column_count ? o->view_columns[k] : columns[k].name, name) == 0)
				return sqlerror_set(&d->error, 4506, d->stmt->line,
					"Column names in each view or function must be unique. Column name '%s' in "
					"view or function '%s' is specified more than once.",
					name, o->name);
		if (ddl_insert_column(d, o->database, id, i + 1, &def) < 0)
			return -1;
	}
	return 0;
}

static int existing(struct ddl *d, const struct database *db, int64_t schema, const char *type, int64_t *id) {
	const char *name = last_part(&d->stmt->name);
	*id = exec_int(d->s, 0, "SELECT id FROM m_object WHERE db = ?1 AND schema = ?2 AND name = ?3 AND type = ?4", "iiss",
		(int64_t)db->id, schema, name, type);
	if (*id && !d->stmt->flag && !d->stmt->flag2)
		return sqlerror_set(
			&d->error, 2714, d->stmt->line, "There is already an object named '%.128s' in the database.", name);
	if (!*id && d->stmt->flag2)
		return sqlerror_set(&d->error, 208, d->stmt->line, "Invalid object name '%.128s'.", name);
	return 0;
}

static int trigger_parent(struct ddl *d, int64_t *parent) {
	*parent = 0;
	if (d->stmt->kind != S_CREATE_TRIGGER)
		return 0;
	const struct object *table = catalog_object(d->s->catalog, &d->stmt->name2, &d->error);
	if (!table || table->kind != O_TABLE || table->temporary) {
		d->error.number = 0;
		return sqlerror_set(&d->error, 8197, d->stmt->line,
			"The object '%.128s' does not exist or is invalid for this operation.", last_part(&d->stmt->name2));
	}
	*parent = table->id;
	return 0;
}

static int create_module(struct ddl *d) {
	const struct stmt *stmt = d->stmt;
	const char *type = stmt->kind == S_CREATE_VIEW ? "V" : stmt->kind == S_CREATE_PROCEDURE ? "P" : "T";
	const struct database *db;
	int64_t schema, id, parent;
	if (catalog_place(d->s->catalog, &stmt->name, &db, &schema, &d->error) < 0)
		return -1;
	if (stmt->name.count > 2)
		return sqlerror_set(&d->error, 166, stmt->line,
			"'CREATE/ALTER %s' does not allow specifying the database name as a prefix to the object "
			"name.",
			type[0] == 'V'	 ? "VIEW"
			: type[0] == 'P' ? "PROCEDURE"
					 : "TRIGGER");
	if (permitted(d, db->id, schema, type[0] == 'V' ? "CREATE VIEW" : "CREATE PROCEDURE") < 0 ||
		existing(d, db, schema, type, &id) < 0 || trigger_parent(d, &parent) < 0)
		return -1;
	if (id) {
		if (exec_sql(d->s, &d->error, "DELETE FROM m_column WHERE object = ?1", "i", id) < 0 ||
			exec_sql(d->s, &d->error,
				"UPDATE m_object SET text = ?2, modified = strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime') "
				"WHERE id = ?1",
				"is", id, stmt->text) < 0)
			return -1;
	} else if (ddl_insert_object(d, db, schema, last_part(&stmt->name), type, parent, stmt->text, &id) < 0) {
		return -1;
	}
	if (type[0] == 'T')
		return exec_sql(d->s, &d->error, "UPDATE m_object SET events = ?2 WHERE id = ?1", "is", id, stmt->text2);
	return type[0] == 'V' ? store_view_columns(d, id) : 0;
}

/* --- indexes, TRUNCATE --- */

static struct object *stored_table(struct ddl *d, const struct name *name) {
	struct object *o = catalog_object(d->s->catalog, name, &d->error);
	if (o && o->kind == O_TABLE)
		return o;
	d->error.number = 0;
	sqlerror_set(&d->error, 4902, d->stmt->line,
		"Cannot find the object \"%.128s\" because it does not exist or you do not have permissions.", last_part(name));
	return NULL;
}

static int create_index(struct ddl *d) {
	const struct constraint_def *c = &d->stmt->constraints[0];
	struct object *o = catalog_object(d->s->catalog, &d->stmt->name, &d->error);
	if (!o || o->kind != O_TABLE) {
		d->error.number = 0;
		return sqlerror_set(&d->error, 1088, d->stmt->line,
			"Cannot find the object \"%.128s\" because it does not exist or you do not have "
			"permissions.",
			last_part(&d->stmt->name));
	}
	if (o->temporary)
		return ddl_temporary_index(d, o, c);
	if (c->expr && exec_check_options(d->s, o, "CREATE INDEX", d->stmt->line, &d->error) < 0)
		return -1;
	if (permitted(d, o->database->id, ddl_schema_of(d, o), "ALTER") < 0 || ddl_insert_index(d, o, c, 0, c->name) < 0)
		return -1;
	o = ddl_reload(d, o->id);
	for (int i = 0; o && i < o->index_count; i++)
		if (strcasecmp(o->indexes[i].name, c->name) == 0)
			return ddl_make_index(d, o, &o->indexes[i]);
	return -1;
}

static int truncate(struct ddl *d) {
	struct object *o = stored_table(d, &d->stmt->name);
	if (!o)
		return -1;
	if (!o->temporary && permitted(d, o->database->id, ddl_schema_of(d, o), "ALTER") < 0)
		return -1;
	if (exec_int(d->s, 0, "SELECT count(*) FROM m_fkey WHERE ref = ?1 AND object <> ?1", "i", o->id))
		return sqlerror_set(&d->error, 4712, d->stmt->line,
			"Cannot truncate table '%s' because it is being referenced by a FOREIGN KEY "
			"constraint.",
			o->name);
	counter_reset(d->s, o->id, false, 0);
	if (exec_sql(d->s, &d->error, "DELETE FROM m_counter WHERE object = ?1", "i", o->id) < 0)
		return -1;
	return exec_runf(d->s, d->stmt->line, &d->error, "DELETE FROM %s", o->sql);
}

/* --- the unit --- */

static int run(struct ddl *d, struct object **temporary) {
	switch (d->stmt->kind) {
	case S_CREATE_SCHEMA:
		return create_schema(d);
	case S_CREATE_TABLE:
		*temporary = ddl_create_table(d->s, d->stmt, &d->error);
		return *temporary ? 0 : -1;
	case S_CREATE_INDEX:
		return create_index(d);
	case S_CREATE_VIEW:
	case S_CREATE_PROCEDURE:
	case S_CREATE_TRIGGER:
		return create_module(d);
	case S_TRUNCATE:
		return truncate(d);
	case S_DROP:
		return ddl_drop(d);
	default:
		return ddl_alter(d);
	}
}

/* Tables of databases need the writer and, when they exist, their lock. */
static enum flow lock(struct ddl *d, bool *durable) {
	struct lock_request requests[2] = { { .resource = "writer", .mode = LOCK_X, .life = LOCK_TRANSACTION } };
	struct sqlerror ignored = { 0 };
	int count = 1;
	const struct name *n = d->stmt->kind == S_DROP && d->stmt->name_count ? &d->stmt->names[0] : &d->stmt->name;
	bool index = d->stmt->kind == S_DROP && strcmp(d->stmt->text, "INDEX") == 0;
	if (index)
		n = &d->stmt->name2;
	*durable = true;
	if (n->count && last_part(n)[0] == '#' && d->s->trancount == 0) {
		*durable = false;
		return FLOW_NEXT;
	}
	const struct object *o = n->count && d->stmt->kind != S_CREATE_SCHEMA ? catalog_object(d->s->catalog, n, &ignored) : NULL;
	if (o && o->kind == O_TABLE && !o->temporary) {
		snprintf(requests[count].resource, sizeof requests[count].resource, "t:%lld", (long long)o->id);
		requests[count].mode = LOCK_X;
		requests[count++].life = LOCK_TRANSACTION;
	}
	return tran_lock(d->s, requests, count, d->stmt->line);
}

enum flow ddl_execute(struct session *s, struct stmt *stmt) {
	struct arena arena = { 0 };
	struct ddl d = { .s = s, .stmt = stmt, .arena = &arena };
	struct object *temporary = NULL;
	bool durable;
	if (stmt->kind == S_CREATE_DATABASE || stmt->kind == S_ALTER_DATABASE || stmt->kind == S_DROP_DATABASE)
		return ddl_database(s, stmt);
	tran_implicit(s);
	enum flow flow = lock(&d, &durable);
	if (flow != FLOW_NEXT)
		return flow;
	s->command = 0;
	int rc = tran_begin_write(s, durable, stmt->line, &d.error);
	if (rc == 0) {
		rc = run(&d, &temporary);
		if (rc == 0 && durable)
			counters_save(s);
		if (rc == 0 && durable && catalog_changed(s->catalog) != SQLITE_OK) {
			exec_sqlite_error(s, stmt->line, &d.error);
			rc = -1;
		}
		if (tran_end_write(s, rc < 0, stmt->line, &d.error) < 0)
			rc = -1;
	}
	arena_release(&arena);
	catalog_refresh(s->catalog);
	if (rc < 0)
		return exec_fail(s, &d.error);
	return exec_done(s, -1, 0, false);
}
