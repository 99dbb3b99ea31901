/* The comparison of two plans, or of a plan with the old system's pushes. Each side is a sorted array of 24 bytes a SKU; the texts stay in
 * the journal and in the tables and are read again page by page. */
#include "worker/jobs/plan_compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/db/old_pushes.h"
#include "worker/db/schema.h"
#include "worker/jobs/env.h"
#include "worker/jobs/inventory_sync.h"
#include "worker/jobs/plan_sides.h"

#define OLD_SYSTEM "old_system"
#define PAGE 500
#define RESULT_MAX 8192
#define TEXT_MAX 400
#define SKU_MAX 520

struct part {
	const char *id; /* of the parameters */
	enum run_state state;
	int64_t started_ms;
	struct side side;
	int64_t after, seen; /* of the page that is read */
	bool large;
};

struct compare {
	struct jobs_env *env;
	struct run *run;
	struct part plan, with;
	bool old, done;
	struct side_figures figures;
	int64_t own, doubled;
	char text[TEXT_MAX];
};

/* --- parameters --- */

static int check_params(const struct json *params, struct err *err)
{
	const char *plan = json_get_string(params, "plan", ""), *with = json_get_string(params, "with", "");

	for (const struct json *member = json_first(params); member; member = json_next(member))
		if (strcmp(json_name(member), "plan") != 0 && strcmp(json_name(member), "with") != 0)
			return err_set(err, ERR_PERM, "BAD_REQUEST", "params.%.60s: unknown; known are plan and with", json_name(member));
	if (!plan[0] || strlen(plan) >= RUN_ID_MAX)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "params.plan: the id of a run of %s expected", inventory_sync_job.id);
	if (!with[0] || strlen(with) >= RUN_ID_MAX)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "params.with: the id of a run of %s or \"%s\" expected", inventory_sync_job.id,
		               OLD_SYSTEM);
	if (strcmp(plan, with) == 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "params.with: another run than params.plan expected");
	return 0;
}

/* --- the sides --- */

static bool part_add(struct part *part, const struct side_row *row)
{
	part->large = part->side.count >= PLAN_COMPARE_MAX;
	return !part->large && side_add(&part->side, row);
}

static int part_check(const struct part *part, struct err *err)
{
	if (part->large)
		return err_set(err, ERR_PERM, "PLAN_LARGE", "%s has more than %d SKUs", part->id, PLAN_COMPARE_MAX);
	return part->side.no_memory ? err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the SKUs of %s", part->id) : 0;
}

/* Whether the item is part of its run's plan. */
static bool is_planned(const struct item_record *item)
{
	switch (item->outcome) {
	case ITEM_PLANNED:
	case ITEM_PUSHED:
	case ITEM_REFUSED:
	case ITEM_UNKNOWN:
		return item->sku_id != 0 && item->has_to;
	case ITEM_SKIPPED:
	case ITEM_UNMAPPED:
	case ITEM_COMPARED:
	case ITEM_OUTCOME_COUNT:
		break;
	}
	return false;
}

static bool take_planned(const struct item_record *item, void *arg)
{
	struct part *part = arg;
	struct side_row row = { .sku_id = item->sku_id,
		                .from = side_number(item->from),
		                .to = side_number(item->to),
		                .flags = item->has_from ? SIDE_FROM : 0 };

	part->after = item->n;
	part->seen++;
	return !is_planned(item) || part_add(part, &row);
}

/* Whether the run came as far as a plan: items tell, and where nothing was to be changed, that its last step had begun. */
static bool had_plan(const struct run_record *record, const struct part *part)
{
	struct err ignored = ERR_INIT;
	struct json *result;
	bool pushed;

	if (part->side.count > 0 || record->state == RUN_SUCCESS || record->state == RUN_PARTIAL)
		return true;
	result = record->result ? json_parse(record->result, strlen(record->result), &ignored) : NULL;
	pushed = json_get_int64(json_get(result, "duration_ms"), "push", -1) >= 0;
	json_free(result);
	return pushed;
}

static int read_items(struct compare *c, struct part *part, struct err *err)
{
	do {
		part->seen = 0;
		if (run_check(c->run, err) != 0 ||
		    journal_items_list(c->env->journal, part->id, -1, part->after, PAGE, take_planned, part, err) != 0 ||
		    part_check(part, err) != 0)
			return -1;
	} while (part->seen == PAGE);
	side_sort(&part->side);
	return 0;
}

static int read_run(struct compare *c, struct part *part, struct err *err)
{
	struct run_record record = { 0 };
	int found = journal_run_get(c->env->journal, part->id, &record, err), rc = -1;

	if (found < 0)
		return -1;
	if (found == 0 || strcmp(record.job, inventory_sync_job.id) != 0 || record.shop != run_shop(c->run)) {
		err_set(err, ERR_PERM, "PLAN_UNKNOWN", "%s is no run of %s of shop %" PRId64, part->id, inventory_sync_job.id,
		        run_shop(c->run));
		goto out;
	}
	part->state = record.state;
	part->started_ms = record.started_ms ? record.started_ms : record.created_ms;
	if (!run_state_terminal(record.state)) {
		err_set(err, ERR_PERM, "PLAN_UNKNOWN", "run %s is not over yet: %s", part->id, run_state_name(record.state));
		goto out;
	}
	if (read_items(c, part, err) != 0)
		goto out;
	if (!had_plan(&record, part)) {
		err_set(err, ERR_PERM, "PLAN_UNKNOWN", "run %s was over before it had a plan: %s, %s", part->id,
		        run_state_name(record.state), record.error_code);
		goto out;
	}
	rc = 0;
out:
	if (found > 0)
		run_record_release(&record);
	return rc;
}

/* --- the old system's side --- */

struct chunk {
	struct compare *c;
	struct old_push *pushes;
	int64_t after;
	size_t count;
	bool more;
};

static int db_read(struct compare *c, db_work_fn *work, void *arg, struct err *err)
{
	struct db_limit limit = jobs_db_limit(c->run);

	return jobs_db_run(c->env, &limit, NULL, false, work, arg, err);
}

static int chunk_work(struct db *db, void *arg, struct err *err)
{
	struct chunk *chunk = arg;
	struct compare *c = chunk->c;
	struct schema_list schema = schema_own();

	if (chunk->after == 0 && schema_check(db, &schema, err) != 0)
		return -1;
	return old_pushes_read(db, run_shop(c->run), c->plan.started_ms, chunk->after, chunk->pushes, OLD_PUSHES_CHUNK, &chunk->count,
	                       &chunk->more, err);
}

static bool add_push(struct compare *c, const struct old_push *push)
{
	struct side_row row = { .sku_id = push->sku_id, .to = side_number(push->value) };

	if (push->own) {
		c->own++;
		return true;
	}
	if (push->wanted.set) {
		row.now = side_number(push->wanted.value);
		row.flags |= SIDE_NOW;
	}
	if (push->rows > 1) {
		row.flags |= SIDE_DOUBLED;
		c->doubled++;
	}
	return part_add(&c->with, &row);
}

static int read_pushes(struct compare *c, struct err *err)
{
	struct chunk chunk = { .c = c, .pushes = calloc(OLD_PUSHES_CHUNK, sizeof(*chunk.pushes)), .more = true };
	int rc = chunk.pushes ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for %d pushes", OLD_PUSHES_CHUNK);

	while (rc == 0 && chunk.more) {
		rc = run_check(c->run, err);
		if (rc == 0)
			rc = db_read(c, chunk_work, &chunk, err);
		for (size_t i = 0; rc == 0 && i < chunk.count && add_push(c, &chunk.pushes[i]); i++)
			chunk.after = chunk.pushes[i].sku_id;
		if (rc == 0)
			rc = part_check(&c->with, err);
	}
	free(chunk.pushes);
	return rc;
}

struct ids {
	struct compare *c;
	int64_t list[PAGE];
	size_t count;
	int (*each)(void *arg, const struct old_listing *listing, struct err *err);
	void *arg;
};

static int ids_work(struct db *db, void *arg, struct err *err)
{
	struct ids *ids = arg;

	return old_pushes_listings(db, run_shop(ids->c->run), ids->list, ids->count, ids->each, ids->arg, err);
}

static int take_known(void *arg, const struct old_listing *listing, struct err *err)
{
	struct compare *c = arg;
	struct side_row *row = side_find(&c->plan.side, listing->sku_id);

	(void)err;
	if (row && listing->known.set) {
		row->now = side_number(listing->known.value);
		row->flags |= SIDE_NOW;
	}
	return 0;
}

/* What TEMU is known to show now of the sold-out SKUs that the old system did not push. */
static int read_known(struct compare *c, struct err *err)
{
	struct ids ids = { .c = c, .each = take_known, .arg = c };

	for (size_t i = 0; i < c->plan.side.count; i++) {
		if (c->plan.side.rows[i].to == 0 && !side_find(&c->with.side, c->plan.side.rows[i].sku_id))
			ids.list[ids.count++] = c->plan.side.rows[i].sku_id;
		if (ids.count == PAGE || (i + 1 == c->plan.side.count && ids.count > 0)) {
			if (run_check(c->run, err) != 0 || db_read(c, ids_work, &ids, err) != 0)
				return -1;
			ids.count = 0;
		}
	}
	return 0;
}

/* --- the items --- */

struct page {
	struct compare *c;
	const struct part *part; /* whose items are read again */
	struct item_record items[PAGE];
	struct buf texts[PAGE];
	char skus[PAGE][SKU_MAX];
	size_t count;
	int64_t seen, after, done;
};

static void page_add(struct page *page, int64_t sku_id, int64_t goods_id, const char *sku)
{
	struct compare *c = page->c;
	const struct side_row *a = side_find(&c->plan.side, sku_id), *b = side_find(&c->with.side, sku_id);
	struct item_record *item = &page->items[page->count];
	struct buf *text = &page->texts[page->count];

	if (!a && !b)
		return;
	buf_clear(text);
	sides_describe(a, b, c->old, text);
	snprintf(page->skus[page->count], SKU_MAX, "%s", sku);
	*item = (struct item_record){ .sku = page->skus[page->count++],
		                      .sku_id = sku_id,
		                      .goods_id = goods_id,
		                      .has_from = a != NULL,
		                      .from = a ? a->to : 0,
		                      .has_to = b != NULL,
		                      .to = b ? b->to : 0,
		                      .outcome = ITEM_COMPARED,
		                      .code = "",
		                      .request_id = "",
		                      .reason = sides_reason(a, b),
		                      .text = buf_text(text) };
}

static int page_store(struct page *page, struct err *err)
{
	struct compare *c = page->c;
	const struct side_figures *f = &c->figures;
	int rc = page->count ? run_items_judge(c->run, page->items, page->count, err) : 0;

	page->done += (int64_t)page->count;
	page->count = 0;
	run_progress(c->run, page->done, f->same + f->other + f->only_plan + f->only_other);
	return rc;
}

static bool take_text(const struct item_record *item, void *arg)
{
	struct page *page = arg;

	page->after = item->n;
	page->seen++;
	if (is_planned(item) && (page->part == &page->c->plan || !side_find(&page->c->plan.side, item->sku_id)))
		page_add(page, item->sku_id, item->goods_id, item->sku);
	return true;
}

static int store_run(struct page *page, const struct part *part, struct err *err)
{
	page->part = part;
	page->after = 0;
	do {
		page->seen = 0;
		if (run_check(page->c->run, err) != 0 ||
		    journal_items_list(page->c->env->journal, part->id, -1, page->after, PAGE, take_text, page, err) != 0 ||
		    page_store(page, err) != 0)
			return -1;
	} while (page->seen == PAGE);
	return 0;
}

static int take_listing(void *arg, const struct old_listing *listing, struct err *err)
{
	struct page *page = arg;

	if (page->count == PAGE)
		return err_set(err, ERR_PERM, "SQL_ROW", "more listings than were asked for");
	page_add(page, listing->sku_id, listing->goods_id, listing->sku);
	return 0;
}

static int names_work(struct db *db, void *arg, struct err *err)
{
	struct ids *ids = arg;

	((struct page *)ids->arg)->count = 0;
	return ids_work(db, ids, err);
}

/* What the old system alone pushed stands in no run. */
static int store_pushes(struct page *page, struct err *err)
{
	struct compare *c = page->c;
	struct ids ids = { .c = c, .each = take_listing, .arg = page };

	for (size_t i = 0; i < c->with.side.count; i++) {
		if (!side_find(&c->plan.side, c->with.side.rows[i].sku_id))
			ids.list[ids.count++] = c->with.side.rows[i].sku_id;
		if (ids.count == PAGE || (i + 1 == c->with.side.count && ids.count > 0)) {
			if (run_check(c->run, err) != 0 || db_read(c, names_work, &ids, err) != 0 || page_store(page, err) != 0)
				return -1;
			ids.count = 0;
		}
	}
	return 0;
}

static int store_items(struct compare *c, struct err *err)
{
	struct page *page = calloc(1, sizeof(*page));
	int rc;

	if (!page)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for a page of items");
	page->c = c;
	for (size_t i = 0; i < PAGE; i++)
		buf_init(&page->texts[i], TEXT_MAX);
	rc = store_run(page, &c->plan, err);
	if (rc == 0)
		rc = c->old ? store_pushes(page, err) : store_run(page, &c->with, err);
	for (size_t i = 0; i < PAGE; i++)
		buf_release(&page->texts[i]);
	free(page);
	return rc;
}

/* --- steps --- */

static int read_step(struct run *run, void *state, struct err *err)
{
	struct compare *c = state;

	(void)run;
	if (read_run(c, &c->plan, err) != 0)
		return -1;
	if (!c->old)
		return read_run(c, &c->with, err);
	return read_pushes(c, err) != 0 ? -1 : read_known(c, err);
}

static void set_text(struct compare *c)
{
	const struct side_figures *f = &c->figures;
	char since[CLOCK_TEXT_MAX];
	struct buf out;

	buf_init(&out, TEXT_MAX);
	if (!c->old) {
		buf_addf(&out,
		         "%" PRId64 " SKUs alike, %" PRId64 " with another target, %" PRId64 " only in %s, %" PRId64 " only in %s", f->same,
		         f->other, f->only_plan, c->plan.id, f->only_other, c->with.id);
	} else {
		buf_addf(&out,
		         "since %s: %" PRId64 " SKUs pushed by the old system as planned, %" PRId64 " otherwise, %" PRId64
		         " planned and not pushed, %" PRId64 " pushed and not planned; %" PRId64 " sold-out SKUs still for sale",
		         clock_format(c->plan.started_ms, since), f->same, f->other, f->only_plan, f->only_other, f->for_sale);
		if (f->unknown > 0)
			buf_addf(&out, ", %" PRId64 " perhaps", f->unknown);
	}
	snprintf(c->text, sizeof(c->text), "%s", buf_text(&out));
	buf_release(&out);
}

static int compare_step(struct run *run, void *state, struct err *err)
{
	struct compare *c = state;
	struct side_figures *f = &c->figures;

	sides_count(&c->plan.side, &c->with.side, c->old, f);
	set_text(c);
	if (store_items(c, err) != 0)
		return -1;
	run_count(run, RUN_SEEN, f->same + f->other + f->only_plan + f->only_other);
	log_info("%s", c->text);
	c->done = true;
	return 0;
}

static const struct job_step steps[] = {
	{ .name = "read", .work = read_step },
	{ .name = "compare", .work = compare_step },
};

/* --- begin and end --- */

static void *begin(struct run *run, void *env, struct err *err)
{
	struct compare *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
		return NULL;
	}
	c->env = env;
	c->run = run;
	c->plan.id = json_get_string(run_params(run), "plan", "");
	c->with.id = json_get_string(run_params(run), "with", "");
	c->old = strcmp(c->with.id, OLD_SYSTEM) == 0;
	return c;
}

static void add_figures(const struct compare *c, struct buf *out)
{
	const struct side_figures *f = &c->figures;
	const struct {
		const char *name;
		int64_t value;
		bool old; /* only with the old system */
	} numbers[] = {
		{ "same", f->same, false },
		{ "other", f->other, false },
		{ "only_plan", f->only_plan, false },
		{ "only_other", f->only_other, false },
		{ "plan_skus", (int64_t)c->plan.side.count, false },
		{ "with_skus", (int64_t)c->with.side.count, false },
		{ "plan_pieces", f->plan_pieces, false },
		{ "with_pieces", f->with_pieces, false },
		{ "pieces_more", f->more, false },
		{ "pieces_less", f->less, false },
		{ "plan_sold_out_only", f->plan_sold_out_only, false },
		{ "with_sold_out_only", f->with_sold_out_only, false },
		{ "sold_out_for_sale", f->for_sale, true },
		{ "sold_out_unknown", f->unknown, true },
		{ "as_wanted", f->as_wanted, true },
		{ "own_pushes", c->own, true },
		{ "doubled", c->doubled, true },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (c->old || !numbers[i].old)
			json_add_int64(out, numbers[i].name, numbers[i].value);
}

static void set_result(const struct compare *c)
{
	struct buf out;

	buf_init(&out, RESULT_MAX);
	json_object_open(&out, NULL);
	json_add_string(&out, "plan", c->plan.id);
	json_add_string(&out, "with", c->with.id);
	json_add_string(&out, "plan_state", run_state_name(c->plan.state));
	json_add_string(&out, "with_state", c->old ? "" : run_state_name(c->with.state));
	if (c->old)
		json_add_time(&out, "since", c->plan.started_ms);
	add_figures(c, &out);
	json_add_string(&out, "text", c->text);
	json_object_close(&out);
	if (!out.failed)
		run_result_set(c->run, buf_text(&out));
	buf_release(&out);
}

static void end(struct run *run, void *state)
{
	struct compare *c = state;

	(void)run;
	if (c->done)
		set_result(c);
	side_release(&c->plan.side);
	side_release(&c->with.side);
	free(c);
}

const struct job_type plan_compare_job = {
	.id = "temu_plan_compare",
	.title = "A plan beside another one, or beside what the old system did",
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.per_shop = true,
	.on_demand = true,
	.check = check_params,
	.begin = begin,
	.end = end,
};
