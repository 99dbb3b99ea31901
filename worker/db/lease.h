/* lease: dbo.temu_lease, one writer per shop in the world. A row a shop says which installation may write, on which host, in which
 * epoch and until when. Every taking raises the epoch; a writer checks its own with every write transaction (db_fence) and before
 * every call to TEMU, so one that was dispossessed writes nothing more. All times are the server's, never this machine's clock.
 *
 * Who may take a lease: nobody has it: anyone. The same installation in the same place (folder, machine, boot): at once, the journal's
 * lock proves that the old process is gone. The same installation in another place (the machine restarted, or is a copy): once it has
 * expired. Another installation: never by itself, only by lease_take_over, which names whom it dispossesses. */
#ifndef WORKER_DB_LEASE_H
#define WORKER_DB_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"

#define LEASE_INSTALLATION_MAX 41
#define LEASE_PLACE_MAX 65
#define LEASE_HOST_MAX 513 /* 128 characters of UTF-8 */

struct lease_self {
	char installation[LEASE_INSTALLATION_MAX];
	char place[LEASE_PLACE_MAX];
	char host[LEASE_HOST_MAX];
};

/* A row as it is now. */
struct lease_row {
	bool found;
	struct lease_self holder;
	int64_t epoch;
	int64_t taken_ms, renewed_ms, expires_ms; /* UTC */
	int64_t now_ms;                           /* the server's */
};

/* One statement. found false when nobody ever had it. */
int lease_read(struct db *db, int64_t shop, struct lease_row *row, struct err *err) MUSTCHECK;

/* Takes it if the rules above allow, in one statement that two takers cannot both win; *epoch is the new one. LEASE_FOREIGN (HOLD):
 * another installation has it; LEASE_ELSEWHERE (HOLD): the same installation is alive in another place: this one may be a copy. Both
 * texts name installation, host and the time of the last renewal, and say what to do. LEASE_CHANGED (TEMP): the row went away under the
 * statement. row (may be NULL): as it is then. */
int lease_take(struct db *db, int64_t shop, const struct lease_self *self, int64_t ttl_s, int64_t *epoch, struct lease_row *row,
               struct err *err) MUSTCHECK;
/* The same although `from` (its installation) has it, fresh or not. LEASE_CHANGED (PERM): another one than `from` has it. */
int lease_take_over(struct db *db, int64_t shop, const struct lease_self *self, const char *from, int64_t ttl_s, int64_t *epoch,
                    struct lease_row *row, struct err *err) MUSTCHECK;

/* What a writer has to show. */
struct lease_grip {
	int64_t shop, epoch;
	char installation[LEASE_INSTALLATION_MAX];
};

/* Good for ttl_s more from now on, also when it had expired and nobody took it. LEASE_LOST as lease_check; row is how it is then (valid
 * after LEASE_LOST too). */
int lease_renew(struct db *db, const struct lease_grip *grip, int64_t ttl_s, struct lease_row *row, struct err *err) MUSTCHECK;
/* At a graceful end: expired as of now, still ours. Does nothing when it is lost. */
int lease_release(struct db *db, const struct lease_grip *grip, struct err *err) MUSTCHECK;

/* 0 while the row is still that of the grip, else LEASE_LOST (HOLD), which names who has it now. One statement. */
int lease_check(struct db *db, const struct lease_grip *grip, struct err *err) MUSTCHECK;
/* The same as the first thing of a transaction, in the batch of its BEGIN: the row stays locked (shared) until the end, so that a taking
 * over waits for the COMMIT. grip is borrowed as long as the fence is used. */
struct db_fence lease_fence(const struct lease_grip *grip);

#endif
