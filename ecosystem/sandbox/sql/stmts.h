/* stmts: SQLite's prepared statements of one session, kept by their text. Belongs to the session's thread. */
#ifndef SANDBOX_SQL_STMTS_H
#define SANDBOX_SQL_STMTS_H

#include <sqlite3.h>
#include "common/err.h"

struct stmts;

struct stmts *stmts_new(sqlite3 *db);
void stmts_free(struct stmts *stmts);
/* A statement ready to be bound; the caller's until stmts_put(). NULL: sqlite3_errmsg() tells why. */
sqlite3_stmt *stmts_take(struct stmts *stmts, const char *sql) MUSTCHECK;
/* Resets it and keeps it. NULL is fine. */
void stmts_put(struct stmts *stmts, sqlite3_stmt *stmt);
/* Forgets what is not in use (before SQLite must not have open statements). */
void stmts_clear(struct stmts *stmts);

#endif
