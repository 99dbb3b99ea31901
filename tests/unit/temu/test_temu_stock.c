/* Reading the catalogue and pushing stock, with every fault of the gateway; what was sent is counted there.
 * TEMU_TEST_GATEWAY (url) with TEMU_TEST_APP_KEY, TEMU_TEST_APP_SECRET, TEMU_TEST_ACCESS_TOKEN: the last test runs against it. */
#include "tests/unit/temu/temu_bench.h"

#include <unistd.h>

#define LIST_FAULT(rest) "{\"type\":\"" TEMU_SKU_LIST "\"," rest "}"
#define EDIT_FAULT(rest) "{\"type\":\"" TEMU_STOCK_EDIT "\"," rest "}"
#define MINIMUM_PAGES 15 /* 240 active SKUs and 60 inactive ones, 20 a page */

struct shop {
	struct bench *bench;
	int64_t seen[BENCH_SKUS], again, bad, handed_bad, gone;
	int64_t fail_at; /* the callback fails at this SKU, 0: never */
	int64_t handed;
	char bad_what[80];
	bool remove_one; /* take a SKU away while the list is being read */
};

static int
on_sku(const struct temu_sku *sku, void *arg, struct err *err)
{
	struct shop *s = arg;
	int64_t number = sku->sku_id - BENCH_SKU(0, 0), index = number / 10 * BENCH_SKUS_EACH + number % 10;

	if (++s->handed == s->fail_at)
		return err_set(err, ERR_TEMP, "TEST", "no more");
	if (index < 0 || index >= BENCH_SKUS)
		return 0;
	assert_int_equal(sku->goods_id, BENCH_GOOD(number / 10));
	assert_int_equal(sku->stock, number / 10 + number % 10);
	assert_int_equal(sku->filter, number % 10 == 4 ? TEMU_INACTIVE : TEMU_ACTIVE);
	assert_int_equal(sku->again, s->seen[index] > 0);
	s->seen[index]++;
	s->again += sku->again;
	return 0;
}

static void
on_bad(const struct temu_bad_row *row, void *arg)
{
	struct shop *s = arg;

	assert_true(row->page >= 1 && row->row >= 1 && row->sku_sn != NULL);
	s->bad++;
	s->handed_bad += row->handed;
	snprintf(s->bad_what, sizeof(s->bad_what), "%s", row->what);
}

static void
on_gone(int64_t sku_id, void *arg)
{
	struct shop *s = arg;

	assert_true(sku_id > 0);
	s->gone++;
}

static int
read_all(struct bench *b, struct shop *s, int rereads, struct temu_catalogue *out)
{
	struct temu_catalogue_request request = { .page_size = 20, .rereads = rereads, .sku = on_sku, .bad = on_bad, .gone = on_gone,
		                                      .arg = s };

	b->err = (struct err)ERR_INIT;
	return temu_catalogue_read(b->temu, &request, out, &b->err);
}

static void
expect_all(const struct shop *s, const struct temu_catalogue *found)
{
	assert_int_equal(found->skus, BENCH_SKUS);
	assert_int_equal(found->active, BENCH_GOODS * (BENCH_SKUS_EACH - 1));
	assert_int_equal(found->inactive, BENCH_GOODS);
	assert_int_equal(found->both, 0);
	for (int i = 0; i < BENCH_SKUS; i++)
		assert_true(s->seen[i] >= 1);
}

static void
whole_catalogue(void **state)
{
	struct bench *b = *state;
	struct temu_catalogue found;
	struct shop s = { .bench = b };

	assert_int_equal(read_all(b, &s, 0, &found), 0);
	expect_all(&s, &found);
	assert_int_equal(s.again + s.bad + s.gone, 0);
	assert_int_equal(s.handed, BENCH_SKUS);
	assert_int_equal(found.pages, MINIMUM_PAGES);
	assert_int_equal(bench_calls(b), MINIMUM_PAGES);
}

/* What the client mends by asking for the page again, and what needs the whole list again. */
static void
list_faults_end_well(void **state)
{
	static const struct {
		const char *fault;
		int64_t rereads;
		int64_t most; /* requests */
	} rows[] = {
		{ LIST_FAULT("\"kind\":\"http502\",\"skip\":3,\"count\":2"), 0, MINIMUM_PAGES + 2 },
		{ LIST_FAULT("\"kind\":\"html200\",\"skip\":1"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"truncate\",\"skip\":2"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"cut\""), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"reset_before\",\"skip\":5"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"reset_after\",\"skip\":5"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"slow\",\"delay_ms\":50,\"count\":4"), 0, MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"code\",\"code\":4000004,\"skip\":2,\"count\":3"), 0, MINIMUM_PAGES + 3 },
		{ LIST_FAULT("\"kind\":\"code\",\"code\":4000000,\"skip\":2"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"code\",\"code\":150010002"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"result_null\",\"skip\":1"), 0, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"ids_as_strings\",\"count\":-1"), 0, MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"duplicate_page\",\"skip\":4"), 1, 2 * MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"total_changes\",\"skip\":3"), 1, 2 * MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"total_changes\""), 1, 2 * MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"empty_page\",\"skip\":6"), 1, 2 * MINIMUM_PAGES },
		{ LIST_FAULT("\"kind\":\"empty_page\""), 1, MINIMUM_PAGES + 1 },
		{ LIST_FAULT("\"kind\":\"duplicate_page\",\"skip\":13"), 1, 2 * MINIMUM_PAGES },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shop s = { .bench = b };
		struct temu_catalogue found;
		int64_t before = bench_calls(b);

		bench_fault(b, rows[i].fault);
		if (read_all(b, &s, 0, &found) != 0)
			fail_msg("%s: %s", rows[i].fault, b->err.text);
		expect_all(&s, &found);
		assert_int_equal(found.rereads, rows[i].rereads);
		assert_int_equal(s.gone + s.bad, 0);
		assert_true(bench_calls(b) - before <= rows[i].most);
		bench_clear(b);
	}
}

static void
an_incomplete_catalogue_is_none(void **state)
{
	static const struct {
		const char *fault;
		enum err_class class;
		const char *code;
	} rows[] = {
		{ LIST_FAULT("\"kind\":\"duplicate_page\",\"count\":-1"), ERR_TEMP, "TEMU_CATALOGUE" },
		{ LIST_FAULT("\"kind\":\"empty_page\",\"count\":-1"), ERR_TEMP, "TEMU_CATALOGUE" },
		{ LIST_FAULT("\"kind\":\"result_null\",\"count\":-1"), ERR_TEMP, "TEMU_GARBLED" },
		{ LIST_FAULT("\"kind\":\"truncate\",\"count\":-1"), ERR_TEMP, "TEMU_GARBLED" },
		{ LIST_FAULT("\"kind\":\"http502\",\"count\":-1"), ERR_TEMP, "HTTP_502" },
		{ LIST_FAULT("\"kind\":\"code\",\"code\":3000032,\"count\":-1"), ERR_HOLD, "TEMU_3000032" },
		{ LIST_FAULT("\"kind\":\"code\",\"code\":150010003,\"skip\":14,\"count\":-1"), ERR_PERM, "TEMU_150010003" },
		{ LIST_FAULT("\"kind\":\"replace_token\",\"skip\":7"), ERR_HOLD, "TEMU_3000034" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shop s = { .bench = b };
		struct temu_catalogue found;
		int64_t before = bench_calls(b);

		bench_fault(b, rows[i].fault);
		assert_int_equal(read_all(b, &s, 2, &found), -1);
		assert_err(b, rows[i].class, rows[i].code);
		assert_true(bench_calls(b) - before < 4 * MINIMUM_PAGES);
		bench_clear(b);
	}
	struct shop s = { .bench = b };
	struct temu_catalogue found;
	bench_fault(b, LIST_FAULT("\"kind\":\"duplicate_page\",\"skip\":4"));
	assert_int_equal(read_all(b, &s, -1, &found), -1); /* never read again */
	assert_err(b, ERR_TEMP, "TEMU_CATALOGUE");
	bench_clear(b);
	struct shop stopped = { .bench = b, .fail_at = 30 };
	assert_int_equal(read_all(b, &stopped, 0, &found), -1);
	assert_err(b, ERR_TEMP, "TEST");
	assert_int_equal(stopped.handed, 30);
}

static void
empty_shop(void **state)
{
	struct bench *b = *state;
	struct gw_shop *shop = b->gw->shops.shops[0];
	struct shop s = { .bench = b };
	struct temu_catalogue found;

	for (size_t i = 0; i < shop->count; i++)
		gw_shop_remove(shop, shop->skus[i]);
	assert_int_equal(read_all(b, &s, 0, &found), 0);
	assert_int_equal(found.skus + s.handed, 0);
	assert_int_equal(bench_calls(b), 2);
}

static void
bad_rows_are_reported(void **state)
{
	struct bench *b = *state;
	struct gw_shop *shop = b->gw->shops.shops[0];
	struct temu_catalogue found;
	struct shop s = { .bench = b };
	char wide[700];

	memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	pthread_mutex_lock(&b->gw->lock);
	gw_shop_sku(shop, BENCH_SKU(3, 0))->stock = -5;
	free(gw_shop_sku(shop, BENCH_SKU(4, 0))->sku_sn);
	gw_shop_sku(shop, BENCH_SKU(4, 0))->sku_sn = strdup(wide);
	free(gw_shop_sku(shop, BENCH_SKU(5, 4))->goods_name);
	gw_shop_sku(shop, BENCH_SKU(5, 4))->goods_name = strdup(wide);
	gw_shop_sku(shop, BENCH_SKU(6, 0))->goods_id = -1;
	pthread_mutex_unlock(&b->gw->lock);
	assert_int_equal(read_all(b, &s, 0, &found), 0);
	assert_int_equal(found.skus, BENCH_SKUS);
	assert_int_equal(found.bad, 3);
	assert_int_equal(s.bad, 4);
	assert_int_equal(s.handed_bad, 1);
	assert_int_equal(s.handed, BENCH_SKUS - 3);
}

/* A SKU leaves after it was handed over: the list is read again and the SKU is told to be gone. */
static int
on_sku_remove(const struct temu_sku *sku, void *arg, struct err *err)
{
	struct shop *s = arg;

	if (s->remove_one) {
		s->remove_one = false;
		pthread_mutex_lock(&s->bench->gw->lock);
		struct gw_shop *shop = s->bench->gw->shops.shops[0];
		gw_shop_remove(shop, gw_shop_sku(shop, sku->sku_id));
		pthread_mutex_unlock(&s->bench->gw->lock);
	}
	return on_sku(sku, arg, err);
}

static void
a_sku_that_leaves_is_gone(void **state)
{
	struct bench *b = *state;
	struct shop s = { .bench = b, .remove_one = true };
	struct temu_catalogue_request request = { .page_size = 20, .sku = on_sku_remove, .gone = on_gone, .arg = &s };
	struct temu_catalogue found;

	assert_int_equal(temu_catalogue_read(b->temu, &request, &found, &b->err), 0);
	assert_int_equal(found.skus, BENCH_SKUS - 1);
	assert_true(found.rereads >= 1);
	assert_int_equal(s.gone, 1);
	assert_true(s.again > 0);
}

static bool
always(void *arg)
{
	(void)arg;
	return true;
}

static void
reading_can_be_cancelled(void **state)
{
	struct bench *b = *state;
	struct shop s = { .bench = b };
	struct temu_limits limits = { .cancelled = always };
	struct temu_catalogue_request request = { .page_size = 20, .sku = on_sku, .arg = &s, .limits = &limits };
	struct temu_catalogue found;

	assert_int_equal(temu_catalogue_read(b->temu, &request, &found, &b->err), -1);
	assert_err(b, ERR_CANCELLED, "CANCELLED");
	limits = (struct temu_limits){ .deadline_ms = clock_mono_ms() + 100 };
	bench_fault(b, LIST_FAULT("\"kind\":\"slow\",\"delay_ms\":4000,\"count\":-1"));
	assert_int_equal(temu_catalogue_read(b->temu, &request, &found, &b->err), -1);
	assert_err(b, ERR_CANCELLED, "CANCELLED");
	struct temu_stock_item item = { .sku_id = BENCH_SKU(0, 0), .goods_id = BENCH_GOOD(0), .target = 1 };
	limits = (struct temu_limits){ .cancelled = always };
	struct temu_stock_request push = { .items = &item, .count = 1, .batch = 50, .limits = &limits };
	int64_t before = bench_calls(b);
	assert_int_equal(temu_stock_push(b->temu, &push, &b->err), -1);
	assert_err(b, ERR_CANCELLED, "CANCELLED");
	assert_int_equal(item.outcome, TEMU_STOCK_UNSENT);
	assert_string_equal(item.code_text, "CANCELLED");
	assert_int_equal(bench_calls(b), before);
}

/* --- pushing --- */

#define PUSHED 40

struct push {
	struct temu_stock_item items[PUSHED];
	int told, groups;
	int refuse_group; /* `before` fails at this one, 0: never */
	int counts[4];    /* by outcome */
};

static void
told(struct temu_stock_item *item, void *arg)
{
	struct push *p = arg;

	p->told++;
	p->counts[item->outcome]++;
}

static int
before(struct temu_stock_item *const items[], size_t count, void *arg, struct err *err)
{
	struct push *p = arg;

	assert_true(count >= 1 && items[0]->outcome == TEMU_STOCK_UNSENT);
	if (++p->groups == p->refuse_group)
		return err_set(err, ERR_TEMP, "TEST", "lease lost");
	return 0;
}

/* 40 SKUs, four of each of ten goods, one goods after the other or mixed. */
static int
push_all(struct bench *b, struct push *p, int64_t batch, int64_t target)
{
	struct temu_stock_request request = { .items = p->items, .count = PUSHED, .batch = batch, .key_prefix = "r-7-", .before = before,
		                                  .done = told, .arg = p };

	for (int i = 0; i < PUSHED; i++)
		p->items[i] = (struct temu_stock_item){ .sku_id = BENCH_SKU(i % 10, i / 10), .goods_id = BENCH_GOOD(i % 10), .target = target,
			                                    .user = &p->items[i] };
	b->err = (struct err)ERR_INIT;
	int rc = temu_stock_push(b->temu, &request, &b->err);
	assert_int_equal(p->told, PUSHED);
	return rc;
}

/* Every item's outcome must be true at the gateway. */
static void
expect_truth(struct bench *b, const struct push *p)
{
	for (int i = 0; i < PUSHED; i++) {
		const struct temu_stock_item *item = &p->items[i];
		struct gw_sku sku = bench_sku(b, item->sku_id);

		if (item->outcome == TEMU_STOCK_CONFIRMED)
			assert_int_equal(sku.stock, item->target);
		if (item->outcome == TEMU_STOCK_REFUSED || item->outcome == TEMU_STOCK_UNSENT)
			assert_true(sku.stock != item->target);
		assert_ptr_equal(item->user, item);
	}
}

static void
grouped_by_goods(void **state)
{
	struct bench *b = *state;
	struct push p = { .told = 0 };

	assert_int_equal(push_all(b, &p, 50, 500), 0);
	assert_int_equal(p.counts[TEMU_STOCK_CONFIRMED], PUSHED);
	assert_int_equal(p.groups, 10);
	assert_int_equal(bench_calls(b), 10);
	expect_truth(b, &p);
	for (int i = 0; i < PUSHED; i++) {
		struct gw_sku sku = bench_sku(b, p.items[i].sku_id);
		assert_int_equal(sku.edits, 1);
		assert_true(p.items[i].request_id[0] != '\0');
	}
	pthread_mutex_lock(&b->gw->lock);
	assert_true(strncmp(gw_shop_sku(b->gw->shops.shops[0], BENCH_SKU(0, 0))->last_key, "r-7-", 4) == 0);
	assert_int_equal(strlen(gw_shop_sku(b->gw->shops.shops[0], BENCH_SKU(0, 0))->last_key), 36);
	pthread_mutex_unlock(&b->gw->lock);
	struct push again = { .told = 0 };
	assert_int_equal(push_all(b, &again, 3, 501), 0);
	assert_int_equal(again.groups, 20); /* three and one of each goods */
	assert_int_equal(again.counts[TEMU_STOCK_CONFIRMED], PUSHED);
}

/* Calls go out in the order of their first items: zeros given first are sent first. */
static void
order_is_kept(void **state)
{
	struct temu_stock_item items[6] = {
		{ .sku_id = BENCH_SKU(9, 0), .goods_id = BENCH_GOOD(9), .target = 0 },
		{ .sku_id = BENCH_SKU(2, 0), .goods_id = BENCH_GOOD(2), .target = 0 },
		{ .sku_id = BENCH_SKU(5, 0), .goods_id = BENCH_GOOD(5), .target = 8 },
		{ .sku_id = BENCH_SKU(9, 1), .goods_id = BENCH_GOOD(9), .target = 9 },
		{ .sku_id = BENCH_SKU(1, 0), .goods_id = BENCH_GOOD(1), .target = 7 },
		{ .sku_id = BENCH_SKU(9, 2), .goods_id = BENCH_GOOD(9), .target = 6 },
	};
	static const char *const wanted[] = { "[[51480000000090,0],[51480000000091,9]]", "[[51480000000020,0]]", "[[51480000000050,8]]",
		                                  "[[51480000000010,7]]", "[[51480000000092,6]]" };
	struct bench *b = *state;
	struct temu_stock_request request = { .items = items, .count = 6, .batch = 2 };

	b->config.in_flight = 1;
	bench_renew(b);
	assert_int_equal(temu_stock_push(b->temu, &request, &b->err), 0);
	assert_int_equal(bench_calls(b), 5);
	for (int i = 0; i < 5; i++)
		assert_non_null(strstr(b->gw->calls.ring[i].detail, wanted[i]));
}

struct leave {
	int asked, granted; /* how often; how often it says yes */
};

static int
leave(struct temu_stock_item *const items[], size_t count, void *arg, struct err *err)
{
	struct leave *l = arg;

	assert_true(count == 1 && items[0]->sku_id >= BENCH_SKU(0, 0));
	return ++l->asked <= l->granted ? 0 : err_set(err, ERR_HOLD, "TEST", "lease lost");
}

/* A call that has to be sent once more, or that waited for the budget, is asked about again; a no is the end of the push. */
static void
asked_again_after_a_wait(void **state)
{
	static const struct {
		const char *fault;
		int64_t rate;
		int granted, asked;
		int64_t calls;
		enum temu_stock_outcome first, last;
	} rows[] = {
		{ NULL, 1, 2, 3, 1, TEMU_STOCK_CONFIRMED, TEMU_STOCK_UNSENT },
		{ EDIT_FAULT("\"kind\":\"reset_after\""), 1000, 1, 2, 1, TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNSENT },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150010002"), 1000, 9, 4, 4, TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":4000004"), 1000, 1, 2, 1, TEMU_STOCK_UNSENT, TEMU_STOCK_UNSENT },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct temu_stock_item items[3];
		struct leave l = { .granted = rows[i].granted };
		struct temu_stock_request request = { .items = items, .count = 3, .batch = 50, .before = leave, .arg = &l };
		int64_t calls = bench_calls(b);

		for (int n = 0; n < 3; n++)
			items[n] = (struct temu_stock_item){ .sku_id = BENCH_SKU(n, 0), .goods_id = BENCH_GOOD(n), .target = 900 + (int)i };
		b->config.in_flight = 1;
		b->config.rate = rows[i].rate;
		b->config.backoff_ms = 1;
		bench_renew(b);
		if (rows[i].fault != NULL)
			bench_fault(b, rows[i].fault);
		b->err = (struct err)ERR_INIT;
		assert_int_equal(temu_stock_push(b->temu, &request, &b->err), rows[i].last == TEMU_STOCK_CONFIRMED ? 0 : -1);
		if (rows[i].last != TEMU_STOCK_CONFIRMED)
			assert_err(b, ERR_HOLD, "TEST");
		assert_int_equal(l.asked, rows[i].asked);
		assert_int_equal(bench_calls(b) - calls, rows[i].calls);
		assert_int_equal(items[0].outcome, rows[i].first);
		assert_int_equal(items[2].outcome, rows[i].last);
	}
}

static void
edit_faults_end_well(void **state)
{
	static const struct {
		const char *fault;
		int confirmed, refused, unknown;
		int64_t requests;
	} rows[] = {
		{ EDIT_FAULT("\"kind\":\"http502\",\"count\":2"), 40, 0, 0, 12 },
		{ EDIT_FAULT("\"kind\":\"html200\""), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"truncate\""), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"cut\""), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"reset_before\""), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"reset_after\""), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"slow\",\"delay_ms\":40"), 40, 0, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":4000004,\"count\":3"), 40, 0, 0, 13 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150010002"), 40, 0, 0, 11 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150013001,\"text\":\"There are duplicate SKUs in the request.\""), 36, 4, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150013002"), 36, 4, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150013003"), 36, 4, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150010003,\"text\":\"repeated requestUniqueKey\""), 36, 0, 4, 10 },
		{ EDIT_FAULT("\"kind\":\"refuse_sku\",\"sku_id\":51480000000031,\"code\":150010005,\"text\":\"busy\""), 39, 1, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"refuse_sku\""), 36, 4, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"no_sku_status\""), 40, 0, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"wrong_operate_result\""), 40, 0, 0, 10 },
		{ EDIT_FAULT("\"kind\":\"result_null\""), 36, 0, 4, 10 },
		{ EDIT_FAULT("\"kind\":\"read_lag\",\"delay_ms\":1000"), 40, 0, 0, 10 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct push p = { .told = 0 };
		int64_t calls = bench_calls(b);

		bench_fault(b, rows[i].fault);
		if (push_all(b, &p, 50, 1000 + (int64_t)i) != 0)
			fail_msg("%s: %s", rows[i].fault, b->err.text);
		assert_int_equal(p.counts[TEMU_STOCK_CONFIRMED], rows[i].confirmed);
		assert_int_equal(p.counts[TEMU_STOCK_REFUSED], rows[i].refused);
		assert_int_equal(p.counts[TEMU_STOCK_UNKNOWN], rows[i].unknown);
		assert_int_equal(bench_calls(b) - calls, rows[i].requests);
		expect_truth(b, &p);
		bench_clear(b);
	}
}

/* A request that seems lost, and takes effect later: confirmed by the next attempt, and marked. */
static void
a_late_effect_is_announced(void **state)
{
	struct bench *b = *state;
	struct push p = { .told = 0 };
	int64_t until = clock_mono_ms() + 5000;
	int late = 0;

	bench_fault(b, EDIT_FAULT("\"kind\":\"late_apply\",\"delay_ms\":100"));
	assert_int_equal(push_all(b, &p, 50, 900), 0);
	for (int i = 0; i < PUSHED; i++)
		late += p.items[i].late;
	assert_int_equal(late, 4);
	assert_int_equal(p.counts[TEMU_STOCK_CONFIRMED], PUSHED);
	expect_truth(b, &p);
	int64_t twice = 0;
	while (twice < 4 && clock_mono_ms() < until) {
		twice = 0;
		for (int i = 0; i < PUSHED; i++)
			twice += bench_sku(b, p.items[i].sku_id).edits == 2;
	}
	assert_int_equal(twice, 4);
	expect_truth(b, &p); /* the late one set the same targets */
}

static void
lost_for_good_is_unknown(void **state)
{
	struct bench *b = *state;
	struct push p = { .told = 0 };

	b->config.in_flight = 1;
	bench_renew(b);
	bench_fault(b, EDIT_FAULT("\"kind\":\"reset_after\",\"count\":3"));
	assert_int_equal(push_all(b, &p, 50, 901), 0);
	assert_int_equal(p.counts[TEMU_STOCK_UNKNOWN], 4);
	assert_int_equal(p.counts[TEMU_STOCK_CONFIRMED], 36);
	assert_string_equal(p.items[0].code_text, "HTTP_RESET");
	assert_int_equal(bench_calls(b), 12);
}

static void
a_dead_gateway_stops_the_push(void **state)
{
	struct bench *b = *state;
	struct push p = { .told = 0 }, q = { .told = 0 }, r = { .told = 0 };

	b->config.in_flight = 1;
	bench_renew(b);
	bench_fault(b, EDIT_FAULT("\"kind\":\"http502\",\"count\":-1"));
	assert_int_equal(push_all(b, &p, 50, 902), -1);
	assert_err(b, ERR_TEMP, "HTTP_502");
	assert_int_equal(bench_calls(b), 15); /* five calls of three attempts */
	assert_int_equal(p.counts[TEMU_STOCK_UNKNOWN], 20);
	assert_int_equal(p.counts[TEMU_STOCK_UNSENT], 20);
	expect_truth(b, &p);
	bench_clear(b);
	bench_fault(b, "{\"kind\":\"replace_token\",\"skip\":3}");
	assert_int_equal(push_all(b, &q, 50, 903), -1);
	assert_err(b, ERR_HOLD, "TEMU_3000034");
	assert_int_equal(bench_calls(b), 15 + 4);
	assert_int_equal(q.counts[TEMU_STOCK_CONFIRMED], 12);
	assert_int_equal(q.counts[TEMU_STOCK_UNSENT], 28);
	expect_truth(b, &q);
	bench_clear(b);
	r.refuse_group = 3;
	assert_int_equal(push_all(b, &r, 50, 904), -1);
	assert_err(b, ERR_TEMP, "TEST");
	assert_int_equal(r.counts[TEMU_STOCK_CONFIRMED], 8);
	assert_int_equal(r.counts[TEMU_STOCK_UNSENT], 32);
	expect_truth(b, &r);
}

static void
impossible_items_are_refused(void **state)
{
	struct bench *b = *state;
	struct temu_stock_item items[7] = {
		{ .sku_id = 0, .goods_id = BENCH_GOOD(0), .target = 1 },
		{ .sku_id = BENCH_SKU(0, 0), .goods_id = -1, .target = 1 },
		{ .sku_id = BENCH_SKU(0, 1), .goods_id = BENCH_GOOD(0), .target = -1 },
		{ .sku_id = BENCH_SKU(0, 1), .goods_id = BENCH_GOOD(0), .target = 1000001 },
		{ .sku_id = BENCH_SKU(0, 2), .goods_id = BENCH_GOOD(0), .target = 41 },
		{ .sku_id = BENCH_SKU(0, 2), .goods_id = BENCH_GOOD(0), .target = 42 },
		{ .sku_id = BENCH_SKU(1, 0), .goods_id = BENCH_GOOD(0), .target = 43 }, /* of other goods: TEMU says so */
	};
	struct temu_stock_request request = { .items = items, .count = 7, .batch = 50 };

	assert_int_equal(temu_stock_push(b->temu, &request, &b->err), 0);
	for (int i = 0; i < 7; i++)
		assert_int_equal(items[i].outcome, i == 4 ? TEMU_STOCK_CONFIRMED : TEMU_STOCK_REFUSED);
	assert_string_equal(items[5].code_text, "TEMU_ITEM");
	assert_string_equal(items[6].code_text, "TEMU_150010003");
	assert_int_equal(bench_sku(b, BENCH_SKU(0, 2)).stock, 41);
	assert_int_equal(bench_calls(b), 1);
	request.count = 0;
	assert_int_equal(temu_stock_push(b->temu, &request, &b->err), 0);
}

static int
on_sku_keep(const struct temu_sku *sku, void *arg, struct err *err)
{
	struct temu_stock_item *item = arg;

	(void)err;
	if (item->sku_id == 0)
		*item = (struct temu_stock_item){ .sku_id = sku->sku_id, .goods_id = sku->goods_id, .target = sku->stock };
	return 0;
}

/* Token, whole catalogue, and one SKU set to what it has already. */
static void
another_gateway(void **state)
{
	const char *url = getenv("TEMU_TEST_GATEWAY"), *key = getenv("TEMU_TEST_APP_KEY"), *secret = getenv("TEMU_TEST_APP_SECRET");
	const char *token_text = getenv("TEMU_TEST_ACCESS_TOKEN");
	struct bench *b = *state;
	struct temu_stock_item item = { .sku_id = 0 };
	struct temu_catalogue_request request = { .page_size = 100, .sku = on_sku_keep, .arg = &item };
	struct temu_stock_request push = { .items = &item, .count = 1, .batch = 50, .key_prefix = "test-" };
	struct temu_catalogue found;
	struct temu_token token;

	if (url != NULL && key != NULL && secret != NULL && token_text != NULL) {
		b->config.url = url;
		b->config.app_key = secret_new(key, strlen(key));
		b->config.app_secret = secret_new(secret, strlen(secret));
		b->config.access_token = secret_new(token_text, strlen(token_text));
		b->config.rate = 5;
		b->config.timeout_ms = 30000;
		b->config.rate_wait_ms = b->config.backoff_ms = b->config.backoff_max_ms = 0;
		bench_renew(b);
	}
	if (temu_token_read(b->temu, NULL, &token, &b->err) != 0)
		fail_msg("%s", b->err.text);
	assert_true(temu_token_allows(&token, TEMU_SKU_LIST) && temu_token_allows(&token, TEMU_STOCK_EDIT));
	temu_token_release(&token);
	if (temu_catalogue_read(b->temu, &request, &found, &b->err) != 0)
		fail_msg("%s", b->err.text);
	assert_true(found.skus > 0 && item.sku_id > 0);
	if (temu_stock_push(b->temu, &push, &b->err) != 0)
		fail_msg("%s", b->err.text);
	assert_int_equal(item.outcome, TEMU_STOCK_CONFIRMED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_catalogue), T(list_faults_end_well), T(an_incomplete_catalogue_is_none), T(empty_shop), T(bad_rows_are_reported),
		T(a_sku_that_leaves_is_gone), T(reading_can_be_cancelled), T(grouped_by_goods), T(order_is_kept), T(asked_again_after_a_wait),
		T(edit_faults_end_well),
		T(a_late_effect_is_announced), T(lost_for_good_is_unknown), T(a_dead_gateway_stops_the_push),
		T(impossible_items_are_refused), T(another_gateway),
	};

	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
