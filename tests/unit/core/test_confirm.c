/* A plan that a guard stopped, confirmed by its id: when, once, by whom; alarms of a run; threads enough for every shop. */
#include "tests/unit/core/engine_fixture.h"

static int
set_up(void **state)
{
	struct fixture *fx = malloc(sizeof(*fx));
	fixture_init(fx);
	*state = fx;
	return 0;
}

static int
tear_down(void **state)
{
	fixture_release(*state);
	free(*state);
	return 0;
}

/* 0, or -1 with the error's code in code. */
static int
confirm(struct fixture *fx, const char *id, const char *only, struct queue_answer *answer, char code[ERR_CODE_MAX])
{
	struct queue_confirmation confirmation = { .run_id = id, .only = only, .reason = "looked at it", .who = "tester" };
	struct err err = ERR_INIT;
	int rc = queue_confirm(fx->queue, &confirmation, answer, &err);
	snprintf(code, ERR_CODE_MAX, "%s", err.code);
	return rc;
}

static void
must_confirm(struct fixture *fx, const char *id, const char *only, char new_id[RUN_ID_MAX])
{
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	if (confirm(fx, id, only, &answer, code) != 0)
		fail_msg("not confirmed: %s", code);
	assert_int_equal(answer.state, RUN_QUEUED);
	snprintf(new_id, RUN_ID_MAX, "%s", answer.run_id);
}

/* named: the run the refusal names. */
static void
must_not_confirm(struct fixture *fx, const char *id, const char *expected, const char *named)
{
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	assert_int_equal(confirm(fx, id, NULL, &answer, code), -1);
	assert_string_equal(code, expected);
	assert_string_equal(answer.run_id, named);
}

static void
stopped_plan(struct fixture *fx, const char *params, char id[RUN_ID_MAX])
{
	fixture_run(fx, params, id);
	struct run_record run = fixture_await(fx, id, RUN_FAILED);
	assert_string_equal(run.error_code, "GUARD_TOY");
	run_record_release(&run);
}

static void
expect_params(struct fixture *fx, const char *id, const char *format, const char *plan)
{
	char expected[300];
	struct run_record run = fixture_get(fx, id);
	snprintf(expected, sizeof(expected), "%s%s%s", format, plan, "\"}");
	assert_string_equal(run.params, expected);
	assert_string_equal(run.trigger, "confirm");
	assert_string_equal(run.key, "");
	run_record_release(&run);
}

static void
a_plan_is_carried_out(void **state)
{
	struct fixture *fx = *state;
	char plan[RUN_ID_MAX], id[RUN_ID_MAX], text[200];
	bool noted = false;
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"guard\",\"n\":9007199254740993,\"t\":\"\\u00e4/\\\"\"}", plan);
	must_confirm(fx, plan, NULL, id);
	assert_true(strcmp(id, plan) > 0);
	fixture_await_state(fx, id, RUN_SUCCESS);
	expect_params(fx, id, "{\"do\":\"guard\",\"n\":9007199254740993,\"t\":\"\xc3\xa4/\\\"\",\"confirm\":\"", plan);
	fixture_states(fx, id, "queued running success");
	struct json *events = fixture_events(fx, id);
	snprintf(text, sizeof(text), "confirm: the plan of run %s, by tester: looked at it", plan);
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event))
		noted = noted || strcmp(json_get_string(event, "text", ""), text) == 0;
	json_free(events);
	assert_true(noted);
	must_not_confirm(fx, plan, "PLAN_CONFIRMED", id);
	must_not_confirm(fx, id, "PLAN_NONE", ""); /* it has gone well */
	fixture_stop(fx);
	fixture_start(fx, 0);
	must_not_confirm(fx, plan, "PLAN_CONFIRMED", id);
}

/* What else stops the successor makes a plan of its own; the parameters do not pile up. */
static void
a_confirmed_run_is_stopped_again(void **state)
{
	struct fixture *fx = *state;
	char plan[RUN_ID_MAX], second[RUN_ID_MAX], third[RUN_ID_MAX], fourth[RUN_ID_MAX];
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"always\"}", plan);
	must_confirm(fx, plan, "sold_out", second);
	fixture_await_state(fx, second, RUN_FAILED);
	struct run_record run = fixture_get(fx, second);
	char expected[200];
	snprintf(expected, sizeof(expected), "{\"do\":\"always\",\"confirm\":\"%s\",\"only\":\"sold_out\"}", plan);
	assert_string_equal(run.params, expected);
	run_record_release(&run);
	must_confirm(fx, second, "", third);
	fixture_await_state(fx, third, RUN_FAILED);
	expect_params(fx, third, "{\"do\":\"always\",\"confirm\":\"", second);
	must_not_confirm(fx, plan, "PLAN_CONFIRMED", second);
	must_not_confirm(fx, second, "PLAN_CONFIRMED", third);
	must_confirm(fx, third, NULL, fourth);
	fixture_await_state(fx, fourth, RUN_FAILED);
}

static void
what_has_no_plan(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer;
	char id[RUN_ID_MAX], code[ERR_CODE_MAX];
	fixture_start(fx, 2);
	must_not_confirm(fx, "toy.1.000000009999", "UNKNOWN_RUN", "");
	must_not_confirm(fx, "nonsense", "UNKNOWN_RUN", "");
	fixture_run(fx, "{\"do\":\"perm\"}", id); /* failed, but not by a guard */
	fixture_await_state(fx, id, RUN_FAILED);
	must_not_confirm(fx, id, "PLAN_NONE", "");
	fixture_run(fx, "{}", id);
	fixture_await_state(fx, id, RUN_SUCCESS);
	must_not_confirm(fx, id, "PLAN_NONE", "");
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{\"do\":\"guard\"}", &answer, code), 0); /* a job without such plans */
	fixture_await_state(fx, answer.run_id, RUN_FAILED);
	must_not_confirm(fx, answer.run_id, "PLAN_NONE", "");
	fixture_run(fx, "{\"do\":\"block\"}", id);
	fixture_await_state(fx, id, RUN_RUNNING);
	must_not_confirm(fx, id, "PLAN_NONE", "");
	fixture_gate(true);
	fixture_await_state(fx, id, RUN_SUCCESS);
}

static void
an_hour_and_no_longer(void **state)
{
	struct fixture *fx = *state;
	char plan[RUN_ID_MAX], other[RUN_ID_MAX], id[RUN_ID_MAX];
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"guard\"}", plan);
	stopped_plan(fx, "{\"do\":\"guard\"}", other);
	fixture_advance(fx, PLAN_CONFIRM_MS - 20000);
	must_confirm(fx, other, NULL, id);
	fixture_await_state(fx, id, RUN_SUCCESS);
	fixture_advance(fx, 20000);
	must_not_confirm(fx, plan, "PLAN_OLD", "");
	must_not_confirm(fx, other, "PLAN_CONFIRMED", id); /* that it was is said as long as anybody asks */
	fixture_advance(fx, -2 * PLAN_CONFIRM_MS); /* a clock that is set back makes no plan young again */
	must_not_confirm(fx, plan, "PLAN_OLD", "");
	fixture_advance(fx, PLAN_CONFIRM_MS);
}

static void
the_slot_is_taken(void **state)
{
	struct fixture *fx = *state;
	char plan[RUN_ID_MAX], busy[RUN_ID_MAX], id[RUN_ID_MAX];
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"guard\"}", plan);
	fixture_run(fx, "{\"do\":\"block\"}", busy);
	must_not_confirm(fx, plan, "ALREADY_RUNNING", busy);
	fixture_gate(true);
	fixture_await_state(fx, busy, RUN_SUCCESS);
	must_confirm(fx, plan, NULL, id); /* nothing is spent by a refusal */
	fixture_await_state(fx, id, RUN_SUCCESS);
}

static void
full_or_stopping(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer;
	char plan[RUN_ID_MAX], id[RUN_ID_MAX], code[ERR_CODE_MAX];
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"guard\"}", plan);
	fixture_stop(fx);
	fx->settings.workers_queue = 1;
	fixture_start(fx, 0);
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{}", &answer, code), 0);
	must_not_confirm(fx, plan, "QUEUE_FULL", "");
	fx->settings.workers_queue = 100;
	queue_stop(fx->queue);
	must_not_confirm(fx, plan, "STOPPING", "");
	fixture_stop(fx);
	fx->free_floor = INT64_MAX;
	fixture_start(fx, 0);
	must_not_confirm(fx, plan, "JOURNAL_DISK", "");
	fixture_stop(fx);
	fx->free_floor = 0;
	fx->settings.shop_count = 0;
	fixture_start(fx, 0);
	must_not_confirm(fx, plan, "UNKNOWN_SHOP", "");
	fixture_stop(fx);
	fx->settings.shop_count = 2;
	fixture_start(fx, 1);
	must_confirm(fx, plan, NULL, id);
	fixture_await_state(fx, id, RUN_SUCCESS);
}

/* Nobody can give by hand what only a confirmation gives. */
static void
no_standing_parameter(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	fixture_start(fx, 0);
	assert_int_equal(fixture_submit(fx, "toy", 1, "", "{\"confirm\":\"toy.1.000000000001\"}", &answer, code), -1);
	assert_string_equal(code, "BAD_REQUEST");
	assert_int_equal(fixture_submit(fx, "toy", 1, "k", "{\"only\":null}", &answer, code), -1);
	assert_string_equal(code, "BAD_REQUEST");
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{\"confirm\":1}", &answer, code), 0); /* there it means nothing */
}

/* Parameters that the job refuses by now: a release later, say. */
static void
parameters_of_another_time(void **state)
{
	struct fixture *fx = *state;
	struct err err = ERR_INIT;
	fixture_start(fx, 0);
	struct run_record run = { .shop = 1, .job = "toy", .trigger = "manual", .duration_ms = -1, .created_ms = 1 };
	run.params = strdup("{\"bad\":1}");
	assert_int_equal(journal_run_add(fx->journal, &run, &err), 0);
	run.state = RUN_RUNNING;
	assert_int_equal(journal_run_move(fx->journal, &run, RUN_QUEUED, "", &err), 0);
	run.state = RUN_FAILED;
	run.error_class = ERR_PERM;
	run.finished_ms = clock_now_ms();
	snprintf(run.error_code, sizeof(run.error_code), "GUARD_TOY");
	assert_int_equal(journal_run_move(fx->journal, &run, RUN_RUNNING, "", &err), 0);
	must_not_confirm(fx, run.id, "BAD_REQUEST", "");
	run_record_release(&run);
}

/* --- two at once ---------------------------------------------------------------------------------------------------- */

struct confirmer {
	struct fixture *fx;
	const char *plan;
	pthread_barrier_t *start;
	int rc;
	char id[RUN_ID_MAX], code[ERR_CODE_MAX];
};

static void *
confirm_it(void *arg)
{
	struct confirmer *mine = arg;
	struct queue_answer answer;
	pthread_barrier_wait(mine->start);
	mine->rc = confirm(mine->fx, mine->plan, NULL, &answer, mine->code);
	snprintf(mine->id, sizeof(mine->id), "%s", answer.run_id);
	return NULL;
}

static void
confirmed_at_once(void **state)
{
	struct fixture *fx = *state;
	fixture_start(fx, 2);
	for (int round = 0; round < 25; round++) {
		struct confirmer confirmers[6];
		pthread_t threads[6];
		pthread_barrier_t start;
		char plan[RUN_ID_MAX];
		int won = 0;
		stopped_plan(fx, "{\"do\":\"guard\"}", plan);
		pthread_barrier_init(&start, NULL, 6);
		for (int i = 0; i < 6; i++) {
			confirmers[i] = (struct confirmer){ .fx = fx, .plan = plan, .start = &start };
			assert_int_equal(pthread_create(&threads[i], NULL, confirm_it, &confirmers[i]), 0);
		}
		for (int i = 0; i < 6; i++) {
			pthread_join(threads[i], NULL);
			won += confirmers[i].rc == 0;
			assert_string_equal(confirmers[i].id, confirmers[0].id); /* everybody is told the same run */
			assert_string_equal(confirmers[i].code, confirmers[i].rc == 0 ? "" : "PLAN_CONFIRMED");
		}
		assert_int_equal(won, 1);
		pthread_barrier_destroy(&start);
		fixture_await_state(fx, confirmers[0].id, RUN_SUCCESS);
	}
}

/* A confirmed run that waits at a restart is taken up with what was confirmed. */
static void
over_a_restart(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer blocker;
	char plan[RUN_ID_MAX], id[RUN_ID_MAX], code[ERR_CODE_MAX];
	fixture_start(fx, 1);
	stopped_plan(fx, "{\"do\":\"guard\"}", plan);
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{\"do\":\"block\"}", &blocker, code), 0);
	fixture_await_blocked(1);
	must_confirm(fx, plan, NULL, id);
	fixture_stop(fx);
	assert_int_equal(fixture_start(fx, 2), 2);
	fixture_await_state(fx, id, RUN_SUCCESS);
	must_not_confirm(fx, plan, "PLAN_CONFIRMED", id);
	fixture_gate(true);
	fixture_await_state(fx, blocker.run_id, RUN_SUCCESS);
}

/* --- alarms, threads ------------------------------------------------------------------------------------------------ */

static int
count_alarms(struct fixture *fx, const char *id, const char *text)
{
	int count = 0;
	struct json *events = fixture_events(fx, id);
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event))
		count += strcmp(json_get_string(event, "event", ""), "alarm") == 0 && strcmp(json_get_string(event, "step", ""), "two") == 0 &&
		         strstr(json_get_string(event, "text", ""), text) != NULL;
	json_free(events);
	return count;
}

static void
await_ended(int count)
{
	pthread_mutex_lock(&woken_lock);
	while (atomic_load(&toy_ended) < count) /* a move is published after each */
		wait_woken();
	pthread_mutex_unlock(&woken_lock);
}

/* However often the run is held and looks again, and in whatever life. */
static void
an_alarm_once_a_run(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"alarm\"}", id);
	fixture_await_state(fx, id, RUN_HELD);
	for (int begun = 2; begun <= 4; begun++) {
		if (begun == 3) {
			fixture_stop(fx);
			fixture_start(fx, 1);
		}
		fixture_advance(fx, fx->settings.workers_hold_ms + fx->settings.workers_backoff_ms + 1); /* and the jitter on top */
		await_ended(begun);
		fixture_await_state(fx, id, RUN_HELD);
	}
	assert_int_equal(count_alarms(fx, id, ""), 2);
	assert_int_equal(count_alarms(fx, id, "TOY_ALARM: 3 of 4"), 1);
	assert_int_equal(count_alarms(fx, id, "TOY_OTHER: another"), 1);
	assert_int_equal(fixture_lines(fx, id, "ERROR", "TOY_ALARM: 3 of 4"), 1);
	assert_int_equal(fixture_lines(fx, id, "ERROR", ""), 2);
}

static void
threads_for_every_shop(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answers[4];
	char code[ERR_CODE_MAX];
	assert_int_equal(pool_threads(1, 2, toy_jobs, 3), 5); /* two jobs for each shop, one for all */
	assert_int_equal(pool_threads(1, 1, toy_jobs, 3), 3);
	assert_int_equal(pool_threads(16, 2, toy_jobs, 3), 16);
	assert_int_equal(pool_threads(4, 0, toy_jobs, 0), 4);
	fixture_start(fx, pool_threads(1, fx->settings.shop_count, toy_jobs, fx->job_count));
	for (int i = 0; i < 3; i++) /* all of one shop and one of the other: they hang */
		assert_int_equal(fixture_submit(fx, i < 2 ? "toy" : "other", i == 1 ? 2 : 1, "", "{\"do\":\"block\"}", &answers[i], code), 0);
	fixture_await_blocked(3);
	assert_int_equal(fixture_submit(fx, "other", 2, "", "{}", &answers[3], code), 0);
	fixture_await_state(fx, answers[3].run_id, RUN_SUCCESS);
	fixture_gate(true);
	for (int i = 0; i < 3; i++)
		fixture_await_state(fx, answers[i].run_id, RUN_SUCCESS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_plan_is_carried_out), TEST(a_confirmed_run_is_stopped_again), TEST(what_has_no_plan), TEST(an_hour_and_no_longer),
		TEST(the_slot_is_taken), TEST(full_or_stopping), TEST(no_standing_parameter), TEST(parameters_of_another_time),
		TEST(confirmed_at_once), TEST(over_a_restart), TEST(an_alarm_once_a_run), TEST(threads_for_every_shop),
	};
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
