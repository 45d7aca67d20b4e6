/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/maglev.h"

#define N_MOST 1000

static void make_backends(struct maglev_backend *backends, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		backends[i].key = maglev_hash(&i, sizeof(i), 1);
		backends[i].weight = 1;
	}
}

static uint32_t *filled(const struct maglev_backend *backends, size_t n, uint32_t size)
{
	uint32_t *table = calloc(size, sizeof(*table));

	assert_non_null(table);
	assert_int_equal(maglev_fill(backends, n, table, size), 0);
	return table;
}

static void count_slots(const uint32_t *table, uint32_t size, uint32_t *counts, size_t n)
{
	uint32_t i;

	memset(counts, 0, n * sizeof(*counts));
	for (i = 0; i < size; i++) {
		assert_true(table[i] < n);
		counts[table[i]]++;
	}
}

static int is_prime(uint32_t n)
{
	uint32_t i;

	for (i = 2; i * i <= n; i++)
		if (n % i == 0)
			return 0;
	return n > 1;
}

static void sizes_are_primes_with_slots_enough(void **state)
{
	size_t n;

	assert_int_equal(maglev_size(0), 0);
	assert_int_equal(maglev_size(1), 1);
	assert_int_equal(maglev_size(2), 31);
	assert_int_equal(maglev_size(3), 61);
	assert_int_equal(maglev_size(16384), 262139);
	for (n = 2; n <= 16384; n++) {
		assert_true(maglev_size(n) >= n * 15);
		assert_true(maglev_size(n) <= n * 32);
	}
	for (n = 2; n <= 16384; n *= 2)
		assert_true(is_prime(maglev_size(n)));
}

static void a_single_backend_has_the_one_slot(void **state)
{
	struct maglev_backend backend = { 42, 7 };
	uint32_t slot = 99;

	assert_int_equal(maglev_fill(&backend, 1, &slot, 1), 0);
	assert_int_equal(slot, 0);
}

static void no_backend_touches_nothing(void **state)
{
	uint32_t slot = 99;

	assert_int_equal(maglev_fill(NULL, 0, &slot, 1), 0);
	assert_int_equal(slot, 99);
}

static void two_backends_do_not_fit_one_slot(void **state)
{
	struct maglev_backend backends[2];
	uint32_t slot;

	make_backends(backends, 2);
	assert_int_equal(maglev_fill(backends, 2, &slot, 1), -EINVAL);
}

static void equal_weights_differ_by_one_slot_at_most(void **state)
{
	static const size_t ns[] = { 2, 3, 5, 10, 64, 65, 100, 999 };
	struct maglev_backend backends[N_MOST];
	uint32_t counts[N_MOST], size, *table;
	size_t i, j;

	for (i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
		make_backends(backends, ns[i]);
		size = maglev_size(ns[i]);
		table = filled(backends, ns[i], size);
		count_slots(table, size, counts, ns[i]);
		for (j = 0; j < ns[i]; j++)
			assert_in_range(counts[j], size / ns[i], size / ns[i] + 1);
		free(table);
	}
}

static void weights_are_respected_within_a_few_percent(void **state)
{
	static const uint16_t rows[][5] = {
		{ 1, 1, 1, 1, 1 },
		{ 1, 2, 3, 4, 5 },
		{ 100, 50, 50, 25, 25 },
		{ 10, 10, 10, 10, 1 },
		{ 1000, 999, 500, 250, 300 },
	};
	struct maglev_backend backends[5];
	uint32_t counts[5], *table, size;
	double share, sum;
	size_t i, j;

	make_backends(backends, 5);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (j = 0, sum = 0; j < 5; j++) {
			backends[j].weight = rows[i][j];
			sum += rows[i][j];
		}
		size = maglev_size_weighted(backends, 5);
		table = filled(backends, 5, size);
		count_slots(table, size, counts, 5);
		for (j = 0; j < 5; j++) {
			share = (double)counts[j] / size - rows[i][j] / sum;
			assert_true(share < 0.03 && share > -0.03);
		}
		free(table);
	}
}

static void the_lightest_has_a_slot_beside_the_heaviest(void **state)
{
	struct maglev_backend backends[10];
	uint32_t counts[10], *table, size;

	make_backends(backends, 10);
	backends[3].weight = 1000;
	size = maglev_size_weighted(backends, 10);
	assert_true(size <= maglev_size(10 * MAGLEV_WEIGHT_GROWTH));
	table = filled(backends, 10, size);
	count_slots(table, size, counts, 10);
	assert_true(counts[0] >= 1);
	assert_true(counts[3] > size * 9 / 10);
	free(table);
}

static void order_does_not_matter(void **state)
{
	struct maglev_backend backends[100], reversed[100];
	uint32_t size = maglev_size(100), *a, *b, i;

	make_backends(backends, 100);
	for (i = 0; i < 100; i++) {
		backends[i].weight = (uint16_t)(1 + i % 3);
		reversed[99 - i] = backends[i];
	}
	a = filled(backends, 100, size);
	b = filled(reversed, 100, size);
	for (i = 0; i < size; i++)
		assert_int_equal(a[i], 99 - b[i]);
	free(a);
	free(b);
}

/*
 * Ideal is that only its own slots, one of n, change hands. A table of some 16
 * slots a backend is small, so others move too, the more the more backends
 * there are to be in each other's way; flows that exist don't notice.
 */
static void few_others_move_when_one_leaves(void **state)
{
	static const struct {
		size_t n;
		double most; /* of the ideal */
	} rows[] = { { 3, 1.5 }, { 5, 1.5 }, { 10, 2.5 }, { 50, 4.5 }, { 100, 5.5 }, { 500, 8 } };
	struct maglev_backend backends[N_MOST];
	uint32_t size, *with, *without, i;
	size_t row, changed;

	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		make_backends(backends, rows[row].n);
		size = maglev_size(rows[row].n);
		with = filled(backends, rows[row].n, size);
		without = filled(backends, rows[row].n - 1, size);
		for (i = 0, changed = 0; i < size; i++)
			changed += with[i] != without[i];
		assert_true(changed >= size / rows[row].n);
		assert_true(changed <= rows[row].most * size / rows[row].n);
		free(with);
		free(without);
	}
}

/* Nodes of different versions have to agree: these values may never change. */
static void golden_values(void **state)
{
	static const uint64_t hashes[] = { 0x172c990c99f5e989ull, 0x47f9aeb0d7c8e8efull,
					   0x8d7a06109e102ecdull };
	static const uint32_t golden[31] = { 2, 1, 1, 0, 2, 1, 1, 1, 2, 2, 2, 2, 0, 2, 1, 1,
					     1, 2, 0, 2, 0, 2, 0, 1, 0, 2, 2, 2, 2, 1, 2 };
	struct maglev_backend backends[3];
	uint32_t table[31], i;
	static const char *const names[] = { "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80" };

	for (i = 0; i < 3; i++) {
		backends[i].key = maglev_hash(names[i], strlen(names[i]), 0);
		backends[i].weight = (uint16_t)(i + 1);
		assert_true(backends[i].key == hashes[i]);
	}
	assert_int_equal(maglev_fill(backends, 3, table, 31), 0);
	for (i = 0; i < 31; i++)
		assert_int_equal(table[i], golden[i]);
}

static void the_hash_tells_lengths_and_seeds_apart(void **state)
{
	static const char zeros[32];
	uint64_t seen[33];
	size_t i, j;

	for (i = 0; i <= 32; i++) {
		seen[i] = maglev_hash(zeros, i, 0);
		assert_true(seen[i] != maglev_hash(zeros, i, 1));
		for (j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_primes_with_slots_enough),
		cmocka_unit_test(a_single_backend_has_the_one_slot),
		cmocka_unit_test(no_backend_touches_nothing),
		cmocka_unit_test(two_backends_do_not_fit_one_slot),
		cmocka_unit_test(equal_weights_differ_by_one_slot_at_most),
		cmocka_unit_test(weights_are_respected_within_a_few_percent),
		cmocka_unit_test(the_lightest_has_a_slot_beside_the_heaviest),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(few_others_move_when_one_leaves),
		cmocka_unit_test(golden_values),
		cmocka_unit_test(the_hash_tells_lengths_and_seeds_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
