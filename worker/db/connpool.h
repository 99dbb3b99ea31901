/* connpool: the connections of this process (baseline T1). `base` are kept open, `overflow` more are opened in a rush and closed
 * when they come back. Thread-safe. Connections are opened when they are first needed, outside the lock. */
#ifndef WORKER_DB_CONNPOOL_H
#define WORKER_DB_CONNPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include "worker/db/db.h"

struct connpool;

struct connpool_config {
	struct db_config db; /* what it points to must outlive the pool */
	int base, overflow;
	bool pre_ping;       /* try a connection before it is handed out when it was idle for more than CONNPOOL_PING_AFTER_MS,
	                      * or idle when another one was found dead */
	int recycle_s;       /* older connections are replaced */
	int wait_ms;         /* how long take waits for a free one */
};

#define CONNPOOL_PING_AFTER_MS 5000

struct connpool_stats {
	int open, idle, taken, waiting;              /* now */
	int64_t takes, opened, open_failed;          /* since start */
	int64_t discarded, recycled, closed;         /* doubtful or in a transaction; too old; above base */
	int64_t wait_ms_total, wait_ms_max, timeouts; /* of takes that had to wait */
};

/* Connects nothing. db_setup must have been called. SQL_MEMORY. Free with connpool_free. */
struct connpool *connpool_new(const struct connpool_config *config, struct err *err) MUSTCHECK;

/* A connection that was not in doubt a moment ago, with the limit set on it (may be NULL). Waits up to wait_ms or the limit, first
 * come first served; then POOL_WAIT (TEMP), SQL_CANCELLED or SQL_DEADLINE. Errors of db_open as they are; they take no place
 * away. A login under way ends by login_timeout_s only. POOL_STOPPED (CANCELLED) after connpool_stop. Every connection taken is put back by connpool_put. */
struct db *connpool_take(struct connpool *pool, const struct db_limit *limit, struct err *err) MUSTCHECK;

/* Back, whatever happened on it: doubtful ones and any with an open transaction are closed, which rolls back. NULL is accepted. */
void connpool_put(struct connpool *pool, struct db *db);

/* take, work, put. */
int connpool_run(struct connpool *pool, const struct db_limit *limit, db_work_fn *work, void *arg, struct err *err) MUSTCHECK;
/* take, db_transaction, put. */
int connpool_transaction(struct connpool *pool, const struct db_limit *limit, const struct db_fence *fence, db_work_fn *work,
                         void *arg, struct err *err) MUSTCHECK;

void connpool_stats(struct connpool *pool, struct connpool_stats *stats);

/* No more takes; waiters are sent away; idle connections are closed. Waits until all are back or deadline_ms (clock_mono_ms) has
 * passed: 0 or -1 (POOL_BUSY, TEMP: how many are still out). May be called again. */
int connpool_stop(struct connpool *pool, int64_t deadline_ms, struct err *err) MUSTCHECK;

/* After connpool_stop returned 0 (or nothing was ever taken). NULL is accepted. */
void connpool_free(struct connpool *pool);

#endif
