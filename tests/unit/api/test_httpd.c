/* The server under everything: what it reads, refuses, limits, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <cmocka.h>
#include "api/call.h"
#include "tests/unit/api/client.h"

static struct httpd *httpd;
static int port;
static struct client_response r;

/* --- what the tests ask for --------------------------------------------------------------------------------------- */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static int gate_waiting;
static bool gate_open;
static int taken_fd = -1;

static void
wait_at_gate(void)
{
	pthread_mutex_lock(&gate_lock);
	gate_waiting++;
	pthread_cond_broadcast(&gate_changed);
	while (!gate_open)
		pthread_cond_wait(&gate_changed, &gate_lock);
	gate_waiting--;
	pthread_mutex_unlock(&gate_lock);
}

static void
open_gate(bool open)
{
	pthread_mutex_lock(&gate_lock);
	gate_open = open;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate_lock);
}

static void
await_gate(int count)
{
	pthread_mutex_lock(&gate_lock);
	while (gate_waiting < count)
		pthread_cond_wait(&gate_changed, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

static void
handle(struct httpd_request *request, struct httpd_response *response, void *arg)
{
	struct err err = ERR_INIT;
	enum proto_error code = PROTO_INTERNAL;
	(void)arg;
	if (strcmp(request->path, "/echo") == 0) {
		if (httpd_body(request, &response->body, &code, &err) != 0)
			call_plain_problem(response, code, proto_error_http(code), err.text);
	} else if (strcmp(request->path, "/gate") == 0) {
		wait_at_gate();
		buf_add_text(&response->body, "through");
	} else if (strcmp(request->path, "/big") == 0) {
		for (int i = 0; i < 300 * 1024 / 64; i++)
			buf_addf(&response->body, "%064d", i);
	} else if (strcmp(request->path, "/huge") == 0) {
		for (int i = 0; i <= 1024 * 1024 / 64; i++)
			buf_addf(&response->body, "%064d", i);
	} else if (strcmp(request->path, "/take") == 0) {
		taken_fd = httpd_take_socket(request, &err);
		response->status = 0;
		if (send(taken_fd, "mine", 4, MSG_NOSIGNAL) != 4)
			abort();
	} else {
		buf_addf(&response->body, "%s|%s|%s", request->method, request->path, request->query);
	}
}

static int
start(void **state)
{
	struct httpd_options options = HTTPD_OPTIONS_INIT;
	struct err err = ERR_INIT;
	(void)state;
	options.threads = 16;
	options.request_ms = 1500;
	options.body_ms = 700;
	options.handler = handle;
	options.problem = call_plain_problem;
	httpd = httpd_start(&options, &err);
	if (httpd == NULL)
		return -1;
	port = httpd_port(httpd);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	httpd_stop(httpd, 5000);
	httpd_free(httpd);
	return 0;
}

/* Sends raw bytes on a connection of its own and reads one response. */
static void
raw(const char *text)
{
	int fd = client_connect(port);
	client_text(fd, text);
	client_response_read(fd, &r, false);
	close(fd);
}

static int64_t
mono_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void
a_connection_is_kept_and_answers_in_order(void **state)
{
	int fd = client_connect(port);
	char path[40], body[60];
	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "/a%%20b/%d?x=%d", i, i);
		snprintf(body, sizeof(body), "GET|/a%%20b/%d|x=%d", i, i);
		client_ask(fd, "GET", path, "", NULL, &r);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, body);
		assert_true(client_has_header(&r, "Connection: keep-alive"));
	}
	client_text(fd, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	client_response_read(fd, &r, false);
	assert_string_equal(r.body, "GET|/1|");
	client_response_read(fd, &r, false);
	assert_string_equal(r.body, "GET|/2|");
	assert_true(client_has_header(&r, "Connection: close"));
	assert_int_equal(client_read_some(fd, body, sizeof(body), CLIENT_WAIT_MS), 0);
	close(fd);
}

static void
request_ids_are_echoed_or_made(void **state)
{
	char first[20];
	(void)state;
	client_once(port, "GET", "/", "X-Request-Id: abc-1.2_3\r\n", NULL, &r);
	assert_true(client_has_header(&r, "X-Request-Id: abc-1.2_3"));
	client_once(port, "GET", "/", "X-Request-Id: a b\r\n", NULL, &r);
	assert_false(client_has_header(&r, "X-Request-Id: a b"));
	memcpy(first, strstr(r.headers, "X-Request-Id: ") + 14, 16);
	client_once(port, "GET", "/", "", NULL, &r);
	assert_memory_not_equal(first, strstr(r.headers, "X-Request-Id: ") + 14, 16);
}

static void
head_has_the_length_but_no_body(void **state)
{
	int fd = client_connect(port);
	(void)state;
	client_ask(fd, "HEAD", "/x", "", NULL, &r);
	assert_true(client_has_header(&r, "Content-Length: 8"));
	client_ask(fd, "GET", "/y", "", NULL, &r); /* nothing of the first answer is in between */
	assert_string_equal(r.body, "GET|/y|");
	close(fd);
}

static void
bodies_arrive_in_any_pieces(void **state)
{
	int fd = client_connect(port);
	char body[30001];
	(void)state;
	memset(body, 'b', 30000);
	body[30000] = '\0';
	client_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
	for (int at = 0; at < 30000; at += 1000) {
		client_send(fd, body + at, 1000);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	client_response_read(fd, &r, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, body);
	client_ask(fd, "POST", "/echo", "", "again", &r);
	assert_string_equal(r.body, "again");
	client_ask(fd, "POST", "/echo", "", "", &r);
	assert_int_equal(r.status, 200);
	client_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	client_response_read(fd, &r, false);
	assert_int_equal(r.status, 100);
	client_text(fd, "abc");
	client_response_read(fd, &r, false);
	assert_string_equal(r.body, "abc");
	close(fd);
}

static void
a_body_that_is_too_large_is_refused_at_once(void **state)
{
	(void)state;
	raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\nxxx");
	assert_int_equal(r.status, 413);
	assert_true(client_has_header(&r, "Content-Type: application/problem+json"));
	assert_true(client_has_header(&r, "Connection: close"));
	raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999\r\n\r\nxxx");
	assert_int_equal(r.status, 413);
	int64_t begun = mono_ms();
	raw("POST /nobody-reads-it HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nxxx");
	assert_int_equal(r.status, 200);
	assert_true(mono_ms() - begun < 5000);
}

static void
a_slow_body_has_its_own_deadline(void **state)
{
	int fd = client_connect(port);
	char scrap;
	int64_t begun = mono_ms();
	(void)state;
	client_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
	while (client_read_some(fd, &scrap, 0, 100) == -1 && mono_ms() - begun < 10000)
		client_text(fd, "x");
	client_response_read(fd, &r, false);
	assert_int_equal(r.status, 408);
	assert_non_null(strstr(r.body, "\"code\":\"REQUEST_TIMEOUT\""));
	assert_true(mono_ms() - begun < 9000);
	close(fd);
}

static void
doubtful_requests_are_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3x\r\n\r\nabc", 400 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc", 411 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 411 },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
		{ "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505 },
		{ "DANCE / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "\x16\x03\x01\x02 TLS\r\n\r\n", 400 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		raw(cases[i].text);
		if (r.status != cases[i].status)
			fail_msg("%s: %d", cases[i].text, r.status);
		assert_true(client_has_header(&r, "Content-Type: application/problem+json"));
		assert_true(client_has_header(&r, "Connection: close"));
	}
}

static void
headers_are_limited(void **state)
{
	char *text = malloc(40000);
	(void)state;
	snprintf(text, 40000, "GET / HTTP/1.1\r\nHost: x\r\nX: %030000d\r\n\r\n", 1);
	raw(text);
	assert_true(r.status == 400 || r.status == 413 || r.status == 0);
	free(text);
	client_once(port, "GET", "/", "", NULL, &r);
	assert_int_equal(r.status, 200);
}

static void
the_library_answers_nothing_by_itself(void **state)
{
	(void)state;
	client_once(port, "OPTIONS", "/x", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n", NULL, &r);
	assert_string_equal(r.body, "OPTIONS|/x|"); /* it came to the handler */
	assert_null(strcasestr(r.headers, "access-control"));
	client_once(port, "GET", "/../../etc/passwd", "", NULL, &r);
	assert_string_equal(r.body, "GET|/../../etc/passwd|");
	client_once(port, "GET", "/x.cgi", "", NULL, &r);
	assert_string_equal(r.body, "GET|/x.cgi|");
	assert_null(strcasestr(r.headers, "\r\nServer:"));
}

static void
a_client_that_does_not_read_frees_its_thread(void **state)
{
	int fds[16], size = 4096;
	(void)state;
	for (int i = 0; i < 16; i++) { /* as many as there are threads */
		fds[i] = client_connect(port);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		for (int n = 0; n < 40; n++)
			client_text(fds[i], "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	client_once(port, "GET", "/", "", NULL, &r);
	assert_int_equal(r.status, 200);
	for (int i = 0; i < 16; i++)
		close(fds[i]);
}

static void
an_answer_beyond_the_limit_is_an_error(void **state)
{
	(void)state;
	client_once(port, "GET", "/huge", "", NULL, &r);
	assert_int_equal(r.status, 500);
	assert_non_null(strstr(r.body, "INTERNAL"));
	client_once(port, "GET", "/big", "", NULL, &r);
	assert_int_equal(r.body_len, 300 * 1024);
}

static void
a_taken_socket_is_no_longer_the_servers(void **state)
{
	char scrap[8];
	(void)state;
	for (int i = 0; i < 20; i++) { /* more than there are threads: none is held */
		int fd = client_connect(port);
		client_text(fd, "GET /take HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_true(client_read_all(fd, scrap, 4));
		assert_memory_equal(scrap, "mine", 4);
		assert_int_equal(client_read_some(fd, scrap, 1, 20), -1); /* the server does not close it */
		client_once(port, "GET", "/", "", NULL, &r);
		assert_int_equal(r.status, 200);
		client_text(fd, "ping");
		assert_true(client_read_all(taken_fd, scrap, 4));
		assert_memory_equal(scrap, "ping", 4);
		close(taken_fd);
		assert_int_equal(client_read_some(fd, scrap, 1, CLIENT_WAIT_MS), 0);
		close(fd);
	}
}

static void
addresses_are_checked(void **state)
{
	static const char *const hosts[] = { "127.0.0.1:80s", "::1", "", "example.org", "127.0.0.1,8443s", "0x7f.1" };
	struct httpd_options options = HTTPD_OPTIONS_INIT;
	struct err err = ERR_INIT;
	(void)state;
	options.handler = handle;
	options.problem = call_plain_problem;
	options.threads = 2;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		options.host = hosts[i];
		assert_null(httpd_start(&options, &err));
		assert_string_equal(err.code, "HTTPD");
	}
	options.host = "127.0.0.1";
	options.port = port; /* taken */
	assert_null(httpd_start(&options, &err));
	assert_non_null(strstr(err.text, "taken"));
}

static void
keep_alive_gives_way_when_it_is_crowded(void **state)
{
	int fds[13];
	(void)state;
	open_gate(false);
	for (int i = 0; i < 13; i++) {
		fds[i] = client_connect(port);
		client_text(fds[i], "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	await_gate(13);
	int fd = client_connect(port);
	client_ask(fd, "GET", "/", "", NULL, &r);
	assert_int_equal(r.status, 200);
	assert_true(client_has_header(&r, "Connection: close"));
	close(fd);
	open_gate(true);
	for (int i = 0; i < 13; i++) {
		client_response_read(fds[i], &r, false);
		assert_string_equal(r.body, "through");
		close(fds[i]);
	}
}

/* Good requests with bytes changed, cut out or cut off. Each gets a refusal, an answer or the end, and the next client is served. */
static void
noise_does_no_harm(void **state)
{
	static const char good[] = "POST /echo?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	                           "X-Request-Id: abc\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n";
	unsigned seed = 11;
	(void)state;
	for (int round = 0; round < 300; round++) {
		char text[sizeof(good)];
		size_t len = sizeof(good) - 1;
		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 3; i++) {
			seed = seed * 1103515245u + 12345u;
			text[(seed >> 16) % len] = (char)(seed >> 8);
		}
		if (round % 3 == 0)
			len = (seed >> 10) % len;
		int fd = client_connect(port);
		client_send(fd, text, len);
		shutdown(fd, SHUT_WR);
		client_response_read(fd, &r, false);
		assert_true(r.status == 0 || (r.status >= 200 && r.status < 600));
		close(fd);
	}
	client_once(port, "POST", "/echo", "", "still there", &r);
	assert_string_equal(r.body, "still there");
}

/* The last one: the server does not come back. */
static void
stopping_finishes_what_is_under_way_and_closes_the_port(void **state)
{
	int idle = client_connect(port), busy = client_connect(port);
	(void)state;
	client_ask(idle, "GET", "/", "", NULL, &r);
	open_gate(false);
	client_text(busy, "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
	await_gate(1);
	int64_t begun = mono_ms();
	httpd_stop(httpd, 100);
	assert_true(mono_ms() - begun < 3000);
	assert_int_equal(client_connect(port), -1);
	client_ask(idle, "GET", "/", "", NULL, &r);
	assert_int_equal(r.status, 503);
	assert_true(client_has_header(&r, "Retry-After: 2"));
	assert_non_null(strstr(r.body, "STOPPING"));
	open_gate(true);
	client_response_read(busy, &r, false);
	assert_string_equal(r.body, "through");
	close(idle);
	close(busy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_kept_and_answers_in_order),
		cmocka_unit_test(request_ids_are_echoed_or_made),
		cmocka_unit_test(head_has_the_length_but_no_body),
		cmocka_unit_test(bodies_arrive_in_any_pieces),
		cmocka_unit_test(a_body_that_is_too_large_is_refused_at_once),
		cmocka_unit_test(a_slow_body_has_its_own_deadline),
		cmocka_unit_test(doubtful_requests_are_refused),
		cmocka_unit_test(headers_are_limited),
		cmocka_unit_test(the_library_answers_nothing_by_itself),
		cmocka_unit_test(a_client_that_does_not_read_frees_its_thread),
		cmocka_unit_test(an_answer_beyond_the_limit_is_an_error),
		cmocka_unit_test(a_taken_socket_is_no_longer_the_servers),
		cmocka_unit_test(addresses_are_checked),
		cmocka_unit_test(keep_alive_gives_way_when_it_is_crowded),
		cmocka_unit_test(noise_does_no_harm),
		cmocka_unit_test(stopping_finishes_what_is_under_way_and_closes_the_port),
	};
	return cmocka_run_group_tests(tests, start, end);
}
