/* civetweb behind our own request and response. Sockets are found by their addresses, since the library does not tell them; all
 * sending goes past it, with one deadline for the whole response. Routes and JSON are not known here. */
#include "api/httpd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "api/tcp.h"
#include "common/clock.h"
#include "common/log.h"

#define RESPONSE_MAX (1024 * 1024)
#define HEADERS_MAX 4096

struct httpd {
	struct httpd_options options;
	struct mg_context *context;
	int port;
	atomic_int connections; /* that hold a thread */
	atomic_int last_fd;     /* of the connection that was looked for last */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	int under_way;
	bool stopping;
};

struct httpd_exchange {
	struct httpd *httpd;
	struct mg_connection *conn;
	const struct mg_request_info *info;
	bool close;     /* the connection ends after this response */
	bool has_body, consumed;
	bool unread;    /* a body is on its way that nobody wants */
	bool taken;
};

/* The connection's descriptor, kept with the connection once found. -1 when it is not there. */
static int
socket_of(struct httpd_exchange *exchange)
{
	struct httpd *httpd = exchange->httpd;
	const struct mg_request_info *info = exchange->info;
	const struct tcp_ends ends = { .peer = info->remote_addr, .peer_port = info->remote_port, .own_port = info->server_port };
	intptr_t known = (intptr_t)mg_get_user_connection_data(exchange->conn);
	if (known > 0)
		return (int)known;
	int fd = tcp_find(&ends, atomic_load(&httpd->last_fd));
	if (fd >= 0) {
		atomic_store(&httpd->last_fd, fd);
		mg_set_user_connection_data(exchange->conn, (void *)(intptr_t)fd);
	}
	return fd;
}

int
httpd_take_socket(struct httpd_request *request, struct err *err)
{
	struct httpd_exchange *exchange = request->exchange;
	int fd = socket_of(exchange), own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int nothing = own < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The library keeps its number, with a socket behind it that is connected to nobody: it closes that one. */
	if (own < 0 || nothing < 0 || dup3(nothing, fd, O_CLOEXEC) < 0) {
		err_set(err, ERR_TEMP, "HTTPD", "the client's socket cannot be taken over: %m");
		if (own >= 0)
			close(own);
		own = -1;
	} else {
		exchange->taken = exchange->close = true;
		mg_disable_connection_keep_alive(exchange->conn);
	}
	if (nothing >= 0)
		close(nothing);
	return own;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

const char *
httpd_header(const struct httpd_request *request, const char *name)
{
	return mg_get_header(request->exchange->conn, name);
}

bool
httpd_header_has(const struct httpd_request *request, const char *name, const char *word)
{
	const char *at = httpd_header(request, name);
	size_t len = strlen(word);
	while (at != NULL && *at != '\0') {
		at += strspn(at, " \t,");
		size_t size = strcspn(at, " \t,");
		if (size == len && strncasecmp(at, word, len) == 0)
			return true;
		at += size;
	}
	return false;
}

static size_t
count_header(const struct mg_request_info *info, const char *name)
{
	size_t count = 0;
	for (int i = 0; i < info->num_headers; i++)
		count += strcasecmp(info->http_headers[i].name, name) == 0;
	return count;
}

/* Two lengths, a length that is no number, a length beside chunks, no or two hosts: somebody in front of us may read it
 * otherwise. */
static const char *
doubtful(const struct httpd_exchange *exchange)
{
	const struct mg_request_info *info = exchange->info;
	const char *length = mg_get_header(exchange->conn, "Content-Length");
	size_t hosts = count_header(info, "Host");
	if (count_header(info, "Content-Length") > 1 || count_header(info, "Transfer-Encoding") > 1)
		return "the length of the body is given twice";
	if (length != NULL && (length[0] == '\0' || length[strspn(length, "0123456789")] != '\0'))
		return "Content-Length is not a number";
	if (length != NULL && count_header(info, "Transfer-Encoding") > 0)
		return "Content-Length and Transfer-Encoding exclude each other";
	if (hosts > 1 || (hosts == 0 && strcmp(info->http_version, "1.1") == 0))
		return "a request has exactly one Host";
	return NULL;
}

/* The library's reader waits for every byte it is asked for: ask for one, or for what is there. */
static int
read_some(struct httpd_exchange *exchange, int fd, char *out, size_t size)
{
	int there = 0;
	if (ioctl(fd, FIONREAD, &there) != 0 || there < 1)
		there = 1;
	return mg_read(exchange->conn, out, (size_t)there < size ? (size_t)there : size);
}

static int
read_body(struct httpd_exchange *exchange, size_t length, struct buf *body, enum proto_error *code, struct err *err)
{
	int64_t until = clock_mono_ms() + exchange->httpd->options.body_ms;
	int fd = socket_of(exchange);
	char piece[4096];
	while (body->len < length) {
		size_t left = length - body->len;
		int n = read_some(exchange, fd, piece, left < sizeof(piece) ? left : sizeof(piece));
		*code = PROTO_SLOW;
		if (clock_mono_ms() > until || n <= 0)
			return err_set(err, ERR_PERM, "REQUEST_TIMEOUT", "the body did not come within %d ms", exchange->httpd->options.body_ms);
		buf_add(body, piece, (size_t)n);
	}
	return 0;
}

int
httpd_body(struct httpd_request *request, struct buf *body, enum proto_error *code, struct err *err)
{
	struct httpd_exchange *exchange = request->exchange;
	long long length = exchange->info->content_length;
	if (httpd_header(request, "Transfer-Encoding") != NULL) {
		*code = PROTO_LENGTH;
		return err_set(err, ERR_PERM, "LENGTH_REQUIRED", "send the body with Content-Length, not in chunks");
	}
	if (length > HTTPD_BODY_MAX) {
		*code = PROTO_TOO_LARGE;
		return err_set(err, ERR_PERM, "TOO_LARGE", "the body has %lld bytes, allowed are %d", length, HTTPD_BODY_MAX);
	}
	if (length <= 0)
		return 0;
	if (httpd_header_has(request, "Expect", "100-continue")) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
		if (tcp_send(socket_of(exchange), go_on, sizeof(go_on) - 1, clock_mono_ms() + 1000) != 0)
			log_debug("a client that waits for 100 Continue is gone");
	}
	if (read_body(exchange, (size_t)length, body, code, err) != 0)
		return -1;
	exchange->consumed = true;
	return 0;
}

static void
set_request_id(struct httpd_request *request)
{
	static const char usable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *given = httpd_header(request, "X-Request-Id");
	size_t len = given != NULL ? strlen(given) : 0;
	uint64_t fresh = 0;
	if (len > 0 && len < HTTPD_REQUEST_ID_MAX && strspn(given, usable) == len) {
		memcpy(request->request_id, given, len + 1);
		return;
	}
	if (getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		fresh = (uint64_t)clock_now_ms();
	snprintf(request->request_id, sizeof(request->request_id), "%016llx", (unsigned long long)fresh);
}

/* --- responses ---------------------------------------------------------------------------------------------------- */

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = { { 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" }, { 400, "Bad Request" }, { 403, "Forbidden" },
		            { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		            { 410, "Gone" }, { 411, "Length Required" }, { 413, "Content Too Large" },
		            { 415, "Unsupported Media Type" }, { 422, "Unprocessable Content" }, { 426, "Upgrade Required" },
		            { 500, "Internal Server Error" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" } };
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Other";
}

static void
format_response(const struct httpd_response *response, const char *request_id, bool head_only, bool closing, struct buf *out)
{
	char date[64];
	struct tm tm;
	time_t now = (time_t)(clock_now_ms() / 1000);
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", response->status,
	         reason(response->status), date, response->content_type, response->body.len);
	buf_addf(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nConnection: %s\r\n", request_id,
	         closing ? "close" : "keep-alive");
	buf_add(out, buf_text(&response->headers), response->headers.len);
	buf_add_text(out, "\r\n");
	if (!head_only)
		buf_add(out, buf_text(&response->body), response->body.len);
}

/* Whether the library will keep the connection, by its own rules, and whether we want it to. */
static bool
wants_close(const struct httpd_request *request)
{
	const struct httpd_exchange *exchange = request->exchange;
	const struct httpd *httpd = exchange->httpd;
	bool crowded = atomic_load(&httpd->connections) > httpd->options.threads * 3 / 4;
	bool keeps = httpd_header(request, "Connection") != NULL ? httpd_header_has(request, "Connection", "keep-alive")
	                                                         : strcmp(exchange->info->http_version, "1.1") == 0;
	return exchange->close || exchange->unread || crowded || !keeps;
}

static void
send_response(struct httpd_request *request, struct httpd_response *response)
{
	struct httpd_exchange *exchange = request->exchange;
	struct buf out;
	bool closing = wants_close(request);
	int fd = socket_of(exchange);
	buf_init(&out, RESPONSE_MAX + HEADERS_MAX);
	if (response->body.failed || response->headers.failed) {
		buf_clear(&response->body);
		buf_clear(&response->headers);
		response->status = 500;
		exchange->httpd->options.problem(response, PROTO_INTERNAL, 500, "the answer is larger than this server sends");
	}
	format_response(response, request->request_id, strcmp(request->method, "HEAD") == 0, closing, &out);
	if (closing)
		mg_disable_connection_keep_alive(exchange->conn);
	if (out.failed || fd < 0 || tcp_send(fd, out.data, out.len, clock_mono_ms() + exchange->httpd->options.request_ms) != 0)
		mg_disable_connection_keep_alive(exchange->conn);
	else if (exchange->unread)
		tcp_drain(fd);
	buf_release(&out);
}

static void
response_init(struct httpd_response *response)
{
	*response = (struct httpd_response){ .status = 200, .content_type = "application/json" };
	buf_init(&response->headers, HEADERS_MAX);
	buf_init(&response->body, RESPONSE_MAX);
}

static void
response_release(struct httpd_response *response)
{
	buf_release(&response->headers);
	buf_release(&response->body);
}

/* A refusal by the server itself. */
static void
refuse(struct httpd_request *request, struct httpd_response *response, enum proto_error code, int status, const char *text)
{
	request->exchange->close = true;
	response->status = status;
	request->exchange->httpd->options.problem(response, code, status, text);
}

/* --- what the library calls --------------------------------------------------------------------------------------- */

static bool
begin(struct httpd *httpd)
{
	pthread_mutex_lock(&httpd->lock);
	httpd->under_way++;
	bool stopping = httpd->stopping;
	pthread_mutex_unlock(&httpd->lock);
	return !stopping;
}

static void
finish(struct httpd *httpd)
{
	pthread_mutex_lock(&httpd->lock);
	if (--httpd->under_way == 0)
		pthread_cond_broadcast(&httpd->idle);
	pthread_mutex_unlock(&httpd->lock);
}

static void
answer(struct httpd_request *request, struct httpd_response *response, bool open)
{
	struct httpd_exchange *exchange = request->exchange;
	const struct httpd_options *options = &exchange->httpd->options;
	const char *doubt = doubtful(exchange);
	exchange->has_body = exchange->info->content_length > 0 || mg_get_header(exchange->conn, "Transfer-Encoding") != NULL;
	if (doubt != NULL) {
		exchange->has_body = true;
		refuse(request, response, PROTO_BAD_REQUEST, 400, doubt);
	} else if (!open) {
		refuse(request, response, PROTO_STOPPING, 503, "temu-api is shutting down");
	} else {
		options->handler(request, response, options->arg);
	}
	/* The library must not wait for a body that no handler has read. */
	exchange->unread = exchange->has_body && !exchange->consumed;
}

static int
on_request(struct mg_connection *conn)
{
	const struct mg_request_info *info = mg_get_request_info(conn);
	struct httpd *httpd = info->user_data;
	struct httpd_exchange exchange = { .httpd = httpd, .conn = conn, .info = info };
	struct httpd_request request = { .method = info->request_method, .path = info->local_uri_raw,
		                             .query = info->query_string != NULL ? info->query_string : "",
		                             .peer = info->remote_addr, .exchange = &exchange };
	struct httpd_response response;
	int64_t begun = clock_mono_ms();
	bool open = begin(httpd);
	response_init(&response);
	set_request_id(&request);
	answer(&request, &response, open);
	assert((response.status == 0) == exchange.taken);
	if (!exchange.taken)
		send_response(&request, &response);
	int status = exchange.taken ? 101 : response.status;
	log_write(status >= 400 || strcmp(request.method, "GET") != 0 ? LEVEL_INFO : LEVEL_DEBUG, "%s %s %d %lld ms from %s id %s",
	          request.method, request.path, status, (long long)(clock_mono_ms() - begun), request.peer, request.request_id);
	response_release(&response);
	finish(httpd);
	return status;
}

/* What the library refuses by itself: it could not read the request. */
static int
on_error(struct mg_connection *conn, int status, const char *text)
{
	const struct mg_request_info *info = mg_get_request_info(conn);
	struct httpd *httpd = info->user_data;
	struct httpd_exchange exchange = { .httpd = httpd, .conn = conn, .info = info, .close = true, .unread = true };
	struct httpd_request request = { .method = "", .path = "", .query = "", .peer = info->remote_addr, .exchange = &exchange };
	struct httpd_response response;
	struct buf out;
	int fd = socket_of(&exchange);
	enum proto_error code = status == 413 ? PROTO_TOO_LARGE : status == 411 ? PROTO_LENGTH : PROTO_BAD_REQUEST;
	response_init(&response);
	buf_init(&out, RESPONSE_MAX);
	response.status = status;
	httpd->options.problem(&response, code, status, text);
	snprintf(request.request_id, sizeof(request.request_id), "unread");
	format_response(&response, request.request_id, false, true, &out);
	if (fd >= 0 && tcp_send(fd, out.data, out.len, clock_mono_ms() + 1000) == 0)
		tcp_drain(fd);
	log_info("a request from %s could not be read: %d %s", request.peer, status, text);
	buf_release(&out);
	response_release(&response);
	return 0;
}

static int
on_log(const struct mg_connection *conn, const char *message)
{
	(void)conn;
	log_warning("http server: %s", message);
	return 1;
}

static int
on_connection(const struct mg_connection *conn, void **data)
{
	struct httpd *httpd = mg_get_user_data(mg_get_context(conn));
	*data = NULL;
	atomic_fetch_add(&httpd->connections, 1);
	return 0;
}

static void
on_closed(const struct mg_connection *conn)
{
	struct httpd *httpd = mg_get_user_data(mg_get_context(conn));
	atomic_fetch_sub(&httpd->connections, 1);
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

/* "127.0.0.1:8000". Nothing that the library would read as an option of the port (s: TLS, r: redirect) can come in here. */
static int
format_address(const struct httpd_options *options, char *out, size_t size, struct err *err)
{
	struct in_addr address;
	const char *host = strcmp(options->host, "localhost") == 0 ? "127.0.0.1" : options->host;
	if (inet_pton(AF_INET, host, &address) != 1)
		return err_set(err, ERR_PERM, "HTTPD", "api.host: \"%s\" is not an IPv4 address; TLS (a port with s or r) is not served, put "
		               "a proxy in front", options->host);
	if (options->port < 0 || options->port > 65535)
		return err_set(err, ERR_PERM, "HTTPD", "api.port: %d is not a port", options->port);
	snprintf(out, size, "%s:%d", host, options->port);
	return 0;
}

static int
start_library(struct httpd *httpd, const char *address, struct err *err)
{
	char threads[16], request_ms[16], keep_alive_ms[16];
	struct mg_server_port port;
	const char *options[] = {
		"listening_ports", address, "num_threads", threads, "request_timeout_ms", request_ms, "keep_alive_timeout_ms",
		keep_alive_ms, "enable_keep_alive", "yes", "tcp_nodelay", "1", "enable_directory_listing", "no", "cgi_pattern", "",
		"ssi_pattern", "", "access_control_allow_origin", "", "access_control_allow_methods", "", "access_control_allow_headers", "",
		"decode_url", "no", "enable_auth_domain_check", "no", "connection_queue", "128", "listen_backlog", "1024",
		"max_request_size", "16384", NULL,
	};
	const struct mg_callbacks callbacks = { .begin_request = on_request, .http_error = on_error, .log_message = on_log,
		                                    .init_connection = on_connection, .connection_closed = on_closed };
	snprintf(threads, sizeof(threads), "%d", httpd->options.threads);
	snprintf(request_ms, sizeof(request_ms), "%d", httpd->options.request_ms);
	snprintf(keep_alive_ms, sizeof(keep_alive_ms), "%d", httpd->options.keep_alive_ms);
	httpd->context = mg_start(&callbacks, httpd, options);
	if (httpd->context == NULL)
		return err_set(err, ERR_PERM, "HTTPD", "cannot listen on %s with %s threads; is the port taken?", address, threads);
	if (mg_get_server_ports(httpd->context, 1, &port) != 1)
		return err_set(err, ERR_PERM, "HTTPD", "the port of %s is not known", address);
	httpd->port = port.port;
	return 0;
}

struct httpd *
httpd_start(const struct httpd_options *options, struct err *err)
{
	char address[40];
	struct httpd *httpd;
	pthread_condattr_t attr;
	if (format_address(options, address, sizeof(address), err) != 0)
		return NULL;
	httpd = calloc(1, sizeof(*httpd));
	if (httpd == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "no memory for the http server");
		return NULL;
	}
	httpd->options = *options;
	pthread_mutex_init(&httpd->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&httpd->idle, &attr);
	pthread_condattr_destroy(&attr);
	mg_init_library(MG_FEATURES_DEFAULT);
	if (start_library(httpd, address, err) != 0) {
		httpd_free(httpd);
		return NULL;
	}
	return httpd;
}

int
httpd_port(const struct httpd *httpd)
{
	return httpd->port;
}

void
httpd_stop(struct httpd *httpd, int limit_ms)
{
	struct timespec until = clock_kernel_after(limit_ms);
	int rc = 0;
	pthread_mutex_lock(&httpd->lock);
	if (!httpd->stopping)
		tcp_close_port(httpd->port);
	httpd->stopping = true;
	while (rc == 0 && httpd->under_way > 0)
		rc = pthread_cond_timedwait(&httpd->idle, &httpd->lock, &until);
	pthread_mutex_unlock(&httpd->lock);
}

void
httpd_free(struct httpd *httpd)
{
	if (httpd == NULL)
		return;
	if (httpd->context != NULL)
		mg_stop(httpd->context);
	mg_exit_library();
	pthread_cond_destroy(&httpd->idle);
	pthread_mutex_destroy(&httpd->lock);
	free(httpd);
}
