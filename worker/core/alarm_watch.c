/* One look at the jobs and at the open alarms. When it is taken is the sender's affair. */
#include "worker/core/alarm_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/core/alarms.h"

#define MINUTE_MS 60000
#define SHOP_JSON_MAX 16384

struct open_alarm {
	int64_t id, shop;
	enum alarm_ends ends;
	bool stale;
	char job[JOB_ID_MAX];
};
struct open_alarms {
	struct open_alarm *items;
	size_t count, cap;
};

static bool
collect(const struct alarm_state *state, void *arg)
{
	struct open_alarms *list = arg;
	if (list->count == list->cap) {
		size_t cap = list->cap > 0 ? 2 * list->cap : 32;
		struct open_alarm *grown = realloc(list->items, cap * sizeof(*grown));
		if (grown == NULL)
			return false; /* the next look sees the rest */
		list->items = grown;
		list->cap = cap;
	}
	struct open_alarm *alarm = &list->items[list->count++];
	*alarm = (struct open_alarm){ .id = state->id, .shop = state->shop, .ends = alarm_kind(state->code)->ends,
		                      .stale = strcmp(state->code, "JOB_STALE") == 0 };
	snprintf(alarm->job, sizeof(alarm->job), "%s", state->job);
	return true;
}

/* --- what is over --------------------------------------------------------------------------------------------------- */

static bool
lease_held(const struct alarm_watch *watch, int64_t shop)
{
	struct buf text;
	struct err err = ERR_INIT;
	if (watch->shops.add == NULL)
		return false;
	buf_init(&text, SHOP_JSON_MAX);
	json_object_open(&text, NULL);
	watch->shops.add(watch->shops.arg, shop, &text);
	json_object_close(&text);
	struct json *parsed = text.failed ? NULL : json_parse(text.data, text.len, &err);
	bool held = strcmp(json_get_string(json_get(parsed, "lease"), "state", ""), "held") == 0;
	json_free(parsed);
	buf_release(&text);
	return held;
}

/* Why an open alarm is over, NULL = it is not. */
static const char *
over_because(const struct alarm_watch *watch, const struct open_alarm *alarm)
{
	if (alarm->shop != 0 && settings_shop(watch->settings, alarm->shop) == NULL)
		return "the shop is not configured any more";
	switch (alarm->ends) {
	case ALARM_ENDS_LEASE:
		return lease_held(watch, alarm->shop) ? "this installation holds the lease" : NULL;
	case ALARM_ENDS_QUARANTINE:
		return journal_quarantine_count(watch->journal, alarm->shop) == 0 ? "the quarantine is empty" : NULL;
	case ALARM_ENDS_RUN:
	case ALARM_ENDS_NEXT_RUN:
	case ALARM_ENDS_ELSEWHERE:
	case ALARM_ENDS_BY_HAND:
		break;
	}
	return NULL;
}

/* --- what is stale -------------------------------------------------------------------------------------------------- */

static bool
is_open(const struct open_alarms *list, const char *job, int64_t shop)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].stale && list->items[i].shop == shop && strcmp(list->items[i].job, job) == 0)
			return true;
	return false;
}

static int
look_at_job(const struct alarm_watch *watch, const struct open_alarms *list, const char *job, int64_t shop, int64_t now_ms,
            struct err *err)
{
	int64_t last_ms, minutes = watch->settings->alarms_stale_minutes;
	char text[200], when[CLOCK_TEXT_MAX];
	struct alarm_record alarm = { .shop = shop, .job = job, .code = "JOB_STALE", .text = text };
	if (is_open(list, job, shop))
		return 0;
	if (journal_run_last_success(watch->journal, job, shop, &last_ms, err) != 0)
		return -1;
	if (last_ms == 0 || now_ms - last_ms < minutes * MINUTE_MS)
		return 0;
	snprintf(text, sizeof(text), "%s: no run has succeeded since %s, that is for %lld min", job, clock_format(last_ms, when),
	         (long long)((now_ms - last_ms) / MINUTE_MS));
	log_error("JOB_STALE: %s", text);
	return journal_alarm(watch->journal, &alarm, err) < 0 ? -1 : 0;
}

static int
look_at_jobs(const struct alarm_watch *watch, const struct open_alarms *list, int64_t now_ms, struct err *err)
{
	const struct settings *settings = watch->settings;
	for (size_t i = 0; i < watch->job_count; i++) {
		const struct job_type *job = watch->jobs[i];
		if (job->on_demand)
			continue;
		if (!job->per_shop && look_at_job(watch, list, job->id, 0, now_ms, err) != 0)
			return -1;
		for (size_t s = 0; job->per_shop && s < settings->shop_count; s++)
			if (look_at_job(watch, list, job->id, settings->shops[s].id, now_ms, err) != 0)
				return -1;
	}
	return 0;
}

int
alarm_watch_look(const struct alarm_watch *watch, int64_t now_ms, int64_t uptime_ms, struct err *err)
{
	const struct alarm_filter open = { .resolved_ms = INT64_MAX };
	struct open_alarms list = { NULL, 0, 0 };
	int64_t stale_ms = watch->settings->alarms_stale_minutes * MINUTE_MS;
	int rc = journal_alarm_list(watch->journal, &open, collect, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		const char *why = over_because(watch, &list.items[i]);
		if (why != NULL && journal_alarm_resolve(watch->journal, list.items[i].id, why, err) < 0)
			rc = -1;
	}
	if (rc == 0 && stale_ms > 0 && uptime_ms >= (stale_ms < ALARM_WATCH_GRACE_MS ? stale_ms : ALARM_WATCH_GRACE_MS))
		rc = look_at_jobs(watch, &list, now_ms, err);
	free(list.items);
	return rc;
}
