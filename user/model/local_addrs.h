/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The addresses that a health check counts (SEMANTICS 26). Used by resolve() only. */
#ifndef SHUNT_USER_LOCAL_ADDRS_H
#define SHUNT_USER_LOCAL_ADDRS_H

#include "model/endpoints.h"

struct local_addrs {
	struct sh_addr *v; /* as they came, with repetitions */
	size_t n, cap;
};

/* Add those of @found that are ready and on this node. @return 0 or -ENOMEM */
int local_addrs_add(struct local_addrs *addrs, const struct candidates *found);
/* Count them into @out, each address once, and empty @addrs for the next Service. */
void local_addrs_count(struct local_addrs *addrs, struct want_health *out);
void local_addrs_done(struct local_addrs *addrs);

#endif
