/* pool: the threads that work on runs: take, do the steps, finish. */
#ifndef WORKER_CORE_POOL_H
#define WORKER_CORE_POOL_H

#include "common/buf.h"
#include "common/err.h"
#include "worker/core/job.h"
#include "worker/core/queue.h"

struct pool;

/* The threads to start: as many as configured, but so many that no run that is due ever waits for one: a run of every job that works per
 * shop for each shop, and one of every other. So one shop's trouble never delays another. */
int pool_threads(int64_t configured, size_t shops, const struct job_type *const *jobs, size_t job_count);

/* env is handed to every job's begin; borrowed until pool_stop. NULL on error, no thread is left then (the queue is stopped). */
struct pool *pool_start(struct queue *queue, int threads, void *env, struct err *err) MUSTCHECK;
/* After queue_stop: waits until every thread has ended its attempt, and frees. NULL is fine. */
void pool_stop(struct pool *pool);
/* Adds "threads" and "busy" to the open object. */
void pool_stats(void *pool, struct buf *out);

#endif
