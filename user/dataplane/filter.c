/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/filter.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ADDR_BITS    (1u << SH_FILTER_ADDR_BITS)
#define PORT_BITS    (1u << 16)
#define BACKEND_BITS (1u << SH_FILTER_BACKEND_BITS)

struct filter {
	struct sh_filter *map;
	bool settled; /* no bit is kept for the sake of an earlier process */
	uint32_t virt[ADDR_BITS];
	uint32_t node[ADDR_BITS];
	uint32_t node_port[PORT_BITS];
	uint32_t backend[BACKEND_BITS];
};

struct filter *filter_new(struct sh_filter *map)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (filter)
		filter->map = map;
	return filter;
}

void filter_free(struct filter *filter)
{
	free(filter);
}

/* The programs read bytes; one is changed as a whole, and by us alone. */
static void bit_write(uint8_t *bits, uint32_t n, bool set)
{
	uint8_t byte = __atomic_load_n(&bits[n / 8], __ATOMIC_RELAXED);
	uint8_t mask = (uint8_t)(1u << n % 8);

	byte = set ? byte | mask : byte & (uint8_t)~mask;
	__atomic_store_n(&bits[n / 8], byte, __ATOMIC_RELEASE);
}

static void count(uint32_t *counter, bool want)
{
	if (want)
		(*counter)++;
	else if (*counter)
		(*counter)--;
}

static uint64_t addr_mix(const struct sh_addr *addr)
{
	uint64_t word[2];

	if (sh_addr_is_v4(addr))
		return sh_filter_mix4(addr->w[3]);
	memcpy(word, addr, sizeof(word));
	return sh_filter_mix6(word[0], word[1]);
}

/*
 * A node's own address passes only for some ports. Where a virtual address
 * shares its bit, all of them have to pass.
 */
static void addr_write(struct filter *filter, uint32_t bit)
{
	bool virt = filter->virt[bit], node = filter->node[bit];

	if (virt || node)
		bit_write(filter->map->virtual_or_node, bit, true);
	/* Unsettled, a virtual address of the earlier process may be meant. */
	if (!node || virt)
		bit_write(filter->map->node, bit, false);
	else if (filter->settled)
		bit_write(filter->map->node, bit, true);
	if (!virt && !node && filter->settled)
		bit_write(filter->map->virtual_or_node, bit, false);
}

void filter_virtual(struct filter *filter, const struct sh_addr *addr, bool want)
{
	uint32_t bit = sh_filter_addr_bit(addr_mix(addr));

	count(&filter->virt[bit], want);
	addr_write(filter, bit);
}

void filter_node(struct filter *filter, const struct sh_addr *addr, bool want)
{
	uint32_t bit = sh_filter_addr_bit(addr_mix(addr));

	count(&filter->node[bit], want);
	addr_write(filter, bit);
}

void filter_node_port(struct filter *filter, __be16 port, bool want)
{
	uint32_t bit = ntohs(port);

	count(&filter->node_port[bit], want);
	if (filter->node_port[bit] || filter->settled)
		bit_write(filter->map->node_port, bit, filter->node_port[bit]);
}

void filter_backend(struct filter *filter, const struct sh_addr *addr, __be16 port, bool want)
{
	uint32_t bit = sh_filter_backend_bit(addr_mix(addr), port);

	count(&filter->backend[bit], want);
	if (filter->backend[bit] || filter->settled)
		bit_write(filter->map->backend, bit, filter->backend[bit]);
}

void filter_settle(struct filter *filter)
{
	uint32_t bit;

	if (filter->settled)
		return;
	filter->settled = true;
	for (bit = 0; bit < ADDR_BITS; bit++)
		addr_write(filter, bit);
	for (bit = 0; bit < PORT_BITS; bit++)
		bit_write(filter->map->node_port, bit, filter->node_port[bit]);
	for (bit = 0; bit < BACKEND_BITS; bit++)
		bit_write(filter->map->backend, bit, filter->backend[bit]);
}
