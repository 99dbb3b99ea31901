/* translate: T-SQL statements to SQLite SQL, with names, types and collations checked as SQL Server does.
 * Pure but for the catalogue it reads. The results live in the arena. The same statement in the same catalogue gives the same text, so that
 * prepared statements can be kept by it. */
#ifndef SANDBOX_SQL_TRANSLATE_H
#define SANDBOX_SQL_TRANSLATE_H

#include "ecosystem/sandbox/sql/ast.h"
#include "ecosystem/sandbox/sql/sqlerror.h"
#include "ecosystem/sandbox/sql/xtype.h"

struct catalog;
struct cat_table;

/* A variable or parameter as the interpreter keeps it: bound as ?slot. */
struct tr_variable {
	struct xtype type;
	int slot; /* 1.. */
};

/* A function or @@variable of the session, registered in SQLite by the interpreter under `sqlite`. */
struct tr_function {
	const char *name;      /* upper case: "SCOPE_IDENTITY", "@@ROWCOUNT" */
	const char *sqlite;    /* "s_scope_identity" */
	const char *arguments; /* one letter each, after ? optional ones: s = converted to nvarchar, i = to bigint, - = as it is */
	struct xtype type;     /* collation NULL: that of the current database */
};
/* Implemented by procs.c. NULL when there is none of that name. */
const struct tr_function *session_function(const char *upper_name);

struct tr_host {
	void *arg;
	struct catalog *catalog;
	const char *database; /* current one: unqualified names, collation of literals and variables */
	/* false = not declared (137) */
	bool (*variable)(void *arg, const char *name, struct tr_variable *out);
	/* SET IDENTITY_INSERT is ON for the table */
	bool (*identity_insert)(void *arg, const struct cat_table *table);
	/* inserted and deleted inside a trigger; NULL = no such. May be NULL. */
	const struct cat_table *(*pseudo_table)(void *arg, const char *name);
};

enum tr_step_kind {
	TR_RUN,   /* no rows */
	TR_COUNT, /* no rows; sqlite3_changes() is the statement's row count */
	TR_ROWS,  /* its rows are the result, or go into variables or into `into` */
};

struct tr_step {
	enum tr_step_kind kind;
	const char *sql;
	bool counts; /* TR_ROWS: the number of rows is the statement's row count */
};

struct tr_table_use {
	const struct cat_table *table;
	bool nolock, update_lock, hold_lock, write;
};

#define TR_STEPS_MAX 6

struct tr_result {
	struct tr_step steps[TR_STEPS_MAX]; /* run in this order; `before` ones are cheap */
	int step_count;
	/* Result set of the TR_ROWS step; column_count 0: the rows are not sent. */
	struct sql_column *columns;
	int column_count;
	/* SELECT @x = ... or UPDATE ... SET @x = ...: value i of each row of the TR_ROWS step goes to slot assign[i] (the last row wins). */
	const int *assign;
	int assign_count;
	/* OUTPUT ... INTO and INSERT of rows kept back: run once for each row of the TR_ROWS step, after all of them were read; row value i bound as
	 * ?(into_first + i). */
	const char *into;
	int into_first;
	/* SELECT ... INTO: the new table's name and columns; `into` is then NULL: the interpreter creates the table, then
	 * inserts the rows (all columns in order). */
	const struct name *into_table;
	const struct cat_table *target; /* table that is written */
	struct tr_table_use *tables;    /* every base table, for the locks */
	int table_count;
	int command; /* as in engine.h's done: 193, 195, 196, 197 */
};

/* S_SELECT, S_INSERT (not with EXEC: see translate_insert_rows), S_UPDATE, S_DELETE. -1 with the first error. */
int translate_statement(struct arena *arena, const struct tr_host *host, const struct stmt *stmt, struct tr_result *out,
                        struct sqlerror *error) MUSTCHECK;
/* INSERT t(..) EXEC ..: `out->into` takes the row values ?1.. of the given types. */
int translate_insert_rows(struct arena *arena, const struct tr_host *host, const struct stmt *stmt,
                          const struct sql_column *columns, int count, struct tr_result *out, struct sqlerror *error) MUSTCHECK;
/* "SELECT <expr>" with the value converted as an assignment to a variable of type `target` does it (char kinds are cut silently);
 * target NULL: the type of the expression itself, told in *type. type and tables (subqueries) may be NULL. */
const char *translate_value(struct arena *arena, const struct tr_host *host, const struct expr *expr,
                            const struct xtype *target, struct xtype *type, struct tr_result *tables,
                            struct sqlerror *error) MUSTCHECK;
/* "SELECT 1 or 0" for IF and WHILE. */
const char *translate_condition(struct arena *arena, const struct tr_host *host, const struct expr *condition,
                                struct tr_result *tables, struct sqlerror *error) MUSTCHECK;
/* A CHECK condition over the columns of `table`, as a SQLite expression with the columns written NEW."c"; true for UNKNOWN too
 * ("NOT (x)" raises rightly, as a trigger's WHEN takes NULL for false). */
const char *translate_check(struct arena *arena, const struct tr_host *host, const struct cat_table *table,
                            const struct expr *condition, struct sqlerror *error) MUSTCHECK;
/* A DEFAULT (or any constant expression) as a SQLite expression of the column's type, e.g. for ALTER TABLE ADD ... DEFAULT. */
const char *translate_default(struct arena *arena, const struct tr_host *host, const struct cat_table *table, int column,
                              struct sqlerror *error) MUSTCHECK;
/* The columns a query gives, for CREATE VIEW and SELECT INTO. */
int translate_describe(struct arena *arena, const struct tr_host *host, const struct select *select,
                       struct xtype **types, const char ***names, int *count, struct sqlerror *error) MUSTCHECK;

#endif
