/* The ring of calls and its counters, printed for tests.
 * Who calls what and whether that is right is decided elsewhere. */
#include "ecosystem/sandbox/gateway/gw_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/json.h"

static struct gw_count *count_find(struct gw_calls *calls, const char *type, int64_t mall_id)
{
	struct gw_count *count;

	for (unsigned i = 0; i < calls->used; i++)
		if (calls->counts[i].mall_id == mall_id && strcmp(calls->counts[i].type, type) == 0)
			return &calls->counts[i];
	if (calls->used == GW_CALLS_COUNTS)
		return NULL;
	count = &calls->counts[calls->used++];
	*count = (struct gw_count){ .mall_id = mall_id };
	snprintf(count->type, sizeof(count->type), "%s", type);
	return count;
}

void gw_calls_add_take(struct gw_calls *calls, struct gw_call *call)
{
	struct gw_count *count = count_find(calls, call->type, call->mall_id);
	struct gw_call *kept = &calls->ring[calls->total % GW_CALLS_KEPT];

	call->number = ++calls->total;
	if (count) {
		count->calls++;
		count->errors += strcmp(call->outcome, "1000000") != 0;
	}
	free(kept->detail);
	*kept = *call;
	call->detail = NULL;
}

void gw_calls_release(struct gw_calls *calls)
{
	for (size_t i = 0; i < GW_CALLS_KEPT; i++)
		free(calls->ring[i].detail);
}

static void print_call(const struct gw_call *call, struct buf *out)
{
	json_object_open(out, NULL);
	json_add_int64(out, "number", call->number);
	json_add_int64(out, "time_ms", call->time_ms);
	json_add_int64(out, "mall_id", call->mall_id);
	json_add_string(out, "type", call->type);
	json_add_string(out, "outcome", call->outcome);
	json_add_string(out, "fault", call->fault);
	json_add_string(out, "requestId", call->request_id);
	json_add_string(out, "via", call->via);
	if (call->detail)
		json_add_raw(out, "detail", call->detail);
	json_object_close(out);
}

void gw_calls_print(const struct gw_calls *calls, int64_t since, int with_calls, struct buf *out)
{
	int64_t from = calls->total > GW_CALLS_KEPT ? calls->total - GW_CALLS_KEPT : 0;

	json_add_int64(out, "total", calls->total);
	json_array_open(out, "counts");
	for (unsigned i = 0; i < calls->used; i++) {
		json_object_open(out, NULL);
		json_add_int64(out, "mall_id", calls->counts[i].mall_id);
		json_add_string(out, "type", calls->counts[i].type);
		json_add_int64(out, "calls", calls->counts[i].calls);
		json_add_int64(out, "errors", calls->counts[i].errors);
		json_object_close(out);
	}
	json_array_close(out);
	if (!with_calls)
		return;
	json_array_open(out, "calls");
	for (int64_t n = since > from ? since : from; n < calls->total; n++)
		print_call(&calls->ring[n % GW_CALLS_KEPT], out);
	json_array_close(out);
}
