/* The table of alarms and the rules of telling. No clock, no journal, no wire here. */
#include "worker/core/alarms.h"

#include <stdio.h>
#include <string.h>
#include "common/utf8.h"

/* The first row that fits counts. */
static const struct alarm_kind kinds[] = {
	{ "GUARD_", SEVERITY_ERROR, ALARM_ENDS_RUN },
	{ "CLAIMS_", SEVERITY_ERROR, ALARM_ENDS_NEXT_RUN },
	{ "JTL_CHANGED", SEVERITY_WARNING, ALARM_ENDS_NEXT_RUN },
	{ "STOCK_NULL", SEVERITY_ERROR, ALARM_ENDS_NEXT_RUN }, /* its own run ends well, but for that */
	{ "JTL_", SEVERITY_ERROR, ALARM_ENDS_RUN },
	{ "LEASE_TAKEN", SEVERITY_INFO, ALARM_ENDS_BY_HAND },
	{ "LEASE_NOT_TAKEN", SEVERITY_WARNING, ALARM_ENDS_BY_HAND },
	{ "LEASE_", SEVERITY_ERROR, ALARM_ENDS_LEASE },
	{ "QUARANTINE", SEVERITY_WARNING, ALARM_ENDS_QUARANTINE },
	{ "SHOP_EMPTY", SEVERITY_ERROR, ALARM_ENDS_BY_HAND }, /* its runs succeed, with nothing */
	{ "TOKEN_EXPIRES", SEVERITY_WARNING, ALARM_ENDS_ELSEWHERE },
	{ "JOB_FAILED", SEVERITY_ERROR, ALARM_ENDS_RUN },
	{ "JOB_STALE", SEVERITY_ERROR, ALARM_ENDS_RUN },
	{ "POISON", SEVERITY_ERROR, ALARM_ENDS_RUN },
	{ "", SEVERITY_ERROR, ALARM_ENDS_RUN },
};

const struct alarm_kind *
alarm_kind(const char *code)
{
	const struct alarm_kind *kind = kinds;
	for (; kind->code[0] != '\0'; kind++) {
		size_t len = strlen(kind->code);
		if (kind->code[len - 1] == '_' ? strncmp(code, kind->code, len) == 0 : strcmp(code, kind->code) == 0)
			break;
	}
	return kind;
}

const char *
alarm_severity_name(enum setting_severity severity)
{
	static const char *const names[] = { [SEVERITY_INFO] = "info", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error" };
	return names[severity];
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

static bool
ends_with_run(const char *code, bool same_run)
{
	enum alarm_ends ends = alarm_kind(code)->ends;
	return ends == ALARM_ENDS_RUN || (ends == ALARM_ENDS_NEXT_RUN && !same_run);
}

static bool
gave_up(const struct run_record *record)
{
	return record->state == RUN_FAILED || (record->state == RUN_CANCELLED && strcmp(record->error_code, "DEADLINE") == 0);
}

const struct alarm_end *
alarm_of_run(const struct run_record *record, const struct job_type *type, const struct json *params, struct alarm_room *room)
{
	bool poison = strcmp(record->error_code, "POISON") == 0;
	room->end = (struct alarm_end){ .text = room->why };
	if (record->state == RUN_SUCCESS || record->state == RUN_PARTIAL) {
		if (json_get_bool(params, "dry_run", false))
			return NULL;
		snprintf(room->why, sizeof(room->why), "run %s succeeded", record->id);
		room->end.ends = ends_with_run;
		return &room->end;
	}
	if (!gave_up(record) || (type != NULL && type->on_demand))
		return NULL;
	snprintf(room->text, sizeof(room->text), "%s: %s (%s)", record->id, record->error_text, record->error_code);
	room->record = (struct alarm_record){ .shop = record->shop, .run = record->id, .job = record->job, .step = record->step,
		                              .code = poison ? "POISON" : "JOB_FAILED", .text = room->text };
	room->end.open = &room->record;
	return &room->end;
}

/* --- channels ------------------------------------------------------------------------------------------------------- */

size_t
alarm_channels(const struct settings *settings, struct alarm_channel channels[ALARM_CHANNELS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < settings->webhook_count && count < WEBHOOKS_MAX; i++) {
		const struct webhook_settings *hook = &settings->webhooks[i];
		if (secret_len(hook->url) > 0)
			channels[count++] = (struct alarm_channel){ hook->name, hook, (enum setting_severity)hook->least };
	}
	if (settings->mail_url != NULL && settings->mail_url[0] != '\0')
		channels[count++] = (struct alarm_channel){ "mail", NULL, (enum setting_severity)settings->mail_least };
	return count;
}

const struct alarm_call *
alarm_call_of(const struct alarm_state *state, const char *channel)
{
	for (size_t i = 0; i < state->call_count; i++)
		if (strcmp(state->calls[i].channel, channel) == 0)
			return &state->calls[i];
	return NULL;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A moment that lies further ahead than it ever may comes from a clock that was wrong. */
static int64_t
believable(int64_t at_ms, int64_t most_ms, int64_t now_ms)
{
	return at_ms > now_ms + most_ms ? 0 : at_ms;
}

struct alarm_due
alarm_due(const struct alarm_state *state, const struct alarm_channel *channel, const struct alarm_call *call, int64_t now_ms)
{
	static const struct alarm_call none = { 0 };
	const struct alarm_due nothing = { ALARM_NOTHING, 0 };
	if (call == NULL)
		call = &none;
	bool told = call->told_seq >= state->open_seq; /* of this opening */
	int64_t retry_ms = call->tries > 0 ? believable(call->next_ms, ALARM_HOUR_MS, now_ms) : 0;
	int64_t quiet_ms = call->rang_ms > 0 ? believable(call->rang_ms + ALARM_HOUR_MS, ALARM_HOUR_MS, now_ms) : 0;
	quiet_ms = later(quiet_ms, state->snoozed_ms);
	if (alarm_kind(state->code)->severity < channel->least || state->seq <= call->given_up_seq)
		return nothing;
	if (state->resolved_ms == 0) {
		if (state->acked_ms != 0 || call->told_seq >= state->seq)
			return nothing;
		return (struct alarm_due){ ALARM_OPEN, later(quiet_ms, retry_ms) };
	}
	if (told)
		return call->resolved ? nothing : (struct alarm_due){ ALARM_RESOLVED, retry_ms };
	/* Nobody was told while it was open: because it was to be so, or because the channel was out of order? */
	if (state->acked_ms != 0 || quiet_ms > state->resolved_ms || now_ms - state->resolved_ms > ALARM_FORGET_MS)
		return nothing;
	return (struct alarm_due){ ALARM_RESOLVED, retry_ms };
}

/* --- tries ---------------------------------------------------------------------------------------------------------- */

int64_t
alarm_backoff_ms(int64_t backoff_ms, int64_t tries)
{
	int64_t wait_ms = backoff_ms;
	for (int64_t i = 1; i < tries && wait_ms < ALARM_BACKOFF_MAX_MS; i++)
		wait_ms *= 2;
	return wait_ms < ALARM_BACKOFF_MAX_MS ? wait_ms : ALARM_BACKOFF_MAX_MS;
}

void
alarm_called(struct alarm_call *call, const struct alarm_policy *policy, enum alarm_news news, int64_t seq, const char *error,
             int64_t wait_ms, int64_t now_ms)
{
	const char *said = error != NULL ? error : "";
	size_t len = utf8_cut(said, strlen(said), sizeof(call->error) - 1);
	memcpy(call->error, said, len);
	call->error[len] = '\0';
	call->tried_ms = now_ms;
	call->next_ms = 0;
	if (error == NULL) {
		if (news == ALARM_OPEN || call->resolved || call->told_ms == 0) /* else it is the other half of a pair */
			call->rang_ms = now_ms;
		call->resolved = news == ALARM_RESOLVED;
		call->told_ms = now_ms;
		call->told_seq = seq;
		call->tries = 0;
		return;
	}
	if (++call->tries >= policy->attempts) {
		call->given_up_seq = seq;
		call->tries = 0;
		return;
	}
	wait_ms = wait_ms < ALARM_HOUR_MS ? wait_ms : ALARM_HOUR_MS;
	call->next_ms = now_ms + later(alarm_backoff_ms(policy->backoff_ms, call->tries), wait_ms);
}
