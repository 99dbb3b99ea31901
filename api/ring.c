/* A circle of pointers. Frames, filters and clients are not its business. */
#include "api/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int
ring_init(struct ring *ring, size_t max, struct err *err)
{
	memset(ring, 0, sizeof(*ring));
	assert(max > 0);
	ring->lines = calloc(max, sizeof(*ring->lines));
	if (ring->lines == NULL)
		return err_set(err, ERR_TEMP, "MEMORY", "no memory for %zu live lines", max);
	ring->max = max;
	return 0;
}

static void
drop_oldest(struct ring *ring)
{
	struct line **slot = &ring->lines[ring->base % ring->max];
	ring->bytes -= sizeof(**slot) + (*slot)->frame_len;
	free(*slot);
	*slot = NULL;
	ring->base++;
}

void
ring_release(struct ring *ring)
{
	while (ring->base < ring->head)
		drop_oldest(ring);
	free(ring->lines);
	memset(ring, 0, sizeof(*ring));
}

void
ring_add_take(struct ring *ring, struct line *line)
{
	size_t weight = sizeof(*line) + line->frame_len;
	while (ring->base < ring->head &&
	       (ring->head - ring->base == ring->max || ring->bytes + weight > ring->max * RING_LINE_BYTES))
		drop_oldest(ring);
	ring->lines[ring->head % ring->max] = line;
	ring->bytes += weight;
	ring->head++;
}

const struct line *
ring_at(const struct ring *ring, uint64_t position)
{
	assert(position >= ring->base && position < ring->head);
	return ring->lines[position % ring->max];
}

uint64_t
ring_find(const struct ring *ring, const char *journal, int64_t seq)
{
	uint64_t position = ring->base;
	for (; position < ring->head; position++) {
		const struct line *line = ring_at(ring, position);
		if (line->seq >= seq && line->seq > 0 && strcmp(line->journal, journal) == 0)
			break;
	}
	return position;
}
