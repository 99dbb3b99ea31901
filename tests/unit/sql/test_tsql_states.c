/* Databases that are taken away: single-user, restricted, off line, restoring; who is cut, who is refused with which number, and what
 * is still so after a restart. */
#include <pthread.h>
#include <time.h>
#include "tests/unit/sql/tsql.h"

#define CLEARED \
	"#Nonqualified transactions are being rolled back. Estimated rollback completion: 0%.\n" \
	"#Nonqualified transactions are being rolled back. Estimated rollback completion: 100%.\n"

static int set_up(void **state)
{
	struct tsql *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	*state = t;
	tsql_open(t);
	expect_sql(t->session, "CREATE DATABASE own", "");
	expect_sql(t->session, "CREATE DATABASE jtl", "");
	expect_sql(t->session, "CREATE TABLE jtl.dbo.t (n int)", "");
	expect_sql(t->session, "INSERT INTO jtl.dbo.t VALUES (1)", "");
	return 0;
}

static int tear_down(void **state)
{
	tsql_close(*state);
	free(*state);
	return 0;
}

static void expect_no_login(struct tsql *t, const char *user, const char *password)
{
	struct err err = ERR_INIT;

	assert_null(session_open(t->engine, user, password, "jtl", "", "", &err));
	assert_int_equal(err.number, 4060);
}

static void expect_state(struct tsql *t, const char *expected)
{
	char line[200];

	snprintf(line, sizeof(line), "s|u\n%s\n", expected);
	expect_sql(t->session, "SELECT state_desc AS s, user_access_desc AS u FROM sys.databases WHERE name = 'jtl'", line);
}

static void single_user(void **state)
{
	struct tsql *t = *state;
	struct session *admin = tsql_login(t, "sa", "Secret.1", "master"), *own = tsql_login(t, "sa", "Secret.1", "own");
	struct session *inside = tsql_login(t, "sa", "Secret.1", "jtl");

	expect_sql(inside, "BEGIN TRAN UPDATE t SET n = 2", "");
	expect_sql(admin, "ALTER DATABASE jtl SET SINGLE_USER WITH NO_WAIT", "!5070\n!5069\n");
	expect_sql(admin, "ALTER DATABASE jtl SET SINGLE_USER", "!5061\n!5069\n");
	expect_sql(admin, "ALTER DATABASE jtl SET SINGLE_USER WITH ROLLBACK IMMEDIATE", CLEARED);
	expect_error(inside, "SELECT 1 AS a", 596, "kill state");
	session_close(inside);
	expect_state(t, "ONLINE|SINGLE_USER");
	/* the one who set it has it, wherever he is */
	expect_error(own, "SELECT n FROM jtl.dbo.t", 924, "only have one user");
	expect_error(own, "USE jtl", 924, "'jtl'");
	expect_sql(own, "ALTER DATABASE jtl SET MULTI_USER WITH ROLLBACK IMMEDIATE", "!5064\n!5069\n");
	expect_no_login(t, "sa", "Secret.1");
	expect_sql(admin, "SELECT n FROM jtl.dbo.t", "n\n1\n");
	session_close(admin);
	/* he is gone: the first that comes is the one */
	inside = tsql_login(t, "sa", "Secret.1", "jtl");
	expect_error(own, "SELECT n FROM jtl.dbo.t", 924, "only have one user");
	session_close(inside);
	expect_sql(own, "SELECT n FROM jtl.dbo.t", "n\n1\n");
	expect_sql(own, "ALTER DATABASE jtl SET MULTI_USER", "");
	session_close(tsql_login(t, "sa", "Secret.1", "jtl"));
	session_close(own);
}

static void a_transaction_over_both_is_in_the_database(void **state)
{
	struct tsql *t = *state;
	struct session *own = tsql_login(t, "sa", "Secret.1", "own");

	expect_sql(own, "BEGIN TRAN SELECT n FROM jtl.dbo.t", "n\n1\n");
	expect_sql(t->session, "ALTER DATABASE jtl SET OFFLINE WITH NO_WAIT", "!5070\n!5069\n");
	expect_sql(own, "COMMIT", "");
	expect_sql(t->session, "ALTER DATABASE jtl SET OFFLINE WITH NO_WAIT", "");
	expect_error(own, "SELECT n FROM jtl.dbo.t", 942, "offline");
	expect_sql(own, "SELECT 1 AS a", "a\n1\n");
	session_close(own);
}

static void restricted_user(void **state)
{
	struct tsql *t = *state;
	struct session *plain, *owner;

	expect_sql(t->session, "CREATE LOGIN plain WITH PASSWORD = 'Geheim.1'", "");
	expect_sql(t->session, "CREATE LOGIN boss WITH PASSWORD = 'Geheim.1'", "");
	expect_sql(t->session, "USE own CREATE USER plain FOR LOGIN plain", "");
	expect_sql(t->session, "USE jtl CREATE USER plain FOR LOGIN plain CREATE USER boss FOR LOGIN boss "
	                       "ALTER ROLE db_owner ADD MEMBER boss GRANT SELECT ON dbo.t TO plain", "");
	expect_sql(t->session, "USE master", "");
	plain = tsql_login(t, "plain", "Geheim.1", "own");
	expect_sql(plain, "SELECT n FROM jtl.dbo.t", "n\n1\n");
	expect_sql(t->session, "ALTER DATABASE jtl SET RESTRICTED_USER", "");
	expect_state(t, "ONLINE|RESTRICTED_USER");
	expect_error(plain, "SELECT n FROM jtl.dbo.t", 923, "restricted mode");
	expect_no_login(t, "plain", "Geheim.1");
	owner = tsql_login(t, "boss", "Geheim.1", "jtl");
	expect_sql(owner, "SELECT n FROM t", "n\n1\n");
	session_close(owner);
	expect_sql(t->session, "ALTER DATABASE jtl SET MULTI_USER", "");
	expect_sql(plain, "SELECT n FROM jtl.dbo.t", "n\n1\n");
	session_close(plain);
}

struct waiting {
	struct session *session;
	struct buf out;
};

static void *run_waiting(void *arg)
{
	struct waiting *w = arg;
	struct tsql_sink sink;

	tsql_run(w->session, "SET LOCK_TIMEOUT -1 UPDATE jtl.dbo.t SET n = 5", false, &sink);
	w->out = sink.out;
	return NULL;
}

/* One waits in the middle of a statement for the locks of one who is idle: both go, and neither changed anything. */
static void offline_cuts_who_runs(void **state)
{
	struct tsql *t = *state;
	struct session *inside = tsql_login(t, "sa", "Secret.1", "jtl");
	struct waiting w = { .session = tsql_login(t, "sa", "Secret.1", "own") };
	struct tsql_sink sink;
	pthread_t thread;
	char query[120];

	expect_sql(inside, "BEGIN TRAN UPDATE t SET n = 4", "");
	snprintf(query, sizeof(query), "SELECT wait_type FROM sys.dm_exec_requests WHERE session_id = %d", session_id(w.session));
	assert_int_equal(pthread_create(&thread, NULL, run_waiting, &w), 0);
	for (bool waits = false; !waits; nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL)) {
		tsql_run(t->session, query, false, &sink);
		waits = strstr(buf_text(&sink.out), "LCK_M_X") != NULL;
		buf_release(&sink.out);
	}
	expect_sql(t->session, "ALTER DATABASE jtl SET OFFLINE WITH ROLLBACK IMMEDIATE", CLEARED);
	pthread_join(thread, NULL);
	assert_string_equal(buf_text(&w.out), "!596\n");
	buf_release(&w.out);
	session_close(w.session);
	session_close(inside);
	expect_no_login(t, "sa", "Secret.1");
	expect_sql(t->session, "ALTER DATABASE jtl SET ONLINE SELECT n FROM jtl.dbo.t", "n\n1\n");
}

static void states_by_order(void **state)
{
	static const struct {
		const char *order, *shown;
		int number;
	} table[] = {
		{ "restoring", "RESTORING", 927 },       { "recovering", "RECOVERING", 922 }, { "recovery-pending", "RECOVERY_PENDING", 945 },
		{ "suspect", "SUSPECT", 926 },           { "offline", "OFFLINE", 942 },
	};
	struct tsql *t = *state;
	struct err err = ERR_INIT;
	char shown[60];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct session *inside = tsql_login(t, "sa", "Secret.1", "jtl");

		assert_int_equal(engine_database_state(t->engine, "JTL", table[i].order, &err), 0);
		expect_error(inside, "SELECT 1 AS a", 596, "kill");
		session_close(inside);
		snprintf(shown, sizeof(shown), "%s|MULTI_USER", table[i].shown);
		expect_state(t, shown);
		expect_error(t->session, "SELECT n FROM jtl.dbo.t", table[i].number, "'jtl'");
		expect_error(t->session, "SELECT COUNT(*) FROM jtl.INFORMATION_SCHEMA.COLUMNS", table[i].number, "'jtl'");
		expect_no_login(t, "sa", "Secret.1");
		if (strcmp(table[i].order, "offline") != 0)
			expect_sql(t->session, "ALTER DATABASE jtl SET MULTI_USER", "!5052\n!5069\n");
		assert_int_equal(engine_database_state(t->engine, "jtl", "online", &err), 0);
		expect_sql(t->session, "SELECT n FROM jtl.dbo.t", "n\n1\n");
	}
	assert_int_equal(engine_database_state(t->engine, "nosuch", "restoring", &err), -1);
	assert_int_equal(engine_database_state(t->engine, "master", "offline", &err), -1);
	assert_int_equal(engine_database_state(t->engine, "jtl", "tired", &err), -1);
	expect_state(t, "ONLINE|MULTI_USER");
}

static void states_live_over_a_restart(void **state)
{
	struct tsql *t = *state;
	struct err err = ERR_INIT;

	assert_int_equal(engine_database_state(t->engine, "jtl", "restoring", &err), 0);
	expect_sql(t->session, "ALTER DATABASE own SET SINGLE_USER", "");
	session_close(t->session);
	engine_close(t->engine);
	t->engine = engine_open(t->file, "sa", "Secret.1", "Latin1_General_CI_AS", &err);
	assert_non_null(t->engine);
	t->session = tsql_login(t, "sa", "Secret.1", "master");
	expect_state(t, "RESTORING|MULTI_USER");
	expect_sql(t->session, "SELECT user_access AS a FROM sys.databases WHERE name = 'own'", "a\n1\n");
	/* nobody holds it any more: one may enter, and only one */
	session_close(tsql_login(t, "sa", "Secret.1", "own"));
	expect_sql(t->session, "USE own", "");
	assert_null(session_open(t->engine, "sa", "Secret.1", "own", "", "", &err));
	assert_int_equal(err.number, 4060);
}

/* What an update of JTL does to what is read. */
static void a_schema_that_changes(void **state)
{
	struct tsql *t = *state;
	struct session *own = tsql_login(t, "sa", "Secret.1", "own");

	expect_sql(t->session, "USE jtl", "");
	expect_sql(t->session, "CREATE VIEW v AS SELECT n AS k FROM t", "");
	expect_sql(own, "SELECT k FROM jtl.dbo.v", "k\n1\n");
	expect_sql(t->session, "ALTER TABLE t ALTER COLUMN n decimal(25,13) NULL", "");
	expect_sql(own, "SELECT COLUMN_NAME AS c, DATA_TYPE AS d, NUMERIC_PRECISION AS p, NUMERIC_SCALE AS s "
	                "FROM jtl.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 't'", "c|d|p|s\nn|decimal|25|13\n");
	expect_sql(t->session, "EXEC sp_rename 'dbo.t.n', 'm', 'COLUMN'",
	           "#Caution: Changing any part of an object name could break scripts and stored procedures.\n");
	expect_error(own, "SELECT n FROM jtl.dbo.t", 207, "'n'");
	expect_error(own, "SELECT k FROM jtl.dbo.v", 207, "'n'");
	expect_sql(t->session, "DROP VIEW v", "");
	expect_error(own, "SELECT k FROM jtl.dbo.v", 208, "jtl.dbo.v");
	expect_sql(t->session, "CREATE VIEW v AS SELECT m AS k FROM t", "");
	expect_sql(own, "SELECT FLOOR(k) AS k FROM jtl.dbo.v", "k\n1\n");
	session_close(own);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(single_user),           TEST(a_transaction_over_both_is_in_the_database),
		TEST(restricted_user),       TEST(offline_cuts_who_runs),
		TEST(states_by_order),       TEST(states_live_over_a_restart),
		TEST(a_schema_that_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
