/* /api/shops: list, and the write gate of one. */
#include "api/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 200

void
shop_list_get(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0)
		return;
	workers_shop_list(call->api->workers, &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

static int
read_gate(struct call *call, const struct json *body, struct gate_order *order)
{
	const struct json *reason = json_get(body, "reason");
	const char *shop = call->params[0];
	enum gate ignored;
	order->writes = json_string(json_get(body, "writes"));
	order->reason = json_string(reason);
	order->shop = strtoll(shop, NULL, 10);
	if (strspn(shop, "0123456789") != strlen(shop) || strlen(shop) > 7 || order->shop < 1)
		call_problem(call, PROTO_UNKNOWN_SHOP, "shop", "expected the number of a shop in the path");
	else if (order->writes == NULL || gate_parse(order->writes, &ignored) != 0)
		call_problem(call, PROTO_BAD_REQUEST, "writes", "expected off, stock, orders or all");
	else if (!json_is_null(reason) && (order->reason == NULL || strlen(order->reason) > REASON_MAX))
		call_problem(call, PROTO_BAD_REQUEST, "reason", "expected a text of at most %d bytes", REASON_MAX);
	else
		return 0;
	return -1;
}

void
shop_writes_put(struct call *call)
{
	static const char *const members[] = { "writes", "reason", NULL };
	static const char *const allowed[] = { NULL };
	struct gate_order order = { .shop = 0 };
	struct answer answer = { .ok = false };
	char who[100];
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body(call, members) : NULL;
	if (body == NULL || read_gate(call, body, &order) != 0)
		goto out;
	snprintf(who, sizeof(who), "api %.45s", call->request->peer);
	order.who = who;
	workers_gate_set(call->api->workers, &order, &answer);
	call_answer(call, 200, &answer);
out:
	answer_release(&answer);
	json_free(body);
}
