/* Fuzz target of the TEMU client's readers: any body goes through the envelope, the page reader with all its rows, and the
 * judgement of a stock edit. Whatever comes out must keep the promises of their headers. The first byte chooses the status. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "worker/temu/temu_answer.h"
#include "worker/temu/temu_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool truth)
{
	if (!truth)
		abort();
}

static void
expect_text(const char *text)
{
	expect(text != NULL && utf8_valid(text, strlen(text)));
}

static void
read_rows(const struct json *result)
{
	struct temu_names names;
	struct temu_page page;
	struct temu_sku sku;
	bool usable;
	int64_t rows = 0;

	if (temu_page_read(result, &page, NULL) != 0)
		return;
	expect(page.total >= 0);
	for (const struct json *row = page.first; row != NULL; row = json_next(row), rows++) {
		const char *what = temu_row_read(row, &names, &sku, &usable);
		expect(what != NULL || usable);
		expect(sku.sku_id >= 0 && sku.goods_id >= 0);
		expect_text(sku.sku_sn);
		expect_text(sku.goods_name);
		expect_text(sku.spec_name);
		if (!usable)
			continue;
		expect(sku.sku_id > 0 && sku.goods_id > 0 && sku.stock >= 0 && sku.stock <= TEMU_STOCK_MAX);
		expect(utf8_utf16_units(sku.sku_sn, strlen(sku.sku_sn)) <= TEMU_SKU_SN_UNITS);
		expect(utf8_utf16_units(sku.goods_name, strlen(sku.goods_name)) <= TEMU_GOODS_NAME_UNITS);
		expect(utf8_utf16_units(sku.spec_name, strlen(sku.spec_name)) <= TEMU_SPEC_NAME_UNITS);
	}
	expect(rows == page.rows);
}

static void
judge(const struct temu_call *call)
{
	struct temu_stock_item items[3] = { { .sku_id = 1, .goods_id = 7 }, { .sku_id = 2, .goods_id = 7 }, { .sku_id = 3, .goods_id = 7 } };
	struct temu_stock_item *const list[3] = { &items[0], &items[1], &items[2] };

	temu_edit_judge(call, list, 3);
	for (int i = 0; i < 3; i++) {
		expect_text(items[i].reason);
		expect_text(items[i].request_id);
		expect((items[i].outcome == TEMU_STOCK_CONFIRMED) == (items[i].code_text[0] == '\0'));
		expect(items[i].outcome != TEMU_STOCK_CONFIRMED || (call->err.class == ERR_NONE && call->result != NULL));
		expect(items[i].outcome != TEMU_STOCK_REFUSED || call->lost == 0);
		expect(!items[i].late || items[i].outcome == TEMU_STOCK_CONFIRMED);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 200, 200, 200, 200, 502, 429, 403 };
	struct http_request request = { .err = ERR_INIT, .retry_after_ms = -1, .date_ms = -1 };
	struct temu_call call;
	bool doubtful = false;

	if (size == 0)
		return 0;
	request.status = statuses[data[0] % 8];
	temu_call_init(&call, TEMU_STOCK_EDIT);
	call.write = true;
	buf_init(&request.response, size);
	buf_add(&request.response, data + 1, size - 1);
	enum temu_class class = temu_answer_read(&call, &request, &doubtful);
	expect((class == TEMU_OK) == (call.err.class == ERR_NONE));
	expect(class == TEMU_OK || call.result == NULL || call.document != NULL);
	expect_text(call.err.text);
	call.lost = class != TEMU_OK && doubtful ? 1 : (data[0] >> 3) & 1;
	call.unknown = class != TEMU_OK && call.lost > 0;
	read_rows(call.result);
	judge(&call);
	temu_call_release(&call);
	buf_release(&request.response);
	return 0;
}
