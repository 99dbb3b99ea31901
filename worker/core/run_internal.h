/* run_internal: what a run is made of, for queue.c, run.c and step.c only. */
#ifndef WORKER_CORE_RUN_INTERNAL_H
#define WORKER_CORE_RUN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/json.h"
#include "worker/core/job.h"
#include "worker/store/journal.h"

/* What the runs of one queue share. */
struct run_shared {
	struct journal *journal;
	pthread_mutex_t lock;   /* guards the list of runs and every record in it */
	pthread_cond_t changed; /* any of it */
	atomic_bool stopping;
};

struct run {
	struct run *next; /* in the queue's list */
	struct run_shared *shared;
	const struct job_type *type;
	struct json *params;
	/* As stored last, but for progress and result while it runs. Written under the lock. id, job, shop, key and params never change. */
	struct run_record record;
	bool moving;        /* a state change is being stored: nobody else may begin one, result stays */
	bool ending;        /* its attempt is over; the move that stores that takes the run out of its place in the list */
	atomic_bool cancel; /* asked for */
	/* The current attempt; set before its thread is told of it. */
	int64_t begun_mono_ms, deadline_mono_ms, shown_mono_ms;
	bool partial;
};

/* Sets the run's current step and tells the journal. steps_done: those before it. */
void run_step_set(struct run *run, const char *name, int64_t steps_done);

#endif
