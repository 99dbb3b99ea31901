/* The feed: every event exactly once and in order, whatever is lost on the way and whoever restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <cmocka.h>
#include "api/feed.h"
#include "tests/unit/api/fake.h"

#define LONG_MS 30000
#define SEEN_MAX 50000

/* What the sink was told, and a copy of it from the last moment the test looked. */
static struct sink_state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char journal[64], boot[64];
	int64_t next;           /* due */
	int64_t seen[SEEN_MAX]; /* numbers in the order they came */
	size_t count;
	int enters, disorder;
	int64_t lost_from, lost_to;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }, got;

static void
sink_enter(void *arg, const char *journal, const char *boot, int64_t next)
{
	(void)arg;
	pthread_mutex_lock(&sink.lock);
	if (strcmp(journal, sink.journal) == 0 && next != sink.next)
		sink.disorder++;
	snprintf(sink.journal, sizeof(sink.journal), "%s", journal);
	snprintf(sink.boot, sizeof(sink.boot), "%s", boot);
	sink.next = next;
	sink.enters++;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
}

static void
sink_add(void *arg, const struct json *event)
{
	int64_t seq = json_get_int64(event, "seq", -1);
	(void)arg;
	pthread_mutex_lock(&sink.lock);
	if (seq != sink.next || sink.journal[0] == '\0')
		sink.disorder++;
	sink.next = seq + 1;
	if (sink.count < SEEN_MAX)
		sink.seen[sink.count++] = seq;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
}

static void
sink_lost(void *arg, int64_t from, int64_t to)
{
	(void)arg;
	pthread_mutex_lock(&sink.lock);
	if (from != sink.next)
		sink.disorder++;
	sink.lost_from = from;
	sink.lost_to = to;
	sink.next = to + 1;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
}

static int
read_events(void *arg, const struct event_query *query, struct answer *answer)
{
	return workers_event_read(arg, query, answer);
}

static int
say_hello(void *arg, struct answer *answer)
{
	return workers_hello(arg, answer);
}

/* One feed on a folder of its own; feeds live as long as the process, so they are all kept. */
static struct bench {
	char folder[80];
	struct fake_process process;
	struct workers *workers;
	struct feed *feed;
} benches[20];
static int bench_count;

static struct bench *
bench_new(void)
{
	struct bench *bench = &benches[bench_count++];
	struct err err = ERR_INIT;
	fake_folder(bench->folder, sizeof(bench->folder));
	bench->workers = workers_new(bench->folder, &err);
	assert_non_null(bench->workers);
	return bench;
}

static void
bench_feed(struct bench *bench)
{
	struct err err = ERR_INIT;
	const struct feed_options options = { .run_folder = bench->folder, .remember = 500, .read = read_events, .hello = say_hello,
		                                  .arg = bench->workers };
	const struct feed_sink target = { sink_enter, sink_add, sink_lost, NULL };
	pthread_mutex_lock(&sink.lock);
	sink.journal[0] = sink.boot[0] = '\0';
	sink.next = sink.lost_from = sink.lost_to = 0;
	sink.count = 0;
	sink.enters = sink.disorder = 0;
	pthread_mutex_unlock(&sink.lock);
	bench->feed = feed_start(&options, &target, &err);
	assert_non_null(bench->feed);
}

static int
bench_end(void **state)
{
	(void)state;
	struct bench *bench = &benches[bench_count - 1];
	if (bench->feed != NULL)
		feed_stop(bench->feed);
	fake_kill(&bench->process);
	fake_folder_remove(bench->folder);
	return 0;
}

/* Waits until number `next` is due. Heartbeats come meanwhile, as from the real workers. */
static void
await_next(struct bench *bench, int64_t next)
{
	int64_t until = now_ms() + LONG_MS;
	pthread_mutex_lock(&sink.lock);
	while (sink.next < next && now_ms() < until) {
		struct timespec slice;
		clock_gettime(CLOCK_REALTIME, &slice);
		slice.tv_nsec += 100000000;
		if (slice.tv_nsec >= 1000000000) {
			slice.tv_sec++;
			slice.tv_nsec -= 1000000000;
		}
		if (pthread_cond_timedwait(&sink.changed, &sink.lock, &slice) != 0 && bench->process.pid != 0) {
			pthread_mutex_unlock(&sink.lock);
			fake_say(&bench->process, "beat", 0);
			pthread_mutex_lock(&sink.lock);
		}
	}
	got = sink;
	pthread_mutex_unlock(&sink.lock);
	assert_int_equal(got.next, next);
	assert_int_equal(got.disorder, 0);
}

static void
await_journal(const char *journal)
{
	int64_t until = now_ms() + LONG_MS;
	pthread_mutex_lock(&sink.lock);
	while (strcmp(sink.journal, journal) != 0 && now_ms() < until) {
		struct timespec slice;
		clock_gettime(CLOCK_REALTIME, &slice);
		slice.tv_sec++;
		pthread_cond_timedwait(&sink.changed, &sink.lock, &slice);
	}
	assert_string_equal(sink.journal, journal);
	pthread_mutex_unlock(&sink.lock);
}

static void
it_begins_behind_what_is_old(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 4000, 4000);
	bench_feed(bench);
	await_journal("j-1");
	await_next(bench, 4001);
	assert_int_equal(got.count, 0);
	fake_say(&bench->process, "log", 10);
	await_next(bench, 4011);
	assert_int_equal(got.count, 10);
	assert_int_equal(got.seen[0], 4001);
	assert_int_equal(got.enters, 1);
}

static void
it_may_be_there_before_the_workers(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	bench_feed(bench);
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	fake_say(&bench->process, "each", 5); /* surely lost: nobody is connected yet */
	await_next(bench, 6);
	assert_int_equal(got.count, 5);
	assert_int_equal(got.seen[0], 1);
}

static void
events_younger_than_the_start_are_not_missed_behind_old_ones(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	bench_feed(bench);
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 300, 290);
	await_next(bench, 301);
	assert_int_equal(got.count, 10);
	assert_int_equal(got.seen[0], 291);
}

static void
gaps_tails_and_repeats_are_mended(void **state)
{
	struct bench *bench = bench_new();
	int64_t next = 1;
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	for (int i = 0; i < 30; i++) {
		fake_say(&bench->process, "hide", 7);   /* a gap, seen by the next batch */
		fake_say(&bench->process, "log", 3);
		fake_say(&bench->process, "again", 2);  /* twice the same */
		fake_say(&bench->process, "noise", 0);
		fake_say(&bench->process, "hide", 1);   /* a tail, seen by the heartbeat only */
		fake_say(&bench->process, "beat", 0);
		next += 11;
	}
	await_next(bench, next);
	assert_int_equal(got.count, 330);
}

static void
a_large_gap_is_read_in_pieces(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	fake_say(&bench->process, "hide", 5000);
	fake_say(&bench->process, "log", 1);
	await_next(bench, 5002);
	assert_int_equal(got.count, 5001);
	struct feed_stats stats;
	feed_stats_get(bench->feed, &stats);
	assert_true(stats.fills > 10);
	assert_int_equal(stats.events, 5001);
	assert_false(stats.behind);
}

static void
a_flood_is_complete(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	fake_say(&bench->process, "slow", 20); /* reading is slow while it floods */
	fake_say(&bench->process, "each", 10000);
	fake_say(&bench->process, "slow", 0);
	await_next(bench, 10001);
	assert_int_equal(got.count, 10000);
}

static void
restarts_and_kills_lose_nothing(void **state)
{
	struct bench *bench = bench_new();
	int64_t last = 0;
	char boot[20];
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-0", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	for (int i = 1; i <= 6; i++) {
		fake_say(&bench->process, "each", 20);
		fake_say(&bench->process, "hide", 5); /* stored, and killed before it was published */
		last += 25;
		fake_kill(&bench->process);
		snprintf(boot, sizeof(boot), "b-%d", i);
		fake_start(&bench->process, bench->folder, "j-1", boot, last, 0);
		fake_say(&bench->process, "each", 3);
		last += 3;
	}
	await_next(bench, last + 1);
	assert_int_equal(got.count, (size_t)last);
	assert_string_equal(got.boot, "b-6");
}

static void
lost_answers_only_delay(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	fake_say(&bench->process, "lose", 3);
	fake_say(&bench->process, "hide", 9);
	fake_say(&bench->process, "log", 1);
	await_next(bench, 11);
	fake_say(&bench->process, "garbage", 2);
	fake_say(&bench->process, "hide", 9);
	fake_say(&bench->process, "beat", 0);
	await_next(bench, 20);
	assert_int_equal(got.count, 19);
}

static void
what_the_journal_has_forgotten_is_told(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 0, 0);
	bench_feed(bench);
	await_journal("j-1");
	fake_say(&bench->process, "log", 5);
	await_next(bench, 6);
	fake_say(&bench->process, "gone", 95);
	fake_say(&bench->process, "hide", 95);
	fake_say(&bench->process, "log", 1);
	await_next(bench, 102);
	assert_int_equal(got.lost_from, 6);
	assert_int_equal(got.lost_to, 95);
	assert_int_equal(got.count, 5 + 6);
	fake_say(&bench->process, "gone", 120); /* a whole range */
	fake_say(&bench->process, "hide", 19);
	fake_say(&bench->process, "log", 1);
	await_next(bench, 122);
	assert_int_equal(got.lost_from, 102);
	assert_int_equal(got.lost_to, 120);
}

static void
another_journal_begins_anew(void **state)
{
	struct bench *bench = bench_new();
	(void)state;
	fake_start(&bench->process, bench->folder, "j-1", "b-1", 50, 50);
	bench_feed(bench);
	await_journal("j-1");
	fake_say(&bench->process, "log", 5);
	await_next(bench, 56);
	fake_kill(&bench->process);
	fake_start(&bench->process, bench->folder, "j-2", "b-2", 20, 20); /* restored: 20 old events */
	fake_say(&bench->process, "log", 4);
	fake_say(&bench->process, "hide", 1);
	int64_t until = now_ms() + LONG_MS;
	while (now_ms() < until) {
		pthread_mutex_lock(&sink.lock);
		bool done = strcmp(sink.journal, "j-2") == 0 && sink.next == 26;
		got = sink;
		pthread_mutex_unlock(&sink.lock);
		if (done)
			break;
		fake_say(&bench->process, "beat", 0);
		pause_ms(20);
	}
	assert_string_equal(got.journal, "j-2");
	assert_int_equal(got.next, 26);
	assert_int_equal(got.count, 5 + 5);
	assert_int_equal(got.seen[5], 21);
	assert_int_equal(got.disorder, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(it_begins_behind_what_is_old, bench_end),
		cmocka_unit_test_teardown(it_may_be_there_before_the_workers, bench_end),
		cmocka_unit_test_teardown(events_younger_than_the_start_are_not_missed_behind_old_ones, bench_end),
		cmocka_unit_test_teardown(gaps_tails_and_repeats_are_mended, bench_end),
		cmocka_unit_test_teardown(a_large_gap_is_read_in_pieces, bench_end),
		cmocka_unit_test_teardown(a_flood_is_complete, bench_end),
		cmocka_unit_test_teardown(restarts_and_kills_lose_nothing, bench_end),
		cmocka_unit_test_teardown(lost_answers_only_delay, bench_end),
		cmocka_unit_test_teardown(what_the_journal_has_forgotten_is_told, bench_end),
		cmocka_unit_test_teardown(another_journal_begins_anew, bench_end),
	};
	fake_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
