/* Loads settings.def's table through common/conf and checks what spans several keys. The values' meaning lives with
 * whoever uses them. */
#include "proto/settings.h"

#include <stdio.h>
#include <string.h>
#include "common/cron.h"
#include "common/http.h"

static const struct conf_key keys[] = {
#define KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct settings, field), fallback, min, max, choices, help },
#define SHOP_KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct shop_settings, field), fallback, min, max, choices, help },
#define HOOK_KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct webhook_settings, field), fallback, min, max, choices, help },
#define SCHEDULE_KEY(path, type, field, fallback, min, max, choices, help) \
	{ path, type, offsetof(struct schedule_settings, field), fallback, min, max, choices, help },
#include "proto/settings.def"
#undef HOOK_KEY
#undef KEY
#undef SHOP_KEY
};
static const struct conf_list lists[] = {
	{ "shops", sizeof(struct shop_settings), 100, offsetof(struct settings, shops), offsetof(struct settings, shop_count),
	  false },
	{ "webhooks", sizeof(struct webhook_settings), WEBHOOKS_MAX, offsetof(struct settings, webhooks),
	  offsetof(struct settings, webhook_count), true },
	{ "schedules", sizeof(struct schedule_settings), SCHEDULES_MAX, offsetof(struct settings, schedules),
	  offsetof(struct settings, schedule_count), true },
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

/* --- alarms ------------------------------------------------------------------------------------------------------- */

static bool
plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int
check_webhook(const struct settings *settings, size_t index, struct err *err)
{
	const struct webhook_settings *hook = &settings->webhooks[index];
	const char *header = secret_bytes(hook->header);
	size_t colon = strcspn(header, ":");
	if (strspn(hook->name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(hook->name) || strcmp(hook->name, "mail") == 0)
		return err_set(err, ERR_PERM, "CONFIG", "webhooks[%zu].name: expected a-z, 0-9, - and _, and not mail", index);
	for (size_t i = 0; i < index; i++)
		if (strcmp(settings->webhooks[i].name, hook->name) == 0)
			return err_set(err, ERR_PERM, "CONFIG", "webhooks[%zu].name: that of webhooks[%zu] already", index, i);
	if (secret_len(hook->url) > 0 && http_url_check(secret_bytes(hook->url), NULL, err) != 0)
		return err_context(err, "webhooks[%zu].url", index);
	if (header[0] != '\0' && (colon == 0 || header[colon] == '\0' || strcspn(header, " ") < colon || !plain(header)))
		return err_set(err, ERR_PERM, "CONFIG", "webhooks[%zu].header: expected one line \"Name: value\"", index);
	return 0;
}

/* An address, len bytes, that cannot end its line or bracket. */
static bool
is_mail_address(const char *text, size_t len)
{
	size_t at = 0;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || strchr("<>,;\"\\()", text[i]) != NULL)
			return false;
		if (text[i] == '@' && (at != 0 || i == 0))
			return false;
		if (text[i] == '@')
			at = i;
	}
	return at > 0 && at + 1 < len && len <= MAIL_ADDRESS_MAX;
}

static int
check_mail(const struct settings *settings, struct err *err)
{
	size_t count = 0;
	if (settings->mail_url[0] == '\0')
		return 0;
	if (http_mail_check(settings->mail_url, NULL, err) != 0)
		return err_context(err, "alarms.mail_url");
	if (!is_mail_address(settings->mail_from, strlen(settings->mail_from)))
		return err_set(err, ERR_PERM, "CONFIG", "alarms.mail_from: expected an address such as temu@example.com");
	for (const char *at = settings->mail_to;; count++) {
		const char *begin = at + strspn(at, " "), *comma = begin + strcspn(begin, ",");
		size_t len = (size_t)(comma - begin);
		while (len > 0 && begin[len - 1] == ' ')
			len--;
		if (!is_mail_address(begin, len) || count == MAIL_TO_MAX)
			return err_set(err, ERR_PERM, "CONFIG", "alarms.mail_to: expected 1 to %d addresses with commas between", MAIL_TO_MAX);
		if (*comma == '\0')
			return 0;
		at = comma + 1;
	}
}

static int
check_alarms(const struct settings *settings, struct err *err)
{
	for (size_t i = 0; i < settings->webhook_count; i++)
		if (check_webhook(settings, i, err) != 0)
			return -1;
	if (secret_len(settings->heartbeat_url) > 0 && http_url_check(secret_bytes(settings->heartbeat_url), NULL, err) != 0)
		return err_context(err, "heartbeat.url");
	return check_mail(settings, err);
}

/* --- schedules ---------------------------------------------------------------------------------------------------- */

static int
check_schedule(const struct settings *settings, size_t index, struct err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const struct schedule_settings *schedule = &settings->schedules[index];
	if (strspn(schedule->name, letters) != strlen(schedule->name))
		return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].name: \"%s\" has more than letters, digits, dot, _ and -", index,
		               schedule->name);
	for (size_t i = 0; i < index; i++)
		if (strcmp(settings->schedules[i].name, schedule->name) == 0)
			return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].name: \"%s\" is the name of schedules[%zu] already", index,
			               schedule->name, i);
	if (schedule->shop != 0 && settings_shop(settings, schedule->shop) == NULL)
		return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].shop: there is no shop %lld", index, (long long)schedule->shop);
	if (settings_when_check(schedule, schedule->when, err) != 0) {
		err_context(err, "schedules[%zu]", index);
		snprintf(err->code, sizeof(err->code), "CONFIG");
		return -1;
	}
	return 0;
}

int
settings_when_check(const struct schedule_settings *schedule, const char *when, struct err *err)
{
	struct cron cron;
	if (cron_parse(when, &cron, err) != 0)
		return err_context(err, "field when");
	if (cron.every_ms > 0 && schedule->jitter_s * 1000 >= cron.every_ms)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field when: \"%s\" is not longer than jitter_s (%lld seconds)", when,
		               (long long)schedule->jitter_s);
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
	if (rc == 0)
		rc = check_alarms(settings, err);
	for (size_t i = 0; rc == 0 && i < settings->schedule_count; i++)
		rc = check_schedule(settings, i, err);
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
	conf_print_help(keys, KEY_COUNT, lists, LIST_COUNT, out);
}

const struct shop_settings *
settings_shop(const struct settings *settings, int64_t id)
{
	for (size_t i = 0; i < settings->shop_count; i++)
		if (settings->shops[i].id == id)
			return &settings->shops[i];
	return NULL;
}
