/* The two clocks and the one text form of a moment.
 * Local time, sleeping and timers do not live here. */
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t (*replaced_now)(void);
static int64_t (*replaced_mono)(void);

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return replaced_now ? replaced_now() : read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
	return replaced_mono ? replaced_mono() : read_clock(CLOCK_MONOTONIC);
}

int64_t clock_kernel_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

struct timespec clock_kernel_after(int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	if (ms > 0) {
		at.tv_sec += (time_t)(ms / 1000);
		at.tv_nsec += (long)(ms % 1000) * 1000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
	}
	return at;
}

void clock_replace(int64_t (*now_ms)(void), int64_t (*mono_ms)(void))
{
	replaced_now = now_ms;
	replaced_mono = mono_ms;
}

/* The text has four digits for the year, so moments outside 0000..9999 are shown as its first and last one. */
#define FIRST_MS (-62167219200000)
#define LAST_MS 253402300799999

const char *clock_format(int64_t now_ms, char *out)
{
	int64_t ms = now_ms < FIRST_MS ? FIRST_MS : now_ms > LAST_MS ? LAST_MS : now_ms;
	int64_t rest = (ms % 1000 + 1000) % 1000;
	time_t seconds = (time_t)((ms - rest) / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(out, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
	         (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
	         (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)rest % 1000u);
	return out;
}

/* Exactly `count` digits, then `after`. */
static const char *read_digits(const char *at, int count, char after, int *value)
{
	if (!at)
		return NULL;
	*value = 0;
	for (int i = 0; i < count; i++, at++) {
		if (*at < '0' || *at > '9')
			return NULL;
		*value = *value * 10 + (*at - '0');
	}
	if (after == '\0')
		return at;
	return *at == after ? at + 1 : NULL;
}

static const char *read_fraction(const char *at, int *ms)
{
	int scale = 100, digits = 0;

	*ms = 0;
	if (*at != '.')
		return at;
	for (at++; *at >= '0' && *at <= '9'; at++, digits++) {
		*ms += (*at - '0') * scale;
		scale /= 10;
	}
	return digits > 0 && digits <= 9 ? at : NULL;
}

int clock_parse(const char *text, int64_t *now_ms)
{
	struct tm tm = { 0 }, back;
	int year, month, day, hour, minute, second, ms;
	const char *at = text;
	time_t seconds;

	at = read_digits(at, 4, '-', &year);
	at = read_digits(at, 2, '-', &month);
	at = read_digits(at, 2, 'T', &day);
	at = read_digits(at, 2, ':', &hour);
	at = read_digits(at, 2, ':', &minute);
	at = read_digits(at, 2, '\0', &second);
	if (at)
		at = read_fraction(at, &ms);
	if (!at || strcmp(at, "Z") != 0 || hour > 23 || minute > 59 || second > 59)
		return -1;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	seconds = timegm(&tm);
	/* timegm() turns February 30th into March: only what comes back unchanged was a date. */
	gmtime_r(&seconds, &back);
	if (back.tm_year != year - 1900 || back.tm_mon != month - 1 || back.tm_mday != day)
		return -1;
	*now_ms = (int64_t)seconds * 1000 + ms;
	return 0;
}
