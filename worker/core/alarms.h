/* alarms: what an alarm means: how grave it is, what ends it, and who is to be told of it when. Pure functions; the rows are the
 * journal's (journal.h, alarms), the telling is alarm_sender's. */
#ifndef WORKER_CORE_ALARMS_H
#define WORKER_CORE_ALARMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/json.h"
#include "proto/settings.h"
#include "worker/core/job.h"
#include "worker/store/journal.h"

/* A channel is told that a cause is open at most once in this time, and then once that it is over. */
#define ALARM_HOUR_MS 3600000
#define ALARM_FORGET_MS 86400000 /* what is over for so long, and nobody could be told of, is not told any more */

/* What ends an alarm. */
enum alarm_ends {
	ALARM_ENDS_RUN,        /* a success of its job and shop */
	ALARM_ENDS_NEXT_RUN,   /* the same, of another run than the one that said it */
	ALARM_ENDS_LEASE,      /* the shop's lease is held again */
	ALARM_ENDS_QUARANTINE, /* the shop's quarantine is empty */
	ALARM_ENDS_ELSEWHERE,  /* whoever said it says so */
	ALARM_ENDS_BY_HAND,    /* it is news, not a condition: whoever acknowledges it closes it */
};
struct alarm_kind {
	const char *code; /* the whole code, or with a _ at the end the beginning of several */
	enum setting_severity severity;
	enum alarm_ends ends;
};
/* The row of a code; a code that is in none is an error that ends with a success. Never NULL. */
const struct alarm_kind *alarm_kind(const char *code);
const char *alarm_severity_name(enum setting_severity severity);

/* What the end of a run means to the alarms, for journal_run_end: NULL nothing, else `room->end`. record: as it is stored with the move.
 * A run that failed for good (or found its time over) alarms JOB_FAILED, POISON when it killed its process too often; one that succeeded
 * ends the alarms of its job and shop, unless it was a rehearsal (params.dry_run). type NULL: not known any more. */
struct alarm_room {
	struct alarm_end end;
	struct alarm_record record;
	char text[LOG_TEXT_MAX], why[RUN_ID_MAX + 40];
};
const struct alarm_end *alarm_of_run(const struct run_record *record, const struct job_type *type, const struct json *params,
                                     struct alarm_room *room);

/* The channels of the settings: web hooks by their names, and "mail". Borrowed from the settings. The number. */
struct alarm_channel {
	const char *name;
	const struct webhook_settings *hook; /* NULL = mail */
	enum setting_severity least;
};
size_t alarm_channels(const struct settings *settings, struct alarm_channel channels[ALARM_CHANNELS_MAX]);

/* What a channel is to be told of an alarm, and not before when (0 = at once). call: its row in the journal, NULL = none yet.
 * Open alarms: again when they were said again, at most once an hour, not while snoozed or once acknowledged. Over: when the opening was
 * told, or could have been (a channel out of order hides nothing). What was given up waits for something new. */
enum alarm_news { ALARM_NOTHING, ALARM_OPEN, ALARM_RESOLVED };
struct alarm_due {
	enum alarm_news news;
	int64_t at_ms;
};
struct alarm_due alarm_due(const struct alarm_state *state, const struct alarm_channel *channel, const struct alarm_call *call,
                           int64_t now_ms);
/* The row of this channel, NULL = none. */
const struct alarm_call *alarm_call_of(const struct alarm_state *state, const char *channel);

/* What follows from a try: `call` (its row before, or zeros with alarm and channel) is changed. error NULL: it was told. */
struct alarm_policy {
	int64_t attempts, backoff_ms;
};
void alarm_called(struct alarm_call *call, const struct alarm_policy *policy, enum alarm_news news, int64_t seq, const char *error,
                  int64_t wait_ms, int64_t now_ms);
/* The wait before the next try after `tries` failed ones. */
#define ALARM_BACKOFF_MAX_MS 600000
int64_t alarm_backoff_ms(int64_t backoff_ms, int64_t tries);

#endif
