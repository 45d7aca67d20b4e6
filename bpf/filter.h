/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The prefilter: turns away, by a bit or two, a packet that can't be any
 * Service's. A set bit only means "look closer". The bits are set by
 * user/dataplane/filter.c with the hash functions of include/shunt/maps.h.
 */
#ifndef SHUNT_BPF_FILTER_H
#define SHUNT_BPF_FILTER_H

#include "key.h"

static __always_inline bool sh_bit(const __u8 *bits, __u32 n)
{
	return bits[n >> 3] >> (n & 7) & 1;
}

static __always_inline __u64 sh_filter_mix(const __u64 word[2], const bool v6)
{
	return v6 ? sh_filter_mix6(word[0], word[1]) : sh_filter_mix4((__be32)word[1]);
}

static __always_inline bool sh_from_backend(const struct sh_filter *filter,
					    const struct sh_key *key, const bool v6)
{
	return sh_bit(filter->backend,
		      sh_filter_backend_bit(sh_filter_mix(key->src, v6), key->sport));
}

/* May a flow of ours or a frontend match this packet, where the hook stands? */
static __always_inline bool sh_filter_maybe(const struct sh_key *key, const bool v6)
{
	const struct sh_filter *filter;
	__u32 zero = 0, bit;

	filter = bpf_map_lookup_elem(&shunt_filter, &zero);
	if (!filter)
		return false;
	if (key->direction == SH_EGRESS)
		return sh_from_backend(filter, key, v6);
	bit = sh_filter_addr_bit(sh_filter_mix(key->dst, v6));
	if (!sh_bit(filter->virtual_or_node, bit))
		return sh_in_nets(&sh_config.service_cidrs, key->dst, v6);
	/* The node's own: a nodePort, or a masqueraded flow's reply. */
	return !sh_bit(filter->node, bit) || sh_bit(filter->node_port, bpf_ntohs(key->dport)) ||
	       sh_from_backend(filter, key, v6);
}

#endif
