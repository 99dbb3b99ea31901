/* How the plan of a run that a guard stopped becomes a run of its own. What the plan allows that run, the job decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "worker/core/queue_internal.h"

#define CLOCK_SLACK_MS 60000 /* a plan of the future, seen after the clock was set back */

/* 0, or -1 with PLAN_CONFIRMED and the run that was first. */
static int
check_first(struct queue *queue, const char *plan, struct queue_answer *answer, struct err *err)
{
	struct err trouble = ERR_INIT;
	char first[RUN_ID_MAX];
	int found = journal_plan_confirmed(queue->shared.journal, plan, first, &trouble);
	if (found < 0)
		*err = trouble;
	if (found <= 0)
		return found;
	snprintf(answer->run_id, sizeof(answer->run_id), "%s", first);
	return err_set(err, ERR_PERM, "PLAN_CONFIRMED", "the plan of run %s was confirmed before; run %s carries it out", plan, first);
}

/* Whether the run has a plan that may be confirmed now. */
static int
check_plan(struct queue *queue, const struct run_record *plan, struct queue_answer *answer, struct err *err)
{
	const struct job_type *type = queue_job(queue, plan->job);
	const char *stopped = type != NULL ? type->confirmable : NULL;
	int64_t age_ms = clock_now_ms() - plan->finished_ms;
	if (stopped == NULL || plan->state != RUN_FAILED || strncmp(plan->error_code, stopped, strlen(stopped)) != 0)
		return err_set(err, ERR_PERM, "PLAN_NONE", "run %s is %s%s%s: it has no plan that a guard stopped", plan->id,
		               run_state_name(plan->state), plan->error_code[0] ? ", " : "", plan->error_code);
	if (check_first(queue, plan->id, answer, err) != 0)
		return -1;
	if (age_ms >= PLAN_CONFIRM_MS || age_ms < -CLOCK_SLACK_MS)
		return err_set(err, ERR_PERM, "PLAN_OLD",
		               "the plan of run %s is %lld minutes old, less than %d are allowed: start a new run and confirm its plan", plan->id,
		               (long long)(age_ms / 60000), PLAN_CONFIRM_MS / 60000);
	if (settings_shop(queue->config.settings, plan->shop) == NULL && type->per_shop)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "shop %lld is not in the configuration any more", (long long)plan->shop);
	return 0;
}

/* The plan's parameters without what an earlier confirmation added, and with what this one adds (only NULL: nothing). NULL with err. */
static struct json *
make_params(const struct run_record *plan, const char *confirm, const char *only, struct err *err)
{
	struct json *made = NULL, *old = json_parse(plan->params, strlen(plan->params), err);
	struct buf text, value;
	buf_init(&text, 64 * 1024);
	buf_init(&value, 64 * 1024);
	if (old == NULL)
		goto out;
	json_object_open(&text, NULL);
	for (const struct json *member = json_first(old); member != NULL; member = json_next(member)) {
		if (strcmp(json_name(member), "confirm") == 0 || strcmp(json_name(member), "only") == 0)
			continue;
		buf_clear(&value);
		json_print(member, &value);
		json_add_raw(&text, json_name(member), buf_text(&value));
	}
	if (confirm != NULL)
		json_add_string(&text, "confirm", confirm);
	if (confirm != NULL && only != NULL && only[0] != '\0')
		json_add_string(&text, "only", only);
	json_object_close(&text);
	if (buf_check(&text, "the parameters", err) == 0)
		made = json_parse(text.data, text.len, err);
out:
	buf_release(&value);
	buf_release(&text);
	json_free(old);
	return made;
}

static struct run *
make_run(struct queue *queue, const struct run_record *plan, const char *only, struct err *err)
{
	const struct job_type *type = queue_job(queue, plan->job);
	struct run *run = NULL;
	struct json *params = NULL, *checked = make_params(plan, NULL, NULL, err);
	if (checked == NULL || (type->check != NULL && type->check(checked, err) != 0))
		goto out;
	params = make_params(plan, plan->id, only, err);
	if (params == NULL)
		goto out;
	struct queue_request request = { .trigger = "confirm", .params = params };
	run = queue_run_new(queue, type, plan->shop, &request, err);
out:
	json_free(params);
	json_free(checked);
	return run;
}

static void
make_note(const struct queue_confirmation *confirmation, char note[LOG_TEXT_MAX])
{
	const char *only = confirmation->only ? confirmation->only : "", *who = confirmation->who ? confirmation->who : "";
	const char *reason = confirmation->reason ? confirmation->reason : "";
	snprintf(note, LOG_TEXT_MAX, "confirm: the plan of run %s%s%s%s%.400s%s%.900s", confirmation->run_id, only[0] ? ", only " : "",
	         only, who[0] ? ", by " : "", who, reason[0] ? ": " : "", reason);
}

int
queue_confirm(struct queue *queue, const struct queue_confirmation *confirmation, struct queue_answer *answer, struct err *err)
{
	struct run_record plan = { 0 };
	char note[LOG_TEXT_MAX];
	int rc = -1;
	memset(answer, 0, sizeof(*answer));
	int found = journal_run_get(queue->shared.journal, confirmation->run_id, &plan, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_PERM, "UNKNOWN_RUN", "no run \"%s\"", confirmation->run_id);
	struct run *run = check_plan(queue, &plan, answer, err) == 0 ? make_run(queue, &plan, confirmation->only, err) : NULL;
	if (run == NULL)
		goto out;
	rc = queue_claim(queue, run, answer, err);
	if (rc == 0) {
		make_note(confirmation, note);
		rc = queue_store(queue, run, plan.id, note, answer, err);
	} else {
		if (check_first(queue, plan.id, answer, err) != 0)
			rc = -1; /* who has the slot is the run of another confirmation that came at the same time */
		queue_run_free(run);
	}
out:
	run_record_release(&plan);
	return rc;
}
