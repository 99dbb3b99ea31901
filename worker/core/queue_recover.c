/* What the journal holds as not over when the daemon starts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/core/queue_internal.h"

static bool
collect(const struct run_record *record, void *arg)
{
	struct queue *queue = arg;
	struct run *run = calloc(1, sizeof(*run));
	struct err err = ERR_INIT;
	if (run == NULL)
		return true; /* it stays in the journal for the next start */
	run->shared = &queue->shared;
	run->type = queue_job(queue, record->job);
	run->record = *record;
	run->record.params = strdup(record->params ? record->params : "{}");
	run->record.result = record->result ? strdup(record->result) : NULL;
	run->params = json_parse(run->record.params, strlen(run->record.params), &err);
	atomic_store(&run->cancel, record->cancel);
	queue_list_append(queue, run);
	return true;
}

/* What makes a stored run impossible now. */
static int
check_recovered(const struct queue *queue, const struct run *run, struct err *err)
{
	if (run->type == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_JOB", "this release has no job %s", run->record.job);
	if (run->record.shop != 0 && settings_shop(queue->config.settings, run->record.shop) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "shop %lld is not in the configuration any more",
		               (long long)run->record.shop);
	if (!json_is_object(run->params))
		return err_set(err, ERR_PERM, "BAD_REQUEST", "its stored parameters cannot be read");
	return 0;
}

enum { OVER, WAITS, MORE };

/* One move towards waiting or over. -1 on error. */
static int
recover_step(struct queue *queue, struct run *run, struct err *err)
{
	struct run_record next = run->record;
	struct err why = ERR_INIT;
	char text[LIFE_TEXT_MAX] = "taken up again";
	int64_t now = clock_now_ms();
	if ((next.state == RUN_QUEUED || next.state == RUN_RETRY || next.state == RUN_HELD) && check_recovered(queue, run, &why) == 0)
		return WAITS;
	if (next.state == RUN_RUNNING)
		life_rescue(&next, &queue->policy, now, text);
	else if (check_recovered(queue, run, &why) != 0) {
		life_give_up(&next, &why, now);
		snprintf(text, sizeof(text), "failed: duration unknown, %s (%s)", why.text, why.code);
	} else if (next.cancel) {
		life_cancel(&next, now);
		snprintf(text, sizeof(text), "cancelled: duration unknown, on request before the daemon ended");
	} else {
		life_queue(&next, now);
	}
	run->moving = true;
	log_context_set(next.id, next.job, "");
	log_write(next.state == RUN_FAILED ? LEVEL_ERROR : LEVEL_WARNING, "%s", text);
	log_context_clear();
	if (queue_move(queue, run, &next, text, err) != 0)
		return err_context(err, "run %s cannot be recovered", next.id);
	return run_state_terminal(next.state) ? OVER : MORE;
}

int
queue_recover(struct queue *queue, size_t *count, struct err *err)
{
	struct run *next;
	*count = 0;
	if (journal_run_unfinished(queue->shared.journal, collect, queue, err) != 0)
		return -1;
	for (struct run *run = queue->first; run != NULL; run = next) {
		int more;
		next = run->next;
		do
			more = recover_step(queue, run, err);
		while (more == MORE);
		if (more < 0)
			return -1;
		*count += more == WAITS;
	}
	return 0;
}
