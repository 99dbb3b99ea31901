/* What a job may ask of and tell to its own run. States are not moved here: the queue does that when the attempt has ended. */
#include "worker/core/run.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/core/run_internal.h"

#define SHOW_EVERY_MS 200 /* progress goes to the journal at most this often within a step */
#define PAUSE_STEP_MS 500 /* how soon a pause notices its deadline when the clock was replaced or stood still */

const char *
run_id(const struct run *run)
{
	return run->record.id;
}

int64_t
run_shop(const struct run *run)
{
	return run->record.shop;
}

const struct json *
run_params(const struct run *run)
{
	return run->params;
}

int
run_attempt(const struct run *run)
{
	return run->record.attempt;
}

int
run_check(struct run *run, struct err *err)
{
	if (atomic_load(&run->cancel))
		return err_set(err, ERR_CANCELLED, "CANCELLED", "cancelled on request");
	if (clock_mono_ms() >= run->deadline_mono_ms)
		return err_set(err, ERR_CANCELLED, "DEADLINE", "stopped at its deadline, after %.0f s",
		               (double)(run->deadline_mono_ms - run->begun_mono_ms) / 1000);
	if (atomic_load(&run->shared->stopping))
		return err_set(err, ERR_CANCELLED, "INTERRUPTED", "the daemon stops; the run goes on at its next start");
	return 0;
}

bool
run_stopping(void *arg)
{
	struct run *run = arg;
	return atomic_load(&run->cancel) || atomic_load(&run->shared->stopping) || clock_mono_ms() >= run->deadline_mono_ms;
}

int64_t
run_deadline_mono_ms(const struct run *run)
{
	return run->deadline_mono_ms;
}

int
run_pause(struct run *run, int64_t ms, struct err *err)
{
	int64_t until = clock_mono_ms() + ms, now;
	pthread_mutex_lock(&run->shared->lock);
	while (!run_stopping(run) && (now = clock_mono_ms()) < until) {
		int64_t step = until - now < PAUSE_STEP_MS ? until - now : PAUSE_STEP_MS;
		struct timespec at = clock_kernel_after(step);
		pthread_cond_timedwait(&run->shared->changed, &run->shared->lock, &at);
	}
	pthread_mutex_unlock(&run->shared->lock);
	return run_check(run, err);
}

/* --- progress ------------------------------------------------------------------------------------------------------- */

/* Under the lock; the journal only takes a copy. */
static void
show(struct run *run, int64_t every_ms)
{
	int64_t now = clock_mono_ms();
	if (now - run->shown_mono_ms < every_ms)
		return;
	run->shown_mono_ms = now;
	journal_run_progress(run->shared->journal, &run->record);
}

void
run_step_set(struct run *run, const char *name, int64_t steps_done)
{
	pthread_mutex_lock(&run->shared->lock);
	snprintf(run->record.step, sizeof(run->record.step), "%s", name);
	run->record.steps_done = steps_done;
	run->record.steps_total = (int64_t)run->type->step_count;
	run->record.items_done = run->record.items_total = 0;
	show(run, 0);
	pthread_mutex_unlock(&run->shared->lock);
}

void
run_progress(struct run *run, int64_t items_done, int64_t items_total)
{
	pthread_mutex_lock(&run->shared->lock);
	run->record.items_done = items_done;
	run->record.items_total = items_total;
	show(run, SHOW_EVERY_MS);
	pthread_mutex_unlock(&run->shared->lock);
}

void
run_count(struct run *run, enum run_counter counter, int64_t add)
{
	struct run_record *record = &run->record;
	int64_t *const figures[] = { [RUN_SEEN] = &record->seen, [RUN_CHANGED] = &record->changed, [RUN_REFUSED] = &record->failed,
		                     [RUN_SKIPPED] = &record->skipped };
	pthread_mutex_lock(&run->shared->lock);
	*figures[counter] += add;
	show(run, SHOW_EVERY_MS);
	pthread_mutex_unlock(&run->shared->lock);
}

/* --- results -------------------------------------------------------------------------------------------------------- */

int
run_items_add(struct run *run, const struct item_record *items, size_t count, struct err *err)
{
	return journal_items_add(run->shared->journal, run->record.id, items, count, err);
}

int
run_items_judge(struct run *run, const struct item_record *items, size_t count, struct err *err)
{
	return journal_items_judge(run->shared->journal, run->record.id, items, count, err);
}

void
run_partial(struct run *run)
{
	run->partial = true;
}

void
run_result_set(struct run *run, const char *json_object)
{
	struct err err = ERR_INIT;
	size_t len = strlen(json_object);
	struct json *parsed = len <= RUN_RESULT_MAX ? json_parse(json_object, len, &err) : NULL;
	bool usable = json_is_object(parsed);
	json_free(parsed);
	if (!usable) { /* the reply that would carry it must stay readable */
		log_error("the run's result is not a JSON object of at most %d bytes and is left out: %s", RUN_RESULT_MAX, err.text);
		return;
	}
	char *copy = strdup(json_object), *old;
	pthread_mutex_lock(&run->shared->lock);
	while (run->moving) /* somebody is storing the old one */
		pthread_cond_wait(&run->shared->changed, &run->shared->lock);
	old = run->record.result;
	run->record.result = copy;
	pthread_mutex_unlock(&run->shared->lock);
	free(old);
}

void
run_alarm(struct run *run, const char *code, const char *format, ...)
{
	char text[LOG_TEXT_MAX], step[RUN_STEP_MAX];
	struct err err = ERR_INIT;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&run->shared->lock);
	snprintf(step, sizeof(step), "%s", run->record.step);
	pthread_mutex_unlock(&run->shared->lock);
	struct alarm_record alarm = { .shop = run->record.shop, .run = run->record.id, .job = run->record.job, .step = step,
		                      .code = code, .text = text };
	int said = journal_alarm(run->shared->journal, &alarm, &err);
	if (said == 1)
		return;
	log_error("%s: %s", code, text);
	if (said < 0)
		log_error("the alarm %s could not be stored: %s (%s)", code, err.text, err.code);
}

enum gate
run_gate(struct run *run)
{
	return journal_gate(run->shared->journal, run->record.shop);
}
