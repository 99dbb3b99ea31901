/* guard: whether a plan looks like a mistake: too many SKUs to zero, too many raised, too many buffers changed, or other rules than those
 * the last plan was sent by. Pure. */
#ifndef WORKER_JOBS_GUARD_H
#define WORKER_JOBS_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/jobs/plan.h"

#define GUARD_CODES "GUARD_" /* every code begins so */

/* id, name in a run's result. In the order of weight: the first that trips gives the code. */
#define GUARD_TABLE(X)      \
	X(ZEROS, "zeros")   \
	X(RAISES, "raises") \
	X(BUFFERS, "buffers") \
	X(RULES, "rules")

enum guard {
#define X(id, name) GUARD_##id,
	GUARD_TABLE(X)
#undef X
	GUARDS
};

struct guard_facts {
	int64_t compared;       /* SKUs looked at */
	int64_t changes;        /* to be sent */
	int64_t zeros, raises;  /* changes nobody has confirmed yet */
	int64_t buffers;        /* listings whose article's buffer changed, nobody has confirmed yet */
	bool accepted;          /* something was sent before, under rules_before */
	bool rules_confirmed;   /* a person has confirmed a plan made by rules_now */
	const char *rules_before, *rules_now; /* rules.h; borrowed */
	int64_t sold_out;       /* SKUs wanted at zero that TEMU still sells */
};

/* Fills compared, changes, zeros, raises and buffers from the plan's changes that nobody has confirmed; the caller adds the rest, and
 * where no plan is confirmed also counts the buffers of listings that are not changed by them. */
struct guard_facts guard_count(const struct plan *plan);

struct guard_verdict {
	bool tripped[GUARDS];
	bool any;
};

/* zeros: at least zero_share_least and more than zero_share_percent of what was compared. raises, buffers: the same with raise_share_*.
 * rules: they differ from those accepted and are not confirmed; a shop that never pushed has none. Nothing to send trips nothing. */
struct guard_verdict guard_judge(const struct guard_facts *facts, const struct shop_settings *shop);

/* PERM, code of the first guard: what was found, what changed in the rules, how many sold-out SKUs are still for sale, what to do. */
int guard_error(const struct guard_verdict *verdict, const struct guard_facts *facts, const char *run_id, struct err *err);
/* The names of those that tripped, as elements of an open array. */
void guard_names(const struct guard_verdict *verdict, struct buf *out);

#endif
