/* products: dbo.temu_products, the catalogue table of the old system, kept up to date so that its reports go on. Ours is the key
 * (shop, sku_id); the text SKU may repeat. Several rows of one skuId, as the old system left them after a SKU was renamed at TEMU, are all
 * written alike. Absolute and repeatable, like ledger.h. */
#ifndef WORKER_DB_PRODUCTS_H
#define WORKER_DB_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/ledger.h"

/* Inserts or updates, is_active 1. A row of the old system with the same SKU text and no sku_id yet is taken over. */
int products_save(struct db *db, int64_t shop, const struct ledger_listing *rows, size_t count, struct err *err) MUSTCHECK;
/* is_active 0. */
int products_retire(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err) MUSTCHECK;

#endif
