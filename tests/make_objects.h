/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Objects for tests of the model, made by hand: no manifest, no decoder. */
#ifndef SHUNT_TESTS_MAKE_OBJECTS_H
#define SHUNT_TESTS_MAKE_OBJECTS_H

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/objects.h"

static inline void must(bool ok)
{
	if (!ok)
		abort();
}

static inline struct sh_addr make_addr(const char *text)
{
	struct sh_addr addr;

	must(!addr_parse(text, &addr));
	return addr;
}

static inline struct addr_net make_net(const char *text)
{
	struct addr_net net;

	must(!addr_net_parse(text, &net));
	return net;
}

/* Into @set, with no labels; empty strings where the decoder gives them. */
static inline struct object *make_object(struct object_set *set, enum kind kind, const char *ns,
					 const char *name)
{
	struct arena *arena = arena_new();
	struct object *object = arena_alloc(arena, sizeof(*object));

	must(object);
	object->kind = kind;
	object->arena = arena;
	object->meta.ns = arena_strdup(arena, ns);
	object->meta.name = arena_strdup(arena, name);
	must(!object_set_put(set, object));
	return object;
}

static inline void make_label(struct object *object, struct labels *labels, const char *key,
			      const char *value)
{
	struct label *v = arena_array(object->arena, labels->n + 1, sizeof(*v));

	must(v);
	if (labels->n)
		memcpy(v, labels->v, labels->n * sizeof(*v));
	v[labels->n].key = arena_strdup(object->arena, key);
	v[labels->n].value = arena_strdup(object->arena, value);
	labels->v = v;
	labels->n++;
}

/* A Service of one TCP port, 80 to 8080, unnamed. @ip: NULL: not allocated yet. */
static inline struct object *make_service(struct object_set *set, const char *name, const char *ip)
{
	struct object *object = make_object(set, KIND_SERVICE, "default", name);
	struct service *service = &object->service;

	service->ports = arena_array(object->arena, 8, sizeof(*service->ports));
	service->ports[0] = (struct service_port){ .name = "", .proto = IPPROTO_TCP, .port = 80 };
	service->ports[0].target_port.num = 8080;
	service->n_ports = 1;
	service->affinity_seconds = 10800;
	service->allocate_node_ports = true;
	service->external_name = "";
	service->lb_class = "";
	if (ip)
		service->cluster_ips[service->n_cluster_ips++] = make_addr(ip);
	return object;
}

/* One more port of the Service (8 at most). */
static inline struct service_port *make_port(struct object *service, const char *name,
					     uint16_t port, proto_t proto)
{
	struct service_port *at = &service->service.ports[service->service.n_ports++];

	*at = (struct service_port){ .name = name, .proto = proto, .port = port };
	return at;
}

static inline struct addr_net *make_nets(struct object *object, const char *a, const char *b)
{
	struct addr_net *nets = arena_array(object->arena, 2, sizeof(*nets));

	nets[0] = make_net(a);
	if (b)
		nets[1] = make_net(b);
	return nets;
}

static inline struct sh_addr *make_addrs(struct object *object, const char *a, const char *b)
{
	struct sh_addr *addrs = arena_array(object->arena, 2, sizeof(*addrs));

	addrs[0] = make_addr(a);
	if (b)
		addrs[1] = make_addr(b);
	return addrs;
}

/* A slice of @service with one unnamed TCP port; endpoints come with make_endpoint(). */
static inline struct object *make_slice(struct object_set *set, const char *name,
					const char *service, enum family family, uint16_t port)
{
	struct object *object = make_object(set, KIND_ENDPOINT_SLICE, "default", name);
	struct endpoint_slice *slice = &object->slice;

	make_label(object, &object->meta.labels, "kubernetes.io/service-name", service);
	slice->family = family;
	slice->ports = arena_array(object->arena, 8, sizeof(*slice->ports));
	slice->ports[0] = (struct endpoint_port){ "", IPPROTO_TCP, port };
	slice->n_ports = 1;
	slice->endpoints = arena_array(object->arena, 1024, sizeof(*slice->endpoints));
	return object;
}

static inline struct endpoint make_empty_endpoint(const char *addr)
{
	return (struct endpoint){ .addr = make_addr(addr),
				  .node_name = "",
				  .zone = "",
				  .hostname = "",
				  .target_pod = "" };
}

static inline struct endpoint *make_endpoint(struct object *slice, const char *addr)
{
	struct endpoint *endpoint = &slice->slice.endpoints[slice->slice.n_endpoints++];

	*endpoint = make_empty_endpoint(addr);
	return endpoint;
}

/* A ready Pod labelled app=@app. */
static inline struct object *make_pod(struct object_set *set, const char *name, const char *app,
				      const char *ip)
{
	struct object *object = make_object(set, KIND_POD, "default", name);
	struct pod *pod = &object->pod;

	make_label(object, &object->meta.labels, "app", app);
	pod->node_name = "";
	pod->hostname = "";
	pod->subdomain = "";
	pod->ready = true;
	pod->ips = make_addrs(object, ip, NULL);
	pod->n_ips = 1;
	pod->ports = arena_array(object->arena, 8, sizeof(*pod->ports));
	return object;
}

static inline struct object *make_node(struct object_set *set, const char *name, const char *zone)
{
	struct object *object = make_object(set, KIND_NODE, "", name);

	object->node.zone = arena_strdup(object->arena, zone);
	return object;
}

#endif
