/* One thread, one call at a time: look into the journal for what is due, make the call, store what came of it. What is due and in which
 * words stands in alarms.c and alarm_text.c. */
#include "worker/core/alarm_sender.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/secret.h"
#include "worker/core/alarm_text.h"
#include "worker/core/alarms.h"

#define LOOK_MS 60000       /* from one look of alarm_watch to the next */
#define STORE_WAIT_MS 1000  /* the journal refuses: again after this */
#define STEP_MS 1000
#define CONNECT_MS 5000
#define ANSWER_MAX 65536
#define BODY_MAX (64 * 1024)

/* A channel that did not answer is left alone for a while, whatever waits for it. */
struct line {
	struct alarm_channel channel;
	int64_t failures, free_mono_ms;
};

struct alarm_sender {
	struct alarm_watch watch;
	struct alarm_policy policy;
	struct line lines[ALARM_CHANNELS_MAX];
	size_t line_count;
	char mail_to[MAIL_TO_MAX][MAIL_ADDRESS_MAX + 1];
	const char *mail_list[MAIL_TO_MAX];
	struct http_mail mail;
	struct http *http;
	int64_t started_mono_ms, look_mono_ms; /* the next look */
	int64_t beat_ms;                       /* the success that the heartbeat service was told of */
	bool beat_failed, journal_failed;      /* said once */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken, stopping;
	bool answered; /* the thread's own: the call under way is over */
};

/* What is to be told now. */
struct delivery {
	struct line *line; /* NULL = nothing */
	struct alarm_call call;
	enum alarm_news news;
	int64_t seq;
	char what[ERR_CODE_MAX + 40];
	struct buf body;
};

static bool
stopping(struct alarm_sender *sender)
{
	pthread_mutex_lock(&sender->lock);
	bool answer = sender->stopping;
	pthread_mutex_unlock(&sender->lock);
	return answer;
}

/* Until somebody wakes, or wait_ms are over. */
static void
rest(struct alarm_sender *sender, int64_t wait_ms)
{
	struct timespec until = clock_kernel_after(wait_ms);
	pthread_mutex_lock(&sender->lock);
	while (!sender->stopping && !sender->woken && pthread_cond_timedwait(&sender->changed, &sender->lock, &until) == 0)
		;
	sender->woken = false;
	pthread_mutex_unlock(&sender->lock);
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

static void
note_done(struct http_request *request, void *arg)
{
	struct alarm_sender *sender = arg;
	(void)request;
	sender->answered = true;
}

/* Makes one call to its end. CANCELLED in request->err when it was broken off. */
static void
call(struct alarm_sender *sender, struct http_request *request)
{
	sender->answered = false;
	request->connect_timeout_ms = CONNECT_MS;
	request->timeout_ms = (int)sender->watch.settings->alarms_timeout_ms;
	request->max_response = ANSWER_MAX;
	request->hide_path = true;
	request->done = note_done;
	request->arg = sender;
	struct err err = ERR_INIT;
	if (http_start(sender->http, request, &err) != 0) {
		request->err = err;
		return;
	}
	while (!sender->answered) {
		if (stopping(sender))
			http_cancel(sender->http);
		else
			http_step(sender->http, STEP_MS);
	}
	if (request->err.class == ERR_NONE && request->mail == NULL && (request->status < 200 || request->status > 299))
		err_set_number(&request->err, ERR_TEMP, "ALARM_REFUSED", request->status, "the server answered with status %d",
		               request->status);
}

/* The server is there, only this message it does not like. */
static bool
only_this_one(const struct http_request *request)
{
	int status = request->status;
	return request->mail == NULL && status >= 400 && status < 500 && status != 408 && status != 429;
}

static void
make_call(struct alarm_sender *sender, const struct delivery *delivery, struct http_request *request)
{
	const struct settings *settings = sender->watch.settings;
	const struct webhook_settings *hook = delivery->line->channel.hook;
	*request = (struct http_request){ .body = delivery->body.data, .body_len = delivery->body.len,
		                          .content_type = "application/json" };
	if (hook != NULL) {
		request->url = secret_bytes(hook->url);
		request->header = secret_len(hook->header) > 0 ? secret_bytes(hook->header) : NULL;
	} else {
		request->url = settings->mail_url;
		request->mail = &sender->mail;
	}
	call(sender, request);
}

/* --- what is due ---------------------------------------------------------------------------------------------------- */

struct search {
	struct alarm_sender *sender;
	struct delivery *delivery;
	int64_t now_ms, mono_ms, wait_ms; /* until something is */
};

static void
wait_at_most(struct search *search, int64_t wait_ms)
{
	if (wait_ms < search->wait_ms)
		search->wait_ms = wait_ms > 0 ? wait_ms : 0;
}

static void
write_body(const struct alarm_sender *sender, const struct alarm_state *state, struct delivery *delivery)
{
	struct alarm_message message;
	const struct webhook_settings *hook = delivery->line->channel.hook;
	alarm_message(state, delivery->news, journal_identity(sender->watch.journal), &message);
	buf_clear(&delivery->body);
	if (hook != NULL)
		alarm_fill(hook->body, &message, &delivery->body);
	else
		alarm_mail(&message, sender->mail.from, sender->watch.settings->mail_to, &delivery->body);
}

static bool
consider(const struct alarm_state *state, void *arg)
{
	struct search *search = arg;
	struct delivery *delivery = search->delivery;
	for (size_t i = 0; i < search->sender->line_count; i++) {
		struct line *line = &search->sender->lines[i];
		const struct alarm_call *known = alarm_call_of(state, line->channel.name);
		struct alarm_due due = alarm_due(state, &line->channel, known, search->now_ms);
		if (due.news == ALARM_NOTHING)
			continue;
		if (line->free_mono_ms > search->mono_ms || due.at_ms > search->now_ms) {
			int64_t busy_ms = line->free_mono_ms - search->mono_ms, early_ms = due.at_ms - search->now_ms;
			wait_at_most(search, busy_ms > early_ms ? busy_ms : early_ms);
			continue;
		}
		delivery->line = line;
		delivery->news = due.news;
		delivery->seq = state->seq;
		delivery->call = known != NULL ? *known : (struct alarm_call){ .alarm = state->id };
		snprintf(delivery->call.channel, sizeof(delivery->call.channel), "%s", line->channel.name);
		snprintf(delivery->what, sizeof(delivery->what), "%s (number %lld)", state->code, (long long)state->id);
		write_body(search->sender, state, delivery);
		return false;
	}
	return true;
}

/* Stores what came of a call; tries until the journal takes it, since the call must not be made again. */
static void
store(struct alarm_sender *sender, const struct alarm_call *row)
{
	struct err err = ERR_INIT;
	bool said = false;
	while (journal_alarm_called(sender->watch.journal, row, &err) != 0 && !stopping(sender)) {
		if (!said)
			log_error("what became of an alarm cannot be stored: %s (%s)", err.text, err.code);
		said = true;
		rest(sender, STORE_WAIT_MS);
	}
}

/* false: broken off. */
static bool
deliver(struct alarm_sender *sender, struct delivery *delivery)
{
	struct line *line = delivery->line;
	struct alarm_call *row = &delivery->call;
	struct http_request request = { .err = ERR_INIT };
	const char *error = NULL;
	if (delivery->body.failed)
		err_set(&request.err, ERR_PERM, "ALARM_LARGE", "the message is larger than %d bytes", BODY_MAX);
	else
		make_call(sender, delivery, &request);
	if (request.err.class == ERR_CANCELLED)
		return false;
	if (request.err.class != ERR_NONE)
		error = request.err.text;
	alarm_called(row, &sender->policy, delivery->news, delivery->seq, error, request.retry_after_ms, clock_now_ms());
	store(sender, row);
	if (error == NULL)
		log_info("alarm %s: told %s", delivery->what, line->channel.name);
	else if (row->tries == 1 || row->given_up_seq == delivery->seq)
		log_warning("alarm %s: %s could not be told%s: %s (%s)", delivery->what, line->channel.name,
		            row->given_up_seq == delivery->seq ? ", given up" : ", tried again", error, request.err.code);
	if (error == NULL || only_this_one(&request)) {
		line->failures = 0;
	} else {
		line->failures++;
		line->free_mono_ms = clock_mono_ms() + alarm_backoff_ms(sender->policy.backoff_ms, line->failures);
	}
	return true;
}

/* Tells everything that is due. How long to wait until something will be. */
static int64_t
deliver_all(struct alarm_sender *sender)
{
	struct delivery delivery = { .line = NULL };
	struct search search = { .sender = sender, .delivery = &delivery };
	struct err err = ERR_INIT;
	bool more = true;
	buf_init(&delivery.body, BODY_MAX);
	while (more && sender->line_count > 0) {
		const int64_t now_ms = clock_now_ms();
		const struct alarm_filter filter = { .resolved_ms = now_ms - 2 * ALARM_FORGET_MS };
		search.now_ms = now_ms;
		search.mono_ms = clock_mono_ms();
		search.wait_ms = LOOK_MS;
		delivery.line = NULL;
		if (journal_alarm_list(sender->watch.journal, &filter, consider, &search, &err) != 0) {
			if (!sender->journal_failed)
				log_error("the alarms cannot be read: %s (%s)", err.text, err.code);
			sender->journal_failed = true;
			search.wait_ms = STORE_WAIT_MS;
			break;
		}
		sender->journal_failed = false;
		more = delivery.line != NULL && deliver(sender, &delivery);
	}
	buf_release(&delivery.body);
	return sender->line_count > 0 ? search.wait_ms : LOOK_MS;
}

/* --- heartbeat ------------------------------------------------------------------------------------------------------ */

static bool
beats(const struct alarm_sender *sender)
{
	const struct settings *settings = sender->watch.settings;
	return settings->heartbeat_job != NULL && secret_len(settings->heartbeat_url) > 0;
}

static int64_t
last_success(struct alarm_sender *sender)
{
	struct err err = ERR_INIT;
	int64_t last_ms;
	if (journal_run_last_success(sender->watch.journal, sender->watch.settings->heartbeat_job, 0, &last_ms, &err) != 0)
		return sender->beat_ms;
	return last_ms;
}

/* One call for what succeeded since the last one; not again when it failed. */
static void
beat(struct alarm_sender *sender)
{
	struct http_request request = { .err = ERR_INIT };
	int64_t last_ms = beats(sender) ? last_success(sender) : sender->beat_ms;
	if (last_ms <= sender->beat_ms) /* less: retention took the run away */
		return;
	sender->beat_ms = last_ms;
	request.url = secret_bytes(sender->watch.settings->heartbeat_url);
	call(sender, &request);
	if (request.err.class == ERR_CANCELLED)
		return;
	bool failed = request.err.class != ERR_NONE;
	if (failed)
		log_warning("the heartbeat service could not be told of a success: %s (%s)", request.err.text, request.err.code);
	else if (sender->beat_failed)
		log_info("the heartbeat service is told of successes again");
	sender->beat_failed = failed;
}

/* --- the thread ----------------------------------------------------------------------------------------------------- */

static void
look(struct alarm_sender *sender)
{
	struct err err = ERR_INIT;
	int64_t now_mono_ms = clock_mono_ms();
	if (now_mono_ms < sender->look_mono_ms)
		return;
	sender->look_mono_ms = now_mono_ms + LOOK_MS;
	if (alarm_watch_look(&sender->watch, clock_now_ms(), now_mono_ms - sender->started_mono_ms, &err) != 0)
		log_error("no look at stale jobs and alarms that are over: %s (%s)", err.text, err.code);
}

static void *
work(void *arg)
{
	struct alarm_sender *sender = arg;
	while (!stopping(sender)) {
		look(sender);
		beat(sender);
		int64_t wait_ms = deliver_all(sender), look_ms = sender->look_mono_ms - clock_mono_ms();
		rest(sender, wait_ms < look_ms ? wait_ms : look_ms);
	}
	return NULL;
}

static void
read_mail(struct alarm_sender *sender)
{
	const struct settings *settings = sender->watch.settings;
	const char *at = settings->mail_to;
	sender->mail = (struct http_mail){ .from = settings->mail_from, .to = sender->mail_list,
		                           .password = secret_bytes(settings->mail_password) };
	if (settings->mail_user != NULL && settings->mail_user[0] != '\0')
		sender->mail.user = settings->mail_user;
	while (at != NULL && *at != '\0' && sender->mail.to_count < MAIL_TO_MAX) {
		size_t len = strcspn(at, ", ");
		char *to = sender->mail_to[sender->mail.to_count];
		if (len > 0) {
			snprintf(to, sizeof(sender->mail_to[0]), "%.*s", (int)len, at);
			sender->mail_list[sender->mail.to_count++] = to;
		}
		at += len + strspn(at + len, ", ");
	}
}

static void
release(struct alarm_sender *sender)
{
	http_free(sender->http);
	pthread_cond_destroy(&sender->changed);
	pthread_mutex_destroy(&sender->lock);
	free(sender);
}

static void
prepare(struct alarm_sender *sender, const struct alarm_watch *watch)
{
	struct alarm_channel channels[ALARM_CHANNELS_MAX];
	pthread_condattr_t attr;
	sender->watch = *watch;
	sender->policy = (struct alarm_policy){ watch->settings->alarms_attempts, watch->settings->alarms_backoff_ms };
	sender->line_count = alarm_channels(watch->settings, channels);
	for (size_t i = 0; i < sender->line_count; i++)
		sender->lines[i].channel = channels[i];
	read_mail(sender);
	sender->started_mono_ms = clock_mono_ms();
	if (beats(sender))
		sender->beat_ms = last_success(sender);
	pthread_mutex_init(&sender->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sender->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void
wake(void *arg)
{
	alarm_sender_wake(arg);
}

struct alarm_sender *
alarm_sender_start(const struct alarm_watch *watch, struct err *err)
{
	const char *ca_file = watch->settings->alarms_ca_file;
	struct alarm_sender *sender = calloc(1, sizeof(*sender));
	if (sender == NULL) {
		err_set(err, ERR_TEMP, "MEMORY", "out of memory for the alarms");
		return NULL;
	}
	prepare(sender, watch);
	sender->http = http_new(1, ca_file != NULL && ca_file[0] != '\0' ? ca_file : NULL, err);
	if (sender->http == NULL) {
		release(sender);
		return NULL;
	}
	journal_alarm_listen(watch->journal, wake, sender);
	if (pthread_create(&sender->thread, NULL, work, sender) != 0) {
		journal_alarm_listen(watch->journal, NULL, NULL);
		err_set(err, ERR_TEMP, "THREADS", "cannot start the thread of the alarms");
		release(sender);
		return NULL;
	}
	pthread_setname_np(sender->thread, "alarms");
	return sender;
}

void
alarm_sender_stop(struct alarm_sender *sender)
{
	if (sender == NULL)
		return;
	journal_alarm_listen(sender->watch.journal, NULL, NULL);
	pthread_mutex_lock(&sender->lock);
	sender->stopping = true;
	pthread_cond_broadcast(&sender->changed);
	pthread_mutex_unlock(&sender->lock);
	http_wakeup(sender->http);
	pthread_join(sender->thread, NULL);
	release(sender);
}

void
alarm_sender_wake(struct alarm_sender *sender)
{
	pthread_mutex_lock(&sender->lock);
	sender->woken = true;
	pthread_cond_broadcast(&sender->changed);
	pthread_mutex_unlock(&sender->lock);
}
