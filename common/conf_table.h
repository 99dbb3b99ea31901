/* conf_table: the table of keys as conf and its helpers see it: patterns, names of variables, the nearest known name.
 * Private to conf*.c. Nothing here allocates or blocks. */
#ifndef COMMON_CONF_TABLE_H
#define COMMON_CONF_TABLE_H

#include <stddef.h>
#include "common/conf.h"
#include "common/err.h"

#define CONF_PATH_MAX 160 /* bytes of a path, a pattern or a variable's name with the NUL */

struct conf_table {
	const char *prefix; /* of variables; NULL: the environment is not read */
	const struct conf_key *keys;
	size_t key_count;
	const struct conf_list *lists;
	size_t list_count;
};

enum conf_place { CONF_PLACE_UNKNOWN, CONF_PLACE_KEY, CONF_PLACE_SECTION, CONF_PLACE_LIST };

/* What stands at a pattern ("shops[].name", "" for the root). Sets *key for a key, *list for a list. */
enum conf_place conf_table_find(const struct conf_table *table, const char *pattern, const struct conf_key **key,
                                const struct conf_list **list);

/* The list a "[]" key belongs to, NULL for other keys. */
const struct conf_list *conf_table_list_of(const struct conf_table *table, const struct conf_key *key);

/* "shops[2].name" into out[CONF_PATH_MAX]; index is ignored for keys without "[]". */
void conf_table_path(const struct conf_key *key, size_t index, char *out);
/* "TEMU_SHOPS_2_NAME" into out[CONF_PATH_MAX]. */
void conf_table_variable(const struct conf_table *table, const struct conf_key *key, size_t index, char *out);

/* The known pattern nearest to an unknown one into out[CONF_PATH_MAX], "" when none is close. */
void conf_table_suggest(const struct conf_table *table, const char *pattern, char *out);

/* Refuses unknown variables with the prefix; raises counts[list] to the records the variables speak of. */
int conf_table_check_environment(const struct conf_table *table, size_t *counts, struct err *err) MUSTCHECK;

#endif
