/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Field paths as messages show them: spec.ports[1].name, metadata.labels[a.b/c]. */
#ifndef SHUNT_SOURCE_PATH_H
#define SHUNT_SOURCE_PATH_H

#include <stddef.h>

#include "source/tree.h"

#define PATH_LEN 512

struct path_step {
	const char *key; /* NULL: @index of a list */
	size_t index;
};

/* Returns @buf; a path that doesn't fit is cut at its end. */
const char *path_format(const struct path_step *steps, size_t n, char buf[static PATH_LEN]);

/* The node at @path below @root, or the deepest one on the way that exists. */
const struct tree_node *path_find(const struct tree_node *root, const char *path);

#endif
