// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "dataplane/netdev.h"
#include "model/allocate.h"
#include "model/resolve.h"

/* kube-apiserver's --service-node-port-range */
#define NODE_PORT_MIN 30000
#define NODE_PORT_MAX 32767

struct node_addrs {
	struct sh_addr v[SH_NODEADDRS_MAX];
	size_t n;
};

int plan_allocate(struct object_set *next, const struct object_set *prev,
		  const struct settings *settings, struct err *err)
{
	const struct allocate_opts opts = {
		.service_cidrs = settings->service_cidrs,
		.n_service_cidrs = settings->n_service_cidrs,
		.node_port_min = NODE_PORT_MIN,
		.node_port_max = NODE_PORT_MAX,
	};

	return allocate(next, prev, &opts, err);
}

/* Lower case: as the kubelet names a Node after its host. */
static int host_name(struct utsname *host, struct err *err)
{
	char *c;

	if (uname(host))
		return err_system(err, -errno, "ask for the host's name");
	for (c = host->nodename; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

/* The first InternalIP of each family: what the Node says of itself. */
static void addrs_of_node(const struct object_set *objects, const char *name,
			  struct node_addrs *out)
{
	const struct object *object = object_set_find(objects, KIND_NODE, "", name);
	bool have4 = false, have6 = false;
	size_t i;

	for (i = 0; object && i < object->node.n_internal_ips; i++) {
		const struct sh_addr *addr = &object->node.internal_ips[i];
		bool *have = sh_addr_is_v4(addr) ? &have4 : &have6;

		if (!*have)
			out->v[out->n++] = *addr;
		*have = true;
	}
}

static int addrs_of_devices(const struct settings *settings, struct node_addrs *out,
			    struct err *err)
{
	struct netdev_list list;
	int ret;

	ret = netdev_list(&list, err);
	if (ret)
		return ret;
	ret = netdev_node_addresses(settings, &list, out->v, &out->n, err);
	netdev_list_done(&list);
	return ret;
}

void plan_print_notes(const struct wanted *wanted)
{
	size_t i;

	for (i = 0; i < wanted->n_notes; i++)
		(void)fprintf(stderr, "shunt: note: %s\n", wanted->notes[i]);
	if (wanted->n_notes_more)
		(void)fprintf(stderr, "shunt: %zu more notes\n", wanted->n_notes_more);
}

int plan_resolve(const struct object_set *objects, const struct settings *settings, bool on_node,
		 struct wanted **out, struct err *err)
{
	struct node_addrs addrs = { .n = 0 };
	struct utsname host = { 0 };
	struct resolve_opts opts = {
		.node_name = settings->node_name,
		.nodeaddrs = addrs.v,
		.service_cidrs = settings->service_cidrs,
		.n_service_cidrs = settings->n_service_cidrs,
		.cluster_cidrs = settings->cluster_cidrs,
		.n_cluster_cidrs = settings->n_cluster_cidrs,
		.own_control_plane = true,
	};
	int ret = 0;

	if (!opts.node_name) {
		ret = host_name(&host, err);
		opts.node_name = host.nodename;
	}
	if (!ret && settings->nodeport_addresses == NODEPORT_PRIMARY)
		addrs_of_node(objects, opts.node_name, &addrs);
	if (!ret && !addrs.n && on_node)
		ret = addrs_of_devices(settings, &addrs, err);
	opts.n_nodeaddrs = addrs.n;
	return ret ? ret : resolve(objects, &opts, out, err);
}
