/* Alarms: events that a person must look at, each once a run and code. Who is told of them, and how, is not known here. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "worker/store/journal_inner.h"

struct alarm {
	const struct alarm_record *record;
	const char *text; /* "CODE: words" */
	bool said;
};

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

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

static int
apply_alarm(struct journal *journal, struct change *change, struct err *err)
{
	struct alarm *alarm = change->data;
	const struct alarm_record *record = alarm->record;
	struct event event = { .time_ms = clock_now_ms(), .shop = record->shop, .kind = proto_event_name(EVENT_ALARM),
		                   .level = LEVEL_ERROR, .run = or_empty(record->run), .job = or_empty(record->job),
		                   .step = or_empty(record->step), .text = alarm->text };
	int64_t number;
	int status = 0;

	if (run_id_split(event.run, NULL, NULL, &number))
		status = was_said(&journal->writer, number, record->code, err);
	alarm->said = status == 1;
	return status == 0 ? writer_event(journal, &event, err) : status < 0 ? -1 : 0;
}

int
journal_alarm(struct journal *journal, const struct alarm_record *record, struct err *err)
{
	char text[LOG_TEXT_MAX + ERR_TEXT_MAX];
	struct alarm alarm = { .record = record, .text = text };
	struct change change = { .apply = apply_alarm, .data = &alarm, .err = ERR_INIT };

	snprintf(text, sizeof(text), "%.*s: %s", ERR_CODE_MAX, record->code, record->text);
	text[utf8_cut(text, strlen(text), LOG_TEXT_MAX)] = '\0';
	int status = writer_change(journal, &change, err);
	return status == 0 && alarm.said ? 1 : status;
}
