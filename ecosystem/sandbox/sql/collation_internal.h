/* collation_internal: text as a row of weights; shared by collation.c and collation_like.c only. */
#ifndef SANDBOX_SQL_COLLATION_INTERNAL_H
#define SANDBOX_SQL_COLLATION_INTERNAL_H

#include "ecosystem/sandbox/sql/collation.h"

struct collation_element {
	uint32_t code; /* the character as written */
	uint32_t letter;
	uint16_t accent;
	bool upper, second; /* second: the rest of a letter that counts as two (ß) */
};

struct collation_reader {
	const unsigned char *at, *end;
	struct collation_element next;
	bool waiting;
};

void collation_reader_init(struct collation_reader *reader, const char *text, size_t len);
bool collation_next(struct collation_reader *reader, struct collation_element *element);

#endif
