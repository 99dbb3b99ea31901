/* t_sum and t_avg(value, type, scale): exact sums of integers and decimals, also over windows. The rest is SQLite's own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/functions_internal.h"

/* One group: zeroed by SQLite before the first row. */
struct total {
	__int128 whole;     /* sum of integers, or units of 10^-scale */
	int64_t rows;       /* that were not NULL */
	int type, scale;
	bool overflow;
};

static bool units_of(sqlite3_value *v, struct total *total, __int128 *out) {
	struct decimal d;
	if (xtype_family((enum sql_type)total->type) == FAMILY_INTEGER) {
		*out = sqlite3_value_int64(v);
		return true;
	}
	if (decimal_parse((const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v), &d) != DECIMAL_OK)
		return false;
	if (d.scale > total->scale)
		total->scale = d.scale; /* add() raises the sum to it */
	if (decimal_fit(&d, DECIMAL_DIGITS, total->scale, false) != DECIMAL_OK)
		return false;
	*out = d.negative ? -(__int128)d.units : (__int128)d.units;
	return true;
}

static void add(sqlite3_context *c, sqlite3_value **v, int sign) {
	struct total *total = sqlite3_aggregate_context(c, sizeof *total);
	__int128 units;
	if (!total || sqlite3_value_type(v[0]) == SQLITE_NULL)
		return;
	if (total->type == 0) {
		total->type = sqlite3_value_int(v[1]);
		total->scale = sqlite3_value_int(v[2]);
	}
	int before = total->scale;
	if (!units_of(v[0], total, &units)) {
		total->overflow = true;
		return;
	}
	for (; before < total->scale; before++)
		total->whole *= 10;
	total->overflow |= __builtin_add_overflow(total->whole, sign * units, &total->whole);
	total->rows += sign;
}

static void step(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	add(c, v, 1);
}

static void inverse(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	add(c, v, -1);
}

static void overflow(sqlite3_context *c, int type) {
	functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.", xtype_name((enum sql_type)type));
}

static void integer_result(sqlite3_context *c, const struct total *total, __int128 value) {
	bool big = total->type == SQL_BIGINT;
	if (value > (big ? INT64_MAX : INT32_MAX) || value < (big ? INT64_MIN : INT32_MIN))
		overflow(c, big ? SQL_BIGINT : SQL_INT);
	else
		sqlite3_result_int64(c, (sqlite3_int64)value);
}

static void decimal_result(sqlite3_context *c, const struct total *total, const struct decimal *value, int scale) {
	struct decimal d = *value;
	char text[DECIMAL_TEXT];
	if (decimal_fit(&d, DECIMAL_DIGITS, scale, false) != DECIMAL_OK) {
		overflow(c, total->type);
		return;
	}
	size_t len = decimal_format(&d, text);
	sqlite3_result_text(c, text, (int)len, SQLITE_TRANSIENT);
}

static void result(sqlite3_context *c, bool average) {
	const struct total *total = sqlite3_aggregate_context(c, 0);
	if (!total || total->rows == 0) {
		sqlite3_result_null(c);
		return;
	}
	if (total->overflow) {
		overflow(c, total->type);
		return;
	}
	if (xtype_family((enum sql_type)total->type) == FAMILY_INTEGER) {
		integer_result(c, total, average ? total->whole / total->rows : total->whole);
		return;
	}
	struct decimal sum = { .scale = total->scale, .negative = total->whole < 0 }, count, quotient;
	sum.units = total->whole < 0 ? -(decimal_units)total->whole : (decimal_units)total->whole;
	if (!average) {
		decimal_result(c, total, &sum, total->scale);
		return;
	}
	decimal_from_int(total->rows, &count);
	if (decimal_calc('/', &sum, &count, DECIMAL_DIGITS, total->scale, &quotient) != DECIMAL_OK)
		overflow(c, total->type);
	else
		decimal_result(c, total, &quotient, total->scale);
}

static void sum_value(sqlite3_context *c) {
	result(c, false);
}

static void average_value(sqlite3_context *c) {
	result(c, true);
}

int functions_aggregate_register(sqlite3 *db) {
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
	int rc = sqlite3_create_window_function(db, "t_sum", 3, flags, NULL, step, sum_value, sum_value, inverse, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_window_function(db, "t_avg", 3, flags, NULL, step, average_value, average_value, inverse, NULL);
	return rc;
}
