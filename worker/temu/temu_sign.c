/* Building the root of a request and hashing it: sorted names, bare strings, everything else as it is sent (temu_api.md 2.1).
 * Which parameters a request needs, and when it is stamped, is the client's business (temu.c). */
#include "worker/temu/temu_sign.h"

#include <inttypes.h>
#include <nettle/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/json.h"
#include "common/utf8.h"

void
temu_params_init(struct temu_params *params)
{
	*params = (struct temu_params){ .count = 0 };
	buf_init(&params->text, TEMU_PARAMS_BYTES);
}

void
temu_params_release(struct temu_params *params)
{
	buf_release(&params->text);
	params->count = 0;
	params->wrong = NULL;
}

void
temu_params_clear(struct temu_params *params)
{
	buf_clear(&params->text);
	params->count = 0;
	params->wrong = NULL;
}

static const char *
name_of(const struct temu_params *params, const struct temu_param *param)
{
	return params->text.data + param->name;
}

static const char *
value_of(const struct temu_params *params, const struct temu_param *param)
{
	return params->text.data + param->value;
}

static void
blame(struct temu_params *params, const char *what)
{
	if (params->wrong == NULL)
		params->wrong = what;
}

/* The gateway sorts by name and takes the first or the last of two equal ones; "sign" is never signed. */
static void
check_name(struct temu_params *params, const char *name)
{
	size_t len = strlen(name);
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	if (len == 0 || strspn(name, plain) != len || strcmp(name, "sign") == 0)
		blame(params, "a name that cannot be a parameter's");
	for (size_t i = 0; i < params->count; i++)
		if (strcmp(name_of(params, &params->items[i]), name) == 0)
			blame(params, "a name that is there twice");
}

static void
add(struct temu_params *params, const char *name, const char *value, size_t len, bool string)
{
	if (params->count == TEMU_PARAMS_MAX) {
		blame(params, "too many parameters");
		return;
	}
	check_name(params, name);
	struct temu_param param = { .name = params->text.len, .len = len, .string = string };
	buf_add(&params->text, name, strlen(name) + 1);
	param.value = params->text.len;
	buf_add(&params->text, value, len);
	buf_add_char(&params->text, '\0');
	if (params->text.failed)
		blame(params, "more text than a request may have");
	else
		params->items[params->count++] = param;
}

static bool
is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == '"' || text[i] == '\\')
			return false;
	return utf8_valid(text, len);
}

void
temu_params_add_string(struct temu_params *params, const char *name, const char *value)
{
	size_t len = value != NULL ? strlen(value) : 0;
	if (len == 0)
		return;
	if (!is_plain(value, len))
		blame(params, "text with a quote, backslash or control character, or no UTF-8");
	add(params, name, value, len, true);
}

void
temu_params_add_int64(struct temu_params *params, const char *name, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, value);
	add(params, name, text, (size_t)len, false);
}

void
temu_params_add_bool(struct temu_params *params, const char *name, bool value)
{
	add(params, name, value ? "true" : "false", value ? 4 : 5, false);
}

/* Floats and 1e3 are signed differently by every client (2.3). */
static bool
whole_numbers(const struct json *value)
{
	int64_t number;
	struct buf text;
	bool whole = true;

	if (json_is_number(value)) {
		buf_init(&text, 64);
		json_print(value, &text);
		whole = json_int64(value, &number) == 0 && strspn(buf_text(&text), "-0123456789") == text.len;
		buf_release(&text);
	}
	for (const struct json *each = json_first(value); whole && each != NULL; each = json_next(each))
		whole = whole_numbers(each);
	return whole;
}

void
temu_params_add_json(struct temu_params *params, const char *name, const char *json_text)
{
	size_t len = json_text != NULL ? strlen(json_text) : 0;
	if (len == 0)
		return;
	struct json *root = json_parse(json_text, len, NULL);
	struct buf printed;
	buf_init(&printed, TEMU_PARAMS_BYTES);
	json_print(root, &printed);
	if (json_first(root) == NULL || !whole_numbers(root) || strcmp(buf_text(&printed), json_text) != 0)
		blame(params, "JSON that is empty, not compact or not plain");
	add(params, name, json_text, len, false);
	buf_release(&printed);
	json_free(root);
}

void
temu_params_append(struct temu_params *params, const struct temu_params *from)
{
	if (from->wrong != NULL)
		blame(params, from->wrong);
	for (size_t i = 0; i < from->count; i++) {
		const struct temu_param *param = &from->items[i];
		add(params, name_of(from, param), value_of(from, param), param->len, param->string);
	}
}

int
temu_params_check(const struct temu_params *params, struct err *err)
{
	if (params->wrong == NULL)
		return 0;
	return err_set(err, ERR_PERM, "TEMU_PARAMS", "parameters of a TEMU request: %s", params->wrong);
}

struct sorted {
	const char *name;
	const struct temu_param *param;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct sorted *)a)->name, ((const struct sorted *)b)->name);
}

static void
hash(struct md5_ctx *md5, const char *text, size_t len)
{
	md5_update(md5, len, (const uint8_t *)text);
}

int
temu_sign(const struct temu_params *params, const char *secret, char out[TEMU_SIGN_LEN + 1], struct err *err)
{
	struct sorted sorted[TEMU_PARAMS_MAX];
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx md5;

	if (temu_params_check(params, err) != 0)
		return -1;
	for (size_t i = 0; i < params->count; i++)
		sorted[i] = (struct sorted){ name_of(params, &params->items[i]), &params->items[i] };
	qsort(sorted, params->count, sizeof(sorted[0]), by_name);
	md5_init(&md5);
	hash(&md5, secret, strlen(secret));
	for (size_t i = 0; i < params->count; i++) {
		hash(&md5, sorted[i].name, strlen(sorted[i].name));
		hash(&md5, value_of(params, sorted[i].param), sorted[i].param->len);
	}
	hash(&md5, secret, strlen(secret));
	md5_digest(&md5, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02X", digest[i]);
	return 0;
}

int
temu_sign_body(const struct temu_params *params, const char *secret, struct buf *out, struct err *err)
{
	char sign[TEMU_SIGN_LEN + 1];

	if (temu_sign(params, secret, sign, err) != 0)
		return -1;
	buf_clear(out);
	json_object_open(out, NULL);
	for (size_t i = 0; i < params->count; i++) {
		const struct temu_param *param = &params->items[i];
		if (param->string)
			json_add_string(out, name_of(params, param), value_of(params, param));
		else
			json_add_raw(out, name_of(params, param), value_of(params, param));
	}
	json_add_string(out, "sign", sign);
	json_object_close(out);
	return buf_check(out, "TEMU request", err);
}
