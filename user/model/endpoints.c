/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/endpoints.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/maglev.h"
#include "shunt/limits.h"

#define LABEL_SERVICE_NAME "kubernetes.io/service-name"
#define LABEL_PROXY_NAME   "service.kubernetes.io/service-proxy-name"
#define LABEL_HEADLESS	   "service.kubernetes.io/headless"

#define WEIGHT_DEFAULT 1

bool labelled_for_others(const struct meta *meta)
{
	/* The label's presence counts, whatever its value, as for kube-proxy. */
	return labels_get(&meta->labels, LABEL_PROXY_NAME) ||
	       labels_get(&meta->labels, LABEL_HEADLESS);
}

int weight_of(const struct meta *meta)
{
	const char *text = labels_get(&meta->annotations, ANNOTATION_WEIGHT);
	int weight = 0;

	if (!text)
		return -ENOENT;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		weight = weight * 10 + (*text - '0');
		if (weight > SH_WEIGHT_MAX)
			return -EINVAL;
	}
	return weight;
}

/* ---- indices --------------------------------------------------------------- */

static uint64_t hash_words(const char *ns, const char *key, const char *value)
{
	uint64_t h = maglev_hash(ns, strlen(ns), 0);

	h = maglev_hash(key, strlen(key), h);
	return maglev_hash(value, strlen(value), h);
}

static int index_add(struct object_index *index, uint64_t hash, size_t place)
{
	size_t cap = index->cap ? index->cap * 2 : 256;
	struct object_index_entry *v;

	if (index->n == index->cap) {
		v = reallocarray(index->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		index->v = v;
		index->cap = cap;
	}
	index->v[index->n++] = (struct object_index_entry){ hash, place };
	return 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct object_index_entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

static void index_sort(struct object_index *index)
{
	if (index->n)
		qsort(index->v, index->n, sizeof(*index->v), entry_cmp);
}

/* @return how many entries have a lower hash; with @more, a lower or the same one */
static size_t index_before(const struct object_index *index, uint64_t hash, bool more)
{
	size_t low = 0, high = index->n;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const uint64_t at = index->v[middle].hash;

		if (at < hash || (more && at == hash))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* @return the first entry with @hash; *n_out: how many have it. Hashes may collide. */
static const struct object_index_entry *index_find(const struct object_index *index, uint64_t hash,
						   size_t *n_out)
{
	const size_t first = index_before(index, hash, false);

	/* A label that all Pods have is one search too, not a walk through them. */
	*n_out = index_before(index, hash, true) - first;
	return index->n ? index->v + first : NULL;
}

static int index_slices(struct endpoint_sources *sources)
{
	const struct object_set *objects = sources->objects;
	const struct object *object;
	const char *service;
	size_t i;
	int ret = 0;

	for (i = object_set_first(objects, KIND_ENDPOINT_SLICE);
	     !ret && i < objects->n && objects->v[i]->kind == KIND_ENDPOINT_SLICE; i++) {
		object = objects->v[i];
		service = labels_get(&object->meta.labels, LABEL_SERVICE_NAME);
		if (service)
			ret = index_add(&sources->slices, hash_words(object->meta.ns, "", service),
					i);
	}
	index_sort(&sources->slices);
	return ret;
}

static int index_pod(struct endpoint_sources *sources, size_t place)
{
	const struct object *pod = sources->objects->v[place];
	const struct labels *labels = &pod->meta.labels;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < labels->n; i++)
		ret = index_add(&sources->pods,
				hash_words(pod->meta.ns, labels->v[i].key, labels->v[i].value),
				place);
	return ret;
}

static int index_pods(struct endpoint_sources *sources)
{
	const struct object_set *objects = sources->objects;
	const struct object *pod;
	size_t i;
	int ret = 0;

	for (i = object_set_first(objects, KIND_POD);
	     !ret && i < objects->n && objects->v[i]->kind == KIND_POD; i++) {
		pod = objects->v[i];
		if (weight_of(&pod->meta) >= 0)
			sources->weighted_pods = true;
		if (sources->opts->own_control_plane && !pod->pod.finished)
			ret = index_pod(sources, i);
	}
	index_sort(&sources->pods);
	return ret;
}

static const char *zone_of_node(const struct object_set *objects, const char *name)
{
	const struct object *node = NULL;

	if (*name)
		node = object_set_find(objects, KIND_NODE, "", name);
	return node ? node->node.zone : "";
}

int endpoint_sources_init(struct endpoint_sources *sources, const struct object_set *objects,
			  const struct resolve_opts *opts)
{
	int ret;

	*sources = (struct endpoint_sources){ .objects = objects, .opts = opts };
	sources->zone = zone_of_node(objects, opts->node_name ? opts->node_name : "");
	ret = index_slices(sources);
	if (!ret)
		ret = index_pods(sources);
	if (ret)
		endpoint_sources_done(sources);
	return ret;
}

void endpoint_sources_done(struct endpoint_sources *sources)
{
	free(sources->slices.v);
	free(sources->pods.v);
	*sources = (struct endpoint_sources){ 0 };
}

/* ---- one endpoint ------------------------------------------------------------ */

static bool is_this_node(const struct endpoint_sources *sources, const char *node)
{
	return *node && sources->opts->node_name && !strcmp(node, sources->opts->node_name);
}

static bool is_this_zone(const struct endpoint_sources *sources, const char *zone)
{
	return *zone && !strcmp(zone, sources->zone);
}

static int candidate_add(struct candidates *out, const struct candidate *candidate)
{
	size_t cap = out->cap ? out->cap * 2 : 64;
	struct candidate *v;

	if (out->n == out->cap) {
		v = reallocarray(out->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		out->v = v;
		out->cap = cap;
	}
	out->v[out->n] = *candidate;
	out->v[out->n].seq = (unsigned int)out->n;
	out->n++;
	return 0;
}

/* The most specific word counts: the Pod's, then that of @holder, then the Service's. */
static uint16_t weight_for(const struct meta *pod, const struct meta *holder,
			   const struct meta *service)
{
	int weight = pod ? weight_of(pod) : -ENOENT;

	if (weight < 0 && holder)
		weight = weight_of(holder);
	if (weight < 0)
		weight = weight_of(service);
	return weight < 0 ? WEIGHT_DEFAULT : (uint16_t)weight;
}

static const struct meta *pod_meta(const struct endpoint_sources *sources, const char *ns,
				   const char *name)
{
	const struct object *pod;

	if (!sources->weighted_pods || !*name)
		return NULL;
	pod = object_set_find(sources->objects, KIND_POD, ns, name);
	return pod ? &pod->meta : NULL;
}

static void take_hints(const struct endpoint_sources *sources, const struct endpoint *endpoint,
		       struct candidate *out)
{
	size_t i;

	out->zone_hints = endpoint->zone_hints.n > 0;
	for (i = 0; i < endpoint->zone_hints.n; i++)
		out->zone_match |= is_this_zone(sources, endpoint->zone_hints.v[i]);
	out->node_hints = endpoint->node_hints.n > 0;
	for (i = 0; i < endpoint->node_hints.n; i++)
		out->node_match |= is_this_node(sources, endpoint->node_hints.v[i]);
}

/* An endpoint that an EndpointSlice or an Endpoints object (@holder) lists. */
static int add_listed(const struct endpoint_sources *sources, const struct endpoint_query *query,
		      const struct object *holder, const struct endpoint *endpoint,
		      struct candidates *out)
{
	static const struct sh_addr none;
	struct candidate found = {
		.addr = endpoint->addr,
		.ready = endpoint->ready != MAYBE_FALSE,
		.serving = endpoint->serving != MAYBE_FALSE,
		.terminating = endpoint->terminating == MAYBE_TRUE,
		.local = is_this_node(sources, endpoint->node_name),
		.pod = endpoint->target_pod,
		.node = endpoint->node_name,
		.zone = endpoint->zone,
	};
	const struct meta *pod;

	if (addr_eq(&endpoint->addr, &none) || addr_family(&endpoint->addr) != query->family)
		return 0;
	pod = pod_meta(sources, holder->meta.ns, endpoint->target_pod);
	found.weight = weight_for(pod, &holder->meta, &query->service->meta);
	if (!*found.zone)
		found.zone = zone_of_node(sources->objects, found.node);
	take_hints(sources, endpoint, &found);
	return candidate_add(out, &found);
}

/* The endpoints of one list, once for each of its ports that is the one asked for. */
struct endpoint_list {
	const struct object *holder;
	const struct endpoint *endpoints;
	size_t n_endpoints;
	const struct endpoint_port *ports;
	size_t n_ports;
};

static int add_list(const struct endpoint_sources *sources, const struct endpoint_query *query,
		    const struct endpoint_list *list, struct candidates *out)
{
	const struct endpoint_port *port;
	size_t i, j, first;
	int ret;

	for (i = 0; i < list->n_ports; i++) {
		port = &list->ports[i];
		if (!port->port || port->proto != query->port->proto ||
		    strcmp(port->name, query->port->name) != 0)
			continue;
		first = out->n;
		for (j = 0; j < list->n_endpoints; j++) {
			ret = add_listed(sources, query, list->holder, &list->endpoints[j], out);
			if (ret)
				return ret;
		}
		for (; first < out->n; first++)
			out->v[first].port = htons(port->port);
	}
	return 0;
}

/* ---- the three sources --------------------------------------------------------- */

static bool is_slice_of(const struct object *slice, const struct object *service)
{
	const char *name = labels_get(&slice->meta.labels, LABEL_SERVICE_NAME);

	return !strcmp(slice->meta.ns, service->meta.ns) && !strcmp(name, service->meta.name);
}

/* *found_out: a slice of the Service exists, whether or not it counts for this query. */
static int add_slices(const struct endpoint_sources *sources, const struct endpoint_query *query,
		      struct candidates *out, bool *found_out)
{
	const struct meta *service = &query->service->meta;
	const struct object_index_entry *entry;
	const struct object *slice;
	size_t i, n;
	int ret = 0;

	entry = index_find(&sources->slices, hash_words(service->ns, "", service->name), &n);
	*found_out = false;
	for (i = 0; !ret && i < n; i++) {
		slice = sources->objects->v[entry[i].place];
		if (!is_slice_of(slice, query->service))
			continue;
		*found_out = true;
		if (slice->slice.family != query->family || labelled_for_others(&slice->meta))
			continue;
		ret = add_list(sources, query,
			       &(struct endpoint_list){ slice, slice->slice.endpoints,
							slice->slice.n_endpoints,
							slice->slice.ports, slice->slice.n_ports },
			       out);
	}
	return ret;
}

static int add_subsets(const struct endpoint_sources *sources, const struct endpoint_query *query,
		       const struct object *endpoints, struct candidates *out)
{
	const struct endpoints_subset *subset;
	size_t i;
	int ret = 0;

	if (labelled_for_others(&endpoints->meta))
		return 0;
	for (i = 0; !ret && i < endpoints->endpoints.n_subsets; i++) {
		subset = &endpoints->endpoints.subsets[i];
		ret = add_list(sources, query,
			       &(struct endpoint_list){ endpoints, subset->endpoints,
							subset->n_endpoints, subset->ports,
							subset->n_ports },
			       out);
	}
	return ret;
}

static bool pod_is_selected(const struct object *pod, const struct object *service)
{
	const struct labels *selector = &service->service.selector;
	const char *value;
	size_t i;

	if (strcmp(pod->meta.ns, service->meta.ns) != 0)
		return false;
	for (i = 0; i < selector->n; i++) {
		value = labels_get(&pod->meta.labels, selector->v[i].key);
		if (!value || strcmp(value, selector->v[i].value) != 0)
			return false;
	}
	return true;
}

/* @return 0: the Pod has no such port */
static uint16_t pod_port(const struct pod *pod, const struct service_port *port)
{
	const struct int_or_string *target = &port->target_port;
	size_t i;

	if (!target->str)
		return target->num ? (uint16_t)target->num : port->port;
	for (i = 0; i < pod->n_ports; i++)
		if (pod->ports[i].proto == port->proto && !strcmp(pod->ports[i].name, target->str))
			return pod->ports[i].port;
	return 0;
}

static const struct sh_addr *pod_addr(const struct pod *pod, enum family family)
{
	size_t i;

	for (i = 0; i < pod->n_ips; i++)
		if (addr_family(&pod->ips[i]) == family)
			return &pod->ips[i];
	return NULL;
}

/* The hints that a cluster's control plane would write into its slices (SEMANTICS 16). */
static void write_hints(const struct endpoint_sources *sources,
			enum traffic_distribution distribution, struct candidate *out)
{
	if (distribution == DISTRIBUTION_NONE)
		return;
	out->zone_hints = *out->zone != '\0';
	out->zone_match = is_this_zone(sources, out->zone);
	if (distribution != DISTRIBUTION_PREFER_SAME_NODE)
		return;
	out->node_hints = *out->node != '\0';
	out->node_match = out->local;
}

static int add_pod(const struct endpoint_sources *sources, const struct endpoint_query *query,
		   const struct object *object, struct candidates *out)
{
	const struct service *service = &query->service->service;
	const struct pod *pod = &object->pod;
	const struct sh_addr *addr = pod_addr(pod, query->family);
	const uint16_t port = pod_port(pod, query->port);
	struct candidate found = {
		.port = htons(port),
		.weight = weight_for(&object->meta, NULL, &query->service->meta),
		.ready = service->publish_not_ready || (pod->ready && !object->meta.deleting),
		.serving = pod->ready,
		.terminating = object->meta.deleting,
		.local = is_this_node(sources, pod->node_name),
		.pod = object->meta.name,
		.node = pod->node_name,
		.zone = zone_of_node(sources->objects, pod->node_name),
	};

	if (!addr || !port)
		return 0;
	found.addr = *addr;
	write_hints(sources, service->distribution, &found);
	return candidate_add(out, &found);
}

/* The entries of the rarest of the selector's labels: the fewest Pods to look at. */
static const struct object_index_entry *rarest_label(const struct endpoint_sources *sources,
						     const struct object *service, size_t *n_out)
{
	const struct labels *selector = &service->service.selector;
	const struct object_index_entry *entry, *best = NULL;
	size_t i, n;

	*n_out = 0;
	for (i = 0; i < selector->n; i++) {
		entry = index_find(
			&sources->pods,
			hash_words(service->meta.ns, selector->v[i].key, selector->v[i].value), &n);
		if (best && n >= *n_out)
			continue;
		best = entry;
		*n_out = n;
	}
	return best;
}

static int add_pods(const struct endpoint_sources *sources, const struct endpoint_query *query,
		    struct candidates *out)
{
	const struct object_index_entry *entry;
	const struct object *pod;
	size_t i, n;
	int ret = 0;

	entry = rarest_label(sources, query->service, &n);
	for (i = 0; !ret && i < n; i++) {
		pod = sources->objects->v[entry[i].place];
		if (pod_is_selected(pod, query->service))
			ret = add_pod(sources, query, pod, out);
	}
	return ret;
}

/* ---- one record for each address and port ---------------------------------------- */

/* Larger is better: which of two records of the same endpoint counts (SEMANTICS 11). */
static unsigned int rank(const struct candidate *c)
{
	return (c->terminating ? 0 : 8) | (c->ready ? 4 : 0) | (c->serving ? 2 : 0) |
	       (c->local ? 1 : 0);
}

static int candidate_cmp(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int cmp = addr_cmp(&x->addr, &y->addr);

	if (!cmp && x->port != y->port)
		cmp = ntohs(x->port) < ntohs(y->port) ? -1 : 1;
	if (!cmp && rank(x) != rank(y))
		cmp = rank(x) > rank(y) ? -1 : 1;
	if (!cmp)
		cmp = x->seq < y->seq ? -1 : 1;
	return cmp;
}

static void keep_best(struct candidates *all)
{
	size_t i, kept = 0;

	if (!all->n)
		return;
	qsort(all->v, all->n, sizeof(*all->v), candidate_cmp);
	for (i = 1; i < all->n; i++) {
		if (addr_eq(&all->v[i].addr, &all->v[kept].addr) &&
		    all->v[i].port == all->v[kept].port)
			continue;
		all->v[++kept] = all->v[i];
	}
	all->n = kept + 1;
}

int endpoints_collect(const struct endpoint_sources *sources, const struct endpoint_query *query,
		      struct candidates *out)
{
	const struct meta *service = &query->service->meta;
	const struct object *endpoints;
	bool has_slices;
	int ret;

	out->n = 0;
	ret = add_slices(sources, query, out, &has_slices);
	if (ret || has_slices)
		goto out;
	endpoints = object_set_find(sources->objects, KIND_ENDPOINTS, service->ns, service->name);
	if (endpoints)
		ret = add_subsets(sources, query, endpoints, out);
	else if (sources->opts->own_control_plane)
		ret = add_pods(sources, query, out);
out:
	if (!ret)
		keep_best(out);
	return ret;
}
