/* UNION, EXCEPT and INTERSECT: columns of all parts brought to one type; brackets, which SQLite has none for, become derived tables. */
#include "ecosystem/sandbox/sql/translate_internal.h"

#include <string.h>

static const char *word(enum set_op op) {
	switch (op) {
	case SET_UNION:
		return "UNION";
	case SET_UNION_ALL:
		return "UNION ALL";
	case SET_EXCEPT:
		return "EXCEPT";
	case SET_INTERSECT:
		return "INTERSECT";
	case SET_NONE:
		break;
	}
	return "";
}

static bool unify(struct tr *tr, const struct select *s, struct tr_query *left, struct tr_query *right, struct xtype *types) {
	if (left->column_count != right->column_count) {
		sqlerror_set(tr->error, 205, s->line,
			     "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.");
		return false;
	}
	for (int i = 0; i < left->column_count; i++) {
		types[i] = xtype_common(&left->columns[i].type, &right->columns[i].type);
		if (!types[i].null && (xtype_is_integer(types[i].type) || xtype_family(types[i].type) == FAMILY_FLOAT))
			types[i].precision = xtype_of(types[i].type, 0, 0, 0).precision;
		if (s->op != SET_UNION_ALL && xtype_is_char(types[i].type) && !types[i].null)
			tr_collation(tr, &types[i], word(s->op), s->line);
	}
	return !tr_failed(tr);
}

/* A part as it may stand beside the operator. */
static const char *part(struct tr *tr, struct tr_query *q, bool collated, bool left) {
	if (q->ordered || q->limited || *q->with || (q->compound && !left))
		q = tr_wrapped(tr, q);
	if (collated && !q->compound)
		q->collated = true;
	return tr_render(tr, q);
}

void tr_set_operation(struct tr *tr, const struct select *s, struct tr_query *q, bool top) {
	struct tr_scope *scope = tr->scope;
	tr->scope = scope->outer;
	struct tr_query *left = tr_select(tr, s->left, false), *right = tr_select(tr, s->right, false);
	tr->scope = scope;
	if (tr_failed(tr))
		return;
	struct xtype *types = arena_alloc(tr->arena, sizeof *types * (size_t)(left->column_count + 1));
	if (!unify(tr, s, left, right, types))
		return;
	left = tr_converted(tr, left, types, s->line);
	right = tr_converted(tr, right, types, s->line);
	bool collated = s->op != SET_UNION_ALL;
	/* a UNION of a UNION ALL's rows must compare under its own collation */
	if (collated && left->compound && !left->collated)
		left = tr_wrapped(tr, left);
	q->compound = arena_fmt(tr->arena, "%s %s %s", part(tr, left, collated, true), word(s->op), part(tr, right, collated, false));
	q->collated = collated;
	q->correlated = left->correlated || right->correlated;
	q->column_count = left->column_count;
	q->columns = arena_alloc(tr->arena, sizeof *q->columns * (size_t)(left->column_count + 1));
	for (int i = 0; i < q->column_count; i++)
		q->columns[i] = (struct tr_column){ .name = left->columns[i].name, .type = types[i], .sql = arena_fmt(tr->arena, "n%d", i + 1) };
	q->order = tr_order_and_limit(tr, s, q, top, 104);
}
