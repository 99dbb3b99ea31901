/* What a run's record looks like after each move of the drawing in protocol.md. Who may move it, and when, is the queue's affair. */
#include "worker/core/life.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void
set_error(struct run_record *run, const struct err *err)
{
	run->error_class = err->class;
	snprintf(run->error_code, sizeof(run->error_code), "%s", err->code);
	snprintf(run->error_text, sizeof(run->error_text), "%s", err->text);
}

static void
clear_error(struct run_record *run)
{
	run->error_class = ERR_NONE;
	run->error_code[0] = run->error_text[0] = '\0';
}

void
life_begin(struct run_record *run, const struct life_policy *policy, int64_t now_ms)
{
	run->state = RUN_RUNNING;
	run->attempt++;
	run->started_ms = now_ms;
	run->finished_ms = run->not_before_ms = 0;
	run->duration_ms = -1;
	run->deadline_ms = now_ms + policy->deadline_ms;
	run->step[0] = '\0';
	run->steps_done = run->steps_total = run->items_done = run->items_total = 0;
	run->seen = run->changed = run->failed = run->skipped = 0;
}

static void
over(struct run_record *run, enum run_state state, int64_t now_ms)
{
	run->state = state;
	run->finished_ms = now_ms;
	run->not_before_ms = 0;
}

static void
wait_until(struct run_record *run, enum run_state state, int64_t now_ms, int64_t wait_ms)
{
	run->state = state;
	run->not_before_ms = wait_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + wait_ms;
	run->deadline_ms = 0;
}

/* Gives the attempt back: the next one carries the same number. */
static void
interrupt(struct run_record *run)
{
	run->state = RUN_INTERRUPTED;
	run->attempt--;
	run->deadline_ms = 0;
}

/* The ends of class NONE and CANCELLED, and what the drain did; false when retry_decide has the word. */
static bool
finish_plainly(struct run_record *run, const struct life_end *end, char *text)
{
	struct err why = end->outcome;
	double seconds = (double)end->duration_ms / 1000;
	if (why.class == ERR_NONE) {
		clear_error(run);
		over(run, end->partial ? RUN_PARTIAL : RUN_SUCCESS, end->now_ms);
		snprintf(text, LIFE_TEXT_MAX, "%s: duration %.3f s, %lld seen, %lld changed, %lld refused, %lld skipped",
		         run_state_name(run->state), seconds, (long long)run->seen, (long long)run->changed, (long long)run->failed,
		         (long long)run->skipped);
		return true;
	}
	if (why.class == ERR_CANCELLED && strcmp(why.code, "INTERRUPTED") == 0) {
		interrupt(run);
		clear_error(run);
		snprintf(text, LIFE_TEXT_MAX, "interrupted: duration %.3f s, the daemon stops; goes on at the next start", seconds);
		return true;
	}
	if (why.class != ERR_CANCELLED && end->cancel_asked)
		err_set(&why, ERR_CANCELLED, "CANCELLED", "cancelled on request; the attempt ended with: %s", end->outcome.text);
	if (why.class == ERR_TEMP && end->draining) {
		interrupt(run);
		clear_error(run);
		snprintf(text, LIFE_TEXT_MAX, "interrupted: duration %.3f s, the daemon stops; goes on at the next start, this attempt does not "
		         "count: %s (%s)", seconds, why.text, why.code);
		return true;
	}
	if (why.class != ERR_CANCELLED)
		return false;
	set_error(run, &why);
	over(run, RUN_CANCELLED, end->now_ms);
	snprintf(text, LIFE_TEXT_MAX, "cancelled: duration %.3f s, %s", seconds, why.text);
	return true;
}

void
life_finish(struct run_record *run, const struct life_policy *policy, const struct life_end *end, char text[LIFE_TEXT_MAX])
{
	assert(run->state == RUN_RUNNING);
	double seconds = (double)end->duration_ms / 1000;
	struct err why = end->outcome;
	run->duration_ms = end->duration_ms;
	if (finish_plainly(run, end, text))
		return;
	if (why.class == ERR_HOLD && why.wait_ms < 0)
		why.wait_ms = policy->hold_ms;
	set_error(run, &why);
	struct retry_decision decision = retry_decide(&policy->retry, run->attempt, &why, end->random);
	switch (decision.verdict) {
	case RETRY_AGAIN:
		wait_until(run, RUN_RETRY, end->now_ms, decision.wait_ms);
		snprintf(text, LIFE_TEXT_MAX, "retry: duration %.3f s, attempt %d of %d failed, the next one in %.1f s: %s (%s)", seconds,
		         run->attempt, policy->retry.attempts, (double)decision.wait_ms / 1000, why.text, why.code);
		return;
	case RETRY_HOLD:
		wait_until(run, RUN_HELD, end->now_ms, decision.wait_ms);
		run->attempt--;
		snprintf(text, LIFE_TEXT_MAX, "held: duration %.3f s, looked at again in %.1f s: %s (%s)", seconds,
		         (double)decision.wait_ms / 1000, why.text, why.code);
		return;
	case RETRY_GIVE_UP:
	case RETRY_STOPPED: /* taken above */
		break;
	}
	over(run, RUN_FAILED, end->now_ms);
	snprintf(text, LIFE_TEXT_MAX, "failed: duration %.3f s, attempt %d of %d: %s (%s)", seconds, run->attempt,
	         policy->retry.attempts, why.text, why.code);
}

void
life_cancel(struct run_record *run, int64_t now_ms)
{
	struct err why = ERR_INIT;
	err_set(&why, ERR_CANCELLED, "CANCELLED", "cancelled on request while it waited");
	run->cancel = true;
	set_error(run, &why);
	over(run, RUN_CANCELLED, now_ms);
}

void
life_queue(struct run_record *run, int64_t now_ms)
{
	run->state = RUN_QUEUED;
	run->queued_ms = now_ms;
	run->not_before_ms = 0;
}

void
life_rescue(struct run_record *run, const struct life_policy *policy, int64_t now_ms, char text[LIFE_TEXT_MAX])
{
	struct err why = ERR_INIT;
	run->rescues++;
	if (run->rescues < policy->rescue_max) {
		interrupt(run);
		snprintf(text, LIFE_TEXT_MAX, "found running at the start: the last process was killed (%d of at most %d times)",
		         run->rescues, policy->rescue_max);
		return;
	}
	err_set(&why, ERR_PERM, "POISON", "the process was killed %d times while this run was under way; it may be the cause, so it "
	        "is not tried again", run->rescues);
	life_give_up(run, &why, now_ms);
	snprintf(text, LIFE_TEXT_MAX, "failed: duration unknown, %s (%s)", why.text, why.code);
}

void
life_give_up(struct run_record *run, const struct err *why, int64_t now_ms)
{
	set_error(run, why);
	over(run, RUN_FAILED, now_ms);
}
