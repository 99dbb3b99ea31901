/* step: one attempt of a run: begin, the steps in order, end. */
#ifndef WORKER_CORE_STEP_H
#define WORKER_CORE_STEP_H

#include "common/err.h"
#include "worker/core/run.h"

/* Works on the calling thread until the attempt has ended. Checks for cancel, deadline and drain before every step, keeps the step's name
 * in the thread's log context, and logs one line with the duration per step. env is what the job's begin gets. Fills outcome: class
 * NONE when every step is done. An error of a step is not logged here: who moves the run's state does that, once. */
void step_attempt(struct run *run, void *env, struct err *outcome);

#endif
