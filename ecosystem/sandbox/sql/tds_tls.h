/* tds_tls: the TLS side of a TDS connection: handshake inside PRELOGIN packets (MS-TDS 2.2.6.5), afterwards plain TLS
 * records. GnuTLS underneath, never shown. */
#ifndef SANDBOX_SQL_TDS_TLS_H
#define SANDBOX_SQL_TDS_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/err.h"

#define TDS_IO_AGAIN (-1) /* nothing now: poll and come back */
#define TDS_IO_ERROR (-2)

struct tds_tls_server; /* certificate and key; shared by all connections */
struct tds_tls;

/* PEM files. The caller frees with tds_tls_server_free. */
struct tds_tls_server *tds_tls_server_new(const char *cert, const char *key, struct err *err) MUSTCHECK;
void tds_tls_server_free(struct tds_tls_server *server);

/* The server's half of the handshake on a non-blocking socket; blocks up to timeout_ms a step. NULL and err when it
 * fails. */
struct tds_tls *tds_tls_accept(struct tds_tls_server *server, int fd, int timeout_ms, struct err *err) MUSTCHECK;
void tds_tls_free(struct tds_tls *tls);
/* As recv/send on a non-blocking socket: bytes, 0 at the end of the stream, TDS_IO_AGAIN or TDS_IO_ERROR. */
ssize_t tds_tls_recv(struct tds_tls *tls, void *data, size_t len);
ssize_t tds_tls_send(struct tds_tls *tls, const void *data, size_t len);

#endif
