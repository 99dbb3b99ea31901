/* Step fetch: the complete catalogue of TEMU into memory. An incomplete one ends the run before anything is written. */
#include <inttypes.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/jobs/inventory_sync.h"
#include "worker/jobs/sync.h"
#include "worker/temu/temu_stock.h"

#define LINES_MAX 20 /* warnings of one kind in the log */
#define PROGRESS_EVERY 500
#define EMPTY_CODE "CATALOGUE_EMPTY"
#define EMPTY_AGAIN_MS 600000 /* an empty shop is believed when it was empty so long ago too */
#define EMPTY_LOOK_BACK 200   /* runs */
#define KNOWN_LEAST 5         /* listings the ledger must hold before none of them coming back means anything */
#define EMPTY_SHOP                                                                                                               \
	"TEMU shows no SKU at all, and did so at least %d minutes ago: the shop is taken for empty, its listings are left alone. Is " \
	"this the right shop, and are they gone at TEMU?"

struct fetching {
	struct sync *sync;
	struct catalogue catalogue;
	struct err failed; /* memory gave out where no error can be returned */
};

static int take_sku(const struct temu_sku *sku, void *arg, struct err *err)
{
	struct fetching *f = arg;
	struct catalogue_entry entry = { .sku_id = sku->sku_id, .goods_id = sku->goods_id, .stock = sku->stock };

	entry.sku = (char *)(uintptr_t)sku->sku_sn; /* copied by catalogue_add */
	entry.name = (char *)(uintptr_t)sku->goods_name;
	if (f->catalogue.count % PROGRESS_EVERY == 0)
		run_progress(f->sync->run, (int64_t)f->catalogue.count, 0);
	return catalogue_add(&f->catalogue, &entry, err);
}

static void take_bad(const struct temu_bad_row *row, void *arg)
{
	struct fetching *f = arg;
	struct catalogue_entry entry = { .sku_id = row->sku_id, .goods_id = row->goods_id, .bad = true };

	if (f->sync->figures.bad_rows++ < LINES_MAX)
		log_warning("TEMU list %d, page %" PRId64 ", row %d, SKU %" PRId64 " \"%s\": %s%s", row->filter, row->page,
		            row->row, row->sku_id, row->sku_sn, row->what, row->handed ? "" : "; left out");
	if (row->handed)
		return;
	if (row->sku_id == 0)
		f->catalogue.nameless++;
	else if (f->failed.class == ERR_NONE)
		(void)!catalogue_add(&f->catalogue, &entry, &f->failed);
}

static void take_gone(int64_t sku_id, void *arg)
{
	struct fetching *f = arg;
	struct catalogue_entry entry = { .sku_id = sku_id, .gone = true };

	if (f->failed.class == ERR_NONE)
		(void)!catalogue_add(&f->catalogue, &entry, &f->failed);
}

static int64_t count_active(const struct listings *list)
{
	int64_t active = 0;

	for (size_t i = 0; i < list->count; i++)
		active += list->items[i].was_active;
	return active;
}

struct empty_search {
	const char *self;
	int64_t now_ms;
	bool found;
};

static bool read_something(const struct run_record *run)
{
	struct err ignored = ERR_INIT;
	struct json *result = run->result ? json_parse(run->result, strlen(run->result), &ignored) : NULL;
	bool full = strcmp(json_get_string(result, "mode", ""), "full") == 0;
	bool seen = json_get_int64(result, "seen", 0) > 0;

	json_free(result);
	return full && seen;
}

/* Newest first, until a run read something after all. */
static bool take_earlier_run(const struct run_record *run, void *arg)
{
	struct empty_search *search = arg;

	if (strcmp(run->id, search->self) == 0)
		return true;
	search->found = strcmp(run->error_code, EMPTY_CODE) == 0 && run->finished_ms != 0 &&
	                search->now_ms - run->finished_ms >= EMPTY_AGAIN_MS;
	return !search->found && !read_something(run);
}

/* 0: the empty catalogue is believed, since an earlier run found it empty too, and none since found anything: all listings are left
 * alone from then on. */
static int believe_empty(struct sync *sync, struct err *err)
{
	struct empty_search search = { .self = run_id(sync->run), .now_ms = clock_now_ms() };
	struct run_filter filter = {
		.job = inventory_sync_job.id, .shop = sync->shop->id, .state = -1, .before = "", .limit = EMPTY_LOOK_BACK
	};

	if (journal_run_list(sync->env->journal, &filter, take_earlier_run, &search, err) != 0)
		return -1;
	if (search.found) {
		if (sync->dry)
			log_warning(EMPTY_SHOP, EMPTY_AGAIN_MS / 60000);
		else
			run_alarm(sync->run, "SHOP_EMPTY", EMPTY_SHOP, EMPTY_AGAIN_MS / 60000);
		return 0;
	}
	return err_set(err, ERR_TEMP, EMPTY_CODE,
	               "TEMU shows no SKU at all, the ledger holds %" PRId64 " active ones: not believed before a run at least %d minutes "
	               "later finds the same",
	               count_active(&sync->list), EMPTY_AGAIN_MS / 60000);
}

/* A shop's listings do not all change at once: with another shop's access token they do, and then the ledger says nothing about them. */
static int check_same_shop(struct sync *sync, int64_t known, int64_t read, struct err *err)
{
	for (size_t i = 0; i < sync->list.count; i++)
		if (sync->list.items[i].active && sync->list.items[i].was_active)
			return 0;
	if (known < KNOWN_LEAST || read == 0)
		return 0;
	err_set(err, ERR_PERM, "CATALOGUE_OTHER",
	        "TEMU shows %" PRId64 " SKUs and not one of the %" PRId64 " that shop %" PRId64 " had: is shops[].access_token that of another "
	        "shop? Nothing was stored or sent. A shop that really began anew is configured with a new shops[].id",
	        read, known, sync->shop->id);
	if (!sync->dry)
		run_alarm(sync->run, err->code, "%s", err->text);
	return -1;
}

static int merge(struct fetching *f, const struct temu_catalogue *read, struct err *err)
{
	struct sync *sync = f->sync;
	int64_t known = count_active(&sync->list);

	if (f->failed.class != ERR_NONE) {
		*err = f->failed;
		return -1;
	}
	if (read->skus == 0 && known > 0 && believe_empty(sync, err) != 0)
		return -1;
	if (listings_merge(&sync->list, &f->catalogue, clock_now_ms(), err) != 0)
		return -1;
	return check_same_shop(sync, known, read->skus, err);
}

int sync_fetch(struct sync *sync, struct err *err)
{
	int64_t deadline = run_deadline_mono_ms(sync->run);
	struct temu_limits limits = { .cancelled = run_stopping,
		                      .arg = sync->run,
		                      .deadline_ms = deadline == INT64_MAX ? 0 : deadline };
	struct fetching f = { .sync = sync, .failed = ERR_INIT };
	struct temu_catalogue_request request = {
		.page_size = sync->env->settings->temu_page_size,
		.sku = take_sku,
		.bad = take_bad,
		.gone = take_gone,
		.arg = &f,
		.limits = &limits,
	};
	struct temu_catalogue read = { .skus = 0 };
	int rc = temu_catalogue_read(sync->temu, &request, &read, err);

	if (rc == 0)
		rc = merge(&f, &read, err);
	if (rc == 0) {
		sync->figures.seen = read.skus;
		run_progress(sync->run, read.skus, read.skus);
		log_info("TEMU has %" PRId64 " SKUs: %" PRId64 " on sale, %" PRId64 " not; %" PRId64 " pages%s", read.skus,
		         read.active, read.inactive, read.pages,
		         read.rereads ? ", lists changed meanwhile and were read again" : "");
	}
	catalogue_release(&f.catalogue);
	return rc;
}
