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
#include "trace.h"

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

/*
 * Spread: the same on every node, in every hook, for both families. With
 * affinity only the client counts, so that it keeps its backend even when it
 * has been forgotten.
 */
static __always_inline __u32 sh_choice_hash(const struct sh_choice *c, __u32 affinity)
{
	__u64 h = (__u64)c->client.w[0] << 32 | c->client.w[1];

	h = sh_fold(h * SH_FILTER_K1) + ((__u64)c->client.w[2] << 32 | c->client.w[3]);
	if (!sh_unlearnt(affinity)) {
		h = sh_fold(h * SH_FILTER_K2) + c->cookie;
		h = sh_fold(h * SH_FILTER_K1) + ((__u64)c->virt.w[0] << 32 | c->virt.w[1]);
		h = sh_fold(h * SH_FILTER_K2) + ((__u64)c->virt.w[2] << 32 | c->virt.w[3]);
		h = sh_fold(h * SH_FILTER_K1) +
		    ((__u64)c->client_port << 32 | (__u64)c->port << 16 | c->proto);
	}
	h = sh_fold(h * SH_FILTER_K2) * SH_FILTER_K1;
	return (__u32)(h >> 32);
}

static __always_inline __u32 sh_slot_backend(const struct sh_table *table, __u32 hash)
{
	__u32 slot = table->base + (__u32)((__u64)hash * table->size >> 32);
	__u32 line_nr = slot / SH_SLOTS_PER_LINE;
	const struct sh_slot_line *line = bpf_map_lookup_elem(&shunt_slots, &line_nr);
	__u32 backend = line ? line->backend[slot % SH_SLOTS_PER_LINE] : 0;

	if (sh_config.trace)
		sh_trace_args(SH_TRACE_SLOT, slot - table->base, table->size, backend, 0);
	return backend;
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
 * least-conn takes the one with fewer live flows and sockets for its weight
 * (Mitzenmacher, "The Power of Two Choices", 2001).
 */
static __always_inline struct sh_backend *
sh_select(const struct sh_choice *c, const struct sh_frontend *fe, const struct sh_table *table)
{
	__u32 algorithm = fe->algorithm;
	__u32 hash = sh_unlearnt(algorithm) == SH_MAGLEV ? sh_choice_hash(c, fe->affinity_seconds)
							 : bpf_get_prandom_u32();
	struct sh_backend *one = sh_backend_at(sh_slot_backend(table, hash)), *two;

	if (sh_unlearnt(algorithm) != SH_LEAST_CONN || !one)
		return one;
	two = sh_backend_at(sh_slot_backend(table, bpf_get_prandom_u32()));
	if (two && (__u64)two->live * one->weight < (__u64)one->live * two->weight)
		return two;
	return one;
}

static __always_inline void sh_trace_affinity(const struct sh_affinity *last, __u64 jiffies,
					      const struct sh_frontend *fe, __u32 found)
{
	__u64 age = last ? jiffies - last->jiffies : 0;

	if (last && !found)
		found = age > (__u64)fe->affinity_seconds * sh_config.hz ? SH_AFFINITY_OLD
									 : SH_AFFINITY_AWAY;
	sh_trace_args(SH_TRACE_AFFINITY, found, last ? last->backend : 0, fe->affinity_seconds,
		      (__u32)age / sh_config.hz);
}

/*
 * With affinity the backend that this client had, if it is in the set that the
 * packet may use (@in) and the client's last new connection is not too long
 * ago; else one of @table. Either is remembered from now on. Without affinity
 * it is one of @table.
 */
static __always_inline struct sh_backend *sh_select_backend(const struct sh_choice *c,
							    const struct sh_frontend *fe,
							    const struct sh_table *table, __u16 in)
{
	struct sh_affinity_key key = {
		.client = c->client,
		.service = fe->service,
		.socket = c->cookie != 0,
	};
	struct sh_affinity now = { .jiffies = bpf_jiffies64() };
	const struct sh_affinity *last = NULL;
	struct sh_backend *backend = NULL;
	__u32 found = SH_AFFINITY_NEW;

	if (sh_unlearnt(fe->affinity_seconds))
		last = bpf_map_lookup_elem(&shunt_affinity, &key);
	if (last && now.jiffies - last->jiffies <= (__u64)fe->affinity_seconds * sh_config.hz)
		backend = sh_backend_at(last->backend);
	if (backend && backend->service == fe->service && backend->flags & in)
		found = SH_AFFINITY_KEPT;
	if (sh_config.trace && fe->affinity_seconds)
		sh_trace_affinity(last, now.jiffies, fe, found);
	if (!found)
		backend = sh_select(c, fe, table);
	if (!sh_unlearnt(fe->affinity_seconds))
		return backend;
	if (backend) {
		now.backend = backend->id;
		bpf_map_update_elem(&shunt_affinity, &key, &now, BPF_ANY);
		sh_tell_choice(c,
			       SH_WHAT(SH_EVENT_AFFINITY,
				       found == SH_AFFINITY_KEPT ? SH_EVENT_KEPT : 0, 0),
			       fe->service, backend->id, SH_PLACE);
	}
	return backend;
}

static __always_inline void sh_trace_source(const struct sh_choice *c, __u32 found)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_SOURCE);

	if (!record)
		return;
	record->arg[0] = c->sourceless ? SH_SOURCE_UNKNOWN : found;
	record->src = c->source;
}

static __always_inline void sh_trace_backend(const struct sh_backend *backend)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_BACKEND);

	if (!record)
		return;
	record->arg[0] = backend->id;
	record->arg[1] = backend->flags;
	record->arg[2] = backend->service;
	record->dst = backend->addr;
	record->dport = backend->port;
}

/* Is the client within loadBalancerSourceRanges? */
static __always_inline bool sh_source_allowed(const struct sh_choice *c, __u32 service)
{
	struct sh_srcrange_key key = {
		.prefix = 32 + 128,
		.service = service,
		.addr = c->source,
	};
	bool found = bpf_map_lookup_elem(&shunt_srcranges, &key);

	if (sh_config.trace)
		sh_trace_source(c, found);
	return found;
}

/* No frontend at this address and port. Is the address ours all the same? */
static __always_inline enum sh_verdict sh_choose_none(const struct sh_choice *c)
{
	const struct sh_frontend *fe = sh_frontend_at(&c->virt, 0, 0);
	bool v6 = !sh_addr_is_v4(&c->virt);
	__u64 word[2];

	if (fe && (fe->flags & SH_FE_KIND_MASK) == SH_FE_CLUSTER_IP)
		return sh_reject(c, fe->service, SH_REASON_UNKNOWN_PORT);
	if (fe) /* another proxy's, or an outside address: not ours to judge */
		return SH_PASS;
	sh_word_from_addr(word, &c->virt, v6);
	if (v6 ? sh_in_nets(&sh_config.service_cidrs, word, true)
	       : sh_in_nets(&sh_config.service_cidrs, word, false))
		return sh_drop(c, 0, SH_REASON_UNALLOCATED);
	return SH_PASS;
}

/*
 * Answer @c. @return SH_NEXT: a backend was chosen; SH_PASS: no frontend of
 * ours; SH_DROP, SH_REJECT: counted.
 */
__noinline int sh_choose(struct sh_choice *c)
{
	const struct sh_frontend *fe;
	const struct sh_backend *backend;
	struct sh_table table;
	bool local;

	if (!c)
		return SH_PASS;
	fe = sh_frontend_at(&c->virt, c->port, c->proto);
	if (!fe)
		fe = sh_node_port_at(c);
	if (!fe) {
		if (sh_config.trace)
			sh_trace_args(SH_TRACE_FRONTEND, 0, 0, 0, 0);
		return sh_choose_none(c);
	}
	c->service = fe->service;
	c->flags = fe->flags;
	c->algorithm = fe->algorithm;
	if (sh_config.trace)
		sh_trace_args(SH_TRACE_FRONTEND, fe->service, fe->flags, fe->algorithm,
			      fe->affinity_seconds);
	if (fe->flags & SH_FE_SOURCE_RANGES) {
		if (c->sourceless) {
			if (sh_config.trace)
				sh_trace_source(c, 0);
			return SH_PASS; /* its packets will tell */
		}
		if (!sh_source_allowed(c, fe->service))
			return sh_drop(c, fe->service, SH_REASON_SOURCE_RANGE);
	}
	/* From inside, an outside frontend leads to the whole cluster. */
	local = fe->flags & SH_FE_LOCAL_ONLY &&
		!((fe->flags & SH_FE_KIND_MASK) != SH_FE_CLUSTER_IP && c->local_client);
	table = local ? fe->local : fe->cluster;
	if (sh_config.trace)
		sh_trace_args(SH_TRACE_POLICY, local, c->local_client, table.base, table.size);
	if (!table.size) {
		if (fe->flags & SH_FE_ANY_USABLE)
			return sh_drop(c, fe->service, SH_REASON_NO_LOCAL);
		return sh_reject(c, fe->service, SH_REASON_NO_BACKEND);
	}
	backend = sh_select_backend(c, fe, &table, local ? SH_BE_IN_LOCAL : SH_BE_IN_CLUSTER);
	if (!backend)
		return sh_drop(c, fe->service, SH_REASON_BACKEND_STALE);
	if (sh_config.trace)
		sh_trace_backend(backend);
	c->backend_addr = backend->addr;
	c->backend_port = backend->port;
	c->backend_flags = backend->flags;
	c->backend = backend->id;
	return SH_NEXT;
}

#endif
