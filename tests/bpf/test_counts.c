/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The numbers of /metrics, against packets and publishes that make them. Needs root. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/world.h"

static const char shop[] = "apiVersion: v1\n"
			   "kind: Service\n"
			   "metadata: {name: shop, namespace: default}\n"
			   "spec:\n"
			   "  type: NodePort\n"
			   "  clusterIP: 10.96.0.10\n"
			   "  externalTrafficPolicy: Local\n"
			   "  ports: [{port: 80, nodePort: 30080, targetPort: 8080}]\n"
			   "---\n"
			   "apiVersion: discovery.k8s.io/v1\n"
			   "kind: EndpointSlice\n"
			   "metadata: {name: shop-1, namespace: default,\n"
			   "           labels: {kubernetes.io/service-name: shop}}\n"
			   "addressType: IPv4\n"
			   "ports: [{port: 8080}]\n"
			   "endpoints:\n"
			   "- {addresses: [10.244.2.20], nodeName: node-2}\n"
			   "- {addresses: [10.244.2.21], nodeName: node-2}\n";

static const char empty[] = "---\n"
			    "apiVersion: v1\n"
			    "kind: Service\n"
			    "metadata: {name: empty, namespace: default}\n"
			    "spec:\n"
			    "  clusterIP: 10.96.0.11\n"
			    "  internalTrafficPolicy: Local\n"
			    "  ports: [{port: 80}]\n";

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world_network(world);
	world_settings(world);
	world_open(world, DATAPLANE_SCRATCH);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static void both(struct world *world)
{
	char yaml[sizeof(shop) + sizeof(empty)];

	(void)snprintf(yaml, sizeof(yaml), "%s%s", shop, empty);
	publish_yaml(world, yaml);
}

static void send_syn(const struct world *world, const char *dst, uint16_t sport, uint16_t dport)
{
	struct packet in, out;

	packet_build(&in, &(struct spec){ .src = addr_of("198.51.100.7"),
					  .dst = addr_of(dst),
					  .sport = sport,
					  .dport = dport,
					  .proto = IPPROTO_TCP,
					  .tcp_flags = TCP_SYN,
					  .dmac = MAC_ETH0,
					  .smac = MAC_GATEWAY });
	(void)hook_run(world, HOOK_INGRESS, world->eth0, &in, &out);
}

static void test_fill(void **state)
{
	struct world *world = *state;
	struct dataplane_fill before, fill;

	assert_true(dataplane_fill(world->dp, &before));
	assert_int_equal(before.services, 0);
	assert_int_equal(before.backends.used, 0);
	assert_int_equal(before.slots.used, 0);
	assert_int_equal(before.backends.max, world->settings.max_backends);
	both(world);
	assert_true(dataplane_fill(world->dp, &fill));
	assert_int_equal(fill.services, 2);
	assert_int_equal(fill.service_ports, 2);
	assert_int_equal(fill.endpoints, 2);
	assert_int_equal(fill.backends.used, 2);
	assert_true(fill.slots.used >= 2 && fill.slots.used < 2000);
	/* Each address as such, its port, and the nodePort. */
	assert_int_equal(fill.frontends.used, before.frontends.used + 5);
	assert_int_equal(fill.frontends.max, world->settings.max_frontends);
	assert_true(fill.nodeaddrs.used > 0);
	/* Who has no endpoint at all has no local one to miss. */
	assert_int_equal(fill.no_local_external, 1);
	assert_int_equal(fill.no_local_internal, 0);
	publish_yaml(world, empty);
	assert_true(dataplane_fill(world->dp, &fill));
	assert_int_equal(fill.services, 1);
	assert_int_equal(fill.endpoints, 0);
	assert_int_equal(fill.backends.used, 0);
	assert_int_equal(fill.slots.used, 0);
}

static uint64_t all(const uint64_t counts[static SH_STATES])
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = SH_BUSY; i < SH_STATES; i++)
		sum += counts[i];
	return sum;
}

static void test_flow_counts(void **state)
{
	struct world *world = *state;
	struct flow_counts counts;
	uint16_t i;

	both(world);
	dataplane_flow_counts(world->dp, &counts);
	assert_int_equal(all(counts.v4) + all(counts.v6), 0);
	assert_int_equal(counts.max4, world->dp->map_max[DP_MAP_FLOWS4]);
	assert_int_equal(counts.max6, world->dp->map_max[DP_MAP_FLOWS6]);
	for (i = 0; i < 5; i++)
		send_syn(world, "10.96.0.10", 40000 + i, 80);
	dataplane_flow_counts(world->dp, &counts);
	/* A connection has two entries. */
	assert_int_equal(counts.v4[SH_NEW], 10);
	assert_int_equal(all(counts.v4), 10);
	assert_int_equal(all(counts.v6), 0);
}

static void test_drop_counts(void **state)
{
	struct drop_counts counts = { 0 };
	struct world *world = *state;
	uint16_t i;

	both(world);
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.entries, 0);
	for (i = 0; i < 3; i++)
		send_syn(world, "10.96.0.10", 41000 + i, 81);
	send_syn(world, "10.96.0.11", 41000, 80);
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.packets[SH_REASON_UNKNOWN_PORT], 3);
	assert_int_equal(counts.packets[SH_REASON_NO_BACKEND], 1);
	assert_int_equal(counts.packets[SH_REASON_NO_LOCAL], 0);
	assert_int_equal(counts.entries, 2);
	assert_int_equal(counts.max, SH_DROPS_MAX);
	/* Not twice. */
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.packets[SH_REASON_UNKNOWN_PORT], 3);
	/* The Service goes, and the map's entries with it: what was counted stays, and grows. */
	publish_yaml(world, empty);
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.packets[SH_REASON_UNKNOWN_PORT], 3);
	send_syn(world, "10.96.0.11", 41001, 81);
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.packets[SH_REASON_UNKNOWN_PORT], 4);
	assert_int_equal(counts.packets[SH_REASON_NO_BACKEND], 1);
}

/* More entries than are read at a time. */
static void test_many_drops(void **state)
{
	struct drop_counts counts = { 0 };
	struct world *world = *state;
	struct sh_drop values[256] = { { .packets = 2 }, { .packets = 3 } };
	struct sh_drop_key key = { 0 };

	for (key.service = 1; key.service <= 5000; key.service++) {
		key.reason = 1 + key.service % (SH_REASON_COUNT - 1);
		assert_int_equal(
			bpf_map_update_elem(world->dp->map_fd[DP_MAP_DROPS], &key, values, BPF_ANY),
			0);
	}
	/* A reason of another version is nobody's. */
	key.reason = 1000;
	assert_int_equal(
		bpf_map_update_elem(world->dp->map_fd[DP_MAP_DROPS], &key, values, BPF_ANY), 0);
	assert_int_equal(dataplane_drop_counts(world->dp, &counts, NULL), 0);
	assert_int_equal(counts.entries, 5001);
	for (key.service = 0, key.reason = 1; key.reason < SH_REASON_COUNT; key.reason++)
		key.service += (uint32_t)counts.packets[key.reason];
	assert_true(key.service == 5000 * 5 || key.service == 5000 * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_drops, setup, teardown),
	};

	return world_run_tests("counts", tests, sizeof(tests) / sizeof(tests[0]));
}
