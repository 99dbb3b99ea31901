/* The statements of dbo.temu_ledger and dbo.temu_shop. Which rows to write, and in which transaction, is the job's business. */
#include "worker/db/ledger.h"

#include <inttypes.h>
#include <string.h>
#include "worker/db/rows.h"

/* r: listings with more than one row in the old system's tables, and whether those rows say the same. Where they do not, the product is
 * shown as not in use and the inventory as missing, so that both are written anew. Few listings are double, if any: so they are found
 * first, and only theirs are compared. */
static const char sql_read[] =
    "SELECT CASE WHEN catalogue_at IS NULL THEN 0 ELSE 1 END, rules, jtl_version, jtl_objects FROM dbo.temu_shop WHERE shop = @shop\n"
    "SELECT l.sku_id, l.goods_id, l.sku, l.active, l.known, l.wanted, l.sent, CONVERT(varchar(33), l.sent_at, 126),\n"
    "  p.id, p.goods_id, p.sku, p.goods_name, CASE WHEN r.same_products = 0 THEN 0 ELSE p.is_active END, p.jtl_article_id,\n"
    "  ISNULL(i.id, r.inventory), ISNULL(i.jtl_stock, r.jtl_stock), ISNULL(i.temu_stock, r.temu_stock),\n"
    "  ISNULL(i.needs_sync, r.needs_sync), l.sent_from, CONVERT(varchar(33), l.doubt_at, 126), l.article, l.buffer\n"
    "FROM dbo.temu_ledger l\n"
    "LEFT JOIN dbo.temu_products p ON p.id = l.product_id AND p.shop = l.shop AND p.sku_id = l.sku_id\n"
    "LEFT JOIN (SELECT q.sku_id, MIN(n.jtl_stock) AS jtl_stock, MIN(n.temu_stock) AS temu_stock,\n"
    "    MIN(CONVERT(int, n.needs_sync)) AS needs_sync,\n"
    "    CASE WHEN MIN(q.sku) = MAX(q.sku) AND MIN(q.goods_id) = MAX(q.goods_id)\n"
    "      AND MIN(CONVERT(int, ISNULL(q.is_active, 0))) = MAX(CONVERT(int, ISNULL(q.is_active, 0))) THEN 1 ELSE 0 END AS same_products,\n"
    "    CASE WHEN COUNT(n.id) = COUNT(*) AND MIN(n.jtl_stock) = MAX(n.jtl_stock) AND MIN(n.temu_stock) = MAX(n.temu_stock)\n"
    "      AND MIN(CONVERT(int, n.needs_sync)) = MAX(CONVERT(int, n.needs_sync))\n"
    "      AND MIN(ISNULL(q.jtl_article_id, 0)) = MAX(ISNULL(q.jtl_article_id, 0)) THEN MIN(n.id) END AS inventory\n"
    "  FROM (SELECT sku_id FROM dbo.temu_products WHERE shop = @shop AND sku_id IS NOT NULL GROUP BY sku_id HAVING COUNT(*) > 1\n"
    "    UNION SELECT x.sku_id FROM dbo.temu_products x\n"
    "    JOIN (SELECT product_id FROM dbo.temu_inventory GROUP BY product_id HAVING COUNT(*) > 1) y ON y.product_id = x.id\n"
    "    WHERE x.shop = @shop) d\n"
    "  JOIN dbo.temu_products q ON q.sku_id = d.sku_id AND q.shop = @shop\n"
    "  LEFT JOIN dbo.temu_inventory n ON n.product_id = q.id GROUP BY q.sku_id) r ON r.sku_id = p.sku_id\n"
    "LEFT JOIN dbo.temu_inventory i ON i.product_id = p.id AND r.sku_id IS NULL\n"
    "WHERE l.shop = @shop\n"
    "ORDER BY l.sku_id";

struct reading {
	struct ledger_shop *state;
	int (*each)(void *arg, const struct ledger_row *row, struct err *err);
	void *arg;
};

static int take_or_zero(const struct db_row *row, int column, int64_t *out, struct err *err)
{
	struct maybe value;

	if (rows_maybe_read(row, column, &value, err) != 0)
		return -1;
	*out = value.set ? value.value : 0;
	return 0;
}

static const char *text_or_empty(const struct db_row *row, int column)
{
	const char *text = db_row_text(row, column, NULL);

	return text ? text : "";
}

static int copy_text(const struct db_row *row, int column, char *out, size_t size, struct err *err)
{
	return db_row_null(row, column) ? 0 : db_row_copy(row, column, out, size, err);
}

static int take_shop(const struct db_row *row, struct ledger_shop *state, struct err *err)
{
	int64_t complete;

	if (db_row_int64(row, 0, &complete, err) != 0 || copy_text(row, 1, state->rules, sizeof(state->rules), err) != 0 ||
	    copy_text(row, 2, state->jtl_version, sizeof(state->jtl_version), err) != 0 ||
	    copy_text(row, 3, state->jtl_objects, sizeof(state->jtl_objects), err) != 0)
		return -1;
	state->complete = complete != 0;
	state->accepted = !db_row_null(row, 1);
	return 0;
}

static int take_row(void *arg, const struct db_row *row, struct err *err)
{
	struct reading *r = arg;
	struct ledger_row l = { .sku = text_or_empty(row, 2),
		                .product_sku = text_or_empty(row, 10),
		                .goods_name = text_or_empty(row, 11) };
	int64_t active, product_active, needs_sync;

	if (db_row_set(row) == 0)
		return take_shop(row, r->state, err);
	if (db_row_int64(row, 0, &l.sku_id, err) != 0 || db_row_int64(row, 1, &l.goods_id, err) != 0 ||
	    db_row_int64(row, 3, &active, err) != 0 || rows_maybe_read(row, 4, &l.known, err) != 0 ||
	    rows_maybe_read(row, 5, &l.wanted, err) != 0 || rows_maybe_read(row, 6, &l.sent, err) != 0 ||
	    rows_maybe_read(row, 8, &l.product, err) != 0 || take_or_zero(row, 9, &l.product_goods, err) != 0 ||
	    take_or_zero(row, 12, &product_active, err) != 0 || rows_maybe_read(row, 13, &l.product_article, err) != 0 ||
	    rows_maybe_read(row, 14, &l.inventory, err) != 0 || take_or_zero(row, 15, &l.jtl_stock, err) != 0 ||
	    take_or_zero(row, 16, &l.temu_stock, err) != 0 || take_or_zero(row, 17, &needs_sync, err) != 0 ||
	    rows_maybe_read(row, 18, &l.sent_from, err) != 0 || rows_maybe_read(row, 20, &l.article, err) != 0 ||
	    rows_maybe_read(row, 21, &l.buffer, err) != 0 ||
	    rows_time_read(db_row_text(row, 7, NULL), &l.sent_ms, err) != 0 ||
	    rows_time_read(db_row_text(row, 19, NULL), &l.doubt_ms, err) != 0)
		return -1;
	l.active = active != 0;
	l.product_active = product_active != 0;
	l.needs_sync = needs_sync != 0;
	return r->each(r->arg, &l, err);
}

int ledger_read(struct db *db, int64_t shop, struct ledger_shop *state,
                int (*each)(void *arg, const struct ledger_row *row, struct err *err), void *arg, struct err *err)
{
	struct reading r = { state, each, arg };
	struct db_param param = db_param_int64("@shop", shop);
	struct db_statement read = {
		.label = "ledger", .sql = sql_read, .params = &param, .count = 1, .row = take_row, .arg = &r
	};

	*state = (struct ledger_shop){ .complete = false };
	return db_query(db, &read, NULL, err);
}

/* --- the catalogue --- */

static const char sql_save[] =
    "UPDATE l SET goods_id = j.g, sku = j.s, active = 1, seen_run = @run, seen_at = CONVERT(datetime2(3), @now, 126),\n"
    "  product_id = (SELECT MIN(p.id) FROM dbo.temu_products p WHERE p.shop = @shop AND p.sku_id = j.k),\n"
    "  known = CASE WHEN j.b = 1 THEN j.v ELSE l.known END,\n"
    "  known_at = CASE WHEN j.b = 1 THEN CONVERT(datetime2(3), @now, 126) ELSE l.known_at END\n"
    "FROM dbo.temu_ledger l\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', g bigint '$.g', s nvarchar(100) '$.s', b int '$.b', v int '$.v') j ON j.k = "
    "l.sku_id\n"
    "WHERE l.shop = @shop\n"
    "INSERT INTO dbo.temu_ledger (shop, sku_id, goods_id, sku, product_id, known, known_at, seen_run, seen_at, active)\n"
    "SELECT @shop, j.k, j.g, j.s, (SELECT MIN(p.id) FROM dbo.temu_products p WHERE p.shop = @shop AND p.sku_id = j.k), j.v,\n"
    "  CASE WHEN j.v IS NULL THEN NULL ELSE CONVERT(datetime2(3), @now, 126) END, @run, CONVERT(datetime2(3), @now, 126), 1\n"
    "FROM OPENJSON(@j) WITH (k bigint '$.k', g bigint '$.g', s nvarchar(100) '$.s', v int '$.v') j\n"
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_ledger l WHERE l.shop = @shop AND l.sku_id = j.k)";

int ledger_save(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_listing *rows, size_t count,
                struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[4] = { [1] = db_param_int64("@shop", shop),
		                      [2] = db_param_text("@run", run),
		                      [3] = db_param_text("@now", rows_time(now_ms, now)) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		dbjson_int64(&json, "g", rows[i].goods_id);
		dbjson_text(&json, "s", rows[i].sku);
		dbjson_int64(&json, "b", rows[i].judge ? 1 : 0);
		rows_maybe(&json, "v", rows[i].judge ? rows[i].known : (struct maybe){ .set = false });
	}
	rc = rows_send(db, "ledger save", sql_save, &json, params, 4, NULL, err);
	dbjson_release(&json);
	return rc;
}

static const char sql_retire[] = "UPDATE l SET active = 0, seen_run = @run, seen_at = CONVERT(datetime2(3), @now, 126)\n"
				 "FROM dbo.temu_ledger l JOIN OPENJSON(@j) WITH (k bigint '$.k') j ON j.k = l.sku_id\n"
				 "WHERE l.shop = @shop";

int ledger_retire(struct db *db, int64_t shop, const char *run, int64_t now_ms, const int64_t *sku_ids, size_t count,
                  struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[4] = { [1] = db_param_int64("@shop", shop),
		                      [2] = db_param_text("@run", run),
		                      [3] = db_param_text("@now", rows_time(now_ms, now)) };

	return rows_send_ids(db, "ledger retire", sql_retire, "k", sku_ids, count, params, 4, err);
}

static const char sql_shop[] =
    "UPDATE dbo.temu_shop SET catalogue_run = @run, catalogue_at = CONVERT(datetime2(3), @now, 126), catalogue_skus = @skus\n"
    "WHERE shop = @shop\n"
    "INSERT INTO dbo.temu_shop (shop, catalogue_run, catalogue_at, catalogue_skus)\n"
    "SELECT @shop, @run, CONVERT(datetime2(3), @now, 126), @skus\n"
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_shop s WHERE s.shop = @shop)";

int ledger_shop_set(struct db *db, int64_t shop, const char *run, int64_t now_ms, int64_t skus, struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[] = { db_param_int64("@shop", shop), db_param_text("@run", run),
		                     db_param_text("@now", rows_time(now_ms, now)), db_param_int64("@skus", skus) };
	struct db_statement set = { .label = "shop state", .sql = sql_shop, .params = params, .count = 4 };

	return db_query(db, &set, NULL, err);
}

static const char sql_rules[] =
    "UPDATE s SET rules = j.r FROM dbo.temu_shop s CROSS JOIN OPENJSON(@j) WITH (r nvarchar(2000) '$.r') j WHERE s.shop = @shop\n"
    "INSERT INTO dbo.temu_shop (shop, rules) SELECT @shop, j.r FROM OPENJSON(@j) WITH (r nvarchar(2000) '$.r') j\n"
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_shop s WHERE s.shop = @shop)";
static const char sql_jtl[] =
    "UPDATE s SET jtl_version = j.v, jtl_objects = j.o FROM dbo.temu_shop s\n"
    "CROSS JOIN OPENJSON(@j) WITH (v nvarchar(255) '$.v', o nvarchar(4000) '$.o') j WHERE s.shop = @shop\n"
    "INSERT INTO dbo.temu_shop (shop, jtl_version, jtl_objects) SELECT @shop, j.v, j.o\n"
    "FROM OPENJSON(@j) WITH (v nvarchar(255) '$.v', o nvarchar(4000) '$.o') j\n"
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.temu_shop s WHERE s.shop = @shop)";

int ledger_rules_set(struct db *db, int64_t shop, const char *rules, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	dbjson_row(&json);
	dbjson_text(&json, "r", rules);
	rc = rows_send(db, "shop rules", sql_rules, &json, params, 2, NULL, err);
	dbjson_release(&json);
	return rc;
}

int ledger_jtl_set(struct db *db, int64_t shop, const char *version, const char *objects, struct err *err)
{
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	dbjson_row(&json);
	dbjson_text(&json, "v", version);
	dbjson_text(&json, "o", objects);
	rc = rows_send(db, "shop JTL", sql_jtl, &json, params, 2, NULL, err);
	dbjson_release(&json);
	return rc;
}

/* --- shared with other shops --- */

/* NOLOCK: a figure for people must not wait for another shop's writing. */
static const char sql_shared[] =
    "SELECT COUNT(*) FROM (SELECT DISTINCT l.article FROM dbo.temu_ledger l WITH (NOLOCK) WHERE l.shop = @shop AND l.active = 1\n"
    "  AND EXISTS (SELECT 1 FROM dbo.temu_ledger o WITH (NOLOCK)\n"
    "    WHERE o.article = l.article AND o.shop <> l.shop AND o.active = 1)) x\n"
    "SELECT TOP (10) l.article, MIN(l.sku_id), MIN(l.sku), MIN(o.shop) FROM dbo.temu_ledger l WITH (NOLOCK)\n"
    "JOIN dbo.temu_ledger o WITH (NOLOCK) ON o.article = l.article AND o.shop <> l.shop AND o.active = 1\n"
    "WHERE l.shop = @shop AND l.active = 1\n"
    "GROUP BY l.article ORDER BY l.article";

struct sharing {
	int64_t *count;
	void (*each)(void *arg, const struct ledger_shared *shared);
	void *arg;
};

static int take_shared(void *arg, const struct db_row *row, struct err *err)
{
	struct sharing *s = arg;
	struct ledger_shared shared = { .sku = "" };

	if (db_row_set(row) == 0)
		return db_row_int64(row, 0, s->count, err);
	shared.sku = text_or_empty(row, 2);
	if (db_row_int64(row, 0, &shared.article, err) != 0 || db_row_int64(row, 1, &shared.sku_id, err) != 0 ||
	    db_row_int64(row, 3, &shared.other_shop, err) != 0)
		return -1;
	s->each(s->arg, &shared);
	return 0;
}

int ledger_shared(struct db *db, int64_t shop, int64_t *count, void (*each)(void *arg, const struct ledger_shared *shared), void *arg,
                  struct err *err)
{
	struct sharing s = { count, each, arg };
	struct db_param param = db_param_int64("@shop", shop);
	struct db_statement read = {
		.label = "ledger shared", .sql = sql_shared, .params = &param, .count = 1, .row = take_shared, .arg = &s
	};

	*count = 0;
	return db_query(db, &read, NULL, err);
}

/* --- wanted --- */

static const char sql_wanted[] =
    "UPDATE l SET wanted = COALESCE(j.w, l.wanted),\n"
    "  wanted_at = CASE WHEN j.w IS NULL THEN l.wanted_at ELSE CONVERT(datetime2(3), @now, 126) END,\n"
    "  article = COALESCE(j.a, l.article), buffer = COALESCE(j.b, l.buffer)\n"
    "FROM dbo.temu_ledger l JOIN OPENJSON(@j) WITH (k bigint '$.k', w int '$.w', a int '$.a', b int '$.b') j ON j.k = l.sku_id\n"
    "WHERE l.shop = @shop";

int ledger_wanted_set(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_wanted *rows, size_t count,
                      struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[3] = { [1] = db_param_int64("@shop", shop), [2] = db_param_text("@now", rows_time(now_ms, now)) };
	struct dbjson json;
	int rc;

	if (count == 0)
		return 0;
	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		rows_maybe(&json, "w", rows[i].wanted);
		rows_maybe(&json, "a", rows[i].article);
		rows_maybe(&json, "b", rows[i].buffer);
	}
	rc = rows_send(db, "ledger wanted", sql_wanted, &json, params, 3, NULL, err);
	dbjson_release(&json);
	return rc;
}

/* --- pushing --- */

static void add_time(struct dbjson *json, const char *name, int64_t ms)
{
	char time[ROWS_TIME_MAX];

	if (ms != 0)
		dbjson_text(json, name, rows_time(ms, time));
	else
		dbjson_null(json, name);
}

static const char sql_intend[] =
    "UPDATE l SET known = NULL, known_at = NULL, sent = j.w, sent_from = j.v, sent_at = CONVERT(datetime2(3), @now, 126),\n"
    "  sent_run = @run, code = NULL, request_id = NULL, doubt_at = CONVERT(datetime2(3), j.d, 126)\n"
    "FROM dbo.temu_ledger l\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', w int '$.w', v int '$.v', d varchar(33) '$.d') j ON j.k = l.sku_id\n"
    "WHERE l.shop = @shop";

int ledger_intend(struct db *db, int64_t shop, const char *run, int64_t now_ms, const struct ledger_push *rows, size_t count,
                  struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[4] = { [1] = db_param_int64("@shop", shop),
		                      [2] = db_param_text("@run", run),
		                      [3] = db_param_text("@now", rows_time(now_ms, now)) };
	struct dbjson json;
	int64_t affected = 0;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		dbjson_int64(&json, "w", rows[i].target);
		rows_maybe(&json, "v", rows[i].known);
		add_time(&json, "d", rows[i].doubt_ms);
	}
	rc = rows_send(db, "ledger intend", sql_intend, &json, params, 4, &affected, err);
	dbjson_release(&json);
	if (rc == 0 && affected != (int64_t)count)
		rc = err_set(err, ERR_TEMP, "LEDGER_ROWS", "%" PRId64 " of %zu ledger rows are there: not sent", affected, count);
	return rc;
}

static const char sql_judge[] =
    "UPDATE l SET code = NULLIF(j.c, N''), request_id = NULLIF(j.r, N''), sent_at = CONVERT(datetime2(3), @now, 126),\n"
    "  known = CASE WHEN j.o = 1 THEN j.w ELSE l.known END,\n"
    "  known_at = CASE WHEN j.o = 1 THEN CONVERT(datetime2(3), @now, 126) ELSE l.known_at END\n"
    "FROM dbo.temu_ledger l\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', w int '$.w', o int '$.o', c varchar(40) '$.c', r nvarchar(100) '$.r') j\n"
    "  ON j.k = l.sku_id\n"
    "WHERE l.shop = @shop AND l.sent = j.w";

int ledger_judge(struct db *db, int64_t shop, int64_t now_ms, const struct ledger_push *rows, size_t count, struct err *err)
{
	char now[ROWS_TIME_MAX];
	struct db_param params[3] = { [1] = db_param_int64("@shop", shop), [2] = db_param_text("@now", rows_time(now_ms, now)) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		dbjson_int64(&json, "w", rows[i].target);
		dbjson_int64(&json, "o", rows[i].confirmed ? 1 : 0);
		dbjson_text(&json, "c", rows[i].code);
		dbjson_text(&json, "r", rows[i].request_id);
	}
	rc = rows_send(db, "ledger judge", sql_judge, &json, params, 3, NULL, err);
	dbjson_release(&json);
	return rc;
}

static const char sql_confirmed[] = "SELECT l.sku_id, l.sent, l.request_id FROM dbo.temu_ledger l\n"
				    "WHERE l.shop = @shop AND l.sent_run = @run AND l.known = l.sent\n"
				    "ORDER BY l.sku_id";

struct confirming {
	int (*each)(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *err);
	void *arg;
};

static int take_confirmed(void *arg, const struct db_row *row, struct err *err)
{
	struct confirming *c = arg;
	int64_t sku_id, value;

	if (db_row_int64(row, 0, &sku_id, err) != 0 || db_row_int64(row, 1, &value, err) != 0)
		return -1;
	return c->each(c->arg, sku_id, value, text_or_empty(row, 2), err);
}

int ledger_confirmed(struct db *db, int64_t shop, const char *run,
                     int (*each)(void *arg, int64_t sku_id, int64_t value, const char *request_id, struct err *err), void *arg,
                     struct err *err)
{
	struct confirming c = { each, arg };
	struct db_param params[] = { db_param_int64("@shop", shop), db_param_text("@run", run) };
	struct db_statement read = {
		.label = "ledger confirmed", .sql = sql_confirmed, .params = params, .count = 2, .row = take_confirmed, .arg = &c
	};

	return db_query(db, &read, NULL, err);
}

static const char sql_restore[] =
    "UPDATE l SET known = j.v, sent = j.s, sent_from = j.f, sent_at = CONVERT(datetime2(3), j.t, 126),\n"
    "  doubt_at = CONVERT(datetime2(3), j.d, 126)\n"
    "FROM dbo.temu_ledger l\n"
    "JOIN OPENJSON(@j) WITH (k bigint '$.k', w int '$.w', v int '$.v', s int '$.s', f int '$.f', t varchar(33) '$.t',\n"
    "  d varchar(33) '$.d') j\n"
    "  ON j.k = l.sku_id\n"
    "WHERE l.shop = @shop AND l.sent_run = @run AND l.known IS NULL AND l.sent = j.w";

int ledger_restore(struct db *db, int64_t shop, const char *run, const struct ledger_push *rows, size_t count, struct err *err)
{
	struct db_param params[3] = { [1] = db_param_int64("@shop", shop), [2] = db_param_text("@run", run) };
	struct dbjson json;
	int rc;

	dbjson_init(&json, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&json);
		dbjson_int64(&json, "k", rows[i].sku_id);
		dbjson_int64(&json, "w", rows[i].target);
		rows_maybe(&json, "v", rows[i].known);
		rows_maybe(&json, "s", rows[i].sent);
		rows_maybe(&json, "f", rows[i].sent_from);
		add_time(&json, "t", rows[i].sent_ms);
		add_time(&json, "d", rows[i].doubt_ms);
	}
	rc = rows_send(db, "ledger restore", sql_restore, &json, params, 3, NULL, err);
	dbjson_release(&json);
	return rc;
}
