/* datetime: dates and times between T-SQL's many texts and days and ticks, with SQL Server's ranges and rounding. Pure.
 * The canonical text form (engine.h) is tds_date's. */
#ifndef SANDBOX_SQL_DATETIME_H
#define SANDBOX_SQL_DATETIME_H

#include <stddef.h>
#include "ecosystem/sandbox/sql/engine.h"
#include "ecosystem/sandbox/sql/tds_date.h"

#define DATETIME_TEXT 64

enum datetime_status { DATETIME_OK, DATETIME_MALFORMED, DATETIME_RANGE, DATETIME_STYLE };

/* A text as CONVERT reads it: order = 'm', 'd', 'y' of SET DATEFORMAT, style 0 or one of CONVERT's. */
enum datetime_status datetime_parse(
	const char *text, size_t len, enum sql_type to, char order, int style, struct tds_date *out) MUSTCHECK;
/* Rounds to what the type holds, leaves out the parts it has not, checks its range. */
enum datetime_status datetime_fit(struct tds_date *d, enum sql_type from, enum sql_type to, int scale) MUSTCHECK;
/* Canonical text of the type. Returns its length. */
size_t datetime_format(const struct tds_date *d, enum sql_type type, int scale, char out[DATETIME_TEXT]);
/* CONVERT(varchar, ..., style). Length, or 0 = not a valid style number (281). */
size_t datetime_style(const struct tds_date *d, enum sql_type type, int scale, int style, char out[DATETIME_TEXT]);
void datetime_civil(int32_t days, int *year, int *month, int *day);
/* -1: no such day. */
int datetime_days(int year, int month, int day, int32_t *out) MUSTCHECK;

#endif
