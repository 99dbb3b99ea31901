/* cursor: a place in the events: "<journal>:<number of the last event seen>". */
#ifndef API_CURSOR_H
#define API_CURSOR_H

#include "api/call.h"
#include "api/line.h"

struct cursor {
	bool given;
	char journal[LINE_ID_MAX]; /* "" = the current one */
	int64_t from;              /* the first number wanted, >= 1 */
};

/* From the query's `after` (a cursor) or `from` (a number in the current journal). 0, or -1 with the problem written. */
int cursor_read(struct call *call, struct cursor *cursor);

#endif
