/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a scalar means: YAML 1.1 as kubectl reads it, so that yes, on and n are
 * booleans, 0x1f and 017 are integers, and a quoted scalar is a string.
 */
#ifndef SHUNT_SOURCE_SCALAR_H
#define SHUNT_SOURCE_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

#include "source/diag.h"
#include "source/tree.h"

enum scalar {
	SCALAR_STRING = 0,
	SCALAR_NULL,
	SCALAR_BOOL,
	SCALAR_INT,   /* an integer, of whatever size */
	SCALAR_FLOAT, /* any other number */
};

enum scalar scalar_type(const struct tree_node *node);
bool scalar_is_null(const struct tree_node *node); /* false for maps and lists */
bool scalar_bool(const struct tree_node *node);	   /* of a SCALAR_BOOL */
/* Of a SCALAR_INT; INT64_MAX or INT64_MIN where it doesn't fit. */
int64_t scalar_int(const struct tree_node *node);

/* "the string "80"", "the boolean true", "a list", ...: for "found ..." Returns @buf. */
#define FOUND_LEN (QUOTE_LEN + 16)
const char *scalar_found(const struct tree_node *node, char buf[static FOUND_LEN]);

#endif
