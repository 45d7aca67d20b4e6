/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/maglev.h"

#define GENERATIONS (1u << (32 - SH_BACKEND_INDEX_BITS))

/* ---- backends ------------------------------------------------------------ */

static int backend_cmp(const void *a, const void *b)
{
	const struct backend_entry *x = a, *y = b;
	int order = addr_cmp(&x->addr, &y->addr);

	return order ? order : (int)ntohs(x->port) - (int)ntohs(y->port);
}

static uint16_t backend_flags(const struct want_backend *want)
{
	return (uint16_t)((want->local ? SH_BE_LOCAL : 0) |
			  (want->terminating ? SH_BE_TERMINATING : 0) |
			  (want->in_cluster ? SH_BE_IN_CLUSTER : 0) |
			  (want->in_local ? SH_BE_IN_LOCAL : 0));
}

/* The id of a node's name; 0 where it can't be kept: `get` shows none then. */
static uint16_t node_id(struct stage *stage, const char *name)
{
	struct publisher *publisher = stage->publisher;
	struct sh_meta_key key = { .kind = SH_META_NODE, .id = publisher->next_node };
	struct sh_meta meta = { 0 };
	struct node_entry *entry;

	if (!*name || strlen(name) >= sizeof(entry->name))
		return 0;
	HASH_FIND_STR(publisher->nodes, name, entry);
	if (entry)
		return entry->id;
	entry = publisher->next_node > UINT16_MAX ? NULL : calloc(1, sizeof(*entry));
	if (!entry)
		return 0;
	memcpy(meta.name, name, strlen(name));
	if (bpf_map_update_elem(stage->dp->map_fd[DP_MAP_META], &key, &meta, BPF_ANY)) {
		free(entry);
		return 0;
	}
	memcpy(entry->name, name, strlen(name));
	entry->id = (uint16_t)publisher->next_node++;
	HASH_ADD_STR(publisher->nodes, name, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return 0;
	}
	return entry->id;
}

static void backend_name(struct stage *stage, uint32_t id, const char *pod)
{
	struct sh_meta_key key = { .kind = SH_META_BACKEND, .id = id };
	struct sh_meta meta = { 0 };

	if (!*pod || strlen(pod) >= sizeof(meta.name))
		return;
	memcpy(meta.name, pod, strlen(pod));
	/* Only a name: without it `get backends` has an empty column. */
	(void)bpf_map_update_elem(stage->dp->map_fd[DP_MAP_META], &key, &meta, BPF_ANY);
}

static int backend_take(struct stage *stage, const struct staged *staged,
			struct backend_entry *entry, struct err *err)
{
	struct publisher *publisher = stage->publisher;
	struct sh_backend *line;
	uint32_t index;

	if (!publisher->n_free_backends)
		return err_system(err, -ENOSPC,
				  "Service %s/%s: more than %u backends (--max-backends)",
				  staged->want->ns, staged->want->name,
				  stage->dp->map_max[DP_MAP_BACKENDS] - 1);
	index = publisher->free_backends[--publisher->n_free_backends];
	line = backend_line(stage->dp, index);
	entry->id = index | (line->generation % GENERATIONS) << SH_BACKEND_INDEX_BITS;
	line->addr = entry->addr;
	line->port = entry->port;
	/* In no table yet. Whoever adopts us should we be killed now is to see that. */
	line->flags = entry->flags & (uint16_t)~(SH_BE_IN_CLUSTER | SH_BE_IN_LOCAL);
	line->weight = entry->weight;
	line->node = entry->node;
	line->service = staged->entry->id;
	line->live = 0;
	line->connections = line->packets = line->bytes = 0;
	__atomic_store_n(&line->id, entry->id, __ATOMIC_RELEASE);
	filter_backend(publisher->filter, &entry->addr, entry->port, true);
	return 0;
}

void backend_release(struct dataplane *dp, uint32_t id)
{
	struct sh_meta_key key = { .kind = SH_META_BACKEND, .id = id };
	struct publisher *publisher = dp->publisher;
	struct sh_backend *line = backend_line(dp, id);

	filter_backend(publisher->filter, &line->addr, line->port, false);
	(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_META], &key);
	__atomic_store_n(&line->id, 0, __ATOMIC_RELEASE);
	line->generation = SH_BACKEND_GENERATION(id) + 1;
	publisher->free_backends[publisher->n_free_backends++] = SH_BACKEND_INDEX(id);
}

/* Both lists are sorted: walk them side by side. What is in force keeps its id. */
static int stage_backends(struct stage *stage, struct staged *staged, struct err *err)
{
	const struct want_service *want = staged->want;
	struct service_entry *entry = staged->entry;
	struct backend_entry *now, *old;
	size_t i, j = 0;
	int ret, order = 0;

	staged->backends = calloc(want->n_backends + 1, sizeof(*staged->backends));
	if (!staged->backends)
		return err_system(err, -ENOMEM, "Service %s/%s", want->ns, want->name);
	if (entry->n_backends)
		qsort(entry->backends, entry->n_backends, sizeof(*entry->backends), backend_cmp);
	for (i = 0; i < want->n_backends; i++) {
		now = &staged->backends[i];
		now->addr = want->backends[i].addr;
		now->port = want->backends[i].port;
		now->weight = want->backends[i].weight;
		now->flags = backend_flags(&want->backends[i]);
		now->node = node_id(stage, want->backends[i].node);
		while (j < entry->n_backends && (order = backend_cmp(&entry->backends[j], now)) < 0)
			j++;
		if (j < entry->n_backends && !order) {
			old = &entry->backends[j++];
			old->keep = true;
			now->id = old->id;
			staged->n_changed += old->flags != now->flags ||
					     old->weight != now->weight || old->node != now->node;
		} else {
			ret = backend_take(stage, staged, now, err);
			if (ret)
				return ret;
			backend_name(stage, now->id, want->backends[i].pod);
			staged->n_added++;
		}
		staged->n_backends++;
	}
	return 0;
}

/* ---- tables ---------------------------------------------------------------- */

static void slot_write(struct dataplane *dp, uint32_t slot, uint32_t id)
{
	struct sh_slot_line *lines = dp->mem[DP_MAP_SLOTS];

	__atomic_store_n(&lines[slot / SH_SLOTS_PER_LINE].backend[slot % SH_SLOTS_PER_LINE], id,
			 __ATOMIC_RELAXED);
}

static uint64_t backend_key(const struct backend_entry *backend)
{
	unsigned char bytes[sizeof(backend->addr) + sizeof(backend->port)];

	memcpy(bytes, &backend->addr, sizeof(backend->addr));
	memcpy(bytes + sizeof(backend->addr), &backend->port, sizeof(backend->port));
	return maglev_hash(bytes, sizeof(bytes), 0);
}

struct members {
	struct maglev_backend *v;
	uint32_t *ids;
	size_t n;
};

static int members_make(struct members *members, const struct staged *staged, uint16_t in_flag)
{
	const struct backend_entry *backend;
	size_t i;

	members->v = calloc(staged->n_backends + 1, sizeof(*members->v));
	members->ids = calloc(staged->n_backends + 1, sizeof(*members->ids));
	if (!members->v || !members->ids)
		return -ENOMEM;
	for (i = 0; i < staged->n_backends; i++) {
		backend = &staged->backends[i];
		if (!(backend->flags & in_flag) || !backend->weight)
			continue;
		members->v[members->n] = (struct maglev_backend){
			.key = backend_key(backend),
			.weight = backend->weight,
		};
		members->ids[members->n++] = backend->id;
	}
	return 0;
}

static int table_fill(struct stage *stage, const struct members *members, struct sh_table *table)
{
	uint32_t *slots, i;
	int ret;

	slots = calloc(table->size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	ret = maglev_fill(members->v, members->n, slots, table->size);
	for (i = 0; i < table->size && !ret; i++)
		slot_write(stage->dp, table->base + i, members->ids[slots[i]]);
	free(slots);
	return ret;
}

static int stage_table(struct stage *stage, const struct staged *staged, uint16_t in_flag,
		       struct sh_table *out, struct err *err)
{
	struct sh_table table = { 0 };
	struct members members = { 0 };
	int ret;

	ret = members_make(&members, staged, in_flag);
	if (ret)
		goto out;
	table.size = maglev_size_weighted(members.v, members.n);
	if (!table.size)
		goto out;
	ret = slots_take(&stage->publisher->slots, &table);
	if (ret)
		goto out;
	ret = table_fill(stage, &members, &table);
	if (ret)
		(void)slots_give(&stage->publisher->slots, &table);
out:
	free(members.v);
	free(members.ids);
	if (ret)
		return err_system(err, ret, "Service %s/%s: a table of %u slots (--max-slots %u)",
				  staged->want->ns, staged->want->name, table.size,
				  stage->dp->map_max[DP_MAP_SLOTS] * SH_SLOTS_PER_LINE);
	*out = table;
	return 0;
}

bool frontend_is_taken(const struct publisher *publisher, const struct want_service *want,
		       const struct want_frontend *frontend)
{
	const struct sh_frontend_key key = { .addr = frontend->addr,
					     .port = frontend->port,
					     .proto = want->proto };
	const struct frontend_entry *entry = frontend_find(publisher, &key);

	return entry && entry->group && !entry->group->in_scope &&
	       entry->group != &publisher->strays;
}

static bool wants_local(const struct stage *stage, const struct want_service *want)
{
	size_t i;

	for (i = 0; i < want->n_frontends; i++) {
		if (want->frontends[i].local_only &&
		    !frontend_is_taken(stage->publisher, want, &want->frontends[i]))
			return true;
	}
	return false;
}

/* A table is made anew only where its members are others now. */
static int stage_tables(struct stage *stage, struct staged *staged, struct err *err)
{
	const struct service_entry *entry = staged->entry;
	bool local = wants_local(stage, staged->want);
	int ret;

	staged->cluster_members =
		members_hash(staged->backends, staged->n_backends, SH_BE_IN_CLUSTER);
	staged->local_members = members_hash(staged->backends, staged->n_backends, SH_BE_IN_LOCAL);
	if (staged->cluster_members == entry->cluster_members) {
		staged->cluster = entry->cluster;
	} else {
		ret = stage_table(stage, staged, SH_BE_IN_CLUSTER, &staged->cluster, err);
		if (ret)
			return ret;
		staged->cluster_is_new = true;
	}
	if (local && entry->local.size && staged->local_members == entry->local_members) {
		staged->local = entry->local;
	} else if (local) {
		ret = stage_table(stage, staged, SH_BE_IN_LOCAL, &staged->local, err);
		if (ret)
			return ret;
		staged->local_is_new = true;
	}
	return 0;
}

/* ---- Services ---------------------------------------------------------------- */

static void service_describe(struct sh_meta_service *meta, const struct want_service *want)
{
	memset(meta, 0, sizeof(*meta));
	(void)strncpy(meta->ns, want->ns, sizeof(meta->ns) - 1);
	(void)strncpy(meta->name, want->name, sizeof(meta->name) - 1);
	(void)strncpy(meta->port_name, want->port_name, sizeof(meta->port_name) - 1);
	meta->port = want->port;
	meta->proto = want->proto;
	meta->family = (uint8_t)want->family;
	meta->type = (uint8_t)want->type;
	meta->algorithm = (uint8_t)want->algorithm;
	meta->internal_local = want->internal_local;
	meta->external_local = want->external_local;
	meta->affinity_seconds = want->affinity_seconds;
}

int stage_scope(struct stage *stage, struct service_group *group)
{
	struct service_group **grown;
	struct service_entry *entry;
	size_t cap, i;

	if (group->in_scope)
		return 0;
	if (stage->n_scope == stage->cap_scope) {
		cap = stage->cap_scope ? stage->cap_scope * 2 : 16;
		grown = realloc(stage->scope, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		stage->scope = grown;
		stage->cap_scope = cap;
	}
	group->in_scope = true;
	stage->scope[stage->n_scope++] = group;
	DL_FOREACH(group->services, entry) {
		entry->keep = false;
		for (i = 0; i < entry->n_backends; i++)
			entry->backends[i].keep = false;
	}
	return 0;
}

/* Everything but what is named. */
static int scope_rest(struct stage *stage, const struct publish_order *order)
{
	struct publisher *publisher = stage->publisher;
	struct service_group *group;
	struct group_key key;
	size_t i;
	int ret;

	for (group = publisher->groups; group; group = group->hh.next)
		group->left_alone = false;
	for (i = 0; i < order->n_names; i++) {
		key = group_key(order->names[i].ns, order->names[i].name);
		group = group_find(publisher, &key);
		if (group)
			group->left_alone = true;
	}
	ret = stage_scope(stage, &publisher->strays);
	for (group = publisher->groups; group && !ret; group = group->hh.next)
		ret = group->left_alone ? 0 : stage_scope(stage, group);
	return ret;
}

static int scope_make(struct stage *stage, const struct publish_order *order)
{
	struct service_group *group;
	struct group_key key;
	size_t i;
	int ret = 0;

	stage->all = order->all;
	if (order->all)
		return scope_rest(stage, order);
	for (i = 0; i < order->n_names && !ret; i++) {
		key = group_key(order->names[i].ns, order->names[i].name);
		group = group_find(stage->publisher, &key);
		ret = group ? stage_scope(stage, group) : 0;
	}
	return ret;
}

static int stage_entry(struct stage *stage, struct staged *staged)
{
	const struct group_key key = group_key(staged->want->ns, staged->want->name);
	struct sh_control *control = stage->dp->mem[DP_MAP_CONTROL];

	staged->group = group_get(stage->publisher, &key);
	if (!staged->group || stage_scope(stage, staged->group))
		return -ENOMEM;
	staged->entry = service_find(staged->group, staged->want);
	if (!staged->entry) {
		staged->entry = calloc(1, sizeof(*staged->entry));
		if (!staged->entry)
			return -ENOMEM;
		staged->entry->id = stage->publisher->next_service++;
		control->next_service = stage->publisher->next_service;
		staged->is_new = true;
	}
	staged->entry->keep = true;
	return 0;
}

static int stage_service(struct stage *stage, struct staged *staged,
			 const struct want_service *want, struct err *err)
{
	int ret;

	staged->want = want;
	service_describe(&staged->meta, want);
	ret = stage_entry(stage, staged);
	if (ret)
		return err_system(err, ret, "Service %s/%s", want->ns, want->name);
	ret = stage_backends(stage, staged, err);
	return ret ? ret : stage_tables(stage, staged, err);
}

/* Others have all its frontends: it is none, as resolve() has it. */
static bool is_taken(const struct stage *stage, const struct want_service *want)
{
	size_t i;

	for (i = 0; i < want->n_frontends; i++)
		if (!frontend_is_taken(stage->publisher, want, &want->frontends[i]))
			return false;
	return want->n_frontends;
}

int stage_make(struct stage *stage, struct dataplane *dp, const struct publish_order *order,
	       struct err *err)
{
	const struct wanted *wanted = order->wanted;
	size_t i;
	int ret;

	*stage = (struct stage){ .dp = dp, .publisher = dp->publisher };
	stage->v = calloc(wanted->n_services + 1, sizeof(*stage->v));
	if (!stage->v || scope_make(stage, order))
		return err_system(err, -ENOMEM, "plan %zu Service ports", wanted->n_services);
	for (i = 0; i < wanted->n_services; i++) {
		if (is_taken(stage, &wanted->services[i])) {
			stage->n_taken++;
			continue;
		}
		stage->n++;
		ret = stage_service(stage, &stage->v[stage->n - 1], &wanted->services[i], err);
		if (ret)
			return ret;
	}
	return 0;
}

static bool was_there(const struct service_entry *entry, uint32_t id)
{
	size_t i;

	for (i = 0; i < entry->n_backends; i++) {
		if (entry->backends[i].id == id)
			return true;
	}
	return false;
}

void stage_cancel(struct stage *stage)
{
	struct staged *staged;
	size_t i, j;

	for (i = 0; i < stage->n; i++) {
		staged = &stage->v[i];
		if (!staged->entry) /* no memory for it */
			continue;
		for (j = 0; j < staged->n_backends; j++) {
			if (!was_there(staged->entry, staged->backends[j].id))
				backend_release(stage->dp, staged->backends[j].id);
		}
		if (staged->cluster_is_new)
			(void)slots_give(&stage->publisher->slots, &staged->cluster);
		if (staged->local_is_new)
			(void)slots_give(&stage->publisher->slots, &staged->local);
		if (staged->is_new)
			service_entry_free(staged->entry);
	}
	stage_done(stage);
}

void stage_done(struct stage *stage)
{
	size_t i;

	for (i = 0; i < stage->n; i++)
		free(stage->v[i].backends);
	for (i = 0; i < stage->n_scope; i++)
		group_settle(stage->publisher, stage->scope[i]);
	free(stage->scope);
	free(stage->v);
	*stage = (struct stage){ 0 };
}
