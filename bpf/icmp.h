/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6: an error that quotes a packet of one of our flows goes to
 * whoever sent that packet, with the quote as he sent it (RFC 5508 section 4);
 * a ping of a virtual address is answered. TC only.
 *
 * The quoted packet is what stood on the wire behind us. Turned round it is
 * the key of the flow that comes from there: what that flow's rewrite makes of
 * its own packets, turned round once more, is what the sender knows.
 */
#ifndef SHUNT_BPF_ICMP_H
#define SHUNT_BPF_ICMP_H

#include "forward.h"
#include "filter.h"
#include "reject.h"
#include "rewrite.h"

#define SH_ICMP_ECHO_REPLY 0
#define SH_ICMP_ECHO	   8
#define SH_ICMP_PARAMETER  12
#define SH_ICMP6_PARAMETER 4
#define SH_ICMP6_ECHO	   128

static __always_inline bool sh_icmp_is_error(__u8 type, const bool v6)
{
	if (v6)
		return type >= SH_ICMP6_UNREACHABLE && type <= SH_ICMP6_PARAMETER;
	return type == SH_ICMP_UNREACHABLE || type == SH_ICMP_TIME_EXCEEDED ||
	       type == SH_ICMP_PARAMETER;
}

static __always_inline int sh_ping_unanswered(sh_ctx *ctx, const struct sh_question *q,
					      __u32 service, const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();

	if (!scratch)
		return SH_PASS;
	sh_ask(&scratch->choice, &q->key, v6);
	return sh_drop(&scratch->choice, service, SH_REASON_ANSWER_LIMIT);
}

/* In place: addresses change places, which no checksum minds, and the type changes. */
static __always_inline int sh_ping_answer(sh_ctx *ctx, struct sh_question *q, struct icmphdr *icmp,
					  const bool v6)
{
	const struct sh_frontend *fe;
	struct sh_addr virt;
	void *l3 = sh_answer_at(ctx, q, v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	struct ipv6hdr *ip6 = l3;
	struct iphdr *ip = l3;
	struct in6_addr swap6;
	__be32 swap;

	if (!sh_config.ping_vips)
		return SH_PASS;
	sh_addr_from_word(&virt, q->key.dst, v6);
	fe = sh_frontend_at(&virt, 0, 0);
	if (!fe || !(fe->flags & SH_FE_PING))
		return SH_PASS;
	if (!l3)
		return SH_PASS;
	if (!sh_answer_allowed())
		return sh_ping_unanswered(ctx, q, fe->service, v6);
	if (v6) {
		swap6 = ip6->addrs.saddr;
		ip6->addrs.saddr = ip6->addrs.daddr;
		ip6->addrs.daddr = swap6;
		icmp->type = SH_ICMP6_ECHO + 1;
		icmp->checksum = sh_csum_apply(icmp->checksum, bpf_htons(0x0100));
	} else {
		swap = ip->addrs.saddr;
		ip->addrs.saddr = ip->addrs.daddr;
		ip->addrs.daddr = swap;
		icmp->type = SH_ICMP_ECHO_REPLY;
		icmp->checksum =
			sh_csum_apply(icmp->checksum, (__u16)~bpf_htons(SH_ICMP_ECHO << 8));
	}
	sh_swap_macs(ctx);
	if (q->key.direction == SH_INGRESS)
		return sh_answer_leave(ctx);
	/* The node's own ping, on its way out: back to it, as if it came from there. */
	bpf_redirect(sh_ctx_ifindex(ctx), BPF_F_INGRESS);
	return SH_FORWARD;
}

/* The quoted packet, as far as it is there. */
struct sh_quote {
	void *outer;	      /* the L3 header of the error */
	struct icmphdr *icmp; /* and its ICMP header */
	void *l3;
	void *l4;
	__u32 l4_bytes;
	__u32 change;	    /* of its sum, when it was rewritten */
	struct sh_key *key; /* turned round; in the scratch */
};

static __always_inline bool sh_quote_parse(sh_ctx *ctx, const struct sh_question *q,
					   struct sh_quote *quote, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	void *data = sh_ctx_data(ctx), *end = sh_ctx_end(ctx);
	struct ipv6hdr *ip6;
	struct udphdr *ports;
	struct iphdr *ip;
	__u32 len;

	quote->l3 = data + (q->l4 & 255) + sizeof(struct icmphdr);
	ip = quote->l3;
	ip6 = quote->l3;
	quote->l4 = quote->l3 + header;
	ports = quote->l4;
	if ((void *)(ports + 1) > end)
		return false;
	if (v6) {
		for (int i = 0; i < 2; i++) {
			quote->key->src[i] = ((__u64 *)&ip6->addrs.daddr)[i];
			quote->key->dst[i] = ((__u64 *)&ip6->addrs.saddr)[i];
		}
		quote->key->proto = ip6->nexthdr;
	} else {
		if (ip->version_ihl != 0x45 || ip->frag_off & bpf_htons(IP_OFFSET))
			return false;
		quote->key->src[0] = quote->key->dst[0] = 0;
		quote->key->src[1] = ip->addrs.daddr;
		quote->key->dst[1] = ip->addrs.saddr;
		quote->key->proto = ip->protocol;
	}
	/* What a short frame is padded with is no part of the quote. */
	len = q->l3_bytes - (q->l4 - q->l3) - sizeof(struct icmphdr) - header;
	quote->l4_bytes = len;
	quote->key->sport = ports->dest;
	quote->key->dport = ports->source;
	quote->key->direction = q->key.direction;
	quote->key->pad = 0;
	return quote->key->proto == IPPROTO_TCP || quote->key->proto == IPPROTO_UDP;
}

static __always_inline __u32 sh_csum_change(__sum16 before, __sum16 after)
{
	return (__u32)(__u16)~before + after;
}

/* The quote as its sender knows it. */
static __always_inline void sh_quote_rewrite(sh_ctx *ctx, struct sh_quote *quote,
					     const struct sh_rewrite *rw, const bool v6)
{
	struct ipv6hdr *ip6 = quote->l3;
	struct iphdr *ip = quote->l3;
	struct tcphdr *tcp = quote->l4;
	struct udphdr *udp = quote->l4;
	__u32 change = rw->delta.all;
	__sum16 before;

	if (v6) {
		for (int i = 0; i < 2; i++) {
			((__u64 *)&ip6->addrs.saddr)[i] = rw->dst[i];
			((__u64 *)&ip6->addrs.daddr)[i] = rw->src[i];
		}
	} else {
		before = ip->check;
		ip->addrs.saddr = (__be32)rw->dst[1];
		ip->addrs.daddr = (__be32)rw->src[1];
		ip->check = sh_csum_apply(before, rw->delta.addrs);
		change += sh_csum_change(before, ip->check);
	}
	udp->source = (__be16)(rw->ports >> 16);
	udp->dest = (__be16)rw->ports;
	if (quote->key->proto == IPPROTO_UDP && udp->check) {
		before = udp->check;
		udp->check = sh_csum_apply(before, rw->delta.all);
		change += sh_csum_change(before, udp->check);
	} else if (quote->key->proto == IPPROTO_TCP &&
		   quote->l4_bytes >= __builtin_offsetof(struct tcphdr, urg_ptr) &&
		   (void *)(tcp + 1) <= sh_ctx_end(ctx)) {
		before = tcp->check;
		tcp->check = sh_csum_apply(before, rw->delta.all);
		change += sh_csum_change(before, tcp->check);
	}
	quote->change = change;
}

/* The error itself goes where the flow's own packets go. */
static __always_inline void sh_error_rewrite(struct sh_question *q, const struct sh_quote *quote,
					     const struct sh_rewrite *rw, const bool v6)
{
	struct ipv6hdr *ip6 = quote->outer;
	struct iphdr *ip = quote->outer;
	__u32 change = quote->change;
	__u64 delta = 0;

	/* From the endpoint itself, or past us as its masquerader: under our name for it. */
	if ((q->key.src[0] == q->from[0] && q->key.src[1] == q->from[1]) || q->masquerade) {
		q->key.src[0] = rw->src[0];
		q->key.src[1] = rw->src[1];
	}
	q->key.dst[0] = rw->dst[0];
	q->key.dst[1] = rw->dst[1];
	if (v6) {
		delta = (__u32)~sh_csum_fold(sh_sum(&ip6->addrs, 32)) & 0xffff;
		for (int i = 0; i < 2; i++) {
			((__u64 *)&ip6->addrs.saddr)[i] = q->key.src[i];
			((__u64 *)&ip6->addrs.daddr)[i] = q->key.dst[i];
		}
		delta += sh_csum_fold(sh_sum(&ip6->addrs, 32));
		change += (__u32)delta;
	} else {
		delta = (__u32)~sh_csum_fold(sh_sum(&ip->addrs, 8)) & 0xffff;
		ip->addrs.saddr = (__be32)q->key.src[1];
		ip->addrs.daddr = (__be32)q->key.dst[1];
		delta += sh_csum_fold(sh_sum(&ip->addrs, 8));
		ip->check = sh_csum_apply(ip->check, (__u32)delta);
	}
	quote->icmp->checksum =
		sh_csum_apply(quote->icmp->checksum, (change & 0xffff) + (change >> 16));
}

static __always_inline int sh_icmp_error(sh_ctx *ctx, struct sh_question *q, struct icmphdr *icmp,
					 const bool v6)
{
	struct sh_scratch *scratch = sh_scratch();
	void *l3 = sh_answer_at(ctx, q, v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	struct sh_quote quote;
	struct sh_rewrite *rw;
	struct sh_hit hit;
	bool forward;
	int index, ret;

	if (!scratch || !l3)
		return SH_PASS;
	quote.outer = l3;
	quote.icmp = icmp;
	quote.key = &scratch->key;
	rw = &scratch->rewrite;
	if (!sh_quote_parse(ctx, q, &quote, v6) || !sh_filter_maybe(quote.key, v6))
		return SH_PASS;
	index = sh_search_any(&scratch->key, v6);
	if (index < 0 || !sh_hit_at((__u32)index, &hit, v6))
		return SH_PASS;
	sh_rewrite_from(rw, hit.flow, v6);
	forward = hit.flow->flags & SH_FLOW_FORWARD;
	q->masquerade = (hit.flow->flags & (SH_FLOW_SNAT | SH_FLOW_REPLY)) == SH_FLOW_SNAT;
	q->from[0] = quote.key->src[0];
	q->from[1] = quote.key->src[1];
	if (!sh_hit_holds(&hit, rw->src[1] | rw->dst[1] | rw->ports))
		return SH_PASS;
	sh_quote_rewrite(ctx, &quote, rw, v6);
	sh_error_rewrite(q, &quote, rw, v6);
	if (!forward)
		return SH_PASS;
	scratch->route.key = q->key;
	scratch->route.ifindex = sh_ctx_ifindex(ctx);
	scratch->route.bytes = 0;
	ret = v6 ? sh_route6(ctx, &scratch->route) : sh_route4(ctx, &scratch->route);
	if (ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH)
		return sh_drop_flow(hit.flow, SH_REASON_NO_ROUTE, v6);
	bpf_redirect_neigh(scratch->route.ifindex, NULL, 0, 0);
	return SH_FORWARD;
}

static __always_inline int sh_icmp(sh_ctx *ctx, struct sh_question *q, const bool v6)
{
	struct icmphdr *icmp = sh_ctx_data(ctx) + (q->l4 & 255);

	if ((void *)(icmp + 1) > sh_ctx_end(ctx))
		return SH_PASS;
	if (icmp->type == (v6 ? SH_ICMP6_ECHO : SH_ICMP_ECHO))
		return sh_ping_answer(ctx, q, icmp, v6);
	return sh_icmp_is_error(icmp->type, v6) ? sh_icmp_error(ctx, q, icmp, v6) : SH_PASS;
}

__noinline int sh_icmp4(sh_ctx *ctx, struct sh_question *q)
{
	return q ? sh_icmp(ctx, q, false) : SH_PASS;
}

__noinline int sh_icmp6(sh_ctx *ctx, struct sh_question *q)
{
	return q ? sh_icmp(ctx, q, true) : SH_PASS;
}

#endif
