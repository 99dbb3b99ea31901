/* alarm_watch: what nobody says by himself: a job that has not succeeded for too long, and alarms whose condition is gone. */
#ifndef WORKER_CORE_ALARM_WATCH_H
#define WORKER_CORE_ALARM_WATCH_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "proto/settings.h"
#include "worker/core/control.h"
#include "worker/core/job.h"
#include "worker/store/journal.h"

#define ALARM_WATCH_GRACE_MS 600000 /* after a start, before a job counts as stale: its first run may be under way */

/* All borrowed. */
struct alarm_watch {
	struct journal *journal;
	const struct settings *settings; /* shops, alarms.stale_minutes */
	const struct job_type *const *jobs;
	size_t job_count;
	struct control_shops shops; /* add: to see whether a lease is held; NULL = not known */
};

/* Looks once. Opens JOB_STALE (once; it ends with a success) for jobs that once succeeded, and ends the alarms whose lease is held, whose
 * quarantine is empty or whose shop is not configured any more. Waits for commits. Errors of the journal. */
int alarm_watch_look(const struct alarm_watch *watch, int64_t now_ms, int64_t uptime_ms, struct err *err) MUSTCHECK;

#endif
