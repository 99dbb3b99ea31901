/* Keys, indexes and constraints: their catalogue rows and SQLite's indexes. A unique index of SQL Server knows one NULL only:
 * SQLite gets a second index over the rows with NULL for that. */
#include "ecosystem/sandbox/sql/ddl.h"

#include <string.h>
#include <strings.h>

static int no_column(struct ddl *d, const char *name) {
	return sqlerror_set(
		&d->error, 1911, d->stmt->line, "Column name '%.128s' does not exist in the target table or view.", name);
}

/* --- SQLite's side --- */

static const char *bare(const struct object *o) { return o->temporary ? o->sql + strlen("temp.") : o->sql; }

static const char *index_name(struct ddl *d, const struct object *o, const struct index *x, const char *suffix) {
	return arena_fmt(d->arena, "%si%s_%d%s", o->temporary ? "temp." : "", bare(o), x->id, suffix);
}

static const char *key_text(struct ddl *d, const struct object *o, const struct index *x) {
	const char *text = "";
	for (int i = 0; i < x->column_count; i++)
		if (!x->columns[i].included)
			text = arena_fmt(d->arena, "%s%s%s%s", text, text[0] ? ", " : "", o->columns[x->columns[i].column].sql,
				x->columns[i].desc ? " DESC" : "");
	return text;
}

static int make_null_index(struct ddl *d, const struct object *o, const struct index *x, const char *filter) {
	const char *key = "", *nulls = "";
	for (int i = 0; i < x->column_count; i++) {
		const struct column *c = &o->columns[x->columns[i].column];
		struct xtype type = xtype_of_column(c);
		const char *collation = xtype_sqlite_collation(&type);
		if (x->columns[i].included)
			continue;
		key = arena_fmt(d->arena, "%s%s%s IS NULL, ifnull(%s, 0)%s%s", key, key[0] ? ", " : "", c->sql, c->sql,
			collation ? " COLLATE " : "", collation ? collation : "");
		if (c->nullable)
			nulls = arena_fmt(d->arena, "%s%s%s IS NULL", nulls, nulls[0] ? " OR " : "", c->sql);
	}
	if (!nulls[0])
		return 0;
	return exec_runf(d->s, d->stmt->line, &d->error, "CREATE UNIQUE INDEX %s ON %s(%s) WHERE (%s)%s%s",
		index_name(d, o, x, "n"), bare(o), key, nulls, filter ? " AND " : "", filter ? filter : "");
}

/* SQLite does not tell the value of a duplicate key: triggers look before the index does. */
static int make_key_triggers(struct ddl *d, const struct object *o, const struct index *x) {
	const char *same = "", *values = "", *columns = "";
	for (int i = 0; i < x->column_count; i++) {
		const char *c = o->columns[x->columns[i].column].sql;
		if (x->columns[i].included)
			continue;
		same = arena_fmt(d->arena, "%s%s%s IS NEW.%s", same, same[0] ? " AND " : "", c, c);
		values = arena_fmt(d->arena, "%s,NEW.%s", values, c);
		columns = arena_fmt(d->arena, "%s%s%s", columns, columns[0] ? "," : "", c);
	}
	char *text = x->constraint ? sqlite3_mprintf("Violation of %s KEY constraint '%s'. Cannot insert duplicate key in object '%s.%s'.",
						     x->primary ? "PRIMARY" : "UNIQUE", x->name, o->schema, o->name)
				   : sqlite3_mprintf("Cannot insert duplicate key row in object '%s.%s' with unique index '%s'.", o->schema,
						     o->name, x->name);
	char *quoted = sqlite3_mprintf("%Q", text);
	int rc = exec_runf(d->s, d->stmt->line, &d->error,
			   "DROP TRIGGER IF EXISTS %s; DROP TRIGGER IF EXISTS %s; CREATE TRIGGER %s BEFORE INSERT ON %s WHEN EXISTS(SELECT 1 FROM %s WHERE %s) BEGIN SELECT t_duplicate(%s%s); END; "
			   "CREATE TRIGGER %s BEFORE UPDATE OF %s ON %s WHEN EXISTS(SELECT 1 FROM %s WHERE %s AND rowid<>OLD.rowid) "
			   "BEGIN SELECT t_duplicate(%s%s); END",
			   index_name(d, o, x, "i"), index_name(d, o, x, "u"), index_name(d, o, x, "i"), bare(o), bare(o), same, quoted, values, index_name(d, o, x, "u"), columns, bare(o),
			   bare(o), same, quoted, values);
	sqlite3_free(quoted);
	sqlite3_free(text);
	return rc;
}

/* The trigger made last fires first, and the primary key is to be reported first. */
static int make_all_key_triggers(struct ddl *d, const struct object *o, const struct index *x) {
	int rc = make_key_triggers(d, o, x);
	for (int i = 0; rc == 0 && i < o->index_count; i++)
		if (o->indexes[i].primary && o->indexes[i].id != x->id)
			rc = make_key_triggers(d, o, &o->indexes[i]);
	return rc;
}

int ddl_make_index(struct ddl *d, const struct object *o, const struct index *x) {
	const char *filter = NULL;
	struct tr_host host = exec_host(d->s);
	if (x->filter) {
		filter = translate_table_expr(d->arena, &host, o, "", x->filter, true, NULL, &d->error);
		if (!filter)
			return -1;
	}
	int rc = exec_runf(d->s, d->stmt->line, &d->error, "CREATE %sINDEX %s ON %s(%s)%s%s", x->unique ? "UNIQUE " : "",
		index_name(d, o, x, ""), bare(o), key_text(d, o, x), filter ? " WHERE " : "", filter ? filter : "");
	if (rc == 0 && x->unique)
		rc = make_null_index(d, o, x, filter);
	if (rc < 0 && (d->error.number == 2627 || d->error.number == 2601)) {
		d->error.number = 0;
		return sqlerror_set(&d->error, 1505, d->stmt->line,
			"The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for "
			"the object name '%s.%s' and the index name '%s'.",
			o->schema, o->name, x->name);
	}
	return rc == 0 && x->unique && !filter ? make_all_key_triggers(d, o, x) : rc;
}

int ddl_drop_index(struct ddl *d, const struct object *o, const struct index *x) {
	return exec_runf(d->s, d->stmt->line, &d->error, 
		"DROP INDEX IF EXISTS %s; DROP INDEX IF EXISTS %s; DROP TRIGGER IF EXISTS %s; DROP TRIGGER IF EXISTS %s",
		index_name(d, o, x, ""), index_name(d, o, x, "n"), index_name(d, o, x, "i"), index_name(d, o, x, "u"));
}

/* --- catalogue --- */

static int check_key_column(struct ddl *d, const struct object *o, const char *name, bool primary, int *out) {
	int i = *out = catalog_column(o, name);
	if (i < 0)
		return no_column(d, name);
	const struct column *c = &o->columns[i];
	if (c->type.length == SQL_MAX_LENGTH)
		return sqlerror_set(&d->error, 1919, d->stmt->line,
			"Column '%s' in table '%s' is of a type that is invalid for use as a key column in "
			"an index.",
			c->name, o->name);
	if (primary && c->nullable)
		return sqlerror_set(&d->error, 8111, d->stmt->line,
			"Cannot define PRIMARY KEY constraint on nullable column in table '%s'.", o->name);
	return 0;
}

int ddl_insert_index(
	struct ddl *d, const struct object *o, const struct constraint_def *c, int64_t constraint, const char *name) {
	bool primary = c->kind == C_PRIMARY, unique = primary || c->kind == C_UNIQUE || c->unique;
	bool has_clustered = exec_int(d->s, 0, "SELECT count(*) FROM m_index WHERE object = ?1 AND clustered", "i", o->id) > 0;
	bool clustered = c->clustered || (primary && !c->nonclustered && !has_clustered);
	int64_t id = clustered ? 1
			       : exec_int(d->s, 2, "SELECT max(2, 1 + coalesce(max(id), 1)) FROM m_index WHERE object = ?1", "i",
					 o->id);
	int ordinal = 1, column;
	if (exec_int(d->s, 0, "SELECT count(*) FROM m_index WHERE object = ?1 AND name = ?2", "is", o->id, name))
		return sqlerror_set(&d->error, 1913, d->stmt->line,
			"The operation failed because an index or statistics with name '%.128s' already exists "
			"on table '%s.%s'.",
			name, o->schema, o->name);
	if (clustered && has_clustered)
		return sqlerror_set(&d->error, 1902, d->stmt->line,
			"Cannot create more than one clustered index on table '%s.%s'. Drop the existing "
			"clustered index before creating another.",
			o->schema, o->name);
	if (exec_sql(d->s, &d->error,
		    "INSERT INTO m_index(object, id, name, uniq, prim, constr, clustered, filter, constr_object) VALUES(?1, ?2, "
		    "?3, ?4, "
		    "?5, ?6, ?7, ?8, ?9)",
		    "iisiiiisi", o->id, id, name, (int64_t)unique, (int64_t)primary, (int64_t)(constraint != 0),
		    (int64_t)clustered, c->kind == C_INDEX ? c->text : NULL, constraint) < 0)
		return -1;
	for (int i = 0; i < c->column_count + (c->kind == C_INDEX ? c->ref_count : 0); i++) {
		bool included = i >= c->column_count;
		const char *text = included ? c->ref_columns[i - c->column_count] : c->columns[i];
		if (!included && check_key_column(d, o, text, primary, &column) < 0)
			return -1;
		column = catalog_column(o, text);
		if (column < 0)
			return no_column(d, text);
		if (exec_sql(d->s, &d->error, "INSERT INTO m_index_column VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "iiiiii", o->id, id,
			    (int64_t)ordinal++, (int64_t)o->columns[column].id, (int64_t)(!included && c->desc && c->desc[i]),
			    (int64_t)included) < 0)
			return -1;
	}
	return 0;
}

static int add_key(struct ddl *d, const struct object *o, const struct constraint_def *c) {
	bool primary = c->kind == C_PRIMARY;
	int64_t id;
	const char *name = c->name ? c->name : ddl_made_name(d, primary ? "PK" : "UQ", o->name, NULL);
	if (primary && exec_int(d->s, 0, "SELECT count(*) FROM m_index WHERE object = ?1 AND prim", "i", o->id))
		return sqlerror_set(
			&d->error, 8110, d->stmt->line, "Cannot add multiple PRIMARY KEY constraints to table '%s'.", o->name);
	if (ddl_insert_object(d, o->database, ddl_schema_of(d, o), name, primary ? "PK" : "UQ", o->id, NULL, &id) < 0)
		return -1;
	return ddl_insert_index(d, o, c, id, name);
}

/* --- foreign keys --- */

static bool covers(const struct object *parent, const struct index *x, const int *columns, int count) {
	int keys = 0, found = 0;
	for (int i = 0; i < x->column_count; i++) {
		keys += !x->columns[i].included;
		for (int k = 0; k < count && !x->columns[i].included; k++)
			found += columns[k] == x->columns[i].column;
	}
	(void)parent;
	return x->unique && !x->filter && keys == count && found == count;
}

static int referenced(struct ddl *d, const struct object *o, const struct object *parent, const struct constraint_def *c,
	const char *name, int *columns) {
	int count = 0;
	if (c->ref_count) {
		for (; count < c->ref_count; count++) {
			columns[count] = catalog_column(parent, c->ref_columns[count]);
			if (columns[count] < 0)
				return sqlerror_set(&d->error, 1770, d->stmt->line,
					"Foreign key '%.128s' references invalid column '%.128s' in referenced table "
					"'%s'.",
					name, c->ref_columns[count], parent->name);
		}
	} else {
		for (int i = 0; i < parent->index_count; i++)
			for (int k = 0; parent->indexes[i].primary && k < parent->indexes[i].column_count; k++)
				columns[count++] = parent->indexes[i].columns[k].column;
	}
	bool key = false;
	for (int i = 0; i < parent->index_count; i++)
		key |= covers(parent, &parent->indexes[i], columns, count);
	if (!key || count != c->column_count)
		return sqlerror_set(&d->error, 1776, d->stmt->line,
			"There are no primary or candidate keys in the referenced table '%s.%s' that match the "
			"referencing column list in the foreign key '%.128s'.",
			parent->schema, parent->name, name);
	for (int i = 0; i < count; i++) {
		int own = catalog_column(o, c->columns[i]);
		if (own < 0)
			return sqlerror_set(&d->error, 1769, d->stmt->line,
				"Foreign key '%.128s' references invalid column '%.128s' in referencing table '%s'.", name,
				c->columns[i], o->name);
		const struct type_spec *a = &o->columns[own].type, *b = &parent->columns[columns[i]].type;
		if (a->type != b->type || (xtype_is_char(a->type) ? false : a->precision != b->precision || a->scale != b->scale))
			return sqlerror_set(&d->error, 1778, d->stmt->line,
				"Column '%s.%s' is not the same data type as referencing column '%s.%s' in foreign "
				"key '%.128s'.",
				parent->name, parent->columns[columns[i]].name, o->name, c->columns[i], name);
	}
	return count;
}

static int add_foreign(struct ddl *d, const struct object *o, const struct constraint_def *c) {
	struct sqlerror ignored = { 0 };
	struct object *parent = catalog_object_from(d->s->catalog, o, &c->ref, &ignored);
	const char *name = c->name ? c->name : ddl_made_name(d, "FK", o->name, c->columns[0]), *own = "", *other = "";
	int columns[SQL_MAX_COLUMNS];
	int64_t id;
	if (!parent || parent->kind != O_TABLE || parent->temporary)
		return sqlerror_set(&d->error, 1767, d->stmt->line, "Foreign key '%.128s' references invalid table '%.128s'.",
			name, c->ref.part[c->ref.count - 1]);
	if (parent->database->id != o->database->id)
		return sqlerror_set(&d->error, 1763, d->stmt->line,
			"Cross-database foreign key references are not supported. Foreign key '%.128s'.", name);
	if (parent->id == o->id) /* keys of this very statement */
		parent = ddl_reload(d, o->id);
	int count = parent ? referenced(d, o, parent, c, name, columns) : -1;
	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		own = arena_fmt(d->arena, "%s%s%s", own, i ? "," : "", o->columns[catalog_column(o, c->columns[i])].sql);
		other = arena_fmt(d->arena, "%s%s%s", other, i ? "," : "", parent->columns[columns[i]].sql);
	}
	if (ddl_insert_object(d, o->database, ddl_schema_of(d, o), name, "F", o->id, NULL, &id) < 0)
		return -1;
	return exec_sql(d->s, &d->error, "INSERT INTO m_fkey VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)", "iiissii", id, o->id,
		parent->id, own, other,
		(int64_t)(c->cascade	? 1
			  : c->set_null ? 2
					: 0),
		(int64_t)c->update_cascade);
}

static int add_check(struct ddl *d, const struct object *o, const struct constraint_def *c) {
	struct tr_host host = exec_host(d->s);
	int64_t id;
	if (!translate_table_expr(d->arena, &host, o, "", c->expr, true, NULL, &d->error))
		return -1;
	return ddl_insert_object(d, o->database, ddl_schema_of(d, o), c->name ? c->name : ddl_made_name(d, "CK", o->name, NULL),
		"C", o->id, c->text, &id);
}

static int add_default(struct ddl *d, const struct object *o, const struct constraint_def *c) {
	int column = catalog_column(o, c->columns[0]);
	int64_t id;
	if (column < 0)
		return no_column(d, c->columns[0]);
	if (o->columns[column].default_expr)
		return sqlerror_set(&d->error, 1781, d->stmt->line, "Column already has a DEFAULT bound to it.");
	bool number = c->expr->kind == E_INTEGER || c->expr->kind == E_DECIMAL;
	const char *text = arena_fmt(d->arena, number ? "((%s))" : c->text[0] == '(' ? "%s" : "(%s)", c->text);
	if (ddl_insert_object(d, o->database, ddl_schema_of(d, o),
		    c->name ? c->name : ddl_made_name(d, "DF", o->name, c->columns[0]), "D", o->id, text, &id) < 0)
		return -1;
	return exec_sql(d->s, &d->error, "UPDATE m_column SET def_text = ?3, def_object = ?4 WHERE object = ?1 AND id = ?2",
		"iisi", o->id, (int64_t)o->columns[column].id, text, id);
}

int ddl_add_constraint(struct ddl *d, const struct object *o, const struct constraint_def *c) {
	switch (c->kind) {
	case C_PRIMARY:
	case C_UNIQUE:
		return add_key(d, o, c);
	case C_FOREIGN:
		return add_foreign(d, o, c);
	case C_CHECK:
		return add_check(d, o, c);
	case C_DEFAULT:
		return add_default(d, o, c);
	case C_INDEX:
		return ddl_insert_index(d, o, c, 0, c->name);
	}
	return 0;
}

int ddl_add_column_constraints(struct ddl *d, const struct object *o, const struct column_def *def) {
	if (def->primary || def->unique) {
		const char *name = def->name;
		struct constraint_def c = { .kind = def->primary ? C_PRIMARY : C_UNIQUE,
			.name = def->key_name,
			.columns = &name,
			.column_count = 1,
			.nonclustered = def->nonclustered,
			.line = def->line };
		if (add_key(d, o, &c) < 0)
			return -1;
	}
	if (def->check && ddl_add_constraint(d, o, def->check) < 0)
		return -1;
	return def->reference ? ddl_add_constraint(d, o, def->reference) : 0;
}
