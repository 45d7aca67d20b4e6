/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC, on every edge: uplinks, workload veths, overlay devices. */
#include "ctx_tc.h"
#include "datapath.h"

static __always_inline int sh_tc_action(enum sh_verdict verdict)
{
	switch (verdict) {
	case SH_DROP:
	case SH_REJECT: /* the answer could not be made */
		return TC_ACT_SHOT;
	case SH_FORWARD:
		return TC_ACT_REDIRECT;
	default:
		return TC_ACT_UNSPEC; /* whoever stands behind us on the hook has his turn */
	}
}

SEC("tc")
int shunt_ingress(struct __sk_buff *skb)
{
	return sh_tc_action(sh_datapath(skb, SH_INGRESS));
}

SEC("tc")
int shunt_egress(struct __sk_buff *skb)
{
	return sh_tc_action(sh_datapath(skb, SH_EGRESS));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
