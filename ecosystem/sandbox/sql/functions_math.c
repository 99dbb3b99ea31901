/* ABS, CEILING, FLOOR, ROUND, SIGN, POWER in the type of their number; SQRT and others in float. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/functions_internal.h"

#define FUNCTION(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)

/* t_x(type, precision, scale, number, more...) */
struct number {
	enum sql_type type;
	int precision, scale;
	struct decimal d;
	bool null;
};

static struct number number_of(int n, sqlite3_value **v) {
	struct number x = { .type = (enum sql_type)sqlite3_value_int(v[0]),
		.precision = sqlite3_value_int(v[1]),
		.scale = sqlite3_value_int(v[2]) };
	for (int i = 3; i < n; i++)
		x.null |= sqlite3_value_type(v[i]) == SQLITE_NULL;
	if (sqlite3_value_type(v[3]) == SQLITE_INTEGER)
		decimal_from_int(sqlite3_value_int64(v[3]), &x.d);
	else if (!x.null && xtype_family(x.type) == FAMILY_EXACT &&
		 decimal_parse((const char *)sqlite3_value_text(v[3]), (size_t)sqlite3_value_bytes(v[3]), &x.d) != DECIMAL_OK)
		x.d = (struct decimal){ 0 };
	return x;
}

static bool is_float(const struct number *x) { return xtype_family(x->type) == FAMILY_FLOAT; }

static void overflow(sqlite3_context *c, const struct number *x) {
	functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.",
		x->type == SQL_DECIMAL ? "numeric" : xtype_name(x->type));
}

static void put(sqlite3_context *c, const struct number *x, struct decimal *d) {
	char text[DECIMAL_TEXT];
	int64_t whole;
	if (xtype_is_integer(x->type)) {
		if (decimal_to_int(d, &whole) != DECIMAL_OK || (x->type == SQL_INT && (whole > INT32_MAX || whole < INT32_MIN)))
			overflow(c, x);
		else
			sqlite3_result_int64(c, whole);
	} else if (decimal_fit(d, x->type == SQL_MONEY ? 19 : x->precision, x->scale, false) != DECIMAL_OK) {
		overflow(c, x);
	} else {
		sqlite3_result_text(c, text, (int)decimal_format(d, text), SQLITE_TRANSIENT);
	}
}

static void put_float(sqlite3_context *c, const struct number *x, double value) {
	if (isfinite(value))
		sqlite3_result_double(c, value);
	else
		overflow(c, x);
}

FUNCTION(absolute) {
	struct number x = number_of(n, v);
	if (x.null)
		return;
	x.d.negative = false;
	if (is_float(&x))
		put_float(c, &x, fabs(sqlite3_value_double(v[3])));
	else
		put(c, &x, &x.d);
}

static void whole(sqlite3_context *c, int n, sqlite3_value **v, bool up) {
	struct number x = number_of(n, v);
	if (x.null)
		return;
	if (is_float(&x)) {
		put_float(c, &x, up ? ceil(sqlite3_value_double(v[3])) : floor(sqlite3_value_double(v[3])));
		return;
	}
	struct decimal cut = x.d, one;
	if (decimal_fit(&cut, 38, 0, true) != DECIMAL_OK) {
		overflow(c, &x);
		return;
	}
	bool rest = decimal_compare(&cut, &x.d) != 0;
	decimal_from_int(1, &one);
	if (rest && up != x.d.negative && decimal_calc(up ? '+' : '-', &cut, &one, 38, 0, &cut) != DECIMAL_OK)
		overflow(c, &x);
	else
		put(c, &x, &cut);
}

FUNCTION(ceiling) { whole(c, n, v, true); }
FUNCTION(floor_of) { whole(c, n, v, false); }

FUNCTION(sign) {
	struct number x = number_of(n, v);
	if (x.null)
		return;
	if (is_float(&x)) {
		double f = sqlite3_value_double(v[3]);
		put_float(c, &x, f > 0 ? 1 : f < 0 ? -1 : 0);
		return;
	}
	struct decimal d;
	decimal_from_int(x.d.units == 0 ? 0 : x.d.negative ? -1 : 1, &d);
	put(c, &x, &d);
}

static void round_float(sqlite3_context *c, const struct number *x, double value, int digits, bool cut) {
	double factor = pow(10, digits), scaled = value * factor;
	if (!isfinite(factor) || !isfinite(scaled))
		put_float(c, x, value);
	else
		put_float(c, x, (cut ? trunc(scaled) : round(scaled)) / factor);
}

FUNCTION(rounded) {
	struct number x = number_of(n, v);
	if (x.null)
		return;
	int digits = sqlite3_value_int(v[4]);
	bool cut = n > 5 && sqlite3_value_int(v[5]) != 0;
	if (is_float(&x)) {
		round_float(c, &x, sqlite3_value_double(v[3]), digits, cut);
		return;
	}
	struct decimal d = x.d;
	if (digits < 0) {
		if (-digits > 37) {
			decimal_from_int(0, &d);
		} else {
			struct decimal unit = { .units = decimal_power10(-digits), .scale = 0 };
			if (decimal_calc('/', &x.d, &unit, 38, 6, &d) != DECIMAL_OK ||
				decimal_fit(&d, 38, 0, cut) != DECIMAL_OK ||
				decimal_calc('*', &d, &unit, 38, 0, &d) != DECIMAL_OK) {
				overflow(c, &x);
				return;
			}
		}
	} else if (digits < d.scale && decimal_fit(&d, 38, digits, cut) != DECIMAL_OK) {
		overflow(c, &x);
		return;
	}
	put(c, &x, &d);
}

FUNCTION(power) {
	struct number x = number_of(n, v);
	if (x.null)
		return;
	double base = is_float(&x) ? sqlite3_value_double(v[3]) : decimal_to_double(&x.d),
	       value = pow(base, sqlite3_value_double(v[4]));
	struct decimal d;
	if (!isfinite(value))
		functions_error(c, 3623, "An invalid floating point operation occurred.");
	else if (is_float(&x))
		put_float(c, &x, value);
	else if (decimal_from_double(value, x.scale, &d) != DECIMAL_OK)
		overflow(c, &x);
	else
		put(c, &x, &d);
}

static void float_result(sqlite3_context *c, double value) {
	if (isfinite(value))
		sqlite3_result_double(c, value);
	else
		functions_error(c, 3623, "An invalid floating point operation occurred.");
}

FUNCTION(square_root) {
	(void)n;
	if (sqlite3_value_type(v[0]) != SQLITE_NULL)
		float_result(c, sqrt(sqlite3_value_double(v[0])));
}

FUNCTION(exponential) {
	(void)n;
	if (sqlite3_value_type(v[0]) != SQLITE_NULL)
		float_result(c, exp(sqlite3_value_double(v[0])));
}

FUNCTION(logarithm) {
	if (sqlite3_value_type(v[0]) != SQLITE_NULL)
		float_result(c, log(sqlite3_value_double(v[0])) / (n > 1 ? log(sqlite3_value_double(v[1])) : 1));
}

FUNCTION(random_number) {
	sqlite3_uint64 bits;
	(void)n;
	(void)v;
	sqlite3_randomness(sizeof bits, &bits);
	sqlite3_result_double(c, (double)(bits >> 11) / 9007199254740992.0);
}

int functions_math_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_abs", -1, absolute, false },
		{ "t_ceiling", -1, ceiling, false },
		{ "t_floor", -1, floor_of, false },
		{ "t_sign", -1, sign, false },
		{ "t_round", -1, rounded, false },
		{ "t_power", -1, power, false },
		{ "t_sqrt", 1, square_root, false },
		{ "t_exp", 1, exponential, false },
		{ "t_log", -1, logarithm, false },
		{ "t_rand", -1, random_number, true },
		{ NULL, 0, NULL, false },
	};
	return functions_add(db, context, entries);
}
