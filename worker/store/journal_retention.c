/* Retention: the oldest lines, items and runs are deleted by age and by size, a slice a commit, so that whoever writes waits for
 * one slice at most. What a deleted run leaves in the figures is known to journal_kpi.c, how readers tell what is gone to
 * journal_events.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "worker/store/journal_inner.h"

#define SLICE_ROWS 300
#define RUN_ROWS 5            /* what a run with its sums weighs in a slice */
#define VACUUM "PRAGMA incremental_vacuum(100)"
#define FREE_PAGES_KEPT 256   /* used again by the next hour's lines */
#define PAUSE_MS 20           /* after a slice, or PAUSE_TIMES as long as it took */
#define PAUSE_TIMES 4
#define EVENTS_KEPT 1000      /* the newest, however old */
#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define FIRST_MS (5 * 60 * 1000)
#define EVERY_MS (60 * 60 * 1000)

struct retention {
	struct journal *journal;
	struct journal_retention rules;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping, told_size, told_error;
	struct journal_retention_pass last; /* the last pass of the thread that ended */
	int64_t last_ms;
};

/* --- what must stay --- */

void
journal_keep_from(struct journal *journal, const char *name, int64_t seq)
{
	int at = 0;

	pthread_mutex_lock(&journal->gate_lock);
	while (at < JOURNAL_KEEPS && journal->keeps[at].name[0] && strcmp(journal->keeps[at].name, name) != 0)
		at++;
	assert(at < JOURNAL_KEEPS);
	snprintf(journal->keeps[at].name, sizeof(journal->keeps[at].name), "%s", name);
	journal->keeps[at].seq = seq;
	pthread_mutex_unlock(&journal->gate_lock);
}

/* The lowest number nobody may delete. */
static int64_t
keep_from(struct journal *journal)
{
	int64_t from = journal->next_seq - EVENTS_KEPT;

	pthread_mutex_lock(&journal->gate_lock);
	for (int i = 0; i < JOURNAL_KEEPS; i++)
		if (journal->keeps[i].name[0] && journal->keeps[i].seq < from)
			from = journal->keeps[i].seq;
	pthread_mutex_unlock(&journal->gate_lock);
	return from;
}

/* --- one slice; writer thread --- */

struct slice {
	int64_t before_ms; /* what is older goes */
	char job[JOB_ID_MAX];
	int64_t shop;
	int64_t rows;      /* left of this slice */
	int64_t events, items, runs; /* deleted */
};

/* 1, 0 or -1; the numbers of the first row. */
static int
ask_two(struct lite *lite, sqlite3_stmt *statement, int64_t *first, int64_t *second, struct err *err)
{
	int status = statement ? lite_step(lite, statement, err) : -1;

	if (status != 1)
		return status;
	*first = sqlite3_column_int64(statement, 0);
	*second = sqlite3_column_int64(statement, 1);
	lite_done(statement);
	return 1;
}

static int
delete_up_to(struct lite *lite, struct slice *slice, int64_t last, struct err *err)
{
	static const char delete[] = "DELETE FROM events WHERE seq <= ?";
	sqlite3_stmt *statement = lite_use(lite, delete, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, last);
	if (lite_run(lite, statement, err) != 0)
		return -1;
	slice->events += sqlite3_changes(lite->db);
	return 0;
}

/* Always the lowest numbers, so that what is left has no holes. A line that is dated far ahead was written while the clock was
 * wrong: it does not keep those behind it. */
static int
slice_events(struct journal *journal, struct slice *slice, struct err *err)
{
	static const char select[] = "SELECT seq, time_ms FROM events ORDER BY seq LIMIT ?";
	sqlite3_stmt *statement = lite_use(&journal->writer, select, err);
	int64_t keep = keep_from(journal), ahead_ms = clock_now_ms() + DAY_MS, last = 0;
	int status = statement ? 1 : -1;

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, slice->rows);
	while (status == 1 && (status = lite_step(&journal->writer, statement, err)) == 1) {
		int64_t seq = sqlite3_column_int64(statement, 0), time_ms = sqlite3_column_int64(statement, 1);
		if (seq < keep && (time_ms < slice->before_ms || time_ms > ahead_ms)) {
			last = seq;
			continue;
		}
		lite_done(statement);
		status = 0;
	}
	return status < 0 || last == 0 ? status : delete_up_to(&journal->writer, slice, last, err);
}

static int
apply_events(struct journal *journal, struct change *change, struct err *err)
{
	struct slice *slice = change->data;

	slice->rows = SLICE_ROWS;
	slice->events = 0;
	return slice_events(journal, slice, err);
}

static int
delete_items(struct lite *lite, struct slice *slice, int64_t run, struct err *err)
{
	static const char delete[] = "DELETE FROM items WHERE run = ?1 AND n IN (SELECT n FROM items WHERE run = ?1 ORDER BY n LIMIT ?2)";
	sqlite3_stmt *statement = lite_use(lite, delete, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	sqlite3_bind_int64(statement, 2, slice->rows);
	if (lite_run(lite, statement, err) != 0)
		return -1;
	slice->items += sqlite3_changes(lite->db);
	slice->rows -= sqlite3_changes(lite->db);
	return 0;
}

/* The same of a run that stays: how many are gone is kept, so that nobody takes it for a run without items. */
static int
take_items(struct lite *lite, struct slice *slice, int64_t run, struct err *err)
{
	static const char upsert[] = "INSERT INTO items_gone(run, count) VALUES(?1, ?2) ON CONFLICT(run) DO UPDATE SET count = count + ?2";
	sqlite3_stmt *statement;

	if (delete_items(lite, slice, run, err) != 0 || !(statement = lite_use(lite, upsert, err)))
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	sqlite3_bind_int64(statement, 2, slice->items);
	return lite_run(lite, statement, err);
}

static int
delete_run(struct journal *journal, struct slice *slice, int64_t run, struct err *err)
{
	static const char plan[] = "DELETE FROM plans_confirmed WHERE plan = ?";
	static const char gone[] = "DELETE FROM items_gone WHERE run = ?";
	static const char delete[] = "DELETE FROM runs WHERE n = ?";
	static const char *const texts[] = { plan, gone, delete };

	if (kpi_fold(journal, run, err) != 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		sqlite3_stmt *statement = lite_use(&journal->writer, texts[i], err);
		if (!statement)
			return -1;
		sqlite3_bind_int64(statement, 1, run);
		if (lite_run(&journal->writer, statement, err) != 0)
			return -1;
	}
	slice->runs++;
	slice->rows -= RUN_ROWS;
	return 0;
}

/* The run of the job and shop that ended last; 0 = none. */
static int
ended_last(struct lite *lite, const struct slice *slice, int64_t *run, struct err *err)
{
	static const char select[] = "SELECT n, 0 FROM runs INDEXED BY runs_figures WHERE over = 1 AND job = ?1 AND shop = ?2"
	                             " ORDER BY finished_ms DESC, n DESC LIMIT 1";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	int64_t nothing;

	*run = 0;
	if (!statement)
		return -1;
	lite_bind_text(statement, 1, slice->job);
	sqlite3_bind_int64(statement, 2, slice->shop);
	return ask_two(lite, statement, run, &nothing, err) < 0 ? -1 : 0;
}

/* The next run of the job and shop that may go: neither the newest one nor the one that ended last. 1, 0 or -1. */
static int
oldest_run(struct lite *lite, const struct slice *slice, int64_t last, int64_t *run, struct err *err)
{
	static const char select[] =
	    "SELECT n, 0 FROM runs AS r INDEXED BY runs_figures WHERE over = 1 AND job = ?1 AND shop = ?2 AND finished_ms < ?3 AND n <> ?4"
	    " AND EXISTS (SELECT 1 FROM runs AS o INDEXED BY runs_by_job WHERE o.job = ?1 AND o.shop = ?2 AND o.n > r.n)"
	    " ORDER BY finished_ms, n LIMIT 1";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	int64_t nothing;

	if (!statement)
		return -1;
	lite_bind_text(statement, 1, slice->job);
	sqlite3_bind_int64(statement, 2, slice->shop);
	sqlite3_bind_int64(statement, 3, slice->before_ms);
	sqlite3_bind_int64(statement, 4, last);
	return ask_two(lite, statement, run, &nothing, err);
}

/* Runs of one job and shop, in the order of their ends, each after its items. */
static int
apply_runs(struct journal *journal, struct change *change, struct err *err)
{
	struct slice *slice = change->data;
	struct lite *lite = &journal->writer;
	int64_t last, run = 0;
	int status;

	slice->rows = SLICE_ROWS;
	slice->items = slice->runs = 0;
	if (ended_last(lite, slice, &last, err) != 0)
		return -1;
	while (slice->rows > 0 && (status = oldest_run(lite, slice, last, &run, err)) != 0) {
		if (status < 0 || delete_items(lite, slice, run, err) != 0)
			return -1;
		if (slice->rows > 0 && delete_run(journal, slice, run, err) != 0)
			return -1;
	}
	return 0;
}

/* Whether the items of this run may go although it stays, and when it ended. 1, 0 or -1. */
static int
items_may_go(struct lite *lite, int64_t run, int64_t *ended_ms, struct err *err)
{
	static const char select[] = "SELECT finished_ms, over, job, shop FROM runs WHERE n = ?";
	sqlite3_stmt *statement = lite_use(lite, select, err);
	struct slice of = { .rows = 0 };
	int64_t last;

	*ended_ms = 0;
	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	int status = lite_step(lite, statement, err);
	if (status != 1)
		return status < 0 ? -1 : 1; /* of no run */
	*ended_ms = sqlite3_column_int64(statement, 0);
	bool over = sqlite3_column_int(statement, 1) != 0;
	lite_copy(statement, 2, of.job, sizeof(of.job));
	of.shop = sqlite3_column_int64(statement, 3);
	lite_done(statement);
	if (!over)
		return 0;
	return ended_last(lite, &of, &last, err) != 0 ? -1 : last != run;
}

/* The oldest run with items that may go. 1, 0 or -1. */
static int
oldest_items(struct lite *lite, int64_t *run, int64_t *ended_ms, struct err *err)
{
	static const char select[] = "SELECT run, 0 FROM items WHERE run > ? ORDER BY run LIMIT 1";
	int64_t nothing;
	int status;

	*run = -1;
	do {
		sqlite3_stmt *statement = lite_use(lite, select, err);
		if (!statement)
			return -1;
		sqlite3_bind_int64(statement, 1, *run);
		status = ask_two(lite, statement, run, &nothing, err);
		if (status != 1)
			return status;
		status = items_may_go(lite, *run, ended_ms, err);
	} while (status == 0);
	return status;
}

/* What is oldest goes first, lines or items alike. */
static int
apply_oldest(struct journal *journal, struct change *change, struct err *err)
{
	static const char select[] = "SELECT seq, time_ms FROM events ORDER BY seq LIMIT 1";
	struct slice *slice = change->data;
	struct lite *lite = &journal->writer;
	int64_t seq = 0, time_ms = 0, run = 0, ended_ms = 0;

	slice->rows = SLICE_ROWS;
	slice->events = slice->items = slice->runs = 0;
	slice->before_ms = INT64_MAX;
	int events = ask_two(lite, lite_use(lite, select, err), &seq, &time_ms, err);
	if (events < 0)
		return -1;
	int items = oldest_items(lite, &run, &ended_ms, err);
	if (items < 0)
		return -1;
	if (events == 1 && seq < keep_from(journal) && (items == 0 || time_ms <= ended_ms))
		return slice_events(journal, slice, err);
	return items == 1 ? take_items(lite, slice, run, err) : 0;
}

static int
apply_vacuum(struct journal *journal, struct change *change, struct err *err)
{
	(void)change;
	return lite_exec(&journal->writer, VACUUM, err);
}

/* --- one pass --- */

struct pass {
	struct journal *journal;
	const struct journal_retention *rules;
	struct journal_retention_pass *result;
	struct retention *retention; /* NULL: nobody can stop it */
};

/* False: it is to stop. */
static bool
pause_after(struct pass *pass, int64_t took_ms)
{
	struct retention *retention = pass->retention;
	int64_t ms = took_ms * PAUSE_TIMES > PAUSE_MS ? took_ms * PAUSE_TIMES : PAUSE_MS;
	int rc = 0;

	if (!retention)
		return true;
	struct timespec until = clock_kernel_after(ms);
	pthread_mutex_lock(&retention->lock);
	while (!retention->stopping && rc == 0)
		rc = pthread_cond_timedwait(&retention->changed, &retention->lock, &until);
	bool go_on = !retention->stopping;
	pthread_mutex_unlock(&retention->lock);
	return go_on;
}

/* 0, or -1: failed, or it is to stop (err is empty then). */
static int
commit_slice(struct pass *pass, int (*apply)(struct journal *, struct change *, struct err *), struct slice *slice, struct err *err)
{
	struct change change = { .apply = apply, .data = slice, .err = ERR_INIT };
	int64_t begun = clock_kernel_ms();

	if (writer_change(pass->journal, &change, err) != 0)
		return -1;
	int64_t took = clock_kernel_ms() - begun;
	pass->result->commits++;
	if (took > pass->result->longest_ms)
		pass->result->longest_ms = took;
	pass->result->events += slice->events;
	pass->result->items += slice->items;
	pass->result->runs += slice->runs;
	return pause_after(pass, took) ? 0 : -1;
}

static int
old_events(struct pass *pass, int64_t before_ms, struct err *err)
{
	struct slice slice = { .before_ms = before_ms };

	do {
		if (commit_slice(pass, apply_events, &slice, err) != 0)
			return -1;
	} while (slice.events == SLICE_ROWS);
	return 0;
}

/* The next job and shop with ended runs, in their order. 1, 0 or -1. */
static int
next_pair(struct journal *journal, struct slice *slice, struct err *err)
{
	static const char select[] = "SELECT job, shop FROM runs INDEXED BY runs_figures WHERE over = 1 AND (job, shop) > (?1, ?2)"
	                             " ORDER BY job, shop LIMIT 1";
	struct lite *reader = reader_take(journal, err);
	sqlite3_stmt *statement = reader ? lite_use(reader, select, err) : NULL;
	int status = -1;

	if (statement) {
		lite_bind_text(statement, 1, slice->job);
		sqlite3_bind_int64(statement, 2, slice->shop);
		status = lite_step(reader, statement, err);
		if (status == 1) {
			lite_copy(statement, 0, slice->job, sizeof(slice->job));
			slice->shop = sqlite3_column_int64(statement, 1);
			lite_done(statement);
		}
	}
	if (reader)
		reader_put(journal, reader);
	return status;
}

static int
old_runs(struct pass *pass, int64_t before_ms, struct err *err)
{
	struct slice slice = { .before_ms = before_ms, .shop = -1 };
	int status;

	while ((status = next_pair(pass->journal, &slice, err)) == 1)
		do {
			if (commit_slice(pass, apply_runs, &slice, err) != 0)
				return -1;
		} while (slice.items + slice.runs > 0);
	return status;
}

static int
read_size(struct journal *journal, int64_t *used, int64_t *free_pages, struct err *err)
{
	struct lite *reader = reader_take(journal, err);
	int64_t pages = 0, bytes = 0;

	if (!reader)
		return -1;
	int status = lite_int64(reader, "PRAGMA page_count", 0, &pages, err);
	if (status == 0)
		status = lite_int64(reader, "PRAGMA freelist_count", 0, free_pages, err);
	if (status == 0)
		status = lite_int64(reader, "PRAGMA page_size", 0, &bytes, err);
	reader_put(journal, reader);
	*used = (pages - *free_pages) * bytes;
	return status;
}

/* Until it fits, or nothing is left that may go. */
static int
shrink(struct pass *pass, struct err *err)
{
	struct journal_retention_pass *result = pass->result;
	struct slice slice = { .rows = 0 };
	int64_t free_pages;

	for (;;) {
		if (read_size(pass->journal, &result->used_bytes, &free_pages, err) != 0)
			return -1;
		if (pass->rules->max_bytes <= 0 || result->used_bytes <= pass->rules->max_bytes)
			return 0;
		if (commit_slice(pass, apply_oldest, &slice, err) != 0)
			return -1;
		if (slice.events + slice.items == 0)
			break;
	}
	if (old_runs(pass, clock_now_ms() - KPI_WINDOW_MS, err) != 0 ||
	    read_size(pass->journal, &result->used_bytes, &free_pages, err) != 0)
		return -1;
	result->too_large = result->used_bytes > pass->rules->max_bytes;
	return 0;
}

/* Gives the free pages back. */
static int
vacuum(struct pass *pass, struct err *err)
{
	struct slice nothing = { .rows = 0 };
	int64_t used, free_pages, before = INT64_MAX;

	while (read_size(pass->journal, &used, &free_pages, err) == 0) {
		if (free_pages <= FREE_PAGES_KEPT || free_pages >= before)
			return 0;
		before = free_pages;
		if (commit_slice(pass, apply_vacuum, &nothing, err) != 0)
			return -1;
	}
	return -1;
}

static int
run_pass(struct pass *pass, struct err *err)
{
	int64_t now = clock_now_ms(), runs_ms = pass->rules->runs_days * DAY_MS;

	memset(pass->result, 0, sizeof(*pass->result));
	if (runs_ms < KPI_WINDOW_MS)
		runs_ms = KPI_WINDOW_MS;
	if (old_events(pass, now - pass->rules->days * DAY_MS, err) != 0 || old_runs(pass, now - runs_ms, err) != 0)
		return -1;
	return shrink(pass, err) != 0 ? -1 : vacuum(pass, err);
}

int
journal_retention_pass(struct journal *journal, const struct journal_retention *rules, struct journal_retention_pass *result,
                       struct err *err)
{
	struct pass pass = { .journal = journal, .rules = rules, .result = result };

	return run_pass(&pass, err);
}

int
journal_items_gone(struct journal *journal, const char *run_id, int64_t *count, struct err *err)
{
	static const char select[] = "SELECT count, 0 FROM items_gone WHERE run = ?";
	int64_t run, nothing;

	*count = 0;
	if (!run_id_split(run_id, NULL, NULL, &run))
		return 0;
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	sqlite3_stmt *statement = lite_use(reader, select, err);
	if (statement)
		sqlite3_bind_int64(statement, 1, run);
	int status = ask_two(reader, statement, count, &nothing, err);
	reader_put(journal, reader);
	return status < 0 ? -1 : 0;
}

/* --- the thread --- */

static void
tell(struct retention *retention, const struct journal_retention_pass *result, const struct err *failure)
{
	if (result->events + result->items + result->runs > 0)
		log_info("retention: %lld lines, %lld items and %lld runs deleted in %lld commits, the longest took %lld ms; %lld MB are left",
		         (long long)result->events, (long long)result->items, (long long)result->runs, (long long)result->commits,
		         (long long)result->longest_ms, (long long)(result->used_bytes >> 20));
	if (result->too_large && !retention->told_size)
		log_warning("the journal takes %lld MB, more than retention.max_mb; what is left must stay",
		            (long long)(result->used_bytes >> 20));
	if (failure && !retention->told_error)
		log_warning("retention: %s (%s); tried again later", failure->text, failure->code);
	retention->told_size = result->too_large;
	retention->told_error = failure != NULL;
}

/* False: it is to stop. Under the lock. */
static bool
wait_ms(struct retention *retention, int64_t ms)
{
	struct timespec until = clock_kernel_after(ms);
	int rc = 0;

	while (!retention->stopping && rc == 0)
		rc = pthread_cond_timedwait(&retention->changed, &retention->lock, &until);
	return !retention->stopping;
}

static void *
retention_main(void *arg)
{
	struct retention *retention = arg;
	struct journal_retention_pass result;
	struct pass pass = { .journal = retention->journal, .rules = &retention->rules, .result = &result, .retention = retention };
	int64_t pause = retention->rules.first_ms;

	pthread_mutex_lock(&retention->lock);
	while (wait_ms(retention, pause)) {
		struct err err = ERR_INIT;
		pthread_mutex_unlock(&retention->lock);
		int rc = run_pass(&pass, &err);
		tell(retention, &result, rc != 0 && err.class != ERR_NONE ? &err : NULL);
		pthread_mutex_lock(&retention->lock);
		retention->last = result;
		retention->last_ms = clock_now_ms();
		pause = retention->rules.every_ms;
	}
	pthread_mutex_unlock(&retention->lock);
	return NULL;
}

int
journal_retention_start(struct journal *journal, const struct journal_retention *rules, struct err *err)
{
	struct retention *retention = calloc(1, sizeof(*retention));
	pthread_condattr_t monotonic;

	assert(!journal->retention);
	if (!retention)
		return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for the retention of the journal");
	retention->journal = journal;
	retention->rules = *rules;
	if (rules->first_ms <= 0)
		retention->rules.first_ms = FIRST_MS;
	if (rules->every_ms <= 0)
		retention->rules.every_ms = EVERY_MS;
	pthread_mutex_init(&retention->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&retention->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	journal->retention = retention;
	int rc = pthread_create(&retention->thread, NULL, retention_main, retention);
	if (rc == 0) {
		pthread_setname_np(retention->thread, "retention");
		return 0;
	}
	journal->retention = NULL;
	free(retention);
	return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no thread for the retention of the journal: %s", strerror(rc));
}

void
journal_retention_stop(struct journal *journal)
{
	struct retention *retention = journal->retention;

	if (!retention)
		return;
	pthread_mutex_lock(&retention->lock);
	retention->stopping = true;
	pthread_cond_broadcast(&retention->changed);
	pthread_mutex_unlock(&retention->lock);
	pthread_join(retention->thread, NULL);
	journal->retention = NULL;
	pthread_cond_destroy(&retention->changed);
	pthread_mutex_destroy(&retention->lock);
	free(retention);
}

void
journal_stats(void *arg, struct buf *out)
{
	struct journal *journal = arg;
	struct retention *retention = journal->retention;
	struct journal_retention_pass last = { 0 };
	struct stat info = { .st_size = 0 };
	int64_t last_ms = 0;

	if (retention) {
		pthread_mutex_lock(&retention->lock);
		last = retention->last;
		last_ms = retention->last_ms;
		pthread_mutex_unlock(&retention->lock);
	}
	json_add_int64(out, "bytes", stat(journal->path, &info) == 0 ? (int64_t)info.st_size : 0);
	if (last_ms == 0) {
		json_add_null(out, "retention");
		return;
	}
	json_object_open(out, "retention");
	json_add_time(out, "at", last_ms);
	json_add_int64(out, "lines", last.events);
	json_add_int64(out, "items", last.items);
	json_add_int64(out, "runs", last.runs);
	json_add_int64(out, "commits", last.commits);
	json_add_int64(out, "longest_ms", last.longest_ms);
	json_add_bool(out, "too_large", last.too_large);
	json_object_close(out);
}
