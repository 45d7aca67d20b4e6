/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * wanted -> map writes, so that no packet sees half a Service:
 *
 *	stage    backend lines, slots: written where nobody looks    stage.c
 *	commit   prefilter bits, then each frontend by one update;
 *		 what fails is undone                                 here
 *	retire   what is no longer named: frontends, and after a
 *		 grace period slots, backends and their flows         here
 */
#include "dataplane/stage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/netdev.h"

/* What was in force at a frontend, to go back to. */
struct undo {
	struct sh_frontend_key key;
	struct sh_frontend old;
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
		     const struct sh_frontend *old)
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
	commit->undo[commit->n_undo] = (struct undo){ .key = *key, .had_old = old };
	if (old)
		commit->undo[commit->n_undo].old = *old;
	commit->n_undo++;
	return 0;
}

static void filter_frontend(struct publisher *publisher, const struct sh_frontend_key *key,
			    uint16_t flags, bool want)
{
	if ((flags & SH_FE_KIND_MASK) == FRONTEND_NODE_PORT)
		filter_node_port(publisher->filter, key->port, want);
	else
		filter_virtual(publisher->filter, &key->addr, want);
}

static int frontend_add(struct commit *commit, const struct sh_frontend_key *key,
			const struct sh_frontend *value)
{
	struct publisher *publisher = commit->publisher;
	struct frontend_entry *entry = calloc(1, sizeof(*entry));
	int ret;

	if (!entry)
		return -ENOMEM;
	entry->key = *key;
	entry->value = *value;
	entry->keep = true;
	filter_frontend(publisher, key, value->flags, true);
	ret = undo_note(commit, key, NULL);
	if (!ret && bpf_map_update_elem(commit->dp->map_fd[DP_MAP_FRONTENDS], key, value, BPF_ANY))
		ret = -errno;
	if (ret) {
		filter_frontend(publisher, key, value->flags, false);
		free(entry);
		return ret;
	}
	HASH_ADD(hh, publisher->frontends, key, sizeof(entry->key), entry);
	if (entry->hh.tbl)
		return 0;
	(void)bpf_map_delete_elem(commit->dp->map_fd[DP_MAP_FRONTENDS], key);
	filter_frontend(publisher, key, value->flags, false);
	free(entry);
	return -ENOMEM;
}

static int frontend_put(struct commit *commit, const struct sh_frontend_key *key,
			const struct sh_frontend *value)
{
	struct frontend_entry *entry;
	struct sh_frontend old;
	int ret;

	HASH_FIND(hh, commit->publisher->frontends, key, sizeof(*key), entry);
	if (!entry)
		return frontend_add(commit, key, value);
	entry->keep = true;
	if (!memcmp(&entry->value, value, sizeof(*value)))
		return 0;
	old = entry->value;
	ret = undo_note(commit, key, &old);
	if (ret)
		return ret;
	filter_frontend(commit->publisher, key, value->flags, true);
	if (bpf_map_update_elem(commit->dp->map_fd[DP_MAP_FRONTENDS], key, value, BPF_ANY)) {
		ret = -errno;
		filter_frontend(commit->publisher, key, value->flags, false);
		return ret;
	}
	filter_frontend(commit->publisher, key, old.flags, false);
	entry->value = *value;
	return 0;
}

static void frontend_remove(struct dataplane *dp, struct frontend_entry *entry)
{
	(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_FRONTENDS], &entry->key);
	filter_frontend(dp->publisher, &entry->key, entry->value.flags, false);
	HASH_DEL(dp->publisher->frontends, entry);
	free(entry);
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
	int fd = commit->dp->map_fd[DP_MAP_FRONTENDS];
	struct frontend_entry *entry;
	struct undo *undo;

	while (commit->n_undo) {
		undo = &commit->undo[--commit->n_undo];
		HASH_FIND(hh, commit->publisher->frontends, &undo->key, sizeof(undo->key), entry);
		if (!entry)
			continue;
		if (!undo->had_old) {
			frontend_remove(commit->dp, entry);
			continue;
		}
		/* The element is there: putting its old value back takes no room. */
		(void)bpf_map_update_elem(fd, &undo->key, &undo->old, BPF_ANY);
		filter_frontend(commit->publisher, &undo->key, undo->old.flags, true);
		filter_frontend(commit->publisher, &undo->key, entry->value.flags, false);
		entry->value = undo->old;
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

/*
 * The address as such, once for all ports: pings of it are answered while one
 * of them has an endpoint; any other port of a ClusterIP is rejected.
 */
static int put_address(struct commit *commit, const struct staged *staged,
		       const struct want_frontend *fe)
{
	struct sh_frontend_key key = { .addr = fe->addr };
	struct sh_frontend value = {
		.service = staged->entry->id,
		.flags = (uint16_t)(fe->kind | SH_FE_ADDRESS_ONLY |
				    (staged->want->any_usable ? SH_FE_PING : 0)),
	};
	struct frontend_entry *entry;

	HASH_FIND(hh, commit->publisher->frontends, &key, sizeof(key), entry);
	if (entry && entry->keep) { /* another port has seen to it */
		if (entry->value.flags & SH_FE_PING || !staged->want->any_usable)
			return 0;
		value = entry->value;
		value.flags |= SH_FE_PING;
	}
	return frontend_put(commit, &key, &value);
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
		ret = frontend_put(commit, &key, &value);
		if (!ret && (fe->kind == FRONTEND_CLUSTER_IP || fe->kind == FRONTEND_LOAD_BALANCER))
			ret = put_address(commit, staged, fe);
	}
	return ret;
}

/* What another proxy serves: known, so that it isn't dropped, and no more. */
static int put_others(struct commit *commit, struct err *err)
{
	const struct sh_frontend value = { .flags = FRONTEND_EXTERNAL_IP | SH_FE_ADDRESS_ONLY };
	struct sh_frontend_key key = { 0 };
	struct frontend_entry *entry;
	char text[ADDR_STRLEN];
	size_t i;
	int ret;

	for (i = 0; i < commit->wanted->n_others; i++) {
		key.addr = commit->wanted->others[i];
		HASH_FIND(hh, commit->publisher->frontends, &key, sizeof(key), entry);
		if (entry && entry->keep) /* ours as well */
			continue;
		ret = frontend_put(commit, &key, &value);
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

static struct srcrange_entry *srcrange_find(const struct publisher *publisher,
					    const struct sh_srcrange_key *key)
{
	struct srcrange_entry *entry;

	HASH_FIND(hh, publisher->srcranges, key, sizeof(*key), entry);
	return entry;
}

static int srcrange_put(struct commit *commit, uint32_t service, const struct addr_net *net)
{
	struct publisher *publisher = commit->publisher;
	struct sh_srcrange_key key;
	struct srcrange_entry *entry;
	const uint8_t allowed = 1;
	int ret;

	memset(&key, 0, sizeof(key));
	memcpy(&key.addr, &net->addr, sizeof(key.addr));
	key.service = service;
	key.prefix = 32 + net->len + (addr_family(&net->addr) == FAMILY_IPV4 ? 96 : 0);
	entry = srcrange_find(publisher, &key);
	if (entry) {
		entry->keep = true;
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	memcpy(&entry->key, &key, sizeof(key));
	entry->keep = true;
	HASH_ADD(hh, publisher->srcranges, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	if (!bpf_map_update_elem(commit->dp->map_fd[DP_MAP_SRCRANGES], &key, &allowed, BPF_ANY))
		return 0;
	ret = -errno;
	HASH_DEL(publisher->srcranges, entry);
	free(entry);
	return ret;
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
		ret = srcrange_put(commit, staged->entry->id, &want->source_ranges[i]);
	}
	for (i = 0; node && i < want->n_frontends && !ret; i++) {
		if (want->frontends[i].kind != FRONTEND_LOAD_BALANCER)
			continue;
		self.addr = want->frontends[i].addr;
		self.len = want->family == FAMILY_IPV4 ? 32 : 128;
		ret = srcrange_put(commit, staged->entry->id, &self);
	}
	return ret;
}

static void srcranges_sweep(struct dataplane *dp)
{
	struct srcrange_entry *entry, *next;

	HASH_ITER(hh, dp->publisher->srcranges, entry, next) {
		if (entry->keep)
			continue;
		(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_SRCRANGES], &entry->key);
		HASH_DEL(dp->publisher->srcranges, entry);
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

static int commit_all(struct commit *commit, struct err *err)
{
	struct frontend_entry *entry;
	struct srcrange_entry *range;
	size_t i;
	int ret;

	for (entry = commit->publisher->frontends; entry; entry = entry->hh.next)
		entry->keep = false;
	for (range = commit->publisher->srcranges; range; range = range->hh.next)
		range->keep = false;
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

static int publish_nodeaddrs(struct dataplane *dp, const struct wanted *wanted, struct err *err)
{
	struct nodeaddr_entry *entry, *next;
	size_t i;
	int ret;

	for (entry = dp->publisher->nodeaddrs; entry; entry = entry->hh.next)
		entry->keep = false;
	for (i = 0; i < wanted->n_nodeaddrs; i++) {
		ret = nodeaddr_put(dp, &wanted->nodeaddrs[i], SH_NODEADDR_NODE_PORTS);
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

/* ---- retiring ------------------------------------------------------------------ */

/* What nothing names any more, to be freed when nobody can be using it. */
struct retired {
	struct sh_table *tables;
	size_t n_tables;
	uint32_t *backends; /* ids */
	size_t n_backends;
	uint8_t *gone; /* the same, a bit per index */
};

static int retired_init(struct retired *retired, const struct publisher *publisher,
			const struct dataplane *dp)
{
	const struct service_entry *entry;
	size_t backends = 0, services = 0;

	for (entry = publisher->services; entry; entry = entry->hh.next) {
		backends += entry->n_backends;
		services++;
	}
	*retired = (struct retired){ 0 };
	retired->tables = calloc(services * 2 + 1, sizeof(*retired->tables));
	retired->backends = calloc(backends + 1, sizeof(*retired->backends));
	retired->gone = calloc(dp->map_max[DP_MAP_BACKENDS] / 8 + 1, 1);
	return retired->tables && retired->backends && retired->gone ? 0 : -ENOMEM;
}

static void retired_done(struct retired *retired)
{
	free(retired->tables);
	free(retired->backends);
	free(retired->gone);
}

static void retire_table(struct retired *retired, const struct sh_table *table)
{
	if (table->size)
		retired->tables[retired->n_tables++] = *table;
}

static void retire_backends(struct retired *retired, const struct service_entry *entry)
{
	uint32_t index;
	size_t i;

	for (i = 0; i < entry->n_backends; i++) {
		if (entry->backends[i].keep)
			continue;
		index = SH_BACKEND_INDEX(entry->backends[i].id);
		retired->backends[retired->n_backends++] = entry->backends[i].id;
		retired->gone[index / 8] |= (uint8_t)(1u << index % 8);
	}
}

/* The staged state is in force now: the picture follows. */
static void take_over(struct commit *commit, struct staged *staged, struct retired *retired)
{
	struct service_entry *entry = staged->entry;
	struct sh_backend *line;
	size_t i;

	for (i = 0; i < staged->n_backends; i++) {
		line = backend_line(commit->dp, staged->backends[i].id);
		__atomic_store_n(&line->flags, staged->backends[i].flags, __ATOMIC_RELAXED);
		__atomic_store_n(&line->weight, staged->backends[i].weight, __ATOMIC_RELAXED);
		line->node = staged->backends[i].node;
	}
	retire_backends(retired, entry);
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
		HASH_ADD(hh, commit->publisher->services, key, sizeof(entry->key), entry);
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

static void retire_services(struct commit *commit, struct retired *retired)
{
	struct publisher *publisher = commit->publisher;
	struct sh_meta_key key = { .kind = SH_META_SERVICE };
	struct service_entry *entry, *next;

	HASH_ITER(hh, publisher->services, entry, next) {
		if (entry->keep)
			continue;
		retire_backends(retired, entry);
		retire_table(retired, &entry->cluster);
		retire_table(retired, &entry->local);
		key.id = entry->id;
		(void)bpf_map_delete_elem(commit->dp->map_fd[DP_MAP_META], &key);
		drops_forget(commit->dp, entry->id);
		commit->result->services_removed++;
		commit->result->backends_removed += entry->n_backends;
		HASH_DEL(publisher->services, entry);
		service_entry_free(entry);
	}
}

/*
 * Where the grace period can't be waited for, what was retired stays until the
 * next process reads the maps back, and finds that nothing names it.
 */
static void retire_free(struct commit *commit, struct retired *retired)
{
	size_t i;

	if ((!retired->n_tables && !retired->n_backends) || grace_wait(commit->publisher, NULL))
		return;
	for (i = 0; i < retired->n_tables; i++)
		(void)slots_give(&commit->publisher->slots, &retired->tables[i]);
	if (retired->n_backends)
		commit->result->flows_ended = flows_end(commit->dp, retired->gone);
	for (i = 0; i < retired->n_backends; i++)
		backend_release(commit->dp, retired->backends[i]);
}

static void commit_finish(struct commit *commit, struct retired *retired)
{
	struct publisher *publisher = commit->publisher;
	struct frontend_entry *frontend, *next;
	size_t i;

	for (i = 0; i < commit->stage->n; i++) {
		count_changes(commit->result, &commit->stage->v[i]);
		take_over(commit, &commit->stage->v[i], retired);
	}
	HASH_ITER(hh, publisher->frontends, frontend, next) {
		if (!frontend->keep)
			frontend_remove(commit->dp, frontend);
	}
	srcranges_sweep(commit->dp);
	retire_services(commit, retired);
	retire_free(commit, retired);
}

int dataplane_publish(struct dataplane *dp, const struct wanted *wanted,
		      struct publish_result *result, struct err *err)
{
	struct retired retired = { 0 };
	struct stage stage;
	struct commit commit = { .dp = dp, .publisher = dp->publisher, .stage = &stage };
	int ret;

	memset(result, 0, sizeof(*result));
	commit.result = result;
	commit.wanted = wanted;
	ret = stage_make(&stage, dp, wanted, err);
	if (!ret && retired_init(&retired, dp->publisher, dp))
		ret = err_system(err, -ENOMEM, "publish");
	if (!ret)
		ret = publish_nodeaddrs(dp, wanted, err);
	if (!ret)
		ret = commit_all(&commit, err);
	if (ret) {
		stage_cancel(&stage);
	} else {
		commit_finish(&commit, &retired);
		stage_done(&stage);
	}
	retired_done(&retired);
	free(commit.undo);
	return ret;
}
