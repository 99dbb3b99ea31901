/* log_mirror: the journal's lines in dbo.scheduler_logs (jtl_database.md 6.6), each once. A batch of lines and the mark that says how far
 * the journal is copied (dbo.temu_log_mark) commit together, and the mark moves only from the value its writer expects: a batch that is
 * sent again after a lost answer, or by a second process with a copy of the same journal, changes nothing.
 *
 * Times in that table are the server's local ones. Which they were on another day the server cannot say cheaply: it knows its difference to
 * UTC of now. So each line brings the difference of its own time in the zone of the settings, which is taken while the server's difference
 * of now is that zone's; a server with another one (a container on UTC) gets its own difference of now for every line. */
#ifndef WORKER_DB_LOG_MIRROR_H
#define WORKER_DB_LOG_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"
#include "worker/db/dbjson.h"

#define LOG_MIRROR_BATCH 100

/* Texts borrowed for the call of log_batch_add. job_id and job_type are cut at a character where the column ends (255, 100); bytes that are
 * no UTF-8 become "?". */
struct log_row {
	int64_t seq, time_ms;
	int zone_min;        /* local minus UTC at time_ms, in minutes; of use with log_batch.zoned */
	const char *job_id, *job_type;
	const char *level;   /* DEBUG, INFO, WARNING, ERROR */
	const char *message;
	const char *status;  /* SUCCESS, FAILED; NULL = none */
	const char *error;   /* NULL = none */
	int64_t duration_ms; /* -1 = none */
};

/* Lines on their way, up to number `to`. */
struct log_batch {
	const char *journal; /* its identity; borrowed */
	int64_t from, to;    /* the expected mark and the new one */
	bool zoned;          /* the zone is known; zone_now_min: its difference of now */
	int zone_now_min;
	struct dbjson rows;
	struct buf text;     /* scratch */
};
void log_batch_init(struct log_batch *batch, const char *journal);
void log_batch_release(struct log_batch *batch);
/* Empty again, from the mark on; to = mark. */
void log_batch_clear(struct log_batch *batch, int64_t mark);
/* Moves `to` on. */
void log_batch_add(struct log_batch *batch, const struct log_row *row);

/* How far this journal is copied; 0 when never (the row is made). One or three statements, outside any transaction. */
int log_mirror_mark(struct db *db, const char *journal, int64_t *mark, struct err *err) MUSTCHECK;
/* A db_work_fn for a transaction; arg is a struct log_batch with at least one row, which must be cleared before it is used again.
 * LOG_MARK_MOVED (TEMP): the mark is not `from`; nothing was inserted. */
int log_mirror_write(struct db *db, void *batch, struct err *err) MUSTCHECK;

#endif
