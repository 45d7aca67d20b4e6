/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which devices are edges, which addresses are the node's: over made-up lists, no kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <net/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/netdev.h"

#define ROLE_NONE 0
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

enum { LO = 1, ETH0, ETH1, BOND0, SLAVE, CNI0, VETH, CALI, VXLAN, TUNL, WG, DUMMY, TUN, TAP, BR0 };

static const struct netdev node_devs[] = {
	{ .ifindex = LO, .name = "lo", .arphrd = ARPHRD_LOOPBACK, .up = true },
	{ .ifindex = ETH0,
	  .name = "eth0",
	  .arphrd = ARPHRD_ETHER,
	  .up = true,
	  .default_route4 = true,
	  .metric4 = 100,
	  .mac = { 2, 0, 0, 0, 0, 1 } },
	{ .ifindex = ETH1, .name = "eth1", .arphrd = ARPHRD_ETHER, .up = true },
	{ .ifindex = BOND0, .name = "bond0", .kind = "bond", .arphrd = ARPHRD_ETHER, .up = true },
	{ .ifindex = SLAVE, .name = "eth2", .arphrd = ARPHRD_ETHER, .up = true, .master = BOND0 },
	{ .ifindex = CNI0, .name = "cni0", .kind = "bridge", .arphrd = ARPHRD_ETHER, .up = true },
	{ .ifindex = VETH,
	  .name = "veth12ab",
	  .kind = "veth",
	  .arphrd = ARPHRD_ETHER,
	  .up = true,
	  .master = CNI0 },
	{ .ifindex = CALI, .name = "cali0123", .kind = "veth", .arphrd = ARPHRD_ETHER, .up = true },
	{ .ifindex = VXLAN,
	  .name = "flannel.1",
	  .kind = "vxlan",
	  .arphrd = ARPHRD_ETHER,
	  .up = true },
	{ .ifindex = TUNL, .name = "tunl0", .kind = "ipip", .arphrd = ARPHRD_TUNNEL },
	{ .ifindex = WG, .name = "wg0", .kind = "wireguard", .arphrd = ARPHRD_NONE, .up = true },
	{ .ifindex = DUMMY,
	  .name = "kube-ipvs0",
	  .kind = "dummy",
	  .arphrd = ARPHRD_ETHER,
	  .up = true },
	{ .ifindex = TUN, .name = "tun0", .kind = "tun", .arphrd = ARPHRD_NONE, .up = true },
	{ .ifindex = TAP, .name = "tap7", .kind = "tun", .arphrd = ARPHRD_ETHER, .up = true },
	{ .ifindex = BR0, .name = "br0", .kind = "bridge", .arphrd = ARPHRD_ETHER, .up = true },
};

struct text_addr {
	uint32_t ifindex;
	const char *text;
	uint8_t scope;
};

static const struct text_addr node_addrs[] = {
	{ LO, "127.0.0.1", RT_SCOPE_HOST },	     { LO, "::1", RT_SCOPE_HOST },
	{ ETH0, "192.0.2.10", RT_SCOPE_UNIVERSE },   { ETH0, "192.0.2.11", RT_SCOPE_UNIVERSE },
	{ ETH0, "fe80::1", RT_SCOPE_LINK },	     { ETH0, "2001:db8::10", RT_SCOPE_UNIVERSE },
	{ ETH1, "198.51.100.5", RT_SCOPE_UNIVERSE }, { CNI0, "10.244.0.1", RT_SCOPE_UNIVERSE },
	{ VXLAN, "10.244.0.0", RT_SCOPE_UNIVERSE },  { DUMMY, "192.0.2.10", RT_SCOPE_UNIVERSE },
};

struct fixture {
	struct netdev devs[COUNT(node_devs)];
	struct netdev_addr addrs[SH_NODEADDRS_MAX + 1];
	struct netdev_list list;
	struct settings settings;
};

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->devs, node_devs, sizeof(node_devs));
	for (size_t i = 0; i < COUNT(node_addrs); i++) {
		f->addrs[i].ifindex = node_addrs[i].ifindex;
		f->addrs[i].scope = node_addrs[i].scope;
		assert_int_equal(addr_parse(node_addrs[i].text, &f->addrs[i].addr), 0);
	}
	f->list = (struct netdev_list){ f->devs, COUNT(node_devs), f->addrs, COUNT(node_addrs) };
}

struct role_case {
	const char *sentence;
	uint32_t ifindex;
	int role;
};

static void check_roles(const struct fixture *f, const struct role_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct netdev *dev = netdev_find(&f->list, cases[i].ifindex);
		int role = netdev_role(&f->list, dev, &f->settings);

		if (role != cases[i].role)
			fail_msg("%s: %s is %d, not %d", cases[i].sentence, dev->name, role,
				 cases[i].role);
	}
}

static void roles_by_rule(void **state)
{
	static const struct role_case cases[] = {
		{ "loopback is never an edge", LO, ROLE_NONE },
		{ "the default route's device is an uplink", ETH0, SH_ROLE_UPLINK },
		{ "so is another network's, by its address", ETH1, SH_ROLE_UPLINK },
		{ "a bond without either is none", BOND0, ROLE_NONE },
		{ "a bond's port is not an edge, the bond would be", SLAVE, ROLE_NONE },
		{ "a pod bridge is not an edge", CNI0, ROLE_NONE },
		{ "its ports are", VETH, SH_ROLE_WORKLOAD },
		{ "a routed veth is a workload", CALI, SH_ROLE_WORKLOAD },
		{ "vxlan is an overlay", VXLAN, SH_ROLE_OVERLAY },
		{ "a tunnel that is down is the kernel's own", TUNL, ROLE_NONE },
		{ "wireguard is an overlay", WG, SH_ROLE_OVERLAY },
		{ "dummy is never an edge by rule", DUMMY, ROLE_NONE },
		{ "a VPN's tun is no edge by rule", TUN, ROLE_NONE },
		{ "a virtual machine's tap is a workload", TAP, SH_ROLE_WORKLOAD },
	};
	struct fixture f;

	fixture_init(&f);
	check_roles(&f, cases, COUNT(cases));
}

static void roles_by_pattern(void **state)
{
	static const struct role_case cases[] = {
		{ "a pattern makes an uplink", ETH1, SH_ROLE_UPLINK },
		{ "of a veth too", VETH, SH_ROLE_UPLINK },
		{ "then the default route doesn't", ETH0, ROLE_NONE },
		{ "a pattern makes a workload", TUN, SH_ROLE_WORKLOAD },
		{ "then being a veth doesn't", CALI, ROLE_NONE },
		{ "overlays are found by rule still", VXLAN, SH_ROLE_OVERLAY },
		{ "loopback is never an edge", LO, ROLE_NONE },
	};
	struct fixture f;

	fixture_init(&f);
	f.settings.devices[f.settings.n_devices++] = "veth*";
	f.settings.devices[f.settings.n_devices++] = "eth1";
	f.settings.devices[f.settings.n_devices++] = "lo";
	f.settings.workload_devices[f.settings.n_workload_devices++] = "tun?";
	check_roles(&f, cases, COUNT(cases));
}

static void roles_without_default_route(void **state)
{
	static const struct role_case cases[] = {
		{ "an address makes an uplink", ETH0, SH_ROLE_UPLINK },
		{ "each of them", ETH1, SH_ROLE_UPLINK },
		{ "not a pod bridge with its address", CNI0, ROLE_NONE },
		{ "no address, no uplink", BOND0, ROLE_NONE },
		{ "an overlay with an address stays one", VXLAN, SH_ROLE_OVERLAY },
		{ "dummy is never an edge by rule", DUMMY, ROLE_NONE },
	};
	struct fixture f;

	fixture_init(&f);
	f.devs[ETH0 - 1].default_route4 = false;
	check_roles(&f, cases, COUNT(cases));
	f.devs[ETH1 - 1].up = false;
	assert_int_equal(netdev_role(&f.list, &f.devs[ETH1 - 1], &f.settings), ROLE_NONE);
}

static void roles_of_bridges(void **state)
{
	struct fixture f;

	fixture_init(&f);
	assert_int_equal(netdev_role(&f.list, &f.devs[CNI0 - 1], &f.settings), ROLE_NONE);
	/* With a network card among its ports it leads outside, and stands for it. */
	f.devs[SLAVE - 1].master = CNI0;
	assert_int_equal(netdev_role(&f.list, &f.devs[CNI0 - 1], &f.settings), SH_ROLE_UPLINK);
	assert_int_equal(netdev_role(&f.list, &f.devs[SLAVE - 1], &f.settings), ROLE_NONE);
	assert_int_equal(netdev_role(&f.list, &f.devs[VETH - 1], &f.settings), SH_ROLE_WORKLOAD);
}

static void roles_of_default_routes(void **state)
{
	static const struct role_case cases[] = {
		{ "a veth with the default route (a node in a namespace)", VETH, SH_ROLE_UPLINK },
		{ "a bridge with one", BR0, SH_ROLE_UPLINK },
		{ "an IPv6 one", ETH1, SH_ROLE_UPLINK },
		{ "the other veths stay workloads", CALI, SH_ROLE_WORKLOAD },
	};
	struct fixture f;

	fixture_init(&f);
	f.devs[VETH - 1].default_route4 = true;
	f.devs[BR0 - 1].default_route4 = true;
	f.devs[ETH1 - 1].default_route6 = true;
	check_roles(&f, cases, COUNT(cases));
}

/* ---- networks as they are found ------------------------------------------------ */

#define LAYOUT_DEVS 10

struct layout_dev {
	const char *name, *kind;
	uint32_t master; /* its place in the list, from 1 */
	uint16_t arphrd; /* 0: Ethernet */
	const char *addr;
	bool default_route, down;
	int role;
};

struct layout {
	const char *name;
	struct layout_dev devs[LAYOUT_DEVS];
};

static const struct layout layouts[] = {
	{ "flannel: a bridge of pods, vxlan between nodes",
	  {
		  { .name = "eth0",
		    .kind = "",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "flannel.1",
		    .kind = "vxlan",
		    .addr = "10.244.0.0",
		    .role = SH_ROLE_OVERLAY },
		  { .name = "cni0", .kind = "bridge", .addr = "10.244.0.1", .role = ROLE_NONE },
		  { .name = "veth3f2a1b0c", .kind = "veth", .master = 3, .role = SH_ROLE_WORKLOAD },
		  { .name = "vethd00dfeed", .kind = "veth", .master = 3, .role = SH_ROLE_WORKLOAD },
	  } },
	{ "flannel host-gw: no overlay, a second network between nodes",
	  {
		  { .name = "eth0",
		    .kind = "",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "eth1", .kind = "", .addr = "198.51.100.10", .role = SH_ROLE_UPLINK },
		  { .name = "cni0", .kind = "bridge", .addr = "10.244.0.1", .role = ROLE_NONE },
		  { .name = "veth3f2a1b0c", .kind = "veth", .master = 3, .role = SH_ROLE_WORKLOAD },
	  } },
	{ "kindnet: the node is a container, a routed veth for each pod",
	  {
		  { .name = "eth0",
		    .kind = "veth",
		    .addr = "172.18.0.2",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "veth1a2b3c4d",
		    .kind = "veth",
		    .addr = "10.244.0.1",
		    .role = SH_ROLE_WORKLOAD },
		  { .name = "veth5e6f7a8b",
		    .kind = "veth",
		    .addr = "10.244.0.1",
		    .role = SH_ROLE_WORKLOAD },
	  } },
	{ "Calico: routed veths without an address, any of its overlays",
	  {
		  { .name = "ens3",
		    .kind = "",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "cali01234567890", .kind = "veth", .role = SH_ROLE_WORKLOAD },
		  { .name = "tunl0",
		    .kind = "ipip",
		    .arphrd = ARPHRD_TUNNEL,
		    .addr = "10.244.7.64",
		    .role = SH_ROLE_OVERLAY },
		  { .name = "vxlan.calico",
		    .kind = "vxlan",
		    .addr = "10.244.7.65",
		    .role = SH_ROLE_OVERLAY },
		  { .name = "wireguard.cali",
		    .kind = "wireguard",
		    .arphrd = ARPHRD_NONE,
		    .addr = "10.244.7.66",
		    .role = SH_ROLE_OVERLAY },
		  { .name = "sit0",
		    .kind = "sit",
		    .arphrd = ARPHRD_SIT,
		    .down = true,
		    .role = ROLE_NONE },
	  } },
	{ "Cilium: pods' veths or netkits, a pair of the node with itself",
	  {
		  { .name = "ens5",
		    .kind = "",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "cilium_net", .kind = "veth", .role = ROLE_NONE },
		  { .name = "cilium_host", .kind = "veth", .addr = "10.0.0.5", .role = ROLE_NONE },
		  { .name = "cilium_vxlan", .kind = "vxlan", .role = SH_ROLE_OVERLAY },
		  { .name = "cilium_wg0",
		    .kind = "wireguard",
		    .arphrd = ARPHRD_NONE,
		    .role = SH_ROLE_OVERLAY },
		  { .name = "lxc_health", .kind = "veth", .role = SH_ROLE_WORKLOAD },
		  { .name = "lxc0123456789ab", .kind = "veth", .role = SH_ROLE_WORKLOAD },
		  { .name = "lxcba9876543210", .kind = "netkit", .role = SH_ROLE_WORKLOAD },
	  } },
	{ "plain bridges: one of containers, one that is the node's uplink",
	  {
		  { .name = "eno1", .kind = "", .master = 2, .role = ROLE_NONE },
		  { .name = "br0",
		    .kind = "bridge",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "vethlan", .kind = "veth", .master = 2, .role = SH_ROLE_WORKLOAD },
		  { .name = "vnet0", .kind = "tun", .master = 2, .role = SH_ROLE_WORKLOAD },
		  { .name = "docker0", .kind = "bridge", .addr = "172.17.0.1", .role = ROLE_NONE },
		  { .name = "veth0a1b2c3", .kind = "veth", .master = 5, .role = SH_ROLE_WORKLOAD },
		  /* Keeps the bridge up, and leads nowhere. */
		  { .name = "dummy0", .kind = "dummy", .master = 5, .role = ROLE_NONE },
	  } },
	{ "bond, VLAN and a bridge on top of it",
	  {
		  { .name = "eno1", .kind = "", .master = 3, .role = ROLE_NONE },
		  { .name = "eno2", .kind = "", .master = 3, .role = ROLE_NONE },
		  { .name = "bond0",
		    .kind = "bond",
		    .addr = "192.0.2.10",
		    .default_route = true,
		    .role = SH_ROLE_UPLINK },
		  { .name = "bond0.7",
		    .kind = "vlan",
		    .addr = "198.51.100.1",
		    .role = SH_ROLE_UPLINK },
		  { .name = "bond0.8", .kind = "vlan", .master = 6, .role = ROLE_NONE },
		  { .name = "br8",
		    .kind = "bridge",
		    .addr = "203.0.113.1",
		    .role = SH_ROLE_UPLINK },
		  { .name = "team0", .kind = "team", .role = ROLE_NONE },
		  { .name = "eno3", .kind = "", .master = 7, .role = ROLE_NONE },
	  } },
};

static void check_layout(const struct layout *layout)
{
	struct netdev_addr addrs[LAYOUT_DEVS] = { 0 };
	struct netdev devs[LAYOUT_DEVS] = { 0 };
	struct netdev_list list = { .v = devs, .addrs = addrs };
	struct settings settings = { 0 };

	for (; list.n < LAYOUT_DEVS && layout->devs[list.n].name; list.n++) {
		const struct layout_dev *from = &layout->devs[list.n];
		struct netdev *dev = &devs[list.n];

		dev->ifindex = (uint32_t)list.n + 1;
		dev->master = from->master;
		dev->arphrd = from->arphrd ? from->arphrd : ARPHRD_ETHER;
		dev->up = !from->down;
		dev->default_route4 = from->default_route;
		(void)snprintf(dev->name, sizeof(dev->name), "%s", from->name);
		(void)snprintf(dev->kind, sizeof(dev->kind), "%s", from->kind);
		if (!from->addr)
			continue;
		addrs[list.n_addrs].ifindex = dev->ifindex;
		assert_int_equal(addr_parse(from->addr, &addrs[list.n_addrs++].addr), 0);
	}
	for (size_t i = 0; i < list.n; i++) {
		int role = netdev_role(&list, &devs[i], &settings);

		if (role != layout->devs[i].role)
			fail_msg("%s: %s is %d, not %d", layout->name, devs[i].name, role,
				 layout->devs[i].role);
	}
}

static void roles_in_layouts(void **state)
{
	for (size_t i = 0; i < COUNT(layouts); i++)
		check_layout(&layouts[i]);
}

static void assert_addrs(const struct sh_addr *addrs, size_t n, const char *wanted)
{
	char text[ADDR_STRLEN], all[512] = "";

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(all);

		(void)snprintf(all + len, sizeof(all) - len, i ? " %s" : "%s",
			       addr_format(&addrs[i], text));
	}
	assert_string_equal(all, wanted);
}

static void node_addresses_primary(void **state)
{
	struct sh_addr out[SH_NODEADDRS_MAX];
	struct err err;
	struct fixture f;
	size_t n = 0;

	fixture_init(&f);
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "192.0.2.10 2001:db8::10");

	/* Two default routes: the lower metric wins. */
	f.devs[ETH1 - 1].default_route4 = true;
	f.devs[ETH1 - 1].metric4 = 50;
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "198.51.100.5 2001:db8::10");

	/* One default route, and not on the first of them. */
	fixture_init(&f);
	f.settings.devices[f.settings.n_devices++] = "eth0";
	f.settings.devices[f.settings.n_devices++] = "eth1";
	f.devs[ETH0 - 1].default_route4 = false;
	f.devs[ETH1 - 1].default_route4 = true;
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "198.51.100.5 2001:db8::10");

	/* No default route on any uplink: the first one's. */
	fixture_init(&f);
	f.settings.devices[f.settings.n_devices++] = "eth1";
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "198.51.100.5");
}

static void node_addresses_by_network(void **state)
{
	struct sh_addr out[SH_NODEADDRS_MAX];
	struct fixture f;
	struct err err;
	size_t n = 0;

	fixture_init(&f);
	f.settings.nodeport_addresses = NODEPORT_CIDRS;
	assert_int_equal(addr_net_parse("0.0.0.0/0", &f.settings.nodeport_nets[0]), 0);
	f.settings.n_nodeport_nets = 1;
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "192.0.2.10 192.0.2.11 198.51.100.5 10.244.0.1 10.244.0.0");

	assert_int_equal(addr_net_parse("::/0", &f.settings.nodeport_nets[0]), 0);
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_addrs(out, n, "2001:db8::10");

	assert_int_equal(addr_net_parse("203.0.113.0/24", &f.settings.nodeport_nets[0]), 0);
	assert_int_equal(netdev_node_addresses(&f.settings, &f.list, out, &n, &err), 0);
	assert_int_equal(n, 0);
}

static void node_addresses_limit(void **state)
{
	struct sh_addr out[SH_NODEADDRS_MAX], addr;
	struct fixture f;
	struct err err;
	size_t n = 7;

	fixture_init(&f);
	assert_int_equal(addr_parse("10.0.0.0", &addr), 0);
	for (size_t i = 0; i < COUNT(f.addrs); i++)
		f.addrs[i] = (struct netdev_addr){ .addr = addr_add(&addr, i), .ifindex = ETH0 };
	f.list.n_addrs = SH_NODEADDRS_MAX;
	assert_int_equal(netdev_own_addresses(&f.list, out, &n, &err), 0);
	assert_int_equal(n, SH_NODEADDRS_MAX);
	f.list.n_addrs++;
	assert_true(netdev_own_addresses(&f.list, out, &n, &err) < 0);
	assert_non_null(strstr(err.msg, "SH_NODEADDRS_MAX"));
	assert_int_equal(n, SH_NODEADDRS_MAX);
}

static void check_masquerade(const struct fixture *f, uint32_t ifindex, const char *wanted)
{
	const struct netdev_primary primary = netdev_primary(&f->list, &f->settings);
	const struct netdev *dev = netdev_find(&f->list, ifindex);
	const struct sh_device value = netdev_device(&f->list, dev, &primary, SH_ROLE_WORKLOAD);
	struct sh_addr both[2] = { value.addr4, value.addr6 };

	assert_addrs(both, 2, wanted);
	assert_int_equal(value.role, SH_ROLE_WORKLOAD);
	assert_memory_equal(value.mac, dev->mac, 6);
}

static void masquerade_addresses(void **state)
{
	struct fixture f;

	fixture_init(&f);
	check_masquerade(&f, ETH0, "192.0.2.10 2001:db8::10");
	/* A bridge port takes its bridge's; an unnumbered device the node's. */
	check_masquerade(&f, VETH, "10.244.0.1 2001:db8::10");
	check_masquerade(&f, CALI, "192.0.2.10 2001:db8::10");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_by_rule),
		cmocka_unit_test(roles_by_pattern),
		cmocka_unit_test(roles_without_default_route),
		cmocka_unit_test(roles_of_bridges),
		cmocka_unit_test(roles_of_default_routes),
		cmocka_unit_test(roles_in_layouts),
		cmocka_unit_test(node_addresses_primary),
		cmocka_unit_test(node_addresses_by_network),
		cmocka_unit_test(node_addresses_limit),
		cmocka_unit_test(masquerade_addresses),
	};

	return cmocka_run_group_tests_name("netdev", tests, NULL, NULL);
}
