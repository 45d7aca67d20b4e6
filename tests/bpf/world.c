/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <sys/stat.h>

#include "model/allocate.h"
#include "model/resolve.h"
#include "source/manifest.h"

void run(const char *fmt, ...)
{
	char command[2048];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

struct sh_addr addr_of(const char *text)
{
	struct sh_addr addr = { 0 };

	if (addr_parse(text, &addr))
		fail_msg("no address: %s", text);
	return addr;
}

/* ---- the node ----------------------------------------------------------------- */

void world_network(struct world *world)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("set -e; exec 2>&1; ip link set lo up; "
	    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
	    "for d in eth0:10 eth1:11 pod1:12; do "
	    "ip link add ${d%%:*} address 02:00:00:00:00:${d##*:} type veth peer name p${d%%:*}; "
	    "ip link set ${d%%:*} up; ip link set p${d%%:*} up; done; "
	    "ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad; "
	    "ip addr add 192.0.3.1/24 dev eth1; ip addr add 2001:db8:3::1/64 dev eth1 nodad; "
	    "ip route add 10.244.1.0/24 dev pod1; ip route add fd00:1::/64 dev pod1");
	run("set -e; neigh() { ip neigh add $1 dev $2 lladdr 02:00:00:00:00:$3 nud permanent; }; "
	    "neigh 192.0.2.2 eth0 02; neigh 2001:db8::2 eth0 02; "
	    "neigh 192.0.2.254 eth0 03; neigh 2001:db8::fe eth0 03; "
	    "neigh 192.0.3.3 eth1 04; neigh 2001:db8:3::3 eth1 04; "
	    "ip route add 10.244.2.0/24 via 192.0.2.2; ip route add fd00:2::/64 via 2001:db8::2; "
	    "ip route add 10.244.3.0/24 via 192.0.3.3; ip route add fd00:3::/64 via 2001:db8:3::3; "
	    "ip route add 10.244.4.0/24 via 192.0.2.4; ip route add fd00:4::/64 via 2001:db8::4; "
	    "ip route add 10.244.5.0/24 via 192.0.2.2 mtu lock 1300; "
	    "ip route add fd00:5::/64 via 2001:db8::2 mtu lock 1300; "
	    "ip route add 10.244.6.0/24 via 192.0.2.2 mtu lock 576; "
	    "ip route add default via 192.0.2.254; ip route add default via 2001:db8::fe");
	world->eth0 = if_nametoindex("eth0");
	world->eth1 = if_nametoindex("eth1");
	world->pod1 = if_nametoindex("pod1");
}

void world_settings(struct world *world)
{
	settings_init(&world->settings);
	world->settings.max_frontends = 1024;
	world->settings.max_backends = 1024;
	world->settings.max_slots = 65536;
	world->settings.max_flows4 = 4096;
	world->settings.max_flows6 = 4096;
	world->settings.max_sockets = 64;
}

static void put_device(const struct world *world, uint32_t ifindex, enum sh_role role,
		       const char *addrs[2])
{
	struct sh_device device = { .role = (uint8_t)role };

	if (addrs) {
		device.addr4 = addr_of(addrs[0]);
		device.addr6 = addr_of(addrs[1]);
	}
	assert_int_equal(
		bpf_map_update_elem(world->dp->map_fd[DP_MAP_DEVICES], &ifindex, &device, BPF_ANY),
		0);
}

/* Does this kernel say after a run whether skb->csum still fits the packet? */
static bool probe_csum_complete(const struct world *world)
{
	struct packet packet = { .len = 64 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.b, .data_size_in = 64, .repeat = 1,
		    .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE);

	return !bpf_prog_test_run_opts(world->dp->prog_fd[DP_PROG_INGRESS], &opts);
}

void world_open(struct world *world, enum dataplane_mode mode)
{
	const char *on_eth0[] = { "192.0.2.1", "2001:db8::1" };
	const char *on_eth1[] = { "192.0.3.1", "2001:db8:3::1" };
	struct err err = { .msg = "" };

	if (dataplane_open(&world->dp, mode, &world->settings, &err) ||
	    flows_mmap(world->dp, &err)) /* a writer has them not; tests look at them */
		fail_msg("dataplane_open: %s", err.msg);
	put_device(world, 0, SH_ROLE_NONE, on_eth0);
	put_device(world, world->eth0, SH_ROLE_UPLINK, on_eth0);
	put_device(world, world->eth1, SH_ROLE_UPLINK, on_eth1);
	put_device(world, world->pod1, SH_ROLE_WORKLOAD, NULL);
	world->csum_complete = probe_csum_complete(world);
}

void world_close(struct world *world)
{
	dataplane_close(world->dp);
	world->dp = NULL;
}

void world_scene(struct world *world, const char *yaml)
{
	world_network(world);
	world_settings(world);
	world_open(world, DATAPLANE_SCRATCH);
	publish_yaml(world, yaml);
}

void world_mount(struct world *world, struct world_pins *pins)
{
	(void)snprintf(pins->tmp, sizeof(pins->tmp), "/tmp/shunt-test-XXXXXX");
	assert_non_null(mkdtemp(pins->tmp));
	(void)snprintf(pins->bpffs, sizeof(pins->bpffs), "%s/bpf", pins->tmp);
	(void)snprintf(pins->pins, sizeof(pins->pins), "%s/shunt", pins->bpffs);
	assert_int_equal(mkdir(pins->bpffs, 0700), 0);
	assert_int_equal(mount("bpf", pins->bpffs, "bpf", 0, NULL), 0);
	world->settings.bpffs = pins->pins;
	world->settings.state = pins->tmp;
}

void world_unmount(const struct world_pins *pins)
{
	(void)umount2(pins->bpffs, MNT_DETACH);
	run("rm -rf --one-file-system %s", pins->tmp);
}

/* ---- manifests ------------------------------------------------------------------ */

struct wanted *wanted_from_yaml(const struct world *world, const char *yaml)
{
	const struct manifest_text text = { .name = "test", .text = yaml, .len = strlen(yaml) };
	const struct allocate_opts give = { .service_cidrs = world->settings.service_cidrs,
					    .n_service_cidrs = world->settings.n_service_cidrs,
					    .node_port_min = 30000,
					    .node_port_max = 32767 };
	struct sh_addr nodeaddrs[] = { addr_of("192.0.2.1"), addr_of("2001:db8::1") };
	struct resolve_opts opts = { .node_name = "node-1",
				     .nodeaddrs = nodeaddrs,
				     .n_nodeaddrs = 2,
				     .service_cidrs = world->settings.service_cidrs,
				     .n_service_cidrs = world->settings.n_service_cidrs,
				     .own_control_plane = true };
	struct object_set objects = { 0 };
	struct err err = { .msg = "" };
	struct diags diags = { 0 };
	struct wanted *wanted = NULL;

	if (manifest_load_buffer(&text, &objects, &diags, &err))
		fail_msg("%s", diags.n_errors ? diags.errors[0].text : err.msg);
	if (allocate(&objects, NULL, &give, &err) || resolve(&objects, &opts, &wanted, &err))
		fail_msg("%s", err.msg);
	diags_done(&diags);
	object_set_done(&objects);
	return wanted;
}

#define WANTED_SERVICES 1024

static void *wanted_array(struct wanted *wanted, size_t n, size_t size)
{
	void *array = arena_array(wanted->arena, n, size);

	assert_non_null(array);
	return array;
}

struct wanted *wanted_new(void)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));

	assert_non_null(wanted);
	wanted->arena = arena_new();
	assert_non_null(wanted->arena);
	wanted->services = wanted_array(wanted, WANTED_SERVICES, sizeof(*wanted->services));
	wanted->nodeaddrs = wanted_array(wanted, 4, sizeof(*wanted->nodeaddrs));
	wanted->nodeaddrs[wanted->n_nodeaddrs++] = addr_of("192.0.2.1");
	wanted->nodeaddrs[wanted->n_nodeaddrs++] = addr_of("2001:db8::1");
	return wanted;
}

struct want_service *wanted_service(struct wanted *wanted, const struct service_spec *spec)
{
	struct want_service *service = &wanted->services[wanted->n_services++];
	struct sh_addr vip = addr_of(spec->vip), any = { 0 };

	assert_true(wanted->n_services <= WANTED_SERVICES);
	*service = (struct want_service){ .ns = "default",
					  .name = arena_strdup(wanted->arena, spec->name),
					  .port_name = "",
					  .port = spec->port,
					  .proto = spec->proto,
					  .family = addr_family(&vip),
					  .any_usable = true };
	service->frontends = wanted_array(wanted, 2, sizeof(*service->frontends));
	service->frontends[service->n_frontends++] = (struct want_frontend){
		.kind = FRONTEND_CLUSTER_IP, .addr = vip, .port = htons(spec->port)
	};
	if (sh_addr_is_v4(&vip))
		any.w[2] = SH_MAPPED_PREFIX;
	if (spec->node_port)
		service->frontends[service->n_frontends++] = (struct want_frontend){
			.kind = FRONTEND_NODE_PORT, .addr = any, .port = htons(spec->node_port)
		};
	return service;
}

void wanted_backends(struct wanted *wanted, struct want_service *service,
		     const struct backends_spec *spec)
{
	struct sh_addr first = addr_of(spec->addr);
	struct want_backend *grown;

	grown = wanted_array(wanted, service->n_backends + spec->n, sizeof(*grown));
	if (service->n_backends)
		memcpy(grown, service->backends, service->n_backends * sizeof(*grown));
	service->backends = grown;
	for (uint16_t i = 0; i < spec->n; i++)
		grown[service->n_backends++] = (struct want_backend){
			.addr = addr_add(&first, i),
			.port = htons(spec->port),
			.weight = 1,
			.local = spec->local,
			.in_cluster = true,
			.in_local = spec->local,
			.pod = "",
			.node = "",
			.zone = "",
		};
}

void publish(struct world *world, const struct wanted *wanted, struct publish_result *result)
{
	struct err err = { .msg = "" };

	if (dataplane_publish(world->dp, wanted, result, &err))
		fail_msg("dataplane_publish: %s", err.msg);
}

void publish_yaml(struct world *world, const char *yaml)
{
	struct wanted *wanted = wanted_from_yaml(world, yaml);
	struct publish_result result;

	publish(world, wanted, &result);
	wanted_free(wanted);
}

/* ---- running -------------------------------------------------------------------- */

static int run_xdp(const struct world *world, struct bpf_test_run_opts *opts, uint32_t ifindex)
{
	struct xdp_md ctx = { .data_end = opts->data_size_in, .ingress_ifindex = ifindex };

	opts->ctx_in = &ctx;
	opts->ctx_size_in = sizeof(ctx);
	return bpf_prog_test_run_opts(world->dp->prog_fd[DP_PROG_XDP], opts);
}

static int run_tc(const struct world *world, struct bpf_test_run_opts *opts, enum hook hook,
		  uint32_t ifindex)
{
	struct __sk_buff ctx = { .ifindex = ifindex };

	opts->ctx_in = &ctx;
	opts->ctx_size_in = sizeof(ctx);
	if (world->csum_complete)
		opts->flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE;
	return bpf_prog_test_run_opts(
		world->dp->prog_fd[hook == HOOK_EGRESS ? DP_PROG_EGRESS : DP_PROG_INGRESS], opts);
}

int hook_try(const struct world *world, enum hook hook, uint32_t ifindex, const struct packet *in,
	     struct packet *out)
{
	struct packet got;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_size_in = (uint32_t)in->len,
		    .data_out = got.b, .data_size_out = sizeof(got.b), .repeat = 1);
	int ret;

	ret = hook == HOOK_XDP ? run_xdp(world, &opts, ifindex)
			       : run_tc(world, &opts, hook, ifindex);
	if (ret)
		return HOOK_ERRNO(-ret);
	got.len = opts.data_size_out;
	*out = got;
	return (int)opts.retval;
}

int hook_run(const struct world *world, enum hook hook, uint32_t ifindex, const struct packet *in,
	     struct packet *out)
{
	struct packet was = *in;
	int ret;

	ret = hook_try(world, hook, ifindex, in, out);
	if (ret == HOOK_ERRNO(EINVAL) && hook != HOOK_XDP && in->len < 14 + 40) {
		*out = was;
		return HOOK_REFUSED;
	}
	if (ret == HOOK_ERRNO(EBADMSG)) {
		packet_print("in", in);
		fail_msg("skb->csum does not fit the packet any more");
	}
	if (ret < HOOK_ERRNO(0))
		fail_msg("BPF_PROG_TEST_RUN of %zu bytes: %s", in->len, strerror(-1000 - ret));
	return ret;
}

/* ---- what the kernel holds -------------------------------------------------------- */

static bool is_key(const struct sh_flow *flow, const struct packet *packet,
		   const struct parsed *parsed, enum sh_direction direction)
{
	const struct sh_flow6 *flow6 = (const struct sh_flow6 *)flow;
	struct sh_addr src = packet_addr(packet, parsed, false);
	struct sh_addr dst = packet_addr(packet, parsed, true);

	if (flow->direction != direction || flow->proto != parsed->proto ||
	    ntohs(flow->sport) != packet_get16(packet, parsed->l4) ||
	    ntohs(flow->dport) != packet_get16(packet, parsed->l4 + 2))
		return false;
	if (parsed->v6)
		return addr_eq(&flow6->saddr, &src) && addr_eq(&flow6->daddr, &dst);
	return flow->saddr == src.w[3] && flow->daddr == dst.w[3];
}

static uint32_t n_flows(const struct world *world, bool v6)
{
	return world->dp->map_max[v6 ? DP_MAP_TAGS6 : DP_MAP_TAGS4] * SH_WAYS;
}

/* By reading all of the table: the test need not know how the programs hash. */
struct sh_flow *flow_of(const struct world *world, const struct packet *packet,
			enum sh_direction direction)
{
	struct sh_flow *found = NULL, *flow;
	struct parsed parsed;
	uint32_t i;

	assert_true(packet_parse(packet, &parsed));
	for (i = 0; i < n_flows(world, parsed.v6); i++) {
		flow = parsed.v6 ? &((struct sh_flow6 *)world->dp->mem[DP_MAP_FLOWS6])[i].f
				 : &((struct sh_flow *)world->dp->mem[DP_MAP_FLOWS4])[i];
		if (state_of(world, flow) < SH_NEW || !is_key(flow, packet, &parsed, direction))
			continue;
		if (found)
			fail_msg("two entries of one key: %p and %p", (void *)found, (void *)flow);
		found = flow;
	}
	return found;
}

uint32_t *word_of(const struct world *world, const struct sh_flow *flow)
{
	const char *at = (const char *)flow, *v4 = world->dp->mem[DP_MAP_FLOWS4];
	const char *v6 = world->dp->mem[DP_MAP_FLOWS6];
	struct sh_bucket *buckets;
	size_t index;

	if (at >= v6 && at < v6 + world->dp->mem_len[DP_MAP_FLOWS6]) {
		index = (size_t)(at - v6) / sizeof(struct sh_flow6);
		buckets = world->dp->mem[DP_MAP_TAGS6];
	} else {
		index = (size_t)(at - v4) / sizeof(struct sh_flow);
		buckets = world->dp->mem[DP_MAP_TAGS4];
	}
	return &buckets[index / SH_WAYS].word[index % SH_WAYS];
}

enum sh_flow_state state_of(const struct world *world, const struct sh_flow *flow)
{
	return (enum sh_flow_state)((*word_of(world, flow) & SH_WORD_STATE_MASK) >>
				    SH_WORD_STATE_SHIFT);
}

void flows_forget(const struct world *world)
{
	int frags = world->dp->map_fd[DP_MAP_FRAGS];
	struct sh_fragment_key key;

	while (!bpf_map_get_next_key(frags, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(frags, &key), 0);
	memset(world->dp->mem[DP_MAP_TAGS4], 0, world->dp->mem_len[DP_MAP_TAGS4]);
	memset(world->dp->mem[DP_MAP_TAGS6], 0, world->dp->mem_len[DP_MAP_TAGS6]);
}

static uint64_t drop_sum(const struct world *world, int reason)
{
	int fd = world->dp->map_fd[DP_MAP_DROPS], cpus = libbpf_num_possible_cpus();
	struct sh_drop_key key, *from = NULL;
	struct sh_drop drops[256];
	uint64_t sum = 0;

	assert_in_range(cpus, 1, 256);
	while (!bpf_map_get_next_key(fd, from, &key)) {
		from = &key;
		if (reason >= 0 && key.reason != (uint32_t)reason)
			continue;
		assert_int_equal(bpf_map_lookup_elem(fd, &key, drops), 0);
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += drops[cpu].packets;
	}
	return sum;
}

uint64_t drops_of(const struct world *world, enum sh_reason reason)
{
	return drop_sum(world, (int)reason);
}

uint64_t drops_all(const struct world *world)
{
	return drop_sum(world, -1);
}

uint64_t connections_to(const struct world *world, const struct sh_addr *addr)
{
	const struct sh_backend *lines = world->dp->mem[DP_MAP_BACKENDS];
	uint64_t sum = 0;

	for (uint32_t i = 1; i < world->dp->map_max[DP_MAP_BACKENDS]; i++) {
		if (lines[i].id && (!addr || addr_eq(addr, &lines[i].addr)))
			sum += lines[i].connections;
	}
	return sum;
}

/* ---- main ------------------------------------------------------------------------ */

/* A mount namespace of its own, so that nothing that is mounted here is seen outside. */
static bool may_run(void)
{
	return !geteuid() && !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void needs_root(void **state)
{
	print_message("loading BPF programs needs root\n");
	skip();
}

int world_run_tests(const char *name, const struct CMUnitTest *tests, size_t n)
{
	const struct CMUnitTest none[] = { cmocka_unit_test(needs_root) };
	const char *filter = getenv("TEST_FILTER");

	if (filter)
		cmocka_set_test_filter(filter);
	if (!may_run())
		return _cmocka_run_group_tests(name, none, 1, NULL, NULL);
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}
