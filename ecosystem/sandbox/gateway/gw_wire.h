/* gw_wire: a small HTTP/1.1 server on raw sockets, because the faults need the socket: a reset before or after the work,
 * a reply cut in the middle. One thread per connection, keep-alive, Content-Length and chunked bodies. */
#ifndef GW_WIRE_H
#define GW_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"

#define GW_WIRE_BODY_MAX ((size_t)16 << 20)
#define GW_WIRE_CONNECTIONS 256

struct gw_request {
	char method[16];
	char path[256];  /* without the query */
	char query[512]; /* behind '?', undecoded; "" when none */
	struct buf body;
	bool keep_alive;
};

struct gw_reply {
	int status;         /* 200 */
	const char *type;   /* "application/json"; static text */
	char header[128];   /* one more header line with its CRLF, "" when none */
	struct buf body;
	int64_t date_offset_s; /* the Date header is ahead of the real clock by this */
	int64_t delay_ms;   /* the reply waits this long; ends early when the server stops */
	bool reset;         /* no reply: the connection is reset (RST) */
	bool cut;           /* the whole length is announced, half of it sent, then the connection closes */
};

/* Fills the reply; called on the connection's thread, several at a time. */
typedef void gw_handler(void *arg, const struct gw_request *request, struct gw_reply *reply);

struct gw_wire;

/* Listens on 127.0.0.1:port (0: any free one). NULL and err when that fails. */
struct gw_wire *gw_wire_start(int port, gw_handler *handler, void *arg, struct err *err);
int gw_wire_port(const struct gw_wire *wire);
/* Closes everything and waits for the threads; delays end at once. NULL is accepted. */
void gw_wire_stop(struct gw_wire *wire);

#endif
