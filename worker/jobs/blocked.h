/* blocked: why the last run of each shop was held. What people look at first when nothing moves. Thread-safe. */
#ifndef WORKER_JOBS_BLOCKED_H
#define WORKER_JOBS_BLOCKED_H

#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"

struct blocked;

/* NULL: no memory. settings is borrowed for the call. */
struct blocked *blocked_new(const struct settings *settings);
void blocked_free(struct blocked *blocked);
/* err NULL or without a class: not blocked. The same code again keeps its `since`. A shop that is not configured is ignored. */
void blocked_set(struct blocked *blocked, int64_t shop, const struct err *err);
/* Adds "blocked":{"code":..,"text":..,"since":..} or "blocked":null to an open object. */
void blocked_add(struct blocked *blocked, int64_t shop, struct buf *out);

#endif
