/* Queries of the T-SQL engine: duplicate keys with their values, APPLY, recursion, set operations, what is refused and with which number,
 * collations over two databases, and the time a list of keys takes. */
#include "tests/unit/sql/tsql.h"

#include <time.h>

static int set_up(void **state)
{
	struct tsql *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	tsql_open(t);
	expect_sql(t->session,
	           "CREATE TABLE t (id int NOT NULL CONSTRAINT pk PRIMARY KEY, n nvarchar(10) NULL CONSTRAINT uq UNIQUE, g int NULL)\n"
	           "CREATE UNIQUE INDEX ux ON t(id, g)\n"
	           "INSERT INTO t VALUES (1, N'\xC3\x84', 1), (2, N'b', 1), (3, NULL, 2)",
	           "");
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	tsql_close(*state);
	free(*state);
	return 0;
}

static struct session *session_of(void **state)
{
	return ((struct tsql *)*state)->session;
}

static void test_duplicates(void **state)
{
	struct session *s = session_of(state);

	expect_error(s, "INSERT INTO t VALUES (1, N'x', 1)", 2627,
	             "Violation of PRIMARY KEY constraint 'pk'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is (1).");
	expect_error(s, "INSERT INTO t(id, n) SELECT id + 10, N'\xC3\xA4 ' FROM t", 2627, "constraint 'uq'");
	expect_error(s, "INSERT INTO t(id, n) VALUES (4, NULL)", 2627, "The duplicate key value is (<NULL>).");
	expect_error(s, "UPDATE t SET id = 2 WHERE id = 1", 2627, "The duplicate key value is (2).");
	expect_sql(s, "UPDATE t SET id = id, n = n", "");
	expect_sql(s, "ALTER TABLE t DROP CONSTRAINT pk; ALTER TABLE t DROP CONSTRAINT uq", "");
	expect_error(s, "INSERT INTO t VALUES (1, N'x', 1)", 2601,
	             "Cannot insert duplicate key row in object 'dbo.t' with unique index 'ux'. The duplicate key value is (1, 1).");
	expect_sql(s, "DROP INDEX ux ON t; INSERT INTO t VALUES (1, N'x', 1); SELECT COUNT(*) AS c FROM t", "c\n4\n");
	expect_error(s, "CREATE UNIQUE INDEX ux ON t(id)", 1505, "'ux'");
	expect_error(s, "CREATE TABLE #x (k int PRIMARY KEY); INSERT INTO #x VALUES (7), (7)", 2627, "The duplicate key value is (7).");
}

static void test_apply(void **state)
{
	struct session *s = session_of(state);

	expect_sql(s, "SELECT t.id, q.x FROM t CROSS APPLY (SELECT t.id * 2 AS x) q ORDER BY 1", "id|x\n1|2\n2|4\n3|6\n");
	expect_sql(s, "SELECT t.id, v.y FROM t CROSS APPLY (VALUES (t.id), (t.g)) v(y) WHERE t.id = 3 ORDER BY y", "id|y\n3|2\n3|3\n");
	expect_sql(s, "SELECT a.id, z.m FROM t a OUTER APPLY (SELECT TOP 1 b.id AS m FROM t b WHERE b.id > a.id ORDER BY b.id) z ORDER BY 1",
	           "id|m\n1|2\n2|3\n3|NULL\n");
	expect_sql(s, "SELECT a.id, z.c FROM t a CROSS APPLY (SELECT COUNT(*) AS c FROM t b WHERE b.g = a.g) z ORDER BY 1",
	           "id|c\n1|2\n2|2\n3|1\n");
	expect_sql(s, "SELECT a.id, b.id AS o FROM t a CROSS APPLY (SELECT x.id FROM t x WHERE x.g = a.g AND x.id <> a.id) b ORDER BY 1",
	           "id|o\n1|2\n2|1\n");
	expect_error(s, "SELECT 1 AS q FROM t a JOIN (SELECT a.id AS i) b ON 1 = 1", 4104, "a.id");
}

static void test_sets(void **state)
{
	struct session *s = session_of(state);

	expect_sql(s, "WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT SUM(n) AS s FROM r", "s\n10\n");
	expect_sql(s, "SELECT id FROM t UNION SELECT 7 UNION ALL SELECT 7 EXCEPT SELECT 1 ORDER BY 1", "id\n2\n3\n7\n");
	expect_sql(s, "SELECT 1 AS v UNION ALL SELECT 2.5 ORDER BY v DESC", "v\n2.5\n1.0\n");
	expect_sql(s, "SELECT COUNT(*) AS c FROM (SELECT N'a' AS v UNION SELECT N'A ') x", "c\n1\n");
	expect_error(s, "SELECT 1 UNION SELECT 1, 2", 205, "equal number");
	expect_error(s, "WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 0.5 FROM r) SELECT n FROM r", 240, "\"n\"");
}

static void test_refused(void **state)
{
	static const struct {
		const char *sql;
		int number;
	} cases[] = {
		{ "SELECT id, COUNT(*) FROM t", 8120 },
		{ "SELECT g FROM t GROUP BY g HAVING id > 1", 8121 },
		{ "SELECT g FROM t GROUP BY g ORDER BY id", 8127 },
		{ "SELECT id FROM t WHERE COUNT(*) > 1", 147 },
		{ "SELECT a.id FROM t a JOIN t b ON a.id = b.id WHERE id = 1", 209 },
		{ "SELECT (SELECT id FROM t)", 512 },
		{ "SELECT id FROM t WHERE id = (SELECT id, g FROM t)", 116 },
		{ "SELECT DISTINCT n FROM t ORDER BY id", 145 },
		{ "SELECT id FROM (SELECT id FROM t ORDER BY id) x", 1033 },
		{ "SELECT x.a FROM (SELECT 1) x", 8155 },
		{ "SELECT x.a FROM (SELECT 1 AS a, 2 AS a) x", 8156 },
		{ "SELECT id FROM t, t", 1013 },
		{ "SELECT a.id FROM t a, t a", 1011 },
		{ "SELECT id FROM t WHERE ROW_NUMBER() OVER (ORDER BY id) = 1", 4108 },
		{ "SELECT CASE WHEN 1 = 1 THEN NULL END", 8133 },
		{ "SELECT n COLLATE Klingon_CI_AS FROM t", 448 },
		{ "SELECT id COLLATE Latin1_General_BIN2 FROM t", 447 },
		{ "SELECT CAST(GETDATE() AS date) + 1", 206 },
		{ "SELECT CAST(1 AS date)", 529 },
		{ "SELECT 'a' - 'b'", 8117 },
		{ "SELECT CAST(1 AS bit) + CAST(1 AS bit)", 402 },
		{ "SELECT 'x' + CAST(1 AS varbinary(2))", 402 },
	};
	struct session *s = session_of(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(s, cases[i].sql, cases[i].number, "");
}

static void test_two_databases(void **state)
{
	struct session *s = session_of(state);

	expect_sql(s, "CREATE DATABASE other COLLATE SQL_Latin1_General_CP1_CS_AS", "");
	expect_sql(s, "CREATE TABLE other.dbo.o (n nvarchar(10)); INSERT INTO other.dbo.o VALUES (N'B')", "");
	expect_error(s, "SELECT 1 AS x FROM t JOIN other.dbo.o ON o.n = t.n", 468,
	             "between \"SQL_Latin1_General_CP1_CS_AS\" and \"Latin1_General_CI_AS\" in the equal to operation");
	expect_error(s, "SELECT n FROM t UNION SELECT n FROM other.dbo.o", 468, "UNION");
	expect_sql(s, "SELECT t.id FROM t JOIN other.dbo.o ON o.n COLLATE DATABASE_DEFAULT = t.n", "id\n2\n");
	expect_sql(s, "SELECT t.id FROM t JOIN other.dbo.o ON o.n = t.n COLLATE SQL_Latin1_General_CP1_CS_AS", "id\n");
	expect_sql(s, "SELECT n FROM other.dbo.o WHERE n = N'b'", "n\n");
}

/* A thousand keys against ten thousand rows: an index look-up each takes milliseconds, a scan each would take minutes. */
static void test_key_list(void **state)
{
	struct session *s = session_of(state);
	struct timespec a, b;

	expect_sql(s,
	           "CREATE TABLE big (shop int NOT NULL, k bigint NOT NULL, sku nvarchar(20) NOT NULL, v int NOT NULL, PRIMARY KEY (shop, k))\n"
	           "CREATE INDEX ix ON big(sku);\n"
	           "WITH d(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 99)\n"
	           "INSERT INTO big SELECT 1, a.n * 100 + b.n, N'SKU' + CAST(a.n * 100 + b.n AS nvarchar(10)), 0 FROM d a CROSS JOIN d b\n"
	           "SELECT N'[' + STRING_AGG(CAST(N'{\"k\":' + CAST(k AS nvarchar(9)) + N',\"s\":\"sku' + CAST(k AS nvarchar(9)) + N'\"}' AS nvarchar(max)), N',')\n"
	           "  + N']' AS j INTO #j FROM big WHERE k % 10 = 7",
	           "");
	clock_gettime(CLOCK_MONOTONIC, &a);
	expect_sql(s,
	           "DECLARE @j nvarchar(max) = (SELECT j FROM #j), @shop int = 1\n"
	           "SELECT COUNT(b.k) AS c FROM OPENJSON(@j) WITH (s nvarchar(20) '$.s') j LEFT JOIN big b ON b.sku = j.s\n"
	           "UPDATE b SET v = 1 FROM big b JOIN OPENJSON(@j) WITH (k bigint '$.k') j ON j.k = b.k WHERE b.shop = @shop\n"
	           "INSERT INTO big SELECT @shop, j.k, N'', 0 FROM OPENJSON(@j) WITH (k bigint '$.k') j\n"
	           "  WHERE NOT EXISTS (SELECT 1 FROM big b WHERE b.shop = @shop AND b.k = j.k)\n"
	           "SELECT COUNT(*) AS c, SUM(v) AS v FROM big",
	           "c\n1000\nc|v\n10000|1000\n");
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 5000);
}

/* What a trigger SETs ends with it. */
static void test_trigger_options(void **state)
{
	struct session *s = session_of(state);

	expect_sql(s, "CREATE TRIGGER tr ON t AFTER INSERT AS SET NOCOUNT ON", "");
	expect_counts(s, "INSERT INTO t VALUES (9, N'nine', 9)", "(1)\n");
	expect_counts(s, "UPDATE t SET g = 1 WHERE id = 9", "(1)\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_duplicates), TEST(test_apply), TEST(test_sets), TEST(test_refused), TEST(test_two_databases), TEST(test_key_list),
		TEST(test_trigger_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
