/* Figures over ended runs, answered from one index. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "worker/store/journal_inner.h"

struct durations {
	int64_t *list;
	size_t count, cap;
};

static int
add_duration(struct durations *durations, int64_t duration, struct err *err)
{
	if (durations->count == durations->cap) {
		size_t cap = durations->cap ? durations->cap * 2 : 256;
		int64_t *grown = realloc(durations->list, cap * sizeof(*grown));
		if (!grown)
			return err_set(err, ERR_TEMP, "JOURNAL_DISK", "no memory for %zu durations", cap);
		durations->list = grown;
		durations->cap = cap;
	}
	durations->list[durations->count++] = duration;
	return 0;
}

static void
count_run(struct run_kpi *kpi, sqlite3_stmt *statement)
{
	enum run_state state;
	int64_t attempt = sqlite3_column_int64(statement, 2);

	kpi->runs++;
	kpi->retries += attempt > 1 ? attempt - 1 : 0;
	if (run_state_parse(lite_text(statement, 0), &state) != 0)
		return;
	kpi->success += state == RUN_SUCCESS;
	kpi->partial += state == RUN_PARTIAL;
	kpi->failed += state == RUN_FAILED;
	kpi->cancelled += state == RUN_CANCELLED;
}

static int
read_runs(struct lite *reader, const char *job, int64_t since, struct run_kpi *kpi, struct durations *durations, struct err *err)
{
	static const char select[] = "SELECT state, duration_ms, attempt FROM runs WHERE over = 1 AND job = ? AND finished_ms >= ?";
	sqlite3_stmt *statement = lite_use(reader, select, err);
	int status = statement ? 1 : -1;

	if (!statement)
		return -1;
	lite_bind_text(statement, 1, job);
	sqlite3_bind_int64(statement, 2, since);
	while (status == 1 && (status = lite_step(reader, statement, err)) == 1) {
		int64_t duration = sqlite3_column_int64(statement, 1);
		count_run(kpi, statement);
		if (duration >= 0 && add_duration(durations, duration, err) != 0) {
			lite_done(statement);
			status = -1;
		}
	}
	return status;
}

static int
read_last_error(struct lite *reader, const char *job, int64_t since, struct run_kpi *kpi, struct err *err)
{
	static const char select[] = "SELECT error_text FROM runs WHERE over = 1 AND job = ? AND finished_ms >= ? AND state = ?"
	                             " ORDER BY finished_ms DESC, n DESC LIMIT 1";
	sqlite3_stmt *statement = lite_use(reader, select, err);

	if (!statement)
		return -1;
	lite_bind_text(statement, 1, job);
	sqlite3_bind_int64(statement, 2, since);
	lite_bind_text(statement, 3, run_state_name(RUN_FAILED));
	int status = lite_step(reader, statement, err);
	if (status == 1) {
		lite_copy(statement, 0, kpi->last_error, sizeof(kpi->last_error));
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

static int
compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static int64_t
percentile(const struct durations *durations, size_t percent)
{
	size_t rank = (durations->count * percent + 99) / 100;

	return durations->list[rank > 0 ? rank - 1 : 0];
}

static void
sum_up(struct durations *durations, struct run_kpi *kpi)
{
	int64_t sum = 0;

	if (durations->count == 0)
		return;
	qsort(durations->list, durations->count, sizeof(*durations->list), compare);
	for (size_t i = 0; i < durations->count; i++)
		sum += durations->list[i];
	kpi->average_ms = sum / (int64_t)durations->count;
	kpi->max_ms = durations->list[durations->count - 1];
	kpi->p50_ms = percentile(durations, 50);
	kpi->p95_ms = percentile(durations, 95);
	kpi->p99_ms = percentile(durations, 99);
}

int
journal_run_kpi(struct journal *journal, const char *job, int64_t span_ms, struct run_kpi *kpi, struct err *err)
{
	struct durations durations = { NULL, 0, 0 };
	int64_t now = clock_now_ms(), since = now > span_ms ? now - span_ms : 0;

	memset(kpi, 0, sizeof(*kpi));
	struct lite *reader = reader_take(journal, err);
	if (!reader)
		return -1;
	int status = read_runs(reader, job, since, kpi, &durations, err);
	if (status == 0)
		status = read_last_error(reader, job, since, kpi, err);
	reader_put(journal, reader);
	if (status == 0)
		sum_up(&durations, kpi);
	free(durations.list);
	return status;
}
