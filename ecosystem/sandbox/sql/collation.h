/* collation: SQL Server's collations as SQLite collations, by the parts of the name: Latin1_General_CI_AS, SQL_Latin1_General_CP1_CI_AS,
 * Latin1_General_BIN2, German_PhoneBook_CI_AI_KS_WS, Latin1_General_100_CI_AS_SC_UTF8 and so on. Pure. */
#ifndef SANDBOX_SQL_COLLATION_H
#define SANDBOX_SQL_COLLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3;

struct collation {
	bool binary;      /* _BIN, _BIN2: code points (UTF-16 order) */
	bool ignore_case; /* CI */
	bool ignore_accent;
};

/* The name in SQL Server's own spelling (static memory) when it is known, any case; else NULL (error 448). */
const char *collation_canonical(const char *name);
/* Description of a known name. */
struct collation collation_of(const char *name);
/* <0, 0, >0; trailing blanks do not count. Invalid UTF-8 bytes compare as they are. */
int collation_compare(const struct collation *c, const char *a, size_t a_len, const char *b, size_t b_len);
/* Do the two texts begin equal under the collation; how many bytes of b does a eat? For CHARINDEX, REPLACE and LIKE.
 * Returns the bytes of `text` that match the whole of `pattern` (0 = no match; pattern not empty). */
size_t collation_match(const struct collation *c, const char *text, size_t text_len, const char *pattern, size_t pattern_len);
/* T-SQL LIKE: % _ [a-z] [^a] and the escape (0 = none). */
bool collation_like(const struct collation *c, const char *text, size_t text_len, const char *pattern, size_t pattern_len,
                    uint32_t escape);
/* Registers all collations that SQL may name, plus DEC (decimal texts), DTO (datetimeoffset) and GUID. Others are found on
 * demand (collation_needed). SQLite result code. */
int collation_register(struct sqlite3 *db);
/* Simple case folding of one code point, for UPPER and LOWER. */
uint32_t collation_upper(uint32_t c);
uint32_t collation_lower(uint32_t c);
/* Equal as identifiers (case does not count). */
bool collation_same_name(const char *a, const char *b);

#endif
