/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory that is freed all at once. Nothing taken from an arena is freed by itself. */
#ifndef SHUNT_USER_ARENA_H
#define SHUNT_USER_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void); /* NULL: no memory */
/* The same, for one that will hold some @first bytes. */
struct arena *arena_new_sized(size_t first);
void arena_free(struct arena *a); /* NULL is fine */
/* @return @size zeroed bytes, aligned for any type, or NULL */
void *arena_alloc(struct arena *a, size_t size);
/* The same for an array; NULL also where n * size overflows. n == 0 gives a valid pointer. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);

#endif
