/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Objects in, wanted kernel state out. Pure: no I/O, no kernel, no clock.
 * The rules are those of the Kubernetes Service proxies; docs/semantics.md
 * numbers them.
 */
#ifndef SHUNT_USER_RESOLVE_H
#define SHUNT_USER_RESOLVE_H

#include "model/objects.h"
#include "model/wanted.h"
#include "util/err.h"

struct resolve_opts {
	const char *node_name;		 /* which Node this is */
	const struct sh_addr *nodeaddrs; /* addresses at which nodePorts are served */
	size_t n_nodeaddrs;
	const struct addr_net *service_cidrs;
	size_t n_service_cidrs;
	const struct addr_net *cluster_cidrs;
	size_t n_cluster_cidrs;
	bool own_control_plane; /* no cluster: match selectors to Pods */
};

/*
 * @objects must have been through allocate(), if there is no cluster.
 * @return 0 and *@out (wanted_free() it), or a negative errno.
 */
int resolve(const struct object_set *objects, const struct resolve_opts *opts, struct wanted **out,
	    struct err *err);

#endif
