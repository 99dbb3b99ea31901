/* The loop over a job's steps. What the outcome means is decided elsewhere (life.h). */
#include "worker/core/step.h"

#include "common/clock.h"
#include "common/log.h"
#include "worker/core/job.h"
#include "worker/core/run_internal.h"

static int
steps_work(struct run *run, void *state, struct err *err)
{
	for (size_t i = 0; i < run->type->step_count; i++) {
		const struct job_step *step = &run->type->steps[i];
		if (run_check(run, err) != 0)
			return -1;
		if (step->wanted != NULL && !step->wanted(run, state))
			continue;
		run_step_set(run, step->name, (int64_t)i);
		log_context_set(NULL, NULL, step->name);
		int64_t begun_ms = clock_mono_ms();
		if (step->work(run, state, err) != 0)
			return err_context(err, "step %s", step->name);
		log_info("step done: duration %.3f s", (double)(clock_mono_ms() - begun_ms) / 1000);
	}
	run_step_set(run, "", (int64_t)run->type->step_count);
	return 0;
}

void
step_attempt(struct run *run, void *env, struct err *outcome)
{
	err_clear(outcome);
	log_context_set(run_id(run), run->type->id, "");
	void *state = run->type->begin(run, env, outcome);
	int failed = state == NULL ? -1 : steps_work(run, state, outcome);
	log_context_set(NULL, NULL, "");
	if (state != NULL)
		run->type->end(run, state);
	if (!failed)
		err_clear(outcome);
	else if (outcome->class == ERR_NONE) /* a bug of the job must not take the daemon down */
		err_set(outcome, ERR_PERM, "UNCLASSIFIED", "the job failed without saying why");
	else if (outcome->class == ERR_CANCELLED) { /* a call deep inside knows that it was stopped, the run knows what for */
		struct err why = ERR_INIT;
		if (run_check(run, &why) != 0)
			*outcome = why;
	}
}
