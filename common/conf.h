/* conf: YAML files read through one table of keys. Knows YAML, environment variables and types; the tables live with
 * whoever owns the settings (proto/settings.def). libyaml stays inside conf.c. */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

enum conf_type {
	CONF_STRING, /* char *, heap */
	CONF_INT,    /* int64_t within min..max (plain decimal) */
	CONF_BOOL,   /* bool: true, false */
	CONF_CHOICE, /* int: index into choices ("off|request|require") */
	CONF_SECRET, /* const struct secret * */
	CONF_INTS,   /* struct conf_ints: a YAML list of integers, or a,b,c in the environment */
	CONF_DECIMAL,/* char *, heap: decimal text within min..max */
	CONF_ZONE,   /* char *, heap: a time zone that is known here (zone.h) */
	CONF_WHEN,   /* char *, heap: what cron_parse takes (cron.h) */
	CONF_OBJECT, /* char *, heap: the text of a JSON object; bytes within min..max */
};

struct conf_ints {
	int64_t *values; /* heap */
	size_t count;
};

/* One key. path: "database.server", or "shops[].name" for a list of records. */
struct conf_key {
	const char *path;
	enum conf_type type;
	size_t offset;        /* inside the target struct (the record for "[]" paths) */
	const char *fallback; /* default as text; NULL = required */
	int64_t min, max;     /* range of INT, DECIMAL and each of INTS; bytes of STRING and SECRET (max 0: no limit) */
	const char *choices;  /* CONF_CHOICE */
	const char *help;     /* one sentence with the unit */
};

struct conf_list {
	const char *path;   /* "shops" */
	size_t record_size;
	size_t max_records;
	size_t offset_array; /* void * in the target: heap array of records */
	size_t offset_count; /* size_t in the target */
	bool optional;       /* may be empty: the sample leaves it commented out */
};

/* Reads file (NULL: only environment and defaults) into target by the table. Environment variables win over the file:
 * prefix + path in capitals with '_' ("TEMU_DATABASE_SERVER", "TEMU_SHOPS_0_APP_KEY"), secrets also as ..._FILE.
 * Every error says file:line:column (or the variable), the key and what was expected. Unknown and repeated keys,
 * anchors, aliases, tags, a second document, depth > 16 and files > 256 KB are refused. Unknown prefixed variables are
 * refused, but for <prefix>CONFIG and <prefix>TEST_..., which belong to others. env_prefix NULL: no environment.
 * On failure target holds nothing that needs conf_release.
 * Returns 0, or -1 with a PERM error. Blocks on the file only. */
int conf_load(const char *file, const char *env_prefix, const struct conf_key *keys, size_t key_count,
              const struct conf_list *lists, size_t list_count, void *target, struct err *err) MUSTCHECK;

/* The same for a text in memory; name stands for the file in messages. */
int conf_load_text(const char *name, const char *text, size_t len, const char *env_prefix, const struct conf_key *keys,
                   size_t key_count, const struct conf_list *lists, size_t list_count, void *target,
                   struct err *err) MUSTCHECK;

/* Frees what conf_load put into target (secrets stay registered). */
void conf_release(const struct conf_key *keys, size_t key_count, const struct conf_list *lists, size_t list_count,
                  void *target);

/* The table as a commented sample YAML (for --help-config). */
void conf_print_help(const struct conf_key *keys, size_t key_count, const struct conf_list *lists, size_t list_count,
                     struct buf *out);

#endif
