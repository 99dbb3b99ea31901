/* The hub: order, replay without gap or double, slow clients, hostile clients, the end. Clients are socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <cmocka.h>
#include "api/hub.h"
#include "tests/unit/api/client.h"

#define JOURNAL "j-1"

static struct hub *hub;
static struct client_frame frame;

/* --- the journal behind the hub: event n is made up from n -------------------------------------------------------- */

static pthread_mutex_t source_lock = PTHREAD_MUTEX_INITIALIZER;
static int source_fails;       /* so many reads fail first */
static int64_t source_gone;    /* events up to here are forgotten */
static const char *source_journal = JOURNAL;
static int source_reads;

static void
event_text(char *out, size_t size, int64_t seq)
{
	static const char *const levels[] = { "DEBUG", "INFO", "WARNING", "ERROR" };
	snprintf(out, size,
	         "{\"seq\":%lld,\"event\":\"log\",\"level\":\"%s\",\"run_id\":\"r-%d\",\"job_id\":\"%s\",\"text\":\"%0100lld\"}",
	         (long long)seq, levels[seq % 4], (int)(seq % 3), seq % 2 ? "odd" : "even", (long long)seq);
}

static int
read_source(void *arg, const struct event_query *query, struct answer *answer)
{
	struct buf data;
	struct err err = ERR_INIT;
	char text[400];
	int rc = -1;
	(void)arg;
	memset(answer, 0, sizeof(*answer));
	buf_init(&data, 1 << 20);
	pthread_mutex_lock(&source_lock);
	source_reads++;
	answer->code = PROTO_WORKERS_DOWN;
	if (source_fails > 0) {
		source_fails--;
	} else if (strcmp(query->journal, source_journal) != 0) {
		answer->code = PROTO_WRONG_JOURNAL;
	} else {
		json_object_open(&data, NULL);
		json_array_open(&data, "events");
		int64_t seq = query->from > source_gone ? query->from : source_gone + 1;
		for (int i = 0; i < 100 && seq <= query->to; i++, seq++) {
			event_text(text, sizeof(text), seq);
			json_add_raw(&data, NULL, text);
		}
		json_array_close(&data);
		json_object_close(&data);
		answer->doc = json_parse(data.data, data.len, &err);
		answer->data = answer->doc;
		answer->ok = true;
		rc = 0;
	}
	pthread_mutex_unlock(&source_lock);
	buf_release(&data);
	return rc;
}

static void
add(int64_t from, int64_t to)
{
	char text[400];
	struct err err = ERR_INIT;
	for (int64_t seq = from; seq <= to; seq++) {
		event_text(text, sizeof(text), seq);
		struct json *event = json_parse(text, strlen(text), &err);
		hub_add(hub, event);
		json_free(event);
	}
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

static void
start(struct hub_options options)
{
	struct err err = ERR_INIT;
	options.read = read_source;
	source_fails = source_reads = 0;
	source_gone = 0;
	source_journal = JOURNAL;
	if (options.lines == 0)
		options.lines = 1000;
	if (options.clients == 0)
		options.clients = 100;
	hub = hub_start(&options, &err);
	assert_non_null(hub);
}

static int
end(void **state)
{
	(void)state;
	if (hub != NULL) {
		hub_stop(hub, 2000);
		hub_free(hub);
	}
	hub = NULL;
	return 0;
}

static int
join_with(const struct hub_wish *wish, int buffer)
{
	struct err err = ERR_INIT;
	int fds[2];
	assert_int_equal(hub_reserve(hub, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (buffer > 0)
		setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	hub_join_take(hub, fds[0], "", wish);
	return fds[1];
}

static int
join(void)
{
	return join_with(&(struct hub_wish){ .resume = false }, 0);
}

static int
resume_at(const char *journal, int64_t from)
{
	struct hub_wish wish = { .resume = true, .from = from };
	snprintf(wish.journal, sizeof(wish.journal), "%s", journal);
	return join_with(&wish, 0);
}

static struct json *
parse(void)
{
	struct err err = ERR_INIT;
	struct json *doc = json_parse(frame.text, frame.len, &err);
	if (doc == NULL)
		fail_msg("frame is not JSON: %s", frame.text);
	return doc;
}

/* The next frame is a notice of this kind; returns it for json_free. */
static struct json *
expect(int fd, const char *event)
{
	assert_true(client_frame_read(fd, &frame));
	assert_int_equal(frame.opcode, 1);
	struct json *doc = parse();
	assert_string_equal(json_get_string(doc, "event", ""), event);
	return doc;
}

static void
expect_hello(int fd, const char *cursor)
{
	struct json *doc = expect(fd, "hello");
	assert_string_equal(json_get_string(doc, "cursor", "none"), cursor);
	json_free(doc);
}

static void
expect_lines(int fd, int64_t from, int64_t to)
{
	char cursor[60];
	for (int64_t seq = from; seq <= to; seq++) {
		struct json *doc = expect(fd, "log");
		assert_int_equal(json_get_int64(doc, "seq", 0), seq);
		snprintf(cursor, sizeof(cursor), "%s:%lld", JOURNAL, (long long)seq);
		assert_string_equal(json_get_string(doc, "cursor", ""), cursor);
		json_free(doc);
	}
}

static void
expect_close(int fd, int code)
{
	do
		assert_true(client_frame_read(fd, &frame));
	while (frame.opcode == 1);
	assert_int_equal(client_close_code(&frame), code);
	assert_false(client_frame_read(fd, &frame)); /* and then the end */
}

static int64_t
mono_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct hub_stats
stats(void)
{
	struct hub_stats out;
	hub_stats_get(hub, &out);
	return out;
}

static void
await_clients(int count)
{
	int64_t until = mono_ms() + CLIENT_WAIT_MS;
	while (stats().clients != count && mono_ms() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(stats().clients, count);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void
lines_come_in_order_to_everybody(void **state)
{
	int fds[10];
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	hub_enter(hub, JOURNAL, "b-1", 1);
	for (int i = 0; i < 10; i++) {
		fds[i] = join();
		expect_hello(fds[i], JOURNAL ":0");
	}
	add(1, 500);
	for (int i = 0; i < 10; i++) {
		expect_lines(fds[i], 1, 500);
		close(fds[i]);
	}
	await_clients(0);
}

static void
a_client_may_come_before_the_workers(void **state)
{
	int fd, late;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	fd = join();
	late = resume_at("", 3);
	expect_hello(fd, "none");
	expect_hello(late, "none");
	hub_enter(hub, JOURNAL, "b-1", 5);
	add(5, 6);
	json_free(expect(fd, "journal"));
	expect_lines(fd, 5, 6);
	expect_lines(late, 3, 6);
	close(fd);
	close(late);
}

static void
replay_and_live_meet_without_gap_or_double(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	static const int64_t froms[] = { 1, 2, 700, 899, 900, 901, 950, 1000, 1001 };
	int fds[9];
	(void)state;
	options.lines = 101; /* the journal notice and 100 lines */
	options.batch_ms = 1;
	start(options);
	hub_enter(hub, JOURNAL, "b-1", 801);
	add(801, 1000);
	for (int i = 0; i < 9; i++)
		fds[i] = resume_at(i % 2 ? JOURNAL : "", froms[i]);
	for (int64_t seq = 1001; seq <= 1090; seq += 10) { /* goes on meanwhile */
		add(seq, seq + 9);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	for (int i = 0; i < 9; i++) {
		json_free(expect(fds[i], "hello"));
		expect_lines(fds[i], froms[i], 1090);
		close(fds[i]);
	}
}

static void
a_cursor_of_the_future_waits(void **state)
{
	int fd;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	hub_enter(hub, JOURNAL, "b-1", 10);
	fd = resume_at(JOURNAL, 15);
	expect_hello(fd, JOURNAL ":14");
	add(10, 20);
	expect_lines(fd, 15, 20);
	close(fd);
}

static void
the_workers_may_be_away_during_a_replay(void **state)
{
	int fd;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	source_fails = 2;
	hub_enter(hub, JOURNAL, "b-1", 301);
	fd = resume_at(JOURNAL, 1);
	expect_hello(fd, JOURNAL ":0");
	expect_lines(fd, 1, 300);
	assert_true(source_reads >= 5);
	close(fd);
}

static void
what_the_journal_has_forgotten_is_told_to_who_asks(void **state)
{
	struct json *doc;
	int fd;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	source_gone = 50;
	hub_enter(hub, JOURNAL, "b-1", 61);
	fd = resume_at(JOURNAL, 11);
	expect_hello(fd, JOURNAL ":10");
	doc = expect(fd, "dropped");
	assert_int_equal(json_get_int64(doc, "from", 0), 11);
	assert_int_equal(json_get_int64(doc, "to", 0), 50);
	assert_int_equal(json_get_int64(doc, "count", 0), 40);
	assert_string_equal(json_get_string(doc, "why", ""), "gone");
	json_free(doc);
	expect_lines(fd, 51, 60);
	source_gone = 60;
	close(fd);
	fd = resume_at(JOURNAL, 11); /* nothing is left at all */
	expect_hello(fd, JOURNAL ":10");
	doc = expect(fd, "dropped");
	assert_int_equal(json_get_int64(doc, "to", 0), 60);
	json_free(doc);
	add(61, 61);
	expect_lines(fd, 61, 61);
	close(fd);
}

static void
a_cursor_of_another_journal_is_refused(void **state)
{
	struct json *doc;
	int fd;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	fd = resume_at("j-0", 7); /* nobody knows yet which journal it will be */
	json_free(expect(fd, "hello"));
	hub_enter(hub, JOURNAL, "b-1", 100);
	doc = expect(fd, "error");
	assert_string_equal(json_get_string(doc, "code", ""), "WRONG_JOURNAL");
	json_free(doc);
	expect_close(fd, 1008);
	close(fd);
	source_journal = "j-2"; /* it changes while a client reads the past */
	fd = resume_at(JOURNAL, 7);
	json_free(expect(fd, "hello"));
	json_free(expect(fd, "error"));
	expect_close(fd, 1008);
	close(fd);
}

static void
a_new_journal_is_told_and_followed(void **state)
{
	struct json *doc;
	int fd;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	hub_enter(hub, "j-0", "b-1", 100);
	fd = join();
	expect_hello(fd, "j-0:99");
	hub_enter(hub, "j-0", "b-2", 100); /* a restart is nobody's concern */
	hub_enter(hub, JOURNAL, "b-3", 1);
	doc = expect(fd, "journal");
	assert_string_equal(json_get_string(doc, "was", ""), "j-0");
	assert_string_equal(json_get_string(doc, "cursor", ""), JOURNAL ":0");
	json_free(doc);
	add(1, 3);
	expect_lines(fd, 1, 3);
	hub_lost(hub, 4, 8);
	doc = expect(fd, "dropped");
	assert_int_equal(json_get_int64(doc, "count", 0), 5);
	json_free(doc);
	add(9, 9);
	expect_lines(fd, 9, 9);
	close(fd);
}

static void
filters_work_live_and_in_the_past(void **state)
{
	static const struct {
		struct filter filter;
		int64_t numbers[4]; /* of 97..104 */
	} cases[] = {
		{ { .level = 3 }, { 99, 103 } },
		{ { .run_id = "r-1" }, { 97, 100, 103 } },
		{ { .job_id = "even", .level = 2 }, { 98, 102 } },
		{ { .job_id = "nobody" }, { 0 } },
	};
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	hub_enter(hub, JOURNAL, "b-1", 101); /* 97..100 come from the journal, the rest live */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hub_wish wish = { .filter = cases[i].filter, .resume = true, .from = 97 };
		int fd = join_with(&wish, 0);
		json_free(expect(fd, "hello"));
		if (i == 0)
			add(101, 104);
		for (int n = 0; n < 4 && cases[i].numbers[n] > 0; n++)
			expect_lines(fd, cases[i].numbers[n], cases[i].numbers[n]);
		client_frame_send(fd, 9, "x", 1); /* nothing else is before the pong */
		assert_true(client_frame_read(fd, &frame));
		assert_int_equal(frame.opcode, 10);
		close(fd);
	}
}

static void
a_slow_client_is_told_what_it_missed(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	struct json *doc;
	int64_t next = 1;
	int fd, dropped = 0;
	(void)state;
	options.lines = 200;
	options.batch_ms = 1;
	start(options);
	hub_enter(hub, JOURNAL, "b-1", 1);
	fd = join_with(&(struct hub_wish){ .resume = false }, 4096);
	expect_hello(fd, JOURNAL ":0");
	for (int i = 0; i < 100; i++) { /* more than socket, batch and ring can hold; the hub must keep up with none of it */
		add(i * 100 + 1, i * 100 + 100);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	while (next <= 10000) {
		assert_true(client_frame_read(fd, &frame));
		doc = parse();
		if (strcmp(json_get_string(doc, "event", ""), "dropped") == 0) {
			char resume[60];
			snprintf(resume, sizeof(resume), "%s:%lld", JOURNAL, (long long)next - 1);
			assert_int_equal(json_get_int64(doc, "from", 0), next);
			assert_string_equal(json_get_string(doc, "resume", ""), resume);
			assert_string_equal(json_get_string(doc, "why", ""), "slow");
			assert_int_equal(json_get_int64(doc, "count", 0), json_get_int64(doc, "to", 0) - next + 1);
			next = json_get_int64(doc, "to", 0) + 1;
			dropped++;
		} else {
			assert_int_equal(json_get_int64(doc, "seq", 0), next);
			next++;
		}
		json_free(doc);
	}
	assert_true(dropped >= 1);
	assert_int_equal(stats().slow, (uint64_t)dropped);
	close(fd);
}

static void
fifty_stalled_clients_delay_nobody(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	int stalled[50], fast;
	int64_t worst = 0;
	(void)state;
	start(options);
	hub_enter(hub, JOURNAL, "b-1", 1);
	for (int i = 0; i < 50; i++)
		stalled[i] = join_with(&(struct hub_wish){ .resume = false }, 4096);
	add(1, 5000); /* all of them are stuck now */
	fast = join();
	expect_hello(fast, JOURNAL ":5000");
	for (int64_t seq = 5001; seq <= 5040; seq++) {
		int64_t begun = mono_ms();
		add(seq, seq);
		expect_lines(fast, seq, seq);
		worst = mono_ms() - begun > worst ? mono_ms() - begun : worst;
	}
	assert_true(worst < 1000); /* a batch is 40 ms; sanitizers and a busy machine get the rest */
	assert_int_equal(stats().clients, 51);
	for (int i = 0; i < 50; i++)
		close(stalled[i]);
	close(fast);
}

static void
who_takes_nothing_is_put_out(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	int stalled, fast;
	(void)state;
	options.stall_ms = 1000;
	start(options);
	hub_enter(hub, JOURNAL, "b-1", 1);
	stalled = join_with(&(struct hub_wish){ .resume = false }, 4096);
	fast = join();
	expect_hello(fast, JOURNAL ":0");
	add(1, 900);
	expect_lines(fast, 1, 900);
	add(901, 1800);
	expect_lines(fast, 901, 1800);
	add(1801, 2700);
	expect_lines(fast, 1801, 2700);
	await_clients(1);
	assert_int_equal(stats().evicted, 1);
	add(2701, 2701);
	expect_lines(fast, 2701, 2701);
	close(stalled);
	close(fast);
}

static void
who_never_answers_a_ping_is_gone(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	int mute, lively;
	(void)state;
	options.ping_ms = 50;
	options.silent_ms = 1500;
	start(options);
	mute = join();
	lively = join();
	expect_hello(lively, "none");
	int64_t until = mono_ms() + CLIENT_WAIT_MS;
	while (stats().clients == 2 && mono_ms() < until) {
		assert_true(client_frame_read(lively, &frame));
		assert_int_equal(frame.opcode, 9);
		client_frame_send(lively, 10, frame.text, frame.len);
	}
	assert_int_equal(stats().clients, 1);
	assert_int_equal(stats().evicted, 1);
	close(mute);
	close(lively);
}

static void
places_are_limited_and_come_back(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	struct err err = ERR_INIT;
	(void)state;
	options.clients = 2;
	start(options);
	int first = join(), second = join();
	assert_int_equal(hub_reserve(hub, &err), -1);
	assert_string_equal(err.code, "BUSY");
	close(first);
	await_clients(1);
	assert_int_equal(hub_reserve(hub, &err), 0);
	hub_unreserve(hub);
	close(second);
	await_clients(0);
}

static void
pings_and_closes_are_answered(void **state)
{
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	int fd = join();
	expect_hello(fd, "none");
	client_frame_send(fd, 9, "are you there", 13);
	assert_true(client_frame_read(fd, &frame));
	assert_int_equal(frame.opcode, 10);
	assert_string_equal(frame.text, "are you there");
	client_frame_send(fd, 1, "hello?", 6); /* is not listened to, but does no harm */
	client_frame_send(fd, 8, "\x03\xE8", 2);
	expect_close(fd, 1000);
	close(fd);
	await_clients(0);
}

static void
hostile_frames_end_their_connection_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int code;
	} cases[] = {
		{ "\x81\x05hello", 7, 1002 },
		{ "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10, 1009 },
		{ "\x01\x80\0\0\0\0", 6, 1003 },
		{ "GET / HTTP/1.1\r\n\r\n", 18, 1002 },
		{ "\x88\x82\0\0\0\0\0\0", 8, 1002 }, /* close with code 0 */
	};
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	int good = join();
	expect_hello(good, "none");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = join();
		expect_hello(fd, "none");
		client_send(fd, cases[i].bytes, cases[i].len);
		expect_close(fd, cases[i].code);
		close(fd);
	}
	int flood = join();
	expect_hello(flood, "none");
	for (int i = 0; i < 2000; i++)
		client_frame_send(flood, 1, "x", 1);
	expect_close(flood, 1008);
	close(flood);
	hub_enter(hub, JOURNAL, "b-1", 1);
	json_free(expect(good, "journal"));
	add(1, 1);
	expect_lines(good, 1, 1);
	close(good);
}

static void
a_client_that_does_not_end_its_close_is_dropped(void **state)
{
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	int fd = join();
	expect_hello(fd, "none");
	client_send(fd, "\xFF\xFF", 2);
	expect_close(fd, 1002); /* and the test keeps its end open */
	await_clients(0);
	close(fd);
}

static void
the_end_is_told_with_1001_and_is_fast(void **state)
{
	struct err err = ERR_INIT;
	int fds[20], stalled;
	(void)state;
	start((struct hub_options)HUB_OPTIONS_INIT);
	hub_enter(hub, JOURNAL, "b-1", 1);
	stalled = join_with(&(struct hub_wish){ .resume = false }, 4096);
	add(1, 3000);
	for (int i = 0; i < 20; i++)
		fds[i] = join();
	int64_t begun = mono_ms();
	hub_stop(hub, 300); /* nobody answers the close, and one cannot even be told */
	assert_true(mono_ms() - begun < 1500);
	assert_int_equal(hub_reserve(hub, &err), -1);
	assert_string_equal(err.code, "STOPPING");
	for (int i = 0; i < 20; i++) {
		expect_hello(fds[i], JOURNAL ":3000");
		expect_close(fds[i], 1001);
		close(fds[i]);
	}
	close(stalled);
}

/* Clients come and go, from several threads, while lines flow. */
static void *
come_and_go(void *arg)
{
	atomic_bool *over = arg;
	struct err err = ERR_INIT;
	unsigned char scrap[3000];
	for (int i = 0; !atomic_load(over); i++) {
		int fds[2];
		if (hub_reserve(hub, &err) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
			abort();
		hub_join_take(hub, fds[0], "", &(struct hub_wish){ .resume = i % 2, .from = 1 });
		if (i % 3)
			client_read_some(fds[1], scrap, sizeof(scrap), 1000);
		close(fds[1]);
	}
	return NULL;
}

static void
clients_may_come_and_go_at_any_moment(void **state)
{
	struct hub_options options = HUB_OPTIONS_INIT;
	pthread_t threads[4];
	atomic_bool over = false;
	(void)state;
	options.lines = 100;
	options.batch_ms = 1;
	start(options);
	hub_enter(hub, JOURNAL, "b-1", 301);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &over), 0);
	int fd = join();
	json_free(expect(fd, "hello"));
	for (int64_t seq = 301; seq <= 3000; seq++) {
		add(seq, seq);
		if (seq % 10 == 0)
			expect_lines(fd, seq - 9, seq);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	close(fd);
	await_clients(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lines_come_in_order_to_everybody, end),
		cmocka_unit_test_teardown(a_client_may_come_before_the_workers, end),
		cmocka_unit_test_teardown(replay_and_live_meet_without_gap_or_double, end),
		cmocka_unit_test_teardown(a_cursor_of_the_future_waits, end),
		cmocka_unit_test_teardown(the_workers_may_be_away_during_a_replay, end),
		cmocka_unit_test_teardown(what_the_journal_has_forgotten_is_told_to_who_asks, end),
		cmocka_unit_test_teardown(a_cursor_of_another_journal_is_refused, end),
		cmocka_unit_test_teardown(a_new_journal_is_told_and_followed, end),
		cmocka_unit_test_teardown(filters_work_live_and_in_the_past, end),
		cmocka_unit_test_teardown(a_slow_client_is_told_what_it_missed, end),
		cmocka_unit_test_teardown(fifty_stalled_clients_delay_nobody, end),
		cmocka_unit_test_teardown(who_takes_nothing_is_put_out, end),
		cmocka_unit_test_teardown(who_never_answers_a_ping_is_gone, end),
		cmocka_unit_test_teardown(places_are_limited_and_come_back, end),
		cmocka_unit_test_teardown(pings_and_closes_are_answered, end),
		cmocka_unit_test_teardown(hostile_frames_end_their_connection_only, end),
		cmocka_unit_test_teardown(a_client_that_does_not_end_its_close_is_dropped, end),
		cmocka_unit_test_teardown(the_end_is_told_with_1001_and_is_fast, end),
		cmocka_unit_test_teardown(clients_may_come_and_go_at_any_moment, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
