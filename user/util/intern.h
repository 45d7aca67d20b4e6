/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Strings kept once: copies in somebody's arena, the same pointer for the same text. */
#ifndef SHUNT_USER_INTERN_H
#define SHUNT_USER_INTERN_H

#include <stddef.h>

#include "util/arena.h"

struct intern {
	struct arena *arena; /* not owned: the strings outlive this table */
	const char **slots;
	size_t n, size; /* size: a power of two, or 0 */
};

void intern_init(struct intern *intern, struct arena *arena);
void intern_done(struct intern *intern); /* the strings stay */
/* @return the one copy of @text; NULL: no memory */
const char *intern(struct intern *intern, const char *text);

#endif
