/* A stand-in for temu-workers that speaks the protocol over ipc, as a process of its own (this program in another role), so that
 * it can be stopped and killed. Events are made up from their number alone, so a restart needs only the last one.
 * Told what to do by lines on its standard input; says "ok" when it is done. */
#ifndef TESTS_UNIT_API_FAKE_H
#define TESTS_UNIT_API_FAKE_H

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "common/ipc.h"
#include "proto/proto.h"

extern char **environ;

static inline void
pause_ms(long ms)
{
	struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	nanosleep(&span, NULL);
}

static inline int64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the other process -------------------------------------------------------------------------------------------- */

struct fake_state {
	pthread_mutex_t lock;
	struct ipc_publisher *publisher;
	char journal[64], boot[64];
	int64_t last;      /* of the journal */
	int64_t gone;      /* events up to here are forgotten */
	int64_t old;       /* events up to here happened long ago */
	int slow_ms;       /* every answer takes so long */
	int lose;          /* so many requests get their answer too late */
	int garbage;       /* so many answers are not of the protocol */
	char keys[64][128];
	int key_count;
	int submitted;     /* run_submit commands that came */
	char confirmed[40]; /* the plan that is confirmed, "" = none; with its run and what it was confirmed for */
	char only[21], who[100];
	int status;        /* which of fake_statuses job_status answers */
	bool freed;        /* SKU 9007199254740993 is not in quarantine any more */
	char gate[20];
};
static struct fake_state fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .gate = "off" };

static inline void
fake_event(struct buf *out, int64_t seq)
{
	static const char *const levels[] = { "DEBUG", "INFO", "WARNING", "ERROR" };
	char time[40], run[40], text[60];
	const char *kind = seq % 60 == 45 ? "alarm" : seq % 10 == 0 ? "run" : "log";
	snprintf(time, sizeof(time), "%s-01-01T00:00:00.000Z", seq <= fake.old ? "2001" : "2099");
	snprintf(run, sizeof(run), "r-%d", (int)(seq % 3));
	snprintf(text, sizeof(text), "line %lld \xC3\xA4", (long long)seq);
	json_object_open(out, NULL);
	json_add_int64(out, "seq", seq);
	json_add_string(out, "time", time);
	json_add_string(out, "event", kind);
	if (strcmp(kind, "run") != 0)
		json_add_string(out, "level", strcmp(kind, "alarm") == 0 ? "ERROR" : levels[seq % 4]);
	json_add_string(out, "run_id", run);
	json_add_string(out, "job_id", seq % 2 ? "odd" : "even");
	json_add_int64(out, "shop", 1);
	json_add_string(out, "text", text);
	json_object_close(out);
}

/* Publishes first..last, or the heartbeat when first is last + 1. */
static inline void
fake_publish(int64_t first, int64_t last)
{
	struct buf events, batch;
	buf_init(&events, IPC_MESSAGE_MAX);
	buf_init(&batch, IPC_MESSAGE_MAX);
	for (int64_t seq = first; seq <= last; seq++)
		fake_event(&events, seq);
	proto_batch_encode(&batch, fake.boot, fake.journal, first, last, last - first + 1, buf_text(&events));
	assert(!batch.failed);
	ipc_publish(fake.publisher, batch.data, batch.len);
	buf_release(&events);
	buf_release(&batch);
}

static inline void
fake_event_read(const struct json *args, struct buf *reply)
{
	struct buf events, data;
	int64_t from = json_get_int64(args, "from", 1), to = json_get_int64(args, "to", INT64_MAX), seq;
	const char *journal = json_get_string(args, "journal", "");
	if (journal[0] != '\0' && strcmp(journal, fake.journal) != 0) {
		proto_reply_error(reply, PROTO_WRONG_JOURNAL, "the journal is another one", NULL);
		return;
	}
	buf_init(&events, IPC_MESSAGE_MAX);
	buf_init(&data, IPC_MESSAGE_MAX);
	seq = from > fake.gone ? from : fake.gone + 1;
	int64_t first = seq;
	for (; seq <= to && seq <= fake.last && events.len < 20000; seq++)
		fake_event(&events, seq);
	json_object_open(&data, NULL);
	json_add_string(&data, "journal", fake.journal);
	json_add_int64(&data, "first", first);
	json_add_int64(&data, "last", seq - 1 < to ? seq - 1 : to);
	json_array_open(&data, "events");
	buf_add_text(&data, buf_text(&events));
	json_array_close(&data);
	json_add_bool(&data, "more", seq <= to && seq <= fake.last);
	json_add_int64(&data, "oldest", fake.gone + 1);
	if (from > fake.gone) {
		json_add_null(&data, "gone");
	} else {
		json_object_open(&data, "gone");
		json_add_int64(&data, "from", from);
		json_add_int64(&data, "to", to < fake.gone ? to : fake.gone);
		json_object_close(&data);
	}
	json_object_close(&data);
	proto_reply_encode(reply, data.data);
	buf_release(&events);
	buf_release(&data);
}

static inline void
fake_run_submit(const struct json *args, struct buf *reply)
{
	const char *job = json_get_string(args, "job_id", ""), *key = json_get_string(args, "key", "");
	char data[120];
	int i = 0;
	fake.submitted++;
	if (strcmp(job, "temu_inventory_sync") != 0 && strcmp(job, "busy") != 0) {
		proto_reply_error(reply, PROTO_UNKNOWN_JOB, "no job of this id", NULL);
		return;
	}
	if (!json_is_null(json_get(json_get(args, "params"), "bad"))) {
		proto_reply_error(reply, PROTO_BAD_REQUEST, "params.bad: not wanted", NULL);
		return;
	}
	if (strcmp(job, "busy") == 0) {
		proto_reply_error(reply, PROTO_ALREADY_RUNNING, "it runs already", "{\"run_id\":\"busy.1.7\"}");
		return;
	}
	while (i < fake.key_count && strcmp(fake.keys[i], key) != 0)
		i++;
	if (i == fake.key_count && i < 63)
		snprintf(fake.keys[fake.key_count++], sizeof(fake.keys[0]), "%s", key);
	snprintf(data, sizeof(data), "{\"run_id\":\"run.%d\",\"state\":\"queued\"}", i);
	proto_reply_encode(reply, data);
}

static inline void
fake_run_get(const struct json *args, struct buf *reply)
{
	const char *run = json_get_string(args, "run_id", "");
	if (strcmp(run, "run.confirm") == 0) {
		char data[200];
		snprintf(data, sizeof(data), "{\"run_id\":\"run.confirm\",\"state\":\"running\",\"params\":{\"confirm\":\"%s\"%s%s%s}}",
		         fake.confirmed, fake.only[0] != '\0' ? ",\"only\":\"" : "", fake.only, fake.only[0] != '\0' ? "\"" : "");
		proto_reply_encode(reply, data);
	} else if (strncmp(run, "run.", 4) != 0)
		proto_reply_error(reply, PROTO_UNKNOWN_RUN, "no run of this id", NULL);
	else
		proto_reply_encode(reply, "{\"run_id\":\"run.0\",\"state\":\"running\",\"attempt\":1,\"result\":null}");
}

static inline void
fake_gate_set(const struct json *args, struct buf *reply)
{
	char data[120];
	if (json_get_int64(args, "shop", 0) != 1) {
		proto_reply_error(reply, PROTO_UNKNOWN_SHOP, "no shop of this number", NULL);
		return;
	}
	snprintf(data, sizeof(data), "{\"shop\":1,\"writes\":\"%s\",\"was\":\"%s\"}", json_get_string(args, "writes", ""), fake.gate);
	snprintf(fake.gate, sizeof(fake.gate), "%s", json_get_string(args, "writes", ""));
	proto_reply_encode(reply, data);
}

/* Plans of runs "guarded.*" can be confirmed, once. */
static inline void
fake_plan_confirm(const struct json *args, struct buf *reply)
{
	const char *run = json_get_string(args, "run_id", "");
	if (strncmp(run, "guarded.", 8) == 0 && strcmp(run, fake.confirmed) != 0) {
		snprintf(fake.confirmed, sizeof(fake.confirmed), "%.39s", run);
		snprintf(fake.only, sizeof(fake.only), "%.20s", json_get_string(args, "only", ""));
		snprintf(fake.who, sizeof(fake.who), "%.99s", json_get_string(args, "who", ""));
		proto_reply_encode(reply, "{\"run_id\":\"run.confirm\",\"state\":\"queued\"}");
	} else if (strncmp(run, "guarded.", 8) == 0) {
		proto_reply_error(reply, PROTO_PLAN_CONFIRMED, "this plan was confirmed", "{\"run_id\":\"run.confirm\"}");
	} else if (strcmp(run, "old") == 0) {
		proto_reply_error(reply, PROTO_PLAN_OLD, "this plan is older than an hour", NULL);
	} else if (strcmp(run, "busy") == 0) {
		proto_reply_error(reply, PROTO_ALREADY_RUNNING, "it runs already", "{\"run_id\":\"busy.1.7\"}");
	} else if (strncmp(run, "run.", 4) == 0) {
		proto_reply_error(reply, PROTO_PLAN_NONE, "no guard stopped this run", NULL);
	} else {
		proto_reply_error(reply, PROTO_UNKNOWN_RUN, "no run of this id", NULL);
	}
}

/* One page holds two SKUs; shop 1 has three. */
static inline void
fake_quarantine_list(const struct json *args, struct buf *reply)
{
	static const char *const skus[] = { "17", "18", "9007199254740993" };
	long long after = strtoll(json_get_string(args, "after", "0"), NULL, 10);
	struct buf data;
	size_t i = 0, end;
	if (json_get_int64(args, "shop", 0) != 1) {
		proto_reply_error(reply, PROTO_UNKNOWN_SHOP, "no shop of this number", NULL);
		return;
	}
	while (i < 3 && strtoll(skus[i], NULL, 10) <= after)
		i++;
	end = i + 2 < 3 ? i + 2 : 3;
	buf_init(&data, IPC_MESSAGE_MAX);
	buf_add_text(&data, "{\"items\":[");
	for (; i < end; i++)
		buf_addf(&data, "%s{\"sku_id\":\"%s\"}", data.data[data.len - 1] == '[' ? "" : ",", skus[i]);
	buf_addf(&data, "],\"next\":%s}", end < 3 ? "\"18\"" : "null");
	proto_reply_encode(reply, data.data);
	buf_release(&data);
}

static inline void
fake_quarantine_free(const struct json *args, struct buf *reply)
{
	if (json_get_int64(args, "shop", 0) != 1) {
		proto_reply_error(reply, PROTO_UNKNOWN_SHOP, "no shop of this number", NULL);
	} else if (strcmp(json_get_string(args, "sku_id", ""), "9007199254740993") != 0 || fake.freed) {
		proto_reply_error(reply, PROTO_NOT_QUARANTINED, "this SKU is not in quarantine", NULL);
	} else {
		fake.freed = true;
		snprintf(fake.who, sizeof(fake.who), "%.99s", json_get_string(args, "who", ""));
		proto_reply_encode(reply, "{\"shop\":1,\"sku_id\":\"9007199254740993\"}");
	}
}

static inline void
fake_lease_take(const struct json *args, struct buf *reply)
{
	if (json_get_int64(args, "shop", 0) != 1) {
		proto_reply_error(reply, PROTO_UNKNOWN_SHOP, "no shop of this number", NULL);
	} else if (strcmp(json_get_string(args, "from", ""), "other") != 0) {
		proto_reply_error(reply, PROTO_LEASE_NOT_FOREIGN, "nobody of that name has it", NULL);
	} else {
		snprintf(fake.who, sizeof(fake.who), "%.99s", json_get_string(args, "who", ""));
		proto_reply_encode(reply, "{\"shop\":1,\"from\":\"other\"}");
	}
}

/* Alarm 3 is open; one page holds one. */
static inline void
fake_alarms(const struct proto_request *request, struct buf *reply)
{
	char data[200];
	const char *who = json_get_string(request->args, "who", "");
	if (request->command == CMD_ALARM_LIST) {
		bool all = strcmp(json_get_string(request->args, "state", ""), "all") == 0;
		snprintf(data, sizeof(data), "{\"open\":1,\"alarms\":[{\"id\":%d}],\"next\":%s}", all ? 1 : 3,
		         all && json_get_int64(request->args, "after", 0) == 0 ? "1" : "null");
		proto_reply_encode(reply, data);
	} else if (json_get_int64(request->args, "id", 0) != 3) {
		proto_reply_error(reply, PROTO_UNKNOWN_ALARM, "no open alarm has this number", NULL);
	} else {
		snprintf(fake.who, sizeof(fake.who), "%.60s/%.30s", who, json_get_string(request->args, "reason", ""));
		snprintf(data, sizeof(data), "{\"id\":3,\"minutes\":%lld}", (long long)json_get_int64(request->args, "minutes", -1));
		proto_reply_encode(reply, data);
	}
}

/* The schedule "stock.1" is there; the answer says what was asked. */
static inline void
fake_schedules(const struct proto_request *request, struct buf *reply)
{
	struct buf args;
	buf_init(&args, 2000);
	if (request->command == CMD_SCHEDULE_LIST) {
		proto_reply_encode(reply, "{\"zone\":\"Europe/Berlin\",\"schedules\":[{\"name\":\"stock.1\"}]}");
	} else if (strcmp(json_get_string(request->args, "name", ""), "stock.1") != 0) {
		proto_reply_error(reply, PROTO_UNKNOWN_SCHEDULE, "no schedule of this name", NULL);
	} else if (strcmp(json_get_string(request->args, "when", "every 5m"), "every 5m") != 0) {
		proto_reply_error(reply, PROTO_BAD_REQUEST, "field when: not understood", NULL);
	} else {
		json_print(request->args, &args);
		proto_reply_encode(reply, buf_text(&args));
	}
	buf_release(&args);
}

static const char *const fake_statuses[] = {
	"{\"temu_inventory_sync\":{\"status\":\"success\",\"last_run\":\"2026-11-24T05:04:17Z\",\"duration_seconds\":1.9,\"error\":null,"
	"\"run_id\":\"x\",\"last_result\":{\"state\":\"success\"},\"shops\":{\"1\":{\"status\":\"success\"}}},\"temu_orders_sync\":"
	"{\"status\":\"failed\",\"last_run\":null,\"error\":\"no such host\"}}",
	"{\"temu_inventory_sync\":{\"status\":\"running\",\"last_run\":null,\"duration_seconds\":0.5,\"error\":null,\"last_result\":"
	"{\"state\":\"failed\"},\"shops\":{\"1\":{\"status\":\"running\"},\"2\":{\"status\":\"never\"}}}}",
	"{\"j\":{\"status\":\"held\",\"last_run\":null,\"duration_seconds\":null,\"error\":\"waits\"}}",
	"{\"j\":{\"status\":\"never\",\"last_run\":null,\"duration_seconds\":null,\"error\":null,\"last_result\":null}}",
};

static inline void
fake_answer(const struct proto_request *request, struct buf *reply)
{
	char data[300];
	switch (request->command) {
	case CMD_HELLO:
		snprintf(data, sizeof(data), "{\"version\":\"0.1\",\"boot\":\"%s\",\"journal\":\"%s\",\"last_seq\":%lld,\"uptime_s\":3}",
		         fake.boot, fake.journal, (long long)fake.last);
		proto_reply_encode(reply, data);
		break;
	case CMD_JOB_STATUS:
		proto_reply_encode(reply, fake_statuses[fake.status]);
		break;
	case CMD_JOB_KPI:
		if (strcmp(json_get_string(request->args, "job_id", ""), "temu_inventory_sync") != 0)
			proto_reply_error(reply, PROTO_UNKNOWN_JOB, "no job of this id", NULL);
		else
			snprintf(data, sizeof(data), "{\"job_id\":\"temu_inventory_sync\",\"kpi\":{\"success_rate\":\"99.5%%\"},\"detail\":"
			         "{\"window\":\"%.10s\",\"shop\":%lld}}", json_get_string(request->args, "window", "7d"),
			         (long long)json_get_int64(request->args, "shop", 0));
		if (strcmp(json_get_string(request->args, "job_id", ""), "temu_inventory_sync") == 0)
			proto_reply_encode(reply, data);
		break;
	case CMD_RUN_SUBMIT:
		fake_run_submit(request->args, reply);
		break;
	case CMD_RUN_GET:
		fake_run_get(request->args, reply);
		break;
	case CMD_RUN_LIST:
		proto_reply_encode(reply, "{\"runs\":[{\"run_id\":\"run.9\"},{\"run_id\":\"run.8\"}],\"next\":\"run.8\"}");
		break;
	case CMD_RUN_CANCEL:
		if (strcmp(json_get_string(request->args, "run_id", ""), "run.over") == 0)
			proto_reply_error(reply, PROTO_WRONG_STATE, "the run is over", NULL);
		else
			fake_run_get(request->args, reply);
		break;
	case CMD_ITEM_LIST:
		snprintf(data, sizeof(data), "{\"items\":[{\"n\":%lld,\"sku\":\"ART-1\"}],\"next\":%s}",
		         (long long)json_get_int64(request->args, "after", 0) + 1, json_get_int64(request->args, "after", 0) > 5 ? "null" : "7");
		proto_reply_encode(reply, data);
		break;
	case CMD_EVENT_READ:
		fake_event_read(request->args, reply);
		break;
	case CMD_GATE_SET:
		fake_gate_set(request->args, reply);
		break;
	case CMD_SHOP_LIST:
		snprintf(data, sizeof(data), "{\"shops\":[{\"id\":1,\"name\":\"Shop\",\"writes\":\"%s\"}]}", fake.gate);
		proto_reply_encode(reply, data);
		break;
	case CMD_POOL_STATS:
		snprintf(data, sizeof(data), "{\"pool\":{\"open\":3,\"submitted\":%d},\"who\":\"%s\"}", fake.submitted, fake.who);
		proto_reply_encode(reply, data);
		break;
	case CMD_PLAN_CONFIRM:
		fake_plan_confirm(request->args, reply);
		break;
	case CMD_QUARANTINE_LIST:
		fake_quarantine_list(request->args, reply);
		break;
	case CMD_QUARANTINE_FREE:
		fake_quarantine_free(request->args, reply);
		break;
	case CMD_LEASE_TAKE:
		fake_lease_take(request->args, reply);
		break;
	case CMD_ALARM_LIST:
	case CMD_ALARM_ACK:
	case CMD_ALARM_SNOOZE:
		fake_alarms(request, reply);
		break;
	case CMD_SCHEDULE_LIST:
	case CMD_SCHEDULE_SET:
		fake_schedules(request, reply);
		break;
	case CMD_COUNT:
		break;
	}
}

static inline void
fake_handle(const char *message, size_t len, struct buf *reply, void *arg)
{
	struct proto_request request;
	enum proto_error code;
	struct err err = ERR_INIT;
	(void)arg;
	pthread_mutex_lock(&fake.lock);
	int wait = fake.slow_ms;
	if (fake.lose > 0) {
		fake.lose--;
		wait = 1300;
	}
	bool garbage = fake.garbage > 0;
	fake.garbage -= garbage;
	if (garbage) {
		buf_add_text(reply, "{\"v\":1,\"what\":7}");
	} else if (proto_request_decode(message, len, &request, &code, &err) != 0) {
		proto_reply_error(reply, code, err.text, NULL);
	} else {
		fake_answer(&request, reply);
		proto_request_release(&request);
	}
	pthread_mutex_unlock(&fake.lock);
	if (wait > 0)
		pause_ms(wait);
}

static inline void
fake_obey(const char *word, long long n)
{
	pthread_mutex_lock(&fake.lock);
	if (strcmp(word, "log") == 0) {
		fake_publish(fake.last + 1, fake.last + n);
		fake.last += n;
	} else if (strcmp(word, "each") == 0) {
		for (; n > 0; n--, fake.last++)
			fake_publish(fake.last + 1, fake.last + 1);
	} else if (strcmp(word, "again") == 0) { /* what was published already comes once more */
		fake_publish(fake.last - n + 1, fake.last);
	} else if (strcmp(word, "hide") == 0) {
		fake.last += n;
	} else if (strcmp(word, "beat") == 0) {
		fake_publish(fake.last + 1, fake.last);
	} else if (strcmp(word, "noise") == 0) {
		ipc_publish(fake.publisher, "not an event", 12);
	} else if (strcmp(word, "gone") == 0) {
		fake.gone = n;
	} else if (strcmp(word, "status") == 0) {
		fake.status = (int)n;
	} else if (strcmp(word, "slow") == 0) {
		fake.slow_ms = (int)n;
	} else if (strcmp(word, "lose") == 0) {
		fake.lose = (int)n;
	} else if (strcmp(word, "garbage") == 0) {
		fake.garbage = (int)n;
	} else {
		abort();
	}
	pthread_mutex_unlock(&fake.lock);
}

/* argv: program "fake-workers" folder journal boot last old. Does not return when this is that role. */
static inline void
fake_main(int argc, char **argv)
{
	char path[200], line[100], word[20];
	struct err err = ERR_INIT;
	long long n;
	if (argc != 7 || strcmp(argv[1], "fake-workers") != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(fake.journal, sizeof(fake.journal), "%s", argv[3]);
	snprintf(fake.boot, sizeof(fake.boot), "%s", argv[4]);
	fake.last = strtoll(argv[5], NULL, 10);
	fake.old = strtoll(argv[6], NULL, 10);
	snprintf(path, sizeof(path), "%s/events.sock", argv[2]);
	fake.publisher = ipc_publisher_start(path, &err);
	snprintf(path, sizeof(path), "%s/workers.sock", argv[2]);
	if (fake.publisher == NULL || ipc_server_start(path, 8, fake_handle, NULL, &err) == NULL) {
		fprintf(stderr, "fake-workers: %s\n", err.text);
		_exit(1);
	}
	for (;;) {
		puts("ok");
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin) == NULL)
			_exit(0);
		n = 0;
		if (sscanf(line, "%19s %lld", word, &n) < 1)
			_exit(1);
		fake_obey(word, n);
	}
}

/* --- from the test ------------------------------------------------------------------------------------------------ */

struct fake_process {
	pid_t pid;
	int to;
	FILE *from;
};

static inline void
fake_died(const struct fake_process *process)
{
	int status = 0;
	waitpid(process->pid, &status, 0);
	fprintf(stderr, "fake-workers ended: signal %d, exit code %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0, WEXITSTATUS(status));
	abort();
}

static inline void
fake_await_ok(struct fake_process *process)
{
	char line[2000];
	do { /* its log lines come the same way */
		if (fgets(line, sizeof(line), process->from) == NULL)
			fake_died(process);
		if (strcmp(line, "ok\n") != 0)
			fputs(line, stderr);
	} while (strcmp(line, "ok\n") != 0);
}

/* Its journal holds `last` events, the first `old` of them from long ago. */
static inline void
fake_start(struct fake_process *process, const char *folder, const char *journal, const char *boot, int64_t last, int64_t old)
{
	char program[300], role[] = "fake-workers", number[24], old_arg[24], folder_arg[120], journal_arg[64], boot_arg[64];
	char *argv[] = { program, role, folder_arg, journal_arg, boot_arg, number, old_arg, NULL };
	posix_spawn_file_actions_t actions;
	int in[2], out[2];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (len < 0 || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
		perror("fake-workers");
		abort();
	}
	program[len] = '\0';
	snprintf(number, sizeof(number), "%" PRId64, last);
	snprintf(old_arg, sizeof(old_arg), "%" PRId64, old);
	snprintf(folder_arg, sizeof(folder_arg), "%s", folder);
	snprintf(journal_arg, sizeof(journal_arg), "%s", journal);
	snprintf(boot_arg, sizeof(boot_arg), "%s", boot);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	int rc = posix_spawn(&process->pid, program, &actions, NULL, argv, environ);
	if (rc != 0) {
		fprintf(stderr, "fake-workers cannot be started: %s\n", strerror(rc));
		abort();
	}
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	process->to = in[1];
	process->from = fdopen(out[0], "r");
	fake_await_ok(process);
}

static inline void
fake_say(struct fake_process *process, const char *word, long long n)
{
	dprintf(process->to, "%s %lld\n", word, n);
	fake_await_ok(process);
}

/* Like kill -9. */
static inline void
fake_kill(struct fake_process *process)
{
	if (process->pid == 0)
		return;
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	close(process->to);
	fclose(process->from);
	process->pid = 0;
}

/* A fresh folder for the sockets. */
static inline const char *
fake_folder(char *out, size_t size)
{
	snprintf(out, size, "/tmp/temu-api-test-XXXXXX");
	if (mkdtemp(out) == NULL)
		abort();
	return out;
}

static inline void
fake_folder_remove(const char *folder)
{
	static const char *const names[] = { "workers.sock", "events.sock", "workers.sock.lock", "events.sock.lock" };
	char path[200];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

#endif
