/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What names a flow, and a few words that every stage uses. Family-neutral:
 * only parse, rewrite, forward and the flow table know IPv4 from IPv6, by a
 * literal `v6` that the compiler splits the code on.
 */
#ifndef SHUNT_BPF_KEY_H
#define SHUNT_BPF_KEY_H

#include "maps.h"

#define SH_TCP_FIN 0x01
#define SH_TCP_SYN 0x02
#define SH_TCP_RST 0x04
#define SH_TCP_ACK 0x10

/* Ethernet, two VLAN tags, IPv6 and some extension headers, TCP. */
#define SH_HEADER_BYTES 128

/* The outcome of a stage: go on, or how the packet ends. */
enum sh_verdict {
	SH_NEXT = 0,
	SH_PASS,    /* to the stack, as it is or translated */
	SH_DROP,    /* counted by sh_drop() */
	SH_REJECT,  /* the same, and its sender is told */
	SH_FORWARD, /* out by its next hop */
	SH_PUNT,    /* XDP only: untouched to TC, which can do more */
};

/*
 * The tuple on the wire and the hook's direction. An IPv4 address is the word
 * as it was loaded, in [1]; [0] is zero then. Addresses and ports are in
 * network byte order.
 */
struct sh_key {
	__u64 src[2], dst[2];
	__be16 sport, dport;
	__u8 proto;
	__u8 direction; /* enum sh_direction */
	__u16 pad;
};

/* enum sh_standing: what is new is made by the programs behind these, once there are some. */
static __always_inline __u32 sh_standing(void)
{
	const struct sh_control *control;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&shunt_control, &zero);
	return control ? *(const volatile __u32 *)&control->standing : SH_STAND_ALONE;
}

static __always_inline __u64 sh_ports_word(const struct sh_key *key)
{
	return (__u64)key->sport | (__u64)key->dport << 16 | (__u64)key->proto << 32 |
	       (__u64)key->direction << 40;
}

static __always_inline __u64 sh_fold(__u64 x)
{
	return x ^ (x >> 32);
}

/*
 * The flow hash. Seeded, so that nobody outside can aim at one bucket. All
 * four products are independent of each other: they take the time of one.
 */
static __always_inline __u64 sh_key_hash(const struct sh_key *key)
{
	__u64 h = sh_fold(key->src[0]) * sh_config.seed[0] +
		  sh_fold(key->src[1]) * sh_config.seed[1] +
		  sh_fold(key->dst[0]) * sh_config.seed[2] +
		  sh_fold(key->dst[1]) * sh_config.seed[3];

	return (sh_fold(h) + sh_ports_word(key)) * sh_config.seed[4];
}

/* Address of a key to the 16 bytes of struct sh_addr (IPv4: mapped), and back. */
static __always_inline void sh_addr_from_word(struct sh_addr *addr, const __u64 word[2],
					      const bool v6)
{
	if (v6) {
		addr->w[0] = (__u32)word[0];
		addr->w[1] = (__u32)(word[0] >> 32);
		addr->w[2] = (__u32)word[1];
		addr->w[3] = (__u32)(word[1] >> 32);
	} else {
		addr->w[0] = 0;
		addr->w[1] = 0;
		addr->w[2] = SH_MAPPED_PREFIX;
		addr->w[3] = (__u32)word[1];
	}
}

static __always_inline void sh_word_from_addr(__u64 word[2], const struct sh_addr *addr,
					      const bool v6)
{
	word[0] = v6 ? (__u64)addr->w[0] | (__u64)addr->w[1] << 32 : 0;
	word[1] = v6 ? (__u64)addr->w[2] | (__u64)addr->w[3] << 32 : addr->w[3];
}

/*
 * The verifier goes through the rest of a program once more for each way that leads to it
 * with other numbers, if a branch is seen to depend on them. These words keep numbers from
 * telling it more than it needs. They cost an instruction, and no time that could be measured.
 */

/* Clang doesn't know it. */
static __always_inline __u64 sh_opaque(__u64 x)
{
	asm volatile("" : "+r"(x));
	return x;
}

/* To branch on: what is learnt from that is not learnt of @x. */
static __always_inline __u64 sh_unlearnt(__u64 x)
{
	asm volatile("%0 ^= 0" : "+r"(x));
	return x;
}

/* 0, of which the verifier knows only that it has no more bits than @any. */
static __always_inline __u64 sh_unlearnt_zero(__u64 any)
{
	asm volatile("%0 ^= %0" : "+r"(any));
	return any;
}

/*
 * Is the address, in a key's words, in one of the networks? They are read-only
 * data: the verifier drops the turns that are not used.
 */
static __always_inline bool sh_in_nets(const volatile struct sh_nets *nets, const __u64 word[2],
				       const bool v6)
{
#pragma unroll /* else clang walks a pointer, in a way that the verifier refuses */
	for (__u32 i = 0; i < SH_CIDRS_MAX; i++) {
		if (i >= (v6 ? nets->n6 : nets->n4))
			return false;
		if (v6 ? !((word[0] ^ nets->v6[i].net[0]) & nets->v6[i].mask[0]) &&
				    !((word[1] ^ nets->v6[i].net[1]) & nets->v6[i].mask[1])
		       : !(((__u32)word[1] ^ nets->v4[i].net) & nets->v4[i].mask))
			return true;
	}
	return false;
}

/* One's complement sums (RFC 1071), over words as they were loaded. */
static __always_inline __u32 sh_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32); /* 2^32 counts 1 */
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)((sum & 0xffff) + (sum >> 16));
}

/* ~(~sum + delta): RFC 1624, equation 3. */
static __always_inline __sum16 sh_csum_apply(__sum16 sum, __u32 delta)
{
	delta += (__u16)~sum;
	delta = (delta & 0xffff) + (delta >> 16);
	return (__sum16)~((delta & 0xffff) + (delta >> 16));
}

/* How a rewrite changes the L4 checksum: by the pseudo header's addresses, and in all. */
struct sh_l4_delta {
	__u16 addrs, all;
};

#ifdef __TARGET_ARCH_x86
/* Loads are not reordered with loads here. */
#define sh_after(loaded) 0
#else
/*
 * Zero, but only once @loaded has been loaded: added to an address, it keeps
 * the processor from doing that load earlier (an address dependency, as
 * Documentation/memory-barriers.txt has it). BPF has no load-acquire before
 * Linux 6.15.
 */
#define sh_after(loaded)                             \
	({                                           \
		__u64 dep = (loaded);                \
		asm volatile("%0 &= 0" : "+r"(dep)); \
		(__u32)dep;                          \
	})
#endif

#endif
