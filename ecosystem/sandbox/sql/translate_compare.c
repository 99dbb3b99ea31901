/* Comparisons and the other predicates: both sides to one type, strings under the collation that wins (468 when none does). */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>

const char *tr_collation(struct tr *tr, const struct xtype *type, const char *operation, int line) {
	if (type->label == LABEL_NONE)
		sqlerror_set(tr->error, 468, line, "Cannot resolve the collation conflict between \"%s\" and \"%s\" in the %s operation.",
			     type->collation, type->collation2, operation);
	return type->collation;
}

const char *tr_collate(struct tr *tr, const struct xtype *type) {
	const char *name = type->null ? NULL : xtype_sqlite_collation(type);
	return name ? arena_fmt(tr->arena, " COLLATE %s", name) : "";
}

struct xtype tr_unify(struct tr *tr, const char **a, const struct xtype *a_type, const char **b, const struct xtype *b_type,
                      const char *operation, int line) {
	struct xtype common = xtype_common(a_type, b_type);
	if (xtype_is_char(common.type))
		tr_collation(tr, &common, operation, line);
	struct xtype to = common;
	if (xtype_is_char(common.type)) {
		/* blanks at the end and the width do not matter to a comparison */
		if (!xtype_is_char(a_type->type))
			*a = tr_convert(tr, *a, a_type, &to, line);
		if (!xtype_is_char(b_type->type))
			*b = tr_convert(tr, *b, b_type, &to, line);
		return common;
	}
	if (xtype_family(common.type) == FAMILY_BINARY && xtype_family(a_type->type) == xtype_family(b_type->type))
		return common;
	if (common.type == SQL_DECIMAL || common.type == SQL_MONEY) {
		/* DEC compares any two decimals; only other kinds need converting, integers to their text */
		to = xtype_of(SQL_DECIMAL, 0, 38, common.scale);
		if (xtype_family(a_type->type) != FAMILY_EXACT)
			*a = tr_convert(tr, *a, a_type, &to, line);
		if (xtype_family(b_type->type) != FAMILY_EXACT)
			*b = tr_convert(tr, *b, b_type, &to, line);
		return common;
	}
	*a = tr_convert(tr, *a, a_type, &to, line);
	*b = tr_convert(tr, *b, b_type, &to, line);
	return common;
}

static const char *operation_name(const char *op) {
	if (strcmp(op, "=") == 0)
		return "equal to";
	if (strcmp(op, "<>") == 0)
		return "not equal to";
	if (strcmp(op, "<") == 0)
		return "less than";
	if (strcmp(op, ">") == 0)
		return "greater than";
	return strcmp(op, "<=") == 0 ? "less than or equal to" : "greater than or equal to";
}

const char *tr_compare(struct tr *tr, const char *op, const char *a, const struct xtype *a_type, const char *b,
                       const struct xtype *b_type, int line) {
	const char *operation = operation_name(op);
	struct xtype common = tr_unify(tr, &a, a_type, &b, b_type, operation, line);
	return arena_fmt(tr->arena, "(%s%s%s%s)", a, op, b, tr_collate(tr, &common));
}

/* A whole number beyond int against an integer column: as integer, so that the column stays as it is (and its index useful). */
static const char *side(struct tr *tr, const struct expr *e, const struct expr *other, struct xtype *type) {
	const char *sql = tr_expr(tr, e, type);
	bool negative = e->kind == E_UNARY && e->text[0] == '-';
	const struct expr *number = negative ? e->a : e;
	struct xtype other_type;
	if (number->kind != E_INTEGER || type->type != SQL_DECIMAL || type->precision > 18 || tr_failed(tr))
		return sql;
	tr_expr(tr, other, &other_type);
	if (other_type.null || !xtype_is_integer(other_type.type))
		return sql;
	*type = xtype_of(SQL_BIGINT, 0, 0, 0);
	return arena_fmt(tr->arena, "%s%s", negative ? "-" : "", number->text);
}

static const char *quantified(struct tr *tr, const struct expr *e) {
	struct xtype left;
	const char *sql = tr_expr(tr, e->a, &left);
	struct tr_query *q = tr_select(tr, e->sub, false);
	if (tr_failed(tr))
		return "0";
	if (q->column_count != 1) {
		sqlerror_set(tr->error, 116, e->line,
			     "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.");
		return "0";
	}
	const char *alias = arena_fmt(tr->arena, "s%d", ++tr->next);
	const char *value = arena_fmt(tr->arena, "%s.n1", alias);
	const char *test = tr_compare(tr, e->text, sql, &left, value, &q->columns[0].type, e->line);
	const char *from = arena_fmt(tr->arena, "(%s) AS %s", tr_render(tr, q), alias);
	if (e->quantifier == 'A')
		return arena_fmt(tr->arena,
				 "(CASE WHEN EXISTS(SELECT 1 FROM %s WHERE NOT %s) THEN 0 WHEN EXISTS(SELECT 1 FROM %s WHERE %s IS NULL) THEN NULL ELSE 1 END)",
				 from, test, from, test);
	return arena_fmt(tr->arena,
			 "(CASE WHEN EXISTS(SELECT 1 FROM %s WHERE %s) THEN 1 WHEN EXISTS(SELECT 1 FROM %s WHERE %s IS NULL) THEN NULL ELSE 0 END)",
			 from, test, from, test);
}

static const char *comparison(struct tr *tr, const struct expr *e) {
	struct xtype a, b;
	if (e->quantifier)
		return quantified(tr, e);
	const char *left = side(tr, e->a, e->b, &a), *right = side(tr, e->b, e->a, &b);
	return tr_compare(tr, e->text, left, &a, right, &b, e->line);
}

static const char *in_query(struct tr *tr, const struct expr *e) {
	struct xtype left;
	const char *sql = tr_expr(tr, e->a, &left);
	struct tr_query *q = tr_select(tr, e->sub, false);
	if (tr_failed(tr))
		return "0";
	if (q->column_count != 1) {
		sqlerror_set(tr->error, 116, e->line,
			     "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.");
		return "0";
	}
	const char *inner = "x", *before = "x";
	struct xtype common = tr_unify(tr, &sql, &left, &inner, &q->columns[0].type, "equal to", e->line);
	if (strcmp(inner, before) != 0) {
		struct xtype to = common;
		if (xtype_family(to.type) == FAMILY_EXACT)
			to = xtype_of(SQL_DECIMAL, 0, 38, common.scale);
		q = tr_converted(tr, q, &to, e->line);
	}
	return arena_fmt(tr->arena, "(%s%s%s IN (%s))", sql, tr_collate(tr, &common), e->negated ? " NOT" : "", tr_render(tr, q));
}

static const char *in_list(struct tr *tr, const struct expr *e) {
	struct xtype left, *types = arena_alloc(tr->arena, sizeof *types * (size_t)(e->arg_count + 1));
	const char **items = arena_alloc(tr->arena, sizeof *items * (size_t)(e->arg_count + 1));
	const char *sql = tr_expr(tr, e->a, &left), *list = "";
	struct xtype common = left;
	for (int i = 0; i < e->arg_count; i++) {
		items[i] = side(tr, e->args[i], e->a, &types[i]);
		common = xtype_common(&common, &types[i]);
	}
	const char *converted = sql;
	for (int i = 0; i < e->arg_count; i++) {
		struct xtype target = common;
		target.nullable = left.nullable;
		converted = sql;
		const char *unused = "x";
		tr_unify(tr, &converted, &left, &unused, &target, "equal to", e->line);
		unused = "x";
		tr_unify(tr, &items[i], &types[i], &unused, &target, "equal to", e->line);
		list = arena_fmt(tr->arena, "%s%s%s", list, i ? "," : "", items[i]);
	}
	return arena_fmt(tr->arena, "(%s%s%s IN (%s))", converted, tr_collate(tr, &common), e->negated ? " NOT" : "", list);
}

static const char *between(struct tr *tr, const struct expr *e) {
	struct xtype value, low, high;
	const char *sql = tr_expr(tr, e->a, &value);
	const char *from = side(tr, e->b, e->a, &low), *to = side(tr, e->c, e->a, &high);
	const char *above = tr_compare(tr, ">=", sql, &value, from, &low, e->line);
	const char *below = tr_compare(tr, "<=", sql, &value, to, &high, e->line);
	return arena_fmt(tr->arena, "(%s(%s AND %s))", e->negated ? "NOT " : "", above, below);
}

static const char *like_side(struct tr *tr, const struct expr *e, struct xtype *type) {
	const char *sql = tr_expr(tr, e, type);
	if (type->null) {
		*type = tr_string_type(tr, SQL_VARCHAR, 1);
		return "NULL";
	}
	if (xtype_is_char(type->type))
		return sql;
	struct xtype text = tr_string_type(tr, SQL_VARCHAR, 8000);
	sql = tr_convert(tr, sql, type, &text, e->line);
	*type = text;
	return sql;
}

static const char *like(struct tr *tr, const struct expr *e) {
	struct xtype a, b, c;
	const char *text = like_side(tr, e->a, &a), *pattern = like_side(tr, e->b, &b), *escape = "NULL";
	struct xtype common = xtype_common(&a, &b);
	const char *collation = tr_collation(tr, &common, "like", e->line);
	if (e->c)
		escape = like_side(tr, e->c, &c);
	const char *sql = arena_fmt(tr->arena, "t_like(%s,%s,%s,%s,%d)", text, pattern, e->c ? escape : "''", tr_quote(tr, collation),
				    xtype_is_unicode(a.type) || xtype_is_unicode(b.type));
	return e->negated ? arena_fmt(tr->arena, "(NOT %s)", sql) : sql;
}

static const char *exists(struct tr *tr, const struct expr *e) {
	struct tr_query *q = tr_select(tr, e->sub, false);
	return tr_failed(tr) ? "0" : arena_fmt(tr->arena, "EXISTS(%s)", tr_render(tr, q));
}

const char *tr_predicate(struct tr *tr, const struct expr *e) {
	struct xtype type;
	const char *sql;
	switch ((int)e->kind) {
	case E_COMPARE:
		return comparison(tr, e);
	case E_IS_NULL:
		sql = tr_expr(tr, e->a, &type);
		return arena_fmt(tr->arena, "(%s IS %sNULL)", sql, e->negated ? "NOT " : "");
	case E_LIKE:
		return like(tr, e);
	case E_BETWEEN:
		return between(tr, e);
	case E_IN:
		return e->sub ? in_query(tr, e) : in_list(tr, e);
	case E_EXISTS:
		return exists(tr, e);
	default:
		sqlerror_set(tr->error, 4145, e->line, "An expression of non-boolean type specified in a context where a condition is expected.");
		return "0";
	}
}
