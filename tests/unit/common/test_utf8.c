/* Tests of common/utf8: the whole range of code points, the classic wrong forms, cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/utf8.h"

static void test_every_code_point_there_and_back(void **state)
{
	char text[4];

	(void)state;
	for (uint32_t c = 1; c <= 0x10FFFF; c++) {
		size_t len = utf8_encode(c, text);
		uint32_t back = 0;
		bool surrogate = c >= 0xD800 && c <= 0xDFFF;
		if (utf8_valid(text, len) == surrogate || (!surrogate && utf8_decode(text, len, &back) != len) ||
		    (!surrogate && back != c))
			fail_msg("code point %x", c);
	}
}

static void test_wrong_forms_are_refused(void **state)
{
	static const char *const wrong[] = {
		"\x80",             "\xBF",         "\xC0\x80",     "\xC1\xBF",         "\xC3",         "\xC3(",
		"\xE0\x80\x80",     "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",     "\xE2\x82",     "\xE2(\xA1",
		"\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98", "\xFF", "\xFE",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (utf8_valid(wrong[i], strlen(wrong[i])))
			fail_msg("form %zu was accepted", i);
		assert_int_equal(utf8_sequence(wrong[i], strlen(wrong[i])), 0);
	}
	assert_false(utf8_valid("a\0b", 3));
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("Gr\xC3\xB6\xC3\x9F" "e \xF0\x9F\x98\x80", 12));
}

static void test_cut_keeps_characters_whole(void **state)
{
	const char *text = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
	static const size_t expected[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10 };

	(void)state;
	for (size_t max = 0; max < 12; max++)
		assert_int_equal(utf8_cut(text, 10, max), expected[max]);
	/* Not UTF-8: something is kept rather than everything lost. */
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80\x80\x80", 8, 6), 6);
}

static void test_utf16_units(void **state)
{
	(void)state;
	assert_int_equal(utf8_utf16_units("", 0), 0);
	assert_int_equal(utf8_utf16_units("abc", 3), 3);
	assert_int_equal(utf8_utf16_units("\xC3\xA4\xE2\x82\xAC", 5), 2);
	assert_int_equal(utf8_utf16_units("x\xF0\x9F\x98\x80", 5), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point_there_and_back),
		cmocka_unit_test(test_wrong_forms_are_refused),
		cmocka_unit_test(test_cut_keeps_characters_whole),
		cmocka_unit_test(test_utf16_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
