/* Tests of worker/store: the tail for who copies events elsewhere, and who is woken by new ones. */
#include "journal_fixture.h"

#include "worker/store/lite.h"

struct seen {
	char text[40][300];
	int count, stop_at;
};

static bool
keep(const struct tail_event *event, void *arg)
{
	struct seen *seen = arg;

	snprintf(seen->text[seen->count++], sizeof(seen->text[0]), "%lld %s %s [%s|%s|%s|%lld] %s %s %d %lld %s %s", (long long)event->seq,
	         event->kind, log_level_name(event->level), event->run, event->job, event->step, (long long)event->shop, event->state,
	         event->text, event->ended, event->ended ? (long long)event->duration_ms : 0, event->error_code, event->error_text);
	return seen->count != seen->stop_at;
}

static struct seen
tail(struct journal *journal, int64_t after, int64_t limit, int stop_at)
{
	struct seen seen = { .stop_at = stop_at };
	struct err err = ERR_INIT;

	if (journal_tail(journal, after, limit, keep, &seen, &err) != 0)
		fail_msg("journal_tail: %s", err.text);
	return seen;
}

static void
finish_run(struct journal *journal, struct run_record *run, enum run_state state, const char *code, const char *text)
{
	move_run(journal, run, RUN_RUNNING, "begins");
	run->duration_ms = 1234;
	run->finished_ms = clock_now_ms();
	snprintf(run->error_code, sizeof(run->error_code), "%s", code);
	snprintf(run->error_text, sizeof(run->error_text), "%s", text);
	move_run(journal, run, state, "the end");
}

static void
events_come_as_values(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct alarm_record alarm = { .shop = 3, .step = "lease", .code = "LEASE_LOST", .text = "taken" };
	struct err err = ERR_INIT;

	(void)state;
	struct run_record run = add_run(journal, "sync", 2);
	say(journal, run.id, "a line");
	say(journal, "r-1", "of no run");
	say(journal, "", "of nobody");
	assert_int_equal(journal_gate_set(journal, 7, GATE_STOCK, "", "", NULL, &err), 0);
	assert_int_equal(journal_alarm(journal, &alarm, &err), 0);
	finish_run(journal, &run, RUN_FAILED, "SQL_208", "no such table");
	struct seen seen = tail(journal, 0, 100, 0);
	assert_int_equal(seen.count, 8);
	assert_string_equal(seen.text[0], "1 run INFO [sync.2.000000000001|sync||2] queued manual 0 0  ");
	assert_string_equal(seen.text[1], "2 log INFO [sync.2.000000000001|sync|fetch|2]  a line 0 0  ");
	assert_string_equal(seen.text[2], "3 log INFO [|sync|fetch|0]  of no run 0 0  ");
	assert_string_equal(seen.text[3], "4 log INFO [||fetch|0]  of nobody 0 0  ");
	assert_string_equal(seen.text[4], "5 gate WARNING [|||7]  off -> stock 0 0  ");
	assert_string_equal(seen.text[5], "6 alarm ERROR [||lease|3]  LEASE_LOST: taken 0 0  ");
	assert_string_equal(seen.text[6], "7 run INFO [sync.2.000000000001|sync||2] running begins 0 0  ");
	assert_string_equal(seen.text[7], "8 run INFO [sync.2.000000000001|sync||2] failed the end 1 1234 SQL_208 no such table");
	run_record_release(&run);
	journal_close(journal);
}

/* Only the event that a run ended with says how: not the lines of that run, nor those of others. */
static void
each_run_ends_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), other = add_run(journal, "sync", 2);
	int ended = 0;

	(void)state;
	finish_run(journal, &run, RUN_SUCCESS, "", "");
	say(journal, run.id, "a late line");
	move_run(journal, &other, RUN_CANCELLED, "never begun");
	struct seen seen = tail(journal, 0, 100, 0);
	assert_int_equal(seen.count, 6);
	for (int i = 0; i < seen.count; i++)
		ended += strstr(seen.text[i], " 1 1234") || strstr(seen.text[i], " 1 -1");
	assert_int_equal(ended, 2);
	assert_non_null(strstr(seen.text[3], "success the end 1 1234"));
	assert_non_null(strstr(seen.text[5], "cancelled never begun 1 -1"));
	run_record_release(&run);
	run_record_release(&other);
	journal_close(journal);
}

static void
pages_have_no_seam(void **state)
{
	struct journal *journal = open_with(NULL, 1000);
	char text[20];

	(void)state;
	for (int i = 1; i <= 30; i++) {
		snprintf(text, sizeof(text), "line %d.", i);
		say(journal, "", text);
	}
	journal_flush(journal);
	int64_t after = 0, next = 1;
	for (int limit = 1; after < 30; limit++) {
		struct seen seen = tail(journal, after, limit, 0);
		assert_int_equal(seen.count, after + limit > 30 ? 30 - after : limit);
		for (int i = 0; i < seen.count; i++, next++) {
			snprintf(text, sizeof(text), "line %d.", (int)next);
			assert_non_null(strstr(seen.text[i], text));
		}
		after = next - 1;
	}
	assert_int_equal(tail(journal, 30, 10, 0).count, 0);
	assert_int_equal(tail(journal, 1000, 10, 0).count, 0);
	assert_int_equal(tail(journal, 0, 100, 3).count, 3);
	assert_int_equal(tail(journal, 0, 100, 0).count, 30); /* the reader was put back whole */
	journal_close(journal);
}

/* --- watches --- */

struct ear {
	struct journal_watch watch;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t last, calls;
	bool backwards;
};

static void
heard(int64_t last, void *arg)
{
	struct ear *ear = arg;

	pthread_mutex_lock(&ear->lock);
	ear->backwards |= last <= ear->last;
	ear->last = last;
	ear->calls++;
	pthread_cond_broadcast(&ear->changed);
	pthread_mutex_unlock(&ear->lock);
}

static void
ear_open(struct ear *ear, struct journal *journal)
{
	*ear = (struct ear){ .watch = { .committed = heard, .arg = ear } };
	pthread_mutex_init(&ear->lock, NULL);
	pthread_cond_init(&ear->changed, NULL);
	journal_watch_add(journal, &ear->watch);
}

static void
ear_await(struct ear *ear, int64_t wanted)
{
	struct timespec until = give_up_at();
	int status = 0;

	pthread_mutex_lock(&ear->lock);
	while (ear->last < wanted && status == 0)
		status = pthread_cond_timedwait(&ear->changed, &ear->lock, &until);
	pthread_mutex_unlock(&ear->lock);
	assert_int_equal(status, 0);
}

static void
a_watch_hears_of_every_number(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 100);
	struct ear one, two;

	(void)state;
	ear_open(&one, journal);
	ear_open(&two, journal);
	for (int i = 0; i < 5; i++) {
		say(journal, "", "x");
		ear_await(&one, i + 1);
		assert_int_equal(journal_last(journal), i + 1);
		assert_int_equal(tail(journal, i, 10, 0).count, 1);
	}
	ear_await(&two, 5);
	journal_watch_remove(journal, &one.watch);
	journal_watch_remove(journal, &one.watch); /* is gone already */
	journal_flush(journal);                    /* gives no number */
	await_count(collector, &collector->beats, 1);
	assert_int_equal(two.calls, 5);
	say(journal, "", "x");
	ear_await(&two, 6);
	assert_int_equal(one.calls, 5);
	assert_false(one.backwards || two.backwards);
	journal_watch_remove(journal, &two.watch);
	journal_close(journal);
	collector_free(collector);
}

static void
a_reader_that_fails_is_an_error(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct seen seen = { .count = 0 };
	struct lite lite = { .db = NULL };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(lite_open(&lite, path, true, &err), 0);
	assert_int_equal(lite_exec(&lite, "ALTER TABLE events RENAME TO away", &err), 0);
	assert_int_equal(journal_tail(journal, 0, 10, keep, &seen, &err), -1);
	assert_string_not_equal(err.code, "");
	assert_int_equal(lite_exec(&lite, "ALTER TABLE away RENAME TO events", &err), 0);
	lite_close(&lite);
	say(journal, "", "x");
	journal_flush(journal);
	assert_int_equal(tail(journal, 0, 10, 0).count, 1);
	journal_close(journal);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		CASE(events_come_as_values), CASE(each_run_ends_once),           CASE(pages_have_no_seam),
		CASE(a_watch_hears_of_every_number), CASE(a_reader_that_fails_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
