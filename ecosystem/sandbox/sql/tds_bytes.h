/* tds_bytes: little-endian numbers and UTF-16 text in TDS messages. The reader never passes its end: after a short read
 * `failed` is set and everything else reads as zero, so that a decoder checks once at the end. */
#ifndef SANDBOX_SQL_TDS_BYTES_H
#define SANDBOX_SQL_TDS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

struct tds_reader {
	const uint8_t *data;
	size_t len, at;
	bool failed;
};

void tds_reader_init(struct tds_reader *r, const void *data, size_t len);
size_t tds_reader_left(const struct tds_reader *r);
uint8_t tds_get8(struct tds_reader *r);
uint16_t tds_get16(struct tds_reader *r);
uint32_t tds_get32(struct tds_reader *r);
uint64_t tds_get64(struct tds_reader *r);
/* len (0..8) bytes as one unsigned number. */
uint64_t tds_get_uint(struct tds_reader *r, size_t len);
/* Borrowed bytes; NULL (and failed) when fewer are left. */
const uint8_t *tds_get_bytes(struct tds_reader *r, size_t len);
/* `units` UTF-16 code units appended to out as UTF-8; lone surrogates and NUL become U+FFFD. */
void tds_get_utf16(struct tds_reader *r, size_t units, struct buf *out);
/* B_VARCHAR (one length byte) into out[size], cut to fit. */
void tds_get_name(struct tds_reader *r, char *out, size_t size);

void tds_put8(struct buf *out, uint8_t value);
void tds_put16(struct buf *out, uint16_t value);
void tds_put32(struct buf *out, uint32_t value);
void tds_put64(struct buf *out, uint64_t value);
/* The lowest len (0..8) bytes of value. */
void tds_put_uint(struct buf *out, uint64_t value, size_t len);
/* Overwrites two bytes at `at` with the number of bytes behind them (token lengths). */
void tds_patch_len16(struct buf *out, size_t at);
/* UTF-8 as UTF-16LE; returns the code units written, at most max_units, never half a character. */
size_t tds_put_utf16(struct buf *out, const char *text, size_t len, size_t max_units);
/* B_VARCHAR and US_VARCHAR: length in code units in front, text cut to 255 and 4000. */
void tds_put_name(struct buf *out, const char *text);
void tds_put_text(struct buf *out, const char *text);

#endif
