/* The SP wire format by hand: 8 bytes of greeting each way, then messages with a byte 1, 8 bytes of length and, for req/rep, 4 bytes of
 * request id. Only what one request and its reply need. */
#include "common/ipc_probe.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/ipc.h"

#define GREETING 8
#define HEAD (1 + 8 + 4) /* kind, length, request id */
#define NUDGE_MS 100

enum { PUB = 0x20, SUB = 0x21, REQ = 0x30, REP = 0x31 }; /* SP's numbers */

struct probe {
	const char *path;
	int fd;
	int64_t until_ms;
};

static int probe_wait(struct probe *probe, short events, struct err *err)
{
	struct pollfd wait = { .fd = probe->fd, .events = events };
	int64_t left = probe->until_ms - clock_kernel_ms();
	int rc = left > 0 ? poll(&wait, 1, (int)left) : 0;

	if (rc > 0 || (rc < 0 && errno == EINTR))
		return 0;
	if (rc < 0)
		return err_set(err, ERR_TEMP, "IPC_DOWN", "cannot wait for %s: %s", probe->path, strerror(errno));
	return err_set(err, ERR_TEMP, "IPC_TIMEOUT", "no answer from %s in time", probe->path);
}

static int probe_connect(struct probe *probe, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(probe->path);

	if (len == 0 || len >= sizeof(address.sun_path))
		return err_set(err, ERR_PERM, "IPC_PATH", "socket path \"%s\" has %zu bytes", probe->path, len);
	memcpy(address.sun_path, probe->path, len);
	probe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe->fd < 0)
		return err_set(err, ERR_TEMP, "IPC_DOWN", "no socket for %s: %s", probe->path, strerror(errno));
	if (connect(probe->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return err_set(err, ERR_TEMP, "IPC_DOWN", "nobody is let in at %s: %s", probe->path, strerror(errno));
	return 0;
}

static int probe_send(struct probe *probe, const void *data, size_t len, struct err *err)
{
	const char *at = data;

	while (len > 0) {
		ssize_t done = send(probe->fd, at, len, MSG_NOSIGNAL);

		if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (probe_wait(probe, POLLOUT, err) != 0)
				return -1;
			continue;
		}
		if (done < 0)
			return err_set(err, ERR_TEMP, "IPC_DOWN", "sending to %s: %s", probe->path, strerror(errno));
		at += done;
		len -= (size_t)done;
	}
	return 0;
}

static int probe_receive(struct probe *probe, void *data, size_t len, struct err *err)
{
	char *at = data;

	while (len > 0) {
		ssize_t done = recv(probe->fd, at, len, 0);

		if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (probe_wait(probe, POLLIN, err) != 0)
				return -1;
			continue;
		}
		if (done <= 0)
			return err_set(err, ERR_TEMP, "IPC_DOWN", "%s hung up", probe->path);
		at += done;
		len -= (size_t)done;
	}
	return 0;
}

static int probe_greet(struct probe *probe, unsigned char protocol, unsigned char expected, struct err *err)
{
	unsigned char ours[GREETING] = { 0, 'S', 'P', 0, 0, protocol, 0, 0 };
	unsigned char theirs[GREETING];

	if (probe_send(probe, ours, sizeof(ours), err) != 0 || probe_receive(probe, theirs, sizeof(theirs), err) != 0)
		return -1;
	if (memcmp(theirs, "\0SP\0", 4) != 0 || theirs[5] != expected)
		return err_set(err, ERR_TEMP, "IPC_DOWN", "what listens on %s is not ours", probe->path);
	return 0;
}

static void put_length(unsigned char *out, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		out[i] = (unsigned char)value;
}

static int probe_ask(struct probe *probe, const char *request, size_t len, struct buf *reply, struct err *err)
{
	unsigned char head[HEAD] = { 1, [9] = 0x80, [12] = 1 }; /* request id: any with the highest bit set */
	char piece[4096];
	uint64_t size = 0;

	put_length(head + 1, len + 4);
	if (probe_send(probe, head, sizeof(head), err) != 0 || probe_send(probe, request, len, err) != 0 ||
	    probe_receive(probe, head, sizeof(head), err) != 0)
		return -1;
	for (int i = 1; i <= 8; i++)
		size = size << 8 | head[i];
	if (head[0] != 1 || size < 4 || size > IPC_MESSAGE_MAX + 4)
		return err_set(err, ERR_TEMP, "IPC_DOWN", "%s answered in another language", probe->path);
	for (size -= 4; size > 0;) {
		size_t part = size < sizeof(piece) ? (size_t)size : sizeof(piece);

		if (probe_receive(probe, piece, part, err) != 0)
			return -1;
		if (reply != NULL)
			buf_add(reply, piece, part);
		size -= part;
	}
	return reply != NULL ? buf_check(reply, "ipc reply", err) : 0;
}

int ipc_probe(const char *path, const char *request, size_t len, int timeout_ms, struct buf *reply, struct err *err)
{
	struct probe probe = { .path = path, .fd = -1, .until_ms = clock_kernel_ms() + timeout_ms };
	int rc = probe_connect(&probe, err);

	if (rc == 0)
		rc = probe_greet(&probe, REQ, REP, err);
	if (rc == 0)
		rc = probe_ask(&probe, request, len, reply, err);
	if (probe.fd >= 0)
		close(probe.fd);
	return rc;
}

int ipc_probe_events(const char *path, void (*nudge)(void *arg), void *arg, int timeout_ms, struct err *err)
{
	int64_t until_ms = clock_kernel_ms() + timeout_ms;
	struct probe probe = { .path = path, .fd = -1, .until_ms = until_ms };
	struct err own = ERR_INIT;
	char byte;
	int rc;

	if (err == NULL) /* its code is looked at below */
		err = &own;
	rc = probe_connect(&probe, err);

	if (rc == 0)
		rc = probe_greet(&probe, SUB, PUB, err);
	while (rc == 0) { /* the greeting comes before the publisher counts us among its subscribers: nudge again */
		int64_t slice_ms = clock_kernel_ms() + NUDGE_MS;

		if (nudge != NULL)
			nudge(arg);
		probe.until_ms = slice_ms < until_ms ? slice_ms : until_ms;
		rc = probe_receive(&probe, &byte, 1, err);
		if (rc == 0 || err->class != ERR_TEMP || strcmp(err->code, "IPC_TIMEOUT") != 0 || clock_kernel_ms() >= until_ms)
			break;
		rc = 0;
	}
	if (probe.fd >= 0)
		close(probe.fd);
	return rc;
}
