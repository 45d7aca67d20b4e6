/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_LEN 31 /* odd, so that the checksum's last byte stands alone */

#define SEQ_CLIENT 0x11223344u
#define SEQ_SERVER 0x55667788u

/* RFC 9260, section 3 */
#define SCTP_HEADER_LEN	  12
#define SCTP_INIT_LEN	  20
#define SCTP_CHUNK_DATA	  0
#define SCTP_CHUNK_INIT	  1
#define SCTP_CHUNK_ANSWER 2

/* ---- building -------------------------------------------------------------------- */

static void describe_tcp(const struct packet_spec *spec, struct spec *out)
{
	static const uint8_t flags[] = { [PACKET_OPEN] = TCP_SYN,
					 [PACKET_ANSWER] = TCP_SYN | TCP_ACK,
					 [PACKET_DATA] = TCP_ACK };
	bool data = spec->kind == PACKET_DATA, answer = spec->kind == PACKET_ANSWER;

	out->tcp_flags = flags[spec->kind];
	out->seq = answer ? SEQ_SERVER : SEQ_CLIENT + data;
	out->ack = answer ? SEQ_CLIENT + 1 : data ? SEQ_SERVER + 1 : 0;
	out->payload = data ? PAYLOAD_LEN : 0;
}

static uint16_t chunk_len(const struct packet_spec *spec)
{
	return spec->kind == PACKET_DATA ? 16 + PAYLOAD_LEN : SCTP_INIT_LEN;
}

static void describe_sctp(const struct packet_spec *spec, struct spec *out)
{
	out->seq = spec->kind == PACKET_OPEN ? 0 : SEQ_SERVER;
	out->payload = (uint16_t)((chunk_len(spec) + 3) / 4 * 4);
}

/* INIT, INIT ACK (without its cookie: nobody here is to set up the association), DATA. */
static void fill_chunk(const struct packet_spec *spec, struct packet *out, size_t at)
{
	static const uint8_t types[] = { [PACKET_OPEN] = SCTP_CHUNK_INIT,
					 [PACKET_ANSWER] = SCTP_CHUNK_ANSWER,
					 [PACKET_DATA] = SCTP_CHUNK_DATA };

	out->b[at] = types[spec->kind];
	out->b[at + 1] = 0;
	packet_put16(out, at + 2, chunk_len(spec));
}

void packet_make(const struct packet_spec *spec, struct packet *out)
{
	const struct packet_tuple *tuple = &spec->tuple;
	struct spec whole = { .src = tuple->src,
			      .dst = tuple->dst,
			      .sport = ntohs(tuple->sport),
			      .dport = ntohs(tuple->dport),
			      .proto = tuple->proto,
			      .ttl = spec->ttl,
			      .payload = PAYLOAD_LEN,
			      .dont_fragment = true };
	struct parsed at;

	if (tuple->proto == IPPROTO_TCP)
		describe_tcp(spec, &whole);
	else if (tuple->proto == IPPROTO_SCTP)
		describe_sctp(spec, &whole);
	packet_build(out, &whole);
	memcpy(out->b, spec->dmac, 6);
	memcpy(out->b + 6, spec->smac, 6);
	if (tuple->proto == IPPROTO_SCTP && packet_layout_at(out, ETH_HLEN, &at)) {
		fill_chunk(spec, out, at.l4 + SCTP_HEADER_LEN);
		packet_fix_csums(out, &at);
	}
}

/* ---- reading --------------------------------------------------------------------- */

static bool read_tuple(const struct packet *packet, size_t l3, struct packet_tuple *out)
{
	struct parsed at;

	if (!packet_layout_at(packet, l3, &at) || packet->len < at.l4 + 8)
		return false;
	if (at.proto != IPPROTO_TCP && at.proto != IPPROTO_UDP && at.proto != IPPROTO_SCTP)
		return false;
	*out = (struct packet_tuple){
		.src = packet_addr(packet, &at, false),
		.dst = packet_addr(packet, &at, true),
		.sport = htons(packet_get16(packet, at.l4)),
		.dport = htons(packet_get16(packet, at.l4 + 2)),
		.proto = at.proto,
	};
	return true;
}

bool packet_tuple(const struct packet *packet, struct packet_tuple *out)
{
	return read_tuple(packet, ETH_HLEN, out);
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

static const char *part_name(const struct parsed *at, size_t offset)
{
	size_t in_l4 = offset - at->l4;

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
	struct parsed at = { 0 };
	size_t i;

	why[0] = '\0';
	packet_make(spec, &wanted);
	(void)packet_layout_at(&wanted, ETH_HLEN, &at);
	if (packet->len != wanted.len) {
		(void)snprintf(why, PACKET_WHY_LEN, "%zu bytes long, not %zu", packet->len,
			       wanted.len);
		return false;
	}
	for (i = ETH_HLEN - 2; i < wanted.len; i++) {
		if (packet->b[i] == wanted.b[i])
			continue;
		(void)snprintf(why, PACKET_WHY_LEN,
			       "byte %zu (%s) is 0x%02x, where 0x%02x would be right", i,
			       part_name(&at, i), packet->b[i], wanted.b[i]);
		return false;
	}
	return true;
}

/* Zero has two forms in one's complement. */
static bool same_csum(uint16_t a, uint16_t b)
{
	return (a ? a : 0xffff) == (b ? b : 0xffff);
}

/* Addresses and checksums of an answer of ours: both in full. @return NULL, or what is wrong */
static const char *refusal_fault(const struct packet *answer, const struct parsed *at,
				 const struct packet_tuple *asked)
{
	const struct sh_addr dst = packet_addr(answer, at, true);

	if (!addr_eq(&dst, &asked->src))
		return "it does not go to the client";
	if (at->end > answer->len || at->end < packet_l4_csum_at(at) + 2)
		return "its length field is wrong";
	if (!at->v6 && !same_csum(packet_get16(answer, at->l3 + 10), packet_ip4_csum(answer, at)))
		return "its IP checksum is wrong";
	if (!same_csum(packet_get16(answer, packet_l4_csum_at(at)), packet_l4_csum(answer, at)))
		return at->proto == IPPROTO_ICMP ? "its ICMP checksum is wrong"
						 : "its checksum is wrong";
	return NULL;
}

static uint32_t get32(const struct packet *packet, size_t at)
{
	return (uint32_t)packet_get16(packet, at) << 16 | packet_get16(packet, at + 2);
}

static const char *rst_fault(const struct packet *answer, const struct parsed *at,
			     const struct packet_tuple *asked)
{
	struct packet_tuple t;

	if (!packet_tuple(answer, &t) || !addr_eq(&t.src, &asked->dst) || t.sport != asked->dport ||
	    t.dport != asked->sport)
		return "the RST is not of the connection that was tried";
	if (get32(answer, at->l4 + 8) != SEQ_CLIENT + 1)
		return "the RST does not acknowledge the SYN: its receiver would ignore it";
	return NULL;
}

/* The packet that it is about has to be in it, as its sender knows it. */
static const char *icmp_fault(const struct packet *answer, const struct parsed *at,
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

static bool is_rst(const struct packet *packet, const struct parsed *at)
{
	return at->proto == IPPROTO_TCP && packet->len >= at->l4 + 20 &&
	       packet->b[at->l4 + 13] & TCP_RST;
}

static bool is_unreachable(const struct packet *packet, const struct parsed *at)
{
	const uint8_t *icmp = packet->b + at->l4;

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
	struct parsed at;

	if (!packet_tuple(question, &asked) || !packet_layout_at(answer, ETH_HLEN, &at))
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
