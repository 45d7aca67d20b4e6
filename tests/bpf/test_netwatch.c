/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which changes of a network are told, and which repetitions are not: on the
 * real kernel, in a network namespace of this process's own. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netwatch.h"
#include "bpf/world.h"

#define ALL (NETWATCH_LINKS | NETWATCH_ADDRESSES | NETWATCH_ROUTES | NETWATCH_NEIGHBOURS)

#define DEADLINE_MS 10000
#define QUIET_MS    150

struct fixture {
	uv_loop_t loop;
	uv_timer_t ticks;
	struct netwatch *watch;
	unsigned int changes, calls;
};

static void on_change(void *arg, unsigned int changes)
{
	struct fixture *f = arg;

	assert_true(changes && !(changes & ~ALL));
	f->changes |= changes;
	f->calls++;
}

static void tick(uv_timer_t *timer)
{
}

static void turn(struct fixture *f)
{
	/* The loop's idea of the time may be old: a timer that is due at once ends no waiting. */
	uv_update_time(&f->loop);
	assert_int_equal(uv_timer_start(&f->ticks, tick, 10, 0), 0);
	(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* Until nothing more is told for a while. @return what was told */
static unsigned int told(struct fixture *f)
{
	uint64_t end = uv_hrtime() + QUIET_MS * 1000000ull;
	unsigned int calls = f->calls, changes;

	while (uv_hrtime() < end) {
		turn(f);
		if (f->calls != calls)
			end = uv_hrtime() + QUIET_MS * 1000000ull;
		calls = f->calls;
	}
	changes = f->changes;
	f->changes = 0;
	return changes;
}

/* What @command makes it tell has all of @wanted, and nothing of @never. */
static void check(struct fixture *f, const char *command, unsigned int wanted, unsigned int never)
{
	const uint64_t end = uv_hrtime() + DEADLINE_MS * 1000000ull;
	unsigned int changes;

	run("%s", command);
	while ((f->changes & wanted) != wanted && uv_hrtime() < end)
		turn(f);
	changes = told(f);
	if ((changes & wanted) != wanted || changes & never)
		fail_msg("%s: told 0x%x, wanted 0x%x, never 0x%x", command, changes, wanted, never);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = { .msg = "" };

	assert_non_null(f);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up; ip link add v0 type veth peer name v1; "
	    "sysctl -qw net.ipv6.conf.all.disable_ipv6=0; "
	    "for d in v0 v1; do sysctl -qw net.ipv6.conf.$d.addr_gen_mode=1; ip link set $d up; "
	    "done; "
	    "ip addr add 192.0.2.1/24 dev v0; ip addr add 2001:db8::1/64 dev v0 nodad; "
	    "ip neigh add 192.0.2.9 dev v0 lladdr 02:00:00:00:00:09 nud reachable");
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(uv_timer_init(&f->loop, &f->ticks), 0);
	if (netwatch_start(&f->watch, &f->loop, on_change, f, &err))
		fail_msg("%s", err.msg);
	*state = f;
	/* What the kernel does a moment after a device is up. */
	(void)told(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	netwatch_stop(f->watch);
	uv_close((uv_handle_t *)&f->ticks, NULL);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

/* ---- tests ---------------------------------------------------------------------- */

static void nothing_happens_and_nothing_is_told(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };

	assert_int_equal(told(f), 0);
	/* What is there already when one begins to listen is no change either. */
	netwatch_stop(f->watch);
	assert_int_equal(netwatch_start(&f->watch, &f->loop, on_change, f, &err), 0);
	f->calls = 0;
	assert_int_equal(told(f), 0);
	assert_int_equal(f->calls, 0);
}

static void devices_are_told(void **state)
{
	struct fixture *f = *state;

	check(f, "ip link add w0 type veth peer name w1", NETWATCH_LINKS, 0);
	check(f, "ip link set w0 up", NETWATCH_LINKS, 0);
	check(f, "ip link set w1 up", NETWATCH_LINKS, 0);
	check(f, "ip link set w0 mtu 1400", NETWATCH_LINKS, NETWATCH_ADDRESSES);
	check(f, "ip link set w0 address 02:00:00:00:00:77", NETWATCH_LINKS, NETWATCH_NEIGHBOURS);
	check(f, "ip link add br0 type bridge && ip link set w0 master br0", NETWATCH_LINKS, 0);
	check(f, "ip link set w0 nomaster", NETWATCH_LINKS, 0);
	check(f, "ip link set w1 down && ip link set w1 name w2", NETWATCH_LINKS, 0);
	check(f, "ip link del w0", NETWATCH_LINKS, 0);
	/* The same index, another device. */
	check(f, "ip link add w0 index 77 type bridge", NETWATCH_LINKS, 0);
	check(f, "ip link del w0 && ip link add w0 index 77 type veth peer name w1", NETWATCH_LINKS,
	      0);
}

/* Statistics, and settings that no packet's way depends on. */
static void repetitions_of_devices_are_not(void **state)
{
	struct fixture *f = *state;

	check(f, "ip link set v0 promisc on", 0, ALL);
	check(f, "ip link set v0 promisc off", 0, ALL);
	check(f, "ip link set v0 alias something", 0, ALL);
	check(f, "ip link set v0 txqueuelen 77", 0, ALL);
	check(f, "ip link set v0 mtu 1500", 0, ALL);
	check(f, "ip link set v0 mtu 1499", NETWATCH_LINKS, 0);
	/* What a bridge says of its port. */
	check(f, "ip link add br0 type bridge && ip link set v1 master br0", NETWATCH_LINKS, 0);
	check(f, "bridge link set dev v1 cost 77", 0, ALL);
	check(f, "ip link set v1 alias port", 0, ALL);
}

static void addresses_are_told(void **state)
{
	struct fixture *f = *state;

	check(f, "ip addr add 192.0.2.2/24 dev v0", NETWATCH_ADDRESSES, NETWATCH_LINKS);
	check(f, "ip addr del 192.0.2.2/24 dev v0", NETWATCH_ADDRESSES, NETWATCH_LINKS);
	check(f, "ip addr add 2001:db8::2/64 dev v0 nodad", NETWATCH_ADDRESSES, NETWATCH_LINKS);
	check(f, "ip addr del 2001:db8::2/64 dev v0", NETWATCH_ADDRESSES, NETWATCH_LINKS);
}

static void routes_and_rules_are_told(void **state)
{
	static const char *const commands[] = {
		"ip route add 198.51.100.0/24 via 192.0.2.9",
		"ip route change 198.51.100.0/24 via 192.0.2.8",
		"ip route del 198.51.100.0/24",
		"ip route add 2001:db8:1::/48 via 2001:db8::9",
		"ip route del 2001:db8:1::/48",
		"ip route add 198.51.100.0/24 via 192.0.2.9 table 77",
		"ip rule add from 192.0.2.7 table 77",
		"ip rule del from 192.0.2.7 table 77",
		"ip -6 rule add from 2001:db8::7 table 77",
		"ip nexthop add id 7 via 192.0.2.9 dev v0",
		"ip nexthop replace id 7 via 192.0.2.8 dev v0",
		"ip nexthop del id 7",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		check(f, commands[i], NETWATCH_ROUTES, NETWATCH_LINKS | NETWATCH_ADDRESSES);
}

static void neighbours_are_told(void **state)
{
	struct fixture *f = *state;
	const unsigned int never = ALL & ~(unsigned int)NETWATCH_NEIGHBOURS;

	check(f, "ip neigh add 192.0.2.3 dev v0 lladdr 02:00:00:00:00:03 nud reachable",
	      NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh replace 192.0.2.3 dev v0 lladdr 02:00:00:00:00:04 nud reachable",
	      NETWATCH_NEIGHBOURS, never);
	/* One that was there before. */
	check(f, "ip neigh replace 192.0.2.9 dev v0 lladdr 02:00:00:00:00:0a nud reachable",
	      NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh replace 2001:db8::3 dev v0 lladdr 02:00:00:00:00:03 nud permanent",
	      NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh change 192.0.2.3 dev v0 nud failed", NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh change 192.0.2.3 dev v0 lladdr 02:00:00:00:00:04 nud reachable",
	      NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh del 2001:db8::3 dev v0", NETWATCH_NEIGHBOURS, never);
	check(f, "ip neigh flush dev v0", NETWATCH_NEIGHBOURS, never);
}

static void ageing_of_neighbours_is_not(void **state)
{
	struct fixture *f = *state;

	check(f, "ip neigh change 192.0.2.9 dev v0 nud stale", 0, ALL);
	check(f, "ip neigh change 192.0.2.9 dev v0 nud delay", 0, ALL);
	check(f, "ip neigh change 192.0.2.9 dev v0 nud reachable", 0, ALL);
	check(f, "ip neigh add proxy 192.0.2.66 dev v0", 0, ALL);
	/* One that isn't there doesn't answer: nothing has changed for anybody. */
	check(f, "echo | socat - UDP:192.0.2.200:9 || true", 0, ALL);
	check(f, "sleep 3", 0, ALL);
	/* Where a bridge has seen an address is no neighbour of this node's. */
	run("ip link add br0 type bridge && ip link set br0 up && ip link set v1 master br0");
	(void)told(f);
	check(f, "bridge fdb add 02:00:00:00:00:55 dev v1 master static", 0, ALL);
}

static void many_routes_at_once(void **state)
{
	struct fixture *f = *state;

	f->calls = 0;
	check(f,
	      "for i in $(seq 0 9999); do echo route add 10.$((i / 250)).$((i % 250)).0/24 dev v0; "
	      "done | ip -batch -",
	      NETWATCH_ROUTES, 0);
	/* All that was there to be read is one call. */
	assert_in_range(f->calls, 1, 20);
	check(f, "ip route flush 10.0.0.0/8 dev v0; ip route flush root 10.0.0.0/8",
	      NETWATCH_ROUTES, 0);
	/* What was known still is, or is again. */
	(void)told(f);
	check(f, "ip neigh change 192.0.2.9 dev v0 nud stale", 0, ALL);
}

/* Messages that are lost may have been of any kind. */
static void lost_messages_are_every_change(void **state)
{
	struct fixture *f = *state;

	check(f,
	      "for i in $(seq 0 59999); do echo route add 10.$((i / 250)).$((i % 250)).0/24 dev "
	      "v0; "
	      "done | ip -batch -; "
	      "ip neigh replace 192.0.2.9 dev v0 lladdr 02:00:00:00:00:0b nud reachable",
	      ALL, 0);
	(void)told(f);
	/* What was known before is not what is: the change back is one. */
	check(f, "ip neigh replace 192.0.2.9 dev v0 lladdr 02:00:00:00:00:09 nud reachable",
	      NETWATCH_NEIGHBOURS, 0);
	check(f, "ip neigh change 192.0.2.9 dev v0 nud stale", 0, ALL);
	check(f, "ip link set v0 alias other", 0, ALL);
}

/* What doesn't fit into the tables is told each time. */
static void a_full_table_is_never_silent(void **state)
{
	struct fixture *f = *state;

	for (unsigned int part = 0; part < 17; part++) {
		run("for i in $(seq %u %u); do echo neigh add "
		    "10.$((i / 62500)).$((i / 250 %% 250)).$((i %% 250)) dev v0 "
		    "lladdr 02:00:00:00:00:01 nud permanent; done | ip -batch -",
		    part * 4000, part * 4000 + 3999);
		assert_int_equal(told(f), NETWATCH_NEIGHBOURS);
	}
	check(f, "ip neigh change 10.0.0.1 dev v0 nud noarp", 0, ALL);
	check(f, "ip neigh change 10.0.0.1 dev v0 nud permanent", 0, ALL);
	check(f, "ip neigh change 10.1.21.249 dev v0 nud noarp", NETWATCH_NEIGHBOURS, 0);
	check(f, "ip neigh change 10.1.21.249 dev v0 nud permanent", NETWATCH_NEIGHBOURS, 0);
	check(f, "ip neigh change 10.1.21.249 dev v0 nud failed", NETWATCH_NEIGHBOURS, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(nothing_happens_and_nothing_is_told), TEST(devices_are_told),
		TEST(repetitions_of_devices_are_not),	   TEST(addresses_are_told),
		TEST(routes_and_rules_are_told),	   TEST(neighbours_are_told),
		TEST(ageing_of_neighbours_is_not),	   TEST(many_routes_at_once),
		TEST(lost_messages_are_every_change),	   TEST(a_full_table_is_never_silent),
	};
#undef TEST

	return world_run_tests("netwatch", tests, sizeof(tests) / sizeof(tests[0]));
}
