/* Conversions between all types: t_cast, t_try_cast (CAST, CONVERT with styles) and t_put (assignment to a column). How each type
 * is made is in cast_*.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "ecosystem/sandbox/sql/cast.h"

void cast_fail(sqlite3_context *c, struct cast_target *to, int number, const char *text) {
	to->failed = true;
	if (!to->quiet)
		functions_error(c, number, "%s", text);
}

void cast_failf(sqlite3_context *c, struct cast_target *to, int number, const char *fmt, ...) {
	char text[700];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	cast_fail(c, to, number, text);
}

const char *cast_type_name(enum sql_type type) { return type == SQL_DECIMAL ? "numeric" : xtype_name(type); }

void functions_cast(sqlite3_context *c, sqlite3_value *v, enum sql_type from, struct cast_target *to) {
	struct cast_source s = { .value = v, .type = from };
	if (sqlite3_value_type(v) == SQLITE_NULL)
		return;
	enum xtype_family family = xtype_family(from);
	if (family == FAMILY_CHAR || family == FAMILY_EXACT || family == FAMILY_DATE || family == FAMILY_GUID) {
		s.text = (const char *)sqlite3_value_text(v);
		s.len = (size_t)sqlite3_value_bytes(v);
		if (!s.text)
			return;
	}
	switch (xtype_family(to->type)) {
	case FAMILY_INTEGER:
		cast_to_integer(c, &s, to);
		break;
	case FAMILY_EXACT:
		cast_to_exact(c, &s, to);
		break;
	case FAMILY_FLOAT:
		cast_to_float(c, &s, to);
		break;
	case FAMILY_CHAR:
		cast_to_text(c, &s, to);
		break;
	case FAMILY_BINARY:
		cast_to_binary(c, &s, to);
		break;
	case FAMILY_DATE:
		cast_to_date(c, &s, to);
		break;
	case FAMILY_GUID:
		cast_to_guid(c, &s, to);
		break;
	}
}

static void target(struct cast_target *to, int n, sqlite3_value **v, bool quiet) {
	*to = (struct cast_target){ .type = (enum sql_type)sqlite3_value_int(v[2]),
		.size = sqlite3_value_int(v[3]),
		.scale = sqlite3_value_int(v[4]),
		.style = n > 5 ? sqlite3_value_int(v[5]) : 0,
		.quiet = quiet };
}

/* t_cast(value, from, to, size, scale[, style]); a NULL style gives NULL */
static void cast(sqlite3_context *c, int n, sqlite3_value **v) {
	struct cast_target to;
	target(&to, n, v, false);
	if (n <= 5 || sqlite3_value_type(v[5]) != SQLITE_NULL)
		functions_cast(c, v[0], (enum sql_type)sqlite3_value_int(v[1]), &to);
}

static void try_cast(sqlite3_context *c, int n, sqlite3_value **v) {
	struct cast_target to;
	target(&to, n, v, true);
	if (n <= 5 || sqlite3_value_type(v[5]) != SQLITE_NULL)
		functions_cast(c, v[0], (enum sql_type)sqlite3_value_int(v[1]), &to);
}

/* Longer than the column, not counting trailing blanks? */
static bool too_long(sqlite3_value *v, enum sql_type to, int size) {
	if (size == SQL_MAX_LENGTH)
		return false;
	if (xtype_is_char(to)) {
		const char *text = (const char *)sqlite3_value_text(v);
		size_t len = (size_t)sqlite3_value_bytes(v);
		while (len && text[len - 1] == ' ')
			len--;
		return functions_units(text, len) > (size_t)size;
	}
	return xtype_family(to) == FAMILY_BINARY && to != SQL_ROWVERSION && sqlite3_value_bytes(v) > size;
}

/* t_put(value, from, to, size, scale, nullable, table, column, verb) */
static void put(sqlite3_context *c, int n, sqlite3_value **v) {
	enum sql_type from = (enum sql_type)sqlite3_value_int(v[1]);
	struct cast_target to;
	(void)n;
	target(&to, 5, v, false);
	if (sqlite3_value_type(v[0]) == SQLITE_NULL) {
		if (!sqlite3_value_int(v[5]))
			functions_error(c, 515,
				"Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s "
				"fails.",
				(const char *)sqlite3_value_text(v[7]), (const char *)sqlite3_value_text(v[6]),
				(const char *)sqlite3_value_text(v[8]));
		return;
	}
	bool same = xtype_family(from) == xtype_family(to.type) && (xtype_is_char(from) || xtype_family(from) == FAMILY_BINARY);
	if (same && too_long(v[0], to.type, to.size)) {
		const char *text = xtype_is_char(from) ? (const char *)sqlite3_value_text(v[0]) : "";
		size_t len = xtype_is_char(from) ? functions_prefix(text, (size_t)sqlite3_value_bytes(v[0]),
							   (size_t)(to.size > 100 ? 100 : to.size))
						 : 0;
		functions_error(c, 2628,
			"String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%.*s'.",
			(const char *)sqlite3_value_text(v[6]), (const char *)sqlite3_value_text(v[7]), (int)len, text);
		return;
	}
	functions_cast(c, v[0], from, &to);
}

int functions_cast_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_cast", -1, cast, false },
		{ "t_try_cast", -1, try_cast, false },
		{ "t_put", 9, put, false },
		{ NULL, 0, NULL, false },
	};
	return functions_add(db, context, entries);
}
