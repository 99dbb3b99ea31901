/* tds_reply: the engine's sink as TDS tokens, with the rules of DONE, and the faults that hit a reply in its middle.
 * One reply lives from tds_reply_begin to one of the ends; one thread. */
#ifndef SANDBOX_SQL_TDS_REPLY_H
#define SANDBOX_SQL_TDS_REPLY_H

#include <stdatomic.h>
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_collation.h"
#include "ecosystem/sandbox/sql/tds_fault.h"
#include "ecosystem/sandbox/sql/tds_packet.h"

#define TDS_SERVER_NAME "SANDBOX"
/* A result set whose first column has this name is not sent: its columns are the return status and the output
 * parameters. */
#define TDS_RETURN_COLUMN "__tds_return"

struct tds_done {
	bool waiting;
	uint16_t status;
	uint16_t command;
	int64_t rows;
};

enum tds_end { TDS_END_KEEP, TDS_END_CLOSE, TDS_END_RESET };

struct tds_reply {
	struct tds_packet *packet;
	const struct tds_collation *collation;
	const atomic_bool *stop;       /* the server ends */
	const struct tds_fault *fault; /* may be NULL */
	bool in_proc, mute;            /* mute: execute without answering */
	struct buf token, returned;    /* returned: RETURNVALUE tokens ready to go */
	struct sql_column *columns;    /* of the result set under way */
	int column_count;
	struct tds_done done; /* held back until it is known whether more follows */
	bool error_open, capture, database_open, fired;
	int last_error;
	int32_t status; /* return status of a procedure */
	int64_t rows, statements;
	char database[129];
	enum tds_end end; /* what the fault (or a lost client) wants done with the connection */
};

void tds_reply_begin(struct tds_reply *reply, struct tds_packet *packet, const struct tds_collation *collation,
                     const atomic_bool *stop, bool in_proc);
void tds_reply_release(struct tds_reply *reply);

/* The sink to give to engine_execute; valid as long as the reply. */
struct sink tds_reply_sink(struct tds_reply *reply);
/* Stopped by ATTENTION, a fault, or a lost client: what the engine says about the end does not matter then. */
bool tds_reply_stopped(const struct tds_reply *reply);

/* Tokens of our own. severity > 10 makes it an error. */
void tds_reply_message(struct tds_reply *reply, int number, int severity, int state, int line, const char *text);
void tds_reply_return_handle(struct tds_reply *reply, int32_t handle);

/* The end of the message: DONE of a batch; RETURNSTATUS, RETURNVALUEs and DONEPROC of a call; or the acknowledged
 * ATTENTION. */
void tds_reply_end_batch(struct tds_reply *reply);
void tds_reply_end_rpc(struct tds_reply *reply);

/* The whole answer to LOGIN7. */
void tds_reply_login(struct tds_reply *reply, const char *database, size_t packet_size);
void tds_reply_login_failed(struct tds_reply *reply, int number, int severity, const char *text);
/* ENVCHANGE 18: the reset the client asked for has happened. */
void tds_reply_reset_done(struct tds_reply *reply);
/* Broken answers on order. */
void tds_reply_garbage(struct tds_reply *reply);
void tds_reply_bad_metadata(struct tds_reply *reply);

#endif
