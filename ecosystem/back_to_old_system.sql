-- The way back to the system that ran here before. To be run by a person in the own database (toci), after: a last full run that ended well
-- with the gate open (so that what is sold out is zero at TEMU), the gates shut, both daemons stopped for good. The results come first and
-- want work by hand before the old system starts; then one transaction changes its tables. Run again it only asks for more pushes.
--   * The old system knows one shop, one credential and one product a SKU: products of other shops, and all but one of several listings of a
--     SKU, leave its tables. Nobody keeps their stock at TEMU up to date from then on: set them to zero or end them at TEMU.
--   * Its inventory rows say what should be offered and what TEMU is known to have, and ask for a push wherever the two differ or nobody
--     knows. It forgets a zero that was not pushed: set those to zero at TEMU.
--   * The unique key on the SKU, which its statements count on, is there again. For a return, temu-workers --adoption-report shows the
--     statement that removes it.
--   * What we know of TEMU stops being true with its first push, so all of it counts as unknown: a return begins with a full run. Ledger, lease
--     and journal stay where they are; the old system does not see them.
UPDATE p SET is_active = 0
FROM dbo.temu_products p
WHERE ISNULL(p.is_active, 1) = 1 AND EXISTS (SELECT 1 FROM dbo.temu_shop s WHERE s.shop = p.shop AND s.catalogue_at IS NOT NULL)
	AND NOT EXISTS (SELECT 1 FROM dbo.temu_ledger l WHERE l.shop = p.shop AND l.sku_id = p.sku_id AND l.active = 1)
GO
SELECT N'of another shop' AS left_alone, p.shop, p.sku, p.sku_id
FROM dbo.temu_products p
WHERE p.shop <> 1 AND ISNULL(p.is_active, 1) = 1
ORDER BY p.shop, p.sku, p.sku_id
GO
SELECT N'another listing of the SKU' AS left_alone, p.shop, p.sku, p.sku_id
FROM dbo.temu_products p
WHERE p.shop = 1 AND ISNULL(p.is_active, 1) = 1
	AND EXISTS (SELECT 1 FROM dbo.temu_products o WHERE o.shop = 1 AND o.sku = p.sku AND ISNULL(o.is_active, 1) = 1 AND o.id < p.id)
	AND NOT EXISTS (SELECT 1 FROM dbo.temu_products o WHERE o.shop = 1 AND o.sku_id = p.sku_id AND ISNULL(o.is_active, 1) = 1 AND o.id < p.id)
ORDER BY p.sku, p.sku_id
GO
SELECT N'to be set to zero' AS sold_out, l.shop, l.sku, l.sku_id, l.known AS temu_has
FROM dbo.temu_ledger l
WHERE l.active = 1 AND l.wanted = 0 AND ISNULL(l.known, 1) <> 0
ORDER BY l.shop, l.sku, l.sku_id
GO
SET XACT_ABORT ON
BEGIN TRANSACTION
DELETE p FROM dbo.temu_products p WHERE p.shop <> 1
DELETE p FROM dbo.temu_products p
WHERE EXISTS (SELECT 1 FROM dbo.temu_products o WHERE o.sku = p.sku
	AND (ISNULL(o.is_active, 1) > ISNULL(p.is_active, 1) OR ISNULL(o.is_active, 1) = ISNULL(p.is_active, 1) AND o.id < p.id))
DELETE i FROM dbo.temu_inventory i
WHERE EXISTS (SELECT 1 FROM dbo.temu_inventory o WHERE o.product_id = i.product_id AND o.id < i.id)
UPDATE i SET jtl_stock = l.wanted, temu_stock = ISNULL(l.known, i.temu_stock), needs_sync = CASE WHEN l.known = l.wanted THEN 0 ELSE 1 END,
	updated_at = GETDATE()
FROM dbo.temu_inventory i
JOIN dbo.temu_products p ON p.id = i.product_id
JOIN dbo.temu_ledger l ON l.shop = p.shop AND l.sku_id = p.sku_id
WHERE l.active = 1 AND l.wanted IS NOT NULL
IF NOT EXISTS (SELECT 1 FROM sys.indexes i
	JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
	JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
	WHERE i.object_id = OBJECT_ID(N'dbo.temu_products') AND i.is_unique = 1 AND i.is_primary_key = 0 AND c.name = N'sku')
	ALTER TABLE dbo.temu_products ADD CONSTRAINT UQ_temu_products_sku UNIQUE (sku)
UPDATE dbo.temu_ledger SET known = NULL, known_at = NULL, product_id = NULL
UPDATE dbo.temu_shop SET catalogue_at = NULL
COMMIT
GO
