/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which objects of one kind the API has, and at which version: just enough to
 * tell after a list what is new, what has changed and what is gone.
 */
#ifndef SHUNT_KUBE_KNOWN_H
#define SHUNT_KUBE_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/stream.h"

struct known_entry {
	uint64_t version; /* a hash of its resourceVersion */
	uint32_t hash;	  /* of the name */
	uint32_t list;	  /* the number of the last list that had it */
	bool told;	  /* the sink has some version of it */
	bool mark;	  /* the owner's: see source.c */
	uint8_t ns_len, name_len;
	char names[]; /* NAMESPACE NUL NAME NUL */
};

struct known {
	struct known_entry **slots;
	size_t n, size; /* size: a power of two, or 0 */
};

struct known_name {
	struct json_part ns, name; /* at most SH_SUBDOMAIN_MAX bytes each */
};

void known_done(struct known *known);
struct known_entry *known_find(const struct known *known, const struct known_name *name);
/* The entry of that name, made if need be. @return NULL: no memory */
struct known_entry *known_add(struct known *known, const struct known_name *name);
/* Frees @entry. */
void known_remove(struct known *known, struct known_entry *entry);
/* The first entry at *@at or behind it, which is then behind that; NULL: there is none. */
struct known_entry *known_next(const struct known *known, size_t *at);

const char *known_ns(const struct known_entry *entry);
const char *known_name(const struct known_entry *entry);
uint64_t known_version(const struct json_part *version);

#endif
