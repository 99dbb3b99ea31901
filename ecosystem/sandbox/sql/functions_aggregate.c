/* SUM and AVG without doubles, also over windows; t_single (a subquery gave more than one row) and t_top. */
#include <math.h>
#include <string.h>
#include "ecosystem/sandbox/sql/functions_internal.h"

/* t_sum(value, type, scale), t_avg(value, type, scale) */
struct total {
	unsigned char sum[sizeof(struct decimal)]; /* SQLite aligns to 8 bytes only */
	int64_t integer, rows;
	int type, scale;
	bool overflow;
};

static struct decimal decimal_value(sqlite3_value *v) {
	struct decimal d = { 0 };
	if (sqlite3_value_type(v) == SQLITE_INTEGER)
		decimal_from_int(sqlite3_value_int64(v), &d);
	else if (decimal_parse((const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v), &d) != DECIMAL_OK)
		d = (struct decimal){ 0 };
	return d;
}

static struct decimal sum_of(const struct total *t) {
	struct decimal d;
	memcpy(&d, t->sum, sizeof d);
	return d;
}

static void add(sqlite3_context *c, sqlite3_value **v, char op) {
	struct total *t = sqlite3_aggregate_context(c, sizeof *t);
	if (!t || sqlite3_value_type(v[0]) == SQLITE_NULL)
		return;
	t->type = sqlite3_value_int(v[1]);
	t->scale = sqlite3_value_int(v[2]);
	t->rows += op == '+' ? 1 : -1;
	if (t->type != SQL_DECIMAL && t->type != SQL_MONEY) {
		int64_t value = sqlite3_value_int64(v[0]);
		if (op == '+' ? __builtin_add_overflow(t->integer, value, &t->integer)
			      : __builtin_sub_overflow(t->integer, value, &t->integer))
			t->overflow = true;
		return;
	}
	struct decimal d = decimal_value(v[0]), before = sum_of(t), sum;
	int scale = d.scale > before.scale ? d.scale : before.scale;
	if (decimal_calc(op, &before, &d, 38, scale, &sum) == DECIMAL_OK)
		memcpy(t->sum, &sum, sizeof sum);
	else
		t->overflow = true;
}

static void step(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	add(c, v, '+');
}

static void inverse(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	add(c, v, '-');
}

static void overflow(sqlite3_context *c, const struct total *t) {
	functions_error(c, 8115, "Arithmetic overflow error converting expression to data type %s.",
		t->type == SQL_DECIMAL ? "numeric" : xtype_name((enum sql_type)t->type));
}

static void put_exact(sqlite3_context *c, const struct total *t, struct decimal *d) {
	char text[DECIMAL_TEXT];
	if (decimal_fit(d, 38, t->scale, false) != DECIMAL_OK)
		overflow(c, t);
	else
		sqlite3_result_text(c, text, (int)decimal_format(d, text), SQLITE_TRANSIENT);
}

static void put_integer(sqlite3_context *c, const struct total *t, int64_t value) {
	if (t->type != SQL_BIGINT && (value > INT32_MAX || value < INT32_MIN))
		overflow(c, t);
	else
		sqlite3_result_int64(c, value);
}

static void sum_value(sqlite3_context *c) {
	struct total *t = sqlite3_aggregate_context(c, 0);
	if (!t || t->rows == 0)
		return;
	if (t->overflow)
		overflow(c, t);
	else if (t->type == SQL_DECIMAL || t->type == SQL_MONEY) {
		struct decimal d = sum_of(t);
		put_exact(c, t, &d);
	} else
		put_integer(c, t, t->integer);
}

static void average_value(sqlite3_context *c) {
	struct total *t = sqlite3_aggregate_context(c, 0);
	if (!t || t->rows == 0)
		return;
	if (t->overflow) {
		overflow(c, t);
	} else if (t->type == SQL_DECIMAL || t->type == SQL_MONEY) {
		struct decimal rows, d, sum = sum_of(t);
		decimal_from_int(t->rows, &rows);
		if (decimal_calc('/', &sum, &rows, 38, t->scale, &d) != DECIMAL_OK)
			overflow(c, t);
		else
			put_exact(c, t, &d);
	} else {
		put_integer(c, t, t->integer / t->rows);
	}
}

/* --- a subquery's one value --- */

struct single {
	sqlite3_value *value;
	int rows;
};

static void single_step(sqlite3_context *c, int n, sqlite3_value **v) {
	struct single *s = sqlite3_aggregate_context(c, sizeof *s);
	(void)n;
	if (!s)
		return;
	if (s->rows++ > 0)
		functions_error(c, 512,
			"Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, "
			">= or when the "
			"subquery is used as an expression.");
	else
		s->value = sqlite3_value_dup(v[0]);
}

static void single_final(sqlite3_context *c) {
	struct single *s = sqlite3_aggregate_context(c, 0);
	if (!s)
		return;
	if (s->rows == 1 && s->value)
		sqlite3_result_value(c, s->value);
	sqlite3_value_free(s->value);
}

static void top(sqlite3_context *c, int n, sqlite3_value **v) {
	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_NULL || sqlite3_value_int64(v[0]) < 0)
		functions_error(c, 1014, "A TOP or FETCH clause contains an invalid value.");
	else
		sqlite3_result_value(c, v[0]);
}

int functions_aggregate_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = { { "t_top", 1, top, false }, { NULL, 0, NULL, false } };
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
	int rc = functions_add(db, context, entries);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_window_function(db, "t_sum", 3, flags, context, step, sum_value, sum_value, inverse, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_window_function(
			db, "t_avg", 3, flags, context, step, average_value, average_value, inverse, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(db, "t_single", 1, flags, context, NULL, single_step, single_final, NULL);
	return rc;
}
