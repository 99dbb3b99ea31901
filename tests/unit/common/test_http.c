/* Tests of common/http against a small server of raw sockets that misbehaves by path ("GET /reset" resets and so on),
 * and against one that speaks TLS with a certificate of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/http.h"

#define LONG_MS 20000
#define OK_HEAD "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 05:04:17 GMT\r\n"

/* 256 KB of zero bytes. */
static const unsigned char bomb[] = {
	31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 193, 49, 1, 0, 0, 0, 194, 160, 245, 79, 237,
	109, 7, 160, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 222, 0, 34, 234, 14, 226, 0,
	0, 4, 0,
};

static const unsigned char packed[] = { /* "unpacked" */
	31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 205, 43, 72, 76, 206, 78, 77, 1, 0, 150, 98, 47, 202, 8, 0, 0, 0,
};

/* --- the server: a thread per connection, for ever ------------------------------------------------------------- */

static struct {
	int fd, port;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int accepts, requests, empty_posts; /* what came in */
	int together;                       /* requests for /together now waiting */
	char last_head[4000];
} server = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

struct request {
	int fd;
	char data[70000];
	size_t len, head_len, body_len;
};

static void say(int fd, const void *data, size_t len)
{
	if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		return; /* the client has hung up, which is what some tests do */
}

static void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

static void say_body(int fd, const char *headers, const void *body, size_t len)
{
	char head[500];

	snprintf(head, sizeof(head), OK_HEAD "%sContent-Length: %zu\r\n\r\n", headers, len);
	say_text(fd, head);
	say(fd, body, len);
}

/* Reads one request whole. False at the end of the connection. */
static bool take_request(struct request *request)
{
	char *end = NULL, *length;
	ssize_t got;

	request->len = request->head_len = request->body_len = 0;
	while (end == NULL || request->len < request->head_len + request->body_len) {
		got = recv(request->fd, request->data + request->len, sizeof(request->data) - 1 - request->len, 0);
		if (got <= 0 || request->data[0] < 'A')
			return false; /* hung up, or a TLS greeting */
		request->len += (size_t)got;
		request->data[request->len] = '\0';
		if (end != NULL)
			continue;
		end = strstr(request->data, "\r\n\r\n");
		if (end == NULL)
			continue;
		request->head_len = (size_t)(end - request->data) + 4;
		length = strstr(request->data, "Content-Length: ");
		if (length != NULL && length < end)
			request->body_len = (size_t)strtoul(length + 16, NULL, 10);
	}
	return true;
}

static void answer_chunks(int fd)
{
	static const char zeros[8192];

	say_text(fd, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 40; i++) {
		say_text(fd, "2000\r\n");
		say(fd, zeros, sizeof(zeros));
		say_text(fd, "\r\n");
	}
	say_text(fd, "0\r\n\r\n");
}

static void answer_together(int fd)
{
	pthread_mutex_lock(&server.lock);
	server.together++;
	pthread_cond_broadcast(&server.changed);
	while (server.together < 8)
		pthread_cond_wait(&server.changed, &server.lock);
	pthread_mutex_unlock(&server.lock);
	say_body(fd, "", "8", 1);
}

static void hang_up_hard(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Answers by path. False when the connection ends here. */
static bool answer(struct request *request)
{
	const int fd = request->fd;
	char path[64], byte;

	if (sscanf(request->data, "%*s %63[^ ?]", path) != 1)
		return false;
	if (strcmp(path, "/ok") == 0)
		say_body(fd, "Content-Type: text/plain\r\n", "hello", 5);
	else if (strcmp(path, "/echo") == 0)
		say_body(fd, "", request->data + request->head_len, request->body_len);
	else if (strcmp(path, "/502") == 0)
		say_text(fd, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>");
	else if (strcmp(path, "/302") == 0)
		say_text(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/retry") == 0)
		say_body(fd, "Retry-After: 7\r\n", "", 0);
	else if (strcmp(path, "/retry-zero") == 0)
		say_body(fd, "Retry-After: 0\r\n", "", 0);
	else if (strcmp(path, "/retry-date") == 0)
		say_body(fd, "Retry-After: Tue, 24 Nov 2026 05:05:47 GMT\r\n", "", 0);
	else if (strcmp(path, "/retry-past") == 0)
		say_body(fd, "Retry-After: Tue, 24 Nov 2020 05:05:47 GMT\r\n", "", 0);
	else if (strcmp(path, "/retry-junk") == 0)
		say_body(fd, "Retry-After: soon\r\n", "", 0);
	else if (strcmp(path, "/packed") == 0)
		say_body(fd, "Content-Encoding: gzip\r\n", packed, sizeof(packed));
	else if (strcmp(path, "/bomb") == 0)
		say_body(fd, "Content-Encoding: gzip\r\n", bomb, sizeof(bomb));
	else if (strcmp(path, "/bad-gzip") == 0)
		say_body(fd, "Content-Encoding: gzip\r\n", "this is not gzip", 16);
	else if (strcmp(path, "/chunked") == 0)
		answer_chunks(fd);
	else if (strcmp(path, "/together") == 0)
		answer_together(fd);
	else {
		if (strcmp(path, "/truncated") == 0)
			say_text(fd, OK_HEAD "Content-Length: 100\r\n\r\n0123456789");
		else if (strcmp(path, "/garbage") == 0)
			say_text(fd, "220 this is a mail server\r\n\r\n");
		else if (strcmp(path, "/reset") == 0)
			hang_up_hard(fd);
		else if (strcmp(path, "/hang") == 0)
			while (recv(fd, &byte, 1, 0) > 0)
				continue;
		return false; /* also /empty: hangs up without an answer */
	}
	return true;
}

static void *serve_connection(void *arg)
{
	struct request *request = arg;
	bool more = true;

	while (more && take_request(request)) {
		pthread_mutex_lock(&server.lock);
		server.requests++;
		if (strncmp(request->data, "POST /empty", 11) == 0)
			server.empty_posts++;
		snprintf(server.last_head, sizeof(server.last_head), "%.*s", (int)request->head_len, request->data);
		pthread_cond_broadcast(&server.changed);
		pthread_mutex_unlock(&server.lock);
		more = answer(request);
	}
	close(request->fd);
	free(request);
	return NULL;
}

static void *serve(void *arg)
{
	for (;;) {
		struct request *request = calloc(1, sizeof(*request));
		pthread_t thread;

		request->fd = accept(server.fd, NULL, NULL);
		if (request->fd < 0)
			abort();
		pthread_mutex_lock(&server.lock);
		server.accepts++;
		pthread_mutex_unlock(&server.lock);
		if (pthread_create(&thread, NULL, serve_connection, request) != 0)
			abort();
		pthread_detach(thread);
	}
	return arg;
}

static int listen_somewhere(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, 50) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		return -1;
	*port = ntohs(address.sin_port);
	return fd;
}

static int start_server(void **state)
{
	pthread_t thread;

	(void)state;
	/* Were these honoured, every test would fail. */
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("https_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	server.fd = listen_somewhere(&server.port);
	if (server.fd < 0)
		return -1;
	return pthread_create(&thread, NULL, serve, NULL);
}

/* What the server has counted so far. */
static int counted(const int *counter)
{
	int value;

	pthread_mutex_lock(&server.lock);
	value = *counter;
	pthread_mutex_unlock(&server.lock);
	return value;
}

static bool last_head_has(const char *text)
{
	bool found;

	pthread_mutex_lock(&server.lock);
	found = strstr(server.last_head, text) != NULL;
	pthread_mutex_unlock(&server.lock);
	return found;
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

struct call {
	struct http_request request;
	char url[200];
	bool done;
	char *text; /* the response */
	size_t len;
};

static void call_done(struct http_request *request, void *arg)
{
	struct call *call = arg;

	assert_ptr_equal(request, &call->request);
	assert_false(call->done);
	call->done = true;
	if (request->err.class == ERR_NONE) /* else http releases what came */
		call->text = buf_take(&request->response, &call->len);
}

static void call_prepare(struct call *call, const char *path, const char *body)
{
	*call = (struct call){ 0 };
	if (strstr(path, "://") != NULL)
		snprintf(call->url, sizeof(call->url), "%s", path);
	else
		snprintf(call->url, sizeof(call->url), "http://127.0.0.1:%d%s", server.port, path);
	call->request = (struct http_request){
		.url = call->url,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0,
		.content_type = "application/json",
		.connect_timeout_ms = LONG_MS,
		.timeout_ms = LONG_MS,
		.max_response = 65536,
		.done = call_done,
		.arg = call,
	};
}

static struct http *new_http(int connections)
{
	struct err err = ERR_INIT;
	struct http *http = http_new(connections, NULL, &err);

	if (http == NULL)
		fail_msg("http_new: %s", err.text);
	return http;
}

static void call_start(struct http *http, struct call *call)
{
	struct err err = ERR_INIT;

	if (http_start(http, &call->request, &err) != 0)
		fail_msg("http_start: %s", err.text);
}

static void call_run(struct http *http, struct call *call)
{
	call_start(http, call);
	while (http_step(http, LONG_MS) > 0)
		continue;
	assert_true(call->done);
}

/* One call of its own; its text is freed, its error stays to be looked at. */
static struct call one_call(const char *path, const char *body)
{
	struct http *http = new_http(1);
	struct call call;

	call_prepare(&call, path, body);
	call_run(http, &call);
	http_free(http);
	free(call.text);
	call.text = NULL;
	return call;
}

static void expect_error(const struct call *call, enum err_class class, const char *code, bool maybe_sent)
{
	assert_string_equal(call->request.err.code, code);
	assert_int_equal(call->request.err.class, class);
	assert_int_equal(call->request.maybe_sent, maybe_sent);
}

static void must_fail(const char *path, const char *body, enum err_class class, const char *code, bool maybe_sent)
{
	struct call call = one_call(path, body);

	expect_error(&call, class, code, maybe_sent);
}

/* --- answers --------------------------------------------------------------------------------------------------- */

static void test_answers(void **state)
{
	static char big[60000];
	struct http *http = new_http(1);
	struct call call;

	(void)state;
	call_prepare(&call, "/ok", NULL);
	call_run(http, &call);
	assert_int_equal(call.request.err.class, ERR_NONE);
	assert_int_equal(call.request.status, 200);
	assert_string_equal(call.text, "hello");
	assert_int_equal(call.request.date_ms, 1795496657000);
	assert_int_equal(call.request.retry_after_ms, -1);
	free(call.text);

	memset(big, 'x', sizeof(big) - 1);
	call_prepare(&call, "/echo?secret=1", big);
	call_run(http, &call);
	assert_int_equal(call.request.status, 200);
	assert_string_equal(call.text, big);
	assert_true(last_head_has("POST /echo?secret=1 HTTP/1.1\r\n"));
	assert_true(last_head_has("\r\nContent-Type: application/json\r\n"));
	assert_true(last_head_has("\r\nContent-Length: 59999\r\n"));
	assert_true(last_head_has("\r\nAccept-Encoding: gzip\r\n"));
	assert_false(last_head_has("Expect:"));
	free(call.text);

	call_prepare(&call, "/502", "{}");
	call_run(http, &call);
	assert_int_equal(call.request.err.class, ERR_NONE);
	assert_int_equal(call.request.status, 502);
	assert_string_equal(call.text, "<html></html>");
	assert_int_equal(call.request.date_ms, -1);
	free(call.text);

	call_prepare(&call, "/packed", NULL);
	call_run(http, &call);
	assert_string_equal(call.text, "unpacked");
	free(call.text);
	http_free(http);
	assert_int_equal(one_call("/302", NULL).request.status, 302); /* not followed */
	assert_int_equal(one_call("/echo", "").request.status, 200);  /* a POST without content */
	assert_true(last_head_has("POST /echo"));
}

static void test_retry_after(void **state)
{
	(void)state;
	assert_int_equal(one_call("/retry", NULL).request.retry_after_ms, 7000);
	assert_int_equal(one_call("/retry-zero", NULL).request.retry_after_ms, 0);
	assert_int_equal(one_call("/retry-date", NULL).request.retry_after_ms, 90000); /* seen from the Date header */
	assert_int_equal(one_call("/retry-past", NULL).request.retry_after_ms, 0);
	assert_int_equal(one_call("/retry-junk", NULL).request.retry_after_ms, -1);
}

static void test_size_limit(void **state)
{
	(void)state;
	must_fail("/chunked", "{}", ERR_PERM, "HTTP_TOO_LARGE", true);
	must_fail("/bomb", "{}", ERR_PERM, "HTTP_TOO_LARGE", true);
}

/* --- failures -------------------------------------------------------------------------------------------------- */

static void test_broken_answers(void **state)
{
	(void)state;
	must_fail("/truncated", "{}", ERR_TEMP, "HTTP_TRUNCATED", true);
	must_fail("/reset", "{}", ERR_TEMP, "HTTP_RESET", true);
	must_fail("/empty", "{}", ERR_TEMP, "HTTP_RESET", true);
	must_fail("/empty", NULL, ERR_TEMP, "HTTP_RESET", true);
	must_fail("/garbage", "{}", ERR_TEMP, "HTTP_GARBLED", true);
	must_fail("/bad-gzip", "{}", ERR_TEMP, "HTTP_GARBLED", true);
}

static void test_never_sent(void **state)
{
	struct http *http = new_http(1);
	char url[100];
	struct call call;
	int port;

	(void)state;
	close(listen_somewhere(&port));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/x?token=geheim", port);
	must_fail(url, "{}", ERR_TEMP, "HTTP_CONNECT", false);
	must_fail(url, NULL, ERR_TEMP, "HTTP_CONNECT", false);
	call = one_call(url, "{}");
	assert_null(strstr(call.request.err.text, "geheim"));
	assert_non_null(strstr(call.request.err.text, "/x"));
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/ok", server.port); /* no TLS there */
	must_fail(url, "{}", ERR_TEMP, "HTTP_TLS", false);
	/* A failure after a success on the same handle: nothing of the first may count for the second. */
	call_prepare(&call, "/ok", "{}");
	call_run(http, &call);
	free(call.text);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	call_prepare(&call, url, NULL);
	call_run(http, &call);
	expect_error(&call, ERR_TEMP, "HTTP_CONNECT", false);
	http_free(http);
}

static void test_time_out(void **state)
{
	struct http *http = new_http(1);
	struct call call;
	int port, fd = listen_somewhere(&port);
	char url[60];

	(void)state;
	call_prepare(&call, "/hang", "{}");
	call.request.timeout_ms = 150;
	call_run(http, &call);
	expect_error(&call, ERR_TEMP, "HTTP_TIMEOUT", true);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port); /* TCP comes up, the TLS greeting is never answered */
	call_prepare(&call, url, "{}");
	call.request.connect_timeout_ms = 150;
	call_run(http, &call);
	expect_error(&call, ERR_TEMP, "HTTP_TIMEOUT", false);
	close(fd);
	http_free(http);
}

static void test_refused_addresses(void **state)
{
	static const char *const urls[] = {
		"http://example.com/", "http://128.0.0.1/", "http://127.0.0.1.example.com/", "http://user@example.com/",
		"http://127.0.0.1@example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[::2]/", "nonsense", "",
		"http://localhost.example.com/", "HTTP://EXAMPLE.COM/", "http://0.0.0.0/",
	};
	struct http *http = new_http(1);
	struct call call;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct err err = ERR_INIT;

		call_prepare(&call, "/ok", NULL);
		call.request.url = urls[i];
		assert_int_equal(http_start(http, &call.request, &err), -1);
		assert_string_equal(err.code, "HTTP_URL");
		assert_int_equal(err.class, ERR_PERM);
		assert_int_equal(http_step(http, 0), 0);
		assert_false(call.done);
	}
	call_prepare(&call, "/ok", NULL);
	snprintf(call.url, sizeof(call.url), "http://localhost:%d/ok", server.port);
	call_run(http, &call);
	assert_int_equal(call.request.status, 200);
	free(call.text);
	http_free(http);
}

/* --- TLS ---------------------------------------------------------------------------------------------------------- */

struct tls_server {
	int fd, port;
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
	char ca_file[80];
};

/* A self-signed certificate for 127.0.0.1, valid now; also written to ca_file. */
static void tls_certificate_new(struct tls_server *tls)
{
	const unsigned char address[] = { 127, 0, 0, 1 };
	gnutls_datum_t pem;
	int fd;

	assert_int_equal(gnutls_x509_privkey_init(&tls->key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(tls->key, GNUTLS_PK_ECDSA, 256, 0), 0);
	assert_int_equal(gnutls_x509_crt_init(&tls->certificate), 0);
	gnutls_x509_crt_set_version(tls->certificate, 3);
	gnutls_x509_crt_set_serial(tls->certificate, "\1", 1);
	gnutls_x509_crt_set_dn_by_oid(tls->certificate, GNUTLS_OID_X520_COMMON_NAME, 0, "test", 4);
	gnutls_x509_crt_set_activation_time(tls->certificate, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(tls->certificate, time(NULL) + 3600);
	gnutls_x509_crt_set_subject_alt_name(tls->certificate, GNUTLS_SAN_IPADDRESS, address, sizeof(address), 0);
	gnutls_x509_crt_set_ca_status(tls->certificate, 1);
	gnutls_x509_crt_set_key(tls->certificate, tls->key);
	assert_int_equal(gnutls_x509_crt_sign2(tls->certificate, tls->certificate, tls->key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(tls->certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(tls->ca_file, sizeof(tls->ca_file), "/tmp/test-http-ca-XXXXXX");
	fd = mkstemp(tls->ca_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem.data, pem.size), pem.size);
	close(fd);
	gnutls_free(pem.data);
}

/* Serves two connections: the first client shall refuse the certificate, the second gets an answer. */
static void *tls_serve(void *arg)
{
	static const char reply[] = OK_HEAD "Content-Length: 6\r\nConnection: close\r\n\r\nsecret";
	struct tls_server *tls = arg;
	char request[2000];

	for (int i = 0; i < 2; i++) {
		gnutls_session_t session;
		int fd = accept(tls->fd, NULL, NULL);

		gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
		gnutls_set_default_priority(session);
		gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
		gnutls_transport_set_int(session, fd);
		if (gnutls_handshake(session) == 0 && gnutls_record_recv(session, request, sizeof(request)) > 0) {
			gnutls_record_send(session, reply, sizeof(reply) - 1);
			gnutls_bye(session, GNUTLS_SHUT_RDWR);
		}
		gnutls_deinit(session);
		close(fd);
	}
	return NULL;
}

static void test_certificates(void **state)
{
	struct tls_server tls = { .fd = -1 };
	struct err err = ERR_INIT;
	struct call call;
	struct http *http;
	pthread_t thread;
	char url[60];

	(void)state;
	tls_certificate_new(&tls);
	gnutls_certificate_allocate_credentials(&tls.credentials);
	assert_int_equal(gnutls_certificate_set_x509_key(tls.credentials, &tls.certificate, 1, tls.key), 0);
	tls.fd = listen_somewhere(&tls.port);
	pthread_create(&thread, NULL, tls_serve, &tls);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", tls.port);
	must_fail(url, "{}", ERR_PERM, "HTTP_CERTIFICATE", false);
	http = http_new(1, tls.ca_file, &err);
	assert_non_null(http);
	call_prepare(&call, url, NULL);
	call_run(http, &call);
	assert_string_equal(call.request.err.text, "");
	assert_string_equal(call.text, "secret");
	free(call.text);
	http_free(http);
	pthread_join(thread, NULL);
	unlink(tls.ca_file);
	close(tls.fd);
	gnutls_certificate_free_credentials(tls.credentials);
	gnutls_x509_crt_deinit(tls.certificate);
	gnutls_x509_privkey_deinit(tls.key);
}

/* --- connections ----------------------------------------------------------------------------------------------- */

static void test_keep_alive(void **state)
{
	struct http *http = new_http(2);
	int accepts = counted(&server.accepts);
	struct call call;

	(void)state;
	for (int i = 0; i < 10; i++) {
		call_prepare(&call, "/ok", i % 2 == 0 ? "{}" : NULL);
		call_run(http, &call);
		assert_int_equal(call.request.status, 200);
		free(call.text);
	}
	assert_int_equal(counted(&server.accepts) - accepts, 1);
	http_free(http);
}

/* The server takes a POST over a reused connection and hangs up. Left to itself curl would send it once more. */
static void test_post_is_never_sent_twice(void **state)
{
	struct http *http = new_http(1);
	int before = counted(&server.empty_posts);
	struct call call;

	(void)state;
	call_prepare(&call, "/ok", "{}");
	call_run(http, &call);
	free(call.text);
	call_prepare(&call, "/empty", "{\"effect\":1}");
	call_run(http, &call);
	expect_error(&call, ERR_TEMP, "HTTP_RESET", true);
	assert_int_equal(counted(&server.empty_posts) - before, 1);
	call_prepare(&call, "/ok", "{}"); /* and the place is good for the next */
	call_run(http, &call);
	assert_int_equal(call.request.status, 200);
	free(call.text);
	http_free(http);
}

static void test_eight_at_once(void **state)
{
	struct http *http = new_http(8);
	struct err err = ERR_INIT;
	struct call calls[9];

	(void)state;
	for (int i = 0; i < 9; i++)
		call_prepare(&calls[i], "/together", "{}");
	for (int i = 0; i < 8; i++)
		call_start(http, &calls[i]);
	assert_int_equal(http_start(http, &calls[8].request, &err), -1);
	assert_string_equal(err.code, "HTTP_BUSY");
	assert_int_equal(err.class, ERR_TEMP);
	while (http_step(http, LONG_MS) > 0) /* the server answers none before all are there */
		continue;
	for (int i = 0; i < 8; i++) {
		assert_string_equal(calls[i].text, "8");
		free(calls[i].text);
	}
	http_free(http);
}

struct again {
	struct http *http;
	struct http_request request;
	int left;
};

static void again_done(struct http_request *request, void *arg)
{
	struct again *again = arg;
	struct err err = ERR_INIT;

	assert_string_equal(buf_text(&request->response), "hello");
	if (--again->left > 0)
		assert_int_equal(http_start(again->http, request, &err), 0);
}

static void test_done_may_start_the_same_again(void **state)
{
	struct again again = { .http = new_http(1), .left = 5 };
	struct call call;

	(void)state;
	call_prepare(&call, "/ok", NULL);
	again.request = call.request;
	again.request.done = again_done;
	again.request.arg = &again;
	assert_int_equal(http_start(again.http, &again.request, &call.request.err), 0);
	while (http_step(again.http, LONG_MS) > 0)
		continue;
	assert_int_equal(again.left, 0);
	http_free(again.http);
}

/* --- cancel, wake up, free ------------------------------------------------------------------------------------- */

static void test_cancel(void **state)
{
	struct http *http = new_http(3);
	int requests = counted(&server.requests);
	struct call calls[3];

	(void)state;
	for (int i = 0; i < 2; i++) {
		call_prepare(&calls[i], "/hang", "{}");
		call_start(http, &calls[i]);
	}
	while (counted(&server.requests) < requests + 2)
		http_step(http, 10);
	call_prepare(&calls[2], "/ok", "{}");
	call_start(http, &calls[2]); /* has not moved yet */
	http_cancel(http);
	for (int i = 0; i < 3; i++) {
		assert_true(calls[i].done);
		expect_error(&calls[i], ERR_CANCELLED, "HTTP_CANCELLED", i < 2);
		free(calls[i].text);
	}
	assert_int_equal(http_step(http, 0), 0);
	call_prepare(&calls[0], "/ok", NULL);
	call_run(http, &calls[0]);
	assert_int_equal(calls[0].request.status, 200);
	free(calls[0].text);
	http_free(http);
}

static void *wake(void *http)
{
	http_wakeup(http);
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_wakeup(void **state)
{
	struct http *http = new_http(1);
	int64_t start_ms = now_ms();
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, wake, http);
	assert_int_equal(http_step(http, LONG_MS), 0); /* with nothing in flight it waits for this only */
	pthread_join(thread, NULL);
	assert_true(now_ms() - start_ms < LONG_MS / 2);
	start_ms = now_ms();
	http_step(http, 60);
	assert_true(now_ms() - start_ms >= 50);
	http_free(http);
}

static void test_free_with_requests_in_flight(void **state)
{
	struct http *http = new_http(2);
	struct err err = ERR_INIT;
	struct call calls[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		call_prepare(&calls[i], "/hang", "{}");
		call_start(http, &calls[i]);
	}
	http_step(http, 10);
	http_step(http, 10);
	http_free(http);
	assert_false(calls[0].done || calls[1].done);
	http_free(NULL);
	assert_null(http_new(1, "/does/not/exist.pem", &err));
	assert_string_equal(err.code, "HTTP_SETUP");
}

/* A mail server for one connection that takes every mail and answers no QUIT. */
static void *serve_mail(void *arg)
{
	int listening = *(int *)arg, fd = accept(listening, NULL, NULL);
	FILE *lines = fdopen(fd, "r");
	char line[1000];
	bool data = false;

	say_text(fd, "220 here\r\n");
	while (fgets(line, sizeof(line), lines) != NULL) {
		if (data)
			data = strcmp(line, ".\r\n") != 0;
		else if (strncmp(line, "QUIT", 4) == 0)
			continue;
		else
			data = strncmp(line, "DATA", 4) == 0;
		if (!data || strncmp(line, "DATA", 4) == 0)
			say_text(fd, data ? "354 go on\r\n" : "250 well\r\n");
	}
	fclose(lines);
	return NULL;
}

/* Neither the next request nor the end waits for a mail server that does not say goodbye. */
static void test_mail_leaves_without_a_word(void **state)
{
	const char *const to[] = { "shop@example.org" };
	const struct http_mail mail = { .from = "temu@example.org", .to = to, .to_count = 1 };
	int port, listening = listen_somewhere(&port);
	struct http *http = new_http(1);
	struct call letter, next;
	int64_t begun_ms = now_ms();
	pthread_t thread;
	char url[60];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, serve_mail, &listening), 0);
	snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", port);
	call_prepare(&letter, url, "Subject: an alarm\r\n\r\nread me\r\n");
	letter.request.mail = &mail;
	call_start(http, &letter);
	while (!letter.done)
		http_step(http, 100);
	assert_string_equal(letter.request.err.text, "");
	call_prepare(&next, "/ok", "{}");
	call_start(http, &next);
	while (!next.done)
		http_step(http, 100);
	assert_string_equal(next.request.err.text, "");
	http_free(http);
	pthread_join(thread, NULL); /* its connection has ended */
	assert_true(now_ms() - begun_ms < LONG_MS);
	free(letter.text);
	free(next.text);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_never_sent),
		cmocka_unit_test(test_time_out),
		cmocka_unit_test(test_refused_addresses),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_post_is_never_sent_twice),
		cmocka_unit_test(test_eight_at_once),
		cmocka_unit_test(test_done_may_start_the_same_again),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_wakeup),
		cmocka_unit_test(test_free_with_requests_in_flight),
		cmocka_unit_test(test_mail_leaves_without_a_word),
	};

	return cmocka_run_group_tests(tests, start_server, NULL);
}
