/* Fuzz target of the T-SQL parser: whatever the batch is, it is parsed or refused with a number, and what was parsed can be walked. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "common/utf8.h"
#include "ecosystem/sandbox/sql/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct stmt *s, size_t len)
{
	size_t n = 0;

	for (; s; s = s->next) {
		if (s->end > len || s->begin > s->end)
			abort();
		n += 1 + walk(s->body, len) + walk(s->other, len);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sqlerror error = { 0 };
	struct arena arena = { 0 };
	struct stmt *list = NULL;
	char *text;

	if (size > 20000 || !utf8_valid((const char *)data, size))
		return 0;
	text = malloc(size + 1);
	if (!text)
		return 0;
	for (size_t i = 0; i < size; i++)
		text[i] = (char)data[i];
	text[size] = '\0';
	if (parser_batch(&arena, text, size, &list, &error) == 0)
		walk(list, size);
	else if (error.number <= 0)
		abort();
	arena_release(&arena);
	free(text);
	return 0;
}
