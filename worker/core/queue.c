/* The list of runs that are not over, the one setter, and what moves runs: take, finish, cancel. Lists are short (one run per job and
 * shop), so they are walked. How runs come in stands in queue_submit.c and queue_recover.c. */
#include "worker/core/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/core/alarms.h"
#include "worker/core/queue_internal.h"

#define JOURNAL_WAIT_MS 1000  /* the disk is full: look again */
#define LONGEST_WAIT_MS 60000 /* the wall clock may have been set meanwhile */

/* --- the list (under the lock) -------------------------------------------------------------------------------------- */

void
queue_list_append(struct queue *queue, struct run *run)
{
	run->next = NULL;
	*queue->last = run;
	queue->last = &run->next;
}

void
queue_list_remove(struct queue *queue, struct run *run)
{
	struct run **at = &queue->first;
	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	if (queue->last == &run->next)
		queue->last = at;
}

static struct run *
find_id(struct queue *queue, const char *id)
{
	for (struct run *run = queue->first; run != NULL; run = run->next)
		if (strcmp(run->record.id, id) == 0)
			return run;
	return NULL;
}

void
queue_run_free(struct run *run)
{
	if (run == NULL)
		return;
	json_free(run->params);
	run_record_release(&run->record);
	free(run);
}

static void
wait_changed(struct queue *queue, int64_t wait_ms)
{
	struct timespec at = clock_kernel_after(wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS);
	pthread_cond_timedwait(&queue->shared.changed, &queue->shared.lock, &at);
}

/* The journal refuses: the whole pause, whatever changes meanwhile, unless the queue stops. */
static void
wait_for_journal(struct queue *queue)
{
	struct timespec at = clock_kernel_after(JOURNAL_WAIT_MS);
	int rc = 0;
	while (rc != ETIMEDOUT && !atomic_load(&queue->shared.stopping))
		rc = pthread_cond_timedwait(&queue->shared.changed, &queue->shared.lock, &at);
}

/* --- the one setter ------------------------------------------------------------------------------------------------- */

int
queue_move(struct queue *queue, struct run *run, const struct run_record *next, const char *text, struct err *err)
{
	assert(run->moving);
	struct alarm_room room;
	const struct alarm_end *end = alarm_of_run(next, run->type, run->params, &room);
	int rc = journal_run_end(queue->shared.journal, next, run->record.state, text, end, err);
	bool over = rc == 0 && run_state_terminal(next->state);
	pthread_mutex_lock(&queue->shared.lock);
	bool ended = rc == 0 && run->ending && next->state != RUN_RUNNING;
	bool leaves = over || (ended && next->state == RUN_INTERRUPTED); /* that one goes on in the next life */
	if (rc == 0 && next->state == run->record.state)
		run->record.cancel = next->cancel; /* its thread went on counting meanwhile */
	else if (rc == 0)
		run->record = *next;
	run->moving = false;
	if (leaves || ended)
		queue_list_remove(queue, run);
	if (ended && !leaves) {
		run->ending = false;
		queue_list_append(queue, run); /* to the end of the line */
	}
	pthread_cond_broadcast(&queue->shared.changed);
	pthread_mutex_unlock(&queue->shared.lock);
	if (leaves)
		queue_run_free(run);
	return rc;
}

/* --- begin and end -------------------------------------------------------------------------------------------------- */

struct queue *
queue_new(const struct queue_config *config, struct err *err)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	pthread_condattr_t attr;
	if (queue == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for the queue");
		return NULL;
	}
	const struct settings *settings = config->settings;
	queue->config = *config;
	queue->shared.journal = config->journal;
	queue->policy = (struct life_policy){
		.retry = { .attempts = (int)settings->workers_attempts, .backoff_ms = settings->workers_backoff_ms,
		           .backoff_max_ms = settings->workers_backoff_max_ms },
		.deadline_ms = settings->run_deadline_s * 1000,
		.hold_ms = settings->workers_hold_ms,
		.rescue_max = config->rescue_max > 0 ? config->rescue_max : QUEUE_RESCUE_MAX,
	};
	queue->last = &queue->first;
	pthread_mutex_init(&queue->shared.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->shared.changed, &attr);
	pthread_condattr_destroy(&attr);
	return queue;
}

void
queue_free(struct queue *queue)
{
	if (queue == NULL)
		return;
	while (queue->first != NULL) {
		struct run *run = queue->first;
		queue->first = run->next;
		queue_run_free(run);
	}
	pthread_cond_destroy(&queue->shared.changed);
	pthread_mutex_destroy(&queue->shared.lock);
	free(queue);
}

void
queue_stop(struct queue *queue)
{
	pthread_mutex_lock(&queue->shared.lock);
	atomic_store(&queue->shared.stopping, true);
	pthread_cond_broadcast(&queue->shared.changed);
	pthread_mutex_unlock(&queue->shared.lock);
}

void
queue_wake(struct queue *queue)
{
	pthread_mutex_lock(&queue->shared.lock);
	pthread_cond_broadcast(&queue->shared.changed);
	pthread_mutex_unlock(&queue->shared.lock);
}

const struct job_type *
queue_job(const struct queue *queue, const char *id)
{
	for (size_t i = 0; i < queue->config.job_count; i++)
		if (strcmp(queue->config.jobs[i]->id, id) == 0)
			return queue->config.jobs[i];
	return NULL;
}

int64_t
queue_count(struct queue *queue, enum run_state state)
{
	int64_t count = 0;
	for (struct run *run = queue->first; run != NULL; run = run->next)
		count += run->record.state == state;
	return count;
}

void
queue_stats(void *arg, struct buf *out)
{
	struct queue *queue = arg;
	pthread_mutex_lock(&queue->shared.lock);
	json_add_int64(out, "queued", queue_count(queue, RUN_QUEUED));
	json_add_int64(out, "retry", queue_count(queue, RUN_RETRY));
	json_add_int64(out, "held", queue_count(queue, RUN_HELD));
	json_add_int64(out, "running", queue_count(queue, RUN_RUNNING));
	pthread_mutex_unlock(&queue->shared.lock);
	json_add_int64(out, "limit", queue->config.settings->workers_queue);
}

/* --- take ----------------------------------------------------------------------------------------------------------- */

/* The first run that is due, or NULL with the time until one is. */
static struct run *
next_due(struct queue *queue, int64_t *wait_ms)
{
	int64_t now = clock_now_ms();
	*wait_ms = INT64_MAX;
	for (struct run *run = queue->first; run != NULL; run = run->next) {
		const struct run_record *record = &run->record;
		if (run->moving)
			continue;
		if (record->state == RUN_QUEUED)
			return run;
		if (record->state != RUN_RETRY && record->state != RUN_HELD)
			continue;
		if (record->not_before_ms <= now)
			return run;
		if (record->not_before_ms - now < *wait_ms)
			*wait_ms = record->not_before_ms - now;
	}
	return NULL;
}

static bool
journal_ready(struct queue *queue)
{
	struct err err = ERR_INIT;
	bool ready = journal_healthy(queue->shared.journal, &err) == 0, said;
	pthread_mutex_lock(&queue->shared.lock);
	said = queue->journal_down;
	queue->journal_down = !ready;
	pthread_mutex_unlock(&queue->shared.lock);
	if (!ready && !said)
		log_error("no run is started: %s (%s)", err.text, err.code);
	if (ready && said)
		log_info("the journal is healthy again, runs are started");
	return ready;
}

/* Moves a claimed run to QUEUED when it waited, or to RUNNING when it is QUEUED. */
static int
advance(struct queue *queue, struct run *run)
{
	struct err err = ERR_INIT;
	struct run_record next = run->record;
	const char *text = "";
	if (next.state == RUN_QUEUED) {
		life_begin(&next, &queue->policy, clock_now_ms());
		run->partial = false;
		run->begun_mono_ms = run->shown_mono_ms = clock_mono_ms();
		run->deadline_mono_ms = run->begun_mono_ms + queue->policy.deadline_ms;
	} else {
		text = next.state == RUN_RETRY ? "its wait is over" : "looks whether it is free";
		life_queue(&next, clock_now_ms());
	}
	if (queue_move(queue, run, &next, text, &err) == 0)
		return 0;
	log_error("run %s cannot be started: %s (%s)", run->record.id, err.text, err.code);
	return -1;
}

struct run *
queue_take(struct queue *queue)
{
	struct run *taken = NULL;
	int64_t wait_ms;
	pthread_mutex_lock(&queue->shared.lock);
	while (!atomic_load(&queue->shared.stopping)) {
		struct run *run = next_due(queue, &wait_ms);
		if (run == NULL) {
			wait_changed(queue, wait_ms);
			continue;
		}
		bool starts = run->record.state == RUN_QUEUED;
		run->moving = true;
		pthread_mutex_unlock(&queue->shared.lock);
		bool ready = journal_ready(queue);
		bool moved = ready && advance(queue, run) == 0;
		pthread_mutex_lock(&queue->shared.lock);
		if (!ready) {
			run->moving = false;
			pthread_cond_broadcast(&queue->shared.changed); /* somebody may wait for this one */
		}
		if (moved && starts) {
			taken = run;
			break;
		}
		if (!moved)
			wait_for_journal(queue);
	}
	pthread_mutex_unlock(&queue->shared.lock);
	return taken;
}

/* --- finish --------------------------------------------------------------------------------------------------------- */

static uint64_t
random_bits(void)
{
	uint64_t bits = 0;
	if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		log_warning("no random bits from the kernel: a wait goes without jitter");
	return bits;
}

static enum log_level
level_of(enum run_state state)
{
	switch (state) {
	case RUN_FAILED:
		return LEVEL_ERROR;
	case RUN_RETRY:
	case RUN_HELD:
	case RUN_PARTIAL:
		return LEVEL_WARNING;
	case RUN_QUEUED:
	case RUN_RUNNING:
	case RUN_INTERRUPTED:
	case RUN_SUCCESS:
	case RUN_CANCELLED:
	case RUN_STATE_COUNT:
		break;
	}
	return LEVEL_INFO;
}

/* Claims the run for its end and copies its record, once nobody else is moving it. */
static struct run_record
claim_record(struct queue *queue, struct run *run)
{
	pthread_mutex_lock(&queue->shared.lock);
	while (run->moving)
		pthread_cond_wait(&queue->shared.changed, &queue->shared.lock);
	run->moving = run->ending = true;
	struct run_record record = run->record;
	pthread_mutex_unlock(&queue->shared.lock);
	return record;
}

/* Stores the end; tries again while the journal refuses, until the queue stops: then the next start finds the run RUNNING. The run is
 * somebody else's or gone on return. */
static void
store_end(struct queue *queue, struct run *run, const struct run_record *next, const char *text)
{
	struct err err = ERR_INIT;
	bool said = false;
	while (queue_move(queue, run, next, text, &err) != 0) {
		bool stopping;
		if (!said)
			log_error("the end of run %s cannot be stored: %s (%s)", next->id, err.text, err.code);
		said = true;
		err_clear(&err);
		pthread_mutex_lock(&queue->shared.lock);
		stopping = atomic_load(&queue->shared.stopping);
		if (!stopping)
			wait_for_journal(queue);
		while (run->moving)
			pthread_cond_wait(&queue->shared.changed, &queue->shared.lock);
		run->moving = !stopping;
		if (stopping)
			queue_list_remove(queue, run);
		pthread_mutex_unlock(&queue->shared.lock);
		if (stopping) {
			queue_run_free(run);
			return;
		}
	}
}

void
queue_finish(struct queue *queue, struct run *run, const struct err *outcome)
{
	char text[LIFE_TEXT_MAX];
	struct life_end end = { .outcome = *outcome, .partial = run->partial, .now_ms = clock_now_ms(),
		                .duration_ms = clock_mono_ms() - run->begun_mono_ms, .random = random_bits() };
	struct run_record next = claim_record(queue, run);
	end.cancel_asked = atomic_load(&run->cancel);
	end.draining = atomic_load(&queue->shared.stopping);
	life_finish(&next, &queue->policy, &end, text);
	log_context_set(next.id, next.job, "");
	log_write(level_of(next.state), "%s", text); /* before the move: who sees the run end has seen its last line */
	store_end(queue, run, &next, text);
	log_context_clear();
}

/* --- cancel --------------------------------------------------------------------------------------------------------- */

static int
cancel_unlisted(struct queue *queue, const char *run_id, struct queue_answer *answer, struct err *err)
{
	struct run_record record = { 0 };
	int found = journal_run_get(queue->shared.journal, run_id, &record, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_PERM, "UNKNOWN_RUN", "no run \"%s\"", run_id);
	answer->state = record.state;
	run_record_release(&record);
	return err_set(err, ERR_PERM, "WRONG_STATE", "run %s is %s already", run_id, run_state_name(answer->state));
}

int
queue_cancel(struct queue *queue, const char *run_id, struct queue_answer *answer, struct err *err)
{
	struct run *run;
	snprintf(answer->run_id, sizeof(answer->run_id), "%s", run_id);
	pthread_mutex_lock(&queue->shared.lock);
	while ((run = find_id(queue, run_id)) != NULL && run->moving)
		pthread_cond_wait(&queue->shared.changed, &queue->shared.lock);
	if (run == NULL || run->record.state == RUN_INTERRUPTED) {
		pthread_mutex_unlock(&queue->shared.lock);
		return cancel_unlisted(queue, run_id, answer, err);
	}
	bool running = run->record.state == RUN_RUNNING, again = running && atomic_load(&run->cancel);
	answer->state = run->record.state;
	struct run_record next = run->record;
	next.cancel = true;
	if (running) {
		atomic_store(&run->cancel, true);
		pthread_cond_broadcast(&queue->shared.changed);
	}
	run->moving = !again;
	pthread_mutex_unlock(&queue->shared.lock);
	if (again)
		return 0;
	if (!running) {
		life_cancel(&next, clock_now_ms());
		log_context_set(next.id, next.job, "");
		log_info("cancelled: duration %.3f s, on request while it waited", (double)(next.duration_ms > 0 ? next.duration_ms : 0) / 1000);
		log_context_clear();
	}
	answer->state = next.state;
	return queue_move(queue, run, &next, running ? "cancel asked for" : next.error_text, err);
}

