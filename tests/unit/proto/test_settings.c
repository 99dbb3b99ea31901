/* The table of settings: defaults, the environment, and the checks that span keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "proto/settings.h"

#define SHOP(id) \
	"  - id: " id "\n    name: Test\n    app_key: keykeykey\n    app_secret: secretsecret\n    access_token: tokentoken\n" \
	"    warehouses: [2, 5]\n"
#define HOOKED(name, url, header) \
	DATABASE "shops:\n" SHOP("1") "webhooks:\n  - name: '" name "'\n    url: '" url "'\n    header: '" header "'\n"
#define MAILED(url, from, to) \
	DATABASE "alarms:\n  mail_url: '" url "'\n  mail_from: '" from "'\n  mail_to: '" to "'\nshops:\n" SHOP("1")
#define DATABASE "database:\n  server: db,50000\n  user: temu\n  password: passpass\n"

static int
load(const char *yaml, struct settings *settings, struct err *err)
{
	char path[] = "/tmp/temu-settings-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	int rc = settings_load(path, settings, err);
	unlink(path);
	return rc;
}

static void
defaults_are_the_contract(void **state)
{
	(void)state;
	struct settings s;
	struct err err = ERR_INIT;
	if (load(DATABASE "shops:\n" SHOP("1"), &s, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.pool_base, 10);
	assert_int_equal(s.pool_overflow, 20);
	assert_true(s.pool_pre_ping);
	assert_int_equal(s.pool_recycle_s, 3600);
	assert_int_equal(s.lookup_chunk, 1000);
	assert_int_equal(s.write_batch, 100);
	assert_int_equal(s.workers_attempts, 3);
	assert_int_equal(s.temu_rate, 20);
	assert_int_equal(s.db_encryption, ENCRYPTION_REQUEST);
	assert_int_equal(s.shop_count, 1);
	assert_int_equal(s.shops[0].formula, FORMULA_REFERENCE);
	assert_int_equal(s.shops[0].inactive, RULE_ZERO);
	assert_int_equal(s.shops[0].warehouses.count, 2);
	assert_int_equal(s.shops[0].warehouses.values[1], 5);
	assert_int_equal(s.shops[0].zero_share_percent, 30);
	assert_ptr_equal(settings_shop(&s, 1), &s.shops[0]);
	assert_null(settings_shop(&s, 2));
	settings_release(&s);
}

static void
environment_wins(void **state)
{
	(void)state;
	struct settings s;
	struct err err = ERR_INIT;
	setenv("TEMU_DATABASE_POOL_BASE", "3", 1);
	setenv("TEMU_SHOPS_0_FORMULA", "capped", 1);
	int rc = load(DATABASE "shops:\n" SHOP("1"), &s, &err);
	unsetenv("TEMU_DATABASE_POOL_BASE");
	unsetenv("TEMU_SHOPS_0_FORMULA");
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.pool_base, 3);
	assert_int_equal(s.shops[0].formula, FORMULA_CAPPED);
	settings_release(&s);
}

static void
schedules_are_read(void **state)
{
	struct settings s;
	struct err err = ERR_INIT;
	(void)state;
	if (load(DATABASE "zone: UTC\nshops:\n" SHOP("1") "schedules:\n  - {name: stock, job: sync, when: every 5m}\n"
	         "  - {name: night-1.b_c, job: sync, shop: 1, when: '30 2 * * *', jitter_s: 60, missed: once, paused: true,"
	         " params: '{\"mode\":\"full\"}'}\n", &s, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(s.zone, "UTC");
	assert_int_equal(s.schedule_count, 2);
	assert_string_equal(s.schedules[0].when, "every 5m");
	assert_int_equal(s.schedules[0].shop, 0);
	assert_int_equal(s.schedules[0].missed, MISSED_SKIP);
	assert_false(s.schedules[0].paused);
	assert_string_equal(s.schedules[0].params, "{}");
	assert_int_equal(s.schedules[1].shop, 1);
	assert_int_equal(s.schedules[1].jitter_s, 60);
	assert_int_equal(s.schedules[1].missed, MISSED_ONCE);
	assert_true(s.schedules[1].paused);
	assert_int_equal(settings_when_check(&s.schedules[1], "every 61s", &err), 0);
	assert_int_equal(settings_when_check(&s.schedules[1], "every 60s", &err), -1);
	assert_string_equal(err.code, "BAD_REQUEST");
	assert_int_equal(settings_when_check(&s.schedules[1], "60 * * * *", &err), -1);
	assert_non_null(strstr(err.text, "field when: \"60 * * * *\""));
	settings_release(&s);
}

static void
the_sample_names_schedules(void **state)
{
	struct buf help;
	(void)state;
	buf_init(&help, 1 << 20);
	settings_print_help(&help);
	assert_non_null(strstr(help.data, "\n#schedules:\n#  -\n    # name of the schedule"));
	assert_non_null(strstr(help.data, "\nshops:\n  -\n"));
	assert_non_null(strstr(help.data, "\n#zone: 'Europe/Berlin'\n"));
	buf_release(&help);
}

static void
wrong_settings_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *says;
	} cases[] = {
		{ DATABASE, "shop" },
		{ DATABASE "shops:\n" SHOP("1") SHOP("1"), "shops[1].id" },
		{ DATABASE "shops:\n" SHOP("1") SHOP("2"), "shops[1].access_token" },
		{ DATABASE "shops:\n" SHOP("1") "    url: http://example.org/\n", "url" },
		{ DATABASE "shops:\n" SHOP("1") "    url: http://127.example.org/\n", "shops[0].url" },
		{ DATABASE "shops:\n" SHOP("1") "    region: mars\n", "region" },
		{ DATABASE "  serverr: x\nshops:\n" SHOP("1"), "serverr" },
		{ "database:\n  server: x\n  user: y\nshops:\n" SHOP("1"), "database.password" },
		{ HOOKED("Ops", "https://example.org/", ""), "webhooks[0].name" },
		{ HOOKED("mail", "https://example.org/", ""), "not mail" },
		{ HOOKED("ops", "http://example.org/secretsecret", ""), "webhooks[0].url" },
		{ HOOKED("ops", "https://example.org/", "Bearer secretsecret"), "webhooks[0].header" },
		{ HOOKED("ops", "https://example.org/", "X Y: secretsecret"), "webhooks[0].header" },
		{ HOOKED("ops", "https://example.org/", "X: 1") "  - name: ops\n    url: https://example.org/\n", "webhooks[1].name" },
		{ MAILED("http://mx.example.org", "a@b.de", "a@b.de"), "alarms.mail_url" },
		{ MAILED("smtp://user:secretsecret@mx.example.org", "a@b.de", "a@b.de"), "alarms.mail_url" },
		{ MAILED("smtp://mx.example.org", "a b@c.de", "a@b.de"), "alarms.mail_from" },
		{ MAILED("smtp://mx.example.org", "a@b.de", ""), "alarms.mail_to" },
		{ MAILED("smtp://mx.example.org", "a@b.de", "a@b.de,"), "alarms.mail_to" },
		{ MAILED("smtp://mx.example.org", "a@b.de", "a@b.de>, c@d.de"), "alarms.mail_to" },
		{ DATABASE "heartbeat:\n  url: http://example.org/secretsecret\nshops:\n" SHOP("1"), "heartbeat.url" },
		{ DATABASE "zone: Europe/Nowhere\nshops:\n" SHOP("1"), "zone: time zone Europe/Nowhere is not known" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a, job: j, when: every 5x}\n", ":13:29: schedules[0].when: \"every 5x\"" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a/b, job: j, when: every 5m}\n", "schedules[0].name" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a, job: j, shop: 2, when: every 5m}\n", "schedules[0].shop" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a, job: j, when: every 5m, jitter_s: 300}\n", "jitter_s" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a, job: j, when: every 5m}\n  - {name: a, job: j, when: every 5m}\n",
		  "schedules[1].name: \"a\" is the name of schedules[0]" },
		{ DATABASE "shops:\n" SHOP("1") "schedules:\n  - {name: a, job: j, when: every 5m, missed: later}\n", "missed" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct settings s;
		struct err err = ERR_INIT;
		assert_int_equal(load(cases[i].yaml, &s, &err), -1);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("case %zu says \"%s\"", i, err.text);
		assert_null(strstr(err.text, "secretsecret"));
	}
}

static void
alarms_are_optional_and_have_a_body(void **state)
{
	(void)state;
	struct settings s;
	struct err err = ERR_INIT;
	if (load(HOOKED("ops", "https://example.org/bot1:secretsecret/x", "Authorization: Bearer secretsecret"), &s, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.webhook_count, 1);
	assert_string_equal(s.webhooks[0].body, WEBHOOK_BODY);
	assert_int_equal(s.webhooks[0].least, SEVERITY_WARNING);
	assert_int_equal(s.alarms_stale_minutes, 180);
	assert_int_equal(secret_len(s.heartbeat_url), 0);
	settings_release(&s);
	if (load(MAILED("smtps://mx.example.org:465", "temu@example.org", "a@b.de, c@d.de"), &s, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(s.webhook_count, 0);
	settings_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_contract),
		cmocka_unit_test(environment_wins),
		cmocka_unit_test(schedules_are_read),
		cmocka_unit_test(the_sample_names_schedules),
		cmocka_unit_test(wrong_settings_are_named), cmocka_unit_test(alarms_are_optional_and_have_a_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
