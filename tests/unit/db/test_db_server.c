/* worker/db against a T-SQL engine: what must hold on any of them. TEMU_TEST_TDS=host:port with TEMU_TEST_TDS_USER and
 * TEMU_TEST_TDS_PASSWORD says which; otherwise the stand-in of this build is started; without one every test is skipped.
 * Only temporary tables are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/clock.h"
#include "worker/db/db.h"
#include "worker/db/dbjson.h"

static char folder[] = "/tmp/db-server-XXXXXX", address[100];
static pid_t server;
static struct db_config config = {
	.server = address,
	.user = "sa",
	.database = "master",
	.login_timeout_s = 10,
	.statement_timeout_s = 60,
	.lock_timeout_ms = 5000,
	.folder = folder,
};
static struct db *db;

/* --- the server --- */

static void run_stand_in(const char *program)
{
	char file[100], port_file[100];

	snprintf(file, sizeof(file), "%s/db.sqlite", folder);
	snprintf(port_file, sizeof(port_file), "%s/port", folder);
	setenv("SANDBOX_SQL_PASSWORD", "Test-42-password", 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive a test that was killed */
	execl(program, program, "--file", file, "--port", "0", "--port-file", port_file, (char *)NULL);
	_exit(127);
}

static int read_port(void)
{
	char path[100], text[20] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/port", folder);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return (int)strtol(text, NULL, 10);
}

/* Beside the programs of this build: build/release/unit/db/this -> build/release/sandbox-sql. */
static void start_stand_in(void)
{
	char self[4096] = "", program[4200];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return;
	snprintf(program, sizeof(program), "%s/../../sandbox-sql", dirname(self));
	if (access(program, X_OK) != 0)
		return;
	server = fork();
	if (server == 0)
		run_stand_in(program);
	for (int i = 0; i < 10000 && server > 0 && read_port() == 0 && waitpid(server, NULL, WNOHANG) == 0; i++)
		usleep(1000);
	if (read_port() > 0)
		snprintf(address, sizeof(address), "127.0.0.1:%d", read_port());
}

static int start(void **state)
{
	const char *given = getenv("TEMU_TEST_TDS"), *user = getenv("TEMU_TEST_TDS_USER"),
	           *password = getenv("TEMU_TEST_TDS_PASSWORD");

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	if (given && given[0]) {
		snprintf(address, sizeof(address), "%s", given);
		config.user = user ? user : "sa";
	} else {
		start_stand_in();
		password = "Test-42-password";
	}
	config.password = secret_new(password ? password : "", strlen(password ? password : ""));
	if (!address[0]) {
		print_message("skip: no T-SQL engine (TEMU_TEST_TDS is not set, this build has no sandbox-sql)\n");
		return 0;
	}
	return db_setup(&config, &(struct err)ERR_INIT);
}

static int stop(void **state)
{
	static const char *const files[] = { "freetds.conf", "port", "db.sqlite", "db.sqlite-wal", "db.sqlite-shm" };

	(void)state;
	if (server > 0) {
		kill(server, SIGTERM);
		waitpid(server, NULL, 0);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[100];

		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
	return 0;
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (!address[0])
		return 0;
	db = db_open(&config, &err);
	if (!db)
		print_error("db_open: %s\n", err.text);
	return db ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	db = NULL;
	return 0;
}

/* --- helpers --- */

struct seen {
	int rows;
	size_t len;
	char text[12][300]; /* of the last row */
};

static int look(void *arg, const struct db_row *row, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	seen->rows++;
	for (int i = 0; i < db_row_columns(row) && i < 12; i++) {
		const char *text = db_row_text(row, i, &seen->len);

		snprintf(seen->text[i], sizeof(seen->text[i]), "%s", text ? text : "NULL");
	}
	return 0;
}

static struct seen query(const char *sql, const struct db_param *params, size_t count)
{
	struct seen seen = { 0 };
	struct err err = ERR_INIT;
	struct db_statement statement = { .sql = sql, .params = params, .count = count, .row = look, .arg = &seen };

	if (db_query(db, &statement, NULL, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
	return seen;
}

static void execute(const char *sql)
{
	query(sql, NULL, 0);
}

static int64_t number(const char *sql)
{
	struct err err = ERR_INIT;
	int64_t value = -1;

	if (db_query_int64(db, &(struct db_statement){ .sql = sql }, &value, &err) != 0)
		fail_msg("%s: %s", sql, err.text);
	return value;
}

static void fails(const char *sql, enum err_class class, const char *code)
{
	struct err err = ERR_INIT;

	assert_int_equal(db_execute(db, NULL, sql, NULL, &err), -1);
	if (strcmp(err.code, code) != 0)
		fail_msg("%s: %s instead of %s", sql, err.text, code);
	assert_int_equal(err.class, class);
	assert_false(db_doubtful(db));
}

/* --- tests --- */

static void types(void **state)
{
	struct seen seen;

	(void)state;
	seen = query("SELECT CAST(9223372036854775807 AS bigint), CAST(-9223372036854775808 AS bigint), "
	             "CAST(999999999999.9999999999999 AS decimal(25,13)), CAST(-0.0000000000001 AS decimal(25,13)), "
	             "CONVERT(varchar(33), CAST('2026-11-24T05:04:17.1234567' AS datetime2(7)), 126), "
	             "CONVERT(varchar(33), CAST('2026-11-24T05:04:17.123' AS datetime), 126), CAST(1 AS bit), "
	             "CAST(N'' AS nvarchar(10)), CAST(NULL AS nvarchar(10)), CAST(12.34 AS money), CAST('ab' AS char(4))",
	             NULL, 0);
	assert_string_equal(seen.text[0], "9223372036854775807");
	assert_string_equal(seen.text[1], "-9223372036854775808");
	assert_string_equal(seen.text[2], "999999999999.9999999999999");
	assert_string_equal(seen.text[3], "-0.0000000000001");
	assert_string_equal(seen.text[4], "2026-11-24T05:04:17.1234567");
	assert_string_equal(seen.text[5], "2026-11-24T05:04:17.123");
	assert_string_equal(seen.text[6], "1");
	assert_string_equal(seen.text[7], "");
	assert_string_equal(seen.text[8], "NULL");
	assert_string_equal(seen.text[9], "12.3400");
	assert_string_equal(seen.text[10], "ab  ");
}

static void parameters(void **state)
{
	struct db_param p[6] = {
		db_param_int64("@a", INT64_MAX),   db_param_int64("@b", INT64_MIN), db_param_text("@c", "it's -- ?"),
		db_param_text("@d", ""),           db_param_text("@e", NULL),       db_param_decimal("@f", "-12.3400000000001"),
	};
	struct seen seen = query("SELECT @a, @b, @c, @d, @e, CAST(@f AS decimal(25,13))", p, 6);

	(void)state;
	assert_string_equal(seen.text[0], "9223372036854775807");
	assert_string_equal(seen.text[1], "-9223372036854775808");
	assert_string_equal(seen.text[2], "it's -- ?");
	assert_string_equal(seen.text[3], "");
	assert_string_equal(seen.text[4], "NULL");
	assert_string_equal(seen.text[5], "-12.3400000000001");
}

static const char awkward[] = "O'Neill \\\n \"ş\" ğ 日本語 😀 \\\r\n ß e\xCC\x81 / \t";

static void text_as_literal(void **state)
{
	struct err err = ERR_INIT;
	struct buf sql;

	(void)state;
	buf_init(&sql, 4096);
	buf_add_text(&sql, "SELECT ");
	assert_int_equal(db_quote(&sql, awkward, strlen(awkward), &err), 0);
	assert_string_equal(query(buf_text(&sql), NULL, 0).text[0], awkward);
	buf_release(&sql);
}

static void text_as_json(void **state)
{
	struct err err = ERR_INIT;
	struct db_param p;
	struct dbjson rows;
	struct seen seen;

	(void)state;
	dbjson_init(&rows, 1 << 20);
	dbjson_row(&rows);
	dbjson_int64(&rows, "id", INT64_MAX);
	dbjson_text(&rows, "t", awkward);
	dbjson_decimal(&rows, "d", "0.0000000000001");
	dbjson_text(&rows, "n", NULL);
	dbjson_bool(&rows, "b", true);
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), 0);
	seen = query("SELECT id, t, d, n, b, m FROM OPENJSON(@j) WITH (id bigint '$.id', t nvarchar(400) '$.t', "
	             "d decimal(25,13) '$.d', n nvarchar(10) '$.n', b bit '$.b', m int '$.missing')",
	             &p, 1);
	assert_string_equal(seen.text[0], "9223372036854775807");
	assert_string_equal(seen.text[1], awkward);
	assert_string_equal(seen.text[2], "0.0000000000001");
	assert_string_equal(seen.text[3], "NULL");
	assert_string_equal(seen.text[4], "1");
	assert_string_equal(seen.text[5], "NULL");
	dbjson_release(&rows);
}

static void many_rows_as_json(void **state)
{
	struct err err = ERR_INIT;
	struct db_param p;
	struct dbjson rows;
	int64_t affected = 0;
	struct db_statement insert = {
		.sql = "INSERT INTO #many (k, t) SELECT k, t FROM OPENJSON(@j) WITH (k bigint '$.k', t nvarchar(400) '$.t')",
		.params = &p, .count = 1
	};

	(void)state;
	dbjson_init(&rows, 1 << 20);
	for (int i = 0; i < 2100; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "k", i);
		dbjson_text(&rows, "t", i % 2 == 0 ? "Größe" : "日本 😀");
	}
	assert_int_equal(dbjson_end(&rows, "@j", &p, &err), 0);
	execute("CREATE TABLE #many (k bigint NOT NULL PRIMARY KEY, t nvarchar(400) NOT NULL)");
	if (db_query(db, &insert, &affected, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(affected, 2100);
	assert_int_equal(query("SELECT k, t FROM #many", NULL, 0).rows, 2100);
	assert_int_equal(number("SELECT COUNT_BIG(*) FROM #many WHERE t = N'日本 😀'"), 1050);
	assert_string_equal(query("SELECT t FROM #many WHERE k = 2098", NULL, 0).text[0], "Größe");
	execute("DROP TABLE #many");
	dbjson_release(&rows);
}

static void wide_values(void **state)
{
	struct db_param p;
	struct buf json;

	(void)state;
	buf_init(&json, 8 << 20);
	buf_add_text(&json, "[{\"t\":\"");
	for (int i = 0; i < 200000; i++) /* ten bytes of UTF-8 each */
		buf_add_text(&json, "01\\u00e4\\ud83d\\ude0023");
	buf_add_text(&json, "\"}]");
	p = db_param_json("@j", &json);
	assert_int_equal(query("SELECT t FROM OPENJSON(@j) WITH (t nvarchar(max) '$.t')", &p, 1).len, 2000000);
	buf_release(&json);
}

static void transactions(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	execute("CREATE TABLE #t (k int NOT NULL PRIMARY KEY)");
	assert_int_equal(db_begin(db, &err), 0);
	execute("INSERT INTO #t (k) VALUES (1)");
	assert_int_equal(number("SELECT CAST(@@TRANCOUNT AS bigint)"), 1);
	assert_int_equal(db_rollback(db, &err), 0);
	assert_int_equal(number("SELECT COUNT_BIG(*) FROM #t"), 0);
	assert_int_equal(db_begin(db, &err), 0);
	execute("INSERT INTO #t (k) VALUES (2)");
	assert_int_equal(db_commit(db, &err), 0);
	assert_int_equal(number("SELECT COUNT_BIG(*) FROM #t"), 1);
	assert_int_equal(db_begin(db, &err), 0); /* XACT_ABORT: the error takes the first insert with it */
	execute("INSERT INTO #t (k) VALUES (3)");
	fails("INSERT INTO #t (k) VALUES (2)", ERR_PERM, "SQL_2627");
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(db_rollback(db, &err), 0);
	assert_int_equal(number("SELECT COUNT_BIG(*) FROM #t"), 1);
	assert_false(db_in_transaction(db));
	execute("DROP TABLE #t");
}

static void errors(void **state)
{
	(void)state;
	fails("SELECT )", ERR_PERM, "SQL_102");
	fails("SELECT a FROM no_such_table_here", ERR_PERM, "SQL_208");
	fails("SELECT CAST(N'abc' AS int)", ERR_PERM, "SQL_245");
	execute("CREATE TABLE #d (n int NOT NULL)");
	execute("INSERT INTO #d (n) VALUES (4), (2), (1), (0)");
	fails("SELECT 1 / n FROM #d", ERR_PERM, "SQL_8134"); /* among its rows */
	execute("DROP TABLE #d");
	assert_int_equal(number("SELECT CAST(7 AS bigint)"), 7);
}

static void session(void **state)
{
	(void)state;
	assert_true(db_spid(db) > 0);
	assert_int_equal(number("SELECT CAST(@@LOCK_TIMEOUT AS bigint)"), 5000);
	assert_int_equal(number("SELECT CASE WHEN NULL + 'a' IS NULL THEN CAST(1 AS bigint) ELSE 0 END"), 1);
	assert_string_equal(query("SELECT DB_NAME()", NULL, 0).text[0], config.database);
}

static bool raised(void *arg)
{
	return atomic_load((atomic_bool *)arg);
}

static void *raise_soon(void *arg)
{
	usleep(200 * 1000);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

/* Some engines answer the cancel only when the statement has ended: the connection is discarded then. */
static void cancel(void **state)
{
	static atomic_bool flag;
	struct db_limit limit = { .cancelled = raised, .arg = &flag };
	int64_t before = clock_mono_ms();
	struct err err = ERR_INIT;
	pthread_t thread;

	(void)state;
	db_limit_set(db, &limit);
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, &flag), 0);
	assert_int_equal(db_execute(db, NULL, "WAITFOR DELAY '00:00:30'", NULL, &err), -1);
	pthread_join(thread, NULL);
	assert_string_equal(err.code, "SQL_CANCELLED");
	assert_true(clock_mono_ms() - before < 9000);
	db_limit_set(db, NULL);
	if (!db_doubtful(db))
		assert_int_equal(number("SELECT CAST(7 AS bigint)"), 7);
}

/* Needs a table that two sessions see, so only where the server is ours. */
static void lock_timeout(void **state)
{
	struct db_config hasty = config;
	struct err err = ERR_INIT;
	struct db *first = db;

	(void)state;
	if (server <= 0)
		skip();
	execute("CREATE TABLE locked_here (k int NOT NULL PRIMARY KEY, n int NOT NULL)");
	execute("INSERT INTO locked_here (k, n) VALUES (1, 1)");
	assert_int_equal(db_begin(first, &err), 0);
	execute("UPDATE locked_here SET n = 2 WHERE k = 1");
	hasty.lock_timeout_ms = 200;
	db = db_open(&hasty, &err);
	assert_non_null(db);
	fails("UPDATE locked_here SET n = 3 WHERE k = 1", ERR_TEMP, "SQL_1222");
	assert_int_equal(db_commit(first, &err), 0);
	execute("UPDATE locked_here SET n = n + 1 WHERE k = 1");
	assert_int_equal(number("SELECT CAST(n AS bigint) FROM locked_here"), 3);
	execute("DROP TABLE locked_here");
	db_close(db);
	db = first;
}

static void wrong_password(void **state)
{
	struct db_config other = config;
	struct err err = ERR_INIT;

	(void)state;
	other.password = secret_new("wrong-password-42", 17);
	assert_null(db_open(&other, &err));
	assert_int_equal(err.class, ERR_HOLD);
	assert_string_equal(err.code, "SQL_18456");
}

static void run_or_skip(void (*test)(void **), void **state)
{
	if (!address[0])
		skip();
	test(state);
}

#define TESTS(X) \
	X(types) X(parameters) X(text_as_literal) X(text_as_json) X(many_rows_as_json) X(wide_values) X(transactions) X(errors) \
	X(session) X(cancel) X(lock_timeout) X(wrong_password)

#define X(name) \
	static void on_server_##name(void **state) \
	{ \
		run_or_skip(name, state); \
	}
TESTS(X)
#undef X

int main(void)
{
	const struct CMUnitTest tests[] = {
#define X(name) { #name, on_server_##name, set_up, tear_down, NULL },
		TESTS(X)
#undef X
	};

	return cmocka_run_group_tests(tests, start, stop);
}
