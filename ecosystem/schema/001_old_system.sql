-- The tables of the system that ran here before, with its names, types and defaults, where they do not exist yet. Existing ones are left
-- as they are. The only difference in a new one: no unique key on temu_products.sku, since one SKU text may stand in several listings.
-- Times in these tables are the server's local ones, as its statements and reports expect.
IF OBJECT_ID(N'dbo.temu_products', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.temu_products (
		id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		sku nvarchar(100) NOT NULL,
		goods_id bigint NOT NULL,
		sku_id bigint NULL,
		goods_name nvarchar(500) NULL,
		jtl_article_id int NULL,
		is_active bit NULL DEFAULT 1,
		synced_at datetime NULL,
		created_at datetime NULL DEFAULT GETDATE(),
		updated_at datetime NULL DEFAULT GETDATE()
	);
	CREATE INDEX idx_temu_products_goods_id ON dbo.temu_products (goods_id);
	CREATE INDEX idx_temu_products_jtl_article_id ON dbo.temu_products (jtl_article_id);
END
GO
IF OBJECT_ID(N'dbo.temu_inventory', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.temu_inventory (
		id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		product_id int NOT NULL FOREIGN KEY REFERENCES dbo.temu_products (id) ON DELETE CASCADE,
		jtl_article_id int NULL,
		jtl_stock int NOT NULL DEFAULT 0,
		temu_stock int NOT NULL DEFAULT 0,
		needs_sync bit NOT NULL DEFAULT 0,
		last_synced_to_temu datetime NULL,
		created_at datetime NULL DEFAULT GETDATE(),
		updated_at datetime NULL DEFAULT GETDATE()
	);
	CREATE INDEX idx_temu_inventory_product_id ON dbo.temu_inventory (product_id);
	CREATE INDEX idx_temu_inventory_needs_sync ON dbo.temu_inventory (needs_sync);
END
GO
IF OBJECT_ID(N'dbo.temu_orders', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.temu_orders (
		id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		bestell_id nvarchar(50) NOT NULL UNIQUE,
		bestellstatus nvarchar(50) NULL,
		kaufdatum datetime NULL,
		name_empfaenger nvarchar(200) NULL,
		vorname_empfaenger nvarchar(100) NULL,
		nachname_empfaenger nvarchar(100) NULL,
		telefon_empfaenger nvarchar(50) NULL,
		email nvarchar(255) NULL,
		strasse nvarchar(200) NULL,
		adresszusatz nvarchar(200) NULL,
		plz nvarchar(20) NULL,
		ort nvarchar(100) NULL,
		bundesland nvarchar(100) NULL,
		land nvarchar(50) NULL,
		land_iso nvarchar(2) NULL,
		versandkosten decimal(10,2) NULL,
		versanddienstleister nvarchar(100) NULL,
		trackingnummer nvarchar(100) NULL,
		versanddatum datetime NULL,
		status nvarchar(50) NULL DEFAULT 'importiert',
		xml_erstellt bit NULL DEFAULT 0,
		temu_gemeldet bit NULL DEFAULT 0,
		created_at datetime NULL DEFAULT GETDATE(),
		updated_at datetime NULL DEFAULT GETDATE()
	);
	CREATE INDEX idx_bestell_id ON dbo.temu_orders (bestell_id);
	CREATE INDEX idx_status ON dbo.temu_orders (status);
	CREATE INDEX idx_trackingnummer ON dbo.temu_orders (trackingnummer);
END
GO
IF OBJECT_ID(N'dbo.temu_order_items', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.temu_order_items (
		id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		order_id int NOT NULL FOREIGN KEY REFERENCES dbo.temu_orders (id) ON DELETE CASCADE,
		bestell_id nvarchar(50) NOT NULL,
		bestellartikel_id nvarchar(50) NOT NULL UNIQUE,
		produktname nvarchar(500) NULL,
		sku nvarchar(100) NULL,
		sku_id nvarchar(100) NULL,
		variation nvarchar(200) NULL,
		menge decimal(10,2) NULL,
		netto_einzelpreis decimal(10,2) NULL,
		brutto_einzelpreis decimal(10,2) NULL,
		gesamtpreis_netto decimal(10,2) NULL,
		gesamtpreis_brutto decimal(10,2) NULL,
		mwst_satz decimal(5,2) NULL DEFAULT 19.00,
		created_at datetime NULL DEFAULT GETDATE()
	);
	CREATE INDEX idx_order_id ON dbo.temu_order_items (order_id);
	CREATE INDEX idx_bestellartikel_id ON dbo.temu_order_items (bestellartikel_id);
	CREATE INDEX idx_bestell_id ON dbo.temu_order_items (bestell_id);
END
GO
IF OBJECT_ID(N'dbo.temu_xml_export', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.temu_xml_export (
		id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		bestell_id nvarchar(50) NOT NULL,
		xml_content nvarchar(max) NOT NULL,
		status nvarchar(50) NULL DEFAULT 'pending',
		verarbeitet bit NULL DEFAULT 0,
		created_at datetime NULL DEFAULT GETDATE(),
		processed_at datetime NULL
	);
	CREATE INDEX idx_status ON dbo.temu_xml_export (status);
	CREATE INDEX idx_bestell_id ON dbo.temu_xml_export (bestell_id);
END
GO
IF OBJECT_ID(N'dbo.scheduler_logs', N'U') IS NULL
BEGIN
	CREATE TABLE dbo.scheduler_logs (
		log_id int IDENTITY(1,1) NOT NULL PRIMARY KEY,
		job_id varchar(255) NOT NULL,
		job_type varchar(100) NOT NULL,
		level varchar(20) NOT NULL,
		message nvarchar(max) NOT NULL,
		[timestamp] datetime2 NOT NULL DEFAULT GETDATE(),
		duration_seconds float NULL,
		status varchar(20) NULL,
		error_text nvarchar(max) NULL
	);
	CREATE INDEX idx_job_id ON dbo.scheduler_logs (job_id);
	CREATE INDEX idx_timestamp ON dbo.scheduler_logs ([timestamp]);
	CREATE INDEX idx_level ON dbo.scheduler_logs (level);
END
GO
