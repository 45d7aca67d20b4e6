/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments: only the first has ports. They are kept under the packet's
 * identification (RFC 791, RFC 8200 section 4.5) for those that follow. TC
 * only; XDP leaves fragments to it.
 */
#ifndef SHUNT_BPF_FRAGMENT_H
#define SHUNT_BPF_FRAGMENT_H

#include "parse.h"

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

#endif
