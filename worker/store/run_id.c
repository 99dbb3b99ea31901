/* The text form of a run's number, and which states a run may move between.
 * Pure functions; who moves a run, and why, is the engine's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/journal_inner.h"

#define NUMBER_DIGITS 12
#define SHOP_MAX 9999999999
#define NUMBER_MAX 999999999999
#define BIT(state) (1u << (state))
#define STOPS (BIT(RUN_CANCELLED) | BIT(RUN_FAILED))

static const unsigned may[RUN_STATE_COUNT] = {
	[RUN_QUEUED] = BIT(RUN_RUNNING) | STOPS,
	[RUN_RUNNING] = BIT(RUN_RUNNING) | BIT(RUN_RETRY) | BIT(RUN_HELD) | BIT(RUN_INTERRUPTED) | BIT(RUN_SUCCESS) | BIT(RUN_PARTIAL) |
	                STOPS,
	[RUN_RETRY] = BIT(RUN_QUEUED) | STOPS,
	[RUN_HELD] = BIT(RUN_QUEUED) | STOPS,
	[RUN_INTERRUPTED] = BIT(RUN_QUEUED) | STOPS,
};

bool
run_state_may(enum run_state from, enum run_state to)
{
	return from < RUN_STATE_COUNT && to < RUN_STATE_COUNT && (may[from] & BIT(to)) != 0;
}

void
run_id_format(char *out, const char *job, int64_t shop, int64_t number)
{
	if (shop < 0 || shop > SHOP_MAX)
		shop = 0; /* nobody gives us these; a damaged row must not become another run's id by being cut */
	if (number < 0 || number > NUMBER_MAX)
		number = 0;
	snprintf(out, RUN_ID_MAX, "%.*s.%lld.%0*lld", JOB_ID_MAX - 1, job, (long long)shop, NUMBER_DIGITS, (long long)number);
}

bool
run_id_split(const char *id, char *job, int64_t *shop, int64_t *number)
{
	const char *last = strrchr(id, '.'), *middle = last;
	char name[JOB_ID_MAX], again[RUN_ID_MAX];

	while (middle && middle > id && middle[-1] != '.')
		middle--;
	if (!last || middle == id || strlen(last + 1) != NUMBER_DIGITS || (size_t)(middle - 1 - id) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(middle - 1 - id), id);
	long long shop_number = strtoll(middle, NULL, 10), run_number = strtoll(last + 1, NULL, 10);
	if (name[0] == '\0' || shop_number < 0 || shop_number > SHOP_MAX || run_number < 1 || run_number > NUMBER_MAX)
		return false;
	run_id_format(again, name, shop_number, run_number);
	if (strcmp(again, id) != 0)
		return false;
	if (job)
		memcpy(job, name, sizeof(name));
	if (shop)
		*shop = shop_number;
	*number = run_number;
	return true;
}
