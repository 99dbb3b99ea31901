/* Step push: from the listings to the plan, and whether it may be sent: dry run, guard, gate. Sending is push.c's. */
#include <inttypes.h>
#include <stdlib.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/jobs/sync.h"

#define EMPTY_LEAST 2 /* articles without a stock row between them */

/* Sold out since TEMU refused something else: that must not wait for the try of the day. A zero that was refused too does. */
static bool never_sent_zero(const struct listing *item)
{
	return item->wanted.quantity == 0 && (!item->sent.set || item->sent.value != 0);
}

/* false: it takes no part in the plan. */
static bool plan_listing(struct sync *sync, struct listing *item, int64_t now_ms, struct plan_item *out)
{
	bool differs = !item->known.set || item->known.value != item->wanted.quantity;
	const struct sick *sick;

	if (!item->active || item->wanted.decision != WANTED_STOCK)
		return false;
	sync->figures.sold_out += differs && item->wanted.quantity == 0;
	sick = sync_quarantine_find(sync, item->sku_id);
	item->quarantined = differs && sync_quarantine_leaves_out(sick, now_ms) && !never_sent_zero(item);
	if (item->quarantined) {
		sync->figures.quarantined++;
		return false;
	}
	*out = (struct plan_item){
		.sku_id = item->sku_id,
		.goods_id = item->goods_id,
		.known = item->known,
		.sent = item->sent,
		.wanted = item->wanted.quantity,
		.fresh = item->fresh,
		.retry = sick && sick->in,
		.buffer_changed = listing_buffer_changed(item),
	};
	return true;
}

static int make_plan(struct sync *sync, struct err *err)
{
	struct plan_item *items = calloc(sync->list.count ? sync->list.count : 1, sizeof(*items));
	struct sync_figures *f = &sync->figures;
	int64_t now_ms = clock_now_ms();
	size_t count = 0;
	int rc;

	if (!items)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the plan");
	f->sold_out = f->quarantined = 0;
	for (size_t i = 0; i < sync->list.count; i++)
		if (plan_listing(sync, &sync->list.items[i], now_ms, &items[count]))
			items[count++].index = i;
	rc = plan_build(items, count, &sync->plan, err);
	free(items);
	f->changed = (int64_t)sync->plan.count;
	f->goods = sync->plan.goods;
	f->zeros = sync->plan.zeros;
	f->lowered = sync->plan.lowered;
	f->raised = sync->plan.raised;
	return rc;
}

/* The plan, what of it was confirmed, what the guard says to it. */
static int prepare_plan(struct sync *sync, struct err *err)
{
	const struct plan *plan = &sync->plan;

	plan_release(&sync->plan);
	if (sync_quarantine_load(sync, err) != 0 || make_plan(sync, err) != 0 || sync_quarantine_store(sync, err) != 0 ||
	    sync_resume_settle(sync, err) != 0)
		return -1;
	log_info("%" PRId64 " listings compared: %zu changes in %" PRId64 " goods, %" PRId64 " to zero, %" PRId64
	         " less, %" PRId64 " more, %" PRId64 " unknown",
	         plan->compared, plan->count, plan->goods, plan->zeros, plan->lowered, plan->raised, plan->unknown);
	sync_confirmation_mark(sync);
	sync_guard_judge(sync);
	return 0;
}

/* The plan is kept and nothing is sent. */
static int keep_plan(struct sync *sync, const char *note, struct err *err)
{
	sync->note = note;
	sync->figures.planned = sync->figures.changed;
	log_info("%zu changes planned, nothing sent: %s", sync->plan.count, note);
	return sync_store_planned(sync, err);
}

/* Articles that were ever in stock keep their row when they are sold out. One article without a row is normal, all of them are not. */
static bool stock_is_empty(const struct sync *sync)
{
	return sync->figures.stock_rows == 0 && sync->figures.mapped >= EMPTY_LEAST && sync->plan.zeros > 0;
}

/* Nothing is sent, a person is told at once. */
static int stop(struct sync *sync, const char *note, const struct err *why, struct err *err)
{
	run_alarm(sync->run, why->code, "%s", why->text);
	if (keep_plan(sync, note, err) != 0)
		return -1;
	*err = *why;
	return -1;
}

/* 0: it may be sent as far as the figures go. With a shut gate the guard stops nothing: nothing would go out. */
static int check_plan(struct sync *sync, bool open, struct err *err)
{
	struct err why = ERR_INIT;

	if (sync->verdict.any && !sync->confirmation.only_sold_out && open) {
		guard_error(&sync->verdict, &sync->facts, run_id(sync->run), &why);
		return stop(sync, "stopped by the guard", &why, err);
	}
	if (stock_is_empty(sync)) {
		err_set(&why, ERR_PERM, "STOCK_EMPTY",
		        "JTL has not one stock row for %" PRId64 " SKUs, yet %" PRId64
		        " would be set to zero: are the warehouses right? Nothing was sent",
		        sync->figures.mapped, sync->plan.zeros);
		return stop(sync, "no stock rows", &why, err);
	}
	return 0;
}

/* Of a confirmed plan the sold-outs alone; the rest of today's stays a plan. */
static int send_sold_out(struct sync *sync, struct err *err)
{
	int64_t all = (int64_t)sync->plan.count;

	sync->note = "only the sold-out SKUs of the confirmed plan were sent: the rest is planned only";
	if (sync_store_planned(sync, err) != 0 || sync_confirmation_sold_out(sync, err) != 0)
		return -1;
	sync->figures.planned += all - (int64_t)sync->plan.count;
	if (sync->plan.count == 0)
		return 0;
	return sync_check_old_system(sync, err) == 0 ? sync_send(sync, err) : -1;
}

static int send_all(struct sync *sync, struct err *err)
{
	/* What a person confirmed counts once all of it went out: stopped in the middle, the rest is asked about again. */
	bool confirmed = sync->confirmation.plan[0] != '\0';

	if (sync->plan.count > 0 && sync_check_old_system(sync, err) != 0)
		return -1;
	if (!confirmed && sync_guard_accept(sync, err) != 0)
		return -1;
	if (sync->plan.count > 0 && sync_send(sync, err) != 0)
		return -1;
	return confirmed && !sync->cut_short ? sync_guard_accept(sync, err) : 0;
}

static int push(struct sync *sync, struct err *err)
{
	bool open; /* asked once: a gate opened behind the guard's back opens the next run */

	if (prepare_plan(sync, err) != 0)
		return -1;
	if (sync->dry)
		return keep_plan(sync, "dry run", err);
	open = sync_gate_open(sync);
	if (check_plan(sync, open, err) != 0)
		return -1;
	if (!open)
		return keep_plan(sync, sync->verdict.any ? "the shop's gate is shut; open, the guard would stop this plan" : "the shop's gate is shut",
		                 err);
	return sync->confirmation.only_sold_out ? send_sold_out(sync, err) : send_all(sync, err);
}

/* However it ended: people are told of what went into quarantine. */
int sync_push(struct sync *sync, struct err *err)
{
	struct err untold = ERR_INIT;
	int rc = push(sync, err);

	if (sync->dry || sync_quarantine_tell(sync, &untold) == 0)
		return rc;
	if (rc == 0 && err)
		*err = untold;
	else
		log_warning("the quarantine was not told of: %s (%s)", untold.text, untold.code);
	return -1;
}
