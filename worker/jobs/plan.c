/* Which listings are to be changed and in which order. What they should have is computed in wanted.c, the sending is in push.c. */
#include "worker/jobs/plan.h"

#include <stdlib.h>
#include <string.h>

struct baseline plan_baseline(struct maybe ledger, int64_t sent_ms, struct maybe reported, int64_t now_ms)
{
	bool fresh_push = sent_ms != 0 && now_ms - sent_ms < PLAN_READ_BACK_MS;

	if (reported.set && !fresh_push)
		return (struct baseline){ reported, true };
	return (struct baseline){ ledger, false };
}

static void judge(struct plan_item *item, struct plan *plan)
{
	item->reason = !item->known.set ? "unknown" : item->fresh ? "new" : "delta";
	if (item->wanted == 0) {
		item->urgency = 0;
		item->amount = item->known.set ? item->known.value : INT64_MAX;
		if (item->known.set || !item->sent.set || item->sent.value != 0)
			plan->zeros++;
	} else if (!item->known.set || item->wanted < item->known.value) {
		item->urgency = 1;
		item->amount = item->known.set ? item->known.value - item->wanted : INT64_MAX;
	} else {
		item->urgency = 2;
		item->amount = 0;
	}
	if (!item->known.set)
		plan->unknown++;
	else if (item->wanted < item->known.value)
		plan->lowered++;
	else
		plan->raised++;
}

static int compare_numbers(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_goods(const void *a, const void *b)
{
	const struct plan_item *x = a, *y = b;

	return compare_numbers(x->goods_id, y->goods_id);
}

static int by_urgency(const void *a, const void *b)
{
	const struct plan_item *x = a, *y = b;
	int order = x->goods_urgency - y->goods_urgency;

	if (order == 0)
		order = compare_numbers(y->goods_amount, x->goods_amount);
	if (order == 0)
		order = compare_numbers(x->goods_id, y->goods_id);
	if (order == 0)
		order = x->urgency - y->urgency;
	if (order == 0)
		order = compare_numbers(y->amount, x->amount);
	return order ? order : compare_numbers(x->sku_id, y->sku_id);
}

/* Each item learns how urgent its goods is; items must be sorted by goods. */
static void spread_urgency(struct plan *plan)
{
	size_t start = 0;

	while (start < plan->count) {
		struct plan_item *first = &plan->changes[start];
		int urgency = first->urgency;
		int64_t amount = first->amount;
		size_t end = start + 1;

		for (; end < plan->count && plan->changes[end].goods_id == first->goods_id; end++) {
			const struct plan_item *item = &plan->changes[end];

			if (item->urgency < urgency || (item->urgency == urgency && item->amount > amount)) {
				urgency = item->urgency;
				amount = item->amount;
			}
		}
		for (size_t i = start; i < end; i++) {
			plan->changes[i].goods_urgency = urgency;
			plan->changes[i].goods_amount = amount;
		}
		plan->goods++;
		start = end;
	}
}

int plan_build(const struct plan_item *items, size_t count, struct plan *plan, struct err *err)
{
	*plan = (struct plan){ .compared = (int64_t)count };
	plan->changes = calloc(count ? count : 1, sizeof(*plan->changes));
	if (!plan->changes)
		return err_set(err, ERR_TEMP, "PLAN_MEMORY", "no memory for a plan of %zu listings", count);
	for (size_t i = 0; i < count; i++) {
		if (items[i].known.set && items[i].known.value == items[i].wanted)
			continue;
		plan->changes[plan->count] = items[i];
		judge(&plan->changes[plan->count++], plan);
	}
	qsort(plan->changes, plan->count, sizeof(*plan->changes), by_goods);
	spread_urgency(plan);
	qsort(plan->changes, plan->count, sizeof(*plan->changes), by_urgency);
	return 0;
}

void plan_release(struct plan *plan)
{
	free(plan->changes);
	*plan = (struct plan){ .changes = NULL };
}

bool plan_guarded(const struct plan *plan, int64_t share_percent, int64_t least)
{
	return plan->zeros > 0 && plan->zeros >= least && plan->zeros * 100 > share_percent * plan->compared;
}
