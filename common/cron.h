/* cron: when something that repeats is due: the five fields of cron ("30 2 * * mon-fri"), or an interval ("every 5m"). Pure functions;
 * nothing waits or knows what time it is. */
#ifndef COMMON_CRON_H
#define COMMON_CRON_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/zone.h"

#define CRON_TEXT_MAX 101
#define CRON_EVERY_MAX_S (7 * 86400)

/* Bit n is set when the value n matches. */
struct cron {
	int64_t every_ms;           /* > 0: an interval, and nothing else counts */
	uint64_t minutes;           /* 0..59 */
	uint32_t hours;             /* 0..23 */
	uint32_t days;              /* 1..31 */
	uint32_t months;            /* 1..12 */
	uint32_t weekdays;          /* 0..6, Sunday first */
	bool either;                /* day and weekday are both restricted: one of them is enough, as cron has it */
	bool wild;                  /* minute or hour begins with a star */
};

/* Fields: minute, hour, day of the month, month, weekday; each a star, a value, a range, either with a step (of stars and ranges), or a list
 * of these with commas. Months and weekdays also by their first three letters; Sunday is 0 and 7. "every N" with s, m or h behind
 * the number, 1 s to 7 days. 0, or -1 with PERM BAD_REQUEST saying what is wrong: also for what is never due (February 30). */
int cron_parse(const char *text, struct cron *cron, struct err *err) MUSTCHECK;

/* The first moment after after_ms. An interval's moments are the multiples of it since 1970, so that they are the same after every
 * restart. Where the clocks change it is as with Debian's cron:
 *   fixed minutes and hours   a local time that does not exist is due once, at the first moment after the gap; one that comes twice is
 *                             due the first time only
 *   a star in minute or hour  due in the time that passes really: nothing in a gap, twice where an hour comes twice
 * 0, or -1 when none comes within the next 60 years. */
int cron_next(const struct cron *cron, int64_t after_ms, const struct zone *zone, int64_t *next_ms) MUSTCHECK;

/* The moments after after_ms up to and including until_ms: how many, the first and the last (0 when there are none). Of fields at most
 * CRON_COUNT_MAX are counted; *last_ms is right all the same. */
#define CRON_COUNT_MAX 10000
struct cron_span {
	int64_t count, first_ms, last_ms;
};
void cron_count(const struct cron *cron, int64_t after_ms, int64_t until_ms, const struct zone *zone, struct cron_span *span);

#endif
