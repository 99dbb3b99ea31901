/* Tests of worker/store: a plan is confirmed once, together with the run that carries it out; alarms, each once a run and code. */
#include "journal_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define THREADS 8

static struct run_record
failed_plan(struct journal *journal)
{
	struct run_record run = add_run(journal, "sync", 1);

	move_run(journal, &run, RUN_RUNNING, "");
	move_run(journal, &run, RUN_FAILED, "guard");
	return run;
}

static struct run_record
carrier_of(const char *plan)
{
	struct run_record run = new_run("sync", 1, "", "{\"confirm\":1}");

	snprintf(run.trigger, sizeof(run.trigger), "confirm");
	snprintf(run.confirms, sizeof(run.confirms), "%s", plan);
	return run;
}

static void
expect_carrier(struct journal *journal, const char *plan, const char *expected)
{
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];

	assert_int_equal(journal_plan_confirmed(journal, plan, id, &err), expected[0] != '\0');
	assert_string_equal(id, expected);
}

static void
a_plan_is_confirmed_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record plan = failed_plan(journal), first = carrier_of(plan.id), second = carrier_of(plan.id);
	struct err err = ERR_INIT;

	(void)state;
	first.note = "confirm: said by somebody";
	expect_carrier(journal, plan.id, "");
	assert_int_equal(journal_run_add(journal, &first, &err), 0);
	expect_carrier(journal, plan.id, first.id);
	expect_carrier(journal, first.id, ""); /* its own plan is another one */
	expect_carrier(journal, "nonsense", "");
	for (int life = 0; life < 2; life++) { /* also after a restart */
		err_clear(&err);
		second.id[0] = '\0';
		assert_int_equal(journal_run_add(journal, &second, &err), -1);
		assert_string_equal(err.code, "PLAN_CONFIRMED");
		assert_int_equal(err.class, ERR_PERM);
		assert_string_equal(second.id, first.id);
		journal_close(journal);
		journal = open_with(NULL, 100);
		expect_carrier(journal, plan.id, first.id);
	}
	struct event_page page;
	struct json *events = read_events(journal, 1, 0, first.id, 100000, &page);
	assert_int_equal(page.count, 1); /* and none of the refused one */
	assert_string_equal(json_get_string(json_first(events), "text", ""), "confirm: said by somebody");
	json_free(events);
	struct run_record next = add_run(journal, "sync", 1);
	assert_int_equal(strcmp(next.id, first.id) > 0, 1);
	assert_string_equal(strrchr(next.id, '.'), ".000000000003"); /* a refused one takes no number */
	journal_close(journal);
	run_record_release(&next);
	run_record_release(&plan);
	run_record_release(&first);
	run_record_release(&second);
}

/* A plan's successor is a run of the same job and shop. */
static void
a_foreign_plan_is_refused(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	const char *const foreign[] = { "sync.2.000000000001", "other.1.000000000001", "sync.1.1", "x" };

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		struct run_record run = carrier_of(foreign[i]);
		struct err err = ERR_INIT;
		assert_int_equal(journal_run_add(journal, &run, &err), -1);
		assert_string_equal(err.code, "JOURNAL_RUN");
		assert_string_equal(run.id, "");
		expect_carrier(journal, foreign[i], "");
		run_record_release(&run);
	}
	assert_int_equal(journal_last(journal), 0);
	journal_close(journal);
}

struct confirmer {
	struct journal *journal;
	const char *plan;
	pthread_barrier_t *start;
	int status;
	char id[RUN_ID_MAX], code[ERR_CODE_MAX];
};

static void *
confirm(void *arg)
{
	struct confirmer *mine = arg;
	struct run_record run = carrier_of(mine->plan);
	struct err err = ERR_INIT;

	pthread_barrier_wait(mine->start);
	mine->status = journal_run_add(mine->journal, &run, &err);
	snprintf(mine->id, sizeof(mine->id), "%s", run.id);
	snprintf(mine->code, sizeof(mine->code), "%s", err.code);
	run_record_release(&run);
	return NULL;
}

/* Whoever loses is told who has won. */
static void
many_confirm_at_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct run_record plan = failed_plan(journal);
		struct confirmer confirmers[THREADS];
		pthread_t threads[THREADS];
		pthread_barrier_t start;
		int won = 0;
		pthread_barrier_init(&start, NULL, THREADS);
		for (int i = 0; i < THREADS; i++) {
			confirmers[i] = (struct confirmer){ .journal = journal, .plan = plan.id, .start = &start };
			assert_int_equal(pthread_create(&threads[i], NULL, confirm, &confirmers[i]), 0);
		}
		for (int i = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			won += confirmers[i].status == 0;
			assert_string_equal(confirmers[i].id, confirmers[0].id);
			assert_string_equal(confirmers[i].code, confirmers[i].status == 0 ? "" : "PLAN_CONFIRMED");
		}
		assert_int_equal(won, 1);
		expect_carrier(journal, plan.id, confirmers[0].id);
		pthread_barrier_destroy(&start);
		run_record_release(&plan);
	}
	journal_close(journal);
}

/* --- killed between confirmation and run: there is no such instant --- */

static void
confirm_until_killed(int fd)
{
	struct journal_config config = { .path = path, .boot = "b", .queue_max = 30 };
	struct err err = ERR_INIT;
	struct journal *journal = journal_open(&config, &err);

	for (;;) {
		struct run_record plan = failed_plan(journal), run = carrier_of(plan.id);
		if (journal_run_add(journal, &run, &err) != 0 || write(fd, "", 1) != 1)
			_exit(2);
		run_record_release(&run);
		run_record_release(&plan);
	}
}

struct tally {
	struct journal *journal;
	int64_t plans, carriers, confirmed;
};

static bool
tally_run(const struct run_record *run, void *arg)
{
	struct tally *tally = arg;

	tally->plans += strcmp(run->trigger, "manual") == 0;
	tally->carriers += strcmp(run->trigger, "confirm") == 0;
	return true;
}

static bool
tally_confirmed(const struct run_record *run, void *arg)
{
	struct tally *tally = arg;
	struct run_record carrier = { 0 };
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];

	if (strcmp(run->trigger, "manual") != 0 || journal_plan_confirmed(tally->journal, run->id, id, &err) != 1)
		return true;
	tally->confirmed++;
	assert_int_equal(journal_run_get(tally->journal, id, &carrier, &err), 1);
	assert_string_equal(carrier.trigger, "confirm");
	assert_int_equal(atoll(strrchr(id, '.') + 1), atoll(strrchr(run->id, '.') + 1) + 1);
	run_record_release(&carrier);
	return true;
}

static void
killed_while_confirming(void **state)
{
	struct run_filter all = { .state = -1 };
	struct err err = ERR_INIT;
	int64_t told = 0;

	(void)state;
	for (int round = 1; round <= 20; round++) {
		int fds[2], status;
		char said;
		assert_int_equal(pipe(fds), 0);
		pid_t child = fork();
		if (child == 0)
			confirm_until_killed(fds[1]);
		close(fds[1]);
		struct pollfd wait = { .fd = fds[0], .events = POLLIN };
		for (int heard = 0; heard < round % 7 + 1; heard++) {
			assert_int_equal(poll(&wait, 1, WAIT_S * 1000), 1);
			assert_int_equal(read(fds[0], &said, 1), 1);
			told++;
		}
		kill(child, SIGKILL);
		while (read(fds[0], &said, 1) == 1)
			told++;
		close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		struct tally tally = { .journal = open_with(NULL, 100) };
		assert_int_equal(journal_run_list(tally.journal, &all, tally_run, &tally, &err), 0);
		assert_int_equal(journal_run_list(tally.journal, &all, tally_confirmed, &tally, &err), 0);
		assert_int_equal(tally.carriers, tally.confirmed);
		assert_in_range(tally.confirmed, told, tally.plans);
		journal_close(tally.journal);
		told = tally.confirmed; /* the one that nobody was told of any more */
	}
}

/* --- alarms --- */

static int
ring(struct journal *journal, const char *run, const char *code, const char *text)
{
	struct alarm_record alarm = { .shop = 1, .run = run, .job = run ? "sync" : NULL, .step = run ? "push" : NULL, .code = code, .text = text };
	struct err err = ERR_INIT;
	int status = journal_alarm(journal, &alarm, &err);

	if (status < 0)
		fail_msg("journal_alarm: %s", err.text);
	return status;
}

static void
an_alarm_is_an_event_of_its_own(void **state)
{
	struct collector *collector = collector_new(); /* it reads them with the wire's codec */
	struct journal *journal = open_with(collector, 100);
	struct run_record run = add_run(journal, "sync", 1);
	struct event_page page;
	char expected[400];

	(void)state;
	assert_int_equal(ring(journal, run.id, "GUARD_ZEROS", "412 of 500"), 0);
	assert_int_equal(ring(journal, NULL, "LEASE_LOST", "who"), 0);
	await_count(collector, &collector->events, 3);
	assert_string_equal(collector->wrong, "");
	struct json *events = read_events(journal, 2, 0, "", 100000, &page);
	const struct json *event = json_first(events);
	snprintf(expected, sizeof(expected),
	         "{\"seq\":2,\"time\":\"%s\",\"event\":\"alarm\",\"level\":\"ERROR\",\"run_id\":\"%s\",\"job_id\":\"sync\",\"step\":\"push\","
	         "\"shop\":1,\"text\":\"GUARD_ZEROS: 412 of 500\"}", json_get_string(event, "time", ""), run.id);
	struct buf text;
	buf_init(&text, 1000);
	json_print(event, &text);
	assert_string_equal(buf_text(&text), expected);
	event = json_next(event);
	assert_string_equal(json_get_string(event, "text", ""), "LEASE_LOST: who");
	assert_string_equal(json_get_string(event, "run_id", "?"), "");
	json_free(events);
	buf_release(&text);
	journal_close(journal);
	collector_free(collector);
	run_record_release(&run);
}

static void
a_run_says_a_code_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), other = add_run(journal, "sync", 1);

	(void)state;
	say(journal, run.id, "GUARD_ZEROS: only a line");
	assert_int_equal(ring(journal, run.id, "GUARD_ZEROS", "one"), 0);
	assert_int_equal(ring(journal, run.id, "GUARD_ZEROS", "two"), 1);
	assert_int_equal(ring(journal, run.id, "GUARD_ZERO", "a code that begins alike"), 0);
	assert_int_equal(ring(journal, run.id, "GUARD_RAISES", "another code"), 0);
	assert_int_equal(ring(journal, other.id, "GUARD_ZEROS", "another run"), 0);
	int64_t last = journal_last(journal);
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_int_equal(ring(journal, run.id, "GUARD_ZEROS", "in another life"), 1);
	assert_int_equal(journal_last(journal), last);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ring(journal, "", "LEASE_LOST", "nobody's run says it as often as it is told"), 0);
	assert_int_equal(journal_last(journal), last + 2);
	journal_close(journal);
	run_record_release(&run);
	run_record_release(&other);
}

static void
a_long_alarm_is_cut_at_a_character(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	char words[3 * LOG_TEXT_MAX + 1] = "";
	struct event_page page;

	(void)state;
	for (int i = 0; i < LOG_TEXT_MAX; i++)
		memcpy(words + 3 * i, "\xe2\x82\xac", 3);
	assert_int_equal(ring(journal, "", "LONG", words), 0);
	struct json *events = read_events(journal, 1, 0, "", 100000, &page);
	const char *text = json_get_string(json_first(events), "text", "");
	assert_int_equal(strlen(text), 6 + (LOG_TEXT_MAX - 6) / 3 * 3);
	assert_null(strstr(text, "\xef\xbf\xbd"));
	json_free(events);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_while_confirming), /* first: it forks */
		TEST(a_plan_is_confirmed_once), TEST(a_foreign_plan_is_refused), TEST(many_confirm_at_once),
		TEST(an_alarm_is_an_event_of_its_own), TEST(a_run_says_a_code_once), TEST(a_long_alarm_is_cut_at_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
