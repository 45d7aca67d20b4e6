/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Out of the node without its stack: where a masqueraded packet goes next. Its
 * source is our own address by then, which the stack would take for a martian.
 */
#ifndef SHUNT_BPF_FORWARD_H
#define SHUNT_BPF_FORWARD_H

#include "flow.h"

/*
 * The epoch that cached next hops belong to. User space advances it when a
 * route changes; it advances by itself about every two seconds, so that a
 * change is followed with nobody watching, too. One unit of a flow's stamp is
 * about 16 s.
 */
static __always_inline __u8 sh_route_epoch(void)
{
	const struct sh_control *control;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&shunt_control, &zero);
	if (!control)
		return 0;
	return (__u8)(*(const volatile __u32 *)&control->route_epoch +
		      (bpf_jiffies64() >> (sh_config.stamp_shift - 3)));
}

#define SH_MTU_ANY  0xffff /* no packet is larger */
#define SH_MTU_MIN6 1280   /* every link takes that much (RFC 8200 section 5) */

/*
 * @bytes: with BPF_FIB_LKUP_RET_SUCCESS the route's MTU stands in their place
 * afterwards, also with BPF_FIB_LKUP_RET_FRAG_NEEDED if they are more than it.
 * @return a BPF_FIB_LKUP_RET_* code, or negative
 */
static __always_inline int sh_route_ask(sh_ctx *ctx, const struct sh_route *route, __u16 bytes,
					struct bpf_fib_lookup *fib, const bool v6)
{
	*fib = (struct bpf_fib_lookup){
		.family = v6 ? AF_INET6 : AF_INET,
		.l4_protocol = route->key.proto,
		.tot_len = bytes,
		.ifindex = route->ifindex,
	};
	if (v6) {
		for (int i = 0; i < 4; i++) {
			fib->ipv6_src[i] = (__u32)(route->key.src[i / 2] >> (i % 2 * 32));
			fib->ipv6_dst[i] = (__u32)(route->key.dst[i / 2] >> (i % 2 * 32));
		}
	} else {
		fib->ipv4_src = (__be32)route->key.src[1];
		fib->ipv4_dst = (__be32)route->key.dst[1];
	}
	return (int)bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* @return a BPF_FIB_LKUP_RET_* code, but for FRAG_NEEDED, or negative */
static __always_inline int sh_route_find(sh_ctx *ctx, struct sh_route *route, const bool v6)
{
	struct bpf_fib_lookup fib;
	__u32 from = route->ifindex;
	int ret;

	ret = sh_route_ask(ctx, route, 1, &fib, v6); /* no packet: the way for any */
	route->ifindex = fib.ifindex;
	route->mtu = fib.mtu_result > 1 ? fib.mtu_result : SH_MTU_ANY;
	__builtin_memcpy(route->dmac, fib.dmac, 6);
	__builtin_memcpy(route->smac, fib.smac, 6);
	if (ret == BPF_FIB_LKUP_RET_NO_NEIGH && route->bytes > 1) {
		__u32 out = route->ifindex;

		route->ifindex = from;
		if (sh_route_ask(ctx, route, route->bytes, &fib, v6) ==
		    BPF_FIB_LKUP_RET_FRAG_NEEDED)
			route->mtu = fib.mtu_result;
		route->ifindex = out;
	}
	if (v6 && route->mtu < SH_MTU_MIN6)
		route->mtu = SH_MTU_MIN6;
	return ret;
}

__noinline int sh_route4(sh_ctx *ctx, struct sh_route *route)
{
	return route ? sh_route_find(ctx, route, false) : -1;
}

__noinline int sh_route6(sh_ctx *ctx, struct sh_route *route)
{
	return route ? sh_route_find(ctx, route, true) : -1;
}

/* A next hop, copied out of the flow or fresh. */
struct sh_hop {
	__u32 ifindex; /* 0: not known */
	__u32 dmac_high, smac_high;
	__u16 dmac_low, smac_low;
	__u16 mtu;
	bool resolved; /* the MAC addresses are known */
};

static __always_inline void sh_hop_load(struct sh_hop *hop, const __u8 dmac[6], const __u8 smac[6])
{
	hop->dmac_high = *(const __u32 *)dmac;
	hop->dmac_low = *(const __u16 *)(dmac + 4);
	hop->smac_high = (__u32)*(const __u16 *)smac | (__u32)*(const __u16 *)(smac + 2) << 16;
	hop->smac_low = *(const __u16 *)(smac + 4);
	hop->resolved = true;
}

static __always_inline void sh_hop_store(sh_ctx *ctx, const struct sh_hop *hop)
{
	struct ethhdr *eth = sh_ctx_data(ctx);

	if ((void *)(eth + 1) > sh_ctx_end(ctx))
		return;
	*(__u32 *)eth->h_dest = hop->dmac_high;
	*(__u16 *)(eth->h_dest + 4) = hop->dmac_low;
	*(__u16 *)eth->h_source = (__u16)hop->smac_high;
	*(__u16 *)(eth->h_source + 2) = (__u16)(hop->smac_high >> 16);
	*(__u16 *)(eth->h_source + 4) = hop->smac_low;
}

/*
 * Cache a fresh next hop in the flow. Another CPU may read it half old, half
 * new while a route changes: a packet then goes astray as it would have a
 * moment before the change.
 */
static __always_inline void sh_hop_keep(struct sh_flow *flow, const struct sh_route *route,
					__u8 epoch)
{
	if (route->ifindex > 0xffff)
		return;
	flow->ifindex = 0;
	__builtin_memcpy(flow->dmac, route->dmac, 6);
	__builtin_memcpy(flow->smac, route->smac, 6);
	flow->mtu = route->mtu;
	flow->epoch = epoch;
	flow->ifindex = (__u16)route->ifindex;
}

#endif
