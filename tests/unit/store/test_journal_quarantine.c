/* Tests of worker/store: what is refused again and again is in quarantine: counted once a run, told once, tried daily, freed by success, by
 * hand or with its listing, kept over restarts. */
#include "journal_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define DAY_MS QUARANTINE_RETRY_MS
#define START_MS 1795496657123

static _Atomic int64_t now_ms;

static int64_t
stopped_clock(void)
{
	return now_ms;
}

static int
set_up(void **state)
{
	now_ms = START_MS;
	clock_replace(stopped_clock, NULL);
	signal(SIGXFSZ, SIG_IGN);
	return make_folder(state);
}

static int
tear_down(void **state)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	return remove_folder(state);
}

/* What the run `run` tells; "" when there is nobody to tell of. */
static const char *
tell_as(struct journal *journal, int64_t shop, const char *run)
{
	static char told[LOG_TEXT_MAX + 1];
	struct alarm_record alarm = { .shop = shop, .run = run, .job = "sync", .step = "push", .code = "QUARANTINE", .text = "Look." };
	struct err err = ERR_INIT;
	struct buf said;

	buf_init(&said, LOG_TEXT_MAX);
	int status = journal_quarantine_tell(journal, &alarm, &said, &err);
	if (status < 0)
		fail_msg("journal_quarantine_tell: %s", err.text);
	assert_int_equal(status, said.len > 0);
	snprintf(told, sizeof(told), "%s", buf_text(&said));
	buf_release(&said);
	return told;
}

static const char *
tell(struct journal *journal)
{
	return tell_as(journal, 1, "sync.1.000000000009");
}

static void
judge(struct journal *journal, int64_t shop, const char *run, const struct quarantine_verdict *verdicts, size_t count)
{
	struct err err = ERR_INIT;

	if (journal_quarantine_judge(journal, shop, run, verdicts, count, &err) != 0)
		fail_msg("journal_quarantine_judge: %s", err.text);
}

static struct quarantine_verdict
no(int64_t sku_id)
{
	return (struct quarantine_verdict){ .sku_id = sku_id, .goods_id = 9, .refused = true, .sku = "ART", .code = "TEMU_1",
		                                .text = "never", .request_id = "eu-1" };
}

static struct quarantine_verdict
yes(int64_t sku_id)
{
	return (struct quarantine_verdict){ .sku_id = sku_id, .goods_id = 9, .sku = "ART" };
}

static void
judge_one(struct journal *journal, const char *run, struct quarantine_verdict verdict)
{
	judge(journal, 1, run, &verdict, 1);
}

static void
refuse_times(struct journal *journal, int64_t shop, int64_t sku_id, int times)
{
	struct quarantine_verdict verdict = no(sku_id);
	char run[RUN_ID_MAX];

	for (int i = 0; i < times; i++) {
		snprintf(run, sizeof(run), "sync.%lld.%012d", (long long)shop, i + 1);
		judge(journal, shop, run, &verdict, 1);
	}
}

struct found {
	int count, stop_after;
	int64_t sku_ids[20], refusals, first_ms, last_ms, since_ms, next_ms, goods_id;
	char text[2000], sku[2000];
};

static bool
find_one(const struct quarantine_record *record, void *arg)
{
	struct found *found = arg;

	assert_in_range(found->count, 0, 19);
	found->sku_ids[found->count++] = record->sku_id;
	found->refusals = record->refusals;
	found->first_ms = record->first_ms;
	found->last_ms = record->last_ms;
	found->since_ms = record->since_ms;
	found->next_ms = record->next_ms;
	found->goods_id = record->goods_id;
	snprintf(found->text, sizeof(found->text), "%s", record->text);
	snprintf(found->sku, sizeof(found->sku), "%s", record->sku);
	return found->count != found->stop_after;
}

static struct found
find(struct journal *journal, int64_t shop, bool all, int64_t after, int64_t limit)
{
	struct found found = { .count = 0 };
	struct err err = ERR_INIT;

	assert_int_equal(journal_quarantine_list(journal, shop, all, after, limit, find_one, &found, &err), 0);
	return found;
}

/* --- tests --- */

static void
three_runs_in_a_row(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct quarantine_verdict verdict = no(17);

	(void)state;
	judge(journal, 1, "r1", &verdict, 1);
	now_ms += 1000;
	judge(journal, 1, "r2", &verdict, 1);
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(find(journal, 1, false, 0, 0).count, 0);
	struct found found = find(journal, 1, true, 0, 0);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.refusals, 2);
	assert_int_equal(found.since_ms, 0);
	assert_int_equal(found.next_ms, 0);
	assert_string_equal(tell(journal), "");

	now_ms += 1000;
	verdict.code = "TEMU_2";
	verdict.text = "the last words";
	verdict.sku = "ART-17";
	verdict.request_id = "eu-3";
	verdict.goods_id = 10;
	judge(journal, 1, "r3", &verdict, 1);
	assert_string_equal(tell(journal), "1 SKUs that TEMU refused 3 times go into quarantine: 17 \"ART-17\" (TEMU_2 the last words). Look.");
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(journal_quarantine_count(journal, 2), 0);
	found = find(journal, 1, false, 0, 0);
	assert_int_equal(found.sku_ids[0], 17);
	assert_int_equal(found.first_ms, START_MS);
	assert_int_equal(found.last_ms, START_MS + 2000);
	assert_int_equal(found.since_ms, START_MS + 2000);
	assert_int_equal(found.next_ms, START_MS + 2000 + DAY_MS);

	now_ms += DAY_MS; /* tried again, refused again: another day, no second word about it */
	judge(journal, 1, "r4", &verdict, 1);
	found = find(journal, 1, false, 0, 0);
	assert_int_equal(found.refusals, 4);
	assert_int_equal(found.since_ms, START_MS + 2000);
	assert_int_equal(found.next_ms, START_MS + 2000 + 2 * DAY_MS);
	assert_string_equal(tell(journal), "");
	journal_close(journal);
}

static void
one_run_counts_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	for (int i = 0; i < 5; i++)
		judge_one(journal, "r1", no(17));
	assert_int_equal(find(journal, 1, true, 0, 0).refusals, 1);
	judge_one(journal, "r2", no(17));
	journal_close(journal); /* killed, and the run taken up again */
	journal = open_with(NULL, 100);
	judge_one(journal, "r2", no(17));
	assert_int_equal(find(journal, 1, true, 0, 0).refusals, 2);
	judge_one(journal, "r3", no(17));
	int64_t next = find(journal, 1, false, 0, 0).next_ms;
	now_ms += 3600000;
	judge_one(journal, "r3", no(17));
	struct found found = find(journal, 1, false, 0, 0);
	assert_int_equal(found.refusals, 3);
	assert_int_equal(found.next_ms, next);
	journal_close(journal);
}

static void
success_frees(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct quarantine_verdict both[2] = { no(17), yes(18) };

	(void)state;
	refuse_times(journal, 1, 17, 2);
	judge_one(journal, "r3", yes(17)); /* not three in a row */
	assert_int_equal(find(journal, 1, true, 0, 0).count, 0);
	refuse_times(journal, 1, 17, 3);
	refuse_times(journal, 2, 17, 3); /* another shop's */
	refuse_times(journal, 1, 18, 3);
	assert_int_equal(journal_quarantine_count(journal, 1), 2);
	judge(journal, 1, "r9", both, 2);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(find(journal, 1, false, 0, 0).sku_ids[0], 17);
	judge_one(journal, "r9", yes(17));
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(journal_quarantine_count(journal, 2), 1);
	judge(journal, 1, "r9", NULL, 0);
	journal_close(journal);
}

/* Those of all batches of a run in one alarm, the first of them by name; also a second time, when more come in. */
static void
several_in_one_alarm(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct quarantine_verdict batch[8];
	struct event_page page;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 8; i++)
		batch[i] = no(10 * (8 - i));
	judge(journal, 1, "r1", batch, 8);
	judge(journal, 1, "r2", batch, 7);
	judge(journal, 1, "r3", batch, 3);
	judge(journal, 1, "r3", batch + 3, 5);
	int64_t last = journal_last(journal);
	const char *told = tell(journal);
	assert_ptr_equal(strstr(told, "7 SKUs that TEMU refused 3 times go into quarantine: 20 \"ART\" (TEMU_1 never), 30 "), told);
	assert_non_null(strstr(told, "60 \"ART\" (TEMU_1 never), .... Look."));
	struct json *events = read_events(journal, last + 1, 0, "sync.1.000000000009", 100000, &page);
	assert_int_equal(page.count, 1);
	assert_string_equal(json_get_string(json_first(events), "event", ""), "alarm");
	const char *text = json_get_string(json_first(events), "text", "");
	assert_ptr_equal(strstr(text, "QUARANTINE: "), text);
	assert_string_equal(text + strlen("QUARANTINE: "), told);
	json_free(events);
	judge(journal, 1, "r4", batch, 8);
	assert_ptr_equal(strstr(tell(journal), "1 SKUs that TEMU refused 3 times go into quarantine: 10 "), told);
	last = journal_last(journal);
	assert_string_equal(tell(journal), "");
	assert_int_equal(journal_last(journal), last);
	struct alarm_record alarm = { .shop = 1, .run = "sync.1.000000000009", .code = "QUARANTINE", .text = "" };
	assert_int_equal(journal_alarm(journal, &alarm, &err), 1);
	assert_int_equal(journal_quarantine_count(journal, 1), 8);
	journal_close(journal);
}

/* Whoever was killed before telling: the next one tells, and only of its shop. */
static void
nobody_told_is_told_later(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	refuse_times(journal, 1, 17, 3);
	refuse_times(journal, 2, 18, 3);
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_non_null(strstr(tell(journal), ": 17 "));
	assert_string_equal(tell(journal), "");
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_string_equal(tell(journal), "");
	assert_non_null(strstr(tell_as(journal, 2, ""), ": 18 "));
	judge_one(journal, "r6", yes(17)); /* in again later: told again */
	refuse_times(journal, 1, 17, 3);
	assert_non_null(strstr(tell(journal), ": 17 "));
	journal_close(journal);
}

static void
listed_page_by_page(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	for (int64_t sku = 1; sku <= 5; sku++)
		refuse_times(journal, 1, sku * 4611686018427387, sku == 3 ? 2 : 3);
	struct found found = find(journal, 1, false, 0, 2);
	assert_int_equal(found.count, 2);
	found = find(journal, 1, false, found.sku_ids[1], 2);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.sku_ids[0], 4 * 4611686018427387);
	assert_int_equal(find(journal, 1, false, found.sku_ids[1], 2).count, 0);
	assert_int_equal(find(journal, 1, true, 0, 0).count, 5);
	assert_int_equal(find(journal, 3, true, 0, 0).count, 0);
	found = (struct found){ .stop_after = 1 };
	struct err err = ERR_INIT;
	assert_int_equal(journal_quarantine_list(journal, 1, true, 0, 0, find_one, &found, &err), 0);
	assert_int_equal(found.count, 1);
	journal_close(journal);
}

static void
freed_by_hand(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;
	struct event_page page;

	(void)state;
	refuse_times(journal, 1, 17, 3);
	refuse_times(journal, 1, 18, 2);
	int64_t last = journal_last(journal);
	assert_int_equal(journal_quarantine_free(journal, 1, 18, "me", &err), 0); /* not in there yet */
	assert_int_equal(journal_quarantine_free(journal, 2, 17, "me", &err), 0);
	assert_int_equal(journal_last(journal), last);
	assert_int_equal(journal_quarantine_free(journal, 1, 17, "me", &err), 1);
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(journal_quarantine_free(journal, 1, 17, NULL, &err), 0);
	struct json *events = read_events(journal, last + 1, 0, "", 100000, &page);
	assert_int_equal(page.count, 1);
	assert_string_equal(json_get_string(json_first(events), "text", ""),
	                    "SKU 17 (ART) is out of quarantine by hand, by me; refused 3 times: TEMU_1 never");
	assert_string_equal(json_get_string(json_first(events), "level", ""), "WARNING");
	assert_string_equal(json_get_string(json_first(events), "event", ""), "log");
	assert_int_equal(json_get_int64(json_first(events), "shop", 0), 1);
	json_free(events);
	judge_one(journal, "sync.1.000000000003", no(17)); /* counts from the start */
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(find(journal, 1, true, 0, 1).refusals, 1);
	journal_close(journal);
}

/* All of them in one commit; what was only on the way is forgotten without a word. */
static void
gone_from_temu(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct err err = ERR_INIT;
	struct event_page page;
	const int64_t gone[] = { 17, 18, 19, 99 };

	(void)state;
	refuse_times(journal, 1, 17, 3);
	refuse_times(journal, 1, 18, 2);
	refuse_times(journal, 1, 19, 3);
	refuse_times(journal, 1, 20, 3);
	refuse_times(journal, 2, 17, 3);
	int64_t last = journal_last(journal);
	assert_int_equal(journal_quarantine_gone(journal, 1, gone, 4, &err), 0);
	struct json *events = read_events(journal, last + 1, 0, "", 100000, &page);
	assert_int_equal(page.count, 2);
	assert_string_equal(json_get_string(json_first(events), "text", ""),
	                    "SKU 17 (ART) is out of quarantine, since TEMU does not list it any more; refused 3 times: TEMU_1 never");
	json_free(events);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(journal_quarantine_count(journal, 2), 1);
	struct found found = find(journal, 1, true, 0, 0);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.sku_ids[0], 20);
	last = journal_last(journal);
	assert_int_equal(journal_quarantine_gone(journal, 1, gone, 4, &err), 0);
	assert_int_equal(journal_quarantine_gone(journal, 1, NULL, 0, &err), 0);
	assert_int_equal(journal_last(journal), last);
	journal_close(journal);
}

static void
kept_over_a_restart(void **state)
{
	struct journal *journal = open_with(NULL, 100);

	(void)state;
	refuse_times(journal, 1, 17, 3);
	refuse_times(journal, 1, 18, 2);
	refuse_times(journal, 2, 19, 3);
	struct found before = find(journal, 1, false, 0, 0);
	journal_close(journal);
	journal = open_with(NULL, 100);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(journal_quarantine_count(journal, 2), 1);
	struct found after = find(journal, 1, false, 0, 0);
	assert_int_equal(after.next_ms, before.next_ms);
	assert_string_equal(after.text, before.text);
	journal_close(journal);
}

static void
long_texts_are_cut_at_a_character(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct quarantine_verdict verdict = { .sku_id = 17, .refused = true }; /* and absent ones are empty */
	static char words[3 * 2000 + 1];
	char run[8];

	(void)state;
	for (int i = 0; i < 2000; i++)
		memcpy(words + 3 * i, "\xe2\x82\xac", 3);
	verdict.text = words;
	judge_one(journal, "r1", verdict);
	struct found found = find(journal, 1, true, 0, 0);
	assert_int_equal(strlen(found.text), QUARANTINE_TEXT_MAX / 3 * 3);
	assert_string_equal(found.sku, "");
	verdict.sku = words;
	for (int i = 0; i < 60; i++) {
		snprintf(run, sizeof(run), "r%d", i % 3 + 2);
		verdict.sku_id = 9000000000000000000 + i / 3;
		judge_one(journal, run, verdict);
	}
	const char *told = tell(journal); /* and all of it finds room */
	assert_ptr_equal(strstr(told, "20 SKUs"), told);
	assert_string_equal(told + strlen(told) - strlen("\xe2\x82\xac), .... Look."), "\xe2\x82\xac), .... Look.");
	journal_close(journal);
}

static void
a_full_disk_changes_nothing(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct quarantine_verdict third = no(17);
	struct alarm_record alarm = { .shop = 1, .code = "QUARANTINE", .text = "Look." };
	struct rlimit limit;
	struct stat info;
	char wal[300];
	struct err err = ERR_INIT;

	(void)state;
	refuse_times(journal, 1, 17, 2);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(wal, &info), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = (rlim_t)info.st_size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_quarantine_judge(journal, 1, "r3", &third, 1, &err), -1);
	assert_string_equal(err.code, "JOURNAL_DISK");
	assert_int_equal(journal_quarantine_count(journal, 1), 0);
	assert_int_equal(find(journal, 1, true, 0, 0).refusals, 2);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	judge_one(journal, "r3", third);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	assert_int_equal(stat(wal, &info), 0);
	limit.rlim_cur = (rlim_t)info.st_size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_quarantine_tell(journal, &alarm, NULL, &err), -1);
	assert_string_equal(err.code, "JOURNAL_DISK");
	assert_int_equal(journal_quarantine_gone(journal, 1, &third.sku_id, 1, &err), -1);
	assert_int_equal(journal_quarantine_count(journal, 1), 1);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_quarantine_tell(journal, &alarm, NULL, &err), 1);
	journal_close(journal);
}

/* Two shops judge and a server thread frees, all at once. */
struct hand {
	struct journal *journal;
	int64_t shop;
};

static void *
judge_much(void *arg)
{
	const struct hand *hand = arg;

	for (int64_t sku = 1; sku <= 10; sku++)
		refuse_times(hand->journal, hand->shop, sku, 3);
	return NULL;
}

static void *
free_much(void *arg)
{
	const struct hand *hand = arg;
	struct err err = ERR_INIT;

	for (int freed = 0; freed < 5;) {
		int status = journal_quarantine_free(hand->journal, hand->shop, freed + 1, "me", &err);
		assert_true(status >= 0);
		freed += status;
	}
	return NULL;
}

static void
shops_at_once(void **state)
{
	struct journal *journal = open_with(NULL, 100);
	struct hand one = { journal, 1 }, two = { journal, 2 };
	pthread_t threads[3];

	(void)state;
	assert_int_equal(pthread_create(&threads[0], NULL, judge_much, &one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, judge_much, &two), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, free_much, &two), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(journal_quarantine_count(journal, 1), 10);
	assert_int_equal(journal_quarantine_count(journal, 2), 5);
	assert_int_equal(find(journal, 2, true, 0, 0).sku_ids[0], 6);
	journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(three_runs_in_a_row), TEST(one_run_counts_once), TEST(success_frees), TEST(several_in_one_alarm),
		TEST(nobody_told_is_told_later), TEST(listed_page_by_page), TEST(freed_by_hand), TEST(gone_from_temu), TEST(kept_over_a_restart),
		TEST(long_texts_are_cut_at_a_character), TEST(a_full_disk_changes_nothing), TEST(shops_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
