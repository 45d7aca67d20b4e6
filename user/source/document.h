/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One YAML document to the objects in it. */
#ifndef SHUNT_SOURCE_DOCUMENT_H
#define SHUNT_SOURCE_DOCUMENT_H

#include "source/diag.h"
#include "source/tree.h"

/* Objects in the order in which they were read; owns them. */
struct found_objects {
	struct object **v;
	size_t n, cap;
};
void found_objects_done(struct found_objects *found);

/* What is wrong goes to @diags. @return 0 or -ENOMEM */
int document_load(const char *file, const struct tree_node *root, struct diags *diags,
		  struct found_objects *found);

#endif
