/* The table of what follows from an error, and the bounds of the wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "worker/core/retry.h"

static const struct retry_policy policy = { .attempts = 3, .backoff_ms = 1000, .backoff_max_ms = 5000 };

static struct retry_decision
decide(enum err_class class, int attempt, int64_t asked_ms, uint64_t random)
{
	struct err err = ERR_INIT;
	err_set(&err, class, "TEST", "test");
	err.wait_ms = asked_ms;
	return retry_decide(&policy, attempt, &err, random);
}

static void
class_decides(void **state)
{
	(void)state;
	assert_int_equal(decide(ERR_TEMP, 1, -1, 0).verdict, RETRY_AGAIN);
	assert_int_equal(decide(ERR_TEMP, 2, -1, 0).verdict, RETRY_AGAIN);
	assert_int_equal(decide(ERR_TEMP, 3, -1, 0).verdict, RETRY_GIVE_UP);
	assert_int_equal(decide(ERR_PERM, 1, -1, 0).verdict, RETRY_GIVE_UP);
	assert_int_equal(decide(ERR_HOLD, 3, -1, 0).verdict, RETRY_HOLD);
	assert_int_equal(decide(ERR_HOLD, 100, -1, 0).verdict, RETRY_HOLD);
	assert_int_equal(decide(ERR_CANCELLED, 1, -1, 0).verdict, RETRY_STOPPED);
}

static void
jitter_is_full(void **state)
{
	(void)state;
	assert_int_equal(decide(ERR_TEMP, 1, -1, 0).wait_ms, 0);
	assert_int_equal(decide(ERR_TEMP, 1, -1, 1000).wait_ms, 1000);
	assert_int_equal(decide(ERR_TEMP, 1, -1, 1001).wait_ms, 0);
	assert_int_equal(decide(ERR_TEMP, 2, -1, 2000).wait_ms, 2000);
	assert_int_equal(decide(ERR_TEMP, 2, -1, 2001).wait_ms, 0);
	assert_int_equal(decide(ERR_HOLD, 9, -1, 1000).wait_ms, 1000);
	assert_int_equal(decide(ERR_HOLD, 9, -1, 1001).wait_ms, 0);
}

static void
ceiling_holds_for_any_attempt(void **state)
{
	(void)state;
	const struct retry_policy patient = { .attempts = 1000, .backoff_ms = 1000, .backoff_max_ms = INT64_MAX / 2 };
	struct err err = ERR_INIT;
	err_set(&err, ERR_TEMP, "TEST", "test");
	for (int attempt = 1; attempt < 1000; attempt++) {
		int64_t wait = retry_decide(&patient, attempt, &err, UINT64_MAX).wait_ms;
		assert_true(wait >= 0 && wait <= patient.backoff_max_ms);
	}
	const struct retry_policy eager = { .attempts = 9, .backoff_ms = 1000, .backoff_max_ms = 5000 };
	assert_int_equal(retry_decide(&eager, 8, &err, 5000).wait_ms, 5000);
	assert_int_equal(retry_decide(&eager, 8, &err, 5001).wait_ms, 0);
}

static void
asked_wait_is_honoured(void **state)
{
	(void)state;
	assert_int_equal(decide(ERR_TEMP, 1, 7000, 0).wait_ms, 7000);
	assert_int_equal(decide(ERR_TEMP, 1, 7000, 300).wait_ms, 7300);
	assert_int_equal(decide(ERR_HOLD, 1, 60000, 0).wait_ms, 60000);
	assert_int_equal(decide(ERR_TEMP, 3, 7000, 0).verdict, RETRY_GIVE_UP);
	assert_true(decide(ERR_TEMP, 1, INT64_MAX, 1000).wait_ms == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(class_decides),
		cmocka_unit_test(jitter_is_full),
		cmocka_unit_test(ceiling_holds_for_any_attempt),
		cmocka_unit_test(asked_wait_is_honoured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
