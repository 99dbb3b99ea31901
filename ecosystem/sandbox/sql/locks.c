/* The lock table: a list of what is held and a list of who waits. Small numbers of both, so both are searched in order.
 * What to lock is decided by the interpreter. */
#include "ecosystem/sandbox/sql/locks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAITERS_MAX 1024

struct held {
	char resource[300];
	int owner, count;
	enum lock_mode mode;
	enum lock_life life;
};

struct waiter {
	int owner, count, priority;
	const struct lock_request *requests;
	bool victim;
};

struct locks {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct held *held;
	int held_count, held_cap;
	struct waiter *waiters[WAITERS_MAX];
	int waiter_count;
};

struct locks *locks_new(void) {
	struct locks *locks = calloc(1, sizeof *locks);
	if (!locks)
		return NULL;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&locks->mutex, NULL);
	pthread_cond_init(&locks->changed, &attr);
	pthread_condattr_destroy(&attr);
	return locks;
}

void locks_free(struct locks *locks) {
	if (!locks)
		return;
	pthread_cond_destroy(&locks->changed);
	pthread_mutex_destroy(&locks->mutex);
	free(locks->held);
	free(locks);
}

static bool conflict(enum lock_mode a, enum lock_mode b) {
	static const bool table[5][5] = {
		/*            IS     S      U      IX     X */
		[LOCK_IS] = { false, false, false, false, true },
		[LOCK_S] = { false, false, false, true, true },
		[LOCK_U] = { false, false, true, true, true },
		[LOCK_IX] = { false, true, true, false, true },
		[LOCK_X] = { true, true, true, true, true },
	};
	return table[a][b];
}

static int blocker_of(const struct locks *locks, int owner, const struct lock_request *r) {
	for (int i = 0; i < locks->held_count; i++) {
		const struct held *h = &locks->held[i];
		if (h->owner != owner && conflict(r->mode, h->mode) && strcmp(h->resource, r->resource) == 0)
			return h->owner;
	}
	return 0;
}

static int blocker(const struct locks *locks, int owner, const struct lock_request *requests, int count) {
	for (int i = 0; i < count; i++) {
		int other = blocker_of(locks, owner, &requests[i]);
		if (other)
			return other;
	}
	return 0;
}

static void grant(struct locks *locks, int owner, const struct lock_request *r) {
	if (r->life == LOCK_INSTANT)
		return;
	for (int i = 0; i < locks->held_count; i++) {
		struct held *h = &locks->held[i];
		if (h->owner == owner && h->mode == r->mode && h->life == r->life && strcmp(h->resource, r->resource) == 0) {
			h->count++;
			return;
		}
	}
	if (locks->held_count == locks->held_cap) {
		int cap = locks->held_cap ? locks->held_cap * 2 : 64;
		struct held *more = realloc(locks->held, sizeof *more * (size_t)cap);
		if (!more)
			abort();
		locks->held = more;
		locks->held_cap = cap;
	}
	struct held *h = &locks->held[locks->held_count++];
	*h = (struct held){ .owner = owner, .count = 1, .mode = r->mode, .life = r->life };
	memcpy(h->resource, r->resource, sizeof h->resource);
}

/* --- deadlocks --- */

static struct waiter *waiting(const struct locks *locks, int owner) {
	for (int i = 0; i < locks->waiter_count; i++)
		if (locks->waiters[i]->owner == owner)
			return locks->waiters[i];
	return NULL;
}

struct circle {
	const struct locks *locks;
	int start;
	struct waiter *seen[WAITERS_MAX];
	int seen_count;
	struct waiter *weakest;
};

static bool reaches(struct circle *c, struct waiter *w) {
	for (int i = 0; i < c->seen_count; i++)
		if (c->seen[i] == w)
			return false;
	if (c->seen_count == WAITERS_MAX)
		return false;
	c->seen[c->seen_count++] = w;
	for (int r = 0; r < w->count; r++)
		for (int i = 0; i < c->locks->held_count; i++) {
			const struct held *h = &c->locks->held[i];
			if (h->owner == w->owner || !conflict(w->requests[r].mode, h->mode) ||
			    strcmp(h->resource, w->requests[r].resource) != 0)
				continue;
			struct waiter *next = waiting(c->locks, h->owner);
			if (next && !next->victim && (h->owner == c->start || reaches(c, next))) {
				if (w->priority < c->weakest->priority)
					c->weakest = w;
				return true;
			}
		}
	return false;
}

/* Marks the victim when the waiter closed a circle. */
static void find_deadlock(struct locks *locks, struct waiter *self) {
	struct circle c = { .locks = locks, .start = self->owner, .weakest = self };
	if (!reaches(&c, self))
		return;
	c.weakest->victim = true;
	pthread_cond_broadcast(&locks->changed);
}

/* --- waiting --- */

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_until(struct locks *locks, int64_t ms) {
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	pthread_cond_timedwait(&locks->changed, &locks->mutex, &t);
}

static enum lock_result wait_for(struct locks *locks, struct waiter *self, const struct lock_wait *wait) {
	int64_t end = wait->timeout_ms < 0 ? INT64_MAX : now_ms() + wait->timeout_ms;
	find_deadlock(locks, self);
	for (;;) {
		if (self->victim)
			return LOCK_DEADLOCK;
		if (!blocker(locks, self->owner, self->requests, self->count))
			return LOCK_WAITED;
		int64_t now = now_ms();
		if (now >= end)
			return LOCK_TIMEOUT;
		sleep_until(locks, end - now < 100 ? end : now + 100);
		/* the callback may take time and other locks */
		pthread_mutex_unlock(&locks->mutex);
		bool cancelled = wait->cancelled && wait->cancelled(wait->arg);
		pthread_mutex_lock(&locks->mutex);
		if (cancelled)
			return LOCK_CANCELLED;
	}
}

enum lock_result locks_acquire(struct locks *locks, int owner, const struct lock_request *requests, int count,
			       const struct lock_wait *wait) {
	enum lock_result result = LOCK_OK;
	pthread_mutex_lock(&locks->mutex);
	if (blocker(locks, owner, requests, count)) {
		struct waiter self = { .owner = owner, .count = count, .priority = wait->priority, .requests = requests };
		result = LOCK_TIMEOUT;
		if (wait->timeout_ms != 0 && locks->waiter_count < WAITERS_MAX) {
			locks->waiters[locks->waiter_count++] = &self;
			result = wait_for(locks, &self, wait);
			for (int i = 0; i < locks->waiter_count; i++)
				if (locks->waiters[i] == &self)
					locks->waiters[i--] = locks->waiters[--locks->waiter_count];
		}
	}
	if (result == LOCK_OK || result == LOCK_WAITED)
		for (int i = 0; i < count; i++)
			grant(locks, owner, &requests[i]);
	pthread_mutex_unlock(&locks->mutex);
	return result;
}

/* --- letting go --- */

static void drop(struct locks *locks, int owner, bool all) {
	int kept = 0;
	pthread_mutex_lock(&locks->mutex);
	for (int i = 0; i < locks->held_count; i++)
		if (locks->held[i].owner != owner || (!all && locks->held[i].life != LOCK_TRANSACTION)) {
			if (kept != i)
				locks->held[kept] = locks->held[i];
			kept++;
		}
	if (kept != locks->held_count)
		pthread_cond_broadcast(&locks->changed);
	locks->held_count = kept;
	pthread_mutex_unlock(&locks->mutex);
}

void locks_end_transaction(struct locks *locks, int owner) {
	drop(locks, owner, false);
}

void locks_end_session(struct locks *locks, int owner) {
	drop(locks, owner, true);
}

int locks_release(struct locks *locks, int owner, const char *resource, enum lock_life life) {
	int rc = -1;
	pthread_mutex_lock(&locks->mutex);
	for (int i = 0; i < locks->held_count && rc < 0; i++) {
		struct held *h = &locks->held[i];
		if (h->owner != owner || h->life != life || strcmp(h->resource, resource) != 0)
			continue;
		rc = 0;
		if (--h->count == 0) {
			*h = locks->held[--locks->held_count];
			pthread_cond_broadcast(&locks->changed);
		}
	}
	pthread_mutex_unlock(&locks->mutex);
	return rc;
}

int locks_mode(struct locks *locks, int owner, const char *resource) {
	int mode = -1;
	pthread_mutex_lock(&locks->mutex);
	for (int i = 0; i < locks->held_count; i++)
		if (locks->held[i].owner == owner && strcmp(locks->held[i].resource, resource) == 0 &&
		    (int)locks->held[i].mode > mode)
			mode = (int)locks->held[i].mode;
	pthread_mutex_unlock(&locks->mutex);
	return mode;
}

int locks_blocker(struct locks *locks, int owner) {
	pthread_mutex_lock(&locks->mutex);
	const struct waiter *w = waiting(locks, owner);
	int other = w ? blocker(locks, owner, w->requests, w->count) : 0;
	pthread_mutex_unlock(&locks->mutex);
	return other;
}
