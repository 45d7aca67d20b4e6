/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/icmp_error.h"

#include <netinet/in.h>
#include <string.h>

#define IP4_BYTES  20
#define IP6_BYTES  40
#define ICMP_BYTES 8

static size_t l3_of(const struct packet *packet)
{
	size_t at = 12;

	while (packet_get16(packet, at) == 0x8100 || packet_get16(packet, at) == 0x88a8)
		at += 4;
	return at + 2;
}

/* How much of it is quoted: not what follows the IP packet in its frame. */
static size_t quote_of(const struct packet *about, size_t l3, bool v6)
{
	size_t there = about->len - l3;
	size_t says = packet_get16(about, l3 + (v6 ? 4 : 2)) + (v6 ? (size_t)IP6_BYTES : 0);

	if (there > says)
		there = says;
	return there > ICMP_ERROR_QUOTE_MAX ? ICMP_ERROR_QUOTE_MAX : there;
}

static void build_ip(struct packet *out, const struct packet *about, const struct parsed *parsed)
{
	size_t bytes = parsed->v6 ? 16 : 4, addrs = parsed->l3 + (parsed->v6 ? 8 : 12);
	unsigned char *ip = out->b + parsed->l3;

	memcpy(out->b + addrs, about->b + addrs + bytes, bytes);
	memcpy(out->b + addrs + bytes, about->b + addrs, bytes);
	ip[0] = parsed->v6 ? 0x60 : 0x45;
	ip[parsed->v6 ? 7 : 8] = 64; /* hops */
	ip[parsed->v6 ? 6 : 9] = parsed->proto;
	if (parsed->v6) {
		packet_put16(out, parsed->l3 + 4, (uint16_t)(parsed->end - parsed->l4));
		return;
	}
	packet_put16(out, parsed->l3 + 2, (uint16_t)(parsed->end - parsed->l3));
	packet_put16(out, parsed->l3 + 6, 0x4000); /* not to be fragmented */
	packet_put16(out, parsed->l3 + 10, packet_ip4_csum(out, parsed));
}

void icmp_error_build(struct packet *out, const struct packet *about,
		      const struct icmp_error *error)
{
	struct parsed parsed = { .l3 = l3_of(about) };
	size_t quote;

	parsed.v6 = about->b[parsed.l3] >> 4 == 6;
	parsed.proto = parsed.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	parsed.l4 = parsed.l3 + (parsed.v6 ? IP6_BYTES : IP4_BYTES);
	quote = quote_of(about, parsed.l3, parsed.v6);
	parsed.end = parsed.l4 + ICMP_BYTES + quote;
	*out = (struct packet){ .len = parsed.end };
	memcpy(out->b, about->b, parsed.l3); /* tags */
	memcpy(out->b, about->b + 6, 6);
	memcpy(out->b + 6, about->b, 6);
	build_ip(out, about, &parsed);
	out->b[parsed.l4] = error->type;
	out->b[parsed.l4 + 1] = error->code;
	packet_put16(out, parsed.l4 + 6, error->mtu);
	memcpy(out->b + parsed.l4 + ICMP_BYTES, about->b + parsed.l3, quote);
	packet_put16(out, parsed.l4 + 2, packet_l4_csum(out, &parsed));
}
