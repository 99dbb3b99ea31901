/* The growing list of applied stock edits, printed for tests.
 * Whether an edit is applied is decided in gw_inventory.c. */
#include "ecosystem/sandbox/gateway/gw_writes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/json.h"

void gw_writes_add(struct gw_writes *writes, const struct gw_write *write)
{
	if (writes->count == GW_WRITES_MAX) {
		writes->dropped++;
		return;
	}
	if (writes->count == writes->cap) {
		writes->cap = writes->cap ? writes->cap * 2 : 1024;
		writes->list = realloc(writes->list, (size_t)writes->cap * sizeof(*writes->list));
		if (!writes->list)
			abort();
	}
	writes->list[writes->count++] = *write;
}

void gw_writes_release(struct gw_writes *writes)
{
	free(writes->list);
	*writes = (struct gw_writes){ .list = NULL };
}

void gw_writes_print(const struct gw_writes *writes, int64_t since, struct buf *out)
{
	json_add_int64(out, "total", writes->count);
	json_add_int64(out, "dropped", writes->dropped);
	json_array_open(out, "writes");
	for (int64_t n = since > 0 ? since : 0; n < writes->count; n++) {
		const struct gw_write *write = &writes->list[n];

		json_object_open(out, NULL);
		json_add_int64(out, "number", n + 1);
		json_add_int64(out, "time_ms", write->time_ms);
		json_add_int64(out, "mall_id", write->mall_id);
		json_add_int64(out, "sku_id", write->sku_id);
		json_add_int64(out, "was", write->was);
		json_add_int64(out, "now", write->now);
		json_add_string(out, "via", write->via);
		json_object_close(out);
	}
	json_array_close(out);
}

void gw_via(const char *query, char out[GW_VIA_MAX])
{
	out[0] = '\0';
	while (query && *query) {
		if (strncmp(query, "via=", 4) == 0) {
			snprintf(out, GW_VIA_MAX, "%.*s", (int)strcspn(query + 4, "&"), query + 4);
			return;
		}
		query = strchr(query, '&');
		query += query != NULL;
	}
}
