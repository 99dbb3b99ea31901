/* Result columns and values as TYPE_INFO and data. Parameters, the other direction, are in tds_param.c; dates in text
 * form in tds_date.c. */
#include "ecosystem/sandbox/sql/tds_types.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/tds_date.h"
#include "ecosystem/sandbox/sql/tds_wire_types.h"

#define PLP_NULL UINT64_MAX
#define PLP_CHUNK 8000

static int width_or_max(const struct sql_column *column, int limit)
{
	if (column->length == SQL_MAX_LENGTH || column->length > limit)
		return SQL_MAX_LENGTH;
	return column->length > 0 ? column->length : 1;
}

static bool is_max(const struct sql_column *column)
{
	switch (column->type) {
	case SQL_VARCHAR:
	case SQL_VARBINARY:
		return width_or_max(column, 8000) == SQL_MAX_LENGTH;
	case SQL_NVARCHAR:
		return width_or_max(column, 4000) == SQL_MAX_LENGTH;
	case SQL_BIT:
	case SQL_TINYINT:
	case SQL_SMALLINT:
	case SQL_INT:
	case SQL_BIGINT:
	case SQL_DECIMAL:
	case SQL_FLOAT:
	case SQL_REAL:
	case SQL_MONEY:
	case SQL_CHAR:
	case SQL_NCHAR:
	case SQL_BINARY:
	case SQL_DATE:
	case SQL_TIME:
	case SQL_DATETIME:
	case SQL_SMALLDATETIME:
	case SQL_DATETIME2:
	case SQL_DATETIMEOFFSET:
	case SQL_UNIQUEIDENTIFIER:
	case SQL_ROWVERSION:
		return false;
	}
	return false;
}

/* Bytes of a fixed or short variable column. */
static int byte_width(const struct sql_column *column)
{
	int chars = column->type == SQL_NCHAR || column->type == SQL_NVARCHAR;
	int width = width_or_max(column, chars ? 4000 : 8000);

	if (width == SQL_MAX_LENGTH)
		width = chars ? 4000 : 8000; /* CHAR and BINARY have no (max) */
	return chars ? 2 * width : width;
}

static int decimal_width(int precision)
{
	if (precision <= 9)
		return 5;
	if (precision <= 19)
		return 9;
	return precision <= 28 ? 13 : 17;
}

static void put_wide(struct buf *out, uint8_t token, const struct sql_column *column,
                     const struct tds_collation *collation)
{
	tds_put8(out, token);
	tds_put16(out, is_max(column) ? 0xFFFF : (uint16_t)byte_width(column));
	if (collation)
		buf_add(out, collation->bytes, TDS_COLLATION_LEN);
}

static void put_sized(struct buf *out, uint8_t token, int size)
{
	tds_put8(out, token);
	tds_put8(out, (uint8_t)size);
}

void tds_put_type(struct buf *out, const struct sql_column *column, const struct tds_collation *collation)
{
	switch (column->type) {
	case SQL_BIT:
		put_sized(out, WIRE_BITN, 1);
		return;
	case SQL_TINYINT:
		put_sized(out, WIRE_INTN, 1);
		return;
	case SQL_SMALLINT:
		put_sized(out, WIRE_INTN, 2);
		return;
	case SQL_INT:
		put_sized(out, WIRE_INTN, 4);
		return;
	case SQL_BIGINT:
		put_sized(out, WIRE_INTN, 8);
		return;
	case SQL_DECIMAL:
		put_sized(out, WIRE_DECIMALN, decimal_width(column->precision));
		tds_put8(out, column->precision);
		tds_put8(out, column->scale);
		return;
	case SQL_FLOAT:
		put_sized(out, WIRE_FLTN, 8);
		return;
	case SQL_REAL:
		put_sized(out, WIRE_FLTN, 4);
		return;
	case SQL_MONEY:
		put_sized(out, WIRE_MONEYN, 8);
		return;
	case SQL_CHAR:
		put_wide(out, WIRE_BIGCHAR, column, collation);
		return;
	case SQL_VARCHAR:
		put_wide(out, WIRE_BIGVARCHAR, column, collation);
		return;
	case SQL_NCHAR:
		put_wide(out, WIRE_NCHAR, column, collation);
		return;
	case SQL_NVARCHAR:
		put_wide(out, WIRE_NVARCHAR, column, collation);
		return;
	case SQL_BINARY:
		put_wide(out, WIRE_BIGBINARY, column, NULL);
		return;
	case SQL_VARBINARY:
		put_wide(out, WIRE_BIGVARBIN, column, NULL);
		return;
	case SQL_ROWVERSION:
		tds_put8(out, WIRE_BIGBINARY);
		tds_put16(out, 8);
		return;
	case SQL_DATE:
		tds_put8(out, WIRE_DATEN);
		return;
	case SQL_TIME:
		put_sized(out, WIRE_TIMEN, column->scale);
		return;
	case SQL_DATETIME:
		put_sized(out, WIRE_DATETIMN, 8);
		return;
	case SQL_SMALLDATETIME:
		put_sized(out, WIRE_DATETIMN, 4);
		return;
	case SQL_DATETIME2:
		put_sized(out, WIRE_DATETIME2N, column->scale);
		return;
	case SQL_DATETIMEOFFSET:
		put_sized(out, WIRE_DATETIMEOFFSETN, column->scale);
		return;
	case SQL_UNIQUEIDENTIFIER:
		put_sized(out, WIRE_GUID, 16);
		return;
	}
}

static void put_null(struct buf *out, const struct sql_column *column)
{
	if (is_max(column))
		tds_put64(out, PLP_NULL);
	else if (column->type == SQL_CHAR || column->type == SQL_VARCHAR || column->type == SQL_NCHAR ||
	         column->type == SQL_NVARCHAR || column->type == SQL_BINARY || column->type == SQL_VARBINARY ||
	         column->type == SQL_ROWVERSION)
		tds_put16(out, 0xFFFF);
	else
		tds_put8(out, 0);
}

static void put_plp(struct buf *out, const char *data, size_t len)
{
	tds_put64(out, len);
	for (size_t at = 0; at < len;) {
		size_t chunk = len - at < PLP_CHUNK ? len - at : PLP_CHUNK;

		tds_put32(out, (uint32_t)chunk);
		buf_add(out, data + at, chunk);
		at += chunk;
	}
	tds_put32(out, 0);
}

/* Text of any char kind, converted, padded for the fixed ones. */
static int put_chars(struct buf *out, const struct sql_column *column, const struct sql_value *value,
                     const struct tds_collation *collation)
{
	bool wide = column->type == SQL_NCHAR || column->type == SQL_NVARCHAR;
	bool fixed = column->type == SQL_CHAR || column->type == SQL_NCHAR;
	size_t width = is_max(column) ? TDS_VALUE_MAX : (size_t)byte_width(column);
	struct buf text;
	int rc;

	buf_init(&text, TDS_VALUE_MAX);
	if (wide)
		tds_put_utf16(&text, value->data, value->len, width / 2);
	else
		tds_collation_encode(collation, value->data, value->len, width, &text);
	while (fixed && text.len < width && !text.failed) {
		if (wide)
			tds_put16(&text, ' ');
		else
			tds_put8(&text, ' ');
	}
	if (is_max(column)) {
		put_plp(out, buf_text(&text), text.len);
	} else {
		tds_put16(out, (uint16_t)text.len);
		buf_add(out, buf_text(&text), text.len);
	}
	rc = text.failed ? -1 : 0;
	buf_release(&text);
	return rc;
}

static int put_bytes(struct buf *out, const struct sql_column *column, const struct sql_value *value)
{
	size_t width = column->type == SQL_ROWVERSION ? 8 : (size_t)byte_width(column), len;

	if (is_max(column)) {
		put_plp(out, value->data, value->len);
		return 0;
	}
	len = value->len < width ? value->len : width;
	tds_put16(out, (uint16_t)(column->type == SQL_VARBINARY ? len : width));
	buf_add(out, value->data, len);
	for (; column->type != SQL_VARBINARY && len < width; len++)
		tds_put8(out, 0);
	return 0;
}

static int put_integer(struct buf *out, const char *text, size_t width)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return -1;
	tds_put8(out, (uint8_t)width);
	tds_put_uint(out, (uint64_t)number, width);
	return 0;
}

static int put_float(struct buf *out, const char *text, size_t width)
{
	char *end;
	double number = strtod(text, &end);
	float small;
	uint64_t bits = 0;
	uint32_t small_bits;

	if (end == text || *end != '\0' || !isfinite(number))
		return -1;
	tds_put8(out, (uint8_t)width);
	if (width == 8) {
		memcpy(&bits, &number, 8);
	} else {
		small = (float)number;
		memcpy(&small_bits, &small, 4);
		bits = small_bits;
	}
	tds_put_uint(out, bits, width);
	return 0;
}

/* Decimal text as an integer of 10^-scale units; more digits than the scale holds are cut. */
static int scaled(const char *text, int scale, bool *negative, unsigned __int128 *out)
{
	int fraction = -1;
	bool any = false;

	*negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	for (*out = 0; *text != '\0'; text++) {
		if (*text == '.' && fraction < 0) {
			fraction = 0;
			continue;
		}
		if (*text < '0' || *text > '9')
			return -1;
		any = true;
		if (fraction >= scale)
			continue;
		if (*out > ((unsigned __int128)-1 - 9) / 10)
			return -1;
		*out = *out * 10 + (unsigned)(*text - '0');
		fraction += fraction >= 0;
	}
	for (fraction = fraction < 0 ? 0 : fraction; fraction < scale; fraction++) {
		if (*out > (unsigned __int128)-1 / 10)
			return -1;
		*out *= 10;
	}
	return any ? 0 : -1;
}

static int put_decimal(struct buf *out, const struct sql_column *column, const char *text)
{
	int width = decimal_width(column->precision);
	unsigned __int128 units;
	bool negative;

	if (scaled(text, column->scale, &negative, &units) != 0)
		return -1;
	tds_put8(out, (uint8_t)width);
	tds_put8(out, negative ? 0 : 1);
	for (int i = 1; i < width; i++, units >>= 8)
		tds_put8(out, (uint8_t)units);
	return units == 0 ? 0 : -1;
}

static int put_money(struct buf *out, const char *text)
{
	unsigned __int128 units;
	bool negative;
	uint64_t number;

	if (scaled(text, 4, &negative, &units) != 0 || units > (uint64_t)INT64_MAX + negative)
		return -1;
	number = negative ? (uint64_t)0 - (uint64_t)units : (uint64_t)units;
	tds_put8(out, 8);
	tds_put32(out, (uint32_t)(number >> 32));
	tds_put32(out, (uint32_t)number);
	return 0;
}

static size_t time_width(int scale)
{
	if (scale <= 2)
		return 3;
	return scale <= 4 ? 4 : 5;
}

static void put_datetime(struct buf *out, const struct tds_date *date, bool small)
{
	int32_t days = date->days - TDS_DATE_1900;

	tds_put8(out, small ? 4 : 8);
	if (small) {
		tds_put16(out, (uint16_t)days);
		tds_put16(out, (uint16_t)(date->ticks / 600000000));
		return;
	}
	tds_put32(out, (uint32_t)days);
	tds_put32(out, (uint32_t)((date->ticks * 3 + 50000) / 100000));
}

static void put_date2(struct buf *out, const struct sql_column *column, struct tds_date date)
{
	bool time = column->type != SQL_DATE, day = column->type != SQL_TIME;
	bool offset = column->type == SQL_DATETIMEOFFSET;
	int scale = column->scale > 7 ? 7 : column->scale;
	int64_t utc = date.ticks - (offset ? (int64_t)date.offset * 600000000 : 0);

	if (utc < 0 || utc >= TDS_TICKS_A_DAY) {
		date.days += utc < 0 ? -1 : 1;
		utc += utc < 0 ? TDS_TICKS_A_DAY : -TDS_TICKS_A_DAY;
	}
	tds_put8(out, (uint8_t)((time ? time_width(scale) : 0) + (day ? 3 : 0) + (offset ? 2 : 0)));
	if (time)
		tds_put_uint(out, (uint64_t)(utc / tds_pow10(7 - scale)), time_width(scale));
	if (day)
		tds_put_uint(out, (uint64_t)date.days, 3);
	if (offset)
		tds_put16(out, (uint16_t)date.offset);
}

static int put_date(struct buf *out, const struct sql_column *column, const struct sql_value *value)
{
	struct tds_date date;
	int last = TDS_DATE_1900 + 65535;

	if (tds_date_parse(&date, value->data, value->len) != 0)
		return -1;
	if (column->type == SQL_DATETIME || column->type == SQL_SMALLDATETIME) {
		if (column->type == SQL_SMALLDATETIME && (date.days < TDS_DATE_1900 || date.days > last))
			return -1;
		put_datetime(out, &date, column->type == SQL_SMALLDATETIME);
		return 0;
	}
	put_date2(out, column, date);
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int put_guid(struct buf *out, const struct sql_value *value)
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t bytes[16];
	size_t n = 0;

	if (value->len != 36)
		return -1;
	for (size_t i = 0; i < 36; i += 2) {
		int high, low;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (value->data[i++] != '-')
				return -1;
		}
		high = hex(value->data[i]);
		low = hex(value->data[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		bytes[n++] = (uint8_t)(high << 4 | low);
	}
	tds_put8(out, 16);
	for (int i = 0; i < 16; i++)
		tds_put8(out, bytes[order[i]]);
	return 0;
}

/* The number parsers want an end: engine values have a length only. */
static int put_number(struct buf *out, const struct sql_column *column, const struct sql_value *value)
{
	char text[64];

	if (value->len == 0 || value->len >= sizeof(text))
		return -1;
	memcpy(text, value->data, value->len);
	text[value->len] = '\0';
	if (column->type == SQL_DECIMAL)
		return put_decimal(out, column, text);
	if (column->type == SQL_MONEY)
		return put_money(out, text);
	if (column->type == SQL_FLOAT || column->type == SQL_REAL)
		return put_float(out, text, column->type == SQL_FLOAT ? 8 : 4);
	if (column->type == SQL_BIT || column->type == SQL_TINYINT)
		return put_integer(out, text, 1);
	if (column->type == SQL_SMALLINT)
		return put_integer(out, text, 2);
	return put_integer(out, text, column->type == SQL_INT ? 4 : 8);
}

int tds_put_value(struct buf *out, const struct sql_column *column, const struct sql_value *value,
                  const struct tds_collation *collation)
{
	if (value->null) {
		put_null(out, column);
		return 0;
	}
	switch (column->type) {
	case SQL_BIT:
	case SQL_TINYINT:
	case SQL_SMALLINT:
	case SQL_INT:
	case SQL_BIGINT:
	case SQL_DECIMAL:
	case SQL_FLOAT:
	case SQL_REAL:
	case SQL_MONEY:
		return put_number(out, column, value);
	case SQL_CHAR:
	case SQL_VARCHAR:
	case SQL_NCHAR:
	case SQL_NVARCHAR:
		return put_chars(out, column, value, collation);
	case SQL_BINARY:
	case SQL_VARBINARY:
	case SQL_ROWVERSION:
		return put_bytes(out, column, value);
	case SQL_DATE:
	case SQL_TIME:
	case SQL_DATETIME:
	case SQL_SMALLDATETIME:
	case SQL_DATETIME2:
	case SQL_DATETIMEOFFSET:
		return put_date(out, column, value);
	case SQL_UNIQUEIDENTIFIER:
		return put_guid(out, value);
	}
	return -1;
}
