/* gw_json: the gateway's own strict JSON reader. Deliberately not the daemons' reader: it keeps number tokens as text,
 * keeps repeated members, and prints a value back in the compact form that the signature needs (temu_api.md 2.2). */
#ifndef GW_JSON_H
#define GW_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

enum gw_type { GW_NULL, GW_TRUE, GW_FALSE, GW_NUMBER, GW_STRING, GW_ARRAY, GW_OBJECT };

/* A value; everything in it belongs to the document. */
struct gw_value {
	enum gw_type type;
	const char *name;               /* member name, NULL in an array */
	const char *text;               /* decoded string or the number token, NUL-terminated */
	const struct gw_value *first;   /* of an array or object */
	const struct gw_value *next;    /* its sibling */
};

struct gw_chunk;
struct gw_doc {
	const struct gw_value *root;
	struct gw_chunk *chunks;
};

/* Parses one document (depth <= 32, valid UTF-8, no \u0000, nothing behind it). Release the document in either case. */
int gw_doc_parse(struct gw_doc *doc, const char *text, size_t len, struct err *err) MUSTCHECK;
void gw_doc_release(struct gw_doc *doc);

/* The first member of that name, NULL when absent or not an object. NULL is accepted. */
const struct gw_value *gw_get(const struct gw_value *object, const char *name);
/* Text of a string, else NULL. */
const char *gw_string(const struct gw_value *value);
/* A JSON number that is a plain integer of 64 bits. 0 or -1. Strings are refused. */
int gw_int64(const struct gw_value *value, int64_t *out);
/* Member readers with a default for absent and mistyped (the control port and the data file use them). */
int64_t gw_get_int64(const struct gw_value *object, const char *name, int64_t fallback);
const char *gw_get_string(const struct gw_value *object, const char *name, const char *fallback);
/* Compact text: no blanks, members in order, raw UTF-8, '/' bare. */
void gw_print(const struct gw_value *value, struct buf *out);

#endif
