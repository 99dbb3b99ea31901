/* The own database brought to this release's schema, and the report about what the old system left in it, outside the daemon's life. The
 * files are in ecosystem/schema/, applying them is worker/db/schema.h's, the report worker/db/adoption.h's. */
#include "worker/jobs/migrate.h"

#include <stdio.h>
#include "common/buf.h"
#include "common/log.h"
#include "worker/db/adoption.h"
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

static int print_report(struct db *db, const struct settings *settings, struct err *err)
{
	struct buf report;
	int rc;

	buf_init(&report, PLAN_MAX);
	rc = adoption_report(db, settings->jtl_database, &report, NULL, err);
	if (rc == 0)
		printf("%s", buf_text(&report));
	fflush(stdout);
	buf_release(&report);
	return rc;
}

int migrate_report(const struct settings *settings, struct err *err)
{
	struct schema_list list = schema_own();
	struct db *db = NULL;
	int rc = open_own(settings, &db, err);

	if (rc == 0)
		rc = schema_check(db, &list, err);
	if (rc == 0)
		rc = print_report(db, settings, err);
	db_close(db);
	return rc;
}

int schema_migrate(const struct settings *settings, bool plan_only, struct err *err)
{
	struct schema_list list = schema_own();
	struct db *db = NULL;
	struct buf plan;
	struct err inner = ERR_INIT;
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
	if (!plan_only && print_report(db, settings, &inner) != 0)
		log_warning("the old system's tables could not be looked at: %s (%s)", inner.text, inner.code);
out:
	db_close(db);
	buf_release(&plan);
	return rc;
}
