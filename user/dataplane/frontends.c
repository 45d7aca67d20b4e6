// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * shunt_frontends, and the picture of it. Beside the frontends proper there is
 * an entry for each virtual address as such: pings of it are answered while one
 * of its ports has an endpoint; a ClusterIP's other ports are rejected. Several
 * Services may share a load balancer's address, so that entry is nobody's: it
 * is there as long as somebody uses it.
 */
#include "dataplane/publisher.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct frontend_entry *frontend_find(const struct publisher *publisher,
				     const struct sh_frontend_key *key)
{
	struct frontend_entry *entry;

	HASH_FIND(hh, publisher->frontends, key, sizeof(*key), entry);
	return entry;
}

static void filter_frontend(struct publisher *publisher, const struct sh_frontend_key *key,
			    uint16_t flags, bool want)
{
	if ((flags & SH_FE_KIND_MASK) == FRONTEND_NODE_PORT)
		filter_node_port(publisher->filter, key->port, want);
	else
		filter_virtual(publisher->filter, &key->addr, want);
}

static void entry_move(struct frontend_entry *entry, struct service_group *group)
{
	if (entry->group)
		DL_DELETE(entry->group->frontends, entry);
	entry->group = group;
	if (group)
		DL_APPEND(group->frontends, entry);
}

int frontend_adopt(struct publisher *publisher, struct service_group *group,
		   const struct sh_frontend_key *key, const struct sh_frontend *value)
{
	struct frontend_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->key = *key;
	entry->value = *value;
	HASH_ADD(hh, publisher->frontends, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	entry_move(entry, group);
	filter_frontend(publisher, key, value->flags, true);
	return 0;
}

static void entry_drop(struct publisher *publisher, struct frontend_entry *entry)
{
	filter_frontend(publisher, &entry->key, entry->value.flags, false);
	entry_move(entry, NULL);
	HASH_DEL(publisher->frontends, entry);
	free(entry);
}

/* One element, in the picture and in the map; its group and its address are others' business. */
static int entry_write(struct dataplane *dp, const struct sh_frontend_key *key,
		       const struct sh_frontend *value)
{
	struct publisher *publisher = dp->publisher;
	struct frontend_entry *entry = frontend_find(publisher, key);
	const bool is_new = !entry;
	int ret;

	if (entry && !memcmp(&entry->value, value, sizeof(*value)))
		return 0;
	if (is_new) {
		ret = frontend_adopt(publisher, NULL, key, value);
		if (ret)
			return ret;
		entry = frontend_find(publisher, key);
	} else {
		filter_frontend(publisher, key, value->flags, true);
	}
	if (bpf_map_update_elem(dp->map_fd[DP_MAP_FRONTENDS], key, value, BPF_ANY)) {
		ret = -errno;
		if (is_new)
			entry_drop(publisher, entry);
		else
			filter_frontend(publisher, key, value->flags, false);
		return ret;
	}
	if (!is_new)
		filter_frontend(publisher, key, entry->value.flags, false);
	entry->value = *value;
	return 0;
}

static void entry_remove(struct dataplane *dp, struct frontend_entry *entry)
{
	(void)bpf_map_delete_elem(dp->map_fd[DP_MAP_FRONTENDS], &entry->key);
	entry_drop(dp->publisher, entry);
}

/* ---- addresses --------------------------------------------------------------- */

static bool uses_address(const struct sh_frontend *value)
{
	unsigned int kind = value->flags & SH_FE_KIND_MASK;

	return !(value->flags & SH_FE_ADDRESS_ONLY) &&
	       (kind == FRONTEND_CLUSTER_IP || kind == FRONTEND_LOAD_BALANCER);
}

static bool is_usable(const struct sh_frontend *value)
{
	return value->flags & SH_FE_ANY_USABLE;
}

static bool is_cluster_ip(const struct sh_frontend *value)
{
	return (value->flags & SH_FE_KIND_MASK) == FRONTEND_CLUSTER_IP;
}

static struct frontend_entry *address_find(const struct publisher *publisher,
					   const struct sh_addr *addr)
{
	const struct sh_frontend_key key = { .addr = *addr };

	return frontend_find(publisher, &key);
}

static void address_count(struct frontend_entry *entry, const struct sh_frontend *by)
{
	entry->users++;
	entry->usable += is_usable(by);
	entry->cluster_ips += is_cluster_ip(by);
}

/* One more frontend at its address. */
static int address_hold(struct dataplane *dp, const struct sh_addr *addr,
			const struct sh_frontend *by)
{
	const struct sh_frontend_key key = { .addr = *addr };
	struct frontend_entry *entry = frontend_find(dp->publisher, &key);
	struct sh_frontend value = {
		.service = by->service,
		.flags = (uint16_t)((by->flags & SH_FE_KIND_MASK) | SH_FE_ADDRESS_ONLY),
	};
	int ret;

	if (!uses_address(by))
		return 0;
	if (entry && entry->users)
		value = entry->value;
	if (is_usable(by))
		value.flags |= SH_FE_PING;
	/* Of what is both, the other ports are a ClusterIP's. */
	if (is_cluster_ip(by))
		value.flags = (uint16_t)((value.flags & ~SH_FE_KIND_MASK) | FRONTEND_CLUSTER_IP);
	ret = entry_write(dp, &key, &value);
	if (ret)
		return ret;
	entry = frontend_find(dp->publisher, &key);
	entry_move(entry, NULL); /* it may have been a stray */
	address_count(entry, by);
	return 0;
}

/* Somebody who uses the address, those of @group first. */
static const struct frontend_entry *address_user(const struct publisher *publisher,
						 const struct service_group *group,
						 const struct sh_addr *addr)
{
	const struct frontend_entry *entry;

	if (group)
		DL_FOREACH(group->frontends, entry)
			if (uses_address(&entry->value) && addr_eq(&entry->key.addr, addr))
				return entry;
	for (entry = publisher->frontends; entry; entry = entry->hh.next)
		if (uses_address(&entry->value) && addr_eq(&entry->key.addr, addr))
			return entry;
	return NULL;
}

/* One frontend less: that of @by, which is in the picture no more. Takes no room: can't fail. */
static void address_release(struct dataplane *dp, const struct service_group *group,
			    const struct sh_addr *addr, const struct sh_frontend *by)
{
	struct frontend_entry *entry = address_find(dp->publisher, addr);
	const struct frontend_entry *user;
	struct sh_frontend value;

	if (!uses_address(by) || !entry || !entry->users)
		return;
	entry->users--;
	entry->usable -= is_usable(by);
	entry->cluster_ips -= is_cluster_ip(by);
	if (!entry->users) {
		entry_remove(dp, entry);
		return;
	}
	value = entry->value;
	if (!entry->usable)
		value.flags &= (uint16_t)~SH_FE_PING;
	if (!entry->cluster_ips)
		value.flags |= FRONTEND_LOAD_BALANCER;
	user = value.service == by->service ? address_user(dp->publisher, group, addr) : NULL;
	if (user)
		value.service = user->value.service;
	(void)entry_write(dp, &entry->key, &value);
}

/* ---- frontends ----------------------------------------------------------------- */

int frontend_write(struct dataplane *dp, struct service_group *group,
		   const struct sh_frontend_key *key, const struct sh_frontend *value)
{
	struct frontend_entry *entry = frontend_find(dp->publisher, key);
	struct service_group *old_group = entry ? entry->group : NULL;
	struct sh_frontend old = entry ? entry->value : (struct sh_frontend){ 0 };
	const bool had_old = entry;
	int ret;

	if (!had_old || memcmp(&old, value, sizeof(old)) != 0) {
		ret = address_hold(dp, &key->addr, value);
		if (ret)
			return ret;
		ret = entry_write(dp, key, value);
		if (ret) {
			address_release(dp, group, &key->addr, value);
			return ret;
		}
		if (had_old)
			address_release(dp, old_group, &key->addr, &old);
	}
	entry = frontend_find(dp->publisher, key);
	if (entry->group != group)
		entry_move(entry, group);
	entry->keep = true;
	return 0;
}

void frontend_remove(struct dataplane *dp, struct frontend_entry *entry)
{
	const struct sh_frontend_key key = entry->key;
	const struct sh_frontend value = entry->value;
	struct service_group *group = entry->group;

	entry_remove(dp, entry);
	address_release(dp, group, &key.addr, &value);
}

/* ---- adopting -------------------------------------------------------------------- */

static bool is_shared_address(const struct frontend_entry *entry)
{
	return entry->value.flags & SH_FE_ADDRESS_ONLY && entry->value.service;
}

/* An address whose last user went just when the publisher was killed. */
static void sweep_addresses(struct dataplane *dp, struct publisher *publisher)
{
	struct frontend_entry *entry, *next;

	HASH_ITER(hh, publisher->frontends, entry, next) {
		if (is_shared_address(entry) && !entry->users)
			entry_remove(dp, entry);
	}
}

int frontends_settle(struct dataplane *dp, struct publisher *publisher)
{
	struct frontend_entry *entry, *address;
	int ret = 0;

	for (entry = publisher->frontends; entry && !ret; entry = entry->hh.next) {
		if (!uses_address(&entry->value))
			continue;
		address = address_find(publisher, &entry->key.addr);
		if (address && is_shared_address(address)) {
			entry_move(address, NULL);
			address_count(address, &entry->value);
		} else {
			ret = address_hold(dp, &entry->key.addr, &entry->value);
		}
	}
	if (!ret)
		sweep_addresses(dp, publisher);
	return ret;
}
