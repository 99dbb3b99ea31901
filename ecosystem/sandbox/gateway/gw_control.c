/* The control port: what tests read (stock, calls, statistics) and turn (sales, faults, clock, rate), as JSON over HTTP.
 * One row per route; nothing here is signed or limited, the port is for the loopback only. */
#include "ecosystem/sandbox/gateway/gw_router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/json.h"

struct order {
	struct gw *gw;
	const struct gw_value *body; /* NULL for GET */
	const char *query;
	struct buf *out; /* an open object */
};

/* An integer of the query string. */
static int64_t query_int64(const char *query, const char *name, int64_t fallback)
{
	size_t len = strlen(name);

	while (query && *query) {
		if (strncmp(query, name, len) == 0 && query[len] == '=')
			return strtoll(query + len + 1, NULL, 10);
		query = strchr(query, '&');
		query += query != NULL;
	}
	return fallback;
}

static int shop_of(const struct order *o, struct gw_shop **shop, struct err *err)
{
	*shop = gw_shops_by_mall(&o->gw->shops, o->body ? gw_get_int64(o->body, "mall_id", 0) : query_int64(o->query, "shop", 0));
	return *shop ? 0 : err_set(err, ERR_PERM, "CONTROL", "no such shop");
}

static int sku_of(const struct order *o, struct gw_shop **shop, struct gw_sku **sku, struct err *err)
{
	if (shop_of(o, shop, err) != 0)
		return -1;
	*sku = gw_shop_sku(*shop, gw_get_int64(o->body, "sku_id", 0));
	return *sku ? 0 : err_set(err, ERR_PERM, "CONTROL", "no such sku");
}

static int get_stock(struct order *o, struct err *err)
{
	struct gw_shop *shop;

	if (shop_of(o, &shop, err) != 0)
		return -1;
	json_add_int64(o->out, "mall_id", shop->mall_id);
	json_array_open(o->out, "skus");
	for (size_t i = 0; i < shop->count; i++) {
		const struct gw_sku *sku = shop->skus[i];

		if (sku->removed)
			continue;
		json_object_open(o->out, NULL);
		json_add_int64(o->out, "sku_id", sku->sku_id);
		json_add_int64(o->out, "goods_id", sku->goods_id);
		json_add_string(o->out, "sku_sn", sku->sku_sn);
		json_add_int64(o->out, "stock", sku->stock);
		json_add_int64(o->out, "status", sku->status);
		json_add_int64(o->out, "edits", sku->edits);
		json_add_string(o->out, "last_key", sku->last_key);
		json_object_close(o->out);
	}
	json_array_close(o->out);
	return 0;
}

static int get_calls(struct order *o, struct err *err)
{
	(void)err;
	gw_calls_print(&o->gw->calls, query_int64(o->query, "since", 0), 1, o->out);
	return 0;
}

static int get_writes(struct order *o, struct err *err)
{
	(void)err;
	gw_writes_print(&o->gw->writes, query_int64(o->query, "since", 0), o->out);
	return 0;
}

static int get_stats(struct order *o, struct err *err)
{
	(void)err;
	gw_calls_print(&o->gw->calls, 0, 0, o->out);
	json_array_open(o->out, "shops");
	for (size_t i = 0; i < o->gw->shops.count; i++) {
		json_object_open(o->out, NULL);
		json_add_int64(o->out, "mall_id", o->gw->shops.shops[i]->mall_id);
		json_add_int64(o->out, "skus", (int64_t)o->gw->shops.shops[i]->count);
		json_object_close(o->out);
	}
	json_array_close(o->out);
	return 0;
}

static int post_set(struct order *o, struct err *err)
{
	int64_t stock = gw_get_int64(o->body, "stock", -1), status = gw_get_int64(o->body, "status", 0);
	struct gw_shop *shop;
	struct gw_sku *sku;

	if (sku_of(o, &shop, &sku, err) != 0)
		return -1;
	if (stock > GW_STOCK_MAX || (stock < 0 && status == 0) || (status && status != GW_ACTIVE && status != GW_INACTIVE))
		return err_set(err, ERR_PERM, "CONTROL", "stock or status out of range");
	if (stock >= 0)
		sku->stock = stock;
	if (status) {
		sku->status = (int)status;
		shop->listed_valid = false;
	}
	gw_shops_note(&o->gw->shops, shop, &sku, 1, NULL);
	return 0;
}

static int post_add(struct order *o, struct err *err)
{
	struct gw_shop *shop;
	size_t before;
	int rc;

	if (shop_of(o, &shop, err) != 0)
		return -1;
	before = shop->count;
	rc = gw_shop_add_goods(shop, o->body, true, err);
	gw_shops_note(&o->gw->shops, shop, shop->skus + before, shop->count - before, NULL);
	return rc;
}

static int post_remove(struct order *o, struct err *err)
{
	struct gw_shop *shop;
	struct gw_sku *sku;

	if (sku_of(o, &shop, &sku, err) != 0)
		return -1;
	gw_shop_remove(shop, sku);
	gw_shops_note(&o->gw->shops, shop, &sku, 1, NULL);
	return 0;
}

static int post_fault(struct order *o, struct err *err)
{
	return gw_faults_add(&o->gw->faults, o->body, err);
}

/* Faults, replaced tokens and read lags end; late effects on their way stay. */
static int post_clear(struct order *o, struct err *err)
{
	(void)err;
	o->gw->faults.used = 0;
	for (size_t s = 0; s < o->gw->shops.count; s++) {
		struct gw_shop *shop = o->gw->shops.shops[s];

		shop->replaced = false;
		for (size_t i = 0; i < shop->count; i++)
			shop->skus[i]->shown_until = 0;
	}
	return 0;
}

static int post_clock(struct order *o, struct err *err)
{
	if (gw_int64(gw_get(o->body, "offset_s"), &o->gw->clock_offset_s) != 0)
		return err_set(err, ERR_PERM, "CONTROL", "offset_s is missing");
	return 0;
}

static int post_rate(struct order *o, struct err *err)
{
	int64_t rate = gw_get_int64(o->body, "per_second", -1);

	if (rate < 0 || rate > 1000000)
		return err_set(err, ERR_PERM, "CONTROL", "per_second out of range");
	gw_rate_set(&o->gw->rate, rate);
	return 0;
}

static const struct {
	const char *method, *path;
	int (*run)(struct order *o, struct err *err);
} routes[] = {
	{ "GET", "/stock", get_stock },   { "GET", "/calls", get_calls },      { "GET", "/stats", get_stats },
	{ "POST", "/set", post_set },     { "POST", "/add", post_add },        { "POST", "/remove", post_remove },
	{ "POST", "/fault", post_fault }, { "POST", "/clear", post_clear },    { "POST", "/clock", post_clock },
	{ "POST", "/rate", post_rate },   { "GET", "/writes", get_writes },
};

static void run(struct gw *gw, size_t route, const struct gw_request *request, struct gw_reply *reply)
{
	struct order o = { .gw = gw, .query = request->query, .out = &reply->body };
	struct gw_doc doc = { .root = NULL };
	struct err err = ERR_INIT;
	bool post = request->method[0] == 'P';
	int rc = -1;

	if (post && request->body.len > 0 && gw_doc_parse(&doc, buf_text(&request->body), request->body.len, &err) != 0)
		goto out;
	o.body = doc.root;
	json_object_open(o.out, NULL);
	pthread_mutex_lock(&gw->lock);
	rc = routes[route].run(&o, &err);
	pthread_mutex_unlock(&gw->lock);
	json_object_close(o.out);
out:
	if (rc != 0) {
		buf_clear(o.out);
		reply->status = 400;
		json_object_open(o.out, NULL);
		json_add_string(o.out, "error", err.text);
		json_object_close(o.out);
	}
	gw_doc_release(&doc);
}

void gw_control_handle(void *arg, const struct gw_request *request, struct gw_reply *reply)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].path, request->path) == 0) {
			if (strcmp(routes[i].method, request->method) == 0)
				run(arg, i, request, reply);
			else
				reply->status = 405;
			return;
		}
	reply->status = 404;
}
