/* lite: one SQLite connection with its prepared statements. For the files of this room only. A connection serves one thread at a
 * time; who that is, its owner decides (the writer thread, or whoever took a reader). Errors carry the file's path:
 * TEMP JOURNAL_DISK (full, I/O, read-only, busy), PERM JOURNAL_DAMAGED, PERM JOURNAL_SQL (everything else: a bug or a foreign file). */
#ifndef WORKER_STORE_LITE_H
#define WORKER_STORE_LITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>
#include "common/err.h"

#define LITE_STATEMENTS_MAX 128

struct lite {
	sqlite3 *db;
	const char *path; /* borrowed */
	int count;
	struct {
		const char *text; /* the address is the key */
		sqlite3_stmt *statement;
	} cache[LITE_STATEMENTS_MAX];
};

/* Opens an existing file. On failure nothing is left open. */
int lite_open(struct lite *lite, const char *path, bool writable, struct err *err) MUSTCHECK;
void lite_close(struct lite *lite);

/* Statements without parameters or rows. */
int lite_exec(struct lite *lite, const char *text, struct err *err) MUSTCHECK;

/* The statement of this text, ready to bind; prepared once per connection, so text must be a constant that lives for ever. */
sqlite3_stmt *lite_use(struct lite *lite, const char *text, struct err *err) MUSTCHECK;
/* NULL binds NULL; the text must live until the statement was stepped. */
void lite_bind_text(sqlite3_stmt *statement, int at, const char *text);
/* 1 a row, 0 done, -1 error; reset in the last two cases. Leaving earlier: lite_done. */
int lite_step(struct lite *lite, sqlite3_stmt *statement, struct err *err) MUSTCHECK;
void lite_done(sqlite3_stmt *statement);
/* Steps a statement without rows. 0 or -1. */
int lite_run(struct lite *lite, sqlite3_stmt *statement, struct err *err) MUSTCHECK;

/* First column of the first row; fallback when there is none. */
int lite_int64(struct lite *lite, const char *text, int64_t fallback, int64_t *out, struct err *err) MUSTCHECK;

/* Column as text, "" for NULL; borrowed until the next step. */
const char *lite_text(sqlite3_stmt *statement, int at);
/* Copies it, cut at a character boundary. */
void lite_copy(sqlite3_stmt *statement, int at, char *out, size_t size);

#endif
