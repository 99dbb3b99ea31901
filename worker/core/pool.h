/* pool: the threads that work on runs: take, do the steps, finish. */
#ifndef WORKER_CORE_POOL_H
#define WORKER_CORE_POOL_H

#include "common/buf.h"
#include "common/err.h"
#include "worker/core/queue.h"

struct pool;

/* env is handed to every job's begin; borrowed until pool_stop. NULL on error, no thread is left then (the queue is stopped). */
struct pool *pool_start(struct queue *queue, int threads, void *env, struct err *err) MUSTCHECK;
/* After queue_stop: waits until every thread has ended its attempt, and frees. NULL is fine. */
void pool_stop(struct pool *pool);
/* Adds "threads" and "busy" to the open object. */
void pool_stats(void *pool, struct buf *out);

#endif
