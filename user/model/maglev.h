/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maglev lookup tables (Eisenbud et al., "Maglev: A Fast and Reliable Software
 * Network Load Balancer", NSDI 2016, section 3.4), with weights.
 */
#ifndef SHUNT_USER_MAGLEV_H
#define SHUNT_USER_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

struct maglev_backend {
	uint64_t key; /* the backend's identity, the same on every node: hash of address and port */
	uint16_t weight; /* > 0 */
};

/* The table size for that many backends: a prime of a ladder; 1 for a single one, 0 for none. */
uint32_t maglev_size(size_t n_backends);
/*
 * The same, larger where weights differ, so that the lightest still has about
 * its share; but at most MAGLEV_WEIGHT_GROWTH times the plain one.
 */
#define MAGLEV_WEIGHT_GROWTH 8
uint32_t maglev_size_weighted(const struct maglev_backend *backends, size_t n);
/* A well-mixed hash of @len bytes (for the keys); the same on every machine. */
uint64_t maglev_hash(const void *data, size_t len, uint64_t seed);
/*
 * Fill @table[0..size) with indices into @backends. The result depends only on
 * the set of (key, weight), not on their order. @return 0, -ENOMEM, or -EINVAL
 * where several backends are to share a table of size 1.
 */
int maglev_fill(const struct maglev_backend *backends, size_t n, uint32_t *table, uint32_t size);

#endif
