/* Tests of worker/store: the figures agree with the history to the last run, before and after retention took some of it. */
#include "journal_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define HISTORY_MAX 4000

static _Atomic int64_t wall = 1795496657123;

static int64_t
fake_now(void)
{
	return atomic_load(&wall);
}

static int
make_clock(void **state)
{
	atomic_store(&wall, 1795496657123);
	clock_replace(fake_now, NULL);
	return make_folder(state);
}

static struct run_record
begin(struct journal *journal, const char *job, int64_t shop, int64_t wait_ms)
{
	struct run_record run = add_run(journal, job, shop);

	atomic_fetch_add(&wall, wait_ms);
	run.started_ms = clock_now_ms();
	run.attempt = 1;
	move_run(journal, &run, RUN_RUNNING, "");
	return run;
}

static void
end(struct journal *journal, struct run_record *run, enum run_state state, int64_t duration_ms, const char *error)
{
	run->duration_ms = duration_ms;
	snprintf(run->error_text, sizeof(run->error_text), "%s", error);
	run->finished_ms = clock_now_ms();
	move_run(journal, run, state, "");
	run_record_release(run);
}

/* A run of one minute's wait at most and no length of its own on the clock. */
static void
finish(struct journal *journal, enum run_state state, int64_t duration, int attempt, const char *error)
{
	struct run_record run = add_run(journal, "sync", 1);

	run.attempt = attempt;
	if (state != RUN_CANCELLED)
		move_run(journal, &run, RUN_RUNNING, "");
	end(journal, &run, state, duration, error);
}

static struct run_kpi
figures_of(struct journal *journal, const char *job, int64_t shop, int64_t span_ms)
{
	const struct kpi_query query = { .job = job, .shop = shop, .span_ms = span_ms };
	struct run_kpi kpi;
	struct err err = ERR_INIT;

	if (journal_run_kpi(journal, &query, &kpi, &err) != 0)
		fail_msg("journal_run_kpi: %s", err.text);
	return kpi;
}

static void
nothing_ran_yet(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	const struct kpi_query long_one = { .job = "sync", .span_ms = KPI_WINDOW_MS + 1 };
	struct run_kpi kpi = figures_of(journal, "sync", 0, INT64_MAX);
	struct run_record run;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(kpi.runs + kpi.p99_ms + kpi.timed + kpi.waited + kpi.last_success_ms + kpi.failures, 0);
	assert_int_equal(kpi.day_count, 0);
	run_kpi_release(&kpi);
	assert_int_equal(journal_run_kpi(journal, &long_one, &kpi, &err), -1);
	assert_string_equal(err.code, "BAD_REQUEST");
	assert_int_equal(journal_run_last(journal, "sync", 1, false, &run, &err), 0);
	assert_int_equal(journal_run_last(journal, "sync", 1, true, &run, &err), 0);
	journal_close(journal);
}

static void
a_window_and_ever(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	finish(journal, RUN_FAILED, 1000000, 3, "of yesterday");
	atomic_fetch_add(&wall, 100000);
	for (int i = 100; i >= 1; i--)
		finish(journal, i == 50 ? RUN_PARTIAL : RUN_SUCCESS, i, 1, "");
	struct run_kpi kpi = figures_of(journal, "sync", 0, 100000 - 1);
	assert_int_equal(kpi.runs, 100);
	assert_int_equal(kpi.success, 99);
	assert_int_equal(kpi.partial, 1);
	assert_int_equal(kpi.failed, 0);
	assert_int_equal(kpi.retries, 0);
	assert_int_equal(kpi.average_ms, 50);
	assert_int_equal(kpi.max_ms, 100);
	assert_int_equal(kpi.p50_ms, 50);
	assert_int_equal(kpi.p95_ms, 95);
	assert_int_equal(kpi.p99_ms, 99);
	assert_string_equal(kpi.last_error, "");
	assert_int_equal(kpi.failures, 0);
	run_kpi_release(&kpi);
	atomic_fetch_add(&wall, 1);
	finish(journal, RUN_FAILED, 7, 2, "SQL Server away");
	finish(journal, RUN_CANCELLED, -1, 0, "asked");
	struct run_record open = add_run(journal, "sync", 1); /* not over: not counted */
	kpi = figures_of(journal, "sync", 0, INT64_MAX);
	assert_int_equal(kpi.runs, 103);
	assert_int_equal(kpi.failed, 2);
	assert_int_equal(kpi.cancelled, 1);
	assert_int_equal(kpi.retries, 3);
	assert_int_equal(kpi.max_ms, 1000000);
	assert_int_equal(kpi.timed, 102);
	assert_string_equal(kpi.last_error, "SQL Server away");
	assert_int_equal(kpi.failures, 1);
	assert_int_equal(kpi.last_success_ms, clock_now_ms() - 1);
	run_kpi_release(&kpi);
	kpi = figures_of(journal, "other", 0, INT64_MAX);
	assert_int_equal(kpi.runs, 0);
	run_kpi_release(&kpi);
	run_record_release(&open);
	journal_close(journal);
}

static void
the_last_run_and_the_last_that_ended(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record got;
	struct err err = ERR_INIT;

	(void)state;
	struct run_record first = begin(journal, "sync", 1, 5), waiting = add_run(journal, "sync", 2);
	assert_int_equal(journal_run_last(journal, "sync", 1, true, &got, &err), 0);
	assert_int_equal(journal_run_last(journal, "sync", 1, false, &got, &err), 1);
	assert_string_equal(got.id, first.id);
	run_record_release(&got);
	end(journal, &first, RUN_FAILED, 10, "no");
	struct run_record second = begin(journal, "sync", 1, 5);
	assert_int_equal(journal_run_last(journal, "sync", 1, false, &got, &err), 1);
	assert_string_equal(got.id, second.id);
	run_record_release(&got);
	assert_int_equal(journal_run_last(journal, "sync", 1, true, &got, &err), 1);
	assert_string_equal(got.error_text, "no");
	run_record_release(&got);
	assert_int_equal(journal_run_last(journal, "sync", 2, true, &got, &err), 0);
	assert_int_equal(journal_run_last(journal, "sync", 3, false, &got, &err), 0);
	run_record_release(&second);
	run_record_release(&waiting);
	journal_close(journal);
}

/* --- against the history --- */

static struct {
	struct run_record runs[HISTORY_MAX];
	size_t count;
} history;

static bool
remember(const struct run_record *run, void *arg)
{
	(void)arg;
	assert_true(history.count < HISTORY_MAX);
	history.runs[history.count++] = *run;
	return true;
}

static int
by_end(const void *a, const void *b)
{
	const struct run_record *left = a, *right = b;

	if (left->finished_ms != right->finished_ms)
		return left->finished_ms > right->finished_ms ? 1 : -1;
	return strcmp(strrchr(left->id, '.'), strrchr(right->id, '.'));
}

static void
read_history(struct journal *journal)
{
	struct run_filter filter = { .state = -1 };
	struct err err = ERR_INIT;

	history.count = 0;
	assert_int_equal(journal_run_list(journal, &filter, remember, NULL, &err), 0);
	qsort(history.runs, history.count, sizeof(history.runs[0]), by_end);
}

static int
by_value(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void
count_lengths(struct run_kpi *kpi, int64_t *lengths)
{
	int64_t sum = 0;

	qsort(lengths, (size_t)kpi->timed, sizeof(*lengths), by_value);
	for (int64_t i = 0; i < kpi->timed; i++)
		sum += lengths[i];
	if (kpi->timed == 0)
		return;
	kpi->average_ms = sum / kpi->timed;
	kpi->max_ms = lengths[kpi->timed - 1];
	kpi->p50_ms = lengths[(kpi->timed * 50 + 99) / 100 - 1];
	kpi->p95_ms = lengths[(kpi->timed * 95 + 99) / 100 - 1];
	kpi->p99_ms = lengths[(kpi->timed * 99 + 99) / 100 - 1];
}

/* How many failed at the end of each shop's row; the most. */
static void
count_failures(struct run_kpi *kpi, const char *job, int64_t shop)
{
	for (int64_t one = 0; one <= 9; one++) {
		int64_t failures = 0;
		for (size_t i = 0; i < history.count; i++) {
			const struct run_record *run = &history.runs[i];
			if (strcmp(run->job, job) != 0 || run->shop != one || (shop != 0 && one != shop) || !run_state_terminal(run->state))
				continue;
			bool good = run->state == RUN_SUCCESS || run->state == RUN_PARTIAL;
			if (good && run->finished_ms > kpi->last_success_ms)
				kpi->last_success_ms = run->finished_ms;
			failures = good ? 0 : failures + (run->state == RUN_FAILED);
		}
		if (failures > kpi->failures)
			kpi->failures = failures;
	}
}

/* The figures as anybody would count them, one run after the other. */
static struct run_kpi
count_history(const char *job, int64_t shop, int64_t span_ms, int64_t offset_ms)
{
	static int64_t lengths[HISTORY_MAX];
	static struct kpi_day days[HISTORY_MAX];
	struct run_kpi kpi = { .days = days };
	int64_t since = span_ms == INT64_MAX ? 0 : clock_now_ms() - span_ms, waits = 0;

	for (size_t i = 0; i < history.count; i++) {
		const struct run_record *run = &history.runs[i];
		int64_t wait = run->started_ms - run->queued_ms, day = (run->finished_ms + offset_ms) / DAY_MS;
		if (strcmp(run->job, job) != 0 || (shop != 0 && run->shop != shop) || !run_state_terminal(run->state) ||
		    run->finished_ms < since)
			continue;
		if (kpi.day_count == 0 || days[kpi.day_count - 1].day != day)
			days[kpi.day_count++] = (struct kpi_day){ .day = day };
		struct kpi_day *of = &days[kpi.day_count - 1];
		of->runs++, kpi.runs++;
		of->success += run->state == RUN_SUCCESS, kpi.success += run->state == RUN_SUCCESS;
		of->partial += run->state == RUN_PARTIAL, kpi.partial += run->state == RUN_PARTIAL;
		of->failed += run->state == RUN_FAILED, kpi.failed += run->state == RUN_FAILED;
		of->cancelled += run->state == RUN_CANCELLED, kpi.cancelled += run->state == RUN_CANCELLED;
		of->pushed += run->changed, kpi.pushed += run->changed;
		of->refused += run->failed, kpi.refused += run->failed;
		kpi.retries += run->attempt > 1 ? run->attempt - 1 : 0;
		if (run->duration_ms >= 0)
			lengths[kpi.timed++] = run->duration_ms;
		if (run->started_ms > 0) {
			kpi.waited++, waits += wait;
			kpi.wait_max_ms = wait > kpi.wait_max_ms ? wait : kpi.wait_max_ms;
		}
		if (run->state == RUN_FAILED)
			snprintf(kpi.last_error, sizeof(kpi.last_error), "%s", run->error_text);
	}
	kpi.wait_average_ms = kpi.waited > 0 ? waits / kpi.waited : 0;
	count_lengths(&kpi, lengths);
	count_failures(&kpi, job, shop);
	return kpi;
}

static void
assert_same(const struct run_kpi *got, const struct run_kpi *want)
{
	assert_int_equal(got->runs, want->runs);
	assert_int_equal(got->success, want->success);
	assert_int_equal(got->partial, want->partial);
	assert_int_equal(got->failed, want->failed);
	assert_int_equal(got->cancelled, want->cancelled);
	assert_int_equal(got->retries, want->retries);
	assert_int_equal(got->pushed, want->pushed);
	assert_int_equal(got->refused, want->refused);
	assert_int_equal(got->timed, want->timed);
	assert_int_equal(got->average_ms, want->average_ms);
	assert_int_equal(got->max_ms, want->max_ms);
	assert_int_equal(got->p50_ms, want->p50_ms);
	assert_int_equal(got->p95_ms, want->p95_ms);
	assert_int_equal(got->p99_ms, want->p99_ms);
	assert_int_equal(got->waited, want->waited);
	assert_int_equal(got->wait_average_ms, want->wait_average_ms);
	assert_int_equal(got->wait_max_ms, want->wait_max_ms);
	assert_string_equal(got->last_error, want->last_error);
	assert_int_equal(got->last_success_ms, want->last_success_ms);
	assert_int_equal(got->failures, want->failures);
	assert_int_equal(got->day_count, want->day_count);
	assert_memory_equal(got->days, want->days, got->day_count * sizeof(*got->days));
}

static const char *const jobs[] = { "sync", "orders", "global" };

/* Every job, shop and window against the history last read. */
static void
compare_all(struct journal *journal, int64_t offset_ms)
{
	static const int64_t spans[] = { DAY_MS, 7 * DAY_MS, INT64_MAX };

	for (size_t job = 0; job < 3; job++)
		for (int64_t shop = 0; shop <= 4; shop++)
			for (size_t span = 0; span < 3; span++) {
				struct run_kpi want = count_history(jobs[job], shop, spans[span], offset_ms);
				struct run_kpi got = figures_of(journal, jobs[job], shop, spans[span]);
				assert_same(&got, &want);
				run_kpi_release(&got);
			}
}

static uint32_t seed;

static uint32_t
dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

/* One run of one job and shop, ended somehow some time later. */
static void
one_of_many(struct journal *journal)
{
	static const enum run_state ends[] = { RUN_SUCCESS, RUN_SUCCESS, RUN_PARTIAL, RUN_FAILED, RUN_FAILED, RUN_FAILED, RUN_CANCELLED };
	const char *job = jobs[dice(3)];
	enum run_state state = ends[dice(7)];
	int64_t shop = strcmp(job, "global") == 0 ? 0 : 1 + dice(3);
	char error[40];

	snprintf(error, sizeof(error), "error %u", dice(1000));
	if (state == RUN_CANCELLED && dice(2)) { /* before it began */
		struct run_record run = add_run(journal, job, shop);
		end(journal, &run, state, -1, "");
	} else {
		struct run_record run = begin(journal, job, shop, dice(5000));
		run.changed = dice(100);
		run.failed = dice(10);
		run.attempt = 1 + (int)dice(3);
		int64_t duration = dice(60000);
		atomic_fetch_add(&wall, duration);
		end(journal, &run, state, duration, error);
	}
	atomic_fetch_add(&wall, (int64_t)dice(200) * MINUTE_MS);
}

static void
retain(struct journal *journal, int64_t runs_days, struct journal_retention_pass *pass)
{
	const struct journal_retention rules = { .days = 3650, .runs_days = runs_days };
	struct err err = ERR_INIT;

	if (journal_retention_pass(journal, &rules, pass, &err) != 0)
		fail_msg("journal_retention_pass: %s", err.text);
}

static void
release_history(void)
{
	history.count = 0;
}

/* remember() keeps the fixed parts only: the texts on the heap are not looked at. */
static void
figures_agree_with_the_history(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct journal_retention_pass pass;

	(void)state;
	seed = 7;
	for (int i = 0; i < 400; i++) {
		one_of_many(journal);
		if (i % 57 == 0) {
			read_history(journal);
			compare_all(journal, 0);
		}
	}
	read_history(journal); /* of before; what retention takes is still in it */
	compare_all(journal, 0);
	size_t all = history.count;
	retain(journal, 14, &pass);
	assert_true(pass.runs > 100);
	compare_all(journal, 0);
	for (int round = 0; round < 3; round++) { /* time goes by, and more is taken */
		atomic_fetch_add(&wall, 5 * DAY_MS);
		retain(journal, 1 /* means KPI_WINDOW_MS */, &pass);
		assert_int_equal(pass.runs > 0, round < 2);
		compare_all(journal, 0);
	}
	read_history(journal);
	assert_true(history.count >= 7 && history.count < all / 4); /* one of each job and shop at least */
	journal_close(journal);
	journal = open_with(NULL, 100);
	struct run_kpi kpi = figures_of(journal, "sync", 0, INT64_MAX), shop = { 0 };
	int64_t runs = 0;
	for (int64_t one = 1; one <= 3; one++) {
		shop = figures_of(journal, "sync", one, INT64_MAX);
		runs += shop.runs;
		run_kpi_release(&shop);
	}
	assert_int_equal(kpi.runs, runs);
	run_kpi_release(&kpi);
	journal_close(journal);
	release_history();
}

struct other {
	struct journal *journal;
	atomic_bool over;
};

static void *
retain_meanwhile(void *arg)
{
	struct other *other = arg;
	struct journal_retention_pass pass;

	retain(other->journal, 8, &pass);
	atomic_store(&other->over, true);
	return NULL;
}

/* Whoever reads while retention works sees each run once. */
static void
readers_beside_retention(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct other other = { .journal = journal };
	int64_t looks = 0;
	pthread_t thread;

	(void)state;
	seed = 13;
	for (int i = 0; i < 900; i++)
		one_of_many(journal);
	struct run_kpi before = figures_of(journal, "sync", 0, INT64_MAX);
	atomic_fetch_add(&wall, 30 * DAY_MS);
	assert_int_equal(pthread_create(&thread, NULL, retain_meanwhile, &other), 0);
	do {
		struct run_kpi now = figures_of(journal, "sync", 0, INT64_MAX);
		assert_same(&now, &before);
		run_kpi_release(&now);
		looks++;
	} while (!atomic_load(&other.over));
	pthread_join(thread, NULL);
	assert_true(looks > 1);
	run_kpi_release(&before);
	journal_close(journal);
}

/* --- days --- */

static int64_t
day_east(int64_t time_ms, void *arg)
{
	return (time_ms + *(const int64_t *)arg) / DAY_MS;
}

static void
days_are_those_of_the_zone(void **state)
{
	int64_t offset = 3 * 3600 * 1000;
	struct journal_config config = { .path = path, .boot = "b-1", .queue_max = 100, .day_of = day_east, .day_arg = &offset };
	struct journal_retention_pass pass;
	struct err err = ERR_INIT;
	struct journal *journal = journal_open(&config, &err);

	(void)state;
	assert_non_null(journal);
	atomic_store(&wall, 20781 * DAY_MS + 20 * 3600 * 1000);
	for (int hour = 20; hour < 23; hour++, atomic_fetch_add(&wall, 3600 * 1000))
		finish(journal, RUN_SUCCESS, 10, 1, "");
	read_history(journal);
	compare_all(journal, offset);
	struct run_kpi kpi = figures_of(journal, "sync", 1, DAY_MS);
	assert_int_equal(kpi.day_count, 2);
	assert_int_equal(kpi.days[0].day, 20781);
	assert_int_equal(kpi.days[0].runs, 1);
	assert_int_equal(kpi.days[1].runs, 2);
	run_kpi_release(&kpi);
	atomic_fetch_add(&wall, 20 * DAY_MS);
	retain(journal, 8, &pass);
	assert_int_equal(pass.runs, 2); /* the newest stays */
	compare_all(journal, offset);
	journal_close(journal);
	release_history();
}

static void
old_days_are_left_out(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct journal_retention_pass pass;

	(void)state;
	for (int i = 0; i < KPI_DAYS_MAX + 20; i++, atomic_fetch_add(&wall, DAY_MS))
		finish(journal, RUN_SUCCESS, 10, 1, "");
	for (int round = 0; round < 2; round++) {
		struct run_kpi kpi = figures_of(journal, "sync", 0, INT64_MAX);
		assert_int_equal(kpi.runs, KPI_DAYS_MAX + 20);
		assert_int_equal(kpi.day_count, KPI_DAYS_MAX);
		assert_int_equal(kpi.days[KPI_DAYS_MAX - 1].day, (clock_now_ms() - DAY_MS) / DAY_MS);
		assert_int_equal(kpi.days[0].day, kpi.days[KPI_DAYS_MAX - 1].day - KPI_DAYS_MAX + 1);
		run_kpi_release(&kpi);
		retain(journal, 30, &pass);
		assert_int_equal(pass.runs > 300, round == 0);
	}
	journal_close(journal);
}

/* --- a kill --- */

/* Killed at any moment of the pass, no run is counted twice or not at all. */
static void
a_kill_in_the_middle_counts_each_run_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct journal_retention_pass pass;

	(void)state;
	seed = 11;
	for (int i = 0; i < 300; i++)
		one_of_many(journal);
	atomic_fetch_add(&wall, 30 * DAY_MS);
	read_history(journal);
	journal_close(journal);
	for (int round = 0; round < 12; round++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct timespec some = { .tv_nsec = 300000 * (round + 1) };
			clock_replace(fake_now, NULL);
			journal = open_with(NULL, 100);
			timer_t timer;
			struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
			struct itimerspec when = { .it_value = some };
			if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &when, NULL) != 0)
				_exit(9);
			retain(journal, 8, &pass);
			_exit(0);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
		journal = open_with(NULL, 100);
		compare_all(journal, 0);
		journal_close(journal);
	}
	journal = open_with(NULL, 100);
	retain(journal, 8, &pass);
	compare_all(journal, 0);
	struct run_filter filter = { .state = -1 };
	struct err err = ERR_INIT;
	history.count = 0;
	assert_int_equal(journal_run_list(journal, &filter, remember, NULL, &err), 0);
	assert_int_equal(history.count, 7);
	journal_close(journal);
	release_history();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_clock, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_ran_yet),
		TEST(a_window_and_ever),
		TEST(the_last_run_and_the_last_that_ended),
		TEST(figures_agree_with_the_history),
		TEST(readers_beside_retention),
		TEST(days_are_those_of_the_zone),
		TEST(old_days_are_left_out),
		TEST(a_kill_in_the_middle_counts_each_run_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
