/* Access tokens against the gateway's stand-in, whose tokens are good for 200 days: one that ends soon alarms, one that does not any more
 * ends the alarm, and an answer that does not come changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/secret.h"
#include "tests/unit/jobs/world.h"
#include "worker/jobs/tokens.h"

static struct world w;

struct found {
	int open;
	int64_t count;
	char text[400];
};

static bool take(const struct alarm_state *state, void *arg)
{
	struct found *found = arg;

	found->open++;
	found->count = state->count;
	assert_string_equal(state->code, "TOKEN_EXPIRES");
	assert_int_equal(state->shop, 1);
	snprintf(found->text, sizeof(found->text), "%s", state->text);
	return true;
}

static struct found open_alarms(void)
{
	const struct alarm_filter open = { .resolved_ms = INT64_MAX };
	struct found found = { .open = 0 };
	struct err err = ERR_INIT;

	assert_int_equal(journal_alarm_list(w.journal, &open, take, &found, &err), 0);
	return found;
}

static struct found look(int64_t days, const char *code)
{
	struct err err = ERR_INIT;

	w.settings.alarms_token_days = days;
	assert_int_equal(tokens_look(&w.settings, &w.settings.shops[0], w.journal, NULL, &err), code ? -1 : 0);
	if (code)
		assert_string_equal(err.code, code);
	return open_alarms();
}

static void a_token_that_ends_soon_alarms(void **state)
{
	struct found found;

	(void)state;
	if (!w.sql.there)
		skip();
	assert_int_equal(look(30, NULL).open, 0);
	assert_int_equal(look(198, NULL).open, 0);
	found = look(201, NULL);
	assert_int_equal(found.open, 1);
	assert_non_null(strstr(found.text, "the access token of shop 1 is good for "));
	assert_non_null(strstr(found.text, "shops[].access_token"));
	assert_null(strstr(found.text, ACCESS_TOKEN));
	assert_int_equal(look(201, NULL).count, 2);
	assert_int_equal(look(30, NULL).open, 0);
	assert_int_equal(look(201, NULL).count, 1);
}

static void what_is_not_known_changes_nothing(void **state)
{
	const struct secret *right = w.sql.there ? w.settings.shops[0].access_token : NULL;

	(void)state;
	if (!w.sql.there)
		skip();
	look(201, NULL);
	w.settings.shops[0].access_token = secret_new("another-token", 13);
	assert_int_equal(look(30, "TEMU_3000031").open, 1);
	w.settings.shops[0].access_token = right;
	assert_int_equal(look(30, NULL).open, 0);
}

static void a_stop_does_not_wait_for_the_day(void **state)
{
	struct err err = ERR_INIT;
	struct tokens *tokens;
	int64_t begun_ms = clock_kernel_ms();

	(void)state;
	if (!w.sql.there)
		skip();
	tokens = tokens_start(&w.settings, w.journal, &err);
	assert_non_null(tokens);
	tokens_stop(tokens);
	tokens_stop(NULL);
	assert_in_range(clock_kernel_ms() - begun_ms, 0, 5000);
}

/* Two shops, the second one's token is wrong: the first is looked at once a day all the same. */
static void the_trouble_of_one_shop_is_not_the_others(void **state)
{
	const int64_t hour_ms = 3600000, now_ms = clock_kernel_ms() + 24 * hour_ms;
	struct settings settings = w.settings;
	struct shop_settings shops[2];
	struct tokens *tokens;
	struct err err = ERR_INIT;

	(void)state;
	if (!w.sql.there)
		skip();
	look(30, NULL); /* no alarm is open */
	shops[0] = shops[1] = w.settings.shops[0];
	shops[1].id = 2;
	shops[1].access_token = secret_new("another-token", 13);
	settings.shops = shops;
	settings.shop_count = 2;
	settings.alarms_token_days = 201;
	tokens = tokens_start(&settings, w.journal, &err);
	assert_non_null(tokens);
	assert_int_equal(tokens_round(tokens, now_ms), hour_ms);
	assert_int_equal(open_alarms().count, 1);
	for (int i = 1; i < 24; i++)
		assert_int_equal(tokens_round(tokens, now_ms + i * hour_ms), hour_ms);
	assert_int_equal(open_alarms().count, 1);
	tokens_round(tokens, now_ms + 24 * hour_ms);
	assert_int_equal(open_alarms().count, 2);
	tokens_stop(tokens);
	look(30, NULL);
}

static int set_up(void **state)
{
	(void)state;
	return world_start(&w, 5, "Latin1_General_CI_AS", "temu:\n  attempts: 1\n", "");
}

static int tear_down(void **state)
{
	(void)state;
	world_stop(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_that_ends_soon_alarms),
		cmocka_unit_test(what_is_not_known_changes_nothing),
		cmocka_unit_test(a_stop_does_not_wait_for_the_day),
		cmocka_unit_test(the_trouble_of_one_shop_is_not_the_others),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
