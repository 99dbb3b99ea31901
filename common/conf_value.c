/* Types of the configuration: checking, storing, freeing, describing.
 * Where a text came from (file, environment, default) does not matter here. */
#include "common/conf_value.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cron.h"
#include "common/json.h"
#include "common/secret.h"
#include "common/utf8.h"
#include "common/zone.h"

#define INTS_MAX 1000
#define DECIMAL_DIGITS_MAX 38 /* SQL Server's */
#define SHOWN_BYTES 60        /* of a wrong value */

static void *field(const struct conf_key *key, void *record)
{
	return (char *)record + key->offset;
}

int conf_value_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
	bool negative = text[0] == '-';
	const char *at = text + negative;
	int64_t value = 0;

	if (*at == '\0' || (at[0] == '0' && (at[1] != '\0' || negative)))
		return -1;
	for (; *at; at++) {
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, (int64_t)10, &value) ||
		    __builtin_sub_overflow(value, (int64_t)(*at - '0'), &value))
			return -1;
	}
	if (!negative && value == INT64_MIN)
		return -1;
	value = negative ? value : -value;
	if (value < min || value > max)
		return -1;
	*out = value;
	return 0;
}

const char *conf_value_expected(const struct conf_key *key, char *out)
{
	switch (key->type) {
	case CONF_STRING:
	case CONF_SECRET:
		if (key->max > 0)
			snprintf(out, CONF_EXPECTED_MAX, "text of %" PRId64 " to %" PRId64 " bytes", key->min, key->max);
		else
			snprintf(out, CONF_EXPECTED_MAX, "text");
		break;
	case CONF_INT:
		snprintf(out, CONF_EXPECTED_MAX, "an integer from %" PRId64 " to %" PRId64, key->min, key->max);
		break;
	case CONF_BOOL:
		snprintf(out, CONF_EXPECTED_MAX, "true or false");
		break;
	case CONF_CHOICE:
		snprintf(out, CONF_EXPECTED_MAX, "one of %s", key->choices);
		break;
	case CONF_INTS:
		snprintf(out, CONF_EXPECTED_MAX, "a list of integers from %" PRId64 " to %" PRId64, key->min, key->max);
		break;
	case CONF_DECIMAL:
		snprintf(out, CONF_EXPECTED_MAX, "a decimal number from %" PRId64 " to %" PRId64, key->min, key->max);
		break;
	case CONF_ZONE:
		snprintf(out, CONF_EXPECTED_MAX, "a time zone, such as Europe/Berlin");
		break;
	case CONF_WHEN:
		snprintf(out, CONF_EXPECTED_MAX, "five fields as cron has them, or an interval such as every 5m");
		break;
	case CONF_OBJECT:
		snprintf(out, CONF_EXPECTED_MAX, "a JSON object of up to %" PRId64 " bytes", key->max);
		break;
	}
	return out;
}

/* --- one function a type: 0, or -1 when the text is not one --- */

static bool printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	return true;
}

/* The field is a char * of its own. */
static bool is_text(const struct conf_key *key)
{
	return key->type == CONF_STRING || key->type == CONF_DECIMAL || key->type == CONF_ZONE || key->type == CONF_WHEN ||
	       key->type == CONF_OBJECT;
}

static bool length_fits(const struct conf_key *key, size_t len)
{
	return key->max == 0 || ((int64_t)len >= key->min && (int64_t)len <= key->max);
}

static int set_string(const struct conf_key *key, const char *text, void *record)
{
	char *copy;

	if (!printable(text) || !length_fits(key, strlen(text)))
		return -1;
	copy = strdup(text);
	*(char **)field(key, record) = copy;
	return copy ? 0 : -1;
}

static int set_secret(const struct conf_key *key, const char *text, void *record)
{
	const struct secret *secret = secret_new(text, strlen(text));

	if (!secret || !length_fits(key, secret_len(secret)))
		return -1;
	*(const struct secret **)field(key, record) = secret;
	return 0;
}

static int set_bool(const struct conf_key *key, const char *text, void *record)
{
	bool value = strcmp(text, "true") == 0;

	if (!value && strcmp(text, "false") != 0)
		return -1;
	*(bool *)field(key, record) = value;
	return 0;
}

static int set_choice(const struct conf_key *key, const char *text, void *record)
{
	size_t len = strlen(text);
	int index = 0;

	if (strchr(text, '|'))
		return -1;
	for (const char *at = key->choices; ; index++) {
		size_t choice = strcspn(at, "|");
		if (choice == len && memcmp(at, text, len) == 0)
			break;
		if (at[choice] == '\0')
			return -1;
		at += choice + 1;
	}
	*(int *)field(key, record) = index;
	return 0;
}

/* One element of "1, 2,3" (blanks around it are dropped) into out. */
static int next_integer(const struct conf_key *key, const char **at, int64_t *out)
{
	const char *start = *at + strspn(*at, " ");
	size_t len = strcspn(start, ",");
	char element[24];

	*at = start[len] == ',' ? start + len + 1 : start + len;
	while (len > 0 && start[len - 1] == ' ')
		len--;
	if (len >= sizeof(element))
		return -1;
	memcpy(element, start, len);
	element[len] = '\0';
	return conf_value_integer(element, key->min, key->max, out);
}

static int set_ints(const struct conf_key *key, const char *text, void *record)
{
	struct conf_ints *ints = field(key, record);
	size_t count = 1;
	const char *at = text;

	if (text[0] == '\0') {
		*ints = (struct conf_ints){ 0 };
		return 0;
	}
	for (const char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ','))
		count++;
	if (count > INTS_MAX)
		return -1;
	ints->values = calloc(count, sizeof(ints->values[0]));
	if (!ints->values)
		return -1;
	ints->count = count;
	for (size_t i = 0; i < count; i++)
		if (next_integer(key, &at, &ints->values[i]) < 0)
			return -1;
	return 0;
}

/* Exact comparison: the integer part first, then whether anything stands behind the point. */
static int set_decimal(const struct conf_key *key, const char *text, void *record)
{
	bool negative = text[0] == '-';
	size_t whole = strspn(text + negative, "0123456789"), places = 0;
	const char *point = text + negative + whole;
	char head[DECIMAL_DIGITS_MAX + 2];
	int64_t value;
	bool more;

	if (*point == '.')
		places = strspn(point + 1, "0123456789");
	if (whole == 0 || whole + places > DECIMAL_DIGITS_MAX || (*point == '.' && places == 0) ||
	    point[*point == '.' ? places + 1 : 0] != '\0')
		return -1;
	more = *point == '.' && strspn(point + 1, "0") != places;
	memcpy(head, text + negative, whole);
	head[whole] = '\0';
	if (conf_value_integer(head, 0, INT64_MAX, &value) < 0)
		return -1;
	value = negative ? -value : value;
	if (value < key->min || value > key->max || (more && !negative && value == key->max) ||
	    (more && negative && value == key->min))
		return -1;
	*(char **)field(key, record) = strdup(text);
	return *(char **)field(key, record) ? 0 : -1;
}

/* The types whose readers say themselves what is wrong. */

static int set_zone(const struct conf_key *key, const char *text, void *record, struct err *err)
{
	struct zone *zone = zone_load(text, err);

	if (!zone)
		return -1;
	zone_free(zone);
	return set_string(key, text, record);
}

static int set_when(const struct conf_key *key, const char *text, void *record, struct err *err)
{
	struct cron cron;

	return cron_parse(text, &cron, err) == 0 ? set_string(key, text, record) : -1;
}

static int set_object(const struct conf_key *key, const char *text, void *record, struct err *err)
{
	struct json *value;
	int failed;

	if (!length_fits(key, strlen(text)))
		return -1;
	value = json_parse(text, strlen(text), err);
	failed = value && json_is_object(value) ? set_string(key, text, record) : -1;
	json_free(value);
	return failed;
}

static int store(const struct conf_key *key, const char *text, void *record, struct err *err)
{
	switch (key->type) {
	case CONF_STRING:
		return set_string(key, text, record);
	case CONF_INT:
		return conf_value_integer(text, key->min, key->max, field(key, record));
	case CONF_BOOL:
		return set_bool(key, text, record);
	case CONF_CHOICE:
		return set_choice(key, text, record);
	case CONF_SECRET:
		return set_secret(key, text, record);
	case CONF_INTS:
		return set_ints(key, text, record);
	case CONF_DECIMAL:
		return set_decimal(key, text, record);
	case CONF_ZONE:
		return set_zone(key, text, record, err);
	case CONF_WHEN:
		return set_when(key, text, record, err);
	case CONF_OBJECT:
		return set_object(key, text, record, err);
	}
	return -1;
}

int conf_value_set(const struct conf_key *key, const char *text, const char *where, const char *path, void *record,
                   struct err *err)
{
	char expected[CONF_EXPECTED_MAX];
	size_t shown = utf8_cut(text, strlen(text), SHOWN_BYTES);
	struct err why = ERR_INIT;

	conf_value_expected(key, expected);
	if (!utf8_valid(text, strlen(text)))
		return err_set(err, ERR_PERM, "CONFIG", "%s: %s: %s expected, found bytes that are not UTF-8", where, path, expected);
	if (store(key, text, record, &why) == 0)
		return 0;
	if (why.class != ERR_NONE)
		return err_set(err, ERR_PERM, "CONFIG", "%s: %s: %s (%s expected)", where, path, why.text, expected);
	if (key->type == CONF_SECRET)
		return err_set(err, ERR_PERM, "CONFIG", "%s: %s: %s expected", where, path, expected);
	return err_set(err, ERR_PERM, "CONFIG", "%s: %s: %s expected, found '%.*s%s'", where, path, expected, (int)shown, text,
	               text[shown] ? "..." : "");
}

void conf_value_clear(const struct conf_key *key, void *record)
{
	switch (key->type) {
	case CONF_STRING:
	case CONF_DECIMAL:
	case CONF_ZONE:
	case CONF_WHEN:
	case CONF_OBJECT:
		*(char **)field(key, record) = NULL;
		break;
	case CONF_SECRET:
		*(const struct secret **)field(key, record) = NULL;
		break;
	case CONF_INTS:
		*(struct conf_ints *)field(key, record) = (struct conf_ints){ 0 };
		break;
	case CONF_INT:
		*(int64_t *)field(key, record) = 0;
		break;
	case CONF_BOOL:
		*(bool *)field(key, record) = false;
		break;
	case CONF_CHOICE:
		*(int *)field(key, record) = 0;
		break;
	}
}

void conf_value_release(const struct conf_key *key, void *record)
{
	if (is_text(key))
		free(*(char **)field(key, record));
	else if (key->type == CONF_INTS)
		free(((struct conf_ints *)field(key, record))->values);
	conf_value_clear(key, record);
}

/* --- the sample --- */

static bool is_optional(const struct conf_list *lists, size_t list_count, const char *path)
{
	size_t len = strcspn(path, "[");

	for (size_t i = 0; i < list_count; i++)
		if (strlen(lists[i].path) == len && strncmp(lists[i].path, path, len) == 0)
			return lists[i].optional;
	return false;
}

/* Opens the sections in which path differs from the one before, commented out where mark is "#"; returns the level of the key itself. */
static int print_sections(const char *before, const char *path, const char *mark, struct buf *out)
{
	int level = 0;
	bool same = true;

	for (size_t start = 0;;) {
		size_t len = strcspn(path + start, ".");
		bool list = len > 2 && path[start + len - 1] == ']';
		if (path[start + len] == '\0')
			return level;
		same = same && strncmp(before, path, start + len + 1) == 0;
		if (!same)
			buf_addf(out, "%s%s%*s%.*s:\n", level == 0 && out->len > 0 ? "\n" : "", mark, level * 2, "",
			         (int)(list ? len - 2 : len), path + start);
		level++;
		if (list) {
			if (!same)
				buf_addf(out, "%s%*s-\n", mark, level * 2, "");
			level++;
		}
		start += len + 1;
	}
}

void conf_print_help(const struct conf_key *keys, size_t key_count, const struct conf_list *lists, size_t list_count,
                     struct buf *out)
{
	const char *before = "";
	char expected[CONF_EXPECTED_MAX];

	for (size_t i = 0; i < key_count; i++) {
		const struct conf_key *key = &keys[i];
		const char *dot = strrchr(key->path, '.');
		int indent = print_sections(before, key->path, is_optional(lists, list_count, key->path) ? "#" : "", out) * 2;
		buf_addf(out, "%*s# %s\n", indent, "", key->help);
		buf_addf(out, "%*s# %s%s\n", indent, "", conf_value_expected(key, expected), key->fallback ? "" : "; required");
		if (key->type == CONF_INTS)
			buf_addf(out, "%*s#%s: [%s]\n", indent, "", dot ? dot + 1 : key->path, key->fallback ? key->fallback : "");
		else if (key->fallback && ((is_text(key) && key->type != CONF_DECIMAL) || key->type == CONF_SECRET))
			buf_addf(out, "%*s#%s: '%s'\n", indent, "", dot ? dot + 1 : key->path, key->fallback);
		else
			buf_addf(out, "%*s#%s:%s%s\n", indent, "", dot ? dot + 1 : key->path, key->fallback ? " " : "",
			         key->fallback ? key->fallback : "");
		before = key->path;
	}
}
