/* Tests of common/json: exact integers, refusals with their place, the readers, the writer, both ways together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

static struct json *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct json *root = json_parse(text, strlen(text), &err);

	if (!root)
		fail_msg("%s: %s", text, err.text);
	return root;
}

static void assert_prints(const char *text, const char *expected)
{
	struct json *root = parse(text);
	struct buf out;

	buf_init(&out, 100000);
	json_print(root, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
	json_free(root);
}

static void assert_refused(const char *text, size_t len, const char *place, const char *what)
{
	struct err err = ERR_INIT;
	struct json *root = json_parse(text, len, &err);
	char expected[64];

	if (root) {
		json_free(root);
		fail_msg("accepted: %s", text);
	}
	assert_int_equal(err.class, ERR_PERM);
	assert_string_equal(err.code, "JSON");
	snprintf(expected, sizeof(expected), "JSON at %s: ", place);
	if (strncmp(err.text, expected, strlen(expected)) != 0 || !strstr(err.text, what))
		fail_msg("for %s: '%s' instead of '%s...%s'", text, err.text, expected, what);
}

static void refuse(const char *text, const char *place, const char *what)
{
	assert_refused(text, strlen(text), place, what);
}

static void test_integers_are_exact(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "999999999999999", 999999999999999 },
		{ "-999999999999999", -999999999999999 },
		{ "9007199254740993", 9007199254740993 },
		{ "601099512345678901", 601099512345678901 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "\"9223372036854775807\"", INT64_MAX },
		{ "\"-9223372036854775808\"", INT64_MIN },
		{ "\"007\"", 7 },
		{ "1.0", 1 },
		{ "1e3", 1000 },
		{ "12.50e1", 125 },
		{ "1200e-2", 12 },
		{ "9223372036854775807.0", INT64_MAX },
		{ "922337203685477580.7e1", INT64_MAX },
		{ "0.0e999999999999999999999", 0 },
		{ "-0.000", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *root = parse(cases[i].text);
		int64_t value = 42;
		if (json_int64(root, &value) < 0 || value != cases[i].value)
			fail_msg("%s gave %lld", cases[i].text, (long long)value);
		json_free(root);
	}
}

static void test_what_is_no_int64_is_refused(void **state)
{
	static const char *const wrong[] = {
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999999", "1.5", "0.99999999999999999999999",
		"1e19", "1e-1", "1e400", "-1e999999999999", "1e-99999999999999999999", "\"\"", "\"-\"", "\"1.0\"", "\" 1\"", "\"1 \"",
		"\"+1\"", "\"0x10\"", "\"9223372036854775808\"", "true", "null", "[]", "{}",
		"\"0000000000000000000000000000000000000000000000001\"",
	};
	int64_t value = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct json *root = parse(wrong[i]);
		if (json_int64(root, &value) == 0)
			fail_msg("%s was accepted", wrong[i]);
		json_free(root);
	}
	assert_true(value == 42);
	assert_int_equal(json_int64(NULL, &value), -1);
}

static void test_long_numbers_are_still_numbers(void **state)
{
	struct json *root = parse("[601099512345678901, \"601099512345678901\", 1.25, 3]");
	const struct json *each = json_first(root);

	(void)state;
	assert_true(json_is_number(each));
	assert_false(json_is_string(each));
	assert_null(json_string(each));
	each = json_next(each);
	assert_false(json_is_number(each));
	assert_string_equal(json_string(each), "601099512345678901");
	each = json_next(each);
	assert_true(json_is_number(each));
	assert_null(json_string(each));
	each = json_next(each);
	assert_true(json_is_number(each));
	assert_null(json_next(each));
	json_free(root);
	assert_prints("[601099512345678901, \"601099512345678901\"]", "[601099512345678901,\"601099512345678901\"]");
	assert_prints("123456789012345678901234567890", "123456789012345678901234567890");
	assert_prints("[12.3400, 0.1, 1E5, -1.5e-7]", "[12.3400,0.1,1E5,-1.5e-7]");
	assert_prints("[999999999999999,-1,0]", "[999999999999999,-1,0]");
}

static void test_strings_cannot_pass_for_numbers(void **state)
{
	/* What could be mistaken for the inner mark: control characters, U+00FF, text that looks like a long number. */
	struct json *root = parse("[\"\\u00ff1234567890123456\",\"\xC3\xBF" "1234567890123456\",\"\\u00011234567890123456\"]");

	(void)state;
	for (const struct json *each = json_first(root); each; each = json_next(each)) {
		assert_true(json_is_string(each));
		assert_false(json_is_number(each));
	}
	json_free(root);
	refuse("[\"\xFF" "1234567890123456\"]", "1:3", "UTF-8");
	assert_prints("{\"1234567890123456789\":\"a 1234567890123456789 \\\" 1234567890123456789\"}",
	              "{\"1234567890123456789\":\"a 1234567890123456789 \\\" 1234567890123456789\"}");
}

static void test_refusals_name_the_place(void **state)
{
	(void)state;
	refuse("", "1:1", "ends");
	refuse("  \n ", "2:2", "ends");
	refuse("{} x", "1:4", "after the end");
	refuse("{}{}", "1:3", "after the end");
	refuse("\xEF\xBB\xBF{}", "1:1", "byte order mark");
	refuse("[007]", "1:2", "leading zero");
	refuse("[-01]", "1:3", "leading zero");
	refuse("[1.]", "1:4", "decimal point");
	refuse("[.5]", "1:2", "value expected");
	refuse("[+5]", "1:2", "value expected");
	refuse("[-]", "1:3", "value expected");
	refuse("[1e]", "1:4", "exponent");
	refuse("[1e+]", "1:5", "exponent");
	refuse("[0x10]", "1:3", "expected");
	refuse("[NaN]", "1:2", "value expected");
	refuse("[nul]", "1:2", "value expected");
	refuse("[True]", "1:2", "value expected");
	refuse("[1,]", "1:4", "value expected");
	refuse("[1 2]", "1:4", "',' or ']'");
	refuse("{\"a\":1,}", "1:8", "member name");
	refuse("{\"a\" 1}", "1:6", "':'");
	refuse("{a:1}", "1:2", "member name");
	refuse("{\"a\":1", "1:7", "',' or '}'");
	refuse("[\"a", "1:4", "inside a string");
	refuse("[\"a\\", "1:5", "escape");
	refuse("[\"\\x\"]", "1:4", "escape");
	refuse("[\"\\u12g4\"]", "1:7", "hex");
	refuse("[\"a\tb\"]", "1:4", "control");
	refuse("[\"a\nb\"]", "1:4", "control");
	refuse("[\"\\u0000\"]", "1:9", "u0000");
	refuse("[\"\\ud800\"]", "1:9", "surrogate");
	refuse("[\"\\ud800\\u0041\"]", "1:15", "surrogate");
	refuse("[\"\\udc00\"]", "1:9", "surrogate");
	refuse("[\"\xC3\"]", "1:3", "UTF-8");
	refuse("[\"\xED\xA0\x80\"]", "1:3", "UTF-8");
	refuse("{\n  \"gr\xC3\xB6\xC3\x9F" "e\": ?\n}", "2:12", "value expected");
	assert_refused("[1]\0", 4, "1:4", "after the end");
	assert_refused("[\"a\0b\"]", 7, "1:4", "control");
}

static void test_depth(void **state)
{
	char text[70];

	(void)state;
	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	json_free(json_parse(text, 64, NULL));
	text[64] = '\0';
	assert_prints(text, text);
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	assert_refused(text, 66, "1:33", "32 levels");
}

static void test_readers(void **state)
{
	struct json *root = parse("{\"a\":\"x\",\"A\":\"y\",\"n\":null,\"t\":true,\"f\":false,\"i\":5,\"l\":[1,2,3],\"o\":{},"
	                          "\"dup\":1,\"dup\":2,\"e\":\"\"}");
	bool flag = false;

	(void)state;
	assert_true(json_is_object(root));
	assert_int_equal(json_size(root), 11);
	assert_string_equal(json_name(json_first(root)), "a");
	assert_null(json_name(root));
	assert_string_equal(json_get_string(root, "a", "-"), "x");
	assert_string_equal(json_get_string(root, "A", "-"), "y");
	assert_string_equal(json_get_string(root, "e", "-"), "");
	assert_string_equal(json_get_string(root, "b", "-"), "-");
	assert_string_equal(json_get_string(root, "i", "-"), "-");
	assert_true(json_is_null(json_get(root, "n")));
	assert_true(json_is_null(json_get(root, "b")));
	assert_false(json_is_null(json_get(root, "f")));
	assert_int_equal(json_bool(json_get(root, "t"), &flag), 0);
	assert_true(flag);
	assert_int_equal(json_bool(json_get(root, "f"), &flag), 0);
	assert_false(flag);
	assert_int_equal(json_bool(json_get(root, "i"), &flag), -1);
	assert_true(json_get_bool(root, "t", false));
	assert_true(json_get_bool(root, "i", true));
	assert_true(json_get_int64(root, "i", -1) == 5);
	assert_true(json_get_int64(root, "a", -1) == -1);
	assert_true(json_get_int64(root, "dup", -1) == 1);
	assert_true(json_is_array(json_get(root, "l")));
	assert_int_equal(json_size(json_get(root, "l")), 3);
	assert_null(json_get(json_get(root, "l"), "x"));
	assert_null(json_get(json_get(root, "a"), "x"));
	assert_int_equal(json_size(json_get(root, "o")), 0);
	json_free(root);
	assert_null(json_get(NULL, "a"));
	assert_null(json_first(NULL));
	assert_null(json_next(NULL));
	assert_null(json_name(NULL));
	assert_null(json_string(NULL));
	assert_int_equal(json_bool(NULL, &flag), -1);
	assert_int_equal(json_size(NULL), 0);
	json_free(NULL);
}

static void test_print_is_compact_and_raw(void **state)
{
	(void)state;
	assert_prints(" { \"a\" : [ 1 , { \"b\" : null } , true, false ] , \"\" : {} } ",
	              "{\"a\":[1,{\"b\":null},true,false],\"\":{}}");
	assert_prints("\"\\/ \\u00e4 \xC3\xA4 \\ud83d\\ude00 \\n \\u001f \\\\ \\\"\"",
	              "\"/ \xC3\xA4 \xC3\xA4 \xF0\x9F\x98\x80 \\n \\u001f \\\\ \\\"\"");
	assert_prints("null", "null");
}

static void test_writer_places_commas(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_object_open(&out, NULL);
	json_add_string(&out, "s", "{[:,");
	json_add_string(&out, "null", NULL);
	json_add_int64(&out, "min", INT64_MIN);
	json_array_open(&out, "list");
	json_add_int64(&out, NULL, 1);
	json_add_bool(&out, NULL, true);
	json_object_open(&out, NULL);
	json_object_close(&out);
	json_array_open(&out, NULL);
	json_array_close(&out);
	json_add_null(&out, NULL);
	json_array_close(&out);
	json_add_raw(&out, "raw", "[1,2]");
	json_object_open(&out, "o\"");
	json_add_bool(&out, "b", false);
	json_object_close(&out);
	json_object_close(&out);
	assert_string_equal(buf_text(&out), "{\"s\":\"{[:,\",\"null\":null,\"min\":-9223372036854775808,"
	                                    "\"list\":[1,true,{},[],null],\"raw\":[1,2],\"o\\\"\":{\"b\":false}}");
	buf_clear(&out);
	buf_add_text(&out, "{\n  ");
	json_add_int64(&out, "a", 1);
	buf_add_text(&out, "\n  ");
	json_add_int64(&out, "b", 2);
	assert_string_equal(buf_text(&out), "{\n  \"a\":1\n  ,\"b\":2");
	buf_release(&out);
	buf_init(&out, 3);
	json_add_string(&out, NULL, "too long");
	assert_true(out.failed);
	buf_release(&out);
}

static void test_writer_escapes(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_add_string(&out, NULL, "\" \\ / \b\f\n\r\t \x01 \x7F \xC3\xA4 \xC3 \xF0\x9F\x98\x80");
	assert_string_equal(buf_text(&out), "\"\\\" \\\\ / \\b\\f\\n\\r\\t \\u0001 \x7F \xC3\xA4 \xEF\xBF\xBD \xF0\x9F\x98\x80\"");
	buf_clear(&out);
	json_add_ascii_string(&out, "k", "a\"\\\n\x7F \xC3\xA4 \xFF \xF0\x9F\x98\x80/");
	assert_string_equal(buf_text(&out), "\"k\":\"a\\u0022\\u005c\\u000a\\u007f \\u00e4 \\ufffd \\ud83d\\ude00/\"");
	buf_clear(&out);
	json_add_ascii_string(&out, NULL, NULL);
	assert_string_equal(buf_text(&out), "null");
	buf_release(&out);
}

static void test_times(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	json_object_open(&out, NULL);
	json_add_time(&out, "at", 1795582800123);
	json_add_time(&out, "never", 0);
	json_object_close(&out);
	assert_string_equal(buf_text(&out), "{\"at\":\"2026-11-25T05:00:00.123Z\",\"never\":null}");
	buf_release(&out);
}

static void assert_fixed(double value, int decimals, const char *expected)
{
	struct buf out;

	buf_init(&out, 1000);
	json_add_fixed(&out, NULL, value, decimals);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void test_fixed(void **state)
{
	(void)state;
	assert_fixed(1.5, 3, "1.5");
	assert_fixed(1.0, 3, "1");
	assert_fixed(100.0, 0, "100");
	assert_fixed(0.126, 2, "0.13");
	assert_fixed(-0.001, 2, "0");
	assert_fixed(1e15, 1, "1000000000000000");
	assert_fixed((double)NAN, 2, "null");
	assert_fixed((double)INFINITY, 2, "null");
	assert_fixed(0.5, 99, "0.5");
	assert_fixed(0.5, -1, "0");
}

static void test_every_character_survives_both_ways(void **state)
{
	char text[16];

	(void)state;
	for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
		struct buf out;
		struct json *plain, *ascii;
		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		text[utf8_encode(c, text)] = '\0';
		buf_init(&out, 64);
		json_add_string(&out, NULL, text);
		plain = parse(buf_text(&out));
		buf_clear(&out);
		json_add_ascii_string(&out, NULL, text);
		ascii = parse(buf_text(&out));
		if (strcmp(json_string(plain), text) != 0 || strcmp(json_string(ascii), text) != 0)
			fail_msg("code point %x", c);
		json_free(plain);
		json_free(ascii);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_are_exact),
		cmocka_unit_test(test_what_is_no_int64_is_refused),
		cmocka_unit_test(test_long_numbers_are_still_numbers),
		cmocka_unit_test(test_strings_cannot_pass_for_numbers),
		cmocka_unit_test(test_refusals_name_the_place),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_print_is_compact_and_raw),
		cmocka_unit_test(test_writer_places_commas),
		cmocka_unit_test(test_writer_escapes),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_every_character_survives_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
