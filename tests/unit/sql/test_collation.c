/* Collations: equality and order of letters, accents and case, trailing blanks, LIKE, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ecosystem/sandbox/sql/collation.h"

static int sign(int c) {
	return c < 0 ? -1 : c > 0;
}

static int compare(const char *collation, const char *a, const char *b) {
	struct collation rule = collation_of(collation);
	int c = sign(collation_compare(&rule, a, strlen(a), b, strlen(b)));
	assert_int_equal(c, -sign(collation_compare(&rule, b, strlen(b), a, strlen(a))));
	return c;
}

static void test_equal(void **state) {
	static const struct {
		const char *a, *b;
		bool ci_as, cs_as, ci_ai, bin;
	} cases[] = {
		{ "abc", "ABC  ", true, false, true, false },  { "abc", "abc  ", true, true, true, true },
		{ "Stra\xC3\x9F" "e", "STRASSE", true, false, true, false }, { "\xC3\xA4", "\xC3\x84", true, false, true, false },
		{ "\xC3\xA4", "a", false, false, true, false },  { "a\xCC\x88", "\xC3\xA4", true, true, true, false },
		{ "\xCE\xA9", "\xCF\x89", true, false, true, false }, { "\xD0\x96", "\xD0\xB6", true, false, true, false },
		{ "", "   ", true, true, true, true },         { "a b", "ab", false, false, false, false },
		{ "A\xEF\xBB\xBF", "A", true, true, true, false }, { "\xEF\xBC\xA1", "A", true, true, true, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool got[4] = { compare("Latin1_General_CI_AS", cases[i].a, cases[i].b) == 0,
				compare("Latin1_General_CS_AS", cases[i].a, cases[i].b) == 0,
				compare("Latin1_General_CI_AI", cases[i].a, cases[i].b) == 0,
				compare("Latin1_General_BIN2", cases[i].a, cases[i].b) == 0 };
		if (got[0] != cases[i].ci_as || got[1] != cases[i].cs_as || got[2] != cases[i].ci_ai || got[3] != cases[i].bin)
			fail_msg("case %zu: %d %d %d %d", i, got[0], got[1], got[2], got[3]);
	}
}

static void test_order(void **state) {
	static const char *const rising[] = { "", "-", "1", "10", "2", "a", "\xC3\xA4", "ab", "B", "z", "\xCE\xB1", "\xD0\xB6" };
	(void)state;
	for (size_t i = 0; i + 1 < sizeof rising / sizeof rising[0]; i++)
		assert_int_equal(compare("Latin1_General_CI_AS", rising[i], rising[i + 1]), -1);
	assert_int_equal(compare("Latin1_General_CS_AS", "a", "A"), -1);
	assert_int_equal(compare("Latin1_General_CS_AS", "A", "b"), -1);
	assert_int_equal(compare("Latin1_General_BIN2", "B", "a"), -1);
	assert_int_equal(compare("Latin1_General_CI_AS", "\xFF\xFE", "\xFF\xFE"), 0);
}

static bool like(const char *collation, const char *text, const char *pattern, uint32_t escape) {
	struct collation rule = collation_of(collation);
	return collation_like(&rule, text, strlen(text), pattern, strlen(pattern), escape);
}

static void test_like(void **state) {
	const char *ci = "Latin1_General_CI_AS", *bin = "Latin1_General_BIN2";
	(void)state;
	assert_true(like(ci, "ABCdef", "a_c%F", 0));
	assert_false(like(bin, "ABC", "a%", 0));
	assert_true(like(ci, "", "%", 0));
	assert_false(like(ci, "", "_", 0));
	assert_true(like(ci, "x5", "x[0-9]", 0));
	assert_false(like(ci, "x5", "x[^0-9]", 0));
	assert_true(like(ci, "50%", "50!%", '!'));
	assert_false(like(ci, "501", "50!%", '!'));
	assert_true(like(ci, "a[b", "a[[]b", 0));
	assert_false(like(ci, "a", "[a", 0));
	assert_true(like(ci, "aaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%a%b", 0));
	assert_true(like(ci, "Gr\xC3\xBC\xC3\x9F" "e", "GR\xC3\x9C__", 0) == true);
	assert_false(like(ci, "Gruss", "GR\xC3\x9Css", 0));
}

static void test_match(void **state) {
	struct collation rule = collation_of("Latin1_General_CI_AS");
	(void)state;
	assert_int_equal(collation_match(&rule, "STRASSE 1", 9, "stra\xC3\x9F", 6), 6);
	assert_int_equal(collation_match(&rule, "\xC3\x9Fx", 3, "s", 1), 0);
	assert_int_equal(collation_match(&rule, "abc", 3, "abcd", 4), 0);
}

static void test_names(void **state) {
	(void)state;
	assert_string_equal(collation_canonical("latin1_general_ci_as"), "Latin1_General_CI_AS");
	assert_non_null(collation_canonical("SQL_Latin1_General_CP1_CI_AS"));
	assert_null(collation_canonical("Latin1_General"));
	assert_null(collation_canonical("Klingon_CI_AS"));
	assert_true(collation_of("Latin1_General_BIN2").binary);
	assert_int_equal(collation_upper(0xE4), 0xC4);
	assert_int_equal(collation_lower(0x416), 0x436);
	assert_int_equal(collation_upper(0xDF), 0xDF);
	assert_true(collation_same_name("tArtikel", "TARTIKEL"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal), cmocka_unit_test(test_order), cmocka_unit_test(test_like),
		cmocka_unit_test(test_match), cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
