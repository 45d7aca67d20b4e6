/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments: only the first has ports. They are kept under the packet's
 * identification (RFC 791, RFC 8200 section 4.5) for those that follow. And
 * fragmenting: what leaves past the stack is cut by nobody else. TC only; XDP
 * leaves both to it.
 */
#ifndef SHUNT_BPF_FRAGMENT_H
#define SHUNT_BPF_FRAGMENT_H

#include "reject.h"

static __always_inline struct sh_fragment_key *sh_fragment_key(const struct sh_pkt *pkt)
{
	struct sh_scratch *scratch = sh_scratch();
	struct sh_fragment_key *key;

	if (!scratch)
		return NULL;
	key = &scratch->fragment;
	for (int i = 0; i < 2; i++) {
		key->src[i] = pkt->key.src[i];
		key->dst[i] = pkt->key.dst[i];
	}
	key->id = pkt->fragment_id;
	key->proto = pkt->key.proto;
	key->direction = pkt->key.direction;
	return key;
}

static __always_inline void sh_fragment_remember(const struct sh_pkt *pkt)
{
	struct sh_fragment value = { .sport = pkt->key.sport, .dport = pkt->key.dport };
	const struct sh_fragment_key *key = sh_fragment_key(pkt);

	if (key)
		bpf_map_update_elem(&shunt_frags, key, &value, BPF_ANY);
}

/* The ports of a later fragment. @return false: its first one was not seen */
static __always_inline bool sh_fragment_recall(struct sh_pkt *pkt)
{
	const struct sh_fragment_key *key = sh_fragment_key(pkt);
	const struct sh_fragment *value = key ? bpf_map_lookup_elem(&shunt_frags, key) : NULL;

	if (!value)
		return false;
	pkt->key.sport = value->sport;
	pkt->key.dport = value->dport;
	return true;
}

/* ---- cutting --------------------------------------------------------------- */

#define SH_CUT_BYTES_MAX  9216 /* of payload: of a frame, there are none that are longer */
#define SH_CUT_PIECES_MAX 32

/* Where all is in a packet that is being cut. */
struct sh_cut {
	__u32 l3, l4;	/* offsets */
	__u32 bytes;	/* of payload */
	__u32 piece;	/* of a fragment's */
	__u16 frag_off; /* of the whole; host order */
	__u16 cleared;	/* the packet holds nothing of it any more */
};

/* The packet itself is made into one piece after the other: here its payload is whole. */
struct sh_payload {
	__u8 b[2 *
	       SH_CUT_BYTES_MAX]; /* the verifier adds the largest offset to the largest length */
	struct sh_cut cut;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_payload);
} shunt_payload SEC(".maps");

static __always_inline struct sh_payload *sh_payload(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&shunt_payload, &zero);
}

/*
 * A checksum that was left to the device (on a veth there are such packets)
 * would be made once for each fragment, over parts of it. Then there is only
 * the sum of the pseudo header, as by chance in one of 65,536 that are whole.
 */
static __always_inline bool sh_sum_may_be_partial(sh_ctx *ctx, const struct iphdr *ip,
						  const struct sh_cut *cut)
{
	const __sum16 *check = (const void *)ip + (cut->l4 - cut->l3 & 63) +
			       (ip->protocol == IPPROTO_TCP ? 16 : 6);
	__u64 sum = sh_sum(&ip->addrs, 8) + bpf_htons(ip->protocol) + bpf_htons((__u16)cut->bytes);

	if (cut->frag_off & (IP_MF | IP_OFFSET) || (void *)(check + 1) > sh_ctx_end(ctx))
		return false;
	return *check == (__sum16)sh_csum_fold(sum);
}

/* The header of the piece at @at. @return false: the packet can't be written */
static __always_inline bool sh_cut_header(sh_ctx *ctx, const struct sh_cut *cut, __u32 at,
					  __u32 bytes)
{
	struct iphdr *ip = sh_answer_data(ctx) + (cut->l3 & 31);
	bool more = at + bytes < cut->bytes || cut->frag_off & IP_MF;
	__u16 len = bpf_htons((__u16)(cut->l4 - cut->l3 + bytes));
	__u16 off = bpf_htons((__u16)((cut->frag_off & IP_OFFSET) + at / 8) | (more ? IP_MF : 0));
	__u32 delta;

	if ((void *)(ip + 1) > sh_ctx_end(ctx))
		return false;
	delta = (__u32)len + (__u16)~ip->tot_len + off + (__u16)~ip->frag_off;
	ip->tot_len = len;
	ip->frag_off = off;
	ip->check = sh_csum_apply(ip->check, (delta & 0xffff) + (delta >> 16));
	return true;
}

/* @n, which is @most at most, said so that every verifier understands it. */
static __always_inline __u32 sh_bounded(__u32 n, const __u32 most)
{
	asm volatile("" : "+r"(n));
	if (n > most)
		n = 0;
	asm volatile("" : "+r"(n));
	return n;
}

/* The same of a length, which is not 0 either. */
static __always_inline __u32 sh_cut_bounded(__u32 bytes)
{
	return sh_bounded(bytes - 1, SH_CUT_BYTES_MAX - 1) + 1;
}

/* Make the packet into the piece at @at, shorter than it or as long. */
__noinline int sh_cut_piece(sh_ctx *ctx, __u32 at, __u32 bytes)
{
	const struct sh_payload *payload = sh_payload();

	if (!payload || at > SH_CUT_BYTES_MAX || bytes - 1 >= SH_CUT_BYTES_MAX)
		return false;
	bytes = sh_cut_bounded(bytes);
	if (bpf_skb_change_tail(ctx, payload->cut.l4 + bytes, 0))
		return false;
	if (at + payload->cut.cleared &&
	    bpf_skb_store_bytes(ctx, payload->cut.l4, payload->b + sh_bounded(at, SH_CUT_BYTES_MAX),
				bytes, BPF_F_RECOMPUTE_CSUM))
		return false;
	return sh_cut_header(ctx, &payload->cut, at, bytes);
}

/*
 * Only a packet whose checksum is whole can be made shorter than to where that
 * is (the kernel's __bpf_skb_min_len()).
 */
static __always_inline bool sh_sum_is_partial(sh_ctx *ctx, struct sh_cut *cut)
{
	cut->cleared = true;
	return bpf_skb_change_tail(ctx, cut->l4 + 4, 0);
}

/* @return false: this packet can't be cut */
static __always_inline bool sh_cut_begin(sh_ctx *ctx, const struct sh_question *q,
					 struct sh_payload *payload)
{
	struct sh_cut *cut = &payload->cut;
	struct iphdr *ip = sh_answer_at(ctx, q, sizeof(*ip));
	__u32 header = q->l4 - q->l3, bytes = q->l3_bytes - header;
	bool suspect;

	if (!ip || bytes - 1 >= SH_CUT_BYTES_MAX || q->mtu < header + 8)
		return false;
	cut->l3 = q->l3;
	cut->l4 = q->l4;
	cut->bytes = bytes;
	cut->piece = (q->mtu - header) & ~7u;
	cut->frag_off = bpf_ntohs(ip->frag_off);
	cut->cleared = false;
	suspect = sh_sum_may_be_partial(ctx, ip, cut);
	return !bpf_skb_load_bytes(ctx, cut->l4, payload->b, sh_cut_bounded(bytes)) &&
	       !(suspect && sh_sum_is_partial(ctx, cut));
}

/*
 * Smaller segments of a TCP packet that the kernel has yet to make into them.
 * To put room into it makes them smaller by that room; to take it out again
 * need not make them larger.
 */
static __always_inline bool sh_cut_segments(sh_ctx *ctx, const struct sh_question *q)
{
	__s32 over = (__s32)(sh_segment_bytes(ctx, q) - q->mtu);

	return q->key.proto == IPPROTO_TCP &&
	       !bpf_skb_adjust_room(ctx, over, BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_adjust_room(ctx, -over, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

enum sh_cut_done { SH_CUT_NOT, SH_CUT_FIRST, SH_CUT_WHOLE };

/*
 * All fragments of the packet (RFC 791 section 3.2) leave by @ifindex but the
 * last, which the packet is then; without @ifindex it is the first. Options go
 * into each of them, which is more than some ask for, and does no harm.
 * @return enum sh_cut_done; what has left before SH_CUT_NOT is of use to nobody
 */
__noinline int sh_cut(sh_ctx *ctx, const struct sh_question *q, __u32 ifindex)
{
	struct sh_payload *payload = sh_payload();
	__u32 at = 0, left;

	if (!q || !payload)
		return SH_CUT_NOT;
	if (sh_ctx_segment(ctx))
		return sh_cut_segments(ctx, q) ? SH_CUT_WHOLE : SH_CUT_NOT;
	if (!sh_cut_begin(ctx, q, payload))
		return SH_CUT_NOT;
	for (int i = 0; i < SH_CUT_PIECES_MAX; i++) {
		left = payload->cut.bytes - at;
		if (left <= payload->cut.piece)
			return sh_cut_piece(ctx, at, left) ? SH_CUT_WHOLE : SH_CUT_NOT;
		if (!sh_cut_piece(ctx, at, payload->cut.piece))
			return SH_CUT_NOT;
		if (!ifindex)
			return SH_CUT_FIRST;
		if (bpf_clone_redirect(ctx, ifindex, 0))
			return SH_CUT_NOT;
		at += payload->cut.piece;
	}
	return SH_CUT_NOT;
}

#endif
