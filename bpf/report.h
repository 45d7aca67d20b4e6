/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every drop passes here: it has a reason, and is counted by it and by Service. */
#ifndef SHUNT_BPF_REPORT_H
#define SHUNT_BPF_REPORT_H

#include "trace.h"

__noinline int sh_count_drop(__u32 service, __u32 reason)
{
	struct sh_drop_key key = { .service = service, .reason = reason };
	struct sh_drop none = {};
	struct sh_drop *drop;

	if (sh_config.trace)
		sh_trace_args(SH_TRACE_DROP, service, reason, 0, 0);
	drop = bpf_map_lookup_elem(&shunt_drops, &key);
	if (!drop) {
		/* Two CPUs may both make it: the loser's -EEXIST is as good. */
		bpf_map_update_elem(&shunt_drops, &key, &none, BPF_NOEXIST);
		drop = bpf_map_lookup_elem(&shunt_drops, &key);
	}
	if (!drop) /* the map is full: count it under no Service */
		return service ? -ENOSPC : 0;
	drop->packets++;
	drop->jiffies = bpf_jiffies64();
	return 0;
}

static __always_inline enum sh_verdict sh_drop(__u32 service, enum sh_reason reason)
{
	if (sh_count_drop(service, reason))
		sh_count_drop(0, reason);
	return SH_DROP;
}

/* Of a flow: its Service is that of its backend, if that is still there. */
__noinline int sh_count_drop_of(__u32 backend_id, __u32 reason)
{
	__u32 index = SH_BACKEND_INDEX(backend_id);
	const struct sh_backend *backend = bpf_map_lookup_elem(&shunt_backends, &index);

	return sh_drop(backend && backend->id == backend_id ? backend->service : 0,
		       (enum sh_reason)reason);
}

/*
 * Refused, and the sender is to know: RST, ICMP port unreachable,
 * ECONNREFUSED. XDP leaves it to TC to count and to tell.
 */
static __always_inline enum sh_verdict sh_reject(__u32 service, enum sh_reason reason)
{
#ifdef SH_PUNTS
	return SH_PUNT;
#else
	sh_drop(service, reason);
	return SH_REJECT;
#endif
}

#endif
