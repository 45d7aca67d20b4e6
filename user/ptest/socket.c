/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection of a socket on the node: the programs of the cgroup that it is in. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ptest/run.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

struct sock_name {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static struct sock_name name_of(const struct sh_addr *addr, __be16 port)
{
	struct sock_name name = { 0 };

	if (sh_addr_is_v4(addr)) {
		name.v4.sin_family = AF_INET;
		name.v4.sin_port = port;
		name.v4.sin_addr.s_addr = addr->w[3];
		name.len = sizeof(name.v4);
	} else {
		name.v6.sin6_family = AF_INET6;
		name.v6.sin6_port = port;
		memcpy(&name.v6.sin6_addr, addr, sizeof(*addr));
		name.len = sizeof(name.v6);
	}
	return name;
}

static bool name_eq(const struct sock_name *a, const struct sock_name *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_port == b->v6.sin6_port &&
	       !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
}

static int socket_type(proto_t proto)
{
	return proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
}

/* @return a file descriptor, or a negative errno */
static int socket_open(const struct ptest_flow *flow, uint64_t *cookie, struct err *err)
{
	struct sock_name own = name_of(&flow->src, 0);
	struct sock_name to = name_of(&flow->dst.addr, 0);
	socklen_t len = sizeof(*cookie);
	int fd, one = 1, ret;

	fd = socket(to.any.sa_family, socket_type(flow->proto) | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    flow->proto);
	if (fd < 0)
		return err_system(err, -errno, "open a socket of %s", proto_name(flow->proto));
	ret = getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len);
	if (!ret && flow->has_src) {
		/* Whether or not the node has that address. */
		if (own.any.sa_family == AF_INET)
			(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
		else
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
		ret = bind(fd, &own.any, own.len);
	}
	if (!ret)
		return fd;
	ret = err_system(err, -errno, "prepare a socket");
	(void)close(fd);
	return ret;
}

/* A connected UDP socket has to know its peer by the name that it used. */
static void check_peer(const struct ptest_try *try, int fd, const struct sock_name *to)
{
	struct sock_name peer = { .len = sizeof(peer.v6) };

	if (getpeername(fd, &peer.any, &peer.len))
		return;
	if (!name_eq(&peer, to))
		ptest_seen_fault(try->seen, "getpeername() does not tell the address that the "
					    "socket was connected to");
}

/*
 * Every other UDP socket is not connected: sendto() has a program of its own.
 * What the network says of the connection is of no matter here.
 * @return 0 or the errno
 */
static int socket_reach(const struct ptest_try *try, int fd)
{
	const struct sock_name to = name_of(&try->flow->dst.addr, try->flow->dst.port);

	if (try->flow->proto == IPPROTO_UDP && try->number % 2)
		return sendto(fd, "x", 1, 0, &to.any, to.len) < 0 ? errno : 0;
	if (connect(fd, &to.any, to.len))
		return errno;
	if (try->flow->proto == IPPROTO_UDP)
		check_peer(try, fd, &to);
	return 0;
}

int socket_try(const struct ptest_try *try, struct err *err)
{
	struct ptest_reached reached = { 0 };
	struct ptest_seen *seen = try->seen;
	uint64_t cookie = 0;
	int fd, refused, ret = 0;

	fd = socket_open(try->flow, &cookie, err);
	if (fd < 0)
		return fd;
	refused = socket_reach(try, fd);
	seen->verdict = PTEST_PASS;
	if (rig_socket_backend(try->rig, cookie, &reached.target)) {
		seen->verdict = PTEST_FORWARD;
		reached.local = ptest_is_local(try->rig, &reached.target);
		seen->kept_near++;
		if (ptest_seen_add(seen, &reached))
			ret = err_system(err, -ENOMEM, "count the backends");
	} else if (refused == ECONNREFUSED || refused == EPERM) {
		/* The node's own stack may say so too, but counts no drop of ours. */
		seen->reason = rig_drop_reason(try->rig);
		if (seen->reason)
			seen->verdict = refused == EPERM ? PTEST_DROP : PTEST_REJECT;
	}
	(void)close(fd);
	return ret;
}
