/* Loads settings.def's table through common/conf and checks what spans several keys. The values' meaning lives with
 * whoever uses them. */
#include "proto/settings.h"

#include <string.h>
#include "common/http.h"

static const struct conf_key keys[] = {
#define KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct settings, field), fallback, min, max, choices, help },
#define SHOP_KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct shop_settings, field), fallback, min, max, choices, help },
#include "proto/settings.def"
#undef KEY
#undef SHOP_KEY
};
static const struct conf_list lists[] = {
	{ "shops", sizeof(struct shop_settings), 100, offsetof(struct settings, shops), offsetof(struct settings, shop_count) },
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
#define LIST_COUNT (sizeof(lists) / sizeof(lists[0]))

static bool
same_secret(const struct secret *a, const struct secret *b)
{
	return secret_len(a) == secret_len(b) && memcmp(secret_bytes(a), secret_bytes(b), secret_len(a)) == 0;
}

static int
check_shop(const struct settings *settings, size_t index, struct err *err)
{
	const struct shop_settings *shop = &settings->shops[index];
	if (shop->warehouses.count == 0)
		return err_set(err, ERR_PERM, "CONFIG", "shops[%zu].warehouses: name at least one kWarenlager", index);
	if (strcmp(shop->region, "eu") != 0 && strcmp(shop->region, "us") != 0 && strcmp(shop->region, "global") != 0)
		return err_set(err, ERR_PERM, "CONFIG", "shops[%zu].region: expected eu, us or global, found \"%s\"", index,
		               shop->region);
	if (shop->url[0] != '\0' && http_url_check(shop->url, NULL, err) != 0)
		return err_context(err, "shops[%zu].url", index);
	for (size_t i = 0; i < index; i++) {
		const struct shop_settings *other = &settings->shops[i];
		if (other->id == shop->id)
			return err_set(err, ERR_PERM, "CONFIG", "shops[%zu].id: %lld is the id of shops[%zu] already", index,
			               (long long)shop->id, i);
		/* A token belongs to one shop of TEMU: two of ours with it would both write there. */
		if (same_secret(other->access_token, shop->access_token))
			return err_set(err, ERR_PERM, "CONFIG", "shops[%zu].access_token: the same as that of shops[%zu]", index, i);
	}
	return 0;
}

int
settings_load(const char *file, struct settings *settings, struct err *err)
{
	memset(settings, 0, sizeof(*settings));
	if (conf_load(file, "TEMU_", keys, KEY_COUNT, lists, LIST_COUNT, settings, err) != 0)
		return -1;
	int rc = 0;
	if (settings->shop_count == 0)
		rc = err_set(err, ERR_PERM, "CONFIG", "shops: name at least one shop");
	for (size_t i = 0; rc == 0 && i < settings->shop_count; i++)
		rc = check_shop(settings, i, err);
	if (rc != 0) {
		if (file != NULL)
			err_context(err, "%s", file);
		settings_release(settings);
	}
	return rc;
}

void
settings_release(struct settings *settings)
{
	conf_release(keys, KEY_COUNT, lists, LIST_COUNT, settings);
	memset(settings, 0, sizeof(*settings));
}

void
settings_print_help(struct buf *out)
{
	conf_print_help(keys, KEY_COUNT, out);
}

const struct shop_settings *
settings_shop(const struct settings *settings, int64_t id)
{
	for (size_t i = 0; i < settings->shop_count; i++)
		if (settings->shops[i].id == id)
			return &settings->shops[i];
	return NULL;
}
