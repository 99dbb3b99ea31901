/* A look a day at each shop's token. What TEMU says of a token is read in temu_token.c; who hears of the alarm is core's affair. */
#include "worker/jobs/tokens.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "worker/jobs/env.h"
#include "worker/temu/temu_token.h"

#define CODE "TOKEN_EXPIRES"
#define FIRST_MS (15 * 60000)
#define AGAIN_MS (3600000) /* after a look that failed */
#define DAY_MS (24 * 3600000)

struct tokens {
	const struct settings *settings;
	struct journal *journal;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	int64_t due_ms[]; /* of each shop, on clock_kernel_ms */
};

/* --- one look --- */

struct wanted_alarm {
	int64_t shop, id;
};

static bool find_alarm(const struct alarm_state *state, void *arg)
{
	struct wanted_alarm *wanted = arg;

	if (state->shop != wanted->shop || strcmp(state->code, CODE) != 0)
		return true;
	wanted->id = state->id;
	return false;
}

static int end_alarm(struct journal *journal, int64_t shop, int64_t days, struct err *err)
{
	const struct alarm_filter open = { .resolved_ms = INT64_MAX };
	struct wanted_alarm wanted = { .shop = shop };
	char text[80];

	if (journal_alarm_list(journal, &open, find_alarm, &wanted, err) != 0)
		return -1;
	snprintf(text, sizeof(text), "the token is good for %" PRId64 " days", days);
	return wanted.id != 0 && journal_alarm_resolve(journal, wanted.id, text, err) < 0 ? -1 : 0;
}

static int open_alarm(struct journal *journal, int64_t shop, int64_t expires_ms, int64_t days, struct err *err)
{
	char text[300], when[CLOCK_TEXT_MAX];
	struct alarm_record alarm = { .shop = shop, .code = CODE, .text = text };

	snprintf(text, sizeof(text),
	         "the access token of shop %" PRId64 " is good for %" PRId64 " days more, until %s: have the app authorised again in the "
	         "seller center and put the new token into shops[].access_token",
	         shop, days > 0 ? days : 0, clock_format(expires_ms, when));
	log_warning(CODE ": %s", text);
	return journal_alarm(journal, &alarm, err) < 0 ? -1 : 0;
}

int tokens_look(const struct settings *settings, const struct shop_settings *shop, struct journal *journal,
                const struct temu_limits *limits, struct err *err)
{
	struct temu *temu = jobs_temu_new(settings, shop, err);
	struct temu_token token;
	int64_t days;
	int rc;

	if (!temu)
		return -1;
	rc = temu_token_read(temu, limits, &token, err);
	temu_free(temu);
	if (rc != 0)
		return -1;
	days = temu_token_days(&token, clock_now_ms());
	rc = days < settings->alarms_token_days ? open_alarm(journal, shop->id, token.expires_ms, days, err)
	                                        : end_alarm(journal, shop->id, days, err);
	temu_token_release(&token);
	return rc;
}

/* --- the thread --- */

static bool stopping(void *arg)
{
	struct tokens *tokens = arg;
	bool answer;

	pthread_mutex_lock(&tokens->lock);
	answer = tokens->stopping;
	pthread_mutex_unlock(&tokens->lock);
	return answer;
}

static void rest(struct tokens *tokens, int64_t wait_ms)
{
	struct timespec until = clock_kernel_after(wait_ms);

	pthread_mutex_lock(&tokens->lock);
	while (!tokens->stopping && pthread_cond_timedwait(&tokens->wake, &tokens->lock, &until) == 0)
		;
	pthread_mutex_unlock(&tokens->lock);
}

/* How long until the next look at this shop. */
static int64_t look_at(struct tokens *tokens, const struct shop_settings *shop)
{
	const struct temu_limits limits = { .cancelled = stopping, .arg = tokens };
	struct err err = ERR_INIT;

	if (tokens_look(tokens->settings, shop, tokens->journal, &limits, &err) == 0 || err.class == ERR_CANCELLED)
		return DAY_MS;
	log_warning("the access token of shop %" PRId64 " cannot be looked at: %s (%s)", shop->id, err.text, err.code);
	return AGAIN_MS;
}

int64_t tokens_round(struct tokens *tokens, int64_t now_ms)
{
	int64_t wait_ms = DAY_MS;

	for (size_t i = 0; i < tokens->settings->shop_count && !stopping(tokens); i++) {
		if (tokens->due_ms[i] <= now_ms)
			tokens->due_ms[i] = now_ms + look_at(tokens, &tokens->settings->shops[i]);
		if (tokens->due_ms[i] - now_ms < wait_ms)
			wait_ms = tokens->due_ms[i] - now_ms;
	}
	return wait_ms;
}

static void *work(void *arg)
{
	struct tokens *tokens = arg;
	int64_t wait_ms = FIRST_MS;

	for (;;) {
		rest(tokens, wait_ms);
		if (stopping(tokens))
			return NULL;
		wait_ms = tokens_round(tokens, clock_kernel_ms());
	}
}

static void release(struct tokens *tokens)
{
	pthread_cond_destroy(&tokens->wake);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens);
}

struct tokens *tokens_start(const struct settings *settings, struct journal *journal, struct err *err)
{
	struct tokens *tokens = calloc(1, sizeof(*tokens) + settings->shop_count * sizeof(tokens->due_ms[0]));
	pthread_condattr_t attr;

	if (!tokens) {
		err_set(err, ERR_TEMP, "JOBS_MEMORY", "no memory");
		return NULL;
	}
	tokens->settings = settings;
	tokens->journal = journal;
	pthread_mutex_init(&tokens->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&tokens->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&tokens->thread, NULL, work, tokens) == 0)
		return tokens;
	release(tokens);
	err_set(err, ERR_TEMP, "JOBS_THREAD", "no thread for the access tokens");
	return NULL;
}

void tokens_stop(struct tokens *tokens)
{
	if (!tokens)
		return;
	pthread_mutex_lock(&tokens->lock);
	tokens->stopping = true;
	pthread_cond_broadcast(&tokens->wake);
	pthread_mutex_unlock(&tokens->lock);
	pthread_join(tokens->thread, NULL);
	release(tokens);
}
