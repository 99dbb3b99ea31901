/* Every command over a real socket, with its error path, and the events as a subscriber sees them. */
#include "tests/unit/core/engine_fixture.h"

#include "common/ipc.h"
#include "proto/proto.h"
#include "worker/core/control.h"
#include "worker/core/events.h"

#define ASK_MS 20000

static struct fixture fixture;
static struct events *events;
static struct control *control;
static struct ipc_client *client;
static char command_path[120], event_path[120];

/* What a subscriber saw. */
static struct {
	int64_t first, last, count, heartbeat;
	bool hole;
	struct buf texts;
} seen;

static void
see(const char *message, size_t len, void *arg)
{
	struct proto_batch batch;
	struct err err = ERR_INIT;
	(void)arg;
	if (proto_batch_decode(message, len, &batch, &err) != 0) {
		fprintf(stderr, "batch: %s\n", err.text);
		abort();
	}
	pthread_mutex_lock(&woken_lock);
	if (batch.count == 0) {
		seen.heartbeat = batch.last;
		seen.hole = seen.hole || batch.first != batch.last + 1;
	} else {
		seen.hole = seen.hole || (seen.last != 0 && batch.first != seen.last + 1);
		seen.first = seen.first == 0 ? batch.first : seen.first;
		seen.last = batch.last;
		seen.count += batch.count;
		for (const struct json *event = json_first(batch.events); event != NULL; event = json_next(event)) {
			json_print(event, &seen.texts);
			buf_add_char(&seen.texts, '\n');
		}
	}
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&woken_lock);
	proto_batch_release(&batch);
}

static void
stats_env(void *arg, struct buf *out)
{
	(void)arg;
	json_object_open(out, "pool");
	json_add_int64(out, "open", 3);
	json_object_close(out);
}

static void
shop_lease(void *arg, int64_t shop, struct buf *out)
{
	assert_ptr_equal(arg, &fixture);
	json_object_open(out, "lease");
	json_add_int64(out, "epoch", shop);
	json_object_close(out);
}

static char taken[300]; /* what the last lease_take was asked */

static int
shop_lease_take(void *arg, int64_t shop, const char *from, const char *who, const char *reason, struct err *err)
{
	assert_ptr_equal(arg, &fixture);
	snprintf(taken, sizeof(taken), "%lld|%s|%s|%s", (long long)shop, from, who, reason);
	if (strcmp(from, "stranger") != 0)
		return err_set(err, ERR_PERM, "LEASE_NOT_FOREIGN", "not held by %s", from);
	return 0;
}

/* nng's threads live until the process ends, so there is one server for all tests. */
static int
group_set_up(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	fixture_init(&fixture);
	snprintf(command_path, sizeof(command_path), "%s/workers.sock", fixture.folder);
	snprintf(event_path, sizeof(event_path), "%s/events.sock", fixture.folder);
	buf_init(&seen.texts, 16 << 20);
	events = events_new("b-test", &err);
	fixture.also_publish = events_publish;
	fixture.also_arg = events;
	fixture_start(&fixture, 2);
	assert_int_equal(events_start(events, event_path, fixture.journal, &err), 0);
	assert_non_null(ipc_subscriber_start(event_path, see, NULL, &err));
	struct control_config config = {
		.version = "9.9", .boot = "b-test", .journal = fixture.journal, .queue = fixture.queue, .settings = &fixture.settings,
		.jobs = toy_jobs, .job_count = 3,
		.stats = { { "queue", queue_stats, fixture.queue }, { "workers", pool_stats, fixture.pool }, { NULL, stats_env, NULL } },
		.stats_count = 3, .shops = { shop_lease, shop_lease_take, &fixture },
	};
	control = control_start(&config, command_path, &err);
	assert_non_null(control);
	client = ipc_client_new(command_path, 2, &err);
	assert_non_null(client);
	return 0;
}

static int
group_tear_down(void **state)
{
	(void)state;
	control_stop(control);
	control_stop(NULL);
	assert_int_equal(access(command_path, F_OK), -1);
	fixture_stop(&fixture);
	events_stop(events);
	assert_int_equal(access(event_path, F_OK), -1);
	events_free(events);
	fixture_release(&fixture);
	return 0;
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

static struct proto_reply
ask_raw(const char *message)
{
	struct proto_reply reply;
	struct buf text;
	struct err err = ERR_INIT;
	buf_init(&text, IPC_MESSAGE_MAX);
	if (ipc_request(client, message, strlen(message), ASK_MS, &text, &err) != 0)
		fail_msg("%s: %s", message, err.text);
	if (proto_reply_decode(text.data, text.len, &reply, &err) != 0)
		fail_msg("%s: %s: %.300s", message, err.text, text.data);
	buf_release(&text);
	return reply;
}

static struct proto_reply
ask(enum proto_command command, const char *args)
{
	struct buf message;
	buf_init(&message, IPC_MESSAGE_MAX);
	proto_request_encode(&message, command, args);
	struct proto_reply reply = ask_raw(message.data);
	buf_release(&message);
	return reply;
}

static struct proto_reply
must(enum proto_command command, const char *args)
{
	struct proto_reply reply = ask(command, args);
	if (!reply.ok)
		fail_msg("%s: %s", proto_command_name(command), reply.text);
	return reply;
}

static void
refused(enum proto_command command, const char *args, enum proto_error code)
{
	struct proto_reply reply = ask(command, args);
	if (reply.ok || reply.code != code)
		fail_msg("%s %s: %s", proto_command_name(command), args, reply.ok ? "accepted" : proto_error_name(reply.code));
	proto_reply_release(&reply);
}

static const char *
print(const struct json *value)
{
	static char text[4096];
	struct buf out;
	buf_init(&out, sizeof(text));
	json_print(value, &out);
	snprintf(text, sizeof(text), "%s", buf_text(&out));
	buf_release(&out);
	return text;
}

static void
with_id(const char *id, char args[100])
{
	snprintf(args, 100, "{\"run_id\":\"%s\"}", id);
}

/* Submits over the socket and waits until it is over. */
static void
run_to(const char *params, enum run_state state, char id[RUN_ID_MAX])
{
	char args[400];
	snprintf(args, sizeof(args), "{\"job_id\":\"toy\",\"shop\":1,\"params\":%s}", params);
	struct proto_reply reply = must(CMD_RUN_SUBMIT, args);
	snprintf(id, RUN_ID_MAX, "%s", json_get_string(reply.data, "run_id", ""));
	assert_string_equal(json_get_string(reply.data, "state", ""), "queued");
	proto_reply_release(&reply);
	fixture_await_state(&fixture, id, state);
}

/* --- commands ------------------------------------------------------------------------------------------------------- */

static void
hello(void **state)
{
	(void)state;
	struct proto_reply reply = must(CMD_HELLO, NULL);
	assert_string_equal(json_get_string(reply.data, "version", ""), "9.9");
	assert_string_equal(json_get_string(reply.data, "boot", ""), "b-test");
	assert_string_equal(json_get_string(reply.data, "journal", ""), journal_identity(fixture.journal));
	assert_true(json_get_int64(reply.data, "last_seq", -1) >= 0 && json_get_int64(reply.data, "uptime_s", -1) >= 0);
	proto_reply_release(&reply);
}

#define NEVER "\"status\":\"never\",\"last_run\":null,\"duration_seconds\":null,\"error\":null,\"last_result\":null"

static void
never_run(void **state)
{
	(void)state;
	struct proto_reply reply = must(CMD_JOB_STATUS, NULL);
	assert_string_equal(print(json_get(reply.data, "other")), "{" NEVER ",\"shops\":{\"1\":{" NEVER "},\"2\":{" NEVER "}}}");
	assert_int_equal(json_size(reply.data), 2); /* the third is run on demand only */
	assert_null(json_get(reply.data, "global"));
	proto_reply_release(&reply);
	reply = must(CMD_JOB_KPI, "{\"job_id\":\"other\"}");
	assert_string_equal(print(json_get(reply.data, "kpi")), "{\"success_rate\":null,\"avg_duration\":null,\"max_duration\":null,"
	                    "\"last_error\":null,\"error_rate\":null,\"retry_count\":0}");
	assert_string_equal(json_get_string(reply.data, "job_id", ""), "other");
	assert_string_equal(print(json_get(reply.data, "detail")), "{\"window\":\"7d\",\"shop\":null,\"runs\":0,\"states\":{"
	                    "\"success\":0,\"partial\":0,\"failed\":0,\"cancelled\":0},\"duration_seconds\":{\"p50\":null,\"p95\":null,"
	                    "\"p99\":null},\"queue_wait_seconds\":{\"average\":null,\"max\":null},\"last_success\":null,"
	                    "\"consecutive_failures\":0,\"items\":{\"pushed\":0,\"refused\":0},\"days\":[]}");
	proto_reply_release(&reply);
	refused(CMD_JOB_KPI, "{\"job_id\":\"nothing\"}", PROTO_UNKNOWN_JOB);
	refused(CMD_JOB_KPI, "{\"job_id\":\"other\",\"window\":\"1h\"}", PROTO_BAD_REQUEST);
	refused(CMD_JOB_KPI, "{\"job_id\":\"other\",\"shop\":3}", PROTO_UNKNOWN_SHOP);
	refused(CMD_JOB_KPI, "{}", PROTO_BAD_REQUEST);
}

static void
status_and_kpi(void **state)
{
	char id[RUN_ID_MAX];
	int64_t year;
	(void)state;
	run_to("{}", RUN_SUCCESS, id);
	struct proto_reply reply = must(CMD_JOB_STATUS, NULL);
	const struct json *toy = json_get(reply.data, "toy");
	assert_string_equal(json_name(json_first(toy)), "status");
	assert_string_equal(json_get_string(toy, "status", ""), "success");
	assert_true(json_is_null(json_get(toy, "error")) && json_is_number(json_get(toy, "duration_seconds")));
	const char *last_run = json_get_string(toy, "last_run", "");
	assert_int_equal(strlen(last_run), strlen("2026-11-24T05:04:17Z"));
	assert_int_equal(last_run[19], 'Z');
	assert_int_equal(clock_parse(last_run, &year), 0);
	proto_reply_release(&reply);
	run_to("{\"do\":\"perm\"}", RUN_FAILED, id);
	reply = must(CMD_JOB_STATUS, NULL);
	toy = json_get(reply.data, "toy");
	assert_string_equal(json_get_string(toy, "status", ""), "failed");
	assert_string_equal(json_get_string(toy, "error", ""), "step two: never");
	assert_string_equal(json_get_string(json_get(toy, "last_result"), "error", ""), "step two: never");
	proto_reply_release(&reply);
	reply = must(CMD_JOB_KPI, "{\"job_id\":\"toy\"}");
	const struct json *kpi = json_get(reply.data, "kpi"), *detail = json_get(reply.data, "detail");
	assert_int_equal(json_size(kpi), 6);
	assert_string_equal(json_get_string(kpi, "success_rate", ""), "50.0%");
	assert_string_equal(json_get_string(kpi, "error_rate", ""), "50.0%");
	assert_string_equal(json_get_string(kpi, "avg_duration", ""), "0.0s");
	assert_string_equal(json_get_string(kpi, "last_error", ""), "step two: never");
	assert_int_equal(json_get_int64(detail, "runs", 0), 2);
	assert_int_equal(json_get_int64(detail, "consecutive_failures", 0), 1);
	assert_int_equal(json_get_int64(json_first(json_get(detail, "days")), "failed", 0), 1);
	assert_int_equal(strlen(json_get_string(json_first(json_get(detail, "days")), "day", "")), strlen("2026-11-24"));
	assert_int_equal(clock_parse(json_get_string(detail, "last_success", ""), &year), 0);
	assert_true(json_is_number(json_get(json_get(detail, "duration_seconds"), "p99")));
	assert_true(json_is_number(json_get(json_get(detail, "queue_wait_seconds"), "max")));
	proto_reply_release(&reply);
	reply = must(CMD_JOB_KPI, "{\"job_id\":\"toy\",\"window\":\"all\",\"shop\":2}");
	assert_int_equal(json_get_int64(json_get(reply.data, "detail"), "shop", 0), 2);
	assert_int_equal(json_get_int64(json_get(reply.data, "detail"), "runs", -1), 0);
	proto_reply_release(&reply);
}

/* Of one shop's job while another run is under way: the members say so, the last result stays beside them. */
static void
status_beside_a_run(void **state)
{
	char args[100], id[RUN_ID_MAX];
	(void)state;
	run_to("{\"do\":\"perm\"}", RUN_FAILED, id);
	struct proto_reply reply = must(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":2,\"params\":{\"do\":\"block\"}}");
	with_id(json_get_string(reply.data, "run_id", ""), args);
	snprintf(id, sizeof(id), "%s", json_get_string(reply.data, "run_id", ""));
	proto_reply_release(&reply);
	fixture_await_blocked(1);
	reply = must(CMD_JOB_STATUS, NULL);
	const struct json *toy = json_get(reply.data, "toy"), *shops = json_get(toy, "shops");
	assert_string_equal(json_get_string(toy, "status", ""), "running");
	assert_true(json_is_null(json_get(toy, "error")));
	assert_string_equal(json_get_string(json_get(toy, "last_result"), "state", ""), "failed");
	assert_string_equal(json_get_string(json_get(shops, "1"), "status", ""), "failed");
	assert_string_equal(json_get_string(json_get(shops, "2"), "status", ""), "running");
	assert_true(json_is_null(json_get(json_get(shops, "2"), "last_result")));
	assert_string_equal(print(json_get(json_get(shops, "1"), "last_result")), print(json_get(toy, "last_result")));
	proto_reply_release(&reply);
	reply = must(CMD_RUN_CANCEL, args);
	proto_reply_release(&reply);
	fixture_await_state(&fixture, id, RUN_CANCELLED);
	reply = must(CMD_JOB_STATUS, NULL);
	shops = json_get(json_get(reply.data, "toy"), "shops");
	assert_string_equal(json_get_string(json_get(json_get(shops, "2"), "last_result"), "state", ""), "cancelled");
	assert_string_equal(json_get_string(json_get(json_get(reply.data, "toy"), "last_result"), "state", ""), "cancelled");
	proto_reply_release(&reply);
}

static void
submit_get_cancel(void **state)
{
	char args[200], id[RUN_ID_MAX];
	(void)state;
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"nothing\",\"shop\":1}", PROTO_UNKNOWN_JOB);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":7}", PROTO_UNKNOWN_SHOP);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\"}", PROTO_BAD_REQUEST);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1,\"params\":{\"bad\":1}}", PROTO_BAD_REQUEST);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1,\"params\":7}", PROTO_BAD_REQUEST);
	struct proto_reply reply = must(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1,\"key\":\"k\",\"trigger\":\"schedule\","
	                                "\"params\":{\"do\":\"block\"}}");
	snprintf(id, sizeof(id), "%s", json_get_string(reply.data, "run_id", ""));
	proto_reply_release(&reply);
	fixture_await_blocked(1);
	reply = ask(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1}");
	assert_true(!reply.ok && reply.code == PROTO_ALREADY_RUNNING);
	assert_string_equal(json_get_string(reply.data, "run_id", ""), id);
	proto_reply_release(&reply);
	reply = must(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1,\"key\":\"k\",\"params\":{\"do\":\"block\"}}");
	assert_string_equal(json_get_string(reply.data, "run_id", ""), id);
	proto_reply_release(&reply);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1,\"key\":\"k\"}", PROTO_KEY_REUSED);
	with_id(id, args);
	reply = must(CMD_RUN_GET, args);
	assert_string_equal(json_get_string(reply.data, "state", ""), "running");
	assert_string_equal(json_get_string(reply.data, "trigger", ""), "schedule");
	assert_string_equal(json_get_string(reply.data, "key", ""), "k");
	assert_string_equal(json_get_string(json_get(reply.data, "params"), "do", ""), "block");
	assert_true(json_is_null(json_get(reply.data, "result")) && json_is_null(json_get(reply.data, "finished")));
	proto_reply_release(&reply);
	reply = must(CMD_RUN_CANCEL, args);
	assert_string_equal(json_get_string(reply.data, "state", ""), "running");
	proto_reply_release(&reply);
	fixture_await_state(&fixture, id, RUN_CANCELLED);
	reply = must(CMD_RUN_GET, args);
	assert_string_equal(json_get_string(json_get(reply.data, "error"), "code", ""), "CANCELLED");
	proto_reply_release(&reply);
	refused(CMD_RUN_CANCEL, args, PROTO_WRONG_STATE);
	refused(CMD_RUN_CANCEL, "{\"run_id\":\"toy.1.999999999999\"}", PROTO_UNKNOWN_RUN);
	refused(CMD_RUN_GET, "{\"run_id\":\"toy.1.999999999999\"}", PROTO_UNKNOWN_RUN);
	refused(CMD_RUN_GET, "{\"run_id\":\"x\"}", PROTO_UNKNOWN_RUN);
}

static void
lists(void **state)
{
	char args[200], id[RUN_ID_MAX], next[RUN_ID_MAX] = "";
	int64_t listed = 0;
	(void)state;
	for (int i = 0; i < 5; i++)
		run_to("{\"do\":\"figures\"}", RUN_SUCCESS, id);
	for (int page = 0; page < 3; page++) {
		snprintf(args, sizeof(args), "{\"job_id\":\"toy\",\"shop\":1,\"state\":\"success\",\"limit\":2,\"before\":\"%s\"}", next);
		struct proto_reply reply = must(CMD_RUN_LIST, args);
		listed += (int64_t)json_size(json_get(reply.data, "runs"));
		if (page == 0)
			assert_string_equal(json_get_string(json_first(json_get(reply.data, "runs")), "run_id", ""), id);
		snprintf(next, sizeof(next), "%s", json_get_string(reply.data, "next", ""));
		proto_reply_release(&reply);
	}
	assert_int_equal(listed, 6); /* these five and the one of status_and_kpi */
	assert_string_equal(next, "");
	refused(CMD_RUN_LIST, "{\"state\":\"tired\"}", PROTO_BAD_REQUEST);
	refused(CMD_RUN_LIST, "{\"job_id\":\"nothing\"}", PROTO_UNKNOWN_JOB);
	refused(CMD_RUN_LIST, "{\"before\":\"nonsense\"}", PROTO_BAD_REQUEST);
	refused(CMD_RUN_LIST, "{\"limit\":501}", PROTO_BAD_REQUEST);

	snprintf(args, sizeof(args), "{\"run_id\":\"%s\",\"limit\":1}", id);
	struct proto_reply reply = must(CMD_ITEM_LIST, args);
	const struct json *item = json_first(json_get(reply.data, "items"));
	assert_string_equal(json_get_string(item, "sku", ""), "A-1");
	assert_string_equal(json_get_string(item, "outcome", ""), "pushed");
	assert_string_equal(json_get_string(item, "request_id", ""), "eu-1");
	assert_int_equal(json_get_int64(item, "from", -1), 5);
	assert_int_equal(json_get_int64(item, "to", -1), 0);
	assert_int_equal(json_get_int64(reply.data, "next", -1), 1);
	proto_reply_release(&reply);
	snprintf(args, sizeof(args), "{\"run_id\":\"%s\",\"after\":1,\"outcome\":\"unmapped\"}", id);
	reply = must(CMD_ITEM_LIST, args);
	item = json_first(json_get(reply.data, "items"));
	assert_string_equal(json_get_string(item, "sku", ""), "A-2");
	assert_true(json_is_null(json_get(item, "from")) && json_is_null(json_get(reply.data, "next")));
	proto_reply_release(&reply);
	snprintf(args, sizeof(args), "{\"run_id\":\"%s\",\"outcome\":\"lost\"}", id);
	refused(CMD_ITEM_LIST, args, PROTO_BAD_REQUEST);
	refused(CMD_ITEM_LIST, "{\"run_id\":\"x\"}", PROTO_UNKNOWN_RUN);
}

static void
gates_and_shops(void **state)
{
	(void)state;
	struct proto_reply reply = must(CMD_SHOP_LIST, NULL);
	assert_string_equal(print(reply.data),
	                    "{\"shops\":[{\"id\":1,\"name\":\"One\",\"writes\":\"off\",\"quarantined\":0,\"lease\":{\"epoch\":1}},"
	                    "{\"id\":2,\"name\":\"Two\",\"writes\":\"off\",\"quarantined\":0,\"lease\":{\"epoch\":2}}]}");
	proto_reply_release(&reply);
	reply = must(CMD_GATE_SET, "{\"shop\":2,\"writes\":\"stock\",\"reason\":\"first week\",\"who\":\"tester\"}");
	assert_string_equal(print(reply.data), "{\"shop\":2,\"writes\":\"stock\",\"was\":\"off\"}");
	proto_reply_release(&reply);
	assert_int_equal(journal_gate(fixture.journal, 2), GATE_STOCK);
	assert_int_equal(journal_gate(fixture.journal, 1), GATE_OFF);
	refused(CMD_GATE_SET, "{\"shop\":3,\"writes\":\"all\"}", PROTO_UNKNOWN_SHOP);
	refused(CMD_GATE_SET, "{\"shop\":1,\"writes\":\"ajar\"}", PROTO_BAD_REQUEST);
	refused(CMD_GATE_SET, "{\"shop\":1}", PROTO_BAD_REQUEST);
	reply = must(CMD_GATE_SET, "{\"shop\":2,\"writes\":\"off\"}");
	proto_reply_release(&reply);
}

static void
confirm(void **state)
{
	char args[300], plan[RUN_ID_MAX], id[RUN_ID_MAX];
	(void)state;
	run_to("{\"do\":\"guard\"}", RUN_FAILED, plan);
	snprintf(args, sizeof(args), "{\"run_id\":\"%s\",\"only\":\"everything\"}", plan);
	refused(CMD_PLAN_CONFIRM, args, PROTO_BAD_REQUEST);
	refused(CMD_PLAN_CONFIRM, "{}", PROTO_BAD_REQUEST);
	refused(CMD_PLAN_CONFIRM, "{\"run_id\":\"toy.1.000000009999\"}", PROTO_UNKNOWN_RUN);
	snprintf(args, sizeof(args), "{\"run_id\":\"%s\",\"only\":\"sold_out\",\"reason\":\"sale\",\"who\":\"me\"}", plan);
	struct proto_reply reply = must(CMD_PLAN_CONFIRM, args);
	snprintf(id, sizeof(id), "%s", json_get_string(reply.data, "run_id", ""));
	assert_string_equal(json_get_string(reply.data, "state", ""), "queued");
	assert_int_equal(json_size(reply.data), 2);
	proto_reply_release(&reply);
	fixture_await_state(&fixture, id, RUN_SUCCESS);
	reply = ask(CMD_PLAN_CONFIRM, args);
	assert_true(!reply.ok && reply.code == PROTO_PLAN_CONFIRMED);
	assert_string_equal(json_get_string(reply.data, "run_id", ""), id);
	proto_reply_release(&reply);
	with_id(id, args);
	refused(CMD_PLAN_CONFIRM, args, PROTO_PLAN_NONE);
	run_to("{\"do\":\"guard\"}", RUN_FAILED, plan);
	fixture_advance(&fixture, PLAN_CONFIRM_MS);
	with_id(plan, args);
	refused(CMD_PLAN_CONFIRM, args, PROTO_PLAN_OLD);
}

static void
refuse_thrice(int64_t shop, int64_t sku_id, const char *text)
{
	struct quarantine_verdict verdict = { .sku_id = sku_id, .goods_id = 9, .refused = true, .sku = "ART-1", .code = "TEMU_150013002",
		                              .text = text, .request_id = "eu-1" };
	const char *const runs[] = { "r1", "r2", "r3" };
	struct err err = ERR_INIT;
	for (int i = 0; i < 3; i++)
		assert_int_equal(journal_quarantine_judge(fixture.journal, shop, runs[i], &verdict, 1, &err), 0);
}

static void
quarantine(void **state)
{
	char args[200], controls[QUARANTINE_TEXT_MAX + 1], after[30] = "";
	int64_t pages = 0, seen_items = 0;
	(void)state;
	struct proto_reply reply = must(CMD_QUARANTINE_LIST, "{\"shop\":2}");
	assert_string_equal(print(reply.data), "{\"shop\":2,\"quarantined\":0,\"items\":[],\"next\":null}");
	proto_reply_release(&reply);
	refuse_thrice(2, 9007199254740993, "never");
	reply = must(CMD_QUARANTINE_LIST, "{\"shop\":2,\"after\":\"9007199254740992\",\"limit\":1}");
	const struct json *item = json_first(json_get(reply.data, "items"));
	assert_int_equal(json_size(item), 11);
	assert_string_equal(json_get_string(item, "sku_id", ""), "9007199254740993");
	assert_string_equal(json_get_string(item, "goods_id", ""), "9");
	assert_string_equal(json_get_string(item, "text", ""), "never");
	assert_int_equal(json_get_int64(item, "refusals", 0), 3);
	assert_int_equal(strlen(json_get_string(item, "next_try", "")), strlen("2026-11-24T05:04:17.123Z"));
	assert_int_equal(json_get_int64(reply.data, "quarantined", 0), 1);
	assert_true(json_is_null(json_get(reply.data, "next")));
	proto_reply_release(&reply);
	reply = must(CMD_QUARANTINE_FREE, "{\"shop\":2,\"sku_id\":\"9007199254740993\",\"who\":\"me\"}");
	assert_string_equal(print(reply.data), "{\"shop\":2,\"sku_id\":\"9007199254740993\",\"quarantined\":0}");
	proto_reply_release(&reply);
	refused(CMD_QUARANTINE_FREE, "{\"shop\":2,\"sku_id\":\"9007199254740993\"}", PROTO_NOT_QUARANTINED);
	refused(CMD_QUARANTINE_FREE, "{\"shop\":3,\"sku_id\":\"1\"}", PROTO_UNKNOWN_SHOP);
	refused(CMD_QUARANTINE_LIST, "{\"shop\":3}", PROTO_UNKNOWN_SHOP);
	const char *const bad[] = { "-1", "1x", " 1", "+1", "9223372036854775808", "0x1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(args, sizeof(args), "{\"shop\":2,\"sku_id\":\"%s\"}", bad[i]);
		refused(CMD_QUARANTINE_FREE, args, PROTO_BAD_REQUEST);
		snprintf(args, sizeof(args), "{\"shop\":2,\"after\":\"%s\"}", bad[i]);
		refused(CMD_QUARANTINE_LIST, args, PROTO_BAD_REQUEST);
	}
	memset(controls, '\x01', sizeof(controls) - 1); /* six times as long in JSON: pages end early, none is too large */
	controls[sizeof(controls) - 1] = '\0';
	for (int64_t sku = 1; sku <= 60; sku++)
		refuse_thrice(2, sku, controls);
	do {
		snprintf(args, sizeof(args), "{\"shop\":2,\"after\":\"%s\"}", after);
		reply = must(CMD_QUARANTINE_LIST, args);
		for (item = json_first(json_get(reply.data, "items")); item != NULL; item = json_next(item))
			assert_int_equal(atoll(json_get_string(item, "sku_id", "")), ++seen_items);
		snprintf(after, sizeof(after), "%s", json_get_string(reply.data, "next", ""));
		proto_reply_release(&reply);
		pages++;
	} while (after[0] != '\0');
	assert_int_equal(seen_items, 60);
	assert_in_range(pages, 2, 10);
	reply = must(CMD_SHOP_LIST, NULL);
	assert_int_equal(json_get_int64(json_next(json_first(json_get(reply.data, "shops"))), "quarantined", 0), 60);
	proto_reply_release(&reply);
}

static void
lease(void **state)
{
	(void)state;
	struct proto_reply reply = must(CMD_LEASE_TAKE, "{\"shop\":2,\"from\":\"stranger\",\"reason\":\"moved\",\"who\":\"me\"}");
	assert_string_equal(print(reply.data), "{\"shop\":2,\"from\":\"stranger\",\"state\":\"asked\"}");
	proto_reply_release(&reply);
	assert_string_equal(taken, "2|stranger|me|moved");
	refused(CMD_LEASE_TAKE, "{\"shop\":2,\"from\":\"nobody\"}", PROTO_LEASE_NOT_FOREIGN);
	refused(CMD_LEASE_TAKE, "{\"shop\":3,\"from\":\"stranger\"}", PROTO_UNKNOWN_SHOP);
	refused(CMD_LEASE_TAKE, "{\"shop\":2}", PROTO_BAD_REQUEST);
}

static void
numbers(void **state)
{
	(void)state;
	struct proto_reply reply = must(CMD_POOL_STATS, NULL);
	assert_int_equal(json_get_int64(json_get(reply.data, "queue"), "limit", -1), 100);
	assert_int_equal(json_get_int64(json_get(reply.data, "workers"), "threads", -1), 2);
	assert_int_equal(json_get_int64(json_get(reply.data, "pool"), "open", -1), 3);
	proto_reply_release(&reply);
}

static void
bad_messages(void **state)
{
	static const struct {
		const char *message;
		enum proto_error code;
	} bad[] = {
		{ "nonsense", PROTO_BAD_MESSAGE },
		{ "{\"v\":2,\"cmd\":\"hello\",\"args\":{}}", PROTO_VERSION },
		{ "{\"v\":1,\"cmd\":\"dance\",\"args\":{}}", PROTO_BAD_MESSAGE },
		{ "{\"v\":1,\"cmd\":\"hello\",\"args\":{\"x\":1}}", PROTO_BAD_REQUEST },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct proto_reply reply = ask_raw(bad[i].message);
		assert_true(!reply.ok && reply.code == bad[i].code);
		proto_reply_release(&reply);
	}
}

/* --- events --------------------------------------------------------------------------------------------------------- */

static void
read_chunks(void **state)
{
	char args[200], id[RUN_ID_MAX];
	int64_t from = 1, expected = 1;
	bool more = true;
	(void)state;
	run_to("{}", RUN_SUCCESS, id);
	for (int i = 0; i < 1000; i++)
		log_info("filler %d %0900d", i, i);
	journal_flush(fixture.journal);
	int64_t to = journal_last(fixture.journal), chunks = 0;
	for (; more; chunks++) {
		snprintf(args, sizeof(args), "{\"journal\":\"%s\",\"from\":%lld,\"to\":%lld}", journal_identity(fixture.journal),
		         (long long)from, (long long)to);
		struct proto_reply reply = must(CMD_EVENT_READ, args);
		const struct json *list = json_get(reply.data, "events");
		for (const struct json *event = json_first(list); event != NULL; event = json_next(event))
			assert_int_equal(json_get_int64(event, "seq", -1), expected++);
		assert_int_equal(json_get_int64(reply.data, "first", -1), from);
		assert_int_equal(json_get_int64(reply.data, "count", -1), (int64_t)json_size(list));
		assert_true(json_is_null(json_get(reply.data, "gone")) && json_get_int64(reply.data, "oldest", 0) == 1);
		from = json_get_int64(reply.data, "last", -1) + 1;
		more = json_get_bool(reply.data, "more", true);
		proto_reply_release(&reply);
	}
	assert_int_equal(expected, to + 1);
	assert_true(chunks >= 4); /* a megabyte in chunks of 256 KB */
	snprintf(args, sizeof(args), "{\"from\":1,\"run_id\":\"%s\"}", id);
	struct proto_reply reply = must(CMD_EVENT_READ, args);
	const struct json *list = json_get(reply.data, "events");
	assert_true(json_size(list) >= 3);
	for (const struct json *event = json_first(list); event != NULL; event = json_next(event))
		assert_string_equal(json_get_string(event, "run_id", ""), id);
	proto_reply_release(&reply);
	reply = ask(CMD_EVENT_READ, "{\"journal\":\"another\",\"from\":1}");
	assert_true(!reply.ok && reply.code == PROTO_WRONG_JOURNAL);
	assert_string_equal(json_get_string(reply.data, "journal", ""), journal_identity(fixture.journal));
	proto_reply_release(&reply);
	snprintf(args, sizeof(args), "{\"from\":%lld}", (long long)journal_last(fixture.journal) + 1000);
	reply = must(CMD_EVENT_READ, args); /* beyond the end */
	assert_int_equal(json_size(json_get(reply.data, "events")), 0);
	proto_reply_release(&reply);
	refused(CMD_EVENT_READ, "{}", PROTO_BAD_REQUEST);
}

/* A place below what retention left: the answer says what is gone, and goes on behind it. */
static void
events_that_are_gone(void **state)
{
	const struct journal_retention rules = { .days = -1, .runs_days = 90 }; /* up to tomorrow */
	struct journal_retention_pass pass;
	struct err err = ERR_INIT;
	char expected[100];
	(void)state;
	assert_int_equal(journal_retention_pass(fixture.journal, &rules, &pass, &err), 0);
	assert_true(pass.events > 5);
	struct proto_reply reply = must(CMD_EVENT_READ, "{\"from\":2,\"to\":4}");
	assert_string_equal(print(json_get(reply.data, "gone")), "{\"from\":2,\"to\":4}");
	assert_int_equal(json_get_int64(reply.data, "last", 0), 4);
	assert_false(json_get_bool(reply.data, "more", true));
	proto_reply_release(&reply);
	reply = must(CMD_EVENT_READ, "{\"from\":2,\"run_id\":\"toy.1.000000000001\"}");
	int64_t oldest = json_get_int64(reply.data, "oldest", 0);
	assert_int_equal(oldest, pass.events + 1);
	snprintf(expected, sizeof(expected), "{\"from\":2,\"to\":%lld}", (long long)oldest - 1);
	assert_string_equal(print(json_get(reply.data, "gone")), expected);
	proto_reply_release(&reply);
	reply = must(CMD_EVENT_READ, "{\"from\":1}");
	assert_int_equal(json_get_int64(json_first(json_get(reply.data, "events")), "seq", 0), oldest);
	proto_reply_release(&reply);
}

/* Live batches: in order, without a hole, the same as the journal has, with a heartbeat behind them. */
static void
live_events(void **state)
{
	char id[RUN_ID_MAX];
	(void)state;
	pthread_mutex_lock(&woken_lock);
	while (seen.heartbeat == 0) /* connected */
		wait_woken();
	pthread_mutex_unlock(&woken_lock);
	for (int i = 0; i < 20; i++)
		run_to("{}", RUN_SUCCESS, id);
	journal_flush(fixture.journal);
	int64_t last = journal_last(fixture.journal);
	pthread_mutex_lock(&woken_lock);
	while (seen.last < last || seen.heartbeat < last)
		wait_woken();
	assert_false(seen.hole);
	assert_int_equal(seen.count, seen.last - seen.first + 1);
	assert_non_null(strstr(seen.texts.data, id));
	pthread_mutex_unlock(&woken_lock);
	assert_int_equal(control_deaf_ms(control), 0);
	assert_int_equal(events_deaf_ms(events), 0);
}

/* A group that does not fit into a message goes out as a heartbeat with its last number. */
static void
oversized_group(void **state)
{
	char *huge = malloc(IPC_MESSAGE_MAX + 1);
	struct journal_group group = { .first = 1000001, .last = 1000005, .count = 5, .events_json = huge };
	(void)state;
	memset(huge, ' ', IPC_MESSAGE_MAX);
	huge[IPC_MESSAGE_MAX] = '\0';
	pthread_mutex_lock(&woken_lock);
	int64_t count = seen.count;
	pthread_mutex_unlock(&woken_lock);
	events_publish(&group, events);
	pthread_mutex_lock(&woken_lock);
	while (seen.heartbeat != 1000005)
		wait_woken();
	assert_true(seen.count == count);
	pthread_mutex_unlock(&woken_lock);
	free(huge);
}

/* Last: the queue stops. */
static void
stopping(void **state)
{
	(void)state;
	queue_stop(fixture.queue);
	refused(CMD_RUN_SUBMIT, "{\"job_id\":\"toy\",\"shop\":1}", PROTO_STOPPING);
	struct proto_reply reply = must(CMD_HELLO, NULL); /* still answered */
	proto_reply_release(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello), cmocka_unit_test(never_run), cmocka_unit_test(status_and_kpi), cmocka_unit_test(status_beside_a_run),
		cmocka_unit_test(submit_get_cancel), cmocka_unit_test(lists), cmocka_unit_test(gates_and_shops), cmocka_unit_test(confirm), cmocka_unit_test(quarantine),
		cmocka_unit_test(lease), cmocka_unit_test(numbers), cmocka_unit_test(bad_messages),
		cmocka_unit_test(read_chunks), cmocka_unit_test(events_that_are_gone), cmocka_unit_test(live_events), cmocka_unit_test(oversized_group), cmocka_unit_test(stopping),
	};
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
