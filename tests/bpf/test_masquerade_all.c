/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --masquerade-all: whoever comes by a Service shows the node's address, backends here included. */
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/world.h"

static const char scene[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
	"  type: NodePort\n  clusterIP: 10.96.0.10\n  clusterIPs: [10.96.0.10, 'fd00:10:96::10']\n"
	"  ipFamilyPolicy: RequireDualStack\n  ipFamilies: [IPv4, IPv6]\n"
	"  ports: [{port: 80, nodePort: 30080}]\n"
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	"metadata: {name: web-4, labels: {kubernetes.io/service-name: web}}\n"
	"addressType: IPv4\nports: [{port: 8080}]\n"
	"endpoints: [{addresses: [10.244.1.10], nodeName: node-1}]\n"
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	"metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}\n"
	"addressType: IPv6\nports: [{port: 8080}]\n"
	"endpoints: [{addresses: ['fd00:1::10'], nodeName: node-1}]\n";

struct family_case {
	const char *client, *pod, *vip, *node;
};

static const struct family_case families[] = {
	{ "198.51.100.7", "10.244.1.99", "10.96.0.10", "192.0.2.1" },
	{ "2001:db8:c::7", "fd00:1::99", "fd00:10:96::10", "2001:db8::1" },
};

static struct world world;

static int open_world(void **state)
{
	world_network(&world);
	world_settings(&world);
	world.settings.masquerade_all = true;
	world_open(&world, DATAPLANE_SCRATCH);
	publish_yaml(&world, scene);
	return 0;
}

static int close_world(void **state)
{
	world_close(&world);
	return 0;
}

/* The backend sees @seen where @from calls @to. */
static void check(uint32_t device, const char *from, const char *to, uint16_t port,
		  const char *seen)
{
	const struct sh_addr want = addr_of(seen);
	struct packet in, out;
	struct parsed parsed;
	struct sh_addr got;

	packet_build(&in, &(struct spec){ .src = addr_of(from),
					  .dst = addr_of(to),
					  .sport = 20000,
					  .dport = port,
					  .proto = IPPROTO_TCP,
					  .tcp_flags = TCP_SYN });
	assert_int_equal(hook_run(&world, HOOK_INGRESS, device, &in, &out), TC_ACT_REDIRECT);
	assert_true(packet_parse(&out, &parsed));
	assert_true(packet_csums_hold(&out));
	got = packet_addr(&out, &parsed, false);
	assert_memory_equal(&got, &want, sizeof(got));
}

static void pods(void **state)
{
	for (size_t i = 0; i < 2; i++)
		check(world.pod1, families[i].pod, families[i].vip, 80, families[i].node);
}

static void clients_outside(void **state)
{
	for (size_t i = 0; i < 2; i++)
		check(world.eth0, families[i].client, families[i].node, 30080, families[i].node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pods, open_world, close_world),
		cmocka_unit_test_setup_teardown(clients_outside, open_world, close_world),
	};

	return world_run_tests("masquerade all", tests, sizeof(tests) / sizeof(tests[0]));
}
