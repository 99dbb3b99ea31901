/* tds_fault: the list of faults ordered over the control port, and the counters. Thread-safe, never blocks long. */
#ifndef SANDBOX_SQL_TDS_FAULT_H
#define SANDBOX_SQL_TDS_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/err.h"

/* name on the control port, its numbers, what the help says */
#define TDS_FAULTS(X) \
	X(REFUSE_LOGIN, "refuse-login", 0, "answer the login with error 18456") \
	X(SILENT_LOGIN, "silent-login", 0, "never answer the login") \
	X(CUT_BEFORE, "cut-before", 0, "RST instead of executing") \
	X(CUT_AFTER, "cut-after", 0, "execute, then RST before the answer") \
	X(CUT_ROWS, "cut-rows", 1, "N: RST after N rows of the result") \
	X(CUT_CLEAN_ROWS, "cut-clean-rows", 1, "N: orderly close (FIN) after N rows") \
	X(ERROR, "error", 2, "NUMBER SEVERITY [after-rows=N]: this error; 1205 rolls the transaction back") \
	X(DELAY, "delay", 1, "MS: wait before executing; ATTENTION and `clear` end the wait") \
	X(HANG, "hang", 0, "[attention=yes]: execute nothing, stop answering") \
	X(GARBAGE, "garbage", 0, "answer with bytes that are no tokens") \
	X(BAD_METADATA, "bad-metadata", 0, "answer with column metadata that ends in the middle") \
	X(SEVERE, "severe", 0, "error of severity 21, then close")

enum tds_fault_kind {
#define X(kind, name, numbers, help) TDS_FAULT_##kind,
	TDS_FAULTS(X)
#undef X
};

struct tds_fault {
	enum tds_fault_kind kind;
	int64_t number[2];  /* as written behind the name */
	int64_t after_rows; /* -1 = at once */
	bool attention;     /* hang: answers ATTENTION */
	char match[256];    /* "" = any text */
	int64_t count, skip;
};

struct tds_counters {
	int64_t connections, logins, batches, statements, open, faults;
};

struct tds_faults;

struct tds_faults *tds_faults_new(void);
void tds_faults_free(struct tds_faults *faults);

/* "NAME [numbers] [match=TEXT|match="TEXT"] [count=N] [skip=N] [after-rows=N] [attention=yes]"; count defaults to 1, 0
 * = until cleared. -1 and a text for the person who wrote it. */
int tds_fault_parse(struct tds_fault *fault, const char *line, struct err *err) MUSTCHECK;
/* -1 when the list (64) is full. */
int tds_faults_add(struct tds_faults *faults, const struct tds_fault *fault, struct err *err) MUSTCHECK;
void tds_faults_clear(struct tds_faults *faults);
/* How often that was done: it ends a delay under way. */
int64_t tds_faults_clears(struct tds_faults *faults);

/* The first fault that meets a login (by user name) or a statement (by its text); counts skip and count down. */
bool tds_faults_login(struct tds_faults *faults, const char *user, struct tds_fault *fault);
bool tds_faults_statement(struct tds_faults *faults, const char *sql, struct tds_fault *fault);

#define TDS_FAULT_TEXT 200
/* The text of an ordered error into out[TDS_FAULT_TEXT]: SQL Server's own for 1205 and 1222. Returns out. */
const char *tds_fault_error_text(int64_t number, int spid, char *out);

/* Adds the differences to the counters, or reads them. */
void tds_faults_count(struct tds_faults *faults, const struct tds_counters *add);
void tds_faults_counters(struct tds_faults *faults, struct tds_counters *out);

#endif
