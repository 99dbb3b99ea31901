/* What a guard counts, when it trips, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "worker/jobs/guard.h"

static const struct shop_settings shop = {
	.zero_share_percent = 30, .zero_share_least = 20, .raise_share_percent = 50, .raise_share_least = 10
};

static struct guard_facts facts_of(int64_t compared)
{
	return (struct guard_facts){ .compared = compared, .changes = 1, .rules_before = "", .rules_now = "" };
}

static void limits(void **state)
{
	const struct {
		int64_t count, total, share, least;
		bool tripped;
	} cases[] = {
		{ 30, 100, 30, 20, false },                             /* not more than the share */
		{ 31, 100, 30, 20, true },  { 19, 19, 30, 20, false },  /* below the least */
		{ 20, 20, 30, 20, true },   { 20, 20, 100, 20, false }, /* 100 % switches it off */
		{ 1, 1, 30, 0, true },      { 0, 10, 1, 0, false },     { 0, 0, 1, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int guard = GUARD_ZEROS; guard <= GUARD_BUFFERS; guard++) {
			struct shop_settings limit = { .zero_share_percent = 100, .raise_share_percent = 100 };
			struct guard_facts facts = facts_of(cases[i].total);
			struct guard_verdict verdict;

			*(guard == GUARD_ZEROS ? &limit.zero_share_percent : &limit.raise_share_percent) = cases[i].share;
			*(guard == GUARD_ZEROS ? &limit.zero_share_least : &limit.raise_share_least) = cases[i].least;
			*(guard == GUARD_ZEROS ? &facts.zeros : guard == GUARD_RAISES ? &facts.raises : &facts.buffers) = cases[i].count;
			verdict = guard_judge(&facts, &limit);
			if (verdict.any != cases[i].tripped)
				fail_msg("case %zu, guard %d", i, guard);
			for (int other = 0; other < GUARDS; other++)
				assert_int_equal(verdict.tripped[other], cases[i].tripped && other == guard);
		}
}

static void changed_rules(void **state)
{
	struct guard_facts facts = facts_of(100);

	(void)state;
	facts.rules_before = "formula=reference";
	facts.rules_now = "formula=jtl";
	assert_false(guard_judge(&facts, &shop).any); /* the first push ever */
	facts.accepted = true;
	assert_true(guard_judge(&facts, &shop).tripped[GUARD_RULES]);
	facts.rules_confirmed = true;
	assert_false(guard_judge(&facts, &shop).any);
	facts.rules_confirmed = false;
	facts.rules_now = "formula=reference";
	assert_false(guard_judge(&facts, &shop).any);
}

static void nothing_to_send_trips_nothing(void **state)
{
	struct guard_facts facts = facts_of(100);

	(void)state;
	facts.changes = 0;
	facts.buffers = 100;
	facts.accepted = true;
	facts.rules_now = "formula=jtl";
	assert_false(guard_judge(&facts, &shop).any);
	facts.changes = 1;
	assert_true(guard_judge(&facts, &shop).tripped[GUARD_BUFFERS] && guard_judge(&facts, &shop).tripped[GUARD_RULES]);
}

static struct plan_item item(int64_t sku_id, int64_t known, int64_t wanted)
{
	return (struct plan_item){ .sku_id = sku_id, .goods_id = sku_id, .known = maybe_of(known), .wanted = wanted };
}

static void what_is_confirmed_does_not_count(void **state)
{
	struct plan_item items[] = { item(1, 5, 0), item(2, 5, 0), item(3, 5, 9), item(4, 5, 9), item(5, 5, 9), item(6, 5, 5), item(7, 9, 5) };
	struct guard_facts facts;
	struct err err = ERR_INIT;
	struct plan plan;

	(void)state;
	items[4].buffer_changed = items[6].buffer_changed = true;
	assert_int_equal(plan_build(items, 7, &plan, &err), 0);
	facts = guard_count(&plan);
	assert_true(facts.compared == 7 && facts.changes == 6 && facts.zeros == 2 && facts.raises == 3 && facts.buffers == 2);
	for (size_t i = 0; i < plan.count; i++)
		plan.changes[i].confirmed = plan.changes[i].sku_id % 2 == 1;
	facts = guard_count(&plan);
	assert_true(facts.compared == 7 && facts.changes == 6 && facts.zeros == 1 && facts.raises == 1 && facts.buffers == 0);
	plan_release(&plan);
}

static void the_words(void **state)
{
	struct guard_facts facts = { .compared = 300,
		                     .changes = 200,
		                     .zeros = 120,
		                     .raises = 160,
		                     .buffers = 151,
		                     .accepted = true,
		                     .rules_before = "formula=reference\nwarehouses=2",
		                     .rules_now = "formula=jtl\nwarehouses=5",
		                     .sold_out = 12 };
	struct guard_verdict verdict = guard_judge(&facts, &shop);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(guard_error(&verdict, &facts, "temu_inventory_sync.1.000000000007", &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	assert_string_equal(err.code, "GUARD_ZEROS");
	assert_non_null(strstr(err.text, "Of 300 SKUs: 120 would be set to zero, 160 would be raised, 151 have another buffer, rules changed "
	                                 "(formula: reference -> jtl, warehouses: 2 -> 5). 12 sold-out SKUs are still for sale"));
	assert_non_null(strstr(err.text, "POST /api/runs/temu_inventory_sync.1.000000000007/confirm"));
	assert_true(strlen(err.text) < ERR_TEXT_MAX - 1);
}

/* The way to confirm is never cut off, and the first guard that trips gives the code. */
static void long_words_and_codes(void **state)
{
	static const char *const codes[GUARDS] = { "GUARD_ZEROS", "GUARD_RAISES", "GUARD_BUFFERS", "GUARD_RULES" };
	char rules[1500] = "warehouses=";
	struct guard_facts facts = { .compared = INT64_MAX / 1000, .zeros = 1000000, .raises = 1000000, .buffers = 1000000 };

	(void)state;
	for (int i = 0; i < 140; i++)
		strcat(rules, "123456,");
	facts.rules_before = rules;
	facts.rules_now = "warehouses=2";
	facts.sold_out = 1000000;
	for (int first = 0; first < GUARDS; first++) {
		struct guard_verdict verdict = { .any = true };
		struct err err = ERR_INIT;

		for (int i = first; i < GUARDS; i++)
			verdict.tripped[i] = true;
		assert_int_equal(guard_error(&verdict, &facts, "temu_inventory_sync.1000000.000000000007", &err), -1);
		assert_string_equal(err.code, codes[first]);
		assert_non_null(strstr(err.text, "..."));
		assert_non_null(strstr(err.text, "the sold-outs go out"));
	}
}

static void names(void **state)
{
	struct guard_verdict verdict = { .tripped = { [GUARD_RAISES] = true, [GUARD_RULES] = true }, .any = true };
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	buf_add_char(&out, '[');
	guard_names(&verdict, &out);
	assert_string_equal(buf_text(&out), "[\"raises\",\"rules\"");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(changed_rules),
		cmocka_unit_test(nothing_to_send_trips_nothing),
		cmocka_unit_test(what_is_confirmed_does_not_count),
		cmocka_unit_test(the_words),
		cmocka_unit_test(long_words_and_codes),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
