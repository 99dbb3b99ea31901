/* The statement that looks at dbo.scheduler_logs (jtl_database.md 6.6), and what a fresh row there means. */
#include "worker/db/old_system.h"

#include <inttypes.h>
#include <stdbool.h>

#define JOB_SHOWN 100
#define SHORT 40

/* Our own ids have two points ("<job>.<shop>.<12 digits>"), or are OLD_SYSTEM_OURS; the old system's have none. */
#define OURS "'%.%.%'"

/* Times of the table are the server's local ones or UTC. */
#define NEWEST(from, after_local, after_utc)                                                                                    \
	"IF OBJECT_ID(N'dbo.scheduler_logs') IS NOT NULL\n"                                                                    \
	"  SELECT TOP (1) l.job_id, l.level, CONVERT(varchar(33), l.[timestamp], 126) FROM dbo.scheduler_logs l" from "\n"     \
	"  WHERE (l.[timestamp] > DATEADD(second, -@quiet, " after_local ") AND l.[timestamp] <= DATEADD(day, 1, SYSDATETIME())\n" \
	"    OR l.[timestamp] > DATEADD(second, -@quiet, " after_utc ") AND l.[timestamp] <= SYSUTCDATETIME())\n"              \
	"    AND l.job_id NOT LIKE " OURS " AND l.job_id <> '" OLD_SYSTEM_OURS "'\n"                           \
	"  ORDER BY l.[timestamp] DESC, l.log_id DESC"

static const char sql_newest[] = NEWEST("", "SYSDATETIME()", "SYSUTCDATETIME()");
static const char sql_since[] =
    NEWEST(" JOIN dbo.temu_shop s ON s.shop = @shop", "DATEADD(minute, DATEDIFF(minute, SYSUTCDATETIME(), SYSDATETIME()), s.catalogue_at)",
           "s.catalogue_at");

struct newest {
	bool found;
	char job[256], level[SHORT], time[SHORT];
};

static int take_newest(void *arg, const struct db_row *row, struct err *err)
{
	struct newest *newest = arg;

	newest->found = true;
	if (db_row_copy(row, 0, newest->job, sizeof(newest->job), err) != 0 ||
	    db_row_copy(row, 1, newest->level, sizeof(newest->level), err) != 0)
		return -1;
	return db_row_copy(row, 2, newest->time, sizeof(newest->time), err);
}

/* 1 found, 0 not. */
static int find_newest(struct db *db, const char *sql, const struct db_param *params, size_t count, struct newest *newest, struct err *err)
{
	struct db_statement statement = {
		.label = "old system", .sql = sql, .params = params, .count = count, .row = take_newest, .arg = newest
	};

	newest->found = false;
	return db_query(db, &statement, NULL, err) != 0 ? -1 : newest->found;
}

int old_system_check(struct db *db, int64_t quiet_s, struct err *err)
{
	struct newest newest;
	struct db_param param = db_param_int64("@quiet", quiet_s);
	int found = find_newest(db, sql_newest, &param, 1, &newest, err);

	if (found <= 0)
		return found;
	return err_set(err, ERR_HOLD, "OLD_SYSTEM",
	               "the old system is still at work: dbo.scheduler_logs has a line of job %.*s (%s) of %.19s. "
	               "Stop it for good; this goes on by itself when its log was silent for %" PRId64 " s",
	               JOB_SHOWN, newest.job, newest.level, newest.time, quiet_s);
}

int old_system_check_read(struct db *db, int64_t shop, int64_t quiet_s, struct err *err)
{
	struct newest newest;
	struct db_param params[] = { db_param_int64("@quiet", quiet_s), db_param_int64("@shop", shop) };
	int found = find_newest(db, sql_since, params, 2, &newest, err);

	if (found <= 0)
		return found;
	return err_set(err, ERR_PERM, "QUICK_NEEDS_FULL",
	               "the old system worked after shop %" PRId64 " was last read completely (job %.*s (%s) of %.19s), so what TEMU has is not "
	               "known: run mode full first",
	               shop, JOB_SHOWN, newest.job, newest.level, newest.time);
}
