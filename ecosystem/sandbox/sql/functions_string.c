/* String functions. Positions and lengths count UTF-16 units, as nvarchar does. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <gnutls/crypto.h>
#include "ecosystem/sandbox/sql/collation.h"
#include "ecosystem/sandbox/sql/datetime.h"
#include "ecosystem/sandbox/sql/functions_internal.h"

#define FUNCTION(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)

struct text {
	const char *at;
	size_t len;
};

static struct text text_of(sqlite3_value *v) {
	struct text t = { (const char *)sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v) };
	if (!t.at)
		t = (struct text){ "", 0 };
	return t;
}

static bool null_among(int n, sqlite3_value **v) {
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return true;
	return false;
}

static void put(sqlite3_context *c, const char *text, size_t len) {
	sqlite3_result_text64(c, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

FUNCTION(len) {
	struct text t = text_of(v[0]);
	if (null_among(n, v))
		return;
	while (t.len && t.at[t.len - 1] == ' ')
		t.len--;
	sqlite3_result_int64(c, (sqlite3_int64)functions_units(t.at, t.len));
}

/* t_datalength(value, type, precision) */
FUNCTION(datalength) {
	static const int bytes[] = { [SQL_BIT] = 1,
		[SQL_TINYINT] = 1,
		[SQL_SMALLINT] = 2,
		[SQL_INT] = 4,
		[SQL_BIGINT] = 8,
		[SQL_FLOAT] = 8,
		[SQL_REAL] = 4,
		[SQL_MONEY] = 8,
		[SQL_DATE] = 3,
		[SQL_TIME] = 5,
		[SQL_DATETIME] = 8,
		[SQL_SMALLDATETIME] = 4,
		[SQL_DATETIME2] = 8,
		[SQL_DATETIMEOFFSET] = 10,
		[SQL_UNIQUEIDENTIFIER] = 16,
		[SQL_ROWVERSION] = 8 };
	enum sql_type type = (enum sql_type)sqlite3_value_int(v[1]);
	int precision = sqlite3_value_int(v[2]);
	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_NULL)
		return;
	if (xtype_is_char(type))
		sqlite3_result_int64(c,
			(sqlite3_int64)functions_units(text_of(v[0]).at, text_of(v[0]).len) * (xtype_is_unicode(type) ? 2 : 1));
	else if (xtype_family(type) == FAMILY_BINARY)
		sqlite3_result_int(c, sqlite3_value_bytes(v[0]));
	else
		sqlite3_result_int(c, type == SQL_DECIMAL ? (precision <= 9	      ? 5
								    : precision <= 19 ? 9
								    : precision <= 28 ? 13
										      : 17)
							  : bytes[type]);
}

static void bad_length(sqlite3_context *c, const char *function) {
	functions_error(c, 537, "Invalid length parameter passed to the %s function.", function);
}

FUNCTION(left) {
	if (null_among(n, v))
		return;
	int64_t count = sqlite3_value_int64(v[1]);
	struct text t = text_of(v[0]);
	if (count < 0)
		bad_length(c, "LEFT or SUBSTRING");
	else
		put(c, t.at, functions_prefix(t.at, t.len, (size_t)count));
}

FUNCTION(right) {
	if (null_among(n, v))
		return;
	int64_t count = sqlite3_value_int64(v[1]);
	struct text t = text_of(v[0]);
	size_t units = functions_units(t.at, t.len);
	if (count < 0) {
		functions_error(c, 536, "Invalid length parameter passed to the RIGHT function.");
		return;
	}
	size_t skip = (size_t)count >= units ? 0 : functions_prefix(t.at, t.len, units - (size_t)count);
	put(c, t.at + skip, t.len - skip);
}

FUNCTION(substring) {
	if (null_among(n, v))
		return;
	int64_t start = sqlite3_value_int64(v[1]) - 1, count = sqlite3_value_int64(v[2]);
	struct text t = text_of(v[0]);
	if (count < 0) {
		bad_length(c, "LEFT or SUBSTRING");
		return;
	}
	int64_t end = start + count;
	start = start < 0 ? 0 : start;
	end = end < start ? start : end;
	size_t a = functions_prefix(t.at, t.len, (size_t)start), b = functions_prefix(t.at, t.len, (size_t)end);
	put(c, t.at + a, b - a);
}

static void trimmed(sqlite3_context *c, int n, sqlite3_value **v, bool left_side, bool right_side) {
	struct text t = text_of(v[0]);
	if (null_among(n, v))
		return;
	while (left_side && t.len && *t.at == ' ') {
		t.at++;
		t.len--;
	}
	while (right_side && t.len && t.at[t.len - 1] == ' ')
		t.len--;
	put(c, t.at, t.len);
}

FUNCTION(ltrim) { trimmed(c, n, v, true, false); }
FUNCTION(rtrim) { trimmed(c, n, v, false, true); }
FUNCTION(trim) { trimmed(c, n, v, true, true); }

static size_t width_at(const char *p, size_t len) {
	unsigned char b = (unsigned char)*p;
	size_t w = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
	return w > len ? len : w;
}

static uint32_t code_of(const char *p, size_t w) {
	uint32_t code = w == 1 ? (unsigned char)*p : (unsigned char)*p & (0xffu >> (w + 1));
	for (size_t i = 1; i < w; i++)
		code = code << 6 | ((unsigned char)p[i] & 0x3f);
	return code;
}

static size_t encode(uint32_t code, char *out) {
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static void folded(sqlite3_context *c, int n, sqlite3_value **v, uint32_t (*fold)(uint32_t)) {
	struct text t = text_of(v[0]);
	if (null_among(n, v))
		return;
	char *out = sqlite3_malloc64(t.len * 2 + 4);
	size_t used = 0;
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	for (size_t i = 0; i < t.len;) {
		size_t w = width_at(t.at + i, t.len - i);
		used += encode(fold(code_of(t.at + i, w)), out + used);
		i += w;
	}
	sqlite3_result_text64(c, out, used, sqlite3_free, SQLITE_UTF8);
}

FUNCTION(upper) { folded(c, n, v, collation_upper); }
FUNCTION(lower) { folded(c, n, v, collation_lower); }

FUNCTION(reverse) {
	struct text t = text_of(v[0]);
	if (null_among(n, v))
		return;
	char *out = sqlite3_malloc64(t.len + 1);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	for (size_t i = 0; i < t.len;) {
		size_t w = width_at(t.at + i, t.len - i);
		memcpy(out + t.len - i - w, t.at + i, w);
		i += w;
	}
	sqlite3_result_text64(c, out, t.len, sqlite3_free, SQLITE_UTF8);
}

/* t_replace(text, old, new, collation) */
FUNCTION(replace) {
	if (null_among(n, v))
		return;
	struct text t = text_of(v[0]), old = text_of(v[1]), new = text_of(v[2]);
	struct collation how = collation_of((const char *)sqlite3_value_text(v[3]));
	sqlite3_str *out = sqlite3_str_new(NULL);
	for (size_t i = 0; i < t.len;) {
		size_t hit = old.len ? collation_match(&how, t.at + i, t.len - i, old.at, old.len) : 0;
		size_t w = hit ? hit : width_at(t.at + i, t.len - i);
		sqlite3_str_append(out, hit ? new.at : t.at + i, hit ? (int)new.len : (int)w);
		i += w;
	}
	int len = sqlite3_str_length(out);
	char *text = sqlite3_str_finish(out);
	if (text)
		sqlite3_result_text(c, text, len, sqlite3_free);
	else
		put(c, "", 0);
}

FUNCTION(replicate) {
	if (null_among(n, v))
		return;
	struct text t = text_of(v[0]);
	int64_t count = sqlite3_value_int64(v[1]);
	if (count < 0)
		return;
	if (t.len && (uint64_t)count > 8000 / t.len && t.len < 8000)
		count = (int64_t)(8000 / t.len);
	char *out = sqlite3_malloc64(t.len * (size_t)count + 1);
	if (!out) {
		sqlite3_result_error_nomem(c);
		return;
	}
	for (int64_t i = 0; i < count; i++)
		memcpy(out + (size_t)i * t.len, t.at, t.len);
	sqlite3_result_text64(c, out, t.len * (size_t)count, sqlite3_free, SQLITE_UTF8);
}

FUNCTION(space) {
	char out[8001];
	if (null_among(n, v))
		return;
	int64_t count = sqlite3_value_int64(v[0]);
	if (count < 0)
		return;
	count = count > 8000 ? 8000 : count;
	memset(out, ' ', (size_t)count);
	put(c, out, (size_t)count);
}

FUNCTION(stuff) {
	if (sqlite3_value_type(v[0]) == SQLITE_NULL || null_among(2, v + 1))
		return;
	(void)n;
	struct text t = text_of(v[0]), with = text_of(v[3]);
	int64_t start = sqlite3_value_int64(v[1]), count = sqlite3_value_int64(v[2]);
	if (start < 1 || count < 0 || (uint64_t)start > functions_units(t.at, t.len))
		return;
	size_t a = functions_prefix(t.at, t.len, (size_t)start - 1),
	       b = functions_prefix(t.at, t.len, (size_t)(start - 1 + count));
	char *out = sqlite3_mprintf("%.*s%.*s%.*s", (int)a, t.at, (int)with.len, with.at, (int)(t.len - b), t.at + b);
	sqlite3_result_text(c, out ? out : "", -1, out ? sqlite3_free : SQLITE_STATIC);
}

/* t_charindex(what, text, start, collation) */
FUNCTION(charindex) {
	if (null_among(n, v))
		return;
	struct text what = text_of(v[0]), t = text_of(v[1]);
	struct collation how = collation_of((const char *)sqlite3_value_text(v[3]));
	int64_t start = sqlite3_value_int64(v[2]);
	size_t i = start > 1 ? functions_prefix(t.at, t.len, (size_t)start - 1) : 0;
	for (; what.len && i < t.len; i += width_at(t.at + i, t.len - i))
		if (collation_match(&how, t.at + i, t.len - i, what.at, what.len)) {
			sqlite3_result_int64(c, (sqlite3_int64)functions_units(t.at, i) + 1);
			return;
		}
	sqlite3_result_int(c, 0);
}

/* t_like(text, pattern, escape, collation, unicode) */
FUNCTION(like) {
	if (null_among(2, v))
		return;
	(void)n;
	struct text t = text_of(v[0]), pattern = text_of(v[1]), escape = text_of(v[2]);
	struct collation how = collation_of((const char *)sqlite3_value_text(v[3]));
	if (functions_units(escape.at, escape.len) > 1)
		functions_error(c, 506, "The invalid escape character \"%.*s\" was specified in a LIKE predicate.",
			(int)escape.len, escape.at);
	else
		sqlite3_result_int(c, collation_like(&how, t.at, t.len, pattern.at, pattern.len,
					      escape.len ? code_of(escape.at, width_at(escape.at, escape.len)) : 0));
}

static void concat_from(sqlite3_context *c, int n, sqlite3_value **v, const struct text *separator) {
	sqlite3_str *out = sqlite3_str_new(NULL);
	bool any = false;
	for (int i = 0; i < n; i++) {
		struct text t = text_of(v[i]);
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			continue;
		if (any && separator)
			sqlite3_str_append(out, separator->at, (int)separator->len);
		sqlite3_str_append(out, t.at, (int)t.len);
		any = true;
	}
	int len = sqlite3_str_length(out);
	char *text = sqlite3_str_finish(out);
	if (text)
		sqlite3_result_text(c, text, len, sqlite3_free);
	else
		put(c, "", 0);
}

FUNCTION(concat) { concat_from(c, n, v, NULL); }

FUNCTION(concat_ws) {
	struct text separator = text_of(v[0]);
	concat_from(c, n - 1, v + 1, &separator);
}

FUNCTION(unicode) {
	struct text t = text_of(v[0]);
	if (!null_among(n, v) && t.len)
		sqlite3_result_int64(c, code_of(t.at, width_at(t.at, t.len)));
}

FUNCTION(character) {
	char out[4];
	int64_t code = sqlite3_value_int64(v[0]);
	if (!null_among(n, v) && code > 0 && code < 0x10000)
		put(c, out, encode((uint32_t)code, out));
}

FUNCTION(quotename) {
	struct text t = text_of(v[0]), mark = n > 1 ? text_of(v[1]) : (struct text){ "[", 1 };
	char open = mark.len ? *mark.at : '[', close = open == '[' || open == ']' ? ']'
						       : open == '('		  ? ')'
						       : open == '<'		  ? '>'
						       : open == '{'		  ? '}'
										  : open;
	if (null_among(n, v) || functions_units(t.at, t.len) > 128)
		return;
	sqlite3_str *out = sqlite3_str_new(NULL);
	sqlite3_str_appendchar(out, 1, open == ']' ? '[' : open);
	for (size_t i = 0; i < t.len; i++)
		sqlite3_str_appendchar(out, t.at[i] == close ? 2 : 1, t.at[i]);
	sqlite3_str_appendchar(out, 1, close);
	sqlite3_result_text(c, sqlite3_str_finish(out), -1, sqlite3_free);
}

FUNCTION(string_escape) {
	struct text t = text_of(v[0]);
	if (null_among(n, v))
		return;
	sqlite3_str *out = sqlite3_str_new(NULL);
	for (size_t i = 0; i < t.len; i++) {
		unsigned char ch = (unsigned char)t.at[i];
		const char *at = ch ? strchr("\"\\/\b\f\n\r\t", ch) : NULL;
		if (at)
			sqlite3_str_appendf(out, "\\%c", "\"\\/bfnrt"[at - strchr("\"\\/\b\f\n\r\t", '"')]);
		else if (ch < 0x20)
			sqlite3_str_appendf(out, "\\u%04x", ch);
		else
			sqlite3_str_append(out, t.at + i, 1);
	}
	int len = sqlite3_str_length(out);
	char *text = sqlite3_str_finish(out);
	sqlite3_result_text(c, text ? text : "", len, text ? sqlite3_free : SQLITE_STATIC);
}

FUNCTION(isnumeric) {
	struct text t = text_of(v[0]);
	(void)n;
	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER || sqlite3_value_type(v[0]) == SQLITE_FLOAT) {
		sqlite3_result_int(c, 1);
		return;
	}
	size_t digits = 0, i = 0;
	while (i < t.len && *t.at == ' ')
		t.at++, t.len--;
	i = t.len && strchr("+-$", *t.at) ? 1 : 0;
	for (; i < t.len && (isdigit((unsigned char)t.at[i]) || strchr(".,eE ", t.at[i])); i++)
		digits += isdigit((unsigned char)t.at[i]) != 0;
	sqlite3_result_int(c, digits > 0 && i == t.len);
}

FUNCTION(isdate) {
	struct text t = text_of(v[0]);
	struct functions *context = sqlite3_user_data(c);
	struct tds_date d;
	(void)n;
	sqlite3_result_int(c, sqlite3_value_type(v[0]) == SQLITE_TEXT && t.len > 0 &&
				      datetime_parse(t.at, t.len, SQL_DATETIME, context->date_format, 0, &d) == DATETIME_OK &&
				      datetime_fit(&d, SQL_VARCHAR, SQL_DATETIME, 3) == DATETIME_OK);
}

FUNCTION(newid) {
	unsigned char b[16];
	char text[40];
	(void)n;
	(void)v;
	if (gnutls_rnd(GNUTLS_RND_NONCE, b, sizeof b) != 0)
		memset(b, 7, sizeof b);
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(text, sizeof text, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1], b[2],
		b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	put(c, text, 36);
}

int functions_string_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_len", 1, len, false },
		{ "t_datalength", 3, datalength, false },
		{ "t_left", 2, left, false },
		{ "t_right", 2, right, false },
		{ "t_substring", 3, substring, false },
		{ "t_ltrim", 1, ltrim, false },
		{ "t_rtrim", 1, rtrim, false },
		{ "t_trim", 1, trim, false },
		{ "t_upper", 1, upper, false },
		{ "t_lower", 1, lower, false },
		{ "t_reverse", 1, reverse, false },
		{ "t_replace", 4, replace, false },
		{ "t_replicate", 2, replicate, false },
		{ "t_space", 1, space, false },
		{ "t_stuff", 4, stuff, false },
		{ "t_charindex", 4, charindex, false },
		{ "t_like", 5, like, false },
		{ "t_concat", -1, concat, false },
		{ "t_concat_ws", -1, concat_ws, false },
		{ "t_ascii", 1, unicode, false },
		{ "t_unicode", 1, unicode, false },
		{ "t_char", 1, character, false },
		{ "t_quotename", -1, quotename, false },
		{ "t_string_escape", 2, string_escape, false },
		{ "t_isnumeric", 1, isnumeric, false },
		{ "t_isdate", 1, isdate, false },
		{ "t_newid", 0, newid, true },
		{ NULL, 0, NULL, false },
	};
	return functions_add(db, context, entries);
}
