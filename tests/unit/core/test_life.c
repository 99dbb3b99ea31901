/* The record after each move, without queue and journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "worker/core/life.h"

static const struct life_policy policy = {
	.retry = { .attempts = 2, .backoff_ms = 1000, .backoff_max_ms = 4000 }, .deadline_ms = 60000, .hold_ms = 30000, .rescue_max = 2,
};

static struct run_record
begun(void)
{
	struct run_record run = { .id = "toy.1.000000000001", .state = RUN_QUEUED, .duration_ms = -1, .seen = 9, .items_done = 9,
		                  .not_before_ms = 7, .step = "old" };
	life_begin(&run, &policy, 1000000);
	return run;
}

static struct life_end
end_of(enum err_class class, const char *code, int64_t wait_ms)
{
	struct life_end end = { .outcome = ERR_INIT, .now_ms = 1005000, .duration_ms = 5000, .random = 0 };
	if (class != ERR_NONE)
		err_set(&end.outcome, class, code, "said so");
	end.outcome.wait_ms = wait_ms;
	return end;
}

static char text[LIFE_TEXT_MAX];

static void
begin(void **state)
{
	struct run_record run = begun();
	(void)state;
	assert_int_equal(run.state, RUN_RUNNING);
	assert_int_equal(run.attempt, 1);
	assert_int_equal(run.deadline_ms, 1060000);
	assert_int_equal(run.seen + run.items_done + run.not_before_ms, 0);
	assert_string_equal(run.step, "");
}

static void
done(void **state)
{
	struct run_record run = begun();
	struct life_end end = end_of(ERR_NONE, "", -1);
	(void)state;
	end.cancel_asked = true; /* too late: everything is done */
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_SUCCESS);
	assert_int_equal(run.finished_ms, 1005000);
	assert_int_equal(run.duration_ms, 5000);
	assert_non_null(strstr(text, "success: duration 5.000 s"));
	run = begun();
	end.partial = true;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_PARTIAL);
}

static void
waits(void **state)
{
	struct run_record run = begun();
	struct life_end end = end_of(ERR_TEMP, "T", 9000);
	(void)state;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_RETRY);
	assert_int_equal(run.not_before_ms, 1014000);
	assert_int_equal(run.deadline_ms, 0);
	assert_int_equal(run.attempt, 1);
	life_queue(&run, 1014001);
	assert_int_equal(run.state, RUN_QUEUED);
	assert_int_equal(run.queued_ms, 1014001);
	assert_int_equal(run.not_before_ms, 0);
	life_begin(&run, &policy, 1014002);
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_FAILED); /* two attempts */
	assert_string_equal(run.error_code, "T");
	assert_non_null(strstr(text, "duration"));

	run = begun();
	end = end_of(ERR_HOLD, "H", -1);
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_HELD);
	assert_int_equal(run.attempt, 0);
	assert_int_equal(run.not_before_ms, 1035000);
	end = end_of(ERR_HOLD, "H", INT64_MAX);
	run = begun();
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.not_before_ms, INT64_MAX);
}

static void
stops(void **state)
{
	struct run_record run = begun();
	struct life_end end = end_of(ERR_CANCELLED, "INTERRUPTED", -1);
	(void)state;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_INTERRUPTED);
	assert_int_equal(run.attempt, 0);
	assert_int_equal(run.error_class, ERR_NONE);
	run = begun();
	end = end_of(ERR_CANCELLED, "DEADLINE", -1);
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_CANCELLED);
	assert_string_equal(run.error_code, "DEADLINE");
	run = begun();
	end = end_of(ERR_TEMP, "CONNECTION", -1); /* the cancel cut it */
	end.cancel_asked = true;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_CANCELLED);
	assert_non_null(strstr(run.error_text, "said so"));
	run = begun();
	end = end_of(ERR_PERM, "P", -1);
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_FAILED);
}

/* A drain cuts calls short; that is no attempt. What was cancelled or is wrong for good ends all the same. */
static void
drains(void **state)
{
	struct run_record run = begun();
	struct life_end end = end_of(ERR_TEMP, "T", -1);
	(void)state;
	end.draining = true;
	run.attempt = policy.retry.attempts;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_INTERRUPTED);
	assert_int_equal(run.attempt, policy.retry.attempts - 1);
	assert_int_equal(run.error_class, ERR_NONE);
	assert_non_null(strstr(text, "duration 5.000 s"));
	assert_non_null(strstr(text, "said so (T)"));
	run = begun();
	end.cancel_asked = true;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_CANCELLED);
	run = begun();
	end = end_of(ERR_PERM, "P", -1);
	end.draining = true;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_FAILED);
	run = begun();
	end = end_of(ERR_HOLD, "H", -1);
	end.draining = true;
	life_finish(&run, &policy, &end, text);
	assert_int_equal(run.state, RUN_HELD);
}

static void
rescues(void **state)
{
	struct run_record run = begun();
	(void)state;
	life_rescue(&run, &policy, 1000, text);
	assert_int_equal(run.state, RUN_INTERRUPTED);
	assert_int_equal(run.rescues, 1);
	assert_int_equal(run.attempt, 0);
	life_queue(&run, 1001);
	life_begin(&run, &policy, 1002);
	life_rescue(&run, &policy, 1003, text);
	assert_int_equal(run.state, RUN_FAILED);
	assert_string_equal(run.error_code, "POISON");
	assert_int_equal(run.finished_ms, 1003);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin), cmocka_unit_test(done), cmocka_unit_test(waits), cmocka_unit_test(stops), cmocka_unit_test(drains), cmocka_unit_test(rescues),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
