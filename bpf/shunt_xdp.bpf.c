/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XDP, on uplinks: what comes from outside, before the stack sees it. What it
 * can't finish it leaves untouched to TC on the same device.
 */
#include "ctx_xdp.h"
#include "datapath.h"

static __always_inline int sh_xdp_action(enum sh_verdict verdict)
{
	switch (verdict) {
	case SH_DROP:
		return XDP_DROP;
	case SH_FORWARD:
		return XDP_TX;
	default:
		return XDP_PASS;
	}
}

SEC("xdp")
int shunt_xdp(struct xdp_md *xdp)
{
	return sh_xdp_action(sh_datapath(xdp, SH_INGRESS));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
