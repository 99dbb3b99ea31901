/* tsql: runs T-SQL through engine.h and compares what comes back with a text, for tests/unit/sql.
 * A result is written as: "name|name\n" once a result set, "v|v\n" a row (NULL for NULL), "(n)\n" a row count, "!number\n" an error,
 * "#text\n" a message of severity 0..10. */
#ifndef TESTS_UNIT_SQL_TSQL_H
#define TESTS_UNIT_SQL_TSQL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/buf.h"
#include "ecosystem/sandbox/sql/engine.h"

struct tsql {
	char folder[64], file[128];
	struct engine *engine;
	struct session *session;
};

struct tsql_sink {
	struct buf out;
	char last_error[1100];
	bool counts; /* row counts are written */
};

static inline int tsql_columns(void *arg, const struct sql_column *columns, int count)
{
	struct tsql_sink *sink = arg;

	for (int i = 0; i < count; i++)
		buf_addf(&sink->out, "%s%s", i ? "|" : "", columns[i].name);
	buf_add_char(&sink->out, '\n');
	return 0;
}

static inline int tsql_row(void *arg, const struct sql_value *values, int count)
{
	struct tsql_sink *sink = arg;

	for (int i = 0; i < count; i++) {
		if (i)
			buf_add_char(&sink->out, '|');
		if (values[i].null)
			buf_add_text(&sink->out, "NULL");
		else
			buf_add(&sink->out, values[i].data, values[i].len);
	}
	buf_add_char(&sink->out, '\n');
	return 0;
}

static inline int tsql_done(void *arg, int64_t rows, int command, bool more, bool failed)
{
	struct tsql_sink *sink = arg;

	(void)command;
	(void)more;
	if (rows >= 0 && sink->counts && !failed)
		buf_addf(&sink->out, "(%lld)\n", (long long)rows);
	return 0;
}

static inline int tsql_message(void *arg, int number, int severity, int state, int line, const char *text)
{
	struct tsql_sink *sink = arg;

	(void)state;
	(void)line;
	if (severity > 10) {
		buf_addf(&sink->out, "!%d\n", number);
		snprintf(sink->last_error, sizeof(sink->last_error), "%s", text);
	} else if (number != 5701) {
		buf_addf(&sink->out, "#%s\n", text);
	}
	return 0;
}

static inline int tsql_database(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return 0;
}

static inline bool tsql_cancelled(void *arg)
{
	(void)arg;
	return false;
}

static inline void tsql_run(struct session *session, const char *sql, bool counts, struct tsql_sink *sink)
{
	const struct sink calls = { .arg = sink, .columns = tsql_columns, .row = tsql_row, .done = tsql_done,
	                            .message = tsql_message, .database = tsql_database, .cancelled = tsql_cancelled };

	memset(sink, 0, sizeof(*sink));
	buf_init(&sink->out, (size_t)1 << 24);
	sink->counts = counts;
	(void)engine_execute(session, sql, strlen(sql), NULL, 0, &calls);
}

static inline void tsql_compare(struct session *session, const char *sql, const char *expected, bool counts, const char *file,
                                int line)
{
	struct tsql_sink sink;

	tsql_run(session, sql, counts, &sink);
	if (strcmp(buf_text(&sink.out), expected) != 0)
		fail_msg("%s:%d\n%s\nexpected:\n%s\ngot:\n%s%s", file, line, sql, expected, buf_text(&sink.out), sink.last_error);
	buf_release(&sink.out);
}

/* Rows and errors; row counts are left out. */
#define expect_sql(session, sql, expected) tsql_compare(session, sql, expected, false, __FILE__, __LINE__)
/* Row counts too. */
#define expect_counts(session, sql, expected) tsql_compare(session, sql, expected, true, __FILE__, __LINE__)

/* One error with this number whose text contains `text`. */
static inline void tsql_fails(struct session *session, const char *sql, int number, const char *text, const char *file, int line)
{
	struct tsql_sink sink;
	char expected[20];

	snprintf(expected, sizeof(expected), "!%d\n", number);
	tsql_run(session, sql, false, &sink);
	if (!strstr(buf_text(&sink.out), expected) || !strstr(sink.last_error, text))
		fail_msg("%s:%d\n%s\nexpected: %d %s\ngot:\n%s%s", file, line, sql, number, text, buf_text(&sink.out), sink.last_error);
	buf_release(&sink.out);
}
#define expect_error(session, sql, number, text) tsql_fails(session, sql, number, text, __FILE__, __LINE__)

static inline struct session *tsql_login(struct tsql *t, const char *user, const char *password, const char *database)
{
	struct err err = ERR_INIT;
	struct session *session = session_open(t->engine, user, password, database, "test", "here", &err);

	if (!session)
		fail_msg("login %s: %s", user, err.text);
	return session;
}

static inline void tsql_open(struct tsql *t)
{
	struct err err = ERR_INIT;

	memset(t, 0, sizeof(*t));
	snprintf(t->folder, sizeof(t->folder), "/tmp/tsql.XXXXXX");
	assert_non_null(mkdtemp(t->folder));
	snprintf(t->file, sizeof(t->file), "%s/db", t->folder);
	t->engine = engine_open(t->file, "sa", "Secret.1", "Latin1_General_CI_AS", &err);
	if (!t->engine)
		fail_msg("%s", err.text);
	t->session = tsql_login(t, "sa", "Secret.1", "");
}

static inline void tsql_close(struct tsql *t)
{
	char name[160];

	session_close(t->session);
	engine_close(t->engine);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", t->file, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
		unlink(name);
	}
	rmdir(t->folder);
}

#endif
