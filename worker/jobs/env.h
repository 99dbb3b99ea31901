/* env: what every run works with, made once by jobs_env_new: settings, journal and the pool of connections. */
#ifndef WORKER_JOBS_ENV_H
#define WORKER_JOBS_ENV_H

#include <stddef.h>
#include "common/err.h"
#include "proto/settings.h"
#include "worker/core/run.h"
#include "worker/db/connpool.h"
#include "worker/db/db.h"
#include "worker/temu/temu.h"

struct blocked;
struct keeper;
struct mirror;
struct tokens;

struct jobs_env {
	const struct settings *settings; /* borrowed */
	struct journal *journal;         /* borrowed */
	struct connpool *pool;
	struct keeper *keeper;
	struct mirror *mirror; /* NULL = off */
	struct tokens *tokens; /* NULL = off */
	struct blocked *blocked;
};

/* db_config of the settings; borrows from them. */
struct db_config jobs_db_config(const struct settings *settings);

/* A client for one run of this shop; the budget is shared by app key. The caller frees with temu_free. */
struct temu *jobs_temu_new(const struct settings *settings, const struct shop_settings *shop, struct err *err) MUSTCHECK;

/* How long a database call of a run may take: until the run's deadline or until it is asked to stop. */
struct db_limit jobs_db_limit(struct run *run);

/* Why the last run of this shop was held, for shop_list; NULL: it is not any more. Any thread. */
void jobs_shop_blocked(struct jobs_env *env, int64_t shop, const struct err *err);

#define JOBS_DB_TRIES 4

/* Takes a connection, works, puts it back; transaction: work stands between BEGIN and COMMIT, behind the fence (NULL = none: reads
 * and tests only, every write of a run shows its grip). Work that failed for the moment (deadlock, lock time-out, cut connection, lost
 * answer to COMMIT, too busy) is done again up to JOBS_DB_TRIES times in all with short waits, on a fresh connection if the old one is
 * doubtful: so work must be repeatable and start from nothing each time. limit as connpool_take. */
int jobs_db_run(struct jobs_env *env, const struct db_limit *limit, const struct db_fence *fence, bool transaction,
                db_work_fn *work, void *arg, struct err *err) MUSTCHECK;

#endif
