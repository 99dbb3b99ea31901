/* arena: memory that lives as long as one batch (or one catalogue snapshot) and is freed at once. One thread. */
#ifndef SANDBOX_SQL_ARENA_H
#define SANDBOX_SQL_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include "common/err.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed memory. Out of memory ends the process: the stand-in has nothing to save. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_dup(struct arena *arena, const char *text, size_t len);
char *arena_fmt(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vfmt(struct arena *arena, const char *fmt, va_list args);
/* Frees everything; the arena can be used again. */
void arena_release(struct arena *arena);

/* A growing array of pointers inside an arena. */
struct vec {
	void **at;
	int count, cap;
};
void vec_add(struct arena *arena, struct vec *vec, void *item);

#endif
