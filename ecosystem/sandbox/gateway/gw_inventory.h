/* gw_inventory: the methods this stand-in knows: SKU list, stock query, stock edit, token info (temu_api.md 3.7, 5).
 * All run under the gateway's lock. */
#ifndef GW_INVENTORY_H
#define GW_INVENTORY_H

#include "ecosystem/sandbox/gateway/gw_router.h"

struct gw_method {
	const char *type;
	bool free; /* needs no scope */
	void (*run)(struct gw *gw, struct gw_shop *shop, const struct gw_value *body, const struct gw_fault *fault,
	            struct gw_answer *answer);
};

/* NULL: "type not exists". */
const struct gw_method *gw_method_find(const char *type);

#endif
