/* The signature vectors of temu_api.md 2.4 and the reader they depend on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "ecosystem/sandbox/gateway/gw_sign.h"

#define COMMON "\"app_key\":\"simkey00000000000000000000000001\",\"access_token\":\"simtoken-a1\",\"data_type\":\"JSON\"," \
               "\"timestamp\":1767225600"
#define SECRET "simsecret0123456789abcdef0123456789ab"

static void expect_sign(const char *body, const char *secret, const char *sign)
{
	char out[GW_SIGN_LEN + 1];
	struct gw_doc doc;

	assert_int_equal(gw_doc_parse(&doc, body, strlen(body), NULL), 0);
	assert_int_equal(gw_sign(doc.root, secret, out, NULL), 0);
	assert_string_equal(out, sign);
	gw_doc_release(&doc);
}

static void own_vectors(void **state)
{
	(void)state;
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"bg.order.list.v2.get\",\"pageNumber\":1,\"pageSize\":100,"
	            "\"parentOrderStatus\":2,\"updateAtStart\":1767222000,\"updateAtEnd\":1767225600,\"sign\":\"x\"}",
	            SECRET, "B1609343A8E77BD8A9837B06660414E0");
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"bg.local.goods.stock.edit\",\"goodsId\":603050097881935,"
	            "\"stockType\":0, \"skuStockTargetList\": [ {\"skuId\":51481625557677, \"stockTarget\":10},"
	            "{\"skuId\":51481625557678,\"stockTarget\":0}],\"requestUniqueKey\":\"job-42-603050097881935-1\"}",
	            SECRET, "74EA815EA1F14E64DFE8A8BEA5AC5D9D");
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"bg.local.goods.stock.edit\",\"goodsId\":603050097881935,"
	            "\"stockType\":0,\"skuStockTargetList\":[{\"stockTarget\":10,\"skuId\":51481625557677},"
	            "{\"stockTarget\":0,\"skuId\":51481625557678}],\"requestUniqueKey\":\"job-42-603050097881935-1\"}",
	            SECRET, "74A9FC2AA2445042E7CCA8AEBF3E9106");
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"bg.local.goods.sku.list.query\",\"pageNo\":1,\"pageSize\":50,"
	            "\"skuStatusFilterType\":2,\"searchText\":\"\\u00dcbergr\\u00f6\\u00dfe Stra\\u00dfe \\u2013 \\u65e5\\u672c\","
	            "\"x_flag\":true,\"y_flag\":false}",
	            SECRET, "527C9AB456FA51BDE4E70FBA39B51BF4");
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"bg.logistics.shipment.v2.confirm\",\"sendType\":0,"
	            "\"sendRequestList\":[{\"carrierId\":141252268,\"trackingNumber\":\"00340434161094021501\","
	            "\"orderSendInfoList\":[{\"parentOrderSn\":\"PO-076-12345678901234567\",\"orderSn\":"
	            "\"076-12345678901234568\",\"quantity\":2}],\"confirmAcceptance\":[]}]}",
	            SECRET, "EA6945F43822A3ABFEFAC518598FDE49");
	expect_sign("{" COMMON ",\"version\":\"V1\",\"type\":\"demo.order\",\"parentOrderSn\":\"PO-076-1\","
	            "\"parentOrderSnList\":[\"PO-076-1\",\"PO-076-2\"]}",
	            SECRET, "5A59987ECABE47B714C4EBD21726F59D");
	expect_sign("{" COMMON ",\"type\":\"bg.open.accesstoken.info.get\"}", SECRET, "883648920362AFA25CE4E67A0672FF81");
}

static void official_vector(void **state)
{
	(void)state;
	expect_sign("{\"access_token\":\"2nifvmpyymvypwmcms5ct4uqqudrwgpmzbcnmkt1jzjkuaf3x56iixym\","
	            "\"app_key\":\"f9d5cc9313893a20d5aa85c654e8f503\",\"data_type\":\"JSON\",\"sendRequestList\":"
	            "[{\"orderSendInfoList\":[{\"quantity\":1,\"orderSn\":\"211-21905473070712792\",\"parentOrderSn\":"
	            "\"PO-211-21905452099192792\",\"goodsId\":601099548666279,\"skuId\":17592352673534}],"
	            "\"carrierId\":\"699272611\",\"trackingNumber\":\"270324232756\"}],\"sendType\":0,"
	            "\"timestamp\":1711009072,\"type\":\"bg.logistics.shipment.confirm\"}",
	            "c7e0a1a63542be4de3cb5488f9fba8149e8fc290", "4CCF219942D4180C6DDA3CE36C1B838F");
}

static void reader_is_strict(void **state)
{
	static const char *const bad[] = { "", "{", "[1,]", "{\"a\":1,}", "01", "1.", "\"\\u0000\"", "\"\\ud800\"", "nul", "1 2",
	                                   "\"\x01\"", "\"\xff\"", "{\"a\" 1}", "-", "{a:1}", "\"\\x\"", "\"abc" };
	struct gw_doc doc;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gw_doc_parse(&doc, bad[i], strlen(bad[i]), NULL), -1);
		gw_doc_release(&doc);
	}
}

static void integers_are_exact(void **state)
{
	const char *text = "{\"a\":9223372036854775807,\"b\":9223372036854775808,\"c\":\"5\",\"d\":1.0,\"e\":-3}";
	struct gw_doc doc;
	int64_t number;

	(void)state;
	assert_int_equal(gw_doc_parse(&doc, text, strlen(text), NULL), 0);
	assert_int_equal(gw_int64(gw_get(doc.root, "a"), &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(gw_int64(gw_get(doc.root, "b"), &number), -1);
	assert_int_equal(gw_int64(gw_get(doc.root, "c"), &number), -1);
	assert_int_equal(gw_int64(gw_get(doc.root, "d"), &number), -1);
	assert_int_equal(gw_get_int64(doc.root, "e", 0), -3);
	gw_doc_release(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_vectors),
		cmocka_unit_test(official_vector),
		cmocka_unit_test(reader_is_strict),
		cmocka_unit_test(integers_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
