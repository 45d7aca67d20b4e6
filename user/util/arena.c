/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Most arenas hold one object of a few hundred bytes, and there are thousands
 * of them: further chunks grow with what is there, so that not much more than
 * an eighth is never used.
 */
#define CHUNK_FIRST 512u
#define CHUNK_LEAST 256u
#define CHUNK_MOST  65536u

struct chunk {
	struct chunk *next;
	size_t size, used; /* bytes of data[] */
	max_align_t data[];
};

struct arena {
	struct chunk *chunks; /* the first one is being filled */
	size_t total;	      /* bytes of all chunks */
	size_t first;	      /* bytes of the first one */
};

struct arena *arena_new_sized(size_t first)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a)
		a->first = first;
	return a;
}

struct arena *arena_new(void)
{
	return arena_new_sized(CHUNK_FIRST);
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

static size_t next_size(const struct arena *a)
{
	const size_t size = a->total / 8;

	if (!a->chunks)
		return a->first;
	return size < CHUNK_LEAST ? CHUNK_LEAST : size > CHUNK_MOST ? CHUNK_MOST : size;
}

/* @return a chunk with room for @least bytes */
static struct chunk *arena_grow(struct arena *a, size_t least)
{
	const bool large = a->chunks && least > next_size(a) / 2;
	const size_t size = large || least > next_size(a) ? least : next_size(a);
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->size = size;
	a->total += size;
	if (large) {
		/* One that fits, behind the first: what is left of that goes on being used. */
		chunk->next = a->chunks->next;
		a->chunks->next = chunk;
	} else {
		chunk->next = a->chunks;
		a->chunks = chunk;
	}
	return chunk;
}

static void *take(struct arena *a, size_t size, size_t align)
{
	struct chunk *chunk = a->chunks;
	size_t at = chunk ? (chunk->used + align - 1) / align * align : 0;

	if (size > SIZE_MAX / 2)
		return NULL;
	if (!chunk || at > chunk->size || chunk->size - at < size) {
		chunk = arena_grow(a, size);
		at = 0;
	}
	if (!chunk)
		return NULL;
	chunk->used = at + size;
	return (char *)chunk->data + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return take(a, size, _Alignof(max_align_t));
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = len < SIZE_MAX ? take(a, len + 1, 1) : NULL;

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strlen(text));
}
