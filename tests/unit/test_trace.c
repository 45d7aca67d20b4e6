/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs write down, in words: records in, sentences out. No privilege needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "dataplane/internal.h"
#include "trace/trace.h"

#define LOCAL_ID  (2u << SH_BACKEND_INDEX_BITS | 1)
#define REMOTE_ID (1u << SH_BACKEND_INDEX_BITS | 2)
#define GONE_ID	  (1u << SH_BACKEND_INDEX_BITS | 1) /* that index, an earlier generation */

/* Two backends, a table of three slots; nobody has a name. */
struct world {
	struct dataplane dp;
	struct sh_backend backends[3];
	struct sh_slot_line slots[1];
};

static struct sh_addr addr(const char *text)
{
	struct sh_addr out = { 0 };

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static void world_init(struct world *world)
{
	int i;

	memset(world, 0, sizeof(*world));
	for (i = 0; i < DP_MAP_COUNT; i++)
		world->dp.map_fd[i] = -1;
	world->backends[1] = (struct sh_backend){
		.addr = addr("10.244.1.11"), .port = htons(8080), .id = LOCAL_ID, .service = 7
	};
	world->backends[2] = (struct sh_backend){
		.addr = addr("10.244.2.11"), .port = htons(8080), .id = REMOTE_ID, .service = 7
	};
	world->slots[0].backend[0] = REMOTE_ID;
	world->slots[0].backend[1] = LOCAL_ID;
	world->slots[0].backend[2] = REMOTE_ID;
	world->dp.mem[DP_MAP_BACKENDS] = world->backends;
	world->dp.map_max[DP_MAP_BACKENDS] = 3;
	world->dp.mem[DP_MAP_SLOTS] = world->slots;
	world->dp.map_max[DP_MAP_SLOTS] = 1;
}

static struct sh_trace_record packet(void)
{
	return (struct sh_trace_record){
		.step = SH_TRACE_PACKET,
		.arg = { SH_INGRESS, IPPROTO_TCP },
		.src = addr("10.244.1.12"),
		.dst = addr("10.96.0.20"),
		.sport = htons(40000),
		.dport = htons(80),
	};
}

struct row {
	const char *what;
	struct sh_trace_record record;
	const char *name, *text;
};

#define R(step_, ...)                                            \
	{                                                        \
		.step = SH_TRACE_##step_, .arg = { __VA_ARGS__ } \
	}

static const struct row rows[] = {
	{ "a set bit of the prefilter", R(FILTER, 1), "prefilter", "may be a Service's" },
	{ "a clear bit", R(FILTER, 0), "prefilter", "no Service's, for certain" },
	{ "no flow", R(FLOW, SH_FREE), "flow", "none is known: a new connection" },
	{ "a flow", R(FLOW, SH_LIVE, LOCAL_ID), "flow", "known, live, to 10.244.1.11:8080" },
	{ "a flow of an earlier backend", R(FLOW, SH_GONE, GONE_ID), "flow",
	  "known, gone, to a backend that is gone" },
	{ "no frontend", R(FRONTEND, 0), "frontend", "none at 10.96.0.20:80/TCP" },
	{ "a frontend", R(FRONTEND, 7, SH_FE_LOCAL_ONLY | FRONTEND_NODE_PORT), "frontend",
	  "10.96.0.20:80/TCP is NodePort of Service number 7" },
	{ "the whole set", R(POLICY, 0, 0, 0, 3), "policy", "Cluster: 2 candidates" },
	{ "the local set", R(POLICY, 1, 0, 1, 1), "policy", "Local: 1 candidate on this node" },
	{ "an empty set", R(POLICY, 1, 0, 0, 0), "policy", "Local: 0 candidates on this node" },
	{ "a table that is out of bounds", R(POLICY, 0, 0, 8, 0xfffffff8), "policy",
	  "Cluster: 0 candidates" },
	{ "a client that is new", R(AFFINITY, SH_AFFINITY_NEW, 0, 60, 0), "affinity",
	  "ClientIP, for 60 s: the client is new" },
	{ "a client that keeps its backend", R(AFFINITY, SH_AFFINITY_KEPT, LOCAL_ID, 60, 5),
	  "affinity", "ClientIP, for 60 s: 5 s ago it had 10.244.1.11:8080, and keeps it" },
	{ "one that was away too long", R(AFFINITY, SH_AFFINITY_OLD, LOCAL_ID, 60, 61), "affinity",
	  "ClientIP, for 60 s: 61 s ago it had 10.244.1.11:8080, too long" },
	{ "one whose backend has gone", R(AFFINITY, SH_AFFINITY_AWAY, GONE_ID, 60, 5), "affinity",
	  "ClientIP, for 60 s: 5 s ago it had a backend that is gone, which is no candidate now" },
	{ "a slot", R(SLOT, 1, 3, LOCAL_ID), "slot", "number 1 of 3: 10.244.1.11:8080" },
	{ "no masquerade", R(MASQUERADE, SH_SNAT_NONE), "masquerade",
	  "no: the reply passes this node anyway" },
	{ "no route for it", R(MASQUERADE, SH_SNAT_REMOTE, 0, 1), "masquerade",
	  "yes, neither client nor backend is on this node; but there is no route to the backend" },
	{ "the flow table is full", R(BIND, (uint32_t)-ENOSPC), "bind",
	  "no place in the flow table (No space left on device)" },
	{ "a drop", R(DROP, 7, SH_REASON_NO_LOCAL), "drop",
	  "no-local-backend: the traffic policy is Local and no usable endpoint is on this node" },
	{ "a reason of another version", R(DROP, 7, SH_REASON_COUNT), "drop",
	  "unknown: a reason of another version" },
};

static void each_step_has_its_sentence(void **state)
{
	static struct trace_answer answer;
	struct sh_trace written;
	struct world world;
	size_t i;

	world_init(&world);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&answer, 0, sizeof(answer));
		memset(&written, 0, sizeof(written));
		written.n = 2;
		written.v[0] = packet();
		written.v[1] = rows[i].record;
		assert_int_equal(trace_explain(&answer, &world.dp, &written), 0);
		if (answer.n != 2 || strcmp(answer.steps[1].name, rows[i].name) ||
		    strcmp(answer.steps[1].text, rows[i].text))
			fail_msg("%s: %s \"%s\", not %s \"%s\"", rows[i].what, answer.steps[1].name,
				 answer.steps[1].text, rows[i].name, rows[i].text);
		trace_answer_done(&answer);
	}
}

static void local_client_of_a_local_policy_is_told(void **state)
{
	static struct trace_answer answer;
	struct sh_trace written = { .n = 3 };
	struct world world;

	world_init(&world);
	memset(&answer, 0, sizeof(answer));
	written.v[0] = packet();
	written.v[1] =
		(struct sh_trace_record)R(FRONTEND, 7, SH_FE_LOCAL_ONLY | FRONTEND_NODE_PORT);
	written.v[2] = (struct sh_trace_record)R(POLICY, 0, 1, 0, 3);
	assert_int_equal(trace_explain(&answer, &world.dp, &written), 0);
	assert_string_equal(answer.steps[2].text,
			    "Cluster, not Local, since the client is on this node: 2 candidates");
	assert_int_equal(answer.service, 7);
	trace_answer_done(&answer);
}

static void socket_ends_as_it_says(void **state)
{
	static struct trace_answer answer;
	struct sh_trace written = { .n = 3 };
	struct world world;

	world_init(&world);
	memset(&answer, 0, sizeof(answer));
	written.v[0] = packet();
	written.v[0].step = SH_TRACE_SOCKET;
	written.v[0].arg[2] = IPPROTO_UDP;
	written.v[1] = (struct sh_trace_record){ .step = SH_TRACE_REWRITE,
						 .dst = addr("10.244.1.11"),
						 .dport = htons(53) };
	written.v[2] = (struct sh_trace_record)R(END, SH_END_REJECT);
	assert_int_equal(trace_explain(&answer, &world.dp, &written), 0);
	assert_int_equal(answer.n, 2);
	assert_string_equal(answer.steps[0].text, "connects to 10.96.0.20:80, UDP");
	assert_string_equal(answer.steps[1].text, "connects to 10.244.1.11:53 instead");
	assert_true(answer.has_backend);
	assert_int_equal(answer.verdict, PTEST_REJECT);
	trace_answer_done(&answer);
}

static void lost_steps_are_told(void **state)
{
	static struct trace_answer answer;
	struct sh_trace written = { .n = SH_TRACE_STEPS_MAX + 5, .lost = 5 };
	struct world world;
	size_t i;

	world_init(&world);
	memset(&answer, 0, sizeof(answer));
	for (i = 0; i < SH_TRACE_STEPS_MAX; i++)
		written.v[i] = (struct sh_trace_record)R(FILTER, 1);
	assert_int_equal(trace_explain(&answer, &world.dp, &written), 0);
	assert_int_equal(answer.n, SH_TRACE_STEPS_MAX + 1);
	assert_string_equal(answer.steps[SH_TRACE_STEPS_MAX].text,
			    "5 more steps (limit SH_TRACE_STEPS_MAX, 32)");
	trace_answer_done(&answer);
}

static void tree_has_steps_and_verdict(void **state)
{
	static struct trace_answer answer;
	struct world world;
	json_t *tree, *step;

	world_init(&world);
	memset(&answer, 0, sizeof(answer));
	answer.verdict = PTEST_DROP;
	answer.reason = SH_REASON_NO_LOCAL;
	assert_int_equal(trace_add(&answer, "frontend", json_pack("{s:i}", "x", 5), "a %d", 1), 0);
	tree = trace_tree(&answer, &world.dp);
	assert_non_null(tree);
	assert_string_equal(json_string_value(json_object_get(tree, "verdict")), "drop");
	assert_string_equal(json_string_value(json_object_get(tree, "reason")), "no-local-backend");
	assert_true(json_is_null(json_object_get(tree, "backend")));
	step = json_array_get(json_object_get(tree, "steps"), 0);
	assert_string_equal(json_string_value(json_object_get(step, "step")), "frontend");
	assert_string_equal(json_string_value(json_object_get(step, "text")), "a 1");
	assert_int_equal(json_integer_value(json_object_get(step, "x")), 5);
	json_decref(tree);
	trace_answer_done(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_has_its_sentence),
		cmocka_unit_test(local_client_of_a_local_policy_is_told),
		cmocka_unit_test(socket_ends_as_it_says),
		cmocka_unit_test(lost_steps_are_told),
		cmocka_unit_test(tree_has_steps_and_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
