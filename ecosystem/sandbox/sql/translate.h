/* translate: T-SQL statements to SQLite SQL, with names, types and collations checked as SQL Server does.
 * Pure but for the catalogue it reads. The results live in the arena. The same statement in the same catalogue gives the same
 * text, so that prepared statements can be kept by it. */
#ifndef SANDBOX_SQL_TRANSLATE_H
#define SANDBOX_SQL_TRANSLATE_H

#include "ecosystem/sandbox/sql/ast.h"
#include "ecosystem/sandbox/sql/catalog.h"
#include "ecosystem/sandbox/sql/sqlerror.h"
#include "ecosystem/sandbox/sql/xtype.h"

/* A variable or parameter as the interpreter keeps it: bound as ?slot. */
struct tr_variable {
	struct xtype type;
	int slot; /* 1.. */
};

/* A function or @@variable of the session, registered in SQLite by the interpreter under `sqlite`. */
struct tr_function {
	const char *name;   /* upper case: "SCOPE_IDENTITY", "@@ROWCOUNT" */
	const char *sqlite; /* "s_scope_identity" */
	const char
		*arguments; /* one letter each, after ? optional ones: s = converted to nvarchar, i = to bigint, - = as it is */
	struct xtype type;  /* collation NULL: that of the current database */
};
/* Implemented by procs.c. NULL when there is none of that name. */
const struct tr_function *session_function(const char *upper_name);

struct tr_host {
	void *arg;
	struct catalog *catalog; /* its current database gives the collation of literals and variables */
	/* false = not declared (137) */
	bool (*variable)(void *arg, const char *name, struct tr_variable *out);
	/* SET IDENTITY_INSERT is ON for the table; NULL = never */
	bool (*identity_insert)(void *arg, const struct object *table);
	/* For triggers: temporary objects with the columns of the target that are to get the inserted and the deleted rows. NULL
	 * = none. */
	const struct object *capture_inserted, *capture_deleted;
};

enum tr_step_kind {
	TR_RUN,	 /* no rows; when `counts`, sqlite3_changes() is the statement's row count */
	TR_ROWS, /* its rows are the result, or go into variables, or to the feeds; when `counts`, their number is the row count
		  */
};

struct tr_step {
	enum tr_step_kind kind;
	const char *sql;
	bool counts;
};

/* Run once for each row of the TR_ROWS step, after all of them were read: row value first + i bound as ?(into_first + i). */
struct tr_feed {
	const char *sql;
	int first, count, into_first;
};

/* One mention of a table or view, for permissions and locks. */
struct tr_use {
	const struct object *object;
	char kind; /* S, I, U, D */
	bool nolock, update_lock, hold_lock, through_view;
};

#define TR_STEPS_MAX 6
#define TR_FEEDS_MAX 3

struct tr_result {
	struct tr_step steps[TR_STEPS_MAX]; /* run in this order; at most one TR_ROWS */
	int step_count;
	/* Result set of the TR_ROWS step: its first column_count values. 0: the rows are not sent. */
	struct sql_column *columns;
	const char **collations; /* of the char columns, for SELECT INTO */
	int column_count;
	/* SELECT @x = ... or UPDATE ... SET @x = ...: value i of each row of the TR_ROWS step goes to slot assign[i], already of
	 * its type. */
	const int *assign;
	int assign_count;
	struct tr_feed feeds[TR_FEEDS_MAX]; /* OUTPUT ... INTO, captured rows of triggers */
	int feed_count;
	/* SELECT ... INTO: the interpreter creates this table from columns, then runs "INSERT INTO t(c1, ...) <sql of the TR_ROWS
	 * step>". */
	const struct name *into_table;
	const struct object *target; /* table that is written */
	struct tr_use *uses;
	int use_count;
	int command; /* as in engine.h's done: 193, 195, 196, 197 */
};

/* S_SELECT, S_INSERT (not with EXEC: see translate_insert_rows), S_UPDATE, S_DELETE. -1 with the first error. */
int translate_statement(struct arena *arena, const struct tr_host *host, const struct stmt *stmt, struct tr_result *out,
	struct sqlerror *error) MUSTCHECK;
/* INSERT t(..) EXEC ..: gives one feed that takes the row values of the given types (no steps). 213 when the number does not fit.
 */
int translate_insert_rows(struct arena *arena, const struct tr_host *host, const struct stmt *stmt,
	const struct sql_column *columns, int count, struct tr_result *out, struct sqlerror *error) MUSTCHECK;
/* "SELECT <expr>" with the value converted as an assignment to a variable of type `target` does it (char kinds are cut silently);
 * target NULL: the type of the expression itself, told in *type. type and uses (of subqueries; appended) may be NULL. */
const char *translate_value(struct arena *arena, const struct tr_host *host, const struct expr *expr, const struct xtype *target,
	struct xtype *type, struct tr_result *uses, struct sqlerror *error) MUSTCHECK;
/* "SELECT 1 or 0" for IF and WHILE. */
const char *translate_condition(struct arena *arena, const struct tr_host *host, const struct expr *condition,
	struct tr_result *uses, struct sqlerror *error) MUSTCHECK;
/* An expression over the columns of one table for CHECK, filtered indexes and computed columns: SQLite text with the columns as
 * <prefix>c<N> (prefix "", "NEW."). Deterministic functions only. type may be NULL. */
const char *translate_table_expr(struct arena *arena, const struct tr_host *host, const struct object *table, const char *prefix,
	const struct expr *expr, bool condition, struct xtype *type, struct sqlerror *error) MUSTCHECK;
/* The DEFAULT of a column (NULL without one) as a SQLite expression of the column's type, for ALTER TABLE ADD. */
const char *translate_default(struct arena *arena, const struct tr_host *host, const struct object *table, int column,
	struct sqlerror *error) MUSTCHECK;
/* The columns a query gives, for CREATE VIEW; `from` = the view itself or NULL. */
int translate_describe(struct arena *arena, const struct tr_host *host, const struct object *from, const struct select *select,
	struct sql_column **columns, const char ***collations, int *count, struct sqlerror *error) MUSTCHECK;
/* ALTER COLUMN: the column's value of the type it had before as an assignment to the type it has now. */
const char *translate_conversion(struct arena *arena, const struct tr_host *host, const struct object *table, int column,
	const struct column *before, struct sqlerror *error) MUSTCHECK;
/* A catalogue column's type; the collation is borrowed from it. */
struct xtype xtype_of_column(const struct column *column);

#endif
