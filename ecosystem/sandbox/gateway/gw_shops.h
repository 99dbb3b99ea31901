/* gw_shops: the truth of the stand-in: shops, goods, SKUs, stock and request keys. Not locked; the gateway's lock covers it. */
#ifndef GW_SHOPS_H
#define GW_SHOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "ecosystem/sandbox/gateway/gw_json.h"

#define GW_STOCK_MAX 1000000
#define GW_ACTIVE 2
#define GW_INACTIVE 3
#define GW_SCOPES_MAX 64

struct gw_sku {
	int64_t sku_id, goods_id;
	char *sku_sn, *goods_name, *price, *currency; /* heap */
	int64_t stock, presale;
	int64_t crt_time;      /* seconds */
	int status;            /* GW_ACTIVE, GW_INACTIVE */
	bool removed, added;   /* taken away / brought in through the control port */
	int64_t edits;         /* applied stock edits */
	char *last_key;        /* requestUniqueKey of the last applied edit, NULL */
	int64_t shown_stock;   /* what lists show until shown_until (monotonic ms); read lag */
	int64_t shown_until;
};

struct gw_key { /* a requestUniqueKey that was applied */
	struct gw_key *next;
	char text[];
};

#define GW_KEY_SLOTS 4096

struct gw_goods { /* how many SKUs that are not removed a goods has */
	int64_t goods_id; /* 0: free slot */
	int64_t live;
};

struct gw_shop {
	int64_t mall_id, expires; /* expires: seconds, 0 = never */
	char region[16], app_key[65], app_secret[129], access_token[257];
	char *scopes[GW_SCOPES_MAX];
	size_t scope_count;
	bool replaced; /* the token was replaced by a newer one */
	struct gw_sku **skus; /* in order of arrival */
	size_t count, cap;
	struct gw_sku **slots; /* open addressing by sku_id */
	struct gw_goods *goods; /* open addressing by goods_id, as many slots */
	size_t slot_count;
	struct gw_sku **listed[2]; /* active and inactive in list order: newest first */
	size_t listed_count[2];
	bool listed_valid;
	struct gw_key *keys[GW_KEY_SLOTS];
};

struct gw_shops {
	struct gw_shop **shops;
	size_t count;
	int journal; /* descriptor, 0: none */
};

/* Reads the data file (shape: top of gw_shops.c). Blocks on the file. */
int gw_shops_load(struct gw_shops *shops, const char *path, struct err *err) MUSTCHECK;
/* The same from text. */
int gw_shops_parse(struct gw_shops *shops, const char *text, size_t len, struct err *err) MUSTCHECK;
void gw_shops_release(struct gw_shops *shops);

/* What changed since the data file: written whole beside path and renamed; reading applies it, and then the journal beside it,
 * to the SKUs that still exist. */
int gw_shops_save(const struct gw_shops *shops, const char *path, struct err *err) MUSTCHECK;
int gw_shops_restore(struct gw_shops *shops, const char *path, struct err *err) MUSTCHECK;

/* After restore: saves when there was a journal, and begins a new one at path.journal. From here on every change noted is on
 * its way to the disk before the reply is, so that a kill loses nothing that was confirmed. */
int gw_shops_journal_begin(struct gw_shops *shops, const char *path, struct err *err) MUSTCHECK;
/* One line: what these SKUs are now, and the request key that was used (NULL: none). A journal that cannot be written ends the
 * program: it would forget stock that it confirmed. */
void gw_shops_note(const struct gw_shops *shops, const struct gw_shop *shop, struct gw_sku *const *skus, size_t count,
                   const char *key);

/* NULL when there is none. mall_id 0: the first shop. */
struct gw_shop *gw_shops_by_mall(const struct gw_shops *shops, int64_t mall_id);
struct gw_shop *gw_shops_by_app(const struct gw_shops *shops, const char *app_key);
struct gw_shop *gw_shops_by_token(const struct gw_shops *shops, const char *token);
bool gw_shop_allows(const struct gw_shop *shop, const char *method);

/* NULL when unknown or removed. */
struct gw_sku *gw_shop_sku(const struct gw_shop *shop, int64_t sku_id);
/* The same, removed ones too. */
bool gw_shop_knows(const struct gw_shop *shop, int64_t sku_id);
bool gw_shop_has_goods(const struct gw_shop *shop, int64_t goods_id);
/* One goods object of the data file's shape. Refuses known sku ids. */
int gw_shop_add_goods(struct gw_shop *shop, const struct gw_value *goods, bool added, struct err *err) MUSTCHECK;
void gw_shop_remove(struct gw_shop *shop, struct gw_sku *sku);
/* SKUs of one status, newest first. */
struct gw_sku **gw_shop_listed(struct gw_shop *shop, int status, size_t *count);
/* true when the key was seen; remembers it otherwise. */
bool gw_shop_key_seen(const struct gw_shop *shop, const char *key);
void gw_shop_key_add(struct gw_shop *shop, const char *key);

#endif
