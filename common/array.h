/* array: what arrays on the heap need everywhere: room for one more element, and an order of numbers for qsort and bsearch. */
#ifndef COMMON_ARRAY_H
#define COMMON_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

/* items with room for at least count + 1 elements of `size` bytes, perhaps moved; *room (0 with items NULL at first) is how many it has.
 * The new room is not cleared. NULL: no memory, items are as they were and still the caller's. */
void *array_room(void *items, size_t count, size_t *room, size_t size) MUSTCHECK;

/* Below, at or above 0, where a difference might overflow. */
static inline int array_order(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

#endif
