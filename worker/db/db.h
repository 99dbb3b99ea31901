/* db: one connection to SQL Server over ct-lib (TDS). Knows statements, parameters, rows, transactions and classified errors;
 * knows no table. What ct-lib hides or gets wrong (libraries.md section 3) is dealt with here, so that nobody else needs to know.
 * A connection belongs to one thread at a time; connpool.h hands them out.
 *
 * Three things to know before writing a statement:
 *  - ROWS ARE PROVISIONAL UNTIL db_query RETURNS 0. A cut connection, a deadlock victim or a division by zero in the middle of a
 *    result looks like its end while rows are being delivered; only the return value says whether they were all. Collect first,
 *    act after the 0.
 *  - Text goes out as pure ASCII JSON in one DB_JSON parameter, read with OPENJSON ... WITH (dbjson.h builds it), or as an N''
 *    literal from db_quote. A DB_TEXT parameter is ASCII only.
 *  - Dates are read with CONVERT(varchar(33), column, 126) and written as such text with CONVERT(datetime2, @p, 126): unconverted
 *    they come back as "Nov 23 2026 12:34PM", without seconds. Decimals come back as exact text.
 *
 * Errors: code "SQL_<number>" and err.number for what the server said. TEMP: deadlock 1205, lock time-out 1222, lost connections,
 * throttling. HOLD: login or database refused (db_unavailable), a human must act. CANCELLED: cancel, deadline. PERM: everything else (syntax,
 * permission, missing object, constraint, conversion). Our own codes:
 *   SQL_TIMEOUT (TEMP)         the statement took longer than statement_timeout_s, or the server fell silent
 *   SQL_CONNECTION (TEMP)      the connection was cut or the server cannot be reached
 *   SQL_PROTOCOL (TEMP)        the answer was no TDS
 *   SQL_CANCELLED, SQL_DEADLINE (CANCELLED)  by the limit
 *   SQL_COMMIT_UNKNOWN (TEMP)  COMMIT was sent and its answer lost: read back before doing it again
 *   SQL_TRANSACTION (PERM)     commit after a statement of the transaction had failed, or begin inside a transaction
 *   SQL_TEXT (PERM)            a statement or parameter that may not go out: invalid UTF-8, NUL, non-ASCII parameter, too long
 *   SQL_ROW (PERM)             a row is not what the reader expects: NULL, no number, missing column or row
 *   SQL_CONFIG (PERM)          db_setup's and db_open's: server name, files
 *   SQL_MEMORY (TEMP)
 * Texts name the statement's label and the server's words (which may quote data), never parameter values; secrets are masked.
 *
 * After any error but SQL_TEXT a statement outside a transaction may have taken effect: it can have been executed before the
 * connection, the deadline or the cancel came. Write so that repeating is harmless, or inside a transaction. */
#ifndef WORKER_DB_DB_H
#define WORKER_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/secret.h"

struct db;
struct db_row;

enum db_encryption {
	DB_ENCRYPTION_OFF,     /* never; a server that insists is refused */
	DB_ENCRYPTION_REQUEST, /* the login at least, if the server can; otherwise in clear */
	DB_ENCRYPTION_REQUIRE, /* everything, or no connection */
};

/* Borrowed by db_setup and db_open for the call, by a pool for its life. */
struct db_config {
	const char *server;            /* "host", "host,port", "host:port", "[v6]:port", "host\instance" (never with a port) */
	const char *user;
	const struct secret *password;
	const char *database;          /* the session's current database */
	enum db_encryption encryption;
	const char *ca_file;           /* checks chain and host name; NULL or "": not checked. Only
	                                * `require` makes it a protection: `request` can be talked out of TLS */
	int login_timeout_s;
	int statement_timeout_s;
	int lock_timeout_ms;
	const char *application;       /* program_name in sys.dm_exec_sessions; NULL: "temu-workers" */
	const char *folder;            /* private folder for the connection file, must exist */
};

/* "off", "request", "require". -1 for anything else. */
int db_encryption_parse(const char *name, enum db_encryption *encryption);

/* Writes <folder>/freetds.conf (0600, holds no credentials), points FREETDSCONF to it and drops the environment variables that
 * would override it. Once per process, before any thread starts (a second call replaces the file; only while nobody opens).
 * SQL_CONFIG when server or a file name cannot be expressed safely. */
int db_setup(const struct db_config *config, struct err *err) MUSTCHECK;

/* Connects, logs in, enters the database and sets the session: the ANSI options and ARITHABORT ON
 * (jtl_database.md 4.4), XACT_ABORT ON, LOCK_TIMEOUT, READ COMMITTED, IMPLICIT_TRANSACTIONS OFF, TEXTSIZE, DATEFORMAT
 * ymd, LANGUAGE us_english. Blocks up to login_timeout_s for each answer of the handshake, plus name resolution; a
 * named instance is asked for at UDP 1434 for up to 16 s. A refused database (4060) costs one more login, to master,
 * which says its state. The caller frees with db_close. */
struct db *db_open(const struct db_config *config, struct err *err) MUSTCHECK;
/* Rolls back what is open by going away. Blocks at most a moment. NULL is accepted. */
void db_close(struct db *db);

/* --- limits: deadline and cancel, looked at once a second while the server is silent and between rows --- */

struct db_limit {
	int64_t deadline_ms;        /* of clock_mono_ms; 0 = none beyond the statement time-out */
	bool (*cancelled)(void *arg); /* may be NULL; called on the connection's own thread */
	void *arg;
};

/* For all following statements, until set again. NULL: none. The struct is copied. */
void db_limit_set(struct db *db, const struct db_limit *limit);

/* --- statements --- */

enum db_param_type {
	DB_INT64,   /* bigint */
	DB_TEXT,    /* varchar(50 | 400 | 8000), ASCII, at most 8,000 bytes */
	DB_JSON,    /* varchar(max), ASCII, any size */
	DB_DECIMAL, /* decimal(38, 13) from text "-12.34" */
};

struct db_param {
	const char *name;        /* "@j"; must occur in the statement */
	enum db_param_type type;
	bool null;
	int64_t number;
	const char *text;        /* borrowed for the call */
	size_t len;
};

struct db_param db_param_int64(const char *name, int64_t value);
/* text NULL: SQL NULL of that type. "" stays "". */
struct db_param db_param_text(const char *name, const char *text);
struct db_param db_param_json(const char *name, const struct buf *json);
struct db_param db_param_decimal(const char *name, const char *text);
struct db_param db_param_null(const char *name, enum db_param_type type);

/* Called for each row of each result set, on the caller's thread. row is valid for the call. -1 with err filled ends the
 * statement: what is left is cancelled, the connection stays usable, db_query returns that error. Must not use the connection. */
typedef int db_row_fn(void *arg, const struct db_row *row, struct err *err);

#define DB_PARAMS_MAX 2000

/* Everything is borrowed for the call. Use a compound literal:
 *   db_query(db, &(struct db_statement){ .label = "stock", .sql = SQL, .params = &p, .count = 1, .row = take, .arg = &list },
 *            NULL, err) */
struct db_statement {
	const char *label;             /* names it in errors; NULL: the first words of sql */
	const char *sql;               /* one batch, UTF-8, without GO */
	const struct db_param *params; /* with parameters it goes through sp_executesql: no temporary table survives it */
	size_t count;
	db_row_fn *row;                /* NULL: rows are skipped */
	void *arg;
};

/* Runs one batch to its very end. It leaves the session as it was for the next user: no USE, no SET, no #table left behind.
 * affected (may be NULL): the count of the last statement that reported one, -1 if none did.
 * On failure the transaction, if one is open, is as good as rolled back (XACT_ABORT) and can only be rolled back. */
int db_query(struct db *db, const struct db_statement *statement, int64_t *affected, struct err *err) MUSTCHECK;

/* A batch without parameters whose rows do not matter. */
int db_execute(struct db *db, const char *label, const char *sql, int64_t *affected, struct err *err) MUSTCHECK;

/* The first column of the only row (statement.row is ignored). SQL_ROW when there is no row, more than one, or NULL. */
int db_query_int64(struct db *db, const struct db_statement *statement, int64_t *value, struct err *err) MUSTCHECK;

/* --- one row, inside a db_row_fn; columns count from 0 --- */

int db_row_set(const struct db_row *row);     /* which result set of the batch, from 0 */
int db_row_columns(const struct db_row *row);
bool db_row_null(const struct db_row *row, int column); /* also true for a column that does not exist */
/* bit, tinyint to bigint, and text or decimals that hold an integer. SQL_ROW for NULL or anything else, naming the column. */
int db_row_int64(const struct db_row *row, int column, int64_t *value, struct err *err) MUSTCHECK;
/* UTF-8, NUL-terminated, NULL for SQL NULL, "" for empty text. len may be NULL. Decimals exact, "12.3400000000000"; bit "0"/"1";
 * varbinary as hex without 0x (up to 8,000 bytes); char(n) and nchar(n) with their blanks; (max) columns up to 64 MB. */
const char *db_row_text(const struct db_row *row, int column, size_t *len);
/* Copies into out[size]: SQL_ROW when it is NULL or does not fit. */
int db_row_copy(const struct db_row *row, int column, char *out, size_t size, struct err *err) MUSTCHECK;

/* --- transactions --- */

int db_begin(struct db *db, struct err *err) MUSTCHECK;
/* A batch of its own. Refused after a failed or cancelled statement (SQL_TRANSACTION), and when the limit has been reached
 * before it was sent; once sent it is not cancelled any more. 0: committed. SQL_COMMIT_UNKNOWN: nobody knows. Any other error:
 * not committed; db_rollback is due. */
int db_commit(struct db *db, struct err *err) MUSTCHECK;
/* Works without a transaction and ignores the limit. When it fails the connection is doubtful, and closing it rolls back. */
int db_rollback(struct db *db, struct err *err);

typedef int db_work_fn(struct db *db, void *arg, struct err *err); /* 0, or -1 with err filled */

/* A condition that a transaction begins with: `add` appends one SELECT to the batch of BEGIN TRANSACTION (no parameters), its row goes to
 * `judge`, which says whether the work may be done; -1 rolls back and is the error. Costs no round trip. */
struct db_fence {
	void (*add)(const void *arg, struct buf *sql);
	int (*judge)(const void *arg, const struct db_row *row, struct err *err); /* once: the first row, NULL = none came */
	const void *arg;
};

/* begin, work, commit; rollback when either fails. The error is the first one. Nothing here repeats. fence NULL = none. */
int db_transaction(struct db *db, const struct db_fence *fence, db_work_fn *work, void *arg, struct err *err) MUSTCHECK;

/* --- state --- */

/* Never to be used again: lost or cut, unanswered cancel, conversion error (its half-built packet would reach the server with the
 * next statement), severity >= 20. Every statement on it fails with SQL_CONNECTION. */
bool db_doubtful(const struct db *db);
/* Open transaction, by @@TRANCOUNT if something happened that may have left one; no round trip otherwise. A failure counts as
 * yes. */
bool db_in_transaction(struct db *db);
/* One round trip with a time-out of its own (at most 5 s). 0 or -1, then doubtful. */
int db_ping(struct db *db, struct err *err) MUSTCHECK;
/* @@SPID as the server knows it, for log lines. */
int db_spid(const struct db *db);

/* True when the server said that a database cannot be used for the moment: single-user or restricted, restoring, recovering,
 * off line, suspect, in transition, its replica not readable, or not there. Such errors are HOLD: somebody is at work on it or must be, and no
 * attempt is spent on waiting. */
bool db_unavailable(const struct err *err);

/* --- literals --- */

/* Appends N'text', quotes doubled, a backslash before a line end split apart (T-SQL would eat both). The only way text gets into
 * a statement. SQL_TEXT for invalid UTF-8 or NUL. */
int db_quote(struct buf *out, const char *text, size_t len, struct err *err) MUSTCHECK;
/* Appends [name], brackets doubled: for configured database names. 1..128 characters, SQL_TEXT otherwise. */
int db_quote_name(struct buf *out, const char *name, struct err *err) MUSTCHECK;

#endif
