/* clock: time as the daemons see it. UTC only; tests replace it. Never blocks. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970 UTC (wall clock). */
int64_t clock_now_ms(void);

/* Milliseconds of a clock that never jumps; for durations and deadlines. */
int64_t clock_mono_ms(void);

/* The kernel's clock under clock_mono_ms, which tests cannot replace: what poll() and conditions (CLOCK_MONOTONIC) wait on. */
int64_t clock_kernel_ms(void);
/* The moment on it in ms milliseconds (0 when negative), for pthread_cond_timedwait. */
struct timespec clock_kernel_after(int64_t ms);

/* Tests: both clocks answer through these; NULL restores the real ones. Set before threads start. */
void clock_replace(int64_t (*now_ms)(void), int64_t (*mono_ms)(void));

#define CLOCK_TEXT_MAX 32
/* "2026-11-24T05:04:17.123Z" into out[CLOCK_TEXT_MAX]; returns out. */
const char *clock_format(int64_t now_ms, char *out);
/* Reads what clock_format writes (fraction optional). 0 or -1. */
int clock_parse(const char *text, int64_t *now_ms);

#endif
