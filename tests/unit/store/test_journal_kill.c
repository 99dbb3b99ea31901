/* Tests of worker/store: kill -9 at random instants while a child logs, adds and moves runs. What the child was told is stored must
 * be there, the numbers dense, and what was published under a number must be what it means for ever.
 * JOURNAL_KILLS=n JOURNAL_SEED=n for a longer campaign. */
#include "journal_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define WRITERS 3
#define EVENTS_MAX 400000
#define RUNS_MAX 60000

/* What the child tells; small enough for one write into the pipe to be whole. */
enum news_kind { NEWS_PUBLISHED, NEWS_STATE, NEWS_LINES, NEWS_ITEMS };
struct news {
	enum news_kind kind;
	int64_t number;  /* sequence number, run's number, thread */
	uint64_t value;  /* hash, state, last line acknowledged, items */
};

static uint64_t published[EVENTS_MAX]; /* by number; 0 = not seen */
static int told_state[RUNS_MAX], told_items[RUNS_MAX];
static uint64_t told_lines[WRITERS];

static uint64_t
hash_of(const struct json *event)
{
	struct buf text;
	uint64_t hash = 14695981039346656037u;

	buf_init(&text, 100000);
	json_print(event, &text);
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 1099511628211u;
	buf_release(&text);
	return hash | 1;
}

/* --- the child --- */

static int news_fd;

static void
tell(enum news_kind kind, int64_t number, uint64_t value)
{
	struct news news = { .kind = kind, .number = number, .value = value };

	if (write(news_fd, &news, sizeof(news)) != (ssize_t)sizeof(news))
		_exit(3);
}

static void
tell_published(const struct journal_group *group, void *arg)
{
	struct buf text;
	struct err err = ERR_INIT;

	(void)arg;
	buf_init(&text, 1024 * 1024);
	buf_addf(&text, "[%s]", group->events_json);
	struct json *list = json_parse(text.data, text.len, &err);
	if (!list)
		_exit(4);
	for (const struct json *event = json_first(list); event; event = json_next(event))
		tell(NEWS_PUBLISHED, json_get_int64(event, "seq", 0), hash_of(event));
	json_free(list);
	buf_release(&text);
}

struct hand {
	struct journal *journal;
	int number, round;
};

static int64_t
number_of(const char *run_id)
{
	return atoll(strrchr(run_id, '.') + 1);
}

static void
step(struct hand *hand, struct run_record *run, enum run_state to)
{
	move_run(hand->journal, run, to, "moved");
	tell(NEWS_STATE, number_of(run->id), (uint64_t)to);
}

static void *
work(void *arg)
{
	struct hand *hand = arg;
	char text[60];
	uint64_t line = 0;

	for (;;) {
		struct run_record run = add_run(hand->journal, "sync", hand->number + 1);
		struct item_record items[3] = { { .sku_id = 1 }, { .sku_id = 2 }, { .sku_id = 3 } };
		struct err err = ERR_INIT;
		tell(NEWS_STATE, number_of(run.id), RUN_QUEUED);
		step(hand, &run, RUN_RUNNING);
		for (int i = 0; i < 20; i++) {
			snprintf(text, sizeof(text), "%d %d %llu", hand->round, hand->number, (unsigned long long)++line);
			say(hand->journal, run.id, text);
			run.items_done = i;
			journal_run_progress(hand->journal, &run);
		}
		if (journal_items_add(hand->journal, run.id, items, 3, &err) != 0)
			_exit(5);
		tell(NEWS_ITEMS, number_of(run.id), 3);
		journal_flush(hand->journal);
		tell(NEWS_LINES, hand->number, line);
		step(hand, &run, RUN_SUCCESS);
		run_record_release(&run);
	}
	return NULL;
}

static void
live_until_killed(int fd, int round)
{
	struct journal_config config = { .path = path, .boot = "b", .publish = tell_published, .queue_max = 30 };
	struct err err = ERR_INIT;
	struct hand hands[WRITERS];
	pthread_t threads[WRITERS];

	news_fd = fd;
	struct journal *journal = journal_open(&config, &err);
	if (!journal)
		_exit(2);
	for (int i = 0; i < WRITERS; i++) {
		hands[i] = (struct hand){ .journal = journal, .number = i, .round = round };
		pthread_create(&threads[i], NULL, work, &hands[i]);
	}
	for (;;)
		pause();
}

/* --- the judge --- */

static void
note(const struct news *news)
{
	switch (news->kind) {
	case NEWS_PUBLISHED:
		assert_in_range(news->number, 1, EVENTS_MAX - 1);
		if (published[news->number])
			fail_msg("number %lld was published twice", (long long)news->number);
		published[news->number] = news->value;
		break;
	case NEWS_STATE:
		assert_in_range(news->number, 1, RUNS_MAX - 1);
		told_state[news->number] = (int)news->value + 1;
		break;
	case NEWS_LINES:
		told_lines[news->number] = news->value;
		break;
	case NEWS_ITEMS:
		told_items[news->number] = (int)news->value;
		break;
	}
}

/* Listens until the child has said `patience` things or `ms` have passed since its first word, kills it, and hears the rest. */
static void
one_life(int round, int64_t patience, int64_t ms)
{
	int fds[2], status;
	struct news news;
	int64_t heard = 0, until = INT64_MAX;

	assert_int_equal(pipe(fds), 0);
	memset(told_lines, 0, sizeof(told_lines));
	pid_t child = fork();
	if (child == 0) {
		close(fds[0]);
		live_until_killed(fds[1], round);
	}
	close(fds[1]);
	struct pollfd wait = { .fd = fds[0], .events = POLLIN };
	while (heard < patience) {
		int64_t left = until == INT64_MAX ? WAIT_S * 1000 : until - clock_mono_ms();
		if (left <= 0 || poll(&wait, 1, (int)left) == 0)
			break;
		if (read(fds[0], &news, sizeof(news)) != (ssize_t)sizeof(news))
			break;
		note(&news);
		if (heard++ == 0)
			until = clock_mono_ms() + ms;
	}
	kill(child, SIGKILL);
	while (read(fds[0], &news, sizeof(news)) == (ssize_t)sizeof(news))
		note(&news);
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the child ended by itself: %x", status);
	assert_true(heard > 0);
}

/* Every number from 1 on is there and means what was published; each thread's lines of this life have no hole. */
static void
judge_events(struct journal *journal, int round)
{
	uint64_t lines[WRITERS] = { 0 };
	struct event_page page;
	int64_t next = 1;

	do {
		struct json *list = read_events(journal, next, 0, "", PROTO_CHUNK_MAX, &page);
		for (const struct json *event = json_first(list); event; event = json_next(event), next++) {
			int life, hand;
			unsigned long long line;
			assert_int_equal(json_get_int64(event, "seq", 0), next);
			if (published[next] && published[next] != hash_of(event))
				fail_msg("number %lld means something else now", (long long)next);
			published[next] = hash_of(event); /* it may be read from now on, so it counts as published */
			if (sscanf(json_get_string(event, "text", ""), "%d %d %llu", &life, &hand, &line) == 3 && life == round)
				assert_int_equal(line, ++lines[hand]);
		}
		json_free(list);
	} while (page.more);
	assert_int_equal(next - 1, journal_last(journal));
	assert_true(next >= EVENTS_MAX || published[next] == 0); /* nothing published is missing at the end */
	for (int i = 0; i < WRITERS; i++)
		assert_true(lines[i] >= told_lines[i]);
}

static bool
count_item(const struct item_record *item, void *arg)
{
	int *count = arg;

	(void)item;
	++*count;
	return true;
}

static int
rank(enum run_state state)
{
	return state == RUN_QUEUED ? 1 : state == RUN_RUNNING ? 2 : 3;
}

static bool
judge_run(const struct run_record *run, void *arg)
{
	int64_t number = number_of(run->id), *next = arg;

	assert_int_equal(number, (*next)--); /* newest first, dense */
	if (told_state[number] && rank(run->state) < rank((enum run_state)(told_state[number] - 1)))
		fail_msg("run %lld fell back to %s", (long long)number, run_state_name(run->state));
	told_state[number] = (int)run->state + 1;
	return true;
}

static void
judge_items(struct journal *journal, int64_t runs)
{
	struct err err = ERR_INIT;
	char id[RUN_ID_MAX];

	for (int64_t number = 1; number <= runs; number++) {
		int counts[WRITERS] = { 0 }, most = 0;
		if (!told_items[number])
			continue;
		for (int i = 0; i < WRITERS; i++) { /* whichever shop it was */
			snprintf(id, sizeof(id), "sync.%d.%012lld", i + 1, (long long)number);
			assert_int_equal(journal_items_list(journal, id, -1, 0, 0, count_item, &counts[i], &err), 0);
			most = counts[i] > most ? counts[i] : most;
		}
		assert_int_equal(most, told_items[number]);
		told_items[number] = 0; /* judged */
	}
}

static void
judge(int round)
{
	struct journal *journal = open_with(NULL, 100); /* checks the file: it was not closed */
	struct run_filter all = { .state = -1 };
	struct run_record got = { 0 };
	int64_t runs = 0;
	struct err err = ERR_INIT;

	judge_events(journal, round);
	for (int64_t number = 1; number < RUNS_MAX && told_state[number]; number++)
		runs = number;
	int64_t next = runs;
	for (int extra = 1; extra <= WRITERS; extra++) { /* added, but nobody was told any more */
		char id[RUN_ID_MAX];
		for (int shop = 1; shop <= WRITERS; shop++) {
			snprintf(id, sizeof(id), "sync.%d.%012lld", shop, (long long)runs + extra);
			if (journal_run_get(journal, id, &got, &err) == 1)
				next = runs + extra;
			run_record_release(&got);
		}
	}
	assert_int_equal(journal_run_list(journal, &all, judge_run, &next, &err), 0);
	assert_int_equal(next, 0);
	judge_items(journal, runs);
	journal_close(journal);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static int64_t
setting(const char *name, int64_t fallback)
{
	const char *text = getenv(name);

	return text && text[0] ? atoll(text) : fallback;
}

static void
killed_at_random_instants(void **state)
{
	int64_t kills = setting("JOURNAL_KILLS", 30), first_seed = setting("JOURNAL_SEED", 1);
	uint64_t seed = (uint64_t)first_seed * 0x9E3779B97F4A7C15u + 1;

	(void)state;
	print_message("seed %lld, %lld kills\n", (long long)first_seed, (long long)kills);
	for (int round = 1; round <= kills; round++) {
		bool by_count = next_random(&seed) % 2;
		one_life(round, by_count ? (int64_t)(1 + next_random(&seed) % 400) : INT64_MAX, (int64_t)(next_random(&seed) % 40));
		judge(round);
	}
}

static int64_t
micros(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000000 + now.tv_nsec / 1000;
}

/* Killed at any instant of the very first open: the file that is left can be opened. */
static void
killed_while_creating(void **state)
{
	int64_t kills = setting("JOURNAL_KILLS", 30);
	uint64_t seed = (uint64_t)setting("JOURNAL_SEED", 1) * 0x9E3779B97F4A7C15u + 3;
	const char *const ends[] = { "", "-wal", "-shm", "-journal", ".lock" };
	char name[300];

	(void)state;
	for (int64_t round = 0; round < kills; round++) {
		int64_t until = micros() + (int64_t)(next_random(&seed) % 4000);
		pid_t child = fork();
		if (child == 0) {
			struct journal_config config = { .path = path, .boot = "b", .queue_max = 30 };
			struct err err = ERR_INIT;
			struct journal *journal = journal_open(&config, &err);
			for (; journal;)
				say(journal, "", "x");
			_exit(2);
		}
		while (micros() < until)
			;
		kill(child, SIGKILL);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		struct journal *journal = open_with(NULL, 100);
		assert_int_equal(strlen(journal_identity(journal)), 32);
		journal_close(journal);
		for (int i = 0; i < 5; i++) {
			snprintf(name, sizeof(name), "%s%s", path, ends[i]);
			unlink(name);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(killed_at_random_instants), TEST(killed_while_creating) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
