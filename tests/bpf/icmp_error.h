/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a node says of a packet that it has not let through, from scratch. */
#ifndef SHUNT_TESTS_BPF_ICMP_ERROR_H
#define SHUNT_TESTS_BPF_ICMP_ERROR_H

#include "util/packet.h"

#define ICMP_ERROR_QUOTE_MAX 512 /* bytes of the packet, from its IP header on */

struct icmp_error {
	uint8_t type, code;
	uint16_t mtu;
};

/*
 * The ICMP or ICMPv6 error about @about, whose IP header can be read: from where
 * it was sent to, back to its sender, by the same tags.
 */
void icmp_error_build(struct packet *out, const struct packet *about,
		      const struct icmp_error *error);

#endif
