/* zone: a time zone by its name, from the system's tzdata; independent of TZ and of libc's local time. Gregorian calendar throughout.
 * A zone never changes after it was loaded: any thread may ask it. Nothing but zone_load blocks (on its file). */
#ifndef COMMON_ZONE_H
#define COMMON_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

struct zone;

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 61

/* "Europe/Berlin", "UTC". NULL with PERM ZONE: a name that is none, no such file, or one that is not TZif version 2 or later. */
struct zone *zone_load(const char *name, struct err *err) MUSTCHECK;
/* The same from a file's bytes (RFC 8536). */
struct zone *zone_read(const char *name, const unsigned char *data, size_t len, struct err *err) MUSTCHECK;
void zone_free(struct zone *zone); /* NULL is fine */
const char *zone_name(const struct zone *zone);

/* A moment as clocks on the wall show it. */
struct zone_time {
	int64_t year;
	int month, day;                 /* from 1 */
	int hour, minute, second, ms;
	int weekday;                    /* 0 = Sunday; set by zone_local, not read */
	int64_t offset_s;               /* local minus UTC; set by zone_local, not read */
};

void zone_local(const struct zone *zone, int64_t utc_ms, struct zone_time *out);

enum zone_fit {
	ZONE_ONCE,
	ZONE_GAP,   /* there was no such local time: the clocks went over it */
	ZONE_TWICE, /* the clocks were set back over it */
};
/* The moment(s) of a local time: *first_ms, and *second_ms for ZONE_TWICE (else equal). For ZONE_GAP both are the first moment after
 * the gap. Fields beyond their range count on (day 32, hour 24, month 13). */
enum zone_fit zone_utc(const struct zone *zone, const struct zone_time *local, int64_t *first_ms, int64_t *second_ms);

/* The first moment after after_ms at which local minus UTC becomes another. false: none that is known. */
bool zone_next_change(const struct zone *zone, int64_t after_ms, int64_t *change_ms);

/* Days from 1970-01-01 to this date (negative before). month and day may lie beyond their range. */
int64_t zone_days(int64_t year, int64_t month, int64_t day);

#endif
