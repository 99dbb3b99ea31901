/* plan: from what TEMU has and what it should have to the list of changes, in the order they are sent. Pure. */
#ifndef WORKER_JOBS_PLAN_H
#define WORKER_JOBS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/ledger.h"

/* How long TEMU may still show the old value after an edit, and how long an attempt of unknown outcome may still arrive: its time
 * stamp is good for 300 s (temu_api.md 1.3, 5.3). Within that time after a push, a value just read must not stop a push. */
#define PLAN_READ_BACK_MS 300000

struct baseline {
	struct maybe known; /* what to compare with */
	bool believed;      /* it follows from the value just read: the ledger is to be set to it */
};
/* Whether something sent at that time may still be under way, or not be seen yet. A time in the future is a clock set right since. */
bool plan_recent(int64_t sent_ms, int64_t now_ms);

/* Before wanted is sent: since when an attempt of another value may still arrive (0 = none), given the ledger's known, its last
 * attempt (sent, sent_ms) and the doubt it already holds. While that is recent, a confirmation of wanted makes nothing known: the
 * late attempt may overwrite it. A late attempt of the same value does no harm. */
int64_t plan_doubt(struct maybe ledger, struct maybe sent, int64_t sent_ms, int64_t doubt_ms, int64_t wanted);

/* ledger: what the ledger says (not set: unknown, or not in the ledger); sent_from, sent_ms: what was known when something was
 * last sent, and when (0 = never); reported: what TEMU just reported in a complete read, not set in quick mode.
 *
 * The reported value counts, unless something was sent within the read-back delay. Then: unknown stays unknown; a value that TEMU
 * confirmed stays when TEMU reports it, or still reports what it had before; anything else (something was sold, or both) makes it
 * unknown, which costs one push of an absolute target at most. */
struct baseline plan_baseline(struct maybe ledger, struct maybe sent_from, int64_t sent_ms, struct maybe reported,
                              int64_t now_ms);

struct plan_item {
	int64_t sku_id, goods_id;
	struct maybe known, sent;
	int64_t wanted;
	bool fresh;          /* first seen in this run */
	bool retry;          /* in quarantine, and due to be tried again */
	bool buffer_changed; /* its article's buffer is another one */
	bool confirmed;      /* a person has seen this very change */
	size_t index;        /* the caller's */
	/* Filled by plan_build. */
	const char *reason; /* "delta", "new", "unknown", "quarantine" (a retry) */
	bool zero;          /* a transition to zero: TEMU has more, or unknown and zero was not what was sent last */
	bool raise;         /* TEMU has less, or unknown and less was sent last */
	int urgency;        /* 0 to zero, 1 less or unknown, 2 more */
	int64_t amount;     /* pieces less; INT64_MAX when unknown; 0 for more */
	size_t rank;        /* of its goods: the place of the goods' most urgent change */
};

struct plan {
	struct plan_item *changes; /* heap: only what differs, most urgent first */
	size_t
	    *order; /* heap: indexes of changes as they are sent: goods by goods, a goods where its most urgent change stands */
	size_t count;
	int64_t compared; /* items looked at */
	int64_t goods;    /* distinct goods among the changes: calls needed at least */
	int64_t zeros;
	int64_t lowered, raised, unknown;
};

/* A change is wanted != known; unknown always differs. Zeros come first (the larger stock first), then reductions (the larger
 * first; unknown ones count as larger than any), then raises. A goods is sent as a whole with its most urgent change, so that
 * calls are as few as possible. Copies; items stay the caller's. PLAN_MEMORY (TEMP). */
int plan_build(const struct plan_item *items, size_t count, struct plan *plan, struct err *err) MUSTCHECK;
void plan_release(struct plan *plan);

#endif
