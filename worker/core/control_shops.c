/* Commands about a shop: its gate, its quarantine, its lease. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define QUARANTINE_LIST_LIMIT 200
#define QUARANTINE_JSON_MAX (4 * 6 * QUARANTINE_TEXT_MAX + 1024) /* its texts, escaped */

/* 0 with the shop's number, or -1 with UNKNOWN_SHOP. */
static int
get_shop(const struct control *control, const struct json *args, int64_t *shop, struct err *err)
{
	*shop = json_get_int64(args, "shop", 0);
	if (settings_shop(control->config.settings, *shop) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SHOP", "no shop %lld in the configuration", (long long)*shop);
	return 0;
}

int
command_gate_set(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	int64_t shop;
	const char *writes = json_get_string(args, "writes", "");
	enum gate gate, was;
	if (get_shop(control, args, &shop, err) != 0)
		return -1;
	if (gate_parse(writes, &gate) != 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field writes: \"%s\" is none of off, stock, orders, all", writes);
	if (journal_gate_set(control->config.journal, shop, gate, json_get_string(args, "reason", ""), json_get_string(args, "who", ""),
	                     &was, err) != 0)
		return -1;
	log_info("writes of shop %lld: %s -> %s", (long long)shop, gate_name(was), gate_name(gate));
	json_add_int64(data, "shop", shop);
	json_add_string(data, "writes", gate_name(gate));
	json_add_string(data, "was", gate_name(was));
	return 0;
}

int
command_shop_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	const struct settings *settings = control->config.settings;
	struct journal *journal = control->config.journal;
	const struct control_shops *known = &control->config.shops;
	json_array_open(data, "shops");
	for (size_t i = 0; i < settings->shop_count; i++) {
		int64_t shop = settings->shops[i].id;
		json_object_open(data, NULL);
		json_add_int64(data, "id", shop);
		json_add_string(data, "name", settings->shops[i].name);
		json_add_string(data, "writes", gate_name(journal_gate(journal, shop)));
		json_add_int64(data, "quarantined", journal_quarantine_count(journal, shop));
		if (known->add != NULL)
			known->add(known->arg, shop, data);
		json_object_close(data);
	}
	json_array_close(data);
	return 0;
}

/* --- quarantine ----------------------------------------------------------------------------------------------------- */

static void
add_id(struct buf *out, const char *name, int64_t id)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)id);
	json_add_string(out, name, text);
}

/* A SKU id as text: digits of a number that fits. What may be left out is 0 then. */
static int
get_sku_id(const struct json *args, const char *name, int64_t *out, struct err *err)
{
	const char *text = json_get_string(args, name, "");
	char *end;
	errno = 0;
	*out = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || *out < 0 || (text[0] != '\0' && (text[0] < '0' || text[0] > '9')))
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field %s: \"%s\" is no SKU id", name, text);
	return 0;
}

struct quarantine_listing {
	struct buf *data;
	int64_t left, last;
	bool more;
};

static bool
list_entry(const struct quarantine_record *record, void *arg)
{
	struct quarantine_listing *listing = arg;
	struct buf *data = listing->data;
	if (listing->left == 0 || !control_room(data, QUARANTINE_JSON_MAX)) {
		listing->more = true;
		return false;
	}
	json_object_open(data, NULL);
	add_id(data, "sku_id", record->sku_id);
	add_id(data, "goods_id", record->goods_id);
	json_add_string(data, "sku", record->sku);
	json_add_int64(data, "refusals", record->refusals);
	json_add_string(data, "code", record->code);
	json_add_string(data, "text", record->text);
	json_add_string(data, "request_id", record->request_id);
	json_add_time(data, "first", record->first_ms);
	json_add_time(data, "last", record->last_ms);
	json_add_time(data, "since", record->since_ms);
	json_add_time(data, "next_try", record->next_ms);
	json_object_close(data);
	listing->last = record->sku_id;
	listing->left--;
	return true;
}

int
command_quarantine_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct journal *journal = control->config.journal;
	int64_t limit = json_get_int64(args, "limit", 0), shop, after;
	struct quarantine_listing listing = { .data = data, .left = limit > 0 ? limit : QUARANTINE_LIST_LIMIT };
	size_t before = data->len;
	if (get_shop(control, args, &shop, err) != 0 || get_sku_id(args, "after", &after, err) != 0)
		return -1;
	json_add_int64(data, "shop", shop);
	json_add_int64(data, "quarantined", journal_quarantine_count(journal, shop));
	json_array_open(data, "items");
	if (journal_quarantine_list(journal, shop, false, after, listing.left + 1, list_entry, &listing, err) != 0) {
		data->len = before;
		return -1;
	}
	json_array_close(data);
	if (listing.more)
		add_id(data, "next", listing.last);
	else
		json_add_null(data, "next");
	return 0;
}

int
command_quarantine_free(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct journal *journal = control->config.journal;
	int64_t shop, sku_id;
	if (get_shop(control, args, &shop, err) != 0 || get_sku_id(args, "sku_id", &sku_id, err) != 0)
		return -1;
	int done = journal_quarantine_free(journal, shop, sku_id, json_get_string(args, "who", ""), err);
	if (done < 0)
		return -1;
	if (done == 0)
		return err_set(err, ERR_PERM, "NOT_QUARANTINED", "SKU %lld of shop %lld is not in quarantine", (long long)sku_id, (long long)shop);
	json_add_int64(data, "shop", shop);
	add_id(data, "sku_id", sku_id);
	json_add_int64(data, "quarantined", journal_quarantine_count(journal, shop));
	return 0;
}

/* --- lease ---------------------------------------------------------------------------------------------------------- */

int
command_lease_take(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	const struct control_shops *known = &control->config.shops;
	const char *from = json_get_string(args, "from", ""), *who = json_get_string(args, "who", "");
	const char *reason = json_get_string(args, "reason", "");
	int64_t shop;
	if (get_shop(control, args, &shop, err) != 0)
		return -1;
	if (known->lease_take == NULL)
		return err_set(err, ERR_PERM, "LEASE_NOT_FOREIGN", "there are no leases here");
	if (known->lease_take(known->arg, shop, from, who, reason, err) != 0)
		return -1;
	log_warning("shop %lld is to be taken over from installation %s%s%s%s%s", (long long)shop, from, who[0] ? ", by " : "", who,
	            reason[0] ? ": " : "", reason);
	json_add_int64(data, "shop", shop);
	json_add_string(data, "from", from);
	json_add_string(data, "state", "asked");
	return 0;
}
