/* lexer: T-SQL text to tokens. Pure; the tokens live in the caller's arena. */
#ifndef SANDBOX_SQL_LEXER_H
#define SANDBOX_SQL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include "ecosystem/sandbox/sql/arena.h"
#include "ecosystem/sandbox/sql/sqlerror.h"

enum token_kind {
	T_END,
	T_WORD,     /* unquoted identifier or keyword, also #temp */
	T_QUOTED,   /* [x] or "x": never a keyword */
	T_VARIABLE, /* @x or @@x, text with the signs */
	T_STRING,   /* 'x' */
	T_NSTRING,  /* N'x' */
	T_INTEGER,
	T_DECIMAL,
	T_FLOAT,
	T_BINARY, /* text = hex digits after 0x */
	T_SYMBOL, /* text = the operator */
};

struct token {
	enum token_kind kind;
	const char *text; /* decoded, NUL-terminated */
	size_t len;
	int line;            /* 1.. */
	size_t begin, end;   /* bytes of the batch */
};

/* All tokens of the batch with a T_END at the end, or NULL with error 105 (unclosed quote), 113 (comment) or 102. */
struct token *lexer_run(struct arena *arena, const char *sql, size_t len, int *count, struct sqlerror *error) MUSTCHECK;

#endif
