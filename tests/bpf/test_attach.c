/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attaching and taking away, on the real kernel, with programs that do
 * nothing: in a network and a mount namespace of this process, which vanish
 * with it. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/attach.h"
#include "dataplane/bpffs.h"
#include "dataplane/clsact.h"
#include "dataplane/internal.h"
#include "dataplane/link.h"
#include "dataplane/sysctl.h"

#define RESERVED "/proc/sys/net/ipv4/ip_local_reserved_ports"

/* A directory, a bpffs in it, an instance on that, and devices: made anew for each test. */
struct fixture {
	char tmp[64];
	char bpffs[96], pins[128], state[96], cgroup[256];
	struct settings settings;
	struct dataplane dp;
};

static void run(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static const char *read_text(const char *path)
{
	static char text[4096];
	FILE *f = fopen(path, "re");
	size_t len;

	if (!f)
		fail_msg("cannot read %s", path);
	len = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* ---- an instance made by hand ------------------------------------------------ */

static const uint32_t attach_types[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (type),
	DP_PROGS(X)
#undef X
};

/* `return value` */
static int load_prog(int prog)
{
	enum bpf_prog_type type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_types[prog]);
	int fd;

	if (prog == DP_PROG_XDP) {
		type = BPF_PROG_TYPE_XDP;
		insns[0].imm = XDP_PASS;
	} else if (prog == DP_PROG_INGRESS || prog == DP_PROG_EGRESS) {
		type = BPF_PROG_TYPE_SCHED_CLS;
		insns[0].imm = 0; /* TC_ACT_OK */
	} else if (prog == DP_PROG_RELEASE || prog == DP_PROG_BIND4 || prog == DP_PROG_BIND6) {
		type = BPF_PROG_TYPE_CGROUP_SOCK;
	}
	fd = bpf_prog_load(type, dp_prog_names[prog], "GPL", insns, 2, &opts);
	assert_true(fd >= 0);
	return fd;
}

static void load_progs(struct fixture *f)
{
	char path[256];

	for (int i = 0; i < DP_PROG_COUNT; i++) {
		if (f->dp.prog_fd[i] >= 0)
			(void)close(f->dp.prog_fd[i]);
		f->dp.prog_fd[i] = load_prog(i);
		(void)snprintf(path, sizeof(path), "%s/progs/%s", f->pins, dp_prog_names[i]);
		(void)unlink(path);
		assert_int_equal(bpf_obj_pin(f->dp.prog_fd[i], path), 0);
	}
}

static void instance_open(struct fixture *f)
{
	char path[256];
	struct err err;
	int fd;

	memset(&f->dp, 0, sizeof(f->dp));
	memset(f->dp.map_fd, -1, sizeof(f->dp.map_fd));
	memset(f->dp.prog_fd, -1, sizeof(f->dp.prog_fd));
	f->dp.mode = DATAPLANE_WRITE;
	(void)snprintf(f->dp.dir, sizeof(f->dp.dir), "%s", f->pins);
	assert_int_equal(bpffs_open(f->pins, true, &f->dp.dir_fd, &err), 0);
	assert_int_equal(bpffs_lock(f->dp.dir_fd, f->pins, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/progs", f->pins);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "shunt_devices", 4, sizeof(struct sh_device),
			    SH_DEVICES_MAX, NULL);
	assert_true(fd >= 0);
	(void)snprintf(path, sizeof(path), "%s/shunt_devices", f->pins);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	f->dp.map_fd[DP_MAP_DEVICES] = fd;
	load_progs(f);
}

static void instance_close(struct fixture *f)
{
	for (int i = 0; i < DP_PROG_COUNT; i++)
		if (f->dp.prog_fd[i] >= 0)
			(void)close(f->dp.prog_fd[i]);
	if (f->dp.map_fd[DP_MAP_DEVICES] >= 0)
		(void)close(f->dp.map_fd[DP_MAP_DEVICES]);
	if (f->dp.dir_fd >= 0)
		(void)close(f->dp.dir_fd);
	memset(f->dp.map_fd, -1, sizeof(f->dp.map_fd));
	memset(f->dp.prog_fd, -1, sizeof(f->dp.prog_fd));
	f->dp.dir_fd = -1;
}

/* A cgroup of the test's own: its programs must not see the machine's sockets. */
static void make_cgroup(struct fixture *f)
{
	char *line = NULL;
	size_t size = 0;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	if (!mounts)
		fail_msg("cannot read the mount table");
	f->cgroup[0] = '\0';
	while (!f->cgroup[0] && getline(&line, &size, mounts) > 0) {
		char *type = strstr(line, " - cgroup2 ");
		char point[128];

		if (type && sscanf(line, "%*s %*s %*s %*s %127s", point) == 1)
			(void)snprintf(f->cgroup, sizeof(f->cgroup), "%s/shunt-test-%d", point,
				       (int)getpid());
	}
	free(line);
	(void)fclose(mounts);
	if (!f->cgroup[0])
		fail_msg("no cgroup v2 on this machine");
	assert_int_equal(mkdir(f->cgroup, 0755), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	(void)snprintf(f->tmp, sizeof(f->tmp), "/tmp/shunt-test-XXXXXX");
	assert_non_null(mkdtemp(f->tmp));
	(void)snprintf(f->bpffs, sizeof(f->bpffs), "%s/bpf", f->tmp);
	(void)snprintf(f->pins, sizeof(f->pins), "%s/shunt", f->bpffs);
	(void)snprintf(f->state, sizeof(f->state), "%s/state/of", f->tmp);
	assert_int_equal(mkdir(f->bpffs, 0700), 0);
	assert_int_equal(mount("bpf", f->bpffs, "bpf", 0, NULL), 0);
	make_cgroup(f);
	run("ip link set lo up && "
	    "ip link add eth0 type veth peer name world && ip link add pod1 type veth peer name c1 "
	    "&& "
	    "ip link add pod2 type veth peer name c2 && ip link add vx0 type vxlan id 7 dstport "
	    "4789 && "
	    "for d in eth0 world pod1 c1 pod2 c2 vx0; do ip link set $d up || exit; done && "
	    "ip addr add 192.0.2.1/24 dev eth0 && ip addr add 2001:db8::1/64 dev eth0 nodad && "
	    "ip route add default via 192.0.2.254");
	f->settings.bpffs = f->pins;
	f->settings.state = f->state;
	f->settings.cgroup = f->cgroup;
	f->settings.socket_lb = SH_SOCKET_LB_ON;
	f->settings.snat_min = 50000;
	f->settings.snat_max = 60000;
	instance_open(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	instance_close(f);
	(void)dataplane_reset(&f->settings, NULL);
	(void)umount2(f->bpffs, MNT_DETACH);
	(void)rmdir(f->cgroup);
	run("rm -rf --one-file-system %s", f->tmp);
	free(f);
	return 0;
}

/* ---- what is there ------------------------------------------------------------ */

static const char *tc_on(const struct fixture *f, const char *name)
{
	const char *tc, *xdp;

	assert_int_equal(attach_describe(f->pins, if_nametoindex(name), &tc, &xdp), 0);
	return tc;
}

static const char *xdp_on(const struct fixture *f, const char *name)
{
	const char *tc, *xdp;

	assert_int_equal(attach_describe(f->pins, if_nametoindex(name), &tc, &xdp), 0);
	return xdp;
}

/* Of the link at DIR/links/NAME; all-zero: none. */
static struct bpf_link_info link_info(const struct fixture *f, const char *name)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/links/%s", f->pins, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return info;
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	(void)close(fd);
	return info;
}

static struct bpf_link_info device_link(const struct fixture *f, const char *what,
					unsigned int ifindex)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s_%u", what, ifindex);
	return link_info(f, name);
}

static bool device_entry(const struct fixture *f, unsigned int ifindex, struct sh_device *out)
{
	return !bpf_map_lookup_elem(f->dp.map_fd[DP_MAP_DEVICES], &ifindex, out);
}

static void attach(struct fixture *f)
{
	struct err err = { .msg = "" };

	if (dataplane_attach(&f->dp, &f->settings, &err))
		fail_msg("attach: %s", err.msg);
}

/* ---- tests -------------------------------------------------------------------- */

static void attaches_by_role(void **state)
{
	struct fixture *f = *state;
	struct sh_device device;
	char text[ADDR_STRLEN];

	attach(f);
	assert_string_not_equal(tc_on(f, "eth0"), "");
	assert_string_not_equal(tc_on(f, "pod1"), "");
	assert_string_not_equal(tc_on(f, "vx0"), "");
	assert_string_equal(tc_on(f, "lo"), "");
	/* Left to choose, a veth gets no XDP: its peer sends partial checksums. */
	assert_string_equal(xdp_on(f, "eth0"), "");

	assert_true(device_entry(f, if_nametoindex("eth0"), &device));
	assert_int_equal(device.role, SH_ROLE_UPLINK);
	assert_string_equal(addr_format(&device.addr4, text), "192.0.2.1");
	assert_string_equal(addr_format(&device.addr6, text), "2001:db8::1");
	assert_true(device_entry(f, if_nametoindex("pod1"), &device));
	assert_int_equal(device.role, SH_ROLE_WORKLOAD);
	assert_true(device_entry(f, if_nametoindex("vx0"), &device));
	assert_int_equal(device.role, SH_ROLE_OVERLAY);
	assert_false(device_entry(f, if_nametoindex("lo"), &device));
	/* 0 is the node. */
	assert_true(device_entry(f, 0, &device));
	assert_string_equal(addr_format(&device.addr4, text), "192.0.2.1");
}

static void again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned int eth0 = if_nametoindex("eth0");
	struct bpf_link_info before, after;

	attach(f);
	before = device_link(f, "egress", eth0);
	attach(f);
	after = device_link(f, "egress", eth0);
	assert_int_equal(before.id, after.id);
	assert_int_equal(before.prog_id, after.prog_id);
}

static void new_programs_replace_old_in_place(void **state)
{
	struct fixture *f = *state;
	unsigned int eth0 = if_nametoindex("eth0");
	struct bpf_link_info tc, xdp, sock;

	f->settings.xdp = XDP_NATIVE;
	attach(f);
	tc = device_link(f, "ingress", eth0);
	xdp = device_link(f, "xdp", eth0);
	sock = link_info(f, "shunt_connect4");
	load_progs(f);
	attach(f);
	if (tc.id) { /* TCX */
		assert_int_equal(device_link(f, "ingress", eth0).id, tc.id);
		assert_int_equal(device_link(f, "ingress", eth0).prog_id,
				 link_prog_id(f->dp.prog_fd[DP_PROG_INGRESS]));
	}
	assert_int_equal(device_link(f, "xdp", eth0).id, xdp.id);
	assert_int_equal(device_link(f, "xdp", eth0).prog_id,
			 link_prog_id(f->dp.prog_fd[DP_PROG_XDP]));
	assert_int_equal(link_info(f, "shunt_connect4").id, sock.id);
	assert_int_equal(link_info(f, "shunt_connect4").prog_id,
			 link_prog_id(f->dp.prog_fd[DP_PROG_CONNECT4]));
}

static void xdp_follows_the_settings(void **state)
{
	struct fixture *f = *state;

	f->settings.xdp = XDP_NATIVE;
	attach(f);
	assert_string_equal(xdp_on(f, "eth0"), "native");
	assert_string_equal(xdp_on(f, "pod1"), "");
	f->settings.xdp = XDP_GENERIC;
	attach(f);
	assert_string_equal(xdp_on(f, "eth0"), "generic");
	f->settings.xdp = XDP_OFF;
	attach(f);
	assert_string_equal(xdp_on(f, "eth0"), "");
	f->settings.xdp = XDP_NATIVE;
	attach(f);
	f->settings.xdp = XDP_AUTO;
	attach(f);
	assert_string_equal(xdp_on(f, "eth0"), "");
}

static void others_xdp_stays(void **state)
{
	struct fixture *f = *state;
	int eth0 = (int)if_nametoindex("eth0"), theirs = load_prog(DP_PROG_XDP);
	struct err err = { .msg = "" };
	__u32 now = 0;

	assert_int_equal(bpf_xdp_attach(eth0, theirs, XDP_FLAGS_SKB_MODE, NULL), 0);
	f->settings.xdp = XDP_GENERIC;
	assert_int_equal(dataplane_attach(&f->dp, &f->settings, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "attach shunt_xdp to eth0: another program (id "));
	f->settings.xdp = XDP_AUTO;
	attach(f);
	assert_int_equal(bpf_xdp_query_id(eth0, XDP_FLAGS_SKB_MODE, &now), 0);
	assert_int_equal(now, link_prog_id(theirs));
	(void)close(theirs);
}

static void xdp_refused_tells_what_to_do(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };

	run("ip link add br0 type bridge && ip link set br0 up");
	f->settings.devices[f->settings.n_devices++] = "br0";
	f->settings.xdp = XDP_NATIVE;
	assert_true(dataplane_attach(&f->dp, &f->settings, &err) < 0);
	assert_string_equal(err.msg, "attach shunt_xdp to br0: driver mode refused; try "
				     "--xdp=generic: Operation not supported");
}

static void devices_come_and_go(void **state)
{
	struct fixture *f = *state;
	unsigned int pod1 = if_nametoindex("pod1");
	struct sh_device device;

	attach(f);
	run("ip link del pod1");
	attach(f);
	assert_int_equal(device_link(f, "ingress", pod1).id, 0);
	assert_false(device_entry(f, pod1, &device));

	/* Another device under the old one's number, before shunt saw either event. */
	run("ip link add pod3 index %u type veth peer name c3 && ip link set pod3 up", pod1);
	attach(f);
	run("ip link del pod3 && ip link add pod4 index %u type veth peer name c4", pod1);
	attach(f);
	assert_string_not_equal(tc_on(f, "pod4"), "");
	assert_true(device_entry(f, pod1, &device));

	/* No longer an edge. */
	f->settings.workload_devices[f->settings.n_workload_devices++] = "nothing*";
	attach(f);
	assert_string_equal(tc_on(f, "pod4"), "");
	assert_false(device_entry(f, pod1, &device));
	assert_string_not_equal(tc_on(f, "eth0"), "");
}

static void cgroup_follows_the_settings(void **state)
{
	struct fixture *f = *state;
	char child[300];
	struct stat st;

	attach(f);
	assert_int_equal(stat(f->cgroup, &st), 0);
	assert_int_equal(link_info(f, "shunt_connect4").cgroup.cgroup_id, st.st_ino);
	assert_int_equal(link_info(f, "shunt_bind6").cgroup.cgroup_id, st.st_ino);

	(void)snprintf(child, sizeof(child), "%s/child", f->cgroup);
	assert_int_equal(mkdir(child, 0755), 0);
	assert_int_equal(stat(child, &st), 0);
	f->settings.cgroup = child;
	attach(f);
	assert_int_equal(link_info(f, "shunt_connect4").cgroup.cgroup_id, st.st_ino);

	f->settings.socket_lb = SH_SOCKET_LB_OFF;
	attach(f);
	assert_int_equal(link_info(f, "shunt_connect4").id, 0);
	assert_int_equal(link_info(f, "shunt_bind6").id, 0);
	f->settings.cgroup = f->cgroup;
	assert_int_equal(rmdir(child), 0);
}

static void no_cgroup_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };

	f->settings.cgroup = "/tmp";
	assert_int_equal(dataplane_attach(&f->dp, &f->settings, &err), -ENODEV);
	assert_string_equal(err.msg, "--cgroup /tmp is not in a cgroup v2: No such device");
	f->settings.cgroup = f->cgroup;
}

static void source_ports_are_reserved_and_given_back(void **state)
{
	struct fixture *f = *state;
	struct err err;

	run("echo 8080,50500 >" RESERVED);
	attach(f);
	assert_string_equal(read_text(RESERVED), "8080,50000-60000");
	f->settings.snat_min = 55000;
	attach(f);
	assert_string_equal(read_text(RESERVED), "8080,50500,55000-60000");
	run("echo 8080,9090,50500,55000-60000 >" RESERVED);
	instance_close(f);
	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
	assert_string_equal(read_text(RESERVED), "8080,9090,50500");
}

static void an_empty_list_is_empty_again(void **state)
{
	struct fixture *f = *state;
	struct err err;

	attach(f);
	assert_string_equal(read_text(RESERVED), "50000-60000");
	instance_close(f);
	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
	assert_string_equal(read_text(RESERVED), "");
}

static void reset_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned int eth0 = if_nametoindex("eth0");
	uint32_t progs[DP_PROG_COUNT], link, map;
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	struct stat st;
	struct err err;

	f->settings.xdp = XDP_NATIVE;
	attach(f);
	link = device_link(f, "xdp", eth0).id;
	for (int i = 0; i < DP_PROG_COUNT; i++)
		progs[i] = link_prog_id(f->dp.prog_fd[i]);
	assert_int_equal(bpf_obj_get_info_by_fd(f->dp.map_fd[DP_MAP_DEVICES], &info, &len), 0);
	map = info.id;
	instance_close(f);

	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
	for (int i = 0; i < DP_PROG_COUNT; i++)
		assert_true(bpf_prog_get_fd_by_id(progs[i]) < 0);
	assert_true(bpf_map_get_fd_by_id(map) < 0);
	assert_true(bpf_link_get_fd_by_id(link) < 0);
	assert_true(stat(f->pins, &st) < 0 && errno == ENOENT);
	run("! ip link show dev eth0 | grep -q xdp && ! tc qdisc show | grep -q clsact");
	/* Nothing there: done. */
	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
}

static void reset_works_on_half_an_instance(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct stat st;
	struct err err;

	attach(f);
	(void)snprintf(path, sizeof(path), "%s/progs/shunt_ingress", f->pins);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/shunt_devices", f->pins);
	assert_int_equal(unlink(path), 0);
	run("ip link del eth0");
	instance_close(f);
	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
	assert_true(stat(f->pins, &st) < 0);
}

static void reset_leaves_what_is_not_ours(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };
	char path[256], wanted[512];
	struct stat st;

	attach(f);
	(void)snprintf(path, sizeof(path), "%s/foreign", f->pins);
	assert_int_equal(bpf_obj_pin(f->dp.map_fd[DP_MAP_DEVICES], path), 0);
	instance_close(f);
	assert_int_equal(dataplane_reset(&f->settings, &err), -ENOTEMPTY);
	(void)snprintf(wanted, sizeof(wanted), "%s is not shunt's", path);
	assert_non_null(strstr(err.msg, wanted));
	assert_int_equal(stat(path, &st), 0);
	assert_string_equal(tc_on(f, "eth0"), "");
	assert_string_equal(read_text(RESERVED), "");
	assert_int_equal(unlink(path), 0);
}

static void the_lock_names_its_holder(void **state)
{
	struct fixture *f = *state;
	struct err err = { .msg = "" };
	char wanted[64];
	int status;
	pid_t child;

	(void)snprintf(wanted, sizeof(wanted), "is held by another shunt (pid %d)", (int)getpid());
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		int ret;

		/* What came with fork() is the parent's lock itself. */
		(void)close(f->dp.dir_fd);
		ret = dataplane_reset(&f->settings, &err);
		_exit(ret == -EBUSY && strstr(err.msg, wanted) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void no_bpffs_tells_how_to_mount_one(void **state)
{
	struct fixture *f = *state;
	char dir[128], wanted[512];
	struct err err;
	int fd = -1;

	(void)snprintf(dir, sizeof(dir), "%s/plain", f->tmp);
	(void)snprintf(wanted, sizeof(wanted),
		       "no BPF file system at %s (mount one: `mount -t bpf bpf %s`): "
		       "No such device",
		       f->tmp, f->tmp);
	assert_int_equal(bpffs_open(dir, true, &fd, &err), -ENODEV);
	assert_string_equal(err.msg, wanted);
	assert_int_equal(bpffs_open("/nowhere/at/all", true, &fd, &err), -ENODEV);
	(void)snprintf(dir, sizeof(dir), "%s/nothing", f->bpffs);
	assert_int_equal(bpffs_open(dir, false, &fd, &err), -ENOENT);
	assert_int_equal(fd, -1);
}

/* ---- before Linux 6.6 ---------------------------------------------------------- */

static void clsact_makes_and_removes_its_qdisc(void **state)
{
	struct fixture *f = *state;
	unsigned int eth0 = if_nametoindex("eth0");
	const int *fd = f->dp.prog_fd;

	assert_int_equal(clsact_attach(eth0, fd[DP_PROG_INGRESS], fd[DP_PROG_EGRESS]), 0);
	assert_true(clsact_attached(eth0));
	run("tc filter show dev eth0 egress | grep -q shunt_egress");
	load_progs(f);
	assert_int_equal(clsact_attach(eth0, fd[DP_PROG_INGRESS], fd[DP_PROG_EGRESS]), 0);
	run("test $(tc filter show dev eth0 ingress | grep -c shunt_ingress) = 1");
	assert_int_equal(clsact_detach(eth0), 0);
	assert_false(clsact_attached(eth0));
	run("! tc qdisc show dev eth0 | grep -q clsact");
}

static void clsact_leaves_others_alone(void **state)
{
	struct fixture *f = *state;
	unsigned int eth0 = if_nametoindex("eth0"), pod1 = if_nametoindex("pod1");
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)pod1, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = 9, .prog_fd = load_prog(DP_PROG_EGRESS));
	const int *fd = f->dp.prog_fd;
	struct err err;

	/* Their qdisc stays; so does ours while a filter of theirs is on it. */
	run("tc qdisc add dev eth0 clsact");
	assert_int_equal(clsact_attach(eth0, fd[DP_PROG_INGRESS], fd[DP_PROG_EGRESS]), 0);
	assert_int_equal(clsact_attach(pod1, fd[DP_PROG_INGRESS], fd[DP_PROG_EGRESS]), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	instance_close(f);
	assert_int_equal(dataplane_reset(&f->settings, &err), 0);
	run("tc qdisc show dev eth0 | grep -q clsact && ! tc filter show dev eth0 ingress | grep "
	    ".");
	(void)close(opts.prog_fd);
	run("tc filter show dev pod1 egress | grep -q 'pref 9 bpf' && "
	    "! tc filter show dev pod1 ingress | grep .");
}

static void stale_clsact_is_removed(void **state)
{
	struct fixture *f = *state;
	unsigned int c1 = if_nametoindex("c1");
	const int *fd = f->dp.prog_fd;

	assert_int_equal(clsact_attach(c1, fd[DP_PROG_INGRESS], fd[DP_PROG_EGRESS]), 0);
	f->settings.workload_devices[f->settings.n_workload_devices++] = "pod*";
	attach(f);
	assert_false(clsact_attached(c1));
	run("! tc qdisc show dev c1 | grep -q clsact");
}

/* A mount namespace of its own, so that nothing that is mounted here is seen outside. */
static bool may_run(void)
{
	return !geteuid() && !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void needs_root(void **state)
{
	print_message("attaching needs root\n");
	skip();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(attaches_by_role),
		TEST(again_changes_nothing),
		TEST(new_programs_replace_old_in_place),
		TEST(xdp_follows_the_settings),
		TEST(others_xdp_stays),
		TEST(xdp_refused_tells_what_to_do),
		TEST(devices_come_and_go),
		TEST(cgroup_follows_the_settings),
		TEST(no_cgroup_is_an_error),
		TEST(source_ports_are_reserved_and_given_back),
		TEST(an_empty_list_is_empty_again),
		TEST(reset_leaves_nothing),
		TEST(reset_works_on_half_an_instance),
		TEST(reset_leaves_what_is_not_ours),
		TEST(the_lock_names_its_holder),
		TEST(no_bpffs_tells_how_to_mount_one),
		TEST(clsact_makes_and_removes_its_qdisc),
		TEST(clsact_leaves_others_alone),
		TEST(stale_clsact_is_removed),
	};
#undef TEST

	static const struct CMUnitTest none[] = { cmocka_unit_test(needs_root) };

	if (!may_run())
		return cmocka_run_group_tests_name("attach", none, NULL, NULL);
	return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
