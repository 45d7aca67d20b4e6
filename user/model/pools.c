/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/pools.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "model/maglev.h"

/* The lower bands as Kubernetes has them: KEP-3070, KEP-3668. */
#define ADDR_BAND_MIN	16
#define ADDR_BAND_MAX	256
#define ADDR_BAND_SHARE 16 /* one address in so many */
#define PORT_BAND_MIN	16
#define PORT_BAND_MAX	128
#define PORT_BAND_SHARE 32

#define PROTOCOLS 3

static uint64_t band(uint64_t size, uint64_t share, uint64_t min, uint64_t max)
{
	uint64_t reserved = size / share;

	if (reserved < min)
		reserved = min;
	if (reserved > max)
		reserved = max;
	return reserved < size ? reserved : 0; /* too small a pool has no bands */
}

/* ---- ClusterIPs ---------------------------------------------------------------- */

void addr_pool_init(struct addr_pool *pool, const struct addr_net *net)
{
	const enum family family = addr_family(&net->addr);
	const unsigned int host_bits = (family == FAMILY_IPV4 ? 32 : 128) - net->len;
	/* More than anybody can use up; and sums of two offsets don't overflow. */
	const uint64_t size = 1ull << (host_bits < 62 ? host_bits : 62);
	const uint64_t nobodys = family == FAMILY_IPV4 ? 2 : 1;

	*pool = (struct addr_pool){ .family = family, .net = *net };
	pool->usable = size > nobodys ? size - nobodys : 0;
	pool->reserved = band(size, ADDR_BAND_SHARE, ADDR_BAND_MIN, ADDR_BAND_MAX);
	if (pool->reserved >= pool->usable)
		pool->reserved = 0;
}

bool addr_pool_may_give(const struct addr_pool *pool, const struct sh_addr *addr)
{
	struct sh_addr last;

	if (!addr_net_contains(&pool->net, addr) || addr_eq(addr, &pool->net.addr))
		return false;
	if (pool->family != FAMILY_IPV4)
		return true;
	last = addr_add(&pool->net.addr, pool->usable);
	return addr_cmp(addr, &last) <= 0;
}

int addr_held_init(struct addr_held *held, size_t most)
{
	size_t size = 16;

	while (size < most * 2)
		size *= 2;
	held->v = calloc(size, sizeof(*held->v));
	held->n = 0;
	held->size = size;
	return held->v ? 0 : -ENOMEM;
}

void addr_held_done(struct addr_held *held)
{
	free(held->v);
	*held = (struct addr_held){ 0 };
}

static struct addr_held_entry *held_place(const struct addr_held *held, const struct sh_addr *addr)
{
	uint64_t h = maglev_hash(addr, sizeof(*addr), 0);

	while (held->v[h & (held->size - 1)].holder &&
	       !addr_eq(&held->v[h & (held->size - 1)].addr, addr))
		h++;
	return &held->v[h & (held->size - 1)];
}

const struct object *addr_hold(struct addr_held *held, const struct sh_addr *addr,
			       const struct object *holder)
{
	struct addr_held_entry *place = held_place(held, addr);

	if (!place->holder) {
		*place = (struct addr_held_entry){ *addr, holder };
		held->n++;
	}
	return place->holder;
}

/* Offsets first ... first + n - 1, beginning where @hash points. */
static int choose_in(const struct addr_held *held, const struct addr_pool *pool, uint64_t hash,
		     const uint64_t range[static 2], struct sh_addr *out)
{
	const uint64_t first = range[0], n = range[1];
	/* Of so many addresses one is free: no need to walk through a /64. */
	const uint64_t tries = n < held->n + 1 ? n : held->n + 1;
	struct sh_addr addr;
	uint64_t i;

	for (i = 0; i < tries; i++) {
		addr = addr_add(&pool->net.addr, first + (hash % n + i) % n);
		if (held_place(held, &addr)->holder)
			continue;
		*out = addr;
		return 0;
	}
	return -ENOSPC;
}

int addr_choose(struct addr_held *held, const struct addr_pool *pool, uint64_t hash,
		const struct object *holder, struct sh_addr *out)
{
	const uint64_t upper[] = { 1 + pool->reserved, pool->usable - pool->reserved };
	const uint64_t lower[] = { 1, pool->reserved };
	int ret;

	ret = choose_in(held, pool, hash, upper, out);
	if (ret)
		ret = choose_in(held, pool, hash, lower, out);
	if (!ret)
		(void)addr_hold(held, out, holder);
	return ret;
}

/* ---- nodePorts ------------------------------------------------------------------- */

static struct port_holder *port_place(const struct port_pool *pool, uint16_t port, proto_t proto)
{
	const size_t n = (size_t)pool->max - pool->min + 1;
	const size_t row = proto == IPPROTO_TCP ? 0 : proto == IPPROTO_UDP ? 1 : 2;

	return &pool->v[row * n + (port - pool->min)];
}

int port_pool_init(struct port_pool *pool, uint16_t min, uint16_t max)
{
	const size_t n = (size_t)max - min + 1;

	*pool = (struct port_pool){ .min = min, .max = max };
	pool->v = calloc(n * PROTOCOLS, sizeof(*pool->v));
	return pool->v ? 0 : -ENOMEM;
}

void port_pool_done(struct port_pool *pool)
{
	free(pool->v);
	*pool = (struct port_pool){ 0 };
}

struct port_holder port_hold(struct port_pool *pool, uint16_t port, proto_t proto,
			     struct port_holder holder)
{
	struct port_holder *place = port_place(pool, port, proto);

	if (!place->service)
		*place = holder;
	return *place;
}

static bool port_is_free(const struct port_pool *pool, uint16_t port)
{
	return !port_place(pool, port, IPPROTO_TCP)->service &&
	       !port_place(pool, port, IPPROTO_UDP)->service &&
	       !port_place(pool, port, IPPROTO_SCTP)->service;
}

static uint16_t port_choose_in(const struct port_pool *pool, uint64_t hash, uint64_t first,
			       uint64_t n)
{
	uint64_t i;
	uint16_t port;

	for (i = 0; i < n; i++) {
		port = (uint16_t)(first + (hash % n + i) % n);
		if (port_is_free(pool, port))
			return port;
	}
	return 0;
}

uint16_t port_choose(struct port_pool *pool, uint64_t hash, proto_t proto,
		     struct port_holder holder)
{
	const uint64_t n = (uint64_t)pool->max - pool->min + 1;
	const uint64_t reserved = band(n, PORT_BAND_SHARE, PORT_BAND_MIN, PORT_BAND_MAX);
	uint16_t port;

	port = port_choose_in(pool, hash, pool->min + reserved, n - reserved);
	if (!port)
		port = port_choose_in(pool, hash, pool->min, reserved);
	if (port)
		(void)port_hold(pool, port, proto, holder);
	return port;
}
