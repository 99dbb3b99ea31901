/* MD5 over secret, sorted names and values, secret; rebuilt from the parsed tree as the real gateway does.
 * The comparison and the codes for a wrong signature are the router's. */
#include "ecosystem/sandbox/gateway/gw_sign.h"

#include <nettle/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 256
#define TEXT_MAX ((size_t)4 << 20)

static int by_name(const void *a, const void *b)
{
	const struct gw_value *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

int gw_sign(const struct gw_value *body, const char *secret, char out[GW_SIGN_LEN + 1], struct err *err)
{
	const struct gw_value *members[MEMBERS_MAX] = { NULL };
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx md5;
	struct buf text;
	size_t count = 0;
	int rc = -1;

	buf_init(&text, TEXT_MAX);
	buf_add_text(&text, secret);
	for (const struct gw_value *member = body->first; member; member = member->next) {
		if (strcmp(member->name, "sign") == 0)
			continue;
		if (count == MEMBERS_MAX) {
			err_set(err, ERR_PERM, "SIGN", "more than %d parameters", MEMBERS_MAX);
			goto out;
		}
		members[count++] = member;
	}
	qsort(members, count, sizeof(members[0]), by_name);
	for (size_t i = 0; i < count; i++) {
		buf_add_text(&text, members[i]->name);
		if (members[i]->type == GW_STRING)
			buf_add_text(&text, members[i]->text);
		else
			gw_print(members[i], &text);
	}
	buf_add_text(&text, secret);
	if (buf_check(&text, "signed text", err) != 0)
		goto out;
	md5_init(&md5);
	md5_update(&md5, text.len, (const uint8_t *)text.data);
	md5_digest(&md5, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02X", digest[i]);
	rc = 0;
out:
	buf_release(&text);
	return rc;
}
