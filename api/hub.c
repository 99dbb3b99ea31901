/* The ring, the list of clients and the one thread that serves them. How a single client is served is in hub_client.c. */
#include "api/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "api/api.h"
#include "api/hub_client.h"
#include "common/clock.h"
#include "common/log.h"

#define EVENTS_AT_ONCE 64
#define PUMP_ROUNDS 16 /* batches for one client before the others get their turn */
#define TICKS_PER_TERM 4

struct hub {
	struct hub_options options;
	struct replay *replay;
	int epoll, wake;
	pthread_t thread;
	int64_t tick_ms, next_tick_ms, next_flush_ms;
	struct hub_client *list;   /* the thread's own */
	atomic_bool awake;         /* the thread knows already */

	pthread_mutex_t lock;
	pthread_cond_t left;       /* a client left */
	struct ring ring;
	char journal[LINE_ID_MAX], boot[LINE_ID_MAX];
	int64_t next;
	struct hub_client *joining;
	int reserved;              /* places taken, joined or not */
	bool changed;              /* there are new lines */
	bool replayed;             /* a replay is done */
	bool stopping, ending;
	uint64_t lines, evicted, slow;
};

static void
wake(struct hub *hub)
{
	uint64_t one = 1;
	if (!atomic_exchange(&hub->awake, true) && write(hub->wake, &one, sizeof(one)) < 0)
		log_warning("the live thread could not be woken: %m");
}

/* --- the feed's side ---------------------------------------------------------------------------------------------- */

static void
add_line(struct hub *hub, struct line *line, const char *what)
{
	if (line == NULL) {
		log_warning("live: %s could not be passed on (no memory, or not an event)", what);
		return;
	}
	pthread_mutex_lock(&hub->lock);
	if (line->next > hub->next)
		hub->next = line->next;
	ring_add_take(&hub->ring, line);
	hub->lines++;
	hub->changed = true;
	pthread_mutex_unlock(&hub->lock);
	wake(hub);
}

void
hub_enter(struct hub *hub, const char *journal, const char *boot, int64_t next)
{
	struct buf text;
	char was[LINE_ID_MAX], cursor[LINE_ID_MAX + 24];
	pthread_mutex_lock(&hub->lock);
	memcpy(was, hub->journal, sizeof(was));
	snprintf(hub->journal, sizeof(hub->journal), "%s", journal);
	snprintf(hub->boot, sizeof(hub->boot), "%s", boot);
	hub->next = next;
	memcpy(cursor, hub->journal, LINE_ID_MAX);
	pthread_mutex_unlock(&hub->lock);
	if (strcmp(was, cursor) == 0)
		return; /* only the boot is another */
	snprintf(cursor, sizeof(cursor), "%.*s:%lld", LINE_ID_MAX - 1, journal, (long long)(next - 1));
	buf_init(&text, 1000);
	json_object_open(&text, NULL);
	json_add_string(&text, "event", "journal");
	json_add_string(&text, "journal", journal);
	json_add_string(&text, "was", was[0] != '\0' ? was : NULL);
	json_add_string(&text, "cursor", cursor);
	json_object_close(&text);
	add_line(hub, line_notice(journal, next, buf_text(&text)), "the notice of a new journal");
	buf_release(&text);
}

void
hub_add(struct hub *hub, const struct json *event)
{
	add_line(hub, line_new(event, hub->journal), "an event"); /* only this thread changes the journal */
}

void
hub_lost(struct hub *hub, int64_t from, int64_t to)
{
	struct buf text;
	char resume[LINE_ID_MAX + 24];
	buf_init(&text, 1000);
	snprintf(resume, sizeof(resume), "%s:%lld", hub->journal, (long long)(from - 1));
	json_object_open(&text, NULL);
	json_add_string(&text, "event", "dropped");
	json_add_int64(&text, "from", from);
	json_add_int64(&text, "to", to);
	json_add_int64(&text, "count", to - from + 1);
	json_add_string(&text, "resume", resume);
	json_add_string(&text, "why", "gone");
	json_object_close(&text);
	add_line(hub, line_notice(hub->journal, to + 1, buf_text(&text)), "the notice of lost events");
	buf_release(&text);
}

/* --- joining ------------------------------------------------------------------------------------------------------ */

int
hub_reserve(struct hub *hub, struct err *err)
{
	int rc = 0;
	pthread_mutex_lock(&hub->lock);
	if (hub->stopping)
		rc = err_set(err, ERR_TEMP, "STOPPING", "temu-api is shutting down");
	else if (hub->reserved >= hub->options.clients)
		rc = err_set(err, ERR_TEMP, "BUSY", "all %d places for live clients are taken", hub->options.clients);
	else
		hub->reserved++;
	pthread_mutex_unlock(&hub->lock);
	return rc;
}

void
hub_unreserve(struct hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	hub->reserved--;
	pthread_cond_broadcast(&hub->left);
	pthread_mutex_unlock(&hub->lock);
}

/* The first frame: who speaks, and where this client begins. Under the lock. */
static void
add_hello(struct hub *hub, struct hub_client *client)
{
	struct buf text;
	char cursor[LINE_ID_MAX + 24];
	const char *journal = client->journal[0] != '\0' ? client->journal : hub->journal;
	buf_init(&text, 1000);
	snprintf(cursor, sizeof(cursor), "%s:%lld", journal, (long long)(client->next_seq - 1));
	json_object_open(&text, NULL);
	json_add_string(&text, "event", "hello");
	json_add_string(&text, "version", API_VERSION);
	json_add_string(&text, "boot", hub->boot[0] != '\0' ? hub->boot : NULL);
	json_add_string(&text, "journal", hub->journal[0] != '\0' ? hub->journal : NULL);
	json_add_int64(&text, "last_seq", hub->next > 0 ? hub->next - 1 : 0);
	json_add_string(&text, "cursor", journal[0] != '\0' && client->next_seq > 0 ? cursor : NULL);
	json_object_close(&text);
	ws_frame(&client->out, WS_TEXT, buf_text(&text), text.len);
	buf_release(&text);
}

void
hub_join_take(struct hub *hub, int fd, const char *greeting, const struct hub_wish *wish)
{
	struct hub_client *client = hub_client_new(fd, wish, greeting, clock_mono_ms());
	if (client == NULL) {
		log_warning("live: no memory for another client");
		hub_unreserve(hub);
		return;
	}
	pthread_mutex_lock(&hub->lock);
	if (!wish->resume) {
		client->position = hub->ring.head;
		client->next_seq = hub->next;
		memcpy(client->journal, hub->journal, sizeof(client->journal));
	}
	add_hello(hub, client);
	client->next = hub->joining;
	hub->joining = client;
	pthread_mutex_unlock(&hub->lock);
	wake(hub);
}

void
hub_stats_get(struct hub *hub, struct hub_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&hub->lock);
	stats->clients = hub->reserved;
	stats->most = hub->options.clients;
	stats->lines = hub->lines;
	stats->evicted = hub->evicted;
	stats->slow = hub->slow;
	memcpy(stats->journal, hub->journal, sizeof(stats->journal));
	memcpy(stats->boot, hub->boot, sizeof(stats->boot));
	stats->last_seq = hub->next > 0 ? hub->next - 1 : 0;
	pthread_mutex_unlock(&hub->lock);
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

static void
watch(struct hub *hub, struct hub_client *client, int operation, bool for_room)
{
	struct epoll_event event = { .events = EPOLLIN | (for_room ? EPOLLOUT : 0u), .data.ptr = client };
	client->watching = for_room;
	if (epoll_ctl(hub->epoll, operation, client->fd, &event) != 0)
		hub_client_close(client, WS_GOING_AWAY, "out of resources");
}

static void
let_go(struct hub *hub, struct hub_client *client)
{
	struct hub_client **at = &hub->list;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	replay_drop(hub->replay, client->job);
	epoll_ctl(hub->epoll, EPOLL_CTL_DEL, client->fd, NULL);
	hub_client_free(client);
	hub_unreserve(hub);
}

/* Sends what this client is to get now. False when it is gone. */
static bool
pump(struct hub *hub, struct hub_client *client, int64_t now)
{
	int state = 0;
	for (int round = 0; round < PUMP_ROUNDS; round++) {
		if (client->out.len == 0) {
			hub_client_control(client, now);
			pthread_mutex_lock(&hub->lock);
			struct hub_place place = { &hub->ring, hub->journal, hub->next };
			hub_client_catch_up(client, &place, hub->replay, now);
			hub->slow += (uint64_t)hub_client_fill(client, &place);
			if (round == PUMP_ROUNDS - 1 && client->out.len > 0)
				hub->changed = true; /* there may be more */
			pthread_mutex_unlock(&hub->lock);
			if (client->out.len == 0 && client->close_code != 0 && !client->closing)
				hub_client_control(client, now);
			if (client->out.len == 0)
				break;
		}
		state = hub_client_send(client, now);
		if (state != 0)
			break;
	}
	if (state < 0) {
		let_go(hub, client);
		return false;
	}
	if (client->watching != (state == 1))
		watch(hub, client, EPOLL_CTL_MOD, state == 1);
	return true;
}

static void
pump_all(struct hub *hub, int64_t now)
{
	for (struct hub_client *client = hub->list, *next; client != NULL; client = next) {
		next = client->next;
		pump(hub, client, now);
	}
}

static void
serve(struct hub *hub, struct hub_client *client, uint32_t events, int64_t now)
{
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && hub_client_hear(client, now) != 0) {
		let_go(hub, client);
		return;
	}
	if (client->close_code != 0 || client->pong_due || (events & EPOLLOUT) != 0)
		pump(hub, client, now);
}

/* Terms of one client: pings, silence, standing still, a close that is not answered. */
static void
check_terms(struct hub *hub, struct hub_client *client, int64_t now)
{
	const struct hub_options *options = &hub->options;
	bool stalled = client->stalled_ms > 0 && now - client->stalled_ms >= options->stall_ms;
	bool silent = now - client->heard_ms >= options->silent_ms;
	if (stalled || silent || (client->closing && now >= client->closing_until_ms)) {
		if (stalled || silent) {
			log_info("a live client was put out: it %s", stalled ? "takes nothing any more" : "is silent");
			pthread_mutex_lock(&hub->lock);
			hub->evicted++;
			pthread_mutex_unlock(&hub->lock);
		}
		let_go(hub, client);
		return;
	}
	client->ping_due |= now - client->pinged_ms >= options->ping_ms;
	if (client->ping_due || client->catching_up)
		pump(hub, client, now);
}

static void
tick(struct hub *hub, int64_t now)
{
	for (struct hub_client *client = hub->list, *next; client != NULL; client = next) {
		next = client->next;
		check_terms(hub, client, now);
	}
	hub->next_tick_ms = now + hub->tick_ms;
}

static void
let_in(struct hub *hub, int64_t now)
{
	pthread_mutex_lock(&hub->lock);
	struct hub_client *joining = hub->joining;
	hub->joining = NULL;
	pthread_mutex_unlock(&hub->lock);
	while (joining != NULL) {
		struct hub_client *client = joining;
		joining = client->next;
		client->next = hub->list;
		hub->list = client;
		watch(hub, client, EPOLL_CTL_ADD, false);
		pump(hub, client, now);
	}
}

/* What is to be done besides the sockets. Returns whether the thread is to end. */
static bool
look_around(struct hub *hub, int64_t now)
{
	let_in(hub, now);
	pthread_mutex_lock(&hub->lock);
	bool due = (hub->changed && now >= hub->next_flush_ms) || hub->replayed;
	bool stopping = hub->stopping, ending = hub->ending;
	if (due)
		hub->changed = hub->replayed = false;
	pthread_mutex_unlock(&hub->lock);
	if (stopping) {
		for (struct hub_client *client = hub->list; client != NULL; client = client->next)
			hub_client_close(client, WS_GOING_AWAY, "temu-api is stopping");
		pump_all(hub, now);
	} else if (due) {
		pump_all(hub, now);
		hub->next_flush_ms = now + hub->options.batch_ms;
	}
	if (now >= hub->next_tick_ms)
		tick(hub, now);
	return ending;
}

static int
timeout(struct hub *hub, int64_t now)
{
	int64_t until = hub->next_tick_ms;
	pthread_mutex_lock(&hub->lock);
	if (hub->changed && hub->next_flush_ms < until)
		until = hub->next_flush_ms;
	if (hub->replayed)
		until = now;
	pthread_mutex_unlock(&hub->lock);
	return until > now ? (int)(until - now) : 0;
}

static void *
run(void *arg)
{
	struct hub *hub = arg;
	struct epoll_event events[EVENTS_AT_ONCE];
	bool ending = false;
	while (!ending) {
		int count = epoll_wait(hub->epoll, events, EVENTS_AT_ONCE, timeout(hub, clock_mono_ms()));
		int64_t now = clock_mono_ms();
		for (int i = 0; i < count; i++) {
			uint64_t ignored;
			if (events[i].data.ptr != NULL)
				serve(hub, events[i].data.ptr, events[i].events, now);
			else if (read(hub->wake, &ignored, sizeof(ignored)) > 0)
				atomic_store(&hub->awake, false);
		}
		ending = look_around(hub, now);
	}
	while (hub->list != NULL)
		let_go(hub, hub->list);
	return NULL;
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

static void
replayed(void *arg)
{
	struct hub *hub = arg;
	pthread_mutex_lock(&hub->lock);
	hub->replayed = true;
	pthread_mutex_unlock(&hub->lock);
	wake(hub);
}

static void
release(struct hub *hub)
{
	replay_stop(hub->replay);
	if (hub->epoll >= 0)
		close(hub->epoll);
	if (hub->wake >= 0)
		close(hub->wake);
	ring_release(&hub->ring);
	pthread_cond_destroy(&hub->left);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

static int
set_up(struct hub *hub, struct err *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	if (ring_init(&hub->ring, hub->options.lines, err) != 0)
		return -1;
	hub->epoll = epoll_create1(EPOLL_CLOEXEC);
	hub->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (hub->epoll < 0 || hub->wake < 0 || epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->wake, &event) != 0)
		return err_set(err, ERR_TEMP, "LIVE", "cannot set up the live clients: %m");
	hub->replay = replay_start(hub->options.read, hub->options.read_arg, replayed, hub, err);
	if (hub->replay == NULL)
		return -1;
	int rc = pthread_create(&hub->thread, NULL, run, hub);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "THREAD", "cannot start the live thread: %s", strerror(rc));
	pthread_setname_np(hub->thread, "live");
	return 0;
}

struct hub *
hub_start(const struct hub_options *options, struct err *err)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	pthread_condattr_t attr;
	if (hub == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "no memory for the live clients");
		return NULL;
	}
	hub->options = *options;
	hub->epoll = hub->wake = -1;
	int64_t term = options->stall_ms < options->ping_ms ? options->stall_ms : options->ping_ms;
	hub->tick_ms = term / TICKS_PER_TERM < 250 ? term / TICKS_PER_TERM + 1 : 250;
	pthread_mutex_init(&hub->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&hub->left, &attr);
	pthread_condattr_destroy(&attr);
	if (set_up(hub, err) != 0) {
		release(hub);
		return NULL;
	}
	return hub;
}

void
hub_stop(struct hub *hub, int limit_ms)
{
	struct timespec until = clock_kernel_after(limit_ms);
	int rc = 0;
	pthread_mutex_lock(&hub->lock);
	hub->stopping = true;
	pthread_mutex_unlock(&hub->lock);
	wake(hub);
	pthread_mutex_lock(&hub->lock);
	while (rc == 0 && hub->reserved > 0)
		rc = pthread_cond_timedwait(&hub->left, &hub->lock, &until);
	pthread_mutex_unlock(&hub->lock);
}

void
hub_free(struct hub *hub)
{
	if (hub == NULL)
		return;
	pthread_mutex_lock(&hub->lock);
	hub->ending = true;
	pthread_mutex_unlock(&hub->lock);
	wake(hub);
	pthread_join(hub->thread, NULL);
	release(hub);
}
