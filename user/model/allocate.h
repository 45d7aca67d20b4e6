/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of a control plane that hands out ClusterIPs and nodePorts, where
 * there is no cluster to do it. What a Service was given stays with it as long
 * as it exists, and the first choice is a hash of its namespace and name, so
 * that nodes that load the same manifests give the same addresses.
 */
#ifndef SHUNT_USER_ALLOCATE_H
#define SHUNT_USER_ALLOCATE_H

#include "model/objects.h"
#include "util/err.h"

struct allocate_opts {
	const struct addr_net *service_cidrs; /* the first of a family serves that family */
	size_t n_service_cidrs;
	uint16_t node_port_min, node_port_max; /* 30000-32767 */
};

/*
 * Fill in what the Services of @next leave out, taking over what the Services
 * of the same name in @prev (may be NULL: nothing held) were given.
 * A conflict (an address or a nodePort that another Service holds, an address
 * outside --service-cidr) is an error that names the holder, and leaves @next as
 * it was: @prev may share objects with it.
 */
int allocate(struct object_set *next, const struct object_set *prev,
	     const struct allocate_opts *opts, struct err *err);

#endif
