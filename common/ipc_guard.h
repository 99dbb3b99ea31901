/* ipc_guard: looks once a second whether a listener still lets somebody in, and has it replaced when it does not. Part of the servers
 * and publishers of ipc.c; nobody else needs it. */
#ifndef COMMON_IPC_GUARD_H
#define COMMON_IPC_GUARD_H

#include <stdint.h>
#include "common/err.h"

struct ipc_guard {
	const char *path; /* borrowed */
	void (*nudge)(void *owner); /* of a publisher: has it publish an empty message; NULL for a server, which is asked an empty request */
	int (*relisten)(void *owner, struct err *err); /* 0, -1, or 1: the owner has stopped, the guard ends */
	void *owner;
	_Atomic int64_t deaf_since_ms; /* 0 = it hears */
};

/* A thread's main function; arg is the guard. Returns once the owner has stopped and nobody listens there. */
void *ipc_guard_main(void *arg);
/* How long nobody was let in, in ms; 0 = all is well. Any thread. */
int64_t ipc_guard_deaf_ms(struct ipc_guard *guard);

#endif
