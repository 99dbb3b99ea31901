/* The guard over a plan, and the confirmation that lets one through: what a person confirmed, what of it stands in today's plan, and what
 * counts as accepted from then on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/core/job.h"
#include "worker/jobs/inventory_sync.h"
#include "worker/jobs/sync.h"

#define CARRY_OUT_MS (2 * PLAN_CONFIRM_MS) /* after the plan's end; a run that is held for longer has to ask again */

/* --- the confirmed plan --- */

static bool take_planned(const struct item_record *item, void *arg)
{
	struct confirmation *c = arg;
	struct confirmed_change *changes;

	if (!item->has_to || item->sku_id == 0)
		return true;
	changes = array_room(c->changes, c->count, &c->room, sizeof(*changes));
	if (!changes)
		return false; /* what is not there is not confirmed */
	c->changes = changes;
	c->changes[c->count++] = (struct confirmed_change){ item->sku_id, item->to };
	return true;
}

static int by_sku_id(const void *a, const void *b)
{
	return array_order(((const struct confirmed_change *)a)->sku_id, ((const struct confirmed_change *)b)->sku_id);
}

static int check_plan(const struct sync *sync, const char *plan, const struct run_record *record, struct err *err)
{
	int64_t age_ms = clock_now_ms() - record->finished_ms;

	if (strcmp(record->job, inventory_sync_job.id) != 0 || record->shop != sync->shop->id)
		return err_set(err, ERR_PERM, "PLAN_NONE", "run %s is no plan of this shop", plan);
	if (age_ms > CARRY_OUT_MS)
		return err_set(err, ERR_PERM, "PLAN_OLD", "the confirmed plan of run %s is %" PRId64 " minutes old by now: start a new run",
		               plan, age_ms / 60000);
	return 0;
}

int sync_confirmation_load(struct sync *sync, struct err *err)
{
	const char *plan = json_get_string(run_params(sync->run), "confirm", ""),
	           *only = json_get_string(run_params(sync->run), "only", "");
	struct confirmation *c = &sync->confirmation;
	struct err ignored = ERR_INIT;
	struct run_record record;
	struct json *result;
	int rc;

	if (!plan[0])
		return 0;
	snprintf(c->plan, sizeof(c->plan), "%s", plan);
	c->only_sold_out = strcmp(only, "sold_out") == 0;
	if (only[0] && !c->only_sold_out)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "only: \"sold_out\" expected");
	rc = journal_run_get(sync->env->journal, plan, &record, err);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, ERR_PERM, "PLAN_NONE", "the confirmed run %s is not there any more", plan);
	rc = check_plan(sync, plan, &record, err);
	result = record.result ? json_parse(record.result, strlen(record.result), &ignored) : NULL;
	c->rules_same = strcmp(json_get_string(result, "rules", ""), sync->rules) == 0;
	json_free(result);
	run_record_release(&record);
	if (rc != 0 || journal_items_list(sync->env->journal, plan, ITEM_PLANNED, 0, 0, take_planned, c, err) != 0)
		return -1;
	if (c->count > 0)
		qsort(c->changes, c->count, sizeof(*c->changes), by_sku_id);
	log_info("the plan of run %s was confirmed: %zu changes%s", plan, c->count,
	         c->only_sold_out ? ", of which only those to zero are to be sent" : "");
	return 0;
}

void sync_confirmation_release(struct sync *sync)
{
	free(sync->confirmation.changes);
}

void sync_confirmation_mark(struct sync *sync)
{
	const struct confirmation *c = &sync->confirmation;

	for (size_t i = 0; c->count > 0 && i < sync->plan.count; i++) {
		struct plan_item *change = &sync->plan.changes[i];
		struct confirmed_change key = { .sku_id = change->sku_id };
		const struct confirmed_change *found = bsearch(&key, c->changes, c->count, sizeof(key), by_sku_id);

		change->confirmed = found && found->to == change->wanted;
	}
}

int sync_confirmation_sold_out(struct sync *sync, struct err *err)
{
	struct plan_item *zeros = calloc(sync->plan.count ? sync->plan.count : 1, sizeof(*zeros));
	struct plan reduced;
	size_t count = 0;
	int rc;

	if (!zeros)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the plan");
	for (size_t i = 0; i < sync->plan.count; i++)
		if (sync->plan.changes[i].wanted == 0 && sync->plan.changes[i].confirmed)
			zeros[count++] = sync->plan.changes[i];
	rc = plan_build(zeros, count, &reduced, err);
	free(zeros);
	if (rc != 0)
		return -1;
	plan_release(&sync->plan);
	sync->plan = reduced;
	return 0;
}

/* --- the guard --- */

void sync_guard_judge(struct sync *sync)
{
	struct guard_facts *facts = &sync->facts;
	int64_t changed = 0;

	for (size_t i = 0; i < sync->list.count; i++)
		changed += listing_buffer_changed(&sync->list.items[i]);
	sync->figures.buffers = changed;
	*facts = guard_count(&sync->plan);
	if (!sync->confirmation.plan[0])
		facts->buffers = changed;
	facts->accepted = sync->state.accepted;
	facts->rules_before = sync->state.rules;
	facts->rules_now = sync->rules;
	facts->rules_confirmed = sync->confirmation.rules_same;
	facts->sold_out = sync->figures.sold_out;
	sync->verdict = guard_judge(facts, sync->shop);
}

/* --- what counts from now on --- */

static int rules_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;

	return ledger_rules_set(db, sync->shop->id, sync->rules, err);
}

struct buffers {
	struct sync *sync;
	struct ledger_wanted *rows;
	size_t count;
};

static int buffers_work(struct db *db, void *arg, struct err *err)
{
	struct buffers *b = arg;

	return ledger_wanted_set(db, b->sync->shop->id, clock_now_ms(), b->rows, b->count, err);
}

static int accept_buffers(struct sync *sync, struct err *err)
{
	size_t batch = (size_t)sync->env->settings->write_batch;
	struct buffers b = { .sync = sync, .rows = calloc(batch, sizeof(*b.rows)) };
	int rc = b.rows ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (listing_buffer_changed(item))
			b.rows[b.count++] = (struct ledger_wanted){ .sku_id = item->sku_id, .buffer = item->buffer };
		if (b.count == batch) {
			rc = run_check(sync->run, err) == 0 ? sync_db(sync, true, 1, buffers_work, &b, err) : -1;
			b.count = 0;
		}
	}
	if (rc == 0 && b.count > 0)
		rc = sync_db(sync, true, 1, buffers_work, &b, err);
	free(b.rows);
	return rc;
}

int sync_guard_accept(struct sync *sync, struct err *err)
{
	if (!sync->state.accepted || strcmp(sync->state.rules, sync->rules) != 0)
		if (sync_db(sync, true, 1, rules_work, sync, err) != 0)
			return -1;
	return sync->figures.buffers > 0 ? accept_buffers(sync, err) : 0;
}
