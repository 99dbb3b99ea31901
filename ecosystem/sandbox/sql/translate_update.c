/* UPDATE. A plain one is SQLite's own UPDATE; with FROM, TOP, OUTPUT, variables or triggers the new values go to
 * temp.m_update<width> first (rid, v1..), then into the table by rowid, and what is to be told is read from both. DELETE with
 * FROM uses the same way. */
#include "ecosystem/sandbox/sql/translate_update.h"

#include <string.h>
#include "ecosystem/sandbox/sql/collation.h"

/* --- the target --- */

static struct tr_source *in_from(struct tr *tr, const struct name *name, const struct object **object) {
	for (int i = 0; i < tr->scope->sources.count; i++) {
		struct tr_source *source = tr->scope->sources.at[i];
		if (source->aliased && name->count == 1 && source->object &&
			collation_same_name(source->exposed, name->part[0])) {
			*object = source->object;
			return source;
		}
	}
	for (int i = 0; i < tr->scope->sources.count; i++) {
		struct tr_source *source = tr->scope->sources.at[i];
		if (source->object && source->object == *object)
			return source;
	}
	return NULL;
}

static bool is_alias(const struct from *f, const struct name *name) {
	if (!f || name->count != 1)
		return false;
	if (f->kind == F_JOIN)
		return is_alias(f->left, name) || is_alias(f->right, name);
	return f->alias && collation_same_name(f->alias, name->part[0]);
}

static bool is_cte(const struct tr *tr, const struct name *name) {
	for (const struct tr_cte *c = tr->ctes; c; c = c->outer)
		if (name->count == 1 && collation_same_name(c->cte->name, name->part[0]))
			return true;
	return false;
}

int tr_target(struct tr *tr, const struct stmt *s, struct tr_target *t) {
	*t = (struct tr_target){ .from = "" };
	if (is_cte(tr, &s->name))
		return sqlerror_set(tr->error, 40000, s->line,
			"Changing a common table expression is not supported by the stand-in; name the table.");
	if (!is_alias(s->from, &s->name)) {
		t->object = catalog_object(tr->host->catalog, &s->name, tr->error);
		if (!t->object)
			return -1;
	}
	tr_push_scope(tr);
	if (s->from) {
		t->from = tr_from(tr, s->from);
		if (tr_failed(tr))
			return -1;
		t->source = in_from(tr, &s->name, &t->object);
	}
	if (!t->object)
		return sqlerror_set(tr->error, 208, s->line, "Invalid object name '%s'.", s->name.part[s->name.count - 1]);
	if (t->object->kind != O_TABLE)
		return sqlerror_set(tr->error, 4405, s->line,
			"View or function '%s' is not updatable because the modification affects multiple base tables.",
			t->object->name);
	if (!t->source) {
		t->source = tr_table_source(tr, t->object, NULL);
		t->from = arena_fmt(
			tr->arena, "%s%s%s AS %s", t->from, *t->from ? " JOIN " : "", t->object->sql, t->source->sql_alias);
	}
	t->where = s->where ? tr_cond(tr, s->where) : NULL;
	tr->out->target = t->object;
	return tr_failed(tr) ? -1 : 0;
}

struct tr_source *tr_rows_of(struct tr *tr, const struct object *o, const char *exposed, const char *prefix) {
	struct tr_source *source = arena_alloc(tr->arena, sizeof *source);
	*source = (struct tr_source){ .exposed = exposed, .aliased = true, .column_count = o->column_count };
	source->columns = arena_alloc(tr->arena, sizeof *source->columns * (size_t)(o->column_count + 1));
	for (int i = 0; i < o->column_count; i++)
		source->columns[i] = (struct tr_column){ .name = o->columns[i].name,
			.type = xtype_of_column(&o->columns[i]),
			.sql = arena_fmt(tr->arena, "%s%s", prefix, o->columns[i].sql) };
	return source;
}

/* --- the temporary rows --- */

const char *tr_keep(struct tr *tr, struct tr_kept *kept, const char *sql) {
	for (int i = 0; i < kept->count; i++)
		if (strcmp(kept->sql[i], sql) == 0)
			return arena_fmt(tr->arena, "u.v%d", i + 1);
	if (kept->count == TR_KEPT_MAX) {
		sqlerror_set(tr->error, 40000, 1,
			"A statement with FROM or OUTPUT over more than %d values is not supported by the stand-in.",
			TR_KEPT_MAX);
		return "NULL";
	}
	kept->sql[kept->count++] = sql;
	return arena_fmt(tr->arena, "u.v%d", kept->count);
}

const char *tr_kept_table(struct tr *tr, const struct tr_kept *kept) {
	return arena_fmt(tr->arena, "temp.m_update%d", kept->count <= 16 ? 16 : kept->count <= 64 ? 64 : TR_KEPT_MAX);
}

/* Everything of the scope's sources reads from the kept rows from now on. */
void tr_keep_sources(struct tr *tr, struct tr_kept *kept, const struct tr_source *but) {
	for (int i = 0; i < tr->scope->sources.count; i++) {
		struct tr_source *source = tr->scope->sources.at[i];
		if (source == but)
			continue;
		for (int k = 0; k < source->column_count; k++)
			source->columns[k].sql = tr_keep(tr, kept, source->columns[k].sql);
	}
}

void tr_fill_kept(struct tr *tr, const struct stmt *s, const struct tr_target *t, const struct tr_kept *kept) {
	const char *table = tr_kept_table(tr, kept), *names = "rid",
		   *list = arena_fmt(tr->arena, "%s.rowid", t->source->sql_alias);
	for (int i = 0; i < kept->count; i++) {
		names = arena_fmt(tr->arena, "%s,v%d", names, i + 1);
		list = arena_fmt(tr->arena, "%s,%s", list, kept->sql[i]);
	}
	const char *limit = s->top ? arena_fmt(tr->arena, " LIMIT %s", tr_limit(tr, s->top)) : "";
	tr_step(tr, TR_RUN, false, arena_fmt(tr->arena, "DELETE FROM %s", table));
	tr_step(tr, TR_RUN, false,
		arena_fmt(tr->arena, "INSERT OR IGNORE INTO %s(%s) SELECT %s FROM %s WHERE %s.rowid IS NOT NULL%s%s%s", table,
			names, list, t->from, t->source->sql_alias, t->where ? " AND " : "", t->where ? t->where : "", limit));
}

/* --- SET --- */

struct assigned {
	int column;
	const char *sql;
};

static struct expr *right_side(struct tr *tr, const struct assignment *a, struct expr *left) {
	if (a->op == '=')
		return a->expr;
	struct expr *e = arena_alloc(tr->arena, sizeof *e);
	*e = (struct expr){
		.kind = E_BINARY_OP, .line = a->expr->line, .text = arena_fmt(tr->arena, "%c", a->op), .a = left, .b = a->expr
	};
	return e;
}

static int set_column(struct tr *tr, const struct tr_target *t, const struct assignment *a, int line) {
	int column = catalog_column(t->object, a->column.part[a->column.count - 1]);
	const struct column *c = column >= 0 ? &t->object->columns[column] : NULL;
	if (!c)
		sqlerror_set(tr->error, 207, line, "Invalid column name '%s'.", a->column.part[a->column.count - 1]);
	else if (a->column.count > 1 && !tr_source_named(t->source, &a->column, a->column.count - 1) &&
		 !collation_same_name(t->object->name, a->column.part[a->column.count - 2]))
		sqlerror_set(tr->error, 4104, line, "The multi-part identifier \"%s.%s\" could not be bound.",
			a->column.part[a->column.count - 2], c->name);
	else if (c->computed_expr)
		sqlerror_set(tr->error, 271, line,
			"The column \"%s\" cannot be modified because it is either a computed column or is the result of a UNION "
			"operator.",
			c->name);
	else if (c->identity)
		sqlerror_set(tr->error, 8102, line, "Cannot update identity column '%s'.", c->name);
	else if (column == t->object->rowversion)
		sqlerror_set(tr->error, 272, line, "Cannot update a timestamp column.");
	return column;
}

static const char *default_of(struct tr *tr, const struct object *o, int column, struct xtype *type) {
	const struct column *c = &o->columns[column];
	struct tr_scope *scope = tr->scope;
	*type = (struct xtype){ .type = SQL_INT, .nullable = true, .null = true };
	if (!c->default_expr)
		return "NULL";
	tr->scope = NULL;
	const char *sql = tr_expr(tr, c->default_expr, type);
	tr->scope = scope;
	return sql;
}

static void assign_column(
	struct tr *tr, const struct tr_target *t, const struct assignment *a, struct assigned *list, int *count, int line) {
	struct xtype type;
	int column = set_column(tr, t, a, line);
	if (tr_failed(tr))
		return;
	for (int i = 0; i < *count; i++)
		if (list[i].column == column)
			sqlerror_set(tr->error, 264, line,
				"The column name '%s' is specified more than once in the SET clause or column list of an INSERT. "
				"A "
				"column cannot be assigned more than one value in the same clause.",
				t->object->columns[column].name);
	struct expr left = { .kind = E_COLUMN,
		.line = line,
		.name = { .part = { t->source->exposed, t->object->columns[column].name }, .count = 2, .line = line } };
	const char *sql = a->expr->kind == E_DEFAULT ? default_of(tr, t->object, column, &type)
						     : tr_expr(tr, right_side(tr, a, &left), &type);
	list[*count].column = column;
	list[(*count)++].sql = tr_put(tr, sql, &type, t->object, column, "UPDATE", line);
}

static const char *assign_variable(struct tr *tr, const struct assignment *a, int *slot) {
	struct tr_variable v = { 0 };
	struct xtype type;
	if (!tr->host->variable || !tr->host->variable(tr->host->arg, a->variable, &v)) {
		sqlerror_set(tr->error, 137, a->expr->line, "Must declare the scalar variable \"%s\".", a->variable);
		return "NULL";
	}
	struct expr left = { .kind = E_VARIABLE, .line = a->expr->line, .text = a->variable };
	const char *sql = tr_expr(tr, right_side(tr, a, &left), &type);
	*slot = v.slot;
	return tr_cast(tr, sql, &type, &v.type, NULL, false, a->expr->line);
}

/* --- the statement --- */

static void plain_update(struct tr *tr, const struct tr_target *t, const struct assigned *list, int count) {
	const char *set = "";
	for (int i = 0; i < count; i++)
		set = arena_fmt(tr->arena, "%s%s%s=%s", set, i ? "," : "", t->object->columns[list[i].column].sql, list[i].sql);
	tr_step(tr, TR_RUN, true,
		arena_fmt(tr->arena, "UPDATE %s AS %s SET %s%s%s", t->object->sql, t->source->sql_alias, set,
			t->where ? " WHERE " : "", t->where ? t->where : ""));
}

static void kept_update(struct tr *tr, const struct stmt *s, struct tr_target *t, const struct assigned *list, int count,
	const char *const *variables, const int *slots, int variable_count) {
	struct tr_kept *kept = arena_alloc(tr->arena, sizeof *kept);
	const char *set = "", *told = "";
	for (int i = 0; i < count; i++) {
		/* the rowversion is made when the row is written */
		const char *value = list[i].column == t->object->rowversion ? list[i].sql : tr_keep(tr, kept, list[i].sql);
		set = arena_fmt(tr->arena, "%s%s%s=%s", set, i ? "," : "", t->object->columns[list[i].column].sql, value);
	}
	for (int i = 0; i < variable_count; i++)
		told = arena_fmt(tr->arena, "%s%s%s", told, i ? "," : "", tr_keep(tr, kept, variables[i]));
	struct tr_source *deleted = tr_rows_of(tr, t->object, "deleted", arena_fmt(tr->arena, "%s.", t->source->sql_alias));
	struct tr_source *inserted = tr_rows_of(tr, t->object, "inserted", "x.");
	bool output = s->output_count || tr->host->capture_inserted || tr->host->capture_deleted;
	if (output) {
		for (int i = 0; i < deleted->column_count; i++)
			deleted->columns[i].sql = tr_keep(tr, kept, deleted->columns[i].sql);
		tr_keep_sources(tr, kept, t->source);
		/* the target's own name is not seen in OUTPUT */
		struct tr_output out;
		tr_output(tr, s, inserted, deleted, &out);
		told = tr_failed(tr) ? "" : tr_output_targets(tr, s, &out, inserted, deleted);
	}
	const char *table = tr_kept_table(tr, kept);
	tr_fill_kept(tr, s, t, kept);
	tr_step(tr, TR_RUN, true,
		arena_fmt(tr->arena, "UPDATE %s AS x SET %s FROM %s AS u WHERE x.rowid=u.rid", t->object->sql, set, table));
	if (output)
		tr_step(tr, TR_ROWS, false,
			arena_fmt(
				tr->arena, "SELECT %s FROM %s AS u JOIN %s AS x ON x.rowid=u.rid", told, table, t->object->sql));
	else if (variable_count)
		tr_step(tr, TR_ROWS, false, arena_fmt(tr->arena, "SELECT %s FROM %s AS u", told, table));
	if (variable_count && !output) {
		tr->out->assign = slots;
		tr->out->assign_count = variable_count;
	} else if (variable_count) {
		sqlerror_set(
			tr->error, 40000, s->line, "UPDATE with OUTPUT and variables at once is not supported by the stand-in.");
	}
}

int tr_update(struct tr *tr, const struct stmt *s) {
	struct tr_target t;
	int count = 0, variable_count = 0;
	struct assigned *list = arena_alloc(tr->arena, sizeof *list * (size_t)(s->set_count + 1));
	const char **variables = arena_alloc(tr->arena, sizeof *variables * (size_t)(s->set_count + 1));
	int *slots = arena_alloc(tr->arena, sizeof *slots * (size_t)(s->set_count + 1));
	if (tr_target(tr, s, &t) < 0)
		return -1;
	tr->out->command = 197;
	tr_use_object(tr, t.object, 'U');
	for (int i = 0; i < s->set_count && !tr_failed(tr); i++)
		if (s->set[i].variable) {
			variables[variable_count] = assign_variable(tr, &s->set[i], &slots[variable_count]);
			variable_count++;
		} else {
			assign_column(tr, &t, &s->set[i], list, &count, s->line);
		}
	if (tr_failed(tr))
		return -1;
	if (t.object->rowversion >= 0)
		list[count++] = (struct assigned){ .column = t.object->rowversion, .sql = "s_rowversion()" };
	bool plain = !s->from && !s->top && !s->output_count && !variable_count && !tr->host->capture_inserted &&
		     !tr->host->capture_deleted;
	if (plain)
		plain_update(tr, &t, list, count);
	else
		kept_update(tr, s, &t, list, count, variables, slots, variable_count);
	tr_pop_scope(tr);
	return tr_failed(tr) ? -1 : 0;
}
