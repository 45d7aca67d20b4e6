// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Taking over an instance with other maps: what becomes of each map, and that
 * no flow is lost, whenever it is cut short. Layouts that differ take another
 * binary: tests/system/test_upgrade_layout.sh. Here it is sizes, which go the
 * same way. Needs root.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/world.h"
#include "dataplane/migrate.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define BACKENDS 16
#define CLIENTS	 300 /* of each family */
#define PORT	 10000

/* ---- the plan ------------------------------------------------------------------ */

struct plan_row {
	const char *what;
	/* One map that is not as it should be: its layout, or how many more entries are wanted. */
	enum dp_map map;
	uint16_t layout;
	int more;
	/* What becomes of these. */
	enum map_way flows, backends, slots, frontends, sockets, counted;
	const char *refused; /* in the message */
};

static const struct plan_row plan_rows[] = {
	{ "all as it should be: all is kept", DP_MAP_META, 1 },
	{ "larger flow tables: the wanted state and all flows move", DP_MAP_FLOWS4, 1, 16, MAP_COPY,
	  MAP_COPY, MAP_COPY, MAP_COPY, MAP_KEEP, MAP_KEEP },
	{ "fewer slots: a publish makes the tables", DP_MAP_SLOTS, 1, -16, MAP_COPY, MAP_COPY,
	  MAP_REFILL, MAP_REFILL, MAP_KEEP, MAP_KEEP },
	{ "more slots", DP_MAP_SLOTS, 1, 16, MAP_COPY, MAP_COPY, MAP_COPY, MAP_COPY },
	{ "other frontends, that nobody reads: a publish makes them", DP_MAP_FRONTENDS, 7, 0,
	  MAP_COPY, MAP_COPY, MAP_REFILL, MAP_REFILL },
	{ "more sockets: they move alone", DP_MAP_SOCKETS, 1, 16, MAP_KEEP, MAP_KEEP, MAP_KEEP,
	  MAP_KEEP, MAP_COPY },
	{ "a map that is new", DP_MAP_COUNTED, 0, 0, MAP_KEEP, MAP_KEEP, MAP_KEEP, MAP_KEEP,
	  MAP_KEEP, MAP_FORGET },
	{ "flows that nobody can read", DP_MAP_FLOWS6, 7, .refused = "shunt_flows6 has layout 7" },
	{ "backends that nobody can read", DP_MAP_BACKENDS, 7,
	  .refused = "shunt_backends has layout 7" },
	{ "sockets that nobody can read", DP_MAP_SOCKETS, 7,
	  .refused = "shunt_sockets has layout 7" },
	{ "affinities that nobody can read", DP_MAP_AFFINITY, 7,
	  .refused = "shunt_affinity has layout 7" },
};

static void check_plan(const struct plan_row *row)
{
	struct map_shape now[DP_MAP_COUNT], wanted[DP_MAP_COUNT];
	enum map_way way[DP_MAP_COUNT];
	struct err err = { .msg = "" };
	int i, ret;

	for (i = 0; i < DP_MAP_COUNT; i++)
		now[i] = wanted[i] = (struct map_shape){ .layout = 1, .entries = 64 };
	now[row->map].layout = row->layout;
	wanted[row->map].entries = (uint32_t)(64 + row->more);
	ret = migrate_plan(now, wanted, way, &err);
	if (row->refused) {
		assert_int_equal(ret, -EPROTO);
		if (!strstr(err.msg, row->refused))
			fail_msg("%s: %s", row->what, err.msg);
		return;
	}
	if (ret)
		fail_msg("%s: %s", row->what, err.msg);
	if (way[DP_MAP_FLOWS4] != row->flows || way[DP_MAP_TAGS6] != row->flows ||
	    way[DP_MAP_BACKENDS] != row->backends || way[DP_MAP_SLOTS] != row->slots ||
	    way[DP_MAP_FRONTENDS] != row->frontends || way[DP_MAP_SOCKETS] != row->sockets ||
	    way[DP_MAP_COUNTED] != row->counted)
		fail_msg("%s: flows %d, backends %d, slots %d, frontends %d, sockets %d, "
			 "counted %d",
			 row->what, way[DP_MAP_FLOWS4], way[DP_MAP_BACKENDS], way[DP_MAP_SLOTS],
			 way[DP_MAP_FRONTENDS], way[DP_MAP_SOCKETS], way[DP_MAP_COUNTED]);
	/* Two sets of programs never read their standing in one place. */
	assert_true(migrate_moves(way) == (row->layout != 1 || row->more));
}

static void each_map_has_its_way(void **state)
{
	for (size_t i = 0; i < sizeof(plan_rows) / sizeof(plan_rows[0]); i++)
		check_plan(&plan_rows[i]);
}

/* ---- an instance --------------------------------------------------------------------- */

struct test {
	struct world world;
	struct world_pins pins;
	struct packet in[2 * CLIENTS], out[2 * CLIENTS];
	uint64_t connections;
};

static void publish_all(struct test *t)
{
	static const struct service_spec specs[] = {
		{ .name = "web", .vip = "10.96.0.10", .port = 80, .proto = IPPROTO_TCP },
		{ .name = "web6", .vip = "fd00:96::10", .port = 80, .proto = IPPROTO_TCP },
	};
	static const char *const addrs[] = { "10.244.1.10", "fd00:1::10" };
	struct wanted *wanted = wanted_new();
	struct publish_result result;
	struct want_service *service;

	for (int i = 0; i < 2; i++) {
		service = wanted_service(wanted, &specs[i]);
		/* Whoever is forgotten goes elsewhere. */
		service->algorithm = SH_RANDOM;
		wanted_backends(
			wanted, service,
			&(struct backends_spec){
				.addr = addrs[i], .n = BACKENDS, .port = 8080, .local = true });
	}
	publish(&t->world, wanted, &result);
	wanted_free(wanted);
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	*state = t;
	world_network(&t->world);
	world_settings(&t->world);
	world_mount(&t->world, &t->pins);
	world_open(&t->world, DATAPLANE_WRITE);
	publish_all(t);
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	world_close(&t->world);
	world_unmount(&t->pins);
	free(t);
	return 0;
}

static struct packet packet_of(int client, uint16_t first, uint8_t flags)
{
	const bool v6 = client >= CLIENTS;
	struct packet packet;

	packet_build(&packet, &(struct spec){ .src = addr_of(v6 ? "fd00:1::99" : "10.244.1.99"),
					      .dst = addr_of(v6 ? "fd00:96::10" : "10.96.0.10"),
					      .sport = (uint16_t)(first + client),
					      .dport = 80,
					      .proto = IPPROTO_TCP,
					      .tcp_flags = flags });
	return packet;
}

static void run_in(const struct test *t, const struct packet *in, struct packet *out)
{
	assert_int_equal(hook_run(&t->world, HOOK_INGRESS, t->world.pod1, in, out), -1);
}

/* An unanswered flow may be forgotten for another one. */
static void answer(const struct test *t, const struct packet *in, const struct packet *out)
{
	struct parsed from, to;
	struct packet reply, got;

	assert_true(packet_parse(in, &from) && packet_parse(out, &to));
	packet_build(&reply, &(struct spec){ .src = packet_addr(out, &to, true),
					     .dst = packet_addr(in, &from, false),
					     .sport = 8080,
					     .dport = packet_get16(in, from.l4),
					     .proto = IPPROTO_TCP,
					     .tcp_flags = TCP_SYN | TCP_ACK });
	assert_int_equal(hook_run(&t->world, HOOK_EGRESS, t->world.pod1, &reply, &got), -1);
	assert_false(packet_eq(&reply, &got));
}

static void connect_one(const struct test *t, const struct packet *in, struct packet *out)
{
	run_in(t, in, out);
	assert_false(packet_eq(in, out));
	answer(t, in, out);
}

static void connect_all(struct test *t)
{
	for (int i = 0; i < 2 * CLIENTS; i++) {
		t->in[i] = packet_of(i, PORT, TCP_SYN);
		connect_one(t, &t->in[i], &t->out[i]);
	}
	t->connections = connections_to(&t->world, NULL);
	assert_int_equal(t->connections, 2 * CLIENTS);
}

static uint64_t live_of(const struct test *t)
{
	const struct sh_backend *lines = t->world.dp->mem[DP_MAP_BACKENDS];
	uint64_t live = 0;

	for (uint32_t i = 0; i < t->world.dp->map_max[DP_MAP_BACKENDS]; i++)
		live += lines[i].live;
	return live;
}

/* Everybody still reaches whom he has reached before, and nothing was made for that. */
static void check_all(const struct test *t)
{
	struct packet out;

	for (int i = 0; i < 2 * CLIENTS; i++) {
		run_in(t, &t->in[i], &out);
		if (!packet_eq(&out, &t->out[i]))
			fail_msg("client %d is sent elsewhere", i);
		assert_non_null(flow_of(&t->world, &t->in[i], SH_INGRESS));
	}
	assert_int_equal(connections_to(&t->world, NULL), t->connections);
	assert_int_equal(live_of(t), t->connections);
}

/* ---- taking over -------------------------------------------------------------------------- */

typedef int (*step_fn)(struct dataplane *dp, struct err *err);
static const step_fn steps[] = { migrate_prepare, migrate_hand_over, migrate_leave,
				 migrate_finish };
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static void take_steps(struct test *t, size_t n)
{
	struct err err = { .msg = "" };

	for (size_t i = 0; i < n; i++) {
		if (steps[i](t->world.dp, &err))
			fail_msg("step %zu: %s", i, err.msg);
	}
}

static void reopen(struct test *t)
{
	world_close(&t->world);
	world_open(&t->world, DATAPLANE_WRITE);
}

static void move_to(struct test *t, uint32_t flows)
{
	t->world.settings.max_flows4 = flows;
	t->world.settings.max_flows6 = flows;
	reopen(t);
	assert_non_null(t->world.dp->migration);
	assert_false(dataplane_needs_publish(t->world.dp));
	take_steps(t, STEPS);
	assert_null(t->world.dp->migration);
	assert_int_equal(t->world.dp->map_max[DP_MAP_FLOWS4], flows);
	check_all(t);
	/* Whoever comes next finds nothing to do. */
	reopen(t);
	assert_null(t->world.dp->migration);
	assert_false(t->world.dp->fresh_programs);
	check_all(t);
}

static void flows_are_found_in_tables_of_any_size(void **state)
{
	struct test *t = *state;

	connect_all(t);
	move_to(t, 65536);
	move_to(t, 2048);
	move_to(t, 4096);
}

static void what_finds_no_place_is_told_before_anything_changes(void **state)
{
	struct err err = { .msg = "" };
	struct test *t = *state;

	connect_all(t);
	t->world.settings.max_flows4 = 256;
	reopen(t);
	assert_int_equal(migrate_prepare(t->world.dp, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "--max-flows4"));
	t->world.settings.max_flows4 = 4096;
	reopen(t);
	assert_null(t->world.dp->migration);
	check_all(t);
}

static void fewer_slots_wait_for_a_publish(void **state)
{
	struct packet in = packet_of(0, PORT + 2 * CLIENTS, TCP_SYN), out;
	struct test *t = *state;

	connect_all(t);
	t->world.settings.max_slots = 32768;
	reopen(t);
	assert_true(dataplane_needs_publish(t->world.dp));
	publish_all(t);
	assert_false(dataplane_needs_publish(t->world.dp));
	take_steps(t, STEPS);
	check_all(t);
	run_in(t, &in, &out);
	assert_false(packet_eq(&in, &out));
}

/* Cut short after each step, and begun again. */
static void it_goes_on_wherever_it_was_cut_short(void **state)
{
	struct test *t = *state;
	uint32_t flows = 4096;

	connect_all(t);
	for (size_t done = 0; done <= STEPS; done++) {
		flows = flows == 4096 ? 16384 : 4096;
		t->world.settings.max_flows4 = flows;
		t->world.settings.max_flows6 = flows;
		reopen(t);
		take_steps(t, done);
		reopen(t);
		assert_true(!t->world.dp->migration == (done == STEPS));
		if (t->world.dp->migration && migrate_has_left(t->world.dp))
			assert_int_equal(migrate_finish(t->world.dp, NULL), 0);
		else if (t->world.dp->migration)
			take_steps(t, STEPS);
		assert_int_equal(t->world.dp->map_max[DP_MAP_FLOWS4], flows);
		check_all(t);
		reopen(t);
		assert_null(t->world.dp->migration);
		check_all(t);
	}
}

static void swap(int *a, int *b)
{
	int was = *a;

	*a = *b;
	*b = was;
}

/* The old programs on one hook, the new ones on the next: whom each of them serves. */
static void old_programs_keep_to_the_flows_they_know(void **state)
{
	struct packet in = packet_of(0, PORT + 2 * CLIENTS, TCP_SYN), out;
	struct packet late = packet_of(1, PORT + 2 * CLIENTS, TCP_SYN), late_out;
	struct test *t = *state;
	int *ingress, old;

	connect_all(t);
	old = dup(t->world.dp->prog_fd[DP_PROG_INGRESS]);
	assert_true(old >= 0);
	t->world.settings.max_flows4 = 65536;
	reopen(t);
	take_steps(t, 1);
	ingress = &t->world.dp->prog_fd[DP_PROG_INGRESS];
	/* After the first copy: what the old ones make is brought over later. */
	swap(ingress, &old);
	run_in(t, &late, &late_out);
	assert_false(packet_eq(&late, &late_out));
	assert_int_equal(migrate_hand_over(t->world.dp, NULL), 0);
	run_in(t, &in, &out);
	assert_true(packet_eq(&in, &out)); /* a new flow: none of theirs */
	run_in(t, &t->in[0], &out);
	assert_true(packet_eq(&out, &t->out[0]));
	swap(ingress, &old);
	run_in(t, &in, &out);
	assert_false(packet_eq(&in, &out));
	run_in(t, &late, &out);
	assert_true(packet_eq(&out, &late_out));
	assert_int_equal(migrate_leave(t->world.dp, NULL), 0);
	assert_int_equal(migrate_finish(t->world.dp, NULL), 0);
	t->connections = 2 * CLIENTS + 2;
	assert_int_equal(live_of(t), t->connections);
	(void)close(old);
}

/* Of another layout, which this binary hasn't got a row for. */
static void a_reader_says_who_made_it(void **state)
{
	struct dataplane *reader = NULL;
	struct err err = { .msg = "" };
	struct test *t = *state;
	struct sh_control *control = t->world.dp->mem[DP_MAP_CONTROL];

	control->layout[SH_LAYOUT_DROPS] = 9;
	assert_int_equal(dataplane_open(&reader, DATAPLANE_READ, &t->world.settings, &err),
			 -EPROTO);
	assert_non_null(strstr(err.msg, "another map layout (shunt_drops: 9, this one has 1)"));
	control->layout[SH_LAYOUT_DROPS] = 1;
	assert_int_equal(dataplane_open(&reader, DATAPLANE_READ, &t->world.settings, &err), 0);
	dataplane_close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_map_has_its_way),
		TEST(flows_are_found_in_tables_of_any_size),
		TEST(what_finds_no_place_is_told_before_anything_changes),
		TEST(fewer_slots_wait_for_a_publish),
		TEST(it_goes_on_wherever_it_was_cut_short),
		TEST(old_programs_keep_to_the_flows_they_know),
		TEST(a_reader_says_who_made_it),
	};
#undef TEST

	return world_run_tests("migrate", tests, sizeof(tests) / sizeof(tests[0]));
}
