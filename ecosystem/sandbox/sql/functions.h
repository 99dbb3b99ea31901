/* functions: everything T-SQL computes, as SQLite functions of one connection (t_...), and values between SQLite and the wire.
 * Errors come back from sqlite3_step as "@number:text" (sqlerror_parse). What needs the session (s_...) is registered by the
 * interpreter. */
#ifndef SANDBOX_SQL_FUNCTIONS_H
#define SANDBOX_SQL_FUNCTIONS_H

#include <sqlite3.h>
#include "common/err.h"
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/xtype.h"

/* What functions need to know of the session; owned by the caller, lives as long as the connection. */
struct functions {
	int64_t now;      /* UTC, 100 ns since 0001-01-01; 0 = read the clock; set it at the start of each statement */
	int date_first;   /* SET DATEFIRST, 1..7; 0 = 7 */
	char date_format; /* SET DATEFORMAT: 'm' mdy (0), 'd' dmy, 'y' ymd */
};

/* Registers collations, t_ functions, aggregates and OPENJSON on the connection. SQLite result code. */
int functions_register(sqlite3 *db, struct functions *context) MUSTCHECK;
/* Sets context->now from the clock; GETDATE() is one value for a statement. */
void functions_begin_statement(struct functions *context);
/* The registered helpers that generated SQL may use outside of the translator:
 *   t_raise(number, text)                   always fails with that error
 *   t_duplicate(text, v1, v2, ...)          fails with 2627 (text begins with "Violation") or 2601, with the key values added:
 *                                           "... The duplicate key value is (v1, v2)." */

/* Binds a canonical value in the form the type has inside SQLite. The data must live until the statement is reset. */
int functions_bind(sqlite3_stmt *stmt, int index, enum sql_type type, const struct sql_value *value);
/* Column of the current row in canonical form; data borrowed until the next step, or in scratch (at least 40 bytes). */
void functions_column(sqlite3_stmt *stmt, int index, enum sql_type type, struct sql_value *out, char *scratch);

#endif
