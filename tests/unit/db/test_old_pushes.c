/* What the old system pushed, on a server that is not in UTC: since when, which row counts, whose push it was, page by page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/clock.h"
#include "tests/unit/db/sql_world.h"
#include "worker/db/old_pushes.h"
#include "worker/db/schema.h"

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;
static struct old_push pushes[OLD_PUSHES_CHUNK];
static size_t count;
static bool more;

static void sql(const char *format, ...) PRINTF_LIKE(1, 2);
static void sql(const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_true(world_run_sql(db, text));
}

/* A product of the old system, without the columns it does not know. */
static void product(int shop, int sku_id, const char *sku)
{
	sql("INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'%s', %d, %d)\n"
	    "UPDATE dbo.temu_products SET shop = %d WHERE sku = N'%s'",
	    sku, sku_id / 10, sku_id, shop, sku);
}

/* It pushed that value so many seconds ago by its own clock, or never (NULL seconds). */
static void pushed(const char *sku, int value, const char *seconds_ago)
{
	sql("INSERT INTO dbo.temu_inventory (product_id, temu_stock, last_synced_to_temu)\n"
	    "SELECT MAX(id), %d, DATEADD(second, -%s, GETDATE()) FROM dbo.temu_products WHERE sku = N'%s'",
	    value, seconds_ago, sku);
}

static void read_since(int64_t seconds)
{
	err_clear(&err);
	if (old_pushes_read(db, 1, clock_now_ms() - seconds * 1000, 0, pushes, OLD_PUSHES_CHUNK, &count, &more, &err) != 0)
		fail_msg("%s: %s", err.code, err.text);
	assert_false(more);
}

static int clean(void **state)
{
	(void)state;
	if (!world.there)
		return 0;
	return world_run_sql(db, "DELETE FROM dbo.temu_inventory\nDELETE FROM dbo.temu_products\nDELETE FROM dbo.temu_ledger") ? 0 : -1;
}

static void only_what_was_pushed_since_in_the_servers_own_time(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	product(1, 130, "C");
	product(1, 110, "A");
	product(1, 120, "B");
	product(2, 140, "D");
	sql("INSERT INTO dbo.temu_products (sku, goods_id) VALUES (N'E', 15)");
	pushed("A", 3, "90");
	pushed("B", 4, "1800"); /* before; taken for UTC it would be hours after */
	pushed("C", 0, "10");
	pushed("D", 5, "10");
	pushed("E", 6, "10"); /* without skuId it never went out */
	read_since(600);
	assert_int_equal(count, 2);
	assert_int_equal(pushes[0].sku_id, 110);
	assert_int_equal(pushes[0].value, 3);
	assert_int_equal(pushes[0].rows, 1);
	assert_false(pushes[0].own || pushes[0].wanted.set);
	assert_int_equal(pushes[1].sku_id, 130);
	assert_int_equal(pushes[1].value, 0);
	read_since(45);
	assert_int_equal(count, 1);
	read_since(3000);
	assert_int_equal(count, 3);
	read_since(0);
	assert_int_equal(count, 0);
}

static void a_row_that_was_never_pushed_is_none(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	product(1, 110, "A");
	pushed("A", 7, "NULL"); /* copied from JTL at first sight, as the old system does */
	read_since(600);
	assert_int_equal(count, 0);
}

static void the_newest_of_several_rows_counts(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	product(1, 110, "A");
	pushed("A", 1, "50");
	pushed("A", 2, "20");
	pushed("A", 3, "40");
	product(1, 120, "B");
	product(1, 120, "B again");
	pushed("B again", 8, "30");
	pushed("B", 9, "60");
	read_since(600);
	assert_int_equal(count, 2);
	assert_int_equal(pushes[0].value, 2);
	assert_int_equal(pushes[0].rows, 3);
	assert_int_equal(pushes[1].value, 8);
	assert_int_equal(pushes[1].rows, 2);
}

static void ledger(int sku_id, const char *known, const char *wanted, const char *sent, int sent_seconds_ago)
{
	sql("INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, known, wanted, sent, sent_at)\n"
	    "VALUES (1, %d, %d, N'L%d', %s, %s, %s, DATEADD(second, -%d, GETUTCDATE()))",
	    sku_id, sku_id / 10, sku_id, known, wanted, sent, sent_seconds_ago);
}

static void what_this_system_sent_is_not_the_old_ones(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	product(1, 110, "A");
	product(1, 120, "B");
	product(1, 130, "C");
	pushed("A", 5, "20");
	pushed("B", 5, "20");
	pushed("C", 5, "20");
	ledger(110, "5", "5", "5", 20);   /* ours */
	ledger(120, "4", "4", "4", 30);   /* ours, and another value since */
	ledger(130, "5", "7", "5", 7200); /* ours, but long before */
	read_since(600);
	assert_int_equal(count, 3);
	assert_true(pushes[0].own && !pushes[1].own && !pushes[2].own);
	assert_int_equal(pushes[0].wanted.value, 5);
	assert_int_equal(pushes[1].wanted.value, 4);
	assert_int_equal(pushes[2].wanted.value, 7);
}

static void page_by_page_nothing_is_left_out(void **state)
{
	int64_t since = clock_now_ms() - 600000, after = 0, seen = 0;
	int pages = 0;

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < 10; i++) {
		char sku[20];

		snprintf(sku, sizeof(sku), "P%d", i);
		product(1, 100 + i, sku);
		for (int k = 0; k <= i % 3; k++)
			pushed(sku, 10 * i + k, k == 0 ? "10" : "20");
	}
	do {
		if (old_pushes_read(db, 1, since, after, pushes, 4, &count, &more, &err) != 0)
			fail_msg("%s", err.text);
		assert_true(count <= 4);
		for (size_t i = 0; i < count; i++, seen++) {
			assert_int_equal(pushes[i].sku_id, 100 + seen);
			assert_int_equal(pushes[i].value, 10 * seen);
			after = pushes[i].sku_id;
		}
		pages++;
	} while (more);
	assert_int_equal(seen, 10);
	assert_int_equal(pages, 4); /* a page ends inside the rows of P2, P5 and P8 */
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void a_cancelled_read_gives_nothing(void **state)
{
	const struct db_limit limit = { .cancelled = always };

	(void)state;
	if (!world.there)
		skip();
	product(1, 110, "A");
	pushed("A", 5, "20");
	count = 99;
	db_limit_set(db, &limit);
	assert_int_equal(old_pushes_read(db, 1, 0, 0, pushes, 4, &count, &more, &err), -1);
	db_limit_set(db, NULL);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_true(count == 0 && !more);
}

struct listings {
	struct old_listing seen[8];
	char skus[8][20];
	size_t count, stop_at;
};

static int take_listing(void *arg, const struct old_listing *listing, struct err *error)
{
	struct listings *l = arg;

	if (l->stop_at && l->count == l->stop_at)
		return err_set(error, ERR_PERM, "TEST", "enough");
	l->seen[l->count] = *listing;
	snprintf(l->skus[l->count++], 20, "%s", listing->sku);
	return 0;
}

static void listings_by_sku_id(void **state)
{
	const int64_t ids[] = { 140, 110, 130, 120 };
	struct listings l = { .count = 0 };

	(void)state;
	if (!world.there)
		skip();
	product(1, 120, "P120");
	product(1, 120, "P120 again");
	product(1, 130, "P130");
	product(2, 140, "P140");
	ledger(110, "9", "0", "NULL", 0);
	ledger(130, "NULL", "0", "NULL", 0);
	if (old_pushes_listings(db, 1, ids, 4, take_listing, &l, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(l.count, 4);
	assert_int_equal(l.seen[0].sku_id, 110);
	assert_string_equal(l.skus[0], "L110");
	assert_true(l.seen[0].known.set && l.seen[0].known.value == 9 && l.seen[0].goods_id == 11);
	assert_string_equal(l.skus[1], "P120");
	assert_true(!l.seen[1].known.set && l.seen[1].goods_id == 12);
	assert_string_equal(l.skus[2], "L130");
	assert_false(l.seen[2].known.set);
	assert_true(l.skus[3][0] == '\0' && l.seen[3].goods_id == 0);
	l = (struct listings){ .stop_at = 2 };
	assert_int_equal(old_pushes_listings(db, 1, ids, 4, take_listing, &l, &err), -1);
	assert_string_equal(err.code, "TEST");
	l = (struct listings){ .count = 0 };
	assert_int_equal(old_pushes_listings(db, 1, ids, 0, take_listing, &l, &err), 0);
	assert_int_equal(l.count, 0);
}

static int setup(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	setenv("TZ", "XST-05:30", 1); /* the server's; this side knows UTC only */
	if (sql_world_start(&world, 1, "Latin1_General_CI_AS", NULL) != 0)
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	if (!db || schema_apply(db, &list, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(db);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(only_what_was_pushed_since_in_the_servers_own_time, clean),
		cmocka_unit_test_setup(a_row_that_was_never_pushed_is_none, clean),
		cmocka_unit_test_setup(the_newest_of_several_rows_counts, clean),
		cmocka_unit_test_setup(what_this_system_sent_is_not_the_old_ones, clean),
		cmocka_unit_test_setup(page_by_page_nothing_is_left_out, clean),
		cmocka_unit_test_setup(a_cancelled_read_gives_nothing, clean),
		cmocka_unit_test_setup(listings_by_sku_id, clean),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
