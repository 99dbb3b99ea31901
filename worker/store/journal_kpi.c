/* Figures over ended runs: those of the journal from one index, those that retention deleted from the sums it left (kpi_fold).
 * Which runs are deleted is known to journal_retention.c. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "worker/store/journal_inner.h"

#define DAY_MS 86400000

/* What one look collects, over one shop after the other. */
struct look {
	struct journal *journal;
	struct lite *reader;
	const char *job;
	int64_t shop, since;
	bool ever;
	struct run_kpi *kpi;
	struct length { /* so many runs took so long */
		int64_t ms, runs;
	} *lengths;
	size_t length_count, length_cap, day_cap;
	int64_t wait_ms, error_ms;
};

static int64_t
day_of(const struct journal *journal, int64_t time_ms)
{
	if (journal->config.day_of)
		return journal->config.day_of(time_ms, journal->config.day_arg);
	return time_ms >= 0 ? time_ms / DAY_MS : -((DAY_MS - 1 - time_ms) / DAY_MS);
}

/* --- one row of a run, as both the windows and the sums count it --- */

#define FIGURES "finished_ms, state, duration_ms, attempt, queued_ms, started_ms, changed, failed"

struct figures {
	int64_t finished_ms, duration_ms; /* -1 = never began */
	int64_t wait_ms;                  /* -1 = not known */
	int64_t success, partial, failed, cancelled, retries; /* 0 or 1, but for the last */
	int64_t pushed, refused;
};

static void
read_figures(sqlite3_stmt *statement, struct figures *figures)
{
	int64_t attempt = sqlite3_column_int64(statement, 3), queued = sqlite3_column_int64(statement, 4);
	int64_t started = sqlite3_column_int64(statement, 5);
	enum run_state state;

	*figures = (struct figures){
		.finished_ms = sqlite3_column_int64(statement, 0),
		.duration_ms = sqlite3_column_int64(statement, 2),
		.wait_ms = queued > 0 && started >= queued ? started - queued : -1,
		.retries = attempt > 1 ? attempt - 1 : 0,
		.pushed = sqlite3_column_int64(statement, 6),
		.refused = sqlite3_column_int64(statement, 7),
	};
	if (run_state_parse(lite_text(statement, 1), &state) != 0)
		return; /* of a later release */
	figures->success = state == RUN_SUCCESS;
	figures->partial = state == RUN_PARTIAL;
	figures->failed = state == RUN_FAILED;
	figures->cancelled = state == RUN_CANCELLED;
}

/* --- collecting --- */

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for the figures of a job");
}

static int
add_length(struct look *look, int64_t ms, int64_t runs, struct err *err)
{
	if (look->length_count == look->length_cap) {
		size_t cap = look->length_cap ? look->length_cap * 2 : 256;
		struct length *grown = realloc(look->lengths, cap * sizeof(*grown));
		if (!grown)
			return no_memory(err);
		look->lengths = grown;
		look->length_cap = cap;
	}
	look->lengths[look->length_count++] = (struct length){ .ms = ms, .runs = runs };
	return 0;
}

/* The day's place in the list, which is kept ascending. */
static struct kpi_day *
entry_of(struct look *look, int64_t day, struct err *err)
{
	struct run_kpi *kpi = look->kpi;
	size_t low = 0, high = kpi->day_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (kpi->days[middle].day < day)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < kpi->day_count && kpi->days[low].day == day)
		return &kpi->days[low];
	if (kpi->day_count == look->day_cap) {
		size_t cap = look->day_cap ? look->day_cap * 2 : 16;
		struct kpi_day *grown = realloc(kpi->days, cap * sizeof(*grown));
		if (!grown) {
			no_memory(err);
			return NULL;
		}
		kpi->days = grown;
		look->day_cap = cap;
	}
	memmove(&kpi->days[low + 1], &kpi->days[low], (kpi->day_count - low) * sizeof(*kpi->days));
	kpi->day_count++;
	kpi->days[low] = (struct kpi_day){ .day = day };
	return &kpi->days[low];
}

/* Adds a day's counts to the day and to the whole. */
static int
add_counts(struct look *look, const struct kpi_day *counts, int64_t retries, struct err *err)
{
	struct run_kpi *kpi = look->kpi;
	struct kpi_day *day = entry_of(look, counts->day, err);

	if (!day)
		return -1;
	day->runs += counts->runs;
	day->success += counts->success;
	day->partial += counts->partial;
	day->failed += counts->failed;
	day->cancelled += counts->cancelled;
	day->pushed += counts->pushed;
	day->refused += counts->refused;
	kpi->runs += counts->runs;
	kpi->success += counts->success;
	kpi->partial += counts->partial;
	kpi->failed += counts->failed;
	kpi->cancelled += counts->cancelled;
	kpi->pushed += counts->pushed;
	kpi->refused += counts->refused;
	kpi->retries += retries;
	return 0;
}

static void
add_waits(struct look *look, int64_t runs, int64_t sum_ms, int64_t max_ms)
{
	look->kpi->waited += runs;
	look->wait_ms += sum_ms;
	if (max_ms > look->kpi->wait_max_ms)
		look->kpi->wait_max_ms = max_ms;
}

static int
count_run(struct look *look, const struct figures *run, struct err *err)
{
	struct kpi_day counts = { .day = day_of(look->journal, run->finished_ms), .runs = 1, .success = run->success,
		                      .partial = run->partial, .failed = run->failed, .cancelled = run->cancelled, .pushed = run->pushed,
		                      .refused = run->refused };

	if (run->wait_ms >= 0)
		add_waits(look, 1, run->wait_ms, run->wait_ms);
	if (run->duration_ms >= 0 && add_length(look, run->duration_ms, 1, err) != 0)
		return -1;
	return add_counts(look, &counts, run->retries, err);
}

/* --- reading --- */

static sqlite3_stmt *
use_of_shop(struct look *look, const char *text, struct err *err)
{
	sqlite3_stmt *statement = lite_use(look->reader, text, err);

	if (!statement)
		return NULL;
	lite_bind_text(statement, 1, look->job);
	sqlite3_bind_int64(statement, 2, look->shop);
	return statement;
}

static int
read_runs(struct look *look, struct err *err)
{
	static const char select[] = "SELECT " FIGURES " FROM runs WHERE over = 1 AND job = ?1 AND shop = ?2 AND finished_ms >= ?3";
	sqlite3_stmt *statement = use_of_shop(look, select, err);
	struct figures figures;
	int status = statement ? 1 : -1;

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 3, look->since);
	while (status == 1 && (status = lite_step(look->reader, statement, err)) == 1) {
		read_figures(statement, &figures);
		if (count_run(look, &figures, err) != 0) {
			lite_done(statement);
			status = -1;
		}
	}
	return status;
}

static int
read_sums(struct look *look, struct err *err)
{
	static const char days[] = "SELECT day, runs, success, partial, failed, cancelled, pushed, refused, retries, waited, wait_ms,"
	                           " wait_max_ms FROM kpi_days WHERE job = ?1 AND shop = ?2";
	static const char durations[] = "SELECT duration_ms, runs FROM kpi_durations WHERE job = ?1 AND shop = ?2";
	sqlite3_stmt *statement = use_of_shop(look, days, err);
	int status = statement ? 1 : -1;

	while (status == 1 && (status = lite_step(look->reader, statement, err)) == 1) {
		struct kpi_day day = { .day = sqlite3_column_int64(statement, 0), .runs = sqlite3_column_int64(statement, 1),
			                   .success = sqlite3_column_int64(statement, 2), .partial = sqlite3_column_int64(statement, 3),
			                   .failed = sqlite3_column_int64(statement, 4), .cancelled = sqlite3_column_int64(statement, 5),
			                   .pushed = sqlite3_column_int64(statement, 6), .refused = sqlite3_column_int64(statement, 7) };
		add_waits(look, sqlite3_column_int64(statement, 9), sqlite3_column_int64(statement, 10), sqlite3_column_int64(statement, 11));
		if (add_counts(look, &day, sqlite3_column_int64(statement, 8), err) != 0) {
			lite_done(statement);
			status = -1;
		}
	}
	if (status != 0 || !(statement = use_of_shop(look, durations, err)))
		return -1;
	status = 1;
	while (status == 1 && (status = lite_step(look->reader, statement, err)) == 1)
		if (add_length(look, sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), err) != 0) {
			lite_done(statement);
			status = -1;
		}
	return status;
}

static void
note_error(struct look *look, sqlite3_stmt *statement, int at)
{
	int64_t error_ms = sqlite3_column_int64(statement, at);

	if (error_ms < look->since || error_ms <= look->error_ms)
		return;
	look->error_ms = error_ms;
	lite_copy(statement, at + 1, look->kpi->last_error, sizeof(look->kpi->last_error));
}

/* Of the runs deleted: good_ms, failures, and their last error. */
static int
read_last_sums(struct look *look, int64_t *good_ms, int64_t *failures, struct err *err)
{
	static const char select[] = "SELECT good_ms, failures, error_ms, error_text FROM kpi_last WHERE job = ?1 AND shop = ?2";
	sqlite3_stmt *statement = use_of_shop(look, select, err);
	int status = statement ? lite_step(look->reader, statement, err) : -1;

	*good_ms = *failures = 0;
	if (status != 1)
		return status;
	*good_ms = sqlite3_column_int64(statement, 0);
	*failures = sqlite3_column_int64(statement, 1);
	note_error(look, statement, 2);
	lite_done(statement);
	return 0;
}

static int
read_last_error(struct look *look, struct err *err)
{
	static const char select[] = "SELECT finished_ms, error_text FROM runs WHERE over = 1 AND job = ?1 AND shop = ?2 AND"
	                             " finished_ms >= ?3 AND state = ?4 ORDER BY finished_ms DESC, n DESC LIMIT 1";
	sqlite3_stmt *statement = use_of_shop(look, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 3, look->since);
	lite_bind_text(statement, 4, run_state_name(RUN_FAILED));
	int status = lite_step(look->reader, statement, err);
	if (status == 1) {
		note_error(look, statement, 0);
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

/* The last good run and the failed ones behind it, whatever the window. */
static int
read_row_of_failures(struct look *look, struct err *err)
{
	static const char good[] = "SELECT finished_ms, n FROM runs WHERE over = 1 AND job = ?1 AND shop = ?2 AND state IN (?3, ?4)"
	                           " ORDER BY finished_ms DESC, n DESC LIMIT 1";
	static const char failed[] = "SELECT count(*) FROM runs WHERE over = 1 AND job = ?1 AND shop = ?2 AND finished_ms >= ?3 AND"
	                             " state = ?5 AND (finished_ms > ?3 OR n > ?4)";
	int64_t good_ms, failures, last_ms = 0, last = 0;

	if (read_last_sums(look, &good_ms, &failures, err) != 0)
		return -1;
	sqlite3_stmt *statement = use_of_shop(look, good, err);
	if (!statement)
		return -1;
	lite_bind_text(statement, 3, run_state_name(RUN_SUCCESS));
	lite_bind_text(statement, 4, run_state_name(RUN_PARTIAL));
	int status = lite_step(look->reader, statement, err);
	if (status == 1) {
		good_ms = last_ms = sqlite3_column_int64(statement, 0);
		last = sqlite3_column_int64(statement, 1);
		failures = 0;
		lite_done(statement);
	}
	if (status < 0 || !(statement = use_of_shop(look, failed, err)))
		return -1;
	sqlite3_bind_int64(statement, 3, last_ms);
	sqlite3_bind_int64(statement, 4, last);
	lite_bind_text(statement, 5, run_state_name(RUN_FAILED));
	if ((status = lite_step(look->reader, statement, err)) == 1) {
		failures += sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	if (good_ms > look->kpi->last_success_ms)
		look->kpi->last_success_ms = good_ms;
	if (failures > look->kpi->failures)
		look->kpi->failures = failures;
	return status < 0 ? -1 : 0;
}

static int
look_at_shop(struct look *look, struct err *err)
{
	if (read_runs(look, err) != 0 || (look->ever && read_sums(look, err) != 0) || read_row_of_failures(look, err) != 0)
		return -1;
	return read_last_error(look, err);
}

/* The next shop that has runs of the job behind look->shop, by number. 1, 0 or -1. */
static int
next_shop(struct look *look, struct err *err)
{
	static const char select[] = "SELECT min(shop) FROM (SELECT min(shop) AS shop FROM runs WHERE over = 1 AND job = ?1 AND shop > ?2"
	                             " UNION ALL SELECT min(shop) FROM kpi_last WHERE job = ?1 AND shop > ?2)";
	sqlite3_stmt *statement = use_of_shop(look, select, err);
	int status = statement ? lite_step(look->reader, statement, err) : -1;

	if (status != 1)
		return status;
	bool found = sqlite3_column_type(statement, 0) != SQLITE_NULL;
	look->shop = sqlite3_column_int64(statement, 0);
	lite_done(statement);
	return found;
}

static int
look_around(struct look *look, int64_t shop, struct err *err)
{
	int status = 1;

	look->shop = shop;
	if (shop != 0)
		return look_at_shop(look, err);
	look->shop = -1; /* a job of all shops has runs of shop 0 */
	while ((status = next_shop(look, err)) == 1)
		if (look_at_shop(look, err) != 0)
			return -1;
	return status;
}

/* --- summing up --- */

static int
compare(const void *a, const void *b)
{
	const struct length *left = a, *right = b;

	return (left->ms > right->ms) - (left->ms < right->ms);
}

static int64_t
percentile(const struct look *look, int64_t percent)
{
	int64_t rank = (look->kpi->timed * percent + 99) / 100, seen = 0;
	size_t at = 0;

	while (at + 1 < look->length_count && (seen += look->lengths[at].runs) < rank)
		at++;
	return look->lengths[at].ms;
}

static void
sum_up(struct look *look)
{
	struct run_kpi *kpi = look->kpi;
	int64_t sum = 0;

	if (kpi->waited > 0)
		kpi->wait_average_ms = look->wait_ms / kpi->waited;
	if (kpi->day_count > KPI_DAYS_MAX) {
		size_t leave = kpi->day_count - KPI_DAYS_MAX;
		memmove(kpi->days, kpi->days + leave, KPI_DAYS_MAX * sizeof(*kpi->days));
		kpi->day_count = KPI_DAYS_MAX;
	}
	if (look->length_count == 0)
		return;
	qsort(look->lengths, look->length_count, sizeof(*look->lengths), compare);
	for (size_t i = 0; i < look->length_count; i++) {
		kpi->timed += look->lengths[i].runs;
		sum += look->lengths[i].ms * look->lengths[i].runs;
	}
	kpi->average_ms = sum / kpi->timed;
	kpi->max_ms = look->lengths[look->length_count - 1].ms;
	kpi->p50_ms = percentile(look, 50);
	kpi->p95_ms = percentile(look, 95);
	kpi->p99_ms = percentile(look, 99);
}

void
run_kpi_release(struct run_kpi *kpi)
{
	free(kpi->days);
	memset(kpi, 0, sizeof(*kpi));
}

int
journal_run_kpi(struct journal *journal, const struct kpi_query *query, struct run_kpi *kpi, struct err *err)
{
	int64_t now = clock_now_ms();
	struct look look = { .journal = journal, .job = query->job, .kpi = kpi, .ever = query->span_ms == INT64_MAX };

	memset(kpi, 0, sizeof(*kpi));
	if (!look.ever && (query->span_ms < 0 || query->span_ms > KPI_WINDOW_MS))
		return err_set(err, ERR_PERM, "BAD_REQUEST", "no figures over %lld ms", (long long)query->span_ms);
	look.since = !look.ever && now > query->span_ms ? now - query->span_ms : 0;
	look.reader = reader_take(journal, err);
	if (!look.reader)
		return -1;
	/* One snapshot: a run is counted where it is, before or after retention took it. */
	int status = lite_exec(look.reader, "BEGIN", err);
	if (status == 0)
		status = look_around(&look, query->shop, err);
	if (!sqlite3_get_autocommit(look.reader->db))
		sqlite3_exec(look.reader->db, "ROLLBACK", NULL, NULL, NULL);
	reader_put(journal, look.reader);
	if (status == 0)
		sum_up(&look);
	else
		run_kpi_release(kpi);
	free(look.lengths);
	return status;
}

/* --- the sums --- */

struct fold {
	struct lite *lite;
	struct figures figures;
	char job[JOB_ID_MAX], error[ERR_TEXT_MAX];
	int64_t shop, day;
};

/* 1 read, 0 no such run, -1. */
static int
read_fold(struct fold *fold, int64_t run, struct err *err)
{
	static const char select[] = "SELECT " FIGURES ", job, shop, error_text FROM runs WHERE n = ? AND over = 1";
	sqlite3_stmt *statement = lite_use(fold->lite, select, err);

	if (!statement)
		return -1;
	sqlite3_bind_int64(statement, 1, run);
	int status = lite_step(fold->lite, statement, err);
	if (status == 1) {
		read_figures(statement, &fold->figures);
		lite_copy(statement, 8, fold->job, sizeof(fold->job));
		fold->shop = sqlite3_column_int64(statement, 9);
		lite_copy(statement, 10, fold->error, sizeof(fold->error));
		lite_done(statement);
	}
	return status;
}

static sqlite3_stmt *
use_fold(struct fold *fold, const char *text, int64_t third, struct err *err)
{
	sqlite3_stmt *statement = lite_use(fold->lite, text, err);

	if (!statement)
		return NULL;
	lite_bind_text(statement, 1, fold->job);
	sqlite3_bind_int64(statement, 2, fold->shop);
	sqlite3_bind_int64(statement, 3, third);
	return statement;
}

static int
fold_day(struct fold *fold, struct err *err)
{
	static const char upsert[] =
	    "INSERT INTO kpi_days(job, shop, day, runs, success, partial, failed, cancelled, retries, waited, wait_ms, wait_max_ms, pushed,"
	    " refused) VALUES(?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12) ON CONFLICT(job, shop, day) DO UPDATE SET"
	    " runs = runs + 1, success = success + ?4, partial = partial + ?5, failed = failed + ?6, cancelled = cancelled + ?7,"
	    " retries = retries + ?8, waited = waited + ?9, wait_ms = wait_ms + ?10, wait_max_ms = max(wait_max_ms, ?10),"
	    " pushed = pushed + ?11, refused = refused + ?12";
	const struct figures *run = &fold->figures;
	const int64_t values[] = { run->success, run->partial,     run->failed,
		                       run->cancelled, run->retries,   run->wait_ms >= 0,
		                       run->wait_ms >= 0 ? run->wait_ms : 0, run->pushed, run->refused };
	sqlite3_stmt *statement = use_fold(fold, upsert, fold->day, err);

	if (!statement)
		return -1;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		sqlite3_bind_int64(statement, (int)i + 4, values[i]);
	return lite_run(fold->lite, statement, err);
}

static int
fold_duration(struct fold *fold, struct err *err)
{
	static const char upsert[] = "INSERT INTO kpi_durations(job, shop, duration_ms, runs) VALUES(?1, ?2, ?3, 1)"
	                             " ON CONFLICT(job, shop, duration_ms) DO UPDATE SET runs = runs + 1";
	sqlite3_stmt *statement = use_fold(fold, upsert, fold->figures.duration_ms, err);

	return statement ? lite_run(fold->lite, statement, err) : -1;
}

static int
fold_last(struct fold *fold, struct err *err)
{
	static const char insert[] = "INSERT OR IGNORE INTO kpi_last(job, shop, good_ms, failures, error_ms, error_text)"
	                             " VALUES(?1, ?2, ?3, 0, 0, '')";
	static const char good[] = "UPDATE kpi_last SET good_ms = ?3, failures = 0 WHERE job = ?1 AND shop = ?2";
	static const char failed[] = "UPDATE kpi_last SET failures = failures + 1, error_ms = ?3, error_text = ?4"
	                             " WHERE job = ?1 AND shop = ?2";
	const struct figures *run = &fold->figures;
	sqlite3_stmt *statement = use_fold(fold, insert, 0, err);

	if (!statement || lite_run(fold->lite, statement, err) != 0)
		return -1;
	if (run->success || run->partial)
		statement = use_fold(fold, good, run->finished_ms, err);
	else if (run->failed && (statement = use_fold(fold, failed, run->finished_ms, err)))
		lite_bind_text(statement, 4, fold->error);
	else if (!run->failed)
		return 0;
	return statement ? lite_run(fold->lite, statement, err) : -1;
}

int
kpi_fold(struct journal *journal, int64_t run, struct err *err)
{
	struct fold fold = { .lite = &journal->writer };
	int status = read_fold(&fold, run, err);

	if (status != 1)
		return status;
	fold.day = day_of(journal, fold.figures.finished_ms);
	if (fold_day(&fold, err) != 0 || (fold.figures.duration_ms >= 0 && fold_duration(&fold, err) != 0))
		return -1;
	return fold_last(&fold, err);
}
