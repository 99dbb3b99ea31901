/* listing: the listings of one shop during a run, in memory: what the ledger holds, what TEMU just reported, and what became of
 * both. Sorted by skuId. No database, no clock. */
#ifndef WORKER_JOBS_LISTING_H
#define WORKER_JOBS_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/ledger.h"
#include "worker/jobs/wanted.h"

struct listing {
	int64_t sku_id, goods_id;
	char *sku, *name; /* heap; as TEMU has them now, in quick mode as the ledger has them */

	/* of the ledger and the old system's tables */
	bool in_ledger, was_active;
	struct maybe known, known_before, wanted_before, sent, sent_from; /* known: with what TEMU reported taken in */
	int64_t sent_ms, doubt_ms;
	struct maybe article_before, buffer_before; /* of the ledger */
	struct maybe product, product_article, inventory;
	bool product_same; /* the product row says what TEMU says */
	bool ledger_same;  /* so does the ledger row, its known value apart */
	int64_t jtl_stock, temu_stock;
	bool needs_sync;

	/* of TEMU, full mode */
	struct maybe reported;
	bool believed;      /* known was judged by what TEMU reported, and is to be stored */
	bool known_changed; /* and the ledger says otherwise */

	bool fresh;  /* and it is not in the ledger yet */
	bool active; /* takes part in this run */

	/* of JTL */
	struct maybe article, buffer;
	bool doubled, nulls, missing; /* its stock: a row more than once, a row without a quantity, a bundle with components left out */
	char *near; /* heap: JTL's spelling when it is not the same; NULL otherwise */
	struct wanted wanted;
	bool quarantined; /* it would change, but is left out of the plan: TEMU refused it again and again */
};

struct listings {
	struct listing *items;
	size_t count, room;
};

void listings_release(struct listings *list);

/* Appends a ledger row; rows must come by ascending skuId. LISTING_MEMORY (TEMP). */
int listings_add_ledger(struct listings *list, const struct ledger_row *row, struct err *err) MUSTCHECK;
/* Takes product id and inventory facts of a second reading over into the listing of the same skuId; unknown ones are ignored. */
void listings_refresh(struct listings *list, const struct ledger_row *row);

/* What a complete read brought, in any order. */
struct catalogue_entry {
	int64_t sku_id, goods_id, stock;
	char *sku, *name; /* heap; taken over by listings_merge */
	size_t turn;      /* order of arrival: of two entries of one skuId the later one counts */
	bool bad;         /* a row with something wrong: it stands there, but has no usable values (sku and name NULL) */
	bool gone;        /* stands in neither list any more */
};
struct catalogue {
	struct catalogue_entry *items;
	size_t count, room;
	int64_t nameless; /* bad rows without a usable skuId: nothing can be said to have vanished */
};
void catalogue_release(struct catalogue *catalogue);
/* Copies texts. LISTING_MEMORY (TEMP). */
int catalogue_add(struct catalogue *catalogue, const struct catalogue_entry *entry, struct err *err) MUSTCHECK;

/* The two together. Listings that TEMU shows are active; ledger rows that it does not show are not any more (bad rows stay as
 * they were). The baseline of each is plan_baseline's. Empties catalogue. */
int listings_merge(struct listings *list, struct catalogue *catalogue, int64_t now_ms, struct err *err) MUSTCHECK;
/* Quick mode: active is what the ledger says. */
void listings_keep(struct listings *list);

/* The article the listing had, by the ledger or else the old system's table. */
struct maybe listing_old_article(const struct listing *item);
/* It has another article than it had: deleted and made anew in JTL, or another one took its SKU. */
bool listing_recreated(const struct listing *item);
/* Its article's buffer is another one than when a run was last allowed to push. */
bool listing_buffer_changed(const struct listing *item);

struct listing *listings_find(struct listings *list, int64_t sku_id);

#endif
