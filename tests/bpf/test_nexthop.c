/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A masqueraded flow's next hop is kept in it, until somebody says that a route has changed. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/world.h"

/* The epoch advances by itself every two seconds: a try in which it did proves nothing. */
#define TRIES 10

static const char scene[] = "apiVersion: v1\n"
			    "kind: Service\n"
			    "metadata: {name: far}\n"
			    "spec:\n"
			    "  type: NodePort\n"
			    "  clusterIP: 10.96.0.20\n"
			    "  clusterIPs: [10.96.0.20, \"fd00:10:96::20\"]\n"
			    "  ipFamilies: [IPv4, IPv6]\n"
			    "  ipFamilyPolicy: RequireDualStack\n"
			    "  ports: [{port: 80, nodePort: 30081}]\n"
			    "---\n"
			    "apiVersion: discovery.k8s.io/v1\n"
			    "kind: EndpointSlice\n"
			    "metadata: {name: far-4, labels: {kubernetes.io/service-name: far}}\n"
			    "addressType: IPv4\n"
			    "ports: [{port: 8080}]\n"
			    "endpoints: [{addresses: [10.244.2.20], nodeName: node-2}]\n"
			    "---\n"
			    "apiVersion: discovery.k8s.io/v1\n"
			    "kind: EndpointSlice\n"
			    "metadata: {name: far-6, labels: {kubernetes.io/service-name: far}}\n"
			    "addressType: IPv6\n"
			    "ports: [{port: 8080}]\n"
			    "endpoints: [{addresses: [\"fd00:2::20\"], nodeName: node-2}]\n";

struct family_case {
	const char *client, *node, *net, *node2, *gateway;
};

static const struct family_case families[] = {
	{ "198.51.100.7", "192.0.2.1", "10.244.2.0/24", "192.0.2.2", "192.0.2.254" },
	{ "2001:db8:c::7", "2001:db8::1", "fd00:2::/64", "2001:db8::2", "2001:db8::fe" },
};

static int open_world(void **state)
{
	struct world *world = *state;

	world_network(world);
	world_settings(world);
	world_open(world, DATAPLANE_SCRATCH);
	publish_yaml(world, scene);
	return 0;
}

static int close_world(void **state)
{
	world_close(*state);
	return 0;
}

static void route(const struct family_case *c, const char *via)
{
	run("ip route replace %s via %s", c->net, via);
}

/* @return the last byte of the MAC address that a client's packet is sent to */
static uint8_t sent_to(const struct world *world, const struct family_case *c, enum hook hook)
{
	struct packet in, out;

	packet_build(&in, &(struct spec){ .src = addr_of(c->client),
					  .dst = addr_of(c->node),
					  .sport = 20000,
					  .dport = 30081,
					  .proto = IPPROTO_TCP,
					  .tcp_flags = TCP_SYN,
					  .dmac = 0xd0,
					  .smac = 0xd1 });
	assert_int_equal(hook_run(world, hook, world->eth0, &in, &out),
			 hook == HOOK_XDP ? XDP_TX : TC_ACT_REDIRECT);
	return out.b[5];
}

static void check(struct world *world, const struct family_case *c, enum hook hook)
{
	uint8_t kept = 0;

	for (int i = 0; i < TRIES && kept != MAC_NODE2; i++) {
		route(c, c->node2);
		dataplane_route_changed(world->dp);
		assert_int_equal(sent_to(world, c, hook), MAC_NODE2);
		route(c, c->gateway);
		kept = sent_to(world, c, hook);
	}
	assert_int_equal(kept, MAC_NODE2);
	dataplane_route_changed(world->dp);
	assert_int_equal(sent_to(world, c, hook), MAC_GATEWAY);
}

static void a_changed_route_is_followed_at_once(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < 2; i++) {
		check(world, &families[i], HOOK_INGRESS);
		check(world, &families[i], HOOK_XDP);
	}
}

int main(void)
{
	struct world world = { 0 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(a_changed_route_is_followed_at_once,
							 open_world, close_world, &world),
	};

	return world_run_tests("nexthop", tests, 1);
}
