/* Events turned into frames, and the filter. Where lines are kept and to whom they go is not known here. */
#include "api/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/ws.h"
#include "common/log.h"

#define TEXT_MAX (PROTO_CHUNK_MAX * 2)

static int
parse_event(const char *name, enum proto_event *event)
{
	for (int i = 0; name != NULL && i < EVENT_COUNT; i++) {
		if (strcmp(name, proto_event_name((enum proto_event)i)) == 0) {
			*event = (enum proto_event)i;
			return 0;
		}
	}
	return -1;
}

/* A line around one text. */
static struct line *
wrap(const char *text, size_t len)
{
	struct buf frame;
	buf_init(&frame, TEXT_MAX + 16);
	ws_frame(&frame, WS_TEXT, text, len);
	struct line *line = frame.failed ? NULL : calloc(1, sizeof(*line) + frame.len);
	if (line != NULL) {
		line->level = -1;
		line->frame_len = frame.len;
		memcpy(line->frame, frame.data, frame.len);
	}
	buf_release(&frame);
	return line;
}

struct line *
line_new(const struct json *event, const char *journal)
{
	struct line *line = NULL;
	struct buf text;
	enum proto_event kind;
	enum log_level level;
	char cursor[LINE_ID_MAX + 24];
	int64_t seq;
	if (parse_event(json_string(json_get(event, "event")), &kind) != 0 || json_int64(json_get(event, "seq"), &seq) != 0)
		return NULL;
	buf_init(&text, TEXT_MAX);
	json_print(event, &text);
	if (!text.failed && text.len > 0)
		text.len--; /* the brace comes again behind the cursor */
	snprintf(cursor, sizeof(cursor), "%.*s:%lld", LINE_ID_MAX - 1, journal, (long long)seq);
	json_add_string(&text, "cursor", cursor);
	json_object_close(&text);
	if (!text.failed)
		line = wrap(text.data, text.len);
	if (line != NULL) {
		line->seq = seq;
		line->next = seq + 1;
		line->event = kind;
		if (kind == EVENT_LOG || kind == EVENT_ALARM || kind == EVENT_RESOLVED)
			line->level = log_level_parse(json_get_string(event, "level", ""), &level) == 0 ? (int)level :
			              kind == EVENT_ALARM ? LEVEL_ERROR : LEVEL_INFO;
		snprintf(line->journal, sizeof(line->journal), "%s", journal);
		snprintf(line->run_id, sizeof(line->run_id), "%s", json_get_string(event, "run_id", ""));
		snprintf(line->job_id, sizeof(line->job_id), "%s", json_get_string(event, "job_id", ""));
	}
	buf_release(&text);
	return line;
}

struct line *
line_notice(const char *journal, int64_t next, const char *text)
{
	struct line *line = wrap(text, strlen(text));
	if (line != NULL) {
		line->next = next;
		snprintf(line->journal, sizeof(line->journal), "%s", journal);
	}
	return line;
}

void
line_add_dropped(struct buf *frames, const char *journal, int64_t from, int64_t to, const char *why)
{
	struct buf text;
	char resume[LINE_ID_MAX + 24];
	buf_init(&text, 1000);
	snprintf(resume, sizeof(resume), "%.*s:%lld", LINE_ID_MAX - 1, journal, (long long)(from - 1));
	json_object_open(&text, NULL);
	json_add_string(&text, "event", "dropped");
	json_add_int64(&text, "from", from);
	if (to > 0) {
		json_add_int64(&text, "to", to);
		json_add_int64(&text, "count", to - from + 1);
	} else {
		json_add_null(&text, "to");
		json_add_null(&text, "count");
	}
	json_add_string(&text, "resume", resume);
	json_add_string(&text, "why", why);
	json_object_close(&text);
	ws_frame(frames, WS_TEXT, buf_text(&text), text.len);
	buf_release(&text);
}

bool
filter_match(const struct filter *filter, const struct line *line)
{
	if (line->seq == 0)
		return true;
	if (filter->events != 0 && (filter->events & (1u << line->event)) == 0)
		return false;
	if (line->level >= 0 && line->level < filter->level)
		return false;
	if (filter->run_id[0] != '\0' && strcmp(filter->run_id, line->run_id) != 0)
		return false;
	return filter->job_id[0] == '\0' || strcmp(filter->job_id, line->job_id) == 0;
}
