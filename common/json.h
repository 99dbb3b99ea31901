/* json: reading through cJSON, writing straight into a buf. Integers stay exact to 64 bits in both directions
 * (cJSON keeps doubles, so long integer tokens are quoted before it sees them; libraries.md section 5). */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

struct json; /* a value inside a parsed document; cJSON underneath, never shown */

/* Parses one document of len bytes: valid UTF-8, no trailing junk, no \u0000, depth <= 32. Errors name line:column.
 * The caller frees the result with json_free. */
struct json *json_parse(const char *text, size_t len, struct err *err) MUSTCHECK;
void json_free(struct json *root);

/* Members and elements are borrowed from the root. All readers accept NULL and answer "absent". Names are case-sensitive. */
const struct json *json_get(const struct json *object, const char *name);
const struct json *json_first(const struct json *container); /* of an array or object */
const struct json *json_next(const struct json *value);      /* its sibling */
const char *json_name(const struct json *member);            /* member name, NULL in an array */
size_t json_size(const struct json *container);              /* O(n) */
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_null(const struct json *value); /* also true when absent */
bool json_is_string(const struct json *value);
bool json_is_number(const struct json *value);

/* Text of a string value, NULL otherwise. */
const char *json_string(const struct json *value);
/* Number, or string holding an integer (tolerant reader). 0 or -1 when absent, fractional or out of range. */
int json_int64(const struct json *value, int64_t *out);
/* true/false only. 0 or -1. */
int json_bool(const struct json *value, bool *out);
/* Convenience: member readers with a default for absent, null or mistyped. */
const char *json_get_string(const struct json *object, const char *name, const char *fallback);
int64_t json_get_int64(const struct json *object, const char *name, int64_t fallback);
bool json_get_bool(const struct json *object, const char *name, bool fallback);
/* Compact text of a value, members in order, integers exact, non-ASCII raw, '/' not escaped. */
void json_print(const struct json *value, struct buf *out);

/* Writer: commas are placed by looking at the last byte, so calls nest freely.
 *   json_object_open(b); json_add_string(b, "a", "x"); json_array_open_member(b, "l"); ... json_array_close(b); json_object_close(b);
 * A NULL name writes an array element. A NULL string writes null. Invalid UTF-8 bytes are written as U+FFFD. */
void json_object_open(struct buf *out, const char *name);
void json_object_close(struct buf *out);
void json_array_open(struct buf *out, const char *name);
void json_array_close(struct buf *out);
void json_add_string(struct buf *out, const char *name, const char *value);
void json_add_int64(struct buf *out, const char *name, int64_t value);
void json_add_bool(struct buf *out, const char *name, bool value);
void json_add_null(struct buf *out, const char *name);
/* UTC milliseconds as clock_format writes them; 0 = null. */
void json_add_time(struct buf *out, const char *name, int64_t ms);
/* A double with at most `decimals` digits (durations, shares). */
void json_add_fixed(struct buf *out, const char *name, double value, int decimals);
/* A value that is JSON text already. */
void json_add_raw(struct buf *out, const char *name, const char *json_text);

/* Quoted string in pure ASCII: every non-ASCII character, control character, '"' and '\' as \uXXXX (surrogate pairs above
 * U+FFFF). This is the form in which text travels to SQL Server (libraries.md section 3). */
void json_add_ascii_string(struct buf *out, const char *name, const char *value);

#endif
