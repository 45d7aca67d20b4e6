/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "source/merge.h"

#include <errno.h>
#include <stdlib.h>

static int make_room(struct object_set *set, size_t n)
{
	set->v = calloc(n + 1, sizeof(struct object *));
	if (!set->v)
		return -ENOMEM;
	set->n = 0;
	set->cap = n + 1;
	return 0;
}

/* Both sets are sorted: one walk through both, whatever their sizes. */
int objects_merged(const struct object_set *prev, struct object_set *given, struct object_set *out)
{
	const size_t n_prev = prev ? prev->n : 0;
	size_t i = 0, j = 0;
	int cmp;

	if (make_room(out, n_prev + given->n))
		return -ENOMEM;
	while (i < n_prev || j < given->n) {
		if (i == n_prev)
			cmp = 1;
		else if (j == given->n)
			cmp = -1;
		else
			cmp = object_cmp(prev->v[i], given->v[j]);
		if (cmp < 0)
			out->v[out->n++] = object_ref(prev->v[i]);
		else
			out->v[out->n++] = given->v[j];
		i += cmp <= 0;
		j += cmp >= 0;
	}
	free(given->v);
	*given = (struct object_set){ 0 };
	return 0;
}

int objects_without(const struct object_set *prev, const struct object_set *names,
		    struct object_set *out)
{
	size_t i, j = 0;

	if (make_room(out, prev->n))
		return -ENOMEM;
	for (i = 0; i < prev->n; i++) {
		while (j < names->n && object_cmp(names->v[j], prev->v[i]) < 0)
			j++;
		if (j == names->n || object_cmp(names->v[j], prev->v[i]) != 0)
			out->v[out->n++] = object_ref(prev->v[i]);
	}
	return 0;
}
