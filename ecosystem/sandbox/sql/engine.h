/* engine: the SQL Server stand-in without the wire: T-SQL in, result sets and SQL Server's errors out.
 * The TDS side (tds_*.c) calls this; the engine side (lexer, parser, translator, catalogue, locks) implements it.
 * Data lives in one SQLite file; a session is one SQLite connection of its own and belongs to one thread at a time.
 * Never linked into the daemons. */
#ifndef SANDBOX_SQL_ENGINE_H
#define SANDBOX_SQL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

struct engine;
struct session;

/* --- types and values: what crosses between engine and wire --- */

enum sql_type {
	SQL_BIT,
	SQL_TINYINT,
	SQL_SMALLINT,
	SQL_INT,
	SQL_BIGINT,
	SQL_DECIMAL,   /* precision, scale; value travels as exact decimal text */
	SQL_FLOAT,     /* 8 bytes */
	SQL_REAL,
	SQL_MONEY,     /* decimal text, 4 digits */
	SQL_CHAR,      /* length in bytes */
	SQL_VARCHAR,   /* length in bytes, SQL_MAX_LENGTH = (max) */
	SQL_NCHAR,     /* length in UTF-16 units */
	SQL_NVARCHAR,  /* length in UTF-16 units, SQL_MAX_LENGTH = (max) */
	SQL_BINARY,
	SQL_VARBINARY, /* length in bytes, SQL_MAX_LENGTH = (max) */
	SQL_DATE,
	SQL_TIME,      /* scale 0..7 */
	SQL_DATETIME,  /* 1/300 s */
	SQL_SMALLDATETIME,
	SQL_DATETIME2, /* scale 0..7 */
	SQL_DATETIMEOFFSET,
	SQL_UNIQUEIDENTIFIER,
	SQL_ROWVERSION, /* 8 bytes */
};

#define SQL_MAX_LENGTH (-1)
#define SQL_MAX_COLUMNS 256

struct sql_column {
	char name[129];
	enum sql_type type;
	int length;           /* see the types; 0 where it means nothing */
	uint8_t precision, scale;
	bool nullable, identity;
};

/* Values travel as text in the engine's canonical form, borrowed for the length of the call:
 * integers and bit "-12"; decimal "12.3400000000000"; float "%.17g"; char kinds UTF-8;
 * date "2026-11-24"; time "05:04:17.1230000"; datetime kinds "2026-11-24 05:04:17.123"; datetimeoffset "... +01:00";
 * binary kinds raw bytes; uniqueidentifier "6F9619FF-8B86-D011-B42D-00C04FC964FF". */
struct sql_value {
	bool null;
	const char *data;
	size_t len;
};

/* A bound parameter of sp_executesql; char kinds already converted to UTF-8. */
struct sql_param {
	char name[129]; /* with '@' */
	struct sql_column column;
	struct sql_value value;
};

/* --- what comes back, in order; every callback may be called from inside engine_execute only --- */

struct sink {
	void *arg;
	/* Each returns 0 to go on, -1 when the client is gone or sent ATTENTION: the statement is abandoned. */
	int (*columns)(void *arg, const struct sql_column *columns, int count);
	int (*row)(void *arg, const struct sql_value *values, int count);
	/* End of one statement. rows -1 = no count (SET NOCOUNT ON, DDL). more = another statement follows.
	 * command: SELECT 193, INSERT 195, DELETE 196, UPDATE 197, others 0. failed = an error was reported for it. */
	int (*done)(void *arg, int64_t rows, int command, bool more, bool failed);
	/* Severity 0..10 is an information message (PRINT, USE). */
	int (*message)(void *arg, int number, int severity, int state, int line, const char *text);
	/* Current database changed. */
	int (*database)(void *arg, const char *name);
	/* Polled at least every 100 ms while waiting or working: true = ATTENTION arrived, stop. */
	bool (*cancelled)(void *arg);
};

/* --- engine --- */

/* Opens (or creates) the SQLite file; master exists from the start with login `user`/`password` as administrator.
 * collation: server default, e.g. "Latin1_General_CI_AS". */
struct engine *engine_open(const char *file, const char *user, const char *password, const char *collation,
                           struct err *err) MUSTCHECK;
void engine_close(struct engine *engine);

/* What no statement does: "online", "restoring", "recovering", "recovery-pending", "suspect", "offline". Sessions in the database are killed.
 * -1: no such database, a system one, or no such state. */
int engine_database_state(struct engine *engine, const char *database, const char *state, struct err *err) MUSTCHECK;

/* 0 and a session in `database` ("" = the login's default), or -1 with err->number 18456 (login failed), 4060 (cannot open
 * database: unknown, single-user taken, restoring, offline). */
struct session *session_open(struct engine *engine, const char *user, const char *password, const char *database,
                             const char *application, const char *host, struct err *err) MUSTCHECK;
/* Called when an idle session is killed (KILL, ALTER DATABASE ... WITH ROLLBACK IMMEDIATE), from the killer's thread; one that runs
 * ends with error 596 by itself. Ends with session_close. */
void session_on_kill(struct session *session, void (*on_kill)(void *arg), void *arg);
/* Rolls back what is open. */
void session_close(struct session *session);
int session_id(const struct session *session);               /* @@SPID, 51.. */
const char *session_database(const struct session *session); /* current one */
const char *session_collation(const struct session *session);

/* Runs one batch. UTF-8, valid. params may be NULL. Reports everything through the sink. Returns 0, or -1 when the
 * connection must be dropped (severity >= 20, sink gone). */
int engine_execute(struct session *session, const char *sql, size_t len, const struct sql_param *params, int param_count,
                   const struct sink *sink);

/* Stored procedures called by name over RPC (sp_who, sp_getapplock...): text as EXEC would be. The TDS side turns an RPC by name into
 * "EXEC name @p=..." with params bound and calls engine_execute. */

#endif
