/* One SELECT: select list, WHERE, GROUP BY, ORDER BY and TOP. Set operations are in translate_set.c, FROM in translate_from.c. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/collation.h"

const char *tr_render(struct tr *tr, const struct tr_query *q) {
	if (q->compound)
		return arena_fmt(tr->arena, "%s%s%s", q->with, q->compound, q->order);
	const char *list = "";
	for (int i = 0; i < q->column_count; i++)
		list = arena_fmt(tr->arena, "%s%s%s%s AS n%d", list, i ? "," : "", q->columns[i].sql,
				 q->collated ? tr_collate(tr, &q->columns[i].type) : "", i + 1);
	return arena_fmt(tr->arena, "%s%s%s%s%s", q->with, q->head, list, q->tail, q->order);
}

struct tr_query *tr_wrapped(struct tr *tr, struct tr_query *q) {
	const char *alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	struct tr_query *outer = arena_alloc(tr->arena, sizeof *outer);
	*outer = (struct tr_query){ .column_count = q->column_count, .with = "", .head = "SELECT ", .order = "", .single = q->single,
				    .plain = true };
	outer->tail = arena_fmt(tr->arena, " FROM (%s) AS %s", tr_render(tr, q), alias);
	outer->columns = arena_alloc(tr->arena, sizeof *outer->columns * (size_t)(q->column_count + 1));
	for (int i = 0; i < q->column_count; i++) {
		outer->columns[i] = q->columns[i];
		outer->columns[i].sql = arena_fmt(tr->arena, "%s.n%d", alias, i + 1);
	}
	return outer;
}

struct tr_query *tr_converted(struct tr *tr, struct tr_query *q, const struct xtype *types, int line) {
	bool changed = false;
	const char **sqls = arena_alloc(tr->arena, sizeof *sqls * (size_t)(q->column_count + 1));
	for (int i = 0; i < q->column_count; i++) {
		sqls[i] = tr_convert(tr, q->columns[i].sql, &q->columns[i].type, &types[i], line);
		changed = changed || strcmp(sqls[i], q->columns[i].sql) != 0;
	}
	if (!changed)
		return q;
	if (q->compound)
		q = tr_wrapped(tr, q);
	for (int i = 0; i < q->column_count; i++) {
		q->columns[i].sql = tr_convert(tr, q->columns[i].sql, &q->columns[i].type, &types[i], line);
		q->columns[i].type = types[i];
	}
	return q;
}

/* --- select list --- */

static void check_grouped_star(struct tr *tr, const struct tr_column *column, int line) {
	struct tr_scope *scope = tr->scope;
	for (int i = 0; i < scope->group_count; i++) {
		struct tr_source *source;
		int depth;
		if (scope->group[i]->kind == E_COLUMN && tr_resolve(tr, scope->group[i], &source, &depth) == column)
			return;
	}
	for (int i = 0; i < scope->sources.count; i++) {
		const struct tr_source *s = scope->sources.at[i];
		if (column >= s->columns && column < s->columns + s->column_count)
			sqlerror_set(tr->error, 8120, line,
				     "Column '%s.%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.",
				     s->exposed, column->name);
	}
}

static const char *assignment(struct tr *tr, const struct select_item *item, const char *sql, struct xtype *type) {
	struct tr_variable v = { 0 };
	if (!tr->host->variable || !tr->host->variable(tr->host->arg, item->variable, &v)) {
		sqlerror_set(tr->error, 137, item->expr->line, "Must declare the scalar variable \"%s\".", item->variable);
		return sql;
	}
	if (item->assign != '=') {
		struct expr variable = { .kind = E_VARIABLE, .line = item->expr->line, .text = item->variable };
		struct xtype own, result;
		const char op[2] = { item->assign, '\0' };
		const char *left = tr_expr(tr, &variable, &own);
		sql = tr_arithmetic(tr, op, left, &own, sql, type, &result, item->expr->line);
		*type = result;
	}
	if (!type->null && type->type != v.type.type && !xtype_implicit(type->type, v.type.type))
		return tr_convert(tr, sql, type, &v.type, item->expr->line);
	sql = tr_cast(tr, sql, type, &v.type, NULL, false, item->expr->line);
	*type = v.type;
	return sql;
}

static void add_column(struct tr *tr, struct vec *list, const char *name, const char *sql, const struct xtype *type, bool identity,
                       const struct expr *expr) {
	struct tr_column *c = arena_alloc(tr->arena, sizeof *c);
	*c = (struct tr_column){ .name = name, .sql = sql, .type = *type, .identity = identity, .expr = expr };
	vec_add(tr->arena, list, c);
}

static void item(struct tr *tr, const struct select_item *it, struct vec *list) {
	struct xtype type;
	if (it->expr->kind == E_STAR) {
		struct vec star = { 0 };
		tr_expand_star(tr, it->expr, &star);
		for (int i = 0; i < star.count; i++) {
			const struct tr_column *c = star.at[i];
			if (tr->scope->grouped)
				check_grouped_star(tr, c, it->expr->line);
			add_column(tr, list, c->name, c->sql, &c->type, c->identity, NULL);
		}
		return;
	}
	const char *sql = tr_expr(tr, it->expr, &type);
	const char *name = it->alias;
	bool identity = false;
	if (it->variable)
		sql = assignment(tr, it, sql, &type);
	if (it->expr->kind == E_COLUMN && !tr_failed(tr)) {
		struct tr_source *source;
		int depth;
		const struct tr_column *c = tr_resolve(tr, it->expr, &source, &depth);
		identity = c && c->identity;
		if (!name && c)
			name = c->name;
	}
	add_column(tr, list, name, sql, &type, identity, it->expr);
}

static void select_list(struct tr *tr, const struct select *s, struct tr_query *q) {
	struct vec list = { 0 };
	for (int i = 0; i < s->item_count; i++)
		item(tr, &s->items[i], &list);
	q->columns = arena_alloc(tr->arena, sizeof *q->columns * (size_t)(list.count + 1));
	q->column_count = list.count;
	for (int i = 0; i < list.count; i++)
		q->columns[i] = *(struct tr_column *)list.at[i];
	if (list.count > SQL_MAX_COLUMNS)
		sqlerror_set(tr->error, 1056, s->line, "The number of elements in the select list exceeds the maximum allowed number of %d elements.",
			     SQL_MAX_COLUMNS);
}

/* --- WHERE, GROUP BY, HAVING --- */

static const char *where_clause(struct tr *tr, const struct expr *where) {
	struct tr_scope *scope = tr->scope;
	scope->no_aggregates = scope->no_windows = true;
	const char *sql = tr_cond(tr, where);
	scope->no_aggregates = scope->no_windows = false;
	return arena_fmt(tr->arena, " WHERE %s", sql);
}

static bool has_column(const struct expr *e) {
	if (!e)
		return false;
	if (e->kind == E_COLUMN || e->sub)
		return true;
	for (int i = 0; i < e->arg_count; i++)
		if (has_column(e->args[i]))
			return true;
	return has_column(e->a) || has_column(e->b) || has_column(e->c);
}

static const char *group_clause(struct tr *tr, const struct select *s) {
	const char *sql = "";
	tr->scope->no_aggregates = tr->scope->no_windows = true;
	for (int i = 0; i < s->group_count; i++) {
		struct xtype type;
		if (tr_has_aggregate(s->group[i]))
			sqlerror_set(tr->error, 144, s->group[i]->line,
				     "Cannot use an aggregate or a subquery in an expression used for the group by list of a GROUP BY clause.");
		else if (!has_column(s->group[i]))
			sqlerror_set(tr->error, 164, s->group[i]->line,
				     "Each GROUP BY expression must contain at least one column that is not an outer reference.");
		const char *one = tr_expr(tr, s->group[i], &type);
		sql = arena_fmt(tr->arena, "%s%s%s%s", sql, i ? "," : " GROUP BY ", one, tr_collate(tr, &type));
	}
	tr->scope->no_aggregates = tr->scope->no_windows = false;
	return sql;
}

static bool is_aggregate_query(const struct select *s) {
	for (int i = 0; i < s->item_count; i++)
		if (tr_has_aggregate(s->items[i].expr))
			return true;
	for (int i = 0; i < s->order_count; i++)
		if (tr_has_aggregate(s->order[i].expr))
			return true;
	return s->having || s->group_count;
}

/* --- ORDER BY, TOP --- */

static int named_column(struct tr *tr, const struct tr_query *q, const struct expr *e) {
	int found = -1;
	if (e->kind == E_COLUMN && e->name.count == 1)
		for (int i = 0; i < q->column_count; i++) {
			const struct tr_column *c = &q->columns[i];
			if (!c->name || !collation_same_name(c->name, e->name.part[0]))
				continue;
			if (found >= 0 && strcmp(q->columns[found].sql, c->sql) != 0)
				sqlerror_set(tr->error, 209, e->line, "Ambiguous column name '%s'.", e->name.part[0]);
			found = i;
		}
	if (e->kind == E_INTEGER) {
		long position = strtol(e->text, NULL, 10);
		if (position < 1 || position > q->column_count)
			sqlerror_set(tr->error, 108, e->line, "The ORDER BY position number %ld is out of range of the number of items in the select list.",
				     position);
		else
			found = (int)position - 1;
	}
	return found;
}

static int same_column(struct tr *tr, const struct tr_query *q, const struct expr *e) {
	for (int i = 0; i < q->column_count; i++) {
		struct tr_source *source;
		int depth;
		if (q->columns[i].expr && tr_same_expr(tr, q->columns[i].expr, e))
			return i;
		if (!q->columns[i].expr && e->kind == E_COLUMN) {
			const struct tr_column *c = tr_resolve(tr, e, &source, &depth);
			if (c && strcmp(c->sql, q->columns[i].sql) == 0)
				return i;
		}
	}
	return -1;
}

const char *tr_order_by(struct tr *tr, const struct select *s, const struct tr_query *q, int not_listed) {
	const char *sql = "";
	for (int i = 0; i < s->order_count && !tr_failed(tr); i++) {
		const struct expr *e = s->order[i].expr;
		struct xtype type;
		const char *one;
		int at = named_column(tr, q, e);
		if (at < 0 && not_listed == 145)
			at = same_column(tr, q, e);
		if (at < 0 && not_listed)
			sqlerror_set(tr->error, not_listed, e->line, "ORDER BY items must appear in the select list if %s.",
				     not_listed == 145 ? "SELECT DISTINCT is specified"
						       : "the statement contains a UNION, INTERSECT or EXCEPT operator");
		if (at >= 0) {
			one = arena_fmt(tr->arena, "n%d", at + 1);
			type = q->columns[at].type;
		} else {
			one = tr_expr(tr, e, &type);
			if (e->kind != E_COLUMN && !has_column(e) && e->kind != E_SUBQUERY && e->kind != E_CALL)
				sqlerror_set(tr->error, e->kind == E_VARIABLE ? 1008 : 408, e->line,
					     "A constant expression was encountered in the ORDER BY list, position %d.", i + 1);
		}
		if (xtype_is_char(type.type) && !type.null)
			tr_collation(tr, &type, "ORDER BY", e->line);
		sql = arena_fmt(tr->arena, "%s%s%s%s%s", sql, i ? "," : " ORDER BY ", one, tr_collate(tr, &type), s->order[i].desc ? " DESC" : "");
	}
	return sql;
}

const char *tr_limit(struct tr *tr, const struct expr *count) {
	struct xtype type, big = xtype_of(SQL_BIGINT, 0, 0, 0);
	if (count->kind == E_INTEGER)
		return count->text;
	struct tr_scope *scope = tr->scope;
	tr->scope = NULL;
	const char *sql = tr_expr(tr, count, &type);
	tr->scope = scope;
	if (!type.null && !xtype_is_integer(type.type))
		sqlerror_set(tr->error, 1060, count->line, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.");
	return arena_fmt(tr->arena, "t_top(%s)", tr_convert(tr, sql, &type, &big, count->line));
}

const char *tr_order_and_limit(struct tr *tr, const struct select *s, struct tr_query *q, bool top, int not_listed) {
	bool cut = s->top || s->offset;
	if (s->order_count && !top && !cut)
		sqlerror_set(tr->error, 1033, s->line,
			     "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is also specified.");
	if (s->top && s->offset)
		sqlerror_set(tr->error, 10741, s->line, "A TOP can not be used in the same query or sub-query as a OFFSET.");
	if (s->top_percent)
		sqlerror_set(tr->error, 102, s->line, "Incorrect syntax near 'PERCENT'.");
	tr->scope->clause_number = 8127;
	const char *sql = tr_order_by(tr, s, q, not_listed);
	q->ordered = s->order_count > 0;
	q->limited = cut;
	if (s->top) {
		q->single = q->single || (s->top->kind == E_INTEGER && strcmp(s->top->text, "1") == 0);
		return arena_fmt(tr->arena, "%s LIMIT %s", sql, tr_limit(tr, s->top));
	}
	if (!s->offset)
		return sql;
	const char *rows = s->fetch ? tr_limit(tr, s->fetch) : "-1";
	return arena_fmt(tr->arena, "%s LIMIT %s OFFSET %s", sql, rows, tr_limit(tr, s->offset));
}

static void read_live(struct tr *tr, const struct select *s) {
	for (int i = 0; i < s->item_count; i++)
		if (s->items[i].variable) {
			union {
				const char *text;
				void *item;
			} name = { .text = s->items[i].variable };
			vec_add(tr->arena, &tr->live_variables, name.item);
		}
}

static void body(struct tr *tr, const struct select *s, struct tr_query *q, bool top) {
	struct tr_scope *scope = tr->scope;
	q->from = s->from ? tr_from(tr, s->from) : "";
	q->where = s->where && !tr_failed(tr) ? where_clause(tr, s->where) : "";
	const char *group = tr_failed(tr) ? "" : group_clause(tr, s), *having = "";
	scope->grouped = is_aggregate_query(s);
	scope->group = s->group;
	scope->group_count = s->group_count;
	scope->checked = true;
	scope->clause_number = 8120;
	if (!tr_failed(tr))
		select_list(tr, s, q);
	scope->clause_number = 8121;
	scope->no_windows = true;
	if (s->having && !tr_failed(tr))
		having = arena_fmt(tr->arena, " HAVING %s", tr_cond(tr, s->having));
	scope->no_windows = false;
	q->tail = arena_fmt(tr->arena, "%s%s%s%s%s", *q->from ? " FROM " : "", q->from, q->where, group, having);
	q->single = (!s->from || (scope->grouped && !s->group_count));
	q->grouped = scope->grouped;
	q->distinct = s->distinct;
	q->collated = s->distinct;
	q->head = s->distinct ? "SELECT DISTINCT " : "SELECT ";
	if (!tr_failed(tr))
		q->order = tr_order_and_limit(tr, s, q, top, s->distinct ? 145 : 0);
	q->plain = !s->distinct && !scope->grouped;
	q->correlated = scope->correlated;
	if (s->distinct)
		for (int i = 0; i < q->column_count; i++)
			if (xtype_is_char(q->columns[i].type.type) && !q->columns[i].type.null)
				tr_collation(tr, &q->columns[i].type, "DISTINCT", s->line);
}

struct tr_query *tr_select(struct tr *tr, const struct select *s, bool top) {
	struct tr_query *q = arena_alloc(tr->arena, sizeof *q);
	struct tr_cte *ctes = tr->ctes;
	*q = (struct tr_query){ .with = "", .head = "", .tail = "", .order = "", .from = "", .where = "" };
	if (tr_failed(tr))
		return q;
	for (int i = 0; i < s->cte_count; i++) {
		struct tr_cte *c = arena_alloc(tr->arena, sizeof *c);
		*c = (struct tr_cte){ .cte = &s->ctes[i], .outer = tr->ctes, .within = tr->within };
		tr->ctes = c;
	}
	int live = tr->live_variables.count;
	if (top)
		read_live(tr, s);
	tr_push_scope(tr);
	if (s->op != SET_NONE)
		tr_set_operation(tr, s, q, top);
	else
		body(tr, s, q, top);
	tr_pop_scope(tr);
	tr->live_variables.count = live;
	tr->ctes = ctes;
	return q;
}
