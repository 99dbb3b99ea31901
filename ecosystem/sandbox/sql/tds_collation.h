/* tds_collation: what the wire needs of a collation name: its five bytes and the code page of char and varchar. */
#ifndef SANDBOX_SQL_TDS_COLLATION_H
#define SANDBOX_SQL_TDS_COLLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

#define TDS_COLLATION_LEN 5

struct tds_collation {
	uint8_t bytes[TDS_COLLATION_LEN];
	bool utf8; /* else code page 1252 */
};

/* From a name as "Latin1_General_CI_AS", "SQL_Latin1_General_CP1_CI_AS", "German_PhoneBook_100_CI_AI_UTF8".
 * Unknown families count as Latin1_General. */
void tds_collation_init(struct tds_collation *collation, const char *name);
/* Bytes of a char parameter to UTF-8, appended to out. Broken UTF-8 becomes U+FFFD. */
void tds_collation_decode(const struct tds_collation *collation, const uint8_t *data, size_t len, struct buf *out);
/* UTF-8 to the code page, appended to out; what it does not have becomes '?', as SQL Server does. At most max bytes. */
size_t tds_collation_encode(const struct tds_collation *collation, const char *text, size_t len, size_t max,
                            struct buf *out);

#endif
