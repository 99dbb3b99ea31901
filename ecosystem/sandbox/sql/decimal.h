/* decimal: exact numbers of up to 38 digits with SQL Server's rules for precision, scale, rounding and overflow.
 * Pure; plain data. */
#ifndef SANDBOX_SQL_DECIMAL_H
#define SANDBOX_SQL_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

#define DECIMAL_DIGITS 38
#define DECIMAL_TEXT 48 /* enough for any text of decimal_format */

typedef unsigned __int128 decimal_units; /* the one typedef: the language has no short name for it */

struct decimal {
	decimal_units units; /* value = units / 10^scale */
	int scale;           /* 0..38 */
	bool negative;       /* never with units 0 */
};

enum decimal_status { DECIMAL_OK, DECIMAL_OVERFLOW, DECIMAL_ZERO_DIVIDE, DECIMAL_MALFORMED };

/* [blanks][sign]digits[.digits][blanks]; no exponent, no empty number. More than 38 digits: overflow (digits after the
 * point beyond the 38th are rounded away). */
enum decimal_status decimal_parse(const char *text, size_t len, struct decimal *out) MUSTCHECK;
/* With exactly scale digits after the point. Returns the length. */
size_t decimal_format(const struct decimal *d, char out[DECIMAL_TEXT]);
void decimal_from_int(int64_t value, struct decimal *out);
/* Rounds half away from zero. Overflow when the value has more than 15 digits beyond what a double carries is not an
 * error: the double's exact value counts. */
enum decimal_status decimal_from_double(double value, int scale, struct decimal *out) MUSTCHECK;
double decimal_to_double(const struct decimal *d);
/* Towards zero. */
enum decimal_status decimal_to_int(const struct decimal *d, int64_t *out) MUSTCHECK;
/* To decimal(precision, scale), rounding half away from zero; truncate cuts instead. */
enum decimal_status decimal_fit(struct decimal *d, int precision, int scale, bool truncate) MUSTCHECK;
int decimal_compare(const struct decimal *a, const struct decimal *b);
/* op + - * / %: the result has exactly `scale` digits, rounded (cut for /), overflow beyond `precision` digits. */
enum decimal_status decimal_calc(char op, const struct decimal *a, const struct decimal *b, int precision, int scale,
                                 struct decimal *out) MUSTCHECK;
/* Precision and scale of a op b by SQL Server's table, cut to 38 as it does. */
void decimal_result_type(char op, int p1, int s1, int p2, int s2, int *precision, int *scale);
/* Number of digits of the units, at least 1. */
int decimal_digits(const struct decimal *d);
decimal_units decimal_power10(int exponent); /* 0..38 */

#endif
