/* scheduler_internal: what the scheduler is made of, for scheduler*.c only. */
#ifndef WORKER_CORE_SCHEDULER_INTERNAL_H
#define WORKER_CORE_SCHEDULER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cron.h"
#include "common/zone.h"
#include "worker/core/scheduler.h"
#include "worker/store/journal_schedules.h"

#define CLOCK_BACK_MS 3600000
#define NOTE_MAX 300
#define STALE_MAX (2 * SCHEDULES_MAX)

struct schedule {
	const struct schedule_settings *file;
	const struct job_type *type;
	struct json *params;
	struct cron cron;              /* of schedule_when */
	struct schedule_record record; /* as stored last; written under both locks */
};

struct scheduler {
	struct scheduler_config config;
	struct zone *zone;
	struct schedule *schedules;
	size_t count;
	pthread_mutex_t change, lock; /* in this order */
	int64_t seen_ms;              /* the clock when it was looked at last; under change */
	int timer_fd, wake_fd;
	pthread_t thread;
	atomic_bool stopping;
	char stale[STALE_MAX][SCHEDULE_RECORD_NAME_MAX]; /* names the settings do not have; at the start only */
	size_t stale_count;
};

/* scheduler.c; under change or lock. */
const char *schedule_when(const struct schedule *schedule);
bool schedule_paused(const struct schedule *schedule);
/* The moment with its jitter; 0 stays 0. */
int64_t schedule_due(const struct schedule *schedule, int64_t moment_ms);

/* scheduler.c; under change. Sets the record's next moment where it has none, where it belongs to another text or zone, and where the clock
 * was set back. Sets schedule->cron. */
void schedule_plan(struct scheduler *scheduler, struct schedule *schedule, struct schedule_record *record, int64_t now_ms);
/* Stores next, and makes it the schedule's. */
int schedule_store(struct scheduler *scheduler, struct schedule *schedule, const struct schedule_record *next, const char *note,
                   struct err *err) MUSTCHECK;

/* scheduler_set.c */
struct schedule *schedule_find(struct scheduler *scheduler, const char *name); /* NULL when unknown */
/* A change that says the same as the file is none any more. */
void schedule_drop_equal(const struct schedule *schedule, struct schedule_record *record);

#endif
