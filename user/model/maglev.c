/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables are part of what nodes of one cluster have to agree on: another
 * node, of another version, must send a packet of the same flow to the same
 * backend. So nothing here may change its results; the unit test holds golden
 * values.
 */
#include "model/maglev.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Each the largest prime below a power of two: a table wastes next to none of its memory. */
static const uint32_t ladder[] = { 31,	 61,   127,   251,   509,   1021,   2039,
				   4093, 8191, 16381, 32749, 65521, 131071, 262139 };
#define LADDER_STEPS (sizeof(ladder) / sizeof(ladder[0]))

/* Slots for each backend, about 16: the primes fall a little short of the power of two. */
#define SLOTS_EACH 15

#define EMPTY UINT32_MAX /* memset() to 0xff makes it */

#define WALKS_ON_STACK 64 /* most Services have fewer backends: no allocation for them */

uint32_t maglev_size(size_t n_backends)
{
	size_t i;

	if (n_backends <= 1)
		return (uint32_t)n_backends;
	for (i = 0; i < LADDER_STEPS - 1; i++)
		if (ladder[i] / SLOTS_EACH >= n_backends)
			break;
	return ladder[i];
}

uint32_t maglev_size_weighted(const struct maglev_backend *backends, size_t n)
{
	uint64_t sum = 0, least = UINT16_MAX, units;
	size_t i;

	for (i = 0; i < n; i++) {
		sum += backends[i].weight;
		if (backends[i].weight < least)
			least = backends[i].weight;
	}
	if (n <= 1 || !least)
		return maglev_size(n);
	units = sum / least;
	if (units > n * MAGLEV_WEIGHT_GROWTH)
		units = n * MAGLEV_WEIGHT_GROWTH;
	return maglev_size(units);
}

/* Steele, Lea, Flood, "Fast splittable pseudorandom number generators", variant 13. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
	return h ^ (h >> 31);
}

uint64_t maglev_hash(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *at = data;
	uint64_t h = mix(seed + 0x9e3779b97f4a7c15ull * (len + 1)), word;
	size_t left, step;

	for (left = len; left; left -= step, at += step) {
		step = left < sizeof(word) ? left : sizeof(word);
		word = 0;
		memcpy(&word, at, step);
		h = mix(h ^ le64toh(word)) + 0x9e3779b97f4a7c15ull;
	}
	return mix(h);
}

/* A backend's walk through the table: its permutation is offset + k * skip. */
struct walk {
	uint64_t key;
	uint64_t
		next_turn; /* in units of 1 / heaviest: it has its turn when the round reaches it */
	uint32_t at, skip;
	uint32_t index; /* in the caller's array */
	uint16_t weight;
};

static int walk_cmp(const void *a, const void *b)
{
	const struct walk *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->weight != y->weight)
		return x->weight < y->weight ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* @return the heaviest weight */
static uint16_t walks_init(struct walk *walks, const struct maglev_backend *backends, size_t n,
			   uint32_t size)
{
	uint16_t heaviest = 1;
	size_t i;

	for (i = 0; i < n; i++) {
		walks[i] = (struct walk){ .key = backends[i].key, .index = (uint32_t)i };
		walks[i].weight = backends[i].weight ? backends[i].weight : 1;
		walks[i].at = (uint32_t)(mix(backends[i].key ^ 0x6f66667365740001ull) % size);
		walks[i].skip =
			(uint32_t)(mix(backends[i].key ^ 0x736b697000000001ull) % (size - 1)) + 1;
		if (walks[i].weight > heaviest)
			heaviest = walks[i].weight;
	}
	qsort(walks, n, sizeof(*walks), walk_cmp);
	return heaviest;
}

/* Claim the next slot on this walk that nobody has; there is one. */
static void walk_claim(struct walk *walk, uint32_t *table, uint32_t size)
{
	while (table[walk->at] != EMPTY) {
		walk->at += walk->skip;
		if (walk->at >= size)
			walk->at -= size;
	}
	table[walk->at] = walk->index;
}

/*
 * In each round the heaviest backends have a turn; one of half that weight has
 * one in every second round. All have one in the first round, so that nobody
 * is left without a slot.
 */
static void walks_run(struct walk *walks, size_t n, uint16_t heaviest, uint32_t *table,
		      uint32_t size)
{
	uint32_t left = size;
	uint64_t round;
	size_t i;

	for (round = 0;; round++) {
		for (i = 0; i < n; i++) {
			if (round * walks[i].weight < walks[i].next_turn)
				continue;
			walks[i].next_turn += heaviest;
			walk_claim(&walks[i], table, size);
			if (!--left)
				return;
		}
	}
}

int maglev_fill(const struct maglev_backend *backends, size_t n, uint32_t *table, uint32_t size)
{
	struct walk few[WALKS_ON_STACK], *walks = few;
	uint16_t heaviest;

	if (!n || !size)
		return 0;
	if (n == 1) {
		memset(table, 0, size * sizeof(*table));
		return 0;
	}
	if (size == 1)
		return -EINVAL; /* two can't share one slot */
	if (n > WALKS_ON_STACK)
		walks = calloc(n, sizeof(*walks));
	if (!walks)
		return -ENOMEM;
	memset(table, 0xff, size * sizeof(*table));
	heaviest = walks_init(walks, backends, n, size);
	walks_run(walks, n, heaviest, table, size);
	if (walks != few)
		free(walks);
	return 0;
}
