/* From bytes to a judged call: strict about the envelope, tolerant about what is in it. Bodies never get into a text: they hold
 * customers' data. Retrying is temu.c's business, the meaning of `result` the endpoint's. */
#include "worker/temu/temu_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"

#define LATER_MS 300000

void
temu_answer_forget(struct temu_call *call)
{
	json_free(call->document);
	call->document = NULL;
	call->result = NULL;
}

/* --- repair ---------------------------------------------------------------------------------------------------- */

#define REPLACEMENT "\xEF\xBF\xBD"

/* The code unit of \uXXXX at text, -1 when there is none. */
static int
unit_at(const char *text, size_t len)
{
	int unit = 0;
	if (len < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		const char *digits = "0123456789abcdef0123456789ABCDEF";
		const char *at = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
		if (at == NULL)
			return -1;
		unit = unit * 16 + (int)((at - digits) % 16);
	}
	return unit;
}

static bool
is_high(int unit)
{
	return unit >= 0xD800 && unit < 0xDC00;
}

static bool
is_low(int unit)
{
	return unit >= 0xDC00 && unit < 0xE000;
}

/* Copies one escape; returns its length in the source. */
static size_t
repair_escape(const char *text, size_t len, struct buf *out, bool *repaired)
{
	int unit = unit_at(text, len);
	if (is_high(unit) && is_low(unit_at(text + 6, len - 6))) {
		buf_add(out, text, 12);
		return 12;
	}
	if (unit == 0 || is_high(unit) || is_low(unit)) {
		buf_add_text(out, "\\ufffd");
		*repaired = true;
		return 6;
	}
	size_t step = len >= 2 && (unsigned char)text[1] < 0x80 ? 2 : 1; /* also keeps "\\" together */
	buf_add(out, text, step);
	return step;
}

/* One name with a broken character must not cost the whole page. True when something was replaced. */
static bool
repair(const char *text, size_t len, struct buf *out)
{
	bool repaired = false;
	for (size_t at = 0; at < len;) {
		size_t step = utf8_sequence(text + at, len - at);
		if (text[at] == '\\') {
			step = repair_escape(text + at, len - at, out, &repaired);
		} else if (step == 0) {
			buf_add_text(out, REPLACEMENT);
			repaired = true;
			step = 1;
		} else {
			buf_add(out, text + at, step);
		}
		at += step;
	}
	return repaired && !out->failed;
}

static struct json *
parse(const char *text, size_t len, bool *repaired, struct err *err)
{
	struct json *root = json_parse(text, len, err);
	*repaired = false;
	if (root != NULL)
		return root;
	struct buf mended;
	buf_init(&mended, len * 6 + 16);
	*repaired = repair(text, len, &mended);
	if (*repaired) {
		err_clear(err);
		root = json_parse(buf_text(&mended), mended.len, err);
	}
	buf_release(&mended);
	return root;
}

/* --- texts ----------------------------------------------------------------------------------------------------- */

/* Printable ASCII only: it goes into logs and tables. */
static void
copy_request_id(char out[TEMU_REQUEST_ID_MAX], const char *text)
{
	size_t len = 0;
	for (; text != NULL && *text != '\0' && len < TEMU_REQUEST_ID_MAX - 1; text++)
		if (*text > ' ' && *text < 0x7f)
			out[len++] = *text;
	out[len] = '\0';
}

void
temu_words(char out[TEMU_WORDS_MAX + 1], const char *text)
{
	size_t len = utf8_cut(text, strlen(text), TEMU_WORDS_MAX);
	memcpy(out, text, len);
	out[len] = '\0';
	for (char *word = out; *word != '\0';) {
		while (*word != '\0' && (unsigned char)*word <= ' ')
			*word++ = ' ';
		size_t n = 0;
		while ((unsigned char)word[n] > ' ')
			n++;
		if (memchr(word, '@', n) != NULL)
			memset(word, '*', n);
		word += n;
	}
	secret_mask(out);
}

static void
set_code_err(struct temu_call *call, const char *message)
{
	char code[ERR_CODE_MAX], words[TEMU_WORDS_MAX + 1];
	const char *id = call->request_id[0] != '\0' ? call->request_id : "not given";

	snprintf(code, sizeof(code), "TEMU_%" PRId64, call->code);
	temu_words(words, message);
	err_set_number(&call->err, temu_class_err(call->class), code, call->code, "%s: TEMU %" PRId64 " \"%s\" (request %s): %s",
	               call->type, call->code, words, id, temu_class_advice(call->class));
	if (call->class == TEMU_LATER)
		call->err.wait_ms = LATER_MS;
}

/* --- the answer ------------------------------------------------------------------------------------------------ */

static enum temu_class
garbled(struct temu_call *call, const char *what)
{
	temu_answer_forget(call);
	err_set_number(&call->err, ERR_TEMP, "TEMU_GARBLED", call->status, "%s: TEMU's answer is no envelope: %s (request %s)", call->type,
	               what, call->request_id[0] != '\0' ? call->request_id : "not given");
	return TEMU_R;
}

static bool
is_text_or_absent(const struct json *value)
{
	return json_is_null(value) || json_is_string(value);
}

/* *doubtful stays true for what the gateway may have begun. */
static enum temu_class
read_envelope(struct temu_call *call, const struct buf *body, bool *doubtful)
{
	struct err err = ERR_INIT;
	bool success;

	call->document = parse(buf_text(body), body->len, &call->repaired, &err);
	if (call->document == NULL)
		return garbled(call, body->len == 0 ? "empty" : body->data[0] == '<' ? "a web page" : "no JSON, or cut");
	const struct json *root = call->document, *code = json_get(root, "errorCode"), *message = json_get(root, "errorMsg");
	const struct json *result = json_get(root, "result");
	copy_request_id(call->request_id, json_string(json_get(root, "requestId")));
	if (!json_is_object(root))
		return garbled(call, "no object");
	if (json_bool(json_get(root, "success"), &success) != 0)
		return garbled(call, "no \"success\"");
	if (json_int64(code, &call->code) != 0 && !(success && json_is_null(code)))
		return garbled(call, "no \"errorCode\"");
	if (!is_text_or_absent(message))
		return garbled(call, "\"errorMsg\" is no text");
	if (success) { /* the only reliable flag: errorCode was seen to contradict it (3.1) */
		call->result = json_is_null(result) ? NULL : result;
		return call->class = TEMU_OK;
	}
	const char *words = json_string(message) != NULL ? json_string(message) : "";
	call->class = temu_code_class(call->code, words);
	if (call->class == TEMU_OK)
		call->class = TEMU_STRANGE;
	set_code_err(call, words);
	*doubtful = call->class == TEMU_R || call->class == TEMU_R1;
	return call->class;
}

/* A page of the edge, never TEMU's own words: not looked into (1.2). */
static enum temu_class
read_edge(struct temu_call *call, const struct http_request *request, bool *doubtful)
{
	bool temp = request->status >= 500 || request->status == 408 || request->status == 429;
	char code[ERR_CODE_MAX];

	snprintf(code, sizeof(code), "HTTP_%d", request->status);
	err_set_number(&call->err, temp ? ERR_TEMP : ERR_PERM, code, request->status, "%s: HTTP status %d instead of an answer of TEMU",
	               call->type, request->status);
	call->err.wait_ms = temp ? request->retry_after_ms : -1;
	*doubtful = request->status >= 500 || request->status == 408;
	return request->status == 429 ? TEMU_RATE : temp ? TEMU_R : TEMU_STRANGE;
}

enum temu_class
temu_answer_read(struct temu_call *call, const struct http_request *request, bool *doubtful)
{
	call->status = request->status;
	call->err = (struct err)ERR_INIT;
	call->class = TEMU_OK;
	call->code = 0;
	call->request_id[0] = '\0';
	call->repaired = false;
	if (request->err.class != ERR_NONE) {
		call->err = request->err;
		err_context(&call->err, "%s", call->type);
		*doubtful = request->maybe_sent;
		return request->err.class == ERR_TEMP ? TEMU_R : TEMU_STRANGE;
	}
	if (request->status != 200)
		return read_edge(call, request, doubtful);
	*doubtful = true;
	enum temu_class class = read_envelope(call, &request->response, doubtful);
	if (class != TEMU_OK && class != TEMU_R && class != TEMU_R1)
		*doubtful = false;
	return class;
}
