/* Commands to temu-workers and back. HTTP is not known here, nor what the answers mean. */
#include "api/workers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/ipc.h"

#define FIRST_TRY_MS 1000
#define ARGS_MAX (128 * 1024)

struct workers {
	struct ipc_client *client;
};

/* Asking twice does no more than asking once. */
static bool
repeatable(enum proto_command command)
{
	switch (command) {
	case CMD_HELLO:
	case CMD_JOB_STATUS:
	case CMD_JOB_KPI:
	case CMD_RUN_SUBMIT: /* with its key */
	case CMD_RUN_GET:
	case CMD_RUN_LIST:
	case CMD_ITEM_LIST:
	case CMD_EVENT_READ:
	case CMD_SHOP_LIST:
	case CMD_POOL_STATS:
	case CMD_PLAN_CONFIRM: /* with a look at what the refusal says */
	case CMD_QUARANTINE_LIST:
	case CMD_SCHEDULE_LIST:
	case CMD_ALARM_LIST:
		return true;
	case CMD_RUN_CANCEL:
	case CMD_GATE_SET:
	case CMD_QUARANTINE_FREE:
	case CMD_SCHEDULE_SET:
	case CMD_LEASE_TAKE:
	case CMD_ALARM_ACK: /* one that is closed with it is unknown the second time */
	case CMD_ALARM_SNOOZE:
	case CMD_COUNT:
		return false;
	}
	return false;
}

struct workers *
workers_new(const char *run_folder, struct err *err)
{
	char path[300];
	struct workers *workers = calloc(1, sizeof(*workers));
	if (workers == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "no memory for the client of temu-workers");
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/workers.sock", run_folder);
	workers->client = ipc_client_new(path, IPC_MAX_CLIENT_SOCKETS, err);
	if (workers->client == NULL) {
		free(workers);
		return NULL;
	}
	ipc_client_patience(workers->client, WORKERS_ABSENT_MS);
	return workers;
}

void
answer_release(struct answer *answer)
{
	json_free(answer->doc);
	memset(answer, 0, sizeof(*answer));
}

static int
refuse(struct answer *answer, enum proto_error code, const char *text)
{
	answer->ok = false;
	answer->code = code;
	snprintf(answer->text, sizeof(answer->text), "%s", text);
	return -1;
}

/* The reply's parts change their owner. */
static int
take_reply(struct answer *answer, const struct buf *raw, enum proto_command command)
{
	struct proto_reply reply;
	struct err err = ERR_INIT;
	if (proto_reply_decode(raw->data, raw->len, &reply, &err) != 0) {
		err_context(&err, "temu-workers answered %s", proto_command_name(command));
		return refuse(answer, strcmp(err.code, "VERSION") == 0 ? PROTO_VERSION : PROTO_INTERNAL, err.text);
	}
	answer->doc = reply.doc;
	answer->data = reply.data;
	answer->ok = reply.ok;
	if (!reply.ok)
		return refuse(answer, reply.code, reply.text);
	if (!json_is_object(reply.data))
		return refuse(answer, PROTO_INTERNAL, "temu-workers answered without data");
	return 0;
}

/* One try, or two when an answer was lost on its way; *tries may be NULL. */
static int
exchange(struct workers *workers, enum proto_command command, const struct buf *request, int *tries, struct buf *reply,
         struct err *err)
{
	int64_t until = clock_mono_ms() + WORKERS_PATIENCE_MS;
	int rc = ipc_request(workers->client, request->data, request->len, FIRST_TRY_MS, reply, err);
	bool lost = rc != 0 && err->class == ERR_TEMP && strcmp(err->code, "IPC_ABSENT") != 0;
	int64_t left = until - clock_mono_ms();
	bool again = lost && repeatable(command) && left > 0;
	if (tries != NULL)
		*tries = again ? 2 : 1;
	if (again) {
		err_clear(err);
		rc = ipc_request(workers->client, request->data, request->len, (int)left, reply, err);
	}
	return rc;
}

/* args: an object, complete. tries as in exchange. */
static int
ask_counted(struct workers *workers, enum proto_command command, const struct buf *args, int *tries, struct answer *answer)
{
	struct buf request, reply;
	struct err err = ERR_INIT;
	int rc;
	memset(answer, 0, sizeof(*answer));
	buf_init(&request, ARGS_MAX + 200);
	buf_init(&reply, IPC_MESSAGE_MAX);
	if (args != NULL && args->failed) {
		rc = refuse(answer, PROTO_TOO_LARGE, "the arguments are larger than a command may be");
		goto out;
	}
	proto_request_encode(&request, command, args != NULL ? buf_text(args) : NULL);
	rc = buf_check(&request, "command", &err);
	if (rc == 0)
		rc = exchange(workers, command, &request, tries, &reply, &err);
	if (rc == 0)
		rc = take_reply(answer, &reply, command);
	else
		refuse(answer, err.class == ERR_TEMP ? PROTO_WORKERS_DOWN : PROTO_INTERNAL, err.text);
out:
	buf_release(&reply);
	buf_release(&request);
	return rc;
}

static int
ask(struct workers *workers, enum proto_command command, const struct buf *args, struct answer *answer)
{
	return ask_counted(workers, command, args, NULL, answer);
}

static void
add_text(struct buf *args, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_add_string(args, name, value);
}

static void
add_number(struct buf *args, const char *name, int64_t value)
{
	if (value != 0)
		json_add_int64(args, name, value);
}

static int
ask_with_text(struct workers *workers, enum proto_command command, const char *name, const char *value, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, name, value);
	json_object_close(&args);
	int rc = ask(workers, command, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_hello(struct workers *workers, struct answer *answer)
{
	return ask(workers, CMD_HELLO, NULL, answer);
}

int
workers_job_status(struct workers *workers, struct answer *answer)
{
	return ask(workers, CMD_JOB_STATUS, NULL, answer);
}

int
workers_job_kpi(struct workers *workers, const struct kpi_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, "job_id", query->job_id);
	add_text(&args, "window", query->window);
	add_number(&args, "shop", query->shop);
	json_object_close(&args);
	int rc = ask(workers, CMD_JOB_KPI, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_run_get(struct workers *workers, const char *run_id, struct answer *answer)
{
	return ask_with_text(workers, CMD_RUN_GET, "run_id", run_id, answer);
}

int
workers_run_cancel(struct workers *workers, const char *run_id, struct answer *answer)
{
	return ask_with_text(workers, CMD_RUN_CANCEL, "run_id", run_id, answer);
}

int
workers_shop_list(struct workers *workers, struct answer *answer)
{
	return ask(workers, CMD_SHOP_LIST, NULL, answer);
}

int
workers_pool_stats(struct workers *workers, struct answer *answer)
{
	return ask(workers, CMD_POOL_STATS, NULL, answer);
}

int
workers_run_submit(struct workers *workers, const struct run_order *order, struct answer *answer)
{
	struct buf args, params;
	assert(order->key != NULL && order->key[0] != '\0');
	buf_init(&args, ARGS_MAX);
	buf_init(&params, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, "job_id", order->job_id);
	json_add_string(&args, "key", order->key);
	add_text(&args, "trigger", order->trigger);
	add_number(&args, "shop", order->shop);
	if (order->params != NULL) {
		json_print(order->params, &params);
		json_add_raw(&args, "params", buf_text(&params));
	}
	json_object_close(&args);
	args.failed |= params.failed;
	int rc = ask(workers, CMD_RUN_SUBMIT, &args, answer);
	buf_release(&params);
	buf_release(&args);
	return rc;
}

int
workers_run_list(struct workers *workers, const struct run_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	add_text(&args, "job_id", query->job_id);
	add_text(&args, "state", query->state);
	add_text(&args, "before", query->before);
	add_number(&args, "shop", query->shop);
	add_number(&args, "limit", query->limit);
	json_object_close(&args);
	int rc = ask(workers, CMD_RUN_LIST, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_item_list(struct workers *workers, const struct item_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, "run_id", query->run_id);
	add_text(&args, "outcome", query->outcome);
	add_number(&args, "after", query->after);
	add_number(&args, "limit", query->limit);
	json_object_close(&args);
	int rc = ask(workers, CMD_ITEM_LIST, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_event_read(struct workers *workers, const struct event_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	add_text(&args, "journal", query->journal);
	json_add_int64(&args, "from", query->from);
	add_number(&args, "to", query->to);
	add_text(&args, "run_id", query->run_id);
	json_object_close(&args);
	int rc = ask(workers, CMD_EVENT_READ, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_gate_set(struct workers *workers, const struct gate_order *order, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_int64(&args, "shop", order->shop);
	json_add_string(&args, "writes", order->writes);
	add_text(&args, "reason", order->reason);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask(workers, CMD_GATE_SET, &args, answer);
	buf_release(&args);
	return rc;
}

/* Asked twice and refused because the plan is confirmed already: by our first try, when the run that carries it out is the one that
 * was wanted. Then that run takes the place of the refusal. */
static int
accept_first_try(struct workers *workers, const struct plan_order *order, struct answer *answer)
{
	struct answer run;
	const char *run_id = json_get_string(answer->data, "run_id", "");
	const char *only = order->only != NULL ? order->only : "";
	if (workers_run_get(workers, run_id, &run) != 0 ||
	    strcmp(json_get_string(json_get(run.data, "params"), "only", ""), only) != 0) {
		answer_release(&run);
		return -1;
	}
	answer_release(answer);
	*answer = run;
	return 0;
}

int
workers_plan_confirm(struct workers *workers, const struct plan_order *order, struct answer *answer)
{
	struct buf args;
	int tries = 0;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, "run_id", order->run_id);
	add_text(&args, "only", order->only);
	add_text(&args, "reason", order->reason);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask_counted(workers, CMD_PLAN_CONFIRM, &args, &tries, answer);
	buf_release(&args);
	if (rc != 0 && tries > 1 && answer->code == PROTO_PLAN_CONFIRMED)
		rc = accept_first_try(workers, order, answer);
	return rc;
}

int
workers_quarantine_list(struct workers *workers, const struct quarantine_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_int64(&args, "shop", query->shop);
	add_text(&args, "after", query->after);
	add_number(&args, "limit", query->limit);
	json_object_close(&args);
	int rc = ask(workers, CMD_QUARANTINE_LIST, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_quarantine_free(struct workers *workers, const struct quarantine_order *order, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_int64(&args, "shop", order->shop);
	json_add_string(&args, "sku_id", order->sku_id);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask(workers, CMD_QUARANTINE_FREE, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_schedule_list(struct workers *workers, struct answer *answer)
{
	return ask(workers, CMD_SCHEDULE_LIST, NULL, answer);
}

int
workers_schedule_set(struct workers *workers, const struct schedule_order *order, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_string(&args, "name", order->name);
	if (order->paused >= 0)
		json_add_bool(&args, "paused", order->paused != 0);
	if (order->when != NULL)
		json_add_string(&args, "when", order->when);
	if (order->reset)
		json_add_bool(&args, "reset", true);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask(workers, CMD_SCHEDULE_SET, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_lease_take(struct workers *workers, const struct lease_order *order, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_int64(&args, "shop", order->shop);
	json_add_string(&args, "from", order->from);
	add_text(&args, "reason", order->reason);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask(workers, CMD_LEASE_TAKE, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_alarm_list(struct workers *workers, const struct alarm_query *query, struct answer *answer)
{
	struct buf args;
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	add_text(&args, "state", query->state);
	add_number(&args, "after", query->after);
	add_number(&args, "limit", query->limit);
	json_object_close(&args);
	int rc = ask(workers, CMD_ALARM_LIST, &args, answer);
	buf_release(&args);
	return rc;
}

int
workers_alarm_handle(struct workers *workers, enum proto_command command, const struct alarm_order *order, struct answer *answer)
{
	struct buf args;
	assert(command == CMD_ALARM_ACK || command == CMD_ALARM_SNOOZE);
	buf_init(&args, ARGS_MAX);
	json_object_open(&args, NULL);
	json_add_int64(&args, "id", order->id);
	if (command == CMD_ALARM_SNOOZE)
		json_add_int64(&args, "minutes", order->minutes);
	add_text(&args, "reason", order->reason);
	add_text(&args, "who", order->who);
	json_object_close(&args);
	int rc = ask(workers, command, &args, answer);
	buf_release(&args);
	return rc;
}
