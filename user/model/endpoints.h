/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The endpoints of one Service port and family, from whichever kind of object
 * has them (SEMANTICS 7-12): EndpointSlices, else Endpoints, else, without a
 * cluster, the Pods that the Service selects. Used by resolve() only.
 */
#ifndef SHUNT_USER_ENDPOINTS_H
#define SHUNT_USER_ENDPOINTS_H

#include "model/resolve.h"

/* An endpoint as it was found; its strings belong to the objects. */
struct candidate {
	struct sh_addr addr;
	__be16 port;
	uint16_t weight;
	bool ready, serving, terminating;
	bool local;		     /* its node is this one */
	bool zone_hints, zone_match; /* it has zone hints; one names this node's zone */
	bool node_hints, node_match; /* it has node hints; one names this node */
	unsigned int seq;	     /* in which order it was found */
	const char *pod, *node, *zone;
};

/* Ready to take new connections: weight 0 is the user's way to keep them off an endpoint. */
static inline bool candidate_is_ready(const struct candidate *c)
{
	return c->ready && c->weight;
}

struct candidates {
	struct candidate *v;
	size_t n, cap;
};

/* Objects by the hash of what they are asked for by, sorted. */
struct object_index {
	struct object_index_entry {
		uint64_t hash;
		size_t place; /* in the set: the order among those of one hash */
	} *v;
	size_t n, cap;
};

struct endpoint_sources {
	const struct object_set *objects;
	const struct resolve_opts *opts;
	const char *zone;   /* of this node, "" unknown */
	bool weighted_pods; /* some Pod has a weight: look for the Pod behind each endpoint */
	struct object_index slices; /* by namespace and Service */
	struct object_index pods;   /* by namespace and label, once for each label */
};

/* What is looked for: the endpoints of this port in this family. */
struct endpoint_query {
	const struct object *service;
	const struct service_port *port;
	enum family family;
};

#define ANNOTATION_WEIGHT    "shunt.io/weight"
#define ANNOTATION_ALGORITHM "shunt.io/algorithm"

/* Set by others: this Service, slice or Endpoints is not ours to serve (SEMANTICS 3). */
bool labelled_for_others(const struct meta *meta);
/* @return the weight that @meta's annotation gives; -ENOENT without one, -EINVAL where it is bad */
int weight_of(const struct meta *meta);

int endpoint_sources_init(struct endpoint_sources *sources, const struct object_set *objects,
			  const struct resolve_opts *opts);
void endpoint_sources_done(struct endpoint_sources *sources);

/*
 * Put what @query finds into @out (emptied first; its memory is reused), sorted by
 * (address, port), one record for each. @return 0 or -ENOMEM.
 */
int endpoints_collect(const struct endpoint_sources *sources, const struct endpoint_query *query,
		      struct candidates *out);

#endif
