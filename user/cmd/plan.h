/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From objects to what this node's kernel should hold, as the settings say. */
#ifndef SHUNT_USER_PLAN_H
#define SHUNT_USER_PLAN_H

#include "model/objects.h"
#include "model/settings.h"
#include "model/wanted.h"
#include "util/err.h"

/* allocate() with the settings' CIDRs and Kubernetes' range of nodePorts. */
int plan_allocate(struct object_set *next, const struct object_set *prev,
		  const struct settings *settings, struct err *err);

/*
 * resolve() as this node. @on_node: look at this machine's devices for what the
 * Node object leaves out; a mere check does without.
 */
int plan_resolve(const struct object_set *objects, const struct settings *settings, bool on_node,
		 struct wanted **out, struct err *err);
/* What was left out and why, on standard error. */
void plan_print_notes(const struct wanted *wanted);

#endif
