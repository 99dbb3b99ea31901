/* control_internal: what control.c and the command files share. */
#ifndef WORKER_CORE_CONTROL_INTERNAL_H
#define WORKER_CORE_CONTROL_INTERNAL_H

#include "worker/core/control.h"

struct ipc_server;

struct control {
	struct control_config config;
	int64_t started_mono_ms;
	struct ipc_server *server;
};

/* Writes the members of the answer into the open object `data`. On -1 err->code is a name of messages.def (anything else becomes
 * INTERNAL), and what was written by then goes along as the error's data. */
typedef int command_handler(struct control *control, const struct json *args, struct buf *data, struct err *err);

/* control_runs.c */
command_handler command_run_submit, command_run_get, command_run_list, command_run_cancel, command_item_list,
    command_plan_confirm;
/* control_jobs.c */
command_handler command_job_status, command_job_kpi;
/* control_state.c */
command_handler command_hello, command_event_read, command_pool_stats;
/* control_shops.c */
command_handler command_gate_set, command_shop_list, command_quarantine_list, command_quarantine_free, command_lease_take;
/* control_alarms.c */
command_handler command_alarm_list, command_alarm_ack, command_alarm_snooze;

/* control_schedules.c */
command_handler command_schedule_list, command_schedule_set;

/* A list answer stays below PROTO_CHUNK_MAX: room for one more element of at most `size` bytes? */
bool control_room(const struct buf *data, size_t size);

#endif
