/* Deltas, their order, the baseline, and what counts as a transition to zero or a raise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "worker/jobs/plan.h"

#define NONE INT64_MIN

static struct maybe maybe(int64_t value)
{
	return value == NONE ? (struct maybe){ .set = false } : maybe_of(value);
}

static struct plan_item item(int64_t sku_id, int64_t goods_id, int64_t known, int64_t wanted)
{
	return (struct plan_item){ .sku_id = sku_id, .goods_id = goods_id, .known = maybe(known), .wanted = wanted };
}

static struct plan built(const struct plan_item *items, size_t count)
{
	struct err err = ERR_INIT;
	struct plan plan;

	assert_int_equal(plan_build(items, count, &plan, &err), 0);
	return plan;
}

struct baseline_case {
	int64_t ledger, from, sent_ms, reported, known;
	bool believed;
};

static void baseline(void **state)
{
	const int64_t now = 1000000000, just = now - PLAN_READ_BACK_MS + 1;
	const struct baseline_case cases[] = {
		{ 5, NONE, 0, NONE, 5, false }, /* quick mode: the ledger */
		{ 5, 9, just, NONE, 5, false },
		{ NONE, NONE, 0, NONE, NONE, false },          /* quick mode, unknown stays unknown */
		{ NONE, NONE, 0, 7, 7, true },                 /* new, or what the old system stored: what TEMU reports */
		{ 5, NONE, 0, 4, 4, true },                    /* TEMU sold one */
		{ 5, 9, now - PLAN_READ_BACK_MS, 9, 9, true }, /* long enough ago */
		{ 5, 9, just, 5, 5, false },                   /* as it was confirmed */
		{ 5, 9, just, 9, 5, false },                   /* TEMU may still show the old value */
		{ 5, 9, just, 4, NONE, true },                 /* sold meanwhile: no value is sure */
		{ 5, NONE, just, 9, NONE, true },              /* nobody knows what the old value was */
		{ NONE, 9, just, 5, NONE, false },             /* unknown outcome: an attempt may still arrive */
		{ 0, 3, now, 3, 0, false },
		{ 5, 9, now + PLAN_READ_BACK_MS, 9, 9, true }, /* the clock was wrong: the value read counts */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct baseline b =
		    plan_baseline(maybe(cases[i].ledger), maybe(cases[i].from), cases[i].sent_ms, maybe(cases[i].reported), now);

		if (!maybe_equal(b.known, maybe(cases[i].known)) || b.believed != cases[i].believed)
			fail_msg("case %zu", i);
	}
}

static void doubt(void **state)
{
	(void)state;
	assert_int_equal(plan_doubt(maybe(NONE), maybe(NONE), 0, 0, 5), 0);   /* never sent */
	assert_int_equal(plan_doubt(maybe(4), maybe(4), 90, 0, 5), 0);        /* settled */
	assert_int_equal(plan_doubt(maybe(4), maybe(4), 90, 50, 5), 50);      /* an older doubt ages by itself */
	assert_int_equal(plan_doubt(maybe(NONE), maybe(4), 90, 50, 5), 90);   /* lost, and another value */
	assert_int_equal(plan_doubt(maybe(NONE), maybe(5), 90, 50, 5), 50);   /* lost, and the same value */
	assert_int_equal(plan_doubt(maybe(NONE), maybe(4), 90, 100, 5), 100);
}

static void only_what_differs(void **state)
{
	const struct plan_item items[] = { item(1, 1, 5, 5),    item(2, 2, 0, 0), item(3, 3, 5, 4), item(4, 4, NONE, 4),
		                           item(5, 5, NONE, 0), item(6, 6, 0, 3), item(7, 7, 3, 0) };
	struct plan plan = built(items, 7);

	(void)state;
	assert_int_equal(plan.compared, 7);
	assert_int_equal(plan.count, 5);
	assert_int_equal(plan.zeros, 2);
	assert_int_equal(plan.lowered, 2);
	assert_int_equal(plan.raised, 1);
	assert_int_equal(plan.unknown, 2);
	assert_int_equal(plan.goods, 5);
	plan_release(&plan);
}

static void reasons(void **state)
{
	struct plan_item items[] = { item(1, 1, 5, 4), item(2, 2, NONE, 4), item(3, 3, 7, 4), item(4, 4, NONE, 4) };
	struct plan plan;

	(void)state;
	items[2].fresh = true;
	items[3].retry = true;
	plan = built(items, 4);
	for (size_t i = 0; i < plan.count; i++) {
		const char *expected[] = { "delta", "unknown", "new", "quarantine" };

		assert_string_equal(plan.changes[i].reason, expected[plan.changes[i].sku_id - 1]);
	}
	plan_release(&plan);
}

static void zeros_then_reductions_then_raises(void **state)
{
	const struct plan_item items[] = { item(1, 10, 1, 9), item(2, 20, 9, 8),   item(3, 30, 100, 50), item(4, 40, NONE, 5),
		                           item(5, 50, 2, 0), item(6, 60, 200, 0), item(7, 10, 1, 30) };
	const int64_t expected[] = { 6, 5, 4, 3, 2, 1, 7 };
	struct plan plan = built(items, 7);

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(plan.changes[i].sku_id, expected[i]);
		assert_int_equal(plan.changes[plan.order[i]].sku_id, expected[i]);
	}
	plan_release(&plan);
}

static void a_goods_is_sent_with_its_most_urgent_change(void **state)
{
	const struct plan_item items[] = { item(1, 10, 1, 9), item(2, 10, 4, 0), item(3, 20, 50, 1), item(4, 10, 9, 3),
		                           item(5, 30, 5, 0) };
	const int64_t urgent[] = { 5, 2, 3, 4, 1 }, sent[] = { 5, 2, 4, 1, 3 };
	struct plan plan = built(items, 5);

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(plan.changes[i].sku_id, urgent[i]);
		assert_int_equal(plan.changes[plan.order[i]].sku_id, sent[i]);
	}
	assert_int_equal(plan.goods, 3);
	plan_release(&plan);
}

static void nothing_to_do(void **state)
{
	struct plan plan = built(NULL, 0);

	(void)state;
	assert_int_equal(plan.count, 0);
	plan_release(&plan);
}

static void only_transitions_count(void **state)
{
	struct plan_item items[] = { item(1, 1, 0, 0), item(2, 2, 0, 0), item(3, 3, NONE, 0), item(4, 4, NONE, 0) };
	struct plan plan;

	(void)state;
	items[2].sent = maybe_of(0); /* zero went out last, only its answer is missing */
	plan = built(items, 4);
	assert_int_equal(plan.count, 2);
	assert_int_equal(plan.zeros, 1);
	for (size_t i = 0; i < plan.count; i++)
		assert_int_equal(plan.changes[i].zero, plan.changes[i].sku_id == 4);
	plan_release(&plan);
}

static void raises(void **state)
{
	struct plan_item items[] = { item(1, 1, 4, 5), item(2, 2, 5, 4), item(3, 3, NONE, 5), item(4, 4, NONE, 5), item(5, 5, NONE, 5) };
	const bool expected[] = { true, false, false, true, false };
	struct plan plan;

	(void)state;
	items[3].sent = maybe_of(4); /* less went out last */
	items[4].sent = maybe_of(5);
	plan = built(items, 5);
	assert_int_equal(plan.count, 5);
	for (size_t i = 0; i < plan.count; i++)
		assert_int_equal(plan.changes[i].raise, expected[plan.changes[i].sku_id - 1]);
	plan_release(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(baseline),
		cmocka_unit_test(doubt),
		cmocka_unit_test(only_what_differs),
		cmocka_unit_test(reasons),
		cmocka_unit_test(zeros_then_reductions_then_raises),
		cmocka_unit_test(a_goods_is_sent_with_its_most_urgent_change),
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(only_transitions_count),
		cmocka_unit_test(raises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
