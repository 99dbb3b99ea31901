/* old_system: whether the system that ran here before still does, by its own log table. Two systems that both push are worse than one. */
#ifndef WORKER_DB_OLD_SYSTEM_H
#define WORKER_DB_OLD_SYSTEM_H

#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"

/* The job_id of our own lines that belong to no run (the log mirror's). */
#define OLD_SYSTEM_OURS "temu-workers"

/* 0 when dbo.scheduler_logs has no row of the last quiet_s seconds that is not ours (ours have a run id or OLD_SYSTEM_OURS as job_id),
 * its times read as the server's local time or as UTC (what a container writes); local times up to a day ahead count too. OLD_SYSTEM
 * (HOLD): names the newest such row (job_id, time, level) and says to stop it. A table that does not exist is silent. One statement. */
int old_system_check(struct db *db, int64_t quiet_s, struct err *err) MUSTCHECK;

/* Whether what was last read of the shop at TEMU is still true as far as the old system goes: 0 when the table has no such row since
 * quiet_s before that read (temu_shop.catalogue_at). QUICK_NEEDS_FULL (PERM) otherwise. One statement. */
int old_system_check_read(struct db *db, int64_t shop, int64_t quiet_s, struct err *err) MUSTCHECK;

#endif
