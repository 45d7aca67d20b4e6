/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From objects to what this node's kernel should hold, as the settings say. */
#ifndef SHUNT_USER_PLAN_H
#define SHUNT_USER_PLAN_H

#include "model/objects.h"
#include "model/settings.h"
#include "model/wanted.h"
#include "util/arena.h"
#include "util/err.h"

/* allocate() with the settings' CIDRs and Kubernetes' range of nodePorts. */
int plan_allocate(struct object_set *next, const struct object_set *prev,
		  const struct settings *settings, struct err *err);

/* settings->node_name, if it is not given: the host's, in @arena. */
int plan_node_name(struct settings *settings, struct arena *arena, struct err *err);

struct plan_opts {
	bool cluster; /* a cluster's control plane made the objects: there is no other to be */
	bool on_node; /* look at this machine's devices for what the Node object leaves out */
};

/* resolve() as this node. */
int plan_resolve_as(const struct object_set *objects, const struct settings *settings,
		    const struct plan_opts *opts, struct wanted **out, struct err *err);
/* The same without a cluster. */
int plan_resolve(const struct object_set *objects, const struct settings *settings, bool on_node,
		 struct wanted **out, struct err *err);
/* *@n_out addresses at which this node serves nodePorts, SH_NODEADDRS_MAX at most. */
int plan_nodeaddrs(const struct object_set *objects, const struct settings *settings,
		   struct sh_addr *out, size_t *n_out, struct err *err);

#endif
