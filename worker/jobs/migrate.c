/* The own database brought to this release's schema, outside the daemon's life. The files are in ecosystem/schema/, applying them is
 * worker/db/schema.h's. */
#include "worker/jobs/migrate.h"

#include <stdio.h>
#include "common/buf.h"
#include "worker/db/schema.h"
#include "worker/jobs/env.h"

#define PLAN_MAX (4 << 20)

static int open_own(const struct settings *settings, struct db **db, struct err *err)
{
	struct db_config config = jobs_db_config(settings);

	if (db_setup(&config, err) != 0)
		return -1;
	*db = db_open(&config, err);
	if (*db)
		return 0;
	if (err && (err->number == 4060 || err->number == 911))
		err_context(
		    err,
		    "the own database %s does not exist or may not be entered (create it with the collation of %s: CREATE "
		    "DATABASE [%s] COLLATE Latin1_General_CI_AS)",
		    settings->db_name, settings->jtl_database, settings->db_name);
	return -1;
}

int schema_migrate(const struct settings *settings, bool plan_only, struct err *err)
{
	struct schema_list list = schema_own();
	struct db *db = NULL;
	struct buf plan;
	size_t pending = 0;
	int rc = -1;

	buf_init(&plan, PLAN_MAX);
	if (open_own(settings, &db, err) != 0 || schema_plan(db, &list, &plan, &pending, err) != 0)
		goto out;
	if (plan_only || pending > 0)
		printf("%s", buf_text(&plan));
	fflush(stdout);
	if (!plan_only && schema_apply(db, &list, err) != 0)
		goto out;
	rc = 0;
out:
	db_close(db);
	buf_release(&plan);
	return rc;
}
