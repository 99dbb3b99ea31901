/* /api/alarms: list, acknowledge, snooze. */
#include "api/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG 9007199254740991
#define ID_DIGITS 15
#define REASON_MAX 200
#define MINUTES_MAX 43200

void
alarm_list_get(struct call *call)
{
	static const char *const allowed[] = { "state", "after", "limit", NULL };
	struct alarm_query query = { .state = NULL };
	struct answer answer;
	char next[24];
	int64_t number;
	if (call_query_parse(call, allowed) != 0 || call_query_number(call, "limit", 500, &query.limit) != 0 ||
	    call_query_number(call, "after", BIG, &query.after) != 0)
		return;
	query.state = call_query(call, "state");
	if (query.state[0] != '\0' && strcmp(query.state, "open") != 0 && strcmp(query.state, "all") != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "state", "expected open or all");
		return;
	}
	if (workers_alarm_list(call->api->workers, &query, &answer) == 0 && json_int64(json_get(answer.data, "next"), &number) == 0) {
		snprintf(next, sizeof(next), "%lld", (long long)number);
		call_link_next(call, "after", next);
	}
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* The alarm's number in the path. */
static int
read_id(struct call *call, int64_t *id)
{
	const char *text = call->params[0];
	*id = strtoll(text, NULL, 10);
	if (strspn(text, "0123456789") == strlen(text) && strlen(text) <= ID_DIGITS && *id >= 1)
		return 0;
	call_problem(call, PROTO_UNKNOWN_ALARM, "id", "expected the number of an alarm in the path");
	return -1;
}

static int
read_minutes(struct call *call, const struct json *body, int64_t *minutes)
{
	const struct json *value = json_get(body, "minutes");
	if (json_is_number(value) && json_int64(value, minutes) == 0 && *minutes >= 0 && *minutes <= MINUTES_MAX)
		return 0;
	call_problem(call, PROTO_BAD_REQUEST, "minutes", "expected 1 to %d minutes, or 0 to end a snooze", MINUTES_MAX);
	return -1;
}

static void
handle(struct call *call, enum proto_command command)
{
	static const char *const ack_members[] = { "reason", NULL };
	static const char *const snooze_members[] = { "minutes", "reason", NULL };
	static const char *const allowed[] = { NULL };
	bool snooze = command == CMD_ALARM_SNOOZE;
	char who[CALL_WHO_MAX];
	struct alarm_order order = { .who = who };
	struct answer answer = { .ok = false };
	struct json *body = NULL;
	if (call_query_parse(call, allowed) == 0)
		body = snooze ? call_body(call, snooze_members) : call_body_or_none(call, ack_members);
	if (body == NULL || read_id(call, &order.id) != 0 || call_text(call, body, "reason", REASON_MAX, &order.reason) != 0 ||
	    (snooze && read_minutes(call, body, &order.minutes) != 0))
		goto out;
	call_who(call, who);
	workers_alarm_handle(call->api->workers, command, &order, &answer);
	call_answer(call, 200, &answer);
out:
	answer_release(&answer);
	json_free(body);
}

void
alarm_ack_post(struct call *call)
{
	handle(call, CMD_ALARM_ACK);
}

void
alarm_snooze_post(struct call *call)
{
	handle(call, CMD_ALARM_SNOOZE);
}
