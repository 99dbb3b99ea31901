/* The growing byte buffer: doubling up to its maximum, all or nothing per write.
 * It knows no format; the JSON writer and the codecs build on it. */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
	buf->failed = false;
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL; sets failed otherwise. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t need, cap;
	char *grown;

	if (buf->failed)
		return false;
	if (more > buf->max || buf->len > buf->max - more || buf->max == SIZE_MAX) {
		buf->failed = true;
		return false;
	}
	need = buf->len + more + 1;
	if (need <= buf->cap)
		return true;
	cap = buf->cap ? buf->cap : FIRST_CAP;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > buf->max + 1)
		cap = buf->max + 1;
	grown = realloc(buf->data, cap);
	if (!grown) {
		buf->failed = true;
		return false;
	}
	buf->data = grown;
	buf->cap = cap;
	return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_add_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vaddf(buf, fmt, args);
	va_end(args);
}

void buf_vaddf(struct buf *buf, const char *fmt, va_list args)
{
	size_t room = buf->data ? buf->cap - buf->len : 0;
	va_list again;
	int len;

	if (buf->failed)
		return;
	va_copy(again, args);
	len = vsnprintf(room ? buf->data + buf->len : NULL, room, fmt, args);
	if (len < 0) {
		buf->failed = true;
	} else if ((size_t)len < room) {
		buf->len += (size_t)len;
	} else if (reserve(buf, (size_t)len)) {
		vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	if (buf->failed && buf->data)
		buf->data[buf->len] = '\0';
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

int buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (!buf->failed)
		return 0;
	return err_set(err, ERR_PERM, "BUF_LIMIT", "%s does not fit: the limit is %zu bytes (or memory ran out)", what,
	               buf->max);
}

char *buf_take(struct buf *buf, size_t *len)
{
	char *data = NULL;

	if (reserve(buf, 0)) {
		data = buf->data;
		data[buf->len] = '\0';
		if (len)
			*len = buf->len;
		buf->data = NULL;
	}
	buf_release(buf);
	return data;
}
