/* /api/jobs: status, trigger, KPI. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "common/clock.h"

#define KEY_MAX 101 /* the limit of run_submit's key, and the NUL */
#define JOB_ID_MAX 63
#define SHOP_MAX 1000000

static void
add_member(struct buf *out, const struct json *job, const char *name)
{
	struct buf value;
	const struct json *member = json_get(job, name);
	buf_init(&value, PROTO_CHUNK_MAX);
	if (member != NULL)
		json_print(member, &value);
	json_add_raw(out, name, member != NULL && !value.failed ? buf_text(&value) : "null");
	buf_release(&value);
}

/* At rest and with one shop exactly the four members of the baseline (O1), whatever else the workers know. Behind them stands,
 * while the newest run is not over, what ended last; and with several shops how each of them is. */
static void
add_status(struct buf *out, const struct json *job)
{
	static const char *const members[] = { "status", "last_run", "duration_seconds", "error" };
	enum run_state state;
	bool under_way = run_state_parse(json_get_string(job, "status", ""), &state) == 0 && !run_state_terminal(state);
	json_object_open(out, json_name(job));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		add_member(out, job, members[i]);
	if (under_way)
		add_member(out, job, "last_result");
	if (json_size(json_get(job, "shops")) > 1)
		add_member(out, job, "shops");
	json_object_close(out);
}

void
job_status_get(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0)
		return;
	if (workers_job_status(call->api->workers, &answer) != 0) {
		call_answer_problem(call, &answer);
	} else {
		json_object_open(&call->response->body, NULL);
		for (const struct json *job = json_first(answer.data); job != NULL; job = json_next(job))
			add_status(&call->response->body, job);
		json_object_close(&call->response->body);
	}
	answer_release(&answer);
}

void
job_kpi_get(struct call *call)
{
	static const char *const allowed[] = { "window", "shop", NULL };
	struct kpi_query query = { .job_id = call->params[0] };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0 || call_query_number(call, "shop", SHOP_MAX, &query.shop) != 0)
		return;
	query.window = call_query(call, "window");
	if (query.window[0] != '\0' && strcmp(query.window, "24h") != 0 && strcmp(query.window, "7d") != 0 &&
	    strcmp(query.window, "all") != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "window", "expected 24h, 7d or all");
		return;
	}
	workers_job_kpi(call->api->workers, &query, &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* The client's Idempotency-Key, or a fresh one: without a key a submission could not be repeated safely. */
static int
set_key(struct call *call, char key[KEY_MAX])
{
	const char *given = httpd_header(call->request, "Idempotency-Key");
	uint64_t fresh[2];
	if (given != NULL) {
		size_t len = strlen(given);
		for (size_t i = 0; i < len; i++)
			if (given[i] <= 0x20 || given[i] > 0x7E)
				len = 0;
		if (len == 0 || len >= KEY_MAX) {
			call_problem(call, PROTO_BAD_REQUEST, "Idempotency-Key", "expected 1 to %d visible ASCII characters", KEY_MAX - 1);
			return -1;
		}
		memcpy(key, given, len + 1);
		return 0;
	}
	if (getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh)) {
		call_problem(call, PROTO_INTERNAL, NULL, "no random numbers for an idempotency key: %m");
		return -1;
	}
	snprintf(key, KEY_MAX, "api-%016llx%016llx", (unsigned long long)fresh[0], (unsigned long long)fresh[1]);
	return 0;
}

static int
read_order(struct call *call, const struct json *body, struct run_order *order)
{
	const struct json *shop = json_get(body, "shop"), *params = json_get(body, "params");
	order->job_id = json_string(json_get(body, "job_id"));
	order->params = json_is_null(params) ? NULL : params;
	if (order->job_id == NULL || order->job_id[0] == '\0' || strlen(order->job_id) > JOB_ID_MAX)
		call_problem(call, PROTO_BAD_REQUEST, "job_id", "expected the id of a job, 1 to %d characters", JOB_ID_MAX);
	else if (order->params != NULL && !json_is_object(order->params))
		call_problem(call, PROTO_BAD_REQUEST, "params", "expected an object");
	else if (!json_is_null(shop) &&
	         (!json_is_number(shop) || json_int64(shop, &order->shop) != 0 || order->shop < 1 || order->shop > SHOP_MAX))
		call_problem(call, PROTO_BAD_REQUEST, "shop", "expected the number of a shop, 1 to %d", SHOP_MAX);
	else
		return 0;
	return -1;
}

/* What the caller gets: these three members, and nothing that waits for the work. */
static void
accept(struct call *call, const struct run_order *order, const struct answer *answer)
{
	const char *run_id = json_get_string(answer->data, "run_id", "");
	char location[200];
	snprintf(location, sizeof(location), "/api/runs/%.100s", run_id);
	call_header(call, "Location", location);
	call->response->status = 202;
	json_object_open(&call->response->body, NULL);
	json_add_string(&call->response->body, "run_id", run_id);
	json_add_string(&call->response->body, "state", json_get_string(answer->data, "state", "queued"));
	json_add_string(&call->response->body, "job_id", order->job_id);
	json_object_close(&call->response->body);
}

void
job_execute_post(struct call *call)
{
	static const char *const members[] = { "job_id", "params", "shop", NULL };
	static const char *const allowed[] = { NULL };
	char key[KEY_MAX];
	struct run_order order = { .key = key, .trigger = "api" };
	struct answer answer = { .ok = false };
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body(call, members) : NULL;
	if (body == NULL || read_order(call, body, &order) != 0 || set_key(call, key) != 0)
		goto out;
	if (workers_run_submit(call->api->workers, &order, &answer) == 0)
		accept(call, &order, &answer);
	else
		call_answer_problem(call, &answer);
out:
	answer_release(&answer);
	json_free(body);
}
