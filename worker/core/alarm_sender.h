/* alarm_sender: the thread that tells people of alarms, by web hook and mail, and a heartbeat service of successes. It works from the
 * journal alone: what was not told before a kill is told after the next start. A call that was answered, but whose answer could not be
 * stored before a kill, is made once more; its message has the same id. Runs never wait for it. */
#ifndef WORKER_CORE_ALARM_SENDER_H
#define WORKER_CORE_ALARM_SENDER_H

#include "common/err.h"
#include "worker/core/alarm_watch.h"

struct alarm_sender;

/* Looks at once and whenever an alarm changes. All of watch is borrowed until alarm_sender_stop. HTTP_SETUP, HTTP_MEMORY, THREADS. */
struct alarm_sender *alarm_sender_start(const struct alarm_watch *watch, struct err *err) MUSTCHECK;
/* Breaks off a call under way (it is made anew after the next start), waits for the thread. Before journal_close. NULL is fine. */
void alarm_sender_stop(struct alarm_sender *sender);
/* Looks again now (the clock was moved). Any thread. */
void alarm_sender_wake(struct alarm_sender *sender);

#endif
