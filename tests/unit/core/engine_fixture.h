/* engine_fixture: a journal in a temp folder, a queue with toy jobs whose steps do what the run's parameters say, a clock that jumps, and
 * waits for a run's state that are woken by the journal. For the tests of this folder; defined here, one test program each. */
#ifndef TESTS_UNIT_CORE_ENGINE_FIXTURE_H
#define TESTS_UNIT_CORE_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/log.h"
#include "proto/settings.h"
#include "worker/core/events.h"
#include "worker/core/job.h"
#include "worker/core/pool.h"
#include "worker/core/queue.h"
#include "worker/store/journal.h"

#define FIXTURE_WAIT_S 30 /* nobody should ever wait that long */
#define MAYBE __attribute__((unused)) static

struct fixture {
	char folder[80], path[120];
	struct settings settings;
	struct shop_settings shops[2];
	struct journal *journal;
	struct queue *queue;
	struct pool *pool;
	int rescue_max;
	int64_t free_floor; /* of the journal */
	size_t job_count; /* of toy_jobs */
	void (*also_publish)(const struct journal_group *group, void *arg);
	void *also_arg;
};

/* --- waiting -------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t woken_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER; /* something was published, the gate moved, somebody is blocked */
static bool gate_open;
static int blocked;

static void
wait_woken(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FIXTURE_WAIT_S;
	if (pthread_cond_timedwait(&woken, &woken_lock, &until) != 0) {
		fprintf(stderr, "waited in vain\n");
		abort();
	}
}

MAYBE void
fixture_gate(bool open)
{
	pthread_mutex_lock(&woken_lock);
	gate_open = open;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&woken_lock);
}

/* Until `count` steps sit at the gate. */
MAYBE void
fixture_await_blocked(int count)
{
	pthread_mutex_lock(&woken_lock);
	while (blocked != count)
		wait_woken();
	pthread_mutex_unlock(&woken_lock);
}

/* --- the clock ------------------------------------------------------------------------------------------------------ */

static _Atomic int64_t clock_ahead_ms;

static int64_t
real_ms(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&clock_ahead_ms);
}
static int64_t
wall_ms(void)
{
	return real_ms(CLOCK_REALTIME);
}
static int64_t
mono_ms(void)
{
	return real_ms(CLOCK_MONOTONIC);
}

MAYBE void
fixture_advance(struct fixture *fx, int64_t ms)
{
	atomic_fetch_add(&clock_ahead_ms, ms);
	queue_wake(fx->queue);
}

/* --- toy jobs ------------------------------------------------------------------------------------------------------- */

/* {"do":WORD,"times":N}: the word holds for the first N attempts begun since toy_begun was reset; afterwards the steps are fine.
 *   temp, perm, hold, none: step two fails with that class; wait: TEMP that asks for 60 s; block: waits until the gate opens or the run is
 *   to stop; cut: the same, but says TEMP when it was stopped; pause: run_pause for an hour; deaf: waits for the gate, whatever happens;
 *   partial; begin: TEMP from begin; quick: step two is left out; guard: PERM GUARD_TOY unless confirmed, always: also then; alarm: says
 *   three, two of them alike, and holds; figures: progress, counters, a result, an item; bad_result; kill: the process is killed */
static atomic_int toy_begun, toy_steps, toy_ended;

struct toy {
	char word[20];
	struct run *run;
};

static int
toy_check(const struct json *params, struct err *err)
{
	if (json_is_null(json_get(params, "bad")))
		return 0;
	return err_set(err, ERR_PERM, "BAD_REQUEST", "field bad: not wanted");
}

static void *
toy_begin(struct run *run, void *env, struct err *err)
{
	int begun = atomic_fetch_add(&toy_begun, 1) + 1;
	assert_ptr_equal(env, &toy_begun);
	struct toy *toy = calloc(1, sizeof(*toy));
	toy->run = run;
	if (begun <= json_get_int64(run_params(run), "times", INT64_MAX))
		snprintf(toy->word, sizeof(toy->word), "%s", json_get_string(run_params(run), "do", "ok"));
	if (strcmp(toy->word, "begin") == 0) {
		free(toy);
		err_set(err, ERR_TEMP, "TOY_BEGIN", "cannot begin");
		return NULL;
	}
	return toy;
}

static int
toy_one(struct run *run, void *state, struct err *err)
{
	(void)state;
	atomic_fetch_add(&toy_steps, 1);
	log_info("first line");
	return run_check(run, err);
}

static int
toy_block(struct toy *toy, struct err *err)
{
	struct timespec soon;
	bool deaf = strcmp(toy->word, "deaf") == 0;
	pthread_mutex_lock(&woken_lock);
	blocked++;
	pthread_cond_broadcast(&woken);
	while (!gate_open && (deaf || !run_stopping(toy->run))) {
		clock_gettime(CLOCK_REALTIME, &soon); /* as a database call's tick looks at run_stopping */
		soon.tv_nsec += 2000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&woken, &woken_lock, &soon);
	}
	blocked--;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&woken_lock);
	if (strcmp(toy->word, "cut") == 0 && run_stopping(toy->run)) /* as a call that only knows that its connection ended */
		return err_set(err, ERR_TEMP, "TOY_CUT", "the connection ended");
	if (!deaf && run_stopping(toy->run)) /* as a call deep inside would say it */
		return err_set(err, ERR_CANCELLED, "CALL", "the call was stopped");
	return 0;
}

static void
toy_figures(struct run *run)
{
	struct err err = ERR_INIT;
	struct item_record items[2] = {
		{ .sku = "A-1", .sku_id = 11, .has_from = true, .from = 5, .has_to = true, .outcome = ITEM_PLANNED, .reason = "delta",
		  .code = "", .request_id = "", .text = "" },
		{ .sku = "A-2", .sku_id = 12, .outcome = ITEM_UNMAPPED, .reason = "unmapped", .code = "", .request_id = "", .text = "" },
	};
	run_progress(run, 1, 4);
	run_count(run, RUN_SEEN, 4);
	run_count(run, RUN_CHANGED, 3);
	run_count(run, RUN_REFUSED, 2);
	run_count(run, RUN_SKIPPED, 1);
	run_result_set(run, "{\"sent\":1}");
	run_result_set(run, "{\"sent\":2}");
	run_result_set(run, "[\"no object\"]");
	assert_int_equal(run_items_add(run, items, 2, &err), 0);
	items[0].outcome = ITEM_PUSHED;
	items[0].request_id = "eu-1";
	assert_int_equal(run_items_judge(run, items, 1, &err), 0);
	assert_int_equal(run_gate(run), GATE_OFF);
}

static int
toy_two(struct run *run, void *state, struct err *err)
{
	struct toy *toy = state;
	atomic_fetch_add(&toy_steps, 1);
	if (strcmp(toy->word, "temp") == 0)
		return err_set(err, ERR_TEMP, "TOY_TEMP", "not now");
	if (strcmp(toy->word, "perm") == 0)
		return err_set(err, ERR_PERM, "TOY_PERM", "never");
	if (strcmp(toy->word, "hold") == 0)
		return err_set(err, ERR_HOLD, "TOY_HOLD", "waits for a key");
	if (strcmp(toy->word, "guard") == 0 && json_is_null(json_get(run_params(run), "confirm")))
		return err_set(err, ERR_PERM, "GUARD_TOY", "too much at once");
	if (strcmp(toy->word, "always") == 0)
		return err_set(err, ERR_PERM, "GUARD_TOY", "too much at once, confirmed or not");
	if (strcmp(toy->word, "alarm") == 0) {
		run_alarm(run, "TOY_ALARM", "%d of %d", 3, 4);
		run_alarm(run, "TOY_ALARM", "once more");
		run_alarm(run, "TOY_OTHER", "another");
		return err_set(err, ERR_HOLD, "TOY_HOLD", "waits for somebody");
	}
	if (strcmp(toy->word, "none") == 0)
		return -1;
	if (strcmp(toy->word, "wait") == 0) {
		err_set(err, ERR_TEMP, "TOY_WAIT", "in a minute");
		err->wait_ms = 60000;
		return -1;
	}
	if (strcmp(toy->word, "block") == 0 || strcmp(toy->word, "deaf") == 0 || strcmp(toy->word, "cut") == 0)
		return toy_block(toy, err);
	if (strcmp(toy->word, "pause") == 0)
		return run_pause(run, 3600000, err);
	if (strcmp(toy->word, "partial") == 0)
		run_partial(run);
	if (strcmp(toy->word, "figures") == 0)
		toy_figures(run);
	if (strcmp(toy->word, "kill") == 0)
		kill(getpid(), SIGKILL);
	return 0;
}

static bool
toy_wanted(struct run *run, void *state)
{
	(void)run;
	return strcmp(((struct toy *)state)->word, "quick") != 0;
}

static void
toy_end(struct run *run, void *state)
{
	(void)run;
	atomic_fetch_add(&toy_ended, 1);
	free(state);
}

static const struct job_step toy_step_list[] = { { "one", toy_one, NULL }, { "two", toy_two, toy_wanted } };
#define TOY(name, for_shops, demand, code)                                                                                      \
	{ .id = name, .title = "Toy", .steps = toy_step_list, .step_count = 2, .per_shop = for_shops, .on_demand = demand,         \
	  .check = toy_check, .confirmable = code, .begin = toy_begin, .end = toy_end }
static const struct job_type toy_type = TOY("toy", true, false, "GUARD_"), other_type = TOY("other", true, false, NULL),
                             global_type = TOY("global", false, true, NULL);
static const struct job_type *const toy_jobs[] = { &toy_type, &other_type, &global_type };

/* --- set-up --------------------------------------------------------------------------------------------------------- */

MAYBE void
fixture_init(struct fixture *fx)
{
	static char name_one[] = "One", name_two[] = "Two";
	const char *base = getenv("TMPDIR");
	memset(fx, 0, sizeof(*fx));
	snprintf(fx->folder, sizeof(fx->folder), "%s/test-core-XXXXXX", base != NULL && strlen(base) < 40 ? base : "/tmp");
	assert_non_null(mkdtemp(fx->folder));
	snprintf(fx->path, sizeof(fx->path), "%s/journal.db", fx->folder);
	fx->shops[0] = (struct shop_settings){ .id = 1, .name = name_one };
	fx->shops[1] = (struct shop_settings){ .id = 2, .name = name_two };
	fx->settings = (struct settings){ .workers_threads = 2, .workers_attempts = 3, .workers_backoff_ms = 600000,
		                          .workers_backoff_max_ms = 3600000, .workers_hold_ms = 30000, .workers_queue = 100,
		                          .run_deadline_s = 3600, .shops = fx->shops, .shop_count = 2 };
	fx->job_count = 3;
	atomic_store(&toy_begun, 0);
	atomic_store(&toy_steps, 0);
	atomic_store(&toy_ended, 0);
	fixture_gate(false);
	clock_replace(wall_ms, mono_ms);
}

static void
fixture_publish(const struct journal_group *group, void *arg)
{
	struct fixture *fx = arg;
	if (fx->also_publish != NULL)
		fx->also_publish(group, fx->also_arg);
	pthread_mutex_lock(&woken_lock);
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&woken_lock);
}

/* Journal and queue (recovered), and a pool unless threads is 0. Returns the number of runs taken over. */
MAYBE size_t
fixture_start(struct fixture *fx, int threads)
{
	struct err err = ERR_INIT;
	size_t recovered = 0;
	struct journal_config config = { .path = fx->path, .boot = "b-test", .publish = fixture_publish, .publish_arg = fx,
		                         .queue_max = 1000, .free_floor_bytes = fx->free_floor };
	fx->journal = journal_open(&config, &err);
	if (fx->journal == NULL)
		fail_msg("journal: %s", err.text);
	log_sink_set(events_log, fx->journal);
	struct queue_config queue_config = { .journal = fx->journal, .settings = &fx->settings, .jobs = toy_jobs,
		                             .job_count = fx->job_count, .rescue_max = fx->rescue_max };
	fx->queue = queue_new(&queue_config, &err);
	if (fx->queue == NULL || queue_recover(fx->queue, &recovered, &err) != 0)
		fail_msg("queue: %s", err.text);
	fx->pool = NULL;
	if (threads > 0 && (fx->pool = pool_start(fx->queue, threads, &toy_begun, &err)) == NULL)
		fail_msg("pool: %s", err.text);
	return recovered;
}

/* Drains and closes; the journal's file stays for the next start. */
MAYBE void
fixture_stop(struct fixture *fx)
{
	queue_stop(fx->queue);
	pool_stop(fx->pool);
	queue_free(fx->queue);
	log_sink_set(NULL, NULL);
	journal_close(fx->journal);
	fx->journal = NULL;
}

MAYBE void
fixture_release(struct fixture *fx)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock", "-journal", ".reserve" };
	char path[160];
	if (fx->journal != NULL)
		fixture_stop(fx);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", fx->path, suffixes[i]);
		unlink(path);
	}
	if (rmdir(fx->folder) != 0)
		fail_msg("something is left in %s", fx->folder);
	clock_replace(NULL, NULL);
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

/* 0, or -1 with the error's code in code. */
MAYBE int
fixture_submit(struct fixture *fx, const char *job, int64_t shop, const char *key, const char *params,
               struct queue_answer *answer, char code[ERR_CODE_MAX])
{
	struct err err = ERR_INIT;
	struct json *parsed = json_parse(params, strlen(params), &err);
	assert_non_null(parsed);
	struct queue_request request = { .job = job, .shop = shop, .key = key, .params = parsed };
	int rc = queue_submit(fx->queue, &request, answer, &err);
	snprintf(code, ERR_CODE_MAX, "%s", err.code);
	json_free(parsed);
	return rc;
}

/* A run of "toy" for shop 1; must be accepted. The id into id. */
MAYBE void
fixture_run(struct fixture *fx, const char *params, char id[RUN_ID_MAX])
{
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	if (fixture_submit(fx, "toy", 1, "", params, &answer, code) != 0)
		fail_msg("not accepted: %s", code);
	assert_int_equal(answer.state, RUN_QUEUED);
	snprintf(id, RUN_ID_MAX, "%s", answer.run_id);
}

MAYBE struct run_record
fixture_get(struct fixture *fx, const char *id)
{
	struct run_record run = { 0 };
	struct err err = ERR_INIT;
	if (journal_run_get(fx->journal, id, &run, &err) != 1)
		fail_msg("no run %s: %s", id, err.text);
	return run;
}

/* Until the run is in this state; the record is the caller's (run_record_release). */
MAYBE struct run_record
fixture_await(struct fixture *fx, const char *id, enum run_state state)
{
	struct run_record run;
	pthread_mutex_lock(&woken_lock);
	while ((run = fixture_get(fx, id)).state != state) {
		if (run_state_terminal(run.state))
			fail_msg("run %s is %s (%s), not %s", id, run_state_name(run.state), run.error_text, run_state_name(state));
		run_record_release(&run);
		wait_woken();
	}
	pthread_mutex_unlock(&woken_lock);
	return run;
}

MAYBE void
fixture_await_state(struct fixture *fx, const char *id, enum run_state state)
{
	struct run_record run = fixture_await(fx, id, state);
	run_record_release(&run);
}

/* All events as an array; the caller frees. */
MAYBE struct json *
fixture_events(struct fixture *fx, const char *run_id)
{
	struct buf text;
	struct err err = ERR_INIT;
	struct event_page page = { .last = 0, .more = true };
	journal_flush(fx->journal);
	buf_init(&text, 64 << 20);
	buf_add_char(&text, '[');
	for (int64_t from = 1; page.more; from = page.last + 1) {
		size_t before = text.len;
		if (before > 1)
			buf_add_char(&text, ',');
		assert_int_equal(journal_events(fx->journal, from, 0, run_id, 1 << 20, &text, &page, &err), 0);
		if (text.len == before + 1 && before > 1)
			text.len = before;
	}
	buf_add_char(&text, ']');
	struct json *events = json_parse(text.data, text.len, &err);
	if (events == NULL)
		fail_msg("events: %s: %.200s", err.text, text.data);
	buf_release(&text);
	return events;
}

/* Fails unless the run's stored states were exactly these, as "queued running success". */
MAYBE void
fixture_states(struct fixture *fx, const char *id, const char *expected)
{
	char states[2000] = "";
	struct json *events = fixture_events(fx, id);
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event)) {
		size_t len = strlen(states);
		if (strcmp(json_get_string(event, "event", ""), "run") == 0)
			snprintf(states + len, sizeof(states) - len, "%s%s", len ? " " : "", json_get_string(event, "state", ""));
	}
	json_free(events);
	assert_string_equal(states, expected);
}

/* How many log lines of this level the run has with these words; level NULL = any. */
MAYBE int
fixture_lines(struct fixture *fx, const char *id, const char *level, const char *words)
{
	int count = 0;
	struct json *events = fixture_events(fx, id);
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event))
		count += strcmp(json_get_string(event, "event", ""), "log") == 0 &&
		         (level == NULL || strcmp(json_get_string(event, "level", ""), level) == 0) &&
		         strstr(json_get_string(event, "text", ""), words) != NULL;
	json_free(events);
	return count;
}

#endif
