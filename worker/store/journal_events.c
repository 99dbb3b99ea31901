/* Events in the table and as protocol.md shows them: one row is one JSON object, whether it is just being published or read back.
 * Who gives them their numbers is the writer. */
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "worker/store/journal_inner.h"

/* The column `run`: a run's number, or for any other text a negative hash, so that one index finds both. 0 = none. */
static int64_t
run_key(const char *text)
{
	int64_t number;
	uint64_t hash = 14695981039346656037u;

	if (text[0] == '\0')
		return 0;
	if (run_id_split(text, NULL, NULL, &number))
		return number;
	for (const char *at = text; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 1099511628211u;
	return -(int64_t)(hash >> 1) - 1;
}

void
event_format(struct buf *out, const struct event *event)
{
	bool is_line = strcmp(event->kind, proto_event_name(EVENT_LOG)) == 0 || strcmp(event->kind, proto_event_name(EVENT_ALARM)) == 0 ||
	               strcmp(event->kind, proto_event_name(EVENT_RESOLVED)) == 0;
	bool is_run = strcmp(event->kind, proto_event_name(EVENT_RUN)) == 0;

	json_object_open(out, NULL);
	json_add_int64(out, "seq", event->seq);
	json_add_time(out, "time", event->time_ms);
	json_add_string(out, "event", event->kind);
	if (is_line)
		json_add_string(out, "level", log_level_name((enum log_level)event->level));
	if (is_line || is_run) {
		json_add_string(out, "run_id", event->run);
		json_add_string(out, "job_id", event->job);
	}
	if (is_line)
		json_add_string(out, "step", event->step);
	json_add_int64(out, "shop", event->shop);
	if (is_run) {
		json_add_string(out, "state", event->state);
		json_add_int64(out, "attempt", event->attempt);
	}
	json_add_string(out, "text", event->text);
	json_object_close(out);
}

int
event_insert(struct lite *lite, const struct event *event, struct err *err)
{
	static const char insert[] = "INSERT INTO events(seq, time_ms, kind, level, shop, run, run_text, job, step, state, attempt, text)"
	                             " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	sqlite3_stmt *statement = lite_use(lite, insert, err);
	int64_t key = run_key(event->run), number, shop;
	char job[JOB_ID_MAX];

	if (!statement)
		return -1;
	/* A run's id is not stored where number, job and shop say it already. */
	bool told = event->run[0] == '\0' || (run_id_split(event->run, job, &shop, &number) && shop == event->shop &&
	                                      strcmp(job, event->job) == 0);
	sqlite3_bind_int64(statement, 1, event->seq);
	sqlite3_bind_int64(statement, 2, event->time_ms);
	lite_bind_text(statement, 3, event->kind);
	sqlite3_bind_int(statement, 4, event->level);
	sqlite3_bind_int64(statement, 5, event->shop);
	if (key != 0)
		sqlite3_bind_int64(statement, 6, key);
	lite_bind_text(statement, 7, told ? NULL : event->run);
	lite_bind_text(statement, 8, event->job[0] ? event->job : NULL);
	lite_bind_text(statement, 9, event->step[0] ? event->step : NULL);
	lite_bind_text(statement, 10, event->state);
	if (event->state)
		sqlite3_bind_int(statement, 11, event->attempt);
	lite_bind_text(statement, 12, event->text);
	return lite_run(lite, statement, err);
}

static void
read_row(sqlite3_stmt *statement, struct event *event, char *run)
{
	*event = (struct event){
		.seq = sqlite3_column_int64(statement, 0),
		.time_ms = sqlite3_column_int64(statement, 1),
		.kind = lite_text(statement, 2),
		.level = sqlite3_column_int(statement, 3),
		.shop = sqlite3_column_int64(statement, 4),
		.run = run,
		.job = lite_text(statement, 7),
		.step = lite_text(statement, 8),
		.state = lite_text(statement, 9),
		.attempt = sqlite3_column_int(statement, 10),
		.text = lite_text(statement, 11),
	};
	if (event->level < LEVEL_DEBUG || event->level > LEVEL_ERROR)
		event->level = LEVEL_ERROR;
	run[0] = '\0';
	if (sqlite3_column_type(statement, 6) != SQLITE_NULL)
		lite_copy(statement, 6, run, RUN_ID_MAX);
	else if (sqlite3_column_int64(statement, 5) > 0)
		run_id_format(run, event->job, event->shop, sqlite3_column_int64(statement, 5));
}

static sqlite3_stmt *
select_events(struct lite *lite, int64_t from, int64_t to, const char *run_id, struct err *err)
{
#define COLUMNS "SELECT seq, time_ms, kind, level, shop, run, run_text, job, step, state, attempt, text FROM events "
	static const char all[] = COLUMNS "WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq";
	static const char of_run[] = COLUMNS "WHERE run = ?3 AND seq >= ?1 AND seq <= ?2 ORDER BY seq";
#undef COLUMNS
	sqlite3_stmt *statement = lite_use(lite, run_id[0] ? of_run : all, err);

	if (!statement)
		return NULL;
	sqlite3_bind_int64(statement, 1, from);
	sqlite3_bind_int64(statement, 2, to);
	if (run_id[0])
		sqlite3_bind_int64(statement, 3, run_key(run_id));
	return statement;
}

/* Appends one object unless the page has no room for it any more. */
static bool
append(struct buf *out, size_t start, size_t max, const struct event *event, const struct event_page *page)
{
	size_t before = out->len;

	event_format(out, event);
	if (out->failed || page->count == 0 || out->len - start <= max)
		return true;
	out->len = before;
	out->data[before] = '\0';
	return false;
}

/* Inside the reader's snapshot. */
static int
read_page(struct lite *reader, const char *run_id, size_t max, struct buf *out, struct event_page *page, struct err *err)
{
	static const char oldest[] = "SELECT seq FROM events ORDER BY seq LIMIT 1";
	size_t start = out->len;
	char run[RUN_ID_MAX];
	struct event event;
	int status = 1;

	if (lite_int64(reader, oldest, page->oldest, &page->oldest, err) != 0)
		return -1;
	sqlite3_stmt *statement = select_events(reader, page->first, page->last, run_id, err);
	if (!statement)
		return -1;
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		read_row(statement, &event, run);
		if (run_id[0] && strcmp(run, run_id) != 0)
			continue;
		if (!append(out, start, max, &event, page)) {
			page->more = true;
			page->last = event.seq - 1;
			break;
		}
		page->count++;
	}
	if (status == 1)
		lite_done(statement);
	return status < 0 ? -1 : 0;
}

int
journal_events(struct journal *journal, int64_t from, int64_t to, const char *run_id, size_t max, struct buf *out,
               struct event_page *page, struct err *err)
{
	int64_t newest = atomic_load(&journal->last);

	if (from < 1)
		from = 1;
	if (to <= 0 || to > newest)
		to = newest;
	*page = (struct event_page){ .first = from, .last = to < from - 1 ? from - 1 : to, .oldest = newest + 1 };
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	int status = lite_exec(reader, "BEGIN", err);
	if (status == 0)
		status = read_page(reader, run_id, max, out, page, err);
	if (!sqlite3_get_autocommit(reader->db))
		sqlite3_exec(reader->db, "ROLLBACK", NULL, NULL, NULL);
	reader_put(journal, reader);
	return status < 0 ? -1 : buf_check(out, "events", err);
}
