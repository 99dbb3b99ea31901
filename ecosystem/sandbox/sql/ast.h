/* ast: what the parser hands to the translator. Plain data in the batch's arena; strings are decoded names and texts. */
#ifndef SANDBOX_SQL_AST_H
#define SANDBOX_SQL_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ecosystem/sandbox/sql/arena.h"
#include "ecosystem/sandbox/sql/engine.h"

struct select;
struct expr;

/* server.database.schema.object; missing parts NULL ("db..t" has schema ""). */
struct name {
	const char *part[4];
	int count; /* parts written, the last one is the object */
	int line;
};

struct type_spec {
	enum sql_type type;
	int length;
	uint8_t precision, scale;
	int line;
};

enum expr_kind {
	E_NULL,
	E_DEFAULT,
	E_INTEGER,
	E_DECIMAL,
	E_FLOAT,
	E_STRING,
	E_NSTRING,
	E_BINARY,
	E_VARIABLE, /* @x and @@x */
	E_COLUMN,   /* name */
	E_STAR,     /* *, t.* (name without the last part) */
	E_UNARY,    /* op - + ~ ! (NOT) */
	E_BINARY_OP,
	E_COMPARE, /* op, a, b; quantifier A(LL)/S(OME) with sub */
	E_AND,
	E_OR,
	E_NOT,
	E_IS_NULL, /* negated */
	E_LIKE,    /* a LIKE b ESCAPE c, negated */
	E_BETWEEN,
	E_IN, /* list or sub */
	E_EXISTS,
	E_SUBQUERY,
	E_CASE,    /* a = operand or NULL, args = when, then, ..., b = else */
	E_CAST,    /* type, a, style b, try_ */
	E_CALL,    /* text = upper-case name, args, over */
	E_COLLATE, /* a, text */
};

struct order_item {
	struct expr *expr;
	bool desc;
};

struct over {
	struct expr **partition;
	int partition_count;
	struct order_item *order;
	int order_count;
	const char *frame; /* ready for SQLite, or NULL */
};

struct expr {
	enum expr_kind kind;
	int line;
	const char *text; /* literal, variable, function name, operator */
	size_t len;       /* of a string literal */
	struct name name;
	struct expr *a, *b, *c;
	struct expr **args;
	int arg_count;
	struct select *sub;
	struct type_spec type;
	struct over *over;
	bool negated, distinct, try_, star, convert;
	char quantifier;
	void *plan; /* the interpreter's translation, kept for loops */
	int64_t plan_version;
};

struct json_column {
	const char *name;
	struct type_spec type;
	const char *path; /* NULL = $.name */
	bool as_json;
};

enum from_kind { F_TABLE, F_DERIVED, F_OPENJSON, F_JOIN, F_VALUES, F_FUNCTION };
enum join_kind { J_INNER, J_LEFT, J_RIGHT, J_FULL, J_CROSS, J_CROSS_APPLY, J_OUTER_APPLY };

struct from {
	enum from_kind kind;
	int line;
	struct name name;
	const char *alias;
	const char **column_alias;
	int column_alias_count;
	bool nolock, update_lock, hold_lock;
	struct select *sub;
	struct expr *json, *json_path;
	struct json_column *json_columns;
	int json_count;
	bool json_with;
	struct expr ***rows;
	int row_count, row_width;
	struct expr **args; /* F_FUNCTION */
	int arg_count;
	enum join_kind join;
	struct from *left, *right;
	struct expr *on;
};

struct select_item {
	struct expr *expr;
	const char *alias;
	const char *variable; /* SELECT @x = expr */
	char assign;          /* '=' or the operator of += */
};

struct cte {
	const char *name;
	const char **columns;
	int column_count;
	struct select *select;
};

enum set_op { SET_NONE, SET_UNION, SET_UNION_ALL, SET_EXCEPT, SET_INTERSECT };

struct select {
	int line;
	struct cte *ctes;
	int cte_count;
	enum set_op op; /* not SET_NONE: left op right, ORDER BY here */
	struct select *left, *right;
	bool distinct;
	struct expr *top;
	bool top_percent;
	struct select_item *items;
	int item_count;
	struct name into;
	struct from *from; /* commas are cross joins */
	struct expr *where;
	struct expr **group;
	int group_count;
	struct expr *having;
	struct order_item *order;
	int order_count;
	struct expr *offset, *fetch;
};

struct column_def {
	const char *name;
	int line;
	struct type_spec type;
	bool nullable, null_said, identity, primary, unique;
	int64_t seed, step;
	const char *collation;
	const char *default_text, *default_name;
	struct expr *default_expr;
	const char *computed_text; /* AS (...) */
	struct expr *computed_expr;
	bool output; /* parameters */
	struct constraint_def *check; /* written beside the column, NULL = none */
	struct constraint_def *reference;
	bool with_values;
	const char *key_name; /* of PRIMARY KEY or UNIQUE written beside the column */
	bool nonclustered;
};

enum constraint_kind { C_PRIMARY = 'P', C_UNIQUE = 'U', C_FOREIGN = 'F', C_CHECK = 'C', C_DEFAULT = 'D', C_INDEX = 'I' };

struct constraint_def {
	enum constraint_kind kind;
	const char *name;
	int line;
	const char **columns;
	bool *desc; /* one for each of columns; indexes and keys */
	int column_count;
	struct name ref;
	const char **ref_columns; /* indexes: INCLUDE */
	int ref_count;
	bool cascade, set_null, clustered, nonclustered, unique, no_check;
	bool update_cascade;
	const char *text; /* CHECK or DEFAULT expression as written */
	struct expr *expr;
};

enum stmt_kind {
	S_SELECT, S_INSERT, S_UPDATE, S_DELETE, S_DECLARE, S_SET_VAR, S_SET_OPTION, S_IF, S_WHILE, S_BLOCK, S_TRY,
	S_BREAK, S_CONTINUE, S_RETURN, S_PRINT, S_RAISERROR, S_THROW, S_EXEC, S_EXEC_TEXT, S_USE, S_BEGIN_TRAN, S_COMMIT,
	S_ROLLBACK, S_SAVE, S_WAITFOR, S_CREATE_DATABASE, S_ALTER_DATABASE, S_DROP_DATABASE, S_CREATE_SCHEMA,
	S_CREATE_TABLE, S_ALTER_ADD, S_ALTER_DROP, S_ALTER_COLUMN, S_ALTER_TRIGGERS, S_CREATE_INDEX, S_CREATE_VIEW, S_CREATE_TRIGGER,
	S_DROP, S_CREATE_LOGIN, S_CREATE_USER, S_CREATE_ROLE, S_GRANT, S_ROLE_MEMBER, S_TRUNCATE, S_NOTHING, S_CREATE_PROCEDURE, S_KILL,
};

struct assignment {
	struct name column;    /* UPDATE: target column */
	const char *variable;  /* @x = ... */
	char op;               /* '=' or + - * / % */
	struct expr *expr;
};

struct exec_arg {
	const char *name; /* @p or NULL */
	struct expr *expr;
	bool output;
};

struct stmt {
	enum stmt_kind kind;
	int line;
	size_t begin, end; /* bytes of the batch: source of views and procedures */
	struct name name, name2;
	struct name *names; /* DROP: all of them */
	int name_count;
	const char *text, *text2;
	bool flag, flag2; /* IF EXISTS, UNIQUE, DENY ... as the kind says */
	struct expr *expr;
	struct expr **args;
	int arg_count;
	struct select *select;
	struct from *from;
	const char **columns;
	int column_count;
	struct expr ***rows; /* VALUES; NULL with select NULL = DEFAULT VALUES */
	int row_count, row_width;
	struct expr *top, *where;
	struct assignment *set;
	int set_count;
	struct select_item *output;
	int output_count;
	struct name output_into;
	const char **output_columns;
	int output_column_count;
	struct column_def *defs;
	int def_count;
	struct constraint_def *constraints;
	int constraint_count;
	struct exec_arg *exec;
	int exec_count;
	struct stmt *body, *other, *next;
	struct cte *ctes;
	int cte_count;
	int module_at; /* token after CREATE of a module */
	void *plan; /* the interpreter's translation, kept for loops */
	int64_t plan_version;
};

#endif
