/* ring: the last lines in order, found by a position that only ever grows. Bounded by count and by bytes. One owner, no lock. */
#ifndef API_RING_H
#define API_RING_H

#include <stddef.h>
#include <stdint.h>
#include "api/line.h"

#define RING_LINE_BYTES 1024 /* what a line may weigh on average before the bytes count, not the lines */

struct ring {
	struct line **lines;
	size_t max;
	size_t bytes;        /* of all lines kept */
	uint64_t base, head; /* kept are the positions base <= p < head */
};

/* 0, or -1 without memory (TEMP). */
int ring_init(struct ring *ring, size_t max, struct err *err) MUSTCHECK;
void ring_release(struct ring *ring);

/* Swallows the line; the oldest leave when there are too many or they weigh too much. */
void ring_add_take(struct ring *ring, struct line *line);
/* The line at a kept position. */
const struct line *ring_at(const struct ring *ring, uint64_t position);

/* The first kept position of this journal whose line is not before seq; head when there is none. */
uint64_t ring_find(const struct ring *ring, const char *journal, int64_t seq);

#endif
