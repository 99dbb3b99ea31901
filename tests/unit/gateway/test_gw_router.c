/* The whole gateway over real sockets: order of checks, paging, stock edit, rate, every fault, control port, state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/clock.h"
#include "ecosystem/sandbox/gateway/gw_router.h"
#include "ecosystem/sandbox/gateway/gw_sign.h"

#define LIST "bg.local.goods.sku.list.query"
#define EDIT "bg.local.goods.stock.edit"
#define SCOPES "\"scopes\":[\"" LIST "\",\"" EDIT "\",\"temu.local.goods.sku.stock.query\"]"

static const char data[] =
    "{\"shops\":[{\"mall_id\":1,\"region\":\"eu\",\"app_key\":\"k1\",\"app_secret\":\"s1\",\"access_token\":\"t1\"," SCOPES ","
    "\"expires\":\"2099-01-01\",\"goods\":[{\"goods_id\":700,\"name\":\"Vase\",\"skus\":[{\"sku_id\":1,\"sku_sn\":\"A-1\","
    "\"stock\":5},{\"sku_id\":2,\"sku_sn\":\"A-2\",\"stock\":6},{\"sku_id\":3,\"sku_sn\":\"A-3\",\"stock\":7,\"status\":3}]},"
    "{\"goods_id\":701,\"name\":\"Topf\",\"skus\":[{\"sku_id\":4,\"sku_sn\":\"B-1\",\"stock\":1},"
    "{\"sku_id\":5,\"sku_sn\":\"B-2\",\"stock\":2}]}]},"
    "{\"mall_id\":2,\"region\":\"us\",\"app_key\":\"k2\",\"app_secret\":\"s2\",\"access_token\":\"t2\",\"scopes\":[]},"
    "{\"mall_id\":3,\"region\":\"eu\",\"app_key\":\"k1\",\"app_secret\":\"s1\",\"access_token\":\"t3\",\"scopes\":[],"
    "\"expires\":\"2020-01-01\"}]}";

struct bench {
	struct gw *gw;
	struct gw_wire *wire, *control;
	int status;        /* of the last reply; 0: reset or closed without one */
	int sys;           /* errno of the last recv */
	char path[64];     /* of signed calls, "" = the usual one */
	char head[2048];
	char body[65536];
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->gw = gw_new(NULL);
	assert_non_null(b->gw);
	b->gw->rate.per_second = 0;
	assert_int_equal(gw_shops_parse(&b->gw->shops, data, sizeof(data) - 1, NULL), 0);
	b->wire = gw_wire_start(0, gw_router_handle, b->gw, NULL);
	b->control = gw_wire_start(0, gw_control_handle, b->gw, NULL);
	assert_non_null(b->wire);
	assert_non_null(b->control);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	gw_wire_stop(b->wire);
	gw_wire_stop(b->control);
	gw_free(b->gw);
	free(b);
	return 0;
}

static int dial(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Sends raw bytes and reads until the other side closes. */
static void talk(struct bench *b, int port, const char *text)
{
	static const size_t max = 1 << 20;
	char *all = malloc(max), *body;
	size_t have = 0;
	ssize_t n;
	int fd = dial(port);

	assert_non_null(all);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	while ((n = recv(fd, all + have, max - 1 - have, 0)) > 0)
		have += (size_t)n;
	b->sys = n < 0 ? errno : 0;
	close(fd);
	all[have] = '\0';
	body = strstr(all, "\r\n\r\n");
	b->status = have > 12 ? atoi(all + 9) : 0;
	snprintf(b->head, sizeof(b->head), "%.*s", body ? (int)(body - all) : 0, all);
	snprintf(b->body, sizeof(b->body), "%s", body ? body + 4 : "");
	free(all);
}

static void post(struct bench *b, int port, const char *path, const char *body)
{
	char text[16384];

	snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", path,
	         strlen(body), body);
	talk(b, port, text);
}

static void get(struct bench *b, const char *path)
{
	char text[512];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", path);
	talk(b, gw_wire_port(b->control), text);
}

static void control(struct bench *b, const char *path, const char *body)
{
	post(b, gw_wire_port(b->control), path, body);
	assert_int_equal(b->status, 200);
}

/* A body without its closing brace gets its signature (or another one) and is sent. */
static void send_signed(struct bench *b, const char *open_body, const char *secret, const char *forged)
{
	char text[8192], sign[GW_SIGN_LEN + 1];
	struct gw_doc doc;

	snprintf(text, sizeof(text), "%s}", open_body);
	assert_int_equal(gw_doc_parse(&doc, text, strlen(text), NULL), 0);
	assert_int_equal(gw_sign(doc.root, secret, sign, NULL), 0);
	gw_doc_release(&doc);
	snprintf(text, sizeof(text), "%s,\"sign\":\"%s\"}", open_body, forged ? forged : sign);
	post(b, gw_wire_port(b->wire), b->path[0] ? b->path : "/openapi/router", text);
}

static void call(struct bench *b, const char *type, const char *fields)
{
	char body[4096];

	snprintf(body, sizeof(body),
	         "{\"app_key\":\"k1\",\"access_token\":\"t1\",\"data_type\":\"JSON\",\"timestamp\":%lld,\"type\":\"%s\"%s%s",
	         (long long)(clock_now_ms() / 1000), type, fields[0] ? "," : "", fields);
	send_signed(b, body, "s1", NULL);
}

static int64_t code(const struct bench *b)
{
	const char *at = strstr(b->body, "\"errorCode\":");

	return b->status == 200 && at ? strtoll(at + 12, NULL, 10) : -1;
}

#define assert_in(b, text) \
	do { \
		if (!strstr((b)->body, text)) \
			fail_msg("\"%s\" is not in %s", text, (b)->body); \
	} while (0)
#define assert_not_in(b, text) assert_null(strstr((b)->body, text))

static int count_of(const struct bench *b, const char *what)
{
	int n = 0;

	for (const char *p = b->body; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void expect_stock(struct bench *b, int sku, int stock, int edits)
{
	char want[128];
	const char *row;

	get(b, "/stock?shop=1");
	snprintf(want, sizeof(want), "\"sku_id\":%d,", sku);
	row = strstr(b->body, want);
	assert_non_null(row);
	snprintf(want, sizeof(want), "\"stock\":%d,", stock);
	row = strstr(row, "\"stock\":");
	assert_non_null(row);
	assert_memory_equal(row, want, strlen(want));
	snprintf(want, sizeof(want), "\"edits\":%d,", edits);
	row = strstr(row, "\"edits\":");
	assert_memory_equal(row, want, strlen(want));
}

/* --- the order of 3.5: each body has every later mistake too, and the earlier check answers --- */

static void checks_in_order(void **state)
{
	struct bench *b = *state;
	char body[1024];
	int64_t now = clock_now_ms() / 1000;
	static const struct {
		const char *body;
		bool stamp;
		int64_t shift;
		const char *forged;
		int64_t code;
	} rows[] = {
		{ "{\"app_key\":\"nobody\"", false, 0, NULL, 3000002 },
		{ "{\"type\":\"x\"", false, 0, "WRONG", 3000025 },
		{ "{\"type\":\"x\",\"app_key\":\"nobody\"", false, 0, "WRONG", 4000000 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", false, 0, "", 3000040 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", false, 0, "WRONG", 3000001 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", false, 0, NULL, 3000010 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", true, 400, NULL, 3000011 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", true, -400, NULL, 3000012 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\"", true, 0, NULL, 3000013 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"XML\"", true, 0, NULL, 3000014 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"json\"", true, 0, NULL, 3000030 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"JSON\",\"access_token\":\"no\"", true, 0, NULL, 3000031 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"JSON\",\"access_token\":\"t2\"", true, 0, NULL, 3000033 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"JSON\",\"access_token\":\"t3\"", true, 0, NULL, 3000034 },
		{ "{\"type\":\"x\",\"app_key\":\"k1\",\"data_type\":\"JSON\",\"access_token\":\"t1\"", true, 0, NULL, 3000003 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].stamp)
			snprintf(body, sizeof(body), "%s,\"timestamp\":\"%lld\"", rows[i].body, (long long)(now + rows[i].shift));
		else
			snprintf(body, sizeof(body), "%s", rows[i].body);
		send_signed(b, body, "s1", rows[i].forged);
		assert_int_equal(code(b), rows[i].code);
		assert_in(b, "\"success\":false");
		assert_in(b, "\"requestId\":\"eu-");
	}
	snprintf(body, sizeof(body), "{\"type\":\"" LIST "\",\"app_key\":\"k2\",\"data_type\":\"JSON\",\"access_token\":\"t2\","
	                             "\"timestamp\":%lld", (long long)now);
	send_signed(b, body, "s2", NULL);
	assert_int_equal(code(b), 3000032);
	assert_in(b, "\"requestId\":\"us-");
	post(b, gw_wire_port(b->wire), "/openapi/router", "no json");
	assert_int_equal(code(b), 3000000);
	post(b, gw_wire_port(b->wire), "/other", "{}");
	assert_int_equal(b->status, 404);
	talk(b, gw_wire_port(b->wire), "GET /openapi/router HTTP/1.1\r\nConnection: close\r\n\r\n");
	assert_int_equal(b->status, 405);
}

static void clock_can_be_moved(void **state)
{
	struct bench *b = *state;

	control(b, "/clock", "{\"offset_s\":1000}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(code(b), 3000012);
	control(b, "/clock", "{\"offset_s\":-1000}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(code(b), 3000011);
	control(b, "/clock", "{\"offset_s\":-4000000000}"); /* the Date header shows the same clock */
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_non_null(strstr(b->head, "Date: "));
	assert_null(memmem(strstr(b->head, "Date: "), 30, " 20", 3));
}

static void token_info(void **state)
{
	struct bench *b = *state;

	call(b, "bg.open.accesstoken.info.get", "");
	assert_int_equal(code(b), 1000000);
	assert_in(b, "\"mallId\":1,\"mallType\":100");
	assert_in(b, "\"expiredTime\":4070908800");
	assert_in(b, "\"apiScopeList\":[\"" LIST "\"");
	assert_not_in(b, "s1\"");
}

static void paging(void **state)
{
	struct bench *b = *state;

	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNo\":1,\"pageSize\":3");
	assert_int_equal(code(b), 1000000);
	assert_in(b, "\"total\":4");
	assert_int_equal(count_of(b, "\"skuId\":"), 3);
	assert_true(strstr(b->body, "\"skuId\":5,") < strstr(b->body, "\"skuId\":4,"));
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNo\":2,\"pageSize\":3");
	assert_int_equal(count_of(b, "\"skuId\":"), 1);
	assert_in(b, "\"skuId\":1,\"skuSn\":\"A-1\",\"stock\":5");
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNumber\":2,\"page\":2,\"pageSize\":3");
	assert_in(b, "\"pageNo\":1");
	assert_in(b, "\"skuId\":5");
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNo\":9,\"pageSize\":3");
	assert_int_equal(count_of(b, "\"skuId\":"), 0);
	call(b, LIST, "\"skuSearchType\":3");
	assert_int_equal(count_of(b, "\"skuId\":"), 1);
	assert_in(b, "\"skuId\":3");
	for (const char *f = "1456"; *f; f++) {
		char fields[64];

		snprintf(fields, sizeof(fields), "\"skuStatusFilterType\":%c", *f);
		call(b, LIST, fields);
		assert_int_equal(code(b), 1000000);
		assert_in(b, "\"total\":0,\"skuList\":[]");
	}
	call(b, LIST, "\"skuStatusFilterType\":7");
	assert_int_equal(count_of(b, "\"stock\":0"), 5);
	call(b, LIST, "\"skuStatusFilterType\":2,\"searchText\":\"Vase\",\"orderType\":1");
	assert_int_equal(count_of(b, "\"skuId\":"), 2);
	assert_true(strstr(b->body, "\"skuId\":1,") < strstr(b->body, "\"skuId\":2,"));
	call(b, LIST, "\"skuStatusFilterType\":2,\"skuIdList\":[4]");
	assert_in(b, "\"total\":1");
}

static void list_is_strict(void **state)
{
	struct bench *b = *state;

	call(b, LIST, "\"skuStatusFilterType\":2,\"pageSize\":101");
	assert_int_equal(code(b), 150010003);
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNo\":0");
	assert_int_equal(code(b), 150010003);
	call(b, LIST, "\"skuStatusFilterType\":\"2\"");
	assert_int_equal(code(b), 3000000);
	assert_in(b, "`skuStatusFilterType`");
	call(b, LIST, "\"skuStatusFilterType\":2,\"skuIdList\":[1,\"2\"]");
	assert_int_equal(code(b), 3000000);
	assert_in(b, "`skuIdList[1]`");
	call(b, LIST, "\"pageNo\":1");
	assert_int_equal(code(b), 7000000);
}

static void edits(void **state)
{
	struct bench *b = *state;

	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":10},{\"skuId\":4,\"stockTarget\":9}],"
	              "\"requestUniqueKey\":\"u1\"");
	assert_int_equal(code(b), 1000000);
	assert_in(b, "\"skuId\":1,\"stockEditStatus\":true");
	assert_in(b, "\"skuId\":4,\"stockEditStatus\":false");
	assert_in(b, "\"operateResult\":false");
	expect_stock(b, 1, 10, 1);
	expect_stock(b, 4, 1, 0);
	assert_in(b, "\"last_key\":\"u1\"");
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":11}],\"requestUniqueKey\":\"u1\"");
	assert_int_equal(code(b), 150010003);
	expect_stock(b, 1, 10, 1);
	b->gw->repeat_key_error = false;
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":11}],\"requestUniqueKey\":\"u1\"");
	assert_int_equal(code(b), 1000000);
	assert_in(b, "\"operateResult\":false");
	expect_stock(b, 1, 10, 1);
	call(b, EDIT, "\"goodsId\":700,\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":-4}]");
	assert_in(b, "\"operateResult\":true");
	expect_stock(b, 1, 6, 2);
	call(b, EDIT, "\"goodsId\":700,\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":0}]");
	assert_in(b, "\"success\":true");
	assert_in(b, "\"operateResult\":false");
	call(b, EDIT, "\"goodsId\":700,\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":-7}]");
	assert_in(b, "\"stockEditStatus\":false");
	expect_stock(b, 1, 6, 2);
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":3,\"stockTarget\":0}]");
	assert_in(b, "\"operateResult\":true");
	expect_stock(b, 3, 0, 1);
}

static void edits_are_strict(void **state)
{
	static const struct {
		const char *fields;
		int64_t code;
	} rows[] = {
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1},{\"skuId\":1,\"stockTarget\":2}]", 150013001 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":-1}]", 150013002 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1000001}]", 150013002 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":99999999999}]", 150013002 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1}],"
		  "\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":1}]", 150013003 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":\"1\",\"stockTarget\":1}]", 3000000 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1.5}]", 3000000 },
		{ "\"goodsId\":\"700\",\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1}]", 3000000 },
		{ "\"goodsId\":700,\"requestUniqueKey\":5,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1}]", 3000000 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1}]", 150010003 },
		{ "\"goodsId\":700,\"skuStockTargetList\":[]", 150010003 },
		{ "\"goodsId\":999,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1}]", 150010003 },
		{ "\"goodsId\":700,\"stockType\":2,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1}]", 150010003 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		call(b, EDIT, rows[i].fields);
		assert_int_equal(code(b), rows[i].code);
	}
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":\"1\",\"stockTarget\":1}]");
	assert_in(b, "`skuStockTargetList[0].skuId`");
	expect_stock(b, 1, 5, 0);
}

static void rate_is_limited(void **state)
{
	struct bench *b = *state;
	int limited = 0;

	control(b, "/rate", "{\"per_second\":2}");
	for (int i = 0; i < 6; i++) {
		call(b, LIST, "\"skuStatusFilterType\":2");
		limited += code(b) == 4000004;
		assert_null(strstr(b->head, "Retry-After"));
	}
	assert_true(limited >= 3);
	control(b, "/rate", "{\"per_second\":0}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(code(b), 1000000);
}

static void bucket_refills(void **state)
{
	static struct gw_rate rate;

	(void)state;
	gw_rate_set(&rate, 2);
	assert_true(gw_rate_take(&rate, "k", "m", 1000));
	assert_true(gw_rate_take(&rate, "k", "m", 1000));
	assert_false(gw_rate_take(&rate, "k", "m", 1499));
	assert_false(gw_rate_take(&rate, "k", "other", 1499));
	assert_true(gw_rate_take(&rate, "k", "m", 1500));
	assert_true(gw_rate_take(&rate, "k2", "m", 1500));
}

/* --- faults --- */

#define ONE "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":42}]"

static void edge_faults(void **state)
{
	static const struct {
		const char *fault;
		int status;
	} rows[] = { { "http500", 500 }, { "http502", 502 }, { "http503", 503 }, { "http429", 429 }, { "html200", 200 } };
	struct bench *b = *state;
	char fault[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(fault, sizeof(fault), "{\"type\":\"" EDIT "\",\"kind\":\"%s\",\"retry_after\":3}", rows[i].fault);
		control(b, "/fault", fault);
		call(b, EDIT, ONE);
		assert_int_equal(b->status, rows[i].status);
		assert_in(b, "<html>");
		assert_int_equal(strstr(b->head, "Retry-After: 3") != NULL, rows[i].status == 429 || rows[i].status == 503);
		expect_stock(b, 1, 5, 0);
	}
	call(b, EDIT, ONE);
	assert_int_equal(code(b), 1000000);
}

static void resets(void **state)
{
	struct bench *b = *state;

	control(b, "/fault", "{\"type\":\"" EDIT "\",\"kind\":\"reset_before\"}");
	call(b, EDIT, ONE);
	assert_int_equal(b->status, 0);
	assert_int_equal(b->sys, ECONNRESET);
	expect_stock(b, 1, 5, 0);
	control(b, "/fault", "{\"type\":\"" EDIT "\",\"kind\":\"reset_after\"}");
	call(b, EDIT, ONE);
	assert_int_equal(b->sys, ECONNRESET);
	expect_stock(b, 1, 42, 1);
	get(b, "/calls?since=1");
	assert_int_equal(count_of(b, "\"number\":"), 1);
	assert_in(b, "\"outcome\":\"reset\",\"fault\":\"reset_after\"");
	assert_in(b, "\"targets\":[[1,42]]");
}

static void late_effect(void **state)
{
	struct bench *b = *state;
	int64_t until = clock_mono_ms() + 5000;
	bool seen = false;

	control(b, "/fault", "{\"type\":\"" EDIT "\",\"kind\":\"late_apply\",\"delay_ms\":150}");
	call(b, EDIT, ONE);
	assert_int_equal(b->sys, ECONNRESET);
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":50}]");
	expect_stock(b, 1, 50, 1);
	while (!seen && clock_mono_ms() < until) {
		get(b, "/stock?shop=1");
		seen = strstr(b->body, "\"stock\":42") != NULL;
	}
	assert_true(seen);
	expect_stock(b, 1, 42, 2);
}

static void slow_and_broken_replies(void **state)
{
	struct bench *b = *state;
	int64_t from = clock_mono_ms();
	struct gw_doc doc;

	control(b, "/fault", "{\"kind\":\"slow\",\"delay_ms\":200}");
	call(b, EDIT, ONE);
	assert_true(clock_mono_ms() - from >= 190);
	assert_int_equal(code(b), 1000000);
	control(b, "/fault", "{\"kind\":\"truncate\"}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(b->status, 200);
	assert_int_equal(strlen(b->body), atoi(strstr(b->head, "Content-Length: ") + 16));
	assert_int_equal(gw_doc_parse(&doc, b->body, strlen(b->body), NULL), -1);
	gw_doc_release(&doc);
	control(b, "/fault", "{\"kind\":\"cut\"}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_true(strlen(b->body) < (size_t)atoi(strstr(b->head, "Content-Length: ") + 16));
	control(b, "/fault", "{\"kind\":\"result_null\"}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_in(b, "\"success\":true");
	assert_in(b, "\"result\":null");
}

static void code_skip_count(void **state)
{
	struct bench *b = *state;

	control(b, "/fault", "{\"type\":\"" LIST "\",\"kind\":\"code\",\"code\":4000004,\"text\":\"slow down\",\"skip\":1,\"count\":2}");
	call(b, EDIT, ONE);
	assert_int_equal(code(b), 1000000);
	for (int i = 0; i < 4; i++) {
		call(b, LIST, "\"skuStatusFilterType\":2");
		assert_int_equal(code(b), i == 1 || i == 2 ? 4000004 : 1000000);
	}
	control(b, "/fault", "{\"kind\":\"code\",\"count\":-1}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(code(b), 4000000);
	control(b, "/clear", "");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_int_equal(code(b), 1000000);
	post(b, gw_wire_port(b->control), "/fault", "{\"kind\":\"earthquake\"}");
	assert_int_equal(b->status, 400);
}

static void page_faults(void **state)
{
	struct bench *b = *state;

	control(b, "/fault", "{\"kind\":\"duplicate_page\"}");
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageNo\":2,\"pageSize\":2");
	assert_in(b, "\"pageNo\":2");
	assert_in(b, "\"skuId\":5");
	control(b, "/fault", "{\"kind\":\"total_changes\"}");
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageSize\":2");
	assert_in(b, "\"total\":6");
	control(b, "/fault", "{\"kind\":\"empty_page\"}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_in(b, "\"total\":4,\"skuList\":[]");
	control(b, "/fault", "{\"kind\":\"ids_as_strings\"}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_in(b, "\"goodsId\":\"701\",\"skuId\":\"5\"");
}

static void edit_faults(void **state)
{
	struct bench *b = *state;

	control(b, "/fault", "{\"kind\":\"refuse_sku\",\"sku_id\":2,\"code\":150010005,\"text\":\"busy\"}");
	call(b, EDIT, ONE);
	assert_in(b, "\"operateResult\":true");
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":1},{\"skuId\":2,\"stockTarget\":1}]");
	assert_in(b, "\"skuId\":2,\"stockEditStatus\":false,\"errorCode\":150010005,\"errorMsg\":\"busy\"");
	expect_stock(b, 1, 1, 2);
	expect_stock(b, 2, 6, 0);
	control(b, "/fault", "{\"kind\":\"no_sku_status\"}");
	call(b, EDIT, ONE);
	assert_in(b, "\"skuStockEditStatusInfoList\":[],\"operateResult\":true");
	control(b, "/fault", "{\"kind\":\"wrong_operate_result\"}");
	call(b, EDIT, ONE);
	assert_in(b, "\"stockEditStatus\":true");
	assert_in(b, "\"operateResult\":false");
	control(b, "/fault", "{\"kind\":\"read_lag\",\"delay_ms\":60000}");
	call(b, EDIT, "\"goodsId\":701,\"skuStockTargetList\":[{\"skuId\":4,\"stockTarget\":77}]");
	call(b, LIST, "\"skuStatusFilterType\":2,\"skuIdList\":[4]");
	assert_in(b, "\"stock\":1,");
	control(b, "/clear", "");
	call(b, LIST, "\"skuStatusFilterType\":2,\"skuIdList\":[4]");
	assert_in(b, "\"stock\":77,");
	control(b, "/fault", "{\"kind\":\"replace_token\"}");
	call(b, EDIT, ONE);
	assert_int_equal(code(b), 3000034);
	call(b, EDIT, ONE);
	assert_int_equal(code(b), 3000034);
}

/* --- control port, wire, state --- */

static void sales_and_goods(void **state)
{
	struct bench *b = *state;

	control(b, "/set", "{\"mall_id\":1,\"sku_id\":1,\"stock\":3}");
	expect_stock(b, 1, 3, 0);
	control(b, "/add", "{\"mall_id\":1,\"goods_id\":702,\"name\":\"Neu\",\"skus\":[{\"sku_id\":6,\"sku_sn\":\"C\",\"stock\":9}]}");
	call(b, LIST, "\"skuStatusFilterType\":2,\"pageSize\":1");
	assert_in(b, "\"skuId\":6");
	control(b, "/remove", "{\"sku_id\":6}");
	call(b, LIST, "\"skuStatusFilterType\":2");
	assert_in(b, "\"total\":4");
	post(b, gw_wire_port(b->control), "/set", "{\"sku_id\":6,\"stock\":1}");
	assert_int_equal(b->status, 400);
	call(b, "temu.local.goods.sku.stock.query", "\"skuIdList\":[1]");
	assert_in(b, "\"selfOrdinaryStock\":{\"stockType\":0,\"stock\":3}");
	get(b, "/stats");
	assert_in(b, "\"type\":\"" LIST "\",\"calls\":2,\"errors\":0");
}

static void keep_alive_and_chunks(void **state)
{
	struct bench *b = *state;

	talk(b, gw_wire_port(b->control),
	     "POST /set HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"sku_id\r\nd;x=1\r\n\":2,\"stock\":4\r\n1\r\n}\r\n0\r\n\r\n"
	     "GET /stock HTTP/1.1\r\nConnection: close\r\n\r\n");
	assert_int_equal(b->status, 200);
	assert_in(b, "\"sku_sn\":\"A-2\",\"stock\":4");
	talk(b, gw_wire_port(b->wire), "POST /openapi/router HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n");
	assert_int_equal(b->status, 413);
	talk(b, gw_wire_port(b->wire), "rubbish\r\n\r\n");
	assert_int_equal(b->status, 400);
}

static void state_survives(void **state)
{
	char folder[] = "/tmp/gw-state-XXXXXX", path[64];
	struct gw_shops again = { .count = 0 };
	struct bench *b = *state;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state.json", folder);
	assert_int_equal(gw_shops_parse(&again, data, sizeof(data) - 1, NULL), 0);
	assert_int_equal(gw_shops_restore(&again, path, &(struct err)ERR_INIT), 0);
	call(b, EDIT, ONE ",\"requestUniqueKey\":\"u9\"");
	control(b, "/add", "{\"goods_id\":702,\"name\":\"Neu\",\"skus\":[{\"sku_id\":6,\"sku_sn\":\"C\",\"stock\":9}]}");
	control(b, "/remove", "{\"sku_id\":2}");
	control(b, "/set", "{\"sku_id\":4,\"status\":3}");
	assert_int_equal(gw_shops_save(&b->gw->shops, path, NULL), 0);
	assert_int_equal(gw_shops_restore(&again, path, NULL), 0);
	assert_int_equal(gw_shop_sku(again.shops[0], 1)->stock, 42);
	assert_int_equal(gw_shop_sku(again.shops[0], 1)->edits, 1);
	assert_int_equal(gw_shop_sku(again.shops[0], 6)->stock, 9);
	assert_int_equal(gw_shop_sku(again.shops[0], 4)->status, GW_INACTIVE);
	assert_null(gw_shop_sku(again.shops[0], 2));
	assert_true(gw_shop_key_seen(again.shops[0], "u9"));
	gw_shops_release(&again);
	unlink(path);
	rmdir(folder);
}

/* What was confirmed is there after a kill: state of the last orderly end, then the journal. */
static void journal_survives_a_kill(void **state)
{
	char folder[] = "/tmp/gw-journal-XXXXXX", path[64], journal[80];
	struct gw_shops again = { .count = 0 }, third = { .count = 0 };
	struct bench *b = *state;
	FILE *file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state.json", folder);
	snprintf(journal, sizeof(journal), "%s.journal", path);
	assert_int_equal(gw_shops_journal_begin(&b->gw->shops, path, NULL), 0);
	call(b, EDIT, ONE ",\"requestUniqueKey\":\"u9\"");
	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":43}],\"requestUniqueKey\":\"u10\"");
	control(b, "/add", "{\"goods_id\":702,\"name\":\"Neu\",\"skus\":[{\"sku_id\":6,\"sku_sn\":\"C\",\"stock\":9}]}");
	control(b, "/add", "{\"goods_id\":703,\"name\":\"Kurz\",\"skus\":[{\"sku_id\":7,\"sku_sn\":\"D\",\"stock\":9}]}");
	control(b, "/remove", "{\"sku_id\":7}");
	control(b, "/set", "{\"sku_id\":4,\"status\":3}");
	file = fopen(journal, "ae");
	assert_non_null(file);
	assert_true(fputs("{\"mall_id\":1,\"skus\":[{\"sku_", file) >= 0); /* killed in the middle of a line */
	fclose(file);
	for (int round = 0; round < 2; round++) { /* the second time also over the state that the first one saved */
		struct gw_shops *shops = round == 0 ? &again : &third;

		assert_int_equal(gw_shops_parse(shops, data, sizeof(data) - 1, NULL), 0);
		assert_int_equal(gw_shops_restore(shops, path, NULL), 0);
		assert_int_equal(gw_shop_sku(shops->shops[0], 1)->stock, 43);
		assert_int_equal(gw_shop_sku(shops->shops[0], 1)->edits, 2);
		assert_string_equal(gw_shop_sku(shops->shops[0], 1)->last_key, "u10");
		assert_int_equal(gw_shop_sku(shops->shops[0], 6)->stock, 9);
		assert_null(gw_shop_sku(shops->shops[0], 7));
		assert_false(gw_shop_has_goods(shops->shops[0], 703));
		assert_int_equal(gw_shop_sku(shops->shops[0], 4)->status, GW_INACTIVE);
		assert_true(gw_shop_key_seen(shops->shops[0], "u9") && gw_shop_key_seen(shops->shops[0], "u10"));
		if (round == 0)
			assert_int_equal(gw_shops_save(shops, path, NULL), 0);
	}
	assert_int_equal(gw_shops_journal_begin(&third, path, NULL), 0);
	assert_int_equal(access(path, R_OK), 0);
	gw_shops_release(&again);
	gw_shops_release(&third);
	unlink(path);
	unlink(journal);
	rmdir(folder);
}

static void goods_are_known(void **state)
{
	struct bench *b = *state;
	struct gw_shop *shop = b->gw->shops.shops[0];

	assert_true(gw_shop_has_goods(shop, 701));
	assert_false(gw_shop_has_goods(shop, 999));
	gw_shop_remove(shop, gw_shop_sku(shop, 4));
	assert_true(gw_shop_has_goods(shop, 701));
	gw_shop_remove(shop, gw_shop_sku(shop, 5));
	assert_false(gw_shop_has_goods(shop, 701));
	for (int i = 0; i < 3000; i++) { /* the tables grow */
		char text[128];
		struct gw_doc doc;

		snprintf(text, sizeof(text), "{\"goods_id\":%d,\"name\":\"n\",\"skus\":[{\"sku_id\":%d,\"stock\":1}]}", 10000 + i, 20000 + i);
		assert_int_equal(gw_doc_parse(&doc, text, strlen(text), NULL), 0);
		assert_int_equal(gw_shop_add_goods(shop, doc.root, true, NULL), 0);
		gw_doc_release(&doc);
	}
	for (int i = 0; i < 3000; i++)
		assert_true(gw_shop_has_goods(shop, 10000 + i));
	assert_false(gw_shop_has_goods(shop, 701));
	assert_true(gw_shop_has_goods(shop, 700));
}

static void *caller(void *arg)
{
	struct bench *shared = arg, *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->wire = shared->wire;
	for (int i = 0; i < 20; i++) {
		call(b, EDIT, "\"goodsId\":700,\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":1}]");
		assert_int_equal(code(b), 1000000);
	}
	free(b);
	return NULL;
}

/* What a checker needs: each applied edit once, in order, through whom; nothing of refused ones and of the control port. */
static void writes_are_listed(void **state)
{
	struct bench *b = *state;

	call(b, EDIT, "\"goodsId\":700,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":9},{\"skuId\":4,\"stockTarget\":9}]");
	control(b, "/set", "{\"sku_id\":1,\"stock\":8}");
	snprintf(b->path, sizeof(b->path), "/openapi/router?x=1&via=one&y=2");
	call(b, EDIT, "\"goodsId\":700,\"skuStockChangeList\":[{\"skuId\":1,\"stockDiff\":-3}]");
	call(b, EDIT, "\"goodsId\":700,\"stockType\":1,\"skuStockTargetList\":[{\"skuId\":1,\"stockTarget\":2}]");
	get(b, "/writes");
	assert_non_null(strstr(b->body, "\"total\":2,\"dropped\":0"));
	assert_non_null(strstr(b->body, "\"mall_id\":1,\"sku_id\":1,\"was\":5,\"now\":9,\"via\":\"\"}"));
	assert_non_null(strstr(b->body, "\"mall_id\":1,\"sku_id\":1,\"was\":8,\"now\":5,\"via\":\"one\"}"));
	get(b, "/writes?since=1");
	assert_null(strstr(b->body, "\"now\":9"));
	assert_non_null(strstr(b->body, "\"number\":2"));
	get(b, "/calls");
	assert_non_null(strstr(b->body, "\"via\":\"one\""));
}

static void many_at_once(void **state)
{
	struct bench *b = *state;
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, caller, b), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	expect_stock(b, 1, 165, 160);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(checks_in_order), T(clock_can_be_moved), T(token_info), T(paging), T(list_is_strict), T(edits),
		T(edits_are_strict), T(rate_is_limited), cmocka_unit_test(bucket_refills), T(edge_faults), T(resets),
		T(late_effect), T(slow_and_broken_replies), T(code_skip_count), T(page_faults), T(edit_faults),
		T(sales_and_goods), T(keep_alive_and_chunks), T(state_survives), T(journal_survives_a_kill),
		T(goods_are_known), T(many_at_once), T(writes_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
