/* The bytes of WebSocket: the vectors of RFC 6455, and everything a hostile client may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "api/ws.h"

static void
the_accept_value_is_that_of_the_rfc(void **state)
{
	char out[WS_ACCEPT_MAX];
	(void)state;
	ws_accept("dGhlIHNhbXBsZSBub25jZQ==", out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
keys_are_sixteen_bytes(void **state)
{
	(void)state;
	assert_true(ws_key_valid("dGhlIHNhbXBsZSBub25jZQ=="));
	assert_false(ws_key_valid(""));
	assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25j"));
	assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25jZQ=\r"));
	assert_false(ws_key_valid("????????????????????????"));
	assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25jZWU="));
}

static void
lengths_are_written_in_their_three_forms(void **state)
{
	struct buf out;
	char payload[70000] = { 0 };
	(void)state;
	buf_init(&out, 100000);
	ws_frame(&out, WS_TEXT, payload, 125);
	assert_int_equal(out.len, 127);
	assert_memory_equal(out.data, "\x81\x7D", 2);
	buf_clear(&out);
	ws_frame(&out, WS_TEXT, payload, 126);
	assert_int_equal(out.len, 130);
	assert_memory_equal(out.data, "\x81\x7E\x00\x7E", 4);
	buf_clear(&out);
	ws_frame(&out, WS_TEXT, payload, 70000);
	assert_int_equal(out.len, 70010);
	assert_memory_equal(out.data, "\x81\x7F\x00\x00\x00\x00\x00\x01\x11\x70", 10);
	buf_clear(&out);
	ws_close(&out, WS_GOING_AWAY, "bye");
	assert_memory_equal(out.data, "\x88\x05\x03\xE9" "bye", 7);
	buf_release(&out);
}

static int
feed(const char *bytes, size_t len, size_t step, struct ws_message *message)
{
	struct ws_input input = { .len = 0 };
	int got = 0;
	for (size_t at = 0; at < len && got == 0; at += step) {
		const unsigned char *data = (const unsigned char *)bytes + at;
		size_t size = len - at < step ? len - at : step;
		got = ws_input_next(&input, &data, &size, message);
	}
	return got;
}

static void
a_masked_frame_is_read_in_any_pieces(void **state)
{
	static const char hello[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; /* RFC 6455, 5.7 */
	struct ws_message message;
	(void)state;
	for (size_t step = 1; step <= 11; step++) {
		assert_int_equal(feed(hello, 11, step, &message), 1);
		assert_int_equal(message.opcode, WS_TEXT);
		assert_int_equal(message.len, 5);
		assert_memory_equal(message.payload, "Hello", 5);
	}
	assert_int_equal(feed(hello, 10, 3, &message), 0);
}

static void
two_frames_in_one_piece_are_two_messages(void **state)
{
	static const unsigned char both[] = "\x89\x80\0\0\0\0\x8A\x81\0\0\0\0x";
	struct ws_input input = { .len = 0 };
	struct ws_message message;
	const unsigned char *data = both;
	size_t len = sizeof(both) - 1;
	(void)state;
	assert_int_equal(ws_input_next(&input, &data, &len, &message), 1);
	assert_int_equal(message.opcode, WS_PING);
	assert_int_equal(ws_input_next(&input, &data, &len, &message), 1);
	assert_int_equal(message.opcode, WS_PONG);
	assert_int_equal(message.len, 1);
	assert_int_equal(ws_input_next(&input, &data, &len, &message), 0);
}

static void
what_a_client_must_not_send_is_refused_by_the_first_two_bytes(void **state)
{
	static const struct {
		const char *bytes;
		int code;
	} cases[] = {
		{ "\x81\x05", WS_PROTOCOL_ERROR },  /* not masked */
		{ "\xC1\x85", WS_PROTOCOL_ERROR },  /* a reserved bit */
		{ "\x83\x85", WS_PROTOCOL_ERROR },  /* opcodes that do not exist */
		{ "\x8B\x85", WS_PROTOCOL_ERROR },
		{ "\x09\x85", WS_PROTOCOL_ERROR },  /* a ping in pieces */
		{ "\x01\x85", WS_UNSUPPORTED },     /* a text in pieces */
		{ "\x80\x85", WS_UNSUPPORTED },
		{ "\x81\xFE", WS_TOO_BIG },         /* more than 125 bytes */
		{ "\x82\xFF", WS_TOO_BIG },         /* up to 2^63 */
	};
	struct ws_message message;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(feed(cases[i].bytes, 2, 1, &message), cases[i].code);
	assert_int_equal(feed("GET / HTTP/1.1\r\n", 16, 16, &message), WS_PROTOCOL_ERROR);
}

/* Whatever comes: every byte is taken or the connection refused, and a message is never longer than its buffer. */
static void
noise_does_no_harm(void **state)
{
	unsigned seed = 7;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct ws_input input = { .len = 0 };
		struct ws_message message;
		unsigned char bytes[300];
		const unsigned char *data = bytes;
		size_t len = sizeof(bytes);
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1103515245u + 12345u;
			bytes[i] = (unsigned char)(seed >> 16);
		}
		if (round % 2) { /* half of them begin like a good frame */
			bytes[0] = 0x81;
			bytes[1] |= 0x80;
		}
		int got;
		while ((got = ws_input_next(&input, &data, &len, &message)) == 1)
			assert_true(message.len <= WS_PAYLOAD_MAX);
		assert_true(got == 0 ? len == 0 : got == WS_PROTOCOL_ERROR || got == WS_UNSUPPORTED || got == WS_TOO_BIG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_accept_value_is_that_of_the_rfc),
		cmocka_unit_test(keys_are_sixteen_bytes),
		cmocka_unit_test(lengths_are_written_in_their_three_forms),
		cmocka_unit_test(a_masked_frame_is_read_in_any_pieces),
		cmocka_unit_test(two_frames_in_one_piece_are_two_messages),
		cmocka_unit_test(what_a_client_must_not_send_is_refused_by_the_first_two_bytes),
		cmocka_unit_test(noise_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
