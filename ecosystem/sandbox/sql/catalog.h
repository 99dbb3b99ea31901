/* catalog: databases, schemas, objects, columns, indexes, principals and permissions, kept in tables of the SQLite file.
 * A catalogue belongs to one session. What the look-ups return is borrowed and lives until the next catalog_refresh()
 * (temporary objects: until they are dropped). Names are compared without regard to case.
 *
 * In SQLite a table is t<object id> and its columns are c<column id>, so that renaming touches the catalogue only. */
#ifndef SANDBOX_SQL_CATALOG_H
#define SANDBOX_SQL_CATALOG_H

#include <sqlite3.h>
#include <stdatomic.h>
#include "ecosystem/sandbox/sql/ast.h"
#include "ecosystem/sandbox/sql/sqlerror.h"
#include "ecosystem/sandbox/sql/stmts.h"

struct catalog;

struct database {
	int id;
	const char *name, *collation;
	int compatibility;
	bool snapshot; /* READ_COMMITTED_SNAPSHOT: readers take no locks */
	int state;     /* enum database_state, as sys.databases */
	int access;    /* enum database_access, as sys.databases.user_access */
	char created[32];
};

enum database_state { DATABASE_ONLINE, DATABASE_RESTORING, DATABASE_RECOVERING, DATABASE_PENDING, DATABASE_SUSPECT, DATABASE_OFFLINE = 6 };
enum database_access { ACCESS_MULTI, ACCESS_SINGLE, ACCESS_RESTRICTED };

struct column {
	const char *name;
	const char *sql; /* SQLite's name, needs no quotes */
	int id;		 /* column_id; dropped ones leave gaps */
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
	int id;		/* index_id, the clustered one is 1 */
	int64_t object; /* of the constraint, 0 = plain index */
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
	const char *text;				     /* source of a view, procedure or trigger */
	struct select *view;	   /* O_VIEW: its query, names to be resolved in .database and .schema */
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
struct object *catalog_object_from(
	struct catalog *catalog, const struct object *from, const struct name *name, struct sqlerror *error) MUSTCHECK;
/* A procedure ('P') or trigger ('T'), NULL when there is none. */
struct object *catalog_module(struct catalog *catalog, const struct name *name, enum object_kind kind) MUSTCHECK;
/* By object_id; NULL = none. */
struct object *catalog_by_id(struct catalog *catalog, int64_t id);
/* Database and schema that a name in a CREATE means. -1 with 911, 2760. */
int catalog_place(struct catalog *catalog, const struct name *name, const struct database **database, int64_t *schema,
	struct sqlerror *error) MUSTCHECK;
const struct database *catalog_database_by_id(struct catalog *catalog, int id);
/* -1 with 927, 922, 945, 926 or 942 while nobody can open it. */
int catalog_opens(const struct database *database, int line, struct sqlerror *error) MUSTCHECK;
/* "ONLINE", "SINGLE_USER"... */
const char *catalog_state_name(int state);
const char *catalog_access_name(int access);
/* Index into object->columns, or -1. */
int catalog_column(const struct object *object, const char *name);

/* --- the session's side --- */

/* May the session work in the database? -1 with 916, 923, 924. */
typedef int catalog_access(void *arg, const struct database *database, int line, struct sqlerror *error);

/* Creates what a new file needs; idempotent. */
int catalog_prepare(sqlite3 *db, const char *collation, struct err *err) MUSTCHECK;
/* versions: engine-wide source of numbers for catalog_changed(). */
struct catalog *catalog_new(sqlite3 *db, struct stmts *stmts, _Atomic int64_t *versions, catalog_access *access, void *arg);
void catalog_free(struct catalog *catalog);
/* Reads the version row and forgets what is older; retired objects live on until catalog_forget(). */
void catalog_refresh(struct catalog *catalog);
void catalog_forget(struct catalog *catalog);
/* Changes with everything that may change a translation, temporary objects included. */
int64_t catalog_version(const struct catalog *catalog);
/* After a change: new version row. SQLite result code. */
int catalog_changed(struct catalog *catalog);
/* -1 when there is no such database; access and state are not looked at. */
int catalog_use(struct catalog *catalog, const char *name, const char *schema);
/* Current database of the statements of a procedure; does not move the default schema. */
void catalog_switch(struct catalog *catalog, int database);

/* --- temporary objects: memory of the session --- */

/* The owner of the @tables that are visible. */
void catalog_set_scope(struct catalog *catalog, const void *scope);
/* Takes over an object built in its own arena; arena is moved. */
struct object *catalog_add_temporary(
	struct catalog *catalog, const struct object *object, struct arena *arena, const void *scope);
struct object *catalog_temporary(struct catalog *catalog, const char *name);
struct arena *catalog_temporary_arena(struct catalog *catalog, const struct object *object);
/* All of a scope (procedure, batch); their SQLite names are given to `drop`. tables: #tables too. */
void catalog_drop_temporary(
	struct catalog *catalog, const void *scope, bool tables, void (*drop)(void *arg, const char *sql), void *arg);
void catalog_remove_temporary(struct catalog *catalog, const struct object *object);
/* Each one, newest first; NULL ends. */
struct object *catalog_each_temporary(struct catalog *catalog, int i);

/* sysviews.c: an object for sys.x, INFORMATION_SCHEMA.x or NULL. */
struct object *sysviews_object(struct arena *arena, const struct database *database, const char *schema, const char *name);

#endif
