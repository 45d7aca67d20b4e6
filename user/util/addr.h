/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IP addresses, networks and their text. All addresses are struct sh_addr (IPv4 mapped). */
#ifndef SHUNT_USER_ADDR_H
#define SHUNT_USER_ADDR_H

#include <stdbool.h>
#include <stddef.h>

#include "shunt/types.h"
#include "util/err.h"

#define ADDR_STRLEN	 46	      /* of an address, with its NUL */
#define ADDR_PORT_STRLEN (46 + 2 + 6) /* of [address]:port */

enum family { FAMILY_NONE = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct addr_net {
	struct sh_addr addr; /* host bits are zero */
	unsigned int len;    /* prefix bits within the address's own family: 0-32, 0-128 */
};

/*
 * Text to address. Strict, as the Kubernetes API is: no leading zeros, no
 * blanks, no zone, and no IPv4-mapped IPv6. @return 0 or -EINVAL.
 */
int addr_parse(const char *text, struct sh_addr *out);
/* "10.0.0.0/8"; host bits must be zero. @return 0 or -EINVAL. */
int addr_net_parse(const char *text, struct addr_net *out);

/* Address to text (RFC 5952). Both return @buf. */
const char *addr_format(const struct sh_addr *addr, char buf[static ADDR_STRLEN]);
/* "10.0.0.1:80", "[fd00::1]:80"; @port in network byte order. */
const char *addr_port_format(const struct sh_addr *addr, __be16 port,
			     char buf[static ADDR_PORT_STRLEN]);

enum family addr_family(const struct sh_addr *addr);
const char *family_name(enum family family); /* "IPv4", "IPv6" */
bool addr_eq(const struct sh_addr *a, const struct sh_addr *b);
int addr_cmp(const struct sh_addr *a, const struct sh_addr *b);
bool addr_net_contains(const struct addr_net *net, const struct sh_addr *addr);
struct sh_addr addr_from_v4(__be32 v4);
/* @addr + @n, as one big number within the family; for walking through a network. */
struct sh_addr addr_add(const struct sh_addr *addr, __u64 n);

#endif
