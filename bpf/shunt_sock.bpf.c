/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets: translated once, when they connect or send, so that a local client
 * pays nothing per packet. An IPv6 socket may hold a mapped IPv4 address; it
 * reads like any IPv4 frontend here.
 */
#include "frontend.h"

/* The other end of a socket, as the program's user sees it. */
struct sh_peer {
	struct sh_addr addr;
	__be16 port;
};

static __always_inline void sh_peer_read(struct sh_peer *peer, const struct bpf_sock_addr *ctx,
					 const bool v6)
{
	if (v6) {
		peer->addr.w[0] = ctx->user_ip6[0];
		peer->addr.w[1] = ctx->user_ip6[1];
		peer->addr.w[2] = ctx->user_ip6[2];
		peer->addr.w[3] = ctx->user_ip6[3];
	} else {
		peer->addr.w[0] = 0;
		peer->addr.w[1] = 0;
		peer->addr.w[2] = SH_MAPPED_PREFIX;
		peer->addr.w[3] = ctx->user_ip4;
	}
	peer->port = (__be16)ctx->user_port;
}

static __always_inline void sh_peer_write(struct bpf_sock_addr *ctx, const struct sh_addr *addr,
					  __be16 port, const bool v6)
{
	if (v6) {
		ctx->user_ip6[0] = addr->w[0];
		ctx->user_ip6[1] = addr->w[1];
		ctx->user_ip6[2] = addr->w[2];
		ctx->user_ip6[3] = addr->w[3];
	} else {
		ctx->user_ip4 = addr->w[3];
	}
	ctx->user_port = port;
}

static __always_inline bool sh_in_host(__u64 netns_cookie)
{
	return netns_cookie == sh_config.netns_cookie;
}

/* 127.0.0.0/8 and ::1: of the host they stand for the node, as far as nodePorts go. */
static __always_inline bool sh_is_loopback(const struct sh_addr *addr)
{
	if (sh_addr_is_v4(addr))
		return addr->b[12] == 127;
	return !addr->w[0] && !addr->w[1] && !addr->w[2] && addr->w[3] == bpf_htonl(1);
}

/* The prefilter, as a packet's on ingress. */
static __always_inline bool sh_peer_maybe(const struct sh_peer *peer, bool node_port)
{
	const struct sh_filter *filter;
	__u64 word[2];
	__u32 zero = 0, bit;
	bool v6 = !sh_addr_is_v4(&peer->addr);

	filter = bpf_map_lookup_elem(&shunt_filter, &zero);
	if (!filter)
		return false;
	if (node_port)
		return sh_bit(filter->node_port, bpf_ntohs(peer->port));
	sh_word_from_addr(word, &peer->addr, v6);
	bit = sh_filter_addr_bit(sh_filter_mix(word, v6));
	if (sh_bit(filter->virtual_or_node, bit))
		return true;
	return v6 ? sh_in_nets(&sh_config.service_cidrs, word, true)
		  : sh_in_nets(&sh_config.service_cidrs, word, false);
}

/* The address that a socket of the host will most likely have. */
static __always_inline void sh_node_address(struct sh_addr *addr, bool v6)
{
	const struct sh_device *node;
	__u32 zero = 0;

	node = bpf_map_lookup_elem(&shunt_devices, &zero);
	if (node)
		*addr = v6 ? node->addr6 : node->addr4;
}

static __always_inline void sh_trace_socket(const struct sh_choice *choice,
					    const struct sh_peer *peer, bool host, bool maybe)
{
	struct sh_trace_record *record = sh_trace_next(SH_TRACE_SOCKET);

	if (!record)
		return;
	record->arg[0] = choice->loopback;
	record->arg[1] = host;
	record->arg[2] = choice->proto;
	record->dst = peer->addr;
	record->dport = peer->port;
	sh_trace_args(SH_TRACE_FILTER, maybe, 0, 0, 0);
}

/* Which backend this socket gets. @return as sh_choose() */
static __always_inline enum sh_verdict
sh_sock_choose(struct bpf_sock_addr *ctx, const struct sh_peer *peer, struct sh_choice *choice)
{
	__u64 netns = bpf_get_netns_cookie(ctx);
	bool host = sh_in_host(netns);
	bool loopback = host && sh_is_loopback(&peer->addr);
	bool maybe;

	if (sh_config.socket_lb == SH_SOCKET_LB_HOST && !host)
		return SH_PASS;
	maybe = sh_peer_maybe(peer, loopback);
	choice->loopback = loopback;
	choice->proto = ctx->protocol;
	if (sh_config.trace)
		sh_trace_socket(choice, peer, host, maybe);
	if (!maybe)
		return SH_PASS;
	choice->cookie = bpf_get_socket_cookie(ctx);
	choice->client.w[2] = (__u32)(netns >> 32);
	choice->client.w[3] = (__u32)netns;
	choice->virt = peer->addr;
	choice->port = peer->port;
	choice->local_client = true;
	choice->sourceless = !host;
	if (host)
		sh_node_address(&choice->source, !sh_addr_is_v4(&peer->addr));
	return sh_choose(choice);
}

/*
 * Remember what the socket called its backend, for recvmsg() and getpeername(),
 * and whom it is connected to, for the backend's end. A datagram to elsewhere
 * doesn't change the latter. @return false: all of that was known
 */
static __always_inline bool sh_sock_remember(struct bpf_sock_addr *ctx,
					     const struct sh_choice *choice, const bool connects)
{
	struct sh_socket_key key = {
		.cookie = bpf_get_socket_cookie(ctx),
		.backend = choice->backend_addr,
		.port = choice->backend_port,
		.proto = choice->proto,
	};
	struct sh_socket value = {
		.virt = choice->virt,
		.port = choice->port,
		.flags = connects ? SH_SOCKET_CONNECTED : 0,
		.backend = choice->backend,
		.service = choice->service,
		.netns = choice->client.w[3],
	};
	const struct sh_socket *old;

	old = bpf_map_lookup_elem(&shunt_sockets, &key);
	if (old && !connects && old->flags & SH_SOCKET_CONNECTED) {
		value.flags = old->flags;
		value.backend = old->backend;
	}
	if (old && old->backend == value.backend && old->port == value.port &&
	    old->flags == value.flags && old->virt.w[3] == value.virt.w[3] &&
	    old->virt.w[2] == value.virt.w[2] && old->virt.w[1] == value.virt.w[1] &&
	    old->virt.w[0] == value.virt.w[0])
		return false;
	bpf_map_update_elem(&shunt_sockets, &key, &value, BPF_ANY);
	return true;
}

/* ---- sockets that count ---- */

static __always_inline void sh_sock_uncount(__u32 id)
{
	struct sh_backend *backend = sh_backend_at(id);

	/* Not below zero: a generation comes again after 256 backends on one line. */
	if (backend && backend->live)
		__sync_fetch_and_sub(&backend->live, 1);
}

/*
 * The socket is @id's from now on, and no longer that of whom it was counted
 * by; 0: nobody's. Each exchange moves one count, so that it is given back
 * once; that it is one holds without the lock that the kernel has on the socket
 * here. A connect() that fails counts until the socket tries again or is
 * closed; so does one that is undone by AF_UNSPEC, which no program is shown.
 */
static __always_inline void sh_sock_count(struct bpf_sock_addr *ctx, __u32 id)
{
	struct bpf_sock *sk = ctx->sk;
	struct sh_counted *counted;
	struct sh_backend *backend;
	__u32 old;

	if (!sk)
		return;
	counted =
		bpf_sk_storage_get(&shunt_counted, sk, NULL, id ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!counted) /* none yet, or no memory for one: not counted then */
		return;
	old = __sync_lock_test_and_set(&counted->backend, id);
	if (old == id)
		return;
	sh_sock_uncount(old);
	backend = id ? sh_backend_at(id) : NULL;
	if (backend)
		__sync_fetch_and_add(&backend->live, 1);
}

/*
 * connect() to what is no Service's. If that is a backend's own address, the
 * socket may have called it by a virtual one before: now it means what it says.
 */
static __always_inline void sh_sock_elsewhere(struct bpf_sock_addr *ctx, const struct sh_peer *peer)
{
	struct sh_socket_key key = {};
	const struct sh_filter *filter;
	__u64 word[2];
	__u32 zero = 0;
	bool v6 = !sh_addr_is_v4(&peer->addr);

	sh_sock_count(ctx, 0);
	filter = bpf_map_lookup_elem(&shunt_filter, &zero);
	if (!filter)
		return;
	sh_word_from_addr(word, &peer->addr, v6);
	if (!sh_bit(filter->backend, sh_filter_backend_bit(sh_filter_mix(word, v6), peer->port)))
		return;
	key.cookie = bpf_get_socket_cookie(ctx);
	key.backend = peer->addr;
	key.port = peer->port;
	key.proto = ctx->protocol;
	bpf_map_delete_elem(&shunt_sockets, &key);
}

/*
 * A traced socket goes nowhere: what it was to become is written down, and
 * whoever else has programs on its cgroups, a live instance above all, finds
 * an address that is no Service's.
 */
static __always_inline int sh_trace_end(struct bpf_sock_addr *ctx, const struct sh_choice *choice,
					enum sh_verdict verdict, const bool v6)
{
	struct sh_addr nowhere;
	struct sh_trace_record *record = verdict ? NULL : sh_trace_next(SH_TRACE_REWRITE);

	if (record) {
		record->dst = choice->backend_addr;
		record->dport = choice->backend_port;
	}
	sh_trace_args(SH_TRACE_END,
		      verdict == SH_NEXT     ? SH_END_FORWARD
		      : verdict == SH_REJECT ? SH_END_REJECT
		      : verdict == SH_DROP   ? SH_END_DROP
					     : SH_END_PASS,
		      0, 0, 0);
	for (int i = 0; i < 4; i++) {
		/* Of constants clang makes wider writes than the kernel takes of a context. */
		nowhere.w[i] = 0;
		asm volatile("" : "+r"(nowhere.w[i]));
	}
	sh_peer_write(ctx, &nowhere, 0, v6);
	return 0;
}

/* connect(), and sendmsg() of a UDP socket that is not connected. @return 0: refused */
static __always_inline int sh_sock_translate(struct bpf_sock_addr *ctx, const bool connects,
					     const bool v6)
{
	struct sh_choice choice = {};
	struct sh_peer peer = {};
	struct sh_backend *backend;
	enum sh_verdict verdict;

	if ((ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP) ||
	    sh_standing() >= SH_STAND_BEFORE)
		return 1;
	sh_peer_read(&peer, ctx, v6);
	verdict = sh_sock_choose(ctx, &peer, &choice);
	if (sh_config.trace)
		return sh_trace_end(ctx, &choice, verdict, v6);
	switch (verdict) {
	case SH_NEXT:
		break;
	case SH_REJECT:
		if (sh_config.set_retval) /* else it is EPERM, as for a drop */
			bpf_set_retval(-ECONNREFUSED);
		return 0;
	case SH_DROP:
		return 0;
	default:
		/* Behind others it may be their backend that we see. */
		if (connects && sh_standing() != SH_STAND_BEHIND)
			sh_sock_elsewhere(ctx, &peer);
		return 1;
	}
	if (sh_sock_remember(ctx, &choice, connects))
		sh_tell_choice(&choice, SH_WHAT(SH_EVENT_NEW, SH_EVENT_TRANSLATED, 0),
			       choice.service, choice.backend, SH_PLACE);
	if (connects)
		sh_sock_count(ctx, choice.algorithm == SH_LEAST_CONN ? choice.backend : 0);
	sh_peer_write(ctx, &choice.backend_addr, choice.backend_port, v6);
	backend = sh_backend_at(choice.backend);
	if (backend)
		__sync_fetch_and_add(&backend->connections, 1);
	return 1;
}

static __always_inline int sh_sock_connect(struct bpf_sock_addr *ctx, const bool v6)
{
	return sh_sock_translate(ctx, true, v6);
}

static __always_inline int sh_sock_send(struct bpf_sock_addr *ctx, const bool v6)
{
	return sh_sock_translate(ctx, false, v6);
}

/* recvmsg() and getpeername(): the name that the socket used. */
static __always_inline int sh_sock_restore(struct bpf_sock_addr *ctx, const bool v6)
{
	struct sh_socket_key key = {};
	const struct sh_socket *socket;
	struct sh_peer peer = {};

	sh_peer_read(&peer, ctx, v6);
	key.cookie = bpf_get_socket_cookie(ctx);
	key.backend = peer.addr;
	key.port = peer.port;
	key.proto = ctx->protocol;
	socket = bpf_map_lookup_elem(&shunt_sockets, &key);
	if (socket)
		sh_peer_write(ctx, &socket->virt, socket->port, v6);
	return 1;
}

/* A nodePort is not to be bound on the host: whoever did would never hear anything. */
static __always_inline int sh_sock_bound(struct bpf_sock *sk, const bool v6)
{
	struct sh_addr any = {};
	struct sh_peer peer = { .port = bpf_htons((__u16)sk->src_port) };

	if (!sh_in_host(bpf_get_netns_cookie(sk)) || !sh_peer_maybe(&peer, true))
		return 1;
	if (!v6)
		any.w[2] = SH_MAPPED_PREFIX;
	return !sh_frontend_at(&any, peer.port, (__u8)sk->protocol);
}

#define SH_SOCK_PROG(section, name, function, v6) \
	SEC(section)                              \
	int name(struct bpf_sock_addr *ctx)       \
	{                                         \
		return function(ctx, v6);         \
	}

SH_SOCK_PROG("cgroup/connect4", shunt_connect4, sh_sock_connect, false)
SH_SOCK_PROG("cgroup/connect6", shunt_connect6, sh_sock_connect, true)
SH_SOCK_PROG("cgroup/sendmsg4", shunt_sendmsg4, sh_sock_send, false)
SH_SOCK_PROG("cgroup/sendmsg6", shunt_sendmsg6, sh_sock_send, true)
SH_SOCK_PROG("cgroup/recvmsg4", shunt_recvmsg4, sh_sock_restore, false)
SH_SOCK_PROG("cgroup/recvmsg6", shunt_recvmsg6, sh_sock_restore, true)
SH_SOCK_PROG("cgroup/getpeername4", shunt_getpeer4, sh_sock_restore, false)
SH_SOCK_PROG("cgroup/getpeername6", shunt_getpeer6, sh_sock_restore, true)

/* The last close(): what least-conn counted is over. */
SEC("cgroup/sock_release")
int shunt_release(struct bpf_sock *sk)
{
	struct sh_counted *counted = bpf_sk_storage_get(&shunt_counted, sk, NULL, 0);

	if (counted)
		sh_sock_uncount(__sync_lock_test_and_set(&counted->backend, 0));
	return 1;
}

SEC("cgroup/post_bind4")
int shunt_bind4(struct bpf_sock *sk)
{
	return sh_sock_bound(sk, false);
}

SEC("cgroup/post_bind6")
int shunt_bind6(struct bpf_sock *sk)
{
	return sh_sock_bound(sk, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
