/* Chunked bump allocation for everything a batch needs: tree, generated SQL, bound values.
 * Nothing here outlives arena_release. */
#include "ecosystem/sandbox/sql/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 32768

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	max_align_t data[];
};

void *arena_alloc(struct arena *arena, size_t size) {
	size = (size + 15) & ~(size_t)15;
	struct arena_chunk *c = arena->chunks;
	if (!c || c->size - c->used < size) {
		size_t want = size > CHUNK_SIZE ? size : CHUNK_SIZE;
		c = calloc(1, sizeof *c + want);
		if (!c)
			abort();
		c->size = want;
		c->next = arena->chunks;
		arena->chunks = c;
	}
	void *p = (char *)c->data + c->used;
	c->used += size;
	return p;
}

char *arena_dup(struct arena *arena, const char *text, size_t len) {
	char *p = arena_alloc(arena, len + 1);
	if (len)
		memcpy(p, text, len);
	return p;
}

char *arena_vfmt(struct arena *arena, const char *fmt, va_list args) {
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0)
		abort();
	char *p = arena_alloc(arena, (size_t)len + 1);
	vsnprintf(p, (size_t)len + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_fmt(struct arena *arena, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	char *p = arena_vfmt(arena, fmt, args);
	va_end(args);
	return p;
}

void arena_release(struct arena *arena) {
	struct arena_chunk *c = arena->chunks;
	arena->chunks = NULL;
	while (c) {
		struct arena_chunk *next = c->next;
		free(c);
		c = next;
	}
}

void vec_add(struct arena *arena, struct vec *vec, void *item) {
	if (vec->count == vec->cap) {
		int cap = vec->cap ? vec->cap * 2 : 8;
		void **at = arena_alloc(arena, sizeof *at * (size_t)cap);
		if (vec->count)
			memcpy(at, vec->at, sizeof *at * (size_t)vec->count);
		vec->at = at;
		vec->cap = cap;
	}
	vec->at[vec->count++] = item;
}
