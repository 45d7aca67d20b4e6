// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/rehearse.h"

#include <errno.h>
#include <stdlib.h>

#include "plan/plan.h"

/* What the node has to know: its pods are those who are clients, and the backends here. */
static size_t pods_of(const struct rehearsal *rehearsal, const struct wanted *wanted,
		      struct sh_addr *out)
{
	size_t i, j, n = 0;

	for (i = 0; i < rehearsal->n_flows; i++) {
		if (rehearsal->flows[i].from != PTEST_POD)
			continue;
		if (out)
			out[n] = rehearsal->flows[i].src;
		n++;
	}
	for (i = 0; i < wanted->n_services; i++) {
		for (j = 0; j < wanted->services[i].n_backends; j++) {
			const struct want_backend *backend = &wanted->services[i].backends[j];

			if (!backend->local)
				continue;
			if (out)
				out[n] = backend->addr;
			n++;
		}
	}
	return n;
}

static int set_network(struct rig *rig, const struct rehearsal *rehearsal,
		       const struct wanted *wanted, struct err *err)
{
	const struct object *node = rehearsal->node;
	struct network_addrs addrs = { 0 };
	struct sh_addr *pods = NULL;
	int ret;

	if (node) {
		addrs.own = node->node.internal_ips;
		addrs.n_own = node->node.n_internal_ips;
	}
	if (wanted) {
		addrs.n_pods = pods_of(rehearsal, wanted, NULL);
		pods = calloc(addrs.n_pods + 1, sizeof(*pods));
		if (!pods)
			return err_system(err, -ENOMEM, "make the node's network");
		(void)pods_of(rehearsal, wanted, pods);
		addrs.pods = pods;
	}
	ret = network_set(rig_network(rig), &addrs, err);
	free(pods);
	return ret;
}

/* The node's addresses first: which of them serve nodePorts is read from its devices. */
int rehearse(struct rig *rig, const struct rehearsal *rehearsal, struct wanted **out,
	     struct err *err)
{
	const struct settings *settings = rehearsal->settings;
	struct wanted *wanted = NULL;
	int ret;

	ret = set_network(rig, rehearsal, NULL, err);
	if (!ret)
		ret = plan_resolve(rehearsal->objects, settings, true, &wanted, err);
	if (!ret)
		ret = set_network(rig, rehearsal, wanted, err);
	if (!ret)
		ret = rig_publish(rig, settings, wanted, err);
	if (ret)
		wanted_free(wanted);
	else
		*out = wanted;
	return ret;
}
