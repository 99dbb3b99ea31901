/* old_pushes: what the old system pushed to TEMU by its own tables, for comparing it with a plan. Reads only. */
#ifndef WORKER_DB_OLD_PUSHES_H
#define WORKER_DB_OLD_PUSHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"
#include "worker/db/ledger.h"

#define OLD_PUSHES_CHUNK 5000

/* The newest push of a skuId. */
struct old_push {
	int64_t sku_id;
	int64_t value;
	int64_t rows;        /* of dbo.temu_inventory that say so, 2 and more: duplicates; those of the newest count */
	struct maybe wanted; /* by the ledger now */
	bool own;            /* the ledger says that this system sent that value since: nobody else's push is seen behind it */
};

/* The next up to `chunk` rows (OLD_PUSHES_CHUNK) pushed after since_ms whose skuId is above `after`, one element a skuId, ascending, into
 * pushes[chunk]. Go on after the last one's while *more. The tables hold the server's local time: since_ms is brought there by the
 * server's own difference of now, so a change to or from summer time in between moves the border by an hour. One statement. */
int old_pushes_read(struct db *db, int64_t shop, int64_t since_ms, int64_t after, struct old_push *pushes, size_t chunk,
                    size_t *count, bool *more, struct err *err) MUSTCHECK;

/* What is known of listings now, once for each of sku_ids, by skuId; texts are borrowed for the call. */
struct old_listing {
	int64_t sku_id, goods_id; /* goods_id 0: in neither table */
	const char *sku;          /* of the ledger, else of temu_products, else "" */
	struct maybe known;       /* at TEMU, by the ledger */
};
int old_pushes_listings(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count,
                        int (*each)(void *arg, const struct old_listing *listing, struct err *err), void *arg,
                        struct err *err) MUSTCHECK;

#endif
