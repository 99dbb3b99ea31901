/* mirror: copies every line and event of the journal to dbo.scheduler_logs (baseline O8), in batches of LOG_MIRROR_BATCH, woken by the
 * journal itself. One thread, at most one connection at a time. It needs no lease: it only adds lines, and the mark (worker/db/log_mirror.h)
 * keeps each journal's lines single, so that two installations may both do it. While the server is away, or its schema another one, it
 * waits, longer each time up to a minute; nothing is lost, the journal keeps the lines that are not copied (journal_keep_from). Its own
 * words go to the streams only and never into the journal: one line when an outage begins and one when it is over.
 *
 * A row: job_id = the run's id, or "temu-workers" (OLD_SYSTEM_OURS) for what belongs to no run; job_type = the job, or "temu-workers";
 * message = the text; level = that of the line, for a run's moves ERROR (failed), WARNING (partial, retry, held) or INFO; error_text = the
 * text of ERROR rows. The move that ends a run also has duration_seconds (of its last attempt) and status: SUCCESS (partial too, as in the
 * KPIs) or FAILED (failed, cancelled). */
#ifndef WORKER_JOBS_MIRROR_H
#define WORKER_JOBS_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/db/connpool.h"
#include "worker/store/journal.h"

struct mirror;

/* Connects nothing itself. All borrowed. MIRROR_MEMORY, MIRROR_THREAD (TEMP), errors of zone_load. */
struct mirror *mirror_start(const struct settings *settings, struct connpool *pool, struct journal *journal, struct err *err) MUSTCHECK;
/* Asks it to end. Waits for a read of the journal under way; the journal is not used any more afterwards. NULL is fine. */
void mirror_ask_stop(struct mirror *mirror);
/* The same, and waits until deadline_ms (clock_mono_ms) at most. NULL is fine. false: the thread is still in a login or a statement and
 * ends by itself; it uses pool and settings until then, which must not be freed any more. */
bool mirror_stop(struct mirror *mirror, int64_t deadline_ms) MUSTCHECK;

/* Every number up to this one is copied; -1 = not known yet. Any thread, does not wait. */
int64_t mirror_mark(struct mirror *mirror);
/* Adds "mirror":{...} as protocol.md shows it to an open object. NULL: it is off. Any thread, does not wait. */
void mirror_add(struct mirror *mirror, struct buf *out);

#endif
