/* Step stock: articles and stock of every active listing from JTL in chunks, what each should offer, and both into the own
 * tables. A read that is not whole ends the run here: nothing is pushed from half a picture. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/array.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/db/inventory.h"
#include "worker/jobs/sync.h"

#define LINES_MAX 20
#define NULLS_LEAST 2    /* so many articles without a figure, */
#define NULLS_PERCENT 10 /* and more than this share of all, are no single article's trouble */
#define EMPTY_LEAST 20 /* so many listings without one article are no coincidence */

struct bundle_entry {
	int64_t bundle;
	struct bundle_facts facts;
};

/* One chunk of the look-up. */
struct chunk {
	struct sync *sync;
	struct listing **listings;
	struct jtl_key *keys;
	struct jtl_article *articles;
	size_t count;
	struct bundle_entry *bundles; /* sorted, distinct */
	int64_t *bundle_ids;
	size_t bundle_count;
};

/* --- reading --- */

static struct jtl_lookup lookup_of(const struct sync *sync)
{
	return (struct jtl_lookup){
		.database = sync->env->settings->jtl_database,
		.collation = sync->probe.collation,
		.source = wanted_source(sync->shop->formula),
		.warehouses = sync->shop->warehouses.values,
		.warehouse_count = sync->shop->warehouses.count,
	};
}

static int read_work(struct db *db, void *arg, struct err *err)
{
	struct chunk *c = arg;
	struct jtl_lookup lookup = lookup_of(c->sync);

	return jtl_stock_read(db, &lookup, c->keys, c->count, c->articles, err);
}

static int bundle_order(const void *a, const void *b)
{
	return array_order(((const struct bundle_entry *)a)->bundle, ((const struct bundle_entry *)b)->bundle);
}

static struct bundle_entry *find_bundle(const struct chunk *c, int64_t bundle)
{
	struct bundle_entry key = { .bundle = bundle };

	return c->bundle_count ? bsearch(&key, c->bundles, c->bundle_count, sizeof(key), bundle_order) : NULL;
}

static int take_component(void *arg, const struct jtl_component *component, struct err *err)
{
	struct bundle_entry *entry = find_bundle(arg, component->bundle);

	(void)err;
	if (entry)
		bundle_add(&entry->facts, component);
	return 0;
}

static int components_work(struct db *db, void *arg, struct err *err)
{
	struct chunk *c = arg;
	struct jtl_lookup lookup = lookup_of(c->sync);

	for (size_t i = 0; i < c->bundle_count; i++)
		c->bundles[i].facts = (struct bundle_facts){ .missing = 0 };
	return jtl_components_read(db, &lookup, c->bundle_ids, c->bundle_count, take_component, c, err);
}

static int read_bundles(struct chunk *c, struct err *err)
{
	size_t found = 0;

	c->bundle_count = 0;
	for (size_t i = 0; i < c->count; i++)
		if (c->articles[i].match != JTL_NONE && c->articles[i].bundle != 0)
			c->bundles[found++].bundle = c->articles[i].bundle;
	if (found == 0)
		return 0;
	qsort(c->bundles, found, sizeof(*c->bundles), bundle_order);
	for (size_t i = 0; i < found; i++)
		if (i == 0 || c->bundles[i].bundle != c->bundles[c->bundle_count - 1].bundle)
			c->bundles[c->bundle_count++] = c->bundles[i];
	for (size_t i = 0; i < c->bundle_count; i++)
		c->bundle_ids[i] = c->bundles[i].bundle;
	return sync_db(c->sync, false, 1, components_work, c, err);
}

/* --- judging one listing --- */

static void warn_article(struct sync *sync, const struct listing *item, const struct jtl_article *article)
{
	struct sync_figures *f = &sync->figures;

	if (article->match == JTL_NEAR && f->near++ < LINES_MAX)
		log_warning("SKU \"%s\" is \"%s\" in JTL: taken as the same, as JTL's collation does", item->sku, article->sku);
	if (article->doubled > 0 && !article->father && f->doubled++ < LINES_MAX)
		log_warning("SKU \"%s\": JTL returns its stock of a warehouse more than once; the smaller one counts", item->sku);
	if (article->nulls > 0 && f->nulls++ < LINES_MAX)
		log_warning("SKU \"%s\": JTL returns NULL for its stock: left as it is at TEMU", item->sku);
}

static int judge_listing(struct chunk *c, struct listing *item, const struct jtl_article *article, struct err *err)
{
	struct bundle_entry *bundle = NULL;

	if (article->match != JTL_NONE && article->bundle != 0)
		bundle = find_bundle(c, article->bundle);
	if (bundle && bundle->facts.missing > 0 && c->sync->figures.missing_components++ < LINES_MAX)
		log_warning("SKU \"%s\": %" PRId64
		            " components of the bundle have no stock row in the warehouses, so JTL's stock of the "
		            "bundle leaves them out",
		            item->sku, bundle->facts.missing);
	item->wanted = wanted_compute(c->sync->shop, article, bundle ? &bundle->facts : NULL, 0);
	if (article->match == JTL_NONE)
		return 0;
	item->article = maybe_of(article->article);
	item->buffer = maybe_of(article->buffer);
	item->doubled = article->doubled > 0 && !article->father;
	item->nulls = article->nulls > 0;
	item->missing = bundle && bundle->facts.missing > 0;
	c->sync->figures.stock_rows += article->rows;
	warn_article(c->sync, item, article);
	if (article->match == JTL_NEAR) {
		item->near = strdup(article->sku);
		if (!item->near)
			return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	}
	return 0;
}

static int read_chunk(struct chunk *c, struct err *err)
{
	if (run_check(c->sync->run, err) != 0)
		return -1;
	if (sync_db(c->sync, false, 1, read_work, c, err) != 0 || read_bundles(c, err) != 0)
		return -1;
	for (size_t i = 0; i < c->count; i++)
		if (judge_listing(c, c->listings[i], &c->articles[i], err) != 0)
			return -1;
	c->count = 0;
	return 0;
}

static int chunk_init(struct chunk *c, struct sync *sync, struct err *err)
{
	size_t size = (size_t)sync->env->settings->lookup_chunk;

	*c = (struct chunk){ .sync = sync };
	c->listings = calloc(size, sizeof(struct listing *));
	c->keys = calloc(size, sizeof(*c->keys));
	c->articles = calloc(size, sizeof(*c->articles));
	c->bundles = calloc(size, sizeof(*c->bundles));
	c->bundle_ids = calloc(size, sizeof(*c->bundle_ids));
	if (c->listings && c->keys && c->articles && c->bundles && c->bundle_ids)
		return 0;
	return err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory for a chunk of %zu keys", size);
}

static void chunk_release(struct chunk *c)
{
	free(c->listings);
	free(c->keys);
	free(c->articles);
	free(c->bundles);
	free(c->bundle_ids);
}

static int read_all(struct sync *sync, struct err *err)
{
	size_t size = (size_t)sync->env->settings->lookup_chunk;
	struct chunk c;
	int rc = chunk_init(&c, sync, err);

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		struct listing *item = &sync->list.items[i];

		if (!item->active)
			continue;
		if (item->sku[0] == '\0') {
			item->wanted = (struct wanted){ .decision = WANTED_UNMAPPED, .reason = "no_sku" };
			continue;
		}
		c.listings[c.count] = item;
		c.keys[c.count] = (struct jtl_key){ .n = (int64_t)i, .sku = item->sku };
		c.count++;
		if (c.count == size) {
			rc = read_chunk(&c, err);
			run_progress(sync->run, (int64_t)i + 1, (int64_t)sync->list.count);
		}
	}
	if (rc == 0 && c.count > 0)
		rc = read_chunk(&c, err);
	chunk_release(&c);
	return rc;
}

/* --- near misses that no collation forgives: blanks around the SKU --- */

static size_t blank_at(const char *text, size_t len, bool end)
{
	static const char nbsp[] = "\xC2\xA0";

	if (len == 0)
		return 0;
	if (end ? text[len - 1] == ' ' || text[len - 1] == '\t' : text[0] == ' ' || text[0] == '\t')
		return 1;
	return len >= 2 && memcmp(end ? text + len - 2 : text, nbsp, 2) == 0 ? 2 : 0;
}

/* The SKU without blanks around it, NULL when there are none or nothing else. The caller frees. */
static char *trimmed(const char *sku)
{
	size_t len = strlen(sku), n;
	const char *start = sku;

	while ((n = blank_at(start, len, false)) > 0) {
		start += n;
		len -= n;
	}
	while ((n = blank_at(start, len, true)) > 0)
		len -= n;
	return len > 0 && len < strlen(sku) ? strndup(start, len) : NULL;
}

static void note_blank(struct chunk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->articles[i].match == JTL_NONE)
			continue;
		if (c->sync->figures.near++ < LINES_MAX)
			log_warning("SKU \"%s\" is unknown in JTL, which has \"%s\": remove the blanks at TEMU",
			            c->listings[i]->sku, c->articles[i].sku);
		free(c->listings[i]->near);
		c->listings[i]->near = strdup(c->articles[i].sku);
	}
}

static void free_keys(struct chunk *c)
{
	for (size_t i = 0; i < c->count; i++)
		free((char *)(uintptr_t)c->keys[i].sku);
	c->count = 0;
}

static int look_again(struct sync *sync, struct err *err)
{
	size_t size = (size_t)sync->env->settings->lookup_chunk;
	struct chunk c;
	int rc = chunk_init(&c, sync, err);

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		struct listing *item = &sync->list.items[i];
		char *sku = item->active && item->wanted.decision == WANTED_UNMAPPED ? trimmed(item->sku) : NULL;

		if (!sku)
			continue;
		c.listings[c.count] = item;
		c.keys[c.count++] = (struct jtl_key){ .n = (int64_t)i, .sku = sku };
		if (c.count == size) {
			rc = sync_db(sync, false, 1, read_work, &c, err);
			if (rc == 0)
				note_blank(&c);
			free_keys(&c);
		}
	}
	if (rc == 0 && c.count > 0) {
		rc = sync_db(sync, false, 1, read_work, &c, err);
		if (rc == 0)
			note_blank(&c);
	}
	free_keys(&c);
	chunk_release(&c);
	return rc;
}

/* --- figures and items of what is left out --- */

static int judge_all(struct sync *sync, struct err *err)
{
	struct sync_figures *f = &sync->figures;
	bool mapped_before = false;
	int64_t active = 0;

	for (size_t i = 0; i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (!item->active)
			continue;
		active++;
		mapped_before = mapped_before || item->wanted_before.set;
		if (item->wanted.decision == WANTED_UNMAPPED)
			f->unmapped++;
		else
			f->mapped++;
		if (item->wanted.decision == WANTED_SKIP)
			f->skipped++;
	}
	if (f->unmapped > 0)
		log_warning("%" PRId64 " SKUs have no article in JTL and are left alone; the run's items list them", f->unmapped);
	if (!sync->full)
		f->seen = active;
	run_count(sync->run, RUN_SEEN, active);
	run_count(sync->run, RUN_SKIPPED, f->skipped + f->unmapped);
	if (f->mapped == 0 && active > 0 && (mapped_before || active >= EMPTY_LEAST))
		return err_set(err, ERR_PERM, "STOCK_EMPTY",
		               "not one of %" PRId64 " SKUs has an article in %s: is this the right database?", active,
		               sync->env->settings->jtl_database);
	return 0;
}

/* Nothing wrong is sent for them, but what is sold out among them stays for sale. */
static void tell_nulls(struct sync *sync)
{
	const struct sync_figures *f = &sync->figures;

	if (f->nulls < NULLS_LEAST || f->nulls * 100 <= NULLS_PERCENT * f->mapped)
		return;
	run_partial(sync->run);
	if (!sync->dry)
		run_alarm(sync->run, "STOCK_NULL",
		          "JTL has no figure (NULL) for the stock of %" PRId64 " of %" PRId64 " SKUs: they are left as they are at TEMU, those that "
		          "are sold out by now too. Look at the views of stock in %s",
		          f->nulls, f->mapped, sync->env->settings->jtl_database);
}

static int store_left_out(struct sync *sync, struct err *err)
{
	enum { BATCH = 500 };
	struct item_record *rows = calloc(BATCH, sizeof(*rows));
	size_t used = 0;
	int rc = rows ? 0 : err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");

	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		const struct listing *item = &sync->list.items[i];

		if (!item->active || item->wanted.decision == WANTED_STOCK)
			continue;
		rows[used++] = (struct item_record){
			.sku = item->sku,
			.sku_id = item->sku_id,
			.goods_id = item->goods_id,
			.has_from = item->known.set,
			.from = item->known.value,
			.outcome = item->wanted.decision == WANTED_SKIP ? ITEM_SKIPPED : ITEM_UNMAPPED,
			.reason = item->near && item->wanted.decision == WANTED_UNMAPPED ? "blanks" : item->wanted.reason,
			.code = "",
			.request_id = "",
			.text = item->near ? item->near : "",
		};
		if (used == BATCH) {
			rc = sync_items(sync, rows, used, err);
			used = 0;
		}
	}
	if (rc == 0)
		rc = sync_items(sync, rows, used, err);
	free(rows);
	return rc;
}

/* --- storing what is wanted --- */

struct storing {
	struct sync *sync;
	struct ledger_wanted *wanted;
	struct inventory_row *rows;
	size_t wanted_count, row_count;
};

static int store_work(struct db *db, void *arg, struct err *err)
{
	struct storing *s = arg;

	if (ledger_wanted_set(db, s->sync->shop->id, clock_now_ms(), s->wanted, s->wanted_count, err) != 0)
		return -1;
	return inventory_save(db, s->sync->shop->id, s->rows, s->row_count, err);
}

static bool inventory_differs(const struct listing *item)
{
	bool needs = !item->known.set || item->known.value != item->wanted.quantity;

	if (!maybe_equal(item->article, item->product_article))
		return true;
	if (item->wanted.decision != WANTED_STOCK)
		return false;
	return !item->inventory.set || item->jtl_stock != item->wanted.quantity || item->needs_sync != needs ||
	       (item->known.set && item->temu_stock != item->known.value);
}

static void add_listing(struct storing *s, const struct listing *item, bool old)
{
	bool stock = item->wanted.decision == WANTED_STOCK;
	struct ledger_wanted row = { .sku_id = item->sku_id };

	if (!item->active || !item->in_ledger)
		return;
	if (stock && !maybe_equal(item->wanted_before, maybe_of(item->wanted.quantity)))
		row.wanted = maybe_of(item->wanted.quantity);
	if (!maybe_equal(item->article, item->article_before))
		row.article = item->article;
	if (!item->buffer_before.set) /* a changed one waits until a plan made by it may be sent: sync_guard_accept */
		row.buffer = item->buffer;
	if (row.wanted.set || row.article.set || row.buffer.set)
		s->wanted[s->wanted_count++] = row;
	if (old && item->product.set && inventory_differs(item))
		s->rows[s->row_count++] = (struct inventory_row){
			.product = item->product.value,
			.article = item->article,
			.wanted = stock ? maybe_of(item->wanted.quantity) : (struct maybe){ .set = false },
			.known = item->known,
		};
}

static int flush(struct storing *s, struct err *err)
{
	int64_t statements = (s->wanted_count > 0) + (s->row_count > 0);
	int rc = 0;

	if (statements > 0)
		rc = run_check(s->sync->run, err) == 0 ? sync_db(s->sync, true, statements, store_work, s, err) : -1;
	s->wanted_count = s->row_count = 0;
	return rc;
}

static int store_wanted(struct sync *sync, struct err *err)
{
	size_t batch = (size_t)sync->env->settings->write_batch;
	struct storing s = { .sync = sync };
	int rc = 0;

	s.wanted = calloc(batch, sizeof(*s.wanted));
	s.rows = calloc(batch, sizeof(*s.rows));
	if (!s.wanted || !s.rows)
		rc = err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
	for (size_t i = 0; rc == 0 && i < sync->list.count; i++) {
		add_listing(&s, &sync->list.items[i], sync_may_write_old(sync));
		if (s.wanted_count == batch || s.row_count == batch)
			rc = flush(&s, err);
	}
	if (rc == 0)
		rc = flush(&s, err);
	free(s.wanted);
	free(s.rows);
	return rc;
}

/* --- the report --- */

static void take_shared(void *arg, const struct ledger_shared *shared)
{
	struct sync *sync = arg;

	report_add(&sync->report, REPORT_SHARED, shared->sku_id, shared->sku, "article %" PRId64 ", also in shop %" PRId64, shared->article,
	           shared->other_shop);
}

static int shared_work(struct db *db, void *arg, struct err *err)
{
	struct sync *sync = arg;
	int64_t count = 0;

	sync->report.lines[REPORT_SHARED].count = 0;
	if (ledger_shared(db, sync->shop->id, &count, take_shared, sync, err) != 0)
		return -1;
	sync->report.lines[REPORT_SHARED].count = count;
	return 0;
}

static int make_report(struct sync *sync, struct err *err)
{
	struct err inner = ERR_INIT;

	if (report_listings(&sync->report, &sync->list, err) != 0)
		return -1;
	if (sync->env->settings->shop_count < 2 || sync_db(sync, false, 1, shared_work, sync, &inner) == 0)
		return 0;
	if (inner.class == ERR_CANCELLED) {
		*err = inner;
		return -1;
	}
	/* A line for people is nothing to stop a run for. */
	log_warning("articles shared with other shops are left out of the report: %s", inner.text);
	sync->report.lines[REPORT_SHARED].count = 0;
	return 0;
}

int sync_stock(struct sync *sync, struct err *err)
{
	struct sync_figures *f = &sync->figures;

	if (!sync->full)
		listings_keep(&sync->list);
	if (read_all(sync, err) != 0 || judge_all(sync, err) != 0 || look_again(sync, err) != 0 || store_left_out(sync, err) != 0)
		return -1;
	tell_nulls(sync);
	if ((!sync->dry && store_wanted(sync, err) != 0) || make_report(sync, err) != 0)
		return -1;
	log_info("%" PRId64 " listings have an article, %" PRId64 " have none, %" PRId64 " are left out by a rule", f->mapped,
	         f->unmapped, f->skipped);
	return 0;
}
