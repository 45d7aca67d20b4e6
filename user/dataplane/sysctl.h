/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The source ports that masquerading draws from are kept from the host's own
 * sockets by net.ipv4.ip_local_reserved_ports (which holds for IPv6 too) of
 * this network namespace. A file in the state directory remembers what stood
 * there before.
 */
#ifndef SHUNT_USER_SYSCTL_H
#define SHUNT_USER_SYSCTL_H

#include <stdint.h>

#include "model/settings.h"
#include "util/err.h"

/* Host order, inclusive. */
struct port_range {
	uint16_t min, max;
};

/*
 * @list ("8080,9148-9150", as the kernel writes it) with @range put in: pure.
 * @return 0 and *@out, to be freed, -EINVAL where @list is none, or -ENOMEM.
 */
int port_list_add(const char *list, struct port_range range, char **out);
/* The same, with @range as it is in the list @before: what others changed outside it stays. */
int port_list_restore(const char *list, const char *before, struct port_range range, char **out);

/* Reserve the settings' range; one that was reserved by an earlier call is given back. */
int sysctl_reserve_ports(const struct settings *settings, struct err *err);
/* Put back what was there before. Nothing was reserved: 0. */
int sysctl_restore_ports(const struct settings *settings, struct err *err);
/* net.ipv4.ip_local_port_range */
int sysctl_local_ports(struct port_range *out, struct err *err);

#endif
