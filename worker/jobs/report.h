/* report: what a person should know about the shop's listings: one line for each rule that had to be applied, with its sentence, how many
 * it concerned, and the first few of them. */
#ifndef WORKER_JOBS_REPORT_H
#define WORKER_JOBS_REPORT_H

#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"
#include "worker/jobs/listing.h"

/* id, name for machines, the rule in one sentence, read behind the count. */
#define REPORT_TABLE(X)                                                                                                             \
	X(SEVERAL_LISTINGS, "several_listings",                                                                                     \
	  "listings share their article with other listings of the shop: all of them are updated, each offers its whole stock")     \
	X(DUPLICATE_SKU, "duplicate_sku",                                                                                           \
	  "listings have a seller SKU that another listing of the shop has too: told apart by TEMU's skuId, all are updated")        \
	X(EMPTY_SKU, "empty_sku", "listings have no seller SKU: left alone until they get one at TEMU")                             \
	X(SPELLING, "other_spelling",                                                                                               \
	  "SKUs differ from JTL's in case, trailing blanks or ss for sharp s: taken as the same, as JTL's collation does")           \
	X(BLANKS, "blanks", "SKUs have blanks around them that JTL's have not: left alone until these are removed at TEMU")         \
	X(UNMAPPED, "unmapped", "SKUs have no article in JTL: left alone")                                                          \
	X(RECREATED, "recreated_article",                                                                                           \
	  "SKUs belong to another article than before (deleted and made anew in JTL): the new one counts from now on")               \
	X(VANISHED, "vanished", "listings are not in TEMU's complete list any more: left alone from now on, no zero is sent")       \
	X(REAPPEARED, "reappeared", "listings are in TEMU's list again: updated again, compared with the stock just read")           \
	X(SHARED, "shared_article",                                                                                                 \
	  "articles are offered by another shop too: each shop offers the same stock, as far as its percent and limits allow")       \
	X(DOUBLED, "doubled_rows", "articles have a warehouse's stock more than once in JTL: the smaller figure counts")             \
	X(NULLS, "null_stocks", "articles have no figure (NULL) for a stock in JTL: left as they are, never zero")                  \
	X(MISSING, "missing_components",                                                                                            \
	  "bundles have components without a stock row, which JTL's own figure leaves out")                                          \
	X(QUARANTINE, "quarantine", "SKUs were refused for good by TEMU again and again: tried once a day until TEMU takes them")

enum report_rule {
#define X(id, name, what) REPORT_##id,
	REPORT_TABLE(X)
#undef X
	REPORT_RULES
};

#define REPORT_EXAMPLES 10

struct report_example {
	int64_t sku_id;
	char sku[160], text[200];
};

struct report {
	struct {
		int64_t count;
		struct report_example examples[REPORT_EXAMPLES];
	} lines[REPORT_RULES];
};

/* Counts one, and keeps it if it is among the first. Texts are copied, longer ones cut. */
void report_add(struct report *report, enum report_rule rule, int64_t sku_id, const char *sku, const char *format, ...)
    PRINTF_LIKE(5, 6);

/* All rules that a look at the listings shows: every one but SHARED and QUARANTINE. After the articles were read; vanished ones only after
 * a complete read of TEMU. JOBS_MEMORY (TEMP). */
int report_listings(struct report *report, const struct listings *list, struct err *err) MUSTCHECK;

/* [{"rule":"vanished","count":2,"what":"listings are ...","examples":[{"sku_id":1,"sku":"A","text":"..."}]}] as the member `name`; rules with
 * nothing to tell are left out, and examples once the text is longer than room. */
void report_print(const struct report *report, const char *name, size_t room, struct buf *out);

#endif
