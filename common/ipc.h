/* ipc: nng on Unix sockets in the one pattern that survives (libraries.md section 2): REP contexts without time-outs,
 * at most IPC_MAX_CLIENT_SOCKETS REQ sockets that are never closed, RESENDTIME -1, SUB read by a blocking thread.
 * Messages are opaque bytes of at most IPC_MESSAGE_MAX. Nothing here closes an nng socket: the process ends with _exit(). */
#ifndef COMMON_IPC_H
#define COMMON_IPC_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

#define IPC_MESSAGE_MAX (512 * 1024)
#define IPC_MAX_CLIENT_SOCKETS 8

/* --- server side (temu-workers) --- */
struct ipc_server;

/* Answers one request: fills reply (empty reply is not allowed). Runs on one of the server's threads; must not wait for work. */
typedef void ipc_handler(const char *request, size_t len, struct buf *reply, void *arg);

/* Listens on <path> with `threads` contexts. Socket mode 0600. A path that exists and is not a socket is refused and left
 * untouched; a live listener is refused as "already running" (the single-instance guard); a stale socket is replaced. */
struct ipc_server *ipc_server_start(const char *path, int threads, ipc_handler *handler, void *arg, struct err *err) MUSTCHECK;
/* Stops answering (requests in hand are finished) and unlinks the path. Does not close nng sockets. */
void ipc_server_stop(struct ipc_server *server);

struct ipc_publisher;
struct ipc_publisher *ipc_publisher_start(const char *path, struct err *err) MUSTCHECK;
/* Never blocks; slow subscribers lose the oldest messages. Any thread. */
void ipc_publish(struct ipc_publisher *publisher, const char *message, size_t len);
void ipc_publisher_stop(struct ipc_publisher *publisher);

/* --- client side (temu-api, tools) --- */
struct ipc_client;

/* A set of `sockets` (1..IPC_MAX_CLIENT_SOCKETS) REQ sockets shared by any number of threads. Connects in the background. */
struct ipc_client *ipc_client_new(const char *path, int sockets, struct err *err) MUSTCHECK;

/* Sends and waits for the reply, at most timeout_ms including the wait for a free socket. 0, or -1 with TEMP:
 * code IPC_TIMEOUT (outcome unknown) or IPC_DOWN (the peer is gone or never came). Reply replaces the content of buf. */
int ipc_request(struct ipc_client *client, const char *request, size_t len, int timeout_ms, struct buf *reply,
                struct err *err) MUSTCHECK;

struct ipc_subscriber;
/* Starts a thread that hands every message to `receive`, for ever, across restarts of the publisher. */
struct ipc_subscriber *ipc_subscriber_start(const char *path, void (*receive)(const char *message, size_t len, void *arg),
                                            void *arg, struct err *err) MUSTCHECK;

#endif
