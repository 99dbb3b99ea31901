/* The look-up of articles and stock against a seeded server: every case of jtl_database.md section 7, one row per key, other
 * collations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/db/sql_world.h"
#include "worker/db/jtl_stock.h"

#define ODD "temu_test_odd"

static struct sql_world world;
static struct db *db;
static const int64_t warehouse_two[] = { 2 }, warehouses_both[] = { 1, 2 };

static struct jtl_probe probed(enum jtl_source source)
{
	struct jtl_probe probe;
	struct err err = ERR_INIT;

	if (jtl_stock_probe(db, world.jtl, source, warehouse_two, 1, &probe, &err) != 0)
		fail_msg("%s: %s", err.code, err.text);
	return probe;
}

static void probe_says_what_is_there(void **state)
{
	struct jtl_probe probe;

	(void)state;
	if (!world.there)
		skip();
	for (enum jtl_source source = JTL_PHYSICAL; source <= JTL_BOTH; source++) {
		probe = probed(source);
		assert_string_equal(probe.version, "1.10.11.0");
		assert_true(probe.collation[0] != '\0');
	}
	if (!world.external)
		assert_string_equal(probe.collation, "Latin1_General_CI_AS");
}

static void probe_refuses_warehouses(void **state)
{
	static const int64_t wrong[] = { 2, 3, 4, 5, 77 };
	struct jtl_probe probe;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	assert_int_equal(jtl_stock_probe(db, world.jtl, JTL_PHYSICAL, wrong, 5, &probe, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_WAREHOUSE");
	assert_non_null(strstr(err.text, "3 is not active"));
	assert_non_null(strstr(err.text, "4 is Amazon FBA"));
	assert_non_null(strstr(err.text, "5 is a transit"));
	assert_non_null(strstr(err.text, "77 does not exist"));
}

static void probe_holds_when_an_object_is_missing(void **state)
{
	struct jtl_probe probe;
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	assert_int_equal(jtl_stock_probe(db, world.own, JTL_PHYSICAL, warehouse_two, 1, &probe, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_OBJECT");
	assert_non_null(strstr(err.text, world.own));
}

/* Some engines show names in sys.columns that their COLLATE does not take. */
static void a_collation_the_server_does_not_take(void **state)
{
	static const char fault[] = "error 448 16 match=\"ON a.cArtNr = k.s COLLATE\" count=";
	struct jtl_probe probe;
	struct err err = ERR_INIT;
	char line[120];

	(void)state;
	if (!world.there || world.external)
		skip();
	snprintf(line, sizeof(line), "%s1", fault);
	assert_true(sql_world_order(&world, line));
	assert_string_equal(probed(JTL_PHYSICAL).collation, "Latin1_General_CI_AS"); /* the database's */
	snprintf(line, sizeof(line), "%s2", fault);
	assert_true(sql_world_order(&world, line));
	assert_int_equal(jtl_stock_probe(db, world.jtl, JTL_PHYSICAL, warehouse_two, 1, &probe, &err), -1);
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "JTL_OBJECT");
	assert_non_null(strstr(err.text, "Latin1_General_CI_AS"));
	snprintf(line, sizeof(line), "error 1205 13 match=\"ON a.cArtNr = k.s COLLATE\" count=1");
	assert_true(sql_world_order(&world, line));
	assert_int_equal(jtl_stock_probe(db, world.jtl, JTL_PHYSICAL, warehouse_two, 1, &probe, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
}

static void read_keys(enum jtl_source source, const int64_t *warehouses, size_t warehouse_count, const char *const *skus,
                      size_t count, struct jtl_article *out)
{
	struct jtl_probe probe = probed(source);
	struct jtl_lookup lookup = { world.jtl, probe.collation, source, warehouses, warehouse_count };
	struct jtl_key *keys = calloc(count, sizeof(*keys));
	struct err err = ERR_INIT;

	for (size_t i = 0; i < count; i++)
		keys[i] = (struct jtl_key){ (int64_t)(1000 + i), skus[i] };
	if (jtl_stock_read(db, &lookup, keys, count, out, &err) != 0)
		fail_msg("%s: %s", err.code, err.text);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(out[i].n, 1000 + i);
	free(keys);
}

struct stock_case {
	const char *sku;
	enum jtl_match match;
	const char *physical, *available, *locked; /* of warehouse 2; fVerfuegbar; of warehouse 2 less locked */
};

static const struct stock_case stock_cases[] = {
	{ "CASE-ZERO-ROW", JTL_EXACT, "0", "0", "0" },
	{ "CASE-NO-ROW", JTL_EXACT, "0", "0", "0" },
	{ "CASE-FRACTION-LOW", JTL_EXACT, "0.9999999999999", "0.9999999999999", "0.9999999999999" },
	{ "CASE-FRACTION", JTL_EXACT, "2.5", "2.5", "2.5" },
	{ "CASE-LARGE", JTL_EXACT, "1000000", "1000000", "1000000" },
	{ "CASE-TOO-LARGE", JTL_EXACT, "2500000", "2500000", "2500000" },
	{ "CASE-BUFFER-OVER-STOCK", JTL_EXACT, "3", "3", "3" },
	{ "CASE-TWO-WAREHOUSES", JTL_EXACT, "4", "4", "4" },
	{ "CASE-FBA", JTL_EXACT, "2", "2", "2" },
	{ "CASE-NEGATIVE-AVAILABLE", JTL_EXACT, "5", "-3", "5" },
	{ "CASE-AVAILABLE-OVER-STOCK", JTL_EXACT, "5", "12", "5" },
	{ "CASE-DUPLICATE-ROW", JTL_EXACT, "6", "8", "6" },
	{ "CASE-NULL-STOCK", JTL_EXACT, "0", "0", "0" },
	{ "CASE-LOCKED", JTL_EXACT, "9", "0", "5" },
	{ "CASE-BUNDLE", JTL_EXACT, "5", "0", "5" },
	{ "CASE-LETTERS", JTL_NEAR, "5", "5", "5" },
	{ "CASE-BLANK ", JTL_NEAR, "5", "5", "5" },
	{ " CASE-BLANK", JTL_NONE, NULL, NULL, NULL },
	{ "CASE-STRA\xC3\x9F"
	  "E",
	  JTL_NEAR, "5", "5", "5" },
	{ "CASE-\xC3\x9C"
	  "BERGR\xC3\x96SSE",
	  JTL_EXACT, "5", "5", "5" },
	{ "CASE-UBERGROSSE", JTL_NONE, NULL, NULL, NULL },
	{ "CASE-O'NEIL", JTL_EXACT, "5", "5", "5" },
	{ "CASE-50%_OFF", JTL_EXACT, "5", "5", "5" },
	{ "CASE-50xxOFF", JTL_NONE, NULL, NULL, NULL },
	{ "CASE-\xD0\x9A\xD0\xB8\xD1\x80\xD0\xB8\xD0\xBB\xD0\xBB\xD0\xB8\xD1\x86\xD0\xB0", JTL_EXACT, "5", "5", "5" },
	{ "CASE-\"QUOTE\\BACK", JTL_EXACT, "5", "5", "5" },
	{ "NOT-IN-JTL-1", JTL_NONE, NULL, NULL, NULL },
	{ "", JTL_NONE, NULL, NULL, NULL },
	{ "   ", JTL_NONE, NULL, NULL, NULL },
};
#define CASES (sizeof(stock_cases) / sizeof(stock_cases[0]))

static void compare_case(const struct stock_case *c, enum jtl_source source, const struct jtl_article *a)
{
	char physical[QUANTITY_TEXT_MAX], available[QUANTITY_TEXT_MAX];

	/* Whether ss equals sharp s is the collation's business. */
	if (a->match != c->match && !strstr(c->sku, "\xC3\x9F"))
		fail_msg("%s: match %d", c->sku, a->match);
	if (a->match == JTL_NONE)
		return;
	quantity_format(a->physical, physical);
	quantity_format(a->available, available);
	if (source == JTL_PHYSICAL && strcmp(physical, c->physical) != 0)
		fail_msg("%s: %s, not %s", c->sku, physical, c->physical);
	if (source == JTL_BOTH && strcmp(physical, c->locked) != 0)
		fail_msg("%s: %s less locked, not %s", c->sku, physical, c->locked);
	if (source != JTL_PHYSICAL && strcmp(available, c->available) != 0)
		fail_msg("%s: %s available, not %s", c->sku, available, c->available);
	assert_int_equal(a->nulls, source != JTL_AVAILABLE && strcmp(c->sku, "CASE-NULL-STOCK") == 0);
	assert_int_equal(a->doubled, source != JTL_AVAILABLE && strcmp(c->sku, "CASE-DUPLICATE-ROW") == 0);
	if (strcmp(c->sku, "CASE-NO-ROW") == 0 && source == JTL_PHYSICAL)
		assert_int_equal(a->rows, 0);
	if (strcmp(c->sku, "CASE-ZERO-ROW") == 0 || strcmp(c->sku, "CASE-FRACTION") == 0)
		assert_int_equal(a->rows, source == JTL_BOTH ? 2 : 1);
}

static void every_case_from_every_source(void **state)
{
	const char *skus[CASES];
	struct jtl_article articles[CASES];

	(void)state;
	if (!world.there)
		skip();
	for (size_t i = 0; i < CASES; i++)
		skus[i] = stock_cases[i].sku;
	for (enum jtl_source source = JTL_PHYSICAL; source <= JTL_BOTH; source++) {
		read_keys(source, warehouse_two, 1, skus, CASES, articles);
		for (size_t i = 0; i < CASES; i++)
			compare_case(&stock_cases[i], source, &articles[i]);
	}
}

static void several_warehouses_add_up(void **state)
{
	static const char *const skus[] = { "CASE-TWO-WAREHOUSES", "CASE-DUPLICATE-ROW" };
	struct jtl_article articles[2];

	(void)state;
	if (!world.there)
		skip();
	read_keys(JTL_PHYSICAL, warehouses_both, 2, skus, 2, articles);
	assert_int_equal(quantity_floor(articles[0].physical), 10);
	assert_int_equal(quantity_floor(articles[1].physical), 6);
}

static void flags_of_articles(void **state)
{
	static const char *const skus[] = { "CASE-INACTIVE",  "CASE-DELETED",           "CASE-DELETE-NULL",
		                            "CASE-UNMANAGED", "CASE-OVERSELL",          "CASE-FATHER",
		                            "CASE-BUNDLE",    "CASE-BUFFER-OVER-STOCK", "CASE-LETTERS" };
	struct jtl_article a[9];

	(void)state;
	if (!world.there)
		skip();
	read_keys(JTL_BOTH, warehouse_two, 1, skus, 9, a);
	assert_true(!a[0].active && !a[0].deleted);
	assert_true(a[1].active && a[1].deleted);
	assert_true(a[2].active && !a[2].deleted && a[2].managed && !a[2].oversell && !a[2].father && a[2].bundle == 0);
	assert_false(a[3].managed);
	assert_true(a[4].oversell);
	assert_true(a[5].father && a[5].doubled > 0);
	assert_true(a[6].bundle > 0);
	assert_int_equal(a[7].buffer, 10);
	assert_string_equal(a[8].sku, "Case-Letters");
}

static void one_sku_several_times(void **state)
{
	static const char *const skus[] = { "CASE-TWO-LISTINGS", "case-two-listings", "CASE-TWO-LISTINGS" };
	struct jtl_article a[3];

	(void)state;
	if (!world.there)
		skip();
	read_keys(JTL_PHYSICAL, warehouse_two, 1, skus, 3, a);
	assert_int_equal(a[0].match, JTL_EXACT);
	assert_int_equal(a[1].match, JTL_NEAR);
	assert_int_equal(a[2].article, a[0].article);
	assert_int_equal(quantity_floor(a[1].physical), 5);
}

static void a_full_chunk(void **state)
{
	enum { KEYS = 1000 };
	static char texts[KEYS][16];
	const char **skus = calloc(KEYS, sizeof(*skus));
	struct jtl_article *articles = calloc(KEYS, sizeof(*articles));
	int64_t mapped = 0;

	(void)state;
	if (!world.there)
		skip();
	for (int i = 0; i < KEYS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "ART-%06d", i + 1);
		skus[i] = texts[i];
	}
	read_keys(JTL_PHYSICAL, warehouse_two, 1, skus, KEYS, articles);
	for (int i = 0; i < KEYS; i++)
		mapped += articles[i].match == JTL_EXACT;
	assert_int_equal(mapped, 60);
	free(skus);
	free(articles);
}

/* A database in which a key finds two articles: JTL's own could not. */
static void not_one_row_per_key(void **state)
{
	static const char *const tables[] = {
		"CREATE TABLE dbo.tArtikel (kArtikel int NOT NULL, cArtNr nvarchar(100) NOT NULL, nPuffer int NOT NULL, cAktiv "
		"char(1) NOT NULL, "
		"nDelete tinyint NULL, cLagerAktiv char(1) NOT NULL, cLagerKleinerNull char(1) NOT NULL, nIstVater tinyint NOT "
		"NULL, "
		"kStueckliste int NOT NULL)",
		"CREATE TABLE dbo.vLagerbestandProLager (kArtikel int NOT NULL, kWarenlager int NOT NULL, fBestand "
		"decimal(28,14) NULL)",
		"INSERT INTO dbo.tArtikel VALUES (1, N'A', 0, 'Y', 0, 'Y', 'N', 0, 0), (2, N'A', 0, 'Y', 0, 'Y', 'N', 0, 0)",
	};
	struct jtl_probe probe;
	struct jtl_lookup lookup = { ODD, probe.collation, JTL_PHYSICAL, warehouse_two, 1 };
	const struct jtl_key keys[] = { { 1, "A" }, { 2, "B" } };
	struct jtl_article articles[2];
	struct err err = ERR_INIT;
	struct db *odd;

	(void)state;
	if (!world.there)
		skip();
	probe = probed(JTL_PHYSICAL);
	assert_true(world_run_sql(db, "IF DB_ID(N'" ODD "') IS NOT NULL DROP DATABASE " ODD));
	assert_true(world_run_sql(db, "CREATE DATABASE " ODD));
	odd = sql_world_open(&world, ODD);
	assert_non_null(odd);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		assert_true(world_run_sql(odd, tables[i]));
	db_close(odd);
	assert_int_equal(jtl_stock_read(db, &lookup, keys, 2, articles, &err), -1);
	assert_string_equal(err.code, "JTL_ROWS");
	assert_int_equal(err.class, ERR_TEMP);
	/* the server learns a moment later that odd went away */
	for (int i = 0; i < 2000 && db_execute(db, "test", "DROP DATABASE " ODD, NULL, &err) != 0; i++)
		world_nap();
	assert_true(world_run_sql(db, "IF DB_ID(N'" ODD "') IS NOT NULL DROP DATABASE " ODD));
}

struct parts {
	int64_t rows, missing, unmanaged;
};

static int take_part(void *arg, const struct jtl_component *component, struct err *err)
{
	struct parts *parts = arg;

	(void)err;
	parts->rows++;
	parts->missing += component->missing;
	parts->unmanaged += !component->managed;
	return 0;
}

static void components(void **state)
{
	static const int64_t bundles[] = { 1, 2, 3, 99 };
	struct jtl_lookup lookup = { world.jtl, "", JTL_BOTH, warehouse_two, 1 };
	struct parts parts = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	if (!world.there)
		skip();
	if (jtl_components_read(db, &lookup, bundles, 4, take_part, &parts, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(parts.rows, 6);
	assert_int_equal(parts.unmanaged, 1);
	assert_int_equal(parts.missing, 2);
}

static int setup(void **state)
{
	(void)state;
	/* The own database has another collation than JTL's, so a key without COLLATE would not be compared. */
	if (sql_world_start(&world, 60, "SQL_Latin1_General_CP1_CI_AS", NULL) != 0)
		return -1;
	if (world.there)
		db = sql_world_open(&world, world.own);
	return !world.there || db ? 0 : -1;
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
		cmocka_unit_test(probe_says_what_is_there),
		cmocka_unit_test(probe_refuses_warehouses),
		cmocka_unit_test(probe_holds_when_an_object_is_missing),
		cmocka_unit_test(a_collation_the_server_does_not_take),
		cmocka_unit_test(every_case_from_every_source),
		cmocka_unit_test(several_warehouses_add_up),
		cmocka_unit_test(flags_of_articles),
		cmocka_unit_test(one_sku_several_times),
		cmocka_unit_test(a_full_chunk),
		cmocka_unit_test(not_one_row_per_key),
		cmocka_unit_test(components),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
