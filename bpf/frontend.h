/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decisions: which frontend, which backend. No packet and no context here, so
 * that packets and sockets decide alike.
 */
#ifndef SHUNT_BPF_FRONTEND_H
#define SHUNT_BPF_FRONTEND_H

#include "filter.h"
#include "report.h"
#include "scratch.h"

static __always_inline struct sh_frontend *sh_frontend_at(const struct sh_addr *addr, __be16 port,
							  __u8 proto)
{
	struct sh_frontend_key key = { .addr = *addr, .port = port, .proto = proto };

	return bpf_map_lookup_elem(&shunt_frontends, &key);
}

/* NodePorts stand under the all-zero address, for every address that serves them. */
static __always_inline struct sh_frontend *sh_node_port_at(const struct sh_choice *c)
{
	/* On the stack: Linux 6.1 takes no map key from a function's argument. */
	struct sh_addr any = {}, virt = c->virt;
	const struct sh_nodeaddr *node;

	if (!c->loopback) {
		node = bpf_map_lookup_elem(&shunt_nodeaddrs, &virt);
		if (!node || !(node->flags & SH_NODEADDR_NODE_PORTS))
			return NULL;
	}
	if (sh_addr_is_v4(&c->virt))
		any.w[2] = SH_MAPPED_PREFIX;
	return sh_frontend_at(&any, c->port, c->proto);
}

/* Spread: the same on every node, in every hook, for both families. */
static __always_inline __u32 sh_choice_hash(const struct sh_choice *c)
{
	__u64 h = (__u64)c->client.w[0] << 32 | c->client.w[1];

	h = sh_fold(h * SH_FILTER_K1) + ((__u64)c->client.w[2] << 32 | c->client.w[3]);
	h = sh_fold(h * SH_FILTER_K2) + ((__u64)c->virt.w[0] << 32 | c->virt.w[1]);
	h = sh_fold(h * SH_FILTER_K1) + ((__u64)c->virt.w[2] << 32 | c->virt.w[3]);
	h = sh_fold(h * SH_FILTER_K2) +
	    ((__u64)c->client_port << 32 | (__u64)c->port << 16 | c->proto);
	h = sh_fold(h * SH_FILTER_K1) * SH_FILTER_K2;
	return (__u32)(h >> 32);
}

static __always_inline __u32 sh_slot_backend(const struct sh_table *table, __u32 hash)
{
	__u32 slot = table->base + (__u32)((__u64)hash * table->size >> 32);
	__u32 line_nr = slot / SH_SLOTS_PER_LINE;
	const struct sh_slot_line *line = bpf_map_lookup_elem(&shunt_slots, &line_nr);

	return line ? line->backend[slot % SH_SLOTS_PER_LINE] : 0;
}

/* The backend of that id, if it is still that one. */
static __always_inline struct sh_backend *sh_backend_at(__u32 id)
{
	__u32 index = SH_BACKEND_INDEX(id);
	struct sh_backend *backend = bpf_map_lookup_elem(&shunt_backends, &index);

	return backend && id && backend->id == id ? backend : NULL;
}

/*
 * One backend of @table. Its slots hold each backend as often as its weight
 * asks, so that a random slot is a weighted choice; of two such choices
 * least-conn takes the one with fewer live flows for its weight (Mitzenmacher,
 * "The Power of Two Choices", 2001).
 */
static __always_inline struct sh_backend *sh_select(const struct sh_choice *c,
						    const struct sh_table *table, __u8 algorithm)
{
	__u32 hash = algorithm == SH_MAGLEV ? sh_choice_hash(c) : bpf_get_prandom_u32();
	struct sh_backend *one = sh_backend_at(sh_slot_backend(table, hash)), *two;

	if (algorithm != SH_LEAST_CONN || !one)
		return one;
	two = sh_backend_at(sh_slot_backend(table, bpf_get_prandom_u32()));
	if (two && (__u64)two->live * one->weight < (__u64)one->live * two->weight)
		return two;
	return one;
}

/*
 * Answer @c. @return SH_NEXT: a backend was chosen; SH_PASS: no frontend of
 * ours; SH_DROP: counted.
 */
__noinline int sh_choose(struct sh_choice *c)
{
	const struct sh_frontend *fe;
	const struct sh_backend *backend;
	const struct sh_table *table;

	if (!c)
		return SH_PASS;
	fe = sh_frontend_at(&c->virt, c->port, c->proto);
	if (!fe)
		fe = sh_node_port_at(c);
	if (!fe) {
		fe = sh_frontend_at(&c->virt, 0, 0);
		return fe ? sh_drop(fe->service, SH_REASON_UNKNOWN_PORT) : SH_PASS;
	}
	c->service = fe->service;
	c->flags = fe->flags;
	table = fe->flags & SH_FE_LOCAL_ONLY ? &fe->local : &fe->cluster;
	if (!table->size)
		return sh_drop(fe->service, fe->flags & SH_FE_ANY_USABLE ? SH_REASON_NO_LOCAL
									 : SH_REASON_NO_BACKEND);
	backend = sh_select(c, table, fe->algorithm);
	if (!backend)
		return sh_drop(fe->service, SH_REASON_BACKEND_STALE);
	c->backend_addr = backend->addr;
	c->backend_port = backend->port;
	c->backend_flags = backend->flags;
	c->backend = backend->id;
	return SH_NEXT;
}

#endif
