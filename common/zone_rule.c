/* The text form of a zone's rule, and its days of a year. */
#include "common/zone_rule.h"

#include <string.h>
#include "common/zone.h"

#define HOUR_S 3600
#define DAY_S 86400
#define RULE_HOURS 167  /* RFC 8536 3.3.1 */
#define OFFSET_HOURS 24

/* Each reader takes its part off the front of the text; NULL in or out: it was not there. */

static const char *
read_name(const char *at)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const char quoted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
	bool angle = *at == '<';
	size_t len = strspn(at + angle, angle ? quoted : letters);
	if (len < 3 || (angle && at[1 + len] != '>'))
		return NULL;
	return at + len + (angle ? 2 : 0);
}

static const char *
read_number(const char *at, int least, int most, int *value)
{
	int digits = 0;
	if (at == NULL)
		return NULL;
	for (*value = 0; *at >= '0' && *at <= '9' && digits < 4; at++, digits++)
		*value = *value * 10 + (*at - '0');
	return digits > 0 && *value >= least && *value <= most ? at : NULL;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static const char *
read_time(const char *at, int hours_max, int64_t *seconds)
{
	int hours, minutes = 0, rest = 0, sign = 1;
	if (at == NULL)
		return NULL;
	if (*at == '+' || *at == '-')
		sign = *at++ == '-' ? -1 : 1;
	at = read_number(at, 0, hours_max, &hours);
	if (at != NULL && *at == ':')
		at = read_number(at + 1, 0, 59, &minutes);
	if (at != NULL && *at == ':')
		at = read_number(at + 1, 0, 59, &rest);
	*seconds = sign * ((int64_t)hours * HOUR_S + minutes * 60 + rest);
	return at;
}

static const char *
expect(const char *at, char c)
{
	return at != NULL && *at == c ? at + 1 : NULL;
}

static const char *
read_day(const char *at, struct zone_rule_day *day)
{
	memset(day, 0, sizeof(*day));
	day->time_s = 2 * HOUR_S;
	if (at != NULL && *at == 'M') {
		day->kind = ZONE_DAY_OF_MONTH;
		at = expect(read_number(at + 1, 1, 12, &day->month), '.');
		at = expect(read_number(at, 1, 5, &day->week), '.');
		at = read_number(at, 0, 6, &day->weekday);
	} else if (at != NULL && *at == 'J') {
		day->kind = ZONE_DAY_WITHOUT_LEAP;
		at = read_number(at + 1, 1, 365, &day->day);
	} else {
		day->kind = ZONE_DAY_WITH_LEAP;
		at = read_number(at, 0, 365, &day->day);
	}
	return at != NULL && *at == '/' ? read_time(at + 1, RULE_HOURS, &day->time_s) : at;
}

int
zone_rule_parse(const char *text, struct zone_rule *rule)
{
	int64_t west; /* POSIX counts towards the west */
	const char *at = read_name(text);
	memset(rule, 0, sizeof(*rule));
	at = read_time(at, OFFSET_HOURS, &west);
	if (at == NULL)
		return -1;
	rule->standard_s = (int32_t)-west;
	if (*at == '\0')
		return 0;
	rule->has_summer = true;
	at = read_name(at);
	west -= HOUR_S;
	if (at != NULL && *at != ',')
		at = read_time(at, OFFSET_HOURS, &west);
	rule->summer_s = (int32_t)-west;
	at = read_day(expect(at, ','), &rule->start);
	at = read_day(expect(at, ','), &rule->end);
	return at != NULL && *at == '\0' ? 0 : -1;
}

static bool
is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Local seconds since 1970 at the day's time. */
static int64_t
local_of(const struct zone_rule_day *day, int64_t year)
{
	int64_t days = 0;
	switch (day->kind) {
	case ZONE_DAY_OF_MONTH: {
		int64_t first = zone_days(year, day->month, 1), next = zone_days(year, day->month + 1, 1);
		int64_t weekday = ((first + 4) % 7 + 7) % 7;
		days = first + (day->weekday - weekday + 7) % 7 + (day->week - 1) * INT64_C(7);
		if (days >= next)
			days -= 7;
		break;
	}
	case ZONE_DAY_WITHOUT_LEAP:
		days = zone_days(year, 1, day->day) + (is_leap(year) && day->day >= 60);
		break;
	case ZONE_DAY_WITH_LEAP:
		days = zone_days(year, 1, 1) + day->day;
		break;
	}
	return days * DAY_S + day->time_s;
}

int64_t
zone_rule_start(const struct zone_rule *rule, int64_t year)
{
	return local_of(&rule->start, year) - rule->standard_s;
}

int64_t
zone_rule_end(const struct zone_rule *rule, int64_t year)
{
	return local_of(&rule->end, year) - rule->summer_s;
}
