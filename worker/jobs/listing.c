/* Bringing ledger and catalogue together. What follows from it is decided in wanted.c and plan.c. */
#include "worker/jobs/listing.h"

#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "worker/jobs/plan.h"

static int no_memory(struct err *err)
{
	return err_set(err, ERR_TEMP, "LISTING_MEMORY", "no memory for the listings");
}

static void release_listing(struct listing *item)
{
	free(item->sku);
	free(item->name);
	free(item->near);
}

void listings_release(struct listings *list)
{
	for (size_t i = 0; i < list->count; i++)
		release_listing(&list->items[i]);
	free(list->items);
	*list = (struct listings){ .items = NULL };
}

void catalogue_release(struct catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->count; i++) {
		free(catalogue->items[i].sku);
		free(catalogue->items[i].name);
	}
	free(catalogue->items);
	*catalogue = (struct catalogue){ .items = NULL };
}

static struct listing *append(struct listings *list)
{
	struct listing *items = array_room(list->items, list->count, &list->room, sizeof(*items));

	if (!items)
		return NULL;
	list->items = items;
	list->items[list->count] = (struct listing){ .sku_id = 0 };
	return &list->items[list->count++];
}

static void take_tables(struct listing *item, const struct ledger_row *row)
{
	item->product = row->product;
	item->product_article = row->product_article;
	item->article_before = row->article;
	item->buffer_before = row->buffer;
	item->inventory = row->inventory;
	item->jtl_stock = row->jtl_stock;
	item->temu_stock = row->temu_stock;
	item->needs_sync = row->needs_sync;
	item->product_same = row->product.set && row->product_active && row->product_goods == item->goods_id &&
	                     strcmp(row->product_sku, item->sku) == 0 && strcmp(row->goods_name, item->name) == 0;
}

int listings_add_ledger(struct listings *list, const struct ledger_row *row, struct err *err)
{
	struct listing *item = append(list);

	if (!item)
		return no_memory(err);
	item->sku_id = row->sku_id;
	item->goods_id = row->goods_id;
	item->sku = strdup(row->sku);
	item->name = strdup(row->goods_name);
	if (!item->sku || !item->name)
		return no_memory(err);
	item->in_ledger = true;
	item->was_active = row->active;
	item->known = item->known_before = row->known;
	item->wanted_before = row->wanted;
	item->sent = row->sent;
	item->sent_from = row->sent_from;
	item->sent_ms = row->sent_ms;
	item->doubt_ms = row->doubt_ms;
	item->ledger_same = row->active;
	take_tables(item, row);
	return 0;
}

static int listing_order(const void *a, const void *b)
{
	return array_order(((const struct listing *)a)->sku_id, ((const struct listing *)b)->sku_id);
}

static struct listing *find_among(struct listings *list, size_t count, int64_t sku_id)
{
	struct listing key = { .sku_id = sku_id };

	return count ? bsearch(&key, list->items, count, sizeof(key), listing_order) : NULL;
}

struct listing *listings_find(struct listings *list, int64_t sku_id)
{
	return find_among(list, list->count, sku_id);
}

void listings_refresh(struct listings *list, const struct ledger_row *row)
{
	struct listing *item = listings_find(list, row->sku_id);

	if (item) {
		item->in_ledger = true;
		take_tables(item, row);
	}
}

void listings_keep(struct listings *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->items[i].active = list->items[i].was_active;
}

struct maybe listing_old_article(const struct listing *item)
{
	return item->article_before.set ? item->article_before : item->product_article;
}

bool listing_recreated(const struct listing *item)
{
	return item->article.set && listing_old_article(item).set && !maybe_equal(item->article, listing_old_article(item));
}

bool listing_buffer_changed(const struct listing *item)
{
	return item->active && item->buffer.set && item->buffer_before.set && !maybe_equal(item->buffer, item->buffer_before);
}

/* --- the catalogue --- */

int catalogue_add(struct catalogue *catalogue, const struct catalogue_entry *entry, struct err *err)
{
	struct catalogue_entry *copy, *items = array_room(catalogue->items, catalogue->count, &catalogue->room, sizeof(*items));

	if (!items)
		return no_memory(err);
	catalogue->items = items;
	copy = &catalogue->items[catalogue->count];
	*copy = *entry;
	copy->turn = catalogue->count;
	copy->sku = entry->sku ? strdup(entry->sku) : NULL;
	copy->name = entry->name ? strdup(entry->name) : NULL;
	catalogue->count++;
	if ((entry->sku && !copy->sku) || (entry->name && !copy->name))
		return no_memory(err);
	return 0;
}

static int entry_order(const void *a, const void *b)
{
	const struct catalogue_entry *x = a, *y = b;
	int order = array_order(x->sku_id, y->sku_id);

	return order ? order : x->turn < y->turn ? -1 : x->turn > y->turn;
}

static void take_text(char **to, char **from)
{
	free(*to);
	*to = *from;
	*from = NULL;
}

static void merge_values(struct listing *item, struct catalogue_entry *entry, int64_t now_ms)
{
	bool same_sku = item->sku && strcmp(item->sku, entry->sku) == 0;
	bool same_name = item->name && strcmp(item->name, entry->name) == 0;
	struct baseline baseline;

	item->ledger_same = item->in_ledger && item->ledger_same && same_sku && item->goods_id == entry->goods_id;
	item->product_same = item->product_same && same_sku && same_name && item->goods_id == entry->goods_id;
	item->goods_id = entry->goods_id;
	take_text(&item->sku, &entry->sku);
	take_text(&item->name, &entry->name);
	item->reported = maybe_of(entry->stock);
	baseline = plan_baseline(item->known, item->sent_from, item->sent_ms, item->reported, now_ms);
	item->believed = baseline.believed;
	item->known_changed = baseline.believed && !maybe_equal(item->known, baseline.known);
	item->known = baseline.known;
}

static int merge_entry(struct listings *list, size_t old, struct catalogue_entry *entry, int64_t now_ms, struct err *err)
{
	struct listing *item = find_among(list, old, entry->sku_id);

	if (entry->bad) { /* it is there, we just do not know how */
		if (item)
			item->active = item->was_active;
		return 0;
	}
	if (entry->gone)
		return 0;
	if (!item) {
		item = append(list);
		if (!item)
			return no_memory(err);
		item->sku_id = entry->sku_id;
		item->fresh = true;
	}
	item->active = true;
	merge_values(item, entry, now_ms);
	return 0;
}

int listings_merge(struct listings *list, struct catalogue *catalogue, int64_t now_ms, struct err *err)
{
	size_t old = list->count;
	int rc = 0;

	if (catalogue->count)
		qsort(catalogue->items, catalogue->count, sizeof(*catalogue->items), entry_order);
	for (size_t i = 0; i < old; i++)
		list->items[i].active = catalogue->nameless > 0 && list->items[i].was_active;
	for (size_t i = 0; rc == 0 && i < catalogue->count; i++) {
		bool last = i + 1 == catalogue->count || catalogue->items[i + 1].sku_id != catalogue->items[i].sku_id;

		if (last)
			rc = merge_entry(list, old, &catalogue->items[i], now_ms, err);
	}
	if (rc == 0 && list->count)
		qsort(list->items, list->count, sizeof(*list->items), listing_order);
	catalogue_release(catalogue);
	return rc;
}
