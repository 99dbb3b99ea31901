/* The token bucket on a clock of its own, and shared by threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "common/clock.h"
#include "worker/temu/temu_budget.h"

static _Atomic int64_t now_ms;

static int64_t
fake_now(void)
{
	return now_ms;
}

static struct temu_budget *
fresh(int64_t rate)
{
	static int keys;
	char key[32];

	snprintf(key, sizeof(key), "budget-test-%d", ++keys);
	return temu_budget_get(secret_new(key, strlen(key)), rate);
}

/* Takes whenever it may for so long; returns how many went. */
static int
pump(struct temu_budget *budget, int64_t for_ms)
{
	int64_t until = now_ms + for_ms;
	int taken = 0;

	while (now_ms < until) {
		int64_t wait = temu_budget_take(budget);
		assert_true(wait >= 0);
		if (wait == 0)
			taken++;
		else
			now_ms += wait < until - now_ms ? wait : until - now_ms;
	}
	return taken;
}

static void
keeps_the_rate(void **state)
{
	static const int64_t rates[] = { 1, 3, 7, 20, 333, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct temu_budget *budget = fresh(rates[i]);
		int burst = (int)(rates[i] / 4 < 1 ? 1 : rates[i] / 4 > 10 ? 10 : rates[i] / 4);
		int taken = pump(budget, 10000);

		assert_in_range(taken, (int)rates[i] * 10 - 1, (int)rates[i] * 10 + burst);
	}
}

static void
says_how_long(void **state)
{
	struct temu_budget *budget = fresh(4);

	(void)state;
	assert_int_equal(temu_budget_take(budget), 0);
	assert_int_equal(temu_budget_take(budget), 250);
	now_ms += 249;
	assert_int_equal(temu_budget_take(budget), 1);
	now_ms += 1;
	assert_int_equal(temu_budget_take(budget), 0);
	now_ms += 3600000; /* an hour of rest fills the bucket, not more */
	assert_int_equal(temu_budget_take(budget), 0);
	assert_int_equal(temu_budget_take(budget), 250);
	now_ms -= 1000; /* a clock that goes back gives nothing away and does not lock up */
	assert_true(temu_budget_take(budget) > 0);
	now_ms += 1250;
	assert_int_equal(temu_budget_take(budget), 0);
}

static void
slows_down_and_recovers(void **state)
{
	struct temu_budget *budget = fresh(20);
	struct temu_budget_stats stats;

	(void)state;
	temu_budget_limited(budget, 1000);
	temu_budget_limited(budget, 1000); /* the second of the same second does not halve again */
	temu_budget_stats(budget, &stats);
	assert_int_equal(stats.milli_rate, 10000);
	assert_int_equal(stats.limited, 2);
	assert_int_equal(temu_budget_take(budget), 1000);
	now_ms += 1000;
	assert_int_equal(temu_budget_take(budget), 0);
	for (int i = 0; i < 30; i++) {
		now_ms += 1000;
		temu_budget_limited(budget, 0);
	}
	temu_budget_stats(budget, &stats);
	assert_int_equal(stats.milli_rate, 1000); /* a twentieth is the floor */
	assert_int_equal(stats.configured, 20);
	assert_in_range(pump(budget, 10000), 15, 45); /* on its way up */
	now_ms += 25000;
	temu_budget_stats(budget, &stats);
	assert_in_range(stats.milli_rate, 11000, 14000);
	pump(budget, 30000);
	temu_budget_stats(budget, &stats);
	assert_int_equal(stats.milli_rate, 20000);
	assert_in_range(pump(budget, 1000), 19, 25);
}

static void
one_budget_per_key(void **state)
{
	const struct secret *a = secret_new("the-same-key", 12), *b = secret_new(" the-same-key\n", 14);
	struct temu_budget *budget = temu_budget_get(a, 10);
	struct temu_budget_stats stats;

	(void)state;
	assert_ptr_equal(temu_budget_get(b, 10), budget);
	assert_ptr_not_equal(temu_budget_get(secret_new("another-key", 11), 10), budget);
	assert_ptr_equal(temu_budget_get(b, 40), budget);
	temu_budget_stats(budget, &stats);
	assert_int_equal(stats.configured, 40);
	temu_budget_get(a, 0);
	temu_budget_stats(budget, &stats);
	assert_int_equal(stats.configured, 1);
}

static void
count(const struct temu_budget_stats *stats, void *arg)
{
	int *seen = arg;

	assert_true(stats->number >= 1 && stats->configured >= 1);
	(*seen)++;
}

static void
all_can_be_listed(void **state)
{
	int before = 0, after = 0;

	(void)state;
	temu_budget_each(count, &before);
	fresh(1);
	temu_budget_each(count, &after);
	assert_int_equal(after, before + 1);
}

#define THREADS 6

static void *
taker(void *arg)
{
	struct temu_budget *budget = temu_budget_get(arg, 1000);
	int64_t taken = 0;

	for (int i = 0; i < 5000; i++) {
		if (temu_budget_take(budget) == 0)
			taken++;
		else if (i % 100 == 0)
			now_ms++;
	}
	temu_budget_limited(budget, 0);
	return (void *)(intptr_t)taken;
}

static void
threads_share(void **state)
{
	const struct secret *key = secret_new("shared-by-threads", 17);
	int64_t from = now_ms, sum = 0;
	struct temu_budget_stats stats;
	pthread_t threads[THREADS];
	void *taken;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, taker, (void *)(uintptr_t)key), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &taken);
		sum += (intptr_t)taken;
	}
	temu_budget_stats(temu_budget_get(key, 1000), &stats);
	assert_int_equal(stats.taken, sum);
	assert_int_equal(stats.limited, THREADS);
	assert_true(sum <= now_ms - from + 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_rate),   cmocka_unit_test(says_how_long),     cmocka_unit_test(slows_down_and_recovers),
		cmocka_unit_test(one_budget_per_key), cmocka_unit_test(all_can_be_listed), cmocka_unit_test(threads_share),
	};

	now_ms = 1000000;
	clock_replace(fake_now, fake_now);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
