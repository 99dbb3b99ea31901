/* From a message to its handler and back. What the commands do stands in control_runs.c, control_shops.c and control_state.c. */
#include "worker/core/control.h"

#include <assert.h>
#include <stdlib.h>
#include "common/clock.h"
#include "common/ipc.h"
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define SERVER_THREADS 4
#define DATA_MAX (IPC_MESSAGE_MAX - 4096) /* the frame around it */

static command_handler *const handlers[CMD_COUNT] = {
	[CMD_HELLO] = command_hello,
	[CMD_JOB_STATUS] = command_job_status,
	[CMD_JOB_KPI] = command_job_kpi,
	[CMD_RUN_SUBMIT] = command_run_submit,
	[CMD_RUN_GET] = command_run_get,
	[CMD_RUN_LIST] = command_run_list,
	[CMD_RUN_CANCEL] = command_run_cancel,
	[CMD_ITEM_LIST] = command_item_list,
	[CMD_EVENT_READ] = command_event_read,
	[CMD_GATE_SET] = command_gate_set,
	[CMD_SHOP_LIST] = command_shop_list,
	[CMD_PLAN_CONFIRM] = command_plan_confirm,
	[CMD_QUARANTINE_LIST] = command_quarantine_list,
	[CMD_QUARANTINE_FREE] = command_quarantine_free,
	[CMD_LEASE_TAKE] = command_lease_take,
	[CMD_ALARM_LIST] = command_alarm_list,
	[CMD_ALARM_ACK] = command_alarm_ack,
	[CMD_ALARM_SNOOZE] = command_alarm_snooze,
	[CMD_SCHEDULE_LIST] = command_schedule_list,
	[CMD_SCHEDULE_SET] = command_schedule_set,
	[CMD_POOL_STATS] = command_pool_stats,
};

bool
control_room(const struct buf *data, size_t size)
{
	return data->len + size <= PROTO_CHUNK_MAX;
}

static void
answer_error(const struct err *err, const struct buf *data, struct buf *reply)
{
	enum proto_error code;
	bool has_data = data != NULL && !data->failed && data->len > 2; /* more than {} */
	if (proto_error_parse(err->code, &code) != 0)
		code = PROTO_INTERNAL;
	proto_reply_error(reply, code, err->text, has_data ? data->data : NULL);
}

static void
answer_request(struct control *control, const struct proto_request *request, struct buf *reply)
{
	struct err err = ERR_INIT;
	struct buf data;
	buf_init(&data, DATA_MAX);
	json_object_open(&data, NULL);
	int rc = handlers[request->command](control, request->args, &data, &err);
	json_object_close(&data);
	if (rc == 0)
		rc = buf_check(&data, "the answer", &err);
	if (rc == 0)
		proto_reply_encode(reply, data.data);
	else
		answer_error(&err, &data, reply);
	if (rc != 0 && proto_error_parse(err.code, &(enum proto_error){ 0 }) != 0)
		log_error("command %s: %s (%s)", proto_command_name(request->command), err.text, err.code);
	buf_release(&data);
}

void
control_answer(struct control *control, const char *message, size_t len, struct buf *reply)
{
	struct proto_request request;
	enum proto_error code;
	struct err err = ERR_INIT;
	if (proto_request_decode(message, len, &request, &code, &err) != 0) {
		proto_reply_error(reply, code, err.text, NULL);
		return;
	}
	answer_request(control, &request, reply);
	proto_request_release(&request);
}

static void
serve(const char *request, size_t len, struct buf *reply, void *control)
{
	control_answer(control, request, len, reply);
}

struct control *
control_start(const struct control_config *config, const char *path, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));
	for (int i = 0; i < CMD_COUNT; i++)
		assert(handlers[i] != NULL);
	if (control == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for the command server");
		return NULL;
	}
	control->config = *config;
	control->started_mono_ms = clock_mono_ms();
	control->server = ipc_server_start(path, SERVER_THREADS, serve, control, err);
	if (control->server == NULL) {
		free(control);
		return NULL;
	}
	return control;
}

void
control_stop(struct control *control)
{
	if (control != NULL)
		ipc_server_stop(control->server);
}

int64_t
control_deaf_ms(struct control *control)
{
	return ipc_server_deaf_ms(control->server);
}
