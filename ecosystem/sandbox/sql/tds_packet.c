/* Framing and the socket: header checks, splitting, gathering, and reading on while a reply is being written, because
 * the client may send ATTENTION at any time. Message contents are the business of the other tds_*.c files. */
#include "ecosystem/sandbox/sql/tds_packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/clock.h"
#include "ecosystem/sandbox/sql/tds_tls.h"

void tds_packet_init(struct tds_packet *p, int fd)
{
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	p->size = TDS_PACKET_DEFAULT;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void tds_packet_close(struct tds_packet *p, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	tds_tls_free(p->tls);
	p->tls = NULL;
	if (p->fd < 0)
		return;
	if (reset)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(p->fd);
	p->fd = -1;
	p->gone = true;
}

/* --- in --- */

static ssize_t read_some(struct tds_packet *p, void *data, size_t len)
{
	ssize_t n;

	if (p->tls)
		return tds_tls_recv(p->tls, data, len);
	do
		n = recv(p->fd, data, len, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? TDS_IO_AGAIN : TDS_IO_ERROR;
}

/* Reads what is there into `in`. */
static void fill(struct tds_packet *p)
{
	if (p->in_at > 0) {
		memmove(p->in, p->in + p->in_at, p->in_len - p->in_at);
		p->in_len -= p->in_at;
		p->in_at = 0;
	}
	while (!p->gone && p->in_len < sizeof(p->in)) {
		ssize_t n = read_some(p, p->in + p->in_len, sizeof(p->in) - p->in_len);

		if (n == TDS_IO_AGAIN)
			return;
		if (n <= 0)
			p->gone = true;
		else
			p->in_len += (size_t)n;
	}
}

static size_t packet_length(const struct tds_packet *p)
{
	const uint8_t *header = p->in + p->in_at;

	return (size_t)header[2] << 8 | header[3];
}

static bool have_header(const struct tds_packet *p)
{
	return p->in_len - p->in_at >= TDS_PACKET_HEADER;
}

static bool have_packet(const struct tds_packet *p)
{
	return have_header(p) && p->in_len - p->in_at >= packet_length(p);
}

/* 1: something may be there, 0: timed out */
static int wait_readable(struct tds_packet *p, int timeout_ms)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	int rc;

	do
		rc = poll(&pfd, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	return rc;
}

static int broken(struct err *err, const char *what)
{
	return err_set(err, ERR_PERM, "TDS", "protocol error: %s", what);
}

static int next_packet(struct tds_packet *p, int timeout_ms, struct err *err)
{
	size_t had;

	for (;;) {
		if (have_header(p) && (packet_length(p) < TDS_PACKET_HEADER || packet_length(p) > TDS_PACKET_MAX))
			return broken(err, "packet length outside 8..32767");
		if (have_packet(p))
			return 0;
		if (p->gone)
			return err_set(err, ERR_TEMP, "TDS_GONE", "the client has gone");
		had = p->in_len - p->in_at;
		fill(p);
		if (p->in_len - p->in_at == had && !p->gone && wait_readable(p, timeout_ms) == 0)
			return err_set(err, ERR_TEMP, "TDS_TIMEOUT", "the client said nothing for %d ms", timeout_ms);
	}
}

static bool known_type(uint8_t type)
{
	switch (type) {
	case TDS_SQL_BATCH:
	case TDS_RPC:
	case TDS_ATTENTION:
	case TDS_BULK:
	case TDS_TRANSACTION:
	case TDS_LOGIN7:
	case TDS_PRELOGIN:
		return true;
	default:
		return false;
	}
}

/* 1: the message is whole, 0: more packets follow. */
static int take_packet(struct tds_packet *p, struct tds_message *message, bool first, struct err *err)
{
	const uint8_t *header = p->in + p->in_at;
	size_t len = packet_length(p);
	uint8_t status = header[1];

	if (!known_type(header[0]))
		return broken(err, "unknown packet type");
	if (!first && header[0] != message->type && header[0] != TDS_ATTENTION)
		return broken(err, "another message begins inside a message");
	if (first || header[0] == TDS_ATTENTION) {
		message->type = header[0];
		message->status = status;
	}
	p->in_at += len;
	if (header[0] == TDS_ATTENTION) {
		buf_clear(&message->body);
		return 1;
	}
	buf_add(&message->body, header + TDS_PACKET_HEADER, len - TDS_PACKET_HEADER);
	if (message->body.failed)
		return broken(err, "message too long");
	return (status & TDS_STATUS_EOM) != 0;
}

int tds_packet_recv(struct tds_packet *p, struct tds_message *message, int timeout_ms, struct err *err)
{
	bool first = true;
	uint8_t status;
	int rc;

	buf_clear(&message->body);
	for (;;) {
		if (next_packet(p, timeout_ms, err) != 0)
			return -1;
		status = p->in[p->in_at + 1];
		rc = take_packet(p, message, first, err);
		if (rc < 0)
			return -1;
		first = rc == 1;
		if (rc == 1 && (status & TDS_STATUS_IGNORE) != 0 && message->type != TDS_ATTENTION)
			buf_clear(&message->body);
		else if (rc == 1)
			return 0;
	}
}

bool tds_packet_attention(struct tds_packet *p)
{
	if (!p->gone)
		fill(p);
	if (have_packet(p) && p->in[p->in_at] == TDS_ATTENTION && packet_length(p) >= TDS_PACKET_HEADER) {
		p->in_at += packet_length(p);
		p->attention = true;
	}
	return p->attention;
}

bool tds_packet_wait(struct tds_packet *p, int64_t timeout_ms)
{
	int64_t end = clock_mono_ms() + timeout_ms, left = timeout_ms;

	while (!tds_packet_attention(p) && !p->gone) {
		bool full = p->in_len == sizeof(p->in); /* nothing more fits: only the time can end the wait */
		struct pollfd pfd = { .fd = full ? -1 : p->fd, .events = POLLIN };

		if (left <= 0)
			return false;
		poll(&pfd, 1, left > 60000 ? 60000 : (int)left);
		left = end - clock_mono_ms();
	}
	return true;
}

/* --- out --- */

static ssize_t write_some(struct tds_packet *p, const void *data, size_t len)
{
	ssize_t n;

	if (p->tls)
		return tds_tls_send(p->tls, data, len);
	do
		n = send(p->fd, data, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? TDS_IO_AGAIN : TDS_IO_ERROR;
}

static void send_all(struct tds_packet *p, const uint8_t *data, size_t len)
{
	while (len > 0 && !p->gone) {
		ssize_t n = write_some(p, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n == TDS_IO_AGAIN) {
			bool room = p->in_len - p->in_at < sizeof(p->in) && !p->attention;
			struct pollfd pfd = { .fd = p->fd, .events = (short)(POLLOUT | (room ? POLLIN : 0)) };

			poll(&pfd, 1, -1);
			if (room && (pfd.revents & POLLIN) != 0)
				tds_packet_attention(p);
		} else {
			p->gone = true;
		}
	}
}

static void send_packet(struct tds_packet *p, bool last)
{
	p->out[0] = p->out_type;
	p->out[1] = last ? TDS_STATUS_EOM : 0;
	p->out[2] = (uint8_t)(p->out_len >> 8);
	p->out[3] = (uint8_t)(p->out_len & 0xFF);
	p->out[4] = (uint8_t)(p->spid >> 8);
	p->out[5] = (uint8_t)(p->spid & 0xFF);
	p->out[6] = ++p->id;
	p->out[7] = 0;
	send_all(p, p->out, p->out_len);
	p->out_len = TDS_PACKET_HEADER;
}

void tds_packet_begin(struct tds_packet *p, uint8_t type)
{
	p->out_type = type;
	p->out_len = TDS_PACKET_HEADER;
	p->id = 0;
}

void tds_packet_write(struct tds_packet *p, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len > 0 && !p->gone) {
		size_t n;

		if (p->out_len == p->size)
			send_packet(p, false);
		n = p->size - p->out_len < len ? p->size - p->out_len : len;
		memcpy(p->out + p->out_len, from, n);
		p->out_len += n;
		from += n;
		len -= n;
	}
}

void tds_packet_flush(struct tds_packet *p)
{
	if (p->out_len > TDS_PACKET_HEADER)
		send_packet(p, false);
}

void tds_packet_end(struct tds_packet *p)
{
	send_packet(p, true);
}
