/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/wanted.h"

#include <stdlib.h>
#include <string.h>

const char *frontend_kind_name(enum frontend_kind kind)
{
	switch (kind) {
	case FRONTEND_CLUSTER_IP:
		return "ClusterIP";
	case FRONTEND_NODE_PORT:
		return "NodePort";
	case FRONTEND_EXTERNAL_IP:
		return "ExternalIP";
	case FRONTEND_LOAD_BALANCER:
		return "LoadBalancer";
	}
	return "unknown";
}

int want_service_cmp(const struct want_service *a, const struct want_service *b)
{
	int cmp = strcmp(a->ns, b->ns);

	if (!cmp)
		cmp = strcmp(a->name, b->name);
	if (!cmp)
		cmp = (a->port > b->port) - (a->port < b->port);
	if (!cmp)
		cmp = (a->proto > b->proto) - (a->proto < b->proto);
	if (!cmp)
		cmp = (a->family > b->family) - (a->family < b->family);
	return cmp;
}

void wanted_free(struct wanted *wanted)
{
	if (!wanted)
		return;
	arena_free(wanted->arena);
	free(wanted);
}
