/* Exact stock numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "worker/db/quantity.h"

static void reads_and_writes(void **state)
{
	const struct {
		const char *text, *shown;
		int64_t floor;
	} cases[] = {
		{ "0", "0", 0 },
		{ "0.00000000000000", "0", 0 },
		{ "12.3400000000000", "12.34", 12 },
		{ "-3", "-3", -3 },
		{ "-0.25", "-0.25", -1 },
		{ ".5", "0.5", 0 },
		{ "+7.", "7", 7 },
		{ "007", "7", 7 },
		{ "0.9999999999999", "0.9999999999999", 0 },
		{ "0.00000000000001", "0.00000000000001", 0 },
		{ "0.999999999999999", "0.99999999999999", 0 },
		{ "-0.000000000000001", "-0.00000000000001", -1 },
		{ "99999999999999999999.99999999999999", "99999999999999999999.99999999999999", INT64_MAX },
		{ "-99999999999999999999", "-99999999999999999999", INT64_MIN },
		{ "1000000", "1000000", 1000000 },
	};
	char text[QUANTITY_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quantity value;

		assert_int_equal(quantity_parse(cases[i].text, &value), 0);
		assert_string_equal(quantity_format(value, text), cases[i].shown);
		assert_int_equal(quantity_floor(value), cases[i].floor);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = { "",      "-",  ".", "1e3", "1,5", " 1", "1 ", "0x1", "--1", "100000000000000000000",
		                           "1.2.3", "NaN" };
	struct quantity value;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (quantity_parse(bad[i], &value) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void computes(void **state)
{
	struct quantity a, b;
	char text[QUANTITY_TEXT_MAX];

	(void)state;
	assert_int_equal(quantity_parse("0.3", &a), 0);
	assert_int_equal(quantity_parse("0.1", &b), 0);
	assert_int_equal(quantity_fits(a, b), 3);
	assert_int_equal(quantity_fits(quantity_sub(b, a), b), -2);
	assert_string_equal(quantity_format(quantity_sub(a, b), text), "0.2");
	assert_string_equal(quantity_format(quantity_add(a, quantity_of(4)), text), "4.3");
	assert_string_equal(quantity_format(quantity_min(a, b), text), "0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(computes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
