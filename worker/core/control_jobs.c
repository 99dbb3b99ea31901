/* Commands about jobs as a whole: rows O1 and O2 of the contract with the old system, and what stands beside them. Single runs are
 * in control_runs.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define HOUR_MS (3600 * 1000LL)
#define DAY_MS (24 * HOUR_MS)
#define SHOP_JSON_MAX 10000 /* a shop's status: two error texts, escaped */
#define SECONDS(ms) ((double)(ms) / 1000)

/* --- job_status ----------------------------------------------------------------------------------------------------- */

static void
add_second(struct buf *out, const char *name, int64_t at_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(at_ms, text);
	text[19] = 'Z'; /* whole seconds, as the old system had them */
	text[20] = '\0';
	json_add_string(out, name, text);
}

static void
add_seconds(struct buf *out, const char *name, int64_t ms)
{
	if (ms < 0)
		json_add_null(out, name);
	else
		json_add_fixed(out, name, SECONDS(ms), 3);
}

/* The four members of O1. run NULL: never. */
static void
add_newest(struct buf *out, const struct run_record *run)
{
	if (run == NULL) {
		json_add_string(out, "status", "never");
		json_add_null(out, "last_run");
		json_add_null(out, "duration_seconds");
		json_add_null(out, "error");
		return;
	}
	bool running = run->state == RUN_RUNNING;
	json_add_string(out, "status", run_state_name(run->state));
	add_second(out, "last_run", run->started_ms ? run->started_ms : run->created_ms);
	add_seconds(out, "duration_seconds", running ? clock_now_ms() - run->started_ms : run->duration_ms);
	json_add_string(out, "error", run->error_class == ERR_NONE ? NULL : run->error_text);
}

static void
add_ended(struct buf *out, const struct run_record *run)
{
	char text[CLOCK_TEXT_MAX];
	if (run == NULL) {
		json_add_null(out, "last_result");
		return;
	}
	json_object_open(out, "last_result");
	json_add_string(out, "state", run_state_name(run->state));
	json_add_string(out, "finished", clock_format(run->finished_ms, text));
	add_seconds(out, "duration_seconds", run->duration_ms);
	json_add_string(out, "error", run->error_class == ERR_NONE ? NULL : run->error_text);
	json_object_close(out);
}

/* A job over its shops: each one's members into `shops`, and what ended last of all. */
struct status {
	struct journal *journal;
	const char *job;
	struct buf shops;
	struct run_record ended; /* nothing yet: no id */
	bool full;
};

static void
keep_later(struct status *status, struct run_record *ended)
{
	if (ended->id[0] != '\0' && (status->ended.id[0] == '\0' || ended->finished_ms > status->ended.finished_ms)) {
		run_record_release(&status->ended);
		status->ended = *ended;
	} else {
		run_record_release(ended);
	}
}

static int
look_at_shop(struct status *status, int64_t shop, struct err *err)
{
	struct run_record newest, ended = { 0 };
	char name[24];
	int found = journal_run_last(status->journal, status->job, shop, false, &newest, err);
	if (found < 0)
		return -1;
	if (found == 1 && journal_run_last(status->journal, status->job, shop, true, &ended, err) < 0) {
		run_record_release(&newest);
		return -1;
	}
	status->full = status->full || status->shops.len + SHOP_JSON_MAX > status->shops.max;
	if (!status->full) {
		snprintf(name, sizeof(name), "%lld", (long long)shop);
		json_object_open(&status->shops, name);
		add_newest(&status->shops, found == 1 ? &newest : NULL);
		add_ended(&status->shops, ended.id[0] != '\0' ? &ended : NULL);
		json_object_close(&status->shops);
	}
	run_record_release(&newest);
	keep_later(status, &ended);
	return 0;
}

static bool
add_newest_of_job(const struct run_record *run, void *arg)
{
	struct buf **out = arg;
	add_newest(*out, run);
	*out = NULL;
	return false;
}

/* The newest run of the job, whatever its shop. */
static int
add_job(struct control *control, const struct job_type *job, struct buf *data, struct err *err)
{
	const struct settings *settings = control->config.settings;
	struct status status = { .journal = control->config.journal, .job = job->id };
	struct run_filter filter = { .job = job->id, .state = -1, .before = "", .limit = 1 };
	struct buf *out = data;
	int rc = journal_run_list(status.journal, &filter, add_newest_of_job, &out, err);
	if (rc == 0 && out != NULL)
		add_newest(out, NULL);
	buf_init(&status.shops, PROTO_CHUNK_MAX / control->config.job_count); /* of all jobs: a chunk */
	json_object_open(&status.shops, NULL);
	if (rc == 0 && !job->per_shop)
		rc = look_at_shop(&status, 0, err);
	for (size_t i = 0; rc == 0 && job->per_shop && i < settings->shop_count; i++)
		rc = look_at_shop(&status, settings->shops[i].id, err);
	json_object_close(&status.shops);
	if (rc == 0) {
		add_ended(data, status.ended.id[0] != '\0' ? &status.ended : NULL);
		if (job->per_shop)
			json_add_raw(data, "shops", status.shops.failed ? "{}" : buf_text(&status.shops));
	}
	buf_release(&status.shops);
	run_record_release(&status.ended);
	return rc;
}

int
command_job_status(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args;
	size_t before = data->len;
	for (size_t i = 0; i < control->config.job_count; i++) {
		const struct job_type *job = control->config.jobs[i];
		if (job->on_demand)
			continue;
		json_object_open(data, job->id);
		if (add_job(control, job, data, err) != 0) {
			data->len = before;
			return -1;
		}
		json_object_close(data);
	}
	return 0;
}

/* --- job_kpi -------------------------------------------------------------------------------------------------------- */

static const struct window {
	const char *name;
	int64_t span_ms;
} windows[] = { { "7d", 7 * DAY_MS }, { "24h", DAY_MS }, { "all", INT64_MAX } };

static const struct window *
find_window(const char *name, struct err *err)
{
	if (name[0] == '\0')
		return &windows[0];
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		if (strcmp(windows[i].name, name) == 0)
			return &windows[i];
	err_set(err, ERR_PERM, "BAD_REQUEST", "field window: \"%s\" is not 24h, 7d or all", name);
	return NULL;
}

/* "99.5%", null when nothing was counted. */
static void
add_share(struct buf *out, const char *name, int64_t part, int64_t whole)
{
	char text[16];
	snprintf(text, sizeof(text), "%.1f%%", whole > 0 ? 100.0 * (double)part / (double)whole : 0);
	json_add_string(out, name, whole > 0 ? text : NULL);
}

static void
add_duration(struct buf *out, const char *name, int64_t ms, bool any)
{
	char text[32];
	snprintf(text, sizeof(text), "%.1fs", SECONDS(ms));
	json_add_string(out, name, any ? text : NULL);
}

/* The six members of O2. */
static void
add_kpi(struct buf *out, const struct run_kpi *kpi)
{
	int64_t judged = kpi->success + kpi->partial + kpi->failed; /* what somebody cancelled says nothing about the job */
	json_object_open(out, "kpi");
	add_share(out, "success_rate", kpi->success + kpi->partial, judged);
	add_duration(out, "avg_duration", kpi->average_ms, kpi->timed > 0);
	add_duration(out, "max_duration", kpi->max_ms, kpi->timed > 0);
	json_add_string(out, "last_error", kpi->last_error[0] ? kpi->last_error : NULL);
	add_share(out, "error_rate", kpi->failed, judged);
	json_add_int64(out, "retry_count", kpi->retries);
	json_object_close(out);
}

static void
add_days(struct buf *out, const struct run_kpi *kpi)
{
	char text[CLOCK_TEXT_MAX];
	json_array_open(out, "days");
	for (size_t i = 0; i < kpi->day_count; i++) {
		const struct kpi_day *day = &kpi->days[i];
		clock_format(day->day * DAY_MS, text);
		text[10] = '\0';
		json_object_open(out, NULL);
		json_add_string(out, "day", text);
		json_add_int64(out, "runs", day->runs);
		json_add_int64(out, "success", day->success);
		json_add_int64(out, "partial", day->partial);
		json_add_int64(out, "failed", day->failed);
		json_add_int64(out, "cancelled", day->cancelled);
		json_add_int64(out, "pushed", day->pushed);
		json_add_int64(out, "refused", day->refused);
		json_object_close(out);
	}
	json_array_close(out);
}

static void
add_detail(struct buf *out, const struct window *window, int64_t shop, const struct run_kpi *kpi)
{
	char text[CLOCK_TEXT_MAX];
	json_object_open(out, "detail");
	json_add_string(out, "window", window->name);
	if (shop == 0)
		json_add_null(out, "shop");
	else
		json_add_int64(out, "shop", shop);
	json_add_int64(out, "runs", kpi->runs);
	json_object_open(out, "states");
	json_add_int64(out, "success", kpi->success);
	json_add_int64(out, "partial", kpi->partial);
	json_add_int64(out, "failed", kpi->failed);
	json_add_int64(out, "cancelled", kpi->cancelled);
	json_object_close(out);
	json_object_open(out, "duration_seconds");
	add_seconds(out, "p50", kpi->timed > 0 ? kpi->p50_ms : -1);
	add_seconds(out, "p95", kpi->timed > 0 ? kpi->p95_ms : -1);
	add_seconds(out, "p99", kpi->timed > 0 ? kpi->p99_ms : -1);
	json_object_close(out);
	json_object_open(out, "queue_wait_seconds");
	add_seconds(out, "average", kpi->waited > 0 ? kpi->wait_average_ms : -1);
	add_seconds(out, "max", kpi->waited > 0 ? kpi->wait_max_ms : -1);
	json_object_close(out);
	json_add_string(out, "last_success", kpi->last_success_ms > 0 ? clock_format(kpi->last_success_ms, text) : NULL);
	json_add_int64(out, "consecutive_failures", kpi->failures);
	json_object_open(out, "items");
	json_add_int64(out, "pushed", kpi->pushed);
	json_add_int64(out, "refused", kpi->refused);
	json_object_close(out);
	add_days(out, kpi);
	json_object_close(out);
}

int
command_job_kpi(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct kpi_query query = { .job = json_get_string(args, "job_id", ""), .shop = json_get_int64(args, "shop", 0) };
	const struct window *window = find_window(json_get_string(args, "window", ""), err);
	struct run_kpi kpi;
	if (window == NULL)
		return -1;
	if (queue_job(control->config.queue, query.job) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_JOB", "no job \"%s\"", query.job);
	if (query.shop != 0 && settings_shop(control->config.settings, query.shop) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "no shop %lld", (long long)query.shop);
	query.span_ms = window->span_ms;
	if (journal_run_kpi(control->config.journal, &query, &kpi, err) != 0)
		return -1;
	json_add_string(data, "job_id", query.job);
	add_kpi(data, &kpi);
	add_detail(data, window, query.shop, &kpi);
	run_kpi_release(&kpi);
	return 0;
}
