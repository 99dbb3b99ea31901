/* The client of temu-workers: answers, lost answers, nobody there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <cmocka.h>
#include "api/workers.h"
#include "tests/unit/api/fake.h"

static char folder[80];
static struct fake_process process;
static struct workers *workers;

static int64_t
submitted(void)
{
	struct answer answer;
	assert_int_equal(workers_pool_stats(workers, &answer), 0);
	int64_t count = json_get_int64(json_get(answer.data, "pool"), "submitted", -1);
	answer_release(&answer);
	return count;
}

static void
every_command_has_its_answer(void **state)
{
	struct answer answer;
	(void)state;
	assert_int_equal(workers_hello(workers, &answer), 0);
	assert_string_equal(json_get_string(answer.data, "journal", ""), "j-1");
	answer_release(&answer);
	assert_int_equal(workers_job_status(workers, &answer), 0);
	assert_int_equal(json_size(answer.data), 2);
	answer_release(&answer);
	assert_int_equal(workers_event_read(workers, &(struct event_query){ .journal = "j-1", .from = 3, .to = 5 }, &answer), 0);
	assert_int_equal(json_size(json_get(answer.data, "events")), 3);
	answer_release(&answer);
	assert_int_equal(workers_gate_set(workers, &(struct gate_order){ .shop = 1, .writes = "stock", .who = "test" }, &answer), 0);
	assert_string_equal(json_get_string(answer.data, "was", ""), "off");
	answer_release(&answer);
	assert_int_equal(workers_item_list(workers, &(struct item_query){ .run_id = "run.1", .after = 4, .limit = 10 }, &answer), 0);
	answer_release(&answer);
}

static void
errors_of_the_workers_keep_code_text_and_data(void **state)
{
	struct answer answer;
	(void)state;
	assert_int_equal(workers_run_submit(workers, &(struct run_order){ .job_id = "busy", .key = "k" }, &answer), -1);
	assert_false(answer.ok);
	assert_int_equal(answer.code, PROTO_ALREADY_RUNNING);
	assert_string_equal(json_get_string(answer.data, "run_id", ""), "busy.1.7");
	answer_release(&answer);
	assert_int_equal(workers_run_get(workers, "0123456789012345678901234567890123456789012345678901234567890123", &answer), -1);
	assert_int_equal(answer.code, PROTO_BAD_REQUEST);
	assert_non_null(strstr(answer.text, "run_id"));
	answer_release(&answer);
}

static void
a_lost_answer_is_asked_for_once_more(void **state)
{
	struct answer answer;
	int64_t before = submitted();
	(void)state;
	fake_say(&process, "lose", 1);
	assert_int_equal(workers_run_submit(workers, &(struct run_order){ .job_id = "temu_inventory_sync", .key = "once" }, &answer), 0);
	char first[40];
	snprintf(first, sizeof(first), "%s", json_get_string(answer.data, "run_id", ""));
	answer_release(&answer);
	assert_int_equal(submitted(), before + 2); /* two commands, */
	assert_int_equal(workers_run_submit(workers, &(struct run_order){ .job_id = "temu_inventory_sync", .key = "once" }, &answer), 0);
	assert_string_equal(json_get_string(answer.data, "run_id", ""), first); /* one run */
	answer_release(&answer);
}

/* As the data says it, and the error otherwise. */
static void
confirm(const char *plan, const char *only, int rc, enum proto_error code, const char *state)
{
	struct answer answer;
	const struct plan_order order = { .run_id = plan, .only = only, .reason = "seen", .who = "test" };
	assert_int_equal(workers_plan_confirm(workers, &order, &answer), rc);
	assert_int_equal(answer.ok, rc == 0);
	if (rc != 0)
		assert_int_equal(answer.code, code);
	assert_string_equal(json_get_string(answer.data, "state", ""), state);
	answer_release(&answer);
}

static void
a_plan_confirmed_by_a_lost_first_try_is_confirmed(void **state)
{
	(void)state;
	confirm("guarded.1", NULL, 0, PROTO_INTERNAL, "queued");
	confirm("guarded.1", NULL, -1, PROTO_PLAN_CONFIRMED, ""); /* not our first try */
	fake_say(&process, "lose", 1);
	confirm("guarded.2", "sold_out", 0, PROTO_INTERNAL, "running");
	fake_say(&process, "lose", 1);
	confirm("guarded.2", "", -1, PROTO_PLAN_CONFIRMED, ""); /* confirmed for something else before */
	fake_say(&process, "lose", 1);
	confirm("old", NULL, -1, PROTO_PLAN_OLD, "");
	fake_say(&process, "lose", 2);
	confirm("guarded.3", NULL, -1, PROTO_WORKERS_DOWN, "");
}

static void
shops_have_their_commands(void **state)
{
	struct answer answer;
	(void)state;
	const struct quarantine_query query = { .shop = 1, .after = "17", .limit = 2 };
	assert_int_equal(workers_quarantine_list(workers, &query, &answer), 0);
	assert_int_equal(json_size(json_get(answer.data, "items")), 2);
	answer_release(&answer);
	fake_say(&process, "lose", 1); /* reading is repeated */
	assert_int_equal(workers_quarantine_list(workers, &(struct quarantine_query){ .shop = 1 }, &answer), 0);
	assert_string_equal(json_get_string(answer.data, "next", ""), "18");
	answer_release(&answer);
	const struct quarantine_order order = { .shop = 1, .sku_id = "9007199254740993", .who = "test" };
	assert_int_equal(workers_quarantine_free(workers, &order, &answer), 0);
	answer_release(&answer);
	assert_int_equal(workers_quarantine_free(workers, &order, &answer), -1);
	assert_int_equal(answer.code, PROTO_NOT_QUARANTINED);
	answer_release(&answer);
	assert_int_equal(workers_lease_take(workers, &(struct lease_order){ .shop = 1, .from = "other", .who = "test" }, &answer), 0);
	answer_release(&answer);
	fake_say(&process, "lose", 1);
	assert_int_equal(workers_lease_take(workers, &(struct lease_order){ .shop = 1, .from = "other" }, &answer), -1);
	assert_int_equal(answer.code, PROTO_WORKERS_DOWN);
	answer_release(&answer);
}

static void
what_must_not_be_repeated_is_not(void **state)
{
	struct answer answer;
	int64_t begun = now_ms();
	(void)state;
	fake_say(&process, "lose", 1);
	assert_int_equal(workers_gate_set(workers, &(struct gate_order){ .shop = 1, .writes = "all" }, &answer), -1);
	assert_int_equal(answer.code, PROTO_WORKERS_DOWN);
	assert_non_null(strstr(answer.text, "unknown"));
	assert_true(now_ms() - begun < 10000);
	answer_release(&answer);
}

static void
an_answer_that_is_none_is_an_internal_error(void **state)
{
	struct answer answer;
	(void)state;
	fake_say(&process, "garbage", 1);
	assert_int_equal(workers_hello(workers, &answer), -1);
	assert_int_equal(answer.code, PROTO_INTERNAL);
	answer_release(&answer);
	assert_int_equal(workers_hello(workers, &answer), 0);
	answer_release(&answer);
}

static void
arguments_that_are_too_large_are_refused_here(void **state)
{
	struct answer answer;
	char *big = malloc(200001);
	struct kpi_query query = { .job_id = big };
	(void)state;
	memset(big, 'x', 200000);
	big[200000] = '\0';
	assert_int_equal(workers_job_kpi(workers, &query, &answer), -1);
	assert_int_equal(answer.code, PROTO_TOO_LARGE);
	answer_release(&answer);
	free(big);
}

static void
nobody_there_is_told_fast_and_healed_by_itself(void **state)
{
	struct answer answer;
	(void)state;
	fake_kill(&process);
	for (int i = 0; i < 5; i++) { /* the first as fast as the others */
		int64_t begun = now_ms();
		assert_int_equal(workers_hello(workers, &answer), -1);
		assert_int_equal(answer.code, PROTO_WORKERS_DOWN);
		assert_true(now_ms() - begun < 3 * WORKERS_ABSENT_MS);
		answer_release(&answer);
	}
	fake_start(&process, folder, "j-1", "b-2", 10, 0);
	int rc = -1;
	for (int i = 0; i < 100 && rc != 0; i++) {
		rc = workers_hello(workers, &answer);
		answer_release(&answer);
	}
	assert_int_equal(rc, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_its_answer),
		cmocka_unit_test(errors_of_the_workers_keep_code_text_and_data),
		cmocka_unit_test(a_lost_answer_is_asked_for_once_more),
		cmocka_unit_test(a_plan_confirmed_by_a_lost_first_try_is_confirmed),
		cmocka_unit_test(shops_have_their_commands),
		cmocka_unit_test(what_must_not_be_repeated_is_not),
		cmocka_unit_test(an_answer_that_is_none_is_an_internal_error),
		cmocka_unit_test(arguments_that_are_too_large_are_refused_here),
		cmocka_unit_test(nobody_there_is_told_fast_and_healed_by_itself),
	};
	struct err err = ERR_INIT;
	fake_main(argc, argv);
	fake_folder(folder, sizeof(folder));
	fake_start(&process, folder, "j-1", "b-1", 10, 0);
	workers = workers_new(folder, &err);
	int rc = workers == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
	fake_kill(&process);
	fake_folder_remove(folder);
	fflush(NULL);
	free(workers);
	_exit(rc);
}
