/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Publishing and adopting: what a change of the wanted state does to the maps,
 * to what is spread over backends, and to what was there when it fails. Each
 * test has a node and maps of its own. Needs root.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/world.h"

/* A row says what differs from zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define NODE_PORT 30080
#define BACKENDS  10
#define CLIENTS	  10000

struct test {
	struct world world;
	struct world_pins pins;
};

/* ---- what is wanted ----------------------------------------------------------- */

/* One Service of @n backends here, from 10.244.1.10 on, without the one numbered @without. */
static struct wanted *wanted_of(uint16_t n, int without)
{
	const struct service_spec spec = { .name = "web",
					   .vip = "10.96.0.10",
					   .port = 80,
					   .node_port = NODE_PORT,
					   .proto = IPPROTO_TCP };
	struct wanted *wanted = wanted_new();
	struct want_service *service = wanted_service(wanted, &spec);
	char addr[32];

	for (int i = 0; i < n; i++) {
		(void)snprintf(addr, sizeof(addr), "10.244.1.%d", 10 + i);
		if (i != without)
			wanted_backends(
				wanted, service,
				&(struct backends_spec){
					.addr = addr, .n = 1, .port = 8080, .local = true });
	}
	return wanted;
}

static void publish_free(struct test *t, struct wanted *wanted, struct publish_result *result)
{
	publish(&t->world, wanted, result);
	wanted_free(wanted);
}

static void setup_node(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	world_network(&t->world);
	world_settings(&t->world);
	t->world.settings.max_flows4 = 65536;
	*state = t;
}

static int setup(void **state)
{
	struct test *t;

	setup_node(state);
	t = *state;
	world_open(&t->world, DATAPLANE_SCRATCH);
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	world_close(&t->world);
	free(t);
	return 0;
}

/* ---- what the kernel holds -------------------------------------------------------- */

#define FRONTENDS_MAX 64

/* All that decides where packets go, byte for byte. */
struct dump {
	struct {
		struct sh_frontend_key key;
		struct sh_frontend value;
	} frontends[FRONTENDS_MAX];
	size_t n_frontends;
	char *slots, *backends, *filter;
};

static char *copy_map(const struct test *t, enum dp_map map)
{
	char *copy = malloc(t->world.dp->mem_len[map]);

	assert_non_null(copy);
	memcpy(copy, t->world.dp->mem[map], t->world.dp->mem_len[map]);
	return copy;
}

static int frontend_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sh_frontend_key));
}

static struct dump *dump_make(const struct test *t)
{
	int fd = t->world.dp->map_fd[DP_MAP_FRONTENDS];
	struct dump *dump = calloc(1, sizeof(*dump));
	struct sh_frontend_key key, *from = NULL;

	assert_non_null(dump);
	while (!bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		assert_in_range(dump->n_frontends, 0, FRONTENDS_MAX - 1);
		dump->frontends[dump->n_frontends].key = key;
		assert_int_equal(
			bpf_map_lookup_elem(fd, &key, &dump->frontends[dump->n_frontends].value),
			0);
		dump->n_frontends++;
	}
	qsort(dump->frontends, dump->n_frontends, sizeof(dump->frontends[0]), frontend_cmp);
	dump->slots = copy_map(t, DP_MAP_SLOTS);
	dump->backends = copy_map(t, DP_MAP_BACKENDS);
	dump->filter = copy_map(t, DP_MAP_FILTER);
	return dump;
}

static void dump_free(struct dump *dump)
{
	free(dump->slots);
	free(dump->backends);
	free(dump->filter);
	free(dump);
}

/* @slots: those too, where nobody looks any more */
static void check_unchanged(const struct test *t, const struct dump *before, bool slots)
{
	const size_t *len = t->world.dp->mem_len;
	struct dump *now = dump_make(t);

	assert_int_equal(now->n_frontends, before->n_frontends);
	assert_memory_equal(now->frontends, before->frontends, sizeof(now->frontends));
	assert_memory_equal(now->filter, before->filter, len[DP_MAP_FILTER]);
	if (slots) {
		assert_memory_equal(now->slots, before->slots, len[DP_MAP_SLOTS]);
		assert_memory_equal(now->backends, before->backends, len[DP_MAP_BACKENDS]);
	}
	dump_free(now);
}

/* The line of the backend at 10.244.1.(10 + @n); NULL: there is none. */
static const struct sh_backend *backend_at(const struct test *t, int n)
{
	const struct sh_backend *lines = t->world.dp->mem[DP_MAP_BACKENDS];
	struct sh_addr addr = addr_of("10.244.1.10");

	addr = addr_add(&addr, (uint64_t)n);
	for (uint32_t i = 1; i < t->world.dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (lines[i].id && addr_eq(&lines[i].addr, &addr))
			return &lines[i];
	}
	return NULL;
}

/* ---- packets ------------------------------------------------------------------------ */

static struct packet syn_of(uint16_t sport)
{
	struct packet packet;

	packet_build(&packet, &(struct spec){ .src = addr_of("198.51.100.7"),
					      .dst = addr_of("192.0.2.1"),
					      .sport = sport,
					      .dport = NODE_PORT,
					      .proto = IPPROTO_TCP,
					      .tcp_flags = TCP_SYN });
	return packet;
}

/* The backend's number that XDP sends this client's port to; -1: it didn't translate. */
static int backend_of(const struct test *t, uint16_t sport)
{
	struct packet in = syn_of(sport), out;
	struct parsed parsed;
	struct sh_addr dst;

	if (hook_run(&t->world, HOOK_XDP, t->world.eth0, &in, &out) != XDP_PASS ||
	    packet_eq(&in, &out))
		return -1;
	assert_true(packet_csums_hold(&out) && packet_parse(&out, &parsed));
	dst = packet_addr(&out, &parsed, true);
	return (int)(ntohl(dst.w[3]) - ntohl(addr_of("10.244.1.10").w[3]));
}

/* How many of CLIENTS new connections each backend got. The flow table is emptied on the way. */
static void spread(const struct test *t, size_t of[BACKENDS])
{
	int n;

	memset(of, 0, BACKENDS * sizeof(*of));
	for (int i = 0; i < CLIENTS; i++) {
		if (i % 1000 == 0)
			flows_forget(&t->world);
		n = backend_of(t, (uint16_t)(10000 + i));
		assert_in_range(n, 0, BACKENDS - 1);
		of[n]++;
	}
}

static void check_share(size_t got, double want, double tolerance)
{
	if ((double)got < want * (1 - tolerance) || (double)got > want * (1 + tolerance))
		fail_msg("%zu connections, not within %.0f %% of %.0f", got, tolerance * 100, want);
}

/* ---- changes --------------------------------------------------------------------------- */

static void the_same_again_changes_nothing(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	struct dump *before;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_int_equal(result.services_added, 1);
	assert_int_equal(result.backends_added, BACKENDS);
	before = dump_make(t);
	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_memory_equal(&result, &(struct publish_result){ 0 }, sizeof(result));
	check_unchanged(t, before, true);
	dump_free(before);
}

static void who_stays_keeps_his_id(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	uint32_t ids[BACKENDS];

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	for (int i = 0; i < BACKENDS; i++)
		ids[i] = backend_at(t, i)->id;
	publish_free(t, wanted_of(BACKENDS, 3), &result);
	assert_int_equal(result.services_changed, 1);
	assert_int_equal(result.backends_removed, 1);
	assert_int_equal(result.backends_added, 0);
	for (int i = 0; i < BACKENDS; i++) {
		if (i == 3)
			assert_null(backend_at(t, i));
		else
			assert_int_equal(backend_at(t, i)->id, ids[i]);
	}
}

static void an_index_comes_back_with_another_generation(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	uint32_t id, again;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	id = backend_at(t, 3)->id;
	for (int i = 0; i < 300; i++) { /* more than there are generations */
		publish_free(t, wanted_of(BACKENDS, 3), &result);
		publish_free(t, wanted_of(BACKENDS, -1), &result);
		again = backend_at(t, 3)->id;
		assert_int_not_equal(again, id);
		if (SH_BACKEND_INDEX(again) == SH_BACKEND_INDEX(id))
			assert_int_not_equal(SH_BACKEND_GENERATION(again),
					     SH_BACKEND_GENERATION(id));
		assert_int_equal(backend_at(t, 3)->connections, 0);
		id = again;
	}
}

static void a_service_that_goes_leaves_nothing(void **state)
{
	struct wanted *none = wanted_new();
	struct publish_result result;
	struct test *t = *state;
	struct dump *empty;

	publish(&t->world, none, &result); /* the node's addresses */
	empty = dump_make(t);
	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_in_range(backend_of(t, 20000), 0, BACKENDS - 1);
	publish_free(t, none, &result);
	assert_int_equal(result.services_removed, 1);
	assert_int_equal(result.backends_removed, BACKENDS);
	assert_true(result.flows_ended >= 2);
	check_unchanged(t, empty, false);
	for (int i = 0; i < BACKENDS; i++)
		assert_null(backend_at(t, i));
	assert_int_equal(backend_of(t, 20001), -1);
	dump_free(empty);
}

/* Many changes in a row find room again and again: nothing leaks. */
static void changes_do_not_use_up_the_maps(void **state)
{
	struct publish_result result;
	struct test *t = *state;

	for (int i = 0; i < 200; i++)
		publish_free(t, wanted_of(BACKENDS, i % BACKENDS), &result);
	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_in_range(backend_of(t, 20000), 0, BACKENDS - 1);
}

/* ---- selection ---------------------------------------------------------------------------- */

static void maglev_spreads_evenly(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	size_t of[BACKENDS];

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	spread(t, of);
	for (int i = 0; i < BACKENDS; i++)
		check_share(of[i], CLIENTS / BACKENDS, 0.25);
}

static void maglev_moves_few(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	int before[CLIENTS], now, moved = 0, stayed = 0;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	for (int i = 0; i < CLIENTS; i++)
		before[i] = backend_of(t, (uint16_t)(10000 + i));
	publish_free(t, wanted_of(BACKENDS, 3), &result);
	flows_forget(&t->world);
	for (int i = 0; i < CLIENTS; i++) {
		now = backend_of(t, (uint16_t)(10000 + i));
		assert_int_not_equal(now, 3);
		if (before[i] == 3)
			continue;
		moved += now != before[i];
		stayed += now == before[i];
	}
	/* Of those who need not move. */
	assert_true(moved * 10 < stayed);
}

/* Weights 1 to 4 and again, the last two backends with 0 and 1. */
static void check_weights(struct test *t, enum sh_algorithm algorithm)
{
	static const uint16_t weights[BACKENDS] = { 1, 2, 3, 4, 1, 2, 3, 4, 0, 1 };
	struct wanted *wanted = wanted_of(BACKENDS, -1);
	struct publish_result result;
	size_t of[BACKENDS], sum = 0;

	wanted->services[0].algorithm = algorithm;
	for (int i = 0; i < BACKENDS; i++) {
		wanted->services[0].backends[i].weight = weights[i];
		sum += weights[i];
	}
	publish_free(t, wanted, &result);
	spread(t, of);
	for (int i = 0; i < BACKENDS; i++)
		check_share(of[i], (double)CLIENTS * weights[i] / (double)sum, 0.15);
}

static void maglev_honours_weights(void **state)
{
	check_weights(*state, SH_MAGLEV);
}

static void random_honours_weights(void **state)
{
	check_weights(*state, SH_RANDOM);
}

static void other_algorithms_reach_all(void **state)
{
	static const enum sh_algorithm algorithms[] = { SH_RANDOM, SH_LEAST_CONN };
	struct publish_result result;
	struct test *t = *state;
	struct wanted *wanted;
	size_t of[BACKENDS];

	for (size_t a = 0; a < 2; a++) {
		wanted = wanted_of(BACKENDS, -1);
		wanted->services[0].algorithm = algorithms[a];
		publish_free(t, wanted, &result);
		spread(t, of);
		for (int i = 0; i < BACKENDS; i++)
			check_share(of[i], CLIENTS / BACKENDS, 0.25);
	}
}

/* Of two choices the one with fewer live flows: one who has many gets few. */
static void least_conn_spares_the_busy(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	struct wanted *wanted = wanted_of(BACKENDS, -1);
	struct sh_backend *lines = t->world.dp->mem[DP_MAP_BACKENDS];
	size_t of[BACKENDS];

	wanted->services[0].algorithm = SH_LEAST_CONN;
	publish_free(t, wanted, &result);
	lines[SH_BACKEND_INDEX(backend_at(t, 3)->id)].live = 1000000;
	spread(t, of);
	/* Only where both choices fall on it: one of a hundred. */
	assert_in_range(of[3], 0, CLIENTS / 50);
}

/* ---- maps that are too small ---------------------------------------------------------------- */

struct narrow {
	const char *option;
	uint32_t max_backends, max_slots, max_frontends;
	uint16_t services, backends; /* that it takes */
	uint16_t more_services, more_backends;
};

static struct wanted *wanted_many(uint16_t services, uint16_t backends)
{
	struct wanted *wanted = wanted_new();
	struct want_service *service;
	char name[16], vip[32];

	for (int i = 0; i < services; i++) {
		(void)snprintf(name, sizeof(name), "s-%03d", i);
		(void)snprintf(vip, sizeof(vip), "10.96.1.%d", 1 + i);
		service = wanted_service(
			wanted, &(struct service_spec){ .name = name,
							.vip = vip,
							.port = 80,
							.node_port = (uint16_t)(NODE_PORT + i),
							.proto = IPPROTO_TCP });
		wanted_backends(wanted, service,
				&(struct backends_spec){ .addr = "10.244.1.10",
							 .n = backends,
							 .port = 8080,
							 .local = true });
	}
	return wanted;
}

static void check_narrow(struct test *t, const struct narrow *narrow)
{
	struct wanted *wanted = wanted_many(narrow->services, narrow->backends);
	struct publish_result result;
	struct err err = { .msg = "" };
	struct dump *before;
	int first;

	publish_free(t, wanted, &result);
	first = backend_of(t, 20000);
	assert_in_range(first, 0, narrow->backends - 1);
	before = dump_make(t);
	wanted = wanted_many(narrow->more_services, narrow->more_backends);
	for (int i = 0; i < 3; i++) { /* what was taken is given back each time */
		assert_int_not_equal(dataplane_publish(t->world.dp, wanted, &result, &err), 0);
		assert_non_null(strstr(err.msg, narrow->option));
		assert_non_null(strstr(err.msg, "Service default/s-"));
		check_unchanged(t, before, false);
		flows_forget(&t->world);
		assert_int_equal(backend_of(t, 20000), first);
	}
	wanted_free(wanted);
	publish_free(t, wanted_many(narrow->services, narrow->backends), &result);
	assert_memory_equal(&result, &(struct publish_result){ 0 }, sizeof(result));
	check_unchanged(t, before, false);
	dump_free(before);
}

static void too_small_maps_refuse_and_keep(void **state)
{
	static const struct narrow rows[] = {
		{ "--max-backends", 16, 65536, 1024, 2, 4, 2, 9 },
		{ "--max-backends", 16, 65536, 1024, 2, 8, 3, 8 },
		{ "--max-slots", 1024, 256, 1024, 1, 1, 1, 40 },
		{ "--max-frontends", 1024, 65536, 10, 3, 2, 4, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test *t;

		setup_node(state);
		t = *state;
		t->world.settings.max_backends = rows[i].max_backends;
		t->world.settings.max_slots = rows[i].max_slots;
		t->world.settings.max_frontends = rows[i].max_frontends;
		world_open(&t->world, DATAPLANE_SCRATCH);
		check_narrow(t, &rows[i]);
		(void)teardown(state);
	}
}

/* ---- adopting --------------------------------------------------------------------------------- */

static int setup_pinned(void **state)
{
	struct test *t;

	setup_node(state);
	t = *state;
	world_mount(&t->world, &t->pins);
	world_open(&t->world, DATAPLANE_WRITE);
	return 0;
}

static int teardown_pinned(void **state)
{
	struct test *t = *state;

	world_close(&t->world);
	world_unmount(&t->pins);
	free(t);
	return 0;
}

static void reopen(struct test *t)
{
	world_close(&t->world);
	world_open(&t->world, DATAPLANE_WRITE);
}

static void pins_are_adopted(void **state)
{
	struct packet in = syn_of(20000), first, again;
	struct publish_result result;
	struct test *t = *state;
	struct dump *before;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_int_equal(hook_run(&t->world, HOOK_XDP, t->world.eth0, &in, &first), XDP_PASS);
	assert_false(packet_eq(&in, &first));
	before = dump_make(t);
	reopen(t);
	check_unchanged(t, before, true);
	assert_int_equal(hook_run(&t->world, HOOK_XDP, t->world.eth0, &in, &again), XDP_PASS);
	assert_true(packet_eq(&first, &again));
	assert_int_equal(flow_of(&t->world, &in, SH_INGRESS)->packets, 2);
	assert_int_equal(connections_to(&t->world, NULL), 1);
	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_memory_equal(&result, &(struct publish_result){ 0 }, sizeof(result));
	check_unchanged(t, before, true);
	dump_free(before);
}

/* A change after a restart is the same change as without it. */
static void changes_go_on_after_a_restart(void **state)
{
	struct publish_result result;
	struct test *t = *state;
	uint32_t id;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	id = backend_at(t, 5)->id;
	reopen(t);
	publish_free(t, wanted_of(BACKENDS, 3), &result);
	assert_int_equal(result.backends_removed, 1);
	assert_int_equal(result.backends_added, 0);
	assert_int_equal(backend_at(t, 5)->id, id);
	assert_null(backend_at(t, 3));
	reopen(t);
	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_int_equal(result.backends_added, 1);
	assert_int_equal(backend_at(t, 5)->id, id);
	publish_free(t, wanted_new(), &result);
	assert_int_equal(result.backends_removed, BACKENDS);
}

/* What was in use before the restart is not given to anybody else after it. */
static void a_newcomer_after_a_restart_takes_nothing(void **state)
{
	const struct service_spec spec = {
		.name = "young", .vip = "10.96.0.11", .port = 80, .proto = IPPROTO_TCP
	};
	struct wanted *wanted = wanted_of(BACKENDS, -1);
	struct publish_result result;
	struct test *t = *state;
	struct want_service *young;
	size_t of[BACKENDS];

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	reopen(t);
	young = wanted_service(wanted, &spec);
	wanted_backends(wanted, young,
			&(struct backends_spec){
				.addr = "10.244.1.100", .n = 20, .port = 8080, .local = true });
	publish_free(t, wanted, &result);
	assert_int_equal(result.services_added, 1);
	assert_int_equal(result.services_changed, 0);
	assert_int_equal(result.backends_added, 20);
	spread(t, of);
	for (int i = 0; i < BACKENDS; i++)
		check_share(of[i], CLIENTS / BACKENDS, 0.25);
}

static void a_reset_leaves_nothing(void **state)
{
	struct publish_result result;
	struct bpf_map_info info = { 0 };
	struct test *t = *state;
	__u32 len = sizeof(info);
	struct err err = { .msg = "" };
	struct stat st;

	publish_free(t, wanted_of(BACKENDS, -1), &result);
	assert_int_equal(bpf_obj_get_info_by_fd(t->world.dp->map_fd[DP_MAP_FLOWS4], &info, &len),
			 0);
	world_close(&t->world);
	if (dataplane_reset(&t->world.settings, &err))
		fail_msg("dataplane_reset: %s", err.msg);
	assert_true(stat(t->pins.pins, &st) < 0 && errno == ENOENT);
	assert_true(bpf_map_get_fd_by_id(info.id) < 0);
}

/* Nobody but the writer: the second one is told who holds the lock. */
static void there_is_one_writer(void **state)
{
	struct test *t = *state;
	struct dataplane *second = NULL;
	struct err err = { .msg = "" };

	assert_int_equal(dataplane_open(&second, DATAPLANE_WRITE, &t->world.settings, &err),
			 -EBUSY);
	assert_non_null(strstr(err.msg, "is held by another shunt"));
	assert_int_equal(dataplane_open(&second, DATAPLANE_READ, &t->world.settings, &err), 0);
	dataplane_close(second);
}

int main(void)
{
#define TEST(name)	  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_PINNED(name) cmocka_unit_test_setup_teardown(name, setup_pinned, teardown_pinned)
	const struct CMUnitTest tests[] = {
		TEST(the_same_again_changes_nothing),
		TEST(who_stays_keeps_his_id),
		TEST(an_index_comes_back_with_another_generation),
		TEST(a_service_that_goes_leaves_nothing),
		TEST(changes_do_not_use_up_the_maps),
		TEST(maglev_spreads_evenly),
		TEST(maglev_moves_few),
		TEST(maglev_honours_weights),
		TEST(random_honours_weights),
		TEST(other_algorithms_reach_all),
		TEST(least_conn_spares_the_busy),
		cmocka_unit_test(too_small_maps_refuse_and_keep),
		TEST_PINNED(pins_are_adopted),
		TEST_PINNED(changes_go_on_after_a_restart),
		TEST_PINNED(a_newcomer_after_a_restart_takes_nothing),
		TEST_PINNED(a_reset_leaves_nothing),
		TEST_PINNED(there_is_one_writer),
	};
#undef TEST
#undef TEST_PINNED

	return world_run_tests("publish", tests, sizeof(tests) / sizeof(tests[0]));
}
