/* The old system's tables with their damage: what the report finds and says, that each of its statements mends just that, and that double
 * rows are written alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/adoption.h"
#include "worker/db/inventory.h"
#include "worker/db/products.h"
#include "worker/db/schema.h"

static struct sql_world world;
static struct db *db;
static struct err err = ERR_INIT;

#define OK(call)                                                \
	do {                                                    \
		err_clear(&err);                                \
		if ((call) != 0)                                \
			fail_msg("%s: %s", err.code, err.text); \
	} while (0)

/* --- an old installation --- */

/* Articles of JTL: AD-OK-1, AD-OK-2, AD-MOVED; the number 999999 is none's. Whatever is right has a SKU that begins with AD-OK. */
static const char *const damage[] = {
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id, goods_name, jtl_article_id) SELECT a.cArtNr COLLATE DATABASE_DEFAULT, 1, "
	"CASE WHEN a.cArtNr = N'AD-OK-1' THEN 101 ELSE 102 END, N'fine', a.kArtikel FROM <JTL>.dbo.tArtikel a WHERE a.cArtNr LIKE N'AD-OK%'",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock) SELECT id, jtl_article_id, 4, 4 FROM "
	"dbo.temu_products WHERE sku LIKE N'AD-OK%'",
	/* inventory_doubled, and a row written later that says something else */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-TWICE', 1, 103)",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock, updated_at) SELECT id, 9, 9, '20260101' FROM dbo.temu_products "
	"WHERE sku = N'AD-TWICE'",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock, updated_at) SELECT id, 3, 3, '20260301' FROM dbo.temu_products "
	"WHERE sku = N'AD-TWICE'",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock, updated_at) SELECT id, 9, 9, NULL FROM dbo.temu_products "
	"WHERE sku = N'AD-TWICE'",
	/* inventory_missing, and one that is to have none: its listing has no wanted stock */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id, jtl_article_id) SELECT N'AD-OK-1-NONE', 1, 104, NULL",
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-UNMAPPED', 1, 105)",
	"INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku) VALUES (1, 105, 1, N'AD-UNMAPPED')",
	/* product_without_sku_id */
	"INSERT INTO dbo.temu_products (sku, goods_id, is_active) VALUES (N'AD-NO-ID', 1, NULL)",
	/* sku_id_doubled */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-NAME-OLD', 1, 106), (N'AD-NAME-NEW', 1, 106)",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock) SELECT id, 1, 1 FROM dbo.temu_products WHERE sku_id = 106",
	/* sku_doubled */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-SAME', 1, 107), (N'AD-SAME', 2, 108)",
	"INSERT INTO dbo.temu_inventory (product_id) SELECT id FROM dbo.temu_products WHERE sku = N'AD-SAME'",
	/* sku_alike */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-BLANK 7', 1, 109), (N' ad-blank7', 1, 110)",
	"INSERT INTO dbo.temu_inventory (product_id) SELECT id FROM dbo.temu_products WHERE sku_id IN (109, 110)",
	/* active_unknown */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id, is_active) VALUES (N'AD-MAYBE', 1, 111, NULL)",
	"INSERT INTO dbo.temu_inventory (product_id) SELECT id FROM dbo.temu_products WHERE sku_id = 111",
	/* article_stale: no article, and another one's */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id, jtl_article_id) SELECT N'AD-MOVED', 1, 112, 999999",
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id, jtl_article_id) SELECT N'AD-NOT-THERE', 1, 113, kArtikel FROM "
	"<JTL>.dbo.tArtikel WHERE cArtNr = N'AD-MOVED'",
	"INSERT INTO dbo.temu_inventory (product_id) SELECT id FROM dbo.temu_products WHERE sku_id IN (112, 113)",
	/* needs_sync_forgotten */
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-SOLD-OUT', 1, 114)",
	"INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock) SELECT id, 0, 6 FROM dbo.temu_products WHERE sku_id = 114",
	/* orders: one that is right, and one of each kind */
	"INSERT INTO dbo.temu_orders (bestell_id, status, xml_erstellt, trackingnummer) VALUES (N'PO-OK', N'versendet', 1, N'00340'), "
	"(N'PO-LOST', N'xml_erstellt', 1, NULL), (N'PO-PENDING', N'xml_erstellt', 1, NULL), (N'PO-BLANK', N'versendet', 1, N'  '), "
	"(N'PO-NEW', N'importiert', 0, NULL)",
	"INSERT INTO dbo.temu_xml_export (bestell_id, xml_content, status, verarbeitet) VALUES (N'PO-OK', N'<a/>', N'processed', 1), "
	"(N'PO-PENDING', N'<a/>', N'pending', 0), (N'PO-BLANK', N'<a/>', N'pending', 0), (N'PO-BLANK', N'<a/>', N'processed', 1)",
};

/* A complete read of TEMU showed everything but 115. */
static const char *const seen[] = {
	"INSERT INTO dbo.temu_products (sku, goods_id, sku_id) VALUES (N'AD-GONE', 1, 115)",
	"INSERT INTO dbo.temu_inventory (product_id) SELECT id FROM dbo.temu_products WHERE sku_id = 115",
	"INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, wanted) SELECT DISTINCT 1, p.sku_id, 1, N'x', 1 FROM dbo.temu_products p "
	"WHERE p.sku_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dbo.temu_ledger l WHERE l.sku_id = p.sku_id)",
	"UPDATE dbo.temu_ledger SET active = 0 WHERE sku_id = 115",
	"INSERT INTO dbo.temu_shop (shop, catalogue_at) VALUES (1, '20260401')",
};

static void run(const char *text)
{
	struct buf sql;

	buf_init(&sql, 1 << 16);
	OK(adoption_mend(&(struct adoption_check){ .mend = text }, world.jtl, &sql, &err));
	assert_true(world_run_sql(db, buf_text(&sql)));
	buf_release(&sql);
}

#define RUN_ALL(list)                                                  \
	for (size_t i = 0; i < sizeof(list) / sizeof((list)[0]); i++) \
	run((list)[i])

static int clean(void **state)
{
	static const char *const tables[] = { "temu_inventory", "temu_products", "temu_ledger",
		                              "temu_shop",      "temu_orders",   "temu_xml_export" };

	(void)state;
	for (size_t i = 0; world.there && i < sizeof(tables) / sizeof(tables[0]); i++) {
		char sql[100];

		snprintf(sql, sizeof(sql), "DELETE FROM dbo.%s", tables[i]);
		if (!world_run_sql(db, sql))
			return -1;
	}
	return 0;
}

/* --- reading it --- */

struct report {
	struct buf text;
	size_t findings;
};

static struct report report_of(const char *jtl)
{
	struct report report = { .findings = 99 };

	buf_init(&report.text, 1 << 20);
	OK(adoption_report(db, jtl, &report.text, &report.findings, &err));
	return report;
}

/* What stands before the kind's mark, 0 = not reported. */
static int64_t reported(const struct report *report, const char *id)
{
	char mark[60];
	const char *at;

	snprintf(mark, sizeof(mark), "   [%s]\n", id);
	at = strstr(buf_text(&report->text), mark);
	if (!at)
		return 0;
	while (isdigit((unsigned char)at[-1]))
		at--;
	return strtoll(at, NULL, 10);
}

static void expect_text(const struct report *report, const char *text)
{
	if (!strstr(buf_text(&report->text), text))
		fail_msg("\"%s\" is not in\n%s", text, buf_text(&report->text));
}

static void a_clean_installation(void **state)
{
	struct report report;

	(void)state;
	if (!world.there)
		skip();
	run(damage[0]);
	run(damage[1]);
	report = report_of(world.jtl);
	assert_int_equal(report.findings, 0);
	assert_string_equal(buf_text(&report.text),
	                    "Adoption report: 14 kinds of damage looked for in the tables of the old system, 0 found.\n");
	buf_release(&report.text);
}

static const struct {
	const char *id;
	int64_t count;
	const char *line;
} expected[] = {
	{ "inventory_doubled", 1, "\"AD-TWICE\": 3 rows that say different things" },
	{ "inventory_missing", 1, "\"AD-OK-1-NONE\"" },
	{ "product_without_sku_id", 1, "\"AD-NO-ID\"" },
	{ "product_gone", 1, "\"AD-GONE\": skuId 115" },
	{ "sku_id_doubled", 1, "skuId 106: 2 products, the newest is " },
	{ "sku_doubled", 1, "\"AD-SAME\": 2 products" },
	{ "sku_alike", 1, "\"AD-BLANK 7\" and product " },
	{ "active_unknown", 1, "\"AD-MAYBE\"" },
	{ "article_stale", 2, "\"AD-MOVED\": article 999999 does not exist" },
	{ "needs_sync_forgotten", 1, "\"AD-SOLD-OUT\": jtl_stock 0, temu_stock 6" },
	{ "order_without_export", 1, "order PO-LOST, status xml_erstellt" },
	{ "order_export_pending", 1, "order PO-PENDING, status xml_erstellt" },
	{ "order_without_tracking", 1, "order PO-BLANK" },
};

static void every_kind_is_found(void **state)
{
	struct report report;
	size_t count;

	(void)state;
	if (!world.there)
		skip();
	RUN_ALL(damage);
	report = report_of(world.jtl);
	assert_int_equal(report.findings, 12); /* before the first complete read nothing is called gone */
	assert_int_equal(reported(&report, "product_gone"), 0);
	buf_release(&report.text);
	RUN_ALL(seen);
	report = report_of(world.jtl);
	(void)adoption_checks(&count);
	assert_int_equal(count, sizeof(expected) / sizeof(expected[0]) + 1); /* and sku_key, which the doubled SKUs rule out */
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (reported(&report, expected[i].id) != expected[i].count)
			fail_msg("%s\n%s", expected[i].id, buf_text(&report.text));
		expect_text(&report, expected[i].line);
	}
	assert_int_equal(report.findings, count - 1);
	expect_text(&report, "\"AD-NOT-THERE\": article ");
	expect_text(&report, " is \"AD-MOVED\" in JTL");
	expect_text(&report, "     To mend it:\n       UPDATE dbo.temu_inventory SET needs_sync = 1 WHERE");
	assert_null(strstr(buf_text(&report.text), "<JTL>"));
	assert_null(strstr(buf_text(&report.text), "AD-UNMAPPED"));
	buf_release(&report.text);
}

/* --- mending it --- */

static int take_text(void *arg, const struct db_row *row, struct err *unused)
{
	struct buf *out = arg;

	(void)unused;
	for (int i = 0; i < db_row_columns(row); i++) {
		const char *text = db_row_text(row, i, NULL);

		buf_addf(out, "%s|", text ? text : "NULL");
	}
	buf_add_char(out, '\n');
	return 0;
}

/* Every column of what no statement may touch. */
static void dump(struct buf *out)
{
	static const char sql[] =
	    "SELECT id, sku, goods_id, sku_id, goods_name, jtl_article_id, is_active, CONVERT(varchar(33), synced_at, 126), "
	    "CONVERT(varchar(33), created_at, 126), CONVERT(varchar(33), updated_at, 126), shop FROM dbo.temu_products "
	    "WHERE sku LIKE N'AD-OK%' OR sku IN (N'AD-TWICE', N'AD-SAME', N'AD-SOLD-OUT', N'AD-NAME-NEW', N'AD-UNMAPPED') OR sku_id IN (109, 110) "
	    "ORDER BY id\n"
	    "SELECT i.id, i.product_id, i.jtl_article_id, i.jtl_stock, i.temu_stock, i.needs_sync, CONVERT(varchar(33), "
	    "i.last_synced_to_temu, 126), CONVERT(varchar(33), i.created_at, 126), CONVERT(varchar(33), i.updated_at, 126), i.shop "
	    "FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id WHERE p.sku NOT IN (N'AD-TWICE', N'AD-OK-1-NONE', "
	    "N'AD-SOLD-OUT', N'AD-NAME-OLD') ORDER BY i.id\n"
	    "SELECT id, bestell_id, status, xml_erstellt, trackingnummer, CONVERT(varchar(33), updated_at, 126) FROM dbo.temu_orders "
	    "ORDER BY id\n"
	    "SELECT id, bestell_id, status, verarbeitet FROM dbo.temu_xml_export ORDER BY id\n"
	    "SELECT shop, sku_id, sku, wanted, active FROM dbo.temu_ledger ORDER BY sku_id";

	OK(db_query(db, &(struct db_statement){ .sql = sql, .row = take_text, .arg = out }, NULL, &err));
}

static void mend_all(bool backwards)
{
	size_t count;
	const struct adoption_check *checks = adoption_checks(&count);
	struct buf sql;

	buf_init(&sql, 1 << 16);
	for (size_t i = 0; i < count; i++) {
		const struct adoption_check *check = &checks[backwards ? count - 1 - i : i];
		struct report before = report_of(world.jtl), after;

		if (check->mend && strcmp(check->id, "sku_key") != 0) {
			assert_true(reported(&before, check->id) > 0);
			buf_clear(&sql);
			OK(adoption_mend(check, world.jtl, &sql, &err));
			assert_true(world_run_sql(db, buf_text(&sql)));
			after = report_of(world.jtl);
			if (reported(&after, check->id) != 0)
				fail_msg("%s", buf_text(&after.text));
			assert_int_equal(after.findings, before.findings - 1);
			buf_release(&after.text);
		}
		buf_release(&before.text);
	}
	buf_release(&sql);
}

static void check_mended(void)
{
	static const struct {
		const char *sql;
		int64_t want;
	} checks[] = {
		{ "SELECT COUNT(*) FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id WHERE p.sku = N'AD-TWICE'", 1 },
		{ "SELECT i.jtl_stock FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id WHERE p.sku = N'AD-TWICE'", 3 },
		{ "SELECT COUNT(*) FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id WHERE p.sku = N'AD-OK-1-NONE' AND "
		  "i.shop = 1 AND i.jtl_stock = 0 AND i.temu_stock = 0 AND i.needs_sync = 0 AND i.created_at IS NOT NULL",
		  1 },
		{ "SELECT COUNT(*) FROM dbo.temu_products WHERE sku IN (N'AD-NO-ID', N'AD-GONE') AND is_active = 0", 2 },
		{ "SELECT COUNT(*) FROM dbo.temu_products WHERE sku IN (N'AD-NAME-OLD')", 0 },
		{ "SELECT COUNT(*) FROM dbo.temu_inventory i WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_products p WHERE p.id = i.product_id)", 0 },
		{ "SELECT COUNT(*) FROM dbo.temu_products WHERE sku = N'AD-MAYBE' AND is_active = 1", 1 },
		{ "SELECT COUNT(*) FROM dbo.temu_products WHERE sku = N'AD-NOT-THERE' AND jtl_article_id IS NULL", 1 },
		{ "SELECT COUNT(*) FROM dbo.temu_products p WHERE p.sku = N'AD-MOVED' AND p.jtl_article_id <> 999999", 1 },
		{ "SELECT COUNT(*) FROM dbo.temu_inventory WHERE needs_sync = 1 AND jtl_stock = 0 AND temu_stock = 6", 1 },
		{ "SELECT COUNT(*) FROM dbo.temu_inventory WHERE needs_sync = 1", 1 },
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (world_number(db, checks[i].sql) != checks[i].want)
			fail_msg("%s", checks[i].sql);
}

static void mend_and_compare(bool backwards)
{
	struct buf before, after;

	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	RUN_ALL(damage);
	RUN_ALL(seen);
	dump(&before);
	mend_all(backwards);
	dump(&after);
	assert_string_equal(buf_text(&before), buf_text(&after));
	check_mended();
	buf_release(&before);
	buf_release(&after);
}

static void each_statement_mends_its_kind_and_nothing_else(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	mend_and_compare(false);
}

static void in_any_order(void **state)
{
	(void)state;
	if (!world.there)
		skip();
	mend_and_compare(true);
}

static void a_unique_key_on_the_sku_that_came_back(void **state)
{
	static const char *const made[] = { "ALTER TABLE dbo.temu_products ADD CONSTRAINT UQ_again UNIQUE (sku)",
		                            "CREATE UNIQUE INDEX UX_again ON dbo.temu_products (sku)" };
	size_t count;

	(void)state;
	if (!world.there)
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct report report;

		run(made[i]);
		report = report_of(world.jtl);
		assert_int_equal(report.findings, 1);
		assert_int_equal(reported(&report, "sku_key"), 1);
		expect_text(&report, i == 0 ? "key UQ_again\n" : "key UX_again\n");
		buf_release(&report.text);
		run(adoption_checks(&count)[0].mend);
		report = report_of(world.jtl);
		assert_int_equal(report.findings, 0);
		buf_release(&report.text);
	}
}

/* --- limits and errors --- */

static void long_lists_and_strange_texts(void **state)
{
	struct report report;

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < 25; i++) {
		char sql[200];

		snprintf(sql, sizeof(sql),
		         "INSERT INTO dbo.temu_products (sku, goods_id, jtl_article_id) VALUES (N'%02d' + NCHAR(27) + N'[2J\xC3\xA4' + "
		         "REPLICATE(N'\xC3\xA4', 90), 1, NULL)",
		         i);
		assert_true(world_run_sql(db, sql));
	}
	report = report_of(world.jtl);
	assert_int_equal(reported(&report, "product_without_sku_id"), 25);
	expect_text(&report, "\"09?[2J\xC3\xA4");
	expect_text(&report, "\n     ... and 15 more\n");
	assert_null(strstr(buf_text(&report.text), "\"10?[2J"));
	assert_null(strchr(buf_text(&report.text), 27));
	assert_true(report.text.len < 8000);
	buf_release(&report.text);
}

static void a_jtl_database_that_cannot_be_read(void **state)
{
	struct report report;
	struct buf sql;

	(void)state;
	if (!world.there)
		skip();
	RUN_ALL(damage);
	report = report_of("no_such_database");
	expect_text(&report, "could not be looked at   [article_stale]\n");
	assert_int_equal(reported(&report, "inventory_doubled"), 1);
	assert_int_equal(report.findings, 11);
	buf_release(&report.text);
	buf_init(&report.text, 1 << 20);
	buf_init(&sql, 1 << 16);
	assert_int_equal(adoption_mend(&adoption_checks(&(size_t){ 0 })[9], "", &sql, &err), -1);
	assert_string_equal(err.code, "SQL_TEXT");
	buf_release(&sql);
	buf_release(&report.text);
}

static void a_cut_connection_is_an_error(void **state)
{
	struct db *other;
	struct buf text;

	(void)state;
	if (!world.there || world.external)
		skip();
	other = sql_world_open(&world, world.own);
	assert_non_null(other);
	buf_init(&text, 1 << 20);
	assert_true(sql_world_order(&world, "cut-after match=temu_xml_export"));
	err_clear(&err);
	assert_int_equal(adoption_report(other, world.jtl, &text, NULL, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(text.len, 0);
	buf_release(&text);
	db_close(other);
	assert_true(sql_world_order(&world, "clear"));
}

/* --- double rows under our own writes --- */

static void double_rows_are_written_alike(void **state)
{
	const struct ledger_listing row = { .sku_id = 106, .goods_id = 5, .sku = "AD-NAME-NEW", .goods_name = "name" };
	struct inventory_row stock = { .article = maybe_of(77), .wanted = maybe_of(8), .known = maybe_of(2) };
	struct inventory_confirmed confirmed;

	(void)state;
	if (!world.there)
		skip();
	RUN_ALL(damage);
	assert_true(world_run_sql(db, "DELETE FROM dbo.temu_inventory WHERE product_id = (SELECT MAX(id) FROM dbo.temu_products WHERE "
	                              "sku_id = 106)\n"
	                              "INSERT INTO dbo.temu_inventory (product_id, jtl_stock, temu_stock, needs_sync) SELECT MIN(id), 50, 1, 1 "
	                              "FROM dbo.temu_products WHERE sku_id = 106"));
	OK(products_save(db, 1, &row, 1, &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_products WHERE sku_id = 106 AND sku = N'AD-NAME-NEW' AND goods_id = 5"),
	                 2);
	stock.product = world_number(db, "SELECT MIN(id) FROM dbo.temu_products WHERE sku_id = 106");
	for (int twice = 0; twice < 2; twice++)
		OK(inventory_save(db, 1, &stock, 1, &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_products WHERE jtl_article_id = 77"), 2);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id "
	                                  "WHERE p.sku_id = 106"),
	                 3);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory WHERE jtl_article_id = 77 AND jtl_stock = 8 AND "
	                                  "temu_stock = 2 AND needs_sync = 1"),
	                 3);
	confirmed = (struct inventory_confirmed){ stock.product, 8 };
	OK(inventory_confirm(db, &confirmed, 1, &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory WHERE jtl_article_id = 77 AND temu_stock = 8 AND "
	                                  "needs_sync = 0 AND last_synced_to_temu IS NOT NULL"),
	                 3);
	/* The same skuId of another shop is another listing. */
	assert_true(world_run_sql(db, "INSERT INTO dbo.temu_products (shop, sku, goods_id, sku_id) VALUES (2, N'AD-NAME-NEW', 5, 106)"));
	OK(inventory_save(db, 1, &stock, 1, &err));
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 2 AND jtl_article_id IS NOT NULL"), 0);
	assert_int_equal(world_number(db, "SELECT COUNT(*) FROM dbo.temu_inventory WHERE jtl_article_id = 77"), 3);
}

static int take_row(void *arg, const struct ledger_row *row, struct err *unused)
{
	struct ledger_row *out = arg;

	(void)unused;
	if (row->sku_id != out->sku_id)
		return 0;
	assert_int_equal(out->goods_id, -1); /* each once */
	*out = *row;
	return 0;
}

static struct ledger_row ledger_of(int64_t sku_id)
{
	struct ledger_shop shop;
	struct ledger_row row = { .sku_id = sku_id, .goods_id = -1 };

	OK(ledger_read(db, 1, &shop, take_row, &row, &err));
	assert_int_not_equal(row.goods_id, -1);
	return row;
}

static struct ledger_row ledger_of_106(void)
{
	return ledger_of(106);
}

/* So that the next run writes them. */
static void double_rows_that_differ_count_as_wrong(void **state)
{
	static const char *const made[] = {
		"UPDATE dbo.temu_products SET sku = N'AD-NAME-NEW' WHERE sku_id = 106",
		"UPDATE dbo.temu_products SET goods_id = 2 WHERE id = (SELECT MAX(id) FROM dbo.temu_products WHERE sku_id = 106)",
		"UPDATE dbo.temu_products SET goods_id = 2, is_active = CASE WHEN sku = N'x' THEN 0 ELSE 1 END WHERE sku_id = 106",
		"UPDATE dbo.temu_inventory SET needs_sync = 1 WHERE product_id = (SELECT MAX(id) FROM dbo.temu_products WHERE sku_id = 106)",
		"UPDATE dbo.temu_inventory SET needs_sync = 1",
		"DELETE FROM dbo.temu_inventory WHERE product_id = (SELECT MAX(id) FROM dbo.temu_products WHERE sku_id = 106)",
	};
	static const bool same[][2] = { { true, true }, { false, true }, { true, true }, { true, false }, { true, true }, { true, false } };

	(void)state;
	if (!world.there)
		skip();
	RUN_ALL(damage);
	run("INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, product_id) SELECT 1, 106, 1, N'AD-NAME-NEW', MIN(id) FROM "
	    "dbo.temu_products WHERE sku_id = 106");
	assert_false(ledger_of_106().product_active);
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		struct ledger_row row;

		run(made[i]);
		row = ledger_of_106();
		assert_true(row.product.set);
		assert_int_equal(row.product_active, same[i][0]);
		assert_int_equal(row.inventory.set, same[i][1]);
	}
	/* The old system gave the row another skuId. */
	run("UPDATE dbo.temu_products SET sku_id = 999 WHERE sku_id = 106");
	assert_false(ledger_of_106().product.set);
}

/* One product, whose stock stands there several times; and those that are not double at all, whatever another shop has. */
static void double_inventory_rows_that_differ_count_as_missing(void **state)
{
	struct ledger_row row;

	(void)state;
	if (!world.there)
		skip();
	RUN_ALL(damage);
	run("INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, product_id) SELECT 1, sku_id, 1, sku, id FROM dbo.temu_products "
	    "WHERE sku_id IN (101, 103, 104)");
	run("INSERT INTO dbo.temu_products (shop, sku, goods_id, sku_id, is_active) VALUES (2, N'x', 7, 101, 0)");
	row = ledger_of(103);
	assert_true(row.product_active);
	assert_false(row.inventory.set);
	run("UPDATE dbo.temu_inventory SET jtl_stock = 6, temu_stock = 5 WHERE product_id = (SELECT id FROM dbo.temu_products WHERE sku_id = 103)");
	row = ledger_of(103);
	assert_true(row.product_active && row.inventory.set);
	assert_int_equal(row.inventory.value, world_number(db, "SELECT MIN(id) FROM dbo.temu_inventory WHERE jtl_stock = 6"));
	assert_true(row.jtl_stock == 6 && row.temu_stock == 5 && !row.needs_sync);
	row = ledger_of(101);
	assert_true(row.product_active && row.inventory.set && row.jtl_stock == 4 && row.temu_stock == 4);
	row = ledger_of(104);
	assert_true(row.product_active && !row.inventory.set);
}

static int setup(void **state)
{
	struct schema_list list = schema_own();

	(void)state;
	if (sql_world_start(&world, 1, "SQL_Latin1_General_CP1_CI_AS", NULL) != 0) /* not that of JTL's database */
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	if (!db || schema_apply(db, &list, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	run("INSERT INTO <JTL>.dbo.tArtikel (cArtNr, nPuffer) VALUES (N'AD-OK-1', 0), (N'AD-OK-2', 0), (N'AD-MOVED', 0)");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(db);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_clean_installation, clean),
		cmocka_unit_test_setup(every_kind_is_found, clean),
		cmocka_unit_test_setup(each_statement_mends_its_kind_and_nothing_else, clean),
		cmocka_unit_test_setup(in_any_order, clean),
		cmocka_unit_test_setup(a_unique_key_on_the_sku_that_came_back, clean),
		cmocka_unit_test_setup(long_lists_and_strange_texts, clean),
		cmocka_unit_test_setup(a_jtl_database_that_cannot_be_read, clean),
		cmocka_unit_test_setup(a_cut_connection_is_an_error, clean),
		cmocka_unit_test_setup(double_rows_are_written_alike, clean),
		cmocka_unit_test_setup(double_rows_that_differ_count_as_wrong, clean),
		cmocka_unit_test_setup(double_inventory_rows_that_differ_count_as_missing, clean),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
