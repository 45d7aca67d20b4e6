// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Old flow tables -> new ones, while programs work on both. A pass looks at
 * every old word and acts on those that have changed since the last one: a few
 * milliseconds for a table in which little happens. What is written goes by the
 * protocol of bpf/flow.h. A new entry that a new program has touched since it
 * was written here is that program's, and left alone.
 */
#include "dataplane/migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/load.h"

#define NOWHERE UINT32_MAX

/* What became of one old entry. */
struct copied {
	uint32_t seen;	/* its word then, without the overflow bit */
	uint32_t index; /* the new entry; NOWHERE */
	uint32_t word;	/* as it was written there, without the overflow bit */
};

struct flow_copy {
	struct copied *v[2]; /* by family, then by old index */
	uint32_t *live;	     /* by backend index: live flows copied */
	uint32_t n_live;
};

/* One family's tables during a pass. */
struct move {
	struct dataplane *dp;
	struct copied *copied;
	uint32_t *live, n_live;
	const uint32_t *old_words;
	const char *old_entries;
	size_t old_entry_size;
	uint64_t n_old;
	struct flow_table to;
	int tags, flows; /* enum dp_map */
	size_t left_out;
};

/* An entry on its way, as it is to stand in the new table. */
struct parcel {
	struct sh_flow6 entry; /* IPv4: its first line */
	uint64_t hash;
	uint32_t word; /* without the overflow bit */
};

/* ---- keys ------------------------------------------------------------------------ */

static uint64_t fold(uint64_t x)
{
	return x ^ x >> 32;
}

static uint64_t addr_half(const struct sh_addr *addr, int half)
{
	return (uint64_t)addr->w[2 * half] | (uint64_t)addr->w[2 * half + 1] << 32;
}

/* bpf/key.h, sh_key_hash() */
static uint64_t flow_hash(const struct move *move, const struct sh_flow6 *entry)
{
	const struct sh_control *control = move->dp->mem[DP_MAP_CONTROL];
	const uint64_t *seed = (const uint64_t *)control->config.seed;
	const struct sh_flow *flow = &entry->f;
	uint64_t h, ports;

	if (move->to.family == FAMILY_IPV6)
		h = fold(addr_half(&entry->saddr, 0)) * seed[0] +
		    fold(addr_half(&entry->saddr, 1)) * seed[1] +
		    fold(addr_half(&entry->daddr, 0)) * seed[2] +
		    fold(addr_half(&entry->daddr, 1)) * seed[3];
	else
		h = fold(flow->saddr) * seed[1] + fold(flow->daddr) * seed[3];
	ports = (uint64_t)flow->sport | (uint64_t)flow->dport << 16 | (uint64_t)flow->proto << 32 |
		(uint64_t)flow->direction << 40;
	return (fold(h) + ports) * seed[4];
}

static bool same_key(const struct move *move, const struct sh_flow6 *a, const struct sh_flow6 *b)
{
	const struct sh_flow *x = &a->f, *y = &b->f;

	if (x->sport != y->sport || x->dport != y->dport || x->proto != y->proto ||
	    x->direction != y->direction)
		return false;
	if (move->to.family == FAMILY_IPV6)
		return !memcmp(&a->saddr, &b->saddr, sizeof(a->saddr)) &&
		       !memcmp(&a->daddr, &b->daddr, sizeof(a->daddr));
	return x->saddr == y->saddr && x->daddr == y->daddr;
}

static uint32_t word_tag(uint64_t hash)
{
	return (uint32_t)(hash >> (32 + SH_WORD_TAG_SHIFT));
}

static uint32_t home_of(const struct move *move, uint64_t hash)
{
	return (uint32_t)(hash >> 32) & (move->to.n_buckets - 1);
}

/* bpf/flow.h, sh_second() */
static uint32_t second_of(const struct move *move, uint64_t hash)
{
	return (home_of(move, hash) ^ (word_tag(hash) + 1) * 0x5bd1e995u) &
	       (move->to.n_buckets - 1);
}

static struct sh_flow6 *entry_at(const struct move *move, uint32_t index)
{
	return (void *)(move->to.entries + (size_t)index * move->to.entry_size);
}

static uint32_t *word_at(const struct move *move, uint32_t index)
{
	return &move->to.buckets[index / SH_WAYS].word[index % SH_WAYS];
}

/* ---- finding ------------------------------------------------------------------------ */

static uint32_t find_in(const struct move *move, const struct parcel *parcel, uint32_t bucket)
{
	uint32_t way, index, word;

	for (way = 0; way < SH_WAYS; way++) {
		index = bucket * SH_WAYS + way;
		word = __atomic_load_n(word_at(move, index), __ATOMIC_ACQUIRE);
		if (word >> SH_WORD_TAG_SHIFT == word_tag(parcel->hash) &&
		    word_state(word) >= SH_NEW &&
		    same_key(move, entry_at(move, index), &parcel->entry))
			return index;
	}
	return NOWHERE;
}

static uint32_t find(const struct move *move, const struct parcel *parcel)
{
	uint32_t index = find_in(move, parcel, home_of(move, parcel->hash));

	return index != NOWHERE ? index : find_in(move, parcel, second_of(move, parcel->hash));
}

/* ---- counts --------------------------------------------------------------------------- */

/* The line that a flow counts in as live; NULL: it doesn't. */
static struct sh_backend *counted_by(const struct move *move, const struct sh_flow *flow,
				     uint32_t word)
{
	struct sh_backend *lines = move->dp->mem[DP_MAP_BACKENDS];
	uint32_t index = SH_BACKEND_INDEX(flow->backend);

	if (word_state(word) < SH_NEW || word_state(word) == SH_CLOSED ||
	    flow->flags & SH_FLOW_REPLY || index >= move->dp->map_max[DP_MAP_BACKENDS] ||
	    lines[index].id != flow->backend)
		return NULL;
	return &lines[index];
}

/* A flow counts in its new backend line once it is copied, as long as it would if made there. */
static void count(const struct move *move, const struct sh_flow *flow, uint32_t before,
		  uint32_t after)
{
	struct sh_backend *was = counted_by(move, flow, before);
	struct sh_backend *is = counted_by(move, flow, after);
	uint32_t index = SH_BACKEND_INDEX(flow->backend);

	if (is && !was) {
		__atomic_fetch_add(&is->live, 1, __ATOMIC_RELAXED);
		move->live[index]++;
	} else if (was && !is) {
		__atomic_fetch_sub(&was->live, 1, __ATOMIC_RELAXED);
		move->live[index]--;
	}
}

/* ---- writing ---------------------------------------------------------------------------- */

/* Exchange a word that is still as it was written here; the overflow bit goes its own way. */
static bool exchange(uint32_t *at, uint32_t was, uint32_t is)
{
	uint32_t now = __atomic_load_n(at, __ATOMIC_ACQUIRE);

	while ((now & ~SH_WORD_OVERFLOW) == was) {
		if (__atomic_compare_exchange_n(at, &now, is | (now & SH_WORD_OVERFLOW), false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* Into a slot of the bucket whose flow is over or never was. @return its index, or NOWHERE */
static uint32_t put_in(const struct move *move, const struct parcel *parcel, uint32_t bucket,
		       enum sh_flow_state least)
{
	const uint32_t busy = word_tag(parcel->hash) << SH_WORD_TAG_SHIFT |
			      (uint32_t)SH_BUSY << SH_WORD_STATE_SHIFT;
	uint32_t first = (uint32_t)(parcel->hash >> 28), i, index, word;

	for (i = 0; i < SH_WAYS; i++) {
		index = bucket * SH_WAYS + ((first + i) & (SH_WAYS - 1));
		word = __atomic_load_n(word_at(move, index), __ATOMIC_ACQUIRE) & ~SH_WORD_OVERFLOW;
		if (word_state(word) != least || !exchange(word_at(move, index), word, busy))
			continue;
		memcpy(entry_at(move, index), &parcel->entry, move->to.entry_size);
		__atomic_fetch_xor(word_at(move, index), busy ^ parcel->word, __ATOMIC_ACQ_REL);
		return index;
	}
	return NOWHERE;
}

static uint32_t put(const struct move *move, const struct parcel *parcel)
{
	uint32_t home = home_of(move, parcel->hash), second = second_of(move, parcel->hash);
	static const enum sh_flow_state takes[] = { SH_FREE, SH_CLOSED };
	uint32_t index;
	size_t i;

	for (i = 0; i < 2; i++) {
		index = put_in(move, parcel, home, takes[i]);
		if (index != NOWHERE)
			return index;
		/* Before anybody can look for it there: bpf/flow.h */
		__atomic_fetch_or(word_at(move, home * SH_WAYS), SH_WORD_OVERFLOW,
				  __ATOMIC_ACQ_REL);
		index = put_in(move, parcel, second, takes[i]);
		if (index != NOWHERE)
			return index;
	}
	return NOWHERE;
}

/* ---- one entry ------------------------------------------------------------------------- */

/* The old entry at @i as a new one. @return false: it is being changed, look again later */
static bool parcel_make(const struct move *move, uint64_t i, uint32_t word, struct parcel *parcel)
{
	const struct migration *migration = move->dp->migration;
	const struct sh_backend *lines = move->dp->mem[DP_MAP_BACKENDS];
	uint32_t bare = word & ~SH_WORD_OVERFLOW, now, index;

	memset(parcel, 0, sizeof(*parcel));
	copy_value(migration, move->flows, move->old_entries + i * move->old_entry_size,
		   move->to.entry_size, &parcel->entry);
	now = __atomic_load_n(&move->old_words[i], __ATOMIC_ACQUIRE);
	if ((now ^ word) >> SH_WORD_TAG_SHIFT || word_state(now) < word_state(word))
		return false;
	copy_value(migration, move->tags, &bare, sizeof(bare), &parcel->word);
	parcel->hash = flow_hash(move, &parcel->entry);
	parcel->word &= SH_WORD_STATE_MASK | SH_WORD_STAMP_MASK;
	parcel->word |= word_tag(parcel->hash) << SH_WORD_TAG_SHIFT;
	/* Removed by a publish that knew the new tables only. */
	index = SH_BACKEND_INDEX(parcel->entry.f.backend);
	if (word_state(parcel->word) != SH_CLOSED && (index >= move->dp->map_max[DP_MAP_BACKENDS] ||
						      lines[index].id != parcel->entry.f.backend))
		parcel->word |= (uint32_t)SH_GONE << SH_WORD_STATE_SHIFT;
	return true;
}

/* The flow that was copied is no more. */
static void withdraw(struct move *move, struct copied *copied)
{
	if (copied->index != NOWHERE && exchange(word_at(move, copied->index), copied->word, 0))
		count(move, &entry_at(move, copied->index)->f, copied->word, 0);
	copied->index = NOWHERE;
}

static void update(struct move *move, struct copied *copied, const struct parcel *parcel)
{
	struct sh_flow6 *entry = entry_at(move, copied->index);

	if (!exchange(word_at(move, copied->index), copied->word, parcel->word))
		return;
	count(move, &entry->f, copied->word, parcel->word);
	copied->word = parcel->word;
}

static void insert(struct move *move, struct copied *copied, const struct parcel *parcel)
{
	uint32_t there = find(move, parcel);

	if (there != NOWHERE) { /* by a process that was killed, or a new program's */
		if (counted_by(move, &parcel->entry.f, *word_at(move, there)))
			move->live[SH_BACKEND_INDEX(parcel->entry.f.backend)]++;
		return;
	}
	copied->index = put(move, parcel);
	copied->word = parcel->word;
	if (copied->index != NOWHERE)
		count(move, &parcel->entry.f, 0, parcel->word);
	else if (word_state(parcel->word) != SH_CLOSED)
		move->left_out++;
}

static void copy_one(struct move *move, uint64_t i, uint32_t word)
{
	struct copied *copied = &move->copied[i];
	struct parcel parcel;

	if (word_state(word) == SH_BUSY)
		return;
	if (word_state(word) == SH_FREE) {
		withdraw(move, copied);
	} else {
		if (!parcel_make(move, i, word, &parcel))
			return;
		if (copied->index != NOWHERE &&
		    same_key(move, entry_at(move, copied->index), &parcel.entry)) {
			update(move, copied, &parcel);
		} else {
			withdraw(move, copied);
			insert(move, copied, &parcel);
		}
	}
	copied->seen = word & ~SH_WORD_OVERFLOW;
}

/* ---- a pass ------------------------------------------------------------------------------ */

static int copy_room(struct flow_copy *copy, const struct dataplane *dp)
{
	static const int flows[] = { DP_MAP_FLOWS4, DP_MAP_FLOWS6 };
	uint64_t n, i;
	int family;

	copy->n_live = dp->map_max[DP_MAP_BACKENDS];
	copy->live = calloc((size_t)copy->n_live + 1, sizeof(*copy->live));
	for (family = 0; family < 2; family++) {
		n = dp->migration->from->map_max[flows[family]];
		copy->v[family] = calloc(n + 1, sizeof(*copy->v[family]));
		if (!copy->v[family])
			return -ENOMEM;
		for (i = 0; i < n; i++)
			copy->v[family][i].index = NOWHERE;
	}
	return copy->live ? 0 : -ENOMEM;
}

static void move_make(struct move *move, struct dataplane *dp, enum family family)
{
	const bool v6 = family == FAMILY_IPV6;
	const struct dataplane *from = dp->migration->from;
	struct flow_copy *copy = dp->migration->flows;

	*move = (struct move){
		.dp = dp,
		.copied = copy->v[v6],
		.live = copy->live,
		.tags = v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4,
		.flows = v6 ? DP_MAP_FLOWS6 : DP_MAP_FLOWS4,
		.to = flow_table(dp, family),
	};
	move->old_words = from->mem[move->tags];
	move->old_entries = from->mem[move->flows];
	move->old_entry_size = from->map_size[move->flows];
	move->n_old = from->map_max[move->flows];
}

static void copy_table(struct dataplane *dp, enum family family, size_t *n_left_out)
{
	struct move move;
	uint32_t word;
	uint64_t i;

	move_make(&move, dp, family);
	for (i = 0; i < move.n_old; i++) {
		word = __atomic_load_n(&move.old_words[i], __ATOMIC_ACQUIRE);
		if ((word & ~SH_WORD_OVERFLOW) != move.copied[i].seen)
			copy_one(&move, i, word);
	}
	*n_left_out += move.left_out;
}

int flows_copy(struct dataplane *dp, size_t *n_left_out, struct err *err)
{
	struct migration *migration = dp->migration;
	int ret;

	*n_left_out = 0;
	if (migration->way[DP_MAP_FLOWS4] != MAP_COPY)
		return 0;
	migration->mapped_flows = migration->mapped_flows || !dp->mem[DP_MAP_FLOWS4];
	ret = flows_mmap(dp, err);
	if (!ret)
		ret = flows_mmap(migration->from, err);
	if (ret)
		return ret;
	if (!migration->flows) {
		migration->flows = calloc(1, sizeof(*migration->flows));
		if (!migration->flows || copy_room(migration->flows, dp))
			return err_system(err, -ENOMEM, "copy the flows");
	}
	copy_table(dp, FAMILY_IPV4, n_left_out);
	copy_table(dp, FAMILY_IPV6, n_left_out);
	return 0;
}

uint32_t flows_copied(const struct migration *migration, uint32_t index)
{
	const struct flow_copy *copy = migration->flows;

	return copy && index < copy->n_live ? copy->live[index] : 0;
}

void flow_copy_free(struct flow_copy *copy)
{
	if (!copy)
		return;
	free(copy->v[0]);
	free(copy->v[1]);
	free(copy->live);
	free(copy);
}
