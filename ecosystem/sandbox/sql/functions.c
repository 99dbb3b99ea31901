/* Registration of all functions, and values between SQLite and the canonical texts. */
#include "ecosystem/sandbox/sql/functions.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/functions_internal.h"
#include "ecosystem/sandbox/sql/openjson.h"

#define TICKS_1970 INT64_C(621355968000000000)

int functions_add(sqlite3 *db, struct functions *context, const struct function_entry *list) {
	int rc = SQLITE_OK;
	for (; list->name && rc == SQLITE_OK; list++)
		rc = sqlite3_create_function_v2(db, list->name, list->arguments,
			SQLITE_UTF8 | (list->varies ? 0 : SQLITE_DETERMINISTIC) | SQLITE_INNOCUOUS, context, list->call, NULL,
			NULL, NULL);
	return rc;
}

void functions_error(sqlite3_context *c, int number, const char *fmt, ...) {
	char text[1100];
	int n = snprintf(text, sizeof text, "@%d:", number);
	va_list args;
	va_start(args, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, args);
	va_end(args);
	sqlite3_result_error(c, text, -1);
}

void functions_begin_statement(struct functions *context) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	context->now = TICKS_1970 + (int64_t)t.tv_sec * 10000000 + t.tv_nsec / 100;
}

size_t functions_units(const char *text, size_t len) {
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)text[i];
		if ((b & 0xc0) != 0x80)
			n += b >= 0xf0 ? 2 : 1;
	}
	return n;
}

size_t functions_prefix(const char *text, size_t len, size_t units) {
	size_t i = 0, n = 0;
	while (i < len) {
		unsigned char b = (unsigned char)text[i];
		size_t width = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
		n += width == 4 ? 2 : 1;
		if (n > units)
			break;
		i += width;
	}
	return i < len ? i : len;
}

/* --- small helpers that generated SQL calls --- */

static void raise_error(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	functions_error(c, sqlite3_value_int(v[0]), "%s", (const char *)sqlite3_value_text(v[1]));
}

static void duplicate(sqlite3_context *c, int n, sqlite3_value **v) {
	const char *text = (const char *)sqlite3_value_text(v[0]);
	char values[600] = "";
	for (int i = 1; i < n; i++) {
		const char *value = (const char *)sqlite3_value_text(v[i]);
		snprintf(values + strlen(values), sizeof values - strlen(values), "%s%s", i > 1 ? ", " : "",
			value ? value : "<NULL>");
	}
	functions_error(c, text && strncmp(text, "Violation", 9) == 0 ? 2627 : 2601, "%s The duplicate key value is (%s).",
		text ? text : "", values);
}

static void join(sqlite3_context *c, int n, sqlite3_value **v) {
	int a = sqlite3_value_bytes(v[0]), b = sqlite3_value_bytes(v[1]);
	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_NULL || sqlite3_value_type(v[1]) == SQLITE_NULL)
		return;
	char *out = sqlite3_malloc(a + b + 1);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	memcpy(out, sqlite3_value_blob(v[0]) ? sqlite3_value_blob(v[0]) : "", (size_t)a);
	memcpy(out + a, sqlite3_value_blob(v[1]) ? sqlite3_value_blob(v[1]) : "", (size_t)b);
	sqlite3_result_blob(c, out, a + b, sqlite3_free);
}

static void cut(sqlite3_context *c, int n, sqlite3_value **v) {
	const char *text = (const char *)sqlite3_value_text(v[0]);
	(void)n;
	if (text)
		sqlite3_result_text(c, text,
			(int)functions_prefix(text, (size_t)sqlite3_value_bytes(v[0]), (size_t)sqlite3_value_int(v[1])),
			SQLITE_TRANSIENT);
}

static const struct function_entry entries[] = {
	{ "t_raise", 2, raise_error, true },
	{ "t_duplicate", -1, duplicate, true },
	{ "t_join", 2, join, false },
	{ "t_cut", 2, cut, false },
	{ NULL, 0, NULL, false },
};

int functions_register(sqlite3 *db, struct functions *context) {
	int rc = collation_register(db);
	if (rc == SQLITE_OK)
		rc = functions_add(db, context, entries);
	if (rc == SQLITE_OK)
		rc = functions_cast_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_number_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_string_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_date_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_json_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_math_register(db, context);
	if (rc == SQLITE_OK)
		rc = functions_aggregate_register(db, context);
	if (rc == SQLITE_OK)
		rc = openjson_register(db);
	return rc;
}

/* --- values --- */

int functions_bind(sqlite3_stmt *stmt, int index, enum sql_type type, const struct sql_value *value) {
	if (value->null)
		return sqlite3_bind_null(stmt, index);
	switch (xtype_family(type)) {
	case FAMILY_INTEGER:
		return sqlite3_bind_int64(stmt, index, strtoll(value->data, NULL, 10));
	case FAMILY_FLOAT:
		return sqlite3_bind_double(stmt, index, strtod(value->data, NULL));
	case FAMILY_BINARY:
		return sqlite3_bind_blob64(stmt, index, value->data ? value->data : "", value->len, SQLITE_STATIC);
	case FAMILY_EXACT:
	case FAMILY_CHAR:
	case FAMILY_DATE:
	case FAMILY_GUID:
		break;
	}
	return sqlite3_bind_text64(stmt, index, value->data ? value->data : "", value->len, SQLITE_STATIC, SQLITE_UTF8);
}

void functions_column(sqlite3_stmt *stmt, int index, enum sql_type type, struct sql_value *out, char *scratch) {
	*out = (struct sql_value){ .null = sqlite3_column_type(stmt, index) == SQLITE_NULL };
	if (out->null)
		return;
	switch (xtype_family(type)) {
	case FAMILY_INTEGER:
		out->data = scratch;
		out->len = (size_t)snprintf(scratch, 40, "%lld", (long long)sqlite3_column_int64(stmt, index));
		return;
	case FAMILY_FLOAT:
		out->data = scratch;
		out->len = (size_t)snprintf(scratch, 40, type == SQL_REAL ? "%.9g" : "%.17g", sqlite3_column_double(stmt, index));
		return;
	case FAMILY_BINARY:
		out->data = sqlite3_column_blob(stmt, index);
		out->data = out->data ? out->data : "";
		out->len = (size_t)sqlite3_column_bytes(stmt, index);
		return;
	case FAMILY_EXACT:
	case FAMILY_CHAR:
	case FAMILY_DATE:
	case FAMILY_GUID:
		break;
	}
	out->data = (const char *)sqlite3_column_text(stmt, index);
	out->len = (size_t)sqlite3_column_bytes(stmt, index);
}
