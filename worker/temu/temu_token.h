/* temu_token: what TEMU says about the shop's access token (bg.open.accesstoken.info.get, temu_api.md 3.7). */
#ifndef WORKER_TEMU_TEMU_TOKEN_H
#define WORKER_TEMU_TEMU_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "worker/temu/temu.h"

#define TEMU_TOKEN_INFO "bg.open.accesstoken.info.get"

struct temu_token {
	int64_t mall_id;    /* of the shop */
	int64_t mall_type;  /* 100 local, 1 semi-managed, 0 not said */
	int64_t region_id;  /* 0 not said */
	int64_t expires_ms; /* UTC; 0 not said */
	char **scopes;      /* methods the seller has authorised */
	size_t scope_count;
};

/* Blocks. 0, or -1 with the call's error; TEMU_GARBLED (TEMP) when the answer has no mallId or a mistyped list.
 * Release the token after success. */
int temu_token_read(struct temu *temu, const struct temu_limits *limits, struct temu_token *out, struct err *err) MUSTCHECK;
void temu_token_release(struct temu_token *token);

bool temu_token_allows(const struct temu_token *token, const char *method);
/* Whole days left, negative when it has expired, INT64_MAX when TEMU did not say. */
int64_t temu_token_days(const struct temu_token *token, int64_t now_ms);

#endif
