/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The node that packets are tested on: a network namespace of this process,
 * with an uplink and one device that stands for all of its pods'. It is gone
 * when the process ends.
 */
#ifndef SHUNT_USER_PTEST_NETWORK_H
#define SHUNT_USER_PTEST_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shunt/types.h"
#include "util/err.h"

struct network_device {
	uint32_t ifindex;
	uint8_t mac[6];
	uint8_t peer_mac[6]; /* of whoever is behind it: the router, the pods */
};

struct network; /* its netlink socket, what it has been given */

/* Leaves this process's network namespace for a new one. */
int network_new(struct network **out, struct err *err);
void network_free(struct network *network); /* NULL is fine */

const struct network_device *network_uplink(const struct network *network);
const struct network_device *network_workload(const struct network *network);

/* The node's own addresses, on its uplink, and those that are reached by its pods' device. */
struct network_addrs {
	const struct sh_addr *own, *pods;
	size_t n_own, n_pods;
};
/* Have these, and no others of an earlier call. */
int network_set(struct network *network, const struct network_addrs *addrs, struct err *err);
bool network_owns(const struct network *network, const struct sh_addr *addr);

#endif
