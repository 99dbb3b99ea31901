/* The kinds of damage in the old system's tables, each with the query that finds it and the statement that mends it. The statements do
 * not touch what another one looks for, so that they may be run in any order, and all but the two that remove double rows can be taken
 * back by hand. */
#include "worker/db/adoption.h"

#define PRODUCT "N'product ' + CONVERT(nvarchar(20), p.id) + N' \"' + LEFT(p.sku, 60) + N'\"'"
#define IN_USE "ISNULL(p.is_active, 1) = 1"

/* A listing that is not to have a stock needs no row. */
#define WITHOUT_ROW \
	"FROM dbo.temu_products p\n"                                                                   \
	"LEFT JOIN dbo.temu_ledger l ON l.shop = p.shop AND l.sku_id = p.sku_id\n"                     \
	"WHERE " IN_USE " AND p.sku_id IS NOT NULL AND (l.sku_id IS NULL OR l.wanted IS NOT NULL)\n"   \
	"  AND NOT EXISTS (SELECT 1 FROM dbo.temu_inventory i WHERE i.product_id = p.id)"

/* After a complete read only. */
#define NOT_AT_TEMU \
	"WHERE " IN_USE " AND p.sku_id IS NOT NULL\n"                                                                             \
	"  AND EXISTS (SELECT 1 FROM dbo.temu_shop s WHERE s.shop = p.shop AND s.catalogue_at IS NOT NULL)\n"                     \
	"  AND NOT EXISTS (SELECT 1 FROM dbo.temu_ledger l WHERE l.shop = p.shop AND l.sku_id = p.sku_id AND l.active = 1)"

/* The number is no article's, or another SKU's. */
#define STALE_ARTICLE \
	"WHERE p.jtl_article_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM <JTL>.dbo.tArtikel a\n" \
	"  WHERE a.kArtikel = p.jtl_article_id AND a.cArtNr COLLATE DATABASE_DEFAULT = p.sku)"

#define SKU_KEY \
	"FROM sys.indexes i\n"                                                                          \
	"JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id\n"           \
	"JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id\n"               \
	"WHERE i.object_id = OBJECT_ID(N'dbo.temu_products') AND i.is_unique = 1 AND i.is_primary_key = 0 AND c.name = N'sku'"

static const struct adoption_check checks[] = {
	{ "sku_key", "A unique key on the SKU of the products",
	  "The migration removed the old system's; somebody made one again. A run that finds a second listing of a SKU would fail on it.",
	  "SELECT i.index_id AS place, N'key ' + i.name AS what\n" SKU_KEY,
	  "DECLARE @key nvarchar(500)\n"
	  "SELECT @key = CASE WHEN i.is_unique_constraint = 1 THEN N'ALTER TABLE dbo.temu_products DROP CONSTRAINT ' + QUOTENAME(i.name)\n"
	  "  ELSE N'DROP INDEX ' + QUOTENAME(i.name) + N' ON dbo.temu_products' END\n" SKU_KEY "\n"
	  "EXEC (@key)" },
	{ "inventory_doubled", "Products with more than one inventory row",
	  "Two runs of the old system that met each added one. Written alike from the first open run on. Mended, the row written last stays.",
	  "SELECT p.id AS place, " PRODUCT " + N': ' + CONVERT(nvarchar(20), d.n) + N' rows' + CASE WHEN d.alike = 1 THEN N''\n"
	  "  ELSE N' that say different things' END AS what\n"
	  "FROM dbo.temu_products p\n"
	  "JOIN (SELECT i.product_id, COUNT(*) AS n, CASE WHEN MIN(i.jtl_stock) = MAX(i.jtl_stock) AND MIN(i.temu_stock) =\n"
	  "  MAX(i.temu_stock) AND MIN(CONVERT(int, i.needs_sync)) = MAX(CONVERT(int, i.needs_sync)) THEN 1 ELSE 0 END AS alike\n"
	  "  FROM dbo.temu_inventory i GROUP BY i.product_id HAVING COUNT(*) > 1) d ON d.product_id = p.id",
	  "DELETE i FROM dbo.temu_inventory i\n"
	  "WHERE EXISTS (SELECT 1 FROM dbo.temu_inventory o WHERE o.product_id = i.product_id\n"
	  "  AND (ISNULL(o.updated_at, '19000101') > ISNULL(i.updated_at, '19000101')\n"
	  "    OR ISNULL(o.updated_at, '19000101') = ISNULL(i.updated_at, '19000101') AND o.id > i.id))" },
	{ "inventory_missing", "Products without an inventory row",
	  "The old system never sends their stock. Mended, they get an empty row that asks for nothing; an open run makes them too.",
	  "SELECT p.id AS place, " PRODUCT " AS what\n" WITHOUT_ROW,
	  "INSERT INTO dbo.temu_inventory (shop, product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync)\n"
	  "SELECT p.shop, p.id, p.jtl_article_id, 0, 0, 0\n" WITHOUT_ROW },
	{ "product_without_sku_id", "Products without TEMU's skuId",
	  "Nobody can send their stock. An open full run takes over those whose SKU TEMU shows; mended, the rest counts as not in use.",
	  "SELECT p.id AS place, " PRODUCT " AS what\nFROM dbo.temu_products p\nWHERE p.sku_id IS NULL AND " IN_USE,
	  "UPDATE p SET is_active = 0 FROM dbo.temu_products p\nWHERE p.sku_id IS NULL AND " IN_USE },
	{ "product_gone", "Products that TEMU's last complete list does not show",
	  "Deleted there, or listed anew under another skuId. Never pushed here. Mended, they count as not in use until TEMU shows them.",
	  "SELECT p.id AS place, " PRODUCT " + N': skuId ' + CONVERT(nvarchar(20), p.sku_id) AS what\n"
	  "FROM dbo.temu_products p\n" NOT_AT_TEMU,
	  "UPDATE p SET is_active = 0 FROM dbo.temu_products p\n" NOT_AT_TEMU },
	{ "sku_id_doubled", "skuIds that stand in more than one product",
	  "The SKU was renamed at TEMU, and the old system pushed both rows. Written alike from the first open run on. Mended, the newest\n"
	  "     row stays; the others go with their inventory rows.",
	  "SELECT d.highest AS place, N'skuId ' + CONVERT(nvarchar(20), d.sku_id) + N': ' + CONVERT(nvarchar(20), d.n) + N' products, ' +\n"
	  "  N'the newest is ' + CONVERT(nvarchar(20), d.highest) + N' \"' + LEFT(p.sku, 60) + N'\"' AS what\n"
	  "FROM (SELECT q.shop, q.sku_id, COUNT(*) AS n, MAX(q.id) AS highest FROM dbo.temu_products q WHERE q.sku_id IS NOT NULL\n"
	  "  GROUP BY q.shop, q.sku_id HAVING COUNT(*) > 1) d JOIN dbo.temu_products p ON p.id = d.highest",
	  "DELETE p FROM dbo.temu_products p\n"
	  "WHERE EXISTS (SELECT 1 FROM dbo.temu_products o WHERE o.shop = p.shop AND o.sku_id = p.sku_id AND o.id > p.id)" },
	{ "sku_doubled", "SKUs that stand in more than one product of a shop",
	  "Right here: one article may have several listings, all are kept up to date. The old system knows one product a SKU, so its unique\n"
	  "     key cannot come back before the way back was gone (ecosystem/back_to_old_system.sql).",
	  "SELECT d.lowest AS place, N'\"' + LEFT(p.sku, 60) + N'\": ' + CONVERT(nvarchar(20), d.n) + N' products' AS what\n"
	  "FROM (SELECT q.shop, q.sku, COUNT(*) AS n, MIN(q.id) AS lowest FROM dbo.temu_products q\n"
	  "  GROUP BY q.shop, q.sku HAVING COUNT(*) > 1) d JOIN dbo.temu_products p ON p.id = d.lowest",
	  NULL },
	{ "sku_alike", "SKUs that differ in case or blanks only",
	  "They may be the same article by mistake, or never find theirs: put the seller SKU right at TEMU.",
	  "SELECT d.lowest AS place, N'product ' + CONVERT(nvarchar(20), d.lowest) + N' \"' + LEFT(p.sku, 60) + N'\" and product ' +\n"
	  "  CONVERT(nvarchar(20), d.highest) + N' \"' + LEFT(o.sku, 60) + N'\"' AS what\n"
	  "FROM (SELECT e.shop, e.bare, MIN(e.id) AS lowest, MAX(e.id) AS highest FROM (SELECT q.shop, q.id,\n"
	  "    LOWER(REPLACE(REPLACE(q.sku, N' ', N''), NCHAR(160), N'')) AS bare,\n"
	  "    REPLACE(q.sku, N' ', N'_') COLLATE Latin1_General_BIN AS exact FROM dbo.temu_products q) e\n"
	  "  GROUP BY e.shop, e.bare HAVING MIN(e.exact) <> MAX(e.exact)) d\n"
	  "JOIN dbo.temu_products p ON p.id = d.lowest JOIN dbo.temu_products o ON o.id = d.highest",
	  NULL },
	{ "active_unknown", "Products whose is_active is not set",
	  "The old system means 1 by it, and so do we.", "SELECT p.id AS place, " PRODUCT " AS what\nFROM dbo.temu_products p\n"
	  "WHERE p.is_active IS NULL AND p.sku_id IS NOT NULL",
	  "UPDATE p SET is_active = 1 FROM dbo.temu_products p\nWHERE p.is_active IS NULL AND p.sku_id IS NOT NULL" },
	{ "article_stale", "Products whose jtl_article_id is not their SKU's article",
	  "The article was deleted and made again, or renamed. Each run here finds articles by SKU and believes no number from before.",
	  "SELECT p.id AS place, " PRODUCT " + N': article ' + CONVERT(nvarchar(20), p.jtl_article_id) + CASE WHEN b.kArtikel IS NULL\n"
	  "  THEN N' does not exist' ELSE N' is \"' + LEFT(b.cArtNr COLLATE DATABASE_DEFAULT, 60) + N'\" in JTL' END AS what\n"
	  "FROM dbo.temu_products p LEFT JOIN <JTL>.dbo.tArtikel b ON b.kArtikel = p.jtl_article_id\n" STALE_ARTICLE,
	  "UPDATE p SET jtl_article_id = (SELECT MIN(a.kArtikel) FROM <JTL>.dbo.tArtikel a WHERE a.cArtNr COLLATE DATABASE_DEFAULT = p.sku)\n"
	  "FROM dbo.temu_products p\n" STALE_ARTICLE },
	{ "needs_sync_forgotten", "Inventory rows that want nothing although their two stocks differ",
	  "The old system forgot sold-out articles so. The first open run looks at TEMU itself. Mended, the old system would push them.",
	  "SELECT i.id AS place, " PRODUCT " + N': jtl_stock ' + CONVERT(nvarchar(20), i.jtl_stock) + N', temu_stock ' +\n"
	  "  CONVERT(nvarchar(20), i.temu_stock) AS what\n"
	  "FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id WHERE i.needs_sync = 0 AND i.jtl_stock <> i.temu_stock",
	  "UPDATE dbo.temu_inventory SET needs_sync = 1 WHERE needs_sync = 0 AND jtl_stock <> temu_stock" },
	{ "order_without_export", "Orders marked xml_erstellt without an export",
	  "Their hand-over left no trace: look for each in JTL-Wawi by its external order number, and enter those that are missing.",
	  "SELECT o.id AS place, N'order ' + o.bestell_id + N', status ' + ISNULL(o.status, N'none') AS what\nFROM dbo.temu_orders o\n"
	  "WHERE o.xml_erstellt = 1 AND NOT EXISTS (SELECT 1 FROM dbo.temu_xml_export x WHERE x.bestell_id = o.bestell_id)",
	  NULL },
	{ "order_export_pending", "Orders marked xml_erstellt whose export was never accepted by JTL's database",
	  "The old system marked them although the hand-over failed: look for each in JTL-Wawi by its external order number.",
	  "SELECT o.id AS place, N'order ' + o.bestell_id + N', status ' + ISNULL(o.status, N'none') AS what\nFROM dbo.temu_orders o\n"
	  "WHERE o.xml_erstellt = 1 AND EXISTS (SELECT 1 FROM dbo.temu_xml_export x WHERE x.bestell_id = o.bestell_id)\n"
	  "  AND NOT EXISTS (SELECT 1 FROM dbo.temu_xml_export x WHERE x.bestell_id = o.bestell_id AND x.verarbeitet = 1)",
	  NULL },
	{ "order_without_tracking", "Orders marked versendet without a tracking number",
	  "The old system marked them at the first delivery note and then asked for ever: look up their shipment in JTL-Wawi.",
	  "SELECT o.id AS place, N'order ' + o.bestell_id AS what\nFROM dbo.temu_orders o\n"
	  "WHERE o.status = N'versendet' AND LTRIM(RTRIM(ISNULL(o.trackingnummer, N''))) = N''",
	  NULL },
};

const struct adoption_check *adoption_checks(size_t *count)
{
	*count = sizeof(checks) / sizeof(checks[0]);
	return checks;
}
