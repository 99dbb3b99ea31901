/* Two sorted lists of targets, held against each other. Where they come from and where the outcome goes is plan_compare.c's. */
#include "worker/jobs/plan_sides.h"

#include <stdlib.h>
#include "common/array.h"

_Static_assert(sizeof(struct side_row) == 24, "a side may have a million rows");

/* --- one side --- */

int32_t side_number(int64_t value)
{
	return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

bool side_add(struct side *side, const struct side_row *row)
{
	struct side_row *rows = array_room(side->rows, side->count, &side->room, sizeof(*rows));

	if (!rows) {
		side->no_memory = true;
		return false;
	}
	side->rows = rows;
	rows[side->count++] = *row;
	return true;
}

static int by_sku_id(const void *a, const void *b)
{
	return array_order(((const struct side_row *)a)->sku_id, ((const struct side_row *)b)->sku_id);
}

void side_sort(struct side *side)
{
	size_t kept = 0;

	if (side->count > 1)
		qsort(side->rows, side->count, sizeof(*side->rows), by_sku_id);
	for (size_t i = 0; i < side->count; i++)
		if (kept == 0 || side->rows[kept - 1].sku_id != side->rows[i].sku_id)
			side->rows[kept++] = side->rows[i];
	side->count = kept;
}

struct side_row *side_find(const struct side *side, int64_t sku_id)
{
	struct side_row key = { .sku_id = sku_id };

	return side->count ? bsearch(&key, side->rows, side->count, sizeof(key), by_sku_id) : NULL;
}

void side_release(struct side *side)
{
	free(side->rows);
	*side = (struct side){ .count = 0 };
}

/* --- figures --- */

static bool is_for_sale(const struct side_row *plan, const struct side_row *push)
{
	if (plan->to != 0)
		return false;
	return push ? push->to > 0 : (plan->flags & SIDE_NOW) && plan->now > 0;
}

static bool is_as_wanted(const struct side_row *push)
{
	return (push->flags & SIDE_NOW) && push->now == push->to;
}

static void count_pair(struct side_figures *f, const struct side_row *plan, const struct side_row *with)
{
	int64_t above = (int64_t)with->to - plan->to;

	if (above == 0)
		f->same++;
	else
		f->other++;
	if (above > 0)
		f->more += above;
	else
		f->less -= above;
	f->plan_sold_out_only += plan->to == 0 && with->to != 0;
	f->with_sold_out_only += plan->to != 0 && with->to == 0;
}

void sides_count(const struct side *plan, const struct side *with, bool old, struct side_figures *figures)
{
	struct side_figures f = { .same = 0 };

	for (size_t i = 0; i < plan->count; i++) {
		const struct side_row *a = &plan->rows[i], *b = side_find(with, a->sku_id);

		f.plan_pieces += a->to;
		if (b) {
			count_pair(&f, a, b);
		} else {
			f.only_plan++;
			f.plan_sold_out_only += a->to == 0;
		}
		if (old) {
			f.for_sale += is_for_sale(a, b);
			f.unknown += a->to == 0 && !b && !(a->flags & SIDE_NOW);
		}
	}
	for (size_t i = 0; i < with->count; i++) {
		const struct side_row *b = &with->rows[i];

		f.with_pieces += b->to;
		if (side_find(plan, b->sku_id))
			continue;
		f.only_other++;
		f.with_sold_out_only += b->to == 0;
		f.as_wanted += old && is_as_wanted(b);
	}
	*figures = f;
}

/* --- words --- */

const char *sides_reason(const struct side_row *plan, const struct side_row *with)
{
	if (plan && with)
		return plan->to == with->to ? "same" : "other";
	return plan ? "only_plan" : "only_other";
}

static void add_before(struct buf *out, const struct side_row *row)
{
	if (row->flags & SIDE_FROM)
		buf_addf(out, " (TEMU had %d)", (int)row->from);
}

static void describe_plans(const struct side_row *plan, const struct side_row *with, struct buf *out)
{
	if (plan && with && plan->to == with->to) {
		buf_addf(out, "both plans set %d", (int)plan->to);
	} else if (plan && with) {
		buf_addf(out, "the plan sets %d", (int)plan->to);
		add_before(out, plan);
		buf_addf(out, ", the other plan %d", (int)with->to);
		add_before(out, with);
	} else {
		buf_addf(out, "%s sets %d", plan ? "the plan" : "the other plan", (int)(plan ? plan->to : with->to));
		add_before(out, plan ? plan : with);
		buf_addf(out, ", %s leaves it alone", plan ? "the other plan" : "the plan");
	}
}

static void describe_not_pushed(const struct side_row *plan, struct buf *out)
{
	buf_addf(out, "the plan sets %d, the old system pushed nothing", (int)plan->to);
	if (plan->to != 0)
		return;
	if (plan->flags & SIDE_NOW)
		buf_addf(out, "; TEMU shows %d", (int)plan->now);
	else
		buf_add_text(out, "; what TEMU shows is not known");
}

static void describe_not_planned(const struct side_row *push, struct buf *out)
{
	buf_addf(out, "the old system pushed %d, the plan leaves it alone", (int)push->to);
	if (is_as_wanted(push))
		buf_add_text(out, "; that is what is wanted");
	else if (push->flags & SIDE_NOW)
		buf_addf(out, "; wanted is %d", (int)push->now);
}

static void describe_old(const struct side_row *plan, const struct side_row *push, struct buf *out)
{
	if (!push)
		describe_not_pushed(plan, out);
	else if (!plan)
		describe_not_planned(push, out);
	else if (plan->to == push->to)
		buf_addf(out, "the old system pushed %d as the plan would", (int)push->to);
	else
		buf_addf(out, "the plan sets %d, the old system pushed %d", (int)plan->to, (int)push->to);
	if (plan && is_for_sale(plan, push))
		buf_add_text(out, ": still for sale");
	if (push && (push->flags & SIDE_DOUBLED))
		buf_add_text(out, " (it has several rows of this SKU: the newest counts)");
}

void sides_describe(const struct side_row *plan, const struct side_row *with, bool old, struct buf *out)
{
	if (old)
		describe_old(plan, with, out);
	else
		describe_plans(plan, with, out);
}
