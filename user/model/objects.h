/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Kubernetes objects that shunt reads, decoded: one struct a kind, the
 * API's own words for every field. Sources (YAML manifests, the API) make
 * them, resolve() reads them, nobody changes them after decoding but the
 * allocator, which fills in clusterIPs and nodePorts that were left out.
 *
 * Ownership: an object and everything it points to live in the object's own
 * arena and are freed together by object_free(). Strings are never NULL where
 * the comment says "" and NULL where it says NULL.
 */
#ifndef SHUNT_USER_OBJECTS_H
#define SHUNT_USER_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"
#include "util/arena.h"

enum kind {
	KIND_NONE = 0,
	KIND_SERVICE,
	KIND_ENDPOINTS,
	KIND_ENDPOINT_SLICE,
	KIND_POD,
	KIND_NODE,
	KIND_COUNT
};
const char *kind_name(enum kind kind); /* "Service", ... */

/* Tri-state of an optional boolean. */
enum maybe { MAYBE_ABSENT = 0, MAYBE_FALSE, MAYBE_TRUE };

/* Where a value stands; line and column count from 1, 0 is unknown. */
struct origin {
	const char *file; /* "-" is standard input */
	unsigned int line, column;
};

struct label {
	const char *key, *value;
};

struct labels {
	struct label *v; /* in the order of the manifest, keys unique */
	size_t n;
};
/* @return the value of @key, or NULL */
const char *labels_get(const struct labels *labels, const char *key);

struct strings {
	const char **v;
	size_t n;
};

struct meta {
	const char *name;
	const char *ns; /* "default" where absent; "" for a Node */
	struct labels labels;
	struct labels annotations;
	bool deleting; /* deletionTimestamp is set */
};

struct int_or_string {
	const char *str; /* NULL: it is the number */
	int num;	 /* 0 with no str: absent */
};

/* IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP; TCP where absent. */
typedef uint8_t proto_t;
const char *proto_name(proto_t proto); /* "TCP", ... */

struct service_port {
	const char *name; /* "" where absent */
	proto_t proto;
	uint16_t port; /* 1-65535, host order, as all numbers here */
	struct int_or_string target_port;
	uint16_t node_port; /* 0: none (yet) */
	struct origin at;
};

enum service_type {
	SERVICE_CLUSTER_IP = 0,
	SERVICE_NODE_PORT,
	SERVICE_LOAD_BALANCER,
	SERVICE_EXTERNAL_NAME
};
const char *service_type_name(enum service_type type);

enum traffic_policy { POLICY_CLUSTER = 0, POLICY_LOCAL };
enum ip_family_policy {
	FAMILY_POLICY_ABSENT = 0,
	FAMILY_POLICY_SINGLE,
	FAMILY_POLICY_PREFER_DUAL,
	FAMILY_POLICY_REQUIRE_DUAL
};
enum traffic_distribution {
	DISTRIBUTION_NONE = 0,
	DISTRIBUTION_PREFER_CLOSE,
	DISTRIBUTION_PREFER_SAME_ZONE,
	DISTRIBUTION_PREFER_SAME_NODE
};

struct lb_ingress {
	bool has_ip; /* false: a hostname only, no frontend */
	struct sh_addr ip;
	bool proxy; /* ipMode: Proxy, no frontend */
};

struct service {
	enum service_type type;
	struct service_port *ports;
	size_t n_ports;
	struct labels selector; /* n == 0: none, endpoints come by hand */
	bool headless;		/* clusterIP: None */
	struct sh_addr cluster_ips[2];
	size_t n_cluster_ips; /* 0: to be allocated (unless headless or ExternalName) */
	enum family ip_families[2];
	size_t n_ip_families;
	enum ip_family_policy ip_family_policy;
	struct sh_addr *external_ips;
	size_t n_external_ips;
	struct addr_net *source_ranges; /* loadBalancerSourceRanges */
	size_t n_source_ranges;
	struct lb_ingress *lb_ingress; /* status.loadBalancer.ingress */
	size_t n_lb_ingress;
	enum traffic_policy internal_policy, external_policy;
	bool affinity_client_ip;
	uint32_t affinity_seconds; /* 10800 where absent; meaningful with affinity only */
	bool publish_not_ready;
	bool allocate_node_ports; /* allocateLoadBalancerNodePorts, true where absent */
	enum traffic_distribution distribution;
	uint16_t health_check_node_port; /* 0: none */
	const char *external_name;	 /* "" where absent */
	const char *lb_class;		 /* "" where absent */
};

/* Whether it has a healthCheckNodePort, or is to get one. */
bool service_takes_health_port(const struct service *service);

struct endpoint_port {
	const char *name; /* "" where absent */
	proto_t proto;
	uint16_t port; /* 0: null, matches nothing (EndpointSlice only) */
};

struct endpoint {
	struct sh_addr addr; /* addresses[0]; all-zero in a slice of addressType FQDN */
	enum maybe ready, serving, terminating;
	const char *node_name;	/* "" where absent */
	const char *zone;	/* "" where absent */
	const char *hostname;	/* "" where absent */
	const char *target_pod; /* targetRef of kind Pod: its name; "" otherwise */
	struct strings zone_hints, node_hints;
};

/* An EndpointSlice; family FAMILY_NONE is addressType FQDN. Service: label kubernetes.io/service-name. */
struct endpoint_slice {
	enum family family;
	struct endpoint *endpoints;
	size_t n_endpoints;
	struct endpoint_port *ports;
	size_t n_ports;
};

/* One subset of an Endpoints object; notReadyAddresses have ready == MAYBE_FALSE. */
struct endpoints_subset {
	struct endpoint *endpoints;
	size_t n_endpoints;
	struct endpoint_port *ports;
	size_t n_ports;
};

struct endpoints {
	struct endpoints_subset *subsets;
	size_t n_subsets;
};

struct container_port {
	const char *name; /* "" where absent */
	proto_t proto;
	uint16_t port;
};

struct pod {
	const char *node_name;		  /* "" where absent */
	const char *hostname, *subdomain; /* "" where absent */
	bool host_network;
	struct container_port *ports; /* of all containers, in their order */
	size_t n_ports;
	struct sh_addr *ips; /* status.podIPs, else status.podIP */
	size_t n_ips;
	bool ready;    /* condition Ready is True */
	bool finished; /* phase Succeeded or Failed */
};

struct node {
	struct sh_addr *internal_ips, *external_ips; /* status.addresses of these types */
	size_t n_internal_ips, n_external_ips;
	struct addr_net *pod_cidrs;
	size_t n_pod_cidrs;
	const char *zone; /* label topology.kubernetes.io/zone, "" where absent */
};

struct object {
	enum kind kind;
	struct meta meta;
	struct origin origin;
	struct arena *arena; /* this object's own */
	unsigned int refs;   /* owners beside the first, see object_ref() */
	union {
		struct service service;
		struct endpoints endpoints;
		struct endpoint_slice slice;
		struct pod pod;
		struct node node;
	};
};

/* Gives up one ownership; the last one frees. NULL is fine. */
void object_free(struct object *object);
/* One more owner, who calls object_free() too: sets can share objects. @return @object */
struct object *object_ref(struct object *object);
/* Order of a set: (kind, namespace, name). */
int object_cmp(const struct object *a, const struct object *b);

/*
 * A set of objects, unique by (kind, namespace, name), kept sorted by it.
 * Owns its objects.
 */
struct object_set {
	struct object **v;
	size_t n, cap;
};

void object_set_done(struct object_set *set);
/* Adds, or replaces (and frees) the one of that name. Takes @object over. @return 0 or -ENOMEM */
int object_set_put(struct object_set *set, struct object *object);
/* Makes room: the next @more calls of object_set_put() can't fail. @return 0 or -ENOMEM */
int object_set_reserve(struct object_set *set, size_t more);
/* Frees the one of that name. @return 0 or -ENOENT */
int object_set_remove(struct object_set *set, enum kind kind, const char *ns, const char *name);
struct object *object_set_find(const struct object_set *set, enum kind kind, const char *ns,
			       const char *name);
/* First object of @kind in [0, n]; the run of one kind is contiguous. */
size_t object_set_first(const struct object_set *set, enum kind kind);

#endif
