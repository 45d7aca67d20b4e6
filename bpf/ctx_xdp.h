/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a stage may do to a packet, for XDP. ctx_tc.h says the same words of TC. */
#ifndef SHUNT_BPF_CTX_H
#define SHUNT_BPF_CTX_H

#include "key.h"

typedef struct xdp_md sh_ctx;

#define SH_CTX_XDP 1 /* for an `if` that the compiler decides */
#define SH_PUNTS     /* what is rare, TC on the same device does */

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
	return ctx->ingress_ifindex;
}

static __always_inline __u32 sh_ctx_len_from(const sh_ctx *ctx, const void *at)
{
	__u64 len = (__u64)(sh_ctx_end(ctx) - (void *)at);

	asm volatile("" : "+r"(len)); /* a difference of pointers, not of halves of them */
	return (__u32)len;
}

static __always_inline __u32 sh_ctx_len(const sh_ctx *ctx)
{
	return sh_ctx_len_from(ctx, sh_ctx_data(ctx));
}

/* A frame's head is always readable here. */
static __always_inline void sh_ctx_prepare(sh_ctx *ctx)
{
}

/* A frame has no sum of its own yet. */
static __always_inline void sh_ctx_sum_changed(sh_ctx *ctx, __u32 delta)
{
}

/* Nobody has touched the checksum before us: it is mended by hand (RFC 1624). */
static __always_inline bool sh_ctx_l4_csum(sh_ctx *ctx, __sum16 *check,
					   const struct sh_l4_delta *delta, bool udp, const bool v6)
{
	if (udp && !*check) /* none was made (RFC 768) */
		return true;
	*check = sh_csum_apply(*check, delta->all);
	if (udp && !*check)
		*check = 0xffff;
	return true;
}

/* With SH_FORWARD a frame leaves by the device it came in by: XDP_TX. */
static __always_inline void sh_ctx_leave(sh_ctx *ctx, __u32 ifindex, bool complete)
{
}

#endif
