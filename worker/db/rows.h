/* rows: what the repository files share: sending one statement with one document of rows, and times. */
#ifndef WORKER_DB_ROWS_H
#define WORKER_DB_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"
#include "worker/db/dbjson.h"
#include "worker/db/ledger.h"

#define ROWS_MAX (16 << 20) /* bytes of one document */
#define ROWS_TIME_MAX 32

/* "2026-11-24T05:04:17.123" for CONVERT(datetime2(3), @now, 126). Returns out. */
const char *rows_time(int64_t now_ms, char out[ROWS_TIME_MAX]);
/* What CONVERT(varchar(33), column, 126) gives, as UTC milliseconds; 0 for NULL. SQL_ROW (PERM): something else is there. */
int rows_time_read(const char *text, int64_t *ms, struct err *err) MUSTCHECK;
void rows_maybe(struct dbjson *rows, const char *name, struct maybe value);
/* A column that may be NULL: not set then. */
int rows_maybe_read(const struct db_row *row, int column, struct maybe *out, struct err *err) MUSTCHECK;

/* Runs sql with the rows as @j and the other parameters (params[0] is filled here, count includes it). */
int rows_send(struct db *db, const char *label, const char *sql, struct dbjson *rows, struct db_param *params, size_t count,
              int64_t *affected, struct err *err) MUSTCHECK;
/* The same with ids alone as rows: { name: id }. */
int rows_send_ids(struct db *db, const char *label, const char *sql, const char *name, const int64_t *ids, size_t ids_count,
                  struct db_param *params, size_t count, struct err *err) MUSTCHECK;

#endif
