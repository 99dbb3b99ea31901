/* tds_session: one client connection from PRELOGIN to its end. Runs on the connection's thread and blocks there. */
#ifndef SANDBOX_SQL_TDS_SESSION_H
#define SANDBOX_SQL_TDS_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_fault.h"
#include "ecosystem/sandbox/sql/tds_packet.h"
#include "ecosystem/sandbox/sql/tds_tls.h"

/* What all connections share; borrowed, outlives them. */
struct tds_shared {
	struct engine *engine;
	struct tds_faults *faults;
	struct tds_tls_server *tls; /* NULL: no encryption */
	bool require_encryption;
	char collation[128]; /* of the server, until a session tells its own */
	atomic_bool stop;
};

/* Serves the connection until it ends; true when it must be closed with RST. The packet layer stays the caller's. */
bool tds_session_run(struct tds_shared *shared, struct tds_packet *packet);

#endif
