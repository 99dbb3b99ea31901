/* feed: the events of temu-workers, each exactly once and in order. The subscription may lose messages; the feed notices that by
 * the numbers (a gap, another boot or journal, a heartbeat whose last is ahead) and reads what is missing from the journal.
 * It runs on a thread of its own and keeps its place through restarts of the workers. */
#ifndef API_FEED_H
#define API_FEED_H

#include <stdbool.h>
#include <stdint.h>
#include "api/replay.h"
#include "common/err.h"
#include "common/json.h"

/* Called on the feed's thread only. Must not block for long. */
struct feed_sink {
	/* Another journal, or the first; also another boot of the same. The next event will be number next. */
	void (*enter)(void *arg, const char *journal, const char *boot, int64_t next);
	void (*add)(void *arg, const struct json *event);
	/* The journal has these numbers no more. */
	void (*lost)(void *arg, int64_t from, int64_t to);
	void *arg;
};

struct feed_options {
	const char *run_folder; /* events.sock is in it */
	size_t remember;        /* at the first contact: look at so many last events for those newer than the start */
	replay_read *read;      /* event_read */
	int (*hello)(void *arg, struct answer *answer);
	void *arg;              /* of both */
};

struct feed;
/* The events that are younger than this call are handed over, also those before the first contact (within `remember`).
 * Lives until the process ends, as its subscription does. NULL on error. */
struct feed *feed_start(const struct feed_options *options, const struct feed_sink *sink, struct err *err) MUSTCHECK;

/* Hands over nothing more, once it returns (waits at most for one read). */
void feed_stop(struct feed *feed);

struct feed_stats {
	int64_t heard_ms;       /* since the last message of the workers; -1: none yet */
	uint64_t fills, events; /* reads from the journal; events handed over */
	bool behind;            /* something is missing that could not be read yet */
};
void feed_stats_get(struct feed *feed, struct feed_stats *stats);

#endif
