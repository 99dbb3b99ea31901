/* The statement that looks at dbo.scheduler_logs (jtl_database.md 6.6), and what a fresh row there means. */
#include "worker/db/old_system.h"

#include <inttypes.h>
#include <stdbool.h>

#define JOB_SHOWN 100
#define SHORT 40

/* Our own ids end in ".<shop>.<12 digits>", or are OLD_SYSTEM_OURS; the old system's have neither a point nor a hyphen. */
#define DIGITS_12 "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]"

static const char sql_newest[] =
    "IF OBJECT_ID(N'dbo.scheduler_logs') IS NOT NULL\n"
    "  SELECT TOP (1) l.job_id, l.level, CONVERT(varchar(33), l.[timestamp], 126) FROM dbo.scheduler_logs l\n"
    "  WHERE (l.[timestamp] > DATEADD(second, -@quiet, SYSDATETIME()) AND l.[timestamp] <= DATEADD(day, 1, SYSDATETIME())\n"
    "    OR l.[timestamp] > DATEADD(second, -@quiet, SYSUTCDATETIME()) AND l.[timestamp] <= SYSUTCDATETIME())\n"
    "    AND l.job_id NOT LIKE '%.[0-9]%." DIGITS_12 "' AND l.job_id <> '" OLD_SYSTEM_OURS "'\n"
    "  ORDER BY l.[timestamp] DESC, l.log_id DESC";

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

int old_system_check(struct db *db, int64_t quiet_s, struct err *err)
{
	struct newest newest = { .found = false };
	struct db_param param = db_param_int64("@quiet", quiet_s);
	struct db_statement statement = {
		.label = "old system", .sql = sql_newest, .params = &param, .count = 1, .row = take_newest, .arg = &newest
	};

	if (db_query(db, &statement, NULL, err) != 0)
		return -1;
	if (!newest.found)
		return 0;
	return err_set(err, ERR_HOLD, "OLD_SYSTEM",
	               "the old system is still at work: dbo.scheduler_logs has a line of job %.*s (%s) of %.19s. "
	               "Stop it for good; this goes on by itself when its log was silent for %" PRId64 " s",
	               JOB_SHOWN, newest.job, newest.level, newest.time, quiet_s);
}
