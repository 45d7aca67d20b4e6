/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC, on every edge: uplinks, workload veths, overlay devices. */
#include "ctx_tc.h"
#include "datapath.h"

static __always_inline int sh_tc_action(enum sh_verdict verdict, int action)
{
	switch (verdict) {
	case SH_DROP:
		return TC_ACT_SHOT;
	case SH_FORWARD:
		return action;
	default:
		return TC_ACT_UNSPEC; /* whoever stands behind us on the hook has his turn */
	}
}

static __always_inline int sh_tc(struct __sk_buff *skb, enum sh_direction direction)
{
	int action = TC_ACT_UNSPEC;

	return sh_tc_action(sh_datapath(skb, direction, &action), action);
}

SEC("tc")
int shunt_ingress(struct __sk_buff *skb)
{
	return sh_tc(skb, SH_INGRESS);
}

SEC("tc")
int shunt_egress(struct __sk_buff *skb)
{
	return sh_tc(skb, SH_EGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
