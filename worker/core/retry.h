/* retry: what follows from the end of an attempt. A pure function: no clock, no state, no random source of its own. */
#ifndef WORKER_CORE_RETRY_H
#define WORKER_CORE_RETRY_H

#include <stdint.h>
#include "common/err.h"

struct retry_policy {
	int attempts;           /* at most this many, the first one included */
	int64_t backoff_ms;     /* base: the ceiling before the second attempt */
	int64_t backoff_max_ms; /* the ceiling never grows beyond; a wait asked for by the error may */
};

enum retry_verdict {
	RETRY_AGAIN,  /* the next attempt after wait_ms */
	RETRY_HOLD,   /* look again after wait_ms; the attempt does not count */
	RETRY_GIVE_UP,
	RETRY_STOPPED, /* cancelled */
};

struct retry_decision {
	enum retry_verdict verdict;
	int64_t wait_ms; /* 0 for GIVE_UP and STOPPED */
};

/* attempt: the one that just failed, from 1. random: any 64 random bits, used for full jitter: the wait is spread evenly over
 * 0..min(backoff_max, backoff * 2^(attempt-1)). An error that names a wait is never tried earlier than that; the jitter comes on top.
 * err must have a class other than NONE. */
struct retry_decision retry_decide(const struct retry_policy *policy, int attempt, const struct err *err, uint64_t random);

#endif
