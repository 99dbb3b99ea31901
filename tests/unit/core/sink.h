/* sink: a web hook and a mail server of raw sockets on loopback, each with a thread that serves one connection after the other and keeps
 * what came. What it answers can be changed at any time. Defined here, one test program each. */
#ifndef TESTS_UNIT_CORE_SINK_H
#define TESTS_UNIT_CORE_SINK_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SINK_WAIT_S 30
#define SINK_KEEP 64

struct sink {
	bool mail;
	int fd, port, status; /* status 0: takes the request and never answers */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	int count;               /* requests or mails that came in full */
	char text[100000];       /* the thread's own */
	char *kept[SINK_KEEP];   /* head and body; of a mail the whole conversation */
};

static void
sink_keep(struct sink *sink, const char *text)
{
	pthread_mutex_lock(&sink->lock);
	if (sink->count < SINK_KEEP)
		sink->kept[sink->count] = strdup(text);
	sink->count++;
	pthread_cond_broadcast(&sink->changed);
	pthread_mutex_unlock(&sink->lock);
}

static int
sink_status(struct sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	int status = sink->stopping ? -1 : sink->status;
	pthread_mutex_unlock(&sink->lock);
	return status;
}

/* More bytes behind text; false at the end of the connection or of the sink. */
static bool
sink_read(struct sink *sink, int fd, char *text, size_t size, size_t *len)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	while (poll(&ready, 1, 20) == 0)
		if (sink_status(sink) < 0)
			return false;
	ssize_t got = recv(fd, text + *len, size - 1 - *len, 0);
	if (got <= 0)
		return false;
	*len += (size_t)got;
	text[*len] = '\0';
	return true;
}

static void
sink_say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return; /* who hung up needs no answer */
}

static void
sink_serve_hook(struct sink *sink, int fd)
{
	char *text = sink->text;
	char answer[120];
	for (;;) {
		size_t len = 0, whole = 0;
		const char *end = NULL, *length;
		text[0] = '\0';
		while (end == NULL || len < whole) {
			if (!sink_read(sink, fd, text, sizeof(sink->text), &len))
				return;
			end = strstr(text, "\r\n\r\n");
			length = strstr(text, "Content-Length: ");
			if (end != NULL)
				whole = (size_t)(end - text) + 4 + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
		}
		sink_keep(sink, text);
		while (sink_status(sink) == 0) {
			struct pollfd gone = { .fd = fd, .events = POLLIN };
			if (poll(&gone, 1, 20) > 0)
				return;
		}
		snprintf(answer, sizeof(answer), "HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\nok", sink_status(sink));
		sink_say(fd, answer);
	}
}

static void
sink_serve_mail(struct sink *sink, int fd)
{
	char *text = sink->text;
	size_t len = 0, at = 0;
	bool data = false, login = false;
	char answer[60];
	text[0] = '\0';
	sink_say(fd, "220 sink\r\n");
	for (;;) {
		char *line = text + at, *end = strstr(line, data ? "\r\n.\r\n" : "\r\n");
		if (end == NULL) {
			if (!sink_read(sink, fd, text, sizeof(sink->text), &len))
				return;
			continue;
		}
		at = (size_t)(end - text) + (data ? 5 : 2);
		snprintf(answer, sizeof(answer), "%d ok\r\n", sink_status(sink));
		if (data) {
			sink_keep(sink, text);
			sink_say(fd, answer);
			data = false;
		} else if (strncmp(line, "EHLO", 4) == 0) {
			sink_say(fd, "250-sink\r\n250 AUTH PLAIN\r\n");
		} else if (strncmp(line, "AUTH", 4) == 0 || login) {
			sink_say(fd, login ? "235 in\r\n" : "334 \r\n");
			login = !login;
		} else if (strncmp(line, "DATA", 4) == 0) {
			data = true;
			sink_say(fd, "354 go\r\n");
		} else if (strncmp(line, "QUIT", 4) == 0) {
			sink_say(fd, "221 bye\r\n");
			return;
		} else {
			sink_say(fd, "250 ok\r\n");
		}
	}
}

static void *
sink_main(void *arg)
{
	struct sink *sink = arg;
	while (sink_status(sink) >= 0) {
		struct pollfd ready = { .fd = sink->fd, .events = POLLIN };
		if (poll(&ready, 1, 20) <= 0)
			continue;
		int fd = accept(sink->fd, NULL, NULL);
		if (fd < 0)
			continue;
		if (sink->mail)
			sink_serve_mail(sink, fd);
		else
			sink_serve_hook(sink, fd);
		close(fd);
	}
	return NULL;
}

/* Listens already, but nobody serves: for a fork before there are threads. port 0: any; else the one it had before. */
static void
sink_open(struct sink *sink, bool mail, int status, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int on = 1;
	memset(sink, 0, sizeof(*sink));
	sink->mail = mail;
	sink->status = status;
	sink->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(sink->fd >= 0);
	setsockopt(sink->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(sink->fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(sink->fd, 16) != 0 ||
	    getsockname(sink->fd, (struct sockaddr *)&address, &size) != 0)
		abort();
	sink->port = ntohs(address.sin_port);
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->changed, NULL);
}

static void
sink_serve(struct sink *sink)
{
	if (pthread_create(&sink->thread, NULL, sink_main, sink) != 0)
		abort();
}

static void
sink_start(struct sink *sink, bool mail, int status, int port)
{
	sink_open(sink, mail, status, port);
	sink_serve(sink);
}

static void
sink_stop(struct sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	sink->stopping = true;
	pthread_mutex_unlock(&sink->lock);
	pthread_join(sink->thread, NULL);
	close(sink->fd);
	for (int i = 0; i < sink->count && i < SINK_KEEP; i++)
		free(sink->kept[i]);
	pthread_cond_destroy(&sink->changed);
	pthread_mutex_destroy(&sink->lock);
}

static void
sink_answer(struct sink *sink, int status)
{
	pthread_mutex_lock(&sink->lock);
	sink->status = status;
	pthread_mutex_unlock(&sink->lock);
}

static int
sink_count(struct sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	int count = sink->count;
	pthread_mutex_unlock(&sink->lock);
	return count;
}

/* Until `count` came; the newest of them, borrowed until sink_stop. */
static const char *
sink_await(struct sink *sink, int count)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SINK_WAIT_S;
	pthread_mutex_lock(&sink->lock);
	while (sink->count < count)
		if (pthread_cond_timedwait(&sink->changed, &sink->lock, &until) != 0) {
			fprintf(stderr, "%s: waited in vain for %d, %d came\n", sink->mail ? "mail" : "hook", count, sink->count);
			abort();
		}
	const char *text = sink->kept[count - 1];
	pthread_mutex_unlock(&sink->lock);
	return text;
}

#endif
