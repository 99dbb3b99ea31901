/* rules: the settings that a shop's quantities are computed by, as one text, and what changed between two such texts. Pure. */
#ifndef WORKER_JOBS_RULES_H
#define WORKER_JOBS_RULES_H

#include "common/buf.h"
#include "proto/settings.h"
#include "worker/db/ledger.h"

/* "database=eazybusiness\nformula=reference\nwarehouses=2,5\n...": one "name=value" a line, always in the same order, warehouses sorted and
 * each once, so that equal texts mean equal quantities. A list of warehouses too long for the column is cut and ends in a check
 * sum. Names are those of settings.def; the shop's credentials and its guard's limits are no rules. */
void rules_text(const struct shop_settings *shop, const char *jtl_database, char out[LEDGER_RULES_MAX]);

/* For people: "formula: reference -> jtl, warehouses: 2 -> 5". Nothing when they are the same. Lines that only one has, of another
 * release, have no other side: "percent: -> 50". */
void rules_diff(const char *before, const char *after, struct buf *out);

#endif
