/* Whether the system before is still at work, by its log table: rows of theirs and of ours, old ones and ones ahead of time, no table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/old_system.h"
#include "worker/db/schema.h"

#define QUIET 1200

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;

/* A row whose time is that many seconds from now by the server's clock. */
static void row_by(const char *clock, const char *job_id, const char *level, int64_t seconds)
{
	char sql[500];

	snprintf(sql, sizeof(sql),
	         "INSERT INTO dbo.scheduler_logs (job_id, job_type, level, message, [timestamp])\n"
	         "SELECT '%s', 'sync_inventory', '%s', N'x', DATEADD(second, %d, %s())",
	         job_id, level, (int)seconds, clock);
	assert_true(world_run_sql(db, sql));
}

static void row(const char *job_id, const char *level, int64_t seconds)
{
	row_by("SYSDATETIME", job_id, level, seconds);
}

static bool silent(void)
{
	int rc;

	err_clear(&err);
	rc = old_system_check(db, QUIET, &err);
	if (rc != 0) {
		assert_string_equal(err.code, "OLD_SYSTEM");
		assert_int_equal(err.class, ERR_HOLD);
	}
	return rc == 0;
}

static int clean(void **state)
{
	(void)state;
	return !world.there || world_run_sql(db, "DELETE FROM dbo.scheduler_logs") ? 0 : -1;
}

static void an_empty_table_is_silent(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	assert_true(silent());
}

static void a_fresh_row_of_theirs_holds(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	row("temu_orders_1764000000", "INFO", -90);
	row("temu_inventory_1764000300", "WARNING", -30);
	row("temu_orders_1764000100", "DEBUG", -60);
	assert_false(silent());
	assert_non_null(strstr(err.text, "temu_inventory_1764000300"));
	assert_non_null(strstr(err.text, "WARNING"));
	assert_non_null(strstr(err.text, "Stop it"));
	assert_non_null(strstr(err.text, "1200 s"));
}

static void what_was_written_long_ago_does_not_count(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	row("temu_inventory_1764000300", "INFO", -QUIET - 5);
	row("sync_orders_1764000300", "ERROR", -86400);
	assert_true(silent());
	row("SYSTEM_ERROR", "ERROR", -QUIET + 60);
	assert_false(silent());
	assert_non_null(strstr(err.text, "SYSTEM_ERROR"));
}

static void a_clock_ahead_counts_for_a_day(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	row("temu_inventory_1764000300", "INFO", 2 * 86400); /* nonsense: would hold for ever */
	assert_true(silent());
	row("temu_inventory_1764000600", "INFO", 2 * 3600);
	assert_false(silent());
	assert_non_null(strstr(err.text, "1764000600"));
}

/* The stand-in is an hour ahead of UTC here. */
static void a_container_that_writes_utc_is_seen(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	row_by("SYSUTCDATETIME", "temu_inventory_1764000300", "INFO", -QUIET - 5);
	assert_true(silent());
	row_by("SYSUTCDATETIME", "temu_inventory_1764000600", "INFO", -30);
	assert_false(silent());
	assert_non_null(strstr(err.text, "1764000600"));
}

static bool read_counts(int64_t shop)
{
	int rc;

	err_clear(&err);
	rc = old_system_check_read(db, shop, QUIET, &err);
	if (rc != 0) {
		assert_string_equal(err.code, "QUICK_NEEDS_FULL");
		assert_int_equal(err.class, ERR_PERM);
	}
	return rc == 0;
}

static void what_was_read_before_it_worked_does_not_count(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	assert_true(world_run_sql(db, "DELETE FROM dbo.temu_shop\n"
	                              "INSERT INTO dbo.temu_shop (shop, catalogue_at) VALUES (1, DATEADD(hour, -6, SYSUTCDATETIME()))\n"
	                              "INSERT INTO dbo.temu_shop (shop, catalogue_at) VALUES (2, SYSUTCDATETIME())"));
	row("temu_inventory_1764000300", "INFO", -7 * 3600 - QUIET - 60); /* an hour more: it might be UTC */
	row("temu_inventory_sync.1.000000000042", "INFO", -5 * 3600);
	assert_true(read_counts(1));
	row("temu_inventory_1764000600", "INFO", -6 * 3600 - QUIET + 60); /* before the read, and may have been at work in it */
	assert_false(read_counts(1));
	assert_non_null(strstr(err.text, "1764000600"));
	row("temu_inventory_1764000900", "INFO", -3 * 3600);
	assert_false(read_counts(1));
	assert_non_null(strstr(err.text, "1764000900"));
	assert_true(read_counts(2));
	assert_true(read_counts(3)); /* never read: another check's business */
	assert_true(world_run_sql(db, "DELETE FROM dbo.scheduler_logs"));
	row_by("SYSUTCDATETIME", "temu_inventory_1764000300", "INFO", -6 * 3600 + 60);
	assert_false(read_counts(1));
}

static void our_own_lines_do_not_count(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	row("temu_inventory_sync.1.000000000042", "INFO", -1);
	row("temu_orders_sync.1000000.999999999999", "ERROR", -1);
	row(OLD_SYSTEM_OURS, "ERROR", -1);
	assert_true(silent());
	row(OLD_SYSTEM_OURS "_1764000300", "INFO", -2);
	assert_false(silent());
	assert_true(world_run_sql(db, "DELETE FROM dbo.scheduler_logs"));
	row("temu_inventory_1764000300.25", "INFO", -2); /* seconds with a fraction */
	assert_false(silent());
	assert_non_null(strstr(err.text, "temu_inventory_1764000300.25"));
	assert_true(world_run_sql(db, "DELETE FROM dbo.scheduler_logs"));
	row("temu_inventory_000000000042", "INFO", -2);
	assert_false(silent());
}

static void a_job_name_of_full_length_is_cut(void **state)
{
	char job[256];

	(void)state;
	if (!world.there)
		skip();
	memset(job, 'j', 255);
	job[255] = '\0';
	row(job, "INFO", -1);
	assert_false(silent());
	job[101] = '\0';
	assert_null(strstr(err.text, job));
	assert_non_null(strstr(err.text, "by itself"));
}

static void without_the_table_nobody_was_here(void **state)
{
	struct db *master;

	(void)state;
	if (!world.there)
		skip();
	master = sql_world_open(&world, "master");
	assert_non_null(master);
	err_clear(&err);
	if (old_system_check(master, QUIET, &err) != 0)
		fail_msg("%s: %s", err.code, err.text);
	db_close(master);
}

static bool at_once(void *arg)
{
	(void)arg;
	return true;
}

static void an_error_is_not_silence(void **state)
{
	struct db_limit limit = { .cancelled = at_once };

	(void)state;
	if (!world.there)
		skip();
	db_limit_set(db, &limit);
	err_clear(&err);
	assert_int_equal(old_system_check(db, QUIET, &err), -1);
	assert_string_equal(err.code, "SQL_CANCELLED");
	db_limit_set(db, NULL);
}

static int start(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	setenv("TZ", "CET-1", 1);
	if (sql_world_start(&world, 1, "Latin1_General_CI_AS", NULL) != 0)
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	return db && schema_apply(db, &list, &err) == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	db_close(db);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_empty_table_is_silent, clean),
		cmocka_unit_test_teardown(a_fresh_row_of_theirs_holds, clean),
		cmocka_unit_test_teardown(what_was_written_long_ago_does_not_count, clean),
		cmocka_unit_test_teardown(a_clock_ahead_counts_for_a_day, clean),
		cmocka_unit_test_teardown(a_container_that_writes_utc_is_seen, clean),
		cmocka_unit_test_teardown(what_was_read_before_it_worked_does_not_count, clean),
		cmocka_unit_test_teardown(our_own_lines_do_not_count, clean),
		cmocka_unit_test_teardown(a_job_name_of_full_length_is_cut, clean),
		cmocka_unit_test_teardown(without_the_table_nobody_was_here, clean),
		cmocka_unit_test_teardown(an_error_is_not_silence, clean),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
