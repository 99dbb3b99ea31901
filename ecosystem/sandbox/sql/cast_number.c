/* Conversions to integers, decimals, money and floats. */
#include "ecosystem/sandbox/sql/cast.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trim(struct cast_source *s) {
	while (s->len && (s->text[s->len - 1] == ' ' || s->text[s->len - 1] == '\t' || s->text[s->len - 1] == '\n' ||
				 s->text[s->len - 1] == '\r'))
		s->len--;
	while (s->len && (*s->text == ' ' || *s->text == '\t' || *s->text == '\n' || *s->text == '\r')) {
		s->text++;
		s->len--;
	}
}

static bool integer_text(const struct cast_source *s, int64_t *out, bool *overflow) {
	struct cast_source t = *s;
	trim(&t);
	bool minus = t.len && *t.text == '-';
	size_t i = t.len && (*t.text == '-' || *t.text == '+');
	uint64_t value = 0;
	*overflow = false;
	if (i && i == t.len)
		return false;
	for (; i < t.len; i++) {
		if (!isdigit((unsigned char)t.text[i]))
			return false;
		if (value > (UINT64_MAX - 9) / 10)
			*overflow = true;
		else
			value = value * 10 + (uint64_t)(t.text[i] - '0');
	}
	if (value > (uint64_t)INT64_MAX + minus)
		*overflow = true;
	*out = minus ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

static bool in_range(enum sql_type type, int64_t value) {
	switch (type) {
	case SQL_TINYINT:
		return value >= 0 && value <= 255;
	case SQL_SMALLINT:
		return value >= INT16_MIN && value <= INT16_MAX;
	case SQL_INT:
		return value >= INT32_MIN && value <= INT32_MAX;
	default:
		return true;
	}
}

static void integer_overflow(sqlite3_context *c, const struct cast_source *s, struct cast_target *to, int64_t value) {
	const char *from = cast_type_name(s->type), *target = cast_type_name(to->type);
	if (xtype_is_char(s->type) && to->type != SQL_BIGINT)
		cast_failf(c, to, to->type == SQL_INT ? 248 : 244,
			to->type == SQL_INT ? "The conversion of the %s value '%.*s' overflowed an int column."
					    : "The conversion of the %s value '%.*s' overflowed an integer column. Use a larger "
					      "integer column.",
			from, (int)(s->len > 200 ? 200 : s->len), s->text);
	else if (to->type == SQL_TINYINT || to->type == SQL_SMALLINT)
		cast_failf(c, to, 220, "Arithmetic overflow error for data type %s, value = %lld.", target, (long long)value);
	else
		cast_failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.",
			xtype_is_integer(s->type) || xtype_is_char(s->type) ? "expression" : from, target);
}

static void put_integer(sqlite3_context *c, const struct cast_source *s, struct cast_target *to, int64_t value) {
	if (to->type == SQL_BIT)
		sqlite3_result_int(c, value != 0);
	else if (in_range(to->type, value))
		sqlite3_result_int64(c, value);
	else
		integer_overflow(c, s, to, value);
}

static void bad_text(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	if (to->type == SQL_BIGINT || xtype_family(to->type) == FAMILY_FLOAT || to->type == SQL_DECIMAL)
		cast_failf(c, to, 8114, "Error converting data type %s to %s.", cast_type_name(s->type), cast_type_name(to->type));
	else if (to->type == SQL_MONEY)
		cast_failf(c, to, 235, "Cannot convert a char value to money. The char value has incorrect syntax.");
	else
		cast_failf(c, to, 245, "Conversion failed when converting the %s value '%.*s' to data type %s.", cast_type_name(s->type),
			(int)(s->len > 300 ? 300 : s->len), s->text, cast_type_name(to->type));
}

static int64_t blob_integer(sqlite3_value *value) {
	const unsigned char *bytes = sqlite3_value_blob(value);
	int len = sqlite3_value_bytes(value);
	uint64_t out = 0;
	for (int i = len > 8 ? len - 8 : 0; i < len; i++)
		out = out << 8 | bytes[i];
	return (int64_t)out;
}

static double date_days(const struct tds_date *d) {
	return (double)(d->days - TDS_DATE_1900) + (double)d->ticks / (double)TDS_TICKS_A_DAY;
}

void cast_to_integer(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	struct decimal d;
	struct tds_date date;
	int64_t value = 0;
	bool overflow = false;
	switch (xtype_family(s->type)) {
	case FAMILY_INTEGER:
		value = sqlite3_value_int64(s->value);
		break;
	case FAMILY_EXACT:
		overflow = decimal_parse(s->text, s->len, &d) != DECIMAL_OK || decimal_to_int(&d, &value) != DECIMAL_OK;
		if (to->type == SQL_BIT) {
			sqlite3_result_int(c, d.units != 0);
			return;
		}
		if (s->type == SQL_MONEY && decimal_fit(&d, 38, 0, false) == DECIMAL_OK) /* money rounds, decimal is cut */
			overflow = decimal_to_int(&d, &value) != DECIMAL_OK;
		break;
	case FAMILY_FLOAT: {
		double f = trunc(sqlite3_value_double(s->value));
		overflow = !(f >= -9223372036854775808.0 && f < 9223372036854775808.0);
		value = overflow ? 0 : (int64_t)f;
		if (to->type == SQL_BIT)
			value = sqlite3_value_double(s->value) != 0;
		break;
	}
	case FAMILY_BINARY:
		value = blob_integer(s->value);
		if (to->type == SQL_INT)
			value = (int32_t)value;
		else if (to->type == SQL_SMALLINT)
			value = (int16_t)value;
		else if (to->type == SQL_TINYINT)
			value = (uint8_t)value;
		break;
	case FAMILY_DATE:
		if (tds_date_parse(&date, s->text, s->len) == 0)
			value = (int64_t)floor(date_days(&date) + 0.5);
		break;
	case FAMILY_CHAR: {
		struct cast_source t = *s;
		trim(&t);
		if (to->type == SQL_BIT && ((t.len == 4 && strncasecmp(t.text, "true", 4) == 0) ||
						   (t.len == 5 && strncasecmp(t.text, "false", 5) == 0))) {
			sqlite3_result_int(c, t.len == 4);
			return;
		}
		if (!integer_text(s, &value, &overflow)) {
			bad_text(c, s, to);
			return;
		}
		break;
	}
	case FAMILY_GUID:
		break;
	}
	if (overflow)
		integer_overflow(c, s, to, value);
	else
		put_integer(c, s, to, value);
}

static bool money_text(const struct cast_source *s, char *out, size_t size, size_t *len) {
	size_t n = 0;
	for (size_t i = 0; i < s->len; i++) {
		char ch = s->text[i];
		if (ch == ',' || ch == '$')
			continue;
		if (n + 1 >= size)
			return false;
		out[n++] = ch;
	}
	*len = n;
	return true;
}

static enum decimal_status exact_value(
	sqlite3_context *c, const struct cast_source *s, const struct cast_target *to, struct decimal *d) {
	char text[100];
	size_t len;
	struct tds_date date;
	(void)c;
	switch (xtype_family(s->type)) {
	case FAMILY_INTEGER:
		decimal_from_int(sqlite3_value_int64(s->value), d);
		return DECIMAL_OK;
	case FAMILY_FLOAT:
		return decimal_from_double(sqlite3_value_double(s->value), to->scale, d);
	case FAMILY_BINARY:
		decimal_from_int(blob_integer(s->value), d);
		return DECIMAL_OK;
	case FAMILY_DATE:
		if (tds_date_parse(&date, s->text, s->len) != 0)
			return DECIMAL_MALFORMED;
		return decimal_from_double(date_days(&date), to->scale, d);
	case FAMILY_CHAR:
		if (to->type == SQL_MONEY) {
			if (!money_text(s, text, sizeof text, &len))
				return DECIMAL_MALFORMED;
			struct cast_source t = { .text = text, .len = len };
			trim(&t);
			return t.len ? decimal_parse(t.text, t.len, d) : (decimal_from_int(0, d), DECIMAL_OK);
		}
		break;
	case FAMILY_EXACT:
	case FAMILY_GUID:
		break;
	}
	return decimal_parse(s->text, s->len, d);
}

void cast_to_exact(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	struct decimal d;
	char text[DECIMAL_TEXT];
	int precision = to->type == SQL_MONEY ? 19 : to->size, scale = to->type == SQL_MONEY ? 4 : to->scale;
	enum decimal_status status = exact_value(c, s, to, &d);
	if (status == DECIMAL_OK)
		status = decimal_fit(&d, precision, scale, false);
	if (status == DECIMAL_OK)
		sqlite3_result_text(c, text, (int)decimal_format(&d, text), SQLITE_TRANSIENT);
	else if (status == DECIMAL_MALFORMED)
		bad_text(c, s, to);
	else
		cast_failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.", cast_type_name(s->type),
			cast_type_name(to->type));
}

static bool float_text(const struct cast_source *s, double *out) {
	struct cast_source t = *s;
	char text[400], *end;
	trim(&t);
	*out = 0;
	if (t.len == 0)
		return true;
	if (t.len >= sizeof text || !strchr("+-.0123456789", *t.text))
		return false;
	memcpy(text, t.text, t.len);
	text[t.len] = '\0';
	if (strpbrk(text, "xXnNiIpP"))
		return false;
	*out = strtod(text, &end);
	return *end == '\0' && isfinite(*out);
}

void cast_to_float(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	struct decimal d;
	struct tds_date date;
	double value = 0;
	if (xtype_is_integer(s->type) || xtype_family(s->type) == FAMILY_FLOAT)
		value = sqlite3_value_double(s->value);
	else if (xtype_family(s->type) == FAMILY_EXACT)
		value = decimal_parse(s->text, s->len, &d) == DECIMAL_OK ? decimal_to_double(&d) : 0;
	else if (xtype_family(s->type) == FAMILY_DATE)
		value = tds_date_parse(&date, s->text, s->len) == 0 ? date_days(&date) : 0;
	else if (!float_text(s, &value)) {
		bad_text(c, s, to);
		return;
	}
	if (to->type == SQL_REAL)
		value = (double)(float)value;
	if (isfinite(value))
		sqlite3_result_double(c, value);
	else
		cast_failf(c, to, 8115, "Arithmetic overflow error converting %s to data type real.", cast_type_name(s->type));
}
