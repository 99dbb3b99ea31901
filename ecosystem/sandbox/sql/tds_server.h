/* tds_server: the listening socket and a thread per connection (at most 64; more are refused at once). */
#ifndef SANDBOX_SQL_TDS_SERVER_H
#define SANDBOX_SQL_TDS_SERVER_H

#include "ecosystem/sandbox/sql/tds_session.h"

#define TDS_CONNECTIONS_MAX 64

struct tds_server;

/* Listens on host:port (numeric address; port 0: any free one) and serves. shared is borrowed. NULL and err when it
 * fails. */
struct tds_server *tds_server_start(const char *host, int port, struct tds_shared *shared, struct err *err) MUSTCHECK;
int tds_server_port(const struct tds_server *server);
/* The engine behind it. */
struct engine *tds_server_engine(const struct tds_server *server);
/* Drops every connection; their sessions end by themselves soon after. Thread-safe. */
void tds_server_close_all(struct tds_server *server);
/* Ends everything and waits for the threads. Sets shared->stop. NULL is accepted. */
void tds_server_stop(struct tds_server *server);

/* A listening socket, non-blocking; the port it got is stored. -1 and err. Also used by the control port. */
int tds_server_listen(const char *host, int port, int *got, struct err *err) MUSTCHECK;

#endif
