/* Token buckets in thousandths of a request, refilled when somebody asks. Halving and climbing back happen here too.
 * Who waits, and how, is the client's business (temu.c). */
#include "worker/temu/temu_budget.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"

#define ONE 1000           /* a request, in thousandths */
#define RATE_MAX 1000
#define FLOOR_SHARE 20     /* never slower than this part of the configured rate */
#define HALVE_EVERY_MS 1000
#define WHOLE_AFTER_MS 60000
#define BURST_DIVISOR 4    /* a quarter of a second at full rate */

struct temu_budget {
	struct temu_budget *next;
	const struct secret *app_key;
	pthread_mutex_t lock;
	int number;
	int64_t configured; /* thousandths of a request per second, like rate */
	int64_t rate;
	int64_t level;      /* thousandths of a request; what is missing below ONE is the wait */
	int64_t rest;       /* of the refill, in millionths, so that slow rates lose nothing to rounding */
	int64_t filled_ms, climbed_ms, halved_ms, shut_until_ms;
	int64_t taken, waits, limited;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct temu_budget *registry;

static int64_t
clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static int64_t
burst(const struct temu_budget *budget)
{
	int64_t quarter = budget->configured / BURST_DIVISOR / ONE * ONE;
	return clamp(quarter, ONE, 10 * ONE);
}

static struct temu_budget *
budget_new(const struct secret *app_key, int64_t configured)
{
	struct temu_budget *budget = calloc(1, sizeof(*budget));
	if (budget == NULL)
		abort(); /* a few hundred bytes, once per app key */
	pthread_mutex_init(&budget->lock, NULL);
	budget->app_key = app_key;
	budget->configured = budget->rate = configured;
	budget->level = burst(budget);
	budget->filled_ms = budget->climbed_ms = clock_mono_ms();
	budget->halved_ms = budget->filled_ms - HALVE_EVERY_MS;
	budget->number = registry != NULL ? registry->number + 1 : 1;
	budget->next = registry;
	registry = budget;
	return budget;
}

struct temu_budget *
temu_budget_get(const struct secret *app_key, int64_t per_second)
{
	int64_t configured = clamp(per_second, 1, RATE_MAX) * ONE;
	struct temu_budget *budget;

	pthread_mutex_lock(&registry_lock);
	for (budget = registry; budget != NULL; budget = budget->next)
		if (strcmp(secret_bytes(budget->app_key), secret_bytes(app_key)) == 0)
			break;
	if (budget == NULL)
		budget = budget_new(app_key, configured);
	pthread_mutex_unlock(&registry_lock);
	pthread_mutex_lock(&budget->lock);
	if (budget->configured != configured) {
		budget->configured = budget->rate = configured;
		budget->level = clamp(budget->level, 0, burst(budget));
	}
	pthread_mutex_unlock(&budget->lock);
	return budget;
}

/* With the lock held: brings rate and level up to now. */
static void
refresh(struct temu_budget *budget, int64_t now_ms)
{
	int64_t quiet_ms = now_ms - budget->climbed_ms, passed_ms = now_ms - budget->filled_ms, gained;

	if (budget->rate < budget->configured && quiet_ms > 0) {
		/* Straight up; what rounds to nothing is left for the next look. */
		int64_t step = budget->configured * clamp(quiet_ms, 0, WHOLE_AFTER_MS) / WHOLE_AFTER_MS;
		if (step > 0) {
			budget->rate = clamp(budget->rate + step, 1, budget->configured);
			budget->climbed_ms = now_ms;
		}
	} else {
		budget->climbed_ms = now_ms;
	}
	if (passed_ms <= 0)
		return;
	gained = clamp(passed_ms, 0, 3600000) * budget->rate + budget->rest;
	budget->level += gained / 1000;
	budget->rest = gained % 1000;
	if (budget->level >= burst(budget)) {
		budget->level = burst(budget);
		budget->rest = 0;
	}
	budget->filled_ms = now_ms;
}

int64_t
temu_budget_take(struct temu_budget *budget)
{
	int64_t now_ms = clock_mono_ms(), wait = 0;

	pthread_mutex_lock(&budget->lock);
	refresh(budget, now_ms);
	if (budget->shut_until_ms > now_ms)
		wait = budget->shut_until_ms - now_ms;
	else if (budget->level < ONE)
		wait = ((ONE - budget->level) * 1000 - budget->rest + budget->rate - 1) / budget->rate;
	if (wait > 0) {
		budget->waits++;
	} else {
		budget->level -= ONE;
		budget->taken++;
		wait = 0;
	}
	pthread_mutex_unlock(&budget->lock);
	return wait;
}

void
temu_budget_limited(struct temu_budget *budget, int64_t pause_ms)
{
	int64_t now_ms = clock_mono_ms();

	pthread_mutex_lock(&budget->lock);
	refresh(budget, now_ms);
	budget->limited++;
	if (now_ms - budget->halved_ms >= HALVE_EVERY_MS) { /* several in flight complain about the same second */
		budget->rate = clamp(budget->rate / 2, budget->configured / FLOOR_SHARE, budget->configured);
		budget->halved_ms = now_ms;
	}
	budget->climbed_ms = now_ms;
	budget->level = 0;
	budget->rest = 0;
	if (now_ms + pause_ms > budget->shut_until_ms)
		budget->shut_until_ms = now_ms + pause_ms;
	pthread_mutex_unlock(&budget->lock);
}

void
temu_budget_stats(struct temu_budget *budget, struct temu_budget_stats *out)
{
	pthread_mutex_lock(&budget->lock);
	refresh(budget, clock_mono_ms());
	*out = (struct temu_budget_stats){
		.number = budget->number,
		.configured = budget->configured / ONE,
		.milli_rate = budget->rate,
		.taken = budget->taken,
		.waits = budget->waits,
		.limited = budget->limited,
	};
	pthread_mutex_unlock(&budget->lock);
}

void
temu_budget_each(void (*each)(const struct temu_budget_stats *stats, void *arg), void *arg)
{
	struct temu_budget_stats stats;

	pthread_mutex_lock(&registry_lock);
	for (struct temu_budget *budget = registry; budget != NULL; budget = budget->next) {
		temu_budget_stats(budget, &stats);
		each(&stats, arg);
	}
	pthread_mutex_unlock(&registry_lock);
}
