/* worker/db when the wire or the server misbehaves: every rule of libraries.md section 3 with its fault on the wire.
 * The clock of this program runs six times as fast, so that time-outs of seconds pass within a tick or two of ct-lib's. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include "tests/unit/db/wire.h"
#include "worker/db/db_internal.h"

#define CLOCK_FACTOR 6

static struct wire wire;
static struct db *db;

static int64_t real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t fast_ms(void)
{
	return real_ms() * CLOCK_FACTOR;
}

static int set_up(void **state)
{
	(void)state;
	wire_start(&wire);
	wire.config.statement_timeout_s = 5;
	db = wire_open(&wire);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	wire_stop(&wire);
	return 0;
}

static int count_row(void *arg, const struct db_row *row, struct err *err)
{
	(void)row;
	(void)err;
	++*(int *)arg;
	return 0;
}

/* Fails as expected; returns how many rows had been delivered before. */
static int fails(const char *sql, enum err_class class, const char *code)
{
	struct err err = ERR_INIT;
	int64_t affected = 5;
	int rows = 0;

	assert_int_equal(
	    db_query(db, &(struct db_statement){ .label = "probe", .sql = sql, .row = count_row, .arg = &rows },
		     &affected, &err),
	    -1);
	assert_string_equal(err.code, code);
	assert_int_equal(err.class, class);
	assert_int_equal(strncmp(err.text, "probe: ", 7), 0);
	assert_int_equal(affected, -1);
	return rows;
}

static void still_good(void)
{
	struct err err = ERR_INIT;
	int64_t value = 0;

	assert_false(db_doubtful(db));
	assert_int_equal(db_query_int64(db, &(struct db_statement){ .sql = "info" }, &value, &err), 0);
	assert_int_equal(value, 42);
}

/* Nothing is sent on it any more. */
static void in_doubt(void)
{
	struct err err = ERR_INIT;

	assert_true(db_doubtful(db));
	assert_int_equal(db_execute(db, NULL, "update 1 -- never sent", NULL, &err), -1);
	assert_string_equal(err.code, "SQL_CONNECTION");
	assert_int_equal(err.class, ERR_TEMP);
	assert_false(wire_saw("never sent"));
	assert_true(db_in_transaction(db));
	assert_int_equal(db_ping(db, &err), -1);
	assert_int_equal(db_rollback(db, &err), -1);
}

/* --- results that only look complete --- */

static void error_among_rows(void **state)
{
	(void)state;
	wire_fault(&wire, "error 8134 16 after-rows=1500 match=rows");
	assert_int_equal(fails("rows 3000", ERR_PERM, "SQL_8134"), 1500);
	still_good();
	wire_fault(&wire, "error 1205 13 after-rows=10 match=rows");
	assert_int_equal(fails("rows 3000", ERR_TEMP, "SQL_1205"), 10);
	still_good();
}

static void cut_among_rows(void **state)
{
	(void)state;
	wire_fault(&wire, "cut-rows 500 match=rows");
	assert_true(fails("rows 3000", ERR_TEMP, "SQL_CONNECTION") <= 500);
	in_doubt();
}

static void closed_among_rows(void **state)
{
	(void)state;
	wire_fault(&wire, "cut-clean-rows 500 match=rows");
	assert_int_equal(fails("rows 3000", ERR_TEMP, "SQL_CONNECTION"), 500);
	in_doubt();
}

static void cut_before_and_after(void **state)
{
	(void)state;
	wire_fault(&wire, "cut-before match=update");
	fails("update 1", ERR_TEMP, "SQL_CONNECTION");
	in_doubt();
	db_close(db);
	db = wire_open(&wire);
	wire_fault(&wire, "cut-after match=update");
	fails("update 1", ERR_TEMP, "SQL_CONNECTION");
	in_doubt();
}

static void garbage(void **state)
{
	(void)state;
	wire_fault(&wire, "garbage match=update");
	fails("update 1", ERR_TEMP, "SQL_PROTOCOL");
	in_doubt();
}

static void truncated_metadata(void **state)
{
	(void)state;
	wire_fault(&wire, "bad-metadata match=rows");
	assert_int_equal(fails("rows 1", ERR_TEMP, "SQL_TIMEOUT"), 0);
	in_doubt();
}

static void severity_21(void **state)
{
	(void)state;
	wire_fault(&wire, "severe match=update");
	fails("update 1", ERR_TEMP, "SQL_823");
	in_doubt();
}

/* --- time and cancel --- */

static bool raised(void *arg)
{
	return atomic_load((atomic_bool *)arg);
}

static void statement_timeout(void **state)
{
	int64_t before = real_ms();

	(void)state;
	fails("wait", ERR_TEMP, "SQL_TIMEOUT");
	assert_true(real_ms() - before < 2500);
	still_good();
	wire_fault(&wire, "delay 300 match=update");
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &(struct err)ERR_INIT), 0);
}

static void silent_server(void **state)
{
	int64_t before = real_ms();

	(void)state;
	wire_fault(&wire, "hang match=update");
	fails("update 1", ERR_TEMP, "SQL_TIMEOUT");
	assert_true(real_ms() - before < 4500);
	in_doubt();
}

static void *raise_soon(void *arg)
{
	usleep(300 * 1000);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void cancel(void **state)
{
	static atomic_bool flag;
	struct db_limit limit = { .cancelled = raised, .arg = &flag };
	pthread_t thread;
	int64_t before;

	(void)state;
	db->statement_timeout_s = 600;
	atomic_store(&flag, false);
	db_limit_set(db, &limit);
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, &flag), 0);
	before = real_ms();
	fails("wait", ERR_CANCELLED, "SQL_CANCELLED");
	assert_true(real_ms() - before < 1700);
	pthread_join(thread, NULL);
	fails("update 1 -- never sent", ERR_CANCELLED, "SQL_CANCELLED"); /* still raised */
	assert_false(wire_saw("never sent"));
	db_limit_set(db, NULL);
	still_good();
}

static void cancel_among_rows(void **state)
{
	static atomic_bool flag;
	struct db_limit limit = { .cancelled = raised, .arg = &flag };
	pthread_t thread;
	int64_t before;

	(void)state;
	db->statement_timeout_s = 600;
	atomic_store(&flag, false);
	db_limit_set(db, &limit);
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, &flag), 0);
	before = real_ms();
	assert_true(fails("forever", ERR_CANCELLED, "SQL_CANCELLED") > 0);
	assert_true(real_ms() - before < 1500);
	pthread_join(thread, NULL);
	db_limit_set(db, NULL);
	still_good();
}

static void unanswered_cancel(void **state)
{
	static atomic_bool flag;
	struct db_limit limit = { .cancelled = raised, .arg = &flag };
	pthread_t thread;

	(void)state;
	db->statement_timeout_s = 600;
	atomic_store(&flag, false);
	db_limit_set(db, &limit);
	wire_fault(&wire, "hang match=update");
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, &flag), 0);
	fails("update 1", ERR_CANCELLED, "SQL_CANCELLED");
	pthread_join(thread, NULL);
	db_limit_set(db, NULL);
	in_doubt();
}

static void deadline(void **state)
{
	struct db_limit limit = { .deadline_ms = fast_ms() + 2000 };

	(void)state;
	db->statement_timeout_s = 600;
	db_limit_set(db, &limit);
	fails("wait", ERR_CANCELLED, "SQL_DEADLINE");
	fails("update 1 -- never sent", ERR_CANCELLED, "SQL_DEADLINE");
	assert_false(wire_saw("never sent"));
	db_limit_set(db, NULL);
	still_good();
}

/* --- ct-lib's own traps --- */

/* What db_param.c never lets through: the half-built packet of error 2402 would go out with the next statement. */
static void conversion_error_discards(void **state)
{
	char text[] = "\xC4\x9F", sql[] = "SELECT @p"; /* g with breve: not in cp1252 */
	CS_DATAFMT format = { .datatype = CS_LONGCHAR_TYPE, .status = CS_INPUTVALUE, .maxlength = 50, .name = "@p", .namelen = 2 };

	(void)state;
	assert_int_equal(ct_command(db->command, CS_LANG_CMD, sql, CS_NULLTERM, CS_UNUSED), CS_SUCCEED);
	assert_int_equal(ct_param(db->command, &format, text, 2, 0), CS_SUCCEED);
	assert_int_equal(ct_send(db->command), CS_FAIL);
	assert_int_equal(db->client.number, 2402);
	in_doubt();
}

/* --- classes --- */

static void classes(void **state)
{
	static const struct {
		int number, severity;
		enum err_class class;
	} table[] = {
		{ 1205, 13, ERR_TEMP },  { 1222, 16, ERR_TEMP },  { 233, 16, ERR_TEMP },   { 10053, 16, ERR_TEMP },
		{ 10054, 16, ERR_TEMP }, { 10928, 16, ERR_TEMP }, { 40501, 16, ERR_TEMP }, { 701, 17, ERR_TEMP },
		{ 99999, 17, ERR_TEMP }, { 102, 15, ERR_PERM },   { 208, 16, ERR_PERM },   { 229, 14, ERR_PERM },
		{ 230, 14, ERR_PERM },   { 245, 16, ERR_PERM },   { 547, 16, ERR_PERM },   { 2627, 14, ERR_PERM },
		{ 8114, 16, ERR_PERM },  { 50000, 16, ERR_PERM }, { 4060, 11, ERR_HOLD },  { 18456, 14, ERR_HOLD },
		{ 18452, 14, ERR_HOLD }, { 922, 14, ERR_HOLD },   { 924, 14, ERR_HOLD },   { 927, 14, ERR_HOLD },
		{ 942, 14, ERR_HOLD },   { 945, 16, ERR_HOLD },   { 1827, 16, ERR_HOLD },  { 911, 16, ERR_HOLD },
		{ 913, 16, ERR_HOLD },   { 921, 14, ERR_HOLD },   { 923, 14, ERR_HOLD },   { 926, 14, ERR_HOLD },
		{ 941, 14, ERR_HOLD },   { 946, 14, ERR_HOLD },   { 952, 16, ERR_HOLD },   { 976, 14, ERR_HOLD },
		{ 978, 14, ERR_HOLD },   { 983, 14, ERR_HOLD },   { 988, 14, ERR_HOLD },   { 596, 16, ERR_TEMP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char sql[40], code[40], where[80];
		struct err err = ERR_INIT;

		snprintf(sql, sizeof(sql), "error %d %d", table[i].number, table[i].severity);
		snprintf(code, sizeof(code), "SQL_%d", table[i].number);
		snprintf(where, sizeof(where), "(error %d, severity %d, state 3, line 7)", table[i].number, table[i].severity);
		assert_int_equal(db_execute(db, NULL, sql, NULL, &err), -1);
		assert_int_equal(err.class, table[i].class);
		assert_int_equal(err.number, table[i].number);
		assert_string_equal(err.code, code);
		assert_non_null(strstr(err.text, "An error by order, 'ß'."));
		assert_non_null(strstr(err.text, where));
		still_good();
	}
	assert_int_equal(db_execute(db, NULL, "error 5701 10", NULL, &(struct err)ERR_INIT), 0);
}

/* --- COMMIT --- */

static void begin_and_update(void)
{
	struct err err = ERR_INIT;

	assert_int_equal(db_begin(db, &err), 0);
	assert_int_equal(db_execute(db, NULL, "update 1", NULL, &err), 0);
}

static void commit_is_unknown(const char *fault, int committed)
{
	struct err err = ERR_INIT;
	int before = atomic_load(&wire_engine.commits);

	begin_and_update();
	wire_fault(&wire, fault);
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_COMMIT_UNKNOWN");
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(atomic_load(&wire_engine.commits), before + committed);
	in_doubt();
	db_close(db);
	db = wire_open(&wire);
}

static void lost_commit(void **state)
{
	(void)state;
	commit_is_unknown("cut-before match=COMMIT", 0);
	commit_is_unknown("cut-after match=COMMIT", 1);
	commit_is_unknown("garbage match=COMMIT", 0);
	commit_is_unknown("hang match=COMMIT", 0);
	commit_is_unknown("severe match=COMMIT", 0);
}

static void refused_commit(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	begin_and_update();
	wire_fault(&wire, "error 1205 13 match=COMMIT");
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_1205");
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(db_rollback(db, &err), 0);
	still_good();
}

static void no_commit_after_a_cancel(void **state)
{
	static atomic_bool flag;
	struct db_limit limit = { .cancelled = raised, .arg = &flag };
	struct err err = ERR_INIT;
	int commits = atomic_load(&wire_engine.commits), rollbacks = atomic_load(&wire_engine.rollbacks);

	(void)state;
	atomic_store(&flag, false);
	db_limit_set(db, &limit);
	begin_and_update();
	atomic_store(&flag, true);
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_CANCELLED");
	atomic_store(&flag, false);
	assert_int_equal(db_commit(db, &err), -1); /* taking the cancel back does not help */
	assert_string_equal(err.code, "SQL_TRANSACTION");
	atomic_store(&flag, true);
	assert_int_equal(db_rollback(db, &err), 0); /* is sent all the same */
	assert_int_equal(atomic_load(&wire_engine.commits), commits);
	assert_int_equal(atomic_load(&wire_engine.rollbacks), rollbacks + 1);
	assert_false(wire_saw("COMMIT"));
	db_limit_set(db, NULL);
	begin_and_update();
	fails("wait", ERR_TEMP, "SQL_TIMEOUT");
	assert_int_equal(db_commit(db, &err), -1);
	assert_string_equal(err.code, "SQL_TRANSACTION");
	assert_int_equal(db_rollback(db, &err), 0);
	assert_false(wire_saw("COMMIT"));
}

/* --- login --- */

static void cannot_open(enum err_class class, const char *code)
{
	struct err err = ERR_INIT;

	assert_null(db_open(&wire.config, &err));
	if (strcmp(err.code, code) != 0)
		fail_msg("%s instead of %s: %s", err.code, code, err.text);
	assert_int_equal(err.class, class);
	assert_null(strstr(err.text, "wörd"));
}

static void logins_refused(void **state)
{
	(void)state;
	wire.config.database = "closed";
	cannot_open(ERR_HOLD, "SQL_4060");
	wire.config.database = "restoring";
	cannot_open(ERR_HOLD, "SQL_927");
	wire.config.database = "a]b";
	wire.config.user = "nobody";
	cannot_open(ERR_HOLD, "SQL_18456");
	wire.config.user = "worker";
	wire.config.password = secret_new("other-wörd", strlen("other-wörd"));
	cannot_open(ERR_HOLD, "SQL_18456");
	wire.config.database = "";
	cannot_open(ERR_PERM, "SQL_TEXT");
	wire.config.database = "a\nb";
	cannot_open(ERR_PERM, "SQL_TEXT");
}

static void connection_file_is_gone(void **state)
{
	char path[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/freetds.conf", wire.folder);
	assert_int_equal(unlink(path), 0);
	cannot_open(ERR_PERM, "SQL_CONFIG");
}

static void silent_login(void **state)
{
	int64_t before = real_ms();

	(void)state;
	wire.config.login_timeout_s = 1;
	wire_fault(&wire, "silent-login");
	cannot_open(ERR_TEMP, "SQL_TIMEOUT");
	assert_true(real_ms() - before < 2500);
}

static int listen_only(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(wire.address, sizeof(wire.address), "127.0.0.1,%d", ntohs(address.sin_port));
	assert_int_equal(db_setup(&wire.config, &(struct err)ERR_INIT), 0);
	return fd;
}

static void no_server(void **state)
{
	int64_t before = real_ms();
	int fd = listen_only();

	(void)state;
	wire.config.login_timeout_s = 1;
	cannot_open(ERR_TEMP, "SQL_TIMEOUT"); /* accepts and says nothing */
	assert_true(real_ms() - before < 2500);
	close(fd);
	before = real_ms();
	cannot_open(ERR_TEMP, "SQL_CONNECTION"); /* refuses */
	assert_true(real_ms() - before < 1000);
	wire.config.server = "no-such-host.invalid:1433";
	assert_int_equal(db_setup(&wire.config, &(struct err)ERR_INIT), 0);
	cannot_open(ERR_TEMP, "SQL_CONNECTION");
}

/* --- a server that stops reading --- */

struct proxy {
	int listener, port;
	pthread_t thread;
	atomic_bool stalled, stop;
};

static void relay(struct proxy *proxy, int client, int server)
{
	struct pollfd fds[2] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
	char bytes[8192];

	while (!atomic_load(&proxy->stop)) {
		if (poll(fds, 2, 20) < 0)
			return;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].revents == 0 || (i == 0 && atomic_load(&proxy->stalled)))
				continue;
			n = recv(fds[i].fd, bytes, sizeof(bytes), 0);
			if (n <= 0 || send(fds[1 - i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
	}
}

static void *proxy_thread(void *arg)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct proxy *proxy = arg;
	int client = accept(proxy->listener, NULL, NULL), server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)proxy->port);
	if (connect(server, (struct sockaddr *)&address, sizeof(address)) == 0)
		relay(proxy, client, server);
	close(client);
	close(server);
	return NULL;
}

static void server_stops_reading(void **state)
{
	struct proxy proxy = { .port = tds_server_port(wire.server) };
	struct err err = ERR_INIT;
	struct db *through;
	struct db_param p;
	struct buf json;

	(void)state;
	proxy.listener = listen_only();
	assert_int_equal(pthread_create(&proxy.thread, NULL, proxy_thread, &proxy), 0);
	through = wire_open(&wire);
	through->statement_timeout_s = 1;
	buf_init(&json, 40 << 20);
	for (int i = 0; i < 3 << 20; i++)
		buf_add_text(&json, "[0,1234],\n");
	p = db_param_json("@j", &json);
	atomic_store(&proxy.stalled, true);
	assert_int_equal(db_query(through,
				  &(struct db_statement){ .label = "load", .sql = "echo @j", .params = &p, .count = 1 },
				  NULL, &err),
			 -1);
	assert_string_equal(err.code, "SQL_TIMEOUT");
	assert_true(db_doubtful(through));
	atomic_store(&proxy.stop, true);
	pthread_join(proxy.thread, NULL);
	db_close(through);
	buf_release(&json);
	close(proxy.listener);
}

int main(void)
{
#define OVER_THE_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		OVER_THE_WIRE(error_among_rows),
		OVER_THE_WIRE(cut_among_rows),
		OVER_THE_WIRE(closed_among_rows),
		OVER_THE_WIRE(cut_before_and_after),
		OVER_THE_WIRE(garbage),
		OVER_THE_WIRE(truncated_metadata),
		OVER_THE_WIRE(severity_21),
		OVER_THE_WIRE(statement_timeout),
		OVER_THE_WIRE(silent_server),
		OVER_THE_WIRE(cancel),
		OVER_THE_WIRE(cancel_among_rows),
		OVER_THE_WIRE(unanswered_cancel),
		OVER_THE_WIRE(deadline),
		OVER_THE_WIRE(conversion_error_discards),
		OVER_THE_WIRE(classes),
		OVER_THE_WIRE(lost_commit),
		OVER_THE_WIRE(refused_commit),
		OVER_THE_WIRE(no_commit_after_a_cancel),
		OVER_THE_WIRE(logins_refused),
		OVER_THE_WIRE(connection_file_is_gone),
		OVER_THE_WIRE(silent_login),
		OVER_THE_WIRE(no_server),
		OVER_THE_WIRE(server_stops_reading),
	};

	clock_replace(NULL, fast_ms);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
