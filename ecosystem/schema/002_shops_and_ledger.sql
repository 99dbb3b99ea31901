-- Several shops, and the ledger: what each listing has at TEMU as far as TEMU itself said so. Only adds, but for one thing: a unique key
-- on the text SKU gives way, since one SKU may stand in several listings and shops. The statements of the old system still run.
IF COL_LENGTH(N'dbo.temu_products', N'shop') IS NULL
	ALTER TABLE dbo.temu_products ADD shop int NOT NULL CONSTRAINT DF_temu_products_shop DEFAULT 1
GO
IF COL_LENGTH(N'dbo.temu_inventory', N'shop') IS NULL
	ALTER TABLE dbo.temu_inventory ADD shop int NOT NULL CONSTRAINT DF_temu_inventory_shop DEFAULT 1
GO
DECLARE @constraint nvarchar(500)
SELECT @constraint = N'ALTER TABLE dbo.temu_products DROP CONSTRAINT ' + QUOTENAME(i.name)
FROM sys.indexes i
JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE i.object_id = OBJECT_ID(N'dbo.temu_products') AND i.is_unique = 1 AND i.is_unique_constraint = 1 AND i.is_primary_key = 0
	AND c.name = N'sku'
IF @constraint IS NOT NULL EXEC (@constraint)
GO
DECLARE @index nvarchar(500)
SELECT @index = N'DROP INDEX ' + QUOTENAME(i.name) + N' ON dbo.temu_products'
FROM sys.indexes i
JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE i.object_id = OBJECT_ID(N'dbo.temu_products') AND i.is_unique = 1 AND i.is_unique_constraint = 0 AND i.is_primary_key = 0
	AND c.name = N'sku'
IF @index IS NOT NULL EXEC (@index)
GO
CREATE INDEX idx_temu_products_shop_sku_id ON dbo.temu_products (shop, sku_id)
GO
CREATE INDEX idx_temu_products_sku ON dbo.temu_products (sku)
GO
-- Times here are UTC. known: what TEMU has, NULL = unknown; set by TEMU's confirmation or a complete read only, NULL from before a
-- call is made until its answer. wanted: what the last run computed. sent: the last value that went out, sent_from: what was known
-- then, sent_run: in which run.
-- seen_run: the run whose complete read last brought it in or changed it. active: stood in the last complete read.
CREATE TABLE dbo.temu_ledger (
	shop int NOT NULL,
	sku_id bigint NOT NULL,
	goods_id bigint NOT NULL,
	sku nvarchar(100) NOT NULL,
	product_id int NULL,
	known int NULL,
	known_at datetime2(3) NULL,
	wanted int NULL,
	wanted_at datetime2(3) NULL,
	sent int NULL,
	sent_from int NULL,
	sent_at datetime2(3) NULL,
	sent_run varchar(64) NULL,
	code varchar(40) NULL,
	request_id nvarchar(100) NULL,
	seen_run varchar(64) NULL,
	seen_at datetime2(3) NULL,
	active bit NOT NULL CONSTRAINT DF_temu_ledger_active DEFAULT 1,
	CONSTRAINT PK_temu_ledger PRIMARY KEY (shop, sku_id)
)
GO
-- One row a shop: its last complete read of TEMU.
CREATE TABLE dbo.temu_shop (
	shop int NOT NULL,
	catalogue_run varchar(64) NULL,
	catalogue_at datetime2(3) NULL,
	catalogue_skus int NULL,
	CONSTRAINT PK_temu_shop PRIMARY KEY (shop)
)
GO
