/* /api/runs: list, one, items, cancel, confirm. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>

#define BIG 9007199254740991
#define ONLY_MAX 20
#define REASON_MAX 200

void
run_list_get(struct call *call)
{
	static const char *const allowed[] = { "job_id", "state", "shop", "before", "limit", NULL };
	struct run_query query = { .job_id = NULL };
	struct answer answer;
	enum run_state ignored;
	if (call_query_parse(call, allowed) != 0 || call_query_number(call, "limit", 500, &query.limit) != 0 ||
	    call_query_number(call, "shop", 1000000, &query.shop) != 0)
		return;
	query.job_id = call_query(call, "job_id");
	query.state = call_query(call, "state");
	query.before = call_query(call, "before");
	if (query.state[0] != '\0' && run_state_parse(query.state, &ignored) != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "state", "\"%.40s\" is not a state of runs", query.state);
		return;
	}
	if (workers_run_list(call->api->workers, &query, &answer) == 0 && json_is_string(json_get(answer.data, "next")))
		call_link_next(call, "before", json_string(json_get(answer.data, "next")));
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

void
run_get(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0)
		return;
	workers_run_get(call->api->workers, call->params[0], &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

void
run_items_get(struct call *call)
{
	static const char *const allowed[] = { "outcome", "after", "limit", NULL };
	struct item_query query = { .run_id = call->params[0] };
	struct answer answer;
	enum item_outcome ignored;
	char next[24];
	int64_t number;
	if (call_query_parse(call, allowed) != 0 || call_query_number(call, "limit", 1000, &query.limit) != 0 ||
	    call_query_number(call, "after", BIG, &query.after) != 0)
		return;
	query.outcome = call_query(call, "outcome");
	if (query.outcome[0] != '\0' && item_outcome_parse(query.outcome, &ignored) != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "outcome", "\"%.40s\" is not an outcome of items", query.outcome);
		return;
	}
	if (workers_item_list(call->api->workers, &query, &answer) == 0 && json_int64(json_get(answer.data, "next"), &number) == 0) {
		snprintf(next, sizeof(next), "%lld", (long long)number);
		call_link_next(call, "after", next);
	}
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

void
run_cancel_post(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0)
		return;
	workers_run_cancel(call->api->workers, call->params[0], &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* What the caller gets; nothing waits for the work. */
static void
accept(struct call *call, const struct answer *answer)
{
	const char *run_id = json_get_string(answer->data, "run_id", "");
	char location[200];
	snprintf(location, sizeof(location), "/api/runs/%.100s", run_id);
	call_header(call, "Location", location);
	call->response->status = 202;
	json_object_open(&call->response->body, NULL);
	json_add_string(&call->response->body, "run_id", run_id);
	json_add_string(&call->response->body, "state", json_get_string(answer->data, "state", "queued"));
	json_object_close(&call->response->body);
}

static int
read_confirmation(struct call *call, const struct json *body, struct plan_order *order)
{
	if (call_text(call, body, "only", ONLY_MAX, &order->only) != 0 ||
	    call_text(call, body, "reason", REASON_MAX, &order->reason) != 0)
		return -1;
	if (order->only == NULL || strcmp(order->only, "sold_out") == 0)
		return 0;
	call_problem(call, PROTO_BAD_REQUEST, "only", "expected sold_out, or nothing for the whole plan");
	return -1;
}

void
run_confirm_post(struct call *call)
{
	static const char *const members[] = { "only", "reason", NULL };
	static const char *const allowed[] = { NULL };
	char who[CALL_WHO_MAX];
	struct plan_order order = { .run_id = call->params[0], .who = who };
	struct answer answer = { .ok = false };
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body_or_none(call, members) : NULL;
	if (body == NULL || read_confirmation(call, body, &order) != 0)
		goto out;
	call_who(call, who);
	if (workers_plan_confirm(call->api->workers, &order, &answer) == 0)
		accept(call, &answer);
	else
		call_answer_problem(call, &answer);
out:
	answer_release(&answer);
	json_free(body);
}
