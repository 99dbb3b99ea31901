/* Reading both lists page by page until they add up. The rows themselves are read in temu_rows.c. */
#include "worker/temu/temu_stock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "worker/temu/temu_rows.h"

#define REREADS 3
#define REREADS_MAX 100
#define LISTS 2

/* What is known of a SKU: in which reading of each list it was last seen (0: never). */
struct seen {
	int64_t sku_id; /* 0: free slot */
	uint16_t reading[LISTS];
	bool handed;
};

struct seen_set {
	struct seen *slots;
	size_t size, used; /* size: power of two */
};

/* One list being read. */
struct list {
	enum temu_filter filter;
	uint16_t reading;      /* from 1; a new one makes the pages of the old one worthless */
	int64_t total, pages;  /* -1 until page 1 is here */
	int64_t next_page;     /* to ask for */
	int64_t open;          /* asked for, not here */
	int64_t distinct, nameless, bad;
	bool complete;
};

struct reader {
	struct temu *temu;
	const struct temu_catalogue_request *request;
	struct temu_catalogue *out;
	struct list lists[LISTS];
	struct seen_set seen;
	int rereads_left;
	bool failed;
	struct err err;
};

struct page_call {
	struct temu_call call;
	struct reader *reader;
	struct list *list;
	uint16_t reading;
	int64_t number;
};

/* --- the set of ids -------------------------------------------------------------------------------------------- */

static struct seen *
slot_of(struct seen *slots, size_t size, int64_t sku_id)
{
	size_t at = (size_t)(((uint64_t)sku_id * 0x9E3779B97F4A7C15u) >> 24) & (size - 1);
	while (slots[at].sku_id != 0 && slots[at].sku_id != sku_id)
		at = (at + 1) & (size - 1);
	return &slots[at];
}

static int
seen_grow(struct seen_set *set)
{
	size_t size = set->size > 0 ? set->size * 2 : 1024;
	struct seen *slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < set->size; i++)
		if (set->slots[i].sku_id != 0)
			*slot_of(slots, size, set->slots[i].sku_id) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->size = size;
	return 0;
}

/* The entry of the SKU, made when it is new. NULL: out of memory. */
static struct seen *
seen_get(struct seen_set *set, int64_t sku_id)
{
	if (set->used * 3 >= set->size * 2 && seen_grow(set) != 0)
		return NULL;
	struct seen *seen = slot_of(set->slots, set->size, sku_id);
	if (seen->sku_id == 0) {
		seen->sku_id = sku_id;
		set->used++;
	}
	return seen;
}

/* --- ends and new beginnings ----------------------------------------------------------------------------------- */

static void
fail(struct reader *reader, const struct err *err)
{
	if (!reader->failed)
		reader->err = *err;
	reader->failed = true;
}

static void
begin(struct list *list)
{
	list->reading++;
	list->total = list->pages = -1;
	list->next_page = 1;
	list->open = list->distinct = list->nameless = list->bad = 0;
	list->complete = false;
}

/* The list does not add up: read it again, or give up. */
static void
spoil(struct reader *reader, struct list *list, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void
spoil(struct reader *reader, struct list *list, const char *fmt, ...)
{
	struct buf why;
	struct err err = ERR_INIT;
	va_list args;

	buf_init(&why, 200);
	va_start(args, fmt);
	buf_vaddf(&why, fmt, args);
	va_end(args);
	if (reader->rereads_left > 0) {
		reader->rereads_left--;
		reader->out->rereads++;
		log_warning("TEMU's list of SKUs (filter %d) is read again: %s", (int)list->filter, buf_text(&why));
		begin(list);
	} else {
		err_set(&err, ERR_TEMP, "TEMU_CATALOGUE", "TEMU's list of SKUs (filter %d) did not come out complete: %s", (int)list->filter,
		        buf_text(&why));
		fail(reader, &err);
	}
	buf_release(&why);
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

static void
report_bad(struct page_call *page, const struct temu_sku *sku, int row, const char *what, bool handed)
{
	struct reader *reader = page->reader;
	struct temu_bad_row bad = {
		.sku_id = sku->sku_id,
		.goods_id = sku->goods_id,
		.sku_sn = sku->sku_sn,
		.filter = page->list->filter,
		.page = page->number,
		.row = row,
		.what = what,
		.handed = handed,
	};

	page->list->bad += !handed;
	if (reader->request->bad != NULL)
		reader->request->bad(&bad, reader->request->arg);
}

static struct list *
other(struct reader *reader, const struct list *list)
{
	return list == &reader->lists[0] ? &reader->lists[1] : &reader->lists[0];
}

/* Whether the SKU is new to this reading of its list, and whether it is to be handed over. */
static int
meet(struct page_call *page, int64_t sku_id, bool *fresh, bool *hand, struct seen **seen)
{
	struct reader *reader = page->reader;
	size_t mine = (size_t)(page->list - reader->lists), its = 1 - mine;

	*seen = seen_get(&reader->seen, sku_id);
	if (*seen == NULL)
		return -1;
	*fresh = (*seen)->reading[mine] != page->reading;
	(*seen)->reading[mine] = page->reading;
	*hand = *fresh && (*seen)->reading[its] != other(reader, page->list)->reading;
	return 0;
}

/* 1: new to this reading. 0: not. -1: err. */
static int
take_row(struct page_call *page, const struct json *row, int number, struct err *err)
{
	const struct temu_catalogue_request *request = page->reader->request;
	struct temu_names names;
	struct temu_sku sku;
	struct seen *seen;
	bool usable, fresh, hand;

	const char *what = temu_row_read(row, &names, &sku, &usable);
	sku.filter = page->list->filter;
	if (sku.sku_id == 0) {
		page->list->nameless++;
		report_bad(page, &sku, number, what, false);
		return 1;
	}
	if (meet(page, sku.sku_id, &fresh, &hand, &seen) != 0)
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory for the set of SKUs");
	if (!fresh)
		return 0;
	page->list->distinct++;
	if (what != NULL && (hand || !usable))
		report_bad(page, &sku, number, what, usable);
	if (!usable || !hand)
		return 1;
	sku.again = seen->handed;
	seen->handed = true;
	return request->sku(&sku, request->arg, err) == 0 ? 1 : -1;
}

static void
take_rows(struct page_call *page, const struct temu_page *content)
{
	struct err err = ERR_INIT;
	int number = 0, fresh = 0;

	for (const struct json *row = content->first; row != NULL; row = json_next(row)) {
		int rc = take_row(page, row, ++number, &err);
		if (rc < 0) {
			fail(page->reader, &err);
			return;
		}
		fresh += rc;
	}
	if (number > 0 && fresh == 0)
		spoil(page->reader, page->list, "page %lld brings nothing new", (long long)page->number);
}

/* --- pages ----------------------------------------------------------------------------------------------------- */

static int
check_page(struct temu_call *call, struct err *err)
{
	struct temu_page content;
	return temu_page_read(call->result, &content, err);
}

/* Page 1 says how much there is. */
static void
learn_total(struct reader *reader, struct list *list, int64_t total)
{
	struct err err = ERR_INIT;

	if (total > TEMU_CATALOGUE_MAX) {
		err_set(&err, ERR_PERM, "TEMU_CATALOGUE", "TEMU says that filter %d holds %lld SKUs; more than %d are not read",
		        (int)list->filter, (long long)total, TEMU_CATALOGUE_MAX);
		fail(reader, &err);
		return;
	}
	list->total = total;
	list->pages = total > 0 ? (total + reader->request->page_size - 1) / reader->request->page_size : 1;
}

static int64_t
rows_expected(const struct reader *reader, const struct list *list, int64_t number)
{
	int64_t size = reader->request->page_size, before = (number - 1) * size;
	return list->total - before < size ? list->total - before : size;
}

static void
take_page(struct page_call *page)
{
	struct reader *reader = page->reader;
	struct list *list = page->list;
	struct temu_page content;
	struct err err = ERR_INIT;

	if (temu_page_read(page->call.result, &content, &err) != 0) {
		fail(reader, &err);
		return;
	}
	if (list->total < 0)
		learn_total(reader, list, content.total);
	if (reader->failed)
		return;
	int64_t expected = rows_expected(reader, list, page->number);
	if (content.total != list->total)
		spoil(reader, list, "the total went from %lld to %lld", (long long)list->total, (long long)content.total);
	else if (content.number != 0 && content.number != page->number)
		spoil(reader, list, "page %lld came as page %lld", (long long)page->number, (long long)content.number);
	else if (content.rows != expected)
		spoil(reader, list, "page %lld has %lld rows instead of %lld", (long long)page->number, (long long)content.rows,
		      (long long)expected);
	else
		take_rows(page, &content);
	if (reader->failed || list->reading != page->reading || list->open > 0 || list->next_page <= list->pages)
		return;
	if (list->distinct + list->nameless == list->total)
		list->complete = true;
	else
		spoil(reader, list, "%lld different SKUs of %lld", (long long)(list->distinct + list->nameless), (long long)list->total);
}

static void
on_page(struct temu_call *call, void *arg)
{
	struct page_call *page = call->arg;
	struct reader *reader = arg;

	if (page->reading == page->list->reading) {
		page->list->open--;
		if (call->err.class != ERR_NONE) {
			err_context(&call->err, "page %lld of filter %d", (long long)page->number, (int)page->list->filter);
			fail(reader, &call->err);
		}
	}
	if (call->err.class == ERR_NONE) {
		reader->out->pages++;
		if (!reader->failed && page->reading == page->list->reading)
			take_page(page);
	}
	temu_call_release(call);
	free(page);
}

static struct temu_call *
ask_for(struct reader *reader, struct list *list)
{
	struct page_call *page = calloc(1, sizeof(*page));
	struct err err = ERR_INIT;

	if (page == NULL) {
		err_set(&err, ERR_TEMP, "MEMORY", "out of memory for a page of SKUs");
		fail(reader, &err);
		return NULL;
	}
	page->reader = reader;
	page->list = list;
	page->reading = list->reading;
	page->number = list->next_page++;
	list->open++;
	temu_call_init(&page->call, TEMU_SKU_LIST);
	page->call.check = check_page;
	page->call.arg = page;
	temu_params_add_int64(&page->call.params, "pageNo", page->number);
	temu_params_add_int64(&page->call.params, "pageSize", reader->request->page_size);
	temu_params_add_int64(&page->call.params, "skuSearchType", list->filter);
	temu_params_add_int64(&page->call.params, "skuStatusFilterType", list->filter);
	return &page->call;
}

/* Page 1 alone, then the others; the second list begins once the first has nothing left to ask for. */
static struct temu_call *
next_page(void *arg)
{
	struct reader *reader = arg;

	for (int i = 0; i < LISTS && !reader->failed; i++) {
		struct list *list = &reader->lists[i];
		if (list->next_page == 1 || list->next_page <= list->pages)
			return ask_for(reader, list);
		if (list->pages < 0)
			return NULL;
	}
	return NULL;
}

static bool
is_over(void *arg)
{
	const struct reader *reader = arg;
	const struct temu_limits *limits = reader->request->limits;
	return reader->failed || (limits != NULL && limits->cancelled != NULL && limits->cancelled(limits->arg));
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static void
sum_up(struct reader *reader)
{
	const struct temu_catalogue_request *request = reader->request;
	struct temu_catalogue *out = reader->out;

	out->active = reader->lists[0].distinct;
	out->inactive = reader->lists[1].distinct;
	out->bad = reader->lists[0].bad + reader->lists[1].bad;
	for (size_t i = 0; i < reader->seen.size; i++) {
		const struct seen *seen = &reader->seen.slots[i];
		if (seen->sku_id == 0)
			continue;
		int in = (seen->reading[0] == reader->lists[0].reading) + (seen->reading[1] == reader->lists[1].reading);
		out->skus += in > 0;
		out->both += in == 2;
		if (in == 0 && seen->handed && request->gone != NULL)
			request->gone(seen->sku_id, request->arg);
	}
}

int
temu_catalogue_read(struct temu *temu, const struct temu_catalogue_request *request, struct temu_catalogue *out, struct err *err)
{
	struct temu_limits limits = { .cancelled = is_over };
	struct reader reader = {
		.temu = temu,
		.request = request,
		.out = out,
		.lists = { { .filter = TEMU_ACTIVE }, { .filter = TEMU_INACTIVE } },
		.rereads_left = request->rereads == 0 ? REREADS : request->rereads < 0 ? 0 : request->rereads,
		.err = ERR_INIT,
	};
	int rc = -1;

	assert(request->page_size >= 1 && request->page_size <= 100 && request->sku != NULL);
	if (reader.rereads_left > REREADS_MAX)
		reader.rereads_left = REREADS_MAX;
	*out = (struct temu_catalogue){ .skus = 0 };
	for (int i = 0; i < LISTS; i++)
		begin(&reader.lists[i]);
	limits.arg = &reader;
	if (request->limits != NULL)
		limits.deadline_ms = request->limits->deadline_ms;
	rc = temu_run(temu, next_page, on_page, &reader, &limits, err);
	if (reader.failed) {
		if (err != NULL)
			*err = reader.err;
		rc = -1;
	} else if (rc == 0) {
		assert(reader.lists[0].complete && reader.lists[1].complete);
		sum_up(&reader);
	}
	free(reader.seen.slots);
	return rc;
}
