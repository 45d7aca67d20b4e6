/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ends sockets, by iterators over all TCP and all UDP sockets of a network
 * namespace: those that user space has put into shunt_ending, which translated
 * sockets of removed backends are. Loaded when there are any, never pinned.
 * Needs Linux 6.5; what came before is served by user/dataplane/sockdiag.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "shunt/maps.h"

/* include/net/tcp_states.h */
#define SH_TCP_TIME_WAIT    6
#define SH_TCP_LISTEN	    10
#define SH_TCP_NEW_SYN_RECV 12

/*
 * Of the kernel's structures what is read here; offsets are relocated to those
 * of the kernel that runs.
 */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sh_atomic64 {
	__s64 counter;
};

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct sh_atomic64 skc_cookie;
};

struct udp_sock;

struct bpf_iter__tcp {
	struct sock_common *sk_common;
};

struct bpf_iter__udp {
	struct udp_sock *udp_sk;
};
#pragma clang attribute pop

extern int bpf_sock_destroy(struct sock_common *sk) __ksym;

/* Whom to end; 1: done. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SH_SOCKETS_DEFAULT);
	__type(key, struct sh_socket_key);
	__type(value, __u32);
} shunt_ending SEC(".maps");

/*
 * By its cookie and by whom it is connected to now: a socket that has gone on
 * to another peer is not found, nor is one that is connected to nobody.
 */
static __always_inline int sh_end_socket(struct sock_common *skc, __u8 proto)
{
	struct sh_socket_key key = { .proto = proto };
	__u32 *ended;

	key.cookie = (__u64)skc->skc_cookie.counter;
	if (!key.cookie) /* nobody has ever asked for it, shunt neither */
		return 0;
	key.port = skc->skc_dport;
	if (skc->skc_family == AF_INET) {
		key.backend.w[2] = SH_MAPPED_PREFIX;
		key.backend.w[3] = skc->skc_daddr;
	} else {
		for (int i = 0; i < 4; i++)
			key.backend.w[i] = skc->skc_v6_daddr.in6_u.u6_addr32[i];
	}
	ended = bpf_map_lookup_elem(&shunt_ending, &key);
	if (ended && !bpf_sock_destroy(skc))
		*ended = 1;
	return 0;
}

SEC("iter/tcp")
int shunt_end_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;

	/* The last two are not struct sock, and nothing of theirs is left to be ended. */
	if (!skc || skc->skc_state == SH_TCP_LISTEN || skc->skc_state == SH_TCP_TIME_WAIT ||
	    skc->skc_state == SH_TCP_NEW_SYN_RECV)
		return 0;
	return sh_end_socket(skc, IPPROTO_TCP);
}

SEC("iter/udp")
int shunt_end_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *sk = ctx->udp_sk;

	return sk ? sh_end_socket((struct sock_common *)sk, IPPROTO_UDP) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
