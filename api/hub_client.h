/* hub_client: one live client: what is to be sent to it, what it says, when it is put out. All calls are made by the hub's
 * thread. */
#ifndef API_HUB_CLIENT_H
#define API_HUB_CLIENT_H

#include "api/hub.h"
#include "api/ring.h"
#include "api/ws.h"

struct hub_client {
	struct hub_client *next;
	int fd;
	struct filter filter;
	struct ws_input input;
	struct buf out;            /* whole frames; bytes before `sent` are gone */
	size_t sent;
	bool watching;             /* epoll tells when the socket takes bytes again */

	/* the place: ring position, and the number that comes next; while catching up, the ring is not looked at */
	uint64_t position;
	char journal[LINE_ID_MAX];
	int64_t next_seq;
	bool catching_up;
	struct replay_job *job;
	int64_t job_after_ms;      /* not before */

	bool pong_due, ping_due;
	unsigned char pong[WS_PAYLOAD_MAX];
	size_t pong_len;
	int close_code;            /* to be said; 0: none */
	const char *close_reason;
	bool closing;              /* the close frame is in out, or sent */
	int64_t closing_until_ms;
	int64_t stalled_ms, heard_ms, pinged_ms; /* stalled_ms 0: it takes what it gets */
	int64_t counted_ms;
	int said;                  /* messages since counted_ms */
};

/* What the hub knows while its lock is held. */
struct hub_place {
	const struct ring *ring;
	const char *journal; /* "" while unknown */
	int64_t next;
};

/* Swallows fd. NULL without memory (fd is closed). */
struct hub_client *hub_client_new(int fd, const struct hub_wish *wish, const char *greeting, int64_t now);
void hub_client_free(struct hub_client *client);

/* Takes from the ring what the client wants, about one batch, and moves its place. Returns dropped notices given. */
int hub_client_fill(struct hub_client *client, const struct hub_place *place);

/* Moves a client that reads the past one step along: looks at its job, asks the next one, or joins it to the ring. */
void hub_client_catch_up(struct hub_client *client, const struct hub_place *place, struct replay *replay, int64_t now);

/* Puts pong, ping and close between two frames. */
void hub_client_control(struct hub_client *client, int64_t now);

/* Sends what is there. 0: all gone; 1: the socket is full; -1: the connection is over. */
int hub_client_send(struct hub_client *client, int64_t now);

/* Reads what the client says. -1: the connection is over. */
int hub_client_hear(struct hub_client *client, int64_t now);

/* Ends the connection in good order: a close frame, then the end. The first reason counts. */
void hub_client_close(struct hub_client *client, enum ws_close_code code, const char *reason);

#endif
