/* The statements that look for SKUs among the ledgers of other shops. What is not to be done then, the job decides. */
#include "worker/db/claims.h"

#include <assert.h>
#include <inttypes.h>
#include "worker/db/rows.h"

/* By shop and skuId, the ledger's primary key: a look for each SKU, not through all of it. */
#define CLAIMS(skus, sku_id)                                                                             \
	"SELECT COUNT(*), MIN(l.sku_id), MIN(l.shop) FROM dbo.temu_shop s WITH (NOLOCK)\n" skus "\n"     \
	"JOIN dbo.temu_ledger l WITH (NOLOCK) ON l.shop = s.shop AND l.sku_id = " sku_id " AND l.active = 1\n" \
	"WHERE s.shop <> @shop"

static const char sql_given[] = CLAIMS("CROSS JOIN OPENJSON(@j) WITH (k bigint '$.k') j", "j.k");
static const char sql_own[] = CLAIMS("JOIN dbo.temu_ledger o WITH (NOLOCK) ON o.shop = @shop AND o.active = 1", "o.sku_id");

struct claims {
	int64_t count, sku_id, shop;
};

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

static int judge(struct db *db, const char *sql, const struct db_param *params, size_t count, int64_t shop, struct err *err)
{
	struct claims claims = { .count = 0 };
	struct db_statement statement = {
		.label = "claims", .sql = sql, .params = params, .count = count, .row = take_claims, .arg = &claims
	};

	if (db_query(db, &statement, NULL, err) != 0)
		return -1;
	if (claims.count == 0)
		return 0;
	return err_set(err, ERR_PERM, "CLAIMS_OTHER_SHOP",
	               "of the SKUs that TEMU shows for shop %" PRId64 ", %" PRId64 " belong to shop %" PRId64 ", first skuId %" PRId64
	               ": the access tokens are exchanged, or two shops here are one at TEMU. Nothing was sent. If shop %" PRId64
	               " is not synced any more: UPDATE dbo.temu_ledger SET active = 0 WHERE shop = %" PRId64,
	               shop, claims.count, claims.shop, claims.sku_id, claims.shop, claims.shop);
}

int claims_check(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct dbjson json;
	int rc = -1;

	assert(count <= CLAIMS_MAX);
	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", sku_ids[i]);
	}
	if (dbjson_end(&json, "@j", &params[0], err) == 0)
		rc = judge(db, sql_given, params, 2, shop, err);
	dbjson_release(&json);
	return rc;
}

int claims_check_own(struct db *db, int64_t shop, struct err *err)
{
	struct db_param param = db_param_int64("@shop", shop);

	return judge(db, sql_own, &param, 1, shop, err);
}
