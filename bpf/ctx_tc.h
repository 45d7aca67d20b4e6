/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a stage may do to a packet, for TC. ctx_xdp.h says the same words of XDP. */
#ifndef SHUNT_BPF_CTX_H
#define SHUNT_BPF_CTX_H

#include "key.h"

typedef struct __sk_buff sh_ctx;

#define SH_CTX_XDP 0 /* for an `if` that the compiler decides */

static __always_inline void *sh_ctx_data(const sh_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *sh_ctx_end(const sh_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline __u32 sh_ctx_ifindex(const sh_ctx *ctx)
{
	return ctx->ifindex;
}

/* Bytes of the packet from its Ethernet header on; of all segments of a GSO packet. */
static __always_inline __u32 sh_ctx_len(const sh_ctx *ctx)
{
	return ctx->len;
}

/* The same from @at on. */
static __always_inline __u32 sh_ctx_len_from(const sh_ctx *ctx, const void *at)
{
	__u64 offset = (__u64)(at - sh_ctx_data(ctx));

	asm volatile("" : "+r"(offset)); /* a difference of pointers, not of halves of them */
	return ctx->len - (__u32)offset;
}

/* Payload of each packet that a GSO packet will be made into; 0: it is none. */
static __always_inline __u32 sh_ctx_segment(const sh_ctx *ctx)
{
	return ctx->gso_size;
}

/* Have the headers where they can be read directly, as far as the packet has them. */
static __always_inline void sh_ctx_prepare(sh_ctx *ctx)
{
	__u32 linear = ctx->data_end - ctx->data;

	if (linear < SH_HEADER_BYTES && linear < ctx->len)
		bpf_skb_pull_data(ctx, ctx->len < SH_HEADER_BYTES ? ctx->len : SH_HEADER_BYTES);
}

/*
 * Bytes that no checksum of the packet makes up for were changed: where the
 * device has summed up the whole packet (CHECKSUM_COMPLETE), that sum follows.
 */
static __always_inline void sh_ctx_sum_changed(sh_ctx *ctx, __u32 delta)
{
	bpf_csum_update(ctx, sh_csum_fold(delta));
}

/*
 * The L4 checksum at @check, which on a veth or before an offloading NIC is
 * only a partial one: the helper knows. After this no pointer into the packet
 * is valid.
 */
static __always_inline bool sh_ctx_l4_csum(sh_ctx *ctx, __sum16 *check,
					   const struct sh_l4_delta *delta, bool udp, const bool v6)
{
	__u32 offset = (__u32)((void *)check - sh_ctx_data(ctx));
	__u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0;
	__u32 ports = (__u32)delta->all + (__u16)~delta->addrs;

	if (udp && !*check) { /* none was made (RFC 768) */
		sh_ctx_sum_changed(ctx, v6 ? delta->all : ports);
		return true;
	}
	if (bpf_l4_csum_replace(ctx, offset, 0, delta->addrs,
				flags | BPF_F_PSEUDO_HDR |
					(v6 && sh_config.csum_ipv6 ? BPF_F_IPV6 : 0)))
		return false;
	/*
	 * IPv6 has no header checksum to make up for the address, so skb->csum
	 * must stay; before BPF_F_IPV6 (Linux 6.16) the helper changed it.
	 */
	if (v6 && !sh_config.csum_ipv6)
		bpf_csum_update(ctx, delta->addrs);
	ports = (ports & 0xffff) + (ports >> 16);
	if (!ports || ports == 0xffff)
		return true;
	return !bpf_l4_csum_replace(ctx, offset, 0, ports, flags);
}

/*
 * Out of @ifindex, with SH_FORWARD. Where the Ethernet header is not @complete
 * the kernel finds the neighbour, and waits for it if it must.
 */
static __always_inline void sh_ctx_leave(sh_ctx *ctx, __u32 ifindex, bool complete)
{
	if (complete)
		bpf_redirect(ifindex, 0);
	else
		bpf_redirect_neigh(ifindex, NULL, 0, 0);
}

#endif
