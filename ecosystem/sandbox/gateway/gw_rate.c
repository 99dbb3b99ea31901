/* Integer token buckets, refilled when looked at.
 * Who is limited by what is decided by the router. */
#include "ecosystem/sandbox/gateway/gw_rate.h"

#include <stdio.h>
#include <string.h>

static struct gw_bucket *bucket_find(struct gw_rate *rate, const char *name, int64_t mono_ms)
{
	int64_t full = rate->per_second * 1000, level;
	struct gw_bucket *bucket = NULL;

	for (unsigned i = 0; i < rate->used && !bucket; i++)
		if (strcmp(rate->buckets[i].name, name) == 0)
			bucket = &rate->buckets[i];
	if (!bucket) {
		if (rate->used == GW_RATE_BUCKETS)
			return NULL;
		bucket = &rate->buckets[rate->used++];
		snprintf(bucket->name, sizeof(bucket->name), "%s", name);
		bucket->level = full;
		bucket->filled_at = mono_ms;
	}
	level = bucket->level + (mono_ms - bucket->filled_at) * rate->per_second;
	bucket->level = level > full ? full : level;
	bucket->filled_at = mono_ms;
	return bucket;
}

bool gw_rate_take(struct gw_rate *rate, const char *app_key, const char *method, int64_t mono_ms)
{
	struct gw_bucket *app, *own;
	char name[GW_RATE_NAME];

	if (rate->per_second <= 0)
		return true;
	snprintf(name, sizeof(name), "%.64s %.90s", app_key, method);
	app = bucket_find(rate, app_key, mono_ms);
	own = bucket_find(rate, name, mono_ms);
	if ((app && app->level < 1000) || (own && own->level < 1000))
		return false;
	if (app)
		app->level -= 1000;
	if (own)
		own->level -= 1000;
	return true;
}

void gw_rate_set(struct gw_rate *rate, int64_t per_second)
{
	rate->per_second = per_second;
	rate->used = 0;
}
