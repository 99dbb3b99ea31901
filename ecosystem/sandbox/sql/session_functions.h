/* session_functions: what the SQLite functions about the session and the catalogue share. */
#ifndef SANDBOX_SQL_SESSION_FUNCTIONS_H
#define SANDBOX_SQL_SESSION_FUNCTIONS_H

#include "ecosystem/sandbox/sql/exec.h"

struct session_function {
	struct tr_function describe;
	void (*call)(sqlite3_context *c, int n, sqlite3_value **v);
};

extern const struct session_function session_state_functions[];
extern const struct session_function catalog_functions[];
extern const struct session_function property_functions[];

#define INT_TYPE { .type = SQL_INT, .nullable = true }
#define SMALLINT_TYPE { .type = SQL_SMALLINT, .nullable = true }
#define BIGINT_TYPE { .type = SQL_BIGINT, .nullable = true }
#define NAME_TYPE { .type = SQL_NVARCHAR, .length = 128, .nullable = true }
#define TEXT_TYPE { .type = SQL_NVARCHAR, .length = 4000, .nullable = true }
#define NUMERIC_TYPE { .type = SQL_DECIMAL, .precision = 38, .nullable = true }

/* Argument as text, NULL for NULL or a missing one. */
const char *argument_text(int n, sqlite3_value **v, int i);
void result_text(sqlite3_context *c, const char *text);
/* "[a].b..c" without regard to keywords; parts in the buffer. -1 when it is no name. */
int parse_object_name(const char *text, char parts[4][129], struct name *out) MUSTCHECK;
/* Any object by name: id, database and type letter ("U", "V", "P", "PK", ...); 0 = none. */
int64_t find_object(struct session *s, const char *text, char *type, size_t type_size, int *database);
/* A table or view by id, also a temporary one. */
struct object *object_by_id(struct session *s, int64_t id);
/* Bytes that a value of the type takes, -1 for (max). */
int type_bytes(const struct type_spec *t);

#endif
