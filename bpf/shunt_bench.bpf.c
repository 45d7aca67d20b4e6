/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `shunt bench` measures with. BPF_PROG_TEST_RUN repeats a program on one
 * buffer, which a translating program has changed after the first time: here
 * is the program that puts the next packet's headers back and then calls the
 * one that is measured, and what that is compared with. Each is there for both
 * hooks and both families, so that a row and its baseline differ in nothing else.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "shunt/bench.h"

/* Sizes are set by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_bench_head);
} bench_heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sh_bench_cursor);
} bench_cursor SEC(".maps");

#define SH_BENCH_MAP(name, kind, key_type)            \
	struct {                                      \
		__uint(type, kind);                   \
		__uint(max_entries, 1);               \
		__type(key, key_type);                \
		__type(value, struct sh_bench_value); \
	} name SEC(".maps")

SH_BENCH_MAP(bench_hash4, BPF_MAP_TYPE_HASH, struct sh_bench_key4);
SH_BENCH_MAP(bench_hash6, BPF_MAP_TYPE_HASH, struct sh_bench_key6);
SH_BENCH_MAP(bench_lru4, BPF_MAP_TYPE_LRU_HASH, struct sh_bench_key4);
SH_BENCH_MAP(bench_lru6, BPF_MAP_TYPE_LRU_HASH, struct sh_bench_key6);

/* The program that is measured. */
#define SH_BENCH_TARGET(name)                          \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, 1);                \
		__type(key, __u32);                    \
		__type(value, __u32);                  \
	} name SEC(".maps")

SH_BENCH_TARGET(bench_xdp_target);
SH_BENCH_TARGET(bench_tc_target);

/*
 * Write the next packet's headers over the packet's. Each store covers whole
 * fields: a load that spans two stores which are still under way would have
 * the measured program wait for something that no real packet does.
 */
static __always_inline void sh_bench_restore(void *data, void *end, const bool v6)
{
	struct sh_bench_cursor *cursor;
	struct sh_bench_head *head;
	__u32 zero = 0, at;

	if (data + SH_BENCH_PACKET_BYTES > end)
		return;
	cursor = bpf_map_lookup_elem(&bench_cursor, &zero);
	if (!cursor)
		return;
	at = cursor->next;
	cursor->next = at + 1 < cursor->n ? at + 1 : 0;
	head = bpf_map_lookup_elem(&bench_heads, &at);
	if (!head)
		return;
	*(__u64 *)data = *(__u64 *)cursor->eth;
	*(__u32 *)(data + 8) = *(__u32 *)(cursor->eth + 8);
	*(__u16 *)(data + 12) = *(__u16 *)(cursor->eth + 12);
#pragma unroll
	for (int i = 0; i < (v6 ? 8 : 5); i++)
		*(__u64 *)(data + SH_BENCH_ETH_BYTES + 8 * i) = head->word[i];
}

/* The tuple of a packet whose headers are where the restored ones are. */
static __always_inline bool sh_bench_key4(void *data, void *end, struct sh_bench_key4 *key)
{
	if (data + SH_BENCH_PACKET_BYTES > end)
		return false;
	key->saddr = *(__be32 *)(data + SH_BENCH_ETH_BYTES + 12);
	key->daddr = *(__be32 *)(data + SH_BENCH_ETH_BYTES + 16);
	key->sport = *(__be16 *)(data + SH_BENCH_ETH_BYTES + 20);
	key->dport = *(__be16 *)(data + SH_BENCH_ETH_BYTES + 22);
	key->proto = IPPROTO_TCP;
	return true;
}

static __always_inline bool sh_bench_key6(void *data, void *end, struct sh_bench_key6 *key)
{
	__u64 *from, *to = (__u64 *)key;

	if (data + SH_BENCH_PACKET_BYTES > end)
		return false;
	from = data + SH_BENCH_ETH_BYTES + 8;
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
	key->sport = *(__be16 *)(data + SH_BENCH_ETH_BYTES + 40);
	key->dport = *(__be16 *)(data + SH_BENCH_ETH_BYTES + 42);
	key->proto = IPPROTO_TCP;
	return true;
}

#define SH_BENCH_DATA(ctx) ((void *)(long)(ctx)->data)
#define SH_BENCH_END(ctx)  ((void *)(long)(ctx)->data_end)

/* All that there is of one hook: @hook, its section, its context, to pass a packet, to drop it. */
#define SH_BENCH_PROGRAMS(hook, section, context, pass, drop)                   \
	SEC(section) int bench_##hook##_empty(context *ctx)                     \
	{                                                                       \
		return pass;                                                    \
	}                                                                       \
	SEC(section) int bench_##hook##_restore4(context *ctx)                  \
	{                                                                       \
		sh_bench_restore(SH_BENCH_DATA(ctx), SH_BENCH_END(ctx), false); \
		bpf_tail_call_static(ctx, &bench_##hook##_target, 0);           \
		return drop;                                                    \
	}                                                                       \
	SEC(section) int bench_##hook##_restore6(context *ctx)                  \
	{                                                                       \
		sh_bench_restore(SH_BENCH_DATA(ctx), SH_BENCH_END(ctx), true);  \
		bpf_tail_call_static(ctx, &bench_##hook##_target, 0);           \
		return drop;                                                    \
	}                                                                       \
	SH_BENCH_LOOKUP(hook, section, context, pass, drop, hash, 4)            \
	SH_BENCH_LOOKUP(hook, section, context, pass, drop, hash, 6)            \
	SH_BENCH_LOOKUP(hook, section, context, pass, drop, lru, 4)             \
	SH_BENCH_LOOKUP(hook, section, context, pass, drop, lru, 6)

#define SH_BENCH_LOOKUP(hook, section, context, pass, drop, map, family)                \
	SEC(section) int bench_##hook##_##map##family(context *ctx)                     \
	{                                                                               \
		struct sh_bench_value *value;                                           \
		struct sh_bench_key##family key;                                        \
                                                                                        \
		if (!sh_bench_key##family(SH_BENCH_DATA(ctx), SH_BENCH_END(ctx), &key)) \
			return drop;                                                    \
		value = bpf_map_lookup_elem(&bench_##map##family, &key);                \
		return value && value->word[0] ? pass : drop;                           \
	}

SH_BENCH_PROGRAMS(xdp, "xdp", struct xdp_md, XDP_PASS, XDP_DROP)
SH_BENCH_PROGRAMS(tc, "tc", struct __sk_buff, TC_ACT_UNSPEC, TC_ACT_SHOT)

/* What any program there adds to the system call. */
SEC("cgroup/connect4")
int bench_connect4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/connect6")
int bench_connect6(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/getpeername4")
int bench_getpeer4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/getpeername6")
int bench_getpeer6(struct bpf_sock_addr *ctx)
{
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
