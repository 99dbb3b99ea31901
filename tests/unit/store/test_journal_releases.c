/* Tests of worker/store: the file goes back and forth between this release and the one before, which knows no tables but those of schema
 * version 1. */
#include "journal_fixture.h"

#include <sqlite3.h>

static sqlite3 *
open_raw(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return db;
}

static void
exec_raw(sqlite3 *db, const char *text)
{
	char *trouble = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &trouble) != SQLITE_OK)
		fail_msg("%s: %s", text, trouble);
}

/* First column of the first row. */
static const char *
ask_raw(sqlite3 *db, const char *text)
{
	static char answer[4000];
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
	answer[0] = '\0';
	if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
		snprintf(answer, sizeof(answer), "%s", (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return answer;
}

static const char additions[] = "'plans_confirmed', 'schedules', 'quarantine', 'quarantine_in', 'kpi_days', 'kpi_durations',"
                                " 'kpi_last', 'runs_figures', 'items_gone'";

static const char *
count_additions(sqlite3 *db)
{
	char text[300];

	snprintf(text, sizeof(text), "SELECT count(*) FROM sqlite_schema WHERE name IN (%s)", additions);
	return ask_raw(db, text);
}

static void
judge(struct journal *journal, int64_t sku_id, int times)
{
	struct quarantine_verdict verdict = { .sku_id = sku_id, .refused = true, .sku = "ART", .code = "TEMU_1", .text = "never" };
	struct err err = ERR_INIT;
	char run[RUN_ID_MAX];

	for (int i = 0; i < times; i++) {
		snprintf(run, sizeof(run), "sync.1.%012d", i + 1);
		assert_int_equal(journal_quarantine_judge(journal, 1, run, &verdict, 1, &err), 0);
	}
}

static struct run_record
confirm(struct journal *journal, const char *plan)
{
	struct run_record run = new_run("sync", 1, "", "{}");
	struct err err = ERR_INIT;

	snprintf(run.confirms, sizeof(run.confirms), "%s", plan);
	if (journal_run_add(journal, &run, &err) != 0)
		fail_msg("%s", err.text);
	return run;
}

/* A file of the release before has none of the additions; nothing of it is lost. */
static void
an_old_file_is_opened(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), got = { 0 };
	struct err err = ERR_INIT;
	char identity[JOURNAL_ID_MAX], id[RUN_ID_MAX];

	(void)state;
	snprintf(identity, sizeof(identity), "%s", journal_identity(journal));
	assert_int_equal(journal_gate_set(journal, 1, GATE_STOCK, "", "", NULL, &err), 0);
	journal_close(journal);
	sqlite3 *db = open_raw();
	assert_string_equal(count_additions(db), "9");
	exec_raw(db, "DROP TABLE items_gone; DROP TABLE plans_confirmed; DROP TABLE schedules; DROP TABLE quarantine; DROP TABLE kpi_days;"
	             " DROP TABLE kpi_durations; DROP TABLE kpi_last; DROP INDEX runs_figures");
	assert_string_equal(count_additions(db), "0");
	sqlite3_close(db);

	journal = open_with(NULL, 100);
	assert_string_equal(journal_identity(journal), identity);
	assert_int_equal(journal_gate(journal, 1), GATE_STOCK);
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(journal_run_get(journal, run.id, &got, &err), 1);
	assert_int_equal(journal_plan_confirmed(journal, run.id, id, &err), 0);
	struct run_record carrier = confirm(journal, run.id);
	judge(journal, 17, 3);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	journal_close(journal);
	db = open_raw();
	assert_string_equal(count_additions(db), "9");
	assert_string_equal(ask_raw(db, "PRAGMA user_version"), "1");
	sqlite3_close(db);
	run_record_release(&run);
	run_record_release(&carrier);
	run_record_release(&got);
}

/* What the release before counts on: the version, and its tables with these columns in this order and no others that must be filled. */
static void
the_old_tables_are_as_they_were(void **state)
{
	static const struct {
		const char *table, *columns;
	} old[] = {
		{ "marks", "name value" },
		{ "about", "name value" },
		{ "events", "seq time_ms kind level shop run run_text job step state attempt text" },
		{ "runs", "n job shop trigger key params state over attempt rescues created_ms queued_ms started_ms finished_ms not_before_ms"
		          " duration_ms deadline_ms cancel step steps_done steps_total items_done items_total seen changed failed skipped"
		          " error_class error_code error_text result" },
		{ "keys", "job shop key run made_ms" },
		{ "items", "run n sku sku_id goods_id from_value to_value outcome reason code request_id text detail" },
		{ "gates", "shop gate changed_ms reason who" },
	};
	char text[200];

	(void)state;
	journal_close(open_with(NULL, 100));
	sqlite3 *db = open_raw();
	assert_string_equal(ask_raw(db, "PRAGMA user_version"), "1");
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		snprintf(text, sizeof(text), "SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_info('%s') ORDER BY cid)",
		         old[i].table);
		assert_string_equal(ask_raw(db, text), old[i].columns);
	}
	assert_string_equal(ask_raw(db, "SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')"), "0");
	sqlite3_close(db);
}

/* The release before works on the file for a while (its own statements, word by word); then this one goes on where it was. */
static void
back_and_forth(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record plan = add_run(journal, "sync", 1), got = { 0 };
	struct run_record carrier = confirm(journal, plan.id);
	struct alarm_record alarm = { .run = plan.id, .job = "sync", .step = "push", .code = "GUARD_ZEROS", .text = "words" };
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];

	(void)state;
	judge(journal, 17, 3);
	judge(journal, 18, 2);
	assert_int_equal(journal_alarm(journal, &alarm, &err), 0);
	int64_t last = journal_last(journal);
	journal_close(journal);

	sqlite3 *db = open_raw();
	exec_raw(db, "BEGIN IMMEDIATE;"
	             "INSERT INTO runs(state, over, attempt, rescues, created_ms, queued_ms, started_ms, finished_ms, not_before_ms,"
	             " duration_ms, deadline_ms, cancel, steps_done, steps_total, items_done, items_total, seen, changed, failed, skipped,"
	             " trigger, step, error_class, error_code, error_text, result, n, job, shop, key, params) VALUES('success', 1, 1, 0, 1,"
	             " 1, 1, 2, 0, 1, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 'manual', 'push', 'none', '', '', NULL, 3, 'sync', 1, NULL, '{}');"
	             "INSERT INTO events(seq, time_ms, kind, level, shop, run, run_text, job, step, state, attempt, text)"
	             " VALUES(4, 1, 'run', 1, 1, 3, NULL, 'sync', NULL, 'success', 1, '');"
	             "UPDATE marks SET value = 4 WHERE name = 'seq'; UPDATE marks SET value = 3 WHERE name = 'run';"
	             "INSERT OR REPLACE INTO gates(shop, gate, changed_ms, reason, who) VALUES(1, 'stock', 1, '', '');"
	             "COMMIT");
	sqlite3_close(db);
	assert_int_equal(last, 3); /* what the numbers above were written for: two runs and an alarm */

	journal = open_with(NULL, 100);
	assert_int_equal(journal_last(journal), 4);
	assert_int_equal(journal_gate(journal, 1), GATE_STOCK);
	struct kpi_query query = { .job = "sync", .span_ms = INT64_MAX }; /* a run that the other release ended counts too */
	struct run_kpi kpi;
	assert_int_equal(journal_run_kpi(journal, &query, &kpi, &err), 0);
	assert_int_equal(kpi.success, 1);
	run_kpi_release(&kpi);
	assert_int_equal(journal_run_get(journal, "sync.1.000000000003", &got, &err), 1);
	assert_int_equal(journal_plan_confirmed(journal, plan.id, id, &err), 1);
	assert_string_equal(id, carrier.id);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(journal_alarm(journal, &alarm, &err), 1);
	struct run_record next = add_run(journal, "sync", 1);
	assert_string_equal(next.id, "sync.1.000000000004");
	journal_close(journal);
	run_record_release(&plan);
	run_record_release(&carrier);
	run_record_release(&got);
	run_record_release(&next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(an_old_file_is_opened), TEST(the_old_tables_are_as_they_were), TEST(back_and_forth) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
