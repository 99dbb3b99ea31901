/* dbjson: rows for OPENJSON as pure ASCII JSON: [{"k":1,"t":"Gr\u00fc\u00dfe"},...]. Column names are ASCII literals of the caller.
 *   dbjson_init(&rows, 16 << 20); for (...) { dbjson_row(&rows); dbjson_int64(&rows, "k", k); dbjson_text(&rows, "t", t); }
 *   dbjson_end(&rows, "@j", &param, err) ... dbjson_release(&rows);
 * Read it with: FROM OPENJSON(@j) WITH (k bigint '$.k', t nvarchar(400) '$.t'). A missing or null member is SQL NULL. */
#ifndef WORKER_DB_DBJSON_H
#define WORKER_DB_DBJSON_H

#include "common/json.h"
#include "worker/db/db.h"

struct dbjson {
	struct buf text;
	size_t rows;
	bool open, invalid;
};

void dbjson_init(struct dbjson *rows, size_t max);
void dbjson_release(struct dbjson *rows);
/* Empties it for the next batch, keeps the memory. */
void dbjson_clear(struct dbjson *rows);

/* Starts the next row; the one before is closed. */
void dbjson_row(struct dbjson *rows);
void dbjson_int64(struct dbjson *rows, const char *name, int64_t value);
/* NULL: SQL NULL. Invalid UTF-8 makes dbjson_end fail: nothing is replaced silently. */
void dbjson_text(struct dbjson *rows, const char *name, const char *value);
void dbjson_bool(struct dbjson *rows, const char *name, bool value); /* bit */
void dbjson_null(struct dbjson *rows, const char *name);
/* Exact: the text of a decimal travels as a string; declare it decimal(25,13) in WITH. */
void dbjson_decimal(struct dbjson *rows, const char *name, const char *value);

/* Closes the document and points param at it: valid until dbjson_clear or dbjson_release, one of which comes before the next row.
 * An empty list is "[]". SQL_TEXT: invalid UTF-8 or larger than max. */
int dbjson_end(struct dbjson *rows, const char *param_name, struct db_param *param, struct err *err) MUSTCHECK;

#endif
