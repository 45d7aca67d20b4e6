/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table from the side of user space: memory, not system calls. Whoever
 * changes a word follows the protocol of bpf/flow.h.
 */
#include "dataplane/probe.h"
#include "dataplane/publisher.h"

#include <sys/mman.h>

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

/* What is over stays this long for the last packets on their way, in stamps of about 16 s. */
#define LINGER		4
/* A pass takes less than this many of them. */
#define PASS_STAMPS_MAX 256
#define SWEEP_NO_CLOCK	UINT32_MAX

/* ---- entries ------------------------------------------------------------------- */

#define WINDOW_BYTES (1u << 20)

void sweep_done(struct sweep *sweep)
{
	if (sweep->window)
		munmap(sweep->window, sweep->window_len);
	sweep->window = NULL;
}

static bool window_has(const struct sweep *sweep, int fd, size_t at)
{
	return sweep->window && sweep->window_fd == fd && at >= sweep->window_at &&
	       at < sweep->window_at + sweep->window_len;
}

/* @return NULL: it could not be mapped */
static struct sh_flow *flow_at(struct dataplane *dp, const struct flow_table *table, uint64_t index)
{
	const int map = table->family == FAMILY_IPV6 ? DP_MAP_FLOWS6 : DP_MAP_FLOWS4;
	struct sweep *sweep = &dp->publisher->sweep;
	const size_t at = index * table->entry_size;
	void *mem;

	if (table->entries)
		return (void *)(table->entries + at);
	if (!window_has(sweep, dp->map_fd[map], at)) {
		sweep_done(sweep);
		sweep->window_fd = dp->map_fd[map];
		sweep->window_at = at / WINDOW_BYTES * WINDOW_BYTES;
		sweep->window_len = dp->mem_len[map] - sweep->window_at;
		if (sweep->window_len > WINDOW_BYTES)
			sweep->window_len = WINDOW_BYTES;
		mem = mmap(NULL, sweep->window_len, PROT_READ, MAP_SHARED, sweep->window_fd,
			   (off_t)sweep->window_at);
		if (mem == MAP_FAILED)
			return NULL;
		sweep->window = mem;
	}
	return (void *)(sweep->window + (at - sweep->window_at));
}

/* ---- what is over ---------------------------------------------------------------- */

/* The same rule as bpf/flow.h, sh_evictable(), but for what is over: that may still be heard of. */
static bool is_expired(const struct sh_config *config, uint32_t word, uint32_t now)
{
	enum sh_flow_state state = word_state(word);
	int age = (int)((now - word) & SH_WORD_STAMP_MASK);

	/* Stamped since the pass began: its age is negative, and it is not old at all. */
	if (now == SWEEP_NO_CLOCK || age > (int)SH_WORD_STAMP_MASK - PASS_STAMPS_MAX)
		return false;
	return age > (config->expire[state] < 0 ? LINGER : config->expire[state]);
}

/* bpf/flow.h, sh_flow_account(): what an entry of ours counted goes to its backend. */
static void account(struct dataplane *dp, const struct sh_flow *flow, enum sh_flow_state state)
{
	struct sh_backend *backend;

	if (SH_BACKEND_INDEX(flow->backend) >= dp->map_max[DP_MAP_BACKENDS])
		return;
	backend = backend_line(dp, flow->backend);
	if (__atomic_load_n(&backend->id, __ATOMIC_ACQUIRE) != flow->backend)
		return;
	__atomic_fetch_add(&backend->packets, flow->packets, __ATOMIC_RELAXED);
	__atomic_fetch_add(&backend->bytes, flow->bytes, __ATOMIC_RELAXED);
	if (state != SH_CLOSED && !(flow->flags & SH_FLOW_REPLY))
		__atomic_fetch_sub(&backend->live, 1, __ATOMIC_RELAXED);
}

/* bpf/flow.h, sh_end(): through SH_BUSY, so that nobody else takes the entry meanwhile. */
static bool expire(struct dataplane *dp, uint32_t *word_at, uint32_t word,
		   const struct sh_flow *flow)
{
	const uint32_t tag = word >> SH_WORD_TAG_SHIFT << SH_WORD_TAG_SHIFT;
	const uint32_t busy = tag | (uint32_t)SH_BUSY << SH_WORD_STATE_SHIFT;
	const uint32_t claimed = busy | (word & SH_WORD_OVERFLOW);

	if (!__atomic_compare_exchange_n(word_at, &word, claimed, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	account(dp, flow, word_state(word));
	/* Only the overflow bit may have changed meanwhile: it stays. */
	__atomic_fetch_xor(word_at, busy, __ATOMIC_ACQ_REL);
	return true;
}

static bool is_gone(const struct dataplane *dp, uint32_t word, const struct sh_flow *flow)
{
	uint32_t index = SH_BACKEND_INDEX(flow->backend);

	return word_state(word) >= SH_NEW && word_state(word) != SH_GONE &&
	       index < dp->map_max[DP_MAP_BACKENDS] &&
	       dp->publisher->gone[index / 8] >> index % 8 & 1;
}

/* A program that changes the word at once is tried again: it doesn't look at @gone. */
static bool end(uint32_t *word_at, uint32_t word)
{
	while (word_state(word) >= SH_NEW && word_state(word) != SH_GONE) {
		if (__atomic_compare_exchange_n(word_at, &word,
						(word & ~SH_WORD_STATE_MASK) |
							(uint32_t)SH_GONE << SH_WORD_STATE_SHIFT,
						false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

static void sweep_bucket(struct dataplane *dp, const struct flow_table *table, uint64_t bucket)
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	const bool ending = dp->publisher->in_hand.n_backends;
	struct sweep *sweep = &dp->publisher->sweep;
	const struct sh_flow *flow;
	uint32_t *word_at, word;
	unsigned int way;
	bool expired;

	for (way = 0; way < SH_WAYS; way++) {
		word_at = &table->buckets[bucket].word[way];
		word = __atomic_load_n(word_at, __ATOMIC_ACQUIRE);
		if (word_state(word) < SH_NEW)
			continue;
		expired = is_expired(&control->config, word, sweep->stamp);
		if (!expired && !ending)
			continue;
		flow = flow_at(dp, table, bucket * SH_WAYS + way);
		if (!flow)
			sweep->incomplete = true;
		else if (expired)
			sweep->expired += expire(dp, word_at, word, flow);
		else if (is_gone(dp, word, flow))
			sweep->ended += end(word_at, word);
	}
}

void sweep_begin(struct dataplane *dp)
{
	const struct sh_control *control = dp->mem[DP_MAP_CONTROL];
	struct sweep *sweep = &dp->publisher->sweep;

	const uint32_t jiffies = probe_jiffies();

	sweep->going = true;
	sweep->next = 0;
	sweep->incomplete = false;
	sweep->stamp = jiffies ? jiffies >> control->config.stamp_shift & SH_WORD_STAMP_MASK
			       : SWEEP_NO_CLOCK;
}

bool sweep_some(struct dataplane *dp, uint64_t n)
{
	const struct flow_table tables[] = { flow_table(dp, FAMILY_IPV4),
					     flow_table(dp, FAMILY_IPV6) };
	struct sweep *sweep = &dp->publisher->sweep;
	uint64_t first = 0;
	unsigned int i;

	for (i = 0; sweep->going && i < 2; i++) {
		while (n && sweep->next < first + tables[i].n_buckets) {
			sweep_bucket(dp, &tables[i], sweep->next - first);
			sweep->next++;
			n--;
		}
		first += tables[i].n_buckets;
	}
	if (sweep->going && sweep->next == first) {
		sweep_done(sweep);
		sweep->going = false;
	}
	return sweep->going;
}

void dataplane_route_changed(struct dataplane *dp)
{
	struct sh_control *control = dp->mem[DP_MAP_CONTROL];

	/* The programs read it on every CPU meanwhile. */
	(void)__atomic_add_fetch(&control->route_epoch, 1, __ATOMIC_RELEASE);
}
