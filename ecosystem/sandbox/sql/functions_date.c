/* Functions on dates: the clock, DATEADD, DATEDIFF, DATEPART. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "ecosystem/sandbox/sql/datetime.h"
#include "ecosystem/sandbox/sql/functions_internal.h"

#define FUNCTION(name) static void name(sqlite3_context *c, int n, sqlite3_value **v)
#define CONTEXT ((struct functions *)sqlite3_user_data(c))
#define TICKS_1970 INT64_C(621355968000000000)

static bool date_of(sqlite3_value *v, struct tds_date *d) {
	const char *text = (const char *)sqlite3_value_text(v);
	return text && tds_date_parse(d, text, (size_t)sqlite3_value_bytes(v)) == 0;
}

static void put(sqlite3_context *c, const struct tds_date *d, enum sql_type type, int scale) {
	char text[DATETIME_TEXT];
	struct tds_date fitted = *d;
	if (datetime_fit(&fitted, type, type, scale) != DATETIME_OK)
		functions_error(c, 517, "Adding a value to a '%s' column caused an overflow.", xtype_name(type));
	else
		sqlite3_result_text(c, text, (int)datetime_format(&fitted, type, scale, text), SQLITE_TRANSIENT);
}

/* --- the clock --- */

static void put_now(sqlite3_context *c, enum sql_type type, bool local) {
	struct functions *context = CONTEXT;
	if (!context->now)
		functions_begin_statement(context);
	int64_t now = context->now;
	int offset = 0;
	if (local) {
		time_t seconds = (time_t)((now - TICKS_1970) / 10000000);
		struct tm tm;
		localtime_r(&seconds, &tm);
		offset = (int)(tm.tm_gmtoff / 60);
		now += (int64_t)offset * 60 * 10000000;
	}
	struct tds_date d = {
		.days = (int32_t)(now / TDS_TICKS_A_DAY), .ticks = now % TDS_TICKS_A_DAY, .offset = (int16_t)offset
	};
	put(c, &d, type, type == SQL_DATETIME ? 3 : 7);
}

FUNCTION(local_now) {
	(void)n;
	(void)v;
	put_now(c, SQL_DATETIME, true);
}
FUNCTION(getutcdate) {
	(void)n;
	(void)v;
	put_now(c, SQL_DATETIME, false);
}
FUNCTION(sysdatetime) {
	(void)n;
	(void)v;
	put_now(c, SQL_DATETIME2, true);
}
FUNCTION(sysutcdatetime) {
	(void)n;
	(void)v;
	put_now(c, SQL_DATETIME2, false);
}
FUNCTION(sysdatetimeoffset) {
	(void)n;
	(void)v;
	put_now(c, SQL_DATETIMEOFFSET, true);
}

/* --- parts --- */

enum part {
	YEAR,
	QUARTER,
	MONTH,
	DAYOFYEAR,
	DAY,
	WEEK,
	WEEKDAY,
	HOUR,
	MINUTE,
	SECOND,
	MILLISECOND,
	MICROSECOND,
	NANOSECOND,
	ISO_WEEK
};

static enum part part_of(sqlite3_value *v) {
	static const char *const names[] = { "year", "quarter", "month", "dayofyear", "day", "week", "weekday", "hour", "minute",
		"second", "millisecond", "microsecond", "nanosecond", "iso_week" };
	const char *name = (const char *)sqlite3_value_text(v);
	for (int i = 0; i < 14; i++)
		if (name && strcmp(names[i], name) == 0)
			return (enum part)i;
	return DAY;
}

static int weekday(const struct functions *context, int32_t days) {
	int first = context->date_first ? context->date_first : 7;
	int iso = (int)(days % 7) + 1; /* 0001-01-01 was a Monday */
	return (iso - first + 7) % 7 + 1;
}

static int iso_week(int32_t days) {
	int32_t thursday = days - days % 7 + 3, first;
	int y, m, d;
	datetime_civil(thursday, &y, &m, &d);
	return datetime_days(y, 1, 1, &first) == 0 ? (thursday - first) / 7 + 1 : 0;
}

static int64_t value_of(const struct functions *context, enum part part, const struct tds_date *date) {
	int y, m, d;
	int32_t first = 0;
	int64_t seconds = date->ticks / 10000000;
	datetime_civil(date->days, &y, &m, &d);
	if (datetime_days(y, 1, 1, &first) < 0)
		first = 0;
	switch (part) {
	case YEAR:
		return y;
	case QUARTER:
		return (m + 2) / 3;
	case MONTH:
		return m;
	case DAYOFYEAR:
		return date->days - first + 1;
	case DAY:
		return d;
	case WEEK:
		return (date->days - first + weekday(context, first) - 1) / 7 + 1;
	case WEEKDAY:
		return weekday(context, date->days);
	case HOUR:
		return seconds / 3600;
	case MINUTE:
		return seconds / 60 % 60;
	case SECOND:
		return seconds % 60;
	case MILLISECOND:
		return date->ticks % 10000000 / 10000;
	case MICROSECOND:
		return date->ticks % 10000000 / 10;
	case NANOSECOND:
		return date->ticks % 10000000 * 100;
	case ISO_WEEK:
		return iso_week(date->days);
	}
	return 0;
}

FUNCTION(datepart) {
	struct tds_date d;
	(void)n;
	if (date_of(v[1], &d))
		sqlite3_result_int64(c, value_of(CONTEXT, part_of(v[0]), &d));
}

FUNCTION(datename) {
	static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August",
		"September", "October", "November", "December" };
	static const char *const days[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };
	struct tds_date d;
	char text[30];
	(void)n;
	if (!date_of(v[1], &d))
		return;
	enum part part = part_of(v[0]);
	int64_t value = value_of(CONTEXT, part, &d);
	if (part == MONTH)
		snprintf(text, sizeof text, "%s", months[value - 1]);
	else if (part == WEEKDAY)
		snprintf(text, sizeof text, "%s", days[d.days % 7]);
	else
		snprintf(text, sizeof text, "%lld", (long long)value);
	sqlite3_result_text(c, text, -1, SQLITE_TRANSIENT);
}

static void simple_part(sqlite3_context *c, sqlite3_value **v, enum part part) {
	struct tds_date d;
	if (date_of(v[0], &d))
		sqlite3_result_int64(c, value_of(CONTEXT, part, &d));
}

FUNCTION(year) {
	(void)n;
	simple_part(c, v, YEAR);
}
FUNCTION(month) {
	(void)n;
	simple_part(c, v, MONTH);
}
FUNCTION(day) {
	(void)n;
	simple_part(c, v, DAY);
}

/* --- arithmetic --- */

static int add_months(struct tds_date *date, int64_t months) {
	int y, m, d;
	datetime_civil(date->days, &y, &m, &d);
	int64_t total = (int64_t)y * 12 + m - 1 + months;
	if (total < 12 || total >= 120000)
		return -1;
	y = (int)(total / 12);
	m = (int)(total % 12) + 1;
	while (d > 28 && datetime_days(y, m, d, &date->days) < 0)
		d--;
	return datetime_days(y, m, d, &date->days);
}

static const int64_t tick_units[] = {
	[HOUR] = INT64_C(36000000000), [MINUTE] = 600000000, [SECOND] = 10000000, [MILLISECOND] = 10000, [MICROSECOND] = 10
};

static int shift(struct tds_date *d, enum part part, int64_t number) {
	__int128 ticks = d->ticks;
	switch (part) {
	case YEAR:
		return add_months(d, number * 12);
	case QUARTER:
		return add_months(d, number * 3);
	case MONTH:
		return add_months(d, number);
	case WEEK:
	case ISO_WEEK:
		number *= 7;
		__attribute__((fallthrough));
	case DAY:
	case DAYOFYEAR:
	case WEEKDAY:
		ticks += (__int128)number * TDS_TICKS_A_DAY;
		break;
	case NANOSECOND:
		ticks += number / 100;
		break;
	default:
		ticks += (__int128)number * tick_units[part];
	}
	__int128 days = ticks / TDS_TICKS_A_DAY, rest = ticks % TDS_TICKS_A_DAY;
	if (rest < 0) {
		rest += TDS_TICKS_A_DAY;
		days--;
	}
	days += d->days;
	if (days < 0 || days > TDS_DATE_MAX)
		return -1;
	d->days = (int32_t)days;
	d->ticks = (int64_t)rest;
	return 0;
}

/* t_dateadd(part, number, date, type, scale) */
FUNCTION(dateadd) {
	struct tds_date d;
	enum sql_type type = (enum sql_type)sqlite3_value_int(v[3]);
	enum part part = part_of(v[0]);
	(void)n;
	if (sqlite3_value_type(v[1]) == SQLITE_NULL || !date_of(v[2], &d))
		return;
	int64_t number = sqlite3_value_int64(v[1]);
	if ((type == SQL_DATE && part >= HOUR && part != ISO_WEEK) || (type == SQL_TIME && part < HOUR)) {
		functions_error(c, 9810, "The datepart %s is not supported by date function dateadd for data type %s.",
			(const char *)sqlite3_value_text(v[0]), xtype_name(type));
		return;
	}
	if (number > INT32_MAX || number < INT32_MIN)
		functions_error(c, 8115, "Arithmetic overflow error converting expression to data type int.");
	else if (shift(&d, part, number) < 0)
		functions_error(c, 517, "Adding a value to a '%s' column caused an overflow.", xtype_name(type));
	else
		put(c, &d, type, sqlite3_value_int(v[4]));
}

/* Boundaries of the part that lie between the two. */
static __int128 boundary(const struct functions *context, enum part part, struct tds_date d) {
	int y, m, day;
	d.ticks -= (int64_t)d.offset * 600000000; /* datetimeoffset: in UTC */
	while (d.ticks < 0) {
		d.ticks += TDS_TICKS_A_DAY;
		d.days--;
	}
	while (d.ticks >= TDS_TICKS_A_DAY) {
		d.ticks -= TDS_TICKS_A_DAY;
		d.days++;
	}
	(void)context;
	datetime_civil(d.days < 0 ? 0 : d.days, &y, &m, &day);
	switch (part) {
	case YEAR:
		return y;
	case QUARTER:
		return y * 4 + (m - 1) / 3;
	case MONTH:
		return y * 12 + m;
	case WEEK:
		return (d.days + 1) / 7; /* weeks begin on Sunday, whatever DATEFIRST says */
	case ISO_WEEK:
		return d.days / 7;
	case DAY:
	case DAYOFYEAR:
	case WEEKDAY:
		return d.days;
	case NANOSECOND:
		return ((__int128)d.days * TDS_TICKS_A_DAY + d.ticks) * 100;
	default:
		return ((__int128)d.days * TDS_TICKS_A_DAY + d.ticks) / tick_units[part];
	}
}

/* t_datediff(part, a, b, type) */
FUNCTION(datediff) {
	struct tds_date a, b;
	enum part part = part_of(v[0]);
	(void)n;
	if (!date_of(v[1], &a) || !date_of(v[2], &b))
		return;
	__int128 diff = boundary(CONTEXT, part, b) - boundary(CONTEXT, part, a);
	bool big = sqlite3_value_int(v[3]) == SQL_BIGINT;
	if (diff > (big ? INT64_MAX : INT32_MAX) || diff < (big ? INT64_MIN : INT32_MIN))
		functions_error(c, 535,
			"The datediff function resulted in an overflow. The number of dateparts separating two date/time "
			"instances is too large. "
			"Try to use datediff with a less precise datepart.");
	else
		sqlite3_result_int64(c, (sqlite3_int64)diff);
}

/* t_date_sum(a, b, op, type): datetimes as days since 1900 */
FUNCTION(date_sum) {
	struct tds_date a, b;
	(void)n;
	if (!date_of(v[0], &a) || !date_of(v[1], &b))
		return;
	int sign = sqlite3_value_text(v[2])[0] == '-' ? -1 : 1;
	a.days += sign * (b.days - TDS_DATE_1900);
	a.ticks += sign * b.ticks;
	if (a.ticks < 0) {
		a.ticks += TDS_TICKS_A_DAY;
		a.days--;
	}
	put(c, &a, (enum sql_type)sqlite3_value_int(v[3]), 3);
}

FUNCTION(eomonth) {
	struct tds_date d;
	int y, m, day;
	if (!date_of(v[0], &d) || (n > 1 && add_months(&d, sqlite3_value_int64(v[1])) < 0))
		return;
	datetime_civil(d.days, &y, &m, &day);
	for (day = 31; day > 27 && datetime_days(y, m, day, &d.days) < 0; day--)
		;
	d.ticks = 0;
	put(c, &d, SQL_DATE, 0);
}

FUNCTION(datefromparts) {
	struct tds_date d = { 0 };
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return;
	if (datetime_days(sqlite3_value_int(v[0]), sqlite3_value_int(v[1]), sqlite3_value_int(v[2]), &d.days) < 0)
		functions_error(
			c, 289, "Cannot construct data type date, some of the arguments have values which are not valid.");
	else
		put(c, &d, SQL_DATE, 0);
}

int functions_date_register(sqlite3 *db, struct functions *context) {
	static const struct function_entry entries[] = {
		{ "t_getdate", 0, local_now, true },
		{ "t_getutcdate", 0, getutcdate, true },
		{ "t_sysdatetime", 0, sysdatetime, true },
		{ "t_sysutcdatetime", 0, sysutcdatetime, true },
		{ "t_sysdatetimeoffset", 0, sysdatetimeoffset, true },
		{ "t_datepart", 2, datepart, false },
		{ "t_datename", 2, datename, false },
		{ "t_year", 1, year, false },
		{ "t_month", 1, month, false },
		{ "t_day", 1, day, false },
		{ "t_dateadd", 5, dateadd, false },
		{ "t_datediff", 4, datediff, false },
		{ "t_date_sum", 4, date_sum, false },
		{ "t_eomonth", -1, eomonth, false },
		{ "t_datefromparts", 3, datefromparts, false },
		{ NULL, 0, NULL, false },
	};
	return functions_add(db, context, entries);
}
