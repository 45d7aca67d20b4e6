/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to a key. A cursor walks the headers; each step checks its bounds
 * right above its access.
 */
#ifndef SHUNT_BPF_PARSE_H
#define SHUNT_BPF_PARSE_H

#include "scratch.h"

#define SH_VLANS_MAX	    2 /* IEEE 802.1ad: one in another */
#define SH_IPV6_HEADERS_MAX 6 /* extension headers before we give up */

/* A parsed packet. Pointers are good until something moves the packet. */
struct sh_pkt {
	struct sh_key key;
	void *l3;
	__u32 l4;    /* where it begins, from there */
	__u16 proto; /* of L3: ETH_P_IP, ETH_P_IPV6, else nothing of ours; host order */
	__u8 tcp_flags;
	__be16 fragment, later_fragment; /* not 0: is one; is not the first one, has no ports */
	__u32 fragment_id;		 /* as it stands in the packet */
};

struct sh_cursor {
	void *pos, *end;
};

/* The next @size bytes, or NULL. */
static __always_inline void *sh_take(struct sh_cursor *cursor, __u32 size)
{
	void *at = cursor->pos;

	if (at + size > cursor->end)
		return NULL;
	cursor->pos = at + size;
	return at;
}

_Static_assert(SH_VLANS_MAX == 2, "sh_parse_eth() takes that many");

static __always_inline bool sh_is_tag(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

static __always_inline bool sh_parse_eth(struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct ethhdr *eth = sh_take(cursor, sizeof(*eth));
	struct vlan_hdr *vlan;
	__u64 tags; /* their bytes */
	__be16 proto;

	if (!eth)
		return false;
	proto = eth->h_proto;
	tags = sh_unlearnt_zero(proto);
	if (sh_is_tag(proto)) {
		vlan = cursor->pos;
		if ((void *)(vlan + 1) > cursor->end)
			return false;
		proto = vlan->h_vlan_encapsulated_proto;
		tags += sizeof(*vlan);
		if (sh_is_tag(proto)) {
			vlan++;
			if ((void *)(vlan + 1) > cursor->end)
				return false;
			proto = vlan->h_vlan_encapsulated_proto;
			tags += sizeof(*vlan);
		}
	}
	cursor->pos += sh_opaque(tags) & 12;
	pkt->l3 = cursor->pos;
	pkt->proto = bpf_ntohs(proto);
	return true;
}

static __always_inline bool sh_parse_ipv4(struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct iphdr *ip = sh_take(cursor, sizeof(*ip));
	__u32 header;

	if (!ip || ip->version_ihl >> 4 != 4)
		return false;
	header = (ip->version_ihl & 0xf) << 2;
	if (header < sizeof(*ip))
		return false;
	pkt->l4 = header; /* whoever reads there checks that it is there */
	pkt->key.src[1] = ip->addrs.saddr;
	pkt->key.dst[1] = ip->addrs.daddr;
	pkt->key.proto = ip->protocol;
	pkt->fragment = ip->frag_off & bpf_htons(IP_MF | IP_OFFSET);
	pkt->later_fragment = ip->frag_off & bpf_htons(IP_OFFSET);
	pkt->fragment_id = ip->id;
	return true;
}

/*
 * Past the extension headers at @offset of the frame, the first of type @next
 * (RFC 8200 section 4). A function of its own: the verifier goes through its
 * paths once, and not once more for each of them through all that follows.
 * @return false: cut short, or too many
 */
static __always_inline bool sh_skip_headers(sh_ctx *ctx, struct sh_headers *h)
{
	struct sh_cursor cursor;
	struct ipv6_opt_hdr *opt;
	struct frag_hdr *frag;

	for (int i = 0; i < SH_IPV6_HEADERS_MAX; i++) {
		if (h->offset > SH_HEADER_BYTES)
			return false;
		cursor.pos = sh_ctx_data(ctx) + h->offset;
		cursor.end = sh_ctx_end(ctx);
		if (h->next == IPPROTO_FRAGMENT) {
			frag = sh_take(&cursor, sizeof(*frag));
			if (!frag)
				return false;
			/* Alone it is none: RFC 6946. */
			h->fragment = frag->frag_off & bpf_htons(0xfff9);
			h->later_fragment = frag->frag_off & bpf_htons(0xfff8);
			h->fragment_id = frag->identification;
			h->next = frag->nexthdr;
			h->offset += sizeof(*frag);
			if (h->later_fragment)
				break;
		} else if (h->next == IPPROTO_HOPOPTS || h->next == IPPROTO_ROUTING ||
			   h->next == IPPROTO_DSTOPTS) {
			opt = sh_take(&cursor, sizeof(*opt));
			if (!opt)
				return false;
			h->next = opt->nexthdr;
			h->offset += (opt->hdrlen + 1) * 8;
		} else {
			break;
		}
	}
	return true;
}

__noinline int sh_skip_ipv6_headers(sh_ctx *ctx, struct sh_headers *h)
{
	return h && sh_skip_headers(ctx, h);
}

static __always_inline bool sh_has_ports(__u64 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static __always_inline bool sh_parse_ipv6(sh_ctx *ctx, struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct ipv6hdr *ip = sh_take(cursor, sizeof(*ip));
	struct sh_scratch *scratch;
	struct sh_headers *h;
	__u64 next;
	__u32 l3;

	if (!ip || (ip->flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	for (int i = 0; i < 2; i++) {
		pkt->key.src[i] = ((__u64 *)&ip->addrs.saddr)[i];
		pkt->key.dst[i] = ((__u64 *)&ip->addrs.daddr)[i];
	}
	pkt->key.proto = ip->nexthdr;
	next = sh_unlearnt(ip->nexthdr);
	pkt->fragment = pkt->later_fragment = (__be16)sh_unlearnt_zero(ip->nexthdr);
	pkt->l4 = (sizeof(*ip) + (__u32)sh_unlearnt_zero(ip->nexthdr)) & 0xfff;
	if (next == IPPROTO_TCP || next == IPPROTO_UDP)
		return true;
	scratch = sh_scratch();
	if (!scratch)
		return false;
	h = &scratch->headers;
	l3 = (__u32)sh_opaque((__u64)(pkt->l3 - sh_ctx_data(ctx)));
	h->offset = l3 + sizeof(*ip);
	h->next = ip->nexthdr;
	h->fragment = h->later_fragment = 0;
	if (!sh_skip_ipv6_headers(ctx, h))
		return false;
	pkt->key.proto = (__u8)h->next;
	pkt->fragment = h->fragment;
	pkt->later_fragment = h->later_fragment;
	pkt->fragment_id = h->fragment_id;
	pkt->l4 = (h->offset - l3) & 0xfff;
	return true;
}

/*
 * The L4 header, if @bytes of it are there: asked wherever it is read, so that what was asked
 * of one protocol's packet doesn't keep the verifier from taking another's for the same.
 */
static __always_inline void *sh_l4(const sh_ctx *ctx, const struct sh_pkt *pkt, __u32 bytes)
{
	void *l4 = pkt->l3 + sh_opaque(pkt->l4);

	return l4 + bytes > sh_ctx_end(ctx) ? NULL : l4;
}

static __always_inline bool sh_parse_l4(sh_ctx *ctx, struct sh_pkt *pkt)
{
	const struct tcphdr *tcp;
	const struct udphdr *udp;

	if (sh_unlearnt(pkt->key.proto) == IPPROTO_TCP) {
		tcp = sh_l4(ctx, pkt, sizeof(*tcp));
		if (!tcp)
			return false;
		pkt->key.sport = tcp->source;
		pkt->key.dport = tcp->dest;
		pkt->tcp_flags = tcp->flags;
		return true;
	}
	udp = sh_l4(ctx, pkt, sizeof(*udp)); /* SCTP: the same ports, and its tag */
	if (!udp)
		return false;
	pkt->key.sport = udp->source;
	pkt->key.dport = udp->dest;
	pkt->tcp_flags = (__u8)sh_unlearnt_zero(pkt->key.sport);
	return true;
}

static __always_inline bool sh_is_icmp(const struct sh_pkt *pkt, const bool v6)
{
	return sh_unlearnt(pkt->key.proto) == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* @return false: not to be read, or of no protocol of ours */
static __always_inline bool sh_parse_ip(sh_ctx *ctx, struct sh_cursor *cursor, struct sh_pkt *pkt,
					const bool v6)
{
	if (!(v6 ? sh_parse_ipv6(ctx, cursor, pkt) : sh_parse_ipv4(cursor, pkt)))
		return false;
	if (!sh_has_ports(sh_unlearnt(pkt->key.proto)))
		return sh_is_icmp(pkt, v6) && !pkt->later_fragment;
	return sh_unlearnt(pkt->later_fragment) || sh_parse_l4(ctx, pkt);
}

#endif
