/* The translator's entry points and what all its parts use: quoting, the record of used objects. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>
#include <strings.h>

bool tr_failed(const struct tr *tr) { return tr->error->number != 0; }

bool tr_same_word(const char *a, const char *b) { return strcasecmp(a, b) == 0; }

const char *tr_quote_len(struct tr *tr, const char *text, size_t len) {
	char *out = arena_alloc(tr->arena, len * 2 + 3), *at = out;
	*at++ = '\'';
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'')
			*at++ = '\'';
		*at++ = text[i];
	}
	*at = '\'';
	return out;
}

const char *tr_quote(struct tr *tr, const char *text) { return tr_quote_len(tr, text, strlen(text)); }

struct xtype tr_string_type(const struct tr *tr, enum sql_type type, int length) {
	struct xtype t = xtype_of(type, length, 0, 0);
	t.collation = tr->collation;
	t.label = LABEL_DEFAULT;
	return t;
}

struct xtype xtype_of_column(const struct column *column) {
	struct xtype t = { .type = column->type.type,
		.length = column->type.length,
		.precision = column->type.precision,
		.scale = column->type.scale,
		.nullable = column->nullable };
	if (xtype_is_char(t.type)) {
		t.collation = column->collation;
		t.label = LABEL_IMPLICIT;
	}
	return t;
}

struct tr_use *tr_use_object(struct tr *tr, const struct object *object, char kind) {
	struct tr_use *use = arena_alloc(tr->arena, sizeof *use);
	use->object = object;
	use->kind = kind;
	use->through_view = tr->within != NULL;
	vec_add(tr->arena, &tr->uses, use);
	return use;
}

void tr_init(struct tr *tr, struct arena *arena, const struct tr_host *host, struct tr_result *out, struct sqlerror *error) {
	*tr = (struct tr){ .arena = arena, .host = host, .out = out, .error = error };
	tr->collation = catalog_current(host->catalog)->collation;
}

void tr_finish(struct tr *tr) {
	if (!tr->out || !tr->uses.count)
		return;
	int count = tr->out->use_count + tr->uses.count;
	struct tr_use *uses = arena_alloc(tr->arena, sizeof *uses * (size_t)count);
	if (tr->out->use_count)
		memcpy(uses, tr->out->uses, sizeof *uses * (size_t)tr->out->use_count);
	for (int i = 0; i < tr->uses.count; i++)
		uses[tr->out->use_count + i] = *(struct tr_use *)tr->uses.at[i];
	tr->out->uses = uses;
	tr->out->use_count = count;
}

static int result_columns(struct tr *tr, const struct tr_query *q, struct sql_column **columns, const char ***collations) {
	*columns = arena_alloc(tr->arena, sizeof **columns * (size_t)(q->column_count + 1));
	*collations = arena_alloc(tr->arena, sizeof **collations * (size_t)(q->column_count + 1));
	for (int i = 0; i < q->column_count; i++) {
		const struct tr_column *c = &q->columns[i];
		if (c->type.label == LABEL_NONE)
			sqlerror_set(tr->error, 451, 1,
				"Cannot resolve collation conflict between \"%s\" and \"%s\" in SELECT statement column %d.",
				c->type.collation, c->type.collation2, i + 1);
		(*columns)[i] = xtype_column(&c->type, c->name);
		(*columns)[i].identity = c->identity;
		(*collations)[i] = c->type.collation;
	}
	return q->column_count;
}

/* SELECT @a = x, @b = y */
static void assigned_select(struct tr *tr, const struct select *s, struct tr_query *q) {
	int *slots = arena_alloc(tr->arena, sizeof *slots * (size_t)s->item_count);
	for (int i = 0; i < s->item_count && i < q->column_count; i++) {
		struct tr_variable v = { 0 };
		if (!s->items[i].variable) {
			sqlerror_set(tr->error, 141, s->line,
				"A SELECT statement that assigns a value to a variable must not be combined with data-retrieval "
				"operations.");
			return;
		}
		if (!tr->host->variable(tr->host->arg, s->items[i].variable, &v)) {
			sqlerror_set(tr->error, 137, s->line, "Must declare the scalar variable \"%s\".", s->items[i].variable);
			return;
		}
		slots[i] = v.slot;
	}
	tr->out->assign = slots;
	tr->out->assign_count = s->item_count;
}

static bool assigns(const struct select *s) {
	for (int i = 0; i < s->item_count; i++)
		if (s->items[i].variable)
			return true;
	return false;
}

static void select_statement(struct tr *tr, const struct stmt *stmt) {
	struct select *s = stmt->select;
	struct tr_query *q = tr_select(tr, s, true);
	if (tr_failed(tr))
		return;
	if (s->op == SET_NONE && assigns(s)) {
		assigned_select(tr, s, q);
	} else {
		tr->out->column_count = result_columns(tr, q, &tr->out->columns, &tr->out->collations);
		if (s->into.count)
			tr->out->into_table = &s->into;
	}
	tr->out->command = 193;
	tr_step(tr, TR_ROWS, true, tr_render(tr, q));
}

int translate_statement(
	struct arena *arena, const struct tr_host *host, const struct stmt *stmt, struct tr_result *out, struct sqlerror *error) {
	struct tr tr;
	*out = (struct tr_result){ 0 };
	tr_init(&tr, arena, host, out, error);
	struct tr_cte *last = NULL;
	for (int i = 0; i < stmt->cte_count; i++) {
		struct tr_cte *c = arena_alloc(arena, sizeof *c);
		c->cte = &stmt->ctes[i];
		c->outer = last;
		last = c;
	}
	tr.ctes = last;
	switch ((int)stmt->kind) {
	case S_SELECT:
		select_statement(&tr, stmt);
		break;
	case S_INSERT:
		tr_insert(&tr, stmt);
		break;
	case S_UPDATE:
		tr_update(&tr, stmt);
		break;
	case S_DELETE:
		tr_delete(&tr, stmt);
		break;
	default:
		sqlerror_set(error, 102, stmt->line, "Incorrect syntax: the statement is no query.");
		break;
	}
	tr_finish(&tr);
	return error->number ? -1 : 0;
}

const char *translate_value(struct arena *arena, const struct tr_host *host, const struct expr *expr, const struct xtype *target,
	struct xtype *type, struct tr_result *uses, struct sqlerror *error) {
	struct tr tr;
	struct xtype own;
	tr_init(&tr, arena, host, uses, error);
	const char *sql = tr_expr(&tr, expr, &own);
	if (target && !own.null) {
		if (own.type != target->type && !xtype_implicit(own.type, target->type))
			tr_convert(&tr, sql, &own, target, expr->line);
		else
			sql = tr_cast(&tr, sql, &own, target, NULL, false, expr->line);
	}
	if (type)
		*type = target ? *target : own;
	tr_finish(&tr);
	return error->number ? NULL : arena_fmt(arena, "SELECT %s", sql);
}

const char *translate_condition(struct arena *arena, const struct tr_host *host, const struct expr *condition,
	struct tr_result *uses, struct sqlerror *error) {
	struct tr tr;
	tr_init(&tr, arena, host, uses, error);
	const char *sql = tr_cond(&tr, condition);
	tr_finish(&tr);
	return error->number ? NULL : arena_fmt(arena, "SELECT coalesce(%s,0)", sql);
}

const char *translate_table_expr(struct arena *arena, const struct tr_host *host, const struct object *table, const char *prefix,
	const struct expr *expr, bool condition, struct xtype *type, struct sqlerror *error) {
	struct tr tr;
	struct xtype own = { 0 };
	tr_init(&tr, arena, host, NULL, error);
	tr_push_scope(&tr);
	struct tr_source *source = tr_add_source(&tr, table->name, false, table, table->column_count);
	for (int i = 0; i < table->column_count; i++)
		source->columns[i] = (struct tr_column){ .name = table->columns[i].name,
			.sql = arena_fmt(arena, "%s%s", prefix, table->columns[i].sql),
			.type = xtype_of_column(&table->columns[i]) };
	const char *sql = condition ? tr_cond(&tr, expr) : tr_expr(&tr, expr, &own);
	if (type)
		*type = own;
	return error->number ? NULL : sql;
}

const char *translate_default(
	struct arena *arena, const struct tr_host *host, const struct object *table, int column, struct sqlerror *error) {
	struct tr tr;
	struct xtype own;
	const struct column *c = &table->columns[column];
	if (!c->default_expr)
		return "NULL";
	tr_init(&tr, arena, host, NULL, error);
	const char *sql = tr_expr(&tr, c->default_expr, &own);
	sql = tr_put(&tr, sql, &own, table, column, "INSERT", c->default_expr->line);
	return error->number ? NULL : sql;
}

int translate_describe(struct arena *arena, const struct tr_host *host, const struct object *from, const struct select *select,
	struct sql_column **columns, const char ***collations, int *count, struct sqlerror *error) {
	struct tr tr;
	tr_init(&tr, arena, host, NULL, error);
	tr.within = from;
	const struct tr_query *q = tr_select(&tr, select, false);
	if (!error->number)
		*count = result_columns(&tr, q, columns, collations);
	return error->number ? -1 : 0;
}
