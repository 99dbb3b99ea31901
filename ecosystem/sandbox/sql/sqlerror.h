/* sqlerror: one SQL Server error as it goes to the client. */
#ifndef SANDBOX_SQL_SQLERROR_H
#define SANDBOX_SQL_SQLERROR_H

#include "common/err.h"

struct sqlerror {
	int number; /* 0 = none */
	int severity, state, line;
	char text[1024];
};

/* Keeps the first error; severity follows from the number. Returns -1. */
int sqlerror_set(struct sqlerror *error, int number, int line, const char *fmt, ...) PRINTF_LIKE(4, 5);
int sqlerror_severity(int number);
/* Reads the "@number:text" form in which functions inside SQLite report. -1 when the text has another form. */
int sqlerror_parse(struct sqlerror *error, const char *text, int line);

#endif
