/* sync: the state of one attempt of the inventory sync, shared by its files (inventory_sync.c, sync_*.c, push.c) and nobody else. */
#ifndef WORKER_JOBS_SYNC_H
#define WORKER_JOBS_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include "worker/db/claims.h"
#include "worker/db/jtl_stock.h"
#include "worker/db/lease.h"
#include "worker/db/ledger.h"
#include "worker/jobs/env.h"
#include "worker/jobs/guard.h"
#include "worker/jobs/listing.h"
#include "worker/jobs/plan.h"
#include "worker/jobs/report.h"

enum sync_step { SYNC_FETCH, SYNC_UPSERT, SYNC_STOCK, SYNC_PUSH, SYNC_STEPS };

struct sync_figures {
	int64_t seen, mapped, unmapped, skipped;
	int64_t changed, pushed, refused, unknown, planned;
	int64_t goods; /* with changes: calls needed at least */
	int64_t zeros, lowered, raised, fresh, vanished, bad_rows;
	int64_t near, doubled, nulls, missing_components;
	int64_t buffers;          /* listings whose article's buffer changed */
	int64_t quarantined;      /* left out of the plan */
	int64_t refused_again;    /* of refused: those that were in quarantine */
	int64_t sold_out;         /* wanted at zero, and TEMU still sells them: before the push; -1 = not known */
	int64_t zeros_pushed;
	int64_t stock_rows; /* that JTL has for all articles together */
	int64_t statements;
	int64_t duration_ms[SYNC_STEPS]; /* -1 = not run */
};

/* What earlier attempts of the run spent, as far as they could tell: one that was killed could not. */
struct sync_earlier {
	int64_t requests, retries, statements;
};

/* The plan of an earlier run that a person has confirmed: this run may send what stands in it. */
struct confirmed_change {
	int64_t sku_id, to;
};
struct confirmation {
	char plan[RUN_ID_MAX]; /* its run; "" = none */
	bool only_sold_out;    /* of it, only the changes to zero */
	bool rules_same;       /* it was made by the rules of now */
	struct confirmed_change *changes; /* heap, by skuId */
	size_t count, room;
};

/* SKUs that TEMU refused for good before, by skuId. */
struct sick {
	int64_t sku_id, next_ms;
	bool in; /* in quarantine; otherwise on the way there */
	char *code, *text, *request_id; /* heap: TEMU's words */
};
struct quarantine {
	struct sick *items; /* heap */
	size_t count, room;
};

struct sync {
	struct jobs_env *env;
	struct run *run;
	const struct shop_settings *shop;
	bool full, dry;
	struct temu *temu;
	bool prepared;
	bool old_silent; /* the system that ran here before was seen to be silent in this attempt */
	bool cut_short; /* the gate was shut while the plan was being sent */
	struct lease_grip grip; /* what every write shows; not in a dry run */
	char rules[LEDGER_RULES_MAX];
	struct ledger_shop state;
	struct jtl_probe probe;
	struct listings list;
	struct plan plan;
	struct sync_figures figures;
	struct sync_earlier earlier;
	bool resumed; /* an earlier attempt of the run left items */
	struct confirmation confirmation;
	struct quarantine quarantine;
	struct guard_facts facts;
	struct guard_verdict verdict;
	struct report report;
	struct claims claims; /* of the full run's look */
	const char *note; /* static text, for people; "" = none */
};

/* Once an attempt, before the first step does anything (sync_prepare.c): schema, lease, the old system's silence, the ledger, JTL's objects and
 * warehouses; and what changed in JTL since the last run is told. */
int sync_prepare(struct sync *sync, struct err *err) MUSTCHECK;
/* The system that ran here before is silent. One statement. */
int sync_check_old_system(struct sync *sync, struct err *err) MUSTCHECK;

int sync_fetch(struct sync *sync, struct err *err) MUSTCHECK;
int sync_upsert(struct sync *sync, struct err *err) MUSTCHECK;
int sync_stock(struct sync *sync, struct err *err) MUSTCHECK;
int sync_push(struct sync *sync, struct err *err) MUSTCHECK;

/* For sync_push (push.c): every change of the plan as a PLANNED item, most urgent first; and sending them all. 0 also when
 * the gate was shut meanwhile: cut_short. */
int sync_store_planned(struct sync *sync, struct err *err) MUSTCHECK;
int sync_send(struct sync *sync, struct err *err) MUSTCHECK;

/* sync_guard.c. A run that carries out a confirmed plan reads it; then its changes in the plan are marked, and of those alone a plan is made
 * where only the sold-outs are to go out. judge: fills facts and verdict. accept: the shop's rules and buffers are from now on those
 * that the ledger compares with. */
int sync_confirmation_load(struct sync *sync, struct err *err) MUSTCHECK;
void sync_confirmation_mark(struct sync *sync);
int sync_confirmation_sold_out(struct sync *sync, struct err *err) MUSTCHECK;
void sync_confirmation_release(struct sync *sync);
void sync_guard_judge(struct sync *sync);
int sync_guard_accept(struct sync *sync, struct err *err) MUSTCHECK;

/* sync_quarantine.c. load: before the plan. leaves_out: it is in there, and not due yet. store: the items of those left out. judge: what
 * became of SKUs that were sent. tell: an alarm about those that came in since the last one, also in a run that was killed. vanished: after
 * a complete read of TEMU, what is not there any more leaves. */
int sync_quarantine_load(struct sync *sync, struct err *err) MUSTCHECK;
void sync_quarantine_release(struct sync *sync);
const struct sick *sync_quarantine_find(const struct sync *sync, int64_t sku_id);
bool sync_quarantine_leaves_out(const struct sick *sick, int64_t now_ms);
int sync_quarantine_store(struct sync *sync, struct err *err) MUSTCHECK;
int sync_quarantine_judge(struct sync *sync, const struct quarantine_verdict *verdicts, size_t count, struct err *err) MUSTCHECK;
int sync_quarantine_tell(struct sync *sync, struct err *err) MUSTCHECK;
int sync_quarantine_vanished(struct sync *sync, struct err *err) MUSTCHECK;

/* Runs of several attempts: a look at what is there; then, with the plan made, an earlier attempt's open items are judged by what the
 * ledger says (confirmed, or not needed any more); at last the figures become those of the whole run. */
int sync_resume_begin(struct sync *sync, struct err *err) MUSTCHECK;
int sync_resume_settle(struct sync *sync, struct err *err) MUSTCHECK;
void sync_resume_tally(struct sync *sync);

/* The gate lets stock pass now. */
bool sync_gate_open(const struct sync *sync);
/* The old system's tables may be written now: they count as an effect, since the old system may still live on them. A gate that is opened
 * after the attempt began opens them only once it was seen to be silent. */
bool sync_may_write_old(const struct sync *sync);

/* jobs_db_run with the run's limit; statements: round trips of one success, for the figures. A transaction stands behind the lease. */
int sync_db(struct sync *sync, bool transaction, int64_t statements, db_work_fn *work, void *arg, struct err *err) MUSTCHECK;
int sync_db_within(struct sync *sync, const struct db_limit *limit, bool transaction, int64_t statements, db_work_fn *work, void *arg,
                   struct err *err) MUSTCHECK;

/* Item rows of a batch. Rows of an earlier attempt of the run, failed, held or interrupted, are set anew and not doubled. */
int sync_items(struct sync *sync, const struct item_record *items, size_t count, struct err *err) MUSTCHECK;

/* Detail object of a listing for its item row: article, JTL's spelling, stock, buffer, rule. */
void sync_detail(const struct listing *listing, struct buf *out);

#endif
