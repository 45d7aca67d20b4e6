/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The devices and addresses of this network namespace, and which devices are
 * edges: where clients or backends sit behind. Reading is netlink; deciding is
 * a pure function of the list and the settings.
 */
#ifndef SHUNT_USER_NETDEV_H
#define SHUNT_USER_NETDEV_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/settings.h"
#include "shunt/maps.h"
#include "util/err.h"

struct netdev {
	uint32_t ifindex;
	uint32_t master; /* ifindex of its bridge, bond or VRF; 0: none */
	char name[IF_NAMESIZE];
	char kind[16];	 /* "veth", "bridge", ...; "" for hardware and what looks like it */
	uint16_t arphrd; /* ARPHRD_ETHER, ... */
	bool up;
	bool default_route4, default_route6; /* of the main table */
	uint32_t metric4, metric6;	     /* the lowest of its default routes */
	uint8_t mac[6];			     /* all-zero where it has none */
};

struct netdev_addr {
	struct sh_addr addr;
	uint32_t ifindex;
	uint32_t order; /* in which the kernel told it */
	uint8_t scope;	/* RT_SCOPE_UNIVERSE, ... */
	uint8_t rank;	/* 0 best: primary, settled; see netdev.c */
};

struct netdev_list {
	struct netdev *v; /* by ifindex */
	size_t n;
	struct netdev_addr *addrs; /* by (ifindex, rank), else in the kernel's order */
	size_t n_addrs;
};

/* Read this network namespace's. @return 0 (netdev_list_done() it) or a negative errno */
int netdev_list(struct netdev_list *out, struct err *err);
void netdev_list_done(struct netdev_list *list); /* NULL is fine */

const struct netdev *netdev_find(const struct netdev_list *list, uint32_t ifindex);

/* @return enum sh_role; 0: the device is no edge */
int netdev_role(const struct netdev_list *list, const struct netdev *dev,
		const struct settings *settings);

/* The node's primary addresses; all-zero: it has none of that family. */
struct netdev_primary {
	struct sh_addr addr4, addr6;
};
struct netdev_primary netdev_primary(const struct netdev_list *list,
				     const struct settings *settings);

/*
 * What shunt_devices says of @dev. The addresses that masquerading takes: the
 * device's, else its master's (a bridge port has none), else the node's
 * primary one, as the kernel chooses for an unnumbered device.
 */
struct sh_device netdev_device(const struct netdev_list *list, const struct netdev *dev,
			       const struct netdev_primary *primary, int role);

/* Has the device an address of its own that others can reach? */
bool netdev_has_address(const struct netdev_list *list, const struct netdev *dev);

/*
 * The addresses at which nodePorts are served: the primary one of each family,
 * or every own one within --nodeport-addresses; never a loopback one.
 * @out has room for SH_NODEADDRS_MAX. @return 0 or a negative errno.
 */
int netdev_node_addresses(const struct settings *settings, const struct netdev_list *list,
			  struct sh_addr *out, size_t *n_out, struct err *err);

/* Every own address, loopback and link-local ones too; @out as above. */
int netdev_own_addresses(const struct netdev_list *list, struct sh_addr *out, size_t *n_out,
			 struct err *err);

#endif
