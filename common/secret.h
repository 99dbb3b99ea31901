/* secret: values that have no text form. Conf stores secrets here; only the call that needs the bytes asks for them.
 * Every registered secret of six bytes or more is masked in log lines and error texts. Thread-safe. */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stddef.h>

struct secret; /* opaque, cannot be printed */

/* Copies and registers for masking; surrounding blanks and line ends are trimmed. Lives until the process ends. */
const struct secret *secret_new(const char *bytes, size_t len);

/* The bytes, NUL-terminated. Do not store, do not log. "" for NULL. */
const char *secret_bytes(const struct secret *secret);
size_t secret_len(const struct secret *secret);

/* Replaces every registered secret inside text (also its JSON-escaped and percent-encoded forms) by "***", in place. */
void secret_mask(char *text);

#endif
