/* GnuTLS with its transport redirected: into 0x12 packets while the handshake runs, to the bare socket afterwards.
 * Whether a connection is encrypted at all is decided in tds_session.c. */
#include "ecosystem/sandbox/sql/tds_tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "common/buf.h"

#define WRAP_TYPE 0x12
#define WRAP_HEADER 8
#define WRAP_PAYLOAD 4088
#define HANDSHAKE_MAX ((size_t)256 << 10)
/* 1.3 sends tickets behind the handshake, where the clients of this protocol version no longer unwrap packets */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.2"

struct tds_tls_server {
	gnutls_certificate_credentials_t credentials;
};

struct tds_tls {
	gnutls_session_t session;
	int fd, timeout_ms;
	bool wrapped;
	size_t payload; /* bytes left of the wrapping packet being read */
	struct buf out; /* records not yet wrapped */
};

struct tds_tls_server *tds_tls_server_new(const char *cert, const char *key, struct err *err)
{
	struct tds_tls_server *server = calloc(1, sizeof(*server));
	int rc;

	if (!server || gnutls_certificate_allocate_credentials(&server->credentials) != 0) {
		free(server);
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	rc = gnutls_certificate_set_x509_key_file(server->credentials, cert, key, GNUTLS_X509_FMT_PEM);
	if (rc < 0) {
		err_set(err, ERR_PERM, "TLS", "%s, %s: %s", cert, key, gnutls_strerror(rc));
		tds_tls_server_free(server);
		return NULL;
	}
	return server;
}

void tds_tls_server_free(struct tds_tls_server *server)
{
	if (!server)
		return;
	gnutls_certificate_free_credentials(server->credentials);
	free(server);
}

static int wait_for(struct tds_tls *tls, short events)
{
	struct pollfd pfd = { .fd = tls->fd, .events = events };
	int rc;

	do
		rc = poll(&pfd, 1, tls->timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		errno = ETIMEDOUT;
	return rc > 0 ? 0 : -1;
}

/* All of it or -1 with errno. */
static int read_all(struct tds_tls *tls, uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(tls->fd, data, len, 0);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n == 0) {
			errno = ECONNRESET;
			return -1;
		} else if (errno == EAGAIN) {
			if (wait_for(tls, POLLIN) != 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int write_all(struct tds_tls *tls, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(tls->fd, data, len, MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_for(tls, POLLOUT) != 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int flush_wrapped(struct tds_tls *tls)
{
	uint8_t packet[WRAP_HEADER + WRAP_PAYLOAD];
	size_t at = 0;

	while (at < tls->out.len) {
		size_t n = tls->out.len - at < WRAP_PAYLOAD ? tls->out.len - at : WRAP_PAYLOAD;
		bool last = at + n == tls->out.len;

		memset(packet, 0, WRAP_HEADER);
		packet[0] = WRAP_TYPE;
		packet[1] = last ? 1 : 0;
		packet[2] = (uint8_t)((n + WRAP_HEADER) >> 8);
		packet[3] = (uint8_t)((n + WRAP_HEADER) & 0xFF);
		memcpy(packet + WRAP_HEADER, tls->out.data + at, n);
		if (write_all(tls, packet, WRAP_HEADER + n) != 0)
			return -1;
		at += n;
	}
	buf_clear(&tls->out);
	return 0;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *data, size_t len)
{
	struct tds_tls *tls = arg;
	uint8_t header[WRAP_HEADER];
	size_t total;
	ssize_t n;

	if (!tls->wrapped) {
		n = recv(tls->fd, data, len, 0);
		if (n < 0)
			gnutls_transport_set_errno(tls->session, errno);
		return n;
	}
	if (flush_wrapped(tls) != 0)
		goto failed;
	while (tls->payload == 0) {
		if (read_all(tls, header, sizeof(header)) != 0)
			goto failed;
		total = (size_t)header[2] << 8 | header[3];
		if (header[0] != WRAP_TYPE || total < WRAP_HEADER) {
			errno = EPROTO;
			goto failed;
		}
		tls->payload = total - WRAP_HEADER;
	}
	if (len > tls->payload)
		len = tls->payload;
	if (read_all(tls, data, len) != 0)
		goto failed;
	tls->payload -= len;
	return (ssize_t)len;
failed:
	gnutls_transport_set_errno(tls->session, errno);
	return -1;
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *data, size_t len)
{
	struct tds_tls *tls = arg;
	ssize_t n;

	if (tls->wrapped) {
		buf_add(&tls->out, data, len);
		if (!tls->out.failed)
			return (ssize_t)len;
		gnutls_transport_set_errno(tls->session, ENOBUFS);
		return -1;
	}
	n = send(tls->fd, data, len, MSG_NOSIGNAL);
	if (n < 0)
		gnutls_transport_set_errno(tls->session, errno);
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)arg;
	(void)ms;
	return 1; /* our pull waits by itself */
}

static int start(struct tds_tls *tls, struct tds_tls_server *server)
{
	int rc = gnutls_init(&tls->session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);

	if (rc < 0)
		return rc;
	rc = gnutls_priority_set_direct(tls->session, PRIORITIES, NULL);
	if (rc >= 0)
		rc = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, server->credentials);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_push_function(tls->session, push);
	gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
	return rc;
}

struct tds_tls *tds_tls_accept(struct tds_tls_server *server, int fd, int timeout_ms, struct err *err)
{
	struct tds_tls *tls = calloc(1, sizeof(*tls));
	int rc;

	if (!tls) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory");
		return NULL;
	}
	tls->fd = fd;
	tls->timeout_ms = timeout_ms;
	tls->wrapped = true;
	buf_init(&tls->out, HANDSHAKE_MAX);
	rc = start(tls, server);
	while (rc >= 0 || !gnutls_error_is_fatal(rc)) {
		rc = gnutls_handshake(tls->session);
		if (rc == 0)
			break;
	}
	/* also after a failure: the alert tells the client why */
	if (flush_wrapped(tls) != 0 && rc == 0)
		rc = GNUTLS_E_PUSH_ERROR;
	if (rc != 0 || tls->payload != 0) {
		err_set(err, ERR_PERM, "TLS", "TLS handshake: %s", rc != 0 ? gnutls_strerror(rc) : "bytes behind its end");
		tds_tls_free(tls);
		return NULL;
	}
	tls->wrapped = false;
	return tls;
}

void tds_tls_free(struct tds_tls *tls)
{
	if (!tls)
		return;
	if (tls->session)
		gnutls_deinit(tls->session);
	buf_release(&tls->out);
	free(tls);
}

static ssize_t answer(ssize_t rc)
{
	if (rc >= 0)
		return rc;
	return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED ? TDS_IO_AGAIN : TDS_IO_ERROR;
}

ssize_t tds_tls_recv(struct tds_tls *tls, void *data, size_t len)
{
	return answer(gnutls_record_recv(tls->session, data, len));
}

ssize_t tds_tls_send(struct tds_tls *tls, const void *data, size_t len)
{
	return answer(gnutls_record_send(tls->session, data, len));
}
