/* claims: whose a SKU of TEMU is. A skuId exists once in the world, so a SKU that is an active listing of another shop here too means that
 * two configured shops are one at TEMU, or that an access token is another shop's. */
#ifndef WORKER_DB_CLAIMS_H
#define WORKER_DB_CLAIMS_H

#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"

struct claims {
	int64_t count;  /* active listings of the shop that are another's too */
	int64_t sku_id; /* the first of them; 0 = none */
	int64_t shop;   /* one whose they are too */
};

/* One statement, which waits for no lock: the other shop may be writing. A shop that was never read completely claims nothing. */
int claims_read(struct db *db, int64_t shop, struct claims *claims, struct err *err) MUSTCHECK;

#endif
