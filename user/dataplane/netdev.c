/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* What the kernel fills per message of a dump at most. */
#define DUMP_BUFFER_BYTES 32768
/* A dump that changed under the kernel's hands is asked for again this often. */
#define DUMP_TRIES	  8

#ifndef RTEXT_FILTER_SKIP_STATS
#define RTEXT_FILTER_SKIP_STATS (1 << 3)
#endif

/* ---- reading ---------------------------------------------------------------- */

struct reader {
	struct netdev_list list;
	size_t cap, cap_addrs;
};

/* Room for one more of @size bytes; doubling. */
static void *grown(void *v, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : 64;
	void *bigger;

	if (n < *cap)
		return v;
	bigger = reallocarray(v, want, size);
	if (bigger)
		*cap = want;
	return bigger;
}

static void read_kind(const struct nlattr *info, struct netdev *dev)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			(void)strncpy(dev->kind, mnl_attr_get_str(attr), sizeof(dev->kind) - 1);
	}
}

static void read_link_attr(const struct nlattr *attr, struct netdev *dev)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		(void)strncpy(dev->name, mnl_attr_get_str(attr), sizeof(dev->name) - 1);
		break;
	case IFLA_MASTER:
		dev->master = mnl_attr_get_u32(attr);
		break;
	case IFLA_ADDRESS:
		if (dev->arphrd == ARPHRD_ETHER &&
		    mnl_attr_get_payload_len(attr) == sizeof(dev->mac))
			memcpy(dev->mac, mnl_attr_get_payload(attr), sizeof(dev->mac));
		break;
	case IFLA_LINKINFO:
		read_kind(attr, dev);
		break;
	default:
		break;
	}
}

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *msg = mnl_nlmsg_get_payload(nlh);
	struct reader *r = arg;
	const struct nlattr *attr;
	struct netdev *dev;

	dev = grown(r->list.v, r->list.n, &r->cap, sizeof(*dev));
	if (!dev) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	r->list.v = dev;
	dev += r->list.n++;
	*dev = (struct netdev){
		.ifindex = (uint32_t)msg->ifi_index,
		.arphrd = msg->ifi_type,
		.up = msg->ifi_flags & IFF_UP,
	};
	mnl_attr_for_each(attr, nlh, sizeof(*msg))
		read_link_attr(attr, dev);
	return MNL_CB_OK;
}

/*
 * Which address of a device stands for it. A tentative one still counts: it
 * will be there in a second, and one run of `shunt apply` must not miss it.
 * IFA_F_SECONDARY and IFA_F_TEMPORARY are the same bit.
 */
static uint8_t addr_rank(uint32_t flags)
{
	if (flags & IFA_F_DEPRECATED)
		return 3;
	if (flags & IFA_F_SECONDARY)
		return 2;
	return flags & IFA_F_TENTATIVE ? 1 : 0;
}

static bool addr_from_attr(const struct nlattr *attr, unsigned char family, struct sh_addr *out)
{
	__be32 v4;

	if (family == AF_INET && mnl_attr_get_payload_len(attr) == sizeof(v4)) {
		memcpy(&v4, mnl_attr_get_payload(attr), sizeof(v4));
		*out = addr_from_v4(v4);
		return true;
	}
	if (family == AF_INET6 && mnl_attr_get_payload_len(attr) == sizeof(*out)) {
		memcpy(out, mnl_attr_get_payload(attr), sizeof(*out));
		return true;
	}
	return false;
}

static int on_addr(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *msg = mnl_nlmsg_get_payload(nlh);
	struct netdev_addr addr = { .ifindex = msg->ifa_index, .scope = msg->ifa_scope }, *all;
	const struct nlattr *attr;
	struct reader *r = arg;
	uint32_t flags = msg->ifa_flags;
	bool local = false, found = false;

	mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
		uint16_t type = mnl_attr_get_type(attr);

		/* On a point-to-point device IFA_ADDRESS is the peer's, IFA_LOCAL its own. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && !local))
			found |= addr_from_attr(attr, msg->ifa_family, &addr.addr);
		local |= type == IFA_LOCAL;
		if (type == IFA_FLAGS)
			flags = mnl_attr_get_u32(attr);
	}
	if (!found || flags & IFA_F_DADFAILED)
		return MNL_CB_OK;
	addr.rank = addr_rank(flags);
	all = grown(r->list.addrs, r->list.n_addrs, &r->cap_addrs, sizeof(*all));
	if (!all) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	r->list.addrs = all;
	addr.order = (uint32_t)r->list.n_addrs;
	all[r->list.n_addrs++] = addr;
	return MNL_CB_OK;
}

static void set_default(const struct netdev_list *list, uint32_t ifindex, unsigned char family,
			uint32_t metric)
{
	struct netdev *dev = (struct netdev *)netdev_find(list, ifindex);

	if (!dev)
		return;
	if (family == AF_INET && (!dev->default_route4 || metric < dev->metric4)) {
		dev->default_route4 = true;
		dev->metric4 = metric;
	}
	if (family == AF_INET6 && (!dev->default_route6 || metric < dev->metric6)) {
		dev->default_route6 = true;
		dev->metric6 = metric;
	}
}

static void set_default_multipath(const struct netdev_list *list, const struct nlattr *attr,
				  unsigned char family, uint32_t metric)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left) {
		size_t step = RTNH_ALIGN(hop->rtnh_len);

		set_default(list, (uint32_t)hop->rtnh_ifindex, family, metric);
		if (step >= left)
			break;
		left -= step;
		hop = (const struct rtnexthop *)((const char *)hop + step);
	}
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *hops = NULL;
	uint32_t table = msg->rtm_table, metric = 0, out = 0;
	struct reader *r = arg;

	if (msg->rtm_dst_len || msg->rtm_type != RTN_UNICAST || msg->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*msg)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_TABLE:
			table = mnl_attr_get_u32(attr);
			break;
		case RTA_PRIORITY:
			metric = mnl_attr_get_u32(attr);
			break;
		case RTA_OIF:
			out = mnl_attr_get_u32(attr);
			break;
		case RTA_MULTIPATH:
			hops = attr;
			break;
		default:
			break;
		}
	}
	if (table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	if (out)
		set_default(&r->list, out, msg->rtm_family, metric);
	if (hops)
		set_default_multipath(&r->list, hops, msg->rtm_family, metric);
	return MNL_CB_OK;
}

/* One dump: its type, the length of its header, and who takes each answer. */
struct dump {
	uint16_t type;
	size_t header_len;
	mnl_cb_t on;
};

static int dump_once(struct mnl_socket *nl, const struct dump *dump, struct reader *r, char *buf)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int seq = dump->type;
	ssize_t len;
	int ret;

	nlh->nlmsg_type = dump->type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	/* All-zero: every family. Asking for IPv6 alone gives all where the kernel has none. */
	(void)mnl_nlmsg_put_extra_header(nlh, dump->header_len);
	if (dump->type == RTM_GETLINK)
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl, buf, DUMP_BUFFER_BYTES);
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, seq, mnl_socket_get_portid(nl), dump->on, r);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct netdev *x = a, *y = b;

	return x->ifindex < y->ifindex ? -1 : x->ifindex > y->ifindex;
}

static int by_rank(const void *a, const void *b)
{
	const struct netdev_addr *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int read_all(struct mnl_socket *nl, struct reader *r, char *buf)
{
	static const struct dump dumps[] = {
		{ RTM_GETLINK, sizeof(struct ifinfomsg), on_link },
		{ RTM_GETADDR, sizeof(struct ifaddrmsg), on_addr },
		{ RTM_GETROUTE, sizeof(struct rtmsg), on_route },
	};
	int ret;

	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		ret = dump_once(nl, &dumps[i], r, buf);
		if (ret)
			return ret;
		if (dumps[i].type == RTM_GETLINK && r->list.n)
			qsort(r->list.v, r->list.n, sizeof(*r->list.v), by_ifindex);
	}
	if (r->list.n_addrs)
		qsort(r->list.addrs, r->list.n_addrs, sizeof(*r->list.addrs), by_rank);
	return 0;
}

/* Each try on a new socket: what is left of an interrupted dump must not reach the next. */
static int try_read(struct reader *r, char *buf)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int ret;

	if (!nl)
		return -errno;
	ret = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ? -errno : read_all(nl, r, buf);
	(void)mnl_socket_close(nl);
	return ret;
}

int netdev_list(struct netdev_list *out, struct err *err)
{
	struct reader r = { 0 };
	char *buf = malloc(DUMP_BUFFER_BYTES);
	int ret = buf ? -EINTR : -ENOMEM;

	/* EINTR: devices or addresses came or went during the dump. */
	for (int i = 0; i < DUMP_TRIES && ret == -EINTR; i++) {
		netdev_list_done(&r.list);
		r = (struct reader){ 0 };
		ret = try_read(&r, buf);
	}
	free(buf);
	if (ret) {
		netdev_list_done(&r.list);
		return err_system(err, ret, "cannot list network devices and addresses");
	}
	*out = r.list;
	return 0;
}

void netdev_list_done(struct netdev_list *list)
{
	if (!list)
		return;
	free(list->v);
	free(list->addrs);
	*list = (struct netdev_list){ 0 };
}

const struct netdev *netdev_find(const struct netdev_list *list, uint32_t ifindex)
{
	struct netdev key = { .ifindex = ifindex };

	if (!list->n)
		return NULL;
	return bsearch(&key, list->v, list->n, sizeof(*list->v), by_ifindex);
}

/* ---- deciding --------------------------------------------------------------- */

static bool kind_in(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

static bool is_overlay(const struct netdev *dev)
{
	static const char *const kinds[] = { "vxlan",  "geneve", "ipip",      "sit",
					     "gre",    "gretap", "ip6tnl",    "ip6gre",
					     "erspan", "vti",	 "ip6gretap", "wireguard" };

	return kind_in(dev->kind, kinds, sizeof(kinds) / sizeof(kinds[0]));
}

/*
 * Devices that no packet of a client comes in by. Cilium's pair of veths has
 * both ends in the node itself.
 */
static bool is_inert(const struct netdev *dev)
{
	static const char *const kinds[] = { "dummy", "ifb", "nlmon", "vcan" };

	return kind_in(dev->kind, kinds, sizeof(kinds) / sizeof(kinds[0])) ||
	       !strcmp(dev->name, "cilium_host") || !strcmp(dev->name, "cilium_net");
}

/* Host sides of pods' and virtual machines' devices. */
static bool is_workload(const struct netdev *dev)
{
	static const char *const kinds[] = { "veth", "netkit" };

	if (kind_in(dev->kind, kinds, sizeof(kinds) / sizeof(kinds[0])))
		return true;
	/* A tap: QEMU's own name for it, or libvirt's. */
	if (!strcmp(dev->kind, "tun") &&
	    (!strncmp(dev->name, "tap", 3) || !strncmp(dev->name, "vnet", 4)))
		return true;
	return !strncmp(dev->name, "cali", 4) || !strncmp(dev->name, "lxc", 3);
}

static bool has_default_route(const struct netdev *dev)
{
	return dev->default_route4 || dev->default_route6;
}

/* Bonds and teams hand their ports' packets up as their own: they are the edge. */
static bool is_bond_port(const struct netdev_list *list, const struct netdev *dev)
{
	static const char *const kinds[] = { "bond", "team" };
	const struct netdev *master = dev->master ? netdev_find(list, dev->master) : NULL;

	return master && kind_in(master->kind, kinds, sizeof(kinds) / sizeof(kinds[0]));
}

static bool matches(const char *name, const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

/* The best address of @ifindex and @family that others can reach, or NULL. */
static const struct sh_addr *device_addr(const struct netdev_list *list, uint32_t ifindex,
					 enum family family)
{
	for (size_t i = 0; i < list->n_addrs; i++) {
		const struct netdev_addr *addr = &list->addrs[i];

		if (addr->ifindex == ifindex && addr->scope < RT_SCOPE_LINK &&
		    addr_family(&addr->addr) == family)
			return &addr->addr;
	}
	return NULL;
}

bool netdev_has_address(const struct netdev_list *list, const struct netdev *dev)
{
	return device_addr(list, dev->ifindex, FAMILY_IPV4) ||
	       device_addr(list, dev->ifindex, FAMILY_IPV6);
}

/* Does a device of the outside stand behind this bridge, or only pods? */
static bool bridges_outside(const struct netdev_list *list, const struct netdev *bridge)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct netdev *port = &list->v[i];

		if (port->master == bridge->ifindex && !is_workload(port) && !is_overlay(port) &&
		    !is_inert(port) && strcmp(port->kind, "tun") != 0)
			return true;
	}
	return false;
}

/*
 * A default route is not all: with one network for the outside and one between
 * nodes, replies of masqueraded flows come in by the second.
 */
static bool is_uplink_by_rule(const struct netdev_list *list, const struct netdev *dev)
{
	if (has_default_route(dev))
		return true;
	if (!dev->up || is_workload(dev) || is_overlay(dev) || !strcmp(dev->kind, "tun") ||
	    (!strcmp(dev->kind, "bridge") && !bridges_outside(list, dev)))
		return false;
	return netdev_has_address(list, dev);
}

int netdev_role(const struct netdev_list *list, const struct netdev *dev,
		const struct settings *settings)
{
	if (dev->arphrd == ARPHRD_LOOPBACK)
		return 0;
	if (matches(dev->name, settings->devices, settings->n_devices))
		return SH_ROLE_UPLINK;
	if (matches(dev->name, settings->workload_devices, settings->n_workload_devices))
		return SH_ROLE_WORKLOAD;
	if (is_inert(dev) || is_bond_port(list, dev))
		return 0;
	if (!settings->n_devices && is_uplink_by_rule(list, dev))
		return SH_ROLE_UPLINK;
	/* The kernel makes one of each tunnel kind by itself: those are down. */
	if (is_overlay(dev))
		return dev->up ? SH_ROLE_OVERLAY : 0;
	if (!settings->n_workload_devices && is_workload(dev))
		return SH_ROLE_WORKLOAD;
	return 0;
}

/* Before @b as the device whose address stands for the node in @family? */
static bool better_uplink(const struct netdev *a, const struct netdev *b, enum family family)
{
	bool a_default = family == FAMILY_IPV4 ? a->default_route4 : a->default_route6;
	bool b_default = family == FAMILY_IPV4 ? b->default_route4 : b->default_route6;

	if (a_default != b_default)
		return a_default;
	if (!a_default)
		return false;
	return family == FAMILY_IPV4 ? a->metric4 < b->metric4 : a->metric6 < b->metric6;
}

/* The node's address of @family: of the uplink with the (best) default route, else the first. */
static const struct sh_addr *primary_addr(const struct netdev_list *list,
					  const struct settings *settings, enum family family)
{
	const struct sh_addr *addr, *best_addr = NULL;
	const struct netdev *best = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const struct netdev *dev = &list->v[i];

		if (netdev_role(list, dev, settings) != SH_ROLE_UPLINK)
			continue;
		addr = device_addr(list, dev->ifindex, family);
		if (addr && (!best || better_uplink(dev, best, family))) {
			best = dev;
			best_addr = addr;
		}
	}
	return best_addr;
}

struct netdev_primary netdev_primary(const struct netdev_list *list,
				     const struct settings *settings)
{
	const struct sh_addr *addr4 = primary_addr(list, settings, FAMILY_IPV4);
	const struct sh_addr *addr6 = primary_addr(list, settings, FAMILY_IPV6);
	struct netdev_primary out = { 0 };

	if (addr4)
		out.addr4 = *addr4;
	if (addr6)
		out.addr6 = *addr6;
	return out;
}

static struct sh_addr masquerade_addr(const struct netdev_list *list, const struct netdev *dev,
				      const struct sh_addr *primary, enum family family)
{
	const struct sh_addr *addr = device_addr(list, dev->ifindex, family);

	if (!addr && dev->master)
		addr = device_addr(list, dev->master, family);
	return addr ? *addr : *primary;
}

struct sh_device netdev_device(const struct netdev_list *list, const struct netdev *dev,
			       const struct netdev_primary *primary, int role)
{
	struct sh_device out = {
		.addr4 = masquerade_addr(list, dev, &primary->addr4, FAMILY_IPV4),
		.addr6 = masquerade_addr(list, dev, &primary->addr6, FAMILY_IPV6),
		.role = (__u8)role,
	};

	memcpy(out.mac, dev->mac, sizeof(out.mac));
	return out;
}

static int put_unique(const struct sh_addr *addr, struct sh_addr *out, size_t *n, struct err *err)
{
	for (size_t i = 0; i < *n; i++)
		if (addr_eq(&out[i], addr))
			return 0;
	if (*n == SH_NODEADDRS_MAX)
		return err_system(err, -ENOSPC,
				  "this node has more than %d addresses (SH_NODEADDRS_MAX)",
				  SH_NODEADDRS_MAX);
	out[(*n)++] = *addr;
	return 0;
}

static bool in_nodeport_nets(const struct settings *settings, const struct sh_addr *addr)
{
	for (size_t i = 0; i < settings->n_nodeport_nets; i++)
		if (addr_net_contains(&settings->nodeport_nets[i], addr))
			return true;
	return false;
}

/* 127.0.0.0/8 and ::1, whatever device and scope they are given. */
static bool is_loopback(const struct sh_addr *addr)
{
	static const struct sh_addr loopback6 = { .b = { [15] = 1 } };

	return sh_addr_is_v4(addr) ? addr->b[12] == 127 : addr_eq(addr, &loopback6);
}

int netdev_node_addresses(const struct settings *settings, const struct netdev_list *list,
			  struct sh_addr *out, size_t *n_out, struct err *err)
{
	size_t n = 0;
	int ret = 0;

	if (settings->nodeport_addresses == NODEPORT_PRIMARY) {
		const struct netdev_primary primary = netdev_primary(list, settings);

		if (addr_family(&primary.addr4) == FAMILY_IPV4)
			out[n++] = primary.addr4;
		if (!addr_eq(&primary.addr6, &(struct sh_addr){ 0 }))
			out[n++] = primary.addr6;
		*n_out = n;
		return 0;
	}
	for (size_t i = 0; !ret && i < list->n_addrs; i++) {
		const struct netdev_addr *addr = &list->addrs[i];

		if (addr->scope < RT_SCOPE_LINK && !is_loopback(&addr->addr) &&
		    in_nodeport_nets(settings, &addr->addr))
			ret = put_unique(&addr->addr, out, &n, err);
	}
	if (!ret)
		*n_out = n;
	return ret;
}

int netdev_own_addresses(const struct netdev_list *list, struct sh_addr *out, size_t *n_out,
			 struct err *err)
{
	size_t n = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < list->n_addrs; i++)
		ret = put_unique(&list->addrs[i].addr, out, &n, err);
	if (!ret)
		*n_out = n;
	return ret;
}
