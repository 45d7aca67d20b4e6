/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/intern.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 256u

/* FNV-1a: these are names of a few dozen bytes. */
static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h ^ (h >> 32);
}

static const char **slot_of(const char **slots, size_t size, const char *text)
{
	size_t at = hash_text(text) & (size - 1);

	while (slots[at] && strcmp(slots[at], text) != 0)
		at = (at + 1) & (size - 1);
	return &slots[at];
}

/* Keep the table at most half full. */
static int make_room(struct intern *intern)
{
	size_t size = intern->size ? intern->size * 2 : SLOTS_FIRST, i;
	const char **slots;

	if (intern->n < intern->size / 2)
		return 0;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (i = 0; i < intern->size; i++)
		if (intern->slots[i])
			*slot_of(slots, size, intern->slots[i]) = intern->slots[i];
	free(intern->slots);
	intern->slots = slots;
	intern->size = size;
	return 0;
}

void intern_init(struct intern *intern, struct arena *arena)
{
	*intern = (struct intern){ .arena = arena };
}

void intern_done(struct intern *intern)
{
	free(intern->slots);
	*intern = (struct intern){ 0 };
}

const char *intern(struct intern *intern, const char *text)
{
	const char **slot;

	if (!*text)
		return "";
	if (make_room(intern))
		return NULL;
	slot = slot_of(intern->slots, intern->size, text);
	if (!*slot) {
		*slot = arena_strdup(intern->arena, text);
		if (*slot)
			intern->n++;
	}
	return *slot;
}
