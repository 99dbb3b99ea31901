/* httpd: the HTTP server, the only place that knows the library under it. One handler answers everything; the server keeps
 * deadlines, limits and the form of requests and responses. Plain HTTP on one IPv4 address; TLS is a proxy's work
 * (libraries.md section 1: this library crashes on it). */
#ifndef API_HTTPD_H
#define API_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/proto.h"

#define HTTPD_REQUEST_ID_MAX 65
#define HTTPD_BODY_MAX (64 * 1024)

struct httpd_request {
	const char *method;     /* upper case */
	const char *path;       /* as it came: not decoded, without the query */
	const char *query;      /* as it came; "" when there is none */
	const char *peer;       /* address of the client */
	char request_id[HTTPD_REQUEST_ID_MAX]; /* the client's X-Request-Id if it is usable, else a fresh one */
	struct httpd_exchange *exchange;
};

struct httpd_response {
	int status;               /* 0: the socket was taken, nothing is sent */
	const char *content_type;
	struct buf headers;       /* whole further lines, each with its CRLF */
	struct buf body;
};

/* On one of the server's threads (about 79 KB of stack). Fills the response, which is sent afterwards. */
typedef void httpd_handler(struct httpd_request *request, struct httpd_response *response, void *arg);

struct httpd_options {
	const char *host;     /* an IPv4 address, or localhost */
	int port;             /* 0: a free one */
	int threads;
	int request_ms;       /* for the headers to come, and for the response to go */
	int body_ms;          /* for the body to come */
	int keep_alive_ms;    /* how long an idle connection keeps its thread */
	httpd_handler *handler;
	void *arg;
	/* A refusal by the server itself, before any handler: fills content_type and body. */
	void (*problem)(struct httpd_response *response, enum proto_error code, int status, const char *text);
};
#define HTTPD_OPTIONS_INIT { .host = "127.0.0.1", .threads = 64, .request_ms = 5000, .body_ms = 5000, .keep_alive_ms = 2000 }

struct httpd;
/* NULL on error: HTTPD (PERM): address not usable, port taken, not enough threads. */
struct httpd *httpd_start(const struct httpd_options *options, struct err *err) MUSTCHECK;
int httpd_port(const struct httpd *httpd);
/* Closes the port at once, answers what comes on open connections with 503, and waits at most limit_ms for the requests under
 * way. Does not wait for the library's threads: the process ends with _exit. */
void httpd_stop(struct httpd *httpd, int limit_ms);
/* After httpd_stop, for tests: ends the library too (it may take two seconds). NULL is fine. */
void httpd_free(struct httpd *httpd);

/* Value of a header, NULL when absent. Borrowed. */
const char *httpd_header(const struct httpd_request *request, const char *name);
/* Whether a comma separated header names the word (case does not matter). */
bool httpd_header_has(const struct httpd_request *request, const char *name, const char *word);

/* Reads the body. 0, or -1 with *code (LENGTH_REQUIRED, TOO_LARGE, REQUEST_TIMEOUT, BAD_REQUEST) and the text. */
int httpd_body(struct httpd_request *request, struct buf *body, enum proto_error *code, struct err *err) MUSTCHECK;

/* Takes the client's socket out of the server: it belongs to the caller, and the server forgets the connection. The response's
 * status must then be 0. -1 when that is not possible. */
int httpd_take_socket(struct httpd_request *request, struct err *err) MUSTCHECK;

#endif
