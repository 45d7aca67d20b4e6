/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The name a user meant by a mistyped one: offer every candidate, take the nearest. */
#ifndef SHUNT_USER_NEAREST_H
#define SHUNT_USER_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* as typed */
	const char *best; /* NULL: none is near enough */
	size_t distance;
};

void nearest_init(struct nearest *nearest, const char *word);
/* The first of several equally near ones wins. @name is kept by reference. */
void nearest_offer(struct nearest *nearest, const char *name);
/* ' (did you mean "NAME"?)', or "" where nothing was near. @return @buf */
const char *nearest_hint(const struct nearest *nearest, char *buf, size_t size);

#endif
