/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One YAML document to the objects in it. */
#ifndef SHUNT_SOURCE_DOCUMENT_H
#define SHUNT_SOURCE_DOCUMENT_H

#include "source/diag.h"
#include "source/schema.h"
#include "source/tree.h"

/* Objects in the order in which they were read; owns them. */
struct found_objects {
	struct object **v;
	size_t n, cap;
};
void found_objects_done(struct found_objects *found);

/*
 * The object of kind @def that stands at @d->root. @d has its scratch arena, and gets the
 * object's. @return 0 and *@out, NULL where it is wrong (then @d has errors); or -ENOMEM
 */
int document_object(struct decode *d, const struct kind_def *def, struct object **out);

/* What is wrong goes to @diags. @return 0 or -ENOMEM */
int document_load(const char *file, const struct tree_node *root, struct diags *diags,
		  struct found_objects *found);

#endif
