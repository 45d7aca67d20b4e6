// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Numbers about what the kernel holds, cheap enough to be asked for every few seconds. */
#include "dataplane/publisher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Elements of shunt_drops that are read at a time. */
#define DROPS_BATCH 1024

/* ---- flows ------------------------------------------------------------------------ */

/* Most of a table is free, whole lines of it: those cost no more than to be read. */
static void count_table(const struct sh_bucket *buckets, uint32_t n, uint64_t *counts)
{
	uint32_t bucket, way, word, any;

	for (bucket = 0; bucket < n && buckets; bucket++) {
		any = 0;
		for (way = 0; way < SH_WAYS; way++)
			any |= buckets[bucket].word[way];
		if (!(any & SH_WORD_STATE_MASK))
			continue;
		for (way = 0; way < SH_WAYS; way++) {
			word = __atomic_load_n(&buckets[bucket].word[way], __ATOMIC_RELAXED);
			counts[word_state(word)]++;
		}
	}
}

void dataplane_flow_counts(struct dataplane *dp, struct flow_counts *out)
{
	*out = (struct flow_counts){
		.max4 = (uint64_t)dp->map_max[DP_MAP_TAGS4] * SH_WAYS,
		.max6 = (uint64_t)dp->map_max[DP_MAP_TAGS6] * SH_WAYS,
	};
	count_table(dp->mem[DP_MAP_TAGS4], dp->map_max[DP_MAP_TAGS4], out->v4);
	count_table(dp->mem[DP_MAP_TAGS6], dp->map_max[DP_MAP_TAGS6], out->v6);
}

/* ---- drops -------------------------------------------------------------------------- */

/* One read of the map, a batch at a time. */
struct drop_walk {
	struct sh_drop_key *keys;
	struct sh_drop *values; /* @cpus of them for each key */
	size_t cpus;
	uint64_t standing[SH_REASON_COUNT], entries;
};

static void drop_walk_add(struct drop_walk *walk, uint32_t n)
{
	const struct sh_drop *value = walk->values;
	uint64_t packets;
	size_t cpu;
	uint32_t i;

	for (i = 0; i < n; i++) {
		packets = 0;
		for (cpu = 0; cpu < walk->cpus; cpu++)
			packets += value++->packets;
		if (walk->keys[i].reason < SH_REASON_COUNT)
			walk->standing[walk->keys[i].reason] += packets;
	}
	walk->entries += n;
}

static int drop_walk(struct drop_walk *walk, int fd)
{
	uint32_t at, n, *from = NULL;
	int ret;

	do {
		n = DROPS_BATCH;
		ret = bpf_map_lookup_batch(fd, from, &at, walk->keys, walk->values, &n, NULL);
		/* -ENOENT: the end; what came before it counts. */
		if (ret && ret != -ENOENT)
			return ret;
		drop_walk_add(walk, n);
		from = &at;
	} while (!ret);
	return 0;
}

static void drop_counts_update(struct drop_counts *counts, const struct drop_walk *walk)
{
	unsigned int reason;

	for (reason = 0; reason < SH_REASON_COUNT; reason++) {
		/* Less than before: a Service has gone with its counts. */
		if (walk->standing[reason] > counts->standing[reason])
			counts->packets[reason] +=
				walk->standing[reason] - counts->standing[reason];
		counts->standing[reason] = walk->standing[reason];
	}
	counts->entries = walk->entries;
}

int dataplane_drop_counts(struct dataplane *dp, struct drop_counts *counts, struct err *err)
{
	int cpus = libbpf_num_possible_cpus(), ret = -ENOMEM;
	struct drop_walk walk = { .cpus = cpus > 0 ? (size_t)cpus : 1 };

	walk.keys = calloc(DROPS_BATCH, sizeof(*walk.keys));
	walk.values = calloc(DROPS_BATCH * walk.cpus, sizeof(*walk.values));
	if (walk.keys && walk.values)
		ret = drop_walk(&walk, dp->map_fd[DP_MAP_DROPS]);
	if (ret) {
		(void)err_system(err, ret, "read %s", dp_map_names[DP_MAP_DROPS]);
		goto out;
	}
	drop_counts_update(counts, &walk);
	counts->max = dp->map_max[DP_MAP_DROPS];
out:
	free(walk.keys);
	free(walk.values);
	return ret;
}

/* ---- what is published ---------------------------------------------------------------- */

static uint64_t slots_free(const struct slots *slots)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < slots->n; i++)
		sum += slots->free[i].size;
	return sum;
}

static void fill_services(const struct publisher *publisher, struct dataplane_fill *fill)
{
	const struct service_group *group;
	const struct service_entry *entry;
	bool elsewhere;

	for (group = publisher->groups; group; group = group->hh.next) {
		fill->services += group->services != NULL;
		for (entry = group->services; entry; entry = entry->next) {
			fill->service_ports++;
			fill->endpoints += entry->n_backends;
			elsewhere = entry->cluster.size && !entry->local.size;
			fill->no_local_internal += elsewhere && entry->meta.internal_local;
			fill->no_local_external += elsewhere && entry->meta.external_local;
		}
	}
}

bool dataplane_fill(const struct dataplane *dp, struct dataplane_fill *out)
{
	const struct publisher *publisher = dp->publisher;
	const uint64_t slots = (uint64_t)dp->map_max[DP_MAP_SLOTS] * SH_SLOTS_PER_LINE;
	/* Index 0 is nobody's. */
	const uint64_t backends = dp->map_max[DP_MAP_BACKENDS] - 1;

	if (!publisher)
		return false;
	*out = (struct dataplane_fill){
		.frontends = { HASH_COUNT(publisher->frontends), dp->map_max[DP_MAP_FRONTENDS] },
		.slots = { slots - slots_free(&publisher->slots), slots },
		.nodeaddrs = { HASH_COUNT(publisher->nodeaddrs), dp->map_max[DP_MAP_NODEADDRS] },
		.backends = { backends - publisher->n_free_backends, backends },
	};
	fill_services(publisher, out);
	return true;
}
