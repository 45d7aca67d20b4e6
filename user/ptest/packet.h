/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets of a connection that is tested, and what has to come out of them:
 * over util/packet.h, which shares nothing with the BPF programs.
 */
#ifndef SHUNT_USER_PTEST_PACKET_H
#define SHUNT_USER_PTEST_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "model/objects.h"
#include "util/packet.h"

#define PACKET_TTL 61

struct packet_tuple {
	struct sh_addr src, dst;
	__be16 sport, dport;
	proto_t proto;
};

/* Which part of a connection it is. */
enum packet_kind { PACKET_OPEN = 0, PACKET_ANSWER, PACKET_DATA };

struct packet_spec {
	struct packet_tuple tuple;
	enum packet_kind kind;
	uint8_t ttl;
	uint8_t dmac[6], smac[6];
};

void packet_make(const struct packet_spec *spec, struct packet *out);
/* @return false: it is no IP packet of a protocol that has ports */
bool packet_tuple(const struct packet *packet, struct packet_tuple *out);

/* The tuple of what comes back. */
struct packet_tuple packet_reverse(const struct packet_tuple *tuple);

#define PACKET_WHY_LEN 160
/*
 * Does @packet hold, Ethernet header apart, what @spec says, and are its
 * checksums those of its bytes? @return false and the first difference in @why
 */
bool packet_is(const struct packet *packet, const struct packet_spec *spec,
	       char why[static PACKET_WHY_LEN]);

/*
 * Is @answer a refusal: an RST, or an ICMP port unreachable? @why is "" where
 * it is the right one to @question, an opening packet, else what is wrong with it.
 */
bool packet_refuses(const struct packet *answer, const struct packet *question,
		    char why[static PACKET_WHY_LEN]);

#endif
