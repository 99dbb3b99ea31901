/* What ct-lib and the server report while a statement runs, and how it is classified afterwards.
 * ct-lib's return codes hide errors (libraries.md section 3), so the callbacks here are the only complete witness. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "common/utf8.h"
#include "worker/db/db_internal.h"

#define CLIENT_TIMEOUT 20003   /* the tick */
#define CLIENT_BAD_TOKEN 20020
#define CLIENT_CONVERSION_FIRST 2400
#define CLIENT_CONVERSION_LAST 2404
#define SEVERITY_ERROR 11      /* 0..10 inform */
#define SEVERITY_RESOURCES 17
#define SEVERITY_FATAL 20      /* the server closes the connection */

/* --- classes --- */

/* A database that cannot be used for the moment, by sys.messages: HOLD. */
static const int unavailable[] = {
	615, 911, 913,           /* not found: gone, or off line */
	921, 922, 941, 972,      /* not recovered yet, being recovered, not started, in use by something exclusive */
	923, 924,                /* restricted, single-user: somebody works on it alone */
	926, 927, 942, 945, 952, /* suspect, restoring, off line, files missing (recovery pending), in transition */
	943, 946, 948,           /* of another version: being upgraded, or restored to the wrong server */
	954, 955, 956,           /* mirror */
	976, 978, 979, 982, 983, 988, /* availability group: not readable here, role being decided, no quorum */
};

/* Everything else that is not listed: PERM below severity 17, TEMP from there on. */
static const struct {
	int number;
	enum err_class class;
} known[] = {
	/* somebody else was faster, or the moment was bad */
	{ 1203, ERR_TEMP }, { 1204, ERR_TEMP }, { 1205, ERR_TEMP }, { 1221, ERR_TEMP }, { 1222, ERR_TEMP }, { 3960, ERR_TEMP },
	{ 601, ERR_TEMP }, { 701, ERR_TEMP }, { 802, ERR_TEMP }, { 8645, ERR_TEMP }, { 8651, ERR_TEMP }, { 8628, ERR_TEMP },
	/* the connection or the server goes away, or a replica takes over */
	{ 64, ERR_TEMP }, { 121, ERR_TEMP }, { 233, ERR_TEMP }, { 596, ERR_TEMP }, { 904, ERR_TEMP }, { 4221, ERR_TEMP },
	{ 6005, ERR_TEMP }, { 6006, ERR_TEMP }, { 10053, ERR_TEMP }, { 10054, ERR_TEMP }, { 10060, ERR_TEMP },
	{ 10061, ERR_TEMP }, { 17142, ERR_TEMP }, { 17189, ERR_TEMP }, { 17809, ERR_TEMP }, { 17830, ERR_TEMP },
	{ 18401, ERR_TEMP },
	/* throttling */
	{ 10922, ERR_TEMP }, { 10928, ERR_TEMP }, { 10929, ERR_TEMP }, { 10936, ERR_TEMP }, { 40143, ERR_TEMP },
	{ 40197, ERR_TEMP }, { 40501, ERR_TEMP }, { 40540, ERR_TEMP }, { 40549, ERR_TEMP }, { 40550, ERR_TEMP },
	{ 40551, ERR_TEMP }, { 40552, ERR_TEMP }, { 40553, ERR_TEMP }, { 40613, ERR_TEMP }, { 49918, ERR_TEMP },
	{ 49919, ERR_TEMP }, { 49920, ERR_TEMP },
	/* login refused */
	{ 4060, ERR_HOLD }, { 4064, ERR_HOLD }, { 18451, ERR_HOLD }, { 18452, ERR_HOLD }, { 18456, ERR_HOLD },
	{ 18461, ERR_HOLD }, { 18470, ERR_HOLD }, { 18486, ERR_HOLD }, { 18487, ERR_HOLD }, { 18488, ERR_HOLD },
	/* database forbidden, read-only */
	{ 916, ERR_HOLD }, { 3906, ERR_HOLD }, { 40914, ERR_HOLD }, { 40615, ERR_HOLD },
	/* no room: disk, log, the 10 GB of Express */
	{ 1101, ERR_HOLD }, { 1105, ERR_HOLD }, { 1827, ERR_HOLD }, { 9002, ERR_HOLD }, { 40544, ERR_HOLD },
};

bool db_unavailable(const struct err *err)
{
	for (size_t i = 0; i < sizeof(unavailable) / sizeof(unavailable[0]); i++)
		if (unavailable[i] == err->number)
			return true;
	return false;
}

static enum err_class classify(const struct db_message *message)
{
	if (db_unavailable(&(struct err){ .number = message->number }))
		return ERR_HOLD;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].number == message->number)
			return known[i].class;
	return message->severity >= SEVERITY_RESOURCES ? ERR_TEMP : ERR_PERM;
}

/* --- callbacks --- */

static struct db *owner(CS_CONNECTION *connection)
{
	struct db *db = NULL;
	CS_INT len = 0;

	if (ct_con_props(connection, CS_GET, CS_USERDATA, &db, sizeof(db), &len) != CS_SUCCEED || len != sizeof(db))
		return NULL;
	return db;
}

static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	len = utf8_cut(text, len, size - 1);
	if (!utf8_valid(text, len)) {
		snprintf(out, size, "(unreadable text)");
		return;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	memcpy(out, text, len);
	out[len] = '\0';
}

static CS_RETCODE on_server_message(CS_CONTEXT *context, CS_CONNECTION *connection, CS_SERVERMSG *message)
{
	struct db *db = owner(connection);

	(void)context;
	if (!db || message->severity < SEVERITY_ERROR)
		return CS_SUCCEED;
	if (message->severity >= SEVERITY_FATAL)
		db->doubtful = true;
	if (db->error.number == 0 && message->msgnumber != 0) {
		db->error.number = message->msgnumber;
		db->error.severity = message->severity;
		db->error.state = message->state;
		db->error.line = message->line;
		copy_text(db->error.text, sizeof(db->error.text), message->text);
	}
	return CS_SUCCEED;
}

enum db_stop db_limit_check(struct db *db, int64_t now_ms)
{
	db->looked_ms = now_ms;
	if (db->stop != DB_STOP_NONE)
		return db->stop;
	if (!db->unlimited && db->limit.cancelled && db->limit.cancelled(db->limit.arg))
		db->stop = DB_STOP_CANCELLED;
	else if (!db->unlimited && db->limit.deadline_ms > 0 && now_ms >= db->limit.deadline_ms)
		db->stop = DB_STOP_DEADLINE;
	else if (now_ms - db->started_ms >= (int64_t)db->timeout_s * 1000)
		db->stop = DB_STOP_TIMEOUT;
	return db->stop;
}

/* Once a second while the server is silent. CS_SUCCEED: go on waiting; CS_FAIL: the connection is dead. */
static CS_RETCODE tick(struct db *db)
{
	int64_t now_ms = clock_mono_ms();

	if (db->phase == DB_PHASE_LOGIN) {
		db->stop = DB_STOP_TIMEOUT;
		return CS_FAIL;
	}
	if (db->attention_ms != 0) {
		if (now_ms - db->attention_ms < DB_CANCEL_ANSWER_MS)
			return CS_SUCCEED;
		db->doubtful = true;
		return CS_FAIL;
	}
	if (db_limit_check(db, now_ms) == DB_STOP_NONE)
		return CS_SUCCEED;
	db->attention_ms = now_ms;
	if (db->phase == DB_PHASE_SENDING || db->unbreakable || ct_cancel(NULL, db->command, CS_CANCEL_ATTN) != CS_SUCCEED) {
		db->doubtful = true;
		return CS_FAIL;
	}
	return CS_SUCCEED;
}

/* Anything ct-lib itself complains about leaves a connection nobody should trust. */
static CS_RETCODE on_client_message(CS_CONTEXT *context, CS_CONNECTION *connection, CS_CLIENTMSG *message)
{
	struct db *db = owner(connection);

	(void)context;
	if (!db)
		return CS_FAIL;
	if (message->msgnumber == CLIENT_TIMEOUT)
		return tick(db);
	db->doubtful = true;
	if (db->client.number == 0) {
		db->client.number = message->msgnumber;
		copy_text(db->client.text, sizeof(db->client.text), message->msgstring);
	}
	return CS_SUCCEED;
}

int db_error_install(struct db *db)
{
	CS_CONNECTION *c = db->connection;

	if (ct_con_props(c, CS_SET, CS_USERDATA, &db, sizeof(db), NULL) != CS_SUCCEED ||
	    ct_callback(NULL, c, CS_SET, CS_SERVERMSG_CB, (CS_VOID *)on_server_message) != CS_SUCCEED ||
	    ct_callback(NULL, c, CS_SET, CS_CLIENTMSG_CB, (CS_VOID *)on_client_message) != CS_SUCCEED)
		return -1;
	return 0;
}

void db_error_reset(struct db *db)
{
	db->stop = DB_STOP_NONE;
	db->attention_ms = 0;
	db->complete = false;
	db->error.number = 0;
	db->client.number = 0;
	db->affected = -1;
}

/* --- afterwards --- */

static int fill_stop(const struct db *db, const char *label, struct err *err)
{
	switch (db->stop) {
	case DB_STOP_CANCELLED:
		return err_set(err, ERR_CANCELLED, "SQL_CANCELLED", "%s: cancelled", label);
	case DB_STOP_DEADLINE:
		return err_set(err, ERR_CANCELLED, "SQL_DEADLINE", "%s: the deadline passed", label);
	case DB_STOP_TIMEOUT:
		return err_set(err, ERR_TEMP, "SQL_TIMEOUT", "%s: no end after %d s", label, db->timeout_s);
	case DB_STOP_ROW: /* said already */
	case DB_STOP_NONE:
		break;
	}
	return -1;
}

static int fill_server(const struct db_message *m, const char *label, struct err *err)
{
	char code[ERR_CODE_MAX];

	snprintf(code, sizeof(code), "SQL_%d", m->number);
	return err_set_number(err, classify(m), code, m->number, "%s: %s (error %d, severity %d, state %d, line %d)", label,
	                      m->text, m->number, m->severity, m->state, m->line);
}

static int fill_client(const struct db_message *m, const char *label, struct err *err)
{
	if (m->number >= CLIENT_CONVERSION_FIRST && m->number <= CLIENT_CONVERSION_LAST)
		return err_set_number(err, ERR_PERM, "SQL_TEXT", m->number, "%s: text that cannot be converted: %s", label,
		                      m->text);
	if (m->number == CLIENT_BAD_TOKEN)
		return err_set_number(err, ERR_TEMP, "SQL_PROTOCOL", m->number, "%s: the answer is no TDS: %s", label, m->text);
	return err_set_number(err, ERR_TEMP, "SQL_CONNECTION", m->number, "%s: %s", label,
	                      m->number != 0 ? m->text : "the connection was cut");
}

int db_error_fill(struct db *db, struct err *err)
{
	char label[DB_LABEL_MAX];

	db_text_label(db->statement, label);
	if (db->stop == DB_STOP_ROW)
		return -1;
	if (db->stop == DB_STOP_CANCELLED || db->stop == DB_STOP_DEADLINE)
		return fill_stop(db, label, err);
	if (db->error.number != 0)
		return fill_server(&db->error, label, err);
	if (db->stop != DB_STOP_NONE)
		return fill_stop(db, label, err);
	return fill_client(&db->client, label, err);
}
