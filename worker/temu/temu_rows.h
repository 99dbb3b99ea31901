/* temu_rows: what stands in the answers of the SKU list and the stock edit (temu_api.md 5.1, 5.3). Pure; internal to
 * temu_stock and open for its tests. */
#ifndef WORKER_TEMU_TEMU_ROWS_H
#define WORKER_TEMU_TEMU_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "worker/temu/temu_stock.h"

struct temu_page {
	int64_t total;  /* SKUs of the list, by TEMU's word */
	int64_t number; /* pageNo, 0 when not said */
	const struct json *first; /* its first row, NULL when empty; json_next leads on */
	int64_t rows;
};

/* 0, or -1 with TEMU_GARBLED (TEMP) when the result is no page. */
int temu_page_read(const struct json *result, struct temu_page *out, struct err *err) MUSTCHECK;

/* One row. NULL: fine. Otherwise what is wrong (static text); *usable says whether out may be handed over all the same.
 * Ids are filled as far as they can be read. Texts are borrowed from the row or from names, which holds cut copies. */
struct temu_names {
	char goods_name[TEMU_GOODS_NAME_UNITS * 3 + 1], spec_name[TEMU_SPEC_NAME_UNITS * 3 + 1];
};
const char *temu_row_read(const struct json *row, struct temu_names *names, struct temu_sku *out, bool *usable);

/* The outcome of every item of a finished stock edit. */
void temu_edit_judge(const struct temu_call *call, struct temu_stock_item *const items[], size_t count);

#endif
