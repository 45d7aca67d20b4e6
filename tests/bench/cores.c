// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cores: do two processors hinder each other? Each runs the shipped TC program by
 * BPF_PROG_TEST_RUN over the same maps, with packets of one Service, first alone and then
 * both at once. The ratio is the sum of their rates together over the sum alone: 1 where
 * nothing bounces between them.
 *
 *   empty      the machine itself: a program that does nothing
 *   own flows  each processor has flows of its own, as a card with several queues gives them
 *   same flow  both have packets of one flow, which no card would do
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/internal.h"
#include "ptest/sandbox.h"
#include "shunt_bench.skel.h"
#include "util/packet.h"

enum {
	LANES = 2,
	FLOWS = 256, /* of each */
	HEADS = 1024,
	ROUNDS_MAX = 31,
	REPEAT = 1 << 20,
	PORT_FIRST = 1024,
};

enum row { ROW_EMPTY = 0, ROW_OWN, ROW_SAME, ROWS };
static const char *const row_names[ROWS] = { "empty", "own flows", "same flow" };

struct lane {
	struct shunt_bench *skel;
	struct sh_bench_head *heads;
	struct sh_bench_cursor *cursor;
	struct packet frame;
	uint32_t ifindex;
	int cpu, repeat, ret;
	pthread_barrier_t *barrier; /* NULL: alone */
	double ns;		    /* for one iteration */
};

struct cores {
	const struct bench_options *options;
	struct rig *rig;
	struct dataplane *dp;
	struct lane lanes[LANES];
	int rounds, repeat;
};

/* ---- lanes ------------------------------------------------------------------------- */

static void *map_memory(const struct bpf_map *map)
{
	size_t len = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static int lane_open(struct lane *lane, struct err *err)
{
	int ret;

	lane->skel = shunt_bench__open();
	ret = lane->skel ? bpf_map__set_max_entries(lane->skel->maps.bench_heads, HEADS) : -errno;
	if (!ret)
		ret = shunt_bench__load(lane->skel);
	if (ret)
		return err_system(err, ret, "load the programs of the bench");
	lane->heads = map_memory(lane->skel->maps.bench_heads);
	lane->cursor = map_memory(lane->skel->maps.bench_cursor);
	if (!lane->heads || !lane->cursor)
		return err_system(err, -errno, "map the packets of the bench into memory");
	return 0;
}

static void lane_close(struct lane *lane)
{
	if (lane->heads)
		munmap(lane->heads, HEADS * sizeof(*lane->heads));
	if (lane->cursor)
		munmap(lane->cursor, sizeof(*lane->cursor));
	shunt_bench__destroy(lane->skel);
}

static void lane_put(struct lane *lane, uint32_t at, struct spec *spec)
{
	struct packet packet;

	spec->proto = IPPROTO_TCP;
	spec->payload = SH_BENCH_PACKET_BYTES - 54;
	packet_build(&packet, spec);
	memcpy(&lane->heads[at], packet.b + SH_BENCH_ETH_BYTES, sizeof(lane->heads[at]));
	if (at)
		return;
	lane->frame = packet;
	memcpy(lane->cursor->eth, packet.b, SH_BENCH_ETH_BYTES);
}

/* Flows of @owner, all of one Service */
static void lane_draw(struct lane *lane, const struct bench_options *options, uint32_t owner,
		      uint32_t n, uint8_t flags)
{
	struct sh_addr client = { 0 };
	uint32_t i;

	(void)addr_parse("100.64.0.1", &client);
	for (i = 0; i < n; i++) {
		struct spec spec = {
			.src = addr_add(&client, owner * FLOWS + i),
			.dst = bench_service_addr(options, SIDE_HERE, 0, false),
			.sport = (uint16_t)(PORT_FIRST + i * 7),
			.dport = BENCH_SERVICE_PORT,
			.tcp_flags = flags,
		};

		lane_put(lane, i, &spec);
	}
	lane->cursor->next = 0;
	lane->cursor->n = n;
}

/* What lane 0 sends from now on are the answers to all flows. @return how many there are */
static uint32_t lane_draw_answers(struct lane *lane, const struct dataplane *dp)
{
	const struct sh_flow *flows = dp->mem[DP_MAP_FLOWS4];
	uint32_t at, n = 0;

	for (at = 0; at < dp->map_max[DP_MAP_FLOWS4] && n < HEADS; at++) {
		struct spec spec = { .tcp_flags = TCP_ACK };

		if (!(flows[at].flags & SH_FLOW_REPLY))
			continue;
		spec.src = addr_from_v4(flows[at].saddr);
		spec.dst = addr_from_v4(flows[at].daddr);
		spec.sport = ntohs(flows[at].sport);
		spec.dport = ntohs(flows[at].dport);
		lane_put(lane, n++, &spec);
	}
	lane->cursor->next = 0;
	lane->cursor->n = n;
	return n;
}

static int lane_target(struct lane *lane, int fd, struct err *err)
{
	int zero = 0, map = bpf_map__fd(lane->skel->maps.bench_tc_target);

	if (bpf_map_update_elem(map, &zero, &fd, BPF_ANY))
		return err_system(err, -errno, "let the bench call the program that it measures");
	return 0;
}

static void *lane_run(void *arg)
{
	struct lane *lane = arg;
	struct __sk_buff skb = { .ifindex = lane->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = lane->frame.b,
		    .data_size_in = SH_BENCH_PACKET_BYTES, .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .repeat = lane->repeat);
	double before;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)lane->cpu, &set);
	lane->ret = sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
	if (lane->barrier)
		(void)pthread_barrier_wait(lane->barrier);
	if (lane->ret)
		return NULL;
	before = bench_cpu_ns();
	lane->ret =
		bpf_prog_test_run_opts(bpf_program__fd(lane->skel->progs.bench_tc_restore4), &opts);
	lane->ns = (bench_cpu_ns() - before) / lane->repeat;
	return NULL;
}

/* ---- runs --------------------------------------------------------------------------- */

static int lane_alone(struct lane *lane, int repeat, struct err *err)
{
	pthread_t thread;

	lane->barrier = NULL;
	lane->repeat = repeat;
	if (pthread_create(&thread, NULL, lane_run, lane))
		return err_system(err, -EAGAIN, "start a thread");
	(void)pthread_join(thread, NULL);
	return lane->ret ? err_system(err, lane->ret, "run a program (BPF_PROG_TEST_RUN)") : 0;
}

static int lanes_together(struct cores *cores, struct err *err)
{
	pthread_barrier_t barrier;
	pthread_t threads[LANES];
	int i, ret = 0;

	pthread_barrier_init(&barrier, NULL, LANES);
	for (i = 0; i < LANES; i++) {
		cores->lanes[i].barrier = &barrier;
		if (pthread_create(&threads[i], NULL, lane_run, &cores->lanes[i]))
			abort(); /* the others would wait for it for ever */
	}
	for (i = 0; i < LANES; i++) {
		(void)pthread_join(threads[i], NULL);
		if (cores->lanes[i].ret)
			ret = err_system(err, cores->lanes[i].ret,
					 "run a program (BPF_PROG_TEST_RUN)");
	}
	pthread_barrier_destroy(&barrier);
	return ret;
}

static int prepare(struct cores *cores, enum row row, struct err *err)
{
	int i, ret = 0, fd;

	for (i = 0; !ret && i < LANES; i++) {
		struct lane *lane = &cores->lanes[i];

		lane_draw(lane, cores->options, row == ROW_SAME ? 0 : (uint32_t)i,
			  row == ROW_SAME ? 1 : FLOWS, TCP_ACK);
		fd = row == ROW_EMPTY ? bpf_program__fd(lane->skel->progs.bench_tc_empty)
				      : cores->dp->prog_fd[DP_PROG_INGRESS];
		ret = lane_target(lane, fd, err);
	}
	return ret;
}

static int measure_row(struct cores *cores, enum row row, struct err *err)
{
	double ratios[ROUNDS_MAX], alone[ROUNDS_MAX], together[ROUNDS_MAX];
	struct bench_range ratio, before, after;
	int i, round, ret;

	ret = prepare(cores, row, err);
	for (round = 0; !ret && round < cores->rounds; round++) {
		double rate_alone = 0, rate_together = 0;

		for (i = 0; !ret && i < LANES; i++) {
			ret = lane_alone(&cores->lanes[i], cores->repeat, err);
			rate_alone += 1 / cores->lanes[i].ns;
		}
		if (!ret)
			ret = lanes_together(cores, err);
		for (i = 0; i < LANES; i++)
			rate_together += 1 / cores->lanes[i].ns;
		ratios[round] = rate_together / rate_alone;
		alone[round] = LANES / rate_alone;
		together[round] = LANES / rate_together;
	}
	if (ret)
		return ret;
	ratio = bench_range_of(ratios, (uint32_t)cores->rounds);
	before = bench_range_of(alone, (uint32_t)cores->rounds);
	after = bench_range_of(together, (uint32_t)cores->rounds);
	printf("{\"name\":\"%s\",\"min\":%.4f,\"median\":%.4f,\"max\":%.4f,\"aloneNs\":%.2f,"
	       "\"togetherNs\":%.2f}\n",
	       row_names[row], ratio.min, ratio.median, ratio.max, before.median, after.median);
	return 0;
}

/* ---- making it ----------------------------------------------------------------------- */

/* Every flow is opened, and answered, before one is measured. */
static int open_flows(struct cores *cores, struct err *err)
{
	uint32_t answers;
	int i, ret = 0;

	for (i = 0; !ret && i < LANES; i++) {
		lane_draw(&cores->lanes[i], cores->options, (uint32_t)i, FLOWS, TCP_SYN);
		ret = lane_target(&cores->lanes[i], cores->dp->prog_fd[DP_PROG_INGRESS], err);
		if (!ret)
			ret = lane_alone(&cores->lanes[i], FLOWS, err);
	}
	if (ret)
		return ret;
	answers = lane_draw_answers(&cores->lanes[0], cores->dp);
	if (answers != LANES * FLOWS)
		return err_system(err, -EPROTO, "open %d flows: there are %u", LANES * FLOWS,
				  answers);
	ret = lane_target(&cores->lanes[0], cores->dp->prog_fd[DP_PROG_EGRESS], err);
	return ret ? ret : lane_alone(&cores->lanes[0], (int)answers, err);
}

static int set_up(struct cores *cores, struct wanted *wanted, struct err *err)
{
	struct settings settings;
	struct sh_addr own = { 0 };
	struct network_addrs addrs = { .own = &own, .n_own = 1 };
	int i, ret;

	(void)addr_parse("192.0.2.1", &own);
	settings_init(&settings);
	bench_services_room(cores->options, &settings);
	ret = rig_new(&cores->rig, -1, err);
	if (!ret)
		ret = network_set(rig_network(cores->rig), &addrs, err);
	if (!ret)
		ret = rig_publish(cores->rig, &settings, wanted, err);
	if (!ret)
		cores->dp = rig_dataplane(cores->rig);
	for (i = 0; !ret && i < LANES; i++) {
		cores->lanes[i].cpu = i;
		cores->lanes[i].ifindex = network_uplink(rig_network(cores->rig))->ifindex;
		ret = lane_open(&cores->lanes[i], err);
	}
	return ret ? ret : open_flows(cores, err);
}

static int run_in_sandbox(void *arg, int cgroup_fd, struct err *err)
{
	struct cores *cores = arg;
	struct wanted *wanted = bench_services(cores->options, false);
	int i, ret;

	ret = wanted ? set_up(cores, wanted, err) : err_system(err, -ENOMEM, "make Services");
	for (i = 0; !ret && i < ROWS; i++)
		ret = measure_row(cores, (enum row)i, err);
	(void)fflush(stdout);
	for (i = 0; i < LANES; i++)
		lane_close(&cores->lanes[i]);
	rig_free(cores->rig);
	wanted_free(wanted);
	return ret;
}

int main(int argc, char **argv)
{
	const struct bench_options options = { .services = 1000, .endpoints = 10, .flows = 4096 };
	struct cores cores = { .options = &options, .rounds = 15, .repeat = REPEAT };
	struct sandbox_job job = { .run = run_in_sandbox, .arg = &cores };
	struct err err = { 0 };

	if (sysconf(_SC_NPROCESSORS_ONLN) < LANES) {
		fprintf(stderr, "cores: this machine has one processor only\n");
		return 77;
	}
	if (argc > 1 && !strcmp(argv[1], "--quick")) {
		cores.rounds = 3;
		cores.repeat = REPEAT / 8;
	}
	if (!sandbox_run(&job, &err))
		return 0;
	fprintf(stderr, "cores: %s\n", err.msg);
	return 3;
}
