/* ledger: dbo.temu_ledger and dbo.temu_shop, the truth of pushing: per shop and skuId what TEMU is known to have, what it should
 * have, and what was sent last. "Known" is NULL (unknown) from before a call until TEMU's own word, so that a crash costs a
 * repeated push and never a forgotten one.
 *
 * Everything that writes is absolute and may be done again with the same rows: after a deadlock, a time-out or a lost answer to
 * COMMIT the batch is simply repeated, which is cheaper than reading back and comes to the same. Set-based, one bound document a
 * call; the caller chooses the batch and the transaction. Times are UTC milliseconds (clock_now_ms). */
#ifndef WORKER_DB_LEDGER_H
#define WORKER_DB_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/db/db.h"

/* A number that may be absent (SQL NULL). */
struct maybe {
	bool set;
	int64_t value;
};
static inline struct maybe maybe_of(int64_t value)
{
	return (struct maybe){ true, value };
}
static inline bool maybe_equal(struct maybe a, struct maybe b)
{
	return a.set == b.set && (!a.set || a.value == b.value);
}

/* --- reading --- */

/* One listing with what the tables of the old system say of it; texts are borrowed for the call. */
struct ledger_row {
	int64_t sku_id, goods_id;
	const char *sku;
	bool active;
	struct maybe known, wanted, sent;
	struct maybe sent_from; /* what was known when it was sent */
	int64_t sent_ms;        /* 0 = never sent; when it was judged, once it was */
	int64_t doubt_ms;       /* when an attempt of another value went out that may still arrive; 0 = none */
	struct maybe article;   /* kArtikel behind it, as last found */
	struct maybe buffer;    /* its nPuffer, as first found or as of the last run that was allowed to push */
	struct maybe product;   /* temu_products.id; the rest of this block is of that row */
	int64_t product_goods;
	const char *product_sku, *goods_name; /* "" when NULL */
	bool product_active; /* also false where several rows of the listing differ */
	struct maybe product_article; /* jtl_article_id */
	struct maybe inventory; /* the first temu_inventory.id of the listing, not set where its rows differ; what follows is of that row */
	int64_t jtl_stock, temu_stock;
	bool needs_sync;
};

#define LEDGER_RULES_MAX 2001
#define LEDGER_VERSION_MAX 1021 /* 255 characters of UTF-8 */
#define LEDGER_OBJECTS_MAX 4001

struct ledger_shop {
	bool complete;                           /* TEMU was read completely at least once */
	bool accepted;                           /* a run was allowed to push at least once: under these rules */
	char rules[LEDGER_RULES_MAX];            /* rules.h */
	char jtl_version[LEDGER_VERSION_MAX];    /* of the last run whose probes passed; "" = none */
	char jtl_objects[LEDGER_OBJECTS_MAX];    /* the columns it reads (jtl_stock.h) */
};

/* Every ledger row of the shop, by skuId, active or not. One statement. */
int ledger_read(struct db *db, int64_t shop, struct ledger_shop *state,
                int (*each)(void *arg, const struct ledger_row *row, struct err *err), void *arg, struct err *err) MUSTCHECK;

/* --- the catalogue --- */

/* A listing as TEMU shows it. */
struct ledger_listing {
	int64_t sku_id, goods_id;
	const char *sku;        /* at most 100 UTF-16 units */
	const char *goods_name; /* at most 500 */
	bool judge;             /* known is to be written: the stock TEMU reported, believed */
	struct maybe known;
};
/* Inserts or updates, active, with the product's id if there is a product. New rows without judge start unknown. */
int ledger_save(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_listing *rows, size_t count,
                struct err *err) MUSTCHECK;
/* These do not stand in the last complete read: no longer active. */
int ledger_retire(struct db *db, int64_t shop, const char *run, int64_t now_ms, const int64_t *sku_ids, size_t count,
                  struct err *err) MUSTCHECK;
/* A complete read is stored. */
int ledger_shop_set(struct db *db, int64_t shop, const char *run, int64_t now_ms, int64_t skus, struct err *err) MUSTCHECK;

/* The rules under which a run was allowed to push. */
int ledger_rules_set(struct db *db, int64_t shop, const char *rules, struct err *err) MUSTCHECK;
/* The JTL that the probes passed on. */
int ledger_jtl_set(struct db *db, int64_t shop, const char *version, const char *objects, struct err *err) MUSTCHECK;

/* Articles behind active listings of this shop that are behind active listings of other shops too: how many, and the first
 * LEDGER_SHARED_MAX by number. One statement, which waits for no lock and may so see what is not committed yet. */
struct ledger_shared {
	int64_t article, sku_id, other_shop;
	const char *sku; /* borrowed for the call */
};
#define LEDGER_SHARED_MAX 10
int ledger_shared(struct db *db, int64_t shop, int64_t *count, void (*each)(void *arg, const struct ledger_shared *shared), void *arg,
                  struct err *err) MUSTCHECK;

/* --- what is wanted --- */

/* What is not set stays as it is. */
struct ledger_wanted {
	int64_t sku_id;
	struct maybe wanted, article, buffer;
};
int ledger_wanted_set(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_wanted *rows, size_t count,
                      struct err *err) MUSTCHECK;

/* --- pushing --- */

struct ledger_push {
	int64_t sku_id;
	int64_t target;
	struct maybe known;           /* before: becomes sent_from */
	struct maybe sent, sent_from; /* before, for ledger_restore */
	int64_t sent_ms;
	int64_t doubt_ms;              /* for ledger_intend: to be set; for ledger_restore: before */
	bool confirmed;                /* for ledger_judge */
	const char *code, *request_id; /* for ledger_judge; "" = none */
};
/* Before the call: known becomes unknown, sent the target, sent_from what was known, doubt as given. LEDGER_ROWS (TEMP) when a row is missing:
 * then nothing may be sent. */
int ledger_intend(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_push *rows, size_t count,
                  struct err *err) MUSTCHECK;
/* After it: confirmed ones are known to have the target; time, code and request id of all. */
int ledger_judge(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_push *rows, size_t count,
                 struct err *err) MUSTCHECK;
/* What this run sent and TEMU is known to have, by skuId; request_id "" when a complete read told. One statement. */
int ledger_confirmed(struct db *db, int64_t shop, const char *run,
                     int (*each)(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *err), void *arg,
                     struct err *err) MUSTCHECK;
/* The call was certainly not sent: as it was before the intent, if nothing else has written the row since. */
int ledger_restore(struct db *db, int64_t shop, const char *run, const struct ledger_push *rows, size_t count,
                   struct err *err) MUSTCHECK;

#endif
