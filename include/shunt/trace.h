/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps that programs loaded with sh_config.trace write down, for `shunt
 * trace`. No live program does: its verifier removes the code.
 */
#ifndef SHUNT_TRACE_H
#define SHUNT_TRACE_H

#include "shunt/limits.h"
#include "shunt/types.h"

enum sh_trace_step {
	SH_TRACE_NONE = 0,
#define SH_TRACE(name, word) SH_TRACE_##name,
#include "shunt/trace.def"
#undef SH_TRACE
	SH_TRACE_COUNT
};

enum sh_trace_source {
	SH_SOURCE_OUTSIDE = 0,
	SH_SOURCE_ALLOWED,
	SH_SOURCE_UNKNOWN, /* a pod's socket: left to its packets */
};

enum sh_trace_affinity {
	SH_AFFINITY_NEW = 0,
	SH_AFFINITY_KEPT,
	SH_AFFINITY_OLD,  /* the client's last connection is too long ago */
	SH_AFFINITY_AWAY, /* that backend is gone, or not in the set */
};

/* Why a client's address is replaced. */
enum sh_snat {
	SH_SNAT_NONE = 0,
	SH_SNAT_HAIRPIN, /* it would answer itself */
	SH_SNAT_ALL,	 /* --masquerade-all */
	SH_SNAT_REMOTE,	 /* client and backend are both elsewhere */
	SH_SNAT_OUTSIDE, /* not of the cluster, by a ClusterIP */
};

enum sh_trace_end { SH_END_FORWARD = 0, SH_END_REJECT, SH_END_DROP, SH_END_PASS };

struct sh_trace_record {
	__u32 step; /* enum sh_trace_step */
	__u32 arg[4];
	__be16 sport, dport;
	struct sh_addr src, dst;
};
_Static_assert(sizeof(struct sh_trace_record) == 56, "no padding");

/* Of one run. The user's to zero before it. */
struct sh_trace {
	__u32 n;
	__u32 lost; /* steps for which there was no room */
	struct sh_trace_record v[SH_TRACE_STEPS_MAX];
};

/* Where it stands: a data section that becomes a map of that name. */
#define SH_TRACE_SECTION ".data.trace"

#endif
