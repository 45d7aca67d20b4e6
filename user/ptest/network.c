/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 *	uplink   <-> uplink-end     default routes, by a router that is always known
 *	workload <-> workload-end   routes to single pods, by one neighbour for all
 *
 * Nobody listens at the far ends: both lie in the same namespace, and packets
 * for the neighbours' MAC addresses are not theirs.
 */
#include "ptest/network.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/addr.h"

#define LOOPBACK_IFINDEX 1

enum { UPLINK, WORKLOAD, N_DEVICES };

static const char *const names[N_DEVICES] = { "uplink", "workload" };
static const char *const peers[N_DEVICES] = { "uplink-end", "workload-end" };
/* Link-local, so that no manifest's address is among them. */
static const char *const gateways4[N_DEVICES] = { "169.254.0.1", "169.254.0.2" };
static const char *const gateways6[N_DEVICES] = { "fe80::1", "fe80::2" };

/* Something that was put on a device, and can be taken off it. */
struct given {
	struct sh_addr addr;
	bool route; /* else an address */
};

struct network {
	struct mnl_socket *socket;
	unsigned int seq, port;
	bool v6;
	struct network_device devices[N_DEVICES];
	struct given *given;
	size_t n_given, cap_given;
};

const struct network_device *network_uplink(const struct network *network)
{
	return &network->devices[UPLINK];
}

const struct network_device *network_workload(const struct network *network)
{
	return &network->devices[WORKLOAD];
}

/* ---- netlink -------------------------------------------------------------------- */

struct request {
	char buf[1024];
	struct nlmsghdr *nlh;
};

static void *request_begin(struct request *request, uint16_t type, uint16_t flags, size_t extra)
{
	request->nlh = mnl_nlmsg_put_header(request->buf);
	request->nlh->nlmsg_type = type;
	request->nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return mnl_nlmsg_put_extra_header(request->nlh, extra);
}

static void put_addr(struct request *request, uint16_t type, const struct sh_addr *addr)
{
	if (sh_addr_is_v4(addr))
		mnl_attr_put(request->nlh, type, 4, &addr->w[3]);
	else
		mnl_attr_put(request->nlh, type, sizeof(*addr), addr);
}

/* @return 0 or a negative errno, as the kernel answers */
static int request_send(struct network *network, struct request *request)
{
	char answer[4096];
	ssize_t len;

	request->nlh->nlmsg_seq = ++network->seq;
	if (mnl_socket_sendto(network->socket, request->nlh, request->nlh->nlmsg_len) < 0)
		return -errno;
	len = mnl_socket_recvfrom(network->socket, answer, sizeof(answer));
	if (len < 0)
		return -errno;
	if (mnl_cb_run(answer, (size_t)len, network->seq, network->port, NULL, NULL) < 0)
		return -errno;
	return 0;
}

static unsigned char af_of(const struct sh_addr *addr)
{
	return sh_addr_is_v4(addr) ? AF_INET : AF_INET6;
}

static unsigned char host_bits(const struct sh_addr *addr)
{
	return sh_addr_is_v4(addr) ? 32 : 128;
}

static struct sh_addr addr_of(const char *text)
{
	struct sh_addr addr = { 0 };

	(void)addr_parse(text, &addr);
	return addr;
}

static int device_make(struct network *network, int i)
{
	struct request request;
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *far;

	(void)request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
			    sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.nlh, IFLA_IFNAME, names[i]);
	mnl_attr_put(request.nlh, IFLA_ADDRESS, 6, network->devices[i].mac);
	info = mnl_attr_nest_start(request.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(request.nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request.nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request.nlh, VETH_INFO_PEER);
	far = mnl_nlmsg_put_extra_header(request.nlh, sizeof(*far));
	far->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(request.nlh, IFLA_IFNAME, peers[i]);
	mnl_attr_nest_end(request.nlh, peer);
	mnl_attr_nest_end(request.nlh, data);
	mnl_attr_nest_end(request.nlh, info);
	return request_send(network, &request);
}

static int device_up(struct network *network, uint32_t ifindex)
{
	struct ifinfomsg *msg;
	struct request request;

	msg = request_begin(&request, RTM_NEWLINK, 0, sizeof(*msg));
	msg->ifi_index = (int)ifindex;
	msg->ifi_flags = IFF_UP;
	msg->ifi_change = IFF_UP;
	return request_send(network, &request);
}

static int neighbour_add(struct network *network, const struct network_device *device,
			 const struct sh_addr *addr)
{
	struct request request;
	struct ndmsg *msg;

	msg = request_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*msg));
	msg->ndm_family = af_of(addr);
	msg->ndm_ifindex = (int)device->ifindex;
	msg->ndm_state = NUD_PERMANENT;
	put_addr(&request, NDA_DST, addr);
	mnl_attr_put(request.nlh, NDA_LLADDR, 6, device->peer_mac);
	return request_send(network, &request);
}

/* A route to @addr alone, or (NULL) to everything, by the neighbour behind device @i. */
static int route_change(struct network *network, uint16_t type, int i, const struct sh_addr *addr,
			const struct sh_addr *gateway)
{
	const struct network_device *device = &network->devices[i];
	struct request request;
	struct rtmsg *msg;

	msg = request_begin(&request, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0,
			    sizeof(*msg));
	msg->rtm_family = af_of(gateway);
	msg->rtm_dst_len = addr ? host_bits(addr) : 0;
	msg->rtm_table = RT_TABLE_MAIN;
	msg->rtm_protocol = RTPROT_STATIC;
	msg->rtm_scope = RT_SCOPE_UNIVERSE;
	msg->rtm_type = RTN_UNICAST;
	msg->rtm_flags = RTNH_F_ONLINK;
	if (addr)
		put_addr(&request, RTA_DST, addr);
	put_addr(&request, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(request.nlh, RTA_OIF, device->ifindex);
	return request_send(network, &request);
}

static int address_change(struct network *network, uint16_t type, const struct sh_addr *addr)
{
	struct request request;
	struct ifaddrmsg *msg;

	msg = request_begin(&request, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0,
			    sizeof(*msg));
	msg->ifa_family = af_of(addr);
	msg->ifa_prefixlen = host_bits(addr);
	msg->ifa_flags = sh_addr_is_v4(addr) ? 0 : IFA_F_NODAD;
	msg->ifa_scope = RT_SCOPE_UNIVERSE;
	msg->ifa_index = network->devices[UPLINK].ifindex;
	put_addr(&request, IFA_LOCAL, addr);
	put_addr(&request, IFA_ADDRESS, addr);
	return request_send(network, &request);
}

static int neighbour_and_route(struct network *network, int i, const char *gateway)
{
	const struct sh_addr by = addr_of(gateway);
	int ret;

	ret = neighbour_add(network, &network->devices[i], &by);
	if (!ret && i == UPLINK)
		ret = route_change(network, RTM_NEWROUTE, i, NULL, &by);
	return ret;
}

/* How to leave the node. A device that loses its last IPv4 address forgets all of it. */
static int ways_out(struct network *network, int i)
{
	int ret = neighbour_and_route(network, i, gateways4[i]);

	if (!ret && network->v6)
		ret = neighbour_and_route(network, i, gateways6[i]);
	return ret;
}

/* ---- what a file asks for -------------------------------------------------------- */

static int given_change(struct network *network, const struct given *given, bool add)
{
	const char *gateway =
		sh_addr_is_v4(&given->addr) ? gateways4[WORKLOAD] : gateways6[WORKLOAD];
	const struct sh_addr by = addr_of(gateway);

	if (!given->route)
		return address_change(network, add ? RTM_NEWADDR : RTM_DELADDR, &given->addr);
	return route_change(network, add ? RTM_NEWROUTE : RTM_DELROUTE, WORKLOAD, &given->addr,
			    &by);
}

static int give(struct network *network, const struct given *given, struct err *err)
{
	char text[ADDR_STRLEN];
	struct given *bigger;
	size_t cap;
	int ret;

	if (!network->v6 && !sh_addr_is_v4(&given->addr))
		return 0;
	if (network->n_given == network->cap_given) {
		cap = network->cap_given ? 2 * network->cap_given : 64;
		bigger = reallocarray(network->given, cap, sizeof(*bigger));
		if (!bigger)
			return err_system(err, -ENOMEM, "make the test's network");
		network->given = bigger;
		network->cap_given = cap;
	}
	ret = given_change(network, given, true);
	if (ret)
		return err_system(err, ret, "give the test's node %s %s",
				  given->route ? "a route to" : "the address",
				  addr_format(&given->addr, text));
	network->given[network->n_given++] = *given;
	return 0;
}

int network_set(struct network *network, const struct network_addrs *addrs, struct err *err)
{
	struct given given = { .route = true };
	int ret;
	size_t i;

	/* A route goes with the address that it leads to, if that is the node's own by now. */
	while (network->n_given)
		(void)given_change(network, &network->given[--network->n_given], false);
	ret = ways_out(network, UPLINK);
	if (ret)
		return err_system(err, ret, "make the default routes of the test's network");
	for (i = 0; !ret && i < addrs->n_pods; i++) {
		given.addr = addrs->pods[i];
		ret = give(network, &given, err);
	}
	given.route = false;
	for (i = 0; !ret && i < addrs->n_own; i++) {
		given.addr = addrs->own[i];
		ret = give(network, &given, err);
	}
	return ret;
}

bool network_owns(const struct network *network, const struct sh_addr *addr)
{
	size_t i;

	for (i = 0; i < network->n_given; i++) {
		if (!network->given[i].route && addr_eq(&network->given[i].addr, addr))
			return true;
	}
	return false;
}

/* ---- making it ------------------------------------------------------------------- */

static int sysctl_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	(void)close(fd);
	return ret;
}

/* A node forwards, or the kernel's route look-up for programs refuses to. */
static int forwarding_on(struct network *network, struct err *err)
{
	static const char path4[] = "/proc/sys/net/ipv4/ip_forward";
	int ret = sysctl_write(path4, "1");

	if (ret)
		return err_system(err, ret, "write %s (of a network namespace of the test's own)",
				  path4);
	(void)sysctl_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0");
	network->v6 = !sysctl_write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	return 0;
}

static int device_setup(struct network *network, int i)
{
	static const uint8_t mac[6] = { 0x02, 's', 'h', 'u', 0, 1 };
	struct network_device *device = &network->devices[i];
	int ret;

	memcpy(device->mac, mac, sizeof(mac));
	device->mac[4] = (uint8_t)i;
	memcpy(device->peer_mac, device->mac, sizeof(mac));
	device->peer_mac[5] = 2; /* no device's */
	ret = device_make(network, i);
	if (ret)
		return ret;
	device->ifindex = if_nametoindex(names[i]);
	ret = device_up(network, device->ifindex);
	if (!ret)
		ret = device_up(network, if_nametoindex(peers[i]));
	return ret ? ret : ways_out(network, i);
}

static int network_make(struct network *network, struct err *err)
{
	int i, ret;

	network->socket = mnl_socket_open(NETLINK_ROUTE);
	if (!network->socket || mnl_socket_bind(network->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_system(err, -errno, "open a netlink socket");
	network->port = mnl_socket_get_portid(network->socket);
	ret = forwarding_on(network, err);
	if (ret)
		return ret;
	ret = device_up(network, LOOPBACK_IFINDEX);
	for (i = 0; !ret && i < N_DEVICES; i++)
		ret = device_setup(network, i);
	return ret ? err_system(err, ret, "make the devices of the test's network (veth)") : 0;
}

int network_new(struct network **out, struct err *err)
{
	struct network *network;
	int ret;

	if (unshare(CLONE_NEWNET))
		return err_system(err, -errno, "make a network namespace for the test");
	network = calloc(1, sizeof(*network));
	if (!network)
		return err_system(err, -ENOMEM, "make the test's network");
	ret = network_make(network, err);
	if (ret)
		network_free(network);
	else
		*out = network;
	return ret;
}

void network_free(struct network *network)
{
	if (!network)
		return;
	if (network->socket)
		(void)mnl_socket_close(network->socket);
	free(network->given);
	free(network);
}
