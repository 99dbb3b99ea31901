/* Step upsert: what the catalogue brought into the ledger and temu_products. Only rows that say something new are written;
 * batches of database.write_batch rows, each its own transaction. */
#include <inttypes.h>
#include <stdlib.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/db/claims.h"
#include "worker/db/products.h"
#include "worker/jobs/sync.h"

struct saving {
	struct sync *sync;
	const struct ledger_listing *rows;
	const int64_t *retired;
	size_t count;
	int64_t now_ms;
	bool old; /* the old system's table too */
};

static int save_work(struct db *db, void *arg, struct err *err)
{
	struct saving *s = arg;
	int64_t shop = s->sync->shop->id;

	if (s->old && products_save(db, shop, s->rows, s->count, err) != 0)
		return -1;
	return ledger_save(db, shop, run_id(s->sync->run), s->now_ms, s->rows, s->count, err);
}

static int retire_work(struct db *db, void *arg, struct err *err)
{
	struct saving *s = arg;
	int64_t shop = s->sync->shop->id;

	if (s->old && products_retire(db, shop, s->retired, s->count, err) != 0)
		return -1;
	return ledger_retire(db, shop, run_id(s->sync->run), s->now_ms, s->retired, s->count, err);
}

static int shop_work(struct db *db, void *arg, struct err *err)
{
	struct saving *s = arg;

	return ledger_shop_set(db, s->sync->shop->id, run_id(s->sync->run), s->now_ms, s->sync->figures.seen, err);
}

static int take_refresh(void *arg, const struct ledger_row *row, struct err *err)
{
	(void)err;
	listings_refresh(arg, row);
	return 0;
}

static int refresh_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;
	struct ledger_shop state = { .complete = false };

	return ledger_read(db, sync->shop->id, &state, take_refresh, &sync->list, err);
}

static bool to_save(const struct listing *item, bool old)
{
	return item->reported.set && (!item->ledger_same || item->known_changed || (old && !item->product_same));
}

static int save_batch(struct sync *sync, const struct ledger_listing *rows, const int64_t *retired, size_t count, struct err *err)
{
	struct saving s = { sync, rows, retired, count, clock_now_ms(), sync_may_write_old(sync) };

	if (run_check(sync->run, err) != 0)
		return -1;
	return sync_db(sync, true, s.old ? 2 : 1, rows ? save_work : retire_work, &s, err);
}

static int save_changed(struct sync *sync, bool old, int64_t *saved, struct err *err)
{
	size_t batch = (size_t)sync->env->settings->write_batch, used = 0;
	struct ledger_listing *rows = calloc(batch, sizeof(*rows));
	int rc = rows ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (to_save(item, old)) {
			rows[used++] = (struct ledger_listing){ .sku_id = item->sku_id,
				                                .goods_id = item->goods_id,
				                                .sku = item->sku,
				                                .goods_name = item->name,
				                                .judge = item->believed,
				                                .known = item->known };
			(*saved)++;
		}
		if (used == batch) {
			rc = save_batch(sync, rows, NULL, used, err);
			used = 0;
			run_progress(sync->run, (int64_t)i + 1, (int64_t)sync->list.count);
		}
	}
	if (rc == 0 && used > 0)
		rc = save_batch(sync, rows, NULL, used, err);
	free(rows);
	return rc;
}

static int save_vanished(struct sync *sync, struct err *err)
{
	size_t batch = (size_t)sync->env->settings->write_batch, used = 0;
	int64_t *ids = calloc(batch, sizeof(*ids));
	int rc = ids ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (!item->was_active || item->active)
			continue;
		ids[used++] = item->sku_id;
		if (used == batch) {
			rc = save_batch(sync, NULL, ids, used, err);
			used = 0;
		}
	}
	if (rc == 0 && used > 0)
		rc = save_batch(sync, NULL, ids, used, err);
	free(ids);
	return rc;
}

static void count_changes(struct sync *sync)
{
	for (size_t i = 0; i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (item->fresh)
			sync->figures.fresh++;
		if (!item->was_active || item->active)
			continue;
		if (sync->figures.vanished++ < 20)
			log_warning("SKU %" PRId64 " \"%s\" is not at TEMU any more: left alone from now on", item->sku_id,
			            item->sku);
	}
}

/* --- whose they are --- */

static int claims_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;

	return claims_read(db, sync->shop->id, &sync->claims, err);
}

/* Told, and gone on with: each listing still gets what JTL has, and a person is to say which shop it is to be. */
static int check_claims(struct sync *sync, struct err *err)
{
	const struct claims *claims = &sync->claims;
	struct err inner = ERR_INIT;

	if (sync_db(sync, false, 1, claims_work, sync, &inner) != 0) {
		if (inner.class != ERR_PERM) {
			*err = inner;
			return -1;
		}
		log_warning("whether another shop has these SKUs too could not be looked up: %s (%s)", inner.text, inner.code);
		return 0;
	}
	if (claims->count > 0)
		run_alarm(sync->run, "CLAIMS_OTHER_SHOP",
		          "%" PRId64 " SKUs of shop %" PRId64 " are listings of shop %" PRId64 " too, first skuId %" PRId64
		          ": two shops here are one at TEMU, or an access token is another shop's. Both shops' settings take turns on them: "
		          "correct shops[], and for a shop that is not synced any more UPDATE dbo.temu_ledger SET active = 0 WHERE shop = %" PRId64,
		          claims->count, sync->shop->id, claims->shop, claims->sku_id, claims->shop);
	return 0;
}

int sync_upsert(struct sync *sync, struct err *err)
{
	struct saving shop = { .sync = sync, .now_ms = clock_now_ms() };
	bool old = sync_may_write_old(sync);
	int64_t saved = 0;

	count_changes(sync);
	if (sync->dry) {
		log_info("dry run: nothing stored; %" PRId64 " new listings, %" PRId64 " vanished", sync->figures.fresh,
		         sync->figures.vanished);
		return 0;
	}
	if (save_changed(sync, old, &saved, err) != 0 || save_vanished(sync, err) != 0 || sync_quarantine_vanished(sync, err) != 0 ||
	    sync_db(sync, true, 1, shop_work, &shop, err) != 0)
		return -1;
	if (check_claims(sync, err) != 0)
		return -1;
	if (saved > 0 && sync_db(sync, false, 1, refresh_work, sync, err) != 0)
		return -1;
	log_info("%" PRId64 " listings stored, of them %" PRId64 " new; %" PRId64 " vanished", saved, sync->figures.fresh,
	         sync->figures.vanished);
	return 0;
}
