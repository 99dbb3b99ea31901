/* workers: the typed client of temu-workers. Every call asks over ipc, at most WORKERS_PATIENCE_MS, and hands out the answer as
 * parsed JSON. A repeatable command whose answer does not come is asked once more; run_submit is repeatable because it always
 * carries an idempotency key, plan_confirm because a plan is confirmed only once and the refusal names the run. When nobody is
 * there, a call fails after WORKERS_ABSENT_MS. Thread-safe. */
#ifndef API_WORKERS_H
#define API_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include "common/err.h"
#include "common/json.h"
#include "proto/proto.h"

#define WORKERS_PATIENCE_MS 2000
#define WORKERS_ABSENT_MS 300

struct workers;

/* Connects in the background to <run folder>/workers.sock. Lives until the process ends. NULL on error. */
struct workers *workers_new(const char *run_folder, struct err *err) MUSTCHECK;

/* An answer: with ok the data, else what went wrong: an error of the workers, or PROTO_WORKERS_DOWN (nobody answered; the
 * text says whether the outcome is unknown) or PROTO_VERSION. */
struct answer {
	bool ok;
	enum proto_error code;
	char text[ERR_TEXT_MAX];
	const struct json *data; /* also of an error; may be NULL then; borrowed from doc */
	struct json *doc;
};
void answer_release(struct answer *answer);

/* All: 0 when ok, -1 otherwise; answer_release() after either. Ids are passed as they are; "" and 0 leave an argument out. */
int workers_hello(struct workers *workers, struct answer *answer);
int workers_job_status(struct workers *workers, struct answer *answer);
int workers_run_get(struct workers *workers, const char *run_id, struct answer *answer);
int workers_run_cancel(struct workers *workers, const char *run_id, struct answer *answer);
int workers_shop_list(struct workers *workers, struct answer *answer);
int workers_pool_stats(struct workers *workers, struct answer *answer);

struct run_order {
	const char *job_id, *key, *trigger; /* key must not be empty */
	int64_t shop;                       /* 0: not said */
	const struct json *params;          /* an object, or NULL */
};
int workers_run_submit(struct workers *workers, const struct run_order *order, struct answer *answer);

/* window: 24h, 7d or all. */
struct kpi_query {
	const char *job_id, *window;
	int64_t shop;
};
int workers_job_kpi(struct workers *workers, const struct kpi_query *query, struct answer *answer);

struct run_query {
	const char *job_id, *state, *before;
	int64_t shop, limit;
};
int workers_run_list(struct workers *workers, const struct run_query *query, struct answer *answer);

struct item_query {
	const char *run_id, *outcome;
	int64_t after, limit;
};
int workers_item_list(struct workers *workers, const struct item_query *query, struct answer *answer);

/* Carries out the plan that a guard stopped; the data has run_id and state of the run that does it. */
struct plan_order {
	const char *run_id, *only, *reason, *who;
};
int workers_plan_confirm(struct workers *workers, const struct plan_order *order, struct answer *answer);

/* Events from..to (to 0: no end). journal "": whichever is there. */
struct event_query {
	const char *journal, *run_id;
	int64_t from, to;
};
int workers_event_read(struct workers *workers, const struct event_query *query, struct answer *answer);

struct gate_order {
	int64_t shop;
	const char *writes, *reason, *who;
};
int workers_gate_set(struct workers *workers, const struct gate_order *order, struct answer *answer);

/* SKU ids are texts on their way: they may be larger than what JSON's readers keep exactly. */
struct quarantine_query {
	int64_t shop, limit;
	const char *after;
};
int workers_quarantine_list(struct workers *workers, const struct quarantine_query *query, struct answer *answer);

struct quarantine_order {
	int64_t shop;
	const char *sku_id, *who;
};
int workers_quarantine_free(struct workers *workers, const struct quarantine_order *order, struct answer *answer);

struct lease_order {
	int64_t shop;
	const char *from, *reason, *who;
};
int workers_lease_take(struct workers *workers, const struct lease_order *order, struct answer *answer);

int workers_schedule_list(struct workers *workers, struct answer *answer);

struct schedule_order {
	const char *name, *when, *who; /* when NULL: not said */
	int paused;                    /* 1, 0, -1 = not said */
	bool reset;
};
int workers_schedule_set(struct workers *workers, const struct schedule_order *order, struct answer *answer);

struct alarm_query {
	const char *state;
	int64_t after, limit;
};
int workers_alarm_list(struct workers *workers, const struct alarm_query *query, struct answer *answer);

/* CMD_ALARM_ACK, or CMD_ALARM_SNOOZE, which takes the minutes too. */
struct alarm_order {
	int64_t id, minutes;
	const char *reason, *who;
};
int workers_alarm_handle(struct workers *workers, enum proto_command command, const struct alarm_order *order, struct answer *answer);

#endif
