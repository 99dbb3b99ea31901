/* ALTER TABLE. Constraints and types are part of SQLite's stored CREATE TABLE text, which is written anew; rows are converted by
 * UPDATE. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/collation.h"

static const char *last_part(const struct name *n) { return n->part[n->count - 1]; }

int ddl_rewrite(struct ddl *d, const struct object *o) {
	const char *text = ddl_table_text(d, o);
	if (!text)
		return -1;
	stmts_clear(d->s->stmts);
	int64_t version = exec_int(d->s, 0, "PRAGMA schema_version", "");
	const char *sql = arena_fmt(d->arena, "CREATE TABLE %s(%s)", o->sql, text);
	if (exec_run(d->s, "PRAGMA writable_schema = ON", d->stmt->line, &d->error) < 0)
		return -1;
	int rc = exec_sql(
		d->s, &d->error, "UPDATE sqlite_master SET sql = ?1 WHERE type = 'table' AND name = ?2", "ss", sql, o->sql);
	stmts_clear(d->s->stmts);
	if (rc == 0)
		rc = exec_runf(d->s, d->stmt->line, &d->error, "PRAGMA schema_version = %lld", (long long)version + 1);
	struct sqlerror ignored = { 0 };
	if (exec_run(d->s, "PRAGMA writable_schema = RESET", d->stmt->line, &ignored) < 0)
		rc = -1;
	return rc;
}

/* --- ADD --- */

static int column_text(struct ddl *d, const struct object *o, int i, const char **out) {
	char type[200];
	struct tr_host host = exec_host(d->s);
	struct xtype x = xtype_of_column(&o->columns[i]);
	xtype_sqlite_column(&x, type, sizeof type);
	*out = type[0] ? arena_fmt(d->arena, "%s %s", o->columns[i].sql, type) : o->columns[i].sql;
	if (!o->columns[i].computed_expr)
		return 0;
	const char *text = translate_table_expr(d->arena, &host, o, "", o->columns[i].computed_expr, false, NULL, &d->error);
	if (!text)
		return -1;
	*out = arena_fmt(d->arena, "%s %s GENERATED ALWAYS AS (%s) VIRTUAL", o->columns[i].sql, type, text);
	return 0;
}

/* Rows that are there get the DEFAULT when the column is NOT NULL or WITH VALUES is said; identity and rowversion count on. */
static int fill_column(struct ddl *d, const struct object *o, int i, const struct column_def *def) {
	const char *value = NULL;
	struct tr_host host = exec_host(d->s);
	if (o->columns[i].identity)
		value = arena_fmt(d->arena, "s_identity(%lld)", (long long)o->id);
	else if (o->columns[i].type.type == SQL_ROWVERSION)
		value = "s_rowversion()";
	else if (o->columns[i].default_expr && (!def->nullable || def->with_values)) {
		value = translate_default(d->arena, &host, o, i, &d->error);
		if (!value)
			return -1;
	}
	if (!value)
		return 0;
	return exec_runf(d->s, d->stmt->line, &d->error, "UPDATE %s SET %s = %s", o->sql, o->columns[i].sql, value);
}

static int add_column(struct ddl *d, int64_t id, const struct column_def *def) {
	struct object *o = catalog_by_id(d->s->catalog, id);
	const char *text;
	if (catalog_column(o, def->name) >= 0)
		return sqlerror_set(&d->error, 2705, def->line,
			"Column names in each table must be unique. Column name '%.128s' in table '%s' is specified "
			"more than once.",
			def->name, o->name);
	if (def->identity && o->identity >= 0)
		return sqlerror_set(&d->error, 2744, def->line,
			"Multiple identity columns specified for table '%s'. Only one identity column per table is "
			"allowed.",
			o->name);
	int64_t column = exec_int(d->s, 1, "SELECT 1 + coalesce(max(id), 0) FROM m_column WHERE object = ?1", "i", id);
	bool rows = exec_int(d->s, 0, arena_fmt(d->arena, "SELECT EXISTS(SELECT 1 FROM %s)", o->sql), "") > 0;
	if (!def->nullable && !def->default_expr && !def->identity && !def->computed_expr && def->type.type != SQL_ROWVERSION &&
		rows)
		return sqlerror_set(&d->error, 4901, def->line,
			"ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT "
			"definition specified, or the column being added is an identity or timestamp column, or alternatively if "
			"none of the "
			"previous conditions are satisfied the table must be empty to allow addition of this column. Column "
			"'%.128s' cannot be "
			"added to non-empty table '%s' because it does not satisfy these conditions.",
			def->name, o->name);
	if (ddl_insert_column(d, o->database, id, (int)column, def) < 0 || !(o = ddl_reload(d, id)))
		return -1;
	int i = catalog_column(o, def->name);
	if (def->computed_expr) {
		struct tr_host host = exec_host(d->s);
		struct xtype x;
		if (!translate_table_expr(d->arena, &host, o, "", o->columns[i].computed_expr, false, &x, &d->error) ||
			exec_sql(d->s, &d->error,
				"UPDATE m_column SET type = ?3, length = ?4, prec = ?5, scale = ?6, collation = ?7 WHERE object "
				"= ?1 AND id = ?2",
				"iiiiiis", id, column, (int64_t)x.type, (int64_t)x.length, (int64_t)x.precision, (int64_t)x.scale,
				x.collation) < 0 ||
			!(o = ddl_reload(d, id)))
			return -1;
	}
	if (column_text(d, o, i, &text) < 0)
		return -1;
	stmts_clear(d->s->stmts);
	if (exec_runf(d->s, def->line, &d->error, "ALTER TABLE %s ADD COLUMN %s", o->sql, text) < 0 ||
		fill_column(d, o, i, def) < 0)
		return -1;
	return ddl_add_column_constraints(d, o, def);
}

/* Existing rows against what was added; the first that does not fit is error 547. */
static int check_rows(struct ddl *d, const struct object *o) {
	if (d->stmt->flag)
		return 0;
	d->s->command = 0;
	if (exec_runf(d->s, d->stmt->line, &d->error, "UPDATE %s SET rowid = rowid", o->sql) < 0)
		return -1;
	sqlite3_stmt *stmt = stmts_take(d->s->stmts, arena_fmt(d->arena, "PRAGMA foreign_key_check(%s)", o->sql));
	int64_t bad = stmt && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 3) : -1;
	stmts_put(d->s->stmts, stmt);
	if (bad < 0)
		return 0;
	const char *name = d->stmt->constraint_count && d->stmt->constraints[0].name ? d->stmt->constraints[0].name : "";
	return sqlerror_set(&d->error, 547, d->stmt->line,
		"The ALTER TABLE statement conflicted with the FOREIGN KEY constraint \"%.128s\".", name);
}

static bool is_stored_text(const struct stmt *stmt) {
	for (int i = 0; i < stmt->constraint_count; i++)
		if (stmt->constraints[i].kind == C_CHECK || stmt->constraints[i].kind == C_FOREIGN)
			return true;
	for (int i = 0; i < stmt->def_count; i++)
		if (stmt->defs[i].check || stmt->defs[i].reference)
			return true;
	return false;
}

static int add(struct ddl *d, struct object *o) {
	int64_t id = o->id;
	int known = o->index_count;
	if (ddl_check_columns(d, o->name, d->stmt->defs, d->stmt->def_count) < 0)
		return -1;
	for (int i = 0; i < d->stmt->def_count; i++)
		if (add_column(d, id, &d->stmt->defs[i]) < 0)
			return -1;
	o = ddl_reload(d, id);
	for (int i = 0; o && i < d->stmt->constraint_count; i++)
		if (ddl_add_constraint(d, o, &d->stmt->constraints[i]) < 0)
			return -1;
	o = ddl_reload(d, id);
	if (!o)
		return -1;
	(void)known;
	if (is_stored_text(d->stmt) && (ddl_rewrite(d, o) < 0 || check_rows(d, o) < 0))
		return -1;
	for (int i = 0; i < o->index_count; i++) {
		const char *name = arena_fmt(d->arena, "i%s_%d", o->sql, o->indexes[i].id);
		if (exec_int(d->s, 0, "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = ?1", "s", name) == 0 &&
			ddl_make_index(d, o, &o->indexes[i]) < 0)
			return -1;
	}
	return 0;
}

/* --- DROP --- */

static int in_use(struct ddl *d, const struct object *o, const char *column) {
	sqlerror_set(&d->error, 5074, d->stmt->line,
		"The object is dependent on column '%.128s'. ALTER TABLE DROP COLUMN %.128s failed because one or more "
		"objects access this column.",
		column, column);
	d->error.number = 4922;
	(void)o;
	return -1;
}

static int drop_column(struct ddl *d, struct object *o, const char *name) {
	int i = catalog_column(o, name);
	if (i < 0)
		return d->stmt->flag ? 0
				     : sqlerror_set(&d->error, 4924, d->stmt->line,
					       "ALTER TABLE DROP COLUMN failed because column '%.128s' does not exist in "
					       "table '%s'.",
					       name, o->name);
	for (int x = 0; x < o->index_count; x++)
		for (int k = 0; k < o->indexes[x].column_count; k++)
			if (o->indexes[x].columns[k].column == i)
				return in_use(d, o, name);
	if (o->columns[i].default_expr)
		return in_use(d, o, name);
	stmts_clear(d->s->stmts);
	struct sqlerror error = { 0 };
	if (exec_runf(d->s, d->stmt->line, &error, "ALTER TABLE %s DROP COLUMN %s", o->sql, o->columns[i].sql) < 0)
		return in_use(d, o, name); /* in a CHECK, a FOREIGN KEY or a computed column */
	return exec_sql(
		d->s, &d->error, "DELETE FROM m_column WHERE object = ?1 AND id = ?2", "ii", o->id, (int64_t)o->columns[i].id);
}

static int drop_constraint(struct ddl *d, struct object *o, const char *name) {
	int64_t id = exec_int(d->s, 0,
		"SELECT id FROM m_object WHERE parent = ?1 AND name = ?2 AND type IN ('PK', 'UQ', 'F', 'C', 'D')", "is", o->id,
		name);
	if (!id)
		return d->stmt->flag ? 0 : sqlerror_set(&d->error, 3728, d->stmt->line, "'%.128s' is not a constraint.", name);
	for (int x = 0; x < o->index_count; x++) {
		if (o->indexes[x].object != id)
			continue;
		if (exec_int(d->s, 0, "SELECT count(*) FROM m_fkey WHERE ref = ?1", "i", o->id) && o->indexes[x].primary)
			return sqlerror_set(&d->error, 3725, d->stmt->line,
				"The constraint '%s' is being referenced by a foreign key constraint.", name);
		if (ddl_drop_index(d, o, &o->indexes[x]) < 0 ||
			exec_sql(d->s, &d->error, "DELETE FROM m_index_column WHERE object = ?1 AND idx = ?2", "ii", o->id,
				(int64_t)o->indexes[x].id) < 0 ||
			exec_sql(d->s, &d->error, "DELETE FROM m_index WHERE object = ?1 AND id = ?2", "ii", o->id,
				(int64_t)o->indexes[x].id) < 0)
			return -1;
	}
	if (exec_sql(d->s, &d->error, "UPDATE m_column SET def_text = NULL, def_object = 0 WHERE object = ?1 AND def_object = ?2",
		    "ii", o->id, id) < 0 ||
		exec_sql(d->s, &d->error, "DELETE FROM m_fkey WHERE id = ?1", "i", id) < 0 ||
		exec_sql(d->s, &d->error, "DELETE FROM m_object WHERE id = ?1", "i", id) < 0)
		return -1;
	o = ddl_reload(d, o->id);
	return o ? ddl_rewrite(d, o) : -1;
}

static int drop(struct ddl *d, struct object *o) {
	int64_t id = o->id;
	bool column = strcmp(d->stmt->text, "COLUMN") == 0;
	for (int i = 0; i < d->stmt->column_count; i++) {
		if ((column ? drop_column(d, o, d->stmt->columns[i]) : drop_constraint(d, o, d->stmt->columns[i])) < 0)
			return -1;
		o = ddl_reload(d, id);
		if (!o)
			return -1;
	}
	return 0;
}

/* --- ALTER COLUMN --- */

static int alter_column(struct ddl *d, struct object *o) {
	const struct column_def *def = &d->stmt->defs[0];
	int i = catalog_column(o, def->name);
	struct column before;
	if (i < 0)
		return sqlerror_set(&d->error, 4924, d->stmt->line,
			"ALTER TABLE ALTER COLUMN failed because column '%.128s' does not exist in table '%s'.", def->name,
			o->name);
	before = o->columns[i];
	if (def->collation && strcasecmp(def->collation, "DATABASE_DEFAULT") != 0 && !collation_canonical(def->collation))
		return sqlerror_set(&d->error, 448, d->stmt->line, "Invalid collation '%.128s'.", def->collation);
	const char *collation = !xtype_is_char(def->type.type) ? NULL
				: def->collation && strcasecmp(def->collation, "DATABASE_DEFAULT") != 0
					? collation_canonical(def->collation)
					: o->database->collation;
	if (exec_sql(d->s, &d->error,
		    "UPDATE m_column SET type = ?3, length = ?4, prec = ?5, scale = ?6, collation = ?7, nullable = ?8 WHERE "
		    "object = ?1 "
		    "AND id = ?2",
		    "iiiiiisi", o->id, (int64_t)before.id, (int64_t)def->type.type, (int64_t)def->type.length,
		    (int64_t)def->type.precision, (int64_t)def->type.scale, collation, (int64_t)def->nullable) < 0)
		return -1;
	for (int x = 0; x < o->index_count; x++)
		if (ddl_drop_index(d, o, &o->indexes[x]) < 0)
			return -1;
	o = ddl_reload(d, o->id);
	if (!o || ddl_rewrite(d, o) < 0)
		return -1;
	struct tr_host host = exec_host(d->s);
	const char *value = translate_conversion(d->arena, &host, o, i, &before, &d->error);
	if (!value || exec_runf(d->s, d->stmt->line, &d->error, "UPDATE %s SET %s = %s", o->sql, o->columns[i].sql, value) < 0)
		return -1;
	for (int x = 0; x < o->index_count; x++)
		if (ddl_make_index(d, o, &o->indexes[x]) < 0)
			return -1;
	return 0;
}

static int triggers(struct ddl *d, struct object *o) {
	if (d->stmt->column_count == 0)
		return exec_sql(d->s, &d->error, "UPDATE m_object SET disabled = ?2 WHERE parent = ?1 AND type = 'T'", "ii",
			o->id, (int64_t)!d->stmt->flag);
	for (int i = 0; i < d->stmt->column_count; i++) {
		if (!exec_int(d->s, 0, "SELECT count(*) FROM m_object WHERE parent = ?1 AND type = 'T' AND name = ?2", "is",
			    o->id, d->stmt->columns[i]))
			return sqlerror_set(&d->error, 4920, d->stmt->line,
				"ALTER TABLE failed because trigger '%.128s' on table '%s' does not exist.", d->stmt->columns[i],
				o->name);
		if (exec_sql(d->s, &d->error, "UPDATE m_object SET disabled = ?3 WHERE parent = ?1 AND type = 'T' AND name = ?2",
			    "isi", o->id, d->stmt->columns[i], (int64_t)!d->stmt->flag) < 0)
			return -1;
	}
	return 0;
}

int ddl_alter(struct ddl *d) {
	struct object *o = catalog_object(d->s->catalog, &d->stmt->name, &d->error);
	if (!o || o->kind != O_TABLE) {
		d->error.number = 0;
		return sqlerror_set(&d->error, 4902, d->stmt->line,
			"Cannot find the object \"%.128s\" because it does not exist or you do not have "
			"permissions.",
			last_part(&d->stmt->name));
	}
	if (o->temporary)
		return sqlerror_set(
			&d->error, 40000, d->stmt->line, "ALTER TABLE of temporary tables is not supported by the stand-in.");
	if (!security_has(d->s, o->database->id, o->id, ddl_schema_of(d, o), "ALTER"))
		return sqlerror_set(&d->error, 4902, d->stmt->line,
			"Cannot find the object \"%s\" because it does not exist or you do not have permissions.", o->name);
	switch (d->stmt->kind) {
	case S_ALTER_ADD:
		return add(d, o);
	case S_ALTER_DROP:
		return drop(d, o);
	case S_ALTER_COLUMN:
		return alter_column(d, o);
	default:
		return triggers(d, o);
	}
}
