/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ending sockets by netlink (NETLINK_SOCK_DIAG): a dump of all sockets of a
 * protocol and family, then SOCK_DESTROY for each that is meant. The kernel
 * finds it by its addresses and its cookie, so that it is that very socket.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/sockets.h"

#define DUMP_BUFFER_BYTES 32768

/* include/net/tcp_states.h, as bits: connected or connecting. UDP knows ESTABLISHED only. */
#define STATES_CONNECTED (1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 8 | 1u << 9 | 1u << 11)

struct found {
	struct inet_diag_sockid id;
	struct ending *ending;
};

struct diag {
	struct mnl_socket *nl;
	char *buf;
	struct endings *endings;
	struct found *found; /* room for all of @endings */
	size_t n_found;
	proto_t proto;
	uint8_t family; /* AF_INET or AF_INET6 */
};

static int each_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct diag *diag = arg;
	struct sh_socket_key key = { .port = msg->id.idiag_dport, .proto = diag->proto };
	struct ending *ending;

	if (nlh->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return MNL_CB_OK;
	key.cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0];
	if (diag->family == AF_INET) {
		key.backend.w[2] = SH_MAPPED_PREFIX;
		key.backend.w[3] = msg->id.idiag_dst[0];
	} else {
		memcpy(&key.backend, msg->id.idiag_dst, sizeof(key.backend));
	}
	ending = endings_find(diag->endings, &key);
	if (ending && diag->n_found < diag->endings->n)
		diag->found[diag->n_found++] = (struct found){ msg->id, ending };
	return MNL_CB_OK;
}

static struct inet_diag_req_v2 *request(struct diag *diag, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(diag->buf);
	struct inet_diag_req_v2 *req;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = diag->family;
	req->sdiag_protocol = diag->proto;
	req->idiag_states = STATES_CONNECTED;
	return req;
}

/* Send what request() has made; @each for every answer. */
static int talk(struct diag *diag, mnl_cb_t each)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)diag->buf;
	ssize_t len;
	int ret;

	if (mnl_socket_sendto(diag->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(diag->nl, diag->buf, DUMP_BUFFER_BYTES);
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(diag->buf, (size_t)len, 1, mnl_socket_get_portid(diag->nl), each,
				 diag);
	} while (ret > MNL_CB_STOP);
	return ret < 0 ? -errno : 0;
}

/* -ENOENT: it has gone by itself. */
static int destroy(struct diag *diag, struct found *found)
{
	int ret;

	request(diag, SOCK_DESTROY, NLM_F_ACK)->id = found->id;
	ret = talk(diag, NULL);
	if (!ret)
		found->ending->ended = true;
	return ret == -ENOENT ? 0 : ret;
}

static int end_family(struct diag *diag, uint8_t family)
{
	size_t i;
	int ret;

	diag->family = family;
	diag->n_found = 0;
	(void)request(diag, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	ret = talk(diag, each_socket);
	for (i = 0; i < diag->n_found && !ret; i++)
		ret = destroy(diag, &diag->found[i]);
	return ret;
}

static int end_proto(struct diag *diag, proto_t proto)
{
	int ret;

	if (!endings_have(diag->endings, proto))
		return 0;
	diag->proto = proto;
	ret = end_family(diag, AF_INET);
	return ret ? ret : end_family(diag, AF_INET6);
}

int sockdiag_end(struct endings *endings)
{
	struct diag diag = { .endings = endings };
	int ret = -ENOMEM;

	diag.buf = malloc(DUMP_BUFFER_BYTES);
	diag.found = calloc(endings->n, sizeof(*diag.found));
	if (!diag.buf || !diag.found)
		goto out;
	diag.nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!diag.nl || mnl_socket_bind(diag.nl, 0, MNL_SOCKET_AUTOPID)) {
		ret = -errno;
		goto out;
	}
	ret = end_proto(&diag, IPPROTO_TCP);
	if (!ret)
		ret = end_proto(&diag, IPPROTO_UDP);
	if (ret == -ENOENT || ret == -EPROTONOSUPPORT) /* no module for that dump */
		ret = -EOPNOTSUPP;
out:
	if (diag.nl)
		(void)mnl_socket_close(diag.nl);
	free(diag.found);
	free(diag.buf);
	return ret;
}
