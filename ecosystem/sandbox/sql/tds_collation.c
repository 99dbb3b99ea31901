/* Collation bytes and code page 1252 by table: Windows gives the five unassigned bytes their C1 meaning, iconv refuses
 * them. Comparison and sorting belong to the engine. */
#include "ecosystem/sandbox/sql/tds_collation.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/utf8.h"

static const uint16_t cp1252_high[32] = {
	0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030,
	0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
	0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122,
	0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
};

enum {
	IGNORE_CASE = 1 << 20,
	IGNORE_ACCENT = 1 << 21,
	IGNORE_WIDTH = 1 << 22,
	IGNORE_KANA = 1 << 23,
	BINARY = 1 << 24,
	BINARY2 = 1 << 25,
	UTF8 = 1 << 26,
};

static bool has(const char *name, const char *part)
{
	return strcasestr(name, part) != NULL;
}

static uint32_t flags_of(const char *name)
{
	uint32_t flags = 0;

	if (has(name, "_BIN2"))
		return BINARY2;
	if (has(name, "_BIN"))
		return BINARY;
	if (has(name, "_CI"))
		flags |= IGNORE_CASE;
	if (has(name, "_AI"))
		flags |= IGNORE_ACCENT;
	if (!has(name, "_WS"))
		flags |= IGNORE_WIDTH;
	if (!has(name, "_KS"))
		flags |= IGNORE_KANA;
	return flags;
}

static uint32_t version_of(const char *name)
{
	if (has(name, "_140_"))
		return 3;
	if (has(name, "_100_"))
		return 2;
	return has(name, "_90_") ? 1 : 0;
}

void tds_collation_init(struct tds_collation *collation, const char *name)
{
	uint32_t word = 0x0409 | flags_of(name) | version_of(name) << 28;

	if (strncasecmp(name, "German_PhoneBook", 16) == 0)
		word = (word & 0xFFF00000) | 0x10407;
	collation->utf8 = has(name, "_UTF8");
	if (collation->utf8)
		word |= UTF8;
	for (int i = 0; i < 4; i++)
		collation->bytes[i] = (uint8_t)(word >> 8 * i);
	collation->bytes[4] = 0;
	if (strncasecmp(name, "SQL_Latin1_General_CP1_", 23) == 0)
		collation->bytes[4] = has(name, "_CI") ? (has(name, "_AI") ? 0x36 : 0x34) : 0x33;
}

static void decode_utf8(const char *text, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		size_t step = utf8_sequence(text + at, len - at);

		if (step == 0)
			buf_add(out, "\xEF\xBF\xBD", 3);
		else
			buf_add(out, text + at, step);
		at += step == 0 ? 1 : step;
	}
}

void tds_collation_decode(const struct tds_collation *collation, const uint8_t *data, size_t len, struct buf *out)
{
	char text[4];

	if (collation->utf8) {
		decode_utf8((const char *)data, len, out);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		uint32_t c = data[i] >= 0x80 && data[i] < 0xA0 ? cp1252_high[data[i] - 0x80] : data[i];

		buf_add(out, text, utf8_encode(c == 0 ? 0xFFFD : c, text));
	}
}

static char cp1252_of(uint32_t c)
{
	if (c < 0x80 || (c >= 0xA0 && c <= 0xFF))
		return (char)c;
	for (int i = 0; i < 32; i++)
		if (cp1252_high[i] == c)
			return (char)(0x80 + i);
	return '?';
}

size_t tds_collation_encode(const struct tds_collation *collation, const char *text, size_t len, size_t max,
                            struct buf *out)
{
	size_t written = 0, at = 0;

	if (collation->utf8) {
		written = utf8_cut(text, len, max);
		buf_add(out, text, written);
		return written;
	}
	while (at < len && written < max) {
		size_t step = utf8_sequence(text + at, len - at);
		uint32_t c = '?';

		if (step == 0)
			step = 1;
		else
			utf8_decode(text + at, len - at, &c);
		buf_add_char(out, cp1252_of(c));
		written++;
		/* a character beyond the base plane is two units and so two question marks */
		if (c >= 0x10000 && written < max) {
			buf_add_char(out, '?');
			written++;
		}
		at += step;
	}
	return written;
}
