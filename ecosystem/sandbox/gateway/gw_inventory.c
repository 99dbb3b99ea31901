/* The methods: strict types first, then the rules of temu_api.md section 5, then the faults that bend the content.
 * Envelope, signature, permission and rate are done before (gw_router.c). */
#include "ecosystem/sandbox/gateway/gw_inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"

#define PAGE_MAX 100
#define SKUS_MAX 100000

enum kind { INT, LONG, STR, LONGS, INTS, STRS, ROWS };
struct field {
	const char *name;
	enum kind kind;
};

static const char *const kind_names[] = { "INT", "LONG", "STRING", "LONG[]", "INT[]", "STRING[]", "OBJECT[]" };

static bool is_kind(const struct gw_value *value, enum kind kind)
{
	int64_t number;

	switch (kind) {
	case INT:
		return gw_int64(value, &number) == 0 && number >= INT32_MIN && number <= INT32_MAX;
	case LONG:
		return gw_int64(value, &number) == 0;
	case STR:
		return value->type == GW_STRING;
	case LONGS:
	case INTS:
	case STRS:
	case ROWS:
		return value->type == GW_ARRAY;
	}
	return false;
}

/* The JSON type of every field that is there; null counts as absent. path is put in front of the names in the text. */
static int check_fields(const struct gw_value *body, const struct field *fields, size_t count, const char *path,
                        struct gw_answer *answer)
{
	for (size_t i = 0; i < count; i++) {
		const struct gw_value *value = gw_get(body, fields[i].name);
		enum kind item = fields[i].kind == LONGS ? LONG : fields[i].kind == INTS ? INT : STR;
		int index = 0;

		if (!value || value->type == GW_NULL)
			continue;
		if (!is_kind(value, fields[i].kind))
			return gw_answer_error(answer, GW_BAD_PARAMS, "bad params: `%s%s` must be %s", path, fields[i].name,
			                       kind_names[fields[i].kind]);
		if (value->type != GW_ARRAY || fields[i].kind == ROWS)
			continue;
		for (const struct gw_value *v = value->first; v; v = v->next, index++)
			if (!is_kind(v, item))
				return gw_answer_error(answer, GW_BAD_PARAMS, "bad params: `%s%s[%d]` must be %s", path,
				                       fields[i].name, index, kind_names[item]);
	}
	return 0;
}

static bool has(const struct gw_value *list, int64_t id)
{
	int64_t number;

	for (const struct gw_value *v = list ? list->first : NULL; v; v = v->next)
		if (gw_int64(v, &number) == 0 && number == id)
			return true;
	return false;
}

static void add_id(struct buf *out, const char *name, int64_t id, const struct gw_fault *fault)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)id);
	if (fault->kind == GW_FAULT_ids_as_strings)
		json_add_string(out, name, text);
	else
		json_add_int64(out, name, id);
}

/* --- bg.local.goods.sku.list.query (5.1) --- */

static void print_sku(const struct gw_sku *sku, bool zero, const struct gw_fault *fault, struct buf *out)
{
	int64_t stock = clock_mono_ms() < sku->shown_until ? sku->shown_stock : sku->stock;
	char changed[32];

	snprintf(changed, sizeof(changed), "%lld", (long long)sku->crt_time * 1000);
	json_object_open(out, NULL);
	add_id(out, "goodsId", sku->goods_id, fault);
	add_id(out, "skuId", sku->sku_id, fault);
	json_add_string(out, "skuSn", sku->sku_sn);
	json_add_int64(out, "stock", zero ? 0 : stock);
	json_add_string(out, "goodsName", sku->goods_name);
	json_add_string(out, "specName", "");
	json_add_string(out, "thumbUrl", NULL);
	json_add_string(out, "price", sku->price);
	json_add_string(out, "currency", sku->currency);
	json_object_open(out, "retailPrice");
	json_add_string(out, "amount", sku->price);
	json_add_string(out, "currency", sku->currency);
	json_object_close(out);
	json_add_int64(out, "status4VO", sku->status);
	json_add_int64(out, "subStatus4VO", sku->status == GW_ACTIVE ? 8 : 2);
	json_add_int64(out, "skuShowSubStatus4VO", sku->status == GW_ACTIVE ? 2001 : 3002);
	json_add_int64(out, "goodsIsOnSale", sku->status == GW_ACTIVE);
	json_add_int64(out, "crtTime", sku->crt_time);
	json_add_string(out, "skuStatusChangeTime", changed);
	json_array_open(out, "specList");
	json_array_close(out);
	json_add_int64(out, "lowTrafficTag", 2);
	json_add_int64(out, "restrictedTrafficTag", 2);
	json_object_close(out);
}

struct choice {
	struct gw_sku **rows; /* borrowed from the shop, or `own` */
	struct gw_sku **own;
	size_t count;
};

static bool matches(const struct gw_sku *sku, const struct gw_value *body)
{
	const struct gw_value *ids = gw_get(body, "skuIdList");
	const char *search = gw_get_string(body, "searchText", "");
	int64_t created_ms = sku->crt_time * 1000;
	char goods[32];

	if (ids && ids->first && !has(ids, sku->sku_id))
		return false;
	if (created_ms < gw_get_int64(body, "crtFrom", 0) || created_ms > gw_get_int64(body, "crtTo", INT64_MAX))
		return false;
	snprintf(goods, sizeof(goods), "%lld", (long long)sku->goods_id);
	return search[0] == '\0' || strstr(sku->goods_name, search) || strcmp(search, sku->sku_sn) == 0 ||
	       strcmp(search, goods) == 0;
}

static int by_goods(const void *a, const void *b)
{
	const struct gw_sku *const *l = a, *const *r = b;

	return (*l)->goods_id < (*r)->goods_id ? -1 : (*l)->goods_id > (*r)->goods_id;
}

static int by_quantity(const void *a, const void *b)
{
	const struct gw_sku *const *l = a, *const *r = b;

	return (*l)->stock < (*r)->stock ? -1 : (*l)->stock > (*r)->stock;
}

static int by_goods_name(const void *a, const void *b)
{
	const struct gw_sku *const *l = a, *const *r = b;

	return strcmp((*l)->goods_name, (*r)->goods_name);
}

static int by_created(const void *a, const void *b)
{
	const struct gw_sku *const *l = a, *const *r = b;

	return (*l)->crt_time < (*r)->crt_time ? -1 : (*l)->crt_time > (*r)->crt_time;
}

static void order(struct choice *choice, const struct gw_value *body)
{
	const char *field = gw_get_string(body, "orderField", "createTime");

	qsort(choice->own, choice->count, sizeof(struct gw_sku *),
	      strcmp(field, "goodsId") == 0     ? by_goods
	      : strcmp(field, "quantity") == 0  ? by_quantity
	      : strcmp(field, "goodsName") == 0 ? by_goods_name
	                                        : by_created);
	if (gw_get_int64(body, "orderType", 0) != 0)
		return;
	for (size_t i = 0, j = choice->count; i + 1 < j; i++) {
		struct gw_sku *swap = choice->own[i];

		choice->own[i] = choice->own[--j];
		choice->own[j] = swap;
	}
}

static bool is_plain(const struct gw_value *body)
{
	static const char *const bending[] = { "skuIdList", "searchText", "crtFrom", "crtTo", "orderField", "orderType" };

	for (size_t i = 0; i < sizeof(bending) / sizeof(bending[0]); i++)
		if (gw_get(body, bending[i]))
			return false;
	return true;
}

/* The rows of the filter. 2 and 3 by status, 7 both, everything else nothing (observed, 5.1). */
static void choose(struct gw_shop *shop, const struct gw_value *body, int64_t filter, struct choice *out)
{
	size_t counts[2] = { 0, 0 };
	struct gw_sku **lists[2] = { NULL, NULL };

	*out = (struct choice){ .count = 0 };
	if (filter == GW_ACTIVE || filter == 7)
		lists[0] = gw_shop_listed(shop, GW_ACTIVE, &counts[0]);
	if (filter == GW_INACTIVE || filter == 7)
		lists[1] = gw_shop_listed(shop, GW_INACTIVE, &counts[1]);
	if (is_plain(body) && filter != 7) {
		out->rows = lists[0] ? lists[0] : lists[1];
		out->count = counts[0] + counts[1];
		return;
	}
	out->own = calloc(counts[0] + counts[1] + 1, sizeof(struct gw_sku *));
	if (!out->own)
		abort();
	out->rows = out->own;
	for (int list = 0; list < 2; list++)
		for (size_t i = 0; i < counts[list]; i++)
			if (matches(lists[list][i], body))
				out->own[out->count++] = lists[list][i];
	if (gw_get(body, "orderField") || gw_get(body, "orderType"))
		order(out, body);
}

static int list_page(const struct gw_value *body, int64_t *page, int64_t *size, int64_t *filter, struct gw_answer *answer)
{
	static const struct field fields[] = {
		{ "pageNo", INT }, { "pageSize", INT }, { "skuSearchType", INT }, { "skuStatusFilterType", INT },
		{ "skuSubStatusFilterType", INT }, { "statusFilterType", INT }, { "searchText", STR }, { "skuIdList", LONGS },
		{ "catIdList", LONGS }, { "orderField", STR }, { "orderType", INT }, { "crtFrom", LONG }, { "crtTo", LONG },
		{ "skuStatusChangeTimeFrom", LONG }, { "skuStatusChangeTimeTo", LONG }, { "goodsSearchTags", INTS },
	};

	if (check_fields(body, fields, sizeof(fields) / sizeof(fields[0]), "", answer) != 0)
		return -1;
	*page = gw_get_int64(body, "pageNo", 1);
	*size = gw_get_int64(body, "pageSize", 10);
	*filter = gw_get_int64(body, "skuStatusFilterType", gw_get_int64(body, "skuSearchType", 0));
	if (*page < 1 || *size < 1 || *size > PAGE_MAX)
		return gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: pageNo or pageSize.");
	if (*filter == 0)
		return gw_answer_error(answer, 7000000, "BUSINESS_SERVICE_ERROR");
	return 0;
}

static void sku_list(struct gw *gw, struct gw_shop *shop, const struct gw_value *body, const struct gw_fault *fault,
                     struct gw_answer *answer)
{
	struct buf *out = &answer->result;
	int64_t page, size, filter, shown;
	struct choice choice;
	size_t from;

	(void)gw;
	if (list_page(body, &page, &size, &filter, answer) != 0)
		return;
	buf_addf(&answer->detail, "{\"pageNo\":%lld,\"pageSize\":%lld,\"filter\":%lld}", (long long)page, (long long)size,
	         (long long)filter);
	choose(shop, body, filter, &choice);
	shown = fault->kind == GW_FAULT_duplicate_page && page > 1 ? page - 1 : page;
	json_object_open(out, NULL);
	json_add_int64(out, "pageNo", page);
	json_add_int64(out, "total", (int64_t)choice.count + (fault->kind == GW_FAULT_total_changes ? size : 0));
	json_array_open(out, "skuList");
	from = (size_t)(shown - 1) * (size_t)size;
	if (fault->kind == GW_FAULT_empty_page)
		from = choice.count;
	for (size_t i = from; i < choice.count && i < from + (size_t)size; i++)
		print_sku(choice.rows[i], filter == 7, fault, out);
	json_array_close(out);
	json_object_close(out);
	free(choice.own);
}

/* --- bg.local.goods.stock.edit (5.3) --- */

struct edit {
	const struct gw_value *rows;
	const char *key, *number_name; /* "stockTarget" or "stockDiff" */
	int64_t goods_id;
	bool diff, presale;
	struct gw *gw;
	const char *via;
};

static int check_rows(const struct edit *edit, const char *list_name, struct gw_answer *answer)
{
	const struct field fields[] = { { "skuId", LONG }, { edit->number_name, INT } };
	int64_t floor = edit->diff ? -GW_STOCK_MAX : 0, number, sku_id, other;
	char path[64];
	int index = 0;

	for (const struct gw_value *row = edit->rows->first; row; row = row->next, index++) {
		snprintf(path, sizeof(path), "%s[%d].", list_name, index);
		if (row->type != GW_OBJECT)
			return gw_answer_error(answer, GW_BAD_PARAMS, "bad params: `%s[%d]` must be OBJECT", list_name, index);
		/* A whole number beyond 32 bits is a quantity out of range, not a type. */
		if (gw_int64(gw_get(row, edit->number_name), &number) == 0 && (number < floor || number > GW_STOCK_MAX))
			return gw_answer_error(answer, 150013002, "The stock quantity must be between 0 and 1000000.");
		if (check_fields(row, fields, 2, path, answer) != 0)
			return -1;
		if (gw_int64(gw_get(row, "skuId"), &sku_id) != 0 || gw_int64(gw_get(row, edit->number_name), &number) != 0)
			return gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: %sskuId or %s is missing.", path,
			                       edit->number_name);
		if (index >= SKUS_MAX)
			return gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: too many SKUs.");
		for (const struct gw_value *before = edit->rows->first; before != row; before = before->next)
			if (gw_int64(gw_get(before, "skuId"), &other) == 0 && other == sku_id)
				return gw_answer_error(answer, 150013001, "There are duplicate SKUs in the request.");
	}
	return 0;
}

static int check_edit(const struct gw_shop *shop, const struct gw_value *body, struct edit *edit,
                      struct gw_answer *answer)
{
	static const struct field fields[] = { { "goodsId", LONG }, { "stockType", INT }, { "skuStockTargetList", ROWS },
	                                       { "skuStockChangeList", ROWS }, { "requestUniqueKey", STR } };
	const struct gw_value *targets = gw_get(body, "skuStockTargetList"), *changes = gw_get(body, "skuStockChangeList");
	int64_t type = gw_get_int64(body, "stockType", 0);

	if (check_fields(body, fields, sizeof(fields) / sizeof(fields[0]), "", answer) != 0)
		return -1;
	targets = targets && targets->first ? targets : NULL;
	changes = changes && changes->first ? changes : NULL;
	edit->goods_id = gw_get_int64(body, "goodsId", 0);
	edit->key = gw_get_string(body, "requestUniqueKey", "");
	edit->diff = !targets;
	edit->presale = type == 1;
	edit->rows = targets ? targets : changes;
	edit->number_name = targets ? "stockTarget" : "stockDiff";
	if (targets && changes)
		return gw_answer_error(answer, 150013003, "Target stock and stock change cannot be used together.");
	if (!edit->rows || (type != 0 && type != 1) || edit->goods_id <= 0)
		return gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: goodsId, stockType or SKU list.");
	if (check_rows(edit, targets ? "skuStockTargetList" : "skuStockChangeList", answer) != 0)
		return -1;
	if (!gw_shop_has_goods(shop, edit->goods_id))
		return gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: goodsId not found.");
	return 0;
}

static void write_add(const struct edit *edit, const struct gw_shop *shop, const struct gw_sku *sku, int64_t now)
{
	struct gw_write write = { .time_ms = clock_now_ms(), .mall_id = shop->mall_id, .sku_id = sku->sku_id, .was = sku->stock, .now = now };

	snprintf(write.via, sizeof(write.via), "%s", edit->via);
	gw_writes_add(&edit->gw->writes, &write);
}

/* One SKU. NULL when it is done, otherwise why not. */
static const char *edit_sku(const struct gw_shop *shop, const struct edit *edit, const struct gw_value *row,
                            const struct gw_fault *fault, struct gw_sku **touched)
{
	struct gw_sku *sku = gw_shop_sku(shop, gw_get_int64(row, "skuId", 0));
	int64_t number = gw_get_int64(row, edit->number_name, 0);
	int64_t *stock;

	if (!sku || sku->goods_id != edit->goods_id)
		return "The SKU does not belong to this goods.";
	if (fault->kind == GW_FAULT_refuse_sku && (!fault->sku_id || fault->sku_id == sku->sku_id))
		return fault->text[0] ? fault->text : "The SKU cannot be edited at the moment.";
	stock = edit->presale ? &sku->presale : &sku->stock;
	if (edit->diff && number == 0)
		return "The stock is not changed.";
	number += edit->diff ? *stock : 0;
	if (number < 0 || number > GW_STOCK_MAX)
		return "The stock quantity must be between 0 and 1000000.";
	if (fault->kind == GW_FAULT_read_lag) {
		sku->shown_stock = sku->stock;
		sku->shown_until = clock_mono_ms() + fault->delay_ms;
	} else {
		sku->shown_until = 0;
	}
	if (!edit->presale)
		write_add(edit, shop, sku, number);
	*stock = number;
	*touched = sku;
	return NULL;
}

/* The SKUs that were changed, into touched (room for all rows). */
static bool edit_rows(const struct gw_shop *shop, const struct edit *edit, const struct gw_fault *fault, struct buf *out,
                      struct gw_sku **touched, size_t *count)
{
	int64_t code = fault->kind == GW_FAULT_refuse_sku ? fault->code : GW_BAD_REQUEST;
	bool all = true;

	*count = 0;
	for (const struct gw_value *row = edit->rows->first; row; row = row->next) {
		struct gw_sku *sku = NULL;
		const char *why = edit_sku(shop, edit, row, fault, &sku);

		if (sku) {
			sku->edits++;
			free(sku->last_key);
			sku->last_key = edit->key[0] ? strdup(edit->key) : NULL;
			touched[(*count)++] = sku;
		}
		all = all && !why;
		if (fault->kind == GW_FAULT_no_sku_status)
			continue;
		json_object_open(out, NULL);
		json_add_int64(out, "skuId", gw_get_int64(row, "skuId", 0));
		json_add_bool(out, "stockEditStatus", !why);
		json_add_int64(out, "errorCode", why ? code : GW_OK);
		json_add_string(out, "errorMsg", why ? why : "");
		json_object_close(out);
	}
	return all;
}

static void edit_detail(const struct edit *edit, struct buf *out)
{
	json_object_open(out, NULL);
	json_add_int64(out, "goodsId", edit->goods_id);
	json_add_string(out, "requestUniqueKey", edit->key);
	json_array_open(out, edit->diff ? "diffs" : "targets");
	for (const struct gw_value *row = edit->rows->first; row; row = row->next) {
		json_array_open(out, NULL);
		json_add_int64(out, NULL, gw_get_int64(row, "skuId", 0));
		json_add_int64(out, NULL, gw_get_int64(row, edit->number_name, 0));
		json_array_close(out);
	}
	json_array_close(out);
	json_object_close(out);
}

static void stock_edit(struct gw *gw, struct gw_shop *shop, const struct gw_value *body, const struct gw_fault *fault,
                       struct gw_answer *answer)
{
	struct buf *out = &answer->result;
	struct gw_sku **touched;
	struct edit edit = { .gw = gw, .via = answer->via };
	size_t rows = 0, count = 0;
	bool repeated, all = false;

	if (check_edit(shop, body, &edit, answer) != 0)
		return;
	edit_detail(&edit, &answer->detail);
	repeated = edit.key[0] && gw_shop_key_seen(shop, edit.key);
	if (repeated && gw->repeat_key_error) {
		gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: repeated requestUniqueKey.");
		return;
	}
	if (!repeated && edit.key[0])
		gw_shop_key_add(shop, edit.key);
	json_object_open(out, NULL);
	json_add_int64(out, "goodsId", edit.goods_id);
	for (const struct gw_value *row = edit.rows->first; row; row = row->next)
		rows++;
	touched = calloc(rows, sizeof(struct gw_sku *));
	if (!touched)
		abort();
	json_array_open(out, "skuStockEditStatusInfoList");
	if (!repeated)
		all = edit_rows(shop, &edit, fault, out, touched, &count);
	json_array_close(out);
	if (!repeated)
		gw_shops_note(&gw->shops, shop, touched, count, edit.key);
	free(touched);
	json_add_bool(out, "operateResult", fault->kind == GW_FAULT_wrong_operate_result ? !all : all);
	json_add_string(out, "msg", all ? "" : "Some SKUs were not changed.");
	json_object_close(out);
}

/* --- temu.local.goods.sku.stock.query (5.2) --- */

static bool has_text(const struct gw_value *list, const char *text)
{
	for (const struct gw_value *v = list ? list->first : NULL; v; v = v->next)
		if (v->type == GW_STRING && strcmp(v->text, text) == 0)
			return true;
	return false;
}

static void print_stock(const struct gw_sku *sku, const struct gw_fault *fault, struct buf *out)
{
	json_object_open(out, NULL);
	add_id(out, "goodsId", sku->goods_id, fault);
	json_array_open(out, "skuStockInfoList");
	json_object_open(out, NULL);
	add_id(out, "skuId", sku->sku_id, fault);
	json_add_string(out, "outSkuSn", sku->sku_sn);
	json_object_open(out, "selfOrdinaryStock");
	json_add_int64(out, "stockType", 0);
	json_add_int64(out, "stock", clock_mono_ms() < sku->shown_until ? sku->shown_stock : sku->stock);
	json_object_close(out);
	json_object_open(out, "selfPreSaleStock");
	json_add_int64(out, "stockType", 1);
	json_add_int64(out, "stock", sku->presale);
	json_object_close(out);
	json_object_close(out);
	json_array_close(out);
	json_object_close(out);
}

/* One stockList element per SKU; elements of one goods may repeat the goodsId. */
static void stock_query(struct gw *gw, struct gw_shop *shop, const struct gw_value *body, const struct gw_fault *fault,
                        struct gw_answer *answer)
{
	static const struct field fields[] = { { "goodsId", LONG }, { "skuIdList", LONGS }, { "outSkuSnList", STRS },
	                                       { "language", STR } };
	const struct gw_value *ids = gw_get(body, "skuIdList"), *codes = gw_get(body, "outSkuSnList");
	int64_t goods_id = gw_get_int64(body, "goodsId", 0);

	(void)gw;
	if (check_fields(body, fields, sizeof(fields) / sizeof(fields[0]), "", answer) != 0)
		return;
	if ((goods_id > 0) + (ids && ids->first) + (codes && codes->first) != 1) {
		gw_answer_error(answer, GW_BAD_REQUEST, "Invalid request parameters: one of goodsId, skuIdList, outSkuSnList.");
		return;
	}
	json_object_open(&answer->result, NULL);
	json_array_open(&answer->result, "stockList");
	for (size_t i = 0; i < shop->count; i++) {
		const struct gw_sku *sku = shop->skus[i];

		if (!sku->removed && (sku->goods_id == goods_id || has(ids, sku->sku_id) || has_text(codes, sku->sku_sn)))
			print_stock(sku, fault, &answer->result);
	}
	json_array_close(&answer->result);
	json_object_close(&answer->result);
}

/* --- bg.open.accesstoken.info.get (3.7) --- */

static void token_info(struct gw *gw, struct gw_shop *shop, const struct gw_value *body, const struct gw_fault *fault,
                       struct gw_answer *answer)
{
	int64_t year = 365LL * 86400;

	(void)body;
	(void)fault;
	json_object_open(&answer->result, NULL);
	json_add_int64(&answer->result, "mallId", shop->mall_id);
	json_add_int64(&answer->result, "mallType", 100);
	json_add_int64(&answer->result, "regionId", strcmp(shop->region, "us") == 0 ? 211 : 76);
	json_add_int64(&answer->result, "expiredTime",
	               shop->expires ? shop->expires : clock_now_ms() / 1000 + gw->clock_offset_s + year);
	json_array_open(&answer->result, "apiScopeList");
	for (size_t i = 0; i < shop->scope_count; i++)
		json_add_string(&answer->result, NULL, shop->scopes[i]);
	json_array_close(&answer->result);
	json_object_close(&answer->result);
}

static const struct gw_method methods[] = {
	{ "bg.local.goods.sku.list.query", false, sku_list },
	{ "bg.local.goods.stock.edit", false, stock_edit },
	{ "temu.local.goods.sku.stock.query", false, stock_query },
	{ "bg.open.accesstoken.info.get", true, token_info },
};

const struct gw_method *gw_method_find(const char *type)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].type, type) == 0)
			return &methods[i];
	return NULL;
}
