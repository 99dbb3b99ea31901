/* Filling and naming of the one error value.
 * Whether to try again is decided by the callers, by class; nothing here logs. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/utf8.h"

static void put_text(struct err *err, const char *text)
{
	size_t len = utf8_cut(text, strlen(text), sizeof(err->text) - 1);

	memmove(err->text, text, len);
	err->text[len] = '\0';
}

/* Masks the whole text before it is cut: half a secret would not be recognised any more. */
static void format_text(struct err *err, const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0) {
		put_text(err, "out of memory while an error was being described");
		return;
	}
	secret_mask(text);
	put_text(err, text);
	free(text);
}

static void fill(struct err *err, enum err_class class, const char *code, int64_t number)
{
	err->class = class;
	err->number = number;
	err->wait_ms = -1;
	if (code != err->code) /* a caller may pass on what is there */
		snprintf(err->code, sizeof(err->code), "%s", code);
}

int err_set(struct err *err, enum err_class class, const char *code, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (err) {
		va_start(args, fmt);
		format_text(err, fmt, args);
		va_end(args);
		fill(err, class, code, 0);
	}
	errno = saved;
	return -1;
}

int err_set_number(struct err *err, enum err_class class, const char *code, int64_t number, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (err) {
		va_start(args, fmt);
		format_text(err, fmt, args);
		va_end(args);
		fill(err, class, code, number);
	}
	errno = saved;
	return -1;
}

int err_context(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	char *context = NULL, *whole = NULL;
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	if (vasprintf(&context, fmt, args) < 0)
		context = NULL;
	va_end(args);
	/* Without memory the error itself matters more than where it came from. */
	if (context && asprintf(&whole, "%s: %s", context, err->text) >= 0) {
		secret_mask(whole);
		put_text(err, whole);
		free(whole);
	}
	free(context);
	errno = saved;
	return -1;
}

void err_clear(struct err *err)
{
	if (err)
		*err = (struct err)ERR_INIT;
}

const char *err_class_name(enum err_class class)
{
	switch (class) {
	case ERR_NONE:
		return "none";
	case ERR_TEMP:
		return "temp";
	case ERR_PERM:
		return "perm";
	case ERR_HOLD:
		return "hold";
	case ERR_CANCELLED:
		return "cancelled";
	}
	return "none";
}
