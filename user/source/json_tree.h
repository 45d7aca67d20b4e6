/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON (RFC 8259) to the tree that tree.h describes, but only as much of it as
 * a schema's tables look into: the rest, half of what an API server sends
 * (managedFields, uids, ...), is checked for syntax and passed over. Its nodes
 * have no line and column: nobody has ever seen that text.
 */
#ifndef SHUNT_SOURCE_JSON_TREE_H
#define SHUNT_SOURCE_JSON_TREE_H

#include "source/json.h"
#include "source/schema.h"
#include "source/tree.h"
#include "util/arena.h"
#include "util/err.h"

/*
 * One value and blanks around it, as a map of @schema. Nodes and strings live in
 * @arena. A key of the tables that stands there twice is an error, as are lone
 * surrogates, invalid UTF-8 and NUL characters in what is kept.
 * @return 0 and *@root_out; -EINVAL with what is wrong at which byte in @err; or -ENOMEM
 */
int json_tree_read(const struct json_text *json, const struct schema *schema, struct arena *arena,
		   const struct tree_node **root_out, struct err *err);

#endif
