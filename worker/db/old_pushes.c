/* The two statements about what the old system pushed. What follows from it is the job's business. */
#include "worker/db/old_pushes.h"

#include "worker/db/rows.h"

/* DATEDIFF in milliseconds: in hours or minutes it would count borders, and the two clocks are read one after the other. */
static const char sql_read[] =
    "SELECT TOP (@chunk) p.sku_id, i.temu_stock, l.wanted, CASE WHEN l.sent = i.temu_stock\n"
    "  AND l.sent_at > CONVERT(datetime2(3), @since, 126) THEN 1 ELSE 0 END\n"
    "FROM dbo.temu_products p\n"
    "JOIN dbo.temu_inventory i ON i.product_id = p.id\n"
    "LEFT JOIN dbo.temu_ledger l ON l.shop = @shop AND l.sku_id = p.sku_id\n"
    "WHERE p.shop = @shop AND p.sku_id > @after AND i.last_synced_to_temu >\n"
    "  DATEADD(millisecond, DATEDIFF(millisecond, GETUTCDATE(), GETDATE()), CONVERT(datetime2(3), @since, 126))\n"
    "ORDER BY p.sku_id, i.last_synced_to_temu DESC, i.id DESC";

struct reading {
	struct old_push *pushes;
	size_t count, rows;
};

static int take_push(void *arg, const struct db_row *row, struct err *err)
{
	struct reading *r = arg;
	struct old_push push = { .rows = 1 }, *last = r->count ? &r->pushes[r->count - 1] : NULL;
	int64_t own;

	if (db_row_int64(row, 0, &push.sku_id, err) != 0 || db_row_int64(row, 1, &push.value, err) != 0 ||
	    rows_maybe_read(row, 2, &push.wanted, err) != 0 || db_row_int64(row, 3, &own, err) != 0)
		return -1;
	push.own = own != 0;
	r->rows++;
	if (last && last->sku_id == push.sku_id)
		last->rows++;
	else
		r->pushes[r->count++] = push;
	return 0;
}

int old_pushes_read(struct db *db, int64_t shop, int64_t since_ms, int64_t after, struct old_push *pushes, size_t chunk,
                    size_t *count, bool *more, struct err *err)
{
	char since[ROWS_TIME_MAX];
	struct reading r = { .pushes = pushes };
	struct db_param params[] = { db_param_int64("@shop", shop), db_param_text("@since", rows_time(since_ms, since)),
		                     db_param_int64("@after", after), db_param_int64("@chunk", (int64_t)chunk) };
	struct db_statement read = {
		.label = "old pushes", .sql = sql_read, .params = params, .count = 4, .row = take_push, .arg = &r
	};

	*count = 0;
	*more = false;
	if (db_query(db, &read, NULL, err) != 0)
		return -1;
	*count = r.count;
	*more = r.rows >= chunk;
	return 0;
}

static const char sql_listings[] =
    "SELECT j.k, ISNULL(l.goods_id, p.goods_id), ISNULL(l.sku, p.sku COLLATE DATABASE_DEFAULT), l.known\n"
    "FROM OPENJSON(@j) WITH (k bigint '$.k') j\n"
    "LEFT JOIN dbo.temu_ledger l ON l.shop = @shop AND l.sku_id = j.k\n"
    "LEFT JOIN dbo.temu_products p ON p.id =\n"
    "  (SELECT MIN(o.id) FROM dbo.temu_products o WHERE o.shop = @shop AND o.sku_id = j.k)\n"
    "ORDER BY j.k";

struct listing_reading {
	int (*each)(void *arg, const struct old_listing *listing, struct err *err);
	void *arg;
};

static int take_listing(void *arg, const struct db_row *row, struct err *err)
{
	struct listing_reading *r = arg;
	const char *sku = db_row_text(row, 2, NULL);
	struct old_listing listing = { .sku = sku ? sku : "" };
	struct maybe goods;

	if (db_row_int64(row, 0, &listing.sku_id, err) != 0 || rows_maybe_read(row, 1, &goods, err) != 0 ||
	    rows_maybe_read(row, 3, &listing.known, err) != 0)
		return -1;
	listing.goods_id = goods.set ? goods.value : 0;
	return r->each(r->arg, &listing, err);
}

int old_pushes_listings(struct db *db, int64_t shop, const int64_t *sku_ids, size_t count,
                        int (*each)(void *arg, const struct old_listing *listing, struct err *err), void *arg, struct err *err)
{
	struct listing_reading r = { each, arg };
	struct db_param params[2] = { [1] = db_param_int64("@shop", shop) };
	struct db_statement read = {
		.label = "listings of old pushes", .sql = sql_listings, .params = params, .count = 2, .row = take_listing, .arg = &r
	};
	struct dbjson rows;
	int rc = -1;

	dbjson_init(&rows, ROWS_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "k", sku_ids[i]);
	}
	if (dbjson_end(&rows, "@j", &params[0], err) == 0)
		rc = db_query(db, &read, NULL, err);
	dbjson_release(&rows);
	return rc;
}
