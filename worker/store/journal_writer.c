/* The writer thread: one queue of log lines and changes, written in groups. What a change does stands beside its function.
 *
 * Numbers: a group takes them from the high-water mark on disk upwards and stores the new mark in the same transaction, so a number
 * that was committed stays used, also when its row is deleted later. After a failed commit the mark in memory is still the old one:
 * the numbers of that group were seen by nobody (publish comes after the commit, readers stop at journal_last) and are given again.
 * If the failed commit did reach the disk and the process dies before the next one overwrites it, the next start finds rows and mark
 * together, numbers and contents belong to each other then, and only the caller who was told "not stored" was told wrong. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/utf8.h"
#include "worker/store/journal_inner.h"

#define MS 1000000
#define GATHER_NS (10 * MS)          /* from the end of one commit to the next for lines alone; after a quiet time: at once */
#define PROGRESS_NS (250 * MS)       /* the same for progress */
#define RETRY_NS (250 * MS)          /* after a failed commit */
#define BEAT_NS ((int64_t)1000 * MS) /* heartbeat */
#define PATIENCE_NS (5 * BEAT_NS)    /* how long a disk may be out of order before lines stop waiting for a full queue */
#define GROUP_LINES 2000             /* a group takes no more lines than this, or text than that */
#define GROUP_BYTES (1024 * 1024)
#define EVENTS_KEEP ((size_t)1024 * 1024) /* memory kept from one group to the next */
#define CLOSE_TRIES 4

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now); /* not clock.h: condition waits know only the real one */
	return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

static struct timespec
to_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

/* --- the queue; under lock --- */

static void
put_entry(struct journal *journal, struct entry *entry)
{
	*journal->tail = entry;
	journal->tail = &entry->next;
	if (entry->change)
		journal->changes++;
}

static struct entry *
new_line(const struct log_line *line, int64_t shop)
{
	size_t run = strlen(line->run) + 1, job = strlen(line->job) + 1, step = strlen(line->step) + 1, text = strlen(line->text) + 1;
	struct entry *entry = malloc(sizeof(*entry) + run + job + step + text);
	int64_t number;

	if (!entry)
		return NULL;
	*entry = (struct entry){ .level = line->level, .time_ms = line->time_ms, .shop = shop, .bytes = run + job + step + text };
	char *at = entry->texts;
	entry->run = memcpy(at, line->run, run);
	entry->job = memcpy(at + run, line->job, job);
	entry->step = memcpy(at + run + job, line->step, step);
	entry->text = memcpy(at + run + job + step, line->text, text);
	if (shop == 0)
		run_id_split(entry->run, NULL, &entry->shop, &number);

	return entry;
}

static bool
out_of_order(const struct journal *journal)
{
	return journal->failed && now_ns() - journal->failed_ns >= PATIENCE_NS;
}

/* False: the disk has been out of order for too long to wait for. */
static bool
wait_for_room(struct journal *journal)
{
	while (journal->lines >= journal->config.queue_max && !out_of_order(journal)) {
		struct timespec until = to_timespec(now_ns() + RETRY_NS);
		pthread_cond_timedwait(&journal->room, &journal->lock, &until);
	}
	return journal->lines < journal->config.queue_max;
}

static int64_t
full_group(const struct journal *journal)
{
	return journal->config.queue_max < GROUP_LINES ? journal->config.queue_max : GROUP_LINES;
}

void
journal_log(struct journal *journal, const struct log_line *line, int64_t shop)
{
	struct entry *entry = new_line(line, shop);

	if (!entry)
		return; /* the line is on the streams already */
	pthread_mutex_lock(&journal->lock);
	if (wait_for_room(journal)) {
		journal->lines++;
		put_entry(journal, entry);
		entry = NULL;
		/* The writer wakes by itself when the lines are due; it is told of the first one and of a group that is full. */
		if (journal->lines == 1 || journal->lines == full_group(journal))
			pthread_cond_signal(&journal->work);
	} else {
		journal->lost++;
	}
	pthread_mutex_unlock(&journal->lock);
	free(entry);
}

int
writer_change(struct journal *journal, struct change *change, struct err *err)
{
	struct entry entry = { .change = change };

	pthread_mutex_lock(&journal->lock);
	put_entry(journal, &entry);
	pthread_cond_signal(&journal->work);
	while (!change->done)
		pthread_cond_wait(&journal->done, &journal->lock);
	pthread_mutex_unlock(&journal->lock);
	if (change->status != 0 && err)
		*err = change->err;
	return change->status;
}

void
journal_flush(struct journal *journal)
{
	struct change nothing = { .err = ERR_INIT };

	if (writer_change(journal, &nothing, NULL) != 0)
		return; /* the lines stay queued; journal_healthy says what is wrong */
}

void
journal_run_progress(struct journal *journal, const struct run_record *run)
{
	struct progress *progress;

	pthread_mutex_lock(&journal->lock);
	for (progress = journal->progress; progress && strcmp(progress->run, run->id) != 0;)
		progress = progress->next;
	if (!progress && (progress = calloc(1, sizeof(*progress)))) {
		snprintf(progress->run, sizeof(progress->run), "%s", run->id);
		if (!journal->progress) {
			journal->progress_ns = now_ns();
			pthread_cond_signal(&journal->work);
		}
		progress->next = journal->progress;
		journal->progress = progress;
	}
	if (progress) {
		snprintf(progress->step, sizeof(progress->step), "%s", run->step);
		progress->steps_done = run->steps_done;
		progress->steps_total = run->steps_total;
		progress->items_done = run->items_done;
		progress->items_total = run->items_total;
		progress->seen = run->seen;
		progress->changed = run->changed;
		progress->failed = run->failed;
		progress->skipped = run->skipped;
	}
	pthread_mutex_unlock(&journal->lock);
}

/* --- one group; writer thread --- */

struct group {
	struct entry *head;
	struct progress *progress;
	int64_t lines;
	bool writes; /* there is something for the disk */
};

static struct group_piece *
new_piece(struct journal *journal, int64_t seq)
{
	if (journal->piece_count == journal->piece_cap) {
		size_t cap = journal->piece_cap ? journal->piece_cap * 2 : 16;
		struct group_piece *grown = realloc(journal->pieces, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		journal->pieces = grown;
		journal->piece_cap = cap;
	}
	struct group_piece *piece = &journal->pieces[journal->piece_count++];
	*piece = (struct group_piece){ .first = seq, .at = journal->events.len };
	return piece;
}

int
writer_event(struct journal *journal, struct event *event, struct err *err)
{
	struct group_piece *piece = journal->piece_count ? &journal->pieces[journal->piece_count - 1] : NULL;
	size_t before = journal->events.len;

	event->seq = journal->next_seq;
	if (event_insert(&journal->writer, event, err) != 0)
		return -1;
	event_format(&journal->events, event);
	if (buf_check(&journal->events, "events of a group", err) != 0)
		return -1;
	if (!piece || journal->events.len - piece->at > JOURNAL_PUBLISH_MAX) {
		piece = new_piece(journal, event->seq);
		if (!piece)
			return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for a group of events");
		piece->at = before;
		if (journal->piece_count > 1) {
			journal->events.data[before] = '\0'; /* the comma between the pieces ends the one before */
			piece->at++;
		}
	}
	piece->count++;
	journal->next_seq++;
	return 0;
}

static int
store_line(struct journal *journal, const struct entry *entry, struct err *err)
{
	struct event event = { .time_ms = entry->time_ms, .shop = entry->shop, .kind = proto_event_name(EVENT_LOG),
		                   .level = entry->level, .run = entry->run, .job = entry->job, .step = entry->step, .text = entry->text };

	return writer_event(journal, &event, err);
}

static int
store_entry(struct journal *journal, struct entry *entry, struct err *err)
{
	struct change *change = entry->change;

	if (!change)
		return store_line(journal, entry, err);
	err_clear(&change->err);
	change->refused = false;
	if (!change->apply)
		return 0;
	int status = change->apply(journal, change, err);
	change->refused = status == 1;
	return status < 0 ? -1 : 0;
}

static int
store_mark(struct journal *journal, const char *name, int64_t value, struct err *err)
{
	static const char update[] = "UPDATE marks SET value = ?2 WHERE name = ?1";
	sqlite3_stmt *statement = lite_use(&journal->writer, update, err);

	if (!statement)
		return -1;
	lite_bind_text(statement, 1, name);
	sqlite3_bind_int64(statement, 2, value);
	return lite_run(&journal->writer, statement, err);
}

static int
store_marks(struct journal *journal, struct err *err)
{
	if (journal->next_seq - 1 != journal->committed_seq && store_mark(journal, "seq", journal->next_seq - 1, err) != 0)
		return -1;
	return journal->next_run - 1 == journal->committed_run ? 0 : store_mark(journal, "run", journal->next_run - 1, err);
}

static int
store_group(struct journal *journal, const struct group *group, bool probe, struct err *err)
{
	if (lite_exec(&journal->writer, "BEGIN IMMEDIATE", err) != 0)
		return -1;
	for (const struct progress *progress = group->progress; progress; progress = progress->next)
		if (progress_store(&journal->writer, progress, err) != 0)
			return -1;
	for (struct entry *entry = group->head; entry; entry = entry->next)
		if (store_entry(journal, entry, err) != 0)
			return -1;
	if (store_marks(journal, err) != 0 || (probe && store_mark(journal, "probe", clock_now_ms(), err) != 0))
		return -1;
	return lite_exec(&journal->writer, "COMMIT", err);
}

/* All of the group or nothing. probe: it is to show that the disk takes writes again. */
static int
commit_group(struct journal *journal, const struct group *group, bool probe, struct err *err)
{
	journal->next_seq = journal->committed_seq + 1;
	journal->next_run = journal->committed_run + 1;
	journal->piece_count = 0;
	buf_clear(&journal->events);
	if (!group->writes && !probe)
		return 0;
	if (store_group(journal, group, probe, err) != 0) {
		if (!sqlite3_get_autocommit(journal->writer.db))
			sqlite3_exec(journal->writer.db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	journal->committed_seq = journal->next_seq - 1;
	journal->committed_run = journal->next_run - 1;
	for (struct entry *entry = group->head; entry; entry = entry->next)
		if (entry->change && entry->change->committed && !entry->change->refused)
			entry->change->committed(journal, entry->change);
	atomic_store(&journal->last, journal->committed_seq);
	return 0;
}

static void
publish(struct journal *journal)
{
	for (size_t i = 0; journal->config.publish && i < journal->piece_count; i++) {
		const struct group_piece *piece = &journal->pieces[i];
		struct journal_group group = { .first = piece->first, .last = piece->first + piece->count - 1, .count = piece->count,
			                           .events_json = journal->events.data + piece->at };
		journal->config.publish(&group, journal->config.publish_arg);
	}
	if (journal->events.cap > EVENTS_KEEP)
		buf_release(&journal->events);
}

static void
heartbeat(struct journal *journal)
{
	struct journal_group group = { .first = journal->committed_seq + 1, .last = journal->committed_seq, .events_json = "" };

	if (journal->config.publish)
		journal->config.publish(&group, journal->config.publish_arg);
}

/* --- between the two; under lock --- */

static void
take_group(struct journal *journal, struct group *group)
{
	struct entry **at = &journal->head;
	size_t bytes = 0;

	*group = (struct group){ .head = journal->head, .progress = journal->progress, .writes = journal->progress != NULL };
	while (*at && group->lines < GROUP_LINES && bytes < GROUP_BYTES) {
		const struct entry *entry = *at;
		if (entry->change)
			journal->changes--;
		else
			group->lines++;
		if (!entry->change || entry->change->apply)
			group->writes = true;
		bytes += entry->bytes;
		at = &(*at)->next;
	}
	struct entry *rest = *at;
	if (!rest)
		journal->tail = &journal->head;
	*at = NULL;
	if (at == &journal->head)
		group->head = NULL;
	journal->head = rest;
	journal->progress = NULL;
}

static void
finish_change(struct change *change, const struct err *failure)
{
	if (failure)
		change->err = *failure;
	change->status = failure || change->refused ? -1 : 0;
	change->done = true; /* and its entry is gone with the caller's stack */
}

/* Changes behind the group that failed: they would have to wait until its lines are written. */
static void
fail_queued_changes(struct journal *journal, const struct err *failure)
{
	struct entry **at = &journal->head;

	while (*at) {
		struct entry *entry = *at;
		if (!entry->change) {
			at = &entry->next;
			continue;
		}
		*at = entry->next;
		finish_change(entry->change, failure);
	}
	journal->tail = at;
	journal->changes = 0;
}

/* Ends what waited. After a failure lines and progress go back to the front, to be tried again. */
static void
finish_group(struct journal *journal, struct group *group, const struct err *failure)
{
	struct entry *kept = NULL, **tail = &kept, *next;

	for (struct entry *entry = group->head; entry; entry = next) {
		next = entry->next;
		if (entry->change) {
			finish_change(entry->change, failure);
		} else if (failure) {
			*tail = entry;
			tail = &entry->next;
		} else {
			free(entry);
		}
	}
	*tail = journal->head;
	if (kept) {
		if (!journal->head)
			journal->tail = tail;
		journal->head = kept;
	}
	if (failure)
		fail_queued_changes(journal, failure);
	for (struct progress *one = group->progress, *after; one; one = after) {
		const struct progress *newer = journal->progress;
		after = one->next;
		while (newer && strcmp(newer->run, one->run) != 0)
			newer = newer->next;
		if (failure && !newer) {
			one->next = journal->progress;
			journal->progress = one;
		} else {
			free(one);
		}
	}
	if (!failure)
		journal->lines -= group->lines;
	pthread_cond_broadcast(&journal->done);
	pthread_cond_broadcast(&journal->room);
}

/* The gap is told where it is, as a line like any other. */
static void
tell_lost(struct journal *journal)
{
	char text[120];
	struct log_line line = { .time_ms = clock_now_ms(), .level = LEVEL_WARNING, .run = "", .job = "", .step = "", .text = text };

	snprintf(text, sizeof(text), "%lld log lines are missing here: the journal's disk took none and its queue was full",
	         (long long)journal->lost);
	struct entry *entry = new_line(&line, 0);
	if (!entry)
		return; /* the next commit tries again */
	journal->lost = 0;
	journal->lines++;
	put_entry(journal, entry);
}

static void
note_health(struct journal *journal, const struct err *failure)
{
	bool was = journal->failed;

	if (failure && !was)
		journal->failed_ns = now_ns();
	journal->failed = failure != NULL;
	if (failure) {
		journal->failure = *failure;
		journal->retry_ns = now_ns() + RETRY_NS;
		journal->tries += journal->stopping;
	}
	if (failure && !was)
		log_error("the journal cannot write, lines wait and no new work starts: %s", failure->text);
	else if (!failure && was)
		log_info("the journal writes again");
}

/* When the next group is due; INT64_MAX = nothing waits. */
static int64_t
due_ns(const struct journal *journal)
{
	int64_t due = INT64_MAX;
	bool alone = journal->lines == 0 && !journal->progress;

	if (journal->changes > 0)
		return 0;
	if (journal->failed)
		return journal->retry_ns;
	if (journal->stopping)
		return alone ? INT64_MAX : 0;
	if (journal->lines > 0)
		due = journal->lines >= full_group(journal) ? 0 : journal->commit_ns + GATHER_NS;
	if (journal->progress && journal->progress_ns + PROGRESS_NS < due)
		due = journal->progress_ns + PROGRESS_NS;
	return due;
}

static void
work_once(struct journal *journal)
{
	struct err err = ERR_INIT;
	struct group group;
	bool probe = journal->failed;

	take_group(journal, &group);
	pthread_mutex_unlock(&journal->lock);
	bool good = commit_group(journal, &group, probe, &err) == 0;
	pthread_mutex_lock(&journal->lock);
	journal->commit_ns = now_ns();
	note_health(journal, good ? NULL : &err);
	finish_group(journal, &group, good ? NULL : &err);
	if (good && journal->lost > 0)
		tell_lost(journal);
	pthread_mutex_unlock(&journal->lock);
	if (good) {
		publish(journal);
		tail_tell(journal);
	}
	pthread_mutex_lock(&journal->lock);
}

static bool
finished(const struct journal *journal)
{
	bool empty = !journal->head && !journal->progress;

	return journal->stopping && (empty || journal->tries >= CLOSE_TRIES);
}

static void *
writer_main(void *arg)
{
	struct journal *journal = arg;
	int64_t beat = now_ns() + BEAT_NS;

	log_streams_only();
	pthread_mutex_lock(&journal->lock);
	while (!finished(journal)) {
		int64_t now = now_ns(), due = due_ns(journal);
		if (now >= beat) {
			pthread_mutex_unlock(&journal->lock);
			heartbeat(journal);
			pthread_mutex_lock(&journal->lock);
			beat = now + BEAT_NS;
		} else if (now >= due) {
			work_once(journal);
		} else {
			struct timespec until = to_timespec(due < beat ? due : beat);
			pthread_cond_timedwait(&journal->work, &journal->lock, &until);
		}
	}
	pthread_mutex_unlock(&journal->lock);
	return NULL;
}

int
writer_start(struct journal *journal, struct err *err)
{
	int status = pthread_create(&journal->thread, NULL, writer_main, journal);

	if (status != 0)
		return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no thread for the journal: %s", strerror(status));
	journal->started = true;
	return 0;
}

void
writer_stop(struct journal *journal)
{
	int64_t lost = journal->lost;

	if (journal->started) {
		pthread_mutex_lock(&journal->lock);
		journal->stopping = true;
		pthread_cond_signal(&journal->work);
		pthread_mutex_unlock(&journal->lock);
		pthread_join(journal->thread, NULL);
	}
	for (struct entry *entry = journal->head, *next; entry; entry = next) {
		assert(!entry->change);
		next = entry->next;
		lost++;
		free(entry);
	}
	for (struct progress *progress = journal->progress, *next; progress; progress = next) {
		next = progress->next;
		free(progress);
	}
	if (lost > 0)
		log_error("%lld log lines could not be written to the journal: %s", (long long)lost, journal->failure.text);
	buf_release(&journal->events);
	free(journal->pieces);
}
