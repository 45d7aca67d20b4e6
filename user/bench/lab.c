// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The shipped programs over maps of their own, packets to run them on, and the
 * programs of bpf/shunt_bench.bpf.c, which put the next packet in place before
 * each iteration. One address family at a time.
 */
#include "bench/internal.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "shunt_bench.skel.h"

/* The node, and how its clients are told apart. */
#define NODE4	       "192.0.2.1"
#define NODE6	       "2001:db8::1"
#define CLIENTS4       "100.64.0.0"
#define CLIENTS6       "2001:db8:c::"
#define PORTS_EACH     8    /* flows of one client that differ by their port alone */
#define PORT_FIRST     1024 /* from here to where sockets' own begin: kept when masqueraded */
#define PORT_STEP      3900
#define AFFINE_CLIENTS 1024
#define AFFINE_PORTS   30000
#define HASH_ROOM      65536 /* of the yardstick, as good as empty: a look-up at its best */
#define HEADS_MIN      65536
#define TCP4_PAYLOAD   (SH_BENCH_PACKET_BYTES - 54)
#define TCP6_PAYLOAD   (SH_BENCH_PACKET_BYTES - 74)
#define BATCH	       4096
#define FEW	       64 /* flows that may be missing where 80 % of the table are taken */
#define MIX	       0x9e3779b97f4a7c15ull

struct lab {
	const struct bench_options *options;
	struct rig *rig;
	struct dataplane *dp; /* the rig's */
	struct wanted *wanted;
	struct shunt_bench *skel;
	struct sh_bench_head *heads;
	struct sh_bench_cursor *cursor;
	size_t heads_len, cursor_len;
	uint32_t heads_max;
	bool v6, large;
	uint32_t ifindex;
	uint64_t next_tuple;   /* none is used twice */
	uint64_t first_filled; /* of the flows in the table */
	enum bench_side side;  /* theirs */
	struct sh_bucket *saved;
	struct packet frame; /* the first of the packets, whole */
};

struct rig *lab_rig(struct lab *lab)
{
	return lab->rig;
}

bool lab_v6(const struct lab *lab)
{
	return lab->v6;
}

const struct bench_options *lab_options(const struct lab *lab)
{
	return lab->options;
}

/* ---- packets --------------------------------------------------------------------- */

static struct sh_addr addr_of(const char *text)
{
	struct sh_addr addr = { 0 };

	(void)addr_parse(text, &addr);
	return addr;
}

static struct sh_addr client_addr(const struct lab *lab, uint64_t n)
{
	const struct sh_addr first = addr_of(lab->v6 ? CLIENTS6 : CLIENTS4);

	return addr_add(&first, n);
}

/* The flow of that number: always the same one, and no other's. */
static void tuple_spec(const struct lab *lab, enum bench_side side, uint64_t number,
		       struct spec *out)
{
	const uint32_t mixed = (uint32_t)(number * MIX >> 32);

	out->dst = bench_service_addr(lab->options, side, mixed % lab->options->services, lab->v6);
	out->dport = BENCH_SERVICE_PORT;
	out->proto = IPPROTO_TCP;
	if (side == SIDE_AFFINE) {
		out->src = client_addr(lab, number % AFFINE_CLIENTS);
		out->sport = (uint16_t)(PORT_FIRST + number / AFFINE_CLIENTS % AFFINE_PORTS);
	} else {
		out->src = client_addr(lab, number / PORTS_EACH);
		out->sport = (uint16_t)(PORT_FIRST + number % PORTS_EACH * PORT_STEP +
					mixed % PORT_STEP);
	}
}

static void head_put(struct lab *lab, uint32_t at, struct spec *spec)
{
	struct packet packet;

	spec->payload = lab->v6 ? TCP6_PAYLOAD : TCP4_PAYLOAD;
	packet_build(&packet, spec);
	memcpy(&lab->heads[at], packet.b + SH_BENCH_ETH_BYTES, sizeof(lab->heads[at]));
	if (at)
		return;
	lab->frame = packet;
	memcpy(lab->cursor->eth, packet.b, SH_BENCH_ETH_BYTES);
}

static void draw(struct lab *lab, enum bench_side side, uint64_t first, uint32_t n, uint8_t flags)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct spec spec = { .tcp_flags = flags };

		tuple_spec(lab, side, first + i, &spec);
		head_put(lab, i, &spec);
	}
}

void lab_draw_new(struct lab *lab, enum bench_side side, uint32_t n, bool syn)
{
	draw(lab, side, lab->next_tuple, n, syn ? TCP_SYN : TCP_ACK);
	lab->next_tuple += n;
}

void lab_draw_filled(struct lab *lab, uint32_t n)
{
	draw(lab, lab->side, lab->first_filled, n, TCP_ACK);
}

void lab_draw_plain(struct lab *lab, uint32_t n)
{
	const struct sh_addr first = addr_of(lab->v6 ? BENCH_PLAIN6 : BENCH_PLAIN4);
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct spec spec = { .tcp_flags = TCP_ACK };

		tuple_spec(lab, SIDE_HERE, i, &spec);
		spec.dst = addr_add(&first, (uint32_t)(i * MIX >> 40));
		head_put(lab, i, &spec);
	}
}

static void spec_from_flow(const struct lab *lab, uint32_t at, struct spec *out)
{
	const struct sh_flow6 *flow6 = lab->dp->mem[DP_MAP_FLOWS6];
	const struct sh_flow *flow = lab->dp->mem[DP_MAP_FLOWS4];

	if (lab->v6) {
		out->src = flow6[at].saddr;
		out->dst = flow6[at].daddr;
		flow = &flow6[at].f;
	} else {
		flow = &flow[at];
		out->src = addr_from_v4(flow->saddr);
		out->dst = addr_from_v4(flow->daddr);
	}
	out->sport = ntohs(flow->sport);
	out->dport = ntohs(flow->dport);
	out->proto = IPPROTO_TCP;
	out->tcp_flags = TCP_ACK;
}

static uint8_t flow_flags(const struct lab *lab, uint32_t at)
{
	const struct sh_flow6 *flow6 = lab->dp->mem[DP_MAP_FLOWS6];
	const struct sh_flow *flow4 = lab->dp->mem[DP_MAP_FLOWS4];

	return lab->v6 ? flow6[at].f.flags : flow4[at].flags;
}

static struct sh_bucket *tags(const struct lab *lab)
{
	return lab->dp->mem[lab->v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4];
}

static size_t tags_len(const struct lab *lab)
{
	return lab->dp->mem_len[lab->v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4];
}

static uint32_t n_entries(const struct lab *lab)
{
	return lab->dp->map_max[lab->v6 ? DP_MAP_FLOWS6 : DP_MAP_FLOWS4];
}

/* In the table's order, of flows whose state is from @least to @most. */
static uint32_t draw_replies(struct lab *lab, uint32_t n, enum sh_flow_state least,
			     enum sh_flow_state most)
{
	uint32_t at, drawn = 0;

	for (at = 0; at < n_entries(lab) && drawn < n; at++) {
		enum sh_flow_state state = word_state(tags(lab)[at / SH_WAYS].word[at % SH_WAYS]);
		struct spec spec = { 0 };

		if (state < least || state > most || !(flow_flags(lab, at) & SH_FLOW_REPLY))
			continue;
		spec_from_flow(lab, at, &spec);
		head_put(lab, drawn++, &spec);
	}
	return drawn;
}

/* Fisher and Yates: in the table's order the processor would guess what comes next. */
static void shuffle(struct lab *lab, uint32_t n)
{
	uint64_t random = MIX;
	uint32_t i, other;

	for (i = n; i > 1; i--) {
		struct sh_bench_head head = lab->heads[i - 1];

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		other = (uint32_t)((random >> 32) * i >> 32);
		lab->heads[i - 1] = lab->heads[other];
		lab->heads[other] = head;
	}
}

uint32_t lab_draw_replies(struct lab *lab, uint32_t n)
{
	uint32_t drawn = draw_replies(lab, n, SH_LIVE, SH_LIVE);

	shuffle(lab, drawn);
	return drawn;
}

/* ---- running --------------------------------------------------------------------- */

double bench_cpu_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int target_fd(const struct lab *lab, const struct lab_run *run)
{
	const struct shunt_bench *skel = lab->skel;
	const bool xdp = run->hook == HOOK_XDP;
	const struct bpf_program *program = NULL;

	switch (run->target) {
	case LAB_SHUNT:
		return lab->dp->prog_fd[xdp ? DP_PROG_XDP : DP_PROG_INGRESS];
	case LAB_SHUNT_EGRESS:
		return lab->dp->prog_fd[DP_PROG_EGRESS];
	case LAB_EMPTY:
		program = xdp ? skel->progs.bench_xdp_empty : skel->progs.bench_tc_empty;
		break;
	case LAB_HASH:
		if (lab->v6)
			program = xdp ? skel->progs.bench_xdp_hash6 : skel->progs.bench_tc_hash6;
		else
			program = xdp ? skel->progs.bench_xdp_hash4 : skel->progs.bench_tc_hash4;
		break;
	case LAB_LRU:
		if (lab->v6)
			program = xdp ? skel->progs.bench_xdp_lru6 : skel->progs.bench_tc_lru6;
		else
			program = xdp ? skel->progs.bench_xdp_lru4 : skel->progs.bench_tc_lru4;
		break;
	}
	return bpf_program__fd(program);
}

/* The program that puts packets in place, with the target behind it. */
static int restore_fd(struct lab *lab, const struct lab_run *run, int *out, struct err *err)
{
	const bool xdp = run->hook == HOOK_XDP;
	const struct shunt_bench *skel = lab->skel;
	const struct bpf_program *program;
	int fd = target_fd(lab, run), zero = 0, map;

	map = bpf_map__fd(xdp ? skel->maps.bench_xdp_target : skel->maps.bench_tc_target);
	if (bpf_map_update_elem(map, &zero, &fd, BPF_ANY))
		return err_system(err, -errno, "let the bench call the program that it measures");
	if (lab->v6)
		program = xdp ? skel->progs.bench_xdp_restore6 : skel->progs.bench_tc_restore6;
	else
		program = xdp ? skel->progs.bench_xdp_restore4 : skel->progs.bench_tc_restore4;
	*out = bpf_program__fd(program);
	return 0;
}

/* Is the frame, its Ethernet header apart, another than the packet that was put in last? */
static bool frame_changed(const struct lab *lab, const struct lab_run *run,
			  const unsigned char *frame)
{
	const uint32_t last = run->direct ? 0 : (run->repeat - 1) % run->n;
	const size_t len = lab->v6 ? sizeof(lab->heads[last]) : 40;

	return memcmp(frame + SH_BENCH_ETH_BYTES, &lab->heads[last], len) != 0;
}

int lab_run(struct lab *lab, struct lab_run *run, struct err *err)
{
	struct xdp_md xdp = { .data_end = SH_BENCH_PACKET_BYTES, .ingress_ifindex = lab->ifindex };
	struct __sk_buff skb = { .ifindex = lab->ifindex };
	unsigned char frame[SH_BENCH_PACKET_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = lab->frame.b,
		    .data_size_in = SH_BENCH_PACKET_BYTES, .data_out = frame,
		    .data_size_out = sizeof(frame), .repeat = (int)run->repeat);
	double before;
	int fd, ret;

	opts.ctx_in = run->hook == HOOK_XDP ? (void *)&xdp : (void *)&skb;
	opts.ctx_size_in = run->hook == HOOK_XDP ? sizeof(xdp) : sizeof(skb);
	fd = target_fd(lab, run);
	ret = run->direct ? 0 : restore_fd(lab, run, &fd, err);
	if (ret)
		return ret;
	lab->cursor->next = 0;
	lab->cursor->n = run->n;
	before = bench_cpu_ns();
	ret = bpf_prog_test_run_opts(fd, &opts);
	run->ns = (bench_cpu_ns() - before) / run->repeat;
	if (ret)
		return err_system(err, ret, "run a program (BPF_PROG_TEST_RUN)");
	run->action = (int)opts.retval;
	run->changed = frame_changed(lab, run, frame);
	return 0;
}

int lab_hook_fd(const struct lab *lab, enum lab_hook hook)
{
	const struct shunt_bench *skel = lab->skel;

	if (hook == LAB_HOOK_CONNECT)
		return bpf_program__fd(lab->v6 ? skel->progs.bench_connect6
					       : skel->progs.bench_connect4);
	return bpf_program__fd(lab->v6 ? skel->progs.bench_getpeer6 : skel->progs.bench_getpeer4);
}

/* ---- the flow table ---------------------------------------------------------------- */

uint32_t lab_table_flows(const struct lab *lab)
{
	return n_entries(lab) / 2;
}

void lab_clear(struct lab *lab)
{
	rig_forget(lab->rig);
	(void)rig_drop_reason(lab->rig);
}

/* Up to @n more. *@filled: those that there were answers to. */
static int fill_some(struct lab *lab, enum bench_side side, uint32_t n, uint32_t *filled,
		     struct err *err)
{
	struct lab_run open = { .hook = HOOK_XDP, .target = LAB_SHUNT, .n = n, .repeat = n };
	struct lab_run answer = { .hook = HOOK_XDP, .target = LAB_SHUNT };
	int ret;

	lab_draw_new(lab, side, n, true);
	ret = lab_run(lab, &open, err);
	if (ret)
		return ret;
	/* Unanswered flows that crowd a bucket push each other out: some are lost. */
	answer.n = draw_replies(lab, n, SH_NEW, SH_NEW);
	*filled = answer.n;
	if (answer.n + FEW < n - n / 4)
		return err_system(err, -ENOSPC, "open %u flows (there are %u)", n, answer.n);
	if (side != SIDE_AWAY) { /* its answers leave the node's stack, no other's do */
		answer.hook = HOOK_TC;
		answer.target = LAB_SHUNT_EGRESS;
	}
	if (!answer.n)
		return 0;
	answer.repeat = answer.n;
	return lab_run(lab, &answer, err);
}

/* So many that unanswered ones hardly ever crowd a bucket. */
uint32_t lab_batch(const struct lab *lab)
{
	return n_entries(lab) / (8 * SH_WAYS);
}

int lab_fill(struct lab *lab, enum bench_side side, uint32_t n, struct err *err)
{
	uint32_t part, filled = 1;
	int ret = 0;

	lab->first_filled = lab->next_tuple;
	lab->side = side;
	while (n && !ret && filled) {
		part = n < lab_batch(lab) ? n : lab_batch(lab);
		ret = fill_some(lab, side, part, &filled, err);
		n -= filled;
	}
	return ret;
}

int lab_save(struct lab *lab, struct err *err)
{
	free(lab->saved);
	lab->saved = malloc(tags_len(lab));
	if (!lab->saved)
		return err_system(err, -ENOMEM, "remember the flow table");
	memcpy(lab->saved, tags(lab), tags_len(lab));
	return 0;
}

void lab_restore(struct lab *lab)
{
	memcpy(tags(lab), lab->saved, tags_len(lab));
}

uint64_t lab_connections(const struct lab *lab)
{
	const struct sh_backend *backends = lab->dp->mem[DP_MAP_BACKENDS];
	uint64_t sum = 0;
	const uint32_t n = (lab->options->services + BENCH_SERVICES_MORE) * lab->options->endpoints;
	uint32_t i;

	for (i = 0; i <= n && i < lab->dp->map_max[DP_MAP_BACKENDS];
	     i++) /* their lines are the first */
		sum += backends[i].connections;
	return sum;
}

/* ---- the yardsticks' maps ------------------------------------------------------------ */

static void key_from_head(const struct lab *lab, const struct sh_bench_head *head, void *key)
{
	const unsigned char *l3 = (const unsigned char *)head;
	struct sh_bench_key4 *key4 = key;
	struct sh_bench_key6 *key6 = key;

	if (lab->v6) {
		memcpy(&key6->saddr, l3 + 8, 36); /* both addresses and ports */
		key6->proto = IPPROTO_TCP;
	} else {
		memcpy(&key4->saddr, l3 + 12, 12);
		key4->proto = IPPROTO_TCP;
	}
}

int lab_fill_map(struct lab *lab, enum bench_yardstick yardstick, uint32_t n, struct err *err)
{
	const struct shunt_bench *skel = lab->skel;
	struct sh_bench_value *values = calloc(BATCH, sizeof(*values));
	const size_t size = lab->v6 ? sizeof(struct sh_bench_key6) : sizeof(struct sh_bench_key4);
	char *keys = calloc(BATCH, size);
	uint32_t done = 0, i, count;
	int fd, ret = 0;

	if (yardstick == YARDSTICK_HASH)
		fd = bpf_map__fd(lab->v6 ? skel->maps.bench_hash6 : skel->maps.bench_hash4);
	else
		fd = bpf_map__fd(lab->v6 ? skel->maps.bench_lru6 : skel->maps.bench_lru4);
	for (i = 0; values && i < BATCH; i++)
		values[i].word[0] = 1;
	while (keys && values && done < n && !ret) {
		count = n - done < BATCH ? n - done : BATCH;
		for (i = 0; i < count; i++)
			key_from_head(lab, &lab->heads[done + i], keys + i * size);
		ret = bpf_map_update_batch(fd, keys, values, &count, NULL);
		done += count;
	}
	if (!keys || !values)
		ret = -ENOMEM;
	free(keys);
	free(values);
	return ret ? err_system(err, ret, "fill the map of a yardstick") : 0;
}

/* ---- making it ----------------------------------------------------------------------- */

static void unload(struct lab *lab)
{
	if (lab->heads)
		munmap(lab->heads, lab->heads_len);
	if (lab->cursor)
		munmap(lab->cursor, lab->cursor_len);
	lab->heads = NULL;
	lab->cursor = NULL;
	shunt_bench__destroy(lab->skel);
	lab->skel = NULL;
	free(lab->saved);
	lab->saved = NULL;
}

static int map_sizes(struct lab *lab)
{
	/* An LRU map that is just full evicts: its look-ups would miss. */
	const uint32_t lru = lab->heads_max + lab->heads_max / 4;
	struct shunt_bench *skel = lab->skel;
	int ret;

	ret = bpf_map__set_max_entries(skel->maps.bench_heads, lab->heads_max);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.bench_hash4, lab->v6 ? 1 : HASH_ROOM);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.bench_hash6, lab->v6 ? HASH_ROOM : 1);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.bench_lru4, lab->v6 ? 1 : lru);
	if (!ret)
		ret = bpf_map__set_max_entries(skel->maps.bench_lru6, lab->v6 ? lru : 1);
	return ret;
}

static void *map_memory(const struct bpf_map *map, size_t *len)
{
	const size_t page = 4096;
	void *mem;

	*len = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	*len = (*len + page - 1) / page * page;
	mem = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (mem == MAP_FAILED)
		return NULL;
	return mem;
}

static int load_programs(struct lab *lab, struct err *err)
{
	int ret;

	lab->skel = shunt_bench__open();
	ret = lab->skel ? map_sizes(lab) : -errno;
	if (!ret)
		ret = shunt_bench__load(lab->skel);
	if (ret)
		return err_system(err, ret, "load the programs of the bench");
	lab->heads = map_memory(lab->skel->maps.bench_heads, &lab->heads_len);
	lab->cursor = map_memory(lab->skel->maps.bench_cursor, &lab->cursor_len);
	if (!lab->heads || !lab->cursor)
		return err_system(err, -errno, "map the packets of the bench into memory");
	return 0;
}

/* The flow table of the other family is as small as may be. */
static struct settings lab_settings(const struct lab *lab)
{
	struct settings settings;

	settings_init(&settings);
	bench_services_room(lab->options, &settings);
	if (lab->large) {
		settings.max_flows4 = 4 * lab->heads_max;
		settings.max_flows6 = 4 * lab->heads_max;
	}
	if (lab->v6)
		settings.max_flows4 = SH_WAYS;
	else
		settings.max_flows6 = SH_WAYS;
	/* The rig takes the defaults for a test's, which are small. */
	settings.max_flows4 -= settings.max_flows4 == SH_FLOWS4_DEFAULT;
	settings.max_flows6 -= settings.max_flows6 == SH_FLOWS6_DEFAULT;
	settings.max_sockets = SH_SOCKETS_DEFAULT / 2;
	return settings;
}

int lab_load(struct lab *lab, bool v6, bool large, struct err *err)
{
	struct wanted *wanted = bench_services(lab->options, v6);
	struct settings settings;
	int ret;

	if (!wanted)
		return err_system(err, -ENOMEM, "make the Services to measure with");
	unload(lab);
	lab->v6 = v6;
	lab->large = large;
	settings = lab_settings(lab);
	ret = rig_publish(lab->rig, &settings, wanted, err);
	wanted_free(lab->wanted);
	lab->wanted = wanted;
	if (ret)
		return ret;
	lab->dp = rig_dataplane(lab->rig);
	return load_programs(lab, err);
}

int lab_new(struct lab **out, const struct bench_options *options, struct err *err)
{
	const struct sh_addr own[] = { addr_of(NODE4), addr_of(NODE6) };
	const struct network_addrs addrs = { .own = own, .n_own = 2 };
	struct lab *lab = calloc(1, sizeof(*lab));
	int ret;

	if (!lab)
		return err_system(err, -ENOMEM, "set up the bench");
	lab->options = options;
	lab->heads_max = options->flows > HEADS_MIN ? options->flows : HEADS_MIN;
	ret = rig_new(&lab->rig, -1, err);
	if (!ret)
		ret = network_set(rig_network(lab->rig), &addrs, err);
	if (ret) {
		lab_free(lab);
		return ret;
	}
	lab->ifindex = network_uplink(rig_network(lab->rig))->ifindex;
	*out = lab;
	return 0;
}

void lab_free(struct lab *lab)
{
	if (!lab)
		return;
	unload(lab);
	rig_free(lab->rig);
	wanted_free(lab->wanted);
	free(lab);
}
