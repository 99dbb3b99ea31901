/* The own schema on a server: fresh, twice, two at once, newer, changed, half there, and over the tables of the old system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "common/log.h"
#include "tests/unit/db/sql_world.h"
#include "worker/db/schema.h"

static struct sql_world world;
static int made;

/* Each test gets an own empty database. */
struct fresh {
	char name[40];
	struct db *db;
};

static struct fresh fresh_database(void)
{
	struct fresh fresh;
	struct db *master = sql_world_open(&world, "master");
	char sql[200];

	snprintf(fresh.name, sizeof(fresh.name), "temu_test_schema_%d", ++made);
	snprintf(sql, sizeof(sql), "IF DB_ID(N'%s') IS NOT NULL DROP DATABASE %s", fresh.name, fresh.name);
	assert_true(world_run_sql(master, sql));
	snprintf(sql, sizeof(sql), "CREATE DATABASE %s", fresh.name);
	assert_true(world_run_sql(master, sql));
	db_close(master);
	fresh.db = sql_world_open(&world, fresh.name);
	assert_non_null(fresh.db);
	return fresh;
}

static void drop_database(struct fresh *fresh)
{
	struct db *master;
	char sql[100];

	db_close(fresh->db);
	master = sql_world_open(&world, "master");
	snprintf(sql, sizeof(sql), "DROP DATABASE %s", fresh->name);
	assert_true(world_run_sql(master, sql));
	db_close(master);
}

static int64_t versions(struct db *db)
{
	return world_number(db, "SELECT COUNT(*) FROM dbo.temu_schema_version");
}

static int64_t additions(struct db *db)
{
	return world_number(db, "SELECT COUNT(*) FROM dbo.temu_schema_addition");
}

static void applied_whole(struct db *db)
{
	assert_int_equal(versions(db), SCHEMA_BASE);
	assert_int_equal(additions(db), (int64_t)schema_own().count - SCHEMA_BASE);
}

static void fresh_then_again(void **state)
{
	struct schema_list list = schema_own();
	struct fresh fresh;
	struct err err = ERR_INIT;
	struct buf plan;
	size_t pending = 99;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	buf_init(&plan, 1 << 20);
	assert_int_equal(schema_check(fresh.db, &list, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "SCHEMA_OLD");
	err_clear(&err);
	assert_int_equal(schema_plan(fresh.db, &list, &plan, &pending, &err), 0);
	assert_int_equal(pending, list.count);
	assert_non_null(strstr(buf_text(&plan), "CREATE TABLE dbo.temu_ledger"));
	assert_int_equal(world_number(fresh.db, "SELECT ISNULL(OBJECT_ID(N'dbo.temu_ledger'), 0)"), 0);
	if (schema_apply(fresh.db, &list, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(schema_check(fresh.db, &list, &err), 0);
	applied_whole(fresh.db);
	assert_int_equal(schema_apply(fresh.db, &list, &err), 0);
	applied_whole(fresh.db);
	buf_clear(&plan);
	assert_int_equal(schema_plan(fresh.db, &list, &plan, &pending, &err), 0);
	assert_int_equal(pending, 0);
	assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 1"), 0);
	buf_release(&plan);
	drop_database(&fresh);
}

static void a_newer_base_is_refused_with_both_versions(void **state)
{
	struct schema_list list = schema_own(), older = { list.files, SCHEMA_BASE - 1 };
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &list, &err), 0);
	assert_int_equal(schema_apply(fresh.db, &older, &err), -1);
	assert_string_equal(err.code, "SCHEMA_NEWER");
	assert_non_null(strstr(err.text, "version 3"));
	assert_non_null(strstr(err.text, "knows 2"));
	err_clear(&err);
	assert_int_equal(schema_check(fresh.db, &older, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	drop_database(&fresh);
}

static const struct schema_file two_releases[] = {
	{ 1, "a", "CREATE TABLE dbo.a (x int NOT NULL)\nGO\n" },
	{ 2, "b", "CREATE TABLE dbo.b (x int NOT NULL)\nGO\n" },
	{ 3, "c", "CREATE TABLE dbo.c (x int NOT NULL)\nGO\n" },
	{ 4, "more", "ALTER TABLE dbo.a ADD y int NULL\nGO\n" },
	{ 5, "still_more", "CREATE TABLE dbo.d (x int NOT NULL)\nGO\n" },
};

static int lines;

static void count_line(const struct log_line *line, void *arg)
{
	(void)arg;
	lines += strstr(line->text, "005_still_more") != NULL;
}

static void additions_of_a_newer_release_are_not_in_the_way(void **state)
{
	struct schema_list newer = { two_releases, 5 }, this = { two_releases, 4 }, before = { two_releases, 3 };
	struct fresh fresh;
	struct err err = ERR_INIT;
	struct buf plan;
	size_t pending;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	buf_init(&plan, 1 << 16);
	assert_int_equal(schema_apply(fresh.db, &before, &err), 0);
	assert_int_equal(schema_check(fresh.db, &before, &err), 0);
	assert_int_equal(schema_check(fresh.db, &this, &err), -1);
	assert_string_equal(err.code, "SCHEMA_OLD");
	assert_int_equal(err.class, ERR_HOLD);
	assert_non_null(strstr(err.text, "004_more"));
	err_clear(&err);
	assert_int_equal(schema_apply(fresh.db, &newer, &err), 0);
	assert_int_equal(versions(fresh.db), 3);
	assert_int_equal(additions(fresh.db), 2);
	log_sink_set(count_line, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(schema_check(fresh.db, &this, &err), 0);
	assert_int_equal(schema_check(fresh.db, &before, &err), 0);
	log_sink_set(NULL, NULL);
	assert_int_equal(lines, 1);
	assert_int_equal(schema_apply(fresh.db, &before, &err), 0);
	assert_int_equal(schema_plan(fresh.db, &this, &plan, &pending, &err), 0);
	assert_int_equal(pending, 0);
	assert_non_null(strstr(buf_text(&plan), "005_still_more; they stay"));
	buf_release(&plan);
	drop_database(&fresh);
}

/* A newer release that was never complete here: what is missing comes in its turn. */
static void a_missing_addition_is_applied_beside_a_later_one(void **state)
{
	struct schema_list newer = { two_releases, 5 };
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &newer, &err), 0);
	assert_true(world_run_sql(fresh.db, "DELETE FROM dbo.temu_schema_addition WHERE version = 4"));
	assert_true(world_run_sql(fresh.db, "ALTER TABLE dbo.a DROP COLUMN y"));
	assert_int_equal(schema_check(fresh.db, &newer, &err), -1);
	assert_string_equal(err.code, "SCHEMA_OLD");
	err_clear(&err);
	assert_int_equal(schema_apply(fresh.db, &newer, &err), 0);
	assert_int_equal(additions(fresh.db), 2);
	assert_int_equal(world_number(fresh.db, "SELECT ISNULL(COL_LENGTH(N'dbo.a', N'y'), 0)"), 4);
	drop_database(&fresh);
}

static void a_changed_addition(void **state)
{
	struct schema_file files[5];
	struct schema_list newer = { two_releases, 5 }, changed = { files, 5 };
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	memcpy(files, two_releases, sizeof(files));
	files[3].sql = "ALTER TABLE dbo.a ADD y bigint NULL\nGO\n";
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &newer, &err), 0);
	assert_int_equal(schema_check(fresh.db, &changed, &err), -1);
	assert_string_equal(err.code, "SCHEMA_CHANGED");
	assert_int_equal(err.class, ERR_HOLD);
	err_clear(&err);
	assert_int_equal(schema_apply(fresh.db, &changed, &err), -1);
	assert_string_equal(err.code, "SCHEMA_CHANGED");
	assert_int_equal(err.class, ERR_PERM);
	drop_database(&fresh);
}

/* An addition over a database where a part of it is there already. */
static void a_half_changed_database(void **state)
{
	static const char *const half[] = {
		"ALTER TABLE dbo.temu_shop ADD jtl_version nvarchar(255) NULL",
		"ALTER TABLE dbo.temu_ledger ADD article int NULL",
		"CREATE INDEX idx_temu_ledger_article ON dbo.temu_ledger (article, shop)",
	};
	struct schema_list list = schema_own(), base = { list.files, SCHEMA_BASE };
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &base, &err), 0);
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]); i++)
		assert_true(world_run_sql(fresh.db, half[i]));
	for (int again = 0; again < 2; again++) {
		if (schema_apply(fresh.db, &list, &err) != 0)
			fail_msg("%s", err.text);
		applied_whole(fresh.db);
		assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM (SELECT rules, jtl_version, jtl_objects FROM "
		                                        "dbo.temu_shop) s"),
		                 0);
		assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM (SELECT article, buffer FROM dbo.temu_ledger) l"),
		                 0);
		assert_true(world_run_sql(fresh.db, "DELETE FROM dbo.temu_schema_addition"));
	}
	drop_database(&fresh);
}

static void a_changed_file_and_a_broken_one(void **state)
{
	const struct schema_file good[] = {
		{ 1, "a", "CREATE TABLE dbo.a (x int NOT NULL)\nGO\n" },
		{ 2, "b", "CREATE TABLE dbo.b (x int NOT NULL)\ngo \nINSERT INTO dbo.nowhere VALUES (1)\nGO\n" }
	};
	const struct schema_file changed[] = { { 1, "a", "CREATE TABLE dbo.a (x bigint NOT NULL)\nGO\n" } };
	struct schema_list first = { good, 1 }, both = { good, 2 }, other = { changed, 1 };
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &first, &err), 0);
	assert_int_equal(schema_apply(fresh.db, &both, &err), -1);
	assert_int_equal(err.number, 208);
	assert_non_null(strstr(err.text, "002_b, batch 2"));
	assert_int_equal(versions(fresh.db), 1);
	assert_int_equal(world_number(fresh.db, "SELECT ISNULL(OBJECT_ID(N'dbo.b'), 0)"), 0);
	err_clear(&err);
	assert_int_equal(schema_apply(fresh.db, &other, &err), -1);
	assert_string_equal(err.code, "SCHEMA_CHANGED");
	drop_database(&fresh);
}

static void *migrate(void *arg)
{
	struct fresh *fresh = arg;
	struct schema_list list = schema_own();
	struct db *db = sql_world_open(&world, fresh->name);
	struct err err = ERR_INIT;
	int rc = db ? schema_apply(db, &list, &err) : -1;

	if (rc != 0)
		fprintf(stderr, "%s: %s\n", err.code, err.text);
	db_close(db);
	return rc == 0 ? NULL : fresh;
}

static void two_at_once(void **state)
{
	struct fresh fresh;
	pthread_t threads[3];

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, migrate, &fresh), 0);
	for (int i = 0; i < 3; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	applied_whole(fresh.db);
	drop_database(&fresh);
}

static void over_the_old_system(void **state)
{
	static const char *const old[] = {
		"CREATE TABLE dbo.temu_products (id int IDENTITY(1,1) NOT NULL PRIMARY KEY, sku nvarchar(100) NOT NULL UNIQUE, "
		"goods_id bigint NOT NULL, sku_id bigint NULL, goods_name nvarchar(500) NULL, jtl_article_id int NULL, is_active "
		"bit NULL DEFAULT 1, "
		"synced_at datetime NULL, created_at datetime NULL DEFAULT GETDATE(), updated_at datetime NULL DEFAULT "
		"GETDATE())",
		"CREATE TABLE dbo.temu_inventory (id int IDENTITY(1,1) NOT NULL PRIMARY KEY, product_id int NOT NULL FOREIGN KEY "
		"REFERENCES "
		"dbo.temu_products (id) ON DELETE CASCADE, jtl_article_id int NULL, jtl_stock int NOT NULL DEFAULT 0, temu_stock "
		"int NOT NULL DEFAULT "
		"0, needs_sync bit NOT NULL DEFAULT 0, last_synced_to_temu datetime NULL, created_at datetime NULL DEFAULT "
		"GETDATE(), "
		"updated_at datetime NULL DEFAULT GETDATE())",
		"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'A', 1, 11), (N'B', 1, NULL)",
		"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock) VALUES (1, 5, 5)",
	};
	struct schema_list list = schema_own();
	struct fresh fresh;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		assert_true(world_run_sql(fresh.db, old[i]));
	if (schema_apply(fresh.db, &list, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 1"), 2);
	assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM dbo.temu_inventory WHERE shop = 1 AND temu_stock = 5"), 1);
	assert_true(
	    world_run_sql(fresh.db, "INSERT INTO dbo.temu_products (shop, sku, goods_id, sku_id) VALUES (2, N'A', 7, 12)"));
	/* The old system's statements, its MERGE as update-then-insert. */
	assert_true(world_run_sql(
	    fresh.db, "UPDATE dbo.temu_products SET goods_id = 3, is_active = 1, updated_at = GETDATE() WHERE sku = N'B'"));
	assert_true(world_run_sql(
	    fresh.db, "INSERT INTO dbo.temu_products (sku, goods_id, sku_id, goods_name) VALUES (N'C', 1, 13, N'c')"));
	assert_true(world_run_sql(
	    fresh.db, "INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync) "
		      "VALUES (2, 4, 1, 1, 0)"));
	assert_int_equal(world_number(fresh.db, "SELECT shop FROM dbo.temu_products WHERE sku = N'C'"), 1);
	drop_database(&fresh);
}

static int setup(void **state)
{
	(void)state;
	return sql_world_start(&world, 1, "Latin1_General_CI_AS", NULL);
}

static int teardown(void **state)
{
	(void)state;
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_then_again),
		cmocka_unit_test(a_newer_base_is_refused_with_both_versions),
		cmocka_unit_test(additions_of_a_newer_release_are_not_in_the_way),
		cmocka_unit_test(a_missing_addition_is_applied_beside_a_later_one),
		cmocka_unit_test(a_changed_addition),
		cmocka_unit_test(a_half_changed_database),
		cmocka_unit_test(a_changed_file_and_a_broken_one),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(over_the_old_system),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
