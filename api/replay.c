/* The queue of jobs and the thread that reads. When a client needs old events is decided by the hub. */
#include "api/replay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX (4 * PROTO_CHUNK_MAX)

struct replay {
	replay_read *read;
	void *read_arg;
	void (*notify)(void *arg);
	void *notify_arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct replay_job *first, *last;
	bool stopping;
};

static void
free_job(struct replay_job *job)
{
	if (job != NULL)
		buf_release(&job->frames);
	free(job);
}

/* The events of an answer as frames; what is missing between them is told. */
static void
add_frames(struct replay_job *job, const struct answer *answer)
{
	const struct json *events = json_get(answer->data, "events");
	for (const struct json *event = json_first(events); event != NULL; event = json_next(event)) {
		int64_t seq = json_get_int64(event, "seq", 0);
		if (seq < job->next)
			continue;
		if (seq > job->to)
			break;
		struct line *line = line_new(event, job->journal);
		if (seq > job->next)
			line_add_dropped(&job->frames, job->journal, job->next, seq - 1, "gone");
		if (line != NULL && filter_match(&job->filter, line))
			buf_add(&job->frames, line->frame, line->frame_len);
		job->next = seq + 1;
		free(line);
	}
	if (job->next == job->from) { /* nothing of the range is left */
		line_add_dropped(&job->frames, job->journal, job->from, job->to, "gone");
		job->next = job->to + 1;
	}
}

static void
work(struct replay *replay, struct replay_job *job)
{
	const struct event_query query = { .journal = job->journal, .from = job->from, .to = job->to };
	struct answer answer;
	if (replay->read(replay->read_arg, &query, &answer) == 0) {
		add_frames(job, &answer);
		job->result = job->frames.failed ? REPLAY_LATER : REPLAY_OK;
	} else {
		job->result = answer.code == PROTO_WRONG_JOURNAL ? REPLAY_WRONG_JOURNAL : REPLAY_LATER;
	}
	answer_release(&answer);
}

static struct replay_job *
next_job(struct replay *replay)
{
	pthread_mutex_lock(&replay->lock);
	while (!replay->stopping && replay->first == NULL)
		pthread_cond_wait(&replay->changed, &replay->lock);
	struct replay_job *job = replay->stopping ? NULL : replay->first;
	if (job != NULL)
		replay->first = job->following;
	pthread_mutex_unlock(&replay->lock);
	return job;
}

static void *
run(void *arg)
{
	struct replay *replay = arg;
	struct replay_job *job;
	while ((job = next_job(replay)) != NULL) {
		work(replay, job);
		pthread_mutex_lock(&replay->lock);
		bool abandoned = job->abandoned;
		job->done = true;
		pthread_mutex_unlock(&replay->lock);
		if (abandoned)
			free_job(job);
		else
			replay->notify(replay->notify_arg);
	}
	return NULL;
}

struct replay *
replay_start(replay_read *read, void *read_arg, void (*notify)(void *arg), void *notify_arg, struct err *err)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	if (replay == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "no memory for the replay thread");
		return NULL;
	}
	replay->read = read;
	replay->read_arg = read_arg;
	replay->notify = notify;
	replay->notify_arg = notify_arg;
	pthread_mutex_init(&replay->lock, NULL);
	pthread_cond_init(&replay->changed, NULL);
	int rc = pthread_create(&replay->thread, NULL, run, replay);
	if (rc != 0) {
		err_set(err, ERR_TEMP, "THREAD", "cannot start the replay thread: %s", strerror(rc));
		free(replay);
		return NULL;
	}
	pthread_setname_np(replay->thread, "replay");
	return replay;
}

void
replay_stop(struct replay *replay)
{
	if (replay == NULL)
		return;
	pthread_mutex_lock(&replay->lock);
	replay->stopping = true;
	pthread_cond_signal(&replay->changed);
	pthread_mutex_unlock(&replay->lock);
	pthread_join(replay->thread, NULL);
	while (replay->first != NULL) {
		struct replay_job *job = replay->first;
		replay->first = job->following;
		free_job(job);
	}
	pthread_cond_destroy(&replay->changed);
	pthread_mutex_destroy(&replay->lock);
	free(replay);
}

struct replay_job *
replay_ask(struct replay *replay, const char *journal, int64_t from, int64_t to, const struct filter *filter)
{
	struct replay_job *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return NULL;
	snprintf(job->journal, sizeof(job->journal), "%s", journal);
	job->from = job->next = from;
	job->to = to;
	job->filter = *filter;
	buf_init(&job->frames, FRAMES_MAX);
	pthread_mutex_lock(&replay->lock);
	if (replay->first == NULL)
		replay->first = job;
	else
		replay->last->following = job;
	replay->last = job;
	pthread_cond_signal(&replay->changed);
	pthread_mutex_unlock(&replay->lock);
	return job;
}

bool
replay_done(struct replay *replay, const struct replay_job *job)
{
	pthread_mutex_lock(&replay->lock);
	bool done = job->done;
	pthread_mutex_unlock(&replay->lock);
	return done;
}

void
replay_drop(struct replay *replay, struct replay_job *job)
{
	if (job == NULL)
		return;
	pthread_mutex_lock(&replay->lock);
	bool ours = job->done;
	job->abandoned = true;
	pthread_mutex_unlock(&replay->lock);
	if (ours)
		free_job(job);
}
