/* What comes before the first step of an attempt: may this installation write at all, is the own database ready, is JTL as it was. What
 * is wrong there holds the run; nothing was written by then. */
#include <inttypes.h>
#include <string.h>
#include "common/log.h"
#include "worker/db/old_system.h"
#include "worker/db/schema.h"
#include "worker/jobs/keeper.h"
#include "worker/jobs/sync.h"

#define WORDS_MAX 4000

static int take_ledger(void *arg, const struct ledger_row *row, struct err *err)
{
	return listings_add_ledger(arg, row, err);
}

/* A probe that fails says whether JTL was updated. */
static int probe_jtl(struct db *db, struct sync *sync, struct err *err)
{
	const struct shop_settings *shop = sync->shop;
	const char *before = sync->state.jtl_version, *now = sync->probe.version;

	if (jtl_stock_probe(db, sync->env->settings->jtl_database, wanted_source(shop->formula), shop->warehouses.values,
	                    shop->warehouses.count, &sync->probe, err) == 0)
		return 0;
	if (before[0] && now[0] && strcmp(before, now) != 0)
		err_context(err, "JTL's version changed from %s to %s", before, now);
	/* The run waits, but nothing goes on before a person has looked. */
	if (!sync->dry && (strcmp(err->code, "JTL_OBJECT") == 0 || strcmp(err->code, "JTL_WAREHOUSE") == 0))
		run_alarm(sync->run, err->code, "%s", err->text);
	return -1;
}

static int old_system_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;

	if (old_system_check(db, sync->env->settings->old_quiet_s, err) != 0)
		return -1;
	sync->old_silent = true;
	return 0;
}

static int prepare_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;
	struct schema_list schema = schema_own();

	listings_release(&sync->list);
	if (schema_check(db, &schema, err) != 0 ||
	    (!sync->dry && keeper_grip(sync->env->keeper, db, sync->shop->id, &sync->grip, err) != 0) ||
	    (!sync->dry && sync_gate_open(sync) && old_system_work(db, sync, err) != 0) ||
	    ledger_read(db, sync->shop->id, &sync->state, take_ledger, &sync->list, err) != 0)
		return -1;
	return probe_jtl(db, sync, err);
}

static int old_read_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;

	return old_system_check_read(db, sync->shop->id, sync->env->settings->old_quiet_s, err);
}

int sync_check_old_system(struct sync *sync, struct err *err)
{
	return sync_db(sync, false, 1, old_system_work, sync, err);
}

/* --- what changed in JTL --- */

static int jtl_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;

	return ledger_jtl_set(db, sync->shop->id, sync->probe.version,
	                      sync->probe.objects[0] ? sync->probe.objects : sync->state.jtl_objects, err);
}

/* The words for it; nothing when it is as it was, or was never seen before. */
static void jtl_words(const struct sync *sync, struct buf *words)
{
	const struct ledger_shop *before = &sync->state;
	struct buf objects;

	if (before->jtl_version[0] && strcmp(before->jtl_version, sync->probe.version) != 0)
		buf_addf(words, "version %s -> %s", before->jtl_version, sync->probe.version);
	if (!before->jtl_objects[0] || !sync->probe.objects[0])
		return;
	buf_init(&objects, WORDS_MAX / 2);
	if (jtl_probe_diff(before->jtl_objects, sync->probe.objects, &objects) > 0)
		buf_addf(words, "%s%s", words->len ? "; " : "", buf_text(&objects));
	buf_release(&objects);
}

static int watch_jtl(struct sync *sync, struct err *err)
{
	const struct ledger_shop *before = &sync->state;
	struct buf words;
	int rc = 0;

	if (strcmp(before->jtl_version, sync->probe.version) == 0 &&
	    (!sync->probe.objects[0] || strcmp(before->jtl_objects, sync->probe.objects) == 0))
		return 0;
	buf_init(&words, WORDS_MAX);
	jtl_words(sync, &words);
	if (sync->dry && words.len > 0)
		log_warning("JTL changed: %s", buf_text(&words));
	/* Told before it is stored: a kill in between tells it twice, and never not at all. */
	if (!sync->dry && words.len > 0)
		run_alarm(sync->run, "JTL_CHANGED", "JTL changed, and what is read of it is still there: %s. Runs go on; look at the next plan",
		          buf_text(&words));
	buf_release(&words);
	if (!sync->dry)
		rc = sync_db(sync, true, 1, jtl_work, sync, err);
	return rc;
}

int sync_prepare(struct sync *sync, struct err *err)
{
	if (sync->prepared)
		return 0;
	if (sync_db(sync, false, 6 + (!sync->dry && sync_gate_open(sync)), prepare_work, sync, err) != 0)
		return -1;
	if (!sync->full && !sync->state.complete)
		return err_set(err, ERR_PERM, "QUICK_NEEDS_FULL",
		               "TEMU was never read completely for shop %" PRId64 ": run mode full first", sync->shop->id);
	if (!sync->full && sync_db(sync, false, 1, old_read_work, sync, err) != 0)
		return -1;
	log_info("JTL %s, collation %s%s; %zu listings in the ledger", sync->probe.version, sync->probe.collation,
	         sync->probe.snapshot ? ", read committed snapshot" : "", sync->list.count);
	if (watch_jtl(sync, err) != 0)
		return -1;
	sync->prepared = true;
	return 0;
}
