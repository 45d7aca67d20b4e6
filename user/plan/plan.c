// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "plan/plan.h"

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

static int node_name(const struct settings *settings, struct utsname *host, const char **out,
		     struct err *err)
{
	int ret = 0;

	*out = settings->node_name;
	if (!*out) {
		ret = host_name(host, err);
		*out = host->nodename;
	}
	return ret;
}

int plan_node_name(struct settings *settings, struct arena *arena, struct err *err)
{
	struct utsname host = { 0 };
	const char *name;
	int ret;

	ret = node_name(settings, &host, &name, err);
	if (ret || settings->node_name)
		return ret;
	settings->node_name = arena_strdup(arena, name);
	return settings->node_name ? 0 : err_system(err, -ENOMEM, "ask for the host's name");
}

static int find_addrs(const struct object_set *objects, const struct settings *settings,
		      const char *name, struct node_addrs *out, struct err *err)
{
	if (settings->nodeport_addresses == NODEPORT_PRIMARY)
		addrs_of_node(objects, name, out);
	return out->n ? 0 : addrs_of_devices(settings, out, err);
}

int plan_nodeaddrs(const struct object_set *objects, const struct settings *settings,
		   struct sh_addr *out, size_t *n_out, struct err *err)
{
	struct node_addrs addrs = { .n = 0 };
	struct utsname host = { 0 };
	const char *name;
	int ret;

	ret = node_name(settings, &host, &name, err);
	if (!ret)
		ret = find_addrs(objects, settings, name, &addrs, err);
	memcpy(out, addrs.v, addrs.n * sizeof(*out));
	*n_out = addrs.n;
	return ret;
}

int plan_resolve_as(const struct object_set *objects, const struct settings *settings,
		    const struct plan_opts *opts, struct wanted **out, struct err *err)
{
	struct node_addrs addrs = { .n = 0 };
	struct utsname host = { 0 };
	struct resolve_opts as = {
		.nodeaddrs = addrs.v,
		.service_cidrs = settings->service_cidrs,
		.n_service_cidrs = settings->n_service_cidrs,
		.cluster_cidrs = settings->cluster_cidrs,
		.n_cluster_cidrs = settings->n_cluster_cidrs,
		.own_control_plane = !opts->cluster,
	};
	int ret;

	ret = node_name(settings, &host, &as.node_name, err);
	if (!ret && opts->on_node)
		ret = find_addrs(objects, settings, as.node_name, &addrs, err);
	else if (!ret && settings->nodeport_addresses == NODEPORT_PRIMARY)
		addrs_of_node(objects, as.node_name, &addrs);
	as.n_nodeaddrs = addrs.n;
	return ret ? ret : resolve(objects, &as, out, err);
}

int plan_resolve(const struct object_set *objects, const struct settings *settings, bool on_node,
		 struct wanted **out, struct err *err)
{
	const struct plan_opts opts = { .on_node = on_node };

	return plan_resolve_as(objects, settings, &opts, out, err);
}
