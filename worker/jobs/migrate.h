/* migrate: what temu-workers does to the own database before the daemon runs. worker/main.c is the only caller. */
#ifndef WORKER_JOBS_MIGRATE_H
#define WORKER_JOBS_MIGRATE_H

#include <stdbool.h>
#include "common/err.h"
#include "proto/settings.h"

/* Brings the own database to this release's schema (worker/db); plan_only prints what would be done to standard output. Blocks. */
int schema_migrate(const struct settings *settings, bool plan_only, struct err *err) MUSTCHECK;

#endif
