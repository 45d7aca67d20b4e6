/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML (and so JSON) to a tree of maps, lists and scalars that know where they
 * stand. One document at a time, so that a stream of many small documents
 * never is in memory as a whole.
 */
#ifndef SHUNT_SOURCE_TREE_H
#define SHUNT_SOURCE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/diag.h"

enum tree_type { TREE_SCALAR = 0, TREE_MAP, TREE_LIST };

/* Aliases share the node of their anchor: a tree may be a graph, never a cyclic one. */
struct tree_node {
	union {
		const char *text;	  /* scalar: no NUL inside, one at its end */
		struct tree_node **items; /* list: @n nodes; map: @n pairs of key, value */
	};
	uint32_t n;	       /* scalar: bytes of text */
	uint32_t line, column; /* from 1 */
	uint8_t type;	       /* enum tree_type */
	bool plain;	       /* scalar: not quoted, so it may be a number, a boolean or null */
};

/* Nodes that wait for the map or list around them to close. All zero: none; free() @v. */
struct tree_stack {
	struct tree_node **v;
	size_t n, cap;
};
/* @return 0 or -ENOMEM */
int tree_push(struct tree_stack *stack, struct tree_node *node);

struct tree_reader;

/* @text must outlive the reader; @file names it in messages. NULL: no memory. */
struct tree_reader *tree_reader_new(const char *file, const char *text, size_t len,
				    struct diags *diags);
void tree_reader_free(struct tree_reader *reader); /* NULL is fine */

/*
 * The next document: 1 and *root_out, valid until the next call; 0 at the
 * end. What is wrong goes to the reader's diags: a duplicate key lets reading
 * go on, everything else ends it with -EINVAL. -ENOMEM: no memory.
 */
int tree_next(struct tree_reader *reader, const struct tree_node **root_out);

/* @return the value of @key in a map, or NULL */
const struct tree_node *tree_get(const struct tree_node *map, const char *key);

#endif
