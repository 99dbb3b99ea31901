/* hub: the live clients. Lines come in once, go into one shared ring, and every client has its place in it; one thread writes to
 * all of them without ever waiting for one. Memory is bounded: the ring, one batch and one replayed chunk per client.
 * A client that falls behind the ring gets a `dropped` notice and goes on from the middle of the ring; one that takes nothing at
 * all for stall_ms is put out. Clients hold no server thread.
 *
 * Frames, each one JSON text: hello (first), the events of protocol.md with a "cursor", and
 *   {"event":"dropped","from":N,"to":N,"count":N,"resume":"<journal>:<seq>","why":"slow"|"gone"}
 *   {"event":"journal","journal":"..","was":".."|null,"cursor":".."}   another journal begins (or the first is known)
 *   {"event":"error","code":"WRONG_JOURNAL","text":".."}               followed by a close with 1008 */
#ifndef API_HUB_H
#define API_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include "api/line.h"
#include "api/replay.h"

struct hub_options {
	size_t lines;      /* kept in the ring */
	int clients;       /* at once */
	int batch_ms;      /* shortest time between two batches; the first line after a pause goes at once */
	int stall_ms;      /* a client that takes nothing for so long is put out */
	int ping_ms;       /* between two pings */
	int silent_ms;     /* a client that says nothing for so long, not even pong, is gone */
	replay_read *read; /* for cursors older than the ring */
	void *read_arg;
};
/* The defaults for everything but lines, clients and read. */
#define HUB_OPTIONS_INIT { .batch_ms = 40, .stall_ms = 30000, .ping_ms = 20000, .silent_ms = 65000 }

struct hub;
struct hub *hub_start(const struct hub_options *options, struct err *err) MUSTCHECK;
/* Lets nobody in any more, sends every client a close frame (1001) and waits at most limit_ms until all are gone. */
void hub_stop(struct hub *hub, int limit_ms);
/* After hub_stop: ends the threads (waits for a replay under way) and frees. NULL is fine. */
void hub_free(struct hub *hub);

/* --- what the feed says, in this order, from one thread ----------------------------------------------------------- */
/* The next event will be number `next` of this journal. */
void hub_enter(struct hub *hub, const char *journal, const char *boot, int64_t next);
void hub_add(struct hub *hub, const struct json *event);
/* Events that cannot be had any more. */
void hub_lost(struct hub *hub, int64_t from, int64_t to);

/* --- clients ------------------------------------------------------------------------------------------------------ */
/* A place for a client, before its handshake is answered. 0, or -1 with the code BUSY or STOPPING. */
int hub_reserve(struct hub *hub, struct err *err) MUSTCHECK;
void hub_unreserve(struct hub *hub);

struct hub_wish {
	struct filter filter;
	bool resume;               /* from the number `from` of `journal` ("": of the current one), else from now on */
	char journal[LINE_ID_MAX];
	int64_t from;
};
/* Uses up a reservation and swallows the socket; greeting is sent first (the answer to the handshake). Does not block. */
void hub_join_take(struct hub *hub, int fd, const char *greeting, const struct hub_wish *wish);

struct hub_stats {
	int clients, most;              /* now, and allowed */
	uint64_t lines, evicted, slow;  /* since the start: lines taken in, clients put out, dropped notices */
	char journal[LINE_ID_MAX], boot[LINE_ID_MAX];
	int64_t last_seq;               /* 0 while nothing is known */
};
void hub_stats_get(struct hub *hub, struct hub_stats *stats);

#endif
