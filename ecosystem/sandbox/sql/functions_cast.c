/* Conversions between all types: t_cast, t_try_cast (CAST, CONVERT with styles) and t_put (assignment to a column). */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "ecosystem/sandbox/sql/datetime.h"
#include "ecosystem/sandbox/sql/functions_internal.h"

#define CONTEXT ((struct functions *)sqlite3_user_data(c))

struct source {
	sqlite3_value *value;
	enum sql_type type;
	const char *text; /* char, exact, date, guid kinds */
	size_t len;
};

static void fail(sqlite3_context *c, struct cast_target *to, int number, const char *text) {
	to->failed = true;
	if (!to->quiet)
		functions_error(c, number, "%s", text);
}

static void failf(sqlite3_context *c, struct cast_target *to, int number, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void failf(sqlite3_context *c, struct cast_target *to, int number, const char *fmt, ...) {
	char text[700];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	fail(c, to, number, text);
}

static const char *type_name(enum sql_type type) { return type == SQL_DECIMAL ? "numeric" : xtype_name(type); }

/* --- to integers --- */

static void trim(struct source *s) {
	while (s->len && (s->text[s->len - 1] == ' ' || s->text[s->len - 1] == '\t' || s->text[s->len - 1] == '\n' ||
				 s->text[s->len - 1] == '\r'))
		s->len--;
	while (s->len && (*s->text == ' ' || *s->text == '\t' || *s->text == '\n' || *s->text == '\r')) {
		s->text++;
		s->len--;
	}
}

static bool integer_text(const struct source *s, int64_t *out, bool *overflow) {
	struct source t = *s;
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

static void integer_overflow(sqlite3_context *c, const struct source *s, struct cast_target *to, int64_t value) {
	const char *from = type_name(s->type), *target = type_name(to->type);
	if (xtype_is_char(s->type) && to->type != SQL_BIGINT)
		failf(c, to, to->type == SQL_INT ? 248 : 244,
			to->type == SQL_INT ? "The conversion of the %s value '%.*s' overflowed an int column."
					    : "The conversion of the %s value '%.*s' overflowed an integer column. Use a larger "
					      "integer column.",
			from, (int)(s->len > 200 ? 200 : s->len), s->text);
	else if (to->type == SQL_TINYINT || to->type == SQL_SMALLINT)
		failf(c, to, 220, "Arithmetic overflow error for data type %s, value = %lld.", target, (long long)value);
	else
		failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.",
			xtype_is_integer(s->type) || xtype_is_char(s->type) ? "expression" : from, target);
}

static void put_integer(sqlite3_context *c, const struct source *s, struct cast_target *to, int64_t value) {
	if (to->type == SQL_BIT)
		sqlite3_result_int(c, value != 0);
	else if (in_range(to->type, value))
		sqlite3_result_int64(c, value);
	else
		integer_overflow(c, s, to, value);
}

static void bad_text(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	if (to->type == SQL_BIGINT || xtype_family(to->type) == FAMILY_FLOAT || to->type == SQL_DECIMAL)
		failf(c, to, 8114, "Error converting data type %s to %s.", type_name(s->type), type_name(to->type));
	else if (to->type == SQL_MONEY)
		failf(c, to, 235, "Cannot convert a char value to money. The char value has incorrect syntax.");
	else
		failf(c, to, 245, "Conversion failed when converting the %s value '%.*s' to data type %s.", type_name(s->type),
			(int)(s->len > 300 ? 300 : s->len), s->text, type_name(to->type));
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

static void to_integer(sqlite3_context *c, const struct source *s, struct cast_target *to) {
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
		struct source t = *s;
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

/* --- to exact and float --- */

static bool money_text(const struct source *s, char *out, size_t size, size_t *len) {
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
	sqlite3_context *c, const struct source *s, const struct cast_target *to, struct decimal *d) {
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
			struct source t = { .text = text, .len = len };
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

static void to_exact(sqlite3_context *c, const struct source *s, struct cast_target *to) {
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
		failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.", type_name(s->type),
			type_name(to->type));
}

static bool float_text(const struct source *s, double *out) {
	struct source t = *s;
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

static void to_float(sqlite3_context *c, const struct source *s, struct cast_target *to) {
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
		failf(c, to, 8115, "Arithmetic overflow error converting %s to data type real.", type_name(s->type));
}

/* --- to dates --- */

static void date_failed(sqlite3_context *c, const struct source *s, struct cast_target *to, enum datetime_status status) {
	if (status == DATETIME_MALFORMED)
		failf(c, to, to->type == SQL_SMALLDATETIME ? 295 : 241,
			to->type == SQL_SMALLDATETIME
				? "Conversion failed when converting character string to smalldatetime data type."
				: "Conversion failed when converting date and/or time from character string.");
	else if (xtype_is_char(s->type) && to->type != SQL_DATETIME && to->type != SQL_SMALLDATETIME)
		failf(c, to, 241, "Conversion failed when converting date and/or time from character string.");
	else
		failf(c, to, 242, "The conversion of a %s data type to a %s data type resulted in an out-of-range value.",
			type_name(s->type), type_name(to->type));
}

static void number_date(const struct source *s, struct tds_date *d) {
	double days = 0;
	struct decimal x;
	if (xtype_family(s->type) == FAMILY_EXACT)
		days = decimal_parse(s->text, s->len, &x) == DECIMAL_OK ? decimal_to_double(&x) : 0;
	else
		days = sqlite3_value_double(s->value);
	if (days < -1e6 || days > 1e7)
		days = -1e6;
	double whole = floor(days);
	*d = (struct tds_date){ .days = TDS_DATE_1900 + (int32_t)whole,
		.ticks = (int64_t)((days - whole) * (double)TDS_TICKS_A_DAY) };
}

static void to_date(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	struct tds_date d = { 0 };
	char text[DATETIME_TEXT];
	enum datetime_status status = DATETIME_OK;
	if (xtype_is_char(s->type))
		status = datetime_parse(s->text, s->len, to->type, CONTEXT->date_format, to->style, &d);
	else if (xtype_is_date(s->type))
		status = tds_date_parse(&d, s->text, s->len) == 0 ? DATETIME_OK : DATETIME_MALFORMED;
	else
		number_date(s, &d);
	if (s->type == SQL_TIME)
		d.days = TDS_DATE_1900;
	if (status == DATETIME_OK)
		status = datetime_fit(&d, s->type, to->type, to->scale);
	if (status != DATETIME_OK)
		date_failed(c, s, to, status);
	else
		sqlite3_result_text(c, text, (int)datetime_format(&d, to->type, to->scale, text), SQLITE_TRANSIENT);
}

/* --- to text --- */

/* Windows-1252 beyond Latin-1; others become '?'. */
static bool in_code_page(uint32_t code) {
	static const uint16_t extra[] = { 0x20ac, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
		0x0152, 0x017d, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153,
		0x017e, 0x0178 };
	if (code < 0x80 || (code >= 0xa0 && code <= 0xff))
		return true;
	for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++)
		if (extra[i] == code)
			return true;
	return code == 0x81 || code == 0x8d || code == 0x8f || code == 0x90 || code == 0x9d;
}

static uint32_t code_at(const char *text, size_t len, size_t *width) {
	unsigned char b = (unsigned char)text[0];
	*width = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
	if (*width > len) {
		*width = 1;
		return '?';
	}
	uint32_t code = *width == 1 ? b : b & (0xff >> (*width + 1));
	for (size_t i = 1; i < *width; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	return code;
}

static size_t to_code_page(const char *text, size_t len, char *out) {
	size_t n = 0, width;
	for (size_t i = 0; i < len; i += width) {
		uint32_t code = code_at(text + i, len - i, &width);
		if (in_code_page(code)) {
			memcpy(out + n, text + i, width);
			n += width;
		} else {
			out[n++] = '?';
			if (width == 4)
				out[n++] = '?'; /* one for each half of the pair */
		}
	}
	return n;
}

static void put_text(sqlite3_context *c, const char *text, size_t len, const struct cast_target *to, bool convert) {
	bool pad = to->type == SQL_CHAR || to->type == SQL_NCHAR;
	size_t extra = pad ? (size_t)to->size : 0;
	char *out = sqlite3_malloc64(len * 2 + extra + 1);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	if (convert && !xtype_is_unicode(to->type)) {
		len = to_code_page(text, len, out);
	} else {
		memcpy(out, text, len);
	}
	if (to->size != SQL_MAX_LENGTH) {
		len = functions_prefix(out, len, (size_t)to->size);
		size_t units = functions_units(out, len);
		for (; pad && units < (size_t)to->size; units++)
			out[len++] = ' ';
	}
	sqlite3_result_text64(c, out, len, sqlite3_free, SQLITE_UTF8);
}

static const char *float_style(double value, enum sql_type type, int style, char *out, size_t size) {
	if (style == 1)
		snprintf(out, size, "%.7e", value);
	else if (style == 2)
		snprintf(out, size, "%.15e", value);
	else if (style == 3)
		snprintf(out, size, type == SQL_REAL ? "%.9g" : "%.17g", value);
	else
		snprintf(out, size, "%.6g", value);
	char *e = strchr(out, 'e'); /* three digits of exponent */
	if (e && strlen(e) == 4) {
		memmove(e + 3, e + 2, 3);
		e[2] = '0';
	}
	return out;
}

static const char *money_style(const struct source *s, int style, char *out, size_t size) {
	struct decimal d;
	char text[DECIMAL_TEXT];
	if (decimal_parse(s->text, s->len, &d) != DECIMAL_OK || decimal_fit(&d, 38, style == 2 ? 4 : 2, false) != DECIMAL_OK)
		return "";
	decimal_format(&d, text);
	if (style != 1) {
		snprintf(out, size, "%s", text);
		return out;
	}
	const char *digits = text + (text[0] == '-');
	size_t whole = strcspn(digits, "."), n = 0;
	if (text[0] == '-')
		out[n++] = '-';
	for (size_t i = 0; digits[i] && n + 2 < size; i++) {
		if (i && i < whole && (whole - i) % 3 == 0)
			out[n++] = ',';
		out[n++] = digits[i];
	}
	out[n] = '\0';
	return out;
}

static void blob_text(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	const unsigned char *bytes = sqlite3_value_blob(s->value);
	size_t len = (size_t)sqlite3_value_bytes(s->value), n = 0;
	char *out = sqlite3_malloc64(len * 3 + 4);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	if (to->style == 1 || to->style == 2) {
		n = to->style == 1 ? (size_t)snprintf(out, 4, "0x") : 0;
		for (size_t i = 0; i < len; i++)
			n += (size_t)snprintf(out + n, 3, "%02X", bytes[i]);
	} else if (xtype_is_unicode(to->type)) {
		for (size_t i = 0; i + 1 < len; i += 2) {
			uint32_t code = (uint32_t)(bytes[i] | bytes[i + 1] << 8);
			if (code >= 0xd800 && code < 0xe000)
				code = 0xfffd;
			if (code < 0x80) {
				out[n++] = (char)code;
			} else if (code < 0x800) {
				out[n++] = (char)(0xc0 | code >> 6);
				out[n++] = (char)(0x80 | (code & 0x3f));
			} else {
				out[n++] = (char)(0xe0 | code >> 12);
				out[n++] = (char)(0x80 | (code >> 6 & 0x3f));
				out[n++] = (char)(0x80 | (code & 0x3f));
			}
		}
	} else {
		for (size_t i = 0; i < len; i++) {
			if (bytes[i] < 0x80) {
				out[n++] = (char)bytes[i];
			} else {
				out[n++] = (char)(0xc0 | bytes[i] >> 6);
				out[n++] = (char)(0x80 | (bytes[i] & 0x3f));
			}
		}
	}
	put_text(c, out, n, to, false);
	sqlite3_free(out);
}

static void to_text(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	char text[100];
	struct tds_date d;
	size_t len;
	switch (xtype_family(s->type)) {
	case FAMILY_CHAR:
		put_text(c, s->text, s->len, to, xtype_is_unicode(s->type));
		return;
	case FAMILY_BINARY:
		blob_text(c, s, to);
		return;
	case FAMILY_INTEGER:
		len = (size_t)snprintf(text, sizeof text, "%lld", (long long)sqlite3_value_int64(s->value));
		if (to->size != SQL_MAX_LENGTH && len > (size_t)to->size) {
			if (xtype_is_unicode(to->type))
				failf(c, to, 8115, "Arithmetic overflow error converting expression to data type %s.",
					type_name(to->type));
			else
				put_text(c, "*", 1, to, false);
			return;
		}
		break;
	case FAMILY_FLOAT:
		float_style(sqlite3_value_double(s->value), s->type, to->style, text, sizeof text);
		len = strlen(text);
		break;
	case FAMILY_EXACT:
		len = (size_t)snprintf(text, sizeof text, "%.*s", (int)s->len, s->text);
		if (s->type == SQL_MONEY) {
			char styled[100];
			len = (size_t)snprintf(text, sizeof text, "%s", money_style(s, to->style, styled, sizeof styled));
		}
		break;
	case FAMILY_DATE: {
		const char *dot = memchr(s->text, '.', s->len);
		int scale = 0;
		while (dot && dot + 1 + scale < s->text + s->len && isdigit((unsigned char)dot[1 + scale]))
			scale++;
		if (tds_date_parse(&d, s->text, s->len) != 0)
			return;
		len = datetime_style(&d, s->type, scale, to->style, text);
		if (len == 0) {
			failf(c, to, 281, "%d is not a valid style number when converting from %s to a character string.",
				to->style, type_name(s->type));
			return;
		}
		put_text(c, text, len, to, false); /* dates are cut silently */
		return;
	}
	case FAMILY_GUID:
		len = (size_t)snprintf(text, sizeof text, "%.*s", (int)s->len, s->text);
		if (to->size != SQL_MAX_LENGTH && len > (size_t)to->size) {
			failf(c, to, 8170, "Insufficient result space to convert uniqueidentifier value to char.");
			return;
		}
		break;
	default:
		return;
	}
	if (to->size != SQL_MAX_LENGTH && len > (size_t)to->size)
		failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.",
			xtype_family(s->type) == FAMILY_EXACT ? type_name(s->type) : "expression", type_name(to->type));
	else
		put_text(c, text, len, to, false);
}

/* --- to binary and uniqueidentifier --- */

static void put_blob(sqlite3_context *c, const unsigned char *bytes, size_t len, const struct cast_target *to, bool number) {
	size_t size = to->type == SQL_ROWVERSION ? 8 : to->size == SQL_MAX_LENGTH ? len : (size_t)to->size;
	bool fixed = to->type == SQL_BINARY || to->type == SQL_ROWVERSION;
	unsigned char *out = sqlite3_malloc64((size > len ? size : len) + 1);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	size_t n = fixed ? size : len < size ? len : size;
	memset(out, 0, n);
	if (number) { /* the last bytes count */
		for (size_t i = 0; i < n && i < len; i++)
			out[n - 1 - i] = bytes[len - 1 - i];
	} else if (len) {
		memcpy(out, bytes, len < n ? len : n);
	}
	sqlite3_result_blob64(c, out, n, sqlite3_free);
}

static int hex_digit(char ch) {
	return isdigit((unsigned char)ch) ? ch - '0' : isxdigit((unsigned char)ch) ? tolower((unsigned char)ch) - 'a' + 10 : -1;
}

static void hex_blob(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	const char *p = s->text;
	size_t len = s->len;
	if (to->style == 1) {
		if (len < 2 || p[0] != '0' || (p[1] != 'x' && p[1] != 'X')) {
			failf(c, to, 8114, "Error converting data type %s to %s.", type_name(s->type), type_name(to->type));
			return;
		}
		p += 2;
		len -= 2;
	}
	unsigned char *out = sqlite3_malloc64(len / 2 + 1);
	bool good = out && len % 2 == 0;
	for (size_t i = 0; good && i < len; i += 2) {
		int a = hex_digit(p[i]), b = hex_digit(p[i + 1]);
		good = a >= 0 && b >= 0;
		out[i / 2] = (unsigned char)(a * 16 + b);
	}
	if (good)
		put_blob(c, out, len / 2, to, false);
	else
		failf(c, to, 8114, "Error converting data type %s to %s.", type_name(s->type), type_name(to->type));
	sqlite3_free(out);
}

static void text_blob(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	unsigned char *out = sqlite3_malloc64(s->len * 2 + 2);
	size_t n = 0, width;
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	for (size_t i = 0; i < s->len; i += width) {
		uint32_t code = code_at(s->text + i, s->len - i, &width);
		if (!xtype_is_unicode(s->type)) {
			out[n++] = code < 0x100 ? (unsigned char)code : '?';
			continue;
		}
		uint32_t units[2] = { code, 0 };
		if (code >= 0x10000) {
			units[0] = 0xd800 + ((code - 0x10000) >> 10);
			units[1] = 0xdc00 + ((code - 0x10000) & 0x3ff);
		}
		for (int u = 0; u < 1 + (code >= 0x10000); u++) {
			out[n++] = (unsigned char)(units[u] & 0xff);
			out[n++] = (unsigned char)(units[u] >> 8);
		}
	}
	put_blob(c, out, n, to, false);
	sqlite3_free(out);
}

static bool guid_bytes(const struct source *s, unsigned char out[16]) {
	static const int order[] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	size_t n = 0;
	for (size_t i = 0; i < s->len && n < 32; i++) {
		int digit = hex_digit(s->text[i]);
		if (digit < 0)
			continue;
		unsigned char *byte = &out[order[n / 2]];
		*byte = (unsigned char)(n % 2 ? *byte | digit : digit << 4);
		n++;
	}
	return n == 32;
}

static void to_binary(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	unsigned char bytes[16];
	static const int widths[] = { [SQL_BIT] = 1, [SQL_TINYINT] = 1, [SQL_SMALLINT] = 2, [SQL_INT] = 4, [SQL_BIGINT] = 8 };
	switch (xtype_family(s->type)) {
	case FAMILY_BINARY:
		put_blob(c, sqlite3_value_blob(s->value), (size_t)sqlite3_value_bytes(s->value), to, false);
		break;
	case FAMILY_CHAR:
		if (to->style == 1 || to->style == 2)
			hex_blob(c, s, to);
		else
			text_blob(c, s, to);
		break;
	case FAMILY_INTEGER: {
		int64_t value = sqlite3_value_int64(s->value);
		int n = widths[s->type];
		for (int i = n - 1; i >= 0; i--, value >>= 8)
			bytes[i] = (unsigned char)(value & 0xff);
		put_blob(c, bytes, (size_t)n, to, true);
		break;
	}
	case FAMILY_GUID:
		if (guid_bytes(s, bytes))
			put_blob(c, bytes, 16, to, false);
		break;
	case FAMILY_EXACT:
	case FAMILY_FLOAT:
	case FAMILY_DATE:
		failf(c, to, 40000, "Conversion from %s to %s is not supported by the stand-in.", type_name(s->type),
			type_name(to->type));
	}
}

static void to_guid(sqlite3_context *c, const struct source *s, struct cast_target *to) {
	char text[40];
	size_t n = 0;
	struct source t = *s;
	if (xtype_family(s->type) == FAMILY_BINARY) {
		const unsigned char *b = sqlite3_value_blob(s->value);
		unsigned char bytes[16] = { 0 };
		size_t len = (size_t)sqlite3_value_bytes(s->value);
		memcpy(bytes, b ? b : bytes, len < 16 ? len : 16);
		b = bytes;
		snprintf(text, sizeof text, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[3], b[2],
			b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
		sqlite3_result_text(c, text, -1, SQLITE_TRANSIENT);
		return;
	}
	if (t.len && *t.text == '{') {
		t.text++;
		t.len--;
	}
	for (; n < 36 && n < t.len; n++) {
		bool dash = n == 8 || n == 13 || n == 18 || n == 23;
		if (dash ? t.text[n] != '-' : !isxdigit((unsigned char)t.text[n]))
			break;
		text[n] = (char)toupper((unsigned char)t.text[n]);
	}
	if (n == 36)
		sqlite3_result_text(c, text, 36, SQLITE_TRANSIENT);
	else
		failf(c, to, 8169, "Conversion failed when converting from a character string to uniqueidentifier.");
}

/* --- entry --- */

void functions_cast(sqlite3_context *c, sqlite3_value *v, enum sql_type from, struct cast_target *to) {
	struct source s = { .value = v, .type = from };
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
		to_integer(c, &s, to);
		break;
	case FAMILY_EXACT:
		to_exact(c, &s, to);
		break;
	case FAMILY_FLOAT:
		to_float(c, &s, to);
		break;
	case FAMILY_CHAR:
		to_text(c, &s, to);
		break;
	case FAMILY_BINARY:
		to_binary(c, &s, to);
		break;
	case FAMILY_DATE:
		to_date(c, &s, to);
		break;
	case FAMILY_GUID:
		to_guid(c, &s, to);
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
