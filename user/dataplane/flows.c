/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table from the side of user space: memory, not system calls. */
#include "dataplane/publisher.h"

static enum sh_flow_state word_state(uint32_t word)
{
	return (enum sh_flow_state)((word & SH_WORD_STATE_MASK) >> SH_WORD_STATE_SHIFT);
}

/* One family's table: buckets of words, and entries of @entry_size bytes. */
struct table {
	struct sh_bucket *buckets;
	char *entries;
	size_t entry_size;
	uint32_t n_buckets;
};

static size_t table_end(const struct table *table, const uint8_t *gone)
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
	struct table v4 = {
		.buckets = dp->mem[DP_MAP_TAGS4],
		.entries = dp->mem[DP_MAP_FLOWS4],
		.entry_size = sizeof(struct sh_flow),
		.n_buckets = dp->map_max[DP_MAP_TAGS4],
	};
	struct table v6 = {
		.buckets = dp->mem[DP_MAP_TAGS6],
		.entries = dp->mem[DP_MAP_FLOWS6],
		.entry_size = sizeof(struct sh_flow6),
		.n_buckets = dp->map_max[DP_MAP_TAGS6],
	};

	return table_end(&v4, gone) + table_end(&v6, gone);
}
