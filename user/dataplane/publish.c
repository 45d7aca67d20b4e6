/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * wanted -> map writes, so that no packet sees half a Service:
 *
 *	stage    backend lines, slots: written where nobody looks    stage.c
 *	commit   prefilter bits, then each frontend by one update;
 *		 what fails is undone                                 here
 *	withdraw what is no longer named: frontends here, slots, backends
 *		 and their flows after a grace period                 retire.c
 */
#include "dataplane/stage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/listen.h"
#include "dataplane/netdev.h"

/* What was in force at a frontend, to go back to. */
struct undo {
	struct sh_frontend_key key;
	struct sh_frontend old;
	struct service_group *group; /* that had it */
	bool had_old;
};

struct commit {
	struct dataplane *dp;
	struct publisher *publisher;
	struct stage *stage;
	const struct wanted *wanted;
	struct undo *undo;
	size_t n_undo, cap_undo;
	struct publish_result *result;
};

/* ---- frontends ------------------------------------------------------------- */

static int undo_note(struct commit *commit, const struct sh_frontend_key *key,
		     const struct frontend_entry *old)
{
	struct undo *grown;
	size_t cap;

	if (commit->n_undo == commit->cap_undo) {
		cap = commit->cap_undo ? commit->cap_undo * 2 : 64;
		grown = realloc(commit->undo, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		commit->undo = grown;
		commit->cap_undo = cap;
	}
	commit->undo[commit->n_undo] = (struct undo){ .key = *key };
	if (old) {
		commit->undo[commit->n_undo].old = old->value;
		commit->undo[commit->n_undo].group = old->group;
		commit->undo[commit->n_undo].had_old = true;
	}
	commit->n_undo++;
	return 0;
}

static int frontend_put(struct commit *commit, struct service_group *group,
			const struct sh_frontend_key *key, const struct sh_frontend *value)
{
	struct frontend_entry *entry = frontend_find(commit->publisher, key);
	int ret;

	if (entry && entry->group == group && !memcmp(&entry->value, value, sizeof(*value))) {
		entry->keep = true;
		return 0;
	}
	/* Whoever has it and is not asked to give it up keeps it; strays are nobody's. */
	if (entry && entry->group && entry->group != group && !entry->group->in_scope &&
	    entry->group != &commit->publisher->strays) {
		commit->result->conflicts++;
		return 0;
	}
	ret = undo_note(commit, key, entry);
	if (ret)
		return ret;
	ret = frontend_write(commit->dp, group, key, value);
	if (ret)
		commit->n_undo--;
	return ret;
}

static void undo_meta(struct commit *commit)
{
	struct sh_meta_key key = { .kind = SH_META_SERVICE };
	const struct staged *staged;
	struct sh_meta meta;
	size_t i;

	for (i = 0; i < commit->stage->n; i++) {
		staged = &commit->stage->v[i];
		key.id = staged->entry->id;
		meta = (struct sh_meta){ .service = staged->entry->meta };
		if (staged->is_new)
			(void)bpf_map_delete_elem(commit->dp->map_fd[DP_MAP_META], &key);
		else if (memcmp(&staged->meta, &staged->entry->meta, sizeof(staged->meta)) != 0)
			(void)bpf_map_update_elem(commit->dp->map_fd[DP_MAP_META], &key, &meta,
						  BPF_ANY);
	}
}

static void undo_all(struct commit *commit)
{
	struct frontend_entry *entry;
	struct undo *undo;

	while (commit->n_undo) {
		undo = &commit->undo[--commit->n_undo];
		entry = frontend_find(commit->publisher, &undo->key);
		/* Where the element is there, putting its old value back takes no room. */
		if (undo->had_old)
			(void)frontend_write(commit->dp, undo->group, &undo->key, &undo->old);
		else if (entry)
			frontend_remove(commit->dp, entry);
	}
	undo_meta(commit);
	/* Nobody may be reading the staged tables when they are given back. */
	(void)grace_wait(commit->publisher, NULL);
}

static uint16_t frontend_flags(const struct want_service *want, const struct want_frontend *fe)
{
	return (uint16_t)(fe->kind | (fe->local_only ? SH_FE_LOCAL_ONLY : 0) |
			  (fe->source_ranges ? SH_FE_SOURCE_RANGES : 0) |
			  (want->any_usable ? SH_FE_ANY_USABLE : 0));
}

static int frontend_err(struct commit *commit, const struct staged *staged, int ret,
			struct err *err)
{
	if (ret == -E2BIG)
		return err_system(err, ret,
				  "Service %s/%s: more than %u frontends (--max-frontends)",
				  staged->want->ns, staged->want->name,
				  commit->dp->map_max[DP_MAP_FRONTENDS]);
	return err_system(err, ret, "Service %s/%s: write its frontends", staged->want->ns,
			  staged->want->name);
}

static int put_frontends(struct commit *commit, const struct staged *staged)
{
	const struct want_service *want = staged->want;
	const struct want_frontend *fe;
	struct sh_frontend_key key;
	struct sh_frontend value;
	size_t i;
	int ret = 0;

	for (i = 0; i < want->n_frontends && !ret; i++) {
		fe = &want->frontends[i];
		key = (struct sh_frontend_key){ .addr = fe->addr,
						.port = fe->port,
						.proto = want->proto };
		value = (struct sh_frontend){ .service = staged->entry->id,
					      .flags = frontend_flags(want, fe),
					      .algorithm = (uint8_t)want->algorithm,
					      .affinity_seconds = want->affinity_seconds,
					      .cluster = staged->cluster,
					      .local = staged->local };
		ret = frontend_put(commit, staged->group, &key, &value);
	}
	return ret;
}

/* What another proxy serves: known, so that it isn't dropped, and no more. */
static int put_others(struct commit *commit, struct err *err)
{
	const struct sh_frontend value = { .flags = FRONTEND_EXTERNAL_IP | SH_FE_ADDRESS_ONLY };
	const struct want_other *other;
	struct sh_frontend_key key = { 0 };
	struct service_group *group;
	struct group_key name;
	struct frontend_entry *entry;
	char text[ADDR_STRLEN];
	size_t i;
	int ret;

	for (i = 0; i < commit->wanted->n_others; i++) {
		other = &commit->wanted->others[i];
		key.addr = other->addr;
		entry = frontend_find(commit->publisher, &key);
		if (entry && entry->users) /* ours as well */
			continue;
		name = group_key(other->ns, other->name);
		group = group_get(commit->publisher, &name);
		ret = group ? stage_scope(commit->stage, group) : -ENOMEM;
		if (!ret)
			ret = frontend_put(commit, group, &key, &value);
		if (ret)
			return err_system(err, ret,
					  "ClusterIP %s of another proxy's Service: write it "
					  "(at most %u frontends, --max-frontends)",
					  addr_format(&key.addr, text),
					  commit->dp->map_max[DP_MAP_FRONTENDS]);
	}
	return 0;
}

/* ---- source ranges --------------------------------------------------------- */

static struct srcrange_entry *srcrange_find(const struct service_group *group,
					    const struct sh_srcrange_key *key)
{
	struct srcrange_entry *entry;

	DL_FOREACH(group->srcranges, entry)
		if (!memcmp(&entry->key, key, sizeof(*key)))
			return entry;
	return NULL;
}

static int srcrange_put(struct commit *commit, const struct staged *staged,
			const struct addr_net *net)
{
	struct sh_srcrange_key key;
	struct srcrange_entry *entry;
	const uint8_t allowed = 1;
	int ret;

	memset(&key, 0, sizeof(key));
	memcpy(&key.addr, &net->addr, sizeof(key.addr));
	key.service = staged->entry->id;
	key.prefix = 32 + net->len + (addr_family(&net->addr) == FAMILY_IPV4 ? 96 : 0);
	entry = srcrange_find(staged->group, &key);
	if (entry) {
		entry->keep = true;
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(&entry->key, &key, sizeof(key));
	entry->keep = true;
	if (bpf_map_update_elem(commit->dp->map_fd[DP_MAP_SRCRANGES], &key, &allowed, BPF_ANY)) {
		ret = -errno;
		free(entry);
		return ret;
	}
	DL_APPEND(staged->group->srcranges, entry);
	return 0;
}

static bool node_within(const struct commit *commit, const struct addr_net *net)
{
	const struct nodeaddr_entry *entry;

	for (entry = commit->publisher->nodeaddrs; entry; entry = entry->hh.next) {
		if (addr_net_contains(net, &entry->addr))
			return true;
	}
	return false;
}

/*
 * Before the frontends that ask for them. Where the node itself is let in, so
 * is what it sends from the load balancer's own address.
 */
static int put_srcranges(struct commit *commit, const struct staged *staged)
{
	const struct want_service *want = staged->want;
	struct addr_net self;
	bool node = false;
	size_t i;
	int ret = 0;

	for (i = 0; i < want->n_source_ranges && !ret; i++) {
		node = node || node_within(commit, &want->source_ranges[i]);
		ret = srcrange_put(commit, staged, &want->source_ranges[i]);
	}
	for (i = 0; node && i < want->n_frontends && !ret; i++) {
		if (want->frontends[i].kind != FRONTEND_LOAD_BALANCER ||
		    frontend_is_taken(commit->publisher, want, &want->frontends[i]))
			continue;
		self.addr = want->frontends[i].addr;
		self.len = want->family == FAMILY_IPV4 ? 32 : 128;
		ret = srcrange_put(commit, staged, &self);
	}
	return ret;
}

static void srcranges_sweep(struct dataplane *dp, struct service_group *group)
{
	struct srcrange_entry *entry, *next;

	DL_FOREACH_SAFE(group->srcranges, entry, next) {
		if (entry->keep)
			continue;
		(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_SRCRANGES], &entry->key);
		DL_DELETE(group->srcranges, entry);
		free(entry);
	}
}

static int put_meta(struct commit *commit, const struct staged *staged)
{
	struct sh_meta_key key = { .kind = SH_META_SERVICE, .id = staged->entry->id };
	struct sh_meta meta = { .service = staged->meta };

	if (!staged->is_new && !memcmp(&staged->meta, &staged->entry->meta, sizeof(staged->meta)))
		return 0;
	return bpf_map_update_elem(commit->dp->map_fd[DP_MAP_META], &key, &meta, BPF_ANY) ? -errno
											  : 0;
}

/* Until it is put again, nothing of the scope is kept. */
static void scope_let_go(const struct stage *stage)
{
	struct frontend_entry *entry;
	struct srcrange_entry *range;
	size_t i;

	for (i = 0; i < stage->n_scope; i++) {
		DL_FOREACH(stage->scope[i]->frontends, entry)
			entry->keep = false;
		DL_FOREACH(stage->scope[i]->srcranges, range)
			range->keep = false;
	}
}

static int commit_all(struct commit *commit, struct err *err)
{
	size_t i;
	int ret;

	scope_let_go(commit->stage);
	for (i = 0; i < commit->stage->n; i++) {
		ret = put_meta(commit, &commit->stage->v[i]);
		if (!ret)
			ret = put_srcranges(commit, &commit->stage->v[i]);
		if (!ret)
			ret = put_frontends(commit, &commit->stage->v[i]);
		if (!ret)
			continue;
		frontend_err(commit, &commit->stage->v[i], ret, err);
		undo_all(commit);
		return ret;
	}
	ret = put_others(commit, err);
	if (ret)
		undo_all(commit);
	return ret;
}

/* ---- node addresses ---------------------------------------------------------- */

static int nodeaddr_put(struct dataplane *dp, const struct sh_addr *addr, uint32_t flags)
{
	struct publisher *publisher = dp->publisher;
	struct sh_nodeaddr value = { .flags = flags };
	struct nodeaddr_entry *entry;

	HASH_FIND(hh, publisher->nodeaddrs, addr, sizeof(*addr), entry);
	if (entry) {
		value.flags |= entry->keep ? entry->flags : 0;
		entry->keep = true;
		if (entry->flags == value.flags)
			return 0;
		entry->flags = value.flags;
	} else {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->addr = *addr;
		entry->flags = flags;
		entry->keep = true;
		HASH_ADD(hh, publisher->nodeaddrs, addr, sizeof(entry->addr), entry);
		if (!entry->hh.tbl) {
			free(entry);
			return -ENOMEM;
		}
		filter_node(publisher->filter, addr, true);
	}
	return bpf_map_update_elem(dp->map_fd[DP_MAP_NODEADDRS], addr, &value, BPF_ANY) ? -errno
											: 0;
}

/* Every address of the node: a masqueraded flow's replies come to any of them. */
static int nodeaddrs_own(struct dataplane *dp, struct err *err)
{
	struct sh_addr addrs[SH_NODEADDRS_MAX];
	struct netdev_list list;
	size_t i, n = 0;
	int ret;

	if (!dp->on_node)
		return 0;
	ret = netdev_list(&list, err);
	if (ret)
		return ret;
	ret = netdev_own_addresses(&list, addrs, &n, err);
	netdev_list_done(&list);
	for (i = 0; i < n && !ret; i++) {
		ret = nodeaddr_put(dp, &addrs[i], 0);
		if (ret)
			err_system(err, ret, "write the node's addresses");
	}
	return ret;
}

int dataplane_nodeaddrs_write(struct dataplane *dp, const struct sh_addr *nodeports, size_t n,
			      struct err *err)
{
	struct nodeaddr_entry *entry, *next;
	size_t i;
	int ret;

	for (entry = dp->publisher->nodeaddrs; entry; entry = entry->hh.next)
		entry->keep = false;
	for (i = 0; i < n; i++) {
		ret = nodeaddr_put(dp, &nodeports[i], SH_NODEADDR_NODE_PORTS);
		if (ret)
			return err_system(err, ret, "write the node's addresses (at most %u)",
					  SH_NODEADDRS_MAX);
	}
	ret = nodeaddrs_own(dp, err);
	if (ret)
		return ret;
	HASH_ITER(hh, dp->publisher->nodeaddrs, entry, next) {
		if (entry->keep)
			continue;
		(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_NODEADDRS], &entry->addr);
		filter_node(dp->publisher->filter, &entry->addr, false);
		HASH_DEL(dp->publisher->nodeaddrs, entry);
		free(entry);
	}
	return 0;
}

/* ---- what is withdrawn ------------------------------------------------------- */

static int retire_room(struct commit *commit)
{
	const struct stage *stage = commit->stage;
	const struct service_entry *entry;
	size_t backends = 0, services = 0, i;

	for (i = 0; i < stage->n_scope; i++) {
		DL_FOREACH(stage->scope[i]->services, entry) {
			backends += entry->n_backends;
			services++;
		}
	}
	return retired_reserve(&commit->publisher->waiting, services * 2, backends);
}

static void retire_backends(struct commit *commit, const struct service_entry *entry)
{
	struct sh_backend *line;
	size_t i;

	for (i = 0; i < entry->n_backends; i++) {
		if (entry->backends[i].keep)
			continue;
		/* In no table any more: nor are clients with affinity to go there. */
		line = backend_line(commit->dp, entry->backends[i].id);
		__atomic_fetch_and(&line->flags, (uint16_t)~(SH_BE_IN_CLUSTER | SH_BE_IN_LOCAL),
				   __ATOMIC_RELAXED);
		retire_backend(&commit->publisher->waiting, entry->backends[i].id);
	}
}

/* The staged state is in force now: the picture follows. */
static void take_over(struct commit *commit, struct staged *staged)
{
	struct retired *retired = &commit->publisher->waiting;
	struct service_entry *entry = staged->entry;
	struct sh_backend *line;
	size_t i;

	for (i = 0; i < staged->n_backends; i++) {
		line = backend_line(commit->dp, staged->backends[i].id);
		__atomic_store_n(&line->flags, staged->backends[i].flags, __ATOMIC_RELAXED);
		__atomic_store_n(&line->weight, staged->backends[i].weight, __ATOMIC_RELAXED);
		line->node = staged->backends[i].node;
	}
	retire_backends(commit, entry);
	if (staged->cluster_is_new)
		retire_table(retired, &entry->cluster);
	if (staged->local_is_new || !staged->local.size)
		retire_table(retired, &entry->local);
	free(entry->backends);
	entry->backends = staged->backends;
	entry->n_backends = staged->n_backends;
	staged->backends = NULL;
	entry->meta = staged->meta;
	entry->cluster = staged->cluster;
	entry->local = staged->local;
	entry->cluster_members = staged->cluster_members;
	entry->local_members = staged->local_members;
	if (staged->is_new)
		DL_APPEND(staged->group->services, entry);
}

static void count_changes(struct publish_result *result, const struct staged *staged)
{
	const struct service_entry *entry = staged->entry;
	size_t kept = staged->n_backends - staged->n_added;

	result->backends_added += staged->n_added;
	result->backends_changed += staged->n_changed;
	result->backends_removed += entry->n_backends - kept;
	if (staged->is_new)
		result->services_added++;
	else if (staged->n_added || staged->n_changed || entry->n_backends != kept ||
		 memcmp(&staged->meta, &entry->meta, sizeof(entry->meta)) != 0)
		result->services_changed++;
}

static void drops_forget(struct dataplane *dp, uint32_t service)
{
	struct sh_drop_key key = { .service = service };

	for (key.reason = 1; key.reason < SH_REASON_COUNT; key.reason++)
		(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_DROPS], &key);
}

static void retire_services(struct commit *commit, struct service_group *group)
{
	struct retired *retired = &commit->publisher->waiting;
	struct sh_meta_key key = { .kind = SH_META_SERVICE };
	struct service_entry *entry, *next;

	DL_FOREACH_SAFE(group->services, entry, next) {
		if (entry->keep)
			continue;
		retire_backends(commit, entry);
		retire_table(retired, &entry->cluster);
		retire_table(retired, &entry->local);
		key.id = entry->id;
		(void)bpf_map_delete_elem(commit->dp->map_fd[DP_MAP_META], &key);
		drops_forget(commit->dp, entry->id);
		commit->result->services_removed++;
		commit->result->backends_removed += entry->n_backends;
		DL_DELETE(group->services, entry);
		service_entry_free(entry);
	}
}

static void frontends_sweep(struct dataplane *dp, struct service_group *group)
{
	struct frontend_entry *entry, *next;

	DL_FOREACH_SAFE(group->frontends, entry, next) {
		if (!entry->keep)
			frontend_remove(dp, entry);
	}
}

static void commit_finish(struct commit *commit)
{
	const struct stage *stage = commit->stage;
	size_t i;

	for (i = 0; i < stage->n; i++) {
		count_changes(commit->result, &stage->v[i]);
		take_over(commit, &stage->v[i]);
	}
	for (i = 0; i < stage->n_scope; i++) {
		frontends_sweep(commit->dp, stage->scope[i]);
		srcranges_sweep(commit->dp, stage->scope[i]);
	}
	for (i = 0; i < stage->n_scope; i++)
		retire_services(commit, stage->scope[i]);
	/* An address that was ours until just now: what went has made room for it. */
	(void)put_others(commit, NULL);
}

int dataplane_change(struct dataplane *dp, const struct publish_order *order,
		     struct publish_result *result, struct err *err)
{
	const struct wanted *wanted = order->wanted;
	struct stage stage;
	struct commit commit = { .dp = dp, .publisher = dp->publisher, .stage = &stage };
	int ret;

	memset(result, 0, sizeof(*result));
	commit.result = result;
	commit.wanted = wanted;
	ret = stage_make(&stage, dp, order, err);
	result->conflicts = stage.n_taken;
	if (!ret && retire_room(&commit))
		ret = err_system(err, -ENOMEM, "publish");
	if (!ret && stage.all)
		ret = dataplane_nodeaddrs_write(dp, wanted->nodeaddrs, wanted->n_nodeaddrs, err);
	if (!ret)
		ret = commit_all(&commit, err);
	if (ret) {
		stage_cancel(&stage);
	} else {
		commit_finish(&commit);
		dp->needs_publish = dp->needs_publish && !stage.all;
		stage_done(&stage);
		listen_published(dp, result);
	}
	free(commit.undo);
	return ret;
}

int dataplane_publish(struct dataplane *dp, const struct wanted *wanted,
		      struct publish_result *result, struct err *err)
{
	const struct publish_order order = { .wanted = wanted, .all = true };
	struct retire_result retired;
	int ret;

	ret = dataplane_change(dp, &order, result, err);
	if (ret)
		return ret;
	/* Where the grace period can't be waited for it stays in hand, for the next publish. */
	if (dataplane_retire(dp, &retired, NULL))
		return 0;
	result->flows_ended = retired.swept.ended;
	result->sockets = retired.sockets;
	result->sockets_err = retired.sockets_err;
	return 0;
}
