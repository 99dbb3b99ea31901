/* Tests of worker/store: runs with their keys, moves and lists; gates. */
#include "journal_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

static _Atomic int64_t wall = 1795496657123;

static int64_t
fake_now(void)
{
	return atomic_load(&wall);
}

static void
every_field_comes_back(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = new_run("temu_inventory_sync", 1, "k-1", "{\"mode\":\"full\"}"), got;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(journal_run_add(journal, &run, &err), 0);
	assert_string_equal(run.id, "temu_inventory_sync.1.000000000001");
	assert_int_equal(run.state, RUN_QUEUED);
	run.attempt = 2;
	run.rescues = 1;
	run.started_ms = 11;
	run.not_before_ms = 13;
	run.deadline_ms = 14;
	run.cancel = true;
	snprintf(run.step, sizeof(run.step), "push");
	run.steps_done = 3;
	run.steps_total = 4;
	run.items_done = 5;
	run.items_total = 6;
	run.seen = 7;
	run.changed = 8;
	run.failed = 9;
	run.skipped = 10;
	run.error_class = ERR_TEMP;
	snprintf(run.error_code, sizeof(run.error_code), "SQL_1205");
	snprintf(run.error_text, sizeof(run.error_text), "deadlock \xC3\xA4");
	run.result = strdup("{\"pushed\":3}");
	move_run(journal, &run, RUN_RUNNING, "go");
	run.duration_ms = 15;
	run.finished_ms = 16;
	move_run(journal, &run, RUN_PARTIAL, NULL);
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_run_get(journal, run.id, &got, &err), 1);
	assert_string_equal(got.params, run.params);
	assert_string_equal(got.result, run.result);
	free(got.params);
	free(got.result);
	got.params = run.params;
	got.result = run.result;
	assert_string_equal(got.error_text, run.error_text);
	assert_string_equal(got.key, "k-1");
	assert_int_equal(got.error_class, ERR_TEMP);
	const int64_t want[] = { run.attempt,     run.rescues,     run.created_ms, run.queued_ms,  11, 16, 13, 15, 14, true, 3, 4, 5, 6, 7, 8, 9, 10 };
	const int64_t have[] = { got.attempt,     got.rescues,     got.created_ms, got.queued_ms,  got.started_ms, got.finished_ms,
		                     got.not_before_ms, got.duration_ms, got.deadline_ms, got.cancel, got.steps_done, got.steps_total,
		                     got.items_done,  got.items_total, got.seen,       got.changed,    got.failed,     got.skipped };
	assert_memory_equal(want, have, sizeof(want));
	run_record_release(&run);
	journal_close(journal);
}

static void
unknown_ids_are_not_found(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), got;
	struct err err = ERR_INIT;
	const char *const ids[] = { "", "sync", "sync.1.2", "sync.1.000000000002", "other.1.000000000001", "sync.2.000000000001",
		                        "sync.01.000000000001", "sync..000000000001", ".1.000000000001", "sync.1.000000000000",
		                        "sync.1.0000000000001", "sync.1.-00000000001", "sync.1.000000000001 ", "sync.x.000000000001",
		                        "a_job_name_that_is_longer_than_fits_here.1.000000000001" };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(journal_run_get(journal, ids[i], &got, &err), 0);
	run_record_release(&run);
	journal_close(journal);
}

static void
one_counter_for_all_jobs(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record a = add_run(journal, "a.b", 1), b = add_run(journal, "c", 1000000);

	(void)state;
	assert_string_equal(a.id, "a.b.1.000000000001");
	assert_string_equal(b.id, "c.1000000.000000000002");
	run_record_release(&a);
	run_record_release(&b);
	journal_close(journal);
}

static void
same_key_same_run(void **state)
{
	struct journal *journal;
	struct run_record run = new_run("sync", 1, "k", "{}"), again;
	struct err err = ERR_INIT;
	char first[RUN_ID_MAX];

	(void)state;
	clock_replace(fake_now, NULL);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_run_add(journal, &run, &err), 0);
	snprintf(first, sizeof(first), "%s", run.id);
	move_run(journal, &run, RUN_RUNNING, "");
	run_record_release(&run);

	again = new_run("sync", 1, "k", "{}");
	assert_int_equal(journal_run_add(journal, &again, &err), 1);
	assert_string_equal(again.id, first);
	assert_int_equal(again.state, RUN_RUNNING);
	run_record_release(&again);
	int64_t last = journal_last(journal);

	again = new_run("sync", 1, "k", "{\"mode\":\"full\"}");
	assert_int_equal(journal_run_add(journal, &again, &err), -1);
	assert_string_equal(err.code, "KEY_REUSED");
	assert_int_equal(err.class, ERR_PERM);
	assert_non_null(strstr(err.text, first));
	assert_string_equal(again.params, "{\"mode\":\"full\"}"); /* still the caller's */
	run_record_release(&again);
	assert_int_equal(journal_last(journal), last); /* a refusal leaves no event */

	again = new_run("sync", 2, "k", "{\"mode\":\"full\"}"); /* another shop, another key */
	assert_int_equal(journal_run_add(journal, &again, &err), 0);
	run_record_release(&again);
	again = new_run("other", 1, "k", "{}");
	assert_int_equal(journal_run_add(journal, &again, &err), 0);
	run_record_release(&again);

	atomic_fetch_add(&wall, (int64_t)24 * 3600 * 1000 - 1);
	again = new_run("sync", 1, "k", "{}");
	assert_int_equal(journal_run_add(journal, &again, &err), 1);
	run_record_release(&again);
	atomic_fetch_add(&wall, 1);
	again = new_run("sync", 1, "k", "{\"mode\":\"full\"}");
	assert_int_equal(journal_run_add(journal, &again, &err), 0); /* a day is over */
	assert_string_not_equal(again.id, first);
	run_record_release(&again);
	journal_close(journal);
}

struct trigger {
	struct journal *journal;
	char id[RUN_ID_MAX];
	int status;
};

static void *
pull(void *arg)
{
	struct trigger *trigger = arg;
	struct run_record run = new_run("sync", 1, "same", "{}");
	struct err err = ERR_INIT;

	trigger->status = journal_run_add(trigger->journal, &run, &err);
	snprintf(trigger->id, sizeof(trigger->id), "%s", run.id);
	run_record_release(&run);
	return NULL;
}

static void
same_key_at_once_is_one_run(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct trigger triggers[8];
	pthread_t threads[8];
	int fresh = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		triggers[i] = (struct trigger){ .journal = journal };
		pthread_create(&threads[i], NULL, pull, &triggers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		fresh += triggers[i].status == 0;
		assert_true(triggers[i].status >= 0);
		assert_string_equal(triggers[i].id, "sync.1.000000000001");
	}
	assert_int_equal(fresh, 1);
	assert_int_equal(journal_last(journal), 1);
	journal_close(journal);
}

static void
legal_moves(void **state)
{
	static const char *const legal[] = {
		"queued running",    "queued failed",     "queued cancelled",      "running running",    "running retry",
		"running held",      "running success",   "running partial",       "running failed",     "running cancelled",
		"running interrupted", "retry queued",    "retry failed",          "retry cancelled",    "held queued",
		"held failed",       "held cancelled",    "interrupted queued",    "interrupted failed", "interrupted cancelled",
	};
	size_t count = 0;

	(void)state;
	for (enum run_state from = 0; from < RUN_STATE_COUNT; from++)
		for (enum run_state to = 0; to < RUN_STATE_COUNT; to++) {
			char pair[60];
			bool listed = false;
			snprintf(pair, sizeof(pair), "%s %s", run_state_name(from), run_state_name(to));
			for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++)
				listed |= strcmp(pair, legal[i]) == 0;
			if (listed != run_state_may(from, to))
				fail_msg("%s", pair);
			count += listed;
		}
	assert_int_equal(count, sizeof(legal) / sizeof(legal[0]));
}

static void
illegal_move_aborts(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL); /* cmocka catches it */
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		struct journal *journal = open_with(NULL, 100);
		struct run_record run = add_run(journal, "sync", 1);
		move_run(journal, &run, RUN_RUNNING, "");
		move_run(journal, &run, RUN_QUEUED, "");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	struct journal *journal = open_with(NULL, 100);
	struct run_record run;
	struct err err = ERR_INIT;
	assert_int_equal(journal_run_get(journal, "sync.1.000000000001", &run, &err), 1);
	assert_int_equal(run.state, RUN_RUNNING);
	run_record_release(&run);
	journal_close(journal);
}

static void
move_from_another_state_than_stored_refused(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1);
	struct err err = ERR_INIT;

	(void)state;
	run.state = RUN_SUCCESS;
	assert_int_equal(journal_run_move(journal, &run, RUN_RUNNING, "", &err), -1);
	assert_string_equal(err.code, "JOURNAL_RUN");
	assert_int_equal(err.class, ERR_PERM);
	assert_int_equal(journal_last(journal), 1);
	snprintf(run.id, sizeof(run.id), "sync.1.000000000009");
	run.state = RUN_RUNNING;
	assert_int_equal(journal_run_move(journal, &run, RUN_QUEUED, "", &err), -1);
	assert_int_equal(journal_healthy(journal, &err), 0); /* a refusal says nothing about the disk */
	run_record_release(&run);
	journal_close(journal);
}

static void
progress_is_stored_without_an_event(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), got;
	struct err err = ERR_INIT;

	(void)state;
	move_run(journal, &run, RUN_RUNNING, "");
	for (int i = 1; i <= 1000; i++) {
		run.items_done = i;
		snprintf(run.step, sizeof(run.step), "push");
		journal_run_progress(journal, &run);
	}
	struct run_record other = add_run(journal, "other", 1); /* the next commit takes it along */
	assert_int_equal(journal_run_get(journal, run.id, &got, &err), 1);
	assert_int_equal(got.items_done, 1000);
	assert_string_equal(got.step, "push");
	assert_int_equal(journal_last(journal), 3);
	run_record_release(&got);
	run.items_done = 1001;
	journal_run_progress(journal, &run);
	journal_close(journal); /* so does the last one */
	journal = open_with(NULL, 100);
	assert_int_equal(journal_run_get(journal, run.id, &got, &err), 1);
	assert_int_equal(got.items_done, 1001);
	run_record_release(&got);
	run_record_release(&run);
	run_record_release(&other);
	journal_close(journal);
}

/* --- lists --- */

struct ids {
	int64_t numbers[100];
	int count, stop_after;
};

static bool
take_id(const struct run_record *run, void *arg)
{
	struct ids *ids = arg;

	ids->numbers[ids->count++] = atoll(strrchr(run->id, '.') + 1);
	return ids->count != ids->stop_after;
}

static struct ids
list(struct journal *journal, struct run_filter filter, int stop_after)
{
	struct ids ids = { .stop_after = stop_after };
	struct err err = ERR_INIT;

	assert_int_equal(journal_run_list(journal, &filter, take_id, &ids, &err), 0);
	return ids;
}

static void
expect(struct ids ids, int count, const int64_t *numbers)
{
	assert_int_equal(ids.count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(ids.numbers[i], numbers[i]);
}

static void
lists_and_pages(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;
	struct ids ids = { .stop_after = 0 };

	(void)state;
	for (int i = 1; i <= 12; i++) { /* sync.1: 1 4 7 10, sync.2: 2 5 8 11, other.1: 3 6 9 12; even ones run */
		struct run_record run = add_run(journal, i % 3 ? "sync" : "other", i % 3 == 2 ? 2 : 1);
		if (i % 2 == 0)
			move_run(journal, &run, RUN_RUNNING, "");
		if (i == 6)
			move_run(journal, &run, RUN_FAILED, "");
		run_record_release(&run);
	}
	expect(list(journal, (struct run_filter){ .state = -1, .limit = 3 }, 0), 3, (int64_t[]){ 12, 11, 10 });
	expect(list(journal, (struct run_filter){ .state = -1, .before = "sync.1.000000000010", .limit = 3 }, 0), 3,
	       (int64_t[]){ 9, 8, 7 });
	expect(list(journal, (struct run_filter){ .state = -1, .before = "other.1.000000000003", .limit = 3 }, 0), 2,
	       (int64_t[]){ 2, 1 });
	expect(list(journal, (struct run_filter){ .job = "sync", .state = -1 }, 0), 8, (int64_t[]){ 11, 10, 8, 7, 5, 4, 2, 1 });
	expect(list(journal, (struct run_filter){ .job = "sync", .shop = 2, .state = -1 }, 0), 4, (int64_t[]){ 11, 8, 5, 2 });
	expect(list(journal, (struct run_filter){ .state = RUN_RUNNING }, 0), 5, (int64_t[]){ 12, 10, 8, 4, 2 });
	expect(list(journal, (struct run_filter){ .job = "other", .state = RUN_FAILED, .before = "" }, 0), 1, (int64_t[]){ 6 });
	expect(list(journal, (struct run_filter){ .job = "nobody", .state = -1 }, 0), 0, NULL);
	expect(list(journal, (struct run_filter){ .state = -1 }, 2), 2, (int64_t[]){ 12, 11 });
	assert_int_equal(journal_run_list(journal, &(struct run_filter){ .state = -1, .before = "12" }, take_id, &ids, &err), -1);
	assert_string_equal(err.code, "BAD_REQUEST");
	assert_int_equal(journal_run_unfinished(journal, take_id, &ids, &err), 0);
	expect(ids, 11, (int64_t[]){ 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12 });
	journal_close(journal);
}

/* Recovery as the engine does it: reading the open runs and moving each at once. */
static bool
interrupt(const struct run_record *found, void *arg)
{
	struct run_record run = *found;

	run.rescues++;
	move_run(arg, &run, RUN_INTERRUPTED, "killed");
	move_run(arg, &run, RUN_QUEUED, "again");
	return true;
}

static void
writing_while_listing(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;
	struct run_record got;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct run_record run = add_run(journal, "sync", 1);
		move_run(journal, &run, RUN_RUNNING, "");
		run_record_release(&run);
	}
	assert_int_equal(journal_run_unfinished(journal, interrupt, journal, &err), 0);
	assert_int_equal(journal_run_get(journal, "sync.1.000000000005", &got, &err), 1);
	assert_int_equal(got.rescues, 1);
	assert_int_equal(got.state, RUN_QUEUED);
	run_record_release(&got);
	journal_close(journal);
}

/* --- gates --- */

static void
gates_are_off_until_opened_and_kept(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct event_page page;
	struct err err = ERR_INIT;
	enum gate was;

	(void)state;
	assert_int_equal(journal_gate(journal, 1), GATE_OFF);
	assert_int_equal(journal_gate_set(journal, 1, GATE_STOCK, "first week is over", "anna", &was, &err), 0);
	assert_int_equal(was, GATE_OFF);
	assert_int_equal(journal_gate_set(journal, 1, GATE_ALL, "", "", &was, &err), 0);
	assert_int_equal(was, GATE_STOCK);
	assert_int_equal(journal_gate_set(journal, 2, GATE_ORDERS, NULL, NULL, NULL, &err), 0);
	assert_int_equal(journal_gate(journal, 1), GATE_ALL);
	assert_int_equal(journal_gate(journal, 3), GATE_OFF);
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_gate(journal, 1), GATE_ALL);
	assert_int_equal(journal_gate(journal, 2), GATE_ORDERS);
	assert_int_equal(journal_gate_set(journal, 1, GATE_OFF, "stop", "", &was, &err), 0);
	assert_int_equal(was, GATE_ALL);
	struct json *events = read_events(journal, 1, 0, "", 100000, &page);
	const struct json *event = json_first(events);
	assert_string_equal(json_get_string(event, "event", ""), "gate");
	assert_string_equal(json_get_string(event, "text", ""), "off -> stock: first week is over (anna)");
	assert_int_equal(json_get_int64(event, "shop", 0), 1);
	assert_string_equal(json_get_string(json_next(event), "text", ""), "stock -> all");
	json_free(events);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_field_comes_back),
		TEST(unknown_ids_are_not_found),
		TEST(one_counter_for_all_jobs),
		TEST(same_key_same_run),
		TEST(same_key_at_once_is_one_run),
		TEST(legal_moves),
		TEST(illegal_move_aborts),
		TEST(move_from_another_state_than_stored_refused),
		TEST(progress_is_stored_without_an_event),
		TEST(lists_and_pages),
		TEST(writing_while_listing),
		TEST(gates_are_off_until_opened_and_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
