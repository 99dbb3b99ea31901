/* From the journal's writer to the wire, and from the logger to the journal. Numbers and order are the journal's affair. */
#include "worker/core/events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/ipc.h"
#include "common/log.h"
#include "proto/proto.h"

#define FRAME_MAX 512 /* a batch without its events */

struct events {
	const char *boot;
	char identity[JOURNAL_ID_MAX];
	pthread_mutex_t lock; /* the publisher comes and goes while the journal's writer publishes */
	struct ipc_publisher *_Atomic publisher; /* never freed */
	struct buf message;
};

struct events *
events_new(const char *boot, struct err *err)
{
	struct events *events = calloc(1, sizeof(*events));
	if (events == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for the events");
		return NULL;
	}
	events->boot = boot;
	pthread_mutex_init(&events->lock, NULL);
	buf_init(&events->message, IPC_MESSAGE_MAX);
	return events;
}

int
events_start(struct events *events, const char *path, struct journal *journal, struct err *err)
{
	struct ipc_publisher *publisher = ipc_publisher_start(path, err);
	if (publisher == NULL)
		return -1;
	pthread_mutex_lock(&events->lock);
	snprintf(events->identity, sizeof(events->identity), "%s", journal_identity(journal));
	events->publisher = publisher;
	pthread_mutex_unlock(&events->lock);
	return 0;
}

void
events_stop(struct events *events)
{
	pthread_mutex_lock(&events->lock);
	ipc_publisher_stop(events->publisher);
	events->publisher = NULL;
	pthread_mutex_unlock(&events->lock);
}

int64_t
events_deaf_ms(struct events *events)
{
	struct ipc_publisher *publisher = events->publisher; /* without the lock: who holds it may be what hangs */
	return publisher != NULL ? ipc_publisher_deaf_ms(publisher) : 0;
}

void
events_free(struct events *events)
{
	if (events == NULL)
		return;
	buf_release(&events->message);
	pthread_mutex_destroy(&events->lock);
	free(events);
}

void
events_publish(const struct journal_group *group, void *arg)
{
	struct events *events = arg;
	struct buf *message = &events->message;
	pthread_mutex_lock(&events->lock);
	if (events->publisher != NULL) {
		bool fits = group->count > 0 && strlen(group->events_json) <= IPC_MESSAGE_MAX - FRAME_MAX;
		buf_clear(message);
		if (fits)
			proto_batch_encode(message, events->boot, events->identity, group->first, group->last, group->count,
			                   group->events_json);
		else
			proto_batch_encode(message, events->boot, events->identity, group->last + 1, group->last, 0, "");
		if (!message->failed)
			ipc_publish(events->publisher, message->data, message->len);
	}
	pthread_mutex_unlock(&events->lock);
}

void
events_log(const struct log_line *line, void *journal)
{
	journal_log(journal, line, 0 /* its run's */);
}
