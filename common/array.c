/* How arrays grow: doubling, so that appending costs the same however long they are. */
#include "common/array.h"

#include <stdlib.h>

#define FIRST_ROOM 64

void *array_room(void *items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : FIRST_ROOM;
	void *larger;

	if (count < *room)
		return items;
	if (more < *room || more > SIZE_MAX / size)
		return NULL;
	larger = realloc(items, more * size);
	if (larger)
		*room = more;
	return larger;
}
