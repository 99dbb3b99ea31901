/* db_internal: what the db*.c files share. Nobody else includes it; ct-lib's types end here. */
#ifndef WORKER_DB_DB_INTERNAL_H
#define WORKER_DB_DB_INTERNAL_H

#include <ctpublic.h>
#include "worker/db/db.h"

#define DB_SECTION "temu-sql"          /* of the connection file */
#define DB_CANCEL_ANSWER_MS 5000       /* an ATTENTION not answered by then: the connection is thrown away */
#define DB_LIMIT_EVERY_MS 100          /* between rows */
#define DB_VALUE_MAX (64 << 20)        /* one value, bytes */
#define DB_STATEMENT_MAX (16 << 20)

enum db_phase {
	DB_PHASE_IDLE,
	DB_PHASE_LOGIN,
	DB_PHASE_SENDING, /* no ATTENTION possible: it would land inside a half-sent request */
	DB_PHASE_READING,
};

/* Why we ended a statement ourselves. */
enum db_stop {
	DB_STOP_NONE,
	DB_STOP_CANCELLED,
	DB_STOP_DEADLINE,
	DB_STOP_TIMEOUT,
	DB_STOP_ROW, /* the row function or an accessor said so; err is filled */
};

struct db_message {
	int number, severity, state, line;
	char text[400];
};

struct db_column {
	char name[129];
	bool text;     /* a char kind: a cut value can be read again in full */
	bool null;
	const char *data; /* of this row */
	size_t len;
	char *bound;   /* what ct-lib fills */
	size_t bound_size;
	CS_INT copied;
	CS_SMALLINT indicator;
	struct buf large;
};

struct db_row {
	int set, count, room;
	struct db_column *columns;
};

struct db {
	CS_CONTEXT *context;
	CS_CONNECTION *connection;
	CS_COMMAND *command;
	int statement_timeout_s, spid;
	struct db_limit limit;
	bool doubtful;
	bool in_transaction;   /* by db_begin */
	bool failed;           /* a statement of it did: it may only be rolled back */
	bool may_have_open;    /* something happened that may have left a transaction open */

	/* of the statement under way */
	enum db_phase phase;
	enum db_stop stop;
	bool unlimited;        /* looks at its own time-out only: COMMIT, ROLLBACK, ping */
	bool unbreakable;      /* COMMIT: at the time-out the connection goes, no ATTENTION */
	int timeout_s;
	const struct db_statement *statement;
	int64_t started_ms, looked_ms, attention_ms; /* clock_mono_ms; attention_ms 0 = none sent */
	bool complete;         /* CS_END_RESULTS was seen */
	struct db_message error;  /* the first of severity > 10; number 0 = none */
	struct db_message client; /* the first of ct-lib's own other than the tick */
	int64_t affected;
	struct db_row row;
};

/* --- db_error.c --- */
int db_error_install(struct db *db);
void db_error_reset(struct db *db);
/* Fills err from what the statement under way left behind; returns -1. */
int db_error_fill(struct db *db, struct err *err);
/* The limit as it is now: sets db->stop when reached. */
enum db_stop db_limit_check(struct db *db, int64_t now_ms);

/* --- db_refusal.c --- */
/* After a refused database (4060) says what state it is in, when a login to master can tell: one more login. */
void db_refusal_explain(const struct db_config *config, struct err *err);

/* --- db_param.c --- */
int db_param_send(struct db *db, const struct db_statement *statement, struct err *err);

/* --- db_row.c --- */
/* Delivers the result set under way. 0 at its (provisional) end, -1 when the statement is to be ended (db->stop set) or
 * ct-lib failed. */
int db_row_deliver(struct db *db, struct err *err);
void db_row_release(struct db_row *row);

/* --- db_text.c --- */
int db_text_check(const char *what, const char *text, size_t len, size_t max, struct err *err);
bool db_text_ascii(const char *text, size_t len);
/* What to call a statement in an error: label, a leading "-- comment", or its first words. Into out[60]; returns out. */
#define DB_LABEL_MAX 60
const char *db_text_label(const struct db_statement *statement, char *out);

#endif
