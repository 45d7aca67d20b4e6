/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts new addresses and ports into a packet and mends its checksums by
 * difference (RFC 1624, equation 3).
 */
#ifndef SHUNT_BPF_REWRITE_H
#define SHUNT_BPF_REWRITE_H

#include "parse.h"

static __always_inline void sh_rewrite_from(struct sh_rewrite *rw, const struct sh_flow *flow,
					    const bool v6)
{
	const __u64 *addrs = (const __u64 *)&((const struct sh_flow6 *)flow)->to_saddr;

	rw->src[0] = v6 ? addrs[0] : 0;
	rw->src[1] = v6 ? addrs[1] : flow->to_saddr;
	rw->dst[0] = v6 ? addrs[2] : 0;
	rw->dst[1] = v6 ? addrs[3] : flow->to_daddr;
	rw->ports = *(const __u32 *)&flow->to_sport;
	rw->delta.addrs = flow->addr_delta;
	rw->delta.all = flow->l4_delta;
	rw->proto = flow->proto;
}

/* Hop: one less to live, as any router takes it. */
static __always_inline void sh_rewrite_l3(sh_ctx *ctx, struct sh_pkt *pkt,
					  const struct sh_rewrite *rw, bool hop, const bool v6)
{
	struct ipv6hdr *ip6 = pkt->l3;
	struct iphdr *ip = pkt->l3;
	__u32 delta = rw->delta.addrs;

	if (v6) {
		for (int i = 0; i < 2; i++) {
			((__u64 *)&ip6->addrs.saddr)[i] = rw->src[i];
			((__u64 *)&ip6->addrs.daddr)[i] = rw->dst[i];
		}
		if (hop) {
			ip6->hop_limit--;
			sh_ctx_sum_changed(ctx, (__u16)~bpf_htons(1));
		}
		return;
	}
	ip->addrs.saddr = (__be32)rw->src[1];
	ip->addrs.daddr = (__be32)rw->dst[1];
	if (hop) {
		ip->ttl--;
		delta += (__u16)~bpf_htons(0x0100);
	}
	ip->check = sh_csum_apply(ip->check, delta);
}

static __always_inline bool sh_rewrite_l4(sh_ctx *ctx, struct sh_pkt *pkt,
					  const struct sh_rewrite *rw, const bool v6)
{
	struct udphdr *udp;
	struct tcphdr *tcp;

	/* A later fragment has neither; SCTP's CRC covers its ports, which are the same. */
	if (pkt->later_fragment || rw->proto == IPPROTO_SCTP) {
		if (v6)
			sh_ctx_sum_changed(ctx, rw->delta.addrs);
		return true;
	}
	if (rw->proto == IPPROTO_UDP) {
		udp = sh_l4(ctx, pkt, sizeof(*udp));
		if (!udp)
			return false;
		*(__u32 *)udp = rw->ports;
		return sh_ctx_l4_csum(ctx, &udp->check, &rw->delta, true, v6);
	}
	tcp = sh_l4(ctx, pkt, sizeof(*tcp));
	if (!tcp)
		return false;
	*(__u32 *)tcp = rw->ports;
	return sh_ctx_l4_csum(ctx, &tcp->check, &rw->delta, false, v6);
}

#endif
