/* Formats a line, writes it with one write() and hands it to the sink.
 * Where lines are kept (the journal) and who reads them is not known here. */
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/secret.h"
#include "common/utf8.h"

#define CONTEXT_MAX 64
#define LINE_MAX_BYTES 16384 /* the text with every byte escaped, and the context */
#define FULL_PIPE_WAIT_MS 1000

static const char *const level_names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };

static char daemon_name[CONTEXT_MAX];
static enum log_level shown_from = LEVEL_INFO;
static enum log_format line_format = LOG_TEXT;

static pthread_rwlock_t sink_lock = PTHREAD_RWLOCK_INITIALIZER;
static void (*sink_function)(const struct log_line *line, void *arg);
static void *sink_arg;

static _Thread_local char context_run[CONTEXT_MAX], context_job[CONTEXT_MAX], context_step[CONTEXT_MAX];
static _Thread_local bool inside_sink; /* its lines do not go there again */

/* Copies text with everything escaped that could break the line or steer a terminal: at most `max` bytes and the NUL,
 * "..." at the end when it did not fit. */
static void put_printable(char *out, size_t max, const char *text)
{
	size_t len = strlen(text), used = 0, safe = 0;

	for (size_t at = 0; at < len;) {
		size_t step = utf8_sequence(text + at, len - at);
		char piece[8];
		int size;
		uint32_t code_point = 0;
		if (step > 0)
			utf8_decode(text + at, step, &code_point);
		if (step == 0)
			size = snprintf(piece, sizeof(piece), "\\x%02X", (unsigned)(unsigned char)text[at]);
		else if (code_point == '\n' || code_point == '\r' || code_point == '\t')
			size = snprintf(piece, sizeof(piece), "\\%c", code_point == '\n' ? 'n' : code_point == '\r' ? 'r' : 't');
		else if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0))
			size = snprintf(piece, sizeof(piece), "\\x%02X", (unsigned)code_point & 0xFFu);
		else
			size = snprintf(piece, sizeof(piece), "%.*s", (int)step, text + at);
		if (used + (size_t)size > max) {
			memcpy(out + safe, "...", 3);
			used = safe + 3;
			break;
		}
		memcpy(out + used, piece, (size_t)size);
		used += (size_t)size;
		if (used + 3 <= max)
			safe = used;
		at += step ? step : 1;
	}
	out[used] = '\0';
}

void log_init(const char *name, enum log_level level, enum log_format format)
{
	put_printable(daemon_name, sizeof(daemon_name) - 1, name);
	shown_from = level;
	line_format = format;
}

void log_sink_set(void (*sink)(const struct log_line *line, void *arg), void *arg)
{
	pthread_rwlock_wrlock(&sink_lock);
	sink_function = sink;
	sink_arg = arg;
	pthread_rwlock_unlock(&sink_lock);
}

void log_streams_only(void)
{
	inside_sink = true;
}

static void put_context(char *field, const char *text)
{
	char whole[CONTEXT_MAX];

	if (!text)
		return;
	snprintf(whole, sizeof(whole), "%s", text);
	whole[utf8_cut(text, strlen(text), sizeof(whole) - 1)] = '\0';
	put_printable(field, CONTEXT_MAX - 1, whole);
}

void log_context_set(const char *run, const char *job, const char *step)
{
	put_context(context_run, run);
	put_context(context_job, job);
	put_context(context_step, step);
}

void log_context_clear(void)
{
	log_context_set("", "", "");
}

static void format_text_line(const struct log_line *line, struct buf *out)
{
	const char *fields[] = { line->job, line->run, line->step };
	char when[CLOCK_TEXT_MAX];
	bool open = false;

	buf_addf(out, "%s %-5s ", clock_format(line->time_ms, when), log_level_name(line->level));
	for (int i = 0; i < 3; i++) {
		if (!fields[i][0])
			continue;
		buf_addf(out, "%s%s", open ? " " : "[", fields[i]);
		open = true;
	}
	buf_addf(out, "%s%s\n", open ? "] " : "", line->text);
}

static void format_json_line(const struct log_line *line, struct buf *out)
{
	char when[CLOCK_TEXT_MAX];

	json_object_open(out, NULL);
	json_add_string(out, "time", clock_format(line->time_ms, when));
	json_add_string(out, "level", log_level_name(line->level));
	json_add_string(out, "daemon", daemon_name);
	json_add_string(out, "job", line->job);
	json_add_string(out, "run", line->run);
	json_add_string(out, "step", line->step);
	json_add_string(out, "text", line->text);
	json_object_close(out);
	buf_add_char(out, '\n');
}

/* One write() in the ordinary case. A supervisor that reads slowly may hold us up for a moment, not for ever. */
static void write_line(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);
		struct pollfd wait = { .fd = fd, .events = POLLOUT };
		if (done >= 0) {
			data += done;
			len -= (size_t)done;
		} else if (errno == EAGAIN) {
			if (poll(&wait, 1, FULL_PIPE_WAIT_MS) <= 0)
				return;
		} else if (errno != EINTR) {
			return;
		}
	}
}

static void call_sink(const struct log_line *line)
{
	if (inside_sink)
		return;
	inside_sink = true;
	pthread_rwlock_rdlock(&sink_lock);
	if (sink_function)
		sink_function(line, sink_arg);
	pthread_rwlock_unlock(&sink_lock);
	inside_sink = false;
}

static void emit(enum log_level level, char *raw)
{
	struct log_line line = { .time_ms = clock_now_ms(), .level = level, .run = context_run, .job = context_job,
		                 .step = context_step };
	char text[LOG_TEXT_MAX + 1];
	struct buf out;

	secret_mask(raw); /* before the cut: half a secret would not be recognised */
	put_printable(text, LOG_TEXT_MAX, raw);
	line.text = text;
	if (level >= shown_from) {
		buf_init(&out, LINE_MAX_BYTES);
		if (line_format == LOG_JSON)
			format_json_line(&line, &out);
		else
			format_text_line(&line, &out);
		if (!out.failed)
			write_line(level == LEVEL_ERROR ? STDERR_FILENO : STDOUT_FILENO, out.data, out.len);
		buf_release(&out);
	}
	if (level >= shown_from || level > LEVEL_DEBUG)
		call_sink(&line);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char *raw = NULL;
	va_list args;

	if (level == LEVEL_DEBUG && level < shown_from)
		return;
	va_start(args, fmt);
	if (vasprintf(&raw, fmt, args) < 0)
		raw = NULL;
	va_end(args);
	if (raw)
		emit(level, raw);
	free(raw);
	errno = saved;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (int i = LEVEL_DEBUG; i <= LEVEL_ERROR; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}
