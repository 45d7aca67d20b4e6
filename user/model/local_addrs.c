/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/local_addrs.h"

#include <errno.h>
#include <stdlib.h>

static int addrs_push(struct local_addrs *addrs, const struct sh_addr *addr)
{
	const size_t cap = addrs->cap ? addrs->cap * 2 : 16;
	struct sh_addr *v;

	if (addrs->n == addrs->cap) {
		v = reallocarray(addrs->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		addrs->v = v;
		addrs->cap = cap;
	}
	addrs->v[addrs->n++] = *addr;
	return 0;
}

int local_addrs_add(struct local_addrs *addrs, const struct candidates *found)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < found->n; i++)
		if (found->v[i].local && candidate_is_ready(&found->v[i]))
			ret = addrs_push(addrs, &found->v[i].addr);
	return ret;
}

static int compare(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

void local_addrs_count(struct local_addrs *addrs, struct want_health *out)
{
	size_t i;

	if (addrs->n)
		qsort(addrs->v, addrs->n, sizeof(*addrs->v), compare);
	for (i = 0; i < addrs->n; i++) {
		if (i && addr_eq(&addrs->v[i], &addrs->v[i - 1]))
			continue;
		out->local_endpoints++;
		if (sh_addr_is_v4(&addrs->v[i]))
			out->local4++;
		else
			out->local6++;
	}
	addrs->n = 0;
}

void local_addrs_done(struct local_addrs *addrs)
{
	free(addrs->v);
	*addrs = (struct local_addrs){ 0 };
}
