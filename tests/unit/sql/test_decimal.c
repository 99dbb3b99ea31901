/* Exact decimals: text, rounding, overflow, the precision rules, and arithmetic at the edge of 38 digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ecosystem/sandbox/sql/decimal.h"

#define NINES38 "99999999999999999999999999999999999999"

static struct decimal parse(const char *text) {
	struct decimal d;
	assert_int_equal(decimal_parse(text, strlen(text), &d), DECIMAL_OK);
	return d;
}

static const char *text_of(const struct decimal *d) {
	static char text[DECIMAL_TEXT];
	decimal_format(d, text);
	return text;
}

static void test_text(void **state) {
	static const char *const same[] = { "0", "0.00", "-1.50", "12.3400000000000", NINES38, "-0." NINES38 };
	static const char *const malformed[] = { "", " ", "-", ".", "1e3", "1.2.3", "1,5", "0x1", "1 2" };
	struct decimal d;
	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		d = parse(same[i]);
		assert_string_equal(text_of(&d), same[i]);
	}
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
		assert_int_equal(decimal_parse(malformed[i], strlen(malformed[i]), &d), DECIMAL_MALFORMED);
	assert_int_equal(decimal_parse(NINES38 "9", 39, &d), DECIMAL_OVERFLOW);
	d = parse("  +0007.10 ");
	assert_string_equal(text_of(&d), "7.10");
	d = parse("-0.0");
	assert_false(d.negative);
	d = parse("0." NINES38 "9");
	assert_int_equal(d.scale, 38);
}

static void test_fit(void **state) {
	static const struct {
		const char *from;
		int precision, scale;
		bool truncate;
		const char *to; /* NULL = overflow */
	} cases[] = {
		{ "1.005", 10, 2, false, "1.01" },   { "-1.005", 10, 2, false, "-1.01" }, { "1.009", 10, 2, true, "1.00" },
		{ "99.995", 4, 2, false, NULL },     { "99.994", 4, 2, false, "99.99" },  { "1", 25, 13, false, "1.0000000000000" },
		{ NINES38, 38, 1, false, NULL },     { "0.4", 1, 0, false, "0" },         { "-0.4", 1, 0, false, "0" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct decimal d = parse(cases[i].from);
		enum decimal_status got = decimal_fit(&d, cases[i].precision, cases[i].scale, cases[i].truncate);
		assert_int_equal(got, cases[i].to ? DECIMAL_OK : DECIMAL_OVERFLOW);
		if (cases[i].to)
			assert_string_equal(text_of(&d), cases[i].to);
	}
}

static void test_types(void **state) {
	static const struct {
		char op;
		int p1, s1, p2, s2, p, s;
	} cases[] = {
		{ '+', 25, 13, 25, 13, 26, 13 }, { '*', 10, 2, 10, 2, 21, 4 },   { '/', 2, 1, 1, 0, 7, 6 },
		{ '/', 25, 13, 25, 13, 38, 13 }, { '*', 38, 10, 38, 10, 38, 6 }, { '+', 38, 0, 38, 38, 38, 0 },
		{ '%', 10, 2, 5, 3, 5, 3 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int p, s;
		decimal_result_type(cases[i].op, cases[i].p1, cases[i].s1, cases[i].p2, cases[i].s2, &p, &s);
		if (p != cases[i].p || s != cases[i].s)
			fail_msg("case %zu: %d,%d", i, p, s);
	}
}

static void test_arithmetic(void **state) {
	static const struct {
		char op;
		const char *a, *b;
		int precision, scale;
		const char *result;
		enum decimal_status status;
	} cases[] = {
		{ '+', "1.10", "-2.2", 10, 2, "-1.10", DECIMAL_OK },
		{ '-', "1", "1.000", 10, 3, "0.000", DECIMAL_OK },
		{ '+', NINES38, "1", 38, 0, NULL, DECIMAL_OVERFLOW },
		{ '*', "12345678901234567890.12", "98765432109876543.21", 38, 0, "1219326311370217952249315652964448712", DECIMAL_OK },
		{ '*', NINES38, "0." NINES38, 38, 0, "99999999999999999999999999999999999998", DECIMAL_OK },
		{ '*', NINES38, "10", 38, 0, NULL, DECIMAL_OVERFLOW },
		{ '/', "2.0", "3", 8, 6, "0.666666", DECIMAL_OK },
		{ '/', "-1", "8", 38, 30, "-0.125000000000000000000000000000", DECIMAL_OK },
		{ '/', "1", "0." NINES38, 38, 37, "1.0000000000000000000000000000000000000", DECIMAL_OK },
		{ '/', "1", "0.00", 10, 6, NULL, DECIMAL_ZERO_DIVIDE },
		{ '%', "-7.5", "2", 10, 1, "-1.5", DECIMAL_OK },
		{ '%', "1", "0", 10, 0, NULL, DECIMAL_ZERO_DIVIDE },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct decimal a = parse(cases[i].a), b = parse(cases[i].b), d = { 0 };
		enum decimal_status got = decimal_calc(cases[i].op, &a, &b, cases[i].precision, cases[i].scale, &d);
		if (got != cases[i].status || (got == DECIMAL_OK && strcmp(text_of(&d), cases[i].result) != 0))
			fail_msg("%s %c %s: status %d, %s", cases[i].a, cases[i].op, cases[i].b, (int)got, text_of(&d));
	}
}

static void test_compare_and_numbers(void **state) {
	struct decimal a = parse("1.0"), b = parse("1.000000"), c = parse("-2"), d;
	int64_t n;
	(void)state;
	assert_int_equal(decimal_compare(&a, &b), 0);
	assert_true(decimal_compare(&c, &a) < 0);
	a = parse("-9223372036854775808.9");
	assert_int_equal(decimal_to_int(&a, &n), DECIMAL_OK);
	assert_true(n == INT64_MIN);
	a = parse("9223372036854775808");
	assert_int_equal(decimal_to_int(&a, &n), DECIMAL_OVERFLOW);
	decimal_from_int(INT64_MIN, &d);
	assert_string_equal(text_of(&d), "-9223372036854775808");
	assert_int_equal(decimal_from_double(0.1, 3, &d), DECIMAL_OK);
	assert_string_equal(text_of(&d), "0.100");
	assert_int_equal(decimal_from_double(1e39, 0, &d), DECIMAL_OVERFLOW);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),       cmocka_unit_test(test_fit),
		cmocka_unit_test(test_types),      cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_compare_and_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
