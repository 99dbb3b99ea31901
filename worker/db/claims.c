/* The statement that looks for a shop's SKUs among the ledgers of other shops. What follows, the job decides. */
#include "worker/db/claims.h"

/* By shop and skuId, the ledger's primary key: a look for each SKU, not through all of it. */
static const char sql_claims[] =
    "SELECT COUNT(*), MIN(l.sku_id), MIN(l.shop) FROM dbo.temu_shop s WITH (NOLOCK)\n"
    "JOIN dbo.temu_ledger o WITH (NOLOCK) ON o.shop = @shop AND o.active = 1\n"
    "JOIN dbo.temu_ledger l WITH (NOLOCK) ON l.shop = s.shop AND l.sku_id = o.sku_id AND l.active = 1\n"
    "WHERE s.shop <> @shop";

static int take_claims(void *arg, const struct db_row *row, struct err *err)
{
	struct claims *claims = arg;

	if (db_row_int64(row, 0, &claims->count, err) != 0)
		return -1;
	if (claims->count == 0)
		return 0;
	if (db_row_int64(row, 1, &claims->sku_id, err) != 0)
		return -1;
	return db_row_int64(row, 2, &claims->shop, err);
}

int claims_read(struct db *db, int64_t shop, struct claims *claims, struct err *err)
{
	struct db_param param = db_param_int64("@shop", shop);
	struct db_statement statement = {
		.label = "claims", .sql = sql_claims, .params = &param, .count = 1, .row = take_claims, .arg = claims
	};

	*claims = (struct claims){ .count = 0 };
	return db_query(db, &statement, NULL, err);
}
