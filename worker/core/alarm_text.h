/* alarm_text: the words in which people are told of an alarm: the body of a web hook, and a mail. Pure functions. */
#ifndef WORKER_CORE_ALARM_TEXT_H
#define WORKER_CORE_ALARM_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "worker/core/alarms.h"

#define ALARM_ID_MAX (JOURNAL_ID_MAX + 48)

/* One message. Texts of the state are borrowed. */
struct alarm_message {
	char id[ALARM_ID_MAX]; /* "<journal>-<alarm>-<number>": the same for every try, so that a receiver can tell a second copy */
	const char *state;     /* "open" or "resolved" */
	const char *code, *severity, *job, *run;
	int64_t shop, count, time_ms;
	char text[2 * LOG_TEXT_MAX];
};
void alarm_message(const struct alarm_state *state, enum alarm_news news, const char *journal, struct alarm_message *out);

/* The template with {id} {state} {code} {severity} {shop} {job} {run} {count} {time} {text} filled in, texts escaped as inside a JSON
 * string; everything else, other braces too, stays as it is. */
void alarm_fill(const char *template, const struct alarm_message *message, struct buf *out);

/* A whole mail, RFC 5322 with CRLF, the text as base64. to: addresses as they stand behind "To: ". */
void alarm_mail(const struct alarm_message *message, const char *from, const char *to, struct buf *out);

#endif
