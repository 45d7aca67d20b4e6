/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/objects.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const char *kind_name(enum kind kind)
{
	static const char *const names[KIND_COUNT] = {
		[KIND_NONE] = "none",
		[KIND_SERVICE] = "Service",
		[KIND_ENDPOINTS] = "Endpoints",
		[KIND_ENDPOINT_SLICE] = "EndpointSlice",
		[KIND_POD] = "Pod",
		[KIND_NODE] = "Node",
	};

	return (unsigned int)kind < KIND_COUNT ? names[kind] : "unknown";
}

const char *proto_name(proto_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_SCTP:
		return "SCTP";
	default:
		return "unknown";
	}
}

const char *service_type_name(enum service_type type)
{
	switch (type) {
	case SERVICE_CLUSTER_IP:
		return "ClusterIP";
	case SERVICE_NODE_PORT:
		return "NodePort";
	case SERVICE_LOAD_BALANCER:
		return "LoadBalancer";
	case SERVICE_EXTERNAL_NAME:
		return "ExternalName";
	}
	return "unknown";
}

bool service_takes_health_port(const struct service *service)
{
	return service->type == SERVICE_LOAD_BALANCER && service->external_policy == POLICY_LOCAL;
}

const char *labels_get(const struct labels *labels, const char *key)
{
	size_t i;

	for (i = 0; i < labels->n; i++) {
		if (!strcmp(labels->v[i].key, key))
			return labels->v[i].value;
	}
	return NULL;
}

void object_free(struct object *object)
{
	struct arena *arena = object ? object->arena : NULL;

	if (object && object->refs) {
		object->refs--;
		return;
	}
	/* The object itself stands in its arena: nothing of it may be touched after this. */
	arena_free(arena);
}

struct object *object_ref(struct object *object)
{
	object->refs++;
	return object;
}

void object_set_done(struct object_set *set)
{
	size_t i;

	if (!set)
		return;
	for (i = 0; i < set->n; i++)
		object_free(set->v[i]);
	free(set->v);
	*set = (struct object_set){ 0 };
}

struct object_key {
	enum kind kind;
	const char *ns, *name;
};

static int key_cmp(const struct object_key *key, const struct object *object)
{
	int order;

	if (key->kind != object->kind)
		return key->kind < object->kind ? -1 : 1;
	order = strcmp(key->ns, object->meta.ns);
	return order ? order : strcmp(key->name, object->meta.name);
}

int object_cmp(const struct object *a, const struct object *b)
{
	const struct object_key key = { a->kind, a->meta.ns, a->meta.name };

	return key_cmp(&key, b);
}

/* @return the place of @key, or the one where it would go; *found_out says which. */
static size_t place_of(const struct object_set *set, const struct object_key *key, bool *found_out)
{
	size_t low = 0, high = set->n;

	*found_out = false;
	/* What comes in order, as most sets do, is appended without a search. */
	if (!set->n || key_cmp(key, set->v[set->n - 1]) > 0)
		return set->n;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = key_cmp(key, set->v[middle]);

		if (!order) {
			*found_out = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int object_set_reserve(struct object_set *set, size_t more)
{
	size_t cap = set->cap ? set->cap : 64;
	struct object **v;

	if (set->cap - set->n >= more)
		return 0;
	while (cap - set->n < more)
		cap *= 2;
	v = reallocarray(set->v, cap, sizeof(struct object *));
	if (!v)
		return -ENOMEM;
	set->v = v;
	set->cap = cap;
	return 0;
}

int object_set_put(struct object_set *set, struct object *object)
{
	const struct object_key key = { object->kind, object->meta.ns, object->meta.name };
	bool found;
	size_t at = place_of(set, &key, &found);

	if (found) {
		if (set->v[at] != object)
			object_free(set->v[at]);
		set->v[at] = object;
		return 0;
	}
	if (object_set_reserve(set, 1)) {
		object_free(object);
		return -ENOMEM;
	}
	memmove(&set->v[at + 1], &set->v[at], (set->n - at) * sizeof(set->v[0]));
	set->v[at] = object;
	set->n++;
	return 0;
}

int object_set_remove(struct object_set *set, enum kind kind, const char *ns, const char *name)
{
	const struct object_key key = { kind, ns, name };
	bool found;
	const size_t at = place_of(set, &key, &found);

	if (!found)
		return -ENOENT;
	object_free(set->v[at]);
	set->n--;
	memmove(&set->v[at], &set->v[at + 1], (set->n - at) * sizeof(set->v[0]));
	return 0;
}

struct object *object_set_find(const struct object_set *set, enum kind kind, const char *ns,
			       const char *name)
{
	const struct object_key key = { kind, ns, name };
	bool found;
	const size_t at = place_of(set, &key, &found);

	return found ? set->v[at] : NULL;
}

size_t object_set_first(const struct object_set *set, enum kind kind)
{
	const struct object_key key = { kind, "", "" };
	bool found;

	/* No object has an empty name, so this is the place before the kind's first. */
	return place_of(set, &key, &found);
}
