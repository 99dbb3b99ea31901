-- One row a journal whose lines are copied to dbo.scheduler_logs: everything up to number `last` is there. Moved on in the transaction that
-- inserts the lines, and only from the value that its writer expects. written_at is the server's UTC. Only adds.
IF OBJECT_ID(N'dbo.temu_log_mark', N'U') IS NULL
	CREATE TABLE dbo.temu_log_mark (
		journal varchar(40) NOT NULL CONSTRAINT PK_temu_log_mark PRIMARY KEY,
		last bigint NOT NULL,
		written_at datetime2(3) NOT NULL
	)
GO
