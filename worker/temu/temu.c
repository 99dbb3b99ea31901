/* The driver: places for open calls, when each is sent, and when again. What an answer means is temu_answer.c's, the pace
 * temu_budget.c's, the signature temu_sign.c's. */
#include "worker/temu/temu.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "worker/temu/temu_answer.h"
#include "worker/temu/temu_budget.h"
#include "worker/temu/temu_config.h"

#define TICK_MS 100
#define STALE_MS 100 /* a call that waited so long is asked about once more */
#define CONNECT_MS 10000
#define RATE_WAIT_MAX_MS 30000
#define RATE_TRIES 8
#define HELD_MAX 16
#define CLOCK_NOISE_MS 2000
#define ASKED_MAX_MS 60000 /* a longer Retry-After is the caller's to wait */

enum place_state { PLACE_FREE, PLACE_WAITING, PLACE_SENT };

/* One open call. */
struct place {
	struct temu *temu;
	struct temu_call *call;
	enum place_state state;
	uint64_t number;   /* order of arrival; the older one goes first */
	int64_t due_ms;    /* WAITING: not before */
	int64_t opened_ms; /* when next gave the call */
	int spent;         /* attempts that count against `attempts` */
	int rate_tries;
	bool clock_tried, waited;
	struct http_request request;
	struct buf body;
};

/* One temu_run. */
struct run {
	struct temu_call *(*next)(void *arg);
	void (*done)(struct temu_call *call, void *arg);
	void *arg;
	const struct temu_limits *limits;
	bool stopping;
	struct err why;          /* when stopping */
	int64_t abort_ms;        /* when stopping: until then what is in flight may finish */
	struct err shut;         /* an AUTH answer: nothing more is sent. NONE otherwise */
	struct { const char *type; struct err err; } held[HELD_MAX]; /* methods without permission */
	size_t held_count;
};

struct temu {
	struct http *http;
	struct temu_budget *budget;
	struct temu_config config; /* pointers are the owner's, url our own */
	char *url;
	char *ca_file;
	int64_t clock_offset_ms;   /* TEMU's clock minus ours */
	uint64_t arrivals;
	struct temu_stats stats;
	struct run run;
	bool running;
	int count;
	struct place places[];
};

/* --- life ------------------------------------------------------------------------------------------------------ */

struct temu *
temu_new(const struct temu_config *config, struct err *err)
{
	struct temu *temu = NULL;
	const char *url;

	if (temu_config_check(config, &url, err) != 0)
		return NULL;
	temu = calloc(1, sizeof(*temu) + (size_t)config->in_flight * sizeof(temu->places[0]));
	if (temu == NULL)
		goto no_memory;
	temu->config = *config;
	temu_config_usual(&temu->config);
	temu->count = (int)config->in_flight;
	for (int i = 0; i < temu->count; i++) {
		temu->places[i].temu = temu;
		buf_init(&temu->places[i].body, TEMU_PARAMS_BYTES * 2);
	}
	temu->url = strdup(url);
	temu->ca_file = config->ca_file != NULL && config->ca_file[0] != '\0' ? strdup(config->ca_file) : NULL;
	if (temu->url == NULL)
		goto no_memory;
	temu->http = http_new(temu->count, temu->ca_file, err);
	if (temu->http == NULL)
		goto failed;
	temu->budget = temu_budget_get(config->app_key, config->rate);
	return temu;
no_memory:
	err_set(err, ERR_TEMP, "HTTP_MEMORY", "out of memory for a TEMU client");
failed:
	temu_free(temu);
	return NULL;
}

void
temu_free(struct temu *temu)
{
	if (temu == NULL)
		return;
	assert(!temu->running);
	http_free(temu->http);
	for (int i = 0; i < temu->count; i++)
		buf_release(&temu->places[i].body);
	free(temu->url);
	free(temu->ca_file);
	free(temu);
}

void
temu_wakeup(struct temu *temu)
{
	http_wakeup(temu->http);
}

void
temu_stats_get(const struct temu *temu, struct temu_stats *out)
{
	*out = temu->stats;
}

void
temu_call_init(struct temu_call *call, const char *type)
{
	*call = (struct temu_call){ .type = type, .err = ERR_INIT };
	temu_params_init(&call->params);
}

void
temu_call_release(struct temu_call *call)
{
	temu_answer_forget(call);
	temu_params_release(&call->params);
}

/* --- waits ----------------------------------------------------------------------------------------------------- */

static int64_t
random_below(int64_t limit)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort();
	return limit > 0 ? (int64_t)(random % (uint64_t)limit) : 0;
}

static int64_t
doubled(int64_t first_ms, int times, int64_t most_ms)
{
	int64_t ms = first_ms;
	for (int i = 0; i < times && ms < most_ms; i++)
		ms *= 2;
	return ms < most_ms ? ms : most_ms;
}

/* Full jitter; never before what the other side asked for. */
static int64_t
backoff_ms(const struct place *place)
{
	const struct temu_config *config = &place->temu->config;
	int64_t ceiling = doubled(config->backoff_ms, place->spent - 1, config->backoff_max_ms);
	int64_t asked = place->call->err.wait_ms > 0 ? place->call->err.wait_ms : 0;
	return asked + random_below(ceiling + 1);
}

static int64_t
rate_wait_ms(const struct place *place)
{
	int64_t ceiling = doubled(place->temu->config.rate_wait_ms, place->rate_tries - 1, RATE_WAIT_MAX_MS);
	int64_t asked = place->call->err.wait_ms > 0 ? place->call->err.wait_ms : 0;
	int64_t wait = ceiling / 2 + random_below(ceiling / 2 + 1);
	return asked > wait ? asked + random_below(ceiling / 2 + 1) : wait;
}

/* --- the end of a call ----------------------------------------------------------------------------------------- */

static void
finish(struct place *place)
{
	struct temu *temu = place->temu;
	struct temu_call *call = place->call;

	if (call->err.class != ERR_NONE) {
		temu->stats.failed++;
		call->unknown = call->write && call->lost > 0;
	}
	place->state = PLACE_FREE;
	place->call = NULL;
	buf_clear(&place->body);
	temu->run.done(call, temu->run.arg);
}

static void
finish_with(struct place *place, const struct err *err)
{
	temu_answer_forget(place->call);
	place->call->err = *err;
	finish(place);
}

/* The error that stands against sending this method at all in this run, or NULL. */
static const struct err *
held(const struct run *run, const char *type)
{
	if (run->shut.class != ERR_NONE)
		return &run->shut;
	for (size_t i = 0; i < run->held_count; i++)
		if (strcmp(run->held[i].type, type) == 0)
			return &run->held[i].err;
	return NULL;
}

static void
hold(struct run *run, enum temu_class class, const struct temu_call *call)
{
	if (class == TEMU_AUTH && run->shut.class == ERR_NONE)
		run->shut = call->err;
	if (class == TEMU_AUTH_METHOD && held(run, call->type) == NULL && run->held_count < HELD_MAX) {
		run->held[run->held_count].type = call->type;
		run->held[run->held_count++].err = call->err;
	}
}

/* --- after an answer ------------------------------------------------------------------------------------------- */

/* Takes TEMU's Date for the clock. False when there is none. */
static bool
correct_clock(struct temu *temu, int64_t date_ms)
{
	if (date_ms < 0)
		return false;
	int64_t offset_ms = date_ms - clock_now_ms(), change_ms = offset_ms - temu->clock_offset_ms;
	if (change_ms > CLOCK_NOISE_MS || change_ms < -CLOCK_NOISE_MS) {
		temu->clock_offset_ms = offset_ms;
		log_warning("TEMU's clock and this machine's are %lld s apart: requests are stamped with TEMU's time, set the machine's clock",
		            (long long)(offset_ms / 1000));
	}
	return true;
}

/* Whether the call is sent again, and after how long. */
static bool
again(struct place *place, enum temu_class class, int64_t *wait_ms)
{
	struct temu *temu = place->temu;
	const struct temu_call *call = place->call;

	*wait_ms = 0;
	if (class == TEMU_RATE) {
		place->rate_tries++;
		*wait_ms = rate_wait_ms(place);
		temu_budget_limited(temu->budget, temu->config.rate_wait_ms);
		temu->stats.limited++;
	} else if (class != TEMU_CLOCK) {
		place->spent++;
		*wait_ms = backoff_ms(place);
	}
	if (temu->run.stopping || call->err.wait_ms > ASKED_MAX_MS)
		return false;
	if (call->write && call->lost > 0 && !(call->repeatable && call->remake != NULL))
		return false;
	switch (class) {
	case TEMU_RATE:
		return place->rate_tries <= RATE_TRIES;
	case TEMU_R:
		return place->spent < temu->config.attempts;
	case TEMU_R1:
		return place->spent < 2 && temu->config.attempts > 1;
	case TEMU_CLOCK:
		if (place->clock_tried)
			return false;
		place->clock_tried = true;
		return correct_clock(temu, place->request.date_ms);
	case TEMU_OK:
	case TEMU_LATER:
	case TEMU_AUTH:
	case TEMU_AUTH_METHOD:
	case TEMU_BUG:
	case TEMU_CONFIG:
	case TEMU_DATA:
	case TEMU_STRANGE:
		return false;
	}
	return false;
}

/* A read whose result its endpoint does not understand counts as a broken answer. */
static enum temu_class
check_result(struct temu_call *call, enum temu_class class)
{
	if (class != TEMU_OK || call->check == NULL || call->check(call, &call->err) == 0)
		return class;
	if (call->err.class == ERR_NONE)
		err_set(&call->err, ERR_TEMP, "TEMU_GARBLED", "%s: the result is not what it should be", call->type);
	temu_answer_forget(call);
	return TEMU_R;
}

static void
on_answer(struct http_request *request, void *arg)
{
	struct place *place = arg;
	struct temu *temu = place->temu;
	struct temu_call *call = place->call;
	bool doubtful = false;
	int64_t wait_ms;

	temu->stats.bytes_in += (int64_t)request->response.len;
	enum temu_class class = check_result(call, temu_answer_read(call, request, &doubtful));
	if (class == TEMU_OK) {
		finish(place);
		return;
	}
	call->lost += call->write && doubtful;
	hold(&temu->run, class, call);
	if (request->err.class == ERR_CANCELLED) {
		finish_with(place, &temu->run.why);
		return;
	}
	if (!again(place, class, &wait_ms)) {
		if (class == TEMU_RATE && call->err.wait_ms < 0)
			call->err.wait_ms = wait_ms;
		finish(place);
		return;
	}
	log_write(class == TEMU_RATE ? LEVEL_DEBUG : LEVEL_INFO, "attempt %d failed, again in %lld ms: %s", call->attempts,
	          (long long)wait_ms, call->err.text);
	temu_answer_forget(call);
	place->state = PLACE_WAITING;
	place->due_ms = clock_mono_ms() + wait_ms;
}

/* --- sending --------------------------------------------------------------------------------------------------- */

/* Stamped and signed anew for every attempt. */
static int
build_body(struct place *place, struct err *err)
{
	const struct temu_config *config = &place->temu->config;
	struct temu_params all;

	temu_params_init(&all);
	temu_params_add_string(&all, "type", place->call->type);
	temu_params_add_string(&all, "app_key", secret_bytes(config->app_key));
	temu_params_add_string(&all, "access_token", secret_bytes(config->access_token));
	temu_params_add_string(&all, "data_type", "JSON");
	temu_params_add_string(&all, "version", "V1");
	temu_params_add_int64(&all, "timestamp", (clock_now_ms() + place->temu->clock_offset_ms) / 1000);
	temu_params_append(&all, &place->call->params);
	int rc = temu_sign_body(&all, secret_bytes(config->app_secret), &place->body, err);
	if (all.text.data != NULL)
		explicit_bzero(all.text.data, all.text.len);
	temu_params_release(&all);
	return rc;
}

static int
send_call(struct place *place, struct err *err)
{
	struct temu *temu = place->temu;
	struct temu_call *call = place->call;

	if (call->may != NULL && (call->attempts > 0 || clock_mono_ms() - place->opened_ms >= STALE_MS) && call->may(call, err) != 0)
		return -1;
	if (call->attempts > 0 && call->write && call->remake != NULL) {
		temu_params_clear(&call->params);
		if (call->remake(call, err) != 0)
			return -1;
	}
	if (build_body(place, err) != 0)
		return -1;
	place->request = (struct http_request){
		.url = temu->url,
		.body = place->body.data,
		.body_len = place->body.len,
		.content_type = "application/json",
		.connect_timeout_ms = (int)(temu->config.timeout_ms < CONNECT_MS ? temu->config.timeout_ms : CONNECT_MS),
		.timeout_ms = (int)temu->config.timeout_ms,
		.max_response = temu->config.max_response,
		.done = on_answer,
		.arg = place,
	};
	if (http_start(temu->http, &place->request, err) != 0)
		return -1;
	place->state = PLACE_SENT;
	temu->stats.requests++;
	temu->stats.retries += call->attempts > 0;
	temu->stats.bytes_out += (int64_t)place->body.len;
	call->attempts++;
	return 0;
}

/* The oldest call that is due. */
static struct place *
due(struct temu *temu, int64_t now_ms)
{
	struct place *first = NULL;
	for (int i = 0; i < temu->count; i++) {
		struct place *place = &temu->places[i];
		if (place->state == PLACE_WAITING && place->due_ms <= now_ms && (first == NULL || place->number < first->number))
			first = place;
	}
	return first;
}

/* Sends what is due and may go; returns the wait until there may be more to send. Calls that cannot be sent end here. */
static int64_t
send_due(struct temu *temu)
{
	int64_t now_ms = clock_mono_ms(), wait_ms = TICK_MS;
	struct place *place;
	bool ended = false;

	while ((place = due(temu, now_ms)) != NULL) {
		const struct err *against = held(&temu->run, place->call->type);
		struct err err = ERR_INIT;
		if (against != NULL) {
			err = *against;
			finish_with(place, &err);
			ended = true;
			continue;
		}
		int64_t budget_ms = temu_budget_take(temu->budget);
		if (budget_ms > 0) {
			temu->stats.waits += !place->waited;
			place->waited = true;
			return ended ? 0 : budget_ms < wait_ms ? budget_ms : wait_ms;
		}
		place->waited = false;
		if (send_call(place, &err) != 0) {
			finish_with(place, &err);
			ended = true;
		}
	}
	for (int i = 0; i < temu->count; i++)
		if (temu->places[i].state == PLACE_WAITING && temu->places[i].due_ms - now_ms < wait_ms)
			wait_ms = temu->places[i].due_ms - now_ms;
	return ended ? 0 : wait_ms;
}

/* --- the run --------------------------------------------------------------------------------------------------- */

static void
open_call(struct place *place, struct temu_call *call)
{
	temu_answer_forget(call);
	call->err = (struct err)ERR_INIT;
	call->class = TEMU_OK;
	call->code = call->status = call->attempts = call->lost = 0;
	call->request_id[0] = '\0';
	call->unknown = call->repaired = false;
	place->call = call;
	place->state = PLACE_WAITING;
	place->number = place->temu->arrivals++;
	place->due_ms = INT64_MIN;
	place->opened_ms = clock_mono_ms();
	place->spent = place->rate_tries = 0;
	place->clock_tried = place->waited = false;
}

static void
pull(struct temu *temu)
{
	for (int i = 0; i < temu->count; i++) {
		if (temu->places[i].state != PLACE_FREE)
			continue;
		struct temu_call *call = temu->run.next(temu->run.arg);
		if (call == NULL)
			return;
		open_call(&temu->places[i], call);
	}
}

static int
open_count(const struct temu *temu)
{
	int open = 0;
	for (int i = 0; i < temu->count; i++)
		open += temu->places[i].state != PLACE_FREE;
	return open;
}

static void
stop(struct temu *temu, int64_t grace_ms)
{
	struct run *run = &temu->run;

	run->stopping = true;
	run->abort_ms = clock_mono_ms() + grace_ms;
	for (int i = 0; i < temu->count; i++)
		if (temu->places[i].state == PLACE_WAITING)
			finish_with(&temu->places[i], &run->why);
}

static void
look_at_limits(struct temu *temu)
{
	struct run *run = &temu->run;
	const struct temu_limits *limits = run->limits;
	int64_t now_ms = clock_mono_ms();

	if (limits == NULL)
		return;
	bool late = limits->deadline_ms != 0 && now_ms >= limits->deadline_ms;
	if (!run->stopping && late) {
		err_set(&run->why, ERR_CANCELLED, "CANCELLED", "the deadline passed while TEMU was being asked");
		stop(temu, 0);
	} else if (!run->stopping && limits->cancelled != NULL && limits->cancelled(limits->arg)) {
		err_set(&run->why, ERR_CANCELLED, "CANCELLED", "cancelled while TEMU was being asked");
		stop(temu, limits->grace_ms);
	}
	if (run->stopping && (late || now_ms >= run->abort_ms))
		http_cancel(temu->http);
}

static int64_t
until_deadline(const struct temu_limits *limits, int64_t wait_ms)
{
	if (limits == NULL || limits->deadline_ms == 0)
		return wait_ms;
	int64_t left_ms = limits->deadline_ms - clock_mono_ms();
	return left_ms < 0 ? 0 : left_ms < wait_ms ? left_ms : wait_ms;
}

int
temu_run(struct temu *temu, struct temu_call *(*next)(void *arg), void (*done)(struct temu_call *call, void *arg), void *arg,
         const struct temu_limits *limits, struct err *err)
{
	struct run *run = &temu->run;

	assert(!temu->running);
	*run = (struct run){ .next = next, .done = done, .arg = arg, .limits = limits, .why = ERR_INIT, .shut = ERR_INIT };
	temu->running = true;
	for (;;) {
		look_at_limits(temu);
		if (!run->stopping)
			pull(temu);
		if (open_count(temu) == 0)
			break;
		int64_t wait_ms = run->stopping ? TICK_MS : send_due(temu);
		if (run->stopping && run->abort_ms - clock_mono_ms() < wait_ms)
			wait_ms = run->abort_ms - clock_mono_ms();
		wait_ms = until_deadline(limits, wait_ms);
		http_step(temu->http, (int)(wait_ms > 0 ? wait_ms : 0));
	}
	temu->running = false;
	if (!run->stopping)
		return 0;
	return err_set(err, run->why.class, run->why.code, "%s", run->why.text);
}

struct single {
	struct temu_call *call;
	bool given;
};

static struct temu_call *
single_next(void *arg)
{
	struct single *single = arg;
	if (single->given)
		return NULL;
	single->given = true;
	return single->call;
}

static void
single_done(struct temu_call *call, void *arg)
{
	(void)call;
	(void)arg;
}

int
temu_call_one(struct temu *temu, struct temu_call *call, const struct temu_limits *limits, struct err *err)
{
	struct single single = { .call = call };

	if (temu_run(temu, single_next, single_done, &single, limits, err) != 0 && !single.given)
		return -1;
	if (call->err.class == ERR_NONE) {
		err_clear(err);
		return 0;
	}
	if (err != NULL)
		*err = call->err;
	return -1;
}
