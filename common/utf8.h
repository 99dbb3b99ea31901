/* utf8: checks and cuts. Nothing here allocates. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF, no NUL inside. */
bool utf8_valid(const char *text, size_t len);

/* Length of the character at text by the same rules, 0 when there is none (or len is 0). */
size_t utf8_sequence(const char *text, size_t len);

/* Decodes one character at text (len bytes left, > 0) of valid UTF-8; returns its length, stores the code point. */
size_t utf8_decode(const char *text, size_t len, uint32_t *code_point);

/* Encodes code_point into out[4]; returns the length. */
size_t utf8_encode(uint32_t code_point, char *out);

/* The longest prefix of at most max bytes that does not cut a character. */
size_t utf8_cut(const char *text, size_t len, size_t max);

/* Characters as SQL Server counts them (UTF-16 code units). */
size_t utf8_utf16_units(const char *text, size_t len);

#endif
