/* Integer, float and exact arithmetic with SQL Server's overflow and division errors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/functions_internal.h"

static bool any_null(int n, sqlite3_value **v) {
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return true;
	return false;
}

static void zero_divide(sqlite3_context *c) { functions_error(c, 8134, "Divide by zero error encountered."); }

/* t_int(op, a, b, type) */
static void integer(sqlite3_context *c, int n, sqlite3_value **v) {
	static const int64_t min[] = {
		[SQL_BIT] = 0, [SQL_TINYINT] = 0, [SQL_SMALLINT] = INT16_MIN, [SQL_INT] = INT32_MIN, [SQL_BIGINT] = INT64_MIN
	};
	static const int64_t max[] = {
		[SQL_BIT] = 1, [SQL_TINYINT] = 255, [SQL_SMALLINT] = INT16_MAX, [SQL_INT] = INT32_MAX, [SQL_BIGINT] = INT64_MAX
	};
	if (any_null(n, v))
		return;
	int64_t a = sqlite3_value_int64(v[1]), b = sqlite3_value_int64(v[2]), r = 0;
	int type = sqlite3_value_int(v[3]);
	bool bad = false;
	switch (sqlite3_value_text(v[0])[0]) {
	case '+':
		bad = __builtin_add_overflow(a, b, &r);
		break;
	case '-':
		bad = __builtin_sub_overflow(a, b, &r);
		break;
	case '*':
		bad = __builtin_mul_overflow(a, b, &r);
		break;
	case '/':
	case '%':
		if (b == 0) {
			zero_divide(c);
			return;
		}
		bad = a == INT64_MIN && b == -1;
		if (!bad)
			r = sqlite3_value_text(v[0])[0] == '/' ? a / b : a % b;
		break;
	case '^':
		r = a ^ b;
		break;
	}
	if (type < SQL_BIT || type > SQL_BIGINT)
		type = SQL_BIGINT;
	if (bad || r < min[type] || r > max[type])
		functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.",
			xtype_name((enum sql_type)type));
	else
		sqlite3_result_int64(c, r);
}

/* t_float(op, a, b, type) */
static void floating(sqlite3_context *c, int n, sqlite3_value **v) {
	if (any_null(n, v))
		return;
	double a = sqlite3_value_double(v[1]), b = sqlite3_value_double(v[2]), r = 0;
	enum sql_type type = (enum sql_type)sqlite3_value_int(v[3]);
	switch (sqlite3_value_text(v[0])[0]) {
	case '+':
		r = a + b;
		break;
	case '-':
		r = a - b;
		break;
	case '*':
		r = a * b;
		break;
	case '/':
		if (b == 0) {
			zero_divide(c);
			return;
		}
		r = a / b;
		break;
	}
	if (type == SQL_REAL)
		r = (double)(float)r;
	if (!isfinite(r))
		functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.", xtype_name(type));
	else
		sqlite3_result_double(c, r);
}

/* t_dec(op, a, b, precision, scale, type): a and b exact texts or integers */
static void exact(sqlite3_context *c, int n, sqlite3_value **v) {
	struct decimal side[2], r;
	char text[DECIMAL_TEXT];
	if (any_null(n, v))
		return;
	for (int i = 0; i < 2; i++)
		if (sqlite3_value_type(v[i + 1]) == SQLITE_INTEGER)
			decimal_from_int(sqlite3_value_int64(v[i + 1]), &side[i]);
		else if (decimal_parse((const char *)sqlite3_value_text(v[i + 1]), (size_t)sqlite3_value_bytes(v[i + 1]),
				 &side[i]) != DECIMAL_OK)
			side[i] = (struct decimal){ 0 };
	switch (decimal_calc(
		(char)sqlite3_value_text(v[0])[0], &side[0], &side[1], sqlite3_value_int(v[3]), sqlite3_value_int(v[4]), &r)) {
	case DECIMAL_OK:
		sqlite3_result_text(c, text, (int)decimal_format(&r, text), SQLITE_TRANSIENT);
		break;
	case DECIMAL_ZERO_DIVIDE:
		zero_divide(c);
		break;
	case DECIMAL_OVERFLOW:
	case DECIMAL_MALFORMED:
		functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.",
			sqlite3_value_int(v[5]) == SQL_MONEY ? "money" : "numeric");
	}
}

int functions_number_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_int", 4, integer, false },
		{ "t_float", 4, floating, false },
		{ "t_dec", 6, exact, false },
		{ NULL, 0, NULL, false },
	};
	return functions_add(db, context, entries);
}
