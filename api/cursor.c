/* Reading a place out of a query. */
#include "api/cursor.h"

#include <stdlib.h>
#include <string.h>

#define BIG 9007199254740990

int
cursor_read(struct call *call, struct cursor *cursor)
{
	const char *after = call_query(call, "after"), *from = call_query(call, "from");
	const char *colon = strrchr(after, ':');
	size_t digits = colon != NULL ? strlen(colon + 1) : 0;
	memset(cursor, 0, sizeof(*cursor));
	if (after[0] != '\0' && from[0] != '\0') {
		call_problem(call, PROTO_BAD_REQUEST, "from", "after and from exclude each other");
		return -1;
	}
	if (from[0] != '\0') {
		if (call_query_number(call, "from", BIG, &cursor->from) != 0)
			return -1;
		cursor->from = cursor->from < 1 ? 1 : cursor->from;
		cursor->given = true;
		return 0;
	}
	if (after[0] == '\0')
		return 0;
	if (colon == NULL || colon == after || colon - after >= LINE_ID_MAX || digits == 0 || digits > 15 ||
	    strspn(colon + 1, "0123456789") != digits) {
		call_problem(call, PROTO_BAD_REQUEST, "after", "expected a cursor: <journal>:<number>");
		return -1;
	}
	memcpy(cursor->journal, after, (size_t)(colon - after));
	cursor->from = strtoll(colon + 1, NULL, 10) + 1;
	cursor->given = true;
	return 0;
}
