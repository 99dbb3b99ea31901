/* Reading rows of TEMU's answers with all the mistrust they need. Paging is temu_catalogue.c's, grouping and sending
 * temu_push.c's. */
#include "worker/temu/temu_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "common/utf8.h"
#include "worker/temu/temu_answer.h"

#define BAD_REQUEST 150010003 /* also said about a request key that was used before (temu_api.md 10.9) */

/* --- the list -------------------------------------------------------------------------------------------------- */

int
temu_page_read(const struct json *result, struct temu_page *out, struct err *err)
{
	const struct json *list = json_get(result, "skuList");

	*out = (struct temu_page){ .rows = 0 };
	if (!json_is_object(result))
		return err_set(err, ERR_TEMP, "TEMU_GARBLED", TEMU_SKU_LIST ": the result is no object");
	if (json_int64(json_get(result, "total"), &out->total) != 0 || out->total < 0)
		return err_set(err, ERR_TEMP, "TEMU_GARBLED", TEMU_SKU_LIST ": \"total\" is missing or no number");
	if (!json_is_null(json_get(result, "pageNo")) && json_int64(json_get(result, "pageNo"), &out->number) != 0)
		return err_set(err, ERR_TEMP, "TEMU_GARBLED", TEMU_SKU_LIST ": \"pageNo\" is no number");
	/* An empty list may come as null (3.1: absent values are often null); with a total it is then an empty page. */
	if (!json_is_array(list) && !json_is_null(list))
		return err_set(err, ERR_TEMP, "TEMU_GARBLED", TEMU_SKU_LIST ": \"skuList\" is no list");
	if (json_is_array(list)) {
		out->first = json_first(list);
		out->rows = (int64_t)json_size(list);
	}
	return 0;
}

static const char *
read_ids(const struct json *row, struct temu_sku *out)
{
	const struct json *sku = json_get(row, "skuId"), *goods = json_get(row, "goodsId");
	bool sku_ok = json_int64(sku, &out->sku_id) == 0 && out->sku_id > 0;
	bool goods_ok = json_int64(goods, &out->goods_id) == 0 && out->goods_id > 0;

	if (!sku_ok)
		out->sku_id = 0;
	if (!goods_ok)
		out->goods_id = 0;
	if (!sku_ok)
		return json_is_null(sku) ? "skuId is missing" : "skuId is no id";
	if (!goods_ok)
		return json_is_null(goods) ? "goodsId is missing" : "goodsId is no id";
	return NULL;
}

static const char *
read_stock(const struct json *row, struct temu_sku *out)
{
	const struct json *stock = json_get(row, "stock");

	if (json_is_null(stock))
		return "stock is missing";
	if (json_int64(stock, &out->stock) != 0)
		return "stock is no whole number";
	if (out->stock < 0)
		return "stock is negative";
	if (out->stock > TEMU_STOCK_MAX)
		return "stock is above 1000000";
	return NULL;
}

/* U+FFFD stands for what was broken in the answer; in a genuine text it is no less broken. */
static bool
is_broken(const char *text)
{
	return strstr(text, "\xEF\xBF\xBD") != NULL;
}

/* The text of a member, "" when absent. NULL in *out: mistyped. */
static const char *
read_text(const struct json *row, const char *name)
{
	const struct json *value = json_get(row, name);
	return json_is_null(value) ? "" : json_string(value);
}

/* At most `units` UTF-16 units of text; a copy in room only when it had to be cut. */
static const char *
fit(const char *text, size_t units, char *room)
{
	size_t len = strlen(text), at = 0, used = 0;

	if (utf8_utf16_units(text, len) <= units)
		return text;
	while (at < len) {
		size_t step = utf8_sequence(text + at, len - at);
		size_t wide = step == 4 ? 2 : 1;
		if (step == 0 || used + wide > units)
			break;
		used += wide;
		at += step;
	}
	memcpy(room, text, at);
	room[at] = '\0';
	return room;
}

static const char *
read_names(const struct json *row, struct temu_names *names, struct temu_sku *out)
{
	const char *goods = read_text(row, "goodsName"), *spec = read_text(row, "specName"), *what = NULL;

	if (goods == NULL || spec == NULL)
		what = "goodsName or specName is no text";
	else if (is_broken(goods) || is_broken(spec))
		what = "goodsName or specName holds invalid characters";
	out->goods_name = fit(goods != NULL ? goods : "", TEMU_GOODS_NAME_UNITS, names->goods_name);
	out->spec_name = fit(spec != NULL ? spec : "", TEMU_SPEC_NAME_UNITS, names->spec_name);
	if (what == NULL && out->goods_name != goods)
		what = "goodsName is longer than 500 characters";
	if (what == NULL && out->spec_name != spec)
		what = "specName is longer than 200 characters";
	return what;
}

static const char *
read_sku_sn(const struct json *row, struct temu_sku *out)
{
	const char *text = read_text(row, "skuSn");

	if (text == NULL)
		return "skuSn is no text";
	if (is_broken(text))
		return "skuSn holds invalid characters";
	if (utf8_utf16_units(text, strlen(text)) > TEMU_SKU_SN_UNITS)
		return "skuSn is longer than 100 characters";
	out->sku_sn = text;
	return NULL;
}

const char *
temu_row_read(const struct json *row, struct temu_names *names, struct temu_sku *out, bool *usable)
{
	*out = (struct temu_sku){ .sku_sn = "", .goods_name = "", .spec_name = "" };
	*usable = false;
	if (!json_is_object(row))
		return "the row is no object";
	const char *ids = read_ids(row, out), *sku_sn = read_sku_sn(row, out), *stock = read_stock(row, out);
	if (ids != NULL || sku_sn != NULL || stock != NULL)
		return ids != NULL ? ids : sku_sn != NULL ? sku_sn : stock;
	*usable = true;
	return read_names(row, names, out);
}

/* --- the edit -------------------------------------------------------------------------------------------------- */

static void
decide(struct temu_stock_item *item, enum temu_stock_outcome outcome, const char *code_text, const char *reason)
{
	item->outcome = outcome;
	snprintf(item->code_text, sizeof(item->code_text), "%s", code_text);
	size_t len = utf8_cut(reason, strlen(reason), sizeof(item->reason) - 1);
	memcpy(item->reason, reason, len);
	item->reason[len] = '\0';
}

static bool
names_key(const char *text)
{
	return strcasestr(text, "requestUniqueKey") != NULL || strcasestr(text, "unique key") != NULL ||
	       strcasestr(text, "repeated request") != NULL || strcasestr(text, "duplicate request") != NULL;
}

/* The call as a whole came to nothing, or to something nobody knows. */
static void
judge_failed_call(const struct temu_call *call, struct temu_stock_item *item)
{
	item->code = call->code;
	if (call->unknown)
		decide(item, TEMU_STOCK_UNKNOWN, call->err.code, call->err.text);
	else if (call->code == BAD_REQUEST && names_key(call->err.text)) /* our keys are new: somebody repeated the request */
		decide(item, TEMU_STOCK_UNKNOWN, call->err.code, call->err.text);
	else if (call->code != 0 && call->err.class == ERR_PERM)
		decide(item, TEMU_STOCK_REFUSED, call->err.code, call->err.text);
	else
		decide(item, TEMU_STOCK_UNSENT, call->err.code, call->err.text);
}

/* What the list says about one SKU: nothing, yes, no, or both. */
struct word {
	bool yes, no, mistyped;
	const struct json *row; /* the refusing one */
};

static struct word
word_about(const struct json *list, int64_t sku_id)
{
	struct word word = { .row = NULL };

	for (const struct json *row = json_first(list); row != NULL; row = json_next(row)) {
		int64_t id;
		bool ok;
		if (json_int64(json_get(row, "skuId"), &id) != 0 || id != sku_id)
			continue;
		if (json_bool(json_get(row, "stockEditStatus"), &ok) != 0) {
			word.mistyped = true;
		} else if (ok) {
			word.yes = true;
		} else {
			word.no = true;
			word.row = row;
		}
	}
	return word;
}

static void
judge_refused(const struct temu_call *call, const struct json *row, struct temu_stock_item *item)
{
	char code_text[ERR_CODE_MAX], words[TEMU_WORDS_MAX + 1], reason[TEMU_WORDS_MAX + 100];

	item->code = json_get_int64(row, "errorCode", 0);
	snprintf(code_text, sizeof(code_text), "TEMU_%" PRId64, item->code);
	temu_words(words, json_get_string(row, "errorMsg", ""));
	snprintf(reason, sizeof(reason), "%s%" PRId64 " \"%s\"", call->lost > 0 ? "an earlier attempt may have taken effect; now " : "",
	         item->code, words);
	decide(item, call->lost > 0 ? TEMU_STOCK_UNKNOWN : TEMU_STOCK_REFUSED, code_text, reason);
}

static void
judge_sku(const struct temu_call *call, const struct json *list, bool operated, bool operate_known, struct temu_stock_item *item)
{
	struct word word = word_about(list, item->sku_id);

	item->code = call->code;
	if (!json_is_array(list) && !json_is_null(list)) {
		decide(item, TEMU_STOCK_UNKNOWN, "TEMU_STATUS", "TEMU's answer about the SKUs is no list");
		return;
	}
	if (word.yes && !word.no && !word.mistyped) {
		decide(item, TEMU_STOCK_CONFIRMED, "", "");
		item->late = call->lost > 0;
	} else if (word.no && !word.yes && !word.mistyped) {
		judge_refused(call, word.row, item);
	} else if (word.yes || word.no || word.mistyped) {
		decide(item, TEMU_STOCK_UNKNOWN, "TEMU_STATUS", "TEMU's answer about this SKU cannot be read or contradicts itself");
	} else if (json_first(list) != NULL) {
		decide(item, TEMU_STOCK_UNKNOWN, "TEMU_STATUS", "TEMU's answer names other SKUs of this call, but not this one");
	} else if (operated) { /* no SKU named at all: the word for the whole call stands in (5.3) */
		decide(item, TEMU_STOCK_CONFIRMED, "", "");
		item->late = call->lost > 0;
	} else {
		decide(item, TEMU_STOCK_UNKNOWN, "TEMU_STATUS",
		       operate_known ? "TEMU names no SKU and says that not everything was done" : "TEMU's answer says nothing about any SKU");
	}
}

void
temu_edit_judge(const struct temu_call *call, struct temu_stock_item *const items[], size_t count)
{
	const struct json *result = call->result, *list = json_get(result, "skuStockEditStatusInfoList");
	bool operated = false, operate_known = json_bool(json_get(result, "operateResult"), &operated) == 0;
	int64_t goods_id;
	bool foreign;

	/* An answer about other goods says nothing about ours. */
	foreign = !json_is_null(json_get(result, "goodsId")) &&
	          (json_int64(json_get(result, "goodsId"), &goods_id) != 0 || goods_id != items[0]->goods_id);
	for (size_t i = 0; i < count; i++) {
		snprintf(items[i]->request_id, sizeof(items[i]->request_id), "%s", call->request_id);
		items[i]->late = false;
		if (call->err.class != ERR_NONE)
			judge_failed_call(call, items[i]);
		else if (foreign)
			decide(items[i], TEMU_STOCK_UNKNOWN, "TEMU_STATUS", "TEMU's answer is about other goods");
		else
			judge_sku(call, list, operated, operate_known, items[i]);
	}
}
