/* The loop over probe and relisten. How to listen is the owner's affair. */
#include "common/ipc_guard.h"

#include <stdatomic.h>
#include <time.h>
#include "common/clock.h"
#include "common/ipc_probe.h"
#include "common/log.h"

enum {
	EVERY_MS = 1000,
	AGAIN_MS = 250,
	PATIENCE_MS = 3000, /* giving up early means to hang up while connecting, the very thing that hurts a listener */
	FAILURES = 2,       /* in a row, before it is replaced */
};

static void guard_pause(long ms)
{
	struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&span, NULL);
}

/* 1 when the owner has stopped. */
static int guard_replace(struct ipc_guard *guard, int failures, const struct err *why)
{
	struct err err = ERR_INIT;
	int rc = guard->relisten(guard->owner, &err);

	if (rc == 0)
		log_warning("ipc: %s let nobody in any more (%s) and listens anew", guard->path, why->text);
	if (rc < 0 && failures == FAILURES) /* said once */
		log_error("ipc: %s lets nobody in (%s) and cannot listen anew: %s", guard->path, why->text, err.text);
	return rc == 1;
}

static int guard_probe(struct ipc_guard *guard, struct err *err)
{
	if (guard->nudge != NULL)
		return ipc_probe_events(guard->path, guard->nudge, guard->owner, PATIENCE_MS, err);
	return ipc_probe(guard->path, "", 0, PATIENCE_MS, NULL, err);
}

void *ipc_guard_main(void *arg)
{
	struct ipc_guard *guard = arg;
	int failures = 0;

	for (;;) {
		int64_t begun_ms = clock_kernel_ms();
		struct err err = ERR_INIT;

		if (guard_probe(guard, &err) == 0) {
			failures = 0;
			atomic_store(&guard->deaf_since_ms, 0);
		} else {
			if (failures++ == 0)
				atomic_store(&guard->deaf_since_ms, begun_ms);
			if (failures % FAILURES == 0 && guard_replace(guard, failures, &err)) {
				atomic_store(&guard->deaf_since_ms, 0); /* nobody is meant to get in any more */
				return NULL;
			}
		}
		guard_pause(failures == 0 ? EVERY_MS : AGAIN_MS);
	}
}

int64_t ipc_guard_deaf_ms(struct ipc_guard *guard)
{
	int64_t since_ms = atomic_load(&guard->deaf_since_ms);

	return since_ms == 0 ? 0 : clock_kernel_ms() - since_ms;
}
