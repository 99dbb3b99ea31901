/* claims: whose a SKU of TEMU is. A skuId exists once in the world, so a SKU that is an active listing of another shop here means that two
 * configured shops are one at TEMU, or that their access tokens were exchanged. */
#ifndef WORKER_DB_CLAIMS_H
#define WORKER_DB_CLAIMS_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"

#define CLAIMS_MAX 1000 /* ids of one call */

/* CLAIMS_OTHER_SHOP (PERM), with the remedy: one of these SKUs, or of the shop's own active listings, belongs to another shop. One
 * statement each, which waits for no lock: the other shop may be writing. */
int claims_check(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err) MUSTCHECK;
int claims_check_own(struct db *db, int64_t shop, struct err *err) MUSTCHECK;

#endif
