/* The list of faults and the choice of the one that hits a call.
 * What a fault does is in gw_router.c (transport) and gw_inventory.c (content). */
#include "ecosystem/sandbox/gateway/gw_faults.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	bool processed;
} kinds[] = {
	[GW_FAULT_none] = { "none", true },
#define X(name, processed) [GW_FAULT_##name] = { #name, processed },
	GW_FAULT_KINDS(X)
#undef X
};

const char *gw_fault_name(enum gw_fault_kind kind)
{
	return kinds[kind].name;
}

bool gw_fault_processed(enum gw_fault_kind kind)
{
	return kinds[kind].processed;
}

int gw_faults_add(struct gw_faults *faults, const struct gw_value *request, struct err *err)
{
	const char *kind = gw_get_string(request, "kind", "");
	struct gw_fault fault = { .kind = GW_FAULT_none };

	for (size_t i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, kind) == 0)
			fault.kind = (enum gw_fault_kind)i;
	if (fault.kind == GW_FAULT_none)
		return err_set(err, ERR_PERM, "FAULT", "unknown kind \"%.40s\"", kind);
	if (faults->used == GW_FAULTS_MAX)
		return err_set(err, ERR_PERM, "FAULT", "more than %d faults", GW_FAULTS_MAX);
	snprintf(fault.type, sizeof(fault.type), "%s", gw_get_string(request, "type", ""));
	snprintf(fault.text, sizeof(fault.text), "%s", gw_get_string(request, "text", ""));
	fault.mall_id = gw_get_int64(request, "mall_id", 0);
	fault.sku_id = gw_get_int64(request, "sku_id", 0);
	fault.count = gw_get_int64(request, "count", 1);
	fault.skip = gw_get_int64(request, "skip", 0);
	fault.code = gw_get_int64(request, "code", 4000000);
	fault.delay_ms = gw_get_int64(request, "delay_ms", 0);
	fault.retry_after = gw_get_int64(request, "retry_after", 0);
	if (fault.count == 0 || fault.skip < 0 || fault.delay_ms < 0 || fault.delay_ms > 3600000)
		return err_set(err, ERR_PERM, "FAULT", "count, skip or delay_ms out of range");
	faults->list[faults->used++] = fault;
	return 0;
}

static bool names_sku(const struct gw_value *body, int64_t sku_id)
{
	static const char *const lists[] = { "skuStockTargetList", "skuStockChangeList" };

	for (size_t i = 0; i < 2; i++) {
		const struct gw_value *list = gw_get(body, lists[i]);

		for (const struct gw_value *row = list ? list->first : NULL; row; row = row->next)
			if (gw_get_int64(row, "skuId", 0) == sku_id)
				return true;
	}
	return false;
}

void gw_faults_take(struct gw_faults *faults, const char *type, int64_t mall_id, const struct gw_value *body,
                    struct gw_fault *out)
{
	*out = (struct gw_fault){ .kind = GW_FAULT_none };
	for (size_t i = 0; i < faults->used; i++) {
		struct gw_fault *fault = &faults->list[i];

		if (fault->count == 0 || (fault->type[0] && strcmp(fault->type, type) != 0) ||
		    (fault->mall_id && fault->mall_id != mall_id) || (fault->sku_id && !names_sku(body, fault->sku_id)))
			continue;
		if (fault->skip > 0) {
			fault->skip--;
			continue;
		}
		if (fault->count > 0)
			fault->count--;
		*out = *fault;
		return;
	}
}
