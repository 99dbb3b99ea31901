/* What an alarm means, as pure functions, and as the engine does it: which ends of runs open and end alarms, what the watch finds, the
 * words of messages, and the commands. */
#include "tests/unit/core/engine_fixture.h"

#include <sys/wait.h>
#include "common/secret.h"
#include "worker/core/alarm_text.h"
#include "worker/core/alarm_watch.h"
#include "worker/core/alarms.h"
#include "worker/core/control.h"

#define HOUR 3600000
#define MINUTE 60000

static struct fixture fx;

/* --- the rules ------------------------------------------------------------------------------------------------------ */

static void
codes_have_their_kind(void **state)
{
	static const struct {
		const char *code;
		enum setting_severity severity;
		enum alarm_ends ends;
	} cases[] = {
		{ "GUARD_ZEROS", SEVERITY_ERROR, ALARM_ENDS_RUN },       { "JTL_CHANGED", SEVERITY_WARNING, ALARM_ENDS_NEXT_RUN },
		{ "JTL_OBJECT", SEVERITY_ERROR, ALARM_ENDS_RUN },        { "LEASE_TAKEN", SEVERITY_INFO, ALARM_ENDS_BY_HAND },
		{ "LEASE_LOST", SEVERITY_ERROR, ALARM_ENDS_LEASE },      { "LEASE_FOREIGN", SEVERITY_ERROR, ALARM_ENDS_LEASE },
		{ "LEASE_NOT_TAKEN", SEVERITY_WARNING, ALARM_ENDS_BY_HAND },
		{ "QUARANTINE", SEVERITY_WARNING, ALARM_ENDS_QUARANTINE }, { "JOB_STALE", SEVERITY_ERROR, ALARM_ENDS_RUN },
		{ "QUARANTINES", SEVERITY_ERROR, ALARM_ENDS_RUN },       { "", SEVERITY_ERROR, ALARM_ENDS_RUN },
		{ "STOCK_EMPTY", SEVERITY_ERROR, ALARM_ENDS_RUN },       { "JTL", SEVERITY_ERROR, ALARM_ENDS_RUN },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct alarm_kind *kind = alarm_kind(cases[i].code);
		if (kind->severity != cases[i].severity || kind->ends != cases[i].ends)
			fail_msg("%s: %s, ends %d", cases[i].code, alarm_severity_name(kind->severity), (int)kind->ends);
	}
}

/* Times in minutes after 1000 hours; 0 = never. now is minute 600. */
struct rule {
	const char *what;
	int64_t seq, open_seq, opened, acked, snoozed, resolved;         /* the alarm */
	int64_t told_seq, told, rang, over, tries, next, given_up_seq;    /* the channel */
	enum alarm_news news;
	int64_t at;
};

static int64_t
minute(int64_t minutes)
{
	return minutes == 0 ? 0 : (int64_t)1000 * HOUR + minutes * MINUTE;
}

static void
channels_are_told_by_rule(void **state)
{
	static const struct rule rules[] = {
		{ "new", 5, 5, 599, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ALARM_OPEN, 0 },
		{ "told", 5, 5, 590, 0, 0, 0, 5, 590, 590, 0, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "said again within the hour", 7, 5, 560, 0, 0, 0, 5, 560, 560, 0, 0, 0, 0, ALARM_OPEN, 620 },
		{ "said again after it", 7, 5, 500, 0, 0, 0, 5, 500, 500, 0, 0, 0, 0, ALARM_OPEN, 560 },
		{ "acknowledged", 7, 5, 500, 501, 0, 0, 5, 500, 500, 0, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "snoozed", 7, 5, 500, 0, 700, 0, 5, 500, 500, 0, 0, 0, 0, ALARM_OPEN, 700 },
		{ "snooze is over", 7, 5, 400, 0, 550, 0, 5, 400, 400, 0, 0, 0, 0, ALARM_OPEN, 550 },
		{ "failed", 5, 5, 590, 0, 0, 0, 0, 0, 0, 0, 2, 605, 0, ALARM_OPEN, 605 },
		{ "failed, and a clock that was wrong", 5, 5, 590, 0, 0, 0, 0, 0, 0, 0, 2, 9000, 0, ALARM_OPEN, 0 },
		{ "given up", 5, 5, 590, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, ALARM_NOTHING, 0 },
		{ "given up, and said again", 6, 5, 590, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, ALARM_OPEN, 0 },
		{ "told in a future that never came", 7, 5, 590, 0, 0, 0, 5, 9000, 9000, 0, 0, 0, 0, ALARM_OPEN, 0 },
		{ "over after it was told", 8, 5, 500, 0, 0, 599, 5, 500, 500, 0, 0, 0, 0, ALARM_RESOLVED, 0 },
		{ "over, acknowledged before", 8, 5, 500, 510, 0, 599, 5, 500, 500, 0, 0, 0, 0, ALARM_RESOLVED, 0 },
		{ "over and told so", 8, 5, 500, 0, 0, 590, 8, 590, 500, 1, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "over before anybody could be told", 8, 5, 500, 0, 0, 590, 0, 0, 0, 0, 3, 610, 0, ALARM_RESOLVED, 610 },
		{ "over within the hour of its last opening", 9, 8, 580, 0, 0, 590, 6, 560, 550, 1, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "over while it was snoozed", 8, 5, 500, 0, 700, 590, 0, 0, 0, 0, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "over long ago", 8, 5, -2000, 0, 0, -1500, 0, 0, 0, 0, 0, 0, 0, ALARM_NOTHING, 0 },
		{ "opened anew after an hour", 9, 9, 599, 0, 0, 0, 8, 530, 500, 1, 0, 0, 0, ALARM_OPEN, 560 },
	};
	const struct alarm_channel channel = { "ops", NULL, SEVERITY_WARNING }, high = { "ops", NULL, SEVERITY_ERROR };
	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];
		struct alarm_state alarm = { .code = "QUARANTINE", .seq = r->seq, .open_seq = r->open_seq, .opened_ms = minute(r->opened),
			                     .acked_ms = minute(r->acked), .snoozed_ms = minute(r->snoozed),
			                     .resolved_ms = minute(r->resolved) };
		struct alarm_call call = { .told_seq = r->told_seq, .told_ms = minute(r->told), .rang_ms = minute(r->rang),
			                   .resolved = r->over != 0, .tries = r->tries, .next_ms = minute(r->next),
			                   .given_up_seq = r->given_up_seq };
		bool fresh = r->told == 0 && r->tries == 0 && r->given_up_seq == 0;
		struct alarm_due due = alarm_due(&alarm, &channel, fresh ? NULL : &call, minute(600));
		if (due.news != r->news || (due.news != ALARM_NOTHING && due.at_ms != minute(r->at)))
			fail_msg("%s: %d at %lld", r->what, (int)due.news, (long long)(due.at_ms - minute(600)) / MINUTE + 600);
		assert_int_equal(alarm_due(&alarm, &high, &call, minute(600)).news, ALARM_NOTHING);
	}
}

static void
tries_are_counted_and_spaced(void **state)
{
	const struct alarm_policy policy = { 4, 5000 };
	struct alarm_call call = { .alarm = 1 };
	char longest[400];
	(void)state;
	alarm_called(&call, &policy, ALARM_OPEN, 5, "no", -1, 1000000);
	assert_int_equal(call.tries, 1);
	assert_int_equal(call.next_ms, 1005000);
	alarm_called(&call, &policy, ALARM_OPEN, 5, "no", 60000, 2000000); /* Retry-After */
	assert_int_equal(call.next_ms, 2060000);
	alarm_called(&call, &policy, ALARM_OPEN, 5, "no", INT64_MAX, 3000000);
	assert_int_equal(call.next_ms, 3000000 + HOUR);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	alarm_called(&call, &policy, ALARM_OPEN, 5, longest, -1, 4000000);
	assert_int_equal(call.given_up_seq, 5);
	assert_int_equal(call.tries, 0);
	assert_int_equal(strlen(call.error), ALARM_ERROR_MAX - 1);
	alarm_called(&call, &policy, ALARM_OPEN, 6, NULL, -1, 5000000);
	assert_string_equal(call.error, "");
	assert_int_equal(call.told_seq, 6);
	assert_int_equal(call.rang_ms, 5000000);
	alarm_called(&call, &policy, ALARM_RESOLVED, 7, NULL, -1, 6000000);
	assert_true(call.resolved);
	assert_int_equal(call.rang_ms, 5000000); /* the other half of a pair */
	alarm_called(&call, &policy, ALARM_RESOLVED, 9, NULL, -1, 7000000);
	assert_int_equal(call.rang_ms, 7000000);
	assert_int_equal(alarm_backoff_ms(5000, 1), 5000);
	assert_int_equal(alarm_backoff_ms(5000, 3), 20000);
	assert_int_equal(alarm_backoff_ms(5000, 1000), ALARM_BACKOFF_MAX_MS);
}

static void
channels_are_those_with_an_address(void **state)
{
	static char one[] = "one", two[] = "two", url[] = "smtp://localhost";
	struct webhook_settings hooks[2] = { { .name = one, .url = secret_new("", 0) }, { .name = two, .url = secret_new("https://x", 9) } };
	struct settings settings = { .webhooks = hooks, .webhook_count = 2 };
	struct alarm_channel channels[ALARM_CHANNELS_MAX];
	(void)state;
	assert_int_equal(alarm_channels(&settings, channels), 1);
	assert_string_equal(channels[0].name, "two");
	settings.mail_url = url;
	assert_int_equal(alarm_channels(&settings, channels), 2);
	assert_string_equal(channels[1].name, "mail");
	assert_null(channels[1].hook);
}

/* --- the words ------------------------------------------------------------------------------------------------------ */

static struct alarm_state
sample(const char *text)
{
	return (struct alarm_state){ .id = 3, .shop = 1, .code = "GUARD_ZEROS", .job = "toy", .run = "toy.1.000000000019", .text = text,
		                     .count = 2, .seq = 416, .open_seq = 410, .opened_ms = 1764047160000, .last_ms = 1764047160000,
		                     .acked_by = "", .resolved_text = "" };
}

static void
templates_are_filled_and_escaped(void **state)
{
	static const struct {
		const char *template, *expected;
	} cases[] = {
		{ "", "" },
		{ "plain {} {unknown} {te {text", "plain {} {unknown} {te {text" },
		{ "{{code}}", "{GUARD_ZEROS}" },
		{ "{\"a\":\"{text}\"}", "{\"a\":\"5 of \\\"6\\\"\\n\\\\ {code} \xC3\xBC\"}" },
		{ "{id}|{state}|{severity}|{shop}|{job}|{run}|{count}|{time}", "j-3-416|open|error|1|toy|toy.1.000000000019|2|2025-11-25T05:06:00.000Z" },
		{ "{", "{" },
	};
	struct alarm_state alarm = sample("5 of \"6\"\n\\ {code} \xC3\xBC");
	struct alarm_message message;
	struct buf out;
	(void)state;
	alarm_message(&alarm, ALARM_OPEN, "j", &message);
	buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		alarm_fill(cases[i].template, &message, &out);
		assert_string_equal(buf_text(&out), cases[i].expected);
	}
	buf_clear(&out);
	alarm_fill(WEBHOOK_BODY, &message, &out);
	struct err err = ERR_INIT;
	struct json *parsed = json_parse(out.data, out.len, &err);
	assert_non_null(parsed);
	assert_string_equal(json_get_string(parsed, "text", ""), alarm.text);
	json_free(parsed);
	buf_release(&out);
	struct buf small;
	buf_init(&small, 10);
	alarm_fill(WEBHOOK_BODY, &message, &small);
	assert_true(small.failed);
	buf_release(&small);
}

static int
digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;
	return at != NULL ? (int)(at - digits) : -1;
}

/* The text of a mail, read as its reader does. */
static void
decode_mail(const char *mail, char *out, size_t size)
{
	const char *at = strstr(mail, "\r\n\r\n");
	unsigned bits = 0;
	int have = 0;
	size_t len = 0;
	assert_non_null(at);
	for (at += 4; *at != '\0'; at++) {
		if (digit(*at) < 0)
			continue;
		bits = bits << 6 | (unsigned)digit(*at);
		have += 6;
		if (have >= 8 && len + 1 < size)
			out[len++] = (char)(bits >> (have -= 8) & 255);
	}
	out[len] = '\0';
}

static void
mails_are_mails(void **state)
{
	char text[3000], read[9000];
	struct alarm_message message;
	struct buf out;
	(void)state;
	for (size_t len = 0; len < 200; len++) { /* every rest of three and of a line */
		memset(text, 'x', len);
		snprintf(text + len, sizeof(text) - len, "\xC3\xBC.");
		struct alarm_state alarm = sample(text);
		alarm_message(&alarm, ALARM_OPEN, "j", &message);
		buf_init(&out, 65536);
		alarm_mail(&message, "temu@example.org", "a@example.org, b@example.org", &out);
		assert_false(out.failed);
		decode_mail(out.data, read, sizeof(read));
		assert_memory_equal(read, text, strlen(text));
		assert_non_null(strstr(read, "\nRun:      toy.1.000000000019\n"));
		for (const char *line = out.data, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2)
			assert_true(end - line <= 76 && memchr(line, '\n', (size_t)(end - line)) == NULL);
		buf_release(&out);
	}
	struct alarm_state over = sample("it was so");
	over.resolved_ms = 1764050000000;
	over.resolved_text = "run x succeeded";
	over.shop = 0;
	alarm_message(&over, ALARM_RESOLVED, "j", &message);
	buf_init(&out, 65536);
	alarm_mail(&message, "temu@example.org", "a@example.org", &out);
	assert_non_null(strstr(out.data, "\r\nSubject: [TEMU] resolved GUARD_ZEROS\r\n"));
	assert_non_null(strstr(out.data, "\r\nMessage-ID: <j-3-416@temu-workers>\r\n"));
	assert_non_null(strstr(out.data, "\r\nDate: Tue, 25 Nov 2025 05:53:20 +0000\r\n"));
	decode_mail(out.data, read, sizeof(read));
	assert_non_null(strstr(read, "over: run x succeeded; it was: it was so\n"));
	buf_release(&out);
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

static int
set_up(void **state)
{
	(void)state;
	fixture_init(&fx);
	fx.settings.alarms_stale_minutes = 180;
	fixture_start(&fx, 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fixture_release(&fx);
	return 0;
}

static bool
add_code(const struct alarm_state *state, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);
	snprintf(text + len, 1000 - len, "%s%s/%lld/%s*%lld", len > 0 ? " " : "", state->code, (long long)state->shop, state->job,
	         (long long)state->count);
	return true;
}

/* The open alarms, as "CODE/shop/job*count". */
static void
expect_open(const char *expected)
{
	char text[1000] = "";
	struct alarm_filter open = { .resolved_ms = INT64_MAX };
	struct err err = ERR_INIT;
	assert_int_equal(journal_alarm_list(fx.journal, &open, add_code, text, &err), 0);
	assert_string_equal(text, expected);
}

static void
run(int64_t shop, const char *job, const char *params, enum run_state end)
{
	struct queue_answer answer;
	char code[ERR_CODE_MAX];
	if (fixture_submit(&fx, job, shop, "", params, &answer, code) != 0)
		fail_msg("%s", code);
	fixture_await_state(&fx, answer.run_id, end);
}

static int
count_events(const char *kind, const char *words)
{
	int count = 0;
	struct json *events = fixture_events(&fx, "");
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event))
		count += strcmp(json_get_string(event, "event", ""), kind) == 0 && strstr(json_get_string(event, "text", ""), words) != NULL;
	json_free(events);
	return count;
}

static void
failed_runs_alarm_and_successes_end_it(void **state)
{
	(void)state;
	run(1, "toy", "{\"do\":\"perm\"}", RUN_FAILED);
	expect_open("JOB_FAILED/1/toy*1");
	run(1, "toy", "{\"do\":\"perm\"}", RUN_FAILED);
	run(2, "toy", "{\"do\":\"perm\"}", RUN_FAILED);
	expect_open("JOB_FAILED/1/toy*2 JOB_FAILED/2/toy*1");
	assert_int_equal(count_events("alarm", "JOB_FAILED: toy.1.000000000001: step two: never (TOY_PERM)"), 1);
	run(1, "other", "{}", RUN_SUCCESS);
	run(1, "toy", "{\"dry_run\":true}", RUN_SUCCESS); /* a rehearsal proves nothing */
	expect_open("JOB_FAILED/1/toy*2 JOB_FAILED/2/toy*1");
	run(1, "toy", "{\"do\":\"partial\"}", RUN_PARTIAL);
	expect_open("JOB_FAILED/2/toy*1");
	assert_int_equal(count_events("resolved", "JOB_FAILED: over after 0 min: run toy.1.000000000006 succeeded"), 1);
	run(1, "toy", "{\"do\":\"perm\"}", RUN_FAILED);
	expect_open("JOB_FAILED/1/toy*1 JOB_FAILED/2/toy*1");
}

static void
a_run_that_said_its_own_code_says_no_second_one(void **state)
{
	char id[RUN_ID_MAX];
	struct queue_answer answer;
	struct err err = ERR_INIT;
	(void)state;
	fixture_run(&fx, "{\"do\":\"alarm\",\"times\":1}", id);
	fixture_await_state(&fx, id, RUN_HELD);
	expect_open("TOY_ALARM/1/toy*1 TOY_OTHER/1/toy*1");
	assert_int_equal(queue_cancel(fx.queue, id, &answer, &err), 0);
	expect_open("TOY_ALARM/1/toy*1 TOY_OTHER/1/toy*1"); /* cancelled by somebody: he knows */
	run(1, "toy", "{}", RUN_SUCCESS);
	expect_open("");
	run(0, "global", "{\"do\":\"perm\"}", RUN_FAILED); /* a tool for people */
	expect_open("");
}

static void
the_watch_finds_what_is_stale(void **state)
{
	struct alarm_watch watch = { .journal = fx.journal, .settings = &fx.settings, .jobs = toy_jobs, .job_count = 3 };
	struct err err = ERR_INIT;
	(void)state;
	run(1, "toy", "{}", RUN_SUCCESS);
	run(2, "toy", "{\"do\":\"perm\"}", RUN_FAILED); /* never succeeded: that is JOB_FAILED's affair */
	run(0, "global", "{}", RUN_SUCCESS);
	fixture_advance(&fx, 179 * MINUTE);
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), 179 * MINUTE, &err), 0);
	expect_open("JOB_FAILED/2/toy*1");
	fixture_advance(&fx, 2 * MINUTE);
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), ALARM_WATCH_GRACE_MS - 1, &err), 0);
	expect_open("JOB_FAILED/2/toy*1");
	for (int i = 0; i < 3; i++)
		assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), ALARM_WATCH_GRACE_MS, &err), 0);
	expect_open("JOB_FAILED/2/toy*1 JOB_STALE/1/toy*1");
	run(1, "toy", "{}", RUN_SUCCESS);
	expect_open("JOB_FAILED/2/toy*1");
	fx.settings.alarms_stale_minutes = 0;
	fixture_advance(&fx, 1000 * MINUTE);
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), 1000 * MINUTE, &err), 0);
	expect_open("JOB_FAILED/2/toy*1");
}

static const char *lease_state = "lost";

static void
add_shop(void *arg, int64_t shop, struct buf *out)
{
	assert_ptr_equal(arg, &fx);
	json_object_open(out, "lease");
	json_add_string(out, "state", shop == 1 ? lease_state : "lost");
	json_object_close(out);
}

static void
ring(int64_t shop, const char *job, const char *code)
{
	struct alarm_record alarm = { .shop = shop, .job = job, .code = code, .text = "words" };
	struct err err = ERR_INIT;
	assert_int_equal(journal_alarm(fx.journal, &alarm, &err), 0);
}

static void
the_watch_ends_what_is_over(void **state)
{
	struct alarm_watch watch = { .journal = fx.journal, .settings = &fx.settings, .jobs = toy_jobs, .job_count = 3 };
	struct quarantine_verdict verdict = { .sku_id = 17, .refused = true, .sku = "A", .code = "X", .text = "no", .request_id = "" };
	struct err err = ERR_INIT;
	(void)state;
	for (int i = 0; i < QUARANTINE_AFTER; i++) {
		char id[40];
		snprintf(id, sizeof(id), "toy.1.00000000000%d", i + 1);
		assert_int_equal(journal_quarantine_judge(fx.journal, 1, id, &verdict, 1, &err), 0);
	}
	ring(1, NULL, "LEASE_LOST");
	ring(2, NULL, "LEASE_FOREIGN");
	ring(1, NULL, "LEASE_TAKEN");
	ring(1, "toy", "QUARANTINE");
	ring(9, "toy", "GUARD_ZEROS");
	lease_state = "held";
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), 0, &err), 0); /* nobody knows of leases */
	expect_open("LEASE_LOST/1/*1 LEASE_FOREIGN/2/*1 LEASE_TAKEN/1/*1 QUARANTINE/1/toy*1");
	watch.shops = (struct control_shops){ .add = add_shop, .arg = &fx };
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), 0, &err), 0);
	expect_open("LEASE_FOREIGN/2/*1 LEASE_TAKEN/1/*1 QUARANTINE/1/toy*1");
	run(1, "toy", "{}", RUN_SUCCESS);
	expect_open("LEASE_FOREIGN/2/*1 LEASE_TAKEN/1/*1 QUARANTINE/1/toy*1");
	assert_int_equal(journal_quarantine_free(fx.journal, 1, 17, "me", &err), 1);
	assert_int_equal(alarm_watch_look(&watch, clock_now_ms(), 0, &err), 0);
	expect_open("LEASE_FOREIGN/2/*1 LEASE_TAKEN/1/*1");
}

static void
a_run_that_kills_is_told_as_poison(void **state)
{
	(void)state;
	fixture_stop(&fx);
	fx.rescue_max = 1;
	pid_t pid = fork();
	if (pid == 0) {
		char id[RUN_ID_MAX];
		fixture_start(&fx, 1);
		fixture_run(&fx, "{\"do\":\"kill\"}", id);
		for (;;)
			pause();
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fixture_start(&fx, 1);
	expect_open("POISON/1/toy*1");
	run(1, "toy", "{}", RUN_SUCCESS);
	expect_open("");
}

/* --- commands ------------------------------------------------------------------------------------------------------- */

static struct control *control;

static struct json *
ask(const char *message, const char *error)
{
	struct buf reply;
	struct err err = ERR_INIT;
	buf_init(&reply, 1 << 20);
	control_answer(control, message, strlen(message), &reply);
	struct json *parsed = json_parse(reply.data, reply.len, &err);
	assert_non_null(parsed);
	const char *code = json_get_string(json_get(parsed, "error"), "code", "");
	if (strcmp(code, error) != 0)
		fail_msg("%s: %s", message, reply.data);
	buf_release(&reply);
	return parsed;
}

static void
refused(const char *args, const char *command, const char *error)
{
	char message[300];
	snprintf(message, sizeof(message), "{\"v\":1,\"cmd\":\"%s\",\"args\":%s}", command, args);
	json_free(ask(message, error));
}

static const struct json *
alarm_at(const struct json *answer, int at)
{
	const struct json *alarm = json_first(json_get(json_get(answer, "data"), "alarms"));
	while (at-- > 0)
		alarm = json_next(alarm);
	return alarm;
}

static void
alarms_are_listed_acknowledged_and_snoozed(void **state)
{
	struct err err = ERR_INIT;
	static char name[] = "ops", body[] = "{text}";
	struct webhook_settings hook = { .name = name, .body = body, .url = secret_new("https://example.org/secretsecret", 32) };
	char path[120];
	(void)state;
	fx.settings.webhooks = &hook;
	fx.settings.webhook_count = 1;
	struct control_config config = { .version = "9.9", .boot = "b", .journal = fx.journal, .queue = fx.queue, .settings = &fx.settings,
		                         .jobs = toy_jobs, .job_count = 3 };
	snprintf(path, sizeof(path), "%s/workers.sock", fx.folder);
	control = control_start(&config, path, &err);
	assert_non_null(control);
	ring(1, "toy", "GUARD_ZEROS");
	ring(1, NULL, "LEASE_TAKEN");
	ring(2, "toy", "GUARD_ZEROS");
	struct json *answer = ask("{\"v\":1,\"cmd\":\"alarm_list\",\"args\":{\"limit\":2}}", "");
	const struct json *alarm = alarm_at(answer, 0), *channel = json_first(json_get(alarm, "channels"));
	assert_int_equal(json_get_int64(json_get(answer, "data"), "open", 0), 3);
	assert_int_equal(json_get_int64(json_get(answer, "data"), "next", 0), 2);
	assert_string_equal(json_get_string(alarm, "severity", ""), "error");
	assert_string_equal(json_get_string(channel, "pending", ""), "open");
	assert_string_equal(json_get_string(channel, "name", ""), "ops");
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_list\",\"args\":{\"after\":2}}", "");
	assert_int_equal(json_get_int64(alarm_at(answer, 0), "id", 0), 3);
	assert_true(json_is_null(json_get(json_get(answer, "data"), "next")));
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_ack\",\"args\":{\"id\":1,\"who\":\"me\",\"reason\":\"I see to it\"}}", "");
	assert_string_equal(json_get_string(json_get(answer, "data"), "state", ""), "acknowledged");
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_ack\",\"args\":{\"id\":2}}", "");
	assert_string_equal(json_get_string(json_get(answer, "data"), "state", ""), "resolved");
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_snooze\",\"args\":{\"id\":3,\"minutes\":60}}", "");
	assert_string_equal(json_get_string(json_get(answer, "data"), "state", ""), "snoozed");
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_list\",\"args\":{\"state\":\"all\"}}", "");
	assert_string_equal(json_get_string(alarm_at(answer, 0), "acknowledged_by", ""), "me");
	assert_true(json_is_null(json_get(json_first(json_get(alarm_at(answer, 0), "channels")), "pending")));
	assert_string_equal(json_get_string(alarm_at(answer, 1), "resolved_by", ""), "acknowledged");
	assert_true(json_is_string(json_get(alarm_at(answer, 2), "snoozed_until")));
	json_free(answer);
	answer = ask("{\"v\":1,\"cmd\":\"alarm_snooze\",\"args\":{\"id\":3,\"minutes\":0}}", "");
	assert_true(json_is_null(json_get(json_get(answer, "data"), "snoozed_until")));
	json_free(answer);
	assert_int_equal(count_events("log", "alarm 1 (GUARD_ZEROS, said 1 times) is acknowledged by me: I see to it"), 1);
	refused("{\"state\":\"over\"}", "alarm_list", "BAD_REQUEST");
	refused("{\"limit\":501}", "alarm_list", "BAD_REQUEST");
	refused("{\"id\":2}", "alarm_ack", "UNKNOWN_ALARM");
	refused("{\"id\":0}", "alarm_ack", "UNKNOWN_ALARM");
	refused("{}", "alarm_ack", "BAD_REQUEST");
	refused("{\"id\":2,\"minutes\":5}", "alarm_snooze", "UNKNOWN_ALARM");
	refused("{\"id\":3,\"minutes\":43201}", "alarm_snooze", "BAD_REQUEST");
	refused("{\"id\":3}", "alarm_snooze", "BAD_REQUEST");
	control_stop(control);
}

#define RUNS(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_their_kind),
		cmocka_unit_test(channels_are_told_by_rule),
		cmocka_unit_test(tries_are_counted_and_spaced),
		cmocka_unit_test(channels_are_those_with_an_address),
		cmocka_unit_test(templates_are_filled_and_escaped),
		cmocka_unit_test(mails_are_mails),
		RUNS(a_run_that_kills_is_told_as_poison),
		RUNS(failed_runs_alarm_and_successes_end_it),
		RUNS(a_run_that_said_its_own_code_says_no_second_one),
		RUNS(the_watch_finds_what_is_stale),
		RUNS(the_watch_ends_what_is_over),
		RUNS(alarms_are_listed_acknowledged_and_snoozed),
	};
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
