// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int inv_name_cmp(const void *a, const void *b)
{
	const struct inv_name *x = a, *y = b;
	int cmp = strcmp(x->ns, y->ns);

	return cmp ? cmp : strcmp(x->name, y->name);
}

static bool is_chosen(const struct inv_filter *filter, const struct sh_meta_service *service)
{
	const struct inv_name name = { service->ns, service->name };

	return filter->n_chosen &&
	       bsearch(&name, filter->chosen, filter->n_chosen, sizeof(name), inv_name_cmp) != NULL;
}

bool inv_filter_takes(const struct inv_filter *filter, const struct sh_meta_service *service)
{
	size_t i;

	if (filter->ns && strcmp(filter->ns, service->ns) != 0)
		return false;
	if (filter->chosen_only && !is_chosen(filter, service))
		return false;
	for (i = 0; i < filter->n_names; i++) {
		if (!strcmp(filter->names[i], service->name))
			return true;
	}
	return !filter->n_names;
}

bool inv_backend_serves(const struct inv_backend *backend)
{
	return backend_serves(backend->flags, backend->weight);
}

const char *inv_backend_state(const struct inv_backend *backend)
{
	return backend_state_name(backend->flags, backend->weight);
}

/* Room for one more of @size bytes each. @return the array, or NULL: no memory, the old one stays */
static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 4;
	void *larger;

	if (n < *cap)
		return array;
	larger = reallocarray(array, more, size);
	if (larger)
		*cap = more;
	return larger;
}

static struct inv_port *port_of(struct inventory *inv, uint32_t id,
				const struct sh_meta_service *meta)
{
	struct inv_port *port;

	HASH_FIND(hh, inv->by_id, &id, sizeof(id), port);
	if (port)
		return port;
	port = arena_alloc(inv->arena, sizeof(*port));
	if (!port)
		return NULL;
	port->id = id;
	port->meta = *meta;
	HASH_ADD(hh, inv->by_id, id, sizeof(port->id), port);
	return port->hh.tbl ? port : NULL; /* NULL: no memory, it was not added */
}

static int take_frontend(const struct frontend_view *view, void *arg)
{
	struct inventory *inv = arg;
	struct inv_frontend *array;
	struct inv_port *port;

	/* The entry that rejects a known ClusterIP's other ports belongs to no port. */
	if (view->value.flags & SH_FE_ADDRESS_ONLY || !inv_filter_takes(inv->filter, view->service))
		return 0;
	port = port_of(inv, view->value.service, view->service);
	if (!port)
		return -ENOMEM;
	array = grown(port->frontends, port->n_frontends, &port->cap_frontends, sizeof(*array));
	if (!array)
		return -ENOMEM;
	port->frontends = array;
	port->algorithm = view->value.algorithm;
	port->cluster = view->value.cluster;
	port->local = view->value.local;
	array[port->n_frontends++] = (struct inv_frontend){
		.kind = view->kind,
		.addr = view->addr,
		.port = view->port,
	};
	return 0;
}

static int take_backend(const struct backend_view *view, void *arg)
{
	const struct sh_backend *backend = view->backend;
	struct inventory *inv = arg;
	struct inv_backend *array;
	struct inv_port *port;

	if (!inv_filter_takes(inv->filter, view->service))
		return 0;
	port = port_of(inv, backend->service, view->service);
	if (!port)
		return -ENOMEM;
	array = grown(port->backends, port->n_backends, &port->cap_backends, sizeof(*array));
	if (!array)
		return -ENOMEM;
	port->backends = array;
	array += port->n_backends;
	*array = (struct inv_backend){
		.id = backend->id,
		.addr = backend->addr,
		.port = backend->port,
		.flags = backend->flags,
		.weight = backend->weight,
		.live = backend->live,
		.connections = view->connections,
		.packets = view->packets,
		.bytes = view->bytes,
		.pod = arena_strdup(inv->arena, view->pod),
		.node = arena_strdup(inv->arena, view->node),
	};
	port->n_backends++;
	return array->pod && array->node ? 0 : -ENOMEM;
}

static int port_cmp(const void *a, const void *b)
{
	const struct sh_meta_service *x = &(*(struct inv_port *const *)a)->meta;
	const struct sh_meta_service *y = &(*(struct inv_port *const *)b)->meta;
	int cmp = strcmp(x->ns, y->ns);

	if (!cmp)
		cmp = strcmp(x->name, y->name);
	if (!cmp)
		cmp = (int)x->port - (int)y->port;
	if (!cmp)
		cmp = (int)x->proto - (int)y->proto;
	return cmp ? cmp : (int)x->family - (int)y->family;
}

static int frontend_cmp(const void *a, const void *b)
{
	const struct inv_frontend *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : addr_cmp(&x->addr, &y->addr);
}

static int backend_cmp(const void *a, const void *b)
{
	const struct inv_backend *x = a, *y = b;
	int cmp = addr_cmp(&x->addr, &y->addr);

	return cmp ? cmp : (int)ntohs(x->port) - (int)ntohs(y->port);
}

static int sort_ports(struct inventory *inv)
{
	struct inv_port *port, *next;

	inv->ports = arena_array(inv->arena, HASH_COUNT(inv->by_id), sizeof(struct inv_port *));
	if (!inv->ports)
		return -ENOMEM;
	HASH_ITER(hh, inv->by_id, port, next) {
		if (port->n_frontends)
			qsort(port->frontends, port->n_frontends, sizeof(*port->frontends),
			      frontend_cmp);
		if (port->n_backends)
			qsort(port->backends, port->n_backends, sizeof(*port->backends),
			      backend_cmp);
		inv->ports[inv->n_ports++] = port;
	}
	if (inv->n_ports)
		qsort(inv->ports, inv->n_ports, sizeof(struct inv_port *), port_cmp);
	return 0;
}

typedef int inventory_backends(struct dataplane *dp,
			       int (*each)(const struct backend_view *, void *), void *arg,
			       struct err *err);

static int load(struct inventory *inv, struct dataplane *dp, inventory_backends *backends,
		struct err *err)
{
	int ret = -ENOMEM;

	inv->arena = arena_new();
	if (!inv->arena)
		goto out;
	ret = dataplane_frontends(dp, take_frontend, inv, err);
	if (!ret)
		ret = backends(dp, take_backend, inv, err);
	if (!ret)
		ret = sort_ports(inv);
out:
	/* Of the failures only these are this file's own; the others have been explained. */
	if (ret == -ENOMEM)
		(void)err_system(err, ret, "read the kernel's Services");
	if (ret)
		inventory_done(inv);
	return ret;
}

int inventory_load(struct inventory *inv, struct dataplane *dp, const struct inv_filter *filter,
		   struct err *err)
{
	*inv = (struct inventory){ .filter = filter };
	return load(inv, dp, dataplane_backends, err);
}

int inventory_load_brief(struct inventory *inv, struct dataplane *dp,
			 const struct inv_filter *filter, struct err *err)
{
	*inv = (struct inventory){ .filter = filter };
	return load(inv, dp, dataplane_endpoints, err);
}

void inventory_done(struct inventory *inv)
{
	struct inv_port *port, *next;

	HASH_ITER(hh, inv->by_id, port, next) {
		HASH_DEL(inv->by_id, port);
		free(port->frontends);
		free(port->backends);
	}
	arena_free(inv->arena);
	*inv = (struct inventory){ 0 };
}

size_t inventory_service_end(const struct inventory *inv, size_t from)
{
	const struct sh_meta_service *first = &inv->ports[from]->meta;
	size_t i;

	for (i = from + 1; i < inv->n_ports; i++) {
		const struct sh_meta_service *meta = &inv->ports[i]->meta;

		if (strcmp(first->ns, meta->ns) != 0 || strcmp(first->name, meta->name) != 0)
			break;
	}
	return i;
}
