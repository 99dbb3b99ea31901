/* The descriptor of the inventory sync: parameters, beginning and end of an attempt, its result. The steps are in the sync_*.c
 * files and push.c. */
#include "worker/jobs/inventory_sync.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/db/schema.h"
#include "worker/jobs/sync.h"

/* --- parameters --- */

static int check_member(const struct json *member, struct err *err)
{
	const char *name = json_name(member), *text = json_string(member);
	bool flag;

	if (strcmp(name, "mode") == 0) {
		if (text && (strcmp(text, "full") == 0 || strcmp(text, "quick") == 0))
			return 0;
		return err_set(err, ERR_PERM, "BAD_REQUEST", "params.mode: \"full\" or \"quick\" expected");
	}
	if (strcmp(name, "dry_run") == 0) {
		if (json_bool(member, &flag) == 0)
			return 0;
		return err_set(err, ERR_PERM, "BAD_REQUEST", "params.dry_run: true or false expected");
	}
	return err_set(err, ERR_PERM, "BAD_REQUEST", "params.%.60s: unknown; known are mode and dry_run", name);
}

static int check_params(const struct json *params, struct err *err)
{
	for (const struct json *member = json_first(params); member; member = json_next(member))
		if (check_member(member, err) != 0)
			return -1;
	return 0;
}

/* --- begin --- */

static void *begin(struct run *run, void *env, struct err *err)
{
	struct jobs_env *jobs = env;
	const struct json *params = run_params(run);
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync) {
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
		return NULL;
	}
	sync->env = jobs;
	sync->run = run;
	sync->note = "";
	sync->full = strcmp(json_get_string(params, "mode", "full"), "quick") != 0;
	sync->dry = json_get_bool(params, "dry_run", false);
	for (int i = 0; i < SYNC_STEPS; i++)
		sync->figures.duration_ms[i] = -1;
	sync->shop = settings_shop(jobs->settings, run_shop(run));
	if (!sync->shop)
		err_set(err, ERR_PERM, "SHOP_UNKNOWN", "shop %" PRId64 " is not in the configuration", run_shop(run));
	else if (sync_resume_begin(sync, err) == 0)
		sync->temu = jobs_temu_new(jobs->settings, sync->shop, err);
	if (!sync->temu) {
		free(sync);
		return NULL;
	}
	return sync;
}

/* --- prepare --- */

static int take_ledger(void *arg, const struct ledger_row *row, struct err *err)
{
	return listings_add_ledger(arg, row, err);
}

static int prepare_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;
	const struct shop_settings *shop = sync->shop;
	struct schema_list schema = schema_own();

	listings_release(&sync->list);
	if (schema_check(db, &schema, err) != 0 ||
	    jtl_stock_probe(db, sync->env->settings->jtl_database, wanted_source(shop->formula), shop->warehouses.values,
	                    shop->warehouses.count, &sync->probe, err) != 0)
		return -1;
	return ledger_read(db, shop->id, &sync->state, take_ledger, &sync->list, err);
}

int sync_prepare(struct sync *sync, struct err *err)
{
	if (sync->prepared)
		return 0;
	if (sync_db(sync, false, 5, prepare_work, sync, err) != 0)
		return -1;
	if (!sync->full && !sync->state.complete)
		return err_set(err, ERR_PERM, "QUICK_NEEDS_FULL",
		               "TEMU was never read completely for shop %" PRId64 ": run mode full first", sync->shop->id);
	log_info("JTL %s, collation %s%s; %zu listings in the ledger", sync->probe.version, sync->probe.collation,
	         sync->probe.snapshot ? ", read committed snapshot" : "", sync->list.count);
	sync->prepared = true;
	return 0;
}

/* --- shared by the steps --- */

bool sync_gate_open(const struct sync *sync)
{
	enum gate gate = run_gate(sync->run);

	return gate == GATE_STOCK || gate == GATE_ALL;
}

bool sync_may_write_old(const struct sync *sync)
{
	return !sync->dry && sync_gate_open(sync);
}

int sync_db(struct sync *sync, bool transaction, int64_t statements, db_work_fn *work, void *arg, struct err *err)
{
	struct db_limit limit = jobs_db_limit(sync->run);

	if (jobs_db_run(sync->env, &limit, NULL, transaction, work, arg, err) != 0)
		return -1;
	sync->figures.statements += statements + (transaction ? 2 : 0);
	return 0;
}

int sync_items(struct sync *sync, const struct item_record *items, size_t count, struct err *err)
{
	return count == 0 ? 0 : run_items_judge(sync->run, items, count, err);
}

void sync_detail(const struct listing *listing, struct buf *out)
{
	char stock[QUANTITY_TEXT_MAX];

	buf_clear(out);
	json_object_open(out, NULL);
	if (listing->article.set) {
		json_add_int64(out, "article", listing->article.value);
		json_add_string(out, "rule", listing->wanted.reason);
		json_add_string(out, "jtl_stock", quantity_format(listing->wanted.stock, stock));
		json_add_int64(out, "buffer", listing->wanted.buffer);
	}
	if (listing->near)
		json_add_string(out, "jtl_sku", listing->near);
	json_object_close(out);
}

/* --- end --- */

static const char *const step_names[SYNC_STEPS] = { "fetch", "upsert", "stock", "push" };

static void add_figures(const struct sync *sync, struct buf *out)
{
	const struct sync_figures *f = &sync->figures;
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
		{ "seen", f->seen },
		{ "mapped", f->mapped },
		{ "unmapped", f->unmapped },
		{ "skipped", f->skipped },
		{ "changed", f->changed },
		{ "pushed", f->pushed },
		{ "refused", f->refused },
		{ "unknown", f->unknown },
		{ "planned", f->planned },
		{ "goods", f->goods },
		{ "zeros", f->zeros },
		{ "lowered", f->lowered },
		{ "raised", f->raised },
		{ "new", f->fresh },
		{ "vanished", f->vanished },
		{ "bad_rows", f->bad_rows },
		{ "near_misses", f->near },
		{ "doubled_rows", f->doubled },
		{ "null_stocks", f->nulls },
		{ "missing_components", f->missing_components },
		{ "statements", f->statements },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_add_int64(out, numbers[i].name, numbers[i].value);
}

#define RESULT_MAX 60000 /* below RUN_RESULT_MAX */
#define NEAR_ROOM 40000  /* the list of near misses ends here; the figure counts them all */

/* SKUs that JTL spells otherwise, for people to put right. */
static void add_near_misses(const struct sync *sync, struct buf *out)
{
	json_array_open(out, "near_miss_list");
	for (size_t i = 0; i < sync->list.count && out->len < NEAR_ROOM; i++) {
		const struct listing *item = &sync->list.items[i];

		if (!item->near)
			continue;
		json_object_open(out, NULL);
		json_add_int64(out, "sku_id", item->sku_id);
		json_add_string(out, "sku", item->sku);
		json_add_string(out, "jtl_sku", item->near);
		json_add_bool(out, "mapped", item->article.set);
		json_object_close(out);
	}
	json_array_close(out);
}

static void set_result(struct sync *sync)
{
	struct temu_stats stats;
	struct buf out;

	sync_resume_tally(sync);
	temu_stats_get(sync->temu, &stats);
	buf_init(&out, RESULT_MAX);
	json_object_open(&out, NULL);
	json_add_string(&out, "mode", sync->full ? "full" : "quick");
	json_add_bool(&out, "dry_run", sync->dry);
	add_figures(sync, &out);
	json_add_int64(&out, "requests", stats.requests + sync->earlier.requests);
	json_add_int64(&out, "retries", stats.retries + sync->earlier.retries);
	json_add_bool(&out, "guard", sync->guarded);
	json_add_string(&out, "note", sync->note);
	json_add_string(&out, "jtl_version", sync->probe.version);
	json_object_open(&out, "duration_ms");
	for (int i = 0; i < SYNC_STEPS; i++)
		if (sync->figures.duration_ms[i] >= 0)
			json_add_int64(&out, step_names[i], sync->figures.duration_ms[i]);
	json_object_close(&out);
	add_near_misses(sync, &out);
	json_object_close(&out);
	if (!out.failed)
		run_result_set(sync->run, buf_text(&out));
	buf_release(&out);
}

static void end(struct run *run, void *state)
{
	struct sync *sync = state;

	(void)run;
	set_result(sync);
	plan_release(&sync->plan);
	listings_release(&sync->list);
	temu_free(sync->temu);
	free(sync);
}

/* --- steps --- */

static int timed(struct sync *sync, enum sync_step step, int (*work)(struct sync *, struct err *), struct err *err)
{
	int64_t begun = clock_mono_ms();
	int rc = sync_prepare(sync, err);

	if (rc == 0)
		rc = work(sync, err);
	sync->figures.duration_ms[step] = clock_mono_ms() - begun;
	return rc;
}

static int fetch(struct run *run, void *state, struct err *err)
{
	(void)run;
	return timed(state, SYNC_FETCH, sync_fetch, err);
}

static int upsert(struct run *run, void *state, struct err *err)
{
	(void)run;
	return timed(state, SYNC_UPSERT, sync_upsert, err);
}

static int stock(struct run *run, void *state, struct err *err)
{
	(void)run;
	return timed(state, SYNC_STOCK, sync_stock, err);
}

static int push(struct run *run, void *state, struct err *err)
{
	(void)run;
	return timed(state, SYNC_PUSH, sync_push, err);
}

static bool full(struct run *run, void *state)
{
	(void)run;
	return ((struct sync *)state)->full;
}

static const struct job_step steps[] = {
	{ .name = "fetch", .work = fetch, .wanted = full },
	{ .name = "upsert", .work = upsert, .wanted = full },
	{ .name = "stock", .work = stock },
	{ .name = "push", .work = push },
};

const struct job_type inventory_sync_job = {
	.id = "temu_inventory_sync",
	.title = "Stock of JTL-Wawi to TEMU",
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.per_shop = true,
	.check = check_params,
	.begin = begin,
	.end = end,
};
