/* locks: what SQL Server's lock manager does, in front of SQLite: tables, application locks and the one "writer" of the file,
 * with waiting, time-outs and deadlock detection over all of them. Any thread.
 *
 * Simplifications, on purpose: locks are on whole tables; one transaction writes at a time, so that a second one that writes
 * another table waits for the first one's end; a statement takes all its locks at once and holds none of them while it waits, so
 * that only locks of earlier statements (or HOLDLOCK, UPDLOCK, application locks) can be part of a deadlock. Readers under READ
 * COMMITTED wait for the writer of a table but do not make it wait; NOLOCK and READ_COMMITTED_SNAPSHOT readers see the last
 * committed state. */
#ifndef SANDBOX_SQL_LOCKS_H
#define SANDBOX_SQL_LOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"

struct locks;

enum lock_mode { LOCK_IS, LOCK_S, LOCK_U, LOCK_IX, LOCK_X };
enum lock_life {
	LOCK_INSTANT,	  /* wait until it could be had, keep nothing */
	LOCK_TRANSACTION, /* until locks_end_transaction() */
	LOCK_SESSION,	  /* until released by name */
};
enum lock_result { LOCK_OK, LOCK_WAITED, LOCK_TIMEOUT, LOCK_DEADLOCK, LOCK_CANCELLED };

struct lock_request {
	char resource[300]; /* "t:17", "writer", "a:..." */
	enum lock_mode mode;
	enum lock_life life;
};

struct lock_wait {
	int timeout_ms; /* -1 = for ever, 0 = not at all */
	int priority;	/* of the deadlock victim's choice: the lower one goes, then the one who closed the circle */
	bool (*cancelled)(void *arg);
	void *arg;
};

struct locks *locks_new(void);
void locks_free(struct locks *locks);
/* All or none. LOCK_OK: at once; LOCK_WAITED: after waiting. Blocks; calls wait->cancelled at least every 100 ms. */
enum lock_result locks_acquire(
	struct locks *locks, int owner, const struct lock_request *requests, int count, const struct lock_wait *wait) MUSTCHECK;
void locks_end_transaction(struct locks *locks, int owner);
/* One lock less of that name; -1 when there is none. */
int locks_release(struct locks *locks, int owner, const char *resource, enum lock_life life);
/* Everything of this owner. */
void locks_end_session(struct locks *locks, int owner);
/* The strongest mode the owner holds, -1 = none (APPLOCK_MODE). */
int locks_mode(struct locks *locks, int owner, const char *resource);
/* Whom the owner waits for, 0 = nobody. */
int locks_blocker(struct locks *locks, int owner);

#endif
