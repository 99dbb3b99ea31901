/* Parameters of an RPC: TYPE_INFO and data as they come from the client, made into engine.h's columns and canonical
 * texts. Everything here is untrusted input. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ecosystem/sandbox/sql/tds_date.h"
#include "ecosystem/sandbox/sql/tds_types.h"
#include "ecosystem/sandbox/sql/tds_wire_types.h"

#define PLP_UNKNOWN (UINT64_MAX - 1)

/* What TYPE_INFO said. */
struct wire_info {
	uint8_t type;
	uint32_t width; /* declared maximum in bytes */
	bool max;       /* PLP follows */
	struct tds_collation collation;
};

static int refuse(struct err *err, const char *what, unsigned got)
{
	return err_set_number(err, ERR_PERM, "TDS_PARAM", 8009,
	                      "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is "
	                      "incorrect. %s (0x%02X).",
	                      what, got);
}

static void get_collation(struct tds_reader *r, struct wire_info *info)
{
	const uint8_t *bytes = tds_get_bytes(r, TDS_COLLATION_LEN);

	if (!bytes)
		return;
	memcpy(info->collation.bytes, bytes, TDS_COLLATION_LEN);
	info->collation.utf8 = (bytes[3] & 0x04) != 0;
}

/* Types whose TYPE_INFO is the type byte alone: they become their nullable twin with the width known. */
static bool fixed_type(struct wire_info *info)
{
	static const struct {
		uint8_t fixed, twin, width;
	} table[] = {
		{ WIRE_INT1, WIRE_INTN, 1 },   { WIRE_INT2, WIRE_INTN, 2 },       { WIRE_INT4, WIRE_INTN, 4 },
		{ WIRE_INT8, WIRE_INTN, 8 },   { WIRE_BIT, WIRE_BITN, 1 },        { WIRE_FLT4, WIRE_FLTN, 4 },
		{ WIRE_FLT8, WIRE_FLTN, 8 },   { WIRE_MONEY4, WIRE_MONEYN, 4 },   { WIRE_MONEY, WIRE_MONEYN, 8 },
		{ WIRE_DATETIM4, WIRE_DATETIMN, 4 }, { WIRE_DATETIME, WIRE_DATETIMN, 8 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].fixed == info->type) {
			info->type = table[i].twin;
			info->width = table[i].width;
			return true;
		}
	}
	return false;
}

static enum sql_type integer_type(uint32_t width)
{
	if (width == 1)
		return SQL_TINYINT;
	if (width == 2)
		return SQL_SMALLINT;
	return width == 4 ? SQL_INT : SQL_BIGINT;
}

static bool one_of(uint32_t value, const char *allowed)
{
	return value > 0 && value < 128 && strchr(allowed, (int)value) != NULL;
}

static int small_column(struct wire_info *info, struct sql_column *column, struct err *err)
{
	bool good = true;

	switch (info->type) {
	case WIRE_BITN:
		good = info->width == 1;
		column->type = SQL_BIT;
		break;
	case WIRE_INTN:
		good = one_of(info->width, "\1\2\4\10");
		column->type = integer_type(info->width);
		break;
	case WIRE_FLTN:
		good = one_of(info->width, "\4\10");
		column->type = info->width == 4 ? SQL_REAL : SQL_FLOAT;
		break;
	case WIRE_MONEYN:
		good = one_of(info->width, "\4\10");
		column->type = SQL_MONEY;
		break;
	case WIRE_DATETIMN:
		good = one_of(info->width, "\4\10");
		column->type = info->width == 4 ? SQL_SMALLDATETIME : SQL_DATETIME;
		break;
	case WIRE_GUID:
		good = info->width == 16;
		column->type = SQL_UNIQUEIDENTIFIER;
		break;
	default:
		good = false;
	}
	return good ? 0 : refuse(err, "Invalid length of a parameter's type", info->width);
}

static int scaled_column(struct tds_reader *r, struct wire_info *info, struct sql_column *column, struct err *err)
{
	if (info->type == WIRE_DECIMALN || info->type == WIRE_NUMERICN) {
		info->width = tds_get8(r);
		column->precision = tds_get8(r);
		column->scale = tds_get8(r);
		column->type = SQL_DECIMAL;
		/* FreeTDS announces the bytes the precision needs, not one of the four widths */
		if (info->width < 2 || info->width > 17 || column->precision < 1 || column->precision > 38 ||
		    column->scale > column->precision)
			return refuse(err, "Invalid precision or scale of a parameter", column->precision);
		return 0;
	}
	if (info->type != WIRE_DATEN)
		column->scale = tds_get8(r);
	column->type = info->type == WIRE_DATEN        ? SQL_DATE
	               : info->type == WIRE_TIMEN      ? SQL_TIME
	               : info->type == WIRE_DATETIME2N ? SQL_DATETIME2
	                                               : SQL_DATETIMEOFFSET;
	return column->scale <= 7 ? 0 : refuse(err, "Invalid scale of a parameter", column->scale);
}

static int wide_column(struct tds_reader *r, struct wire_info *info, struct sql_column *column, struct err *err)
{
	bool wide = info->type == WIRE_NVARCHAR || info->type == WIRE_NCHAR;
	bool binary = info->type == WIRE_BIGVARBIN || info->type == WIRE_BIGBINARY;

	info->width = tds_get16(r);
	info->max = info->width == 0xFFFF;
	if (!binary)
		get_collation(r, info);
	if (!info->max && (info->width > 8000 || (wide && info->width % 2 != 0)))
		return refuse(err, "Invalid length of a parameter's type", info->width);
	if (info->max && (info->type == WIRE_BIGCHAR || info->type == WIRE_NCHAR || info->type == WIRE_BIGBINARY))
		return refuse(err, "A fixed type has no (max)", info->type);
	column->type = info->type == WIRE_NVARCHAR      ? SQL_NVARCHAR
	               : info->type == WIRE_NCHAR       ? SQL_NCHAR
	               : info->type == WIRE_BIGVARCHAR  ? SQL_VARCHAR
	               : info->type == WIRE_BIGCHAR     ? SQL_CHAR
	               : info->type == WIRE_BIGVARBIN   ? SQL_VARBINARY
	                                                : SQL_BINARY;
	column->length = info->max ? SQL_MAX_LENGTH : (int)(wide ? info->width / 2 : info->width);
	if (column->length == 0)
		column->length = 1;
	return 0;
}

/* text, ntext, image: the parameter form has a 4-byte length and no text pointer. */
static int long_column(struct tds_reader *r, struct wire_info *info, struct sql_column *column)
{
	info->width = tds_get32(r);
	if (info->type != WIRE_IMAGE)
		get_collation(r, info);
	column->type = info->type == WIRE_IMAGE ? SQL_VARBINARY : info->type == WIRE_TEXT ? SQL_VARCHAR : SQL_NVARCHAR;
	column->length = SQL_MAX_LENGTH;
	return 0;
}

static int get_type(struct tds_reader *r, struct wire_info *info, struct sql_column *column, struct err *err)
{
	info->type = tds_get8(r);
	if (fixed_type(info))
		return small_column(info, column, err);
	switch (info->type) {
	case WIRE_NULL:
		column->type = SQL_INT;
		return 0;
	case WIRE_BITN:
	case WIRE_INTN:
	case WIRE_FLTN:
	case WIRE_MONEYN:
	case WIRE_DATETIMN:
	case WIRE_GUID:
		info->width = tds_get8(r);
		return small_column(info, column, err);
	case WIRE_DECIMALN:
	case WIRE_NUMERICN:
	case WIRE_DATEN:
	case WIRE_TIMEN:
	case WIRE_DATETIME2N:
	case WIRE_DATETIMEOFFSETN:
		return scaled_column(r, info, column, err);
	case WIRE_BIGVARCHAR:
	case WIRE_BIGCHAR:
	case WIRE_NVARCHAR:
	case WIRE_NCHAR:
	case WIRE_BIGVARBIN:
	case WIRE_BIGBINARY:
		return wide_column(r, info, column, err);
	case WIRE_TEXT:
	case WIRE_NTEXT:
	case WIRE_IMAGE:
		return long_column(r, info, column);
	default:
		return refuse(err, "Unknown or unsupported data type of a parameter", info->type);
	}
}

/* --- values --- */

/* Gathers the chunks; null is told by *null. */
static int get_plp(struct tds_reader *r, struct buf *bytes, bool *null, struct err *err)
{
	uint64_t total = tds_get64(r);
	uint32_t chunk;

	*null = total == UINT64_MAX;
	if (*null)
		return 0;
	while (!r->failed && (chunk = tds_get32(r)) != 0) {
		const uint8_t *data = tds_get_bytes(r, chunk);

		if (data)
			buf_add(bytes, data, chunk);
	}
	if (bytes->failed || (total != PLP_UNKNOWN && total != bytes->len))
		return refuse(err, "Invalid length of a chunked parameter", (unsigned)bytes->len);
	return 0;
}

static int as_text(const struct wire_info *info, const struct sql_column *column, const uint8_t *data, size_t len,
                   struct buf *out, struct err *err)
{
	struct tds_reader r;

	if (column->type == SQL_VARBINARY || column->type == SQL_BINARY) {
		buf_add(out, data, len);
		return 0;
	}
	if (column->type == SQL_VARCHAR || column->type == SQL_CHAR) {
		tds_collation_decode(&info->collation, data, len, out);
		return 0;
	}
	if (len % 2 != 0)
		return refuse(err, "Odd length of a Unicode parameter", (unsigned)len);
	tds_reader_init(&r, data, len);
	tds_get_utf16(&r, len / 2, out);
	return 0;
}

static int get_chars(struct tds_reader *r, const struct wire_info *info, const struct sql_column *column,
                     struct buf *out, bool *null, struct err *err)
{
	bool long_form = info->type == WIRE_TEXT || info->type == WIRE_NTEXT || info->type == WIRE_IMAGE;
	struct buf chunks;
	const uint8_t *data;
	size_t len;
	int rc;

	if (info->max) {
		buf_init(&chunks, TDS_VALUE_MAX);
		rc = get_plp(r, &chunks, null, err);
		if (rc == 0 && !*null)
			rc = as_text(info, column, (const uint8_t *)buf_text(&chunks), chunks.len, out, err);
		buf_release(&chunks);
		return rc;
	}
	len = long_form ? tds_get32(r) : tds_get16(r);
	*null = len == (long_form ? 0xFFFFFFFF : 0xFFFF);
	if (*null)
		return 0;
	if (!long_form && len > info->width)
		return refuse(err, "A parameter is longer than its type", (unsigned)len);
	data = tds_get_bytes(r, len);
	return data ? as_text(info, column, data, len, out, err) : 0;
}

/* units of 10^-scale as decimal text */
static void add_scaled(struct buf *out, bool negative, unsigned __int128 units, int scale)
{
	char digits[48];
	int at = sizeof(digits), n = 0;

	digits[--at] = '\0';
	do {
		if (n == scale && scale > 0)
			digits[--at] = '.';
		digits[--at] = (char)('0' + (int)(units % 10));
		units /= 10;
		n++;
	} while (units != 0 || n <= scale);
	if (negative)
		buf_add_char(out, '-');
	buf_add_text(out, digits + at);
}

static int get_decimal(struct tds_reader *r, const struct sql_column *column, size_t len, struct buf *out,
                       struct err *err)
{
	unsigned __int128 units = 0, limit = 1;
	uint8_t sign = tds_get8(r);
	const uint8_t *bytes = tds_get_bytes(r, len - 1);

	for (size_t i = len - 1; bytes && i > 0; i--)
		units = units << 8 | bytes[i - 1];
	for (int i = 0; i < column->precision; i++)
		limit *= 10;
	if (units >= limit)
		return refuse(err, "A decimal parameter has more digits than its precision", column->precision);
	add_scaled(out, sign == 0 && units != 0, units, column->scale);
	return 0;
}

static void add_money(struct tds_reader *r, size_t len, struct buf *out)
{
	int64_t units;

	if (len == 4) {
		units = (int32_t)tds_get32(r);
	} else {
		uint64_t high = tds_get32(r);

		units = (int64_t)(high << 32 | tds_get32(r));
	}
	add_scaled(out, units < 0, units < 0 ? (uint64_t)0 - (uint64_t)units : (uint64_t)units, 4);
}

static int get_float(struct tds_reader *r, size_t len, struct buf *out, struct err *err)
{
	uint64_t bits = tds_get_uint(r, len);
	uint32_t small_bits = (uint32_t)bits;
	float small;
	double number;

	if (len == 4) {
		memcpy(&small, &small_bits, 4);
		number = (double)small;
	} else {
		memcpy(&number, &bits, 8);
	}
	if (!isfinite(number))
		return err_set_number(err, ERR_PERM, "TDS_PARAM", 8023,
		                      "The supplied value is not a valid instance of data type float.");
	buf_addf(out, len == 4 ? "%.9g" : "%.17g", number);
	return 0;
}

static void add_guid(struct tds_reader *r, struct buf *out)
{
	uint32_t a = tds_get32(r);
	unsigned b = tds_get16(r), c = tds_get16(r);
	const uint8_t *d = tds_get_bytes(r, 8);

	if (d)
		buf_addf(out, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X", a, b, c, d[0], d[1], d[2], d[3], d[4], d[5],
		         d[6], d[7]);
}

static int bad_date(struct err *err)
{
	return err_set_number(err, ERR_PERM, "TDS_PARAM", 8023,
		                      "The supplied value is not a valid instance of its date type.");
}

static int get_datetime(struct tds_reader *r, size_t len, struct buf *out, struct err *err)
{
	struct tds_date date = { .days = TDS_DATE_1900 };
	char text[TDS_DATE_TEXT_MAX];
	int64_t days, ticks;

	if (len == 4) {
		days = tds_get16(r);
		ticks = (int64_t)tds_get16(r) * 600000000;
	} else {
		days = (int32_t)tds_get32(r);
		ticks = ((int64_t)tds_get32(r) * 10 + 1) / 3 * 10000;
	}
	days += TDS_DATE_1900;
	if (days < 0 || days > TDS_DATE_MAX || ticks >= TDS_TICKS_A_DAY)
		return bad_date(err);
	date.days = (int32_t)days;
	date.ticks = ticks;
	buf_add_text(out, tds_date_format(&date, len == 4 ? 0 : 3, text));
	return 0;
}

static size_t time_bytes(int scale)
{
	if (scale <= 2)
		return 3;
	return scale <= 4 ? 4 : 5;
}

static int get_date2(struct tds_reader *r, const struct sql_column *column, size_t len, struct buf *out,
                     struct err *err)
{
	struct tds_date date = { .days = TDS_DATE_1900 };
	bool time = column->type != SQL_DATE, day = column->type != SQL_TIME, zone = column->type == SQL_DATETIMEOFFSET;
	char text[TDS_DATE_TEXT_MAX];
	int64_t local;

	if (len != (time ? time_bytes(column->scale) : 0) + (day ? 3U : 0U) + (zone ? 2U : 0U))
		return bad_date(err);
	if (time)
		date.ticks = (int64_t)tds_get_uint(r, time_bytes(column->scale)) * tds_pow10(7 - column->scale);
	if (day)
		date.days = (int32_t)tds_get_uint(r, 3);
	if (zone)
		date.offset = (int16_t)tds_get16(r);
	if (date.ticks >= TDS_TICKS_A_DAY || date.offset > 840 || date.offset < -840)
		return bad_date(err);
	local = date.ticks + (int64_t)date.offset * 600000000;
	if (local < 0 || local >= TDS_TICKS_A_DAY) {
		date.days += local < 0 ? -1 : 1;
		local += local < 0 ? TDS_TICKS_A_DAY : -TDS_TICKS_A_DAY;
	}
	date.ticks = local;
	if (date.days < 0 || date.days > TDS_DATE_MAX)
		return bad_date(err);
	if (!time)
		buf_add_text(out, tds_date_format_date(&date, text));
	else if (!day)
		buf_add_text(out, tds_date_format_time(&date, column->scale, text));
	else
		buf_add_text(out, tds_date_format(&date, column->scale, text));
	if (zone)
		buf_addf(out, " %c%02d:%02d", date.offset < 0 ? '-' : '+', abs(date.offset) / 60, abs(date.offset) % 60);
	return 0;
}

/* Values with a one-byte length in front (0 = NULL), or none for the fixed types. */
static int get_small(struct tds_reader *r, const struct wire_info *info, const struct sql_column *column, size_t len,
                     struct buf *out, struct err *err)
{
	switch (info->type) {
	case WIRE_BITN:
		buf_add_char(out, tds_get8(r) != 0 ? '1' : '0');
		return 0;
	case WIRE_INTN: {
		uint64_t raw = tds_get_uint(r, len);
		int shift = (int)(64 - 8 * len);

		buf_addf(out, "%lld", len == 1 ? (long long)raw : (long long)((int64_t)(raw << shift) >> shift));
		return 0;
	}
	case WIRE_FLTN:
		return get_float(r, len, out, err);
	case WIRE_MONEYN:
		add_money(r, len, out);
		return 0;
	case WIRE_DATETIMN:
		return get_datetime(r, len, out, err);
	case WIRE_GUID:
		add_guid(r, out);
		return 0;
	case WIRE_DECIMALN:
	case WIRE_NUMERICN:
		return get_decimal(r, column, len, out, err);
	default:
		return get_date2(r, column, len, out, err);
	}
}

static bool is_date2(uint8_t type)
{
	return type >= WIRE_DATEN && type <= WIRE_DATETIMEOFFSETN;
}

static int get_value(struct tds_reader *r, const struct wire_info *info, bool fixed, const struct sql_column *column,
                     struct buf *out, bool *null, struct err *err)
{
	size_t len;

	if (info->type == WIRE_NULL) {
		*null = true;
		return 0;
	}
	if (column->type == SQL_VARCHAR || column->type == SQL_CHAR || column->type == SQL_NVARCHAR ||
	    column->type == SQL_NCHAR || column->type == SQL_VARBINARY || column->type == SQL_BINARY)
		return get_chars(r, info, column, out, null, err);
	len = fixed ? info->width : tds_get8(r);
	*null = len == 0;
	if (*null)
		return 0;
	if (info->type == WIRE_DECIMALN || info->type == WIRE_NUMERICN) {
		if (len > 17 || len < 2)
			return refuse(err, "Invalid length of a decimal parameter", (unsigned)len);
	} else if (!is_date2(info->type) && len != info->width) {
		return refuse(err, "Invalid length of a parameter", (unsigned)len);
	}
	return get_small(r, info, column, len, out, err);
}

int tds_get_param(struct tds_reader *r, struct sql_column *column, struct sql_value *value, char **data,
                  const struct tds_collation *server, struct err *err)
{
	struct wire_info info = { .collation = *server };
	struct buf out;
	bool null = false, fixed;
	size_t start = r->at;
	int rc;

	*data = NULL;
	*value = (struct sql_value){ .null = true };
	column->nullable = true;
	buf_init(&out, TDS_VALUE_MAX);
	rc = get_type(r, &info, column, err);
	fixed = rc == 0 && !r->failed && r->data[start] != info.type;
	if (rc == 0 && !r->failed)
		rc = get_value(r, &info, fixed, column, &out, &null, err);
	if (rc == 0 && (r->failed || out.failed))
		rc = refuse(err, "A parameter ends too early or is too long", info.type);
	if (rc == 0 && !null) {
		buf_add(&out, "", 0);
		value->null = false;
		value->len = out.len;
		*data = buf_take(&out, NULL);
		if (!*data)
			*data = calloc(1, 1);
		value->data = *data;
	}
	buf_release(&out);
	return rc;
}
