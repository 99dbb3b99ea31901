/* journal_schedules: what the journal keeps of schedules: changes by hand, the next start, the last one, lateness, missed starts. What
 * they mean, and that there is one writer for each name, is the scheduler's affair. Threads and errors as in journal.h. */
#ifndef WORKER_STORE_JOURNAL_SCHEDULES_H
#define WORKER_STORE_JOURNAL_SCHEDULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cron.h"
#include "common/err.h"
#include "worker/store/journal.h"

#define SCHEDULE_RECORD_NAME_MAX 61
#define SCHEDULE_WHO_MAX 101
#define SCHEDULE_OF_MAX (CRON_TEXT_MAX + ZONE_NAME_MAX)

struct schedule_record {
	char name[SCHEDULE_RECORD_NAME_MAX];
	/* changed by hand; what is not says the file */
	char when[CRON_TEXT_MAX]; /* "" = not */
	int paused;               /* -1 = not */
	char who[SCHEDULE_WHO_MAX];
	int64_t changed_ms;       /* 0 = never */
	/* where it stands; moments are those it is due without jitter, 0 = none */
	char next_of[SCHEDULE_OF_MAX]; /* the text and zone that next_ms comes from */
	int64_t next_ms;
	int64_t last_ms, fired_ms;     /* the last start: when it was due, when it was made */
	char run[RUN_ID_MAX];          /* it made, or found not over */
	char refusal[ERR_CODE_MAX];    /* why it made none, "" = it did */
	int64_t fires, refused;        /* starts made; starts that made no run (or not for every shop) */
	int64_t late_ms, late_max_ms;  /* behind the moment it was due, jitter included */
	int64_t missed, missed_first_ms, missed_last_ms;
};

/* Stores every field. note: of an audit event (EVENT_LOG, WARNING) in the same commit; NULL = none. */
int journal_schedule_put(struct journal *journal, const struct schedule_record *record, const char *note, struct err *err) MUSTCHECK;
/* Forgets it. */
int journal_schedule_remove(struct journal *journal, const char *name, struct err *err) MUSTCHECK;
/* By name. each returns false to stop. */
int journal_schedule_list(struct journal *journal, bool (*each)(const struct schedule_record *record, void *arg), void *arg,
                          struct err *err) MUSTCHECK;

#endif
