/* tds_date: date and time values between the engine's text form and the numbers on the wire. Pure functions. */
#ifndef SANDBOX_SQL_TDS_DATE_H
#define SANDBOX_SQL_TDS_DATE_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

#define TDS_DATE_TEXT_MAX 48
#define TDS_TICKS_A_DAY INT64_C(864000000000) /* of 100 ns */

struct tds_date {
	int32_t days;   /* since 0001-01-01, 0..3652058 */
	int64_t ticks;  /* 100 ns since midnight */
	int16_t offset; /* minutes east of UTC; days and ticks are local time */
};

/* Reads "2026-11-24", "05:04:17.1230000", both with a blank (or T) between, and a trailing " +01:00". 0 or -1. */
int tds_date_parse(struct tds_date *date, const char *text, size_t len) MUSTCHECK;
/* Formats into out[TDS_DATE_TEXT_MAX]; digits of the fraction 0..7. Return out. */
const char *tds_date_format_date(const struct tds_date *date, char *out);
const char *tds_date_format_time(const struct tds_date *date, int digits, char *out);
/* Date, blank and time. */
const char *tds_date_format(const struct tds_date *date, int digits, char *out);
/* Days of 1900-01-01, the origin of datetime. */
#define TDS_DATE_1900 693595
#define TDS_DATE_MAX 3652058

/* 10^n for n 0..18 */
int64_t tds_pow10(int n);

#endif
