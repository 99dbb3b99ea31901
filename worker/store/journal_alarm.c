/* Alarms: events that a person must look at, each once a run and code, and beside them one row a cause with what became of it, and one
 * row a cause and channel with who was told. What is an alarm, what ends it and who is to be told when is not known here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "worker/store/journal_inner.h"

#define COLUMNS "id, shop, code, job, run, text, count, seq, open_seq, opened_ms, last_ms, acked_ms, acked_by, snoozed_ms, resolved_ms," \
	" resolved_text"
#define ENDS_MAX 64 /* of one run; the others end with the next one */
#define MINUTE_MS 60000

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

void
alarms_tell(struct journal *journal)
{
	pthread_mutex_lock(&journal->listen_lock);
	if (journal->alarms_changed)
		journal->alarms_changed(journal->alarms_arg);
	pthread_mutex_unlock(&journal->listen_lock);
}

void
journal_alarm_listen(struct journal *journal, void (*changed)(void *arg), void *arg)
{
	pthread_mutex_lock(&journal->listen_lock);
	journal->alarms_changed = changed;
	journal->alarms_arg = arg;
	pthread_mutex_unlock(&journal->listen_lock);
}

static void
after_change(struct journal *journal, struct change *change)
{
	(void)change;
	alarms_tell(journal);
}

/* --- opening --- */

/* The run has an alarm that begins as this one. 1, 0 or -1. */
static int
was_said(struct lite *lite, int64_t run, const char *code, struct err *err)
{
	static const char select[] = "SELECT 1 FROM events WHERE run = ?1 AND kind = ?2 AND substr(text, 1, length(?3) + 2) = ?3 || ': '";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	lite_bind_text(statement, 2, proto_event_name(EVENT_ALARM));
	lite_bind_text(statement, 3, code);
	int status = lite_step(lite, statement, err);
	if (status == 1)
		lite_done(statement);
	return status;
}

/* Right-hand sides see the row as it was. A snooze outlasts the alarm: who asked for quiet until then gets it. */
static int
store_open(struct lite *lite, const struct alarm_record *record, int64_t seq, int64_t now, struct err *err)
{
	static const char upsert[] =
	    "INSERT INTO alarms(code, shop, job, run, text, count, seq, open_seq, opened_ms, last_ms, acked_ms, acked_by, snoozed_ms,"
	    " resolved_ms, resolved_text) VALUES(?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?7, 0, '', 0, 0, '')"
	    " ON CONFLICT(code, shop, job) DO UPDATE SET run = ?4, text = ?5, seq = ?6, last_ms = ?7,"
	    " count = CASE WHEN resolved_ms = 0 THEN count + 1 ELSE 1 END,"
	    " open_seq = CASE WHEN resolved_ms = 0 THEN open_seq ELSE ?6 END,"
	    " opened_ms = CASE WHEN resolved_ms = 0 THEN opened_ms ELSE ?7 END,"
	    " acked_ms = CASE WHEN resolved_ms = 0 THEN acked_ms ELSE 0 END,"
	    " acked_by = CASE WHEN resolved_ms = 0 THEN acked_by ELSE '' END, resolved_ms = 0, resolved_text = ''";
	sqlite3_stmt *statement = lite_use(lite, upsert, err);

	if (!statement)
		return -1;
	sqlite3_bind_text(statement, 1, record->code, (int)strnlen(record->code, ERR_CODE_MAX), SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, record->shop);
	lite_bind_text(statement, 3, or_empty(record->job));
	lite_bind_text(statement, 4, or_empty(record->run));
	sqlite3_bind_text(statement, 5, record->text, (int)utf8_cut(record->text, strlen(record->text), LOG_TEXT_MAX), SQLITE_STATIC);
	sqlite3_bind_int64(statement, 6, seq);
	sqlite3_bind_int64(statement, 7, now);
	return lite_run(lite, statement, err);
}

int
alarms_open(struct journal *journal, const struct alarm_record *record, struct err *err)
{
	char text[LOG_TEXT_MAX + ERR_TEXT_MAX];
	struct event event = { .time_ms = clock_now_ms(), .shop = record->shop, .kind = proto_event_name(EVENT_ALARM),
		                   .level = LEVEL_ERROR, .run = or_empty(record->run), .job = or_empty(record->job),
		                   .step = or_empty(record->step), .text = text };

	snprintf(text, sizeof(text), "%.*s: %s", ERR_CODE_MAX, record->code, record->text);
	text[utf8_cut(text, strlen(text), LOG_TEXT_MAX)] = '\0';
	if (writer_event(journal, &event, err) != 0)
		return -1;
	return store_open(&journal->writer, record, event.seq, event.time_ms, err);
}

struct opening {
	const struct alarm_record *record;
	bool said;
};

static int
apply_alarm(struct journal *journal, struct change *change, struct err *err)
{
	struct opening *opening = change->data;
	int64_t number;
	int status = 0;

	if (run_id_split(or_empty(opening->record->run), NULL, NULL, &number))
		status = was_said(&journal->writer, number, opening->record->code, err);
	opening->said = status == 1;
	return status == 0 ? alarms_open(journal, opening->record, err) : status < 0 ? -1 : 0;
}

int
journal_alarm(struct journal *journal, const struct alarm_record *record, struct err *err)
{
	struct opening opening = { .record = record };
	struct change change = { .apply = apply_alarm, .committed = after_change, .data = &opening, .err = ERR_INIT };
	int status = writer_change(journal, &change, err);

	return status == 0 && opening.said ? 1 : status;
}

/* --- the end --- */

struct row { /* what an event about an alarm needs */
	int64_t id, shop, count, opened_ms;
	char code[ERR_CODE_MAX + 1], job[JOB_ID_MAX], run[RUN_ID_MAX];
};

static void
read_event_row(sqlite3_stmt *statement, struct row *row)
{
	row->id = sqlite3_column_int64(statement, 0);
	row->shop = sqlite3_column_int64(statement, 1);
	row->count = sqlite3_column_int64(statement, 2);
	row->opened_ms = sqlite3_column_int64(statement, 3);
	lite_copy(statement, 4, row->code, sizeof(row->code));
	lite_copy(statement, 5, row->job, sizeof(row->job));
	lite_copy(statement, 6, row->run, sizeof(row->run));
}

#define EVENT_ROW "SELECT id, shop, count, opened_ms, code, job, run FROM alarms WHERE resolved_ms = 0 AND "

/* The open alarm of this id. 1, 0 or -1. */
static int
find_open(struct lite *lite, int64_t id, struct row *row, struct err *err)
{
	static const char select[] = EVENT_ROW "id = ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, id);
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		read_event_row(statement, row);
		lite_done(statement);
	}
	return status;
}

static int
resolve(struct journal *journal, const struct row *row, const char *why, struct err *err)
{
	static const char update[] = "UPDATE alarms SET resolved_ms = ?2, resolved_text = ?3, seq = ?4 WHERE id = ?1";
	char text[LOG_TEXT_MAX];
	int64_t now = clock_now_ms(), minutes = (now - row->opened_ms) / MINUTE_MS;
	struct event event = { .time_ms = now, .shop = row->shop, .kind = proto_event_name(EVENT_RESOLVED), .level = LEVEL_INFO,
		                   .run = row->run, .job = row->job, .step = "", .text = text };

	snprintf(text, sizeof(text), "%s: over after %lld min: %.1000s", row->code, (long long)(minutes > 0 ? minutes : 0), why);
	if (writer_event(journal, &event, err) != 0)
		return -1;
	sqlite3_stmt *statement = lite_use(&journal->writer, update, err);
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, row->id);
	sqlite3_bind_int64(statement, 2, now);
	sqlite3_bind_text(statement, 3, why, (int)utf8_cut(why, strlen(why), 1000), SQLITE_STATIC);
	sqlite3_bind_int64(statement, 4, event.seq);
	return lite_run(&journal->writer, statement, err);
}

/* The alarms that the run ends, at most ENDS_MAX. The number, or -1. */
static int
collect_ends(struct lite *lite, const struct run_record *run, const struct alarm_end *end, struct row *rows, struct err *err)
{
	static const char select[] = EVENT_ROW "shop = ? AND job = ? ORDER BY id";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	int status = statement ? 1 : -1, count = 0;

	if (statement) {
		sqlite3_bind_int64(statement, 1, run->shop);
		lite_bind_text(statement, 2, run->job);
	}
	while (status == 1 && (status = lite_step(lite, statement, err)) == 1) {
		read_event_row(statement, &rows[count]);
		count += end->ends(rows[count].code, strcmp(rows[count].run, run->id) == 0);
		if (count < ENDS_MAX)
			continue;
		lite_done(statement);
		status = 0;
	}
	return status < 0 ? -1 : count;
}

int
alarms_end_run(struct journal *journal, const struct run_record *run, const struct alarm_end *end, struct err *err)
{
	struct row rows[ENDS_MAX];
	int64_t number = 0;
	int said = 0, count = 0;

	if (end->ends && (count = collect_ends(&journal->writer, run, end, rows, err)) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		if (resolve(journal, &rows[i], end->text, err) != 0)
			return -1;
	if (!end->open)
		return 0;
	if (run_id_split(run->id, NULL, NULL, &number) && run->error_code[0])
		said = was_said(&journal->writer, number, run->error_code, err);
	return said == 0 ? alarms_open(journal, end->open, err) : said < 0 ? -1 : 0;
}

/* --- by hand, and by whoever looks --- */

enum action { ACTION_RESOLVE, ACTION_ACK, ACTION_ACK_CLOSE, ACTION_SNOOZE };

struct handling {
	enum action action;
	int64_t id, until_ms;
	const char *who, *reason;
	bool found;
};

static int
store_audit(struct journal *journal, const struct handling *handling, const struct row *row, struct err *err)
{
	char text[LOG_TEXT_MAX], until[CLOCK_TEXT_MAX], what[60] = "acknowledged";
	struct event event = { .time_ms = clock_now_ms(), .shop = row->shop, .kind = proto_event_name(EVENT_LOG), .level = LEVEL_WARNING,
		                   .run = "", .job = row->job, .step = "", .text = text };

	if (handling->action == ACTION_SNOOZE && handling->until_ms == 0)
		snprintf(what, sizeof(what), "not snoozed any more");
	else if (handling->action == ACTION_SNOOZE)
		snprintf(what, sizeof(what), "snoozed until %s", clock_format(handling->until_ms, until));
	snprintf(text, sizeof(text), "alarm %lld (%s, said %lld times) is %s%s%.400s%s%.900s", (long long)row->id, row->code,
	         (long long)row->count, what, handling->who[0] ? " by " : "", handling->who, handling->reason[0] ? ": " : "",
	         handling->reason);
	return writer_event(journal, &event, err);
}

static int
store_ack(struct lite *lite, const struct handling *handling, struct err *err)
{
	static const char update[] = "UPDATE alarms SET acked_ms = ?2, acked_by = ?3 WHERE id = ?1";
	sqlite3_stmt *statement = lite_use(lite, update, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, handling->id);
	sqlite3_bind_int64(statement, 2, clock_now_ms());
	lite_bind_text(statement, 3, handling->who);
	return lite_run(lite, statement, err);
}

static int
store_snooze(struct lite *lite, const struct handling *handling, struct err *err)
{
	static const char update[] = "UPDATE alarms SET snoozed_ms = ?2 WHERE id = ?1";
	sqlite3_stmt *statement = lite_use(lite, update, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, handling->id);
	sqlite3_bind_int64(statement, 2, handling->until_ms);
	return lite_run(lite, statement, err);
}

static int
apply_handling(struct journal *journal, struct change *change, struct err *err)
{
	struct handling *handling = change->data;
	struct row row;
	int status = find_open(&journal->writer, handling->id, &row, err);

	handling->found = status == 1;
	if (status != 1)
		return status;
	if (handling->action != ACTION_RESOLVE && store_audit(journal, handling, &row, err) != 0)
		return -1;
	switch (handling->action) {
	case ACTION_RESOLVE:
		return resolve(journal, &row, handling->reason, err);
	case ACTION_ACK:
		return store_ack(&journal->writer, handling, err);
	case ACTION_ACK_CLOSE:
		return store_ack(&journal->writer, handling, err) == 0 ? resolve(journal, &row, "acknowledged", err) : -1;
	case ACTION_SNOOZE:
		return store_snooze(&journal->writer, handling, err);
	}
	return 0;
}

static int
handle(struct journal *journal, struct handling *handling, struct err *err)
{
	struct change change = { .apply = apply_handling, .committed = after_change, .data = handling, .err = ERR_INIT };

	if (writer_change(journal, &change, err) != 0)
		return -1;
	return handling->found;
}

int
journal_alarm_resolve(struct journal *journal, int64_t id, const char *text, struct err *err)
{
	struct handling handling = { .action = ACTION_RESOLVE, .id = id, .who = "", .reason = text };

	return handle(journal, &handling, err);
}

int
journal_alarm_ack(struct journal *journal, int64_t id, bool close, const char *who, const char *reason, struct err *err)
{
	struct handling handling = { .action = close ? ACTION_ACK_CLOSE : ACTION_ACK, .id = id, .who = or_empty(who),
		                         .reason = or_empty(reason) };

	return handle(journal, &handling, err);
}

int
journal_alarm_snooze(struct journal *journal, int64_t id, int64_t until_ms, const char *who, const char *reason, struct err *err)
{
	struct handling handling = { .action = ACTION_SNOOZE, .id = id, .until_ms = until_ms, .who = or_empty(who),
		                         .reason = or_empty(reason) };

	return handle(journal, &handling, err);
}

/* --- calls --- */

static int
apply_called(struct journal *journal, struct change *change, struct err *err)
{
	static const char replace[] = "INSERT OR REPLACE INTO alarm_calls(alarm, resolved, told_ms, rang_ms, told_seq, tries, tried_ms, next_ms,"
	                              " given_up_seq, channel, error) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	const struct alarm_call *call = change->data;
	const int64_t numbers[] = { call->alarm, call->resolved, call->told_ms, call->rang_ms, call->told_seq,
		                        call->tries, call->tried_ms, call->next_ms, call->given_up_seq };
	const int count = (int)(sizeof(numbers) / sizeof(numbers[0]));
	sqlite3_stmt *statement = lite_use(&journal->writer, replace, err);

	if (!statement)
		return -1;
	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(statement, i + 1, numbers[i]);
	lite_bind_text(statement, count + 1, call->channel);
	lite_bind_text(statement, count + 2, call->error);
	return lite_run(&journal->writer, statement, err);
}

int
journal_alarm_called(struct journal *journal, const struct alarm_call *call, struct err *err)
{
	struct alarm_call copy = *call;
	struct change change = { .apply = apply_called, .data = &copy, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

/* --- reading --- */

static void
read_call(sqlite3_stmt *statement, int64_t alarm, struct alarm_call *call)
{
	int64_t *const numbers[] = { &call->told_ms,  &call->rang_ms, &call->told_seq, &call->tries,
		                         &call->tried_ms, &call->next_ms,  &call->given_up_seq };

	*call = (struct alarm_call){ .alarm = alarm, .resolved = sqlite3_column_int(statement, 0) != 0 };
	for (int i = 0; i < 7; i++)
		*numbers[i] = sqlite3_column_int64(statement, i + 1);
	lite_copy(statement, 8, call->channel, sizeof(call->channel));
	lite_copy(statement, 9, call->error, sizeof(call->error));
}

/* The newest ALARM_CHANNELS_MAX of an alarm: channels that are not configured any more leave their rows. The number, or -1. */
static int
read_calls(struct lite *lite, int64_t alarm, struct alarm_call calls[ALARM_CHANNELS_MAX], struct err *err)
{
	static const char select[] = "SELECT resolved, told_ms, rang_ms, told_seq, tries, tried_ms, next_ms, given_up_seq, channel, error"
	                             " FROM alarm_calls WHERE alarm = ? ORDER BY max(told_ms, tried_ms) DESC LIMIT ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	int status = statement ? 1 : -1, count = 0;

	if (statement) {
		sqlite3_bind_int64(statement, 1, alarm);
		sqlite3_bind_int(statement, 2, ALARM_CHANNELS_MAX);
	}
	while (status == 1 && (status = lite_step(lite, statement, err)) == 1)
		read_call(statement, alarm, &calls[count++]);
	return status < 0 ? -1 : count;
}

static void
read_state(sqlite3_stmt *statement, struct alarm_state *state)
{
	*state = (struct alarm_state){
		.id = sqlite3_column_int64(statement, 0),
		.shop = sqlite3_column_int64(statement, 1),
		.code = lite_text(statement, 2),
		.job = lite_text(statement, 3),
		.run = lite_text(statement, 4),
		.text = lite_text(statement, 5),
		.count = sqlite3_column_int64(statement, 6),
		.seq = sqlite3_column_int64(statement, 7),
		.open_seq = sqlite3_column_int64(statement, 8),
		.opened_ms = sqlite3_column_int64(statement, 9),
		.last_ms = sqlite3_column_int64(statement, 10),
		.acked_ms = sqlite3_column_int64(statement, 11),
		.acked_by = lite_text(statement, 12),
		.snoozed_ms = sqlite3_column_int64(statement, 13),
		.resolved_ms = sqlite3_column_int64(statement, 14),
		.resolved_text = lite_text(statement, 15),
	};
}

int
journal_alarm_list(struct journal *journal, const struct alarm_filter *filter,
                   bool (*each)(const struct alarm_state *state, void *arg), void *arg, struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM alarms WHERE id > ?1 AND (?2 = 0 OR id = ?2)"
	                             " AND (resolved_ms = 0 OR resolved_ms > ?3) ORDER BY id LIMIT ?4";
	struct alarm_call calls[ALARM_CHANNELS_MAX];
	struct alarm_state state;
	struct lite *reader = reader_take(journal, err);

	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	int status = statement ? 1 : -1, count;
	if (statement) {
		sqlite3_bind_int64(statement, 1, filter->after);
		sqlite3_bind_int64(statement, 2, filter->id);
		sqlite3_bind_int64(statement, 3, filter->resolved_ms);
		sqlite3_bind_int64(statement, 4, filter->limit > 0 ? filter->limit : -1);
	}
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		read_state(statement, &state);
		count = read_calls(reader, state.id, calls, err);
		state.calls = calls;
		state.call_count = count > 0 ? (size_t)count : 0;
		if (count >= 0 && each(&state, arg))
			continue;
		lite_done(statement);
		status = count < 0 ? -1 : 0;
	}
	reader_put(journal, reader);
	return status;
}
