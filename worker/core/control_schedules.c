/* Commands about schedules. */
#include "common/json.h"
#include "worker/core/control_internal.h"
#include "worker/core/scheduler.h"

int
command_schedule_list(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	(void)args, (void)err;
	if (control->config.scheduler != NULL) {
		scheduler_list(control->config.scheduler, data);
		return 0;
	}
	json_add_null(data, "zone");
	json_array_open(data, "schedules");
	json_array_close(data);
	return 0;
}

int
command_schedule_set(struct control *control, const struct json *args, struct buf *data, struct err *err)
{
	bool paused;
	struct scheduler_order order = {
		.name = json_get_string(args, "name", ""),
		.paused = json_bool(json_get(args, "paused"), &paused) == 0 ? (int)paused : -1,
		.when = json_string(json_get(args, "when")),
		.reset = json_get_bool(args, "reset", false),
		.who = json_get_string(args, "who", ""),
	};
	if (control->config.scheduler == NULL)
		return err_set(err, ERR_PERM, "UNKNOWN_SCHEDULE", "there are no schedules here");
	return scheduler_set(control->config.scheduler, &order, data, err);
}
