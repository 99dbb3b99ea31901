/* replay: reads old events from the journal for one live client at a time and turns them into frames, on a thread of its own, so
 * that nobody who writes to clients ever waits for the workers. */
#ifndef API_REPLAY_H
#define API_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "api/line.h"
#include "api/workers.h"

/* Reads events; workers_event_read() has this shape. May block. */
typedef int replay_read(void *arg, const struct event_query *query, struct answer *answer);

enum replay_result {
	REPLAY_OK,            /* frames and next are good; next > from */
	REPLAY_LATER,         /* the workers did not answer */
	REPLAY_WRONG_JOURNAL, /* the cursor belongs to another journal */
};

/* One piece of work: filled by who asks, answered by the replay thread. */
struct replay_job {
	char journal[LINE_ID_MAX];
	int64_t from, to; /* from <= to */
	struct filter filter;
	struct buf frames;
	int64_t next;     /* the number that follows what frames cover */
	enum replay_result result;
	bool done, abandoned;
	struct replay_job *following;
};

struct replay;
/* notify is called on the replay thread whenever a job is done. NULL on error. */
struct replay *replay_start(replay_read *read, void *read_arg, void (*notify)(void *arg), void *notify_arg,
                            struct err *err) MUSTCHECK;
/* Waits for the read under way, then for the thread; frees the jobs that wait. NULL is fine. */
void replay_stop(struct replay *replay);

/* Queues a job for these events; NULL without memory. It belongs to the replay thread until replay_done says true. */
struct replay_job *replay_ask(struct replay *replay, const char *journal, int64_t from, int64_t to, const struct filter *filter);
bool replay_done(struct replay *replay, const struct replay_job *job);
/* Gives a job back in any state. NULL is fine. */
void replay_drop(struct replay *replay, struct replay_job *job);

#endif
