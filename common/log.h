/* log: lines for people and machines. Errors go to standard error, the rest to standard output; one write() a line.
 * Run, job and step come from the thread's context. A sink (the journal) may take the lines too. Thread-safe. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdint.h>
#include "common/err.h"

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };

enum log_format {
	LOG_TEXT, /* 2026-11-24T05:04:17.123Z INFO  [temu_inventory_sync r-1 fetch] text */
	LOG_JSON, /* {"time":"...","level":"INFO","daemon":"temu-workers","job":"...","run":"...","step":"...","text":"..."} */
};

#define LOG_TEXT_MAX 2000 /* longer lines are cut at a character boundary and end in "..." */

/* All text is borrowed for the length of the call: secrets masked, control characters escaped (\n, \x1B), cut.
 * run, job and step are "" when there is none. */
struct log_line {
	int64_t time_ms;
	enum log_level level;
	const char *run, *job, *step;
	const char *text;
};

/* Call once before threads start. name is the daemon's. */
void log_init(const char *name, enum log_level level, enum log_format format);

/* The sink is called after the line was written, on the caller's thread, and never for lines it causes itself
 * (a thread inside the sink logs to the streams only). NULL removes it and waits for calls under way, so not from
 * inside the sink. Lines of DEBUG reach it only when shown, the other levels always. */
void log_sink_set(void (*sink)(const struct log_line *line, void *arg), void *arg);

/* From here on the calling thread's lines go to the streams only, never to the sink (a thread that must not wait). */
void log_streams_only(void);

/* The thread's context; the strings are copied (63 bytes each). NULL leaves one unchanged, "" clears it. */
void log_context_set(const char *run, const char *job, const char *step);
void log_context_clear(void);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_debug(...) log_write(LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_write(LEVEL_ERROR, __VA_ARGS__)

/* "DEBUG", "INFO", "WARNING", "ERROR" and back (-1 when unknown). */
const char *log_level_name(enum log_level level);
int log_level_parse(const char *name, enum log_level *level);

#endif
