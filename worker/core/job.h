/* job: what the engine knows of a job type: its name, its steps, and how to begin and end one attempt. worker/jobs exports one
 * const descriptor per type and the table of them; worker/main.c hands the table to the engine. */
#ifndef WORKER_CORE_JOB_H
#define WORKER_CORE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"
#include "common/json.h"
#include "worker/core/run.h"

#define PLAN_CONFIRM_MS 3600000

struct job_step {
	const char *name; /* "fetch": in log lines, progress and the run's record; < RUN_STEP_MAX */
	/* Does the step, on the run's thread. Calls run_check at every point where stopping is harmless, at least once a second.
	 * Returns 0, or -1 with the class deciding what follows (retry.h). */
	int (*work)(struct run *run, void *state, struct err *err);
	/* NULL = always. false: left out in this run (quick mode). */
	bool (*wanted)(struct run *run, void *state);
};

struct job_type {
	const char *id;    /* "temu_inventory_sync"; < JOB_ID_MAX */
	const char *title; /* for people */
	const struct job_step *steps;
	size_t step_count;
	bool per_shop;  /* one run per shop at a time; false: one run at a time */
	bool on_demand; /* a tool for people: job_status leaves it out, since "never" and "failed" say nothing about the shop */
	/* Parameters before the run is stored. 0, or -1 PERM with code BAD_REQUEST and the field's name in the text. */
	int (*check)(const struct json *params, struct err *err);
	/* A run that failed with a code beginning with this kept a plan that may be confirmed: within PLAN_CONFIRM_MS of its end, once, a new
	 * run with the same parameters and the members "confirm" (the run's id) and, where asked for, "only" is queued. check never sees
	 * those two, so nobody else can give them. NULL = no such runs. */
	const char *confirmable;
	/* State of one attempt; env is what main gave to the engine. NULL with err on failure (classified as a step's would be). */
	void *(*begin)(struct run *run, void *env, struct err *err);
	/* After the last step, also after a failed or interrupted one: leaves the result (run_result_set) and frees state. */
	void (*end)(struct run *run, void *state);
};

#endif
