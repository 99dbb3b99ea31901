/* The client over the loopback: retries by class, unknown outcomes, limits, clock, pace, texts. */
#include "tests/unit/temu/temu_bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "worker/temu/temu_budget.h"

#define TOKEN_FAULT(rest) "{\"type\":\"" TEMU_TOKEN_INFO "\"," rest "}"
#define EDIT_FAULT(rest) "{\"type\":\"" TEMU_STOCK_EDIT "\"," rest "}"

/* One read; returns the requests the gateway saw. */
static int64_t
read_once(struct bench *b, struct temu_call *call)
{
	int64_t before = bench_calls(b);

	bench_token_call(call);
	b->err = (struct err)ERR_INIT;
	int rc = temu_call_one(b->temu, call, NULL, &b->err);
	assert_int_equal(rc == 0, b->err.class == ERR_NONE);
	assert_int_equal(call->attempts, bench_calls(b) - before);
	return call->attempts;
}

static void
plain_call(void **state)
{
	struct bench *b = *state;
	struct temu_stats stats;
	struct temu_call call;

	assert_int_equal(read_once(b, &call), 1);
	assert_int_equal(call.err.class, ERR_NONE);
	assert_int_equal(json_get_int64(call.result, "mallId", 0), 11);
	assert_true(strncmp(call.request_id, "eu-", 3) == 0);
	assert_int_equal(call.status, 200);
	assert_false(call.unknown);
	temu_call_release(&call);
	temu_stats_get(b->temu, &stats);
	assert_int_equal(stats.requests, 1);
	assert_int_equal(stats.retries + stats.failed + stats.limited, 0);
	assert_true(stats.bytes_out > 100 && stats.bytes_in > 100);
}

/* What fails twice and then works ends well; what always fails ends after its attempts. */
static void
reads_are_retried_by_class(void **state)
{
	static const struct {
		const char *fault;
		int64_t requests; /* with the fault for ever */
		enum err_class class;
		const char *code;
	} rows[] = {
		{ TOKEN_FAULT("\"kind\":\"http500\",\"count\":-1"), 3, ERR_TEMP, "HTTP_500" },
		{ TOKEN_FAULT("\"kind\":\"http502\",\"count\":-1"), 3, ERR_TEMP, "HTTP_502" },
		{ TOKEN_FAULT("\"kind\":\"http503\",\"count\":-1"), 3, ERR_TEMP, "HTTP_503" },
		{ TOKEN_FAULT("\"kind\":\"html200\",\"count\":-1"), 3, ERR_TEMP, "TEMU_GARBLED" },
		{ TOKEN_FAULT("\"kind\":\"truncate\",\"count\":-1"), 3, ERR_TEMP, "TEMU_GARBLED" },
		{ TOKEN_FAULT("\"kind\":\"cut\",\"count\":-1"), 3, ERR_TEMP, "HTTP_TRUNCATED" },
		{ TOKEN_FAULT("\"kind\":\"reset_before\",\"count\":-1"), 3, ERR_TEMP, "HTTP_RESET" },
		{ TOKEN_FAULT("\"kind\":\"reset_after\",\"count\":-1"), 3, ERR_TEMP, "HTTP_RESET" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":4000000,\"count\":-1"), 3, ERR_TEMP, "TEMU_4000000" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":2000000,\"count\":-1"), 2, ERR_TEMP, "TEMU_2000000" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":7000000,\"count\":-1"), 2, ERR_TEMP, "TEMU_7000000" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":4000004,\"count\":-1"), 9, ERR_TEMP, "TEMU_4000004" },
		{ TOKEN_FAULT("\"kind\":\"http429\",\"count\":-1"), 9, ERR_TEMP, "HTTP_429" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":3000012,\"count\":-1"), 2, ERR_TEMP, "TEMU_3000012" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":3000000,\"count\":-1"), 1, ERR_PERM, "TEMU_3000000" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":140020008,\"count\":-1"), 1, ERR_TEMP, "TEMU_140020008" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":424242,\"count\":-1"), 1, ERR_PERM, "TEMU_424242" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":3000032,\"count\":-1"), 1, ERR_HOLD, "TEMU_3000032" },
		{ TOKEN_FAULT("\"kind\":\"code\",\"code\":4000000,\"count\":-1,\"text\":\"The application information query is abnormal\""), 1,
		  ERR_HOLD, "TEMU_4000000" },
	};
	struct bench *b = *state;

	b->config.rate_wait_ms = 1;
	bench_renew(b);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct temu_call call;

		bench_fault(b, rows[i].fault);
		assert_int_equal(read_once(b, &call), rows[i].requests);
		assert_err(b, rows[i].class, rows[i].code);
		assert_false(call.unknown);
		assert_int_equal(call.lost, 0);
		assert_null(strstr(b->err.text, "bench-token"));
		assert_null(strstr(b->err.text, "too many"));
		temu_call_release(&call);
		bench_clear(b);
		assert_int_equal(read_once(b, &call), 1);
		assert_int_equal(b->err.class, ERR_NONE);
		temu_call_release(&call);
	}
}

static void
a_passing_fault_is_survived(void **state)
{
	static const char *const faults[] = {
		TOKEN_FAULT("\"kind\":\"http502\",\"count\":2"), TOKEN_FAULT("\"kind\":\"html200\",\"count\":2"),
		TOKEN_FAULT("\"kind\":\"truncate\",\"count\":2"), TOKEN_FAULT("\"kind\":\"cut\",\"count\":2"),
		TOKEN_FAULT("\"kind\":\"reset_before\",\"count\":2"), TOKEN_FAULT("\"kind\":\"code\",\"code\":4000004,\"count\":2"),
		TOKEN_FAULT("\"kind\":\"http429\",\"count\":2"),
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct temu_call call;

		bench_fault(b, faults[i]);
		assert_int_equal(read_once(b, &call), 3);
		assert_int_equal(b->err.class, ERR_NONE);
		temu_call_release(&call);
	}
}

static void
retry_after_is_honoured(void **state)
{
	struct bench *b = *state;
	struct temu_call call;
	int64_t from = clock_mono_ms();

	bench_fault(b, TOKEN_FAULT("\"kind\":\"http503\",\"retry_after\":1"));
	assert_int_equal(read_once(b, &call), 2);
	assert_true(clock_mono_ms() - from >= 1000);
	temu_call_release(&call);
	from = clock_mono_ms(); /* a wait of an hour is left to the caller */
	bench_fault(b, TOKEN_FAULT("\"kind\":\"http503\",\"retry_after\":3600"));
	assert_int_equal(read_once(b, &call), 1);
	assert_err(b, ERR_TEMP, "HTTP_503");
	assert_int_equal(b->err.wait_ms, 3600000);
	assert_true(clock_mono_ms() - from < 3000);
	temu_call_release(&call);
}

static void
slow_answers_time_out(void **state)
{
	struct bench *b = *state;
	struct temu_call call;

	b->config.timeout_ms = 150;
	b->config.attempts = 2;
	bench_renew(b);
	bench_fault(b, TOKEN_FAULT("\"kind\":\"slow\",\"delay_ms\":3000,\"count\":2"));
	assert_int_equal(read_once(b, &call), 2);
	assert_err(b, ERR_TEMP, "HTTP_TIMEOUT");
	temu_call_release(&call);
}

static void
nobody_listens(void **state)
{
	struct bench *b = *state;
	struct temu_call call;

	b->config.url = "http://127.0.0.1:1/openapi/router";
	bench_renew(b);
	bench_token_call(&call);
	call.write = true;
	assert_int_equal(temu_call_one(b->temu, &call, NULL, &b->err), -1);
	assert_err(b, ERR_TEMP, "HTTP_CONNECT");
	assert_int_equal(call.attempts, 3); /* nothing was sent, so even a write that is not repeatable is tried again */
	assert_false(call.unknown);
	temu_call_release(&call);
}

static void
large_answers_are_refused(void **state)
{
	struct bench *b = *state;
	struct temu_call call;

	b->config.max_response = 100;
	bench_renew(b);
	assert_int_equal(read_once(b, &call), 1);
	assert_err(b, ERR_PERM, "HTTP_TOO_LARGE");
	temu_call_release(&call);
	bench_token_call(&call);
	call.write = true;
	assert_int_equal(temu_call_one(b->temu, &call, NULL, &b->err), -1);
	assert_true(call.unknown);
	temu_call_release(&call);
}

/* --- writes --- */

static int
make_edit(struct temu_call *call, struct err *err)
{
	int *round = call->arg;
	char key[64];

	snprintf(key, sizeof(key), "test-key-%d", (*round)++);
	temu_params_add_int64(&call->params, "goodsId", BENCH_GOOD(0));
	temu_params_add_json(&call->params, "skuStockTargetList", "[{\"skuId\":51480000000000,\"stockTarget\":77}]");
	temu_params_add_string(&call->params, "requestUniqueKey", key);
	return temu_params_check(&call->params, err);
}

static void
write_once(struct bench *b, struct temu_call *call, int *round, bool repeatable)
{
	temu_call_init(call, TEMU_STOCK_EDIT);
	call->write = true;
	call->repeatable = repeatable;
	call->remake = repeatable ? make_edit : NULL;
	call->arg = round;
	b->err = (struct err)ERR_INIT;
	assert_int_equal(make_edit(call, NULL), 0);
	(void)!temu_call_one(b->temu, call, NULL, &b->err);
}

/* An attempt that may have taken effect is repeated only when the caller allows it, and with a new key. */
static void
lost_writes(void **state)
{
	static const struct {
		const char *fault;
		int64_t edits; /* applied by one plain attempt */
	} rows[] = {
		{ EDIT_FAULT("\"kind\":\"reset_after\""), 1 },
		{ EDIT_FAULT("\"kind\":\"reset_before\""), 0 },
		{ EDIT_FAULT("\"kind\":\"truncate\""), 1 },
		{ EDIT_FAULT("\"kind\":\"cut\""), 1 },
		{ EDIT_FAULT("\"kind\":\"html200\""), 0 },
		{ EDIT_FAULT("\"kind\":\"http502\""), 0 },
		{ EDIT_FAULT("\"kind\":\"code\",\"code\":150010002"), 0 },
	};
	struct bench *b = *state;
	int round = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t before = bench_sku(b, BENCH_SKU(0, 0)).edits;
		struct temu_call call;

		bench_fault(b, rows[i].fault);
		write_once(b, &call, &round, false);
		assert_int_equal(b->err.class, ERR_TEMP);
		assert_true(call.unknown);
		assert_int_equal(call.attempts, 1);
		assert_int_equal(bench_sku(b, BENCH_SKU(0, 0)).edits, before + rows[i].edits);
		temu_call_release(&call);
		before += rows[i].edits;
		bench_fault(b, rows[i].fault);
		write_once(b, &call, &round, true);
		assert_int_equal(b->err.class, ERR_NONE);
		assert_false(call.unknown);
		assert_int_equal(call.lost, 1);
		assert_int_equal(call.attempts, 2);
		assert_int_equal(bench_sku(b, BENCH_SKU(0, 0)).edits, before + rows[i].edits + 1);
		temu_call_release(&call);
	}
}

/* A refusal before any effect may be repeated by everybody; a lost attempt stays doubtful whatever comes after it. */
static void
refused_writes(void **state)
{
	struct bench *b = *state;
	struct temu_call call;
	int round = 1000;

	bench_fault(b, EDIT_FAULT("\"kind\":\"code\",\"code\":4000004,\"count\":2"));
	write_once(b, &call, &round, false);
	assert_int_equal(b->err.class, ERR_NONE);
	assert_int_equal(call.attempts, 3);
	assert_int_equal(bench_sku(b, BENCH_SKU(0, 0)).edits, 1);
	temu_call_release(&call);
	bench_fault(b, EDIT_FAULT("\"kind\":\"reset_after\""));
	bench_fault(b, EDIT_FAULT("\"kind\":\"code\",\"code\":3000000"));
	write_once(b, &call, &round, true);
	assert_err(b, ERR_PERM, "TEMU_3000000");
	assert_true(call.unknown);
	assert_int_equal(call.lost, 1);
	temu_call_release(&call);
}

static void
wrong_parameters_are_not_sent(void **state)
{
	struct bench *b = *state;
	struct temu_call call;

	bench_token_call(&call);
	temu_params_add_string(&call.params, "access_token", "another");
	assert_int_equal(temu_call_one(b->temu, &call, NULL, &b->err), -1);
	assert_err(b, ERR_PERM, "TEMU_PARAMS");
	assert_int_equal(call.attempts, 0);
	assert_int_equal(bench_calls(b), 0);
	temu_call_release(&call);
}

/* --- many at once --- */

#define MANY 40

struct many {
	struct temu_call calls[MANY];
	int given, done, failed, limit;
	const char *type_of_odd;
	atomic_bool cancelled;
	struct temu *temu;
	struct bench *bench;
	int64_t cancel_at; /* calls the gateway has seen */
};

static struct temu_call *
many_next(void *arg)
{
	struct many *m = arg;

	if (m->given == m->limit)
		return NULL;
	struct temu_call *call = &m->calls[m->given];
	temu_call_init(call, m->given % 2 == 1 && m->type_of_odd != NULL ? m->type_of_odd : TEMU_TOKEN_INFO);
	if (strcmp(call->type, TEMU_SKU_LIST) == 0)
		temu_params_add_int64(&call->params, "skuStatusFilterType", 2);
	m->given++;
	return call;
}

static void
many_done(struct temu_call *call, void *arg)
{
	struct many *m = arg;

	m->done++;
	m->failed += call->err.class != ERR_NONE;
	temu_call_release(call);
}

static bool
many_cancelled(void *arg)
{
	struct many *m = arg;

	return m->cancelled;
}

static void
several_are_in_flight(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY };
	int64_t from = clock_mono_ms(), took;

	b->gw->latency_ms = 50;
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	took = clock_mono_ms() - from;
	assert_int_equal(m.done, MANY);
	assert_int_equal(m.failed, 0);
	assert_int_equal(bench_calls(b), MANY);
	assert_true(took >= MANY / 8 * 50 && took < MANY * 50 / 2);
}

static void
a_wait_does_not_block_the_others(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = 8 };

	bench_fault(b, TOKEN_FAULT("\"kind\":\"http503\",\"retry_after\":1"));
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	assert_int_equal(m.failed, 0);
	assert_int_equal(bench_calls(b), 9);
	struct many quick = { .limit = 0 };
	assert_int_equal(temu_run(b->temu, many_next, many_done, &quick, NULL, &b->err), 0); /* nothing to do is fine */
	assert_int_equal(quick.done, 0);
}

/* One refused method: its calls are not sent again in this run, the other method goes on. */
static void
a_held_method_is_left_alone(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY, .type_of_odd = "temu.local.goods.sku.stock.query" };

	b->config.in_flight = 2;
	bench_renew(b);
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	assert_int_equal(m.failed, MANY / 2);
	assert_in_range(bench_calls(b), MANY / 2 + 1, MANY / 2 + 2);
}

static void
a_replaced_token_shuts_the_shop(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY };

	b->config.in_flight = 2;
	bench_renew(b);
	bench_fault(b, "{\"kind\":\"replace_token\",\"skip\":4}");
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	assert_int_equal(m.done, MANY);
	assert_int_equal(m.failed, MANY - 4);
	assert_in_range(bench_calls(b), 5, 6);
	bench_clear(b);
	struct temu_call call;
	assert_int_equal(read_once(b, &call), 1); /* the next run asks again */
	assert_int_equal(b->err.class, ERR_NONE);
	temu_call_release(&call);
}

static void *
canceller(void *arg)
{
	struct many *m = arg;

	while (bench_calls(m->bench) < m->cancel_at)
		sched_yield();
	m->cancelled = true;
	temu_wakeup(m->temu);
	return NULL;
}

static void
cancel_ends_waits_and_requests(void **state)
{
	static const char *const faults[] = {
		TOKEN_FAULT("\"kind\":\"slow\",\"delay_ms\":20000,\"count\":-1"),
		TOKEN_FAULT("\"kind\":\"http503\",\"retry_after\":30,\"count\":-1"),
	};
	struct bench *b = *state;

	b->config.timeout_ms = 60000;
	bench_renew(b);
	for (int i = 0; i < 2; i++) {
		struct many m = { .limit = MANY, .temu = b->temu, .bench = b, .cancel_at = bench_calls(b) + 8 };
		struct temu_limits limits = { .cancelled = many_cancelled, .arg = &m };
		int64_t from = clock_mono_ms();
		pthread_t thread;

		bench_fault(b, faults[i]);
		assert_int_equal(pthread_create(&thread, NULL, canceller, &m), 0);
		assert_int_equal(temu_run(b->temu, many_next, many_done, &m, &limits, &b->err), -1);
		pthread_join(thread, NULL);
		assert_err(b, ERR_CANCELLED, "CANCELLED");
		assert_int_equal(m.done, m.given);
		assert_int_equal(m.failed, m.given);
		assert_true(clock_mono_ms() - from < 3000);
		bench_clear(b);
	}
}

/* What is in flight may finish within the grace. */
static void
cancel_with_grace(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY, .bench = b, .cancel_at = 8 };
	struct temu_limits limits = { .cancelled = many_cancelled, .arg = &m, .grace_ms = 5000 };
	pthread_t thread;

	b->gw->latency_ms = 200;
	m.temu = b->temu;
	assert_int_equal(pthread_create(&thread, NULL, canceller, &m), 0);
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, &limits, &b->err), -1);
	pthread_join(thread, NULL);
	assert_int_equal(m.done, m.given);
	assert_int_equal(m.failed, 0);
	assert_int_equal(m.given, 8);
}

static void
deadline_ends_the_run(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY };
	struct temu_limits limits = { .deadline_ms = clock_mono_ms() + 100, .grace_ms = 100000 };
	int64_t from = clock_mono_ms();

	bench_fault(b, TOKEN_FAULT("\"kind\":\"slow\",\"delay_ms\":4000,\"count\":-1"));
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, &limits, &b->err), -1);
	assert_err(b, ERR_CANCELLED, "CANCELLED");
	assert_true(clock_mono_ms() - from < 2000);
	limits.deadline_ms = 1; /* long over: nothing is even sent */
	int64_t before = bench_calls(b);
	struct temu_call call;
	bench_token_call(&call);
	assert_int_equal(temu_call_one(b->temu, &call, &limits, &b->err), -1);
	assert_err(b, ERR_CANCELLED, "CANCELLED");
	assert_int_equal(bench_calls(b), before);
	temu_call_release(&call);
}

static void
a_wrong_clock_is_corrected(void **state)
{
	static const int64_t offsets[] = { 4000, -4000 };
	struct bench *b = *state;

	for (int i = 0; i < 2; i++) {
		struct temu_call call;

		pthread_mutex_lock(&b->gw->lock);
		b->gw->clock_offset_s = offsets[i];
		pthread_mutex_unlock(&b->gw->lock);
		assert_int_equal(read_once(b, &call), 2);
		assert_int_equal(b->err.class, ERR_NONE);
		temu_call_release(&call);
		assert_int_equal(read_once(b, &call), 1); /* it is remembered */
		temu_call_release(&call);
	}
}

static void
the_pace_is_kept(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = MANY };
	struct temu_stats stats;
	int64_t from = clock_mono_ms();

	b->config.rate = 50;
	b->gw->rate.per_second = 50;
	bench_renew(b);
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	assert_int_equal(m.failed, 0);
	assert_true(clock_mono_ms() - from >= 500);
	temu_stats_get(b->temu, &stats);
	assert_int_equal(stats.limited, 0);
	assert_true(stats.waits > 0);
}

/* The gateway allows less than we were told: nobody fails, and the budget slows down. */
static void
a_lower_limit_is_learnt(void **state)
{
	struct bench *b = *state;
	struct many m = { .limit = 30 };
	struct temu_budget_stats stats;

	b->config.rate = 40;
	b->config.rate_wait_ms = 300;
	bench_renew(b);
	b->gw->rate.per_second = 15;
	assert_int_equal(temu_run(b->temu, many_next, many_done, &m, NULL, &b->err), 0);
	assert_int_equal(m.failed, 0);
	temu_budget_stats(temu_budget_get(b->config.app_key, 40), &stats);
	assert_true(stats.limited > 0);
	assert_true(stats.milli_rate < 40000);
}

/* --- threads --- */

#define THREADS 4

struct worker {
	const struct temu_config *config;
	struct many many;
};

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct temu *temu = temu_new(w->config, NULL);

	if (temu != NULL && temu_run(temu, many_next, many_done, &w->many, NULL, NULL) != 0)
		w->many.failed++;
	temu_free(temu);
	return NULL;
}

static void
threads_share_one_budget(void **state)
{
	struct bench *b = *state;
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];
	int64_t from = clock_mono_ms();

	b->config.rate = 100;
	b->config.in_flight = 4;
	b->gw->rate.per_second = 110;
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .config = &b->config, .many = { .limit = MANY } };
		assert_int_equal(pthread_create(&threads[i], NULL, worker_main, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].many.done, MANY);
		assert_int_equal(workers[i].many.failed, 0);
	}
	assert_true(clock_mono_ms() - from >= (THREADS * MANY - 10) * 1000 / 100 - 50);
	assert_int_equal(bench_calls(b), THREADS * MANY); /* none was limited */
}

static void
configuration_is_checked(void **state)
{
	struct bench *b = *state;
	struct temu_config good = b->config, bad;

#define BAD(change, wanted) \
	bad = good; \
	change; \
	b->err = (struct err)ERR_INIT; \
	assert_null(temu_new(&bad, &b->err)); \
	assert_err(b, ERR_PERM, wanted)
	BAD(bad.app_key = secret_new("", 0), "TEMU_CONFIG");
	BAD(bad.app_secret = NULL, "TEMU_CONFIG");
	BAD(bad.access_token = secret_new(" \n", 2), "TEMU_CONFIG");
	BAD((bad.url = "", bad.region = "de"), "TEMU_CONFIG");
	BAD((bad.url = NULL, bad.region = NULL), "TEMU_CONFIG");
	BAD(bad.url = "http://example.org/openapi/router", "HTTP_URL");
	BAD(bad.in_flight = 65, "TEMU_CONFIG");
	BAD(bad.attempts = 0, "TEMU_CONFIG");
	BAD(bad.ca_file = "/nowhere/ca.pem", "HTTP_SETUP");
	bad = good;
	bad.url = "";
	bad.region = "eu";
	struct temu *temu = temu_new(&bad, &b->err);
	assert_non_null(temu);
	temu_free(temu);
	temu_free(NULL);
}

static void
token(void **state)
{
	struct bench *b = *state;
	struct temu_token found;

	assert_int_equal(temu_token_read(b->temu, NULL, &found, &b->err), 0);
	assert_int_equal(found.mall_id, 11);
	assert_int_equal(found.mall_type, 100);
	assert_int_equal(found.region_id, 76);
	assert_int_equal(found.expires_ms, 4070908800000);
	assert_int_equal(found.scope_count, 2);
	assert_true(temu_token_allows(&found, TEMU_STOCK_EDIT));
	assert_false(temu_token_allows(&found, "bg.order.amount.query"));
	assert_int_equal(temu_token_days(&found, 4070908800000 - 86400000 * 3 - 1), 3);
	assert_int_equal(temu_token_days(&found, 4070908800000 + 1), -1);
	temu_token_release(&found);
	assert_int_equal(temu_token_days(&found, 0), INT64_MAX);
	bench_fault(b, TOKEN_FAULT("\"kind\":\"result_null\",\"count\":2"));
	assert_int_equal(temu_token_read(b->temu, NULL, &found, &b->err), 0); /* garbled twice, then fine */
	temu_token_release(&found);
	bench_fault(b, TOKEN_FAULT("\"kind\":\"result_null\",\"count\":-1"));
	assert_int_equal(temu_token_read(b->temu, NULL, &found, &b->err), -1);
	assert_err(b, ERR_TEMP, "TEMU_GARBLED");
	bench_clear(b);
	bench_fault(b, "{\"kind\":\"replace_token\"}");
	assert_int_equal(temu_token_read(b->temu, NULL, &found, &b->err), -1);
	assert_err(b, ERR_HOLD, "TEMU_3000034");
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain_call), T(reads_are_retried_by_class), T(a_passing_fault_is_survived), T(retry_after_is_honoured),
		T(slow_answers_time_out), T(nobody_listens), T(large_answers_are_refused), T(lost_writes), T(refused_writes),
		T(wrong_parameters_are_not_sent), T(several_are_in_flight), T(a_wait_does_not_block_the_others),
		T(a_held_method_is_left_alone), T(a_replaced_token_shuts_the_shop), T(cancel_ends_waits_and_requests),
		T(cancel_with_grace), T(deadline_ends_the_run), T(a_wrong_clock_is_corrected), T(the_pace_is_kept),
		T(a_lower_limit_is_learnt), T(threads_share_one_budget), T(configuration_is_checked), T(token),
	};

	log_init("test", LEVEL_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
