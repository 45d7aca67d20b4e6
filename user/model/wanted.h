/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel should hold: the output of resolve(), the input of the
 * data-path publisher. A value: no file descriptor, no map, comparable and
 * printable. One want_service is one (Service, port, family); each family has
 * its own endpoints and is judged alone (SEMANTICS 2).
 */
#ifndef SHUNT_USER_WANTED_H
#define SHUNT_USER_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/objects.h"
#include "shunt/maps.h"

/* Which address of the Service a frontend is; shown by `get services`. */
enum frontend_kind {
	FRONTEND_CLUSTER_IP = 0,
	FRONTEND_NODE_PORT, /* addr is all-zero (IPv4: mapped 0.0.0.0): every address in nodeaddrs */
	FRONTEND_EXTERNAL_IP,
	FRONTEND_LOAD_BALANCER,
};
const char *frontend_kind_name(enum frontend_kind kind); /* "ClusterIP", "NodePort", ... */

struct want_frontend {
	enum frontend_kind kind;
	struct sh_addr addr;
	__be16 port;
	bool local_only;    /* this frontend's traffic policy is Local */
	bool source_ranges; /* guarded by the service's source_ranges (LoadBalancer only) */
};

struct want_backend {
	struct sh_addr addr;
	__be16 port;
	uint16_t weight;  /* 1-SH_WEIGHT_MAX, 1 where nothing is said; 0: no new connections */
	bool local;	  /* on this node (SEMANTICS 12) */
	bool terminating; /* serves only because no ready one is left, or keeps its old flows */
	bool in_cluster;  /* takes new connections under policy Cluster */
	bool in_local;	  /* takes new connections under policy Local */
	const char *pod;  /* name of the Pod behind it, "" where unknown */
	const char *node; /* its node's name, "" where unknown */
	const char *zone; /* "" where unknown */
};

struct want_service {
	const char *ns, *name, *port_name; /* port_name "" where it has none */
	uint16_t port;			   /* the Service's port, host order */
	proto_t proto;
	enum family family;
	enum service_type type;
	enum sh_algorithm algorithm;
	uint32_t affinity_seconds; /* 0: no affinity */
	bool internal_local;	   /* policies as the Service has them, for display */
	bool external_local;
	/*
	 * Usable endpoints exist somewhere / here, whether or not the set in
	 * force holds them: decides reject against silent drop (SEMANTICS 15).
	 */
	bool any_usable;
	struct want_frontend *frontends;
	size_t n_frontends;
	struct want_backend *backends; /* sorted by (addr, port), unique */
	size_t n_backends;
	struct addr_net *source_ranges;
	size_t n_source_ranges;
};

/*
 * A Service whose healthCheckNodePort is to be answered: which load balancers
 * ask whether this node has endpoints of it (SEMANTICS 26).
 */
struct want_health {
	const char *ns, *name;
	uint16_t port; /* TCP, host order */
	/*
	 * Distinct addresses of ready endpoints on this node, over all ports; those
	 * that serve only because no ready one is left don't count. kube-proxy
	 * counts each family alone and answers so on that family's sockets.
	 */
	uint32_t local_endpoints; /* of both families */
	uint32_t local4, local6;  /* of each */
};

/* A ClusterIP of a Service that another proxy serves. */
struct want_other {
	const char *ns, *name;
	struct sh_addr addr;
};

struct wanted {
	struct arena *arena;	       /* holds all of this, names too: outlives the objects */
	struct want_service *services; /* sorted by (ns, name, port, proto, family) */
	size_t n_services;
	/* Left alone, although they lie in --service-cidr and no Service of ours has them. */
	struct want_other *others;
	size_t n_others;
	struct want_health *health; /* sorted by (ns, name); no two have one port */
	size_t n_health;
	struct sh_addr *nodeaddrs; /* at which nodePorts are served (--nodeport-addresses) */
	size_t n_nodeaddrs;
	struct addr_net *service_cidrs, *cluster_cidrs;
	size_t n_service_cidrs, n_cluster_cidrs;
	size_t n_conflicts; /* frontends left out: another Service has them */
	/* What resolve() left out and why, a line each, for a log; at most SH_ERRORS_MAX */
	const char **notes;
	size_t n_notes, n_notes_more; /* n_notes_more: how many did not fit */
};

/* Order of services in wanted: (ns, name, port, proto, family). */
int want_service_cmp(const struct want_service *a, const struct want_service *b);
void wanted_free(struct wanted *wanted); /* NULL is fine; frees @wanted too */

#endif
