/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who holds which ClusterIP and which nodePort: the book-keeping below
 * allocate(). A pool has a lower band, kept for what users ask for by number,
 * and an upper one to choose from freely (Kubernetes' KEP-3070 and KEP-3668),
 * so that the two seldom meet.
 */
#ifndef SHUNT_USER_POOLS_H
#define SHUNT_USER_POOLS_H

#include "model/objects.h"

/* The ClusterIPs of one family. */
struct addr_pool {
	enum family family; /* FAMILY_NONE: there is no --service-cidr of this family */
	struct addr_net net;
	uint64_t usable;   /* the network's address + 1 ... + usable may be given */
	uint64_t reserved; /* of these the lower band */
};

struct addr_held {
	struct addr_held_entry {
		struct sh_addr addr;
		const struct object *holder; /* NULL: a free place */
	} *v;
	size_t n, size; /* size: a power of two */
};

/* A nodePort of a Service; the port is NULL for its healthCheckNodePort. */
struct port_holder {
	const struct object *service; /* NULL: nobody */
	const struct service_port *port;
};

struct port_pool {
	uint16_t min, max;
	struct port_holder *v; /* for each protocol, min to max */
};

void addr_pool_init(struct addr_pool *pool, const struct addr_net *net);
/* The network's own address, and IPv4's broadcast address, are nobody's. */
bool addr_pool_may_give(const struct addr_pool *pool, const struct sh_addr *addr);

/* Room for @most addresses. @return 0 or -ENOMEM */
int addr_held_init(struct addr_held *held, size_t most);
void addr_held_done(struct addr_held *held);
/* @return who holds @addr now: @holder, or whoever was first */
const struct object *addr_hold(struct addr_held *held, const struct sh_addr *addr,
			       const struct object *holder);
/* Hold a free address, the first from where @hash points. @return 0 or -ENOSPC */
int addr_choose(struct addr_held *held, const struct addr_pool *pool, uint64_t hash,
		const struct object *holder, struct sh_addr *out);

int port_pool_init(struct port_pool *pool, uint16_t min, uint16_t max);
void port_pool_done(struct port_pool *pool);
/* @return who holds (@port, @proto) now; @port lies in the pool's range */
struct port_holder port_hold(struct port_pool *pool, uint16_t port, proto_t proto,
			     struct port_holder holder);
/* A number that nobody holds for any protocol. @return 0: there is none */
uint16_t port_choose(struct port_pool *pool, uint64_t hash, proto_t proto,
		     struct port_holder holder);

#endif
