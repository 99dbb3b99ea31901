/* Ledger, products and inventory on a server: what a batch writes, that it may be written twice, shops apart, unknown stays
 * unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/claims.h"
#include "worker/db/inventory.h"
#include "worker/db/products.h"
#include "worker/db/schema.h"

#define NAME                 \
	"Gr\xC3\xBC\xC3\x9F" \
	"e \xE6\x97\xA5\xE6\x9C\xAC \"\\ '"
#define NOW 1795600000123
#define RUN "temu_inventory_sync.1.000000000001"

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;

static struct ledger_listing listing(int64_t sku_id, const char *sku, int64_t known)
{
	return (struct ledger_listing){
		.sku_id = sku_id, .goods_id = sku_id / 10, .sku = sku, .goods_name = NAME, .judge = true, .known = maybe_of(known)
	};
}

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)

static void save(int64_t shop, const struct ledger_listing *rows, size_t count)
{
	OK(db_begin(db, &err));
	OK(products_save(db, shop, rows, count, &err));
	OK(ledger_save(db, shop, RUN, NOW, rows, count, &err));
	OK(db_commit(db, &err));
}

struct found {
	struct ledger_row row;
	char sku[200], name[700];
	int64_t want, count;
};

static int take(void *arg, const struct ledger_row *row, struct err *unused)
{
	struct found *found = arg;

	(void)unused;
	found->count++;
	if (row->sku_id != found->want)
		return 0;
	found->row = *row;
	snprintf(found->sku, sizeof(found->sku), "%s", row->sku);
	snprintf(found->name, sizeof(found->name), "%s", row->goods_name);
	return 0;
}

static struct found look(int64_t shop, int64_t sku_id)
{
	struct found found = { .want = sku_id };
	struct ledger_shop state;

	OK(ledger_read(db, shop, &state, take, &found, &err));
	assert_int_equal(found.row.sku_id, sku_id);
	return found;
}

static int clean(void **state)
{
	(void)state;
	if (!world.there)
		return 0;
	return world_run_sql(
		   db, "DELETE FROM dbo.temu_inventory\nDELETE FROM dbo.temu_products\nDELETE FROM dbo.temu_ledger\nDELETE FROM "
		       "dbo.temu_shop")
	           ? 0
	           : -1;
}

static void saved_twice_is_saved_once(void **state)
{
	struct ledger_listing rows[] = { listing(110, "A", 5), listing(120, "a ", 0), listing(130, "", 7) };
	struct found found;

	(void)state;
	if (!world.there)
		skip();
	rows[2].judge = false;
	save(1, rows, 3);
	save(1, rows, 3);
	found = look(1, 110);
	assert_int_equal(found.count, 3);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_products"), 3);
	assert_string_equal(found.name, NAME);
	assert_string_equal(found.sku, "A");
	assert_int_equal(found.row.known.value, 5);
	assert_true(found.row.product.set && found.row.product_active && found.row.active && !found.row.inventory.set);
	assert_int_equal(found.row.product_goods, 11);
	found = look(1, 120);
	assert_string_equal(found.sku, "a ");
	assert_true(found.row.known.set && found.row.known.value == 0);
	assert_false(look(1, 130).row.known.set);
}

static void shops_do_not_mix(void **state)
{
	const struct ledger_listing one[] = { listing(110, "A", 5) }, two[] = { listing(110, "A", 9) };

	(void)state;
	if (!world.there)
		skip();
	save(1, one, 1);
	save(2, two, 1);
	assert_int_equal(look(1, 110).row.known.value, 5);
	assert_int_equal(look(2, 110).row.known.value, 9);
	assert_int_not_equal(look(1, 110).row.product.value, look(2, 110).row.product.value);
	OK(ledger_retire(db, 2, RUN, NOW, (const int64_t[]){ 110 }, 1, &err));
	OK(products_retire(db, 2, (const int64_t[]){ 110 }, 1, &err));
	assert_true(look(1, 110).row.active && look(1, 110).row.product_active);
	assert_false(look(2, 110).row.active || look(2, 110).row.product_active);
	save(2, two, 1);
	assert_true(look(2, 110).row.active && look(2, 110).row.product_active);
}

static void a_row_of_the_old_system_is_taken_over(void **state)
{
	const struct ledger_listing rows[] = { listing(110, "OLD", 5) };

	(void)state;
	if (!world.there)
		skip();
	assert_true(world_run_sql(db, "INSERT INTO dbo.temu_products (sku, goods_id) VALUES (N'OLD', 1)"));
	save(1, rows, 1);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_products"), 1);
	assert_int_equal(world_number(db, "SELECT sku_id FROM dbo.temu_products"), 110);
	assert_true(look(1, 110).row.product.set);
}

static void a_complete_read_is_remembered(void **state)
{
	struct found found = { .want = 0 };
	struct ledger_shop shop;

	(void)state;
	if (!world.there)
		skip();
	OK(ledger_read(db, 1, &shop, take, &found, &err));
	assert_false(shop.complete);
	OK(ledger_shop_set(db, 1, RUN, NOW, 42, &err));
	OK(ledger_shop_set(db, 1, RUN, NOW, 43, &err));
	OK(ledger_read(db, 1, &shop, take, &found, &err));
	assert_true(shop.complete);
	assert_int_equal(world_number(db, "SELECT catalogue_skus FROM dbo.temu_shop WHERE shop = 1"), 43);
	OK(ledger_read(db, 2, &shop, take, &found, &err));
	assert_false(shop.complete);
}

static int take_confirmed(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *error)
{
	int64_t *sum = arg;

	(void)error;
	assert_string_equal(request_id, "eu-1");
	*sum += sku_id + value;
	return 0;
}

static void intent_and_judgement(void **state)
{
	const struct ledger_listing rows[] = { listing(110, "A", 5), listing(120, "B", 6), listing(130, "C", 7) };
	struct ledger_push pushes[] = {
		{ .sku_id = 110, .target = 1, .known = maybe_of(5), .code = "", .request_id = "eu-1", .confirmed = true },
		{ .sku_id = 120, .target = 2, .known = maybe_of(6), .code = "TEMU_150013002", .request_id = "eu-2" },
		{ .sku_id = 130, .target = 3, .known = maybe_of(7), .code = "", .request_id = "", .doubt_ms = NOW - 9 },
	};
	struct ledger_push missing[] = { { .sku_id = 999, .target = 1, .code = "", .request_id = "" } };
	struct found found;
	int64_t sum = 0;

	(void)state;
	if (!world.there)
		skip();
	save(1, rows, 3);
	OK(ledger_intend(db, 1, RUN, NOW, pushes, 3, &err));
	found = look(1, 110);
	assert_false(found.row.known.set);
	assert_int_equal(found.row.sent.value, 1);
	assert_int_equal(found.row.sent_ms, NOW);
	assert_int_equal(found.row.sent_from.value, 5);
	assert_int_equal(found.row.doubt_ms, 0);
	assert_int_equal(look(1, 130).row.doubt_ms, NOW - 9);
	OK(ledger_judge(db, 1, NOW, pushes, 2, &err));
	OK(ledger_judge(db, 1, NOW + 7, pushes, 2, &err));
	assert_int_equal(look(1, 120).row.sent_ms, NOW + 7);
	OK(ledger_confirmed(db, 1, RUN, take_confirmed, &sum, &err));
	OK(ledger_confirmed(db, 1, "another run", take_confirmed, &sum, &err));
	assert_int_equal(sum, 110 + 1);
	assert_int_equal(look(1, 110).row.known.value, 1);
	assert_false(look(1, 120).row.known.set);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_ledger WHERE sku_id = 120 AND code = 'TEMU_150013002' "
	                                  "AND request_id = N'eu-2'"),
	                 1);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_ledger WHERE code IS NULL"), 2);
	OK(ledger_restore(db, 1, "another run", &pushes[2], 1, &err));
	assert_false(look(1, 130).row.known.set);
	pushes[2].doubt_ms = 0;
	OK(ledger_restore(db, 1, RUN, &pushes[2], 1, &err));
	found = look(1, 130);
	assert_int_equal(found.row.known.value, 7);
	assert_true(!found.row.sent.set && !found.row.sent_from.set && found.row.sent_ms == 0 && found.row.doubt_ms == 0);
	assert_int_equal(ledger_intend(db, 1, RUN, NOW, missing, 1, &err), -1);
	assert_string_equal(err.code, "LEDGER_ROWS");
}

static void what_is_wanted_and_the_old_systems_report(void **state)
{
	const struct ledger_listing rows[] = { listing(110, "A", 5), listing(120, "B", 6) };
	struct inventory_row inventory[2] = { { .article = maybe_of(77), .wanted = maybe_of(3), .known = maybe_of(5) },
		                              { .article = maybe_of(78), .wanted = maybe_of(6), .known = maybe_of(6) } };
	const struct ledger_wanted wanted[] = { { .sku_id = 110, .wanted = maybe_of(3) }, { .sku_id = 120, .wanted = maybe_of(6) } };
	struct inventory_confirmed confirmed;
	struct found found;

	(void)state;
	if (!world.there)
		skip();
	save(1, rows, 2);
	inventory[0].product = look(1, 110).row.product.value;
	inventory[1].product = look(1, 120).row.product.value;
	for (int twice = 0; twice < 2; twice++) {
		OK(ledger_wanted_set(db, 1, NOW, wanted, 2, &err));
		OK(inventory_save(db, 1, inventory, 2, &err));
	}
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory"), 2);
	found = look(1, 110);
	assert_int_equal(found.row.wanted.value, 3);
	assert_int_equal(found.row.product_article.value, 77);
	assert_false(found.row.article.set || found.row.buffer.set);
	assert_true(found.row.inventory.set && found.row.jtl_stock == 3 && found.row.temu_stock == 5 && found.row.needs_sync);
	assert_false(look(1, 120).row.needs_sync);
	confirmed = (struct inventory_confirmed){ inventory[0].product, 3 };
	OK(inventory_confirm(db, &confirmed, 1, &err));
	found = look(1, 110);
	assert_true(found.row.temu_stock == 3 && !found.row.needs_sync);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory WHERE last_synced_to_temu IS NOT NULL"), 1);
	/* Unknown: the last confirmed value stays, and the row says that there is something to do. */
	inventory[0].known = (struct maybe){ .set = false };
	inventory[1].wanted = (struct maybe){ .set = false };
	inventory[1].article = (struct maybe){ .set = false };
	OK(inventory_save(db, 1, inventory, 2, &err));
	found = look(1, 110);
	assert_true(found.row.temu_stock == 3 && found.row.jtl_stock == 3 && found.row.needs_sync);
	found = look(1, 120);
	assert_true(!found.row.product_article.set && found.row.jtl_stock == 6 && !found.row.needs_sync);
}

static void what_is_not_set_stays(void **state)
{
	const struct ledger_listing rows[] = { listing(110, "A", 5) };
	const struct ledger_wanted first = { .sku_id = 110, .wanted = maybe_of(3), .article = maybe_of(77), .buffer = maybe_of(2) },
	                           article = { .sku_id = 110, .article = maybe_of(78) },
	                           buffer = { .sku_id = 110, .buffer = maybe_of(0) };
	struct found found;

	(void)state;
	if (!world.there)
		skip();
	save(1, rows, 1);
	OK(ledger_wanted_set(db, 1, NOW, &first, 1, &err));
	OK(ledger_wanted_set(db, 1, NOW + 5000, &article, 1, &err));
	found = look(1, 110);
	assert_true(found.row.wanted.value == 3 && found.row.article.value == 78 && found.row.buffer.value == 2);
	OK(ledger_wanted_set(db, 1, NOW, &buffer, 1, &err));
	found = look(1, 110);
	assert_true(found.row.buffer.set && found.row.buffer.value == 0 && found.row.wanted.value == 3);
}

static void rules_and_jtl_of_a_shop(void **state)
{
	struct found found = { .want = 0 };
	struct ledger_shop shop;

	(void)state;
	if (!world.there)
		skip();
	OK(ledger_read(db, 1, &shop, take, &found, &err));
	assert_true(!shop.accepted && shop.rules[0] == '\0' && shop.jtl_version[0] == '\0' && shop.jtl_objects[0] == '\0');
	OK(ledger_jtl_set(db, 1, "1.9.4.0", "dbo.tArtikel.kArtikel int\ndbo.x.y bit", &err));
	OK(ledger_read(db, 1, &shop, take, &found, &err));
	assert_true(!shop.complete && !shop.accepted);
	assert_string_equal(shop.jtl_version, "1.9.4.0");
	assert_string_equal(shop.jtl_objects, "dbo.tArtikel.kArtikel int\ndbo.x.y bit");
	OK(ledger_rules_set(db, 1, "formula=reference", &err));
	OK(ledger_rules_set(db, 1, "formula=jtl\nwarehouses=2", &err));
	OK(ledger_shop_set(db, 1, RUN, NOW, 3, &err));
	OK(ledger_jtl_set(db, 1, "1.9.5.0", "", &err));
	OK(ledger_read(db, 1, &shop, take, &found, &err));
	assert_true(shop.complete && shop.accepted);
	assert_string_equal(shop.rules, "formula=jtl\nwarehouses=2");
	assert_string_equal(shop.jtl_version, "1.9.5.0");
	assert_string_equal(shop.jtl_objects, "");
	OK(ledger_rules_set(db, 2, "formula=capped", &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_shop"), 2);
}

struct shared {
	int64_t count, seen, last_article, last_shop;
};

static void take_shared(void *arg, const struct ledger_shared *row)
{
	struct shared *shared = arg;

	assert_true(row->article > shared->last_article);
	shared->seen++;
	shared->last_article = row->article;
	shared->last_shop = row->other_shop;
}

static struct shared shared_of(int64_t shop)
{
	struct shared shared = { .count = -1 };

	OK(ledger_shared(db, shop, &shared.count, take_shared, &shared, &err));
	return shared;
}

static void articles_shared_between_shops(void **state)
{
	struct ledger_listing rows[15];
	struct ledger_wanted wanted[15];
	struct shared shared;

	(void)state;
	if (!world.there)
		skip();
	assert_int_equal(shared_of(1).count, 0);
	for (int i = 0; i < 15; i++) {
		rows[i] = listing(100 + i, "A", 1);
		wanted[i] = (struct ledger_wanted){ .sku_id = 100 + i, .article = maybe_of(500 + i) };
	}
	wanted[14].article = maybe_of(513); /* two listings of one article */
	save(1, rows, 15);
	save(2, rows, 15);
	OK(ledger_wanted_set(db, 1, NOW, wanted, 15, &err));
	assert_int_equal(shared_of(1).count, 0);
	OK(ledger_wanted_set(db, 2, NOW, wanted, 13, &err));
	shared = shared_of(1);
	assert_int_equal(shared.count, 13);
	assert_int_equal(shared.seen, LEDGER_SHARED_MAX);
	assert_int_equal(shared.last_shop, 2);
	OK(ledger_retire(db, 2, RUN, NOW, (const int64_t[]){ 100, 101, 102, 103, 104 }, 5, &err));
	assert_int_equal(shared_of(1).count, 8);
	assert_int_equal(shared_of(2).seen, 8);
	assert_int_equal(shared_of(3).count, 0);
}

static void a_sku_belongs_to_one_shop(void **state)
{
	const int64_t ids[] = { 101, 102, 103 };
	struct claims claims;
	struct ledger_listing rows[] = { listing(101, "A", 1), listing(102, "B", 1), listing(104, "C", 1) };

	(void)state;
	if (!world.there)
		skip();
	save(2, rows, 3);
	OK(ledger_shop_set(db, 2, RUN, NOW, 3, &err));
	OK(claims_read(db, 2, &claims, &err));
	assert_int_equal(claims.count, 0); /* its own */
	save(1, rows, 2);
	OK(claims_read(db, 1, &claims, &err));
	assert_int_equal(claims.count, 2);
	assert_int_equal(claims.sku_id, 101);
	assert_int_equal(claims.shop, 2);
	OK(claims_read(db, 2, &claims, &err));
	assert_int_equal(claims.count, 0); /* shop 1 has read nothing completely: it is nobody yet */
	OK(ledger_retire(db, 2, RUN, NOW, ids, 1, &err)); /* vanished there */
	OK(claims_read(db, 1, &claims, &err));
	assert_int_equal(claims.count, 1);
	assert_int_equal(claims.sku_id, 102);
}

static void a_hundred_rows_in_one_statement(void **state)
{
	struct ledger_listing *rows = calloc(1000, sizeof(*rows));
	char(*skus)[120] = calloc(1000, sizeof(*skus));

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < 1000; i++) {
		memset(skus[i], 'X', 96);
		snprintf(skus[i] + 96, 24, "%04d", i);
		rows[i] = listing(6010995 * 1000000LL + i, skus[i], i);
	}
	save(1, rows, 1000);
	assert_int_equal(look(1, rows[999].sku_id).count, 1000);
	assert_int_equal(look(1, rows[999].sku_id).row.known.value, 999);
	free(rows);
	free(skus);
}

static int setup(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
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
		cmocka_unit_test_setup(saved_twice_is_saved_once, clean),
		cmocka_unit_test_setup(shops_do_not_mix, clean),
		cmocka_unit_test_setup(a_row_of_the_old_system_is_taken_over, clean),
		cmocka_unit_test_setup(a_complete_read_is_remembered, clean),
		cmocka_unit_test_setup(intent_and_judgement, clean),
		cmocka_unit_test_setup(what_is_wanted_and_the_old_systems_report, clean),
		cmocka_unit_test_setup(what_is_not_set_stays, clean),
		cmocka_unit_test_setup(rules_and_jtl_of_a_shop, clean),
		cmocka_unit_test_setup(articles_shared_between_shops, clean),
		cmocka_unit_test_setup(a_sku_belongs_to_one_shop, clean),
		cmocka_unit_test_setup(a_hundred_rows_in_one_statement, clean),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
