/* translate_internal: what the translate_*.c files share; nobody else includes it.
 * Functions return SQLite text in the arena. After an error they go on with something harmless; the first error counts. */
#ifndef SANDBOX_SQL_TRANSLATE_INTERNAL_H
#define SANDBOX_SQL_TRANSLATE_INTERNAL_H

#include "ecosystem/sandbox/sql/translate.h"

/* One column of something in FROM: how it is written in SQLite. */
struct tr_column {
	const char *name; /* NULL = no name */
	const char *sql;
	struct xtype type;
	bool identity;
	const struct expr *expr; /* select list: what it was made of; NULL for a star's */
};

struct tr_source {
	const char *exposed;         /* alias, or the object's name */
	bool aliased;                /* then only the alias names it */
	const struct object *object; /* tables and views */
	const char *sql_alias;       /* NULL: columns are expressions, nothing stands in FROM */
	struct tr_column *columns;
	int column_count;
};

struct tr_scope {
	struct tr_scope *outer;
	struct vec sources; /* struct tr_source * */
	bool grouped;      /* GROUP BY or an aggregate: columns must be grouped ones, or inside aggregates */
	bool checked;      /* ... in the clause being translated */
	bool in_aggregate; /* inside an argument of an aggregate, or of a grouped expression */
	bool no_windows, no_aggregates;
	bool correlated; /* a column of an outer query was used */
	struct expr **group;
	int group_count;
	int clause_number; /* 8120 select list, 8121 HAVING, 8127 ORDER BY */
};

struct tr_cte {
	const struct cte *cte;
	struct tr_cte *outer; /* those defined before it, and those of enclosing queries */
	const struct object *within;
	/* while its recursive part is being translated */
	const char *recursive;
	struct tr_column *columns;
	int column_count;
};

struct tr {
	struct arena *arena;
	const struct tr_host *host;
	struct sqlerror *error;
	struct tr_result *out; /* NULL = uses are not recorded */
	struct vec uses;       /* struct tr_use * */
	struct tr_scope *scope;
	struct tr_cte *ctes;
	const struct object *within; /* the view whose query is being expanded */
	const char *collation;       /* of the current database */
	int next;                    /* for s1, n1 ... */
	struct vec live_variables;   /* const char * */
	int view_depth;
};

/* A query ready to be written: with, head, columns, tail, order; or with, compound, order. */
struct tr_query {
	struct tr_column *columns;
	int column_count;
	const char *with;     /* "" or "WITH ... " */
	const char *head;     /* "SELECT " or "SELECT DISTINCT " */
	const char *tail;     /* " FROM ... WHERE ... GROUP BY ..."; "" possible */
	const char *order;    /* " ORDER BY ... LIMIT ..." or "" */
	const char *compound; /* set operation; its columns are n1, n2 ... */
	const char *from, *where; /* the parts of tail */
	bool single;              /* at most one row for sure */
	bool plain;               /* columns may be wrapped one by one (no DISTINCT, GROUP BY, aggregate) */
	bool collated;            /* write the columns' collations: they will be compared */
	bool ordered, limited, grouped, distinct, correlated;
};

/* --- translate.c --- */
void tr_init(struct tr *tr, struct arena *arena, const struct tr_host *host, struct tr_result *out, struct sqlerror *error);
void tr_finish(struct tr *tr);
bool tr_failed(const struct tr *tr);
const char *tr_quote(struct tr *tr, const char *text); /* as a SQLite string literal */
const char *tr_quote_len(struct tr *tr, const char *text, size_t len);
struct tr_use *tr_use_object(struct tr *tr, const struct object *object, char kind);
struct xtype tr_string_type(const struct tr *tr, enum sql_type type, int length);
bool tr_same_word(const char *a, const char *b);

/* --- translate_scope.c --- */
struct tr_scope *tr_push_scope(struct tr *tr);
void tr_pop_scope(struct tr *tr);
/* The column an E_COLUMN names, NULL after 207, 209, 4104. depth: 0 = this query, else an outer one. */
struct tr_column *tr_resolve(struct tr *tr, const struct expr *e, struct tr_source **source, int *depth);
/* Columns of "*" or "t.*" (struct tr_column *). */
void tr_expand_star(struct tr *tr, const struct expr *star, struct vec *columns);
bool tr_same_expr(struct tr *tr, const struct expr *a, const struct expr *b);
struct tr_source *tr_add_source(struct tr *tr, const char *exposed, bool aliased, const struct object *object, int column_count);
bool tr_source_named(const struct tr_source *source, const struct name *name, int parts);

/* --- translate_from.c --- */
/* Adds the sources of the tree to the scope and returns the text after FROM. */
const char *tr_from(struct tr *tr, const struct from *from);
/* One table as a source with its alias. */
struct tr_source *tr_table_source(struct tr *tr, const struct object *object, const char *alias);
/* VALUES, OPENJSON, STRING_SPLIT, with the current scope seen from their arguments. */
const char *tr_free_source(struct tr *tr, const struct from *from);

/* --- translate_apply.c --- */
const char *tr_apply(struct tr *tr, const char *left, const struct from *right, bool outer);

/* --- translate_select.c --- */
/* top: the outermost query of a statement (ORDER BY allowed, columns may lack names). */
struct tr_query *tr_select(struct tr *tr, const struct select *select, bool top);
const char *tr_render(struct tr *tr, const struct tr_query *query);
/* The query as a derived table of another one. */
struct tr_query *tr_wrapped(struct tr *tr, struct tr_query *query);
/* The query with its columns converted. */
struct tr_query *tr_converted(struct tr *tr, struct tr_query *query, const struct xtype *types, int line);
const char *tr_limit(struct tr *tr, const struct expr *count);
/* " ORDER BY ... LIMIT ..."; not_listed: the error when an item is not in the select list (145, 104), 0 = any expression. */
const char *tr_order_and_limit(struct tr *tr, const struct select *select, struct tr_query *query, bool top, int not_listed);
const char *tr_order_by(struct tr *tr, const struct select *select, const struct tr_query *query, int not_listed);

/* --- translate_set.c --- */
void tr_set_operation(struct tr *tr, const struct select *select, struct tr_query *query, bool top);

/* --- translate_expr.c --- */
const char *tr_expr(struct tr *tr, const struct expr *e, struct xtype *type);
const char *tr_cond(struct tr *tr, const struct expr *e);
const char *tr_case(struct tr *tr, const struct expr *e, struct xtype *type);
const char *tr_choose(struct tr *tr, struct expr **values, int count, struct xtype *type, const char **sqls);
const char *tr_subquery(struct tr *tr, const struct select *select, struct xtype *type);

/* --- translate_compare.c --- */
const char *tr_compare(struct tr *tr, const char *op, const char *a, const struct xtype *a_type, const char *b,
                       const struct xtype *b_type, int line);
const char *tr_predicate(struct tr *tr, const struct expr *e);
/* " COLLATE X" or "". */
const char *tr_collate(struct tr *tr, const struct xtype *type);
/* Checks for LABEL_NONE: 468 with the operation's name, returns the collation. */
const char *tr_collation(struct tr *tr, const struct xtype *type, const char *operation, int line);
/* The pair converted to its common type, which is returned. */
struct xtype tr_unify(struct tr *tr, const char **a, const struct xtype *a_type, const char **b, const struct xtype *b_type,
                      const char *operation, int line);

/* --- translate_convert.c --- */
/* Implicit conversion (206, 257), to exactly `to`. */
const char *tr_convert(struct tr *tr, const char *sql, const struct xtype *from, const struct xtype *to, int line);
const char *tr_cast(struct tr *tr, const char *sql, const struct xtype *from, const struct xtype *to, const char *style, bool try_,
                    int line);
/* An assignment to a column: t_put(...). verb: INSERT or UPDATE. */
const char *tr_put(struct tr *tr, const char *sql, const struct xtype *from, const struct object *object, int column,
                   const char *verb, int line);
const char *tr_arithmetic(struct tr *tr, const char *op, const char *a, const struct xtype *a_type, const char *b,
                          const struct xtype *b_type, struct xtype *type, int line);
const char *tr_negate(struct tr *tr, const char *sql, struct xtype *type, int line);

/* --- translate_call.c, translate_aggregate.c --- */
const char *tr_call(struct tr *tr, const struct expr *e, struct xtype *type);
bool tr_is_aggregate(const struct expr *e);
const char *tr_aggregate(struct tr *tr, const struct expr *e, struct xtype *type);
/* Does the tree contain an aggregate of this query (not inside a subquery or OVER)? */
bool tr_has_aggregate(const struct expr *e);
const char *tr_window(struct tr *tr, const struct expr *e, struct xtype *type);

/* --- translate_dml.c, translate_update.c, translate_delete.c --- */
int tr_insert(struct tr *tr, const struct stmt *stmt);
int tr_update(struct tr *tr, const struct stmt *stmt);
int tr_delete(struct tr *tr, const struct stmt *stmt);

/* --- translate_output.c --- */
struct tr_output {
	struct tr_column *columns;
	int count;
};
void tr_step(struct tr *tr, enum tr_step_kind kind, bool counts, const char *sql);
void tr_feed(struct tr *tr, const char *sql, int first, int count);
/* Where "inserted.x" and "deleted.x" are found; NULL = not allowed there. */
void tr_output(struct tr *tr, const struct stmt *stmt, struct tr_source *inserted, struct tr_source *deleted, struct tr_output *out);
/* Turns the columns into the result set or into feeds; returns the list for RETURNING or SELECT. */
const char *tr_output_targets(struct tr *tr, const struct stmt *stmt, struct tr_output *output, struct tr_source *inserted,
                              struct tr_source *deleted);
const char *tr_insert_into(struct tr *tr, const struct object *target, const int *columns, int count, const char *const *values,
                           const struct xtype *types, int line);

#endif
