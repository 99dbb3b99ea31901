/* How a run comes in: checked, its slot taken, journalled, answered. Two triggers at once meet in queue_claim. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "worker/core/queue_internal.h"

#define DAY_MS 86400000
#define KEY_SCAN_MAX 10000

static struct run *
find_slot(struct queue *queue, const struct job_type *type, int64_t shop)
{
	for (struct run *run = queue->first; run != NULL; run = run->next)
		if (run->type == type && run->record.shop == shop)
			return run;
	return NULL;
}

/* The shop the run is for: checked, or the only one. 0 for a job that is not per shop. */
static int
choose_shop(const struct queue *queue, const struct job_type *type, int64_t asked, int64_t *shop, struct err *err)
{
	const struct settings *settings = queue->config.settings;
	*shop = asked;
	if (asked != 0 && settings_shop(settings, asked) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "no shop %lld in the configuration", (long long)asked);
	if (!type->per_shop) {
		if (asked != 0)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field shop: %s runs for all shops at once", type->id);
		return 0;
	}
	if (asked == 0 && settings->shop_count != 1)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field shop: missing, and there are %zu shops", settings->shop_count);
	if (asked == 0)
		*shop = settings->shops[0].id;
	return 0;
}

struct run *
queue_run_new(struct queue *queue, const struct job_type *type, int64_t shop, const struct queue_request *request, struct err *err)
{
	struct run *run = calloc(1, sizeof(*run));
	struct buf text;
	buf_init(&text, 64 * 1024);
	if (request->params != NULL)
		json_print(request->params, &text);
	else
		buf_add_text(&text, "{}");
	if (run == NULL || buf_check(&text, "the parameters", err) != 0)
		goto failed;
	run->params = json_parse(text.data, text.len, err);
	if (run->params == NULL)
		goto failed;
	run->shared = &queue->shared;
	run->type = type;
	struct run_record *record = &run->record;
	record->params = buf_take(&text, NULL);
	record->shop = shop;
	record->state = RUN_QUEUED;
	record->duration_ms = -1;
	record->created_ms = record->queued_ms = clock_now_ms();
	snprintf(record->job, sizeof(record->job), "%s", type->id);
	snprintf(record->key, sizeof(record->key), "%s", request->key ? request->key : "");
	snprintf(record->trigger, sizeof(record->trigger), "%s",
	         request->trigger && request->trigger[0] ? request->trigger : "manual");
	return run;
failed:
	buf_release(&text);
	queue_run_free(run);
	return NULL;
}

/* The two members that only queue_confirm sets are refused here too, whatever the job's own check knows of them. */
static int
check_params(const struct job_type *type, const struct json *params, struct err *err)
{
	static const char *const own[] = { "confirm", "only" };
	for (size_t i = 0; type->confirmable != NULL && i < sizeof(own) / sizeof(own[0]); i++)
		if (json_get(params, own[i]) != NULL)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: a plan is confirmed by the id of its run, not by a parameter", own[i]);
	return type->check != NULL ? type->check(params, err) : 0;
}

static int
answer_key(const struct run_record *known, const struct run *asked, struct queue_answer *answer, struct err *err)
{
	answer->run_id[0] = '\0'; /* whoever has the slot is not meant */
	if (strcmp(known->params, asked->record.params) != 0)
		return err_set(err, ERR_PERM, "KEY_REUSED", "key \"%s\" was used within a day for run %s with other parameters",
		               known->key, known->id);
	snprintf(answer->run_id, sizeof(answer->run_id), "%s", known->id);
	answer->state = known->state;
	return 0;
}

/* The run of a key among those of this job and shop, while another run is under way and nothing may be added. */
struct key_scan {
	const struct run *asked;
	struct queue_answer *answer;
	struct err *err;
	int64_t oldest_ms;
	bool found;
	int rc;
};

static bool
scan_key(const struct run_record *known, void *arg)
{
	struct key_scan *scan = arg;
	if (known->created_ms < scan->oldest_ms)
		return false;
	if (strcmp(known->key, scan->asked->record.key) != 0)
		return true;
	scan->found = true;
	scan->rc = answer_key(known, scan->asked, scan->answer, scan->err);
	return false;
}

/* Nothing may be added, err says why: but a key that is known is answered all the same (its first answer may have been lost). */
static int
submit_refused(struct queue *queue, const struct run *asked, struct queue_answer *answer, struct err *err)
{
	struct err trouble = ERR_INIT;
	struct key_scan scan = { .asked = asked, .answer = answer, .err = err, .oldest_ms = clock_now_ms() - DAY_MS };
	struct run_filter filter = { .job = asked->record.job, .shop = asked->record.shop, .state = -1, .before = "",
		                     .limit = KEY_SCAN_MAX };
	if (asked->record.key[0] == '\0')
		return -1;
	if (journal_run_list(queue->shared.journal, &filter, scan_key, &scan, &trouble) != 0) {
		*err = trouble;
		return -1;
	}
	if (!scan.found)
		return -1;
	if (scan.rc == 0)
		err_clear(err);
	return scan.rc;
}

int
queue_claim(struct queue *queue, struct run *run, struct queue_answer *answer, struct err *err)
{
	struct run *other;
	int rc = 0;
	pthread_mutex_lock(&queue->shared.lock);
	while ((other = find_slot(queue, run->type, run->record.shop)) != NULL && other->moving)
		pthread_cond_wait(&queue->shared.changed, &queue->shared.lock); /* it gets its id, or it ends just now */
	if (atomic_load(&queue->shared.stopping)) {
		rc = err_set(err, ERR_TEMP, "STOPPING", "the workers are shutting down");
	} else if (other != NULL) {
		snprintf(answer->run_id, sizeof(answer->run_id), "%s", other->record.id);
		rc = err_set(err, ERR_PERM, "ALREADY_RUNNING", "run %s of this job and shop is not over", answer->run_id);
	} else {
		int64_t waiting = queue_count(queue, RUN_QUEUED) + queue_count(queue, RUN_RETRY) + queue_count(queue, RUN_HELD);
		if (waiting >= queue->config.settings->workers_queue)
			rc = err_set(err, ERR_TEMP, "QUEUE_FULL", "%lld runs wait already", (long long)waiting);
		else
			queue_list_append(queue, run);
	}
	run->moving = true;
	pthread_mutex_unlock(&queue->shared.lock);
	return rc;
}

int
queue_store(struct queue *queue, struct run *run, const char *confirms, const char *note, struct queue_answer *answer, struct err *err)
{
	/* The record in the list is not touched until its id is known to be ours: others compare it under the lock. */
	struct run_record stored = run->record;
	stored.params = strdup(run->record.params);
	stored.note = note;
	snprintf(stored.confirms, sizeof(stored.confirms), "%s", confirms);
	int known = journal_healthy(queue->shared.journal, err);
	if (known == 0)
		known = journal_run_add(queue->shared.journal, &stored, err);
	snprintf(answer->run_id, sizeof(answer->run_id), "%s", stored.id); /* when refused: the run that was first, if one was */
	answer->state = stored.state;
	pthread_mutex_lock(&queue->shared.lock);
	if (known == 0)
		snprintf(run->record.id, sizeof(run->record.id), "%s", stored.id);
	else
		queue_list_remove(queue, run);
	run->moving = false;
	pthread_cond_broadcast(&queue->shared.changed);
	pthread_mutex_unlock(&queue->shared.lock);
	run_record_release(&stored);
	if (known != 0)
		queue_run_free(run);
	return known < 0 ? -1 : 0;
}

int
queue_submit(struct queue *queue, const struct queue_request *request, struct queue_answer *answer, struct err *err)
{
	memset(answer, 0, sizeof(*answer));
	const struct job_type *type = queue_job(queue, request->job);
	int64_t shop;
	if (type == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_JOB", "no job \"%s\"", request->job);
	if (choose_shop(queue, type, request->shop, &shop, err) != 0)
		return -1;
	struct run *run = queue_run_new(queue, type, shop, request, err);
	if (run == NULL)
		return -1;
	int rc = check_params(type, run->params, err);
	if (rc == 0) {
		if (queue_claim(queue, run, answer, err) == 0)
			return queue_store(queue, run, "", request->note, answer, err);
		rc = submit_refused(queue, run, answer, err);
	}
	queue_run_free(run);
	return rc;
}
