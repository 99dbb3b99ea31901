/* The table of job types and the environment of their runs: pool, TEMU clients, statistics. No job lives here. */
#include "worker/jobs/jobs.h"

#include <stdlib.h>
#include <time.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/jobs/blocked.h"
#include "worker/jobs/env.h"
#include "worker/jobs/inventory_sync.h"
#include "worker/jobs/keeper.h"
#include "worker/jobs/mirror.h"
#include "worker/jobs/plan_compare.h"
#include "worker/jobs/tokens.h"
#include "worker/temu/temu_budget.h"

#define STOP_MS 2000
#define KEEPER_STOP_MS 500
#define MIRROR_STOP_MS 300 /* more: it ends while the keeper does */

static const struct job_type *const table[] = { &inventory_sync_job, &plan_compare_job };

const struct job_type *const *jobs_table(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

static enum db_encryption encryption_of(int setting)
{
	switch ((enum setting_encryption)setting) {
	case ENCRYPTION_OFF:
		return DB_ENCRYPTION_OFF;
	case ENCRYPTION_REQUEST:
		return DB_ENCRYPTION_REQUEST;
	case ENCRYPTION_REQUIRE:
		return DB_ENCRYPTION_REQUIRE;
	}
	return DB_ENCRYPTION_REQUIRE;
}

struct db_config jobs_db_config(const struct settings *settings)
{
	return (struct db_config){
		.server = settings->db_server,
		.user = settings->db_user,
		.password = settings->db_password,
		.database = settings->db_name,
		.encryption = encryption_of(settings->db_encryption),
		.ca_file = settings->db_ca_file,
		.login_timeout_s = (int)settings->db_login_timeout_s,
		.statement_timeout_s = (int)settings->db_statement_timeout_s,
		.lock_timeout_ms = (int)settings->db_lock_timeout_ms,
		.folder = settings->state_folder,
	};
}

static int start(struct jobs_env *env, const struct connpool_config *config, struct err *err)
{
	env->blocked = blocked_new(env->settings);
	if (!env->blocked)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	env->pool = connpool_new(config, err);
	if (!env->pool)
		return -1;
	env->keeper = keeper_start(env->settings, env->pool, env->journal, err);
	if (!env->keeper)
		return -1;
	if (env->settings->mirror_enabled)
		env->mirror = mirror_start(env->settings, env->pool, env->journal, err);
	if (!env->mirror && env->settings->mirror_enabled)
		return -1;
	if (env->settings->alarms_token_days > 0)
		env->tokens = tokens_start(env->settings, env->journal, err);
	return env->tokens || env->settings->alarms_token_days == 0 ? 0 : -1;
}

void *jobs_env_new(const struct settings *settings, struct journal *journal, struct err *err)
{
	struct connpool_config config = {
		.db = jobs_db_config(settings),
		.base = (int)settings->pool_base,
		.overflow = (int)settings->pool_overflow,
		.pre_ping = settings->pool_pre_ping,
		.recycle_s = (int)settings->pool_recycle_s,
		.wait_ms = (int)settings->pool_wait_ms,
	};
	struct jobs_env *env;

	if (db_setup(&config.db, err) != 0)
		return NULL;
	env = calloc(1, sizeof(*env));
	if (!env) {
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
		return NULL;
	}
	env->settings = settings;
	env->journal = journal;
	if (start(env, &config, err) != 0) {
		jobs_env_free(env);
		return NULL;
	}
	return env;
}

static void end_pool(struct connpool *pool)
{
	struct err err = ERR_INIT;

	if (pool && connpool_stop(pool, clock_mono_ms() + STOP_MS, &err) != 0)
		log_warning("connection pool: %s", err.text);
	else
		connpool_free(pool);
}

void jobs_env_free(void *arg)
{
	struct jobs_env *env = arg;
	bool kept, copied;

	if (!env)
		return;
	mirror_ask_stop(env->mirror);
	tokens_stop(env->tokens);
	kept = keeper_stop(env->keeper, clock_mono_ms() + KEEPER_STOP_MS);
	copied = mirror_stop(env->mirror, clock_mono_ms() + MIRROR_STOP_MS);
	if (!kept)
		log_warning("the leases were not given back: their thread is still in a login");
	if (!copied)
		log_info("the log mirror is still in a login or a statement: it goes on at the next start");
	if (kept && copied)
		end_pool(env->pool);
	blocked_free(env->blocked);
	free(env);
}

static void add_budget(const struct temu_budget_stats *stats, void *arg)
{
	struct buf *out = arg;

	json_object_open(out, NULL);
	json_add_int64(out, "number", stats->number);
	json_add_int64(out, "configured", stats->configured);
	json_add_fixed(out, "rate", (double)stats->milli_rate / 1000, 3);
	json_add_int64(out, "taken", stats->taken);
	json_add_int64(out, "waits", stats->waits);
	json_add_int64(out, "limited", stats->limited);
	json_object_close(out);
}

void jobs_env_stats(void *arg, struct buf *out)
{
	struct jobs_env *env = arg;
	struct connpool_stats pool;

	connpool_stats(env->pool, &pool);
	json_object_open(out, "pool");
	json_add_int64(out, "open", pool.open);
	json_add_int64(out, "idle", pool.idle);
	json_add_int64(out, "taken", pool.taken);
	json_add_int64(out, "waiting", pool.waiting);
	json_add_int64(out, "takes", pool.takes);
	json_add_int64(out, "opened", pool.opened);
	json_add_int64(out, "open_failed", pool.open_failed);
	json_add_int64(out, "discarded", pool.discarded);
	json_add_int64(out, "recycled", pool.recycled);
	json_add_int64(out, "closed", pool.closed);
	json_add_int64(out, "wait_ms_total", pool.wait_ms_total);
	json_add_int64(out, "wait_ms_max", pool.wait_ms_max);
	json_add_int64(out, "timeouts", pool.timeouts);
	json_object_close(out);
	json_array_open(out, "rates");
	temu_budget_each(add_budget, out);
	json_array_close(out);
	mirror_add(env->mirror, out);
}

void jobs_shop_add(void *arg, int64_t shop, struct buf *out)
{
	struct jobs_env *env = arg;

	keeper_add(env->keeper, shop, out);
	blocked_add(env->blocked, shop, out);
}

int jobs_lease_take(void *arg, int64_t shop, const char *from, const char *who, const char *reason, struct err *err)
{
	struct jobs_env *env = arg;

	return keeper_take_over(env->keeper, shop, from, who, reason, err);
}

/* --- for the jobs --- */

void jobs_shop_blocked(struct jobs_env *env, int64_t shop, const struct err *err)
{
	blocked_set(env->blocked, shop, err);
}

struct temu *jobs_temu_new(const struct settings *settings, const struct shop_settings *shop, struct err *err)
{
	struct temu_config config = {
		.url = shop->url,
		.region = shop->region,
		.app_key = shop->app_key,
		.app_secret = shop->app_secret,
		.access_token = shop->access_token,
		.rate = settings->temu_rate,
		.in_flight = settings->temu_in_flight,
		.timeout_ms = settings->temu_timeout_ms,
		.attempts = settings->temu_attempts,
		.ca_file = settings->temu_ca_file,
	};

	return temu_new(&config, err);
}

struct db_limit jobs_db_limit(struct run *run)
{
	int64_t deadline = run_deadline_mono_ms(run);

	return (struct db_limit){ .deadline_ms = deadline == INT64_MAX ? 0 : deadline, .cancelled = run_stopping, .arg = run };
}

static bool limit_reached(const struct db_limit *limit)
{
	return limit && ((limit->cancelled && limit->cancelled(limit->arg)) ||
	                 (limit->deadline_ms != 0 && clock_mono_ms() >= limit->deadline_ms));
}

/* 50, 100, 200 ms, in slices, so that a stop is noticed. */
static void pause_before(int attempt, const struct db_limit *limit)
{
	int64_t until = clock_mono_ms() + ((int64_t)25 << attempt);

	while (clock_mono_ms() < until && !limit_reached(limit))
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

int jobs_db_run(struct jobs_env *env, const struct db_limit *limit, const struct db_fence *fence, bool transaction,
                db_work_fn *work, void *arg, struct err *err)
{
	for (int attempt = 1;; attempt++) {
		struct err inner = ERR_INIT;
		int rc = transaction ? connpool_transaction(env->pool, limit, fence, work, arg, &inner)
		                     : connpool_run(env->pool, limit, work, arg, &inner);

		if (rc == 0)
			return 0;
		if (inner.class != ERR_TEMP || attempt >= JOBS_DB_TRIES || limit_reached(limit)) {
			if (err)
				*err = inner;
			return -1;
		}
		log_warning("%s: %s (attempt %d of %d, done again)", inner.code, inner.text, attempt, JOBS_DB_TRIES);
		pause_before(attempt, limit);
	}
}
