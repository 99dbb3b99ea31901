/* queue: every run that is not over, in memory and in the journal alike: submit, take, finish, cancel, recover. The only place where a
 * run's state is moved. One run per job (and shop) at a time. All functions from any thread; none but queue_take waits for work, those
 * that move a state wait for the journal's commit. Errors carry the codes of messages.def in err->code. */
#ifndef WORKER_CORE_QUEUE_H
#define WORKER_CORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/json.h"
#include "proto/settings.h"
#include "worker/core/job.h"
#include "worker/core/life.h"
#include "worker/core/run.h"
#include "worker/store/journal.h"

struct queue;

/* All borrowed until queue_free. */
struct queue_config {
	struct journal *journal;
	const struct settings *settings; /* shops and workers.* */
	const struct job_type *const *jobs;
	size_t job_count;
	int rescue_max; /* 0 = QUEUE_RESCUE_MAX */
};
#define QUEUE_RESCUE_MAX 5

struct queue *queue_new(const struct queue_config *config, struct err *err) MUSTCHECK;
/* No thread may be inside any more. Runs that wait stay in the journal. NULL is fine. */
void queue_free(struct queue *queue);

/* Before the first take: what the journal holds as not over is queued again. A run found RUNNING goes over INTERRUPTED to QUEUED, and
 * after rescue_max such finds to FAILED; a run whose job or shop is not known any more is FAILED. The number of runs taken over into
 * *count. */
int queue_recover(struct queue *queue, size_t *count, struct err *err) MUSTCHECK;

struct queue_request {
	const char *job;
	int64_t shop;              /* 0 = not said: the only shop, if there is just one */
	const char *key;           /* NULL or "" = none */
	const char *trigger;       /* NULL or "" = "manual" */
	const struct json *params; /* object; NULL = {} */
	const char *note;          /* text of its event; NULL = the trigger */
};
struct queue_answer {
	char run_id[RUN_ID_MAX];
	enum run_state state;
};
/* Journals the run, then answers. 0 with the run (for a known key: the run of that key, whatever its state, also when nothing new is
 * taken), or -1: UNKNOWN_JOB, UNKNOWN_SHOP, BAD_REQUEST (parameters, shop), ALREADY_RUNNING (answer names the run that is not over),
 * KEY_REUSED, QUEUE_FULL, STOPPING, JOURNAL_*. */
int queue_submit(struct queue *queue, const struct queue_request *request, struct queue_answer *answer, struct err *err) MUSTCHECK;

struct queue_confirmation {
	const char *run_id;       /* the run that a guard stopped */
	const char *only;         /* NULL or "" = the whole plan; else a word the job knows */
	const char *reason, *who; /* NULL or "" = not said; for the audit */
};
/* Queues the run that carries out a plan (job.h, confirmable), with trigger "confirm"; both are one commit. 0 with the new run, or -1:
 * UNKNOWN_RUN, PLAN_NONE (no plan that a guard stopped), PLAN_OLD, PLAN_CONFIRMED (answer names the run that carries it out), UNKNOWN_SHOP,
 * BAD_REQUEST (its parameters mean nothing any more), ALREADY_RUNNING, QUEUE_FULL, STOPPING, JOURNAL_*. */
int queue_confirm(struct queue *queue, const struct queue_confirmation *confirmation, struct queue_answer *answer,
                  struct err *err) MUSTCHECK;

/* A waiting run is over at once; a running one is marked (in the journal too) and stops at its next check point. 0 with its state
 * now, or -1: UNKNOWN_RUN, WRONG_STATE (over already; answer has the state), JOURNAL_*. */
int queue_cancel(struct queue *queue, const char *run_id, struct queue_answer *answer, struct err *err) MUSTCHECK;

/* Blocks until a run is due and RUNNING in the journal, then hands it to the calling thread until queue_finish. Starts nothing while the
 * journal is not healthy. NULL once queue_stop was called. */
struct run *queue_take(struct queue *queue);
/* Ends the attempt: decides what follows, logs the one final line (with the word duration), moves the state. run is gone afterwards.
 * Waits while the journal cannot store it, unless the queue stops; then the next start recovers the run. */
void queue_finish(struct queue *queue, struct run *run, const struct err *outcome);

/* From here on submits are refused, takers get NULL and running steps are told to stop (INTERRUPTED). */
void queue_stop(struct queue *queue);
/* Looks at due times again (the clock was moved). */
void queue_wake(struct queue *queue);

const struct job_type *queue_job(const struct queue *queue, const char *id); /* NULL when unknown */
/* Adds members to the open object: "queued","retry","held","running","limit". */
void queue_stats(void *queue, struct buf *out);

#endif
