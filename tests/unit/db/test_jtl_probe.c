/* The probe of JTL's database while somebody works on it: what it says of versions and columns, what changed, and that a database
 * which is taken away holds and never reads as empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/jtl_stock.h"

static struct sql_world world;
static struct db *db, *admin;
static const int64_t warehouse_two[] = { 2 };

static int probe_now(enum jtl_source source, struct jtl_probe *probe, struct err *err)
{
	*err = (struct err)ERR_INIT;
	return jtl_stock_probe(db, world.jtl, source, warehouse_two, 1, probe, err);
}

static void probe_well(enum jtl_source source, struct jtl_probe *probe)
{
	struct err err = ERR_INIT;

	if (probe_now(source, probe, &err) != 0)
		fail_msg("%s: %s", err.code, err.text);
}

static void in_jtl(const char *sql)
{
	struct db *jtl = sql_world_open(&world, world.jtl);

	assert_non_null(jtl);
	assert_true(world_run_sql(jtl, sql));
	db_close(jtl);
}

static void expect_held(const char *code, const char *words)
{
	struct jtl_probe probe;
	struct err err;

	assert_int_equal(probe_now(JTL_PHYSICAL, &probe, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, code);
	if (!strstr(err.text, words) || !strstr(err.text, world.jtl))
		fail_msg("\"%s\" says nothing of \"%s\" or the database", err.text, words);
}

/* --- the text of the columns --- */

static void expect_diff(const char *before, const char *after, int count, const char *words)
{
	struct buf out;

	buf_init(&out, 1 << 12);
	assert_int_equal(jtl_probe_diff(before, after, &out), count);
	assert_string_equal(buf_text(&out), words);
	buf_release(&out);
}

static void differences_in_words(void **state)
{
	static const char before[] = "dbo.a.k int\ndbo.a.kk int\ndbo.b.f decimal(25,13)\n";

	(void)state;
	expect_diff(before, before, 0, "");
	expect_diff("", before, 0, "");
	expect_diff(before, "", 0, "");
	expect_diff(before, "dbo.a.k int\ndbo.a.kk int\ndbo.b.f float\n", 1, "dbo.b.f: decimal(25,13) -> float");
	expect_diff(before, "dbo.a.kk int\ndbo.b.f decimal(25,13)\n", 1, "dbo.a.k is gone");
	expect_diff(before, "dbo.a.k bigint\ndbo.b.f decimal(25,13)\ndbo.c.n nvarchar(max)\n", 3,
	            "dbo.a.k: int -> bigint; dbo.a.kk is gone; dbo.c.n nvarchar(max) is new");
	expect_diff("dbo.a.k int", "dbo.a.k int\n", 0, ""); /* cut text */
}

static void columns_as_they_are(void **state)
{
	static const char *const lines[] = { "dbo.tArtikel.cArtNr nvarchar(100)\n", "dbo.tArtikel.cAktiv char(1)\n",
		                             "dbo.tArtikel.nDelete tinyint\n",      "dbo.tArtikel.nPuffer int\n",
		                             "dbo.tStueckliste.fAnzahl decimal(25,13)\n",
		                             "dbo.tversion.cVersion nvarchar(255)\n",
		                             "dbo.tWarenLager.nFulfillment tinyint\n",
		                             "dbo.vLagerbestandProLager.fBestand decimal(28,14)\n",
		                             "dbo.vLagerbestandAvaibleProLager.fAvaibleQuantity decimal(28,14)\n" };
	struct jtl_probe physical, both;
	int count = 0;

	(void)state;
	if (!world.there)
		skip();
	probe_well(JTL_PHYSICAL, &physical);
	probe_well(JTL_BOTH, &both);
	assert_string_equal(physical.objects, both.objects); /* another formula is no change of JTL */
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(physical.objects, lines[i]))
			fail_msg("no %s in\n%s", lines[i], physical.objects);
	for (const char *p = physical.objects; *p; p++)
		count += *p == '\n';
	assert_int_equal(count, 28);
	assert_string_equal(physical.version, "1.10.11.0");
}

/* Version, columns, everything else, one comparison. */
static void four_statements(void **state)
{
	struct jtl_probe probe;

	(void)state;
	if (!world.there || world.external)
		skip();
	assert_true(sql_world_order(&world, "error 1205 13 skip=4 count=1"));
	probe_well(JTL_BOTH, &probe);
	assert_true(sql_world_order(&world, "clear"));
	assert_true(sql_world_order(&world, "error 1205 13 skip=3 count=1"));
	assert_int_equal(probe_now(JTL_BOTH, &probe, &(struct err)ERR_INIT), -1);
	assert_true(sql_world_order(&world, "clear"));
}

/* --- an update of JTL --- */

static void a_column_goes_and_comes(void **state)
{
	struct jtl_probe before, after;
	struct err err;
	struct buf words;

	(void)state;
	if (!world.there || world.external)
		skip();
	probe_well(JTL_PHYSICAL, &before);
	in_jtl("UPDATE dbo.tversion SET cVersion = N'1.11.0.0'");
	in_jtl("EXEC sp_rename 'dbo.tArtikel.nPuffer', 'nReserve', 'COLUMN'");
	assert_int_equal(probe_now(JTL_PHYSICAL, &after, &err), -1);
	assert_string_equal(err.code, "JTL_OBJECT");
	assert_int_equal(err.class, ERR_HOLD);
	assert_non_null(strstr(err.text, "nPuffer"));
	assert_string_equal(after.version, "1.11.0.0"); /* says what came although it cannot be used */
	buf_init(&words, 1 << 12);
	assert_int_equal(jtl_probe_diff(before.objects, after.objects, &words), 1);
	assert_string_equal(buf_text(&words), "dbo.tArtikel.nPuffer is gone");
	buf_release(&words);
	in_jtl("EXEC sp_rename 'dbo.tArtikel.nReserve', 'nPuffer', 'COLUMN'");
	in_jtl("UPDATE dbo.tversion SET cVersion = N'1.10.11.0'");
	probe_well(JTL_PHYSICAL, &after);
	assert_string_equal(after.objects, before.objects);
}

/* The view's own columns stay as they were; what is below them went away. */
static void a_view_that_broke(void **state)
{
	(void)state;
	if (!world.there || world.external)
		skip();
	in_jtl("EXEC sp_rename 'dbo.tArtikel.cTeilbar', 'cGeteilt', 'COLUMN'");
	expect_held("JTL_OBJECT", "cTeilbar");
	in_jtl("EXEC sp_rename 'dbo.tArtikel.cGeteilt', 'cTeilbar', 'COLUMN'");
}

static void another_type(void **state)
{
	struct jtl_probe before, after;
	struct buf words;

	(void)state;
	if (!world.there || world.external)
		skip();
	probe_well(JTL_PHYSICAL, &before);
	in_jtl("ALTER TABLE dbo.tversion ALTER COLUMN cVersion nvarchar(50) NOT NULL");
	probe_well(JTL_PHYSICAL, &after);
	buf_init(&words, 1 << 12);
	assert_int_equal(jtl_probe_diff(before.objects, after.objects, &words), 1);
	assert_string_equal(buf_text(&words), "dbo.tversion.cVersion: nvarchar(255) -> nvarchar(50)");
	buf_release(&words);
	in_jtl("ALTER TABLE dbo.tversion ALTER COLUMN cVersion nvarchar(255) NOT NULL");
}

static void an_engine_that_tells_no_columns(void **state)
{
	struct jtl_probe probe;
	struct err err;

	(void)state;
	if (!world.there || world.external)
		skip();
	assert_true(sql_world_order(&world, "error 208 16 match=INFORMATION_SCHEMA count=1"));
	probe_well(JTL_PHYSICAL, &probe);
	assert_string_equal(probe.objects, "");
	assert_string_equal(probe.collation, "Latin1_General_CI_AS");
	assert_true(sql_world_order(&world, "error 1222 16 match=INFORMATION_SCHEMA count=1"));
	assert_int_equal(probe_now(JTL_PHYSICAL, &probe, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(probe.version, "1.10.11.0");
	assert_true(sql_world_order(&world, "clear"));
}

static void a_login_that_may_not_read_one_table(void **state)
{
	struct db_config config = world.config;
	struct jtl_probe probe;
	struct err err = ERR_INIT;
	const struct secret *password;
	struct db *plain;

	(void)state;
	if (!world.there || world.external)
		skip();
	assert_true(world_run_sql(admin, "CREATE LOGIN plain WITH PASSWORD = 'Geheim-42-x'"));
	in_jtl("CREATE USER plain FOR LOGIN plain ALTER ROLE db_datareader ADD MEMBER plain DENY SELECT ON dbo.tStueckliste TO plain");
	assert_true(world_run_sql(db, "CREATE USER plain FOR LOGIN plain"));
	password = secret_new("Geheim-42-x", strlen("Geheim-42-x"));
	config.user = "plain";
	config.password = password;
	plain = db_open(&config, &err);
	assert_non_null(plain);
	assert_int_equal(jtl_stock_probe(plain, world.jtl, JTL_PHYSICAL, warehouse_two, 1, &probe, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_OBJECT");
	assert_non_null(strstr(err.text, "tStueckliste"));
	assert_null(strstr(probe.objects, "tStueckliste")); /* nor is it shown */
	in_jtl("GRANT SELECT ON dbo.tStueckliste TO plain");
	assert_int_equal(jtl_stock_probe(plain, world.jtl, JTL_PHYSICAL, warehouse_two, 1, &probe, &err), 0);
	db_close(plain);
}

/* --- taken away --- */

static void unavailable(void **state)
{
	static const struct {
		const char *order, *words;
	} table[] = {
		{ "restoring", "middle of a restore" }, { "recovering", "being recovered" }, { "recovery-pending", "inaccessible files" },
		{ "suspect", "SUSPECT" },               { "offline", "offline" },
	};
	struct jtl_probe probe;
	char line[160];

	(void)state;
	if (!world.there || world.external)
		skip();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(line, sizeof(line), "database %s %s", world.jtl, table[i].order);
		assert_true(sql_world_order(&world, line));
		expect_held("JTL_UNAVAILABLE", table[i].words);
		snprintf(line, sizeof(line), "database %s online", world.jtl);
		assert_true(sql_world_order(&world, line));
		probe_well(JTL_PHYSICAL, &probe); /* on the same connection */
	}
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET SINGLE_USER WITH ROLLBACK IMMEDIATE", world.jtl);
	assert_true(world_run_sql(admin, line));
	expect_held("JTL_UNAVAILABLE", "only have one user");
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET MULTI_USER", world.jtl);
	assert_true(world_run_sql(admin, line));
	probe_well(JTL_PHYSICAL, &probe);
	assert_int_equal(jtl_stock_probe(db, "no_such_jtl", JTL_PHYSICAL, warehouse_two, 1, &probe, &(struct err)ERR_INIT), -1);
}

/* Between the probe and the look-up: nothing of what was read is used, and the error holds. */
static void unavailable_in_the_middle(void **state)
{
	const struct jtl_key keys[] = { { 1, "CASE-FRACTION" } };
	static const int64_t bundles[] = { 1 };
	struct jtl_article article;
	struct jtl_lookup lookup;
	struct jtl_probe probe;
	struct err err = ERR_INIT;
	char line[160];

	(void)state;
	if (!world.there || world.external)
		skip();
	probe_well(JTL_PHYSICAL, &probe);
	lookup = (struct jtl_lookup){ world.jtl, probe.collation, JTL_PHYSICAL, warehouse_two, 1 };
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET OFFLINE WITH ROLLBACK IMMEDIATE", world.jtl);
	assert_true(world_run_sql(admin, line));
	assert_int_equal(jtl_stock_read(db, &lookup, keys, 1, &article, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_UNAVAILABLE");
	err = (struct err)ERR_INIT;
	assert_int_equal(jtl_components_read(db, &lookup, bundles, 1, NULL, NULL, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_UNAVAILABLE");
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET ONLINE", world.jtl);
	assert_true(world_run_sql(admin, line));
	err = (struct err)ERR_INIT;
	assert_int_equal(jtl_stock_read(db, &lookup, keys, 1, &article, &err), 0);
}

static void open_own(struct err *err)
{
	struct db *own;

	*err = (struct err)ERR_INIT;
	own = db_open(&world.config, err);
	assert_null(own);
	assert_int_equal(err->class, ERR_HOLD);
	assert_string_equal(err->code, "SQL_4060");
}

/* The login says no more than "cannot open": the reason is looked up. */
static void the_own_database_is_taken_away(void **state)
{
	struct err err;
	char line[160];

	(void)state;
	if (!world.there || world.external)
		skip();
	snprintf(line, sizeof(line), "database %s restoring", world.own);
	assert_true(sql_world_order(&world, line));
	open_own(&err);
	assert_non_null(strstr(err.text, "it is RESTORING"));
	assert_int_equal(db_ping(db, &err), -1); /* cut */
	snprintf(line, sizeof(line), "database %s online", world.own);
	assert_true(sql_world_order(&world, line));
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET SINGLE_USER WITH ROLLBACK IMMEDIATE", world.own);
	assert_true(world_run_sql(admin, line));
	open_own(&err);
	assert_non_null(strstr(err.text, "SINGLE_USER"));
	snprintf(line, sizeof(line), "ALTER DATABASE [%s] SET MULTI_USER", world.own);
	assert_true(world_run_sql(admin, line));
	db_close(db);
	db = sql_world_open(&world, world.own);
	assert_non_null(db);
}

static void a_database_that_is_not_there(void **state)
{
	struct db_config config = world.config;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there || world.external)
		skip();
	config.database = "no_such_database";
	assert_null(db_open(&config, &err));
	assert_int_equal(err.class, ERR_HOLD);
	assert_non_null(strstr(err.text, "there is no such database"));
}

/* --- warehouses in mid-life --- */

static void warehouses(void **state)
{
	static const struct {
		const char *trouble, *words, *mend;
	} table[] = {
		{ "SET nAktiv = 0", "2 is not active", "SET nAktiv = 1" },
		{ "SET nFulfillment = 2", "2 is Amazon FBA", "SET nFulfillment = 0" },
		{ "SET nFulfillment = 1", "2 is a fulfilment warehouse", "SET nFulfillment = 0" },
		{ "SET kQuellLager = 1, kZielLager = 3", "2 is a transit warehouse", "SET kQuellLager = 0, kZielLager = 0" },
	};
	struct jtl_probe probe;
	char sql[160];

	(void)state;
	if (!world.there || world.external)
		skip();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(sql, sizeof(sql), "UPDATE dbo.tWarenLager %s WHERE kWarenLager = 2", table[i].trouble);
		in_jtl(sql);
		assert_int_equal(probe_now(JTL_PHYSICAL, &probe, &(struct err)ERR_INIT), -1);
		assert_non_null(strstr(probe.objects, "dbo.tArtikel.cArtNr")); /* known although held */
		{
			struct err err;

			assert_int_equal(probe_now(JTL_PHYSICAL, &probe, &err), -1);
			assert_string_equal(err.code, "JTL_WAREHOUSE");
			assert_int_equal(err.class, ERR_HOLD);
			assert_non_null(strstr(err.text, table[i].words));
		}
		snprintf(sql, sizeof(sql), "UPDATE dbo.tWarenLager %s WHERE kWarenLager = 2", table[i].mend);
		in_jtl(sql);
		probe_well(JTL_PHYSICAL, &probe);
	}
}

static int start(void **state)
{
	(void)state;
	if (sql_world_start(&world, 20, "Latin1_General_CI_AS", NULL) != 0)
		return -1;
	if (!world.there)
		return 0;
	db = sql_world_open(&world, world.own);
	admin = sql_world_open(&world, "master");
	return db && admin ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	db_close(db);
	db_close(admin);
	sql_world_stop(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences_in_words),
		cmocka_unit_test(columns_as_they_are),
		cmocka_unit_test(four_statements),
		cmocka_unit_test(a_column_goes_and_comes),
		cmocka_unit_test(a_view_that_broke),
		cmocka_unit_test(another_type),
		cmocka_unit_test(an_engine_that_tells_no_columns),
		cmocka_unit_test(a_login_that_may_not_read_one_table),
		cmocka_unit_test(unavailable),
		cmocka_unit_test(unavailable_in_the_middle),
		cmocka_unit_test(the_own_database_is_taken_away),
		cmocka_unit_test(a_database_that_is_not_there),
		cmocka_unit_test(warehouses),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
