/* Health and numbers: /livez, /readyz, /api/system. */
#include "api/handlers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "api/feed.h"
#include "api/hub.h"
#include "common/clock.h"

void
livez_get(struct call *call)
{
	static const char *const allowed[] = { "verbose", NULL };
	if (call_query_parse(call, allowed) != 0)
		return;
	buf_add_text(&call->response->body, "{\"status\":\"ok\"}");
}

static void
add_live(struct buf *out, const struct api *api)
{
	struct hub_stats hub;
	struct feed_stats feed;
	hub_stats_get(api->hub, &hub);
	feed_stats_get(api->feed, &feed);
	json_object_open(out, "live");
	json_add_int64(out, "clients", hub.clients);
	json_add_int64(out, "most", hub.most);
	json_add_int64(out, "lines", (int64_t)hub.lines);
	json_add_int64(out, "evicted", (int64_t)hub.evicted);
	json_add_int64(out, "dropped_notices", (int64_t)hub.slow);
	json_add_string(out, "journal", hub.journal[0] != '\0' ? hub.journal : NULL);
	json_add_int64(out, "last_seq", hub.last_seq);
	json_object_close(out);
	json_object_open(out, "feed");
	if (feed.heard_ms < 0)
		json_add_null(out, "heard_ms");
	else
		json_add_int64(out, "heard_ms", feed.heard_ms);
	json_add_int64(out, "events", (int64_t)feed.events);
	json_add_int64(out, "fills", (int64_t)feed.fills);
	json_add_bool(out, "behind", feed.behind);
	json_object_close(out);
}

static void
add_data(struct buf *out, const char *name, const struct json *data)
{
	struct buf text;
	buf_init(&text, PROTO_CHUNK_MAX);
	json_print(data, &text);
	json_add_raw(out, name, data != NULL && !text.failed ? buf_text(&text) : "null");
	buf_release(&text);
}

void
readyz_get(struct call *call)
{
	static const char *const allowed[] = { "verbose", NULL };
	struct answer answer;
	struct buf *out = &call->response->body;
	if (call_query_parse(call, allowed) != 0)
		return;
	if (workers_hello(call->api->workers, &answer) != 0) {
		call_problem(call, PROTO_WORKERS_DOWN, NULL, "%s", answer.text);
		goto out;
	}
	json_object_open(out, NULL);
	json_add_string(out, "status", "ready");
	add_data(out, "workers", answer.data);
	add_live(out, call->api);
	json_object_close(out);
out:
	answer_release(&answer);
}

/* Resident memory in KB, 0 when unknown. */
static int64_t
resident_kb(void)
{
	long long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lld %lld", &pages, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Answers also without the workers: they are null then. */
void
system_get(struct call *call)
{
	static const char *const allowed[] = { NULL };
	struct answer hello, pool = { .ok = false };
	struct buf *out = &call->response->body;
	if (call_query_parse(call, allowed) != 0)
		return;
	if (workers_hello(call->api->workers, &hello) == 0 && workers_pool_stats(call->api->workers, &pool) != 0)
		pool.data = NULL;
	json_object_open(out, NULL);
	json_object_open(out, "api");
	json_add_string(out, "version", API_VERSION);
	json_add_int64(out, "pid", getpid());
	json_add_int64(out, "uptime_s", (clock_mono_ms() - call->api->started_ms) / 1000);
	json_add_int64(out, "resident_kb", resident_kb());
	json_object_close(out);
	add_data(out, "workers", hello.ok ? hello.data : NULL);
	add_data(out, "pools", pool.data);
	add_live(out, call->api);
	json_object_close(out);
	answer_release(&pool);
	answer_release(&hello);
}
