/* Sending a plan. Before a call its listings are committed as unknown (a batch of rows in one statement, ahead of the calls), after
 * it only what TEMU confirmed is marked, in transactions of a batch of rows. So a crash at any point costs a repeated push and never a
 * forgotten one. No transaction is open while a call is under way. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/db/inventory.h"
#include "worker/jobs/keeper.h"
#include "worker/jobs/sync.h"
#include "worker/temu/temu_codes.h"
#include "worker/temu/temu_stock.h"

#define GRACE_MS 500      /* what is in flight may still be answered after a stop */
#define LAST_WORD_MS 3000 /* for marking what was confirmed when the run has been stopped */
#define LINES_MAX 20
#define DETAIL_MAX 2000
#define OLD_LOOK_MS 1000  /* between two looks whether the old system was started in mid-push */
#define REFUSED_ALL 20    /* so many refused and none confirmed: that is not the SKUs' fault */

enum phase { PLANNED, INTENDED, DECIDED, MARKED };

struct push {
	struct sync *sync;
	struct temu_stock_item *items; /* in sending order */
	enum phase *phases;
	size_t count;
	size_t intended; /* items before this one are intended or further */
	size_t *decided; /* indexes that wait to be marked */
	size_t decided_count;
	int64_t old_ms;    /* when the old system was last looked for; clock_mono_ms */
	bool last_word;    /* sending has ended: what was confirmed is marked even after a stop */
	bool gate_shut;    /* found shut in mid-push */
	struct err failed; /* marking failed where no error can be returned */
	struct err unsent; /* why the first item whose call came to nothing was not sent */
};

/* --- items of the journal --- */

struct item_batch {
	struct item_record *records;
	struct buf *details;
	size_t count;
};

static void batch_release(struct item_batch *batch)
{
	for (size_t i = 0; batch->details && i < batch->count; i++)
		buf_release(&batch->details[i]);
	free(batch->details);
	free(batch->records);
}

static int batch_init(struct item_batch *batch, size_t count, struct err *err)
{
	*batch = (struct item_batch){ .count = count };
	batch->records = calloc(count ? count : 1, sizeof(*batch->records));
	batch->details = calloc(count ? count : 1, sizeof(*batch->details));
	if (batch->records && batch->details) {
		for (size_t i = 0; i < count; i++)
			buf_init(&batch->details[i], DETAIL_MAX);
		return 0;
	}
	free(batch->records);
	free(batch->details);
	*batch = (struct item_batch){ .count = 0 };
	return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for %zu items", count);
}

static const struct listing *listing_of(const struct sync *sync, const struct plan_item *change)
{
	return &sync->list.items[change->index];
}

/* The change behind an item. */
static const struct plan_item *change_of(const struct push *p, size_t index)
{
	return &p->sync->plan.changes[p->sync->plan.order[index]];
}

static void fill_record(struct sync *sync, const struct plan_item *change, struct item_record *record, struct buf *detail)
{
	const struct listing *listing = listing_of(sync, change);

	sync_detail(listing, detail);
	*record = (struct item_record){
		.sku = listing->sku,
		.sku_id = listing->sku_id,
		.goods_id = listing->goods_id,
		.has_from = change->known.set,
		.from = change->known.value,
		.has_to = true,
		.to = change->wanted,
		.outcome = ITEM_PLANNED,
		.reason = change->reason,
		.code = "",
		.request_id = "",
		.text = listing->near ? "differs from JTL's spelling" : "",
		.detail = detail->failed ? NULL : buf_text(detail),
	};
}

/* Every change as PLANNED, most urgent first. */
int sync_store_planned(struct sync *sync, struct err *err)
{
	enum { BATCH = 500 };
	size_t from = 0;
	int rc = 0;

	while (rc == 0 && from < sync->plan.count) {
		size_t left = sync->plan.count - from, count = left < BATCH ? left : BATCH;
		struct item_batch batch;

		if (batch_init(&batch, count, err) != 0)
			return -1;
		for (size_t i = 0; i < count; i++)
			fill_record(sync, &sync->plan.changes[from + i], &batch.records[i], &batch.details[i]);
		rc = sync_items(sync, batch.records, count, err);
		batch_release(&batch);
		from += count;
	}
	return rc;
}

static enum item_outcome outcome_of(enum temu_stock_outcome outcome)
{
	switch (outcome) {
	case TEMU_STOCK_UNSENT:
		return ITEM_PLANNED;
	case TEMU_STOCK_CONFIRMED:
		return ITEM_PUSHED;
	case TEMU_STOCK_REFUSED:
		return ITEM_REFUSED;
	case TEMU_STOCK_UNKNOWN:
		return ITEM_UNKNOWN;
	}
	return ITEM_UNKNOWN;
}

/* --- before a call --- */

static struct db_limit limit_of(const struct push *p)
{
	if (p->last_word)
		return (struct db_limit){ .deadline_ms = clock_mono_ms() + LAST_WORD_MS };
	return jobs_db_limit(p->sync->run);
}

static int push_db(struct push *p, bool transaction, int64_t statements, db_work_fn *work, void *arg, struct err *err)
{
	struct db_limit limit = limit_of(p);

	return sync_db_within(p->sync, &limit, transaction, statements, work, arg, err);
}

static int grip_work(struct db *db, void *arg, struct err *err)
{
	return lease_check(db, &((struct push *)arg)->sync->grip, err);
}

static int check_grip(struct push *p, struct err *err)
{
	return push_db(p, false, 1, grip_work, p, err);
}

struct rows {
	struct push *push;
	struct ledger_push *ledger;
	struct inventory_confirmed *inventory;
	size_t count, inventory_count;
	int64_t now_ms;
};

static int intend_work(struct db *db, void *arg, struct err *err)
{
	struct rows *r = arg;
	struct sync *sync = r->push->sync;

	return ledger_intend(db, sync->shop->id, run_id(sync->run), r->now_ms, r->ledger, r->count, err);
}

static int64_t doubt_of(const struct listing *listing, int64_t wanted)
{
	return plan_doubt(listing->known_before, listing->sent, listing->sent_ms, listing->doubt_ms, wanted);
}

/* TEMU said so, and nothing sent earlier, in this call or in an earlier run, may still arrive and say otherwise. What is not
 * certain stays unknown and is read again. */
static bool is_certain(const struct temu_stock_item *item, const struct listing *listing, int64_t now_ms)
{
	return item->outcome == TEMU_STOCK_CONFIRMED && !item->late && !plan_recent(doubt_of(listing, item->target), now_ms);
}

static void fill_push(const struct push *p, size_t index, int64_t now_ms, struct ledger_push *row)
{
	const struct plan_item *change = change_of(p, index);
	const struct temu_stock_item *item = &p->items[index];
	const struct listing *listing = listing_of(p->sync, change);

	*row = (struct ledger_push){
		.sku_id = change->sku_id,
		.target = change->wanted,
		.known = change->known,
		.sent = change->sent,
		.sent_from = listing->sent_from,
		.sent_ms = listing->sent_ms,
		.doubt_ms = doubt_of(listing, change->wanted),
		.confirmed = is_certain(item, listing, now_ms),
		.code = item->code_text,
		.request_id = item->request_id,
	};
}

/* The next batch of rows: known becomes unknown. What was refused without being sent is left out. gripped: a transaction looked at the lease. */
static int intend_next(struct push *p, bool *gripped, struct err *err)
{
	size_t left = p->count - p->intended, batch = (size_t)p->sync->env->settings->write_batch,
	       count = left < batch ? left : batch;
	struct rows r = { .push = p, .now_ms = clock_now_ms() };
	int rc = 0;

	r.ledger = calloc(count, sizeof(*r.ledger));
	if (!r.ledger)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = p->intended; i < p->intended + count; i++)
		if (p->phases[i] == PLANNED)
			fill_push(p, i, r.now_ms, &r.ledger[r.count++]);
	if (r.count > 0)
		rc = push_db(p, true, 1, intend_work, &r, err);
	free(r.ledger);
	if (rc != 0)
		return -1;
	*gripped = *gripped || r.count > 0;
	for (size_t i = p->intended; i < p->intended + count; i++)
		if (p->phases[i] == PLANNED)
			p->phases[i] = INTENDED;
	p->intended += count;
	return 0;
}

static int may_send(struct push *p, struct err *err)
{
	if (p->failed.class != ERR_NONE) {
		*err = p->failed;
		return -1;
	}
	if (run_check(p->sync->run, err) != 0)
		return -1;
	if (!sync_gate_open(p->sync)) {
		p->gate_shut = true;
		return err_set(err, ERR_CANCELLED, "GATE_SHUT", "the shop's gate was shut");
	}
	return 0;
}

/* It was silent when the push began. */
static int check_old_system(struct push *p, struct err *err)
{
	if (clock_mono_ms() - p->old_ms < OLD_LOOK_MS)
		return 0;
	if (sync_check_old_system(p->sync, err) != 0)
		return -1;
	p->old_ms = clock_mono_ms();
	return 0;
}

/* Right before every attempt of every call, also one that waited for the rate budget. */
static int before_call(struct temu_stock_item *const items[], size_t count, void *arg, struct err *err)
{
	struct push *p = arg;
	bool gripped = false;

	if (may_send(p, err) != 0 || check_old_system(p, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		while ((size_t)(items[i] - p->items) >= p->intended)
			if (intend_next(p, &gripped, err) != 0)
				return -1;
	if (!gripped && check_grip(p, err) != 0)
		return -1;
	/* All that may have taken its time. */
	return may_send(p, err);
}

/* --- after it --- */

static int mark_work(struct db *db, void *arg, struct err *err)
{
	struct rows *r = arg;

	if (ledger_judge(db, r->push->sync->shop->id, r->now_ms, r->ledger, r->count, err) != 0)
		return -1;
	return inventory_confirm(db, r->inventory, r->inventory_count, err);
}

/* again: it is in quarantine, and this was its try of the day. */
static void count_outcome(struct sync *sync, const struct temu_stock_item *item, bool again)
{
	struct sync_figures *f = &sync->figures;

	switch (item->outcome) {
	case TEMU_STOCK_UNSENT:
		return;
	case TEMU_STOCK_CONFIRMED:
		f->pushed++;
		f->zeros_pushed += item->target == 0;
		run_count(sync->run, RUN_CHANGED, 1);
		return;
	case TEMU_STOCK_REFUSED:
		f->refused++;
		f->refused_again += again;
		break;
	case TEMU_STOCK_UNKNOWN:
		f->unknown++;
		break;
	}
	run_count(sync->run, RUN_REFUSED, 1);
	if (f->refused + f->unknown <= LINES_MAX)
		log_warning("SKU %" PRId64 " of goods %" PRId64 ": %s, %s %s (request %s)", item->sku_id, item->goods_id,
		            temu_stock_outcome_name(item->outcome), item->code_text, item->reason, item->request_id);
}

static int mark_rows(struct push *p, struct rows *r, struct err *err)
{
	bool old = sync_may_write_old(p->sync);

	for (size_t i = 0; i < r->count; i++) {
		const struct plan_item *change = change_of(p, p->decided[i]);
		const struct listing *listing = listing_of(p->sync, change);

		fill_push(p, p->decided[i], r->now_ms, &r->ledger[i]);
		if (old && r->ledger[i].confirmed && listing->product.set)
			r->inventory[r->inventory_count++] =
			    (struct inventory_confirmed){ listing->product.value, change->wanted };
	}
	return push_db(p, true, 1 + (r->inventory_count > 0), mark_work, r, err);
}

static int journal_rows(struct push *p, int64_t now_ms, struct err *err)
{
	struct item_batch batch;
	int rc;

	if (batch_init(&batch, p->decided_count, err) != 0)
		return -1;
	for (size_t i = 0; i < p->decided_count; i++) {
		const struct temu_stock_item *item = &p->items[p->decided[i]];
		struct item_record *record = &batch.records[i];

		fill_record(p->sync, change_of(p, p->decided[i]), record, &batch.details[i]);
		record->outcome = outcome_of(item->outcome);
		record->code = item->code_text;
		record->request_id = item->request_id;
		record->text = item->reason;
		if (item->outcome == TEMU_STOCK_CONFIRMED && !is_certain(item, listing_of(p->sync, change_of(p, p->decided[i])), now_ms))
			record->text = "confirmed; an earlier attempt may still arrive, so it is read again";
	}
	rc = run_items_judge(p->sync->run, batch.records, p->decided_count, err);
	batch_release(&batch);
	return rc;
}

static bool refused_for_good(const struct temu_stock_item *item)
{
	return item->outcome == TEMU_STOCK_REFUSED &&
	       (item->code == 0 || temu_class_err(temu_code_class(item->code, item->reason)) == ERR_PERM);
}

/* What says something about the SKU itself: refused for good, or taken again. */
static int judge_quarantine(struct push *p, struct err *err)
{
	const struct sync_figures *f = &p->sync->figures;
	bool all_refused = f->pushed == 0 && f->refused - f->refused_again >= REFUSED_ALL;
	struct quarantine_verdict *verdicts = calloc(p->decided_count, sizeof(*verdicts));
	size_t count = 0;
	int rc;

	if (!verdicts)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = 0; i < p->decided_count; i++) {
		const struct temu_stock_item *item = &p->items[p->decided[i]];
		bool refused = refused_for_good(item), taken = item->outcome == TEMU_STOCK_CONFIRMED;
		bool again = change_of(p, p->decided[i])->retry; /* its next try is put off in any case */

		if ((refused && (again || !all_refused)) || (taken && sync_quarantine_find(p->sync, item->sku_id)))
			verdicts[count++] = (struct quarantine_verdict){ .sku_id = item->sku_id,
				                                         .goods_id = item->goods_id,
				                                         .refused = refused,
				                                         .sku = listing_of(p->sync, change_of(p, p->decided[i]))->sku,
				                                         .code = item->code_text,
				                                         .text = item->reason,
				                                         .request_id = item->request_id };
	}
	rc = sync_quarantine_judge(p->sync, verdicts, count, err);
	free(verdicts);
	return rc;
}

/* Marks what was decided: the database first, the journal second, so that the journal never says more than is true; its items last, since
 * an item that is still open has a later attempt of the run look after the rest. */
static int mark_decided(struct push *p, struct err *err)
{
	struct rows r = { .push = p, .count = p->decided_count, .now_ms = clock_now_ms() };
	int rc = -1;

	if (p->decided_count == 0)
		return 0;
	r.ledger = calloc(r.count, sizeof(*r.ledger));
	r.inventory = calloc(r.count, sizeof(*r.inventory));
	if (!r.ledger || !r.inventory)
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	else if (mark_rows(p, &r, err) == 0 && judge_quarantine(p, err) == 0 && journal_rows(p, r.now_ms, err) == 0)
		rc = 0;
	if (rc == 0) {
		for (size_t i = 0; i < p->decided_count; i++)
			p->phases[p->decided[i]] = MARKED;
		log_info("%" PRId64 " of %zu pushed, %" PRId64 " refused, %" PRId64 " unknown", p->sync->figures.pushed, p->count,
		         p->sync->figures.refused, p->sync->figures.unknown);
		p->decided_count = 0;
	}
	free(r.ledger);
	free(r.inventory);
	return rc;
}

static void item_done(struct temu_stock_item *item, void *arg)
{
	struct push *p = arg;
	size_t index = (size_t)(item - p->items);

	if (item->outcome == TEMU_STOCK_UNSENT) {
		if (p->unsent.class == ERR_NONE)
			err_set(&p->unsent, ERR_TEMP, "PUSH_UNSENT", "not everything could be sent, first SKU %" PRId64 ": %s %s",
			        item->sku_id, item->code_text, item->reason);
		return;
	}
	p->phases[index] = DECIDED;
	p->decided[p->decided_count++] = index;
	count_outcome(p->sync, item, change_of(p, index)->retry);
	run_progress(p->sync->run, p->sync->figures.pushed + p->sync->figures.refused + p->sync->figures.unknown,
	             (int64_t)p->count);
	if (p->decided_count >= (size_t)p->sync->env->settings->write_batch && p->failed.class == ERR_NONE)
		(void)!mark_decided(p, &p->failed);
}

/* Asked while calls are under way or wait; no statement here, it would hold them up. */
static bool must_stop(void *arg)
{
	struct push *p = arg;

	p->gate_shut = p->gate_shut || !sync_gate_open(p->sync);
	return p->failed.class != ERR_NONE || p->gate_shut || run_stopping(p->sync->run);
}

/* --- what was intended and certainly not sent --- */

static int restore_work(struct db *db, void *arg, struct err *err)
{
	struct rows *r = arg;
	struct sync *sync = r->push->sync;

	return ledger_restore(db, sync->shop->id, run_id(sync->run), r->ledger, r->count, err);
}

static bool certainly_unsent(const struct push *p, size_t index)
{
	return p->phases[index] == INTENDED && p->items[index].outcome == TEMU_STOCK_UNSENT;
}

static int restore_unsent(struct push *p, struct err *err)
{
	struct rows r = { .push = p };
	size_t count = 0;
	int rc = 0;

	for (size_t i = 0; i < p->intended; i++)
		count += certainly_unsent(p, i);
	if (count == 0)
		return 0;
	r.ledger = calloc(count, sizeof(*r.ledger));
	if (!r.ledger)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = 0; i < p->intended; i++)
		if (certainly_unsent(p, i)) {
			fill_push(p, i, 0, &r.ledger[r.count]);
			r.ledger[r.count++].doubt_ms = listing_of(p->sync, change_of(p, i))->doubt_ms;
		}
	rc = push_db(p, true, 1, restore_work, &r, err);
	free(r.ledger);
	return rc;
}

/* --- sending --- */

static int push_init(struct push *p, struct sync *sync, struct err *err)
{
	size_t count = sync->plan.count;

	*p = (struct push){ .sync = sync, .count = count, .old_ms = clock_mono_ms(), .failed = ERR_INIT, .unsent = ERR_INIT };
	p->items = calloc(count, sizeof(*p->items));
	p->phases = calloc(count, sizeof(*p->phases));
	p->decided = calloc(count, sizeof(*p->decided));
	if (!p->items || !p->phases || !p->decided)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for %zu changes", count);
	for (size_t i = 0; i < count; i++) {
		const struct plan_item *change = change_of(p, i);

		p->items[i] =
		    (struct temu_stock_item){ .sku_id = change->sku_id, .goods_id = change->goods_id, .target = change->wanted };
	}
	return 0;
}

/* Whatever ended the sending, what was decided is marked and what was not sent is put back, if the server lets us: if not, the
 * rows stay unknown, which is safe. */
static int settle(struct push *p, int sent, struct err *err)
{
	struct err inner = ERR_INIT;

	p->last_word = true;
	if (mark_decided(p, &inner) != 0 || restore_unsent(p, &inner) != 0) {
		if (sent != 0)
			log_warning("after the stop: %s; these SKUs stay unknown", inner.text);
		else if (err)
			*err = inner;
		return -1;
	}
	/* The sending came to its end, but single calls came to nothing: the rest is another attempt's. */
	if (sent == 0 && p->unsent.class != ERR_NONE) {
		if (err)
			*err = p->unsent;
		return -1;
	}
	return sent;
}

/* The rest stays planned. */
static void gate_shut(struct push *p)
{
	struct sync *sync = p->sync;

	sync->cut_short = true;
	sync->note = "the gate was shut while pushing: the rest is planned only";
	log_warning("gate shut after %" PRId64 " of %zu changes: the rest is planned only", sync->figures.pushed, p->count);
}

int sync_send(struct sync *sync, struct err *err)
{
	int64_t deadline = run_deadline_mono_ms(sync->run);
	struct push p = { .sync = sync };
	struct temu_limits limits = {
		.cancelled = must_stop, .arg = &p, .deadline_ms = deadline == INT64_MAX ? 0 : deadline, .grace_ms = GRACE_MS
	};
	struct temu_stock_request request = { .batch = sync->env->settings->temu_push_batch,
		                              .key_prefix = "stock",
		                              .before = before_call,
		                              .done = item_done,
		                              .arg = &p,
		                              .limits = &limits };
	int rc = push_init(&p, sync, err) == 0 ? sync_store_planned(sync, err) : -1;

	if (rc == 0) {
		request.items = p.items;
		request.count = p.count;
		rc = temu_stock_push(sync->temu, &request, err);
		if (p.failed.class != ERR_NONE && err) {
			*err = p.failed;
			rc = -1;
		}
		rc = settle(&p, rc, err);
		for (size_t i = 0; i < p.count; i++)
			sync->figures.planned += p.phases[i] < DECIDED;
		if (rc != 0 && p.gate_shut && p.failed.class == ERR_NONE) {
			gate_shut(&p);
			rc = 0;
		}
	}
	if (sync->figures.refused - sync->figures.refused_again + sync->figures.unknown > 0)
		run_partial(sync->run);
	free(p.items);
	free(p.phases);
	free(p.decided);
	return rc;
}
