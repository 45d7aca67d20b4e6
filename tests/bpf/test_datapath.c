/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs do to packets: one table, whose every row is run for both
 * families, both protocols, TC alone and XDP before TC, and in every shape
 * that a packet may have (VLAN tags, options, extension headers, no checksum).
 * The whole packet is compared with one from the builder. Needs root.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/icmp_error.h"
#include "bpf/world.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TC_PASS	     (-1)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the scene ---------------------------------------------------------------- */

/* clang-format off */
#define SERVICE(name, ip4, ip6, more)                                                    \
	"---\n"                                                                          \
	"apiVersion: v1\n"                                                               \
	"kind: Service\n"                                                                \
	"metadata: {name: " name "}\n"                                                   \
	"spec:\n"                                                                        \
	"  clusterIP: " ip4 "\n" \
	"  clusterIPs: [" ip4 ", \"" ip6 "\"]\n"                                         \
	"  ipFamilies: [IPv4, IPv6]\n"                                                   \
	"  ipFamilyPolicy: RequireDualStack\n" more

#define PORTS(node_port)                                                                 \
	"  type: NodePort\n"                                                             \
	"  ports:\n"                                                                     \
	"  - {name: t, port: 80, targetPort: 8080, protocol: TCP, nodePort: " node_port "}\n" \
	"  - {name: u, port: 80, targetPort: 8080, protocol: UDP, nodePort: " node_port "}\n"

#define SLICE(name, suffix, family, node, ip)                                                    \
	"---\n"                                                                          \
	"apiVersion: discovery.k8s.io/v1\n"                                              \
	"kind: EndpointSlice\n"                                                          \
	"metadata: {name: " name suffix ", labels: {kubernetes.io/service-name: " name "}}\n" \
	"addressType: " family "\n"                                                      \
	"ports: [{name: t, port: 8080, protocol: TCP}, {name: u, port: 8080, protocol: UDP}]\n"   \
	"endpoints: [{addresses: [\"" ip "\"], nodeName: " node "}]\n"

#define SLICES(name, node, ip4, ip6) SLICE(name, "-4", "IPv4", node, ip4) \
	SLICE(name, "-6", "IPv6", node, ip6)

static const char scene[] =
	SERVICE("web", "10.96.0.10", "fd00:10:96::10", PORTS("30080"))
	SLICES("web", "node-1", "10.244.1.10", "fd00:1::10")
	SERVICE("far", "10.96.0.20", "fd00:10:96::20", PORTS("30081"))
	SLICES("far", "node-2", "10.244.2.20", "fd00:2::20")
	SERVICE("beyond", "10.96.0.30", "fd00:10:96::30", PORTS("30082"))
	SLICES("beyond", "node-3", "10.244.3.30", "fd00:3::30")
	SERVICE("unmet", "10.96.0.40", "fd00:10:96::40", PORTS("30083"))
	SLICES("unmet", "node-4", "10.244.4.40", "fd00:4::40")
	SERVICE("empty", "10.96.0.50", "fd00:10:96::50", PORTS("30084"))
	SERVICE("local", "10.96.0.60", "fd00:10:96::60",
		"  externalTrafficPolicy: Local\n" PORTS("30085"))
	SLICES("local", "node-2", "10.244.2.60", "fd00:2::60")
	SERVICE("self", "10.96.0.70", "fd00:10:96::70", PORTS("30086"))
	SLICES("self", "node-1", "10.244.1.70", "fd00:1::70")
	SERVICE("narrow", "10.96.0.80", "fd00:10:96::80", PORTS("30087"))
	SLICES("narrow", "node-2", "10.244.5.80", "fd00:5::80");
/* clang-format on */

enum who {
	CLIENT, /* outside, behind the default route */
	OTHER,	/* outside, and none of our business */
	NODE,
	NODE_B, /* the address of eth1 */
	POD,	/* a client on this node */
	VIP_WEB,
	VIP_FAR,
	VIP_EMPTY,
	VIP_LOCAL,
	VIP_SELF,
	VIP_NOBODY,
	BE_WEB,
	BE_FAR,
	BE_BEYOND,
	BE_UNMET,
	BE_LOCAL,
	BE_SELF,
	BE_NARROW, /* by a way of MTU_NARROW bytes */
};

static struct sh_addr who_addr(enum who who, bool v6)
{
	static const char *const text[][2] = {
		[CLIENT] = { "198.51.100.7", "2001:db8:c::7" },
		[OTHER] = { "203.0.113.9", "2001:db8:d::9" },
		[NODE] = { "192.0.2.1", "2001:db8::1" },
		[NODE_B] = { "192.0.3.1", "2001:db8:3::1" },
		[POD] = { "10.244.1.99", "fd00:1::99" },
		[VIP_WEB] = { "10.96.0.10", "fd00:10:96::10" },
		[VIP_FAR] = { "10.96.0.20", "fd00:10:96::20" },
		[VIP_EMPTY] = { "10.96.0.50", "fd00:10:96::50" },
		[VIP_LOCAL] = { "10.96.0.60", "fd00:10:96::60" },
		[VIP_SELF] = { "10.96.0.70", "fd00:10:96::70" },
		[VIP_NOBODY] = { "10.96.77.77", "fd00:10:96::7777" },
		[BE_WEB] = { "10.244.1.10", "fd00:1::10" },
		[BE_FAR] = { "10.244.2.20", "fd00:2::20" },
		[BE_BEYOND] = { "10.244.3.30", "fd00:3::30" },
		[BE_UNMET] = { "10.244.4.40", "fd00:4::40" },
		[BE_LOCAL] = { "10.244.2.60", "fd00:2::60" },
		[BE_SELF] = { "10.244.1.70", "fd00:1::70" },
		[BE_NARROW] = { "10.244.5.80", "fd00:5::80" },
	};

	return addr_of(text[who][v6]);
}

/* ---- the table ------------------------------------------------------------------ */

enum edge { IN_ETH0, OUT_ETH0, IN_POD, OUT_POD };

/* A packet by names, so that one row serves both families. */
struct pkt {
	enum who src;
	uint16_t sport;
	enum who dst;
	uint16_t dport;
	uint8_t flags; /* of TCP */
	uint8_t ttl;   /* 0: 64 */
	uint8_t first; /* of several fragments */
	uint8_t later; /* a later fragment */
	uint8_t df;
	uint16_t bytes; /* from the IP header on; 0: what the shape says */
};

/* Where a forwarded packet goes: its Ethernet header. */
struct via {
	uint8_t dmac, smac; /* 0, 0: as they were, the kernel asks for the neighbour */
};
#define NODE2	 { MAC_NODE2, MAC_ETH0 }
#define NODE3	 { MAC_NODE3, MAC_ETH1 }
#define GATEWAY	 { MAC_GATEWAY, MAC_ETH0 }
#define FROM_POD { MAC_POD1, MAC_POD1 }

enum end {
	END = 0,   /* of the row */
	UNTOUCHED, /* passed as it came */
	PASSED,	   /* passed, as .out has it */
	FORWARDED, /* out by .via, as .out has it, its time to live one less */
	DROPPED,   /* for .reason */
	REJECTED,  /* for .reason; the sender gets an answer: a RST, "port unreachable" */
	EXPIRED,   /* for .reason; the sender gets "time exceeded" */
	TOO_BIG,   /* for .reason; the sender gets "too big", and .mtu */
};

struct step {
	enum edge edge;
	struct pkt in;
	enum end end;
	struct pkt out;
	struct via via;
	enum sh_reason reason;
	uint16_t mtu;
	bool tc_only; /* XDP leaves it to TC, bit for bit */
};

struct row {
	const char *sentence;
	struct step steps[5];
};

#define PKT(...)  { __VA_ARGS__ }
#define TO(...)	  .out = { __VA_ARGS__ }
#define WHY(word) .reason = SH_REASON_##word

/* clang-format off */
static const struct row rows[] = {
	{ "ClusterIP from a pod to a backend here, and back",
	  { { IN_POD,  PKT(POD, 20000, VIP_WEB, 80, TCP_SYN), PASSED,
	      TO(POD, 20000, BE_WEB, 8080, TCP_SYN) },
	    { OUT_POD, PKT(BE_WEB, 8080, POD, 20000, TCP_SYN | TCP_ACK), PASSED,
	      TO(VIP_WEB, 80, POD, 20000, TCP_SYN | TCP_ACK) },
	    { IN_POD,  PKT(POD, 20000, VIP_WEB, 80, TCP_ACK), PASSED,
	      TO(POD, 20000, BE_WEB, 8080, TCP_ACK) },
	    { OUT_POD, PKT(BE_WEB, 8080, POD, 20000, TCP_ACK), PASSED,
	      TO(VIP_WEB, 80, POD, 20000, TCP_ACK) } } },
	{ "ClusterIP from a pod to a backend elsewhere keeps the pod's address",
	  { { IN_POD,  PKT(POD, 40000, VIP_FAR, 80, TCP_SYN), PASSED,
	      TO(POD, 40000, BE_FAR, 8080, TCP_SYN) },
	    { OUT_ETH0, PKT(POD, 40000, BE_FAR, 8080, TCP_SYN), UNTOUCHED },
	    { IN_ETH0, PKT(BE_FAR, 8080, POD, 40000, TCP_SYN | TCP_ACK), UNTOUCHED },
	    { OUT_POD, PKT(BE_FAR, 8080, POD, 40000, TCP_SYN | TCP_ACK), PASSED,
	      TO(VIP_FAR, 80, POD, 40000, TCP_SYN | TCP_ACK) } } },
	{ "nodePort to a backend here: the destination alone, and back",
	  { { IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_SYN), PASSED,
	      TO(CLIENT, 40000, BE_WEB, 8080, TCP_SYN) },
	    { OUT_POD, PKT(CLIENT, 40000, BE_WEB, 8080, TCP_SYN), UNTOUCHED },
	    { OUT_ETH0, PKT(BE_WEB, 8080, CLIENT, 40000, TCP_SYN | TCP_ACK), PASSED,
	      TO(NODE, 30080, CLIENT, 40000, TCP_SYN | TCP_ACK) },
	    { IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_ACK), PASSED,
	      TO(CLIENT, 40000, BE_WEB, 8080, TCP_ACK) },
	    { OUT_ETH0, PKT(BE_WEB, 8080, CLIENT, 40000, TCP_ACK), PASSED,
	      TO(NODE, 30080, CLIENT, 40000, TCP_ACK) } } },
	{ "nodePort to a backend elsewhere: both addresses, and back",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_SYN), NODE2 },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20000, TCP_SYN | TCP_ACK), FORWARDED,
	      TO(NODE, 30081, CLIENT, 20000, TCP_SYN | TCP_ACK), GATEWAY },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_ACK), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_ACK), NODE2 },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20000, TCP_ACK), FORWARDED,
	      TO(NODE, 30081, CLIENT, 20000, TCP_ACK), GATEWAY } } },
	{ "nodePort to a backend behind another device takes that one's address",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30082, TCP_SYN), FORWARDED,
	      TO(NODE_B, 20000, BE_BEYOND, 8080, TCP_SYN), NODE3, .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30082, TCP_SYN), FORWARDED,
	      TO(NODE_B, 20000, BE_BEYOND, 8080, TCP_SYN), NODE3, .tc_only = true } } },
	{ "nodePort to a backend whose neighbour is not known yet: the kernel asks",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30083, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_UNMET, 8080, TCP_SYN), .tc_only = true } } },
	{ "nodePort from a pod keeps the pod's address",
	  { { IN_POD,  PKT(POD, 40000, NODE, 30081, TCP_SYN), PASSED,
	      TO(POD, 40000, BE_FAR, 8080, TCP_SYN) },
	    { OUT_POD, PKT(BE_FAR, 8080, POD, 40000, TCP_SYN | TCP_ACK), PASSED,
	      TO(NODE, 30081, POD, 40000, TCP_SYN | TCP_ACK) } } },
	{ "ClusterIP from outside to a backend elsewhere is masqueraded",
	  { { IN_ETH0, PKT(CLIENT, 20000, VIP_FAR, 80, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_SYN), NODE2 },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20000, TCP_SYN | TCP_ACK), FORWARDED,
	      TO(VIP_FAR, 80, CLIENT, 20000, TCP_SYN | TCP_ACK), GATEWAY } } },
	{ "ClusterIP from outside to a backend here is masqueraded, too",
	  { { IN_ETH0, PKT(CLIENT, 20000, VIP_WEB, 80, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_WEB, 8080, TCP_SYN), .tc_only = true },
	    { IN_POD, PKT(BE_WEB, 8080, NODE, 20000, TCP_SYN | TCP_ACK), FORWARDED,
	      TO(VIP_WEB, 80, CLIENT, 20000, TCP_SYN | TCP_ACK), GATEWAY } } },
	{ "a pod that reaches itself is masqueraded",
	  { { IN_POD, PKT(BE_SELF, 20000, VIP_SELF, 80, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_SELF, 8080, TCP_SYN) },
	    { IN_POD, PKT(BE_SELF, 8080, NODE, 20000, TCP_SYN | TCP_ACK), FORWARDED,
	      TO(VIP_SELF, 80, BE_SELF, 20000, TCP_SYN | TCP_ACK) } } },
	{ "two ports of a client are two flows",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_SYN), NODE2 },
	    { IN_ETH0, PKT(CLIENT, 20001, NODE, 30081, TCP_SYN), FORWARDED,
	      TO(NODE, 20001, BE_FAR, 8080, TCP_SYN), NODE2 },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20001, TCP_SYN | TCP_ACK), FORWARDED,
	      TO(NODE, 30081, CLIENT, 20001, TCP_SYN | TCP_ACK), GATEWAY } } },
	{ "packets of no Service come out as they came",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 22, TCP_SYN), UNTOUCHED },
	    { IN_ETH0, PKT(CLIENT, 20000, OTHER, 80, TCP_SYN), UNTOUCHED },
	    { OUT_ETH0, PKT(NODE, 30080, CLIENT, 20000, TCP_ACK), UNTOUCHED },
	    { IN_POD, PKT(POD, 20000, BE_FAR, 8080, TCP_SYN), UNTOUCHED },
	    { OUT_POD, PKT(POD, 20000, BE_WEB, 8080, TCP_SYN), UNTOUCHED } } },
	{ "a backend's own connections are not translated",
	  { { OUT_ETH0, PKT(BE_WEB, 8080, CLIENT, 20000, TCP_SYN), UNTOUCHED },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20000, TCP_SYN | TCP_ACK), UNTOUCHED },
	    { IN_POD, PKT(BE_WEB, 8080, CLIENT, 20000, TCP_ACK), UNTOUCHED } } },
	{ "a nodePort is served at the addresses for it alone",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE_B, 30080, TCP_SYN), UNTOUCHED },
	    { IN_ETH0, PKT(CLIENT, 20000, BE_WEB, 30080, TCP_SYN), UNTOUCHED } } },
	{ "a port that a known ClusterIP does not have is rejected",
	  { { IN_POD, PKT(POD, 20000, VIP_WEB, 81, TCP_SYN), REJECTED, WHY(UNKNOWN_PORT) },
	    { IN_ETH0, PKT(CLIENT, 20000, VIP_WEB, 8080, TCP_SYN), REJECTED, WHY(UNKNOWN_PORT),
	      .tc_only = true } } },
	{ "a Service without endpoints rejects",
	  { { IN_POD, PKT(POD, 20000, VIP_EMPTY, 80, TCP_SYN), REJECTED, WHY(NO_BACKEND) },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30084, TCP_SYN), REJECTED, WHY(NO_BACKEND),
	      .tc_only = true } } },
	{ "an address of the Service CIDR that no Service has",
	  { { IN_POD, PKT(POD, 20000, VIP_NOBODY, 80, TCP_SYN), DROPPED, WHY(UNALLOCATED) },
	    { IN_ETH0, PKT(CLIENT, 20000, VIP_NOBODY, 80, TCP_SYN), DROPPED, WHY(UNALLOCATED) } } },
	{ "policy Local and no endpoint here",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30085, TCP_SYN), DROPPED, WHY(NO_LOCAL) },
	    { IN_POD, PKT(POD, 20000, VIP_LOCAL, 80, TCP_SYN), PASSED,
	      TO(POD, 20000, BE_LOCAL, 8080, TCP_SYN) } } },
	{ "the last hop of a forwarded flow's time to live",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN, .ttl = 2), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_SYN, .ttl = 2), NODE2 },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN, .ttl = 1), EXPIRED, WHY(TTL),
	      .tc_only = true },
	    { IN_ETH0, PKT(BE_FAR, 8080, NODE, 20000, TCP_SYN | TCP_ACK, .ttl = 1), EXPIRED,
	      WHY(TTL), .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_SYN, .ttl = 1), PASSED,
	      TO(CLIENT, 40000, BE_WEB, 8080, TCP_SYN, .ttl = 1) } } },
	{ "the last hop of a fragment's time to live: told of the first one alone",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN, .first = 1, .ttl = 1), EXPIRED,
	      WHY(TTL), .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 0, NODE, 0, .later = 1, .ttl = 1), DROPPED, WHY(TTL),
	      .tc_only = true } } },
	{ "as much as the way out takes, and a byte more",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30087, TCP_SYN, .df = 1, .bytes = 1301), TOO_BIG,
	      WHY(TOO_BIG), .mtu = MTU_NARROW, .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30087, TCP_SYN, .df = 1, .bytes = 1300), FORWARDED,
	      TO(NODE, 20000, BE_NARROW, 8080, TCP_SYN, .df = 1, .bytes = 1300), NODE2 },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30087, TCP_ACK, .df = 1, .bytes = 1301), TOO_BIG,
	      WHY(TOO_BIG), .mtu = MTU_NARROW, .tc_only = true },
	    { IN_ETH0, PKT(BE_NARROW, 8080, NODE, 20000, TCP_ACK, .df = 1, .bytes = 1501), TOO_BIG,
	      WHY(TOO_BIG), .mtu = 1500, .tc_only = true },
	    { IN_ETH0, PKT(BE_NARROW, 8080, NODE, 20000, TCP_ACK, .df = 1, .bytes = 1500), FORWARDED,
	      TO(NODE, 30087, CLIENT, 20000, TCP_ACK, .df = 1, .bytes = 1500), GATEWAY } } },
	{ "more than the way out takes, and nobody knows its neighbour yet",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30083, TCP_SYN, .df = 1, .bytes = 1500), FORWARDED,
	      TO(NODE, 20000, BE_UNMET, 8080, TCP_SYN, .df = 1, .bytes = 1500), .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 20000, NODE, 30083, TCP_SYN, .df = 1, .bytes = 1501), TOO_BIG,
	      WHY(TOO_BIG), .mtu = 1500, .tc_only = true } } },
	{ "what the stack forwards is its business",
	  { { IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_SYN, .df = 1, .bytes = 1600), PASSED,
	      TO(CLIENT, 40000, BE_WEB, 8080, TCP_SYN, .df = 1, .bytes = 1600) } } },
	{ "fragments follow their first one",
	  { { IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_SYN, .first = 1), PASSED,
	      TO(CLIENT, 40000, BE_WEB, 8080, TCP_SYN, .first = 1), .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 0, NODE, 0, .later = 1), PASSED,
	      TO(CLIENT, 0, BE_WEB, 0, .later = 1), .tc_only = true },
	    { OUT_ETH0, PKT(BE_WEB, 8080, CLIENT, 40000, TCP_ACK, .first = 1), PASSED,
	      TO(NODE, 30080, CLIENT, 40000, TCP_ACK, .first = 1) },
	    { OUT_ETH0, PKT(BE_WEB, 0, CLIENT, 0, .later = 1), PASSED,
	      TO(NODE, 0, CLIENT, 0, .later = 1) } } },
	{ "fragments of a masqueraded flow",
	  { { IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN, .first = 1), FORWARDED,
	      TO(NODE, 20000, BE_FAR, 8080, TCP_SYN, .first = 1), NODE2, .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 0, NODE, 0, .later = 1), FORWARDED,
	      TO(NODE, 0, BE_FAR, 0, .later = 1), NODE2, .tc_only = true } } },
	{ "a later fragment to a virtual address, and to anything else",
	  { { IN_ETH0, PKT(CLIENT, 0, VIP_WEB, 0, .later = 1), DROPPED, WHY(FRAGMENT),
	      .tc_only = true },
	    { IN_ETH0, PKT(CLIENT, 0, NODE, 0, .later = 1), UNTOUCHED },
	    { IN_POD, PKT(POD, 0, BE_WEB, 0, .later = 1), UNTOUCHED } } },
};
/* clang-format on */

/* ---- shapes ----------------------------------------------------------------------- */

/* Tuned: so that the translated packet's checksum comes out as zero. */
static const struct shape {
	const char *name;
	uint8_t vlans, extras;
	uint16_t payload;
	bool no_csum, tuned, v4_only, v6_only, udp_only;
} shapes[] = {
	{ .name = "plain", .payload = 32 },
	{ .name = "no payload" },
	{ .name = "odd length", .payload = 33 },
	{ .name = "one VLAN tag", .vlans = 1, .payload = 8 },
	{ .name = "two VLAN tags", .vlans = 2, .payload = 8 },
	{ .name = "IPv4 options", .extras = EXTRA_OPTIONS, .payload = 8, .v4_only = true },
	{ .name = "two VLAN tags and IPv4 options",
	  .vlans = 2,
	  .extras = EXTRA_OPTIONS,
	  .payload = 8,
	  .v4_only = true },
	{ .name = "hop-by-hop header", .extras = EXTRA_HOP, .payload = 8, .v6_only = true },
	{ .name = "destination options", .extras = EXTRA_DEST, .payload = 8, .v6_only = true },
	{ .name = "routing header", .extras = EXTRA_ROUTING, .payload = 8, .v6_only = true },
	{ .name = "every extension header",
	  .vlans = 1,
	  .extras = EXTRA_HOP | EXTRA_DEST | EXTRA_ROUTING | EXTRA_FRAGMENT,
	  .payload = 8,
	  .v6_only = true },
	{ .name = "no UDP checksum",
	  .payload = 8,
	  .no_csum = true,
	  .v4_only = true,
	  .udp_only = true },
	{ .name = "checksum that becomes zero", .payload = 8, .tuned = true },
};

/* One row under one set of circumstances. */
struct run {
	const struct row *row;
	struct world *world;
	bool v6, xdp;
	uint8_t proto;
	const struct shape *shape;
	char name[160];
};

/* From the IP header on, without payload. */
static size_t header_bytes(struct spec spec)
{
	struct packet packet;
	struct parsed parsed;

	spec.payload = 0;
	packet_build(&packet, &spec);
	assert_true(packet_parse(&packet, &parsed));
	return packet.len - parsed.l3;
}

static struct spec spec_of(const struct run *r, const struct pkt *pkt)
{
	struct spec spec = {
		.src = who_addr(pkt->src, r->v6),
		.dst = who_addr(pkt->dst, r->v6),
		.sport = pkt->sport,
		.dport = pkt->dport,
		.proto = r->proto,
		.tcp_flags = pkt->flags,
		.ttl = pkt->ttl,
		.vlans = r->shape->vlans,
		.extras = r->shape->extras,
		.payload = r->shape->payload,
		.no_csum = r->shape->no_csum,
		.dont_fragment = pkt->df,
		.dmac = 0xd0,
		.smac = 0xd1,
	};

	if (pkt->first || pkt->later)
		spec.extras |= r->v6 ? EXTRA_FRAGMENT : 0;
	spec.more_fragments = pkt->first;
	if (pkt->later) {
		spec.frag_offset = 64;
		spec.payload = 40;
	}
	if (pkt->bytes)
		spec.payload = (uint16_t)(pkt->bytes - header_bytes(spec));
	return spec;
}

/* The packet of @step, and what is to become of it. */
static void build_step(const struct run *r, const struct step *step, struct packet *in,
		       struct packet *out)
{
	bool changes = step->end == PASSED || step->end == FORWARDED;
	struct spec from = spec_of(r, &step->in), to = changes ? spec_of(r, &step->out) : from;
	struct parsed parsed;

	if (step->end == FORWARDED) {
		to.ttl = (uint8_t)((to.ttl ? to.ttl : 64) - 1);
		if (step->via.dmac) {
			to.dmac = step->via.dmac;
			to.smac = step->via.smac;
		}
	}
	packet_build(out, &to);
	if (r->shape->tuned && !from.frag_offset) {
		assert_true(packet_parse(out, &parsed));
		from.tail = to.tail = packet_l4_csum(out, &parsed);
		packet_build(out, &to);
		assert_int_equal(packet_get16(out, packet_l4_csum_at(&parsed)),
				 r->proto == IPPROTO_UDP ? 0xffff : 0);
	}
	packet_build(in, &from);
}

/* ---- running a row ------------------------------------------------------------------ */

static void show(const struct run *r, size_t step, const struct packet *in,
		 const struct packet *want, const struct packet *got)
{
	(void)fprintf(stderr, "%s, %s, step %zu\n", r->name, r->shape->name, step + 1);
	packet_print("in", in);
	packet_print("want", want);
	packet_print("got", got);
}

#define expect(r, step_nr, in, want, got, condition)                      \
	do {                                                              \
		if (!(condition)) {                                       \
			show(r, step_nr, in, want, got);                  \
			fail_msg("%s: %s", (r)->shape->name, #condition); \
		}                                                         \
	} while (0)

/* What the step ended with, by whatever hooks stand there: a TC code, and the packet. */
struct ended {
	int code;
	struct packet out;
	bool by_xdp;
};

static bool is_answered(enum end end)
{
	return end == REJECTED || end == EXPIRED || end == TOO_BIG;
}

/* By an ICMP error, not by a RST? */
static bool is_error(const struct run *r, enum end end)
{
	return is_answered(end) && (end != REJECTED || r->proto != IPPROTO_TCP);
}

static void build_error(const struct run *r, const struct step *step, const struct packet *in,
			struct packet *out)
{
	static const struct icmp_error errors[][2] = {
		[REJECTED] = { { 3, 3, 0 }, { 1, 4, 0 } },
		[EXPIRED] = { { 11, 0, 0 }, { 3, 0, 0 } },
		[TOO_BIG] = { { 3, 4, 0 }, { 2, 0, 0 } },
	};
	struct icmp_error error = errors[step->end][r->v6];

	error.mtu = step->mtu;
	icmp_error_build(out, in, &error);
}

static void run_edge(const struct run *r, const struct step *step, const struct packet *in,
		     struct ended *ended)
{
	struct world world = *r->world;
	enum hook hook =
		step->edge == OUT_ETH0 || step->edge == OUT_POD ? HOOK_EGRESS : HOOK_INGRESS;
	uint32_t ifindex =
		step->edge == IN_ETH0 || step->edge == OUT_ETH0 ? world.eth0 : world.pod1;
	struct packet up = *in;
	int code;

	/* To cut a packet short, the kernel gives up skb->csum; the check does not know. */
	if (is_answered(step->end) && (!is_error(r, step->end) || in->len > ICMP_ERROR_QUOTE_MAX))
		world.csum_complete = false;
	ended->by_xdp = false;
	if (r->xdp && step->edge == IN_ETH0) {
		code = hook_run(&world, HOOK_XDP, ifindex, in, &up);
		ended->by_xdp = code != XDP_PASS || !packet_eq(in, &up);
		if (code == XDP_TX || code == XDP_DROP) {
			ended->code = code == XDP_TX ? TC_ACT_REDIRECT : TC_ACT_SHOT;
			ended->out = up;
			return;
		}
		assert_int_equal(code, XDP_PASS);
	}
	ended->code = hook_run(&world, hook, ifindex, &up, &ended->out);
}

static int code_of(enum end end)
{
	switch (end) {
	case DROPPED:
		return TC_ACT_SHOT;
	case FORWARDED:
	case REJECTED:
	case EXPIRED:
	case TOO_BIG:
		return TC_ACT_REDIRECT;
	default:
		return TC_PASS;
	}
}

/* A translated packet is counted in its flow: once, whatever hooks it went through. */
static void check_counters(const struct run *r, size_t nr, const struct packet *in)
{
	const struct step *step = &r->row->steps[nr];
	bool egress = step->edge == OUT_ETH0 || step->edge == OUT_POD;
	struct sh_flow *flow;
	uint32_t packets = 0;
	uint64_t bytes = 0;
	struct packet was, out;

	for (size_t i = 0; i <= nr; i++) {
		const struct step *s = &r->row->steps[i];

		if (s->edge != step->edge || (s->end != PASSED && s->end != FORWARDED) ||
		    s->in.src != step->in.src || s->in.sport != step->in.sport ||
		    s->in.dst != step->in.dst || s->in.dport != step->in.dport)
			continue;
		build_step(r, s, &was, &out);
		packets++;
		bytes += was.len;
	}
	flow = flow_of(r->world, in, egress ? SH_EGRESS : SH_INGRESS);
	assert_non_null(flow);
	assert_int_equal(flow->packets, packets);
	assert_int_equal(flow->bytes, bytes);
	if (step->end == FORWARDED && step->via.dmac)
		assert_int_equal(flow->ifindex,
				 step->via.smac == MAC_ETH1 ? r->world->eth1 : r->world->eth0);
}

/* A RST from the address that was refused, back to where the packet came from. */
static bool is_rst(const struct run *r, const struct packet *in, const struct packet *out)
{
	size_t bytes = r->v6 ? 16 : 4, addrs;
	struct parsed was, is;

	assert_true(packet_parse(in, &was));
	if (memcmp(in->b, out->b + 6, 6) != 0 || memcmp(in->b + 6, out->b, 6) != 0)
		return false;
	addrs = was.l3 + (r->v6 ? 8 : 12);
	if (out->len < addrs + 2 * bytes ||
	    memcmp(in->b + addrs, out->b + addrs + bytes, bytes) != 0 ||
	    memcmp(in->b + addrs + bytes, out->b + addrs, bytes) != 0)
		return false;
	return packet_csums_hold(out) && packet_parse(out, &is) && is.proto == IPPROTO_TCP &&
	       out->b[is.l4 + 13] == (TCP_RST | TCP_ACK) &&
	       packet_get16(out, is.l4) == packet_get16(in, was.l4 + 2) &&
	       packet_get16(out, is.l4 + 2) == packet_get16(in, was.l4);
}

static void run_step(const struct run *r, size_t nr)
{
	const struct step *step = &r->row->steps[nr];
	bool refused = step->end == DROPPED || is_answered(step->end);
	uint64_t drops = drops_all(r->world), of_reason = drops_of(r->world, step->reason);
	struct packet in, want;
	struct ended got;

	build_step(r, step, &in, &want);
	run_edge(r, step, &in, &got);
	if (is_error(r, step->end))
		build_error(r, step, &in, &want);
	expect(r, nr, &in, &want, &got.out, got.code == code_of(step->end));
	if (step->end == REJECTED && !is_error(r, step->end))
		expect(r, nr, &in, &want, &got.out, is_rst(r, &in, &got.out));
	else if (step->end != DROPPED)
		expect(r, nr, &in, &want, &got.out, packet_eq(&got.out, &want));
	if (r->xdp && step->edge == IN_ETH0 && step->end != UNTOUCHED)
		expect(r, nr, &in, &want, &got.out, got.by_xdp != step->tc_only);
	assert_int_equal(drops_all(r->world) - drops, refused);
	if (refused)
		assert_int_equal(drops_of(r->world, step->reason) - of_reason, 1);
	if ((step->end == PASSED || step->end == FORWARDED) && !step->in.later)
		check_counters(r, nr, &in);
	if (step->end == UNTOUCHED && !step->in.later)
		assert_null(flow_of(r->world, &in, SH_INGRESS));
}

static bool applies(const struct run *r, const struct shape *shape)
{
	return !(shape->v4_only && r->v6) && !(shape->v6_only && !r->v6) &&
	       !(shape->udp_only && r->proto != IPPROTO_UDP);
}

static void run_row(void **state)
{
	struct run *r = *state;

	for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
		r->shape = &shapes[s];
		if (!applies(r, r->shape))
			continue;
		flows_forget(r->world);
		for (size_t i = 0; i < ARRAY_LEN(r->row->steps) && r->row->steps[i].end; i++)
			run_step(r, i);
	}
}

/* ---- cut short ------------------------------------------------------------------------ */

/* Every way in: the packet whole, and what is to become of it. */
static const struct step whole[] = {
	{ IN_ETH0, PKT(CLIENT, 40000, NODE, 30080, TCP_SYN), PASSED,
	  TO(CLIENT, 40000, BE_WEB, 8080, TCP_SYN) },
	{ IN_ETH0, PKT(CLIENT, 20000, NODE, 30081, TCP_SYN), FORWARDED,
	  TO(NODE, 20000, BE_FAR, 8080, TCP_SYN), NODE2 },
	{ IN_POD, PKT(POD, 20000, VIP_WEB, 80, TCP_SYN), PASSED,
	  TO(POD, 20000, BE_WEB, 8080, TCP_SYN) },
	{ OUT_POD, PKT(BE_WEB, 8080, POD, 20000, TCP_SYN | TCP_ACK), PASSED,
	  TO(VIP_WEB, 80, POD, 20000, TCP_SYN | TCP_ACK) },
};

static void run_cut(const struct run *r, const struct step *step)
{
	size_t header = r->proto == IPPROTO_TCP ? 20 : 8;
	struct packet in, want, cut;
	struct parsed parsed;
	struct ended got;

	build_step(r, step, &in, &want);
	assert_true(packet_parse(&in, &parsed));
	for (size_t len = 15; len < in.len; len++) {
		cut = in;
		cut.len = want.len = len;
		run_edge(r, step, &cut, &got);
		if (len < parsed.l4 + header) {
			expect(r, 0, &cut, &cut, &got.out,
			       got.code == TC_PASS || got.code == HOOK_REFUSED);
			expect(r, 0, &cut, &cut, &got.out, packet_eq(&got.out, &cut));
		} else {
			expect(r, 0, &cut, &want, &got.out, got.code == code_of(step->end));
			expect(r, 0, &cut, &want, &got.out, packet_eq(&got.out, &want));
		}
	}
}

static void run_truncated(void **state)
{
	struct run *r = *state;

	for (size_t s = 0; s < ARRAY_LEN(shapes); s++) {
		r->shape = &shapes[s];
		if (!applies(r, r->shape))
			continue;
		flows_forget(r->world);
		for (size_t i = 0; i < ARRAY_LEN(whole); i++)
			run_cut(r, &whole[i]);
	}
}

/* ---- main -------------------------------------------------------------------------------- */

static int open_world(void **state)
{
	struct run *r = *state;

	if (r->world->ready) /* one for all: a row begins with an empty flow table */
		return 0;
	world_network(r->world);
	world_settings(r->world);
	world_open(r->world, DATAPLANE_SCRATCH);
	publish_yaml(r->world, scene);
	r->world->ready = true;
	return 0;
}

static bool has_uplink(const struct row *row)
{
	for (size_t i = 0; i < ARRAY_LEN(row->steps) && row->steps[i].end; i++) {
		if (row->steps[i].edge == IN_ETH0)
			return true;
	}
	return false;
}

#define CASES_MAX ((ARRAY_LEN(rows) + 1) * 8)

struct cases {
	struct run runs[CASES_MAX];
	struct CMUnitTest tests[CASES_MAX];
	size_t n;
};

static void add_cases(struct cases *cases, struct world *world, const struct row *row)
{
	for (int i = 0; i < 8; i++) {
		struct run *r = &cases->runs[cases->n];

		*r = (struct run){ .row = row,
				   .world = world,
				   .v6 = i & 1,
				   .proto = i & 2 ? IPPROTO_UDP : IPPROTO_TCP,
				   .xdp = i & 4 };
		if (r->xdp && row && !has_uplink(row))
			continue;
		(void)snprintf(r->name, sizeof(r->name), "%s (%s, %s, %s)",
			       row ? row->sentence : "a packet cut short anywhere",
			       r->v6 ? "IPv6" : "IPv4", r->proto == IPPROTO_TCP ? "TCP" : "UDP",
			       r->xdp ? "XDP and TC" : "TC");
		cases->tests[cases->n++] = (struct CMUnitTest){
			.name = r->name,
			.test_func = row ? run_row : run_truncated,
			.setup_func = open_world,
			.initial_state = r,
		};
	}
}

int main(void)
{
	struct cases *cases = calloc(1, sizeof(*cases));
	struct world world = { 0 };
	int ret;

	if (!cases)
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		add_cases(cases, &world, &rows[i]);
	add_cases(cases, &world, NULL);
	ret = world_run_tests("datapath", cases->tests, cases->n);
	world_close(&world);
	free(cases);
	return ret;
}
