/* Tests of common/clock: text form both ways, refusals, replacement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "common/clock.h"

static void test_format_known_moments(void **state)
{
	char text[CLOCK_TEXT_MAX];

	(void)state;
	assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000Z");
	assert_string_equal(clock_format(1795496657123, text), "2026-11-24T05:04:17.123Z");
	assert_string_equal(clock_format(951782400001, text), "2000-02-29T00:00:00.001Z");
	assert_string_equal(clock_format(-1, text), "1969-12-31T23:59:59.999Z");
	assert_string_equal(clock_format(INT64_MAX, text), "9999-12-31T23:59:59.999Z");
	assert_string_equal(clock_format(INT64_MIN, text), "0000-01-01T00:00:00.000Z");
}

static void test_parse_reads_what_format_writes(void **state)
{
	static const int64_t moments[] = { 0, -1, 1, 999, 1000, 1795496657123, 951782400001, 253402300799999, -62167219200000 };
	char text[CLOCK_TEXT_MAX];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		assert_int_equal(clock_parse(clock_format(moments[i], text), &back), 0);
		assert_true(back == moments[i]);
	}
	assert_int_equal(clock_parse("2026-11-24T05:04:17Z", &back), 0);
	assert_true(back == 1795496657000);
	assert_int_equal(clock_parse("2026-11-24T05:04:17.5Z", &back), 0);
	assert_true(back == 1795496657500);
	assert_int_equal(clock_parse("2026-11-24T05:04:17.123456789Z", &back), 0);
	assert_true(back == 1795496657123);
}

static void test_parse_refuses_everything_else(void **state)
{
	static const char *const wrong[] = {
		"",
		"Z",
		"2026",
		"2026-11-24",
		"2026-11-24T05:04:17",
		"2026-11-24 05:04:17Z",
		"2026-11-24T05:04:17.Z",
		"2026-11-24T05:04:17.1234567890Z",
		"2026-11-24T05:04:17+01:00",
		"2026-11-24T05:04:17Z ",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2026-11-31T00:00:00Z",
		"2026-11-24T24:00:00Z",
		"2026-11-24T05:60:00Z",
		"2026-11-24T05:04:60Z",
		"2026-1-24T05:04:17Z",
		"+026-11-24T05:04:17Z",
	};
	int64_t value = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (clock_parse(wrong[i], &value) == 0)
			fail_msg("'%s' was accepted", wrong[i]);
	assert_true(value == 42);
}

static int64_t fixed_now(void)
{
	return 1000;
}

static int64_t fixed_mono(void)
{
	return 2000;
}

static void test_replacement(void **state)
{
	int64_t before = clock_mono_ms();

	(void)state;
	assert_true(clock_now_ms() / 1000 - (int64_t)time(NULL) <= 1);
	assert_true(clock_mono_ms() >= before);
	clock_replace(fixed_now, fixed_mono);
	assert_true(clock_now_ms() == 1000);
	assert_true(clock_mono_ms() == 2000);
	clock_replace(NULL, NULL);
	assert_true(clock_now_ms() > 1000);
}

/* What is waited on is the kernel's clock, whatever the others say. */
static void test_kernel_clock(void **state)
{
	static const int64_t waits_ms[] = { -5, 0, 1, 999, 1000, 1999, 86400000 };
	int64_t before, after, at_ms;

	(void)state;
	clock_replace(fixed_now, fixed_mono);
	assert_true(clock_kernel_ms() != 2000);
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		int64_t wait_ms = waits_ms[i] > 0 ? waits_ms[i] : 0;
		struct timespec at;
		before = clock_kernel_ms();
		at = clock_kernel_after(waits_ms[i]);
		after = clock_kernel_ms();
		assert_in_range(at.tv_nsec, 0, 999999999);
		at_ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
		assert_true(at_ms >= before + wait_ms && at_ms <= after + wait_ms);
	}
	clock_replace(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_known_moments),
		cmocka_unit_test(test_parse_reads_what_format_writes),
		cmocka_unit_test(test_parse_refuses_everything_else),
		cmocka_unit_test(test_replacement),
		cmocka_unit_test(test_kernel_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
