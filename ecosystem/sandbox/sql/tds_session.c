/* The states of a connection (PRELOGIN, LOGIN7, requests) and the faults ordered for a statement. Procedure calls are
 * unpacked in tds_call.c, tokens written in tds_reply.c. */
#include "ecosystem/sandbox/sql/tds_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "common/log.h"
#include "ecosystem/sandbox/sql/tds_session_internal.h"

#define LOGIN_TIMEOUT_MS 30000
#define DELAY_SLICE_MS 20
#define FOR_EVER_MS (INT64_C(1) << 40)

static void count(struct tds_session *s, struct tds_counters add)
{
	tds_faults_count(s->shared->faults, &add);
}

/* --- faults around a statement --- */

static int quiet_columns(void *arg, const struct sql_column *columns, int n)
{
	(void)arg;
	(void)columns;
	(void)n;
	return 0;
}

static int quiet_row(void *arg, const struct sql_value *values, int n)
{
	(void)arg;
	(void)values;
	(void)n;
	return 0;
}

static int quiet_done(void *arg, int64_t rows, int command, bool more, bool failed)
{
	(void)arg;
	(void)rows;
	(void)command;
	(void)more;
	(void)failed;
	return 0;
}

static int quiet_message(void *arg, int number, int severity, int state, int line, const char *text)
{
	(void)arg;
	(void)number;
	(void)severity;
	(void)state;
	(void)line;
	(void)text;
	return 0;
}

static int quiet_database(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return 0;
}

static bool quiet_cancelled(void *arg)
{
	(void)arg;
	return false;
}

/* As the victim of a deadlock: the transaction is gone, the session stays. */
static void roll_back(struct tds_session *s)
{
	static const char sql[] = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
	struct sink sink = {
		.columns = quiet_columns,
		.row = quiet_row,
		.done = quiet_done,
		.message = quiet_message,
		.database = quiet_database,
		.cancelled = quiet_cancelled,
	};

	if (engine_execute(s->session, sql, sizeof(sql) - 1, NULL, 0, &sink) != 0)
		s->end = TDS_END_CLOSE;
}

static void fault_error(struct tds_session *s, struct tds_reply *reply, const struct tds_fault *fault)
{
	char text[TDS_FAULT_TEXT];

	if (fault->number[0] == 1205)
		roll_back(s);
	tds_reply_message(reply, (int)fault->number[0], (int)fault->number[1], 1, 1,
	                  tds_fault_error_text(fault->number[0], session_id(s->session), text));
}

static void hang(struct tds_session *s, const struct tds_fault *fault)
{
	while (tds_packet_wait(s->packet, FOR_EVER_MS) && !s->packet->gone) {
		if (fault->attention)
			return;
		s->packet->attention = false; /* heard and not answered */
	}
}

/* True when the client gave up. */
static bool delayed(struct tds_session *s, int64_t ms)
{
	int64_t clears = tds_faults_clears(s->shared->faults);

	for (; ms > 0 && tds_faults_clears(s->shared->faults) == clears; ms -= DELAY_SLICE_MS)
		if (tds_packet_wait(s->packet, ms < DELAY_SLICE_MS ? ms : DELAY_SLICE_MS))
			return true;
	return false;
}

/* True when the statement is to be executed. */
static bool fault_before(struct tds_session *s, struct tds_reply *reply, const struct tds_fault *fault)
{
	switch (fault->kind) {
	case TDS_FAULT_REFUSE_LOGIN:
	case TDS_FAULT_SILENT_LOGIN:
		return true;
	case TDS_FAULT_CUT_BEFORE:
		reply->end = TDS_END_RESET;
		return false;
	case TDS_FAULT_CUT_AFTER:
		reply->mute = true;
		return true;
	case TDS_FAULT_CUT_ROWS:
	case TDS_FAULT_CUT_CLEAN_ROWS:
		reply->fault = fault;
		return true;
	case TDS_FAULT_ERROR:
		if (fault->after_rows >= 0) {
			reply->fault = fault;
			return true;
		}
		fault_error(s, reply, fault);
		return false;
	case TDS_FAULT_DELAY:
		return !delayed(s, fault->number[0]);
	case TDS_FAULT_HANG:
		hang(s, fault);
		return false;
	case TDS_FAULT_GARBAGE:
		tds_reply_garbage(reply);
		reply->mute = true;
		return false;
	case TDS_FAULT_BAD_METADATA:
		tds_reply_bad_metadata(reply);
		reply->mute = true;
		return false;
	case TDS_FAULT_SEVERE:
		tds_reply_message(reply, 823, 21, 1, 1, "The operating system returned an error to SQL Server during a read.");
		return false;
	}
	return true;
}

void tds_session_execute(struct tds_session *s, struct tds_reply *reply, const char *sql, size_t len,
                         const struct sql_param *params, int param_count)
{
	struct sink sink = tds_reply_sink(reply);
	struct tds_fault fault;
	bool faulty = tds_faults_statement(s->shared->faults, sql, &fault);

	if (faulty && !fault_before(s, reply, &fault))
		return;
	if (engine_execute(s->session, sql, len, params, param_count, &sink) != 0 && !tds_reply_stopped(reply))
		reply->end = TDS_END_CLOSE;
	if (faulty && reply->fired && fault.kind == TDS_FAULT_ERROR && fault.number[0] == 1205)
		roll_back(s);
	if (faulty && fault.kind == TDS_FAULT_CUT_AFTER)
		reply->end = TDS_END_RESET;
	reply->fault = NULL;
}

/* --- requests --- */

/* The thread that reads finds the end of the stream. */
static void hang_up(void *arg)
{
	const struct tds_packet *packet = arg;

	shutdown(packet->fd, SHUT_RDWR);
}

static int open_session(struct tds_session *s, struct err *err)
{
	const struct tds_login *l = &s->login;

	s->session = session_open(s->shared->engine, l->user, l->password, l->database, l->application, l->host, err);
	if (!s->session)
		return -1;
	session_on_kill(s->session, hang_up, s->packet);
	s->packet->spid = (uint16_t)session_id(s->session);
	tds_collation_init(&s->collation, session_collation(s->session));
	return 0;
}

/* The pool of a client hands the connection to somebody else: everything of the session is forgotten. */
static int reset_session(struct tds_session *s)
{
	struct err err = ERR_INIT;

	tds_call_forget(s);
	session_close(s->session);
	s->session = NULL;
	return open_session(s, &err);
}

static void batch(struct tds_session *s, const struct tds_message *message, bool reset)
{
	struct err err = ERR_INIT;
	struct tds_reply reply;
	struct tds_reader r;
	struct buf sql;

	buf_init(&sql, TDS_MESSAGE_MAX);
	tds_reader_init(&r, message->body.data, message->body.len);
	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, false);
	if (reset)
		tds_reply_reset_done(&reply);
	if (tds_skip_headers(&r, &err) != 0 || tds_reader_left(&r) % 2 != 0) {
		tds_reply_message(&reply, 4002, 20, 1, 1,
		                  "The incoming tabular data stream (TDS) protocol stream is incorrect.");
	} else {
		tds_get_utf16(&r, tds_reader_left(&r) / 2, &sql);
		tds_session_execute(s, &reply, buf_text(&sql), sql.len, NULL, 0);
	}
	if (reply.end == TDS_END_KEEP || reply.last_error != 0)
		tds_reply_end_batch(&reply);
	s->end = reply.end > s->end ? reply.end : s->end;
	count(s, (struct tds_counters){ .batches = 1, .statements = reply.statements });
	tds_reply_release(&reply);
	buf_release(&sql);
}

static void refuse_request(struct tds_session *s, const char *text)
{
	struct tds_reply reply;

	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, false);
	tds_reply_message(&reply, 4002, 16, 1, 1, text);
	tds_reply_end_batch(&reply);
	tds_reply_release(&reply);
}

/* An ATTENTION that came when everything had been answered already. */
static void acknowledge(struct tds_session *s)
{
	struct tds_reply reply;

	s->packet->attention = true;
	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, false);
	tds_reply_end_batch(&reply);
	tds_reply_release(&reply);
}

static void request(struct tds_session *s, const struct tds_message *message)
{
	bool reset = (message->status & (TDS_STATUS_RESET | TDS_STATUS_RESET_KEEP)) != 0;

	if (message->type == TDS_ATTENTION) {
		acknowledge(s);
		return;
	}
	if (reset && reset_session(s) != 0) {
		s->end = TDS_END_CLOSE;
		return;
	}
	if (message->type == TDS_SQL_BATCH)
		batch(s, message, reset);
	else if (message->type == TDS_RPC)
		tds_call(s, message, reset);
	else if (message->type == TDS_BULK || message->type == TDS_TRANSACTION)
		refuse_request(s, "Bulk load and transaction manager requests are not served; use T-SQL.");
	else
		s->end = TDS_END_CLOSE;
	if (s->packet->attention && s->end == TDS_END_KEEP && !s->packet->gone)
		acknowledge(s);
}

/* --- login --- */

static int start_tls(struct tds_session *s, enum tds_encryption answer, struct err *err)
{
	if (answer == TDS_ENCRYPT_NOT_SUP)
		return 0;
	if (s->packet->in_len != s->packet->in_at)
		return err_set(err, ERR_PERM, "TDS", "bytes in front of the TLS handshake");
	s->packet->tls = tds_tls_accept(s->shared->tls, s->packet->fd, LOGIN_TIMEOUT_MS, err);
	return s->packet->tls ? 0 : -1;
}

static int prelogin(struct tds_session *s, const struct tds_message *message, enum tds_encryption *answer,
                    struct err *err)
{
	enum tds_encryption client;
	struct buf out;
	int agreed;

	if (tds_prelogin_decode(message->body.data, message->body.len, &client, err) != 0)
		return -1;
	agreed = tds_prelogin_agree(client, s->shared->tls != NULL, s->shared->require_encryption, answer);
	buf_init(&out, 128);
	tds_prelogin_encode(&out, *answer);
	tds_packet_begin(s->packet, TDS_REPLY);
	tds_packet_write(s->packet, buf_text(&out), out.len);
	tds_packet_end(s->packet);
	buf_release(&out);
	if (agreed != 0)
		return err_set(err, ERR_PERM, "TLS", "client and server do not agree on encryption");
	return start_tls(s, *answer, err);
}

static void refuse_login(struct tds_session *s, int number, int severity, const char *text)
{
	struct tds_reply reply;

	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, false);
	tds_reply_login_failed(&reply, number, severity, text);
	tds_reply_release(&reply);
}

static int log_in(struct tds_session *s)
{
	struct err err = ERR_INIT;
	struct tds_fault fault;
	struct tds_reply reply;
	size_t size = s->login.packet_size;
	char text[700];

	if (tds_faults_login(s->shared->faults, s->login.user, &fault)) {
		fault.attention = false;
		if (fault.kind == TDS_FAULT_SILENT_LOGIN) {
			hang(s, &fault);
			return -1;
		}
		snprintf(text, sizeof(text), "Login failed for user '%s'.", s->login.user);
		refuse_login(s, 18456, 14, text);
		return -1;
	}
	if (s->login.integrated) {
		refuse_login(s, 18452, 14,
		             "Login failed. The login is from an untrusted domain and cannot be used with Integrated "
		             "authentication.");
		return -1;
	}
	if (open_session(s, &err) != 0) {
		refuse_login(s, err.number > 0 ? (int)err.number : 18456, err.number == 4060 ? 11 : 14, err.text);
		return -1;
	}
	if (size == 0)
		size = TDS_PACKET_DEFAULT;
	size = size < TDS_PACKET_MIN ? TDS_PACKET_MIN : size > TDS_PACKET_MAX ? TDS_PACKET_MAX : size;
	tds_reply_begin(&reply, s->packet, &s->collation, &s->shared->stop, false);
	tds_reply_login(&reply, session_database(s->session), size);
	tds_reply_release(&reply);
	return 0;
}

static int handshake(struct tds_session *s, struct tds_message *message, struct err *err)
{
	enum tds_encryption answer = TDS_ENCRYPT_NOT_SUP;
	int rc;

	if (tds_packet_recv(s->packet, message, LOGIN_TIMEOUT_MS, err) != 0)
		return -1;
	if (message->type == TDS_PRELOGIN) {
		if (prelogin(s, message, &answer, err) != 0 || tds_packet_recv(s->packet, message, LOGIN_TIMEOUT_MS, err) != 0)
			return -1;
	} else if (s->shared->require_encryption) {
		return err_set(err, ERR_PERM, "TLS", "the client does not encrypt");
	}
	if (message->type != TDS_LOGIN7)
		return err_set(err, ERR_PERM, "TDS", "expected LOGIN7, got message type %u", message->type);
	if (answer == TDS_ENCRYPT_OFF) { /* that protected the password, all the rest is plain */
		tds_tls_free(s->packet->tls);
		s->packet->tls = NULL;
	}
	rc = tds_login_decode(&s->login, message->body.data, message->body.len, err);
	if (message->body.data)
		explicit_bzero(message->body.data, message->body.len);
	return rc;
}

static void serve(struct tds_session *s, struct tds_message *message)
{
	struct err err = ERR_INIT;

	while (s->end == TDS_END_KEEP && !s->packet->gone && !atomic_load(&s->shared->stop)) {
		if (tds_packet_recv(s->packet, message, -1, &err) != 0)
			break;
		request(s, message);
	}
	if (err.class == ERR_PERM)
		log_warning("session %d: %s", session_id(s->session), err.text);
}

bool tds_session_run(struct tds_shared *shared, struct tds_packet *packet)
{
	struct tds_session *s = calloc(1, sizeof(*s));
	struct tds_message message = { 0 };
	struct err err = ERR_INIT;
	bool reset;

	if (!s)
		return true;
	s->shared = shared;
	s->packet = packet;
	tds_collation_init(&s->collation, shared->collation);
	buf_init(&message.body, TDS_MESSAGE_MAX);
	count(s, (struct tds_counters){ .connections = 1 });
	if (handshake(s, &message, &err) != 0) {
		if (err.class == ERR_PERM)
			log_warning("login: %s", err.text);
	} else if (log_in(s) == 0) {
		count(s, (struct tds_counters){ .logins = 1, .open = 1 });
		serve(s, &message);
		count(s, (struct tds_counters){ .open = -1 });
	}
	reset = s->end == TDS_END_RESET;
	tds_call_forget(s);
	if (s->session)
		session_close(s->session);
	buf_release(&message.body);
	explicit_bzero(&s->login, sizeof(s->login));
	free(s);
	return reset;
}
