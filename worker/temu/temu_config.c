/* Addresses of the regions, and whether a configuration can work. Using it is temu.c's business. */
#include "worker/temu/temu_config.h"

#include <string.h>
#include "common/http.h"

#define IN_FLIGHT_MAX 64
#define MAX_RESPONSE ((size_t)8 << 20)
#define BACKOFF_MS 500
#define BACKOFF_MAX_MS 8000
#define RATE_WAIT_MS 1000

static const struct {
	const char *region, *url;
} regions[] = {
	{ "eu", "https://openapi-b-eu.temu.com/openapi/router" },
	{ "us", "https://openapi-b-us.temu.com/openapi/router" },
	{ "global", "https://openapi-b-global.temu.com/openapi/router" },
};

const char *
temu_region_url(const char *region)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		if (region != NULL && strcmp(regions[i].region, region) == 0)
			return regions[i].url;
	return NULL;
}

int
temu_config_check(const struct temu_config *config, const char **url, struct err *err)
{
	*url = config->url != NULL && config->url[0] != '\0' ? config->url : temu_region_url(config->region);
	if (*url == NULL)
		return err_set(err, ERR_PERM, "TEMU_CONFIG", "region \"%s\": expected eu, us or global",
		               config->region != NULL ? config->region : "");
	if (http_url_check(*url, NULL, err) != 0)
		return err_context(err, "address of the TEMU gateway");
	if (secret_len(config->app_key) == 0 || secret_len(config->app_secret) == 0 || secret_len(config->access_token) == 0)
		return err_set(err, ERR_PERM, "TEMU_CONFIG", "app_key, app_secret and access_token must all be set");
	if (config->in_flight < 1 || config->in_flight > IN_FLIGHT_MAX || config->timeout_ms < 1 || config->timeout_ms > 3600000 ||
	    config->attempts < 1 || config->attempts > 100 || config->rate < 1)
		return err_set(err, ERR_PERM, "TEMU_CONFIG", "rate, in_flight, timeout_ms or attempts out of range");
	return 0;
}

void
temu_config_usual(struct temu_config *config)
{
	if (config->max_response == 0)
		config->max_response = MAX_RESPONSE;
	if (config->backoff_ms <= 0)
		config->backoff_ms = BACKOFF_MS;
	if (config->backoff_max_ms <= 0)
		config->backoff_max_ms = BACKOFF_MAX_MS;
	if (config->rate_wait_ms <= 0)
		config->rate_wait_ms = RATE_WAIT_MS;
}
