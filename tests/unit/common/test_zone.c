/* Tests of common/zone: against libc's own reading of the same files, over changes of several years and kinds, and files that are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/zone.h"

static const char *const names[] = { "Europe/Berlin", "UTC", "Australia/Lord_Howe", "America/New_York", "America/St_Johns",
	                             "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "Europe/Dublin", "Pacific/Chatham",
	                             "America/Sao_Paulo", "Asia/Gaza", "America/Scoresbysund" };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct zone *
load(const char *name)
{
	struct err err = ERR_INIT;
	struct zone *zone = zone_load(name, &err);
	if (zone == NULL)
		fail_msg("%s", err.text);
	return zone;
}

static int64_t
moment(const char *text)
{
	int64_t ms;
	if (clock_parse(text, &ms) != 0)
		fail_msg("%s is no moment", text);
	return ms;
}

static uint64_t
draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* "2026-03-29 03:00:00 +7200" */
static const char *
show(const struct zone *zone, int64_t ms, char out[64])
{
	struct zone_time t;
	zone_local(zone, ms, &t);
	snprintf(out, 64, "%04" PRId64 "-%02d-%02d %02d:%02d:%02d %+" PRId64, t.year, t.month, t.day, t.hour, t.minute, t.second,
	         t.offset_s);
	return out;
}

static void
agrees_with_libc(void **state)
{
	uint64_t seed = 88172645463325252u;
	int64_t span = moment("2120-01-01T00:00:00Z") - moment("1950-01-01T00:00:00Z");
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct zone *zone = load(names[i]);
		setenv("TZ", names[i], 1);
		tzset();
		for (int n = 0; n < 4000; n++) {
			int64_t ms = moment("1950-01-01T00:00:00Z") + (int64_t)(draw(&seed) % (uint64_t)span) / 1000 * 1000, change, first, second;
			if (n % 4 != 0 && zone_next_change(zone, ms, &change)) /* the second before, at and after a change */
				ms = change + (n % 4 - 2) * 1000;
			time_t seconds = (time_t)(ms / 1000);
			struct tm tm;
			struct zone_time t;
			localtime_r(&seconds, &tm);
			zone_local(zone, ms, &t);
			if (t.year != tm.tm_year + 1900 || t.month != tm.tm_mon + 1 || t.day != tm.tm_mday || t.hour != tm.tm_hour ||
			    t.minute != tm.tm_min || t.second != tm.tm_sec || t.weekday != tm.tm_wday || t.offset_s != tm.tm_gmtoff)
				fail_msg("%s at %" PRId64 ": %" PRId64 "-%d-%d %d:%d:%d", names[i], ms, t.year, t.month, t.day, t.hour, t.minute,
				         t.second);
			enum zone_fit fit = zone_utc(zone, &t, &first, &second);
			assert_int_not_equal(fit, ZONE_GAP);
			if (first != ms && second != ms)
				fail_msg("%s: %" PRId64 " comes back as %" PRId64 " or %" PRId64, names[i], ms, first, second);
			assert_int_equal(fit == ZONE_TWICE, first != second);
		}
		zone_free(zone);
	}
	unsetenv("TZ");
	tzset();
}

static void
does_not_ask_the_environment(void **state)
{
	char text[64];
	(void)state;
	struct zone *zone = load("Europe/Berlin");
	setenv("TZ", "America/New_York", 1);
	tzset();
	assert_string_equal(show(zone, moment("2026-07-01T12:00:00Z"), text), "2026-07-01 14:00:00 +7200");
	unsetenv("TZ");
	tzset();
	assert_string_equal(show(zone, moment("2026-12-01T12:00:00Z"), text), "2026-12-01 13:00:00 +3600");
	assert_string_equal(zone_name(zone), "Europe/Berlin");
	zone_free(zone);
}

static enum zone_fit
fit_of(const struct zone *zone, int day, int month, int year, int hour, int minute, int64_t *first, int64_t *second)
{
	struct zone_time t = { .year = year, .month = month, .day = day, .hour = hour, .minute = minute, .ms = 500 };
	return zone_utc(zone, &t, first, second);
}

static void
gaps_and_overlaps_are_told(void **state)
{
	int64_t first, second;
	(void)state;
	struct zone *zone = load("Europe/Berlin");
	assert_int_equal(fit_of(zone, 29, 3, 2026, 1, 59, &first, &second), ZONE_ONCE);
	assert_int_equal(first, moment("2026-03-29T00:59:00.5Z"));
	assert_int_equal(fit_of(zone, 29, 3, 2026, 2, 0, &first, &second), ZONE_GAP);
	assert_int_equal(first, moment("2026-03-29T01:00:00Z"));
	assert_int_equal(fit_of(zone, 29, 3, 2026, 2, 59, &first, &second), ZONE_GAP);
	assert_int_equal(second, moment("2026-03-29T01:00:00Z"));
	assert_int_equal(fit_of(zone, 29, 3, 2026, 3, 0, &first, &second), ZONE_ONCE);
	assert_int_equal(first, moment("2026-03-29T01:00:00.5Z"));
	assert_int_equal(fit_of(zone, 25, 10, 2026, 2, 30, &first, &second), ZONE_TWICE);
	assert_int_equal(first, moment("2026-10-25T00:30:00.5Z"));
	assert_int_equal(second, moment("2026-10-25T01:30:00.5Z"));
	/* Far beyond the table: by the rule. */
	assert_int_equal(fit_of(zone, 25, 3, 2096, 2, 30, &first, &second), ZONE_GAP);
	zone_free(zone);
	zone = load("Australia/Lord_Howe"); /* half an hour, in the other half of the year */
	assert_int_equal(fit_of(zone, 4, 10, 2026, 2, 15, &first, &second), ZONE_GAP);
	assert_int_equal(first, moment("2026-10-03T15:30:00Z"));
	assert_int_equal(fit_of(zone, 4, 10, 2026, 2, 30, &first, &second), ZONE_ONCE);
	assert_int_equal(fit_of(zone, 5, 4, 2026, 1, 45, &first, &second), ZONE_TWICE);
	assert_int_equal(second - first, 1800000);
	zone_free(zone);
	zone = load("Pacific/Apia"); /* went without December 30, 2011 */
	assert_int_equal(fit_of(zone, 30, 12, 2011, 12, 0, &first, &second), ZONE_GAP);
	assert_int_equal(first, moment("2011-12-30T10:00:00Z"));
	zone_free(zone);
}

static void
fields_count_on(void **state)
{
	int64_t first, second;
	(void)state;
	struct zone *zone = load("UTC");
	assert_int_equal(fit_of(zone, 32, 13, 2026, 24, 60, &first, &second), ZONE_ONCE);
	assert_int_equal(first, moment("2027-02-02T01:00:00.5Z"));
	assert_false(zone_next_change(zone, 0, &first));
	zone_free(zone);
	assert_int_equal(zone_days(1970, 1, 1), 0);
	assert_int_equal(zone_days(2000, 3, 1) - zone_days(2000, 2, 28), 2);
	assert_int_equal(zone_days(2100, 3, 1) - zone_days(2100, 2, 28), 1);
	assert_int_equal(zone_days(2026, 14, 0), zone_days(2027, 1, 31));
	assert_int_equal(zone_days(-1, 12, 31), zone_days(0, 1, 0));
}

static void
extremes_are_survived(void **state)
{
	static const int64_t moments[] = { INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX };
	struct zone_time t;
	int64_t change;
	(void)state;
	for (size_t n = 0; n < COUNT(names); n++) {
		struct zone *zone = load(names[n]);
		for (size_t i = 0; i < COUNT(moments); i++) {
			zone_local(zone, moments[i], &t);
			assert_in_range(t.month, 1, 12);
			assert_in_range(t.ms, 0, 999);
			if (zone_next_change(zone, moments[i], &change) && moments[i] > -1000 && moments[i] < 1000)
				assert_true(change > moments[i]);
		}
		zone_free(zone);
	}
}

static void
wrong_names_are_refused(void **state)
{
	static const struct {
		const char *name, *says;
	} cases[] = {
		{ "Europe/Berlim", "Europe/Berlim is not known" }, { "", "no name" }, { "../../etc/passwd", "no name" },
		{ "/etc/localtime", "no name" }, { "Europe", "Europe" }, { "Europe/", "no name" }, { "zone.tab", "no name" },
		{ "tzdata", "tzdata" }, { "right/UTC", "right/UTC" },
		{ "AVeryLongNameOfAZoneThatNobodyEverGaveToAnyPlaceOnThisPlanet_", "no name" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		assert_null(zone_load(cases[i].name, &err));
		assert_string_equal(err.code, "ZONE");
		assert_int_equal(err.class, ERR_PERM);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("\"%s\" says \"%s\"", cases[i].name, err.text);
	}
}

/* --- files made here ------------------------------------------------------------------------------------------------- */

struct file {
	unsigned char data[2000];
	size_t len;
};

static void
add(struct file *file, int64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		file->data[file->len++] = (unsigned char)((uint64_t)value >> (8 * i));
}

static void
add_header(struct file *file, char version, int leaps, int times, int types)
{
	memcpy(file->data + file->len, "TZif", 4);
	file->data[file->len + 4] = (unsigned char)version;
	memset(file->data + file->len + 5, 0, 15);
	file->len += 20;
	int counts[6] = { 0, 0, leaps, times, types, 4 };
	for (int i = 0; i < 6; i++)
		add(file, counts[i], 4);
}

/* Two types (0 and +1 h), changes at 1000 and 2000, and this rule. */
static struct file
make(const char *rule)
{
	struct file file = { .len = 0 };
	add_header(&file, '2', 0, 0, 1);
	add(&file, 0, 6);
	add(&file, 0, 4);
	add_header(&file, '2', 0, 2, 2);
	add(&file, 1000, 8);
	add(&file, 2000, 8);
	add(&file, 0x0100, 2);
	add(&file, 0, 6);
	add(&file, 3600, 4);
	add(&file, 0x0100, 2);
	add(&file, 0, 4);
	file.len += (size_t)snprintf((char *)file.data + file.len, sizeof(file.data) - file.len, "\n%s\n", rule);
	return file;
}

static struct zone *
read_file(const struct file *file, struct err *err)
{
	unsigned char *exact = malloc(file->len + 1); /* what is read beyond it is seen by the sanitizer */
	memcpy(exact, file->data, file->len);
	unsigned char *sized = realloc(exact, file->len > 0 ? file->len : 1);
	struct zone *zone = zone_read("Made/Up", sized, file->len, err);
	free(sized);
	return zone;
}

static void
rules_are_read(void **state)
{
	static const struct {
		const char *rule, *at, *local;
	} cases[] = {
		{ "", "2026-07-01T00:00:00Z", "2026-07-01 00:00:00 +0" }, /* the last change's */
		{ "AAA-5:30", "2026-07-01T00:00:00Z", "2026-07-01 05:30:00 +19800" },
		{ "<-03>3", "2026-07-01T00:00:00Z", "2026-06-30 21:00:00 -10800" },
		{ "AAA0BBB,J60,J300", "2028-03-01T01:59:59Z", "2028-03-01 01:59:59 +0" }, /* J60 is March 1, leap year or not */
		{ "AAA0BBB,J60,J300", "2028-03-01T02:00:00Z", "2028-03-01 03:00:00 +3600" },
		{ "AAA0BBB,59,300", "2028-02-29T02:00:00Z", "2028-02-29 03:00:00 +3600" },
		{ "AAA0BBB,59,300", "2027-03-01T02:00:00Z", "2027-03-01 03:00:00 +3600" },
		{ "AAA3BBB,M3.2.0/-2,M3.5.0/50", "2026-03-08T01:00:00Z", "2026-03-07 23:00:00 -7200" }, /* hours beyond a day */
		{ "XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z", "2025-12-31 23:00:00 -14400" }, /* RFC 8536: summer throughout */
		{ "AAA0BBB,M3.5.0/1,M10.5.0/2", "2026-03-29T01:00:00Z", "2026-03-29 02:00:00 +3600" },
	};
	char text[64];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		struct file file = make(cases[i].rule);
		struct zone *zone = read_file(&file, &err);
		if (zone == NULL)
			fail_msg("%s: %s", cases[i].rule, err.text);
		assert_string_equal(show(zone, moment(cases[i].at), text), cases[i].local);
		assert_string_equal(show(zone, 999999, text), "1970-01-01 00:16:39 +0");
		assert_string_equal(show(zone, 1000000, text), "1970-01-01 01:16:40 +3600");
		zone_free(zone);
	}
}

static void
wrong_rules_are_refused(void **state)
{
	static const char *const rules[] = { "AA0", "AAA", "AAA25", "AAA0BBB", "AAA0BBB,M3.5.0", "AAA0BBB,M13.1.0,M10.1.0",
		                             "AAA0BBB,M3.6.0,M10.1.0", "AAA0BBB,M3.1.7,M10.1.0", "AAA0BBB,J0,J1", "AAA0BBB,366,1",
		                             "AAA0BBB,1,2,3", "<AAA0", "AAA0BBB,1/168,2", "AAA0 ", "AAA0BBB,1/1:60,2" };
	(void)state;
	for (size_t i = 0; i < COUNT(rules); i++) {
		struct err err = ERR_INIT;
		struct file file = make(rules[i]);
		if (read_file(&file, &err) != NULL)
			fail_msg("\"%s\" was taken", rules[i]);
		assert_non_null(strstr(err.text, "Made/Up: the rule"));
	}
}

static void
damaged_files_are_refused(void **state)
{
	static const struct {
		size_t at;
		unsigned char value;
	} marks[] = { { 0, 'X' }, { 4, 0 }, { 20, 0x80 }, { 32, 0x7F }, { 54, 'X' }, { 54 + 31, 1 } /* a leap second */,
		      { 54 + 44 + 8 + 6, 0 } /* order */, { 54 + 44 + 16, 9 } /* type */, { 54 + 44 + 18 + 6, 0x7F } /* offset */ };
	struct err err = ERR_INIT;
	struct file whole = make("AAA0BBB,M3.5.0/1,M10.5.0/2");
	struct zone *zone = read_file(&whole, &err);
	(void)state;
	assert_non_null(zone);
	zone_free(zone);
	for (size_t i = 0; i < COUNT(marks); i++) {
		struct file file = whole;
		file.data[marks[i].at] = marks[i].value;
		if (marks[i].value == 0 && i == 6)
			file.data[marks[i].at + 1] = 0;
		if (read_file(&file, &err) != NULL)
			fail_msg("mark %zu was taken", i);
		assert_int_equal(err.class, ERR_PERM);
	}
	for (size_t len = 0; len < whole.len; len++) {
		struct file file = whole;
		file.len = len;
		if (read_file(&file, &err) != NULL)
			fail_msg("%zu of %zu bytes were taken", len, whole.len);
	}
}

/* Any byte of a real file changed: refused, or a zone that answers. */
static void
changed_bytes_do_no_harm(void **state)
{
	struct file file = { .len = 0 };
	struct err err = ERR_INIT;
	uint64_t seed = 42;
	FILE *stream = fopen(ZONE_FOLDER "/Europe/Lisbon", "rb");
	(void)state;
	assert_non_null(stream);
	file.len = fread(file.data, 1, sizeof(file.data), stream);
	fclose(stream);
	assert_true(file.len > 500);
	for (int i = 0; i < 20000; i++) {
		struct file copy = file;
		for (uint64_t n = draw(&seed) % 4 + 1; n > 0; n--)
			copy.data[draw(&seed) % copy.len] = (unsigned char)draw(&seed);
		struct zone *zone = read_file(&copy, &err);
		if (zone == NULL)
			continue;
		int64_t ms = (int64_t)(draw(&seed) % 4000000000000u), first, second;
		struct zone_time t;
		zone_local(zone, ms, &t);
		zone_utc(zone, &t, &first, &second);
		if (zone_next_change(zone, ms, &first))
			assert_true(first > ms);
		zone_free(zone);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_libc), cmocka_unit_test(does_not_ask_the_environment),
		cmocka_unit_test(gaps_and_overlaps_are_told), cmocka_unit_test(fields_count_on), cmocka_unit_test(extremes_are_survived),
		cmocka_unit_test(wrong_names_are_refused), cmocka_unit_test(rules_are_read), cmocka_unit_test(wrong_rules_are_refused),
		cmocka_unit_test(damaged_files_are_refused), cmocka_unit_test(changed_bytes_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
