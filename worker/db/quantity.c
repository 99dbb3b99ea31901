/* Exact stock numbers. Only what the stock formulas need. */
#include "worker/db/quantity.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SCALE 100000000000000 /* 10^14 */
#define DECIMALS 14
#define DIGITS_MAX 20

int quantity_parse(const char *text, struct quantity *out)
{
	bool negative = false, cut = false;
	int whole = 0, decimals = 0;
	__int128 units = 0;

	if (*text == '-' || *text == '+')
		negative = *text++ == '-';
	while (*text == '0' && isdigit((unsigned char)text[1]))
		text++;
	for (; isdigit((unsigned char)*text); text++, whole++)
		if (whole < DIGITS_MAX)
			units = units * 10 + (*text - '0');
	if (whole > DIGITS_MAX)
		return -1;
	if (*text == '.')
		for (text++; isdigit((unsigned char)*text); text++) {
			if (decimals < DECIMALS) {
				units = units * 10 + (*text - '0');
				decimals++;
			} else if (*text != '0') {
				cut = true;
			}
		}
	if (*text != '\0' || whole + decimals == 0)
		return -1;
	for (; decimals < DECIMALS; decimals++)
		units *= 10;
	out->units = negative ? -units - (cut ? 1 : 0) : units;
	return 0;
}

struct quantity quantity_of(int64_t whole)
{
	return (struct quantity){ (__int128)whole * SCALE };
}

struct quantity quantity_add(struct quantity a, struct quantity b)
{
	return (struct quantity){ a.units + b.units };
}

struct quantity quantity_sub(struct quantity a, struct quantity b)
{
	return (struct quantity){ a.units - b.units };
}

struct quantity quantity_min(struct quantity a, struct quantity b)
{
	return a.units < b.units ? a : b;
}

static int64_t divide_down(__int128 a, __int128 b)
{
	__int128 result = a / b;

	if (a % b != 0 && a < 0)
		result--;
	if (result > INT64_MAX)
		return INT64_MAX;
	return result < INT64_MIN ? INT64_MIN : (int64_t)result;
}

int64_t quantity_floor(struct quantity q)
{
	return divide_down(q.units, SCALE);
}

int64_t quantity_fits(struct quantity a, struct quantity b)
{
	assert(b.units > 0);
	return divide_down(a.units, b.units);
}

const char *quantity_format(struct quantity q, char out[QUANTITY_TEXT_MAX])
{
	bool negative = q.units < 0;
	unsigned __int128 units = negative ? -(unsigned __int128)q.units : (unsigned __int128)q.units;
	char reverse[QUANTITY_TEXT_MAX] = "";
	size_t len = 0, at = 0;
	int decimals = DECIMALS;

	while (decimals > 0 && units % 10 == 0) {
		units /= 10;
		decimals--;
	}
	for (int written = 0; units != 0 || written <= decimals; written++) {
		if (written == decimals && decimals > 0)
			reverse[len++] = '.';
		reverse[len++] = (char)('0' + (int)(units % 10));
		units /= 10;
	}
	if (negative)
		out[at++] = '-';
	while (len > 0)
		out[at++] = reverse[--len];
	out[at] = '\0';
	return out;
}
