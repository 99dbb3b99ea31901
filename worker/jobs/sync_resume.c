/* Runs of several attempts: what an earlier attempt left in the journal is brought in line with the ledger, and the figures are those
 * of the whole run. A first attempt pays one look. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/jobs/sync.h"

#define BATCH 500

static bool take_any(const struct item_record *item, void *arg)
{
	(void)item;
	*(bool *)arg = true;
	return false;
}

static int take_earlier_figures(struct sync *sync, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct run_record record;
	struct json *result;
	int found = journal_run_get(sync->env->journal, run_id(sync->run), &record, err);

	if (found <= 0)
		return found;
	result = record.result ? json_parse(record.result, strlen(record.result), &ignored) : NULL;
	sync->earlier = (struct sync_earlier){ .requests = json_get_int64(result, "requests", 0),
		                               .retries = json_get_int64(result, "retries", 0),
		                               .statements = json_get_int64(result, "statements", 0) };
	json_free(result);
	run_record_release(&record);
	return 0;
}

int sync_resume_begin(struct sync *sync, struct err *err)
{
	if (journal_items_list(sync->env->journal, run_id(sync->run), -1, 0, 1, take_any, &sync->resumed, err) != 0)
		return -1;
	return take_earlier_figures(sync, err);
}

/* --- rows an earlier attempt left open --- */

struct open_row {
	int64_t sku_id, to;
	bool planned; /* never judged; otherwise its outcome was unknown */
	bool has_to;
};

struct confirmed {
	int64_t sku_id, value;
	char request_id[TEMU_REQUEST_ID_MAX];
};

struct settling {
	struct sync *sync;
	struct open_row *open;
	size_t open_count, open_room;
	struct confirmed *confirmed; /* by skuId */
	size_t confirmed_count, confirmed_room;
	bool *in_plan; /* by place in the list of listings */
	bool no_memory;
};

static bool take_open(const struct item_record *item, void *arg)
{
	struct settling *s = arg;
	struct open_row *rows;

	if (item->sku_id == 0 || (item->outcome != ITEM_PLANNED && item->outcome != ITEM_UNKNOWN))
		return true;
	rows = array_room(s->open, s->open_count, &s->open_room, sizeof(*rows));
	if (!rows) {
		s->no_memory = true;
		return false;
	}
	s->open = rows;
	rows[s->open_count++] = (struct open_row){ item->sku_id, item->to, item->outcome == ITEM_PLANNED, item->has_to };
	return true;
}

static int take_confirmed(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *err)
{
	struct settling *s = arg;
	struct confirmed *rows = array_room(s->confirmed, s->confirmed_count, &s->confirmed_room, sizeof(*rows));

	if (!rows)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for what was confirmed");
	s->confirmed = rows;
	rows[s->confirmed_count] = (struct confirmed){ .sku_id = sku_id, .value = value };
	snprintf(rows[s->confirmed_count++].request_id, TEMU_REQUEST_ID_MAX, "%s", request_id);
	return 0;
}

static int confirmed_work(struct db *db, void *arg, struct err *err)
{
	struct settling *s = arg;

	s->confirmed_count = 0;
	return ledger_confirmed(db, s->sync->shop->id, run_id(s->sync->run), take_confirmed, s, err);
}

static int by_sku_id(const void *a, const void *b)
{
	return array_order(((const struct confirmed *)a)->sku_id, ((const struct confirmed *)b)->sku_id);
}

static const struct confirmed *find_confirmed(const struct settling *s, const struct open_row *row)
{
	struct confirmed key = { .sku_id = row->sku_id };
	const struct confirmed *found =
	    s->confirmed_count ? bsearch(&key, s->confirmed, s->confirmed_count, sizeof(key), by_sku_id) : NULL;

	return found && row->has_to && found->value == row->to ? found : NULL;
}

static bool is_planned_again(const struct settling *s, int64_t sku_id)
{
	const struct listing *listing = listings_find(&s->sync->list, sku_id);

	return listing && s->in_plan[listing - s->sync->list.items];
}

/* false: the row stays as it is. */
static bool judge_open(const struct settling *s, const struct open_row *row, struct item_record *out)
{
	const struct confirmed *found = find_confirmed(s, row);

	*out = (struct item_record){ .sku = "", .sku_id = row->sku_id, .reason = "", .code = "", .request_id = "" };
	if (found) {
		out->outcome = ITEM_PUSHED;
		out->request_id = found->request_id;
		out->text = "confirmed in an earlier attempt of the run";
		return true;
	}
	out->outcome = ITEM_SKIPPED;
	out->reason = "settled";
	out->text = "planned in an earlier attempt of the run, not needed any more";
	return row->planned && !is_planned_again(s, row->sku_id);
}

/* A batch of rows. That TEMU took again what it had refused before is stored first: the row is what a later attempt would find it by. */
static int store_judged(struct settling *s, const struct item_record *records, size_t count, struct err *err)
{
	struct quarantine_verdict *taken = calloc(count ? count : 1, sizeof(*taken));
	size_t used = 0;
	int rc = -1;

	if (!taken)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = 0; i < count; i++)
		if (records[i].outcome == ITEM_PUSHED && sync_quarantine_find(s->sync, records[i].sku_id))
			taken[used++].sku_id = records[i].sku_id;
	if (sync_quarantine_judge(s->sync, taken, used, err) == 0)
		rc = sync_items(s->sync, records, count, err);
	free(taken);
	return rc;
}

static int judge_all_open(struct settling *s, struct err *err)
{
	struct item_record *records = calloc(BATCH, sizeof(*records));
	size_t used = 0;
	int rc = records ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");

	for (size_t i = 0; rc == 0 && i < s->open_count; i++) {
		used += judge_open(s, &s->open[i], &records[used]);
		if (used == BATCH) {
			rc = store_judged(s, records, used, err);
			used = 0;
		}
	}
	if (rc == 0)
		rc = store_judged(s, records, used, err);
	free(records);
	return rc;
}

static int settle_open(struct settling *s, struct err *err)
{
	const struct plan *plan = &s->sync->plan;

	s->in_plan = calloc(s->sync->list.count ? s->sync->list.count : 1, sizeof(*s->in_plan));
	if (!s->in_plan || s->no_memory)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for an earlier attempt's items");
	for (size_t i = 0; i < plan->count; i++)
		s->in_plan[plan->changes[i].index] = true;
	if (sync_db(s->sync, false, 1, confirmed_work, s, err) != 0)
		return -1;
	log_info("an earlier attempt of this run left %zu items open", s->open_count);
	return judge_all_open(s, err);
}

int sync_resume_settle(struct sync *sync, struct err *err)
{
	struct settling s = { .sync = sync };
	int rc = 0;

	if (!sync->resumed)
		return 0;
	rc = journal_items_list(sync->env->journal, run_id(sync->run), -1, 0, 0, take_open, &s, err);
	if (rc == 0 && (s.open_count > 0 || s.no_memory))
		rc = settle_open(&s, err);
	free(s.open);
	free(s.confirmed);
	free(s.in_plan);
	return rc;
}

/* --- the figures of the whole run --- */

static bool take_outcome(const struct item_record *item, void *arg)
{
	struct sync_figures *f = arg;

	switch (item->outcome) {
	case ITEM_PLANNED:
		f->planned++;
		break;
	case ITEM_PUSHED:
		f->pushed++;
		break;
	case ITEM_REFUSED:
		f->refused++;
		f->refused_again += strcmp(item->reason, "quarantine") == 0;
		break;
	case ITEM_UNKNOWN:
		f->unknown++;
		break;
	case ITEM_SKIPPED:
	case ITEM_UNMAPPED:
	case ITEM_COMPARED:
	case ITEM_OUTCOME_COUNT:
		break;
	}
	return true;
}

void sync_resume_tally(struct sync *sync)
{
	struct sync_figures whole = { .seen = 0 }, *f = &sync->figures;
	struct err err = ERR_INIT;

	f->statements += sync->earlier.statements;
	if (!sync->resumed)
		return;
	if (journal_items_list(sync->env->journal, run_id(sync->run), -1, 0, 0, take_outcome, &whole, &err) != 0) {
		log_warning("%s: the figures are those of the last attempt only", err.text);
		return;
	}
	run_count(sync->run, RUN_CHANGED, whole.pushed - f->pushed);
	run_count(sync->run, RUN_REFUSED, whole.refused + whole.unknown - f->refused - f->unknown);
	f->planned = whole.planned;
	f->pushed = whole.pushed;
	f->refused = whole.refused;
	f->unknown = whole.unknown;
	f->refused_again = whole.refused_again;
	f->changed = whole.planned + whole.pushed + whole.refused + whole.unknown;
	if (f->refused - f->refused_again + f->unknown > 0)
		run_partial(sync->run);
}
