/* control: the commands of messages.def, answered over workers.sock. One small function each; none waits for work. */
#ifndef WORKER_CORE_CONTROL_H
#define WORKER_CORE_CONTROL_H

#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/core/job.h"
#include "worker/core/queue.h"
#include "worker/store/journal.h"

struct control;
struct scheduler;

/* A member of pool_stats: adds members to an open object, on a server thread, without waiting. */
struct control_stats {
	const char *name; /* of the object; NULL: the members go beside the others */
	void (*add)(void *arg, struct buf *out);
	void *arg;
};
#define CONTROL_STATS_MAX 8

/* What the jobs know about shops. Called on server threads, must not wait; NULL = nothing. */
struct control_shops {
	void (*add)(void *arg, int64_t shop, struct buf *out); /* members of a shop's open object in shop_list */
	int (*lease_take)(void *arg, int64_t shop, const char *from, const char *who, const char *reason, struct err *err);
	void *arg;
};

/* All borrowed until control_stop. */
struct control_config {
	const char *version, *boot;
	struct journal *journal;
	struct queue *queue;
	const struct settings *settings;
	const struct job_type *const *jobs;
	size_t job_count;
	struct control_stats stats[CONTROL_STATS_MAX];
	size_t stats_count;
	struct control_shops shops;
	struct scheduler *scheduler; /* NULL = none */
};

/* Listens on path (ipc_server_start) and answers from then on. NULL on error. */
struct control *control_start(const struct control_config *config, const char *path, struct err *err) MUSTCHECK;
/* Unlinks the socket and finishes the requests in hand. Freed with the process: its threads stay in nng. NULL is fine. */
void control_stop(struct control *control);
/* How long it could not reach itself over its own socket, in ms (ipc_server_deaf_ms). */
int64_t control_deaf_ms(struct control *control);

/* One message to its answer, as the socket's handler does it (for tests without a socket). */
void control_answer(struct control *control, const char *request, size_t len, struct buf *reply);

#endif
