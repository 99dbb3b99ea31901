/* events: what the journal has committed goes out on events.sock, and what is logged goes into the journal. */
#ifndef WORKER_CORE_EVENTS_H
#define WORKER_CORE_EVENTS_H

#include "common/err.h"
#include "common/log.h"
#include "worker/store/journal.h"

struct events;

/* Before the journal is opened, since the journal is given events_publish. boot is borrowed. NULL without memory. */
struct events *events_new(const char *boot, struct err *err) MUSTCHECK;
/* Listens on path and publishes from now on; what was committed before is for event_read. Errors of ipc_publisher_start. */
int events_start(struct events *events, const char *path, struct journal *journal, struct err *err) MUSTCHECK;
/* Unlinks the path; nothing is published afterwards. */
void events_stop(struct events *events);
/* How long nobody was let in, in ms (ipc_publisher_deaf_ms); 0 before events_start and after events_stop. Never waits. */
int64_t events_deaf_ms(struct events *events);
/* After journal_close. NULL is fine. */
void events_free(struct events *events);

/* For journal_config.publish. A group that is too large for one message goes out as a heartbeat: its readers ask for the rest. */
void events_publish(const struct journal_group *group, void *events);
/* For log_sink_set; arg is the journal. The line's shop is the one in its run's id. */
void events_log(const struct log_line *line, void *journal);

#endif
