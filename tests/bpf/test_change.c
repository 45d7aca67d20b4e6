/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Publishing a part: what is not named stays as it is; addresses that Services
 * share; what is withdrawn is freed step by step; flows that are over go by
 * themselves. Needs root.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/world.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct test {
	struct world world;
};

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	world_network(&t->world);
	world_settings(&t->world);
	/* Unanswered flows may have a quarter of a bucket: with few buckets some would be refused. */
	t->world.settings.max_flows4 = 65536;
	world_open(&t->world, DATAPLANE_SCRATCH);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	world_close(&t->world);
	free(t);
	return 0;
}

/* ---- what is wanted ------------------------------------------------------------ */

struct shape {
	const char *name, *vip;
	uint16_t port, node_port;
	const char *backend; /* the first one; NULL: none */
	uint16_t n;
	enum frontend_kind kind; /* of the vip */
};

static const struct shape apple = { .name = "apple",
				    .vip = "10.96.0.10",
				    .port = 80,
				    .node_port = 30080,
				    .backend = "10.244.1.10",
				    .n = 3 };
static const struct shape berry = { .name = "berry",
				    .vip = "10.96.0.11",
				    .port = 80,
				    .node_port = 30081,
				    .backend = "10.244.1.20",
				    .n = 3 };

static void add(struct wanted *wanted, const struct shape *shape)
{
	const struct service_spec spec = { .name = shape->name,
					   .vip = shape->vip,
					   .port = shape->port,
					   .node_port = shape->node_port,
					   .proto = IPPROTO_TCP };
	struct want_service *service = wanted_service(wanted, &spec);

	service->frontends[0].kind = shape->kind;
	service->any_usable = shape->backend;
	if (shape->backend)
		wanted_backends(wanted, service,
				&(struct backends_spec){ .addr = shape->backend,
							 .n = shape->n,
							 .port = 8080,
							 .local = true });
}

static void publish_shapes(struct test *t, const struct shape *a, const struct shape *b)
{
	struct wanted *wanted = wanted_new();
	struct publish_result result;

	add(wanted, a);
	if (b)
		add(wanted, b);
	publish(&t->world, wanted, &result);
	wanted_free(wanted);
}

/* What @name is to have now: @shape, or nothing. */
static struct publish_result change(struct test *t, const char *name, const struct shape *shape)
{
	const struct publish_name names[] = { { "default", name } };
	struct wanted *wanted = wanted_new();
	struct publish_order order = { .wanted = wanted, .names = names, .n_names = 1 };
	struct publish_result result;
	struct err err = { .msg = "" };

	if (shape)
		add(wanted, shape);
	if (dataplane_change(t->world.dp, &order, &result, &err))
		fail_msg("dataplane_change: %s", err.msg);
	wanted_free(wanted);
	return result;
}

/* ---- what the kernel holds --------------------------------------------------------- */

static bool frontend_at(const struct test *t, const char *addr, uint16_t port,
			struct sh_frontend *out)
{
	struct sh_frontend_key key = { .addr = addr_of(addr),
				       .port = htons(port),
				       .proto = port ? IPPROTO_TCP : 0 };

	return !bpf_map_lookup_elem(t->world.dp->map_fd[DP_MAP_FRONTENDS], &key, out);
}

static const struct sh_backend *backend_at(const struct test *t, const char *text)
{
	const struct sh_backend *lines = t->world.dp->mem[DP_MAP_BACKENDS];
	struct sh_addr addr = addr_of(text);

	for (uint32_t i = 1; i < t->world.dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (lines[i].id && addr_eq(&lines[i].addr, &addr))
			return &lines[i];
	}
	return NULL;
}

static struct packet packet_to(const char *dst, uint16_t sport, uint16_t dport)
{
	struct packet packet;

	packet_build(&packet, &(struct spec){ .src = addr_of("198.51.100.7"),
					      .dst = addr_of(dst),
					      .sport = sport,
					      .dport = dport,
					      .proto = IPPROTO_TCP,
					      .tcp_flags = TCP_SYN });
	return packet;
}

/* Does a new connection to the node's @port reach somebody? */
static bool serves(const struct test *t, uint16_t sport, uint16_t port)
{
	struct packet in = packet_to("192.0.2.1", sport, port), out;

	return hook_run(&t->world, HOOK_XDP, t->world.eth0, &in, &out) == XDP_PASS &&
	       !packet_eq(&in, &out);
}

/* ---- parts ------------------------------------------------------------------------- */

static void a_part_leaves_the_rest(void **state)
{
	struct sh_frontend before, after;
	const struct shape more = { .name = "berry",
				    .vip = "10.96.0.11",
				    .port = 80,
				    .node_port = 30081,
				    .backend = "10.244.1.20",
				    .n = 5 };
	struct publish_result result;
	struct test *t = *state;

	publish_shapes(t, &apple, &berry);
	assert_true(frontend_at(t, apple.vip, 80, &before));
	result = change(t, "berry", &more);
	assert_int_equal(result.services_changed, 1);
	assert_int_equal(result.backends_added, 2);
	assert_int_equal(result.services_removed, 0);
	assert_true(frontend_at(t, apple.vip, 80, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(serves(t, 1000, 30080) && serves(t, 1001, 30081));

	result = change(t, "berry", NULL);
	assert_int_equal(result.services_removed, 1);
	assert_int_equal(result.backends_removed, 5);
	assert_false(frontend_at(t, berry.vip, 80, &after));
	assert_false(frontend_at(t, berry.vip, 0, &after));
	assert_true(serves(t, 1002, 30080));
	assert_false(serves(t, 1003, 30081));
	/* And back, without a word about the other. */
	result = change(t, "berry", &berry);
	assert_int_equal(result.services_added, 1);
	assert_true(serves(t, 1004, 30081));
}

static void all_but_those_named(void **state)
{
	const struct publish_name names[] = { { "default", "berry" }, { "default", "unknown" } };
	struct wanted *nothing = wanted_new();
	const struct publish_order order = {
		.wanted = nothing, .names = names, .n_names = 2, .all = true
	};
	struct publish_result result;
	struct err err = { .msg = "" };
	struct test *t = *state;

	publish_shapes(t, &apple, &berry);
	if (dataplane_change(t->world.dp, &order, &result, &err))
		fail_msg("dataplane_change: %s", err.msg);
	assert_int_equal(result.services_removed, 1);
	assert_false(serves(t, 1000, 30080));
	assert_true(serves(t, 1001, 30081));
	wanted_free(nothing);
}

static void who_has_a_frontend_keeps_it(void **state)
{
	struct shape thief = berry;
	struct sh_frontend before, after;
	struct publish_result result;
	struct test *t = *state;

	publish_shapes(t, &apple, &berry);
	assert_true(frontend_at(t, apple.vip, 80, &before));
	thief.vip = apple.vip;
	result = change(t, "berry", &thief);
	assert_int_equal(result.conflicts, 1);
	assert_true(frontend_at(t, apple.vip, 80, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	/* Its owner gone, the next one who asks gets it. */
	(void)change(t, "apple", NULL);
	result = change(t, "berry", &thief);
	assert_int_equal(result.conflicts, 0);
	assert_true(frontend_at(t, apple.vip, 80, &after));
	assert_int_not_equal(after.service, before.service);
}

/* In one publish, too: what one Service lets go another may take. */
static void a_frontend_changes_hands(void **state)
{
	const struct publish_name names[] = { { "default", "apple" }, { "default", "berry" } };
	struct wanted *wanted = wanted_new();
	struct publish_order order = { .wanted = wanted, .names = names, .n_names = 2 };
	struct shape heir = berry;
	struct publish_result result;
	struct sh_frontend before, after;
	struct err err = { .msg = "" };
	struct test *t = *state;

	publish_shapes(t, &apple, &berry);
	assert_true(frontend_at(t, apple.vip, 80, &before));
	heir.vip = apple.vip;
	heir.node_port = apple.node_port;
	add(wanted, &heir);
	if (dataplane_change(t->world.dp, &order, &result, &err))
		fail_msg("dataplane_change: %s", err.msg);
	assert_int_equal(result.conflicts, 0);
	assert_true(frontend_at(t, apple.vip, 80, &after));
	assert_int_not_equal(after.service, before.service);
	assert_true(serves(t, 1000, 30080));
	assert_false(serves(t, 1001, 30081));
	wanted_free(wanted);
}

/* What another proxy serves is known while its Service is, and is nobody's business else. */
static void another_proxys_address_is_known(void **state)
{
	const struct publish_name names[] = { { "default", "cherry" } };
	struct want_other other = { "default", "cherry", addr_of("10.96.0.50") };
	struct wanted *wanted = wanted_new();
	struct publish_order order = { .wanted = wanted, .names = names, .n_names = 1 };
	struct publish_result result;
	struct err err = { .msg = "" };
	struct sh_frontend frontend;
	struct test *t = *state;

	publish_shapes(t, &apple, NULL);
	wanted->others = &other;
	wanted->n_others = 1;
	if (dataplane_change(t->world.dp, &order, &result, &err))
		fail_msg("dataplane_change: %s", err.msg);
	assert_true(frontend_at(t, "10.96.0.50", 0, &frontend));
	assert_int_equal(frontend.service, 0);
	(void)change(t, "apple", NULL);
	assert_true(frontend_at(t, "10.96.0.50", 0, &frontend));
	(void)change(t, "cherry", NULL);
	assert_false(frontend_at(t, "10.96.0.50", 0, &frontend));
	wanted->n_others = 0;
	wanted_free(wanted);
}

/* ---- shared addresses ----------------------------------------------------------------- */

static void an_address_is_there_while_somebody_uses_it(void **state)
{
	const struct shape http = { .name = "apple",
				    .vip = "203.0.113.1",
				    .port = 80,
				    .backend = "10.244.1.10",
				    .n = 1,
				    .kind = FRONTEND_LOAD_BALANCER };
	struct shape https = {
		.name = "berry", .vip = "203.0.113.1", .port = 443, .kind = FRONTEND_LOAD_BALANCER
	};
	struct sh_frontend address, second;
	struct test *t = *state;

	publish_shapes(t, &http, &https);
	assert_true(frontend_at(t, http.vip, 0, &address));
	assert_true(address.flags & SH_FE_PING);
	/* The one with an endpoint goes: still there, but not to be pinged. */
	(void)change(t, "apple", NULL);
	assert_true(frontend_at(t, http.vip, 0, &address));
	assert_false(address.flags & SH_FE_PING);
	assert_true(frontend_at(t, http.vip, 443, &second));
	assert_int_equal(address.service, second.service);
	https.backend = "10.244.1.30";
	https.n = 1;
	(void)change(t, "berry", &https);
	assert_true(frontend_at(t, http.vip, 0, &address));
	assert_true(address.flags & SH_FE_PING);
	(void)change(t, "berry", NULL);
	assert_false(frontend_at(t, http.vip, 0, &address));
}

/* ---- what is withdrawn ------------------------------------------------------------------- */

static void retire(struct test *t, struct sweep_result *out)
{
	struct sweep_result part;
	struct err err = { .msg = "" };
	bool more = true;

	*out = (struct sweep_result){ 0 };
	assert_true(dataplane_retire_begin(t->world.dp));
	assert_false(dataplane_retire_begin(t->world.dp)); /* one batch at a time */
	if (dataplane_retire_grace(t->world.dp, &err))
		fail_msg("dataplane_retire_grace: %s", err.msg);
	dataplane_retire_slots(t->world.dp);
	while (more) {
		more = dataplane_sweep(t->world.dp, 0, &part);
		out->ended += part.ended;
	}
}

static void an_id_is_free_when_all_steps_are_done(void **state)
{
	const struct shape fewer = { .name = "apple",
				     .vip = "10.96.0.10",
				     .port = 80,
				     .node_port = 30080,
				     .backend = "10.244.1.10",
				     .n = 2 };
	struct sweep_result swept;
	struct packet in;
	uint32_t id;
	struct test *t = *state;

	publish_shapes(t, &apple, NULL);
	id = backend_at(t, "10.244.1.12")->id;
	for (uint16_t sport = 1000; sport < 1050; sport++)
		assert_true(serves(t, sport, 30080));
	(void)change(t, "apple", &fewer);
	assert_non_null(backend_at(t, "10.244.1.12")); /* in no table, but named by flows */
	/* What a publish withdraws meanwhile waits for the next batch. */
	retire(t, &swept);
	assert_true(swept.ended > 0 && swept.ended < 100);
	assert_null(backend_at(t, "10.244.1.12"));
	assert_false(dataplane_retire_begin(t->world.dp));
	for (uint16_t sport = 1000; sport < 1050; sport++) {
		const struct sh_flow *flow;

		in = packet_to("192.0.2.1", sport, 30080);
		flow = flow_of(&t->world, &in, SH_INGRESS);
		assert_non_null(flow);
		assert_int_equal(state_of(&t->world, flow) == SH_GONE, flow->backend == id);
	}
}

/* ---- what is over -------------------------------------------------------------------------- */

static struct sweep_result sweep(struct test *t)
{
	struct sweep_result all = { 0 }, part;
	bool more = true;

	dataplane_sweep_begin(t->world.dp);
	while (more) {
		more = dataplane_sweep(t->world.dp, 1000000, &part);
		all.expired += part.expired;
		all.ended += part.ended;
	}
	return all;
}

/* As if the flow's last packet had come @stamps earlier. */
static void make_older(const struct test *t, const struct sh_flow *flow, uint32_t stamps)
{
	uint32_t *word = word_of(&t->world, flow);

	*word = (*word & ~SH_WORD_STAMP_MASK) | ((*word - stamps) & SH_WORD_STAMP_MASK);
}

static void an_expired_flow_goes_and_is_accounted(void **state)
{
	const struct sh_config *config;
	const struct sh_backend *backend;
	const struct sh_flow *flow;
	struct packet in = packet_to("192.0.2.1", 1000, 30080);
	uint64_t packets;
	uint32_t *word;
	struct test *t = *state;

	config = &((const struct sh_control *)t->world.dp->mem[DP_MAP_CONTROL])->config;
	publish_shapes(t, &apple, NULL);
	assert_true(serves(t, 1000, 30080));
	flow = flow_of(&t->world, &in, SH_INGRESS);
	backend = (const struct sh_backend *)t->world.dp->mem[DP_MAP_BACKENDS] +
		  SH_BACKEND_INDEX(flow->backend);
	packets = backend->packets;
	assert_int_equal(backend->live, 1);
	assert_int_equal(sweep(t).expired, 0);
	make_older(t, flow, (uint32_t)config->expire[SH_NEW]);
	assert_int_equal(sweep(t).expired, 0); /* that old it may be */
	word = word_of(&t->world, flow);
	*word |= SH_WORD_OVERFLOW;
	make_older(t, flow, 1);
	assert_int_equal(sweep(t).expired, 1);
	assert_int_equal(*word, SH_WORD_OVERFLOW); /* the bucket's, not the flow's */
	assert_int_equal(backend->live, 0);
	assert_int_equal(backend->packets, packets + 1);
	/* The tuple is a new connection's now. */
	assert_true(serves(t, 1000, 30080));
	assert_int_equal(backend->live, 1);
}

/* A packet that comes while a pass is on its way stamps its flow with a later time. */
static void a_flow_stamped_since_the_pass_began_stays(void **state)
{
	const struct sh_flow *flow;
	struct packet in = packet_to("192.0.2.1", 1000, 30080);
	struct test *t = *state;

	publish_shapes(t, &apple, NULL);
	assert_true(serves(t, 1000, 30080));
	flow = flow_of(&t->world, &in, SH_INGRESS);
	make_older(t, flow, (uint32_t)-2);
	assert_int_equal(sweep(t).expired, 0);
	assert_int_equal(state_of(&t->world, flow), SH_NEW);
}

static void what_is_over_lingers_for_a_while(void **state)
{
	const struct sh_flow *flow;
	struct packet in = packet_to("192.0.2.1", 1000, 30080);
	uint32_t *word;
	struct test *t = *state;

	publish_shapes(t, &apple, NULL);
	assert_true(serves(t, 1000, 30080));
	flow = flow_of(&t->world, &in, SH_INGRESS);
	word = word_of(&t->world, flow);
	*word = (*word & ~SH_WORD_STATE_MASK) | (uint32_t)SH_CLOSED << SH_WORD_STATE_SHIFT;
	assert_int_equal(sweep(t).expired, 0); /* its last ACK may be on its way */
	make_older(t, flow, 8);
	assert_int_equal(sweep(t).expired, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_part_leaves_the_rest),
		TEST(all_but_those_named),
		TEST(who_has_a_frontend_keeps_it),
		TEST(a_frontend_changes_hands),
		TEST(another_proxys_address_is_known),
		TEST(an_address_is_there_while_somebody_uses_it),
		TEST(an_id_is_free_when_all_steps_are_done),
		TEST(an_expired_flow_goes_and_is_accounted),
		TEST(a_flow_stamped_since_the_pass_began_stays),
		TEST(what_is_over_lingers_for_a_while),
	};
#undef TEST

	return world_run_tests("change", tests, sizeof(tests) / sizeof(tests[0]));
}
