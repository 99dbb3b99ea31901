/* Statements that are not queries: control flow, variables, options, transactions, EXEC; and the entry points.
 * DDL is in parser_ddl.c, INSERT, UPDATE and DELETE in parser_dml.c. */
#include "ecosystem/sandbox/sql/parser_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct stmt *parser_stmt_new(struct parser *p, enum stmt_kind kind) {
	struct stmt *s = arena_alloc(p->arena, sizeof *s);
	s->kind = kind;
	s->line = parser_peek(p, 0)->line;
	s->begin = parser_peek(p, 0)->begin;
	return s;
}

const char **parser_texts(struct parser *p, const struct vec *list) {
	const char **out = arena_alloc(p->arena, sizeof *out * (size_t)(list->count + 1));
	for (int i = 0; i < list->count; i++)
		out[i] = list->at[i];
	return out;
}

const char *parser_upper(struct parser *p, const char *text) {
	char *upper = arena_dup(p->arena, text, strlen(text));
	for (char *c = upper; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return upper;
}

const char *parser_text_since(struct parser *p, int first) {
	if (p->at <= first || parser_failed(p))
		return "";
	size_t begin = p->tokens[first].begin;
	return arena_dup(p->arena, p->sql + begin, p->tokens[p->at - 1].end - begin);
}

const char *parser_variable(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_VARIABLE) {
		parser_fail(p);
		return "";
	}
	p->at++;
	return t->text;
}

/* Any word, keyword or not: option names and their values. */
const char *parser_word(struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_WORD && t->kind != T_QUOTED) {
		parser_fail(p);
		return "";
	}
	p->at++;
	return t->text;
}

/* --- variables --- */

static struct stmt *declare_table(struct parser *p, struct stmt *s, const char *name) {
	s->flag = true;
	s->text = name;
	parser_table_body(p, s);
	return s;
}

struct stmt *parser_declare(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_DECLARE);
	struct vec list = { 0 };
	p->at++;
	do {
		struct column_def *d = arena_alloc(p->arena, sizeof *d);
		d->line = parser_peek(p, 0)->line;
		d->name = parser_variable(p);
		d->nullable = true;
		parser_accept(p, "AS");
		if (list.count == 0 && parser_accept(p, "TABLE"))
			return declare_table(p, s, d->name);
		d->type = parser_type(p);
		if (parser_accept(p, "="))
			d->default_expr = parser_expr(p);
		vec_add(p->arena, &list, d);
	} while (parser_accept(p, ","));
	s->def_count = list.count;
	s->defs = parser_flatten(p, &list, sizeof *s->defs);
	return s;
}

static struct stmt *set_variable(struct parser *p) {
	static const char *const ops[] = { "=", "+=", "-=", "*=", "/=", "%=", NULL };
	struct stmt *s = parser_stmt_new(p, S_SET_VAR);
	s->text = parser_variable(p);
	for (int i = 0; ops[i] && !s->text2; i++)
		if (parser_accept(p, ops[i]))
			s->text2 = ops[i];
	if (!s->text2)
		parser_fail(p);
	s->expr = parser_expr(p);
	return s;
}

static const char *isolation(struct parser *p) {
	if (parser_accept2(p, "READ", "COMMITTED"))
		return "READ COMMITTED";
	if (parser_accept2(p, "READ", "UNCOMMITTED"))
		return "READ UNCOMMITTED";
	if (parser_accept2(p, "REPEATABLE", "READ"))
		return "REPEATABLE READ";
	if (parser_accept(p, "SERIALIZABLE"))
		return "SERIALIZABLE";
	if (parser_accept(p, "SNAPSHOT"))
		return "SNAPSHOT";
	parser_fail(p);
	return "";
}

struct stmt *parser_set(struct parser *p) {
	struct vec list = { 0 };
	p->at++;
	if (parser_peek(p, 0)->kind == T_VARIABLE)
		return set_variable(p);
	struct stmt *s = parser_stmt_new(p, S_SET_OPTION);
	if (parser_accept2(p, "TRANSACTION", "ISOLATION")) {
		if (!parser_accept(p, "LEVEL"))
			parser_fail(p);
		vec_add(p->arena, &list, (void *)(uintptr_t)"ISOLATION");
		s->text2 = isolation(p);
	} else if (parser_accept(p, "IDENTITY_INSERT")) {
		vec_add(p->arena, &list, (void *)(uintptr_t)"IDENTITY_INSERT");
		s->name = parser_name(p);
	} else {
		parser_accept(p, "STATISTICS");
		do
			vec_add(p->arena, &list, (void *)(uintptr_t)parser_upper(p, parser_word(p)));
		while (parser_accept(p, ","));
	}
	s->columns = parser_texts(p, &list);
	s->column_count = list.count;
	s->text = list.at[0];
	if (s->text2)
		return s;
	const struct token *t = parser_peek(p, 0);
	const char *sign = parser_accept(p, "-") ? "-" : "";
	t = parser_peek(p, 0);
	if (t->kind == T_END || t->kind == T_SYMBOL) {
		parser_fail(p);
		return s;
	}
	p->at++;
	s->text2 = arena_fmt(p->arena, "%s%s", sign, t->text);
	s->flag = strcasecmp(s->text2, "ON") == 0;
	return s;
}

/* --- procedures --- */

static void exec_argument(struct parser *p, struct exec_arg *a) {
	if (parser_peek(p, 0)->kind == T_VARIABLE && parser_is_at(p, 1, "=")) {
		a->name = parser_variable(p);
		p->at++;
	}
	if (parser_is_ident(p) && !parser_is_at(p, 1, "(")) {
		/* a bare word is a string here */
		a->expr = parser_new_expr(p, E_NSTRING);
		a->expr->text = parser_ident(p);
		a->expr->len = strlen(a->expr->text);
	} else {
		a->expr = parser_expr(p);
	}
	a->output = parser_accept(p, "OUTPUT") || parser_accept(p, "OUT");
}

static bool argument_follows(const struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	return (t->kind != T_END && t->kind != T_WORD && t->kind != T_SYMBOL) || parser_is(p, "-") || parser_is(p, "NULL") ||
	       parser_is(p, "DEFAULT") || (parser_is_ident(p) && !parser_statement_follows(p));
}

static struct stmt *exec_named(struct parser *p, struct stmt *s) {
	struct vec list = { 0 };
	s->name = parser_name(p);
	if (argument_follows(p)) {
		do {
			struct exec_arg *a = arena_alloc(p->arena, sizeof *a);
			exec_argument(p, a);
			vec_add(p->arena, &list, a);
		} while (parser_accept(p, ","));
	}
	if (parser_is(p, "WITH") && parser_is_at(p, 1, "RECOMPILE"))
		p->at += 2;
	s->exec_count = list.count;
	s->exec = parser_flatten(p, &list, sizeof *s->exec);
	return s;
}

struct stmt *parser_exec(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_EXEC);
	p->at++;
	if (parser_accept(p, "(")) {
		s->kind = S_EXEC_TEXT;
		s->expr = parser_expr(p);
		parser_expect(p, ")");
		return s;
	}
	if (parser_peek(p, 0)->kind == T_VARIABLE) {
		s->text = parser_variable(p);
		parser_expect(p, "=");
	}
	return exec_named(p, s);
}

/* --- control flow --- */

/* One statement, for IF and WHILE: there must be one. */
static struct stmt *branch(struct parser *p) {
	while (parser_accept(p, ";"))
		;
	return parser_statement(p);
}

static struct stmt *if_statement(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_IF);
	p->at++;
	s->expr = parser_cond(p);
	s->body = branch(p);
	int ahead = 0;
	while (parser_is_at(p, ahead, ";"))
		ahead++;
	if (parser_is_at(p, ahead, "ELSE")) {
		p->at += ahead + 1;
		s->other = branch(p);
	}
	return s;
}

static struct stmt *while_statement(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_WHILE);
	p->at++;
	s->expr = parser_cond(p);
	s->body = branch(p);
	return s;
}

static const char *transaction_name(struct parser *p) {
	if (parser_peek(p, 0)->kind == T_VARIABLE)
		return parser_variable(p);
	if (parser_is_ident(p) && !parser_statement_follows(p))
		return parser_ident(p);
	return NULL;
}

static bool transaction_word(struct parser *p) {
	return parser_accept(p, "TRAN") || parser_accept(p, "TRANSACTION");
}

static struct stmt *try_block(struct parser *p, struct stmt *s) {
	s->kind = S_TRY;
	s->body = parser_list(p, true);
	parser_expect(p, "END");
	parser_expect(p, "TRY");
	parser_expect(p, "BEGIN");
	parser_expect(p, "CATCH");
	s->other = parser_is(p, "END") ? NULL : parser_list(p, true);
	parser_expect(p, "END");
	parser_expect(p, "CATCH");
	return s;
}

static struct stmt *begin(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_BLOCK);
	p->at++;
	if (transaction_word(p)) {
		s->kind = S_BEGIN_TRAN;
		s->text = transaction_name(p);
		return s;
	}
	if (parser_accept(p, "TRY"))
		return try_block(p, s);
	s->body = parser_list(p, true);
	if (!s->body)
		parser_fail(p);
	parser_expect(p, "END");
	return s;
}

static struct stmt *end_transaction(struct parser *p, enum stmt_kind kind) {
	struct stmt *s = parser_stmt_new(p, kind);
	p->at++;
	if (transaction_word(p))
		s->text = transaction_name(p);
	else
		parser_accept(p, "WORK");
	return s;
}

static struct stmt *save(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_SAVE);
	p->at++;
	if (!transaction_word(p))
		parser_fail(p);
	s->text = transaction_name(p);
	if (!s->text)
		parser_fail(p);
	return s;
}

/* --- small ones --- */

static struct stmt *raiserror(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_RAISERROR);
	p->at++;
	parser_expect(p, "(");
	s->args = parser_expr_list(p, &s->arg_count);
	parser_expect(p, ")");
	if (s->arg_count < 3)
		parser_fail(p);
	if (parser_accept(p, "WITH")) {
		do
			if (!parser_accept(p, "NOWAIT") && !parser_accept(p, "LOG") && !parser_accept(p, "SETERROR"))
				parser_fail(p);
		while (parser_accept(p, ","));
	}
	return s;
}

static struct stmt *throw_statement(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_THROW);
	p->at++;
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_INTEGER && t->kind != T_VARIABLE)
		return s;
	s->args = parser_expr_list(p, &s->arg_count);
	if (s->arg_count != 3)
		parser_fail(p);
	return s;
}

static struct stmt *waitfor(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_WAITFOR);
	p->at++;
	s->text = parser_is(p, "TIME") ? "TIME" : "DELAY";
	if (!parser_accept(p, s->text))
		parser_fail(p);
	s->expr = parser_expr(p);
	return s;
}

static struct stmt *with_expression(struct parser *p, enum stmt_kind kind) {
	struct stmt *s = parser_stmt_new(p, kind);
	p->at++;
	s->expr = parser_expr(p);
	return s;
}

static struct stmt *returning(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_RETURN);
	p->at++;
	const struct token *t = parser_peek(p, 0);
	if (t->kind == T_INTEGER || t->kind == T_VARIABLE || t->kind == T_STRING || parser_is(p, "-") || parser_is(p, "(") ||
	    (t->kind == T_WORD && parser_is_at(p, 1, "(") && !parser_statement_follows(p)))
		s->expr = parser_expr(p);
	return s;
}

static struct stmt *use(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_USE);
	p->at++;
	s->text = parser_ident(p);
	return s;
}

static struct stmt *truncate(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_TRUNCATE);
	p->at++;
	parser_expect(p, "TABLE");
	s->name = parser_name(p);
	return s;
}

static struct stmt *single(struct parser *p, enum stmt_kind kind) {
	struct stmt *s = parser_stmt_new(p, kind);
	p->at++;
	return s;
}

static struct stmt *query(struct parser *p) {
	struct stmt *s = parser_stmt_new(p, S_SELECT);
	struct cte *ctes = NULL;
	int count = 0;
	if (parser_is(p, "WITH"))
		ctes = parser_with(p, &count);
	if (parser_is(p, "INSERT"))
		s = parser_insert(p);
	else if (parser_is(p, "UPDATE"))
		s = parser_update(p);
	else if (parser_is(p, "DELETE"))
		s = parser_delete(p);
	else
		s->select = parser_select(p);
	if (s->kind == S_SELECT && count) {
		s->select->ctes = ctes;
		s->select->cte_count = count;
	} else if (count) {
		s->ctes = ctes;
		s->cte_count = count;
	}
	return s;
}

/* --- which one --- */

static const char *const first_words[] = {
	"SELECT",  "WITH",  "INSERT", "UPDATE", "DELETE",  "DECLARE",   "SET",   "IF",      "WHILE",    "BEGIN",
	"BREAK",   "CONTINUE", "RETURN", "PRINT", "RAISERROR", "THROW", "EXEC",  "EXECUTE", "USE",      "COMMIT",
	"ROLLBACK", "SAVE", "WAITFOR", "CREATE", "ALTER",  "DROP",      "GRANT", "DENY",    "REVOKE",   "TRUNCATE",
	"KILL",    "CHECKPOINT", "END", "ELSE",  NULL
};

bool parser_statement_follows(const struct parser *p) {
	const struct token *t = parser_peek(p, 0);
	if (t->kind != T_WORD)
		return false;
	for (int i = 0; first_words[i]; i++)
		if (strcasecmp(t->text, first_words[i]) == 0)
			return true;
	return false;
}

static struct stmt *flow(struct parser *p) {
	if (parser_is(p, "IF"))
		return if_statement(p);
	if (parser_is(p, "WHILE"))
		return while_statement(p);
	if (parser_is(p, "BEGIN"))
		return begin(p);
	if (parser_is(p, "BREAK"))
		return single(p, S_BREAK);
	if (parser_is(p, "CONTINUE"))
		return single(p, S_CONTINUE);
	if (parser_is(p, "RETURN"))
		return returning(p);
	if (parser_is(p, "PRINT"))
		return with_expression(p, S_PRINT);
	if (parser_is(p, "RAISERROR"))
		return raiserror(p);
	if (parser_is(p, "THROW"))
		return throw_statement(p);
	if (parser_is(p, "COMMIT"))
		return end_transaction(p, S_COMMIT);
	if (parser_is(p, "ROLLBACK"))
		return end_transaction(p, S_ROLLBACK);
	if (parser_is(p, "SAVE"))
		return save(p);
	if (parser_is(p, "WAITFOR"))
		return waitfor(p);
	return NULL;
}

static struct stmt *any(struct parser *p) {
	if (parser_is(p, "SELECT") || parser_is(p, "WITH") || parser_is(p, "(") || parser_is(p, "INSERT") ||
	    parser_is(p, "UPDATE") || parser_is(p, "DELETE"))
		return query(p);
	if (parser_is(p, "DECLARE"))
		return parser_declare(p);
	if (parser_is(p, "SET"))
		return parser_set(p);
	if (parser_is(p, "EXEC") || parser_is(p, "EXECUTE"))
		return parser_exec(p);
	if (parser_is(p, "CREATE"))
		return parser_create(p);
	if (parser_is(p, "ALTER"))
		return parser_alter(p);
	if (parser_is(p, "DROP"))
		return parser_drop(p);
	if (parser_is(p, "GRANT") || parser_is(p, "DENY") || parser_is(p, "REVOKE"))
		return parser_grant(p);
	if (parser_is(p, "USE"))
		return use(p);
	if (parser_is(p, "TRUNCATE"))
		return truncate(p);
	if (parser_is(p, "KILL"))
		return with_expression(p, S_KILL);
	if (parser_is(p, "CHECKPOINT"))
		return single(p, S_NOTHING);
	struct stmt *s = flow(p);
	if (s)
		return s;
	if (p->at == 0 && parser_is_ident(p))
		return exec_named(p, parser_stmt_new(p, S_EXEC));
	parser_fail(p);
	return parser_stmt_new(p, S_NOTHING);
}

struct stmt *parser_statement(struct parser *p) {
	if (!parser_enter(p))
		return parser_stmt_new(p, S_NOTHING);
	size_t start = parser_peek(p, 0)->begin;
	struct stmt *s = any(p);
	s->begin = start;
	s->end = p->at > 0 ? p->tokens[p->at - 1].end : start;
	p->depth--;
	return s;
}

struct stmt *parser_list(struct parser *p, bool in_block) {
	struct stmt *first = NULL, **last = &first;
	for (;;) {
		while (parser_accept(p, ";"))
			;
		if (parser_peek(p, 0)->kind == T_END || parser_failed(p))
			break;
		if (in_block && parser_is(p, "END"))
			break;
		*last = parser_statement(p);
		last = &(*last)->next;
	}
	return first;
}

/* --- entry points --- */

static int start(struct parser *p, struct arena *arena, const char *sql, size_t len, struct sqlerror *error) {
	*p = (struct parser){ .arena = arena, .sql = sql, .error = error };
	p->tokens = lexer_run(arena, sql, len, &p->count, error);
	return p->tokens ? 0 : -1;
}

int parser_batch(struct arena *arena, const char *sql, size_t len, struct stmt **out, struct sqlerror *error) {
	struct parser p;
	*out = NULL;
	if (start(&p, arena, sql, len, error) < 0)
		return -1;
	*out = parser_list(&p, false);
	return parser_failed(&p) ? -1 : 0;
}

struct expr *parser_expression(struct arena *arena, const char *sql, bool condition, struct sqlerror *error) {
	struct parser p;
	if (start(&p, arena, sql, strlen(sql), error) < 0)
		return NULL;
	struct expr *e = condition ? parser_cond(&p) : parser_expr(&p);
	if (parser_peek(&p, 0)->kind != T_END)
		parser_fail(&p);
	return parser_failed(&p) ? NULL : e;
}

struct column_def *parser_parameter_list(struct parser *p, int *count) {
	struct vec list = { 0 };
	do {
		struct column_def *d = arena_alloc(p->arena, sizeof *d);
		d->line = parser_peek(p, 0)->line;
		d->name = parser_variable(p);
		d->nullable = true;
		parser_accept(p, "AS");
		d->type = parser_type(p);
		if (parser_accept(p, "="))
			d->default_expr = parser_expr(p);
		d->output = parser_accept(p, "OUTPUT") || parser_accept(p, "OUT");
		parser_accept(p, "READONLY");
		vec_add(p->arena, &list, d);
	} while (parser_accept(p, ","));
	*count = list.count;
	return parser_flatten(p, &list, sizeof(struct column_def));
}

int parser_parameters(struct arena *arena, const char *sql, struct column_def **out, int *count, struct sqlerror *error) {
	struct parser p;
	*out = NULL;
	*count = 0;
	if (start(&p, arena, sql, strlen(sql), error) < 0)
		return -1;
	if (parser_peek(&p, 0)->kind == T_END)
		return 0;
	*out = parser_parameter_list(&p, count);
	if (parser_peek(&p, 0)->kind != T_END)
		parser_fail(&p);
	return parser_failed(&p) ? -1 : 0;
}
