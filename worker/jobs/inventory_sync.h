/* inventory_sync: the main job. Steps: fetch (every SKU from TEMU), upsert (into the own tables), stock (articles and stock from
 * JTL, what is wanted), push (the differences). Parameters: "mode" "full" (default, all steps) or "quick" (stock and push, from
 * the ledger), "dry_run" true: writes nothing anywhere but the run's items, which are the exact plan.
 *
 * Whoever confirms a plan (core/job.h) makes a run with "confirm", its run's id, and perhaps "only": "sold_out".
 *
 * Errors that end a run besides those of the parts: CATALOGUE_EMPTY (TEMP), CATALOGUE_OTHER (PERM: TEMU shows SKUs, none of
 * them one the shop had: another shop's token), QUICK_NEEDS_FULL (PERM), STOCK_EMPTY (PERM: JTL has not one stock row for the
 * SKUs), GUARD_... (PERM: guard.h; the plan is kept as items and may be confirmed), PLAN_NONE and PLAN_OLD (PERM: what was
 * confirmed cannot be carried out), SHOP_UNKNOWN (PERM). */
#ifndef WORKER_JOBS_INVENTORY_SYNC_H
#define WORKER_JOBS_INVENTORY_SYNC_H

#include "worker/core/job.h"

extern const struct job_type inventory_sync_job;

#endif
