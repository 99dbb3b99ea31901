/* Reading the text of a schedule, and the moments it names. */
#include "common/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MINUTE_MS 60000
#define YEARS_MAX 60
#define DAY_MS INT64_C(86400000)

struct field {
	const char *name;
	int least, most;
	const char *const *words; /* names of the values from `word_base` on */
	int word_count, word_base;
};

static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" };
static const char *const weekdays[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };
static const struct field fields[] = {
	{ "minute", 0, 59, NULL, 0, 0 },    { "hour", 0, 23, NULL, 0, 0 },         { "day of the month", 1, 31, NULL, 0, 0 },
	{ "month", 1, 12, months, 12, 1 }, { "weekday", 0, 7, weekdays, 7, 0 },
};
#define FIELD_COUNT 5

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int
wrong(const char *text, struct err *err, const char *what, const char *detail)
{
	return err_set(err, ERR_PERM, "BAD_REQUEST", "\"%.100s\": %s%s", text, what, detail);
}

/* A number or a name; NULL when there is neither. */
static const char *
read_value(const char *at, const struct field *field, int *value)
{
	int digits = 0;
	for (int i = 0; i < field->word_count; i++) {
		if (strncasecmp(at, field->words[i], 3) == 0) {
			*value = field->word_base + i;
			return at + 3;
		}
	}
	for (*value = 0; *at >= '0' && *at <= '9' && digits < 3; at++, digits++)
		*value = *value * 10 + (*at - '0');
	return digits > 0 && *value >= field->least && *value <= field->most ? at : NULL;
}

/* One element of a list into *bits; NULL when it is wrong. */
static const char *
read_element(const char *at, const struct field *field, uint64_t *bits)
{
	static const struct field steps = { "step", 1, 59, NULL, 0, 0 };
	int low = field->least, high = field->most, step = 1;
	bool range = *at == '*', named;
	if (range) {
		at++;
		high -= field->most == 7; /* Sunday once */
	} else {
		at = read_value(at, field, &low);
		if (at == NULL)
			return NULL;
		high = low;
		range = *at == '-';
		if (range) {
			named = at[1] < '0' || at[1] > '9';
			at = read_value(at + 1, field, &high);
			if (at != NULL && named && high == 0 && field->most == 7)
				high = 7; /* "sat-sun" */
		}
	}
	if (at != NULL && *at == '/')
		at = range ? read_value(at + 1, &steps, &step) : NULL;
	if (at == NULL || low > high)
		return NULL;
	for (int value = low; value <= high; value += step)
		*bits |= UINT64_C(1) << (field->most == 7 ? value % 7 : value);
	return at;
}

/* The field up to the next blank; NULL when it is wrong. */
static const char *
read_field(const char *at, const struct field *field, uint64_t *bits)
{
	*bits = 0;
	at = read_element(at, field, bits);
	while (at != NULL && *at == ',')
		at = read_element(at + 1, field, bits);
	return at != NULL && (*at == '\0' || *at == ' ' || *at == '\t') ? at : NULL;
}

/* Days of the month that exist in one of the months. */
static bool
exists(const struct cron *cron)
{
	static const int most[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	for (int month = 1; month <= 12; month++)
		if (cron->months & 1u << month && cron->days & ((UINT64_C(2) << most[month - 1]) - 2))
			return true;
	return false;
}

static int
read_fields(const char *text, struct cron *cron, struct err *err)
{
	uint64_t bits[FIELD_COUNT];
	bool star[FIELD_COUNT];
	const char *at = text + strspn(text, " \t");
	for (int i = 0; i < FIELD_COUNT; i++) {
		if (*at == '\0')
			return wrong(text, err, "minute, hour, day of the month, month and weekday expected, missing: ", fields[i].name);
		star[i] = *at == '*';
		at = read_field(at, &fields[i], &bits[i]);
		if (at == NULL)
			return wrong(text, err, "not understood: ", fields[i].name);
		at += strspn(at, " \t");
	}
	if (*at != '\0')
		return wrong(text, err, "something stands behind the weekday", "");
	cron->minutes = bits[0];
	cron->hours = (uint32_t)bits[1];
	cron->days = (uint32_t)bits[2];
	cron->months = (uint32_t)bits[3];
	cron->weekdays = (uint32_t)bits[4];
	cron->either = !star[2] && !star[4];
	cron->wild = star[0] || star[1];
	return cron->either || exists(cron) ? 0 : wrong(text, err, "there is no such day in these months", "");
}

static int
read_interval(const char *text, const char *at, struct cron *cron, struct err *err)
{
	int64_t number = 0, unit;
	int digits = 0;
	at += strspn(at, " \t");
	for (; *at >= '0' && *at <= '9' && digits < 9; at++, digits++)
		number = number * 10 + (*at - '0');
	unit = *at == 's' ? 1 : *at == 'm' ? 60 : *at == 'h' ? 3600 : 0;
	if (digits == 0 || unit == 0 || at[1] != '\0' || number < 1 || number > CRON_EVERY_MAX_S / unit)
		return wrong(text, err, "a number and s, m or h expected behind every, 1s to 168h", "");
	cron->every_ms = number * unit * 1000;
	return 0;
}

int
cron_parse(const char *text, struct cron *cron, struct err *err)
{
	memset(cron, 0, sizeof(*cron));
	if (strlen(text) >= CRON_TEXT_MAX)
		return wrong(text, err, "too long for a schedule", "");
	if (strncmp(text, "every", 5) == 0)
		return read_interval(text, text + 5, cron, err);
	if (text[0] == '@')
		return wrong(text, err, "five fields or \"every 5m\" expected", "");
	return read_fields(text, cron, err);
}

/* --- moments --------------------------------------------------------------------------------------------------------- */

static bool
has_bit(uint64_t bits, int value)
{
	return bits >> value & 1;
}

static bool
day_matches(const struct cron *cron, int month, int day, int weekday)
{
	bool by_day = has_bit(cron->days, day), by_weekday = has_bit(cron->weekdays, weekday);
	return has_bit(cron->months, month) && (cron->either ? by_day || by_weekday : by_day && by_weekday);
}

static int64_t
to_utc(const struct zone *zone, const struct zone_time *day, int hour, int minute)
{
	struct zone_time local = { .year = day->year, .month = day->month, .day = day->day, .hour = hour, .minute = minute };
	int64_t first, second;
	zone_utc(zone, &local, &first, &second);
	return first;
}

/* The first due time of a day after after_ms. Later local times are never earlier moments. */
static bool
fixed_in_day(const struct cron *cron, const struct zone_time *day, int64_t after_ms, const struct zone *zone, int64_t *next_ms)
{
	if (to_utc(zone, day, 23, 59) <= after_ms)
		return false;
	for (int hour = 0; hour < 24; hour++) {
		if (!has_bit(cron->hours, hour) || to_utc(zone, day, hour, 59) <= after_ms)
			continue;
		for (int minute = 0; minute < 60; minute++) {
			if (!has_bit(cron->minutes, minute))
				continue;
			*next_ms = to_utc(zone, day, hour, minute);
			if (*next_ms > after_ms)
				return true;
		}
	}
	return false;
}

/* The calendar alone: what zone_local says of the days of a zone without changes. */
static void
set_day(int64_t days, struct zone_time *out)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t rest = days - zone_days(out->year, out->month, 1);
	for (;;) {
		bool leap = out->month == 2 && zone_days(out->year, 3, 1) - zone_days(out->year, 2, 28) == 2;
		int length = lengths[out->month - 1] + leap;
		if (rest < length)
			break;
		rest -= length;
		out->year += out->month == 12;
		out->month = out->month % 12 + 1;
	}
	out->day = (int)rest + 1;
	out->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

static int
next_fixed(const struct cron *cron, int64_t after_ms, const struct zone *zone, int64_t *next_ms)
{
	struct zone_time day;
	zone_local(zone, after_ms, &day); /* no local time of an earlier day is due later than this */
	int64_t days = zone_days(day.year, day.month, day.day), end = days + YEARS_MAX * INT64_C(366);
	for (; days < end; days++) {
		set_day(days, &day);
		if (day_matches(cron, day.month, day.day, day.weekday) && fixed_in_day(cron, &day, after_ms, zone, next_ms))
			return 0;
	}
	return -1;
}

/* How far ahead the time may be moved at least, when local does not match: to the next day, hour or minute that may. 0: it matches. */
static int64_t
skip_ms(const struct cron *cron, const struct zone_time *local)
{
	if (!day_matches(cron, local->month, local->day, local->weekday))
		return ((24 - local->hour) * INT64_C(60) - local->minute) * MINUTE_MS;
	if (!has_bit(cron->hours, local->hour))
		return (60 - local->minute) * INT64_C(60000);
	int minute = local->minute;
	while (minute < 60 && !has_bit(cron->minutes, minute))
		minute++;
	return (minute - local->minute) * INT64_C(60000);
}

static int
next_wild(const struct cron *cron, int64_t after_ms, const struct zone *zone, int64_t *next_ms)
{
	int64_t end_ms = after_ms + YEARS_MAX * 366 * DAY_MS, at = after_ms + 1, change = at;
	bool changes = true;
	struct zone_time local;
	while (at < end_ms) {
		if (changes && change <= at)
			changes = zone_next_change(zone, at, &change);
		zone_local(zone, at, &local);
		int64_t into = local.second * INT64_C(1000) + local.ms;
		int64_t skip = into > 0 ? MINUTE_MS - into : skip_ms(cron, &local);
		if (skip == 0) {
			*next_ms = at;
			return 0;
		}
		at += skip;
		if (changes && at > change)
			at = change; /* from there on the clocks show something else */
	}
	return -1;
}

static int64_t
floor_to(int64_t value, int64_t step)
{
	return value - (value % step + step) % step;
}

int
cron_next(const struct cron *cron, int64_t after_ms, const struct zone *zone, int64_t *next_ms)
{
	if (cron->every_ms > 0) {
		*next_ms = floor_to(after_ms, cron->every_ms) + cron->every_ms;
		return 0;
	}
	return cron->wild ? next_wild(cron, after_ms, zone, next_ms) : next_fixed(cron, after_ms, zone, next_ms);
}

/* The last moment not after until_ms, when there are too many to walk: looks back in growing steps. */
static int64_t
last_before(const struct cron *cron, int64_t after_ms, int64_t until_ms, const struct zone *zone)
{
	int64_t found = after_ms, next;
	for (int64_t back = MINUTE_MS; found == after_ms; back *= 4) {
		int64_t at = until_ms - back > after_ms ? until_ms - back : after_ms;
		while (cron_next(cron, at, zone, &next) == 0 && next <= until_ms)
			found = at = next;
		if (until_ms - back <= after_ms)
			break;
	}
	return found;
}

void
cron_count(const struct cron *cron, int64_t after_ms, int64_t until_ms, const struct zone *zone, struct cron_span *span)
{
	int64_t at = after_ms, next;
	*span = (struct cron_span){ .count = 0 };
	if (cron_next(cron, at, zone, &next) != 0 || next > until_ms)
		return;
	span->first_ms = next;
	if (cron->every_ms > 0) {
		span->last_ms = floor_to(until_ms, cron->every_ms);
		span->count = (span->last_ms - next) / cron->every_ms + 1;
		return;
	}
	do {
		span->count++;
		span->last_ms = at = next;
	} while (span->count < CRON_COUNT_MAX && cron_next(cron, at, zone, &next) == 0 && next <= until_ms);
	if (span->count == CRON_COUNT_MAX)
		span->last_ms = last_before(cron, at, until_ms, zone);
}
