/* A client on a raw socket, so that tests can send what no library would: HTTP and WebSocket by hand. */
#ifndef TESTS_UNIT_API_CLIENT_H
#define TESTS_UNIT_API_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_WAIT_MS 20000 /* nobody should ever wait that long; generous for sanitizers on a busy machine */

static inline int
client_connect(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (fd < 0)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline void
client_send(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* the other side has closed: the test sees it when it reads */
		at += n;
		len -= (size_t)n;
	}
}

static inline void
client_text(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

/* Bytes read, 0 at the end (or a reset), -1 when wait_ms passed. */
static inline ssize_t
client_read_some(int fd, void *out, size_t size, int wait_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	if (poll(&wait, 1, wait_ms) <= 0)
		return -1;
	ssize_t n = recv(fd, out, size, 0);
	return n < 0 ? 0 : n;
}

static inline bool
client_read_all(int fd, void *out, size_t size)
{
	char *at = out;
	while (size > 0) {
		ssize_t n = client_read_some(fd, at, size, CLIENT_WAIT_MS);
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

struct client_response {
	int status;
	char headers[4096];
	char body[400 * 1024];
	size_t body_len;
};

/* One response off the connection; status 0 when it ended before. Not for parallel use of one struct. */
static inline void
client_response_read(int fd, struct client_response *r, bool head_only)
{
	size_t len = 0;
	memset(r->headers, 0, sizeof(r->headers));
	r->status = 0;
	r->body_len = 0;
	r->body[0] = '\0';
	while (len + 1 < sizeof(r->headers) && strstr(r->headers, "\r\n\r\n") == NULL) {
		if (!client_read_all(fd, r->headers + len, 1))
			return;
		len++;
	}
	if (sscanf(r->headers, "HTTP/1.1 %d", &r->status) != 1)
		abort();
	const char *at = strcasestr(r->headers, "\r\nContent-Length:");
	size_t want = at != NULL && !head_only ? strtoul(at + 17, NULL, 10) : 0;
	if (want >= sizeof(r->body))
		abort();
	if (!client_read_all(fd, r->body, want))
		r->status = 0;
	r->body_len = want;
	r->body[want] = '\0';
}

static inline void
client_ask(int fd, const char *method, const char *path, const char *headers, const char *body, struct client_response *r)
{
	char request[20000];
	int len = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", method, path, headers);
	if (body != NULL)
		len += snprintf(request + len, sizeof(request) - (size_t)len, "Content-Length: %zu\r\n", strlen(body));
	len += snprintf(request + len, sizeof(request) - (size_t)len, "\r\n%s", body != NULL ? body : "");
	client_send(fd, request, (size_t)len);
	client_response_read(fd, r, strcmp(method, "HEAD") == 0);
}

/* A connection for one request. */
static inline void
client_once(int port, const char *method, const char *path, const char *headers, const char *body, struct client_response *r)
{
	int fd = client_connect(port);
	r->status = -1;
	if (fd < 0)
		return;
	client_ask(fd, method, path, headers, body, r);
	close(fd);
}

static inline bool
client_has_header(const struct client_response *r, const char *line)
{
	char with[300];
	snprintf(with, sizeof(with), "\r\n%s\r\n", line);
	return strcasestr(r->headers, with) != NULL;
}

/* --- WebSocket ---------------------------------------------------------------------------------------------------- */

#define WS_HANDSHAKE                                                                                                                    \
	"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"                                            \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* -1 unless the server switched; *r has its answer. */
static inline int
client_ws(int port, const char *path, struct client_response *r)
{
	int fd = client_connect(port);
	if (fd < 0)
		return -1;
	client_ask(fd, "GET", path, WS_HANDSHAKE, NULL, r);
	if (r->status == 101)
		return fd;
	close(fd);
	return -1;
}

struct client_frame {
	int opcode;
	size_t len;
	char text[70000];
};

/* False at the end of the connection. */
static inline bool
client_frame_read(int fd, struct client_frame *frame)
{
	unsigned char head[10];
	size_t len;
	if (!client_read_all(fd, head, 2))
		return false;
	len = head[1] & 0x7F;
	if ((head[0] & 0x80) == 0 || (head[1] & 0x80) != 0)
		abort(); /* the server sends whole, unmasked frames */
	if (len == 126 || len == 127) {
		size_t size = len == 126 ? 2 : 8;
		if (!client_read_all(fd, head + 2, size))
			return false;
		len = 0;
		for (size_t i = 0; i < size; i++)
			len = len << 8 | head[2 + i];
	}
	if (len >= sizeof(frame->text))
		abort();
	frame->opcode = head[0] & 0x0F;
	frame->len = len;
	if (!client_read_all(fd, frame->text, len))
		return false;
	frame->text[len] = '\0';
	return true;
}

static inline void
client_frame_send(int fd, int opcode, const void *payload, size_t len)
{
	unsigned char frame[200] = { (unsigned char)(0x80 | opcode), (unsigned char)(0x80 | len), 1, 2, 3, 4 };
	for (size_t i = 0; i < len; i++)
		frame[6 + i] = ((const unsigned char *)payload)[i] ^ frame[2 + i % 4];
	client_send(fd, frame, len + 6);
}

/* The close code of a close frame, 0 for any other. */
static inline int
client_close_code(const struct client_frame *frame)
{
	if (frame->opcode != 8 || frame->len < 2)
		return 0;
	return (unsigned char)frame->text[0] << 8 | (unsigned char)frame->text[1];
}

#endif
