/* Which listings are to be changed and in which order. What they should have is computed in wanted.c, the sending is in push.c.
 */
#include "worker/jobs/plan.h"

#include <stdlib.h>
#include <string.h>
#include "common/array.h"

bool plan_recent(int64_t sent_ms, int64_t now_ms)
{
	return sent_ms != 0 && now_ms - sent_ms < PLAN_READ_BACK_MS && sent_ms - now_ms < PLAN_READ_BACK_MS;
}

int64_t plan_doubt(struct maybe ledger, struct maybe sent, int64_t sent_ms, int64_t doubt_ms, int64_t wanted)
{
	return !ledger.set && sent.set && sent.value != wanted && sent_ms > doubt_ms ? sent_ms : doubt_ms;
}

struct baseline plan_baseline(struct maybe ledger, struct maybe sent_from, int64_t sent_ms, struct maybe reported, int64_t now_ms)
{
	if (!reported.set)
		return (struct baseline){ ledger, false };
	if (!plan_recent(sent_ms, now_ms))
		return (struct baseline){ reported, true };
	if (!ledger.set || maybe_equal(reported, ledger) || maybe_equal(reported, sent_from))
		return (struct baseline){ ledger, false };
	return (struct baseline){ .believed = true };
}

static void judge(struct plan_item *item, struct plan *plan)
{
	item->reason = item->retry ? "quarantine" : !item->known.set ? "unknown" : item->fresh ? "new" : "delta";
	item->zero = item->wanted == 0 && (item->known.set || !item->sent.set || item->sent.value != 0);
	item->raise = item->known.set ? item->wanted > item->known.value : item->sent.set && item->wanted > item->sent.value;
	plan->zeros += item->zero;
	if (item->wanted == 0) {
		item->urgency = 0;
		item->amount = item->known.set ? item->known.value : INT64_MAX;
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

static int by_urgency(const void *a, const void *b)
{
	const struct plan_item *x = a, *y = b;
	int order = x->urgency - y->urgency;

	if (order == 0)
		order = array_order(y->amount, x->amount);
	if (order == 0)
		order = array_order(x->goods_id, y->goods_id);
	return order ? order : array_order(x->sku_id, y->sku_id);
}

/* A change on its way through two sorts: by goods to find each one's rank, by rank to get the order. */
struct place {
	int64_t goods_id;
	size_t rank, index;
};

static int by_goods(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = array_order(x->goods_id, y->goods_id);

	return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static int by_rank(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int order_changes(struct plan *plan, struct err *err)
{
	struct place *places = calloc(plan->count ? plan->count : 1, sizeof(*places));

	plan->order = calloc(plan->count ? plan->count : 1, sizeof(*plan->order));
	if (!places || !plan->order) {
		free(places);
		return err_set(err, ERR_TEMP, "PLAN_MEMORY", "no memory for the order of %zu changes", plan->count);
	}
	for (size_t i = 0; i < plan->count; i++)
		places[i] = (struct place){ .goods_id = plan->changes[i].goods_id, .index = i };
	qsort(places, plan->count, sizeof(*places), by_goods);
	for (size_t i = 0; i < plan->count; i++) {
		bool first = i == 0 || places[i].goods_id != places[i - 1].goods_id;

		plan->goods += first;
		places[i].rank = first ? places[i].index : places[i - 1].rank;
		plan->changes[places[i].index].rank = places[i].rank;
	}
	qsort(places, plan->count, sizeof(*places), by_rank);
	for (size_t i = 0; i < plan->count; i++)
		plan->order[i] = places[i].index;
	free(places);
	return 0;
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
	qsort(plan->changes, plan->count, sizeof(*plan->changes), by_urgency);
	if (order_changes(plan, err) == 0)
		return 0;
	plan_release(plan);
	return -1;
}

void plan_release(struct plan *plan)
{
	free(plan->changes);
	free(plan->order);
	*plan = (struct plan){ .changes = NULL };
}
