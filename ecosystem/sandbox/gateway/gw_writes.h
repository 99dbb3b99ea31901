/* gw_writes: every applied change of a stock by a signed call, in order and whole, for a checker: which SKU went from what to what, when,
 * and through whose address (?via=NAME behind the gateway's path). Orders of the control port are no calls and are not in it. Not locked;
 * the gateway's lock covers it. */
#ifndef GW_WRITES_H
#define GW_WRITES_H

#include <stdint.h>
#include "common/buf.h"

#define GW_VIA_MAX 32
#define GW_WRITES_MAX 1000000

struct gw_write {
	int64_t time_ms, mall_id, sku_id, was, now;
	char via[GW_VIA_MAX];
};

struct gw_writes {
	struct gw_write *list;
	int64_t count, cap;
	int64_t dropped; /* behind GW_WRITES_MAX; a checker that sees one must refuse */
};

void gw_writes_add(struct gw_writes *writes, const struct gw_write *write);
void gw_writes_release(struct gw_writes *writes);
/* Members "total", "dropped" and "writes" with those behind number `since` (the first is 1) of an open object. */
void gw_writes_print(const struct gw_writes *writes, int64_t since, struct buf *out);

/* The value of "via" in an undecoded query, cut to its maximum; "" when there is none. */
void gw_via(const char *query, char out[GW_VIA_MAX]);

#endif
