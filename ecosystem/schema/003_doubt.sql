-- doubt_at: when the last attempt went out whose outcome is unknown and whose value is not the one sent since. As long as it may
-- still arrive, a later value that TEMU confirmed may be overwritten, so known stays NULL. UTC.
IF COL_LENGTH(N'dbo.temu_ledger', N'doubt_at') IS NULL
	ALTER TABLE dbo.temu_ledger ADD doubt_at datetime2(3) NULL
GO
