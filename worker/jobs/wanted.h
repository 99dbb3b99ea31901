/* wanted: what a listing should offer, as a pure function of the article's facts, the shop's rules and the units sold at TEMU
 * that JTL does not know yet (jtl_database.md 1.3). No database, no clock. */
#ifndef WORKER_JOBS_WANTED_H
#define WORKER_JOBS_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/settings.h"
#include "worker/db/jtl_stock.h"
#include "worker/db/quantity.h"

#define WANTED_STOCK_MAX 1000000 /* temu_api.md 5.3 */

/* The source a formula reads. */
enum jtl_source wanted_source(int formula);

/* What the components of a bundle allow, collected with bundle_add. */
struct bundle_facts {
	bool strict_seen;            /* a managed component that may not be oversold */
	bool managed_seen;           /* a managed component */
	struct quantity strict, all; /* whole bundles */
	int64_t missing;             /* managed components without a stock row in the warehouses */
};
void bundle_add(struct bundle_facts *bundle, const struct jtl_component *component);
/* Managed components that may not be oversold decide; if there is none of that kind, the managed ones; if there is none either,
 * 0. */
struct quantity bundle_available(const struct bundle_facts *bundle);

enum wanted_decision {
	WANTED_STOCK,    /* quantity holds */
	WANTED_SKIP,     /* a rule leaves it out */
	WANTED_UNMAPPED, /* no article of this SKU */
};

struct wanted {
	enum wanted_decision decision;
	int64_t quantity; /* 0..WANTED_STOCK_MAX */
	/* What decided, a word for machines: "stock", "buffer" (it took the last piece), "sold" (units sold at TEMU did),
	 * "percent" (it did), "minimum", "maximum", "empty"; the rule: "inactive", "deleted", "father", "unmanaged", "bundle",
	 * "oversell"; "null_stock", "unmapped", "no_sku". */
	const char *reason;
	struct quantity stock; /* before buffer; zero when a rule decided */
	int64_t buffer;
};

/* Order: unmapped; rules for deleted and inactive, father, not stock-managed (bundles are not asked that), bundle, over-sellable
 * (the first one that says other than "stock" decides); then a quantity that JTL does not say (NULL) is left out as "null_stock",
 * for no figure must not become a zero; then formula, minus buffer (a negative one counts 0), minus sold, rounded down, never
 * below 0; percent; below stock_min 0; stock_max.
 *
 * Formulas: reference = fBestand of the warehouses; jtl = fVerfuegbar; capped = the smaller of (fBestand - fVerfuegbarGesperrt)
 * of the warehouses and fVerfuegbar. bundle: NULL unless the article is a bundle; it then stands for
 * fVerfuegbar. article NULL or match NONE: unmapped. */
struct wanted wanted_compute(const struct shop_settings *shop, const struct jtl_article *article,
                             const struct bundle_facts *bundle, int64_t sold);

#endif
