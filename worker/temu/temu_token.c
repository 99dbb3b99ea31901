/* One call and its reader. What follows from a token that ends soon or lacks a method is the jobs' business. */
#include "worker/temu/temu_token.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000
#define SCOPES_MAX 10000
#define SECONDS_MAX 253402300799 /* year 9999 */

static int
garbled(struct err *err, const char *what)
{
	return err_set(err, ERR_TEMP, "TEMU_GARBLED", TEMU_TOKEN_INFO ": %s", what);
}

static int
read_scopes(const struct json *list, struct temu_token *out, struct err *err)
{
	size_t size = json_size(list);

	if (json_is_null(list) || size == 0)
		return 0;
	if (!json_is_array(list) || size > SCOPES_MAX)
		return garbled(err, "\"apiScopeList\" is no list of methods");
	out->scopes = calloc(size, sizeof(*out->scopes));
	if (out->scopes == NULL)
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory for a list of methods");
	for (const struct json *each = json_first(list); each != NULL; each = json_next(each)) {
		if (!json_is_string(each))
			return garbled(err, "\"apiScopeList\" is no list of methods");
		char *scope = strdup(json_string(each));
		if (scope == NULL)
			return err_set(err, ERR_TEMP, "MEMORY", "out of memory for a list of methods");
		out->scopes[out->scope_count++] = scope;
	}
	return 0;
}

static int
read_token(const struct json *result, struct temu_token *out, struct err *err)
{
	int64_t expires_s;

	if (json_int64(json_get(result, "mallId"), &out->mall_id) != 0 || out->mall_id <= 0)
		return garbled(err, "no usable \"mallId\"");
	out->mall_type = json_get_int64(result, "mallType", 0);
	out->region_id = json_get_int64(result, "regionId", 0);
	expires_s = json_get_int64(result, "expiredTime", 0);
	out->expires_ms = expires_s > 0 && expires_s <= SECONDS_MAX ? expires_s * 1000 : 0;
	return read_scopes(json_get(result, "apiScopeList"), out, err);
}

static int
check_token(struct temu_call *call, struct err *err)
{
	struct temu_token token = { .mall_id = 0 };
	int rc = read_token(call->result, &token, err);
	temu_token_release(&token);
	return rc;
}

int
temu_token_read(struct temu *temu, const struct temu_limits *limits, struct temu_token *out, struct err *err)
{
	struct temu_call call;

	*out = (struct temu_token){ .mall_id = 0 };
	temu_call_init(&call, TEMU_TOKEN_INFO);
	call.check = check_token;
	int rc = temu_call_one(temu, &call, limits, err);
	if (rc == 0)
		rc = read_token(call.result, out, err);
	if (rc != 0)
		temu_token_release(out);
	temu_call_release(&call);
	return rc;
}

void
temu_token_release(struct temu_token *token)
{
	for (size_t i = 0; i < token->scope_count; i++)
		free(token->scopes[i]);
	free(token->scopes);
	*token = (struct temu_token){ .mall_id = 0 };
}

bool
temu_token_allows(const struct temu_token *token, const char *method)
{
	for (size_t i = 0; i < token->scope_count; i++)
		if (strcmp(token->scopes[i], method) == 0)
			return true;
	return false;
}

int64_t
temu_token_days(const struct temu_token *token, int64_t now_ms)
{
	if (token->expires_ms == 0)
		return INT64_MAX;
	int64_t left_ms = token->expires_ms - now_ms;
	return left_ms >= 0 ? left_ms / DAY_MS : -((-left_ms + DAY_MS - 1) / DAY_MS);
}
