/* conf_value: one value of the configuration: from text into its field, and its description. Private to conf*.c. */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include <stdint.h>
#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

#define CONF_EXPECTED_MAX 200

/* Plain decimal: no sign but '-', no leading zeros, nothing around it. 0 or -1. */
int conf_value_integer(const char *text, int64_t min, int64_t max, int64_t *out);

/* "an integer from 1 to 64" into out[CONF_EXPECTED_MAX]; returns out. */
const char *conf_value_expected(const struct conf_key *key, char *out);

/* Checks text and stores it in the field of record. where and path are for the message; a secret's text is not shown. */
int conf_value_set(const struct conf_key *key, const char *text, const char *where, const char *path, void *record,
                   struct err *err) MUSTCHECK;

/* Frees the field and empties it. */
void conf_value_release(const struct conf_key *key, void *record);
/* Empties the field without looking at it. */
void conf_value_clear(const struct conf_key *key, void *record);

#endif
