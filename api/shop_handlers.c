/* /api/shops: list; of one shop the write gate, the SKUs in quarantine and the lease. */
#include "api/handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 200
#define INSTALLATION_MAX 40
#define SHOP_DIGITS 7

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

/* The shop's number in the path. */
static int
read_shop(struct call *call, int64_t *shop)
{
	const char *text = call->params[0];
	*shop = strtoll(text, NULL, 10);
	if (strspn(text, "0123456789") == strlen(text) && strlen(text) <= SHOP_DIGITS && *shop >= 1)
		return 0;
	call_problem(call, PROTO_UNKNOWN_SHOP, "shop", "expected the number of a shop in the path");
	return -1;
}

/* --- the gate ----------------------------------------------------------------------------------------------------- */

static int
read_gate(struct call *call, const struct json *body, struct gate_order *order)
{
	enum gate ignored;
	order->writes = json_string(json_get(body, "writes"));
	if (read_shop(call, &order->shop) != 0)
		return -1;
	if (order->writes == NULL || gate_parse(order->writes, &ignored) != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "writes", "expected off, stock, orders or all");
		return -1;
	}
	return call_text(call, body, "reason", REASON_MAX, &order->reason);
}

void
shop_writes_put(struct call *call)
{
	static const char *const members[] = { "writes", "reason", NULL };
	static const char *const allowed[] = { NULL };
	char who[CALL_WHO_MAX];
	struct gate_order order = { .who = who };
	struct answer answer = { .ok = false };
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body(call, members) : NULL;
	if (body == NULL || read_gate(call, body, &order) != 0)
		goto out;
	call_who(call, who);
	workers_gate_set(call->api->workers, &order, &answer);
	call_answer(call, 200, &answer);
out:
	answer_release(&answer);
	json_free(body);
}

/* --- quarantine --------------------------------------------------------------------------------------------------- */

void
shop_quarantine_get(struct call *call)
{
	static const char *const allowed[] = { "after", "limit", NULL };
	struct quarantine_query query = { .shop = 0 };
	struct answer answer;
	int64_t ignored;
	if (call_query_parse(call, allowed) != 0 || read_shop(call, &query.shop) != 0 ||
	    call_query_number(call, "limit", 500, &query.limit) != 0 || call_query_number(call, "after", INT64_MAX, &ignored) != 0)
		return;
	query.after = call_query(call, "after");
	if (workers_quarantine_list(call->api->workers, &query, &answer) == 0 && json_is_string(json_get(answer.data, "next")))
		call_link_next(call, "after", json_string(json_get(answer.data, "next")));
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* A number of TEMU: 1 to 2^63 - 1. */
static bool
is_sku_id(const char *text)
{
	errno = 0;
	return strspn(text, "0123456789") == strlen(text) && strlen(text) < 20 && strtoll(text, NULL, 10) > 0 && errno == 0;
}

void
shop_quarantine_delete(struct call *call)
{
	static const char *const allowed[] = { NULL };
	char who[CALL_WHO_MAX];
	struct quarantine_order order = { .sku_id = call->params[1], .who = who };
	struct answer answer;
	if (call_query_parse(call, allowed) != 0 || read_shop(call, &order.shop) != 0)
		return;
	if (!is_sku_id(order.sku_id)) {
		call_problem(call, PROTO_NOT_QUARANTINED, "sku_id", "expected the number of a SKU in the path");
		return;
	}
	call_who(call, who);
	workers_quarantine_free(call->api->workers, &order, &answer);
	call_answer(call, 200, &answer);
	answer_release(&answer);
}

/* --- lease -------------------------------------------------------------------------------------------------------- */

static int
read_lease(struct call *call, const struct json *body, struct lease_order *order)
{
	order->from = json_string(json_get(body, "from"));
	if (read_shop(call, &order->shop) != 0)
		return -1;
	if (order->from == NULL || order->from[0] == '\0' || strlen(order->from) > INSTALLATION_MAX) {
		call_problem(call, PROTO_BAD_REQUEST, "from", "expected the installation that has the lease, 1 to %d characters",
		             INSTALLATION_MAX);
		return -1;
	}
	return call_text(call, body, "reason", REASON_MAX, &order->reason);
}

void
shop_lease_post(struct call *call)
{
	static const char *const members[] = { "from", "reason", NULL };
	static const char *const allowed[] = { NULL };
	char who[CALL_WHO_MAX];
	struct lease_order order = { .who = who };
	struct answer answer = { .ok = false };
	struct json *body = call_query_parse(call, allowed) == 0 ? call_body(call, members) : NULL;
	if (body == NULL || read_lease(call, body, &order) != 0)
		goto out;
	call_who(call, who);
	workers_lease_take(call->api->workers, &order, &answer);
	call_answer(call, 202, &answer);
out:
	answer_release(&answer);
	json_free(body);
}
