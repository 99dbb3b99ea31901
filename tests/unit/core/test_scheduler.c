/* The scheduler over a real journal and queue: starts, refusals, missed starts, changes by hand, restarts and clocks that are set. The wall
 * clock stands still until a test moves it. */
#include "tests/unit/core/engine_fixture.h"

#include "proto/proto.h"
#include "worker/core/control_internal.h"
#include "worker/core/scheduler.h"
#include "worker/store/journal_schedules.h"

#define HOUR 3600000
#define SECOND 1000

static struct fixture fx;
static struct schedule_settings schedules[4];
static struct scheduler *scheduler;
static _Atomic int64_t wall;

static int64_t
standing_ms(void)
{
	return atomic_load(&wall);
}

static int64_t
moment(const char *text)
{
	int64_t ms;
	if (clock_parse(text, &ms) != 0)
		fail_msg("%s is no moment", text);
	return ms;
}

static int
try_begin(int threads, struct err *err)
{
	fixture_start(&fx, threads);
	struct scheduler_config config = { .journal = fx.journal, .queue = fx.queue, .settings = &fx.settings };
	scheduler = scheduler_start(&config, err);
	return scheduler != NULL ? 0 : -1;
}

static void
begin(int threads)
{
	struct err err = ERR_INIT;
	if (try_begin(threads, &err) != 0)
		fail_msg("%s", err.text);
}

static void
end(void)
{
	queue_stop(fx.queue);
	scheduler_stop(scheduler);
	scheduler = NULL;
	fixture_stop(&fx);
}

static void
set_clock(const char *text)
{
	atomic_store(&wall, moment(text));
	if (scheduler != NULL)
		scheduler_wake(scheduler);
}

static char name_one[] = "one", name_two[] = "two", job_toy[] = "toy", job_global[] = "global", no_params[] = "{}",
            zone_berlin[] = "Europe/Berlin";

static void
set_when(int index, const char *text)
{
	static char texts[4][40];
	snprintf(texts[index], sizeof(texts[0]), "%s", text);
	schedules[index].when = texts[index];
}

static int
set_up(void **state)
{
	(void)state;
	fixture_init(&fx);
	fx.settings.zone = zone_berlin;
	fx.settings.schedules = schedules;
	fx.settings.schedule_count = 1;
	for (int i = 0; i < 4; i++) {
		schedules[i] = (struct schedule_settings){ .name = name_one, .job = job_toy, .shop = 1, .params = no_params };
		set_when(i, "every 1h");
	}
	schedules[1].name = name_two;
	atomic_store(&wall, moment("2026-11-25T10:00:30Z"));
	clock_replace(standing_ms, mono_ms);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (scheduler != NULL)
		end();
	fixture_release(&fx);
	return 0;
}

/* --- what is seen --------------------------------------------------------------------------------------------------- */

/* The whole list; the caller frees. */
static struct json *
list(void)
{
	struct buf text;
	struct err err = ERR_INIT;
	buf_init(&text, 1 << 20);
	json_object_open(&text, NULL);
	scheduler_list(scheduler, &text);
	json_object_close(&text);
	struct json *all = json_parse(text.data, text.len, &err);
	if (all == NULL)
		fail_msg("%s: %s", err.text, text.data);
	buf_release(&text);
	return all;
}

static const struct json *
find(const struct json *all, const char *name)
{
	for (const struct json *one = json_first(json_get(all, "schedules")); one != NULL; one = json_next(one))
		if (strcmp(json_get_string(one, "name", ""), name) == 0)
			return one;
	fail_msg("no schedule %s", name);
	return NULL;
}

static int64_t
number(const char *name, const char *member)
{
	struct json *all = list();
	int64_t value = json_get_int64(find(all, name), member, -1);
	json_free(all);
	return value;
}

/* member: "next" or "missed_starts.first" */
static void
expect_text(const char *name, const char *member, const char *expected)
{
	struct json *all = list();
	char outer[40];
	const char *dot = strchr(member, '.');
	const struct json *one = find(all, name);
	if (dot != NULL) {
		snprintf(outer, sizeof(outer), "%.*s", (int)(dot - member), member);
		one = json_get(one, outer);
		member = dot + 1;
	}
	struct buf text;
	buf_init(&text, 1000);
	json_print(json_get(one, member), &text);
	if (strcmp(buf_text(&text), expected) != 0)
		fail_msg("%s of %s is %s, not %s", member, name, buf_text(&text), expected);
	buf_release(&text);
	json_free(all);
}

static void
await_number(const char *name, const char *member, int64_t least)
{
	pthread_mutex_lock(&woken_lock);
	while (number(name, member) < least)
		wait_woken(); /* by the journal, which beats every second too */
	pthread_mutex_unlock(&woken_lock);
}

/* Until this is the next moment. */
static void
await_next(const char *name, const char *expected)
{
	bool there = false;
	pthread_mutex_lock(&woken_lock);
	while (!there) {
		struct json *all = list();
		there = strcmp(json_get_string(find(all, name), "next", ""), expected) == 0;
		json_free(all);
		if (!there)
			wait_woken();
	}
	pthread_mutex_unlock(&woken_lock);
}

static bool
count_one(const struct run_record *run, void *arg)
{
	(void)run;
	++*(int *)arg;
	return true;
}

static int
count_runs(const char *job, int64_t shop)
{
	int count = 0;
	struct err err = ERR_INIT;
	struct run_filter filter = { .job = job, .shop = shop, .state = -1, .before = "" };
	assert_int_equal(journal_run_list(fx.journal, &filter, count_one, &count, &err), 0);
	return count;
}

static bool
count_open(const struct run_record *run, void *arg)
{
	*(int *)arg += !run_state_terminal(run->state);
	return true;
}

/* Until every run of the job is over. */
static void
await_over(const char *job)
{
	struct err err = ERR_INIT;
	struct run_filter filter = { .job = job, .state = -1, .before = "" };
	int open = 1;
	pthread_mutex_lock(&woken_lock);
	while (open > 0) {
		open = 0;
		assert_int_equal(journal_run_list(fx.journal, &filter, count_open, &open, &err), 0);
		if (open > 0)
			wait_woken();
	}
	pthread_mutex_unlock(&woken_lock);
}

static void
last_run(const char *name, char id[RUN_ID_MAX])
{
	struct json *all = list();
	snprintf(id, RUN_ID_MAX, "%s", json_get_string(find(all, name), "last_run", ""));
	json_free(all);
}

static int
set(struct scheduler_order order, char code[ERR_CODE_MAX])
{
	struct buf out;
	struct err err = ERR_INIT;
	buf_init(&out, 10000);
	json_object_open(&out, NULL);
	int rc = scheduler_set(scheduler, &order, &out, &err);
	json_object_close(&out);
	snprintf(code, ERR_CODE_MAX, "%s", err.code);
	if (rc == 0) {
		struct json *answer = json_parse(out.data, out.len, &err);
		assert_string_equal(json_get_string(answer, "name", ""), order.name);
		json_free(answer);
	}
	buf_release(&out);
	return rc;
}

static void
must_set(struct scheduler_order order)
{
	char code[ERR_CODE_MAX];
	if (set(order, code) != 0)
		fail_msg("%s", code);
}

/* Log lines of no run with these words. */
static int
lines(const char *words)
{
	return fixture_lines(&fx, "", NULL, words);
}

/* --- starts --------------------------------------------------------------------------------------------------------- */

static void
every_shop_is_started(void **state)
{
	char id[RUN_ID_MAX], params[] = "{\"times\":0}";
	(void)state;
	schedules[0].shop = 0;
	schedules[0].params = params;
	begin(2);
	expect_text("one", "next", "\"2026-11-25T11:00:00.000Z\"");
	expect_text("one", "last", "null");
	assert_int_equal(count_runs("toy", 0), 0);
	set_clock("2026-11-25T11:00:00.25Z");
	await_number("one", "fires", 1);
	assert_int_equal(count_runs("toy", 1), 1);
	assert_int_equal(count_runs("toy", 2), 1);
	expect_text("one", "next", "\"2026-11-25T12:00:00.000Z\"");
	expect_text("one", "last", "\"2026-11-25T11:00:00.250Z\"");
	expect_text("one", "late_ms", "250");
	expect_text("one", "late_max_ms", "250");
	expect_text("one", "last_refusal", "null");
	last_run("one", id);
	struct run_record run = fixture_await(&fx, id, RUN_SUCCESS);
	assert_string_equal(run.trigger, "schedule");
	assert_string_equal(run.params, "{\"times\":0}");
	run_record_release(&run);
	struct json *events = fixture_events(&fx, id);
	assert_string_equal(json_get_string(json_first(events), "state", ""), "queued");
	assert_string_equal(json_get_string(json_first(events), "text", ""),
	                    "schedule: one of 2026-11-25T11:00:00.000Z, started 0.250 s late");
	json_free(events);
	await_over("toy");
	set_clock("2026-11-25T12:00:00.003Z");
	await_number("one", "fires", 2);
	expect_text("one", "late_ms", "3");
	expect_text("one", "late_max_ms", "250");
	expect_text("one", "missed_starts.count", "0");
	assert_int_equal(count_runs("toy", 0), 4);
}

static void
local_times_are_those_of_the_zone(void **state)
{
	(void)state;
	set_when(0, "30 2 * * *");
	schedules[0].job = job_global;
	schedules[0].shop = 0;
	atomic_store(&wall, moment("2026-03-28T12:00:00Z"));
	begin(1);
	expect_text("one", "next", "\"2026-03-29T01:00:00.000Z\""); /* after the gap */
	set_clock("2026-03-29T01:00:00Z");
	await_number("one", "fires", 1);
	assert_int_equal(count_runs("global", 0), 1);
	expect_text("one", "next", "\"2026-03-30T00:30:00.000Z\"");
}

static void
a_run_under_way_is_not_doubled(void **state)
{
	char id[RUN_ID_MAX], again[RUN_ID_MAX], params[] = "{\"do\":\"block\"}";
	(void)state;
	schedules[0].params = params;
	begin(1);
	set_clock("2026-11-25T11:00:00Z");
	await_number("one", "fires", 1);
	last_run("one", id);
	fixture_await_blocked(1);
	set_clock("2026-11-25T12:00:00Z");
	await_number("one", "refused", 1);
	expect_text("one", "fires", "1");
	expect_text("one", "last_refusal", "\"ALREADY_RUNNING\"");
	last_run("one", again);
	assert_string_equal(again, id);
	assert_int_equal(count_runs("toy", 0), 1);
	assert_int_equal(lines("schedule one, shop 1: this start is skipped"), 1);
	fixture_gate(true);
	fixture_await_state(&fx, id, RUN_SUCCESS);
	set_clock("2026-11-25T13:00:00Z");
	await_number("one", "fires", 2);
	expect_text("one", "last_refusal", "null");
}

/* The clock of the kernel, and its timer: nobody wakes the thread. */
static void
real_time_needs_no_waking(void **state)
{
	(void)state;
	clock_replace(NULL, NULL);
	set_when(0, "every 1s");
	begin(1);
	await_number("one", "fires", 2);
	assert_true(number("one", "late_max_ms") < SCHEDULER_GRACE_MS);
}

static void
jitter_is_the_same_after_a_restart(void **state)
{
	char next[40];
	int64_t first = 0, sum = 0;
	(void)state;
	schedules[0].jitter_s = 600;
	begin(1);
	for (int hour = 11; hour < 19; hour++) {
		struct json *all = list();
		snprintf(next, sizeof(next), "%s", json_get_string(find(all, "one"), "next", ""));
		json_free(all);
		char base[40], quoted[44];
		snprintf(base, sizeof(base), "2026-11-25T%02d:00:00Z", hour);
		snprintf(quoted, sizeof(quoted), "\"%s\"", next);
		int64_t jitter = moment(next) - moment(base);
		assert_in_range(jitter, 0, 600 * SECOND);
		first = hour == 11 ? jitter : first;
		sum += jitter;
		end();
		begin(1);
		expect_text("one", "next", quoted);
		set_clock(base); /* not yet */
		set_clock(next);
		await_number("one", "fires", hour - 10);
		await_over("toy");
		expect_text("one", "late_ms", "0");
	}
	assert_int_not_equal(sum, first * 8);
	expect_text("one", "missed_starts.count", "0");
	assert_int_equal(count_runs("toy", 1), 8);
}

/* --- missed starts -------------------------------------------------------------------------------------------------- */

static void
missed_starts_are_skipped(void **state)
{
	(void)state;
	begin(1);
	end();
	atomic_store(&wall, moment("2026-11-25T15:30:00Z"));
	begin(1);
	await_next("one", "2026-11-25T16:00:00.000Z");
	expect_text("one", "missed_starts.count", "5");
	expect_text("one", "missed_starts.first", "\"2026-11-25T11:00:00.000Z\"");
	expect_text("one", "missed_starts.last", "\"2026-11-25T15:00:00.000Z\"");
	expect_text("one", "fires", "0");
	assert_int_equal(count_runs("toy", 0), 0);
	assert_int_equal(lines("schedule one: 5 starts were missed from 2026-11-25T11:00:00.000Z to 2026-11-25T15:00:00.000Z"), 1);
	assert_int_equal(lines("none is made up for"), 1);
	end();
	begin(1); /* said once */
	expect_text("one", "missed_starts.count", "5");
	assert_int_equal(lines("starts were missed"), 1);
}

static void
missed_starts_are_made_up_for_once(void **state)
{
	char id[RUN_ID_MAX];
	(void)state;
	schedules[0].missed = MISSED_ONCE;
	begin(1);
	end();
	atomic_store(&wall, moment("2026-11-25T15:30:00Z"));
	begin(1);
	await_number("one", "fires", 1);
	expect_text("one", "missed_starts.count", "5");
	expect_text("one", "late_ms", "1800000");
	expect_text("one", "next", "\"2026-11-25T16:00:00.000Z\"");
	last_run("one", id);
	struct json *events = fixture_events(&fx, id);
	assert_string_equal(json_get_string(json_first(events), "text", ""),
	                    "schedule: one of 2026-11-25T15:00:00.000Z, started 1800.000 s late, for 5 missed since 2026-11-25T11:00:00.000Z");
	json_free(events);
	assert_int_equal(count_runs("toy", 0), 1);
}

static void
little_late_is_in_time(void **state)
{
	(void)state;
	begin(1);
	end();
	atomic_store(&wall, moment("2026-11-25T15:01:00Z")); /* the last one is just late enough not to be missed */
	begin(1);
	await_number("one", "fires", 1);
	await_over("toy");
	expect_text("one", "late_ms", "60000");
	expect_text("one", "missed_starts.count", "4");
	expect_text("one", "missed_starts.last", "\"2026-11-25T14:00:00.000Z\"");
	assert_int_equal(lines("the next one is in time"), 1);
	end();
	atomic_store(&wall, moment("2026-11-25T16:01:00.001Z"));
	begin(1);
	await_next("one", "2026-11-25T17:00:00.000Z");
	expect_text("one", "fires", "1");
	expect_text("one", "missed_starts.count", "5");
	expect_text("one", "missed_starts.first", "\"2026-11-25T11:00:00.000Z\"");
	expect_text("one", "missed_starts.last", "\"2026-11-25T16:00:00.000Z\"");
}

/* --- changes -------------------------------------------------------------------------------------------------------- */

static void
changes_outlive_restarts(void **state)
{
	(void)state;
	begin(1);
	expect_text("one", "source", "\"file\"");
	must_set((struct scheduler_order){ .name = "one", .paused = 1, .who = "somebody" });
	expect_text("one", "paused", "true");
	expect_text("one", "next", "null");
	expect_text("one", "source", "\"change\"");
	expect_text("one", "changed_by", "\"somebody\"");
	expect_text("one", "changed", "\"2026-11-25T10:00:30.000Z\"");
	assert_int_equal(lines("schedule one: paused (somebody)"), 2); /* the audit, and the line of the log */
	end();
	atomic_store(&wall, moment("2026-11-25T15:30:00Z"));
	begin(1);
	expect_text("one", "paused", "true");
	expect_text("one", "next", "null");
	must_set((struct scheduler_order){ .name = "one", .paused = 0, .when = "45 * * * *" });
	expect_text("one", "next", "\"2026-11-25T15:45:00.000Z\""); /* and nothing was missed while it rested */
	expect_text("one", "missed_starts.count", "0");
	assert_true(lines("schedule one: resumed, when every 1h -> 45 * * * *") > 0);
	end();
	begin(1);
	expect_text("one", "when", "\"45 * * * *\"");
	expect_text("one", "file.when", "\"every 1h\"");
	expect_text("one", "source", "\"change\"");
	set_clock("2026-11-25T15:45:00Z");
	await_number("one", "fires", 1);
	await_over("toy");
	must_set((struct scheduler_order){ .name = "one", .paused = -1, .reset = true });
	expect_text("one", "when", "\"every 1h\"");
	expect_text("one", "source", "\"file\"");
	expect_text("one", "next", "\"2026-11-25T16:00:00.000Z\"");
	assert_true(lines("schedule one: back to what the file says") > 0);
}

static void
a_change_that_says_what_the_file_says_is_none(void **state)
{
	(void)state;
	schedules[0].paused = true;
	begin(1);
	expect_text("one", "next", "null");
	must_set((struct scheduler_order){ .name = "one", .paused = 0, .when = "every 1h" });
	expect_text("one", "source", "\"change\"");
	expect_text("one", "next", "\"2026-11-25T11:00:00.000Z\"");
	end();
	schedules[0].paused = false; /* now the file says so too */
	begin(1);
	expect_text("one", "source", "\"file\"");
	end();
	schedules[0].paused = true;
	begin(1);
	expect_text("one", "paused", "true");
}

static void
wrong_changes_are_refused(void **state)
{
	static const struct {
		struct scheduler_order order;
		const char *code;
	} cases[] = {
		{ { .name = "three", .paused = 1 }, "UNKNOWN_SCHEDULE" },
		{ { .name = "", .paused = 1 }, "UNKNOWN_SCHEDULE" },
		{ { .name = "one", .paused = -1 }, "BAD_REQUEST" },
		{ { .name = "one", .paused = 1, .reset = true }, "BAD_REQUEST" },
		{ { .name = "one", .paused = -1, .reset = true, .when = "every 5m" }, "BAD_REQUEST" },
		{ { .name = "one", .paused = -1, .when = "every now and then" }, "BAD_REQUEST" },
		{ { .name = "one", .paused = -1, .when = "" }, "BAD_REQUEST" },
		{ { .name = "one", .paused = -1, .when = "0 0 31 2 *" }, "BAD_REQUEST" },
		{ { .name = "one", .paused = -1, .when = "every 10m" }, "BAD_REQUEST" }, /* not longer than the jitter */
	};
	char code[ERR_CODE_MAX];
	(void)state;
	schedules[0].jitter_s = 600;
	begin(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(set(cases[i].order, code), -1);
		assert_string_equal(code, cases[i].code);
	}
	expect_text("one", "source", "\"file\"");
	expect_text("one", "changed", "null");
}

static void
the_file_may_change(void **state)
{
	(void)state;
	fx.settings.schedule_count = 2;
	begin(1);
	must_set((struct scheduler_order){ .name = "two", .paused = 1 });
	end();
	fx.settings.schedule_count = 1; /* "two" is gone */
	set_when(0, "every 2h");
	atomic_store(&wall, moment("2026-11-25T15:30:00Z"));
	begin(1);
	expect_text("one", "next", "\"2026-11-25T16:00:00.000Z\"");
	expect_text("one", "missed_starts.count", "0"); /* nobody knows when the file was changed */
	assert_int_equal(lines("schedule two is not in the settings any more"), 1);
	end();
	fx.settings.schedule_count = 2;
	begin(1);
	expect_text("two", "paused", "false");
	expect_text("two", "source", "\"file\"");
}

/* --- clocks, kills, disks ------------------------------------------------------------------------------------------- */

static void
a_clock_set_back_brings_no_start_again(void **state)
{
	(void)state;
	begin(1);
	set_clock("2026-11-25T11:00:01Z");
	await_number("one", "fires", 1);
	end();
	atomic_store(&wall, moment("2026-11-25T10:59:30Z"));
	begin(1);
	expect_text("one", "next", "\"2026-11-25T12:00:00.000Z\"");
	set_clock("2026-11-25T11:00:02Z");
	expect_text("one", "fires", "1");
	assert_int_equal(count_runs("toy", 0), 1);
	/* It had been far ahead. */
	set_clock("2027-11-25T11:30:00Z");
	await_next("one", "2027-11-25T12:00:00.000Z");
	set_clock("2026-11-25T11:10:00Z");
	await_next("one", "2026-11-25T12:00:00.000Z");
	end();
	atomic_store(&wall, moment("2026-11-24T11:10:00Z")); /* while nothing ran */
	begin(1);
	expect_text("one", "next", "\"2026-11-24T12:00:00.000Z\"");
}

static void
a_kill_after_the_run_was_stored_starts_no_second(void **state)
{
	char code[ERR_CODE_MAX], key[RUN_KEY_MAX], id[RUN_ID_MAX];
	struct queue_answer answer;
	(void)state;
	begin(1);
	/* As the scheduler does it, killed before its own commit. */
	snprintf(key, sizeof(key), "schedule/one/%lld", (long long)moment("2026-11-25T11:00:00Z"));
	assert_int_equal(fixture_submit(&fx, "toy", 1, key, "{}", &answer, code), 0);
	fixture_await_state(&fx, answer.run_id, RUN_SUCCESS);
	end();
	atomic_store(&wall, moment("2026-11-25T11:00:05Z"));
	begin(1);
	await_number("one", "fires", 1);
	last_run("one", id);
	assert_string_equal(id, answer.run_id);
	assert_int_equal(count_runs("toy", 0), 1);
}

static void
a_stop_keeps_the_start_for_the_next_life(void **state)
{
	(void)state;
	begin(1);
	queue_stop(fx.queue); /* as at a shutdown, the scheduler still runs */
	set_clock("2026-11-25T11:00:00Z");
	end();
	begin(1);
	await_number("one", "fires", 1);
	assert_int_equal(count_runs("toy", 0), 1);
	expect_text("one", "missed_starts.count", "0");
}

static void
a_full_disk_keeps_the_start(void **state)
{
	(void)state;
	fx.free_floor = INT64_MAX;
	begin(0);
	set_clock("2026-11-25T11:00:00Z");
	pthread_mutex_lock(&woken_lock);
	while (lines("tried again until it works") == 0)
		wait_woken();
	pthread_mutex_unlock(&woken_lock);
	assert_int_equal(number("one", "fires") + number("one", "refused"), 0);
	expect_text("one", "next", "\"2026-11-25T11:00:00.000Z\"");
	end();
	fx.free_floor = 0;
	atomic_store(&wall, moment("2026-11-25T11:00:40Z"));
	begin(1);
	await_number("one", "fires", 1);
	expect_text("one", "late_ms", "40000");
	assert_int_equal(count_runs("toy", 0), 1);
}

static void
two_at_once_do_not_wait_for_each_other(void **state)
{
	char params[] = "{\"do\":\"block\"}";
	(void)state;
	fx.settings.schedule_count = 2;
	schedules[0].params = params;
	schedules[1].job = job_global;
	schedules[1].shop = 0;
	begin(2);
	set_clock("2026-11-25T11:00:00Z");
	await_number("one", "fires", 1);
	await_number("two", "fires", 1);
	await_over("global");
	set_clock("2026-11-25T12:00:00Z");
	await_number("one", "refused", 1);
	await_number("two", "fires", 2);
	fixture_gate(true);
}

/* --- check, threads ------------------------------------------------------------------------------------------------- */

static void
wrong_schedules_are_refused_at_the_start(void **state)
{
	static char job_none[] = "none", bad[] = "{\"bad\":1}", zone_none[] = "Mars/Olympus";
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(scheduler_check(&fx.settings, toy_jobs, 3, &err), 0);
	schedules[0].job = job_none;
	assert_int_equal(scheduler_check(&fx.settings, toy_jobs, 3, &err), -1);
	assert_string_equal(err.text, "schedules[0].job: there is no job \"none\"");
	assert_string_equal(err.code, "CONFIG");
	assert_int_equal(try_begin(0, &err), -1);
	fixture_stop(&fx);
	schedules[0].job = job_global;
	assert_int_equal(scheduler_check(&fx.settings, toy_jobs, 3, &err), -1);
	assert_string_equal(err.text, "schedules[0].shop: global runs for all shops at once");
	schedules[0].job = job_toy;
	schedules[0].params = bad;
	assert_int_equal(scheduler_check(&fx.settings, toy_jobs, 3, &err), -1);
	assert_string_equal(err.text, "schedules[0].params: field bad: not wanted");
	assert_string_equal(err.code, "CONFIG");
	schedules[0].params = no_params;
	fx.settings.zone = zone_none;
	assert_int_equal(try_begin(0, &err), -1);
	assert_non_null(strstr(err.text, "Mars/Olympus"));
	fixture_stop(&fx);
	fx.settings.zone = zone_berlin;
	fx.settings.schedule_count = 0;
	begin(0);
	struct json *all = list();
	assert_int_equal(json_size(json_get(all, "schedules")), 0);
	assert_string_equal(json_get_string(all, "zone", ""), "Europe/Berlin");
	json_free(all);
	scheduler_stop(NULL);
}

/* A request as it comes from the socket; the answer is the caller's (proto_reply_release). */
static struct proto_reply
ask(struct control *control, const char *message)
{
	static struct buf reply;
	struct proto_reply read;
	struct err err = ERR_INIT;
	buf_release(&reply);
	buf_init(&reply, 1 << 20);
	control_answer(control, message, strlen(message), &reply);
	if (proto_reply_decode(reply.data, reply.len, &read, &err) != 0)
		fail_msg("%s", err.text);
	buf_release(&reply);
	return read;
}

static void
commands_are_answered(void **state)
{
	static const struct {
		const char *args;
		enum proto_error code;
		const char *says;
	} cases[] = {
		{ "{}", PROTO_BAD_REQUEST, "name" },
		{ "{\"name\":\"\"}", PROTO_UNKNOWN_SCHEDULE, "" },
		{ "{\"name\":\"three\",\"paused\":true}", PROTO_UNKNOWN_SCHEDULE, "three" },
		{ "{\"name\":\"one\"}", PROTO_BAD_REQUEST, "field paused" },
		{ "{\"name\":\"one\",\"reset\":false}", PROTO_BAD_REQUEST, "field paused" },
		{ "{\"name\":\"one\",\"paused\":1}", PROTO_BAD_REQUEST, "paused" },
		{ "{\"name\":\"one\",\"when\":\"never\"}", PROTO_BAD_REQUEST, "field when: \"never\": not understood: minute" },
		{ "{\"name\":\"one\",\"paused\":true,\"reset\":true}", PROTO_BAD_REQUEST, "field reset" },
		{ "{\"name\":\"one\",\"paused\":true,\"why\":\"so\"}", PROTO_BAD_REQUEST, "why" },
	};
	char message[300];
	(void)state;
	begin(0);
	struct control control = { .config = { .journal = fx.journal, .queue = fx.queue, .settings = &fx.settings, .scheduler = scheduler } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(message, sizeof(message), "{\"v\":1,\"cmd\":\"schedule_set\",\"args\":%s}", cases[i].args);
		struct proto_reply refused = ask(&control, message);
		if (refused.ok || refused.code != cases[i].code || strstr(refused.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].args, refused.ok ? "taken" : refused.text);
		proto_reply_release(&refused);
	}
	struct proto_reply reply = ask(&control, "{\"v\":1,\"cmd\":\"schedule_set\",\"args\":{\"name\":\"one\",\"paused\":true,\"who\":\"me\"}}");
	assert_true(reply.ok);
	assert_true(json_get_bool(reply.data, "paused", false));
	proto_reply_release(&reply);
	reply = ask(&control, "{\"v\":1,\"cmd\":\"schedule_list\",\"args\":{}}");
	assert_true(reply.ok);
	assert_string_equal(json_get_string(find(reply.data, "one"), "changed_by", ""), "me");
	proto_reply_release(&reply);
	control.config.scheduler = NULL;
	reply = ask(&control, "{\"v\":1,\"cmd\":\"schedule_list\",\"args\":{}}");
	assert_int_equal(json_size(json_get(reply.data, "schedules")), 0);
	proto_reply_release(&reply);
	reply = ask(&control, "{\"v\":1,\"cmd\":\"schedule_set\",\"args\":{\"name\":\"one\",\"paused\":true}}");
	assert_int_equal(reply.code, PROTO_UNKNOWN_SCHEDULE);
	proto_reply_release(&reply);
}

/* As many as the settings may have, each as long as it may be: the answer fits. */
static void
the_longest_list_fits(void **state)
{
	static struct schedule_settings many[SCHEDULES_MAX];
	static char names[SCHEDULES_MAX][SCHEDULE_NAME_MAX];
	char who[101], when[101], message[300];
	(void)state;
	memset(who, '"', 100);
	who[100] = '\0';
	snprintf(when, sizeof(when), "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31 0 * * *");
	for (int i = 0; i < SCHEDULES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%060d", i);
		many[i] = (struct schedule_settings){ .name = names[i], .job = job_toy, .shop = 1, .when = when, .params = no_params };
	}
	fx.settings.schedules = many;
	fx.settings.schedule_count = SCHEDULES_MAX;
	begin(0);
	for (int i = 0; i < SCHEDULES_MAX; i++)
		must_set((struct scheduler_order){ .name = names[i], .paused = 1, .who = who });
	struct control control = { .config = { .scheduler = scheduler } };
	struct proto_reply reply = ask(&control, "{\"v\":1,\"cmd\":\"schedule_list\",\"args\":{}}");
	assert_true(reply.ok);
	assert_int_equal(json_size(json_get(reply.data, "schedules")), SCHEDULES_MAX);
	proto_reply_release(&reply);
	snprintf(message, sizeof(message), "{\"v\":1,\"cmd\":\"schedule_set\",\"args\":{\"name\":\"%s\",\"reset\":true}}", names[99]);
	reply = ask(&control, message);
	assert_true(reply.ok);
	proto_reply_release(&reply);
}

static atomic_bool changing;

static void *
change_again_and_again(void *arg)
{
	char code[ERR_CODE_MAX];
	for (int i = 0; i < 60; i++)
		if (set((struct scheduler_order){ .name = arg, .paused = i % 2, .when = i % 3 ? "every 1s" : "* * * * *" }, code) != 0)
			abort();
	must_set((struct scheduler_order){ .name = arg, .paused = -1, .reset = true });
	atomic_store(&changing, false);
	return NULL;
}

static void
changed_and_read_from_many_threads(void **state)
{
	pthread_t thread;
	(void)state;
	clock_replace(NULL, NULL);
	fx.settings.schedule_count = 2;
	set_when(0, "every 1s");
	set_when(1, "every 1s");
	begin(2);
	atomic_store(&changing, true);
	assert_int_equal(pthread_create(&thread, NULL, change_again_and_again, name_two), 0);
	while (atomic_load(&changing))
		assert_true(number("one", "fires") >= 0);
	pthread_join(thread, NULL);
	await_number("one", "fires", 1);
	await_number("two", "fires", 1);
	expect_text("two", "source", "\"file\"");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_shop_is_started), TEST(local_times_are_those_of_the_zone), TEST(a_run_under_way_is_not_doubled),
		TEST(real_time_needs_no_waking), TEST(jitter_is_the_same_after_a_restart), TEST(missed_starts_are_skipped),
		TEST(missed_starts_are_made_up_for_once), TEST(little_late_is_in_time), TEST(changes_outlive_restarts),
		TEST(a_change_that_says_what_the_file_says_is_none), TEST(wrong_changes_are_refused), TEST(the_file_may_change),
		TEST(a_clock_set_back_brings_no_start_again), TEST(a_kill_after_the_run_was_stored_starts_no_second),
		TEST(a_stop_keeps_the_start_for_the_next_life), TEST(a_full_disk_keeps_the_start),
		TEST(two_at_once_do_not_wait_for_each_other), TEST(wrong_schedules_are_refused_at_the_start),
		TEST(commands_are_answered), TEST(the_longest_list_fits),
		TEST(changed_and_read_from_many_threads),
	};
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
