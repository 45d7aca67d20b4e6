// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "top/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"

struct top_port {
	uint32_t id;
	uint32_t named;
	struct top_service *service;
	UT_hash_handle hh;
};

/* As it stands in a struct top_service, zeroes behind the names included. */
struct service_key {
	char ns[SH_NAME_MAX + 1], name[SH_NAME_MAX + 1];
};
_Static_assert(offsetof(struct top_service, name) == sizeof(((struct service_key *)0)->ns),
	       "a Service is found by its first two fields");

void top_init(struct top *top)
{
	*top = (struct top){ 0 };
}

static void backend_free(struct top_backend *backend)
{
	if (!backend)
		return;
	free(backend->pod);
	free(backend->node);
	free(backend);
}

void top_done(struct top *top)
{
	struct top_backend *backend, *next_backend;
	struct top_service *service, *next_service;
	struct top_port *port, *next_port;

	HASH_ITER(hh, top->backends, backend, next_backend) {
		HASH_DEL(top->backends, backend);
		backend_free(backend);
	}
	HASH_ITER(hh, top->ports, port, next_port) {
		HASH_DEL(top->ports, port);
		free(port);
	}
	HASH_ITER(hh, top->services, service, next_service) {
		HASH_DEL(top->services, service);
		free(service);
	}
	top_init(top);
}

void top_forget(struct top *top)
{
	struct top_backend *backend;
	struct top_service *service;

	for (backend = top->backends; backend; backend = backend->hh.next)
		backend->counted = 0;
	for (service = top->services; service; service = service->hh.next)
		service->counted = false;
	top->at_ns = 0;
}

/* ---- names -------------------------------------------------------------------------- */

static struct top_service *find_service(const struct top *top, const char *ns, const char *name)
{
	struct service_key key = { 0 };
	struct top_service *service;

	(void)snprintf(key.ns, sizeof(key.ns), "%s", ns);
	(void)snprintf(key.name, sizeof(key.name), "%s", name);
	HASH_FIND(hh, top->services, &key, sizeof(key), service);
	return service;
}

const struct top_service *top_find(const struct top *top, const char *ns, const char *name)
{
	return find_service(top, ns, name);
}

void top_names_begin(struct top *top)
{
	struct top_service *service;

	top->naming++;
	for (service = top->services; service; service = service->hh.next) {
		service->backends = NULL;
		service->n_backends = 0;
	}
}

static struct top_service *service_of(struct top *top, const struct sh_meta_service *meta)
{
	struct top_service *service = find_service(top, meta->ns, meta->name);

	if (!service) {
		service = calloc(1, sizeof(*service));
		if (!service)
			return NULL;
		(void)snprintf(service->ns, sizeof(service->ns), "%s", meta->ns);
		(void)snprintf(service->name, sizeof(service->name), "%s", meta->name);
		HASH_ADD(hh, top->services, ns, sizeof(struct service_key), service);
		if (!service->hh.tbl) { /* no memory, it was not added */
			free(service);
			return NULL;
		}
	}
	service->named = top->naming;
	return service;
}

int top_name_service(struct top *top, uint32_t id, const struct sh_meta_service *meta)
{
	struct top_service *service = service_of(top, meta);
	struct top_port *port;

	if (!service)
		return -ENOMEM;
	HASH_FIND(hh, top->ports, &id, sizeof(id), port);
	if (!port) {
		port = calloc(1, sizeof(*port));
		if (!port)
			return -ENOMEM;
		port->id = id;
		HASH_ADD(hh, top->ports, id, sizeof(port->id), port);
		if (!port->hh.tbl) {
			free(port);
			return -ENOMEM;
		}
	}
	port->service = service;
	port->named = top->naming;
	return 0;
}

static struct top_backend *backend_new(struct top *top, const struct top_backend_name *name)
{
	struct top_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return NULL;
	backend->id = name->line->id;
	backend->addr = name->line->addr;
	backend->port = name->line->port;
	backend->pod = strdup(name->pod);
	backend->node = strdup(name->node);
	if (backend->pod && backend->node) {
		HASH_ADD(hh, top->backends, id, sizeof(backend->id), backend);
		if (backend->hh.tbl)
			return backend;
	}
	backend_free(backend);
	return NULL;
}

static struct top_backend *find_backend(const struct top *top, uint32_t id)
{
	struct top_backend *backend;

	HASH_FIND(hh, top->backends, &id, sizeof(id), backend);
	return backend;
}

int top_name_backend(struct top *top, const struct top_backend_name *name)
{
	struct top_backend *backend = find_backend(top, name->line->id);

	/* An instance made anew gives the same ids to others. */
	if (backend &&
	    (!addr_eq(&backend->addr, &name->line->addr) || backend->port != name->line->port ||
	     strcmp(backend->pod, name->pod) != 0 || strcmp(backend->node, name->node) != 0)) {
		HASH_DEL(top->backends, backend);
		backend_free(backend);
		backend = NULL;
	}
	if (!backend)
		backend = backend_new(top, name);
	if (!backend || top_name_service(top, name->line->service, name->service))
		return -ENOMEM;
	backend->service = find_service(top, name->service->ns, name->service->name);
	backend->service_port = name->service->port;
	backend->proto = (proto_t)name->service->proto;
	backend->flags = name->line->flags;
	backend->weight = name->line->weight;
	if (backend->named != top->naming) {
		backend->next = backend->service->backends;
		backend->service->backends = backend;
		backend->service->n_backends++;
	}
	backend->named = top->naming;
	return 0;
}

void top_names_end(struct top *top)
{
	struct top_backend *backend, *next_backend;
	struct top_service *service, *next_service;
	struct top_port *port, *next_port;

	HASH_ITER(hh, top->backends, backend, next_backend) {
		if (backend->named == top->naming)
			continue;
		HASH_DEL(top->backends, backend);
		backend_free(backend);
	}
	HASH_ITER(hh, top->ports, port, next_port) {
		if (port->named == top->naming)
			continue;
		HASH_DEL(top->ports, port);
		free(port);
	}
	HASH_ITER(hh, top->services, service, next_service) {
		if (service->named == top->naming)
			continue;
		HASH_DEL(top->services, service);
		free(service);
	}
	top->stale = false;
}

/* ---- a sample -------------------------------------------------------------------------- */

void top_sample_begin(struct top *top, uint64_t now_ns)
{
	struct top_backend *backend;
	struct top_service *service;

	top->seconds = top->at_ns && now_ns > top->at_ns ? (double)(now_ns - top->at_ns) / 1e9 : 0;
	top->at_ns = now_ns;
	top->sample++;
	top->total = (struct top_rates){ 0 };
	top->live = 0;
	memcpy(top->reasons_before, top->reasons, sizeof(top->reasons));
	memset(top->reasons, 0, sizeof(top->reasons));
	for (backend = top->backends; backend; backend = backend->hh.next) {
		backend->rates = (struct top_rates){ 0 };
		backend->live = 0;
	}
	for (service = top->services; service; service = service->hh.next) {
		service->rates = (struct top_rates){ 0 };
		service->n_serving = 0;
		service->live = 0;
		service->drops_before = service->drops;
		service->drops = 0;
	}
}

static double rate_of(const struct top *top, uint64_t before, uint64_t now)
{
	return now > before && top->seconds > 0 ? (double)(now - before) / top->seconds : 0;
}

static void add_rates(struct top_rates *to, const struct top_rates *from)
{
	to->connections += from->connections;
	to->packets += from->packets;
	to->bytes += from->bytes;
	to->drops += from->drops;
}

void top_count_backend(struct top *top, const struct top_count *count)
{
	struct top_backend *backend = find_backend(top, count->id);

	if (!backend) {
		top->stale = true;
		return;
	}
	if (backend->counted && backend->counted + 1 == top->sample) {
		backend->rates.connections = rate_of(top, backend->connections, count->connections);
		backend->rates.packets = rate_of(top, backend->packets, count->packets);
		backend->rates.bytes = rate_of(top, backend->bytes, count->bytes);
	}
	backend->flags = count->flags;
	backend->weight = count->weight;
	backend->live = count->live;
	backend->connections = count->connections;
	backend->packets = count->packets;
	backend->bytes = count->bytes;
	backend->counted = top->sample;
	backend->service->live += count->live;
	backend->service->n_serving += backend_serves(count->flags, count->weight);
	add_rates(&backend->service->rates, &backend->rates);
}

void top_count_drop(struct top *top, uint32_t service, enum sh_reason reason, uint64_t packets)
{
	struct top_port *port = NULL;

	if ((unsigned int)reason < SH_REASON_COUNT)
		top->reasons[reason] += packets;
	if (service)
		HASH_FIND(hh, top->ports, &service, sizeof(service), port);
	if (port)
		port->service->drops += packets;
}

void top_sample_end(struct top *top)
{
	struct top_service *service;
	unsigned int i;

	for (service = top->services; service; service = service->hh.next) {
		if (service->counted)
			service->rates.drops = rate_of(top, service->drops_before, service->drops);
		service->counted = true;
		add_rates(&top->total, &service->rates);
		top->live += service->live;
	}
	top->total.drops = 0; /* those of no Service too */
	for (i = 0; i < SH_REASON_COUNT; i++) {
		top->reason_rates[i] = rate_of(top, top->reasons_before[i], top->reasons[i]);
		top->total.drops += top->reason_rates[i];
	}
}
