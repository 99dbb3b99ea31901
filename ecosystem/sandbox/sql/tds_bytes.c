/* Reading and writing of numbers and UTF-16 text, bounds checked in one place. Knows no token and no packet. */
#include "ecosystem/sandbox/sql/tds_bytes.h"

#include <string.h>
#include "common/utf8.h"

void tds_reader_init(struct tds_reader *r, const void *data, size_t len)
{
	*r = (struct tds_reader){ .data = data, .len = len };
}

size_t tds_reader_left(const struct tds_reader *r)
{
	return r->failed ? 0 : r->len - r->at;
}

const uint8_t *tds_get_bytes(struct tds_reader *r, size_t len)
{
	const uint8_t *at;

	if (r->failed || r->len - r->at < len) {
		r->failed = true;
		return NULL;
	}
	at = r->data + r->at;
	r->at += len;
	return at;
}

uint64_t tds_get_uint(struct tds_reader *r, size_t len)
{
	const uint8_t *bytes = tds_get_bytes(r, len);
	uint64_t value = 0;

	for (size_t i = len; bytes && i > 0; i--)
		value = value << 8 | bytes[i - 1];
	return value;
}

uint8_t tds_get8(struct tds_reader *r)
{
	return (uint8_t)tds_get_uint(r, 1);
}

uint16_t tds_get16(struct tds_reader *r)
{
	return (uint16_t)tds_get_uint(r, 2);
}

uint32_t tds_get32(struct tds_reader *r)
{
	return (uint32_t)tds_get_uint(r, 4);
}

uint64_t tds_get64(struct tds_reader *r)
{
	return tds_get_uint(r, 8);
}

static bool high_surrogate(uint32_t unit)
{
	return unit >= 0xD800 && unit < 0xDC00;
}

static bool low_surrogate(uint32_t unit)
{
	return unit >= 0xDC00 && unit < 0xE000;
}

void tds_get_utf16(struct tds_reader *r, size_t units, struct buf *out)
{
	const uint8_t *bytes = units <= r->len / 2 ? tds_get_bytes(r, units * 2) : NULL;
	char text[4];

	if (!bytes) {
		r->failed = true;
		return;
	}
	for (size_t i = 0; i < units; i++) {
		uint32_t c = bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;

		if (high_surrogate(c) && i + 1 < units) {
			uint32_t next = bytes[2 * i + 2] | (uint32_t)bytes[2 * i + 3] << 8;

			if (low_surrogate(next)) {
				c = 0x10000 + ((c - 0xD800) << 10) + (next - 0xDC00);
				i++;
			}
		}
		if (c == 0 || (c >= 0xD800 && c < 0xE000))
			c = 0xFFFD;
		buf_add(out, text, utf8_encode(c, text));
	}
}

void tds_get_name(struct tds_reader *r, char *out, size_t size)
{
	size_t units = tds_get8(r), len;
	struct buf text;

	buf_init(&text, 1024);
	tds_get_utf16(r, units, &text);
	len = utf8_cut(buf_text(&text), text.len, size - 1);
	memcpy(out, buf_text(&text), len);
	out[len] = '\0';
	buf_release(&text);
}

void tds_put_uint(struct buf *out, uint64_t value, size_t len)
{
	char bytes[8];

	for (size_t i = 0; i < len; i++, value >>= 8)
		bytes[i] = (char)(value & 0xFF);
	buf_add(out, bytes, len);
}

void tds_put8(struct buf *out, uint8_t value)
{
	tds_put_uint(out, value, 1);
}

void tds_put16(struct buf *out, uint16_t value)
{
	tds_put_uint(out, value, 2);
}

void tds_put32(struct buf *out, uint32_t value)
{
	tds_put_uint(out, value, 4);
}

void tds_put64(struct buf *out, uint64_t value)
{
	tds_put_uint(out, value, 8);
}

void tds_patch_len16(struct buf *out, size_t at)
{
	size_t len;

	if (out->failed)
		return;
	len = out->len - at - 2;
	out->data[at] = (char)(len & 0xFF);
	out->data[at + 1] = (char)(len >> 8 & 0xFF);
}

size_t tds_put_utf16(struct buf *out, const char *text, size_t len, size_t max_units)
{
	size_t units = 0, at = 0;

	while (at < len) {
		uint32_t c;
		size_t step = utf8_sequence(text + at, len - at), need;

		if (step == 0) { /* not UTF-8: shown as the replacement character instead of losing the rest */
			c = 0xFFFD;
			step = 1;
		} else {
			utf8_decode(text + at, len - at, &c);
		}
		need = c >= 0x10000 ? 2 : 1;
		if (units + need > max_units)
			break;
		if (need == 2) {
			tds_put16(out, (uint16_t)(0xD800 + ((c - 0x10000) >> 10)));
			tds_put16(out, (uint16_t)(0xDC00 + ((c - 0x10000) & 0x3FF)));
		} else {
			tds_put16(out, (uint16_t)c);
		}
		units += need;
		at += step;
	}
	return units;
}

void tds_put_name(struct buf *out, const char *text)
{
	size_t at = out->len, units;

	tds_put8(out, 0);
	units = tds_put_utf16(out, text, strlen(text), 255);
	if (!out->failed)
		out->data[at] = (char)units;
}

void tds_put_text(struct buf *out, const char *text)
{
	size_t at = out->len, units;

	tds_put16(out, 0);
	units = tds_put_utf16(out, text, strlen(text), 4000);
	if (!out->failed) {
		out->data[at] = (char)(units & 0xFF);
		out->data[at + 1] = (char)(units >> 8);
	}
}
