/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets as bytes: the one builder, and an oracle that shares nothing with the
 * BPF programs. Every checksum here is computed over all its bytes. For packet
 * tests (user/ptest/packet.h) and those of the data path.
 */
#ifndef SHUNT_USER_PACKET_H
#define SHUNT_USER_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shunt/types.h"

#define PACKET_MAX 2048

struct packet {
	unsigned char b[PACKET_MAX];
	size_t len;
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* What stands between the addresses and the ports, as bits. */
enum extras {
	EXTRA_OPTIONS = 0x1, /* IPv4: 12 bytes of options */
	EXTRA_HOP = 0x2,     /* IPv6 extension headers, in this order */
	EXTRA_DEST = 0x4,
	EXTRA_ROUTING = 0x8, /* nothing left to visit */
	EXTRA_FRAGMENT = 0x10,
};

/* An Ethernet address is 02:00:00:00:00:xx. */
struct spec {
	struct sh_addr src, dst; /* of one family */
	uint16_t sport, dport;	 /* host order */
	uint8_t proto;		 /* TCP, UDP; SCTP: its common header, chunks are payload */
	uint8_t tcp_flags;
	uint8_t ttl;	      /* 0: 64 */
	uint8_t vlans;	      /* 0-2 */
	uint8_t extras;	      /* enum extras */
	uint8_t dmac, smac;   /* last byte */
	bool no_csum;	      /* UDP without one */
	uint16_t tail;	      /* the payload's first two bytes */
	uint16_t payload;     /* bytes */
	uint16_t frag_offset; /* bytes; above 0 no port is there. IPv6: needs EXTRA_FRAGMENT */
	bool more_fragments;
	bool dont_fragment; /* IPv4 */
	uint32_t seq, ack;  /* TCP; seq 0: 17. SCTP: seq is the tag, one of 0 too */
};

void packet_build(struct packet *out, const struct spec *spec);

/* Where things are in a packet that can be understood. */
struct parsed {
	bool v6;
	uint8_t proto;
	size_t l3, l4;
	size_t end; /* of the IP packet; the frame may be longer (padding) or shorter */
	bool later_fragment, first_fragment;
};

/* Of the IP packet that begins at @l3, whatever it carries. @return false: it is none */
bool packet_layout_at(const struct packet *packet, size_t l3, struct parsed *out);
/* @return false: no whole header of TCP or UDP in it */
bool packet_parse(const struct packet *packet, struct parsed *out);
/* Are all of its checksums right? A UDP checksum of zero is (IPv4). */
bool packet_csums_hold(const struct packet *packet);
/* Compute all checksums anew; a UDP checksum of zero stays. */
void packet_fix_csums(struct packet *packet, const struct parsed *parsed);

uint16_t packet_get16(const struct packet *packet, size_t at);
void packet_put16(struct packet *packet, size_t at, uint16_t value);
struct sh_addr packet_addr(const struct packet *packet, const struct parsed *parsed, bool dst);
void packet_set_addr(struct packet *packet, const struct parsed *parsed, bool dst,
		     const struct sh_addr *addr);
uint16_t packet_ip4_csum(const struct packet *packet, const struct parsed *parsed);
/* Of TCP, UDP, ICMP or ICMPv6, over the whole packet with its own field taken for zero. */
uint16_t packet_l4_csum(const struct packet *packet, const struct parsed *parsed);
/* Offset of that field. */
size_t packet_l4_csum_at(const struct parsed *parsed);
bool packet_eq(const struct packet *a, const struct packet *b);
void packet_print(const char *title, const struct packet *packet);

#endif
