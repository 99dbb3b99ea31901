/* The codec: what is written can be read, and everything else is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "proto/proto.h"

static int
decode(const char *text, enum proto_error *code, struct err *err)
{
	struct proto_request request;
	int rc = proto_request_decode(text, strlen(text), &request, code, err);
	if (rc == 0)
		proto_request_release(&request);
	return rc;
}

static void
request_round_trip(void **state)
{
	(void)state;
	struct buf out;
	struct proto_request request;
	struct err err = ERR_INIT;
	enum proto_error code;
	buf_init(&out, 4096);
	proto_request_encode(&out, CMD_RUN_SUBMIT, "{\"job_id\":\"temu_inventory_sync\",\"params\":{\"mode\":\"full\"}}");
	assert_int_equal(proto_request_decode(out.data, out.len, &request, &code, &err), 0);
	assert_int_equal(request.command, CMD_RUN_SUBMIT);
	assert_string_equal(json_get_string(request.args, "job_id", ""), "temu_inventory_sync");
	assert_string_equal(json_get_string(json_get(request.args, "params"), "mode", ""), "full");
	proto_request_release(&request);
	buf_release(&out);
}

static void
requests_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *message;
		enum proto_error code;
		const char *says;
	} cases[] = {
		{ "hello", PROTO_BAD_MESSAGE, "message" },
		{ "[]", PROTO_BAD_MESSAGE, "object" },
		{ "{\"cmd\":\"hello\",\"args\":{}}", PROTO_BAD_MESSAGE, "version" },
		{ "{\"v\":2,\"cmd\":\"hello\",\"args\":{}}", PROTO_VERSION, "version 2" },
		{ "{\"v\":2,\"what\":7}", PROTO_VERSION, "version 2" }, /* whatever else another version may say */
		{ "{\"v\":\"1\",\"cmd\":\"hello\",\"args\":{}}", PROTO_BAD_MESSAGE, "version" },
		{ "{\"v\":1,\"cmd\":\"hello\",\"args\":{},\"arg\":{}}", PROTO_BAD_MESSAGE, "\"arg\" is not known" },
		{ "{\"v\":1,\"v\":1,\"cmd\":\"hello\",\"args\":{}}", PROTO_BAD_MESSAGE, "\"v\" comes twice" },
		{ "{\"v\":1,\"cmd\":\"hello\",\"args\":{\"\xff\":1}}", PROTO_BAD_MESSAGE, "UTF-8" },
		{ "{\"v\":1,\"cmd\":\"run_get\",\"args\":{\"run_id\":\"a\\u0000b\"}}", PROTO_BAD_MESSAGE, "u0000" },
		{ "{\"v\":1,\"cmd\":\"dance\",\"args\":{}}", PROTO_BAD_MESSAGE, "dance" },
		{ "{\"v\":1,\"cmd\":\"hello\"}", PROTO_BAD_MESSAGE, "args" },
		{ "{\"v\":1,\"cmd\":\"hello\",\"args\":{\"x\":1}}", PROTO_BAD_REQUEST, "field x" },
		{ "{\"v\":1,\"cmd\":\"run_get\",\"args\":{}}", PROTO_BAD_REQUEST, "run_id: missing" },
		{ "{\"v\":1,\"cmd\":\"run_get\",\"args\":{\"run_id\":7}}", PROTO_BAD_REQUEST, "expected a string" },
		{ "{\"v\":1,\"cmd\":\"run_get\",\"args\":{\"run_id\":\"a\",\"run_id\":\"b\"}}", PROTO_BAD_REQUEST, "twice" },
		{ "{\"v\":1,\"cmd\":\"run_list\",\"args\":{\"limit\":501}}", PROTO_BAD_REQUEST, "0 to 500" },
		{ "{\"v\":1,\"cmd\":\"run_list\",\"args\":{\"limit\":\"5\"}}", PROTO_BAD_REQUEST, "whole number" },
		{ "{\"v\":1,\"cmd\":\"run_submit\",\"args\":{\"job_id\":\"x\",\"params\":[]}}", PROTO_BAD_REQUEST, "object" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		enum proto_error code;
		assert_int_equal(decode(cases[i].message, &code, &err), -1);
		assert_int_equal(code, cases[i].code);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

static void
limits_hold(void **state)
{
	(void)state;
	char message[200];
	enum proto_error code;
	struct err err = ERR_INIT;
	snprintf(message, sizeof(message), "{\"v\":1,\"cmd\":\"run_get\",\"args\":{\"run_id\":\"%063d\"}}", 0);
	assert_int_equal(decode(message, &code, &err), 0);
	snprintf(message, sizeof(message), "{\"v\":1,\"cmd\":\"run_get\",\"args\":{\"run_id\":\"%064d\"}}", 0);
	assert_int_equal(decode(message, &code, &err), -1);
}

static void
reply_round_trip(void **state)
{
	(void)state;
	struct buf out;
	struct proto_reply reply;
	struct err err = ERR_INIT;
	buf_init(&out, 4096);
	proto_reply_encode(&out, "{\"run_id\":\"r-1\"}");
	assert_int_equal(proto_reply_decode(out.data, out.len, &reply, &err), 0);
	assert_true(reply.ok);
	assert_string_equal(json_get_string(reply.data, "run_id", ""), "r-1");
	proto_reply_release(&reply);

	buf_clear(&out);
	proto_reply_error(&out, PROTO_ALREADY_RUNNING, "it runs", "{\"run_id\":\"r-2\"}");
	assert_int_equal(proto_reply_decode(out.data, out.len, &reply, &err), 0);
	assert_false(reply.ok);
	assert_int_equal(reply.code, PROTO_ALREADY_RUNNING);
	assert_int_equal(proto_error_http(reply.code), 409);
	assert_string_equal(reply.text, "it runs");
	assert_string_equal(json_get_string(reply.data, "run_id", ""), "r-2");
	proto_reply_release(&reply);
	buf_release(&out);
}

static void
replies_are_refused(void **state)
{
	(void)state;
	static const char *const replies[] = {
		"", "[]", "{\"ok\":true,\"data\":{}}", "{\"v\":2,\"ok\":true,\"data\":{}}", "{\"v\":1,\"data\":{}}",
		"{\"v\":1,\"ok\":1,\"data\":{}}", "{\"v\":1,\"ok\":true,\"data\":{},\"more\":1}",
		"{\"v\":1,\"ok\":true,\"data\":{},\"error\":{\"code\":\"INTERNAL\",\"text\":\"x\"}}",
		"{\"v\":1,\"ok\":false}", "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"INTERNAL\"}}",
		"{\"v\":1,\"ok\":false,\"error\":{\"code\":\"WHATEVER\",\"text\":\"x\"}}",
		"{\"v\":1,\"ok\":false,\"error\":{\"code\":\"INTERNAL\",\"text\":\"x\",\"y\":1}}",
		"{\"v\":1,\"ok\":false,\"data\":{},\"error\":{\"code\":\"INTERNAL\",\"text\":\"x\"}}",
	};
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct proto_reply reply;
		struct err err = ERR_INIT;
		if (proto_reply_decode(replies[i], strlen(replies[i]), &reply, &err) != -1)
			fail_msg("taken: %s", replies[i]);
		assert_null(reply.doc);
		assert_string_equal(err.code, i == 0 ? "JSON" : i == 3 ? "VERSION" : "BAD_MESSAGE");
	}
}

static int
batch(int64_t first, int64_t last, int64_t count, const char *events)
{
	struct buf out;
	struct proto_batch batch;
	struct err err = ERR_INIT;
	buf_init(&out, 4096);
	proto_batch_encode(&out, "boot", "journal", first, last, count, events);
	int rc = proto_batch_decode(out.data, out.len, &batch, &err);
	if (rc == 0)
		proto_batch_release(&batch);
	buf_release(&out);
	return rc;
}

static void
batches_must_fit_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(batch(5, 6, 2, "{\"seq\":5},{\"seq\":6}"), 0);
	assert_int_equal(batch(7, 6, 0, ""), 0);
	assert_int_equal(batch(5, 6, 2, "{\"seq\":5},{\"seq\":7}"), -1);
	assert_int_equal(batch(5, 7, 2, "{\"seq\":5},{\"seq\":6}"), -1);
	assert_int_equal(batch(5, 6, 3, "{\"seq\":5},{\"seq\":6}"), -1);
	assert_int_equal(batch(7, 9, 0, ""), -1);
	assert_int_equal(batch(5, 5, 1, "{\"seq\":\"5\"}"), -1);
	assert_int_equal(batch(5, 5, 1, "5"), -1);
	assert_int_equal(batch(0, -1, 0, ""), -1);
	assert_int_equal(batch(INT64_MAX, INT64_MAX, 1, "{\"seq\":9223372036854775807}"), -1);
}

static void
batches_of_another_form_are_refused(void **state)
{
	(void)state;
	static const char *const batches[] = {
		"{\"v\":2,\"boot\":\"b\",\"journal\":\"j\",\"first\":1,\"last\":0,\"count\":0,\"events\":[]}",
		"{\"v\":1,\"journal\":\"j\",\"first\":1,\"last\":0,\"count\":0,\"events\":[]}",
		"{\"v\":1,\"boot\":\"b\",\"journal\":\"j\",\"first\":\"1\",\"last\":0,\"count\":0,\"events\":[]}",
		"{\"v\":1,\"boot\":\"b\",\"journal\":\"j\",\"first\":1,\"last\":0,\"count\":0,\"events\":{}}",
		"{\"v\":1,\"boot\":\"b\",\"journal\":\"j\",\"first\":1,\"last\":0,\"count\":0,\"events\":[],\"x\":1}",
	};
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		struct proto_batch batch;
		struct err err = ERR_INIT;
		if (proto_batch_decode(batches[i], strlen(batches[i]), &batch, &err) != -1)
			fail_msg("taken: %s", batches[i]);
		assert_string_equal(err.code, i == 0 ? "VERSION" : "BAD_MESSAGE");
	}
}

static void
names_go_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < RUN_STATE_COUNT; i++) {
		enum run_state back;
		assert_int_equal(run_state_parse(run_state_name((enum run_state)i), &back), 0);
		assert_int_equal(back, i);
	}
	for (int i = 0; i < GATE_COUNT; i++) {
		enum gate back;
		assert_int_equal(gate_parse(gate_name((enum gate)i), &back), 0);
		assert_int_equal(back, i);
	}
	for (int i = 0; i < ITEM_OUTCOME_COUNT; i++) {
		enum item_outcome back;
		assert_int_equal(item_outcome_parse(item_outcome_name((enum item_outcome)i), &back), 0);
		assert_int_equal(back, i);
	}
	enum run_state ignored;
	assert_int_equal(run_state_parse("done", &ignored), -1);
	assert_true(run_state_terminal(RUN_PARTIAL));
	assert_false(run_state_terminal(RUN_INTERRUPTED));
}

/* What temu-api answers when the fault lies with the request itself. */
static void
codes_have_their_http_status(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int http;
	} cases[] = { { "FORBIDDEN", 403 }, { "REQUEST_TIMEOUT", 408 }, { "LENGTH_REQUIRED", 411 },
		          { "UNSUPPORTED_MEDIA_TYPE", 415 }, { "UPGRADE_REQUIRED", 426 }, { "WORKERS_DOWN", 503 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum proto_error code;
		assert_int_equal(proto_error_parse(cases[i].name, &code), 0);
		assert_int_equal(proto_error_http(code), cases[i].http);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_their_http_status), cmocka_unit_test(request_round_trip), cmocka_unit_test(requests_are_refused),
		cmocka_unit_test(limits_hold),        cmocka_unit_test(reply_round_trip),
		cmocka_unit_test(batches_must_fit_their_numbers), cmocka_unit_test(replies_are_refused),
		cmocka_unit_test(batches_of_another_form_are_refused), cmocka_unit_test(names_go_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
