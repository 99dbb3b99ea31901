/* Threads and nothing else: which run, which step, what follows are asked from queue and step. */
#include "worker/core/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "common/json.h"
#include "worker/core/step.h"

struct pool {
	struct queue *queue;
	void *env;
	int count;
	atomic_int busy;
	pthread_t threads[];
};

static void *
work(void *arg)
{
	struct pool *pool = arg;
	struct err outcome = ERR_INIT;
	struct run *run;
	while ((run = queue_take(pool->queue)) != NULL) {
		atomic_fetch_add(&pool->busy, 1);
		step_attempt(run, pool->env, &outcome);
		queue_finish(pool->queue, run, &outcome);
		atomic_fetch_sub(&pool->busy, 1);
	}
	return NULL;
}

int
pool_threads(int64_t configured, size_t shops, const struct job_type *const *jobs, size_t job_count)
{
	size_t least = 0;
	for (size_t i = 0; i < job_count; i++)
		least += jobs[i]->per_shop ? shops : 1;
	return configured > (int64_t)least ? (int)configured : (int)least;
}

struct pool *
pool_start(struct queue *queue, int threads, void *env, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool) + (size_t)threads * sizeof(pool->threads[0]));
	if (pool == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for %d threads", threads);
		return NULL;
	}
	pool->queue = queue;
	pool->env = env;
	for (; pool->count < threads; pool->count++) {
		int rc = pthread_create(&pool->threads[pool->count], NULL, work, pool);
		if (rc == 0) {
			pthread_setname_np(pool->threads[pool->count], "run");
			continue;
		}
		err_set(err, ERR_TEMP, "THREADS", "cannot start thread %d of %d: %s", pool->count + 1, threads, strerror(rc));
		queue_stop(queue);
		pool_stop(pool);
		return NULL;
	}
	return pool;
}

void
pool_stop(struct pool *pool)
{
	if (pool == NULL)
		return;
	for (int i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	free(pool);
}

void
pool_stats(void *arg, struct buf *out)
{
	struct pool *pool = arg;
	json_add_int64(out, "threads", pool->count);
	json_add_int64(out, "busy", atomic_load(&pool->busy));
}
