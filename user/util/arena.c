/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Small first: most arenas hold one object of a few hundred bytes. */
#define CHUNK_FIRST 512u
#define CHUNK_MOST  65536u

struct chunk {
	struct chunk *next;
	size_t size, used; /* bytes of data[] */
	max_align_t data[];
};

struct arena {
	struct chunk *chunks; /* the newest first */
	size_t next_size;
};

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a)
		a->next_size = CHUNK_FIRST;
	return a;
}

void arena_free(struct arena *a)
{
	struct chunk *chunk, *next;

	if (!a)
		return;
	for (chunk = a->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(a);
}

static struct chunk *arena_grow(struct arena *a, size_t least)
{
	size_t size = a->next_size > least ? a->next_size : least;
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->size = size;
	chunk->next = a->chunks;
	a->chunks = chunk;
	if (a->next_size < CHUNK_MOST)
		a->next_size *= 2;
	return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct chunk *chunk = a->chunks;
	void *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + align - 1) / align * align;
	if (!chunk || chunk->size - chunk->used < size)
		chunk = arena_grow(a, size);
	if (!chunk)
		return NULL;
	at = (char *)chunk->data + chunk->used;
	chunk->used += size;
	return at;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strlen(text));
}
