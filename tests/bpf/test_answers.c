/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is refused is told so, but only so many in a second. */
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sched.h>

#include "bpf/world.h"

#include "util/clock.h"

#define PER_SECOND 1000 /* of each CPU */
#define TRIES	   (4 * PER_SECOND)

static const char scene[] = "apiVersion: v1\nkind: Service\n"
			    "metadata: {name: empty}\nspec:\n"
			    "  clusterIP: 10.96.0.50\n"
			    "  ports: [{port: 80}]\n";

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
	const long start = (long)(monotonic_ns() / 1000000000u);
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
	assert_true(answers <=
		    PER_SECOND * (2 + (int)((long)(monotonic_ns() / 1000000000u) - start)));
	assert_int_equal(drops_of(world, SH_REASON_NO_BACKEND), TRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(so_many_a_second, open_world, close_world),
	};

	return world_run_tests("answers", tests, sizeof(tests) / sizeof(tests[0]));
}
