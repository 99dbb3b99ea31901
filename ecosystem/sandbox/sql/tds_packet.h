/* tds_packet: messages over packets over a socket (plain or TLS), both ways, and the look-out for ATTENTION.
 * One thread owns it. */
#ifndef SANDBOX_SQL_TDS_PACKET_H
#define SANDBOX_SQL_TDS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

#define TDS_PACKET_HEADER 8
#define TDS_PACKET_MIN 512
#define TDS_PACKET_DEFAULT 4096
#define TDS_PACKET_MAX 32767
#define TDS_MESSAGE_MAX ((size_t)128 << 20)

enum tds_packet_type {
	TDS_SQL_BATCH = 0x01,
	TDS_RPC = 0x03,
	TDS_REPLY = 0x04,
	TDS_ATTENTION = 0x06,
	TDS_BULK = 0x07,
	TDS_TRANSACTION = 0x0E,
	TDS_LOGIN7 = 0x10,
	TDS_PRELOGIN = 0x12,
};

enum {
	TDS_STATUS_EOM = 0x01,
	TDS_STATUS_IGNORE = 0x02,
	TDS_STATUS_RESET = 0x08,
	TDS_STATUS_RESET_KEEP = 0x10,
};

struct tds_tls;

struct tds_packet {
	int fd;              /* non-blocking; owned */
	struct tds_tls *tls; /* NULL while plain; owned */
	bool attention;      /* an ATTENTION arrived and was not answered yet */
	bool gone;           /* end of stream or a broken connection: nothing can be sent any more */
	uint8_t in[TDS_PACKET_MAX + 1];
	size_t in_at, in_len;
	uint8_t out[TDS_PACKET_MAX + 1];
	size_t out_len, size; /* size: negotiated, with header */
	uint8_t out_type, id;
	uint16_t spid;
};

struct tds_message {
	uint8_t type;
	uint8_t status; /* of the first packet */
	struct buf body;
};

/* Takes the descriptor and makes it non-blocking. */
void tds_packet_init(struct tds_packet *p, int fd);
/* Closes it; reset = with RST, so that the client sees a broken connection instead of an orderly end. */
void tds_packet_close(struct tds_packet *p, bool reset);

/* Blocks for one whole message, timeout_ms a wait (-1: for ever). The body is cleared first. A message the client
 * withdrew is skipped; ATTENTION in the middle of one gives a message of type ATTENTION. -1: gone, or err (class PERM)
 * when the client broke the protocol. */
int tds_packet_recv(struct tds_packet *p, struct tds_message *message, int timeout_ms, struct err *err) MUSTCHECK;

/* Takes what has arrived without blocking; true when ATTENTION is among it (also kept in p->attention). */
bool tds_packet_attention(struct tds_packet *p);
/* Blocks until ATTENTION or the end of the connection, at most timeout_ms. True when one of them came. */
bool tds_packet_wait(struct tds_packet *p, int64_t timeout_ms);

/* A reply: begin, write..., end. Full packets leave at once, the rest with end (or flush, which does not end the
 * message). Blocks while the client does not read. After a failure `gone` is set and the rest does nothing. */
void tds_packet_begin(struct tds_packet *p, uint8_t type);
void tds_packet_write(struct tds_packet *p, const void *data, size_t len);
void tds_packet_flush(struct tds_packet *p);
void tds_packet_end(struct tds_packet *p);

#endif
