/* catalog: databases, schemas, objects, columns, indexes, principals and permissions, kept in tables of the SQLite file.
 * A catalogue belongs to one session. What the look-ups return is borrowed and lives until the next catalog_refresh()
 * (temporary objects: until they are dropped). Names are compared without regard to case.
 *
 * In SQLite a table is t<object id> and its columns are c<column id>, so that renaming touches the catalogue only. */
#ifndef SANDBOX_SQL_CATALOG_H
#define SANDBOX_SQL_CATALOG_H

#include <sqlite3.h>
#include "ecosystem/sandbox/sql/ast.h"
#include "ecosystem/sandbox/sql/sqlerror.h"

struct catalog;

struct database {
	int id;
	const char *name, *collation;
	int compatibility;
	bool snapshot; /* READ_COMMITTED_SNAPSHOT: readers take no locks */
	bool offline, single_user, restoring;
	char created[24];
};

struct column {
	const char *name;
	const char *sql; /* SQLite's name, needs no quotes */
	int id;          /* column_id; dropped ones leave gaps */
	struct type_spec type;
	const char *collation; /* char kinds; NULL for others */
	bool nullable, identity;
	int64_t seed, step;
	const char *default_name, *default_text, *computed_text;
	struct expr *default_expr;  /* parsed, NULL = none */
	struct expr *computed_expr; /* not NULL = computed: a generated column in SQLite, never assigned */
};

struct key_column {
	int column; /* index into object.columns */
	bool desc, included;
};

struct index {
	const char *name;
	int id;          /* index_id, the clustered one is 1 */
	int64_t object;  /* of the constraint, 0 = plain index */
	bool unique, primary, constraint, clustered;
	const char *filter_text;
	struct expr *filter;
	struct key_column *columns;
	int column_count;
};

enum object_kind { O_TABLE = 'U', O_VIEW = 'V', O_PROCEDURE = 'P', O_TRIGGER = 'T', O_SYSTEM = 'S' };

struct object {
	int64_t id;
	enum object_kind kind;
	const struct database *database;
	const char *schema, *name;
	/* What stands in SQLite's FROM and INTO: "t17", "temp.x3", for a system view "(SELECT ...)". Not for views. */
	const char *sql;
	bool temporary; /* #table or @table: no permissions, no locks */
	struct column *columns;
	int column_count;
	int identity; /* index of the identity column, -1 = none */
	int rowversion;
	struct index *indexes;
	int index_count;
	bool insert_trigger, update_trigger, delete_trigger; /* 334: OUTPUT needs INTO */
	const char *text;     /* source of a view, procedure or trigger */
	struct select *view;  /* O_VIEW: its query, names to be resolved in .database and .schema */
	const char **view_columns; /* the written list, NULL = the query's own names */
	int view_column_count;
	struct object *parent; /* trigger: its table */
};

/* --- look-ups, relative to the current database and the default schema --- */

const struct database *catalog_current(const struct catalog *catalog);
const struct database *catalog_database(struct catalog *catalog, const char *name);
const char *catalog_schema(const struct catalog *catalog); /* the user's default schema, "dbo" */
const char *catalog_server_collation(const struct catalog *catalog);
/* A table, view, system view, #table or @table. NULL with 208, 911, 916, 942, 7202 or 1087 (unknown @table). */
struct object *catalog_object(struct catalog *catalog, const struct name *name, struct sqlerror *error) MUSTCHECK;
/* The same from inside an object (a view's query): names without a database are looked up in `from`'s. */
struct object *catalog_object_from(struct catalog *catalog, const struct object *from, const struct name *name,
                                   struct sqlerror *error) MUSTCHECK;
/* Index into object->columns, or -1. */
int catalog_column(const struct object *object, const char *name);

#endif
