/* Expressions and conditions: T-SQL's precedence by one function a level. Conditions and values share the tree, but
 * each grammar position asks for one of them, as T-SQL has no boolean value. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <string.h>
#include <strings.h>

struct expr *parser_new_expr(struct parser *p, enum expr_kind kind) {
	struct expr *e = arena_alloc(p->arena, sizeof *e);
	e->kind = kind;
	e->line = parser_peek(p, 0)->line;
	return e;
}

static struct expr *node2(struct parser *p, enum expr_kind kind, const char *op, struct expr *a, struct expr *b) {
	struct expr *e = parser_new_expr(p, kind);
	e->text = op;
	e->a = a;
	e->b = b;
	return e;
}

struct expr **parser_expr_list(struct parser *p, int *count) {
	struct vec list = { 0 };
	do
		vec_add(p->arena, &list, parser_expr(p));
	while (parser_accept(p, ","));
	struct expr **out = arena_alloc(p->arena, sizeof *out * (size_t)list.count);
	for (int i = 0; i < list.count; i++)
		out[i] = list.at[i];
	*count = list.count;
	return out;
}

struct order_item *parser_order(struct parser *p, int *count) {
	struct vec list = { 0 };
	do {
		struct order_item *item = arena_alloc(p->arena, sizeof *item);
		item->expr = parser_expr(p);
		if (!parser_accept(p, "ASC"))
			item->desc = parser_accept(p, "DESC");
		vec_add(p->arena, &list, item);
	} while (parser_accept(p, ","));
	struct order_item *out = arena_alloc(p->arena, sizeof *out * (size_t)list.count);
	for (int i = 0; i < list.count; i++)
		out[i] = *(struct order_item *)list.at[i];
	*count = list.count;
	return out;
}

static struct over *over(struct parser *p) {
	struct over *o = arena_alloc(p->arena, sizeof *o);
	parser_expect(p, "(");
	if (parser_accept2(p, "PARTITION", "BY"))
		o->partition = parser_expr_list(p, &o->partition_count);
	if (parser_accept2(p, "ORDER", "BY"))
		o->order = parser_order(p, &o->order_count);
	if (parser_is(p, "ROWS")) {
		if (parser_is_at(p, 1, "UNBOUNDED") && parser_is_at(p, 2, "PRECEDING"))
			p->at += 3;
		else if (parser_is_at(p, 1, "BETWEEN") && parser_is_at(p, 2, "UNBOUNDED") && parser_is_at(p, 3, "PRECEDING") &&
			 parser_is_at(p, 4, "AND") && parser_is_at(p, 5, "CURRENT") && parser_is_at(p, 6, "ROW"))
			p->at += 7;
		else
			parser_fail(p);
		o->frame = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";
	}
	parser_expect(p, ")");
	return o;
}

static struct expr *case_expr(struct parser *p) {
	struct expr *e = parser_new_expr(p, E_CASE);
	struct vec list = { 0 };
	p->at++;
	if (!parser_is(p, "WHEN"))
		e->a = parser_expr(p);
	do {
		parser_expect(p, "WHEN");
		vec_add(p->arena, &list, e->a ? parser_expr(p) : parser_cond(p));
		parser_expect(p, "THEN");
		vec_add(p->arena, &list, parser_expr(p));
	} while (parser_is(p, "WHEN"));
	if (parser_accept(p, "ELSE"))
		e->b = parser_expr(p);
	parser_expect(p, "END");
	e->args = arena_alloc(p->arena, sizeof *e->args * (size_t)list.count);
	for (int i = 0; i < list.count; i++)
		e->args[i] = list.at[i];
	e->arg_count = list.count;
	return e;
}

/* Without a length a cast means 30 characters, elsewhere it means one. */
static struct type_spec cast_type(struct parser *p) {
	struct type_spec type = parser_type(p);
	if (type.length == 1 && !parser_is_at(p, -1, ")"))
		type.length = 30;
	return type;
}

static struct expr *cast_expr(struct parser *p) {
	struct expr *e = parser_new_expr(p, E_CAST);
	e->try_ = parser_is(p, "TRY_CAST") || parser_is(p, "TRY_CONVERT");
	e->convert = parser_is(p, "CONVERT") || parser_is(p, "TRY_CONVERT");
	p->at++;
	parser_expect(p, "(");
	if (e->convert) {
		e->type = cast_type(p);
		parser_expect(p, ",");
		e->a = parser_expr(p);
		if (parser_accept(p, ","))
			e->b = parser_expr(p);
	} else {
		e->a = parser_expr(p);
		parser_expect(p, "AS");
		e->type = cast_type(p);
	}
	parser_expect(p, ")");
	return e;
}

static struct expr *call(struct parser *p) {
	struct expr *e = parser_new_expr(p, E_CALL);
	const char *upper = parser_upper(p, parser_word(p));
	e->text = upper;
	parser_expect(p, "(");
	if (parser_accept(p, "*")) {
		e->star = true;
	} else if (strcmp(upper, "IIF") == 0) {
		e->a = parser_cond(p);
		parser_expect(p, ",");
		e->args = parser_expr_list(p, &e->arg_count);
	} else if (!parser_is(p, ")")) {
		if (!parser_accept(p, "ALL"))
			e->distinct = parser_accept(p, "DISTINCT");
		e->args = parser_expr_list(p, &e->arg_count);
	}
	parser_expect(p, ")");
	if (parser_accept(p, "OVER"))
		e->over = over(p);
	return e;
}

static struct expr *column(struct parser *p) {
	struct expr *e = parser_new_expr(p, E_COLUMN);
	e->name.line = e->line;
	e->name.part[e->name.count++] = parser_ident(p);
	while (e->name.count < 4 && parser_accept(p, ".")) {
		if (parser_accept(p, "*")) {
			e->kind = E_STAR;
			return e;
		}
		e->name.part[e->name.count++] = parser_is(p, ".") ? "" : parser_ident(p);
	}
	return e;
}

static struct expr *parenthesis(struct parser *p) {
	p->at++;
	struct expr *e;
	if (parser_starts_select(p)) {
		e = parser_new_expr(p, E_SUBQUERY);
		e->sub = parser_select(p);
	} else {
		e = parser_expr(p);
	}
	parser_expect(p, ")");
	return e;
}

static struct expr *literal(struct parser *p, enum expr_kind kind) {
	struct expr *e = parser_new_expr(p, kind);
	e->text = parser_peek(p, 0)->text;
	e->len = parser_peek(p, 0)->len;
	p->at++;
	return e;
}

/* A function that is called without brackets. */
static struct expr *niladic(struct parser *p) {
	struct expr *e = parser_new_expr(p, E_CALL);
	e->text = parser_upper(p, parser_word(p));
	return e;
}

static struct expr *primary(struct parser *p) {
	switch (parser_peek(p, 0)->kind) {
	case T_INTEGER:
		return literal(p, E_INTEGER);
	case T_DECIMAL:
		return literal(p, E_DECIMAL);
	case T_FLOAT:
		return literal(p, E_FLOAT);
	case T_STRING:
		return literal(p, E_STRING);
	case T_NSTRING:
		return literal(p, E_NSTRING);
	case T_BINARY:
		return literal(p, E_BINARY);
	case T_VARIABLE:
		return literal(p, E_VARIABLE);
	case T_QUOTED:
		return column(p);
	case T_SYMBOL:
		if (parser_is(p, "("))
			return parenthesis(p);
		if (parser_is(p, "*"))
			return literal(p, E_STAR);
		break;
	case T_WORD:
		if (parser_is(p, "NULL"))
			return literal(p, E_NULL);
		if (parser_is(p, "DEFAULT"))
			return literal(p, E_DEFAULT);
		if (parser_is(p, "CASE"))
			return case_expr(p);
		if (parser_is(p, "CURRENT_TIMESTAMP") || parser_is(p, "CURRENT_USER") || parser_is(p, "SESSION_USER") ||
		    parser_is(p, "SYSTEM_USER") || parser_is(p, "USER"))
			return niladic(p);
		if (!parser_is_at(p, 1, "("))
			return column(p);
		if (parser_is(p, "CAST") || parser_is(p, "CONVERT") || parser_is(p, "TRY_CAST") || parser_is(p, "TRY_CONVERT"))
			return cast_expr(p);
		if (parser_is_ident(p) || parser_is(p, "LEFT") || parser_is(p, "RIGHT") || parser_is(p, "NULLIF") ||
		    parser_is(p, "COALESCE"))
			return call(p);
		break;
	case T_END:
		break;
	}
	parser_fail(p);
	return parser_new_expr(p, E_NULL);
}

static struct expr *unary(struct parser *p) {
	struct expr *e;
	if (!parser_enter(p))
		return parser_new_expr(p, E_NULL);
	if (parser_is(p, "-") || parser_is(p, "+") || parser_is(p, "~")) {
		const char *op = parser_peek(p, 0)->text;
		p->at++;
		e = node2(p, E_UNARY, op, unary(p), NULL);
	} else {
		e = primary(p);
	}
	while (parser_accept(p, "COLLATE"))
		e = node2(p, E_COLLATE, parser_ident(p), e, NULL);
	p->depth--;
	return e;
}

static struct expr *product(struct parser *p) {
	struct expr *e = unary(p);
	while (parser_is(p, "*") || parser_is(p, "/") || parser_is(p, "%")) {
		const char *op = parser_peek(p, 0)->text;
		p->at++;
		e = node2(p, E_BINARY_OP, op, e, unary(p));
	}
	return e;
}

struct expr *parser_expr(struct parser *p) {
	struct expr *e = product(p);
	while (parser_is(p, "+") || parser_is(p, "-") || parser_is(p, "&") || parser_is(p, "|") || parser_is(p, "^")) {
		const char *op = parser_peek(p, 0)->text;
		p->at++;
		e = node2(p, E_BINARY_OP, op, e, product(p));
	}
	return e;
}

static struct expr *in_list(struct parser *p, struct expr *e) {
	parser_expect(p, "(");
	if (parser_starts_select(p))
		e->sub = parser_select(p);
	else
		e->args = parser_expr_list(p, &e->arg_count);
	parser_expect(p, ")");
	return e;
}

static struct expr *comparison(struct parser *p, struct expr *left) {
	static const char *const ops[] = { "=", "<", ">", "<=", ">=", "<>", "!=", "!<", "!>" };
	static const char *const plain[] = { "=", "<", ">", "<=", ">=", "<>", "<>", ">=", "<=" };
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		if (parser_accept(p, ops[i])) {
			struct expr *e = node2(p, E_COMPARE, plain[i], left, NULL);
			bool all = parser_is(p, "ALL"), some = parser_is(p, "ANY") || parser_is(p, "SOME");
			if ((all || some) && parser_is_at(p, 1, "(")) {
				p->at += 2;
				e->quantifier = all ? 'A' : 'S';
				e->sub = parser_select(p);
				parser_expect(p, ")");
			} else {
				e->b = parser_expr(p);
			}
			return e;
		}
	parser_fail(p);
	return left;
}

static struct expr *predicate(struct parser *p) {
	struct expr *left = parser_expr(p);
	if (parser_accept(p, "IS")) {
		struct expr *e = node2(p, E_IS_NULL, NULL, left, NULL);
		e->negated = parser_accept(p, "NOT");
		parser_expect(p, "NULL");
		return e;
	}
	bool negated = parser_accept(p, "NOT");
	struct expr *e;
	if (parser_accept(p, "LIKE")) {
		e = node2(p, E_LIKE, NULL, left, parser_expr(p));
		if (parser_accept(p, "ESCAPE"))
			e->c = parser_expr(p);
	} else if (parser_accept(p, "BETWEEN")) {
		e = node2(p, E_BETWEEN, NULL, left, parser_expr(p));
		parser_expect(p, "AND");
		e->c = parser_expr(p);
	} else if (parser_accept(p, "IN")) {
		e = in_list(p, node2(p, E_IN, NULL, left, NULL));
	} else if (negated) {
		parser_fail(p);
		return left;
	} else {
		return comparison(p, left);
	}
	e->negated = negated;
	return e;
}

/* "(" may open a condition or a value: the condition is right when a comparison follows inside before the bracket closes. */
static bool opens_condition(const struct parser *p) {
	int depth = 0;
	if (parser_is_at(p, 1, "SELECT") || parser_is_at(p, 1, "WITH"))
		return false;
	for (int i = 0; parser_peek(p, i)->kind != T_END; i++) {
		if (parser_is_at(p, i, "(") || parser_is_at(p, i, "CASE"))
			depth++;
		else if (parser_is_at(p, i, ")") || parser_is_at(p, i, "END"))
			depth--;
		if (depth == 0)
			break;
		if (parser_is_at(p, i, "EXISTS") || parser_is_at(p, i, "NOT") ||
		    (depth == 1 && (parser_is_at(p, i, "=") || parser_is_at(p, i, "<") || parser_is_at(p, i, ">") ||
				    parser_is_at(p, i, "<=") || parser_is_at(p, i, ">=") || parser_is_at(p, i, "<>") ||
				    parser_is_at(p, i, "!=") || parser_is_at(p, i, "IS") || parser_is_at(p, i, "LIKE") ||
				    parser_is_at(p, i, "IN") || parser_is_at(p, i, "BETWEEN") || parser_is_at(p, i, "AND") ||
				    parser_is_at(p, i, "OR"))))
			return true;
	}
	/* ((a = b)): the inner bracket decides. */
	struct parser inner = *p;
	inner.at++;
	return parser_is(&inner, "(") && opens_condition(&inner);
}

static struct expr *negation(struct parser *p) {
	if (!parser_enter(p))
		return parser_new_expr(p, E_NULL);
	struct expr *e;
	if (parser_accept(p, "NOT")) {
		e = node2(p, E_NOT, NULL, negation(p), NULL);
	} else if (parser_is(p, "EXISTS")) {
		e = parser_new_expr(p, E_EXISTS);
		p->at++;
		parser_expect(p, "(");
		e->sub = parser_select(p);
		parser_expect(p, ")");
	} else if (parser_is(p, "(") && opens_condition(p)) {
		p->at++;
		e = parser_cond(p);
		parser_expect(p, ")");
	} else {
		e = predicate(p);
	}
	p->depth--;
	return e;
}

static struct expr *conjunction(struct parser *p) {
	struct expr *e = negation(p);
	while (parser_accept(p, "AND"))
		e = node2(p, E_AND, NULL, e, negation(p));
	return e;
}

struct expr *parser_cond(struct parser *p) {
	struct expr *e = conjunction(p);
	while (parser_accept(p, "OR"))
		e = node2(p, E_OR, NULL, e, conjunction(p));
	return e;
}
