/* Whole runs against the gateway with a database in memory that fails on command: what is committed when, what a crash, a lost
 * answer or a refusal in between leaves behind. The repositories' functions are replaced here, so no statement is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "tests/unit/jobs/world.h"
#include "worker/db/adoption.h"
#include "worker/db/claims.h"
#include "worker/db/log_mirror.h"
#include "worker/db/connpool.h"
#include "worker/db/inventory.h"
#include "worker/db/jtl_stock.h"
#include "worker/db/old_pushes.h"
#include "worker/db/old_system.h"
#include "worker/db/products.h"
#include "worker/db/schema.h"
#include "worker/jobs/env.h"
#include "worker/jobs/keeper.h"
#include "worker/jobs/plan.h"

#define ARTICLES 150

static struct world w;

/* --- the database in memory --- */

struct row {
	int64_t sku_id, goods_id;
	char sku[128], name[600], sent_run[RUN_ID_MAX];
	bool active;
	struct maybe known, wanted, sent, sent_from, article, buffer;
	int64_t sent_ms, doubt_ms;
};

enum call { CALL_PREPARE, CALL_SAVE, CALL_WANTED, CALL_READ, CALL_INTEND, CALL_JUDGE, CALL_RESTORE, CALL_RULES, CALLS };

static struct memory {
	struct row rows[1000], committed[1000];
	size_t count, committed_count;
	struct ledger_shop shop;
	int stock[ARTICLES + 1]; /* -1 = the article is unknown */
	int buffer;              /* of every article */
	int64_t first_article;   /* added to every article's number */
	const char *version, *objects; /* of JTL */
	bool probe_fails;
	int checks;         /* of the lease */
	_Atomic int lose_at; /* the lease is lost from this look on; 0 = never; also set in mid-run */
	bool foreign;       /* the lease is somebody else's */
	int lost_told;      /* how often the keeper was told */
	bool old_read;      /* the old system worked since TEMU was read */
	bool claimed; /* some SKUs are another shop's too */
	bool claims_refused;
	int old_system_at;  /* the old system is seen from this look on; 0 = never */
	int old_system;     /* looks */
	int calls[CALLS];
	enum call fail_call; /* the call that fails ... */
	int fail_count;      /* ... this often ... */
	bool fail_after;     /* ... after its effect */
	enum err_class fail_class;
	bool commit_lost;         /* a transaction that fails was committed all the same */
	int stock_after_failures; /* of the first ten articles; 0 = as it was */
	bool shut_in_intent;      /* the gate is shut while the intent is being stored */
	bool no_rows;             /* no article has a stock row */
	bool wrong_rows; /* the look-up does not return one row per key */
} m;

static void fail_next(enum call call, int count, bool after, enum err_class class)
{
	m.fail_call = call;
	m.fail_count = count;
	m.fail_after = after;
	m.fail_class = class;
}

/* Before (after == false) or after the effect of a call. */
static int trip(enum call call, bool after, struct err *err)
{
	m.calls[call] += !after;
	if (m.fail_count == 0 || m.fail_call != call || m.fail_after != after)
		return 0;
	if (--m.fail_count == 0 && m.stock_after_failures)
		for (int i = 1; i <= 10; i++)
			m.stock[i] = m.stock_after_failures;
	return err_set(err, m.fail_class, "SQL_TEST", "ordered by the test");
}

static struct row *find(int64_t sku_id)
{
	for (size_t i = 0; i < m.count; i++)
		if (m.rows[i].sku_id == sku_id)
			return &m.rows[i];
	return NULL;
}

static void commit(void)
{
	memcpy(m.committed, m.rows, sizeof(m.rows));
	m.committed_count = m.count;
}

static void roll_back(void)
{
	memcpy(m.rows, m.committed, sizeof(m.rows));
	m.count = m.committed_count;
}

struct connpool *connpool_new(const struct connpool_config *config, struct err *err)
{
	static int pool;

	(void)config;
	(void)err;
	return (struct connpool *)&pool;
}

int connpool_run(struct connpool *pool, const struct db_limit *limit, db_work_fn *work, void *arg, struct err *err)
{
	int rc;

	(void)pool;
	if (limit && limit->cancelled && limit->cancelled(limit->arg))
		return err_set(err, ERR_CANCELLED, "SQL_CANCELLED", "cancelled");
	rc = work(NULL, arg, err);
	/* Outside of a transaction a statement stands although its answer was lost. */
	commit();
	return rc;
}

int connpool_transaction(struct connpool *pool, const struct db_limit *limit, const struct db_fence *fence, db_work_fn *work,
                         void *arg, struct err *err)
{
	int rc;

	(void)pool;
	if (!fence)
		fail_msg("a transaction without a fence");
	if (fence->judge(fence->arg, NULL, err) != 0)
		return -1;
	if (limit && limit->cancelled && limit->cancelled(limit->arg))
		return err_set(err, ERR_CANCELLED, "SQL_CANCELLED", "cancelled");
	rc = work(NULL, arg, err);
	if (rc == 0 || m.commit_lost)
		commit();
	else
		roll_back();
	return rc;
}

void connpool_stats(struct connpool *pool, struct connpool_stats *stats)
{
	(void)pool;
	memset(stats, 0, sizeof(*stats));
	stats->open = 7;
}

int connpool_stop(struct connpool *pool, int64_t deadline_ms, struct err *err)
{
	(void)pool;
	(void)deadline_ms;
	(void)err;
	return 0;
}

void connpool_free(struct connpool *pool)
{
	(void)pool;
}

int db_setup(const struct db_config *config, struct err *err)
{
	(void)config;
	(void)err;
	return 0;
}

struct db *db_open(const struct db_config *config, struct err *err)
{
	(void)config;
	err_set(err, ERR_HOLD, "SQL_4060", "Cannot open database");
	err->number = 4060;
	return NULL;
}

void db_close(struct db *db)
{
	(void)db;
}

/* The stand-in's set-up in sql_world.h names it; unoptimised builds want it linked. */
int db_execute(struct db *db, const char *label, const char *sql, int64_t *affected, struct err *err)
{
	(void)db;
	(void)label;
	(void)sql;
	(void)affected;
	return err_set(err, ERR_PERM, "TEST", "no database here");
}

/* --- worker/db/log_mirror.h: no mirror runs here --- */

void log_batch_init(struct log_batch *batch, const char *journal)
{
	*batch = (struct log_batch){ .journal = journal };
}

void log_batch_release(struct log_batch *batch)
{
	(void)batch;
}

void log_batch_clear(struct log_batch *batch, int64_t mark)
{
	batch->from = batch->to = mark;
}

void log_batch_add(struct log_batch *batch, const struct log_row *row)
{
	batch->to = row->seq;
}

int log_mirror_mark(struct db *db, const char *journal, int64_t *mark, struct err *err)
{
	(void)db, (void)journal, (void)mark;
	return err_set(err, ERR_PERM, "TEST", "no log table here");
}

int log_mirror_write(struct db *db, void *batch, struct err *err)
{
	(void)db, (void)batch;
	return err_set(err, ERR_PERM, "TEST", "no log table here");
}

struct schema_list schema_own(void)
{
	return (struct schema_list){ NULL, 0 };
}

int schema_plan(struct db *db, const struct schema_list *list, struct buf *plan, size_t *pending, struct err *err)
{
	(void)db;
	(void)list;
	(void)plan;
	(void)pending;
	(void)err;
	return 0;
}

int schema_apply(struct db *db, const struct schema_list *list, struct err *err)
{
	return schema_plan(db, list, NULL, NULL, err);
}

int schema_check(struct db *db, const struct schema_list *list, struct err *err)
{
	(void)db;
	(void)list;
	return trip(CALL_PREPARE, false, err);
}

int jtl_stock_probe(struct db *db, const char *database, enum jtl_source source, const int64_t *warehouses, size_t count,
                    struct jtl_probe *probe, struct err *err)
{
	(void)db;
	(void)database;
	(void)source;
	(void)warehouses;
	(void)count;
	(void)err;
	*probe = (struct jtl_probe){ .collation = "X" };
	snprintf(probe->version, sizeof(probe->version), "%s", m.version);
	snprintf(probe->objects, sizeof(probe->objects), "%s", m.objects);
	if (m.probe_fails)
		return err_set(err, ERR_HOLD, "JTL_OBJECT", "Invalid column name 'fBestand'");
	return 0;
}

int jtl_stock_read(struct db *db, const struct jtl_lookup *lookup, const struct jtl_key *keys, size_t count,
                   struct jtl_article *out, struct err *err)
{
	(void)db;
	(void)lookup;
	if (trip(CALL_READ, false, err) != 0)
		return -1;
	if (m.wrong_rows)
		return err_set(err, ERR_TEMP, "JTL_ROWS", "one row too many");
	for (size_t i = 0; i < count; i++) {
		int64_t number = strncmp(keys[i].sku, "ART-", 4) == 0 ? strtoll(keys[i].sku + 4, NULL, 10) : 0;

		out[i] = (struct jtl_article){ .n = keys[i].n };
		if (number < 1 || number > ARTICLES || m.stock[number] < 0)
			continue;
		out[i] = (struct jtl_article){ .n = keys[i].n,
			                       .match = JTL_EXACT,
			                       .article = m.first_article + number,
			                       .buffer = m.buffer,
			                       .active = true,
			                       .managed = true,
			                       .rows = !m.no_rows,
			                       .physical = quantity_of(m.stock[number]) };
	}
	return trip(CALL_READ, true, err);
}

int jtl_components_read(struct db *db, const struct jtl_lookup *lookup, const int64_t *bundles, size_t count,
                        int (*each)(void *arg, const struct jtl_component *component, struct err *err), void *arg,
                        struct err *err)
{
	(void)db;
	(void)lookup;
	(void)bundles;
	(void)count;
	(void)each;
	(void)arg;
	(void)err;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->sku_id < y->sku_id ? -1 : x->sku_id > y->sku_id;
}

int ledger_read(struct db *db, int64_t shop, struct ledger_shop *state,
                int (*each)(void *arg, const struct ledger_row *row, struct err *err), void *arg, struct err *err)
{
	(void)db;
	(void)shop;
	qsort(m.rows, m.count, sizeof(m.rows[0]), by_id);
	*state = m.shop;
	for (size_t i = 0; i < m.count; i++) {
		const struct row *r = &m.rows[i];
		struct ledger_row row = { .sku_id = r->sku_id,
			                  .goods_id = r->goods_id,
			                  .sku = r->sku,
			                  .active = r->active,
			                  .known = r->known,
			                  .wanted = r->wanted,
			                  .sent = r->sent,
			                  .sent_from = r->sent_from,
			                  .sent_ms = r->sent_ms,
			                  .doubt_ms = r->doubt_ms,
			                  .article = r->article,
			                  .buffer = r->buffer,
			                  .product_sku = "",
			                  .goods_name = r->name };

		if (each(arg, &row, err) != 0)
			return -1;
	}
	return 0;
}

int ledger_save(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_listing *rows, size_t count,
                struct err *err)
{
	(void)db;
	(void)shop;
	(void)run;
	(void)now_ms;
	if (trip(CALL_SAVE, false, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct row *row = find(rows[i].sku_id);

		if (!row)
			row = &m.rows[m.count++];
		row->sku_id = rows[i].sku_id;
		row->goods_id = rows[i].goods_id;
		row->active = true;
		snprintf(row->sku, sizeof(row->sku), "%s", rows[i].sku);
		snprintf(row->name, sizeof(row->name), "%s", rows[i].goods_name);
		if (rows[i].judge)
			row->known = rows[i].known;
	}
	return trip(CALL_SAVE, true, err);
}

int ledger_retire(struct db *db, int64_t shop, const char *run, int64_t now_ms, const int64_t *sku_ids, size_t count,
                  struct err *err)
{
	(void)db;
	(void)shop;
	(void)run;
	(void)now_ms;
	(void)err;
	for (size_t i = 0; i < count; i++)
		find(sku_ids[i])->active = false;
	return 0;
}

int ledger_shop_set(struct db *db, int64_t shop, const char *run, int64_t now_ms, int64_t skus, struct err *err)
{
	(void)db;
	(void)shop;
	(void)run;
	(void)now_ms;
	(void)skus;
	(void)err;
	m.shop.complete = true;
	return 0;
}

int ledger_rules_set(struct db *db, int64_t shop, const char *rules, struct err *err)
{
	(void)db, (void)shop;
	if (trip(CALL_RULES, false, err) != 0)
		return -1;
	m.shop.accepted = true;
	snprintf(m.shop.rules, sizeof(m.shop.rules), "%s", rules);
	return 0;
}

int ledger_jtl_set(struct db *db, int64_t shop, const char *version, const char *objects, struct err *err)
{
	(void)db, (void)shop, (void)err;
	snprintf(m.shop.jtl_version, sizeof(m.shop.jtl_version), "%s", version);
	snprintf(m.shop.jtl_objects, sizeof(m.shop.jtl_objects), "%s", objects);
	return 0;
}

int ledger_shared(struct db *db, int64_t shop, int64_t *count, void (*each)(void *arg, const struct ledger_shared *shared), void *arg,
                  struct err *err)
{
	(void)db, (void)shop, (void)each, (void)arg;
	*count = 0;
	return err_set(err, ERR_PERM, "TEST", "with one shop nothing is shared");
}

/* --- worker/db/claims.h --- */

int claims_read(struct db *db, int64_t shop, struct claims *claims, struct err *err)
{
	(void)db, (void)shop;
	if (m.claims_refused)
		return err_set(err, ERR_PERM, "SQL_102", "incorrect syntax");
	*claims = m.claimed ? (struct claims){ .count = 3, .sku_id = 1001, .shop = 2 } : (struct claims){ .count = 0 };
	return 0;
}

int ledger_wanted_set(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_wanted *rows, size_t count,
                      struct err *err)
{
	(void)db;
	(void)shop;
	(void)now_ms;
	if (trip(CALL_WANTED, false, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct row *row = find(rows[i].sku_id);

		row->wanted = rows[i].wanted.set ? rows[i].wanted : row->wanted;
		row->article = rows[i].article.set ? rows[i].article : row->article;
		row->buffer = rows[i].buffer.set ? rows[i].buffer : row->buffer;
	}
	return trip(CALL_WANTED, true, err);
}

int ledger_intend(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_push *rows, size_t count,
                  struct err *err)
{
	(void)db;
	(void)shop;
	if (trip(CALL_INTEND, false, err) != 0)
		return -1;
	if (m.shut_in_intent && !world_gate(&w, GATE_OFF))
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct row *row = find(rows[i].sku_id);

		row->known = (struct maybe){ .set = false };
		row->sent = maybe_of(rows[i].target);
		row->sent_from = rows[i].known;
		snprintf(row->sent_run, sizeof(row->sent_run), "%s", run);
		row->sent_ms = now_ms;
		row->doubt_ms = rows[i].doubt_ms;
	}
	return trip(CALL_INTEND, true, err);
}

int ledger_judge(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_push *rows, size_t count, struct err *err)
{
	(void)db;
	(void)shop;
	if (trip(CALL_JUDGE, false, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		find(rows[i].sku_id)->sent_ms = now_ms;
		if (rows[i].confirmed)
			find(rows[i].sku_id)->known = maybe_of(rows[i].target);
	}
	return trip(CALL_JUDGE, true, err);
}

int ledger_confirmed(struct db *db, int64_t shop, const char *run,
                     int (*each)(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *err), void *arg,
                     struct err *err)
{
	(void)db;
	(void)shop;
	for (size_t i = 0; i < m.count; i++)
		if (strcmp(m.rows[i].sent_run, run) == 0 && m.rows[i].known.set && maybe_equal(m.rows[i].known, m.rows[i].sent) &&
		    each(arg, m.rows[i].sku_id, m.rows[i].known.value, "eu-test", err) != 0)
			return -1;
	return 0;
}

int ledger_restore(struct db *db, int64_t shop, const char *run, const struct ledger_push *rows, size_t count, struct err *err)
{
	(void)db;
	(void)shop;
	(void)run;
	if (trip(CALL_RESTORE, false, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct row *row = find(rows[i].sku_id);

		row->known = rows[i].known;
		row->sent = rows[i].sent;
		row->sent_from = rows[i].sent_from;
		row->sent_ms = rows[i].sent_ms;
		row->doubt_ms = rows[i].doubt_ms;
	}
	return 0;
}

/* --- the lease and the old system --- */

static int look_at_lease(struct err *err)
{
	m.checks++;
	if (m.lose_at == 0 || m.checks < m.lose_at)
		return 0;
	return err_set(err, ERR_HOLD, "LEASE_LOST", "another installation has the lease");
}

static int judge_fence(const void *arg, const struct db_row *row, struct err *err)
{
	(void)arg, (void)row;
	return look_at_lease(err);
}

struct db_fence lease_fence(const struct lease_grip *grip)
{
	return (struct db_fence){ .judge = judge_fence, .arg = grip };
}

int lease_check(struct db *db, const struct lease_grip *grip, struct err *err)
{
	(void)db, (void)grip;
	return look_at_lease(err);
}

struct keeper *keeper_start(const struct settings *settings, struct connpool *pool, struct journal *journal, struct err *err)
{
	static int keeper;

	(void)settings, (void)pool, (void)journal, (void)err;
	return (struct keeper *)&keeper;
}

bool keeper_stop(struct keeper *keeper, int64_t deadline_ms)
{
	(void)keeper, (void)deadline_ms;
	return true;
}

int keeper_grip(struct keeper *keeper, struct db *db, int64_t shop, struct lease_grip *grip, struct err *err)
{
	(void)keeper, (void)db;
	*grip = (struct lease_grip){ .shop = shop, .epoch = 1, .installation = "test" };
	return m.foreign ? err_set(err, ERR_HOLD, "LEASE_FOREIGN", "installation x on host y has it") : 0;
}

void keeper_lost(struct keeper *keeper, int64_t shop, const struct err *err)
{
	(void)keeper, (void)shop;
	m.lost_told += strcmp(err->code, "LEASE_LOST") == 0;
}

int keeper_take_over(struct keeper *keeper, int64_t shop, const char *from, const char *who, const char *reason, struct err *err)
{
	(void)keeper, (void)shop, (void)from, (void)who, (void)reason;
	return err_set(err, ERR_PERM, "LEASE_NOT_FOREIGN", "no");
}

void keeper_add(struct keeper *keeper, int64_t shop, struct buf *out)
{
	(void)keeper, (void)shop, (void)out;
}

int old_system_check(struct db *db, int64_t quiet_s, struct err *err)
{
	(void)db, (void)quiet_s;
	m.old_system++;
	if (m.old_system_at == 0 || m.old_system < m.old_system_at)
		return 0;
	return err_set(err, ERR_HOLD, "OLD_SYSTEM", "a fresh row");
}

int old_system_check_read(struct db *db, int64_t shop, int64_t quiet_s, struct err *err)
{
	(void)db, (void)shop, (void)quiet_s;
	return m.old_read ? err_set(err, ERR_PERM, "QUICK_NEEDS_FULL", "a row since") : 0;
}

int jtl_probe_diff(const char *before, const char *after, struct buf *out)
{
	buf_addf(out, "%s -> %s", before, after);
	return strcmp(before, after) != 0;
}

/* Not used by these runs. */
int adoption_report(struct db *db, const char *jtl_database, struct buf *out, size_t *findings, struct err *err)
{
	(void)db, (void)jtl_database, (void)out, (void)findings;
	return err_set(err, ERR_PERM, "TEST", "no database here");
}

int old_pushes_read(struct db *db, int64_t shop, int64_t since_ms, int64_t after, struct old_push *pushes, size_t chunk, size_t *count,
                    bool *more, struct err *err)
{
	(void)db, (void)shop, (void)since_ms, (void)after, (void)pushes, (void)chunk, (void)count, (void)more;
	return err_set(err, ERR_PERM, "TEST", "no database here");
}

int old_pushes_listings(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count,
                        int (*each)(void *arg, const struct old_listing *listing, struct err *err), void *arg, struct err *err)
{
	(void)db, (void)shop, (void)sku_ids, (void)count, (void)each, (void)arg;
	return err_set(err, ERR_PERM, "TEST", "no database here");
}

int products_save(struct db *db, int64_t shop, const struct ledger_listing *rows, size_t count, struct err *err)
{
	(void)db;
	(void)shop;
	(void)rows;
	(void)count;
	(void)err;
	return 0;
}

int products_retire(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count, struct err *err)
{
	(void)db;
	(void)shop;
	(void)sku_ids;
	(void)count;
	(void)err;
	return 0;
}

int inventory_save(struct db *db, int64_t shop, const struct inventory_row *rows, size_t count, struct err *err)
{
	(void)db;
	(void)shop;
	(void)rows;
	(void)count;
	(void)err;
	return 0;
}

int inventory_confirm(struct db *db, const struct inventory_confirmed *rows, size_t count, struct err *err)
{
	(void)db;
	(void)rows;
	(void)count;
	(void)err;
	return 0;
}

/* --- helpers --- */

#define FULL "{\"mode\":\"full\"}"
#define QUICK "{\"mode\":\"quick\"}"

static struct ended run_to(const char *params, enum run_state state)
{
	char id[RUN_ID_MAX];
	struct ended ended;

	assert_true(world_submit(&w, params, id));
	assert_true(world_await(&w, id, &ended));
	if (ended.record.state != state)
		fail_msg("state %d, %s: %s", ended.record.state, ended.record.error_code, ended.record.error_text);
	return ended;
}

static int64_t figure_of(const char *params, enum run_state state, const char *name)
{
	struct ended ended = run_to(params, state);
	int64_t value = figure(&ended, name);

	ended_release(&ended);
	return value;
}

static void stock_of(int first, int count, int quantity)
{
	for (int i = first; i < first + count; i++)
		m.stock[i] = quantity;
}

static int64_t edits(void)
{
	size_t count;
	struct temu_truth *truth = gateway_stock(&w, &count);
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += truth[i].edits;
	free(truth);
	return sum;
}

static int64_t unknown(void)
{
	int64_t count = 0;

	for (size_t i = 0; i < m.count; i++)
		count += m.rows[i].active && !m.rows[i].known.set;
	return count;
}

/* TEMU and the ledger agree with the stock. */
static void assert_in_step(void)
{
	size_t count;
	struct temu_truth *truth = gateway_stock(&w, &count);

	for (size_t i = 0; i < count; i++) {
		int64_t number = strncmp(truth[i].sku, "ART-", 4) == 0 ? strtoll(truth[i].sku + 4, NULL, 10) : 0;
		const struct row *row = find(truth[i].sku_id);

		if (number < 1 || m.stock[number] < 0 || !row || !row->active)
			continue;
		if (truth[i].stock != m.stock[number] || !row->known.set || row->known.value != truth[i].stock)
			fail_msg("%s: stock %d, TEMU %" PRId64 ", ledger %" PRId64, truth[i].sku, m.stock[number], truth[i].stock,
			         row->known.set ? row->known.value : -1);
	}
	free(truth);
	assert_int_equal(unknown(), 0);
}

static int64_t count_items(const struct ended *ended, int outcome);

static bool take_item(const struct item_record *item, void *arg)
{
	(void)item;
	++*(int64_t *)arg;
	return true;
}

static int64_t count_items(const struct ended *ended, int outcome)
{
	struct err err = ERR_INIT;
	int64_t count = 0;

	assert_int_equal(journal_items_list(w.journal, ended->record.id, outcome, 0, 10000, take_item, &count, &err), 0);
	return count;
}

static void sent_long_ago(void)
{
	for (size_t i = 0; i < m.count; i++) {
		m.rows[i].sent_ms -= m.rows[i].sent_ms ? PLAN_READ_BACK_MS : 0;
		m.rows[i].doubt_ms -= m.rows[i].doubt_ms ? PLAN_READ_BACK_MS : 0;
	}
	commit();
}

/* Everything in step, gate open, no fault. */
static int fresh(void **state)
{
	struct ended ended;
	char id[RUN_ID_MAX];
	bool ok;

	(void)state;
	if (!w.sql.there)
		return 0;
	gateway_order(&w, "/clear", "{}");
	m.fail_count = 0;
	m.wrong_rows = m.foreign = m.probe_fails = false;
	m.lose_at = m.old_system_at = m.lost_told = m.buffer = 0;
	m.claimed = false;
	m.first_article = 0;
	w.settings.shops[0].raise_share_percent = 100;
	w.settings.shops[0].stock_max = 1000000;
	m.version = "test";
	m.objects = "columns";
	for (size_t i = 0; i < m.count; i++)
		m.rows[i].buffer.set = false;
	sent_long_ago();
	m.shop.accepted = false;
	stock_of(1, ARTICLES, 100);
	if (!world_gate(&w, GATE_STOCK) || !world_submit(&w, FULL, id) || !world_await(&w, id, &ended))
		return -1;
	ok = ended.record.state == RUN_SUCCESS && figure(&ended, "changed") == figure(&ended, "pushed");
	if (!ok)
		fprintf(stderr, "state %d: %s\n%s\n", ended.record.state, ended.record.error_text,
		        ended.record.result ? ended.record.result : "");
	ended_release(&ended);
	memset(m.calls, 0, sizeof(m.calls));
	return ok ? 0 : -1;
}

#define NEED_WORLD()              \
	do {                      \
		(void)state;      \
		if (!w.sql.there) \
			skip();   \
	} while (0)

/* --- tests --- */

static void everything_is_pushed_once_in_batches(void **state)
{
	int64_t before;

	NEED_WORLD();
	assert_in_step();
	before = edits();
	stock_of(1, ARTICLES, 7);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), ARTICLES);
	assert_in_step();
	assert_int_equal(edits() - before, ARTICLES);
	assert_int_equal(m.calls[CALL_INTEND], 2);
	assert_true(m.calls[CALL_JUDGE] <= 3);
	assert_int_equal(m.calls[CALL_RESTORE], 0);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "requests"), 0);
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "changed"), 0);
}

static void counters_and_items(void **state)
{
	struct ended ended;

	NEED_WORLD();
	stock_of(1, 10, 3);
	m.stock[11] = -1;
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(ended.record.changed, 10);
	assert_int_equal(ended.record.failed, 0);
	assert_int_equal(ended.record.seen, figure(&ended, "seen"));
	assert_int_equal(ended.record.skipped, figure(&ended, "unmapped") + figure(&ended, "skipped"));
	assert_int_equal(count_items(&ended, ITEM_PUSHED), 10);
	assert_int_equal(count_items(&ended, ITEM_UNMAPPED), figure(&ended, "unmapped"));
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 0);
	ended_release(&ended);
}

static void the_intent_is_committed_before_the_call(void **state)
{
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 3);
	fail_next(CALL_INTEND, 1000, false, ERR_TEMP);
	figure_of(QUICK, RUN_FAILED, "pushed");
	assert_int_equal(edits(), before);
	m.fail_count = 0;
	/* Not sent, although the intent was stored and its answer lost. */
	fail_next(CALL_INTEND, 1000, true, ERR_TEMP);
	m.commit_lost = true;
	figure_of(QUICK, RUN_FAILED, "pushed");
	m.commit_lost = false;
	assert_int_equal(edits(), before);
	assert_int_equal(unknown(), 10);
	m.fail_count = 0;
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 10);
	assert_in_step();
	assert_int_equal(edits() - before, 10);
}

static void a_deadlock_is_repeated_in_place(void **state)
{
	NEED_WORLD();
	for (enum call call = CALL_PREPARE; call <= CALL_JUDGE; call++)
		for (int after = 0; after < 2; after++) {
			int64_t before = edits();
			struct ended ended;

			stock_of(1, ARTICLES, 10 + (int)call * 2 + after);
			fail_next(call, JOBS_DB_TRIES - 1, after, ERR_TEMP);
			ended = run_to(call == CALL_SAVE ? FULL : QUICK, RUN_SUCCESS);
			assert_int_equal(ended.record.attempt, 1);
			ended_release(&ended);
			m.fail_count = 0;
			assert_in_step();
			assert_int_equal(edits() - before, ARTICLES);
		}
}

static void marks_that_never_come_cost_a_repeated_push_and_no_more(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 3);
	fail_next(CALL_JUDGE, JOBS_DB_TRIES, false, ERR_TEMP);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(ended.record.attempt, 2);
	/* One row an item, not one an attempt. */
	assert_int_equal(count_items(&ended, -1), 10 + figure(&ended, "unmapped") + figure(&ended, "skipped"));
	assert_int_equal(count_items(&ended, ITEM_PUSHED), 10);
	ended_release(&ended);
	assert_in_step();
	assert_in_range(edits() - before, 10, 20);
}

static void a_permanent_error_of_the_mark_ends_the_run(void **state)
{
	NEED_WORLD();
	stock_of(1, 10, 3);
	fail_next(CALL_JUDGE, 1, false, ERR_PERM);
	figure_of(QUICK, RUN_FAILED, "pushed");
	assert_int_equal(unknown(), 10);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 10);
	assert_in_step();
}

/* The ledger has the marks, the journal has not: as after a kill between the two. What is not needed any more by then is settled. */
static void marks_the_journal_never_got(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 3);
	fail_next(CALL_JUDGE, 2 * JOBS_DB_TRIES, true, ERR_TEMP);
	m.commit_lost = true;
	ended = run_to(QUICK, RUN_SUCCESS);
	m.commit_lost = false;
	assert_int_equal(ended.record.attempt, 2);
	assert_int_equal(figure(&ended, "pushed"), 10);
	assert_int_equal(figure(&ended, "planned"), 0);
	assert_int_equal(ended.record.changed, 10);
	assert_int_equal(count_items(&ended, ITEM_PUSHED), 10);
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 0);
	ended_release(&ended);
	assert_int_equal(edits() - before, 10);
	assert_in_step();
}

static void a_plan_of_an_earlier_attempt_that_is_not_needed_any_more(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 3);
	fail_next(CALL_INTEND, JOBS_DB_TRIES, false, ERR_TEMP);
	m.stock_after_failures = 100;
	ended = run_to(QUICK, RUN_SUCCESS);
	m.stock_after_failures = 0;
	assert_int_equal(ended.record.attempt, 2);
	assert_int_equal(figure(&ended, "pushed") + figure(&ended, "planned") + figure(&ended, "changed"), 0);
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 0);
	assert_int_equal(count_items(&ended, ITEM_SKIPPED), figure(&ended, "skipped") + 10);
	ended_release(&ended);
	assert_int_equal(edits(), before);
}

static void half_a_stock_read_pushes_nothing(void **state)
{
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, ARTICLES, 3);
	m.wrong_rows = true;
	figure_of(QUICK, RUN_FAILED, "pushed");
	m.wrong_rows = false;
	fail_next(CALL_READ, 1000, true, ERR_PERM);
	figure_of(FULL, RUN_FAILED, "pushed");
	assert_int_equal(edits(), before);
	assert_int_equal(m.calls[CALL_INTEND], 0);
}

static void no_article_at_all_is_not_believed(void **state)
{
	struct ended ended;

	NEED_WORLD();
	stock_of(1, ARTICLES, -1);
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "STOCK_EMPTY");
	ended_release(&ended);
}

static void articles_without_any_stock_row_are_not_believed(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 5, 0); /* too few for the mass-zero guard */
	m.no_rows = true;
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "STOCK_EMPTY");
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 5);
	ended_release(&ended);
	assert_int_equal(edits(), before);
	m.no_rows = false;
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 5);
}

static void the_guard_keeps_the_plan(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, ARTICLES, 0);
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "GUARD_ZEROS");
	assert_int_equal(ended.record.attempt, 1);
	assert_int_equal(count_items(&ended, ITEM_PLANNED), ARTICLES);
	assert_int_equal(edits(), before);
	assert_int_equal(unknown(), 0);
	ended_release(&ended);
	/* A dry run shows the same plan and fails not. */
	ended = run_to("{\"mode\":\"quick\",\"dry_run\":true}", RUN_SUCCESS);
	assert_true(json_get_bool(ended.result, "guard", false));
	assert_int_equal(count_items(&ended, ITEM_PLANNED), ARTICLES);
	ended_release(&ended);
}

static void zeros_go_first(void **state)
{
	struct ended ended;

	NEED_WORLD();
	stock_of(1, ARTICLES, 101);
	stock_of(140, 3, 0);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "zeros"), 3);
	ended_release(&ended);
	assert_in_step();
}

static void slow_down(int delay_ms)
{
	char fault[200];

	snprintf(fault, sizeof(fault), "{\"kind\":\"slow\",\"type\":\"bg.local.goods.stock.edit\",\"delay_ms\":%d,\"count\":-1}",
	         delay_ms);
	gateway_order(&w, "/fault", fault);
}

static void await_edits(int64_t more_than)
{
	int64_t until = clock_mono_ms() + 20000;

	while (edits() <= more_than && clock_mono_ms() < until)
		world_nap();
	assert_true(edits() > more_than);
}

static void a_gate_shut_in_mid_push_stops_and_leaves_nothing_unknown(void **state)
{
	char id[RUN_ID_MAX];
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, ARTICLES, 5);
	slow_down(120);
	assert_true(world_submit(&w, QUICK, id));
	await_edits(before);
	assert_true(world_gate(&w, GATE_OFF));
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, RUN_SUCCESS);
	assert_true(figure(&ended, "planned") > 0);
	assert_int_equal(figure(&ended, "pushed") + figure(&ended, "planned"), ARTICLES);
	assert_int_equal(edits() - before, figure(&ended, "pushed"));
	assert_int_equal(count_items(&ended, ITEM_PLANNED), figure(&ended, "planned"));
	assert_int_equal(unknown(), 0);
	ended_release(&ended);
	gateway_order(&w, "/clear", "{}");
	assert_true(world_gate(&w, GATE_ALL));
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_int_equal(edits() - before, ARTICLES);
	assert_in_step();
}

static void a_gate_shut_while_the_intent_is_stored(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 5);
	m.shut_in_intent = true;
	ended = run_to(QUICK, RUN_SUCCESS);
	m.shut_in_intent = false;
	assert_int_equal(figure(&ended, "planned"), 10);
	assert_int_equal(edits(), before);
	assert_int_equal(unknown(), 0);
	ended_release(&ended);
}

static void a_cancel_in_mid_push_leaves_nothing_unknown(void **state)
{
	char id[RUN_ID_MAX];
	struct queue_answer answer;
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, ARTICLES, 6);
	slow_down(120);
	assert_true(world_submit(&w, QUICK, id));
	await_edits(before);
	assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, RUN_CANCELLED);
	assert_true(figure(&ended, "planned") > 0);
	assert_int_equal(figure(&ended, "planned") + figure(&ended, "pushed") + figure(&ended, "unknown"), ARTICLES);
	ended_release(&ended);
	assert_true(edits() - before < ARTICLES);
	assert_int_equal(unknown(), 0);
	gateway_order(&w, "/clear", "{}");
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_int_equal(edits() - before, ARTICLES);
	assert_in_step();
}

/* The first attempt's answer was lost: it may still arrive after the second one, and after a newer run's. */
static void a_confirmed_sku_with_a_lost_attempt_stays_unknown(void **state)
{
	NEED_WORLD();
	stock_of(1, 1, 9);
	gateway_order(&w, "/fault", "{\"kind\":\"reset_before\",\"type\":\"bg.local.goods.stock.edit\",\"count\":1}");
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_int_equal(unknown(), 1);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_int_equal(unknown(), 0);
	assert_in_step();
}

/* A run's attempt got lost, and the next run sends another value: the lost one may arrive after it. */
static void a_value_is_not_known_while_an_older_one_may_arrive(void **state)
{
	NEED_WORLD();
	stock_of(1, 1, 9);
	gateway_order(&w, "/fault", "{\"kind\":\"reset_before\",\"type\":\"bg.local.goods.stock.edit\",\"count\":-1}");
	figure_of(QUICK, RUN_PARTIAL, "unknown");
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(unknown(), 1);
	stock_of(1, 1, 7);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_int_equal(unknown(), 1);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_int_equal(unknown(), 1);
	sent_long_ago();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_in_step();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "changed"), 0);
}

static void a_shop_that_shuts_us_out_holds_the_run(void **state)
{
	struct queue_answer answer;
	struct ended ended;

	NEED_WORLD();
	stock_of(1, 10, 4);
	gateway_order(&w, "/fault", "{\"kind\":\"code\",\"code\":3000034,\"type\":\"bg.local.goods.stock.edit\",\"count\":-1}");
	ended = run_to(QUICK, RUN_HELD);
	assert_int_equal(queue_cancel(w.queue, ended.record.id, &answer, &w.err), 0);
	ended_release(&ended);
	gateway_order(&w, "/clear", "{}");
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_in_step();
}

/* One call of many comes to nothing without having been sent: no success, and the next attempt sends it. */
static void a_call_that_came_to_nothing_is_not_forgotten(void **state)
{
	struct ended ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 4);
	gateway_order(&w, "/fault", "{\"kind\":\"code\",\"code\":120012023,\"type\":\"bg.local.goods.stock.edit\",\"count\":1}");
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(ended.record.attempt, 2);
	assert_true(m.calls[CALL_RESTORE] > 0);
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 0);
	ended_release(&ended);
	assert_in_step();
	assert_int_equal(edits() - before, 10);
}

static void a_shop_that_refuses_one_sku(void **state)
{
	char fault[200];
	struct ended ended;

	NEED_WORLD();
	stock_of(1, 10, 4);
	for (size_t i = 0; i < m.count; i++)
		if (strcmp(m.rows[i].sku, "ART-000005") == 0) {
			snprintf(fault, sizeof(fault), "{\"kind\":\"refuse_sku\",\"sku_id\":%" PRId64 ",\"count\":-1}",
			         m.rows[i].sku_id);
			gateway_order(&w, "/fault", fault);
		}
	ended = run_to(QUICK, RUN_PARTIAL);
	assert_int_equal(figure(&ended, "refused"), 1);
	assert_int_equal(figure(&ended, "pushed"), 9);
	assert_int_equal(ended.record.failed, 1);
	assert_int_equal(count_items(&ended, ITEM_REFUSED), 1);
	ended_release(&ended);
	assert_int_equal(unknown(), 1);
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_in_step();
}

static void an_empty_catalogue_is_not_believed(void **state)
{
	NEED_WORLD();
	gateway_order(&w, "/fault", "{\"kind\":\"empty_page\",\"type\":\"bg.local.goods.sku.list.query\",\"count\":-1}");
	figure_of(FULL, RUN_FAILED, "pushed");
	assert_int_equal(unknown(), 0);
	for (size_t i = 0; i < m.count; i++)
		assert_true(m.rows[i].active);
}

static void a_page_twice_and_ids_as_strings(void **state)
{
	NEED_WORLD();
	gateway_order(&w, "/fault", "{\"kind\":\"duplicate_page\",\"type\":\"bg.local.goods.sku.list.query\",\"count\":1}");
	gateway_order(&w, "/fault", "{\"kind\":\"ids_as_strings\",\"count\":3}");
	stock_of(1, 10, 9);
	figure_of(FULL, RUN_SUCCESS, "pushed");
	assert_in_step();
}

static void set_at_temu(const char *sku, int stock)
{
	char body[100];

	for (size_t i = 0; i < m.count; i++)
		if (strcmp(m.rows[i].sku, sku) == 0) {
			snprintf(body, sizeof(body), "{\"sku_id\":%" PRId64 ",\"stock\":%d}", m.rows[i].sku_id, stock);
			gateway_order(&w, "/set", body);
		}
}

static void sold_at_temu_just_after_a_push(void **state)
{
	NEED_WORLD();
	stock_of(1, 10, 8);
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	set_at_temu("ART-000003", 6);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "changed"), 0);
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "pushed"), 1);
	assert_in_step();
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "changed"), 0);
}

/* TEMU shows the value from before the push for a while: no reason to push again, and no reason not to push the old value again.
 */
static void temu_shows_the_old_value_for_a_while(void **state)
{
	NEED_WORLD();
	stock_of(1, 10, 8);
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	for (int i = 1; i <= 10; i++) {
		char sku[20];

		snprintf(sku, sizeof(sku), "ART-%06d", i);
		set_at_temu(sku, 100);
	}
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "changed"), 0);
	stock_of(1, 10, 100);
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "pushed"), 10);
	assert_in_step();
}

/* --- who may write --- */

static void assert_held(const char *code)
{
	struct queue_answer answer;
	struct ended ended = run_to(QUICK, RUN_HELD);

	assert_string_equal(ended.record.error_code, code);
	assert_int_equal(queue_cancel(w.queue, ended.record.id, &answer, &w.err), 0);
	ended_release(&ended);
}

static void assert_blocked(const char *code)
{
	struct buf out;

	buf_init(&out, 10000);
	json_object_open(&out, NULL);
	jobs_shop_add(w.env, 1, &out);
	if (code)
		assert_non_null(strstr(buf_text(&out), code));
	else
		assert_non_null(strstr(buf_text(&out), "\"blocked\":null"));
	buf_release(&out);
}

static void a_foreign_lease_holds_the_run_and_says_so(void **state)
{
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 4);
	assert_blocked(NULL);
	m.foreign = true;
	assert_held("LEASE_FOREIGN");
	assert_int_equal(edits(), before);
	assert_int_equal(m.calls[CALL_WANTED], 0);
	assert_blocked("LEASE_FOREIGN");
	/* A dry run writes nothing and needs none; nor does it say that the shop is free. */
	assert_int_equal(figure_of("{\"mode\":\"quick\",\"dry_run\":true}", RUN_SUCCESS, "planned"), 10);
	assert_blocked("LEASE_FOREIGN");
	m.foreign = false;
	/* A run that fails for another reason is not held. */
	fail_next(CALL_WANTED, 1, false, ERR_PERM);
	figure_of(QUICK, RUN_FAILED, "pushed");
	assert_blocked(NULL);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 10);
	assert_blocked(NULL);
}

/* Lost at the n-th look, wherever that is: before that look a call at most each, after it none, and all is mended when it is back. */
static void a_lease_lost_anywhere(void **state)
{
	enum run_state ended_as = RUN_HELD;
	int at = 0;

	NEED_WORLD();
	while (ended_as == RUN_HELD) {
		char id[RUN_ID_MAX];
		struct queue_answer answer;
		struct ended ended;
		int64_t before = edits();

		stock_of(1, 10, 200 + ++at);
		m.checks = m.lost_told = 0;
		m.lose_at = at;
		assert_true(world_submit(&w, QUICK, id) && world_await(&w, id, &ended));
		ended_as = ended.record.state;
		if (ended_as == RUN_HELD) {
			assert_string_equal(ended.record.error_code, "LEASE_LOST");
			assert_true(m.lost_told > 0);
			assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
		}
		/* The first two looks stand before the wanted quantities and the intent. */
		assert_true(figure(&ended, "requests") <= (at > 2 ? at - 2 : 0));
		assert_true(at > 2 || edits() == before);
		ended_release(&ended);
		m.lose_at = 0;
		sent_long_ago();
		figure_of(QUICK, RUN_SUCCESS, "pushed");
		assert_in_step();
	}
	assert_int_equal(ended_as, RUN_SUCCESS);
	assert_in_range(at, 4, 30);
}

static void every_call_looks_at_the_lease(void **state)
{
	struct ended ended;

	NEED_WORLD();
	stock_of(1, ARTICLES, 6);
	m.checks = 0;
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), ARTICLES);
	assert_true(m.checks >= figure(&ended, "requests"));
	ended_release(&ended);
}

/* A call that is tried again and again is not sent by a lease seen long ago. */
static void a_lease_lost_while_a_call_waits(void **state)
{
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 1, 6);
	gateway_order(&w, "/fault", "{\"kind\":\"code\",\"code\":4000004,\"type\":\"bg.local.goods.stock.edit\",\"count\":-1}");
	m.checks = 0;
	m.lose_at = 5; /* wanted, intent with the first attempt; then one before each further attempt */
	assert_held("LEASE_LOST");
	assert_int_equal(edits(), before);
	assert_int_equal(m.checks, 6); /* the last one for what was not sent */
	m.lose_at = 0;
	gateway_order(&w, "/clear", "{}");
	sent_long_ago();
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_in_step();
}

/* Its looks stand before its attempts; while an answer is awaited nobody asks the server anything. */
static void a_slow_answer_is_awaited_without_statements(void **state)
{
	NEED_WORLD();
	stock_of(1, 1, 6);
	slow_down(1300);
	m.checks = 0;
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_int_equal(m.checks, 3); /* wanted, intent, mark */
	assert_in_step();
}

static void the_old_system_is_looked_for_twice(void **state)
{
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 10, 4);
	for (int at = 1; at <= 2; at++) {
		m.old_system = 0;
		m.old_system_at = at;
		assert_held("OLD_SYSTEM");
		assert_int_equal(m.old_system, at);
	}
	assert_int_equal(edits(), before);
	/* With a shut gate both may be there. */
	assert_true(world_gate(&w, GATE_OFF));
	m.old_system_at = 1;
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "planned"), 10);
	assert_true(world_gate(&w, GATE_STOCK));
	m.old_system_at = 0;
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 10);
}

static void what_was_read_before_the_old_system_worked_is_not_believed(void **state)
{
	struct ended ended;

	NEED_WORLD();
	m.old_read = true;
	ended = run_to(QUICK, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "QUICK_NEEDS_FULL");
	ended_release(&ended);
	figure_of(FULL, RUN_SUCCESS, "pushed");
	m.old_read = false;
}

/* --- JTL --- */

static int64_t count_events(const char *run, const char *text)
{
	struct event_page page = { .last = 0 };
	struct err err = ERR_INIT;
	int64_t found = 0;
	struct buf out;

	buf_init(&out, 4 << 20);
	do {
		buf_clear(&out);
		assert_int_equal(journal_events(w.journal, page.last + 1, 0, run, 1 << 20, &out, &page, &err), 0);
		for (const char *at = buf_text(&out); (at = strstr(at, text)) != NULL; at++)
			found++;
	} while (page.more);
	buf_release(&out);
	return found;
}

static void a_jtl_that_changed_is_told_once(void **state)
{
	struct ended ended;

	NEED_WORLD();
	m.version = "test 2";
	ended = run_to("{\"mode\":\"quick\",\"dry_run\":true}", RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "\"event\":\"alarm\""), 0);
	ended_release(&ended);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "JTL_CHANGED: "), 1);
	assert_int_equal(count_events(ended.record.id, "version test -> test 2"), 1);
	ended_release(&ended);
	m.objects = "others";
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "columns -> others"), 1);
	ended_release(&ended);
	m.objects = ""; /* an engine that does not tell */
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "JTL_CHANGED"), 0);
	ended_release(&ended);
	assert_string_equal(m.shop.jtl_objects, "others");
	assert_string_equal(m.shop.jtl_version, "test 2");
}

static void a_jtl_that_changed_and_does_not_fit_holds(void **state)
{
	struct queue_answer answer;
	struct ended ended;

	NEED_WORLD();
	m.version = "test 3";
	m.probe_fails = true;
	ended = run_to(QUICK, RUN_HELD);
	assert_string_equal(ended.record.error_code, "JTL_OBJECT");
	assert_non_null(strstr(ended.record.error_text, "JTL's version changed from test to test 3: Invalid column"));
	assert_int_equal(queue_cancel(w.queue, ended.record.id, &answer, &w.err), 0);
	ended_release(&ended);
	assert_string_equal(m.shop.jtl_version, "test");
	assert_blocked("JTL_OBJECT");
}

/* --- the guard and its confirmation --- */

/* The run that carries out a plan, as it ended. */
static struct ended confirm(const struct ended *plan, const char *only, enum run_state state)
{
	struct queue_confirmation confirmation = { .run_id = plan->record.id, .only = only, .reason = "seen", .who = "test" };
	struct queue_answer answer;
	struct ended ended;

	if (queue_confirm(w.queue, &confirmation, &answer, &w.err) != 0)
		fail_msg("%s %s", w.err.code, w.err.text);
	assert_true(world_await(&w, answer.run_id, &ended));
	if (ended.record.state != state)
		fail_msg("state %d, %s: %s", ended.record.state, ended.record.error_code, ended.record.error_text);
	return ended;
}

static void assert_stopped(struct ended *ended, const char *code)
{
	assert_string_equal(ended->record.error_code, code);
	assert_int_equal(count_events(ended->record.id, "\"event\":\"alarm\""), 1);
	assert_int_equal(count_items(ended, ITEM_PLANNED), figure(ended, "changed"));
	assert_int_equal(count_items(ended, ITEM_PUSHED), 0);
}

static void a_confirmed_plan_is_sent(void **state)
{
	struct ended plan, ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, ARTICLES, 0);
	plan = run_to(QUICK, RUN_FAILED);
	assert_stopped(&plan, "GUARD_ZEROS");
	assert_int_equal(figure(&plan, "sold_out_for_sale"), ARTICLES);
	assert_int_equal(edits(), before);
	m.stock[1] = 3; /* another value than the confirmed one: it goes out too, it is one raise or less */
	ended = confirm(&plan, NULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), ARTICLES);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 0);
	assert_string_equal(json_get_string(ended.result, "confirms", ""), plan.record.id);
	assert_in_step();
	ended_release(&ended);
	ended_release(&plan);
}

static void what_was_not_confirmed_stops_again(void **state)
{
	struct ended plan, again, ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 60, 0);
	plan = run_to(QUICK, RUN_FAILED);
	stock_of(61, 60, 0);
	again = confirm(&plan, NULL, RUN_FAILED);
	assert_stopped(&again, "GUARD_ZEROS");
	assert_non_null(strstr(again.record.error_text, "60 would be set to zero. 120 sold-out"));
	assert_int_equal(edits(), before);
	ended = confirm(&again, "", RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), 120);
	assert_in_step();
	ended_release(&ended);
	ended_release(&again);
	ended_release(&plan);
}

static void of_a_confirmed_plan_the_sold_outs_alone(void **state)
{
	struct ended plan, ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	stock_of(1, 60, 0);
	stock_of(61, 20, 50);
	plan = run_to(QUICK, RUN_FAILED);
	stock_of(1, 5, 7);    /* back in stock: not sold out any more */
	stock_of(81, 10, 0);  /* sold out since: read once only */
	ended = confirm(&plan, "sold_out", RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), 55);
	assert_int_equal(figure(&ended, "changed"), 90);
	assert_int_equal(figure(&ended, "planned"), 35);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 10);
	assert_int_equal(count_items(&ended, ITEM_PUSHED), 55);
	assert_int_equal(count_items(&ended, ITEM_PLANNED), 35);
	assert_int_equal(edits() - before, 55);
	assert_non_null(strstr(json_get_string(ended.result, "note", ""), "only the sold-out"));
	ended_release(&ended);
	ended_release(&plan);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 35);
	assert_in_step();
}

static void too_many_raises(void **state)
{
	struct ended plan, ended;

	NEED_WORLD();
	w.settings.shops[0].raise_share_percent = 50;
	stock_of(1, 75, 300);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 75); /* not more than the share */
	stock_of(1, 76, 400);
	plan = run_to(QUICK, RUN_FAILED);
	assert_stopped(&plan, "GUARD_RAISES");
	assert_int_equal(figure(&plan, "sold_out_for_sale"), 0);
	ended = confirm(&plan, NULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), 76);
	w.settings.shops[0].raise_share_percent = 100;
	assert_in_step();
	ended_release(&ended);
	ended_release(&plan);
}

static void other_rules_are_confirmed_first(void **state)
{
	struct ended plan, ended;
	int64_t before;

	NEED_WORLD();
	before = edits();
	w.settings.shops[0].stock_max = 500;
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "changed"), 0); /* nothing to send: they count from now on */
	assert_non_null(strstr(m.shop.rules, "stock_max=500"));
	w.settings.shops[0].stock_max = 90;
	plan = run_to(QUICK, RUN_FAILED);
	assert_stopped(&plan, "GUARD_RULES");
	assert_string_equal(json_get_string(plan.result, "rules_changed", ""), "stock_max: 500 -> 90");
	assert_non_null(strstr(plan.record.error_text, "rules changed (stock_max: 500 -> 90)"));
	/* Confirmed, but changed again meanwhile: another plan. */
	w.settings.shops[0].stock_max = 80;
	ended = confirm(&plan, NULL, RUN_FAILED);
	assert_stopped(&ended, "GUARD_RULES");
	assert_int_equal(edits(), before);
	ended_release(&plan);
	plan = ended;
	ended = confirm(&plan, NULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), ARTICLES);
	assert_non_null(strstr(m.shop.rules, "stock_max=80"));
	ended_release(&ended);
	ended_release(&plan);
	stock_of(1, 5, 3);
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 5);
}

enum way { WAY_GATE, WAY_CANCEL, WAY_LEASE, WAYS };

/* Lets some calls of a run go out, then stops it. */
static void stop_in_mid_push(enum way way, const char *id, int64_t before)
{
	struct queue_answer answer;
	struct ended ended;

	await_edits(before);
	if (way == WAY_GATE)
		assert_true(world_gate(&w, GATE_OFF));
	else if (way == WAY_CANCEL)
		assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
	else
		m.lose_at = 1;
	assert_true(world_await(&w, id, &ended));
	assert_int_equal(ended.record.state, way == WAY_GATE ? RUN_SUCCESS : way == WAY_CANCEL ? RUN_CANCELLED : RUN_HELD);
	assert_in_range(edits() - before, 1, ARTICLES - 1);
	ended_release(&ended);
	m.lose_at = 0;
	if (way == WAY_LEASE)
		assert_int_equal(queue_cancel(w.queue, id, &answer, &w.err), 0);
	assert_true(world_gate(&w, GATE_ALL));
	gateway_order(&w, "/clear", "{}");
	sent_long_ago();
}

/* Confirmed once is not confirmed for ever: what an emergency stop kept back does not go on by itself afterwards. */
static void a_confirmed_plan_that_was_stopped_is_confirmed_again(void **state)
{
	NEED_WORLD();
	w.settings.shops[0].raise_share_percent = 10;
	for (enum way way = WAY_GATE; way < WAYS; way++) {
		struct queue_confirmation confirmation = { .reason = "seen", .who = "test" };
		struct queue_answer answer;
		struct ended plan, ended;
		int64_t before;

		m.buffer = 40 + (int)way;
		w.settings.shops[0].stock_max = 90 - (int)way;
		plan = run_to(QUICK, RUN_FAILED);
		assert_stopped(&plan, "GUARD_BUFFERS");
		confirmation.run_id = plan.record.id;
		before = edits();
		slow_down(120);
		assert_int_equal(queue_confirm(w.queue, &confirmation, &answer, &w.err), 0);
		stop_in_mid_push(way, answer.run_id, before);
		ended_release(&plan);
		plan = run_to(QUICK, RUN_FAILED);
		assert_stopped(&plan, "GUARD_BUFFERS");
		assert_int_equal(figure(&plan, "buffers"), ARTICLES);
		assert_non_null(strstr(plan.record.result, "\"guards\":[\"buffers\",\"rules\"]"));
		ended = confirm(&plan, NULL, RUN_SUCCESS);
		assert_in_range(figure(&ended, "pushed"), 1, ARTICLES);
		ended_release(&ended);
		ended_release(&plan);
		ended = run_to(QUICK, RUN_SUCCESS);
		assert_int_equal(figure(&ended, "changed"), 0);
		assert_int_equal(figure(&ended, "buffers"), 0);
		ended_release(&ended);
	}
}

/* All is sent, and the run ends before that could be stored: its next attempt finds nothing to send, which needs no confirmation. */
static void a_confirmed_plan_is_accepted_by_a_later_attempt(void **state)
{
	struct ended plan, ended;

	NEED_WORLD();
	w.settings.shops[0].stock_max = 60;
	plan = run_to(QUICK, RUN_FAILED);
	assert_stopped(&plan, "GUARD_RULES");
	fail_next(CALL_RULES, JOBS_DB_TRIES, false, ERR_TEMP);
	ended = confirm(&plan, NULL, RUN_SUCCESS);
	assert_int_equal(ended.record.attempt, 2);
	assert_int_equal(figure(&ended, "pushed"), ARTICLES);
	assert_non_null(strstr(m.shop.rules, "stock_max=60"));
	assert_int_equal(m.calls[CALL_RULES], JOBS_DB_TRIES + 1);
	ended_release(&ended);
	ended_release(&plan);
}

/* Sold-outs may go out, the rules behind the rest are no less unconfirmed. */
static void sold_outs_confirm_no_rules(void **state)
{
	struct ended plan, ended;

	NEED_WORLD();
	stock_of(1, 5, 0);
	w.settings.shops[0].stock_max = 70;
	plan = run_to(QUICK, RUN_FAILED);
	ended = confirm(&plan, "sold_out", RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), 5);
	ended_release(&ended);
	ended_release(&plan);
	plan = run_to(QUICK, RUN_FAILED);
	assert_string_equal(plan.record.error_code, "GUARD_RULES");
	assert_null(strstr(m.shop.rules, "stock_max=70"));
	ended_release(&plan);
}

static void other_buffers_are_confirmed_first(void **state)
{
	struct ended plan, ended;

	NEED_WORLD();
	w.settings.shops[0].raise_share_percent = 50;
	m.buffer = 40;
	plan = run_to(QUICK, RUN_FAILED);
	assert_stopped(&plan, "GUARD_BUFFERS");
	assert_int_equal(figure(&plan, "buffers"), ARTICLES);
	ended_release(&plan);
	plan = run_to(QUICK, RUN_FAILED); /* it is no less changed the second time */
	assert_stopped(&plan, "GUARD_BUFFERS");
	ended = confirm(&plan, NULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "pushed"), ARTICLES);
	ended_release(&ended);
	ended_release(&plan);
	stock_of(1, 5, 3);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "buffers"), 0);
	ended_release(&ended);
}

static void a_shut_gate_shows_what_the_guard_would_stop(void **state)
{
	struct queue_confirmation confirmation;
	struct queue_answer answer;
	struct err err = ERR_INIT;
	struct ended ended;

	NEED_WORLD();
	assert_true(world_gate(&w, GATE_OFF));
	stock_of(1, ARTICLES, 0);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_true(json_get_bool(ended.result, "guard", false));
	assert_string_equal(json_string(json_first(json_get(ended.result, "guards"))), "zeros");
	assert_int_equal(count_items(&ended, ITEM_PLANNED), ARTICLES);
	assert_int_equal(count_events(ended.record.id, "\"event\":\"alarm\""), 0);
	confirmation = (struct queue_confirmation){ .run_id = ended.record.id };
	assert_int_equal(queue_confirm(w.queue, &confirmation, &answer, &err), -1);
	assert_string_equal(err.code, "PLAN_NONE");
	ended_release(&ended);
}

/* --- quarantine --- */

static int64_t sku_id_of(const char *sku)
{
	for (size_t i = 0; i < m.count; i++)
		if (strcmp(m.rows[i].sku, sku) == 0)
			return m.rows[i].sku_id;
	return 0;
}

static void refuse(int64_t sku_id)
{
	char fault[200];

	snprintf(fault, sizeof(fault), "{\"kind\":\"refuse_sku\",\"code\":150010003,\"sku_id\":%" PRId64 ",\"count\":-1}", sku_id);
	gateway_order(&w, "/fault", fault);
}

static void refused_three_times(void **state)
{
	struct ended ended;
	int64_t sku_id;

	NEED_WORLD();
	sku_id = sku_id_of("ART-000005");
	refuse(sku_id);
	for (int i = 1; i <= 3; i++) {
		stock_of(1, 10, 30 + i);
		ended = run_to(QUICK, RUN_PARTIAL);
		assert_int_equal(figure(&ended, "refused"), 1);
		assert_int_equal(count_events(ended.record.id, "QUARANTINE: "), i == 3);
		ended_release(&ended);
	}
	assert_int_equal(journal_quarantine_count(w.journal, 1), 1);
	stock_of(1, 10, 40);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "refused"), 0);
	assert_int_equal(figure(&ended, "pushed"), 9);
	assert_int_equal(figure(&ended, "quarantined"), 1);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 0);
	ended_release(&ended);
	/* Sold out does not wait for the try of the day; once that was refused too, it does. */
	stock_of(1, 10, 0);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "refused"), 1);
	assert_int_equal(figure(&ended, "pushed"), 9);
	assert_int_equal(figure(&ended, "quarantined"), 0);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 1);
	ended_release(&ended);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "refused"), 0);
	assert_int_equal(figure(&ended, "quarantined"), 1);
	assert_int_equal(figure(&ended, "sold_out_for_sale"), 1);
	assert_int_equal(count_items(&ended, ITEM_REFUSED), 0);
	assert_int_equal(ended.record.skipped, figure(&ended, "unmapped") + figure(&ended, "skipped") + 1);
	assert_non_null(strstr(ended.record.result, "\"rule\":\"quarantine\""));
	assert_int_equal(count_events(ended.record.id, "QUARANTINE: "), 0);
	ended_release(&ended);
	/* By hand: the next run tries it. */
	gateway_order(&w, "/clear", "{}");
	assert_int_equal(journal_quarantine_free(w.journal, 1, sku_id, "test", &w.err), 1);
	sent_long_ago();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_in_step();
}

static void change_journal(const char *sql)
{
	char path[200];
	sqlite3 *file;

	snprintf(path, sizeof(path), "%s/journal.db", w.state);
	assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
	sqlite3_busy_timeout(file, 5000);
	assert_int_equal(sqlite3_exec(file, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(file);
}

/* A day later, as far as the journal can tell. */
static void make_due(void)
{
	change_journal("UPDATE quarantine SET next_ms = 1");
}

/* Whatever batch they were in; and told later when somebody was killed before telling. */
static void one_alarm_for_all_that_come_in(void **state)
{
	static const char *const skus[] = { "ART-000001", "ART-000004", "ART-000020", "ART-000033", "ART-000047", "ART-000060" };
	struct ended ended;
	int64_t batch;

	NEED_WORLD();
	batch = w.settings.write_batch;
	w.settings.write_batch = 5;
	for (size_t i = 0; i < sizeof(skus) / sizeof(skus[0]); i++)
		refuse(sku_id_of(skus[i]));
	for (int i = 1; i <= 3; i++) {
		stock_of(1, 60, 80 + i);
		ended = run_to(QUICK, RUN_PARTIAL);
		assert_int_equal(figure(&ended, "refused"), 6);
		assert_int_equal(count_events(ended.record.id, "\"event\":\"alarm\""), i == 3);
		assert_int_equal(count_events(ended.record.id, "QUARANTINE: 6 SKUs that TEMU refused 3 times"), i == 3);
		assert_int_equal(count_events(ended.record.id, "ART-000047"), i == 3);
		assert_int_equal(count_events(ended.record.id, "ART-000060"), 0);
		ended_release(&ended);
	}
	w.settings.write_batch = batch;
	change_journal("UPDATE quarantine SET told = 0 WHERE sku = 'ART-000060'");
	ended = run_to("{\"mode\":\"quick\",\"dry_run\":true}", RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "QUARANTINE: "), 0);
	ended_release(&ended);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "QUARANTINE: 1 SKUs that TEMU refused 3 times"), 1);
	ended_release(&ended);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "QUARANTINE: "), 0);
	ended_release(&ended);
	gateway_order(&w, "/clear", "{}");
	make_due();
	sent_long_ago();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 6);
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
}

/* Once a day it is tried: a refusal is then no news, and a success ends it. */
static void a_sku_in_quarantine_is_tried_once_a_day(void **state)
{
	struct ended ended;
	int64_t sku_id;

	NEED_WORLD();
	sku_id = sku_id_of("ART-000007");
	refuse(sku_id);
	for (int i = 1; i <= 3; i++) {
		stock_of(1, 10, 60 + i);
		figure_of(QUICK, RUN_PARTIAL, "refused");
	}
	for (int day = 1; day <= 2; day++) {
		make_due();
		stock_of(1, 10, 70 + day);
		ended = run_to(QUICK, RUN_SUCCESS);
		assert_int_equal(figure(&ended, "refused"), 1);
		assert_int_equal(figure(&ended, "quarantined"), 0);
		assert_int_equal(count_items(&ended, ITEM_REFUSED), 1);
		assert_int_equal(count_events(ended.record.id, "QUARANTINE: "), 0);
		ended_release(&ended);
		ended = run_to(QUICK, RUN_SUCCESS);
		assert_int_equal(figure(&ended, "refused"), 0);
		assert_int_equal(figure(&ended, "quarantined"), 1);
		ended_release(&ended);
	}
	gateway_order(&w, "/clear", "{}");
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	assert_int_equal(journal_quarantine_count(w.journal, 1), 1);
	make_due();
	sent_long_ago();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), 1);
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
	assert_in_step();
}

/* However many they are, and although nothing else is pushed. */
static void many_in_quarantine_are_tried_once_a_day_too(void **state)
{
	enum { MANY = 30 };
	struct ended ended;
	char sql[300], sku[20];

	NEED_WORLD();
	for (int i = 1; i <= MANY; i++) {
		snprintf(sku, sizeof(sku), "ART-%06d", i);
		snprintf(sql, sizeof(sql),
		         "INSERT INTO quarantine(shop, sku_id, goods_id, sku, code, text, request_id, refusals, run, first_ms, last_ms, since_ms,"
		         " next_ms, told) VALUES(1, %" PRId64 ", 1, '', '', '', '', 3, '', 1, 1, 1, 1, 1)",
		         sku_id_of(sku));
		change_journal(sql);
	}
	gateway_order(&w, "/fault", "{\"kind\":\"refuse_sku\",\"code\":150010003,\"count\":-1}");
	stock_of(1, MANY, 80);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "refused"), MANY);
	ended_release(&ended);
	ended = run_to(QUICK, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "refused"), 0);
	assert_int_equal(figure(&ended, "quarantined"), MANY);
	ended_release(&ended);
	gateway_order(&w, "/clear", "{}");
	make_due();
	sent_long_ago();
	assert_int_equal(figure_of(QUICK, RUN_SUCCESS, "pushed"), MANY);
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
	assert_in_step();
}

static void skus_of_another_shop_are_told(void **state)
{
	struct ended ended;

	NEED_WORLD();
	m.claimed = true;
	stock_of(1, 5, 70);
	ended = run_to(FULL, RUN_SUCCESS); /* they get what JTL has all the same */
	assert_int_equal(figure(&ended, "pushed"), 5);
	assert_int_equal(count_events(ended.record.id, "CLAIMS_OTHER_SHOP: 3 SKUs of shop 1 are listings of shop 2 too"), 1);
	ended_release(&ended);
	m.claimed = false;
	m.claims_refused = true; /* a look that is not taken stops nothing */
	ended = run_to(FULL, RUN_SUCCESS);
	assert_int_equal(count_events(ended.record.id, "CLAIMS_OTHER_SHOP: "), 0);
	ended_release(&ended);
	m.claims_refused = false;
	assert_in_step();
}

static void one_success_in_between_forgets(void **state)
{
	int64_t sku_id;

	NEED_WORLD();
	sku_id = sku_id_of("ART-000006");
	for (int i = 1; i <= 6; i++) {
		stock_of(1, 10, 40 + i);
		if (i % 3 != 0)
			refuse(sku_id);
		figure_of(QUICK, i % 3 != 0 ? RUN_PARTIAL : RUN_SUCCESS, "pushed");
		gateway_order(&w, "/clear", "{}");
	}
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
}

/* Confirmed in an attempt whose end the journal never saw: the next attempt knows it from the ledger. */
static void a_success_that_only_the_ledger_saw_forgets_too(void **state)
{
	struct ended ended;
	int64_t sku_id;

	NEED_WORLD();
	sku_id = sku_id_of("ART-000007");
	for (int i = 1; i <= 4; i++) {
		stock_of(1, 10, 60 + i);
		if (i != 3)
			refuse(sku_id);
		find(sku_id)->sent_ms -= 400000; /* long enough ago for its answer to be the last word */
		find(sku_id)->doubt_ms = 0;
		commit();
		if (i == 3)
			fail_next(CALL_JUDGE, 2 * JOBS_DB_TRIES, true, ERR_TEMP);
		m.commit_lost = i == 3;
		ended = run_to(QUICK, i != 3 ? RUN_PARTIAL : RUN_SUCCESS);
		assert_int_equal(ended.record.attempt, i != 3 ? 1 : 2);
		ended_release(&ended);
		m.commit_lost = false;
		m.fail_count = 0;
		gateway_order(&w, "/clear", "{}");
	}
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
}

/* Everything refused and nothing taken is a fault of ours or of the shop, not of every SKU. */
static void a_refusal_of_everything_puts_nothing_into_quarantine(void **state)
{
	NEED_WORLD();
	gateway_order(&w, "/fault", "{\"kind\":\"refuse_sku\",\"code\":150010003,\"count\":-1}");
	for (int i = 1; i <= 3; i++) {
		stock_of(1, 50, 50 + i);
		figure_of(QUICK, RUN_PARTIAL, "refused");
	}
	assert_int_equal(journal_quarantine_count(w.journal, 1), 0);
}

static int64_t count_active(void)
{
	int64_t count = 0;

	for (size_t i = 0; i < m.count; i++)
		count += m.rows[i].active;
	return count;
}

static void judge_refused(int64_t sku_id, int times)
{
	struct quarantine_verdict verdict = { .sku_id = sku_id, .refused = true, .sku = "ART-000150" };
	char run[30];

	for (int i = 0; i < times; i++) {
		snprintf(run, sizeof(run), "test %d", i);
		assert_int_equal(journal_quarantine_judge(w.journal, 1, run, &verdict, 1, &w.err), 0);
	}
}

/* It takes its listing away for good. */
static void a_listing_that_vanishes_leaves_the_quarantine(void **state)
{
	int64_t sku_id;
	char body[100];

	NEED_WORLD();
	sku_id = sku_id_of("ART-000150");
	judge_refused(sku_id, 3);
	judge_refused(sku_id_of("ART-000149"), 3);
	judge_refused(sku_id_of("ART-000148"), 2);
	snprintf(body, sizeof(body), "{\"sku_id\":%" PRId64 "}", sku_id);
	gateway_order(&w, "/remove", body);
	figure_of(QUICK, RUN_SUCCESS, "pushed");
	figure_of("{\"mode\":\"full\",\"dry_run\":true}", RUN_SUCCESS, "pushed");
	assert_int_equal(journal_quarantine_count(w.journal, 1), 2);
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "vanished"), 1);
	assert_int_equal(journal_quarantine_count(w.journal, 1), 1);
	/* Killed after the ledger knew of it: the next run still sees to it. */
	judge_refused(sku_id, 3);
	assert_int_equal(figure_of(FULL, RUN_SUCCESS, "vanished"), 0);
	assert_int_equal(journal_quarantine_count(w.journal, 1), 1);
	judge_refused(sku_id_of("ART-000148"), 1); /* it is still there, and its third */
	assert_int_equal(journal_quarantine_count(w.journal, 1), 2);
	assert_int_equal(journal_quarantine_free(w.journal, 1, sku_id_of("ART-000149"), "test", &w.err), 1);
	assert_int_equal(journal_quarantine_free(w.journal, 1, sku_id_of("ART-000148"), "test", &w.err), 1);
}

/* The last of the tests with listings: it takes them all away. */
static void an_empty_shop_is_believed_the_second_time(void **state)
{
	size_t count;
	struct temu_truth *truth = NULL;
	struct ended ended;
	char body[100];

	NEED_WORLD();
	truth = gateway_stock(&w, &count);
	for (size_t i = 0; i < count; i++) {
		snprintf(body, sizeof(body), "{\"sku_id\":%" PRId64 "}", truth[i].sku_id);
		gateway_order(&w, "/remove", body);
	}
	free(truth);
	ended = run_to(FULL, RUN_FAILED);
	assert_string_equal(ended.record.error_code, "CATALOGUE_EMPTY");
	ended_release(&ended);
	figure_of(QUICK, RUN_SUCCESS, "pushed"); /* says nothing of what TEMU has */
	figure_of(FULL, RUN_FAILED, "pushed");   /* too soon */
	assert_int_equal(count_active(), (int64_t)count);
	change_journal("UPDATE runs SET finished_ms = finished_ms - 600000 WHERE error_code = 'CATALOGUE_EMPTY'");
	ended = run_to(FULL, RUN_SUCCESS);
	assert_int_equal(figure(&ended, "vanished"), (int64_t)count);
	assert_int_equal(count_events(ended.record.id, "SHOP_EMPTY: "), 1);
	assert_int_equal(count_events(ended.record.id, "\"event\":\"alarm\""), 1);
	assert_int_equal(figure(&ended, "changed"), 0);
	assert_int_equal(count_active(), 0);
	ended_release(&ended);
	figure_of(FULL, RUN_SUCCESS, "pushed");
}

static void stats_are_json(void **state)
{
	struct err err = ERR_INIT;
	struct json *json;
	struct buf out;

	NEED_WORLD();
	buf_init(&out, 10000);
	json_object_open(&out, NULL);
	jobs_env_stats(w.env, &out);
	json_object_close(&out);
	json = json_parse(buf_text(&out), out.len, &err);
	assert_non_null(json);
	assert_int_equal(json_get_int64(json_get(json, "pool"), "open", -1), 7);
	assert_true(json_size(json_get(json, "rates")) >= 1);
	json_free(json);
	buf_release(&out);
}

static void the_missing_database_names_its_statement(void **state)
{
	struct err err = ERR_INIT;

	NEED_WORLD();
	assert_int_equal(schema_migrate(&w.settings, false, &err), -1);
	assert_non_null(strstr(err.text, "CREATE DATABASE [toci]"));
}

static bool seed_gateway(void)
{
	char data[100], log[100], number[20];
	const char *argv[] = {
		"/usr/bin/python3", "ecosystem/sandbox/seed.py", "--articles", number, "--gateway-data", data, NULL
	};
	int status = -1;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", ARTICLES);
	snprintf(data, sizeof(data), "%s/gateway.json", w.sql.folder);
	snprintf(log, sizeof(log), "%s/seed.log", w.sql.folder);
	world_credentials(true);
	pid = world_spawn(argv, log);
	if (pid > 0)
		waitpid(pid, &status, 0);
	world_credentials(false);
	return status == 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.err = (struct err)ERR_INIT;
	log_init("test", getenv("TEMU_TEST_VERBOSE") ? LEVEL_DEBUG : LEVEL_ERROR, LOG_TEXT);
	snprintf(w.sql.folder, sizeof(w.sql.folder), "/tmp/temu-world-XXXXXX");
	if (!mkdtemp(w.sql.folder))
		return -1;
	snprintf(w.sql.address, sizeof(w.sql.address), "127.0.0.1:1");
	snprintf(w.sql.user, sizeof(w.sql.user), "sa");
	snprintf(w.sql.own, sizeof(w.sql.own), "toci");
	snprintf(w.sql.jtl, sizeof(w.sql.jtl), "eazybusiness");
	snprintf(w.sql.password, sizeof(w.sql.password), "Test-42-password");
	snprintf(w.state, sizeof(w.state), "%s/state", w.sql.folder);
	if (mkdir(w.state, 0700) != 0 || !seed_gateway() || !world_start_gateway(&w) ||
	    !world_configure(&w, "temu:\n  rate: 1000\n", "    zero_share_percent: 30\n    raise_share_percent: 100\n") || !world_start_engine(&w)) {
		fprintf(stderr, "world: %s %s\n", w.err.code, w.err.text);
		return -1;
	}
	w.sql.there = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_stop(&w);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_is_pushed_once_in_batches),
		TEST(counters_and_items),
		TEST(the_intent_is_committed_before_the_call),
		TEST(a_deadlock_is_repeated_in_place),
		TEST(marks_that_never_come_cost_a_repeated_push_and_no_more),
		TEST(a_permanent_error_of_the_mark_ends_the_run),
		TEST(marks_the_journal_never_got),
		TEST(a_plan_of_an_earlier_attempt_that_is_not_needed_any_more),
		TEST(half_a_stock_read_pushes_nothing),
		TEST(no_article_at_all_is_not_believed),
		TEST(articles_without_any_stock_row_are_not_believed),
		TEST(the_guard_keeps_the_plan),
		TEST(zeros_go_first),
		TEST(a_gate_shut_in_mid_push_stops_and_leaves_nothing_unknown),
		TEST(a_gate_shut_while_the_intent_is_stored),
		TEST(a_cancel_in_mid_push_leaves_nothing_unknown),
		TEST(a_confirmed_sku_with_a_lost_attempt_stays_unknown),
		TEST(a_value_is_not_known_while_an_older_one_may_arrive),
		TEST(a_shop_that_shuts_us_out_holds_the_run),
		TEST(a_call_that_came_to_nothing_is_not_forgotten),
		TEST(a_shop_that_refuses_one_sku),
		TEST(an_empty_catalogue_is_not_believed),
		TEST(a_page_twice_and_ids_as_strings),
		TEST(sold_at_temu_just_after_a_push),
		TEST(temu_shows_the_old_value_for_a_while),
		TEST(a_foreign_lease_holds_the_run_and_says_so),
		TEST(a_lease_lost_anywhere),
		TEST(every_call_looks_at_the_lease),
		TEST(a_lease_lost_while_a_call_waits),
		TEST(a_slow_answer_is_awaited_without_statements),
		TEST(the_old_system_is_looked_for_twice),
		TEST(what_was_read_before_the_old_system_worked_is_not_believed),
		TEST(a_jtl_that_changed_is_told_once),
		TEST(a_jtl_that_changed_and_does_not_fit_holds),
		TEST(a_confirmed_plan_is_sent),
		TEST(what_was_not_confirmed_stops_again),
		TEST(of_a_confirmed_plan_the_sold_outs_alone),
		TEST(too_many_raises),
		TEST(other_rules_are_confirmed_first),
		TEST(a_confirmed_plan_that_was_stopped_is_confirmed_again),
		TEST(a_confirmed_plan_is_accepted_by_a_later_attempt),
		TEST(sold_outs_confirm_no_rules),
		TEST(other_buffers_are_confirmed_first),
		TEST(a_shut_gate_shows_what_the_guard_would_stop),
		TEST(refused_three_times),
		TEST(one_alarm_for_all_that_come_in),
		TEST(a_sku_in_quarantine_is_tried_once_a_day),
		TEST(many_in_quarantine_are_tried_once_a_day_too),
		TEST(skus_of_another_shop_are_told),
		TEST(one_success_in_between_forgets),
		TEST(a_success_that_only_the_ledger_saw_forgets_too),
		TEST(a_refusal_of_everything_puts_nothing_into_quarantine),
		TEST(a_listing_that_vanishes_leaves_the_quarantine),
		TEST(an_empty_shop_is_believed_the_second_time),
		cmocka_unit_test(stats_are_json),
		cmocka_unit_test(the_missing_database_names_its_statement),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
