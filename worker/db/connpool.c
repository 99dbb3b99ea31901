/* The pool: who gets which connection, who waits, what is thrown away.
 * Everything that talks to the server (open, ping, close, @@TRANCOUNT) happens outside the lock. */
#include "worker/db/connpool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "common/clock.h"

#define CANCEL_LOOK_MS 200 /* a waiter looks at its cancel this often */

struct entry {
	struct db *db;
	int64_t opened_ms, idle_since_ms;
	struct entry *next;
};

/* A place is the right to have one connection; a waiter is handed a connection, or a bare place to open one itself. */
struct waiter {
	pthread_cond_t wake;
	bool served;
	struct entry *entry; /* NULL with served: a bare place */
	struct waiter *next;
};

struct connpool {
	struct connpool_config config;
	pthread_mutex_t lock;
	pthread_cond_t changed;           /* places were given back, for connpool_stop */
	bool stopped;
	int places;                       /* in use: idle, taken, or being opened */
	struct entry *idle, *taken;       /* idle: most recently used first */
	struct waiter *first, *last;
	int64_t doubt_ms;                 /* when a connection was last found dead: those idle since before are tried first */
	struct connpool_stats stats;
};

/* --- condition variables on the clock that never jumps --- */

static int cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc == 0) {
		rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		if (rc == 0)
			rc = pthread_cond_init(cond, &attr);
		pthread_condattr_destroy(&attr);
	}
	return rc;
}

static void wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(cond, lock, &until);
}

/* --- under the lock --- */

static struct waiter *first_waiter(struct connpool *pool)
{
	struct waiter *waiter = pool->first;

	if (waiter) {
		pool->first = waiter->next;
		if (!pool->first)
			pool->last = NULL;
		waiter->next = NULL;
		pool->stats.waiting--;
	}
	return waiter;
}

static void leave_queue(struct connpool *pool, struct waiter *waiter)
{
	struct waiter **at = &pool->first, *before = NULL;

	while (*at != waiter) {
		before = *at;
		at = &(*at)->next;
	}
	*at = waiter->next;
	if (pool->last == waiter)
		pool->last = before;
	pool->stats.waiting--;
	pthread_cond_broadcast(&pool->changed);
}

static void serve(struct waiter *waiter, struct entry *entry)
{
	waiter->entry = entry;
	waiter->served = true;
	pthread_cond_signal(&waiter->wake);
}

/* The place goes to whoever waits longest, or becomes free. */
static void give_place_back(struct connpool *pool)
{
	struct waiter *waiter = pool->stopped ? NULL : first_waiter(pool);

	if (waiter)
		serve(waiter, NULL);
	else
		pool->places--;
	pthread_cond_broadcast(&pool->changed);
}

static void add_taken(struct connpool *pool, struct entry *entry)
{
	entry->next = pool->taken;
	pool->taken = entry;
	pool->stats.taken++;
	pool->stats.takes++;
}

static struct entry *remove_taken(struct connpool *pool, const struct db *db)
{
	struct entry **at = &pool->taken, *entry;

	while (*at && (*at)->db != db)
		at = &(*at)->next;
	entry = *at;
	if (entry) {
		*at = entry->next;
		pool->stats.taken--;
	}
	return entry;
}

/* --- waiting for a place --- */

static int limit_reached(const struct db_limit *limit, struct err *err)
{
	if (limit && limit->cancelled && limit->cancelled(limit->arg))
		return err_set(err, ERR_CANCELLED, "SQL_CANCELLED", "cancelled while waiting for a database connection");
	if (limit && limit->deadline_ms > 0 && clock_mono_ms() >= limit->deadline_ms)
		return err_set(err, ERR_CANCELLED, "SQL_DEADLINE", "the deadline passed while waiting for a database connection");
	return 0;
}

static int stopped(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "POOL_STOPPED", "the connection pool has been stopped");
}

/* May the waiter go on waiting? How long at most is stored. */
static int next_wait(struct connpool *pool, const struct db_limit *limit, int64_t since_ms, int64_t *ms, struct err *err)
{
	int64_t now_ms = clock_mono_ms();

	if (pool->stopped)
		return stopped(err);
	if (limit_reached(limit, err) != 0)
		return -1;
	*ms = since_ms + pool->config.wait_ms - now_ms;
	if (*ms <= 0) {
		pool->stats.timeouts++;
		return err_set(err, ERR_TEMP, "POOL_WAIT", "no database connection became free within %d ms, all %d are in use",
		               pool->config.wait_ms, pool->config.base + pool->config.overflow);
	}
	if (limit && limit->deadline_ms > 0 && limit->deadline_ms - now_ms < *ms)
		*ms = limit->deadline_ms - now_ms;
	if (limit && limit->cancelled && *ms > CANCEL_LOOK_MS)
		*ms = CANCEL_LOOK_MS;
	return 0;
}

static int wait_in_queue(struct connpool *pool, const struct db_limit *limit, struct entry **entry, struct err *err)
{
	struct waiter me = { 0 };
	int64_t since_ms = clock_mono_ms(), ms = 0, waited_ms;
	int rc = 0;

	if (cond_init(&me.wake) != 0)
		return err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory");
	/* me leaves the queue before it goes out of scope */
	if (pool->last)
		pool->last->next = &me;
	else
		pool->first = &me; /* cppcheck-suppress autoVariables */
	pool->last = &me;          /* cppcheck-suppress autoVariables */
	pool->stats.waiting++;
	while (!me.served && (rc = next_wait(pool, limit, since_ms, &ms, err)) == 0)
		wait_for(&me.wake, &pool->lock, ms);
	if (!me.served)
		leave_queue(pool, &me);
	*entry = me.entry;
	waited_ms = clock_mono_ms() - since_ms;
	pool->stats.wait_ms_total += waited_ms;
	if (waited_ms > pool->stats.wait_ms_max)
		pool->stats.wait_ms_max = waited_ms;
	pthread_cond_destroy(&me.wake);
	return me.served ? 0 : rc;
}

/* 0 with an idle connection, or with *entry NULL and the place to open one. Never overtakes a waiter. */
static int get_place(struct connpool *pool, const struct db_limit *limit, struct entry **entry, struct err *err)
{
	*entry = NULL;
	if (pool->stopped)
		return stopped(err);
	if (limit_reached(limit, err) != 0)
		return -1;
	if (!pool->first && pool->idle) {
		*entry = pool->idle;
		pool->idle = (*entry)->next;
		pool->stats.idle--;
		return 0;
	}
	if (!pool->first && pool->places < pool->config.base + pool->config.overflow) {
		pool->places++;
		return 0;
	}
	return wait_in_queue(pool, limit, entry, err);
}

/* --- outside the lock --- */

static void drop(struct connpool *pool, struct entry *entry, int64_t *counter)
{
	db_close(entry->db);
	free(entry);
	pthread_mutex_lock(&pool->lock);
	pool->stats.open--;
	(*counter)++;
	if (counter == &pool->stats.discarded)
		pool->doubt_ms = clock_mono_ms();
	pthread_mutex_unlock(&pool->lock);
}

static bool too_old(const struct connpool *pool, const struct entry *entry, int64_t now_ms)
{
	return now_ms - entry->opened_ms >= (int64_t)pool->config.recycle_s * 1000;
}

/* Still good? Otherwise it is dropped, the place stays. */
static struct entry *check(struct connpool *pool, struct entry *entry)
{
	int64_t now_ms = clock_mono_ms(), doubt_ms;
	struct err err = ERR_INIT;

	if (!entry)
		return NULL;
	if (too_old(pool, entry, now_ms)) {
		drop(pool, entry, &pool->stats.recycled);
		return NULL;
	}
	pthread_mutex_lock(&pool->lock);
	doubt_ms = pool->doubt_ms;
	pthread_mutex_unlock(&pool->lock);
	if (!pool->config.pre_ping ||
	    (now_ms - entry->idle_since_ms <= CONNPOOL_PING_AFTER_MS && entry->idle_since_ms > doubt_ms) ||
	    db_ping(entry->db, &err) == 0)
		return entry;
	drop(pool, entry, &pool->stats.discarded);
	return NULL;
}

static struct entry *open_entry(struct connpool *pool, struct err *err)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory");
	else
		entry->db = db_open(&pool->config.db, err);
	if (entry && !entry->db) {
		free(entry);
		entry = NULL;
	}
	if (entry)
		entry->opened_ms = entry->idle_since_ms = clock_mono_ms();
	pthread_mutex_lock(&pool->lock);
	if (entry) {
		pool->stats.open++;
		pool->stats.opened++;
	} else {
		pool->stats.open_failed++;
		give_place_back(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return entry;
}

/* --- public --- */

struct connpool *connpool_new(const struct connpool_config *config, struct err *err)
{
	struct connpool *pool = calloc(1, sizeof(*pool));

	if (!pool || cond_init(&pool->changed) != 0) {
		free(pool);
		err_set(err, ERR_TEMP, "SQL_MEMORY", "out of memory");
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pool->config = *config;
	return pool;
}

struct db *connpool_take(struct connpool *pool, const struct db_limit *limit, struct err *err)
{
	struct entry *entry;
	int rc;

	pthread_mutex_lock(&pool->lock);
	rc = get_place(pool, limit, &entry, err);
	pthread_mutex_unlock(&pool->lock);
	if (rc != 0)
		return NULL;
	entry = check(pool, entry);
	if (!entry)
		entry = open_entry(pool, err);
	if (!entry)
		return NULL;
	db_limit_set(entry->db, limit);
	pthread_mutex_lock(&pool->lock);
	add_taken(pool, entry);
	pthread_mutex_unlock(&pool->lock);
	return entry->db;
}

/* Under the lock: to a waiter, or to the idle ones. false: it is one too many. */
static bool keep(struct connpool *pool, struct entry *entry)
{
	struct waiter *waiter;

	if (pool->stopped)
		return false;
	waiter = first_waiter(pool);
	if (!waiter && pool->places > pool->config.base)
		return false;
	entry->idle_since_ms = clock_mono_ms();
	if (waiter) {
		serve(waiter, entry);
	} else {
		entry->next = pool->idle;
		pool->idle = entry;
		pool->stats.idle++;
	}
	return true;
}

void connpool_put(struct connpool *pool, struct db *db)
{
	struct entry *entry;
	bool good, old, kept = false;

	if (!db)
		return;
	db_limit_set(db, NULL);
	good = !db_doubtful(db) && !db_in_transaction(db) && !db_doubtful(db);
	pthread_mutex_lock(&pool->lock);
	entry = remove_taken(pool, db);
	if (!entry)
		abort(); /* not of this pool, or put twice */
	old = too_old(pool, entry, clock_mono_ms());
	if (good && !old)
		kept = keep(pool, entry);
	pthread_mutex_unlock(&pool->lock);
	if (kept)
		return;
	drop(pool, entry, !good ? &pool->stats.discarded : old ? &pool->stats.recycled : &pool->stats.closed);
	pthread_mutex_lock(&pool->lock);
	give_place_back(pool);
	pthread_mutex_unlock(&pool->lock);
}

int connpool_run(struct connpool *pool, const struct db_limit *limit, db_work_fn *work, void *arg, struct err *err)
{
	struct db *db = connpool_take(pool, limit, err);
	int rc;

	if (!db)
		return -1;
	rc = work(db, arg, err);
	connpool_put(pool, db);
	return rc;
}

int connpool_transaction(struct connpool *pool, const struct db_limit *limit, const struct db_fence *fence, db_work_fn *work,
                         void *arg, struct err *err)
{
	struct db *db = connpool_take(pool, limit, err);
	int rc;

	if (!db)
		return -1;
	rc = db_transaction(db, fence, work, arg, err);
	connpool_put(pool, db);
	return rc;
}

void connpool_stats(struct connpool *pool, struct connpool_stats *stats)
{
	pthread_mutex_lock(&pool->lock);
	*stats = pool->stats;
	pthread_mutex_unlock(&pool->lock);
}

static void close_idle(struct connpool *pool)
{
	struct entry *list;

	pthread_mutex_lock(&pool->lock);
	list = pool->idle;
	pool->idle = NULL;
	pool->stats.idle = 0;
	pthread_mutex_unlock(&pool->lock);
	while (list) {
		struct entry *entry = list;

		list = entry->next;
		drop(pool, entry, &pool->stats.closed);
		pthread_mutex_lock(&pool->lock);
		give_place_back(pool);
		pthread_mutex_unlock(&pool->lock);
	}
}

int connpool_stop(struct connpool *pool, int64_t deadline_ms, struct err *err)
{
	int64_t now_ms;
	int out;

	pthread_mutex_lock(&pool->lock);
	pool->stopped = true;
	for (struct waiter *waiter = pool->first; waiter; waiter = waiter->next)
		pthread_cond_signal(&waiter->wake);
	pthread_mutex_unlock(&pool->lock);
	close_idle(pool);
	pthread_mutex_lock(&pool->lock);
	while ((pool->places > 0 || pool->stats.waiting > 0) && (now_ms = clock_mono_ms()) < deadline_ms)
		wait_for(&pool->changed, &pool->lock, deadline_ms - now_ms);
	out = pool->places;
	pthread_mutex_unlock(&pool->lock);
	if (out > 0)
		return err_set(err, ERR_TEMP, "POOL_BUSY", "%d database connections are still in use", out);
	return 0;
}

void connpool_free(struct connpool *pool)
{
	if (!pool)
		return;
	close_idle(pool);
	if (pool->places > 0 || pool->first)
		abort(); /* somebody still uses a connection */
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
