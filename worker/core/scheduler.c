/* The thread, its waits, and what a due moment does. When something is due says common/cron.c; what a run does, nobody here knows.
 * Two locks: `change` is held by whoever moves an entry, over the journal's commit; `lock` only while a record is copied, so that a list
 * never waits for a disk. */
#include "worker/core/scheduler.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/cron.h"
#include "common/json.h"
#include "common/log.h"
#include "worker/core/scheduler_internal.h"

#define JOURNAL_WAIT_MS 1000 /* the disk is full: try again */
#define LONGEST_WAIT_MS (365 * INT64_C(86400000))

/* --- waiting -------------------------------------------------------------------------------------------------------- */

/* Until the wall clock shows that much more, it is set, or somebody wakes us. */
static void
wait_ms(struct scheduler *scheduler, int64_t ms)
{
	struct itimerspec at = { .it_value = { 0 } };
	struct pollfd fds[2] = { { .fd = scheduler->timer_fd, .events = POLLIN }, { .fd = scheduler->wake_fd, .events = POLLIN } };
	uint64_t count;
	if (ms > LONGEST_WAIT_MS)
		ms = LONGEST_WAIT_MS;
	clock_gettime(CLOCK_REALTIME, &at.it_value);
	at.it_value.tv_sec += (time_t)(ms / 1000);
	at.it_value.tv_nsec += (long)(ms % 1000) * 1000000;
	at.it_value.tv_sec += at.it_value.tv_nsec / 1000000000;
	at.it_value.tv_nsec %= 1000000000;
	if (timerfd_settime(scheduler->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) != 0 && errno == ECANCELED)
		return; /* the clock was set since the last wait: ms are those of another time */
	poll(fds, 2, -1);
	for (int i = 0; i < 2; i++)
		if (fds[i].revents != 0 && read(fds[i].fd, &count, sizeof(count)) < 0 && errno != ECANCELED && errno != EAGAIN)
			log_warning("schedules: %m");
}

void
scheduler_wake(struct scheduler *scheduler)
{
	const uint64_t one = 1;
	if (write(scheduler->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warning("schedules: cannot be woken: %m");
}

/* --- entries; under `change` ---------------------------------------------------------------------------------------- */

const char *
schedule_when(const struct schedule *schedule)
{
	return schedule->record.when[0] != '\0' ? schedule->record.when : schedule->file->when;
}

bool
schedule_paused(const struct schedule *schedule)
{
	return schedule->record.paused < 0 ? schedule->file->paused : schedule->record.paused != 0;
}

/* The same for the same moment, so that a restart finds the start where it was. */
static int64_t
jitter_ms(const struct schedule *schedule, int64_t moment_ms)
{
	uint64_t hash = 14695981039346656037u ^ (uint64_t)moment_ms;
	for (const char *at = schedule->file->name; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 1099511628211u;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	hash ^= hash >> 33;
	return (int64_t)(hash % ((uint64_t)schedule->file->jitter_s * 1000 + 1));
}

int64_t
schedule_due(const struct schedule *schedule, int64_t moment_ms)
{
	return moment_ms == 0 ? 0 : moment_ms + jitter_ms(schedule, moment_ms);
}

int
schedule_store(struct scheduler *scheduler, struct schedule *schedule, const struct schedule_record *next, const char *note,
               struct err *err)
{
	if (journal_schedule_put(scheduler->config.journal, next, note, err) != 0)
		return err_context(err, "schedule %s", schedule->file->name);
	pthread_mutex_lock(&scheduler->lock);
	schedule->record = *next;
	pthread_mutex_unlock(&scheduler->lock);
	return 0;
}

static int64_t
next_after(const struct scheduler *scheduler, const struct cron *cron, int64_t after_ms)
{
	int64_t next_ms;
	return cron_next(cron, after_ms, scheduler->zone, &next_ms) == 0 ? next_ms : 0;
}

void
schedule_plan(struct scheduler *scheduler, struct schedule *schedule, struct schedule_record *record, int64_t now_ms)
{
	const struct schedule_settings *file = schedule->file;
	const char *when = record->when[0] != '\0' ? record->when : file->when;
	bool paused = record->paused < 0 ? file->paused : record->paused != 0;
	struct err err = ERR_INIT;
	char of[SCHEDULE_OF_MAX];
	if (cron_parse(when, &schedule->cron, &err) != 0) { /* stored by another release */
		log_error("schedule %s: %s; it is due as the file says", file->name, err.text);
		record->when[0] = '\0';
		when = file->when;
		if (cron_parse(when, &schedule->cron, &err) != 0)
			paused = true;
	}
	snprintf(of, sizeof(of), "%s %s", when, zone_name(scheduler->zone));
	bool fresh = record->next_ms == 0 || strcmp(record->next_of, of) != 0;
	snprintf(record->next_of, sizeof(record->next_of), "%s", of);
	if (paused) {
		record->next_ms = 0;
		return;
	}
	/* A clock that was set back by little does not bring starts again; one that was a day ahead does not keep them away for a day. */
	bool just = record->last_ms > now_ms && record->last_ms - now_ms < CLOCK_BACK_MS;
	int64_t first_ms = next_after(scheduler, &schedule->cron, just ? record->last_ms : now_ms);
	if (fresh || first_ms < record->next_ms)
		record->next_ms = first_ms;
}

/* The clock was set back, or this is the start. */
static int
settle(struct scheduler *scheduler, int64_t now_ms, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < scheduler->count; i++) {
		struct schedule *schedule = &scheduler->schedules[i];
		struct schedule_record next = schedule->record;
		schedule_drop_equal(schedule, &next); /* the file may have changed */
		schedule_plan(scheduler, schedule, &next, now_ms);
		if (memcmp(&next, &schedule->record, sizeof(next)) != 0)
			rc = schedule_store(scheduler, schedule, &next, NULL, err);
	}
	return rc;
}

/* --- a due moment --------------------------------------------------------------------------------------------------- */

/* What has become due, seen from a later moment. */
struct dues {
	int64_t moment_ms;  /* the last one */
	int64_t late_ms;    /* by now */
	int64_t missed, missed_first_ms, missed_last_ms;
	bool starts;        /* a run is started for the last one */
};

static struct dues
judge(const struct scheduler *scheduler, const struct schedule *schedule, int64_t now_ms)
{
	const struct schedule_record *record = &schedule->record;
	struct cron_span span = { .last_ms = now_ms + 1 }, before;
	struct dues dues = { .moment_ms = record->next_ms };
	do /* jitter may still keep the last ones away */
		cron_count(&schedule->cron, record->next_ms - 1, span.last_ms - 1, scheduler->zone, &span);
	while (span.count > 0 && schedule_due(schedule, span.last_ms) > now_ms);
	if (span.count > 0)
		dues.moment_ms = span.last_ms;
	else
		span = (struct cron_span){ .count = 1, .first_ms = record->next_ms, .last_ms = record->next_ms }; /* the zone's rules are new */
	dues.late_ms = now_ms - schedule_due(schedule, dues.moment_ms);
	bool in_time = dues.late_ms <= SCHEDULER_GRACE_MS;
	dues.starts = in_time || schedule->file->missed == MISSED_ONCE;
	dues.missed = span.count - in_time;
	if (dues.missed == 0)
		return dues;
	dues.missed_first_ms = span.first_ms;
	dues.missed_last_ms = span.last_ms;
	if (in_time) {
		cron_count(&schedule->cron, span.first_ms - 1, span.last_ms - 1, scheduler->zone, &before);
		dues.missed_last_ms = before.last_ms;
	}
	return dues;
}

static void
tell_missed(const struct schedule *schedule, const struct dues *dues)
{
	char first[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX];
	const char *follows = dues->late_ms <= SCHEDULER_GRACE_MS ? "the next one is in time" :
	                      dues->starts ? "one run is started for all of them" : "none is made up for";
	log_warning("schedule %s: %lld starts were missed from %s to %s, nothing ran here then; %s", schedule->file->name,
	            (long long)dues->missed, clock_format(dues->missed_first_ms, first), clock_format(dues->missed_last_ms, last), follows);
}

static void
make_note(const struct schedule *schedule, const struct dues *dues, char note[NOTE_MAX])
{
	char moment[CLOCK_TEXT_MAX];
	int len = snprintf(note, NOTE_MAX, "schedule: %s of %s, started %lld.%03d s late", schedule->file->name,
	                   clock_format(dues->moment_ms, moment), (long long)(dues->late_ms / 1000), (int)(dues->late_ms % 1000));
	if (dues->late_ms > SCHEDULER_GRACE_MS)
		snprintf(note + len, (size_t)(NOTE_MAX - len), ", for %lld missed since %s", (long long)dues->missed,
		         clock_format(dues->missed_first_ms, moment));
}

/* One run. 0 also when it is refused for good, next says so; -1: not now, the same start is to be tried again. */
static int
start_run(struct scheduler *scheduler, const struct schedule *schedule, int64_t shop, const struct dues *dues,
          struct schedule_record *next, struct err *err)
{
	char key[RUN_KEY_MAX], note[NOTE_MAX], of_shop[40] = "";
	struct queue_answer answer;
	/* A kill between this and the commit of `next` brings the same start again; the key brings the same run then. */
	snprintf(key, sizeof(key), "schedule/%s/%lld", schedule->file->name, (long long)dues->moment_ms);
	make_note(schedule, dues, note);
	struct queue_request request = { .job = schedule->file->job, .shop = shop, .key = key, .trigger = "schedule",
		                         .params = schedule->params, .note = note };
	int rc = queue_submit(scheduler->config.queue, &request, &answer, err);
	if (answer.run_id[0] != '\0')
		snprintf(next->run, sizeof(next->run), "%s", answer.run_id);
	if (rc == 0)
		return 0;
	if ((err->class == ERR_TEMP && strcmp(err->code, "QUEUE_FULL") != 0) || strncmp(err->code, "JOURNAL_", 8) == 0)
		return -1;
	if (shop != 0)
		snprintf(of_shop, sizeof(of_shop), ", shop %lld", (long long)shop);
	snprintf(next->refusal, sizeof(next->refusal), "%s", err->code);
	log_write(strcmp(err->code, "ALREADY_RUNNING") == 0 ? LEVEL_INFO : LEVEL_ERROR, "schedule %s%s: this start is skipped: %s (%s)",
	          schedule->file->name, of_shop, err->text, err->code);
	err_clear(err);
	return 0;
}

static int
start_runs(struct scheduler *scheduler, const struct schedule *schedule, const struct dues *dues, struct schedule_record *next,
           struct err *err)
{
	const struct settings *settings = scheduler->config.settings;
	bool each = schedule->type->per_shop && schedule->file->shop == 0;
	next->refusal[0] = '\0';
	for (size_t i = 0; i < (each ? settings->shop_count : 1); i++)
		if (start_run(scheduler, schedule, each ? settings->shops[i].id : schedule->file->shop, dues, next, err) != 0)
			return -1;
	next->last_ms = dues->moment_ms;
	next->fired_ms = clock_now_ms();
	next->late_ms = dues->late_ms;
	if (dues->late_ms > next->late_max_ms)
		next->late_max_ms = dues->late_ms;
	next->fires += next->refusal[0] == '\0';
	next->refused += next->refusal[0] != '\0';
	return 0;
}

/* 0, or -1: the same again later. */
static int
fire(struct scheduler *scheduler, struct schedule *schedule, int64_t now_ms, struct err *err)
{
	struct schedule_record next = schedule->record;
	struct dues dues = judge(scheduler, schedule, now_ms);
	if (dues.starts && start_runs(scheduler, schedule, &dues, &next, err) != 0)
		return err_context(err, "schedule %s", schedule->file->name);
	next.next_ms = next_after(scheduler, &schedule->cron, dues.moment_ms);
	next.missed += dues.missed;
	if (dues.missed > 0) {
		next.missed_last_ms = dues.missed_last_ms;
		next.missed_first_ms = next.missed_first_ms == 0 ? dues.missed_first_ms : next.missed_first_ms;
	}
	if (schedule_store(scheduler, schedule, &next, NULL, err) != 0)
		return -1;
	if (dues.missed > 0)
		tell_missed(schedule, &dues);
	return 0;
}

/* Everything that is due; the time until something is, INT64_MAX when nothing ever will. */
static int64_t
look(struct scheduler *scheduler, bool *troubled)
{
	int64_t wait = INT64_MAX;
	struct err err = ERR_INIT;
	pthread_mutex_lock(&scheduler->change);
	int64_t now_ms = clock_now_ms();
	int rc = now_ms < scheduler->seen_ms ? settle(scheduler, now_ms, &err) : 0;
	if (rc == 0)
		scheduler->seen_ms = now_ms;
	for (size_t i = 0; rc == 0 && i < scheduler->count; i++) {
		struct schedule *schedule = &scheduler->schedules[i];
		int64_t due_ms = schedule_due(schedule, schedule->record.next_ms);
		if (due_ms != 0 && due_ms <= now_ms) {
			rc = fire(scheduler, schedule, now_ms, &err);
			due_ms = schedule_due(schedule, schedule->record.next_ms);
		}
		if (due_ms != 0 && due_ms - now_ms < wait)
			wait = due_ms > now_ms ? due_ms - now_ms : 0;
	}
	pthread_mutex_unlock(&scheduler->change);
	if (rc != 0 && !*troubled && strcmp(err.code, "STOPPING") != 0)
		log_error("%s (%s); tried again until it works", err.text, err.code);
	*troubled = rc != 0;
	return rc != 0 ? JOURNAL_WAIT_MS : wait;
}

static void *
work(void *arg)
{
	struct scheduler *scheduler = arg;
	bool troubled = false;
	while (!atomic_load(&scheduler->stopping)) {
		int64_t ms = look(scheduler, &troubled);
		if (ms > 0)
			wait_ms(scheduler, ms);
	}
	return NULL;
}

/* --- start and end -------------------------------------------------------------------------------------------------- */

static const struct job_type *
find_job(const struct job_type *const *jobs, size_t job_count, const char *id)
{
	for (size_t i = 0; i < job_count; i++)
		if (strcmp(jobs[i]->id, id) == 0)
			return jobs[i];
	return NULL;
}

int
scheduler_check(const struct settings *settings, const struct job_type *const *jobs, size_t job_count, struct err *err)
{
	for (size_t i = 0; i < settings->schedule_count; i++) {
		const struct schedule_settings *file = &settings->schedules[i];
		const struct job_type *type = find_job(jobs, job_count, file->job);
		if (type == NULL)
			return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].job: there is no job \"%s\"", i, file->job);
		if (!type->per_shop && file->shop != 0)
			return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].shop: %s runs for all shops at once", i, file->job);
		struct json *params = json_parse(file->params, strlen(file->params), err);
		int rc = params == NULL ? -1 : type->check != NULL ? type->check(params, err) : 0;
		json_free(params);
		if (rc != 0) {
			err_context(err, "schedules[%zu].params", i);
			snprintf(err->code, sizeof(err->code), "CONFIG");
			return -1;
		}
	}
	return 0;
}

static bool
load_record(const struct schedule_record *record, void *arg)
{
	struct scheduler *scheduler = arg;
	struct schedule *schedule = schedule_find(scheduler, record->name);
	if (schedule != NULL)
		schedule->record = *record;
	else if (scheduler->stale_count < STALE_MAX)
		snprintf(scheduler->stale[scheduler->stale_count++], sizeof(scheduler->stale[0]), "%s", record->name);
	return true;
}

static int
load(struct scheduler *scheduler, struct err *err)
{
	struct journal *journal = scheduler->config.journal;
	if (journal_schedule_list(journal, load_record, scheduler, err) != 0)
		return -1;
	for (size_t i = 0; i < scheduler->stale_count; i++) {
		log_info("schedule %s is not in the settings any more: what the journal held of it is forgotten", scheduler->stale[i]);
		if (journal_schedule_remove(journal, scheduler->stale[i], err) != 0)
			return -1;
	}
	int64_t now_ms = clock_now_ms();
	scheduler->seen_ms = now_ms;
	return settle(scheduler, now_ms, err);
}

static int
fill(struct scheduler *scheduler, struct err *err)
{
	const struct settings *settings = scheduler->config.settings;
	scheduler->schedules = calloc(settings->schedule_count + 1, sizeof(scheduler->schedules[0]));
	if (scheduler->schedules == NULL)
		return err_set(err, ERR_TEMP, "MEMORY", "out of memory for %zu schedules", settings->schedule_count);
	for (size_t i = 0; i < settings->schedule_count; i++) {
		struct schedule *schedule = &scheduler->schedules[scheduler->count++];
		schedule->file = &settings->schedules[i];
		schedule->record.paused = -1;
		snprintf(schedule->record.name, sizeof(schedule->record.name), "%s", schedule->file->name);
		schedule->type = queue_job(scheduler->config.queue, schedule->file->job);
		schedule->params = json_parse(schedule->file->params, strlen(schedule->file->params), err);
		if (schedule->params == NULL)
			return -1;
		if (schedule->type == NULL)
			return err_set(err, ERR_PERM, "CONFIG", "schedules[%zu].job: there is no job \"%s\"", i, schedule->file->job);
	}
	return 0;
}

static void
release(struct scheduler *scheduler)
{
	for (size_t i = 0; i < scheduler->count; i++)
		json_free(scheduler->schedules[i].params);
	free(scheduler->schedules);
	zone_free(scheduler->zone);
	if (scheduler->timer_fd >= 0)
		close(scheduler->timer_fd);
	if (scheduler->wake_fd >= 0)
		close(scheduler->wake_fd);
	pthread_mutex_destroy(&scheduler->change);
	pthread_mutex_destroy(&scheduler->lock);
	free(scheduler);
}

struct scheduler *
scheduler_start(const struct scheduler_config *config, struct err *err)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));
	if (scheduler == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for the schedules");
		return NULL;
	}
	scheduler->config = *config;
	pthread_mutex_init(&scheduler->change, NULL);
	pthread_mutex_init(&scheduler->lock, NULL);
	scheduler->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	scheduler->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (scheduler->timer_fd < 0 || scheduler->wake_fd < 0) {
		err_set(err, ERR_TEMP, "SCHEDULES", "no clock to wait for: %m");
		goto failed;
	}
	scheduler->zone = zone_load(config->settings->zone, err);
	if (scheduler->zone == NULL || fill(scheduler, err) != 0 || load(scheduler, err) != 0)
		goto failed;
	int rc = pthread_create(&scheduler->thread, NULL, work, scheduler);
	if (rc != 0) {
		err_set(err, ERR_TEMP, "THREADS", "no thread for the schedules: %s", strerror(rc));
		goto failed;
	}
	pthread_setname_np(scheduler->thread, "schedules");
	return scheduler;
failed:
	release(scheduler);
	return NULL;
}

void
scheduler_stop(struct scheduler *scheduler)
{
	if (scheduler == NULL)
		return;
	atomic_store(&scheduler->stopping, true);
	scheduler_wake(scheduler);
	pthread_join(scheduler->thread, NULL);
	release(scheduler);
}
