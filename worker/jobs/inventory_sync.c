/* The descriptor of the inventory sync: parameters, beginning and end of an attempt, its result. The steps are in the sync_*.c
 * files and push.c. */
#include "worker/jobs/inventory_sync.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/jobs/keeper.h"
#include "worker/jobs/rules.h"
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

static void sync_free(struct sync *sync)
{
	plan_release(&sync->plan);
	listings_release(&sync->list);
	sync_quarantine_release(sync);
	sync_confirmation_release(sync);
	temu_free(sync->temu);
	free(sync);
}

static int begin_shop(struct sync *sync, struct err *err)
{
	const struct settings *settings = sync->env->settings;

	sync->shop = settings_shop(settings, run_shop(sync->run));
	if (!sync->shop)
		return err_set(err, ERR_PERM, "SHOP_UNKNOWN", "shop %" PRId64 " is not in the configuration", run_shop(sync->run));
	rules_text(sync->shop, settings->jtl_database, sync->rules);
	if (sync_confirmation_load(sync, err) != 0 || sync_resume_begin(sync, err) != 0)
		return -1;
	sync->temu = jobs_temu_new(settings, sync->shop, err);
	return sync->temu ? 0 : -1;
}

static void *begin(struct run *run, void *env, struct err *err)
{
	const struct json *params = run_params(run);
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync) {
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
		return NULL;
	}
	sync->env = env;
	sync->run = run;
	sync->note = "";
	sync->full = strcmp(json_get_string(params, "mode", "full"), "quick") != 0;
	sync->dry = json_get_bool(params, "dry_run", false);
	sync->figures.sold_out = -1;
	for (int i = 0; i < SYNC_STEPS; i++)
		sync->figures.duration_ms[i] = -1;
	if (begin_shop(sync, err) == 0)
		return sync;
	sync_free(sync);
	return NULL;
}

/* --- shared by the steps --- */

bool sync_gate_open(const struct sync *sync)
{
	enum gate gate = run_gate(sync->run);

	return gate == GATE_STOCK || gate == GATE_ALL;
}

bool sync_may_write_old(const struct sync *sync)
{
	return !sync->dry && sync->old_silent && sync_gate_open(sync);
}

int sync_db_within(struct sync *sync, const struct db_limit *limit, bool transaction, int64_t statements, db_work_fn *work, void *arg,
                   struct err *err)
{
	struct db_fence fence = lease_fence(&sync->grip);

	assert(!transaction || !sync->dry);
	if (jobs_db_run(sync->env, limit, transaction ? &fence : NULL, transaction, work, arg, err) != 0) {
		keeper_lost(sync->env->keeper, sync->shop->id, err);
		return -1;
	}
	sync->figures.statements += statements + (transaction ? 2 : 0);
	return 0;
}

int sync_db(struct sync *sync, bool transaction, int64_t statements, db_work_fn *work, void *arg, struct err *err)
{
	struct db_limit limit = jobs_db_limit(sync->run);

	return sync_db_within(sync, &limit, transaction, statements, work, arg, err);
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
		{ "buffers", f->buffers },
		{ "quarantined", f->quarantined },
		{ "statements", f->statements },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_add_int64(out, numbers[i].name, numbers[i].value);
}

#define RESULT_MAX 60000 /* below RUN_RESULT_MAX */
#define REPORT_ROOM 20000 /* of the report: no more examples from there on */
#define NEAR_ROOM 48000   /* the list of near misses ends here; the figure counts them all */

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

/* What the guard found, and what a person needs to know to judge the plan. */
static void add_guard(const struct sync *sync, struct buf *out)
{
	const struct sync_figures *f = &sync->figures;
	struct buf words;

	json_add_bool(out, "guard", sync->verdict.any);
	json_array_open(out, "guards");
	guard_names(&sync->verdict, out);
	json_array_close(out);
	if (f->sold_out >= 0)
		json_add_int64(out, "sold_out_for_sale", f->sold_out > f->zeros_pushed ? f->sold_out - f->zeros_pushed : 0);
	json_add_string(out, "rules", sync->rules);
	if (sync->state.accepted && strcmp(sync->state.rules, sync->rules) != 0) {
		buf_init(&words, 8192);
		rules_diff(sync->state.rules, sync->rules, &words);
		json_add_string(out, "rules_changed", buf_text(&words));
		buf_release(&words);
	}
	if (sync->confirmation.plan[0])
		json_add_string(out, "confirms", sync->confirmation.plan);
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
	add_guard(sync, &out);
	json_add_string(&out, "note", sync->note);
	json_add_string(&out, "jtl_version", sync->probe.version);
	json_object_open(&out, "duration_ms");
	for (int i = 0; i < SYNC_STEPS; i++)
		if (sync->figures.duration_ms[i] >= 0)
			json_add_int64(&out, step_names[i], sync->figures.duration_ms[i]);
	json_object_close(&out);
	report_print(&sync->report, "report", REPORT_ROOM, &out);
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
	sync_free(sync);
}

/* --- steps --- */

static int timed(struct sync *sync, enum sync_step step, int (*work)(struct sync *, struct err *), struct err *err)
{
	int64_t begun = clock_mono_ms();
	int rc = sync_prepare(sync, err);

	if (rc == 0)
		rc = work(sync, err);
	sync->figures.duration_ms[step] = clock_mono_ms() - begun;
	/* Why the shop's runs are held; one that goes on, or fails for another reason, is not. */
	if (rc != 0 && err->class == ERR_HOLD)
		jobs_shop_blocked(sync->env, sync->shop->id, err);
	else if (!sync->dry && (rc == 0 || err->class != ERR_CANCELLED))
		jobs_shop_blocked(sync->env, sync->shop->id, NULL);
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
	.confirmable = GUARD_CODES,
	.check = check_params,
	.begin = begin,
	.end = end,
};
