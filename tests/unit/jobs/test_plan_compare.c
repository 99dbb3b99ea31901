/* The comparison as a run: against a real journal with plans made by hand and a database that played the old system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/jobs/world.h"
#include "worker/jobs/env.h"
#include "worker/jobs/plan_compare.h"

#define SECOND_SHOP                                                                              \
	"  - id: 2\n    name: Two\n    app_key: " APP_KEY "-2\n    app_secret: " APP_SECRET "-2\n" \
	"    access_token: " ACCESS_TOKEN "-2\n"                                                 \
	"    warehouses: [2]\n    url: "
#define SYNC "temu_inventory_sync"

static struct world w;

/* --- plans by hand --- */

struct change {
	int64_t sku_id;
	int from, to; /* from -1 = unknown */
	enum item_outcome outcome;
};

static void add_items(const char *run, const struct change *changes, size_t count)
{
	struct item_record *items = calloc(count + 1, sizeof(*items));
	char (*skus)[20] = calloc(count + 1, sizeof(*skus));

	for (size_t i = 0; i < count; i++) {
		snprintf(skus[i], sizeof(skus[i]), "SKU-%" PRId64, changes[i].sku_id);
		items[i] = (struct item_record){ .sku = skus[i],
			                         .sku_id = changes[i].sku_id,
			                         .goods_id = changes[i].sku_id / 10,
			                         .has_from = changes[i].from >= 0,
			                         .from = changes[i].from,
			                         .has_to = changes[i].to >= 0,
			                         .to = changes[i].to,
			                         .outcome = changes[i].outcome,
			                         .reason = "delta" };
	}
	assert_int_equal(journal_items_add(w.journal, run, items, count, &w.err), 0);
	free(items);
	free(skus);
}

static bool move(struct run_record *run, enum run_state to)
{
	enum run_state from = run->state;

	run->state = to;
	return journal_run_move(w.journal, run, from, "by hand", &w.err) == 0;
}

/* A run of the sync that began so many seconds ago and ended as told; RUN_RUNNING: still under way. */
static void plan_by_hand(int64_t shop, int seconds_ago, enum run_state end, const struct change *changes, size_t count, char *id)
{
	struct run_record run = { .shop = shop, .job = SYNC, .trigger = "test", .duration_ms = -1, .state = RUN_QUEUED };

	run.params = strdup("{}");
	run.created_ms = run.queued_ms = clock_now_ms() - seconds_ago * 1000 - 3600000;
	assert_int_equal(journal_run_add(w.journal, &run, &w.err), 0);
	snprintf(id, RUN_ID_MAX, "%s", run.id);
	run.started_ms = clock_now_ms() - seconds_ago * 1000;
	run.attempt = 1;
	assert_true(move(&run, RUN_RUNNING));
	add_items(id, changes, count);
	if (end == RUN_FAILED) {
		run.error_class = ERR_PERM;
		snprintf(run.error_code, sizeof(run.error_code), "GUARD_ZEROS");
	}
	run.finished_ms = clock_now_ms();
	if (end != RUN_RUNNING)
		assert_true(move(&run, end));
	run_record_release(&run);
}

/* --- comparing --- */

static bool submit(int64_t shop, const char *plan, const char *with, char *id)
{
	struct queue_request request = { .job = "temu_plan_compare", .shop = shop };
	struct queue_answer answer;
	struct json *params;
	char text[300];
	int rc;

	snprintf(text, sizeof(text), "{\"plan\":\"%s\",\"with\":\"%s\"}", plan, with);
	params = json_parse(text, strlen(text), &w.err);
	request.params = params;
	rc = queue_submit(w.queue, &request, &answer, &w.err);
	json_free(params);
	snprintf(id, RUN_ID_MAX, "%s", answer.run_id);
	if (rc != 0)
		fprintf(stderr, "submit: %s %s\n", w.err.code, w.err.text);
	return rc == 0;
}

static struct ended compare(const char *plan, const char *with)
{
	struct ended ended;
	char id[RUN_ID_MAX];

	assert_true(submit(1, plan, with, id));
	assert_true(world_await(&w, id, &ended));
	return ended;
}

static struct ended compared(const char *plan, const char *with)
{
	struct ended ended = compare(plan, with);

	if (ended.record.state != RUN_SUCCESS)
		fail_msg("%s: %s", ended.record.error_code, ended.record.error_text);
	assert_non_null(ended.result);
	return ended;
}

static void refused(const char *plan, const char *with, const char *words)
{
	struct ended ended = compare(plan, with);

	assert_int_equal(ended.record.state, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "PLAN_UNKNOWN");
	assert_int_equal(ended.record.error_class, ERR_PERM);
	if (!strstr(ended.record.error_text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, ended.record.error_text);
	assert_null(ended.result);
	ended_release(&ended);
}

struct search {
	int64_t sku_id;
	int64_t count, matches;
	struct item_record found;
	char sku[40], reason[20], text[400];
};

static bool search_item(const struct item_record *item, void *arg)
{
	struct search *s = arg;

	assert_int_equal(item->outcome, ITEM_COMPARED);
	s->count++;
	if (item->sku_id != s->sku_id)
		return true;
	s->matches++;
	s->found = *item;
	snprintf(s->sku, sizeof(s->sku), "%s", item->sku);
	snprintf(s->reason, sizeof(s->reason), "%s", item->reason);
	snprintf(s->text, sizeof(s->text), "%s", item->text);
	return true;
}

static struct search item(const struct ended *ended, int64_t sku_id)
{
	struct search s = { .sku_id = sku_id };

	assert_int_equal(journal_items_list(w.journal, ended->record.id, -1, 0, 0, search_item, &s, &w.err), 0);
	return s;
}

static void assert_item(const struct ended *ended, int64_t sku_id, const char *reason, int plan, int with, const char *words)
{
	struct search s = item(ended, sku_id);

	assert_int_equal(s.matches, 1);
	assert_string_equal(s.reason, reason);
	assert_int_equal(s.found.has_from ? s.found.from : -1, plan);
	assert_int_equal(s.found.has_to ? s.found.to : -1, with);
	if (!strstr(s.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, s.text);
}

/* --- the old system --- */

static void sql(const char *format, ...) PRINTF_LIKE(1, 2);
static void sql(const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_true(world_run_sql(w.db, text));
}

static void old_push(int sku_id, int value, int seconds_ago)
{
	sql("INSERT INTO dbo.temu_products (sku, goods_id, sku_id) SELECT N'OLD-%d', %d, %d\n"
	    "  WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_products p WHERE p.sku_id = %d)\n"
	    "INSERT INTO dbo.temu_inventory (product_id, temu_stock, last_synced_to_temu)\n"
	    "SELECT MAX(id), %d, DATEADD(second, -%d, GETDATE()) FROM dbo.temu_products WHERE sku_id = %d",
	    sku_id, sku_id / 10, sku_id, sku_id, value, seconds_ago, sku_id);
}

static void ledger(int sku_id, const char *known, int wanted)
{
	sql("INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, known, wanted) VALUES (1, %d, %d, N'L%d', %s, %d)", sku_id,
	    sku_id / 10, sku_id, known, wanted);
}

static int heal(void **state)
{
	(void)state;
	if (!w.sql.there)
		return 0;
	if (!w.sql.external && !sql_world_order(&w.sql, "clear"))
		return -1;
	return world_run_sql(w.db, "DELETE FROM dbo.temu_inventory\nDELETE FROM dbo.temu_products\nDELETE FROM dbo.temu_ledger") ? 0
	                                                                                                                        : -1;
}

/* --- tests --- */

static void parameters_are_refused_by_name(void **state)
{
	static const struct {
		const char *params, *word;
	} cases[] = {
		{ "{}", "params.plan" },
		{ "{\"with\":\"old_system\"}", "params.plan" },
		{ "{\"plan\":7,\"with\":\"old_system\"}", "params.plan" },
		{ "{\"plan\":\"a\"}", "params.with" },
		{ "{\"plan\":\"a\",\"with\":\"a\"}", "params.with" },
		{ "{\"plan\":\"a\",\"with\":null}", "params.with" },
		{ "{\"plan\":\"a\",\"with\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", "params.with" },
		{ "{\"plan\":\"a\",\"with\":\"b\",\"mode\":\"full\"}", "params.mode" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct json *params = json_parse(cases[i].params, strlen(cases[i].params), &err);

		assert_non_null(params);
		assert_int_equal(plan_compare_job.check(params, &err), -1);
		assert_string_equal(err.code, "BAD_REQUEST");
		assert_non_null(strstr(err.text, cases[i].word));
		json_free(params);
	}
}

static void two_plans_side_by_side(void **state)
{
	static const struct change left[] = { { 10, 3, 5, ITEM_PLANNED },  { 20, -1, 0, ITEM_PUSHED },  { 30, 4, 6, ITEM_REFUSED },
		                              { 40, 9, 0, ITEM_UNKNOWN },  { 50, 1, 2, ITEM_SKIPPED },  { 0, -1, -1, ITEM_UNMAPPED },
		                              { 60, -1, -1, ITEM_PLANNED } };
	static const struct change right[] = { { 30, 4, 8, ITEM_PLANNED }, { 10, 3, 5, ITEM_PLANNED }, { 20, 7, 4, ITEM_PLANNED },
		                               { 70, 5, 0, ITEM_PLANNED } };
	char a[RUN_ID_MAX], b[RUN_ID_MAX];
	struct ended ended;

	(void)state;
	if (!w.sql.there)
		skip();
	plan_by_hand(1, 60, RUN_PARTIAL, left, 7, a);
	plan_by_hand(1, 30, RUN_FAILED, right, 4, b); /* a guard kept it */
	ended = compared(a, b);
	assert_string_equal(json_get_string(ended.result, "plan", ""), a);
	assert_string_equal(json_get_string(ended.result, "with", ""), b);
	assert_string_equal(json_get_string(ended.result, "plan_state", ""), "partial");
	assert_string_equal(json_get_string(ended.result, "with_state", ""), "failed");
	assert_int_equal(figure(&ended, "same"), 1);
	assert_int_equal(figure(&ended, "other"), 2);
	assert_int_equal(figure(&ended, "only_plan"), 1);
	assert_int_equal(figure(&ended, "only_other"), 1);
	assert_int_equal(figure(&ended, "plan_skus"), 4);
	assert_int_equal(figure(&ended, "with_pieces"), 17);
	assert_int_equal(figure(&ended, "pieces_more"), 6);
	assert_int_equal(figure(&ended, "plan_sold_out_only"), 2);
	assert_int_equal(figure(&ended, "with_sold_out_only"), 1);
	assert_null(json_get(ended.result, "sold_out_for_sale"));
	assert_non_null(strstr(json_get_string(ended.result, "text", ""), "2 with another target"));
	assert_int_equal(ended.record.seen, 5);
	assert_int_equal(ended.record.steps_done, 2);
	assert_int_equal(item(&ended, 10).count, 5);
	assert_item(&ended, 10, "same", 5, 5, "both plans set 5");
	assert_item(&ended, 20, "other", 0, 4, "the plan sets 0, the other plan 4 (TEMU had 7)");
	assert_item(&ended, 30, "other", 6, 8, "(TEMU had 4)");
	assert_item(&ended, 40, "only_plan", 0, -1, "the other plan leaves it alone");
	assert_item(&ended, 70, "only_other", -1, 0, "the plan leaves it alone");
	assert_string_equal(item(&ended, 70).sku, "SKU-70");
	assert_int_equal(item(&ended, 70).found.goods_id, 7);
	ended_release(&ended);
}

static void what_is_no_plan(void **state)
{
	static const struct change one[] = { { 10, 3, 5, ITEM_PLANNED } };
	char plan[RUN_ID_MAX], empty[RUN_ID_MAX], running[RUN_ID_MAX], early[RUN_ID_MAX], other_shop[RUN_ID_MAX];
	struct ended ended;

	(void)state;
	if (!w.sql.there)
		skip();
	plan_by_hand(1, 60, RUN_SUCCESS, one, 1, plan);
	plan_by_hand(1, 50, RUN_SUCCESS, NULL, 0, empty);
	plan_by_hand(1, 40, RUN_RUNNING, one, 1, running);
	plan_by_hand(1, 30, RUN_FAILED, NULL, 0, early);
	plan_by_hand(2, 20, RUN_SUCCESS, one, 1, other_shop);
	refused("temu_inventory_sync.1.000000999999", "old_system", "is no run");
	refused("nonsense", plan, "nonsense is no run");
	refused(plan, other_shop, "of shop 1");
	refused(running, plan, "not over yet: running");
	refused(plan, early, "before it had a plan: failed, GUARD_ZEROS");
	ended = compared(plan, empty);
	assert_int_equal(figure(&ended, "only_plan"), 1);
	refused(plan, ended.record.id, "is no run of temu_inventory_sync");
	ended_release(&ended);
}

static void beside_what_the_old_system_did(void **state)
{
	static const struct change changes[] = { { 10, 3, 5, ITEM_PLANNED }, { 20, 3, 6, ITEM_PLANNED }, { 30, 3, 0, ITEM_PLANNED },
		                                 { 40, 3, 0, ITEM_PLANNED }, { 50, 3, 0, ITEM_PLANNED }, { 60, 3, 0, ITEM_PLANNED },
		                                 { 70, 3, 9, ITEM_PLANNED } };
	char plan[RUN_ID_MAX];
	struct ended ended;

	(void)state;
	if (!w.sql.there)
		skip();
	old_push(10, 5, 100);
	old_push(20, 7, 200);
	old_push(20, 6, 900); /* before the plan */
	old_push(30, 4, 300);
	old_push(70, 9, 700); /* before the plan */
	old_push(80, 2, 100);
	old_push(90, 2, 100);
	old_push(90, 1, 150);
	old_push(95, 2, 100); /* ours */
	ledger(40, "3", 0);
	ledger(50, "NULL", 0);
	ledger(60, "0", 0);
	ledger(80, "2", 2);
	ledger(95, "2", 2);
	sql("UPDATE dbo.temu_ledger SET sent = 2, sent_at = DATEADD(second, -100, GETUTCDATE()) WHERE sku_id = 95");
	plan_by_hand(1, 600, RUN_SUCCESS, changes, 7, plan);
	ended = compared(plan, "old_system");
	assert_int_equal(figure(&ended, "same"), 1);
	assert_int_equal(figure(&ended, "other"), 2);
	assert_int_equal(figure(&ended, "only_plan"), 4);
	assert_int_equal(figure(&ended, "only_other"), 2);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 2); /* 30 and 40 */
	assert_int_equal(figure(&ended, "sold_out_unknown"), 1);
	assert_int_equal(figure(&ended, "as_wanted"), 1);
	assert_int_equal(figure(&ended, "own_pushes"), 1);
	assert_int_equal(figure(&ended, "doubled"), 1);
	assert_non_null(strstr(json_get_string(ended.result, "text", ""), "2 sold-out SKUs still for sale, 1 perhaps"));
	assert_string_equal(json_get_string(ended.result, "with_state", "x"), "");
	assert_item(&ended, 10, "same", 5, 5, "as the plan would");
	assert_item(&ended, 20, "other", 6, 7, "the plan sets 6, the old system pushed 7");
	assert_item(&ended, 30, "other", 0, 4, "still for sale");
	assert_item(&ended, 40, "only_plan", 0, -1, "TEMU shows 3: still for sale");
	assert_item(&ended, 50, "only_plan", 0, -1, "not known");
	assert_item(&ended, 60, "only_plan", 0, -1, "TEMU shows 0");
	assert_item(&ended, 70, "only_plan", 9, -1, "pushed nothing");
	assert_item(&ended, 80, "only_other", -1, 2, "that is what is wanted");
	assert_item(&ended, 90, "only_other", -1, 2, "the newest counts");
	assert_string_equal(item(&ended, 80).sku, "L80");
	assert_string_equal(item(&ended, 90).sku, "OLD-90");
	assert_int_equal(item(&ended, 95).matches, 0);
	ended_release(&ended);
}

static void more_than_a_page(void **state)
{
	enum { MANY = 1201 };
	struct change *changes = calloc(MANY, sizeof(*changes));
	char a[RUN_ID_MAX], b[RUN_ID_MAX];
	struct ended ended;

	(void)state;
	if (!w.sql.there) {
		free(changes);
		skip();
	}
	for (int i = 0; i < MANY; i++)
		changes[i] = (struct change){ 1000 + (i * 601) % MANY, 1, 2, ITEM_PLANNED };
	plan_by_hand(1, 60, RUN_SUCCESS, changes, MANY, a);
	for (int i = 0; i < MANY; i++)
		changes[i].sku_id += 600;
	plan_by_hand(1, 30, RUN_SUCCESS, changes, MANY, b);
	ended = compared(a, b);
	assert_int_equal(figure(&ended, "same"), 601);
	assert_int_equal(figure(&ended, "only_plan"), 600);
	assert_int_equal(figure(&ended, "only_other"), 600);
	assert_int_equal(item(&ended, 1600).count, 1801);
	for (int i = 0; i < 1801; i += 300)
		assert_int_equal(item(&ended, 1000 + i).matches, 1);
	assert_int_equal(ended.record.seen, 1801);
	ended_release(&ended);
	free(changes);
}

/* More pushes than fit into one page of items; the statement that names them fails for a whole attempt. */
static void an_attempt_that_failed_leaves_nothing_doubled(void **state)
{
	static const struct change changes[] = { { 10, 3, 5, ITEM_PLANNED } };
	char plan[RUN_ID_MAX], line[200];
	struct ended ended;

	(void)state;
	if (!w.sql.there || w.sql.external)
		skip();
	sql("INSERT INTO dbo.temu_products (sku, goods_id, sku_id) SELECT N'S' + CONVERT(nvarchar(10), kArtikel), 1, 100 + kArtikel\n"
	    "FROM %s.dbo.tArtikel\n"
	    "INSERT INTO dbo.temu_inventory (product_id, temu_stock, last_synced_to_temu) SELECT id, 4, GETDATE() FROM dbo.temu_products",
	    w.sql.jtl);
	plan_by_hand(1, 600, RUN_SUCCESS, changes, 1, plan);
	snprintf(line, sizeof(line), "error 1205 13 match=\"ISNULL(l.goods_id\" skip=1 count=%d", JOBS_DB_TRIES);
	assert_true(sql_world_order(&w.sql, line));
	ended = compared(plan, "old_system");
	assert_int_equal(ended.record.attempt, 2);
	assert_true(figure(&ended, "only_other") > 500);
	assert_int_equal(item(&ended, 0).count, figure(&ended, "only_other") + 1);
	assert_item(&ended, 10, "only_plan", 5, -1, "pushed nothing");
	ended_release(&ended);
}

static void cancelled_while_it_waits_for_the_database(void **state)
{
	static const struct change changes[] = { { 10, 3, 5, ITEM_PLANNED } };
	char plan[RUN_ID_MAX], id[RUN_ID_MAX];
	struct run_record record = { .step = "" };
	struct queue_answer answer;
	struct ended ended;

	(void)state;
	if (!w.sql.there || w.sql.external)
		skip();
	plan_by_hand(1, 600, RUN_SUCCESS, changes, 1, plan);
	assert_true(sql_world_order(&w.sql, "hang match=\"last_synced_to_temu >\" attention=yes"));
	assert_true(submit(1, plan, "old_system", id));
	for (int i = 0; i < 5000 && strcmp(record.step, "read") != 0; i++) {
		run_record_release(&record);
		assert_int_equal(journal_run_get(w.journal, id, &record, &w.err), 1);
		world_nap();
	}
	assert_string_equal(record.step, "read");
	run_record_release(&record);
	assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, RUN_CANCELLED);
	assert_null(ended.result);
	assert_int_equal(item(&ended, 10).count, 0);
	ended_release(&ended);
}

static void a_schema_that_is_not_there_holds(void **state)
{
	static const struct change changes[] = { { 10, 3, 5, ITEM_PLANNED } };
	char plan[RUN_ID_MAX];
	struct ended ended;

	(void)state;
	if (!w.sql.there || w.sql.external)
		skip();
	plan_by_hand(1, 600, RUN_SUCCESS, changes, 1, plan);
	sql("EXEC sp_rename N'dbo.temu_schema_version', N'temu_schema_away'");
	ended = compare(plan, "old_system");
	sql("EXEC sp_rename N'dbo.temu_schema_away', N'temu_schema_version'");
	assert_int_equal(ended.record.state, RUN_HELD);
	assert_string_equal(ended.record.error_code, "SCHEMA_OLD");
	ended_release(&ended);
}

static int setup(void **state)
{
	(void)state;
	return world_start(&w, 600, "Latin1_General_CI_AS", "temu:\n  rate: 1000\n", SECOND_SHOP);
}

static int teardown(void **state)
{
	(void)state;
	world_stop(&w);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, heal)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parameters_are_refused_by_name),
		TEST(two_plans_side_by_side),
		TEST(what_is_no_plan),
		TEST(beside_what_the_old_system_did),
		TEST(more_than_a_page),
		TEST(an_attempt_that_failed_leaves_nothing_doubled),
		TEST(cancelled_while_it_waits_for_the_database),
		TEST(a_schema_that_is_not_there_holds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
