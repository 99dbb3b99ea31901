/* The statements of dbo.temu_products. The three of a save: update ours, take over rows of the old system, insert what is left.
 */
#include "worker/db/products.h"

#include "worker/db/rows.h"

static const char sql_save[] =
    "UPDATE p SET sku = j.s, goods_id = j.g, goods_name = j.n, is_active = 1, updated_at = GETDATE()\n"
    "FROM dbo.temu_products p\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', g bigint '$.g', s nvarchar(100) '$.s', n nvarchar(500) '$.n') j ON j.k = p.sku_id\n"
    "WHERE p.shop = @shop\n"
    "UPDATE p SET sku_id = j.k, goods_id = j.g, goods_name = j.n, is_active = 1, updated_at = GETDATE()\n"
    "FROM dbo.temu_products p\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', g bigint '$.g', s nvarchar(100) '$.s', n nvarchar(500) '$.n') j\n"
    "  ON j.s COLLATE DATABASE_DEFAULT = p.sku\n"
    "WHERE p.shop = @shop AND p.sku_id IS NULL\n"
    "  AND NOT EXISTS (SELECT 1 FROM dbo.temu_products o WHERE o.shop = @shop AND o.sku_id = j.k)\n"
    "INSERT INTO dbo.temu_products (shop, sku, goods_id, sku_id, goods_name, is_active, created_at, updated_at)\n"
    "SELECT @shop, j.s, j.g, j.k, j.n, 1, GETDATE(), GETDATE()\n"
    "FROM OPENJSON(@j) WITH (k bigint '$.k', g bigint '$.g', s nvarchar(100) '$.s', n nvarchar(500) '$.n') j\n"
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_products p WHERE p.shop = @shop AND p.sku_id = j.k)";

int products_save(struct db *db, int64_t shop, const struct ledger_listing *rows, size_t count, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		dbjson_int64(&json, "g", rows[i].goods_id);
		dbjson_text(&json, "s", rows[i].sku);
		dbjson_text(&json, "n", rows[i].goods_name);
	}
	rc = rows_send(db, "products save", sql_save, &json, params, 2, NULL, err);
	dbjson_release(&json);
	return rc;
}

static const char sql_retire[] = "UPDATE p SET is_active = 0, updated_at = GETDATE()\n"
				 "FROM dbo.temu_products p JOIN OPENJSON(@j) WITH (k bigint '$.k') j ON j.k = p.sku_id\n"
				 "WHERE p.shop = @shop";

int products_retire(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };

	return rows_send_ids(db, "products retire", sql_retire, "k", sku_ids, count, params, 2, err);
}
