/* Rows of the catalogue tables to struct object with columns, indexes and parsed texts; and the tables themselves. */
#include "ecosystem/sandbox/sql/catalog_load.h"

#include <string.h>
#include "ecosystem/sandbox/sql/parser.h"

static const char *text_at(struct catalog_load *l, sqlite3_stmt *stmt, int i) {
	const char *text = (const char *)sqlite3_column_text(stmt, i);
	return text ? arena_dup(l->arena, text, (size_t)sqlite3_column_bytes(stmt, i)) : NULL;
}

static struct expr *parsed(struct catalog_load *l, const char *text, bool condition) {
	struct sqlerror error = { 0 };
	return text ? parser_expression(l->arena, text, condition, &error) : NULL;
}

static sqlite3_stmt *rows(struct catalog_load *l, const char *sql, int64_t id) {
	sqlite3_stmt *stmt = stmts_take(l->stmts, sql);
	if (stmt)
		sqlite3_bind_int64(stmt, 1, id);
	return stmt;
}

static int count(struct catalog_load *l, const char *sql, int64_t id) {
	sqlite3_stmt *stmt = rows(l, sql, id);
	int n = stmt && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
	stmts_put(l->stmts, stmt);
	return n;
}

static void column(struct catalog_load *l, sqlite3_stmt *stmt, struct column *c) {
	c->id = sqlite3_column_int(stmt, 0);
	c->sql = arena_fmt(l->arena, "c%d", c->id);
	c->name = text_at(l, stmt, 1);
	c->type = (struct type_spec){ .type = (enum sql_type)sqlite3_column_int(stmt, 2),
		.length = sqlite3_column_int(stmt, 3),
		.precision = (uint8_t)sqlite3_column_int(stmt, 4),
		.scale = (uint8_t)sqlite3_column_int(stmt, 5) };
	c->collation = text_at(l, stmt, 6);
	c->nullable = sqlite3_column_int(stmt, 7) != 0;
	c->identity = sqlite3_column_int(stmt, 8) != 0;
	c->seed = sqlite3_column_int64(stmt, 9);
	c->step = sqlite3_column_int64(stmt, 10);
	c->default_text = text_at(l, stmt, 11);
	c->default_name = text_at(l, stmt, 12);
	c->computed_text = text_at(l, stmt, 13);
	c->default_expr = parsed(l, c->default_text, false);
	c->computed_expr = parsed(l, c->computed_text, false);
}

static void load_columns(struct catalog_load *l, struct object *o) {
	int n = count(l, "SELECT count(*) FROM m_column WHERE object = ?1", o->id);
	sqlite3_stmt *stmt = rows(l,
		"SELECT c.id, c.name, c.type, c.length, c.prec, c.scale, c.collation, c.nullable, c.ident, c.seed, "
		"c.step, c.def_text, d.name, c.computed FROM m_column c LEFT JOIN m_object d ON d.id = c.def_object "
		"WHERE c.object = ?1 ORDER BY c.id",
		o->id);
	o->columns = arena_alloc(l->arena, sizeof *o->columns * (size_t)(n ? n : 1));
	while (stmt && o->column_count < n && sqlite3_step(stmt) == SQLITE_ROW) {
		struct column *c = &o->columns[o->column_count++];
		column(l, stmt, c);
		if (c->identity)
			o->identity = o->column_count - 1;
		if (c->type.type == SQL_ROWVERSION)
			o->rowversion = o->column_count - 1;
	}
	stmts_put(l->stmts, stmt);
}

static int column_by_id(const struct object *o, int id) {
	for (int i = 0; i < o->column_count; i++)
		if (o->columns[i].id == id)
			return i;
	return 0;
}

static void load_index_columns(struct catalog_load *l, const struct object *o, struct index *index) {
	sqlite3_stmt *stmt = rows(l,
		"SELECT column, descending, included FROM m_index_column WHERE object = ?1 AND idx = ?2 "
		"ORDER BY included, ordinal",
		o->id);
	index->columns = arena_alloc(l->arena, sizeof *index->columns * (size_t)(o->column_count + 1));
	if (stmt)
		sqlite3_bind_int(stmt, 2, index->id);
	while (stmt && index->column_count < o->column_count && sqlite3_step(stmt) == SQLITE_ROW)
		index->columns[index->column_count++] = (struct key_column){
			.column = column_by_id(o, sqlite3_column_int(stmt, 0)),
			.desc = sqlite3_column_int(stmt, 1) != 0,
			.included = sqlite3_column_int(stmt, 2) != 0,
		};
	stmts_put(l->stmts, stmt);
}

static void load_indexes(struct catalog_load *l, struct object *o) {
	int n = count(l, "SELECT count(*) FROM m_index WHERE object = ?1", o->id);
	sqlite3_stmt *stmt = rows(l,
		"SELECT id, name, uniq, prim, constr, clustered, filter, constr_object FROM m_index "
		"WHERE object = ?1 ORDER BY id",
		o->id);
	o->indexes = arena_alloc(l->arena, sizeof *o->indexes * (size_t)(n ? n : 1));
	while (stmt && o->index_count < n && sqlite3_step(stmt) == SQLITE_ROW) {
		struct index *x = &o->indexes[o->index_count++];
		x->id = sqlite3_column_int(stmt, 0);
		x->name = text_at(l, stmt, 1);
		x->unique = sqlite3_column_int(stmt, 2) != 0;
		x->primary = sqlite3_column_int(stmt, 3) != 0;
		x->constraint = sqlite3_column_int(stmt, 4) != 0;
		x->clustered = sqlite3_column_int(stmt, 5) != 0;
		x->filter_text = text_at(l, stmt, 6);
		x->object = sqlite3_column_int64(stmt, 7);
		x->filter = parsed(l, x->filter_text, true);
	}
	stmts_put(l->stmts, stmt);
	for (int i = 0; i < o->index_count; i++)
		load_index_columns(l, o, &o->indexes[i]);
}

static void load_triggers(struct catalog_load *l, struct object *o) {
	sqlite3_stmt *stmt = rows(l, "SELECT events FROM m_object WHERE parent = ?1 AND type = 'T' AND NOT disabled", o->id);
	while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
		const char *events = (const char *)sqlite3_column_text(stmt, 0);
		o->insert_trigger |= events && strchr(events, 'I') != NULL;
		o->update_trigger |= events && strchr(events, 'U') != NULL;
		o->delete_trigger |= events && strchr(events, 'D') != NULL;
	}
	stmts_put(l->stmts, stmt);
}

static void load_view(struct catalog_load *l, struct object *o) {
	struct sqlerror error = { 0 };
	struct stmt *stmt = NULL;
	if (parser_batch(l->arena, o->text, strlen(o->text), &stmt, &error) < 0 || !stmt)
		return;
	o->view = stmt->select;
	o->view_columns = stmt->columns;
	o->view_column_count = stmt->column_count;
}

struct object *catalog_load_object(struct catalog_load *l, int64_t id) {
	sqlite3_stmt *stmt = rows(l,
		"SELECT o.id, o.name, s.name, o.type, o.text, o.db FROM m_object o JOIN m_schema s ON s.id = o.schema "
		"WHERE o.id = ?1 AND o.type IN ('U', 'V', 'P', 'T')",
		id);
	struct object *o = NULL;
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
		o = arena_alloc(l->arena, sizeof *o);
		o->id = id;
		o->name = text_at(l, stmt, 1);
		o->schema = text_at(l, stmt, 2);
		o->kind = (enum object_kind)sqlite3_column_text(stmt, 3)[0];
		o->text = text_at(l, stmt, 4);
		o->identity = o->rowversion = -1;
		for (int i = 0; i < l->database_count; i++)
			if (l->databases[i].id == sqlite3_column_int(stmt, 5))
				o->database = &l->databases[i];
	}
	stmts_put(l->stmts, stmt);
	if (!o)
		return NULL;
	load_columns(l, o);
	if (o->kind == O_TABLE) {
		o->sql = arena_fmt(l->arena, "t%lld", (long long)id);
		load_indexes(l, o);
		load_triggers(l, o);
	} else if (o->kind == O_VIEW) {
		load_view(l, o);
	}
	return o;
}

/* --- the tables --- */

static const char tables[] =
	"CREATE TABLE IF NOT EXISTS m_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_database(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, collation TEXT, compat "
	"INT, "
	"snapshot INT, state INT, single INT, created TEXT, allow_snapshot INT DEFAULT 0, single_owner INT DEFAULT 0);"
	"CREATE TABLE IF NOT EXISTS m_schema(id INTEGER PRIMARY KEY, db INT, name TEXT COLLATE NOCASE, number INT, UNIQUE(db, "
	"name));"
	"CREATE TABLE IF NOT EXISTS m_object(id INTEGER PRIMARY KEY AUTOINCREMENT, db INT, schema INT, name TEXT COLLATE NOCASE, "
	"type TEXT, parent INT DEFAULT 0, text TEXT, events TEXT, disabled INT DEFAULT 0, created TEXT, modified TEXT, "
	"UNIQUE(db, schema, name));"
	"CREATE INDEX IF NOT EXISTS m_object_parent ON m_object(parent);"
	"CREATE TABLE IF NOT EXISTS m_column(object INT, id INT, name TEXT COLLATE NOCASE, type INT, length INT, prec INT, scale "
	"INT, "
	"collation TEXT, nullable INT, ident INT, seed INT, step INT, def_text TEXT, def_object INT, computed TEXT, "
	"PRIMARY KEY(object, id)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_index(object INT, id INT, name TEXT COLLATE NOCASE, uniq INT, prim INT, constr INT, "
	"clustered INT, "
	"filter TEXT, constr_object INT, PRIMARY KEY(object, id)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_index_column(object INT, idx INT, ordinal INT, column INT, descending INT, included INT, "
	"PRIMARY KEY(object, idx, ordinal)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_fkey(id INTEGER PRIMARY KEY, object INT, ref INT, columns TEXT, ref_columns TEXT, "
	"on_delete INT, "
	"on_update INT);"
	"CREATE TABLE IF NOT EXISTS m_login(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, salt BLOB, hash BLOB, "
	"default_db TEXT, admin INT, disabled INT, created TEXT);"
	"CREATE TABLE IF NOT EXISTS m_principal(db INT, id INT, name TEXT COLLATE NOCASE, type TEXT, login INT, schema TEXT, "
	"PRIMARY KEY(db, id)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_member(db INT, role INT, member INT, PRIMARY KEY(db, role, member)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_permission(db INT, class TEXT, major INT, grantee INT, permission TEXT, state TEXT, "
	"PRIMARY KEY(db, class, major, grantee, permission)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS m_counter(object INTEGER PRIMARY KEY, last INT);"
	"INSERT OR IGNORE INTO sqlite_sequence(name, seq) SELECT 'm_object', 245575912 WHERE NOT EXISTS (SELECT 1 FROM "
	"sqlite_sequence);"
	"INSERT OR IGNORE INTO m_meta VALUES('version', 1);";

int catalog_prepare(sqlite3 *db, const char *collation, struct err *err) {
	char *sql = sqlite3_mprintf("%s INSERT OR IGNORE INTO m_meta VALUES('collation', %Q);", tables, collation);
	char *message = NULL;
	int rc = sql ? sqlite3_exec(db, sql, NULL, NULL, &message) : SQLITE_NOMEM;
	if (rc != SQLITE_OK)
		err_set(err, ERR_PERM, "SQLITE", "catalogue: %s", message ? message : sqlite3_errstr(rc));
	sqlite3_free(message);
	sqlite3_free(sql);
	return rc == SQLITE_OK ? 0 : -1;
}
