/* Step push: from the listings to the plan, and whether it may be sent: dry run, guards, gate. Sending is push.c's. */
#include <inttypes.h>
#include <stdlib.h>
#include "common/log.h"
#include "worker/jobs/sync.h"

#define EMPTY_LEAST 2 /* articles without a stock row between them */

static int make_plan(struct sync *sync, struct err *err)
{
	struct plan_item *items = calloc(sync->list.count ? sync->list.count : 1, sizeof(*items));
	struct sync_figures *f = &sync->figures;
	size_t count = 0;
	int rc;

	if (!items)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the plan");
	for (size_t i = 0; i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (item->active && item->wanted.decision == WANTED_STOCK)
			items[count++] = (struct plan_item){ .sku_id = item->sku_id,
				                             .goods_id = item->goods_id,
				                             .known = item->known,
				                             .sent = item->sent,
				                             .wanted = item->wanted.quantity,
				                             .fresh = item->fresh,
				                             .index = i };
	}
	rc = plan_build(items, count, &sync->plan, err);
	free(items);
	f->changed = (int64_t)sync->plan.count;
	f->goods = sync->plan.goods;
	f->zeros = sync->plan.zeros;
	f->lowered = sync->plan.lowered;
	f->raised = sync->plan.raised;
	return rc;
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

int sync_push(struct sync *sync, struct err *err)
{
	const struct shop_settings *shop = sync->shop;
	struct plan *plan = &sync->plan;

	plan_release(plan);
	if (make_plan(sync, err) != 0 || sync_resume_settle(sync, err) != 0)
		return -1;
	log_info("%" PRId64 " listings compared: %zu changes in %" PRId64 " goods, %" PRId64 " to zero, %" PRId64
	         " less, %" PRId64 " more, %" PRId64 " unknown",
	         plan->compared, plan->count, plan->goods, plan->zeros, plan->lowered, plan->raised, plan->unknown);
	sync->guarded = plan_guarded(plan, shop->zero_share_percent, shop->zero_share_least);
	if (sync->dry)
		return keep_plan(sync, "dry run", err);
	if (sync->guarded) {
		if (keep_plan(sync, "mass-zero guard", err) != 0)
			return -1;
		return err_set(err, ERR_PERM, "GUARD_ZEROS",
		               "%" PRId64 " of %" PRId64 " SKUs would be set to zero, more than %" PRId64
		               " %%: nothing was sent. The plan is kept as the run's items: check it, JTL's stock and "
		               "shops[].warehouses",
		               plan->zeros, plan->compared, shop->zero_share_percent);
	}
	if (stock_is_empty(sync)) {
		if (keep_plan(sync, "no stock rows", err) != 0)
			return -1;
		return err_set(err, ERR_PERM, "STOCK_EMPTY",
		               "JTL has not one stock row for %" PRId64 " SKUs, yet %" PRId64
		               " would be set to zero: are the warehouses right? Nothing was sent",
		               sync->figures.mapped, plan->zeros);
	}
	if (!sync_gate_open(sync))
		return keep_plan(sync, "the shop's gate is shut", err);
	return plan->count > 0 ? sync_send(sync, err) : 0;
}
