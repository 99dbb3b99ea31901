/* What the journal's tests share: a folder of their own, a collector that checks every published group as a subscriber would, and
 * short ways to make lines and runs. */
#ifndef TESTS_STORE_JOURNAL_FIXTURE_H
#define TESTS_STORE_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "worker/store/journal.h"

#define WAIT_S 60 /* a wait that takes this long has failed */
#define UNUSED __attribute__((unused))

static char folder[200], path[256];

UNUSED static int
make_folder(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	log_init("test", LEVEL_ERROR, LOG_TEXT);
	snprintf(folder, sizeof(folder), "%s/test-journal-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/journal.db", folder);
	return 0;
}

UNUSED static int
remove_folder(void **state)
{
	DIR *dir = opendir(folder);
	char name[600];

	(void)state;
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
		unlink(name);
	}
	if (dir)
		closedir(dir);
	clock_replace(NULL, NULL);
	return rmdir(folder);
}

/* --- the subscriber --- */

struct collector {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t last, events, groups, beats;
	int64_t begun; /* groups publish was called with, done or not */
	bool shut; /* publish waits while true */
	char wrong[200];
};

UNUSED static struct collector *
collector_new(void)
{
	struct collector *collector = calloc(1, sizeof(*collector));

	pthread_mutex_init(&collector->lock, NULL);
	pthread_cond_init(&collector->changed, NULL);
	return collector;
}

UNUSED static void
collector_free(struct collector *collector)
{
	pthread_cond_destroy(&collector->changed);
	pthread_mutex_destroy(&collector->lock);
	free(collector);
}

/* Judges a group with the codec of the wire. */
UNUSED static void
collect(const struct journal_group *group, void *arg)
{
	struct collector *collector = arg;
	struct buf message;
	struct proto_batch batch;
	struct err err = ERR_INIT;

	buf_init(&message, 512 * 1024); /* IPC_MESSAGE_MAX */
	proto_batch_encode(&message, "b-1", "j-1", group->first, group->last, group->count, group->events_json);
	pthread_mutex_lock(&collector->lock);
	collector->begun += group->count > 0;
	pthread_cond_broadcast(&collector->changed);
	while (collector->shut)
		pthread_cond_wait(&collector->changed, &collector->lock);
	if (message.failed || proto_batch_decode(message.data, message.len, &batch, &err) != 0)
		snprintf(collector->wrong, sizeof(collector->wrong), "group %lld..%lld: %.100s", (long long)group->first,
		         (long long)group->last, err.text);
	else
		proto_batch_release(&batch);
	if (group->first != collector->last + 1 && (collector->events > 0 || group->count == 0))
		snprintf(collector->wrong, sizeof(collector->wrong), "%lld after %lld", (long long)group->first, (long long)collector->last);
	collector->last = group->last;
	collector->events += group->count;
	collector->groups += group->count > 0;
	collector->beats += group->count == 0;
	pthread_cond_broadcast(&collector->changed);
	pthread_mutex_unlock(&collector->lock);
	buf_release(&message);
}

UNUSED static struct timespec
give_up_at(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	return until;
}

/* Until *counter (of the collector) is at least wanted. */
UNUSED static void
await_count(struct collector *collector, const int64_t *counter, int64_t wanted)
{
	struct timespec until = give_up_at();
	int status = 0;

	pthread_mutex_lock(&collector->lock);
	while (*counter < wanted && status == 0)
		status = pthread_cond_timedwait(&collector->changed, &collector->lock, &until);
	int64_t got = *counter;
	pthread_mutex_unlock(&collector->lock);
	if (got < wanted)
		fail_msg("waited for %lld, got %lld", (long long)wanted, (long long)got);
}

UNUSED static void
collector_shut(struct collector *collector, bool shut)
{
	pthread_mutex_lock(&collector->lock);
	collector->shut = shut;
	pthread_cond_broadcast(&collector->changed);
	pthread_mutex_unlock(&collector->lock);
}

/* --- the journal --- */

UNUSED static struct journal *
open_with(struct collector *collector, int64_t queue_max)
{
	struct journal_config config = { .path = path, .boot = "b-1", .publish = collector ? collect : NULL, .publish_arg = collector,
		                             .queue_max = queue_max };
	struct err err = ERR_INIT;
	struct journal *journal = journal_open(&config, &err);

	if (!journal)
		fail_msg("journal_open: %s %s", err.code, err.text);
	return journal;
}

/* Opening must fail; the error comes back. */
UNUSED static struct err
open_refused(void)
{
	struct journal_config config = { .path = path, .boot = "b-2", .queue_max = 100 };
	struct err err = ERR_INIT;

	assert_null(journal_open(&config, &err));
	return err;
}

UNUSED static void
say(struct journal *journal, const char *run, const char *text)
{
	struct log_line line = { .time_ms = 1795496657123, .level = LEVEL_INFO, .run = run, .job = run[0] ? "sync" : "", .step = "fetch",
		                     .text = text };

	journal_log(journal, &line, 0);
}

UNUSED static struct run_record
new_run(const char *job, int64_t shop, const char *key, const char *params)
{
	struct run_record run = { .shop = shop, .duration_ms = -1, .created_ms = clock_now_ms(), .queued_ms = clock_now_ms() };

	snprintf(run.job, sizeof(run.job), "%s", job);
	snprintf(run.key, sizeof(run.key), "%s", key);
	snprintf(run.trigger, sizeof(run.trigger), "manual");
	run.params = strdup(params);
	return run;
}

UNUSED static struct run_record
add_run(struct journal *journal, const char *job, int64_t shop)
{
	struct run_record run = new_run(job, shop, "", "{}");
	struct err err = ERR_INIT;

	if (journal_run_add(journal, &run, &err) != 0)
		fail_msg("journal_run_add: %s", err.text);
	return run;
}

UNUSED static void
move_run(struct journal *journal, struct run_record *run, enum run_state to, const char *text)
{
	enum run_state from = run->state;
	struct err err = ERR_INIT;

	run->state = to;
	if (journal_run_move(journal, run, from, text, &err) != 0)
		fail_msg("journal_run_move: %s", err.text);
}

/* A page as a parsed array. */
UNUSED static struct json *
read_events(struct journal *journal, int64_t from, int64_t to, const char *run, size_t max, struct event_page *page)
{
	struct err err = ERR_INIT;
	struct buf out;

	buf_init(&out, 32 * 1024 * 1024);
	buf_add_char(&out, '[');
	if (journal_events(journal, from, to, run, max, &out, page, &err) != 0)
		fail_msg("journal_events: %s", err.text);
	buf_add_char(&out, ']');
	struct json *list = json_parse(out.data, out.len, &err);
	if (!list)
		fail_msg("%s", err.text);
	assert_int_equal((int64_t)json_size(list), page->count);
	buf_release(&out);
	return list;
}

#endif
