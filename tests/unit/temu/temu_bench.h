/* A gateway in this process with a generated catalogue, and a client that talks to it over the loopback. */
#ifndef TESTS_UNIT_TEMU_TEMU_BENCH_H
#define TESTS_UNIT_TEMU_TEMU_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "ecosystem/sandbox/gateway/gw_router.h"
#include "worker/temu/temu.h"
#include "worker/temu/temu_stock.h"
#include "worker/temu/temu_token.h"

#define BENCH_GOODS 60
#define BENCH_SKUS_EACH 5 /* the fifth of each goods is inactive */
#define BENCH_SKUS (BENCH_GOODS * BENCH_SKUS_EACH)
#define BENCH_SKU(goods, n) (51480000000000 + (goods) * 10 + (n))
#define BENCH_GOOD(goods) (603050000000000 + (goods))

struct bench {
	struct gw *gw;
	struct gw_wire *wire;
	struct temu_config config;
	struct temu *temu;
	char url[80];
	struct err err;
};

static inline void
bench_fill(struct gw *gw, const char *app_key)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	buf_addf(&text, "{\"shops\":[{\"mall_id\":11,\"region\":\"eu\",\"app_key\":\"%s\",\"app_secret\":\"bench-secret\","
	                "\"access_token\":\"bench-token\",\"scopes\":[\"" TEMU_SKU_LIST "\",\"" TEMU_STOCK_EDIT "\"],"
	                "\"expires\":\"2099-01-01\",\"goods\":[", app_key);
	for (int g = 0; g < BENCH_GOODS; g++) {
		buf_addf(&text, "%s{\"goods_id\":%lld,\"name\":\"Ware ä %d\",\"skus\":[", g ? "," : "", (long long)BENCH_GOOD(g), g);
		for (int n = 0; n < BENCH_SKUS_EACH; n++)
			buf_addf(&text, "%s{\"sku_id\":%lld,\"sku_sn\":\"ART-%d-%d\",\"stock\":%d,\"status\":%d}", n ? "," : "",
			         (long long)BENCH_SKU(g, n), g, n, g + n, n == 4 ? GW_INACTIVE : GW_ACTIVE);
		buf_addf(&text, "]}");
	}
	buf_addf(&text, "]}]}");
	assert_int_equal(gw_shops_parse(&gw->shops, text.data, text.len, NULL), 0);
	buf_release(&text);
}

static inline int
bench_set_up(void **state)
{
	static int benches;
	struct bench *b = calloc(1, sizeof(*b));
	char app_key[40];

	assert_non_null(b);
	snprintf(app_key, sizeof(app_key), "bench-app-%d-xxxxxxxx", ++benches); /* a budget of its own */
	b->gw = gw_new(NULL);
	assert_non_null(b->gw);
	b->gw->rate.per_second = 0;
	bench_fill(b->gw, app_key);
	b->wire = gw_wire_start(0, gw_router_handle, b->gw, NULL);
	assert_non_null(b->wire);
	snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%d/openapi/router", gw_wire_port(b->wire));
	b->config = (struct temu_config){
		.url = b->url,
		.app_key = secret_new(app_key, strlen(app_key)),
		.app_secret = secret_new(" bench-secret\n", 14),
		.access_token = secret_new("bench-token", 11),
		.rate = 1000,
		.in_flight = 8,
		.timeout_ms = 5000,
		.attempts = 3,
		.backoff_ms = 4,
		.backoff_max_ms = 20,
		.rate_wait_ms = 10,
	};
	b->err = (struct err)ERR_INIT;
	b->temu = temu_new(&b->config, &b->err);
	assert_non_null(b->temu);
	*state = b;
	return 0;
}

static inline int
bench_tear_down(void **state)
{
	struct bench *b = *state;

	temu_free(b->temu);
	gw_wire_stop(b->wire);
	gw_free(b->gw);
	free(b);
	return 0;
}

/* The client anew, after config was changed. */
static inline void
bench_renew(struct bench *b)
{
	temu_free(b->temu);
	b->temu = temu_new(&b->config, &b->err);
	assert_non_null(b->temu);
}

static inline void
bench_fault(struct bench *b, const char *text)
{
	struct gw_doc doc;

	assert_int_equal(gw_doc_parse(&doc, text, strlen(text), NULL), 0);
	pthread_mutex_lock(&b->gw->lock);
	assert_int_equal(gw_faults_add(&b->gw->faults, doc.root, NULL), 0);
	pthread_mutex_unlock(&b->gw->lock);
	gw_doc_release(&doc);
}

static inline void
bench_clear(struct bench *b)
{
	pthread_mutex_lock(&b->gw->lock);
	b->gw->faults.used = 0;
	b->gw->shops.shops[0]->replaced = false;
	pthread_mutex_unlock(&b->gw->lock);
}

static inline int64_t
bench_calls(struct bench *b)
{
	pthread_mutex_lock(&b->gw->lock);
	int64_t total = b->gw->calls.total;
	pthread_mutex_unlock(&b->gw->lock);
	return total;
}

/* A copy of what the gateway holds. */
static inline struct gw_sku
bench_sku(struct bench *b, int64_t sku_id)
{
	pthread_mutex_lock(&b->gw->lock);
	struct gw_sku *found = gw_shop_sku(b->gw->shops.shops[0], sku_id);
	struct gw_sku sku = found ? *found : (struct gw_sku){ .stock = -1 };
	pthread_mutex_unlock(&b->gw->lock);
	return sku;
}

static inline void
bench_token_call(struct temu_call *call)
{
	temu_call_init(call, TEMU_TOKEN_INFO);
}

#define assert_err(b, wanted_class, wanted_code) \
	do { \
		if ((b)->err.class != (wanted_class) || strcmp((b)->err.code, wanted_code) != 0) \
			fail_msg("%s instead of %s: %s", (b)->err.code, wanted_code, (b)->err.text); \
	} while (0)

#endif
