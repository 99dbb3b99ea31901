/* CREATE TABLE: of databases, #temporary and @variables; the tables that hold what triggers see.
 * Keys and constraints are in ddl_index.c, ALTER in ddl_alter.c. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/parser.h"

/* --- columns --- */

static int check_identity(struct ddl *d, const char *table, const struct column_def *c, bool *seen) {
	enum sql_type t = c->type.type;
	if (!c->identity)
		return 0;
	if (*seen)
		return sqlerror_set(&d->error, 2744, c->line,
			"Multiple identity columns specified for table '%.128s'. Only one identity column "
			"per table is allowed.",
			table);
	*seen = true;
	if (t != SQL_TINYINT && t != SQL_SMALLINT && t != SQL_INT && t != SQL_BIGINT && !(t == SQL_DECIMAL && c->type.scale == 0))
		return sqlerror_set(&d->error, 2749, c->line,
			"Identity column '%.128s' must be of data type int, bigint, smallint, tinyint, or "
			"decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
			c->name);
	return 0;
}

int ddl_check_columns(struct ddl *d, const char *table, const struct column_def *defs, int count) {
	bool identity = false;
	for (int i = 0; i < count; i++) {
		const struct column_def *c = &defs[i];
		for (int k = 0; k < i; k++)
			if (collation_same_name(defs[k].name, c->name))
				return sqlerror_set(&d->error, 2705, c->line,
					"Column names in each table must be unique. Column name '%.128s' in "
					"table '%.128s' is specified more than once.",
					c->name, table);
		if (check_identity(d, table, c, &identity) < 0)
			return -1;
		if (c->collation && strcasecmp(c->collation, "DATABASE_DEFAULT") != 0 && !collation_canonical(c->collation))
			return sqlerror_set(&d->error, 448, c->line, "Invalid collation '%.128s'.", c->collation);
		if (c->collation && !xtype_is_char(c->type.type))
			return sqlerror_set(&d->error, 447, c->line, "Expression type %s is invalid for COLLATE clause.",
				xtype_name(c->type.type));
	}
	return 0;
}

static const char *column_collation(const struct database *database, const struct column_def *def) {
	if (!xtype_is_char(def->type.type))
		return NULL;
	if (def->collation && strcasecmp(def->collation, "DATABASE_DEFAULT") != 0)
		return collation_canonical(def->collation);
	return database->collation;
}

/* "((0))" as SQL Server stores it: numbers in two brackets, others in one. */
static const char *default_text(struct ddl *d, const struct column_def *def) {
	const char *text = def->default_text;
	if (!text)
		return NULL;
	enum expr_kind kind = def->default_expr->kind;
	bool number = (kind == E_INTEGER || kind == E_DECIMAL) && text[0] != '(';
	return arena_fmt(d->arena, number ? "((%s))" : text[0] == '(' && text[strlen(text) - 1] == ')' ? "%s" : "(%s)", text);
}

int ddl_insert_column(struct ddl *d, const struct database *database, int64_t object, int id, const struct column_def *def) {
	int64_t def_object = 0;
	const char *text = default_text(d, def);
	if (text) {
		int64_t schema = exec_int(d->s, 0, "SELECT schema FROM m_object WHERE id = ?1", "i", object);
		const char *table = (const char *)"";
		const char *name = def->default_name;
		if (!name) {
			const struct object *o = catalog_by_id(d->s->catalog, object);
			name = ddl_made_name(d, "DF", o ? o->name : table, def->name);
		}
		if (ddl_insert_object(d, database, schema, name, "D", object, text, &def_object) < 0)
			return -1;
	}
	const char *collation = column_collation(database, def);
	return exec_sql(d->s, &d->error,
		"INSERT INTO m_column(object, id, name, type, length, prec, scale, collation, nullable, ident, seed, step, "
		"def_text, def_object, computed) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
		"iisiiiisiiiisis", object, (int64_t)id, def->name, (int64_t)def->type.type, (int64_t)def->type.length,
		(int64_t)def->type.precision, (int64_t)def->type.scale, collation, (int64_t)def->nullable, (int64_t)def->identity,
		def->seed, def->step, text, def_object, def->computed_text);
}

/* --- objects --- */

const char *ddl_made_name(struct ddl *d, const char *prefix, const char *table, const char *column) {
	int64_t next = exec_int(d->s, 0, "SELECT seq FROM sqlite_sequence WHERE name = 'm_object'", "") + 1;
	return arena_fmt(d->arena, "%s__%.9s__%s%s%08X", prefix, table, column ? arena_fmt(d->arena, "%.5s", column) : "",
		column ? "__" : "", (unsigned)(next * 2654435761u));
}

int ddl_insert_object(struct ddl *d, const struct database *database, int64_t schema, const char *name, const char *type,
	int64_t parent, const char *text, int64_t *id) {
	if (exec_int(d->s, 0, "SELECT count(*) FROM m_object WHERE db = ?1 AND schema = ?2 AND name = ?3", "iis",
		    (int64_t)database->id, schema, name))
		return sqlerror_set(
			&d->error, 2714, d->stmt->line, "There is already an object named '%.128s' in the database.", name);
	if (exec_sql(d->s, &d->error,
		    "INSERT INTO m_object(db, schema, name, type, parent, text, created, modified) VALUES(?1, ?2, ?3, ?4, ?5, "
		    "?6, "
		    "strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime'), strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime'))",
		    "iissis", (int64_t)database->id, schema, name, type, parent, text) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(d->s->db);
	return 0;
}

struct object *ddl_reload(struct ddl *d, int64_t id) {
	if (catalog_changed(d->s->catalog) != SQLITE_OK) {
		exec_sqlite_error(d->s, d->stmt->line, &d->error);
		return NULL;
	}
	catalog_refresh(d->s->catalog);
	return catalog_by_id(d->s->catalog, id);
}

int64_t ddl_schema_of(struct ddl *d, const struct object *o) {
	return exec_int(d->s, 0, "SELECT schema FROM m_object WHERE id = ?1", "i", o->id);
}

/* --- SQLite's text --- */

static const char *column_text(struct ddl *d, const struct object *o, const struct column *c) {
	char type[200];
	struct xtype x = xtype_of_column(c);
	xtype_sqlite_column(&x, type, sizeof type);
	if (!c->computed_expr)
		return arena_fmt(d->arena, "%s %s", c->sql, type);
	struct tr_host host = exec_host(d->s);
	const char *text = translate_table_expr(d->arena, &host, o, "", c->computed_expr, false, NULL, &d->error);
	return text ? arena_fmt(d->arena, "%s %s GENERATED ALWAYS AS (%s) VIRTUAL", c->sql, type, text) : NULL;
}

static const char *columns_text(struct ddl *d, const struct object *o) {
	const char *text = "";
	for (int i = 0; i < o->column_count; i++) {
		const char *one = column_text(d, o, &o->columns[i]);
		if (!one)
			return NULL;
		text = arena_fmt(d->arena, "%s%s%s", text, i ? ", " : "", one);
	}
	return text;
}

static const char *check_text(struct ddl *d, const struct object *o, int64_t id, const char *source) {
	struct tr_host host = exec_host(d->s);
	struct expr *e = parser_expression(d->arena, source, true, &d->error);
	const char *text = e ? translate_table_expr(d->arena, &host, o, "", e, true, NULL, &d->error) : NULL;
	/* a CHECK that is unknown holds, in SQLite too */
	return text ? arena_fmt(d->arena, ", CONSTRAINT k%lld CHECK(%s)", (long long)id, text) : NULL;
}

static const char *with_checks(struct ddl *d, const struct object *o, const char *text) {
	sqlite3_stmt *stmt = stmts_take(
		d->s->stmts, "SELECT id, text FROM m_object WHERE parent = ?1 AND type = 'C' AND NOT disabled ORDER BY id");
	if (stmt)
		sqlite3_bind_int64(stmt, 1, o->id);
	while (stmt && text && sqlite3_step(stmt) == SQLITE_ROW) {
		const char *one = check_text(d, o, sqlite3_column_int64(stmt, 0),
			arena_fmt(d->arena, "%s", (const char *)sqlite3_column_text(stmt, 1)));
		text = one ? arena_fmt(d->arena, "%s%s", text, one) : NULL;
	}
	stmts_put(d->s->stmts, stmt);
	return text;
}

static const char *with_references(struct ddl *d, const struct object *o, const char *text) {
	static const char *const deletes[] = { "", " ON DELETE CASCADE", " ON DELETE SET NULL" };
	static const char *const updates[] = { "", " ON UPDATE CASCADE" };
	sqlite3_stmt *stmt = stmts_take(
		d->s->stmts, "SELECT ref, columns, ref_columns, on_delete, on_update FROM m_fkey WHERE object = ?1 ORDER BY id");
	if (stmt)
		sqlite3_bind_int64(stmt, 1, o->id);
	while (stmt && text && sqlite3_step(stmt) == SQLITE_ROW)
		text = arena_fmt(d->arena, "%s, FOREIGN KEY(%s) REFERENCES t%lld(%s)%s%s", text,
			(const char *)sqlite3_column_text(stmt, 1), (long long)sqlite3_column_int64(stmt, 0),
			(const char *)sqlite3_column_text(stmt, 2), deletes[sqlite3_column_int(stmt, 3) % 3],
			updates[sqlite3_column_int(stmt, 4) % 2]);
	stmts_put(d->s->stmts, stmt);
	return text;
}

const char *ddl_table_text(struct ddl *d, const struct object *o) {
	const char *text = columns_text(d, o);
	if (text && !o->temporary)
		text = with_checks(d, o, text);
	if (text && !o->temporary)
		text = with_references(d, o, text);
	return text;
}

/* --- tables of databases --- */

/* The type of a computed column is that of its expression. */
static int compute_types(struct ddl *d, const struct object *o) {
	struct tr_host host = exec_host(d->s);
	for (int i = 0; i < o->column_count; i++) {
		struct xtype x;
		if (!o->columns[i].computed_expr)
			continue;
		if (!translate_table_expr(d->arena, &host, o, "", o->columns[i].computed_expr, false, &x, &d->error))
			return -1;
		if (exec_sql(d->s, &d->error,
			    "UPDATE m_column SET type = ?3, length = ?4, prec = ?5, scale = ?6, collation = ?7 WHERE object = ?1 "
			    "AND "
			    "id = ?2",
			    "iiiiiis", o->id, (int64_t)o->columns[i].id, (int64_t)x.type, (int64_t)x.length, (int64_t)x.precision,
			    (int64_t)x.scale, x.collation) < 0)
			return -1;
	}
	return 0;
}

static bool in_key(const struct stmt *stmt, const struct column_def *def) {
	for (int i = 0; i < stmt->constraint_count; i++)
		for (int c = 0; stmt->constraints[i].kind == C_PRIMARY && c < stmt->constraints[i].column_count; c++)
			if (collation_same_name(stmt->constraints[i].columns[c], def->name))
				return true;
	return false;
}

static int insert_rows(struct ddl *d, const struct database *database, int64_t id) {
	const struct stmt *stmt = d->stmt;
	for (int i = 0; i < stmt->def_count; i++) {
		struct column_def def = stmt->defs[i];
		if (!def.null_said && in_key(stmt, &def))
			def.nullable = false;
		if (ddl_insert_column(d, database, id, i + 1, &def) < 0)
			return -1;
	}
	struct object *o = ddl_reload(d, id);
	if (!o || compute_types(d, o) < 0 || !(o = ddl_reload(d, id)))
		return -1;
	for (int i = 0; i < stmt->def_count; i++)
		if (ddl_add_column_constraints(d, o, &stmt->defs[i]) < 0)
			return -1;
	for (int i = 0; i < stmt->constraint_count; i++)
		if (ddl_add_constraint(d, o, &stmt->constraints[i]) < 0)
			return -1;
	return 0;
}

static struct object *create_stored(struct ddl *d) {
	const struct database *database;
	int64_t schema, id;
	const char *name = d->stmt->name.part[d->stmt->name.count - 1];
	if (catalog_place(d->s->catalog, &d->stmt->name, &database, &schema, &d->error) < 0)
		return NULL;
	if (!security_has(d->s, database->id, 0, schema, "CREATE TABLE")) {
		sqlerror_set(&d->error, 262, d->stmt->line, "CREATE TABLE permission denied in database '%s'.", database->name);
		return NULL;
	}
	if (ddl_check_columns(d, name, d->stmt->defs, d->stmt->def_count) < 0 ||
		ddl_insert_object(d, database, schema, name, "U", 0, NULL, &id) < 0 || insert_rows(d, database, id) < 0)
		return NULL;
	struct object *o = ddl_reload(d, id);
	const char *text = o ? ddl_table_text(d, o) : NULL;
	if (!text || exec_runf(d->s, d->stmt->line, &d->error, "CREATE TABLE %s(%s)", o->sql, text) < 0)
		return NULL;
	for (int i = 0; i < o->index_count; i++)
		if (ddl_make_index(d, o, &o->indexes[i]) < 0)
			return NULL;
	return o;
}

/* --- temporary tables --- */

static void temporary_column(
	struct arena *arena, const struct database *database, int i, const struct column_def *def, struct column *c, bool key) {
	const char *text = def->default_text, *collation = column_collation(database, def);
	struct sqlerror ignored = { 0 };
	*c = (struct column){ .id = i + 1,
		.type = def->type,
		.nullable = def->nullable && !(key && !def->null_said),
		.identity = def->identity,
		.seed = def->seed,
		.step = def->step };
	c->name = arena_dup(arena, def->name, strlen(def->name));
	c->sql = arena_fmt(arena, "c%d", i + 1);
	c->collation = collation ? arena_dup(arena, collation, strlen(collation)) : NULL;
	if (text) {
		c->default_text = arena_dup(arena, text, strlen(text));
		c->default_expr = parser_expression(arena, c->default_text, false, &ignored);
	}
}

static int temporary_index(struct ddl *d, struct arena *arena, struct object *o, const char *prefix, bool primary,
	const char *const *columns, const bool *desc, int count, bool unique, bool constraint) {
	struct index *x = &o->indexes[o->index_count];
	*x = (struct index){
		.id = o->index_count + 1, .unique = unique, .primary = primary, .constraint = constraint, .clustered = primary
	};
	x->name = arena_fmt(arena, "%s__%.9s__%d", prefix, o->name, x->id);
	x->columns = arena_alloc(arena, sizeof *x->columns * (size_t)count);
	for (int i = 0; i < count; i++) {
		int column = catalog_column(o, columns[i]);
		if (column < 0)
			return sqlerror_set(&d->error, 1911, d->stmt->line,
				"Column name '%.128s' does not exist in the target table or view.", columns[i]);
		x->columns[x->column_count++] = (struct key_column){ .column = column, .desc = desc && desc[i] };
	}
	o->index_count++;
	return 0;
}

static int temporary_indexes(struct ddl *d, struct arena *arena, struct object *o) {
	const struct stmt *stmt = d->stmt;
	o->indexes = arena_alloc(
		arena, sizeof *o->indexes * (size_t)(stmt->def_count * 2 + stmt->constraint_count + TEMPORARY_INDEXES));
	for (int i = 0; i < stmt->def_count; i++) {
		const char *name = stmt->defs[i].name;
		if (stmt->defs[i].check)
			return sqlerror_set(
				&d->error, 40000, stmt->line, "CHECK on temporary tables is not supported by the stand-in.");
		if ((stmt->defs[i].primary || stmt->defs[i].unique) &&
			temporary_index(d, arena, o, stmt->defs[i].primary ? "PK" : "UQ", stmt->defs[i].primary, &name, NULL, 1,
				true, true) < 0)
			return -1;
	}
	for (int i = 0; i < stmt->constraint_count; i++) {
		const struct constraint_def *c = &stmt->constraints[i];
		if (c->kind != C_PRIMARY && c->kind != C_UNIQUE && c->kind != C_INDEX)
			return sqlerror_set(&d->error, 40000, stmt->line,
				"This constraint on temporary tables is not supported by the stand-in.");
		if (temporary_index(d, arena, o, c->kind == C_PRIMARY ? "PK" : "UQ", c->kind == C_PRIMARY, c->columns, c->desc,
			    c->column_count, c->kind != C_INDEX || c->unique, c->kind != C_INDEX) < 0)
			return -1;
	}
	return 0;
}

static struct object *create_temporary(struct ddl *d, const char *name) {
	struct session *s = d->s;
	const struct database *tempdb = catalog_database_by_id(s->catalog, 2);
	bool variable = name[0] == '@';
	struct arena arena = { 0 };
	struct object o = {
		.id = --s->temporary_id, .kind = O_TABLE, .schema = "dbo", .temporary = true, .identity = -1, .rowversion = -1
	};
	if (ddl_check_columns(d, name, d->stmt->defs, d->stmt->def_count) < 0)
		return NULL;
	struct database *place = arena_alloc(&arena, sizeof *place);
	*place = *tempdb;
	place->name = "tempdb";
	const char *collation = variable ? catalog_current(s->catalog)->collation : tempdb->collation;
	place->collation = arena_dup(&arena, collation, strlen(collation));
	o.database = place;
	o.name = arena_dup(&arena, name, strlen(name));
	o.sql = arena_fmt(&arena, "temp.x%lld", (long long)-o.id);
	o.column_count = d->stmt->def_count;
	o.columns = arena_alloc(&arena, sizeof *o.columns * (size_t)o.column_count);
	for (int i = 0; i < o.column_count; i++) {
		const struct column_def *def = &d->stmt->defs[i];
		temporary_column(&arena, place, i, def, &o.columns[i], in_key(d->stmt, def));
		if (def->computed_expr)
			sqlerror_set(&d->error, 40000, d->stmt->line,
				"Computed columns in temporary tables are not supported by the stand-in.");
		if (def->identity)
			o.identity = i;
		if (def->type.type == SQL_ROWVERSION)
			o.rowversion = i;
	}
	const char *text = d->error.number == 0 && temporary_indexes(d, &arena, &o) == 0 ? ddl_table_text(d, &o) : NULL;
	int rc = text ? exec_runf(s, d->stmt->line, &d->error, "CREATE TABLE %s(%s)", o.sql, text) : -1;
	for (int i = 0; i < o.index_count && rc == 0; i++)
		rc = ddl_make_index(d, &o, &o.indexes[i]);
	if (rc < 0) {
		arena_release(&arena);
		return NULL;
	}
	const void *scope = variable || (s->frame && s->frame->parent) ? s->frame : NULL;
	return catalog_add_temporary(s->catalog, &o, &arena, scope);
}

struct object *ddl_create_table(struct session *s, const struct stmt *stmt, struct sqlerror *error) {
	struct arena arena = { 0 };
	struct ddl d = { .s = s, .stmt = stmt, .arena = &arena };
	const char *name = stmt->kind == S_DECLARE ? stmt->text : stmt->name.part[stmt->name.count - 1];
	struct object *o = NULL;
	if (name[0] == '#' && catalog_temporary(s->catalog, name))
		sqlerror_set(&d.error, 2714, stmt->line, "There is already an object named '%.128s' in the database.", name);
	else if (name[0] == '#' || name[0] == '@')
		o = create_temporary(&d, name);
	else
		o = create_stored(&d);
	if (!o)
		*error = d.error;
	arena_release(&arena);
	return o;
}

/* --- what triggers see --- */

struct object *ddl_capture_table(struct session *s, const struct object *table, struct sqlerror *error) {
	struct arena *arena = &s->frame->arena;
	struct object *o = arena_alloc(arena, sizeof *o);
	const char *text = "";
	*o = *table;
	o->id = --s->temporary_id;
	o->temporary = true;
	o->sql = arena_fmt(arena, "temp.x%lld", (long long)-o->id);
	o->index_count = 0;
	o->columns = arena_alloc(arena, sizeof *o->columns * (size_t)table->column_count);
	for (int i = 0; i < table->column_count; i++) {
		char type[200];
		o->columns[i] = table->columns[i];
		o->columns[i].computed_expr = NULL;
		struct xtype x = xtype_of_column(&o->columns[i]);
		xtype_sqlite_column(&x, type, sizeof type);
		text = arena_fmt(arena, "%s%s%s %s", text, i ? ", " : "", o->columns[i].sql, type);
	}
	return exec_runf(s, 1, error, "CREATE TABLE %s(%s)", o->sql, text) < 0 ? NULL : o;
}

void ddl_drop_capture(struct session *s, const struct object *capture) {
	struct sqlerror ignored = { 0 };
	int rc = capture ? exec_runf(s, 1, &ignored, "DROP TABLE IF EXISTS %s", capture->sql) : 0;
	(void)rc;
}

int ddl_temporary_index(struct ddl *d, struct object *o, const struct constraint_def *c) {
	if (c->expr)
		return sqlerror_set(&d->error, 40000, d->stmt->line,
			"Filtered indexes on temporary tables are not supported by the stand-in.");
	if (o->index_count >= TEMPORARY_INDEXES)
		return sqlerror_set(&d->error, 40000, d->stmt->line, "Too many indexes on a temporary table for the stand-in.");
	struct arena *arena = catalog_temporary_arena(d->s->catalog, o);
	if (temporary_index(d, arena, o, c->name, false, c->columns, c->desc, c->column_count, c->unique, false) < 0)
		return -1;
	o->indexes[o->index_count - 1].name = arena_dup(arena, c->name, strlen(c->name));
	return ddl_make_index(d, o, &o->indexes[o->index_count - 1]);
}
