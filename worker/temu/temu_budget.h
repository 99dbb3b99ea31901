/* temu_budget: how many requests a second an app key may send, one token bucket for all threads, clients and shops of the
 * process that use the key (temu_api.md 3.6). Halves its rate when TEMU says 4000004 and climbs back slowly. Thread-safe,
 * never blocks. */
#ifndef WORKER_TEMU_TEMU_BUDGET_H
#define WORKER_TEMU_TEMU_BUDGET_H

#include <stdint.h>
#include "common/secret.h"

struct temu_budget;

/* The budget of the app key, made on first use with this rate; a later call with another rate sets the new one. Lives until
 * the process ends. per_second 1..1000 (clamped). */
struct temu_budget *temu_budget_get(const struct secret *app_key, int64_t per_second);

/* 0: one request may go now (taken). n > 0: nothing taken, ask again in n ms. */
int64_t temu_budget_take(struct temu_budget *budget);

/* TEMU answered 4000004 (or HTTP 429): half the rate, at most once a second and not below a twentieth of the configured one;
 * the bucket is emptied and stays shut for pause_ms. Without further complaints the rate is whole again after 60 s. */
void temu_budget_limited(struct temu_budget *budget, int64_t pause_ms);

struct temu_budget_stats {
	int number;            /* 1, 2, ... in order of first use; the key itself has no text form */
	int64_t configured;    /* requests per second */
	int64_t milli_rate;    /* thousandths of a request per second, now */
	int64_t taken;         /* requests let through */
	int64_t waits;         /* answers "wait" */
	int64_t limited;       /* complaints of TEMU */
};
void temu_budget_stats(struct temu_budget *budget, struct temu_budget_stats *out);
/* All budgets of the process. each must not call back into this module. */
void temu_budget_each(void (*each)(const struct temu_budget_stats *stats, void *arg), void *arg);

#endif
