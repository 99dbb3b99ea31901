/* The stock formulas and the rules for articles that are not plain ones. Pure. */
#include "worker/jobs/wanted.h"

enum jtl_source wanted_source(int formula)
{
	switch ((enum setting_formula)formula) {
	case FORMULA_REFERENCE:
		return JTL_PHYSICAL;
	case FORMULA_JTL:
		return JTL_AVAILABLE;
	case FORMULA_CAPPED:
		return JTL_BOTH;
	}
	return JTL_PHYSICAL;
}

void bundle_add(struct bundle_facts *bundle, const struct jtl_component *c)
{
	int64_t buffer = c->buffer > 0 ? c->buffer : 0;
	struct quantity whole = quantity_of(quantity_fits(quantity_sub(c->available, quantity_of(buffer)), c->count));

	if (!c->managed)
		return;
	if (c->missing)
		bundle->missing++;
	bundle->all = bundle->managed_seen ? quantity_min(bundle->all, whole) : whole;
	bundle->managed_seen = true;
	if (c->oversell)
		return;
	bundle->strict = bundle->strict_seen ? quantity_min(bundle->strict, whole) : whole;
	bundle->strict_seen = true;
}

struct quantity bundle_available(const struct bundle_facts *bundle)
{
	if (bundle->strict_seen)
		return bundle->strict;
	return bundle->managed_seen ? bundle->all : quantity_of(0);
}

/* true: the rule decided. */
static bool apply_rule(const struct shop_settings *shop, int rule, const char *reason, struct wanted *out)
{
	switch ((enum setting_rule)rule) {
	case RULE_STOCK:
		return false;
	case RULE_SKIP:
		out->decision = WANTED_SKIP;
		break;
	case RULE_ZERO:
		out->quantity = 0;
		break;
	case RULE_FIXED:
		out->quantity = shop->fixed_quantity < shop->stock_max ? shop->fixed_quantity : shop->stock_max;
		break;
	}
	out->reason = reason;
	return true;
}

static bool apply_rules(const struct shop_settings *shop, const struct jtl_article *a, struct wanted *out)
{
	if (a->deleted && apply_rule(shop, shop->inactive, "deleted", out))
		return true;
	if (!a->active && apply_rule(shop, shop->inactive, "inactive", out))
		return true;
	if (a->father && apply_rule(shop, shop->father, "father", out))
		return true;
	if (!a->managed && a->bundle == 0 && apply_rule(shop, shop->unmanaged, "unmanaged", out))
		return true;
	if (a->bundle != 0 && apply_rule(shop, shop->bundle, "bundle", out))
		return true;
	return a->oversell && apply_rule(shop, shop->oversell, "oversell", out);
}

static struct quantity formula_stock(int formula, const struct jtl_article *a, const struct bundle_facts *bundle)
{
	struct quantity available = bundle ? bundle_available(bundle) : a->available;

	switch ((enum setting_formula)formula) {
	case FORMULA_REFERENCE:
		return a->physical;
	case FORMULA_JTL:
		return available;
	case FORMULA_CAPPED:
		return quantity_min(a->physical, available);
	}
	return quantity_of(0);
}

static int64_t floor_zero(int64_t value)
{
	return value > 0 ? value : 0;
}

static void apply_formula(const struct shop_settings *shop, const struct jtl_article *a, const struct bundle_facts *bundle,
                          int64_t sold, struct wanted *out)
{
	int64_t whole, after_buffer, after_sold, share;

	out->stock = formula_stock(shop->formula, a, bundle);
	out->buffer = floor_zero(a->buffer);
	whole = floor_zero(quantity_floor(out->stock));
	if (whole > (int64_t)4 * INT32_MAX)
		whole = (int64_t)4 * INT32_MAX; /* keeps what follows inside int64; far above stock_max */
	after_buffer = floor_zero(quantity_floor(quantity_sub(out->stock, quantity_of(out->buffer))));
	if (after_buffer > whole)
		after_buffer = whole;
	after_sold = floor_zero(after_buffer - floor_zero(sold));
	share = after_sold * shop->percent / 100;
	out->quantity = share;
	out->reason = whole == 0          ? "empty"
	              : after_buffer == 0 ? "buffer"
	              : after_sold == 0   ? "sold"
	              : share == 0        ? "percent"
	                                  : "stock";
	if (share > 0 && share < shop->stock_min) {
		out->quantity = 0;
		out->reason = "minimum";
	} else if (share > shop->stock_max || share > WANTED_STOCK_MAX) {
		out->quantity = shop->stock_max < WANTED_STOCK_MAX ? shop->stock_max : WANTED_STOCK_MAX;
		out->reason = "maximum";
	}
}

struct wanted wanted_compute(const struct shop_settings *shop, const struct jtl_article *article,
                             const struct bundle_facts *bundle, int64_t sold)
{
	struct wanted out = { .decision = WANTED_STOCK, .reason = "" };

	if (!article || article->match == JTL_NONE) {
		out.decision = WANTED_UNMAPPED;
		out.reason = "unmapped";
		return out;
	}
	if (apply_rules(shop, article, &out))
		return out;
	if (article->nulls > 0) {
		out.decision = WANTED_SKIP;
		out.reason = "null_stock";
		return out;
	}
	apply_formula(shop, article, bundle, sold, &out);
	return out;
}
