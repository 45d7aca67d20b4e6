/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and words that the BPF programs and the C program both use.
 *
 * Byte order: everything that stands in a packet (addresses, ports) is kept in
 * network byte order wherever it is kept at all; __be16/__be32 say so. Every
 * other integer is in host order.
 */
#ifndef SHUNT_TYPES_H
#define SHUNT_TYPES_H

#ifndef __VMLINUX_H__ /* vmlinux.h has these types; the two can't coexist */
#include <linux/types.h>
#endif

/*
 * An IPv4 or IPv6 address. IPv4 is stored mapped (::ffff:a.b.c.d, RFC 4291
 * section 2.5.5.2); a mapped address seen on the wire is malformed, so the
 * two families never alias.
 */
struct sh_addr {
	union {
		__u8 b[16];
		__be32 w[4]; /* w[3] is the IPv4 address */
	};
};
_Static_assert(sizeof(struct sh_addr) == 16, "one address, no padding");

#ifdef __BIG_ENDIAN__
#define SH_MAPPED_PREFIX 0x0000ffffu
#else
#define SH_MAPPED_PREFIX 0xffff0000u
#endif

static inline int sh_addr_is_v4(const struct sh_addr *addr)
{
	return !addr->w[0] && !addr->w[1] && addr->w[2] == SH_MAPPED_PREFIX;
}

#endif
