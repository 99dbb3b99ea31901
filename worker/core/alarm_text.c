/* Templates and mails. Which message goes where is not known here. */
#include "worker/core/alarm_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "common/clock.h"
#include "common/json.h"

#define LINE_BYTES 54 /* 72 characters of base64 */
#define TEXT_MAX (4 * LOG_TEXT_MAX)

void
alarm_message(const struct alarm_state *state, enum alarm_news news, const char *journal, struct alarm_message *out)
{
	bool over = news == ALARM_RESOLVED;
	*out = (struct alarm_message){ .state = over ? "resolved" : "open", .code = state->code, .job = state->job, .run = state->run,
		                       .shop = state->shop, .count = state->count,
		                       .time_ms = over ? state->resolved_ms : state->last_ms };
	out->severity = alarm_severity_name(alarm_kind(state->code)->severity);
	snprintf(out->id, sizeof(out->id), "%s-%lld-%lld", journal, (long long)state->id, (long long)state->seq);
	if (over)
		snprintf(out->text, sizeof(out->text), "over: %s; it was: %s", state->resolved_text, state->text);
	else
		snprintf(out->text, sizeof(out->text), "%s", state->text);
}

/* --- the body of a web hook ----------------------------------------------------------------------------------------- */

/* As inside a JSON string: without the quotes around it. */
static void
add_escaped(struct buf *out, const char *text)
{
	struct buf quoted;
	buf_init(&quoted, 16 * LOG_TEXT_MAX);
	json_add_string(&quoted, NULL, text);
	if (!quoted.failed && quoted.len >= 2)
		buf_add(out, quoted.data + 1, quoted.len - 2);
	buf_release(&quoted);
}

/* True when it is a name of ours. */
static bool
add_value(struct buf *out, const char *name, size_t len, const struct alarm_message *message)
{
	char shop[24], count[24], when[CLOCK_TEXT_MAX];
	const struct {
		const char *name, *value;
	} values[] = {
		{ "id", message->id },       { "state", message->state }, { "code", message->code }, { "severity", message->severity },
		{ "shop", shop },            { "job", message->job },     { "run", message->run },   { "count", count },
		{ "time", clock_format(message->time_ms, when) },         { "text", message->text },
	};
	snprintf(shop, sizeof(shop), "%lld", (long long)message->shop);
	snprintf(count, sizeof(count), "%lld", (long long)message->count);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strlen(values[i].name) != len || memcmp(values[i].name, name, len) != 0)
			continue;
		add_escaped(out, values[i].value);
		return true;
	}
	return false;
}

void
alarm_fill(const char *template, const struct alarm_message *message, struct buf *out)
{
	for (const char *at = template; *at != '\0';) {
		size_t len = strcspn(at, "{"), name = 0;
		buf_add(out, at, len);
		at += len;
		if (*at == '\0')
			return;
		name = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
		if (name > 0 && at[name + 1] == '}' && add_value(out, at + 1, name, message)) {
			at += name + 2;
			continue;
		}
		buf_add_char(out, '{');
		at++;
	}
}

/* --- mail ----------------------------------------------------------------------------------------------------------- */

static void
add_base64(struct buf *out, const unsigned char *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t at = 0; at < len; at += 3) {
		size_t left = len - at;
		unsigned bits = (unsigned)data[at] << 16 | (left > 1 ? (unsigned)data[at + 1] << 8 : 0) | (left > 2 ? data[at + 2] : 0);
		char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63] };
		if (left < 3)
			four[3] = '=';
		if (left < 2)
			four[2] = '=';
		buf_add(out, four, sizeof(four));
		if (at % LINE_BYTES == LINE_BYTES - 3 || left <= 3)
			buf_add_text(out, "\r\n");
	}
}

/* Header fields are ASCII of one line: codes and numbers of ours. */
static void
add_header(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s: ", name);
	for (; *value != '\0'; value++)
		buf_add_char(out, *value >= ' ' && *value < 0x7f ? *value : '?');
	buf_add_text(out, "\r\n");
}

static void
add_date(struct buf *out, int64_t at_ms)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm day;
	gmtime_r(&seconds, &day);
	buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[day.tm_wday], day.tm_mday, months[day.tm_mon],
	         day.tm_year + 1900, day.tm_hour, day.tm_min, day.tm_sec);
}

static void
add_words(struct buf *text, const struct alarm_message *message)
{
	char when[CLOCK_TEXT_MAX];
	buf_addf(text, "%s\n\nCode:     %s\nSeverity: %s\nState:    %s\n", message->text, message->code, message->severity,
	         message->state);
	if (message->shop != 0)
		buf_addf(text, "Shop:     %lld\n", (long long)message->shop);
	if (message->job[0] != '\0')
		buf_addf(text, "Job:      %s\n", message->job);
	if (message->run[0] != '\0')
		buf_addf(text, "Run:      %s\n", message->run);
	buf_addf(text, "Said:     %lld times since it opened\nTime:     %s\n", (long long)message->count,
	         clock_format(message->time_ms, when));
}

void
alarm_mail(const struct alarm_message *message, const char *from, const char *to, struct buf *out)
{
	char subject[200], id[ALARM_ID_MAX + 20];
	const char *kind = strcmp(message->state, "open") == 0 ? message->severity : message->state;
	struct buf text;
	buf_init(&text, TEXT_MAX);
	add_words(&text, message);
	if (message->shop != 0)
		snprintf(subject, sizeof(subject), "[TEMU] %s %s, shop %lld", kind, message->code, (long long)message->shop);
	else
		snprintf(subject, sizeof(subject), "[TEMU] %s %s", kind, message->code);
	snprintf(id, sizeof(id), "<%s@temu-workers>", message->id);
	add_header(out, "From", from);
	add_header(out, "To", to);
	add_header(out, "Subject", subject);
	add_header(out, "Message-ID", id);
	add_date(out, message->time_ms);
	buf_add_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	                  "Content-Transfer-Encoding: base64\r\n\r\n");
	add_base64(out, (const unsigned char *)buf_text(&text), text.len);
	out->failed |= text.failed;
	buf_release(&text);
}
