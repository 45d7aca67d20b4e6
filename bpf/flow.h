/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: see include/shunt/maps.h for its layout.
 *
 * Who races, and why that is fine:
 *
 *  - A slot changes hands by compare-and-swap on its word, to SH_BUSY. While a
 *    word is SH_BUSY its entry belongs to the one who set that; the entry is
 *    complete before the word says anything else.
 *  - A reader compares the key, copies the rewrite, then reads the word again:
 *    if another flow took the slot meanwhile the word shows another tag, or a
 *    state that its flow had left behind, and the reader takes it for a miss.
 *    (To deceive it, a flow with the same 15 bits of hash would have to take
 *    the slot of an unanswered one within those few instructions.)
 *  - Two CPUs may insert the same key at once. Each claims a slot, which shows
 *    its tag, and only then looks for the other's: of two that are still
 *    SH_BUSY the lower slot waits and the higher one is given back; one that is
 *    complete has won. Nobody sees an entry that will be withdrawn.
 *  - Counters are not atomic. A direction's packets come on one CPU; where
 *    they don't, a few may be missed in the count.
 */
#ifndef SHUNT_BPF_FLOW_H
#define SHUNT_BPF_FLOW_H

#include "report.h"
#include "scratch.h"

/* Where a flow stands. */
struct sh_hit {
	struct sh_flow *flow;
	__u32 *word_at;
	__u32 word; /* as it was when the key was compared */
};

static __always_inline __u32 sh_tag(__u64 hash)
{
	return (__u32)(hash >> (32 + SH_WORD_TAG_SHIFT));
}

static __always_inline __u32 sh_home(__u64 hash, const bool v6)
{
	return (__u32)(hash >> 32) & (v6 ? sh_config.bucket_mask6 : sh_config.bucket_mask4);
}

/* The bucket that @bucket overflows into; a flow's tag leads there and back. */
static __always_inline __u32 sh_second(__u32 bucket, __u32 tag, const bool v6)
{
	return (bucket ^ (tag + 1) * 0x5bd1e995u) &
	       (v6 ? sh_config.bucket_mask6 : sh_config.bucket_mask4);
}

/* Where a flow stands if its bucket was not crowded: looked at first. */
static __always_inline __u32 sh_first_way(__u64 hash)
{
	return (__u32)(hash >> 28) & (SH_WAYS - 1);
}

static __always_inline enum sh_flow_state sh_state(__u32 word)
{
	return (word & SH_WORD_STATE_MASK) >> SH_WORD_STATE_SHIFT;
}

static __always_inline __u32 sh_word(__u32 tag, enum sh_flow_state state, __u32 stamp)
{
	return tag << SH_WORD_TAG_SHIFT | (__u32)state << SH_WORD_STATE_SHIFT | stamp;
}

static __always_inline __u32 sh_stamp_now(void)
{
	return (__u32)(bpf_jiffies64() >> sh_config.stamp_shift) & SH_WORD_STAMP_MASK;
}

/* 1 or 0; clang is kept from making a branch of it. */
static __always_inline __u32 sh_negative(__s32 number)
{
	asm volatile("" : "+r"(number));
	return (__u32)number >> 31;
}

static __always_inline __u32 sh_equal(__u32 a, __u32 b)
{
	__u64 difference = (__u64)(a ^ b) - 1;

	asm volatile("" : "+r"(difference));
	return (__u32)(difference >> 63);
}

/*
 * 1 if the slot may be taken for another flow whatever that is, else 0. By
 * arithmetic, not by branches: sixteen of those in a row are too many ways for
 * the verifier to follow.
 */
static __always_inline __u32 sh_evictable(__u32 word, __u32 now)
{
	__s32 age = (__s32)((now - word) & SH_WORD_STAMP_MASK);

	return sh_negative(sh_config.expire[sh_state(word) & 7] - age);
}

static __always_inline struct sh_bucket *sh_bucket_at(__u32 bucket, const bool v6)
{
	return v6 ? bpf_map_lookup_elem(&shunt_tags6, &bucket)
		  : bpf_map_lookup_elem(&shunt_tags4, &bucket);
}

/* IPv6: the struct sh_flow6 around it. */
static __always_inline struct sh_flow *sh_flow_at(__u32 index, const bool v6)
{
	return v6 ? bpf_map_lookup_elem(&shunt_flows6, &index)
		  : bpf_map_lookup_elem(&shunt_flows4, &index);
}

static __always_inline bool sh_flow_is(const struct sh_flow *flow, const struct sh_key *key,
				       const bool v6)
{
	const __u64 *line = (const __u64 *)flow;
	const __u64 *addrs = (const __u64 *)&((const struct sh_flow6 *)flow)->saddr;

	/* Ports, protocol, direction; the upper 16 bits are no part of the key. */
	if ((line[1] ^ sh_ports_word(key)) << 16)
		return false;
	if (!v6)
		return line[0] == (key->src[1] | key->dst[1] << 32);
	return addrs[0] == key->src[0] && addrs[1] == key->src[1] && addrs[2] == key->dst[0] &&
	       addrs[3] == key->dst[1];
}

/* ---- looking up ---------------------------------------------------------- */

/* Number of the lowest set bit of @mask, which is not 0 and has no more than 16 bits. */
static __always_inline __u32 sh_lowest(__u32 mask)
{
	__u32 n = (mask & -mask) - 1;

	n -= n >> 1 & 0x5555;
	n = (n & 0x3333) + (n >> 2 & 0x3333);
	n = (n + (n >> 4)) & 0x0f0f;
	return (n + (n >> 8)) & 0x1f;
}

/* The ways of a bucket that have this tag and a complete entry, as bits. */
static __always_inline __u32 sh_tag_mask(const struct sh_bucket *bucket, __u32 tag)
{
	__u32 mask = 0, word;

	for (__u32 way = 0; way < SH_WAYS; way++) {
		word = *(const volatile __u32 *)&bucket->word[way];
		mask |= (sh_negative((__s32)(word >> SH_WORD_TAG_SHIFT ^ tag) - 1) &
			 sh_negative((__s32)SH_BUSY - (__s32)sh_state(word)))
			<< way;
	}
	return mask;
}

/* The index of @key's entry within a bucket, but not @except; or -1. */
static __always_inline int sh_search_bucket(const struct sh_key *key, __u64 hash, __u32 bucket_nr,
					    int except, const bool v6)
{
	const struct sh_bucket *bucket = sh_bucket_at(bucket_nr, v6);
	const struct sh_flow *flow;
	__u32 mask, index;

	if (!bucket)
		return -1;
	mask = sh_tag_mask(bucket, sh_tag(hash));
	for (int i = 0; i < SH_WAYS && mask; i++) {
		index = bucket_nr * SH_WAYS + sh_lowest(mask);
		mask &= mask - 1;
		flow = sh_flow_at(index + sh_after(mask), v6);
		if ((int)index != except && flow && sh_flow_is(flow, key, v6))
			return (int)index;
	}
	return -1;
}

static __always_inline int sh_search(const struct sh_key *key, int except, const bool v6)
{
	__u64 hash = sh_key_hash(key);
	__u32 home = sh_home(hash, v6);
	const struct sh_bucket *bucket = sh_bucket_at(home, v6);
	int index;

	index = sh_search_bucket(key, hash, home, except, v6);
	if (index >= 0 || !bucket || !(bucket->word[0] & SH_WORD_OVERFLOW))
		return index;
	return sh_search_bucket(key, hash, sh_second(home, sh_tag(hash), v6), except, v6);
}

/*
 * Functions, not inlined: the verifier looks at each of them once, whoever
 * calls. @return an index of the flow table, or -1.
 */
__noinline int sh_search4(const struct sh_key *key, int except)
{
	return key ? sh_search(key, except, false) : -1;
}

__noinline int sh_search6(const struct sh_key *key, int except)
{
	return key ? sh_search(key, except, true) : -1;
}

static __always_inline int sh_search_any(const struct sh_key *key, const bool v6)
{
	return v6 ? sh_search6(key, -1) : sh_search4(key, -1);
}

/* The entry at @index, whatever its key. */
static __always_inline bool sh_hit_at(__u32 index, struct sh_hit *hit, const bool v6)
{
	struct sh_bucket *bucket = sh_bucket_at(index / SH_WAYS, v6);

	if (!bucket)
		return false;
	hit->word_at = &bucket->word[index % SH_WAYS];
	hit->word = *(volatile __u32 *)hit->word_at;
	hit->flow = sh_flow_at(index + sh_after(hit->word), v6);
	return hit->flow;
}

/*
 * The hot look-up: two array look-ups, which the JIT inlines, and two
 * compares, where the flow stands in its first way.
 */
static __always_inline bool sh_flow_find(const struct sh_key *key, struct sh_hit *hit,
					 const bool v6)
{
	__u64 hash = sh_key_hash(key);
	__u32 index = sh_home(hash, v6) * SH_WAYS + sh_first_way(hash);
	struct sh_scratch *scratch;
	int found;

	if (sh_hit_at(index, hit, v6) &&
	    !((hit->word ^ sh_word(sh_tag(hash), 0, 0)) >> SH_WORD_TAG_SHIFT) &&
	    sh_state(hit->word) >= SH_NEW && sh_flow_is(hit->flow, key, v6))
		return true;
	scratch = sh_scratch();
	if (!scratch)
		return false;
	scratch->key = *key; /* only this copy has to live in memory */
	found = sh_search_any(&scratch->key, v6);
	return found >= 0 && sh_hit_at((__u32)found, hit, v6) && sh_flow_is(hit->flow, key, v6);
}

/*
 * Is @hit still the flow whose key was compared? Asked after the rewrite was
 * copied. Its stamp may have moved and its state gone on meanwhile; a slot
 * that was taken for another flow has another tag, or begins anew.
 */
static __always_inline bool sh_hit_holds(const struct sh_hit *hit, __u64 loaded)
{
	__u32 now = *(volatile __u32 *)((void *)hit->word_at + sh_after(loaded));

	if (now == hit->word)
		return true;
	return !((now ^ hit->word) >> SH_WORD_TAG_SHIFT) && sh_state(now) >= sh_state(hit->word);
}

/* ---- ending -------------------------------------------------------------- */

static __always_inline struct sh_backend *sh_flow_backend(const struct sh_flow *flow)
{
	__u32 index = SH_BACKEND_INDEX(flow->backend);
	struct sh_backend *backend = bpf_map_lookup_elem(&shunt_backends, &index);

	return backend && backend->id == flow->backend ? backend : NULL;
}

/* A connection counts as live from its binding to its end, by its forward entry. */
static __always_inline void sh_flow_over(const struct sh_flow *flow)
{
	struct sh_backend *backend = sh_flow_backend(flow);

	if (backend && !(flow->flags & SH_FLOW_REPLY))
		__sync_fetch_and_sub(&backend->live, 1);
}

/* What an entry counted goes to its backend. The caller owns it; it was in @state. */
static __always_inline void sh_flow_account(const struct sh_flow *flow, enum sh_flow_state state)
{
	struct sh_backend *backend = sh_flow_backend(flow);

	if (!backend)
		return;
	__sync_fetch_and_add(&backend->packets, flow->packets);
	__sync_fetch_and_add(&backend->bytes, flow->bytes);
	if (state != SH_CLOSED)
		sh_flow_over(flow);
}

/* Take the slot for ourselves. The overflow bit stays. */
static __always_inline bool sh_claim(__u32 *word_at, __u32 old, __u32 tag)
{
	__u32 busy = sh_word(tag, SH_BUSY, 0) | (old & SH_WORD_OVERFLOW);

	return __sync_val_compare_and_swap(word_at, old, busy) == old;
}

/*
 * From SH_BUSY to @word, in one fully ordered step: all that was written to
 * the entry is seen before. Only the overflow bit may have changed meanwhile.
 */
static __always_inline void sh_publish(__u32 *word_at, __u32 tag, __u32 word)
{
	__sync_fetch_and_xor(word_at, sh_word(tag, SH_BUSY, 0) ^ word);
}

/* End the flow at @index if it is still in the state of @word. */
static __always_inline int sh_end(__u32 index, __u32 word, const bool v6)
{
	__u32 tag = word >> SH_WORD_TAG_SHIFT;
	struct sh_hit hit;

	if (!sh_hit_at(index, &hit, v6) || !sh_claim(hit.word_at, word, tag))
		return 0;
	sh_flow_account(hit.flow, sh_state(word));
	sh_publish(hit.word_at, tag, 0);
	return 1;
}

/* ---- inserting ----------------------------------------------------------- */

static __always_inline void sh_flow_fill(struct sh_flow *flow, const struct sh_entry *entry,
					 const bool v6)
{
	struct sh_flow6 *flow6 = (struct sh_flow6 *)flow;
	const struct sh_key *from = &entry->from, *to = &entry->to;
	__u64 addrs, ports;

	if (v6) {
		sh_addr_from_word(&flow6->saddr, from->src, true);
		sh_addr_from_word(&flow6->daddr, from->dst, true);
		sh_addr_from_word(&flow6->to_saddr, to->src, true);
		sh_addr_from_word(&flow6->to_daddr, to->dst, true);
	} else {
		flow->saddr = (__be32)from->src[1];
		flow->daddr = (__be32)from->dst[1];
		flow->to_saddr = (__be32)to->src[1];
		flow->to_daddr = (__be32)to->dst[1];
	}
	addrs = 0;
#pragma clang loop unroll(disable) /* unrolled it takes too much stack */
	for (int i = 0; i < 2; i++) {
		addrs += sh_csum_fold(~from->src[i]) + sh_csum_fold(~from->dst[i]);
		addrs += sh_csum_fold(to->src[i]) + sh_csum_fold(to->dst[i]);
	}
	ports = (__u64)(__u16)~from->sport + (__u16)~from->dport + to->sport + to->dport;
	flow->addr_delta = (__u16)sh_csum_fold(addrs);
	flow->l4_delta = (__u16)sh_csum_fold(addrs + ports);
	flow->sport = from->sport;
	flow->dport = from->dport;
	flow->to_sport = to->sport;
	flow->to_dport = to->dport;
	flow->proto = from->proto;
	flow->direction = from->direction;
	flow->flags = entry->flags;
	flow->backend = entry->backend;
	flow->packets = 0;
	flow->bytes = 0;
	flow->ifindex = 0;
}

/* A slot as it was seen; it may be claimed only while its word is still that. */
struct sh_slot {
	__u32 index; /* of the flow table */
	__u32 word;
};

/*
 * A slot of the bucket that may be taken: the first way if it can be had, else
 * any. Unanswered flows that hold their quarter of the bucket already have to
 * give up one of theirs, so that no flood of them takes what others could
 * have; with @press they do so in any case.
 */
static __always_inline bool sh_slot_pick(const struct sh_entry *entry, __u32 bucket_nr,
					 struct sh_slot *slot, bool press, const bool v6)
{
	const struct sh_bucket *bucket = sh_bucket_at(bucket_nr, v6);
	__u32 first = sh_first_way(sh_key_hash(&entry->from)), now = sh_stamp_now();
	__u32 evictable = 0, unanswered = 0, count = 0, word, mask, way;

	if (!bucket)
		return false;
	for (__u32 i = 0; i < SH_WAYS; i++) {
		__u32 gone, unclear;

		word = bucket->word[i];
		gone = sh_evictable(word, now);
		unclear = sh_negative((__s32)(sh_state(word) ^ SH_NEW) - 1) & ~gone;
		evictable |= gone << i;
		unanswered |= unclear << i;
		count += unclear;
	}
	press = press || count >= SH_WAYS / 4;
	mask = press ? unanswered : evictable;
	if (bucket_nr == entry->keep / SH_WAYS)
		mask &= ~(1u << entry->keep % SH_WAYS);
	if (!mask)
		return false;
	mask = (mask | mask << SH_WAYS) >> first & 0xffff;
	way = (sh_lowest(mask) + first) & (SH_WAYS - 1);
	slot->index = bucket_nr * SH_WAYS + way;
	slot->word = *(const volatile __u32 *)&bucket->word[way];
	/* It may have become somebody's meanwhile. */
	return sh_evictable(slot->word, now) || (press && sh_state(slot->word) == SH_NEW);
}

/* The ways of a bucket that are being filled for a key of this tag, as bits. */
static __always_inline __u32 sh_busy_mask(const struct sh_bucket *bucket, __u32 tag)
{
	__u32 mask = 0, word;

	for (__u32 way = 0; way < SH_WAYS; way++) {
		word = *(const volatile __u32 *)&bucket->word[way] & ~SH_WORD_OVERFLOW;
		mask |= sh_equal(word, sh_word(tag, SH_BUSY, 0)) << way;
	}
	return mask;
}

enum sh_rival { SH_ALONE, SH_LOWER, SH_HIGHER };

/* Is somebody else filling a slot of this bucket for a key like ours, at @index? */
static __always_inline enum sh_rival sh_rival_in(__u32 bucket_nr, __u32 tag, __u32 index,
						 const bool v6)
{
	const struct sh_bucket *bucket = sh_bucket_at(bucket_nr, v6);
	__u32 mask = bucket ? sh_busy_mask(bucket, tag) : 0;

	if (bucket_nr == index / SH_WAYS) /* ours */
		mask &= ~(1u << index % SH_WAYS);
	if (!mask)
		return SH_ALONE;
	return bucket_nr * SH_WAYS + sh_lowest(mask) < index ? SH_LOWER : SH_HIGHER;
}

static __always_inline enum sh_rival sh_rival(const struct sh_key *key, __u32 index, const bool v6)
{
	__u64 hash = sh_key_hash(key);
	__u32 tag = sh_tag(hash), home = sh_home(hash, v6);
	const struct sh_bucket *bucket = sh_bucket_at(home, v6);
	enum sh_rival rival = sh_rival_in(home, tag, index, v6);

	/* The bit is set before anybody claims a slot in the second bucket. */
	if (rival == SH_LOWER || !bucket || !(bucket->word[0] & SH_WORD_OVERFLOW))
		return rival;
	if (rival == SH_HIGHER)
		return sh_rival_in(sh_second(home, tag, v6), tag, index, v6) == SH_LOWER
			       ? SH_LOWER
			       : SH_HIGHER;
	return sh_rival_in(sh_second(home, tag, v6), tag, index, v6);
}

__noinline int sh_rival4(const struct sh_key *key, __u32 index)
{
	return key ? (int)sh_rival(key, index, false) : SH_ALONE;
}

__noinline int sh_rival6(const struct sh_key *key, __u32 index)
{
	return key ? (int)sh_rival(key, index, true) : SH_ALONE;
}

#define SH_RIVAL_TURNS 64

/*
 * The slot at @index is claimed for @key. Does the key stay ours alone?
 * @return 0; -EEXIST: no, it is there; -EAGAIN: somebody else is at it
 */
static __always_inline int sh_contend(const struct sh_key *key, __u32 index, const bool v6)
{
	int rival = SH_HIGHER, i;

	for (i = 0; i < SH_RIVAL_TURNS && rival == SH_HIGHER; i++)
		rival = v6 ? sh_rival6(key, index) : sh_rival4(key, index);
	if (rival != SH_ALONE)
		return -EAGAIN;
	/* A rival that was done before we looked has an entry now. */
	i = v6 ? sh_search6(key, (int)index) : sh_search4(key, (int)index);
	return i >= 0 ? -EEXIST : 0;
}

/* Which slot @entry is to have. @return 0, -EEXIST or -ENOSPC as sh_insert() has them. */
static __always_inline int sh_slot_find(const struct sh_entry *entry, __u64 hash,
					struct sh_slot *slot, const bool v6)
{
	__u32 home = sh_home(hash, v6), second;
	struct sh_bucket *bucket;
	struct sh_hit same;
	int index;

	index = sh_search_any(&entry->from, v6);
	if (index >= 0 && sh_hit_at((__u32)index, &same, v6)) {
		slot->index = (__u32)index;
		slot->word = same.word;
		return sh_evictable(same.word, sh_stamp_now()) ? 0 : -EEXIST;
	}
	second = sh_second(home, sh_tag(hash), v6);
	if (sh_slot_pick(entry, home, slot, false, v6))
		return 0;
	if (!sh_slot_pick(entry, second, slot, false, v6)) {
		if (sh_slot_pick(entry, home, slot, true, v6))
			return 0;
		if (!sh_slot_pick(entry, second, slot, true, v6))
			return -ENOSPC;
	}
	bucket = sh_bucket_at(home, v6);
	if (bucket)
		__sync_fetch_and_or(&bucket->word[0], SH_WORD_OVERFLOW);
	return 0;
}

/* Let whoever is at a key like ours finish, for a while. */
static __always_inline void sh_wait(const struct sh_key *key, const bool v6)
{
	for (int i = 0; i < SH_RIVAL_TURNS; i++) {
		if ((v6 ? sh_rival6(key, ~0u) : sh_rival4(key, ~0u)) == SH_ALONE)
			return;
	}
}

/*
 * Enter @entry. A dead flow of the same key is replaced.
 * @return its index; -EEXIST: a living flow has this key already; -EAGAIN:
 * another CPU is just entering one like it; -ENOSPC: no slot may be taken
 */
static __always_inline int sh_insert(const struct sh_entry *entry, const bool v6)
{
	__u64 hash = sh_key_hash(&entry->from);
	struct sh_slot slot = {};
	__u32 tag = sh_tag(hash);
	struct sh_hit hit;
	int ret;

	ret = sh_slot_find(entry, hash, &slot, v6);
	if (ret)
		return ret;
	if (!sh_hit_at(slot.index, &hit, v6) || !sh_claim(hit.word_at, slot.word, tag))
		return -EAGAIN;
	if (sh_state(slot.word) != SH_FREE)
		sh_flow_account(hit.flow, sh_state(slot.word));
	ret = sh_contend(&entry->from, slot.index, v6);
	if (ret) {
		sh_publish(hit.word_at, tag, 0);
		sh_wait(&entry->from, v6);
		return ret;
	}
	sh_flow_fill(hit.flow, entry, v6);
	sh_publish(hit.word_at, tag, sh_word(tag, SH_NEW, sh_stamp_now()));
	return (int)slot.index;
}

__noinline int sh_insert4(const struct sh_entry *entry)
{
	return entry ? sh_insert(entry, false) : -ENOSPC;
}

__noinline int sh_insert6(const struct sh_entry *entry)
{
	return entry ? sh_insert(entry, true) : -ENOSPC;
}

static __always_inline int sh_insert_any(const struct sh_entry *entry, const bool v6)
{
	return v6 ? sh_insert6(entry) : sh_insert4(entry);
}

/* What @flow is looked up by. */
static __always_inline void sh_flow_key(struct sh_key *key, const struct sh_flow *flow,
					const bool v6)
{
	const struct sh_flow6 *flow6 = (const struct sh_flow6 *)flow;

	if (v6) {
		sh_word_from_addr(key->src, &flow6->saddr, true);
		sh_word_from_addr(key->dst, &flow6->daddr, true);
	} else {
		key->src[0] = key->dst[0] = 0;
		key->src[1] = flow->saddr;
		key->dst[1] = flow->daddr;
	}
	key->sport = flow->sport;
	key->dport = flow->dport;
	key->proto = flow->proto;
	key->direction = flow->direction;
}

/* ---- the flow's life ------------------------------------------------------ */

/*
 * State and stamp of a word whose flow goes on. Loses to anybody who changed it meanwhile.
 * @return true: it is over by this
 */
static __always_inline bool sh_set_state(const struct sh_hit *hit, enum sh_flow_state state)
{
	__u32 word = (hit->word & ~(SH_WORD_STATE_MASK | SH_WORD_STAMP_MASK)) |
		     sh_word(0, state, sh_stamp_now());

	if (word == hit->word ||
	    __sync_val_compare_and_swap(hit->word_at, hit->word, word) != hit->word)
		return false;
	if (state != SH_CLOSED || sh_state(hit->word) == SH_CLOSED)
		return false;
	sh_flow_over(hit->flow);
	return true;
}

/*
 * Where the reverse entry is met: of a client's entry on egress, as its backend
 * answers, but on ingress where that answers to us; a client's is always ingress.
 */
static __always_inline __u8 sh_peer_direction(const struct sh_flow *flow)
{
	return flow->flags & (SH_FLOW_REPLY | SH_FLOW_SNAT) ? SH_INGRESS : SH_EGRESS;
}

static __always_inline void sh_peer_key(struct sh_key *key, const struct sh_flow *flow,
					const bool v6)
{
	const struct sh_flow6 *flow6 = (const struct sh_flow6 *)flow;

	if (v6) {
		sh_word_from_addr(key->src, &flow6->to_daddr, true);
		sh_word_from_addr(key->dst, &flow6->to_saddr, true);
	} else {
		key->src[0] = key->dst[0] = 0;
		key->src[1] = flow->to_daddr;
		key->dst[1] = flow->to_saddr;
	}
	key->sport = flow->to_dport;
	key->dport = flow->to_sport;
	key->proto = flow->proto;
	key->direction = sh_peer_direction(flow);
	key->pad = 0;
}

/* The entry that undoes @flow. */
static __always_inline void sh_peer_entry(struct sh_entry *entry, const struct sh_flow *flow,
					  const bool v6)
{
	const struct sh_flow6 *flow6 = (const struct sh_flow6 *)flow;

	sh_peer_key(&entry->from, flow, v6);
	if (v6) {
		sh_word_from_addr(entry->to.src, &flow6->daddr, true);
		sh_word_from_addr(entry->to.dst, &flow6->saddr, true);
	} else {
		entry->to.src[0] = entry->to.dst[0] = 0;
		entry->to.src[1] = flow->daddr;
		entry->to.dst[1] = flow->saddr;
	}
	entry->to.sport = flow->dport;
	entry->to.dport = flow->sport;
	entry->to.proto = flow->proto;
	entry->to.direction = flow->direction;
	entry->to.pad = 0;
	entry->backend = flow->backend;
	entry->flags = flow->flags ^ SH_FLOW_REPLY;
}

/* Does the flow at @index say what @entry would? */
static __always_inline bool sh_says(int index, const struct sh_entry *entry, const bool v6)
{
	struct sh_hit hit;
	struct sh_key to;

	if (index < 0 || !sh_hit_at((__u32)index, &hit, v6))
		return false;
	sh_peer_key(&to, hit.flow, v6); /* what it leads to, the other way round */
	return hit.flow->backend == entry->backend && to.src[0] == entry->to.dst[0] &&
	       to.src[1] == entry->to.dst[1] && to.dst[0] == entry->to.src[0] &&
	       to.dst[1] == entry->to.src[1] && to.sport == entry->to.dport &&
	       to.dport == entry->to.sport;
}

static __always_inline enum sh_flow_state sh_next_state(enum sh_flow_state state, __u8 tcp_flags,
							__u8 proto, bool reply)
{
	if (proto == IPPROTO_TCP && tcp_flags & SH_TCP_RST)
		return SH_CLOSED;
	if (state == SH_NEW && reply)
		state = proto == IPPROTO_UDP ? SH_LIVE_UDP : SH_LIVE;
	if (proto == IPPROTO_TCP && tcp_flags & SH_TCP_FIN && state != SH_CLOSED)
		return SH_HALF_CLOSED;
	return state;
}

/*
 * What is rare: a first answer, a FIN, an RST, a stamp that has grown old, a
 * SYN on a flow that is over. Keeps both directions in step.
 * @return SH_NEXT: go on; SH_PUNT: this flow is over, treat the packet as a
 * new one; SH_DROP: its backend is gone; SH_TOUCH_REBUILD: the reverse entry
 * was evicted: insert the scratch's `peer` and call again. (Not done here:
 * that would be one call too deep for Linux 6.1's 512 bytes of stack.)
 */
#define SH_TOUCH_REBUILD 16

static __always_inline int sh_flow_touch(const struct sh_touch *touch, const bool v6)
{
	enum sh_flow_state state, next;
	struct sh_scratch *scratch = sh_scratch();
	struct sh_hit hit, peer;
	struct sh_entry *undo;
	int index, peer_index;
	bool reply, syn;

	index = sh_search_any(&touch->key, v6);
	if (!scratch || index < 0 || !sh_hit_at((__u32)index, &hit, v6))
		return SH_PUNT;
	state = sh_state(hit.word);
	reply = hit.flow->flags & SH_FLOW_REPLY;
	/* The answer to a SYN that we have not seen: its client went to the backend itself. */
	if (reply && state >= SH_HALF_CLOSED && touch->tcp_flags & SH_TCP_SYN) {
		sh_end((__u32)index, hit.word, v6);
		return SH_PUNT;
	}
	syn = (touch->tcp_flags & (SH_TCP_SYN | SH_TCP_ACK)) == SH_TCP_SYN;
	if (state == SH_GONE && touch->key.proto == IPPROTO_TCP && !syn)
		return SH_DROP;
	if (state == SH_GONE || (!reply && state >= SH_HALF_CLOSED && syn)) {
		sh_end((__u32)index, hit.word, v6);
		return SH_PUNT;
	}
	next = sh_next_state(state, touch->tcp_flags, touch->key.proto, reply);
	undo = &scratch->peer;
	sh_peer_entry(undo, hit.flow, v6);
	peer_index = sh_search_any(&undo->from, v6);
	undo->keep = (__u32)index;
	if (peer_index < 0 && next < SH_HALF_CLOSED && !touch->rebuilt)
		return SH_TOUCH_REBUILD;
	if (peer_index >= 0 && !sh_says(peer_index, undo, v6)) {
		/* Its reverse was evicted, and the tuple is another flow's now: find another. */
		if (!reply) {
			sh_end((__u32)index, hit.word, v6);
			return SH_PUNT;
		}
		peer_index = -1;
	}
	if (peer_index >= 0 && sh_hit_at((__u32)peer_index, &peer, v6)) {
		enum sh_flow_state peer_state = sh_state(peer.word);

		/* Both have sent their FIN, or one an RST: over. */
		if (next == SH_HALF_CLOSED && peer_state == SH_HALF_CLOSED)
			next = SH_CLOSED;
		if (next == SH_CLOSED)
			peer_state = SH_CLOSED;
		else if (peer_state == SH_NEW && next != SH_NEW)
			peer_state = touch->key.proto == IPPROTO_UDP ? SH_LIVE_UDP : SH_LIVE;
		sh_set_state(&peer, peer_state);
	}
	if (sh_set_state(&hit, next))
		sh_report(hit.flow, SH_EVENT_CLOSED, v6);
	return SH_NEXT;
}

__noinline int sh_flow_touch4(const struct sh_touch *touch)
{
	return touch ? sh_flow_touch(touch, false) : SH_PUNT;
}

__noinline int sh_flow_touch6(const struct sh_touch *touch)
{
	return touch ? sh_flow_touch(touch, true) : SH_PUNT;
}

static __always_inline int sh_flow_touch_any(const struct sh_touch *touch, const bool v6)
{
	return v6 ? sh_flow_touch6(touch) : sh_flow_touch4(touch);
}

/* Nothing has changed for this flow: the hot path stops here. */
static __always_inline bool sh_flow_steady(const struct sh_hit *hit, const struct sh_key *key,
					   __u8 tcp_flags)
{
	enum sh_flow_state live = key->proto == IPPROTO_UDP ? SH_LIVE_UDP : SH_LIVE;

	return (hit->word & (SH_WORD_STATE_MASK | SH_WORD_STAMP_MASK)) ==
		       sh_word(0, live, sh_stamp_now()) &&
	       !(tcp_flags & (SH_TCP_FIN | SH_TCP_SYN | SH_TCP_RST));
}

#endif
