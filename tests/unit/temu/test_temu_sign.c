/* The signature: the vectors of temu_api.md 2.4 and the mistakes of 2.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "common/json.h"
#include "ecosystem/sandbox/gateway/gw_sign.h"
#include "worker/temu/temu_sign.h"

#define SECRET "simsecret0123456789abcdef0123456789ab"

struct bench {
	struct temu_params params;
	char sign[TEMU_SIGN_LEN + 1];
};

static void
common(struct bench *b, const char *type, bool version)
{
	temu_params_init(&b->params);
	temu_params_add_string(&b->params, "type", type);
	temu_params_add_string(&b->params, "app_key", "simkey00000000000000000000000001");
	temu_params_add_string(&b->params, "access_token", "simtoken-a1");
	temu_params_add_string(&b->params, "data_type", "JSON");
	temu_params_add_int64(&b->params, "timestamp", 1767225600);
	if (version)
		temu_params_add_string(&b->params, "version", "V1");
}

/* The signature must be the vector's, and the body must bear it, also in the eyes of the gateway's own implementation. */
static void
expect(struct bench *b, const char *secret, const char *sign)
{
	char theirs[GW_SIGN_LEN + 1];
	struct gw_doc doc;
	struct buf body;

	buf_init(&body, 1 << 20);
	assert_int_equal(temu_sign(&b->params, secret, b->sign, NULL), 0);
	assert_string_equal(b->sign, sign);
	assert_int_equal(temu_sign_body(&b->params, secret, &body, NULL), 0);
	assert_int_equal(gw_doc_parse(&doc, body.data, body.len, NULL), 0);
	assert_string_equal(gw_string(gw_get(doc.root, "sign")), sign);
	assert_int_equal(gw_sign(doc.root, secret, theirs, NULL), 0);
	assert_string_equal(theirs, sign);
	gw_doc_release(&doc);
	buf_release(&body);
	temu_params_release(&b->params);
}

static void
official_example(void **state)
{
	struct bench b;

	(void)state;
	temu_params_init(&b.params);
	temu_params_add_string(&b.params, "type", "bg.logistics.shipment.confirm");
	temu_params_add_int64(&b.params, "timestamp", 1711009072);
	temu_params_add_string(&b.params, "app_key", "f9d5cc9313893a20d5aa85c654e8f503");
	temu_params_add_string(&b.params, "data_type", "JSON");
	temu_params_add_string(&b.params, "access_token", "2nifvmpyymvypwmcms5ct4uqqudrwgpmzbcnmkt1jzjkuaf3x56iixym");
	temu_params_add_int64(&b.params, "sendType", 0);
	temu_params_add_json(&b.params, "sendRequestList",
	                     "[{\"orderSendInfoList\":[{\"quantity\":1,\"orderSn\":\"211-21905473070712792\","
	                     "\"parentOrderSn\":\"PO-211-21905452099192792\",\"goodsId\":601099548666279,\"skuId\":17592352673534}],"
	                     "\"carrierId\":\"699272611\",\"trackingNumber\":\"270324232756\"}]");
	expect(&b, "c7e0a1a63542be4de3cb5488f9fba8149e8fc290", "4CCF219942D4180C6DDA3CE36C1B838F");
}

static void
vector_1(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "bg.order.list.v2.get", true);
	temu_params_add_int64(&b.params, "pageNumber", 1);
	temu_params_add_int64(&b.params, "pageSize", 100);
	temu_params_add_int64(&b.params, "parentOrderStatus", 2);
	temu_params_add_int64(&b.params, "updateAtStart", 1767222000);
	temu_params_add_int64(&b.params, "updateAtEnd", 1767225600);
	expect(&b, SECRET, "B1609343A8E77BD8A9837B06660414E0");
}

static void
edit(struct bench *b, const char *list)
{
	common(b, "bg.local.goods.stock.edit", true);
	temu_params_add_int64(&b->params, "goodsId", 603050097881935);
	temu_params_add_int64(&b->params, "stockType", 0);
	temu_params_add_json(&b->params, "skuStockTargetList", list);
	temu_params_add_string(&b->params, "requestUniqueKey", "job-42-603050097881935-1");
}

static void
vector_2_inner_order_counts(void **state)
{
	struct bench b;

	(void)state;
	edit(&b, "[{\"skuId\":51481625557677,\"stockTarget\":10},{\"skuId\":51481625557678,\"stockTarget\":0}]");
	expect(&b, SECRET, "74EA815EA1F14E64DFE8A8BEA5AC5D9D");
	edit(&b, "[{\"stockTarget\":10,\"skuId\":51481625557677},{\"stockTarget\":0,\"skuId\":51481625557678}]");
	expect(&b, SECRET, "74A9FC2AA2445042E7CCA8AEBF3E9106");
}

static void
vector_3_text_and_booleans(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "bg.local.goods.sku.list.query", true);
	temu_params_add_int64(&b.params, "pageNo", 1);
	temu_params_add_int64(&b.params, "pageSize", 50);
	temu_params_add_int64(&b.params, "skuStatusFilterType", 2);
	temu_params_add_string(&b.params, "searchText", "Übergröße Straße – 日本");
	temu_params_add_bool(&b.params, "x_flag", true);
	temu_params_add_bool(&b.params, "y_flag", false);
	expect(&b, SECRET, "527C9AB456FA51BDE4E70FBA39B51BF4");
}

static void
vector_4_nested(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "bg.logistics.shipment.v2.confirm", true);
	temu_params_add_int64(&b.params, "sendType", 0);
	temu_params_add_json(&b.params, "sendRequestList",
	                     "[{\"carrierId\":141252268,\"trackingNumber\":\"00340434161094021501\",\"orderSendInfoList\":["
	                     "{\"parentOrderSn\":\"PO-076-12345678901234567\",\"orderSn\":\"076-12345678901234568\",\"quantity\":2}],"
	                     "\"confirmAcceptance\":[]}]");
	expect(&b, SECRET, "EA6945F43822A3ABFEFAC518598FDE49");
}

static void
vector_5_sorted_by_name_alone(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "demo.order", true);
	temu_params_add_string(&b.params, "parentOrderSn", "PO-076-1");
	temu_params_add_json(&b.params, "parentOrderSnList", "[\"PO-076-1\",\"PO-076-2\"]");
	expect(&b, SECRET, "5A59987ECABE47B714C4EBD21726F59D");
}

static void
vector_6_without_version(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "bg.open.accesstoken.info.get", false);
	expect(&b, SECRET, "883648920362AFA25CE4E67A0672FF81");
}

/* 2.5: blanks inside text stay, '<>&=' and non-ASCII in nested text go raw, ids keep all 64 bits, upper case sorts first. The other
 * side is the gateway's implementation, which knows nothing of ours. */
static void
traps_of_other_clients(void **state)
{
	struct bench b;
	char theirs[GW_SIGN_LEN + 1], ours[TEMU_SIGN_LEN + 1];
	struct gw_doc doc;
	struct buf body, list;

	(void)state;
	buf_init(&body, 1 << 20);
	buf_init(&list, 1 << 16);
	json_array_open(&list, NULL);
	json_object_open(&list, NULL);
	json_add_string(&list, "name", "a  b <i>&='x' \"q\" \\ / \t äß日本😀");
	json_add_int64(&list, "id", INT64_MAX);
	json_add_int64(&list, "least", INT64_MIN);
	json_add_null(&list, "none");
	json_add_bool(&list, "yes", true);
	json_object_close(&list);
	json_array_close(&list);
	common(&b, "demo", true);
	temu_params_add_json(&b.params, "list", buf_text(&list));
	temu_params_add_string(&b.params, "text", " blank inside and 'quotes' <>&= / ");
	temu_params_add_int64(&b.params, "id", 9007199254740993);
	temu_params_add_string(&b.params, "Zulu", "1");
	temu_params_add_string(&b.params, "_under", "2");
	temu_params_add_string(&b.params, "alpha", "3");
	assert_int_equal(temu_sign_body(&b.params, SECRET, &body, NULL), 0);
	assert_int_equal(gw_doc_parse(&doc, body.data, body.len, NULL), 0);
	assert_int_equal(gw_sign(doc.root, SECRET, theirs, NULL), 0);
	assert_int_equal(temu_sign(&b.params, SECRET, ours, NULL), 0);
	assert_string_equal(ours, theirs);
	assert_string_equal(gw_string(gw_get(doc.root, "sign")), ours);
	assert_non_null(strstr(body.data, "\"id\":9007199254740993"));
	assert_non_null(strstr(body.data, "\"text\":\" blank inside and 'quotes' <>&= / \""));
	assert_non_null(strstr(body.data, buf_text(&list)));
	assert_int_equal(temu_sign(&b.params, SECRET "x", theirs, NULL), 0);
	assert_string_not_equal(ours, theirs);
	gw_doc_release(&doc);
	temu_params_release(&b.params);
	buf_release(&list);
	buf_release(&body);
}

static void
what_has_no_value_is_left_out(void **state)
{
	struct bench b;

	(void)state;
	common(&b, "bg.open.accesstoken.info.get", false);
	temu_params_add_string(&b.params, "a", "");
	temu_params_add_string(&b.params, "b", NULL);
	temu_params_add_json(&b.params, "c", NULL);
	expect(&b, SECRET, "883648920362AFA25CE4E67A0672FF81");
}

static void
refused(void (*add)(struct temu_params *))
{
	struct err err = ERR_INIT;
	char sign[TEMU_SIGN_LEN + 1];
	struct bench b;
	struct buf body;

	buf_init(&body, 1024);
	common(&b, "demo", true);
	add(&b.params);
	assert_int_equal(temu_params_check(&b.params, &err), -1);
	assert_int_equal(err.class, ERR_PERM);
	assert_string_equal(err.code, "TEMU_PARAMS");
	assert_int_equal(temu_sign(&b.params, SECRET, sign, NULL), -1);
	assert_int_equal(temu_sign_body(&b.params, SECRET, &body, NULL), -1);
	temu_params_clear(&b.params);
	assert_int_equal(temu_params_check(&b.params, NULL), 0);
	temu_params_release(&b.params);
	buf_release(&body);
}

#define REFUSED(name, statement) \
	static void name(struct temu_params *p) \
	{ \
		statement; \
	}
REFUSED(quote, temu_params_add_string(p, "a", "say \"hi\""))
REFUSED(backslash, temu_params_add_string(p, "a", "a\\b"))
REFUSED(newline, temu_params_add_string(p, "a", "a\n"))
REFUSED(broken_text, temu_params_add_string(p, "a", "\xC3("))
REFUSED(twice, temu_params_add_int64(p, "type", 1))
REFUSED(signature, temu_params_add_string(p, "sign", "X"))
REFUSED(empty_name, temu_params_add_int64(p, "", 1))
REFUSED(odd_name, temu_params_add_int64(p, "a\":1,\"b", 1))
REFUSED(blanks, temu_params_add_json(p, "a", "[1, 2]"))
REFUSED(escaped, temu_params_add_json(p, "a", "[\"\\u00e4\"]"))
REFUSED(slash, temu_params_add_json(p, "a", "[\"\\/\"]"))
REFUSED(empty_list, temu_params_add_json(p, "a", "[]"))
REFUSED(null_value, temu_params_add_json(p, "a", "null"))
REFUSED(no_container, temu_params_add_json(p, "a", "17"))
REFUSED(fraction, temu_params_add_json(p, "a", "[1.5]"))
REFUSED(exponent, temu_params_add_json(p, "a", "[{\"b\":1e3}]"))
REFUSED(no_json, temu_params_add_json(p, "a", "[1"))

static void
too_many(struct temu_params *p)
{
	char name[16];

	for (int i = 0; i < TEMU_PARAMS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		temu_params_add_int64(p, name, i);
	}
}

static void
mistakes_are_refused(void **state)
{
	static void (*const all[])(struct temu_params *) = { quote, backslash, newline, broken_text, twice, signature, empty_name,
		                                                 odd_name, blanks, escaped, slash, empty_list, null_value, no_container,
		                                                 fraction, exponent, no_json, too_many };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		refused(all[i]);
}

static void
append_keeps_order_and_mistakes(void **state)
{
	struct temu_params more;
	struct bench b;

	(void)state;
	common(&b, "demo.order", true);
	temu_params_init(&more);
	temu_params_add_string(&more, "parentOrderSn", "PO-076-1");
	temu_params_add_json(&more, "parentOrderSnList", "[\"PO-076-1\",\"PO-076-2\"]");
	temu_params_append(&b.params, &more);
	expect(&b, SECRET, "5A59987ECABE47B714C4EBD21726F59D");
	common(&b, "demo.order", true);
	temu_params_add_string(&more, "app_key", "another");
	temu_params_append(&b.params, &more);
	assert_int_equal(temu_params_check(&b.params, NULL), -1);
	temu_params_release(&b.params);
	temu_params_release(&more);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(official_example),
		cmocka_unit_test(vector_1),
		cmocka_unit_test(vector_2_inner_order_counts),
		cmocka_unit_test(vector_3_text_and_booleans),
		cmocka_unit_test(vector_4_nested),
		cmocka_unit_test(vector_5_sorted_by_name_alone),
		cmocka_unit_test(vector_6_without_version),
		cmocka_unit_test(traps_of_other_clients),
		cmocka_unit_test(what_has_no_value_is_left_out),
		cmocka_unit_test(mistakes_are_refused),
		cmocka_unit_test(append_keeps_order_and_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
