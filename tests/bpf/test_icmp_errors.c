/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A router's error about a translated packet goes to whoever sent that, who is
 * quoted what he sent: addresses, ports and checksums, outside and inside.
 */
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/icmp_error.h"
#include "bpf/world.h"

#define TC_PASS	  (-1)
#define L3	  14
#define HERE_PORT 30080
#define FAR_PORT  30081

#define SERVICE(name, last, port, net, node)                                             \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec:\n"        \
	"  type: NodePort\n  clusterIP: 10.96.0." last "\n"                              \
	"  clusterIPs: [10.96.0." last ", 'fd00:10:96::" last "']\n"                     \
	"  ipFamilyPolicy: RequireDualStack\n  ipFamilies: [IPv4, IPv6]\n"               \
	"  ports: [{name: t, port: 80, nodePort: " port "},"                             \
	" {name: u, port: 80, protocol: UDP, nodePort: " port "}]\n"                     \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                    \
	"metadata: {name: " name "-4, labels: {kubernetes.io/service-name: " name "}}\n" \
	"addressType: IPv4\n"                                                            \
	"ports: [{name: t, port: 8080}, {name: u, port: 8080, protocol: UDP}]\n"         \
	"endpoints: [{addresses: [10.244." net "." last "], nodeName: " node "}]\n"      \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                    \
	"metadata: {name: " name "-6, labels: {kubernetes.io/service-name: " name "}}\n" \
	"addressType: IPv6\n"                                                            \
	"ports: [{name: t, port: 8080}, {name: u, port: 8080, protocol: UDP}]\n"         \
	"endpoints: [{addresses: ['fd00:" net "::" last "'], nodeName: " node "}]\n"

static const char scene[] =
	SERVICE("here", "10", "30080", "1", "node-1") SERVICE("far", "20", "30081", "2", "node-2");

struct family_case {
	const char *client, *node, *here, *router;
	bool v6;
	struct icmp_error error; /* "too big" */
};

static const struct family_case families[] = {
	{ "198.51.100.7", "192.0.2.1", "10.244.1.10", "203.0.113.1", false, { 3, 4, 1300 } },
	{ "2001:db8:c::7", "2001:db8::1", "fd00:1::10", "2001:db8:d::1", true, { 2, 0, 1300 } },
};

static struct world world;

static int open_world(void **state)
{
	world_scene(&world, scene);
	return 0;
}

static int close_world(void **state)
{
	world_close(&world);
	return 0;
}

struct end {
	const char *addr;
	uint16_t port;
};

static struct packet packet_of(uint8_t proto, uint8_t flags, struct end src, struct end dst)
{
	struct packet packet;

	packet_build(&packet, &(struct spec){ .src = addr_of(src.addr),
					      .dst = addr_of(dst.addr),
					      .sport = src.port,
					      .dport = dst.port,
					      .proto = proto,
					      .tcp_flags = flags,
					      .payload = 40 });
	return packet;
}

/* The router's error about @about. */
static struct packet error_of(const struct family_case *c, const struct packet *about)
{
	const struct sh_addr router = addr_of(c->router);
	struct packet quoted = *about, error;
	struct parsed parsed;

	/* Neither its hop nor its time to live is the matter here. */
	memset(quoted.b, 2, 12);
	quoted.b[L3 + (c->v6 ? 7 : 8)] = 60;
	if (packet_parse(&quoted, &parsed))
		packet_fix_csums(&quoted, &parsed);
	icmp_error_build(&error, &quoted, &c->error);
	assert_true(packet_layout_at(&error, L3, &parsed));
	packet_set_addr(&error, &parsed, false, &router);
	if (!c->v6)
		packet_put16(&error, L3 + 10, packet_ip4_csum(&error, &parsed));
	packet_put16(&error, parsed.l4 + 2, packet_l4_csum(&error, &parsed));
	return error;
}

/* An error about @after, which @before has become, is one about @before. */
static void check_error(const struct family_case *c, const struct packet *after,
			const struct packet *before, int want_code)
{
	const struct packet in = error_of(c, after), want = error_of(c, before);
	struct packet out;

	assert_int_equal(hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out), want_code);
	if (packet_eq(&out, &want))
		return;
	packet_print("in", &in);
	packet_print("want", &want);
	packet_print("out", &out);
	fail();
}

/* The answer of a backend here is too big on its way to the client: the backend hears of it. */
static void check_here(const struct family_case *c, uint8_t proto)
{
	const struct end client = { c->client, 40000 }, backend = { c->here, 8080 };
	struct packet in = packet_of(proto, TCP_SYN, client, (struct end){ c->node, HERE_PORT });
	struct packet reply = packet_of(proto, TCP_ACK, backend, client), out;

	assert_int_equal(hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out), TC_PASS);
	assert_int_equal(hook_run(&world, HOOK_EGRESS, world.eth0, &reply, &out), TC_PASS);
	check_error(c, &out, &reply, TC_PASS);
}

/* What the client sends is too big on its way to a backend elsewhere: the client hears of it. */
static void check_far(const struct family_case *c, uint8_t proto)
{
	struct packet in = packet_of(proto, TCP_SYN, (struct end){ c->client, 20000 },
				     (struct end){ c->node, FAR_PORT });
	struct packet out;

	assert_int_equal(hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out), TC_ACT_REDIRECT);
	check_error(c, &out, &in, TC_ACT_REDIRECT);
}

static void about_a_backends_packet(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		check_here(&families[i], IPPROTO_TCP);
		check_here(&families[i], IPPROTO_UDP);
	}
}

static void about_a_masqueraded_packet(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		check_far(&families[i], IPPROTO_TCP);
		check_far(&families[i], IPPROTO_UDP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(about_a_backends_packet, open_world, close_world),
		cmocka_unit_test_setup_teardown(about_a_masqueraded_packet, open_world,
						close_world),
	};

	return world_run_tests("ICMP errors", tests, sizeof(tests) / sizeof(tests[0]));
}
