/* tds_session_internal: what tds_session.c and tds_call.c share; nobody else includes it. */
#ifndef SANDBOX_SQL_TDS_SESSION_INTERNAL_H
#define SANDBOX_SQL_TDS_SESSION_INTERNAL_H

#include "ecosystem/sandbox/sql/tds_login.h"
#include "ecosystem/sandbox/sql/tds_reply.h"
#include "ecosystem/sandbox/sql/tds_rpc.h"
#include "ecosystem/sandbox/sql/tds_session.h"

#define TDS_PREPARED_MAX 1024

struct tds_prepared {
	int32_t handle;
	char *sql, *defs;
};

struct tds_session {
	struct tds_shared *shared;
	struct tds_packet *packet;
	struct session *session;
	struct tds_login login; /* kept for the reset of a connection */
	struct tds_collation collation;
	struct tds_prepared prepared[TDS_PREPARED_MAX];
	int prepared_count;
	int32_t last_handle;
	enum tds_end end;
};

/* Runs a statement with the faults ordered for it; the answer so far is in reply. */
void tds_session_execute(struct tds_session *s, struct tds_reply *reply, const char *sql, size_t len,
                         const struct sql_param *params, int count);

/* A whole RPC message, answered. */
void tds_call(struct tds_session *s, const struct tds_message *message, bool reset);
void tds_call_forget(struct tds_session *s);

#endif
