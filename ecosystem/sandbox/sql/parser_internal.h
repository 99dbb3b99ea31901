/* parser_internal: what the parser_*.c files share; nobody else includes it. */
#ifndef SANDBOX_SQL_PARSER_INTERNAL_H
#define SANDBOX_SQL_PARSER_INTERNAL_H

#include "ecosystem/sandbox/sql/lexer.h"
#include "ecosystem/sandbox/sql/parser.h"

#define PARSER_DEPTH_MAX 200

/* After an error `at` stands on T_END, so that every loop ends by itself. */
struct parser {
	struct arena *arena;
	const char *sql;
	struct token *tokens;
	int count, at, depth;
	int row_width; /* of the last parser_rows */
	struct sqlerror *error;
};

const struct token *parser_peek(const struct parser *p, int ahead);
/* The current token is this keyword or symbol. */
bool parser_is(const struct parser *p, const char *word);
bool parser_is_at(const struct parser *p, int ahead, const char *word);
/* ... and is consumed. */
bool parser_accept(struct parser *p, const char *word);
bool parser_accept2(struct parser *p, const char *first, const char *second);
void parser_expect(struct parser *p, const char *word);
void parser_fail(struct parser *p);
bool parser_failed(const struct parser *p);
/* An identifier; fails with 102/156. */
const char *parser_ident(struct parser *p);
bool parser_is_ident(const struct parser *p);
bool parser_reserved(const char *word);
struct name parser_name(struct parser *p);
/* "(a, b, c)" */
const char **parser_ident_list(struct parser *p, int *count);
struct type_spec parser_type(struct parser *p);
bool parser_enter(struct parser *p);

struct expr *parser_expr(struct parser *p);
struct expr *parser_cond(struct parser *p);
struct expr *parser_new_expr(struct parser *p, enum expr_kind kind);
struct order_item *parser_order(struct parser *p, int *count);
struct expr **parser_expr_list(struct parser *p, int *count);

struct select *parser_select(struct parser *p);
bool parser_starts_select(const struct parser *p);
struct cte *parser_with(struct parser *p, int *count);
struct from *parser_from(struct parser *p);
struct select_item *parser_items(struct parser *p, int *count, bool in_output);
struct expr ***parser_rows(struct parser *p, int *count);

/* Copies the items of a list into one array. */
void *parser_flatten(struct parser *p, const struct vec *list, size_t size);
/* A list of texts as an array of them. */
const char **parser_texts(struct parser *p, const struct vec *list);
const char *parser_upper(struct parser *p, const char *text);
/* The batch's text from token `first` up to the last one read. */
const char *parser_text_since(struct parser *p, int first);
const char *parser_variable(struct parser *p);
/* Any word, keyword or not. */
const char *parser_word(struct parser *p);
/* A word that begins a statement stands here. */
bool parser_statement_follows(const struct parser *p);
/* Definitions of a table or, after ADD, of its parts: "a int, CONSTRAINT ..." up to the closing bracket or the end. */
void parser_table_parts(struct parser *p, struct stmt *s);
struct column_def *parser_parameter_list(struct parser *p, int *count);

struct stmt *parser_stmt_new(struct parser *p, enum stmt_kind kind);
struct stmt *parser_statement(struct parser *p);
/* A body up to the end of the batch (procedures, triggers). */
struct stmt *parser_list(struct parser *p, bool in_block);
struct stmt *parser_create(struct parser *p);
struct stmt *parser_alter(struct parser *p);
struct stmt *parser_drop(struct parser *p);
struct stmt *parser_grant(struct parser *p);
struct stmt *parser_index(struct parser *p, struct stmt *s);
void parser_table_body(struct parser *p, struct stmt *s);
struct stmt *parser_insert(struct parser *p);
struct stmt *parser_update(struct parser *p);
struct stmt *parser_delete(struct parser *p);
struct stmt *parser_exec(struct parser *p);
struct stmt *parser_declare(struct parser *p);
struct stmt *parser_set(struct parser *p);

#endif
