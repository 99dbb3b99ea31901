/* daemon: the life of a process: signals, readiness, watchdog, the end. Knows nothing of jobs or routes. */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>
#include "common/err.h"

/* First thing in main(), before any thread: ignores SIGPIPE, blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD for all threads,
 * closes stray descriptors' inheritance, sets umask 077. */
void daemon_init(const char *name);

/* Creates a folder 0700 (with parents) unless it exists; refuses one that belongs to somebody else. */
int daemon_folder(const char *path, struct err *err) MUSTCHECK;

/* Tells systemd (NOTIFY_SOCKET) and PM2 (NODE_CHANNEL_FD) that we are up. Nothing happens without them. */
void daemon_ready(void);

/* Blocks until SIGTERM or SIGINT, or until daemon_stop() is called. Feeds the systemd watchdog meanwhile when WATCHDOG_USEC
 * is set and `alive` (may be NULL) says true. Sends STOPPING=1 before it returns. Returns the signal, 0 after daemon_stop(). */
int daemon_wait(bool (*alive)(void *arg), void *arg);

/* From any thread, after daemon_init: makes daemon_wait return, now and from then on. Takes SIGUSR2 for itself. */
void daemon_stop(void);

/* The end: flushes the streams and leaves with _exit (nng must not be closed). A second SIGTERM or SIGINT during the drain and
 * a drain longer than limit_ms (timer started by daemon_drain_limit) leave at once with code 1. */
void daemon_drain_limit(int limit_ms);
void daemon_exit(int code) __attribute__((noreturn));

#endif
