/* collation_data: letters with their accents taken off, and letter pairs of upper and lower case. Plain tables, made from the Unicode
 * character data; sorted by code point. */
#ifndef SANDBOX_SQL_COLLATION_DATA_H
#define SANDBOX_SQL_COLLATION_DATA_H

#include <stddef.h>
#include <stdint.h>

struct collation_letter {
	uint16_t letter, base;
	uint16_t mark; /* combining marks, several mixed as mark * 31 + next */
};

/* first, first + step, ... last are upper case; lower = upper + shift */
struct collation_case {
	uint16_t first, last;
	uint16_t step;
	int32_t shift;
};

extern const struct collation_letter collation_letters[];
extern const size_t collation_letter_count;
extern const struct collation_case collation_cases[];
extern const size_t collation_case_count;

#endif
