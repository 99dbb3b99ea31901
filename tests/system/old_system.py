"""The system that ran here before, played: its tables by its own DDL, the damage it leaves in years, and its inventory job with its
statements (jtl_database.md 6). What it does wrong it does wrong here too: sold-out articles are never set to zero, buffers are ignored."""

import json

from support import oracle  # noqa: I001  (puts the sandbox on the path)
import temu_client

WAREHOUSE = 2
TABLES = """
CREATE TABLE dbo.temu_products (
	id int IDENTITY(1,1) NOT NULL PRIMARY KEY, sku nvarchar(100) NOT NULL UNIQUE, goods_id bigint NOT NULL, sku_id bigint NULL,
	goods_name nvarchar(500) NULL, jtl_article_id int NULL, is_active bit NULL DEFAULT 1, synced_at datetime NULL,
	created_at datetime NULL DEFAULT GETDATE(), updated_at datetime NULL DEFAULT GETDATE())
GO
CREATE INDEX idx_temu_products_goods_id ON dbo.temu_products (goods_id)
GO
CREATE INDEX idx_temu_products_jtl_article_id ON dbo.temu_products (jtl_article_id)
GO
CREATE TABLE dbo.temu_inventory (
	id int IDENTITY(1,1) NOT NULL PRIMARY KEY, product_id int NOT NULL FOREIGN KEY REFERENCES dbo.temu_products (id) ON DELETE CASCADE,
	jtl_article_id int NULL, jtl_stock int NOT NULL DEFAULT 0, temu_stock int NOT NULL DEFAULT 0, needs_sync bit NOT NULL DEFAULT 0,
	last_synced_to_temu datetime NULL, created_at datetime NULL DEFAULT GETDATE(), updated_at datetime NULL DEFAULT GETDATE())
GO
CREATE INDEX idx_temu_inventory_product_id ON dbo.temu_inventory (product_id)
GO
CREATE INDEX idx_temu_inventory_needs_sync ON dbo.temu_inventory (needs_sync)
GO
CREATE TABLE dbo.temu_orders (
	id int IDENTITY(1,1) NOT NULL PRIMARY KEY, bestell_id nvarchar(50) NOT NULL UNIQUE, bestellstatus nvarchar(50) NULL,
	kaufdatum datetime NULL,
	name_empfaenger nvarchar(200) NULL, vorname_empfaenger nvarchar(100) NULL, nachname_empfaenger nvarchar(100) NULL,
	telefon_empfaenger nvarchar(50) NULL, email nvarchar(255) NULL, strasse nvarchar(200) NULL, adresszusatz nvarchar(200) NULL,
	plz nvarchar(20) NULL, ort nvarchar(100) NULL, bundesland nvarchar(100) NULL, land nvarchar(50) NULL, land_iso nvarchar(2) NULL,
	versandkosten decimal(10,2) NULL, versanddienstleister nvarchar(100) NULL, trackingnummer nvarchar(100) NULL, versanddatum datetime NULL,
	status nvarchar(50) NULL DEFAULT 'importiert', xml_erstellt bit NULL DEFAULT 0, temu_gemeldet bit NULL DEFAULT 0,
	created_at datetime NULL DEFAULT GETDATE(), updated_at datetime NULL DEFAULT GETDATE())
GO
CREATE TABLE dbo.temu_order_items (
	id int IDENTITY(1,1) NOT NULL PRIMARY KEY, order_id int NOT NULL FOREIGN KEY REFERENCES dbo.temu_orders (id) ON DELETE CASCADE,
	bestell_id nvarchar(50) NOT NULL, bestellartikel_id nvarchar(50) NOT NULL UNIQUE, produktname nvarchar(500) NULL, sku nvarchar(100) NULL,
	sku_id nvarchar(100) NULL, variation nvarchar(200) NULL, menge decimal(10,2) NULL, netto_einzelpreis decimal(10,2) NULL,
	brutto_einzelpreis decimal(10,2) NULL, gesamtpreis_netto decimal(10,2) NULL, gesamtpreis_brutto decimal(10,2) NULL,
	mwst_satz decimal(5,2) NULL DEFAULT 19.00, created_at datetime NULL DEFAULT GETDATE())
GO
CREATE TABLE dbo.temu_xml_export (
	id int IDENTITY(1,1) NOT NULL PRIMARY KEY, bestell_id nvarchar(50) NOT NULL, xml_content nvarchar(max) NOT NULL,
	status nvarchar(50) NULL DEFAULT 'pending', verarbeitet bit NULL DEFAULT 0, created_at datetime NULL DEFAULT GETDATE(),
	processed_at datetime NULL)
GO
CREATE TABLE dbo.scheduler_logs (
	log_id int IDENTITY(1,1) NOT NULL PRIMARY KEY, job_id varchar(255) NOT NULL, job_type varchar(100) NOT NULL, level varchar(20) NOT NULL,
	message nvarchar(max) NOT NULL, [timestamp] datetime2 NOT NULL DEFAULT GETDATE(), duration_seconds float NULL, status varchar(20) NULL,
	error_text nvarchar(max) NULL)
"""
KEPT = ("temu_products", "temu_inventory", "temu_orders", "temu_order_items", "temu_xml_export")


def build(cursor):
    """Its tables, in the cursor's database, which has none of them."""
    for batch in TABLES.split("\nGO\n"):
        cursor.execute(batch)


def fill(cursor, model, dice):
    """Years of it: a product for most SKU texts of the model's first shop (its unique key allows one listing a text), and the damage
    that comes with them. Returns what is wrong, {kind: ids of temu_products, or how many}."""
    articles = {oracle.fold(row["sku"]): row for row in model.articles if "gap" not in row}
    rows, texts = [], set()
    for goods in model.goods:
        for sku in goods["skus"]:
            key = oracle.fold(sku["sku_sn"])
            if not key or key in texts or dice.random() < 0.05:
                continue
            texts.add(key)
            article = articles.get(key)
            rows.append({"sku": sku["sku_sn"], "g": goods["goods_id"], "s": sku["sku_id"], "a": article and article["k"]})
    cursor.execute("""INSERT INTO dbo.temu_products (sku, goods_id, sku_id, goods_name, jtl_article_id)
        SELECT sku, g, s, N'Artikel', a FROM OPENJSON(%s) WITH (sku nvarchar(100), g bigint, s bigint, a int)""", (json.dumps(rows),))
    cursor.execute("INSERT INTO dbo.temu_products (sku, goods_id, sku_id, goods_name, jtl_article_id) "
                   "VALUES (N'GONE-LONG-AGO', 1, 2, N'X', 1)")
    cursor.execute("""INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync, last_synced_to_temu)
        SELECT id, jtl_article_id, 5, 5, 0, DATEADD(day, -1, GETDATE()) FROM dbo.temu_products""")
    cursor.execute("SELECT id FROM dbo.temu_products WHERE sku LIKE N'ART-%' ORDER BY id")
    ids = [row[0] for row in cursor.fetchall()]
    dice.shuffle(ids)
    damage = {kind: sorted(ids[start:start + 4]) for start, kind in
              zip(range(0, 100, 4), ("doubled", "no_inventory", "no_sku_id", "stale_article", "active_null", "not_due"))}
    for kind, statement in (
            ("doubled", "INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync) "
                        "SELECT product_id, jtl_article_id, jtl_stock + 1, temu_stock, 1 FROM dbo.temu_inventory WHERE product_id IN (%s)"),
            ("no_inventory", "DELETE FROM dbo.temu_inventory WHERE product_id IN (%s)"),
            ("no_sku_id", "UPDATE dbo.temu_products SET sku_id = NULL WHERE id IN (%s)"),
            ("stale_article", "UPDATE dbo.temu_products SET jtl_article_id = jtl_article_id + 100000 WHERE id IN (%s)"),
            ("active_null", "UPDATE dbo.temu_products SET is_active = NULL WHERE id IN (%s)"),
            ("not_due", "UPDATE dbo.temu_inventory SET jtl_stock = 77, temu_stock = 3, needs_sync = 0 WHERE product_id IN (%s)")):
        cursor.execute(statement % ", ".join(str(number) for number in damage[kind]))
    cursor.execute("INSERT INTO dbo.temu_orders (bestell_id, status, xml_erstellt) VALUES (N'PO-1', N'xml_erstellt', 1), "
                   "(N'PO-2', N'importiert', 0)")
    cursor.execute("INSERT INTO dbo.temu_orders (bestell_id, status, xml_erstellt, trackingnummer) VALUES (N'PO-3', N'versendet', 1, N'')")
    return damage


def kept_rows(cursor):
    """All of its tables but the log, row by row, without the columns that others may have added."""
    found = {}
    for table in KEPT:
        words = TABLES[TABLES.index("CREATE TABLE dbo.%s (" % table):].split("\nGO\n")[0]
        names = [part.split()[0] for part in words.split("(", 1)[1].replace("\n\t", " ").split(", ")]
        cursor.execute("SELECT %s FROM dbo.%s ORDER BY id" % (", ".join(names), table))
        found[table] = cursor.fetchall()
    return found


def inventory_job(cursor, jtl, url, app, number):
    """One run of its inventory job: every positive stock goes out, by its own statements; {sku_id: pushed}."""
    job = "temu_inventory_%d" % number
    log(cursor, job, "Start")
    cursor.execute("""SELECT p.id, p.goods_id, p.sku_id, p.jtl_article_id, (SELECT SUM(l.fBestand) FROM %s.dbo.vLagerbestandProLager l
        WHERE l.kArtikel = p.jtl_article_id AND l.kWarenlager = %d) FROM dbo.temu_products p WHERE p.is_active = 1""" % (jtl, WAREHOUSE))
    for product, _, _, article, stock in cursor.fetchall():
        stock = int(stock or 0)
        cursor.execute("UPDATE dbo.temu_inventory SET jtl_article_id = %s, jtl_stock = %d, updated_at = GETDATE(), "
                       "needs_sync = CASE WHEN %d > 0 THEN 1 ELSE 0 END WHERE product_id = %d", (article, stock, stock, product))
        if cursor.rowcount == 0:
            cursor.execute("INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync) "
                           "VALUES (%d, %s, %d, %d, 0)", (product, article, stock, stock))
    cursor.execute("SELECT p.id, p.goods_id, p.sku_id, i.jtl_stock FROM dbo.temu_inventory i "
                   "JOIN dbo.temu_products p ON p.id = i.product_id WHERE i.needs_sync = 1 AND p.sku_id IS NOT NULL")
    pushed, goods = {}, {}
    for product, goods_id, sku_id, stock in cursor.fetchall():
        goods.setdefault(goods_id, {})[sku_id] = (product, min(stock, 1000000))
    for goods_id, skus in goods.items():
        try:
            answer = temu_client.call(url, app, "bg.local.goods.stock.edit", goodsId=goods_id, stockType=0,
                                      skuStockTargetList=[{"skuId": sku_id, "stockTarget": stock} for sku_id, (_, stock) in skus.items()])
        except RuntimeError as error:
            log(cursor, job, str(error), level="ERROR")
            continue
        for row in answer["skuStockEditStatusInfoList"]:
            if row["stockEditStatus"]:
                product, stock = skus[int(row["skuId"])]
                pushed[int(row["skuId"])] = stock
                cursor.execute("UPDATE dbo.temu_inventory SET needs_sync = 0, temu_stock = %d, last_synced_to_temu = GETDATE() "
                               "WHERE product_id = %d", (stock, product))
    log(cursor, job, "Ende", "SUCCESS")
    return pushed


def log(cursor, job, message, status=None, level="INFO"):
    cursor.execute("INSERT INTO dbo.scheduler_logs (job_id, job_type, level, message, [timestamp], status) "
                   "VALUES (%s, 'temu_inventory', %s, %s, GETDATE(), %s)", (job, level, message, status))
