/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `apply` and `delete` do to a set of objects. Sets share what stays the same. */
#ifndef SHUNT_USER_MERGE_H
#define SHUNT_USER_MERGE_H

#include "model/objects.h"

/*
 * *@out (empty before): what is in @prev (NULL: nothing), with the objects of
 * @given added, or in place of those of the same name. @given is empty
 * afterwards. @return 0, or -ENOMEM and nothing has changed.
 */
int objects_merged(const struct object_set *prev, struct object_set *given, struct object_set *out);

/*
 * *@out (empty before): what is in @prev without the objects that @names has too,
 * by kind, namespace and name. @return 0, or -ENOMEM and nothing has changed.
 */
int objects_without(const struct object_set *prev, const struct object_set *names,
		    struct object_set *out);

#endif
