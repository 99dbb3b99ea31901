/* err: the one error value of the project. Filled once, at the leaf, by whoever noticed;
 * callers may add context in front; the middle decides by class; the top logs. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdint.h>

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* What the caller may do about it. */
enum err_class {
	ERR_NONE,
	ERR_TEMP,      /* try again, costs an attempt */
	ERR_PERM,      /* trying again will not help */
	ERR_HOLD,      /* wait until told otherwise, costs no attempt */
	ERR_CANCELLED, /* somebody asked us to stop, or the deadline passed */
};

#define ERR_CODE_MAX 32
#define ERR_TEXT_MAX 600

struct err {
	enum err_class class;
	int64_t number;          /* the foreign number: SQL error, TEMU code, HTTP status; 0 = none */
	int64_t wait_ms;         /* >= 0: the other side asked us to wait this long; -1 = not said */
	char code[ERR_CODE_MAX]; /* stable name for machines: "SQL_1205", "TEMU_4000004", "CONFIG" */
	char text[ERR_TEXT_MAX]; /* for people: what, where, what to do; cut at a UTF-8 boundary */
};

#define ERR_INIT { .class = ERR_NONE, .wait_ms = -1 }

/* Fills err (which may be NULL) and returns -1, so that `return err_set(...)` reads well.
 * Known secrets (secret.h) are masked in the text. */
int err_set(struct err *err, enum err_class class, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The same with the foreign number. */
int err_set_number(struct err *err, enum err_class class, const char *code, int64_t number, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* Puts "<context>: " in front of the text; returns -1. */
int err_context(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Back to "no error". */
void err_clear(struct err *err);

/* "temp", "perm", "hold", "cancelled", "none". */
const char *err_class_name(enum err_class class);

#endif
