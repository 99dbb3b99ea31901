/* SKUs that TEMU refuses again and again, as a run sees them: left out until they are due, and told once. The counting is the journal's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "common/log.h"
#include "worker/jobs/inventory_sync.h"
#include "worker/jobs/sync.h"

#define BATCH 500

/* --- what was refused before --- */

static void release_sick(struct sick *sick)
{
	free(sick->code);
	free(sick->text);
	free(sick->request_id);
}

void sync_quarantine_release(struct sync *sync)
{
	for (size_t i = 0; i < sync->quarantine.count; i++)
		release_sick(&sync->quarantine.items[i]);
	free(sync->quarantine.items);
	sync->quarantine = (struct quarantine){ .items = NULL };
}

struct loading {
	struct quarantine *quarantine;
	bool no_memory;
};

static bool take_sick(const struct quarantine_record *record, void *arg)
{
	struct loading *l = arg;
	struct quarantine *q = l->quarantine;
	struct sick sick = { .sku_id = record->sku_id, .next_ms = record->next_ms, .in = record->since_ms != 0 };
	struct sick *items = array_room(q->items, q->count, &q->room, sizeof(*items));

	l->no_memory = !items;
	if (!items)
		return false;
	q->items = items;
	sick.code = strdup(record->code);
	sick.text = strdup(record->text);
	sick.request_id = strdup(record->request_id);
	q->items[q->count++] = sick;
	l->no_memory = !sick.code || !sick.text || !sick.request_id;
	return !l->no_memory;
}

int sync_quarantine_load(struct sync *sync, struct err *err)
{
	struct loading l = { .quarantine = &sync->quarantine };

	sync_quarantine_release(sync);
	if (journal_quarantine_list(sync->env->journal, sync->shop->id, true, 0, 0, take_sick, &l, err) != 0)
		return -1;
	return l.no_memory ? err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the quarantine") : 0;
}

static int by_sku_id(const void *a, const void *b)
{
	return array_order(((const struct sick *)a)->sku_id, ((const struct sick *)b)->sku_id);
}

const struct sick *sync_quarantine_find(const struct sync *sync, int64_t sku_id)
{
	struct sick key = { .sku_id = sku_id };
	const struct quarantine *q = &sync->quarantine;

	return q->count ? bsearch(&key, q->items, q->count, sizeof(key), by_sku_id) : NULL;
}

bool sync_quarantine_leaves_out(const struct sick *sick, int64_t now_ms)
{
	return sick && sick->in && now_ms < sick->next_ms;
}

/* --- the items of those left out --- */

static struct item_record record_of(struct sync *sync, const struct listing *item)
{
	const struct sick *sick = sync_quarantine_find(sync, item->sku_id);

	report_add(&sync->report, REPORT_QUARANTINE, item->sku_id, item->sku, "%s %s", sick->code, sick->text);
	return (struct item_record){
		.sku = item->sku,
		.sku_id = item->sku_id,
		.goods_id = item->goods_id,
		.has_from = item->known.set,
		.from = item->known.value,
		.has_to = true,
		.to = item->wanted.quantity,
		.outcome = ITEM_SKIPPED,
		.reason = "quarantine",
		.code = sick->code,
		.request_id = sick->request_id,
		.text = sick->text,
	};
}

int sync_quarantine_store(struct sync *sync, struct err *err)
{
	struct item_record *rows;
	size_t used = 0;
	int rc = 0;

	if (sync->figures.quarantined == 0)
		return 0;
	rows = calloc(BATCH, sizeof(*rows));
	if (!rows)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		if (!sync->list.items[i].quarantined)
			continue;
		rows[used++] = record_of(sync, &sync->list.items[i]);
		if (used == BATCH) {
			rc = sync_items(sync, rows, used, err);
			used = 0;
		}
	}
	if (rc == 0)
		rc = sync_items(sync, rows, used, err);
	free(rows);
	run_count(sync->run, RUN_SKIPPED, sync->figures.quarantined);
	log_warning("%" PRId64 " SKUs are in quarantine and left out: TEMU refused them again and again", sync->figures.quarantined);
	return rc;
}

/* --- judging, telling, leaving --- */

int sync_quarantine_judge(struct sync *sync, const struct quarantine_verdict *verdicts, size_t count, struct err *err)
{
	return count > 0 ? journal_quarantine_judge(sync->env->journal, sync->shop->id, run_id(sync->run), verdicts, count, err) : 0;
}

int sync_quarantine_tell(struct sync *sync, struct err *err)
{
	struct alarm_record alarm = { .shop = sync->shop->id, .run = run_id(sync->run), .job = inventory_sync_job.id, .step = "push",
		                      .code = "QUARANTINE" };
	char advice[300];
	struct buf said;
	int told;

	snprintf(advice, sizeof(advice),
	         "They are tried once a day (all of them: GET /api/shops/%" PRId64
	         "/quarantine); correct them at TEMU, then DELETE .../quarantine/{sku_id} has the next run try",
	         sync->shop->id);
	alarm.text = advice;
	buf_init(&said, LOG_TEXT_MAX);
	told = journal_quarantine_tell(sync->env->journal, &alarm, &said, err);
	if (told > 0)
		log_error("%s: %s", alarm.code, buf_text(&said));
	buf_release(&said);
	return told < 0 ? -1 : 0;
}

int sync_quarantine_vanished(struct sync *sync, struct err *err)
{
	const struct quarantine *q = &sync->quarantine;
	size_t count = 0;
	int64_t *gone;
	int rc;

	if (sync_quarantine_load(sync, err) != 0)
		return -1;
	gone = calloc(q->count ? q->count : 1, sizeof(*gone));
	if (!gone)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the quarantine");
	for (size_t i = 0; i < q->count; i++) {
		const struct listing *listing = listings_find(&sync->list, q->items[i].sku_id);

		if (!listing || !listing->active)
			gone[count++] = q->items[i].sku_id;
	}
	rc = journal_quarantine_gone(sync->env->journal, sync->shop->id, gone, count, err);
	free(gone);
	return rc;
}
