/* Lines and their mark: what arrives in which column, and that each line arrives once whatever breaks between insert and COMMIT and whoever
 * else writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/log_mirror.h"
#include "worker/db/schema.h"

#define A "0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210"
#define NOON 1764072000000 /* 2025-11-25T12:00:00Z */

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)
#define FAILS(call, wanted_code)                            \
	do {                                                \
		err_clear(&err);                            \
		assert_int_equal(call, -1);                 \
		assert_string_equal(err.code, wanted_code); \
	} while (0)
#define NEEDS_SERVER        \
	do {                \
		(void)state; \
		if (!world.there) \
			skip(); \
	} while (0)
#define NEEDS_FAULTS                            \
	do {                                    \
		NEEDS_SERVER;                   \
		if (world.external)             \
			skip();                 \
	} while (0)

static int64_t number(const char *sql)
{
	return world_number(db, sql);
}

static int64_t lines(void)
{
	return number("SELECT COUNT(*) FROM dbo.scheduler_logs");
}

struct texts {
	char text[12][1000];
	int rows;
};

static int take_texts(void *arg, const struct db_row *row, struct err *error)
{
	struct texts *texts = arg;

	(void)error;
	for (int i = 0; i < db_row_columns(row); i++)
		snprintf(texts->text[i], sizeof(texts->text[i]), "%s", db_row_null(row, i) ? "(null)" : db_row_text(row, i, NULL));
	texts->rows++;
	return 0;
}

/* The only row of a query, as texts. */
static struct texts only(const char *sql)
{
	struct texts texts = { .rows = 0 };

	OK(db_query(db, &(struct db_statement){ .sql = sql, .row = take_texts, .arg = &texts }, NULL, &err));
	assert_int_equal(texts.rows, 1);
	return texts;
}

static struct log_row line(int64_t seq, const char *message)
{
	return (struct log_row){ .seq = seq, .time_ms = NOON + seq, .job_id = "temu_inventory_sync.1.000000000007", .job_type = "temu_inventory_sync",
		                 .level = "INFO", .message = message, .duration_ms = -1 };
}

/* Lines from + 1 to `to`, each with its number as text. */
static void fill(struct log_batch *batch, int64_t from, int64_t to)
{
	char text[80];

	log_batch_clear(batch, from);
	for (int64_t seq = from + 1; seq <= to; seq++) {
		struct log_row row = line(seq, text);

		snprintf(text, sizeof(text), "%s line %d", batch->journal, (int)seq);
		log_batch_add(batch, &row);
	}
}

static int submit(struct log_batch *batch, struct db *over)
{
	err_clear(&err);
	return db_transaction(over, NULL, log_mirror_write, batch, &err);
}

static int64_t mark(const char *journal)
{
	int64_t value = -1;

	OK(log_mirror_mark(db, journal, &value, &err));
	return value;
}

static int clean_up(void **state)
{
	(void)state;
	if (!world.there)
		return 0;
	return world_run_sql(db, "DELETE FROM dbo.scheduler_logs DELETE FROM dbo.temu_log_mark") ? 0 : -1;
}

/* --- what arrives --- */

static void a_new_journal_begins_at_zero(void **state)
{
	NEEDS_SERVER;
	assert_int_equal(mark(A), 0);
	assert_int_equal(mark(A), 0);
	assert_int_equal(mark(B), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.temu_log_mark"), 2);
}

static void every_column_is_filled(void **state)
{
	struct log_batch batch;
	struct log_row row = line(41, "Gr\xC3\xBC\xC3\x9F" "e \"\\' \xF0\x9F\x98\x80 [x]");
	struct texts got;

	NEEDS_SERVER;
	log_batch_init(&batch, A);
	log_batch_clear(&batch, 0);
	log_batch_add(&batch, &row);
	row = line(42, "failed: duration 12.345 s");
	row.level = "ERROR";
	row.status = "FAILED";
	row.error = "SQL_208: no such table";
	row.duration_ms = 12345;
	log_batch_add(&batch, &row);
	assert_int_equal(mark(A), 0);
	OK(submit(&batch, db));
	assert_int_equal(mark(A), 42);
	got = only("SELECT job_id, job_type, level, message, CONVERT(varchar(33), [timestamp], 126), duration_seconds, status, error_text\n"
	           "FROM dbo.scheduler_logs WHERE level = 'INFO'");
	assert_string_equal(got.text[0], "temu_inventory_sync.1.000000000007");
	assert_string_equal(got.text[1], "temu_inventory_sync");
	assert_string_equal(got.text[3], "Gr\xC3\xBC\xC3\x9F" "e \"\\' \xF0\x9F\x98\x80 [x]");
	for (int i = 5; i < 8; i++)
		assert_string_equal(got.text[i], "(null)");
	got = only("SELECT message, CONVERT(varchar(20), CONVERT(decimal(10,3), duration_seconds)), status, error_text\n"
	           "FROM dbo.scheduler_logs WHERE level = 'ERROR'");
	assert_string_equal(got.text[0], "failed: duration 12.345 s");
	assert_string_equal(got.text[1], "12.345");
	assert_string_equal(got.text[2], "FAILED");
	assert_string_equal(got.text[3], "SQL_208: no such table");
	log_batch_release(&batch);
}

static void what_is_too_long_is_cut_at_a_character(void **state)
{
	char job[601], type[200], *message = malloc(200001);
	struct log_batch batch;
	struct log_row row = line(1, message);
	struct texts got;

	NEEDS_SERVER;
	for (int i = 0; i < 300; i++)
		memcpy(job + 2 * i, "\xC3\xA4", 2);
	job[600] = '\0';
	memset(type, 'y', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';
	memset(message, 'm', 200000);
	message[200000] = '\0';
	memcpy(message + 199998, "\xE2\x82", 2); /* an error text that was cut in the middle of a character */
	row.job_id = job;
	row.job_type = type;
	row.error = "\xFF";
	log_batch_init(&batch, A);
	log_batch_clear(&batch, 0);
	log_batch_add(&batch, &row);
	assert_int_equal(mark(A), 0);
	OK(submit(&batch, db));
	got = only("SELECT LEN(job_id), LEN(job_type), LEN(message), RIGHT(message, 3), error_text, RIGHT(job_id, 1) FROM dbo.scheduler_logs");
	assert_string_equal(got.text[0], "127");
	assert_string_equal(got.text[1], "100");
	assert_string_equal(got.text[2], "200000");
	assert_string_equal(got.text[3], "m??");
	assert_string_equal(got.text[4], "?");
	assert_string_equal(got.text[5], "\xC3\xA4");
	log_batch_release(&batch);
	free(message);
}

static void lines_are_numbered_in_the_order_of_the_journal(void **state)
{
	struct log_batch batch;

	NEEDS_SERVER;
	log_batch_init(&batch, A);
	for (int64_t from = mark(A); from < 1000; from += LOG_MIRROR_BATCH) {
		fill(&batch, from, from + LOG_MIRROR_BATCH);
		OK(submit(&batch, db));
	}
	assert_int_equal(lines(), 1000);
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs a JOIN dbo.scheduler_logs b ON b.log_id = a.log_id + 1\n"
	                        "WHERE b.[timestamp] > a.[timestamp]"), 999);
	log_batch_release(&batch);
}

/* --- times; the stand-in's server stands an hour east of UTC --- */

static void time_is(int64_t time_ms, bool zoned, int zone_now, int zone_then, const char *wanted)
{
	struct log_batch batch;
	struct log_row row = line(mark(A) + 1, "x");

	row.time_ms = time_ms;
	row.zone_min = zone_then;
	log_batch_init(&batch, A);
	log_batch_clear(&batch, mark(A));
	batch.zoned = zoned;
	batch.zone_now_min = zone_now;
	log_batch_add(&batch, &row);
	OK(submit(&batch, db));
	assert_string_equal(only("SELECT TOP (1) CONVERT(varchar(23), [timestamp], 126) FROM dbo.scheduler_logs ORDER BY log_id DESC").text[0],
	                    wanted);
	log_batch_release(&batch);
}

static void times_are_the_servers_local_ones(void **state)
{
	NEEDS_FAULTS;
	time_is(NOON + 123, false, 0, 0, "2025-11-25T13:00:00.123");
	time_is(NOON, true, 60, 60, "2025-11-25T13:00:00.000");
	time_is(NOON - 120LL * 86400000, true, 60, 120, "2025-07-28T14:00:00.000"); /* a summer's line, sent in winter */
	time_is(NOON - 120LL * 86400000, true, 120, 120, "2025-07-28T13:00:00.000"); /* the server is somewhere else */
	time_is(NOON - 120LL * 86400000, false, 60, 120, "2025-07-28T13:00:00.000");
}

/* --- once --- */

static void a_batch_that_comes_again_changes_nothing(void **state)
{
	struct log_batch batch;

	NEEDS_SERVER;
	log_batch_init(&batch, A);
	assert_int_equal(mark(A), 0);
	fill(&batch, 0, 10);
	OK(submit(&batch, db));
	fill(&batch, 0, 10);
	FAILS(submit(&batch, db), "LOG_MARK_MOVED");
	assert_int_equal(err.class, ERR_TEMP);
	fill(&batch, 5, 20);
	FAILS(submit(&batch, db), "LOG_MARK_MOVED");
	assert_int_equal(lines(), 10);
	assert_int_equal(mark(A), 10);
	fill(&batch, 10, 20);
	OK(submit(&batch, db));
	assert_int_equal(lines(), 20);
	log_batch_release(&batch);
}

static void journals_have_marks_of_their_own(void **state)
{
	struct log_batch a, b;

	NEEDS_SERVER;
	log_batch_init(&a, A);
	log_batch_init(&b, B);
	assert_int_equal(mark(A), 0);
	fill(&b, 0, 5);
	FAILS(submit(&b, db), "LOG_MARK_MOVED"); /* it has no row */
	assert_int_equal(mark(B), 0);
	fill(&a, 0, 10);
	fill(&b, 0, 5);
	OK(submit(&a, db));
	OK(submit(&b, db));
	assert_int_equal(mark(A), 10);
	assert_int_equal(mark(B), 5);
	assert_int_equal(lines(), 15);
	log_batch_release(&a);
	log_batch_release(&b);
}

/* What a writer does: reads the mark, sends what follows, whatever came of the last time; `to` lines in all. */
static int64_t copy_all(const char *journal, int64_t to)
{
	struct log_batch batch;
	struct err inner = ERR_INIT;
	int64_t at = -1, failures = 0;
	struct db *own = NULL;

	log_batch_init(&batch, journal);
	while (at < to) {
		int rc;

		err_clear(&inner);
		if (!own)
			own = sql_world_open(&world, world.own);
		rc = own ? log_mirror_mark(own, journal, &at, &inner) : -1;
		if (rc == 0 && at < to) {
			int64_t next = at + LOG_MIRROR_BATCH < to ? at + LOG_MIRROR_BATCH : to;

			fill(&batch, at, next);
			rc = db_transaction(own, NULL, log_mirror_write, &batch, &inner);
		}
		failures += rc != 0;
		if (rc != 0 && own && db_doubtful(own)) {
			db_close(own);
			own = NULL;
		}
	}
	db_close(own);
	log_batch_release(&batch);
	return failures;
}

static void expect_each_once(const char *journal, int64_t count)
{
	char sql[300];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM dbo.scheduler_logs WHERE message LIKE '%s line %%'", journal);
	assert_int_equal(number(sql), count);
	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM (SELECT DISTINCT message FROM dbo.scheduler_logs WHERE message LIKE '%s line %%') x",
	         journal);
	assert_int_equal(number(sql), count);
}

static void nothing_breaks_it(void **state)
{
	static const char *const faults[] = {
		"cut-before match=\"COMMIT TRANSACTION\"", "cut-after match=\"COMMIT TRANSACTION\"", "cut-before match=scheduler_logs",
		"cut-after match=scheduler_logs",          "error 1205 13 match=scheduler_logs",     "error 1222 16 match=temu_log_mark",
		"severe match=scheduler_logs",             "error 8134 16 match=scheduler_logs",     "garbage match=\"COMMIT TRANSACTION\"",
		"cut-before match=temu_log_mark",          "cut-after match=\"BEGIN TRANSACTION\"",
	};

	NEEDS_FAULTS;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char order[200];

		snprintf(order, sizeof(order), "%s skip=2", faults[i]);
		assert_true(sql_world_order(&world, order));
		if (copy_all(A, 1000) != 1)
			fail_msg("%s was not met once", faults[i]);
		expect_each_once(A, 1000);
		assert_true(sql_world_order(&world, "clear"));
		assert_int_equal(clean_up(NULL), 0);
	}
}

/* The answer to COMMIT is lost: nobody knows, and the mark tells. */
static void a_lost_commit_is_read_back(void **state)
{
	struct log_batch batch;
	struct db *other;

	NEEDS_FAULTS;
	log_batch_init(&batch, A);
	assert_int_equal(mark(A), 0);
	other = sql_world_open(&world, world.own);
	assert_true(sql_world_order(&world, "cut-after match=\"COMMIT TRANSACTION\""));
	fill(&batch, 0, 100);
	FAILS(submit(&batch, other), "SQL_COMMIT_UNKNOWN");
	db_close(other);
	assert_int_equal(mark(A), 100);
	assert_int_equal(lines(), 100);
	other = sql_world_open(&world, world.own);
	assert_true(sql_world_order(&world, "cut-before match=\"COMMIT TRANSACTION\""));
	fill(&batch, 100, 200);
	FAILS(submit(&batch, other), "SQL_COMMIT_UNKNOWN");
	db_close(other);
	assert_int_equal(mark(A), 100);
	assert_int_equal(lines(), 100);
	log_batch_release(&batch);
}

static void *copy_thread(void *journal)
{
	copy_all(journal, 2000);
	return NULL;
}

static void copy_at_once(const char *first, const char *second)
{
	pthread_t one, two;

	assert_int_equal(pthread_create(&one, NULL, copy_thread, (void *)(uintptr_t)first), 0);
	assert_int_equal(pthread_create(&two, NULL, copy_thread, (void *)(uintptr_t)second), 0);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
}

static void two_installations_at_once(void **state)
{
	NEEDS_SERVER;
	copy_at_once(A, B);
	expect_each_once(A, 2000);
	expect_each_once(B, 2000);
}

static void two_copies_of_one_journal_at_once(void **state)
{
	NEEDS_SERVER;
	copy_at_once(A, A);
	expect_each_once(A, 2000);
}

/* --- what cannot be sent --- */

static void without_the_tables_nothing_is_written(void **state)
{
	struct log_batch batch;
	int64_t value;

	NEEDS_SERVER;
	struct db *master = sql_world_open(&world, "master");
	FAILS(log_mirror_mark(master, A, &value, &err), "SQL_208");
	log_batch_init(&batch, A);
	fill(&batch, 0, 1);
	FAILS(submit(&batch, master), "SQL_208");
	db_close(master);
	log_batch_release(&batch);
}

static bool at_once(void *arg)
{
	(void)arg;
	return true;
}

static void a_cancel_leaves_nothing(void **state)
{
	struct db_limit limit = { .cancelled = at_once };
	struct log_batch batch;

	NEEDS_SERVER;
	assert_int_equal(mark(A), 0);
	log_batch_init(&batch, A);
	fill(&batch, 0, 100);
	db_limit_set(db, &limit);
	FAILS(submit(&batch, db), "SQL_CANCELLED");
	db_limit_set(db, NULL);
	assert_int_equal(lines(), 0);
	assert_int_equal(mark(A), 0);
	log_batch_release(&batch);
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
		cmocka_unit_test_teardown(a_new_journal_begins_at_zero, clean_up),
		cmocka_unit_test_teardown(every_column_is_filled, clean_up),
		cmocka_unit_test_teardown(what_is_too_long_is_cut_at_a_character, clean_up),
		cmocka_unit_test_teardown(lines_are_numbered_in_the_order_of_the_journal, clean_up),
		cmocka_unit_test_teardown(times_are_the_servers_local_ones, clean_up),
		cmocka_unit_test_teardown(a_batch_that_comes_again_changes_nothing, clean_up),
		cmocka_unit_test_teardown(journals_have_marks_of_their_own, clean_up),
		cmocka_unit_test_teardown(nothing_breaks_it, clean_up),
		cmocka_unit_test_teardown(a_lost_commit_is_read_back, clean_up),
		cmocka_unit_test_teardown(two_installations_at_once, clean_up),
		cmocka_unit_test_teardown(two_copies_of_one_journal_at_once, clean_up),
		cmocka_unit_test_teardown(without_the_tables_nothing_is_written, clean_up),
		cmocka_unit_test_teardown(a_cancel_leaves_nothing, clean_up),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
