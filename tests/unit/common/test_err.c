/* Tests of common/err: class, code, masking before the cut, context in front. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/secret.h"
#include "common/utf8.h"

static void test_set_fills_everything(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err.wait_ms = 5;
	err.number = 7;
	errno = EIO;
	assert_int_equal(err_set(&err, ERR_TEMP, "NET", "no route to %s", "host"), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(err.number, 0);
	assert_int_equal(err.wait_ms, -1);
	assert_string_equal(err.code, "NET");
	assert_string_equal(err.text, "no route to host");
	assert_int_equal(err_set_number(&err, ERR_PERM, "SQL_208", 208, "no table"), -1);
	assert_int_equal(err.number, 208);
	assert_int_equal(err_set(NULL, ERR_PERM, "X", "ignored"), -1);
	assert_int_equal(err_context(NULL, "ignored"), -1);
	err_clear(&err);
	assert_int_equal(err.class, ERR_NONE);
	assert_int_equal(err.wait_ms, -1);
	assert_string_equal(err.text, "");
}

static void test_own_fields_may_be_reused(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_TEMP, "OLD", "inner");
	err_set(&err, ERR_PERM, err.code, "outer of %s", err.text);
	assert_string_equal(err.code, "OLD");
	assert_string_equal(err.text, "outer of inner");
}

static void test_text_is_cut_at_a_character(void **state)
{
	struct err err = ERR_INIT;
	char text[900];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + ERR_TEXT_MAX - 2, "\xC3\xA4", 2);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_PERM, "LONG", "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 2);
	assert_true(utf8_valid(err.text, strlen(err.text)));
	err_set(&err, ERR_PERM, "A_CODE_THAT_IS_LONGER_THAN_ITS_FIELD_ALLOWS", "x");
	assert_int_equal(strlen(err.code), ERR_CODE_MAX - 1);
}

static void test_secret_across_the_cut_is_masked(void **state)
{
	struct err err = ERR_INIT;
	char text[700];

	(void)state;
	assert_non_null(secret_new("hunter2-hunter2", 15));
	memset(text, 'a', ERR_TEXT_MAX - 8);
	memcpy(text + ERR_TEXT_MAX - 8, "hunter2-hunter2", 16);
	err_set(&err, ERR_PERM, "X", "%s", text);
	assert_null(strstr(err.text, "hunter"));
	err_set(&err, ERR_PERM, "X", "inner");
	err_context(&err, "login with %s", "hunter2-hunter2");
	assert_string_equal(err.text, "login with ***: inner");
}

static void test_context_goes_in_front(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set_number(&err, ERR_HOLD, "GATE", 3, "shut");
	err.wait_ms = 250;
	assert_int_equal(err_context(&err, "shop %d", 2), -1);
	assert_string_equal(err.text, "shop 2: shut");
	assert_int_equal(err.class, ERR_HOLD);
	assert_int_equal(err.number, 3);
	assert_int_equal(err.wait_ms, 250);
	for (int i = 0; i < 200; i++)
		err_context(&err, "deeper");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_class_names(void **state)
{
	(void)state;
	assert_string_equal(err_class_name(ERR_NONE), "none");
	assert_string_equal(err_class_name(ERR_TEMP), "temp");
	assert_string_equal(err_class_name(ERR_PERM), "perm");
	assert_string_equal(err_class_name(ERR_HOLD), "hold");
	assert_string_equal(err_class_name(ERR_CANCELLED), "cancelled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_fills_everything),
		cmocka_unit_test(test_own_fields_may_be_reused),
		cmocka_unit_test(test_text_is_cut_at_a_character),
		cmocka_unit_test(test_secret_across_the_cut_is_masked),
		cmocka_unit_test(test_context_goes_in_front),
		cmocka_unit_test(test_class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
