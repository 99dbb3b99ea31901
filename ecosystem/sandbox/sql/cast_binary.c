/* Conversions to binary, varbinary, rowversion and uniqueidentifier. */
#include "ecosystem/sandbox/sql/cast.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void hex_blob(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	const char *p = s->text;
	size_t len = s->len;
	if (to->style == 1) {
		if (len < 2 || p[0] != '0' || (p[1] != 'x' && p[1] != 'X')) {
			cast_failf(c, to, 8114, "Error converting data type %s to %s.", cast_type_name(s->type), cast_type_name(to->type));
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
		cast_failf(c, to, 8114, "Error converting data type %s to %s.", cast_type_name(s->type), cast_type_name(to->type));
	sqlite3_free(out);
}

static void text_blob(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	unsigned char *out = sqlite3_malloc64(s->len * 2 + 2);
	size_t n = 0, width;
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	for (size_t i = 0; i < s->len; i += width) {
		uint32_t code = cast_code_at(s->text + i, s->len - i, &width);
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

static bool guid_bytes(const struct cast_source *s, unsigned char out[16]) {
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

void cast_to_binary(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
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
		cast_failf(c, to, 40000, "Conversion from %s to %s is not supported by the stand-in.", cast_type_name(s->type),
			cast_type_name(to->type));
	}
}

void cast_to_guid(sqlite3_context *c, const struct cast_source *s, struct cast_target *to) {
	char text[40];
	size_t n = 0;
	struct cast_source t = *s;
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
		cast_failf(c, to, 8169, "Conversion failed when converting from a character string to uniqueidentifier.");
}
