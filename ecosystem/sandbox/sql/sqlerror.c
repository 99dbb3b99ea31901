/* The error value of the stand-in and the severities of the numbers it uses.
 * Whether an error ends the batch is decided in the interpreter, not here. */
#include "ecosystem/sandbox/sql/sqlerror.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int sqlerror_severity(int number) {
	static const struct {
		int number, severity;
	} table[] = { { 102, 15 },  { 103, 15 },  { 105, 15 },  { 113, 15 },  { 128, 15 },  { 134, 15 },  { 137, 15 },
		      { 156, 15 },  { 195, 15 },  { 229, 14 },  { 262, 14 },  { 916, 14 },  { 922, 14 },
		      { 923, 14 },  { 924, 14 },  { 926, 14 },  { 927, 14 },  { 942, 14 },  { 945, 14 },  { 515, 16 },  { 1205, 13 }, { 2601, 14 },
		      { 2627, 14 }, { 4060, 11 }, { 18456, 14 }, { 0, 16 } };
	for (int i = 0; table[i].number; i++)
		if (table[i].number == number)
			return table[i].severity;
	return 16;
}

int sqlerror_set(struct sqlerror *error, int number, int line, const char *fmt, ...) {
	if (error->number)
		return -1;
	va_list args;
	va_start(args, fmt);
	vsnprintf(error->text, sizeof error->text, fmt, args);
	va_end(args);
	error->number = number;
	error->severity = sqlerror_severity(number);
	error->state = 1;
	error->line = line;
	return -1;
}

int sqlerror_parse(struct sqlerror *error, const char *text, int line) {
	if (text[0] != '@')
		return -1;
	char *end;
	long number = strtol(text + 1, &end, 10);
	if (*end != ':' || number <= 0)
		return -1;
	sqlerror_set(error, (int)number, line, "%s", end + 1);
	return 0;
}
