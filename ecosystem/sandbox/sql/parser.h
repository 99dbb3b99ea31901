/* parser: T-SQL batch to a list of statements by recursive descent. Pure: no catalogue, no database. */
#ifndef SANDBOX_SQL_PARSER_H
#define SANDBOX_SQL_PARSER_H

#include "ecosystem/sandbox/sql/ast.h"
#include "ecosystem/sandbox/sql/sqlerror.h"

/* 0 and the first statement (NULL for an empty batch), or -1 with 102, 156, 105, 113, 103. */
int parser_batch(struct arena *arena, const char *sql, size_t len, struct stmt **out, struct sqlerror *error) MUSTCHECK;
/* One expression or condition alone (stored defaults and CHECK texts), NULL on error. */
struct expr *parser_expression(struct arena *arena, const char *sql, bool condition, struct sqlerror *error) MUSTCHECK;
/* "@a int, @b nvarchar(10) OUTPUT": as column definitions. */
int parser_parameters(struct arena *arena, const char *sql, struct column_def **out, int *count,
                      struct sqlerror *error) MUSTCHECK;

#endif
