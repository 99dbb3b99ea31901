/* Queries: WITH, set operations, SELECT and its FROM tree with OPENJSON, VALUES and APPLY.
 * Names are not looked up here. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <string.h>
#include <strings.h>

void *parser_flatten(struct parser *p, const struct vec *list, size_t size) {
	char *out = arena_alloc(p->arena, size * (size_t)(list->count ? list->count : 1));
	for (int i = 0; i < list->count; i++)
		memcpy(out + size * (size_t)i, list->at[i], size);
	return out;
}

bool parser_starts_select(const struct parser *p) {
	int i = 0;
	while (parser_is_at(p, i, "("))
		i++;
	return parser_is_at(p, i, "SELECT") || (i == 0 && parser_is(p, "WITH"));
}

struct expr ***parser_rows(struct parser *p, int *count) {
	struct vec rows = { 0 };
	int width = -1;
	do {
		int n;
		int line = parser_peek(p, 0)->line;
		parser_expect(p, "(");
		vec_add(p->arena, &rows, parser_expr_list(p, &n));
		parser_expect(p, ")");
		if (width >= 0 && n != width)
			sqlerror_set(p->error, 10709, line,
				     "The number of columns for each row in a table value constructor must be the same.");
		width = n;
	} while (parser_accept(p, ",") && !parser_failed(p));
	p->row_width = width;
	if (rows.count > 1000)
		sqlerror_set(p->error, 10738, parser_peek(p, 0)->line,
			     "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row values.");
	*count = rows.count;
	struct expr ***out = arena_alloc(p->arena, sizeof *out * (size_t)rows.count);
	for (int i = 0; i < rows.count; i++)
		out[i] = rows.at[i];
	return out;
}

static void hints(struct parser *p, struct from *f) {
	if (!parser_is(p, "WITH") || !parser_is_at(p, 1, "("))
		return;
	p->at += 2;
	do {
		const char *hint = parser_word(p);
		if (strcasecmp(hint, "NOLOCK") == 0 || strcasecmp(hint, "READUNCOMMITTED") == 0)
			f->nolock = true;
		else if (strcasecmp(hint, "UPDLOCK") == 0 || strcasecmp(hint, "XLOCK") == 0 || strcasecmp(hint, "TABLOCKX") == 0)
			f->update_lock = true;
		else if (strcasecmp(hint, "HOLDLOCK") == 0 || strcasecmp(hint, "SERIALIZABLE") == 0 ||
			 strcasecmp(hint, "REPEATABLEREAD") == 0)
			f->hold_lock = true;
		else if (strcasecmp(hint, "ROWLOCK") != 0 && strcasecmp(hint, "PAGLOCK") != 0 && strcasecmp(hint, "TABLOCK") != 0 &&
			 strcasecmp(hint, "READPAST") != 0 && strcasecmp(hint, "READCOMMITTED") != 0)
			sqlerror_set(p->error, 321, f->line, "\"%.100s\" is not a recognized table hints option.", hint);
		parser_accept(p, ",");
	} while (!parser_is(p, ")") && !parser_failed(p));
	parser_expect(p, ")");
}

static void alias(struct parser *p, struct from *f) {
	if (parser_accept(p, "AS") || parser_is_ident(p))
		f->alias = parser_ident(p);
	if (f->alias && parser_is(p, "(") && f->kind != F_TABLE)
		f->column_alias = parser_ident_list(p, &f->column_alias_count);
}

static void json_columns(struct parser *p, struct from *f) {
	struct vec list = { 0 };
	p->at += 2;
	do {
		struct json_column *c = arena_alloc(p->arena, sizeof *c);
		c->name = parser_ident(p);
		c->type = parser_type(p);
		if (parser_peek(p, 0)->kind == T_STRING || parser_peek(p, 0)->kind == T_NSTRING)
			c->path = p->tokens[p->at++].text;
		c->as_json = parser_accept2(p, "AS", "JSON");
		vec_add(p->arena, &list, c);
	} while (parser_accept(p, ","));
	parser_expect(p, ")");
	f->json_columns = parser_flatten(p, &list, sizeof(struct json_column));
	f->json_count = list.count;
	f->json_with = true;
}

static struct from *source(struct parser *p) {
	struct from *f = arena_alloc(p->arena, sizeof *f);
	f->line = parser_peek(p, 0)->line;
	if (parser_is(p, "OPENJSON") && parser_is_at(p, 1, "(")) {
		p->at += 2;
		f->kind = F_OPENJSON;
		f->json = parser_expr(p);
		if (parser_accept(p, ","))
			f->json_path = parser_expr(p);
		parser_expect(p, ")");
		if (parser_is(p, "WITH") && parser_is_at(p, 1, "("))
			json_columns(p, f);
		alias(p, f);
	} else if (parser_is(p, "(") && (parser_starts_select(p) || parser_is_at(p, 1, "SELECT") || parser_is_at(p, 1, "VALUES"))) {
		p->at++;
		f->kind = F_DERIVED;
		if (parser_accept(p, "VALUES")) {
			f->kind = F_VALUES;
			f->rows = parser_rows(p, &f->row_count);
			f->row_width = p->row_width;
		} else {
			f->sub = parser_select(p);
		}
		parser_expect(p, ")");
		alias(p, f);
		if (!f->alias)
			parser_fail(p);
	} else if (parser_accept(p, "(")) {
		f = parser_from(p);
		parser_expect(p, ")");
	} else {
		f->kind = F_TABLE;
		if (parser_peek(p, 0)->kind == T_VARIABLE)
			f->name = (struct name){ .part = { p->tokens[p->at++].text }, .count = 1, .line = f->line };
		else
			f->name = parser_name(p);
		if (parser_is(p, "(")) {
			f->kind = F_FUNCTION;
			p->at++;
			if (!parser_is(p, ")"))
				f->args = parser_expr_list(p, &f->arg_count);
			parser_expect(p, ")");
		}
		alias(p, f);
		if (f->kind == F_TABLE)
			hints(p, f);
	}
	return f;
}

static bool join_kind(struct parser *p, enum join_kind *kind) {
	if (parser_accept2(p, "CROSS", "JOIN"))
		*kind = J_CROSS;
	else if (parser_accept2(p, "CROSS", "APPLY"))
		*kind = J_CROSS_APPLY;
	else if (parser_accept2(p, "OUTER", "APPLY"))
		*kind = J_OUTER_APPLY;
	else if (parser_accept(p, "JOIN") || parser_accept2(p, "INNER", "JOIN"))
		*kind = J_INNER;
	else if (parser_is(p, "LEFT") || parser_is(p, "RIGHT") || parser_is(p, "FULL")) {
		*kind = parser_is(p, "LEFT") ? J_LEFT : parser_is(p, "RIGHT") ? J_RIGHT : J_FULL;
		p->at++;
		parser_accept(p, "OUTER");
		parser_expect(p, "JOIN");
	} else
		return false;
	return true;
}

static struct from *joined(struct parser *p, struct from *left, struct from *right, enum join_kind kind) {
	struct from *j = arena_alloc(p->arena, sizeof *j);
	j->kind = F_JOIN;
	j->line = right->line;
	j->join = kind;
	j->left = left;
	j->right = right;
	return j;
}

static struct from *join_tree(struct parser *p) {
	struct from *left = source(p);
	enum join_kind kind;
	while (join_kind(p, &kind)) {
		struct from *right = source(p);
		left = joined(p, left, right, kind);
		if (kind == J_INNER || kind == J_LEFT || kind == J_RIGHT || kind == J_FULL) {
			parser_expect(p, "ON");
			left->on = parser_cond(p);
		}
	}
	return left;
}

struct from *parser_from(struct parser *p) {
	struct from *left = NULL;
	if (parser_enter(p)) {
		left = join_tree(p);
		while (parser_accept(p, ","))
			left = joined(p, left, join_tree(p), J_CROSS);
		p->depth--;
	} else {
		left = arena_alloc(p->arena, sizeof *left);
	}
	return left;
}

static bool assignment_follows(const struct parser *p) {
	return parser_peek(p, 0)->kind == T_VARIABLE &&
	       (parser_is_at(p, 1, "=") || parser_is_at(p, 1, "+=") || parser_is_at(p, 1, "-=") || parser_is_at(p, 1, "*=") ||
		parser_is_at(p, 1, "/=") || parser_is_at(p, 1, "%="));
}

struct select_item *parser_items(struct parser *p, int *count, bool in_output) {
	struct vec list = { 0 };
	do {
		struct select_item *item = arena_alloc(p->arena, sizeof *item);
		if (!in_output && assignment_follows(p)) {
			item->variable = parser_peek(p, 0)->text;
			item->assign = parser_peek(p, 1)->text[0];
			p->at += 2;
		} else if (parser_is_ident(p) && parser_is_at(p, 1, "=")) {
			item->alias = parser_ident(p);
			p->at++;
		}
		item->expr = parser_expr(p);
		if (parser_accept(p, "AS")) {
			const struct token *t = parser_peek(p, 0);
			if (t->kind == T_STRING || t->kind == T_NSTRING) {
				item->alias = t->text;
				p->at++;
			} else {
				item->alias = parser_ident(p);
			}
		} else if (parser_is_ident(p)) {
			item->alias = parser_ident(p);
		}
		vec_add(p->arena, &list, item);
	} while (parser_accept(p, ","));
	*count = list.count;
	return parser_flatten(p, &list, sizeof(struct select_item));
}

static void select_body(struct parser *p, struct select *s) {
	parser_expect(p, "SELECT");
	if (!parser_accept(p, "ALL"))
		s->distinct = parser_accept(p, "DISTINCT");
	if (parser_accept(p, "TOP")) {
		bool paren = parser_accept(p, "(");
		s->top = paren ? parser_expr(p) : parser_new_expr(p, E_INTEGER);
		if (paren) {
			parser_expect(p, ")");
		} else if (parser_peek(p, 0)->kind == T_INTEGER) {
			s->top->text = p->tokens[p->at++].text;
		} else {
			parser_fail(p);
		}
		s->top_percent = parser_accept(p, "PERCENT");
	}
	s->items = parser_items(p, &s->item_count, false);
	if (parser_accept(p, "INTO"))
		s->into = parser_name(p);
	if (parser_accept(p, "FROM"))
		s->from = parser_from(p);
	if (parser_accept(p, "WHERE"))
		s->where = parser_cond(p);
	if (parser_accept2(p, "GROUP", "BY"))
		s->group = parser_expr_list(p, &s->group_count);
	if (parser_accept(p, "HAVING"))
		s->having = parser_cond(p);
}

static struct select *new_select(struct parser *p) {
	struct select *s = arena_alloc(p->arena, sizeof *s);
	s->line = parser_peek(p, 0)->line;
	return s;
}

static struct select *term(struct parser *p) {
	struct select *s;
	if (parser_accept(p, "(")) {
		s = parser_select(p);
		parser_expect(p, ")");
		return s;
	}
	s = new_select(p);
	select_body(p, s);
	return s;
}

static struct select *set_node(struct parser *p, enum set_op op, struct select *left, struct select *right) {
	struct select *s = new_select(p);
	s->op = op;
	s->left = left;
	s->right = right;
	return s;
}

static struct select *intersection(struct parser *p) {
	struct select *s = term(p);
	while (parser_accept(p, "INTERSECT"))
		s = set_node(p, SET_INTERSECT, s, term(p));
	return s;
}

static void tail(struct parser *p, struct select *s) {
	if (parser_accept2(p, "ORDER", "BY")) {
		s->order = parser_order(p, &s->order_count);
		if (parser_accept(p, "OFFSET")) {
			s->offset = parser_expr(p);
			if (!parser_accept(p, "ROWS"))
				parser_expect(p, "ROW");
			if (parser_accept(p, "FETCH")) {
				if (!parser_accept(p, "NEXT"))
					parser_expect(p, "FIRST");
				s->fetch = parser_expr(p);
				if (!parser_accept(p, "ROWS"))
					parser_expect(p, "ROW");
				parser_expect(p, "ONLY");
			}
		}
	}
	if (parser_accept(p, "OPTION")) {
		parser_expect(p, "(");
		while (!parser_is(p, ")") && parser_peek(p, 0)->kind != T_END)
			p->at++;
		parser_expect(p, ")");
	}
}

struct cte *parser_with(struct parser *p, int *count) {
	struct vec list = { 0 };
	parser_expect(p, "WITH");
	do {
		struct cte *c = arena_alloc(p->arena, sizeof *c);
		c->name = parser_ident(p);
		if (parser_is(p, "("))
			c->columns = parser_ident_list(p, &c->column_count);
		parser_expect(p, "AS");
		parser_expect(p, "(");
		c->select = parser_select(p);
		parser_expect(p, ")");
		vec_add(p->arena, &list, c);
	} while (parser_accept(p, ","));
	*count = list.count;
	return parser_flatten(p, &list, sizeof(struct cte));
}

struct select *parser_select(struct parser *p) {
	if (!parser_enter(p))
		return new_select(p);
	struct cte *ctes = NULL;
	int cte_count = 0;
	if (parser_is(p, "WITH"))
		ctes = parser_with(p, &cte_count);
	struct select *s = intersection(p);
	for (;;) {
		if (parser_accept(p, "EXCEPT"))
			s = set_node(p, SET_EXCEPT, s, intersection(p));
		else if (parser_accept2(p, "UNION", "ALL"))
			s = set_node(p, SET_UNION_ALL, s, intersection(p));
		else if (parser_accept(p, "UNION"))
			s = set_node(p, SET_UNION, s, intersection(p));
		else
			break;
	}
	tail(p, s);
	if (cte_count) {
		s->ctes = ctes;
		s->cte_count = cte_count;
	}
	p->depth--;
	return s;
}
