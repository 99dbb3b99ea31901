/* The own schema on a server: fresh, twice, two at once, newer, changed, and over the tables of the old system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
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
	assert_int_equal(versions(fresh.db), (int64_t)list.count);
	assert_int_equal(schema_apply(fresh.db, &list, &err), 0);
	assert_int_equal(versions(fresh.db), (int64_t)list.count);
	buf_clear(&plan);
	assert_int_equal(schema_plan(fresh.db, &list, &plan, &pending, &err), 0);
	assert_int_equal(pending, 0);
	assert_int_equal(world_number(fresh.db, "SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 1"), 0);
	buf_release(&plan);
	drop_database(&fresh);
}

static void a_newer_schema_is_refused_with_both_versions(void **state)
{
	struct schema_list list = schema_own(), older = { list.files, list.count - 1 };
	struct fresh fresh;
	struct err err = ERR_INIT;
	char text[40];

	(void)state;
	if (!world.there)
		skip();
	fresh = fresh_database();
	assert_int_equal(schema_apply(fresh.db, &list, &err), 0);
	assert_int_equal(schema_apply(fresh.db, &older, &err), -1);
	assert_string_equal(err.code, "SCHEMA_NEWER");
	snprintf(text, sizeof(text), "version %d", list.files[list.count - 1].version);
	assert_non_null(strstr(err.text, text));
	snprintf(text, sizeof(text), "knows %d", older.files[older.count - 1].version);
	assert_non_null(strstr(err.text, text));
	err_clear(&err);
	assert_int_equal(schema_check(fresh.db, &older, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
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
	struct schema_list list = schema_own();
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
	assert_int_equal(versions(fresh.db), (int64_t)list.count);
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
		cmocka_unit_test(a_newer_schema_is_refused_with_both_versions),
		cmocka_unit_test(a_changed_file_and_a_broken_one),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(over_the_old_system),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
