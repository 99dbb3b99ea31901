/* plan_sides: two lists of targets side by side: a plan, and another plan or what the old system pushed. Pure; plan_compare.h says what the
 * figures and words mean. */
#ifndef WORKER_JOBS_PLAN_SIDES_H
#define WORKER_JOBS_PLAN_SIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

enum {
	SIDE_FROM = 1,    /* from is set */
	SIDE_NOW = 2,     /* now is set */
	SIDE_DOUBLED = 4, /* the old system has several rows of this push */
};

/* 24 bytes, since a side may have a million. */
struct side_row {
	int64_t sku_id;
	int32_t from, to;
	int32_t now; /* of a plan: known at TEMU now; of the old system: wanted now */
	uint32_t flags;
};

struct side {
	struct side_row *rows; /* heap */
	size_t count, room;
	bool no_memory;
};

/* What does not fit into 32 bits is cut to the nearest that does: no stock of TEMU comes near. */
int32_t side_number(int64_t value);
/* false: no memory, noted in the side. */
bool side_add(struct side *side, const struct side_row *row);
/* By skuId, one row a skuId (any of several: a run's journal has one). Needed before anything below. */
void side_sort(struct side *side);
struct side_row *side_find(const struct side *side, int64_t sku_id);
void side_release(struct side *side);

struct side_figures {
	int64_t same, other, only_plan, only_other;
	int64_t plan_pieces, with_pieces, more, less;
	int64_t plan_sold_out_only, with_sold_out_only;
	/* With the old system only. */
	int64_t for_sale, unknown, as_wanted;
};
/* old: `with` is the old system's. */
void sides_count(const struct side *plan, const struct side *with, bool old, struct side_figures *figures);

/* Of one SKU, either may be NULL, not both: "same", "other", "only_plan", "only_other"; and a sentence for people. */
const char *sides_reason(const struct side_row *plan, const struct side_row *with);
void sides_describe(const struct side_row *plan, const struct side_row *with, bool old, struct buf *out);

#endif
