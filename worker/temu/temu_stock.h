/* temu_stock: reading the catalogue with its stock (bg.local.goods.sku.list.query, temu_api.md 5.1) and writing stock
 * (bg.local.goods.stock.edit, 5.3). Both block; both hand results to callbacks on the caller's thread. */
#ifndef WORKER_TEMU_TEMU_STOCK_H
#define WORKER_TEMU_TEMU_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/temu/temu.h"

#define TEMU_SKU_LIST "bg.local.goods.sku.list.query"
#define TEMU_STOCK_EDIT "bg.local.goods.stock.edit"

/* Widths in UTF-16 units, as the own database counts them. */
#define TEMU_SKU_SN_UNITS 100
#define TEMU_GOODS_NAME_UNITS 500
#define TEMU_SPEC_NAME_UNITS 200
#define TEMU_STOCK_MAX 1000000
#define TEMU_CATALOGUE_MAX 1000000 /* SKUs of a shop; more is an error */

enum temu_filter { TEMU_ACTIVE = 2, TEMU_INACTIVE = 3 };

/* --- the catalogue --------------------------------------------------------------------------------------------- */

/* Text is borrowed for the length of the callback, valid UTF-8, never NULL, as TEMU gives it (blanks kept). */
struct temu_sku {
	int64_t sku_id, goods_id;
	const char *sku_sn;     /* the seller's code; may be "" */
	const char *goods_name, *spec_name; /* cut to their width when longer (then also reported as bad) */
	int64_t stock;          /* 0..TEMU_STOCK_MAX, what TEMU shows */
	enum temu_filter filter; /* the list it stood in */
	bool again;             /* handed before in this reading: a list had to be read again, these values are newer */
};

/* A row with something wrong; reported again when its list is read again. */
struct temu_bad_row {
	int64_t sku_id, goods_id; /* 0 when there is no usable one */
	const char *sku_sn;       /* "" when there is no usable one; borrowed */
	enum temu_filter filter;
	int64_t page;             /* from 1 */
	int row;                  /* on its page, from 1 */
	const char *what;         /* "skuId is missing", "stock is negative", ... */
	bool handed;              /* only a name was cut or repaired: the SKU was handed over all the same */
};

struct temu_catalogue_request {
	int64_t page_size; /* 1..100; temu.page_size */
	int rereads;       /* how often one list may be read again, in all; 0: the usual 3; -1: never */
	/* -1 ends the reading with that err. */
	int (*sku)(const struct temu_sku *sku, void *arg, struct err *err);
	void (*bad)(const struct temu_bad_row *row, void *arg);
	/* NULL, or: this SKU was handed over, but it is in neither list of the readings that count. Before the return. */
	void (*gone)(int64_t sku_id, void *arg);
	void *arg;
	const struct temu_limits *limits; /* NULL: none */
};

struct temu_catalogue {
	int64_t skus;       /* distinct, both lists; bad rows with a usable skuId count */
	int64_t active, inactive; /* distinct in each list = TEMU's total */
	int64_t both;       /* stood in both lists; handed over once, as first seen */
	int64_t bad;        /* rows that were not handed over */
	int64_t pages;      /* pages read, abandoned readings included */
	int64_t rereads;    /* lists read again */
};

/* Reads list 2, then list 3, page 1 first, the rest several at once, and hands over each SKU once (`again` apart). A list is
 * read again when a page is empty before the total, repeats, falls short or names another total, or the distinct SKUs are not
 * the total at the end. Memory: the set of ids and the pages in flight.
 * 0 only for a complete catalogue. Otherwise -1: TEMU_CATALOGUE (TEMP: it never came out complete; PERM: more than
 * TEMU_CATALOGUE_MAX), the error of a page, of the sku callback, or CANCELLED. What was handed over is then no catalogue. */
int temu_catalogue_read(struct temu *temu, const struct temu_catalogue_request *request, struct temu_catalogue *out,
                        struct err *err) MUSTCHECK;

/* --- writing stock --------------------------------------------------------------------------------------------- */

enum temu_stock_outcome {
	TEMU_STOCK_UNSENT,    /* never sent: TEMU still has what it had */
	TEMU_STOCK_CONFIRMED, /* TEMU has the target. See late */
	TEMU_STOCK_REFUSED,   /* not changed by us */
	TEMU_STOCK_UNKNOWN,   /* may or may not have the target, or get it later: read it again in a later run */
};
const char *temu_stock_outcome_name(enum temu_stock_outcome outcome); /* "unsent", "confirmed", "refused", "unknown" */

struct temu_stock_item {
	int64_t sku_id, goods_id;
	int64_t target; /* absolute, 0..TEMU_STOCK_MAX */
	void *user;     /* the caller's */

	/* Filled by temu_stock_push; readable from the moment `done` is called for the item and after the return. */
	enum temu_stock_outcome outcome;
	bool late;         /* confirmed, but an earlier attempt of unknown outcome may still arrive and set the same target again */
	int64_t code;      /* TEMU's number (of the SKU, else of the call), 0 when none came */
	char code_text[ERR_CODE_MAX]; /* "TEMU_150010003", "HTTP_RESET", ...; "" when confirmed */
	char reason[240];  /* for people; "" when confirmed */
	char request_id[TEMU_REQUEST_ID_MAX];
};

struct temu_stock_request {
	struct temu_stock_item *items; /* in the order wanted (zeros first); the caller's */
	size_t count;
	int64_t batch;          /* SKUs per call, 1..50; temu.push_batch */
	const char *key_prefix; /* of the request keys, at most 24 plain characters; NULL: none. 128 random bits follow */
	/* NULL, or: a call with these items is sent next (unless the push ends first). -1 stops the push before it. Asked again with the
	 * same items when the call had to wait or is to be sent once more; -1 then ends this call, and by its class the push. */
	int (*before)(struct temu_stock_item *const items[], size_t count, void *arg, struct err *err);
	void (*done)(struct temu_stock_item *item, void *arg); /* NULL, or: the item has its outcome (also UNSENT) */
	void *arg;
	const struct temu_limits *limits; /* NULL: none */
};

/* Groups by goods in order of first appearance, at most `batch` a call, several calls in flight, a fresh key per attempt, and
 * judges every SKU by its own status. Items TEMU would refuse anyway (id or target out of range, a SKU twice under one goods)
 * are REFUSED with TEMU_ITEM, unsent.
 * 0 when every item was decided. -1 when the push stopped early; the rest is UNSENT or UNKNOWN: HOLD (TEMU_...: the shop or
 * this method is shut), TEMP after five calls in a row that failed so, CANCELLED, or the error of `before`. */
int temu_stock_push(struct temu *temu, const struct temu_stock_request *request, struct err *err) MUSTCHECK;

#endif
