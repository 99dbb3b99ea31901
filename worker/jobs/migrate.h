/* migrate: what temu-workers does to the own database before the daemon runs. worker/main.c is the only caller. */
#ifndef WORKER_JOBS_MIGRATE_H
#define WORKER_JOBS_MIGRATE_H

#include <stdbool.h>
#include "common/err.h"
#include "proto/settings.h"

/* Brings the own database to this release's schema (worker/db) and prints what is amiss in the old system's tables (worker/db/adoption.h) to
 * standard output; plan_only prints what would be done instead. A report that cannot be made is a warning: the schema is right. Blocks. */
int schema_migrate(const struct settings *settings, bool plan_only, struct err *err) MUSTCHECK;

/* Prints that report alone. SCHEMA_OLD and the like when the schema is not this release's. Blocks. */
int migrate_report(const struct settings *settings, struct err *err) MUSTCHECK;

#endif
