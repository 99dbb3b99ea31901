/* Two lists of targets side by side: figures and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "worker/jobs/plan_sides.h"

static struct side side_of(const struct side_row *rows, size_t count)
{
	struct side side = { .count = 0 };

	for (size_t i = 0; i < count; i++)
		assert_true(side_add(&side, &rows[i]));
	side_sort(&side);
	return side;
}

static void rows_are_found_by_sku_id(void **state)
{
	struct side side = { .count = 0 };

	(void)state;
	assert_null(side_find(&side, 1));
	side_sort(&side);
	for (int64_t i = 0; i < 5000; i++) {
		struct side_row row = { .sku_id = (i * 7919) % 5000 * 1000000007, .to = (int32_t)i };

		assert_true(side_add(&side, &row));
	}
	assert_true(side_add(&side, &(struct side_row){ .sku_id = 1000000007, .to = -1 }));
	side_sort(&side);
	assert_int_equal(side.count, 5000);
	for (int64_t i = 0; i < 5000; i++) {
		struct side_row *row = side_find(&side, i * 1000000007);

		assert_non_null(row);
		assert_int_equal(row->sku_id, i * 1000000007);
	}
	assert_null(side_find(&side, 999));
	side_release(&side);
	assert_true(side.count == 0 && !side.rows);
}

static void numbers_that_do_not_fit_are_cut(void **state)
{
	(void)state;
	assert_int_equal(side_number(1000000), 1000000);
	assert_int_equal(side_number(INT64_MAX), INT32_MAX);
	assert_int_equal(side_number(INT64_MIN), INT32_MIN);
}

static void two_plans(void **state)
{
	static const struct side_row left[] = { { .sku_id = 1, .to = 5 }, { .sku_id = 2, .to = 0 }, { .sku_id = 3, .to = 9 },
		                                { .sku_id = 4, .to = 0 }, { .sku_id = 5, .to = 7 } };
	static const struct side_row right[] = { { .sku_id = 1, .to = 5 }, { .sku_id = 2, .to = 3 }, { .sku_id = 3, .to = 0 },
		                                 { .sku_id = 6, .to = 0 }, { .sku_id = 7, .to = 2 } };
	struct side plan = side_of(left, 5), with = side_of(right, 5);
	struct side_figures f;

	(void)state;
	sides_count(&plan, &with, false, &f);
	assert_int_equal(f.same, 1);
	assert_int_equal(f.other, 2);
	assert_int_equal(f.only_plan, 2);
	assert_int_equal(f.only_other, 2);
	assert_int_equal(f.plan_pieces, 21);
	assert_int_equal(f.with_pieces, 10);
	assert_int_equal(f.more, 3);
	assert_int_equal(f.less, 9);
	assert_int_equal(f.plan_sold_out_only, 2); /* 2 and 4 */
	assert_int_equal(f.with_sold_out_only, 2); /* 3 and 6 */
	assert_int_equal(f.for_sale + f.unknown + f.as_wanted, 0);
	side_release(&plan);
	side_release(&with);
}

static void an_empty_side_is_a_side(void **state)
{
	static const struct side_row rows[] = { { .sku_id = 1, .to = 0 }, { .sku_id = 2, .to = 4 } };
	struct side full = side_of(rows, 2), empty = { .count = 0 };
	struct side_figures f;

	(void)state;
	sides_count(&full, &empty, true, &f);
	assert_true(f.only_plan == 2 && f.only_other == 0 && f.unknown == 1 && f.plan_sold_out_only == 1);
	sides_count(&empty, &full, true, &f);
	assert_true(f.only_plan == 0 && f.only_other == 2 && f.with_sold_out_only == 1 && f.as_wanted == 0);
	sides_count(&empty, &empty, false, &f);
	assert_true(f.same + f.other + f.only_plan + f.only_other == 0);
	side_release(&full);
}

static void what_the_old_system_left_for_sale(void **state)
{
	static const struct side_row left[] = {
		{ .sku_id = 1, .to = 0, .now = 4, .flags = SIDE_NOW }, /* for sale */
		{ .sku_id = 2, .to = 0, .now = 0, .flags = SIDE_NOW }, /* sold out at TEMU by now */
		{ .sku_id = 3, .to = 0 },                              /* nobody knows */
		{ .sku_id = 4, .to = 0 },                              /* it pushed 6: for sale */
		{ .sku_id = 5, .to = 0 },                              /* it pushed 0 */
		{ .sku_id = 6, .to = 3, .now = 8, .flags = SIDE_NOW }, /* not sold out */
	};
	static const struct side_row right[] = {
		{ .sku_id = 4, .to = 6 },
		{ .sku_id = 5, .to = 0 },
		{ .sku_id = 7, .to = 2, .now = 2, .flags = SIDE_NOW }, /* as wanted */
		{ .sku_id = 8, .to = 2, .now = 1, .flags = SIDE_NOW },
		{ .sku_id = 9, .to = 0 }, /* no ledger row: 0 is not what is wanted */
	};
	struct side plan = side_of(left, 6), with = side_of(right, 5);
	struct side_figures f;

	(void)state;
	sides_count(&plan, &with, true, &f);
	assert_int_equal(f.for_sale, 2);
	assert_int_equal(f.unknown, 1);
	assert_int_equal(f.as_wanted, 1);
	assert_int_equal(f.plan_sold_out_only, 4);
	side_release(&plan);
	side_release(&with);
}

static void words(void **state)
{
	static const struct side_row five = { .to = 5, .from = 3, .flags = SIDE_FROM }, also = { .to = 5 }, seven = { .to = 7 },
	                             zero = { .to = 0 }, zero_shown = { .to = 0, .now = 4, .flags = SIDE_NOW },
	                             zero_gone = { .to = 0, .now = 0, .flags = SIDE_NOW },
	                             doubled = { .to = 7, .now = 7, .flags = SIDE_NOW | SIDE_DOUBLED },
	                             unwanted = { .to = 7, .now = 6, .flags = SIDE_NOW };
	static const struct {
		const struct side_row *plan, *with;
		bool old;
		const char *reason, *text;
	} cases[] = {
		{ &five, &also, false, "same", "both plans set 5" },
		{ &five, &seven, false, "other", "the plan sets 5 (TEMU had 3), the other plan 7" },
		{ &five, NULL, false, "only_plan", "the plan sets 5 (TEMU had 3), the other plan leaves it alone" },
		{ NULL, &five, false, "only_other", "the other plan sets 5 (TEMU had 3), the plan leaves it alone" },
		{ &five, &also, true, "same", "the old system pushed 5 as the plan would" },
		{ &five, &seven, true, "other", "the plan sets 5, the old system pushed 7" },
		{ &zero, &seven, true, "other", "the plan sets 0, the old system pushed 7: still for sale" },
		{ &five, NULL, true, "only_plan", "the plan sets 5, the old system pushed nothing" },
		{ &zero_shown, NULL, true, "only_plan",
		  "the plan sets 0, the old system pushed nothing; TEMU shows 4: still for sale" },
		{ &zero_gone, NULL, true, "only_plan", "the plan sets 0, the old system pushed nothing; TEMU shows 0" },
		{ &zero, NULL, true, "only_plan",
		  "the plan sets 0, the old system pushed nothing; what TEMU shows is not known" },
		{ NULL, &seven, true, "only_other", "the old system pushed 7, the plan leaves it alone" },
		{ NULL, &unwanted, true, "only_other", "the old system pushed 7, the plan leaves it alone; wanted is 6" },
		{ NULL, &doubled, true, "only_other",
		  "the old system pushed 7, the plan leaves it alone; that is what is wanted (it has several rows of this SKU: "
		  "the newest counts)" },
	};
	struct buf out;

	(void)state;
	buf_init(&out, 400);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		sides_describe(cases[i].plan, cases[i].with, cases[i].old, &out);
		assert_string_equal(buf_text(&out), cases[i].text);
		assert_string_equal(sides_reason(cases[i].plan, cases[i].with), cases[i].reason);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_sku_id),
		cmocka_unit_test(numbers_that_do_not_fit_are_cut),
		cmocka_unit_test(two_plans),
		cmocka_unit_test(an_empty_side_is_a_side),
		cmocka_unit_test(what_the_old_system_left_for_sale),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
