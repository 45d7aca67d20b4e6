/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `test` and `trace -f` have in common: the sandbox's node, as manifests make it. */
#ifndef SHUNT_USER_REHEARSE_H
#define SHUNT_USER_REHEARSE_H

#include "ptest/file.h"
#include "ptest/rig.h"

struct rehearsal {
	const struct object_set *objects; /* allocated */
	const struct settings *settings;
	const struct object *node; /* the Node that this is; NULL: it has no addresses */
	const struct ptest_flow *flows;
	size_t n_flows; /* whose clients are pods of this node, if they are pods */
};

/*
 * Give the node of @rig its addresses and pods, and publish what the objects
 * come to. @return 0 and *@out, which has to outlive what is run, or a negative errno.
 */
int rehearse(struct rig *rig, const struct rehearsal *rehearsal, struct wanted **out,
	     struct err *err);

#endif
