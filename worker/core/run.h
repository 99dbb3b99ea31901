/* run: one attempt of a run, as a job sees it while a pool thread works on it. Everything here is for the run's own thread, but for
 * run_stopping. */
#ifndef WORKER_CORE_RUN_H
#define WORKER_CORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/json.h"
#include "worker/store/journal.h"

struct run;

const char *run_id(const struct run *run);
int64_t run_shop(const struct run *run);
const struct json *run_params(const struct run *run); /* an object, never NULL */
int run_attempt(const struct run *run);               /* 1.. */

/* Check point. 0 to go on, or -1 with class CANCELLED: code CANCELLED (asked), DEADLINE (the run's time is over), INTERRUPTED (the
 * daemon stops; the run goes on at the next start). */
int run_check(struct run *run, struct err *err) MUSTCHECK;
/* The same as a callback for waits inside database and HTTP calls; any thread. arg is the struct run. */
bool run_stopping(void *arg);
/* The end of this attempt's time on clock_mono_ms, for time-outs of calls. */
int64_t run_deadline_mono_ms(const struct run *run);
/* Sleeps ms and answers as run_check; ends early when the run is to stop. */
int run_pause(struct run *run, int64_t ms, struct err *err) MUSTCHECK;

/* Progress: shown live, stored with the run. */
void run_progress(struct run *run, int64_t items_done, int64_t items_total);
enum run_counter { RUN_SEEN, RUN_CHANGED, RUN_REFUSED, RUN_SKIPPED };
void run_count(struct run *run, enum run_counter counter, int64_t add);

/* Item rows (journal.h), durable on return. */
int run_items_add(struct run *run, const struct item_record *items, size_t count, struct err *err) MUSTCHECK;
int run_items_judge(struct run *run, const struct item_record *items, size_t count, struct err *err) MUSTCHECK;

/* The run is done but some items were refused or are in doubt: its end is PARTIAL instead of SUCCESS. */
void run_partial(struct run *run);
/* JSON object text with the run's figures, at most RUN_RESULT_MAX bytes; the last call wins. Copied. Anything else is logged and left out. */
#define RUN_RESULT_MAX (64 * 1024)
void run_result_set(struct run *run, const char *json_object);

/* An alarm event of this run and step, and an ERROR line: once a run and code, however often it is called. Waits for its commit. */
void run_alarm(struct run *run, const char *code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The shop's write gate now; asked before every effect. */
enum gate run_gate(struct run *run);

#endif
