/* ddl: what the ddl_*.c files share. They change the catalogue rows first, read the object back and then bring SQLite's tables
 * and indexes to what the object says. */
#ifndef SANDBOX_SQL_DDL_H
#define SANDBOX_SQL_DDL_H

#include "ecosystem/sandbox/sql/exec.h"

struct ddl {
	struct session *s;
	const struct stmt *stmt;
	struct arena *arena;
	struct sqlerror error;
};

/* --- ddl_table.c --- */

/* Default texts, collations and computed types as the catalogue wants them; -1 with 448, 2705, ... */
int ddl_check_columns(struct ddl *d, const char *table, const struct column_def *defs, int count) MUSTCHECK;
int ddl_insert_column(
	struct ddl *d, const struct database *database, int64_t object, int id, const struct column_def *def) MUSTCHECK;
/* A row of m_object for a constraint; name NULL = one is made up. -1 when the name is taken (2714). */
int ddl_insert_object(struct ddl *d, const struct database *database, int64_t schema, const char *name, const char *type,
	int64_t parent, const char *text, int64_t *id) MUSTCHECK;
/* "PK__table__1A2B3C4D" */
const char *ddl_made_name(struct ddl *d, const char *prefix, const char *table, const char *column);
/* All that stands in the brackets of SQLite's CREATE TABLE for the stored table. */
const char *ddl_table_text(struct ddl *d, const struct object *o) MUSTCHECK;
/* Drops the cached object and reads it again. */
struct object *ddl_reload(struct ddl *d, int64_t id);
int64_t ddl_schema_of(struct ddl *d, const struct object *o);

/* --- ddl_index.c --- */

/* Keys, CHECK, FOREIGN KEY, DEFAULT of CREATE TABLE and ALTER TABLE ADD: catalogue rows. */
int ddl_add_constraint(struct ddl *d, const struct object *o, const struct constraint_def *c) MUSTCHECK;
int ddl_add_column_constraints(struct ddl *d, const struct object *o, const struct column_def *def) MUSTCHECK;
/* SQLite's indexes for one index of the object. */
int ddl_make_index(struct ddl *d, const struct object *o, const struct index *x) MUSTCHECK;
int ddl_drop_index(struct ddl *d, const struct object *o, const struct index *x) MUSTCHECK;
int ddl_insert_index(
	struct ddl *d, const struct object *o, const struct constraint_def *c, int64_t constraint, const char *name) MUSTCHECK;

/* CREATE INDEX on a #table. */
int ddl_temporary_index(struct ddl *d, struct object *o, const struct constraint_def *c) MUSTCHECK;

/* --- ddl_alter.c --- */

int ddl_alter(struct ddl *d) MUSTCHECK;
/* Replaces the stored CREATE TABLE text after constraints or types changed. */
int ddl_rewrite(struct ddl *d, const struct object *o) MUSTCHECK;

/* --- ddl_drop.c --- */

int ddl_drop(struct ddl *d) MUSTCHECK;
int ddl_drop_object(struct ddl *d, struct object *o) MUSTCHECK;

/* --- ddl_database.c --- */

enum flow ddl_database(struct session *s, struct stmt *stmt);

#endif
