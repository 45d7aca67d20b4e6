/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bpf/shunt_capture.bpf.c hands to `shunt monitor --pcap`. */
#ifndef SHUNT_CAPTURE_H
#define SHUNT_CAPTURE_H

#include "shunt/limits.h"
#include "shunt/types.h"

/* One packet at one place; its bytes follow. */
struct sh_captured {
	__u64 ns;		/* CLOCK_MONOTONIC */
	__u32 service, backend; /* ids; backend 0: it has no flow yet */
	__u32 ifindex;
	__u32 len;	/* of the packet, from its Ethernet header on */
	__u32 bytes;	/* of it, that follow */
	__u8 direction; /* enum sh_direction */
	__u8 after;	/* 1: after translation */
	__u8 pad[2];
	struct sh_addr src, dst; /* as the packet says here */
};
_Static_assert(sizeof(struct sh_captured) == 64, "no padding");

struct sh_capture_buffer {
	struct sh_captured head;
	/* The verifier adds the largest offset to the largest length. */
	__u8 b[2 * SH_SNAPLEN_MAX];
};

#endif
