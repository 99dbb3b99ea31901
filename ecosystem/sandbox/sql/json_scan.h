/* json_scan: JSON text as SQL Server reads it, without building a tree: validation, paths (lax and strict), decoding. Pure.
 * Numbers stay the text they are, so that decimals never go through a double. */
#ifndef SANDBOX_SQL_JSON_SCAN_H
#define SANDBOX_SQL_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"

/* A value inside the text; the same numbers as OPENJSON's type column. */
enum json_type { JSON_SCAN_NULL, JSON_SCAN_STRING, JSON_SCAN_NUMBER, JSON_SCAN_BOOL, JSON_SCAN_ARRAY, JSON_SCAN_OBJECT };
struct json_span {
	const char *at; /* NULL = not there */
	size_t len;
	enum json_type type;
};

#define JSON_STEPS_MAX 16

struct json_step {
	const char *key; /* decoded; NULL = index */
	size_t key_len;
	long index;
};

struct json_path {
	bool strict;
	int count;
	struct json_step steps[JSON_STEPS_MAX];
	char keys[512];
};

/* 0, or -1 and the offset of the first wrong character. Objects, arrays and, as SQL Server 2022 does, nothing else at the top. */
int json_scan_check(const char *text, size_t len, size_t *wrong) MUSTCHECK;
/* The value that begins at p (blanks before it are skipped) of checked text. */
struct json_span json_scan_value(const char *p, const char *end);
/* Members of an object or elements of an array, one after the other. Start with at = inside of the bracket. */
struct json_cursor {
	const char *at, *end;
	bool object;
};
void json_scan_enter(const struct json_span *container, struct json_cursor *cursor);
/* key: with its quotes, at NULL for arrays. False at the end. */
bool json_scan_next(struct json_cursor *cursor, struct json_span *key, struct json_span *value);
/* Is the quoted key this text? */
bool json_scan_key_is(const struct json_span *key, const char *text, size_t len);
/* Decodes a string span (with its quotes) into out (span.len bytes are enough); returns the length. */
size_t json_scan_decode(const struct json_span *string, char *out);

/* -1: not a path (13607). */
int json_path_parse(const char *text, size_t len, struct json_path *path) MUSTCHECK;
/* From step `first` on; at NULL when it is not there. */
struct json_span json_path_find(struct json_span from, const struct json_path *path, int first);

#endif
