/* Reading requests and writing answers, the same way for every route. Which routes there are is in routes.c. */
#include "api/call.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/utf8.h"

static const char *const titles[] = {
#define ERROR_CODE(id, name, http, help) [id] = help,
#include "proto/messages.def"
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
call_decode(const char *text, size_t len, bool plus, char *out, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			int high = i + 2 < len ? hex(text[i + 1]) : -1;
			int low = high >= 0 ? hex(text[i + 2]) : -1;
			if (low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if ((unsigned char)c < 0x20 || c == 0x7F || used + 1 >= size)
			return -1;
		out[used++] = c;
	}
	out[used] = '\0';
	return utf8_valid(out, used) ? 0 : -1;
}

static bool
is_one_of(const char *name, const char *const *allowed)
{
	for (; *allowed != NULL; allowed++)
		if (strcmp(*allowed, name) == 0)
			return true;
	return false;
}

/* One name=value into the text buffer. */
static int
add_pair(struct call *call, const char *pair, size_t len, char *out, size_t size)
{
	const char *equals = memchr(pair, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - pair) : len;
	char *value;
	if (call->query_count == CALL_QUERY_MAX || call_decode(pair, name_len, true, out, size) != 0)
		return -1;
	value = out + strlen(out) + 1;
	value[0] = '\0';
	if (equals != NULL && call_decode(equals + 1, len - name_len - 1, true, value, size - (size_t)(value - out)) != 0)
		return -1;
	call->query[call->query_count].name = out;
	call->query[call->query_count++].value = value;
	return 0;
}

int
call_query_parse(struct call *call, const char *const *allowed)
{
	const char *at = call->request->query;
	size_t size = strlen(at) * 2 + 4, used = 0; /* a pair needs two NULs and is at least "&" long */
	call->query_text = malloc(size);
	if (call->query_text == NULL) {
		call_problem(call, PROTO_INTERNAL, NULL, "no memory for the query");
		return -1;
	}
	for (; *at != '\0'; at += strcspn(at, "&"), at += *at == '&') {
		size_t len = strcspn(at, "&");
		if (len == 0)
			continue;
		if (add_pair(call, at, len, call->query_text + used, size - used) != 0) {
			call_problem(call, PROTO_BAD_REQUEST, NULL, "the query cannot be read");
			return -1;
		}
		const char *name = call->query[call->query_count - 1].name;
		bool twice = call_query(call, name) != call->query[call->query_count - 1].value;
		if (twice || !is_one_of(name, allowed)) {
			call_problem(call, PROTO_BAD_REQUEST, name, twice ? "given twice" : "this path does not know it");
			return -1;
		}
		used = (size_t)(call->query[call->query_count - 1].value - call->query_text) +
		       strlen(call->query[call->query_count - 1].value) + 1;
	}
	return 0;
}

const char *
call_query(const struct call *call, const char *name)
{
	for (int i = 0; i < call->query_count; i++)
		if (strcmp(call->query[i].name, name) == 0)
			return call->query[i].value;
	return "";
}

int
call_query_number(struct call *call, const char *name, int64_t max, int64_t *value)
{
	const char *text = call_query(call, name);
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (strspn(text, "0123456789") == strlen(text) && errno == 0 && *value <= max)
		return 0;
	call_problem(call, PROTO_BAD_REQUEST, name, "expected a whole number from 0 to %lld", (long long)max);
	return -1;
}

void
call_release(struct call *call)
{
	free(call->query_text);
	call->query_text = NULL;
	call->query_count = 0;
}

/* JSON, or what curl -d says when nobody told it the type. */
static bool
type_is_json(const struct call *call)
{
	const char *type = httpd_header(call->request, "Content-Type");
	if (type == NULL)
		return true;
	size_t len = strcspn(type, "; \t");
	return (len == 16 && strncasecmp(type, "application/json", len) == 0) ||
	       (len == 33 && strncasecmp(type, "application/x-www-form-urlencoded", len) == 0);
}

static int
check_members(struct call *call, const struct json *doc, const char *const *allowed)
{
	for (const struct json *member = json_first(doc); member != NULL; member = json_next(member)) {
		const char *name = json_name(member);
		bool twice = json_get(doc, name) != member;
		if (twice || !is_one_of(name, allowed)) {
			call_problem(call, PROTO_BAD_REQUEST, name, twice ? "given twice" : "this path does not know it");
			return -1;
		}
	}
	return 0;
}

static struct json *
read_object(struct call *call, const char *const *allowed, const char *absent)
{
	struct json *doc = NULL;
	struct buf body;
	struct err err = ERR_INIT;
	enum proto_error code;
	buf_init(&body, HTTPD_BODY_MAX);
	if (!type_is_json(call)) {
		call_problem(call, PROTO_MEDIA_TYPE, NULL, "send the body as application/json");
	} else if (httpd_body(call->request, &body, &code, &err) != 0) {
		call_problem(call, code, NULL, "%s", err.text);
	} else if ((doc = body.len > 0 ? json_parse(body.data, body.len, &err) : json_parse(absent, strlen(absent), &err)) == NULL) {
		call_problem(call, PROTO_BAD_REQUEST, NULL, "the body is not JSON: %s", err.text);
	} else if (!json_is_object(doc)) {
		call_problem(call, PROTO_BAD_REQUEST, NULL, "the body is not a JSON object");
		json_free(doc);
		doc = NULL;
	} else if (check_members(call, doc, allowed) != 0) {
		json_free(doc);
		doc = NULL;
	}
	buf_release(&body);
	return doc;
}

struct json *
call_body(struct call *call, const char *const *allowed)
{
	return read_object(call, allowed, "");
}

struct json *
call_body_or_none(struct call *call, const char *const *allowed)
{
	return read_object(call, allowed, "{}");
}

int
call_text(struct call *call, const struct json *body, const char *name, size_t most, const char **text)
{
	const struct json *member = json_get(body, name);
	*text = json_string(member);
	if (json_is_null(member) || (*text != NULL && strlen(*text) <= most))
		return 0;
	call_problem(call, PROTO_BAD_REQUEST, name, "expected a text of at most %zu bytes", most);
	return -1;
}

void
call_who(const struct call *call, char who[CALL_WHO_MAX])
{
	snprintf(who, CALL_WHO_MAX, "api %.45s", call->request->peer);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static const char *
retry_after(enum proto_error code)
{
	switch (code) {
	case PROTO_WORKERS_DOWN:
	case PROTO_STOPPING:
		return "2";
	case PROTO_QUEUE_FULL:
	case PROTO_BUSY:
		return "10";
	default:
		return NULL;
	}
}

/* Opens the problem; the caller may add members and closes it. */
static void
problem_open(struct httpd_response *response, enum proto_error code, int status, const char *detail)
{
	char type[80];
	response->status = status;
	response->content_type = "application/problem+json";
	buf_clear(&response->body);
	snprintf(type, sizeof(type), "urn:temu:error:%s", proto_error_name(code));
	json_object_open(&response->body, NULL);
	json_add_string(&response->body, "type", type);
	json_add_string(&response->body, "title", titles[code]);
	json_add_int64(&response->body, "status", status);
	json_add_string(&response->body, "detail", detail);
	json_add_string(&response->body, "code", proto_error_name(code));
	if (status == 503 && retry_after(code) != NULL)
		buf_addf(&response->headers, "Retry-After: %s\r\n", retry_after(code));
}

void
call_plain_problem(struct httpd_response *response, enum proto_error code, int status, const char *detail)
{
	problem_open(response, code, status, detail);
	json_object_close(&response->body);
}

void
call_problem(struct call *call, enum proto_error code, const char *field, const char *fmt, ...)
{
	char detail[ERR_TEXT_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	problem_open(call->response, code, proto_error_http(code), detail);
	if (field != NULL)
		json_add_string(&call->response->body, "field", field);
	json_add_string(&call->response->body, "request_id", call->request->request_id);
	json_object_close(&call->response->body);
}

/* The workers name a wrong field at the beginning of the text: "field limit: ...", "params.mode: ...". */
static void
add_field(struct buf *out, const struct answer *answer)
{
	static const char in_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
	const char *at = strncmp(answer->text, "field ", 6) == 0 ? answer->text + 6 : answer->text;
	char name[64];
	size_t len = strspn(at, in_names);
	if (answer->code != PROTO_BAD_REQUEST || len == 0 || len >= sizeof(name) || at[len] != ':')
		return;
	memcpy(name, at, len);
	name[len] = '\0';
	json_add_string(out, "field", name);
}

void
call_answer_problem(struct call *call, const struct answer *answer)
{
	static const char *const ours[] = { "type", "title", "status", "detail", "code", "field", "request_id", NULL };
	struct buf *body = &call->response->body;
	problem_open(call->response, answer->code, proto_error_http(answer->code), answer->text);
	add_field(body, answer);
	for (const struct json *member = json_first(answer->data); member != NULL; member = json_next(member)) {
		struct buf value;
		if (is_one_of(json_name(member), ours))
			continue;
		buf_init(&value, PROTO_CHUNK_MAX);
		json_print(member, &value);
		json_add_raw(body, json_name(member), buf_text(&value));
		buf_release(&value);
	}
	json_add_string(body, "request_id", call->request->request_id);
	json_object_close(body);
}

void
call_answer(struct call *call, int status, const struct answer *answer)
{
	if (!answer->ok) {
		call_answer_problem(call, answer);
		return;
	}
	call->response->status = status;
	json_print(answer->data, &call->response->body);
}

void
call_header(struct call *call, const char *name, const char *value)
{
	buf_addf(&call->response->headers, "%s: %s\r\n", name, value);
}

/* What is not plainly harmless in a query goes as %XX. */
static void
add_encoded(struct buf *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:";
	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL)
			buf_add_char(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

void
call_link_next(struct call *call, const char *name, const char *value)
{
	struct buf *out = &call->response->headers;
	buf_addf(out, "Link: <%s?%s=", call->request->path, name);
	add_encoded(out, value);
	for (int i = 0; i < call->query_count; i++) {
		if (strcmp(call->query[i].name, name) == 0)
			continue;
		buf_addf(out, "&%s=", call->query[i].name);
		add_encoded(out, call->query[i].value);
	}
	buf_add_text(out, ">; rel=\"next\"\r\n");
}
