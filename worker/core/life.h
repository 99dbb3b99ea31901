/* life: the life of a run as pure functions on its record: what changes when an attempt begins, ends, is cancelled or found after a
 * kill. No clock, no lock, no journal here; queue.c stores what comes out and is the only one who moves a state. */
#ifndef WORKER_CORE_LIFE_H
#define WORKER_CORE_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/core/retry.h"
#include "worker/store/journal.h"

struct life_policy {
	struct retry_policy retry;
	int64_t deadline_ms; /* an attempt may take this long; time spent waiting does not count */
	int64_t hold_ms;     /* how soon a held run is looked at again when the error names no time */
	int rescue_max;      /* a run found after this many kills is given up (it may be what kills the process) */
};

#define LIFE_TEXT_MAX (ERR_TEXT_MAX + 200)

/* QUEUED -> RUNNING: the next attempt. Counters and progress start anew; the result of an earlier attempt stays until replaced. */
void life_begin(struct run_record *run, const struct life_policy *policy, int64_t now_ms);

/* How an attempt ended. */
struct life_end {
	struct err outcome;  /* class NONE: every step is done */
	bool partial;        /* run_partial was called */
	bool cancel_asked;   /* an error that came after that is the cancel's */
	bool draining;       /* the daemon stops: a TEMP error may be its doing (a call cut short) and spends no attempt */
	int64_t now_ms, duration_ms;
	uint64_t random;
};

/* RUNNING -> what follows (protocol.md). HELD and INTERRUPTED give the attempt back. text gets the line that says so, for the event
 * and the log. */
void life_finish(struct run_record *run, const struct life_policy *policy, const struct life_end *end, char text[LIFE_TEXT_MAX]);

/* QUEUED, RETRY, HELD -> CANCELLED. */
void life_cancel(struct run_record *run, int64_t now_ms);
/* RETRY, HELD, INTERRUPTED -> QUEUED. */
void life_queue(struct run_record *run, int64_t now_ms);
/* RUNNING, found at start -> INTERRUPTED, or FAILED (code POISON) when it was found too often. */
void life_rescue(struct run_record *run, const struct life_policy *policy, int64_t now_ms, char text[LIFE_TEXT_MAX]);
/* Any state that is not over -> FAILED with this error, without an attempt. */
void life_give_up(struct run_record *run, const struct err *why, int64_t now_ms);

#endif
