/* The data file and the state file of gw_shops.h.
 *
 * Data: {"shops":[{"mall_id":1,"region":"eu","app_key":"..","app_secret":"..","access_token":"..","scopes":["bg..."],
 *   "expires":"2027-01-31","goods":[{"goods_id":601099512345678,"name":"..","skus":[{"sku_id":1,"sku_sn":"ART-1",
 *   "stock":5,"status":2,"price":"19.99","currency":"EUR","created":1700000000}]}]}]}; status 2 active, 3 inactive.
 * State holds only what differs from it and no credentials; its journal has one line per change, each like a shop of the state. Everything in memory is gw_shops.c. */
#include "ecosystem/sandbox/gateway/gw_shops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/json.h"

#define FILE_MAX ((size_t)256 << 20)

static int read_whole(const char *path, struct buf *out, struct err *err)
{
	FILE *file = fopen(path, "re");
	char part[65536];
	size_t n;
	int bad;

	if (!file)
		return err_set_number(err, ERR_PERM, "FILE", errno, "%s: %s", path, strerror(errno));
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(out, part, n);
	bad = ferror(file);
	fclose(file);
	if (bad)
		return err_set(err, ERR_PERM, "FILE", "%s: cannot be read", path);
	return buf_check(out, path, err);
}

int gw_shops_load(struct gw_shops *shops, const char *path, struct err *err)
{
	struct buf text;
	int rc = -1;

	buf_init(&text, FILE_MAX);
	if (read_whole(path, &text, err) != 0)
		goto out;
	if (gw_shops_parse(shops, buf_text(&text), text.len, err) != 0) {
		err_context(err, "%s", path);
		goto out;
	}
	rc = 0;
out:
	buf_release(&text);
	return rc;
}

static void save_sku(const struct gw_sku *sku, struct buf *out)
{
	json_object_open(out, NULL);
	json_add_int64(out, "sku_id", sku->sku_id);
	json_add_int64(out, "stock", sku->stock);
	json_add_int64(out, "presale", sku->presale);
	json_add_int64(out, "edits", sku->edits);
	json_add_int64(out, "status", sku->status);
	json_add_int64(out, "removed", sku->removed);
	if (sku->last_key)
		json_add_string(out, "last_key", sku->last_key);
	if (sku->added) {
		json_add_int64(out, "goods_id", sku->goods_id);
		json_add_string(out, "name", sku->goods_name);
		json_array_open(out, "skus");
		json_object_open(out, NULL);
		json_add_int64(out, "sku_id", sku->sku_id);
		json_add_string(out, "sku_sn", sku->sku_sn);
		json_add_int64(out, "status", sku->status);
		json_add_string(out, "price", sku->price);
		json_add_string(out, "currency", sku->currency);
		json_add_int64(out, "created", sku->crt_time);
		json_object_close(out);
		json_array_close(out);
	}
	json_object_close(out);
}

static void save_shop(const struct gw_shop *shop, struct buf *out)
{
	json_object_open(out, NULL);
	json_add_int64(out, "mall_id", shop->mall_id);
	json_array_open(out, "skus");
	for (size_t i = 0; i < shop->count; i++)
		save_sku(shop->skus[i], out);
	json_array_close(out);
	json_array_open(out, "keys");
	for (size_t i = 0; i < GW_KEY_SLOTS; i++)
		for (const struct gw_key *k = shop->keys[i]; k; k = k->next)
			json_add_string(out, NULL, k->text);
	json_array_close(out);
	json_object_close(out);
}

int gw_shops_save(const struct gw_shops *shops, const char *path, struct err *err)
{
	char beside[4096];
	struct buf out;
	FILE *file;
	int rc = -1;

	buf_init(&out, FILE_MAX);
	snprintf(beside, sizeof(beside), "%.4000s.new", path);
	json_object_open(&out, NULL);
	json_array_open(&out, "shops");
	for (size_t i = 0; i < shops->count; i++)
		save_shop(shops->shops[i], &out);
	json_array_close(&out);
	json_object_close(&out);
	if (buf_check(&out, "state", err) != 0)
		goto out;
	file = fopen(beside, "we");
	if (!file) {
		err_set(err, ERR_PERM, "FILE", "%s: %s", beside, strerror(errno));
		goto out;
	}
	rc = fwrite(out.data, 1, out.len, file) == out.len ? 0 : -1;
	rc = fclose(file) == 0 && rc == 0 && rename(beside, path) == 0 ? 0 : -1;
	if (rc == 0 && shops->journal > 0)
		rc = ftruncate(shops->journal, 0);
	if (rc != 0)
		err_set(err, ERR_PERM, "FILE", "%s: %s", path, strerror(errno));
out:
	buf_release(&out);
	return rc;
}

static int restore_sku(struct gw_shop *shop, const struct gw_value *row, struct err *err)
{
	int64_t sku_id = gw_get_int64(row, "sku_id", 0), status;
	const char *key = gw_get_string(row, "last_key", NULL);
	struct gw_sku *sku = gw_shop_sku(shop, sku_id);

	if (!sku && gw_get(row, "skus") && !gw_shop_knows(shop, sku_id)) {
		if (gw_shop_add_goods(shop, row, true, err) != 0)
			return -1;
		sku = gw_shop_sku(shop, sku_id);
	}
	if (!sku)
		return 0; /* the data file no longer has it */
	sku->stock = gw_get_int64(row, "stock", sku->stock);
	sku->presale = gw_get_int64(row, "presale", 0);
	sku->edits = gw_get_int64(row, "edits", 0);
	status = gw_get_int64(row, "status", sku->status);
	if (status == GW_ACTIVE || status == GW_INACTIVE)
		sku->status = (int)status;
	shop->listed_valid = false;
	if (key) {
		free(sku->last_key);
		sku->last_key = strdup(key);
	}
	if (gw_get_int64(row, "removed", 0))
		gw_shop_remove(shop, sku);
	return 0;
}

/* What one shop's object of the state or of a line of the journal says. */
static int restore_shop(struct gw_shops *shops, const struct gw_value *row, struct err *err)
{
	struct gw_shop *shop = gw_shops_by_mall(shops, gw_get_int64(row, "mall_id", -1));
	const struct gw_value *skus = gw_get(row, "skus"), *keys = gw_get(row, "keys");

	for (const struct gw_value *s = shop && skus ? skus->first : NULL; s; s = s->next)
		if (restore_sku(shop, s, err) != 0)
			return -1;
	for (const struct gw_value *k = shop && keys ? keys->first : NULL; k; k = k->next)
		if (gw_string(k) && !gw_shop_key_seen(shop, k->text))
			gw_shop_key_add(shop, k->text);
	return 0;
}

/* Reads a file that may not exist. */
static int read_optional(const char *path, struct buf *out, struct err *err)
{
	struct err own = ERR_INIT;

	if (read_whole(path, out, &own) == 0 || own.number == ENOENT)
		return 0;
	return err_set_number(err, own.class, own.code, own.number, "%s", own.text);
}

static int restore_state(struct gw_shops *shops, const char *path, struct err *err)
{
	struct gw_doc doc = { .root = NULL };
	const struct gw_value *rows;
	struct buf text;
	int rc = -1;

	buf_init(&text, FILE_MAX);
	if (read_optional(path, &text, err) != 0)
		goto out;
	if (text.len > 0 && gw_doc_parse(&doc, buf_text(&text), text.len, err) != 0) {
		err_context(err, "%s", path);
		goto out;
	}
	rows = gw_get(doc.root, "shops");
	for (const struct gw_value *row = rows ? rows->first : NULL; row; row = row->next)
		if (restore_shop(shops, row, err) != 0)
			goto out;
	rc = 0;
out:
	gw_doc_release(&doc);
	buf_release(&text);
	return rc;
}

static void journal_path(const char *path, char *out, size_t size)
{
	snprintf(out, size, "%.4000s.journal", path);
}

/* Line by line; a last one without its end was cut by a kill before anything was confirmed. */
static int restore_journal(struct gw_shops *shops, const char *path, struct err *err)
{
	char beside[4096];
	struct buf text;
	int rc = -1;

	buf_init(&text, FILE_MAX);
	journal_path(path, beside, sizeof(beside));
	if (read_optional(beside, &text, err) != 0)
		goto out;
	for (const char *line = buf_text(&text), *end; (end = strchr(line, '\n')); line = end + 1) {
		struct gw_doc doc;

		rc = gw_doc_parse(&doc, line, (size_t)(end - line), err);
		rc = rc == 0 ? restore_shop(shops, doc.root, err) : rc;
		gw_doc_release(&doc);
		if (rc != 0) {
			err_context(err, "%s", beside);
			goto out;
		}
	}
	rc = 0;
out:
	buf_release(&text);
	return rc;
}

int gw_shops_restore(struct gw_shops *shops, const char *path, struct err *err)
{
	return restore_state(shops, path, err) != 0 ? -1 : restore_journal(shops, path, err);
}

/* --- the journal --- */

int gw_shops_journal_begin(struct gw_shops *shops, const char *path, struct err *err)
{
	char beside[4096];
	struct stat st;

	journal_path(path, beside, sizeof(beside));
	if (stat(beside, &st) == 0 && st.st_size > 0 && gw_shops_save(shops, path, err) != 0)
		return -1;
	shops->journal = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (shops->journal < 0) {
		shops->journal = 0;
		return err_set_number(err, ERR_PERM, "FILE", errno, "%s: %s", beside, strerror(errno));
	}
	return 0;
}

void gw_shops_note(const struct gw_shops *shops, const struct gw_shop *shop, struct gw_sku *const *skus, size_t count,
                   const char *key)
{
	struct buf line;

	if (shops->journal <= 0)
		return;
	buf_init(&line, FILE_MAX);
	json_object_open(&line, NULL);
	json_add_int64(&line, "mall_id", shop->mall_id);
	json_array_open(&line, "skus");
	for (size_t i = 0; i < count; i++)
		save_sku(skus[i], &line);
	json_array_close(&line);
	json_array_open(&line, "keys");
	if (key && key[0])
		json_add_string(&line, NULL, key);
	json_array_close(&line);
	json_object_close(&line);
	buf_add_char(&line, '\n');
	if (line.failed || write(shops->journal, line.data, line.len) != (ssize_t)line.len) {
		fprintf(stderr, "sandbox-gateway: the journal cannot be written: %s\n", strerror(errno));
		abort();
	}
	buf_release(&line);
}
