/* Frames as bytes. Which clients there are and when something is sent is known to the hub. */
#include "api/ws.h"

#include <assert.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdint.h>
#include <string.h>

#define KEY_LEN 24
#define HEADER_LEN 6 /* two bytes and the mask */

bool
ws_key_valid(const char *key)
{
	struct base64_decode_ctx ctx;
	uint8_t bytes[BASE64_DECODE_LENGTH(KEY_LEN)];
	size_t len = sizeof(bytes);
	if (strlen(key) != KEY_LEN)
		return false;
	base64_decode_init(&ctx);
	return base64_decode_update(&ctx, &len, bytes, KEY_LEN, key) == 1 && base64_decode_final(&ctx) == 1 && len == 16;
}

void
ws_accept(const char *key, char out[WS_ACCEPT_MAX])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	struct sha1_ctx ctx;
	uint8_t digest[SHA1_DIGEST_SIZE];
	sha1_init(&ctx);
	sha1_update(&ctx, strlen(key), (const uint8_t *)key);
	sha1_update(&ctx, sizeof(guid) - 1, (const uint8_t *)guid);
	sha1_digest(&ctx, sizeof(digest), digest);
	base64_encode_raw(out, sizeof(digest), digest);
	out[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = '\0';
}

void
ws_frame(struct buf *out, enum ws_opcode opcode, const void *payload, size_t len)
{
	unsigned char header[10] = { (unsigned char)(0x80 | opcode) };
	size_t size = 2;
	if (len < 126) {
		header[1] = (unsigned char)len;
	} else if (len <= 0xFFFF) {
		header[1] = 126;
		size = 4;
	} else {
		header[1] = 127;
		size = 10;
	}
	for (size_t i = size, rest = len; i > 2; i--, rest >>= 8)
		header[i - 1] = (unsigned char)(rest & 0xFF);
	buf_add(out, header, size);
	buf_add(out, payload, len);
}

void
ws_close(struct buf *out, enum ws_close_code code, const char *reason)
{
	unsigned char payload[WS_PAYLOAD_MAX] = { (unsigned char)(code >> 8), (unsigned char)(code & 0xFF) };
	size_t len = strlen(reason);
	assert(len <= 100);
	memcpy(payload + 2, reason, len);
	ws_frame(out, WS_CLOSE, payload, len + 2);
}

/* Looks at the first two bytes; 0 or the code to close with. */
static int
check_header(const unsigned char *bytes)
{
	unsigned opcode = bytes[0] & 0x0Fu;
	if ((bytes[0] & 0x70) != 0 || (bytes[1] & 0x80) == 0)
		return WS_PROTOCOL_ERROR;
	if (opcode == WS_CONTINUATION || (opcode < WS_CLOSE && (bytes[0] & 0x80) == 0))
		return WS_UNSUPPORTED;
	if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE) || (bytes[0] & 0x80) == 0)
		return WS_PROTOCOL_ERROR;
	if ((bytes[1] & 0x7F) > WS_PAYLOAD_MAX)
		return WS_TOO_BIG;
	return 0;
}

int
ws_input_next(struct ws_input *input, const unsigned char **data, size_t *len, struct ws_message *message)
{
	while (*len > 0) {
		input->bytes[input->len++] = **data;
		(*data)++;
		(*len)--;
		if (input->len < 2)
			continue;
		int code = input->len == 2 ? check_header(input->bytes) : 0;
		if (code != 0)
			return code;
		size_t payload = input->bytes[1] & 0x7F;
		if (input->len < HEADER_LEN + payload)
			continue;
		message->opcode = (enum ws_opcode)(input->bytes[0] & 0x0F);
		message->len = payload;
		for (size_t i = 0; i < payload; i++)
			message->payload[i] = input->bytes[HEADER_LEN + i] ^ input->bytes[2 + i % 4];
		input->len = 0;
		return 1;
	}
	return 0;
}
