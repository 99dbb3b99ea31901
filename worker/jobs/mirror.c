/* The thread that copies the journal's tail to dbo.scheduler_logs, and what it knows of itself. The statements are in
 * worker/db/log_mirror.c. */
#include "worker/jobs/mirror.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/zone.h"
#include "proto/proto.h"
#include "worker/db/log_mirror.h"
#include "worker/db/old_system.h"
#include "worker/db/schema.h"

#define GATHER_MS 200       /* how long lines wait for others to go with */
#define SCHEMA_LOOK_MS 60000
#define WAIT_MAX_MS 60000   /* between two tries */
#define NOBODY INT64_MAX
#define KEEP_NAME "mirror"

struct mirror {
	const struct settings *settings;
	struct connpool *pool;
	struct journal *journal;
	struct schema_list schema;
	struct zone *zone;
	struct journal_watch watch;
	pthread_t thread;

	/* the thread's own */
	struct log_batch batch;
	bool has_rows;
	int64_t first_ms, last_ms; /* times of the batch's first and last line */
	int64_t schema_ms;         /* clock_kernel_ms of the last look at the schema */
	int64_t gathered_ms;       /* when the lines that wait have waited long enough; 0 = none wait */
	bool told_conflict, told_ahead;

	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	/* under lock */
	bool stopping, ended;
	bool reading;   /* inside the journal */
	int64_t newest; /* last number of the journal */
	int64_t wanted; /* a number from which on the thread is to be woken */
	bool known;     /* the mark was read and nothing happened since that makes it doubtful */
	int64_t mark;   /* -1 = never known */
	int64_t oldest_ms; /* time of the oldest line that is not copied, as far as known; 0 = all are */
	int64_t lines, batches, conflicts, failures;
	int tries;         /* failures in a row */
	int64_t retry_ms;  /* clock_kernel_ms, not before */
	struct err trouble; /* code "" = none */
	int64_t trouble_ms;
};

/* --- what a row says --- */

static const char *level_of(enum run_state state)
{
	switch (state) {
	case RUN_FAILED:
		return log_level_name(LEVEL_ERROR);
	case RUN_RETRY:
	case RUN_HELD:
	case RUN_PARTIAL:
		return log_level_name(LEVEL_WARNING);
	case RUN_QUEUED:
	case RUN_RUNNING:
	case RUN_INTERRUPTED:
	case RUN_SUCCESS:
	case RUN_CANCELLED:
	case RUN_STATE_COUNT:
		break;
	}
	return log_level_name(LEVEL_INFO);
}

static int zone_min(const struct mirror *mirror, int64_t time_ms)
{
	struct zone_time local;

	zone_local(mirror->zone, time_ms, &local);
	return (int)(local.offset_s / 60);
}

static void describe(const struct mirror *mirror, const struct tail_event *event, struct log_row *row)
{
	enum run_state state;

	*row = (struct log_row){ .seq = event->seq,
		                 .time_ms = event->time_ms,
		                 .zone_min = zone_min(mirror, event->time_ms),
		                 .job_id = event->run[0] ? event->run : OLD_SYSTEM_OURS,
		                 .job_type = event->job[0] ? event->job : OLD_SYSTEM_OURS,
		                 .level = log_level_name(event->level),
		                 .message = event->text,
		                 .duration_ms = -1 };
	if (event->state[0] && run_state_parse(event->state, &state) == 0) {
		row->level = level_of(state);
		if (run_state_terminal(state)) {
			row->status = state == RUN_SUCCESS || state == RUN_PARTIAL ? "SUCCESS" : "FAILED";
			row->duration_ms = event->duration_ms;
		}
	}
	if (strcmp(row->level, log_level_name(LEVEL_ERROR)) == 0)
		row->error = event->text;
}

static bool add(const struct tail_event *event, void *arg)
{
	struct mirror *mirror = arg;
	struct log_row row;

	describe(mirror, event, &row);
	log_batch_add(&mirror->batch, &row);
	if (!mirror->has_rows)
		mirror->first_ms = event->time_ms;
	mirror->last_ms = event->time_ms;
	mirror->has_rows = true;
	return true;
}

/* --- waking --- */

/* The journal's writer thread. */
static void committed(int64_t last, void *arg)
{
	struct mirror *mirror = arg;

	pthread_mutex_lock(&mirror->lock);
	if (last > mirror->newest)
		mirror->newest = last;
	if (mirror->oldest_ms == 0)
		mirror->oldest_ms = clock_now_ms();
	if (last >= mirror->wanted) {
		mirror->wanted = NOBODY;
		pthread_cond_signal(&mirror->wake);
	}
	pthread_mutex_unlock(&mirror->lock);
}

static bool stopping(void *arg)
{
	struct mirror *mirror = arg;
	bool answer;

	pthread_mutex_lock(&mirror->lock);
	answer = mirror->stopping;
	pthread_mutex_unlock(&mirror->lock);
	return answer;
}

/* How long there is nothing to do, in ms; 0 = there is something, -1 = until somebody wakes us. Under the lock. */
static int64_t idle_ms(struct mirror *mirror)
{
	int64_t now_ms = clock_kernel_ms();

	mirror->wanted = NOBODY;
	if (mirror->retry_ms > now_ms)
		return mirror->retry_ms - now_ms;
	if (!mirror->known)
		return 0;
	if (mirror->newest <= mirror->mark) {
		mirror->gathered_ms = 0;
		mirror->wanted = mirror->mark + 1;
		return -1;
	}
	if (mirror->gathered_ms == 0)
		mirror->gathered_ms = now_ms + GATHER_MS;
	if (mirror->newest - mirror->mark >= LOG_MIRROR_BATCH || mirror->gathered_ms <= now_ms)
		return 0;
	mirror->wanted = mirror->mark + LOG_MIRROR_BATCH;
	return mirror->gathered_ms - now_ms;
}

/* False: it is to end. */
static bool await_work(struct mirror *mirror)
{
	bool go_on;

	pthread_mutex_lock(&mirror->lock);
	while (!mirror->stopping) {
		int64_t ms = idle_ms(mirror);
		struct timespec until = clock_kernel_after(ms);

		if (ms == 0)
			break;
		if (ms < 0)
			pthread_cond_wait(&mirror->wake, &mirror->lock);
		else
			pthread_cond_timedwait(&mirror->wake, &mirror->lock, &until);
	}
	go_on = !mirror->stopping;
	pthread_mutex_unlock(&mirror->lock);
	return go_on;
}

/* --- one batch --- */

struct looking {
	struct mirror *mirror;
	int64_t mark;
};

static int look_at(struct db *db, void *arg, struct err *err)
{
	struct looking *l = arg;

	if (schema_check(db, &l->mirror->schema, err) != 0)
		return -1;
	return log_mirror_mark(db, l->mirror->batch.journal, &l->mark, err);
}

/* Retention leaves alone what is not copied. Under the lock; not any more at the end, when the journal may be closed already. */
static void hold(struct mirror *mirror)
{
	if (!mirror->stopping)
		journal_keep_from(mirror->journal, KEEP_NAME, mirror->mark + 1);
}

static void note_mark(struct mirror *mirror, int64_t mark)
{
	int64_t newest;

	pthread_mutex_lock(&mirror->lock);
	mirror->known = true;
	mirror->mark = mark;
	hold(mirror);
	newest = mirror->newest;
	if (newest <= mark)
		mirror->oldest_ms = 0;
	pthread_mutex_unlock(&mirror->lock);
	if (mark <= newest || mirror->told_ahead)
		return;
	mirror->told_ahead = true;
	log_warning("log mirror: %" PRId64 " lines of journal %s are copied, but this one has only %" PRId64 ": it is an older copy, or another "
	            "process works on a copy of it; what comes is copied from there on", mark, mirror->batch.journal, newest);
}

/* The schema is ours, and how far it is copied. Asked anew after every failure, and now and then. */
static int look(struct mirror *mirror, struct err *err)
{
	struct looking looking = { mirror, -1 };
	struct db_limit limit = { .cancelled = stopping, .arg = mirror };
	int64_t now_ms = clock_kernel_ms();

	if (mirror->known && now_ms - mirror->schema_ms < SCHEMA_LOOK_MS)
		return 0;
	if (connpool_run(mirror->pool, &limit, look_at, &looking, err) != 0)
		return -1;
	mirror->schema_ms = now_ms;
	note_mark(mirror, looking.mark);
	return 0;
}

/* From now on nobody closes the journal, until leave_journal. False: it may be closed already, or there is nothing to copy. */
static bool enter_journal(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->reading = !mirror->stopping && mirror->newest > mirror->mark;
	pthread_mutex_unlock(&mirror->lock);
	return mirror->reading;
}

static void leave_journal(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->reading = false;
	if (mirror->has_rows)
		mirror->oldest_ms = mirror->first_ms;
	pthread_cond_broadcast(&mirror->done);
	pthread_mutex_unlock(&mirror->lock);
}

static int read_batch(struct mirror *mirror, struct err *err)
{
	int rc;

	mirror->has_rows = false;
	log_batch_clear(&mirror->batch, mirror->mark);
	mirror->batch.zoned = true;
	mirror->batch.zone_now_min = zone_min(mirror, clock_now_ms());
	if (!enter_journal(mirror))
		return 0;
	rc = journal_tail(mirror->journal, mirror->mark, LOG_MIRROR_BATCH, add, mirror, err);
	leave_journal(mirror);
	if (rc == 0 && !mirror->has_rows)
		return err_set(err, ERR_TEMP, "MIRROR_GAP", "the journal has no line behind number %" PRId64, mirror->mark);
	return rc;
}

static void note_copied(struct mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->mark = mirror->batch.to;
	mirror->lines += (int64_t)mirror->batch.rows.rows;
	mirror->batches++;
	hold(mirror);
	mirror->oldest_ms = mirror->newest > mirror->mark ? mirror->last_ms : 0;
	pthread_mutex_unlock(&mirror->lock);
	mirror->gathered_ms = 0;
}

static int copy_batch(struct mirror *mirror, struct err *err)
{
	struct db_limit limit = { .cancelled = stopping, .arg = mirror };

	if (read_batch(mirror, err) != 0)
		return -1;
	if (!mirror->has_rows)
		return 0;
	if (connpool_transaction(mirror->pool, &limit, NULL, log_mirror_write, &mirror->batch, err) != 0)
		return -1;
	note_copied(mirror);
	return 0;
}

/* --- how it went --- */

static void note_good(struct mirror *mirror)
{
	int64_t lag;
	bool was;

	pthread_mutex_lock(&mirror->lock);
	was = mirror->trouble.code[0] != '\0';
	err_clear(&mirror->trouble);
	mirror->tries = 0;
	lag = mirror->newest > mirror->mark ? mirror->newest - mirror->mark : 0;
	pthread_mutex_unlock(&mirror->lock);
	if (was)
		log_info("log mirror: goes on, %" PRId64 " lines behind", lag);
}

static int64_t pause_ms(const struct mirror *mirror)
{
	int64_t most = mirror->settings->workers_backoff_max_ms, ms = mirror->settings->workers_backoff_ms;

	if (most > WAIT_MAX_MS)
		most = WAIT_MAX_MS;
	for (int i = 1; i < mirror->tries && ms < most; i++)
		ms *= 2;
	return ms < most ? ms : most;
}

/* Whatever it was: how far the lines are copied is asked before the next batch. */
static void note_bad(struct mirror *mirror, const struct err *err)
{
	bool conflict = strcmp(err->code, "LOG_MARK_MOVED") == 0, news;

	pthread_mutex_lock(&mirror->lock);
	news = !conflict && mirror->trouble.code[0] == '\0';
	mirror->known = false;
	mirror->failures += !conflict;
	mirror->conflicts += conflict;
	mirror->tries++;
	mirror->retry_ms = clock_kernel_ms() + (conflict && mirror->tries == 1 ? 0 : pause_ms(mirror));
	if (!conflict) {
		mirror->trouble = *err;
		if (news)
			mirror->trouble_ms = clock_now_ms();
	}
	pthread_mutex_unlock(&mirror->lock);
	if (news)
		log_warning("log mirror: waits: %s (%s)", err->text, err->code);
	if (conflict && !mirror->told_conflict)
		log_warning("log mirror: %s", err->text);
	mirror->told_conflict |= conflict;
}

static void *copy(void *arg)
{
	struct mirror *mirror = arg;

	log_streams_only();
	while (await_work(mirror)) {
		struct err err = ERR_INIT;

		if (look(mirror, &err) == 0 && copy_batch(mirror, &err) == 0)
			note_good(mirror);
		else if (!stopping(mirror))
			note_bad(mirror, &err);
	}
	pthread_mutex_lock(&mirror->lock);
	mirror->ended = true;
	pthread_cond_broadcast(&mirror->done);
	pthread_mutex_unlock(&mirror->lock);
	return NULL;
}

/* --- start and stop --- */

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void mirror_free(struct mirror *mirror)
{
	zone_free(mirror->zone);
	log_batch_release(&mirror->batch);
	pthread_cond_destroy(&mirror->wake);
	pthread_cond_destroy(&mirror->done);
	pthread_mutex_destroy(&mirror->lock);
	free(mirror);
}

static int start(struct mirror *mirror, struct err *err)
{
	journal_keep_from(mirror->journal, KEEP_NAME, 1);
	journal_watch_add(mirror->journal, &mirror->watch);
	committed(journal_last(mirror->journal), mirror); /* what came in between */
	if (pthread_create(&mirror->thread, NULL, copy, mirror) == 0) {
		pthread_setname_np(mirror->thread, "mirror");
		return 0;
	}
	journal_watch_remove(mirror->journal, &mirror->watch);
	return err_set(err, ERR_TEMP, "MIRROR_THREAD", "no thread for the log mirror");
}

struct mirror *mirror_start(const struct settings *settings, struct connpool *pool, struct journal *journal, struct err *err)
{
	struct mirror *mirror = calloc(1, sizeof(*mirror));

	if (!mirror) {
		err_set(err, ERR_TEMP, "MIRROR_MEMORY", "no memory");
		return NULL;
	}
	*mirror = (struct mirror){ .settings = settings, .pool = pool, .journal = journal, .schema = schema_own(), .wanted = NOBODY,
		                   .mark = -1, .trouble = ERR_INIT };
	mirror->watch = (struct journal_watch){ .committed = committed, .arg = mirror };
	log_batch_init(&mirror->batch, journal_identity(journal));
	pthread_mutex_init(&mirror->lock, NULL);
	cond_init(&mirror->wake);
	cond_init(&mirror->done);
	mirror->newest = journal_last(journal);
	mirror->zone = zone_load(settings->zone, err);
	if (mirror->zone && start(mirror, err) == 0)
		return mirror;
	mirror_free(mirror);
	return NULL;
}

void mirror_ask_stop(struct mirror *mirror)
{
	if (!mirror)
		return;
	journal_watch_remove(mirror->journal, &mirror->watch);
	pthread_mutex_lock(&mirror->lock);
	mirror->stopping = true;
	pthread_cond_signal(&mirror->wake);
	while (mirror->reading)
		pthread_cond_wait(&mirror->done, &mirror->lock);
	pthread_mutex_unlock(&mirror->lock);
}

bool mirror_stop(struct mirror *mirror, int64_t deadline_ms)
{
	struct timespec until;
	bool ended;

	if (!mirror)
		return true;
	mirror_ask_stop(mirror);
	until = clock_kernel_after(deadline_ms - clock_mono_ms());
	pthread_mutex_lock(&mirror->lock);
	while (!mirror->ended && pthread_cond_timedwait(&mirror->done, &mirror->lock, &until) == 0)
		;
	ended = mirror->ended;
	pthread_mutex_unlock(&mirror->lock);
	if (!ended) {
		pthread_detach(mirror->thread); /* it ends with the process, and what it uses with it */
		return false;
	}
	pthread_join(mirror->thread, NULL);
	mirror_free(mirror);
	return true;
}

/* --- for people --- */

int64_t mirror_mark(struct mirror *mirror)
{
	int64_t mark;

	pthread_mutex_lock(&mirror->lock);
	mark = mirror->mark;
	pthread_mutex_unlock(&mirror->lock);
	return mark;
}

/* Under the lock. */
static const char *state_of(const struct mirror *mirror)
{
	if (mirror->trouble.code[0])
		return "waiting";
	if (mirror->mark < 0)
		return "starting";
	if (mirror->mark > mirror->newest)
		return "ahead";
	return mirror->mark == mirror->newest ? "idle" : "copying";
}

static void add_trouble(const struct mirror *mirror, struct buf *out)
{
	char since[CLOCK_TEXT_MAX];

	if (!mirror->trouble.code[0]) {
		json_add_null(out, "error");
		return;
	}
	json_object_open(out, "error");
	json_add_string(out, "code", mirror->trouble.code);
	json_add_string(out, "text", mirror->trouble.text);
	json_add_string(out, "since", clock_format(mirror->trouble_ms, since));
	json_object_close(out);
}

static void add_lag(const struct mirror *mirror, struct buf *out)
{
	int64_t lines = mirror->newest > mirror->mark ? mirror->newest - mirror->mark : 0;
	int64_t ms = mirror->oldest_ms != 0 ? clock_now_ms() - mirror->oldest_ms : 0;

	if (mirror->mark < 0) {
		json_add_null(out, "mark");
		json_add_null(out, "lag_lines");
		json_add_null(out, "lag_seconds");
		return;
	}
	json_add_int64(out, "mark", mirror->mark);
	json_add_int64(out, "lag_lines", lines);
	json_add_fixed(out, "lag_seconds", lines > 0 && ms > 0 ? (double)ms / 1000 : 0, 1);
}

void mirror_add(struct mirror *mirror, struct buf *out)
{
	json_object_open(out, "mirror");
	json_add_bool(out, "enabled", mirror != NULL);
	if (mirror) {
		pthread_mutex_lock(&mirror->lock);
		json_add_string(out, "state", state_of(mirror));
		add_lag(mirror, out);
		json_add_int64(out, "lines", mirror->lines);
		json_add_int64(out, "batches", mirror->batches);
		json_add_int64(out, "conflicts", mirror->conflicts);
		json_add_int64(out, "failures", mirror->failures);
		add_trouble(mirror, out);
		pthread_mutex_unlock(&mirror->lock);
	}
	json_object_close(out);
}
