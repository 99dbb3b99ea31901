/* Commands about the process and its journal: who we are, events, numbers. */
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define EVENTS_ROOM 2048 /* of a chunk, for what stands beside the events */

int
command_hello(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	json_add_string(data, "version", control->config.version);
	json_add_string(data, "boot", control->config.boot);
	json_add_string(data, "journal", journal_identity(control->config.journal));
	json_add_int64(data, "last_seq", journal_last(control->config.journal));
	json_add_int64(data, "uptime_s", (clock_mono_ms() - control->started_mono_ms) / 1000);
	return 0;
}

/* --- events --------------------------------------------------------------------------------------------------------- */

/* What was asked for and retention deleted before. */
static void
add_gone(struct buf *data, int64_t from, int64_t to, int64_t oldest)
{
	if (from >= oldest) {
		json_add_null(data, "gone");
		return;
	}
	json_object_open(data, "gone");
	json_add_int64(data, "from", from);
	json_add_int64(data, "to", to > 0 && to < oldest ? to : oldest - 1);
	json_object_close(data);
}

int
command_event_read(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct journal *journal = control->config.journal;
	const char *identity = json_get_string(args, "journal", "");
	struct event_page page = { 0 };
	struct buf events;
	json_add_string(data, "journal", journal_identity(journal));
	if (identity[0] != '\0' && strcmp(identity, journal_identity(journal)) != 0)
		return err_set(err, ERR_PERM, "WRONG_JOURNAL", "this is journal %s, not %s; start from 1", journal_identity(journal),
		               identity);
	buf_init(&events, PROTO_CHUNK_MAX);
	int64_t from = json_get_int64(args, "from", 1), to = json_get_int64(args, "to", 0);
	int rc = journal_events(journal, from > 0 ? from : 1, to, json_get_string(args, "run_id", ""), PROTO_CHUNK_MAX - EVENTS_ROOM,
	                        &events, &page, err);
	if (rc == 0)
		rc = buf_check(&events, "the events", err);
	if (rc == 0) {
		json_add_int64(data, "first", page.first);
		json_add_int64(data, "last", page.last);
		json_add_int64(data, "count", page.count);
		json_array_open(data, "events");
		buf_add(data, buf_text(&events), events.len);
		json_array_close(data);
		json_add_bool(data, "more", page.more);
		json_add_int64(data, "oldest", page.oldest);
		add_gone(data, page.first, to, page.oldest);
	}
	buf_release(&events);
	return rc;
}

/* --- numbers -------------------------------------------------------------------------------------------------------- */

int
command_pool_stats(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	for (size_t i = 0; i < control->config.stats_count; i++) {
		const struct control_stats *stats = &control->config.stats[i];
		if (stats->name != NULL)
			json_object_open(data, stats->name);
		stats->add(stats->arg, data);
		if (stats->name != NULL)
			json_object_close(data);
	}
	return 0;
}
