/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The node that tests run on: a network namespace with an uplink and a pod's
 * veth, routes and neighbours, and the shipped programs loaded, but attached
 * nowhere: packets reach them over BPF_PROG_TEST_RUN.
 *
 *	eth0   uplink    192.0.2.1/24     2001:db8::1/64     towards node-2, default route
 *	eth1   uplink    192.0.3.1/24     2001:db8:3::1/64   towards node-3
 *	pod1   workload  10.244.1.0/24    fd00:1::/64        pods of this node, node-1
 */
#ifndef SHUNT_TESTS_BPF_WORLD_H
#define SHUNT_TESTS_BPF_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/packet.h"
#include "dataplane/internal.h"

#define MAC_ETH0     0x10
#define MAC_ETH1     0x11
#define MAC_POD1     0x12
#define MAC_NODE2    0x02 /* 192.0.2.2, 2001:db8::2 */
#define MAC_GATEWAY  0x03 /* 192.0.2.254, 2001:db8::fe */
#define MAC_NODE3    0x04 /* 192.0.3.3, 2001:db8:3::3 */
#define MTU_NARROW   1300 /* of the way to 10.244.5.0/24, fd00:5::/64, by node-2 */
#define NODE4_SUFFIX "4"  /* 192.0.2.4, 2001:db8::4: a neighbour that nobody knows */

struct world {
	struct settings settings;
	struct dataplane *dp;
	uint32_t eth0, eth1, pod1; /* ifindex */
	bool ready;		   /* for a test whose cases share one */
	bool csum_complete;	   /* the kernel can check skb->csum after a run */
};

enum hook { HOOK_INGRESS, HOOK_EGRESS, HOOK_XDP };

/* A shell command; the test fails where it does. */
__attribute__((format(printf, 1, 2))) void run(const char *fmt, ...);
struct sh_addr addr_of(const char *text);

/* A network namespace of the caller's own, with those devices. */
void world_network(struct world *world);
/* Default settings, for few flows. */
void world_settings(struct world *world);
/* Programs and maps by world->settings, in @mode, and the devices' roles. */
void world_open(struct world *world, enum dataplane_mode mode);
void world_close(struct world *world);
/* Network, default settings, programs in scratch mode, and what @yaml wants. */
void world_scene(struct world *world, const char *yaml);

/* A BPF file system of the test's own, for an instance that is pinned. */
struct world_pins {
	char tmp[64], bpffs[96], pins[128];
};
/* world->settings lead there afterwards; @pins must outlive the world. */
void world_mount(struct world *world, struct world_pins *pins);
void world_unmount(const struct world_pins *pins);

/* What a manifest wants on node-1, by the whole way through the model. */
struct wanted *wanted_from_yaml(const struct world *world, const char *yaml);

/* The same by hand. Services are added in the order of their names. */
struct service_spec {
	const char *name, *vip;
	uint16_t port, node_port; /* host order; node_port 0: none */
	uint8_t proto;
};
struct backends_spec {
	const char *addr; /* of the first, the others follow it */
	uint16_t n, port;
	bool local;
};
struct wanted *wanted_new(void);
struct want_service *wanted_service(struct wanted *wanted, const struct service_spec *spec);
/* In the order of their addresses. */
void wanted_backends(struct wanted *wanted, struct want_service *service,
		     const struct backends_spec *spec);
void publish(struct world *world, const struct wanted *wanted, struct publish_result *result);
void publish_yaml(struct world *world, const char *yaml);

/* The same on any thread: @return the code, or a negative errno below -1000. */
int hook_try(const struct world *world, enum hook hook, uint32_t ifindex, const struct packet *in,
	     struct packet *out);
#define HOOK_ERRNO(errno) (-1000 - (errno))
/* TC over BPF_PROG_TEST_RUN takes no packet that is shorter than its IP header. */
#define HOOK_REFUSED	  (-22)
/* @return the hook's own code, or HOOK_REFUSED; *@out is what the packet is afterwards */
int hook_run(const struct world *world, enum hook hook, uint32_t ifindex, const struct packet *in,
	     struct packet *out);

/* ---- what the kernel holds -------------------------------------------------- */

/* The flow whose key is in @packet at @direction; NULL: there is none. */
struct sh_flow *flow_of(const struct world *world, const struct packet *packet,
			enum sh_direction direction);
/* Its word. */
uint32_t *word_of(const struct world *world, const struct sh_flow *flow);
enum sh_flow_state state_of(const struct world *world, const struct sh_flow *flow);
void flows_forget(const struct world *world);

uint64_t drops_of(const struct world *world, enum sh_reason reason);
uint64_t drops_all(const struct world *world);
/* The sum of the backends' connections, or of those at @addr. */
uint64_t connections_to(const struct world *world, const struct sh_addr *addr);

/*
 * Run @tests, or only those whose names $TEST_FILTER matches, by * and ?; or
 * say that they need root. @return for main()
 */
int world_run_tests(const char *name, const struct CMUnitTest *tests, size_t n);

#endif
