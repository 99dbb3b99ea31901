/* line: one event as the live clients get it, framed once for all of them, with what the filters look at. Immutable. */
#ifndef API_LINE_H
#define API_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/json.h"
#include "proto/proto.h"

#define LINE_ID_MAX 64 /* run, job and journal ids with their NUL */

struct line {
	int64_t seq;           /* 0: a notice that every client gets, whatever it filters */
	int64_t next;          /* the number that follows */
	int level;             /* enum log_level; -1: an event without one */
	enum proto_event event;
	char journal[LINE_ID_MAX], run_id[LINE_ID_MAX], job_id[LINE_ID_MAX];
	size_t frame_len;
	char frame[];          /* a whole WebSocket text frame */
};

/* The event's members as they came, and "cursor":"<journal>:<seq>" behind them. Heap, free(). NULL: no memory, or not an event
 * (no seq, unknown kind). */
struct line *line_new(const struct json *event, const char *journal);
/* A notice: text is JSON; next is the number that comes after it. */
struct line *line_notice(const char *journal, int64_t next, const char *text);

/* The notice of numbers that a client will not get: {"event":"dropped","from","to","count","resume","why"}. Appended as a frame.
 * to 0: up to the end of that journal, however far it went. */
void line_add_dropped(struct buf *frames, const char *journal, int64_t from, int64_t to, const char *why);

/* What a client wants to see. All zero: everything. */
struct filter {
	char run_id[LINE_ID_MAX], job_id[LINE_ID_MAX];
	int level;       /* log lines and alarms of at least this enum log_level; other events are not judged by it */
	unsigned events; /* bits 1 << enum proto_event; 0: all */
};
bool filter_match(const struct filter *filter, const struct line *line);

#endif
