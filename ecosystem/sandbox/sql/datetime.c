/* Reading and writing dates as T-SQL does. Functions on dates (DATEADD...) are elsewhere. */
#include "ecosystem/sandbox/sql/datetime.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SECOND INT64_C(10000000)

static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December" };

/* --- calendar --- */

static bool leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int month_days(int y, int m) {
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[m - 1] + (m == 2 && leap(y));
}

int datetime_days(int y, int m, int d, int32_t *out) {
	if (y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
		return -1;
	int32_t days = (y - 1) * 365 + (y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400;
	for (int i = 1; i < m; i++)
		days += month_days(y, i);
	*out = days + d - 1;
	return 0;
}

void datetime_civil(int32_t days, int *year, int *month, int *day) {
	int y = (int)((int64_t)days * 400 / 146097) + 1;
	int32_t first;
	while (y > 1 && (datetime_days(y > 9999 ? 9999 : y, 1, 1, &first) < 0 || first > days))
		y--;
	while (y < 9999 && datetime_days(y + 1, 1, 1, &first) == 0 && first <= days)
		y++;
	if (datetime_days(y, 1, 1, &first) < 0)
		first = 0;
	int32_t left = days - first;
	int m = 1;
	while (m < 12 && left >= month_days(y, m))
		left -= month_days(y, m++);
	*year = y;
	*month = m;
	*day = left + 1;
}

/* --- reading --- */

struct reader {
	const char *p, *end;
	char order;
	bool strict_iso;			    /* YYYY-MM-DD is year, month, day whatever the order is */
	int parts[3], widths[3], count, month_word; /* month_word: 1.. when a name was read */
	bool date, time;
	int64_t ticks;
	int offset;
	bool has_offset, iso_t;
};

static void blanks(struct reader *r) {
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

static int number(struct reader *r, int *width) {
	int value = 0;
	*width = 0;
	while (r->p < r->end && isdigit((unsigned char)*r->p) && *width < 9) {
		value = value * 10 + (*r->p++ - '0');
		(*width)++;
	}
	return value;
}

static int month_of(struct reader *r) {
	size_t n = 0;
	while (r->p + n < r->end && isalpha((unsigned char)r->p[n]))
		n++;
	for (int i = 0; i < 12; i++)
		if ((n == 3 || n == strlen(months[i])) && strncasecmp(r->p, months[i], n) == 0) {
			r->p += n;
			return i + 1;
		}
	return 0;
}

static bool meridiem(struct reader *r, int *hour) {
	bool pm;
	blanks(r);
	if (r->end - r->p < 2 || (tolower((unsigned char)r->p[0]) != 'a' && tolower((unsigned char)r->p[0]) != 'p') ||
		tolower((unsigned char)r->p[1]) != 'm')
		return true;
	pm = tolower((unsigned char)r->p[0]) == 'p';
	r->p += 2;
	if (*hour < 1 || *hour > 12)
		return pm && *hour > 12 && *hour < 24;
	*hour = *hour % 12 + (pm ? 12 : 0);
	return true;
}

static bool fraction(struct reader *r, enum sql_type to, int64_t *ticks) {
	bool colon = *r->p == ':';
	int width, n;
	r->p++;
	n = number(r, &width);
	if (width == 0)
		return false;
	bool old = to == SQL_DATETIME || to == SQL_SMALLDATETIME;
	if (width > (old || colon ? 3 : 7))
		return false;
	if (colon) { /* hh:mi:ss:mmm: milliseconds */
		*ticks = n * INT64_C(10000);
		return true;
	}
	*ticks = n * tds_pow10(7 - width);
	return true;
}

static bool zone(struct reader *r) {
	int w, h, m = 0;
	blanks(r);
	if (r->p < r->end && (*r->p == 'Z' || *r->p == 'z')) {
		r->p++;
		return r->has_offset = true;
	}
	if (r->p >= r->end || (*r->p != '+' && *r->p != '-'))
		return true;
	int sign = *r->p++ == '-' ? -1 : 1;
	h = number(r, &w);
	if (w != 2 || h > 14 || r->p >= r->end || *r->p++ != ':')
		return false;
	m = number(r, &w);
	if (w != 2 || m > 59 || h * 60 + m > 840)
		return false;
	r->offset = sign * (h * 60 + m);
	return r->has_offset = true;
}

/* The hour was read already. */
static bool time_rest(struct reader *r, enum sql_type to, int hour) {
	int w, minute = 0, second = 0;
	int64_t rest = 0;
	if (r->p < r->end && *r->p == ':') {
		r->p++;
		minute = number(r, &w);
		if (w < 1 || w > 2)
			return false;
		if (r->p < r->end && *r->p == ':') {
			r->p++;
			second = number(r, &w);
			if (w < 1 || w > 2)
				return false;
			if (r->p < r->end && (*r->p == '.' || *r->p == ':') && !fraction(r, to, &rest))
				return false;
		}
	}
	if (!meridiem(r, &hour) || hour > 23 || minute > 59 || second > 59 || !zone(r))
		return false;
	r->ticks = ((int64_t)(hour * 60 + minute) * 60 + second) * SECOND + rest;
	return r->time = true;
}

static bool compact_date(struct reader *r, int value, int width) {
	r->parts[0] = width == 8 ? value / 10000 : value / 10000 + (value / 10000 < 50 ? 2000 : 1900);
	r->parts[1] = value / 100 % 100;
	r->parts[2] = value % 100;
	r->order = 'y';
	r->count = 3;
	return r->date = true;
}

static bool separated(struct reader *r, enum sql_type to) {
	(void)to;
	char separator = *r->p;
	while (r->count < 3) {
		if (r->p >= r->end || *r->p != separator)
			return false;
		r->p++;
		r->parts[r->count] = number(r, &r->widths[r->count]);
		if (r->widths[r->count] == 0)
			return false;
		r->count++;
	}
	if (r->widths[0] == 4) {
		if (r->strict_iso || (separator != '-' && r->order == 'y'))
			r->order = 'y';
		else if (r->order == 'd' && (r->p >= r->end || *r->p != 'T')) {
			/* yyyy-dd-mm, as SET DATEFORMAT dmy means it for the old types */
			int swap = r->parts[1];
			r->parts[1] = r->parts[2];
			r->parts[2] = swap;
			r->order = 'y';
		} else
			r->order = 'y';
	}
	return r->date = true;
}

/* "Nov 24 2026", "24 Nov 2026", "Nov 24, 2026" */
static bool named(struct reader *r) {
	while (r->count < 2) {
		blanks(r);
		if (r->p < r->end && (*r->p == ',' || *r->p == '-'))
			r->p++;
		blanks(r);
		if (r->p < r->end && isalpha((unsigned char)*r->p)) {
			if (r->month_word || !(r->month_word = month_of(r)))
				return false;
			continue;
		}
		r->parts[r->count] = number(r, &r->widths[r->count]);
		if (r->widths[r->count] == 0)
			return false;
		r->count++;
	}
	if (!r->month_word)
		return false;
	int first = r->widths[0] == 4 ? 1 : 0; /* the day is the other one */
	int day = r->parts[first], year = r->parts[1 - first];
	bool short_year = r->widths[1 - first] <= 2;
	r->parts[0] = short_year ? year + (year < 50 ? 2000 : 1900) : year;
	r->parts[1] = r->month_word;
	r->parts[2] = day;
	r->widths[0] = 4;
	r->order = 'y';
	r->count = 3;
	return r->date = true;
}

static bool date_or_time(struct reader *r, enum sql_type to) {
	const char *start = r->p;
	if (isalpha((unsigned char)*r->p))
		return named(r);
	int width, value = number(r, &width);
	if (width == 0)
		return false;
	if (r->p < r->end && *r->p == ':') {
		return width <= 2 && time_rest(r, to, value);
	}
	if (r->p < r->end && strchr("-/.", *r->p) && r->p + 1 < r->end && isdigit((unsigned char)r->p[1])) {
		r->parts[0] = value;
		r->widths[0] = width;
		r->count = 1;
		return separated(r, to);
	}
	if (width == 8 || width == 6)
		return compact_date(r, value, width);
	const char *after = r->p;
	blanks(r);
	if (width <= 2 && r->end - r->p >= 2 && strchr("aApP", *r->p) && tolower((unsigned char)r->p[1]) == 'm' &&
		r->p + 2 == r->end)
		return time_rest(r, to, value);
	if (r->p < r->end && (isalpha((unsigned char)*r->p) || *r->p == '-')) {
		r->p = start;
		return named(r);
	}
	r->p = after;
	if (width != 4)
		return false;
	r->parts[0] = value; /* a year alone */
	r->parts[1] = r->parts[2] = 1;
	r->widths[0] = 4;
	r->order = 'y';
	r->count = 3;
	return r->date = r->p == r->end;
}

static char style_order(char order, int style) {
	switch (style % 100) {
	case 1:
	case 10:
		return 'm';
	case 3:
	case 4:
	case 5:
		return 'd';
	case 2:
	case 11:
	case 12:
	case 20:
	case 21:
	case 23:
	case 25:
	case 26:
	case 27:
		return 'y';
	}
	return order ? order : 'm';
}

static enum datetime_status assemble(const struct reader *r, struct tds_date *out) {
	static const int at[3][3] = { { 2, 0, 1 }, { 2, 1, 0 }, { 0, 1, 2 } }; /* year, month, day for m, d, y */
	int which = r->order == 'm' ? 0 : r->order == 'd' ? 1 : 2;
	*out = (struct tds_date){ .days = TDS_DATE_1900, .ticks = r->ticks, .offset = (int16_t)r->offset };
	if (!r->date)
		return DATETIME_OK;
	int year = r->parts[at[which][0]];
	if (r->count == 3 && r->widths[at[which][0]] && r->widths[at[which][0]] <= 2)
		year += year < 50 ? 2000 : 1900;
	return datetime_days(year, r->parts[at[which][1]], r->parts[at[which][2]], &out->days) == 0 ? DATETIME_OK
												    : DATETIME_RANGE;
}

enum datetime_status datetime_parse(const char *text, size_t len, enum sql_type to, char order, int style, struct tds_date *out) {
	struct reader r = { .p = text,
		.end = text + len,
		.order = style_order(order, style),
		.strict_iso = to == SQL_DATE || to == SQL_DATETIME2 || to == SQL_DATETIMEOFFSET || to == SQL_TIME };
	while (r.end > r.p && r.end[-1] == ' ')
		r.end--;
	blanks(&r);
	if (r.p < r.end && !date_or_time(&r, to))
		return DATETIME_MALFORMED;
	if (r.date && r.p < r.end && (*r.p == 'T' || *r.p == 't')) {
		r.p++;
		r.iso_t = true;
	}
	blanks(&r);
	if (r.date && !r.time && r.p < r.end) {
		int width, hour = number(&r, &width);
		if (width < 1 || width > 2 || !time_rest(&r, to, hour))
			return DATETIME_MALFORMED;
	} else if (r.time && !r.date && r.p < r.end) { /* the date may follow */
		int64_t ticks = r.ticks;
		if (!date_or_time(&r, to) || !r.date)
			return DATETIME_MALFORMED;
		r.ticks = ticks;
	}
	blanks(&r);
	if (r.p < r.end)
		return DATETIME_MALFORMED;
	if (r.has_offset && to != SQL_DATETIMEOFFSET && to != SQL_DATETIME2 && to != SQL_DATE && to != SQL_TIME &&
		!(r.iso_t && r.offset == 0))
		return DATETIME_MALFORMED;
	return assemble(&r, out);
}

/* --- types --- */

static void carry(struct tds_date *d) {
	while (d->ticks >= TDS_TICKS_A_DAY) {
		d->ticks -= TDS_TICKS_A_DAY;
		d->days++;
	}
	while (d->ticks < 0) {
		d->ticks += TDS_TICKS_A_DAY;
		d->days--;
	}
}

static void round_to(struct tds_date *d, int scale) {
	int64_t unit = tds_pow10(7 - scale);
	d->ticks = (d->ticks + unit / 2) / unit * unit;
	carry(d);
}

enum datetime_status datetime_fit(struct tds_date *d, enum sql_type from, enum sql_type to, int scale) {
	/* datetimeoffset to a type without zone keeps the local time */
	if (to != SQL_DATETIMEOFFSET)
		d->offset = 0;
	switch (to) {
	case SQL_DATE:
		d->ticks = 0;
		break;
	case SQL_TIME:
		round_to(d, scale);
		d->days = TDS_DATE_1900;
		break;
	case SQL_DATETIME: {
		int64_t n = (d->ticks * 3 + 50000) / 100000;
		d->ticks = (n * 10 + 1) / 3 * 10000;
		carry(d);
		return d->days < 639905 || d->days > TDS_DATE_MAX ? DATETIME_RANGE : DATETIME_OK;
	}
	case SQL_SMALLDATETIME: {
		int64_t seconds = (d->ticks + 2000) / SECOND; /* 29.998 s rounds down, 29.999 up */
		d->ticks = (seconds + 30) / 60 * 60 * SECOND;
		carry(d);
		return d->days < TDS_DATE_1900 || d->days > 759124 ? DATETIME_RANGE : DATETIME_OK;
	}
	default:
		round_to(d, scale);
	}
	(void)from;
	return d->days < 0 || d->days > TDS_DATE_MAX ? DATETIME_RANGE : DATETIME_OK;
}

size_t datetime_format(const struct tds_date *d, enum sql_type type, int scale, char out[DATETIME_TEXT]) {
	char text[TDS_DATE_TEXT_MAX];
	const char *form = type == SQL_DATE   ? tds_date_format_date(d, text)
			   : type == SQL_TIME ? tds_date_format_time(d, scale, text)
					      : tds_date_format(d,
							type == SQL_DATETIME	    ? 3
							: type == SQL_SMALLDATETIME ? 0
										    : scale,
							text);
	size_t n = (size_t)snprintf(out, DATETIME_TEXT, "%s", form);
	if (type == SQL_DATETIMEOFFSET && !strchr(form, '+') && (n < 6 || form[n - 6] != '-')) {
		int offset = d->offset < 0 ? -d->offset : d->offset;
		n += (size_t)snprintf(
			out + n, DATETIME_TEXT - n, " %c%02d:%02d", d->offset < 0 ? '-' : '+', offset / 60, offset % 60);
	}
	return n;
}

/* --- CONVERT's styles --- */

struct parts {
	int y, m, d, h, mi, s, h12;
	int64_t fraction; /* 100 ns */
	const char *half, *month;
	char rest[12]; /* ".123", as many digits as the type has; "" for none */
};

static void split(const struct tds_date *date, enum sql_type type, int scale, struct parts *p) {
	int64_t seconds = date->ticks / SECOND;
	datetime_civil(date->days, &p->y, &p->m, &p->d);
	p->h = (int)(seconds / 3600);
	p->mi = (int)(seconds / 60 % 60);
	p->s = (int)(seconds % 60);
	p->fraction = date->ticks % SECOND;
	p->h12 = p->h % 12 ? p->h % 12 : 12;
	p->half = p->h < 12 ? "AM" : "PM";
	p->month = months[p->m - 1];
	int digits = type == SQL_DATETIME ? 3 : type == SQL_SMALLDATETIME || type == SQL_DATE ? 0 : scale;
	p->rest[0] = '\0';
	if (digits)
		snprintf(p->rest, sizeof p->rest, ".%0*lld", digits, (long long)(p->fraction / tds_pow10(7 - digits)));
}

static const char *date_part(const struct parts *p, int style, char *out) {
	int year =
		style < 100 && style != 20 && style != 21 && style != 23 && style != 25 && style != 9 && style != 13 && style != 0
			? p->y % 100
			: p->y;
	int w = year == p->y ? 4 : 2;
	switch (style % 100) {
	case 0:
	case 9:
		snprintf(out, DATETIME_TEXT, "%.3s %2d %04d", p->month, p->d, p->y);
		break;
	case 1:
		snprintf(out, DATETIME_TEXT, "%02d/%02d/%0*d", p->m, p->d, w, year);
		break;
	case 2:
		snprintf(out, DATETIME_TEXT, "%0*d.%02d.%02d", w, year, p->m, p->d);
		break;
	case 3:
		snprintf(out, DATETIME_TEXT, "%02d/%02d/%0*d", p->d, p->m, w, year);
		break;
	case 4:
		snprintf(out, DATETIME_TEXT, "%02d.%02d.%0*d", p->d, p->m, w, year);
		break;
	case 5:
		snprintf(out, DATETIME_TEXT, "%02d-%02d-%0*d", p->d, p->m, w, year);
		break;
	case 6:
	case 13:
		snprintf(out, DATETIME_TEXT, "%02d %.3s %0*d", p->d, p->month, w, year);
		break;
	case 7:
		snprintf(out, DATETIME_TEXT, "%.3s %02d, %0*d", p->month, p->d, w, year);
		break;
	case 10:
		snprintf(out, DATETIME_TEXT, "%02d-%02d-%0*d", p->m, p->d, w, year);
		break;
	case 11:
		snprintf(out, DATETIME_TEXT, "%0*d/%02d/%02d", w, year, p->m, p->d);
		break;
	case 12:
		snprintf(out, DATETIME_TEXT, "%0*d%02d%02d", w, year, p->m, p->d);
		break;
	case 20:
	case 21:
	case 23:
	case 25:
	case 26:
	case 27:
		snprintf(out, DATETIME_TEXT, "%04d-%02d-%02d", p->y, p->m, p->d);
		break;
	default:
		out[0] = '\0';
	}
	return out;
}

static const char *time_part(const struct parts *p, enum sql_type type, int style, char *out) {
	bool old = type == SQL_DATETIME || type == SQL_SMALLDATETIME;
	switch (style % 100) {
	case 0:
		snprintf(out, DATETIME_TEXT, "%2d:%02d%s", p->h12, p->mi, p->half);
		break;
	case 9:
		snprintf(out, DATETIME_TEXT, old ? "%2d:%02d:%02d:%s%s" : "%2d:%02d:%02d.%s%s", p->h12, p->mi, p->s,
			p->rest[0] ? p->rest + 1 : "000", p->half);
		break;
	case 8:
	case 24:
	case 20:
		snprintf(out, DATETIME_TEXT, "%02d:%02d:%02d", p->h, p->mi, p->s);
		break;
	case 13:
	case 14:
		snprintf(out, DATETIME_TEXT, old ? "%02d:%02d:%02d:%s" : "%02d:%02d:%02d.%s", p->h, p->mi, p->s,
			p->rest[0] ? p->rest + 1 : "000");
		break;
	case 21:
	case 25:
		snprintf(out, DATETIME_TEXT, "%02d:%02d:%02d%s", p->h, p->mi, p->s, type == SQL_SMALLDATETIME ? ".000" : p->rest);
		break;
	case 26:
	case 27:
		snprintf(out, DATETIME_TEXT, "%02d:%02d:%02d%s", p->h, p->mi, p->s, old && p->fraction == 0 ? "" : p->rest);
		break;
	default:
		out[0] = '\0';
	}
	return out;
}

size_t datetime_style(const struct tds_date *date, enum sql_type type, int scale, int style, char out[DATETIME_TEXT]) {
	char day[DATETIME_TEXT], time[DATETIME_TEXT], zone_text[12] = "";
	struct parts p;
	if (style == 0 && type != SQL_DATETIME && type != SQL_SMALLDATETIME)
		style = 121;
	if (style < 0 || style > 127 || style == 22)
		return 0;
	split(date, type, scale, &p);
	if (type == SQL_DATETIMEOFFSET) {
		int offset = date->offset < 0 ? -date->offset : date->offset;
		snprintf(zone_text, sizeof zone_text, "%s%c%02d:%02d", style % 100 == 26 ? "" : " ", date->offset < 0 ? '-' : '+',
			offset / 60, offset % 60);
	}
	date_part(&p, style, day);
	time_part(&p, type, style, time);
	if (type == SQL_TIME)
		day[0] = '\0';
	if (type == SQL_DATE)
		time[0] = '\0';
	if (!day[0] && !time[0])
		return 0;
	const char *between = day[0] && time[0] ? (style % 100 == 26 || style % 100 == 27 ? "T" : " ") : "";
	return (size_t)snprintf(out, DATETIME_TEXT, "%s%s%s%s%s", day, between, time, time[0] ? zone_text : "",
		style == 127 && time[0] && !zone_text[0] ? "Z" : "");
}
