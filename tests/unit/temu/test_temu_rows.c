/* Rows of the SKU list and the judgement of a stock edit, without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/utf8.h"
#include "worker/temu/temu_rows.h"

static struct json *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct json *root = json_parse(text, strlen(text), &err);

	if (root == NULL)
		fail_msg("%s: %s", text, err.text);
	return root;
}

static void
pages(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t total, number, rows;
	} rows[] = {
		{ "{\"total\":3,\"pageNo\":2,\"skuList\":[{},{}]}", 0, 3, 2, 2 },
		{ "{\"total\":\"3\",\"skuList\":[]}", 0, 3, 0, 0 },
		{ "{\"total\":0,\"pageNo\":null,\"skuList\":null}", 0, 0, 0, 0 },
		{ "{\"total\":0}", 0, 0, 0, 0 },
		{ "{\"skuList\":[]}", -1, 0, 0, 0 },
		{ "{\"total\":-1,\"skuList\":[]}", -1, 0, 0, 0 },
		{ "{\"total\":1.5,\"skuList\":[]}", -1, 0, 0, 0 },
		{ "{\"total\":1,\"skuList\":{}}", -1, 0, 0, 0 },
		{ "{\"total\":1,\"pageNo\":\"x\",\"skuList\":[]}", -1, 0, 0, 0 },
		{ "[]", -1, 0, 0, 0 },
		{ "true", -1, 0, 0, 0 },
	};
	struct temu_page page;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *root = parsed(rows[i].text);

		err = (struct err)ERR_INIT;
		assert_int_equal(temu_page_read(root, &page, &err), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_int_equal(page.total, rows[i].total);
			assert_int_equal(page.number, rows[i].number);
			assert_int_equal(page.rows, rows[i].rows);
			assert_int_equal(page.first != NULL, rows[i].rows > 0);
		} else {
			assert_string_equal(err.code, "TEMU_GARBLED");
			assert_int_equal(err.class, ERR_TEMP);
		}
		json_free(root);
	}
	assert_int_equal(temu_page_read(NULL, &page, NULL), -1);
}

#define OK_ROW "\"skuId\":5,\"goodsId\":7,\"skuSn\":\" A-1 \",\"stock\":3,\"goodsName\":\"Vase\",\"specName\":\"rot\""

static void
good_rows(void **state)
{
	static const char *const texts[] = {
		"{" OK_ROW "}",
		"{\"x\":{},\"skuId\":\"5\",\"goodsId\":\"7\",\"skuSn\":\" A-1 \",\"stock\":\"3\",\"goodsName\":\"Vase\",\"specName\":\"rot\"}",
	};
	struct temu_names names;
	struct temu_sku sku;
	bool usable;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct json *root = parsed(texts[i]);

		assert_null(temu_row_read(root, &names, &sku, &usable));
		assert_true(usable);
		assert_int_equal(sku.sku_id, 5);
		assert_int_equal(sku.goods_id, 7);
		assert_int_equal(sku.stock, 3);
		assert_string_equal(sku.sku_sn, " A-1 ");
		assert_string_equal(sku.goods_name, "Vase");
		assert_string_equal(sku.spec_name, "rot");
		json_free(root);
	}
	struct json *root = parsed("{\"skuId\":9223372036854775807,\"goodsId\":1,\"stock\":0,\"skuSn\":null}");
	assert_null(temu_row_read(root, &names, &sku, &usable));
	assert_int_equal(sku.sku_id, INT64_MAX);
	assert_string_equal(sku.sku_sn, "");
	assert_string_equal(sku.goods_name, "");
	json_free(root);
}

static void
bad_rows(void **state)
{
	static const struct {
		const char *text, *what;
	} rows[] = {
		{ "[]", "the row is no object" },
		{ "null", "the row is no object" },
		{ "{\"goodsId\":7,\"stock\":3}", "skuId is missing" },
		{ "{\"skuId\":0,\"goodsId\":7,\"stock\":3}", "skuId is no id" },
		{ "{\"skuId\":-5,\"goodsId\":7,\"stock\":3}", "skuId is no id" },
		{ "{\"skuId\":\"x\",\"goodsId\":7,\"stock\":3}", "skuId is no id" },
		{ "{\"skuId\":9223372036854775808,\"goodsId\":7,\"stock\":3}", "skuId is no id" },
		{ "{\"skuId\":5.5,\"goodsId\":7,\"stock\":3}", "skuId is no id" },
		{ "{\"skuId\":5,\"stock\":3}", "goodsId is missing" },
		{ "{\"skuId\":5,\"goodsId\":{},\"stock\":3}", "goodsId is no id" },
		{ "{\"skuId\":5,\"goodsId\":7}", "stock is missing" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":-1}", "stock is negative" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":2.5}", "stock is no whole number" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":true}", "stock is no whole number" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":1000001}", "stock is above 1000000" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":1,\"skuSn\":17}", "skuSn is no text" },
		{ "{\"skuId\":5,\"goodsId\":7,\"stock\":1,\"skuSn\":\"\xEF\xBF\xBD\"}", "skuSn holds invalid characters" },
	};
	struct temu_names names;
	struct temu_sku sku;
	bool usable;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *root = parsed(rows[i].text);
		const char *what = temu_row_read(root, &names, &sku, &usable);

		assert_non_null(what);
		assert_string_equal(what, rows[i].what);
		assert_false(usable);
		assert_true(sku.sku_id >= 0 && sku.goods_id >= 0);
		assert_non_null(sku.sku_sn);
		json_free(root);
	}
}

/* A row whose member is `count` times `piece`. */
static struct json *
long_row(const char *member, const char *piece, size_t count)
{
	struct buf text;
	struct json *root;

	buf_init(&text, 1 << 16);
	buf_addf(&text, "{\"skuId\":5,\"goodsId\":7,\"stock\":1,\"%s\":\"", member);
	for (size_t i = 0; i < count; i++)
		buf_add_text(&text, piece);
	buf_add_text(&text, "\"}");
	root = parsed(buf_text(&text));
	buf_release(&text);
	return root;
}

static void
names_have_widths(void **state)
{
	static const struct {
		const char *member, *piece;
		size_t count;
		bool fine, usable;
		size_t units;
	} rows[] = {
		{ "skuSn", "x", 100, true, true, 0 },
		{ "skuSn", "x", 101, false, false, 0 },
		{ "skuSn", "😀", 50, true, true, 0 },
		{ "skuSn", "😀", 51, false, false, 0 },
		{ "goodsName", "ä", 500, true, true, 500 },
		{ "goodsName", "日", 501, false, true, 500 },
		{ "goodsName", "a😀", 200, false, true, 500 },
		{ "goodsName", "a😀", 167, false, true, 499 }, /* a pair is not cut in two */
		{ "specName", "x", 200, true, true, 0 },
		{ "specName", "日", 5000, false, true, 0 },
	};
	struct temu_names names;
	struct temu_sku sku;
	bool usable;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *root = long_row(rows[i].member, rows[i].piece, rows[i].count);
		const char *what = temu_row_read(root, &names, &sku, &usable);

		assert_int_equal(what == NULL, rows[i].fine);
		assert_int_equal(usable, rows[i].usable);
		if (rows[i].units > 0)
			assert_in_range(utf8_utf16_units(sku.goods_name, strlen(sku.goods_name)), rows[i].units - 1, rows[i].units);
		if (usable) {
			assert_true(utf8_valid(sku.goods_name, strlen(sku.goods_name)));
			assert_true(utf8_utf16_units(sku.spec_name, strlen(sku.spec_name)) <= TEMU_SPEC_NAME_UNITS);
		}
		json_free(root);
	}
	struct json *root = parsed("{" OK_ROW ",\"goodsName2\":1}");
	assert_null(temu_row_read(root, &names, &sku, &usable));
	json_free(root);
	root = parsed("{\"skuId\":5,\"goodsId\":7,\"stock\":1,\"goodsName\":[],\"specName\":\"\xEF\xBF\xBD\"}");
	assert_string_equal(temu_row_read(root, &names, &sku, &usable), "goodsName or specName is no text");
	assert_true(usable);
	json_free(root);
}

/* --- the judgement --- */

#define JUDGED 2

static void
judge(const char *result, int lost, struct temu_stock_item items[JUDGED])
{
	struct temu_stock_item *const list[JUDGED] = { &items[0], &items[1] };
	struct temu_call call;

	temu_call_init(&call, TEMU_STOCK_EDIT);
	call.write = true;
	call.lost = lost;
	snprintf(call.request_id, sizeof(call.request_id), "eu-9");
	call.document = parsed(result);
	call.result = json_is_null(call.document) ? NULL : call.document;
	for (int i = 0; i < JUDGED; i++)
		items[i] = (struct temu_stock_item){ .sku_id = i + 1, .goods_id = 7, .target = 5 };
	temu_edit_judge(&call, list, JUDGED);
	temu_call_release(&call);
}

#define YES1 "{\"skuId\":1,\"stockEditStatus\":true}"
#define NO1 "{\"skuId\":1,\"stockEditStatus\":false,\"errorCode\":150010005,\"errorMsg\":\"busy\"}"
#define YES2 "{\"skuId\":\"2\",\"stockEditStatus\":true,\"errorCode\":null}"
#define LIST(rows) "\"skuStockEditStatusInfoList\":[" rows "]"

static void
every_sku_by_its_own_status(void **state)
{
	static const struct {
		const char *result;
		enum temu_stock_outcome first, second;
	} rows[] = {
		{ "{\"goodsId\":7,\"operateResult\":true," LIST(YES1 "," YES2) "}", TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ "{\"goodsId\":\"7\",\"operateResult\":false," LIST(YES1 "," YES2) "}", TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST(NO1 "," YES2) "}", TEMU_STOCK_REFUSED, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST(YES2) "}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST(YES1 "," NO1 "," YES2) "}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST("{\"skuId\":1}," YES2) "}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST("{\"skuId\":1,\"stockEditStatus\":\"true\"},7,null," YES2) "}", TEMU_STOCK_UNKNOWN,
		  TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true," LIST("") "}", TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true}", TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true,\"skuStockEditStatusInfoList\":null}", TEMU_STOCK_CONFIRMED, TEMU_STOCK_CONFIRMED },
		{ "{\"operateResult\":true,\"skuStockEditStatusInfoList\":{}}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "{\"operateResult\":\"true\"}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "{\"operateResult\":false," LIST("") "}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "{\"goodsId\":8,\"operateResult\":true," LIST(YES1 "," YES2) "}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "{}", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "[1]", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "true", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
		{ "null", TEMU_STOCK_UNKNOWN, TEMU_STOCK_UNKNOWN },
	};
	struct temu_stock_item items[JUDGED];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(rows[i].result, 0, items);
		assert_int_equal(items[0].outcome, rows[i].first);
		assert_int_equal(items[1].outcome, rows[i].second);
		for (int k = 0; k < JUDGED; k++) {
			assert_string_equal(items[k].request_id, "eu-9");
			assert_int_equal(items[k].reason[0] == '\0', items[k].outcome == TEMU_STOCK_CONFIRMED);
			assert_int_equal(items[k].code_text[0] == '\0', items[k].outcome == TEMU_STOCK_CONFIRMED);
			assert_false(items[k].late);
		}
	}
}

static void
refusals_carry_their_code(void **state)
{
	struct temu_stock_item items[JUDGED];

	(void)state;
	judge("{\"operateResult\":false," LIST(NO1 "," YES2) "}", 0, items);
	assert_int_equal(items[0].code, 150010005);
	assert_string_equal(items[0].code_text, "TEMU_150010005");
	assert_non_null(strstr(items[0].reason, "busy"));
}

/* After a lost attempt a confirmation may be overtaken by it, and a refusal proves nothing. */
static void
a_lost_attempt_casts_doubt(void **state)
{
	struct temu_stock_item items[JUDGED];

	(void)state;
	judge("{\"operateResult\":false," LIST(NO1 "," YES2) "}", 1, items);
	assert_int_equal(items[0].outcome, TEMU_STOCK_UNKNOWN);
	assert_int_equal(items[1].outcome, TEMU_STOCK_CONFIRMED);
	assert_true(items[1].late);
	judge("{\"operateResult\":true}", 1, items);
	assert_true(items[0].late);
}

static void
failed_calls(void **state)
{
	static const struct {
		enum err_class class;
		const char *code, *text;
		int64_t number;
		bool unknown;
		enum temu_stock_outcome outcome;
	} rows[] = {
		{ ERR_PERM, "TEMU_150013001", "duplicate SKUs", 150013001, false, TEMU_STOCK_REFUSED },
		{ ERR_PERM, "TEMU_150010003", "Invalid request parameters: goodsId not found.", 150010003, false, TEMU_STOCK_REFUSED },
		{ ERR_PERM, "TEMU_150010003", "repeated requestUniqueKey", 150010003, false, TEMU_STOCK_UNKNOWN },
		{ ERR_TEMP, "HTTP_RESET", "reset", 0, true, TEMU_STOCK_UNKNOWN },
		{ ERR_TEMP, "HTTP_CONNECT", "refused", 0, false, TEMU_STOCK_UNSENT },
		{ ERR_PERM, "HTTP_403", "403", 0, false, TEMU_STOCK_UNSENT },
		{ ERR_HOLD, "TEMU_3000034", "expired", 3000034, false, TEMU_STOCK_UNSENT },
		{ ERR_TEMP, "TEMU_4000004", "rate", 4000004, false, TEMU_STOCK_UNSENT },
		{ ERR_CANCELLED, "CANCELLED", "cancelled", 0, true, TEMU_STOCK_UNKNOWN },
		{ ERR_CANCELLED, "CANCELLED", "cancelled", 0, false, TEMU_STOCK_UNSENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct temu_stock_item item = { .sku_id = 1, .goods_id = 7 };
		struct temu_stock_item *const list[1] = { &item };
		struct temu_call call;

		temu_call_init(&call, TEMU_STOCK_EDIT);
		err_set(&call.err, rows[i].class, rows[i].code, "%s", rows[i].text);
		call.code = rows[i].number;
		call.unknown = rows[i].unknown;
		temu_edit_judge(&call, list, 1);
		assert_int_equal(item.outcome, rows[i].outcome);
		assert_string_equal(item.code_text, rows[i].code);
		assert_int_equal(item.code, rows[i].number);
		assert_true(item.reason[0] != '\0');
		temu_call_release(&call);
	}
	for (enum temu_stock_outcome o = TEMU_STOCK_UNSENT; o <= TEMU_STOCK_UNKNOWN; o++)
		assert_true(temu_stock_outcome_name(o)[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages),
		cmocka_unit_test(good_rows),
		cmocka_unit_test(bad_rows),
		cmocka_unit_test(names_have_widths),
		cmocka_unit_test(every_sku_by_its_own_status),
		cmocka_unit_test(refusals_carry_their_code),
		cmocka_unit_test(a_lost_attempt_casts_doubt),
		cmocka_unit_test(failed_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
