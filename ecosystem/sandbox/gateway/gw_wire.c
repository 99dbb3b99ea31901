/* Sockets, threads and HTTP/1.1 framing for the gateway and its control port.
 * What a request means is the handler's; which fault happens is the router's. */
#include "ecosystem/sandbox/gateway/gw_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "common/clock.h"

#define HEAD_MAX 16384u
#define IDLE_SECONDS 120

struct gw_wire {
	gw_handler *handler;
	void *arg;
	int listener, port;
	pthread_t acceptor;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a connection ended, or the server stops */
	int fds[GW_WIRE_CONNECTIONS];
	unsigned active;
	bool stopping;
};

struct connection {
	struct gw_wire *wire;
	int fd;
	unsigned slot;
	size_t have; /* bytes in head */
	char head[HEAD_MAX];
};

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* More bytes behind what is there. 0 or -1 (closed, idle, full). */
static int receive_more(struct connection *c)
{
	ssize_t n;

	if (c->have >= HEAD_MAX - 1)
		return -1;
	do {
		n = recv(c->fd, c->head + c->have, HEAD_MAX - 1 - c->have, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	c->have += (size_t)n;
	c->head[c->have] = '\0';
	return 0;
}

static void consume(struct connection *c, size_t len)
{
	memmove(c->head, c->head + len, c->have - len);
	c->have -= len;
	c->head[c->have] = '\0';
}

/* Moves len body bytes into the buffer. */
static int read_exact(struct connection *c, size_t len, struct buf *body)
{
	if (len > GW_WIRE_BODY_MAX || body->len > GW_WIRE_BODY_MAX - len)
		return -1;
	while (len > 0) {
		size_t part = c->have < len ? c->have : len;

		buf_add(body, c->head, part);
		consume(c, part);
		len -= part;
		if (len > 0 && receive_more(c) != 0)
			return -1;
	}
	return body->failed ? -1 : 0;
}

/* One line without its CRLF into out. */
static int read_line(struct connection *c, char *out, size_t size)
{
	char *end;
	size_t len;

	while (!(end = strstr(c->head, "\r\n")))
		if (receive_more(c) != 0)
			return -1;
	len = (size_t)(end - c->head);
	if (len >= size)
		return -1;
	memcpy(out, c->head, len);
	out[len] = '\0';
	consume(c, len + 2);
	return 0;
}

static int read_chunked(struct connection *c, struct buf *body)
{
	char line[256], *end;
	unsigned long len;

	for (;;) {
		if (read_line(c, line, sizeof(line)) != 0)
			return -1;
		errno = 0;
		len = strtoul(line, &end, 16);
		if (errno != 0 || end == line || (*end != '\0' && *end != ';'))
			return -1;
		if (len == 0)
			break;
		if (read_exact(c, len, body) != 0 || read_line(c, line, sizeof(line)) != 0 || line[0] != '\0')
			return -1;
	}
	do {
		if (read_line(c, line, sizeof(line)) != 0)
			return -1;
	} while (line[0] != '\0');
	return 0;
}

struct framing {
	size_t length;
	bool chunked, expect;
};

static int read_header(const char *line, struct gw_request *request, struct framing *framing)
{
	const char *colon = strchr(line, ':'), *value;
	size_t len = colon ? (size_t)(colon - line) : 0;
	char *end;

	if (len == 0)
		return -1;
	value = colon + 1 + strspn(colon + 1, " \t");
	if (len == 14 && strncasecmp(line, "content-length", len) == 0) {
		errno = 0;
		framing->length = strtoul(value, &end, 10);
		if (errno != 0 || end == value || *end != '\0' || *value == '-')
			return -1;
	} else if (len == 17 && strncasecmp(line, "transfer-encoding", len) == 0) {
		framing->chunked = strcasecmp(value, "chunked") == 0;
		return framing->chunked ? 0 : -1;
	} else if (len == 10 && strncasecmp(line, "connection", len) == 0) {
		request->keep_alive = strcasecmp(value, "close") != 0;
	} else if (len == 6 && strncasecmp(line, "expect", len) == 0) {
		framing->expect = true;
	}
	return 0;
}

/* The request line split at its blanks. */
static int read_start(char *line, struct gw_request *request)
{
	char *save = NULL, *method = strtok_r(line, " ", &save), *path = strtok_r(NULL, " ", &save);
	char *version = strtok_r(NULL, " ", &save), *query;

	if (!version || strncmp(version, "HTTP/1.", 7) != 0)
		return -1;
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	if (strlen(method) >= sizeof(request->method) || strlen(path) >= sizeof(request->path) ||
	    (query && strlen(query) >= sizeof(request->query)))
		return -1;
	snprintf(request->method, sizeof(request->method), "%s", method);
	snprintf(request->path, sizeof(request->path), "%s", path);
	snprintf(request->query, sizeof(request->query), "%s", query ? query : "");
	request->keep_alive = strcmp(version, "HTTP/1.1") == 0;
	return 0;
}

/* 0: a request; -1: the connection is over; otherwise the HTTP status that refuses it. */
static int read_request(struct connection *c, struct gw_request *request)
{
	struct framing framing = { .length = 0 };
	char line[4096];

	if (c->have == 0 && receive_more(c) != 0)
		return -1;
	if (read_line(c, line, sizeof(line)) != 0)
		return -1;
	if (read_start(line, request) != 0)
		return 400;
	for (;;) {
		if (read_line(c, line, sizeof(line)) != 0)
			return 431;
		if (line[0] == '\0')
			break;
		if (read_header(line, request, &framing) != 0)
			return 400;
	}
	if (framing.length > GW_WIRE_BODY_MAX)
		return 413;
	if (framing.expect && send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 0)
		return -1;
	if (framing.chunked)
		return read_chunked(c, &request->body) == 0 ? 0 : 400;
	return read_exact(c, framing.length, &request->body) == 0 ? 0 : -1;
}

static const char *status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Payload Too Large";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static int send_reply(int fd, const struct gw_reply *reply, bool keep_alive)
{
	struct buf out;
	char date[64];
	time_t now = (time_t)(clock_now_ms() / 1000 + reply->date_offset_s);
	struct tm parts;
	int rc;

	gmtime_r(&now, &parts);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	buf_init(&out, GW_WIRE_BODY_MAX * 4);
	buf_addf(&out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", reply->status,
	         status_text(reply->status), date, reply->type, reply->body.len, reply->header,
	         keep_alive ? "" : "Connection: close\r\n");
	buf_add(&out, buf_text(&reply->body), reply->cut ? reply->body.len / 2 : reply->body.len);
	rc = out.failed ? -1 : send_all(fd, out.data, out.len);
	buf_release(&out);
	return rc;
}

/* Waits unless the server stops. */
static void wait_ms(struct gw_wire *wire, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&wire->lock);
	while (!wire->stopping && pthread_cond_timedwait(&wire->changed, &wire->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&wire->lock);
}

/* One request and its reply. true: the connection goes on. */
static bool serve_one(struct connection *c)
{
	struct gw_request request = { .keep_alive = false };
	struct gw_reply reply = { .status = 200, .type = "application/json" };
	bool more = false;
	int status;

	buf_init(&request.body, GW_WIRE_BODY_MAX);
	buf_init(&reply.body, GW_WIRE_BODY_MAX * 4);
	status = read_request(c, &request);
	if (status < 0)
		goto out;
	if (status > 0) {
		reply.status = status;
		request.keep_alive = false;
	} else {
		c->wire->handler(c->wire->arg, &request, &reply);
	}
	if (reply.delay_ms > 0)
		wait_ms(c->wire, reply.delay_ms);
	if (reply.reset) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };

		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		goto out;
	}
	more = send_reply(c->fd, &reply, request.keep_alive) == 0 && request.keep_alive && !reply.cut;
out:
	buf_release(&request.body);
	buf_release(&reply.body);
	return more;
}

static void *connection_main(void *arg)
{
	struct connection *c = arg;
	struct gw_wire *wire = c->wire;

	while (serve_one(c))
		;
	/* Closed under the lock, so that stop never shuts down a number that somebody else got meanwhile. */
	pthread_mutex_lock(&wire->lock);
	close(c->fd);
	wire->fds[c->slot] = -1;
	wire->active--;
	pthread_cond_broadcast(&wire->changed);
	pthread_mutex_unlock(&wire->lock);
	free(c);
	return NULL;
}

/* Takes a slot for the connection, or closes it when there is none. */
static void connection_start(struct gw_wire *wire, int fd)
{
	struct timeval idle = { .tv_sec = IDLE_SECONDS };
	struct connection *c = calloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	unsigned slot = 0;
	int one = 1;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	pthread_mutex_lock(&wire->lock);
	while (slot < GW_WIRE_CONNECTIONS && wire->fds[slot] >= 0)
		slot++;
	if (c && !wire->stopping && slot < GW_WIRE_CONNECTIONS) {
		c->wire = wire;
		c->fd = fd;
		c->slot = slot;
		wire->fds[slot] = fd;
		wire->active++;
		if (pthread_create(&thread, &attr, connection_main, c) == 0) {
			c = NULL;
			fd = -1;
		} else {
			wire->fds[slot] = -1;
			wire->active--;
		}
	}
	pthread_mutex_unlock(&wire->lock);
	pthread_attr_destroy(&attr);
	free(c);
	if (fd >= 0)
		close(fd);
}

static void *acceptor_main(void *arg)
{
	struct gw_wire *wire = arg;

	for (;;) {
		int fd = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			connection_start(wire, fd);
		else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE)
			return NULL;
	}
}

static int listen_on(struct gw_wire *wire, int port, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(at);
	int one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	wire->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (wire->listener < 0)
		return err_set(err, ERR_PERM, "LISTEN", "socket: %s", strerror(errno));
	setsockopt(wire->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(wire->listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(wire->listener, 512) != 0 ||
	    getsockname(wire->listener, (struct sockaddr *)&at, &len) != 0)
		return err_set(err, ERR_PERM, "LISTEN", "127.0.0.1:%d: %s", port, strerror(errno));
	wire->port = ntohs(at.sin_port);
	return 0;
}

struct gw_wire *gw_wire_start(int port, gw_handler *handler, void *arg, struct err *err)
{
	struct gw_wire *wire = calloc(1, sizeof(*wire));
	pthread_condattr_t attr;

	if (!wire) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	wire->handler = handler;
	wire->arg = arg;
	for (unsigned i = 0; i < GW_WIRE_CONNECTIONS; i++)
		wire->fds[i] = -1;
	pthread_mutex_init(&wire->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wire->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (listen_on(wire, port, err) == 0) {
		int rc = pthread_create(&wire->acceptor, NULL, acceptor_main, wire);

		if (rc == 0)
			return wire;
		err_set(err, ERR_TEMP, "THREAD", "cannot start a thread: %s", strerror(rc));
	}
	if (wire->listener >= 0)
		close(wire->listener);
	pthread_cond_destroy(&wire->changed);
	pthread_mutex_destroy(&wire->lock);
	free(wire);
	return NULL;
}

int gw_wire_port(const struct gw_wire *wire)
{
	return wire->port;
}

void gw_wire_stop(struct gw_wire *wire)
{
	if (!wire)
		return;
	pthread_mutex_lock(&wire->lock);
	wire->stopping = true;
	pthread_cond_broadcast(&wire->changed);
	for (unsigned i = 0; i < GW_WIRE_CONNECTIONS; i++)
		if (wire->fds[i] >= 0)
			shutdown(wire->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&wire->lock);
	shutdown(wire->listener, SHUT_RDWR);
	pthread_join(wire->acceptor, NULL);
	close(wire->listener);
	pthread_mutex_lock(&wire->lock);
	while (wire->active > 0)
		pthread_cond_wait(&wire->changed, &wire->lock);
	pthread_mutex_unlock(&wire->lock);
	pthread_cond_destroy(&wire->changed);
	pthread_mutex_destroy(&wire->lock);
	free(wire);
}
