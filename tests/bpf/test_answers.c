/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is refused is told so, and a ping of a virtual address answered, but only so many in a second. */
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sched.h>

#include "bpf/world.h"

#include "util/clock.h"

#define PER_SECOND 1000 /* of each CPU */
#define TRIES	   (4 * PER_SECOND)

static const char scene[] =
	"apiVersion: v1\nkind: Service\n"
	"metadata: {name: empty}\nspec:\n"
	"  clusterIP: 10.96.0.50\n"
	"  ports: [{port: 80}]\n"
	"---\napiVersion: v1\nkind: Service\n"
	"metadata: {name: pinged}\nspec:\n"
	"  clusterIP: 10.96.0.51\n"
	"  clusterIPs: [10.96.0.51, \"fd00:10:96::51\"]\n"
	"  ipFamilyPolicy: RequireDualStack\n"
	"  ports: [{port: 80}]\n"
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	"metadata: {name: pinged-4, labels: {kubernetes.io/service-name: pinged}}\n"
	"addressType: IPv4\nports: [{port: 8080}]\n"
	"endpoints: [{addresses: [10.244.1.11]}]\n"
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	"metadata: {name: pinged-6, labels: {kubernetes.io/service-name: pinged}}\n"
	"addressType: IPv6\nports: [{port: 8080}]\n"
	"endpoints: [{addresses: [\"fd00:1::11\"]}]\n";

static int open_world(void **state)
{
	static struct world world;
	cpu_set_t one;

	/* Each CPU counts its own. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	world_scene(&world, scene);
	*state = &world;
	return 0;
}

static int close_world(void **state)
{
	world_close(*state);
	return 0;
}

static long seconds_now(void)
{
	return (long)(monotonic_ns() / 1000000000u);
}

/* Of TRIES SYNs to nobody, all within about a second, as many as may be are answered. */
static void so_many_a_second(void **state)
{
	const struct spec spec = { .src = addr_of("10.244.1.99"),
				   .dst = addr_of("10.96.0.50"),
				   .sport = 20000,
				   .dport = 80,
				   .proto = IPPROTO_TCP,
				   .tcp_flags = TCP_SYN };
	const struct world *world = *state;
	const long start = seconds_now();
	struct packet in, out;
	int answers = 0, code;

	packet_build(&in, &spec);
	for (int i = 0; i < TRIES; i++) {
		code = hook_run(world, HOOK_INGRESS, world->pod1, &in, &out);
		if (code == TC_ACT_REDIRECT)
			answers++;
		else
			assert_int_equal(code, TC_ACT_SHOT);
	}
	assert_true(answers >= PER_SECOND);
	/* The last may have fallen into another second, which has its own. */
	assert_true(answers <= PER_SECOND * (2 + (int)(seconds_now() - start)));
	assert_int_equal(drops_of(world, SH_REASON_NO_BACKEND), TRIES);
}

/* An echo request; what stands where the ports were is its checksum and identifier. */
static void ping_build(struct packet *out, const char *from, const char *to)
{
	const struct spec spec = {
		.src = addr_of(from), .dst = addr_of(to), .proto = IPPROTO_UDP, .payload = 8
	};
	struct parsed at;

	packet_build(out, &spec);
	assert_true(packet_parse(out, &at));
	out->b[at.l3 + (at.v6 ? 6 : 9)] = at.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	packet_put16(out, at.l4, (at.v6 ? 128 : 8) << 8);
	packet_put16(out, at.l4 + 2, 0);
	packet_put16(out, at.l4 + 4, 77);
	packet_put16(out, at.l4 + 6, 1);
	assert_true(packet_layout_at(out, at.l3, &at));
	packet_fix_csums(out, &at);
}

static void ping_many(const struct world *world, const char *from, const char *to)
{
	const uint64_t before = drops_of(world, SH_REASON_ANSWER_LIMIT);
	const long start = seconds_now();
	struct packet in, out;
	int answers = 0, code;

	ping_build(&in, from, to);
	for (int i = 0; i < TRIES; i++) {
		code = hook_run(world, HOOK_INGRESS, world->pod1, &in, &out);
		if (code == TC_ACT_REDIRECT)
			answers++;
		else
			assert_int_equal(code, TC_ACT_SHOT);
	}
	assert_true(answers <= PER_SECOND * (2 + (int)(seconds_now() - start)));
	assert_int_equal(drops_of(world, SH_REASON_ANSWER_LIMIT) - before, TRIES - answers);
	assert_int_equal(drops_all(world), drops_of(world, SH_REASON_ANSWER_LIMIT));
}

/* Pings beyond those that are answered are counted. */
static void so_many_pings_a_second(void **state)
{
	ping_many(*state, "10.244.1.99", "10.96.0.51");
	ping_many(*state, "fd00:1::99", "fd00:10:96::51");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(so_many_a_second, open_world, close_world),
		cmocka_unit_test_setup_teardown(so_many_pings_a_second, open_world, close_world),
	};

	return world_run_tests("answers", tests, sizeof(tests) / sizeof(tests[0]));
}
