/* quantity: stock numbers of JTL, exact: decimal(28,14) and sums of it as a 128-bit count of 10^-14. Never binary floating point.
 */
#ifndef WORKER_DB_QUANTITY_H
#define WORKER_DB_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"

struct quantity {
	__int128 units; /* 10^-14 pieces */
};

#define QUANTITY_TEXT_MAX 48

/* "12.5000000000000", "-3", ".5". More than 14 decimals are cut towards minus infinity (never up), more than 20 digits before the
 * point are refused. 0 or -1. */
int quantity_parse(const char *text, struct quantity *out) MUSTCHECK;
struct quantity quantity_of(int64_t whole);
struct quantity quantity_add(struct quantity a, struct quantity b);
struct quantity quantity_sub(struct quantity a, struct quantity b);
struct quantity quantity_min(struct quantity a, struct quantity b);
/* Whole pieces, rounded down (-0.5 is -1), kept inside int64_t. */
int64_t quantity_floor(struct quantity q);
/* Whole times b fits into a, rounded down; b must be above 0. */
int64_t quantity_fits(struct quantity a, struct quantity b);
/* Shortest exact text: "2.5", "7", "-0.25". Returns out. */
const char *quantity_format(struct quantity q, char out[QUANTITY_TEXT_MAX]);

#endif
