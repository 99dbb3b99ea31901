/* wire: a server for the tests of worker/db: the TDS side of the sandbox with an engine of fixed answers behind it, so that
 * every byte ct-lib sees is real and every fault can be ordered. Included once by each test program.
 *
 * The engine knows: USE, the session options, BEGIN/COMMIT/ROLLBACK with @@TRANCOUNT, and
 *   rows N          n bigint, t nvarchar(40)                echo            the parameters of the call as one row
 *   wide N          one nvarchar(max) of N bytes            update N        a count of N, no rows
 *   types           one row of every type; nulls: the same, NULL            two             two result sets
 *   unicode         one row of awkward text                 wait            until ATTENTION
 *   error N S       error N of severity S                   info            a message of severity 0 and a row
 *   forever         rows until ATTENTION */
#ifndef TESTS_UNIT_DB_WIRE_H
#define TESTS_UNIT_DB_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/clock.h"
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_control.h"
#include "ecosystem/sandbox/sql/tds_server.h"
#include "worker/db/db.h"

struct engine {
	pthread_mutex_t lock;
	char last[4096];       /* the last statement that arrived, cut */
	char params[8][400];   /* "@name type=value" of its parameters, cut */
	int param_count;
	size_t last_param_len; /* of the last parameter, in bytes */
	char log[8192];        /* all statements, one a line, cut */
	atomic_int sessions, commits, rollbacks;
};

struct session {
	struct engine *engine;
	char database[129];
	int id, trancount;
};

static struct engine wire_engine = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- the engine --- */

struct session *session_open(struct engine *engine, const char *user, const char *password, const char *database,
                             const char *application, const char *host, struct err *err)
{
	struct session *session;

	(void)application;
	(void)host;
	if (strcmp(user, "worker") != 0 || strcmp(password, "pä$$wörd-42") != 0) {
		err_set_number(err, ERR_PERM, "SQL", 18456, "Login failed for user '%s'.", user);
		return NULL;
	}
	if (strcmp(database, "closed") == 0) {
		err_set_number(err, ERR_PERM, "SQL", 4060, "Cannot open database \"closed\" requested by the login.");
		return NULL;
	}
	session = calloc(1, sizeof(*session));
	assert_non_null(session);
	session->engine = engine;
	session->id = 51 + atomic_fetch_add(&engine->sessions, 1);
	snprintf(session->database, sizeof(session->database), "%s", database);
	return session;
}

void session_close(struct session *session)
{
	if (session && session->trancount > 0)
		atomic_fetch_add(&session->engine->rollbacks, 1);
	free(session);
}

void session_on_kill(struct session *session, void (*on_kill)(void *arg), void *arg)
{
	(void)session;
	(void)on_kill;
	(void)arg;
}

int engine_database_state(struct engine *engine, const char *database, const char *state, struct err *err)
{
	(void)engine;
	(void)database;
	(void)state;
	return err_set(err, ERR_PERM, "STATE", "this engine has no states");
}

int session_id(const struct session *session)
{
	return session->id;
}

const char *session_database(const struct session *session)
{
	return session->database;
}

const char *session_collation(const struct session *session)
{
	(void)session;
	return "Latin1_General_CI_AS";
}

static inline int wire_one(const struct sink *sink, const struct sql_column *column, const char *text)
{
	struct sql_value value = { .null = !text, .data = text, .len = text ? strlen(text) : 0 };

	if (sink->columns(sink->arg, column, 1) != 0 || sink->row(sink->arg, &value, 1) != 0)
		return -1;
	return sink->done(sink->arg, 1, 193, false, false);
}

static inline int wire_int(const struct sink *sink, int64_t number)
{
	struct sql_column column = { .name = "n", .type = SQL_BIGINT, .nullable = true };
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	return wire_one(sink, &column, text);
}

/* limit -1: for ever */
static inline int wire_rows(const struct sink *sink, long limit)
{
	const struct sql_column columns[] = { { .name = "n", .type = SQL_BIGINT, .nullable = true },
					      { .name = "t", .type = SQL_NVARCHAR, .length = 40, .nullable = true } };
	long i;

	if (sink->columns(sink->arg, columns, 2) != 0)
		return -1;
	for (i = 0; limit < 0 || i < limit; i++) {
		char number[32], text[64];
		struct sql_value values[2];

		snprintf(number, sizeof(number), "%ld", i);
		snprintf(text, sizeof(text), "Größe %ld", i);
		values[0] = (struct sql_value){ .data = number, .len = strlen(number) };
		values[1] = (struct sql_value){ .data = text, .len = strlen(text) };
		if (sink->row(sink->arg, values, 2) != 0)
			return -1;
		if (limit < 0 && i % 64 == 0 && sink->cancelled(sink->arg))
			return -1;
	}
	return sink->done(sink->arg, i, 193, false, false);
}

static inline int wire_wide(const struct sink *sink, size_t len)
{
	const struct sql_column columns[] = {
		{ .name = "n", .type = SQL_BIGINT, .nullable = true },
		{ .name = "wide", .type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH, .nullable = true },
		{ .name = "t", .type = SQL_VARCHAR, .length = 20, .nullable = true },
	};
	char *text = malloc(len + 1);
	struct sql_value values[3] = { { .data = "7", .len = 1 }, { .data = text, .len = len }, { .data = "end", .len = 3 } };
	int rc;

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	text[len] = '\0';
	if (len >= 8) /* something beyond ASCII at both ends */
		memcpy(text, "ä", 2), memcpy(text + len - 4, "😀", 4);
	rc = sink->columns(sink->arg, columns, 3) != 0 || sink->row(sink->arg, values, 3) != 0;
	free(text);
	return rc != 0 ? -1 : sink->done(sink->arg, 1, 193, false, false);
}

static const struct {
	struct sql_column column;
	const char *value;
} wire_types[] = {
	{ { .name = "bit", .type = SQL_BIT, .nullable = true }, "1" },
	{ { .name = "tinyint", .type = SQL_TINYINT, .nullable = true }, "255" },
	{ { .name = "int", .type = SQL_INT, .nullable = true }, "-2147483648" },
	{ { .name = "max", .type = SQL_BIGINT, .nullable = true }, "9223372036854775807" },
	{ { .name = "min", .type = SQL_BIGINT, .nullable = true }, "-9223372036854775808" },
	{ { .name = "decimal", .type = SQL_DECIMAL, .precision = 25, .scale = 13, .nullable = true },
	  "999999999999.9999999999999" },
	{ { .name = "tiny", .type = SQL_DECIMAL, .precision = 25, .scale = 13, .nullable = true }, "-0.0000000000001" },
	{ { .name = "money", .type = SQL_MONEY, .nullable = true }, "12.3400" },
	{ { .name = "char", .type = SQL_CHAR, .length = 5, .nullable = true }, "ab" },
	{ { .name = "varchar", .type = SQL_VARCHAR, .length = 50, .nullable = true }, "Grüße €" },
	{ { .name = "nvarchar", .type = SQL_NVARCHAR, .length = 50, .nullable = true }, "日本 😀" },
	{ { .name = "empty", .type = SQL_NVARCHAR, .length = 50, .nullable = true }, "" },
	{ { .name = "emptymax", .type = SQL_NVARCHAR, .length = SQL_MAX_LENGTH, .nullable = true }, "" },
	{ { .name = "iso", .type = SQL_VARCHAR, .length = 33, .nullable = true }, "2026-11-24T05:04:17.1234567" },
	{ { .name = "datetime", .type = SQL_DATETIME, .nullable = true }, "2026-11-24 05:04:17.123" },
	{ { .name = "datetime2", .type = SQL_DATETIME2, .scale = 7, .nullable = true }, "2026-11-24 05:04:17.1234567" },
	{ { .name = "guid", .type = SQL_UNIQUEIDENTIFIER, .nullable = true }, "6F9619FF-8B86-D011-B42D-00C04FC964FF" },
	{ { .name = "binary", .type = SQL_VARBINARY, .length = 10, .nullable = true }, "\xFF\x01" },
};
#define WIRE_TYPES (sizeof(wire_types) / sizeof(wire_types[0]))

static inline int wire_all_types(const struct sink *sink, bool null)
{
	struct sql_column columns[WIRE_TYPES];
	struct sql_value values[WIRE_TYPES];

	for (size_t i = 0; i < WIRE_TYPES; i++) {
		columns[i] = wire_types[i].column;
		values[i] = (struct sql_value){ .null = null, .data = wire_types[i].value, .len = strlen(wire_types[i].value) };
	}
	if (sink->columns(sink->arg, columns, WIRE_TYPES) != 0 || sink->row(sink->arg, values, WIRE_TYPES) != 0)
		return -1;
	return sink->done(sink->arg, 1, 193, false, false);
}

static inline int wire_echo(const struct sink *sink, const struct sql_param *params, int count)
{
	struct sql_column columns[8];
	struct sql_value values[8];

	assert_in_range(count, 1, 8);
	for (int i = 0; i < count; i++) {
		columns[i] = params[i].column;
		columns[i].nullable = true;
		values[i] = params[i].value;
	}
	if (sink->columns(sink->arg, columns, count) != 0 || sink->row(sink->arg, values, count) != 0)
		return -1;
	return sink->done(sink->arg, 1, 193, false, false);
}

static inline int wire_error(const struct sink *sink, const char *numbers)
{
	char *end;
	long number = strtol(numbers, &end, 10), severity = strtol(end, &end, 10);

	sink->message(sink->arg, (int)number, (int)severity, 3, 7, "An error by order, 'ß'.");
	sink->done(sink->arg, -1, 0, false, severity > 10);
	return severity >= 20 ? -1 : 0;
}

static inline int wire_transaction(struct session *session, const char *sql, const struct sink *sink)
{
	if (strstr(sql, "ROLLBACK")) {
		if (session->trancount > 0)
			atomic_fetch_add(&session->engine->rollbacks, 1);
		session->trancount = 0;
	} else if (strncmp(sql, "COMMIT", 6) == 0) {
		if (session->trancount == 0)
			return wire_error(sink, "3902 16");
		session->trancount--;
		atomic_fetch_add(&session->engine->commits, 1);
	} else {
		session->trancount++;
	}
	return sink->done(sink->arg, -1, 0, false, false);
}

static inline int wire_use(struct session *session, const char *sql, const struct sink *sink)
{
	char name[129];

	assert_int_equal(sscanf(sql, "USE [%128[^]]]", name), 1);
	if (strcmp(name, "restoring") == 0) {
		sink->message(sink->arg, 927, 14, 2, 1, "Database 'restoring' cannot be opened. It is in the middle of a restore.");
		return sink->done(sink->arg, -1, 0, false, true);
	}
	snprintf(session->database, sizeof(session->database), "%s", name);
	sink->database(sink->arg, name);
	return sink->done(sink->arg, -1, 0, false, false);
}

static inline void wire_record(struct engine *engine, const char *sql, const struct sql_param *params, int count)
{
	size_t used;

	pthread_mutex_lock(&engine->lock);
	snprintf(engine->last, sizeof(engine->last), "%s", sql);
	used = strlen(engine->log);
	snprintf(engine->log + used, sizeof(engine->log) - used, "%.60s\n", sql);
	engine->param_count = count;
	for (int i = 0; i < count && i < 8; i++) {
		snprintf(engine->params[i], sizeof(engine->params[i]), "%s %d(%d)=%.100s", params[i].name, params[i].column.type,
		         params[i].column.length, params[i].value.null ? "NULL" : params[i].value.data);
		engine->last_param_len = params[i].value.len;
	}
	pthread_mutex_unlock(&engine->lock);
}

static inline int wire_wait(const struct sink *sink)
{
	while (!sink->cancelled(sink->arg))
		usleep(1000);
	return -1;
}

int engine_execute(struct session *session, const char *sql, size_t len, const struct sql_param *params, int param_count,
                   const struct sink *sink)
{
	(void)len;
	wire_record(session->engine, sql, params, param_count);
	if (strstr(sql, "@@SPID"))
		return wire_int(sink, session->id);
	if (strncmp(sql, "USE ", 4) == 0)
		return wire_use(session, sql, sink);
	if (strncmp(sql, "BEGIN TRAN", 10) == 0 || strncmp(sql, "COMMIT", 6) == 0 || strstr(sql, "ROLLBACK"))
		return wire_transaction(session, sql, sink);
	if (strstr(sql, "@@TRANCOUNT"))
		return wire_int(sink, session->trancount);
	if (strncmp(sql, "rows ", 5) == 0)
		return wire_rows(sink, atol(sql + 5));
	if (strcmp(sql, "forever") == 0)
		return wire_rows(sink, -1);
	if (strncmp(sql, "wide ", 5) == 0)
		return wire_wide(sink, (size_t)atol(sql + 5));
	if (strcmp(sql, "types") == 0 || strcmp(sql, "nulls") == 0)
		return wire_all_types(sink, *sql == 'n');
	if (strstr(sql, "echo") && param_count > 0)
		return wire_echo(sink, params, param_count);
	if (strncmp(sql, "update ", 7) == 0)
		return sink->done(sink->arg, atol(sql + 7), 197, false, false);
	if (strncmp(sql, "error ", 6) == 0)
		return wire_error(sink, sql + 6);
	if (strcmp(sql, "wait") == 0)
		return wire_wait(sink);
	if (strcmp(sql, "info") == 0)
		sink->message(sink->arg, 5701, 0, 1, 1, "Changed something.");
	if (strcmp(sql, "two") == 0 && wire_rows(sink, 2) != 0)
		return -1;
	return wire_int(sink, 42);
}

/* --- the server --- */

struct wire {
	struct tds_shared shared;
	struct tds_server *server;
	char folder[64], address[64];
	struct db_config config;
};

/* Listens on `port` (0: a free one). */
static inline void wire_listen(struct wire *wire, int port)
{
	struct err err = ERR_INIT;

	atomic_store(&wire->shared.stop, false);
	wire->server = tds_server_start("127.0.0.1", port, &wire->shared, &err);
	assert_non_null(wire->server);
	snprintf(wire->address, sizeof(wire->address), "127.0.0.1:%d", tds_server_port(wire->server));
}

static inline void wire_start(struct wire *wire)
{
	struct err err = ERR_INIT;

	memset(wire, 0, sizeof(*wire));
	snprintf(wire->folder, sizeof(wire->folder), "/tmp/wire-XXXXXX");
	assert_non_null(mkdtemp(wire->folder));
	wire->shared.engine = &wire_engine;
	wire->shared.faults = tds_faults_new();
	snprintf(wire->shared.collation, sizeof(wire->shared.collation), "Latin1_General_CI_AS");
	wire_listen(wire, 0);
	wire->config = (struct db_config){
		.server = wire->address,
		.user = "worker",
		.password = secret_new("pä$$wörd-42", strlen("pä$$wörd-42")),
		.database = "toci",
		.login_timeout_s = 5,
		.statement_timeout_s = 20,
		.lock_timeout_ms = 5000,
		.folder = wire->folder,
	};
	assert_int_equal(db_setup(&wire->config, &err), 0);
	pthread_mutex_lock(&wire_engine.lock);
	wire_engine.log[0] = '\0';
	pthread_mutex_unlock(&wire_engine.lock);
}

static inline void wire_stop(struct wire *wire)
{
	char path[100];

	tds_server_stop(wire->server);
	tds_faults_free(wire->shared.faults);
	snprintf(path, sizeof(path), "%s/freetds.conf", wire->folder);
	unlink(path);
	rmdir(wire->folder);
}

static inline void wire_fault(struct wire *wire, const char *line)
{
	struct buf answer;

	buf_init(&answer, 4096);
	tds_control_line(NULL, wire->shared.faults, line, &answer);
	assert_string_equal(buf_text(&answer), "ok\n");
	buf_release(&answer);
}

/* The statements of this server so far contain text. */
static inline bool wire_saw(const char *text)
{
	bool saw;

	pthread_mutex_lock(&wire_engine.lock);
	saw = strstr(wire_engine.log, text) != NULL;
	pthread_mutex_unlock(&wire_engine.lock);
	return saw;
}

static inline struct db *wire_open(struct wire *wire)
{
	struct err err = ERR_INIT;
	struct db *db = db_open(&wire->config, &err);

	if (!db)
		fail_msg("db_open: %s", err.text);
	return db;
}

#endif
