/* Tests of worker/store: retention by age and size: what goes, what stays, what readers are told, and that nobody waits for it.
 * JOURNAL_EVENTS=n: how many lines the last test deletes beside a running job. */
#include "journal_fixture.h"

#include <stdatomic.h>
#include <sys/stat.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)

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

static void
say_now(struct journal *journal, const char *run, int count)
{
	struct log_line line = { .time_ms = clock_now_ms(), .level = LEVEL_INFO, .run = run, .job = run[0] ? "sync" : "",
		                     .step = "fetch", .text = "a line of the usual length, as jobs say it once a page or batch" };

	for (int i = 0; i < count; i++)
		journal_log(journal, &line, 0);
	journal_flush(journal);
}

static struct journal_retention_pass
pass_of(struct journal *journal, const struct journal_retention *rules)
{
	struct journal_retention_pass pass;
	struct err err = ERR_INIT;

	if (journal_retention_pass(journal, rules, &pass, &err) != 0)
		fail_msg("journal_retention_pass: %s", err.text);
	return pass;
}

/* first number still there; all from there to the end are. */
static int64_t
oldest_of(struct journal *journal)
{
	struct event_page page;
	struct json *list = read_events(journal, 1, 0, "", 30 * 1024 * 1024, &page);
	const struct json *first = json_first(list);
	int64_t oldest = json_get_int64(first, "seq", 0), next = oldest;

	for (const struct json *event = first; event; event = json_next(event))
		assert_int_equal(json_get_int64(event, "seq", 0), next++);
	assert_false(page.more);
	assert_int_equal(next, journal_last(journal) + 1);
	if (first)
		assert_int_equal(page.oldest, oldest);
	else
		assert_int_equal(page.oldest, journal_last(journal) + 1);
	json_free(list);
	return first ? oldest : journal_last(journal) + 1;
}

static struct run_record
ended_run(struct journal *journal, int64_t shop, int items)
{
	struct run_record run = add_run(journal, "sync", shop);
	struct item_record item = { .sku = "ART-1", .sku_id = 17, .outcome = ITEM_PUSHED, .reason = "delta",
		                        .text = "a text of some length, so that an item takes its room in the file" };
	struct item_record *list = calloc((size_t)items + 1, sizeof(*list));
	struct err err = ERR_INIT;

	for (int i = 0; i < items; i++)
		list[i] = item;
	move_run(journal, &run, RUN_RUNNING, "");
	assert_int_equal(journal_items_add(journal, run.id, list, (size_t)items, &err), 0);
	run.finished_ms = clock_now_ms();
	run.duration_ms = 5;
	move_run(journal, &run, RUN_SUCCESS, "");
	free(list);
	return run;
}

static bool
count_item(const struct item_record *item, void *arg)
{
	(void)item;
	++*(int64_t *)arg;
	return true;
}

static int64_t
items_of(struct journal *journal, const char *run)
{
	int64_t count = 0;
	struct err err = ERR_INIT;

	assert_int_equal(journal_items_list(journal, run, -1, 0, 0, count_item, &count, &err), 0);
	return count;
}

static int64_t
items_gone(struct journal *journal, const char *run)
{
	int64_t count = -1;
	struct err err = ERR_INIT;

	assert_int_equal(journal_items_gone(journal, run, &count, &err), 0);
	return count;
}

static bool
is_there(struct journal *journal, const char *id)
{
	struct run_record run;
	struct err err = ERR_INIT;
	int found = journal_run_get(journal, id, &run, &err);

	assert_true(found >= 0);
	run_record_release(&run);
	return found == 1;
}

/* --- lines --- */

static void
old_lines_go_and_numbers_stay_used(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 10000);

	(void)state;
	say_now(journal, "", 1500);
	atomic_fetch_add(&wall, 10 * DAY_MS);
	say_now(journal, "", 2000);
	assert_int_equal(pass_of(journal, &rules).events, 0);
	atomic_fetch_add(&wall, 20 * DAY_MS); /* exactly 30 days: not older */
	assert_int_equal(pass_of(journal, &rules).events, 0);
	atomic_fetch_add(&wall, 1);
	assert_int_equal(pass_of(journal, &rules).events, 1500);
	assert_int_equal(oldest_of(journal), 1501);
	atomic_fetch_add(&wall, 100 * DAY_MS);
	assert_int_equal(pass_of(journal, &rules).events, 1000); /* the newest thousand stay */
	assert_int_equal(oldest_of(journal), 2501);
	journal_close(journal);
	journal = open_with(NULL, 100);
	say_now(journal, "", 1);
	assert_int_equal(journal_last(journal), 3501);
	journal_close(journal);
}

static void
lines_somebody_needs_stay(void **state)
{
	const struct journal_retention rules = { .days = 1, .runs_days = 90 }, tiny = { .days = 1, .runs_days = 90, .max_bytes = 1 };
	struct journal *journal = open_with(NULL, 10000);

	(void)state;
	say_now(journal, "", 4000);
	atomic_fetch_add(&wall, 2 * DAY_MS);
	journal_keep_from(journal, "mirror", 1);
	journal_keep_from(journal, "other", 700);
	assert_int_equal(pass_of(journal, &rules).events, 0);
	journal_keep_from(journal, "mirror", 501);
	assert_int_equal(pass_of(journal, &rules).events, 500);
	struct journal_retention_pass pass = pass_of(journal, &tiny); /* nor does size take them */
	assert_int_equal(pass.events, 0);
	assert_true(pass.too_large);
	journal_keep_from(journal, "mirror", INT64_MAX);
	assert_int_equal(pass_of(journal, &rules).events, 199);
	assert_int_equal(oldest_of(journal), 700);
	journal_keep_from(journal, "other", INT64_MAX);
	pass_of(journal, &rules);
	assert_int_equal(oldest_of(journal), 3001);
	journal_close(journal);
}

/* A clock that was wrong for a while does not keep the lines behind for years. */
static void
lines_of_the_future_hold_nothing_up(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 10000);

	(void)state;
	atomic_fetch_add(&wall, 2000 * DAY_MS);
	say_now(journal, "", 400);
	atomic_fetch_sub(&wall, 2000 * DAY_MS);
	say_now(journal, "", 400);
	atomic_fetch_add(&wall, 31 * DAY_MS);
	say_now(journal, "", 1000);
	assert_int_equal(pass_of(journal, &rules).events, 800);
	journal_close(journal);
}

static void
readers_are_told_what_is_gone(void **state)
{
	const struct journal_retention rules = { .days = 1, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 10000);
	struct event_page page;

	(void)state;
	say_now(journal, "sync.1.000000000001", 600);
	atomic_fetch_add(&wall, 2 * DAY_MS);
	say_now(journal, "sync.1.000000000002", 1000);
	pass_of(journal, &rules);
	struct json *list = read_events(journal, 1, 100, "", 100000, &page); /* all of it is gone: no endless wait */
	assert_int_equal(page.count, 0);
	assert_int_equal(page.oldest, 601);
	assert_int_equal(page.last, 100);
	assert_false(page.more);
	json_free(list);
	list = read_events(journal, 590, 610, "", 100000, &page);
	assert_int_equal(page.count, 10);
	assert_int_equal(json_get_int64(json_first(list), "seq", 0), 601);
	json_free(list);
	list = read_events(journal, 1, 0, "sync.1.000000000001", 100000, &page);
	assert_int_equal(page.count, 0);
	assert_int_equal(page.oldest, 601);
	assert_int_equal(page.last, 1600);
	json_free(list);
	list = read_events(journal, 1, 0, "sync.1.000000000002", 1000, &page);
	assert_true(page.count > 0 && page.more && page.oldest == 601);
	json_free(list);
	list = read_events(journal, 5000, 0, "", 1000, &page); /* ahead of everything */
	assert_int_equal(page.count, 0);
	assert_int_equal(page.last, 4999);
	json_free(list);
	journal_close(journal);
}

/* --- runs and items --- */

static void
old_runs_go_with_their_items(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 10000);
	struct err err = ERR_INIT;

	(void)state;
	struct run_record waits = add_run(journal, "sync", 1);
	struct run_record first = ended_run(journal, 1, 700), second = ended_run(journal, 1, 3), lonely = ended_run(journal, 2, 5);
	atomic_fetch_add(&wall, 91 * DAY_MS);
	struct run_record young = ended_run(journal, 1, 2);
	struct journal_retention_pass pass = pass_of(journal, &rules);
	assert_int_equal(pass.runs, 2);
	assert_int_equal(pass.items, 703);
	assert_true(pass.commits >= 4); /* no slice is larger than some hundred rows */
	assert_false(is_there(journal, first.id) || is_there(journal, second.id));
	assert_true(is_there(journal, waits.id)); /* not over */
	assert_true(is_there(journal, lonely.id)); /* the last of its shop */
	assert_true(is_there(journal, young.id));
	assert_int_equal(items_of(journal, lonely.id), 5);
	assert_int_equal(items_of(journal, first.id), 0);
	struct run_record next = add_run(journal, "sync", 1); /* numbers are not given again */
	assert_string_equal(next.id, "sync.1.000000000006");
	/* A run that waits since then is the newest of its shop; the one that ended before it stays beside it. */
	struct run_record held = add_run(journal, "sync", 2);
	move_run(journal, &held, RUN_RUNNING, "");
	move_run(journal, &held, RUN_HELD, "");
	atomic_fetch_add(&wall, 91 * DAY_MS);
	assert_int_equal(pass_of(journal, &rules).runs, 0);
	assert_true(is_there(journal, lonely.id) && is_there(journal, young.id) && is_there(journal, held.id));
	struct run_record last;
	assert_int_equal(journal_run_last(journal, "sync", 2, true, &last, &err), 1);
	assert_string_equal(last.id, lonely.id);
	run_record_release(&last);
	journal_close(journal);
	struct run_record *all[] = { &waits, &first, &second, &lonely, &young, &next, &held };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		run_record_release(all[i]);
}

/* One that was cancelled while another one ran: the newest by number is not the one that ended last; both stay. */
static void
the_newest_and_the_last_to_end_stay(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 100);
	struct run_record first = ended_run(journal, 1, 1), slow = add_run(journal, "sync", 1), hasty = add_run(journal, "sync", 1);

	(void)state;
	move_run(journal, &slow, RUN_RUNNING, "");
	hasty.finished_ms = clock_now_ms();
	move_run(journal, &hasty, RUN_CANCELLED, "");
	atomic_fetch_add(&wall, 1000);
	slow.finished_ms = clock_now_ms();
	move_run(journal, &slow, RUN_SUCCESS, "");
	atomic_fetch_add(&wall, 91 * DAY_MS);
	assert_int_equal(pass_of(journal, &rules).runs, 1);
	assert_false(is_there(journal, first.id));
	assert_true(is_there(journal, slow.id) && is_there(journal, hasty.id));
	run_record_release(&first);
	run_record_release(&slow);
	run_record_release(&hasty);
	journal_close(journal);
}

static void
a_confirmed_plan_goes_with_its_run(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 100);
	struct run_record plan = ended_run(journal, 1, 1), carrier = new_run("sync", 1, "", "{}");
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];

	(void)state;
	snprintf(carrier.confirms, sizeof(carrier.confirms), "%s", plan.id);
	assert_int_equal(journal_run_add(journal, &carrier, &err), 0);
	move_run(journal, &carrier, RUN_RUNNING, "");
	move_run(journal, &carrier, RUN_SUCCESS, "");
	atomic_fetch_add(&wall, 91 * DAY_MS);
	assert_int_equal(journal_plan_confirmed(journal, plan.id, id, &err), 1);
	assert_int_equal(pass_of(journal, &rules).runs, 1);
	assert_int_equal(journal_plan_confirmed(journal, plan.id, id, &err), 0);
	assert_true(is_there(journal, carrier.id));
	run_record_release(&plan);
	run_record_release(&carrier);
	journal_close(journal);
}

/* --- size --- */

static int64_t
file_size(void)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	return (int64_t)info.st_size;
}

static void
the_oldest_go_until_it_fits(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90, .max_bytes = 1500 * 1000 };
	struct journal *journal = open_with(NULL, 10000);
	char ids[12][RUN_ID_MAX];

	(void)state;
	for (int i = 0; i < 12; i++, atomic_fetch_add(&wall, 3600 * 1000)) {
		struct run_record run = ended_run(journal, 1, 1500);
		snprintf(ids[i], sizeof(ids[i]), "%s", run.id);
		run_record_release(&run);
		say_now(journal, "", 1500);
	}
	journal_close(journal);
	int64_t before = file_size();
	assert_true(before > 4000 * 1000);
	journal = open_with(NULL, 10000);
	struct journal_retention_pass pass = pass_of(journal, &rules);
	assert_true(pass.used_bytes <= rules.max_bytes && !pass.too_large);
	assert_true(pass.events > 1500 && pass.items > 1500);
	assert_int_equal(pass.runs, 0); /* the figures of the last days need them */
	assert_int_equal(items_of(journal, ids[0]), 0);
	assert_int_equal(items_of(journal, ids[11]), 1500);
	for (int i = 0; i < 12; i++) /* a reader is told how many are missing */
		assert_int_equal(items_of(journal, ids[i]) + items_gone(journal, ids[i]), 1500);
	assert_int_equal(items_gone(journal, "sync.1.000000000999") + items_gone(journal, "no run"), 0);
	/* Lines and items went down to about the same moment. */
	int64_t oldest = oldest_of(journal), lines_left = (journal_last(journal) - oldest) / 1503, runs_left = 0;
	for (int i = 0; i < 12; i++)
		runs_left += items_of(journal, ids[i]) > 0;
	assert_in_range(lines_left - runs_left + 1, 0, 2);
	journal_close(journal);
	assert_true(file_size() < rules.max_bytes + 2 * 1000 * 1000); /* and the file is smaller: free pages were given back */
	assert_true(before - file_size() > 1500 * 1000);
}

static void
what_must_stay_may_be_too_large(void **state)
{
	const struct journal_retention rules = { .days = 30, .runs_days = 90, .max_bytes = 100 * 1000 };
	struct journal *journal = open_with(NULL, 10000);
	struct run_record run = ended_run(journal, 1, 2000);

	(void)state;
	say_now(journal, "", 3000);
	struct journal_retention_pass pass = pass_of(journal, &rules);
	assert_true(pass.too_large);
	assert_int_equal(items_of(journal, run.id), 2000);
	assert_int_equal(oldest_of(journal), journal_last(journal) - 999);
	assert_int_equal(pass_of(journal, &rules).events, 0);
	journal_close(journal);
	run_record_release(&run);
}

/* --- the thread --- */

static struct json *
stats_of(struct journal *journal)
{
	struct buf out;
	struct err err = ERR_INIT;

	buf_init(&out, 10000);
	json_object_open(&out, NULL);
	journal_stats(journal, &out);
	json_object_close(&out);
	struct json *stats = json_parse(out.data, out.len, &err);
	assert_non_null(stats);
	buf_release(&out);
	return stats;
}

static void
the_thread_works_and_stops(void **state)
{
	const struct journal_retention rules = { .days = 1, .runs_days = 90, .first_ms = 1, .every_ms = 3600 * 1000 },
	                               late = { .days = 1, .runs_days = 90 };
	struct journal *journal = open_with(NULL, 20000);
	struct err err = ERR_INIT;

	(void)state;
	say_now(journal, "", 1600);
	atomic_fetch_add(&wall, 2 * DAY_MS);
	struct json *stats = stats_of(journal);
	assert_true(json_get_int64(stats, "bytes", 0) > 0 && json_is_null(json_get(stats, "retention")));
	json_free(stats);
	assert_int_equal(journal_retention_start(journal, &rules, &err), 0);
	time_t give_up = time(NULL) + WAIT_S;
	for (stats = stats_of(journal); json_is_null(json_get(stats, "retention")); stats = stats_of(journal)) {
		assert_true(time(NULL) < give_up);
		json_free(stats);
		journal_flush(journal);
	}
	assert_int_equal(json_get_int64(json_get(stats, "retention"), "lines", 0), 600);
	json_free(stats);
	journal_retention_stop(journal);
	journal_retention_stop(journal);
	assert_int_equal(oldest_of(journal), 601);
	assert_int_equal(journal_retention_start(journal, &late, &err), 0); /* stopped while it waits for its first pass */
	journal_close(journal);
	assert_true(file_size() > 0);
}

/* A pass under way ends with its slice. */
static void
a_pass_is_stopped(void **state)
{
	const struct journal_retention rules = { .days = 1, .runs_days = 90, .first_ms = 1 };
	struct journal *journal = open_with(NULL, 20000);
	struct event_page page = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	say_now(journal, "", 9000);
	atomic_fetch_add(&wall, 2 * DAY_MS);
	assert_int_equal(journal_retention_start(journal, &rules, &err), 0);
	time_t give_up = time(NULL) + WAIT_S;
	while (page.oldest <= 1) {
		assert_true(time(NULL) < give_up);
		json_free(read_events(journal, 1, 1, "", 1000, &page));
	}
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_in_range(oldest_of(journal), 301, 8000);
	journal_close(journal);
}

/* --- beside a job --- */

/* Four commits of a job: a run, its begin, its items, its end. How long the longest of them took at least. */
static int64_t
work(struct journal *journal)
{
	int64_t begun = clock_kernel_ms();
	struct run_record run = ended_run(journal, 1, 20);

	run_record_release(&run);
	return (clock_kernel_ms() - begun + 3) / 4;
}

static void
a_running_job_is_not_held_up(void **state)
{
	const struct journal_retention rules = { .days = 1, .runs_days = 90, .first_ms = 1, .every_ms = 3600 * 1000 };
	const char *given = getenv("JOURNAL_EVENTS");
	int count = given ? atoi(given) : 20000;
	struct journal *journal = open_with(NULL, 100000);
	int64_t runs = 0, longest_ms = 0;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < count; i += 1000) {
		char id[RUN_ID_MAX];
		snprintf(id, sizeof(id), "sync.1.%012d", 1 + i / 1000);
		say_now(journal, id, 1000);
	}
	int64_t last = journal_last(journal);
	atomic_fetch_add(&wall, 2 * DAY_MS);
	int64_t begun = clock_kernel_ms();
	assert_int_equal(journal_retention_start(journal, &rules, &err), 0);
	struct json *stats = stats_of(journal);
	time_t give_up = time(NULL) + WAIT_S + count / 1000;
	for (; json_is_null(json_get(stats, "retention")); stats = stats_of(journal), runs++) {
		int64_t took = work(journal);
		longest_ms = took > longest_ms ? took : longest_ms;
		json_free(stats);
		assert_true(time(NULL) < give_up);
	}
	const struct json *pass = json_get(stats, "retention");
	assert_true(json_get_int64(pass, "lines", 0) >= last - 1000);
	assert_true(json_get_int64(pass, "commits", 0) >= last / 300);
	if (given)
		print_message("%lld lines in %lld commits and %.1f s, the longest %lld ms; meanwhile %lld runs, longest commit %lld ms\n",
		              (long long)json_get_int64(pass, "lines", 0), (long long)json_get_int64(pass, "commits", 0),
		              (double)(clock_kernel_ms() - begun) / 1000, (long long)json_get_int64(pass, "longest_ms", 0),
		              (long long)runs, (long long)longest_ms);
	assert_true(runs > 0);
	json_free(stats);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_clock, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(old_lines_go_and_numbers_stay_used),
		TEST(lines_somebody_needs_stay),
		TEST(lines_of_the_future_hold_nothing_up),
		TEST(readers_are_told_what_is_gone),
		TEST(old_runs_go_with_their_items),
		TEST(the_newest_and_the_last_to_end_stay),
		TEST(a_confirmed_plan_goes_with_its_run),
		TEST(the_oldest_go_until_it_fits),
		TEST(what_must_stay_may_be_too_large),
		TEST(the_thread_works_and_stops),
		TEST(a_pass_is_stopped),
		TEST(a_running_job_is_not_held_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
