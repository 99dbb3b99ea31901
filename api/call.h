/* call: one request on its way through its handler: path parameters, query, JSON body in; JSON or a problem out.
 * Problems are application/problem+json: type, title, status, detail, code, request_id, and field where one is wrong. */
#ifndef API_CALL_H
#define API_CALL_H

#include <stdint.h>
#include "api/api.h"
#include "api/httpd.h"
#include "api/workers.h"
#include "common/json.h"

#define CALL_PARAMS 2
#define CALL_PARAM_MAX 128
#define CALL_QUERY_MAX 16

struct call {
	struct api *api;
	struct httpd_request *request;
	struct httpd_response *response;
	char params[CALL_PARAMS][CALL_PARAM_MAX]; /* of the path, decoded */
	struct {
		const char *name, *value; /* decoded */
	} query[CALL_QUERY_MAX];
	int query_count;
	char *query_text; /* heap: what query points into */
};

/* Decodes %XX (and '+' when plus is set) into out. -1: not decodable, not UTF-8, with control characters, or longer than size. */
int call_decode(const char *text, size_t len, bool plus, char *out, size_t size);

/* Splits the query; every name must be one of allowed (NULL at the end) and come once. 0, or -1 with the problem written. */
int call_query_parse(struct call *call, const char *const *allowed);
/* Value, "" when absent. */
const char *call_query(const struct call *call, const char *name);
/* 0..max, 0 when absent. -1 with the problem written. */
int call_query_number(struct call *call, const char *name, int64_t max, int64_t *value);
void call_release(struct call *call);

/* The body as a JSON object whose members are all among allowed; NULL with the problem written. json_free(). */
struct json *call_body(struct call *call, const char *const *allowed);
/* The same for a path whose members may all be left out: no body at all is an empty object. */
struct json *call_body_or_none(struct call *call, const char *const *allowed);

/* The member is absent, or a text of at most most bytes (*text NULL then or borrowed). -1 with the problem written. */
int call_text(struct call *call, const struct json *body, const char *name, size_t most, const char **text);
/* "api <address>" of the caller, for the audit lines. */
#define CALL_WHO_MAX 64
void call_who(const struct call *call, char who[CALL_WHO_MAX]);

/* Writes a problem. field may be NULL. */
void call_problem(struct call *call, enum proto_error code, const char *field, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same without a call: for the server's own refusals. */
void call_plain_problem(struct httpd_response *response, enum proto_error code, int status, const char *detail);

/* Passes on what the workers said: the data with this status, or their error. */
void call_answer(struct call *call, int status, const struct answer *answer);
void call_answer_problem(struct call *call, const struct answer *answer);

/* Adds a header line. value must be free of control characters. */
void call_header(struct call *call, const char *name, const char *value);
/* Link: this path and query with name=value in place of it, rel="next". */
void call_link_next(struct call *call, const char *name, const char *value);

#endif
