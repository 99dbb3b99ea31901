/* /api/schedules: list; pause, resume and change one. */
#include "api/handlers.h"

#include <string.h>

#define NAME_MAX_BYTES 60
#define WHEN_MAX 100

void
schedule_list_get(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0)
		return;
	workers_schedule_list(call->api->workers, &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* The member is absent, or true or false. */
static int
read_bool(struct call *call, const struct json *body, const char *name, int *value)
{
	const struct json *member = json_get(body, name);
	bool given;
	*value = -1;
	if (member == NULL)
		return 0;
	if (json_bool(member, &given) != 0) {
		call_problem(call, PROTO_BAD_REQUEST, name, "expected true or false");
		return -1;
	}
	*value = given;
	return 0;
}

static int
read_order(struct call *call, const struct json *body, struct schedule_order *order)
{
	int reset;
	size_t len = strlen(call->params[0]);
	order->name = call->params[0];
	if (len == 0 || len > NAME_MAX_BYTES) {
		call_problem(call, PROTO_UNKNOWN_SCHEDULE, "name", "expected the name of a schedule in the path");
		return -1;
	}
	if (read_bool(call, body, "paused", &order->paused) != 0 || read_bool(call, body, "reset", &reset) != 0)
		return -1;
	order->reset = reset > 0;
	return call_text(call, body, "when", WHEN_MAX, &order->when);
}

void
schedule_put(struct call *call)
{
	static const char *const members[] = { "paused", "when", "reset", NULL };
	static const char *const allowed[] = { NULL };
	char who[CALL_WHO_MAX];
	struct schedule_order order = { .who = who };
	struct answer answer = { .ok = false };
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body(call, members) : NULL;
	if (body == NULL || read_order(call, body, &order) != 0)
		goto out;
	call_who(call, who);
	workers_schedule_set(call->api->workers, &order, &answer);
	call_answer(call, 200, &answer);
out:
	answer_release(&answer);
	json_free(body);
}
