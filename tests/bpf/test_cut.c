/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4 packets that their way out doesn't take in one piece, and that may be
 * fragmented: all pieces are caught, the last as the packet that comes out, the
 * others on the wire, and compared with those that the test cuts. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/world.h"

/* A case says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PIECES_MAX   8
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define SERVICE(name, ip, port, backend)                                                 \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n"               \
	"spec:\n  type: NodePort\n  clusterIP: " ip "\n  ports:\n"                       \
	"  - {name: t, port: 80, targetPort: 8080, protocol: TCP, nodePort: " port "}\n" \
	"  - {name: u, port: 80, targetPort: 8080, protocol: UDP, nodePort: " port "}\n" \
	"---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: " name "}\n"             \
	"subsets: [{addresses: [{ip: " backend ", nodeName: node-2}], ports: ["          \
	"{name: t, port: 8080, protocol: TCP}, {name: u, port: 8080, protocol: UDP}]}]\n"

/* By ways of 576 and 1300 bytes, and by one whose neighbour is unknown. */
static const char scene[] = SERVICE("small", "10.96.0.1", "30080", "10.244.6.10")
	SERVICE("narrow", "10.96.0.2", "30081", "10.244.5.10")
		SERVICE("unmet", "10.96.0.3", "30082", "10.244.4.10");

static const struct way {
	const char *backend;
	uint16_t node_port;
	size_t mtu;
} ways[] = { { "10.244.6.10", 30080, 576 },
	     { "10.244.5.10", 30081, MTU_NARROW },
	     { "10.244.4.10", 30082, 1500 } };

static struct world world;
static int wire = -1; /* what leaves by eth0 */

/* ---- the oracle --------------------------------------------------------------- */

static struct spec spec_in(const struct way *way, uint8_t proto, uint16_t payload)
{
	return (struct spec){ .src = addr_of("198.51.100.7"),
			      .dst = addr_of("192.0.2.1"),
			      .sport = 20000,
			      .dport = way->node_port,
			      .proto = proto,
			      .tcp_flags = TCP_ACK,
			      .payload = payload,
			      .tail = 0x1234,
			      .dmac = 0xd0,
			      .smac = 0xd1 };
}

static struct spec spec_out(struct spec spec, const struct way *way)
{
	spec.src = addr_of("192.0.2.1");
	spec.dst = addr_of(way->backend);
	spec.dport = 8080;
	spec.ttl = 63;
	spec.dmac = MAC_NODE2;
	spec.smac = MAC_ETH0;
	return spec;
}

/* RFC 791 section 3.2. @return how many */
static size_t cut(const struct packet *whole, size_t mtu, struct packet pieces[PIECES_MAX])
{
	size_t at, n = 0, take, header, most;
	struct parsed parsed;
	uint16_t frag;

	assert_true(packet_parse(whole, &parsed));
	header = parsed.l4 - parsed.l3;
	most = (mtu - header) / 8 * 8;
	frag = packet_get16(whole, parsed.l3 + 6);
	for (at = parsed.l4; at < parsed.end; at += take) {
		struct packet *piece = &pieces[n++];

		assert_true(n <= PIECES_MAX);
		take = parsed.end - at > most ? most : parsed.end - at;
		*piece = *whole;
		memcpy(piece->b + parsed.l4, whole->b + at, take);
		piece->len = parsed.l4 + take;
		packet_put16(piece, parsed.l3 + 2, (uint16_t)(header + take));
		packet_put16(piece, parsed.l3 + 6,
			     (uint16_t)((frag & 0x1fff) + (at - parsed.l4) / 8 +
					(at + take < parsed.end || frag & 0x2000 ? 0x2000 : 0)));
		parsed.later_fragment = true; /* the header's checksum alone */
		packet_fix_csums(piece, &parsed);
	}
	return n;
}

/* ---- the wire ------------------------------------------------------------------- */

static void listen_to_wire(void)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)if_nametoindex("peth0") };

	wire = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	assert_true(wire >= 0);
	assert_int_equal(bind(wire, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

/* The next one from us to a backend; what the kernel says of its own accord isn't. */
static bool heard(struct packet *packet)
{
	ssize_t n;

	while ((n = recv(wire, packet->b, sizeof(packet->b), 0)) >= 0) {
		packet->len = (size_t)n;
		if (packet->b[5] == MAC_NODE2 && packet->b[11] == MAC_ETH0)
			return true;
	}
	assert_int_equal(errno, EAGAIN);
	return false;
}

/* Whoever listens sees the outer tag beside the packet: the kernel takes it off first. */
static void take_tag_off(struct packet *packet)
{
	uint16_t proto = packet_get16(packet, 12);

	if (proto != ETH_P_8021Q && proto != ETH_P_8021AD)
		return;
	memmove(packet->b + 12, packet->b + 16, packet->len - 16);
	packet->len -= 4;
}

static void compare(const struct packet *want, const struct packet *got)
{
	if (packet_eq(want, got))
		return;
	packet_print("want", want);
	packet_print("got", got);
	fail_msg("another packet than expected");
}

/* ---- tests ----------------------------------------------------------------------- */

static int run_in(const struct spec *spec, struct packet *out)
{
	struct packet in;

	packet_build(&in, spec);
	return hook_run(&world, HOOK_INGRESS, world.eth0, &in, out);
}

/* @spec goes in, all of it comes out in pieces. @return how many */
static size_t expect_cut(const struct spec *spec, const struct way *way)
{
	struct packet whole, out, piece, pieces[PIECES_MAX];
	struct spec to = spec_out(*spec, way);
	uint64_t drops = drops_all(&world);
	size_t n, i;

	packet_build(&whole, &to);
	n = cut(&whole, way->mtu, pieces);
	assert_int_equal(run_in(spec, &out), TC_ACT_REDIRECT);
	for (i = 0; i + 1 < n; i++) {
		assert_true(heard(&piece));
		take_tag_off(&pieces[i]);
		compare(&pieces[i], &piece);
	}
	compare(&pieces[n - 1], &out);
	assert_false(heard(&piece));
	assert_int_equal(drops_all(&world), drops);
	return n;
}

static void pieces_of_every_length(void **state)
{
	for (size_t proto = 0; proto < 2; proto++) {
		for (uint16_t payload = 530; payload < 1800; payload += 7) {
			struct spec spec =
				spec_in(&ways[0], proto ? IPPROTO_TCP : IPPROTO_UDP, payload);
			size_t l4 = payload + (proto ? 20u : 8u);

			assert_int_equal(expect_cut(&spec, &ways[0]),
					 l4 <= 556 ? 1 : (l4 + 551) / 552);
		}
	}
}

static void headers_are_kept(void **state)
{
	struct spec spec = spec_in(&ways[1], IPPROTO_UDP, 1400);

	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
	spec.extras = EXTRA_OPTIONS;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
	spec.vlans = 1;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
	spec.vlans = 2;
	spec.no_csum = true;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
}

/* Fragments on a way that is narrower than theirs was. */
static void fragments_are_cut_again(void **state)
{
	struct spec spec = spec_in(&ways[1], IPPROTO_UDP, 1472 - 8);

	spec.more_fragments = true;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
	spec.frag_offset = 1472;
	spec.payload = 1472;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
	spec.more_fragments = false;
	spec.frag_offset = 2944;
	spec.payload = 1333;
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
}

/* What follows the IP packet in its frame is no part of it. */
static void padding_is_left_out(void **state)
{
	struct spec spec = spec_in(&ways[1], IPPROTO_UDP, 1400), to = spec_out(spec, &ways[1]);
	struct packet in, whole, out, piece, pieces[PIECES_MAX];

	packet_build(&whole, &to);
	assert_int_equal(cut(&whole, MTU_NARROW, pieces), 2);
	packet_build(&in, &spec);
	memset(in.b + in.len, 0xee, 30);
	in.len += 30;
	assert_int_equal(hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out), TC_ACT_REDIRECT);
	assert_true(heard(&piece));
	compare(&pieces[0], &piece);
	compare(&pieces[1], &out);
}

/*
 * A checksum that the device has yet to make (tests/system/test_pmtu_own_route.sh)
 * is the sum of the pseudo header; this one is so by chance.
 */
static void checksums_that_look_unfinished(void **state)
{
	struct spec spec = spec_in(&ways[1], IPPROTO_UDP, 1400), to;
	struct packet whole;
	struct parsed parsed;
	uint32_t sum = 0;

	spec.tail = 0;
	to = spec_out(spec, &ways[1]);
	packet_build(&whole, &to);
	assert_true(packet_parse(&whole, &parsed));
	for (size_t i = 0; i < 8; i += 2)
		sum += packet_get16(&whole, parsed.l3 + 12 + i);
	sum += IPPROTO_UDP + (uint32_t)(parsed.end - parsed.l4);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = packet_l4_csum(&whole, &parsed) + (uint16_t)~sum;
	spec.tail = (uint16_t)((sum & 0xffff) + (sum >> 16));
	assert_int_equal(expect_cut(&spec, &ways[1]), 2);
}

/* The first piece makes the kernel ask for it. */
static void unknown_neighbour(void **state)
{
	struct spec spec = spec_in(&ways[2], IPPROTO_UDP, 1600), to = spec_out(spec, &ways[2]);
	uint64_t drops = drops_of(&world, SH_REASON_TOO_BIG);
	struct packet whole, out, pieces[PIECES_MAX];

	to.dmac = spec.dmac;
	to.smac = spec.smac;
	packet_build(&whole, &to);
	assert_int_equal(cut(&whole, 1500, pieces), 2);
	assert_int_equal(run_in(&spec, &out), TC_ACT_REDIRECT);
	compare(&pieces[0], &out);
	assert_int_equal(drops_of(&world, SH_REASON_TOO_BIG), drops + 1);
}

/* ---- main ------------------------------------------------------------------------- */

static int open_world(void **state)
{
	if (!world.ready) {
		world_network(&world);
		world_settings(&world);
		world_open(&world, DATAPLANE_SCRATCH);
		publish_yaml(&world, scene);
		listen_to_wire();
		world.ready = true;
	}
	world.csum_complete = false; /* pieces are shorter, and the check does not know */
	flows_forget(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pieces_of_every_length, open_world),
		cmocka_unit_test_setup(headers_are_kept, open_world),
		cmocka_unit_test_setup(fragments_are_cut_again, open_world),
		cmocka_unit_test_setup(padding_is_left_out, open_world),
		cmocka_unit_test_setup(checksums_that_look_unfinished, open_world),
		cmocka_unit_test_setup(unknown_neighbour, open_world),
	};
	int ret = world_run_tests("cut", tests, ARRAY_LEN(tests));

	if (wire >= 0)
		close(wire);
	world_close(&world);
	return ret;
}
