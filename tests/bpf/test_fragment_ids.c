/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments of two packets, from one address to one address, told apart by their identification. */
#include <netinet/in.h>
#include <string.h>

#include "bpf/world.h"

#define TC_PASS (-1)

#define SERVICE(name, last, port)                                                        \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec:\n"        \
	"  type: NodePort\n  clusterIP: 10.96.0." last "\n"                              \
	"  clusterIPs: [10.96.0." last ", 'fd00:10:96::" last "']\n"                     \
	"  ipFamilyPolicy: RequireDualStack\n  ipFamilies: [IPv4, IPv6]\n"               \
	"  ports: [{port: 53, protocol: UDP, nodePort: " port "}]\n"                     \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                    \
	"metadata: {name: " name "-4, labels: {kubernetes.io/service-name: " name "}}\n" \
	"addressType: IPv4\nports: [{port: 5353, protocol: UDP}]\n"                      \
	"endpoints: [{addresses: [10.244.1." last "], nodeName: node-1}]\n"              \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                    \
	"metadata: {name: " name "-6, labels: {kubernetes.io/service-name: " name "}}\n" \
	"addressType: IPv6\nports: [{port: 5353, protocol: UDP}]\n"                      \
	"endpoints: [{addresses: ['fd00:1::" last "'], nodeName: node-1}]\n"

static const char scene[] = SERVICE("one", "10", "30080") SERVICE("two", "20", "30081");

struct family_case {
	const char *client, *node, *one, *two;
	bool v6;
};

static const struct family_case families[] = {
	{ "198.51.100.7", "192.0.2.1", "10.244.1.10", "10.244.1.20", false },
	{ "2001:db8:c::7", "2001:db8::1", "fd00:1::10", "fd00:1::20", true },
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

/* A fragment of the packet @id: its first one, to @port, or a later one, which has none. */
static void check(const struct family_case *c, uint16_t id, uint16_t port, const char *backend)
{
	const struct sh_addr want = addr_of(backend);
	struct packet in, out;
	struct parsed parsed;
	struct sh_addr got;

	packet_build(&in, &(struct spec){ .src = addr_of(c->client),
					  .dst = addr_of(c->node),
					  .sport = 40000,
					  .dport = port,
					  .proto = IPPROTO_UDP,
					  .extras = c->v6 ? EXTRA_FRAGMENT : 0,
					  .payload = 64,
					  .frag_offset = port ? 0 : 72,
					  .more_fragments = port != 0 });
	assert_true(packet_layout_at(&in, 14, &parsed));
	packet_put16(&in, c->v6 ? 14 + 40 + 6 : 14 + 4, id);
	if (!c->v6)
		packet_put16(&in, 14 + 10, packet_ip4_csum(&in, &parsed));
	assert_int_equal(hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out), TC_PASS);
	assert_true(packet_layout_at(&out, 14, &parsed));
	got = packet_addr(&out, &parsed, true);
	assert_memory_equal(&got, &want, sizeof(got));
}

static void each_follows_its_own(void **state)
{
	const struct family_case *c;

	for (size_t i = 0; i < 2; i++) {
		c = &families[i];
		check(c, 1001, 30080, c->one);
		check(c, 1002, 30081, c->two);
		check(c, 1001, 0, c->one);
		check(c, 1002, 0, c->two);
		check(c, 1001, 0, c->one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_follows_its_own, open_world, close_world),
	};

	return world_run_tests("fragment ids", tests, sizeof(tests) / sizeof(tests[0]));
}
