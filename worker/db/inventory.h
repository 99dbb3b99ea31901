/* inventory: dbo.temu_inventory and temu_products.jtl_article_id, for the reports of the old system: jtl_stock = what should be
 * offered, temu_stock = last value TEMU confirmed, needs_sync = the two differ or TEMU's is unknown. The old system left several rows
 * of one product, and several products of one skuId: all rows of a listing are written alike, so that none of them says anything else
 * to whoever reads it. Absolute and repeatable, like ledger.h. */
#ifndef WORKER_DB_INVENTORY_H
#define WORKER_DB_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/ledger.h"

struct inventory_row {
	int64_t product;      /* temu_products.id, one of the listing's; a row without sku_id is not written */
	struct maybe article; /* kArtikel; not set: NULL */
	struct maybe wanted;  /* not set: only the article is written */
	struct maybe known;   /* not set: temu_stock stays (0 in a new row) */
};
int inventory_save(struct db *db, int64_t shop, const struct inventory_row *rows, size_t count, struct err *err) MUSTCHECK;

struct inventory_confirmed {
	int64_t product;
	int64_t stock;
};
int inventory_confirm(struct db *db, const struct inventory_confirmed *rows, size_t count, struct err *err) MUSTCHECK;

#endif
