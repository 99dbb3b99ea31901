/* Commands about runs and their items. */
#include <stdio.h>
#include <string.h>
#include "common/log.h"
#include "proto/proto.h"
#include "worker/core/control_internal.h"

#define RUN_LIST_LIMIT 50
#define ITEM_LIST_LIMIT 200
#define RUN_JSON_MAX 8192   /* a run in a list: its texts, escaped */
#define ITEM_JSON_MAX 16384 /* detail included */

static void
add_run_error(struct buf *out, const struct run_record *run)
{
	if (run->error_class == ERR_NONE) {
		json_add_null(out, "error");
		return;
	}
	json_object_open(out, "error");
	json_add_string(out, "class", err_class_name(run->error_class));
	json_add_string(out, "code", run->error_code);
	json_add_string(out, "text", run->error_text);
	json_object_close(out);
}

/* Members of the open object. */
static void
add_run(struct buf *out, const struct run_record *run)
{
	json_add_string(out, "run_id", run->id);
	json_add_string(out, "job_id", run->job);
	json_add_int64(out, "shop", run->shop);
	json_add_string(out, "state", run_state_name(run->state));
	json_add_string(out, "trigger", run->trigger);
	json_add_int64(out, "attempt", run->attempt);
	json_add_int64(out, "rescues", run->rescues);
	json_add_bool(out, "cancel", run->cancel);
	json_add_time(out, "created", run->created_ms);
	json_add_time(out, "queued", run->queued_ms);
	json_add_time(out, "started", run->started_ms);
	json_add_time(out, "finished", run->finished_ms);
	json_add_time(out, "not_before", run->not_before_ms);
	if (run->duration_ms < 0)
		json_add_null(out, "duration_seconds");
	else
		json_add_fixed(out, "duration_seconds", (double)run->duration_ms / 1000, 3);
	json_add_string(out, "step", run->step);
	json_add_int64(out, "steps_done", run->steps_done);
	json_add_int64(out, "steps_total", run->steps_total);
	json_add_int64(out, "items_done", run->items_done);
	json_add_int64(out, "items_total", run->items_total);
	json_add_int64(out, "seen", run->seen);
	json_add_int64(out, "changed", run->changed);
	json_add_int64(out, "refused", run->failed);
	json_add_int64(out, "skipped", run->skipped);
	add_run_error(out, run);
}

static int
answer_run(int rc, const struct queue_answer *answer, struct buf *data)
{
	if (answer->run_id[0] == '\0')
		return rc;
	json_add_string(data, "run_id", answer->run_id);
	if (rc == 0)
		json_add_string(data, "state", run_state_name(answer->state));
	return rc;
}

int
command_run_submit(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct queue_answer answer = { .run_id = "" };
	struct queue_request request = {
		.job = json_get_string(args, "job_id", ""),
		.shop = json_get_int64(args, "shop", 0),
		.key = json_get_string(args, "key", ""),
		.trigger = json_get_string(args, "trigger", ""),
		.params = json_is_object(json_get(args, "params")) ? json_get(args, "params") : NULL,
	};
	return answer_run(queue_submit(control->config.queue, &request, &answer, err), &answer, data);
}

int
command_run_cancel(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct queue_answer answer = { .run_id = "" };
	const char *run_id = json_get_string(args, "run_id", "");
	int rc = queue_cancel(control->config.queue, run_id, &answer, err);
	if (rc == 0)
		log_info("cancel of run %s asked for", run_id);
	return answer_run(rc, &answer, data);
}

int
command_plan_confirm(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct queue_answer answer = { .run_id = "" };
	struct queue_confirmation confirmation = {
		.run_id = json_get_string(args, "run_id", ""),
		.only = json_get_string(args, "only", ""),
		.reason = json_get_string(args, "reason", ""),
		.who = json_get_string(args, "who", ""),
	};
	if (confirmation.only[0] != '\0' && strcmp(confirmation.only, "sold_out") != 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field only: \"%s\" is not sold_out", confirmation.only);
	int rc = queue_confirm(control->config.queue, &confirmation, &answer, err);
	if (rc == 0)
		log_info("the plan of run %s was confirmed: run %s carries it out", confirmation.run_id, answer.run_id);
	return answer_run(rc, &answer, data);
}

/* 0, or -1 with UNKNOWN_RUN. The caller releases. */
static int
get_run(struct control *control, const struct json *args, struct run_record *run, struct err *err)
{
	const char *run_id = json_get_string(args, "run_id", "");
	int found = journal_run_get(control->config.journal, run_id, run, err);
	if (found == 0)
		return err_set(err, ERR_PERM, "UNKNOWN_RUN", "no run \"%s\"", run_id);
	return found < 0 ? -1 : 0;
}

int
command_run_get(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	struct run_record run = { 0 };
	if (get_run(control, args, &run, err) != 0)
		return -1;
	add_run(data, &run);
	json_add_string(data, "key", run.key[0] ? run.key : NULL);
	json_add_raw(data, "params", run.params ? run.params : "{}");
	json_add_raw(data, "result", run.result ? run.result : "null");
	run_record_release(&run);
	return 0;
}

struct listing {
	struct buf *data;
	int64_t left;
	char next_run[RUN_ID_MAX];
	int64_t next_item;
	bool more;
};

static bool
list_run(const struct run_record *run, void *arg)
{
	struct listing *listing = arg;
	if (listing->left == 0 || !control_room(listing->data, RUN_JSON_MAX)) {
		listing->more = true;
		return false;
	}
	json_object_open(listing->data, NULL);
	add_run(listing->data, run);
	json_object_close(listing->data);
	snprintf(listing->next_run, sizeof(listing->next_run), "%s", run->id);
	listing->left--;
	return true;
}

int
command_run_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	int64_t limit = json_get_int64(args, "limit", 0);
	const char *state_name = json_get_string(args, "state", NULL);
	enum run_state state = RUN_QUEUED;
	struct listing listing = { .data = data, .left = limit > 0 ? limit : RUN_LIST_LIMIT };
	if (state_name != NULL && run_state_parse(state_name, &state) != 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field state: no state \"%s\"", state_name);
	struct run_filter filter = {
		.job = json_get_string(args, "job_id", NULL),
		.shop = json_get_int64(args, "shop", 0),
		.state = state_name ? (int)state : -1,
		.before = json_get_string(args, "before", ""),
		.limit = listing.left + 1, /* the one more says that there is more */
	};
	if (filter.job != NULL && queue_job(control->config.queue, filter.job) == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_JOB", "no job \"%s\"", filter.job);
	size_t before = data->len;
	json_array_open(data, "runs");
	if (journal_run_list(control->config.journal, &filter, list_run, &listing, err) != 0) {
		data->len = before;
		return -1;
	}
	json_array_close(data);
	json_add_string(data, "next", listing.more ? listing.next_run : NULL);
	return 0;
}

static bool
list_item(const struct item_record *item, void *arg)
{
	struct listing *listing = arg;
	struct buf *data = listing->data;
	if (listing->left == 0 || !control_room(data, ITEM_JSON_MAX)) {
		listing->more = true;
		return false;
	}
	json_object_open(data, NULL);
	json_add_int64(data, "n", item->n);
	json_add_string(data, "sku", item->sku);
	json_add_int64(data, "sku_id", item->sku_id);
	json_add_int64(data, "goods_id", item->goods_id);
	if (item->has_from)
		json_add_int64(data, "from", item->from);
	else
		json_add_null(data, "from");
	if (item->has_to)
		json_add_int64(data, "to", item->to);
	else
		json_add_null(data, "to");
	json_add_string(data, "outcome", item_outcome_name(item->outcome));
	json_add_string(data, "reason", item->reason);
	json_add_string(data, "code", item->code);
	json_add_string(data, "request_id", item->request_id);
	json_add_string(data, "text", item->text);
	if (item->detail != NULL)
		json_add_raw(data, "detail", item->detail);
	json_object_close(data);
	listing->next_item = item->n;
	listing->left--;
	return true;
}

int
command_item_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	int64_t limit = json_get_int64(args, "limit", 0);
	const char *outcome_name = json_get_string(args, "outcome", NULL);
	enum item_outcome outcome = ITEM_PLANNED;
	struct listing listing = { .data = data, .left = limit > 0 ? limit : ITEM_LIST_LIMIT };
	struct run_record run = { 0 };
	if (outcome_name != NULL && item_outcome_parse(outcome_name, &outcome) != 0)
		return err_set(err, ERR_PERM, "BAD_REQUEST", "field outcome: no outcome \"%s\"", outcome_name);
	if (get_run(control, args, &run, err) != 0)
		return -1;
	size_t before = data->len;
	int64_t gone = 0;
	json_array_open(data, "items");
	int rc = journal_items_list(control->config.journal, run.id, outcome_name ? (int)outcome : -1,
	                            json_get_int64(args, "after", 0), listing.left + 1, list_item, &listing, err);
	if (rc == 0)
		rc = journal_items_gone(control->config.journal, run.id, &gone, err);
	run_record_release(&run);
	if (rc != 0) {
		data->len = before;
		return -1;
	}
	json_array_close(data);
	if (listing.more)
		json_add_int64(data, "next", listing.next_item);
	else
		json_add_null(data, "next");
	json_add_int64(data, "gone", gone);
	return 0;
}
