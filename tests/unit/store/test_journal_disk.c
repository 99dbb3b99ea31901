/* Tests of worker/store: a disk that takes no more writes, played by the process's limit on file sizes, and its recovery. */
#include "journal_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SPARE (48 * 1024)

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The -wal file may still grow by `spare` bytes. */
static void
fill_disk(off_t spare)
{
	char wal[300];
	struct stat info;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(wal, &info), 0);
	limit_files((rlim_t)(info.st_size + spare));
}

static int
ignore_signal(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return make_folder(state);
}

static int
remove_limit(void **state)
{
	limit_files(RLIM_INFINITY);
	return remove_folder(state);
}

/* Lines with numbers from *next on, until the journal notices; the queue is larger than what is said here. */
static void
talk_until_sick(struct journal *journal, int *next)
{
	char text[1000];
	struct err err = ERR_INIT;

	for (int round = 0; round < 1000 && journal_healthy(journal, &err) == 0; round++) {
		for (int i = 0; i < 10; i++) {
			snprintf(text, sizeof(text), "%d %0800d", *next, 0);
			say(journal, "", text);
			++*next;
		}
		journal_flush(journal);
	}
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.code, "JOURNAL_DISK");
	assert_non_null(strstr(err.text, path));
}

static void
expect_lines(struct journal *journal, int lines)
{
	struct event_page page;
	int next = 0;

	assert_int_equal(journal_last(journal), lines);
	struct json *all = read_events(journal, 1, 0, "", 16 * 1024 * 1024, &page);
	for (const struct json *event = json_first(all); event; event = json_next(event))
		assert_int_equal(atoi(json_get_string(event, "text", "")), next++);
	assert_int_equal(next, lines);
	json_free(all);
}

static void
lines_wait_and_changes_fail_until_there_is_room(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 10000);
	struct run_record run = new_run("sync", 1, "k", "{}");
	struct err err = ERR_INIT;
	int next = 0;

	(void)state;
	say(journal, "", "0");
	next++;
	journal_flush(journal);
	fill_disk(SPARE);
	talk_until_sick(journal, &next);
	int64_t last = journal_last(journal);
	assert_in_range(last, 1, next - 1);
	for (int i = 0; i < 3; i++) {
		err_clear(&err);
		assert_int_equal(journal_run_add(journal, &run, &err), -1);
		assert_int_equal(err.class, ERR_TEMP);
		assert_string_equal(err.code, "JOURNAL_DISK");
		assert_string_equal(run.id, "");
		assert_string_equal(run.params, "{}");
	}
	assert_int_equal(journal_last(journal), last);
	await_count(collector, &collector->beats, 1); /* the heart still beats, with the last good number */
	assert_int_equal(collector->last, last);

	limit_files(RLIM_INFINITY);
	journal_flush(journal);
	assert_int_equal(journal_healthy(journal, &err), 0);
	expect_lines(journal, next);
	assert_int_equal(journal_run_add(journal, &run, &err), 0); /* its key was not taken by the failed tries */
	assert_string_equal(run.id, "sync.1.000000000001");
	run_record_release(&run);
	journal_close(journal);
	assert_string_equal(collector->wrong, ""); /* no number was published twice, none left out */
	assert_int_equal(collector->events, next + 1);
	collector_free(collector);
}

/* More lines wait than one group takes: what is asked behind them gets its answer all the same. */
static void
changes_behind_a_long_queue_fail_too(void **state)
{
	struct journal *journal = open_with(NULL, 20000);
	struct run_record run = new_run("sync", 1, "", "{}");
	struct err err = ERR_INIT;
	int next = 1;

	(void)state;
	say(journal, "", "0");
	journal_flush(journal);
	fill_disk(SPARE);
	talk_until_sick(journal, &next);
	for (char text[1000]; next < 6000; next++) {
		snprintf(text, sizeof(text), "%d %0800d", next, 0);
		say(journal, "", text);
	}
	assert_int_equal(journal_run_add(journal, &run, &err), -1);
	assert_string_equal(err.code, "JOURNAL_DISK");
	journal_flush(journal); /* returns */
	limit_files(RLIM_INFINITY);
	journal_flush(journal);
	expect_lines(journal, next);
	run_record_release(&run);
	journal_close(journal);
}

/* A disk that stays out of order blocks nobody for ever; the gap is told. */
static void
full_queue_on_a_full_disk_lets_go(void **state)
{
	struct journal *journal = open_with(NULL, 30);
	struct run_record run = add_run(journal, "sync", 1);
	struct event_page page;
	struct err err = ERR_INIT;

	(void)state;
	fill_disk(0);
	int64_t began = clock_mono_ms();
	for (int i = 0; i < 100; i++)
		say(journal, "", "x");
	assert_in_range(clock_mono_ms() - began, 4000, 20000);
	assert_int_equal(journal_healthy(journal, &err), -1);
	limit_files(RLIM_INFINITY);
	journal_flush(journal);
	journal_flush(journal); /* the line about it was queued by the first */
	struct json *all = read_events(journal, 1, 0, "", 1024 * 1024, &page);
	assert_int_equal(page.count, 1 + 30 + 1);
	const struct json *event = json_first(all);
	for (int64_t i = 1; i < page.count; i++)
		event = json_next(event);
	assert_string_equal(json_get_string(event, "level", ""), "WARNING");
	assert_ptr_equal(strstr(json_get_string(event, "text", ""), "70 log lines are missing here"),
	                 json_get_string(event, "text", ""));
	json_free(all);
	run_record_release(&run);
	journal_close(journal);
}

/* Nobody asks for anything while it is sick: it notices the end of it by itself. */
static void
recovers_with_nothing_waiting(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 100);
	struct run_record run = add_run(journal, "sync", 1);
	struct err err = ERR_INIT;

	(void)state;
	fill_disk(0);
	run.state = RUN_RUNNING;
	assert_int_equal(journal_run_move(journal, &run, RUN_QUEUED, "", &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(journal_gate_set(journal, 1, GATE_ALL, "", "", NULL, &err), -1);
	assert_int_equal(journal_gate(journal, 1), GATE_OFF);
	await_count(collector, &collector->beats, 1);
	assert_int_equal(journal_healthy(journal, &err), -1);
	limit_files(RLIM_INFINITY);
	for (int64_t beats = 2; journal_healthy(journal, &err) != 0; beats++) {
		assert_true(beats < 10);
		await_count(collector, &collector->beats, beats);
	}
	assert_int_equal(journal_run_move(journal, &run, RUN_QUEUED, "", &err), 0);
	run_record_release(&run);
	journal_close(journal);
	assert_string_equal(collector->wrong, "");
	assert_int_equal(collector->events, 2);
	collector_free(collector);
}

static void
gate_shuts_though_it_cannot_be_stored(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(journal_gate_set(journal, 1, GATE_ALL, "", "", NULL, &err), 0);
	fill_disk(0);
	assert_int_equal(journal_gate_set(journal, 1, GATE_OFF, "stop", "", NULL, &err), -1);
	assert_int_equal(journal_gate(journal, 1), GATE_OFF);
	limit_files(RLIM_INFINITY);
	journal_close(journal);
}

/* A progress that could not be stored is not forgotten either. */
static void
progress_waits_too(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), got;
	struct err err = ERR_INIT;

	(void)state;
	fill_disk(0);
	run.items_done = 5;
	journal_run_progress(journal, &run);
	assert_int_equal(journal_gate_set(journal, 1, GATE_ALL, "", "", NULL, &err), -1);
	limit_files(RLIM_INFINITY);
	assert_int_equal(journal_gate_set(journal, 1, GATE_ALL, "", "", NULL, &err), 0);
	assert_int_equal(journal_run_get(journal, run.id, &got, &err), 1);
	assert_int_equal(got.items_done, 5);
	run_record_release(&got);
	run_record_release(&run);
	journal_close(journal);
}

/* Closing on a full disk ends in time; what was committed is whole afterwards. */
static void
close_on_a_full_disk(void **state)
{
	struct journal *journal = open_with(NULL, 10000);
	struct err err = ERR_INIT;
	int next = 1;

	(void)state;
	say(journal, "", "0");
	journal_flush(journal);
	fill_disk(SPARE);
	talk_until_sick(journal, &next);
	int64_t last = journal_last(journal), began = clock_mono_ms();
	journal_close(journal);
	assert_in_range(clock_mono_ms() - began, 0, 20000);
	limit_files(RLIM_INFINITY);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_healthy(journal, &err), 0);
	expect_lines(journal, (int)last);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ignore_signal, remove_limit)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_wait_and_changes_fail_until_there_is_room),
		TEST(changes_behind_a_long_queue_fail_too),
		TEST(full_queue_on_a_full_disk_lets_go),
		TEST(recovers_with_nothing_waiting),
		TEST(gate_shuts_though_it_cannot_be_stored),
		TEST(progress_waits_too),
		TEST(close_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
