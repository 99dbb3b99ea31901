/* gw_calls: what was called, how it ended: the last 10,000 calls and counts per shop and method. Not locked; the gateway's
 * lock covers it. Holds no secret, token or signature. */
#ifndef GW_CALLS_H
#define GW_CALLS_H

#include <stdint.h>
#include "common/buf.h"
#include "ecosystem/sandbox/gateway/gw_writes.h"

#define GW_CALLS_KEPT 10000
#define GW_CALLS_COUNTS 256

struct gw_call {
	int64_t number, time_ms, mall_id;
	char type[96], request_id[64], fault[32];
	char via[GW_VIA_MAX];
	char outcome[32]; /* the error code, "reset", "http 502" */
	char *detail;     /* heap, JSON of page or sku/target pairs, NULL */
};

struct gw_calls {
	struct gw_call ring[GW_CALLS_KEPT];
	int64_t total;
	struct gw_count {
		int64_t mall_id, calls, errors;
		char type[96];
	} counts[GW_CALLS_COUNTS];
	unsigned used;
};

/* Takes over call->detail; numbers the call. */
void gw_calls_add_take(struct gw_calls *calls, struct gw_call *call);
void gw_calls_release(struct gw_calls *calls);
/* Members "total", "counts" (and "calls" with the kept ones above number `since`) of an open object. */
void gw_calls_print(const struct gw_calls *calls, int64_t since, int with_calls, struct buf *out);

#endif
