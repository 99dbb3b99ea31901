/* The life of runs through queue, pool and step over a real journal: every edge of the drawing in protocol.md, triggers at once, keys,
 * drain, kill -9. */
#include "tests/unit/core/engine_fixture.h"

#include <sched.h>
#include <sys/wait.h>

static int
set_up(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
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

/* --- the edges ------------------------------------------------------------------------------------------------------ */

static void
success_and_figures(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"figures\"}", id);
	struct run_record run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 1);
	assert_string_equal(run.trigger, "manual");
	assert_string_equal(run.result, "{\"sent\":2}");
	assert_int_equal(run.seen, 4);
	assert_int_equal(run.changed, 3);
	assert_int_equal(run.failed, 2);
	assert_int_equal(run.skipped, 1);
	assert_int_equal(run.steps_done, 2);
	assert_int_equal(run.steps_total, 2);
	assert_int_equal(run.error_class, ERR_NONE);
	assert_true(run.duration_ms >= 0 && run.finished_ms >= run.started_ms && run.started_ms >= run.queued_ms);
	run_record_release(&run);
	fixture_states(fx, id, "queued running success");
	assert_int_equal(fixture_lines(fx, id, "INFO", "success: duration "), 1);
	assert_int_equal(fixture_lines(fx, id, "INFO", "step done: duration "), 2);
	assert_int_equal(fixture_lines(fx, id, "ERROR", "is not a JSON object"), 1);
	assert_int_equal(atomic_load(&toy_ended), 1);

	struct json *events = fixture_events(fx, id); /* every line carries run, job, step and shop */
	bool step_seen = false;
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event)) {
		assert_string_equal(json_get_string(event, "run_id", ""), id);
		assert_string_equal(json_get_string(event, "job_id", ""), "toy");
		assert_int_equal(json_get_int64(event, "shop", 0), 1);
		step_seen = step_seen || strcmp(json_get_string(event, "step", ""), "two") == 0;
	}
	json_free(events);
	assert_true(step_seen);
}

static void
steps_that_are_not_wanted(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"quick\"}", id);
	fixture_await_state(fx, id, RUN_SUCCESS);
	assert_int_equal(atomic_load(&toy_steps), 1);
}

static void
partial(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"partial\"}", id);
	fixture_await_state(fx, id, RUN_PARTIAL);
	assert_int_equal(fixture_lines(fx, id, "WARNING", "partial: duration"), 1);
}

static void
retry_waits_for_its_time(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 2);
	fixture_run(fx, "{\"do\":\"wait\",\"times\":1}", id);
	struct run_record run = fixture_await(fx, id, RUN_RETRY);
	int64_t asked = run.not_before_ms - run.started_ms;
	assert_in_range(asked, 60000, 60000 + 600000 + 20000); /* what was asked for, and the jitter on top */
	assert_int_equal(run.attempt, 1);
	assert_string_equal(run.error_code, "TOY_WAIT");
	assert_string_equal(run.error_text, "step two: in a minute");
	run_record_release(&run);
	fixture_advance(fx, 59000); /* too early */
	run = fixture_get(fx, id);
	assert_int_equal(run.state, RUN_RETRY);
	run_record_release(&run);
	fixture_advance(fx, asked);
	run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 2);
	assert_int_equal(run.error_class, ERR_NONE);
	assert_string_equal(run.error_text, "");
	run_record_release(&run);
	fixture_states(fx, id, "queued running retry queued running success");
	assert_int_equal(fixture_lines(fx, id, "ERROR", ""), 0);
	assert_int_equal(fixture_lines(fx, id, "WARNING", "retry: duration"), 1);
}

/* The condition's own time-out, without a jump of the clock. */
static void
retry_wakes_up_by_itself(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fx->settings.workers_backoff_ms = 40;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"temp\",\"times\":2}", id);
	fixture_await_state(fx, id, RUN_SUCCESS);
	fixture_states(fx, id, "queued running retry queued running retry queued running success");
}

static void
attempts_are_spent(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fx->settings.workers_backoff_ms = fx->settings.workers_backoff_max_ms = 1;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"temp\"}", id);
	struct run_record run = fixture_await(fx, id, RUN_FAILED);
	assert_int_equal(run.attempt, 3);
	assert_string_equal(run.error_code, "TOY_TEMP");
	run_record_release(&run);
	assert_int_equal(fixture_lines(fx, id, "ERROR", ""), 1); /* logged once, at the top */
	assert_int_equal(fixture_lines(fx, id, "ERROR", "failed: duration"), 1);
	assert_int_equal(atomic_load(&toy_ended), 3);
}

static void
fails_at_once(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"perm\"}", id);
	struct run_record run = fixture_await(fx, id, RUN_FAILED);
	assert_int_equal(run.attempt, 1);
	assert_int_equal(run.error_class, ERR_PERM);
	run_record_release(&run);
	fixture_run(fx, "{\"do\":\"none\"}", id);
	run = fixture_await(fx, id, RUN_FAILED);
	assert_string_equal(run.error_code, "UNCLASSIFIED");
	run_record_release(&run);
}

static void
begin_that_fails(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fx->settings.workers_backoff_ms = fx->settings.workers_backoff_max_ms = 1;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"begin\",\"times\":1}", id);
	struct run_record run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 2);
	run_record_release(&run);
	assert_int_equal(atomic_load(&toy_ended), 1); /* what did not begin is not ended */
}

static void
hold_spends_no_attempt(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	struct run_record run;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"hold\",\"times\":5}", id);
	for (int i = 1; i <= 5; i++) {
		pthread_mutex_lock(&woken_lock);
		while ((run = fixture_get(fx, id)).state != RUN_HELD || atomic_load(&toy_begun) != i) {
			run_record_release(&run);
			wait_woken();
		}
		pthread_mutex_unlock(&woken_lock);
		assert_int_equal(run.attempt, 0);
		assert_in_range(run.not_before_ms - run.started_ms, fx->settings.workers_hold_ms, fx->settings.workers_hold_ms + 600000 + 20000);
		run_record_release(&run);
		fixture_advance(fx, fx->settings.workers_hold_ms + 600000);
	}
	run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 1);
	run_record_release(&run);
}

static void
deadline(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	static const char *const words[] = { "{\"do\":\"block\"}", "{\"do\":\"pause\"}" };
	fixture_start(fx, 1);
	for (size_t i = 0; i < 2; i++) {
		fixture_run(fx, words[i], id);
		struct run_record run = fixture_await(fx, id, RUN_RUNNING);
		assert_int_equal(run.deadline_ms, run.started_ms + 3600000);
		run_record_release(&run);
		if (i == 0)
			fixture_await_blocked(1);
		fixture_advance(fx, 3600000);
		run = fixture_await(fx, id, RUN_CANCELLED);
		assert_string_equal(run.error_code, "DEADLINE");
		assert_false(run.cancel);
		run_record_release(&run);
	}
}

/* --- cancel --------------------------------------------------------------------------------------------------------- */

static void
must_cancel(struct fixture *fx, const char *id, enum run_state state)
{
	struct queue_answer answer = { .run_id = "" };
	struct err err = ERR_INIT;
	if (queue_cancel(fx->queue, id, &answer, &err) != 0)
		fail_msg("cancel: %s", err.text);
	assert_int_equal(answer.state, state);
	assert_string_equal(answer.run_id, id);
}

static void
must_not_cancel(struct fixture *fx, const char *id, const char *code)
{
	struct queue_answer answer = { .run_id = "" };
	struct err err = ERR_INIT;
	assert_int_equal(queue_cancel(fx->queue, id, &answer, &err), -1);
	assert_string_equal(err.code, code);
}

static void
cancel_what_waits(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	struct run_record run;
	fixture_start(fx, 0);
	fixture_run(fx, "{}", id);
	must_cancel(fx, id, RUN_CANCELLED); /* queued */
	fixture_states(fx, id, "queued cancelled");
	assert_int_equal(fixture_lines(fx, id, "INFO", "cancelled: duration 0.000 s"), 1);
	run = fixture_get(fx, id);
	assert_true(run.cancel && run.finished_ms > 0);
	assert_string_equal(run.error_code, "CANCELLED");
	run_record_release(&run);
	must_not_cancel(fx, id, "WRONG_STATE");
	must_not_cancel(fx, "toy.1.000000009999", "UNKNOWN_RUN");
	must_not_cancel(fx, "nonsense", "UNKNOWN_RUN");
	fixture_stop(fx);
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"wait\"}", id);
	fixture_await_state(fx, id, RUN_RETRY);
	must_cancel(fx, id, RUN_CANCELLED);
	fixture_states(fx, id, "queued running retry cancelled");
	fixture_run(fx, "{\"do\":\"hold\"}", id);
	fixture_await_state(fx, id, RUN_HELD);
	must_cancel(fx, id, RUN_CANCELLED);
	fixture_states(fx, id, "queued running held cancelled");
	assert_int_equal(fixture_lines(fx, id, "INFO", "cancelled: duration "), 1);
	fixture_run(fx, "{}", id); /* the slot is free again */
	fixture_await_state(fx, id, RUN_SUCCESS);
}

static void
cancel_what_runs(void **state)
{
	struct fixture *fx = *state;
	static const char *const words[] = { "{\"do\":\"block\"}", "{\"do\":\"pause\"}" };
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	for (size_t i = 0; i < 2; i++) {
		fixture_run(fx, words[i], id);
		fixture_await_state(fx, id, RUN_RUNNING);
		must_cancel(fx, id, RUN_RUNNING);
		struct run_record run = fixture_await(fx, id, RUN_CANCELLED);
		assert_true(run.cancel);
		assert_string_equal(run.error_code, "CANCELLED");
		run_record_release(&run);
		fixture_states(fx, id, "queued running running cancelled");
		assert_int_equal(fixture_lines(fx, id, "INFO", "cancelled: duration"), 1);
	}
	assert_int_equal(fixture_lines(fx, "", "ERROR", ""), 0);
}

/* A step that does not look: the run is marked, may be asked twice, and stops after the step. What it did is not undone. */
static void
cancel_a_deaf_step(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"deaf\"}", id);
	fixture_await_blocked(1);
	must_cancel(fx, id, RUN_RUNNING);
	must_cancel(fx, id, RUN_RUNNING);
	struct run_record run = fixture_get(fx, id);
	assert_true(run.cancel);
	assert_int_equal(run.state, RUN_RUNNING);
	run_record_release(&run);
	fixture_gate(true);
	fixture_await_state(fx, id, RUN_SUCCESS); /* it was the last step: everything is done */
}

/* --- triggers ------------------------------------------------------------------------------------------------------- */

static void
refusals(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer;
	char code[ERR_CODE_MAX], id[RUN_ID_MAX];
	fx->settings.workers_queue = 2;
	fixture_start(fx, 0);
#define REFUSED(job, shop, params, expected)                                                                                       \
	do {                                                                                                                       \
		assert_int_equal(fixture_submit(fx, job, shop, "", params, &answer, code), -1);                                     \
		assert_string_equal(code, expected);                                                                               \
	} while (0)
	REFUSED("nothing", 1, "{}", "UNKNOWN_JOB");
	REFUSED("toy", 7, "{}", "UNKNOWN_SHOP");
	REFUSED("toy", 0, "{}", "BAD_REQUEST"); /* which of the two? */
	REFUSED("toy", 1, "{\"bad\":1}", "BAD_REQUEST");
	REFUSED("global", 1, "{}", "BAD_REQUEST");
	fixture_run(fx, "{}", id);
	REFUSED("toy", 1, "{}", "ALREADY_RUNNING");
	assert_string_equal(answer.run_id, id);
	assert_int_equal(fixture_submit(fx, "global", 0, "", "{}", &answer, code), 0);
	REFUSED("toy", 2, "{}", "QUEUE_FULL");
	fx->settings.workers_queue = 3;
	assert_int_equal(fixture_submit(fx, "toy", 2, "", "{}", &answer, code), 0); /* another shop is another slot */
	fx->settings.workers_queue = 100;
	fx->settings.shop_count = 1;
	assert_int_equal(fixture_submit(fx, "other", 0, "", "{}", &answer, code), 0); /* the only shop */
	assert_non_null(strstr(answer.run_id, "other.1."));
	queue_stop(fx->queue);
	REFUSED("toy", 1, "{}", "STOPPING");
}

static void
keys(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer first, answer;
	char code[ERR_CODE_MAX], id[RUN_ID_MAX];
	fixture_start(fx, 1);
	assert_int_equal(fixture_submit(fx, "toy", 1, "k1", "{\"do\":\"block\"}", &first, code), 0);
	fixture_await_blocked(1);
#define KEYED(key, params, rc, expected)                                                                                           \
	do {                                                                                                                       \
		assert_int_equal(fixture_submit(fx, "toy", 1, key, params, &answer, code), rc);                                     \
		assert_string_equal(code, expected);                                                                               \
	} while (0)
	KEYED("k1", "{\"do\":\"block\"}", 0, ""); /* under way */
	assert_string_equal(answer.run_id, first.run_id);
	assert_int_equal(answer.state, RUN_RUNNING);
	KEYED("k1", "{}", -1, "KEY_REUSED");
	KEYED("k2", "{}", -1, "ALREADY_RUNNING");
	fixture_gate(true);
	fixture_await_state(fx, first.run_id, RUN_SUCCESS);
	KEYED("k1", "{\"do\":\"block\"}", 0, ""); /* over */
	assert_string_equal(answer.run_id, first.run_id);
	assert_int_equal(answer.state, RUN_SUCCESS);
	KEYED("k1", "{}", -1, "KEY_REUSED");
	fixture_gate(false);
	fixture_run(fx, "{\"do\":\"block\"}", id);
	fixture_await_blocked(1);
	KEYED("k1", "{\"do\":\"block\"}", 0, ""); /* over, while another one is under way */
	assert_string_equal(answer.run_id, first.run_id);
	KEYED("k1", "{}", -1, "KEY_REUSED");
	fixture_gate(true);
	fixture_await_state(fx, id, RUN_SUCCESS);
	fixture_advance(fx, 24LL * 3600 * 1000 + 1000);
	KEYED("k1", "{}", 0, ""); /* a day later the key is free */
	assert_string_not_equal(answer.run_id, first.run_id);
	fixture_await_state(fx, answer.run_id, RUN_SUCCESS);
}

/* A repeated request gets its run also when nothing new would be taken. */
static void
key_of_a_full_or_stopping_queue(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer first, answer;
	struct err err = ERR_INIT;
	char code[ERR_CODE_MAX];
	fx->settings.workers_queue = 1;
	fixture_start(fx, 0);
	assert_int_equal(fixture_submit(fx, "toy", 1, "k1", "{}", &first, code), 0);
	assert_int_equal(queue_cancel(fx->queue, first.run_id, &answer, &err), 0);
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{}", &answer, code), 0);
	for (int stopped = 0; stopped < 2; stopped++) {
		assert_int_equal(fixture_submit(fx, "toy", 1, "k1", "{}", &answer, code), 0);
		assert_string_equal(answer.run_id, first.run_id);
		assert_int_equal(answer.state, RUN_CANCELLED);
		assert_int_equal(fixture_submit(fx, "toy", 1, "k1", "{\"do\":\"temp\"}", &answer, code), -1);
		assert_string_equal(code, "KEY_REUSED");
		assert_string_equal(answer.run_id, "");
		assert_int_equal(fixture_submit(fx, "toy", 1, "k2", "{}", &answer, code), -1);
		assert_string_equal(code, stopped ? "STOPPING" : "QUEUE_FULL");
		queue_stop(fx->queue);
	}
}

struct trigger {
	struct fixture *fx;
	int accepted, refused;
	char id[RUN_ID_MAX];
};

static void *
trigger(void *arg)
{
	struct trigger *mine = arg;
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	for (int i = 0; i < 20; i++) {
		if (fixture_submit(mine->fx, "toy", 1, "", "{\"do\":\"block\"}", &answer, code) == 0)
			mine->accepted++;
		else if (strcmp(code, "ALREADY_RUNNING") == 0)
			mine->refused++;
		snprintf(mine->id, sizeof(mine->id), "%s", answer.run_id);
	}
	return NULL;
}

static void
triggers_at_once(void **state)
{
	struct trigger triggers[8];
	pthread_t threads[8];
	int accepted = 0, refused = 0;
	fixture_start(*state, 2);
	for (int i = 0; i < 8; i++) {
		triggers[i] = (struct trigger){ .fx = *state };
		pthread_create(&threads[i], NULL, trigger, &triggers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		accepted += triggers[i].accepted;
		refused += triggers[i].refused;
		assert_string_equal(triggers[i].id, triggers[0].id); /* everybody is told the same run */
	}
	assert_int_equal(accepted, 1);
	assert_int_equal(refused, 159);
	fixture_await_blocked(1);
	assert_int_equal(atomic_load(&toy_begun), 1);
	fixture_gate(true);
	fixture_await_state(*state, triggers[0].id, RUN_SUCCESS);
}

/* Who has seen a run end can trigger the next one at once. */
static void
slot_is_free_with_the_event(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 2);
	for (int i = 0; i < 100; i++) {
		fixture_run(fx, "{}", id);
		fixture_await_state(fx, id, RUN_SUCCESS);
	}
}

/* --- drain, kill, recovery ------------------------------------------------------------------------------------------ */

static void
drain_in_mid_step(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX], waiting[RUN_ID_MAX], code[ERR_CODE_MAX];
	struct queue_answer answer;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"block\",\"times\":1}", id);
	fixture_await_blocked(1);
	assert_int_equal(fixture_submit(fx, "toy", 2, "", "{}", &answer, code), 0);
	snprintf(waiting, sizeof(waiting), "%s", answer.run_id);
	fixture_stop(fx);
	assert_int_equal(fixture_start(fx, 0), 2);
	struct run_record run = fixture_get(fx, id);
	assert_int_equal(run.state, RUN_QUEUED);
	assert_int_equal(run.attempt, 0); /* given back */
	assert_int_equal(run.rescues, 0);
	run_record_release(&run);
	fixture_states(fx, id, "queued running interrupted queued");
	fixture_stop(fx);
	fixture_start(fx, 1);
	run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 1);
	run_record_release(&run);
	fixture_await_state(fx, waiting, RUN_SUCCESS);
}

/* The last attempt a run has is cut short by the drain: that is the drain's doing, the run is not failed for it. */
static void
drain_that_breaks_a_call(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fx->settings.workers_attempts = 1;
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"cut\",\"times\":1}", id);
	fixture_await_blocked(1);
	fixture_stop(fx);
	fixture_start(fx, 1);
	struct run_record run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.attempt, 1);
	assert_int_equal(run.rescues, 0);
	run_record_release(&run);
	fixture_states(fx, id, "queued running interrupted queued running success");
	assert_int_equal(fixture_lines(fx, id, "INFO", "interrupted: duration "), 1);
	assert_int_equal(fixture_lines(fx, id, NULL, "TOY_CUT"), 1); /* what it was is not lost */
}

/* A run that goes to wait belongs to whoever comes first: a cancel, or another thread. */
static void
cancel_as_it_begins_to_wait(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer;
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];
	fixture_start(fx, 2);
	for (int i = 0; i < 50; i++) {
		fixture_run(fx, i % 2 == 0 ? "{\"do\":\"temp\"}" : "{\"do\":\"hold\"}", id);
		fixture_await_state(fx, id, i % 2 == 0 ? RUN_RETRY : RUN_HELD);
		assert_int_equal(queue_cancel(fx->queue, id, &answer, &err), 0);
		assert_int_equal(answer.state, RUN_CANCELLED);
	}
	assert_int_equal(atomic_load(&toy_begun), 50);
}

static void
waiting_runs_wait_on(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	fixture_start(fx, 1);
	fixture_run(fx, "{\"do\":\"wait\",\"times\":1}", id);
	struct run_record before = fixture_await(fx, id, RUN_RETRY);
	fixture_stop(fx);
	fixture_start(fx, 1);
	struct run_record after = fixture_get(fx, id);
	assert_int_equal(after.state, RUN_RETRY);
	assert_int_equal(after.not_before_ms, before.not_before_ms);
	run_record_release(&before);
	run_record_release(&after);
	fixture_advance(fx, 700000);
	fixture_await_state(fx, id, RUN_SUCCESS);
}

/* What the configuration or the release does not know any more. */
static void
orphans(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX], code[ERR_CODE_MAX];
	struct queue_answer global, second;
	fixture_start(fx, 0);
	fixture_run(fx, "{}", id);
	assert_int_equal(fixture_submit(fx, "global", 0, "", "{}", &global, code), 0);
	assert_int_equal(fixture_submit(fx, "toy", 2, "", "{}", &second, code), 0);
	fixture_stop(fx);
	fx->job_count = 2;
	fx->settings.shop_count = 1;
	assert_int_equal(fixture_start(fx, 1), 1);
	struct run_record run = fixture_await(fx, global.run_id, RUN_FAILED);
	assert_string_equal(run.error_code, "UNKNOWN_JOB");
	run_record_release(&run);
	run = fixture_await(fx, second.run_id, RUN_FAILED);
	assert_string_equal(run.error_code, "UNKNOWN_SHOP");
	run_record_release(&run);
	fixture_await_state(fx, id, RUN_SUCCESS);
}

/* Lets a child take up what is there and die by kill -9 in step two. */
static void
die_in_a_step(struct fixture *fx)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fixture_start(fx, 1);
		struct queue_answer answer;
		char code[ERR_CODE_MAX];
		fixture_submit(fx, "toy", 1, "the key", "{\"do\":\"kill\",\"times\":1}", &answer, code);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
only_run(struct fixture *fx, char id[RUN_ID_MAX])
{
	snprintf(id, RUN_ID_MAX, "toy.1.%012d", 1);
	struct run_record run = fixture_get(fx, id);
	run_record_release(&run);
}

static void
killed_in_a_step(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	die_in_a_step(fx);
	atomic_store(&toy_begun, 1); /* the child's attempt */
	assert_int_equal(fixture_start(fx, 1), 1);
	only_run(fx, id);
	struct run_record run = fixture_await(fx, id, RUN_SUCCESS);
	assert_int_equal(run.rescues, 1);
	assert_int_equal(run.attempt, 1);
	run_record_release(&run);
	fixture_states(fx, id, "queued running interrupted queued running success");
	assert_true(fixture_lines(fx, id, "INFO", "first line") >= 1); /* the child died with its line on the way to the disk */
	assert_int_equal(fixture_lines(fx, id, "WARNING", "found running at the start"), 1);
}

static void
poison(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	for (int i = 0; i < QUEUE_RESCUE_MAX; i++)
		die_in_a_step(fx);
	assert_int_equal(fixture_start(fx, 1), 0);
	only_run(fx, id);
	struct run_record run = fixture_get(fx, id);
	assert_int_equal(run.state, RUN_FAILED);
	assert_int_equal(run.rescues, QUEUE_RESCUE_MAX);
	assert_string_equal(run.error_code, "POISON");
	run_record_release(&run);
	assert_int_equal(atomic_load(&toy_begun), 0);
	assert_int_equal(fixture_lines(fx, id, "ERROR", "failed: duration "), 1);
	assert_int_equal(fixture_lines(fx, id, "ERROR", ""), 1);
	fixture_run(fx, "{}", id); /* the slot is free for a better one */
	fixture_await_state(fx, id, RUN_SUCCESS);
}

/* The disk is too full for new work: what waits is not started, nothing is accepted, what is there can be cancelled. */
static void
full_disk(void **state)
{
	struct fixture *fx = *state;
	struct queue_answer answer, unwanted;
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX], code[ERR_CODE_MAX];
	fixture_start(fx, 0);
	fixture_run(fx, "{}", id);
	assert_int_equal(fixture_submit(fx, "other", 1, "", "{}", &unwanted, code), 0);
	fixture_stop(fx);
	fx->free_floor = INT64_MAX;
	assert_int_equal(fixture_start(fx, 2), 2);
	assert_int_equal(fixture_submit(fx, "toy", 2, "", "{}", &answer, code), -1);
	assert_string_equal(code, "JOURNAL_DISK");
	while (fixture_lines(fx, "", "ERROR", "no run is started") == 0)
		sched_yield();
	struct run_record run = fixture_get(fx, id);
	assert_int_equal(run.state, RUN_QUEUED);
	run_record_release(&run);
	assert_int_equal(fixture_lines(fx, "", "ERROR", ""), 1); /* said once */
	assert_int_equal(queue_cancel(fx->queue, unwanted.run_id, &answer, &err), 0);
	assert_int_equal(answer.state, RUN_CANCELLED);
	fixture_stop(fx);
	fx->free_floor = 0;
	fixture_start(fx, 2);
	fixture_await_state(fx, id, RUN_SUCCESS);
}

/* --- order and speed ------------------------------------------------------------------------------------------------ */

struct order {
	int64_t last, count;
	bool hole;
};

static void
see_order(const struct journal_group *group, void *arg)
{
	struct order *order = arg;
	if (group->count == 0)
		return;
	order->hole = order->hole || group->first != order->last + 1 || group->last - group->first + 1 != group->count;
	order->last = group->last;
	order->count += group->count;
}

static int64_t
now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long
resident_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file != NULL)
		fclose(file);
	return pages * sysconf(_SC_PAGESIZE) / 1024;
}

static void
thousand_runs(void **state)
{
	struct fixture *fx = *state;
	struct order order = { 0 };
	struct queue_answer answers[4];
	char code[ERR_CODE_MAX];
	fx->also_publish = see_order;
	fx->also_arg = &order;
	fixture_start(fx, 4);
	int64_t begun_us = now_us();
	for (int i = 0; i < 250; i++) { /* four slots at once */
		for (int slot = 0; slot < 4; slot++)
			if (fixture_submit(fx, slot < 2 ? "toy" : "other", 1 + slot % 2, "", "{}", &answers[slot], code) != 0)
				fail_msg("run %d: %s", i, code);
		for (int slot = 0; slot < 4; slot++)
			fixture_await_state(fx, answers[slot].run_id, RUN_SUCCESS);
	}
	int64_t took_us = now_us() - begun_us;
	print_message("1000 empty runs: %.2f s, %.0f runs/s, resident %ld KB\n", (double)took_us / 1e6, 1e9 / (double)took_us,
	              resident_kb());
	assert_int_equal(atomic_load(&toy_ended), 1000);
	struct journal *journal = fx->journal;
	journal_flush(journal);
	int64_t last = journal_last(journal);
	fixture_stop(fx);
	assert_false(order.hole);
	assert_true(order.last >= last);
	assert_int_equal(order.count, order.last);
}

static void
latency(void **state)
{
	struct fixture *fx = *state;
	char id[RUN_ID_MAX];
	int64_t worst_us = 0, sum_us = 0;
	fixture_start(fx, 2);
	for (int i = 0; i < 200; i++) {
		int64_t begun_us = now_us();
		int steps = atomic_load(&toy_steps);
		fixture_run(fx, "{}", id);
		while (atomic_load(&toy_steps) == steps)
			sched_yield();
		int64_t took_us = now_us() - begun_us;
		sum_us += took_us;
		worst_us = took_us > worst_us ? took_us : worst_us;
		fixture_await_state(fx, id, RUN_SUCCESS);
	}
	print_message("trigger to first line of job code: mean %.2f ms, worst of 200 %.2f ms\n", (double)sum_us / 200e3,
	              (double)worst_us / 1e3);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(killed_in_a_step), TEST(poison), /* first: they fork */
		TEST(success_and_figures), TEST(steps_that_are_not_wanted), TEST(partial), TEST(retry_waits_for_its_time),
		TEST(retry_wakes_up_by_itself), TEST(attempts_are_spent), TEST(fails_at_once), TEST(begin_that_fails),
		TEST(hold_spends_no_attempt), TEST(deadline), TEST(cancel_what_waits), TEST(cancel_what_runs), TEST(cancel_a_deaf_step),
		TEST(refusals), TEST(keys), TEST(key_of_a_full_or_stopping_queue), TEST(triggers_at_once),
		TEST(slot_is_free_with_the_event), TEST(drain_in_mid_step), TEST(drain_that_breaks_a_call),
		TEST(cancel_as_it_begins_to_wait), TEST(waiting_runs_wait_on), TEST(orphans), TEST(full_disk), TEST(thousand_runs), TEST(latency),
	};
	log_init("test", LEVEL_INFO, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
