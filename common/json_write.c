/* Writing JSON straight into a buffer: commas, escaping, numbers.
 * Reading and the tree are in json.c; nothing here allocates on its own. */
#include "common/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define DECIMALS_MAX 9

static void put_quoted(struct buf *out, const char *text)
{
	size_t len = strlen(text), from = 0, at = 0;

	buf_add_char(out, '"');
	while (at < len) {
		static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
		size_t step = utf8_sequence(text + at, len - at);
		const char *found = memchr(plain, text[at], sizeof(plain) - 1);
		if (step > 0 && !found && (unsigned char)text[at] >= 0x20) {
			at += step;
			continue;
		}
		buf_add(out, text + from, at - from);
		if (step == 0)
			buf_add_text(out, REPLACEMENT);
		else if (found)
			buf_addf(out, "\\%c", escaped[found - plain]);
		else
			buf_addf(out, "\\u%04x", (unsigned)(unsigned char)text[at]);
		from = ++at;
	}
	buf_add(out, text + from, at - from);
	buf_add_char(out, '"');
}

static void put_ascii_quoted(struct buf *out, const char *text)
{
	size_t len = strlen(text), at = 0;

	buf_add_char(out, '"');
	while (at < len) {
		size_t step = utf8_sequence(text + at, len - at);
		uint32_t c = 0xFFFD;
		if (step > 0)
			utf8_decode(text + at, step, &c);
		if (c >= 0x10000)
			buf_addf(out, "\\u%04x\\u%04x", 0xD800u + ((c - 0x10000) >> 10), 0xDC00u + ((c - 0x10000) & 0x3FF));
		else if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\')
			buf_addf(out, "\\u%04x", c);
		else
			buf_add_char(out, (char)c);
		at += step ? step : 1;
	}
	buf_add_char(out, '"');
}

/* The comma and the name in front of a value. */
static void put_name(struct buf *out, const char *name)
{
	size_t at = out->len;

	while (at > 0 && memchr(" \t\r\n", out->data[at - 1], 4))
		at--;
	if (at > 0 && !memchr("{[:", out->data[at - 1], 3))
		buf_add_char(out, ',');
	if (name) {
		put_quoted(out, name);
		buf_add_char(out, ':');
	}
}

void json_object_open(struct buf *out, const char *name)
{
	put_name(out, name);
	buf_add_char(out, '{');
}

void json_object_close(struct buf *out)
{
	buf_add_char(out, '}');
}

void json_array_open(struct buf *out, const char *name)
{
	put_name(out, name);
	buf_add_char(out, '[');
}

void json_array_close(struct buf *out)
{
	buf_add_char(out, ']');
}

void json_add_string(struct buf *out, const char *name, const char *value)
{
	put_name(out, name);
	if (value)
		put_quoted(out, value);
	else
		buf_add_text(out, "null");
}

void json_add_int64(struct buf *out, const char *name, int64_t value)
{
	put_name(out, name);
	buf_addf(out, "%" PRId64, value);
}

void json_add_bool(struct buf *out, const char *name, bool value)
{
	json_add_raw(out, name, value ? "true" : "false");
}

void json_add_null(struct buf *out, const char *name)
{
	json_add_raw(out, name, "null");
}

void json_add_time(struct buf *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_MAX];

	json_add_string(out, name, ms != 0 ? clock_format(ms, text) : NULL);
}

void json_add_fixed(struct buf *out, const char *name, double value, int decimals)
{
	char text[400]; /* DBL_MAX has 309 digits before the point */
	int places = decimals < 0 ? 0 : decimals > DECIMALS_MAX ? DECIMALS_MAX : decimals;
	size_t len;

	if (!isfinite(value)) { /* JSON has no word for it */
		json_add_null(out, name);
		return;
	}
	snprintf(text, sizeof(text), "%.*f", places, value);
	len = strlen(text);
	while (strchr(text, '.') && (text[len - 1] == '0' || text[len - 1] == '.'))
		text[--len] = '\0';
	json_add_raw(out, name, strcmp(text, "-0") == 0 ? "0" : text);
}

void json_add_raw(struct buf *out, const char *name, const char *json_text)
{
	put_name(out, name);
	buf_add_text(out, json_text);
}

void json_add_ascii_string(struct buf *out, const char *name, const char *value)
{
	put_name(out, name);
	if (value)
		put_ascii_quoted(out, value);
	else
		buf_add_text(out, "null");
}
