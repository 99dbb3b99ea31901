/* The proleptic Gregorian calendar and the text forms of date and time. Conversions between SQL types are the engine's.
 * */
#include "ecosystem/sandbox/sql/tds_date.h"

#include <stdio.h>

int64_t tds_pow10(int n)
{
	int64_t value = 1;

	while (n-- > 0)
		value *= 10;
	return value;
}

static int leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static const int before_month[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };

static int month_days(int y, int m)
{
	return before_month[m] - before_month[m - 1] + (m == 2 && leap(y));
}

static int32_t days_before_year(int y)
{
	y--;
	return y * 365 + y / 4 - y / 100 + y / 400;
}

/* Exactly `digits` digits at *at. */
static int number(const char *text, size_t len, size_t *at, int digits, int *out)
{
	*out = 0;
	for (int i = 0; i < digits; i++, (*at)++) {
		if (*at >= len || text[*at] < '0' || text[*at] > '9')
			return -1;
		*out = *out * 10 + (text[*at] - '0');
	}
	return 0;
}

static int skip(const char *text, size_t len, size_t *at, char c)
{
	if (*at >= len || text[*at] != c)
		return -1;
	(*at)++;
	return 0;
}

static int parse_day(struct tds_date *date, const char *text, size_t len, size_t *at)
{
	int y, m, d;

	if (number(text, len, at, 4, &y) != 0 || skip(text, len, at, '-') != 0 || number(text, len, at, 2, &m) != 0 ||
	    skip(text, len, at, '-') != 0 || number(text, len, at, 2, &d) != 0)
		return -1;
	if (y < 1 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
		return -1;
	date->days = days_before_year(y) + before_month[m - 1] + (m > 2 && leap(y)) + d - 1;
	return 0;
}

static int parse_fraction(struct tds_date *date, const char *text, size_t len, size_t *at)
{
	int digits = 0;
	int64_t value = 0;

	if (*at >= len || text[*at] != '.')
		return 0;
	for ((*at)++; *at < len && text[*at] >= '0' && text[*at] <= '9'; (*at)++, digits++) {
		if (digits >= 7)
			return -1;
		value = value * 10 + (text[*at] - '0');
	}
	date->ticks += value * tds_pow10(7 - digits);
	return digits > 0 ? 0 : -1;
}

static int parse_time(struct tds_date *date, const char *text, size_t len, size_t *at)
{
	int h, m, s = 0;

	if (number(text, len, at, 2, &h) != 0 || skip(text, len, at, ':') != 0 || number(text, len, at, 2, &m) != 0)
		return -1;
	if (*at < len && text[*at] == ':') {
		(*at)++;
		if (number(text, len, at, 2, &s) != 0)
			return -1;
	}
	if (h > 23 || m > 59 || s > 59)
		return -1;
	date->ticks = ((int64_t)h * 3600 + m * 60 + s) * 10000000;
	return parse_fraction(date, text, len, at);
}

static int parse_offset(struct tds_date *date, const char *text, size_t len, size_t *at)
{
	int h, m, sign;

	while (*at < len && text[*at] == ' ')
		(*at)++;
	if (*at == len)
		return 0;
	sign = text[*at] == '-' ? -1 : 1;
	if (text[*at] != '-' && text[*at] != '+')
		return -1;
	(*at)++;
	if (number(text, len, at, 2, &h) != 0 || skip(text, len, at, ':') != 0 || number(text, len, at, 2, &m) != 0)
		return -1;
	if (h * 60 + m > 14 * 60 || m > 59)
		return -1;
	date->offset = (int16_t)(sign * (h * 60 + m));
	return 0;
}

int tds_date_parse(struct tds_date *date, const char *text, size_t len)
{
	size_t at = 0;

	*date = (struct tds_date){ .days = TDS_DATE_1900 };
	if (len >= 5 && text[2] == ':') {
		if (parse_time(date, text, len, &at) != 0)
			return -1;
	} else {
		if (parse_day(date, text, len, &at) != 0)
			return -1;
		if (at < len && (text[at] == ' ' || text[at] == 'T')) {
			at++;
			if (parse_time(date, text, len, &at) != 0)
				return -1;
		}
	}
	if (parse_offset(date, text, len, &at) != 0)
		return -1;
	return at == len ? 0 : -1;
}

const char *tds_date_format_date(const struct tds_date *date, char *out)
{
	int y = (int)((int64_t)date->days * 400 / 146097) + 1, m = 1;
	int day;

	while (days_before_year(y + 1) <= date->days)
		y++;
	while (days_before_year(y) > date->days)
		y--;
	day = date->days - days_before_year(y);
	while (day >= month_days(y, m))
		day -= month_days(y, m++);
	snprintf(out, TDS_DATE_TEXT_MAX, "%04d-%02d-%02d", y, m, day + 1);
	return out;
}

const char *tds_date_format_time(const struct tds_date *date, int digits, char *out)
{
	int seconds = (int)(date->ticks / 10000000);
	int n = snprintf(out, TDS_DATE_TEXT_MAX, "%02d:%02d:%02d.%07d", seconds / 3600, seconds / 60 % 60, seconds % 60,
	                 (int)(date->ticks % 10000000));

	out[n - 7 + digits - (digits == 0)] = '\0'; /* without a fraction the point goes too */
	return out;
}

const char *tds_date_format(const struct tds_date *date, int digits, char *out)
{
	char day[TDS_DATE_TEXT_MAX], time[TDS_DATE_TEXT_MAX];

	snprintf(out, TDS_DATE_TEXT_MAX, "%.12s %.30s", tds_date_format_date(date, day),
	         tds_date_format_time(date, digits, time));
	return out;
}
