/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the maps hold -> the publisher's picture. A fresh instance is an empty one. */
#include "dataplane/publisher.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/load.h"

uint64_t members_hash(const struct backend_entry *backends, size_t n, uint16_t in_flag)
{
	uint64_t hash = 0, one;
	size_t i;

	/* A sum, so that their order does not matter. */
	for (i = 0; i < n; i++) {
		if (!(backends[i].flags & in_flag))
			continue;
		one = (uint64_t)backends[i].id << 32 | backends[i].weight;
		one = (one ^ one >> 29) * SH_FILTER_K1;
		hash += (one ^ one >> 32) * SH_FILTER_K2;
	}
	return hash;
}

/* @table: where uthash says that it put @entry; NULL: it had no memory. */
static int hash_added(void *entry, const void *table)
{
	if (table)
		return 0;
	free(entry);
	return -ENOMEM;
}

static int adopt_service(struct publisher *publisher, uint32_t id, const struct sh_meta *meta)
{
	const struct group_key key = group_key(meta->service.ns, meta->service.name);
	struct service_group *group = group_get(publisher, &key);
	struct service_entry *entry = group ? calloc(1, sizeof(*entry)) : NULL;

	if (!entry)
		return -ENOMEM;
	entry->id = id;
	entry->meta = meta->service;
	DL_APPEND(group->services, entry);
	if (id >= publisher->next_service)
		publisher->next_service = id + 1;
	return 0;
}

static int adopt_node(struct publisher *publisher, uint32_t id, const struct sh_meta *meta)
{
	struct node_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->id = (uint16_t)id;
	memcpy(entry->name, meta->name, sizeof(entry->name) - 1);
	HASH_ADD_STR(publisher->nodes, name, entry);
	if (id >= publisher->next_node)
		publisher->next_node = id + 1;
	return hash_added(entry, entry->hh.tbl);
}

/* Walk a hash map. @each gets the key and the value. */
static int map_walk(int fd, size_t key_size, size_t value_size,
		    int (*each)(void *arg, const void *key, const void *value), void *arg)
{
	char key[64], next[64], value[512];
	const void *from = NULL;
	int ret = 0;

	if (key_size > sizeof(key) || value_size > sizeof(value))
		return -EINVAL;
	while (!ret && !bpf_map_get_next_key(fd, from, next)) {
		memcpy(key, next, key_size);
		from = key;
		if (!bpf_map_lookup_elem(fd, key, value))
			ret = each(arg, key, value);
	}
	return ret;
}

static int adopt_meta(void *arg, const void *key, const void *value)
{
	const struct sh_meta_key *meta_key = key;

	if (meta_key->kind == SH_META_SERVICE)
		return adopt_service(arg, meta_key->id, value);
	if (meta_key->kind == SH_META_NODE)
		return adopt_node(arg, meta_key->id, value);
	return 0;
}

static int adopt_nodeaddr(void *arg, const void *key, const void *value)
{
	struct nodeaddr_entry *entry = calloc(1, sizeof(*entry));
	struct publisher *publisher = arg;

	if (!entry)
		return -ENOMEM;
	memcpy(&entry->addr, key, sizeof(entry->addr));
	entry->flags = ((const struct sh_nodeaddr *)value)->flags;
	HASH_ADD(hh, publisher->nodeaddrs, addr, sizeof(entry->addr), entry);
	if (!entry->hh.tbl)
		return hash_added(entry, NULL);
	filter_node(publisher->filter, &entry->addr, true);
	return 0;
}

/* Services by id, for what names them so. */
struct by_id {
	struct {
		struct service_entry *service;
		struct service_group *group;
	} *v;
	uint32_t n;
	struct publisher *publisher;
};

static int by_id_make(struct by_id *by_id, struct publisher *publisher)
{
	struct service_group *group;
	struct service_entry *entry;

	by_id->publisher = publisher;
	by_id->n = publisher->next_service;
	by_id->v = calloc(by_id->n, sizeof(*by_id->v));
	if (!by_id->v)
		return -ENOMEM;
	for (group = publisher->groups; group; group = group->hh.next) {
		DL_FOREACH(group->services, entry) {
			by_id->v[entry->id].service = entry;
			by_id->v[entry->id].group = group;
		}
	}
	return 0;
}

static struct service_entry *service_of(const struct by_id *by_id, uint32_t id)
{
	return id < by_id->n ? by_id->v[id].service : NULL;
}

/* Whose an entry of that service id is; the next publish takes out strays. */
static struct service_group *group_of(const struct by_id *by_id, uint32_t id)
{
	return service_of(by_id, id) ? by_id->v[id].group : &by_id->publisher->strays;
}

static int adopt_frontend(void *arg, const void *key, const void *value)
{
	const struct by_id *by_id = arg;
	const struct sh_frontend *frontend = value;
	struct sh_frontend copy;
	struct sh_frontend_key at;

	memcpy(&copy, frontend, sizeof(copy));
	memcpy(&at, key, sizeof(at));
	return frontend_adopt(by_id->publisher, group_of(by_id, copy.service), &at, &copy);
}

static int adopt_srcrange(void *arg, const void *key, const void *value)
{
	struct srcrange_entry *entry = calloc(1, sizeof(*entry));
	const struct by_id *by_id = arg;
	struct service_group *group;

	if (!entry)
		return -ENOMEM;
	memcpy(&entry->key, key, sizeof(entry->key));
	group = group_of(by_id, entry->key.service);
	DL_APPEND(group->srcranges, entry);
	return 0;
}

static int adopt_backend(struct publisher *publisher, struct service_entry *service,
			 const struct sh_backend *line)
{
	struct backend_entry *grown;

	/* Room doubles: the count is a power of two when it is full. */
	if (!(service->n_backends & (service->n_backends - 1))) {
		grown = realloc(service->backends,
				(service->n_backends ? service->n_backends * 2 : 1) *
					sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		service->backends = grown;
	}
	service->backends[service->n_backends++] = (struct backend_entry){
		.addr = line->addr,
		.port = line->port,
		.weight = line->weight,
		.flags = line->flags,
		.node = line->node,
		.id = line->id,
	};
	filter_backend(publisher->filter, &line->addr, line->port, true);
	return 0;
}

/* Lines of the array; what belongs to no Service that is known is free. */
static int adopt_backends(struct dataplane *dp, struct publisher *publisher,
			  const struct by_id *by_id)
{
	struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	uint32_t index, max = dp->map_max[DP_MAP_BACKENDS];
	struct service_entry *service;
	int ret = 0;

	publisher->free_backends = malloc(max * sizeof(uint32_t));
	publisher->gone = calloc(max / 8 + 1, 1);
	if (!publisher->free_backends || !publisher->gone)
		return -ENOMEM;
	for (index = max - 1; index > 0 && !ret; index--) {
		service = lines[index].id ? service_of(by_id, lines[index].service) : NULL;
		if (service) {
			ret = adopt_backend(publisher, service, &lines[index]);
			continue;
		}
		__atomic_store_n(&lines[index].id, 0, __ATOMIC_RELEASE);
		publisher->free_backends[publisher->n_free_backends++] = index;
	}
	return ret;
}

/*
 * A publisher that was killed between two frontends of a Service leaves them
 * with different tables. The first one found counts as the Service's; the
 * other's slots are not given to anybody else as long as this process lives.
 */
static int adopt_table(struct slots *slots, struct sh_table *own, const struct sh_table *found)
{
	int ret;

	if (!found->size || (own->size && own->base == found->base))
		return 0;
	ret = slots_take_at(slots, found);
	if (!ret && !own->size)
		*own = *found;
	return ret == -EEXIST ? 0 : ret;
}

static int adopt_tables(struct publisher *publisher, const struct by_id *by_id)
{
	struct frontend_entry *frontend;
	struct service_entry *service;
	uint32_t id;
	int ret = 0;

	for (frontend = publisher->frontends; frontend && !ret; frontend = frontend->hh.next) {
		service = service_of(by_id, frontend->value.service);
		if (!service)
			continue;
		ret = adopt_table(&publisher->slots, &service->cluster, &frontend->value.cluster);
		if (!ret)
			ret = adopt_table(&publisher->slots, &service->local,
					  &frontend->value.local);
	}
	for (id = 0; id < by_id->n; id++) {
		service = by_id->v[id].service;
		if (!service)
			continue;
		/* Without a table, as after a change of its layout, it is to be made. */
		if (service->cluster.size)
			service->cluster_members = members_hash(
				service->backends, service->n_backends, SH_BE_IN_CLUSTER);
		service->local_members =
			members_hash(service->backends, service->n_backends, SH_BE_IN_LOCAL);
	}
	return ret;
}

static int adopt_all(struct dataplane *dp, struct publisher *publisher)
{
	struct by_id by_id = { 0 };
	int ret;

	ret = map_walk(dp->map_fd[DP_MAP_META], sizeof(struct sh_meta_key), sizeof(struct sh_meta),
		       adopt_meta, publisher);
	if (!ret)
		ret = by_id_make(&by_id, publisher);
	if (!ret)
		ret = map_walk(dp->map_fd[DP_MAP_FRONTENDS], sizeof(struct sh_frontend_key),
			       sizeof(struct sh_frontend), adopt_frontend, &by_id);
	if (!ret)
		ret = map_walk(dp->map_fd[DP_MAP_NODEADDRS], sizeof(struct sh_addr),
			       sizeof(struct sh_nodeaddr), adopt_nodeaddr, publisher);
	if (!ret)
		ret = map_walk(dp->map_fd[DP_MAP_SRCRANGES], sizeof(struct sh_srcrange_key), 1,
			       adopt_srcrange, &by_id);
	if (!ret)
		ret = adopt_backends(dp, publisher, &by_id);
	if (!ret)
		ret = adopt_tables(publisher, &by_id);
	free(by_id.v);
	if (!ret)
		ret = frontends_settle(dp, publisher);
	if (!ret)
		filter_settle(publisher->filter);
	return ret;
}

int publisher_new(struct dataplane *dp, struct err *err)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));
	const struct sh_control *control;
	int ret = -ENOMEM;

	if (!publisher)
		return err_system(err, ret, "read back %s", dp->dir);
	dp->publisher = publisher;
	control = dp->mem[DP_MAP_CONTROL];
	publisher->next_service = control->next_service ? control->next_service : 1;
	publisher->next_node = 1;
	publisher->grace_outer = publisher->grace_inner = -1;
	publisher->filter = filter_new(dp->mem[DP_MAP_FILTER]);
	if (publisher->filter)
		ret = slots_init(&publisher->slots, dp->map_max[DP_MAP_SLOTS] * SH_SLOTS_PER_LINE);
	if (!ret)
		ret = adopt_all(dp, publisher);
	return ret ? err_system(err, ret, "read back %s", dp->dir) : 0;
}

void publisher_free(struct publisher *publisher)
{
	struct nodeaddr_entry *nodeaddr, *next_nodeaddr;
	struct node_entry *node, *next_node;

	if (!publisher)
		return;
	groups_free(publisher);
	HASH_ITER(hh, publisher->nodeaddrs, nodeaddr, next_nodeaddr) {
		HASH_DEL(publisher->nodeaddrs, nodeaddr);
		free(nodeaddr);
	}
	HASH_ITER(hh, publisher->nodes, node, next_node) {
		HASH_DEL(publisher->nodes, node);
		free(node);
	}
	slots_done(&publisher->slots);
	filter_free(publisher->filter);
	free(publisher->free_backends);
	free(publisher->gone);
	sweep_done(&publisher->sweep);
	retired_done(&publisher->waiting);
	retired_done(&publisher->in_hand);
	grace_done(publisher);
	free(publisher);
}
