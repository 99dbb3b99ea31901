/* The whole of temu-api but main: every route with its answers and refusals, live clients over real connections, and the workers
 * (a fake process) slow, away and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <cmocka.h>
#include "api/feed.h"
#include "api/hub.h"
#include "api/routes.h"
#include "common/clock.h"
#include "tests/unit/api/client.h"
#include "tests/unit/api/fake.h"

#define LIVE_CLIENTS 70

static char folder[80];
static struct fake_process process;
static struct api api;
static struct httpd *httpd;
static int port;
static struct client_response r;
static struct client_frame frame;
static int64_t last_seq;

/* --- set-up: as main.c does it ------------------------------------------------------------------------------------ */

static int
read_events(void *arg, const struct event_query *query, struct answer *answer)
{
	return workers_event_read(arg, query, answer);
}

static int
say_hello(void *arg, struct answer *answer)
{
	return workers_hello(arg, answer);
}

static void
enter(void *arg, const char *journal, const char *boot, int64_t next)
{
	hub_enter(arg, journal, boot, next);
}

static void
add(void *arg, const struct json *event)
{
	hub_add(arg, event);
}

static void
lost(void *arg, int64_t from, int64_t to)
{
	hub_lost(arg, from, to);
}

static int
start(void **state)
{
	struct hub_options hub = HUB_OPTIONS_INIT;
	struct httpd_options http = HTTPD_OPTIONS_INIT;
	struct feed_options feed = { .run_folder = folder, .remember = 100, .read = read_events, .hello = say_hello };
	struct feed_sink sink = { enter, add, lost, NULL };
	struct err err = ERR_INIT;
	(void)state;
	fake_folder(folder, sizeof(folder));
	fake_start(&process, folder, "j-1", "b-1", 50, 50);
	last_seq = 50;
	api.started_ms = clock_mono_ms();
	api.workers = workers_new(folder, &err);
	hub.lines = 200;
	hub.clients = LIVE_CLIENTS;
	hub.read = read_events;
	hub.read_arg = feed.arg = api.workers;
	api.hub = api.workers != NULL ? hub_start(&hub, &err) : NULL;
	sink.arg = api.hub;
	api.feed = api.hub != NULL ? feed_start(&feed, &sink, &err) : NULL;
	http.threads = 12;
	http.handler = routes_handle;
	http.arg = &api;
	http.problem = call_plain_problem;
	httpd = api.feed != NULL ? httpd_start(&http, &err) : NULL;
	if (httpd == NULL) {
		print_error("set-up: %s\n", err.text);
		return -1;
	}
	port = httpd_port(httpd);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	httpd_stop(httpd, 5000);
	hub_stop(api.hub, 2000);
	feed_stop(api.feed);
	hub_free(api.hub);
	httpd_free(httpd);
	fake_kill(&process);
	fake_folder_remove(folder);
	return 0;
}

/* --- helpers ------------------------------------------------------------------------------------------------------ */

static struct json *
body(void)
{
	struct err err = ERR_INIT;
	struct json *doc = json_parse(r.body, r.body_len, &err);
	if (doc == NULL)
		fail_msg("not JSON: %s", r.body);
	return doc;
}

static void
get(const char *path)
{
	client_once(port, "GET", path, "", NULL, &r);
}

/* The last answer is a problem of this code and field (NULL: none). */
static void
expect_problem(int status, const char *code, const char *field)
{
	struct json *doc = body();
	if (r.status != status)
		fail_msg("%d expected, %d came: %s", status, r.status, r.body);
	assert_true(client_has_header(&r, "Content-Type: application/problem+json"));
	assert_string_equal(json_get_string(doc, "code", ""), code);
	assert_int_equal(json_get_int64(doc, "status", 0), status);
	assert_true(strlen(json_get_string(doc, "title", "")) > 0 && strlen(json_get_string(doc, "detail", "")) > 0);
	assert_true(strncmp(json_get_string(doc, "type", ""), "urn:temu:error:", 15) == 0);
	assert_string_equal(json_get_string(doc, "field", "-"), field != NULL ? field : "-");
	assert_true(strlen(json_get_string(doc, "request_id", "")) > 0);
	json_free(doc);
}

struct refusal {
	const char *path, *body;
	int status;
	const char *code, *field;
};

static void
expect_refusals(const char *method, const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		client_once(port, method, cases[i].path, "", cases[i].body, &r);
		expect_problem(cases[i].status, cases[i].code, cases[i].field);
	}
}

static void
publish(int64_t count)
{
	fake_say(&process, "log", count);
	last_seq += count;
}

static int
live(const char *path)
{
	int fd = client_ws(port, path, &r);
	if (fd < 0)
		fail_msg("%s: %d %s", path, r.status, r.body);
	return fd;
}

static struct json *
next_event(int fd)
{
	struct err err = ERR_INIT;
	do {
		if (!client_frame_read(fd, &frame))
			fail_msg("the connection ended");
	} while (frame.opcode == 9);
	struct json *doc = json_parse(frame.text, frame.len, &err);
	if (doc == NULL)
		fail_msg("not JSON: %s", frame.text);
	return doc;
}

static void
expect_events(int fd, int64_t from, int64_t to)
{
	for (int64_t seq = from; seq <= to; seq++) {
		struct json *doc = next_event(fd);
		if (json_get_int64(doc, "seq", 0) != seq)
			fail_msg("%lld expected: %s", (long long)seq, frame.text);
		json_free(doc);
	}
}

/* Until the hub has what was published. */
static void
await_hub(void)
{
	struct hub_stats stats;
	for (int64_t until = now_ms() + CLIENT_WAIT_MS; now_ms() < until;) {
		hub_stats_get(api.hub, &stats);
		if (stats.last_seq == last_seq)
			return;
		fake_say(&process, "beat", 0);
		pause_ms(5);
	}
	fail_msg("the hub stands at %lld, not at %lld", (long long)stats.last_seq, (long long)last_seq);
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static void
status_has_exactly_the_shape_of_the_baseline(void **state)
{
	(void)state;
	get("/api/jobs/status");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"temu_inventory_sync\":{\"status\":\"success\",\"last_run\":\"2026-11-24T05:04:17Z\","
	                            "\"duration_seconds\":1.9,\"error\":null},\"temu_orders_sync\":{\"status\":\"failed\",\"last_run\":null,"
	                            "\"duration_seconds\":null,\"error\":\"no such host\"}}");
	assert_true(client_has_header(&r, "Content-Type: application/json"));
}

/* While the newest run is not over, what ended last stands beside it; with several shops, each of them. */
static void
the_last_result_stays_visible(void **state)
{
	(void)state;
	fake_say(&process, "status", 1);
	get("/api/jobs/status");
	assert_string_equal(r.body, fake_statuses[1]);
	fake_say(&process, "status", 2);
	get("/api/jobs/status");
	assert_string_equal(r.body, "{\"j\":{\"status\":\"held\",\"last_run\":null,\"duration_seconds\":null,\"error\":\"waits\","
	                            "\"last_result\":null}}");
	fake_say(&process, "status", 3);
	get("/api/jobs/status");
	assert_string_equal(r.body, "{\"j\":{\"status\":\"never\",\"last_run\":null,\"duration_seconds\":null,\"error\":null}}");
	fake_say(&process, "status", 0);
}

static void
kpi_is_passed_on(void **state)
{
	(void)state;
	get("/api/jobs/temu_inventory_sync/kpi");
	assert_string_equal(r.body, "{\"job_id\":\"temu_inventory_sync\",\"kpi\":{\"success_rate\":\"99.5%\"},"
	                            "\"detail\":{\"window\":\"7d\",\"shop\":0}}");
	get("/api/jobs/temu_inventory_sync/kpi?window=24h&shop=2");
	assert_non_null(strstr(r.body, "\"detail\":{\"window\":\"24h\",\"shop\":2}"));
	get("/api/jobs/temu_inventory_sync/kpi?window=1h");
	expect_problem(400, "BAD_REQUEST", "window");
	get("/api/jobs/temu_inventory_sync/kpi?shop=1000001");
	expect_problem(400, "BAD_REQUEST", "shop");
	get("/api/jobs/dance/kpi");
	expect_problem(404, "UNKNOWN_JOB", NULL);
}

static void
execute(const char *headers, const char *text)
{
	client_once(port, "POST", "/api/jobs/execute", headers, text, &r);
}

static void
a_job_is_triggered_at_once(void **state)
{
	static const char *const types[] = { "", "Content-Type: application/json\r\n", "Content-Type: Application/JSON; charset=utf-8\r\n",
		                                 "Content-Type: application/x-www-form-urlencoded\r\n" };
	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		execute(types[i], "{\"job_id\":\"temu_inventory_sync\",\"params\":{\"mode\":\"full\"},\"shop\":1}");
		assert_int_equal(r.status, 202);
		struct json *doc = body();
		assert_int_equal(json_size(doc), 3);
		assert_string_equal(json_get_string(doc, "state", ""), "queued");
		assert_string_equal(json_get_string(doc, "job_id", ""), "temu_inventory_sync");
		assert_true(strncmp(json_get_string(doc, "run_id", ""), "run.", 4) == 0);
		assert_non_null(strstr(r.headers, "Location: /api/runs/run."));
		json_free(doc);
	}
}

static void
the_same_key_is_the_same_run(void **state)
{
	char first[200];
	(void)state;
	execute("Idempotency-Key: k-1\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	snprintf(first, sizeof(first), "%.199s", r.body);
	execute("Idempotency-Key: k-1\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	assert_string_equal(r.body, first);
	execute("Idempotency-Key: k-2\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	assert_string_not_equal(r.body, first);
	execute("", "{\"job_id\":\"temu_inventory_sync\"}");
	snprintf(first, sizeof(first), "%.199s", r.body);
	execute("", "{\"job_id\":\"temu_inventory_sync\"}");
	assert_string_not_equal(r.body, first);
	execute("Idempotency-Key: a b\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	expect_problem(400, "BAD_REQUEST", "Idempotency-Key");
}

static void
wrong_orders_are_refused_by_their_field(void **state)
{
	static const struct {
		const char *body, *field;
	} cases[] = {
		{ "{\"params\":{}}", "job_id" },
		{ "{\"job_id\":7}", "job_id" },
		{ "{\"job_id\":\"\"}", "job_id" },
		{ "{\"job_id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", "job_id" },
		{ "{\"job_id\":\"busy\",\"params\":[]}", "params" },
		{ "{\"job_id\":\"busy\",\"shop\":\"1\"}", "shop" },
		{ "{\"job_id\":\"busy\",\"shop\":0}", "shop" },
		{ "{\"job_id\":\"busy\",\"shop\":1.5}", "shop" },
		{ "{\"job_id\":\"busy\",\"jobs\":1}", "jobs" },
		{ "{\"job_id\":\"busy\",\"job_id\":\"busy\"}", "job_id" },
		{ "[]", NULL },
		{ "", NULL },
		{ "job_id=temu_inventory_sync", NULL },
		{ "{\"job_id\":\"\xFF\"}", NULL },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		execute("", cases[i].body);
		expect_problem(400, "BAD_REQUEST", cases[i].field);
	}
	char large[18000];
	snprintf(large, sizeof(large), "{\"job_id\":\"busy\",\"params\":{\"x\":\"%016500d\"}}", 1);
	execute("", large); /* what only the workers' limits know is told by them, with the field */
	expect_problem(400, "BAD_REQUEST", "params");
	execute("", "{\"job_id\":\"busy\",\"params\":{\"bad\":1}}");
	expect_problem(400, "BAD_REQUEST", "params.bad");
}

static void
refusals_of_the_workers_are_passed_on(void **state)
{
	(void)state;
	execute("", "{\"job_id\":\"dance\"}");
	expect_problem(404, "UNKNOWN_JOB", NULL);
	execute("", "{\"job_id\":\"busy\"}");
	expect_problem(409, "ALREADY_RUNNING", NULL);
	assert_non_null(strstr(r.body, "\"run_id\":\"busy.1.7\""));
	execute("Content-Type: text/xml\r\n", "{\"job_id\":\"busy\"}");
	expect_problem(415, "UNSUPPORTED_MEDIA_TYPE", NULL);
	fake_say(&process, "garbage", 1);
	get("/api/jobs/status");
	expect_problem(500, "INTERNAL", NULL);
}

/* --- runs, shops, logs, system ------------------------------------------------------------------------------------ */

static void
runs_are_listed_page_by_page(void **state)
{
	(void)state;
	get("/api/runs?job_id=temu%5Finventory_sync&state=failed&limit=2&shop=1&before=run.9");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "\"run_id\":\"run.9\""));
	assert_true(client_has_header(&r, "Link: </api/runs?before=run.8&job_id=temu_inventory_sync&state=failed&limit=2&shop=1>; rel=\"next\""));
	get("/api/runs/run.0");
	assert_non_null(strstr(r.body, "\"state\":\"running\""));
	get("/api/runs/nobody");
	expect_problem(404, "UNKNOWN_RUN", NULL);
	get("/api/runs/0123456789012345678901234567890123456789012345678901234567890123");
	expect_problem(400, "BAD_REQUEST", "run_id");
	get("/api/runs/run.0/items?after=4&limit=10&outcome=pushed");
	assert_non_null(strstr(r.body, "\"n\":5"));
	assert_true(client_has_header(&r, "Link: </api/runs/run.0/items?after=7&limit=10&outcome=pushed>; rel=\"next\""));
	get("/api/runs/run.0/items?after=8");
	assert_null(strstr(r.headers, "Link:"));
}

static void
queries_are_read_strictly(void **state)
{
	static const struct {
		const char *path, *field;
	} cases[] = {
		{ "/api/runs?limit=501", "limit" },
		{ "/api/runs?limit=-1", "limit" },
		{ "/api/runs?limit=1x", "limit" },
		{ "/api/runs?limit=99999999999999999999", "limit" },
		{ "/api/runs?state=done", "state" },
		{ "/api/runs?page=2", "page" },
		{ "/api/runs?limit=1&limit=2", "limit" },
		{ "/api/runs?state=%zz", NULL },
		{ "/api/runs?state=%00", NULL },
		{ "/api/runs?state=%FF", NULL },
		{ "/api/runs?a&a&a", "a" },
		{ "/api/runs/run.0/items?outcome=sold", "outcome" },
		{ "/api/runs/run.0?x=1", "x" },
		{ "/api/jobs/status?x=1", "x" },
		{ "/api/jobs/x/kpi?x=1", "x" },
		{ "/api/shops?x=1", "x" },
		{ "/api/system?x=1", "x" },
		{ "/livez?x=1", "x" },
		{ "/readyz?x=1", "x" },
		{ "/api/logs?x=1", "x" },
		{ "/api/logs?from=1&after=j-1%3A1", "from" },
		{ "/api/logs?after=7", "after" },
		{ "/api/logs?after=j-1:", "after" },
		{ "/api/logs?after=j-1:x", "after" },
		{ "/api/logs?after=:1", "after" },
		{ "/api/logs?after=j-1:1234567890123456", "after" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		get(cases[i].path);
		expect_problem(400, "BAD_REQUEST", cases[i].field);
	}
}

static void
runs_are_cancelled(void **state)
{
	(void)state;
	client_once(port, "POST", "/api/runs/run.0/cancel", "", NULL, &r);
	assert_int_equal(r.status, 200);
	client_once(port, "POST", "/api/runs/run.over/cancel", "", "", &r);
	expect_problem(409, "WRONG_STATE", NULL);
	client_once(port, "POST", "/api/runs/nobody/cancel", "", "", &r);
	expect_problem(404, "UNKNOWN_RUN", NULL);
}

static void
gates_are_shown_and_moved(void **state)
{
	static const struct refusal cases[] = {
		{ "/api/shops/1/writes", "{\"writes\":\"open\"}", 400, "BAD_REQUEST", "writes" },
		{ "/api/shops/1/writes", "{}", 400, "BAD_REQUEST", "writes" },
		{ "/api/shops/1/writes", "{\"writes\":\"off\",\"reason\":1}", 400, "BAD_REQUEST", "reason" },
		{ "/api/shops/1/writes", "{\"writes\":\"off\",\"why\":1}", 400, "BAD_REQUEST", "why" },
		{ "/api/shops/2/writes", "{\"writes\":\"off\"}", 404, "UNKNOWN_SHOP", NULL },
		{ "/api/shops/x/writes", "{\"writes\":\"off\"}", 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/0/writes", "{\"writes\":\"off\"}", 404, "UNKNOWN_SHOP", "shop" },
	};
	(void)state;
	client_once(port, "PUT", "/api/shops/1/writes", "", "{\"writes\":\"stock\",\"reason\":\"first week is over\"}", &r);
	assert_string_equal(r.body, "{\"shop\":1,\"writes\":\"stock\",\"was\":\"off\"}");
	get("/api/shops");
	assert_string_equal(r.body, "{\"shops\":[{\"id\":1,\"name\":\"Shop\",\"writes\":\"stock\"}]}");
	expect_refusals("PUT", cases, sizeof(cases) / sizeof(cases[0]));
}

/* Who the workers were told to note down. */
static void
expect_who(void)
{
	get("/api/system");
	struct json *doc = body();
	assert_string_equal(json_get_string(json_get(doc, "pools"), "who", ""), "api 127.0.0.1");
	json_free(doc);
}

static void
plans_are_confirmed(void **state)
{
	static const struct {
		const char *path, *body;
	} taken[] = {
		{ "/api/runs/guarded.1/confirm", NULL },
		{ "/api/runs/guarded.2/confirm", "" },
		{ "/api/runs/guarded.3/confirm", "{}" },
		{ "/api/runs/guarded.4/confirm", "{\"only\":\"sold_out\",\"reason\":\"they are sold out indeed\"}" },
		{ "/api/runs/guarded.5/confirm", "{\"only\":null,\"reason\":null}" },
	};
	static const struct refusal refused[] = {
		{ "/api/runs/guarded.5/confirm", NULL, 409, "PLAN_CONFIRMED", NULL },
		{ "/api/runs/run.0/confirm", NULL, 409, "PLAN_NONE", NULL },
		{ "/api/runs/old/confirm", "{}", 410, "PLAN_OLD", NULL },
		{ "/api/runs/busy/confirm", "{}", 409, "ALREADY_RUNNING", NULL },
		{ "/api/runs/nobody/confirm", "{}", 404, "UNKNOWN_RUN", NULL },
		{ "/api/runs/0123456789012345678901234567890123456789012345678901234567890123/confirm", "{}", 400, "BAD_REQUEST", "run_id" },
		{ "/api/runs/guarded.6/confirm", "{\"only\":\"all\"}", 400, "BAD_REQUEST", "only" },
		{ "/api/runs/guarded.6/confirm", "{\"only\":\"\"}", 400, "BAD_REQUEST", "only" },
		{ "/api/runs/guarded.6/confirm", "{\"only\":true}", 400, "BAD_REQUEST", "only" },
		{ "/api/runs/guarded.6/confirm", "{\"only\":\"sold_out_and_much_more_than_that\"}", 400, "BAD_REQUEST", "only" },
		{ "/api/runs/guarded.6/confirm", "{\"reason\":7}", 400, "BAD_REQUEST", "reason" },
		{ "/api/runs/guarded.6/confirm", "{\"who\":\"me\"}", 400, "BAD_REQUEST", "who" },
		{ "/api/runs/guarded.6/confirm", "{\"only\":null,\"only\":\"sold_out\"}", 400, "BAD_REQUEST", "only" },
		{ "/api/runs/guarded.6/confirm", "[]", 400, "BAD_REQUEST", NULL },
		{ "/api/runs/guarded.6/confirm", "yes", 400, "BAD_REQUEST", NULL },
		{ "/api/runs/guarded.6/confirm?only=sold_out", "{}", 400, "BAD_REQUEST", "only" },
	};
	char reason[300];
	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		client_once(port, "POST", taken[i].path, "", taken[i].body, &r);
		assert_int_equal(r.status, 202);
		assert_string_equal(r.body, "{\"run_id\":\"run.confirm\",\"state\":\"queued\"}");
		assert_true(client_has_header(&r, "Location: /api/runs/run.confirm"));
	}
	expect_who();
	expect_refusals("POST", refused, 1);
	assert_non_null(strstr(r.body, "\"run_id\":\"run.confirm\""));
	expect_refusals("POST", refused, sizeof(refused) / sizeof(refused[0]));
	snprintf(reason, sizeof(reason), "{\"reason\":\"%0201d\"}", 1);
	client_once(port, "POST", "/api/runs/guarded.6/confirm", "", reason, &r);
	expect_problem(400, "BAD_REQUEST", "reason");
	client_once(port, "POST", "/api/runs/guarded.6/confirm", "Content-Type: text/plain\r\n", "{}", &r);
	expect_problem(415, "UNSUPPORTED_MEDIA_TYPE", NULL);
	client_once(port, "POST", "/api/runs/guarded.6/confirm", "Transfer-Encoding: chunked\r\n", NULL, &r);
	expect_problem(411, "LENGTH_REQUIRED", NULL);
	snprintf(reason, sizeof(reason), "{\"reason\":\"%0200d\"}", 1);
	client_once(port, "POST", "/api/runs/guarded.6/confirm", "", reason, &r); /* nothing of the above had confirmed it */
	assert_int_equal(r.status, 202);
}

static void
a_confirmation_whose_answer_was_lost_is_one(void **state)
{
	(void)state;
	fake_say(&process, "lose", 1);
	client_once(port, "POST", "/api/runs/guarded.7/confirm", "", "{\"only\":\"sold_out\"}", &r);
	assert_int_equal(r.status, 202);
	assert_string_equal(r.body, "{\"run_id\":\"run.confirm\",\"state\":\"running\"}");
	fake_say(&process, "lose", 1); /* the same, but it was confirmed for something else before: that is no success */
	client_once(port, "POST", "/api/runs/guarded.7/confirm", "", NULL, &r);
	expect_problem(409, "PLAN_CONFIRMED", NULL);
	assert_non_null(strstr(r.body, "\"run_id\":\"run.confirm\""));
}

static void
the_quarantine_is_listed_and_left(void **state)
{
	static const struct refusal lists[] = {
		{ "/api/shops/2/quarantine", NULL, 404, "UNKNOWN_SHOP", NULL },
		{ "/api/shops/x/quarantine", NULL, 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/0/quarantine", NULL, 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/12345678/quarantine", NULL, 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/1/quarantine?limit=501", NULL, 400, "BAD_REQUEST", "limit" },
		{ "/api/shops/1/quarantine?after=x", NULL, 400, "BAD_REQUEST", "after" },
		{ "/api/shops/1/quarantine?after=-1", NULL, 400, "BAD_REQUEST", "after" },
		{ "/api/shops/1/quarantine?after=9223372036854775808", NULL, 400, "BAD_REQUEST", "after" },
		{ "/api/shops/1/quarantine?after=000000000000000000001", NULL, 400, "BAD_REQUEST", "after" },
		{ "/api/shops/1/quarantine?all=1", NULL, 400, "BAD_REQUEST", "all" },
	};
	static const struct refusal frees[] = {
		{ "/api/shops/1/quarantine/9007199254740993", NULL, 404, "NOT_QUARANTINED", NULL },
		{ "/api/shops/1/quarantine/17x", NULL, 404, "NOT_QUARANTINED", "sku_id" },
		{ "/api/shops/1/quarantine/0", NULL, 404, "NOT_QUARANTINED", "sku_id" },
		{ "/api/shops/1/quarantine/9223372036854775808", NULL, 404, "NOT_QUARANTINED", "sku_id" },
		{ "/api/shops/1/quarantine/00000000000000000017", NULL, 404, "NOT_QUARANTINED", "sku_id" },
		{ "/api/shops/2/quarantine/17", NULL, 404, "UNKNOWN_SHOP", NULL },
		{ "/api/shops/-1/quarantine/17", NULL, 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/1/quarantine/17?all=1", NULL, 400, "BAD_REQUEST", "all" },
	};
	(void)state;
	get("/api/shops/1/quarantine?limit=2");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"items\":[{\"sku_id\":\"17\"},{\"sku_id\":\"18\"}],\"next\":\"18\"}");
	assert_true(client_has_header(&r, "Link: </api/shops/1/quarantine?after=18&limit=2>; rel=\"next\""));
	get("/api/shops/1/quarantine?after=18&limit=2");
	assert_string_equal(r.body, "{\"items\":[{\"sku_id\":\"9007199254740993\"}],\"next\":null}");
	assert_null(strstr(r.headers, "Link:"));
	expect_refusals("GET", lists, sizeof(lists) / sizeof(lists[0]));
	client_once(port, "DELETE", "/api/shops/1/quarantine/9007199254740993", "", NULL, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"shop\":1,\"sku_id\":\"9007199254740993\"}");
	expect_who();
	expect_refusals("DELETE", frees, sizeof(frees) / sizeof(frees[0]));
}

static void
a_lease_is_taken_over_by_name(void **state)
{
	static const struct refusal refused[] = {
		{ "/api/shops/1/lease", "{\"from\":\"nobody\"}", 409, "LEASE_NOT_FOREIGN", NULL },
		{ "/api/shops/2/lease", "{\"from\":\"other\"}", 404, "UNKNOWN_SHOP", NULL },
		{ "/api/shops/x/lease", "{\"from\":\"other\"}", 404, "UNKNOWN_SHOP", "shop" },
		{ "/api/shops/1/lease", "{}", 400, "BAD_REQUEST", "from" },
		{ "/api/shops/1/lease", "{\"from\":null}", 400, "BAD_REQUEST", "from" },
		{ "/api/shops/1/lease", "{\"from\":\"\"}", 400, "BAD_REQUEST", "from" },
		{ "/api/shops/1/lease", "{\"from\":1}", 400, "BAD_REQUEST", "from" },
		{ "/api/shops/1/lease", "{\"from\":\"01234567890123456789012345678901234567890\"}", 400, "BAD_REQUEST", "from" },
		{ "/api/shops/1/lease", "{\"from\":\"other\",\"reason\":[]}", 400, "BAD_REQUEST", "reason" },
		{ "/api/shops/1/lease", "{\"from\":\"other\",\"force\":true}", 400, "BAD_REQUEST", "force" },
		{ "/api/shops/1/lease", NULL, 400, "BAD_REQUEST", NULL },
		{ "/api/shops/1/lease?from=other", "{\"from\":\"other\"}", 400, "BAD_REQUEST", "from" },
	};
	(void)state;
	client_once(port, "POST", "/api/shops/1/lease", "", "{\"from\":\"other\",\"reason\":\"that machine burnt\"}", &r);
	assert_int_equal(r.status, 202);
	assert_string_equal(r.body, "{\"shop\":1,\"from\":\"other\"}");
	expect_who();
	expect_refusals("POST", refused, sizeof(refused) / sizeof(refused[0]));
	fake_say(&process, "lose", 1); /* done or not: it is not asked a second time */
	client_once(port, "POST", "/api/shops/1/lease", "", "{\"from\":\"other\"}", &r);
	expect_problem(503, "WORKERS_DOWN", NULL);
}

static void
alarms_are_listed_and_handled(void **state)
{
	static const struct refusal lists[] = {
		{ "/api/alarms?limit=501", NULL, 400, "BAD_REQUEST", "limit" },
		{ "/api/alarms?after=x", NULL, 400, "BAD_REQUEST", "after" },
		{ "/api/alarms?state=over", NULL, 400, "BAD_REQUEST", "state" },
		{ "/api/alarms?open=1", NULL, 400, "BAD_REQUEST", "open" },
	};
	static const struct refusal refused[] = {
		{ "/api/alarms/4/ack", NULL, 404, "UNKNOWN_ALARM", NULL },
		{ "/api/alarms/0/ack", NULL, 404, "UNKNOWN_ALARM", "id" },
		{ "/api/alarms/x/ack", NULL, 404, "UNKNOWN_ALARM", "id" },
		{ "/api/alarms/1234567890123456/ack", NULL, 404, "UNKNOWN_ALARM", "id" },
		{ "/api/alarms/3/ack", "{\"reason\":1}", 400, "BAD_REQUEST", "reason" },
		{ "/api/alarms/3/ack", "{\"minutes\":1}", 400, "BAD_REQUEST", "minutes" },
		{ "/api/alarms/3/ack?who=me", NULL, 400, "BAD_REQUEST", "who" },
		{ "/api/alarms/4/snooze", "{\"minutes\":60}", 404, "UNKNOWN_ALARM", NULL },
		{ "/api/alarms/3/snooze", "{}", 400, "BAD_REQUEST", "minutes" },
		{ "/api/alarms/3/snooze", "{\"minutes\":\"60\"}", 400, "BAD_REQUEST", "minutes" },
		{ "/api/alarms/3/snooze", "{\"minutes\":-1}", 400, "BAD_REQUEST", "minutes" },
		{ "/api/alarms/3/snooze", "{\"minutes\":43201}", 400, "BAD_REQUEST", "minutes" },
		{ "/api/alarms/3/snooze", "{\"minutes\":60,\"until\":1}", 400, "BAD_REQUEST", "until" },
		{ "/api/alarms/3/snooze", NULL, 400, "BAD_REQUEST", NULL },
	};
	(void)state;
	get("/api/alarms");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"open\":1,\"alarms\":[{\"id\":3}],\"next\":null}");
	assert_null(strstr(r.headers, "Link:"));
	get("/api/alarms?state=all&limit=1");
	assert_true(client_has_header(&r, "Link: </api/alarms?after=1&limit=1&state=all>; rel=\"next\"") ||
	            client_has_header(&r, "Link: </api/alarms?after=1&state=all&limit=1>; rel=\"next\""));
	get("/api/alarms?state=all&after=1");
	assert_null(strstr(r.headers, "Link:"));
	expect_refusals("GET", lists, sizeof(lists) / sizeof(lists[0]));
	client_once(port, "POST", "/api/alarms/3/ack", "", NULL, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"id\":3,\"minutes\":-1}");
	client_once(port, "POST", "/api/alarms/3/snooze", "", "{\"minutes\":60,\"reason\":\"I see to it\"}", &r);
	assert_string_equal(r.body, "{\"id\":3,\"minutes\":60}");
	get("/api/system");
	assert_non_null(strstr(r.body, "\"who\":\"api 127.0.0.1/I see to it\""));
	expect_refusals("POST", refused, sizeof(refused) / sizeof(refused[0]));
}

static void
schedules_are_listed_and_changed(void **state)
{
	static const struct refusal cases[] = {
		{ "/api/schedules/stock.1", "{\"paused\":1}", 400, "BAD_REQUEST", "paused" },
		{ "/api/schedules/stock.1", "{\"paused\":null}", 400, "BAD_REQUEST", "paused" },
		{ "/api/schedules/stock.1", "{\"reset\":\"yes\"}", 400, "BAD_REQUEST", "reset" },
		{ "/api/schedules/stock.1", "{\"when\":5}", 400, "BAD_REQUEST", "when" },
		{ "/api/schedules/stock.1", "{\"who\":\"me\"}", 400, "BAD_REQUEST", "who" },
		{ "/api/schedules/stock.1", "[]", 400, "BAD_REQUEST", NULL },
		{ "/api/schedules/stock.1", "{\"when\":\"now\"}", 400, "BAD_REQUEST", "when" },
		{ "/api/schedules/stock.2", "{\"paused\":true}", 404, "UNKNOWN_SCHEDULE", NULL },
		{ "/api/schedules/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{\"paused\":true}", 404,
		  "UNKNOWN_SCHEDULE", "name" },
	};
	(void)state;
	get("/api/schedules");
	assert_string_equal(r.body, "{\"zone\":\"Europe/Berlin\",\"schedules\":[{\"name\":\"stock.1\"}]}");
	get("/api/schedules?limit=1");
	expect_problem(400, "BAD_REQUEST", "limit");
	client_once(port, "PUT", "/api/schedules/stock.1", "", "{\"paused\":false,\"when\":\"every 5m\"}", &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"name\":\"stock.1\",\"paused\":false,\"when\":\"every 5m\",\"who\":\"api 127.0.0.1\"}");
	client_once(port, "PUT", "/api/schedules/stock%2E1", "", "{\"reset\":true}", &r);
	assert_string_equal(r.body, "{\"name\":\"stock.1\",\"reset\":true,\"who\":\"api 127.0.0.1\"}");
	expect_refusals("PUT", cases, sizeof(cases) / sizeof(cases[0]));
}

static void
logs_are_read_by_cursor(void **state)
{
	(void)state;
	get("/api/logs?from=3&to=5");
	assert_int_equal(r.status, 200);
	struct json *doc = body();
	assert_int_equal(json_size(json_get(doc, "events")), 3);
	assert_string_equal(json_get_string(doc, "next", ""), "j-1:5");
	json_free(doc);
	get("/api/logs?after=j-1%3A48");
	doc = body();
	assert_int_equal(json_get_int64(json_first(json_get(doc, "events")), "seq", 0), 49);
	json_free(doc);
	get("/api/logs?after=j-1:1000000"); /* nothing yet: the place stays */
	assert_non_null(strstr(r.body, "\"next\":\"j-1:1000000\""));
	get("/api/logs?after=j-0:1");
	expect_problem(410, "WRONG_JOURNAL", NULL);
	fake_say(&process, "gone", 40); /* a place that retention went over: an answer that says so, and a way on */
	get("/api/logs?from=3&to=5");
	assert_non_null(strstr(r.body, "\"events\":[],\"more\":false,\"oldest\":41,\"gone\":{\"from\":3,\"to\":5},\"next\":\"j-1:5\""));
	get("/api/logs?after=j-1:10");
	assert_non_null(strstr(r.body, "\"gone\":{\"from\":11,\"to\":40}"));
	assert_non_null(strstr(r.body, "[{\"seq\":41,"));
	fake_say(&process, "gone", 0);
	get("/api/logs");
	assert_int_equal(r.status, 200);
	publish(500);
	await_hub();
	get("/api/logs"); /* the last hundred */
	doc = body();
	assert_int_equal(json_get_int64(json_first(json_get(doc, "events")), "seq", 0), last_seq - 99);
	json_free(doc);
	get("/api/logs?from=1");
	assert_non_null(strstr(r.headers, "Link: </api/logs?after=j-1:"));
}

static void
health_and_numbers(void **state)
{
	(void)state;
	get("/livez");
	assert_string_equal(r.body, "{\"status\":\"ok\"}");
	client_once(port, "HEAD", "/livez", "", NULL, &r);
	assert_int_equal(r.status, 200);
	get("/readyz");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "\"status\":\"ready\""));
	get("/api/system");
	struct json *doc = body();
	assert_true(json_get_int64(json_get(doc, "api"), "resident_kb", 0) > 1000);
	assert_string_equal(json_get_string(json_get(doc, "workers"), "journal", ""), "j-1");
	assert_int_equal(json_get_int64(json_get(json_get(doc, "pools"), "pool"), "open", 0), 3);
	assert_int_equal(json_get_int64(json_get(doc, "live"), "most", 0), LIVE_CLIENTS);
	json_free(doc);
}

/* --- what is not there, and who may not --------------------------------------------------------------------------- */

static void
paths_and_methods(void **state)
{
	static const char *const nowhere[] = { "/", "/api", "/api/", "/api/jobs", "/api/jobs/status/", "/api/runs/", "/api/runs//items",
		                                   "/api/runs/a%2Fb/c", "/api/runs/%00", "/api/runs/%", "/api/runs/%4", "/API/runs",
		                                   "/..%2f..%2fetc/passwd", "/.hidden", "//livez", "/livez%00" };
	(void)state;
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		get(nowhere[i]);
		expect_problem(404, "NOT_FOUND", NULL);
	}
	client_once(port, "DELETE", "/api/runs/run.0", "", NULL, &r);
	expect_problem(405, "METHOD_NOT_ALLOWED", NULL);
	assert_true(client_has_header(&r, "Allow: GET, HEAD"));
	get("/api/jobs/execute");
	expect_problem(405, "METHOD_NOT_ALLOWED", NULL);
	assert_true(client_has_header(&r, "Allow: POST"));
	client_once(port, "OPTIONS", "/api/shops/1/writes", "", NULL, &r);
	expect_problem(405, "METHOD_NOT_ALLOWED", NULL);
	assert_true(client_has_header(&r, "Allow: PUT"));
	assert_null(strcasestr(r.headers, "access-control"));
}

static void
every_row_of_the_table_answers(void **state)
{
	(void)state;
	for (const struct route *route = routes_table(); route->method != NULL; route++) {
		char path[100], *at = path;
		for (const char *from = route->pattern; *from != '\0'; from++) {
			if (*from == '{')
				from += strcspn(from, "}");
			*at++ = *from == '}' ? '1' : *from;
		}
		*at = '\0';
		client_once(port, route->method, path, "", strcmp(route->method, "GET") == 0 ? NULL : "{}", &r);
		if (r.status == 405 || strstr(r.body, "NOT_FOUND") != NULL || r.status < 200 || r.status >= 500)
			fail_msg("%s %s: %d", route->method, path, r.status);
		assert_true(client_has_header(&r, "Cache-Control: no-store"));
	}
}

static void
pages_of_other_origins_change_nothing(void **state)
{
	(void)state;
	execute("Origin: http://evil.example\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	expect_problem(403, "FORBIDDEN", NULL);
	execute("Origin: null\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	expect_problem(403, "FORBIDDEN", NULL);
	execute("Origin: http://127.0.0.1\r\n", "{\"job_id\":\"temu_inventory_sync\"}");
	assert_int_equal(r.status, 202);
	client_once(port, "GET", "/ws/logs", "Origin: http://evil.example\r\n" WS_HANDSHAKE, NULL, &r);
	expect_problem(403, "FORBIDDEN", NULL);
	/* A name that its owner points at 127.0.0.1: the page's origin and the host are the same then. */
	static const struct {
		const char *host;
		int status;
	} hosts[] = { { "evil.example:8000", 403 }, { "127.0.0.1.evil.example", 403 }, { "localhost.evil.example", 403 },
		          { "localhost:8000", 200 },    { "127.0.0.1:8000", 200 },         { "[::1]:8000", 200 } };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char text[300];
		int fd = client_connect(port);
		snprintf(text, sizeof(text), "POST /api/runs/run.0/cancel HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\n\r\n", hosts[i].host,
		         hosts[i].host);
		client_text(fd, text);
		client_response_read(fd, &r, false);
		close(fd);
		if (r.status != hosts[i].status)
			fail_msg("%s: %d", hosts[i].host, r.status);
	}
}

/* --- live --------------------------------------------------------------------------------------------------------- */

static void
handshakes_are_checked(void **state)
{
	static const struct {
		const char *path, *headers;
		int status;
		const char *code, *field;
	} cases[] = {
		{ "/ws/logs", "", 426, "UPGRADE_REQUIRED", NULL },
		{ "/ws/logs", "Upgrade: websocket\r\n", 426, "UPGRADE_REQUIRED", NULL },
		{ "/ws/logs", "Upgrade: h2c\r\nConnection: Upgrade\r\n", 426, "UPGRADE_REQUIRED", NULL },
		{ "/ws/logs", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n", 426, "UPGRADE_REQUIRED",
		  "Sec-WebSocket-Version" },
		{ "/ws/logs", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n", 400,
		  "BAD_REQUEST", "Sec-WebSocket-Key" },
		{ "/ws/logs?level=LOUD", WS_HANDSHAKE, 400, "BAD_REQUEST", "level" },
		{ "/ws/logs?event=log,dance", WS_HANDSHAKE, 400, "BAD_REQUEST", "event" },
		{ "/ws/logs?event=alarms", WS_HANDSHAKE, 400, "BAD_REQUEST", "event" },
		{ "/ws/logs?after=nonsense", WS_HANDSHAKE, 400, "BAD_REQUEST", "after" },
		{ "/ws/logs?from=x", WS_HANDSHAKE, 400, "BAD_REQUEST", "from" },
		{ "/ws/logs?color=red", WS_HANDSHAKE, 400, "BAD_REQUEST", "color" },
		{ "/ws/logs?run_id=0123456789012345678901234567890123456789012345678901234567890123", WS_HANDSHAKE, 400, "BAD_REQUEST",
		  "run_id" },
		{ "/ws/logs?job_id=0123456789012345678901234567890123456789012345678901234567890123", WS_HANDSHAKE, 400, "BAD_REQUEST",
		  "job_id" },
		{ "/ws/logs?after=j-0%3A1", WS_HANDSHAKE, 410, "WRONG_JOURNAL", "after" },
	};
	(void)state;
	await_hub();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		client_once(port, "GET", cases[i].path, cases[i].headers, NULL, &r);
		expect_problem(cases[i].status, cases[i].code, cases[i].field);
	}
}

static void
a_live_client_sees_every_line_with_its_number(void **state)
{
	(void)state;
	await_hub();
	int fd = live("/ws/logs");
	assert_true(client_has_header(&r, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	struct json *doc = next_event(fd);
	char cursor[60];
	assert_string_equal(json_get_string(doc, "event", ""), "hello");
	snprintf(cursor, sizeof(cursor), "%s", json_get_string(doc, "cursor", ""));
	assert_int_equal(json_get_int64(doc, "last_seq", 0), last_seq);
	json_free(doc);
	int64_t from = last_seq + 1;
	publish(20);
	expect_events(fd, from, last_seq);
	close(fd);
	/* The cursor of the hello brings the same once more, and %3A is as good as a colon. */
	char path[100];
	snprintf(path, sizeof(path), "/ws/logs?after=%s", cursor);
	fd = live(path);
	json_free(next_event(fd));
	expect_events(fd, from, last_seq);
	publish(3);
	expect_events(fd, last_seq - 2, last_seq);
	close(fd);
	fd = live("/ws/logs?from=1"); /* far behind the ring */
	json_free(next_event(fd));
	expect_events(fd, 1, last_seq);
	close(fd);
}

static void
filters_come_as_query_parameters(void **state)
{
	(void)state;
	await_hub();
	int64_t from = (last_seq / 60 + 1) * 60; /* divisible by 10, 4, 3 and 2 */
	publish(from + 40 - last_seq);
	await_hub();
	char path[200];
	snprintf(path, sizeof(path), "/ws/logs?from=%lld&level=WARNING&job_id=odd&event=log&run_id=r-1", (long long)from);
	int fd = live(path);
	json_free(next_event(fd));
	/* number mod 4 is 3 (ERROR, odd), mod 3 is 1 */
	expect_events(fd, from + 7, from + 7);
	expect_events(fd, from + 19, from + 19);
	expect_events(fd, from + 31, from + 31);
	close(fd);
	snprintf(path, sizeof(path), "/ws/logs?from=%lld&event=run", (long long)from);
	fd = live(path);
	json_free(next_event(fd));
	for (int64_t seq = from; seq <= from + 40; seq += 10)
		expect_events(fd, seq, seq);
	close(fd);
}

static void
alarms_pass_every_level(void **state)
{
	(void)state;
	await_hub();
	int64_t from = (last_seq / 60 + 1) * 60; /* number mod 60 is 45: an alarm */
	publish(from + 100 - last_seq);
	await_hub();
	char path[200];
	snprintf(path, sizeof(path), "/ws/logs?from=%lld&event=alarm", (long long)from);
	int fd = live(path);
	json_free(next_event(fd));
	expect_events(fd, from + 45, from + 45);
	publish(10);
	expect_events(fd, from + 105, from + 105);
	assert_non_null(strstr(frame.text, "\"event\":\"alarm\",\"level\":\"ERROR\""));
	close(fd);
	snprintf(path, sizeof(path), "/ws/logs?from=%lld&event=alarm,log&level=ERROR&job_id=odd", (long long)from + 40);
	fd = live(path);
	json_free(next_event(fd));
	expect_events(fd, from + 43, from + 43); /* an ERROR line: number mod 4 is 3 */
	expect_events(fd, from + 45, from + 45);
	expect_events(fd, from + 47, from + 47);
	close(fd);
	snprintf(path, sizeof(path), "/api/logs?from=%lld&to=%lld", (long long)from + 45, (long long)from + 45);
	get(path);
	assert_non_null(strstr(r.body, "\"event\":\"alarm\""));
}

static void
one_client_too_many_is_told_and_rest_goes_on(void **state)
{
	int fds[LIVE_CLIENTS];
	struct hub_stats stats;
	(void)state;
	do {
		hub_stats_get(api.hub, &stats);
		pause_ms(1);
	} while (stats.clients > 0);
	for (int i = 0; i < LIVE_CLIENTS; i++) /* many more than the server has threads */
		fds[i] = live("/ws/logs");
	client_once(port, "GET", "/ws/logs", WS_HANDSHAKE, NULL, &r);
	expect_problem(503, "BUSY", NULL);
	assert_non_null(strstr(r.headers, "Retry-After: "));
	for (int i = 0; i < 20; i++) {
		get("/api/jobs/status");
		assert_int_equal(r.status, 200);
	}
	close(fds[0]);
	fds[0] = -1;
	for (int64_t until = now_ms() + CLIENT_WAIT_MS; fds[0] < 0 && now_ms() < until;) {
		fds[0] = client_ws(port, "/ws/logs", &r);
		if (fds[0] < 0)
			pause_ms(5);
	}
	assert_true(fds[0] >= 0);
	for (int i = 0; i < LIVE_CLIENTS; i++)
		close(fds[i]);
}

static void
live_clients_lose_nothing_when_the_workers_are_killed(void **state)
{
	char boot[20];
	(void)state;
	await_hub();
	int fd = live("/ws/logs"), late;
	json_free(next_event(fd));
	int64_t from = last_seq + 1;
	for (int i = 0; i < 4; i++) {
		publish(5);
		fake_say(&process, "hide", 3);
		last_seq += 3;
		fake_kill(&process);
		snprintf(boot, sizeof(boot), "b-x%d", i);
		fake_start(&process, folder, "j-1", boot, last_seq, 0);
		publish(2);
	}
	await_hub();
	expect_events(fd, from, last_seq);
	char path[60];
	snprintf(path, sizeof(path), "/ws/logs?from=%lld", (long long)from);
	late = live(path);
	json_free(next_event(late));
	expect_events(late, from, last_seq);
	close(fd);
	close(late);
}

/* --- the workers are slow, away, back ----------------------------------------------------------------------------- */

static void
slow_workers_make_one_request_slow(void **state)
{
	(void)state;
	fake_say(&process, "lose", 1);
	get("/api/shops");
	assert_int_equal(r.status, 200); /* asked once more */
	fake_say(&process, "lose", 2);
	get("/api/shops");
	expect_problem(503, "WORKERS_DOWN", NULL);
	get("/api/shops");
	assert_int_equal(r.status, 200);
}

static void
without_workers_it_says_so(void **state)
{
	static const char *const paths[] = { "/readyz", "/api/jobs/status", "/api/runs", "/api/logs", "/api/shops" };
	(void)state;
	await_hub();
	fake_kill(&process);
	int fd = live("/ws/logs?from=1"); /* stays, and gets its lines later */
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		get(paths[i]);
		expect_problem(503, "WORKERS_DOWN", NULL);
		assert_true(client_has_header(&r, "Retry-After: 2"));
	}
	execute("", "{\"job_id\":\"temu_inventory_sync\"}");
	expect_problem(503, "WORKERS_DOWN", NULL);
	get("/livez");
	assert_int_equal(r.status, 200);
	get("/api/system");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "\"workers\":null"));
	fake_start(&process, folder, "j-1", "b-back", last_seq, 0);
	do
		get("/readyz");
	while (r.status == 503);
	assert_int_equal(r.status, 200);
	json_free(next_event(fd));
	expect_events(fd, 1, last_seq);
	close(fd);
}

/* The last one. */
static void
the_end_reaches_live_clients(void **state)
{
	(void)state;
	int fd = live("/ws/logs");
	json_free(next_event(fd));
	int64_t begun = now_ms();
	httpd_stop(httpd, 500);
	hub_stop(api.hub, 400);
	assert_true(now_ms() - begun < 2500); /* the limits are 900; a busy machine gets the rest */
	assert_true(client_frame_read(fd, &frame));
	assert_int_equal(client_close_code(&frame), 1001);
	assert_false(client_frame_read(fd, &frame));
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_has_exactly_the_shape_of_the_baseline),
		cmocka_unit_test(the_last_result_stays_visible),
		cmocka_unit_test(kpi_is_passed_on),
		cmocka_unit_test(a_job_is_triggered_at_once),
		cmocka_unit_test(the_same_key_is_the_same_run),
		cmocka_unit_test(wrong_orders_are_refused_by_their_field),
		cmocka_unit_test(refusals_of_the_workers_are_passed_on),
		cmocka_unit_test(runs_are_listed_page_by_page),
		cmocka_unit_test(queries_are_read_strictly),
		cmocka_unit_test(runs_are_cancelled),
		cmocka_unit_test(gates_are_shown_and_moved),
		cmocka_unit_test(plans_are_confirmed),
		cmocka_unit_test(a_confirmation_whose_answer_was_lost_is_one),
		cmocka_unit_test(the_quarantine_is_listed_and_left),
		cmocka_unit_test(alarms_are_listed_and_handled),
		cmocka_unit_test(a_lease_is_taken_over_by_name),
		cmocka_unit_test(schedules_are_listed_and_changed),
		cmocka_unit_test(logs_are_read_by_cursor),
		cmocka_unit_test(health_and_numbers),
		cmocka_unit_test(paths_and_methods),
		cmocka_unit_test(every_row_of_the_table_answers),
		cmocka_unit_test(pages_of_other_origins_change_nothing),
		cmocka_unit_test(handshakes_are_checked),
		cmocka_unit_test(a_live_client_sees_every_line_with_its_number),
		cmocka_unit_test(filters_come_as_query_parameters),
		cmocka_unit_test(alarms_pass_every_level),
		cmocka_unit_test(one_client_too_many_is_told_and_rest_goes_on),
		cmocka_unit_test(live_clients_lose_nothing_when_the_workers_are_killed),
		cmocka_unit_test(slow_workers_make_one_request_slow),
		cmocka_unit_test(without_workers_it_says_so),
		cmocka_unit_test(the_end_reaches_live_clients),
	};
	fake_main(argc, argv);
	return cmocka_run_group_tests(tests, start, end);
}
