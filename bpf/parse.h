/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to a key. A cursor walks the headers; each step checks its bounds
 * right above its access.
 */
#ifndef SHUNT_BPF_PARSE_H
#define SHUNT_BPF_PARSE_H

#include "key.h"

#define SH_VLANS_MAX	    2 /* IEEE 802.1ad: one in another */
#define SH_IPV6_HEADERS_MAX 6 /* extension headers before we give up */

/* A parsed packet. Pointers are good until something moves the packet. */
struct sh_pkt {
	struct sh_key key;
	struct ethhdr *eth;
	void *l3;
	__u32 *ports;	/* NULL: a fragment that is not the first has none */
	__sum16 *check; /* of TCP or UDP */
	__u16 proto;	/* of L3: ETH_P_IP, ETH_P_IPV6, else nothing of ours; host order */
	__u8 tcp_flags;
	bool later_fragment;
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

static __always_inline bool sh_parse_eth(struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct vlan_hdr *vlan;
	__be16 proto;

	pkt->eth = sh_take(cursor, sizeof(*pkt->eth));
	if (!pkt->eth)
		return false;
	proto = pkt->eth->h_proto;
	for (int i = 0; i < SH_VLANS_MAX; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		vlan = sh_take(cursor, sizeof(*vlan));
		if (!vlan)
			return false;
		proto = vlan->h_vlan_encapsulated_proto;
	}
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
	cursor->pos = pkt->l3 + header; /* whoever takes more checks that it is there */
	pkt->key.src[1] = ip->addrs.saddr;
	pkt->key.dst[1] = ip->addrs.daddr;
	pkt->key.proto = ip->protocol;
	pkt->later_fragment = ip->frag_off & bpf_htons(IP_OFFSET);
	return true;
}

/*
 * Past the extension headers at @offset of the frame, the first of type @next
 * (RFC 8200 section 4). A function of its own: the verifier goes through its
 * paths once, and not once more for each of them through all that follows.
 * @return offset, type << 16, and SH_LATER_FRAGMENT; or negative
 */
#define SH_LATER_FRAGMENT (1 << 24)

__noinline int sh_skip_ipv6_headers(sh_ctx *ctx, __u32 offset, __u32 next)
{
	struct sh_cursor cursor;
	struct ipv6_opt_hdr *opt;
	struct frag_hdr *frag;
	int later = 0;

	for (int i = 0; i < SH_IPV6_HEADERS_MAX; i++) {
		if (offset > SH_HEADER_BYTES)
			return -1;
		cursor.pos = sh_ctx_data(ctx) + offset;
		cursor.end = sh_ctx_end(ctx);
		if (next == IPPROTO_FRAGMENT) {
			frag = sh_take(&cursor, sizeof(*frag));
			if (!frag)
				return -1;
			if (frag->frag_off & bpf_htons(0xfff8))
				later = SH_LATER_FRAGMENT;
			next = frag->nexthdr;
			offset += sizeof(*frag);
		} else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			   next == IPPROTO_DSTOPTS) {
			opt = sh_take(&cursor, sizeof(*opt));
			if (!opt)
				return -1;
			next = opt->nexthdr;
			offset += (opt->hdrlen + 1) * 8;
		} else {
			break;
		}
	}
	return (int)(offset | next << 16 | (__u32)later);
}

static __always_inline bool sh_parse_ipv6(sh_ctx *ctx, struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct ipv6hdr *ip = sh_take(cursor, sizeof(*ip));
	int after;

	if (!ip || (ip->flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	for (int i = 0; i < 2; i++) {
		pkt->key.src[i] = ((__u64 *)&ip->addrs.saddr)[i];
		pkt->key.dst[i] = ((__u64 *)&ip->addrs.daddr)[i];
	}
	pkt->key.proto = ip->nexthdr;
	if (pkt->key.proto == IPPROTO_TCP || pkt->key.proto == IPPROTO_UDP)
		return true;
	after = sh_skip_ipv6_headers(ctx, (__u32)(cursor->pos - sh_ctx_data(ctx)), ip->nexthdr);
	if (after < 0)
		return false;
	pkt->key.proto = (__u8)(after >> 16);
	pkt->later_fragment = after & SH_LATER_FRAGMENT;
	cursor->pos = sh_ctx_data(ctx) + (after & 0xfff);
	return true;
}

static __always_inline bool sh_parse_l4(struct sh_cursor *cursor, struct sh_pkt *pkt)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	pkt->ports = cursor->pos;
	if (pkt->key.proto == IPPROTO_TCP) {
		tcp = sh_take(cursor, sizeof(*tcp));
		if (!tcp)
			return false;
		pkt->key.sport = tcp->source;
		pkt->key.dport = tcp->dest;
		pkt->tcp_flags = tcp->flags;
		pkt->check = &tcp->check;
		return true;
	}
	udp = sh_take(cursor, sizeof(*udp));
	if (!udp)
		return false;
	pkt->key.sport = udp->source;
	pkt->key.dport = udp->dest;
	pkt->check = &udp->check;
	return true;
}

/* @return false: not to be read, or no TCP or UDP */
static __always_inline bool sh_parse_ip(sh_ctx *ctx, struct sh_cursor *cursor, struct sh_pkt *pkt,
					const bool v6)
{
	if (!(v6 ? sh_parse_ipv6(ctx, cursor, pkt) : sh_parse_ipv4(cursor, pkt)))
		return false;
	if (pkt->key.proto != IPPROTO_TCP && pkt->key.proto != IPPROTO_UDP)
		return false;
	return pkt->later_fragment || sh_parse_l4(cursor, pkt);
}

#endif
