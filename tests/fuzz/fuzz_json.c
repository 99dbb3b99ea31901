/* Fuzz target of common/json: whatever is accepted prints to text that is accepted again and prints the same, and every
 * reader may be asked about every value. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct json *value)
{
	const char *text = json_string(value);
	int64_t number;
	bool flag;

	if (text && !utf8_valid(text, strlen(text)))
		abort();
	if (json_is_number(value) && (text || json_is_string(value)))
		abort();
	if (json_int64(value, &number) == 0 && !json_is_number(value) && !text)
		abort();
	if (json_bool(value, &flag) == 0 && text)
		abort();
	for (const struct json *each = json_first(value); each; each = json_next(each)) {
		if (json_is_object(value) && !json_get(value, json_name(each)))
			abort();
		ask(each);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct json *root = json_parse((const char *)data, size, &err), *again;
	struct buf first, second;

	if (!root) {
		if (err.class != ERR_PERM || strncmp(err.text, "JSON at ", 8) != 0)
			abort(); /* a refusal without a place means that cJSON refused what the strict pass let through */
		return 0;
	}
	ask(root);
	buf_init(&first, size * 6 + 16);
	buf_init(&second, size * 6 + 16);
	json_print(root, &first);
	again = json_parse(buf_text(&first), first.len, &err);
	if (first.failed || !again)
		abort();
	json_print(again, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	json_free(again);
	json_free(root);
	buf_release(&first);
	buf_release(&second);
	return 0;
}
