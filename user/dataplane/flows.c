/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table from the side of user space: memory, not system calls. */
#include "dataplane/publisher.h"

struct flow_table flow_table(const struct dataplane *dp, enum family family)
{
	bool v6 = family == FAMILY_IPV6;

	return (struct flow_table){
		.buckets = dp->mem[v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4],
		.entries = dp->mem[v6 ? DP_MAP_FLOWS6 : DP_MAP_FLOWS4],
		.entry_size = v6 ? sizeof(struct sh_flow6) : sizeof(struct sh_flow),
		.n_buckets = dp->map_max[v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4],
		.family = family,
	};
}

static size_t table_end(const struct flow_table *table, const uint8_t *gone)
{
	uint32_t *word_at, word, index, bucket, way;
	const struct sh_flow *flow;
	size_t ended = 0;

	for (bucket = 0; bucket < table->n_buckets; bucket++) {
		for (way = 0; way < SH_WAYS; way++) {
			word_at = &table->buckets[bucket].word[way];
			word = __atomic_load_n(word_at, __ATOMIC_ACQUIRE);
			if (word_state(word) < SH_NEW || word_state(word) == SH_GONE)
				continue;
			flow = (const void *)(table->entries +
					      ((size_t)bucket * SH_WAYS + way) * table->entry_size);
			index = SH_BACKEND_INDEX(flow->backend);
			if (!(gone[index / 8] >> index % 8 & 1))
				continue;
			/* A program that changes the word at once leaves it to its next packet. */
			while (word_state(word) >= SH_NEW && word_state(word) != SH_GONE &&
			       !__atomic_compare_exchange_n(
				       word_at, &word,
				       (word & ~SH_WORD_STATE_MASK) |
					       (uint32_t)SH_GONE << SH_WORD_STATE_SHIFT,
				       false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
				;
			ended++;
		}
	}
	return ended;
}

size_t flows_end(struct dataplane *dp, const uint8_t *gone)
{
	struct flow_table v4 = flow_table(dp, FAMILY_IPV4), v6 = flow_table(dp, FAMILY_IPV6);

	return table_end(&v4, gone) + table_end(&v6, gone);
}
