/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sessionAffinity ClientIP, by packets from outside: what a client had is kept
 * over its Service's frontends, in the set that the packet may use, and for so
 * long. Backends are chosen at random, so that nothing else keeps one.
 */
#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bpf/world.h"

#define CLIENTS	  32
#define SECONDS	  "100"
#define NODE_PORT 30080

#define SLICE(name, family, here, elsewhere)                                      \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"             \
	"metadata: {name: " name ", labels: {kubernetes.io/service-name: web}}\n" \
	"addressType: " family "\nports: [{port: 8080}]\nendpoints:\n"            \
	"- {addresses: ['" here "'], nodeName: node-1}\n"                         \
	"- {addresses: ['" elsewhere "1'], nodeName: node-2}\n"                   \
	"- {addresses: ['" elsewhere "2'], nodeName: node-2}\n"                   \
	"- {addresses: ['" elsewhere "3'], nodeName: node-2}\n"

#define SCENE(policy)                                                                   \
	"apiVersion: v1\nkind: Service\n"                                               \
	"metadata: {name: web, annotations: {shunt.io/algorithm: random}}\nspec:\n"     \
	"  type: NodePort\n"                                                            \
	"  clusterIP: 10.96.0.10\n  clusterIPs: [10.96.0.10, 'fd00:10:96::10']\n"       \
	"  ipFamilyPolicy: RequireDualStack\n  ipFamilies: [IPv4, IPv6]\n"              \
	"  externalTrafficPolicy: " policy "\n"                                         \
	"  sessionAffinity: ClientIP\n"                                                 \
	"  sessionAffinityConfig: {clientIP: {timeoutSeconds: " SECONDS "}}\n"          \
	"  ports: [{port: 80, nodePort: 30080}]\n" SLICE("web-4", "IPv4", "10.244.1.1", \
							 "10.244.2.1")                  \
		SLICE("web-6", "IPv6", "fd00:1::1", "fd00:2::1")

static const char policy_cluster[] = SCENE("Cluster");
static const char policy_local[] = SCENE("Local");

struct family_case {
	const char *clients, *vip, *node, *here; /* clients: a format */
};

static const struct family_case families[] = {
	{ "198.51.100.%d", "10.96.0.10", "192.0.2.1", "10.244.1.1" },
	{ "2001:db8:c::%d", "fd00:10:96::10", "2001:db8::1", "fd00:1::1" },
};

static struct world world;

static int open_world(void **state)
{
	world_network(&world);
	world_settings(&world);
	world_open(&world, DATAPLANE_SCRATCH);
	return 0;
}

static int close_world(void **state)
{
	world_close(&world);
	return 0;
}

static struct sh_addr client_of(const struct family_case *c, int nr)
{
	char text[48];

	(void)snprintf(text, sizeof(text), c->clients, 10 + nr);
	return addr_of(text);
}

/* @return the backend of a new connection of client @nr to @to */
static struct sh_addr reached(const struct family_case *c, int nr, const char *to, uint16_t port)
{
	static uint16_t sport = 20000;
	struct packet in, out;
	struct parsed parsed;
	int code;

	packet_build(&in, &(struct spec){ .src = client_of(c, nr),
					  .dst = addr_of(to),
					  .sport = sport++,
					  .dport = port,
					  .proto = IPPROTO_TCP,
					  .tcp_flags = TCP_SYN });
	code = hook_run(&world, HOOK_INGRESS, world.eth0, &in, &out);
	assert_true(code == TC_ACT_REDIRECT || code == -1);
	assert_true(packet_parse(&out, &parsed));
	return packet_addr(&out, &parsed, true);
}

static bool is_same(const struct sh_addr *a, const struct sh_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Let @seconds pass, as far as client @nr's affinity goes. */
static void age(const struct family_case *c, int nr, unsigned int seconds)
{
	const struct sh_control *control = world.dp->mem[DP_MAP_CONTROL];
	const int map = world.dp->map_fd[DP_MAP_AFFINITY];
	const struct sh_addr client = client_of(c, nr);
	struct sh_affinity_key key, *from = NULL;
	struct sh_affinity value;

	while (!bpf_map_get_next_key(map, from, &key)) {
		from = &key;
		if (!is_same(&key.client, &client))
			continue;
		assert_int_equal(bpf_map_lookup_elem(map, &key, &value), 0);
		value.jiffies -= (uint64_t)seconds * control->config.hz;
		assert_int_equal(bpf_map_update_elem(map, &key, &value, BPF_EXIST), 0);
		return;
	}
	fail_msg("client %d has no affinity", nr);
}

static void shared_by_all_frontends(void **state)
{
	struct sh_addr first, then;

	publish_yaml(&world, policy_cluster);
	for (size_t i = 0; i < 2; i++) {
		for (int nr = 0; nr < CLIENTS; nr++) {
			first = reached(&families[i], nr, families[i].vip, 80);
			then = reached(&families[i], nr, families[i].node, NODE_PORT);
			assert_true(is_same(&first, &then));
		}
	}
}

static void stays_in_the_set(void **state)
{
	struct sh_addr got, here;

	publish_yaml(&world, policy_local);
	for (size_t i = 0; i < 2; i++) {
		int elsewhere = 0;

		here = addr_of(families[i].here);
		for (int nr = 0; nr < CLIENTS; nr++) {
			got = reached(&families[i], nr, families[i].vip, 80);
			elsewhere += !is_same(&got, &here);
			got = reached(&families[i], nr, families[i].node, NODE_PORT);
			assert_true(is_same(&got, &here));
		}
		assert_true(elsewhere > 0);
	}
}

/* @return how many clients reach another backend, @seconds after their last connection */
static int moved_after(const struct family_case *c, unsigned int seconds)
{
	struct sh_addr first, then;
	int moved = 0;

	for (int nr = 0; nr < CLIENTS; nr++) {
		first = reached(c, nr, c->vip, 80);
		age(c, nr, seconds);
		then = reached(c, nr, c->vip, 80);
		moved += !is_same(&first, &then);
	}
	return moved;
}

/* Of 32 clients that choose anew among four, none moves once in 4^32. */
static void the_time_runs_out(void **state)
{
	publish_yaml(&world, policy_cluster);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(moved_after(&families[i], 90), 0);
		assert_true(moved_after(&families[i], 102) > 0);
	}
}

static void it_runs_from_the_last_connection(void **state)
{
	const struct family_case *c = families;
	struct sh_addr first, then;

	publish_yaml(&world, policy_cluster);
	for (int nr = 0; nr < CLIENTS; nr++) {
		first = reached(c, nr, c->vip, 80);
		for (int i = 0; i < 3; i++) {
			age(c, nr, 60);
			then = reached(c, nr, c->vip, 80);
			assert_true(is_same(&first, &then));
		}
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shared_by_all_frontends),
		TEST(stays_in_the_set),
		TEST(the_time_runs_out),
		TEST(it_runs_from_the_last_connection),
	};

	return world_run_tests("affinity", tests, sizeof(tests) / sizeof(tests[0]));
}
