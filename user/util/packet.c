/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util/packet.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ETH_BYTES  14
#define VLAN_BYTES 4
#define IP4_BYTES  20
#define IP6_BYTES  40
#define TCP_BYTES  20
#define UDP_BYTES  8
#define SCTP_BYTES 12

/* ---- words ------------------------------------------------------------------ */

uint16_t packet_get16(const struct packet *packet, size_t at)
{
	return (uint16_t)(packet->b[at] << 8 | packet->b[at + 1]);
}

void packet_put16(struct packet *packet, size_t at, uint16_t value)
{
	packet->b[at] = (unsigned char)(value >> 8);
	packet->b[at + 1] = (unsigned char)value;
}

/* RFC 1071, the plain way: big-endian words, carries added back one by one. */
static uint32_t sum_bytes(uint32_t sum, const unsigned char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

uint16_t packet_ip4_csum(const struct packet *packet, const struct parsed *parsed)
{
	size_t header = (packet->b[parsed->l3] & 0xfu) * 4u;
	uint32_t sum = sum_bytes(0, packet->b + parsed->l3, 10);

	return (uint16_t)~sum_bytes(sum, packet->b + parsed->l3 + 12, header - 12);
}

size_t packet_l4_csum_at(const struct parsed *parsed)
{
	if (parsed->proto == IPPROTO_ICMP || parsed->proto == IPPROTO_ICMPV6)
		return parsed->l4 + 2;
	return parsed->l4 + (parsed->proto == IPPROTO_TCP ? 16 : 6);
}

uint16_t packet_l4_csum(const struct packet *packet, const struct parsed *parsed)
{
	size_t addrs = parsed->l3 + (parsed->v6 ? 8 : 12), len = parsed->end - parsed->l4;
	size_t at = packet_l4_csum_at(parsed) - parsed->l4;
	const unsigned char *l4 = packet->b + parsed->l4;
	unsigned char pseudo[4] = { 0, parsed->proto, (unsigned char)(len >> 8),
				    (unsigned char)len };
	uint32_t sum = 0;

	if (parsed->proto != IPPROTO_ICMP) {
		sum = sum_bytes(0, packet->b + addrs, parsed->v6 ? 32 : 8);
		sum = sum_bytes(sum, pseudo, sizeof(pseudo));
	}
	sum = sum_bytes(sum, l4, at);
	return (uint16_t)~sum_bytes(sum, l4 + at + 2, len - at - 2);
}

static size_t l4_bytes(uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return TCP_BYTES;
	return proto == IPPROTO_SCTP ? SCTP_BYTES : UDP_BYTES;
}

/* SCTP's, RFC 9260 appendix A: Castagnoli's polynomial, reflected. */
static uint32_t crc32c(const unsigned char *b, size_t len)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < len; i++) {
		crc ^= b[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* Little endian, unlike all else. */
static void put_sctp_csum(struct packet *packet, const struct parsed *parsed)
{
	unsigned char *csum = packet->b + parsed->l4 + 8;
	uint32_t crc;

	memset(csum, 0, 4);
	crc = crc32c(packet->b + parsed->l4, parsed->end - parsed->l4);
	for (int i = 0; i < 4; i++)
		csum[i] = (unsigned char)(crc >> 8 * i);
}

/* ---- building --------------------------------------------------------------- */

static unsigned char *grow(struct packet *packet, size_t len)
{
	unsigned char *at = packet->b + packet->len;

	memset(at, 0, len);
	packet->len += len;
	return at;
}

static void put_proto(struct packet *packet, uint16_t proto)
{
	packet_put16(packet, packet->len, proto);
	packet->len += 2;
}

static void build_eth(struct packet *packet, const struct spec *spec, bool v6)
{
	unsigned char *eth = grow(packet, 12);

	eth[0] = eth[6] = 2;
	eth[5] = spec->dmac;
	eth[11] = spec->smac;
	for (int i = spec->vlans; i > 0; i--) {
		put_proto(packet, i == 2 ? 0x88a8 : 0x8100);
		put_proto(packet, (uint16_t)(0x2000 + i)); /* priority and number */
	}
	put_proto(packet, v6 ? 0x86dd : 0x0800);
}

static void build_ip4(struct packet *packet, const struct spec *spec)
{
	/* router alert, timestamp pointer full, end */
	static const unsigned char options[12] = { 0x94, 4, 0, 0, 1, 68, 4, 5, 0xf0, 0, 0, 0 };
	size_t extra = spec->extras & EXTRA_OPTIONS ? sizeof(options) : 0;
	unsigned char *ip = grow(packet, IP4_BYTES + extra);
	uint16_t frag = (uint16_t)(spec->frag_offset / 8 | (spec->more_fragments ? 0x2000 : 0) |
				   (spec->dont_fragment ? 0x4000 : 0));

	ip[0] = (unsigned char)(0x40 | (IP4_BYTES + extra) / 4);
	ip[1] = 0xb8;
	ip[4] = 0x12;
	ip[5] = 0x34;
	ip[6] = (unsigned char)(frag >> 8);
	ip[7] = (unsigned char)frag;
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = spec->proto;
	memcpy(ip + 12, &spec->src.w[3], 4);
	memcpy(ip + 16, &spec->dst.w[3], 4);
	if (extra)
		memcpy(ip + IP4_BYTES, options, extra);
}

/* One extension header; @next_at: where the one before says what comes next. */
static unsigned char *build_ip6_header(struct packet *packet, size_t *next_at, uint8_t type,
				       size_t len)
{
	unsigned char *header = grow(packet, len);

	packet->b[*next_at] = type;
	*next_at = (size_t)(header - packet->b);
	if (type != IPPROTO_FRAGMENT)
		header[1] = (unsigned char)(len / 8 - 1);
	return header;
}

static void build_ip6(struct packet *packet, const struct spec *spec)
{
	unsigned char *ip = grow(packet, IP6_BYTES), *header;
	size_t next_at = (size_t)(ip - packet->b) + 6;
	uint16_t frag = (uint16_t)(spec->frag_offset | (spec->more_fragments ? 1 : 0));

	ip[0] = 0x6b; /* version, traffic class, flow label */
	ip[1] = 0x8a;
	ip[2] = 0xbc;
	ip[3] = 0xde;
	ip[7] = spec->ttl ? spec->ttl : 64;
	memcpy(ip + 8, &spec->src, 16);
	memcpy(ip + 24, &spec->dst, 16);
	if (spec->extras & EXTRA_HOP) {
		header = build_ip6_header(packet, &next_at, IPPROTO_HOPOPTS, 8);
		header[2] = 5; /* router alert */
		header[3] = 2;
		header[6] = 1; /* PadN */
	}
	if (spec->extras & EXTRA_DEST) {
		header = build_ip6_header(packet, &next_at, IPPROTO_DSTOPTS, 16);
		header[2] = 1;
		header[3] = 12;
	}
	if (spec->extras & EXTRA_ROUTING) {
		header = build_ip6_header(packet, &next_at, IPPROTO_ROUTING, 24);
		header[2] = 4;
		header[8] = 0xfd;
	}
	if (spec->extras & EXTRA_FRAGMENT) {
		header = build_ip6_header(packet, &next_at, IPPROTO_FRAGMENT, 8);
		header[2] = (unsigned char)(frag >> 8);
		header[3] = (unsigned char)frag;
	}
	packet->b[next_at] = spec->proto;
}

static void put32(struct packet *packet, size_t at, uint32_t value)
{
	packet_put16(packet, at, (uint16_t)(value >> 16));
	packet_put16(packet, at + 2, (uint16_t)value);
}

static void build_l4(struct packet *packet, const struct spec *spec)
{
	size_t at = packet->len;

	grow(packet, l4_bytes(spec->proto));
	packet_put16(packet, at, spec->sport);
	packet_put16(packet, at + 2, spec->dport);
	if (spec->proto == IPPROTO_TCP) {
		put32(packet, at + 4, spec->seq ? spec->seq : 0x11);
		put32(packet, at + 8, spec->ack);
		packet->b[at + 12] = 0x50;
		packet->b[at + 13] = spec->tcp_flags;
		packet_put16(packet, at + 14, 0xfaf0);
	} else if (spec->proto == IPPROTO_SCTP) {
		put32(packet, at + 4, spec->seq);
	} else {
		packet_put16(packet, at + 4, (uint16_t)(UDP_BYTES + spec->payload));
	}
}

static void build_payload(struct packet *packet, const struct spec *spec)
{
	unsigned char *b = grow(packet, spec->payload);

	for (size_t i = 0; i < spec->payload; i++)
		b[i] = (unsigned char)(i * 37 + 11);
	if (spec->payload >= 2) {
		b[0] = (unsigned char)(spec->tail >> 8);
		b[1] = (unsigned char)spec->tail;
	}
}

void packet_build(struct packet *out, const struct spec *spec)
{
	struct parsed parsed = { .v6 = !sh_addr_is_v4(&spec->src), .proto = spec->proto };

	out->len = 0;
	build_eth(out, spec, parsed.v6);
	parsed.l3 = out->len;
	if (parsed.v6)
		build_ip6(out, spec);
	else
		build_ip4(out, spec);
	parsed.l4 = out->len;
	if (!spec->frag_offset)
		build_l4(out, spec);
	build_payload(out, spec);
	parsed.end = out->len;
	parsed.later_fragment = spec->frag_offset;
	if (parsed.v6)
		packet_put16(out, parsed.l3 + 4, (uint16_t)(out->len - parsed.l3 - IP6_BYTES));
	else
		packet_put16(out, parsed.l3 + 2, (uint16_t)(out->len - parsed.l3));
	if (spec->proto == IPPROTO_UDP && !spec->no_csum && !spec->frag_offset)
		packet_put16(out, packet_l4_csum_at(&parsed), 1);
	packet_fix_csums(out, &parsed);
}

void packet_fix_csums(struct packet *packet, const struct parsed *parsed)
{
	size_t at = packet_l4_csum_at(parsed);
	uint16_t csum;

	if (!parsed->v6)
		packet_put16(packet, parsed->l3 + 10, packet_ip4_csum(packet, parsed));
	if (parsed->later_fragment)
		return;
	if (parsed->proto == IPPROTO_SCTP) {
		put_sctp_csum(packet, parsed);
		return;
	}
	csum = packet_l4_csum(packet, parsed);
	if (parsed->proto == IPPROTO_TCP)
		packet_put16(packet, at, csum);
	else if (packet_get16(packet, at))
		packet_put16(packet, at, csum ? csum : 0xffff);
}

/* ---- reading ----------------------------------------------------------------- */

static bool parse_eth(const struct packet *packet, size_t *at, uint16_t *proto)
{
	if (packet->len < ETH_BYTES)
		return false;
	*proto = packet_get16(packet, 12);
	*at = ETH_BYTES;
	for (int i = 0; i < 2 && (*proto == 0x8100 || *proto == 0x88a8); i++) {
		if (packet->len < *at + VLAN_BYTES)
			return false;
		*proto = packet_get16(packet, *at + 2);
		*at += VLAN_BYTES;
	}
	return true;
}

static bool parse_ip4(const struct packet *packet, struct parsed *out)
{
	const unsigned char *ip = packet->b + out->l3;
	uint16_t frag;

	if (packet->len < out->l3 + IP4_BYTES || ip[0] >> 4 != 4 || (ip[0] & 0xf) < 5)
		return false;
	frag = packet_get16(packet, out->l3 + 6);
	out->l4 = out->l3 + (ip[0] & 0xfu) * 4;
	out->end = out->l3 + packet_get16(packet, out->l3 + 2);
	out->proto = ip[9];
	out->later_fragment = frag & 0x1fff;
	out->first_fragment = !out->later_fragment && frag & 0x2000;
	return true;
}

static bool parse_ip6(const struct packet *packet, struct parsed *out)
{
	size_t at = out->l3 + IP6_BYTES, len;
	uint16_t frag;
	uint8_t next;

	if (packet->len < at || packet->b[out->l3] >> 4 != 6)
		return false;
	out->end = at + packet_get16(packet, out->l3 + 4);
	next = packet->b[out->l3 + 6];
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_ROUTING ||
	       next == IPPROTO_FRAGMENT) {
		if (packet->len < at + 8)
			return false;
		frag = packet_get16(packet, at + 2);
		if (next == IPPROTO_FRAGMENT && frag & 0xfff8)
			out->later_fragment = true;
		else if (next == IPPROTO_FRAGMENT && frag & 1)
			out->first_fragment = true;
		len = next == IPPROTO_FRAGMENT ? 8 : (packet->b[at + 1] + 1u) * 8;
		next = packet->b[at];
		at += len;
	}
	out->l4 = at;
	out->proto = next;
	return true;
}

bool packet_layout_at(const struct packet *packet, size_t l3, struct parsed *out)
{
	if (packet->len <= l3)
		return false;
	*out = (struct parsed){ .v6 = packet->b[l3] >> 4 == 6, .l3 = l3 };
	return out->v6 ? parse_ip6(packet, out) : parse_ip4(packet, out);
}

bool packet_parse(const struct packet *packet, struct parsed *out)
{
	uint16_t proto;
	bool whole;

	*out = (struct parsed){ 0 };
	if (!parse_eth(packet, &out->l3, &proto))
		return false;
	out->v6 = proto == 0x86dd;
	if (proto != 0x0800 && !out->v6)
		return false;
	whole = out->v6 ? parse_ip6(packet, out) : parse_ip4(packet, out);
	if (!whole || (out->proto != IPPROTO_TCP && out->proto != IPPROTO_UDP))
		return false;
	return out->later_fragment || packet->len >= out->l4 + l4_bytes(out->proto);
}

bool packet_csums_hold(const struct packet *packet)
{
	struct parsed parsed;
	uint16_t sum, right;

	if (!packet_parse(packet, &parsed) || parsed.end > packet->len || parsed.l4 > parsed.end)
		return false;
	if (!parsed.v6 && packet_get16(packet, parsed.l3 + 10) != packet_ip4_csum(packet, &parsed))
		return false;
	if (parsed.later_fragment || parsed.first_fragment)
		return true;
	if (parsed.end - parsed.l4 < l4_bytes(parsed.proto))
		return false;
	sum = packet_get16(packet, packet_l4_csum_at(&parsed));
	right = packet_l4_csum(packet, &parsed);
	if (parsed.proto == IPPROTO_UDP && !parsed.v6 && !sum)
		return true;
	if (parsed.proto == IPPROTO_UDP && !right)
		right = 0xffff;
	return sum == right;
}

struct sh_addr packet_addr(const struct packet *packet, const struct parsed *parsed, bool dst)
{
	struct sh_addr addr = { .w = { 0, 0, SH_MAPPED_PREFIX, 0 } };

	if (parsed->v6)
		memcpy(&addr, packet->b + parsed->l3 + (dst ? 24 : 8), 16);
	else
		memcpy(&addr.w[3], packet->b + parsed->l3 + (dst ? 16 : 12), 4);
	return addr;
}

void packet_set_addr(struct packet *packet, const struct parsed *parsed, bool dst,
		     const struct sh_addr *addr)
{
	if (parsed->v6)
		memcpy(packet->b + parsed->l3 + (dst ? 24 : 8), addr, 16);
	else
		memcpy(packet->b + parsed->l3 + (dst ? 16 : 12), &addr->w[3], 4);
}

bool packet_eq(const struct packet *a, const struct packet *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

void packet_print(const char *title, const struct packet *packet)
{
	(void)fprintf(stderr, "%s (%zu bytes):", title, packet->len);
	for (size_t i = 0; i < packet->len; i++)
		(void)fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", packet->b[i]);
	(void)fputc('\n', stderr);
}
