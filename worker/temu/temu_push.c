/* Grouping stock targets into calls and keeping several of them in flight. What an answer means for an SKU is temu_rows.c's. */
#include "worker/temu/temu_stock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "common/array.h"
#include "worker/temu/temu_rows.h"

#define BATCH_MAX 50
#define FAILED_MAX 5 /* calls in a row that come to nothing before the push gives up */
#define KEY_BYTES 16
#define PREFIX_MAX 24

struct place_of {
	int64_t goods_id, sku_id;
	size_t index; /* of the item */
};

struct group {
	size_t first, count; /* in places */
};

struct push {
	const struct temu_stock_request *request;
	struct place_of *places; /* by goods, then in the order wanted */
	size_t place_count;
	struct group *groups;    /* in the order of their first items */
	size_t group_count, next_group;
	int failed_in_a_row;
	struct err why;          /* class NONE while the push goes on */
};

struct push_call {
	struct temu_call call;
	struct push *push;
	size_t count;
	struct temu_stock_item *items[BATCH_MAX];
};

static const char *const outcome_names[] = {
	[TEMU_STOCK_UNSENT] = "unsent",
	[TEMU_STOCK_CONFIRMED] = "confirmed",
	[TEMU_STOCK_REFUSED] = "refused",
	[TEMU_STOCK_UNKNOWN] = "unknown",
};

const char *
temu_stock_outcome_name(enum temu_stock_outcome outcome)
{
	return outcome_names[outcome];
}

/* --- grouping -------------------------------------------------------------------------------------------------- */

static int
by_sku(const void *a, const void *b)
{
	const struct place_of *left = a, *right = b;
	int rc = array_order(left->sku_id, right->sku_id);
	return rc != 0 ? rc : left->index < right->index ? -1 : left->index > right->index;
}

static int
by_goods(const void *a, const void *b)
{
	const struct place_of *left = a, *right = b;
	int rc = array_order(left->goods_id, right->goods_id);
	return rc != 0 ? rc : left->index < right->index ? -1 : left->index > right->index;
}

struct ordered_group {
	size_t index; /* of its first item */
	struct group group;
};

static int
by_first_item(const void *a, const void *b)
{
	const struct ordered_group *left = a, *right = b;
	return left->index < right->index ? -1 : left->index > right->index;
}

static void
tell(const struct push *push, struct temu_stock_item *item)
{
	if (push->request->done != NULL)
		push->request->done(item, push->request->arg);
}

static void
refuse(const struct push *push, struct temu_stock_item *item, const char *reason)
{
	item->outcome = TEMU_STOCK_REFUSED;
	snprintf(item->code_text, sizeof(item->code_text), "TEMU_ITEM");
	snprintf(item->reason, sizeof(item->reason), "%s", reason);
	tell(push, item);
}

/* Items that can be sent, into places; the others are refused. */
static void
sift(struct push *push)
{
	const struct temu_stock_request *request = push->request;
	size_t kept = 0;

	for (size_t i = 0; i < request->count; i++) {
		struct temu_stock_item *item = &request->items[i];
		if (item->sku_id <= 0 || item->goods_id <= 0)
			refuse(push, item, "skuId or goodsId is no id");
		else if (item->target < 0 || item->target > TEMU_STOCK_MAX)
			refuse(push, item, "the stock must be between 0 and 1000000");
		else
			push->places[push->place_count++] = (struct place_of){ item->goods_id, item->sku_id, i };
	}
	qsort(push->places, push->place_count, sizeof(push->places[0]), by_sku);
	for (size_t i = 0; i < push->place_count; i++) {
		if (i > 0 && push->places[i].sku_id == push->places[kept - 1].sku_id)
			refuse(push, &request->items[push->places[i].index], "the SKU is there twice; the first one is sent");
		else
			push->places[kept++] = push->places[i];
	}
	push->place_count = kept;
	qsort(push->places, push->place_count, sizeof(push->places[0]), by_goods);
}

static int
make_groups(struct push *push, struct err *err)
{
	size_t batch = (size_t)push->request->batch, count = push->request->count;
	struct ordered_group *ordered = calloc(count, sizeof(*ordered));

	push->places = calloc(count, sizeof(*push->places));
	push->groups = calloc(count, sizeof(*push->groups));
	if (ordered == NULL || push->places == NULL || push->groups == NULL) {
		free(ordered);
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory for %zu stock changes", count);
	}
	sift(push);
	for (size_t i = 0; i < push->place_count; i++) {
		struct ordered_group *last = push->group_count > 0 ? &ordered[push->group_count - 1] : NULL;
		if (last != NULL && last->group.count < batch && push->places[last->group.first].goods_id == push->places[i].goods_id)
			last->group.count++;
		else
			ordered[push->group_count++] = (struct ordered_group){ push->places[i].index, { i, 1 } };
	}
	qsort(ordered, push->group_count, sizeof(ordered[0]), by_first_item);
	for (size_t i = 0; i < push->group_count; i++)
		push->groups[i] = ordered[i].group;
	free(ordered);
	return 0;
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

/* A fresh one for every attempt: TEMU does not apply a key twice, and a late attempt must not stand for a later one. */
static void
make_key(const char *prefix, char out[PREFIX_MAX + 2 * KEY_BYTES + 1])
{
	unsigned char random[KEY_BYTES];
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort();
	int at = snprintf(out, PREFIX_MAX + 1, "%.*s", PREFIX_MAX, prefix != NULL ? prefix : "");
	for (int i = 0; i < KEY_BYTES; i++)
		snprintf(out + at + 2 * i, 3, "%02x", random[i]);
}

static int
make_params(struct temu_call *call, struct err *err)
{
	struct push_call *self = call->arg;
	char key[PREFIX_MAX + 2 * KEY_BYTES + 1];
	struct buf list;

	buf_init(&list, 65536);
	json_array_open(&list, NULL);
	for (size_t i = 0; i < self->count; i++) {
		json_object_open(&list, NULL);
		json_add_int64(&list, "skuId", self->items[i]->sku_id);
		json_add_int64(&list, "stockTarget", self->items[i]->target);
		json_object_close(&list);
	}
	json_array_close(&list);
	make_key(self->push->request->key_prefix, key);
	temu_params_add_int64(&call->params, "goodsId", self->items[0]->goods_id);
	temu_params_add_int64(&call->params, "stockType", 0);
	temu_params_add_json(&call->params, "skuStockTargetList", buf_text(&list));
	temu_params_add_string(&call->params, "requestUniqueKey", key);
	int rc = buf_check(&list, "list of SKUs", err);
	buf_release(&list);
	return rc != 0 ? -1 : temu_params_check(&call->params, err);
}

static int
may_send(struct temu_call *call, struct err *err)
{
	struct push_call *self = call->arg;
	const struct temu_stock_request *request = self->push->request;

	return request->before(self->items, self->count, request->arg, err);
}

static struct push_call *
push_call_new(struct push *push, const struct group *group)
{
	struct push_call *self = calloc(1, sizeof(*self));

	if (self == NULL) {
		err_set(&push->why, ERR_TEMP, "MEMORY", "out of memory for a stock call");
		return NULL;
	}
	self->push = push;
	self->count = group->count;
	for (size_t i = 0; i < group->count; i++)
		self->items[i] = &push->request->items[push->places[group->first + i].index];
	temu_call_init(&self->call, TEMU_STOCK_EDIT);
	self->call.write = true;
	self->call.repeatable = true;
	self->call.remake = make_params;
	self->call.may = push->request->before != NULL ? may_send : NULL;
	self->call.arg = self;
	return self;
}

static struct temu_call *
next_call(void *arg)
{
	struct push *push = arg;
	const struct temu_stock_request *request = push->request;

	if (push->why.class != ERR_NONE || push->next_group == push->group_count)
		return NULL;
	struct push_call *self = push_call_new(push, &push->groups[push->next_group]);
	if (self == NULL)
		return NULL;
	if ((request->before != NULL && request->before(self->items, self->count, request->arg, &push->why) != 0) ||
	    make_params(&self->call, &push->why) != 0) {
		temu_call_release(&self->call);
		free(self);
		return NULL;
	}
	push->next_group++;
	return &self->call;
}

/* Refusals of TEMU concern items and are no reason to stop; a shut shop or a gateway that is not there is. */
static void
consider_stopping(struct push *push, const struct temu_call *call)
{
	if (call->err.class == ERR_NONE || (call->err.class == ERR_PERM && call->code != 0)) {
		push->failed_in_a_row = 0;
		return;
	}
	push->failed_in_a_row++;
	if (push->why.class != ERR_NONE || call->err.class == ERR_CANCELLED)
		return;
	if (call->err.class == ERR_HOLD || push->failed_in_a_row >= FAILED_MAX)
		push->why = call->err;
}

static void
on_done(struct temu_call *call, void *arg)
{
	struct push_call *self = call->arg;
	struct push *push = arg;

	temu_edit_judge(call, self->items, self->count);
	consider_stopping(push, call);
	for (size_t i = 0; i < self->count; i++)
		tell(push, self->items[i]);
	temu_call_release(call);
	free(self);
}

/* What was never given to the client. */
static void
finish_unsent(struct push *push, const struct err *why)
{
	for (; push->next_group < push->group_count; push->next_group++) {
		const struct group *group = &push->groups[push->next_group];
		for (size_t i = 0; i < group->count; i++) {
			struct temu_stock_item *item = &push->request->items[push->places[group->first + i].index];
			snprintf(item->code_text, sizeof(item->code_text), "%s", why->code);
			snprintf(item->reason, sizeof(item->reason), "not sent: the push had stopped");
			tell(push, item);
		}
	}
}

static void
clear_outcomes(const struct temu_stock_request *request)
{
	for (size_t i = 0; i < request->count; i++) {
		struct temu_stock_item *item = &request->items[i];
		item->outcome = TEMU_STOCK_UNSENT;
		item->late = false;
		item->code = 0;
		item->code_text[0] = item->reason[0] = item->request_id[0] = '\0';
	}
}

int
temu_stock_push(struct temu *temu, const struct temu_stock_request *request, struct err *err)
{
	struct push push = { .request = request, .why = ERR_INIT };
	struct err run_err = ERR_INIT;
	int rc = -1;

	assert(request->batch >= 1 && request->batch <= BATCH_MAX);
	clear_outcomes(request);
	if (request->count == 0)
		return 0;
	if (make_groups(&push, err) != 0)
		goto out;
	rc = temu_run(temu, next_call, on_done, &push, request->limits, &run_err);
	if (push.why.class != ERR_NONE)
		rc = -1;
	else
		push.why = run_err;
	if (rc != 0) {
		finish_unsent(&push, &push.why);
		if (err != NULL)
			*err = push.why;
	}
out:
	free(push.places);
	free(push.groups);
	return rc;
}
