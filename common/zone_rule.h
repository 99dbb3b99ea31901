/* zone_rule: the rule at the end of a TZif file, in the text form of POSIX ("CET-1CEST,M3.5.0,M10.5.0/3"), with the longer hours of
 * RFC 8536. Private to zone*.c. Nothing here allocates or blocks. */
#ifndef COMMON_ZONE_RULE_H
#define COMMON_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#define ZONE_RULE_MAX 100

struct zone_rule_day {
	enum { ZONE_DAY_OF_MONTH, ZONE_DAY_WITHOUT_LEAP, ZONE_DAY_WITH_LEAP } kind;
	int month, week, weekday; /* OF_MONTH: week 5 = the last one */
	int day;                  /* WITHOUT_LEAP: 1..365, February 29 not counted; WITH_LEAP: 0..365 */
	int64_t time_s;           /* local time then */
};

struct zone_rule {
	int32_t standard_s, summer_s; /* local minus UTC */
	bool has_summer;
	struct zone_rule_day start, end; /* of summer time */
};

/* 0 or -1. */
int zone_rule_parse(const char *text, struct zone_rule *rule);

/* The moment at which summer time begins, and ends, in a year (seconds since 1970 UTC). has_summer only. */
int64_t zone_rule_start(const struct zone_rule *rule, int64_t year);
int64_t zone_rule_end(const struct zone_rule *rule, int64_t year);

#endif
