/* The feed's place and how it is kept. What happens with the events is the sink's business. */
#include "api/feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/ipc.h"
#include "common/log.h"

#define QUEUE_MESSAGES 1024
#define QUEUE_BYTES (8 * 1024 * 1024)
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 1000

struct message {
	struct message *next;
	size_t len;
	char text[];
};

struct feed {
	struct feed_options options;
	struct feed_sink sink;
	char path[300];
	pthread_t thread;

	/* the place; the thread's own */
	char journal[LINE_ID_MAX], boot[LINE_ID_MAX];
	int64_t next;      /* number of the next event to hand over; 0: no place yet */
	int64_t known;     /* the greatest number heard of */
	bool entering;     /* the sink was not told of this journal yet: old events are being passed over */
	int64_t since_ms;  /* meanwhile events up to old_until are handed over only if not older than this */
	int64_t old_until;
	int64_t retry_ms;  /* the pause after the last failed read; 0: none failed */

	pthread_mutex_t lock;
	pthread_cond_t come;
	struct message *first, *last;
	size_t messages, bytes;
	bool stopping;
	int64_t heard_at_ms, heard_wall_ms;
	struct feed_stats stats;
};

/* --- the subscription's side -------------------------------------------------------------------------------------- */

/* When the queue is full the message is left out: its numbers will be missed and read from the journal. */
static void
receive(const char *text, size_t len, void *arg)
{
	struct feed *feed = arg;
	struct message *message = malloc(sizeof(*message) + len);
	if (message != NULL) {
		message->next = NULL;
		message->len = len;
		memcpy(message->text, text, len);
	}
	pthread_mutex_lock(&feed->lock);
	bool full = feed->messages >= QUEUE_MESSAGES || feed->bytes + len > QUEUE_BYTES;
	if (message != NULL && !full && !feed->stopping) {
		if (feed->first == NULL)
			feed->first = message;
		else
			feed->last->next = message;
		feed->last = message;
		feed->messages++;
		feed->bytes += len;
		message = NULL;
		pthread_cond_signal(&feed->come);
	}
	feed->heard_at_ms = clock_mono_ms();
	pthread_mutex_unlock(&feed->lock);
	free(message);
}

/* The next message, or NULL after wait_ms or when the feed stops. */
static struct message *
take_message(struct feed *feed, int64_t wait_ms)
{
	struct timespec until = clock_kernel_after(wait_ms);
	int rc = 0;
	pthread_mutex_lock(&feed->lock);
	while (rc == 0 && feed->first == NULL && !feed->stopping)
		rc = pthread_cond_timedwait(&feed->come, &feed->lock, &until);
	struct message *message = feed->stopping ? NULL : feed->first;
	if (message != NULL) {
		feed->first = message->next;
		feed->messages--;
		feed->bytes -= message->len;
	}
	pthread_mutex_unlock(&feed->lock);
	return message;
}

static bool
stopping(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	bool yes = feed->stopping;
	pthread_mutex_unlock(&feed->lock);
	return yes;
}

/* --- the place ---------------------------------------------------------------------------------------------------- */

/* Begins a journal so far back that what happened since since_ms is seen, however much was missed. */
static void
enter(struct feed *feed, const char *journal, const char *boot, int64_t last)
{
	int64_t back = (int64_t)feed->options.remember;
	if (feed->next != 0)
		feed->since_ms = feed->heard_wall_ms;
	snprintf(feed->journal, sizeof(feed->journal), "%s", journal);
	snprintf(feed->boot, sizeof(feed->boot), "%s", boot);
	feed->next = last > back ? last - back + 1 : 1;
	feed->old_until = last;
	feed->known = last;
	feed->entering = true;
}

static bool
too_old(const struct feed *feed, int64_t seq, const struct json *event)
{
	int64_t time_ms;
	const char *time = json_get_string(event, "time", "");
	return seq <= feed->old_until && clock_parse(time, &time_ms) == 0 && time_ms < feed->since_ms;
}

/* Tells the sink where it stands, once the old events are passed. */
static void
tell_place(struct feed *feed)
{
	feed->sink.enter(feed->sink.arg, feed->journal, feed->boot, feed->next);
	feed->entering = false;
}

static void
hand_over(struct feed *feed, int64_t seq, const struct json *event)
{
	if (feed->entering && too_old(feed, seq, event)) {
		feed->next = seq + 1;
		return;
	}
	if (feed->entering) {
		feed->next = seq;
		tell_place(feed);
	}
	if (seq > feed->next)
		feed->sink.lost(feed->sink.arg, feed->next, seq - 1);
	pthread_mutex_lock(&feed->lock);
	feed->stats.events++;
	pthread_mutex_unlock(&feed->lock);
	feed->sink.add(feed->sink.arg, event);
	feed->next = seq + 1;
}

static void
hand_over_all(struct feed *feed, const struct json *events)
{
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event)) {
		int64_t seq = json_get_int64(event, "seq", 0);
		if (seq >= feed->next)
			hand_over(feed, seq, event);
	}
}

/* Asks who is there. 0 when the feed has a place afterwards. */
static int
find_place(struct feed *feed)
{
	struct answer answer;
	int rc = feed->options.hello(feed->options.arg, &answer);
	const char *journal = json_string(json_get(answer.data, "journal"));
	if (rc == 0 && journal != NULL && journal[0] != '\0')
		enter(feed, journal, json_get_string(answer.data, "boot", ""), json_get_int64(answer.data, "last_seq", 0));
	else
		rc = -1;
	answer_release(&answer);
	return rc;
}

/* Reads from the journal until number `to` was handed over. -1 when that is not possible now. */
static int
fill(struct feed *feed, int64_t to)
{
	struct answer answer;
	while (feed->next <= to && !stopping(feed)) {
		int64_t before = feed->next;
		const struct event_query query = { .journal = feed->journal, .from = feed->next, .to = to };
		int rc = feed->options.read(feed->options.arg, &query, &answer);
		bool other = rc != 0 && answer.code == PROTO_WRONG_JOURNAL;
		pthread_mutex_lock(&feed->lock);
		feed->stats.fills++;
		pthread_mutex_unlock(&feed->lock);
		if (rc == 0) {
			hand_over_all(feed, json_get(answer.data, "events"));
			if (feed->next == before && !json_get_bool(answer.data, "more", false)) { /* the journal has forgotten them */
				if (!feed->entering)
					feed->sink.lost(feed->sink.arg, before, to);
				feed->next = to + 1;
			}
		}
		answer_release(&answer);
		if (other && find_place(feed) != 0)
			log_warning("live: the journal is another one, and temu-workers does not say which");
		if (rc != 0 || feed->next == before)
			return -1;
	}
	return 0;
}

/* Everything that was heard of is handed over, or the next try is set. */
static void
catch_up(struct feed *feed, int64_t to)
{
	bool behind = fill(feed, to) != 0;
	if (!behind && feed->entering && feed->next > feed->old_until)
		tell_place(feed);
	if (behind && feed->retry_ms == 0)
		log_info("live: events up to %lld are missing and cannot be read yet", (long long)feed->known);
	feed->retry_ms = !behind ? 0 : feed->retry_ms == 0 ? RETRY_MIN_MS : feed->retry_ms * 2;
	if (feed->retry_ms > RETRY_MAX_MS)
		feed->retry_ms = RETRY_MAX_MS;
	pthread_mutex_lock(&feed->lock);
	feed->stats.behind = behind;
	pthread_mutex_unlock(&feed->lock);
}

/* The batch belongs to the journal we are in, or we go there. */
static void
follow(struct feed *feed, const struct proto_batch *batch)
{
	bool other_journal = strcmp(batch->journal, feed->journal) != 0;
	bool other_boot = strcmp(batch->boot, feed->boot) != 0;
	if (feed->next == 0 || other_journal) {
		enter(feed, batch->journal, batch->boot, batch->last);
	} else if (other_boot) {
		snprintf(feed->boot, sizeof(feed->boot), "%s", batch->boot);
		if (batch->last < feed->next - 1)
			log_error("live: the journal %s goes on at %lld after a restart, but %lld was seen", feed->journal,
			          (long long)batch->last + 1, (long long)feed->next - 1);
		if (!feed->entering)
			feed->sink.enter(feed->sink.arg, feed->journal, feed->boot, feed->next);
	}
	if (batch->last > feed->known)
		feed->known = batch->last;
}

static void
take_batch(struct feed *feed, const struct message *message)
{
	struct proto_batch batch;
	struct err err = ERR_INIT;
	if (proto_batch_decode(message->text, message->len, &batch, &err) != 0) {
		log_warning("live: a message of temu-workers is not understood: %s", err.text);
		return;
	}
	follow(feed, &batch);
	if (feed->retry_ms == 0) { /* otherwise the retry brings it */
		if (batch.count > 0 && batch.first > feed->next)
			catch_up(feed, batch.first - 1);
		if (batch.count > 0 && batch.first <= feed->next)
			hand_over_all(feed, batch.events);
		if (feed->retry_ms == 0)
			catch_up(feed, feed->known);
	}
	feed->heard_wall_ms = clock_now_ms();
	proto_batch_release(&batch);
}

static void *
run(void *arg)
{
	struct feed *feed = arg;
	int64_t wait_ms = 0, next_try_ms = 0;
	while (!stopping(feed)) {
		struct message *message = take_message(feed, wait_ms);
		if (message != NULL)
			take_batch(feed, message);
		free(message);
		int64_t now = clock_mono_ms();
		if (feed->next == 0 && now >= next_try_ms) {
			if (find_place(feed) == 0)
				catch_up(feed, feed->known);
			next_try_ms = clock_mono_ms() + RETRY_MAX_MS / 4;
		} else if (feed->retry_ms > 0 && now >= next_try_ms) {
			catch_up(feed, feed->known);
			next_try_ms = clock_mono_ms() + feed->retry_ms;
		}
		wait_ms = feed->next == 0 ? RETRY_MAX_MS / 4 : feed->retry_ms > 0 ? feed->retry_ms : RETRY_MAX_MS;
	}
	return NULL;
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

struct feed *
feed_start(const struct feed_options *options, const struct feed_sink *sink, struct err *err)
{
	static struct feed *kept; /* lives as long as its subscription: reachable for leak checkers */
	struct feed *feed = calloc(1, sizeof(*feed));
	pthread_condattr_t attr;
	if (feed == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "no memory for the feed");
		return NULL;
	}
	feed->options = *options;
	feed->sink = *sink;
	feed->heard_at_ms = -1;
	feed->since_ms = feed->heard_wall_ms = clock_now_ms();
	snprintf(feed->path, sizeof(feed->path), "%s/events.sock", options->run_folder);
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->come, &attr);
	pthread_condattr_destroy(&attr);
	if (ipc_subscriber_start(feed->path, receive, feed, err) == NULL) {
		free(feed);
		return NULL;
	}
	kept = feed;
	int rc = pthread_create(&feed->thread, NULL, run, feed);
	if (rc != 0) {
		feed->stopping = true;
		err_set(err, ERR_TEMP, "THREAD", "cannot start the feed: %s", strerror(rc));
		return NULL;
	}
	pthread_setname_np(feed->thread, "feed");
	return kept;
}

void
feed_stop(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	bool first = !feed->stopping;
	feed->stopping = true;
	pthread_cond_signal(&feed->come);
	pthread_mutex_unlock(&feed->lock);
	if (first)
		pthread_join(feed->thread, NULL);
	while (feed->first != NULL) {
		struct message *message = feed->first;
		feed->first = message->next;
		free(message);
	}
}

void
feed_stats_get(struct feed *feed, struct feed_stats *stats)
{
	pthread_mutex_lock(&feed->lock);
	*stats = feed->stats;
	stats->heard_ms = feed->heard_at_ms < 0 ? -1 : clock_mono_ms() - feed->heard_at_ms;
	pthread_mutex_unlock(&feed->lock);
}
