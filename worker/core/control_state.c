/* Commands about everything but single runs: who we are, jobs, events, numbers. */
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define KPI_SPAN_MS (7LL * 24 * 3600 * 1000)
#define EVENTS_ROOM 2048 /* of a chunk, for what stands beside the events */

int
command_hello(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	json_add_string(data, "version", control->config.version);
	json_add_string(data, "boot", control->config.boot);
	json_add_string(data, "journal", journal_identity(control->config.journal));
	json_add_int64(data, "last_seq", journal_last(control->config.journal));
	json_add_int64(data, "uptime_s", (clock_mono_ms() - control->started_mono_ms) / 1000);
	return 0;
}

/* --- jobs (rows O1 and O2 of the contract) -------------------------------------------------------------------------- */

static void
add_second(struct buf *out, const char *name, int64_t at_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_format(at_ms, text);
	text[19] = 'Z'; /* whole seconds, as the old system had them */
	text[20] = '\0';
	json_add_string(out, name, text);
}

struct last_run {
	struct buf *data;
	bool found;
};

static bool
add_last_run(const struct run_record *run, void *arg)
{
	struct last_run *last = arg;
	bool running = run->state == RUN_RUNNING;
	int64_t duration_ms = running ? clock_now_ms() - run->started_ms : run->duration_ms;
	last->found = true;
	json_add_string(last->data, "status", run_state_name(run->state));
	add_second(last->data, "last_run", run->started_ms ? run->started_ms : run->created_ms);
	if (duration_ms < 0)
		json_add_null(last->data, "duration_seconds");
	else
		json_add_fixed(last->data, "duration_seconds", (double)duration_ms / 1000, 3);
	json_add_string(last->data, "error", run->error_class == ERR_NONE ? NULL : run->error_text);
	return false;
}

int
command_job_status(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args;
	size_t before = data->len;
	for (size_t i = 0; i < control->config.job_count; i++) {
		const char *job = control->config.jobs[i]->id;
		if (control->config.jobs[i]->on_demand)
			continue;
		struct run_filter filter = { .job = job, .state = -1, .before = "", .limit = 1 };
		struct last_run last = { .data = data };
		json_object_open(data, job);
		if (journal_run_list(control->config.journal, &filter, add_last_run, &last, err) != 0) {
			data->len = before;
			return -1;
		}
		if (!last.found) {
			json_add_string(data, "status", "never");
			json_add_null(data, "last_run");
			json_add_null(data, "duration_seconds");
			json_add_null(data, "error");
		}
		json_object_close(data);
	}
	return 0;
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
	snprintf(text, sizeof(text), "%.1fs", (double)ms / 1000);
	json_add_string(out, name, any ? text : NULL);
}

int
command_job_kpi(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	const char *job = json_get_string(args, "job_id", "");
	struct run_kpi kpi = { 0 };
	struct kpi_query query = { .job = job, .span_ms = KPI_SPAN_MS };
	if (queue_job(control->config.queue, job) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_JOB", "no job \"%s\"", job);
	if (journal_run_kpi(control->config.journal, &query, &kpi, err) != 0)
		return -1;
	int64_t judged = kpi.success + kpi.partial + kpi.failed; /* what somebody cancelled says nothing about the job */
	json_add_string(data, "job_id", job);
	json_object_open(data, "kpi");
	add_share(data, "success_rate", kpi.success + kpi.partial, judged);
	add_duration(data, "avg_duration", kpi.average_ms, kpi.runs > 0);
	add_duration(data, "max_duration", kpi.max_ms, kpi.runs > 0);
	json_add_string(data, "last_error", kpi.last_error[0] ? kpi.last_error : NULL);
	add_share(data, "error_rate", kpi.failed, judged);
	json_add_int64(data, "retry_count", kpi.retries);
	json_object_close(data);
	run_kpi_release(&kpi);
	return 0;
}

/* --- events --------------------------------------------------------------------------------------------------------- */

int
command_event_read(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct journal *journal = control->config.journal;
	const char *identity = json_get_string(args, "journal", "");
	struct event_page page = { 0 };
	struct buf events;
	json_add_string(data, "journal", journal_identity(journal));
	if (identity[0] != '\0' && strcmp(identity, journal_identity(journal)) != 0)
		return err_set(err, ERR_PERM, "WRONG_JOURNAL", "this is journal %s, not %s; start from 1", journal_identity(journal),
		               identity);
	buf_init(&events, PROTO_CHUNK_MAX);
	int64_t from = json_get_int64(args, "from", 1);
	int rc = journal_events(journal, from > 0 ? from : 1, json_get_int64(args, "to", 0), json_get_string(args, "run_id", ""),
	                        PROTO_CHUNK_MAX - EVENTS_ROOM, &events, &page, err);
	if (rc == 0)
		rc = buf_check(&events, "the events", err);
	if (rc == 0) {
		json_add_int64(data, "first", page.first);
		json_add_int64(data, "last", page.last);
		json_add_int64(data, "count", page.count);
		json_array_open(data, "events");
		buf_add(data, buf_text(&events), events.len);
		json_array_close(data);
		json_add_bool(data, "more", page.more);
	}
	buf_release(&events);
	return rc;
}

/* --- numbers -------------------------------------------------------------------------------------------------------- */

int
command_pool_stats(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	for (size_t i = 0; i < control->config.stats_count; i++) {
		const struct control_stats *stats = &control->config.stats[i];
		if (stats->name != NULL)
			json_object_open(data, stats->name);
		stats->add(stats->arg, data);
		if (stats->name != NULL)
			json_object_close(data);
	}
	return 0;
}
