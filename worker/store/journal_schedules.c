/* The rows of schedules, each written whole. */
#include "worker/store/journal_schedules.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "worker/store/journal_inner.h"

#define COLUMNS                                                                                                                    \
	"name, when_text, paused, who, changed_ms, next_of, next_ms, last_ms, fired_ms, run, refusal, fires, refused, late_ms," \
	" late_max_ms, missed, missed_first_ms, missed_last_ms"

struct put {
	const struct schedule_record *record;
	const char *note;
};

static void
bind_record(sqlite3_stmt *statement, const struct schedule_record *record)
{
	const int64_t numbers[] = { record->fires, record->refused, record->late_ms, record->late_max_ms, record->missed,
		                    record->missed_first_ms, record->missed_last_ms };

	lite_bind_text(statement, 1, record->name);
	lite_bind_text(statement, 2, record->when);
	sqlite3_bind_int(statement, 3, record->paused);
	lite_bind_text(statement, 4, record->who);
	sqlite3_bind_int64(statement, 5, record->changed_ms);
	lite_bind_text(statement, 6, record->next_of);
	sqlite3_bind_int64(statement, 7, record->next_ms);
	sqlite3_bind_int64(statement, 8, record->last_ms);
	sqlite3_bind_int64(statement, 9, record->fired_ms);
	lite_bind_text(statement, 10, record->run);
	lite_bind_text(statement, 11, record->refusal);
	for (int i = 0; i < 7; i++)
		sqlite3_bind_int64(statement, 12 + i, numbers[i]);
}

static int
apply_put(struct journal *journal, struct change *change, struct err *err)
{
	static const char replace[] =
	    "INSERT OR REPLACE INTO schedules(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
	const struct put *put = change->data;
	sqlite3_stmt *statement = lite_use(&journal->writer, replace, err);

	if (!statement)
		return -1;
	bind_record(statement, put->record);
	if (lite_run(&journal->writer, statement, err) != 0)
		return -1;
	if (!put->note)
		return 0;
	struct event event = { .time_ms = clock_now_ms(), .kind = proto_event_name(EVENT_LOG), .level = LEVEL_WARNING, .run = "",
		               .job = "", .step = "", .text = put->note };
	return writer_event(journal, &event, err);
}

int
journal_schedule_put(struct journal *journal, const struct schedule_record *record, const char *note, struct err *err)
{
	struct put put = { .record = record, .note = note };
	struct change change = { .apply = apply_put, .data = &put, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

static int
apply_remove(struct journal *journal, struct change *change, struct err *err)
{
	static const char erase[] = "DELETE FROM schedules WHERE name = ?";
	const char *const *name = change->data;
	sqlite3_stmt *statement = lite_use(&journal->writer, erase, err);

	if (!statement)
		return -1;
	lite_bind_text(statement, 1, *name);
	return lite_run(&journal->writer, statement, err);
}

int
journal_schedule_remove(struct journal *journal, const char *name, struct err *err)
{
	struct change change = { .apply = apply_remove, .data = &name, .err = ERR_INIT };

	return writer_change(journal, &change, err);
}

static void
read_record(sqlite3_stmt *statement, struct schedule_record *record)
{
	int64_t *const numbers[] = { &record->fires, &record->refused, &record->late_ms, &record->late_max_ms, &record->missed,
		                     &record->missed_first_ms, &record->missed_last_ms };

	memset(record, 0, sizeof(*record));
	lite_copy(statement, 0, record->name, sizeof(record->name));
	lite_copy(statement, 1, record->when, sizeof(record->when));
	record->paused = sqlite3_column_int(statement, 2);
	lite_copy(statement, 3, record->who, sizeof(record->who));
	record->changed_ms = sqlite3_column_int64(statement, 4);
	lite_copy(statement, 5, record->next_of, sizeof(record->next_of));
	record->next_ms = sqlite3_column_int64(statement, 6);
	record->last_ms = sqlite3_column_int64(statement, 7);
	record->fired_ms = sqlite3_column_int64(statement, 8);
	lite_copy(statement, 9, record->run, sizeof(record->run));
	lite_copy(statement, 10, record->refusal, sizeof(record->refusal));
	for (int i = 0; i < 7; i++)
		*numbers[i] = sqlite3_column_int64(statement, 11 + i);
}

int
journal_schedule_list(struct journal *journal, bool (*each)(const struct schedule_record *record, void *arg), void *arg,
                      struct err *err)
{
	static const char select[] = "SELECT " COLUMNS " FROM schedules ORDER BY name";
	struct schedule_record record;
	int status = -1;
	struct lite *lite = reader_take(journal, err);

	if (!lite)
		return -1;
	sqlite3_stmt *statement = lite_use(lite, select, err);
	while (statement && (status = lite_step(lite, statement, err)) == 1) {
		read_record(statement, &record);
		if (!each(&record, arg)) {
			lite_done(statement);
			status = 0;
			break;
		}
	}
	reader_put(journal, lite);
	return status;
}
