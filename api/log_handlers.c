/* /api/logs: events of the journal from a cursor on. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>
#include "api/cursor.h"
#include "api/hub.h"

#define LAST_LINES 100 /* without a cursor */

/* Where to go on: behind the last number looked at, or where we stand. */
static void
add_next(struct call *call, const struct answer *answer, int64_t from)
{
	int64_t last = json_get_int64(answer->data, "last", from - 1);
	char next[LINE_ID_MAX + 24];
	snprintf(next, sizeof(next), "%.*s:%lld", LINE_ID_MAX - 1, json_get_string(answer->data, "journal", ""),
	         (long long)(last < from - 1 ? from - 1 : last));
	call->response->body.len--; /* the brace comes again */
	json_add_string(&call->response->body, "next", next);
	json_object_close(&call->response->body);
	if (json_get_bool(answer->data, "more", false))
		call_link_next(call, "after", next);
}

void
log_list_get(struct call *call)
{
	static const char *const allowed[] = { "after", "from", "to", "run_id", NULL };
	struct event_query query = { .journal = NULL };
	struct hub_stats stats;
	struct cursor cursor;
	struct answer answer;
	if (call_query_parse(call, allowed) != 0 || cursor_read(call, &cursor) != 0 ||
	    call_query_number(call, "to", 9007199254740991, &query.to) != 0)
		return;
	hub_stats_get(call->api->hub, &stats);
	query.journal = cursor.journal;
	query.run_id = call_query(call, "run_id");
	query.from = cursor.given ? cursor.from : stats.last_seq > LAST_LINES ? stats.last_seq - LAST_LINES + 1 : 1;
	int rc = workers_event_read(call->api->workers, &query, &answer);
	call_answer(call, 200, &answer);
	if (rc == 0 && !call->response->body.failed)
		add_next(call, &answer, query.from);
	answer_release(&answer);
}
