/* The T-SQL engine from outside: results, error numbers, transactions, locks between sessions, permissions. */
#include <pthread.h>
#include "tests/unit/sql/tsql.h"

static int set_up(void **state)
{
	struct tsql *t = calloc(1, sizeof(*t));

	tsql_open(t);
	expect_sql(t->session, "CREATE DATABASE shop", "");
	expect_sql(t->session, "USE shop", "");
	expect_sql(t->session,
	           "CREATE TABLE p (id int NOT NULL CONSTRAINT pk_p PRIMARY KEY, n nvarchar(10) NULL, q decimal(9,2) NOT NULL DEFAULT 1)\n"
	           "CREATE TABLE c (id int IDENTITY NOT NULL PRIMARY KEY, pid int NULL CONSTRAINT fk_c REFERENCES p(id) ON DELETE CASCADE, d date)",
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

static void test_values(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_sql(s, "SELECT 1 AS a, N'x' + N'y' AS b, NULL AS c", "a|b|c\n1|xy|NULL\n");
	expect_sql(s, "SELECT CAST('1.005' AS decimal(9,2)) AS a, 7 / 2 AS b, 7 % 4 AS c", "a|b|c\n1.01|3|3\n");
	expect_sql(s, "SELECT CONVERT(varchar(30), CAST('2026-11-24T05:04:17.123' AS datetime), 126) AS a", "a\n2026-11-24T05:04:17.123\n");
	expect_sql(s, "SELECT DATEADD(month, 1, CAST('2026-01-31' AS date)) AS a, DATEDIFF(day, '2026-01-01', '2026-03-01') AS b",
	           "a|b\n2026-02-28|59\n");
	expect_sql(s, "SELECT LEN(N'ab ') AS a, REPLACE('aXa', 'x', 'b') AS b, CHARINDEX('B', 'abc') AS c", "a|b|c\n2|aba|2\n");
	expect_sql(s, "SELECT TRY_CAST('x' AS int) AS a, ISNULL(NULL, 3) AS b, ROUND(2.345, 2) AS c", "a|b|c\nNULL|3|2.350\n");
	expect_error(s, "SELECT CAST('abc' AS int)", 245, "'abc'");
	expect_error(s, "SELECT 1 / 0", 8134, "Divide by zero");
	expect_error(s, "SELECT CAST(300 AS tinyint)", 220, "tinyint");
	expect_error(s, "SELECT CAST('3000000000' AS int)", 248, "overflowed");
	expect_error(s, "SELECT nosuch(1)", 195, "built-in function");
	expect_error(s, "SELECT @x", 137, "@x");
}

static void test_rows(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_counts(s, "INSERT INTO p(id, n) VALUES (1, N'a'), (2, N'b')", "(2)\n");
	expect_sql(s, "INSERT INTO c(pid) OUTPUT inserted.id, inserted.pid VALUES (1), (2)", "id|pid\n1|1\n2|2\n");
	expect_sql(s, "SELECT SCOPE_IDENTITY() AS i, @@ROWCOUNT AS r", "i|r\n2|2\n");
	expect_sql(s, "UPDATE p SET q = q + 1.5 OUTPUT deleted.q, inserted.q WHERE id = 2", "q|q\n1.00|2.50\n");
	expect_sql(s,
	           "DECLARE @j nvarchar(max) = N'[{\"id\":1,\"n\":\"x\"},{\"id\":3,\"n\":\"z\"}]'\n"
	           "UPDATE t SET n = j.n FROM shop.dbo.p t JOIN OPENJSON(@j) WITH (id int, n nvarchar(10)) j ON j.id = t.id\n"
	           "INSERT INTO p(id, n) SELECT j.id, j.n FROM OPENJSON(@j) WITH (id int, n nvarchar(10)) j\n"
	           "WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = j.id)\n"
	           "SELECT id, n FROM p ORDER BY id",
	           "id|n\n1|x\n2|b\n3|z\n");
	expect_sql(s, "SELECT n, ROW_NUMBER() OVER (ORDER BY id DESC) AS r FROM p WHERE n = N'X'", "n|r\nx|1\n");
	expect_sql(s, "WITH k AS (SELECT id FROM p WHERE id > 1) SELECT COUNT(*) AS n, SUM(p.q) AS q FROM k JOIN p ON p.id = k.id", "n|q\n2|3.50\n");
	expect_sql(s, "DELETE FROM p OUTPUT deleted.id WHERE id = 1 SELECT COUNT(*) AS n FROM c", "id\n1\nn\n1\n");
	expect_error(s, "INSERT INTO p(id) VALUES (2)", 2627, "pk_p");
	expect_error(s, "INSERT INTO c(pid) VALUES (99)", 547, "fk_c");
	expect_error(s, "INSERT INTO p(n) VALUES (N'q')", 515, "'id'");
	expect_error(s, "INSERT INTO p(id, n) VALUES (9, N'01234567890')", 2628, "'n'");
	expect_error(s, "INSERT INTO c(id) VALUES (9)", 544, "'c'");
	expect_error(s, "INSERT INTO p VALUES (1)", 213, "");
	expect_error(s, "SELECT nosuch FROM p", 207, "nosuch");
	expect_error(s, "SELECT * FROM nosuch", 208, "nosuch");
}

static void test_errors_and_transactions(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_sql(s, "SELECT 1 AS a SELECT nosuch FROM p", "!207\n");
	expect_sql(s, "SELECT 1 AS a SELECT * FROM nosuch SELECT 2 AS b", "a\n1\n!208\n");
	expect_sql(s, "INSERT INTO p(id) VALUES (1), (1) SELECT COUNT(*) AS n, @@ERROR AS e FROM p", "!2627\nn|e\n0|2627\n");
	expect_sql(s,
	           "BEGIN TRY INSERT INTO p(id) VALUES (1); INSERT INTO p(id) VALUES (1) END TRY\n"
	           "BEGIN CATCH SELECT ERROR_NUMBER() AS n, ERROR_LINE() AS l, XACT_STATE() AS x END CATCH",
	           "n|l|x\n2627|1|0\n");
	expect_sql(s,
	           "SET XACT_ABORT ON BEGIN TRAN INSERT INTO p(id) VALUES (2)\n"
	           "BEGIN TRY INSERT INTO p(id) VALUES (2) END TRY\n"
	           "BEGIN CATCH SELECT XACT_STATE() AS x, @@TRANCOUNT AS t IF XACT_STATE() <> 0 ROLLBACK END CATCH\n"
	           "SELECT COUNT(*) AS n, @@TRANCOUNT AS t FROM p SET XACT_ABORT OFF",
	           "x|t\n-1|1\nn|t\n1|0\n");
	expect_sql(s, "SET XACT_ABORT ON BEGIN TRAN INSERT INTO p(id) VALUES (1) SELECT 1 AS no", "!2627\n");
	expect_sql(s, "SELECT @@TRANCOUNT AS t SET XACT_ABORT OFF", "t\n0\n");
	expect_error(s, "COMMIT", 3902, "COMMIT");
	expect_error(s, "ROLLBACK", 3903, "ROLLBACK");
	expect_sql(s,
	           "BEGIN TRAN INSERT INTO p(id) VALUES (5) SAVE TRAN a INSERT INTO p(id) VALUES (6) ROLLBACK TRAN a COMMIT\n"
	           "SELECT id FROM p",
	           "id\n1\n5\n");
	expect_sql(s,
	           "DECLARE @o TABLE (id int) BEGIN TRAN UPDATE p SET n = N'x' OUTPUT inserted.id INTO @o ROLLBACK\n"
	           "SELECT COUNT(*) AS n FROM @o SELECT COUNT(*) AS n FROM p WHERE n = N'x'",
	           "n\n2\nn\n0\n");
	expect_error(s, "THROW 50001, 'mine', 1", 50001, "mine");
	expect_sql(s, "RAISERROR('a %s %d', 16, 1, N'b', 3) SELECT 1 AS on_", "!50000\non_\n1\n");
	expect_sql(s, "RAISERROR('info', 10, 1) PRINT 'p'", "#info\n#p\n");
}

static void test_procedures_and_triggers(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_sql(s, "CREATE PROCEDURE dbo.twice @a int, @b int OUTPUT, @c int = 1 AS BEGIN SET @b = @a * 2 + @c RETURN 7 END", "");
	expect_sql(s, "DECLARE @o int, @r int EXEC @r = twice 5, @o OUTPUT SELECT @o AS o, @r AS r", "o|r\n11|7\n");
	expect_error(s, "EXEC twice", 201, "@a");
	expect_error(s, "EXEC twice 1, 2, 3, 4", 8144, "too many");
	expect_error(s, "EXEC nosuch", 2812, "nosuch");
	expect_sql(s, "EXEC sp_executesql N'SELECT @a + 1 AS b', N'@a int', @a = 4", "b\n5\n");
	expect_sql(s, "CREATE TRIGGER tr ON p AFTER INSERT AS INSERT INTO c(pid) SELECT id FROM inserted", "");
	expect_sql(s, "INSERT INTO p(id) VALUES (40), (41) SELECT pid FROM c ORDER BY pid", "pid\n40\n41\n");
	expect_error(s, "INSERT INTO p(id) OUTPUT inserted.id VALUES (42)", 334, "triggers");
	expect_sql(s, "CREATE TRIGGER tc ON c AFTER DELETE AS ROLLBACK", "");
	expect_sql(s, "DELETE FROM c SELECT 1 AS no", "!3609\n");
	expect_sql(s, "SELECT COUNT(*) AS n, @@TRANCOUNT AS t FROM c", "n|t\n2|0\n");
}

static void test_schema_changes(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_error(s, "CREATE TABLE p (a int)", 2714, "'p'");
	expect_error(s, "CREATE TABLE nosuch.t (a int)", 2760, "nosuch");
	expect_error(s, "DROP TABLE nosuch", 3701, "nosuch");
	expect_sql(s, "DROP TABLE IF EXISTS nosuch", "");
	expect_sql(s, "INSERT INTO p(id) VALUES (1) ALTER TABLE p ADD x int NOT NULL CONSTRAINT df_x DEFAULT 3", "");
	expect_sql(s, "SELECT x FROM p", "x\n3\n");
	expect_sql(s, "ALTER TABLE p ADD CONSTRAINT ck_x CHECK (x < 10)", "");
	expect_error(s, "UPDATE p SET x = 11", 547, "ck_x");
	expect_sql(s, "ALTER TABLE p DROP CONSTRAINT ck_x", "");
	expect_sql(s, "UPDATE p SET x = 11 SELECT x FROM p", "x\n11\n");
	expect_sql(s, "CREATE UNIQUE INDEX ux ON c(d) WHERE d IS NOT NULL", "");
	expect_sql(s, "INSERT INTO c(d) VALUES ('2026-01-01'), (NULL), (NULL)", "");
	expect_error(s, "INSERT INTO c(d) VALUES ('2026-01-01')", 2601, "ux");
	expect_error(s, "SET QUOTED_IDENTIFIER OFF INSERT INTO c(d) VALUES ('2026-01-02')", 1934, "QUOTED_IDENTIFIER");
	expect_sql(s, "SET QUOTED_IDENTIFIER ON", "");
	expect_sql(s, "CREATE VIEW v AS SELECT id AS k, q * 2 AS q2 FROM p", "");
	expect_sql(s, "SELECT k, q2 FROM v", "k|q2\n1|2.00\n");
	expect_sql(s, "SELECT COL_LENGTH('p', 'n') AS l, OBJECT_ID('v', 'V') - OBJECT_ID('v') AS z", "l|z\n20|0\n");
	expect_sql(s, "SELECT name FROM sys.tables ORDER BY name", "name\nc\np\n");
}

static void test_collations(void **state)
{
	struct session *s = ((struct tsql *)*state)->session;

	expect_sql(s, "CREATE DATABASE other COLLATE Latin1_General_CS_AS", "");
	expect_sql(s, "CREATE TABLE other.dbo.t (n nvarchar(10))", "");
	expect_error(s, "SELECT 1 FROM p JOIN other.dbo.t t ON t.n = p.n", 468, "Latin1_General_CS_AS");
	expect_sql(s, "INSERT INTO p(id, n) VALUES (1, N'Straße') SELECT id FROM p WHERE n = N'STRASSE ' COLLATE DATABASE_DEFAULT", "id\n1\n");
	expect_sql(s, "SELECT COUNT(*) AS n FROM p WHERE n = N'Strase'", "n\n0\n");
	expect_error(s, "USE nosuch", 911, "nosuch");
}

struct other {
	struct session *session;
	const char *sql, *expected;
};

static void *run_other(void *arg)
{
	struct other *o = arg;
	struct tsql_sink sink;

	tsql_run(o->session, o->sql, false, &sink);
	o->expected = strcmp(buf_text(&sink.out), o->expected) == 0 ? NULL : "differs";
	buf_release(&sink.out);
	return NULL;
}

static void test_locks(void **state)
{
	struct tsql *t = *state;
	struct session *a = t->session, *b = tsql_login(t, "sa", "Secret.1", "shop");
	struct other other = { .session = b, .sql = "SET LOCK_TIMEOUT -1 SELECT COUNT(*) AS n FROM p", .expected = "n\n1\n" };
	pthread_t thread;

	expect_sql(a, "BEGIN TRAN INSERT INTO p(id) VALUES (1)", "");
	expect_error(b, "SET LOCK_TIMEOUT 0 SELECT COUNT(*) FROM p", 1222, "time out");
	expect_sql(b, "SELECT COUNT(*) AS n FROM p WITH (NOLOCK)", "n\n0\n");
	expect_error(b, "UPDATE p SET n = N'x'", 1222, "time out");
	assert_int_equal(pthread_create(&thread, NULL, run_other, &other), 0);
	expect_sql(a, "COMMIT", "");
	pthread_join(thread, NULL);
	assert_null(other.expected);
	expect_sql(a, "ALTER DATABASE shop SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE",
	           "#Nonqualified transactions are being rolled back. Estimated rollback completion: 0%.\n"
	           "#Nonqualified transactions are being rolled back. Estimated rollback completion: 100%.\n");
	session_close(b);
	b = tsql_login(t, "sa", "Secret.1", "shop");
	expect_sql(a, "BEGIN TRAN UPDATE p SET n = N'new'", "");
	expect_sql(b, "SET LOCK_TIMEOUT 0 SELECT n FROM p", "n\nNULL\n");
	expect_sql(a, "ROLLBACK", "");
	session_close(b);
}

static void test_deadlock(void **state)
{
	struct tsql *t = *state;
	struct session *a = t->session, *b = tsql_login(t, "sa", "Secret.1", "shop");
	struct other other = { .session = b, .sql = "SET DEADLOCK_PRIORITY LOW UPDATE p SET n = N'b'", .expected = "!1205\n" };
	pthread_t thread;

	expect_sql(a, "BEGIN TRAN SELECT COUNT(*) AS n FROM p WITH (HOLDLOCK)", "n\n0\n");
	expect_sql(b, "BEGIN TRAN SELECT COUNT(*) AS n FROM p WITH (HOLDLOCK)", "n\n0\n");
	assert_int_equal(pthread_create(&thread, NULL, run_other, &other), 0);
	expect_sql(a, "SET LOCK_TIMEOUT 20000 UPDATE p SET n = N'a' COMMIT", "");
	pthread_join(thread, NULL);
	assert_null(other.expected);
	expect_sql(b, "SELECT @@TRANCOUNT AS t", "t\n0\n");
	session_close(b);
}

static void test_permissions(void **state)
{
	struct tsql *t = *state;
	struct err err = ERR_INIT;
	struct session *b;

	expect_sql(t->session, "CREATE LOGIN jtl WITH PASSWORD = 'Geheim.1'", "");
	assert_null(session_open(t->engine, "jtl", "wrong", "", "", "", &err));
	assert_int_equal(err.number, 18456);
	assert_null(session_open(t->engine, "jtl", "Geheim.1", "shop", "", "", &err));
	assert_int_equal(err.number, 4060);
	expect_sql(t->session, "CREATE USER jtl FOR LOGIN jtl GRANT SELECT ON dbo.p TO jtl GRANT INSERT ON c TO jtl", "");
	b = tsql_login(t, "jtl", "Geheim.1", "shop");
	expect_sql(b, "SELECT COUNT(*) AS n FROM p", "n\n0\n");
	expect_error(b, "INSERT INTO p(id) VALUES (1)", 229, "INSERT");
	expect_error(b, "SELECT * FROM c", 229, "SELECT");
	expect_sql(b, "INSERT INTO c(d) VALUES (NULL) SELECT HAS_PERMS_BY_NAME('dbo.c', 'OBJECT', 'INSERT') AS h, USER_NAME() AS u", "h|u\n1|jtl\n");
	expect_error(b, "CREATE TABLE x (a int)", 262, "CREATE TABLE");
	expect_sql(t->session, "ALTER ROLE db_datareader ADD MEMBER jtl DENY SELECT ON p TO jtl", "");
	expect_sql(b, "SELECT COUNT(*) AS n FROM c", "n\n1\n");
	expect_error(b, "SELECT * FROM p", 229, "'p'");
	/* what one may do nothing with is not shown */
	expect_sql(b, "SELECT DISTINCT TABLE_NAME AS t FROM INFORMATION_SCHEMA.COLUMNS", "t\nc\n");
	expect_sql(b, "SELECT TABLE_NAME AS t FROM INFORMATION_SCHEMA.TABLES", "t\nc\n");
	expect_sql(t->session, "SELECT TABLE_NAME AS t FROM INFORMATION_SCHEMA.TABLES ORDER BY t", "t\nc\np\n");
	session_close(b);
}

static void test_reopen(void **state)
{
	struct tsql *t = *state;
	struct err err = ERR_INIT;

	expect_sql(t->session, "INSERT INTO c(d) VALUES (NULL) BEGIN TRAN INSERT INTO p(id) VALUES (7)", "");
	session_close(t->session);
	engine_close(t->engine);
	t->engine = engine_open(t->file, "sa", "Secret.1", "Latin1_General_CI_AS", &err);
	assert_non_null(t->engine);
	t->session = tsql_login(t, "sa", "Secret.1", "shop");
	expect_sql(t->session, "SELECT COUNT(*) AS n FROM p", "n\n0\n");
	expect_sql(t->session, "INSERT INTO c(d) VALUES (NULL) SELECT MAX(id) AS i FROM c", "i\n2\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_values),        TEST(test_rows),       TEST(test_errors_and_transactions),
		TEST(test_procedures_and_triggers), TEST(test_schema_changes), TEST(test_collations),
		TEST(test_locks),         TEST(test_deadlock),   TEST(test_permissions),
		TEST(test_reopen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
