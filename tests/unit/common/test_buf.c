/* Tests of common/buf: growth, the maximum, the failed flag, taking the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

static void test_text_of_an_empty_buffer(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	assert_string_equal(buf_text(&buf), "");
	assert_null(buf.data);
	buf_release(&buf);
}

static void test_growth_keeps_the_content(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100000);
	for (int i = 0; i < 10000; i++)
		buf_addf(&buf, "%04d", i);
	assert_int_equal(buf.len, 40000);
	assert_memory_equal(buf.data, "000000010002", 12);
	assert_memory_equal(buf.data + 39996, "9999", 5);
	assert_int_equal(buf_check(&buf, "numbers", NULL), 0);
	buf_release(&buf);
}

static void test_exactly_the_maximum_fits(void **state)
{
	struct buf buf;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&buf, 8);
	buf_add_text(&buf, "1234567");
	buf_add_char(&buf, '8');
	assert_false(buf.failed);
	buf_add(&buf, "", 0);
	assert_false(buf.failed);
	buf_add_char(&buf, '9');
	assert_true(buf.failed);
	buf_clear(&buf);
	buf_addf(&buf, "%s", "12345678");
	assert_false(buf.failed);
	assert_string_equal(buf_text(&buf), "12345678");
	buf_addf(&buf, "%d", 1);
	assert_true(buf.failed);
	assert_string_equal(buf_text(&buf), "12345678");
	assert_int_equal(buf_check(&buf, "the reply", &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	assert_non_null(strstr(err.text, "the reply"));
	assert_non_null(strstr(err.text, "8 bytes"));
	buf_release(&buf);
}

static void test_later_writes_are_ignored_after_a_failure(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	buf_add_text(&buf, "ab");
	buf_add_text(&buf, "cdefg");
	buf_add_char(&buf, 'c');
	buf_addf(&buf, "%c", 'd');
	assert_string_equal(buf_text(&buf), "ab");
	buf_clear(&buf);
	assert_false(buf.failed);
	assert_string_equal(buf_text(&buf), "");
	buf_add_text(&buf, "cd");
	assert_string_equal(buf_text(&buf), "cd");
	buf_release(&buf);
}

static void test_bytes_may_hold_nul(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 16);
	buf_add(&buf, "a\0b", 3);
	buf_addf(&buf, "%s", "c");
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "a\0bc", 5);
	buf_release(&buf);
}

static void test_take_hands_the_memory_over(void **state)
{
	struct buf buf;
	size_t len = 99;
	char *text;

	(void)state;
	buf_init(&buf, 16);
	buf_add_text(&buf, "hello");
	text = buf_take(&buf, &len);
	assert_string_equal(text, "hello");
	assert_int_equal(len, 5);
	assert_null(buf.data);
	free(text);
	text = buf_take(&buf, NULL);
	assert_string_equal(text, "");
	free(text);
	buf_add_text(&buf, "longer than sixteen bytes");
	assert_null(buf_take(&buf, &len));
	buf_add_text(&buf, "again");
	assert_string_equal(buf_text(&buf), "again");
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_of_an_empty_buffer),
		cmocka_unit_test(test_growth_keeps_the_content),
		cmocka_unit_test(test_exactly_the_maximum_fits),
		cmocka_unit_test(test_later_writes_are_ignored_after_a_failure),
		cmocka_unit_test(test_bytes_may_hold_nul),
		cmocka_unit_test(test_take_hands_the_memory_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
