/* Tests of worker/store: events as they are read back, their pages; item results; many threads at once. */
#include "journal_fixture.h"

#include <stdatomic.h>

static void
expect_text(const struct json *event, const char *name, const char *text)
{
	assert_string_equal(json_get_string(event, name, "(absent)"), text);
}

/* The three shapes of protocol.md, members in their order. */
static void
shapes_of_the_protocol(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct event_page page;
	struct err err = ERR_INIT;
	struct buf out;

	(void)state;
	struct run_record run = add_run(journal, "sync", 1);
	say(journal, run.id, "500 SKUs \"\xC3\xA4\"");
	assert_int_equal(journal_gate_set(journal, 7, GATE_STOCK, "", "", NULL, &err), 0);
	buf_init(&out, 10000);
	assert_int_equal(journal_events(journal, 2, 2, "", 10000, &out, &page, &err), 0);
	assert_string_equal(out.data, "{\"seq\":2,\"time\":\"2026-11-24T05:04:17.123Z\",\"event\":\"log\",\"level\":\"INFO\","
	                              "\"run_id\":\"sync.1.000000000001\",\"job_id\":\"sync\",\"step\":\"fetch\",\"shop\":1,"
	                              "\"text\":\"500 SKUs \\\"\xC3\xA4\\\"\"}");
	assert_int_equal(page.first, 2);
	assert_int_equal(page.last, 2);
	assert_false(page.more);
	struct json *all = read_events(journal, 1, 0, "", 10000, &page);
	const struct json *event = json_first(all);
	const char *const names[] = { "seq", "time", "event", "run_id", "job_id", "shop", "state", "attempt", "text" };
	size_t at = 0;
	for (const struct json *member = json_first(event); member; member = json_next(member))
		assert_string_equal(json_name(member), names[at++]);
	assert_int_equal(at, 9);
	expect_text(event, "state", "queued");
	expect_text(event, "run_id", run.id);
	event = json_next(json_next(event));
	expect_text(event, "event", "gate");
	assert_int_equal(json_size(event), 5);
	json_free(all);
	buf_release(&out);
	run_record_release(&run);
	journal_close(journal);
}

/* What the log's context holds need not be a run's id; whatever it is comes back and can be asked for. */
static void
any_run_text_comes_back(void **state)
{
	static const char *const runs[] = { "", "r-1", "sync.1.000000000005", "other.1.000000000005", "sync.1.5", "r-2",
		                                "sync.001.000000000005" };
	struct journal *journal = open_with(NULL, 100);
	struct event_page page;
	struct json *all, *one;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		say(journal, runs[i], "x");
	journal_flush(journal);
	all = read_events(journal, 1, 0, "", 100000, &page);
	const struct json *event = json_first(all);
	for (size_t i = 0; i < 7; i++, event = json_next(event)) {
		expect_text(event, "run_id", runs[i]);
		assert_int_equal(json_get_int64(event, "shop", -1), i == 2 || i == 3);
		if (i == 0)
			continue;
		one = read_events(journal, 1, 0, runs[i], 100000, &page);
		assert_int_equal(page.count, 1);
		assert_int_equal(json_get_int64(json_first(one), "seq", 0), (int64_t)i + 1);
		json_free(one);
	}
	json_free(all);
	journal_close(journal);
}

static void
pages_by_size(void **state)
{
	struct journal *journal = open_with(NULL, 10000);
	struct event_page page;
	char text[1001];
	int64_t next = 1, seen = 0;
	int pages = 0;

	(void)state;
	memset(text, 'x', 1000);
	text[1000] = '\0';
	for (int i = 0; i < 1000; i++)
		say(journal, "", text);
	journal_flush(journal);
	do {
		struct json *list = read_events(journal, next, 0, "", PROTO_CHUNK_MAX, &page);
		struct buf printed;
		buf_init(&printed, 1024 * 1024);
		json_print(list, &printed);
		assert_true(printed.len - 2 <= PROTO_CHUNK_MAX);
		assert_true(!page.more || printed.len > PROTO_CHUNK_MAX - 2000); /* and full */
		buf_release(&printed);
		assert_int_equal(page.first, next);
		assert_int_equal(page.last, next + page.count - 1);
		seen += page.count;
		next = page.last + 1;
		pages++;
		json_free(list);
	} while (page.more);
	assert_int_equal(seen, 1000);
	assert_int_equal(pages, 5);

	json_free(read_events(journal, 5, 0, "", 1, &page)); /* smaller than any event: one all the same */
	assert_int_equal(page.count, 1);
	assert_int_equal(page.last, 5);
	assert_true(page.more);
	json_free(read_events(journal, 1000, 0, "", 1, &page));
	assert_false(page.more);
	json_free(read_events(journal, 3, 7, "", 100000, &page));
	assert_int_equal(page.count, 5);
	assert_int_equal(page.last, 7);
	assert_false(page.more);
	json_free(read_events(journal, -5, 2, "", 100000, &page));
	assert_int_equal(page.first, 1);
	assert_int_equal(page.count, 2);
	json_free(read_events(journal, 1001, 0, "", 100000, &page));
	assert_int_equal(page.count, 0);
	assert_int_equal(page.first, 1001);
	assert_int_equal(page.last, 1000);
	json_free(read_events(journal, 999, 5000, "", 100000, &page)); /* beyond the newest */
	assert_int_equal(page.count, 2);
	assert_int_equal(page.last, 1000);
	journal_close(journal);
}

static void
pages_of_one_run(void **state)
{
	struct journal *journal = open_with(NULL, 10000);
	struct run_record a = add_run(journal, "sync", 1), b = add_run(journal, "sync", 1);
	struct event_page page;
	int64_t next = 1, seen = 0;

	(void)state;
	for (int i = 0; i < 300; i++)
		say(journal, i % 3 ? a.id : b.id, "a line");
	journal_flush(journal);
	do {
		struct json *list = read_events(journal, next, 0, b.id, 2000, &page);
		for (const struct json *event = json_first(list); event; event = json_next(event))
			expect_text(event, "run_id", b.id);
		seen += page.count;
		assert_true(page.count > 0);
		next = page.last + 1;
		json_free(list);
	} while (page.more);
	assert_int_equal(seen, 101);
	assert_int_equal(page.last, journal_last(journal)); /* examined, not only found */
	json_free(read_events(journal, 1, 0, "sync.1.000000000009", 2000, &page));
	assert_int_equal(page.count, 0);
	assert_false(page.more);
	run_record_release(&a);
	run_record_release(&b);
	journal_close(journal);
}

static void
events_over_the_buffers_limit(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct event_page page;
	struct err err = ERR_INIT;
	struct buf out;

	(void)state;
	say(journal, "", "a line that does not fit");
	journal_flush(journal);
	buf_init(&out, 50);
	assert_int_equal(journal_events(journal, 1, 0, "", 1000, &out, &page, &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	buf_release(&out);
	json_free(read_events(journal, 1, 0, "", 1000, &page)); /* the reader is free again */
	journal_close(journal);
}

/* --- items --- */

struct found {
	int count, stop_after;
	int64_t last_n;
	char text[2000];
};

static bool
take_item(const struct item_record *item, void *arg)
{
	struct found *found = arg;
	size_t used = strlen(found->text);

	assert_true(item->n > found->last_n);
	found->last_n = item->n;
	snprintf(found->text + used, sizeof(found->text) - used, "%s:%s:%s;", item->sku, item_outcome_name(item->outcome), item->code);
	return ++found->count != found->stop_after;
}

static struct found
items(struct journal *journal, const char *run, int outcome, int64_t after, int64_t limit)
{
	struct found found = { .last_n = after };
	struct err err = ERR_INIT;

	assert_int_equal(journal_items_list(journal, run, outcome, after, limit, take_item, &found, &err), 0);
	return found;
}

static bool
check_whole_item(const struct item_record *item, void *arg)
{
	(void)arg;
	assert_int_equal(item->n, 1);
	assert_string_equal(item->sku, "\xC3\x84-1");
	assert_int_equal(item->sku_id, INT64_C(9007199254740993));
	assert_int_equal(item->goods_id, 77);
	assert_true(item->has_from);
	assert_false(item->has_to);
	assert_int_equal(item->from, -5);
	assert_string_equal(item->reason, "delta");
	assert_string_equal(item->request_id, "eu-1");
	assert_string_equal(item->text, "no");
	assert_string_equal(item->detail, "{\"a\":1}");
	return false;
}

static void
items_added_judged_and_paged(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1), other = add_run(journal, "sync", 1);
	struct err err = ERR_INIT;
	const struct item_record whole = { .sku = "\xC3\x84-1", .sku_id = INT64_C(9007199254740993), .goods_id = 77, .has_from = true,
		                               .from = -5, .outcome = ITEM_REFUSED, .reason = "delta", .code = "TEMU_1", .request_id = "eu-1",
		                               .text = "no", .detail = "{\"a\":1}" };
	const struct item_record plan[] = {
		{ .sku = "A", .sku_id = 10, .outcome = ITEM_PLANNED },    { .sku = "B", .sku_id = 11, .outcome = ITEM_PLANNED },
		{ .sku = "A", .sku_id = 10, .outcome = ITEM_PLANNED },    { .sku = "C", .sku_id = 0, .outcome = ITEM_UNMAPPED },
	};
	const struct item_record verdict[] = {
		{ .sku = "A", .sku_id = 10, .outcome = ITEM_PUSHED, .code = "ok" },
		{ .sku = "B", .sku_id = 11, .outcome = ITEM_REFUSED, .code = "TEMU_2" },
		{ .sku = "D", .sku_id = 12, .outcome = ITEM_UNKNOWN },
		{ .sku = "E", .sku_id = 0, .outcome = ITEM_SKIPPED },
	};

	(void)state;
	assert_int_equal(journal_items_add(journal, other.id, &whole, 1, &err), 0);
	assert_int_equal(journal_items_list(journal, other.id, -1, 0, 0, check_whole_item, NULL, &err), 0);
	assert_int_equal(journal_items_add(journal, run.id, plan, 4, &err), 0);
	assert_int_equal(journal_items_judge(journal, run.id, verdict, 4, &err), 0);
	assert_string_equal(items(journal, run.id, -1, 0, 0).text,
	                    "A:planned:;B:refused:TEMU_2;A:pushed:ok;C:unmapped:;D:unknown:;E:skipped:;");
	assert_string_equal(items(journal, run.id, ITEM_REFUSED, 0, 10).text, "B:refused:TEMU_2;");
	assert_string_equal(items(journal, run.id, -1, 2, 2).text, "A:pushed:ok;C:unmapped:;");
	assert_int_equal(items(journal, run.id, -1, 6, 10).count, 0);
	assert_int_equal(items(journal, "sync.1.000000000077", -1, 0, 10).count, 0);
	assert_int_equal(items(journal, "sync.2.000000000001", -1, 0, 10).count, 0); /* another shop's number */
	assert_string_equal(items(journal, other.id, -1, 0, 10).text, "\xC3\x84-1:refused:TEMU_1;"); /* untouched */

	assert_int_equal(journal_items_add(journal, "sync.1.000000000077", plan, 4, &err), -1);
	assert_string_equal(err.code, "JOURNAL_RUN");
	assert_int_equal(journal_items_judge(journal, "r-1", plan, 4, &err), -1);
	assert_int_equal(journal_items_add(journal, run.id, NULL, 0, &err), 0);
	assert_int_equal(journal_last(journal), 2); /* items are no events */
	run_record_release(&run);
	run_record_release(&other);
	journal_close(journal);
}

static bool
check_new_plan(const struct item_record *item, void *arg)
{
	int64_t *from = arg;

	assert_int_equal(item->has_from, *from != 0);
	assert_int_equal(item->from, *from);
	assert_int_equal(item->to, 3);
	assert_string_equal(item->reason, "delta");
	assert_string_equal(item->detail, "{\"a\":1}");
	return true;
}

/* A verdict that carries a plan replaces the old one; one without leaves it. */
static void
judging_with_and_without_a_plan(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct run_record run = add_run(journal, "sync", 1);
	struct item_record item = { .sku = "A", .sku_id = 10, .has_from = true, .from = 9, .has_to = true, .to = 8, .reason = "new" };
	struct err err = ERR_INIT;
	int64_t from = 0;

	(void)state;
	assert_int_equal(journal_items_add(journal, run.id, &item, 1, &err), 0);
	item = (struct item_record){ .sku_id = 10, .has_to = true, .to = 3, .reason = "delta", .detail = "{\"a\":1}" };
	assert_int_equal(journal_items_judge(journal, run.id, &item, 1, &err), 0);
	assert_int_equal(journal_items_list(journal, run.id, -1, 0, 0, check_new_plan, &from, &err), 0); /* not known before any more */
	item.has_from = true;
	item.from = from = 4;
	assert_int_equal(journal_items_judge(journal, run.id, &item, 1, &err), 0);
	item = (struct item_record){ .sku_id = 10, .outcome = ITEM_PUSHED };
	assert_int_equal(journal_items_judge(journal, run.id, &item, 1, &err), 0);
	assert_int_equal(journal_items_list(journal, run.id, ITEM_PUSHED, 0, 0, check_new_plan, &from, &err), 0);
	assert_int_equal(items(journal, run.id, ITEM_PUSHED, 0, 0).count, 1);
	run_record_release(&run);
	journal_close(journal);
}

/* --- many threads --- */

#define WRITERS 4
#define READERS 4
#define LINES 300
#define MOVES 20

struct crowd {
	struct journal *journal;
	int number;
	_Atomic bool *over;
};

static void *
write_much(void *arg)
{
	struct crowd *crowd = arg;
	char text[40];

	for (int i = 0; i < MOVES; i++) {
		struct run_record run = add_run(crowd->journal, "sync", crowd->number);
		struct item_record item = { .sku = "A", .sku_id = i, .outcome = ITEM_PLANNED };
		struct err err = ERR_INIT;
		move_run(crowd->journal, &run, RUN_RUNNING, "");
		for (int k = 0; k < LINES / MOVES; k++) {
			snprintf(text, sizeof(text), "%d", i * LINES / MOVES + k);
			say(crowd->journal, run.id, text);
			run.items_done = k;
			journal_run_progress(crowd->journal, &run);
		}
		assert_int_equal(journal_items_add(crowd->journal, run.id, &item, 1, &err), 0);
		assert_int_equal(journal_gate_set(crowd->journal, crowd->number, i % 2 ? GATE_OFF : GATE_ALL, "", "", NULL, &err), 0);
		move_run(crowd->journal, &run, RUN_SUCCESS, "");
		run_record_release(&run);
	}
	return NULL;
}

static bool
ignore_run(const struct run_record *run, void *arg)
{
	(void)arg;
	return run->id[0] != '\0';
}

static void *
read_much(void *arg)
{
	struct crowd *crowd = arg;
	struct event_page page = { 0 };
	struct run_filter filter = { .state = -1, .limit = 20 };
	struct run_kpi kpi = { 0 };
	struct kpi_query query = { .job = "sync", .span_ms = INT64_MAX };
	struct err err = ERR_INIT;
	int64_t next = 1;

	while (!atomic_load(crowd->over) || page.more) {
		struct json *list = read_events(crowd->journal, next, 0, "", 16384, &page);
		for (const struct json *event = json_first(list); event; event = json_next(event))
			assert_int_equal(json_get_int64(event, "seq", 0), next++);
		json_free(list);
		assert_int_equal(journal_run_list(crowd->journal, &filter, ignore_run, NULL, &err), 0);
		assert_int_equal(journal_run_kpi(crowd->journal, &query, &kpi, &err), 0);
		run_kpi_release(&kpi);
		assert_int_equal(journal_healthy(crowd->journal, &err), 0);
		(void)journal_gate(crowd->journal, 1);
	}
	return NULL;
}

static void
writers_and_readers_at_once(void **state)
{
	struct collector *collector = collector_new();
	struct journal *journal = open_with(collector, 50);
	_Atomic bool over = false;
	struct crowd crowd[WRITERS + READERS];
	pthread_t threads[WRITERS + READERS];
	struct event_page page;
	char text[40];

	(void)state;
	for (int i = 0; i < WRITERS + READERS; i++) {
		crowd[i] = (struct crowd){ .journal = journal, .number = i + 1, .over = &over };
		pthread_create(&threads[i], NULL, i < WRITERS ? write_much : read_much, &crowd[i]);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&over, true);
	for (int i = WRITERS; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(journal_last(journal), WRITERS * (LINES + 4 * MOVES));
	int next[WRITERS + 1] = { 0 }; /* each thread's lines in its own order */
	struct json *all = read_events(journal, 1, 0, "", 8 * 1024 * 1024, &page);
	for (const struct json *event = json_first(all); event; event = json_next(event)) {
		if (strcmp(json_get_string(event, "event", ""), "log") != 0)
			continue;
		snprintf(text, sizeof(text), "%d", next[json_get_int64(event, "shop", 0)]++);
		expect_text(event, "text", text);
	}
	json_free(all);
	journal_close(journal);
	assert_int_equal(collector->events, WRITERS * (LINES + 4 * MOVES));
	assert_string_equal(collector->wrong, "");
	collector_free(collector);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shapes_of_the_protocol),
		TEST(any_run_text_comes_back),
		TEST(pages_by_size),
		TEST(pages_of_one_run),
		TEST(events_over_the_buffers_limit),
		TEST(items_added_judged_and_paged),
		TEST(judging_with_and_without_a_plan),
		TEST(writers_and_readers_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
