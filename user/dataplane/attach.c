/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs to devices and to the cgroup. Level-triggered: each call compares
 * what is attached (pinned links, filters) with what should be, and changes
 * the difference; it doesn't matter what an earlier call, or a crash, left.
 */
#include "dataplane/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/cgroup.h"
#include "dataplane/clsact.h"
#include "dataplane/internal.h"
#include "dataplane/link.h"
#include "dataplane/migrate.h"
#include "dataplane/sysctl.h"

/* Since Linux 6.6; Linux 6.1's headers don't have them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

#define PIN_PATH_MAX 544 /* of struct dataplane's dir, "/links/" and a file name */

struct edge {
	const struct netdev *dev;
	struct sh_device value;
};

struct attachment {
	struct dataplane *dp;
	const struct settings *settings;
	struct netdev_list list;
	struct edge *edges; /* by ifindex, as the list is */
	size_t n;
};

static const struct edge *edge_find(const struct attachment *a, uint32_t ifindex)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (a->edges[middle].dev->ifindex == ifindex)
			return &a->edges[middle];
		if (a->edges[middle].dev->ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* No edge, but masqueraded packets may leave by it: a bridge of pods. */
static bool is_exit(const struct attachment *a, const struct netdev *dev)
{
	return !edge_find(a, dev->ifindex) && netdev_has_address(&a->list, dev);
}

static void device_pin(char path[static PIN_PATH_MAX], const char *dir, const char *what,
		       uint32_t ifindex)
{
	(void)snprintf(path, PIN_PATH_MAX, "%s/links/%s_%u", dir, what, ifindex);
}

static void prog_pin(char path[static PIN_PATH_MAX], const char *dir, const char *name)
{
	(void)snprintf(path, PIN_PATH_MAX, "%s/links/%s", dir, name);
}

/* ---- edges ------------------------------------------------------------------ */

static int find_edges(struct attachment *a, struct err *err)
{
	const struct netdev_primary primary = netdev_primary(&a->list, a->settings);
	size_t n_exits = 0;

	a->edges = calloc(a->list.n ? a->list.n : 1, sizeof(*a->edges));
	if (!a->edges)
		return err_system(err, -ENOMEM, "list edges");
	for (size_t i = 0; i < a->list.n; i++) {
		const struct netdev *dev = &a->list.v[i];
		int role = netdev_role(&a->list, dev, a->settings);

		if (!role)
			continue;
		a->edges[a->n++] = (struct edge){
			.dev = dev,
			.value = netdev_device(&a->list, dev, &primary, role),
		};
	}
	for (size_t i = 0; i < a->list.n; i++)
		n_exits += is_exit(a, &a->list.v[i]);
	/* One place in the map is the node's own. */
	if (a->n + n_exits >= SH_DEVICES_MAX)
		return err_system(err, -ENOSPC,
				  "%zu devices are edges or have addresses, more than %d "
				  "(SH_DEVICES_MAX): narrow --workload-devices",
				  a->n + n_exits, SH_DEVICES_MAX - 1);
	return 0;
}

static bool has_uplink(const struct attachment *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->edges[i].value.role == SH_ROLE_UPLINK)
			return true;
	return false;
}

static int write_device(const struct attachment *a, __u32 ifindex, const struct sh_device *value,
			struct err *err)
{
	int fd = a->dp->map_fd[DP_MAP_DEVICES];
	struct sh_device now;

	if (!bpf_map_lookup_elem(fd, &ifindex, &now) && !memcmp(&now, value, sizeof(now)))
		return 0;
	if (bpf_map_update_elem(fd, &ifindex, value, BPF_ANY))
		return err_system(err, -errno, "cannot write device %u to shunt_devices", ifindex);
	return 0;
}

/* Before anything is attached: a program must find the device it runs on. */
static int write_devices(const struct attachment *a, struct err *err)
{
	const struct netdev_primary primary = netdev_primary(&a->list, a->settings);
	const struct sh_device node = { .addr4 = primary.addr4, .addr6 = primary.addr6 };
	int ret;

	ret = write_device(a, 0, &node, err);
	for (size_t i = 0; i < a->n && !ret; i++)
		ret = write_device(a, a->edges[i].dev->ifindex, &a->edges[i].value, err);
	for (size_t i = 0; i < a->list.n && !ret; i++) {
		const struct netdev *dev = &a->list.v[i];
		struct sh_device exit = netdev_device(&a->list, dev, &primary, 0);

		if (is_exit(a, dev))
			ret = write_device(a, dev->ifindex, &exit, err);
	}
	return ret;
}

static bool is_device(const struct attachment *a, uint32_t ifindex)
{
	const struct netdev *dev = netdev_find(&a->list, ifindex);

	return dev && (edge_find(a, ifindex) || is_exit(a, dev));
}

/* After everything is detached, for the same reason. */
static int remove_devices(const struct attachment *a, struct err *err)
{
	int fd = a->dp->map_fd[DP_MAP_DEVICES];
	__u32 key, next;
	int more = bpf_map_get_next_key(fd, NULL, &next);

	while (!more) {
		key = next;
		more = bpf_map_get_next_key(fd, &key, &next);
		if (key && !is_device(a, key) && bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			return err_system(err, -errno, "cannot remove device %u from shunt_devices",
					  key);
	}
	return 0;
}

/* ---- TC --------------------------------------------------------------------- */

/* One side of a device; behind: after the old programs, until they go. */
static int attach_tcx_side(const struct attachment *a, const struct edge *edge, bool ingress,
			   bool behind)
{
	const struct dataplane *dp = a->dp;
	const uint32_t ifindex = edge->dev->ifindex;
	char path[PIN_PATH_MAX], next[PIN_PATH_MAX];
	struct link_want want = {
		.path = behind ? next : path,
		.prog_fd = dp->prog_fd[ingress ? DP_PROG_INGRESS : DP_PROG_EGRESS],
		.target = (int)ifindex,
		.target_id = ifindex,
		.type = ingress ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS,
		.after = behind ? path : NULL,
	};
	int ret = -ENOENT;

	device_pin(path, dp->dir, ingress ? "ingress" : "egress", ifindex);
	device_pin(next, dp->dir, ingress ? NEXT_PREFIX "ingress" : NEXT_PREFIX "egress", ifindex);
	/* The kernel takes a program once for a hook: the link behind stays, the other one goes. */
	if (dp->migration && !behind && link_is_on(next, ifindex))
		ret = link_replace(next, path);
	return ret == -ENOENT ? link_ensure(&want) : ret;
}

static int attach_tcx(const struct attachment *a, const struct edge *edge, bool behind)
{
	int ret = attach_tcx_side(a, edge, true, behind);

	return ret ? ret : attach_tcx_side(a, edge, false, behind);
}

static int attach_clsact(const struct attachment *a, const struct edge *edge, bool behind)
{
	const int ingress = a->dp->prog_fd[DP_PROG_INGRESS],
		  egress = a->dp->prog_fd[DP_PROG_EGRESS];
	uint32_t ifindex = edge->dev->ifindex;
	int ret;

	if (behind)
		return clsact_attach_behind(ifindex, ingress, egress);
	ret = clsact_attach(ifindex, ingress, egress);
	return ret || !a->dp->migration ? ret : clsact_detach_behind(ifindex);
}

static int attach_tc(const struct attachment *a, const struct edge *edge, bool behind,
		     struct err *err)
{
	int ret = attach_tcx(a, edge, behind);

	/* How a kernel before 6.6 answers to an attach type that it doesn't know. */
	if (ret == -EINVAL || ret == -EOPNOTSUPP)
		ret = attach_clsact(a, edge, behind);
	if (ret && ret != -ENODEV)
		return err_system(err, ret, "attach shunt_ingress and shunt_egress to %s",
				  edge->dev->name);
	return ret;
}

/* ---- XDP -------------------------------------------------------------------- */

static bool driver_of(const char *name, char driver[static 32])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (char *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known;

	if (fd < 0)
		return false;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	known = !ioctl(fd, SIOCETHTOOL, &request);
	(void)close(fd);
	(void)snprintf(driver, 32, "%s", known ? info.driver : "");
	return known;
}

/*
 * Packets that never were on a wire carry partial checksums, which a program
 * in the generic hook can't tell from full ones. A virtio device in native
 * mode has that turned off by its driver; in generic mode nobody does it.
 */
static bool generic_is_safe(const struct netdev *dev)
{
	char driver[32];

	return !dev->kind[0] && driver_of(dev->name, driver) && strcmp(driver, "virtio_net") != 0 &&
	       strcmp(driver, "vif") != 0;
}

static bool native_is_safe(const struct netdev *dev)
{
	return !dev->kind[0] || !strcmp(dev->kind, "bond");
}

/* The modes to try, in order, 0-terminated: XDP_FLAGS_*. None: no XDP there. */
struct xdp_modes {
	uint32_t flags[3];
};

static struct xdp_modes xdp_modes(const struct settings *settings, const struct edge *edge)
{
	struct xdp_modes modes = { 0 };
	size_t n = 0;

	if (edge->value.role != SH_ROLE_UPLINK || settings->xdp == XDP_OFF)
		return modes;
	if (settings->xdp == XDP_NATIVE ||
	    (settings->xdp == XDP_AUTO && edge->dev->arphrd == ARPHRD_ETHER &&
	     native_is_safe(edge->dev)))
		modes.flags[n++] = XDP_FLAGS_DRV_MODE;
	if (settings->xdp == XDP_GENERIC ||
	    (settings->xdp == XDP_AUTO && edge->dev->arphrd == ARPHRD_ETHER &&
	     generic_is_safe(edge->dev)))
		modes.flags[n++] = XDP_FLAGS_SKB_MODE;
	return modes;
}

/* @return the XDP_FLAGS_* mode of whatever program @ifindex has, 0: none */
static uint32_t xdp_mode_now(uint32_t ifindex, uint32_t *prog_id)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	*prog_id = 0;
	if (bpf_xdp_query((int)ifindex, 0, &opts))
		return 0;
	switch (opts.attach_mode) {
	case XDP_ATTACHED_DRV:
		*prog_id = opts.drv_prog_id;
		return XDP_FLAGS_DRV_MODE;
	case XDP_ATTACHED_SKB:
		*prog_id = opts.skb_prog_id;
		return XDP_FLAGS_SKB_MODE;
	case XDP_ATTACHED_HW:
		*prog_id = opts.hw_prog_id;
		return XDP_FLAGS_HW_MODE;
	default:
		/* One offloaded besides ours: native and generic exclude each other. */
		*prog_id = opts.drv_prog_id ? opts.drv_prog_id : opts.skb_prog_id;
		if (!*prog_id)
			return 0;
		return opts.drv_prog_id ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	}
}

static const char *xdp_mode_name(uint32_t flags)
{
	return flags == XDP_FLAGS_DRV_MODE ? "native" : "generic";
}

/* Drop a link whose mode the settings no longer have. @return 0 or a negative errno */
static int drop_other_mode(const char *path, uint32_t ifindex, const struct xdp_modes *modes)
{
	uint32_t prog_id, now;

	if (!link_is_on(path, ifindex))
		return link_drop(path);
	now = xdp_mode_now(ifindex, &prog_id);
	for (size_t i = 0; modes->flags[i]; i++)
		if (modes->flags[i] == now)
			return 0;
	return link_drop(path);
}

static int xdp_refused(const struct settings *settings, const struct netdev *dev, int why,
		       struct err *err)
{
	uint32_t prog_id;

	(void)xdp_mode_now(dev->ifindex, &prog_id);
	if (why == -EBUSY || why == -EEXIST)
		return err_system(err, why,
				  "attach shunt_xdp to %s: another program (id %u) is there; try "
				  "--xdp=auto or --xdp=off",
				  dev->name, prog_id);
	if (settings->xdp == XDP_NATIVE)
		return err_system(err, why,
				  "attach shunt_xdp to %s: driver mode refused; try --xdp=generic",
				  dev->name);
	return err_system(err, why, "attach shunt_xdp to %s: generic mode refused; try --xdp=off",
			  dev->name);
}

static int attach_xdp(const struct attachment *a, const struct edge *edge, struct err *err)
{
	const struct xdp_modes modes = xdp_modes(a->settings, edge);
	uint32_t ifindex = edge->dev->ifindex;
	char path[PIN_PATH_MAX];
	int ret;

	device_pin(path, a->dp->dir, "xdp", ifindex);
	ret = drop_other_mode(path, ifindex, &modes);
	if (ret)
		return err_system(err, ret, "detach shunt_xdp from %s", edge->dev->name);
	if (a->settings->xdp != XDP_AUTO && modes.flags[0] && edge->dev->arphrd != ARPHRD_ETHER)
		return err_input(err, -EINVAL,
				 "attach shunt_xdp to %s: it is no Ethernet device; use --xdp=auto",
				 edge->dev->name);
	for (size_t i = 0; modes.flags[i]; i++) {
		ret = link_ensure(&(struct link_want){
			.path = path,
			.prog_fd = a->dp->prog_fd[DP_PROG_XDP],
			.target = (int)ifindex,
			.target_id = ifindex,
			.type = BPF_XDP,
			.flags = modes.flags[i],
		});
		/* A place that is taken is so in every mode. */
		if (!ret || ret == -ENODEV || ret == -EBUSY || ret == -EEXIST)
			break;
	}
	/* Left to choose, none is a choice; an old program that can't be replaced is a failure. */
	if (ret && ret != -ENODEV && (a->settings->xdp != XDP_AUTO || link_is_on(path, ifindex)))
		return xdp_refused(a->settings, edge->dev, ret, err);
	return ret == -ENODEV ? ret : 0;
}

const char *attach_xdp_reason(const struct settings *settings, const struct netdev *dev,
			      char buf[static ATTACH_REASON_STRLEN])
{
	const struct edge edge = { .dev = dev, .value.role = SH_ROLE_UPLINK };
	const struct xdp_modes modes = xdp_modes(settings, &edge);
	uint32_t prog_id, mode = xdp_mode_now(dev->ifindex, &prog_id);
	const char *text = "the driver has no native XDP for this device as it is set up";

	if (mode == XDP_FLAGS_DRV_MODE && modes.flags[0])
		text = "";
	else if (settings->xdp == XDP_OFF)
		text = "--xdp=off";
	else if (settings->xdp == XDP_GENERIC)
		text = "--xdp=generic";
	else if (dev->arphrd != ARPHRD_ETHER)
		text = "it is no Ethernet device";
	else if (!modes.flags[0])
		text = "packets of virtual devices may carry partial checksums";
	(void)snprintf(buf, ATTACH_REASON_STRLEN, "%s", text);
	return buf;
}

/* ---- devices ---------------------------------------------------------------- */

static int attach_edges(const struct attachment *a, struct err *err)
{
	int ret;

	for (size_t i = 0; i < a->n; i++) {
		ret = attach_tc(a, &a->edges[i], false, err);
		if (!ret)
			ret = attach_xdp(a, &a->edges[i], err);
		/* Pods come and go: one that went since the list was read is no failure. */
		if (ret && ret != -ENODEV)
			return ret;
	}
	return 0;
}

/* ---- cgroup ----------------------------------------------------------------- */

static const uint32_t cgroup_types[DP_PROG_COUNT] = {
#define X(id, name, type) [DP_PROG_##id] = (type),
	DP_PROGS(X)
#undef X
};

static bool is_cgroup_prog(int prog)
{
	return prog != DP_PROG_XDP && prog != DP_PROG_INGRESS && prog != DP_PROG_EGRESS;
}

static int attach_cgroup_progs(const struct attachment *a, int cgroup_fd, bool behind,
			       struct err *err)
{
	char path[PIN_PATH_MAX], name[64];
	struct stat st;
	int ret;

	/* The kernel's id of a cgroup is its directory's inode. */
	if (fstat(cgroup_fd, &st))
		return err_system(err, -errno, "cannot look at the cgroup");
	for (int prog = 0; prog < DP_PROG_COUNT; prog++) {
		if (!is_cgroup_prog(prog))
			continue;
		(void)snprintf(name, sizeof(name), "%s%s", behind ? NEXT_PREFIX : "",
			       dp_prog_names[prog]);
		prog_pin(path, a->dp->dir, name);
		ret = link_ensure(&(struct link_want){
			.path = path,
			.prog_fd = a->dp->prog_fd[prog],
			.target = cgroup_fd,
			.target_id = st.st_ino,
			.type = cgroup_types[prog],
		});
		if (ret)
			return err_system(err, ret, "attach %s to the cgroup %s",
					  dp_prog_names[prog],
					  a->settings->cgroup ? a->settings->cgroup : "root");
	}
	return 0;
}

static int attach_cgroup(const struct attachment *a, bool behind, struct err *err)
{
	int fd = -1, ret;

	if (a->settings->socket_lb == SH_SOCKET_LB_OFF)
		return 0;
	ret = cgroup_open(a->settings->cgroup, &fd, err);
	if (ret)
		return ret;
	ret = attach_cgroup_progs(a, fd, behind, err);
	(void)close(fd);
	return ret;
}

/* ---- other maps than those of the programs that are attached ------------------ */

/*
 * New programs behind the old ones, on every hook that takes more than one. What XDP doesn't
 * know it leaves to TC. Then all that is new is theirs.
 */
static int attach_behind(const struct attachment *a, struct err *err)
{
	int ret;

	if (!a->dp->migration || migrate_has_left(a->dp))
		return 0;
	ret = migrate_prepare(a->dp, err);
	for (size_t i = 0; i < a->n && !ret; i++) {
		ret = attach_tc(a, &a->edges[i], true, err);
		if (ret == -ENODEV)
			ret = 0;
	}
	if (!ret)
		ret = attach_cgroup(a, true, err);
	return ret ? ret : migrate_hand_over(a->dp, err);
}

/* ---- what is no longer wanted ----------------------------------------------- */

static bool is_wanted(const struct attachment *a, const char *pin)
{
	unsigned int ifindex;

	if (sscanf(pin, "ingress_%u", &ifindex) == 1 || sscanf(pin, "egress_%u", &ifindex) == 1 ||
	    sscanf(pin, "xdp_%u", &ifindex) == 1)
		return edge_find(a, ifindex);
	/* What stood behind others, which are gone. */
	if (!strncmp(pin, NEXT_PREFIX, strlen(NEXT_PREFIX)))
		return false;
	/* What isn't ours by its name is nobody's to remove here. */
	return strncmp(pin, "shunt_", 6) != 0 || a->settings->socket_lb != SH_SOCKET_LB_OFF;
}

static int drop_links(const struct attachment *a, struct err *err)
{
	char path[PIN_PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/links", a->dp->dir);
	dir = opendir(path);
	if (!dir)
		return err_system(err, -errno, "cannot read %s", path);
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || is_wanted(a, entry->d_name))
			continue;
		prog_pin(path, a->dp->dir, entry->d_name);
		ret = link_drop(path);
		if (ret)
			(void)err_system(err, ret, "cannot remove %s", path);
	}
	(void)closedir(dir);
	return ret;
}

static int drop_filters(const struct attachment *a, struct err *err)
{
	uint32_t *ifindexes = NULL;
	size_t n = 0;
	int ret;

	ret = clsact_list(&ifindexes, &n);
	if (ret)
		return err_system(err, ret, "cannot list qdiscs");
	for (size_t i = 0; i < n; i++) {
		if (edge_find(a, ifindexes[i]))
			continue;
		ret = clsact_detach(ifindexes[i]);
		if (ret && ret != -ENODEV) {
			(void)err_system(err, ret, "cannot remove the filters of device %u",
					 ifindexes[i]);
			break;
		}
		ret = 0;
	}
	free(ifindexes);
	return ret;
}

static int make_links_dir(const struct dataplane *dp, struct err *err)
{
	char path[PIN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/links", dp->dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_system(err, -errno, "cannot make %s", path);
	return 0;
}

static int attach_all(struct attachment *a, struct err *err)
{
	int ret;

	ret = find_edges(a, err);
	if (!ret)
		ret = make_links_dir(a->dp, err);
	if (!ret)
		ret = has_uplink(a) ? sysctl_reserve_ports(a->settings, err)
				    : sysctl_restore_ports(a->settings, err);
	if (!ret)
		ret = write_devices(a, err);
	if (!ret)
		ret = attach_behind(a, err);
	if (!ret)
		ret = attach_edges(a, err);
	if (!ret)
		ret = attach_cgroup(a, false, err);
	if (!ret && a->dp->migration)
		ret = migrate_leave(a->dp, err);
	if (!ret)
		ret = drop_links(a, err);
	if (!ret)
		ret = drop_filters(a, err);
	if (!ret && a->dp->migration)
		ret = migrate_finish(a->dp, err);
	return ret ? ret : remove_devices(a, err);
}

int dataplane_attach(struct dataplane *dp, const struct settings *settings, struct err *err)
{
	struct attachment a = { .dp = dp, .settings = settings };
	int ret;

	if (dp->mode != DATAPLANE_WRITE)
		return err_system(err, -EPERM, "attach to devices without holding %s", dp->dir);
	/* The programs that are there serve until these maps say what to do. */
	if (dp->needs_publish)
		return 0;
	ret = netdev_list(&a.list, err);
	if (!ret)
		ret = attach_all(&a, err);
	free(a.edges);
	netdev_list_done(&a.list);
	return ret;
}

int attach_describe(const char *dir, uint32_t ifindex, const char **tc_out, const char **xdp_out)
{
	char path[PIN_PATH_MAX];
	uint32_t prog_id;

	*tc_out = *xdp_out = "";
	device_pin(path, dir, "ingress", ifindex);
	if (link_is_on(path, ifindex))
		*tc_out = "tcx";
	else if (clsact_attached(ifindex))
		*tc_out = "clsact";
	device_pin(path, dir, "xdp", ifindex);
	if (link_is_on(path, ifindex))
		*xdp_out = xdp_mode_name(xdp_mode_now(ifindex, &prog_id));
	return 0;
}
