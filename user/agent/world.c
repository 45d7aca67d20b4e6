// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#define LABEL_SERVICE_NAME "kubernetes.io/service-name"
#define TRIGGER_TIME	   "endpoints.kubernetes.io/last-change-trigger-time"

/* Which Service a slice belongs to. */
struct world_slice {
	struct world_service *service;
	UT_hash_handle hh;
	char ns[SH_NAME_MAX + 1], name[SH_SUBDOMAIN_MAX + 1]; /* all bytes count: the key */
};

#define SERVICE_KEY_LEN \
	sizeof(((struct world_service *)0)->ns) + sizeof(((struct world_service *)0)->name)
#define SLICE_KEY_LEN \
	sizeof(((struct world_slice *)0)->ns) + sizeof(((struct world_slice *)0)->name)

void world_init(struct world *world, bool own_control_plane)
{
	*world = (struct world){ .own_control_plane = own_control_plane };
}

/* ---- Services ---------------------------------------------------------------- */

struct service_key {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1];
};

static struct service_key service_key(const char *ns, const char *name)
{
	struct service_key key;

	memset(&key, 0, sizeof(key));
	(void)strncpy(key.ns, ns, sizeof(key.ns) - 1);
	(void)strncpy(key.name, name, sizeof(key.name) - 1);
	return key;
}

struct world_service *world_find(const struct world *world, const char *ns, const char *name)
{
	const struct service_key key = service_key(ns, name);
	struct world_service *service;

	HASH_FIND(hh, world->services, &key, sizeof(key), service);
	return service;
}

static struct world_service *service_get(struct world *world, const char *ns, const char *name)
{
	struct world_service *service = world_find(world, ns, name);
	const struct service_key key = service_key(ns, name);

	if (service)
		return service;
	service = calloc(1, sizeof(*service));
	if (!service)
		return NULL;
	memcpy(service->ns, key.ns, sizeof(key.ns));
	memcpy(service->name, key.name, sizeof(key.name));
	HASH_ADD(hh, world->services, ns, sizeof(key), service);
	if (service->hh.tbl)
		return service;
	free(service);
	return NULL;
}

static void make_dirty(struct world *world, struct world_service *service)
{
	world->n_failed -= service->failed;
	service->failed = service->refused = false;
	if (service->dirty)
		return;
	service->dirty = true;
	DL_APPEND(world->dirty, service);
	world->n_dirty++;
}

void world_mark(struct world *world, struct world_service *service, uint64_t now)
{
	/* One that was set aside waits since its first change. */
	if (!service->dirty && !service->failed)
		service->since = now;
	service->told = false;
	make_dirty(world, service);
}

void world_retry(struct world *world)
{
	struct world_service *service;

	for (service = world->services; service && world->n_failed; service = service->hh.next)
		if (service->failed)
			make_dirty(world, service);
}

static bool is_empty(const struct world_service *service)
{
	return !service->service && !service->proposed && !service->endpoints && !service->n_slices;
}

static void service_free(struct world_service *service)
{
	size_t i;

	object_free(service->service);
	object_free(service->proposed);
	object_free(service->endpoints);
	for (i = 0; i < service->n_slices; i++)
		object_free(service->slices[i]);
	free(service->slices);
	free(service);
}

static void make_clean(struct world *world, struct world_service *service)
{
	if (!service->dirty)
		return;
	DL_DELETE(world->dirty, service);
	world->n_dirty--;
	service->dirty = false;
}

void world_settle(struct world *world, struct world_service *service)
{
	make_clean(world, service);
	if (service->failed)
		return;
	service->service_changed = false;
	service->trigger_ms = 0;
	if (!is_empty(service))
		return;
	HASH_DEL(world->services, service);
	service_free(service);
}

void world_set_aside(struct world *world, struct world_service *service)
{
	make_clean(world, service);
	world->n_failed += !service->failed;
	service->failed = service->refused = true;
}

/* ---- proposals ------------------------------------------------------------------- */

static void propose(struct world *world, struct world_service *service, struct object *object)
{
	object_free(service->proposed);
	service->proposed = object;
	world->n_not_given -= service->not_given;
	service->not_given = false;
}

void world_accept(struct world *world, struct world_service *service)
{
	object_free(service->service);
	service->service = object_ref(service->proposed);
	propose(world, service, NULL);
}

void world_turn_down(struct world *world, struct world_service *service)
{
	world->n_not_given += !service->not_given;
	service->not_given = true;
}

/* "2026-11-23T18:00:00.123456Z" as UNIX time; 0 where it is none. */
static uint64_t time_ms(const char *text)
{
	struct tm tm = { 0 };
	const char *rest;
	double fraction = 0;
	time_t seconds;

	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return 0;
	if (*rest == '.')
		fraction = strtod(rest, NULL);
	seconds = timegm(&tm);
	return seconds < 0 ? 0 : (uint64_t)seconds * 1000 + (uint64_t)(fraction * 1000);
}

static void note_trigger(struct world_service *service, const struct object *object)
{
	const char *text = labels_get(&object->meta.annotations, TRIGGER_TIME);
	uint64_t ms = text ? time_ms(text) : 0;

	if (ms && (!service->trigger_ms || ms < service->trigger_ms))
		service->trigger_ms = ms;
}

static int put_service(struct world *world, struct object *object, uint64_t now)
{
	struct world_service *service = service_get(world, object->meta.ns, object->meta.name);

	if (!service)
		return -ENOMEM;
	if (world->own_control_plane) {
		propose(world, service, object_ref(object));
	} else {
		object_free(service->service);
		service->service = object_ref(object);
	}
	service->stored = false;
	service->service_changed = true;
	world_mark(world, service, now);
	return 0;
}

static void gone_service(struct world *world, const char *ns, const char *name, uint64_t now)
{
	struct world_service *service = world_find(world, ns, name);

	if (!service || (!service->service && !service->proposed))
		return;
	object_free(service->service);
	service->service = NULL;
	propose(world, service, NULL);
	service->stored = false;
	service->service_changed = true;
	world_mark(world, service, now);
}

int world_put_stored(struct world *world, struct object *object)
{
	struct world_service *service = service_get(world, object->meta.ns, object->meta.name);

	if (!service) {
		object_free(object);
		return -ENOMEM;
	}
	object_free(service->service);
	service->service = object;
	service->stored = true;
	return 0;
}

size_t world_keep_stored(struct world *world)
{
	struct world_service *service;
	size_t n = 0;

	for (service = world->services; service; service = service->hh.next) {
		if (!service->stored)
			continue;
		make_clean(world, service);
		service->refused = true;
		n++;
	}
	return n;
}

void world_forget_stored(struct world *world, uint64_t now)
{
	struct world_service *service;

	for (service = world->services; service; service = service->hh.next)
		if (service->stored)
			gone_service(world, service->ns, service->name, now);
}

/* ---- endpoints ----------------------------------------------------------------- */

static int put_endpoints(struct world *world, struct object *object, uint64_t now)
{
	struct world_service *service = service_get(world, object->meta.ns, object->meta.name);

	if (!service)
		return -ENOMEM;
	object_free(service->endpoints);
	service->endpoints = object_ref(object);
	note_trigger(service, object);
	world_mark(world, service, now);
	return 0;
}

static void gone_endpoints(struct world *world, const char *ns, const char *name, uint64_t now)
{
	struct world_service *service = world_find(world, ns, name);

	if (!service || !service->endpoints)
		return;
	object_free(service->endpoints);
	service->endpoints = NULL;
	world_mark(world, service, now);
}

static struct world_slice *slice_find(const struct world *world, const char *ns, const char *name)
{
	struct world_slice *slice, key = { 0 };

	(void)strncpy(key.ns, ns, sizeof(key.ns) - 1);
	(void)strncpy(key.name, name, sizeof(key.name) - 1);
	HASH_FIND(hh, world->slices, key.ns, SLICE_KEY_LEN, slice);
	return slice;
}

static struct world_slice *slice_get(struct world *world, const char *ns, const char *name)
{
	struct world_slice *slice = slice_find(world, ns, name);

	if (slice)
		return slice;
	slice = calloc(1, sizeof(*slice));
	if (!slice)
		return NULL;
	(void)strncpy(slice->ns, ns, sizeof(slice->ns) - 1);
	(void)strncpy(slice->name, name, sizeof(slice->name) - 1);
	HASH_ADD(hh, world->slices, ns, SLICE_KEY_LEN, slice);
	if (slice->hh.tbl)
		return slice;
	free(slice);
	return NULL;
}

/* The place of a slice of that name among its Service's; n_slices: it has none. */
static size_t slice_place(const struct world_service *service, const char *name)
{
	size_t i;

	for (i = 0; i < service->n_slices; i++)
		if (!strcmp(service->slices[i]->meta.name, name))
			break;
	return i;
}

static void slice_take_out(struct world *world, struct world_slice *slice, uint64_t now)
{
	struct world_service *service = slice->service;
	size_t i;

	if (!service)
		return;
	i = slice_place(service, slice->name);
	if (i < service->n_slices) {
		object_free(service->slices[i]);
		service->slices[i] = service->slices[--service->n_slices];
	}
	slice->service = NULL;
	world_mark(world, service, now);
}

static int slice_room(struct world_service *service)
{
	size_t cap = service->cap_slices ? service->cap_slices * 2 : 1;
	struct object **grown;

	if (service->n_slices < service->cap_slices)
		return 0;
	grown = realloc(service->slices, cap * sizeof(struct object *));
	if (!grown)
		return -ENOMEM;
	service->slices = grown;
	service->cap_slices = cap;
	return 0;
}

static int put_slice(struct world *world, struct object *object, uint64_t now)
{
	const char *owner = labels_get(&object->meta.labels, LABEL_SERVICE_NAME);
	struct world_slice *slice = slice_get(world, object->meta.ns, object->meta.name);
	struct world_service *service;
	size_t i;

	/* One of no Service is kept by name only, so that its Service may come later. */
	service = owner && slice ? service_get(world, object->meta.ns, owner) : NULL;
	if (!slice || (owner && !service) || (service && slice_room(service)))
		return -ENOMEM;
	if (slice->service && slice->service != service)
		slice_take_out(world, slice, now);
	slice->service = service;
	if (!service)
		return 0;
	i = slice_place(service, object->meta.name);
	if (i < service->n_slices)
		object_free(service->slices[i]);
	else
		service->n_slices++;
	service->slices[i] = object_ref(object);
	note_trigger(service, object);
	world_mark(world, service, now);
	return 0;
}

static void gone_slice(struct world *world, const char *ns, const char *name, uint64_t now)
{
	struct world_slice *slice = slice_find(world, ns, name);

	if (!slice)
		return;
	slice_take_out(world, slice, now);
	HASH_DEL(world->slices, slice);
	free(slice);
}

/* ---- Pods and Nodes -------------------------------------------------------------- */

/* Which Services a Pod is behind is for resolve() to say. */
static void mark_namespace(struct world *world, const char *ns, uint64_t now)
{
	struct world_service *service;

	for (service = world->services; service; service = service->hh.next)
		if (!service->stored && !strcmp(service->ns, ns))
			world_mark(world, service, now);
}

static int put_pod(struct world *world, struct object *object, uint64_t now)
{
	mark_namespace(world, object->meta.ns, now);
	return object_set_put(&world->pods, object_ref(object));
}

static bool same_addrs(const struct sh_addr *a, size_t n_a, const struct sh_addr *b, size_t n_b)
{
	return n_a == n_b && (!n_a || !memcmp(a, b, n_a * sizeof(*a)));
}

/* Of what resolving looks at. A kubelet tells of itself all the time. */
static bool same_node(const struct object *a, const struct object *b)
{
	const struct node *x = &a->node, *y = &b->node;

	return same_addrs(x->internal_ips, x->n_internal_ips, y->internal_ips, y->n_internal_ips) &&
	       same_addrs(x->external_ips, x->n_external_ips, y->external_ips, y->n_external_ips) &&
	       !strcmp(x->zone, y->zone);
}

static int put_node(struct world *world, struct object *object)
{
	const struct object *before =
		object_set_find(&world->nodes, KIND_NODE, "", object->meta.name);

	if (!before || !same_node(before, object))
		world->all_dirty = true;
	return object_set_put(&world->nodes, object_ref(object));
}

/* Whoever keeps the object takes a reference of its own. */
static int put(struct world *world, struct object *object, uint64_t now)
{
	switch (object->kind) {
	case KIND_SERVICE:
		return put_service(world, object, now);
	case KIND_ENDPOINTS:
		return put_endpoints(world, object, now);
	case KIND_ENDPOINT_SLICE:
		return put_slice(world, object, now);
	case KIND_POD:
		return put_pod(world, object, now);
	case KIND_NODE:
		return put_node(world, object);
	default:
		return 0;
	}
}

int world_put(struct world *world, struct object *object, uint64_t now)
{
	int ret = put(world, object, now);

	object_free(object);
	return ret;
}

int world_gone(struct world *world, enum kind kind, const char *ns, const char *name, uint64_t now)
{
	switch (kind) {
	case KIND_SERVICE:
		gone_service(world, ns, name, now);
		return 0;
	case KIND_ENDPOINTS:
		gone_endpoints(world, ns, name, now);
		return 0;
	case KIND_ENDPOINT_SLICE:
		gone_slice(world, ns, name, now);
		return 0;
	case KIND_POD:
		if (!object_set_remove(&world->pods, KIND_POD, ns, name))
			mark_namespace(world, ns, now);
		return 0;
	case KIND_NODE:
		if (!object_set_remove(&world->nodes, KIND_NODE, "", name))
			world->all_dirty = true;
		return 0;
	default:
		return 0;
	}
}

void world_done(struct world *world)
{
	struct world_service *service, *next_service;
	struct world_slice *slice, *next_slice;

	HASH_ITER(hh, world->services, service, next_service) {
		HASH_DEL(world->services, service);
		service_free(service);
	}
	HASH_ITER(hh, world->slices, slice, next_slice) {
		HASH_DEL(world->slices, slice);
		free(slice);
	}
	object_set_done(&world->pods);
	object_set_done(&world->nodes);
	*world = (struct world){ 0 };
}

/* ---- sets ------------------------------------------------------------------------- */

static void add(struct object_set *set, struct object *object)
{
	if (object)
		set->v[set->n++] = object_ref(object);
}

static void add_service(struct object_set *set, const struct world_service *service)
{
	size_t i;

	add(set, service->service);
	add(set, service->endpoints);
	for (i = 0; i < service->n_slices; i++)
		add(set, service->slices[i]);
}

static size_t count(const struct world_service *service)
{
	return 2 + service->n_slices;
}

static int by_name(const void *a, const void *b)
{
	return object_cmp(*(struct object *const *)a, *(struct object *const *)b);
}

static int set_begin(struct object_set *set, size_t n)
{
	*set = (struct object_set){ .v = calloc(n + 1, sizeof(*set->v)), .cap = n + 1 };
	return set->v ? 0 : -ENOMEM;
}

/* Sorted once: one by one in their order of arrival would move each many times. */
static void set_end(struct object_set *set)
{
	qsort(set->v, set->n, sizeof(*set->v), by_name);
}

static bool has_namespace(struct world_service *const *services, size_t n, const char *ns)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(services[i]->ns, ns))
			return true;
	return false;
}

int world_objects_of(const struct world *world, struct world_service *const *services, size_t n,
		     struct object_set *out)
{
	size_t most = world->pods.n + world->nodes.n, i;

	for (i = 0; i < n; i++)
		most += count(services[i]);
	if (set_begin(out, most))
		return -ENOMEM;
	for (i = 0; i < n; i++)
		add_service(out, services[i]);
	for (i = 0; i < world->pods.n; i++)
		if (has_namespace(services, n, world->pods.v[i]->meta.ns))
			add(out, world->pods.v[i]);
	for (i = 0; i < world->nodes.n; i++)
		add(out, world->nodes.v[i]);
	set_end(out);
	return 0;
}

int world_objects(const struct world *world, bool accepted, struct object_set *out)
{
	size_t most = world->pods.n + world->nodes.n, i;
	const struct world_service *service;

	for (service = world->services; service; service = service->hh.next)
		most += count(service);
	if (set_begin(out, most))
		return -ENOMEM;
	for (service = world->services; service; service = service->hh.next)
		if (!accepted || !service->refused)
			add_service(out, service);
	for (i = 0; i < world->pods.n; i++)
		add(out, world->pods.v[i]);
	for (i = 0; i < world->nodes.n; i++)
		add(out, world->nodes.v[i]);
	set_end(out);
	return 0;
}
