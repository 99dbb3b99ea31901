/* The report's table, and what it finds by looking at the listings alone. */
#include "worker/jobs/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "common/json.h"
#include "common/utf8.h"

static const struct {
	const char *name, *what;
} rules[REPORT_RULES] = {
#define X(id, name, what) [REPORT_##id] = { name, what },
	REPORT_TABLE(X)
#undef X
};

static void copy_cut(char *out, size_t size, const char *text)
{
	size_t len = utf8_cut(text, strlen(text), size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

void report_add(struct report *report, enum report_rule rule, int64_t sku_id, const char *sku, const char *format, ...)
{
	int64_t place = report->lines[rule].count++;
	struct report_example *example;
	char text[2000];
	va_list args;

	if (place >= REPORT_EXAMPLES)
		return;
	example = &report->lines[rule].examples[place];
	example->sku_id = sku_id;
	copy_cut(example->sku, sizeof(example->sku), sku);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	copy_cut(example->text, sizeof(example->text), text);
}

/* --- one listing by itself --- */

static void look_at_unmapped(struct report *report, const struct listing *item)
{
	if (item->sku[0] == '\0')
		report_add(report, REPORT_EMPTY_SKU, item->sku_id, "", "goods %" PRId64, item->goods_id);
	else if (item->near)
		report_add(report, REPORT_BLANKS, item->sku_id, item->sku, "JTL has \"%s\"", item->near);
	else
		report_add(report, REPORT_UNMAPPED, item->sku_id, item->sku, "goods %" PRId64, item->goods_id);
}

static void look_at_article(struct report *report, const struct listing *item)
{
	if (item->near)
		report_add(report, REPORT_SPELLING, item->sku_id, item->sku, "JTL has \"%s\"", item->near);
	if (listing_recreated(item))
		report_add(report, REPORT_RECREATED, item->sku_id, item->sku, "article %" PRId64 " before, %" PRId64 " now",
		           listing_old_article(item).value, item->article.value);
	if (item->doubled)
		report_add(report, REPORT_DOUBLED, item->sku_id, item->sku, "article %" PRId64, item->article.value);
	if (item->nulls)
		report_add(report, REPORT_NULLS, item->sku_id, item->sku, "article %" PRId64, item->article.value);
	if (item->missing)
		report_add(report, REPORT_MISSING, item->sku_id, item->sku, "article %" PRId64, item->article.value);
}

static void look_at(struct report *report, const struct listing *item)
{
	if (item->was_active && !item->active)
		report_add(report, REPORT_VANISHED, item->sku_id, item->sku, "goods %" PRId64, item->goods_id);
	if (!item->active)
		return;
	if (!item->was_active && !item->fresh)
		report_add(report, REPORT_REAPPEARED, item->sku_id, item->sku, "goods %" PRId64, item->goods_id);
	if (item->wanted.decision == WANTED_UNMAPPED)
		look_at_unmapped(report, item);
	else
		look_at_article(report, item);
}

/* --- listings that have something in common --- */

static int by_article(const void *a, const void *b)
{
	const struct listing *x = *(const struct listing *const *)a, *y = *(const struct listing *const *)b;
	int order = array_order(x->article.value, y->article.value);

	return order ? order : array_order(x->sku_id, y->sku_id);
}

static int by_sku(const void *a, const void *b)
{
	const struct listing *x = *(const struct listing *const *)a, *y = *(const struct listing *const *)b;
	int order = strcmp(x->sku, y->sku);

	return order ? order : array_order(x->sku_id, y->sku_id);
}

static bool same_article(const struct listing *a, const struct listing *b)
{
	return a->article.value == b->article.value;
}

static bool same_sku(const struct listing *a, const struct listing *b)
{
	return strcmp(a->sku, b->sku) == 0;
}

/* Every member of a group of at least two; sorted, so that a group stands together. */
static void add_groups(struct report *report, enum report_rule rule, const struct listing **sorted, size_t count,
                       bool (*same)(const struct listing *, const struct listing *))
{
	for (size_t i = 0; i < count; i++) {
		const struct listing *item = sorted[i], *other = NULL;

		if (i + 1 < count && same(item, sorted[i + 1]))
			other = sorted[i + 1];
		else if (i > 0 && same(item, sorted[i - 1]))
			other = sorted[i - 1];
		if (!other)
			continue;
		if (rule == REPORT_SEVERAL_LISTINGS)
			report_add(report, rule, item->sku_id, item->sku, "article %" PRId64 ", as skuId %" PRId64, item->article.value,
			           other->sku_id);
		else
			report_add(report, rule, item->sku_id, item->sku, "as skuId %" PRId64, other->sku_id);
	}
}

int report_listings(struct report *report, const struct listings *list, struct err *err)
{
	const struct listing **some = calloc(list->count ? list->count : 1, sizeof(*some));
	size_t count = 0;

	if (!some)
		return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for the report");
	for (size_t i = 0; i < list->count; i++) {
		look_at(report, &list->items[i]);
		if (list->items[i].active && list->items[i].article.set)
			some[count++] = &list->items[i];
	}
	if (count > 0)
		qsort(some, count, sizeof(*some), by_article);
	add_groups(report, REPORT_SEVERAL_LISTINGS, some, count, same_article);
	count = 0;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].active && list->items[i].sku[0] != '\0')
			some[count++] = &list->items[i];
	if (count > 0)
		qsort(some, count, sizeof(*some), by_sku);
	add_groups(report, REPORT_DUPLICATE_SKU, some, count, same_sku);
	free(some);
	return 0;
}

/* --- printing --- */

void report_print(const struct report *report, const char *name, size_t room, struct buf *out)
{
	size_t begin = out->len;

	json_array_open(out, name);
	for (int rule = 0; rule < REPORT_RULES; rule++) {
		int64_t count = report->lines[rule].count;

		if (count == 0)
			continue;
		json_object_open(out, NULL);
		json_add_string(out, "rule", rules[rule].name);
		json_add_int64(out, "count", count);
		json_add_string(out, "what", rules[rule].what);
		json_array_open(out, "examples");
		for (int64_t i = 0; i < count && i < REPORT_EXAMPLES && out->len - begin < room; i++) {
			const struct report_example *example = &report->lines[rule].examples[i];

			json_object_open(out, NULL);
			json_add_int64(out, "sku_id", example->sku_id);
			json_add_string(out, "sku", example->sku);
			json_add_string(out, "text", example->text);
			json_object_close(out);
		}
		json_array_close(out);
		json_object_close(out);
	}
	json_array_close(out);
}
