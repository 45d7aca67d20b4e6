// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of checks. */
#include "doctor/doctor.h"

#include <errno.h>
#include <string.h>

#include "model/endpoints.h"

enum check_needs {
	NEEDS_OBJECTS = 0x1,
	NEEDS_WANTED = 0x2,
	NEEDS_MACHINE = 0x4,
	NEEDS_DATAPLANE = 0x8,
	NEEDS_NO_NAME = 0x10, /* it is about the node: not where one Service is asked about */
	NEEDS_NO_OBJECTS = 0x20,
};

struct check {
	const char *name;
	const char *summary;
	unsigned int needs;
	int (*run)(struct doctor *doctor, struct err *err); /* NULL: found by the one above */
};

#define NODE_OF (NEEDS_MACHINE | NEEDS_NO_NAME)

static const struct check checks[] = {
	{ "selector", "the selector matches no Pod; which ones it nearly matches",
	  NEEDS_OBJECTS | NEEDS_WANTED, check_endpoints },
	{ "endpoints", "nobody lists endpoints, or none for this port", 0, NULL },
	{ "not-ready", "all that would serve are not ready", 0, NULL },
	{ "terminating", "all that would serve are on their way out", 0, NULL },
	{ "weight", "all that would serve have weight 0", 0, NULL },
	{ "family", "the Service has a family that its endpoints have not", 0, NULL },
	{ "target-port", "targetPort is a name or a number that no container has", NEEDS_OBJECTS,
	  check_target_port },
	{ "local-policy", "a traffic policy is Local and no endpoint is here",
	  NEEDS_OBJECTS | NEEDS_WANTED, check_local_policy },
	{ "source-ranges", "loadBalancerSourceRanges keep the caller (--src) out", NEEDS_OBJECTS,
	  check_source_ranges },
	{ "ping", "who answers a ping of a virtual address", NEEDS_OBJECTS, check_ping },
	{ "frontends", "addresses and nodePorts that another Service has",
	  NEEDS_OBJECTS | NEEDS_WANTED, check_frontends },
	{ "service-cidr", "ClusterIPs outside --service-cidr", NEEDS_OBJECTS, check_service_cidr },
	{ "networks", "Service, cluster and node networks that overlap", NEEDS_NO_NAME,
	  check_networks },
	{ "nodeport", "nodePorts at no address, or at a local process' port", NEEDS_OBJECTS,
	  check_nodeport },
	{ "node", "this node has no Node object", NEEDS_OBJECTS | NEEDS_NO_NAME, check_node },
	{ "rp-filter", "reverse path filtering that drops what is balanced", NODE_OF,
	  check_rp_filter },
	{ "ip-forward", "forwarding is off", NODE_OF, check_forwarding },
	{ "reserved-ports", "host sockets may take masqueraded flows' ports",
	  NODE_OF | NEEDS_DATAPLANE, check_reserved_ports },
	{ "mtu", "edges whose MTU is larger than the uplink's", NODE_OF, check_mtu },
	{ "edges", "no uplink, or an edge that nothing is attached to", NODE_OF, check_edges },
	{ "programs", "programs of another build, or for another network namespace",
	  NODE_OF | NEEDS_DATAPLANE, check_programs },
	{ "other-programs", "others' programs on the same hooks", NODE_OF | NEEDS_DATAPLANE,
	  check_other_programs },
	{ "socket-lb", "sockets that are not translated", NODE_OF | NEEDS_DATAPLANE,
	  check_socket_lb },
	{ "kernel", "what this kernel lacks", NODE_OF, check_kernel },
	{ "drops", "what was dropped, by reason", NEEDS_DATAPLANE, check_drops },
	{ "nobody", "Services in the kernel without anybody behind them",
	  NEEDS_DATAPLANE | NEEDS_NO_OBJECTS, check_nobody },
	{ "kube-proxy", "kube-proxy's rules are still there", NODE_OF, check_kube_proxy },
	{ "ipvs", "IPVS balances, too", NODE_OF, check_ipvs },
	{ "cilium", "Cilium balances, too", NODE_OF, check_cilium },
	{ "netfilter", "rules that drop what is forwarded", NODE_OF, check_netfilter },
};

#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static bool applies(const struct doctor *doctor, const struct check *check)
{
	const unsigned int needs = check->needs;
	const bool objects = doctor->objects && doctor->objects->n;

	if (!check->run || (needs & NEEDS_NO_NAME && doctor->name))
		return false;
	if (needs & NEEDS_NO_OBJECTS && objects)
		return false;
	return (!(needs & NEEDS_OBJECTS) || objects) &&
	       (!(needs & NEEDS_WANTED) || doctor->wanted) &&
	       (!(needs & NEEDS_MACHINE) || doctor->machine) &&
	       (!(needs & NEEDS_DATAPLANE) || doctor->dp);
}

int doctor_run(struct doctor *doctor, struct err *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < N_CHECKS; i++) {
		if (!applies(doctor, &checks[i]))
			continue;
		doctor->check = checks[i].name;
		ret = checks[i].run(doctor, err);
		if (ret)
			err_prefix(err, "check %s", checks[i].name);
	}
	findings_sort(&doctor->findings);
	if (!ret && doctor->findings.no_memory)
		ret = err_system(err, -ENOMEM, "keep all findings");
	return ret;
}

bool doctor_check_name(size_t i, const char **name_out, const char **summary_out)
{
	if (i >= N_CHECKS)
		return false;
	*name_out = checks[i].name;
	*summary_out = checks[i].summary;
	return true;
}

/* ---- which Services ------------------------------------------------------------------- */

bool doctor_looks_at(const struct doctor *doctor, const char *ns, const char *name)
{
	return (!doctor->ns || !strcmp(doctor->ns, ns)) &&
	       (!doctor->name || !strcmp(doctor->name, name));
}

static bool has_virtual_address(const struct object *object)
{
	return !object->service.headless && object->service.type != SERVICE_EXTERNAL_NAME &&
	       !labelled_for_others(&object->meta);
}

void doctor_services(struct doctor *doctor,
		     void (*look)(struct doctor *doctor, const struct object *service))
{
	const struct object_set *objects = doctor->objects;
	size_t i;

	for (i = object_set_first(objects, KIND_SERVICE);
	     i < objects->n && objects->v[i]->kind == KIND_SERVICE; i++) {
		const struct object *object = objects->v[i];

		if (doctor_looks_at(doctor, object->meta.ns, object->meta.name) &&
		    has_virtual_address(object))
			look(doctor, object);
	}
}

const char *service_object(struct doctor *doctor, const char *ns, const char *name)
{
	return doctor_text(doctor, "Service %s/%s", ns, name);
}
