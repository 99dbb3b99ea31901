/* The thread that tells of alarms, against a web hook and a mail server on loopback: what is told, how often, what happens while a
 * channel is out of order, and that nothing untold is lost by a stop or a kill. */
#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/sink.h"

#include <sys/wait.h>
#include "common/secret.h"
#include "worker/core/alarm_sender.h"
#include "worker/core/alarms.h"

#define HOUR_MS ((int64_t)3600000)
#define TOKEN "bot123456:tokentoken"

static struct fixture fx;
static struct sink hook, mail, pulse;
static struct alarm_sender *sender;
static struct webhook_settings webhooks[1];
static char hook_url[100], pulse_url[100], mail_url[60];
static char body_text[] = "{\"i\":\"{id}\",\"s\":\"{state}\",\"c\":\"{code}\",\"n\":{count},\"shop\":{shop},\"t\":\"{text}\"}";
static char name_text[] = "ops", from_text[] = "temu@example.org", to_text[] = "a@example.org, b@example.org", user_text[] = "mailer";
static char job_text[] = "toy", none_text[] = "";

/* Which channels this test has: h = web hook, m = mail, p = heartbeat. */
static void
configure(const char *channels)
{
	struct settings *settings = &fx.settings;
	snprintf(hook_url, sizeof(hook_url), "http://127.0.0.1:%d/" TOKEN "/send", hook.port);
	snprintf(pulse_url, sizeof(pulse_url), "http://127.0.0.1:%d/ping/" TOKEN, pulse.port);
	snprintf(mail_url, sizeof(mail_url), "smtp://127.0.0.1:%d", mail.port);
	webhooks[0] = (struct webhook_settings){ .name = name_text, .body = body_text, .least = SEVERITY_WARNING };
	webhooks[0].url = secret_new(hook_url, strlen(hook_url));
	webhooks[0].header = secret_new("X-Key: keykeykey", 16);
	settings->alarms_attempts = 4;
	settings->alarms_backoff_ms = 20;
	settings->alarms_timeout_ms = 20000;
	settings->webhooks = webhooks;
	settings->webhook_count = strchr(channels, 'h') != NULL;
	settings->mail_url = strchr(channels, 'm') != NULL ? mail_url : none_text;
	settings->mail_user = user_text;
	settings->mail_password = secret_new("passpass", 8);
	settings->mail_from = from_text;
	settings->mail_to = to_text;
	settings->mail_least = SEVERITY_WARNING;
	settings->heartbeat_job = job_text;
	settings->heartbeat_url = strchr(channels, 'p') != NULL ? secret_new(pulse_url, strlen(pulse_url)) : NULL;
}

static void
start_sender(void)
{
	struct err err = ERR_INIT;
	struct alarm_watch watch = { .journal = fx.journal, .settings = &fx.settings, .jobs = toy_jobs, .job_count = 3 };
	sender = alarm_sender_start(&watch, &err);
	if (sender == NULL)
		fail_msg("%s", err.text);
}

static void
begin(const char *channels, int status, int threads)
{
	fixture_init(&fx);
	sink_start(&hook, false, status, 0);
	sink_start(&pulse, false, status, 0);
	sink_start(&mail, true, status == 200 ? 250 : 451, 0);
	configure(channels);
	fixture_start(&fx, threads);
	start_sender();
}

static void
with_attempts(int64_t attempts)
{
	alarm_sender_stop(sender);
	fx.settings.alarms_attempts = attempts;
	start_sender();
}

static int
finish(void **state)
{
	(void)state;
	alarm_sender_stop(sender);
	sender = NULL;
	sink_stop(&hook);
	sink_stop(&mail);
	sink_stop(&pulse);
	fixture_release(&fx);
	return 0;
}

static void
ring(int64_t shop, const char *code, const char *text)
{
	struct alarm_record alarm = { .shop = shop, .job = "toy", .code = code, .text = text };
	struct err err = ERR_INIT;
	if (journal_alarm(fx.journal, &alarm, &err) != 0)
		fail_msg("%s", err.text);
}

/* --- looking into the journal --------------------------------------------------------------------------------------- */

struct seen {
	int64_t id, tries, told_ms, given_up_seq, seq;
	char error[ALARM_ERROR_MAX];
	const char *code, *channel;
};

static bool
look_one(const struct alarm_state *state, void *arg)
{
	struct seen *seen = arg;
	if (strcmp(state->code, seen->code) != 0)
		return true;
	const struct alarm_call *call = alarm_call_of(state, seen->channel);
	seen->id = state->id;
	seen->seq = state->seq;
	if (call != NULL) {
		seen->tries = call->tries;
		seen->told_ms = call->told_ms;
		seen->given_up_seq = call->given_up_seq;
		snprintf(seen->error, sizeof(seen->error), "%s", call->error);
	}
	return false;
}

static struct seen
look(const char *code, const char *channel)
{
	struct seen seen = { .code = code, .channel = channel };
	struct alarm_filter all = { .resolved_ms = 0 };
	struct err err = ERR_INIT;
	assert_int_equal(journal_alarm_list(fx.journal, &all, look_one, &seen, &err), 0);
	return seen;
}

/* Until the channel's row says so: every row that is stored publishes nothing, so it is asked again and again. */
static struct seen
await_row(const char *code, const char *channel, bool (*right)(const struct seen *seen))
{
	for (int i = 0; i < SINK_WAIT_S * 200; i++) {
		struct seen seen = look(code, channel);
		if (right(&seen))
			return seen;
		poll(NULL, 0, 5);
	}
	fail_msg("%s: the row of %s never became right", code, channel);
	return (struct seen){ 0 };
}

static bool
was_told(const struct seen *seen)
{
	return seen->told_ms > 0 && seen->error[0] == '\0';
}

static bool
was_given_up(const struct seen *seen)
{
	return seen->given_up_seq == seen->seq;
}

static bool
has_failed(const struct seen *seen)
{
	return seen->error[0] != '\0';
}

static void
resolve(const char *code)
{
	struct err err = ERR_INIT;
	assert_int_equal(journal_alarm_resolve(fx.journal, look(code, "ops").id, "it is mended", &err), 1);
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

static void
web_hook_and_mail_are_told(void **state)
{
	(void)state;
	begin("hm", 200, 0);
	ring(1, "GUARD_ZEROS", "412 of 500 \"SKUs\" w\xC3\xBCrden null\n.");
	const char *post = sink_await(&hook, 1), *letter = sink_await(&mail, 1);
	assert_non_null(strstr(post, "POST /" TOKEN "/send HTTP/1.1\r\n"));
	assert_non_null(strstr(post, "\r\nX-Key: keykeykey\r\n"));
	assert_non_null(strstr(post, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(post, "\"s\":\"open\",\"c\":\"GUARD_ZEROS\",\"n\":1,\"shop\":1,"
	                             "\"t\":\"412 of 500 \\\"SKUs\\\" w\xC3\xBCrden null\\n.\"}"));
	assert_non_null(strstr(letter, "\r\nAUTH PLAIN\r\nAG1haWxlcgBwYXNzcGFzcw==\r\n"));
	assert_non_null(strstr(letter, "MAIL FROM:<temu@example.org>"));
	assert_non_null(strstr(letter, "RCPT TO:<a@example.org>"));
	assert_non_null(strstr(letter, "RCPT TO:<b@example.org>"));
	assert_non_null(strstr(letter, "\r\nSubject: [TEMU] error GUARD_ZEROS, shop 1\r\n"));
	assert_non_null(strstr(letter, "\r\nTo: a@example.org, b@example.org\r\n"));
	await_row("GUARD_ZEROS", "ops", was_told);
	await_row("GUARD_ZEROS", "mail", was_told);
	resolve("GUARD_ZEROS");
	post = sink_await(&hook, 2);
	assert_non_null(strstr(post, "\"s\":\"resolved\""));
	assert_non_null(strstr(post, "over: it is mended; it was: 412 of 500"));
	assert_non_null(strstr(sink_await(&mail, 2), "\r\nSubject: [TEMU] resolved GUARD_ZEROS, shop 1\r\n"));
}

static void
a_cause_is_told_once_an_hour(void **state)
{
	(void)state;
	begin("h", 200, 0);
	ring(1, "GUARD_ZEROS", "first");
	sink_await(&hook, 1);
	for (int i = 0; i < 5; i++)
		ring(1, "GUARD_ZEROS", "again");
	ring(2, "GUARD_ZEROS", "another cause");
	sink_await(&hook, 2);
	resolve("GUARD_ZEROS");
	assert_non_null(strstr(sink_await(&hook, 3), "resolved"));
	ring(1, "GUARD_ZEROS", "opens anew"); /* and is over before its hour: nobody hears of it */
	ring(1, "JTL_OBJECT", "the next in line");
	assert_non_null(strstr(sink_await(&hook, 4), "JTL_OBJECT"));
	resolve("GUARD_ZEROS");
	ring(2, "JTL_OBJECT", "the next in line");
	assert_non_null(strstr(sink_await(&hook, 5), "JTL_OBJECT"));
	ring(1, "GUARD_ZEROS", "and stays");
	ring(1, "GUARD_ZEROS", "and stays");
	fixture_advance(&fx, HOUR_MS + 1000);
	alarm_sender_wake(sender);
	const char *post = sink_await(&hook, 6);
	assert_non_null(strstr(post, "\"c\":\"GUARD_ZEROS\",\"n\":2,\"shop\":1,\"t\":\"and stays\""));
	/* the rest of what waited: shop 2's GUARD_ZEROS was said only once, so there is nothing */
	ring(3, "JTL_OBJECT", "the last");
	assert_non_null(strstr(sink_await(&hook, 7), "the last"));
	assert_int_equal(sink_count(&hook), 7);
}

static void
what_is_acknowledged_or_snoozed_is_quiet(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	begin("h", 200, 0);
	ring(1, "GUARD_ZEROS", "first");
	sink_await(&hook, 1);
	await_row("GUARD_ZEROS", "ops", was_told);
	assert_int_equal(journal_alarm_ack(fx.journal, look("GUARD_ZEROS", "ops").id, false, "me", "", &err), 1);
	ring(1, "JTL_OBJECT", "second");
	sink_await(&hook, 2);
	await_row("JTL_OBJECT", "ops", was_told);
	assert_int_equal(journal_alarm_snooze(fx.journal, look("JTL_OBJECT", "ops").id, clock_now_ms() + 3 * HOUR_MS, "me", "", &err), 1);
	fixture_advance(&fx, 2 * HOUR_MS);
	ring(1, "GUARD_ZEROS", "again");
	ring(1, "JTL_OBJECT", "again");
	ring(1, "JOB_FAILED", "third");
	assert_non_null(strstr(sink_await(&hook, 3), "JOB_FAILED"));
	fixture_advance(&fx, 2 * HOUR_MS);
	alarm_sender_wake(sender);
	assert_non_null(strstr(sink_await(&hook, 4), "\"c\":\"JTL_OBJECT\",\"n\":2"));
	resolve("GUARD_ZEROS");
	assert_non_null(strstr(sink_await(&hook, 5), "\"s\":\"resolved\",\"c\":\"GUARD_ZEROS\""));
	ring(1, "GUARD_ZEROS", "opens anew, acknowledged no more");
	assert_non_null(strstr(sink_await(&hook, 6), "opens anew"));
}

static void
a_refusal_is_tried_again_and_then_given_up(void **state)
{
	(void)state;
	begin("h", 500, 0);
	with_attempts(1000);
	ring(1, "GUARD_ZEROS", "first");
	sink_await(&hook, 2);
	sink_answer(&hook, 200);
	struct seen seen = await_row("GUARD_ZEROS", "ops", was_told);
	assert_int_equal(seen.tries, 0);
	with_attempts(4);
	int told = sink_count(&hook);
	sink_answer(&hook, 404); /* that is the message's fault: others are told meanwhile */
	ring(1, "JTL_OBJECT", "second");
	seen = await_row("JTL_OBJECT", "ops", was_given_up);
	assert_string_equal(seen.error, "the server answered with status 404");
	assert_int_equal(seen.told_ms, 0);
	assert_int_equal(sink_count(&hook), told + 4);
	sink_answer(&hook, 200);
	ring(1, "JTL_OBJECT", "something new");
	assert_non_null(strstr(sink_await(&hook, told + 5), "something new"));
}

static void
a_dead_channel_hides_nothing_and_holds_up_no_other(void **state)
{
	(void)state;
	begin("hm", 200, 0);
	int port = hook.port;
	sink_stop(&hook);
	with_attempts(1000);
	ring(1, "GUARD_ZEROS", "nobody hears it");
	ring(1, "JTL_OBJECT", "nor this");
	sink_await(&mail, 2);
	struct seen seen = await_row("GUARD_ZEROS", "ops", has_failed);
	assert_null(strstr(seen.error, "token"));
	assert_non_null(strstr(seen.error, "POST http://127.0.0.1:"));
	resolve("GUARD_ZEROS"); /* before anybody was told: it is told of all the same */
	sink_start(&hook, false, 200, port);
	const char *first = sink_await(&hook, 1), *second = sink_await(&hook, 2);
	const char *over = strstr(first, "GUARD_ZEROS") != NULL ? first : second;
	assert_non_null(strstr(over, "\"s\":\"resolved\",\"c\":\"GUARD_ZEROS\""));
	assert_non_null(strstr(over, "nobody hears it"));
	assert_int_equal(fixture_lines(&fx, "", NULL, "token"), 0);
}

static void
a_channel_out_of_order_is_spared(void **state)
{
	(void)state;
	begin("hm", 500, 0);
	sink_answer(&mail, 250);
	fx.settings.alarms_backoff_ms = 600000;
	with_attempts(1000);
	for (int shop = 1; shop <= 20; shop++)
		ring(shop, "GUARD_ZEROS", "all at once");
	sink_await(&mail, 20);
	assert_int_equal(sink_count(&hook), 1); /* not one call for each of them */
	sink_answer(&hook, 200);
	fixture_advance(&fx, 601000);
	alarm_sender_wake(sender);
	sink_await(&hook, 21);
}

static void
mail_that_is_refused_is_tried_again(void **state)
{
	(void)state;
	begin("m", 500, 0); /* 451 after the text */
	with_attempts(1000);
	ring(1, "GUARD_ZEROS", "first");
	struct seen seen = await_row("GUARD_ZEROS", "mail", has_failed);
	assert_non_null(strstr(seen.error, "MAIL smtp://127.0.0.1:"));
	assert_null(strstr(seen.error, "passpass"));
	sink_answer(&mail, 250);
	await_row("GUARD_ZEROS", "mail", was_told);
}

static void
severities_are_for_those_who_want_them(void **state)
{
	(void)state;
	begin("hm", 200, 0);
	alarm_sender_stop(sender);
	webhooks[0].least = SEVERITY_ERROR;
	start_sender();
	ring(1, "QUARANTINE", "a warning");
	ring(1, "LEASE_TAKEN", "for nobody");
	sink_await(&mail, 1);
	ring(1, "GUARD_ZEROS", "an error");
	assert_non_null(strstr(sink_await(&hook, 1), "GUARD_ZEROS"));
	sink_await(&mail, 2);
	assert_int_equal(sink_count(&hook), 1);
	assert_int_equal(sink_count(&mail), 2);
}

static void
a_stop_breaks_a_call_off_and_the_next_start_makes_it(void **state)
{
	(void)state;
	begin("h", 0, 0);
	ring(1, "GUARD_ZEROS", "first");
	sink_await(&hook, 1);
	int64_t before_ms = clock_kernel_ms();
	alarm_sender_stop(sender);
	assert_in_range(clock_kernel_ms() - before_ms, 0, 3000); /* not the 20 s a call may take */
	assert_int_equal(look("GUARD_ZEROS", "ops").tries, 0);
	sink_answer(&hook, 200);
	start_sender();
	sink_await(&hook, 2);
	await_row("GUARD_ZEROS", "ops", was_told);
	alarm_sender_stop(sender);
	start_sender();
	ring(1, "JTL_OBJECT", "second");
	assert_non_null(strstr(sink_await(&hook, 3), "JTL_OBJECT"));
	assert_int_equal(sink_count(&hook), 3);
}

/* The child opens the alarm and dies: before anybody heard of it (nobody listens), or in the middle of the call (nobody answers). */
static void
child(bool calls)
{
	struct journal_config config = { .path = fx.path, .boot = "b-child", .queue_max = 100 };
	struct err err = ERR_INIT;
	fx.journal = journal_open(&config, &err);
	if (fx.journal == NULL)
		_exit(2);
	ring(1, "GUARD_ZEROS", "the last words");
	if (calls)
		start_sender();
	else
		kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void
killed(bool calls)
{
	fixture_init(&fx);
	sink_open(&hook, false, 0, 0);
	sink_open(&pulse, false, 200, 0);
	sink_open(&mail, true, 250, 0);
	configure("h");
	pid_t pid = fork();
	if (pid == 0)
		child(calls);
	sink_serve(&hook);
	sink_serve(&pulse);
	sink_serve(&mail);
	if (calls) {
		sink_await(&hook, 1);
		kill(pid, SIGKILL);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	sink_answer(&hook, 200);
	fixture_start(&fx, 0);
	start_sender();
	const char *post = sink_await(&hook, calls ? 2 : 1);
	assert_non_null(strstr(post, "the last words"));
	if (calls) { /* made twice, since nobody knows what became of the first; a receiver knows it by its id */
		const char *first = strstr(hook.kept[0], "{\"i\":"), *second = strstr(post, "{\"i\":");
		assert_string_equal(first, second);
	}
	await_row("GUARD_ZEROS", "ops", was_told);
	int told = sink_count(&hook);
	for (int i = 0; i < 3; i++) { /* within the hour no start tells it again */
		alarm_sender_stop(sender);
		fixture_stop(&fx);
		fixture_start(&fx, 0);
		start_sender();
		ring(1, "GUARD_ZEROS", "again");
	}
	ring(1, "JTL_OBJECT", "the next in line");
	assert_non_null(strstr(sink_await(&hook, told + 1), "JTL_OBJECT"));
	assert_int_equal(sink_count(&hook), told + 1);
}

static void
a_kill_before_the_call_loses_nothing(void **state)
{
	(void)state;
	killed(false);
}

static void
a_kill_within_the_call_loses_nothing(void **state)
{
	(void)state;
	killed(true);
}

static void
successes_beat(void **state)
{
	char id[RUN_ID_MAX];
	(void)state;
	begin("hp", 200, 1);
	fixture_run(&fx, "{}", id);
	fixture_await_state(&fx, id, RUN_SUCCESS);
	assert_non_null(strstr(sink_await(&pulse, 1), "GET /ping/" TOKEN " HTTP/1.1\r\n"));
	fixture_run(&fx, "{\"do\":\"perm\"}", id);
	fixture_await_state(&fx, id, RUN_FAILED);
	assert_non_null(strstr(sink_await(&hook, 1), "JOB_FAILED"));
	assert_int_equal(sink_count(&pulse), 1);
	sink_answer(&pulse, 500);
	fixture_run(&fx, "{\"do\":\"partial\"}", id);
	fixture_await_state(&fx, id, RUN_PARTIAL);
	assert_non_null(strstr(sink_await(&hook, 2), "\"s\":\"resolved\",\"c\":\"JOB_FAILED\""));
	sink_await(&pulse, 2);
	sink_answer(&pulse, 200);
	fixture_run(&fx, "{}", id);
	fixture_await_state(&fx, id, RUN_SUCCESS);
	sink_await(&pulse, 3);
	assert_int_equal(fixture_lines(&fx, "", "WARNING", "heartbeat service could not be told"), 1);
	assert_int_equal(fixture_lines(&fx, "", NULL, "token"), 0);
}

static void
without_channels_there_is_nothing_to_do(void **state)
{
	(void)state;
	begin("", 200, 0);
	ring(1, "GUARD_ZEROS", "for the list only");
	alarm_sender_wake(sender);
	alarm_sender_stop(sender);
	alarm_sender_stop(NULL);
	sender = NULL;
	assert_int_equal(sink_count(&hook) + sink_count(&mail) + sink_count(&pulse), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(web_hook_and_mail_are_told),
		TEST(a_cause_is_told_once_an_hour),
		TEST(what_is_acknowledged_or_snoozed_is_quiet),
		TEST(a_refusal_is_tried_again_and_then_given_up),
		TEST(a_dead_channel_hides_nothing_and_holds_up_no_other),
		TEST(a_channel_out_of_order_is_spared),
		TEST(mail_that_is_refused_is_tried_again),
		TEST(severities_are_for_those_who_want_them),
		TEST(a_stop_breaks_a_call_off_and_the_next_start_makes_it),
		TEST(a_kill_before_the_call_loses_nothing),
		TEST(a_kill_within_the_call_loses_nothing),
		TEST(successes_beat),
		TEST(without_channels_there_is_nothing_to_do),
	};
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
