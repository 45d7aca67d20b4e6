/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A new flow: a backend for it, a source address and port where it needs one,
 * and its two entries in the flow table.
 */
#ifndef SHUNT_BPF_BIND_H
#define SHUNT_BPF_BIND_H

#include "forward.h"
#include "frontend.h"
#include "parse.h"

#define SH_PORT_TRIES 32

/* Would a socket of the host never use this source port of its own accord? */
static __always_inline bool sh_port_keepable(__be16 sport)
{
	__u16 port = bpf_ntohs(sport);

	return (port >= sh_config.snat_min && port <= sh_config.snat_max) ||
	       (port >= 1024 && (port < sh_config.host_min || port > sh_config.host_max));
}

static __always_inline __be16 sh_port_draw(void)
{
	__u32 n = (__u32)sh_config.snat_max - sh_config.snat_min + 1;

	return bpf_htons(
		(__u16)(sh_config.snat_min + (__u32)((__u64)bpf_get_prandom_u32() * n >> 32)));
}

static __always_inline void sh_reverse(struct sh_entry *reply, const struct sh_entry *entry)
{
	reply->from = (struct sh_key){
		.src = { entry->to.dst[0], entry->to.dst[1] },
		.dst = { entry->to.src[0], entry->to.src[1] },
		.sport = entry->to.dport,
		.dport = entry->to.sport,
		.proto = entry->from.proto,
		.direction = entry->to.direction,
	};
	reply->to = (struct sh_key){
		.src = { entry->from.dst[0], entry->from.dst[1] },
		.dst = { entry->from.src[0], entry->from.src[1] },
		.sport = entry->from.dport,
		.dport = entry->from.sport,
		.proto = entry->from.proto,
		.direction = entry->from.direction,
	};
	reply->backend = entry->backend;
	reply->keep = ~0u;
	reply->flags = entry->flags | SH_FLOW_REPLY;
}

/*
 * The reverse of @entry. @return its index; -EEXIST: another flow has it;
 * -EAGAIN; -ENOSPC
 */
static __always_inline int sh_bind_reply(const struct sh_entry *entry, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	int index;

	if (!scratch)
		return -ENOSPC;
	sh_reverse(&scratch->reply, entry);
	index = sh_insert_any(&scratch->reply, v6);
	if (index != -EEXIST)
		return index;
	index = sh_search_any(&scratch->reply.from, v6);
	return sh_says(index, &scratch->reply, v6) ? index : -EEXIST;
}

__noinline int sh_bind_reply4(const struct sh_entry *entry)
{
	return entry ? sh_bind_reply(entry, false) : -ENOSPC;
}

__noinline int sh_bind_reply6(const struct sh_entry *entry)
{
	return entry ? sh_bind_reply(entry, true) : -ENOSPC;
}

/*
 * The reverse entry, under a source port that no other flow to this backend
 * has: the client's own where it is free, else one that no socket of the host
 * takes. That goes for a client whose address is kept, too: it may reach one
 * backend from one port by way of two Services.
 * @return its index, or negative; entry->to.sport is the port
 */
static __always_inline int sh_bind_port(struct sh_entry *entry, const bool v6)
{
	int index = -EEXIST;

	for (int i = 0; i < SH_PORT_TRIES && (index == -EEXIST || index == -EAGAIN); i++) {
		if (index == -EAGAIN) {
			/* Another CPU was just at this very port: now it is done. */
		} else if (entry->from.proto == IPPROTO_SCTP) { /* its checksum covers the ports */
			if (i)
				break;
		} else if (i ||
			   (entry->flags & SH_FLOW_SNAT && !sh_port_keepable(entry->from.sport))) {
			entry->to.sport = sh_port_draw();
		}
		index = v6 ? sh_bind_reply6(entry) : sh_bind_reply4(entry);
	}
	return index;
}

static __always_inline void sh_unbind(int index, const bool v6)
{
	struct sh_hit hit;

	if (sh_hit_at((__u32)index, &hit, v6) && sh_state(hit.word) == SH_NEW)
		sh_end((__u32)index, hit.word, v6);
}

/*
 * The forward entry; @entry's own, or that of another CPU which has just bound
 * this flow: its choice stands then. @return its index, -EAGAIN or -ENOSPC
 */
static __always_inline int sh_bind_forward(const struct sh_entry *entry, bool *theirs,
					   const bool v6)
{
	int index;

	for (int i = 0; i < SH_PORT_TRIES; i++) {
		index = sh_insert_any(entry, v6);
		if (index >= 0 || index == -ENOSPC)
			return index;
		index = sh_search_any(&entry->from, v6);
		if (index >= 0) {
			*theirs = true;
			return index;
		}
	}
	return -EAGAIN;
}

/* Both entries. @return the index of the forward one; -EEXIST (no port), -EAGAIN, -ENOSPC */
static __always_inline int sh_bind(struct sh_entry *entry, const bool v6)
{
	struct sh_backend *backend;
	bool theirs = false;
	struct sh_hit hit;
	int reply, index;

	reply = sh_bind_port(entry, v6);
	if (reply < 0)
		return reply;
	entry->keep = (__u32)reply;
	index = sh_bind_forward(entry, &theirs, v6);
	if (index < 0 || theirs) {
		if (index < 0 || !sh_says(index, entry, v6))
			sh_unbind(reply, v6);
		return index;
	}
	backend = sh_backend_at(entry->backend);
	if (backend) {
		__sync_fetch_and_add(&backend->live, 1);
		__sync_fetch_and_add(&backend->connections, 1);
	}
	if (sh_hit_at((__u32)index, &hit, v6))
		sh_report(hit.flow, SH_EVENT_NEW, v6);
	return index;
}

__noinline int sh_bind4(struct sh_entry *entry)
{
	return entry ? sh_bind(entry, false) : -ENOSPC;
}

__noinline int sh_bind6(struct sh_entry *entry)
{
	return entry ? sh_bind(entry, true) : -ENOSPC;
}

/* The address that masquerading takes on @ifindex; where it has none, the node's. */
static __always_inline bool sh_source_address(__u32 ifindex, __u64 word[2], const bool v6)
{
	const struct sh_device *dev = bpf_map_lookup_elem(&shunt_devices, &ifindex);
	__u32 node = 0;

	for (int i = 0; i < 2; i++) {
		if (dev) {
			sh_word_from_addr(word, v6 ? &dev->addr6 : &dev->addr4, v6);
			if (word[0] | word[1])
				return true;
		}
		dev = bpf_map_lookup_elem(&shunt_devices, &node);
	}
	return false;
}

/* Is the client of a packet that came in here a pod of this node? */
static __always_inline bool sh_local_client(const sh_ctx *ctx)
{
	const struct sh_device *dev;
	__u32 ifindex;

	if (SH_CTX_XDP) /* only on uplinks */
		return false;
	ifindex = sh_ctx_ifindex(ctx);
	dev = bpf_map_lookup_elem(&shunt_devices, &ifindex);
	return dev && dev->role == SH_ROLE_WORKLOAD;
}

/*
 * Why SNAT: where the reply would not pass this node by itself: backend elsewhere
 * and client too; a pod that reaches itself (hairpin), which would answer
 * itself without ever leaving its namespace; and a client outside the cluster
 * that has come by a ClusterIP, which only nodes of the cluster know.
 */
static __always_inline enum sh_snat sh_wants_snat(const struct sh_entry *entry,
						  const struct sh_choice *choice, const bool v6)
{
	if (entry->to.src[0] == entry->to.dst[0] && entry->to.src[1] == entry->to.dst[1])
		return SH_SNAT_HAIRPIN;
	if (sh_config.masquerade_all)
		return SH_SNAT_ALL;
	if (choice->local_client)
		return SH_SNAT_NONE;
	if (!(choice->backend_flags & SH_BE_LOCAL))
		return SH_SNAT_REMOTE;
	if ((choice->flags & SH_FE_KIND_MASK) == SH_FE_CLUSTER_IP &&
	    !sh_in_nets(&sh_config.cluster_cidrs, entry->from.src, v6))
		return SH_SNAT_OUTSIDE;
	return SH_SNAT_NONE;
}

static __always_inline void sh_trace_masquerade(const struct sh_scratch *scratch, enum sh_snat why,
						int fib, const bool v6)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_MASQUERADE);

	if (!record)
		return;
	record->arg[0] = why;
	record->arg[1] = why ? scratch->route.ifindex : 0;
	record->arg[2] = (__u32)fib;
	sh_addr_from_word(&record->src, scratch->entry.to.src, v6);
}

static __always_inline void sh_trace_bind(const struct sh_entry *entry, int index)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_BIND);

	if (!record)
		return;
	record->arg[0] = (__u32)index;
	record->sport = entry->to.sport;
	record->dport = entry->to.dport;
}

static __always_inline enum sh_verdict sh_masquerade(sh_ctx *ctx, struct sh_scratch *scratch,
						     const bool v6)
{
	const struct sh_choice *choice = &scratch->choice;
	struct sh_route *route = &scratch->route;
	struct sh_entry *entry = &scratch->entry;
	enum sh_snat why = sh_wants_snat(entry, choice, v6);
	int ret;

	if (!why) {
		if (sh_config.trace)
			sh_trace_masquerade(scratch, why, 0, v6);
		return SH_NEXT;
	}
	route->key = entry->to;
	route->ifindex = sh_ctx_ifindex(ctx);
	route->bytes = 0;
	ret = v6 ? sh_route6(ctx, route) : sh_route4(ctx, route);
	if (ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH) {
		if (sh_config.trace)
			sh_trace_masquerade(scratch, why, ret, v6);
		return SH_CTX_XDP ? SH_PUNT : sh_drop(choice, choice->service, SH_REASON_NO_ROUTE);
	}
	if (!sh_source_address(route->ifindex, entry->to.src, v6))
		return sh_drop(choice, choice->service, SH_REASON_SNAT_NO_ADDRESS);
	if (sh_config.trace)
		sh_trace_masquerade(scratch, why, ret, v6);
	entry->flags = SH_FLOW_SNAT | SH_FLOW_FORWARD;
	entry->to.direction = SH_INGRESS;
	return SH_NEXT;
}

/* Choose and bind. @return SH_NEXT and *@index, or the packet's end */
static __always_inline enum sh_verdict sh_new_flow(sh_ctx *ctx, const struct sh_pkt *pkt,
						   __u32 *index, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_choice *choice;
	struct sh_entry *entry;
	enum sh_verdict verdict;
	int ret;

	if (!scratch)
		return SH_PASS;
	choice = &scratch->choice;
	entry = &scratch->entry;
	entry->from = pkt->key;
	scratch->ifindex = sh_ctx_ifindex(ctx);
	if (sh_config.trace) {
		sh_trace_packet(&entry->from, true, v6);
		sh_trace_args(SH_TRACE_FLOW, SH_FREE, 0, 0, 0);
	}
	ret = sh_search_any(&entry->from, v6); /* it may have been bound just now */
	if (ret >= 0)
		goto out;
	sh_ask(choice, &pkt->key, v6);
	/* IPv4 in IPv6's clothes (RFC 4291 2.5.5.2) is on no wire: it would pass for IPv4 here. */
	if (v6 && (sh_addr_is_v4(&choice->client) || sh_addr_is_v4(&choice->virt)))
		return sh_drop(choice, 0, SH_REASON_MALFORMED);
	choice->source = choice->client;
	choice->local_client = sh_local_client(ctx);
	verdict = sh_choose(choice);
	if (verdict)
		return verdict;
	entry->to = entry->from;
	sh_word_from_addr(entry->to.dst, &choice->backend_addr, v6);
	entry->to.dport = choice->backend_port;
	entry->to.direction = SH_EGRESS;
	entry->backend = choice->backend;
	entry->keep = ~0u;
	entry->flags = 0;
	verdict = sh_masquerade(ctx, scratch, v6);
	if (verdict)
		return verdict;
	ret = v6 ? sh_bind6(entry) : sh_bind4(entry);
	if (sh_config.trace)
		sh_trace_bind(entry, ret);
	if (ret == -EEXIST)
		return sh_drop(choice, choice->service, SH_REASON_SNAT_EXHAUSTED);
	if (ret == -EAGAIN)
		return sh_drop(choice, choice->service, SH_REASON_FLOW_CONTENDED);
	if (ret < 0)
		return sh_drop(choice, choice->service, SH_REASON_FLOW_TABLE_FULL);
out:
	*index = (__u32)ret;
	return SH_NEXT;
}

#endif
