/* jobs: the table of job types, and what they work with (database pool, TEMU clients). worker/main.c is the only caller. */
#ifndef WORKER_JOBS_JOBS_H
#define WORKER_JOBS_JOBS_H

#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/core/job.h"
#include "worker/store/journal.h"

/* Every job type; lives for ever. */
const struct job_type *const *jobs_table(size_t *count);

/* What every job's begin gets as env. Connects nothing itself (a thread takes the shops' leases as soon as it can): the daemon starts and
 * answers while SQL Server is down. settings and journal are borrowed until jobs_env_free. NULL with err on failure. Free after all runs
 * have ended. */
void *jobs_env_new(const struct settings *settings, struct journal *journal, struct err *err) MUSTCHECK;
void jobs_env_free(void *env);
/* Adds members to the open JSON object of pool_stats: "pool":{...},"rates":[...],"mirror":{...}. Any thread, does not wait. */
void jobs_env_stats(void *env, struct buf *out);
/* For control_shops: adds "lease":{...} and "blocked":{...} to a shop's open object; keeper_take_over. Any thread, do not wait. */
void jobs_shop_add(void *env, int64_t shop, struct buf *out);
int jobs_lease_take(void *env, int64_t shop, const char *from, const char *who, const char *reason, struct err *err) MUSTCHECK;

#endif
