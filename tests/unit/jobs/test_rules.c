/* The text of a shop's rules, and the difference of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "worker/jobs/rules.h"

static struct shop_settings shop_of(int64_t *warehouses, size_t count)
{
	return (struct shop_settings){ .id = 1,
		                       .warehouses = { warehouses, count },
		                       .formula = FORMULA_REFERENCE,
		                       .stock_max = 1000000,
		                       .percent = 100,
		                       .inactive = RULE_ZERO,
		                       .father = RULE_SKIP,
		                       .bundle = RULE_STOCK,
		                       .unmanaged = RULE_SKIP,
		                       .oversell = RULE_FIXED,
		                       .fixed_quantity = 10 };
}

static void assert_diff(const char *before, const char *after, const char *expected)
{
	struct buf out;

	buf_init(&out, 10000);
	rules_diff(before, after, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void the_whole_text(void **state)
{
	int64_t warehouses[] = { 12, 2, 5, 2 };
	struct shop_settings shop = shop_of(warehouses, 4);
	char text[LEDGER_RULES_MAX];

	(void)state;
	rules_text(&shop, "eazybusiness", text);
	assert_string_equal(text, "database=eazybusiness\nwarehouses=2,5,12\nformula=reference\nstock_min=0\nstock_max=1000000\n"
	                          "percent=100\ninactive=zero\nfather=skip\nbundle=stock\nunmanaged=skip\noversell=fixed\n"
	                          "fixed_quantity=10");
}

/* Each of them is in the text; what is no rule is not. */
static void every_rule_makes_a_difference(void **state)
{
	int64_t warehouses[] = { 2 }, others[] = { 3 };
	struct shop_settings shop = shop_of(warehouses, 1), changed[16];
	char before[LEDGER_RULES_MAX], after[LEDGER_RULES_MAX];
	static const char *const words[] = { "formula: reference -> capped", "stock_min: 0 -> 1",   "stock_max: 1000000 -> 9",
		                             "percent: 100 -> 50",           "inactive: zero -> skip", "father: skip -> zero",
		                             "bundle: stock -> skip",        "unmanaged: skip -> stock", "oversell: fixed -> stock",
		                             "fixed_quantity: 10 -> 11",     "warehouses: 2 -> 3" };
	const size_t count = sizeof(words) / sizeof(words[0]);

	(void)state;
	for (size_t i = 0; i < count; i++)
		changed[i] = shop;
	changed[0].formula = FORMULA_CAPPED;
	changed[1].stock_min = 1;
	changed[2].stock_max = 9;
	changed[3].percent = 50;
	changed[4].inactive = RULE_SKIP;
	changed[5].father = RULE_ZERO;
	changed[6].bundle = RULE_SKIP;
	changed[7].unmanaged = RULE_STOCK;
	changed[8].oversell = RULE_STOCK;
	changed[9].fixed_quantity = 11;
	changed[10].warehouses.values = others;
	rules_text(&shop, "eazybusiness", before);
	for (size_t i = 0; i < count; i++) {
		rules_text(&changed[i], "eazybusiness", after);
		assert_diff(before, after, words[i]);
		assert_diff(after, after, "");
	}
	shop.zero_share_percent = 77;
	shop.raise_share_least = 5;
	shop.id = 2;
	rules_text(&shop, "eazybusiness", after);
	assert_string_equal(before, after);
	rules_text(&shop, "other", after);
	assert_diff(before, after, "database: eazybusiness -> other");
}

static void several_differences(void **state)
{
	(void)state;
	assert_diff("a=1\nb=2\nc=3", "a=1\nb=5\nc=2,4", "b: 2 -> 5, c: 3 -> 2,4");
	assert_diff("a=1\nold=2", "a=1\nnew=3", "old: 2 ->, new: -> 3");
	assert_diff("", "a=1", "a: -> 1");
	assert_diff("a=1", "", "a: 1 ->");
	assert_diff("a=1\nab=2", "ab=2\na=1", "");
	assert_diff("a=x=y", "a=x=z", "a: x=y -> x=z");
	assert_diff("a=", "a=", "");
	assert_diff("a", "a=1", "a: -> 1");
}

static void a_difference_larger_than_its_room(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 8);
	rules_diff("warehouses=1,2,3,4", "warehouses=5", &out);
	assert_true(out.failed && strlen(buf_text(&out)) < 8);
	buf_release(&out);
}

/* Hundreds of warehouses do not fit the column: the sum still tells them apart. */
static void too_many_warehouses_are_told_apart(void **state)
{
	int64_t warehouses[300];
	struct shop_settings shop = shop_of(warehouses, 300);
	char one[LEDGER_RULES_MAX], two[LEDGER_RULES_MAX];

	(void)state;
	for (int i = 0; i < 300; i++)
		warehouses[i] = 900000 + i;
	rules_text(&shop, "eazybusiness", one);
	assert_true(strlen(one) < LEDGER_RULES_MAX - 1);
	assert_non_null(strstr(one, ",...#"));
	assert_non_null(strstr(one, "fixed_quantity=10"));
	rules_text(&shop, "eazybusiness", two);
	assert_string_equal(one, two);
	warehouses[299]++;
	rules_text(&shop, "eazybusiness", two);
	assert_string_not_equal(one, two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_text),
		cmocka_unit_test(every_rule_makes_a_difference),
		cmocka_unit_test(several_differences),
		cmocka_unit_test(a_difference_larger_than_its_room),
		cmocka_unit_test(too_many_warehouses_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
