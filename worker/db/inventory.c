/* The statements of dbo.temu_inventory and of the article id in dbo.temu_products. */
#include "worker/db/inventory.h"

#include "worker/db/rows.h"

/* j names one product of the listing, p is that one, q all of them. */
static const char sql_save[] =
    "UPDATE q SET jtl_article_id = j.a, updated_at = GETDATE()\n"
    "FROM dbo.temu_products q\n"
    "JOIN dbo.temu_products p ON p.shop = q.shop AND p.sku_id = q.sku_id\n"
    "JOIN OPENJSON(@j) WITH (p int '$.p', a int '$.a') j ON j.p = p.id\n"
    "WHERE p.shop = @shop AND ISNULL(q.jtl_article_id, 0) <> ISNULL(j.a, 0)\n"
    "UPDATE i SET shop = @shop, jtl_article_id = j.a, jtl_stock = j.w, temu_stock = ISNULL(j.t, i.temu_stock),\n"
    "  needs_sync = CASE WHEN j.t IS NULL OR j.t <> j.w THEN 1 ELSE 0 END, updated_at = GETDATE()\n"
    "FROM dbo.temu_inventory i\n"
    "JOIN dbo.temu_products q ON q.id = i.product_id\n"
    "JOIN dbo.temu_products p ON p.shop = q.shop AND p.sku_id = q.sku_id\n"
    "JOIN OPENJSON(@j) WITH (p int '$.p', a int '$.a', w int '$.w', t int '$.t') j ON j.p = p.id\n"
    "WHERE p.shop = @shop AND j.w IS NOT NULL\n"
    "INSERT INTO dbo.temu_inventory (shop, product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync, created_at, "
    "updated_at)\n"
    "SELECT @shop, q.id, j.a, j.w, ISNULL(j.t, 0), CASE WHEN j.t IS NULL OR j.t <> j.w THEN 1 ELSE 0 END, GETDATE(), GETDATE()\n"
    "FROM OPENJSON(@j) WITH (p int '$.p', a int '$.a', w int '$.w', t int '$.t') j\n"
    "JOIN dbo.temu_products p ON p.id = j.p\n"
    "JOIN dbo.temu_products q ON q.shop = p.shop AND q.sku_id = p.sku_id\n"
    "WHERE p.shop = @shop AND j.w IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dbo.temu_inventory i WHERE i.product_id = q.id)";

int inventory_save(struct db *db, int64_t shop, const struct inventory_row *rows, size_t count, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct dbjson json;
	int rc;

	if (count == 0)
		return 0;
	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "p", rows[i].product);
		rows_maybe(&json, "a", rows[i].article);
		rows_maybe(&json, "w", rows[i].wanted);
		rows_maybe(&json, "t", rows[i].known);
	}
	rc = rows_send(db, "inventory save", sql_save, &json, params, 2, NULL, err);
	dbjson_release(&json);
	return rc;
}

static const char sql_confirm[] =
    "UPDATE i SET temu_stock = j.w, needs_sync = CASE WHEN i.jtl_stock = j.w THEN 0 ELSE 1 END,\n"
    "  last_synced_to_temu = GETDATE(), updated_at = GETDATE()\n"
    "FROM dbo.temu_inventory i\n"
    "JOIN dbo.temu_products q ON q.id = i.product_id\n"
    "JOIN dbo.temu_products p ON p.shop = q.shop AND p.sku_id = q.sku_id\n"
    "JOIN OPENJSON(@j) WITH (p int '$.p', w int '$.w') j ON j.p = p.id";

int inventory_confirm(struct db *db, const struct inventory_confirmed *rows, size_t count, struct err *err)
{
	struct db_param params[1];
	struct dbjson json;
	int rc;

	if (count == 0)
		return 0;
	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "p", rows[i].product);
		dbjson_int64(&json, "w", rows[i].stock);
	}
	rc = rows_send(db, "inventory confirm", sql_confirm, &json, params, 1, NULL, err);
	dbjson_release(&json);
	return rc;
}
