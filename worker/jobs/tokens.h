/* tokens: how long the shops' access tokens are good for (temu_api.md 3.7), looked at once a day on a thread of its own, and the alarm
 * TOKEN_EXPIRES of one that ends soon. A token that is over already is told of by the runs it stops. */
#ifndef WORKER_JOBS_TOKENS_H
#define WORKER_JOBS_TOKENS_H

#include <stdint.h>
#include "common/err.h"
#include "proto/settings.h"
#include "worker/store/journal.h"
#include "worker/temu/temu.h"

struct tokens;

/* The first look is some minutes after the start. Everything borrowed until tokens_stop. JOBS_MEMORY, JOBS_THREAD. */
struct tokens *tokens_start(const struct settings *settings, struct journal *journal, struct err *err) MUSTCHECK;
/* Breaks a call off and waits for the thread. Before journal_close. NULL is fine. */
void tokens_stop(struct tokens *tokens);

/* A look at each shop whose moment has come: the next one is a day later, or an hour later when this one failed. now_ms as clock_kernel_ms;
 * returns how long until the next shop is due. What the thread does; nobody else calls it but tests. */
int64_t tokens_round(struct tokens *tokens, int64_t now_ms);

/* One look at one shop: opens the alarm (or counts it once more) when fewer than alarms.token_days are left, and ends it when there are
 * more again. Blocks for the call; limits NULL: none. The call's errors, and the journal's. */
int tokens_look(const struct settings *settings, const struct shop_settings *shop, struct journal *journal,
                const struct temu_limits *limits, struct err *err) MUSTCHECK;

#endif
