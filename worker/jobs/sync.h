/* sync: the state of one attempt of the inventory sync, shared by its step files (inventory_sync.c, sync_fetch.c, sync_upsert.c,
 * sync_stock.c, sync_push.c, push.c, sync_resume.c) and nobody else. */
#ifndef WORKER_JOBS_SYNC_H
#define WORKER_JOBS_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include "worker/db/jtl_stock.h"
#include "worker/db/ledger.h"
#include "worker/jobs/env.h"
#include "worker/jobs/listing.h"
#include "worker/jobs/plan.h"

enum sync_step { SYNC_FETCH, SYNC_UPSERT, SYNC_STOCK, SYNC_PUSH, SYNC_STEPS };

struct sync_figures {
	int64_t seen, mapped, unmapped, skipped;
	int64_t changed, pushed, refused, unknown, planned;
	int64_t goods; /* with changes: calls needed at least */
	int64_t zeros, lowered, raised, fresh, vanished, bad_rows;
	int64_t near, doubled, nulls, missing_components;
	int64_t stock_rows; /* that JTL has for all articles together */
	int64_t statements;
	int64_t duration_ms[SYNC_STEPS]; /* -1 = not run */
};

/* What earlier attempts of the run spent, as far as they could tell: one that was killed could not. */
struct sync_earlier {
	int64_t requests, retries, statements;
};

struct sync {
	struct jobs_env *env;
	struct run *run;
	const struct shop_settings *shop;
	bool full, dry;
	struct temu *temu;
	bool prepared;
	struct ledger_shop state;
	struct jtl_probe probe;
	struct listings list;
	struct plan plan;
	struct sync_figures figures;
	struct sync_earlier earlier;
	bool resumed; /* an earlier attempt of the run left items */
	bool guarded;
	const char *note; /* static text, for people; "" = none */
};

/* Once an attempt, before the first step does anything: schema, JTL's objects and warehouses, the ledger. */
int sync_prepare(struct sync *sync, struct err *err) MUSTCHECK;

int sync_fetch(struct sync *sync, struct err *err) MUSTCHECK;
int sync_upsert(struct sync *sync, struct err *err) MUSTCHECK;
int sync_stock(struct sync *sync, struct err *err) MUSTCHECK;
int sync_push(struct sync *sync, struct err *err) MUSTCHECK;

/* For sync_push (push.c): every change of the plan as a PLANNED item, most urgent first; and sending them all. */
int sync_store_planned(struct sync *sync, struct err *err) MUSTCHECK;
int sync_send(struct sync *sync, struct err *err) MUSTCHECK;

/* Runs of several attempts: a look at what is there; then, with the plan made, an earlier attempt's open items are judged by what the
 * ledger says (confirmed, or not needed any more); at last the figures become those of the whole run. */
int sync_resume_begin(struct sync *sync, struct err *err) MUSTCHECK;
int sync_resume_settle(struct sync *sync, struct err *err) MUSTCHECK;
void sync_resume_tally(struct sync *sync);

/* The gate lets stock pass now. */
bool sync_gate_open(const struct sync *sync);
/* The old system's tables may be written now: they count as an effect, since the old system may still live on them. */
bool sync_may_write_old(const struct sync *sync);

/* jobs_db_run with the run's limit; statements: round trips of one success, for the figures. */
int sync_db(struct sync *sync, bool transaction, int64_t statements, db_work_fn *work, void *arg, struct err *err) MUSTCHECK;

/* Item rows of a batch. Rows of an earlier attempt of the run, failed, held or interrupted, are set anew and not doubled. */
int sync_items(struct sync *sync, const struct item_record *items, size_t count, struct err *err) MUSTCHECK;

/* Detail object of a listing for its item row: article, JTL's spelling, stock, buffer, rule. */
void sync_detail(const struct listing *listing, struct buf *out);

#endif
