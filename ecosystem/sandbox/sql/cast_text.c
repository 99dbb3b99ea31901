/* Conversions to char, varchar, nchar and nvarchar, with their styles. */
#include "ecosystem/sandbox/sql/cast.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/datetime.h"

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

uint32_t cast_code_at(const char *text, size_t len, size_t *width) {
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
		uint32_t code = cast_code_at(text + i, len - i, &width);
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

static const char *money_style(const struct cast_source *s, int style, char *out, size_t size) {
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

static void blob_text(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
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

void cast_to_text(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
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
				cast_failf(c, to, 8115, "Arithmetic overflow error converting expression to data type %s.",
					cast_type_name(to->type));
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
			cast_failf(c, to, 281, "%d is not a valid style number when converting from %s to a character string.",
				to->style, cast_type_name(s->type));
			return;
		}
		put_text(c, text, len, to, false); /* dates are cut silently */
		return;
	}
	case FAMILY_GUID:
		len = (size_t)snprintf(text, sizeof text, "%.*s", (int)s->len, s->text);
		if (to->size != SQL_MAX_LENGTH && len > (size_t)to->size) {
			cast_failf(c, to, 8170, "Insufficient result space to convert uniqueidentifier value to char.");
			return;
		}
		break;
	default:
		return;
	}
	if (to->size != SQL_MAX_LENGTH && len > (size_t)to->size)
		cast_failf(c, to, 8115, "Arithmetic overflow error converting %s to data type %s.",
			xtype_family(s->type) == FAMILY_EXACT ? cast_type_name(s->type) : "expression", cast_type_name(to->type));
	else
		put_text(c, text, len, to, false);
}
