/* INSERT, UPDATE and DELETE with OUTPUT. The query part comes from parser_select.c. */
#include "ecosystem/sandbox/sql/parser_internal.h"

static struct name target(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_VARIABLE)
		return parser_name(p);
	p->at++;
	return (struct name){ .part = { t->text }, .count = 1, .line = t->line };
}

/* Hints of a written table change nothing: the writer's lock is exclusive anyway. */
static void target_hints(struct parser *p) {
	if (!parser_is(p, "WITH") || !parser_is_at(p, 1, "("))
		return;
	p->at += 2;
	do
		parser_word(p);
	while (parser_accept(p, ","));
	parser_expect(p, ")");
}

static void output(struct parser *p, struct stmt *s) {
	if (!parser_accept(p, "OUTPUT"))
		return;
	s->output = parser_items(p, &s->output_count, true);
	if (parser_accept(p, "INTO")) {
		s->output_into = target(p);
		if (parser_is(p, "("))
			s->output_columns = parser_ident_list(p, &s->output_column_count);
	}
}

static void top(struct parser *p, struct stmt *s) {
	if (!parser_accept(p, "TOP"))
		return;
	parser_expect(p, "(");
	s->top = parser_expr(p);
	parser_expect(p, ")");
}

struct stmt *parser_insert(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_INSERT);
	p->at++;
	top(p, s);
	parser_accept(p, "INTO");
	s->name = target(p);
	target_hints(p);
	if (parser_is(p, "(") && !parser_starts_select(p))
		s->columns = parser_ident_list(p, &s->column_count);
	output(p, s);
	if (parser_accept2(p, "DEFAULT", "VALUES"))
		return s;
	if (parser_accept(p, "VALUES")) {
		s->rows = parser_rows(p, &s->row_count);
		s->row_width = p->row_width;
	} else if (parser_is(p, "EXEC") || parser_is(p, "EXECUTE"))
		s->body = parser_exec(p);
	else
		s->select = parser_select(p);
	return s;
}

static void assignment(struct parser *p, struct assignment *a) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind == T_VARIABLE) {
		a->variable = t->text;
		p->at++;
	} else {
		a->column = parser_name(p);
	}
	t = parser_peek(p, 0);
	a->op = t->kind == T_SYMBOL ? t->text[0] : '\0';
	if (!parser_accept(p, "=") && !parser_accept(p, "+=") && !parser_accept(p, "-=") && !parser_accept(p, "*=") &&
	    !parser_accept(p, "/=") && !parser_accept(p, "%="))
		parser_fail(p);
	a->expr = parser_expr(p);
}

struct stmt *parser_update(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_UPDATE);
	struct vec list = { 0 };
	p->at++;
	top(p, s);
	s->name = target(p);
	target_hints(p);
	parser_expect(p, "SET");
	do {
		struct assignment *a = arena_alloc(p->arena, sizeof *a);
		assignment(p, a);
		vec_add(p->arena, &list, a);
	} while (parser_accept(p, ","));
	s->set = arena_alloc(p->arena, sizeof *s->set * (size_t)list.count);
	for (int i = 0; i < list.count; i++)
		s->set[i] = *(struct assignment *)list.at[i];
	s->set_count = list.count;
	output(p, s);
	if (parser_accept(p, "FROM"))
		s->from = parser_from(p);
	if (parser_accept(p, "WHERE"))
		s->where = parser_cond(p);
	return s;
}

struct stmt *parser_delete(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_DELETE);
	p->at++;
	top(p, s);
	parser_accept(p, "FROM");
	s->name = target(p);
	target_hints(p);
	output(p, s);
	if (parser_accept(p, "FROM"))
		s->from = parser_from(p);
	if (parser_accept(p, "WHERE"))
		s->where = parser_cond(p);
	return s;
}
