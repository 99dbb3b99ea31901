/* catalog_load: one object of the catalogue out of its rows. Only for catalog.c. */
#ifndef SANDBOX_SQL_CATALOG_LOAD_H
#define SANDBOX_SQL_CATALOG_LOAD_H

#include "ecosystem/sandbox/sql/catalog.h"

struct catalog_load {
	struct arena *arena;
	struct stmts *stmts;
	const struct database *databases;
	int database_count;
};

/* NULL when there is none. */
struct object *catalog_load_object(struct catalog_load *load, int64_t id);

#endif
