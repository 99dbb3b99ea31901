/* tcp: what the HTTP library does not offer for its sockets: finding them, sending with one deadline, closing a port at once. */
#ifndef API_TCP_H
#define API_TCP_H

#include <stddef.h>
#include <stdint.h>

/* Both ends of an IPv4 connection. */
struct tcp_ends {
	const char *peer; /* address of the other side */
	int peer_port, own_port;
};

/* The descriptor of this connection in this process, -1 when there is none. Looked for near `near` first: the kernel hands out the
 * lowest free number, so a new one is mostly near the last. */
int tcp_find(const struct tcp_ends *ends, int near);

/* Sends all of it until deadline_ms (clock_mono_ms). 0 or -1. */
int tcp_send(int fd, const char *data, size_t len, int64_t deadline_ms);

/* Says the end and throws away what still comes, for a moment: lets the client read our last answer before its unread bytes make
 * the kernel reset the connection. */
void tcp_drain(int fd);

/* Closes a listening port of this process at once, even while a thread polls it: the number stays open, with something behind it
 * that never becomes ready. */
void tcp_close_port(int port);

#endif
