/* Tests of common/cron: what is read and refused, the moments by hand, and against a clock that is walked minute by minute over both
 * changes of many years. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/cron.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int64_t
moment(const char *text)
{
	int64_t ms;
	if (clock_parse(text, &ms) != 0)
		fail_msg("%s is no moment", text);
	return ms;
}

static struct cron
parse(const char *text)
{
	struct cron cron;
	struct err err = ERR_INIT;
	if (cron_parse(text, &cron, &err) != 0)
		fail_msg("%s", err.text);
	return cron;
}

static struct zone *
load(const char *name)
{
	struct err err = ERR_INIT;
	struct zone *zone = zone_load(name, &err);
	if (zone == NULL)
		fail_msg("%s", err.text);
	return zone;
}

static void
fields_are_read(void **state)
{
	struct cron cron = parse("0,30 2-4 */10 jan,Mar-may sat-sun");
	(void)state;
	assert_int_equal(cron.minutes, UINT64_C(1) | UINT64_C(1) << 30);
	assert_int_equal(cron.hours, 1u << 2 | 1u << 3 | 1u << 4);
	assert_int_equal(cron.days, 1u << 1 | 1u << 11 | 1u << 21 | 1u << 31);
	assert_int_equal(cron.months, 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5);
	assert_int_equal(cron.weekdays, 1u << 6 | 1u << 0);
	assert_false(cron.either); /* day begins with a star */
	assert_false(cron.wild);
	cron = parse(" \t*/15\t*  1  *  7 ");
	assert_true(cron.wild);
	assert_true(cron.either);
	assert_int_equal(cron.weekdays, 1);
	assert_int_equal(parse("5 4 * * 0").weekdays, parse("5 4 * * SUN").weekdays);
	assert_int_equal(parse("10-50/20 1 * * 1-7/3").minutes, UINT64_C(1) << 10 | UINT64_C(1) << 30 | UINT64_C(1) << 50);
	assert_int_equal(parse("0 0 * * 1-7/3").weekdays, 1u << 1 | 1u << 4 | 1u << 0);
	assert_int_equal(parse("0 0 * * *").weekdays, 0x7F);
	assert_int_equal(parse("every 5m").every_ms, 300000);
	assert_int_equal(parse("every 300s").every_ms, 300000);
	assert_int_equal(parse("every  168h").every_ms, 168 * INT64_C(3600000));
}

static void
wrong_texts_are_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "minute" }, { "   ", "minute" }, { "* * * *", "missing: weekday" }, { "* * * * * *", "behind the weekday" },
		{ "60 * * * *", "not understood: minute" }, { "* 24 * * *", "hour" }, { "* * 0 * *", "day of the month" },
		{ "* * 32 * *", "day of the month" }, { "* * * 0 *", "month" }, { "* * * 13 *", "month" }, { "* * * * 8", "weekday" },
		{ "*/0 * * * *", "minute" }, { "*/60 * * * *", "minute" }, { "5/10 * * * *", "minute" }, { "5-1 * * * *", "minute" },
		{ "1, * * * *", "minute" }, { ",1 * * * *", "minute" }, { "1,,2 * * * *", "minute" }, { "-1 * * * *", "minute" },
		{ "1- * * * *", "minute" }, { "* * * * mo", "weekday" }, { "* * * * monday", "weekday" }, { "* * * mon *", "month" },
		{ "1.5 * * * *", "minute" }, { "** * * * *", "minute" }, { "0 0 30 2 *", "no such day" }, { "0 0 31 4,6,9,11 *", "no such day" },
		{ "@hourly", "five fields" }, { "@daily", "five fields" }, { "every", "every" }, { "every 5", "s, m or h" },
		{ "every m", "s, m or h" }, { "everyday", "s, m or h" }, { "every 0s", "every" }, { "every 169h", "every" }, { "every 5d", "every" }, { "every 5mm", "every" },
		{ "every -5m", "every" }, { "every 999999999s", "every" }, { "every 9999999999s", "every" }, { "every 1.5h", "every" },
		{ "1 1 1 1 1 00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", "too long" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cron cron;
		struct err err = ERR_INIT;
		if (cron_parse(cases[i].text, &cron, &err) == 0)
			fail_msg("\"%s\" was taken", cases[i].text);
		assert_string_equal(err.code, "BAD_REQUEST");
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("\"%s\" says %s", cases[i].text, err.text);
	}
	parse("0 0 29 2 *");
	parse("0 0 30 2 mon"); /* Mondays in February */
}

/* Moments by hand: the spec, the zone, from when on, and the moments that follow. */
static void
moments_are_right(void **state)
{
	static const struct {
		const char *when, *zone, *after, *next[4];
	} cases[] = {
		{ "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", /* spring: 02:30 does not exist */
		  { "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z" } },
		{ "0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", { "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z" } },
		{ "0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", { "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z" } },
		{ "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", /* autumn: twice, due once */
		  { "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" } },
		{ "0 3 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", { "2026-10-25T02:00:00Z" } },
		{ "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z",
		  { "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z" } },
		{ "30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", /* in real hours */
		  { "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z" } },
		{ "* 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", { "2026-03-30T00:00:00Z", "2026-03-30T00:01:00Z" } },
		{ "* 0 * * mon", "Europe/Berlin", "2026-03-28T23:30:00Z", /* the day before has 23 hours, and 25 */
		  { "2026-03-29T22:00:00Z", "2026-03-29T22:01:00Z" } },
		{ "*/30 0 * * mon", "Europe/Berlin", "2026-10-24T22:30:00Z", { "2026-10-25T23:00:00Z", "2026-10-25T23:30:00Z" } },
		{ "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", { "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z" } },
		{ "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", { "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z" } },
		{ "*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:40:00Z",
		  { "2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z", "2026-04-04T15:30:00Z" } },
		{ "30 2 * * *", "UTC", "2026-03-29T00:00:00Z", { "2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z" } },
		{ "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", /* the day that was left out */
		  { "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z" } },
		{ "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", { "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z" } },
		{ "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", { "2104-02-29T00:00:00Z" } },
		{ "*/1 * 29 2 */6", "UTC", "2026-01-01T00:00:00Z", { "2032-02-29T00:00:00Z", "2032-02-29T00:01:00Z" } },
		{ "0 6 13 * fri", "UTC", "2026-11-01T00:00:00Z", /* either of them */
		  { "2026-11-06T06:00:00Z", "2026-11-13T06:00:00Z", "2026-11-20T06:00:00Z", "2026-11-27T06:00:00Z" } },
		{ "0 6 */13 * fri", "UTC", "2026-11-01T00:00:00Z", { "2026-11-27T06:00:00Z", "2027-01-01T06:00:00Z" } }, /* both */
		{ "59 23 31 12 *", "Europe/Berlin", "2026-12-31T22:58:59.999Z", { "2026-12-31T22:59:00Z", "2027-12-31T22:59:00Z" } },
		{ "every 5m", "Europe/Berlin", "2026-10-25T00:58:00Z", { "2026-10-25T01:00:00Z", "2026-10-25T01:05:00Z" } },
		{ "every 2h", "UTC", "2026-11-25T02:00:00Z", { "2026-11-25T04:00:00Z", "2026-11-25T06:00:00Z" } },
		{ "every 300s", "UTC", "1969-12-31T23:59:59Z", { "1970-01-01T00:00:00Z" } },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cron cron = parse(cases[i].when);
		struct zone *zone = load(cases[i].zone);
		int64_t at = moment(cases[i].after);
		for (size_t n = 0; n < COUNT(cases[i].next) && cases[i].next[n] != NULL; n++) {
			char text[CLOCK_TEXT_MAX];
			assert_int_equal(cron_next(&cron, at, zone, &at), 0);
			if (at != moment(cases[i].next[n]))
				fail_msg("%s in %s, %zu: %s, not %s", cases[i].when, cases[i].zone, n, clock_format(at, text), cases[i].next[n]);
		}
		zone_free(zone);
	}
	struct cron never = parse("0 0 29 2 *");
	never.days = 1u << 30; /* as no text says it */
	struct zone *utc = load("UTC");
	int64_t next;
	assert_int_equal(cron_next(&never, 0, utc, &next), -1);
	never.wild = true;
	assert_int_equal(cron_next(&never, 0, utc, &next), -1);
	zone_free(utc);
}

/* --- a clock walked minute by minute --------------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static bool
field_matches(uint64_t bits, int64_t value)
{
	return bits >> value & 1;
}

static bool
minute_matches(const struct cron *cron, int64_t local_minute, bool with_time)
{
	struct zone_time t;
	static struct zone *utc;
	if (utc == NULL)
		utc = load("UTC");
	zone_local(utc, local_minute * 60000, &t);
	bool day = field_matches(cron->days, t.day), weekday = field_matches(cron->weekdays, t.weekday);
	return field_matches(cron->months, t.month) && (cron->either ? day || weekday : day && weekday) &&
	       (!with_time || (field_matches(cron->minutes, t.minute) && field_matches(cron->hours, t.hour)));
}

/* What is due at this minute; *seen is the latest local minute that was shown before. */
static bool
walk(const struct cron *cron, const struct zone *zone, int64_t utc_minute, int64_t *seen)
{
	struct zone_time t;
	zone_local(zone, utc_minute * 60000, &t);
	int64_t local = utc_minute + t.offset_s / 60;
	bool due = false;
	if (cron->wild)
		return minute_matches(cron, local, true);
	for (int64_t minute = *seen + 1; minute <= local; minute++)
		due = due || minute_matches(cron, minute, true);
	*seen = local > *seen ? local : *seen;
	return due;
}

static void
random_text(char text[CRON_TEXT_MAX])
{
	static const char *const minutes[] = { "0", "30", "15,45", "*", "*/7", "59", "0-10/5", "1,2,58" };
	static const char *const hours[] = { "2", "1-3", "*", "*/2", "0", "23", "0,1,2,3", "3" };
	static const char *const days[] = { "*", "*", "*", "1", "25-31", "*/2", "8" };
	static const char *const weekdays[] = { "*", "*", "*", "sun", "mon-fri", "0,6" };
	snprintf(text, CRON_TEXT_MAX, "%s %s %s * %s", minutes[draw(COUNT(minutes))], hours[draw(COUNT(hours))], days[draw(COUNT(days))],
	         weekdays[draw(COUNT(weekdays))]);
}

static void
agrees_with_a_walked_clock(void **state)
{
	static const char *const zones[] = { "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "UTC", "America/St_Johns",
		                             "Africa/Casablanca", "Asia/Gaza" };
	char text[CRON_TEXT_MAX];
	size_t due = 0;
	(void)state;
	for (size_t z = 0; z < COUNT(zones); z++) {
		struct zone *zone = load(zones[z]);
		int64_t change = moment("2005-06-01T00:00:00Z");
		for (int n = 0; n < 60; n++) { /* some 30 years of changes */
			if (!zone_next_change(zone, change, &change))
				change += INT64_C(86400000) * 180;
			for (int k = 0; k < 10; k++) {
				random_text(text);
				struct cron cron = parse(text);
				int64_t begin = change / 60000 - 60 - draw(1200), end = change / 60000 + 60 + draw(1200), seen, next;
				struct zone_time t;
				zone_local(zone, (begin - 1) * 60000, &t);
				seen = begin - 1 + t.offset_s / 60;
				assert_int_equal(cron_next(&cron, begin * 60000 - 1, zone, &next), 0);
				for (int64_t minute = begin; minute <= end; minute++) {
					bool is_due = walk(&cron, zone, minute, &seen);
					if (is_due != (next == minute * 60000))
						fail_msg("%s in %s: %sdue at minute %" PRId64 " by the walk, next is %" PRId64, text, zones[z],
						         is_due ? "" : "not ", minute, next / 60000);
					due += is_due;
					if (is_due)
						assert_int_equal(cron_next(&cron, next, zone, &next), 0);
				}
			}
		}
		zone_free(zone);
	}
	assert_true(due > 50000);
}

static void
spans_are_counted(void **state)
{
	struct cron_span span;
	int64_t from = moment("2026-11-25T00:00:00Z");
	(void)state;
	struct zone *zone = load("Europe/Berlin");
	struct cron cron = parse("every 5m");
	cron_count(&cron, from, from + 3600000, zone, &span);
	assert_int_equal(span.count, 12);
	assert_int_equal(span.first_ms, from + 300000);
	assert_int_equal(span.last_ms, from + 3600000);
	cron_count(&cron, from, from + 299999, zone, &span);
	assert_int_equal(span.count, 0);
	assert_int_equal(span.first_ms, 0);
	cron = parse("every 1s");
	cron_count(&cron, from, from + INT64_C(86400000) * 3650, zone, &span);
	assert_int_equal(span.count, 86400 * 3650);
	cron = parse("0 3 * * *");
	cron_count(&cron, from, from + INT64_C(86400000) * 10, zone, &span);
	assert_int_equal(span.count, 10);
	assert_int_equal(span.first_ms, moment("2026-11-25T02:00:00Z"));
	assert_int_equal(span.last_ms, moment("2026-12-04T02:00:00Z"));
	/* More than are counted: the last one is right. */
	cron = parse("* * * * *");
	cron_count(&cron, from, moment("2027-11-25T00:00:30Z"), zone, &span);
	assert_int_equal(span.count, CRON_COUNT_MAX);
	assert_int_equal(span.last_ms, moment("2027-11-25T00:00:00Z"));
	cron = parse("* * 1 1 *");
	cron_count(&cron, from, moment("2040-06-01T00:00:00Z"), zone, &span);
	assert_int_equal(span.count, CRON_COUNT_MAX);
	assert_int_equal(span.last_ms, moment("2040-01-01T22:59:00Z"));
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read), cmocka_unit_test(wrong_texts_are_refused), cmocka_unit_test(moments_are_right),
		cmocka_unit_test(agrees_with_a_walked_clock), cmocka_unit_test(spans_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
