/* keeper: the leases of this process. One thread takes them for every configured shop at start, renews them every third of lease.ttl_s,
 * and says so when one is lost. Runs ask here for the grip that their writes must show. While SQL Server is away nothing changes: what is
 * held stays held as far as anybody knows, and every write asks the server anyway.
 *
 * Alarms: LEASE_FOREIGN (another installation has the shop; once a holder), LEASE_ELSEWHERE (this installation runs in another place too;
 * once it renewed under our eyes, so not after a machine's restart), LEASE_LOST (somebody took it; once), LEASE_TAKEN and LEASE_NOT_TAKEN
 * (what came of a taking over). */
#ifndef WORKER_JOBS_KEEPER_H
#define WORKER_JOBS_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "proto/settings.h"
#include "worker/db/connpool.h"
#include "worker/db/lease.h"
#include "worker/store/journal.h"

struct keeper;

/* Reads or makes the installation's identity (file "installation" in the state folder, 0600, made once) and starts the thread; connects
 * nothing itself, the thread keeps trying while SQL Server is down. KEEPER_IDENTITY (PERM) when the file cannot be used. All borrowed. */
struct keeper *keeper_start(const struct settings *settings, struct connpool *pool, struct journal *journal, struct err *err) MUSTCHECK;
/* Ends the thread and lets the leases expire, waiting until deadline_ms (clock_mono_ms) at most. NULL is fine. false: the thread is still
 * in a login and ends by itself; it uses pool and settings until then, which must not be freed any more. The journal is not touched any
 * more in any case: an alarm that is being stored is waited for, also beyond the deadline. */
bool keeper_stop(struct keeper *keeper, int64_t deadline_ms) MUSTCHECK;

/* The grip for writing to this shop: held already, or taken now on db. Errors of lease_take; a lease that was lost is taken again
 * only if its rules allow that. Blocks for its statements. */
int keeper_grip(struct keeper *keeper, struct db *db, int64_t shop, struct lease_grip *grip, struct err *err) MUSTCHECK;
/* A write found it lost (err of lease_check or the fence; anything but LEASE_LOST is ignored): from now on not relied upon until it was
 * looked at again, which the thread does at once. Any thread, does not wait. */
void keeper_lost(struct keeper *keeper, int64_t shop, const struct err *err);

/* Takes the shop's lease over from the installation `from` as soon as the thread gets to it; an alarm event says what came of it. Does not
 * wait. LEASE_NOT_FOREIGN (PERM): nobody of that name is known to hold it. */
int keeper_take_over(struct keeper *keeper, int64_t shop, const char *from, const char *who, const char *reason, struct err *err) MUSTCHECK;

/* Adds "lease":{"state":"held|foreign|elsewhere|lost|unknown","installation":..,"host":..,"epoch":..,"taken":..,"renewed":..,"expires":..}
 * to an open object, as last seen. Any thread, does not wait. */
void keeper_add(struct keeper *keeper, int64_t shop, struct buf *out);

#endif
