/* What the report finds among the listings, and how much of it is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "common/json.h"
#include "worker/jobs/report.h"

static struct report report;
static struct listing items[300];
static struct listings list;

static struct listing *add(int64_t sku_id, const char *sku, int64_t article)
{
	struct listing *item = &items[list.count++];

	*item = (struct listing){ .sku_id = sku_id,
		                  .goods_id = sku_id * 10,
		                  .sku = (char *)(uintptr_t)sku,
		                  .in_ledger = true,
		                  .was_active = true,
		                  .active = true };
	item->wanted.decision = article ? WANTED_STOCK : WANTED_UNMAPPED;
	if (article)
		item->article = item->article_before = maybe_of(article);
	return item;
}

static int clear(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	list = (struct listings){ .items = items };
	return 0;
}

static void make(void)
{
	struct err err = ERR_INIT;

	assert_int_equal(report_listings(&report, &list, &err), 0);
}

static int64_t count(enum report_rule rule)
{
	return report.lines[rule].count;
}

static const char *text(enum report_rule rule, int example)
{
	return report.lines[rule].examples[example].text;
}

/* Only these have something to tell. */
static void assert_rules(unsigned expected)
{
	for (int rule = 0; rule < REPORT_RULES; rule++)
		if ((count((enum report_rule)rule) > 0) != ((expected >> rule & 1) != 0))
			fail_msg("rule %d: %" PRId64, rule, count((enum report_rule)rule));
}
#define RULE(id) (1U << REPORT_##id)

static void nothing_to_tell(void **state)
{
	struct buf out;

	(void)state;
	add(1, "A", 11);
	add(2, "B", 12);
	make();
	assert_rules(0);
	buf_init(&out, 10000);
	json_object_open(&out, NULL);
	report_print(&report, "report", 1000, &out);
	assert_string_equal(buf_text(&out), "{\"report\":[]");
	buf_release(&out);
}

static void several_listings_and_one_sku_twice(void **state)
{
	(void)state;
	add(1, "A", 11);
	add(2, "A", 11);
	add(3, "a", 11);
	add(4, "B", 12);
	add(5, "C", 13)->active = false; /* gone by now: shares nothing */
	add(6, "C", 13);
	items[4].was_active = false;
	make();
	assert_rules(RULE(SEVERAL_LISTINGS) | RULE(DUPLICATE_SKU));
	assert_int_equal(count(REPORT_SEVERAL_LISTINGS), 3);
	assert_int_equal(count(REPORT_DUPLICATE_SKU), 2);
	assert_string_equal(text(REPORT_SEVERAL_LISTINGS, 0), "article 11, as skuId 2");
	assert_string_equal(text(REPORT_SEVERAL_LISTINGS, 2), "article 11, as skuId 2");
	assert_string_equal(text(REPORT_DUPLICATE_SKU, 1), "as skuId 1");
}

static void spellings(void **state)
{
	static char near[] = "Case", trimmed[] = "X";

	(void)state;
	add(1, "CASE", 11)->near = near;
	add(2, " X", 0)->near = trimmed;
	add(3, "", 0);
	add(4, "", 0);
	add(5, "Y", 0);
	make();
	assert_rules(RULE(SPELLING) | RULE(BLANKS) | RULE(EMPTY_SKU) | RULE(UNMAPPED));
	assert_int_equal(count(REPORT_EMPTY_SKU), 2); /* empty ones are no duplicates of each other */
	assert_string_equal(text(REPORT_SPELLING, 0), "JTL has \"Case\"");
	assert_string_equal(text(REPORT_BLANKS, 0), "JTL has \"X\"");
	assert_string_equal(text(REPORT_EMPTY_SKU, 1), "goods 40");
}

static void articles(void **state)
{
	struct listing *item;

	(void)state;
	add(1, "A", 11)->article_before = maybe_of(7);
	item = add(2, "B", 12);
	item->article_before = (struct maybe){ .set = false };
	item->product_article = maybe_of(8); /* the old system's word, when the ledger has none */
	item = add(3, "C", 13);
	item->product_article = maybe_of(9); /* stale there, but the ledger knows */
	add(4, "D", 14)->article_before = (struct maybe){ .set = false };
	add(5, "E", 15)->doubled = true;
	add(6, "F", 16)->nulls = true;
	add(7, "G", 17)->missing = true;
	make();
	assert_rules(RULE(RECREATED) | RULE(DOUBLED) | RULE(NULLS) | RULE(MISSING));
	assert_int_equal(count(REPORT_RECREATED), 2);
	assert_string_equal(text(REPORT_RECREATED, 0), "article 7 before, 11 now");
	assert_string_equal(text(REPORT_RECREATED, 1), "article 8 before, 12 now");
}

static void gone_back_and_new(void **state)
{
	struct listing *item;

	(void)state;
	add(1, "A", 11)->active = false; /* vanished */
	item = add(2, "B", 12);          /* gone for long */
	item->active = item->was_active = false;
	add(3, "C", 13)->was_active = false; /* back */
	item = add(4, "D", 14);              /* new; in the ledger by now */
	item->was_active = false;
	item->fresh = true;
	make();
	assert_rules(RULE(VANISHED) | RULE(REAPPEARED));
	assert_int_equal(count(REPORT_VANISHED), 1);
	assert_int_equal(count(REPORT_REAPPEARED), 1);
	assert_int_equal(report.lines[REPORT_REAPPEARED].examples[0].sku_id, 3);
}

static void texts_are_cut_between_characters(void **state)
{
	char sku[400] = "";

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(sku, "\xC3\xBC");
	report_add(&report, REPORT_SHARED, 1, sku, "%s%s", sku, sku);
	assert_int_equal(strlen(report.lines[REPORT_SHARED].examples[0].sku), 158);
	assert_int_equal(strlen(text(REPORT_SHARED, 0)), 198);
}

static void printed_as_far_as_there_is_room(void **state)
{
	struct err err = ERR_INIT;
	const struct json *line;
	struct json *root;
	struct buf out;

	(void)state;
	for (int i = 0; i < 250; i++)
		add(i + 1, "SAME", 11);
	make();
	report_add(&report, REPORT_QUARANTINE, 9, "Q", "TEMU_1 no");
	buf_init(&out, 100000);
	json_object_open(&out, NULL);
	report_print(&report, "report", 400, &out);
	json_object_close(&out);
	assert_false(out.failed);
	root = json_parse(buf_text(&out), out.len, &err);
	assert_non_null(root);
	line = json_first(json_get(root, "report"));
	assert_string_equal(json_get_string(line, "rule", ""), "several_listings");
	assert_int_equal(json_get_int64(line, "count", 0), 250);
	assert_in_range(json_size(json_get(line, "examples")), 1, 5);
	line = json_next(line);
	assert_string_equal(json_get_string(line, "rule", ""), "duplicate_sku");
	line = json_next(line);
	assert_string_equal(json_get_string(line, "rule", ""), "quarantine");
	assert_int_equal(json_size(json_get(line, "examples")), 0);
	assert_null(json_next(line));
	json_free(root);
	buf_clear(&out);
	json_object_open(&out, NULL);
	report_print(&report, "report", 100000, &out);
	json_object_close(&out);
	root = json_parse(buf_text(&out), out.len, &err);
	assert_int_equal(json_size(json_get(json_first(json_get(root, "report")), "examples")), REPORT_EXAMPLES);
	json_free(root);
	buf_release(&out);
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_tell),
		TEST(several_listings_and_one_sku_twice),
		TEST(spellings),
		TEST(articles),
		TEST(gone_back_and_new),
		TEST(texts_are_cut_between_characters),
		TEST(printed_as_far_as_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
