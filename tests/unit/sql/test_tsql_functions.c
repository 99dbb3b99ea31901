/* Conversions, functions, comparison and OPENJSON: results as SQL Server gives them. */
#include "tests/unit/sql/tsql.h"

struct one {
	const char *sql, *expected;
};

static void all(struct session *session, const struct one *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_sql(session, list[i].sql, list[i].expected);
}
#define ALL(state, list) all(((struct tsql *)*(state))->session, list, sizeof(list) / sizeof((list)[0]))

static int set_up(void **state)
{
	struct tsql *t = calloc(1, sizeof(*t));

	tsql_open(t);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	tsql_close(*state);
	free(*state);
	return 0;
}

static void test_dates(void **state)
{
	static const struct one list[] = {
		{ "SELECT CONVERT(varchar(30), CAST('2026-11-24T05:04:17.123' AS datetime), 120) AS a,"
		  " CONVERT(char(8), CAST('2026-11-24' AS date), 112) AS b, CONVERT(varchar(20), CAST('2026-11-24' AS date), 104) AS c",
		  "a|b|c\n2026-11-24 05:04:17|20261124|24.11.2026\n" },
		{ "SELECT CONVERT(varchar(30), CAST('2026-11-24T05:04:17' AS datetime)) AS a,"
		  " CONVERT(varchar(40), CAST('2026-11-24T05:04:17.5' AS datetime2), 126) AS b",
		  "a|b\nNov 24 2026  5:04AM|2026-11-24T05:04:17.5000000\n" },
		{ "SELECT CAST('2026-11-24 05:04:17.124' AS datetime) AS a", "a\n2026-11-24 05:04:17.123\n" },
		{ "SELECT CAST('1752-01-01' AS datetime) AS a", "a\n!242\n" },
		{ "SELECT CAST('2026-02-30' AS date) AS a", "a\n!241\n" },
		{ "SET DATEFORMAT dmy SELECT CAST('24.11.2026' AS date) AS a SET DATEFORMAT mdy", "a\n2026-11-24\n" },
		{ "SELECT DATEPART(weekday, '2026-11-24') AS a, DATEPART(iso_week, '2026-11-24') AS b, DATENAME(month, '2026-11-24') AS c,"
		  " DATEDIFF(week, '2026-11-21', '2026-11-22') AS d, EOMONTH('2026-02-10') AS e",
		  "a|b|c|d|e\n3|48|November|1|2026-02-28\n" },
		{ "SELECT DATEADD(hour, -1, CAST('2026-01-01' AS datetime2(0))) AS a, DATEDIFF(second, '2026-11-24', '2026-11-24 00:01:01') AS b",
		  "a|b\n2025-12-31 23:00:00|61\n" },
	};

	ALL(state, list);
}

static void test_numbers(void **state)
{
	static const struct one list[] = {
		{ "SELECT 1.0/3 AS a, 10/3.0 AS b, CAST(1 AS decimal(28,14))/3 AS c, 5*1.25 AS d, -7/2 AS e, -7%3 AS f",
		  "a|b|c|d|e|f\n0.333333|3.333333|0.3333333333333333|6.25|-3|-1\n" },
		{ "SELECT 2147483647+1 AS a", "a\n!8115\n" },
		{ "SELECT ROUND(123.456, 1) AS a, ROUND(-2.5, 0) AS b, ROUND(125, -1) AS c, ROUND(748.58, -2, 1) AS d, CEILING(-1.5) AS e,"
		  " FLOOR(1.99) AS f, POWER(2, 10) AS g",
		  "a|b|c|d|e|f|g\n123.500|-3.0|130|700.00|-1|1|1024\n" },
		{ "SELECT CAST(12.555 AS decimal(9,2)) AS a, CAST(-12.5 AS int) AS b, CAST(1234567.891 AS money) AS c, CAST('' AS int) AS d",
		  "a|b|c|d\n12.56|-12|1234567.8910|0\n" },
		{ "SELECT CAST(123456 AS varchar(3)) AS a, CAST(1e10 AS varchar(30)) AS b, TRY_CAST('1e3' AS decimal(9,2)) AS c",
		  "a|b|c\n*|1e+010|NULL\n" },
		{ "SELECT CAST(1.23 AS varchar(3)) AS a", "a\n!8115\n" },
		{ "SELECT CAST('1,5' AS decimal(9,2)) AS a", "a\n!8114\n" },
		{ "SELECT AVG(v) AS a, SUM(v) AS b FROM (VALUES (1), (2)) t(v)", "a|b\n1|3\n" },
		{ "SELECT MIN(v) AS a, MAX(v) AS b, COUNT(DISTINCT v) AS c, AVG(v) AS d FROM (VALUES (10.5), (9.25), (10.5)) t(v)",
		  "a|b|c|d\n9.25|10.50|2|10.083333\n" },
	};

	ALL(state, list);
}

static void test_texts(void **state)
{
	static const struct one list[] = {
		{ "SELECT SUBSTRING(N'hello', 2, 3) AS a, SUBSTRING('abc', 0, 2) AS b, LEFT('abc', 5) AS c, RIGHT('abc', 2) AS d,"
		  " STUFF('abcdef', 2, 3, 'XY') AS e, CHARINDEX('c', 'abcabc', 4) AS f, TRIM('  a ') + '|' AS g",
		  "a|b|c|d|e|f|g\nell|a|abc|bc|aXYef|6|a|\n" },
		{ "SELECT UPPER(N'äß') AS a, QUOTENAME('a]b') AS b, LEN(N'😀') AS c, DATALENGTH(N'ab') AS d, CAST(N'€Ж' AS varchar(10)) AS e",
		  "a|b|c|d|e\nÄß|[a]]b]|2|4|€?\n" },
		{ "SELECT CASE WHEN 'a' = 'A ' THEN 1 ELSE 0 END AS a, CASE WHEN N'ß' = N'ss' THEN 1 ELSE 0 END AS b,"
		  " CASE WHEN N'a' = N'ä' THEN 1 ELSE 0 END AS c, CASE WHEN 'abc' LIKE '[a-c]b%' THEN 1 ELSE 0 END AS d,"
		  " CASE WHEN NULL = NULL THEN 1 ELSE 0 END AS e, CASE WHEN '10' < 9 THEN 1 ELSE 0 END AS f",
		  "a|b|c|d|e|f\n1|1|0|1|0|0\n" },
		{ "SELECT LEFT('a', -1) AS a", "a\n!537\n" },
		{ "SELECT value FROM STRING_SPLIT('a,b,,c', ',')", "value\na\nb\n\nc\n" },
		{ "SELECT CONCAT('a', NULL, 1) AS a, CONCAT_WS(',', 'x', NULL, 'y') AS b", "a|b\na1|x,y\n" },
	};

	ALL(state, list);
}

static void test_json(void **state)
{
	static const struct one list[] = {
		{ "SELECT [key], value, type FROM OPENJSON('{\"a\":1,\"b\":\"x\",\"c\":[1,2],\"d\":null,\"e\":true}')",
		  "key|value|type\na|1|2\nb|x|1\nc|[1,2]|4\nd|NULL|0\ne|true|3\n" },
		{ "SELECT * FROM OPENJSON('[{\"a\":1.50,\"b\":\"2026-01-02\",\"c\":{\"d\":5}}]') WITH (a decimal(9,4), b date, d int '$.c.d',"
		  " j nvarchar(max) '$.c' AS JSON, m int '$.nope')",
		  "a|b|d|j|m\n1.5000|2026-01-02|5|{\"d\":5}|NULL\n" },
		{ "SELECT * FROM OPENJSON('[{\"a\":\"\\u00e4\\ud83d\\ude00\"}]') WITH (a nvarchar(9))", "a\nä😀\n" },
		{ "SELECT * FROM OPENJSON('[{\"a\":1}') WITH (a int)", "a\n!13609\n" },
		{ "SELECT * FROM OPENJSON('[{\"a\":\"x\"}]') WITH (a int)", "a\n!245\n" },
		{ "SELECT * FROM OPENJSON('[{\"b\":1}]') WITH (a int 'strict $.a')", "a\n!13608\n" },
		{ "SELECT JSON_VALUE('{\"a\":{\"b\":\"x\"}}', '$.a.b') AS a, JSON_QUERY('{\"a\":[1]}', '$.a') AS b, ISJSON('{') AS c", "a|b|c\nx|[1]|0\n" },
	};

	ALL(state, list);
}

static void test_queries(void **state)
{
	static const struct one list[] = {
		{ "SELECT v, COUNT(*) OVER () AS n, LAG(v) OVER (ORDER BY v) AS l, SUM(v) OVER (ORDER BY v ROWS UNBOUNDED PRECEDING) AS s"
		  " FROM (VALUES (1.5), (2.5)) t(v)",
		  "v|n|l|s\n1.5|2|NULL|1.5\n2.5|2|1.5|4.0\n" },
		{ "SELECT TOP (2) v FROM (VALUES (10), (9), (100)) t(v) ORDER BY v DESC", "v\n100\n10\n" },
		{ "SELECT x.v FROM (VALUES (1), (2)) x(v) WHERE x.v > ALL (SELECT 1) AND x.v NOT IN (5, 6)", "v\n2\n" },
		{ "SELECT (SELECT v FROM (VALUES (1), (2)) x(v)) AS a", "a\n!512\n" },
		{ "SELECT v FROM (VALUES (1)) x(v) GROUP BY v HAVING COUNT(*) > 1", "v\n" },
		{ "SELECT v, COUNT(*) FROM (VALUES (1)) x(v)", "!8120\n" },
		{ "SELECT 1 AS a UNION SELECT 1, 2", "!205\n" },
		{ "SELECT a.v, b.o FROM (VALUES (1), (2)) a(v) OUTER APPLY (SELECT a.v * 10 AS o WHERE a.v > 1) b", "v|o\n1|NULL\n2|20\n" },
	};

	ALL(state, list);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dates), TEST(test_numbers), TEST(test_texts), TEST(test_json), TEST(test_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
