/* The text of a shop's rules, straight from the table of settings, and the difference of two texts. What follows from a difference is
 * the guard's business. */
#include "worker/jobs/rules.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"

#define LIST_MAX 1400 /* of LEDGER_RULES_MAX */

struct rule {
	const char *path;
	enum conf_type type;
	size_t offset;
	const char *choices;
};

static const struct rule table[] = {
#define KEY(path, type, field, fallback, min, max, choices, help)
#define HOOK_KEY(path, type, field, fallback, min, max, choices, help)
#define SHOP_KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct shop_settings, field), choices },
#include "proto/settings.def"
#undef HOOK_KEY
#undef KEY
#undef SHOP_KEY
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))
#define PREFIX "shops[]."

/* Those of a shop's settings that are no rules. */
static const char *const others[] = { "id",
	                              "name",
	                              "region",
	                              "url",
	                              "app_key",
	                              "app_secret",
	                              "access_token",
	                              "zero_share_percent",
	                              "zero_share_least",
	                              "raise_share_percent",
	                              "raise_share_least" };

static bool is_rule(const char *name)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return false;
	return true;
}

static void add_choice(struct buf *out, const char *choices, int index)
{
	for (; index > 0 && strchr(choices, '|'); index--)
		choices = strchr(choices, '|') + 1;
	buf_add(out, choices, strcspn(choices, "|"));
}

static int compare_numbers(const void *a, const void *b)
{
	return array_order(*(const int64_t *)a, *(const int64_t *)b);
}

/* FNV-1a over the numbers' bytes. */
static uint64_t digest(uint64_t sum, int64_t value)
{
	for (int i = 0; i < 8; i++)
		sum = (sum ^ (((uint64_t)value >> (8 * i)) & 0xff)) * 1099511628211U;
	return sum;
}

static void add_list(struct buf *out, const struct conf_ints *ints)
{
	size_t begin = out->len, count = 0;
	int64_t *sorted = calloc(ints->count ? ints->count : 1, sizeof(*sorted));
	uint64_t sum = 14695981039346656037U;
	bool cut = false;

	if (!sorted) { /* a text that differs from every other: the guard asks rather than not */
		buf_add_text(out, "?");
		return;
	}
	for (size_t i = 0; i < ints->count; i++)
		sorted[i] = ints->values[i];
	qsort(sorted, ints->count, sizeof(*sorted), compare_numbers);
	for (size_t i = 0; i < ints->count; i++) {
		if (i > 0 && sorted[i] == sorted[i - 1])
			continue;
		sum = digest(sum, sorted[i]);
		cut = out->len - begin > LIST_MAX;
		if (!cut)
			buf_addf(out, "%s%" PRId64, count++ > 0 ? "," : "", sorted[i]);
	}
	if (cut)
		buf_addf(out, ",...#%016" PRIx64, sum);
	free(sorted);
}

static void add_rule(struct buf *out, const struct rule *rule, const struct shop_settings *shop)
{
	const char *at = (const char *)shop + rule->offset;

	buf_addf(out, "%s%s=", out->len ? "\n" : "", rule->path + strlen(PREFIX));
	if (rule->type == CONF_CHOICE)
		add_choice(out, rule->choices, *(const int *)(const void *)at);
	else if (rule->type == CONF_INTS)
		add_list(out, (const struct conf_ints *)(const void *)at);
	else
		buf_addf(out, "%" PRId64, *(const int64_t *)(const void *)at);
}

void rules_text(const struct shop_settings *shop, const char *jtl_database, char out[LEDGER_RULES_MAX])
{
	struct buf text;

	buf_init(&text, LEDGER_RULES_MAX);
	buf_addf(&text, "database=%s", jtl_database);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (is_rule(table[i].path + strlen(PREFIX)))
			add_rule(&text, &table[i], shop);
	snprintf(out, LEDGER_RULES_MAX, "%s", buf_text(&text));
	buf_release(&text);
}

/* --- difference --- */

struct line {
	const char *name, *value;
	size_t name_len, value_len;
};

/* The line at *at, which moves on; false at the end. */
static bool next_line(const char **at, struct line *line)
{
	size_t len = strcspn(*at, "\n"), name_len = strcspn(*at, "=\n");

	if (len == 0)
		return false;
	*line = (struct line){ *at, *at + name_len, name_len, len - name_len };
	if (line->value_len > 0) {
		line->value++;
		line->value_len--;
	}
	*at += len;
	*at += **at == '\n';
	return true;
}

static bool find_line(const char *text, const struct line *wanted, struct line *found)
{
	while (next_line(&text, found))
		if (found->name_len == wanted->name_len && memcmp(found->name, wanted->name, wanted->name_len) == 0)
			return true;
	*found = (struct line){ .name = "", .value = "" };
	return false;
}

static void add_value(struct buf *out, const struct line *line)
{
	if (line->value_len > 0) {
		buf_add_char(out, ' ');
		buf_add(out, line->value, line->value_len);
	}
}

static void add_difference(struct buf *out, const struct line *name, const struct line *before, const struct line *after)
{
	if (out->len > 0)
		buf_add_text(out, ", ");
	buf_add(out, name->name, name->name_len);
	buf_add_char(out, ':');
	add_value(out, before);
	buf_add_text(out, " ->");
	add_value(out, after);
}

void rules_diff(const char *before, const char *after, struct buf *out)
{
	struct line line, other;

	for (const char *at = before; next_line(&at, &line);)
		if (!find_line(after, &line, &other) || line.value_len != other.value_len ||
		    memcmp(line.value, other.value, line.value_len) != 0)
			add_difference(out, &line, &line, &other);
	for (const char *at = after; next_line(&at, &line);)
		if (!find_line(before, &line, &other))
			add_difference(out, &line, &other, &line);
}
