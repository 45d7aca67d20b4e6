/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "trace/trace.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* ---- the kernel's routes --------------------------------------------------------- */

static int device_attr(const struct nlattr *attr, void *arg)
{
	if (mnl_attr_get_type(attr) == RTA_OIF)
		*(uint32_t *)arg = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int route_parse(const struct nlmsghdr *nlh, void *arg)
{
	return mnl_attr_parse(nlh, sizeof(struct rtmsg), device_attr, arg);
}

static void route_request(char *buf, const struct sh_addr *addr)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	bool v4 = sh_addr_is_v4(addr);
	struct rtmsg *msg;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->rtm_family = v4 ? AF_INET : AF_INET6;
	msg->rtm_dst_len = v4 ? 32 : 128;
	if (v4)
		mnl_attr_put(nlh, RTA_DST, 4, &addr->w[3]);
	else
		mnl_attr_put(nlh, RTA_DST, sizeof(*addr), addr);
}

/* The device that leads to @addr; 0: none, or nobody knows. */
static uint32_t route_device(const struct sh_addr *addr)
{
	char buf[4096] __attribute__((aligned(8)));
	struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	uint32_t ifindex = 0;
	ssize_t len = -1;

	if (!socket)
		return 0;
	route_request(buf, addr);
	if (!mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) &&
	    mnl_socket_sendto(socket, buf, ((struct nlmsghdr *)buf)->nlmsg_len) >= 0)
		len = mnl_socket_recvfrom(socket, buf, sizeof(buf));
	if (len > 0)
		(void)mnl_cb_run(buf, (size_t)len, 1, mnl_socket_get_portid(socket), route_parse,
				 &ifindex);
	(void)mnl_socket_close(socket);
	return ifindex;
}

/* ---- the edges ------------------------------------------------------------------- */

struct search {
	enum sh_role role;
	uint32_t wanted; /* ifindex */
	struct trace_place *out;
};

static int consider(const struct device_view *view, void *arg)
{
	struct search *search = arg;
	struct trace_place *out = search->out;

	if (view->device.role != search->role || !view->name[0])
		return 0;
	if (out->ifindex && view->ifindex != search->wanted)
		return 0;
	(void)snprintf(out->device, sizeof(out->device), "%s", view->name);
	out->ifindex = view->ifindex;
	memcpy(out->mac, view->device.mac, sizeof(out->mac));
	out->xdp = view->xdp[0] != '\0';
	return 0;
}

int trace_place_live(struct dataplane *live, const struct trace_question *question,
		     struct trace_place *out, struct err *err)
{
	bool pod = question->from == PTEST_POD;
	struct search search = {
		.role = pod ? SH_ROLE_WORKLOAD : SH_ROLE_UPLINK,
		.wanted = route_device(&question->src),
		.out = out,
	};
	int ret;

	*out = (struct trace_place){ 0 };
	ret = dataplane_devices(live, consider, &search, err);
	if (ret || out->ifindex)
		return ret;
	return err_input(err, -ENODEV,
			 "no %s: nothing is attached where such a packet would come in "
			 "(`shunt get nodes` shows the edges)",
			 pod ? "pod's device is known on this node"
			     : "uplink of this node is known");
}
