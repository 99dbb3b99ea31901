/* Every stock and article case of jtl_database.md section 7 against the three formulas and the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "worker/jobs/wanted.h"

static struct shop_settings shop_of(int formula)
{
	return (struct shop_settings){ .formula = formula,
		                       .stock_max = 1000000,
		                       .percent = 100,
		                       .inactive = RULE_ZERO,
		                       .father = RULE_SKIP,
		                       .bundle = RULE_STOCK,
		                       .unmanaged = RULE_SKIP,
		                       .oversell = RULE_STOCK,
		                       .fixed_quantity = 10 };
}

static struct quantity q(const char *text)
{
	struct quantity value;

	assert_int_equal(quantity_parse(text, &value), 0);
	return value;
}

static struct jtl_article plain(const char *physical, const char *available, int64_t buffer)
{
	return (struct jtl_article){ .match = JTL_EXACT,
		                     .article = 1,
		                     .active = true,
		                     .managed = true,
		                     .buffer = buffer,
		                     .physical = q(physical),
		                     .available = q(available) };
}

struct formula_case {
	const char *name, *physical, *available;
	int64_t buffer, reference, jtl, capped;
};

/* physical stands for the sum of the formula's own view. */
static const struct formula_case formula_cases[] = {
	{ "zero row", "0.00000000000000", "0.0000000000000", 0, 0, 0, 0 },
	{ "no row", "0", "0", 3, 0, 0, 0 },
	{ "fraction below one", "0.9999999999999", "0.9999999999999", 0, 0, 0, 0 },
	{ "fraction", "2.5", "2.5", 0, 2, 2, 2 },
	{ "fraction less buffer", "2.5", "2.5", 1, 1, 1, 1 },
	{ "large", "1000000", "1000000", 0, 1000000, 1000000, 1000000 },
	{ "too large", "2500000", "2500000", 0, 1000000, 1000000, 1000000 },
	{ "larger than 64 bits", "99999999999999999999", "7", 0, 1000000, 7, 7 },
	{ "buffer above stock", "3", "3", 10, 0, 0, 0 },
	{ "buffer equals stock", "3", "3", 3, 0, 0, 0 },
	{ "negative buffer", "3", "3", -4, 3, 3, 3 },
	{ "two warehouses", "10", "10", 0, 10, 10, 10 },
	{ "negative available", "5", "-3", 0, 5, 0, 0 },
	{ "negative fraction available", "5", "-0.5", 0, 5, 0, 0 },
	{ "available above stock", "5", "12", 0, 5, 12, 5 },
	{ "available below stock", "9", "6", 2, 7, 4, 4 },
	{ "last piece is the buffer's", "0.5", "0.5", 0, 0, 0, 0 },
};

static void formulas(void **state)
{
	static const int formula[] = { FORMULA_REFERENCE, FORMULA_JTL, FORMULA_CAPPED };

	(void)state;
	for (size_t i = 0; i < sizeof(formula_cases) / sizeof(formula_cases[0]); i++) {
		const struct formula_case *c = &formula_cases[i];
		const int64_t expected[] = { c->reference, c->jtl, c->capped };

		for (int f = 0; f < 3; f++) {
			struct shop_settings shop = shop_of(formula[f]);
			struct jtl_article article = plain(c->physical, c->available, c->buffer);
			struct wanted wanted = wanted_compute(&shop, &article, NULL, 0);

			if (wanted.decision != WANTED_STOCK || wanted.quantity != expected[f])
				fail_msg("%s, formula %d: %lld", c->name, f, (long long)wanted.quantity);
		}
	}
}

static void formula_reads_its_source(void **state)
{
	(void)state;
	assert_int_equal(wanted_source(FORMULA_REFERENCE), JTL_PHYSICAL);
	assert_int_equal(wanted_source(FORMULA_JTL), JTL_AVAILABLE);
	assert_int_equal(wanted_source(FORMULA_CAPPED), JTL_BOTH);
}

struct limit_case {
	const char *stock;
	int64_t buffer, sold, percent, min, max, expected;
	const char *reason;
};

static const struct limit_case limit_cases[] = {
	{ "7", 0, 0, 100, 0, 1000000, 7, "stock" },
	{ "7", 2, 0, 100, 0, 1000000, 5, "stock" },
	{ "7", 2, 3, 100, 0, 1000000, 2, "stock" },
	{ "7", 2, 9, 100, 0, 1000000, 0, "sold" },
	{ "7", 2, -9, 100, 0, 1000000, 5, "stock" },
	{ "7", 7, 0, 100, 0, 1000000, 0, "buffer" },
	{ "0", 7, 0, 100, 0, 1000000, 0, "empty" },
	{ "0.99", 0, 0, 100, 0, 1000000, 0, "empty" },
	{ "9", 0, 0, 50, 0, 1000000, 4, "stock" },
	{ "1", 0, 0, 50, 0, 1000000, 0, "percent" },
	{ "9", 0, 0, 0, 0, 1000000, 0, "percent" },
	{ "4", 0, 0, 100, 5, 1000000, 0, "minimum" },
	{ "5", 0, 0, 100, 5, 1000000, 5, "stock" },
	{ "9", 0, 0, 50, 5, 1000000, 0, "minimum" },
	{ "200", 0, 0, 100, 0, 150, 150, "maximum" },
	{ "150", 0, 0, 100, 0, 150, 150, "stock" },
	{ "200", 0, 0, 50, 0, 150, 100, "stock" },
	{ "3", 0, 0, 100, 0, 0, 0, "maximum" },
	{ "5000000000000", 0, 0, 100, 0, 1000000, 1000000, "maximum" },
};

static void order_of_operations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(limit_cases) / sizeof(limit_cases[0]); i++) {
		const struct limit_case *c = &limit_cases[i];
		struct shop_settings shop = shop_of(FORMULA_REFERENCE);
		struct jtl_article article = plain(c->stock, "0", c->buffer);
		struct wanted wanted;

		shop.percent = c->percent;
		shop.stock_min = c->min;
		shop.stock_max = c->max;
		wanted = wanted_compute(&shop, &article, NULL, c->sold);
		if (wanted.quantity != c->expected || strcmp(wanted.reason, c->reason) != 0)
			fail_msg("case %zu: %lld %s", i, (long long)wanted.quantity, wanted.reason);
	}
}

enum kind { INACTIVE, DELETED, FATHER, UNMANAGED, BUNDLE, OVERSELL };

static struct jtl_article article_of(enum kind kind)
{
	struct jtl_article article = plain("5", "5", 0);

	article.active = kind != INACTIVE;
	article.deleted = kind == DELETED;
	article.father = kind == FATHER;
	article.managed = kind != UNMANAGED;
	article.bundle = kind == BUNDLE ? 9 : 0;
	article.oversell = kind == OVERSELL;
	return article;
}

static int *rule_of(struct shop_settings *shop, enum kind kind)
{
	switch (kind) {
	case INACTIVE:
	case DELETED:
		return &shop->inactive;
	case FATHER:
		return &shop->father;
	case UNMANAGED:
		return &shop->unmanaged;
	case BUNDLE:
		return &shop->bundle;
	case OVERSELL:
		return &shop->oversell;
	}
	return NULL;
}

static void every_rule_of_every_kind(void **state)
{
	static const char *const names[] = { "inactive", "deleted", "father", "unmanaged", "bundle", "oversell" };

	(void)state;
	for (enum kind kind = INACTIVE; kind <= OVERSELL; kind++) {
		struct shop_settings shop = shop_of(FORMULA_REFERENCE);
		struct jtl_article article = article_of(kind);
		struct wanted wanted;

		*rule_of(&shop, kind) = RULE_SKIP;
		wanted = wanted_compute(&shop, &article, NULL, 0);
		assert_int_equal(wanted.decision, WANTED_SKIP);
		assert_string_equal(wanted.reason, names[kind]);
		*rule_of(&shop, kind) = RULE_ZERO;
		wanted = wanted_compute(&shop, &article, NULL, 0);
		assert_int_equal(wanted.decision, WANTED_STOCK);
		assert_int_equal(wanted.quantity, 0);
		assert_string_equal(wanted.reason, names[kind]);
		*rule_of(&shop, kind) = RULE_FIXED;
		wanted = wanted_compute(&shop, &article, NULL, 0);
		assert_int_equal(wanted.quantity, 10);
		shop.stock_max = 4;
		wanted = wanted_compute(&shop, &article, NULL, 0);
		assert_int_equal(wanted.quantity, 4);
		shop.stock_max = 1000000;
		*rule_of(&shop, kind) = RULE_STOCK;
		wanted = wanted_compute(&shop, &article, NULL, 0);
		assert_int_equal(wanted.quantity, 5);
		assert_string_equal(wanted.reason, "stock");
	}
}

static void the_first_rule_that_decides_wins(void **state)
{
	struct shop_settings shop = shop_of(FORMULA_REFERENCE);
	struct jtl_article article = article_of(FATHER);

	(void)state;
	article.active = false;
	assert_string_equal(wanted_compute(&shop, &article, NULL, 0).reason, "inactive");
	shop.inactive = RULE_STOCK;
	assert_string_equal(wanted_compute(&shop, &article, NULL, 0).reason, "father");
}

static void a_bundle_without_own_stock_management_is_still_a_bundle(void **state)
{
	struct shop_settings shop = shop_of(FORMULA_REFERENCE);
	struct jtl_article article = article_of(BUNDLE);

	(void)state;
	article.managed = false;
	assert_int_equal(wanted_compute(&shop, &article, NULL, 0).quantity, 5);
}

static void unmapped(void **state)
{
	struct shop_settings shop = shop_of(FORMULA_REFERENCE);
	struct jtl_article none = { .match = JTL_NONE };

	(void)state;
	assert_int_equal(wanted_compute(&shop, &none, NULL, 0).decision, WANTED_UNMAPPED);
	assert_int_equal(wanted_compute(&shop, NULL, NULL, 0).decision, WANTED_UNMAPPED);
}

static void near_match_is_mapped(void **state)
{
	struct shop_settings shop = shop_of(FORMULA_REFERENCE);
	struct jtl_article article = plain("5", "5", 0);

	(void)state;
	article.match = JTL_NEAR;
	assert_int_equal(wanted_compute(&shop, &article, NULL, 0).quantity, 5);
}

static void a_null_is_no_zero(void **state)
{
	struct shop_settings shop = shop_of(FORMULA_CAPPED);
	struct jtl_article article = plain("0", "5", 0);
	struct wanted wanted;

	(void)state;
	article.nulls = 1;
	wanted = wanted_compute(&shop, &article, NULL, 0);
	assert_int_equal(wanted.decision, WANTED_SKIP);
	assert_string_equal(wanted.reason, "null_stock");
	article.active = false;
	assert_string_equal(wanted_compute(&shop, &article, NULL, 0).reason, "inactive");
}

static struct jtl_component part(const char *count, const char *available, int64_t buffer, bool managed, bool oversell)
{
	return (struct jtl_component){
		.count = q(count), .available = q(available), .buffer = buffer, .managed = managed, .oversell = oversell
	};
}

static int64_t bundle_of(const struct jtl_component *parts, size_t count)
{
	struct bundle_facts facts = { .missing = 0 };

	for (size_t i = 0; i < count; i++)
		bundle_add(&facts, &parts[i]);
	return quantity_floor(bundle_available(&facts));
}

static void bundles_from_components(void **state)
{
	const struct jtl_component two[] = { part("2", "10", 0, true, false), part("1", "7.5", 0, true, false) };
	const struct jtl_component buffered[] = { part("2", "10", 3, true, false) };
	const struct jtl_component negative[] = { part("2", "1", 3, true, false) };
	const struct jtl_component service[] = { part("1", "10", 0, true, false), part("1", "0", 0, false, false) };
	const struct jtl_component only_service[] = { part("1", "4", 0, false, false) };
	const struct jtl_component oversold[] = { part("1", "4", 0, true, false), part("1", "-9", 0, true, true) };
	const struct jtl_component only_oversold[] = { part("1", "4", 0, true, true), part("1", "2", 0, true, true) };
	const struct jtl_component tenth[] = { part("0.1", "0.3", 0, true, false) };
	const struct jtl_component hair[] = { part("3", "2.9999999999999", 0, true, false) };

	(void)state;
	assert_int_equal(bundle_of(two, 2), 5);
	assert_int_equal(bundle_of(buffered, 1), 3);
	assert_int_equal(bundle_of(negative, 1), -1);
	assert_int_equal(bundle_of(service, 2), 10);
	assert_int_equal(bundle_of(only_service, 1), 0);
	assert_int_equal(bundle_of(oversold, 2), 4);
	assert_int_equal(bundle_of(only_oversold, 2), 2);
	assert_int_equal(bundle_of(tenth, 1), 3); /* no binary fraction would say so */
	assert_int_equal(bundle_of(hair, 1), 0);
	assert_int_equal(bundle_of(NULL, 0), 0);
}

static void a_bundle_uses_its_components_only_where_available_counts(void **state)
{
	struct bundle_facts facts = { .missing = 0 };
	struct jtl_component component = part("1", "3", 0, true, false);
	struct jtl_article article = plain("8", "99", 1);
	struct shop_settings shop = shop_of(FORMULA_JTL);

	(void)state;
	article.bundle = 9;
	component.missing = true;
	bundle_add(&facts, &component);
	assert_int_equal(facts.missing, 1);
	assert_int_equal(wanted_compute(&shop, &article, &facts, 0).quantity, 2);
	shop.formula = FORMULA_CAPPED;
	assert_int_equal(wanted_compute(&shop, &article, &facts, 0).quantity, 2);
	shop.formula = FORMULA_REFERENCE;
	assert_int_equal(wanted_compute(&shop, &article, NULL, 0).quantity, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formulas),
		cmocka_unit_test(formula_reads_its_source),
		cmocka_unit_test(order_of_operations),
		cmocka_unit_test(every_rule_of_every_kind),
		cmocka_unit_test(the_first_rule_that_decides_wins),
		cmocka_unit_test(a_bundle_without_own_stock_management_is_still_a_bundle),
		cmocka_unit_test(unmapped),
		cmocka_unit_test(near_match_is_mapped),
		cmocka_unit_test(a_null_is_no_zero),
		cmocka_unit_test(bundles_from_components),
		cmocka_unit_test(a_bundle_uses_its_components_only_where_available_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
