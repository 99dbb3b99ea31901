/* Commands about alarms: list, acknowledge, snooze. */
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/alarms.h"
#include "worker/core/control_internal.h"

#define LIST_LIMIT 200
#define MINUTE_MS 60000
#define ALARM_JSON_MAX (6 * LOG_TEXT_MAX + 6 * 1000 + ALARM_CHANNELS_MAX * (6 * ALARM_ERROR_MAX + 300) + 1024)

struct listing {
	struct buf *data;
	const struct alarm_channel *channels;
	size_t channel_count;
	int64_t left, last, now_ms;
	bool more;
};

static void
add_channel(struct buf *out, const struct alarm_state *state, const struct alarm_channel *channel, int64_t now_ms)
{
	static const struct alarm_call none = { 0 };
	static const char *const news[] = { [ALARM_NOTHING] = NULL, [ALARM_OPEN] = "open", [ALARM_RESOLVED] = "resolved" };
	const struct alarm_call *call = alarm_call_of(state, channel->name);
	struct alarm_due due = alarm_due(state, channel, call, now_ms);
	if (call == NULL)
		call = &none;
	json_object_open(out, NULL);
	json_add_string(out, "name", channel->name);
	json_add_time(out, "told", call->told_ms);
	json_add_string(out, "pending", news[due.news]);
	json_add_time(out, "next_try", due.news == ALARM_NOTHING ? 0 : due.at_ms > 0 ? due.at_ms : now_ms);
	json_add_int64(out, "tries", call->tries);
	json_add_time(out, "last_try", call->tried_ms);
	json_add_string(out, "error", call->error[0] != '\0' ? call->error : NULL);
	json_object_close(out);
}

static void
add_alarm(const struct alarm_state *state, struct listing *listing)
{
	struct buf *out = listing->data;
	json_object_open(out, NULL);
	json_add_int64(out, "id", state->id);
	json_add_string(out, "code", state->code);
	json_add_string(out, "severity", alarm_severity_name(alarm_kind(state->code)->severity));
	json_add_int64(out, "shop", state->shop);
	json_add_string(out, "job_id", state->job);
	json_add_string(out, "run_id", state->run);
	json_add_string(out, "text", state->text);
	json_add_int64(out, "count", state->count);
	json_add_time(out, "opened", state->opened_ms);
	json_add_time(out, "last", state->last_ms);
	json_add_time(out, "acknowledged", state->acked_ms);
	json_add_string(out, "acknowledged_by", state->acked_ms != 0 ? state->acked_by : NULL);
	json_add_time(out, "snoozed_until", state->snoozed_ms > listing->now_ms ? state->snoozed_ms : 0);
	json_add_time(out, "resolved", state->resolved_ms);
	json_add_string(out, "resolved_by", state->resolved_ms != 0 ? state->resolved_text : NULL);
	json_array_open(out, "channels");
	for (size_t i = 0; i < listing->channel_count; i++)
		add_channel(out, state, &listing->channels[i], listing->now_ms);
	json_array_close(out);
	json_object_close(out);
}

static bool
list_entry(const struct alarm_state *state, void *arg)
{
	struct listing *listing = arg;
	if (listing->left == 0 || !control_room(listing->data, ALARM_JSON_MAX)) {
		listing->more = true;
		return false;
	}
	add_alarm(state, listing);
	listing->last = state->id;
	listing->left--;
	return true;
}

static bool
count_one(const struct alarm_state *state, void *arg)
{
	(void)state;
	++*(int64_t *)arg;
	return true;
}

int
command_alarm_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct alarm_channel channels[ALARM_CHANNELS_MAX];
	const struct alarm_filter open = { .resolved_ms = INT64_MAX };
	const char *state = json_get_string(args, "state", "");
	int64_t limit = json_get_int64(args, "limit", 0), count = 0;
	struct listing listing = { .data = data, .channels = channels, .left = limit > 0 ? limit : LIST_LIMIT,
		                   .now_ms = clock_now_ms() };
	struct alarm_filter filter = { .after = json_get_int64(args, "after", 0), .limit = listing.left + 1,
		                       .resolved_ms = strcmp(state, "all") == 0 ? 0 : INT64_MAX };
	size_t before = data->len;
	if (state[0] != '\0' && strcmp(state, "all") != 0 && strcmp(state, "open") != 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field state: \"%s\" is neither open nor all", state);
	listing.channel_count = alarm_channels(control->config.settings, channels);
	if (journal_alarm_list(control->config.journal, &open, count_one, &count, err) != 0)
		return -1;
	json_add_int64(data, "open", count);
	json_array_open(data, "alarms");
	if (journal_alarm_list(control->config.journal, &filter, list_entry, &listing, err) != 0) {
		data->len = before;
		return -1;
	}
	json_array_close(data);
	if (listing.more)
		json_add_int64(data, "next", listing.last);
	else
		json_add_null(data, "next");
	return 0;
}

/* --- by hand -------------------------------------------------------------------------------------------------------- */

static int
unknown(int64_t id, struct err *err)
{
	return err_set(err, ERR_PERM, "UNKNOWN_ALARM", "no open alarm has the number %lld", (long long)id);
}

static bool
take_ends(const struct alarm_state *state, void *arg)
{
	*(int *)arg = (int)alarm_kind(state->code)->ends;
	return false;
}

int
command_alarm_ack(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	const char *who = json_get_string(args, "who", ""), *reason = json_get_string(args, "reason", "");
	int64_t id = json_get_int64(args, "id", 0);
	const struct alarm_filter filter = { .id = id, .resolved_ms = INT64_MAX };
	int ends = -1;
	if (journal_alarm_list(control->config.journal, &filter, take_ends, &ends, err) != 0)
		return -1;
	bool close = ends == ALARM_ENDS_BY_HAND;
	int done = ends < 0 ? 0 : journal_alarm_ack(control->config.journal, id, close, who, reason, err);
	if (done < 0)
		return -1;
	if (done == 0)
		return unknown(id, err);
	json_add_int64(data, "id", id);
	json_add_string(data, "state", close ? "resolved" : "acknowledged");
	return 0;
}

int
command_alarm_snooze(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	const char *who = json_get_string(args, "who", ""), *reason = json_get_string(args, "reason", "");
	int64_t id = json_get_int64(args, "id", 0), minutes = json_get_int64(args, "minutes", 0);
	int64_t until_ms = minutes > 0 ? clock_now_ms() + minutes * MINUTE_MS : 0;
	int done = journal_alarm_snooze(control->config.journal, id, until_ms, who, reason, err);
	if (done < 0)
		return -1;
	if (done == 0)
		return unknown(id, err);
	json_add_int64(data, "id", id);
	json_add_string(data, "state", minutes > 0 ? "snoozed" : "open");
	json_add_time(data, "snoozed_until", until_ms);
	return 0;
}
