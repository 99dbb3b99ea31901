/* functions_internal: what the functions_*.c files share; nobody else includes it. */
#ifndef SANDBOX_SQL_FUNCTIONS_INTERNAL_H
#define SANDBOX_SQL_FUNCTIONS_INTERNAL_H

#include <stdbool.h>
#include "ecosystem/sandbox/sql/decimal.h"
#include "ecosystem/sandbox/sql/functions.h"
#include "ecosystem/sandbox/sql/tds_date.h"

typedef void sqlite_function(sqlite3_context *c, int n, sqlite3_value **v);

struct function_entry {
	const char *name;
	int arguments; /* -1 = any */
	sqlite_function *call;
	bool varies; /* not the same each time: NEWID, GETDATE */
};

/* A list that ends with a NULL name. SQLite result code. */
int functions_add(sqlite3 *db, struct functions *context, const struct function_entry *list) MUSTCHECK;
/* "@number:text" */
void functions_error(sqlite3_context *c, int number, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What a conversion gives; text belongs to the caller's buffer or is malloc'ed. */
struct cast_target {
	enum sql_type type;
	int size, scale; /* length or precision */
	int style;
	bool quiet; /* TRY_: NULL instead of an error */
	bool failed;
};
/* Sets the result, or the error unless quiet. */
void functions_cast(sqlite3_context *c, sqlite3_value *v, enum sql_type from, struct cast_target *to);

/* UTF-16 units of UTF-8 text. */
size_t functions_units(const char *text, size_t len);
/* Bytes of the first `units` UTF-16 units. */
size_t functions_prefix(const char *text, size_t len, size_t units);

/* Each file's own. */
int functions_cast_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_number_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_string_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_date_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_json_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_math_register(sqlite3 *db, struct functions *context) MUSTCHECK;
int functions_aggregate_register(sqlite3 *db, struct functions *context) MUSTCHECK;

#endif
