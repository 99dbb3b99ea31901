/* What one HTTP answer means, without a network: envelope, codes, edge pages, repairs, texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "common/utf8.h"
#include "worker/temu/temu_answer.h"

struct bench {
	struct temu_call call;
	struct http_request request;
	enum temu_class class;
	bool doubtful;
};

static void
answer_bytes(struct bench *b, int status, const char *body, size_t len)
{
	*b = (struct bench){ .request = { .status = status, .retry_after_ms = -1, .date_ms = -1, .err = ERR_INIT } };
	temu_call_init(&b->call, "bg.demo.get");
	buf_init(&b->request.response, 1 << 20);
	buf_add(&b->request.response, body, len);
	b->class = temu_answer_read(&b->call, &b->request, &b->doubtful);
	buf_release(&b->request.response);
}

static void
answer(struct bench *b, int status, const char *body)
{
	answer_bytes(b, status, body, strlen(body));
}

static void
release(struct bench *b)
{
	temu_call_release(&b->call);
}

static void
success_decides(void **state)
{
	struct bench b;

	(void)state;
	answer(&b, 200,
	       "{\"new\":[1],\"errorMsg\":\"\",\"result\":{\"a\":1},\"requestId\":\"eu-1\",\"errorCode\":1000000,\"success\":true}");
	assert_int_equal(b.class, TEMU_OK);
	assert_int_equal(b.call.err.class, ERR_NONE);
	assert_int_equal(json_get_int64(b.call.result, "a", 0), 1);
	assert_string_equal(b.call.request_id, "eu-1");
	assert_int_equal(b.call.code, 1000000);
	assert_false(b.call.repaired);
	release(&b);
	answer(&b, 200, "{\"success\":true,\"errorCode\":150010003,\"errorMsg\":null,\"result\":true}");
	assert_int_equal(b.class, TEMU_OK);
	assert_non_null(b.call.result);
	release(&b);
	answer(&b, 200, "{\"success\":true,\"errorCode\":null,\"result\":null}");
	assert_int_equal(b.class, TEMU_OK);
	assert_null(b.call.result);
	assert_string_equal(b.call.request_id, "");
	release(&b);
	answer(&b, 200, "{\"success\":true,\"result\":[]}");
	assert_int_equal(b.class, TEMU_OK);
	assert_true(json_is_array(b.call.result));
	release(&b);
	answer(&b, 200, "{\"success\":false,\"errorCode\":1000000,\"errorMsg\":\"odd\"}");
	assert_int_equal(b.class, TEMU_STRANGE);
	assert_int_equal(b.call.err.class, ERR_PERM);
	release(&b);
}

static void
no_envelope_is_garbled(void **state)
{
	static const char *const bodies[] = {
		"",
		"<html><body>too many requests</body></html>",
		"{\"success\":true,\"errorCode\":1000000,\"res",
		"[]",
		"null",
		"true",
		"{}",
		"{\"success\":\"true\",\"errorCode\":1000000}",
		"{\"success\":1,\"errorCode\":1000000}",
		"{\"success\":null,\"errorCode\":1000000}",
		"{\"errorCode\":1000000,\"errorMsg\":\"\"}",
		"{\"success\":false}",
		"{\"success\":false,\"errorCode\":null,\"errorMsg\":\"x\"}",
		"{\"success\":false,\"errorCode\":\"bad\",\"errorMsg\":\"x\"}",
		"{\"success\":true,\"errorCode\":[1]}",
		"{\"success\":true,\"errorCode\":1.5}",
		"{\"success\":false,\"errorCode\":3000000,\"errorMsg\":{\"a\":1}}",
		"{\"success\":true}{\"success\":true}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct bench b;

		answer(&b, 200, bodies[i]);
		assert_int_equal(b.class, TEMU_R);
		assert_int_equal(b.call.err.class, ERR_TEMP);
		assert_string_equal(b.call.err.code, "TEMU_GARBLED");
		assert_true(b.doubtful);
		assert_null(b.call.result);
		assert_null(strstr(b.call.err.text, "too many")); /* bodies are never quoted */
		release(&b);
	}
}

static void
codes_have_classes(void **state)
{
	static const struct {
		int64_t code;
		const char *text;
		enum temu_class class;
		enum err_class err;
		bool doubtful;
	} rows[] = {
		{ 2000000, "internal call failed", TEMU_R1, ERR_TEMP, true },
		{ 3000000, "bad params", TEMU_BUG, ERR_PERM, false },
		{ 3000001, "sign is invalid", TEMU_AUTH, ERR_HOLD, false },
		{ 3000003, "type not exists", TEMU_BUG, ERR_PERM, false },
		{ 3000011, "timestamp", TEMU_CLOCK, ERR_TEMP, false },
		{ 3000012, "timestamp", TEMU_CLOCK, ERR_TEMP, false },
		{ 3000020, "client_id", TEMU_AUTH, ERR_HOLD, false },
		{ 3000026, "app_key", TEMU_AUTH, ERR_HOLD, false },
		{ 3000032, "authorize", TEMU_AUTH_METHOD, ERR_HOLD, false },
		{ 3000034, "expired", TEMU_AUTH, ERR_HOLD, false },
		{ 4000000, "Temu internal system error, please try again later.", TEMU_R, ERR_TEMP, true },
		{ 4000000, "The application information query is abnormal", TEMU_AUTH, ERR_HOLD, false },
		{ 4000000, "", TEMU_R, ERR_TEMP, true },
		{ 4000004, "too frequent requests, exceeding rate limit.", TEMU_RATE, ERR_TEMP, false },
		{ 4000005, "guessed by others", TEMU_STRANGE, ERR_PERM, false },
		{ 5000003, "IP", TEMU_AUTH, ERR_HOLD, false },
		{ 7000000, "BUSINESS_SERVICE_ERROR", TEMU_R1, ERR_TEMP, true },
		{ 150010002, "system error", TEMU_R, ERR_TEMP, true },
		{ 150010003, "invalid", TEMU_BUG, ERR_PERM, false },
		{ 150013001, "duplicate", TEMU_BUG, ERR_PERM, false },
		{ 150013002, "quantity", TEMU_BUG, ERR_PERM, false },
		{ 150013003, "together", TEMU_BUG, ERR_PERM, false },
		{ 140020008, "calculated", TEMU_LATER, ERR_TEMP, false },
		{ 120014022, "carrier", TEMU_CONFIG, ERR_PERM, false },
		{ 120014004, "used", TEMU_DATA, ERR_PERM, false },
		{ 987654321, "never heard of", TEMU_STRANGE, ERR_PERM, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[400], code[40];
		struct bench b;

		snprintf(body, sizeof(body), "{\"success\":false,\"errorCode\":%lld,\"errorMsg\":\"%s\",\"requestId\":\"eu-77\",\"result\":null}",
		         (long long)rows[i].code, rows[i].text);
		answer(&b, 200, body);
		snprintf(code, sizeof(code), "TEMU_%lld", (long long)rows[i].code);
		assert_int_equal(b.class, rows[i].class);
		assert_int_equal(b.call.class, rows[i].class);
		assert_int_equal(b.call.err.class, rows[i].err);
		assert_string_equal(b.call.err.code, code);
		assert_int_equal(b.call.err.number, rows[i].code);
		assert_int_equal(b.doubtful, rows[i].doubtful);
		assert_non_null(strstr(b.call.err.text, rows[i].text));
		assert_non_null(strstr(b.call.err.text, "bg.demo.get"));
		assert_non_null(strstr(b.call.err.text, "eu-77"));
		assert_int_equal(b.call.err.wait_ms > 0, rows[i].class == TEMU_LATER);
		release(&b);
	}
}

static void
edge_pages_are_not_looked_into(void **state)
{
	static const struct {
		int status;
		enum temu_class class;
		enum err_class err;
		bool doubtful;
	} rows[] = {
		{ 500, TEMU_R, ERR_TEMP, true },       { 502, TEMU_R, ERR_TEMP, true },        { 503, TEMU_R, ERR_TEMP, true },
		{ 408, TEMU_R, ERR_TEMP, true },       { 429, TEMU_RATE, ERR_TEMP, false },    { 403, TEMU_STRANGE, ERR_PERM, false },
		{ 404, TEMU_STRANGE, ERR_PERM, false }, { 302, TEMU_STRANGE, ERR_PERM, false }, { 201, TEMU_STRANGE, ERR_PERM, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char code[40];
		struct bench b;

		answer(&b, rows[i].status, "{\"success\":true,\"errorCode\":1000000,\"result\":{}}");
		snprintf(code, sizeof(code), "HTTP_%d", rows[i].status);
		assert_int_equal(b.class, rows[i].class);
		assert_int_equal(b.call.err.class, rows[i].err);
		assert_string_equal(b.call.err.code, code);
		assert_int_equal(b.call.status, rows[i].status);
		assert_int_equal(b.doubtful, rows[i].doubtful);
		assert_int_equal(b.call.code, 0);
		assert_null(b.call.result);
		release(&b);
	}
}

static void
transport_errors_keep_their_code(void **state)
{
	struct bench b = { .request = { .status = 0, .maybe_sent = true } };

	(void)state;
	temu_call_init(&b.call, "bg.demo.get");
	err_set(&b.request.err, ERR_TEMP, "HTTP_RESET", "POST x: reset");
	assert_int_equal(temu_answer_read(&b.call, &b.request, &b.doubtful), TEMU_R);
	assert_string_equal(b.call.err.code, "HTTP_RESET");
	assert_true(b.doubtful);
	b.request.maybe_sent = false;
	err_set(&b.request.err, ERR_PERM, "HTTP_CERTIFICATE", "POST x: certificate");
	assert_int_equal(temu_answer_read(&b.call, &b.request, &b.doubtful), TEMU_STRANGE);
	assert_int_equal(b.call.err.class, ERR_PERM);
	assert_false(b.doubtful);
	release(&b);
}

/* One broken character in one name must not cost the page. */
static void
broken_characters_are_repaired(void **state)
{
	static const struct {
		const char *text, *read;
	} rows[] = {
		{ "a\xC3(b", "a\xEF\xBF\xBD(b" },
		{ "\\u0000x", "\xEF\xBF\xBDx" },
		{ "\\ud83d", "\xEF\xBF\xBD" },
		{ "\\ude00y", "\xEF\xBF\xBDy" },
		{ "\\ud83d\\ud83d\\ude00", "\xEF\xBF\xBD\xF0\x9F\x98\x80" },
		{ "\xFF\\\\u0000", "\xEF\xBF\xBD\\u0000" },
		{ "\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[300];
		struct bench b;

		snprintf(body, sizeof(body), "{\"success\":true,\"errorCode\":1000000,\"result\":{\"name\":\"%s\"}}", rows[i].text);
		answer(&b, 200, body);
		assert_int_equal(b.class, TEMU_OK);
		assert_true(b.call.repaired);
		assert_string_equal(json_get_string(b.call.result, "name", ""), rows[i].read);
		release(&b);
	}
}

static void
texts_are_harmless(void **state)
{
	const struct secret *token = secret_new("very-secret-access-token", 24);
	char words[TEMU_WORDS_MAX + 1], long_words[1000];
	struct bench b;

	(void)state;
	assert_int_equal(secret_len(token), 24);
	answer(&b, 200,
	       "{\"success\":false,\"errorCode\":180020001,\"errorMsg\":\"token very-secret-access-token of"
	       "\\nmax.muster@example.org \\u001b[31m\","
	       "\"requestId\":\"eu-1\\n<x>\xC3\xA4 2\"}");
	assert_null(strstr(b.call.err.text, "very-secret"));
	assert_null(strstr(b.call.err.text, "muster"));
	assert_null(strchr(b.call.err.text, '\n'));
	assert_null(strchr(b.call.err.text, '\x1b'));
	assert_string_equal(b.call.request_id, "eu-1<x>2");
	release(&b);
	memset(long_words, 0, sizeof(long_words));
	for (size_t i = 0; i + 2 < sizeof(long_words); i += 2)
		memcpy(long_words + i, "ä", 2);
	temu_words(words, long_words);
	assert_true(strlen(words) <= TEMU_WORDS_MAX && utf8_valid(words, strlen(words)));
	temu_words(words, "a@b c\t@ d@");
	assert_string_equal(words, "*** c * **");
}

static void
too_long_request_id_is_cut(void **state)
{
	char body[600];
	struct bench b;

	(void)state;
	snprintf(body, sizeof(body), "{\"success\":true,\"errorCode\":1000000,\"requestId\":\"%0*d\"}", 300, 7);
	answer(&b, 200, body);
	assert_int_equal(strlen(b.call.request_id), TEMU_REQUEST_ID_MAX - 1);
	release(&b);
	answer(&b, 200, "{\"success\":true,\"errorCode\":\"1000000\",\"requestId\":17}");
	assert_int_equal(b.class, TEMU_OK);
	assert_string_equal(b.call.request_id, "");
	release(&b);
}

static void
every_class_has_its_words(void **state)
{
	(void)state;
	for (enum temu_class class = TEMU_OK; class <= TEMU_STRANGE; class++) {
		assert_true(temu_class_name(class)[0] != '\0');
		assert_int_equal(temu_class_advice(class)[0] == '\0', class == TEMU_OK);
		assert_int_equal(temu_class_err(class) == ERR_NONE, class == TEMU_OK);
	}
	assert_string_equal(temu_region_url("us"), "https://openapi-b-us.temu.com/openapi/router");
	assert_string_equal(temu_region_url("global"), "https://openapi-b-global.temu.com/openapi/router");
	assert_null(temu_region_url("de"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_decides),
		cmocka_unit_test(no_envelope_is_garbled),
		cmocka_unit_test(codes_have_classes),
		cmocka_unit_test(edge_pages_are_not_looked_into),
		cmocka_unit_test(transport_errors_keep_their_code),
		cmocka_unit_test(broken_characters_are_repaired),
		cmocka_unit_test(texts_are_harmless),
		cmocka_unit_test(too_long_request_id_is_cut),
		cmocka_unit_test(every_class_has_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
