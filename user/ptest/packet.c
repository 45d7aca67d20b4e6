/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

/* Odd, so that the checksum's last byte stands alone. */
static const char payload_text[] = "a packet of shunt test, 31 byte";
#define PAYLOAD_LEN 31
_Static_assert(sizeof(payload_text) == PAYLOAD_LEN + 1, "it says so itself");

#define SEQ_CLIENT 0x11223344u
#define SEQ_SERVER 0x55667788u

/* RFC 9260, section 3 */
#define SCTP_HEADER_LEN	  12
#define SCTP_INIT_LEN	  20
#define SCTP_CHUNK_DATA	  0
#define SCTP_CHUNK_INIT	  1
#define SCTP_CHUNK_ANSWER 2

/* Where the parts of a packet lie. */
struct layout {
	bool v6;
	uint8_t proto;
	uint32_t l3, l4; /* offsets */
};

/* ---- checksums ----------------------------------------------------------------- */

/* The one's complement sum of RFC 1071, byte by byte; @len may be odd. */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint32_t sum_addr(uint32_t sum, const struct sh_addr *addr)
{
	bool v4 = sh_addr_is_v4(addr);

	return sum_bytes(sum, addr->b + (v4 ? 12 : 0), v4 ? 4 : 16);
}

/* Of the transport: with the pseudo header, its own checksum field taken as it is. */
static uint32_t sum_l4(const struct packet_tuple *t, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	const uint8_t tail[8] = { (uint8_t)(len >> 24),
				  (uint8_t)(len >> 16),
				  (uint8_t)(len >> 8),
				  (uint8_t)len,
				  0,
				  0,
				  0,
				  proto };
	uint32_t sum;

	sum = sum_addr(0, &t->src);
	sum = sum_addr(sum, &t->dst);
	sum = sum_bytes(sum, tail, sizeof(tail));
	return sum_bytes(sum, l4, len);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* SCTP's, RFC 9260 appendix A: Castagnoli's polynomial, reflected. */
static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = 0xffffffffu;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* ---- building -------------------------------------------------------------------- */

static uint32_t build_tcp(const struct packet_spec *spec, uint8_t *l4)
{
	static const uint8_t flags[] = { [PACKET_OPEN] = TH_SYN,
					 [PACKET_ANSWER] = TH_SYN | TH_ACK,
					 [PACKET_DATA] = TH_ACK | TH_PUSH };
	bool data = spec->kind == PACKET_DATA, answer = spec->kind == PACKET_ANSWER;
	uint32_t len = 20 + (data ? PAYLOAD_LEN : 0);

	put32(l4 + 4, answer ? SEQ_SERVER : SEQ_CLIENT + data);
	put32(l4 + 8, answer ? SEQ_CLIENT + 1 : data ? SEQ_SERVER + 1 : 0);
	l4[12] = 5 << 4;
	l4[13] = flags[spec->kind];
	put16(l4 + 14, 64000);
	if (data)
		memcpy(l4 + 20, payload_text, PAYLOAD_LEN);
	put16(l4 + 16, (uint16_t)~sum_l4(&spec->tuple, IPPROTO_TCP, l4, len));
	return len;
}

static uint32_t build_udp(const struct packet_spec *spec, uint8_t *l4)
{
	uint32_t len = 8 + PAYLOAD_LEN, sum;

	put16(l4 + 4, len);
	memcpy(l4 + 8, payload_text, PAYLOAD_LEN);
	sum = (uint16_t)~sum_l4(&spec->tuple, IPPROTO_UDP, l4, len);
	put16(l4 + 6, sum ? sum : 0xffff); /* 0 is: none was made */
	return len;
}

/* Little endian, unlike all else (RFC 9260, appendix A). */
static void put_crc(uint8_t *at, uint32_t crc)
{
	at[0] = (uint8_t)crc;
	at[1] = (uint8_t)(crc >> 8);
	at[2] = (uint8_t)(crc >> 16);
	at[3] = (uint8_t)(crc >> 24);
}

/* INIT, INIT ACK (without its cookie: nobody here is to set up the association), DATA. */
static uint32_t build_sctp(const struct packet_spec *spec, uint8_t *l4)
{
	static const uint8_t types[] = { [PACKET_OPEN] = SCTP_CHUNK_INIT,
					 [PACKET_ANSWER] = SCTP_CHUNK_ANSWER,
					 [PACKET_DATA] = SCTP_CHUNK_DATA };
	bool data = spec->kind == PACKET_DATA;
	uint32_t chunk = data ? 16 + PAYLOAD_LEN : SCTP_INIT_LEN;
	uint32_t len = SCTP_HEADER_LEN + (chunk + 3) / 4 * 4;

	put32(l4 + 4, spec->kind == PACKET_OPEN ? 0 : SEQ_SERVER);
	l4[12] = types[spec->kind];
	put16(l4 + 14, chunk);
	put32(l4 + 16, SEQ_CLIENT);
	put32(l4 + 20, 64000);
	put32(l4 + 24, 10 << 16 | 10);
	if (data)
		memcpy(l4 + 28, payload_text, PAYLOAD_LEN);
	else
		put32(l4 + 28, SEQ_CLIENT);
	put_crc(l4 + 8, crc32c(l4, len));
	return len;
}

static uint32_t build_l4(const struct packet_spec *spec, uint8_t *l4)
{
	memcpy(l4, &spec->tuple.sport, 2);
	memcpy(l4 + 2, &spec->tuple.dport, 2);
	if (spec->tuple.proto == IPPROTO_TCP)
		return build_tcp(spec, l4);
	if (spec->tuple.proto == IPPROTO_UDP)
		return build_udp(spec, l4);
	return build_sctp(spec, l4);
}

static void build_ipv4(const struct packet_spec *spec, uint8_t *l3, uint32_t len)
{
	l3[0] = 0x45;
	put16(l3 + 2, 20 + len);
	put16(l3 + 4, 0x1234);
	put16(l3 + 6, IP_DF);
	l3[8] = spec->ttl;
	l3[9] = spec->tuple.proto;
	memcpy(l3 + 12, &spec->tuple.src.w[3], 4);
	memcpy(l3 + 16, &spec->tuple.dst.w[3], 4);
	put16(l3 + 10, (uint16_t)~sum_bytes(0, l3, 20));
}

static void build_ipv6(const struct packet_spec *spec, uint8_t *l3, uint32_t len)
{
	put32(l3, 0x60000000u | 0x12345);
	put16(l3 + 4, len);
	l3[6] = spec->tuple.proto;
	l3[7] = spec->ttl;
	memcpy(l3 + 8, &spec->tuple.src, 16);
	memcpy(l3 + 24, &spec->tuple.dst, 16);
}

void packet_build(const struct packet_spec *spec, struct packet *out)
{
	bool v6 = !sh_addr_is_v4(&spec->tuple.dst);
	uint32_t header = v6 ? 40 : 20, len;
	uint8_t *l3 = out->data + ETH_HLEN;

	memset(out->data, 0, 256); /* more than any of them takes */
	memcpy(out->data, spec->dmac, 6);
	memcpy(out->data + 6, spec->smac, 6);
	put16(out->data + 12, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	len = build_l4(spec, l3 + header);
	if (v6)
		build_ipv6(spec, l3, len);
	else
		build_ipv4(spec, l3, len);
	out->len = ETH_HLEN + header + len;
}

/* ---- reading --------------------------------------------------------------------- */

/* Plain headers only: what is built here has no others, and what comes out of it neither. */
static bool layout_at(const struct packet *packet, uint32_t l3, struct layout *out)
{
	uint32_t version;

	if (packet->len < l3 + 20)
		return false;
	version = packet->data[l3] >> 4;
	if (version == 4 && packet->data[l3] == 0x45) {
		*out = (struct layout){ .proto = packet->data[l3 + 9], .l3 = l3, .l4 = l3 + 20 };
		return true;
	}
	if (version != 6 || packet->len < l3 + 40)
		return false;
	*out = (struct layout){
		.v6 = true, .proto = packet->data[l3 + 6], .l3 = l3, .l4 = l3 + 40
	};
	return true;
}

static void read_addrs(const struct packet *packet, const struct layout *at,
		       struct packet_tuple *out)
{
	const uint8_t *l3 = packet->data + at->l3;
	__be32 v4;

	if (at->v6) {
		memcpy(&out->src, l3 + 8, 16);
		memcpy(&out->dst, l3 + 24, 16);
		return;
	}
	memcpy(&v4, l3 + 12, 4);
	out->src = addr_from_v4(v4);
	memcpy(&v4, l3 + 16, 4);
	out->dst = addr_from_v4(v4);
}

static bool read_tuple(const struct packet *packet, uint32_t l3, struct packet_tuple *out)
{
	struct layout at;

	if (!layout_at(packet, l3, &at) || packet->len < at.l4 + 8)
		return false;
	if (at.proto != IPPROTO_TCP && at.proto != IPPROTO_UDP && at.proto != IPPROTO_SCTP)
		return false;
	read_addrs(packet, &at, out);
	memcpy(&out->sport, packet->data + at.l4, 2);
	memcpy(&out->dport, packet->data + at.l4 + 2, 2);
	out->proto = at.proto;
	return true;
}

bool packet_tuple(const struct packet *packet, struct packet_tuple *out)
{
	return read_tuple(packet, ETH_HLEN, out);
}

bool packet_eq(const struct packet *a, const struct packet *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

struct packet_tuple packet_reverse(const struct packet_tuple *tuple)
{
	return (struct packet_tuple){
		.src = tuple->dst,
		.dst = tuple->src,
		.sport = tuple->dport,
		.dport = tuple->sport,
		.proto = tuple->proto,
	};
}

/* ---- judging --------------------------------------------------------------------- */

static const char *part_name(const struct layout *at, uint32_t offset)
{
	uint32_t in_l4 = offset - at->l4;

	if (offset < at->l4) {
		if (!at->v6 && offset - at->l3 - 10 < 2)
			return "the IP checksum";
		if (offset - at->l3 == (at->v6 ? 7u : 8u))
			return "the TTL";
		return "the IP header";
	}
	if (in_l4 < 4)
		return "a port";
	if ((at->proto == IPPROTO_TCP && (in_l4 == 16 || in_l4 == 17)) ||
	    (at->proto == IPPROTO_UDP && (in_l4 == 6 || in_l4 == 7)))
		return "the checksum";
	return in_l4 < 20 ? "the transport header" : "the payload";
}

bool packet_is(const struct packet *packet, const struct packet_spec *spec,
	       char why[static PACKET_WHY_LEN])
{
	struct packet wanted;
	struct layout at = { 0 };
	uint32_t i;

	why[0] = '\0';
	packet_build(spec, &wanted);
	(void)layout_at(&wanted, ETH_HLEN, &at);
	if (packet->len != wanted.len) {
		(void)snprintf(why, PACKET_WHY_LEN, "%u bytes long, not %u", packet->len,
			       wanted.len);
		return false;
	}
	for (i = ETH_HLEN - 2; i < wanted.len; i++) {
		if (packet->data[i] == wanted.data[i])
			continue;
		(void)snprintf(why, PACKET_WHY_LEN,
			       "byte %u (%s) is 0x%02x, where 0x%02x would be right", i,
			       part_name(&at, i), packet->data[i], wanted.data[i]);
		return false;
	}
	return true;
}

/* Addresses and checksums of an answer of ours: both in full. @return NULL, or what is wrong */
static const char *refusal_fault(const struct packet *answer, const struct layout *at,
				 const struct packet_tuple *asked)
{
	struct packet_tuple t = { .proto = at->proto };
	const uint8_t *l3 = answer->data + at->l3;
	uint32_t len = at->v6 ? get16(l3 + 4) : get16(l3 + 2) - 20;

	read_addrs(answer, at, &t);
	if (!addr_eq(&t.dst, &asked->src))
		return "it does not go to the client";
	if (at->l4 + len > answer->len)
		return "its length field says more than there is";
	if (!at->v6 && sum_bytes(0, l3, 20) != 0xffff)
		return "its IP checksum is wrong";
	if (at->proto == IPPROTO_ICMP)
		return sum_bytes(0, answer->data + at->l4, len) == 0xffff
			       ? NULL
			       : "its ICMP checksum is wrong";
	return sum_l4(&t, at->proto, answer->data + at->l4, len) == 0xffff
		       ? NULL
		       : "its checksum is wrong";
}

static const char *rst_fault(const struct packet *answer, const struct layout *at,
			     const struct packet_tuple *asked)
{
	struct packet_tuple t;

	if (!packet_tuple(answer, &t) || !addr_eq(&t.src, &asked->dst) || t.sport != asked->dport ||
	    t.dport != asked->sport)
		return "the RST is not of the connection that was tried";
	if (get32(answer->data + at->l4 + 8) != SEQ_CLIENT + 1)
		return "the RST does not acknowledge the SYN: its receiver would ignore it";
	return NULL;
}

/* The packet that it is about has to be in it, as its sender knows it. */
static const char *icmp_fault(const struct packet *answer, const struct layout *at,
			      const struct packet_tuple *asked)
{
	struct packet_tuple t;

	if (!read_tuple(answer, at->l4 + 8, &t))
		return "the ICMP error does not quote what it is about";
	if (!addr_eq(&t.src, &asked->src) || !addr_eq(&t.dst, &asked->dst) ||
	    t.sport != asked->sport || t.dport != asked->dport || t.proto != asked->proto)
		return "the ICMP error quotes another packet";
	return NULL;
}

static bool is_rst(const struct packet *packet, const struct layout *at)
{
	return at->proto == IPPROTO_TCP && packet->len >= at->l4 + 20 &&
	       packet->data[at->l4 + 13] & TH_RST;
}

static bool is_unreachable(const struct packet *packet, const struct layout *at)
{
	const uint8_t *icmp = packet->data + at->l4;

	if (packet->len < at->l4 + 8)
		return false;
	if (at->v6)
		return at->proto == IPPROTO_ICMPV6 && icmp[0] == ICMP6_DST_UNREACH &&
		       icmp[1] == ICMP6_DST_UNREACH_NOPORT;
	return at->proto == IPPROTO_ICMP && icmp[0] == ICMP_DEST_UNREACH &&
	       icmp[1] == ICMP_PORT_UNREACH;
}

bool packet_refuses(const struct packet *answer, const struct packet *question,
		    char why[static PACKET_WHY_LEN])
{
	struct packet_tuple asked;
	const char *fault;
	struct layout at;

	if (!packet_tuple(question, &asked) || !layout_at(answer, ETH_HLEN, &at))
		return false;
	if (is_rst(answer, &at))
		fault = rst_fault(answer, &at, &asked);
	else if (is_unreachable(answer, &at))
		fault = icmp_fault(answer, &at, &asked);
	else
		return false;
	if (!fault)
		fault = refusal_fault(answer, &at, &asked);
	(void)snprintf(why, PACKET_WHY_LEN, "%s", fault ? fault : "");
	return true;
}
