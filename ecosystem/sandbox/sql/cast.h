/* cast: what the cast_*.c files share; functions_cast.c chooses among them. Each sets the result, or the error unless quiet. */
#ifndef SANDBOX_SQL_CAST_H
#define SANDBOX_SQL_CAST_H

#include "ecosystem/sandbox/sql/functions_internal.h"

struct cast_source {
	sqlite3_value *value;
	enum sql_type type;
	const char *text; /* char, exact, date, guid kinds */
	size_t len;
};

void cast_fail(sqlite3_context *c, struct cast_target *to, int number, const char *text);
void cast_failf(sqlite3_context *c, struct cast_target *to, int number, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The type's name as SQL Server's messages say it. */
const char *cast_type_name(enum sql_type type);
/* Code point at text, its width in bytes. */
uint32_t cast_code_at(const char *text, size_t len, size_t *width);

void cast_to_integer(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_exact(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_float(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_date(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_text(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_binary(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);
void cast_to_guid(sqlite3_context *c, const struct cast_source *s, struct cast_target *to);

#endif
