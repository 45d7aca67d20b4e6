/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `shunt bench` and the programs that it measures with agree on. */
#ifndef SHUNT_BENCH_H
#define SHUNT_BENCH_H

#include "shunt/types.h"

#define SH_BENCH_ETH_BYTES    14
#define SH_BENCH_PACKET_BYTES 80 /* Ethernet, IPv6, TCP and a few bytes */

/* A packet's IP and TCP headers, as they are put back before each iteration: one cache line. */
struct sh_bench_head {
	__u64 word[8];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sh_bench_head) == 64, "one cache line");

/* What a kernel hash map would find a flow by: the tuple, as it stands in the packet. */
struct sh_bench_key4 {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u32 proto;
};
_Static_assert(sizeof(struct sh_bench_key4) == 16, "hash keys carry no padding");

struct sh_bench_key6 {
	struct sh_addr saddr, daddr;
	__be16 sport, dport;
	__u32 proto;
};
_Static_assert(sizeof(struct sh_bench_key6) == 40, "hash keys carry no padding");

/* As large as an entry of the flow table. */
struct sh_bench_value {
	__u64 word[8];
};

/* Which packets an iteration draws from: the next of heads [0, n). */
struct sh_bench_cursor {
	__u32 next, n;
	__u8 eth[SH_BENCH_ETH_BYTES];
	__u8 pad[2];
};

#endif
