/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings and what this kernel is like -> struct sh_config. */
#include "dataplane/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "dataplane/probe.h"
#include "dataplane/sockets.h"
#include "dataplane/sysctl.h"

/* Idle times after which a flow may go, in seconds: those of nf_conntrack under kube-proxy. */
#define EXPIRE_NEW	   60
#define EXPIRE_LIVE	   86400
#define EXPIRE_LIVE_UDP	   180
#define EXPIRE_HALF_CLOSED 3600

#define STAMP_MS_LEAST 12000 /* a stamp is the power of two of jiffies that is at least that */

/* BPF knows time as jiffies only; one is what the coarse clock resolves. */
static void config_time(struct sh_config *config)
{
	struct timespec tick = { .tv_nsec = 4000000 };
	uint64_t tick_ns;

	(void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	tick_ns = (uint64_t)tick.tv_sec * 1000000000u + (uint64_t)tick.tv_nsec;
	config->stamp_shift = 4;
	while ((tick_ns << config->stamp_shift) / 1000000 < STAMP_MS_LEAST)
		config->stamp_shift++;
	config->hz = (uint32_t)(1000000000u / tick_ns);
	config->stamp_ms = (uint32_t)((tick_ns << config->stamp_shift) / 1000000);
}

static int16_t stamps(const struct sh_config *config, uint64_t seconds)
{
	return (int16_t)(seconds * 1000 / config->stamp_ms + 1);
}

static void config_expire(struct sh_config *config)
{
	config->expire[SH_FREE] = -1;
	config->expire[SH_BUSY] = SH_EXPIRE_NEVER;
	config->expire[SH_NEW] = stamps(config, EXPIRE_NEW);
	config->expire[SH_LIVE] = stamps(config, EXPIRE_LIVE);
	config->expire[SH_LIVE_UDP] = stamps(config, EXPIRE_LIVE_UDP);
	config->expire[SH_HALF_CLOSED] = stamps(config, EXPIRE_HALF_CLOSED);
	config->expire[SH_CLOSED] = -1;
	config->expire[SH_GONE] = -1;
}

/* Flows of ports in sequence, @step apart, that find their bucket full; of @n. */
static uint32_t crowded(uint64_t factor, uint64_t step, uint16_t *load, uint32_t mask, uint32_t n)
{
	uint32_t full = 0, i;
	uint64_t hash = 0;

	memset(load, 0, (mask + 1) * sizeof(*load));
	for (i = 0; i < n; i++, hash += step * factor)
		full += load[hash >> 32 & mask]++ >= SH_WAYS;
	return full;
}

/*
 * Of a client's ports, which come one after the other or, by Linux, every
 * second, the hash's last product makes an arithmetic progression. Most are
 * spread more evenly than chance would spread them; by one in four factors
 * they crowd into a few buckets.
 */
bool flow_seed_spreads(uint64_t factor, uint16_t load[static SEED_BUCKETS_MAX])
{
	/* As the source's and as the destination's port: struct sh_key in sh_ports_word(). */
	static const uint64_t steps[] = { 1, 2, 1 << 16, 2 << 16 };
	uint32_t buckets, n, most;
	size_t i;

	for (buckets = SEED_BUCKETS_MIN; buckets <= SEED_BUCKETS_MAX; buckets *= 2) {
		for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			most = steps[i] & 0x10001 ? 65536 : 32768;
			n = buckets * SH_WAYS / 2 < most ? buckets * SH_WAYS / 2 : most;
			if (crowded(factor, steps[i], load, buckets - 1, n) > n / 32)
				return false;
		}
	}
	return true;
}

/* As many draws without a factor that spreads don't happen: then the last one it is. */
#define SEED_DRAWS_MAX 64

static int config_seed(struct sh_config *config, struct err *err)
{
	const size_t n = sizeof(config->seed) / sizeof(config->seed[0]);
	uint16_t *load = calloc(SEED_BUCKETS_MAX, sizeof(*load));
	size_t i, draws = 0;
	int ret = 0;

	if (!load)
		return err_system(err, -ENOMEM, "draw the flow table's seed");
	do {
		if (getrandom(config->seed, sizeof(config->seed), 0) != sizeof(config->seed)) {
			ret = err_system(err, -errno, "draw the flow table's seed");
			break;
		}
		for (i = 0; i < n; i++)
			config->seed[i] |= 1; /* an even factor would lose bits */
	} while (!flow_seed_spreads(config->seed[n - 1], load) && ++draws < SEED_DRAWS_MAX);
	free(load);
	return ret;
}

/* Does bpf_l4_csum_replace() take BPF_F_IPV6? Ask it, with a packet of zeros. */
static bool probe_csum_ipv6(void)
{
	const int pseudo_hdr_ipv6 = 1 << 4 | 1 << 7;
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 40 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = 1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 5, .imm = pseudo_hdr_ipv6 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_l4_csum_replace },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint32_t result = 0;

	return !probe_run(insns, sizeof(insns) / sizeof(insns[0]), &result) && (int)result >= 0;
}

static void config_net(struct sh_nets *out, const struct addr_net *net)
{
	bool v4 = addr_family(&net->addr) == FAMILY_IPV4;
	uint32_t bits = v4 ? 96 + net->len : net->len, bit;
	struct sh_addr mask = { 0 };

	for (bit = 0; bit < bits; bit++)
		mask.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (v4) {
		out->v4[out->n4].net = net->addr.w[3];
		out->v4[out->n4++].mask = mask.w[3];
	} else {
		memcpy(out->v6[out->n6].net, &net->addr, sizeof(net->addr));
		memcpy(out->v6[out->n6++].mask, &mask, sizeof(mask));
	}
}

static void config_nets(struct sh_nets *out, const struct addr_net *nets, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		config_net(out, &nets[i]);
}

int config_make(const struct settings *settings, struct sh_config *out, struct err *err)
{
	struct sh_config config = { 0 };
	struct port_range host;
	int ret;

	config_time(&config);
	config_expire(&config);
	ret = config_seed(&config, err);
	if (ret)
		return ret;
	ret = netns_cookie(&config.netns_cookie);
	if (ret)
		return err_system(err, ret, "ask for this network namespace's cookie");
	ret = sysctl_local_ports(&host, err);
	if (ret)
		return ret;
	config.host_min = host.min;
	config.host_max = host.max;
	config.snat_min = settings->snat_min;
	config.snat_max = settings->snat_max;
	config.socket_lb = (uint16_t)settings->socket_lb;
	config.masquerade_all = settings->masquerade_all;
	config.ping_vips = settings->ping_vips;
	config.csum_ipv6 = probe_csum_ipv6();
	config.set_retval = libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
						    BPF_FUNC_set_retval, NULL) == 1;
	config_nets(&config.service_cidrs, settings->service_cidrs, settings->n_service_cidrs);
	config_nets(&config.cluster_cidrs, settings->cluster_cidrs, settings->n_cluster_cidrs);
	*out = config;
	return 0;
}
