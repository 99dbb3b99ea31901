/* One connection over ct-lib: open, statements to their very end, transactions, close.
 * Classification is in db_error.c, parameters in db_param.c, rows in db_row.c, the connection file in db_conf.c. */
#include "worker/db/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "common/clock.h"
#include "worker/db/db_internal.h"

#define PING_TIMEOUT_S 5
#define CLIENT_LOGIN_FAILED 20002

/* --- a statement under way --- */

/* Throws away what is left of it. Bounded by the tick: an unanswered ATTENTION kills the connection. A cancelled command
 * refuses its next ct_send, so a fresh one takes its place. */
static void drain(struct db *db)
{
	CS_INT status = 0;

	if (db->attention_ms == 0)
		db->attention_ms = clock_mono_ms();
	if (ct_cancel(NULL, db->command, CS_CANCEL_ALL) != CS_SUCCEED)
		db->doubtful = true;
	if (ct_con_props(db->connection, CS_GET, CS_CON_STATUS, &status, CS_UNUSED, NULL) != CS_SUCCEED ||
	    (status & CS_CONSTAT_DEAD) != 0)
		db->doubtful = true;
	ct_cmd_drop(db->command);
	db->command = NULL;
	if (ct_cmd_alloc(db->connection, &db->command) != CS_SUCCEED)
		db->doubtful = true;
}

/* A count, or the rest of one that is not rows. */
static void take_count(struct db *db)
{
	CS_INT rows = CS_NO_COUNT;

	if (ct_res_info(db->command, CS_ROW_COUNT, &rows, CS_UNUSED, NULL) == CS_SUCCEED && rows != CS_NO_COUNT)
		db->affected = rows;
}

static int skip_result(struct db *db)
{
	CS_INT got;
	CS_RETCODE rc;

	while ((rc = ct_fetch(db->command, CS_UNUSED, CS_UNUSED, CS_UNUSED, &got)) == CS_SUCCEED || rc == CS_ROW_FAIL)
		;
	return rc == CS_END_DATA || rc == CS_CANCELED ? 0 : -1;
}

/* -1: the statement is to be ended from our side. */
static int take_result(struct db *db, CS_INT type, bool *refused, struct err *err)
{
	switch (type) {
	case CS_ROW_RESULT:
		return db_row_deliver(db, err);
	case CS_STATUS_RESULT:
	case CS_PARAM_RESULT:
	case CS_COMPUTE_RESULT:
	case CS_CURSOR_RESULT:
		return skip_result(db);
	case CS_CMD_FAIL:
		*refused = true;
		return 0;
	case CS_CMD_DONE:
	case CS_CMD_SUCCEED:
		take_count(db);
		return 0;
	default: /* ct-lib's numbers, not ours: formats and messages without rows */
		return 0;
	}
}

static int read_results(struct db *db, struct err *err)
{
	bool refused = false;
	CS_RETCODE rc;
	CS_INT type;

	while ((rc = ct_results(db->command, &type)) == CS_SUCCEED)
		if (take_result(db, type, &refused, err) != 0)
			break;
	db->complete = rc == CS_END_RESULTS;
	if (rc == CS_FAIL || (!db->complete && db->stop == DB_STOP_NONE) || (refused && db->error.number == 0))
		db->doubtful = true;
	if (db->complete && db->stop == DB_STOP_NONE && db->error.number == 0 && !db->doubtful)
		return 0;
	if (!db->complete || db->stop != DB_STOP_NONE)
		drain(db);
	return db_error_fill(db, err);
}

static int usable(struct db *db, struct err *err)
{
	char label[DB_LABEL_MAX];

	db_text_label(db->statement, label);
	if (db->doubtful)
		return err_set(err, ERR_TEMP, "SQL_CONNECTION", "%s: the connection is in doubt since an earlier failure", label);
	if (db->in_transaction && db->failed && !db->unlimited)
		return err_set(err, ERR_PERM, "SQL_TRANSACTION", "%s: the transaction failed before and can only be rolled back",
		               label);
	if (db_limit_check(db, db->started_ms) != DB_STOP_NONE)
		return db_error_fill(db, err);
	return 0;
}

static int run(struct db *db, const struct db_statement *statement, struct err *err)
{
	int rc = -1;

	db_error_reset(db);
	db->statement = statement;
	db->started_ms = clock_mono_ms();
	db->row.set = 0;
	if (usable(db, err) == 0 && db_param_send(db, statement, err) == 0)
		rc = read_results(db, err);
	db->phase = DB_PHASE_IDLE;
	db->statement = NULL;
	if (rc != 0) {
		db->failed = true;
		db->may_have_open = true;
	}
	return rc;
}

int db_query(struct db *db, const struct db_statement *statement, int64_t *affected, struct err *err)
{
	int rc;

	db->unlimited = false;
	db->unbreakable = false;
	db->timeout_s = db->statement_timeout_s;
	if (strcasestr(statement->sql, "tran"))
		db->may_have_open = true;
	rc = run(db, statement, err);
	if (affected)
		*affected = rc == 0 ? db->affected : -1;
	return rc;
}

int db_execute(struct db *db, const char *label, const char *sql, int64_t *affected, struct err *err)
{
	return db_query(db, &(struct db_statement){ .label = label, .sql = sql }, affected, err);
}

/* Our own small statements, which a cancelled job must still be able to send. */
static int run_own(struct db *db, const struct db_statement *statement, int timeout_s, struct err *err)
{
	db->unlimited = true;
	db->unbreakable = false;
	db->timeout_s = timeout_s < db->statement_timeout_s ? timeout_s : db->statement_timeout_s;
	return run(db, statement, err);
}

struct one_value {
	int64_t value;
	int rows;
};

static int take_value(void *arg, const struct db_row *row, struct err *err)
{
	struct one_value *one = arg;

	if (++one->rows > 1)
		return err_set(err, ERR_PERM, "SQL_ROW", "more than one row");
	return db_row_int64(row, 0, &one->value, err);
}

int db_query_int64(struct db *db, const struct db_statement *statement, int64_t *value, struct err *err)
{
	struct one_value one = { 0 };
	struct db_statement copy = *statement;
	char label[DB_LABEL_MAX];

	copy.row = take_value;
	copy.arg = &one;
	if (db_query(db, &copy, NULL, err) != 0)
		return -1;
	if (one.rows == 0)
		return err_set(err, ERR_PERM, "SQL_ROW", "%s: no row", db_text_label(statement, label));
	*value = one.value;
	return 0;
}

/* --- open and close --- */

static void session_sql(const struct db_config *config, struct buf *sql)
{
	buf_add_text(sql,
	             "SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; "
	             "SET CONCAT_NULL_YIELDS_NULL ON; SET ARITHABORT ON; SET NUMERIC_ROUNDABORT OFF; SET XACT_ABORT ON; "
	             "SET IMPLICIT_TRANSACTIONS OFF; SET NOCOUNT OFF; SET LANGUAGE us_english; "
	             "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET TEXTSIZE 2147483647; ");
	buf_addf(sql, "SET LOCK_TIMEOUT %d; SELECT CAST(@@SPID AS bigint)", config->lock_timeout_ms);
}

static int start_session(struct db *db, const struct db_config *config, struct err *err)
{
	struct one_value spid = { 0 };
	struct db_statement statement = { .label = "session", .row = take_value, .arg = &spid };
	struct buf name, sql, use;
	int rc = -1;

	buf_init(&name, 1024);
	buf_init(&use, 2048);
	buf_init(&sql, 4096);
	if (db_quote_name(&name, config->database, err) != 0)
		goto out;
	buf_addf(&use, "USE %s", buf_text(&name));
	session_sql(config, &sql);
	if (buf_check(&use, "USE", err) != 0 || buf_check(&sql, "session", err) != 0)
		goto out;
	statement.sql = buf_text(&use); /* a batch of its own: it ends at a database that cannot be entered */
	if (run_own(db, &statement, config->login_timeout_s, err) != 0)
		goto out;
	statement.sql = buf_text(&sql);
	if (run_own(db, &statement, config->login_timeout_s, err) != 0)
		goto out;
	db->spid = (int)spid.value;
	db->may_have_open = false;
	rc = 0;
out:
	buf_release(&name);
	buf_release(&use);
	buf_release(&sql);
	return rc;
}

static int set_text(struct db *db, CS_INT property, const char *text)
{
	union {
		const char *in;
		CS_VOID *out;
	} value = { .in = text };

	return ct_con_props(db->connection, CS_SET, property, value.out, CS_NULLTERM, NULL) == CS_SUCCEED ? 0 : -1;
}

static int allocate(struct db *db, const struct db_config *config)
{
	const char *application = config->application ? config->application : "temu-workers";
	CS_INT login_s = config->login_timeout_s, tick_s = 1;

	if (cs_ctx_alloc(CS_VERSION_100, &db->context) != CS_SUCCEED)
		return -1;
	if (ct_init(db->context, CS_VERSION_100) != CS_SUCCEED || ct_con_alloc(db->context, &db->connection) != CS_SUCCEED ||
	    db_error_install(db) != 0 || set_text(db, CS_USERNAME, config->user) != 0 ||
	    set_text(db, CS_PASSWORD, secret_bytes(config->password)) != 0 || set_text(db, CS_APPNAME, application) != 0 ||
	    set_text(db, CS_DATABASE, config->database) != 0 ||
	    ct_con_props(db->connection, CS_SET, CS_LOGIN_TIMEOUT, &login_s, CS_UNUSED, NULL) != CS_SUCCEED ||
	    ct_con_props(db->connection, CS_SET, CS_TIMEOUT, &tick_s, CS_UNUSED, NULL) != CS_SUCCEED)
		return -1;
	return 0;
}

static int check_config(const struct db_config *config, struct err *err)
{
	const char *file;
	struct buf name;
	int rc;

	buf_init(&name, 1024);
	rc = db_quote_name(&name, config->database, err);
	buf_release(&name);
	if (rc != 0 || db_text_check("user", config->user, strlen(config->user), 400, err) != 0 ||
	    db_text_check("password", secret_bytes(config->password), secret_len(config->password), 400, err) != 0)
		return -1;
	file = getenv("FREETDSCONF");
	if (!file || access(file, R_OK) != 0) /* FreeTDS would take the section for a host name */
		return err_set(err, ERR_PERM, "SQL_CONFIG", "%s", file ? "the connection file is gone" : "db_setup was not called");
	return 0;
}

/* ct-lib is terse here: nothing for a name it cannot resolve, one text for everything about TLS. */
static void explain(struct db *db, const struct db_config *config)
{
	bool tls = config->encryption != DB_ENCRYPTION_OFF;

	if (db->error.number != 0 || db->stop != DB_STOP_NONE)
		return;
	if (db->client.number == 0)
		snprintf(db->client.text, sizeof(db->client.text), "the host name is not known, or the instance not found");
	else if (tls && db->client.number == CLIENT_LOGIN_FAILED)
		snprintf(db->client.text, sizeof(db->client.text),
		         "connected, but no login came about; with encryption on also: no TLS, certificate or host name not "
		         "accepted");
	if (db->client.number == 0)
		db->client.number = CLIENT_LOGIN_FAILED;
}

static int log_in(struct db *db, const struct db_config *config, struct err *err)
{
	char section[] = DB_SECTION;
	struct db_statement login = { .label = "login", .sql = "" };

	db_error_reset(db);
	db->phase = DB_PHASE_LOGIN;
	db->statement = &login;
	db->timeout_s = config->login_timeout_s;
	if (ct_connect(db->connection, section, CS_NULLTERM) != CS_SUCCEED) {
		db->doubtful = true;
		explain(db, config);
		db_error_fill(db, err);
		err_context(err, "%s", config->server);
	}
	db->phase = DB_PHASE_IDLE;
	db->statement = NULL;
	return db->doubtful ? -1 : 0;
}

struct db *db_open(const struct db_config *config, struct err *err)
{
	struct db *db;

	if (check_config(config, err) != 0)
		return NULL;
	db = calloc(1, sizeof(*db));
	if (!db || allocate(db, config) != 0) {
		err_set(err, ERR_TEMP, "SQL_MEMORY", "ct-lib cannot be set up");
		goto failed;
	}
	db->statement_timeout_s = config->statement_timeout_s;
	if (log_in(db, config, err) != 0)
		goto failed;
	if (ct_cmd_alloc(db->connection, &db->command) != CS_SUCCEED) {
		err_set(err, ERR_TEMP, "SQL_MEMORY", "ct-lib cannot be set up");
		goto failed;
	}
	if (start_session(db, config, err) != 0)
		goto failed;
	return db;
failed:
	db_close(db);
	db_refusal_explain(config, err);
	return NULL;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	if (db->command)
		ct_cmd_drop(db->command);
	if (db->connection) {
		ct_close(db->connection, CS_FORCE_CLOSE);
		ct_con_drop(db->connection);
	}
	if (db->context) {
		ct_exit(db->context, CS_FORCE_EXIT);
		cs_ctx_drop(db->context);
	}
	db_row_release(&db->row);
	free(db);
}

/* --- transactions --- */

void db_limit_set(struct db *db, const struct db_limit *limit)
{
	db->limit = limit ? *limit : (struct db_limit){ 0 };
}

static int begin(struct db *db, const struct db_statement *statement, struct err *err)
{
	if (db->in_transaction)
		return err_set(err, ERR_PERM, "SQL_TRANSACTION", "begin: a transaction is open already");
	if (db_query(db, statement, NULL, err) != 0)
		return -1;
	db->in_transaction = true;
	db->failed = false;
	return 0;
}

int db_begin(struct db *db, struct err *err)
{
	return begin(db, &(struct db_statement){ .label = "begin", .sql = "BEGIN TRANSACTION" }, err);
}

struct fencing {
	const struct db_fence *fence;
	bool judged;
	int verdict;
	struct err *err;
};

static int take_fence(void *arg, const struct db_row *row, struct err *err)
{
	struct fencing *f = arg;

	(void)err;
	if (!f->judged)
		f->verdict = f->fence->judge(f->fence->arg, row, f->err); /* the batch goes on to its end, so that it can be rolled back */
	f->judged = true;
	return 0;
}

static int begin_fenced(struct db *db, const struct db_fence *fence, struct err *err)
{
	struct fencing f = { .fence = fence, .err = err };
	struct db_statement statement = { .label = "begin", .row = take_fence, .arg = &f };
	struct buf sql;
	int rc;

	buf_init(&sql, 1 << 16);
	buf_add_text(&sql, "BEGIN TRANSACTION\n");
	fence->add(fence->arg, &sql);
	statement.sql = buf_text(&sql);
	rc = buf_check(&sql, "begin", err) == 0 ? begin(db, &statement, err) : -1;
	buf_release(&sql);
	if (rc != 0)
		return -1;
	return f.judged ? f.verdict : fence->judge(fence->arg, NULL, err);
}

static int commit_refused(struct db *db, struct err *err)
{
	if (!db->in_transaction)
		return err_set(err, ERR_PERM, "SQL_TRANSACTION", "commit: no transaction is open");
	if (db->failed)
		return err_set(err, ERR_PERM, "SQL_TRANSACTION", "commit: a statement of the transaction failed");
	db_error_reset(db);
	db->unlimited = false;
	db->started_ms = clock_mono_ms();
	if (db_limit_check(db, db->started_ms) == DB_STOP_NONE)
		return 0;
	db->failed = true;
	db->statement = &(struct db_statement){ .label = "commit" };
	db_error_fill(db, err);
	db->statement = NULL;
	return -1;
}

int db_commit(struct db *db, struct err *err)
{
	const struct db_statement statement = { .label = "commit", .sql = "COMMIT TRANSACTION" };

	if (commit_refused(db, err) != 0)
		return -1;
	db->unlimited = true;
	db->unbreakable = true;
	db->timeout_s = db->statement_timeout_s;
	if (run(db, &statement, err) == 0) {
		db->in_transaction = false;
		db->may_have_open = false;
		return 0;
	}
	if (db->doubtful) {
		char why[ERR_TEXT_MAX];

		db->in_transaction = false;
		snprintf(why, sizeof(why), "%s", err ? err->text : "");
		return err_set_number(err, ERR_TEMP, "SQL_COMMIT_UNKNOWN", err ? err->number : 0,
		                      "whether the transaction was committed is unknown: %s", why);
	}
	return -1;
}

int db_rollback(struct db *db, struct err *err)
{
	const struct db_statement statement = { .label = "rollback", .sql = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION" };

	if (!db->in_transaction && !db->may_have_open)
		return 0;
	if (run_own(db, &statement, db->statement_timeout_s, err) != 0) {
		db->doubtful = true;
		return -1;
	}
	db->in_transaction = false;
	db->failed = false;
	db->may_have_open = false;
	return 0;
}

int db_transaction(struct db *db, const struct db_fence *fence, db_work_fn *work, void *arg, struct err *err)
{
	struct err ignored = ERR_INIT;

	if (!fence && db_begin(db, err) != 0)
		return -1;
	if ((!fence || begin_fenced(db, fence, err) == 0) && work(db, arg, err) == 0 && db_commit(db, err) == 0)
		return 0;
	db_rollback(db, &ignored); /* when this fails too the connection is in doubt, and its end rolls back */
	return -1;
}

/* --- state --- */

static int tran_count(struct db *db, int64_t *count, struct err *err)
{
	struct one_value one = { 0 };
	const struct db_statement statement = {
		.label = "ping", .sql = "SELECT CAST(@@TRANCOUNT AS bigint)", .row = take_value, .arg = &one
	};

	if (run_own(db, &statement, PING_TIMEOUT_S, err) != 0 || one.rows != 1) {
		db->doubtful = true;
		return -1;
	}
	*count = one.value;
	return 0;
}

bool db_doubtful(const struct db *db)
{
	return db->doubtful;
}

bool db_in_transaction(struct db *db)
{
	struct err err = ERR_INIT;
	int64_t count;

	if (db->in_transaction)
		return true;
	if (!db->may_have_open && !db->doubtful)
		return false;
	if (db->doubtful || tran_count(db, &count, &err) != 0 || count > 0)
		return true;
	db->may_have_open = false;
	return false;
}

int db_ping(struct db *db, struct err *err)
{
	int64_t count;

	return tran_count(db, &count, err);
}

int db_spid(const struct db *db)
{
	return db->spid;
}
