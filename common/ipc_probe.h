/* ipc_probe: one conversation with a socket of ipc.h over a fresh raw connection, without nng: whether somebody new is let in and
 * answered. Used by the servers on themselves, and by health checks. */
#ifndef COMMON_IPC_PROBE_H
#define COMMON_IPC_PROBE_H

#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"

/* Connects to what ipc_server_start listens on, sends the request and puts the answer into reply; reply may be NULL. 0, or -1 with TEMP
 * IPC_DOWN (nobody listens, or it hung up) or IPC_TIMEOUT after timeout_ms. */
int ipc_probe(const char *path, const char *request, size_t len, int timeout_ms, struct buf *reply, struct err *err) MUSTCHECK;

/* Connects to what ipc_publisher_start listens on, and waits until any message arrives; calls nudge (may be NULL) every now and then, which
 * may publish one. Errors as above. */
int ipc_probe_events(const char *path, void (*nudge)(void *arg), void *arg, int timeout_ms, struct err *err) MUSTCHECK;

#endif
