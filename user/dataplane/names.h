/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is in the hash maps, read many elements at a time; shunt_meta by id. For dataplane/ alone. */
#ifndef SHUNT_USER_NAMES_H
#define SHUNT_USER_NAMES_H

#include "dataplane/internal.h"

/*
 * Call @each for every element of a hash map until it returns non-zero. A per-CPU map's value is
 * one for each CPU, 8-byte aligned. @return what @each did, or a negative errno and *err says why
 */
int map_each(const struct dataplane *dp, enum dp_map map,
	     int (*each)(const void *key, const void *value, void *arg), void *arg,
	     struct err *err);

/* shunt_meta, of some kinds. */
struct names {
	struct sh_meta *v;
	struct names_place *places; /* by kind and id */
	size_t n, cap;
	unsigned int kinds;
};

#define NAMES_OF(kind) (1u << (kind))
#define NAMES_SERVICES NAMES_OF(SH_META_SERVICE)
#define NAMES_ALL      (NAMES_SERVICES | NAMES_OF(SH_META_BACKEND) | NAMES_OF(SH_META_NODE))

/* @kinds: a mask of NAMES_OF(). @return 0 (names_done() it) or a negative errno */
int names_load(struct names *names, const struct dataplane *dp, unsigned int kinds,
	       struct err *err);
void names_done(struct names *names);
/* NULL: nobody knows. */
const struct sh_meta_service *names_service(const struct names *names, uint32_t id);
/* "" where nobody knows. */
const char *names_text(const struct names *names, enum sh_meta_kind kind, uint32_t id);

#endif
