/* Schedules as people see and change them. */
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/core/scheduler_internal.h"

struct schedule *
schedule_find(struct scheduler *scheduler, const char *name)
{
	for (size_t i = 0; i < scheduler->count; i++)
		if (strcmp(scheduler->schedules[i].file->name, name) == 0)
			return &scheduler->schedules[i];
	return NULL;
}

void
schedule_drop_equal(const struct schedule *schedule, struct schedule_record *record)
{
	if (record->paused == (int)schedule->file->paused)
		record->paused = -1;
	if (strcmp(record->when, schedule->file->when) == 0)
		memset(record->when, 0, sizeof(record->when));
}

/* --- list ----------------------------------------------------------------------------------------------------------- */

static void
add_text(struct buf *out, const char *name, const char *text)
{
	if (text[0] == '\0')
		json_add_null(out, name);
	else
		json_add_string(out, name, text);
}

/* Members of the open object. schedule: a copy, or under lock. */
static void
add_schedule(struct buf *out, const struct schedule *schedule)
{
	const struct schedule_settings *file = schedule->file;
	const struct schedule_record *record = &schedule->record;
	json_add_string(out, "name", file->name);
	json_add_string(out, "job_id", file->job);
	json_add_int64(out, "shop", file->shop);
	json_add_string(out, "when", schedule_when(schedule));
	json_add_bool(out, "paused", schedule_paused(schedule));
	json_add_string(out, "source", record->when[0] != '\0' || record->paused >= 0 ? "change" : "file");
	json_object_open(out, "file");
	json_add_string(out, "when", file->when);
	json_add_bool(out, "paused", file->paused);
	json_object_close(out);
	json_add_time(out, "changed", record->changed_ms);
	add_text(out, "changed_by", record->who);
	json_add_int64(out, "jitter_s", file->jitter_s);
	json_add_string(out, "missed", file->missed == MISSED_ONCE ? "once" : "skip");
	json_add_time(out, "next", schedule_due(schedule, record->next_ms));
	json_add_time(out, "last", record->fired_ms);
	add_text(out, "last_run", record->run);
	add_text(out, "last_refusal", record->refusal);
	json_add_int64(out, "fires", record->fires);
	json_add_int64(out, "refused", record->refused);
	json_add_int64(out, "late_ms", record->late_ms);
	json_add_int64(out, "late_max_ms", record->late_max_ms);
	json_object_open(out, "missed_starts");
	json_add_int64(out, "count", record->missed);
	json_add_time(out, "first", record->missed_first_ms);
	json_add_time(out, "last", record->missed_last_ms);
	json_object_close(out);
}

void
scheduler_list(struct scheduler *scheduler, struct buf *out)
{
	json_add_string(out, "zone", zone_name(scheduler->zone));
	json_array_open(out, "schedules");
	pthread_mutex_lock(&scheduler->lock);
	for (size_t i = 0; i < scheduler->count; i++) {
		json_object_open(out, NULL);
		add_schedule(out, &scheduler->schedules[i]);
		json_object_close(out);
	}
	pthread_mutex_unlock(&scheduler->lock);
	json_array_close(out);
}

/* --- set ------------------------------------------------------------------------------------------------------------ */

static int
check_order(const struct schedule *schedule, const struct scheduler_order *order, struct err *err)
{
	if (order->reset && (order->paused >= 0 || order->when != NULL))
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field reset: goes with nothing else");
	if (!order->reset && order->paused < 0 && order->when == NULL)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field paused: nothing is to be changed; say paused, when or reset");
	return order->when != NULL ? settings_when_check(schedule->file, order->when, err) : 0;
}

/* The audit's words: "schedule stock: paused, when every 5m -> every 10m (who)". */
static void
make_note(const struct schedule *schedule, const struct scheduler_order *order, char note[NOTE_MAX])
{
	const char *who = order->who != NULL ? order->who : "";
	const char *paused = order->reset ? "back to what the file says" : order->paused < 0 ? "" : order->paused ? "paused" : "resumed";
	char when[2 * CRON_TEXT_MAX + 20] = "";
	if (order->when != NULL)
		snprintf(when, sizeof(when), "%swhen %.100s -> %.100s", paused[0] ? ", " : "", schedule_when(schedule), order->when);
	snprintf(note, NOTE_MAX, "schedule %s: %s%s%s%.*s%s", schedule->file->name, paused, when, who[0] ? " (" : "",
	         SCHEDULE_WHO_MAX - 1, who, who[0] ? ")" : "");
}

static int
change(struct scheduler *scheduler, struct schedule *schedule, const struct scheduler_order *order, struct err *err)
{
	struct schedule_record next = schedule->record;
	struct cron before = schedule->cron;
	char note[NOTE_MAX];
	if (order->reset || order->when != NULL)
		memset(next.when, 0, sizeof(next.when));
	if (order->reset)
		next.paused = -1;
	if (order->when != NULL)
		snprintf(next.when, sizeof(next.when), "%s", order->when);
	if (order->paused >= 0)
		next.paused = order->paused;
	schedule_drop_equal(schedule, &next);
	snprintf(next.who, sizeof(next.who), "%s", order->who != NULL ? order->who : "");
	next.changed_ms = clock_now_ms();
	schedule_plan(scheduler, schedule, &next, next.changed_ms);
	make_note(schedule, order, note);
	if (schedule_store(scheduler, schedule, &next, note, err) != 0) {
		schedule->cron = before;
		return -1;
	}
	log_info("%s", note);
	return 0;
}

int
scheduler_set(struct scheduler *scheduler, const struct scheduler_order *order, struct buf *out, struct err *err)
{
	struct schedule *schedule = schedule_find(scheduler, order->name);
	if (schedule == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SCHEDULE", "no schedule \"%s\" in the settings", order->name);
	if (check_order(schedule, order, err) != 0)
		return -1;
	pthread_mutex_lock(&scheduler->change);
	int rc = change(scheduler, schedule, order, err);
	struct schedule copy = *schedule;
	pthread_mutex_unlock(&scheduler->change);
	if (rc != 0)
		return -1;
	add_schedule(out, &copy);
	scheduler_wake(scheduler);
	return 0;
}
