/* The journal's tail for who copies it: events as values with how their runs ended, and who is woken by new ones. As protocol.md shows
 * them they are in journal_events.c. */
#include <string.h>

#include "worker/store/journal_inner.h"

static void
read_event(sqlite3_stmt *statement, struct tail_event *event, char *run)
{
	*event = (struct tail_event){
		.seq = sqlite3_column_int64(statement, 0),
		.time_ms = sqlite3_column_int64(statement, 1),
		.kind = lite_text(statement, 2),
		.level = (enum log_level)sqlite3_column_int(statement, 3),
		.shop = sqlite3_column_int64(statement, 4),
		.run = run,
		.job = lite_text(statement, 7),
		.step = lite_text(statement, 8),
		.state = lite_text(statement, 9),
		.text = lite_text(statement, 10),
		.ended = sqlite3_column_int64(statement, 11) == 1,
		.duration_ms = sqlite3_column_type(statement, 12) != SQLITE_NULL ? sqlite3_column_int64(statement, 12) : -1,
		.error_code = lite_text(statement, 13),
		.error_text = lite_text(statement, 14),
	};
	if (event->level < LEVEL_DEBUG || event->level > LEVEL_ERROR)
		event->level = LEVEL_ERROR;
	run[0] = '\0';
	if (sqlite3_column_type(statement, 6) != SQLITE_NULL)
		lite_copy(statement, 6, run, RUN_ID_MAX);
	else if (sqlite3_column_int64(statement, 5) > 0)
		run_id_format(run, event->job, event->shop, sqlite3_column_int64(statement, 5));
	if (!run_id_split(run, NULL, NULL, &(int64_t){ 0 }))
		run[0] = '\0'; /* some other text of a log context */
}

int
journal_tail(struct journal *journal, int64_t after, int64_t limit, bool (*each)(const struct tail_event *event, void *arg), void *arg,
             struct err *err)
{
	/* The run is joined to the event of its last move only: a terminal state has no successor. */
	static const char select[] =
	    "SELECT e.seq, e.time_ms, e.kind, e.level, e.shop, e.run, e.run_text, e.job, e.step, e.state, e.text, r.over, r.duration_ms,"
	    " r.error_code, r.error_text FROM events e LEFT JOIN runs r ON r.n = e.run AND r.over = 1 AND r.state = e.state"
	    " WHERE e.seq > ?1 AND e.seq <= ?2 ORDER BY e.seq LIMIT ?3";
	char run[RUN_ID_MAX];
	struct tail_event event;
	struct lite *reader = reader_take(journal, err);
	int status;

	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	if (statement) {
		sqlite3_bind_int64(statement, 1, after);
		sqlite3_bind_int64(statement, 2, journal_last(journal));
		sqlite3_bind_int64(statement, 3, limit);
	}
	status = statement ? 1 : -1;
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		read_event(statement, &event, run);
		if (!each(&event, arg))
			break;
	}
	if (status == 1)
		lite_done(statement);
	reader_put(journal, reader);
	return status < 0 ? -1 : 0;
}

/* --- who is woken --- */

void
journal_watch_add(struct journal *journal, struct journal_watch *watch)
{
	pthread_mutex_lock(&journal->watch_lock);
	watch->next = journal->watches;
	journal->watches = watch;
	pthread_mutex_unlock(&journal->watch_lock);
}

void
journal_watch_remove(struct journal *journal, struct journal_watch *watch)
{
	struct journal_watch **at;

	pthread_mutex_lock(&journal->watch_lock);
	for (at = &journal->watches; *at && *at != watch;)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
	pthread_mutex_unlock(&journal->watch_lock);
}

void
tail_tell(struct journal *journal)
{
	if (journal->piece_count == 0)
		return; /* nothing that has a number */
	pthread_mutex_lock(&journal->watch_lock);
	for (struct journal_watch *watch = journal->watches; watch; watch = watch->next)
		watch->committed(journal->committed_seq, watch->arg);
	pthread_mutex_unlock(&journal->watch_lock);
}
