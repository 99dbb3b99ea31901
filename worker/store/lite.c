/* One SQLite connection, its statements prepared once, and what its errors mean to the journal.
 * Which statements there are stands in the files that use them. */
#include "worker/store/lite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

#define BUSY_WAIT_MS 2000 /* somebody looks into the file with the sqlite3 shell */

static int
fail(struct lite *lite, const char *what, struct err *err)
{
	int code = sqlite3_extended_errcode(lite->db);
	const char *text = sqlite3_errmsg(lite->db);

	switch (code & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
	case SQLITE_NOMEM:
		return err_set_number(err, ERR_TEMP, "JOURNAL_DISK", code, "%s: %s (%s); is the disk full or read-only?", lite->path,
		                      text, what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set_number(err, ERR_PERM, "JOURNAL_DAMAGED", code,
		                      "%s is damaged: %s. Restore it from a back-up, or move it and its -wal file away to begin a new one",
		                      lite->path, text);
	default:
		return err_set_number(err, ERR_PERM, "JOURNAL_SQL", code, "%s: %s (%s)", lite->path, text, what);
	}
}

int
lite_open(struct lite *lite, const char *path, bool writable, struct err *err)
{
	int flags = (writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;

	memset(lite, 0, sizeof(*lite));
	lite->path = path;
	if (sqlite3_open_v2(path, &lite->db, flags, NULL) != SQLITE_OK) {
		fail(lite, "open", err);
		lite_close(lite);
		return -1;
	}
	sqlite3_busy_timeout(lite->db, BUSY_WAIT_MS);
	return 0;
}

void
lite_close(struct lite *lite)
{
	for (int i = 0; i < lite->count; i++)
		sqlite3_finalize(lite->cache[i].statement);
	if (lite->db)
		sqlite3_close(lite->db);
	memset(lite, 0, sizeof(*lite));
}

int
lite_exec(struct lite *lite, const char *text, struct err *err)
{
	return sqlite3_exec(lite->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(lite, text, err);
}

sqlite3_stmt *
lite_use(struct lite *lite, const char *text, struct err *err)
{
	for (int i = 0; i < lite->count; i++)
		if (lite->cache[i].text == text)
			return lite->cache[i].statement;
	assert(lite->count < LITE_STATEMENTS_MAX);
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v3(lite->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
		fail(lite, text, err);
		return NULL;
	}
	lite->cache[lite->count].text = text;
	lite->cache[lite->count].statement = statement;
	lite->count++;
	return statement;
}

void
lite_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(statement, at);
}

int
lite_step(struct lite *lite, sqlite3_stmt *statement, struct err *err)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		fail(lite, sqlite3_sql(statement), err);
	lite_done(statement);
	return code == SQLITE_DONE ? 0 : -1;
}

void
lite_done(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

int
lite_run(struct lite *lite, sqlite3_stmt *statement, struct err *err)
{
	int status = lite_step(lite, statement, err);

	if (status == 1)
		lite_done(statement);
	return status < 0 ? -1 : 0;
}

int
lite_int64(struct lite *lite, const char *text, int64_t fallback, int64_t *out, struct err *err)
{
	sqlite3_stmt *statement = lite_use(lite, text, err);

	*out = fallback;
	if (!statement)
		return -1;
	int status = lite_step(lite, statement, err);
	if (status == 1) {
		*out = sqlite3_column_int64(statement, 0);
		lite_done(statement);
	}
	return status < 0 ? -1 : 0;
}

const char *
lite_text(sqlite3_stmt *statement, int at)
{
	const unsigned char *text = sqlite3_column_text(statement, at);

	return text ? (const char *)text : "";
}

void
lite_copy(sqlite3_stmt *statement, int at, char *out, size_t size)
{
	const char *text = lite_text(statement, at);
	size_t len = utf8_cut(text, strlen(text), size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}
