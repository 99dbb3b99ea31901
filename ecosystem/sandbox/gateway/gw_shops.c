/* Shops and SKUs in memory, with a hash by sku id and the two sorted lists that paging walks. Files are in gw_files.c.
 * Knows nothing of HTTP, signatures or faults. */
#include "ecosystem/sandbox/gateway/gw_shops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/clock.h"

static char *text_dup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

static size_t slot_of(int64_t sku_id, size_t slots)
{
	uint64_t h = (uint64_t)sku_id * 0x9E3779B97F4A7C15u;

	return (size_t)(h >> 20) & (slots - 1);
}

static void slot_put(struct gw_shop *shop, struct gw_sku *sku)
{
	size_t at = slot_of(sku->sku_id, shop->slot_count);

	while (shop->slots[at])
		at = (at + 1) & (shop->slot_count - 1);
	shop->slots[at] = sku;
}

static struct gw_goods *goods_slot(const struct gw_shop *shop, int64_t goods_id)
{
	size_t at = slot_of(goods_id, shop->slot_count);

	while (shop->goods[at].goods_id != 0 && shop->goods[at].goods_id != goods_id)
		at = (at + 1) & (shop->slot_count - 1);
	return &shop->goods[at];
}

static void goods_count(struct gw_shop *shop, int64_t goods_id, int64_t change)
{
	struct gw_goods *goods = goods_slot(shop, goods_id);

	goods->goods_id = goods_id;
	goods->live += change;
}

/* Room for one more SKU in the array and the hashes. */
static void shop_grow(struct gw_shop *shop)
{
	if (shop->count < shop->cap)
		return;
	shop->cap = shop->cap ? shop->cap * 2 : 1024;
	shop->slot_count = shop->cap * 2;
	shop->skus = realloc(shop->skus, shop->cap * sizeof(struct gw_sku *));
	free(shop->slots);
	free(shop->goods);
	shop->slots = calloc(shop->slot_count, sizeof(struct gw_sku *));
	shop->goods = calloc(shop->slot_count, sizeof(struct gw_goods));
	if (!shop->skus || !shop->slots || !shop->goods)
		abort();
	for (size_t i = 0; i < shop->count; i++) {
		slot_put(shop, shop->skus[i]);
		goods_count(shop, shop->skus[i]->goods_id, !shop->skus[i]->removed);
	}
}

static struct gw_sku *sku_find(const struct gw_shop *shop, int64_t sku_id)
{
	if (shop->slot_count == 0)
		return NULL;
	for (size_t at = slot_of(sku_id, shop->slot_count); shop->slots[at]; at = (at + 1) & (shop->slot_count - 1))
		if (shop->slots[at]->sku_id == sku_id)
			return shop->slots[at];
	return NULL;
}

struct gw_sku *gw_shop_sku(const struct gw_shop *shop, int64_t sku_id)
{
	struct gw_sku *sku = sku_find(shop, sku_id);

	return sku && !sku->removed ? sku : NULL;
}

bool gw_shop_has_goods(const struct gw_shop *shop, int64_t goods_id)
{
	return shop->slot_count > 0 && goods_slot(shop, goods_id)->live > 0;
}

bool gw_shop_knows(const struct gw_shop *shop, int64_t sku_id)
{
	return sku_find(shop, sku_id) != NULL;
}

static int add_sku(struct gw_shop *shop, const struct gw_value *goods, const struct gw_value *row, bool added,
                   struct err *err)
{
	int64_t goods_id = gw_get_int64(goods, "goods_id", 0), sku_id = gw_get_int64(row, "sku_id", 0);
	int64_t stock = gw_get_int64(row, "stock", 0), status = gw_get_int64(row, "status", GW_ACTIVE);
	struct gw_sku *sku;

	if (goods_id <= 0 || sku_id <= 0 || stock < 0 || stock > GW_STOCK_MAX || status < GW_ACTIVE || status > GW_INACTIVE)
		return err_set(err, ERR_PERM, "DATA", "sku %lld: wrong id, stock or status", (long long)sku_id);
	if (sku_find(shop, sku_id))
		return err_set(err, ERR_PERM, "DATA", "sku %lld is there twice", (long long)sku_id);
	shop_grow(shop);
	sku = calloc(1, sizeof(*sku));
	if (!sku)
		abort();
	sku->sku_id = sku_id;
	sku->goods_id = goods_id;
	sku->stock = stock;
	sku->status = (int)status;
	sku->added = added;
	sku->sku_sn = text_dup(gw_get_string(row, "sku_sn", ""));
	sku->goods_name = text_dup(gw_get_string(goods, "name", ""));
	sku->price = text_dup(gw_get_string(row, "price", "0.00"));
	sku->currency = text_dup(gw_get_string(row, "currency", "EUR"));
	sku->crt_time = gw_get_int64(row, "created",
	                             added ? clock_now_ms() / 1000 : 1700000000 + (int64_t)shop->count);
	shop->skus[shop->count++] = sku;
	slot_put(shop, sku);
	goods_count(shop, goods_id, 1);
	shop->listed_valid = false;
	return 0;
}

int gw_shop_add_goods(struct gw_shop *shop, const struct gw_value *goods, bool added, struct err *err)
{
	const struct gw_value *rows = gw_get(goods, "skus");

	if (!rows || rows->type != GW_ARRAY)
		return err_set(err, ERR_PERM, "DATA", "goods without a list of skus");
	for (const struct gw_value *row = rows->first; row; row = row->next)
		if (add_sku(shop, goods, row, added, err) != 0)
			return -1;
	return 0;
}

void gw_shop_remove(struct gw_shop *shop, struct gw_sku *sku)
{
	if (!sku->removed)
		goods_count(shop, sku->goods_id, -1);
	sku->removed = true;
	shop->listed_valid = false;
}

static int newest_first(const void *a, const void *b)
{
	const struct gw_sku *const *l = a, *const *r = b;

	if ((*l)->crt_time != (*r)->crt_time)
		return (*l)->crt_time < (*r)->crt_time ? 1 : -1;
	return (*l)->sku_id < (*r)->sku_id ? 1 : (*l)->sku_id > (*r)->sku_id ? -1 : 0;
}

struct gw_sku **gw_shop_listed(struct gw_shop *shop, int status, size_t *count)
{
	if (!shop->listed_valid) {
		for (int list = 0; list < 2; list++) {
			size_t used = 0;

			free(shop->listed[list]);
			shop->listed[list] = calloc(shop->count + 1, sizeof(struct gw_sku *));
			if (!shop->listed[list])
				abort();
			for (size_t i = 0; i < shop->count; i++)
				if (!shop->skus[i]->removed && shop->skus[i]->status == GW_ACTIVE + list)
					shop->listed[list][used++] = shop->skus[i];
			qsort(shop->listed[list], used, sizeof(struct gw_sku *), newest_first);
			shop->listed_count[list] = used;
		}
		shop->listed_valid = true;
	}
	*count = shop->listed_count[status - GW_ACTIVE];
	return shop->listed[status - GW_ACTIVE];
}

static size_t key_slot(const char *key)
{
	uint64_t h = 14695981039346656037u;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211u;
	return (size_t)(h % GW_KEY_SLOTS);
}

bool gw_shop_key_seen(const struct gw_shop *shop, const char *key)
{
	for (const struct gw_key *k = shop->keys[key_slot(key)]; k; k = k->next)
		if (strcmp(k->text, key) == 0)
			return true;
	return false;
}

void gw_shop_key_add(struct gw_shop *shop, const char *key)
{
	size_t len = strlen(key) + 1, slot = key_slot(key);
	struct gw_key *k = malloc(sizeof(*k) + len);

	if (!k)
		abort();
	memcpy(k->text, key, len);
	k->next = shop->keys[slot];
	shop->keys[slot] = k;
}

struct gw_shop *gw_shops_by_mall(const struct gw_shops *shops, int64_t mall_id)
{
	for (size_t i = 0; i < shops->count; i++)
		if (mall_id == 0 || shops->shops[i]->mall_id == mall_id)
			return shops->shops[i];
	return NULL;
}

struct gw_shop *gw_shops_by_app(const struct gw_shops *shops, const char *app_key)
{
	for (size_t i = 0; i < shops->count; i++)
		if (strcmp(shops->shops[i]->app_key, app_key) == 0)
			return shops->shops[i];
	return NULL;
}

struct gw_shop *gw_shops_by_token(const struct gw_shops *shops, const char *token)
{
	for (size_t i = 0; i < shops->count; i++)
		if (strcmp(shops->shops[i]->access_token, token) == 0)
			return shops->shops[i];
	return NULL;
}

bool gw_shop_allows(const struct gw_shop *shop, const char *method)
{
	for (size_t i = 0; i < shop->scope_count; i++)
		if (strcmp(shop->scopes[i], method) == 0)
			return true;
	return false;
}

static void shop_free(struct gw_shop *shop)
{
	for (size_t i = 0; i < shop->count; i++) {
		struct gw_sku *sku = shop->skus[i];

		free(sku->sku_sn);
		free(sku->goods_name);
		free(sku->price);
		free(sku->currency);
		free(sku->last_key);
		free(sku);
	}
	for (size_t i = 0; i < shop->scope_count; i++)
		free(shop->scopes[i]);
	for (size_t i = 0; i < GW_KEY_SLOTS; i++)
		while (shop->keys[i]) {
			struct gw_key *next = shop->keys[i]->next;

			free(shop->keys[i]);
			shop->keys[i] = next;
		}
	free(shop->skus);
	free(shop->slots);
	free(shop->goods);
	free(shop->listed[0]);
	free(shop->listed[1]);
	free(shop);
}

void gw_shops_release(struct gw_shops *shops)
{
	for (size_t i = 0; i < shops->count; i++)
		shop_free(shops->shops[i]);
	free(shops->shops);
	if (shops->journal > 0)
		close(shops->journal);
	*shops = (struct gw_shops){ .count = 0 };
}

static int copy_text(char *out, size_t size, const struct gw_value *row, const char *name, struct err *err)
{
	const char *text = gw_get_string(row, name, "");

	if (text[0] == '\0' || strlen(text) >= size)
		return err_set(err, ERR_PERM, "DATA", "shop without a usable %s", name);
	snprintf(out, size, "%s", text);
	return 0;
}

/* "2027-01-31" or a full time; seconds. */
static int parse_expires(const char *text, int64_t *out, struct err *err)
{
	char full[CLOCK_TEXT_MAX];
	int64_t ms;

	*out = 0;
	if (!text)
		return 0;
	snprintf(full, sizeof(full), strlen(text) == 10 ? "%.31sT00:00:00Z" : "%.31s", text);
	if (clock_parse(full, &ms) != 0)
		return err_set(err, ERR_PERM, "DATA", "expires: not a date");
	*out = ms / 1000;
	return 0;
}

static int parse_shop(struct gw_shop *shop, const struct gw_value *row, struct err *err)
{
	const struct gw_value *scopes = gw_get(row, "scopes"), *goods = gw_get(row, "goods");

	shop->mall_id = gw_get_int64(row, "mall_id", 0);
	if (shop->mall_id <= 0)
		return err_set(err, ERR_PERM, "DATA", "shop without mall_id");
	if (copy_text(shop->region, sizeof(shop->region), row, "region", err) != 0 ||
	    copy_text(shop->app_key, sizeof(shop->app_key), row, "app_key", err) != 0 ||
	    copy_text(shop->app_secret, sizeof(shop->app_secret), row, "app_secret", err) != 0 ||
	    copy_text(shop->access_token, sizeof(shop->access_token), row, "access_token", err) != 0 ||
	    parse_expires(gw_get_string(row, "expires", NULL), &shop->expires, err) != 0)
		return -1;
	for (const struct gw_value *s = scopes ? scopes->first : NULL; s; s = s->next) {
		if (s->type != GW_STRING || shop->scope_count == GW_SCOPES_MAX)
			return err_set(err, ERR_PERM, "DATA", "scopes: not a list of at most %d texts", GW_SCOPES_MAX);
		shop->scopes[shop->scope_count++] = text_dup(s->text);
	}
	for (const struct gw_value *g = goods ? goods->first : NULL; g; g = g->next)
		if (gw_shop_add_goods(shop, g, false, err) != 0)
			return -1;
	return 0;
}

int gw_shops_parse(struct gw_shops *shops, const char *text, size_t len, struct err *err)
{
	const struct gw_value *rows;
	struct gw_doc doc;
	int rc = -1;

	if (gw_doc_parse(&doc, text, len, err) != 0)
		goto out;
	rows = gw_get(doc.root, "shops");
	if (!rows || rows->type != GW_ARRAY || !rows->first) {
		err_set(err, ERR_PERM, "DATA", "no list of shops");
		goto out;
	}
	for (const struct gw_value *row = rows->first; row; row = row->next) {
		struct gw_shop **grown = realloc(shops->shops, (shops->count + 1) * sizeof(struct gw_shop *));
		struct gw_shop *shop = calloc(1, sizeof(*shop));

		if (!grown || !shop)
			abort();
		shops->shops = grown;
		shops->shops[shops->count++] = shop;
		if (parse_shop(shop, row, err) != 0)
			goto out;
	}
	rc = 0;
out:
	gw_doc_release(&doc);
	return rc;
}
