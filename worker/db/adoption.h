/* adoption: what is amiss in the tables the old system left (jtl_database.md 6), each kind with what it means and, where a statement can
 * mend it without guessing, that statement for a person to run. Reads only. None of it makes a run do wrong: what TEMU has is read from TEMU
 * and never believed from these tables. */
#ifndef WORKER_DB_ADOPTION_H
#define WORKER_DB_ADOPTION_H

#include <stddef.h>
#include "common/buf.h"
#include "common/err.h"
#include "worker/db/db.h"

#define ADOPTION_EXAMPLES 10 /* of each kind */

/* find: a query without ORDER BY of the columns place (an order) and what (a line for a person). <JTL> in find and mend stands for
 * JTL's database. */
struct adoption_check {
	const char *id;
	const char *title;
	const char *meaning; /* what it does to whom, and what to do */
	const char *find;
	const char *mend; /* NULL: nothing that would not guess */
};
const struct adoption_check *adoption_checks(size_t *count);

/* The statement as it is run. PERM: the database's name is none. */
int adoption_mend(const struct adoption_check *check, const char *jtl_database, struct buf *sql, struct err *err) MUSTCHECK;

/* Adds the report to out, at most ADOPTION_EXAMPLES lines of each kind. The own database must have this release's schema. A kind that
 * cannot be looked at (JTL's database may not be read) is said and counts as nothing. *findings (may be NULL): kinds with at least one.
 * Two statements a kind. Errors of the connection as db_query. */
int adoption_report(struct db *db, const char *jtl_database, struct buf *out, size_t *findings, struct err *err) MUSTCHECK;

#endif
