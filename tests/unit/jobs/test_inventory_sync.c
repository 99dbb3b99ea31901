/* The inventory sync as whole runs, from the queue to TEMU: modes, gate, guard, what is left behind, and the faults in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/jobs/world.h"

/* The gateway's address is added. */
#define SECOND_SHOP                                                                              \
	"    raise_share_percent: 100\n"                                                          \
	"  - id: 2\n    name: Two\n    app_key: " APP_KEY "-2\n    app_secret: " APP_SECRET "-2\n" \
	"    access_token: " ACCESS_TOKEN "-2\n"                                                 \
	"    raise_share_percent: 100\n    warehouses: [2]\n    url: "

static struct world w;

#define NEED_WORLD()              \
	do {                      \
		(void)state;      \
		if (!w.sql.there) \
			skip();   \
	} while (0)

/* --- helpers --- */

static struct ended run(const char *params)
{
	char id[RUN_ID_MAX];
	struct ended ended;

	assert_true(world_submit(&w, params, id));
	assert_true(world_await(&w, id, &ended));
	return ended;
}

static struct ended run_to(const char *params, enum run_state state)
{
	struct ended ended = run(params);

	if (ended.record.state != state)
		fail_msg("state %d, %s: %s", ended.record.state, ended.record.error_code, ended.record.error_text);
	return ended;
}

/* A run that succeeds; the figure of that name. */
static int64_t success(const char *params, const char *name)
{
	struct ended ended = run_to(params, RUN_SUCCESS);
	int64_t value = figure(&ended, name);

	ended_release(&ended);
	return value;
}

#define FULL "{\"mode\":\"full\"}"
#define QUICK "{\"mode\":\"quick\"}"

static int64_t own(const char *sql)
{
	return world_number(w.db, sql);
}

static void jtl(const char *format, ...) PRINTF_LIKE(1, 2);
static void jtl(const char *format, ...)
{
	struct db *db = sql_world_open(&w.sql, w.sql.jtl);
	char sql[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	assert_non_null(db);
	assert_true(world_run_sql(db, sql));
	db_close(db);
}

/* Sets the physical stock of `count` plain articles from number `first` on in warehouse 2; each surely has a row then. */
static void stock_of(int first, int count, int quantity)
{
	jtl("DELETE FROM dbo.tlagerbestandProLagerLagerartikel WHERE kWarenlager = 2 AND kArtikel >= %d AND kArtikel < %d", first,
	    first + count);
	jtl("INSERT INTO dbo.tlagerbestandProLagerLagerartikel (kArtikel, kWarenlager, fBestand) SELECT kArtikel, 2, %d FROM "
	    "dbo.tArtikel "
	    "WHERE kArtikel >= %d AND kArtikel < %d",
	    quantity, first, first + count);
	jtl("UPDATE dbo.tArtikel SET nPuffer = 0 WHERE kArtikel >= %d AND kArtikel < %d", first, first + count);
}

/* TEMU has exactly what the ledger says is wanted, for every listing that has a wanted value. */
static void assert_in_step(void)
{
	size_t count;
	struct temu_truth *truth = gateway_stock(&w, &count);
	struct err err = ERR_INIT;

	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		struct db_param params[] = { db_param_int64("@k", truth[i].sku_id) };
		struct db_statement look = {
			.sql =
			    "SELECT ISNULL(MAX(wanted), -1) FROM dbo.temu_ledger WHERE shop = 1 AND sku_id = @k AND active = 1",
			.params = params,
			.count = 1
		};
		int64_t wanted;

		assert_int_equal(db_query_int64(w.db, &look, &wanted, &err), 0);
		if (wanted >= 0 && wanted != truth[i].stock)
			fail_msg("%s: wanted %" PRId64 ", TEMU has %" PRId64, truth[i].sku, wanted, truth[i].stock);
	}
	free(truth);
}

static int64_t stock_at_temu(const char *sku)
{
	size_t count;
	struct temu_truth *truth = gateway_stock(&w, &count);
	int64_t stock = -1;

	for (size_t i = 0; i < count; i++)
		if (strcmp(truth[i].sku, sku) == 0)
			stock = truth[i].stock;
	free(truth);
	return stock;
}

static int64_t edits(int64_t *most)
{
	size_t count;
	struct temu_truth *truth = gateway_stock(&w, &count);
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		sum += truth[i].edits;
		if (most && truth[i].edits > *most)
			*most = truth[i].edits;
	}
	free(truth);
	return sum;
}

struct item_count {
	int64_t count;
	char reason[40];
	const char *sku;
};

static bool take_item(const struct item_record *item, void *arg)
{
	struct item_count *found = arg;

	if (found->sku && strcmp(found->sku, item->sku) != 0)
		return true;
	found->count++;
	snprintf(found->reason, sizeof(found->reason), "%s", item->reason);
	return true;
}

static struct item_count items(const struct ended *ended, int outcome, const char *sku)
{
	struct item_count found = { .sku = sku };
	struct err err = ERR_INIT;

	assert_int_equal(journal_items_list(w.journal, ended->record.id, outcome, 0, 10000, take_item, &found, &err), 0);
	return found;
}

static void sql_fault(const char *line)
{
	assert_true(sql_world_order(&w.sql, line));
}

static int heal(void **state)
{
	(void)state;
	if (!w.sql.there)
		return 0;
	gateway_order(&w, "/clear", "{}");
	if (!w.sql.external)
		sql_fault("clear");
	return world_gate(&w, GATE_STOCK) ? 0 : -1;
}

/* --- parameters and order --- */

static void parameters_are_refused_by_name(void **state)
{
	static const struct {
		const char *params, *word;
	} cases[] = {
		{ "{\"mode\":\"fast\"}", "params.mode" },
		{ "{\"dry_run\":1}", "params.dry_run" },
		{ "{\"shops\":1}", "params.shops" },
	};
	size_t count;
	const struct job_type *type = jobs_table(&count)[0];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct json *json = json_parse(cases[i].params, strlen(cases[i].params), &err);

		assert_int_equal(type->check(json, &err), -1);
		assert_string_equal(err.code, "BAD_REQUEST");
		assert_non_null(strstr(err.text, cases[i].word));
		json_free(json);
	}
}

static void quick_needs_a_complete_read(void **state)
{
	struct ended ended;

	NEED_WORLD();
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "QUICK_NEEDS_FULL");
	ended_release(&ended);
}

static void a_dry_run_writes_nothing(void **state)
{
	struct ended ended;

	NEED_WORLD();
	ended = run_to("{\"mode\":\"full\",\"dry_run\":true}", RUN_SUCCESS);
	assert_true(figure(&ended, "planned") > 20);
	assert_int_equal(items(&ended, ITEM_PLANNED, NULL).count, figure(&ended, "planned"));
	assert_int_equal(edits(NULL), 0);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger"), 0);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_products"), 0);
	ended_release(&ended);
}

static void a_shut_gate_stores_the_plan(void **state)
{
	struct ended ended;

	NEED_WORLD();
	assert_true(world_gate(&w, GATE_ORDERS));
	ended = run_to(FULL, RUN_SUCCESS);
	assert_true(figure(&ended, "planned") > 20);
	assert_int_equal(figure(&ended, "pushed"), 0);
	assert_int_equal(items(&ended, ITEM_PLANNED, NULL).count, figure(&ended, "changed"));
	assert_int_equal(edits(NULL), 0);
	assert_true(own("SELECT COUNT(*) FROM dbo.temu_ledger") > 100);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_products"), 0);
	assert_string_equal(json_get_string(ended.result, "note", ""), "the shop's gate is shut");
	ended_release(&ended);
}

static const struct {
	const char *sku;
	int64_t stock;
} cases[] = {
	{ "CASE-ZERO-ROW", 0 },
	{ "CASE-NO-ROW", 0 },
	{ "CASE-FRACTION-LOW", 0 },
	{ "CASE-FRACTION", 2 },
	{ "CASE-LARGE", 1000000 },
	{ "CASE-TOO-LARGE", 1000000 },
	{ "CASE-BUFFER-OVER-STOCK", 0 },
	{ "CASE-TWO-WAREHOUSES", 4 },
	{ "CASE-FBA", 2 },
	{ "CASE-TRANSIT", 2 },
	{ "CASE-INACTIVE-WAREHOUSE", 2 },
	{ "CASE-NEGATIVE-AVAILABLE", 5 },
	{ "CASE-AVAILABLE-OVER-STOCK", 5 },
	{ "CASE-DUPLICATE-ROW", 6 },
	{ "CASE-NULL-STOCK", 7 },
	{ "CASE-LOCKED", 9 },
	{ "CASE-INACTIVE", 0 },
	{ "CASE-DELETED", 0 },
	{ "CASE-DELETE-NULL", 5 },
	{ "CASE-UNMANAGED", 7 },
	{ "CASE-OVERSELL", 0 },
	{ "CASE-BUNDLE", 5 },
	{ "CASE-BUNDLE-MISSING-ROW", 3 },
	{ "CASE-BUNDLE-SERVICE", 10 },
	{ "CASE-FATHER-S", 6 },
	{ "CASE-FATHER", 0 },
	{ "CASE-RECREATED", 4 },
	{ "CASE-LETTERS", 5 },
	{ "CASE-BLANK ", 5 },
	{ "CASE-O'NEIL", 5 },
	{ "CASE-50%_OFF", 5 },
	{ "CASE-\"QUOTE\\BACK", 5 },
	{ "CASE-OFF-SALE", 5 },
	{ "CASE-TWO-LISTINGS", 5 },
	{ "NOT-IN-JTL-1", 4 },
	{ "NOT-IN-JTL-2", 0 },
	{ "", 3 },
};

static void a_full_run_brings_every_case_into_step(void **state)
{
	struct ended ended;

	NEED_WORLD();
	ended = run_to(FULL, RUN_SUCCESS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (stock_at_temu(cases[i].sku) != cases[i].stock)
			fail_msg("%s: %" PRId64, cases[i].sku, stock_at_temu(cases[i].sku));
	assert_in_step();
	assert_int_equal(figure(&ended, "pushed"), figure(&ended, "changed"));
	assert_int_equal(figure(&ended, "unmapped"), 3);
	assert_int_equal(figure(&ended, "skipped"), 3);
	assert_true(figure(&ended, "near_misses") >= 2);
	assert_int_equal(figure(&ended, "missing_components"), 1);
	assert_int_equal(items(&ended, ITEM_PUSHED, NULL).count, figure(&ended, "pushed"));
	assert_int_equal(items(&ended, ITEM_UNMAPPED, NULL).count, 3);
	assert_string_equal(items(&ended, ITEM_UNMAPPED, "").reason, "no_sku");
	assert_string_equal(items(&ended, ITEM_SKIPPED, "CASE-FATHER").reason, "father");
	assert_string_equal(items(&ended, ITEM_SKIPPED, "CASE-UNMANAGED").reason, "unmanaged");
	assert_string_equal(items(&ended, ITEM_SKIPPED, "CASE-NULL-STOCK").reason, "null_stock");
	ended_release(&ended);
}

static void near_misses_are_listed(void **state)
{
	struct ended ended;
	const struct json *list;
	bool letters = false;

	NEED_WORLD();
	ended = run_to(QUICK, RUN_SUCCESS);
	list = json_get(ended.result, "near_miss_list");
	assert_int_equal(json_size(list), figure(&ended, "near_misses"));
	for (const struct json *near = json_first(list); near; near = json_next(near))
		letters = letters || (strcmp(json_get_string(near, "sku", ""), "CASE-LETTERS") == 0 &&
		                      strcmp(json_get_string(near, "jtl_sku", ""), "Case-Letters") == 0);
	assert_true(letters);
	ended_release(&ended);
}

/* --- the report --- */

static const struct json *report_line(const struct ended *ended, const char *rule)
{
	for (const struct json *line = json_first(json_get(ended->result, "report")); line; line = json_next(line))
		if (strcmp(json_get_string(line, "rule", ""), rule) == 0)
			return line;
	return NULL;
}

static int64_t report_count(const struct ended *ended, const char *rule)
{
	return json_get_int64(report_line(ended, rule), "count", 0);
}

/* The text of the example of that SKU. */
static const char *report_text(const struct ended *ended, const char *rule, const char *sku)
{
	for (const struct json *e = json_first(json_get(report_line(ended, rule), "examples")); e; e = json_next(e))
		if (strcmp(json_get_string(e, "sku", ""), sku) == 0)
			return json_get_string(e, "text", "");
	return "";
}

static void the_report_names_every_rule_that_was_applied(void **state)
{
	struct ended ended;

	NEED_WORLD();
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(report_count(&ended, "several_listings"), 2);
	assert_int_equal(report_count(&ended, "duplicate_sku"), 2);
	assert_int_equal(report_count(&ended, "empty_sku"), 1);
	assert_int_equal(report_count(&ended, "unmapped"), 2);
	assert_int_equal(report_count(&ended, "other_spelling"), figure(&ended, "near_misses"));
	assert_int_equal(report_count(&ended, "null_stocks"), figure(&ended, "null_stocks"));
	assert_int_equal(report_count(&ended, "doubled_rows"), figure(&ended, "doubled_rows"));
	assert_int_equal(report_count(&ended, "missing_components"), 1);
	assert_string_equal(report_text(&ended, "other_spelling", "CASE-LETTERS"), "JTL has \"Case-Letters\"");
	assert_non_null(strstr(report_text(&ended, "several_listings", "CASE-TWO-LISTINGS"), "as skuId "));
	assert_null(report_line(&ended, "recreated_article"));
	assert_null(report_line(&ended, "vanished"));
	ended_release(&ended);
}

/* The rules a shop pushes by are remembered by the first run with an open gate, not by one that only planned. */
static void the_rules_are_remembered_once_something_may_be_sent(void **state)
{
	struct ended ended;

	NEED_WORLD();
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_shop WHERE shop = 1 AND rules LIKE N'database=%formula=reference%'"), 1);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE active = 1 AND article IS NOT NULL AND buffer IS NULL"), 0);
	w.settings.shops[0].stock_max = 3;
	assert_true(world_gate(&w, GATE_OFF));
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_true(json_get_bool(ended.result, "guard", false));
	assert_string_equal(json_get_string(ended.result, "rules_changed", ""), "stock_max: 1000000 -> 3");
	ended_release(&ended);
	assert_true(world_gate(&w, GATE_STOCK));
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "GUARD_RULES");
	ended_release(&ended);
	w.settings.shops[0].stock_max = 1000000;
	assert_int_equal(success(QUICK, "changed"), 0);
}

/* Two articles change their SKUs, as one made anew takes the SKU of one deleted. */
static void an_article_made_anew_is_taken(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	stock_of(7, 1, 41);
	stock_of(8, 1, 42);
	success(QUICK, "pushed");
	before = own("SELECT MIN(article) FROM dbo.temu_ledger WHERE sku = N'ART-000007'");
	for (int back = 0; back < 2; back++) {
		jtl("UPDATE dbo.tArtikel SET cArtNr = N'between' WHERE cArtNr = N'ART-000007'");
		jtl("UPDATE dbo.tArtikel SET cArtNr = N'ART-000007' WHERE cArtNr = N'ART-000008'");
		jtl("UPDATE dbo.tArtikel SET cArtNr = N'ART-000008' WHERE cArtNr = N'between'");
		ended = run_to(QUICK, RUN_SUCCESS);
		assert_int_equal(report_count(&ended, "recreated_article"), 2);
		assert_non_null(strstr(report_text(&ended, "recreated_article", "ART-000007"), " before, "));
		assert_int_equal(stock_at_temu("ART-000007"), back ? 41 : 42);
		assert_int_equal(stock_at_temu("ART-000008"), back ? 42 : 41);
		ended_release(&ended);
		assert_int_equal(own("SELECT MIN(article) FROM dbo.temu_ledger WHERE sku = N'ART-000007'") == before, back);
		assert_int_equal(own("SELECT MIN(jtl_article_id) FROM dbo.temu_products WHERE sku = N'ART-000007'") == before, back);
	}
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(report_count(&ended, "recreated_article"), 0); /* told once */
	ended_release(&ended);
}

static int64_t alarms(const struct ended *ended, const char *text)
{
	struct event_page page = { .last = 0 };
	struct err err = ERR_INIT;
	int64_t found = 0;
	struct buf out;

	buf_init(&out, 4 << 20);
	assert_int_equal(journal_events(w.journal, 1, 0, ended->record.id, 1 << 20, &out, &page, &err), 0);
	for (const char *at = buf_text(&out); (at = strstr(at, "\"event\":\"alarm\"")) != NULL; at++)
		found += strstr(at, text) != NULL;
	buf_release(&out);
	return found;
}

static void an_update_of_jtl_is_told(void **state)
{
	struct ended ended;

	NEED_WORLD();
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(alarms(&ended, "JTL_CHANGED"), 0);
	ended_release(&ended);
	jtl("UPDATE dbo.tversion SET cVersion = N'9.9.9.9'");
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(alarms(&ended, "-> 9.9.9.9"), 1);
	assert_string_equal(json_get_string(ended.result, "jtl_version", ""), "9.9.9.9");
	ended_release(&ended);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_shop WHERE shop = 1 AND jtl_version = N'9.9.9.9'"), 1);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(alarms(&ended, "JTL_CHANGED"), 0);
	ended_release(&ended);
}

/* --- other formulas --- */

struct planned {
	const char *sku;
	int64_t to;
};

static bool take_planned(const struct item_record *item, void *arg)
{
	struct planned *planned = arg;

	if (strcmp(item->sku, planned->sku) == 0)
		planned->to = item->to;
	return true;
}

/* What a dry run with this formula would set; -1 = no change. */
static int64_t planned_with(const struct ended *ended, const char *sku)
{
	struct planned planned = { sku, -1 };
	struct err err = ERR_INIT;

	assert_int_equal(journal_items_list(w.journal, ended->record.id, ITEM_PLANNED, 0, 10000, take_planned, &planned, &err),
	                 0);
	return planned.to;
}

static void the_other_formulas(void **state)
{
	static const struct {
		const char *sku;
		int64_t jtl, capped;
	} expected[] = {
		{ "CASE-NEGATIVE-AVAILABLE", 0, 0 },
		{ "CASE-AVAILABLE-OVER-STOCK", 12, -1 },
		{ "CASE-LOCKED", 0, 0 },
		{ "CASE-BUNDLE", -1, -1 },
		{ "CASE-BUNDLE-MISSING-ROW", 0, 0 },
		{ "CASE-BUNDLE-SERVICE", -1, -1 },
		{ "CASE-DUPLICATE-ROW", 8, -1 },
		{ "CASE-FRACTION", -1, -1 },
		{ "CASE-OVERSELL", -1, -1 },
	};

	NEED_WORLD();
	for (int formula = FORMULA_JTL; formula <= FORMULA_CAPPED; formula++) {
		struct ended ended;

		w.settings.shops[0].formula = formula;
		ended = run_to("{\"mode\":\"quick\",\"dry_run\":true}", RUN_SUCCESS);
		w.settings.shops[0].formula = FORMULA_REFERENCE;
		for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
			int64_t want = formula == FORMULA_JTL ? expected[i].jtl : expected[i].capped;

			if (planned_with(&ended, expected[i].sku) != want)
				fail_msg("%s, formula %d: %" PRId64, expected[i].sku, formula,
				         planned_with(&ended, expected[i].sku));
		}
		ended_release(&ended);
	}
}

static void the_old_systems_tables_are_kept(void **state)
{
	NEED_WORLD();
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger"),
	                 own("SELECT COUNT(*) FROM dbo.temu_products WHERE is_active = 1"));
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_inventory WHERE needs_sync = 1 OR temu_stock <> jtl_stock"), 0);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE wanted IS NOT NULL"),
	                 own("SELECT COUNT(*) FROM dbo.temu_inventory"));
	assert_int_equal(own("SELECT i.temu_stock FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id "
	                     "WHERE p.sku = N'CASE-FRACTION'"),
	                 2);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_products WHERE sku LIKE N'NOT-IN-JTL%' AND jtl_article_id IS NULL"),
	                 2);
}

static void nothing_changed_sends_nothing(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits(NULL);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "changed"), 0);
	assert_int_equal(figure(&ended, "requests"), 0);
	ended_release(&ended);
	assert_int_equal(success(FULL, "changed"), 0);
	assert_int_equal(edits(NULL), before);
}

static void a_sold_out_article_is_set_to_zero_by_a_quick_run(void **state)
{
	NEED_WORLD();
	stock_of(1, 3, 0);
	assert_int_not_equal(success(QUICK, "pushed"), -1);
	assert_int_equal(stock_at_temu("ART-000001"), 0);
	assert_int_equal(stock_at_temu("ART-000003"), 0);
	stock_of(1, 3, 44);
	assert_int_equal(success(QUICK, "pushed"), 3);
	assert_in_step();
}

/* --- TEMU's faults --- */

static void a_refused_sku_inside_success_makes_the_run_partial(void **state)
{
	char fault[200];
	struct ended ended;
	int64_t sku_id;

	NEED_WORLD();
	stock_of(1, 3, 31);
	sku_id = own("SELECT MIN(sku_id) FROM dbo.temu_ledger WHERE sku = N'ART-000002'");
	snprintf(fault, sizeof(fault), "{\"kind\":\"refuse_sku\",\"sku_id\":%" PRId64 ",\"count\":-1}", sku_id);
	gateway_order(&w, "/fault", fault);
	ended = run_to(QUICK, RUN_PARTIAL);
	assert_int_equal(figure(&ended, "refused"), 1);
	assert_int_equal(figure(&ended, "pushed"), 2);
	assert_int_equal(items(&ended, ITEM_REFUSED, "ART-000002").count, 1);
	ended_release(&ended);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1"), 1);
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(success(QUICK, "pushed"), 1);
	assert_in_step();
}

static void resets_before_and_after_the_effect(void **state)
{
	static const char *const faults[] = {
		"{\"kind\":\"reset_before\",\"type\":\"bg.local.goods.stock.edit\",\"count\":1}",
		"{\"kind\":\"reset_after\",\"type\":\"bg.local.goods.stock.edit\",\"count\":1}",
		"{\"kind\":\"truncate\",\"type\":\"bg.local.goods.stock.edit\",\"count\":1}",
		"{\"kind\":\"http502\",\"type\":\"bg.local.goods.stock.edit\",\"count\":1}",
		"{\"kind\":\"code\",\"code\":4000004,\"type\":\"bg.local.goods.stock.edit\",\"count\":1}"
	};

	NEED_WORLD();
	for (int i = 0; i < 5; i++) {
		stock_of(1, 3, 50 + i);
		gateway_order(&w, "/fault", faults[i]);
		assert_int_equal(success(QUICK, "pushed"), 3);
		assert_in_step();
		/* Behind all but the last an attempt without an answer may still be on its way: set once more, then all is known. */
		assert_int_equal(success(QUICK, "changed") > 0, i < 4);
		assert_int_equal(success(QUICK, "changed"), 0);
		assert_in_step();
	}
}

static void an_unknown_outcome_stays_unknown_until_temu_says(void **state)
{
	struct ended ended;
	int64_t unknown;

	NEED_WORLD();
	stock_of(1, 3, 60);
	gateway_order(&w, "/fault", "{\"kind\":\"reset_after\",\"type\":\"bg.local.goods.stock.edit\",\"count\":-1}");
	ended = run(QUICK);
	if (ended.record.state != RUN_PARTIAL && ended.record.state != RUN_FAILED)
		fail_msg("state %d", ended.record.state);
	ended_release(&ended);
	unknown = own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1");
	assert_int_equal(unknown, 3);
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(success(QUICK, "pushed"), 3);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1"), 0);
	assert_in_step();
}

static void a_truncated_catalogue_stops_before_the_push(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	stock_of(1, 3, 61);
	before = edits(NULL);
	gateway_order(&w, "/fault",
	              "{\"kind\":\"empty_page\",\"type\":\"bg.local.goods.sku.list.query\",\"count\":-1,\"skip\":1}");
	ended = run_to(FULL, RUN_FAILED);
	ended_release(&ended);
	assert_int_equal(edits(NULL), before);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE active = 0"), 0);
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(success(FULL, "pushed"), 3);
}

static void a_refused_token_holds_the_run(void **state)
{
	struct ended ended;
	struct queue_answer answer;
	struct err err = ERR_INIT;

	NEED_WORLD();
	gateway_order(&w, "/fault", "{\"kind\":\"code\",\"code\":3000034,\"count\":1}");
	ended = run_to(FULL, RUN_HELD);
	assert_int_equal(ended.record.error_class, ERR_HOLD);
	assert_int_equal(queue_cancel(w.queue, ended.record.id, &answer, &err), 0);
	ended_release(&ended);
}

static void sold_at_temu_is_seen_by_a_full_run(void **state)
{
	char body[100];
	int64_t sku_id;

	NEED_WORLD();
	stock_of(1, 3, 62);
	assert_int_equal(success(QUICK, "pushed"), 3);
	sku_id = own("SELECT MIN(sku_id) FROM dbo.temu_ledger WHERE sku = N'ART-000001'");
	snprintf(body, sizeof(body), "{\"sku_id\":%" PRId64 ",\"stock\":58}", sku_id);
	gateway_order(&w, "/set", body);
	assert_int_equal(success(QUICK, "pushed"), 0);
	assert_int_equal(success(FULL, "pushed"), 1);
	assert_in_step();
}

/* --- guard, gate, cancel --- */

static void too_many_zeros_stop_before_the_first_push(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	stock_of(1, 100, 9);
	success(QUICK, "pushed");
	before = edits(NULL);
	stock_of(1, 100, 0);
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "GUARD_ZEROS");
	assert_true(json_get_bool(ended.result, "guard", false));
	assert_int_equal(items(&ended, ITEM_PLANNED, NULL).count, 100);
	assert_int_equal(edits(NULL), before);
	ended_release(&ended);
	stock_of(1, 100, 9);
	assert_int_equal(success(QUICK, "changed"), 0);
}

/* Every stock call takes a moment, so that there is a middle. */
static void slow_down(void)
{
	gateway_order(&w, "/fault", "{\"kind\":\"slow\",\"type\":\"bg.local.goods.stock.edit\",\"delay_ms\":120,\"count\":-1}");
}

static void await_edits(int64_t more_than)
{
	int64_t until = clock_mono_ms() + 20000;

	while (edits(NULL) <= more_than && clock_mono_ms() < until)
		world_nap();
	assert_true(edits(NULL) > more_than);
}

static void the_gate_is_shut_in_mid_push(void **state)
{
	char id[RUN_ID_MAX];
	struct ended ended;
	int64_t before, most = 0;

	NEED_WORLD();
	stock_of(1, 100, 12);
	before = edits(NULL);
	slow_down();
	assert_true(world_submit(&w, QUICK, id));
	await_edits(before);
	assert_true(world_gate(&w, GATE_OFF));
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, RUN_SUCCESS);
	assert_true(figure(&ended, "pushed") > 0 && figure(&ended, "planned") > 0);
	assert_int_equal(figure(&ended, "pushed") + figure(&ended, "planned"), 100);
	assert_int_equal(edits(&most) - before, figure(&ended, "pushed"));
	assert_int_equal(items(&ended, ITEM_PLANNED, NULL).count, figure(&ended, "planned"));
	ended_release(&ended);
	/* Nothing that was not sent is taken for unknown. */
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1"), 0);
	gateway_order(&w, "/clear", "{}");
	assert_true(world_gate(&w, GATE_STOCK));
	success(QUICK, "pushed");
	assert_int_equal(edits(NULL) - before, 100);
	assert_in_step();
}

static void cancelled_in_mid_push(void **state)
{
	char id[RUN_ID_MAX];
	struct queue_answer answer;
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	stock_of(1, 100, 13);
	before = edits(NULL);
	slow_down();
	assert_true(world_submit(&w, QUICK, id));
	await_edits(before);
	assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, RUN_CANCELLED);
	assert_true(edits(NULL) - before < 100);
	ended_release(&ended);
	gateway_order(&w, "/clear", "{}");
	success(QUICK, "pushed");
	assert_int_equal(edits(NULL) - before, 100);
	assert_in_step();
}

/* --- SQL Server's faults --- */

/* The run succeeds in the end, everything is in step, and nothing went out twice. */
static void with_sql_fault(const char *fault, const char *params, int quantity)
{
	struct ended ended;
	int64_t before;

	stock_of(1, 100, quantity);
	before = edits(NULL);
	sql_fault(fault);
	ended = run(params);
	if (ended.record.state != RUN_SUCCESS)
		fail_msg("%s: state %d, %s", fault, ended.record.state, ended.record.error_text);
	ended_release(&ended);
	sql_fault("clear");
	if (edits(NULL) - before != 100)
		fail_msg("%s: %" PRId64 " edits", fault, edits(NULL) - before);
	assert_in_step();
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1"), 0);
}

static void errors_in_every_class_of_statement(void **state)
{
	static const char *const statements[] = {
		"temu_schema_version", "vLagerbestandProLager v",  "varchar(33), l.sent_at", "wanted_at",  "jtl_stock = j.w",
		"known = NULL",        "known_at = CASE WHEN j.o", "last_synced_to_temu",    "tWarenLager"
	};
	static const char *const faults[] = { "error 1205 13", "error 1222 16", "cut-before", "cut-after" };
	int quantity = 20;

	NEED_WORLD();
	if (w.sql.external)
		skip();
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
			char line[200];

			snprintf(line, sizeof(line), "%s match=\"%s\"", faults[f], statements[i]);
			with_sql_fault(line, QUICK, ++quantity);
		}
}

static void a_lost_answer_to_commit(void **state)
{
	NEED_WORLD();
	if (w.sql.external)
		skip();
	with_sql_fault("cut-after match=COMMIT count=1", QUICK, 70);
	with_sql_fault("cut-after match=COMMIT count=1 skip=1", QUICK, 71);
	with_sql_fault("cut-before match=COMMIT count=1", QUICK, 72);
	with_sql_fault("cut-after match=COMMIT count=1", FULL, 73);
}

static void cut_in_the_middle_of_the_stock_rows(void **state)
{
	NEED_WORLD();
	if (w.sql.external)
		skip();
	with_sql_fault("cut-rows 5 match=\"vLagerbestandProLager v\"", QUICK, 74);
	with_sql_fault("cut-clean-rows 5 match=\"vLagerbestandProLager v\"", QUICK, 75);
	with_sql_fault("error 1205 13 after-rows=5 match=\"vLagerbestandProLager v\"", QUICK, 76);
}

static void a_stock_read_that_fails_for_good_pushes_nothing(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	if (w.sql.external)
		skip();
	stock_of(1, 100, 0);
	before = edits(NULL);
	sql_fault("error 8134 16 after-rows=5 match=\"vLagerbestandProLager v\" count=0");
	ended = run_to(QUICK, RUN_FAILED);
	assert_int_equal(ended.record.attempt, 1);
	ended_release(&ended);
	sql_fault("clear");
	assert_int_equal(edits(NULL), before);
	stock_of(1, 100, 76);
	assert_int_equal(success(QUICK, "changed"), 0);
}

/* The database dies between call and mark and does not come back within the attempt: the next attempt pushes what is unknown, no
 * more. */
static void the_marks_cannot_be_written(void **state)
{
	struct ended ended;

	NEED_WORLD();
	if (w.sql.external)
		skip();
	stock_of(1, 100, 78);
	sql_fault("cut-before match=\"known_at = CASE WHEN j.o\" count=6");
	ended = run(QUICK);
	assert_int_equal(ended.record.state, RUN_SUCCESS);
	assert_true(ended.record.attempt > 1);
	ended_release(&ended);
	assert_in_step();
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE known IS NULL AND active = 1"), 0);
}

static void a_listing_that_vanishes_is_left_alone(void **state)
{
	char body[100];
	struct ended ended;
	int64_t sku_id;

	NEED_WORLD();
	sku_id = own("SELECT MIN(sku_id) FROM dbo.temu_ledger WHERE sku = N'ART-000004'");
	snprintf(body, sizeof(body), "{\"sku_id\":%" PRId64 "}", sku_id);
	gateway_order(&w, "/remove", body);
	ended = run_to(FULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "vanished"), 1);
	assert_int_equal(report_count(&ended, "vanished"), 1);
	ended_release(&ended);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE active = 0"), 1);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_products WHERE is_active = 0"), 1);
	stock_of(4, 1, 5);
	assert_int_equal(success(QUICK, "changed"), 0);
}

/* Another account and catalogue with many of the same articles: what one shop knows is nothing to the other. */
static void a_second_shop_is_configuration(void **state)
{
	char first[RUN_ID_MAX], second[RUN_ID_MAX];
	struct ended one, two;
	int64_t active;

	NEED_WORLD();
	assert_int_equal(journal_gate_set(w.journal, 2, GATE_STOCK, "test", "test", NULL, &w.err), 0);
	assert_true(world_submit_shop(&w, 2, QUICK, second));
	assert_true(world_await(&w, second, &two));
	assert_string_equal(two.record.error_code, "QUICK_NEEDS_FULL");
	ended_release(&two);
	assert_true(world_submit_shop(&w, 1, FULL, first));
	assert_true(world_submit_shop(&w, 2, FULL, second));
	assert_true(world_await(&w, first, &one));
	assert_true(world_await(&w, second, &two));
	assert_int_equal(one.record.state, RUN_SUCCESS);
	assert_int_equal(two.record.state, RUN_SUCCESS);
	assert_int_equal(figure(&one, "changed"), 0);
	assert_true(figure(&two, "pushed") > 20);
	active = figure(&two, "new");
	/* Whoever stores the articles last sees that they are shared; the next run of the other one does too. */
	assert_true(report_count(&two, "shared_article") > 50 || report_count(&one, "shared_article") > 50);
	ended_release(&one);
	ended_release(&two);
	one = run_to(QUICK, RUN_SUCCESS);
	assert_true(report_count(&one, "shared_article") > 50);
	assert_non_null(strstr(report_text(&one, "shared_article", "ART-000001"), "also in shop 2"));
	ended_release(&one);
	if (!w.sql.external) { /* the line is missing then, and that is all */
		sql_fault("error 8134 16 match=\"o.shop <> l.shop\" count=0");
		one = run_to(QUICK, RUN_SUCCESS);
		assert_null(report_line(&one, "shared_article"));
		ended_release(&one);
		sql_fault("clear");
	}
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_ledger WHERE shop = 2 AND active = 1"), active);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 2"), active);
	assert_int_equal(own("SELECT COUNT(*) FROM dbo.temu_inventory i JOIN dbo.temu_products p ON p.id = i.product_id "
	                     "WHERE i.shop <> p.shop"),
	                 0);
}

static int setup(void **state)
{
	(void)state;
	return world_start(&w, 150, "SQL_Latin1_General_CP1_CI_AS", "temu:\n  rate: 1000\n", SECOND_SHOP);
}

static int teardown(void **state)
{
	(void)state;
	world_stop(&w);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, heal, heal)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parameters_are_refused_by_name),
		TEST(quick_needs_a_complete_read),
		TEST(a_dry_run_writes_nothing),
		TEST(a_shut_gate_stores_the_plan),
		TEST(a_full_run_brings_every_case_into_step),
		TEST(near_misses_are_listed),
		TEST(the_report_names_every_rule_that_was_applied),
		TEST(the_rules_are_remembered_once_something_may_be_sent),
		TEST(an_article_made_anew_is_taken),
		TEST(an_update_of_jtl_is_told),
		TEST(the_other_formulas),
		TEST(the_old_systems_tables_are_kept),
		TEST(nothing_changed_sends_nothing),
		TEST(a_sold_out_article_is_set_to_zero_by_a_quick_run),
		TEST(a_refused_sku_inside_success_makes_the_run_partial),
		TEST(resets_before_and_after_the_effect),
		TEST(an_unknown_outcome_stays_unknown_until_temu_says),
		TEST(a_truncated_catalogue_stops_before_the_push),
		TEST(a_refused_token_holds_the_run),
		TEST(sold_at_temu_is_seen_by_a_full_run),
		TEST(too_many_zeros_stop_before_the_first_push),
		TEST(the_gate_is_shut_in_mid_push),
		TEST(cancelled_in_mid_push),
		TEST(errors_in_every_class_of_statement),
		TEST(a_lost_answer_to_commit),
		TEST(cut_in_the_middle_of_the_stock_rows),
		TEST(a_stock_read_that_fails_for_good_pushes_nothing),
		TEST(the_marks_cannot_be_written),
		TEST(a_listing_that_vanishes_is_left_alone),
		TEST(a_second_shop_is_configuration),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
