/* ws: the bytes of WebSocket (RFC 6455) as this server needs them: the handshake's answer, frames out, small frames in.
 * No sockets. */
#ifndef API_WS_H
#define API_WS_H

#include <stdbool.h>
#include <stddef.h>
#include "common/buf.h"

#define WS_PAYLOAD_MAX 125 /* a client has nothing to tell us; control frames are never longer */
#define WS_ACCEPT_MAX 29

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum ws_close_code {
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_UNSUPPORTED = 1003,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
};

/* Whether a Sec-WebSocket-Key is 16 bytes in base64. */
bool ws_key_valid(const char *key);
/* The value of Sec-WebSocket-Accept for a valid key. */
void ws_accept(const char *key, char out[WS_ACCEPT_MAX]);

/* Appends a whole unmasked frame. */
void ws_frame(struct buf *out, enum ws_opcode opcode, const void *payload, size_t len);
/* Appends a close frame; reason at most 100 bytes. */
void ws_close(struct buf *out, enum ws_close_code code, const char *reason);

/* Bytes of the frame that is under way; all zero at the beginning. */
struct ws_input {
	unsigned char bytes[6 + WS_PAYLOAD_MAX]; /* the longest frame that is accepted */
	size_t len;
};

struct ws_message {
	enum ws_opcode opcode;
	unsigned char payload[WS_PAYLOAD_MAX];
	size_t len;
};

/* Takes bytes from *data (moving *data and *len) until a frame is whole. 1: a message, unmasked; 0: all bytes are taken, more
 * are needed; otherwise the enum ws_close_code to end the connection with (nothing may be read from it afterwards).
 * Refused: unmasked frames, reserved bits, unknown opcodes (1002), fragments (1003), more than WS_PAYLOAD_MAX bytes (1009, told
 * by the header alone). */
int ws_input_next(struct ws_input *input, const unsigned char **data, size_t *len, struct ws_message *message);

#endif
