/* gw_rate: token buckets by name (app key, app key + method; temu_api.md 3.6). Not locked; the gateway's lock covers it. */
#ifndef GW_RATE_H
#define GW_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define GW_RATE_BUCKETS 256
#define GW_RATE_NAME 160

struct gw_rate {
	int64_t per_second; /* also the burst; 0 = unlimited */
	struct gw_bucket {
		char name[GW_RATE_NAME];
		int64_t filled_at; /* ms, monotonic */
		int64_t level;     /* thousandths of a call */
	} buckets[GW_RATE_BUCKETS];
	unsigned used;
};

/* Takes one call from both buckets, or from neither. false: over the limit. When the table is full, unknown names pass. */
bool gw_rate_take(struct gw_rate *rate, const char *app_key, const char *method, int64_t mono_ms);
/* A new limit; the buckets start full. */
void gw_rate_set(struct gw_rate *rate, int64_t per_second);

#endif
