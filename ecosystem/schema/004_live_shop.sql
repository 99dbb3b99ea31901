-- Safe on a live shop: who may write, under which rules and on which JTL the last accepted run worked, and what an article's listing was
-- computed from. Only adds: a release that does not know these columns and tables runs on.
-- One row a shop. epoch: raised with every taking; a writer that still has an older one writes nothing more. Times are the server's UTC.
-- installation: of the state folder. place: the machine, its boot and the folder itself, so that a copy of the folder is not the folder.
IF OBJECT_ID(N'dbo.temu_lease', N'U') IS NULL
	CREATE TABLE dbo.temu_lease (
		shop int NOT NULL CONSTRAINT PK_temu_lease PRIMARY KEY,
		installation varchar(40) NOT NULL,
		place varchar(64) NOT NULL,
		host nvarchar(128) NOT NULL,
		epoch bigint NOT NULL,
		taken_at datetime2(3) NOT NULL,
		renewed_at datetime2(3) NOT NULL,
		expires_at datetime2(3) NOT NULL
	)
GO
-- rules: the shop's settings a stock is computed by, of the last run that was allowed to push; NULL = none yet.
IF COL_LENGTH(N'dbo.temu_shop', N'rules') IS NULL
	ALTER TABLE dbo.temu_shop ADD rules nvarchar(2000) NULL
GO
-- jtl_version, jtl_objects: tversion.cVersion and the columns that are read, of the last run whose probes passed.
IF COL_LENGTH(N'dbo.temu_shop', N'jtl_version') IS NULL
	ALTER TABLE dbo.temu_shop ADD jtl_version nvarchar(255) NULL
GO
IF COL_LENGTH(N'dbo.temu_shop', N'jtl_objects') IS NULL
	ALTER TABLE dbo.temu_shop ADD jtl_objects nvarchar(4000) NULL
GO
-- article: kArtikel behind the listing; buffer: its nPuffer. Of the last run that found it.
IF COL_LENGTH(N'dbo.temu_ledger', N'article') IS NULL
	ALTER TABLE dbo.temu_ledger ADD article int NULL
GO
IF COL_LENGTH(N'dbo.temu_ledger', N'buffer') IS NULL
	ALTER TABLE dbo.temu_ledger ADD buffer int NULL
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = OBJECT_ID(N'dbo.temu_ledger') AND i.name = N'idx_temu_ledger_article')
	CREATE INDEX idx_temu_ledger_article ON dbo.temu_ledger (article, shop)
GO
