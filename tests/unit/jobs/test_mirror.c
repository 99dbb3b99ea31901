/* The log mirror: what becomes of each kind of event, and that every number of a journal arrives once: after faults, outages, another
 * schema, stops and starts, and with a second process at the same journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/unit/db/sql_world.h"
#include "worker/db/schema.h"
#include "worker/jobs/mirror.h"

#define WAIT_MS 120000
#define STOP_MS 20000

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;
static char zone[] = "Europe/Berlin"; /* the stand-in's too */

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)
#define NEEDS_SERVER         \
	do {                 \
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

/* --- one process --- */

struct side {
	char state[120], path[160];
	struct settings settings;
	struct journal *journal;
	struct connpool *pool;
	struct mirror *mirror;
	int64_t said;
};

static struct side a = { .path = "" }, b = { .path = "" };

static void open_journal(struct side *s, const char *name)
{
	struct journal_config config = { .path = s->path, .boot = "test", .queue_max = 20000 };

	snprintf(s->state, sizeof(s->state), "%s/%s", world.folder, name);
	snprintf(s->path, sizeof(s->path), "%s/journal.db", s->state);
	mkdir(s->state, 0700);
	s->journal = journal_open(&config, &err);
	assert_non_null(s->journal);
}

static void start_mirror(struct side *s)
{
	struct connpool_config pool = { .db = world.config, .base = 1, .pre_ping = true, .recycle_s = 3600, .wait_ms = 10000 };

	s->settings = (struct settings){ .workers_backoff_ms = 5, .workers_backoff_max_ms = 50, .zone = zone };
	s->pool = connpool_new(&pool, &err); /* of one connection */
	assert_non_null(s->pool);
	s->mirror = mirror_start(&s->settings, s->pool, s->journal, &err);
	if (!s->mirror)
		fail_msg("%s: %s", err.code, err.text);
}

static void stop_mirror(struct side *s)
{
	if (s->mirror)
		assert_true(mirror_stop(s->mirror, clock_mono_ms() + STOP_MS));
	s->mirror = NULL;
	if (s->pool)
		OK(connpool_stop(s->pool, clock_mono_ms() + STOP_MS, &err));
	connpool_free(s->pool);
	s->pool = NULL;
}

static void side_remove(struct side *s)
{
	static const char *const files[] = { "journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock" };
	char path[200];

	stop_mirror(s);
	if (s->journal)
		journal_close(s->journal);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->state, files[i]);
		unlink(path);
	}
	rmdir(s->state);
	*s = (struct side){ .path = "" };
}

static void say(struct side *s, int count)
{
	char text[60];
	struct log_line line = { .level = LEVEL_INFO, .run = "", .job = "", .step = "", .text = text };

	for (int i = 0; i < count; i++) {
		line.time_ms = clock_now_ms();
		snprintf(text, sizeof(text), "%s says line %d.", s == &a ? "A" : "B", (int)++s->said);
		journal_log(s->journal, &line, 0);
	}
	journal_flush(s->journal);
}

/* --- what it says of itself --- */

static struct json *stats(const struct side *s)
{
	struct json *parsed;
	struct buf out;

	buf_init(&out, 1 << 16);
	json_object_open(&out, NULL);
	mirror_add(s->mirror, &out);
	json_object_close(&out);
	parsed = json_parse(out.data, out.len, &err);
	assert_non_null(parsed);
	buf_release(&out);
	return parsed;
}

static bool in_state(const struct side *s, const char *wanted)
{
	struct json *all = stats(s);
	bool is = strcmp(json_get_string(json_get(all, "mirror"), "state", ""), wanted) == 0;

	json_free(all);
	return is;
}

static void await_state(const struct side *s, const char *wanted)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (!in_state(s, wanted)) {
		if (clock_mono_ms() >= until)
			fail_msg("%s is never %s", s->state, wanted);
		world_nap();
	}
}

static int64_t figure(const struct side *s, const char *name)
{
	struct json *all = stats(s);
	int64_t value = json_get_int64(json_get(all, "mirror"), name, -1);

	json_free(all);
	return value;
}

static void await_copied(const struct side *s)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	while (mirror_mark(s->mirror) < journal_last(s->journal)) {
		if (clock_mono_ms() >= until)
			fail_msg("%s: %d of %d are copied", s->state, (int)mirror_mark(s->mirror), (int)journal_last(s->journal));
		world_nap();
	}
}

/* --- what arrived --- */

static bool take_event(const struct tail_event *event, void *arg)
{
	buf_addf(arg, "%s|%s|%s|%s\n", event->run[0] ? event->run : "temu-workers", event->job[0] ? event->job : "temu-workers", event->text,
	         event->ended ? "ended" : "");
	return true;
}

static int take_row(void *arg, const struct db_row *row, struct err *error)
{
	(void)error;
	buf_addf(arg, "%s|%s|%s|%s\n", db_row_text(row, 0, NULL), db_row_text(row, 1, NULL), db_row_text(row, 2, NULL),
	         db_row_null(row, 3) ? "" : "ended");
	return 0;
}

/* Row by row, in order. */
static void expect_table_is_journal(const struct side *s)
{
	struct db_statement rows = { .sql = "SELECT job_id, job_type, message, status FROM dbo.scheduler_logs ORDER BY log_id", .row = take_row };
	struct buf wanted, found;

	buf_init(&wanted, 64 << 20);
	buf_init(&found, 64 << 20);
	OK(journal_tail(s->journal, 0, INT64_MAX, take_event, &wanted, &err));
	rows.arg = &found;
	OK(db_query(db, &rows, NULL, &err));
	assert_true(wanted.len > 0);
	assert_string_equal(buf_text(&found), buf_text(&wanted));
	buf_release(&wanted);
	buf_release(&found);
}

static int64_t number(const char *sql)
{
	return world_number(db, sql);
}

static void expect_each_once(int64_t count)
{
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs"), count);
	assert_int_equal(number("SELECT COUNT(*) FROM (SELECT DISTINCT message FROM dbo.scheduler_logs) x"), count);
}

static int set_up(void **state)
{
	(void)state;
	if (world.there)
		open_journal(&a, "a");
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	if (!world.there)
		return 0;
	log_sink_set(NULL, NULL);
	if (!world.external)
		sql_world_order(&world, "clear");
	side_remove(&a);
	side_remove(&b);
	return world_run_sql(db, "DELETE FROM dbo.scheduler_logs DELETE FROM dbo.temu_log_mark") ? 0 : -1;
}

/* --- kinds of events --- */

static struct run_record add_run(struct journal *journal)
{
	struct run_record run = { .shop = 1, .job = "sync", .trigger = "manual", .duration_ms = -1, .created_ms = 1, .queued_ms = 1 };

	run.params = strdup("{}");
	OK(journal_run_add(journal, &run, &err));
	return run;
}

static void move(struct journal *journal, struct run_record *run, enum run_state to, const char *text)
{
	enum run_state from = run->state;

	run->state = to;
	OK(journal_run_move(journal, run, from, text, &err));
}

static void end_run(struct journal *journal, enum run_state to, const char *text)
{
	struct run_record run = add_run(journal);

	if (to != RUN_CANCELLED) {
		move(journal, &run, RUN_RUNNING, "begins");
		run.duration_ms = 1500;
	}
	move(journal, &run, to, text);
	run_record_release(&run);
}

static int64_t rows_with(const char *condition)
{
	char sql[400];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM dbo.scheduler_logs WHERE %s", condition);
	return number(sql);
}

static void each_kind_of_event_becomes_a_row(void **state)
{
	struct alarm_record alarm = { .shop = 1, .step = "lease", .code = "LEASE_LOST", .text = "taken" };
	struct log_line line = { .level = LEVEL_ERROR, .run = "sync.1.000000000001", .job = "sync", .step = "fetch", .text = "it broke" };

	NEEDS_SERVER;
	start_mirror(&a);
	end_run(a.journal, RUN_SUCCESS, "all well");
	end_run(a.journal, RUN_PARTIAL, "nearly");
	end_run(a.journal, RUN_FAILED, "gave up");
	end_run(a.journal, RUN_CANCELLED, "not wanted");
	line.time_ms = clock_now_ms();
	journal_log(a.journal, &line, 0);
	line.level = LEVEL_DEBUG;
	line.run = line.job = "";
	line.text = "detail";
	journal_log(a.journal, &line, 0);
	OK(journal_gate_set(a.journal, 1, GATE_STOCK, "why", "who", NULL, &err));
	assert_int_equal(journal_alarm(a.journal, &alarm, &err), 0);
	await_copied(&a);
	expect_table_is_journal(&a);
	assert_int_equal(rows_with("job_id LIKE 'sync.1.%' AND job_type = 'sync'"), 12);
	assert_int_equal(rows_with("job_id = 'temu-workers' AND job_type = 'temu-workers'"), 3);
	assert_int_equal(rows_with("message = 'all well' AND level = 'INFO' AND status = 'SUCCESS' AND duration_seconds = 1.5"), 1);
	assert_int_equal(rows_with("message = 'nearly' AND level = 'WARNING' AND status = 'SUCCESS' AND error_text IS NULL"), 1);
	assert_int_equal(rows_with("message = 'gave up' AND level = 'ERROR' AND status = 'FAILED' AND error_text = 'gave up'"), 1);
	assert_int_equal(rows_with("message = 'not wanted' AND status = 'FAILED' AND duration_seconds IS NULL"), 1);
	assert_int_equal(rows_with("status IS NOT NULL"), 4);
	assert_int_equal(rows_with("message = 'it broke' AND level = 'ERROR' AND error_text = 'it broke' AND duration_seconds IS NULL"), 1);
	assert_int_equal(rows_with("message = 'detail' AND level = 'DEBUG'"), 1);
	assert_int_equal(rows_with("message = 'off -> stock: why (who)' AND level = 'WARNING'"), 1);
	assert_int_equal(rows_with("message = 'LEASE_LOST: taken' AND level = 'ERROR' AND error_text = message"), 1);
}

static void times_are_those_of_the_lines(void **state)
{
	struct log_line line = { .time_ms = clock_now_ms() - 7200000, .level = LEVEL_INFO, .run = "", .job = "", .step = "", .text = "old" };

	NEEDS_SERVER;
	journal_log(a.journal, &line, 0);
	start_mirror(&a);
	say(&a, 1);
	await_copied(&a);
	assert_int_equal(rows_with("message = 'old' AND [timestamp] > DATEADD(second, -7260, SYSDATETIME())\n"
	                           "AND [timestamp] < DATEADD(second, -7140, SYSDATETIME())"), 1);
	assert_int_equal(rows_with("message <> 'old' AND [timestamp] > DATEADD(second, -60, SYSDATETIME())\n"
	                           "AND [timestamp] < DATEADD(second, 60, SYSDATETIME())"), 1);
}

/* Each gets the local time of its own day, whatever the season of the test. */
static void summer_and_winter_are_told_apart(void **state)
{
	struct log_line line = { .level = LEVEL_INFO, .run = "", .job = "", .step = "" };

	NEEDS_FAULTS;
	assert_int_equal(clock_parse("2026-01-15T12:00:00Z", &line.time_ms), 0);
	line.text = "winter";
	journal_log(a.journal, &line, 0);
	assert_int_equal(clock_parse("2026-07-15T12:00:00Z", &line.time_ms), 0);
	line.text = "summer";
	journal_log(a.journal, &line, 0);
	journal_flush(a.journal);
	start_mirror(&a);
	await_copied(&a);
	assert_int_equal(rows_with("message = 'winter' AND [timestamp] = '2026-01-15T13:00:00'"), 1);
	assert_int_equal(rows_with("message = 'summer' AND [timestamp] = '2026-07-15T14:00:00'"), 1);
}

static void a_zone_that_is_none_is_refused(void **state)
{
	static char none[] = "Europe/Atlantis";
	struct settings settings = { .zone = none };

	NEEDS_SERVER;
	assert_null(mirror_start(&settings, NULL, a.journal, &err));
	assert_string_equal(err.code, "ZONE");
}

/* --- batches --- */

static void lines_go_in_batches_and_wake_it(void **state)
{
	NEEDS_SERVER;
	say(&a, 1050);
	start_mirror(&a);
	await_copied(&a);
	await_state(&a, "idle");
	assert_int_equal(figure(&a, "batches"), 11);
	assert_int_equal(figure(&a, "lines"), 1050);
	for (int i = 0; i < 3; i++) {
		say(&a, 7);
		await_copied(&a);
	}
	await_state(&a, "idle");
	assert_int_equal(figure(&a, "batches"), 14);
	assert_int_equal(figure(&a, "failures"), 0);
	assert_int_equal(figure(&a, "conflicts"), 0);
	expect_table_is_journal(&a);
}

static void it_goes_on_where_it_was(void **state)
{
	NEEDS_SERVER;
	for (int i = 0; i < 5; i++) {
		start_mirror(&a);
		say(&a, 333);
		if (i % 2 == 0)
			await_copied(&a);
		stop_mirror(&a);
	}
	say(&a, 10);
	start_mirror(&a);
	await_copied(&a);
	expect_table_is_journal(&a);
	expect_each_once(5 * 333 + 10);
}

static void a_journal_without_lines_is_idle(void **state)
{
	NEEDS_SERVER;
	start_mirror(&a);
	await_state(&a, "idle");
	assert_int_equal(mirror_mark(a.mirror), 0);
	assert_int_equal(figure(&a, "lag_lines"), 0);
	assert_int_equal(figure(&a, "batches"), 0);
}

/* --- faults --- */

static void nothing_is_lost_or_doubled_by_faults(void **state)
{
	static const char *const faults[] = {
		"cut-before match=\"COMMIT TRANSACTION\"", "cut-after match=\"COMMIT TRANSACTION\"", "cut-before match=scheduler_logs",
		"cut-after match=scheduler_logs",          "error 1205 13 match=scheduler_logs",     "error 1222 16 match=scheduler_logs",
		"severe match=scheduler_logs",             "garbage match=\"COMMIT TRANSACTION\"",   "cut-before match=temu_log_mark",
		"cut-after match=\"BEGIN TRANSACTION\"",   "cut-before match=temu_schema_version",   "refuse-login count=3",
	};

	NEEDS_FAULTS;
	say(&a, 100);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char order[200];

		snprintf(order, sizeof(order), "%s%s", faults[i], strstr(faults[i], "count=") ? "" : " count=2 skip=1");
		if (strstr(order, "schema_version") || strstr(order, "login"))
			sql_world_order(&world, "cut-after match=\"COMMIT TRANSACTION\" skip=1"); /* so that it logs in and looks again */
		assert_true(sql_world_order(&world, order));
		say(&a, 550);
		start_mirror(&a);
		await_copied(&a);
		if (figure(&a, "failures") < 1)
			fail_msg("%s was not met", faults[i]);
		await_state(&a, "idle");
		stop_mirror(&a);
		assert_true(sql_world_order(&world, "clear"));
	}
	expect_table_is_journal(&a);
	expect_each_once(a.said);
}

static void sink(const struct log_line *line, void *journal)
{
	journal_log(journal, line, 0);
}

/* Down at the start, and for a while: it says why, the journal is left alone, and nothing is missing afterwards. */
static void an_outage_is_waited_for(void **state)
{
	struct json *all;
	const struct json *mirror;

	NEEDS_FAULTS;
	log_sink_set(sink, a.journal);
	assert_true(sql_world_order(&world, "refuse-login count=0"));
	say(&a, 250);
	start_mirror(&a);
	await_state(&a, "waiting");
	assert_int_equal(mirror_mark(a.mirror), -1);
	while (figure(&a, "failures") < 5)
		world_nap();
	all = stats(&a);
	mirror = json_get(all, "mirror");
	assert_true(json_is_null(json_get(mirror, "lag_lines")));
	assert_non_null(strstr(json_get_string(json_get(mirror, "error"), "code", ""), "SQL_"));
	assert_non_null(json_get_string(json_get(mirror, "error"), "since", NULL));
	json_free(all);
	assert_int_equal(journal_last(a.journal), 250); /* its errors are not in there */
	assert_true(sql_world_order(&world, "clear"));
	await_copied(&a);
	await_state(&a, "idle");
	assert_true(sql_world_order(&world, "refuse-login count=0"));
	assert_true(sql_world_order(&world, "close-all"));
	say(&a, 120);
	await_state(&a, "waiting");
	assert_int_equal(figure(&a, "lag_lines"), 120);
	assert_int_equal(mirror_mark(a.mirror), 250);
	assert_true(sql_world_order(&world, "clear"));
	await_copied(&a);
	await_state(&a, "idle");
	log_sink_set(NULL, NULL);
	assert_int_equal(journal_last(a.journal), 370);
	db_close(db);
	db = sql_world_open(&world, world.own);
	expect_table_is_journal(&a);
}

static void another_schema_is_waited_for(void **state)
{
	NEEDS_SERVER;
	assert_true(world_run_sql(db, "UPDATE dbo.temu_schema_addition SET version = 905 WHERE version = 5"));
	say(&a, 5);
	start_mirror(&a);
	await_state(&a, "waiting");
	while (figure(&a, "failures") < 3)
		world_nap();
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.temu_log_mark"), 0);
	assert_true(world_run_sql(db, "UPDATE dbo.temu_schema_addition SET version = 5 WHERE version = 905"));
	await_copied(&a);
	expect_table_is_journal(&a);
}

/* Retention of a day takes a line of last year only when it was copied. */
static void what_is_not_copied_is_kept(void **state)
{
	struct journal_retention rules = { .days = 1, .runs_days = 30 };
	struct log_line line = { .level = LEVEL_INFO, .run = "", .job = "", .step = "", .text = "old" };
	struct journal_retention_pass pass;

	NEEDS_FAULTS;
	line.time_ms = clock_now_ms() - 400LL * 86400000;
	for (int i = 0; i < 2000; i++)
		journal_log(a.journal, &line, 0);
	journal_flush(a.journal);
	assert_true(sql_world_order(&world, "refuse-login count=0"));
	start_mirror(&a);
	await_state(&a, "waiting");
	OK(journal_retention_pass(a.journal, &rules, &pass, &err));
	assert_int_equal(pass.events, 0);
	assert_true(sql_world_order(&world, "clear"));
	await_copied(&a);
	OK(journal_retention_pass(a.journal, &rules, &pass, &err));
	assert_true(pass.events > 900);
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs"), 2000);
	stop_mirror(&a);
	say(&a, 10);
	start_mirror(&a); /* the first numbers are gone */
	await_copied(&a);
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs"), 2010);
}

/* --- others at the same table --- */

static void two_installations_have_marks_of_their_own(void **state)
{
	NEEDS_SERVER;
	open_journal(&b, "b");
	assert_string_not_equal(journal_identity(a.journal), journal_identity(b.journal));
	start_mirror(&a);
	start_mirror(&b);
	for (int i = 0; i < 10; i++) {
		say(&a, 90);
		say(&b, 110);
	}
	await_copied(&a);
	await_copied(&b);
	expect_each_once(a.said + b.said);
	assert_int_equal(figure(&a, "conflicts") + figure(&b, "conflicts"), 0);
}

static void copy_file(const char *from, const char *to)
{
	char command[400];

	snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0);
}

/* A copied state folder: both have the same numbers. Whoever is first with one brings it, and no number comes twice. */
static void a_copy_of_the_journal_doubles_nothing(void **state)
{
	char path[160];
	int64_t last;

	NEEDS_SERVER;
	say(&a, 1000);
	journal_close(a.journal);
	snprintf(path, sizeof(path), "%s/b", world.folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/b/journal.db", world.folder);
	copy_file(a.path, path);
	open_journal(&a, "a");
	open_journal(&b, "b");
	assert_string_equal(journal_identity(a.journal), journal_identity(b.journal));
	b.said = 1000;
	start_mirror(&a);
	start_mirror(&b);
	for (int i = 0; i < 20; i++) {
		say(&a, 100);
		say(&b, 150);
	}
	await_copied(&a);
	await_copied(&b);
	last = journal_last(b.journal);
	assert_int_equal(last, 4000);
	expect_each_once(last);
	/* Every number once: both sides' lines carry theirs. */
	assert_int_equal(number("SELECT COUNT(*) FROM (SELECT DISTINCT SUBSTRING(message, 13, 20) AS n FROM dbo.scheduler_logs) x"), last);
	await_state(&b, "idle");
	stop_mirror(&a);
	start_mirror(&a); /* has fewer than are copied */
	await_state(&a, "ahead");
	assert_int_equal(figure(&a, "lag_lines"), 0);
	say(&a, 1001);
	await_copied(&a);
	expect_each_once(last + 1);
}

/* --- the end --- */

static void a_hanging_statement_does_not_hold_up_the_end(void **state)
{
	int64_t begun;

	NEEDS_FAULTS;
	start_mirror(&a);
	await_state(&a, "idle");
	assert_true(sql_world_order(&world, "hang attention=yes match=scheduler_logs"));
	say(&a, 100);
	await_state(&a, "copying");
	begun = clock_mono_ms();
	stop_mirror(&a);
	assert_true(clock_mono_ms() - begun < STOP_MS / 2);
	assert_true(sql_world_order(&world, "clear"));
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs"), 0);
	start_mirror(&a);
	await_copied(&a);
	expect_table_is_journal(&a);
}

static void nothing_is_off(void **state)
{
	struct side off = { .mirror = NULL };
	struct json *all;

	(void)state;
	all = stats(&off);
	assert_false(json_get_bool(json_get(all, "mirror"), "enabled", true));
	json_free(all);
	mirror_ask_stop(NULL);
	assert_true(mirror_stop(NULL, 0));
}

/* --- how fast, and in how much memory --- */

static int64_t resident_kb(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long pages = 0, resident = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lld %lld", &pages, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void many_lines_take_no_memory(void **state)
{
	const char *given = getenv("TEMU_TEST_LINES");
	int count = given && atoi(given) > 5000 ? atoi(given) : 5000;
	int64_t begun, took, before;

	NEEDS_SERVER;
	for (int i = 0; i < count; i += 5000)
		say(&a, count - i < 5000 ? count - i : 5000);
	start_mirror(&a);
	while (mirror_mark(a.mirror) < 1000)
		world_nap();
	begun = clock_mono_ms();
	before = resident_kb();
	count -= (int)mirror_mark(a.mirror);
	await_copied(&a);
	took = clock_mono_ms() - begun;
	print_message("mirror: %d lines in %lld ms, %lld lines/s, %lld KB more\n", count, (long long)took,
	              (long long)(took > 0 ? count * 1000LL / took : 0), (long long)(resident_kb() - before));
	assert_true(resident_kb() - before < 8192);
	assert_int_equal(number("SELECT COUNT(*) FROM dbo.scheduler_logs"), a.said);
	expect_table_is_journal(&a);
}

static int start(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	setenv("TZ", zone, 1);
	log_init("test", LEVEL_ERROR, LOG_TEXT);
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
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)
	const struct CMUnitTest tests[] = {
		CASE(each_kind_of_event_becomes_a_row),
		CASE(times_are_those_of_the_lines),
		CASE(summer_and_winter_are_told_apart),
		CASE(a_zone_that_is_none_is_refused),
		CASE(lines_go_in_batches_and_wake_it),
		CASE(it_goes_on_where_it_was),
		CASE(a_journal_without_lines_is_idle),
		CASE(nothing_is_lost_or_doubled_by_faults),
		CASE(an_outage_is_waited_for),
		CASE(another_schema_is_waited_for),
		CASE(what_is_not_copied_is_kept),
		CASE(two_installations_have_marks_of_their_own),
		CASE(a_copy_of_the_journal_doubles_nothing),
		CASE(a_hanging_statement_does_not_hold_up_the_end),
		CASE(nothing_is_off),
		CASE(many_lines_take_no_memory),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
