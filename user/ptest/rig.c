/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "ptest/rig.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/internal.h"
#include "dataplane/netdev.h"

/* Enough for what one flow's test makes, and quickly made and cleared. */
#define RIG_FLOWS   131072
#define RIG_SOCKETS 1024

/* The longest key of a map that is cleared or walked here. */
#define KEY_BYTES_MAX 64

struct rig {
	struct network *network;
	int cgroup_fd;
	enum dataplane_mode mode; /* of @dp */
	struct dataplane *dp;
	struct settings settings; /* as @dp was loaded with */
	int link_fd[DP_PROG_COUNT];
	const struct wanted *wanted;
	int n_cpus;
	struct sh_drop *drops; /* one for each CPU */
	uint64_t drops_seen[SH_REASON_COUNT];
};

static const uint32_t attach_types[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (type),
	DP_PROGS(X)
#undef X
};

/* ---- loading ------------------------------------------------------------------- */

/* What the programs and their maps are made of: the rest, and pointers, set to nothing. */
static struct settings loaded_settings(const struct settings *settings)
{
	struct settings own = *settings;

	own.state = NULL;
	own.cgroup = NULL;
	own.node_name = NULL;
	own.nodeport_addresses = NODEPORT_PRIMARY;
	memset(own.nodeport_nets, 0, sizeof(own.nodeport_nets));
	own.n_nodeport_nets = 0;
	memset(own.devices, 0, sizeof(own.devices));
	own.n_devices = 0;
	memset(own.workload_devices, 0, sizeof(own.workload_devices));
	own.n_workload_devices = 0;
	own.bpffs = NULL;
	if (own.max_flows4 == SH_FLOWS4_DEFAULT)
		own.max_flows4 = RIG_FLOWS;
	if (own.max_flows6 == SH_FLOWS6_DEFAULT)
		own.max_flows6 = RIG_FLOWS;
	if (own.max_sockets == SH_SOCKETS_DEFAULT)
		own.max_sockets = RIG_SOCKETS;
	return own;
}

static void unload(struct rig *rig)
{
	int i;

	for (i = 0; i < DP_PROG_COUNT; i++) {
		if (rig->link_fd[i] >= 0)
			(void)close(rig->link_fd[i]);
		rig->link_fd[i] = -1;
	}
	dataplane_close(rig->dp);
	rig->dp = NULL;
}

/* Sockets only: packets are handed to the programs, not sent. */
static int attach_sockets(struct rig *rig, struct err *err)
{
	int i;

	for (i = DP_PROG_CONNECT4; i <= DP_PROG_RELEASE && rig->cgroup_fd >= 0; i++) {
		rig->link_fd[i] = bpf_link_create(rig->dp->prog_fd[i], rig->cgroup_fd,
						  (enum bpf_attach_type)attach_types[i], NULL);
		if (rig->link_fd[i] < 0)
			return err_system(err, -errno, "attach %s to the test's cgroup",
					  dp_prog_names[i]);
	}
	return 0;
}

static int load(struct rig *rig, const struct settings *settings, struct err *err)
{
	const struct settings own = loaded_settings(settings);
	struct settings with_paths = own;
	int ret;

	/*
	 * As bytes, so that no new setting is forgotten; settings_init() has cleared the
	 * padding, and where it differs all the same the programs are loaded once more.
	 */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	if (rig->dp && !memcmp(&own, &rig->settings, sizeof(own)))
		return 0;
	unload(rig);
	with_paths.bpffs = "";
	ret = dataplane_open(&rig->dp, rig->mode, &with_paths, err);
	if (ret)
		return ret;
	rig->dp->on_node = true;
	memcpy(&rig->settings, &own, sizeof(own));
	memset(rig->drops_seen, 0, sizeof(rig->drops_seen));
	return attach_sockets(rig, err);
}

static int device_write(struct rig *rig, uint32_t ifindex, const struct sh_device *device,
			struct err *err)
{
	if (bpf_map_update_elem(rig->dp->map_fd[DP_MAP_DEVICES], &ifindex, device, BPF_ANY))
		return err_system(err, -errno, "write %s", dp_map_names[DP_MAP_DEVICES]);
	return 0;
}

static int devices_write(struct rig *rig, const struct settings *settings, struct err *err)
{
	const struct network_device *uplink = network_uplink(rig->network);
	const struct network_device *workload = network_workload(rig->network);
	struct netdev_primary primary;
	struct netdev_list list;
	struct sh_device node;
	int ret;

	ret = netdev_list(&list, err);
	if (ret)
		return ret;
	primary = netdev_primary(&list, settings);
	node = (struct sh_device){ .addr4 = primary.addr4, .addr6 = primary.addr6 };
	ret = device_write(rig, 0, &node, err);
	if (!ret) {
		node = netdev_device(&list, netdev_find(&list, uplink->ifindex), &primary,
				     SH_ROLE_UPLINK);
		ret = device_write(rig, uplink->ifindex, &node, err);
	}
	if (!ret) {
		node = netdev_device(&list, netdev_find(&list, workload->ifindex), &primary,
				     SH_ROLE_WORKLOAD);
		ret = device_write(rig, workload->ifindex, &node, err);
	}
	netdev_list_done(&list);
	return ret;
}

int rig_publish(struct rig *rig, const struct settings *settings, const struct wanted *wanted,
		struct err *err)
{
	struct wanted nothing = { 0 };
	struct publish_result result;
	int ret;

	ret = load(rig, settings, err);
	if (!ret)
		ret = dataplane_publish(rig->dp, &nothing, &result, err);
	if (!ret)
		ret = dataplane_publish(rig->dp, wanted, &result, err);
	if (!ret)
		ret = devices_write(rig, settings, err);
	/* What was counted for Services that are gone has gone with them. */
	if (!ret)
		(void)rig_drop_reason(rig);
	rig->wanted = wanted;
	return ret;
}

const struct wanted *rig_wanted(const struct rig *rig)
{
	return rig->wanted;
}

struct network *rig_network(struct rig *rig)
{
	return rig->network;
}

void rig_keep_trace(struct rig *rig)
{
	rig->mode = DATAPLANE_TRACE;
}

struct dataplane *rig_dataplane(struct rig *rig)
{
	return rig->dp;
}

static int rig_alloc(struct rig **out, int cgroup_fd, struct err *err)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int ret, i;

	if (!rig)
		return err_system(err, -ENOMEM, "set up the test");
	rig->mode = DATAPLANE_SCRATCH;
	rig->cgroup_fd = cgroup_fd;
	for (i = 0; i < DP_PROG_COUNT; i++)
		rig->link_fd[i] = -1;
	rig->n_cpus = libbpf_num_possible_cpus();
	ret = rig->n_cpus;
	if (ret > 0) {
		rig->drops = calloc((size_t)rig->n_cpus, sizeof(*rig->drops));
		ret = rig->drops ? 0 : -ENOMEM;
	}
	if (ret) {
		rig_free(rig);
		return err_system(err, ret, "set up the test");
	}
	*out = rig;
	return 0;
}

int rig_new(struct rig **out, int cgroup_fd, struct err *err)
{
	struct rig *rig;
	int ret;

	ret = rig_alloc(&rig, cgroup_fd, err);
	if (ret)
		return ret;
	ret = network_new(&rig->network, err);
	if (ret)
		rig_free(rig);
	else
		*out = rig;
	return ret;
}

int rig_over(struct rig **out, struct dataplane *dp, int cgroup_fd, struct err *err)
{
	struct rig *rig;
	int ret;

	ret = rig_alloc(&rig, cgroup_fd, err);
	if (ret) {
		dataplane_close(dp);
		return ret;
	}
	rig->dp = dp;
	ret = attach_sockets(rig, err);
	if (ret)
		rig_free(rig);
	else
		*out = rig;
	return ret;
}

void rig_free(struct rig *rig)
{
	if (!rig)
		return;
	unload(rig);
	network_free(rig->network);
	free(rig->drops);
	free(rig);
}

/* ---- forgetting ------------------------------------------------------------------ */

static void map_clear(int fd)
{
	union {
		char bytes[KEY_BYTES_MAX];
		uint64_t aligned;
	} key;

	while (!bpf_map_get_next_key(fd, NULL, &key)) {
		if (bpf_map_delete_elem(fd, &key))
			break;
	}
}

/* The flows that count are gone. */
static void live_clear(struct dataplane *dp)
{
	struct sh_backend *lines = dp->mem[DP_MAP_BACKENDS];
	uint32_t i;

	for (i = 0; i < dp->map_max[DP_MAP_BACKENDS]; i++)
		lines[i].live = 0;
}

void rig_forget(struct rig *rig)
{
	static const char *const remembered[] = { "shunt_sockets", "shunt_affinity",
						  "shunt_frags" };
	struct dataplane *dp = rig->dp;
	size_t i;
	int map;

	memset(dp->mem[DP_MAP_TAGS4], 0, dp->mem_len[DP_MAP_TAGS4]);
	memset(dp->mem[DP_MAP_TAGS6], 0, dp->mem_len[DP_MAP_TAGS6]);
	live_clear(dp);
	for (map = 0; map < DP_MAP_COUNT; map++) {
		for (i = 0; i < sizeof(remembered) / sizeof(remembered[0]); i++) {
			if (!strcmp(dp_map_names[map], remembered[i]))
				map_clear(dp->map_fd[map]);
		}
	}
}

/* ---- running --------------------------------------------------------------------- */

static int run_program(struct rig *rig, enum dp_prog prog, struct bpf_test_run_opts *opts,
		       struct rig_run *run, struct err *err)
{
	int ret;

	/* The kernel takes the packet before it gives one back: one place will do. */
	opts->data_in = run->packet->b;
	opts->data_size_in = run->packet->len;
	opts->data_out = run->packet->b;
	opts->data_size_out = sizeof(run->packet->b);
	opts->repeat = 1;
	ret = bpf_prog_test_run_opts(rig->dp->prog_fd[prog], opts);
	if (ret)
		return err_system(err, ret, "run %s (BPF_PROG_TEST_RUN)", dp_prog_names[prog]);
	run->packet->len = opts->data_size_out;
	run->action = (int)opts->retval;
	return 0;
}

int rig_tc(struct rig *rig, struct rig_run *run, struct err *err)
{
	struct __sk_buff ctx = { .ifindex = run->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	return run_program(rig, run->egress ? DP_PROG_EGRESS : DP_PROG_INGRESS, &opts, run, err);
}

int rig_xdp(struct rig *rig, struct rig_run *run, struct err *err)
{
	struct xdp_md ctx = { .data_end = run->packet->len, .ingress_ifindex = run->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	return run_program(rig, DP_PROG_XDP, &opts, run, err);
}

bool rig_socket_backend(struct rig *rig, uint64_t cookie, struct ptest_target *out)
{
	int fd = rig->dp->map_fd[DP_MAP_SOCKETS];
	struct sh_socket_key key;
	bool found = false;

	/* Sockets are tried one by one: what else is in there is of one that was closed. */
	while (!bpf_map_get_next_key(fd, NULL, &key)) {
		if (key.cookie == cookie) {
			*out = (struct ptest_target){ key.backend, key.port };
			found = true;
		}
		if (bpf_map_delete_elem(fd, &key))
			break;
	}
	return found;
}

enum sh_reason rig_drop_reason(struct rig *rig)
{
	uint64_t now[SH_REASON_COUNT] = { 0 };
	int fd = rig->dp->map_fd[DP_MAP_DROPS], reason, cpu;
	struct sh_drop_key key, *from = NULL;
	enum sh_reason found = SH_REASON_NONE;

	while (!bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (key.reason >= SH_REASON_COUNT || bpf_map_lookup_elem(fd, &key, rig->drops))
			continue;
		for (cpu = 0; cpu < rig->n_cpus; cpu++)
			now[key.reason] += rig->drops[cpu].packets;
	}
	for (reason = 0; reason < SH_REASON_COUNT; reason++) {
		if (now[reason] > rig->drops_seen[reason])
			found = (enum sh_reason)reason;
		rig->drops_seen[reason] = now[reason];
	}
	return found;
}
