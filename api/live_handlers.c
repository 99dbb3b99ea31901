/* /ws/logs: the handshake of a live client, which then belongs to the hub. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>
#include "api/cursor.h"
#include "api/hub.h"
#include "api/ws.h"
#include "common/log.h"

static void
refuse_kind(struct call *call)
{
	struct buf names;
	buf_init(&names, 200);
	for (int i = 0; i < EVENT_COUNT; i++)
		buf_addf(&names, "%s%s", i > 0 ? ", " : "", proto_event_name((enum proto_event)i));
	call_problem(call, PROTO_BAD_REQUEST, "event", "expected of %s, with commas between them", buf_text(&names));
	buf_release(&names);
}

/* "log,run" as bits. */
static int
read_kinds(struct call *call, unsigned *events)
{
	const char *at = call_query(call, "event");
	while (*at != '\0') {
		size_t len = strcspn(at, ",");
		unsigned bit = 0;
		for (int i = 0; i < EVENT_COUNT; i++) {
			const char *name = proto_event_name((enum proto_event)i);
			if (strlen(name) == len && strncmp(name, at, len) == 0)
				bit = 1u << i;
		}
		if (bit == 0) {
			refuse_kind(call);
			return -1;
		}
		*events |= bit;
		at += len;
		at += *at == ',';
	}
	return 0;
}

static int
read_filter(struct call *call, struct filter *filter)
{
	const char *level = call_query(call, "level");
	enum log_level least = LEVEL_DEBUG;
	if (level[0] != '\0' && log_level_parse(level, &least) != 0) {
		call_problem(call, PROTO_BAD_REQUEST, "level", "expected DEBUG, INFO, WARNING or ERROR");
		return -1;
	}
	filter->level = (int)least;
	if (strlen(call_query(call, "run_id")) >= sizeof(filter->run_id)) {
		call_problem(call, PROTO_BAD_REQUEST, "run_id", "longer than %d bytes", LINE_ID_MAX - 1);
		return -1;
	}
	if (strlen(call_query(call, "job_id")) >= sizeof(filter->job_id)) {
		call_problem(call, PROTO_BAD_REQUEST, "job_id", "longer than %d bytes", LINE_ID_MAX - 1);
		return -1;
	}
	snprintf(filter->run_id, sizeof(filter->run_id), "%s", call_query(call, "run_id"));
	snprintf(filter->job_id, sizeof(filter->job_id), "%s", call_query(call, "job_id"));
	return read_kinds(call, &filter->events);
}

static int
check_handshake(struct call *call)
{
	const char *version = httpd_header(call->request, "Sec-WebSocket-Version");
	const char *key = httpd_header(call->request, "Sec-WebSocket-Key");
	if (strcmp(call->request->method, "GET") != 0 || !httpd_header_has(call->request, "Upgrade", "websocket") ||
	    !httpd_header_has(call->request, "Connection", "upgrade")) {
		call_header(call, "Upgrade", "websocket");
		call_problem(call, PROTO_UPGRADE, NULL, "open this path as a WebSocket");
		return -1;
	}
	if (version == NULL || strcmp(version, "13") != 0) {
		call_header(call, "Sec-WebSocket-Version", "13");
		call_problem(call, PROTO_UPGRADE, "Sec-WebSocket-Version", "expected version 13");
		return -1;
	}
	if (key == NULL || !ws_key_valid(key)) {
		call_problem(call, PROTO_BAD_REQUEST, "Sec-WebSocket-Key", "expected 16 bytes in base64");
		return -1;
	}
	return 0;
}

/* A cursor of another journal is refused here already, when the journal is known. */
static int
check_journal(struct call *call, const struct cursor *cursor)
{
	struct hub_stats stats;
	hub_stats_get(call->api->hub, &stats);
	if (cursor->journal[0] == '\0' || stats.journal[0] == '\0' || strcmp(stats.journal, cursor->journal) == 0)
		return 0;
	call_problem(call, PROTO_WRONG_JOURNAL, "after", "the journal is %s now", stats.journal);
	return -1;
}

void
live_logs_get(struct call *call)
{
	static const char *const allowed[] = { "after", "from", "run_id", "job_id", "level", "event", NULL };
	char accept[WS_ACCEPT_MAX], greeting[400];
	struct hub_wish wish = { .resume = false };
	struct cursor cursor;
	struct err err = ERR_INIT;
	if (call_query_parse(call, allowed) != 0 || check_handshake(call) != 0 || read_filter(call, &wish.filter) != 0 ||
	    cursor_read(call, &cursor) != 0 || check_journal(call, &cursor) != 0)
		return;
	if (hub_reserve(call->api->hub, &err) != 0) {
		call_problem(call, strcmp(err.code, "BUSY") == 0 ? PROTO_BUSY : PROTO_STOPPING, NULL, "%s", err.text);
		return;
	}
	int fd = httpd_take_socket(call->request, &err);
	if (fd < 0) {
		hub_unreserve(call->api->hub);
		call_problem(call, PROTO_INTERNAL, NULL, "%s", err.text);
		return;
	}
	wish.resume = cursor.given;
	wish.from = cursor.from;
	memcpy(wish.journal, cursor.journal, sizeof(wish.journal));
	ws_accept(httpd_header(call->request, "Sec-WebSocket-Key"), accept);
	snprintf(greeting, sizeof(greeting),
	         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	         "X-Request-Id: %s\r\n\r\n", accept, call->request->request_id);
	hub_join_take(call->api->hub, fd, greeting, &wish);
	call->response->status = 0;
}
