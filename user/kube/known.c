// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Open addressing with linear probing; at most three quarters of the slots are full. */
#include "kube/known.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 64u
#define FNV_BASIS  UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

static uint64_t fnv(uint64_t hash, const char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)data[i]) * FNV_PRIME;
	return hash;
}

uint64_t known_version(const struct json_part *version)
{
	return fnv(FNV_BASIS, version->text, version->len);
}

static uint32_t hash_name(const struct known_name *name)
{
	uint64_t hash = fnv(FNV_BASIS, name->ns.text, name->ns.len);

	hash = fnv(hash, "/", 1);
	hash = fnv(hash, name->name.text, name->name.len);
	return (uint32_t)(hash ^ hash >> 32);
}

const char *known_ns(const struct known_entry *entry)
{
	return entry->names;
}

const char *known_name(const struct known_entry *entry)
{
	return entry->names + entry->ns_len + 1;
}

static bool has_name(const struct known_entry *entry, uint32_t hash, const struct known_name *name)
{
	return entry->hash == hash && entry->ns_len == name->ns.len &&
	       entry->name_len == name->name.len &&
	       memcmp(known_ns(entry), name->ns.text, name->ns.len) == 0 &&
	       memcmp(known_name(entry), name->name.text, name->name.len) == 0;
}

/* The slot of @name, or the free one where it would go. The table has free ones. */
static size_t find_slot(const struct known *known, uint32_t hash, const struct known_name *name)
{
	size_t at = hash & (known->size - 1);

	while (known->slots[at] && !has_name(known->slots[at], hash, name))
		at = (at + 1) & (known->size - 1);
	return at;
}

struct known_entry *known_find(const struct known *known, const struct known_name *name)
{
	if (!known->n)
		return NULL;
	return known->slots[find_slot(known, hash_name(name), name)];
}

static int grow(struct known *known)
{
	const size_t size = known->size ? known->size * 2 : SIZE_FIRST;
	struct known_entry **slots;
	size_t i, at;

	if (known->n < known->size / 4 * 3)
		return 0;
	slots = calloc(size, sizeof(struct known_entry *));
	if (!slots)
		return -1;
	for (i = 0; i < known->size; i++) {
		if (!known->slots[i])
			continue;
		at = known->slots[i]->hash & (size - 1);
		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = known->slots[i];
	}
	free(known->slots);
	known->slots = slots;
	known->size = size;
	return 0;
}

static struct known_entry *new_entry(uint32_t hash, const struct known_name *name)
{
	struct known_entry *entry =
		calloc(1, sizeof(*entry) + name->ns.len + 1 + name->name.len + 1);

	if (!entry)
		return NULL;
	entry->hash = hash;
	entry->ns_len = (uint8_t)name->ns.len;
	entry->name_len = (uint8_t)name->name.len;
	memcpy(entry->names, name->ns.text, name->ns.len);
	memcpy(entry->names + name->ns.len + 1, name->name.text, name->name.len);
	return entry;
}

struct known_entry *known_add(struct known *known, const struct known_name *name)
{
	const uint32_t hash = hash_name(name);
	size_t at;

	if (grow(known))
		return NULL;
	at = find_slot(known, hash, name);
	if (!known->slots[at]) {
		known->slots[at] = new_entry(hash, name);
		if (known->slots[at])
			known->n++;
	}
	return known->slots[at];
}

/* What stands behind the slot that became free moves up, unless it is at home there. */
static void close_gap(struct known *known, size_t gap)
{
	const size_t mask = known->size - 1;
	size_t at = gap, home;

	for (;;) {
		at = (at + 1) & mask;
		if (!known->slots[at])
			break;
		home = known->slots[at]->hash & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		known->slots[gap] = known->slots[at];
		gap = at;
	}
	known->slots[gap] = NULL;
}

void known_remove(struct known *known, struct known_entry *entry)
{
	size_t at = entry->hash & (known->size - 1);

	while (known->slots[at] != entry)
		at = (at + 1) & (known->size - 1);
	close_gap(known, at);
	known->n--;
	free(entry);
}

struct known_entry *known_next(const struct known *known, size_t *at)
{
	while (*at < known->size)
		if (known->slots[(*at)++])
			return known->slots[*at - 1];
	return NULL;
}

void known_done(struct known *known)
{
	size_t i;

	for (i = 0; i < known->size; i++)
		free(known->slots[i]);
	free(known->slots);
	*known = (struct known){ 0 };
}
