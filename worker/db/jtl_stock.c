/* The one look-up of articles and stock by SKU, and the components of bundles. What the numbers mean for the shop is decided in
 * worker/jobs/wanted.c; whether the objects exist at all in jtl_probe.c. */
#include "worker/db/jtl_stock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "worker/db/dbjson.h"

#define JSON_MAX (16 << 20)

/* Columns of the look-up. */
enum column {
	COL_N,
	COL_ARTICLE,
	COL_SKU,
	COL_ACTIVE,
	COL_DELETED,
	COL_FATHER,
	COL_MANAGED,
	COL_OVERSELL,
	COL_BUNDLE,
	COL_BUFFER,
	COL_STOCK_ARTICLE,
	COL_PHYSICAL,
	COL_DOUBLED,
	COL_NULLS,
	COL_ROWS,
	COL_AVAILABLE,
};

/* The stock part comes from the same articles as the outer one (i), so that an article always has its row there, with or without
 * stock. A pair that comes twice gives the smaller value, a NULL counts as nothing; both are counted. */
static const char sql_head[] = "SELECT k.n, a.kArtikel, a.cArtNr, a.cAktiv, a.nDelete, a.nIstVater, a.cLagerAktiv, "
			       "a.cLagerKleinerNull, a.kStueckliste, a.nPuffer,\n"
			       "  s.kArtikel, s.stock, s.doubled, s.empty_rows, s.found_rows";
static const char sql_keys[] = "FROM OPENJSON(@j) WITH (n int '$.n', s nvarchar(400) '$.s') k\n"
			       "LEFT JOIN ";
static const char sql_stock_open[] =
    "LEFT JOIN (\n"
    "  SELECT p.kArtikel, SUM(p.lowest) AS stock, SUM(p.doubled) AS doubled, SUM(p.empty_rows) AS empty_rows,\n"
    "    SUM(p.found_rows) AS found_rows FROM (\n"
    "    SELECT i.kArtikel, v.kWarenlager, MIN(ISNULL(v.";
static const char sql_stock_counts[] = ", 0)) AS lowest,\n"
				       "      CASE WHEN COUNT(*) > 1 THEN 1 ELSE 0 END AS doubled,\n"
				       "      SUM(CASE WHEN v.kArtikel IS NOT NULL THEN 1 ELSE 0 END) AS found_rows,\n"
				       "      SUM(CASE WHEN v.kArtikel IS NOT NULL AND v.";
static const char sql_stock_articles[] =
    " IS NULL THEN 1 ELSE 0 END) AS empty_rows\n"
    "    FROM (SELECT DISTINCT x.kArtikel FROM OPENJSON(@j) WITH (s nvarchar(400) '$.s') q JOIN ";
static const char sql_stock_close[] = "    GROUP BY i.kArtikel, v.kWarenlager) p\n"
				      "  GROUP BY p.kArtikel) s ON s.kArtikel = a.kArtikel\n";
/* Without warehouse stock: only that the article is still the same. */
static const char sql_no_stock[] = "LEFT JOIN (SELECT DISTINCT x.kArtikel, 0 AS stock, 0 AS doubled, 0 AS empty_rows, 0 AS found_rows\n"
				   "  FROM OPENJSON(@j) WITH (s nvarchar(400) '$.s') q JOIN ";

static void add_key_match(struct buf *sql, const char *article, const char *key, const char *collation)
{
	/* "" equals a SKU of blanks under most collations. */
	buf_addf(sql, "%s.cArtNr = %s.s%s%s AND %s.s <> N''", article, key, collation[0] ? " COLLATE " : "", collation, key);
}

static void add_warehouses(struct buf *sql, const struct jtl_lookup *lookup)
{
	for (size_t i = 0; i < lookup->warehouse_count; i++)
		buf_addf(sql, "%s%" PRId64, i ? ", " : "", lookup->warehouses[i]);
}

static void add_warehouse_stock(struct buf *sql, const struct jtl_lookup *lookup, const char *jtl)
{
	bool locked = lookup->source == JTL_BOTH;
	const char *view = locked ? "vLagerbestandAvaibleProLager" : "vLagerbestandProLager";
	const char *column = locked ? "fAvaibleQuantity" : "fBestand";

	buf_addf(sql, "%s%s%s%s%s%s.dbo.tArtikel x ON ", sql_stock_open, column, sql_stock_counts, column, sql_stock_articles,
	         jtl);
	add_key_match(sql, "x", "q", lookup->collation);
	buf_addf(sql, ") i\n    LEFT JOIN %s.dbo.%s v ON v.kArtikel = i.kArtikel AND v.kWarenlager IN (", jtl, view);
	add_warehouses(sql, lookup);
	buf_addf(sql, ")\n%s", sql_stock_close);
}

static int build_lookup(struct buf *sql, const struct jtl_lookup *lookup, struct err *err)
{
	struct buf jtl;
	int rc;

	buf_init(&jtl, 1024);
	rc = db_quote_name(&jtl, lookup->database, err);
	if (rc == 0) {
		const char *name = buf_text(&jtl);

		buf_addf(sql, "%s%s\n%s%s.dbo.tArtikel a ON ", sql_head,
		         lookup->source == JTL_PHYSICAL
		             ? ", NULL"
		             : " + CASE WHEN t.kArtikel IS NULL THEN 0 ELSE 1 END, t.fVerfuegbar",
		         sql_keys, name);
		add_key_match(sql, "a", "k", lookup->collation);
		buf_add_char(sql, '\n');
		if (lookup->source == JTL_AVAILABLE) {
			buf_addf(sql, "%s%s.dbo.tArtikel x ON ", sql_no_stock, name);
			add_key_match(sql, "x", "q", lookup->collation);
			buf_add_text(sql, ") s ON s.kArtikel = a.kArtikel\n");
		} else {
			add_warehouse_stock(sql, lookup, name);
		}
		if (lookup->source != JTL_PHYSICAL)
			buf_addf(sql, "LEFT JOIN %s.dbo.tlagerbestand t ON t.kArtikel = a.kArtikel\n", name);
		rc = buf_check(sql, "look-up statement", err);
	}
	buf_release(&jtl);
	return rc;
}

struct reading {
	const struct jtl_key *keys;
	size_t count, rows, wrong;
	struct jtl_article *out;
	bool *seen;
};

static int take_number(const struct db_row *row, int column, int64_t *value, struct err *err)
{
	*value = 0;
	return db_row_null(row, column) ? 0 : db_row_int64(row, column, value, err);
}

static int take_quantity(const struct db_row *row, int column, struct quantity *value, struct err *err)
{
	const char *text = db_row_text(row, column, NULL);

	*value = quantity_of(0);
	if (text && quantity_parse(text, value) != 0)
		return err_set(err, ERR_PERM, "SQL_ROW", "JTL stock: \"%.60s\" is no quantity", text);
	return 0;
}

static bool yes(const struct db_row *row, int column)
{
	const char *text = db_row_text(row, column, NULL);

	return text && (text[0] == 'Y' || text[0] == 'y');
}

static int take_article(const struct db_row *row, const char *sku, struct jtl_article *a, struct err *err)
{
	int64_t deleted, father;

	if (db_row_int64(row, COL_ARTICLE, &a->article, err) != 0 ||
	    db_row_copy(row, COL_SKU, a->sku, sizeof(a->sku), err) != 0 || take_number(row, COL_DELETED, &deleted, err) != 0 ||
	    take_number(row, COL_FATHER, &father, err) != 0 || take_number(row, COL_BUNDLE, &a->bundle, err) != 0 ||
	    take_number(row, COL_BUFFER, &a->buffer, err) != 0 || take_number(row, COL_DOUBLED, &a->doubled, err) != 0 ||
	    take_number(row, COL_NULLS, &a->nulls, err) != 0 || take_number(row, COL_ROWS, &a->rows, err) != 0 || take_quantity(row, COL_PHYSICAL, &a->physical, err) != 0 ||
	    take_quantity(row, COL_AVAILABLE, &a->available, err) != 0)
		return -1;
	a->match = strcmp(a->sku, sku) == 0 ? JTL_EXACT : JTL_NEAR;
	a->active = yes(row, COL_ACTIVE);
	a->managed = yes(row, COL_MANAGED);
	a->oversell = yes(row, COL_OVERSELL);
	a->deleted = deleted != 0;
	a->father = father != 0;
	return 0;
}

static int take_row(void *arg, const struct db_row *row, struct err *err)
{
	struct reading *r = arg;
	struct jtl_article *a;
	int64_t n;

	r->rows++;
	if (db_row_int64(row, COL_N, &n, err) != 0)
		return -1;
	if (n < 0 || (uint64_t)n >= r->count || r->seen[n]) {
		r->wrong++;
		return 0;
	}
	r->seen[n] = true;
	a = &r->out[n];
	*a = (struct jtl_article){ .n = r->keys[n].n };
	if (db_row_null(row, COL_ARTICLE))
		return 0;
	if (db_row_null(row, COL_STOCK_ARTICLE))
		r->wrong++;
	return take_article(row, r->keys[n].sku, a, err);
}

static int judge_rows(const struct reading *r, struct err *err)
{
	if (r->rows == r->count && r->wrong == 0)
		return 0;
	return err_set(err, ERR_TEMP, "JTL_ROWS",
	               "stock read of %zu keys returned %zu rows, %zu of them not the expected ones: not used", r->count, r->rows,
	               r->wrong);
}

int jtl_stock_read(struct db *db, const struct jtl_lookup *lookup, const struct jtl_key *keys, size_t count,
                   struct jtl_article *out, struct err *err)
{
	struct reading r = { .keys = keys, .count = count, .out = out };
	struct db_param param;
	struct db_statement read = { .label = "JTL stock", .params = &param, .count = 1, .row = take_row, .arg = &r };
	struct dbjson rows;
	struct buf sql;
	int rc = -1;

	if (count == 0)
		return 0;
	buf_init(&sql, 1 << 16);
	dbjson_init(&rows, JSON_MAX);
	r.seen = calloc(count, sizeof(*r.seen));
	if (!r.seen) {
		err_set(err, ERR_TEMP, "SQL_MEMORY", "no memory for %zu keys", count);
		goto out;
	}
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "n", (int64_t)i);
		dbjson_text(&rows, "s", keys[i].sku);
	}
	if (build_lookup(&sql, lookup, err) != 0 || dbjson_end(&rows, "@j", &param, err) != 0)
		goto out;
	read.sql = buf_text(&sql);
	if (db_query(db, &read, NULL, err) != 0) {
		jtl_error(err, lookup->database);
		goto out;
	}
	if (judge_rows(&r, err) != 0)
		goto out;
	rc = 0;
out:
	free(r.seen);
	dbjson_release(&rows);
	buf_release(&sql);
	return rc;
}

/* --- components --- */

static const char sql_components[] =
    "SELECT l.kStueckliste, l.fAnzahl, c.cLagerAktiv, c.cLagerKleinerNull, c.nPuffer, t.fVerfuegbar,\n"
    "  (SELECT COUNT(*) FROM %s.dbo.tlagerbestandProLagerLagerartikel b WHERE b.kArtikel = l.kArtikel AND b.kWarenlager IN "
    "(%s))\n"
    "FROM OPENJSON(@j) WITH (b int '$.b') k\n"
    "JOIN %s.dbo.tStueckliste l ON l.kStueckliste = k.b\n"
    "JOIN %s.dbo.tArtikel c ON c.kArtikel = l.kArtikel\n"
    "LEFT JOIN %s.dbo.tlagerbestand t ON t.kArtikel = l.kArtikel";

struct component_reading {
	int (*each)(void *arg, const struct jtl_component *component, struct err *err);
	void *arg;
};

static int take_component(void *arg, const struct db_row *row, struct err *err)
{
	struct component_reading *r = arg;
	struct jtl_component c = { .bundle = 0 };
	int64_t rows;

	if (db_row_int64(row, 0, &c.bundle, err) != 0 || take_quantity(row, 1, &c.count, err) != 0 ||
	    take_number(row, 4, &c.buffer, err) != 0 || take_quantity(row, 5, &c.available, err) != 0 ||
	    db_row_int64(row, 6, &rows, err) != 0)
		return -1;
	if (c.count.units <= 0)
		return err_set(err, ERR_PERM, "SQL_ROW", "bundle %" PRId64 " has a component without a quantity", c.bundle);
	c.managed = yes(row, 2);
	c.oversell = yes(row, 3);
	c.missing = rows == 0;
	return r->each(r->arg, &c, err);
}

int jtl_components_read(struct db *db, const struct jtl_lookup *lookup, const int64_t *bundles, size_t count,
                        int (*each)(void *arg, const struct jtl_component *component, struct err *err), void *arg,
                        struct err *err)
{
	struct component_reading r = { each, arg };
	struct db_param param;
	struct db_statement read = { .label = "JTL bundles", .params = &param, .count = 1, .row = take_component, .arg = &r };
	struct dbjson rows;
	struct buf sql, jtl, warehouses;
	const char *name;
	int rc = -1;

	if (count == 0)
		return 0;
	buf_init(&sql, 1 << 16);
	buf_init(&jtl, 1024);
	buf_init(&warehouses, 1 << 14);
	dbjson_init(&rows, JSON_MAX);
	for (size_t i = 0; i < count; i++) {
		dbjson_row(&rows);
		dbjson_int64(&rows, "b", bundles[i]);
	}
	add_warehouses(&warehouses, lookup);
	if (db_quote_name(&jtl, lookup->database, err) != 0 || dbjson_end(&rows, "@j", &param, err) != 0)
		goto out;
	name = buf_text(&jtl);
	buf_addf(&sql, sql_components, name, buf_text(&warehouses), name, name, name);
	read.sql = buf_text(&sql);
	if (buf_check(&sql, "bundle statement", err) != 0)
		goto out;
	if (db_query(db, &read, NULL, err) != 0) {
		jtl_error(err, lookup->database);
		goto out;
	}
	rc = 0;
out:
	dbjson_release(&rows);
	buf_release(&warehouses);
	buf_release(&jtl);
	buf_release(&sql);
	return rc;
}
