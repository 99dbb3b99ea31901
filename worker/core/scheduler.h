/* scheduler: starts runs when they are due: one thread that waits for the next due moment, for a change, or for the clock to be set. What is
 * due when is in the settings (schedules[]) until somebody changes it here; changes, the next start and the last one are in the journal. */
#ifndef WORKER_CORE_SCHEDULER_H
#define WORKER_CORE_SCHEDULER_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/core/job.h"
#include "worker/core/queue.h"
#include "worker/store/journal.h"

struct scheduler;

#define SCHEDULER_GRACE_MS 60000 /* a start that comes later than this was missed */

/* All borrowed until scheduler_stop. */
struct scheduler_config {
	struct journal *journal;
	struct queue *queue;
	const struct settings *settings; /* zone, schedules, shops */
};

/* Whether every schedule has a job, and one that takes its shop and parameters. 0, or -1 PERM CONFIG. Needs no journal. */
int scheduler_check(const struct settings *settings, const struct job_type *const *jobs, size_t job_count, struct err *err) MUSTCHECK;

/* Reads what the journal holds, forgets there what the settings do not name any more, and starts the thread. Nothing is started before
 * its moment; those of the time before (the process was down, the machine slept) were missed: they are counted and said in a log line,
 * and where the schedule says so, one run is started for all of them. A start that is less than SCHEDULER_GRACE_MS late is none of these.
 * NULL on error. */
struct scheduler *scheduler_start(const struct scheduler_config *config, struct err *err) MUSTCHECK;
/* After queue_stop. Waits for the thread, and frees. NULL is fine. */
void scheduler_stop(struct scheduler *scheduler);
/* Looks at the clock again. The kernel's clock needs no such call when it is set. */
void scheduler_wake(struct scheduler *scheduler);

/* Adds the members "zone" and "schedules" (in the order of the settings) to the open object. Does not wait. */
void scheduler_list(struct scheduler *scheduler, struct buf *out);

struct scheduler_order {
	const char *name;
	int paused;       /* 1, 0, -1 = not said */
	const char *when; /* NULL = not said */
	bool reset;       /* back to what the file says; nothing else may be said */
	const char *who;  /* NULL or "" = not said; for the audit */
};
/* Stores the change and acts on it; it outlives restarts. Adds the schedule's members to the open object. 0, or -1: UNKNOWN_SCHEDULE,
 * BAD_REQUEST, JOURNAL_*. Waits for the commit. */
int scheduler_set(struct scheduler *scheduler, const struct scheduler_order *order, struct buf *out, struct err *err) MUSTCHECK;

#endif
