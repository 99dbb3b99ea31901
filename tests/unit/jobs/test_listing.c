/* Ledger and catalogue brought together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "worker/jobs/listing.h"
#include "worker/jobs/plan.h"

#define NOW 1000000000

static void add_ledger(struct listings *list, int64_t sku_id, const char *sku, int64_t known, bool active)
{
	struct err err = ERR_INIT;
	struct ledger_row row = { .sku_id = sku_id,
		                  .goods_id = sku_id * 10,
		                  .sku = sku,
		                  .active = active,
		                  .known = maybe_of(known),
		                  .product = maybe_of(sku_id + 100),
		                  .product_goods = sku_id * 10,
		                  .product_sku = sku,
		                  .goods_name = "name",
		                  .product_active = active };

	assert_int_equal(listings_add_ledger(list, &row, &err), 0);
}

static void add_entry(struct catalogue *catalogue, int64_t sku_id, const char *sku, int64_t stock)
{
	struct err err = ERR_INIT;
	struct catalogue_entry entry = { .sku_id = sku_id, .goods_id = sku_id * 10, .stock = stock };

	entry.sku = (char *)(uintptr_t)sku;
	entry.name = (char *)(uintptr_t) "name";
	assert_int_equal(catalogue_add(catalogue, &entry, &err), 0);
}

static void merge(struct listings *list, struct catalogue *catalogue)
{
	struct err err = ERR_INIT;

	assert_int_equal(listings_merge(list, catalogue, NOW, &err), 0);
	assert_null(catalogue->items);
}

static void known_new_and_vanished(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .items = NULL };
	struct listing *item;

	(void)state;
	add_ledger(&list, 1, "A", 5, true);
	add_ledger(&list, 3, "C", 5, true);
	add_ledger(&list, 5, "E", 5, true);
	add_entry(&catalogue, 4, "D", 8);
	add_entry(&catalogue, 5, "E2", 5);
	add_entry(&catalogue, 1, "A", 5);
	merge(&list, &catalogue);
	assert_int_equal(list.count, 4);
	item = listings_find(&list, 1);
	assert_true(item->active && item->ledger_same && item->product_same && !item->known_changed && !item->fresh);
	item = listings_find(&list, 3);
	assert_true(item->was_active && !item->active);
	item = listings_find(&list, 4);
	assert_true(item->fresh && item->active && item->believed && !item->ledger_same);
	assert_int_equal(item->known.value, 8);
	item = listings_find(&list, 5);
	assert_true(item->active && !item->ledger_same && !item->product_same);
	assert_string_equal(item->sku, "E2");
	assert_null(listings_find(&list, 2));
	listings_release(&list);
}

static void the_later_entry_counts(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .items = NULL };
	struct catalogue_entry gone = { .sku_id = 2, .gone = true };
	struct err err = ERR_INIT;

	(void)state;
	add_entry(&catalogue, 1, "A", 5);
	add_entry(&catalogue, 2, "B", 5);
	add_entry(&catalogue, 1, "A", 6);
	assert_int_equal(catalogue_add(&catalogue, &gone, &err), 0);
	merge(&list, &catalogue);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.items[0].known.value, 6);
	listings_release(&list);
}

static void bad_rows_do_not_vanish(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .items = NULL };
	struct catalogue_entry bad = { .sku_id = 1, .bad = true };
	struct err err = ERR_INIT;

	(void)state;
	add_ledger(&list, 1, "A", 5, true);
	add_ledger(&list, 2, "B", 5, true);
	assert_int_equal(catalogue_add(&catalogue, &bad, &err), 0);
	merge(&list, &catalogue);
	assert_true(list.items[0].active);
	assert_false(list.items[0].reported.set);
	assert_int_equal(list.items[0].known.value, 5);
	assert_false(list.items[1].active);
	listings_release(&list);
}

static void a_row_without_id_keeps_all(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .nameless = 1 };

	(void)state;
	add_ledger(&list, 1, "A", 5, true);
	add_ledger(&list, 2, "B", 5, false);
	merge(&list, &catalogue);
	assert_true(list.items[0].active);
	assert_false(list.items[1].active);
	listings_release(&list);
}

static void back_again(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .items = NULL };

	(void)state;
	add_ledger(&list, 1, "A", 5, false);
	add_entry(&catalogue, 1, "A", 5);
	merge(&list, &catalogue);
	assert_true(list.items[0].active && !list.items[0].ledger_same && !list.items[0].product_same);
	listings_release(&list);
}

static void just_pushed_is_not_compared_with_what_temu_shows(void **state)
{
	struct listings list = { .items = NULL };
	struct catalogue catalogue = { .items = NULL };

	(void)state;
	add_ledger(&list, 1, "A", 5, true);
	add_ledger(&list, 2, "B", 5, true);
	for (int i = 0; i < 2; i++) {
		list.items[i].sent_ms = NOW - 1;
		list.items[i].sent_from = maybe_of(9);
	}
	add_entry(&catalogue, 1, "A", 9);
	add_entry(&catalogue, 2, "B", 4);
	merge(&list, &catalogue);
	assert_int_equal(list.items[0].known.value, 5);
	assert_false(list.items[0].known_changed || list.items[0].believed);
	assert_false(list.items[1].known.set);
	assert_true(list.items[1].known_changed && list.items[1].believed);
	listings_release(&list);
}

static void quick_mode_keeps_what_was_active(void **state)
{
	struct listings list = { .items = NULL };

	(void)state;
	add_ledger(&list, 1, "A", 5, true);
	add_ledger(&list, 2, "B", 5, false);
	listings_keep(&list);
	assert_true(list.items[0].active);
	assert_false(list.items[1].active);
	listings_release(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_new_and_vanished),
		cmocka_unit_test(the_later_entry_counts),
		cmocka_unit_test(bad_rows_do_not_vanish),
		cmocka_unit_test(a_row_without_id_keeps_all),
		cmocka_unit_test(back_again),
		cmocka_unit_test(just_pushed_is_not_compared_with_what_temu_shows),
		cmocka_unit_test(quick_mode_keeps_what_was_active),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
