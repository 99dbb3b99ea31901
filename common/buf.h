/* buf: a growing byte buffer with a declared maximum. One owner, no locks. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"

struct buf {
	char *data;   /* always NUL-terminated once anything was added; NULL before */
	size_t len;   /* bytes without the NUL */
	size_t cap;
	size_t max;   /* refuses to grow beyond; set by buf_init */
	bool failed;  /* a write did not fit or memory ran out; later writes are ignored */
};

/* No allocation yet. max in bytes. */
void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
/* Keeps the memory, drops content and the failed flag. */
void buf_clear(struct buf *buf);

/* All add functions set buf->failed instead of returning an error, so that a writer checks once at the end. */
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_addf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(struct buf *buf, const char *fmt, va_list args);

/* Text so far ("" when empty). Borrowed until the next write. */
const char *buf_text(const struct buf *buf);

/* -1 and a PERM error naming `what` and the limit when a write had failed. */
int buf_check(const struct buf *buf, const char *what, struct err *err) MUSTCHECK;

/* Hands the memory to the caller (free()) and leaves buf empty. NULL if it had failed. */
char *buf_take(struct buf *buf, size_t *len);

#endif
