/* Patterns of the key table, the variables that go with them and the search for what somebody may have meant.
 * YAML is in conf.c, values are in conf_value.c. */
#include "common/conf_table.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INDEX_DIGITS 4

static const struct conf_list *find_list(const struct conf_table *table, const char *path, size_t len)
{
	for (size_t i = 0; i < table->list_count; i++)
		if (strlen(table->lists[i].path) == len && memcmp(table->lists[i].path, path, len) == 0)
			return &table->lists[i];
	return NULL;
}

enum conf_place conf_table_find(const struct conf_table *table, const char *pattern, const struct conf_key **key,
                                const struct conf_list **list)
{
	size_t len = strlen(pattern);

	if (len == 0)
		return CONF_PLACE_SECTION;
	for (size_t i = 0; i < table->key_count; i++) {
		const char *path = table->keys[i].path;
		if (strncmp(path, pattern, len) != 0)
			continue;
		if (path[len] == '\0') {
			*key = &table->keys[i];
			return CONF_PLACE_KEY;
		}
		if (path[len] == '.')
			return CONF_PLACE_SECTION;
		if (path[len] == '[') {
			*list = find_list(table, pattern, len);
			assert(*list);
			return CONF_PLACE_LIST;
		}
	}
	return CONF_PLACE_UNKNOWN;
}

const struct conf_list *conf_table_list_of(const struct conf_table *table, const struct conf_key *key)
{
	const char *bracket = strstr(key->path, "[]");

	return bracket ? find_list(table, key->path, (size_t)(bracket - key->path)) : NULL;
}

void conf_table_path(const struct conf_key *key, size_t index, char *out)
{
	const char *bracket = strstr(key->path, "[]");

	if (bracket)
		snprintf(out, CONF_PATH_MAX, "%.*s[%zu]%s", (int)(bracket - key->path), key->path, index, bracket + 2);
	else
		snprintf(out, CONF_PATH_MAX, "%s", key->path);
}

/* The pattern in the spelling of variables, with `record` where the index stands. */
static void spell_variable(const char *prefix, const char *pattern, const char *record, char *out)
{
	size_t used = (size_t)snprintf(out, CONF_PATH_MAX, "%s", prefix);

	assert(used < CONF_PATH_MAX);
	for (const char *at = pattern; *at && used + 1 < CONF_PATH_MAX; at++) {
		if (*at == '[') {
			used += (size_t)snprintf(out + used, CONF_PATH_MAX - used, "_%s", record);
			at++;
			assert(used < CONF_PATH_MAX);
		} else {
			out[used++] = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
		}
	}
	out[used] = '\0';
}

void conf_table_variable(const struct conf_table *table, const struct conf_key *key, size_t index, char *out)
{
	char record[24];

	snprintf(record, sizeof(record), "%zu", index);
	spell_variable(table->prefix ? table->prefix : "", key->path, record, out);
}

/* --- the nearest name --- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[CONF_PATH_MAX], a_len = strlen(a), b_len = strlen(b);

	assert(b_len < CONF_PATH_MAX);
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(changed, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

/* Keeps candidate in out when it is nearer to wanted than what was there. Near means: about a third of the letters
 * differ, not counting the sections both have in common. */
static void offer(const char *wanted, const char *candidate, size_t *best, char *out)
{
	size_t found = distance(wanted, candidate), common = 0;

	for (size_t i = 0; wanted[i] && wanted[i] == candidate[i]; i++)
		if (wanted[i] == '.')
			common = i + 1;
	if (found > strlen(wanted + common) / 3 + 1 || found >= *best)
		return;
	*best = found;
	snprintf(out, CONF_PATH_MAX, "%s", candidate);
}

static size_t count_dots(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '.';
	return count;
}

void conf_table_suggest(const struct conf_table *table, const char *pattern, char *out)
{
	size_t levels = count_dots(pattern), best = SIZE_MAX;
	const char *name = strrchr(pattern, '.'), *known;
	char candidate[CONF_PATH_MAX];

	name = name ? name + 1 : pattern;
	out[0] = '\0';
	/* As many levels of each key as the unknown one has: a mistyped section is met here too. */
	for (size_t i = 0; i < table->key_count; i++) {
		size_t dots = 0, len = 0;
		for (known = table->keys[i].path; known[len] && (known[len] != '.' || dots++ < levels); len++)
			;
		snprintf(candidate, sizeof(candidate), "%.*s", (int)len, known);
		if (len > 2 && strcmp(candidate + len - 2, "[]") == 0)
			candidate[len - 2] = '\0';
		offer(pattern, candidate, &best, out);
	}
	if (out[0])
		return;
	/* The right name in the wrong place. */
	for (size_t i = 0; i < table->key_count; i++) {
		known = strrchr(table->keys[i].path, '.');
		if (known && strcmp(known + 1, name) == 0) {
			snprintf(out, CONF_PATH_MAX, "%s", table->keys[i].path);
			return;
		}
	}
}

/* --- the environment --- */

static bool match_index(const char **at, size_t *index)
{
	size_t digits;

	if (**at != '_')
		return false;
	(*at)++;
	digits = strspn(*at, "0123456789");
	if (digits == 0 || digits > INDEX_DIGITS || (digits > 1 && **at == '0'))
		return false;
	*index = 0;
	for (; digits > 0; digits--, (*at)++)
		*index = *index * 10 + (size_t)(**at - '0');
	return true;
}

/* Whether the name (behind the prefix, up to '=') is the variable of key. */
static bool match_variable(const struct conf_key *key, const char *name, size_t *index)
{
	const char *at = name;

	for (const char *p = key->path; *p; p++) {
		if (*p == '[') {
			if (!match_index(&at, index))
				return false;
			p++;
		} else if (*at++ != (*p == '.' ? '_' : (char)toupper((unsigned char)*p))) {
			return false;
		}
	}
	if (key->type == CONF_SECRET && strncmp(at, "_FILE=", 6) == 0)
		return true;
	return *at == '=';
}

static int refuse_variable(const struct conf_table *table, const char *name, struct err *err)
{
	char wanted[CONF_PATH_MAX], candidate[CONF_PATH_MAX], nearest[CONF_PATH_MAX] = "";
	size_t best = SIZE_MAX, used = 0;

	/* Any record's number counts as the same. */
	for (const char *at = name; *at && *at != '=' && used < sizeof(wanted) - 8; at++) {
		size_t digits = *at == '_' ? strspn(at + 1, "0123456789") : 0;
		wanted[used++] = *at;
		if (digits > 0 && at[digits + 1] == '_') {
			memcpy(wanted + used, "<n>", 3);
			used += 3;
			at += digits;
		}
	}
	wanted[used] = '\0';
	for (size_t i = 0; i < table->key_count; i++) {
		spell_variable(table->prefix, table->keys[i].path, "<n>", candidate);
		offer(wanted, candidate, &best, nearest);
	}
	return err_set(err, ERR_PERM, "CONFIG", "environment: unknown variable %.*s%s%s%s", (int)strcspn(name, "="), name,
	               nearest[0] ? " (did you mean " : "", nearest, nearest[0] ? "?)" : "");
}

static int check_variable(const struct conf_table *table, const char *name, size_t *counts, struct err *err)
{
	const char *rest = name + strlen(table->prefix);

	if (strncmp(rest, "CONFIG=", 7) == 0 || strncmp(rest, "TEST_", 5) == 0)
		return 0;
	for (size_t i = 0; i < table->key_count; i++) {
		const struct conf_list *list = conf_table_list_of(table, &table->keys[i]);
		size_t index = 0;
		if (!match_variable(&table->keys[i], rest, &index))
			continue;
		if (list && index >= list->max_records)
			return err_set(err, ERR_PERM, "CONFIG", "%.*s: at most %zu %s, numbered from 0", (int)strcspn(name, "="), name,
			               list->max_records, list->path);
		if (list && index >= counts[list - table->lists])
			counts[list - table->lists] = index + 1;
		return 0;
	}
	return refuse_variable(table, name, err);
}

int conf_table_check_environment(const struct conf_table *table, size_t *counts, struct err *err)
{
	size_t len = table->prefix ? strlen(table->prefix) : 0;

	if (!table->prefix)
		return 0;
	for (char **each = environ; each && *each; each++)
		if (strncmp(*each, table->prefix, len) == 0 && check_variable(table, *each, counts, err) < 0)
			return -1;
	return 0;
}
