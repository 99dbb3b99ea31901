/* plan_compare: two plans of the inventory sync side by side, or a plan and what the old system pushed since. Steps: read (both sides),
 * compare (an item for each SKU). Reads only, apart from its own items and result; needs neither gate nor lease.
 *
 * Parameters: "plan" a run's id, "with" another one's or "old_system". A run's plan are its items of outcome planned, pushed, refused or
 * unknown. Items: outcome compared, from = the plan's target, to = the other's, reason:
 *   same        both set it to the same
 *   other       both set it, to something else
 *   only_plan   the other leaves it alone
 *   only_other  the plan leaves it alone
 * The old system's side is what dbo.temu_inventory says it pushed since the plan's run started (old_pushes.h); what this system pushed
 * itself since is left out and counted.
 *
 * Result: "plan", "with", "plan_state", "with_state" ("" for the old system), "since" (old system only), "same", "other", "only_plan",
 * "only_other", "plan_skus", "with_skus", "plan_pieces", "with_pieces" (sums of the targets), "pieces_more", "pieces_less" (by how much
 * the other's targets are above and below the plan's where both set one), "plan_sold_out_only", "with_sold_out_only" (set to 0 by one
 * and not by the other), "text" (one line). With the old system also "sold_out_for_sale" (set to 0 by the plan, and left for sale by the
 * old system: not pushed while TEMU shows stock by the ledger, or another value pushed), "sold_out_unknown" (not pushed, TEMU's stock
 * not known), "as_wanted" (of only_other: the value that is wanted anyway), "own_pushes", "doubled" (SKUs with several rows of a push;
 * the newest counts).
 *
 * Errors: PLAN_UNKNOWN (PERM: no such run of this shop's inventory sync, not over, or over before it had a plan), PLAN_LARGE (PERM). */
#ifndef WORKER_JOBS_PLAN_COMPARE_H
#define WORKER_JOBS_PLAN_COMPARE_H

#include "worker/core/job.h"

#define PLAN_COMPARE_MAX 1000000 /* SKUs of one side */

extern const struct job_type plan_compare_job;

#endif
