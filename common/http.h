/* http: several requests in flight from one thread, over libcurl's multi interface with kept-alive connections.
 * One `struct http` belongs to one thread at a time. Proxies from the environment are ignored. No redirects. */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

struct http;

/* A request that is a mail: url is smtps://host or smtp://host (upgraded with STARTTLS, without which only loopback addresses are
 * served), body the whole message with CRLF line ends. Its status is the server's last reply code. */
struct http_mail {
	const char *from;      /* plain addresses */
	const char *const *to;
	size_t to_count;
	const char *user;      /* NULL = no login */
	const char *password;
};

/* max_connections: in flight at most. ca_file: NULL for the system's. NULL on error: HTTP_SETUP (PERM), HTTP_MEMORY. */
struct http *http_new(int max_connections, const char *ca_file, struct err *err) MUSTCHECK;
void http_free(struct http *http); /* aborts what is in flight without calling back */

struct http_request {
	const char *url;          /* https, or http for loopback addresses only (refused otherwise, PERM) */
	const char *body;         /* POST when not NULL, GET otherwise; borrowed until done is called */
	size_t body_len;
	const char *content_type; /* with a body */
	const char *header;       /* one more header line "Name: value", NULL = none */
	const struct http_mail *mail; /* NULL = HTTP */
	bool hide_path;           /* the path is a secret too: error texts name the host only */
	int connect_timeout_ms, timeout_ms;
	size_t max_response;      /* bytes after decompression; more is a PERM error HTTP_TOO_LARGE */
	/* On the thread inside http_step or http_cancel. May start this or another request, may buf_take the response; must
	 * not free the request (its response is released right afterwards) nor call http_step, http_cancel or http_free. */
	void (*done)(struct http_request *request, void *arg);
	void *arg;

	/* Filled before done is called. */
	/* class NONE when an HTTP answer of any status arrived in full. TEMP: HTTP_DNS, HTTP_CONNECT, HTTP_TLS,
	 * HTTP_TIMEOUT, HTTP_RESET, HTTP_TRUNCATED, HTTP_GARBLED (not HTTP, bad compression), HTTP_MEMORY, HTTP_FAILED
	 * (other). PERM: HTTP_TOO_LARGE, HTTP_CERTIFICATE, HTTP_PROTOCOL, HTTP_URL. CANCELLED: HTTP_CANCELLED. The text
	 * names method, host and path, never the query. Of a mail also: PERM MAIL_LOGIN, TEMP MAIL_REFUSED. */
	struct err err;
	bool maybe_sent;          /* on failure: the request may have reached the server. A POST is never sent twice */
	int status;               /* 0 when no status line came; on failure what came of the answer is for the log only */
	int64_t retry_after_ms;   /* -1 = header absent */
	int64_t date_ms;          /* Date header, -1 = absent or unreadable */
	struct buf response;      /* owned by the request; released by http after done returns */
};

#define HTTP_LABEL_MAX 256
/* Which addresses are called at all: https, or http for loopback addresses. Judged by curl's own parser.
 * 0 and, unless label is NULL, "scheme://host:port/path" (no user, no query) in label[HTTP_LABEL_MAX]; or -1 with
 * HTTP_URL (PERM) or HTTP_MEMORY (TEMP). */
int http_url_check(const char *text, char *label, struct err *err) MUSTCHECK;
/* The same for servers of mail: smtp or smtps, host and port only. */
int http_mail_check(const char *text, char *label, struct err *err) MUSTCHECK;

/* Starts a request; nothing moves before http_step. The struct must stay put until done has returned. 0, or -1 when it
 * could not be started (done is not called): HTTP_URL (PERM), HTTP_BUSY (all connections in use), HTTP_MEMORY,
 * HTTP_CANCELLED (called from done within http_cancel). */
int http_start(struct http *http, struct http_request *request, struct err *err) MUSTCHECK;

/* Moves everything along and calls done for what finished; waits at most timeout_ms for something to happen (also with
 * nothing in flight: for http_wakeup). Returns how many are still in flight. */
int http_step(struct http *http, int timeout_ms);

/* Aborts all in flight: done is called with CANCELLED and maybe_sent. */
void http_cancel(struct http *http);

/* From any thread: makes a waiting http_step return at once. */
void http_wakeup(struct http *http);

#endif
