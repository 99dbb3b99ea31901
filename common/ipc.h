/* ipc: nng on Unix sockets in the one pattern that survives (libraries.md section 2): REP contexts without time-outs,
 * at most IPC_MAX_CLIENT_SOCKETS REQ sockets that are never closed, RESENDTIME -1, SUB read by a blocking thread.
 * Messages are opaque bytes of at most IPC_MESSAGE_MAX. Nothing here closes an nng socket: the process ends with
 * _exit(). No fork() without exec after the first call. */
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

/* Answers one request: fills reply (an empty reply is not allowed; an empty or too large one is logged and the client
 * gets IPC_DOWN). Runs on one of the server's threads; must not wait for work. */
typedef void ipc_handler(const char *request, size_t len, struct buf *reply, void *arg);

/* Listens on <path> with `threads` contexts (1..64). Socket mode 0600. <path>.lock is held as long as the server lives:
 * a second one is refused as "already running" (IPC_IN_USE) and does not touch the first. A path that is not a socket
 * is refused and left untouched (IPC_PATH); a stale socket is replaced. All errors but those for want of memory or
 * threads are PERM. NULL on error. */
struct ipc_server *ipc_server_start(const char *path, int threads, ipc_handler *handler, void *arg,
                                    struct err *err) MUSTCHECK;
/* Unlinks the path and its lock, stops answering and waits until the replies to the requests in hand are with nng.
 * Later requests over living connections are refused (their senders get IPC_DOWN). Does not close nng sockets and does
 * not free: the server's threads wait in nng until the process ends. A second call and NULL do nothing. */
void ipc_server_stop(struct ipc_server *server);

/* How long the server has not been able to reach itself, in ms; 0 = it can. It asks itself once a second over a fresh connection (an
 * empty request, which never reaches the handler). A peer that dies while it connects leaves nng 1.5.2's listener deaf (issue 1518):
 * who connects afterwards is greeted and then forgotten. After two failures in a row the server closes the listener with all its
 * connections (clients see IPC_DOWN, and connect again) and listens anew on the same path. If that does not help either, the process
 * should end and be started again. */
int64_t ipc_server_deaf_ms(struct ipc_server *server);

struct ipc_publisher;
/* Looks after itself as a server does. Listens under the rules of ipc_server_start. NULL on error. */
struct ipc_publisher *ipc_publisher_start(const char *path, struct err *err) MUSTCHECK;
/* 1 to IPC_MESSAGE_MAX bytes (empty messages are the self-check's, subscribers do not see them). Never blocks; slow subscribers lose the oldest messages. Any thread. */
void ipc_publish(struct ipc_publisher *publisher, const char *message, size_t len);
/* Unlinks the path; later calls of ipc_publish do nothing. Frees nothing. */
void ipc_publisher_stop(struct ipc_publisher *publisher);
int64_t ipc_publisher_deaf_ms(struct ipc_publisher *publisher);

/* --- client side (temu-api, tools) --- */
struct ipc_client;

/* A set of `sockets` (1..IPC_MAX_CLIENT_SOCKETS) REQ sockets shared by any number of threads. Connects in the
 * background, and again within half a second of the peer's return. Lives until the process ends. NULL on error. */
struct ipc_client *ipc_client_new(const char *path, int sockets, struct err *err) MUSTCHECK;

/* How long a request waits for a peer that is not there, of its own time; without this call all of it. Before the first request. */
void ipc_client_patience(struct ipc_client *client, int absent_ms);

/* Sends and waits for the reply, at most timeout_ms (> 0) including the wait for a free socket and for the peer to come
 * up. 0, or -1 with TEMP: code IPC_ABSENT (nobody is there, the request was not sent), IPC_TIMEOUT or IPC_DOWN (the peer is gone or
 * stopping); their text says whether the request was not sent or the outcome is unknown. PERM: IPC_TOO_LARGE, or the reply does not fit
 * into buf. The reply replaces the content of buf. A request is never sent twice. */
int ipc_request(struct ipc_client *client, const char *request, size_t len, int timeout_ms, struct buf *reply,
                struct err *err) MUSTCHECK;

struct ipc_subscriber;
/* Starts a thread that hands every message to `receive`, for ever, across restarts of the publisher. What was published
 * before it was connected or while it was too slow is lost. Lives until the process ends. NULL on error. */
struct ipc_subscriber *ipc_subscriber_start(const char *path,
                                            void (*receive)(const char *message, size_t len, void *arg), void *arg,
                                            struct err *err) MUSTCHECK;

#endif
