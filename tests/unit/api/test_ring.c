/* Lines, filters, and the ring that keeps the last of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "api/ring.h"
#include "common/log.h"

static struct line *
make(const char *event, const char *journal)
{
	struct err err = ERR_INIT;
	struct json *doc = json_parse(event, strlen(event), &err);
	assert_non_null(doc);
	struct line *line = line_new(doc, journal);
	json_free(doc);
	return line;
}

static struct line *
number(int64_t seq, const char *journal)
{
	char text[100];
	snprintf(text, sizeof(text), "{\"seq\":%lld,\"event\":\"log\",\"level\":\"INFO\"}", (long long)seq);
	return make(text, journal);
}

static void
a_line_keeps_its_members_and_gets_a_cursor(void **state)
{
#define MEMBERS "{\"seq\":9007199254740993,\"event\":\"log\",\"level\":\"ERROR\",\"run_id\":\"r-1\",\"job_id\":\"j\",\"text\":\"\xC3\xA4 \\n\""
	static const char text[] = MEMBERS ",\"cursor\":\"j-1:9007199254740993\"}";
	struct line *line = make(MEMBERS "}", "j-1");
	(void)state;
	assert_non_null(line);
	assert_int_equal(line->seq, 9007199254740993);
	assert_int_equal(line->level, LEVEL_ERROR);
	assert_string_equal(line->run_id, "r-1");
	assert_int_equal(line->frame_len, sizeof(text) - 1 + 4);
	assert_memory_equal(line->frame + 4, text, sizeof(text) - 1);
	free(line);
}

static void
what_is_no_event_becomes_no_line(void **state)
{
	(void)state;
	assert_null(make("{\"seq\":1}", "j"));
	assert_null(make("{\"event\":\"log\"}", "j"));
	assert_null(make("{\"seq\":1,\"event\":\"dance\"}", "j"));
	assert_null(make("[]", "j"));
}

static void
filters_judge_by_run_job_level_and_kind(void **state)
{
	struct line *log = make("{\"seq\":1,\"event\":\"log\",\"level\":\"INFO\",\"run_id\":\"a\",\"job_id\":\"x\"}", "j");
	struct line *run = make("{\"seq\":2,\"event\":\"run\",\"run_id\":\"a\",\"job_id\":\"x\"}", "j");
	struct line *notice = line_notice("j", 3, "{}");
	struct filter filter = { .level = 0 };
	(void)state;
	assert_true(filter_match(&filter, log) && filter_match(&filter, run));
	filter.level = LEVEL_WARNING;
	assert_false(filter_match(&filter, log));
	assert_true(filter_match(&filter, run));
	filter = (struct filter){ .events = 1u << EVENT_LOG };
	assert_true(filter_match(&filter, log));
	assert_false(filter_match(&filter, run));
	filter = (struct filter){ .run_id = "b" };
	assert_false(filter_match(&filter, log));
	assert_true(filter_match(&filter, notice));
	filter = (struct filter){ .job_id = "x", .run_id = "a" };
	assert_true(filter_match(&filter, log));
	free(log);
	free(run);
	free(notice);
}

static void
the_ring_keeps_the_last_lines_by_count(void **state)
{
	struct err err = ERR_INIT;
	struct ring ring;
	(void)state;
	assert_int_equal(ring_init(&ring, 10, &err), 0);
	for (int i = 1; i <= 25; i++)
		ring_add_take(&ring, number(i, "j"));
	assert_int_equal(ring.head - ring.base, 10);
	assert_int_equal(ring_at(&ring, ring.base)->seq, 16);
	assert_int_equal(ring_at(&ring, ring.head - 1)->seq, 25);
	assert_int_equal(ring_find(&ring, "j", 20), ring.base + 4);
	assert_int_equal(ring_find(&ring, "j", 1), ring.base);
	assert_int_equal(ring_find(&ring, "j", 26), ring.head);
	assert_int_equal(ring_find(&ring, "k", 20), ring.head);
	ring_release(&ring);
}

static void
the_ring_is_bounded_by_bytes_too(void **state)
{
	struct err err = ERR_INIT;
	struct ring ring;
	char text[9000];
	(void)state;
	assert_int_equal(ring_init(&ring, 20, &err), 0); /* 20 KB */
	for (int i = 1; i <= 30; i++) {
		snprintf(text, sizeof(text), "{\"seq\":%d,\"event\":\"log\",\"text\":\"%08000d\"}", i, i);
		ring_add_take(&ring, make(text, "j"));
		assert_true(ring.bytes <= 20 * RING_LINE_BYTES);
	}
	assert_int_equal(ring.head - ring.base, 2);
	assert_int_equal(ring_at(&ring, ring.head - 1)->seq, 30);
	ring_release(&ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_keeps_its_members_and_gets_a_cursor),
		cmocka_unit_test(what_is_no_event_becomes_no_line),
		cmocka_unit_test(filters_judge_by_run_job_level_and_kind),
		cmocka_unit_test(the_ring_keeps_the_last_lines_by_count),
		cmocka_unit_test(the_ring_is_bounded_by_bytes_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
