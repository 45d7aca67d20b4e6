/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers that we give ourselves: a TCP RST (RFC 9293 section 3.10.7.1), an
 * ICMP or ICMPv6 error (RFC 792, RFC 4443), the answer to a ping of a virtual
 * address. The packet is made into its answer in place and leaves by the
 * device it came in by. TC only; XDP leaves such packets to it.
 */
#ifndef SHUNT_BPF_REJECT_H
#define SHUNT_BPF_REJECT_H

#include "parse.h"
#include "report.h"

#define SH_ANSWER_TTL	      64
#define SH_ANSWERS_PER_SECOND 1000 /* of each CPU, as the kernel's icmp_msgs_per_sec */

#define SH_ICMP_UNREACHABLE	  3
#define SH_ICMP_PORT_UNREACHABLE  3
#define SH_ICMP_FRAG_NEEDED	  4
#define SH_ICMP_TIME_EXCEEDED	  11
#define SH_ICMP6_UNREACHABLE	  1
#define SH_ICMP6_PORT_UNREACHABLE 4
#define SH_ICMP6_TOO_BIG	  2
#define SH_ICMP6_TIME_EXCEEDED	  3

struct sh_tokens {
	__u64 jiffies;
	__u32 left;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_tokens);
} shunt_tokens SEC(".maps");

/* One more answer in this second? */
static __always_inline bool sh_answer_allowed(void)
{
	__u64 now = bpf_jiffies64();
	struct sh_tokens *tokens;
	__u32 zero = 0;

	tokens = bpf_map_lookup_elem(&shunt_tokens, &zero);
	if (!tokens)
		return false;
	if (now - tokens->jiffies >= sh_config.hz) {
		tokens->jiffies = now;
		tokens->left = SH_ANSWERS_PER_SECOND;
	}
	if (!tokens->left)
		return false;
	tokens->left--;
	return true;
}

/* @bytes: whole words of 4. A helper: the verifier would take turn after turn of a loop. */
static __always_inline __u64 sh_sum(const void *data, __u32 bytes)
{
	return (__u64)bpf_csum_diff(NULL, 0, (__be32 *)data, bytes, 0);
}

/*
 * The packet's start, hidden from clang, which would leave out a bounds check
 * that follows from another one; the verifier doesn't see that it follows.
 */
static __always_inline void *sh_answer_data(sh_ctx *ctx)
{
	void *data = sh_ctx_data(ctx);

	asm volatile("" : "+r"(data));
	return data;
}

/* The packet's L3 header, if @bytes of it are there. */
static __always_inline void *sh_answer_at(sh_ctx *ctx, const struct sh_question *q, __u32 bytes)
{
	void *l3 = sh_answer_data(ctx) + (q->l3 & 31);

	return l3 + bytes > sh_ctx_end(ctx) ? NULL : l3;
}

static __always_inline void sh_swap_macs(sh_ctx *ctx)
{
	struct ethhdr *eth = sh_answer_data(ctx);
	__u8 mac[6];

	if ((void *)(eth + 1) > sh_ctx_end(ctx))
		return;
	__builtin_memcpy(mac, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, mac, 6);
}

/* Of the pseudo header, addresses from a key's words. */
static __always_inline __u64 sh_pseudo_sum(const struct sh_key *key, __u8 proto, __u32 len)
{
	__u64 sum = bpf_htons(proto) + bpf_htons((__u16)len);

	for (int i = 0; i < 2; i++)
		sum += sh_csum_fold(key->src[i]) + sh_csum_fold(key->dst[i]);
	return sum;
}

/* The IP header of an answer to @key; @len: of what follows it. */
static __always_inline void sh_answer_l3(void *l3, const struct sh_key *key, __u8 proto, __u32 len,
					 const bool v6)
{
	struct ipv6hdr *ip6 = l3;
	struct iphdr *ip = l3;

	if (v6) {
		ip6->flow = bpf_htonl(0x60000000);
		ip6->payload_len = bpf_htons((__u16)len);
		ip6->nexthdr = proto;
		ip6->hop_limit = SH_ANSWER_TTL;
		for (int i = 0; i < 2; i++) {
			((__u64 *)&ip6->addrs.saddr)[i] = key->dst[i];
			((__u64 *)&ip6->addrs.daddr)[i] = key->src[i];
		}
		return;
	}
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->tot_len = bpf_htons((__u16)(len + sizeof(*ip)));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000); /* don't fragment */
	ip->ttl = SH_ANSWER_TTL;
	ip->protocol = proto;
	ip->check = 0;
	ip->addrs.saddr = (__be32)key->dst[1];
	ip->addrs.daddr = (__be32)key->src[1];
	ip->check = (__sum16)~sh_csum_fold(sh_sum(ip, sizeof(*ip)));
}

static __always_inline int sh_answer_leave(sh_ctx *ctx)
{
	bpf_redirect(sh_ctx_ifindex(ctx), 0);
	return SH_FORWARD;
}

/* RFC 9293 3.10.7.1: what the sender will take for an answer to this segment. */
static __always_inline int sh_answer_rst(sh_ctx *ctx, struct sh_question *q, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	void *l3 = sh_answer_at(ctx, q, header);
	struct tcphdr *tcp = sh_ctx_data(ctx) + (q->l4 & 255);
	__be32 seq = 0, ack = 0;
	__u32 segment, payload;
	bool partial, acked;
	__u64 sum, before;

	if (!l3 || (void *)(tcp + 1) > sh_ctx_end(ctx) ||
	    tcp->flags & SH_TCP_RST) /* never a RST for a RST */
		return SH_DROP;
	segment = v6 ? bpf_ntohs(((struct ipv6hdr *)l3)->payload_len) + header
		     : bpf_ntohs(((struct iphdr *)l3)->tot_len);
	segment -= q->l4 - q->l3;
	payload = segment - (tcp->doff >> 4) * 4;
	/* On a veth the sender leaves the sum of the pseudo header there, and no more. */
	partial = tcp->check == (__sum16)sh_csum_fold(sh_pseudo_sum(&q->key, IPPROTO_TCP, segment));
	acked = tcp->flags & SH_TCP_ACK;
	if (acked)
		seq = tcp->ack_seq;
	else
		ack = bpf_htonl(bpf_ntohl(tcp->seq) + payload + (tcp->flags >> 1 & 1) +
				(tcp->flags & SH_TCP_FIN));
	if (bpf_skb_change_tail(ctx, (q->l3 & 31) + header + sizeof(*tcp), 0))
		return SH_DROP;
	l3 = sh_answer_at(ctx, q, header + sizeof(*tcp));
	if (!l3)
		return SH_DROP;
	tcp = l3 + header;
	before = sh_sum(l3, header + sizeof(*tcp));
	sh_swap_macs(ctx);
	sh_answer_l3(l3, &q->key, IPPROTO_TCP, sizeof(*tcp), v6);
	tcp->source = q->key.dport;
	tcp->dest = q->key.sport;
	tcp->seq = seq;
	tcp->ack_seq = ack;
	tcp->doff = 5 << 4;
	tcp->flags = acked ? SH_TCP_RST : SH_TCP_RST | SH_TCP_ACK;
	tcp->window = 0;
	tcp->check = 0;
	tcp->urg_ptr = 0;
	sum = sh_pseudo_sum(&q->key, IPPROTO_TCP, sizeof(*tcp));
	tcp->check = partial ? (__sum16)sh_csum_fold(sum)
			     : (__sum16)~sh_csum_fold(sum + sh_sum(tcp, sizeof(*tcp)));
	sh_ctx_sum_changed(ctx, sh_csum_fold(sh_sum(l3, header + sizeof(*tcp))) +
					(~sh_csum_fold(before) & 0xffff));
	return sh_answer_leave(ctx);
}

/*
 * @room bytes in front of the packet's IP header, for headers of our own. For
 * a packet with tags in it, whose protocol the kernel takes for one that it
 * doesn't know, only a room in front of all can be had: what stands before the
 * IP header is moved. The kernel goes on to take the old IP header for the
 * packet's, which matters to nobody who finds it by the Ethernet header.
 */
static __always_inline bool sh_answer_room(sh_ctx *ctx, const struct sh_question *q, __u32 room)
{
	const __u32 most = sizeof(struct ethhdr) + SH_VLANS_MAX * sizeof(struct vlan_hdr);
	__u16 *words;

	if (q->l3 == sizeof(struct ethhdr))
		return !bpf_skb_adjust_room(ctx, (__s32)room, BPF_ADJ_ROOM_MAC, 0);
	if (bpf_skb_change_head(ctx, room, 0))
		return false;
	words = sh_answer_data(ctx);
	if ((void *)words + room + most > sh_ctx_end(ctx))
		return false;
	for (__u32 i = 0; i < most / 2; i++) /* tags less than two: the rest is room */
		words[i] = words[i + room / 2];
	return true;
}

/* Where the device has summed up the packet, that sum follows what was put into its room. */
static __always_inline void sh_answer_sum(sh_ctx *ctx, const struct sh_question *q, void *l3,
					  __u32 room)
{
	__u32 *tags = sh_answer_data(ctx) + sizeof(struct ethhdr), *last = l3 + room - 8;
	__u64 sum;

	if (q->l3 == sizeof(struct ethhdr)) {
		sh_ctx_sum_changed(ctx, sh_csum_fold(sh_sum(l3, room)));
		return;
	}
	if ((void *)(tags + 2) > sh_ctx_end(ctx))
		return;
	/* All that is in front of where the tags were is a link-layer header to it. */
	sum = (__u64)last[1] + (__u32)~tags[0];
	if (q->l3 > sizeof(struct ethhdr) + sizeof(struct vlan_hdr))
		sum += (__u64)last[0] + (__u32)~tags[1];
	sh_ctx_sum_changed(ctx, sh_csum_fold(sum));
}

/*
 * The packet as it came, as much of it as an ICMP error is to have, into the
 * scratch. @return bytes, or 0: not even its ports are there, or it denies them
 */
static __always_inline __u32 sh_quote_take(sh_ctx *ctx, const struct sh_question *q,
					   struct sh_scratch *scratch, const bool v6)
{
	__u32 least = q->l4 - q->l3 + 8, there = ctx->len - q->l3;
	/* Beyond 64 KiB the header says 0. */
	__u32 bytes = q->l3_bytes == (v6 ? sizeof(struct ipv6hdr) : 0) ? there : q->l3_bytes;

	if (bytes > there) /* cut short on its way */
		bytes = there;
	if (bytes > SH_QUOTE_MAX)
		bytes = SH_QUOTE_MAX;
	/* Known by now to be 8 to 512, but not to the verifier of Linux 6.1. */
	asm volatile("" : "+r"(bytes));
	if (bytes < 8 || bytes > SH_QUOTE_MAX || bytes < least)
		return 0;
	scratch->quote[bytes / 4] = 0;
	return bpf_skb_load_bytes(ctx, q->l3, scratch->quote, bytes) ? 0 : bytes;
}

/*
 * Where the sender has left the packet's checksum to the device (it is the sum
 * of the pseudo header then), the device will put one there, of what is quoted,
 * and so spoil the error's own. But for the one number that is its own checksum,
 * which it puts there again: minus half of the sum of the rest.
 * @sum: of the quote. @return the same with that number in it
 */
static __always_inline __u64 sh_quote_settle(sh_ctx *ctx, const struct sh_question *q,
					     struct sh_scratch *scratch, __u64 sum)
{
	__u32 header = (q->l4 - q->l3) & 252;
	__u32 at = header + (q->key.proto == IPPROTO_TCP ? 16 : 6);
	__u16 check = *(__u16 *)((void *)scratch->quote + at), own;
	__u64 rest;

	if ((q->key.proto != IPPROTO_TCP && q->key.proto != IPPROTO_UDP) ||
	    check !=
		    (__u16)sh_csum_fold(sh_pseudo_sum(&q->key, q->key.proto, q->l3_bytes - header)))
		return sum;
	rest = (__u64)bpf_csum_diff(NULL, 0, scratch->quote, header, 0);
	rest = sum + (__u16)~sh_csum_fold(rest) + (__u16)~check;
	own = (__u16)sh_csum_fold((__u64)(__u16)~sh_csum_fold(rest) << 15); /* 2^16 counts 1 */
	bpf_skb_store_bytes(ctx, q->l3 + at, &own, sizeof(own), 0);
	return sum + (__u16)~check + own;
}

/* An ICMP error about the packet, which it quotes. */
static __always_inline int sh_answer_icmp(sh_ctx *ctx, struct sh_question *q, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 room = header + sizeof(struct icmphdr);
	const __u8 proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	struct sh_scratch *scratch = sh_scratch();
	struct icmphdr *icmp;
	__u32 quote;
	__u64 sum;
	void *l3;

	quote = scratch ? sh_quote_take(ctx, q, scratch, v6) : 0;
	if (!quote || bpf_skb_change_tail(ctx, q->l3 + quote, 0))
		return SH_DROP;
	sum = (__u64)bpf_csum_diff(NULL, 0, scratch->quote, (quote + 3) & ~3u, 0);
	sum = sh_quote_settle(ctx, q, scratch, sum);
	l3 = sh_answer_room(ctx, q, room) ? sh_answer_at(ctx, q, room) : NULL;
	if (!l3)
		return SH_DROP;
	icmp = l3 + header;
	sh_swap_macs(ctx);
	sh_answer_l3(l3, &q->key, proto, sizeof(*icmp) + quote, v6);
	icmp->type = q->type;
	icmp->code = q->code;
	icmp->checksum = 0;
	icmp->un.gateway = bpf_htonl(q->mtu);
	if (v6)
		sum += sh_pseudo_sum(&q->key, proto, sizeof(*icmp) + quote);
	icmp->checksum = (__sum16)~sh_csum_fold(sum + sh_sum(icmp, sizeof(*icmp)));
	sh_answer_sum(ctx, q, l3, room);
	return sh_answer_leave(ctx);
}

/* What the largest packet that leaves needs, if the kernel segments it on its way out. */
static __always_inline __u32 sh_segment_bytes(sh_ctx *ctx, const struct sh_question *q)
{
	const struct tcphdr *tcp = sh_answer_data(ctx) + (q->l4 & 255);
	__u32 segment = sh_ctx_segment(ctx);

	if (!segment)
		return ctx->len - q->l3;
	if (q->key.proto != IPPROTO_TCP)
		return q->l4 - q->l3 + sizeof(struct udphdr) + segment;
	if ((void *)(tcp + 1) > sh_ctx_end(ctx))
		return 0;
	return q->l4 - q->l3 + (tcp->doff >> 4) * 4 + segment;
}

/* Does it pass @q->mtu all the same? */
__noinline int sh_segments_fit(sh_ctx *ctx, const struct sh_question *q)
{
	return q && sh_segment_bytes(ctx, q) <= q->mtu;
}

__noinline int sh_answer4(sh_ctx *ctx, struct sh_question *q)
{
	if (!q || !sh_answer_allowed())
		return SH_DROP;
	return q->type ? sh_answer_icmp(ctx, q, false) : sh_answer_rst(ctx, q, false);
}

__noinline int sh_answer6(sh_ctx *ctx, struct sh_question *q)
{
	if (!q || !sh_answer_allowed())
		return SH_DROP;
	return q->type ? sh_answer_icmp(ctx, q, true) : sh_answer_rst(ctx, q, true);
}

/* The sender of a refused packet is told so. @q has the packet's place. */
static __always_inline int sh_answer_refused(sh_ctx *ctx, struct sh_question *q, const bool v6)
{
	q->type = 0; /* a RST */
	q->mtu = 0;
	if (q->key.proto != IPPROTO_TCP) {
		q->type = v6 ? SH_ICMP6_UNREACHABLE : SH_ICMP_UNREACHABLE;
		q->code = v6 ? SH_ICMP6_PORT_UNREACHABLE : SH_ICMP_PORT_UNREACHABLE;
	}
	return v6 ? sh_answer6(ctx, q) : sh_answer4(ctx, q);
}

/*
 * A packet of a flow that we forward ourselves ends here. Its sender is told,
 * but not of a fragment that is not the first (RFC 1122 section 3.2.2).
 */
static __always_inline int sh_answer_lost(sh_ctx *ctx, struct sh_question *q, enum sh_reason reason,
					  const bool v6)
{
	if (reason == SH_REASON_TOO_BIG) {
		q->type = v6 ? SH_ICMP6_TOO_BIG : SH_ICMP_UNREACHABLE;
		q->code = v6 ? 0 : SH_ICMP_FRAG_NEEDED;
	} else {
		q->type = v6 ? SH_ICMP6_TIME_EXCEEDED : SH_ICMP_TIME_EXCEEDED;
		q->code = 0;
		q->mtu = 0;
	}
	return v6 ? sh_answer6(ctx, q) : sh_answer4(ctx, q);
}

#endif
